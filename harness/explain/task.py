"""Why a task is hard, and for whom."""

from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.explain.agent import CUT
from harness.explain.groups import GroupEffect, find_groups
from harness.explain.kinds import Shared
from harness.explain.nearest import Alike, Near, alike, near
from harness.explain.outcomes import Outcomes, gather, with_calibrants
from harness.explain.surprises import BOUND, Surprises, find_surprises
from harness.explain.why import Why, why
from harness.irt import Array
from harness.predict.predictor import Predictor
from harness.regression import Features
from harness.responses import Responses

FEW = 10
"""Agents below which hardly anything can be told of a task."""


@dataclass(frozen=True)
class Bin:
    """A third of the agents, by ability."""

    low: float
    """Abilities, from all other outcomes."""
    high: float
    middle: float
    agents: int
    observed: float
    """Mean score, with its interval."""
    observed_low: float
    observed_high: float
    expected: float
    """That the bank's curve says."""


@dataclass(frozen=True, eq=False)
class TaskExplained:
    """Everything that is said of one task."""

    item: str
    tags: tuple[str, ...]
    bank: str
    bank_hash: str
    source: str
    agents: int
    """With an outcome on it."""
    answers: int
    score: float
    graded: bool
    difficulty: float
    """Mean threshold on the scale of ability."""
    sd: float
    harder_than: float
    """Share of the other items that are easier."""
    slope: float
    steeper_than: float
    level: float
    cut: float
    bins: tuple[Bin, ...]
    abilities: Array
    """``(M,)`` and"""
    curve: Array
    """``(M,)`` the expected score there."""
    why: Why | None
    groups: tuple[GroupEffect, ...]
    shared: tuple[Shared, ...]
    surprises: Surprises
    alike: tuple[Alike, ...]
    near: tuple[Near, ...]
    notes: tuple[str, ...]

    @property
    def sure(self) -> tuple[GroupEffect, ...]:
        """Groups whose direction is sure enough."""
        return tuple(one for one in self.groups if one.false_sign <= self.cut)


def explain_task(
    bank: ItemBank,
    responses: Responses,
    item: str,
    features: Features | None = None,
    predictor: Predictor | None = None,
    *,
    level: float = 0.9,
    cut: float = CUT,
    bound: float = BOUND,
) -> TaskExplained:
    """Why a task is hard, for whom it is harder than for others, and what is like it.

    Args:
        bank: of one ability.
        responses: outcomes of agents on the task and on others.
        features: of the items of the bank.
        predictor: that was saved with the bank.
        level: probability of intervals.
        cut: false sign rate up to which an effect counts as found.
        bound: probability at or below which the outcome of an agent is a surprise.

    Raises:
        BankError: a bank of several abilities.
        ResponsesError: nobody tried the task; an item or category that the bank does not have.
    """
    responses = with_calibrants(bank, responses)
    known = gather(bank, responses, uncertainty=False)
    which = known.position(item, "item")
    cells = known.cells_of(item=which)
    reasons = why(bank, item, features, predictor)
    groups, shared, notes = find_groups(known, which, level)
    table = bank.table
    place = np.array([np.mean(one.difficulties) for one in bank.items])
    others = np.arange(len(place)) != which
    near_mean = np.abs(known.nodes - bank.mean[0]) <= 3.5 * bank.sd[0]
    if len(cells) < FEW:
        notes = (
            f"Only {len(cells)} of the agents have tried the task: hardly anything can be told "
            f"from chance with fewer than {FEW}.",
            *notes,
        )
    if isinstance(reasons, str):
        notes = (*notes, reasons)
    explained = None if isinstance(reasons, str) else reasons
    return TaskExplained(
        item=item,
        tags=bank[item].tags,
        bank=bank.name,
        bank_hash=bank.hash,
        source=responses.source,
        agents=len(cells),
        answers=int(known.counts[known.pattern[cells]].sum()),
        score=float(known.score[known.pattern[cells]].mean()),
        graded=len(bank[item].intercepts) > 1,
        difficulty=float(place[which]),
        sd=float(table.location_sd[which] * bank.sd[0]),
        harder_than=_share(place[others], place[which]),
        slope=bank[item].slopes[0],
        steeper_than=_share(table.slopes[others, 0], bank[item].slopes[0]),
        level=level,
        cut=cut,
        bins=_bins(known, which, level),
        abilities=known.nodes[near_mean],
        curve=known.expected[which, near_mean],
        why=explained,
        groups=groups,
        shared=shared,
        surprises=find_surprises(gather(bank, responses), cells, bound),
        alike=alike(known, which),
        near=near(known, which, explained.coded) if explained and explained.coded.size else (),
        notes=notes,
    )


def _share(others: Array, value: float) -> float:
    return float((others < value).mean()) if len(others) else float("nan")


def _bins(outcomes: Outcomes, item: int, level: float) -> tuple[Bin, ...]:
    """Thirds of the agents, with intervals of a mean score between 0 and 1 (Brown et al. 2001)."""
    from scipy.stats import beta

    cells = outcomes.cells_of(item=item)
    without = outcomes.without_own(cells)
    ability = without @ outcomes.nodes
    expected = without @ outcomes.expected[item]
    score = outcomes.score[outcomes.pattern[cells]]
    found = []
    for rows in np.array_split(np.argsort(ability, kind="stable"), min(3, len(cells))):
        earned, n = score[rows].sum(), len(rows)
        # the interval of Jeffreys' prior; a score of several steps is more certain than that
        low, high = beta.ppf(
            np.array([(1 - level) / 2, (1 + level) / 2]), earned + 0.5, n - earned + 0.5
        )
        found.append(
            Bin(
                float(ability[rows].min()),
                float(ability[rows].max()),
                float(ability[rows].mean()),
                n,
                float(earned / n),
                float(low),
                float(high),
                float(expected[rows].mean()),
            )
        )
    return tuple(found)
