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
    """A room for a time; `start` and `end` are kept as the client wrote them."""

    id: str
    room: str
    title: str
    start: str
    end: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "room": self.room,
            "title": self.title,
            "start": self.start,
            "end": self.end,
        }
