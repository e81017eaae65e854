"""From cells to numbers: centres and scales of numbers, levels of categories.

A coding is learned on the rows that a regression is fitted to, and places every later row in the
same way.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from harness.errors import InputError
from harness.irt import Array
from harness.regression.table import Cell, Column, Features

_MOSTLY = 0.8
"""Share of unknown cells above which a column is remarked on."""
_COUNTS, _TIMES, _SKEW = 5, 4.0, 1.0
"""Different numbers, ratio of the largest to the smallest, and skewness from which on a number
enters by its logarithm."""


@dataclass(frozen=True)
class Code:
    """How one column enters the regression."""

    column: Column
    centre: float = 0.0
    """Mean of a number, as it enters, over the rows that were learned on, and"""
    scale: float = 1.0
    """its standard deviation."""
    low: float = 0.0
    """Range of the number there."""
    high: float = 0.0
    levels: tuple[str, ...] = ()
    """Of a category; one weight each."""
    log: bool = False
    """Whether a number enters as ``log(1 + number)``, in which centre and scale are."""

    @property
    def typical(self) -> float:
        """The number at the centre."""
        return math.expm1(self.centre) if self.log else self.centre

    def entered(self, number: float) -> float:
        """A number as it enters."""
        # a log must not fail below what was seen
        value = math.log1p(max(number, 0.0)) if self.log else number
        return (value - self.centre) / self.scale

    @property
    def width(self) -> int:
        """Number of weights."""
        return len(self.levels) if self.column.kind == "category" else 1


@dataclass(frozen=True, eq=False)
class Design:
    """Rows as a regression sees them."""

    x: Array
    """``(n, p)``: the intercept, then the weights' columns; 0 where a cell is unknown."""
    unknown: Array
    """``(n, c)`` 1 where a coded column is unknown, or has a level that was never seen."""


@dataclass(frozen=True, eq=False)
class Coding:
    """How features become numbers."""

    codes: tuple[Code, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and what to know about the rest: sentences."""
    beyond: bool = False
    """Whether lines are followed beyond the numbers that were learned on. Else a number there
    counts as the end of their range: nothing says that the line goes on."""

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Where the weights of each code stand; the intercept is at 0."""
        ends = np.cumsum([1, *(code.width for code in self.codes)])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(ends))

    @property
    def size(self) -> int:
        """Weights, the intercept among them: p."""
        return 1 + sum(code.width for code in self.codes)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that have a column left."""
        return tuple(dict.fromkeys(code.column.block for code in self.codes))

    @cached_property
    def block_of(self) -> tuple[int, ...]:
        """``(c,)`` position of each code's block in :attr:`blocks`."""
        return tuple(self.blocks.index(code.column.block) for code in self.codes)

    @cached_property
    def share(self) -> Array:
        """``(c,)`` of the block's variance that a column stands for: equal shares."""
        count = Counter(self.block_of)
        return np.array([1.0 / count[block] for block in self.block_of])

    def design(self, features: Features) -> Design:
        """Rows of a table with at least some of the coded columns; columns it lacks are unknown.

        Raises:
            InputError: it has none of the columns, or text where a number belongs.
        """
        position = {(c.block, c.name): k for k, c in enumerate(features.columns)}
        keys = [(code.column.block, code.column.name) for code in self.codes]
        if keys and not any(key in position for key in keys):
            known = ", ".join(code.column.name for code in self.codes[:5])
            raise InputError(
                f"none of the {len(keys)} features that are used is among the "
                f"{len(features.columns)} given; used are {known}"
                + (" and others" if len(keys) > 5 else "")
                + ", in blocks "
                + ", ".join(self.blocks)
            )
        n = len(features.names)
        x, unknown = np.zeros((n, self.size)), np.zeros((n, len(self.codes)))
        x[:, 0] = 1.0
        for c, (code, place) in enumerate(zip(self.codes, self.places, strict=True)):
            at = position.get(keys[c])
            if at is None:
                unknown[:, c] = 1.0
                continue
            values = [row[at] for row in features.cells]
            x[:, place], unknown[:, c] = _coded(code, values, features.names, self.beyond)
        return Design(x, unknown)


