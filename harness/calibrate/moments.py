"""Posterior means and covariances of items, where the mode and its curvature would not do.

With few agents the posterior of an item is skewed: its mode is not its mean, and a Gaussian at the
mode has the wrong width. Given the other items an item's posterior is cheap to evaluate: the
agents' posteriors without this item are known at every node. So draws from the Gaussian are
weighted by the true posterior (importance sampling), which gives its moments and tells how poor the
Gaussian was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness import irt
from harness.calibrate import priors as prior_of
from harness.calibrate.ascend import State
from harness.calibrate.blocks import Block, natural
from harness.calibrate.cells import Trials
from harness.calibrate.problem import Problem, posteriors, priors_at
from harness.irt import Array

_DRAWS = 200
_WIDER = 1.15
"""Draws are this much wider than the Gaussian, so that its tails are met."""
_MOST_WORK = 4e10
"""Multiplications; more agents than that make every Gaussian good."""
_TOO_FEW = 0.05
"""Below this share of effective draws the weights say nothing, and the Gaussian is kept."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the items of a block, given all other items."""

    mean: Array
    """``(m, f)``."""
    covariance: Array
    """``(m, f, f)``."""
    effective: Array
    """``(m,)`` share of the draws that count: 1 for a perfect Gaussian; NaN where not looked at."""


def item_moments(problem: Problem, state: State, gaussian: Sequence[Array]) -> tuple[Moments, ...]:
    """Moments of the free parameters of every item.

    Args:
        gaussian: ``(m, f, f)`` covariance of each block's items at the mode, others known.
    """
    n_items = sum(len(block.items) for block in problem.blocks)
    work = problem.agents * len(problem.grid.nodes) * _DRAWS * n_items
    found = []
    weights = None
    for b, (cells, covariance) in enumerate(zip(problem.cells, gaussian, strict=True)):
        phi = state.point.items[b]
        if not isinstance(cells, Trials) or work > _MOST_WORK:
            found.append(Moments(phi, covariance, np.full(len(phi), np.nan)))
            continue
        if weights is None:
            tables = [table[0] for table in state.found.tables]
            weights, _ = posteriors(problem, state.point, tables, slice(None))
        found.append(_block_moments(problem, state, b, cells, covariance, weights))
    return tuple(found)


def _block_moments(
    problem: Problem, state: State, b: int, cells: Trials, gaussian: Array, weights: Array
) -> Moments:
    block, phi, gamma = problem.blocks[b], state.point.items[b], state.point.shared
    prior = priors_at(problem, state.point)[b]
    log_p = state.found.tables[b][0]
    outcomes = cells.outcomes(slice(None))
    z = irt.normal_draws(phi.shape[1], _DRAWS)
    log_proposal = -0.5 * (z**2).sum(axis=1)
    at_mode = block.parameters(phi, gamma)
    mean, covariance, effective = phi.copy(), gaussian.copy(), np.empty(len(phi))
    for j in range(len(phi)):
        root = np.linalg.cholesky(gaussian[j])
        drawn = phi[j] + _WIDER * z @ root.T
        x = block.parameters(drawn, gamma)
        own = prior_of.one(prior, j, len(drawn))
        ordered = np.ones(len(x), bool)
        for above, below in block.ordered:
            ordered &= x[:, above] > x[:, below]
        log_w = np.where(ordered, 0.0, -np.inf) - log_proposal
        safe = np.where(ordered[:, None], x, at_mode[j])
        log_w += prior_of.log_density(block, drawn, safe, own)
        log_w += _log_likelihood(block, safe, problem.grid.nodes, outcomes[:, j], log_p[j], weights)
        w = np.exp(log_w - log_w.max())
        w /= w.sum()
        effective[j] = 1 / (len(w) * (w**2).sum())
        if effective[j] > _TOO_FEW:
            mean[j] = w @ drawn
            off = drawn - mean[j]
            covariance[j] = (off * w[:, None]).T @ off
    # wider draws lose a known share even where the Gaussian is perfect
    perfect = (2 * _WIDER**2 - 1) ** (phi.shape[1] / 2) / _WIDER ** (2 * phi.shape[1])
    return Moments(mean, covariance, np.minimum(effective / perfect, 1.0))


def _log_likelihood(
    block: Block, x: Array, nodes: Array, outcomes: Array, log_p: Array, weights: Array
) -> Array:
    """``(S,)`` of the outcomes ``(A, K)`` of one item under drawn ``x (S, p)``, other items known.

    Args:
        log_p: ``(K, Q)`` of the item at the mode, which is in the posteriors ``weights (A, Q)``.
    """
    form = natural(block, x)
    drawn, _ = irt.response(block.kind, form.slopes, form.intercepts, form.lower, form.upper, nodes)
    answered = outcomes.sum(axis=1) > 0
    patterns, which = np.unique(outcomes[answered], axis=0, return_inverse=True)
    total = np.zeros(len(x))
    for o, counts in enumerate(patterns):
        without = weights[answered][which.ravel() == o] * np.exp(-counts @ log_p)
        without /= without.sum(axis=1, keepdims=True)
        chance = np.exp(np.einsum("k,skq->sq", counts, drawn))
        total += np.log(without @ chance.T).sum(axis=0)
    return total
