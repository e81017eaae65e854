"""Clusters of items that hang together beyond ability, against those that chance makes."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage

from harness.health.flags import RATE
from harness.health.structure.q3 import Indices, ItemPairs, bulk_of, mean_within
from harness.health.structure.replicate import replicate, residuals_of
from harness.irt import Array

_LARGEST = 8
"""A cluster has at most one in so many of the items: more of them are another ability."""
_WEAKEST = 0.1
"""Least mean Q3 of a cluster beyond what chance shows; its interval may reach down to half."""
_REPLICATES = 39


@dataclass(frozen=True)
class Cluster:
    """Items that hang together beyond ability."""

    items: tuple[str, ...]
    q3: float
    """Mean over its pairs, less what the strongest cluster of this size shows by chance."""
    low: float
    high: float
    p: float
    """Share of replicates with one ability that had a cluster as strong."""


_Node = tuple[float, Indices]


def tree_of(strength: Array) -> Array:
    """Hierarchical clustering by mean strength between clusters, as scipy's ``linkage`` has it.

    Args:
        strength: ``(n, n)`` as in :class:`harness.health.q3.Bulk`.
    """
    upper = np.triu_indices(len(strength), 1)
    return np.asarray(linkage(strength.max() - strength[upper], "average"))


def _nodes(strength: Array, tree: Array) -> list[_Node]:
    """Total strength in units of its sd, and items, of each cluster of three or more."""
    n = len(strength)
    members = [np.array([i]) for i in range(n)]
    between = strength.max() - tree[:, 2]
    within = [0.0] * n
    found = []
    for (a, b), link in zip(tree[:, :2].astype(int), between, strict=True):
        both = np.concatenate([members[a], members[b]])
        members.append(both)
        within.append(within[a] + within[b] + len(members[a]) * len(members[b]) * float(link))
        if 3 <= len(both) <= max(4, n // _LARGEST):
            found.append((within[-1] / np.sqrt(len(both) * (len(both) - 1) / 2), both))
    return found


def find_clusters(data: ItemPairs, tree: Array, rng: np.random.Generator) -> tuple[Cluster, ...]:
    """Disjoint clusters that are stronger than any that one ability shows, strongest first.

    Hierarchical clustering finds the strongest of a great many sets, so each is held against the
    strongest ones of about its size in replicates.

    Args:
        tree: of the strengths of the data, by :func:`tree_of`.
    """
    # sizes of 2 to 3, 4 to 7, 8 to 15, …
    bins = 1 + _size(max(len(data.tested), 4))
    tops = np.full((_REPLICATES, bins), -np.inf)
    for top in tops:
        outcomes = residuals_of(data.evidence, replicate(data.evidence, rng))
        drawn = bulk_of(outcomes, data.tested).strength
        for strength, items in _nodes(drawn, tree_of(drawn)):
            place = _size(len(items))
            top[place] = max(top[place], strength)
    usual = np.asarray(np.isfinite(tops).all(axis=0))
    mean, sd = np.zeros(bins), np.ones(bins)
    mean[usual] = tops[:, usual].mean(axis=0)
    sd[usual] = np.maximum(tops[:, usual].std(axis=0, ddof=1), 0.1)
    if not usual.any():
        return ()
    highest = ((tops - mean) / sd)[:, usual].max(axis=1)
    scored = [
        ((strength - mean[place]) / sd[place], items)
        for strength, items in _nodes(data.bulk.strength, tree)
        if usual[place := _size(len(items))]
    ]
    taken = np.zeros(len(data.tested), bool)
    clusters = []
    for excess, items in sorted(scored, key=lambda one: -one[0]):
        p = (1 + np.count_nonzero(highest >= excess)) / (1 + _REPLICATES)
        if p >= RATE or taken[items].any():
            continue
        members = np.zeros((len(taken), 1))
        members[items] = 1.0
        # the strongest of many: its Q3 is too high by about as much as that of those in replicates
        usual_z = mean[_size(len(items))] / np.sqrt(len(items) * (len(items) - 1) / 2)
        chance = float(data.as_q3(usual_z * data.bulk.spread))
        mean_q3, low, high = (q3 - chance for q3 in mean_within(data, members))
        if low >= _WEAKEST / 2 and mean_q3 >= _WEAKEST:
            taken[items] = True
            names = tuple(data.names[i] for i in items)
            clusters.append(Cluster(names, mean_q3, low, high, float(p)))
    return tuple(clusters)


def _size(items: int) -> int:
    return int(np.log2(items))
