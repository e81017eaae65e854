"""Gains per dollar or second, and how an agent's pace is learned."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import PlanError
from harness.irt import Array
from harness.select.futures import gains_of
from harness.select.view import Selector, View, informative

Unit = Literal["usd", "seconds"]

PACE_SD = 1.0
"""Standard deviation of log pace between agents before anything is seen: a factor of 2.7."""
ATTEMPT_SD = 1.0
"""Standard deviation of the log cost of attempts of one agent about its pace times what the bank
expects. In OpenAgentSafety, with dollars and seconds of five agents on 355 tasks, it is 0.9 to
1.1, and that of log pace between agents 0.7 (seconds) to 1.4 (dollars)."""


def learned_pace(log_ratios_sum: Array, count: Array) -> Array:
    """By what factor an agent's attempts cost more than the bank expects, learned from some.

    A cost is ``expected cost × pace × noise``. The noise is log-normal with mean 1, so its
    logarithm is normal with variance σ² and mean -σ²/2; log pace is normal with mean 0 and
    variance τ². Given m log ratios of actual to expected cost, the posterior of log pace is
    normal with mean ``(sum + m σ²/2) / (m + σ²/τ²)``, and its exponential is the pace: 1 with no
    data, the geometric mean times ``exp(σ²/2)`` with plenty.

    Args:
        log_ratios_sum: sum of ``log(actual / expected)`` over attempts, of any shape.
        count: how many they are, of the same shape.

    >>> learned_pace(np.array([0.0, 1.0]), np.array([0, 2])).round(3).tolist()
    [1.0, 1.948]
    """
    variance = ATTEMPT_SD**2
    return np.exp((log_ratios_sum + count * variance / 2) / (count + variance / PACE_SD**2))


def expected_cost(view: View, unit: Unit) -> Array:
    """``(A, n)`` dollars or seconds that an attempt is expected to cost: NaN where unknown."""
    table = view.table
    cost, column = (table.usd, 0) if unit == "usd" else (table.seconds, 1)
    if view.pace is None:
        return np.broadcast_to(cost, view.available.shape)
    return cost * view.pace[:, column, None]


@dataclass(frozen=True)
class PerCost:
    """Gain of another selector for each expected dollar or second of an attempt."""

    inner: Selector
    unit: Unit

    def __post_init__(self) -> None:
        if isinstance(self.inner, PerCost):
            raise PlanError(f"{self}: one cost unit is enough, usd or seconds")

    @property
    def informative(self) -> bool:
        """As the inner selector."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector divided by the expected cost."""
        cost = expected_cost(view, self.unit)
        fine = np.isfinite(cost[0]) & (cost[0] > 0)
        if not fine.all():
            missing = view.table.ids[int(np.argmin(fine))]
            raise PlanError(
                f"{self} needs a positive expected cost for every item, but item {missing!r} has "
                f"none: fill the column {self.unit!r} of items.csv or select without it"
            )
        return np.asarray(gains_of(self.inner, view) / cost)

    def __str__(self) -> str:
        return f"{self.inner}/{self.unit}"
