"""Single outcomes that ability makes improbable, and how many there would be by chance.

The probability of a cell's score, or a more extreme one, is that of the agent's ability from all of
its other outcomes. Scores come in steps, so that fewer than a share b of all cells have a
probability of b or less by chance; how many is known exactly for every cell. The share that
chance would give among those as surprising is the adjusted q (Benjamini and Hochberg 1995, with
the exact distribution of each discrete test, Heyse 2011).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.explain.outcomes import Indices, Outcomes, likelihood, ways
from harness.irt import Array

BOUND = 0.02
_RANKED = 200
"""Cells that are given a q of less than 1 at most."""
_MOST = 300
"""Ways in which the trials of a cell may come out; with more it is left out."""


@dataclass(frozen=True)
class Surprise:
    """A cell with a score that is improbable for its agent."""

    agent: str
    item: str
    score: float
    """Mean score over the trials."""
    trials: int
    expected: float
    """Mean score that the agent's other outcomes say."""
    p: float
    """Probability of a score as far out, or farther, on the same side."""
    q: float
    """Share of such and more surprising outcomes that chance alone would give."""

    @property
    def failed(self) -> bool:
        """Worse than expected."""
        return self.score < self.expected


@dataclass(frozen=True)
class Surprises:
    """Cells that were looked at, and those below the bound, most surprising first."""

    bound: float
    cells: int
    found: tuple[Surprise, ...]
    expected_failures: float
    """Number by chance of cells that are as improbably bad as the bound says."""
    expected_successes: float
    left_out: int
    """Cells with too many trials and categories to look at."""

    @property
    def failures(self) -> tuple[Surprise, ...]:
        return tuple(one for one in self.found if one.failed)

    @property
    def successes(self) -> tuple[Surprise, ...]:
        return tuple(one for one in self.found if not one.failed)


def find_surprises(outcomes: Outcomes, cells: Indices, bound: float = BOUND) -> Surprises:
    """Improbable outcomes among some cells.

    Args:
        cells: positions of cells, those of one agent or on one item, say.
        bound: probability at or below which an outcome is a surprise.
    """
    kept, owner, counts = _possible(outcomes, cells)
    if not len(kept):
        return Surprises(bound, 0, (), 0.0, 0.0, len(cells) - len(kept))
    items = outcomes.item[kept]
    # cells of one item with as many trials share what may come out
    keys, which = np.unique(np.column_stack([items[owner], counts]), axis=0, return_inverse=True)
    table = likelihood(outcomes.bank, keys[:, 0], keys[:, 1:], outcomes.nodes)
    table = np.exp(table + ways(keys[:, 1:].astype(float))[:, None])
    weights = outcomes.without_own(kept)
    chance = np.einsum("vq,vq->v", weights[owner], table[which.ravel()])
    top = np.array([len(outcomes.bank.items[i].intercepts) for i in items])
    worth = counts @ np.arange(counts.shape[1]) / (counts.sum(axis=1) * top[owner])
    observed = outcomes.score[outcomes.pattern[kept]]
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    rows = []
    by_chance: list[tuple[Array, Array]] = []
    for cell, (score, probability) in enumerate(
        zip(np.split(worth, begins[1:]), np.split(chance, begins[1:]), strict=True)
    ):
        values, step = np.unique(score.round(9), return_inverse=True)
        mass: Array = np.bincount(step, weights=probability / probability.sum()).astype(float)
        below, above = np.cumsum(mass), np.cumsum(mass[::-1])[::-1]
        here = int(np.abs(values - observed[cell]).argmin())
        mean = float(mass @ values)
        low = observed[cell] < mean
        rows.append((float(below[here] if low else above[here]), mean))
        by_chance.append((below[:-1], above[1:]))
    p = np.array([row[0] for row in rows])
    failing, passing = (np.concatenate([side[s] for side in by_chance]) for s in (0, 1))
    groups = np.concatenate([np.full(len(side[0]), cell) for cell, side in enumerate(by_chance)])
    q = _adjusted(p, failing, passing, groups)
    order = [row for row in np.argsort(p, kind="stable") if p[row] <= bound]
    responses = outcomes.responses
    return Surprises(
        bound,
        len(kept),
        tuple(
            Surprise(
                responses.agents[outcomes.agent[kept[row]]],
                outcomes.items[items[row]],
                float(observed[row]),
                int(outcomes.counts[outcomes.pattern[kept[row]]].sum()),
                rows[row][1],
                float(p[row]),
                float(q[row]),
            )
            for row in order
        ),
        _expected(failing, groups, bound),
        _expected(passing, groups, bound),
        len(cells) - len(kept),
    )


def _expected(tails: Array, groups: Indices, bound: float) -> float:
    """Number of cells at or below a bound by chance: of each the largest tail that is."""
    largest = np.zeros(int(groups.max(initial=-1)) + 1)
    np.maximum.at(largest, groups, np.where(tails <= bound, tails, 0.0))
    return float(largest.sum())


def _adjusted(p: Array, failing: Array, passing: Array, groups: Indices) -> Array:
    """Share of cells as surprising that chance would give, the least of any larger bound."""
    order = np.argsort(p, kind="stable")
    few = order[:_RANKED]
    share = np.ones(len(p))
    for rank, row in enumerate(few, start=1):
        both = _expected(failing, groups, p[row]) + _expected(passing, groups, p[row])
        share[row] = min(both / rank, 1.0)
    share[few] = np.minimum.accumulate(share[few][::-1])[::-1]
    return share


def _possible(outcomes: Outcomes, cells: Indices) -> tuple[Indices, Indices, Indices]:
    """Cells with few enough ways to come out; of each way its cell and counts ``(V, K)``."""
    k = outcomes.counts.shape[1]
    known: dict[tuple[int, int], Indices] = {}
    kept: list[int] = []
    owner: list[Indices] = []
    counts: list[Indices] = []
    for cell in cells:
        item = outcomes.bank.items[outcomes.item[cell]]
        trials, own = int(outcomes.counts[outcomes.pattern[cell]].sum()), len(item.intercepts) + 1
        if (trials, own) not in known:
            ways_out = list(itertools.islice(_splits(trials, own), _MOST + 1))
            known[trials, own] = np.pad(np.array(ways_out), ((0, 0), (0, k - own)))
        if len(known[trials, own]) > _MOST:
            continue
        owner.append(np.full(len(known[trials, own]), len(kept)))
        kept.append(cell)
        counts.append(known[trials, own])
    if not kept:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, k), np.intp)
    return np.array(kept), np.concatenate(owner), np.concatenate(counts)


def _splits(trials: int, categories: int) -> Iterator[tuple[int, ...]]:
    """All counts of categories over so many trials.

    >>> list(_splits(1, 3))
    [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    """
    if categories == 1:
        yield (trials,)
        return
    for first in range(trials + 1):
        for rest in _splits(trials - first, categories - 1):
            yield (first, *rest)
