"""Infit and outfit of items: their squared residuals against what is expected of them."""

import math
from dataclasses import dataclass

import numpy as np

from harness.irt import Array

LEAST_VARIANCE = math.sqrt(1e-5)
"""Of a score between 0 and 1."""


@dataclass(frozen=True, eq=False)
class MeanSquares:
    """Of n items: squared residuals relative to their variance, 1 when all is as expected."""

    infit: Array
    """``(n,)`` weighted by variance: agents for whom the item is neither easy nor hard."""
    outfit: Array
    """``(n,)`` unweighted: ruled by surprises far from the item's difficulty."""
    z_infit: Array
    z_outfit: Array


def mean_squares(residual: Array, variance: Array, fourth: Array) -> MeanSquares:
    """Infit and outfit (Wright and Masters 1982), z by Wilson and Hilferty's cube root.

    Args:
        residual: ``(A, n)`` observed minus expected score; NaN where missing.
        variance: ``(A, n)`` expected square of the residual; below :data:`LEAST_VARIANCE` it counts
            as that, as in mirt, so that no single surprise makes an outfit.
        fourth: ``(A, n)`` expected fourth power.

    Returns:
        NaN for items that nobody answered.

    >>> half = np.full((4, 1), 0.5)
    >>> found = mean_squares(half, half**2, half**4)
    >>> found.infit.tolist(), found.outfit.tolist()
    ([1.0], [1.0])
    """
    there = np.isfinite(residual)
    r, w, c = (np.where(there, x, y) for x, y in ((residual, 0.0), (variance, 1.0), (fourth, 1.0)))
    w = np.maximum(w, LEAST_VARIANCE)
    inside = there.astype(float)
    n = inside.sum(axis=0)
    n = np.where(n > 0, n, np.nan)
    total = (w * inside).sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    infit = (r**2).sum(axis=0) / total
    outfit = (r**2 / w).sum(axis=0) / n
    q_infit = np.sqrt(np.maximum(((c - w**2) * inside).sum(axis=0), 0.0)) / total
    q_outfit = np.sqrt(np.maximum((c / w**2 * inside).sum(axis=0) / n**2 - 1 / n, 0.0))
    return MeanSquares(infit, outfit, _cube_root(infit, q_infit), _cube_root(outfit, q_outfit))


def _cube_root(mean_square: Array, sd: Array) -> Array:
    # sd beyond √2 is that of a single squared normal: the formula turns around there
    q = np.minimum(sd, math.sqrt(2))
    q = np.where(q > 0, q, np.nan)
    return np.asarray((np.cbrt(mean_square) - 1) * 3 / q + q / 3)
