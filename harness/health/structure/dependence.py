"""Items that measure the same thing beyond ability, and what that costs the test."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list
from scipy.special import ndtri

from harness.health.evidence import Evidence
from harness.health.flags import RATE, Flag
from harness.health.structure.attributes import Attribute, find_attributes, matters
from harness.health.structure.clusters import Cluster, find_clusters, tree_of
from harness.health.structure.effective_items import Information, information_of
from harness.health.structure.pairs import LEAST_SHARED, Pair, find_pairs
from harness.health.structure.q3 import Indices, ItemPairs, item_pairs
from harness.health.structure.replicate import about_set_aside, set_aside, varied
from harness.irt import Array

DUPLICATE = 0.5
"""Least lower end of the interval of Q3 of duplicates."""
_WIDESPREAD = 0.25
"""Share of items in clusters from which no single cluster is flagged."""
_CELLS = 48
"""Most blocks along a side of the map."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """What :func:`analyse_dependence` found."""

    agents: int
    effective_agents: float
    """Fewer than the agents where these are alike beyond ability."""
    tested_items: int
    """Others were solved, or failed, by too few."""
    pairs: int
    mean_q3: float
    detectable: float
    """Q3 from which a single pair would stand out among all."""
    strongest: tuple[Pair, ...]
    """Those that stand out first."""
    clusters: tuple[Cluster, ...]
    attributes: tuple[Attribute, ...]
    information: Information
    order: tuple[str, ...]
    """Tested items, such that those that hang together are neighbours."""
    map: Array
    """``(C, C)`` mean strength of dependence, in units of Q3, of blocks of neighbours; their
    ends are ``edges``."""
    edges: tuple[int, ...]
    """``(C + 1,)`` positions in ``order``."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_dependence(evidence: Evidence, seed: int = 0) -> Dependence:
    """Pairs, clusters and groups of items that depend on each other beyond ability.

    Args:
        seed: of the replicates and permutations.
    """
    rng = np.random.default_rng(seed)
    evidence, apart = set_aside(evidence)
    tested = np.flatnonzero(varied(evidence))
    agents = len(evidence.ability)
    if len(tested) < 3 or agents < 3:
        return _nothing(evidence, len(tested))
    data = item_pairs(evidence, tested)
    bulk, n_pairs = data.bulk, len(tested) * (len(tested) - 1) // 2
    tree = tree_of(bulk.strength)
    pairs = find_pairs(data)
    clusters = find_clusters(data, tree, rng)
    attributes = find_attributes(data, rng)
    widespread = sum(len(one.items) for one in clusters) > _WIDESPREAD * len(tested)
    order = leaves_list(tree)
    edges = np.unique(np.linspace(0, len(tested), min(len(tested), _CELLS) + 1).astype(int))
    detectable = float(data.as_q3(-float(ndtri(RATE / n_pairs)) * bulk.spread))
    significant = tuple(pair for pair in pairs if pair.q < RATE and pair.low > 0)
    return Dependence(
        agents=agents,
        effective_agents=agents / bulk.spread**2,
        tested_items=len(tested),
        pairs=n_pairs,
        mean_q3=data.mean_q3,
        detectable=detectable,
        strongest=pairs,
        clusters=clusters,
        attributes=attributes,
        information=information_of(data, significant, clusters, attributes),
        order=tuple(data.names[i] for i in order),
        map=_blocks(data.as_q3(bulk.strength[np.ix_(order, order)]), edges),
        edges=tuple(int(edge) for edge in edges),
        flags=_flags(significant, clusters, attributes, widespread),
        cautions=about_set_aside(apart) + _cautions(data, detectable, widespread),
    )


