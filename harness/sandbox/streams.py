"""The output of a command as the engine sends it: two streams in frames on one connection."""

import struct
from dataclasses import dataclass, field


class OverflowedError(Exception):
    """A command wrote more than it may; carries what was kept."""

    def __init__(self, kept: bytes) -> None:
        super().__init__("output limit exceeded")
        self.kept = kept


@dataclass
class _Tail:
    """The last ``limit`` bytes of a stream of any length."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    total: int = 0

    def add(self, data: bytes | memoryview) -> None:
        self.kept += data
        self.total += len(data)
        if len(self.kept) > 2 * self.limit:
            del self.kept[: -self.limit]

    def value(self) -> bytes:
        return bytes(self.kept[-self.limit :]) if self.total else b""


@dataclass
class Demultiplexer:
    """Splits the engine's framed stream into standard output and standard error.

    >>> streams = Demultiplexer(limit=10, ceiling=100)
    >>> streams.feed(bytes([1, 0, 0, 0, 0, 0, 0, 2]) + b"hi" + bytes([2, 0, 0, 0, 0, 0, 0, 3]))
    >>> streams.feed(b"err")
    >>> streams.stdout.value(), streams.stderr.value()
    (b'hi', b'err')
    """

    limit: int
    ceiling: int
    _pending: bytearray = field(default_factory=bytearray)
    _left: int = 0

    def __post_init__(self) -> None:
        self.stdout = _Tail(self.limit)
        self.stderr = _Tail(self.limit)
        self._current = self.stdout

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            OverflowedError: once a stream is longer than the ceiling.
        """
        self._pending += data
        position = 0
        with memoryview(bytes(self._pending)) as view:
            while True:
                if self._left:
                    part = view[position : position + self._left]
                    self._current.add(part)
                    self._left -= len(part)
                    position += len(part)
                if self._left or len(view) - position < 8:
                    break
                kind, self._left = struct.unpack_from(">BxxxL", view, position)
                self._current = self.stderr if kind == 2 else self.stdout
                position += 8
        del self._pending[:position]
        if max(self.stdout.total, self.stderr.total) > self.ceiling:
            raise OverflowedError(self.both())

    def both(self) -> bytes:
        return self.stdout.value() + self.stderr.value()
