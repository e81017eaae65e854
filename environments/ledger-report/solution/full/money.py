"""Days and amounts as people write them."""

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal


def iso_day(text: str) -> str | None:
    """`YYYY-MM-DD` for a day in that form or `DD.MM.YYYY`; None if it is no date."""
    found = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    if found:
        year, month, day = found.groups()
    else:
        found = re.fullmatch(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", text)
        if not found:
            return None
        day, month, year = found.groups()
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def to_cents(amount: float) -> int:
    """Rounded to the nearest cent, halves away from zero, from the decimal Python prints."""
    return int((Decimal(repr(amount)) * 100).to_integral_value(ROUND_HALF_UP))


def as_text(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
