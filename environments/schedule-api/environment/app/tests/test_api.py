"""Run with: python3 -m unittest"""

import tempfile
import unittest
from pathlib import Path
from typing import Any

from booking.api import handle
from booking.store import Store

MEETING = {
    "room": "r1",
    "title": "Stand-up",
    "start": "2025-03-03T09:00Z",
    "end": "2025-03-03T09:15Z",
}


class ApiTest(unittest.TestCase):
    def setUp(self) -> None:
        self.store = Store()
        handle(self.store, "POST", "/rooms", {"name": "Blue"})

    def book(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        return handle(self.store, "POST", "/bookings", {**MEETING, **changes})

    def test_rooms(self) -> None:
        self.assertEqual(
            handle(self.store, "GET", "/rooms"), (200, {"rooms": [{"id": "r1", "name": "Blue"}]})
        )

    def test_book_list_and_remove(self) -> None:
        self.assertEqual(self.book(), (201, {"id": "b1", **MEETING}))
        status, body = handle(self.store, "GET", "/bookings?room=r1")
        self.assertEqual((status, len(body["bookings"])), (200, 1))
        self.assertEqual(handle(self.store, "DELETE", "/bookings/b1"), (200, {"id": "b1"}))
        self.assertEqual(handle(self.store, "DELETE", "/bookings/b1")[0], 404)

    def test_bad_requests(self) -> None:
        self.assertEqual(self.book(title="")[0], 400)
        self.assertEqual(self.book(start=9)[0], 400)
        self.assertEqual(self.book(room="r7")[0], 404)

    def test_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.json"
            first = Store(path)
            handle(first, "POST", "/rooms", {"name": "Blue"})
            handle(first, "POST", "/bookings", MEETING)
            self.assertEqual(Store(path).bookings, first.bookings)


if __name__ == "__main__":
    unittest.main()
