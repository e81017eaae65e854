"""Open and create ledgers."""

import sqlite3
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"


class LedgerError(Exception):
    """Something the user can put right."""


def create(path: Path) -> None:
    if path.exists():
        raise LedgerError(f"{path}: exists already")
    connection = sqlite3.connect(path)
    connection.executescript((MIGRATIONS / "001_start.sql").read_text(encoding="utf-8"))
    connection.close()


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    if connection.execute("PRAGMA user_version").fetchone()[0] != 1:
        raise LedgerError(f"{path}: not a ledger")
    return connection
