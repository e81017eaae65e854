"""What is known of some items or agents, one row each."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from harness.errors import InputError

Kind = Literal["number", "category"]
Cell = float | str | None
"""A number, a category, or None where unknown."""


@dataclass(frozen=True)
class Column:
    """One feature."""

    name: str
    block: str
    """Named group of features that share one variance."""
    kind: Kind


@dataclass(frozen=True, eq=False)
class Features:
    """Features of n rows.

    >>> table = Features(("i", "j"), (Column("lines", "solution", "number"),), ((3.0,), (None,)))
    >>> table.of(["j", "k", "i"]).cells
    ((None,), (None,), (3.0,))
    """

    names: tuple[str, ...]
    """Of the items or agents; no two are the same."""
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """Row by row."""

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            seen: set[str] = set()
            twice = next(n for n in self.names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
            raise InputError(f"features: {twice!r} has two rows; keep one of them")
        keys = [(column.block, column.name) for column in self.columns]
        if len(set(keys)) < len(keys):
            block, name = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"features: block {block!r} has two columns {name!r}; rename one")

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in the order of their first columns."""
        return tuple(dict.fromkeys(column.block for column in self.columns))

    def of(self, names: Iterable[str]) -> "Features":
        """The rows of these names, in their order; a name without a row has only unknown cells."""
        row = dict(zip(self.names, self.cells, strict=True))
        nothing = (None,) * len(self.columns)
        wanted = tuple(names)
        return Features(wanted, self.columns, tuple(row.get(name, nothing) for name in wanted))

    def beside(self, other: "Features") -> "Features":
        """Columns of both, side by side, for the names of either."""
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        left, right = self.of(names), other.of(names)
        cells = tuple((*a, *b) for a, b in zip(left.cells, right.cells, strict=True))
        return Features(names, (*self.columns, *other.columns), cells)

    def only(self, blocks: Collection[str]) -> "Features":
        """The columns of these blocks."""
        kept = [k for k, column in enumerate(self.columns) if column.block in blocks]
        return Features(
            self.names,
            tuple(self.columns[k] for k in kept),
            tuple(tuple(row[k] for k in kept) for row in self.cells),
        )
