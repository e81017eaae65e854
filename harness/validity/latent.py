"""Correlations of what benchmarks measure, from estimates with errors: attenuation put right.

What agent i has on d benchmarks is θ_i ~ N(μ, Σ), and what is known of it is y_i = θ_i + e_i with
e_i ~ N(0, diag(v_i)). Given Σ the estimates are normal with covariance V_i = Σ + diag(v_i), so
with a flat prior on μ, integrated out,

    log L(Σ) = -½ Σ_i [log|V_i| + (y_i - μ̂)ᵀ V_i⁻¹ (y_i - μ̂)] - ½ log|Σ_i V_i⁻¹|

where μ̂ is the mean weighted by V_i⁻¹. Noise is in V_i, not in Σ: the correlation of Σ is what
would be seen without errors of measurement, and its posterior is wider for them (Spearman 1904 put
the estimate right, this its uncertainty too). Priors: sds flat (Gelman 2006); a correlation as
(1 - ρ²)^-½, flat in its arcsine (LKJ with η = ½, Lewandowski, Kurowicka and Joe 2009), with which
medians are nearly unbiased and intervals hold their level where a flat one shrinks high
correlations of a few agents. Of three measures the correlations with the third and the partial
correlation given it each have that prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.irt import Array

_SDS = 21
"""Nodes of each sd."""
_REACH = 5.0
"""Of the nodes of a correlation, in Fisher's z: up to 0.9999."""
_COARSE, _CORRELATIONS = 61, 61
"""Nodes of a correlation, to find where its posterior lies and then there."""
_PRIOR = 0.5
"""Power of 1 - ρ² in the prior density of Fisher's z; 1 would be flat in ρ."""
_FALL = 9.0
"""Nodes of an sd end where its log-posterior lies so far below its peak."""
_WALKERS, _STEPS, _BURN = 60, 700, 200


@dataclass(frozen=True, eq=False)
class Correlation:
    """Posterior of a correlation of two latent abilities."""

    nodes: Array
    """``(R,)`` Fisher's z, uniform."""
    weights: Array
    """``(R,)`` probabilities."""
    lines: Array
    """``(S, 2)`` draws of (intercept, slope) of the regression of the second on the first."""

    def quantile(self, probability: float) -> float:
        """Of the correlation."""
        below = np.cumsum(self.weights) - self.weights / 2
        return float(np.tanh(np.interp(probability, below, self.nodes)))

    @property
    def positive(self) -> float:
        """Probability that it is above 0."""
        below = np.cumsum(self.weights) - self.weights / 2
        return 1 - float(np.interp(0.0, self.nodes, below, left=0.0, right=1.0))


def correlation(estimate: Array, error: Array, *, lines: int = 400, seed: int = 0) -> Correlation:
    """Posterior of the correlation of two abilities, on a grid.

    Args:
        estimate: ``(n, 2)`` estimates that are not shrunk towards a prior.
        error: ``(n, 2)`` variances of their errors, 0 or more.
        lines: draws of the regression line.
        seed: of the draws.

    >>> x = np.linspace(-1.5, 1.5, 20)
    >>> y = np.column_stack([x, 0.8 * x + 0.6 * np.cos(7 * x)])
    >>> found = correlation(y, np.full((20, 2), 0.05))
    >>> bool(found.quantile(0.05) < found.quantile(0.5) < found.quantile(0.95))
    True
    """
    sds = [_sd_nodes(estimate[:, d], error[:, d]) for d in range(2)]
    z = np.linspace(-_REACH, _REACH, _COARSE)
    thin = [nodes[::2] for nodes in sds]
    for nodes in (thin, sds):
        rho, first, second = (
            grid.ravel() for grid in np.meshgrid(np.tanh(z), *nodes, indexing="ij")
        )
        covariance = np.stack([first**2, second**2, rho * first * second])
        log, mean, spread = _pair(estimate, error, covariance)
        log = log + _PRIOR * np.log1p(-(rho**2))
        joint = np.exp(log - log.max())
        joint /= joint.sum()
        if nodes is thin:
            # again on nodes that lie where the posterior does
            best = log.reshape(len(z), -1).max(axis=1)
            inside = z[best > best.max() - _FALL]
            step = z[1] - z[0]
            z = np.linspace(
                max(inside[0] - step, -_REACH), min(inside[-1] + step, _REACH), _CORRELATIONS
            )
    weights = joint.reshape(len(z), -1).sum(axis=1)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(joint), lines, p=joint)
    root = np.linalg.cholesky(spread[chosen])
    centre = mean[chosen] + (root @ rng.standard_normal((lines, 2, 1)))[:, :, 0]
    slope = (rho * second / first)[chosen]
    return Correlation(z, weights, np.column_stack([centre[:, 1] - slope * centre[:, 0], slope]))


