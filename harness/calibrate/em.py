"""Marginal maximum a posteriori estimation by EM on uniform ability nodes.

Three things make plain EM (Bock & Aitkin 1981) quick and safe here: all items of a shape take
one Fisher scoring step at once, with step halving; the mean and sd of ability are moved along
with the items and then absorbed by them (parameter expansion, Liu, Rubin & Wu 1998), as that is
the direction in which EM crawls; and pairs of steps are extrapolated (SQUAREM, Varadhan & Roland
2008), with a fall back to the plain step wherever the log-posterior would fall.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from harness.calibrate import priors as prior_of
from harness.calibrate.priors import ItemPriors
from harness.calibrate.shapes import Group, feasible_share, log_probability, scores
from harness.irt import Array

Parameters = list[Array]
"""One ``(m, p)`` array for each group."""
Progress = Callable[[int, float, float], None]
"""Called with iteration, log-posterior and the largest change of a parameter in its standard
errors."""

Scale = Literal["held", "floating", "fixed"]
"""How a step treats the scale of ability: it moves, and the priors of items hold it back; it
moves, and priors that are being estimated move along; or it does not move."""
Rows = NDArray[np.intp] | slice

_LARGEST_STEP = 2.0
_HALVINGS = 6


@dataclass(frozen=True, eq=False)
class Expectation:
    """What the E-step knows at some parameters."""

    log_joint: Array
    """``(A, Q)`` log-likelihood of each agent plus the log weight of the node."""
    agent_log_likelihood: Array
    """``(A,)`` marginal over ability."""
    log_prior: float
    """Of the item parameters."""

    @property
    def log_likelihood(self) -> float:
        """Marginal log-likelihood of all agents."""
        return float(self.agent_log_likelihood.sum())

    @property
    def log_posterior(self) -> float:
        """Log-likelihood plus log prior of the items."""
        return self.log_likelihood + self.log_prior

    @property
    def weights(self) -> Array:
        """``(A, Q)`` posteriors over ability."""
        return np.exp(self.log_joint - self.agent_log_likelihood[:, None])


def log_weights(nodes: Array) -> Array:
    """``(Q,)`` log of the standard normal probability of each node's cell."""
    step = nodes[1] - nodes[0]
    return np.asarray(-0.5 * nodes**2 + np.log(step / np.sqrt(2 * np.pi)))


def expect(
    groups: Sequence[Group], parameters: Parameters, priors: Sequence[ItemPriors], nodes: Array
) -> Expectation:
    """The E-step: posteriors of all agents, and how well the parameters do."""
    joint = np.tile(log_weights(nodes), (groups[0].counts.shape[0], 1))
    for group, x in zip(groups, parameters, strict=True):
        flat = log_probability(group, x, nodes).reshape(-1, len(nodes))
        joint += group.counts.reshape(len(joint), -1) @ flat
    return Expectation(joint, logsumexp(joint, axis=1), _log_prior(groups, parameters, priors))


def _log_prior(
    groups: Sequence[Group], parameters: Parameters, priors: Sequence[ItemPriors]
) -> float:
    return sum(
        float(prior_of.log_density(group, x, prior).sum())
        for group, x, prior in zip(groups, parameters, priors, strict=True)
    )


def information(group: Group, log_p: Array, score: Array, weight: Array) -> Array:
    """Expected information ``(m, p, p)`` of complete data with ``weight (m, Q)`` attempts."""
    m, k, p, q = score.shape
    scaled = (score * np.sqrt(np.exp(log_p) * weight[:, None])[:, :, None]).swapaxes(1, 2)
    flat = scaled.reshape(m, p, k * q)
    return np.asarray(flat @ flat.swapaxes(1, 2))


