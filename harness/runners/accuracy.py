"""How near estimates come to the values they estimate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.irt import Array

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Accuracy:
    """Estimates of several agents against the values they estimate."""

    mae: float
    """Mean absolute error."""
    rmse: float
    """Root mean square error."""
    bias: float
    """Mean of estimate minus value."""
    spearman: float | None
    """Rank correlation; None where one side does not vary."""
    coverage: float
    """Share of agents whose value lies in their interval."""


@dataclass(frozen=True)
class Baseline:
    """Random items scored by their plain mean: averages over the random draws."""

    mae: float
    mae_spread: float
    """Standard deviation of the mean absolute error from draw to draw."""
    bias: float
    spearman: float | None


def accuracy(
    estimates: Sequence[float], intervals: Sequence[tuple[float, float]], values: Sequence[float]
) -> Accuracy:
    """Accuracy of one estimate and one interval an agent.

    >>> found = accuracy([0.0, 1.0], [(-1, 1), (0.5, 0.9)], [0.5, 1.5])
    >>> found.mae, found.bias, found.coverage
    (0.5, -0.5, 0.5)
    """
    truth, ends = np.asarray(values, float), np.asarray(intervals, float)
    error = np.asarray(estimates, float) - truth
    inside = (ends[:, 0] <= truth + _ROUNDING) & (truth <= ends[:, 1] + _ROUNDING)
    return Accuracy(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(error.mean()),
        spearman=rank_correlation(np.asarray(estimates, float), truth),
        coverage=float(inside.mean()),
    )


def plain_accuracy(draws: Array, values: Sequence[float]) -> Baseline:
    """Accuracy of ``(A, draws)`` plain means, averaged over the draws."""
    truth = np.asarray(values, float)
    error = draws - truth[:, None]
    by_draw = np.abs(error).mean(axis=0)
    ranks = [rank_correlation(draw, truth) for draw in draws.T]
    known = [rank for rank in ranks if rank is not None]
    return Baseline(
        mae=float(by_draw.mean()),
        mae_spread=float(by_draw.std(ddof=1)),
        bias=float(error.mean()),
        spearman=float(np.mean(known)) if known else None,
    )


def rank_correlation(left: Array, right: Array) -> float | None:
    """Spearman's correlation, ties by mean rank; None where one side does not vary.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 9.0]))
    1.0
    """
    if len(left) < 2 or not np.ptp(left) or not np.ptp(right):
        return None
    from scipy.stats import rankdata

    return round(float(np.corrcoef(rankdata(left), rankdata(right))[0, 1]), 12)
