"""From version 1 (amounts as floats, days as typed) to version 2 (cents, transactions)."""

import math
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ledger.books import KINDS
from ledger.db import VERSION, LedgerError, open_file, schema, version_of
from ledger.money import iso_day, to_cents


@dataclass(frozen=True)
class Entry:
    id: int
    day: str | None
    account: str
    cents: int | None
    memo: str
    batch: str | None

    @property
    def group(self) -> tuple[str, str]:
        return ("batch", self.batch) if self.batch else ("day", self.day or "")


class Problems(LedgerError):
    """Everything that keeps these books from being migrated, one line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


def read_entries(books: sqlite3.Connection) -> list[Entry]:
    rows = books.execute("SELECT id, day, account, amount, memo, batch FROM entries ORDER BY id")
    entries = []
    for number, day, account, amount, memo, batch in rows:
        finite = isinstance(amount, int | float) and math.isfinite(amount)
        cents = to_cents(float(amount)) if finite else None
        entries.append(Entry(number, iso_day(day), account, cents, memo or "", batch or None))
    return entries


def check(entries: list[Entry], kinds: dict[str, str]) -> list[str]:
    """The problems of these books."""
    lines = [
        f"account {code}: the kind {kind!r} is not one of {', '.join(KINDS)}"
        for code, kind in kinds.items()
        if kind not in KINDS
    ]
    faulty = set()
    for entry in entries:
        own = []
        if entry.day is None:
            own.append(f"entry {entry.id}: the day is not a date")
        if entry.account not in kinds:
            own.append(f"entry {entry.id}: the account {entry.account} does not exist")
        if entry.cents is None:
            own.append(f"entry {entry.id}: the amount is not a number")
        if own:
            faulty.add(entry.group)
        lines += own
    for group, members in grouped(entries).items():
        if group not in faulty:
            lines += check_group(" ".join(group), members)
    return lines


def check_group(name: str, members: list[Entry]) -> list[str]:
    lines = []
    if len({entry.day for entry in members}) > 1:
        lines.append(f"{name}: entries of several days")
    if sum(entry.cents or 0 for entry in members):
        lines.append(f"{name}: the amounts do not add up to 0")
    return lines


def grouped(entries: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    groups = defaultdict(list)
    for entry in entries:
        groups[entry.group].append(entry)
    return groups


def migrate(path: Path) -> str:
    """Bring the ledger to version 2 and say what was done; Problems if that cannot be done."""
    books = open_file(path, "rw")
    books.isolation_level = None
    try:
        books.execute("BEGIN IMMEDIATE")
        try:
            message = migrate_within(books)
            books.execute("COMMIT")
        except BaseException:
            books.execute("ROLLBACK")
            raise
    finally:
        books.close()
    return message


def migrate_within(books: sqlite3.Connection) -> str:
    version = version_of(books)
    if version == VERSION:
        return f"already version {VERSION}"
    if version != 1:
        raise LedgerError("not a ledger")
    accounts = [
        (code, name, kind.strip().lower())
        for code, name, kind in books.execute("SELECT code, name, kind FROM accounts")
    ]
    entries = read_entries(books)
    problems = check(entries, {code: kind for code, _, kind in accounts})
    if problems:
        raise Problems(problems)
    # New tables instead of renamed ones: a rename would follow references from other tables.
    books.execute("DROP TABLE entries")
    books.execute("DROP TABLE accounts")
    for statement in schema():
        books.execute(statement)
    books.executemany("INSERT INTO accounts VALUES (?, ?, ?)", accounts)
    return write(books, entries)


def write(books: sqlite3.Connection, entries: list[Entry]) -> str:
    ordered = []
    for members in grouped(entries).values():
        posted = [entry for entry in members if entry.cents]
        if posted:
            memo = next((entry.memo for entry in members if entry.memo), "")
            ordered.append((posted[0].day or "", posted[0].id, memo, posted))
    ordered.sort(key=lambda one: one[:2])
    count = 0
    for number, (day, _, memo, posted) in enumerate(ordered, start=1):
        books.execute(
            "INSERT INTO transactions VALUES (?, ?, ?, ?)", (number, day, memo, posted[0].batch)
        )
        rows = [(entry.id, number, entry.account, entry.cents) for entry in posted]
        books.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", rows)
        count += len(rows)
    return f"migrated: {len(ordered)} transactions, {count} postings"