def _sd_nodes(estimate: Array, error: Array) -> Array:
    """Uniform nodes of the sd of one ability that hold its posterior."""
    scale = np.sqrt(np.ptp(estimate) ** 2 + error.min()) or 1.0
    sd = np.geomspace(1e-3 * scale, 10 * scale, 400)
    variance = sd[:, None] ** 2 + error
    weight = 1 / variance
    mean = weight @ estimate / weight.sum(axis=1)
    off = estimate - mean[:, None]
    log = -0.5 * (
        np.log(variance).sum(axis=1) + (weight * off**2).sum(axis=1) + np.log(weight.sum(axis=1))
    )
    inside = sd[log > log.max() - _FALL]
    low, high = float(inside[0]), float(inside[-1])
    step = (high - low) / _SDS
    return np.asarray(low + step * (np.arange(_SDS) + 0.5)) if step else np.array([low])


def _pair(estimate: Array, error: Array, covariance: Array) -> tuple[Array, Array, Array]:
    """Log-likelihood ``(G,)``, mean ``(G, 2)`` and covariance ``(G, 2, 2)`` of μ at each Σ.

    The inverses of two by two matrices by hand: there are millions.
    """
    a = covariance[0][:, None] + error[:, 0]
    b = covariance[1][:, None] + error[:, 1]
    c = covariance[2][:, None]
    determinant = a * b - c**2
    log = np.log(determinant).sum(axis=1)
    a, b, c = b / determinant, a / determinant, -c / determinant
    x, y = estimate.T
    aa, bb, cc = a.sum(axis=1), b.sum(axis=1), c.sum(axis=1)
    right = np.stack([a @ x + c @ y, c @ x + b @ y], axis=1)
    whole = aa * bb - cc**2
    spread = np.stack([bb, -cc, -cc, aa], axis=1).reshape(-1, 2, 2) / whole[:, None, None]
    mean = (spread @ right[:, :, None])[:, :, 0]
    square = a @ x**2 + b @ y**2 + 2 * (c @ (x * y)) - (right * mean).sum(axis=1)
    return -0.5 * (log + square + np.log(whole)), mean, spread


# --- three measures ---------------------------------------------------------------------------


