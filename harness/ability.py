"""Ability of an agent: prior and posterior on nodes, point estimates, intervals.

Functions take ``weights`` of shape ``(A, Q)``: A independent agents (or hypothetical futures of
one), Q nodes, rows summing to 1. :class:`Posterior` is the one-agent face of the same arrays.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import logsumexp

from harness.errors import PlanError
from harness.irt import Array

PosteriorEstimate = Literal["eap", "map"]


@dataclass(frozen=True)
class Prior:
    """Normal prior over ability: one mean and one sd for each ability, independent of each other
    unless a ``correlation`` matrix is given.

    >>> Prior((0.0,), (1.0,)).log_weights(np.array([[-1.0], [0.0], [1.0]])).round(3).tolist()
    [-1.294, -0.794, -1.294]
    """

    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)
    correlation: tuple[tuple[float, ...], ...] = ()
    mixture: tuple[tuple[float, float, float], ...] = ()
    """Weight, mean and sd of normals that make up the prior of one ability, whose mean and sd are
    those of all of them together; empty for a single normal. See :func:`mixed`."""

    def __post_init__(self) -> None:
        finite = bool(np.isfinite([*self.mean, *self.sd]).all())
        if len(self.mean) != len(self.sd) or not finite or not all(s > 0 for s in self.sd):
            raise PlanError("a prior needs one mean and one sd > 0 for each ability")
        if problem := correlation_problem(self.correlation, len(self.mean)):
            raise PlanError(f"the correlation of a prior {problem}")
        weights = [weight for weight, _, _ in self.mixture]
        if self.mixture and (
            len(self.mean) > 1
            or not all(w > 0 and sd > 0 for w, _, sd in self.mixture)
            or abs(sum(weights) - 1) > 1e-3
        ):
            raise PlanError(
                "a mixture of priors is for one ability; its weights are positive and sum to 1, "
                "its sds are positive"
            )

    @property
    def covariance(self) -> Array:
        """``(D, D)``."""
        sd = np.array(self.sd)
        return np.outer(sd, sd) * (
            np.array(self.correlation) if self.correlation else np.eye(len(sd))
        )

    def log_weights(self, nodes: Array) -> Array:
        """``(Q,)`` log prior probabilities of the nodes ``(Q, D)``.

        Raises:
            PlanError: prior and nodes have different numbers of abilities.
        """
        if nodes.shape[1] != len(self.mean):
            raise PlanError(
                f"the prior is over {len(self.mean)} abilities, but the bank has {nodes.shape[1]}"
            )
        if self.mixture:
            weight, mean, sd = np.array(self.mixture).T
            log_density = logsumexp(np.log(weight / sd) - 0.5 * ((nodes - mean) / sd) ** 2, axis=1)
        else:
            off = nodes - np.array(self.mean)
            log_density = -0.5 * (off * np.linalg.solve(self.covariance, off.T).T).sum(axis=1)
        return np.asarray(log_density - logsumexp(log_density))

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, D)`` abilities."""
        drawn = rng.standard_normal((n, len(self.mean)))
        if not self.mixture:
            return np.asarray(np.array(self.mean) + drawn @ np.linalg.cholesky(self.covariance).T)
        weight, mean, sd = np.array(self.mixture).T
        part = rng.choice(len(weight), size=n, p=weight / weight.sum())
        return np.asarray(mean[part, None] + sd[part, None] * drawn)


def mixed(mixture: tuple[tuple[float, float, float], ...]) -> Prior:
    """A prior that is a mixture of normals ``(weight, mean, sd)``.

    >>> prior = mixed(((0.5, -1.0, 1.0), (0.5, 1.0, 1.0)))
    >>> prior.mean, round(prior.sd[0], 3)
    ((0.0,), 1.414)
    """
    weight, mean, sd = np.array(mixture).T
    centre = float(weight @ mean / weight.sum())
    variance = weight @ (sd**2 + (mean - centre) ** 2) / weight.sum()
    return Prior((centre,), (float(np.sqrt(variance)),), mixture=mixture)


def correlation_problem(correlation: tuple[tuple[float, ...], ...], size: int) -> str | None:
    """What is wrong with a correlation matrix, as the end of a sentence; None for none at all.

    >>> correlation_problem(((1.0, 0.5), (0.5, 1.0)), 2), correlation_problem((), 3)
    (None, None)
    """
    if not correlation:
        return None
    if [len(row) for row in correlation] != [size] * size:
        return f"must be a {size} × {size} matrix"
    matrix = np.array(correlation)
    if not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0):
        return "must be symmetric with ones on its diagonal"
    if np.linalg.eigvalsh(matrix)[0] <= 0:
        return "is not positive definite"
    return None


