"""Person fit: how well an agent's outcomes agree with one ability.

With ``w = log P(x)`` of each outcome, the statistic of Drasgow, Levine and Williams (1985) is

    lz = Σ (w - E w) / √(Σ Var w)

at the estimated ability. Estimation makes it too narrow. Its correction lz* (Snijders 2001;
several categories: Sinharay 2016) takes out of w what moves with ability, ``r = P'/P``:

    lz* = Σ (w - E w - c r) / √(Σ Var(w - c r)),        c = Σ Cov(w, r) / Σ Var r

which to first order does not depend on how ability was estimated. Low is surprising. In a test
where most items are easy or hard for the agent lz* leans to the left, so its p-value is that of
the Pearson III distribution with the skewness of the sum, which the model gives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array

_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class PersonFit:
    """Of each of A agents; NaN where outcomes cannot surprise."""

    lz: Array
    corrected: Array
    """lz*."""
    skewness: Array
    """Of lz* under the model."""
    p: Array
    """Probability of an lz* as low, under the model."""
    outfit: Array
    """Mean squared standardised residual (Wright and Masters 1982)."""
    infit: Array
    """The same weighted by information."""
    outfit_z: Array
    infit_z: Array
    """As normal deviates, by the cube root of Wilson and Hilferty (1931)."""


def person_fit(p: Array, slope: Array, counts: Array, weight: Array | None = None) -> PersonFit:
    """Fit of A agents on n items of at most K categories.

    Args:
        p: ``(A, n, K)`` probabilities at each agent's ability, 0 beyond an item's categories.
        slope: ``(A, n, K)`` their derivatives.
        counts: ``(A, n, K)`` outcomes; 0 throughout where missing.
        weight: ``(A, n)`` independent trials that a cell is worth; None for as many as it has.

    >>> ability = np.array([0.0, 0.0])[:, None]
    >>> right = 1 / (1 + np.exp(np.linspace(-3, 3, 20) - ability))
    >>> p, slope = np.stack([1 - right, right], 2), right * (1 - right)
    >>> easy_ones = np.arange(20) < 10
    >>> outcomes = np.eye(2)[np.stack([easy_ones, ~easy_ones]) * 1]
    >>> person_fit(p, np.stack([-slope, slope], 2), outcomes).corrected.round(1).tolist()
    [1.7, -11.6]
    """
    from scipy.stats import pearson3

    trials = counts.sum(axis=2)
    m = trials if weight is None else weight
    share = counts / np.maximum(trials, 1)[..., None]
    known = p > _TINY
    w = np.where(known, np.log(np.maximum(p, _TINY)), np.log(_TINY))
    r = np.where(known, slope / np.maximum(p, _TINY), 0.0)
    centred = w - (p * w).sum(axis=2, keepdims=True)

    def over(values: Array) -> Array:
        """Sum over items of what each category is worth, times trials."""
        return np.asarray(np.einsum("an,ank->a", m, values))

    information = over(p * r**2)
    c = over(p * centred * r) / np.maximum(information, _TINY)
    projected = centred - c[:, None, None] * r
    plain, variance = over(p * centred**2), over(p * projected**2)
    lz = _ratio(over(share * centred), np.sqrt(plain))
    corrected = _ratio(over(share * projected), np.sqrt(variance))
    skewness = _ratio(over(p * projected**3), variance**1.5)
    tail = np.full(len(lz), np.nan)
    fine = np.isfinite(corrected)
    tail[fine] = pearson3.cdf(corrected[fine], np.where(np.isfinite(skewness), skewness, 0.0)[fine])
    return PersonFit(lz, corrected, skewness, tail, *_mean_squares(p, share, m))


def _ratio(above: Array, below: Array) -> Array:
    return np.asarray(np.where(below > 1e-6, above / np.where(below > 1e-6, below, 1.0), np.nan))


def _mean_squares(p: Array, share: Array, m: Array) -> tuple[Array, Array, Array, Array]:
    """Outfit, infit and their z."""
    k = np.arange(p.shape[2])
    away = k - (p @ k)[..., None]
    variance, fourth = (p * away**2).sum(axis=2), (p * away**4).sum(axis=2)
    # where an outcome is certain to a millionth its standardised residual says nothing
    used = (m > 0) & (variance > 1e-6)
    seen, safe = np.where(used, m, 0.0), np.where(used, variance, 1.0)
    square = (share * away).sum(axis=2) ** 2 * np.maximum(m, _TINY)
    n = used.sum(axis=1)
    outfit = _ratio((square / safe * used).sum(axis=1), n * 1.0)
    infit = _ratio((square * used).sum(axis=1), (safe * used).sum(axis=1))
    kurtosis = (fourth / safe**2 - 1) / np.maximum(seen, 1.0) * used
    q_out = _ratio(np.sqrt(np.maximum(kurtosis.sum(axis=1), 0.0)), n * 1.0)
    q_in = _ratio(
        np.sqrt(np.maximum((kurtosis * safe**2).sum(axis=1), 0.0)), (safe * used).sum(axis=1)
    )

    def deviate(value: Array, q: Array) -> Array:
        return np.asarray((np.cbrt(value) - 1) * _ratio(np.full(len(q), 3.0), q) + q / 3)

    return outfit, infit, deviate(outfit, q_out), deviate(infit, q_in)


@dataclass(frozen=True, eq=False)
class Cusum:
    """Cumulative sums of residuals in the order of administration."""

    upper: Array
    """``(A, n)`` running sum of what went better than expected, from 0 whenever it falls below."""
    lower: Array
    """The same of what went worse; at most 0."""
    positions: NDArray[np.intp]
    """``(A, n)`` item at each step; -1 beyond the last."""


def cusum(residuals: Array, order: Array | None = None) -> Cusum:
    """Cumulative sums of residuals (van Krimpen-Stoop and Meijer 2001).

    ``C⁺_t = max(0, C⁺_{t-1} + e_t)`` and ``C⁻_t = min(0, C⁻_{t-1} + e_t)``.

    Args:
        residuals: ``(A, n)`` of each item, NaN where missing.
        order: ``(n,)`` or ``(A, n)`` when each item was administered, any increasing numbers; NaN
            counts as missing. None for the order of the columns.

    >>> found = cusum(np.array([[1.0, -0.5, np.nan, -1.5]]))
    >>> found.upper.tolist(), found.lower.tolist()
    ([[1.0, 0.5, 0.0, 0.0]], [[0.0, -0.5, -2.0, -2.0]])
    """
    when = np.arange(residuals.shape[1], dtype=float) if order is None else np.asarray(order, float)
    when = np.broadcast_to(when, residuals.shape)
    missing = np.isnan(residuals) | np.isnan(when)
    positions = np.argsort(np.where(missing, np.inf, when), axis=1, kind="stable")
    steps = np.take_along_axis(np.where(missing, 0.0, residuals), positions, axis=1)
    upper, lower = cumulative(steps)
    gone = np.take_along_axis(missing, positions, axis=1)
    return Cusum(upper, lower, np.where(gone, -1, positions))


def cumulative(steps: Array) -> tuple[Array, Array]:
    """Both sums along the last axis: what is above the lowest, or below the highest, so far."""
    total = np.cumsum(steps, axis=-1)
    lowest = np.minimum(np.minimum.accumulate(total, axis=-1), 0.0)
    highest = np.maximum(np.maximum.accumulate(total, axis=-1), 0.0)
    return total - lowest, total - highest
