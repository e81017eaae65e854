"""Maxima of posterior and likelihood, and the root of weighted likelihood, by Newton's method."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from harness.ability import Prior, normalise, point_estimate
from harness.errors import PlanError
from harness.estimate.cells import TINY, Cells, Indices, Points
from harness.estimate.likelihood import at_each, derivatives, of_agents, on_nodes, slices
from harness.irt import Array

_MOST_OUTCOMES = 2000
"""Of the trials of a cell that weighted likelihood sums over."""
_ROUNDS = 200
"""Steps of Newton's method before a maximum counts as not found."""
_LAST = 1e-5
"""The last step of Newton's method is no longer than this, in prior sds."""
_NEARBY = 1e-4
"""Prior sds between an ability and where its bias is probed for a difference quotient."""
_FLAT = 1e-6
"""Information per squared prior sd below which an agent's answers do not hold ability back: the
standard error would be a thousand prior sds."""
_AXIS = {1: 61, 2: 13, 3: 7}
"""Nodes a dimension, over ±6 prior sds, from the best of which a climb starts."""


@dataclass(frozen=True, eq=False)
class Peak:
    """Where a climb of A agents ended."""

    ability: Array
    """``(A, D)``."""
    sd: Array
    """``(A, D)``."""
    settled: NDArray[np.bool_]
    """``(A,)``."""
    curvature: Array
    """``(A, D, D)`` minus the Hessian, made positive definite."""


def find_peak(cells: Cells, method: Literal["map", "wle", "ml"], prior: Prior) -> Peak:
    """Where each agent's posterior, weighted likelihood or likelihood peaks."""
    match method:
        case "map":
            return _climb(cells, _best_nodes(cells, prior), prior)
        case "ml":
            return _climb(cells, _best_nodes(cells, None), None)
        case "wle":
            if cells.abilities > 1:
                raise PlanError(
                    "weighted likelihood (wle) is defined for one ability, and this bank has "
                    f"{cells.abilities}: use eap or map"
                )
            return _weighted(cells, _best_nodes(cells, cells.population))


def _best_nodes(cells: Cells, prior: Prior | None) -> Array:
    """``(A, D)`` nodes of the highest posterior, or of the highest likelihood without a prior."""
    around = prior or cells.population
    axes = [
        np.linspace(m - 6 * s, m + 6 * s, _AXIS[cells.abilities])
        for m, s in zip(around.mean, around.sd, strict=True)
    ]
    nodes = np.array(list(itertools.product(*axes)))
    log_weights = on_nodes(cells, nodes)
    if prior is not None:
        log_weights += prior.log_weights(nodes)
    return point_estimate(nodes, normalise(log_weights), "map")


def _climb(cells: Cells, start: Array, prior: Prior | None) -> Peak:
    """Newton's method for every agent at once, on the posterior, or on the likelihood alone.

    A step goes uphill along every axis of the curvature, whatever its sign; it is shortened where
    the objective falls. Where the likelihood is flat in a direction when all others have settled,
    its maximum in that direction is not finite.
    """
    agents, d = start.shape
    around = prior or cells.population
    centre, scale = np.array(around.mean), np.array(around.sd)
    precision = np.zeros((d, d))
    if prior is not None:
        precision = np.asarray(np.linalg.inv(prior.covariance) * np.outer(scale, scale), float)

    def objective(who: Indices, x: Array) -> tuple[Array, Array, Array]:
        value, gradient, hessian = at_each(cells, who, centre + scale * x)
        pull = x @ precision
        return (
            value - 0.5 * (pull * x).sum(axis=1),
            gradient * scale - pull,
            precision - hessian * np.outer(scale, scale),
        )

    x = (start - centre) / scale
    value, gradient, curvature = objective(np.arange(agents), x)
    share = np.ones(agents)
    settled = np.zeros(agents, bool)
    for _ in range(_ROUNDS):
        step, flat_only = _newton(gradient, curvature)
        # the last step is taken unseen: after it the error is of the order of its square
        last = ~settled & ~flat_only & (np.abs(step).max(axis=1) < _LAST)
        x[last] += step[last]
        settled |= flat_only | last
        live = np.flatnonzero(~settled)
        if not len(live):
            break
        trial = x[live] + share[live, None] * step[live]
        new_value, new_gradient, new_curvature = objective(live, trial)
        better = new_value >= value[live] - 1e-12 * np.abs(value[live])
        moved = live[better]
        x[moved], value[moved] = trial[better], new_value[better]
        gradient[moved], curvature[moved] = new_gradient[better], new_curvature[better]
        share[live] = np.where(better, np.minimum(1.0, 4 * share[live]), share[live] / 4)
    return _end(x, gradient, curvature, settled, around)


