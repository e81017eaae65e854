"""What selectors need of a table beyond what it holds, made once for each table."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from harness.ability import Prior
from harness.irt import Array, Table

_T = TypeVar("_T")
_SPAN = 6.0
"""Nodes cover the population's mean plus and minus so many of its standard deviations."""


def per_table(make: Callable[[Table], _T]) -> Callable[[Table], _T]:
    """Remember what is made of a table for as long as the table lives."""
    known: WeakKeyDictionary[Table, _T] = WeakKeyDictionary()

    @wraps(make)
    def look_up(table: Table) -> _T:
        if table not in known:
            known[table] = make(table)
        return known[table]

    return look_up


@per_table
def population(table: Table) -> Prior:
    """The population of the bank's scale, which :func:`harness.irt.grid` laid its nodes around."""
    low, high = table.nodes.min(axis=0), table.nodes.max(axis=0)
    mean, sd = (low + high) / 2, (high - low) / (2 * _SPAN)
    return Prior(tuple(map(float, mean)), tuple(map(float, sd)))


@per_table
def spacing(table: Table) -> Array:
    """``(D,)`` distance of neighbouring nodes along each ability."""
    return np.array([np.diff(np.unique(axis.round(9))).min() for axis in table.nodes.T])


@per_table
def entropy(table: Table) -> Array:
    """``(n, Q)`` entropy of the answer to each item at each node, in nats."""
    return np.asarray(entr(table.p).sum(axis=1))


@per_table
def flat_log_p(table: Table) -> Array:
    """``(n K, Q)`` log-probabilities, 0 for categories that an item does not have."""
    log_p = table.log_p.reshape(-1, table.log_p.shape[2])
    return log_p if np.isfinite(log_p).all() else np.where(np.isfinite(log_p), log_p, 0.0)


@per_table
def own_news(table: Table) -> Array:
    """``(n, K, Q)`` how much higher than expected the item's own score is after each answer,
    times the probability of the answer."""
    after = table.scores[:, :, None] if table.repeats is None else table.repeats.mean
    return np.asarray(table.p * (after - table.expected_score[:, None, :]))


@per_table
def directions(table: Table) -> Array:
    """``(n, D)`` unit vectors along the slopes: item information is a multiple of ``u uᵀ``."""
    length = np.linalg.norm(table.slopes, axis=1, keepdims=True)
    return np.asarray(table.slopes / np.where(length > 0, length, 1.0))


def nearest(table: Table, points: Array) -> NDArray[np.intp]:
    """``(A,)`` index of the node nearest to each of ``points (A, D)``."""
    nodes = table.nodes
    if nodes.shape[1] > 1:
        return np.asarray(((nodes[None] - points[:, None]) ** 2).sum(axis=2).argmin(axis=1))
    index = np.rint((points[:, 0] - nodes[0, 0]) / (nodes[1, 0] - nodes[0, 0])).astype(int)
    return np.asarray(np.clip(index, 0, len(nodes) - 1))


def joint(per_node: Array, *columns: Array) -> Array:
    """Sums over nodes ``Σ_q columns[m][a, q] · per_node[i, k, q]``, as ``(M, A, n, K)``.

    One matrix product, so that the table is read once however many columns there are.
    """
    n, k, q = per_node.shape
    sums = np.concatenate(columns) @ per_node.reshape(n * k, q).T
    return np.asarray(sums.reshape(len(columns), -1, n, k))


def ratio(above: Array, below: Array) -> Array:
    """``above / below``, 0 where ``below`` is 0."""
    shape = np.broadcast(above, below).shape
    return np.divide(above, below, out=np.zeros(shape), where=below > 0)
