"""Tasks nearest to one: by what agents do on both beyond their abilities, or by features."""

from dataclasses import dataclass

import numpy as np

from harness.explain.outcomes import Outcomes
from harness.health.flags import HALF, adjusted
from harness.irt import Array

_SHOWN = 6
_SHARED = 10
"""Agents that two tasks must share to be compared."""


@dataclass(frozen=True)
class Alike:
    """A task that goes with another one."""

    item: str
    correlation: float
    """Of residuals over agents: scores less what abilities say (Q3, Yen 1984)."""
    low: float
    high: float
    agents: int
    q: float
    """Adjusted for the number of tasks."""


@dataclass(frozen=True)
class Near:
    """A task with like features."""

    item: str
    distance: float
    """Root mean square of the differences of features, in sds."""
    score: float
    """Mean score on it; NaN without outcomes."""


def residuals(outcomes: Outcomes) -> Array:
    """``(A, n)`` score less expected score at the agent's posterior; NaN where missing."""
    score = np.full((len(outcomes.agents), len(outcomes.items)), np.nan)
    score[outcomes.agent, outcomes.item] = outcomes.score[outcomes.pattern]
    return np.asarray(score - np.exp(outcomes.log_posterior) @ outcomes.expected.T)


def alike(outcomes: Outcomes, item: int) -> tuple[Alike, ...]:
    """Tasks whose residuals correlate most with those of one, with Fisher's intervals (1921)."""
    from scipy.stats import norm

    all_rows = residuals(outcomes)
    rows = np.isfinite(all_rows[:, item])
    left = all_rows[rows][:, [item]]
    right = all_rows[rows]
    both = np.isfinite(right)
    count = both.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.where(both, left, 0.0)
        y = np.where(both, right, 0.0)
        x = np.where(both, x - x.sum(axis=0) / count, 0.0)
        y = np.where(both, y - y.sum(axis=0) / count, 0.0)
        r = (x * y).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
        z = np.arctanh(np.clip(r, -0.999, 0.999))
        error = 1 / np.sqrt(count - 3)
    usable = np.isfinite(r) & (count >= _SHARED)
    usable[item] = False
    p = np.where(
        usable, 2 * norm.sf(np.abs(np.nan_to_num(z)) / np.nan_to_num(error, nan=1)), np.nan
    )
    q = adjusted(p)
    best = [i for i in np.argsort(-np.where(usable, r, -2.0), kind="stable") if usable[i]]
    return tuple(
        Alike(
            outcomes.items[i],
            float(r[i]),
            float(np.tanh(z[i] - HALF * error[i])),
            float(np.tanh(z[i] + HALF * error[i])),
            int(count[i]),
            float(q[i]),
        )
        for i in best[:_SHOWN]
    )


def near(outcomes: Outcomes, item: int, coded: Array) -> tuple[Near, ...]:
    """Tasks with the most similar features.

    Args:
        coded: ``(n, p)`` standardised features of the items of the bank.
    """
    off = np.sqrt(((coded - coded[item]) ** 2).mean(axis=1))
    off[item] = np.inf
    score = np.full((len(outcomes.agents), len(outcomes.items)), np.nan)
    score[outcomes.agent, outcomes.item] = outcomes.score[outcomes.pattern]
    return tuple(
        Near(
            outcomes.items[i],
            float(off[i]),
            float(np.nanmean(score[:, i])) if np.isfinite(score[:, i]).any() else float("nan"),
        )
        for i in np.argsort(off, kind="stable")[:_SHOWN]
        if np.isfinite(off[i])
    )
