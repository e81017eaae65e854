"""Limits on how often an item is shown to many agents.

A session knows of no other session, so what keeps an item from being shown too often is fitted
beforehand, by simulating the test on the bank. Agents need seeds of their own: with one seed for
all, all toss the same coins.
"""

from dataclasses import dataclass

import numpy as np

from harness.ability import normalise
from harness.errors import PlanError
from harness.irt import Array, Table
from harness.select.choose import pick
from harness.select.derived import per_table
from harness.select.futures import gains_of
from harness.select.text import number
from harness.select.view import (
    EXPOSURE,
    PROGRESSIVE,
    Selector,
    Truth,
    View,
    coins,
    informative,
    uniform,
)

_AGENTS = 400
"""Simulated in each round of the fit."""
_AVERAGED = 16
"""Rounds that are averaged once no item is seen too often but by chance."""
_SETTLING = 40
"""Rounds after which averaging begins in any case."""
_MARGIN = 0.05
"""How far below the rate the fit aims, for what so many simulated agents leave uncertain."""
_CHUNK = 500_000
"""Agents × items × categories simulated at once: 4 MB a temporary."""


@dataclass(frozen=True)
class Progressive:
    """Chance at first, information in the end (Revuelta and Ponsoda 1998).

    After t of ``length`` items the gain is ``(1 - s) R + s I`` with ``s = t / length``, I the
    gain of the inner selector and R uniform between 0 and the largest gain. Inside
    :class:`SympsonHetter` it is their progressive-restricted method.
    """

    inner: Selector
    length: int
    """Length of the test."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise PlanError(f"{self}: the length of the test is a whole number from 1 on")

    def __call__(self, view: View) -> Array:
        """Gains between chance and those of the inner selector."""
        gains = gains_of(self.inner, view)
        usable = view.available & (gains > -np.inf)
        most = np.where(usable, gains, 0.0).max(axis=1, keepdims=True)
        s = np.minimum(view.taken.sum(axis=1, keepdims=True) / self.length, 1.0)
        mixed = (1 - s) * most * uniform(view, PROGRESSIVE) + s * np.where(usable, gains, 0.0)
        return np.where(usable, mixed, -np.inf)

    def __str__(self) -> str:
        return f"progressive({self.inner}, {self.length})"


@dataclass(frozen=True)
class SympsonHetter:
    """No item is shown to more than a share of the agents (Sympson and Hetter 1985).

    An item that the inner selector would show with probability S is open to an agent with
    probability ``min(1, rate / S)`` and passed over otherwise, by a coin for each agent and item.
    S is found by simulating tests of ``length`` items on agents of the bank's population, always
    the same ones, once for each table: 1 s for maximum information on 500 items, 10 s for
    minimum variance.

    Near the least possible rate, ``length / n``, an agent may run out of open items. Its session
    ends then; the rate is kept.
    """

    inner: Selector
    rate: float
    """Largest share of agents that may see an item."""
    length: int
    """Length of the test, or how long it gets at most."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1 or self.length < 1:
            raise PlanError(
                f"{self}: the rate lies above 0 and up to 1, and the length of the test is a "
                "whole number from 1 on"
            )

    @property
    def informative(self) -> bool:
        """As the inner selector."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector, ``-inf`` where the coin says so."""
        fits = _fits(view.table)
        if self not in fits:
            fits[self] = exposure_parameters(view.table, self.inner, self.rate, self.length)
        allowed = coins(view, EXPOSURE) < fits[self]
        return np.where(allowed, gains_of(self.inner, view.narrowed(allowed)), -np.inf)

    def __str__(self) -> str:
        return f"sympson-hetter({self.inner}, {number(self.rate)}, {self.length})"


@per_table
def _fits(table: Table) -> dict[SympsonHetter, Array]:
    """Exposure parameters that were fitted for a table, by selector; empty at first."""
    return {}


def exposure_parameters(table: Table, inner: Selector, rate: float, length: int) -> Array:
    """``(n,)`` probability with which each item is open to an agent.

    Raises:
        PlanError: tests of this length cannot keep the rate.
    """
    n = len(table.ids)
    if rate * n < length:
        raise PlanError(
            f"a test of {length} of {n} items shows them to {length / n:.3g} of the agents on "
            f"average, so no exposure rate below that can be kept, and {number(rate)} is"
        )
    parameters, shown = np.ones(n), np.zeros(n)
    rng = np.random.default_rng(0)
    chance = 3 * np.sqrt(rate * (1 - rate) / _AGENTS)
    rounds = averaged = 0
    while averaged < _AVERAGED:
        allowed = rng.random((_AGENTS, n)) < parameters
        taken = simulated(table, inner, length, allowed, rng)
        rounds += 1
        if averaged or rounds >= _SETTLING or taken.mean(axis=0).max() <= rate + chance:
            averaged += 1
        # the coin of an item is independent of all else, so those it is open to stand for all
        found = taken.sum(axis=0) / np.maximum(allowed.sum(axis=0), 1)
        shown += (found - shown) / max(averaged, 1)
        parameters = np.minimum(1.0, (1 - _MARGIN) * rate / np.maximum(shown, 1e-12))
    return parameters


def simulated(
    table: Table, selector: Selector, length: int, allowed: Truth, rng: np.random.Generator
) -> Truth:
    """``(A, n)`` items that A agents drawn from the population are shown.

    Args:
        length: of the tests; shorter where an agent has nothing left.
        allowed: ``(A, n)`` items that are open to each agent.
    """
    n, k, _ = table.log_p.shape
    size = max(1, _CHUNK // (n * k))
    log_prior = table.log_population
    taken = []
    for start in range(0, len(allowed), size):
        available = allowed[start : start + size].copy()
        rows = np.arange(len(available))
        truth = rng.choice(len(log_prior), size=len(rows), p=np.exp(log_prior))
        seeds = np.stack([rng.integers(2**31, size=len(rows)), np.zeros_like(rows)], axis=1)
        answers = np.full(available.shape, -1)
        log_weights = np.tile(log_prior, (len(rows), 1))
        for step in range(1, length + 1):
            seeds[:, 1] = step
            view = View(table, normalise(log_weights), available, seeds, answers)
            chosen, found = pick(selector(view), available)
            who, what = rows[found], chosen[found]
            below = np.cumsum(table.p[what, :, truth[who]], axis=1)[:, :-1]
            category = (rng.random((len(who), 1)) > below).sum(axis=1)
            answers[who, what] = np.minimum(category, table.n_categories[what] - 1)
            available[who, what] = False
            log_weights[who] += table.log_p[what, answers[who, what]]
        taken.append(answers >= 0)
    return np.concatenate(taken)
