"""What people do without a bank: some tasks, and the plain mean of their scores."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from harness.errors import PlanError
from harness.irt import Array, Table
from harness.responses.drawn import Cells
from harness.select.baselines import expected_in_population
from harness.study.sessions import Asked, Sessions

LOW, HIGH = 0.3, 0.7
"""Expected scores in the population that the filter for tasks of middling difficulty keeps."""
Truth = NDArray[np.bool_]


def middling(table: Table) -> Truth:
    """``(n,)`` items between 30 and 70% in the population.

    Raises:
        PlanError: there are none.
    """
    score = expected_in_population(table)
    inside = (score >= LOW) & (score <= HIGH)
    if not inside.any():
        raise PlanError(
            "baseline 'window': no item's expected score in the population lies within "
            f"{LOW:.0%} and {HIGH:.0%}; leave it out of the baselines"
        )
    return np.asarray(inside)


def plain_means(
    table: Table, cells: Cells, allowed: Truth | None, seed: list[int], draws: int, asked: Asked
) -> Sessions:
    """A × draws tests of random items that are scored by their mean, at every number of items.

    The draws of one agent follow each other. An agent that has had all allowed items is given no
    more and its mean stays.

    Args:
        allowed: ``(n,)`` items that may be given; all when None.
    """
    known = np.repeat(cells.category >= 0, draws, axis=0)
    usable = known if allowed is None else known & allowed
    n = known.shape[1]
    chance = np.random.default_rng(seed).random(usable.shape)
    order = np.argsort(np.where(usable, chance, np.inf), axis=1)
    count = usable.sum(axis=1)
    number = np.arange(1, n + 1)
    given = number <= count[:, None]

    def along(values: Array) -> Array:
        rows = np.repeat(values, draws, axis=0)
        taken = np.take_along_axis(rows, order, axis=1)
        return np.cumsum(np.where(given, np.nan_to_num(taken), 0.0), axis=1)

    scores = table.scores[np.arange(n), np.maximum(cells.category, 0)]
    mean = along(scores) / np.maximum(np.minimum(number, count[:, None]), 1)
    # nothing is known of an agent without an allowed item: half the score, as good as any
    mean = np.where(count[:, None] > 0, mean, 0.5)
    there = number <= known.sum(axis=1)[:, None]
    curve = np.where(there, mean, np.nan)
    usd, seconds = (np.where(there, along(cost), np.nan) for cost in (cells.usd, cells.seconds))

    points = np.full((len(usable), asked.points), n)
    points[:, : len(asked.sizes)] = asked.sizes
    rows = np.arange(len(usable))[:, None]
    reached = points <= known.sum(axis=1)[:, None]
    reached[:, len(asked.sizes) :] = False

    def at(values: Array) -> Array:
        return np.where(reached, values[rows, np.minimum(points, n) - 1], np.nan)

    none = np.empty((len(usable), asked.points, 0))
    return Sessions(
        items=np.where(reached, np.minimum(points, count[:, None]), np.nan),
        usd=at(usd),
        seconds=at(seconds),
        score=at(curve),
        score_ends=none[..., None, :].reshape(*none.shape, 2),
        ability=none,
        ability_ends=np.empty((*none.shape, 0, 2)),
        above=np.full(reached.shape, np.nan),
        curve=curve,
        curve_usd=usd,
        curve_seconds=seconds,
        order=np.where(given, order, -1).astype(np.int32),
        ended=Counter(),
    )
