"""Rooms and bookings in memory, and in a JSON file if there is a path."""

import json
import os
from pathlib import Path
from typing import Any

from booking.model import Booking, Room


class Store:
    """Everything that is booked. Ids are r1, r2, ... and b1, b2, ... and are never used again."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rooms: dict[str, Room] = {}
        self.bookings: dict[str, Booking] = {}
        self._last_room = 0
        self._last_booking = 0
        if path is not None and path.exists():
            self._load(json.loads(path.read_text(encoding="utf-8")))

    def add_room(self, name: str) -> Room:
        self._last_room += 1
        room = Room(f"r{self._last_room}", name)
        self.rooms[room.id] = room
        self._save()
        return room

    def add_booking(self, **fields: Any) -> Booking:
        """Store a booking with these fields of Booking, all but its id."""
        self._last_booking += 1
        booking = Booking(id=f"b{self._last_booking}", **fields)
        self.bookings[booking.id] = booking
        self._save()
        return booking

    def remove_booking(self, booking_id: str) -> None:
        del self.bookings[booking_id]
        self._save()

    def _load(self, document: dict[str, Any]) -> None:
        self._last_room = document["last_room"]
        self._last_booking = document["last_booking"]
        self.rooms = {row["id"]: Room(**row) for row in document["rooms"]}
        self.bookings = {row["id"]: Booking(**row) for row in document["bookings"]}

    def _save(self) -> None:
        if self.path is None:
            return
        document = {
            "last_room": self._last_room,
            "last_booking": self._last_booking,
            "rooms": [room.as_json() for room in self.rooms.values()],
            "bookings": [booking.as_json() for booking in self.bookings.values()],
        }
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, self.path)
