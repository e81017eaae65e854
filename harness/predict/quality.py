"""How good a predictor is, by its predictions of tasks that it did not see."""

import math
from dataclasses import dataclass

import numpy as np

from harness.regression import Regression


@dataclass(frozen=True)
class Check:
    """One task of the calibration, predicted from all the others."""

    item: str
    predicted: float
    low: float
    high: float
    calibrated: float
    error: float
    """Standard error of ``calibrated``."""


@dataclass(frozen=True)
class Quality:
    """Left-out predictions against what the calibration found.

    Tasks count by how well they are known: one that no agent solved, whose difficulty is a guess,
    says little of the predictor.
    """

    n: int
    correlation: float
    correlation_low: float
    correlation_high: float
    explained: float
    """Share of the variance of what is true that the features explain in tasks left out; noise of
    the calibration is taken out. Below 0 where the features mislead."""
    error_sd: float
    """Of a prediction, the noise of the calibration taken out."""
    spread: float
    """Sd of what is predicted over tasks: the error without any feature."""
    covered: float
    """Share of the tasks whose calibrated value lies in the interval of :attr:`level` around its
    prediction; both are uncertain, and the interval knows of both."""
    level: float
    shares: tuple[tuple[str, float], ...]
    """Share of the variance that each block of features is estimated to bring about, ``residual``
    last."""
    notes: tuple[str, ...]
    """What was left out of the features, and why."""
    checks: tuple[Check, ...]


def judge_predictor(fit: Regression, level: float = 0.9) -> Quality:
    """What the left-out predictions of a regression say of it.

    The interval of the correlation is Fisher's (1921).

    >>> from harness.regression import Column, Features, regress
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=300)
    >>> table = Features(
    ...     tuple(map(str, range(300))),
    ...     (Column("a", "x", "number"),),
    ...     tuple((float(value),) for value in x),
    ... )
    >>> y = x + rng.normal(0, 1, 300) + rng.normal(0, 0.5, 300)
    >>> found = judge_predictor(regress(table, y, np.full(300, 0.25)))
    >>> round(found.explained, 1), round(found.error_sd, 1), round(found.covered, 1)
    (0.5, 1.0, 0.9)
    """
    f, left = fit.fitted, fit.left_out()
    half = half_width(level)
    off = f.y - left.mean
    weight = 1 / (f.noise + fit.residual_sd**2)
    weight = weight / weight.sum()
    noise = float(weight @ f.noise)
    # against the mean of the others, too: with that of all, a left-out prediction by nothing but a
    # mean would be negatively correlated with what it predicts
    others = (weight @ f.y - weight * f.y) / (1 - weight)
    apart, true = left.mean - others, f.y - others
    spread = max(float(weight @ true**2) - noise, 1e-12)
    error = max(float(weight @ off**2) - noise, 0.0)
    scale = math.sqrt(float(weight @ apart**2) * float(weight @ true**2))
    correlation = float(weight @ (apart * true)) / scale if scale > 1e-12 else 0.0
    reach = half / math.sqrt(max(fit.n - 3, 1))
    middle = math.atanh(float(np.clip(correlation, -0.999999, 0.999999)))
    return Quality(
        n=fit.n,
        correlation=correlation,
        correlation_low=math.tanh(middle - reach),
        correlation_high=math.tanh(middle + reach),
        explained=1 - error / spread,
        error_sd=math.sqrt(error),
        spread=math.sqrt(spread),
        covered=float(np.mean(np.abs(off) <= half * np.sqrt(left.sd**2 + f.noise))),
        level=level,
        shares=fit.shares(),
        notes=fit.coding.notes,
        checks=tuple(
            Check(name, mean, mean - half * sd, mean + half * sd, y, math.sqrt(noise))
            for name, mean, sd, y, noise in zip(
                f.names,
                left.mean.tolist(),
                left.sd.tolist(),
                f.y.tolist(),
                f.noise.tolist(),
                strict=True,
            )
        ),
    )


def half_width(level: float) -> float:
    """Half of an interval of a normal variable, in sds.

    >>> round(half_width(0.9), 3)
    1.645
    """
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
