"""Where two graders, such as a rule and a judge, contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.health.flags import LEVEL, RATE, Flag, adjusted
from harness.health.graders.agreement import Estimate, kappa
from harness.irt import Array
from harness.responses.ratings import Cut, Grader, Index, Ratings

_FEWEST_CELLS = 3
"""That an item needs for its contradictions to be tested."""
_MANY = 0.1
"""Share of cells with a contradiction above which two graders do not measure the same."""


@dataclass(frozen=True)
class Contradiction:
    """A cell on which two graders contradict each other."""

    agent: str
    item: str
    trial: int
    first: float
    second: float
    first_only: bool
    """The first says yes and the second no; else the other way round."""


@dataclass(frozen=True)
class Concentration:
    """How often the graders contradict each other on one agent or item."""

    name: str
    cells: int
    first_only: int
    second_only: int
    rate: Estimate
    q: float
    """Adjusted p-value of either kind being no more frequent here than elsewhere; NaN with fewer
    than three cells."""


@dataclass(frozen=True)
class Contradictions:
    """Two graders on different scales, each of which says yes or no by a cut."""

    source: str
    graders: tuple[str, str]
    cuts: tuple[Cut, Cut]
    first_scale: tuple[float, ...]
    second_scale: tuple[float, ...]
    joint: tuple[tuple[int, ...], ...]
    """Cells by value of the first and of the second."""
    cells: int
    """That both graded."""
    kappa: float
    """Cohen's, of the two verdicts; NaN where one grader always says the same."""
    rate: Estimate
    """Share of cells with a contradiction."""
    first_only: Estimate
    """Of those where the first says yes, the share where the second says no."""
    second_only: Estimate
    agents: tuple[Concentration, ...]
    """Most contradictions first."""
    items: tuple[Concentration, ...]
    found: tuple[Contradiction, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_contradictions(
    ratings: Ratings, graders: tuple[Grader, Grader] | None = None
) -> Contradictions:
    """Where two graders, such as a rule and a judge, contradict each other.

    A grader without a cut says yes with the higher of two values; on a longer scale its cut is
    drawn where the two agree best (highest κ), which a caution then says.

    Args:
        ratings: with the two graders as judges.
        graders: their names and cuts; the two judges of the ratings when None.

    Raises:
        ResponsesError: there are not two graders, or no cell has both.

    >>> from harness.responses.ratings import from_table
    >>> found = analyse_contradictions(from_table([[0, 0], [2, 1], [2, 1], [0, 1], [1, 1]]))
    >>> [str(cut) for cut in found.cuts], found.found[0].item
    (['≥ 1', '≥ 1'], 'item-3')
    """
    if graders is None:
        if len(ratings.judges) != 2:
            raise ResponsesError(
                f"{ratings.source}: contradictions are between two graders, not "
                f"{len(ratings.judges)}; name two of {', '.join(ratings.judges)}"
            )
        graders = Grader(ratings.judges[0]), Grader(ratings.judges[1])
    names = graders[0].column, graders[1].column
    table = ratings.table[:, [ratings.judges.index(name) for name in names]]
    both = ~np.isnan(table).any(axis=1)
    if not both.any():
        raise ResponsesError(
            f"{ratings.source}: no row has both {names[0]!r} and {names[1]!r}; name two columns "
            "that grade the same outcomes"
        )
    table, cells = table[both], ratings.cells[both]
    scales = np.unique(table[:, 0]), np.unique(table[:, 1])
    joint = np.zeros((len(scales[0]), len(scales[1])))
    np.add.at(joint, tuple(np.searchsorted(s, table[:, g]) for g, s in enumerate(scales)), 1.0)
    cuts = _cuts(joint, scales, graders)
    yes = np.stack([cut(table[:, g]) for g, cut in enumerate(cuts)], 1)
    first, second = yes[:, 0] & ~yes[:, 1], ~yes[:, 0] & yes[:, 1]
    agents = _concentrations(ratings.agents, cells[:, 0], first, second)
    items = _concentrations(ratings.items, cells[:, 1], first, second)
    against = first | second
    rate = _share(int(against.sum()), len(against))
    verdicts = np.array(
        [[(~yes).all(axis=1).sum(), second.sum()], [first.sum(), yes.all(axis=1).sum()]], float
    )
    return Contradictions(
        source=ratings.source,
        graders=names,
        cuts=cuts,
        first_scale=tuple(scales[0].tolist()),
        second_scale=tuple(scales[1].tolist()),
        joint=tuple(tuple(row) for row in joint.astype(int).tolist()),
        cells=len(table),
        kappa=float(kappa(verdicts, np.arange(2.0), "linear")),
        rate=rate,
        first_only=_share(int(first.sum()), int(yes[:, 0].sum())),
        second_only=_share(int(second.sum()), int(yes[:, 1].sum())),
        agents=agents,
        items=items,
        found=tuple(
            Contradiction(
                ratings.agents[cells[c, 0]],
                ratings.items[cells[c, 1]],
                int(cells[c, 2]),
                float(table[c, 0]),
                float(table[c, 1]),
                bool(first[c]),
            )
            for c in np.flatnonzero(against)
        ),
        flags=tuple(_flags(agents, items, rate, names)),
        cautions=tuple(_cautions(ratings, graders, cuts, int(both.sum()), scales)),
    )


def _cuts(
    joint: Array, scales: tuple[Array, Array], graders: tuple[Grader, Grader]
) -> tuple[Cut, Cut]:
    """Those given, and where none is given the ones with the highest κ."""

    def possible(grader: Grader, scale: Array, turned: bool) -> list[Cut]:
        if grader.cut is not None:
            return [grader.cut]
        if len(scale) < 3:
            return [Cut(float(scale[-1]))]
        above = [Cut(float(value)) for value in scale[1:]]
        return above + [Cut(float(value), False) for value in scale[:-1]] * turned

    # the sense of one grader at least must be known, else all of it may as well be turned round
    long = [len(scale) > 2 and g.cut is None for g, scale in zip(graders, scales, strict=True)]
    pairs = [
        (one, two)
        for one in possible(graders[0], scales[0], not all(long))
        for two in possible(graders[1], scales[1], True)
    ]

    def agreement(pair: tuple[Cut, Cut]) -> float:
        no, si = (
            np.stack([~cut(scale), cut(scale)]).astype(float)
            for cut, scale in zip(pair, scales, strict=True)
        )
        value = float(kappa(no @ joint @ si.T, np.arange(2.0), "linear"))
        return value if np.isfinite(value) else -2.0

    return max(pairs, key=agreement)


def _share(part: int, whole: int) -> Estimate:
    """A share with its Jeffreys interval."""
    from scipy.stats import beta

    if whole == 0:
        return Estimate(np.nan, np.nan, np.nan)
    low, high = (
        float(beta.ppf(end, part + 0.5, whole - part + 0.5))
        for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    )
    # certain ends where all or none is seen (Brown, Cai and DasGupta 2001)
    return Estimate(part / whole, low if part else 0.0, high if part < whole else 1.0)


def _concentrations(
    names: tuple[str, ...], of: Index, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> tuple[Concentration, ...]:
    from scipy.stats import hypergeom

    n = len(names)
    cells = np.bincount(of, minlength=n)
    one, two = (np.bincount(of, which, n).astype(int) for which in (first, second))
    against = one + two
    # as many or more of either kind when that many cells are drawn of all (Fisher's exact test)
    tails: list[Any] = [
        hypergeom.sf(kind - 1, cells.sum(), kind.sum(), cells) for kind in (one, two)
    ]
    p = 2 * np.asarray(tails).min(axis=0)
    q = adjusted(np.where(cells >= _FEWEST_CELLS, p, np.nan))
    rate = against / np.maximum(cells, 1)
    return tuple(
        Concentration(
            names[i],
            int(cells[i]),
            int(one[i]),
            int(two[i]),
            _share(int(against[i]), int(cells[i])),
            float(q[i]),
        )
        for i in np.lexsort((-rate, -against))
        if cells[i]
    )


def _flags(
    agents: Sequence[Concentration],
    items: Sequence[Concentration],
    rate: Estimate,
    names: tuple[str, str],
) -> list[Flag]:
    def flag(one: Concentration, about: Literal["agent", "item"], action: str) -> Flag:
        return Flag(
            "contradiction",
            about,
            (one.name,),
            f"of {one.cells} cells {names[0]} alone says yes in {one.first_only}, {names[1]} alone "
            f"in {one.second_only} (90% interval of contradictions {one.rate.low:.0%} to "
            f"{one.rate.high:.0%}, {rate.value:.0%} in all)",
            one.rate.value,
            one.rate.low,
            one.rate.high,
            one.q,
            action,
        )

    found = [
        *(
            flag(one, "item", "Read its cells; correct the rule, or what the judge is told.")
            for one in items
            if one.q < RATE
        ),
        *(
            flag(one, "agent", "Read some of its cells: how it acts may mislead one grader.")
            for one in agents
            if one.q < RATE
        ),
    ]
    if rate.low > _MANY:
        whole = Flag(
            "contradiction",
            "benchmark",
            (),
            f"{names[0]} and {names[1]} contradict each other on {rate.value:.0%} of the cells "
            f"(90% interval {rate.low:.0%} to {rate.high:.0%})",
            rate.value,
            rate.low,
            rate.high,
            0.0,
            "Say which of the two counts, and have people grade a sample of the contradictions.",
        )
        found.insert(0, whole)
    return found


def _cautions(
    ratings: Ratings,
    graders: tuple[Grader, Grader],
    cuts: tuple[Cut, Cut],
    both: int,
    scales: tuple[Array, Array],
) -> list[str]:
    found = [
        f"{grader.column} has {len(scale)} values: yes ({cut}) was drawn where the two graders "
        f"agree best. Say what counts with '{grader.column}>={cut.at:g}'."
        for grader, cut, scale in zip(graders, cuts, scales, strict=True)
        if grader.cut is None and len(scale) > 2
    ]
    found += [
        f"{grader.column} says the same of all {both} cells: it cannot be compared."
        for grader, scale in zip(graders, scales, strict=True)
        if len(scale) == 1
    ]
    missing = len(ratings.cells) - both
    if missing:
        found.append(
            f"{missing} of {len(ratings.cells)} cells were graded by one of the two only, and say "
            "nothing here."
        )
    per_item = both / max(len(ratings.items), 1)
    if per_item < 5:
        found.append(
            f"An item has {per_item:.1f} cells on average: only items on which nearly all cells "
            "contradict can be found."
        )
    return found
