"""Items that measure the same thing beyond ability, and what that costs the test.

The Q3 of two items is the correlation over agents of what ability leaves unexplained of their
scores (Yen 1984). With few agents and items of any difficulty it is far from normal, so Fisher's
z calls hundreds of times too many pairs significant. What is tested instead is the sum of products
of residuals, whose variance and third moment given ability are known: its tail is that of a gamma
variable with these moments. The bulk of all pairs gives the centre (Christensen, Makransky &
Horton 2017) and the spread (Efron 2004), which grows where agents are alike. Duplicates, which are
few and of one difficulty, have a likelihood ratio of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.special import gammaincc, ndtr, ndtri, stdtrit

from harness.health.evidence import Evidence
from harness.health.flags import LEVEL, RATE, Flag, adjusted
from harness.health.replicate import (
    Residuals,
    about_set_aside,
    replicate,
    residuals_of,
    set_aside,
    shape,
    varied,
)
from harness.irt import Array

_Indices = NDArray[np.intp]

DUPLICATE = 0.5
"""Least lower end of the interval of Q3 of duplicates."""
_ALIKE = 0.05
"""Most by which mean scores of possible duplicates differ, or a score and a half."""
_COPIED = 0.9
_MOST_COPIED = 0.05
"""Most that the share of duplicates is taken to be, among pairs of items of one mean score."""
_LEAST_SHARED = 15
"""Agents that must have answered both items of a pair that is tested by itself."""
_LARGEST = 8
"""A cluster has at most one in so many of the items: more of them are another ability."""
_WEAKEST = 0.1
"""Least mean Q3 of a cluster beyond what chance shows; its interval may reach down to half."""
_WIDESPREAD = 0.25
"""Share of items in clusters from which no single cluster is flagged."""
_REPLICATES = 39
_SHUFFLES = 499
_CELLS = 48
_MOST_PAIRS = 200


@dataclass(frozen=True)
class Pair:
    """Two items."""

    items: tuple[str, str]
    q3: float
    """Less the mean over all pairs, as all of Q3 in this module."""
    low: float
    high: float
    q: float
    """Adjusted p-value, or the share of wrong ones among pairs as likely to be duplicates."""
    agents: int
    """That both items have an outcome of."""
    same: float
    """Share of these with the same outcome on both."""
    expected_same: float
    """That share by ability alone."""


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


@dataclass(frozen=True)
class Group:
    """Items with the same value of an attribute."""

    value: str
    items: int
    q3: float
    low: float
    high: float


@dataclass(frozen=True)
class Attribute:
    """Whether items alike in one attribute hang together."""

    name: str
    pairs: int
    """Of items with the same value."""
    difference: float
    """Mean Q3 of such pairs less that of all others."""
    low: float
    high: float
    q: float
    """Adjusted p-value by permutation of the items."""
    groups: tuple[Group, ...]
    """Those with several items, strongest first."""


@dataclass(frozen=True)
class Information:
    """What the test tells of ability, weighed over its agents."""

    share: float
    """Of the information that independent items would give; 1 when no dependence was found."""
    low: float
    high: float
    items: int
    effective_items: float


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


def q3(score: Array, expected: Array) -> Array:
    """Yen's Q3 of all pairs of items, over the agents that answered both.

    Args:
        score: ``(A, n)`` observed scores; NaN where missing.
        expected: ``(A, n)`` expected ones.

    Returns:
        ``(n, n)``; 1 on the diagonal, NaN where fewer than three agents are shared or a residual
        does not vary.

    >>> x = np.array([[1.0, 1, 0], [0, 0, 1], [1, 1, np.nan], [0, 1, 0]])
    >>> q3(x, np.full((4, 3), 0.5)).round(2).tolist()
    [[1.0, 0.58, -0.5], [0.58, 1.0, -1.0], [-0.5, -1.0, 1.0]]
    """
    known = ~np.isnan(score)
    r = np.where(known, score - expected, 0.0)
    seen = known.astype(float)
    shared = seen.T @ seen
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (r.T @ seen) / shared
        variance = (r**2).T @ seen / shared - mean**2
        variance = np.where(variance > 1e-12, variance, np.nan)
        found = (r.T @ r / shared - mean * mean.T) / np.sqrt(variance * variance.T)
    found = np.where(shared >= 3, np.clip(found, -1.0, 1.0), np.nan)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def analyse_dependence(evidence: Evidence, seed: int = 0) -> Dependence:
    """Pairs, clusters and groups of items that depend on each other beyond ability.

    Args:
        seed: of the replicates and permutations.
    """
    rng = np.random.default_rng(seed)
    evidence, apart = set_aside(evidence)
    observed = residuals_of(evidence, evidence.counts)
    tested = np.flatnonzero(varied(evidence))
    agents = len(evidence.ability)
    if len(tested) < 3 or agents < 3:
        return _nothing(evidence, len(tested))
    bulk = _bulk(observed, tested)
    raw = q3(evidence.score[:, tested], evidence.expected_score[:, tested])
    upper = np.triu_indices(len(tested), 1)
    mean_q3 = float(np.nan_to_num(np.nanmean(raw[upper]))) if np.isfinite(raw[upper]).any() else 0.0
    data = _Data(
        evidence=evidence,
        tested=tested,
        names=tuple(evidence.responses.items[i] for i in tested),
        bulk=bulk,
        q3=np.clip(np.nan_to_num(raw, nan=mean_q3) - mean_q3, -0.999, 0.999),
        mean_q3=mean_q3,
        shared=observed.seen[:, tested].T @ observed.seen[:, tested],
        shape=shape(observed)[:, tested],
    )
    tree = _tree(bulk.strength)
    null = []
    for _ in range(_REPLICATES):
        drawn = _bulk(residuals_of(evidence, replicate(evidence, rng)), tested).strength
        null.append(_nodes(drawn, _tree(drawn)))
    pairs = _pairs(data)
    clusters = _clusters(data, _nodes(bulk.strength, tree), null)
    attributes = _attributes(data, rng)
    widespread = sum(len(one.items) for one in clusters) > _WIDESPREAD * len(tested)
    order = leaves_list(tree)
    edges = np.unique(np.linspace(0, len(tested), min(len(tested), _CELLS) + 1).astype(int))
    equivalent = np.tanh(bulk.strength / np.sqrt(data.typical - 3))
    hurdle = -float(ndtri(RATE / len(upper[0]))) * bulk.spread
    detectable = float(np.tanh(hurdle / np.sqrt(data.typical - 3)))
    significant = tuple(pair for pair in pairs if pair.q < RATE and pair.low > 0)
    return Dependence(
        agents=agents,
        effective_agents=agents / bulk.spread**2,
        tested_items=len(tested),
        pairs=len(upper[0]),
        mean_q3=mean_q3,
        detectable=detectable,
        strongest=pairs,
        clusters=clusters,
        attributes=attributes,
        information=_information(data, significant, clusters, attributes),
        order=tuple(data.names[i] for i in order),
        map=_blocks(equivalent[np.ix_(order, order)], edges),
        edges=tuple(int(edge) for edge in edges),
        flags=_flags(significant, clusters, attributes, widespread),
        cautions=about_set_aside(apart) + _cautions(data, detectable, widespread),
    )


# --- pairs ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Bulk:
    """Of n tested items: sums of products of residuals in units of their sd given ability."""

    z: Array
    """``(n, n)``."""
    skew: Array
    """``(n, n)`` of these sums given ability."""
    centre: float
    spread: float
    """At least 1."""
    strength: Array
    """``(n, n)`` made normal, centred and scaled; 0 on the diagonal."""


@dataclass(frozen=True, eq=False)
class _Data:
    """What all parts of the analysis look at: n tested items."""

    evidence: Evidence
    tested: _Indices
    names: tuple[str, ...]
    bulk: _Bulk
    q3: Array
    """``(n, n)`` less its mean; 0 where unknown."""
    mean_q3: float
    shared: Array
    """``(n, n)`` agents that answered both items."""
    shape: Array
    """``(A, n)`` residuals such that the sum over agents of products is Q3."""

    @property
    def typical(self) -> float:
        """Agents of a typical pair, at least 4."""
        return max(float(np.median(self.shared)), 4.0)


def _bulk(found: Residuals, tested: _Indices) -> _Bulk:
    r, v, t = (x[:, tested] for x in (found.residual, found.variance, found.third))
    variance = np.maximum(v.T @ v, 1e-12)
    z, skew = r.T @ r / np.sqrt(variance), t.T @ t / variance**1.5
    # Wilson & Hilferty (1931): the cube root of a gamma variable is nearly normal
    k = _gamma_shape(skew)
    cube = np.cbrt(np.maximum(1 + z / np.sqrt(k), 0.0))
    normal = np.where(skew > 0, 3 * np.sqrt(k) * (cube - 1 + 1 / (9 * k)), z)
    bulk = normal[np.triu_indices(len(tested), 1)]
    low, centre, high = np.quantile(bulk, (ndtr(-1.0), 0.5, ndtr(1.0)))
    spread = max(1.0, float(high - low) / 2)
    strength = (normal - centre) / spread
    np.fill_diagonal(strength, 0.0)
    return _Bulk(z, skew, float(centre), spread, strength)


def _gamma_shape(skew: Array) -> Array:
    return np.asarray(4 / np.maximum(skew**2, 1e-6))


def _pairs(data: _Data) -> tuple[Pair, ...]:
    """Those that stand out, or else the strongest ones."""
    bulk = data.bulk
    i, j = np.triu_indices(len(data.tested), 1)
    p = ndtr(-bulk.strength[i, j])
    # the tail matters, where the cube root is too rough; a negative skew has the lighter tail
    tail = np.flatnonzero((p < 0.05) & (bulk.skew[i, j] > 0))
    k = _gamma_shape(bulk.skew[i[tail], j[tail]])
    exact = gammaincc(k, k + bulk.z[i[tail], j[tail]] * np.sqrt(k))
    normal = -ndtri(np.clip(exact, 1e-300, 1.0))
    p[tail] = ndtr(-(normal - bulk.centre) / bulk.spread)
    shared = data.shared[i, j]
    p[shared < _LEAST_SHARED] = np.nan
    q = np.fmin(adjusted(p), _copied(data)[i, j])
    known = np.flatnonzero(np.isfinite(q))
    chosen = known[np.lexsort((p[known], q[known]))]
    found = int(np.count_nonzero(q[chosen] < RATE))
    return tuple(
        _pair(data, int(i[c]), int(j[c]), float(q[c]))
        for c in chosen[: min(max(found, 10), _MOST_PAIRS)]
    )


def _copied(data: _Data) -> Array:
    """``(n, n)`` share of pairs that are none among those at least as likely to be duplicates.

    Of duplicates the second outcome is that of the first with probability 0.9, and else drawn by
    ability; the prior share of duplicates among items of about the same mean score is estimated
    from all of these (empirical Bayes: Efron 2010). NaN elsewhere, and where trials are repeated,
    as nobody repeats the luck of another task.
    """
    evidence, tested = data.evidence, data.tested
    n = len(tested)
    found = np.full((n, n), np.nan)
    if evidence.trials.max() > 1:
        return found
    counts = evidence.counts[:, tested]
    p = np.einsum("aq,nkq->ank", evidence.posterior, evidence.p[tested], optimize=True)
    same = np.log(_COPIED / np.maximum(p, 0.01) + 1 - _COPIED) - np.log(1 - _COPIED)
    # of the second item given the first
    ratio = np.einsum("aik,ajk->ij", counts, counts * same, optimize=True)
    ratio += data.shared * np.log(1 - _COPIED)
    ratio = (np.logaddexp(ratio, ratio.T) - np.log(2)) / data.bulk.spread**2
    mean = np.nanmean(evidence.score[:, tested], axis=0)
    top = evidence.responses.n_categories[tested]
    near = np.abs(mean[:, None] - mean) <= np.maximum(_ALIKE, 1.5 / np.maximum(data.shared, 1.0))
    i, j = np.nonzero(np.triu(near & (top[:, None] == top) & (data.shared >= _LEAST_SHARED), 1))
    if not len(i):
        return found
    share, odds = 1e-3, np.exp(np.clip(ratio[i, j], -50.0, 50.0))
    for _ in range(50):
        duplicate = share * odds / (share * odds + 1 - share)
        share = min(max(float(duplicate.mean()), 1e-9), _MOST_COPIED)
    order = np.argsort(-duplicate, kind="stable")
    wrong = np.cumsum(1 - duplicate[order]) / np.arange(1, len(order) + 1)
    found[i[order], j[order]] = wrong
    return found


def _pair(data: _Data, i: int, j: int, q: float) -> Pair:
    evidence = data.evidence
    first, second = int(data.tested[i]), int(data.tested[j])
    x, y = evidence.score[:, first], evidence.score[:, second]
    both = ~np.isnan(x + y)
    apart = np.abs(evidence.worth[first][:, None] - evidence.worth[second])
    expected = np.einsum("kq,kl,lq->q", evidence.p[first], apart, evidence.p[second])
    once = evidence.trials[both][:, [first, second]].max() <= 1
    n = int(both.sum())
    half = float(ndtri(0.5 + LEVEL / 2)) * data.bulk.spread / np.sqrt(max(n - 3, 1))
    q3_here = float(data.q3[i, j])
    return Pair(
        items=(data.names[i], data.names[j]),
        q3=q3_here,
        low=float(np.tanh(np.arctanh(q3_here) - half)),
        high=float(np.tanh(np.arctanh(q3_here) + half)),
        q=q,
        agents=n,
        same=1 - float(np.abs(x - y)[both].mean()),
        expected_same=1 - float((evidence.posterior[both] @ expected).mean())
        if once
        else float("nan"),
    )


# --- groups of items --------------------------------------------------------------------------


def _mean_q3(data: _Data, members: Array) -> tuple[float, float, float]:
    """Mean Q3 over pairs within groups, less that of all pairs, and its interval over agents.

    Args:
        members: ``(n, G)`` 1 where an item is in a group; the pairs of all groups count alike.
    """
    part = _parts(data, members) - _parts(data, np.ones((len(members), 1)))
    mean, agents = float(part.sum()), len(part)
    se = float(np.std(part, ddof=1) * np.sqrt(agents)) * data.bulk.spread
    half = float(stdtrit(agents - 1, 0.5 + LEVEL / 2)) * se
    return mean, max(mean - half, -1.0), min(mean + half, 1.0)


def _parts(data: _Data, members: Array) -> Array:
    """``(A,)`` what each agent adds to the mean Q3 over pairs within groups."""
    size = members.sum(axis=0)
    within = (data.shape @ members) ** 2 - data.shape**2 @ members
    return np.asarray(within.sum(axis=1) / (size * (size - 1)).sum())


_Node = tuple[float, _Indices]


def _tree(strength: Array) -> Array:
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


def _clusters(data: _Data, nodes: list[_Node], null: list[list[_Node]]) -> tuple[Cluster, ...]:
    """Disjoint clusters that are stronger than any that one ability shows, strongest first.

    Hierarchical clustering finds the strongest of a great many sets, so each is held against the
    strongest ones of about its size in replicates.
    """
    bins = 1 + int(np.log2(max(len(data.tested), 4)))

    def best(found: list[_Node]) -> Array:
        top = np.full(bins, -np.inf)
        for strength, items in found:
            place = int(np.log2(len(items)))
            top[place] = max(top[place], strength)
        return top

    tops = np.array([best(found) for found in null])
    usual = np.isfinite(tops).all(axis=0)
    mean, sd = np.zeros(bins), np.ones(bins)
    mean[usual] = tops[:, usual].mean(axis=0)
    sd[usual] = np.maximum(tops[:, usual].std(axis=0, ddof=1), 0.1)
    if not usual.any():
        return ()
    highest = ((tops - mean) / sd)[:, usual].max(axis=1)
    scored = [
        ((strength - mean[place]) / sd[place], items)
        for strength, items in nodes
        if usual[place := int(np.log2(len(items)))]
    ]
    taken = np.zeros(len(data.tested), bool)
    clusters = []
    for excess, items in sorted(scored, key=lambda one: -one[0]):
        p = (1 + np.count_nonzero(highest >= excess)) / (1 + len(null))
        if p >= RATE or taken[items].any():
            continue
        members = np.zeros((len(taken), 1))
        members[items] = 1.0
        # the strongest of many: its Q3 is too high by about as much as that of those in replicates
        usual_z = mean[int(np.log2(len(items)))] / np.sqrt(len(items) * (len(items) - 1) / 2)
        chance = float(np.tanh(usual_z * data.bulk.spread / np.sqrt(data.typical - 3)))
        mean_q3, low, high = (q3 - chance for q3 in _mean_q3(data, members))
        if low >= _WEAKEST / 2 and mean_q3 >= _WEAKEST:
            taken[items] = True
            names = tuple(data.names[i] for i in items)
            clusters.append(Cluster(names, mean_q3, low, high, float(p)))
    return tuple(clusters)


def _attributes(data: _Data, rng: np.random.Generator) -> tuple[Attribute, ...]:
    """Attributes that several items share, those that matter most first."""
    found, p = [], []
    q3_all = data.shape.T @ data.shape
    for name, values in data.evidence.tags.items():
        labels = np.array(values)[data.tested]
        shown, code = np.unique(labels, return_inverse=True)
        members = (code[:, None] == np.arange(len(shown))) * (shown != "")
        members = members[:, members.sum(axis=0) >= 2].astype(float)
        kept = [str(v) for v in shown if v and np.count_nonzero(labels == v) >= 2]
        within = np.triu(members @ members.T, 1)
        i, j = np.nonzero(within)
        all_pairs = len(labels) * (len(labels) - 1) / 2
        if not 3 <= len(i) <= all_pairs - 3:
            continue
        # mean within less mean between is (mean within - mean of all) / share between
        share = 1 - len(i) / all_pairs
        difference, low, high = (x / share for x in _mean_q3(data, members))
        drawn = np.empty(_SHUFFLES)
        for draw in range(_SHUFFLES):
            shuffled = rng.permutation(len(labels))
            drawn[draw] = q3_all[shuffled[i], shuffled[j]].mean()
        p.append((1 + np.count_nonzero(drawn >= q3_all[i, j].mean())) / (1 + _SHUFFLES))
        groups = []
        for value, column in zip(kept, members.T, strict=True):
            mean, lower, upper = _mean_q3(data, column[:, None])
            groups.append(Group(value, int(column.sum()), mean, lower, upper))
        groups.sort(key=lambda group: -group.q3)
        found.append((name, len(i), difference, low, high, tuple(groups)))
    q = adjusted(p)
    rows = [
        Attribute(name, pairs, difference, low, high, float(value), groups)
        for (name, pairs, difference, low, high, groups), value in zip(found, q, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (row.q, -row.difference)))


# --- what the test tells ----------------------------------------------------------------------


def _information(
    data: _Data,
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
        if _matters(attribute):
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


def _fill(rho: Array, data: _Data, items: _Indices, mean: tuple[float, float, float]) -> None:
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


def _matters(attribute: Attribute) -> bool:
    return attribute.q < RATE and attribute.low > 0


# --- words ------------------------------------------------------------------------------------


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
        if _matters(attribute):
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


def _cautions(data: _Data, detectable: float, widespread: bool) -> tuple[str, ...]:
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
    if data.shared.max() < _LEAST_SHARED:
        cautions.append(
            f"no two items have {_LEAST_SHARED} agents in common, so that no pair is tested by "
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


def _blocks(values: Array, edges: _Indices) -> Array:
    """Means over blocks; the diagonal, where an item meets itself, counts in none."""
    known = 1.0 - np.eye(len(values))
    total, number = (
        np.add.reduceat(np.add.reduceat(x, edges[:-1], axis=0), edges[:-1], axis=1)
        for x in (values * known, known)
    )
    return np.asarray(total / np.maximum(number, 1.0))
