"""What is stored."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Room:
    id: str
    name: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(frozen=True)
class Booking:
    """A room for a time; `start`, `end` and `repeat` are kept as the client wrote them.

    `cancelled` holds the sorted dates of the occurrences that were called off.
    """

    id: str
    room: str
    title: str
    start: str
    end: str
    repeat: dict[str, Any] | None = None
    cancelled: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": self.id,
            "room": self.room,
            "title": self.title,
            "start": self.start,
            "end": self.end,
        }
        if self.repeat is not None:
            document["repeat"] = self.repeat
        if self.cancelled:
            document["cancelled"] = list(self.cancelled)
        return document
