"""The likelihood of cells and of all that agents did, with two derivatives along ability."""

from collections.abc import Iterator

import numpy as np

from harness import irt
from harness.estimate.cells import Block, Cells, Indices, Points
from harness.irt import Array

_CHUNK = 1 << 15
"""Probabilities that are worked on at once, so that temporaries fit the processor's cache."""
_PATTERNS = 256
"""Patterns whose log-likelihoods are handed to the agents at once."""


def _log_likelihood(points: Points, row: Indices, counts: Array, nodes: Array) -> Array:
    """``(c, J)`` log-likelihood of c cells at J nodes.

    Args:
        row: ``(c,)`` row of the points.
        counts: ``(c, K)``.
        nodes: ``(J, D)``, or ``(c, J, D)`` where each cell has its own.
    """
    c, m, j = len(row), len(points.log_weights), nodes.shape[-2]
    if nodes.ndim == 2:
        log_p, _ = _at(points, row, points.slopes[row].reshape(c * m, -1), nodes)
        log_p = log_p.reshape(c, m, -1, j)
        joint = np.einsum("ck,cmkj->cmj", counts, log_p)
    else:
        z = points.slopes[row] @ nodes.swapaxes(1, 2)
        each = np.repeat(row, j)
        log_p, _ = _at(points, each, z.swapaxes(1, 2).reshape(-1, 1), np.ones((1, 1)))
        log_p = log_p.reshape(c, j, m, -1)
        joint = np.einsum("ck,cjmk->cmj", counts, log_p)
    return _log_mean(joint + points.log_weights[:, None])


def derivatives(
    points: Points, row: Indices, counts: Array, ability: Array
) -> tuple[Array, Array, Array]:
    """Log-likelihood ``(c,)`` of c cells with its gradient ``(c, D)`` and Hessian ``(c, D, D)``.

    Args:
        row: ``(c,)`` row of the points.
        counts: ``(c, K)``.
        ability: ``(c, D)`` of the agent of each cell.
    """
    c, m = len(row), len(points.log_weights)
    slopes = points.slopes[row]
    z = (slopes @ ability[:, :, None]).reshape(-1, 1)
    log_p, dp = (part[:, :, 0] for part in _at(points, row, z, np.ones((1, 1))))
    p = np.exp(log_p)
    first = dp / p
    second = _second(points, row, p, dp) / p - first**2
    log_p, first, second = (x.reshape(c, m, -1) for x in (log_p, first, second))
    joint = np.einsum("ck,cmk->cm", counts, log_p) + points.log_weights
    value = _log_mean(joint)
    weight = np.exp(joint - value[:, None])
    slope = np.einsum("ck,cmk->cm", counts, first)
    bend = np.einsum("ck,cmk->cm", counts, second)
    gradient = np.einsum("cm,cmd->cd", weight * slope, slopes)
    # what the points say of the second derivative, and how much they differ in the first
    off = slope[:, :, None] * slopes - gradient[:, None]
    hessian = (slopes * (weight * bend)[:, :, None]).swapaxes(1, 2) @ slopes
    hessian += (off * weight[:, :, None]).swapaxes(1, 2) @ off
    return value, gradient, hessian


def _log_mean(joint: Array) -> Array:
    """Log of the sum of exponentials along the axis of points, the second."""
    if joint.shape[1] == 1:
        return joint[:, 0]
    top = joint.max(axis=1)
    return np.asarray(np.log(np.exp(joint - top[:, None]).sum(axis=1)) + top)


def _at(points: Points, row: Indices, slopes: Array, nodes: Array) -> tuple[Array, Array]:
    """:func:`irt.response` of every point of the items ``row``, slopes given."""
    steps = points.intercepts.shape[2]
    return irt.response(
        points.kind,
        slopes,
        points.intercepts[row].reshape(-1, steps),
        points.lower[row].ravel(),
        points.upper[row].ravel(),
        nodes,
    )