def maximise(
    group: Group, start: Array, prior: ItemPriors, observed: Array, nodes: Array
) -> tuple[Array, Array]:
    """The M-step of a group by Fisher scoring.

    Args:
        start: ``(m, p)`` parameters.
        observed: ``(m, K, Q)`` expected number of each outcome at each node.

    Returns:
        Parameters ``(m, p)`` that are no worse, and the covariances ``(m, p, p)`` that complete
        data of this size would leave.
    """
    weight = observed.sum(axis=1)
    # scoring is Newton's method for logits, and cruder for asymptotes: repeat it there
    rounds = 3 if group.asymptotes else 1

    def objective(x: Array, rows: Rows) -> Array:
        part = replace(group, items=group.items[rows], counts=group.counts[:, rows])
        data = (observed[rows] * log_probability(part, x, nodes)).sum(axis=(1, 2))
        return np.asarray(data + prior_of.log_density(part, x, prior))

    x = start
    for _ in range(rounds):
        log_p, score = scores(group, x, nodes)
        gradient, curvature = prior_of.gradient_and_curvature(group, x, prior)
        gradient = gradient + np.einsum("mkq,mkpq->mp", observed, score, optimize=True)
        curvature = curvature + information(group, log_p, score, weight)
        # items that neither data nor prior place must not stop the others
        curvature += 1e-9 * np.eye(group.size)
        if group.common_slope:
            gradient[:, 0] = 0.0
            curvature[:, 0, 1:] = curvature[:, 1:, 0] = 0.0
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        step *= _LARGEST_STEP / np.maximum(np.abs(step).max(axis=1, keepdims=True), _LARGEST_STEP)
        step *= feasible_share(group, x, step)[:, None]
        before = (observed * log_p).sum(axis=(1, 2)) + prior_of.log_density(group, x, prior)
        x = _halve(x, step, before, objective)
    return x, np.asarray(np.linalg.inv(curvature))


def _halve(
    x: Array, step: Array, before: Array, objective: Callable[[Array, Rows], Array]
) -> Array:
    """Take as much of each item's step as makes its objective no worse."""
    new = x + step
    worse = np.flatnonzero(objective(new, slice(None)) < before - 1e-10 * np.abs(before))
    for _ in range(_HALVINGS):
        if not len(worse):
            return new
        step = step / 2
        new[worse] = x[worse] + step[worse]
        worse = worse[objective(new[worse], worse) < before[worse]]
    new[worse] = x[worse]
    return new


def rescale(
    groups: Sequence[Group], parameters: Parameters, mean: float, log_sd: float
) -> Parameters:
    """The same items on the scale on which abilities ``N(mean, sd²)`` become N(0, 1)."""
    moved = []
    for group, x in zip(groups, parameters, strict=True):
        new = x.copy()
        new[:, 1 : 1 + group.steps] += mean * np.exp(x[:, :1])
        new[:, 0] += log_sd
        moved.append(new)
    return moved


def population_step(
    groups: Sequence[Group],
    parameters: Parameters,
    priors: Sequence[ItemPriors],
    nodes: Array,
    found: Expectation,
) -> tuple[float, float, Array]:
    """A Newton step of the mean and log sd of ability, from the likelihoods of the E-step.

    Args:
        priors: of the items, which hold back the change of scale.

    Returns:
        Mean, log sd, and the posteriors ``(A, Q)`` under that population.
    """
    weights = found.weights
    z, z2 = nodes, nodes**2
    first, second = weights @ z, weights @ z2
    fourth = weights @ z2**2
    agents = len(weights)
    slope = np.array([first.sum(), second.sum() - agents])
    # observed information (Louis 1982): complete minus missing
    bend = np.array(
        [
            agents - (second - first**2).sum(),
            2 * second.sum() - (fourth - second**2).sum(),
        ]
    )
    bend = np.maximum(bend, 0.05 * agents)
    for group, x, prior in zip(groups, parameters, priors, strict=True):
        # how the items move with the mean of ability, and with its log sd
        by_mean = np.zeros_like(x)
        by_mean[:, 1 : 1 + group.steps] = np.exp(x[:, :1])
        pull = (x - prior.mean) @ prior.precision
        slope -= (by_mean * pull).sum(), pull[:, 0].sum()
        bend += ((by_mean @ prior.precision) * by_mean).sum(), len(x) * prior.precision[0, 0]
    step = np.clip(slope / bend, -0.5, 0.5)

    def trial(mean: float, log_sd: float) -> tuple[float, Array, Array]:
        shift = -0.5 * ((nodes - mean) * np.exp(-log_sd)) ** 2 + 0.5 * nodes**2 - log_sd
        joint = found.log_joint + shift
        total = logsumexp(joint, axis=1)
        moved = rescale(groups, parameters, mean, log_sd)
        return float(total.sum()) + _log_prior(groups, moved, priors), joint, total

    before = found.log_likelihood + _log_prior(groups, parameters, priors)
    for _ in range(_HALVINGS):
        value, joint, total = trial(float(step[0]), float(step[1]))
        if value >= before:
            return float(step[0]), float(step[1]), np.exp(joint - total[:, None])
        step = step / 2
    return 0.0, 0.0, weights


