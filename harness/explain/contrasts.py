"""How tasks, or agents, differ: by tag, by category, by number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.explain.outcomes import Indices
from harness.irt import Array

FEWEST = 3
"""Rows that a kind, and those outside it, must have."""
_LEVELS = 9
"""Values of a number that are told apart; more are put into as many groups of equal size."""
_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class Contrast:
    """Rows at L levels of something; an effect counts at each level by its value."""

    name: str
    source: str
    """What it is one of: the tags, a column, the numbers of a block, an attribute of agents."""
    unit: Literal["group", "sd"]
    """Rows of a group against all others, or a number in its sds."""
    values: Array
    """``(L,)``."""
    level: Indices
    """``(n,)`` of each row."""

    @property
    def x(self) -> Array:
        """``(n,)``."""
        return np.asarray(self.values[self.level])

    @property
    def members(self) -> Indices:
        """Rows of the group, or with a number above its mean."""
        return np.flatnonzero(self.x > 0)


@dataclass(frozen=True)
class Contrasts:
    """All that can be looked at, and what cannot."""

    all: tuple[Contrast, ...]
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Contrasts") -> "Contrasts":
        return Contrasts(self.all + other.all, self.notes + other.notes)

    def by_source(self) -> dict[tuple[str, str], list[int]]:
        """Positions of those that share a prior, by source and unit."""
        found: dict[tuple[str, str], list[int]] = {}
        for position, one in enumerate(self.all):
            found.setdefault((one.source, one.unit), []).append(position)
        return found


def of_tags(tags: Sequence[Sequence[str]]) -> Contrasts:
    """One contrast a tag that some rows have and some do not; tags on the same rows are one.

    >>> of_tags([("a", "b"), ("a", "b"), ("a", "b"), (), (), ()]).all[0].name
    'a, b'
    """
    names = sorted({tag for row in tags for tag in row})
    has = np.array([[tag in row for tag in names] for row in tags], bool).reshape(len(tags), -1)
    return _groups("tags", names, has)


def of_categories(name: str, values: Sequence[str | None]) -> Contrasts:
    """One contrast a category, with enough rows, of one column; None is in none of them.

    Of two categories that all rows have, only the rarer.
    """
    shown = sorted({value for value in values if value is not None})
    has = np.array([[value == one for one in shown] for value in values], bool)
    if len(shown) < 2:
        return Contrasts((), (f"{name} is the same everywhere: it can explain nothing.",))
    if len(shown) == 2 and None not in values:
        rarer = int(has.sum(axis=0).argmin())
        shown, has = [shown[rarer]], has[:, [rarer]]
    return _groups(name, shown, has)


def of_numbers(name: str, source: str, values: Sequence[float | None]) -> Contrasts:
    """One contrast of a number; where it is unknown rows count as at the mean."""
    x = np.array([np.nan if value is None else float(value) for value in values])
    known = np.isfinite(x)
    if not known.any() or np.ptp(x[known]) == 0:
        what = "the same everywhere" if known.any() else "unknown everywhere"
        return Contrasts((), (f"{name} is {what}: it can explain nothing.",))
    notes = (
        (f"{name} is unknown for {np.count_nonzero(~known)} of {len(x)} rows.",)
        if known.mean() < _MOSTLY
        else ()
    )
    shown = np.unique(x[known])
    if len(shown) > _LEVELS:
        ends = np.unique(np.quantile(x[known], np.linspace(0, 1, _LEVELS + 1)[1:-1]))
        group = np.searchsorted(ends, x, side="left")
    else:
        group = np.searchsorted(shown, x)
    group[~known] = group[known].max() + 1
    _, level = np.unique(group, return_inverse=True)
    means = np.array([x[(level == one) & known].mean() for one in np.unique(level[known])])
    deviation = means[level[known]]
    scaled = (means - deviation.mean()) / deviation.std()
    values_of = np.concatenate([scaled, [0.0]]) if not known.all() else scaled
    return Contrasts((Contrast(name, source, "sd", values_of, level),), notes)


def of_flags(
    source: str, names: Sequence[str], values: Sequence[Sequence[float | None]]
) -> Contrasts:
    """One contrast a column of noughts and ones; ``values`` are rows.

    Of those with and those without it the fewer are looked at: what is expected of them comes from
    the others, who must tell something.
    """
    has = np.array([[value == 1 for value in row] for row in values], bool)
    has = has.reshape(len(values), -1)
    most = has.sum(axis=0) > len(has) / 2
    shown = [f"without {name}" if turn else name for name, turn in zip(names, most, strict=True)]
    return _groups(source, shown, has != most)


def _groups(source: str, names: Sequence[str], has: Array) -> Contrasts:
    """``has`` is ``(n, len(names))``."""
    same: dict[bytes, list[int]] = {}
    small = 0
    for column in range(len(names)):
        size = int(has[:, column].sum())
        if FEWEST <= size <= len(has) - FEWEST:
            same.setdefault(has[:, column].tobytes(), []).append(column)
        else:
            small += 1
    found = tuple(
        Contrast(
            ", ".join(names[column] for column in columns),
            source,
            "group",
            np.array([0.0, 1.0]),
            has[:, columns[0]].astype(np.intp),
        )
        for columns in same.values()
    )
    notes = (
        (
            f"{source}: {small} of {len(names)} have fewer than {FEWEST} in or outside of them "
            "and are left out.",
        )
        if small
        else ()
    )
    return Contrasts(found, notes)


def of_groups(attribute: str, values: Sequence[str]) -> Iterator[Contrast]:
    """Groups of agents by an attribute, each against all others whose attribute is known; level 2
    is for those of unknown attribute, which belong to neither."""
    known = np.array([value != "" for value in values], bool)
    names = sorted(set(values) - {""})
    if len(names) == 2:
        names = [min(names, key=list(values).count)]
    for name in names:
        member = np.array([value == name for value in values], bool)
        if min(member.sum(), (known & ~member).sum()) >= FEWEST:
            level = np.where(known, member.astype(np.intp), 2)
            yield Contrast(name, attribute, "group", np.array([0.0, 1.0]), level)


def limited(contrasts: Contrasts, rows: Indices, kinds: Mapping[str, str]) -> Contrasts:
    """Those with enough rows on either side among ``rows``, others noted."""
    kept: list[Contrast] = []
    lost: list[Contrast] = []
    for one in contrasts.all:
        x = one.x[rows]
        inside = np.count_nonzero(x > 0)
        (kept if FEWEST <= inside <= len(rows) - FEWEST else lost).append(one)
    notes = (
        (
            f"{len(lost)} of {len(contrasts.all)} kinds have fewer than {FEWEST} {kinds['rows']} "
            f"in or outside of them {kinds['among']} and are left out.",
        )
        if lost
        else ()
    )
    return Contrasts(tuple(kept), contrasts.notes + notes)
