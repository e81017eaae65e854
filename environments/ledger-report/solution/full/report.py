"""Balances by period.

A month is counted as 12 * year + month - 1.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.money import as_text

COLUMNS = ("period", "account", "name", "kind", "opening", "debit", "credit", "closing")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
DEBIT_KINDS = ("asset", "expense")
RESULT_KINDS = ("income", "expense")


class RangeError(ValueError):
    """A period that cannot be reported."""


def read_month(text: str) -> int:
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if not found:
        raise RangeError(f"{text}: must be YYYY-MM")
    return 12 * int(found[1]) + int(found[2]) - 1


@dataclass(frozen=True)
class Calendar:
    """Periods of `size` months in financial years that begin with month `start`."""

    size: int
    start: int

    def year_start(self, month: int) -> int:
        return month - (month - self.start + 1) % 12

    def label(self, month: int) -> str:
        if self.size == 1:
            return f"{month // 12:04}-{month % 12 + 1:02}"
        first = self.year_start(month)
        quarter = f"-Q{(month - first) // 3 + 1}" if self.size == 3 else ""
        return f"{first // 12:04}{quarter}"

    def periods(self, first: int, last: int) -> range:
        """The first months of the periods; RangeError if the limits cut a period."""
        if first > last:
            raise RangeError("--from is after --to")
        for month, name in ((first, "--from"), (last + 1, "--to")):
            if (month - self.year_start(month)) % self.size:
                raise RangeError(f"{name} cuts a period in two")
        return range(first, last + 1, self.size)


@dataclass(frozen=True)
class Account:
    """An account with its debits and credits by month, both positive."""

    code: str
    name: str
    kind: str
    months: dict[int, tuple[int, int]]

    def turnover(self, first: int | None, end: int) -> tuple[int, int]:
        """Debits and credits from `first` (None: ever) up to but not including `end`."""
        chosen = [
            both
            for month, both in self.months.items()
            if month < end and (first is None or first <= month)
        ]
        return sum(debit for debit, _ in chosen), sum(credit for _, credit in chosen)

    def balance(self, first: int | None, end: int) -> int:
        debit, credit = self.turnover(first, end)
        return debit - credit if self.kind in DEBIT_KINDS else credit - debit


def read_accounts(books: sqlite3.Connection) -> list[Account]:
    accounts = {
        code: Account(code, name, kind, {})
        for code, name, kind in books.execute("SELECT code, name, kind FROM accounts")
    }
    rows = books.execute(
        "SELECT account, substr(day, 1, 7), SUM(MAX(cents, 0)), SUM(MAX(-cents, 0))"
        " FROM postings JOIN transactions ON transactions.id = transaction_id GROUP BY 1, 2"
    )
    for code, month, debit, credit in rows:
        accounts[code].months[read_month(month)] = (debit, credit)
    return sorted(accounts.values(), key=lambda account: account.code)


def report(
    books: sqlite3.Connection, calendar: Calendar, periods: range, everything: bool
) -> Iterator[tuple[str, ...]]:
    accounts = read_accounts(books)
    for first in periods:
        label, end, year = calendar.label(first), first + calendar.size, calendar.year_start(first)
        debits = credits = earlier = 0
        for account in accounts:
            since = year if account.kind in RESULT_KINDS else None
            debit, credit = account.turnover(first, end)
            cents = (account.balance(since, first), debit, credit, account.balance(since, end))
            if everything or any(cents):
                yield (label, account.code, account.name, account.kind, *map(as_text, cents))
            debits, credits = debits + debit, credits + credit
            if account.kind in RESULT_KINDS:
                before = account.balance(None, year)
                earlier += before if account.kind == "income" else -before
        if everything or earlier:
            amounts = map(as_text, (earlier, 0, 0, earlier))
            yield (label, "*", "Earlier results", "equity", *amounts)
        yield (label, "total", "", "", "", as_text(debits), as_text(credits), "")
