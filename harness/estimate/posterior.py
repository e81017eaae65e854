"""Posteriors on nodes: shared ones for one ability, each agent's own for several."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from harness.ability import Prior, moments, normalise
from harness.errors import PlanError
from harness.estimate.cells import Cells
from harness.estimate.likelihood import on_nodes, on_own_nodes
from harness.estimate.peak import find_peak
from harness.irt import Array

_MOST_NODES = 20_000
"""Of one ability: a grid of more would take a prior far wider than the narrowest posterior."""
_REACH, _SPACING = 5.4, 0.9
"""Of adaptive nodes, in posterior sds."""
_LAYINGS = 4
"""Times that adaptive nodes are laid at most."""


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Posteriors of A agents on J nodes."""

    nodes: Array
    """``(A, J, D)``, or ``(1, J, D)`` where all agents share them."""
    weights: Array
    """``(A, J)``."""
    edges: Array
    """``(A, D, D)``; the columns span the cell that a node stands for."""

    def moments(self) -> tuple[Array, Array]:
        """Means and sds ``(A, D)``."""
        mean, covariance = self.mean_and_covariance()
        return mean, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))

    def mean_and_covariance(self) -> tuple[Array, Array]:
        """``(A, D)`` and ``(A, D, D)``."""
        if self.nodes.shape[2] == 1:
            mean, sd = moments(self.nodes[0], self.weights)
            return mean, sd[:, :, None] ** 2
        mean = (self.weights[:, None] @ self.nodes)[:, 0]
        off = self.nodes - mean[:, None]
        return mean, np.asarray((off * self.weights[:, :, None]).swapaxes(1, 2) @ off)

    def quantiles(self, probability: float) -> Array:
        """``(A, D)`` quantiles; with several abilities to the third moment."""
        if self.nodes.shape[2] == 1:
            # each node stands for the cell around it, so half of its mass lies below it
            below = np.cumsum(self.weights, axis=1) - self.weights / 2
            x = self.nodes[0, :, 0]
            return np.array([np.interp(probability, row, x) for row in below]).reshape(-1, 1)
        mean, sd = self.moments()
        off = (self.nodes - mean[:, None]) / sd[:, None]
        skewness = (self.weights[:, None] @ off**3)[:, 0]
        z = float(ndtri(probability))
        return np.asarray(mean + sd * (z + (z**2 - 1) * skewness / 6))


def find_posteriors(cells: Cells, prior: Prior) -> Posteriors:
    """Posteriors of all agents; PlanError for a prior too wide for a grid of one ability."""
    return _shared(cells, prior) if cells.abilities == 1 else _adaptive(cells, prior)


def _shared(cells: Cells, prior: Prior) -> Posteriors:
    """On uniform nodes, as dense and wide as the posteriors of one ability need."""
    mean, sd = prior.mean[0], prior.sd[0]
    low, high, step = mean - 6 * sd, mean + 6 * sd, 0.2 * sd
    while True:
        count = math.ceil((high - low) / step) + 1
        if count > _MOST_NODES:
            raise PlanError(
                f"a prior of sd {sd:g} is too wide beside the narrowest posterior: "
                "give a narrower prior"
            )
        nodes = np.linspace(low, high, count)[:, None]
        log_weights = on_nodes(cells, nodes) + prior.log_weights(nodes)
        weights = normalise(log_weights)
        spacing = float(nodes[1, 0] - nodes[0, 0])
        width = _smallest_sd(log_weights, spacing)
        weight = weights.max(axis=0, initial=0.0)
        below, above = weight[0] > 1e-9, weight[-1] > 1e-9
        if not below and not above and spacing <= (1 + 1e-9) * min(width / 4, 0.05 * sd):
            return Posteriors(nodes[None], weights, np.full((len(weights), 1, 1), spacing))
        # a little finer than needed, so that a curvature found on coarse nodes need not be exact
        step = min(step, width / 5, 0.05 * sd)
        some = nodes[weight > 1e-12, 0]
        low = low - 6 * sd if below else float(some.min(initial=mean)) - spacing
        high = high + 6 * sd if above else float(some.max(initial=mean)) + spacing


def _smallest_sd(log_weights: Array, step: float) -> float:
    """By the curvature at the highest node: right even where the nodes are too far apart."""
    peak = np.clip(log_weights.argmax(axis=1), 1, log_weights.shape[1] - 2)
    rows = np.arange(len(log_weights))
    left, mid, right = (log_weights[rows, peak + shift] for shift in (-1, 0, 1))
    bend = float((2 * mid - left - right).max(initial=0.0))
    return step / math.sqrt(bend) if bend > 0 else math.inf


def _adaptive(cells: Cells, prior: Prior) -> Posteriors:
    """On nodes around each agent's mode, along the axes of the curvature there.

    Where mean and covariance come out as others than the nodes were laid for, because the
    posterior is skewed, nodes are laid again.
    """
    d = cells.abilities
    peak = find_peak(cells, "map", prior)
    axis = np.arange(-_REACH, _REACH + _SPACING / 2, _SPACING)
    unit = np.array(list(itertools.product(axis, repeat=d)))
    # corners that a normal posterior leaves empty
    unit = unit[(unit**2).sum(axis=1) <= _REACH**2 * (1 + 1e-9)]
    centre, covariance = peak.ability, np.linalg.inv(peak.curvature)
    nodes = np.empty((len(centre), len(unit), d))
    weights, edges = np.empty(nodes.shape[:2]), np.empty(covariance.shape)
    live = np.arange(len(centre))
    for _ in range(_LAYINGS):
        edges[live] = _SPACING * np.linalg.cholesky(covariance[live])
        nodes[live] = centre[live, None] + unit / _SPACING @ edges[live].swapaxes(1, 2)
        weights[live] = normalise(
            on_own_nodes(cells, live, nodes[live]) + _log_density(nodes[live], prior)
        )
        mean, found = Posteriors(nodes[live], weights[live], edges[live]).mean_and_covariance()
        unscale = np.linalg.inv(edges[live]) * _SPACING
        moved = (unscale @ (mean - centre[live])[:, :, None])[:, :, 0]
        spread = unscale @ found @ unscale.swapaxes(1, 2) - np.eye(d)
        centre[live], covariance[live] = mean, found
        live = live[(np.abs(moved).max(axis=1) > 0.1) | (np.abs(spread).max(axis=(1, 2)) > 0.1)]
        if not len(live):
            break
    return Posteriors(nodes, weights, edges)


def _log_density(nodes: Array, prior: Prior) -> Array:
    """Log of the prior density up to a constant, at ``(…, D)``."""
    off = nodes - np.array(prior.mean)
    return np.asarray(-0.5 * ((off @ np.linalg.inv(prior.covariance)) * off).sum(axis=-1))
