"""When a booking takes place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count, islice, pairwise
from typing import Any

from booking.model import Booking
from booking.times import parse_date, parse_stored

LONGEST = 366
STEP_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Occurrence:
    """One half-open stretch of time of a booking."""

    booking: Booking
    start: datetime
    end: datetime

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end


def check_repeat(repeat: Any, first: date) -> None:
    """ValueError if `repeat` does not describe a series that starts on `first`."""
    if not isinstance(repeat, dict):
        raise ValueError("repeat must be an object")
    unknown = repeat.keys() - {"every", "interval", "count", "until"}
    if unknown:
        raise ValueError(f"repeat has unknown keys: {sorted(unknown)}")
    if repeat.get("every") not in ("day", "week", "month"):
        raise ValueError("every must be day, week or month")
    if ("count" in repeat) == ("until" in repeat):
        raise ValueError("repeat needs either count or until")
    for name in ("interval", "count"):
        value = repeat.get(name, 1)
        if type(value) is not int or not 1 <= value <= LONGEST:
            raise ValueError(f"{name} must be an integer from 1 to {LONGEST}")
    if "until" in repeat and parse_date(repeat["until"]) < first:
        raise ValueError("until is before the first occurrence")


def starts(first: datetime, repeat: dict[str, Any] | None) -> Iterator[datetime]:
    """All starts of a series in order, called-off ones included."""
    if repeat is None:
        yield first
        return
    candidates = steps(first, repeat["every"], repeat.get("interval", 1))
    if "count" in repeat:
        yield from islice(candidates, repeat["count"])
        return
    until = parse_date(repeat["until"])
    for start in candidates:
        if start.date() > until:
            return
        yield start


def steps(first: datetime, every: str, interval: int) -> Iterator[datetime]:
    """The endless series; it ends with the calendar (year 9999)."""
    for number in count():
        try:
            if every == "month":
                month = first.month - 1 + number * interval
                year = first.year + month // 12
                if year > 9999:
                    return
                start = first.replace(year=year, month=month % 12 + 1)
            else:
                start = first + timedelta(days=number * interval * STEP_DAYS[every])
        except OverflowError:
            return
        except ValueError:
            continue  # this month lacks the day
        yield start


def occurrences(booking: Booking) -> Iterator[Occurrence]:
    """What takes place of a booking, in order."""
    first, end = parse_stored(booking.start), parse_stored(booking.end)
    for start in starts(first, booking.repeat):
        if start.date().isoformat() not in booking.cancelled:
            yield Occurrence(booking, start, (start + (end - first)).astimezone(end.tzinfo))


def check_series(booking: Booking) -> None:
    """ValueError if the series is too long or overlaps itself."""
    found = list(islice(occurrences(booking), LONGEST + 1))
    if len(found) > LONGEST:
        raise ValueError(f"more than {LONGEST} occurrences")
    if any(one.end > other.start for one, other in pairwise(found)):
        raise ValueError("the occurrences overlap each other")


def conflicts(booking: Booking, others: Iterable[Booking]) -> list[str]:
    """The ids of the bookings among `others` that overlap `booking` in its room."""
    mine = list(occurrences(booking))
    return [
        other.id
        for other in others
        if other.room == booking.room
        and any(
            theirs.overlaps(own.start, own.end) for theirs in occurrences(other) for own in mine
        )
    ]


def agenda(bookings: Iterable[Booking], start: datetime, end: datetime) -> list[Occurrence]:
    """The occurrences that overlap the half-open span, by start; ties keep the given order."""
    found = [each for booking in bookings for each in occurrences(booking)]
    return sorted((each for each in found if each.overlaps(start, end)), key=lambda it: it.start)