def _flags(
    pairs: tuple[Pair, ...],
    clusters: tuple[Cluster, ...],
    attributes: tuple[Attribute, ...],
    widespread: bool,
) -> tuple[Flag, ...]:
    flags = []
    together = [set(cluster.items) for cluster in clusters]
    for pair in pairs:
        duplicate = pair.low >= DUPLICATE
        if not duplicate and any(set(pair.items) <= one for one in together):
            continue
        by_ability = (
            ""
            if pair.expected_same != pair.expected_same
            else f", where ability alone predicts {pair.expected_same:.0%}"
        )
        flags.append(
            Flag(
                kind="duplicate" if duplicate else "cluster",
                about="items",
                names=pair.items,
                evidence=(
                    f"same outcome for {pair.same:.0%} of {pair.agents} agents{by_ability}; "
                    f"residual correlation {pair.q3:.2f} ({pair.low:.2f} to {pair.high:.2f})"
                ),
                estimate=pair.q3,
                low=pair.low,
                high=pair.high,
                q=pair.q,
                action=(
                    "compare the two tasks; keep one if they ask the same"
                    if duplicate
                    else "look for what the two tasks share besides difficulty"
                ),
            )
        )
    for cluster in () if widespread else clusters:
        flags.append(
            Flag(
                kind="cluster",
                about="items",
                names=cluster.items,
                evidence=(
                    f"{len(cluster.items)} items hang together beyond ability: mean residual "
                    f"correlation {cluster.q3:.2f} ({cluster.low:.2f} to {cluster.high:.2f})"
                ),
                estimate=cluster.q3,
                low=cluster.low,
                high=cluster.high,
                q=cluster.p,
                action="find what they share; keep the few that tell most, or score them as one",
            )
        )
    for attribute in attributes:
        if matters(attribute):
            flags.append(
                Flag(
                    kind="cluster",
                    about="benchmark",
                    names=(attribute.name,),
                    evidence=(
                        f"items of the same {attribute.name} hang together beyond ability: their "
                        f"mean residual correlation is {attribute.difference:.3f} "
                        f"({attribute.low:.3f} to {attribute.high:.3f}) above that of others, "
                        f"over {attribute.pairs:,} pairs"
                    ),
                    estimate=attribute.difference,
                    low=attribute.low,
                    high=attribute.high,
                    q=attribute.q,
                    action=(
                        f"do not count items of one {attribute.name} as independent: spread new "
                        "tasks over more values of it, and give intervals by it"
                    ),
                )
            )
    return tuple(flags)


def _cautions(data: ItemPairs, detectable: float, widespread: bool) -> tuple[str, ...]:
    agents, n = data.shape.shape
    cautions = []
    if widespread:
        cautions.append(
            "clusters take in more than a quarter of the items, which is what a second ability "
            "looks like from here: no single cluster is flagged, see the dimensions"
        )
    left = len(data.evidence.difficulty) - n
    if left:
        cautions.append(
            f"{left} items were left out: fewer than two agents solved them, or failed them, so "
            "that nothing can be said of what goes with them"
        )
    if data.shared.max() < LEAST_SHARED:
        cautions.append(
            f"no two items have {LEAST_SHARED} agents in common, so that no pair is tested by "
            "itself: only clusters and groups of items are"
        )
    elif detectable > 0.6:
        cautions.append(
            f"with {agents} agents a pair of items stands out among {n * (n - 1) // 2:,} only "
            f"from a residual correlation of about {detectable:.2f}: absence of flags is no "
            "evidence that items are independent"
        )
    if data.bulk.spread > 1.1:
        cautions.append(
            f"residuals scatter as if there were {agents / data.bulk.spread**2:.0f} independent "
            f"agents, not {agents}: some agents are alike beyond ability, or ability has more "
            "than one side; all tests and intervals of this section allow for it"
        )
    return tuple(cautions)


def _nothing(evidence: Evidence, tested: int) -> Dependence:
    agents, items = evidence.score.shape
    return Dependence(
        agents=agents,
        effective_agents=float(agents),
        tested_items=tested,
        pairs=tested * (tested - 1) // 2,
        mean_q3=float("nan"),
        detectable=1.0,
        strongest=(),
        clusters=(),
        attributes=(),
        information=Information(1.0, float("nan"), float("nan"), items, float(items)),
        order=(),
        map=np.zeros((0, 0)),
        edges=(),
        flags=(),
        cautions=(
            f"{tested} of {items} items were solved by two agents and failed by two of the "
            f"{agents}: too few to say whether items depend on each other",
        ),
    )


def _blocks(values: Array, edges: Indices) -> Array:
    """Means over blocks; the diagonal, where an item meets itself, counts in none."""
    known = 1.0 - np.eye(len(values))
    total, number = (
        np.add.reduceat(np.add.reduceat(x, edges[:-1], axis=0), edges[:-1], axis=1)
        for x in (values * known, known)
    )
    return np.asarray(total / np.maximum(number, 1.0))
