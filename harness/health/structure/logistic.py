"""Logistic regressions of many items at once, with independent normal priors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, xlogy

from harness.irt import Array


@dataclass(frozen=True, eq=False)
class Regressions:
    """Penalised maxima of m regressions with p parameters."""

    at: Array
    """``(m, p)``."""
    error: Array
    """``(m, p)`` from the curvature."""
    log_likelihood: Array
    """``(m,)``."""
    height: Array
    """``(m,)`` the log-likelihood with the prior counted in."""


def maximise(y: Array, w: Array, offset: Array, design: Array, sds: Sequence[float]) -> Regressions:
    """Newton's method with halved steps, on m regressions at once.

    Args:
        y: ``(m, A)`` outcomes from 0 to 1.
        w: ``(m, A)`` trials that each is worth; 0 where missing.
        offset: ``(m, A)`` part of the logit that is given.
        design: ``(m, A, p)``.
        sds: ``(p,)`` of the priors, around 0.

    >>> y = np.array([[1.0, 1.0, 1.0, 0.0]])
    >>> found = maximise(y, np.ones((1, 4)), np.zeros((1, 4)), np.ones((1, 4, 1)), [1e3])
    >>> found.at.round(3).tolist()  # logit of 3 in 4
    [[1.099]]
    """
    precision = 1 / np.square(sds)

    def logits(at: Array) -> Array:
        return np.asarray(offset + (design @ at[..., None])[..., 0])

    def log_likelihood(at: Array) -> Array:
        z = logits(at)
        return np.asarray((w * (y * z + log_expit(-z))).sum(axis=1))

    def height(at: Array) -> Array:
        return np.asarray(log_likelihood(at) - 0.5 * (at**2) @ precision)

    at = np.zeros((len(y), len(precision)))
    now = height(at)
    for _ in range(30):
        p = expit(logits(at))
        uphill = np.einsum("ma,map->mp", w * (y - p), design) - at * precision
        curved = np.swapaxes(design * (w * p * (1 - p))[..., None], 1, 2) @ design
        curvature = curved + np.diag(precision)
        step = np.linalg.solve(curvature, uphill[..., None])[..., 0]
        new = height(at + step)
        while (worse := new < now - 1e-9).any():
            step[worse] *= 0.5
            new = height(at + step)
        at, now = at + step, new
        if np.abs(step).max() < 1e-5:
            break
    variance = np.diagonal(np.linalg.inv(curvature), axis1=1, axis2=2)
    return Regressions(at, np.sqrt(variance), log_likelihood(at), now)


def nagelkerke(log_likelihood: Array, y: Array, w: Array) -> Array:
    """``(m,)`` R² of fits to ``(m, A)`` outcomes against a constant (Nagelkerke 1991).

    Args:
        log_likelihood: ``(m,)`` that of each fit.
        y, w: as in :func:`maximise`.
    """
    n = w.sum(axis=1)
    mean = (w * y).sum(axis=1) / n
    constant = n * (xlogy(mean, mean) + xlogy(1 - mean, 1 - mean))
    return np.asarray(
        -np.expm1(2 / n * (constant - log_likelihood))
        / np.maximum(-np.expm1(2 / n * constant), 1e-9)
    )