def _newton(gradient: Array, curvature: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Steps ``(A, D)``, and whether only flat directions are left to go in; all in prior sds."""
    values, vectors, slope, flat = _axes(gradient, curvature)
    parts = slope / np.maximum(np.abs(values), TINY)
    settled = (flat | (np.abs(parts) < _LAST)).all(axis=1)
    step = (vectors @ np.clip(parts, -2.0, 2.0)[:, :, None])[:, :, 0]
    return step, np.asarray(settled & flat.any(axis=1))


def _end(
    x: Array,
    gradient: Array,
    curvature: Array,
    settled: NDArray[np.bool_],
    around: Prior,
) -> Peak:
    """Where a climb has ended, all given in prior sds."""
    values, vectors, slope, flat = _axes(gradient, curvature)
    steep = np.maximum(np.abs(values), TINY)
    variance = (vectors**2 / np.where(flat, np.inf, steep)[:, None]).sum(axis=2)
    # the part of each flat direction along each ability, and where it leads
    along = np.where(flat[:, None] & (np.abs(vectors) > 1e-3), vectors, 0.0)
    towards = (along * slope[:, None]).sum(axis=2)
    end = np.where(np.abs(towards) > 1e-13, np.copysign(np.inf, towards), np.nan)
    open_ended = (along != 0).any(axis=2)
    centre, scale = np.array(around.mean), np.array(around.sd)
    convex = (vectors * np.maximum(steep, _FLAT)[:, None]) @ vectors.swapaxes(1, 2)
    return Peak(
        centre + scale * np.where(open_ended, end, x),
        scale * np.where(open_ended, np.abs(end), np.sqrt(variance)),
        settled,
        convex / np.outer(scale, scale),
    )


def _axes(gradient: Array, curvature: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Eigenvalues, eigenvectors, slopes along them, and which of them are flat; in prior sds."""
    values, vectors = np.linalg.eigh(curvature)
    slope = (gradient[:, None] @ vectors)[:, 0]
    return values, vectors, slope, (np.abs(values) < _FLAT) & (np.abs(slope) < 1e-3)


def _weighted(cells: Cells, start: Array) -> Peak:
    """Warm's root of ``ℓ' + J / (2 I)``, uphill from the start, and the slope there.

    Newton's method between the places where the sign is known, halving where it would leave them.
    """
    agents, scale = len(start), cells.population.sd[0]
    x: Array = np.where(cells.items > 0, start[:, 0], np.nan)
    low, high = np.full(agents, -np.inf), np.full(agents, np.inf)
    bend = np.full(agents, np.nan)
    live = np.flatnonzero(cells.items > 0)
    for _ in range(_ROUNDS):
        at = x[live]
        _, score, slope = at_each(cells, live, at[:, None])
        nearby = [_bias(cells, live, at + side * _NEARBY * scale) for side in (-1, 1)]
        score = score[:, 0] + (nearby[0] + nearby[1]) / 2
        bend[live] = slope[:, 0, 0] + (nearby[1] - nearby[0]) / (2 * _NEARBY * scale)
        low[live] = np.where(score > 0, at, low[live])
        high[live] = np.where(score < 0, at, high[live])
        step = np.clip(score / np.maximum(np.abs(bend[live]), TINY), -scale, scale)
        to = at + step
        with np.errstate(invalid="ignore"):
            middle = (low[live] + high[live]) / 2
        beyond = np.isfinite(middle) & ((to <= low[live]) | (to >= high[live]))
        x[live] = np.where(beyond, middle, to)
        live = live[np.abs(step) >= _LAST * scale]
        if not len(live):
            break
    settled = np.ones(agents, bool)
    settled[live] = False
    return Peak(x[:, None], np.abs(bend[:, None]) ** -0.5, settled, np.abs(bend[:, None, None]))


def _bias(cells: Cells, agents: Indices, ability: Array) -> Array:
    """``J / (2 I)`` of some agents ``(a,)`` at their ``ability (a,)``."""
    information, bias = np.zeros(len(agents)), np.zeros(len(agents))
    for block, agent, pattern in of_agents(cells, agents):
        attempts = block.counts.sum(axis=1).astype(int)[pattern]
        for total in np.unique(attempts):
            who, what = agent[attempts == total], pattern[attempts == total]
            i, j = _expected(block.points, block.row[what], int(total), ability[who])
            information += np.bincount(who, i, len(agents))
            bias += np.bincount(who, j, len(agents))
    return bias / np.maximum(2 * information, TINY)


def _expected(points: Points, row: Indices, attempts: int, ability: Array) -> tuple[Array, Array]:
    """I and J, both ``(c,)``, of cells of so many trials: sums over all outcomes they can have."""
    k = points.intercepts.shape[2] + 1
    # trials that share nothing add up
    alone = len(points.log_weights) == 1
    outcomes, ways = _outcomes(1 if alone else attempts, k)
    information, bias = np.zeros(len(row)), np.zeros(len(row))
    for some in slices(len(row), len(outcomes) * len(points.log_weights) * k):
        who = np.repeat(row[some], len(outcomes))
        value, first, second = derivatives(
            points,
            who,
            np.tile(outcomes, (len(who) // len(outcomes), 1)),
            np.repeat(ability[some], len(outcomes))[:, None],
        )
        p = np.exp(value.reshape(-1, len(outcomes)) + ways)
        first, second = first.reshape(p.shape), second.reshape(p.shape)
        information[some] = (p * first**2).sum(axis=1)
        bias[some] = (p * first * (second + first**2)).sum(axis=1)
    return (information * attempts, bias * attempts) if alone else (information, bias)


def _outcomes(attempts: int, k: int) -> tuple[Array, Array]:
    """``(O, K)`` counts that so many trials can have, and the log number of their orders.

    >>> _outcomes(2, 2)[0].tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    if math.comb(attempts + k - 1, k - 1) > _MOST_OUTCOMES:
        raise PlanError(
            f"weighted likelihood (wle) sums over every outcome of a cell, and {attempts} trials "
            f"in {k} categories have too many: use eap or map"
        )
    bars = itertools.combinations(range(attempts + k - 1), k - 1)
    edges = np.array([(-1, *bar, attempts + k - 1) for bar in bars])
    counts = np.diff(edges, axis=1) - 1.0
    return counts, gammaln(attempts + 1) - gammaln(counts + 1).sum(axis=1)