def _coded(
    code: Code, values: list[Cell], names: tuple[str, ...], beyond: bool
) -> tuple[Array, Array]:
    found = np.zeros((len(values), code.width))
    unknown = np.zeros(len(values))
    index = {level: k for k, level in enumerate(code.levels)}
    for row, value in enumerate(values):
        if value is None:
            unknown[row] = 1.0
        elif code.column.kind == "category":
            # codes that look like numbers may have been read as such
            level = index.get(f"{value:g}" if isinstance(value, float) else value)
            if level is None:
                unknown[row] = 1.0
            else:
                found[row, level] = 1.0
        else:
            number = _number(value, code.column, names[row])
            found[row, 0] = code.entered(
                number if beyond else min(max(number, code.low), code.high)
            )
    return found, unknown


def _number(value: Cell, column: Column, name: str) -> float:
    if isinstance(value, str) or value is None or not math.isfinite(value):
        raise InputError(
            f"feature {column.name!r} of {name!r} is {value!r}, where a number belongs; mend it or "
            "leave the cell blank"
        )
    return float(value)


def learn_coding(features: Features, *, beyond: bool = False) -> Coding:
    """Centres, scales and levels; what cannot tell rows apart is left out, and said so.

    >>> columns = (Column("a", "x", "number"), Column("b", "x", "number"))
    >>> coding = learn_coding(Features(("i", "j"), columns, ((1.0, 5.0), (3.0, 5.0))))
    >>> [(code.column.name, code.centre, code.scale) for code in coding.codes]
    [('a', 2.0, 1.0)]
    >>> coding.notes
    ('feature x.b is the same everywhere and says nothing: left out',)

    Raises:
        InputError: text where a number belongs.
    """
    codes: list[Code] = []
    notes: list[str] = []
    seen: dict[tuple[Cell, ...], str] = {}
    n = len(features.names)
    for at, column in enumerate(features.columns):
        values = tuple(row[at] for row in features.cells)
        known = [value for value in values if value is not None]
        label = f"feature {column.block}.{column.name}"
        if not known:
            notes.append(f"{label} is unknown everywhere: left out")
            continue
        if len(set(known)) == 1:
            notes.append(f"{label} is the same everywhere and says nothing: left out")
            continue
        if len(known) < (1 - _MOSTLY) * n:
            notes.append(f"{label} is known for {len(known)} of {n} rows only")
        if column.kind == "category":
            counts = Counter(str(value) for value in known)
            if counts.most_common(1)[0][1] == 1:
                notes.append(f"{label} has another value in every row: left out")
                continue
            codes.append(Code(column, levels=tuple(sorted(counts))))
            continue
        numbers = np.array(
            [
                _number(value, column, name)
                for value, name in zip(values, features.names, strict=True)
                if value is not None
            ]
        )
        low, high = float(numbers.min()), float(numbers.max())
        log = _is_skewed(numbers)
        if log:
            numbers = np.log1p(numbers)
        code = Code(column, float(numbers.mean()), float(numbers.std()), low, high, log=log)
        key = tuple(
            None if v is None else round(code.entered(_number(v, column, "")), 9) for v in values
        )
        mirrored = tuple(None if v is None else -v for v in key)
        twin = seen.get(key) or seen.get(mirrored)
        if twin is not None:
            notes.append(f"{label} says the same as {twin}: left out")
            continue
        seen[key] = f"{column.block}.{column.name}"
        codes.append(code)
    return Coding(tuple(codes), tuple(notes), beyond)


def _is_skewed(numbers: Array) -> bool:
    """Whether numbers are sizes and counts, of which a few are many times the others: one more
    line matters less where there are many."""
    low, high = numbers.min(), numbers.max()
    if low < 0 or len(np.unique(numbers)) < _COUNTS or 1 + high < _TIMES * (1 + low):
        return False
    off = numbers - numbers.mean()
    return bool((off**3).mean() > _SKEW * (off**2).mean() ** 1.5)
