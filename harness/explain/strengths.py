"""What agents are good at: a weight of every feature for every agent, on top of its ability.

    logit E[score of agent a on item i] = offset_ai + slope_i (β_a + Σ_f x_if u_af)

where x are features, standardised over the fitted items, u ~ N(0, sd² / features) and β ~
N(0, base²) an error of the ability that the offset holds. The sd is that of what all features
together do to one item; it maximises the evidence over all agents, each integrated by Laplace's
method (MacKay 1992). Where agents do not differ beyond their abilities it comes out as 0. Scores
between 0 and 1 enter as fractions (Papke and Wooldridge 1996).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from harness.irt import Array

_LOG_SD = -4.0, 1.1
"""Logs of the sds among which the likeliest is sought."""
_NEWTON = 40
_SURE = 1e-6


@dataclass(frozen=True, eq=False)
class Strengths:
    """Weights of p features for A agents."""

    centre: Array
    """``(p,)`` of the features, and"""
    scale: Array
    """``(p,)`` their sds, over the fitted items; 0 where a feature is constant."""
    weights: Array
    """``(A, p)`` posterior means, per sd of the feature; in logits where slopes are 1."""
    covariance: Array
    """``(A, p, p)``."""
    base: Array
    """``(A,)`` error of ability."""
    sd: float
    """Of what all features together do to an item between agents."""
    gain: float
    """Log evidence of that sd less that of none."""
    p: float
    """Of so large a gain were there no such differences."""


def fit_strengths(
    offset: Array,
    score: Array,
    features: Array,
    *,
    slope: Array | None = None,
    trials: Array | None = None,
    base_sd: float = 0.0,
    sd: float | None = None,
) -> Strengths:
    """Learn what A agents are good at from n items.

    Args:
        offset: ``(A, n)`` logits that abilities and difficulties alone give.
        score: ``(A, n)`` outcomes from 0 to 1; NaN where missing.
        features: ``(n, p)``; NaN counts as the mean.
        slope: ``(n,)`` of each item, where weights are to be in units of ability; 1 when None.
        trials: ``(A, n)`` that each score is worth; 1 when None.
        base_sd: of the error of the abilities in the offset; 0 takes them as known.
        sd: take this one instead of learning it.

    Where several features say much the same, their weights share what they do.

    >>> rng = np.random.default_rng(0)
    >>> x, u = rng.normal(size=(400, 2)), rng.normal(0, 0.7, (30, 2))
    >>> score = (rng.random((30, 400)) < expit(u @ x.T)).astype(float)
    >>> found = fit_strengths(np.zeros((30, 400)), score, x)
    >>> round(found.sd, 1), round(float(np.sqrt((u**2).sum(axis=1).mean())), 1)
    (0.7, 0.7)
    """
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2

    known = np.isfinite(score)
    y = np.where(known, score, 0.0)
    w = known * (1.0 if trials is None else trials)
    centre = np.nanmean(features, axis=0)
    scale = np.nanstd(features, axis=0)
    scale[scale < 1e-9 * np.maximum(np.abs(centre), 1.0)] = 0.0
    x = _standardised(features, centre, scale)
    design = np.column_stack([np.ones(len(x)), x])
    if slope is not None:
        design = design * slope[:, None]
    p = features.shape[1]
    at = np.zeros((len(y), 1 + p))

    def solve(log_sd: float) -> _Laplace:
        nonlocal at
        prior = np.full(1 + p, np.exp(2 * log_sd) / p)
        prior[0] = base_sd**2
        found = _laplace(offset, y, w, design, prior, at)
        at = found.at
        return found

    none = solve(-np.inf)
    log_sd = np.log(sd) if sd is not None else -np.inf
    if sd is None and p and (scale > 0).any():
        best = minimize_scalar(
            lambda value: -solve(value).evidence,
            bounds=_LOG_SD,
            method="bounded",
            options={"xatol": 0.02},
        )
        log_sd = float(best.x) if -best.fun > none.evidence else -np.inf
    found = solve(log_sd)
    gain = found.evidence - none.evidence
    return Strengths(
        centre,
        scale,
        found.at[:, 1:],
        found.covariance[:, 1:, 1:],
        found.at[:, 0],
        float(np.exp(log_sd)),
        float(gain),
        float(chi2.sf(2 * gain, 1) / 2) if gain > 0 else 1.0,
    )


def weigh(
    offset: Array,
    score: Array,
    features: Array,
    prior_sd: Array,
    *,
    slope: Array,
    trials: Array,
    base_sd: float,
) -> tuple[Array, Array]:
    """Weights of all features at once for one agent, each with a prior of its own.

    Args:
        offset, score, trials: ``(n,)``, otherwise as :func:`fit_strengths`, as is the rest.
        features: ``(n, p)`` as they are, not standardised.
        prior_sd: ``(p,)`` of the weights; 0 keeps one at nought.

    Returns:
        Posterior modes and sds, ``(p,)`` each.
    """
    known = np.isfinite(score)
    centred = features - features[known].mean(axis=0)
    design = np.column_stack([np.ones(len(centred)), centred]) * slope[:, None]
    prior = np.concatenate([[base_sd], prior_sd]) ** 2
    found = _laplace(
        offset[None],
        np.where(known, score, 0.0)[None],
        (known * trials)[None],
        design,
        prior,
        np.zeros((1, len(prior))),
    )
    return found.at[0, 1:], np.sqrt(np.maximum(np.diag(found.covariance[0])[1:], 0.0))


def predict_strengths(
    strengths: Strengths, features: Array, slope: Array | None = None
) -> tuple[Array, Array]:
    """What strengths add to the logits of m items, new ones too.

    Args:
        features: ``(m, p)``.
        slope: ``(m,)`` where the fit had slopes.

    Returns:
        Mean and sd, ``(A, m)`` each.
    """
    x = _standardised(features, strengths.centre, strengths.scale)
    if slope is not None:
        x = x * slope[:, None]
    variance = np.einsum("ip,aip->ai", x, x[None] @ strengths.covariance)
    return strengths.weights @ x.T, np.sqrt(np.maximum(variance, 0.0))


def _standardised(features: Array, centre: Array, scale: Array) -> Array:
    x = (features - centre) / np.where(scale > 0, scale, 1.0)
    return np.where(np.isfinite(x) & (scale > 0), x, 0.0)


@dataclass(frozen=True, eq=False)
class _Laplace:
    at: Array
    """``(A, q)`` posterior modes."""
    covariance: Array
    """``(A, q, q)``."""
    evidence: float
    """Log, over all agents."""


def _laplace(
    offset: Array, y: Array, w: Array, design: Array, prior: Array, start: Array
) -> _Laplace:
    """Modes and curvatures of all agents; parameters of prior variance 0 stay at 0.

    In units of the prior sd, so that no variance is too small to divide by.
    """
    root = np.sqrt(prior)
    x = design * root
    at = start / np.where(root > 0, root, np.inf)

    def height(at: Array) -> Array:
        z = offset + at @ x.T
        return np.asarray((w * (y * z + log_expit(-z))).sum(axis=1) - 0.5 * (at**2).sum(axis=1))

    now = height(at)
    worse_start = now < height(np.zeros_like(at))
    at[worse_start] = 0.0
    now = height(at)
    for _ in range(_NEWTON):
        chance = expit(offset + at @ x.T)
        uphill = (w * (y - chance)) @ x - at
        curvature = np.eye(len(root)) + x.T @ ((w * chance * (1 - chance))[:, :, None] * x)
        step = np.linalg.solve(curvature, uphill[:, :, None])[:, :, 0]
        new = height(at + step)
        while (worse := new < now - 1e-9).any():
            step[worse] *= 0.5
            new = height(at + step)
        at, now = at + step, new
        if np.abs(step).max(initial=0.0) < _SURE:
            break
    _, log_det = np.linalg.slogdet(curvature)
    covariance = root[:, None] * np.linalg.inv(curvature) * root
    return _Laplace(at * root, covariance, float((now - 0.5 * log_det).sum()))
