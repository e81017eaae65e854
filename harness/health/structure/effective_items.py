"""How many independent items a test with dependent ones is worth."""

from dataclasses import dataclass

import numpy as np

from harness.health.structure.attributes import Attribute, matters
from harness.health.structure.clusters import Cluster
from harness.health.structure.pairs import Pair
from harness.health.structure.q3 import Indices, ItemPairs
from harness.irt import Array


@dataclass(frozen=True)
class Information:
    """What the test tells of ability, weighed over its agents."""

    share: float
    """Of the information that independent items would give; 1 when no dependence was found."""
    low: float
    high: float
    items: int
    effective_items: float


def information_of(
    data: ItemPairs,
    pairs: tuple[Pair, ...],
    clusters: tuple[Cluster, ...],
    attributes: tuple[Attribute, ...],
) -> Information:
    """Godambe's (1960) information H²/J of the score function of independent items, where J is
    its variance with the correlations that were found, against Fisher's H."""
    evidence = data.evidence
    n = len(data.tested)
    place = {name: i for i, name in enumerate(data.names)}
    # correlations and the ends of their intervals
    rho = np.zeros((3, n, n))
    for attribute in attributes:
        if matters(attribute):
            labels = np.array(evidence.tags[attribute.name])[data.tested]
            for group in attribute.groups:
                items = np.flatnonzero(labels == group.value)
                _fill(rho, data, items, (group.q3, group.low, group.high))
    for cluster in clusters:
        items = np.array([place[name] for name in cluster.items])
        _fill(rho, data, items, (cluster.q3, cluster.low, cluster.high))
    for pair in pairs:
        i, j = (place[name] for name in pair.items)
        rho[:, i, j] = rho[:, j, i] = pair.q3, pair.low, pair.high
    slope = np.gradient(evidence.expected, evidence.nodes, axis=1)
    variance = np.maximum(evidence.within + evidence.between, 1e-12)
    info = slope**2 / variance
    size = np.sqrt(info[data.tested])
    independent = info.sum(axis=0)
    density = evidence.posterior.mean(axis=0)
    extra = np.einsum("iq,rij,jq->rq", size, rho, size, optimize=True)
    # more than independent items would give is not claimed
    real = independent**2 / np.maximum(independent + np.maximum(extra, 0.0), 1e-12)
    share, high, low = (float(x) for x in real @ density / max(float(independent @ density), 1e-12))
    return Information(share, low, high, len(info), share * len(info))


def _fill(rho: Array, data: ItemPairs, items: Indices, mean: tuple[float, float, float]) -> None:
    """Correlations within a group, drawn towards their mean as far as chance explains how they
    scatter about it."""
    here = np.ix_(items, items)
    upper = np.triu_indices(len(items), 1)
    single = data.bulk.spread**2 / (data.typical - 3)
    real = max(0.0, float(np.var(data.q3[here][upper])) - single)
    drawn = mean[0] + real / (real + single) * (data.q3[here] - mean[0])
    for end, value in enumerate(mean):
        block = np.clip(drawn + (value - mean[0]), -0.95, 0.95)
        np.fill_diagonal(block, 0.0)
        rho[end][here] = block
