"""What people use without measuring information: chance, a fixed order, a filter."""

from dataclasses import dataclass

import numpy as np

from harness.errors import PlanError
from harness.irt import Array, Table
from harness.select.derived import per_table
from harness.select.text import number, quoted
from harness.select.view import WINDOW, View, uniform


@dataclass(frozen=True)
class Random:
    """Every available item is as good as any other."""

    def __call__(self, view: View) -> Array:
        """Uniform random gains, a pure function of the seeds."""
        n = len(view.table.ids)
        return np.stack([np.random.default_rng(seed).random(n) for seed in view.seeds])

    def __str__(self) -> str:
        return "random"


@dataclass(frozen=True)
class Fixed:
    """The same order for every agent."""

    order: tuple[str, ...] = ()
    """Ids of items, the first one first, and no others; empty for all in the order of the bank."""

    def __post_init__(self) -> None:
        if len(set(self.order)) < len(self.order):
            raise PlanError(f"{self}: an item is given twice")

    def __call__(self, view: View) -> Array:
        """How many items come later, ``-inf`` for items that are not in the order."""
        n = len(view.table.ids)
        gains = -np.arange(n, dtype=float)
        if self.order:
            for item in self.order:
                if item not in view.table.index:
                    raise PlanError(f"{self}: the bank has no item {quoted(item)}")
            gains = np.full(n, -np.inf)
            gains[[view.table.index[item] for item in self.order]] = -np.arange(len(self.order))
        return np.tile(gains + n, (len(view.weights), 1))

    def __str__(self) -> str:
        return f"fixed({', '.join(map(quoted, self.order))})" if self.order else "fixed"


@dataclass(frozen=True)
class Window:
    """A random one of the items whose expected score in the population lies in a window.

    The common 30–70% filter for tasks that are neither too easy nor too hard: it looks at the
    population of the bank's scale, never at the agent.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise PlanError(f"{self}: a window lies within 0 and 1, its lower end first")

    def __call__(self, view: View) -> Array:
        """Uniform random gains inside the window, ``-inf`` outside."""
        score = expected_in_population(view.table)
        inside = (score >= self.low) & (score <= self.high)
        if not inside.any():
            raise PlanError(
                f"{self}: no item's expected score lies in this window; they go from "
                f"{score.min():.2f} to {score.max():.2f}"
            )
        return np.where(inside, uniform(view, WINDOW), -np.inf)

    def __str__(self) -> str:
        return f"window({number(self.low)}, {number(self.high)})"


@per_table
def expected_in_population(table: Table) -> Array:
    """``(n,)`` expected score of each item for an agent drawn from the population."""
    return np.asarray(table.expected_score @ np.exp(table.log_population))
