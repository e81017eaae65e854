"""The judges of a benchmark: do they agree, is one severe, erratic or partial, and on what do they
part; and where a rule and a judge both graded, what they contradict each other on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.health.agreement import Agreement, Estimate, analyse_agreement, few_values, kappa
from harness.health.facets import ITSELF, Dispute, Facets, Favour, Judge, analyse_facets
from harness.health.flags import LEVEL, RATE, Flag, adjusted
from harness.irt import Array
from harness.responses.ratings import Cut, Grader, Index, Ratings

HigherIs = Literal["better", "worse"]

LEAST_ALPHA = 0.667
"""Below this even tentative conclusions do not hold (Krippendorff 2004, section 11.4.2)."""
_FEW_ITEMS, _FEW_AGENTS, _FEW_CELLS = 10, 3, 100
_FEWEST_CELLS = 3
"""That an item needs for its contradictions to be tested."""
_MANY = 0.1
"""Share of cells with a contradiction above which two graders do not measure the same."""
_RARE = 5
"""Ratings of a value below which nothing can be said of how judges use it."""


@dataclass(frozen=True)
class Graders:
    """What is known of the judges that rated the same outcomes."""

    source: str
    column: str
    higher_is: HigherIs | None
    """What a high rating means; None where nobody said."""
    judges: tuple[str, ...]
    agents: int
    items: int
    ratings: int
    scale: tuple[float, ...]
    """Values that were given, rising; group means where they were too many."""
    use: tuple[tuple[float, ...], ...]
    """Share of each value in the ratings of each judge."""
    agreement: Agreement
    facets: Facets | None
    """None where no cell has two ratings, or all are the same."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]

    @property
    def reach(self) -> float:
        """Range of the scale, in points."""
        return self.scale[-1] - self.scale[0]


def analyse_graders(
    ratings: Ratings, families: Mapping[str, str], higher_is: HigherIs | None = None
) -> Graders:
    """Agreement, level, consistency and favouritism of judges, and the items they dispute.

    Args:
        ratings: by two judges or more.
        families: of agents and judges by name; see :func:`harness.responses.families.maker_in`.
        higher_is: what a high rating means, for the words.

    >>> from harness.responses.ratings import from_table
    >>> found = analyse_graders(from_table([[0, 0], [1, 1], [1, 1], [0, 1]]), {})
    >>> found.agreement.all_equal.value, found.flags
    (0.75, ())
    """
    values = few_values(ratings.value)
    scale, place = np.unique(values, return_inverse=True)
    counts = np.zeros((len(ratings.judges), len(scale)))
    np.add.at(counts, (ratings.judge, place), 1.0)
    agreement = analyse_agreement(ratings)
    facets = analyse_facets(ratings, families)
    reach = float(np.ptp(ratings.value))
    flags: list[Flag] = []
    if facets is not None and len(ratings.items) >= _FEW_ITEMS:
        flags = [
            *_of_agreement(agreement),
            *_of_levels(facets, reach, higher_is),
            *(_inconsistent(judge) for judge in facets.judges if _is_inconsistent(judge, facets)),
            *(_favouring(one, reach, higher_is) for one in facets.favours if one.found),
            *(_disputed(one) for one in facets.disputes if one.q < RATE),
        ]
    return Graders(
        source=ratings.source,
        column=ratings.column,
        higher_is=higher_is,
        judges=ratings.judges,
        agents=len(ratings.agents),
        items=len(ratings.items),
        ratings=len(ratings.value),
        scale=tuple(scale.tolist()),
        use=tuple(
            tuple(row) for row in (counts / np.maximum(counts.sum(1, keepdims=True), 1)).tolist()
        ),
        agreement=agreement,
        facets=facets,
        flags=tuple(flags),
        cautions=tuple(_cautions(ratings, counts.sum(axis=0), agreement, facets)),
    )


def rates(points: float, higher_is: HigherIs | None) -> str:
    """How a judge rates, in words: ``more severely``, or neutral where the scale's sense is
    unknown.

    >>> rates(0.3, "worse"), rates(0.3, "better"), rates(-0.3, None)
    ('more severely', 'more leniently', 'lower')
    """
    if higher_is is None:
        return "higher" if points > 0 else "lower"
    return "more severely" if (points > 0) == (higher_is == "worse") else "more leniently"


# --- flags ------------------------------------------------------------------------------------


def _of_agreement(found: Agreement) -> list[Flag]:
    alpha = found.ordinal
    if not alpha.high < LEAST_ALPHA:
        return []
    return [
        Flag(
            "unreliable",
            "benchmark",
            (),
            f"the judges' α is {alpha.value:.2f} (90% interval {alpha.low:.2f} to "
            f"{alpha.high:.2f}), below {LEAST_ALPHA}, the least for tentative conclusions",
            alpha.value,
            alpha.low,
            alpha.high,
            0.0,
            "Sharpen the rubric on the items that are disputed most, then have them rated again.",
        )
    ]


def _of_levels(facets: Facets, reach: float, higher_is: HigherIs | None) -> list[Flag]:
    far = [judge for judge in facets.judges if judge.level_q < RATE]
    if len(facets.judges) == 2 and far:
        # one difference, which belongs to both
        lower, upper = sorted(facets.judges, key=lambda judge: judge.points)
        return [_severe((upper.name, lower.name), upper, 2.0, lower.name, reach, higher_is)]
    return [
        _severe((judge.name,), judge, 1.0, "the average judge", reach, higher_is) for judge in far
    ]


