"""Times with fixed offsets."""

import re
from datetime import UTC, date, datetime

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_time(text: str) -> datetime:
    """An aware datetime. ValueError if `text` is not a time with an offset."""
    if not TIME.fullmatch(text):
        raise ValueError(f"not a time with an offset: {text!r}")
    return datetime.fromisoformat(text)


def parse_stored(text: str) -> datetime:
    """A time from the store; older bookings have no offset and are UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def parse_date(text: object) -> date:
    """ValueError if `text` is not YYYY-MM-DD."""
    if not isinstance(text, str) or not DATE.fullmatch(text):
        raise ValueError(f"not a date: {text!r}")
    return date.fromisoformat(text)


def show_time(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
