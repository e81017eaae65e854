"""Accounts and the postings to them. Debits are positive, credits negative."""

import sqlite3
from collections.abc import Sequence

from ledger.db import LedgerError
from ledger.money import as_text, iso_day

KINDS = ("asset", "liability", "equity", "income", "expense")


def add_account(books: sqlite3.Connection, code: str, name: str, kind: str) -> None:
    if kind not in KINDS:
        raise LedgerError(f"kind {kind}: must be one of {', '.join(KINDS)}")
    with books:
        try:
            books.execute("INSERT INTO accounts VALUES (?, ?, ?)", (code, name, kind))
        except sqlite3.IntegrityError as error:
            raise LedgerError(f"account {code}: exists already") from error


def check_account(books: sqlite3.Connection, code: str) -> None:
    if books.execute("SELECT 1 FROM accounts WHERE code = ?", (code,)).fetchone() is None:
        raise LedgerError(f"account {code}: unknown")


def post(
    books: sqlite3.Connection,
    day: str,
    memo: str,
    batch: str | None,
    amounts: Sequence[tuple[str, int]],
) -> None:
    """Enter cents that belong together as one transaction; they must add up to 0."""
    iso = iso_day(day)
    if iso is None:
        raise LedgerError(f"day {day}: not a date")
    if sum(cents for _, cents in amounts):
        raise LedgerError("the amounts do not add up to 0")
    if not any(cents for _, cents in amounts):
        raise LedgerError("there is nothing to post")
    for account, _ in amounts:
        check_account(books, account)
    with books:
        try:
            transaction = books.execute(
                "INSERT INTO transactions (day, memo, batch) VALUES (?, ?, ?)",
                (iso, memo, batch or None),
            ).lastrowid
        except sqlite3.IntegrityError as error:
            raise LedgerError(f"batch {batch}: exists already") from error
        books.executemany(
            "INSERT INTO postings (transaction_id, account, cents) VALUES (?, ?, ?)",
            [(transaction, account, cents) for account, cents in amounts if cents],
        )


def balance(books: sqlite3.Connection, account: str) -> str:
    """The sum of an account, as text with two decimals."""
    check_account(books, account)
    query = "SELECT COALESCE(SUM(cents), 0) FROM postings WHERE account = ?"
    return as_text(books.execute(query, (account,)).fetchone()[0])
