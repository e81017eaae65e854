"""The command line: `python3 -m ledger COMMAND DB ...`."""

import argparse
import csv
import re
import sqlite3
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from ledger.books import add_account, balance, post
from ledger.db import LedgerError, connect, create
from ledger.migrate import Problems, migrate
from ledger.report import COLUMNS, MONTHS, Calendar, RangeError, read_month, report


def amount(text: str) -> tuple[str, int]:
    account, _, number = text.rpartition("=")
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]{0,2})?|\.[0-9]{1,2})", number):
        raise ValueError(f"{number} is not an amount with at most two decimals")
    return account, int(Decimal(number) * 100)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ledger", description="Double-entry bookkeeping.")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="create an empty ledger").add_argument("db", type=Path)
    commands.add_parser("migrate", help="bring to version 2").add_argument("db", type=Path)
    account = commands.add_parser("account", help="add an account")
    account.add_argument("db", type=Path)
    account.add_argument("code")
    account.add_argument("name")
    account.add_argument("kind")
    posting = commands.add_parser("post", help="enter amounts that add up to 0")
    posting.add_argument("db", type=Path)
    posting.add_argument("--day", required=True)
    posting.add_argument("--memo", default="")
    posting.add_argument("--batch")
    posting.add_argument("amounts", nargs="+", type=amount, metavar="ACCOUNT=AMOUNT")
    single = commands.add_parser("balance", help="print the balance of an account")
    single.add_argument("db", type=Path)
    single.add_argument("account")
    periods = commands.add_parser("report", help="print balances by period as CSV")
    periods.add_argument("db", type=Path)
    periods.add_argument("--from", dest="first", required=True, metavar="YYYY-MM")
    periods.add_argument("--to", dest="last", required=True, metavar="YYYY-MM")
    periods.add_argument("--by", choices=MONTHS, default="month")
    periods.add_argument("--year-start", type=int, choices=range(1, 13), default=1, metavar="M")
    periods.add_argument("--all", action="store_true", help="rows of zeros too")
    return top


def run_report(options: argparse.Namespace) -> None:
    calendar = Calendar(MONTHS[options.by], options.year_start)
    periods = calendar.periods(read_month(options.first), read_month(options.last))
    books = connect(options.db, "ro")
    try:
        rows = list(report(books, calendar, periods, options.all))
    finally:
        books.close()
    csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])


def run(options: argparse.Namespace) -> None:
    if options.command == "init":
        create(options.db)
    elif options.command == "migrate":
        print(migrate(options.db))
    elif options.command == "report":
        run_report(options)
    else:
        books = connect(options.db, "ro" if options.command == "balance" else "rw")
        try:
            if options.command == "account":
                add_account(books, options.code, options.name, options.kind)
            elif options.command == "post":
                post(books, options.day, options.memo, options.batch, options.amounts)
            else:
                print(balance(books, options.account))
        finally:
            books.close()


def main(argv: Sequence[str] | None = None) -> int:
    try:
        run(parser().parse_args(argv))
    except RangeError as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 2
    except Problems as error:
        print(error, file=sys.stderr)
        return 1
    except (LedgerError, sqlite3.Error) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 1
    return 0