def _severe(
    names: tuple[str, ...],
    judge: Judge,
    times: float,
    than: str,
    reach: float,
    higher_is: HigherIs | None,
) -> Flag:
    points, low, high = (times * end for end in (judge.points, judge.low, judge.high))
    return Flag(
        "severe judge",
        "judge",
        names,
        f"rates {rates(points, higher_is)} than {than}, by {_points(points, low, high, reach)}",
        points,
        low,
        high,
        judge.level_q,
        "Have every cell rated by the same judges, or take out the judges' levels before agents "
        "are compared.",
    )


def _is_inconsistent(judge: Judge, facets: Facets) -> bool:
    # of two judges that disagree, nobody can say which is the erratic one
    return len(facets.judges) > 2 and judge.infit_q < RATE


def _inconsistent(judge: Judge) -> Flag:
    return Flag(
        "inconsistent judge",
        "judge",
        (judge.name,),
        f"its ratings part from what the others' lead one to expect {judge.infit:.1f} times as "
        f"much (squared) as an average judge's do (90% interval {judge.infit_low:.1f} to "
        f"{judge.infit_high:.1f}; outfit {judge.outfit:.1f})",
        judge.infit,
        judge.infit_low,
        judge.infit_high,
        judge.infit_q,
        "Read some of its ratings against the others'; change its prompt, or leave it out.",
    )


def _favouring(one: Favour, reach: float, higher_is: HigherIs | None) -> Flag:
    whom = ITSELF if one.group == ITSELF else f"agents of {one.group}"
    own = ", its own family," if one.own and one.group != ITSELF else ""
    return Flag(
        "favouring judge",
        "judge",
        (one.judge,),
        f"rates {whom}{own} {rates(one.points, higher_is)} than the other judges' ratings lead one "
        f"to expect, by {_points(one.points, one.low, one.high, reach)}, in {one.ratings} ratings "
        f"of {one.agents} agent{'s' * (one.agents != 1)}",
        one.points,
        one.low,
        one.high,
        one.q,
        f"Leave its ratings of {whom} out, or hide from it whose work it rates.",
    )


def _disputed(one: Dispute) -> Flag:
    return Flag(
        "disputed item",
        "item",
        (one.item,),
        f"judges are {one.ratio:.1f} times as far apart (squared) as on other items with such "
        f"ratings (90% interval {one.low:.1f} to {one.high:.1f}), over {one.cells} cells",
        one.ratio,
        one.low,
        one.high,
        one.q,
        "Read its most disputed cells; say in the rubric what counts, then have it rated again.",
    )


def _points(points: float, low: float, high: float, reach: float) -> str:
    ends = sorted((abs(low), abs(high))) if low * high > 0 else [0.0, max(abs(low), abs(high))]
    return (
        f"{abs(points):.2f} points on a scale of {reach:g} (90% interval {ends[0]:.2f} to "
        f"{ends[1]:.2f})"
    )


def _cautions(
    ratings: Ratings, counts: Array, agreement: Agreement, facets: Facets | None
) -> list[str]:
    found = []
    judges = len(ratings.judges)
    if facets is None:
        found.append(
            "No cell was rated by two judges, or all ratings are the same: nothing can be said of "
            "the judges."
            if agreement.cells == 0 or len(ratings.scale) == 1
            else "Too little was rated by two judges to compare them."
        )
        return found
    if judges == 2:
        found.append(
            "With two judges a difference cannot be laid to one of them: which is severe, erratic "
            "or partial is not known; favour is looked for only where a judge rates its own family."
        )
    if not facets.connected:
        found.append(
            "Some judges share no cell with the others, directly or through a third: their levels "
            "are compared only by assuming that agents and items are alike."
        )
    if len(ratings.items) < _FEW_ITEMS:
        found.append(
            f"{_count(len(ratings.items), 'item')}, fewer than {_FEW_ITEMS}, are too few to tell "
            "how judges differ: nothing is flagged."
        )
    if agreement.cells < _FEW_CELLS:
        found.append(
            f"{_count(agreement.cells, 'cell')} with two ratings or more: only gross differences "
            "between judges would be seen."
        )
    lone = sorted({one.group for one in facets.favours if one.agents == 1 and one.group != ITSELF})
    if lone:
        found.append(
            f"One agent only of {_listed(lone)}: favour for the family cannot be told from favour "
            "for that agent."
        )
    if len(ratings.agents) < _FEW_AGENTS:
        found.append(
            f"With {_count(len(ratings.agents), 'agent')} favour for a family cannot be told from "
            "chance."
        )
    rare = [
        f"{value:g}"
        for value, n in zip(np.unique(few_values(ratings.value)), counts, strict=True)
        if n < _RARE
    ]
    if rare:
        found.append(
            f"Fewer than {_RARE} ratings are {_listed(rare)}: nothing is known of how judges use "
            "the value."
        )
    if facets.grouped:
        found.append(
            f"The scale has {len(ratings.scale)} values: the model of the judges sees them in "
            f"{len(facets.steps) + 1} groups."
        )
    if facets.cells_used < agreement.cells:
        found.append(
            f"The model of the judges was fitted to {facets.cells_used:,} of {agreement.cells:,} "
            "cells, spread evenly over agents and items."
        )
    return found


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# --- contradictions ---------------------------------------------------------------------------


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
        flags=tuple(_contradictory(agents, items, rate, names)),
        cautions=tuple(_about_contradictions(ratings, graders, cuts, int(both.sum()), scales)),
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


def _contradictory(
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


def _about_contradictions(
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