def normalise(log_weights: Array) -> Array:
    """Probabilities from unnormalised logs along the last axis."""
    shifted = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def moments(nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Means and standard deviations ``(A, D)`` of ``weights (A, Q)`` on ``nodes (Q, D)``."""
    mean = weights @ nodes
    # the second moment about each mean, expanded; nodes are centred first against cancellation
    centre = nodes.mean(axis=0)
    variance = weights @ (nodes - centre) ** 2 - (mean - centre) ** 2
    return mean, np.sqrt(np.maximum(variance, 0.0))


def point_estimate(nodes: Array, weights: Array, estimator: PosteriorEstimate) -> Array:
    """``(A, D)`` posterior means (EAP) or modes (MAP).

    With one ability the mode is refined by a parabola through the three highest log-weights.
    """
    if estimator == "eap":
        return moments(nodes, weights)[0]
    peak = weights.argmax(axis=1)
    modes = nodes[peak]
    if nodes.shape[1] > 1 or len(nodes) < 3:
        return np.asarray(modes)
    step = nodes[1, 0] - nodes[0, 0]
    inside = np.clip(peak, 1, len(nodes) - 2)
    rows = np.arange(len(weights))
    with np.errstate(divide="ignore", invalid="ignore"):
        left, mid, right = (np.log(weights[rows, inside + shift]) for shift in (-1, 0, 1))
        shift = 0.5 * (left - right) / (left - 2 * mid + right)
    shift = np.where((peak == inside) & np.isfinite(shift), shift, 0.0)
    return np.asarray(modes + step * shift[:, None])


def blurred(nodes: Array, weights: Array, sd: Array) -> Array:
    """``(A, Q)`` distributions of ability plus a normal error of sd ``(A,)`` of each agent's own.

    >>> nodes = np.linspace(-6, 6, 241)[:, None]
    >>> narrow = normalise(Prior(sd=(0.3,)).log_weights(nodes))[None]
    >>> moments(nodes, blurred(nodes, narrow, np.array([0.4])))[1].round(3).tolist()
    [[0.5]]
    """
    result = weights.copy()
    for value in np.unique(sd[sd > 0]):
        here = sd == value
        off = ((nodes[:, None] - nodes[None]) ** 2).sum(axis=2) / value**2
        result[here] = weights[here] @ normalise(-0.5 * off)
    return result


@dataclass(frozen=True)
class Interval:
    """A central interval: the posterior probability of lying inside is ``level``."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Distribution over the ability of one agent.

    ``nodes`` is ``(Q, D)``, ``weights`` is ``(Q,)`` and sums to 1.
    """

    nodes: Array
    weights: Array

    @cached_property
    def mean(self) -> Array:
        """``(D,)`` expected a posteriori estimate (EAP)."""
        return np.asarray(moments(self.nodes, self.weights[None])[0][0])

    @cached_property
    def mode(self) -> Array:
        """``(D,)`` maximum a posteriori estimate (MAP)."""
        return np.asarray(point_estimate(self.nodes, self.weights[None], "map")[0])

    @cached_property
    def sd(self) -> Array:
        """``(D,)`` posterior standard deviations."""
        return np.asarray(moments(self.nodes, self.weights[None])[1][0])

    def quantile(self, probability: float, dimension: int = 0) -> float:
        """Quantile of one ability, interpolated between nodes."""
        values, where = np.unique(self.nodes[:, dimension], return_inverse=True)
        mass = np.bincount(where, weights=self.weights)
        # each node stands for the cell around it, so half of its mass lies below it
        below = np.cumsum(mass) - mass / 2
        return float(np.interp(probability, below, values))

    def interval(self, level: float = 0.9, dimension: int = 0) -> Interval:
        """Central interval of one ability.

        >>> nodes = np.linspace(-6, 6, 241)[:, None]
        >>> flat = Posterior(nodes, normalise(Prior().log_weights(nodes)))
        >>> interval = flat.interval(0.95)
        >>> round(interval.low, 2), round(interval.high, 2)
        (-1.96, 1.96)
        """
        tail = (1 - level) / 2
        return Interval(self.quantile(tail, dimension), self.quantile(1 - tail, dimension), level)