def _second(points: Points, row: Indices, p: Array, dp: Array) -> Array:
    """``(N, K)`` second derivatives of category probabilities with respect to ``z = a·θ``."""
    if points.kind == "partial_credit":
        k = np.arange(p.shape[1])
        off = k - (k * p).sum(axis=1, keepdims=True)
        return np.asarray(p * (off**2 - (p * off**2).sum(axis=1, keepdims=True)))
    # probability of category k or more, a logistic curve between the asymptotes
    reach = np.cumsum(p[:, :0:-1], axis=1)[:, ::-1]
    rise = np.cumsum(dp[:, :0:-1], axis=1)[:, ::-1]
    lower, upper = points.lower[row].reshape(-1, 1), points.upper[row].reshape(-1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(upper > lower, (reach - lower) / (upper - lower), 0.5)
    bend = np.pad(rise * (1 - 2 * share), ((0, 0), (1, 1)))
    return np.asarray(bend[:, :-1] - bend[:, 1:])


def slices(length: int, size: int) -> Iterator[slice]:
    """Chunks of ``length`` rows that each hold ``size`` numbers."""
    step = max(1, _CHUNK // size)
    return (slice(start, start + step) for start in range(0, length, step))


def on_nodes(cells: Cells, nodes: Array) -> Array:
    """``(A, Q)`` log-likelihood of every agent at shared nodes ``(Q, D)``."""
    total = np.zeros((len(cells.items), len(nodes)))
    for block in cells.blocks:
        m, k = len(block.points.log_weights), block.counts.shape[1]
        order = np.argsort(block.pattern, kind="stable")
        begins = np.searchsorted(block.pattern[order], np.arange(len(block.row) + 1))
        for first in range(0, len(block.row), _PATTERNS):
            row = block.row[first : first + _PATTERNS]
            counts = block.counts[first : first + _PATTERNS]
            table = [
                _log_likelihood(block.points, row[some], counts[some], nodes)
                for some in slices(len(row), m * k * len(nodes))
            ]
            there = order[begins[first] : begins[first + len(row)]]
            has = np.zeros((len(total), len(row)))
            has[block.agent[there], block.pattern[there] - first] = 1.0
            total += has @ np.concatenate(table)
    return total


def at_each(cells: Cells, agents: Indices, ability: Array) -> tuple[Array, Array, Array]:
    """Log-likelihood ``(a,)`` of some agents, gradient ``(a, D)`` and Hessian ``(a, D, D)``.

    Args:
        agents: ``(a,)`` distinct agents.
        ability: ``(a, D)`` theirs.
    """
    d = cells.abilities
    total = np.zeros((len(agents), 1 + d + d * d))
    for block, agent, pattern in of_agents(cells, agents):
        m, k = len(block.points.log_weights), block.counts.shape[1]
        for some in slices(len(agent), m * k):
            who, what = agent[some], pattern[some]
            value, gradient, hessian = derivatives(
                block.points, block.row[what], block.counts[what], ability[who]
            )
            flat = np.column_stack([value, gradient, hessian.reshape(len(who), -1)])
            for column, numbers in enumerate(flat.T):
                total[:, column] += np.bincount(who, numbers, len(agents))
    return total[:, 0], total[:, 1 : 1 + d], total[:, 1 + d :].reshape(-1, d, d)


def of_agents(cells: Cells, agents: Indices) -> Iterator[tuple[Block, Indices, Indices]]:
    """Of each block the cells of some agents: position in ``agents``, and pattern."""
    position = np.full(len(cells.items), -1)
    position[agents] = np.arange(len(agents))
    for block in cells.blocks:
        agent = position[block.agent]
        here = agent >= 0
        yield block, agent[here], block.pattern[here]


def on_own_nodes(cells: Cells, agents: Indices, nodes: Array) -> Array:
    """``(a, J)`` log-likelihood of some agents, each at its own nodes ``(a, J, D)``."""
    total = np.zeros(nodes.shape[:2])
    for block, agent, pattern in of_agents(cells, agents):
        m, k = len(block.points.log_weights), block.counts.shape[1]
        for some in slices(len(agent), m * k * nodes.shape[1]):
            who, what = agent[some], pattern[some]
            found = _log_likelihood(block.points, block.row[what], block.counts[what], nodes[who])
            # cells are in the order of agents
            begins = np.flatnonzero(np.diff(who, prepend=-1))
            total[who[begins]] += np.add.reduceat(found, begins, axis=0)
    return total
