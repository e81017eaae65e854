"""Merge the rows of one contact."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contacts.clean import clean_rows
from contacts.table import Table, TableError

Row = dict[str, str]
LEAST_DIGITS = 7


@dataclass(frozen=True)
class Contact:
    """The rows of one contact; `newest` comes first, `numbers` are ascending."""

    key: str | None
    numbers: list[int]
    newest: list[int]


def email_key(cell: str) -> str | None:
    """`email:...`, or None if the cell is not a usable address."""
    local, at, domain = cell.lower().partition("@")
    local = local.partition("+")[0]
    usable = local and domain and "@" not in domain
    return f"email:{local}{at}{domain}" if usable else None


def phone_key(cell: str, country: str) -> str | None:
    """`phone:...`, or None if the cell has too few digits."""
    digits = re.sub(r"[^0-9]", "", cell.replace("(0)", ""))
    if not cell.startswith("+"):
        if digits.startswith("00"):
            digits = digits[2:]
        elif digits.startswith("0"):
            digits = country + digits[1:]
    return f"phone:{digits}" if len(digits) >= LEAST_DIGITS else None


def age_key(cell: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", cell):
        return date.min
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return date.min


def named(columns: Sequence[str], name: str) -> str | None:
    """The column called `name` in any letter case."""
    return next((column for column in columns if column.lower() == name), None)


def group(table: Table, country: str) -> list[Contact]:
    """The contacts of a tidy table in the order of their first rows, without the empty rows."""
    email, phone, updated = (named(table.columns, name) for name in ("email", "phone", "updated"))
    if email is None and phone is None:
        raise TableError("dedupe needs a column email or phone")
    found: dict[str | int, list[int]] = {}
    for number, row in enumerate(table.rows, start=1):
        if any(row.values()):
            key = email_key(row[email]) if email else None
            if key is None and phone:
                key = phone_key(row[phone], country)
            found.setdefault(number if key is None else key, []).append(number)

    def age(number: int) -> tuple[date, int]:
        return (age_key(table.rows[number - 1][updated]) if updated else date.min, number)

    return [
        Contact(key if isinstance(key, str) else None, numbers, sorted(numbers, key=age)[::-1])
        for key, numbers in found.items()
    ]


def dedupe(table: Table, country: str) -> tuple[Table, list[Contact]]:
    """One row per contact, and the contacts that had several rows."""
    tidied = clean_rows(table, keep_empty=True)
    contacts = group(tidied, country)
    rows = [
        {
            column: next(filter(None, (tidied.rows[n - 1][column] for n in contact.newest)), "")
            for column in table.columns
        }
        for contact in contacts
    ]
    return Table(table.columns, rows), [one for one in contacts if len(one.numbers) > 1]
