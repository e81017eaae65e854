"""Robust centres and spreads of values, and intervals of densities."""

import numpy as np

from harness.health.flags import LEVEL
from harness.irt import Array


def centre_and_spread(values: Array) -> tuple[float, float]:
    """Median and the sd that the quartiles of a normal would have."""
    fine = values[np.isfinite(values)]
    if not len(fine):
        return 0.0, 1.0
    low, middle, high = np.quantile(fine, [0.25, 0.5, 0.75])
    return float(middle), float((high - low) / 1.349)


def lower_spread(values: Array) -> float:
    """The sd that the lower quarter and tenth of a normal would have, at least 1.

    Strengths of their own make lz* of some agents lower and of none higher: it leans to the left.
    """
    fine = values[np.isfinite(values)]
    if not len(fine):
        return 1.0
    tenth, quarter, middle = (float(x) for x in np.quantile(fine, [0.1, 0.25, 0.5]))
    return max(1.0, (middle - tenth) / 1.2816, (middle - quarter) / 0.6745)


def density_interval(values: Array, weights: Array) -> tuple[float, float]:
    """Interval of probability :data:`LEVEL` of a density on uniform values."""
    half = (values[1] - values[0]) / 2
    edges = np.append(values - half, values[-1] + half)
    total = np.concatenate([[0.0], np.cumsum(weights)])
    low, high = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], total, edges)
    return float(low), float(high)
