"""How uncertain calibrated parameters are.

The covariance of an item is the inverse of its observed information at the mode (Louis 1982):
the expected information that complete data would hold, minus what is missing because abilities
are only known up to their posterior, plus the curvature of the prior. Items count as known to
each other; the scale is that of the calibrating agents, so its own uncertainty is no part of it.
"""

from collections.abc import Sequence

import numpy as np

from harness.calibrate import priors as prior_of
from harness.calibrate.em import Expectation, Parameters, information
from harness.calibrate.priors import ItemPriors
from harness.calibrate.shapes import Group, scores
from harness.irt import Array


def covariances(
    groups: Sequence[Group],
    parameters: Parameters,
    priors: Sequence[ItemPriors],
    nodes: Array,
    found: Expectation,
) -> list[Array]:
    """``(m, p, p)`` positive definite covariances of each group's items."""
    weights = found.weights
    result = []
    for group, x, prior in zip(groups, parameters, priors, strict=True):
        agents, m, k = group.counts.shape
        log_p, score = scores(group, x, nodes)
        observed = (group.counts.reshape(agents, -1).T @ weights).reshape(m, k, -1)
        complete = information(group, log_p, score, observed.sum(axis=1))
        _, curvature = prior_of.gradient_and_curvature(group, x, prior)
        if group.common_slope:
            curvature[:, 0, 0] += _scale_information(weights, nodes)
            complete[:, 0] = complete[:, :, 0] = 0.0
            missing = _missing(group, score, weights)
            missing[:, 0] = missing[:, :, 0] = 0.0
        else:
            missing = _missing(group, score, weights)
        result.append(_invert(complete + curvature, missing))
    return result


def _scale_information(weights: Array, nodes: Array) -> float:
    """Observed information of the log sd of ability, which moves a common slope."""
    second, fourth = weights @ nodes**2, weights @ nodes**4
    return max(float(2 * second.sum() - (fourth - second**2).sum()), 1.0)


def _missing(group: Group, score: Array, weights: Array) -> Array:
    """``(m, p, p)`` variance of the complete-data score given what was observed, all agents."""
    agents, m, k = group.counts.shape
    p = group.size
    mean = np.zeros((agents, m, p))
    square = np.zeros((m, p, p))
    for i in range(k):
        expected = weights @ score[:, i].reshape(m * p, -1).T
        mean += group.counts[:, :, i, None] * expected.reshape(agents, m, p)
        for j in range(k):
            # a cell with several trials scores them all at the same ability
            both = (group.counts[:, :, i] * group.counts[:, :, j]).T @ weights
            square += (score[:, i] * both[:, None]) @ score[:, j].swapaxes(1, 2)
    return np.asarray(square - np.einsum("amp,amr->mpr", mean, mean))


def _invert(certain: Array, missing: Array) -> Array:
    """Inverse of ``certain - missing``, of which at least a tenth of ``certain`` is kept.

    In the coordinates where ``certain`` is the identity, ``missing`` has eigenvalues between 0
    and 1; rounding and rare items can push one above.
    """
    factor = np.linalg.inv(np.linalg.cholesky(certain))
    relative = factor @ missing @ factor.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(relative)
    kept = np.maximum(1.0 - np.maximum(values, 0.0), 0.1)
    half = factor.swapaxes(1, 2) @ (vectors / np.sqrt(kept)[:, None, :])
    return np.asarray(half @ half.swapaxes(1, 2))
