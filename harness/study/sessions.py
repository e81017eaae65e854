"""All sessions of one plan: agents in lockstep, and what is kept of them.

Memory: a selector's temporaries are held to the four megabytes of :func:`harness.batch.batches`,
by testing agents in groups. What is kept of a session is 28 bytes for each of its items (its place
in the test, and the predicted score and costs after it) and about 150 bytes for each size: a
thousand agents × ten seeds × a hundred items are 30 MB a plan.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.ability import Prior
from harness.batch import Step, administer, batches, outcome
from harness.events import Plan
from harness.irt import Array, Table
from harness.responses.drawn import Cells
from harness.score import ScorePredictions, predict_scores
from harness.stop import MaxItems, Rule

Indices = NDArray[np.intp]
Truth = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be known of every session."""

    sizes: tuple[int, ...]
    levels: tuple[float, ...]
    cut: float | None
    stop: Rule | None
    """Where the session would end; the last point, if there is one."""

    @property
    def points(self) -> int:
        """Sizes, and the end of the session."""
        return len(self.sizes) + (self.stop is not None)


@dataclass(frozen=True, eq=False)
class Sessions:
    """R sessions of one plan. NaN where a session has no such point, as with too few items.

    P points, L levels, D abilities, T items of the longest session.
    """

    items: Array
    """``(R, P)`` items answered."""
    usd: Array
    """``(R, P)`` dollars spent."""
    seconds: Array
    """``(R, P)``."""
    score: Array
    """``(R, P)`` predicted score on the items that the agent has outcomes for."""
    score_ends: Array
    """``(R, P, L, 2)`` intervals; L is 0 where a method gives none."""
    ability: Array
    """``(R, P, D)``; D is 0 where a method has no ability."""
    ability_ends: Array
    """``(R, P, D, L, 2)``."""
    above: Array
    """``(R, P)`` probability of a score above the cut; NaN without a cut."""
    curve: Array
    """``(R, T)`` predicted score after each item."""
    curve_usd: Array
    """``(R, T)`` dollars spent until then."""
    curve_seconds: Array
    """``(R, T)``."""
    order: NDArray[np.int32]
    """``(R, T)`` row of each item in the order of the test, -1 after the last."""
    ended: Counter[str]
    """How the sessions ended where a stopping rule was given."""

    def renumbered(self, columns: Indices) -> "Sessions":
        """With other numbers for the rows of the table: ``columns[row]``."""
        order = np.where(self.order >= 0, columns[self.order], -1)
        return replace(self, order=order.astype(np.int32))


def run_sessions(
    table: Table,
    plan: Plan,
    cells: Cells,
    seeds: NDArray[np.int64],
    priors: Sequence[Prior] | None,
    asked: Asked,
) -> Sessions:
    """Test A agents with one plan, all in lockstep.

    Args:
        plan: ``plan.stop`` is not looked at.
        cells: of A agents on the items of the table.
        seeds: ``(A,)`` of the selectors' random numbers.
        priors: of each agent; that of the plan when None.
    """
    stop = asked.stop or MaxItems(max(asked.sizes))
    plan = replace(plan, stop=stop)
    kept = []
    for rows in batches(table, np.arange(len(cells.category))):
        steps = administer(
            table,
            plan,
            cells.category[rows],
            seeds[rows],
            cells.usd[rows],
            cells.seconds[rows],
            None if priors is None else [priors[row] for row in rows],
        )
        total = (cells.category[rows] >= 0).sum(axis=1)
        kept.append(_follow(table, plan, steps, total, asked))
    return joined(kept)


