"""Open and create ledgers."""

import sqlite3
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION = 2


class LedgerError(Exception):
    """Something the user can put right."""


def schema() -> list[str]:
    """The statements that make an empty ledger of the current version."""
    text = (MIGRATIONS / "002_cents.sql").read_text(encoding="utf-8")
    return [statement for statement in text.split(";") if statement.strip()]


def create(path: Path) -> None:
    if path.exists():
        raise LedgerError(f"{path}: exists already")
    books = sqlite3.connect(path)
    for statement in schema():
        books.execute(statement)
    books.close()


def open_file(path: Path, mode: str) -> sqlite3.Connection:
    """Open without creating; `mode` is ro or rw."""
    if not path.is_file():
        raise LedgerError(f"{path}: no such file")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)


def version_of(books: sqlite3.Connection) -> int:
    return int(books.execute("PRAGMA user_version").fetchone()[0])


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A ledger of the current version."""
    books = open_file(path, mode)
    version = version_of(books)
    if version != VERSION:
        books.close()
        hint = "version 1, run `migrate` first" if version == 1 else "not a ledger"
        raise LedgerError(f"{path}: {hint}")
    books.execute("PRAGMA foreign_keys = ON")
    return books
