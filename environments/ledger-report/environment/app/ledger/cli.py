"""The command line: `python3 -m ledger COMMAND DB ...`."""

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from ledger.books import add_account, balance, post
from ledger.db import LedgerError, connect, create


def amount(text: str) -> tuple[str, float]:
    account, _, number = text.rpartition("=")
    return account, float(number)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ledger", description="Double-entry bookkeeping.")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="create an empty ledger").add_argument("db", type=Path)
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
    return top


def run(options: argparse.Namespace) -> None:
    if options.command == "init":
        create(options.db)
        return
    books = connect(options.db)
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
    except (LedgerError, sqlite3.Error) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 1
    return 0
