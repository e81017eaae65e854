"""Correlations that take estimates for the truth, and prediction of one agent from the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from harness.irt import Array
from harness.study.bootstrap import draw_weights

_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; NaN where it cannot be told."""

    value: float
    low: float = math.nan
    high: float = math.nan


def pearson(x: Array, y: Array, level: float, held: int = 0) -> Interval:
    """Product-moment correlation of ``(n,)`` with Fisher's (1921) interval.

    Args:
        held: variables held fixed, where x and y are residuals.

    >>> pearson(np.arange(8.0), np.array([1.0, 0, 2, 3, 5, 4, 6, 7]), 0.9)  # doctest: +ELLIPSIS
    Interval(value=0.95..., low=0.80..., high=0.98...)
    """
    return fisher(_correlation(x, y), len(x) - 3 - held, 1.0, level)


def spearman(x: Array, y: Array, level: float) -> Interval:
    """Rank correlation with the interval of Bonett and Wright (2000)."""
    from scipy.stats import rankdata

    r = _correlation(rankdata(x), rankdata(y))
    return fisher(r, len(x) - 3, 1 + r**2 / 2, level)


def corrected(found: Interval, reliabilities: Sequence[float]) -> Interval:
    """A correlation divided by the root of the product of two reliabilities (Spearman 1904).

    The interval takes the reliabilities for known, and may go beyond 1.

    >>> corrected(Interval(0.6, 0.3, 0.8), (0.8, 0.9)).value  # doctest: +ELLIPSIS
    0.707...
    """
    product = math.prod(reliabilities)
    scale = 1 / math.sqrt(product) if product > 0 else math.nan
    return Interval(found.value * scale, found.low * scale, found.high * scale)


def reliability(ability: Array, sd: Array) -> float:
    """Empirical reliability of posterior means ``(n,)`` with posterior sds ``(n,)``."""
    between = float(np.var(ability, ddof=1))
    within = float(np.mean(sd**2))
    return between / (between + within) if between + within > 0 else math.nan


def over_draws(first: Array, second: Array, level: float) -> Interval:
    """Mean and quantiles of the correlation over posterior draws ``(S, n)`` of two abilities.

    Draws hold the noise of both tests, so that it lies nearer to 0 than that of the abilities; and
    the interval is about noise alone, not about which agents there are.
    """
    x, y = (d - d.mean(axis=1, keepdims=True) for d in (first, second))
    square = (x**2).sum(axis=1) * (y**2).sum(axis=1)
    if not (square > 0).all():
        return Interval(math.nan)
    r = (x * y).sum(axis=1) / np.sqrt(square)
    low, high = np.quantile(r, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(r.mean()), float(low), float(high))


def residuals(values: Array, given: Array) -> Array:
    """``(n,)`` what a straight line on ``given`` leaves of ``values``."""
    off = given - given.mean()
    square = float(off @ off)
    slope = float(off @ values) / square if square > 0 else 0.0
    return np.asarray(values - values.mean() - slope * off)


def _correlation(x: Array, y: Array) -> float:
    a, b = x - x.mean(), y - y.mean()
    square = float((a @ a) * (b @ b))
    # beside values of this size rounding is all that varies
    tiny = 1e-24 * float((x @ x) * (y @ y))
    return float(np.clip(a @ b / math.sqrt(square), -1, 1)) if square > tiny else math.nan


def fisher(r: float, degrees: int, inflation: float, level: float) -> Interval:
    if degrees < 1 or math.isnan(r):
        return Interval(r)
    reach = float(ndtri((1 + level) / 2)) * math.sqrt(inflation / degrees)
    z = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return Interval(r, math.tanh(z - reach), math.tanh(z + reach))


# --- prediction -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """How well a score is told from other benchmarks for an agent that the line has not seen."""

    of: str
    """What is predicted: a benchmark's score."""
    by: tuple[str, ...]
    """From what; empty for the mean of the other agents."""
    error: float
    """Root mean square error, in shares of the score."""
    gain: Interval
    """Share of the squared error that it takes away: 1 is all, below 0 it is worse. Over the mean,
    or over what ``over`` names."""
    over: tuple[str, ...] = ()


def left_out_errors(score: Array, predictors: Array) -> Array:
    """``(n,)`` errors of a linear prediction of each score from all the others.

    By the leverages h, without fitting n times: e / (1 - h).

    >>> left_out_errors(np.array([1.0, 2.0, 6.0]), np.empty((3, 0))).round(6).tolist()
    [-3.0, -1.5, 4.5]
    """
    design = np.column_stack([np.ones(len(score)), predictors])
    q = np.linalg.svd(design, full_matrices=False)
    basis = q.U[:, q.S / q.S[0] > 1e-10]
    leverage = (basis**2).sum(axis=1)
    left = score - basis @ (basis.T @ score)
    # an agent that alone decides a coefficient leaves nothing to predict it from
    return np.asarray(np.where(leverage < 1 - 1e-9, left / np.maximum(1 - leverage, 1e-9), np.nan))


def prediction(
    score: Array,
    predictors: Array,
    of: str,
    by: tuple[str, ...],
    level: float,
    base: Array | None = None,
    over: tuple[str, ...] = (),
) -> Prediction:
    """Left-one-out prediction of scores ``(n,)`` from ``(n, p)``, with a bootstrap over agents.

    Args:
        base: ``(n, b)`` predictors of what it is held against; the mean alone when None.
    """
    errors = left_out_errors(score, predictors)
    plain = left_out_errors(score, np.empty((len(score), 0)) if base is None else base)
    known = ~(np.isnan(errors) | np.isnan(plain))
    # scores that do not vary leave nothing but rounding
    if known.sum() < 2 or not (plain[known] ** 2).sum() > 1e-20 * (score**2).sum():
        return Prediction(of, by, math.nan, Interval(math.nan), over)
    squared, against = errors[known] ** 2, plain[known] ** 2
    weights = draw_weights(int(known.sum()), _RESAMPLES)
    total = weights @ against
    gains = 1 - (weights @ squared)[total > 0] / total[total > 0]
    low, high = np.quantile(gains[1:], [(1 - level) / 2, (1 + level) / 2])
    gain = Interval(float(gains[0]), float(low), float(high))
    return Prediction(of, by, math.sqrt(float(squared.mean())), gain, over)
