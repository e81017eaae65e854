"""Quotes in memory."""

import threading
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Quote:
    id: int
    author: str
    text: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class QuoteStore:
    """All quotes, numbered from 1 in the order they came. Safe to use from many threads."""

    def __init__(self) -> None:
        self._quotes: dict[int, Quote] = {}
        self._lock = threading.Lock()

    def add(self, author: str, text: str) -> Quote:
        with self._lock:
            quote = Quote(len(self._quotes) + 1, author, text)
            self._quotes[quote.id] = quote
            return quote

    def get(self, number: int) -> Quote | None:
        with self._lock:
            return self._quotes.get(number)

    def all(self) -> list[Quote]:
        with self._lock:
            return list(self._quotes.values())
