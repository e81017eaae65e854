"""The JSON interface: a method, a path and a body go in, a status and a body come out."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from booking.store import Store

Reply = tuple[int, dict[str, Any]]


def handle(store: Store, method: str, target: str, body: Any = None) -> Reply:
    """Answer one request. `target` is a path with an optional query, `body` decoded JSON."""
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    match method, url.path.strip("/").split("/"):
        case "GET", ["rooms"]:
            return 200, {"rooms": [room.as_json() for room in store.rooms.values()]}
        case "POST", ["rooms"]:
            return add_room(store, body)
        case "GET", ["bookings"]:
            return list_bookings(store, query)
        case "POST", ["bookings"]:
            return add_booking(store, body)
        case "DELETE", ["bookings", booking_id]:
            return remove_booking(store, booking_id)
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
    fields = {name: body.get(name) for name in ("room", "title", "start", "end")}
    for name, value in fields.items():
        if not isinstance(value, str) or not value.strip():
            return error(400, f"{name} must be a non-empty string")
    if fields["room"] not in store.rooms:
        return error(404, f"no room {fields['room']}")
    try:
        start, end = (datetime.fromisoformat(fields[name]) for name in ("start", "end"))
    except ValueError as problem:
        return error(400, str(problem))
    if end <= start:
        return error(400, "end must be later than start")
    conflicts = [
        other.id
        for other in store.bookings.values()
        if other.room == fields["room"]
        and datetime.fromisoformat(other.start) < end
        and start < datetime.fromisoformat(other.end)
    ]
    if conflicts:
        return 409, {"error": "conflict", "conflicts": conflicts}
    return 201, store.add_booking(**fields).as_json()


def remove_booking(store: Store, booking_id: str) -> Reply:
    if booking_id not in store.bookings:
        return error(404, f"no booking {booking_id}")
    store.remove_booking(booking_id)
    return 200, {"id": booking_id}


def error(status: int, message: str) -> Reply:
    return status, {"error": message}
