"""Bootstrap over agents: the agents are drawn again, each with all its sessions (Efron 1979).

A draw is a row of weights, how often each agent was drawn; the first row has every agent once, so
that the first entry of everything computed is the estimate itself. All measures of a study use the
same weights, which makes their differences paired.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from harness.irt import Array

Indices = NDArray[np.intp]
Truth = NDArray[np.bool_]
_Numbers = NDArray[np.floating[Any]]
_PAIRS = 40_000_000
"""Draws × agents × agents that rank correlations are computed from at most."""
_FEWEST_DRAWS = 200


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% bootstrap interval; None where it cannot be told."""

    value: float | None
    low: float | None = None
    high: float | None = None


def estimate(draws: Array) -> Estimate:
    """Percentile interval of ``(B + 1,)`` values, the first of which is the estimate.

    Values may be infinite ("not reached"), so the ends are values that occurred.

    >>> estimate(np.array([2.0, 1.0, 2.0, 3.0]))
    Estimate(value=2.0, low=1.0, high=3.0)
    """
    known = draws[1:][~np.isnan(draws[1:])]
    if np.isnan(draws[0]) or not len(known):
        return Estimate(_plain(draws[0]))
    low, high = np.quantile(known, [0.025, 0.975], method="nearest")
    return Estimate(_plain(draws[0]), _plain(low), _plain(high))


def estimate_share(draws: Array, units: int) -> Estimate:
    """As :func:`estimate`, of a share that every unit adds to.

    Where no unit differs from the others every sample is alike, which is no reason to be sure: the
    interval is then that of Clopper and Pearson (1934).

    >>> estimate_share(np.ones(100), 10)
    Estimate(value=1.0, low=0.692, high=1.0)
    """
    found = estimate(draws)
    certain = round(0.025 ** (1 / max(units, 1)), 3)
    match found:
        case Estimate(1.0, 1.0, 1.0):
            return Estimate(1.0, certain, 1.0)
        case Estimate(0.0, 0.0, 0.0):
            return Estimate(0.0, 0.0, round(1 - certain, 3))
        case _:
            return found


def _plain(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def draw_weights(units: int, draws: int, seed: int = 0) -> Array:
    """``(draws + 1, units)`` how often each unit is drawn; the first row is all ones."""
    counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws)
    return np.concatenate([np.ones((1, units)), counts.astype(float)])


def weighted_means(weights: Array, unit: Indices, values: Array) -> Array:
    """``(B + 1, C)`` means of ``values (R, C)`` under each draw, NaN left out.

    Args:
        weights: ``(B + 1, U)``.
        unit: ``(R,)`` the unit of each row.
    """
    known = ~np.isnan(values)
    gather = csr_matrix(
        (np.ones(len(unit)), (unit, np.arange(len(unit)))), shape=(weights.shape[1], len(unit))
    )
    total = weights @ (gather @ np.where(known, values, 0.0))
    count = weights @ (gather @ known.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count)


def rank_correlations(weights: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Spearman's rho and Kendall's tau-b of two columns under each draw, ``(B + 1,)`` each.

    A unit that was drawn several times ties with itself, as in any bootstrap sample. NaN where a
    column does not vary. With many units fewer draws are used; the others are NaN.

    Args:
        weights: ``(B + 1, m)`` of the m rows of ``x`` and ``y``.
    """
    m = len(x)
    draws = int(np.clip(_PAIRS // max(m * m, 1), _FEWEST_DRAWS, len(weights)))
    # sums of counts are whole numbers far below 2^24, so single precision is exact
    w = weights[:draws].astype(np.float32)
    signs = [np.sign(c[:, None] - c[None]).astype(np.float32) for c in (x, y)]
    # twice the weighted midranks, less their mean: what lies below minus what lies above
    ranks = [(w @ sign.T).astype(float) for sign in signs]
    products = [(w * a * b).sum(axis=1) for a, b in _pairs(*ranks)]
    counts = [((w @ (a * b)).astype(float) * w).sum(axis=1) for a, b in _pairs(*signs)]
    found = []
    for both, first, second in (products, counts):
        with np.errstate(invalid="ignore", divide="ignore"):
            value = both / np.sqrt(first * second)
        found.append(np.concatenate([value, np.full(len(weights) - draws, np.nan)]))
    return found[0], found[1]


def _pairs(a: _Numbers, b: _Numbers) -> tuple[tuple[_Numbers, _Numbers], ...]:
    return (a, b), (a, a), (b, b)


def overlap(weights: Array, used: Truth) -> Array:
    """``(B + 1,)`` mean share of items that two different agents' tests have in common.

    The share is twice the common items over the sum of both lengths. Two copies of one agent in a
    draw are no pair.

    Args:
        weights: ``(B + 1, m)``.
        used: ``(m, n)`` the items of each test.
    """
    m = len(used)
    draws = int(np.clip(_PAIRS // max(m * m, 1), _FEWEST_DRAWS, len(weights)))
    tests = used.astype(np.float32)
    length = tests.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(2 * (tests @ tests.T) / (length[:, None] + length[None]))
    np.fill_diagonal(share, 0.0)
    w = weights[:draws].astype(np.float32)
    common = ((w @ share).astype(float) * w).sum(axis=1)
    pairs = w.sum(axis=1, dtype=float) ** 2 - (w.astype(float) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = common / pairs
    return np.concatenate([value, np.full(len(weights) - draws, np.nan)])


def first_reached(amount: Array, error: Array, target: Array) -> Array:
    """``(B,)`` amount at which a falling curve of errors first reaches a target; inf if never.

    Between points the curve is taken as straight, and it counts as falling: what was reached once
    stays reached.

    Args:
        amount: ``(B, T)`` ascending.
        error: ``(B, T)``.
        target: ``(B,)``.

    >>> first_reached(np.array([[1.0, 2.0, 3.0]]), np.array([[0.4, 0.3, 0.2]]), np.array([0.25]))
    array([2.5])
    """
    best = np.minimum.accumulate(np.where(np.isnan(error), np.inf, error), axis=1)
    reached = best <= target[:, None]
    rows = np.arange(len(best))
    at = reached.argmax(axis=1)
    before = np.maximum(at - 1, 0)
    drop = best[rows, before] - best[rows, at]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (best[rows, before] - target) / drop
    part = np.where((at > 0) & np.isfinite(part), part, 1.0)
    found = amount[rows, before] + part * (amount[rows, at] - amount[rows, before])
    return np.asarray(np.where(reached.any(axis=1), found, np.inf))
