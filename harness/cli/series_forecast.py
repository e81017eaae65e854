"""What to expect of a series before it costs anything."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.irt import Array
from harness.report.wording import count, duration, money, percent
from harness.runners.simulate import Spread
from harness.schedule.alarms import parse_alarm
from harness.schedule.certainty import draw_paths
from harness.schedule.drift import Drift
from harness.schedule.policy import parse_policy
from harness.schedule.simulate import make_lab, simulate_series
from harness.schedule.situation import Spending
from harness.series.definition import Definition

_RUNS = 5


@dataclass(frozen=True)
class Expectation:
    """What simulated training runs took, beside the whole benchmark at every checkpoint.

    Dollars and seconds are of the agents' work; None where a bank does not know them.
    """

    name: str
    policy: str
    checkpoints: int
    runs: int
    """Training runs that were simulated."""
    tasks: Spread
    """Median, fewest and most."""
    usd: Spread | None
    seconds: Spread | None
    full: Spending
    budget: float | None
    """Tasks that the budgets pay for; None without one."""


def expect(
    definition: Definition,
    banks: Sequence[ItemBank],
    *,
    runs: int = _RUNS,
    progress: Callable[[int, int], None] | None = None,
) -> Expectation:
    """Follow simulated training runs that drift as the series assumes; nothing is run or built.

    Raises:
        PlanError: a bank that a series cannot follow.
    """
    policy = parse_policy(definition.policy)
    usd = np.array([_mean(bank.table.usd) for bank in banks])
    seconds = np.array([_mean(bank.table.seconds) for bank in banks])
    budget = min(
        _unlimited(definition.max_tasks),
        _unlimited(definition.max_usd, usd),
        _unlimited(definition.max_seconds, seconds),
    )
    lab = make_lab(
        banks,
        policy,
        drift=definition.drift,
        joint=definition.joint,
        alarms=tuple((bank, parse_alarm(text)) for bank, text in definition.alarms),
        alpha=definition.alpha,
        limit=Spending(tasks=budget if math.isfinite(budget) else None),
    )
    shape = (runs, definition.checkpoints, len(banks))
    truth = _training_runs(definition.drift, shape, definition.seed)
    found = simulate_series(lab, truth, seed=definition.seed, progress=progress)
    tasks = np.array([run.tasks.sum(axis=0) for run in found], float)
    sizes = definition.checkpoints * np.array([len(bank.items) for bank in banks])
    return Expectation(
        name=definition.name,
        policy=definition.policy,
        checkpoints=definition.checkpoints,
        runs=runs,
        tasks=_spread(tasks.sum(axis=1)),
        usd=_spread(tasks @ usd) if np.isfinite(usd).all() else None,
        seconds=_spread(tasks @ seconds) if np.isfinite(seconds).all() else None,
        full=Spending(int(sizes.sum()), _known(sizes @ usd), _known(sizes @ seconds)),
        budget=budget if math.isfinite(budget) else None,
    )


def _unlimited(limit: float | None, prices: Array | None = None) -> float:
    """Tasks that a limit pays for; infinity without one, or where nobody knows a price."""
    price = 1.0 if prices is None else float(prices.mean())
    return limit / price if limit is not None and price > 0 else math.inf


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _spread(values: Array) -> Spread:
    return Spread(float(np.median(values)), float(values.min()), float(values.max()))


def _training_runs(drift: Drift, shape: tuple[int, int, int], seed: int) -> Array:
    """``(R, T, B)`` abilities that begin in the population and move as the drift says."""
    runs, checkpoints, banks = shape
    rng = np.random.default_rng(seed)
    each = [
        draw_paths(drift, runs, checkpoints, rng) + rng.standard_normal((runs, 1))
        for _ in range(banks)
    ]
    return np.stack(each, axis=2)


def expectation_text(expectation: Expectation) -> str:
    """The expectation for people."""
    full = expectation.full
    share = percent(expectation.tasks.median / full.tasks) if full.tasks else ""
    return "\n".join(
        [
            f"Expected of {expectation.policy} over {count(expectation.checkpoints, 'checkpoint')}",
            f"(from {expectation.runs} training runs simulated from the drift):",
            f"  tasks   {_range(expectation.tasks, lambda n: f'{n:,.0f}', full.tasks)}, {share}",
            f"  cost    {_range(expectation.usd, money, full.usd)}",
            f"  time    {_range(expectation.seconds, duration, full.seconds)}",
        ]
    )


def _range(spread: Spread | None, form: Callable[[float], str], full: float | None) -> str:
    if spread is None or full is None:
        return "unknown: the items of a bank carry none"
    return (
        f"about {form(spread.median)} ({form(spread.low)} to {form(spread.high)}); "
        f"the whole benchmark at every checkpoint: {form(full)}"
    )
