"""The JSON interface: a method, a path and a body go in, a status and a body come out."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from booking.series import agenda, check_repeat, check_series, conflicts, occurrences
from booking.store import Store
from booking.times import parse_time, show_time

Reply = tuple[int, dict[str, Any]]


def handle(store: Store, method: str, target: str, body: Any = None) -> Reply:
    """Answer one request. `target` is a path with an optional query, `body` decoded JSON."""
    url = urlsplit(target)
    # A plus sign is part of a time here, never a space.
    pairs = parse_qs(url.query.replace("+", "%2B"))
    query = {name: values[-1] for name, values in pairs.items()}
    match method, url.path.strip("/").split("/"):
        case "GET", ["rooms"]:
            return 200, {"rooms": [room.as_json() for room in store.rooms.values()]}
        case "POST", ["rooms"]:
            return add_room(store, body)
        case "GET", ["rooms", room_id, "agenda"]:
            return show_agenda(store, room_id, query)
        case "GET", ["bookings"]:
            return list_bookings(store, query)
        case "POST", ["bookings"]:
            return add_booking(store, body)
        case "DELETE", ["bookings", booking_id]:
            return remove_booking(store, booking_id)
        case "DELETE", ["bookings", booking_id, "occurrences", day]:
            return call_off(store, booking_id, day)
    return error(404, "not found")


def add_room(store: Store, body: Any) -> Reply:
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str) or not name.strip():
        return error(400, "name must be a non-empty string")
    return 201, store.add_room(name).as_json()


def list_bookings(store: Store, query: dict[str, str]) -> Reply:
    room = query.get("room")
    if room is not None and room not in store.rooms:
        return error(404, f"no room {room}")
    chosen = [each for each in store.bookings.values() if room in (None, each.room)]
    return 200, {"bookings": [booking.as_json() for booking in chosen]}


def add_booking(store: Store, body: Any) -> Reply:
    if not isinstance(body, dict):
        return error(400, "the body must be an object")
    fields: dict[str, Any] = {
        name: body.get(name) for name in ("room", "title", "start", "end")
    }
    for name, value in fields.items():
        if not isinstance(value, str) or not value.strip():
            return error(400, f"{name} must be a non-empty string")
    if fields["room"] not in store.rooms:
        return error(404, f"no room {fields['room']}")
    repeat = body.get("repeat")
    try:
        start, end = parse_time(fields["start"]), parse_time(fields["end"])
        if end <= start:
            raise ValueError("end must be later than start")
        if repeat is not None:
            check_repeat(repeat, start.date())
        draft = store.draft(**fields, repeat=repeat)
        check_series(draft)
    except (ValueError, OverflowError) as problem:
        return error(400, str(problem))
    overlapping = conflicts(draft, store.bookings.values())
    if overlapping:
        return 409, {"error": "conflict", "conflicts": overlapping}
    return 201, store.add_booking(**fields, repeat=repeat).as_json()


def show_agenda(store: Store, room_id: str, query: dict[str, str]) -> Reply:
    if room_id not in store.rooms:
        return error(404, f"no room {room_id}")
    try:
        start, end = parse_time(query.get("from", "")), parse_time(query.get("to", ""))
    except ValueError as problem:
        return error(400, str(problem))
    if end <= start:
        return error(400, "to must be later than from")
    here = [booking for booking in store.bookings.values() if booking.room == room_id]
    rows = [
        {
            "booking": each.booking.id,
            "title": each.booking.title,
            "start": show_time(each.start),
            "end": show_time(each.end),
        }
        for each in agenda(here, start, end)
    ]
    return 200, {"occurrences": rows}


def call_off(store: Store, booking_id: str, day: str) -> Reply:
    booking = store.bookings.get(booking_id)
    if booking is None:
        return error(404, f"no booking {booking_id}")
    if day not in {each.start.date().isoformat() for each in occurrences(booking)}:
        return error(404, f"{booking_id} does not take place on {day}")
    store.call_off(booking_id, day)
    return 200, {"id": booking_id, "cancelled": day}


def remove_booking(store: Store, booking_id: str) -> Reply:
    if booking_id not in store.bookings:
        return error(404, f"no booking {booking_id}")
    store.remove_booking(booking_id)
    return 200, {"id": booking_id}


def error(status: int, message: str) -> Reply:
    return status, {"error": message}
