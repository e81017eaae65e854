"""Adaptive tests of many agents at once: the session's arithmetic with one more axis.

Replay and simulation know every outcome beforehand, so they need no events. An agent here is given
the same items as a :class:`~harness.session.Session` with the same plan whose outcomes come back in
the order of launch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.ability import Prior, moments, normalise
from harness.events import Outcome, Plan
from harness.irt import Array, Table
from harness.select import View, gains_of, learned_pace, pick
from harness.stop import Progress, doubt, precision_reached

_BATCH = 500_000
"""Agents × items × categories that are worked on at once: 4 MB a temporary."""


ENDS: tuple[Outcome, ...] = ("precise", "doubtful", "limit", "exhausted")
"""How a session may end where nothing is void."""


@dataclass(frozen=True, eq=False)
class Step:
    """A agents after the same number of rounds; agents that ran out of items stay as they were.

    What the view says of answers and available items is overwritten by the next step: keep
    ``of(agent)``, which is a copy, or copy the arrays.
    """

    round: int
    progress: Progress
    """Items, dollars, seconds and posteriors of every agent."""
    may_stop: NDArray[np.bool_]
    """``(A,)`` whether the plan's rule holds, or nothing is left."""
    in_flight: NDArray[np.intp]
    """``(A,)`` items launched whose outcomes are not known yet."""

    def of(self, agent: int) -> "Step":
        """A copy of the same round for a single agent."""
        one = np.array([agent])
        return Step(self.round, self.progress.of(one), self.may_stop[one], self.in_flight[one])


def outcome(plan: Plan, step: Step, agent: int) -> Outcome:
    """How the session of one agent ends at a step where it may stop."""
    progress = step.of(agent).progress
    if precision_reached(plan.stop, progress):
        return "doubtful" if doubt(progress) else "precise"
    limited = plan.stop(progress)[0] and progress.view.available.any()
    return "limit" if limited else "exhausted"


def batches(table: Table, agents: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Agents in groups small enough for a selector's ``(A, n, K)`` temporaries to fit in memory."""
    n, k, _ = table.log_p.shape
    size = max(1, _BATCH // (n * k))
    return (agents[start : start + size] for start in range(0, len(agents), size))


def administer(
    table: Table,
    plan: Plan,
    outcomes: NDArray[np.intp],
    seeds: NDArray[np.int64] | None = None,
    usd: Array | None = None,
    seconds: Array | None = None,
    priors: Sequence[Prior] | None = None,
) -> Iterator[Step]:
    """Test A agents adaptively, one answer each a round; the caller decides when it has enough.

    With a width of w an item is chosen while the outcomes of the w - 1 launched before it are
    unknown, so each round beyond the first launches one item and learns of one.

    Args:
        outcomes: ``(A, n)`` category that each agent would get; -1 makes the item unavailable.
        seeds: ``(A,)``; the plan's seed for all when None.
        usd: ``(A, n)`` cost of each attempt; the bank's expected cost when None.
        seconds: ``(A, n)``; the bank's expected duration when None.
        priors: one for each agent; the plan's for all when None.

    Yields:
        The state before the first item, then after each round, until no agent has an item left.
    """
    agents, n = outcomes.shape
    rows = np.arange(agents)
    counted = outcomes >= 0
    available = counted.copy()
    answers = np.full((agents, n), -1)
    order = np.full((agents, n), -1)
    pending = np.zeros((agents, n), bool)
    flight: list[tuple[NDArray[np.intp], NDArray[np.bool_]]] = []
    """Launched items, oldest first, and whether each agent launched one."""
    each = [plan.prior] * agents if priors is None else priors
    log_prior = {prior: prior.log_weights(table.nodes) for prior in set(each)}
    log_weights = np.stack([log_prior[prior] for prior in each])
    view_seeds = np.zeros((agents, 2), np.int64)
    view_seeds[:, 0] = plan.seed if seeds is None else seeds
    costs = [
        (unit, expected, np.broadcast_to(expected if given is None else given, outcomes.shape))
        for unit, (given, expected) in enumerate(((usd, table.usd), (seconds, table.seconds)))
        if np.isfinite(expected if given is None else given).any()
    ]
    spent, ratios, priced = np.zeros((3, agents, 2))
    items, in_flight = np.zeros((2, agents), np.intp)
    launches = 0

    def look() -> View:
        # the selector's random stream is that of the step about to be chosen
        return View(
            table,
            weights,
            available,
            view_seeds + np.array([0, launches + 1]),
            answers,
            plan.estimator,
            pending=pending if flight else None,
            counted=None if counted.all() else counted,
            pace=learned_pace(ratios, priced),
        )

    for count in range(n + 1):
        weights = normalise(log_weights)
        view = look()
        sd = moments(table.nodes, view.posterior)[1]
        planned = pick(gains_of(plan.select, view), available)
        # a selector may rule out every item that is left
        live = planned[1] | pending.any(axis=1)
        progress = Progress(
            items.copy(), spent[:, 0].copy(), spent[:, 1].copy(), sd, view, order[:, :count]
        )
        yield Step(count, progress, np.asarray(plan.stop(progress) | ~live), in_flight.copy())
        while len(flight) < plan.width and planned[1].any():
            picked, found = planned
            flight.append(planned)
            launches += 1
            available[rows[found], picked[found]] = False
            pending[rows[found], picked[found]] = True
            in_flight += found
            if len(flight) < plan.width:
                planned = pick(gains_of(plan.select, look()), available)
        if not flight:
            return
        picked, found = flight.pop(0)
        who, what = rows[found], picked[found]
        category = outcomes[who, what]
        answers[who, what] = category
        order[who, items[who]] = what
        pending[who, what] = False
        in_flight -= found
        log_weights[who] += table.log_p[what, category]
        items[who] += 1
        for unit, expected, actual in costs:
            cost = actual[who, what]
            spent[who, unit] += np.nan_to_num(cost)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log(cost / expected[what])
            known = np.isfinite(ratio)
            ratios[who[known], unit] += ratio[known]
            priced[who[known], unit] += 1