def partial_draws(estimate: Array, error: Array, *, seed: int = 0) -> Array:
    """``(S,)`` draws of the correlation of two abilities given a third.

    By an ensemble of walkers (Goodman and Weare 2010) over the logarithms of the sds and Fisher's
    z of the two correlations with the third and of the partial one.

    Args:
        estimate: ``(n, 3)``; the third is what is held fixed.
        error: ``(n, 3)`` variances of the errors.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    place = _start(estimate, error) + 0.1 * rng.standard_normal((_WALKERS, 6))
    log = _log_posterior(place, estimate, error)
    half = _WALKERS // 2
    kept = []
    for step in range(_STEPS):
        for moved, others in (
            (slice(0, half), slice(half, None)),
            (slice(half, None), slice(half)),
        ):
            stretch = (1 + rng.random(half)) ** 2 / 2
            partner = place[others][rng.integers(half, size=half)]
            proposed = partner + stretch[:, None] * (place[moved] - partner)
            found = _log_posterior(proposed, estimate, error)
            gain = (place.shape[1] - 1) * np.log(stretch) + found - log[moved]
            better = np.log(rng.random(half)) < gain
            place[moved] = np.where(better[:, None], proposed, place[moved])
            log[moved] = np.where(better, found, log[moved])
        if step >= _BURN:
            kept.append(np.tanh(place[:, 5]))
    return np.concatenate(kept)


def _start(estimate: Array, error: Array) -> Array:
    seen = estimate.var(axis=0)
    # of constant estimates any place will do
    sd = np.sqrt(np.maximum(seen - np.median(error, axis=0), 0.05 * seen + 1e-6))
    return np.concatenate([np.log(sd), np.zeros(3)])


def _log_posterior(place: Array, estimate: Array, error: Array) -> Array:
    """``(W,)`` at places ``(W, 6)``."""
    # beyond this sds and correlations are 0, infinite or 1 to the last digit
    inside = np.all(np.abs(place) < [12, 12, 12, *[_REACH] * 3], axis=1)
    held = np.where(inside[:, None], place, 0.0)
    sd, r = np.exp(held[:, :3]), np.tanh(held[:, 3:])
    rest = np.sqrt((1 - r[:, 0] ** 2) * (1 - r[:, 1] ** 2))
    between = r[:, 0] * r[:, 1] + r[:, 2] * rest
    one = np.ones_like(between)
    matrix = np.stack([one, between, r[:, 0], between, one, r[:, 1], r[:, 0], r[:, 1], one], axis=1)
    sigma = matrix.reshape(-1, 3, 3) * sd[:, :, None] * sd[:, None, :]
    log = _log_likelihood(sigma, estimate, error) + held[:, :3].sum(axis=1)
    log += _PRIOR * np.log(1 - r**2).sum(axis=1)
    return np.asarray(np.where(inside, log, -np.inf))


def _log_likelihood(sigma: Array, estimate: Array, error: Array) -> Array:
    """``(G,)`` of covariances ``(G, 3, 3)``, the mean integrated out.

    Inverses by cofactors: with so small matrices anything else is mostly calls.
    """
    a, b, c = (sigma[:, [d], d] + error[:, d] for d in range(3))
    f, g, h = sigma[:, [0], 1], sigma[:, [0], 2], sigma[:, [1], 2]
    determinant, inverse = _inverted((a, b, c, f, g, h))
    whole = [entry.sum(axis=1) for entry in inverse]
    all_determinant, spread = _inverted(whole)
    x, y, z = estimate.T
    a, b, c, f, g, h = inverse
    r = a @ x + f @ y + g @ z, f @ x + b @ y + h @ z, g @ x + h @ y + c @ z
    square = a @ x**2 + b @ y**2 + c @ z**2 + 2 * (f @ (x * y) + g @ (x * z) + h @ (y * z))
    a, b, c, f, g, h = spread
    square -= a * r[0] ** 2 + b * r[1] ** 2 + c * r[2] ** 2
    square -= 2 * (f * r[0] * r[1] + g * r[0] * r[2] + h * r[1] * r[2])
    log = np.log(determinant).sum(axis=1) + np.log(all_determinant)
    return np.asarray(-0.5 * (log + square))


def _inverted(entries: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Determinant and inverse of symmetric matrices ``[[a, f, g], [f, b, h], [g, h, c]]``, whose
    entries ``a, b, c, f, g, h`` are given and returned in this order."""
    a, b, c, f, g, h = entries
    cofactors = [
        *(b * c - h**2, a * c - g**2, a * b - f**2),
        *(g * h - f * c, f * h - g * b, f * g - a * h),
    ]
    determinant = a * cofactors[0] + f * cofactors[3] + g * cofactors[4]
    return determinant, [cofactor / determinant for cofactor in cofactors]