def _follow(
    table: Table, plan: Plan, steps: Iterator[Step], total: Indices, asked: Asked
) -> Sessions:
    """What is asked of sessions that go on until all of it is known.

    Args:
        total: ``(A,)`` items that each session can have.
    """
    empty = _nothing(len(total), table.nodes.shape[1], asked)
    most = max(asked.sizes)
    stopped = np.zeros(len(total), bool)
    curves: list[Array] = []

    def end(ending: Truth) -> None:
        stopped[ending] = True
        who = np.flatnonzero(ending)
        _record(empty, len(asked.sizes), who, step, scores, asked)
        empty.ended.update(outcome(plan, step, int(agent)) for agent in who)

    for step in steps:
        view, items = step.progress.view, step.progress.items
        scores = predict_scores(table, view.score_posterior, view.answers, view.counted)
        # an agent that is given no more items stays as it was, so these are its last again
        curves.append(np.stack([scores.mean, step.progress.usd, step.progress.seconds], axis=1))
        for point, size in enumerate(asked.sizes):
            if step.round == size:
                _record(empty, point, np.flatnonzero(items == size), step, scores, asked)
        if asked.stop is not None:
            end(step.may_stop & ~stopped)
        if step.round >= min(most, total.max()) and (asked.stop is None or stopped.all()):
            break
    if asked.stop is not None:
        # a selector that gives no more items ends a session too
        end(~stopped)
    order = step.progress.order
    assert order is not None
    length = step.progress.items
    rounds = np.arange(1, len(curves))
    curve = np.stack(curves[1:], axis=2) if len(rounds) else np.zeros((len(total), 3, 0))
    curve = np.where((rounds <= length[:, None])[:, None], curve, np.nan)
    return replace(
        empty,
        curve=curve[:, 0],
        curve_usd=curve[:, 1],
        curve_seconds=curve[:, 2],
        order=order.astype(np.int32),
    )


def _nothing(agents: int, abilities: int, asked: Asked) -> Sessions:
    levels = len(asked.levels)

    def unknown(*shape: int) -> Array:
        return np.full((agents, asked.points, *shape), np.nan)

    return Sessions(
        items=unknown(),
        usd=unknown(),
        seconds=unknown(),
        score=unknown(),
        score_ends=unknown(levels, 2),
        ability=unknown(abilities),
        ability_ends=unknown(abilities, levels, 2),
        above=unknown(),
        curve=np.zeros((agents, 0)),
        curve_usd=np.zeros((agents, 0)),
        curve_seconds=np.zeros((agents, 0)),
        order=np.zeros((agents, 0), np.int32),
        ended=Counter(),
    )


def _record(
    into: Sessions, point: int, who: Indices, step: Step, scores: ScorePredictions, asked: Asked
) -> None:
    """Fill in one point of some agents."""
    if not len(who):
        return
    view = step.progress.view
    into.items[who, point] = step.progress.items[who]
    into.usd[who, point] = step.progress.usd[who]
    into.seconds[who, point] = step.progress.seconds[who]
    into.score[who, point] = scores.mean[who]
    into.ability[who, point] = view.ability[who]
    for level, probability in enumerate(asked.levels):
        into.score_ends[who, point, level] = scores.interval(probability)[who]
    into.ability_ends[who, point] = _intervals(view.table.nodes, view.posterior[who], asked.levels)
    if asked.cut is not None:
        into.above[who, point] = scores.probability_above(asked.cut)[who]


def _intervals(nodes: Array, weights: Array, levels: Sequence[float]) -> Array:
    """``(A, D, L, 2)`` central intervals of each ability."""
    # those of harness.ability.Posterior for all agents and levels at once
    tails = (1 - np.array(levels)) / 2
    probabilities = np.stack([tails, 1 - tails], axis=1)
    found = np.empty((len(weights), nodes.shape[1], *probabilities.shape))
    for d in range(nodes.shape[1]):
        values, where = np.unique(nodes[:, d], return_inverse=True)
        mass = np.stack([np.bincount(where, row, len(values)) for row in weights])
        below = np.cumsum(mass, axis=1) - mass / 2
        found[:, d] = [np.interp(probabilities, row, values) for row in below]
    return found


def joined(parts: Sequence[Sessions]) -> Sessions:
    """The sessions of all parts; shorter tests are filled up with NaN, and -1 in the order."""
    longest = max(part.order.shape[1] for part in parts)

    def wide(array: NDArray[Any], filling: float) -> NDArray[Any]:
        missing = longest - array.shape[1]
        return np.pad(array, ((0, 0), (0, missing)), constant_values=filling)

    def rows(name: str) -> Array:
        return np.concatenate([getattr(part, name) for part in parts])

    def long_rows(name: str, filling: float = np.nan) -> NDArray[Any]:
        return np.concatenate([wide(getattr(part, name), filling) for part in parts])

    return Sessions(
        **{name: rows(name) for name in _BY_POINT},
        curve=long_rows("curve"),
        curve_usd=long_rows("curve_usd"),
        curve_seconds=long_rows("curve_seconds"),
        order=long_rows("order", -1),
        ended=sum((part.ended for part in parts), Counter()),
    )


_BY_POINT = (
    *("items", "usd", "seconds", "score", "score_ends", "ability", "ability_ends", "above"),
)
