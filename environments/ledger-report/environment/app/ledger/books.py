"""Accounts and the entries in them. Debits are positive, credits negative."""

import sqlite3
from collections.abc import Sequence

from ledger.db import LedgerError

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
    amounts: Sequence[tuple[str, float]],
) -> None:
    """Enter amounts that belong together; they must add up to 0."""
    if abs(sum(amount for _, amount in amounts)) >= 0.005:
        raise LedgerError("the amounts do not add up to 0")
    for account, _ in amounts:
        check_account(books, account)
    with books:
        books.executemany(
            "INSERT INTO entries (day, account, amount, memo, batch) VALUES (?, ?, ?, ?, ?)",
            [(day, account, amount, memo, batch) for account, amount in amounts],
        )


def balance(books: sqlite3.Connection, account: str) -> str:
    """The sum of an account, as text with two decimals."""
    check_account(books, account)
    query = "SELECT COALESCE(SUM(amount), 0) FROM entries WHERE account = ?"
    return f"{books.execute(query, (account,)).fetchone()[0]:.2f}"
