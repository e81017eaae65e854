"""The judges of a benchmark: do they agree, is one severe, erratic or partial, and on what do they
part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.health.flags import RATE, Flag
from harness.health.graders.agreement import Agreement, analyse_agreement, few_values
from harness.health.graders.disputes import Dispute
from harness.health.graders.facets import Facets, Judge, analyse_facets
from harness.health.graders.favouritism import ITSELF, Favour
from harness.irt import Array
from harness.responses.ratings import Ratings

HigherIs = Literal["better", "worse"]

LEAST_ALPHA = 0.667
"""Below this even tentative conclusions do not hold (Krippendorff 2004, section 11.4.2)."""
_FEW_ITEMS, _FEW_AGENTS, _FEW_CELLS = 10, 3, 100
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