@dataclass(frozen=True, eq=False)
class Step:
    """One EM step: what was known before it, and the parameters after it."""

    before: Expectation
    parameters: Parameters
    covariances: list[Array]
    """``(m, p, p)`` for each group, see :func:`maximise`."""
    priors: Sequence[ItemPriors]
    """Those given, moved along if they float."""


def em_step(
    groups: Sequence[Group],
    parameters: Parameters,
    priors: Sequence[ItemPriors],
    nodes: Array,
    scale: Scale = "held",
) -> Step:
    """E-step, population step, M-step."""
    found = expect(groups, parameters, priors, nodes)
    mean, log_sd, weights = 0.0, 0.0, found.weights
    if scale != "fixed":
        resisting = priors if scale == "held" else list(map(prior_of.of_scale, groups, priors))
        mean, log_sd, weights = population_step(groups, parameters, resisting, nodes, found)
    moved = rescale(groups, parameters, mean, log_sd)
    if scale == "floating":
        priors = [
            prior_of.rescale(group, prior, mean, log_sd)
            for group, prior in zip(groups, priors, strict=True)
        ]
    # the old nodes seen from the new scale: the posteriors stay where they are
    nodes = (nodes - mean) * np.exp(-log_sd)
    after, covariances = [], []
    for group, x, prior in zip(groups, moved, priors, strict=True):
        agents, m, k = group.counts.shape
        observed = (group.counts.reshape(agents, -1).T @ weights).reshape(m, k, -1)
        new, covariance = maximise(group, x, prior, observed, nodes)
        after.append(new)
        covariances.append(covariance)
    return Step(found, after, covariances, priors)


def largest_change(before: Parameters, step: Step) -> float:
    """Largest change of a parameter by a step, in its standard errors."""
    return max(
        float((np.abs(x - y) / np.sqrt(covariance.diagonal(axis1=1, axis2=2))).max())
        for x, y, covariance in zip(before, step.parameters, step.covariances, strict=True)
    )


def extrapolate(
    groups: Sequence[Group], start: Parameters, first: Parameters, second: Parameters
) -> Parameters | None:
    """SQUAREM's extrapolation of two EM steps; None where it would leave the allowed region."""
    r = [b - a for a, b in zip(start, first, strict=True)]
    v = [c - b - d for b, c, d in zip(first, second, r, strict=True)]
    r_norm = np.sqrt(sum(float((x**2).sum()) for x in r))
    v_norm = np.sqrt(sum(float((x**2).sum()) for x in v))
    if v_norm == 0.0 or r_norm <= v_norm:
        return None
    length = min(r_norm / v_norm, 64.0)
    new = [a + 2 * length * b + length**2 * c for a, b, c in zip(start, r, v, strict=True)]
    for group, x in zip(groups, new, strict=True):
        if any((x[:, above] <= x[:, below]).any() for above, below in group.ordered):
            return None
        if not np.isfinite(x).all() or np.abs(x).max() > 50:
            return None
    return new
