"""Adaptive tests of many agents at once: the session's arithmetic with one more axis.

Replay and simulation know every outcome beforehand, so they need no events. At width 1 an agent
here is given the same items as a :class:`~harness.session.Session` with the same plan.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.ability import moments, normalise
from harness.events import Outcome, Plan
from harness.irt import Array, Table
from harness.select import View
from harness.stop import Progress, precision_reached

_BATCH = 500_000
"""Agents × items × categories that are worked on at once: 4 MB a temporary."""


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

    def of(self, agent: int) -> "Step":
        """A copy of the same round for a single agent."""
        one = slice(agent, agent + 1)
        all_, view = self.progress, self.progress.view
        alone = View(
            view.table,
            view.weights[one],
            view.available[one].copy(),
            view.seeds[one],
            view.answers[one].copy(),
            view.estimator,
        )
        progress = Progress(all_.items[one], all_.usd[one], all_.seconds[one], all_.sd[one], alone)
        return Step(self.round, progress, self.may_stop[one])


def outcome(plan: Plan, step: Step, agent: int) -> Outcome:
    """How the session of one agent ends at a step where it may stop."""
    progress = step.of(agent).progress
    if precision_reached(plan.stop, progress):
        return "precise"
    return "limit" if progress.view.available.any() else "exhausted"


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
) -> Iterator[Step]:
    """Test A agents adaptively, one item each a round; the caller decides when it has enough.

    Args:
        outcomes: ``(A, n)`` category that each agent would get; -1 makes the item unavailable.
        seeds: ``(A,)``; the plan's seed for all when None.
        usd: ``(A, n)`` cost of each attempt; the bank's expected cost when None.
        seconds: ``(A, n)``; the bank's expected duration when None.

    Yields:
        The state before the first item, then after each round, until no agent has an item left.
    """
    agents, n = outcomes.shape
    rows = np.arange(agents)
    available = outcomes >= 0
    answers = np.full((agents, n), -1)
    log_weights = np.repeat(plan.prior.log_weights(table.nodes)[None], agents, axis=0)
    view_seeds = np.zeros((agents, 2), np.int64)
    view_seeds[:, 0] = plan.seed if seeds is None else seeds
    cost, time = (
        np.nan_to_num(np.broadcast_to(expected if given is None else given, outcomes.shape))
        for given, expected in ((usd, table.usd), (seconds, table.seconds))
    )
    spent, passed, items = np.zeros(agents), np.zeros(agents), np.zeros(agents, np.intp)

    for count in range(n + 1):
        weights = normalise(log_weights)
        sd = moments(table.nodes, weights)[1]
        # the selector's random stream is that of the step about to be chosen
        seeds_now = view_seeds + np.array([0, count + 1])
        view = View(table, weights, available, seeds_now, answers, plan.estimator)
        live = available.any(axis=1)
        progress = Progress(items.copy(), spent.copy(), passed.copy(), sd, view)
        yield Step(count, progress, np.asarray(plan.stop(progress) | ~live))
        if not live.any():
            return
        picked = np.where(available, plan.select(view), -np.inf).argmax(axis=1)
        who, what = rows[live], picked[live]
        category = outcomes[who, what]
        answers[who, what] = category
        available[who, what] = False
        log_weights[who] += table.log_p[what, category]
        spent[who] += cost[who, what]
        passed[who] += time[who, what]
        items[who] += 1
