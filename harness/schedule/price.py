"""What a task is worth: the budget of a series, over its checkpoints and banks.

In a steady state a checkpoint adds the variance of the drift, and its tasks take that off again;
the last of them sets the price of variance at which the budget lasts. A task is worth holding
while it is expected to take off more. So a sharp forecast is left alone, a first checkpoint and a
declared jump get more, and so does the bank whose ability moves faster.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from harness.irt import Array
from harness.schedule.belief import unit_moments
from harness.schedule.course import Course
from harness.schedule.policy import Budget
from harness.schedule.situation import Situation

_FEWEST = 3
"""Tasks below which a session is not worth its start."""
_FOLLOW_UP = (3.0, 10.0)
"""Tasks of a session that is to find something out: so many times what a checkpoint affords, and
at least so many; at most a third of the bank."""


@dataclass(frozen=True)
class _Purse:
    """What is left of one budget, and what a task of each bank takes of it."""

    left: float
    costs: Mapping[str, float]


def _purses(situation: Situation) -> list[_Purse]:
    """Of every budget that there is; banks whose cost nobody knows take nothing of it."""
    sessions = [s for checkpoint in situation.checkpoints for s in checkpoint.sessions]
    unknown = (np.nan, np.nan)
    prices = {bank: situation.prices.get(bank, unknown) for bank in situation.scales}
    limit = situation.limit
    purses = []
    if limit.tasks is not None:
        left = limit.tasks - sum(s.tasks for s in sessions)
        purses.append(_Purse(left, dict.fromkeys(situation.scales, 1.0)))
    for at, most in enumerate((limit.usd, limit.seconds)):
        if most is not None:
            costs = {bank: float(np.nan_to_num(price[at])) for bank, price in prices.items()}
            # a session that still runs will cost what its tasks are expected to
            spent = sum(
                max((s.usd, s.seconds)[at], s.tasks * costs[s.bank] * (s.state == "running"))
                for s in sessions
            )
            purses.append(_Purse(most - spent, costs))
    return purses


def tasks_left(situation: Situation, bank: str) -> float:
    """Tasks of one bank that what is left of the budgets pays for."""
    left = np.inf
    for purse in _purses(situation):
        if purse.left <= 0:
            return 0.0
        if purse.costs[bank]:
            left = min(left, purse.left / purse.costs[bank])
    return float(left)


def _checkpoints_left(situation: Situation) -> int:
    return max(situation.planned - len(situation.checkpoints) + 1, 1)


def follow_up(situation: Situation, bank: str) -> float:
    """Tasks of a session that is to find something out."""
    size = len(situation.scales[bank][2].table.ids)
    times, fewest = _FOLLOW_UP
    affordable = tasks_left(situation, bank) / _checkpoints_left(situation) / len(situation.scales)
    return float(np.clip(times * affordable, fewest, max(size / 3, fewest)))


def worth(situation: Situation, policy: Budget, bank: str) -> tuple[int, str]:
    """How many tasks of the last checkpoint are worth their price, and why."""
    course, axis, scale = situation.scales[bank]
    _, variance = unit_moments(scale, course.visits[-1].belief.ability(axis))
    after = 1 / (1 / variance + np.concatenate([[0.0], situation.gains[bank].cumsum()]))
    off = -np.diff(after)
    price = max(
        (_price(situation, purse, policy) * purse.costs[bank] for purse in _purses(situation)),
        default=0.0,
    )
    tasks = len(off) if (off >= price).all() else int(np.argmin(off >= price))
    sd, then = variance**0.5, after[tasks] ** 0.5
    if tasks < _FEWEST:
        return 0, f"the forecast is sharp enough for the budget: sd {sd:.2f}"
    return tasks, f"the forecast has sd {sd:.2f}, and the budget affords {then:.2f}"


def _price(situation: Situation, purse: _Purse, policy: Budget) -> float:
    """Variance that a unit of a budget has to take off, so that it lasts to the planned end.

    With the variance ``q`` of the drift and n tasks of information ``i`` at every checkpoint, the
    variance ``v`` after them settles where ``1/v = 1/(v + q) + n i``; the last task then takes off
    ``i v²``. One price serves all banks: each has as many tasks as are worth it.
    """
    budget = purse.left * (1 - policy.reserve) / _checkpoints_left(situation)
    banks = [
        (_drift_variance(course), _good(situation.gains[bank]), purse.costs[bank])
        for bank, (course, _, _) in situation.scales.items()
        if purse.costs[bank]
    ]
    if not banks or budget <= 0:
        return 0.0 if not banks else float("inf")

    def too_much(log_price: float) -> float:
        spent = 0.0
        for drift, gain, cost in banks:
            settled = np.sqrt(np.exp(log_price) * cost / gain)
            spent += cost * drift / (settled * (settled + drift) * gain)
        return float(np.log(spent / budget))

    low, high = -40.0, 40.0
    if too_much(low) <= 0:
        return 0.0
    return float(np.exp(brentq(too_much, low, high)))


def _good(gains: Array) -> float:
    """Information of one of the better items."""
    return max(float(gains[: max(len(gains) // 4, 1)].mean()), 1e-6)


def _drift_variance(course: Course) -> float:
    """Variance that ability is expected to gain by the next checkpoint, in population sds."""
    drift = course.space.drift
    steps = course.steps
    gap = float(np.median(np.diff(steps))) if len(steps) > 1 else float(drift.unit)
    walk = float(course.visits[-1].belief.cells @ [way.sd**2 for way in course.space.cells])
    return (walk + drift.jump_rate * drift.jump_sd**2) * gap / drift.unit
