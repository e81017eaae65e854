"""Pairs of items that depend on each other, and duplicates among them.

Duplicates, which are few and of one difficulty, have a likelihood ratio of their own.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, ndtr, ndtri

from harness.health.flags import HALF, RATE, adjusted
from harness.health.structure.q3 import ItemPairs, gamma_shape
from harness.irt import Array

_ALIKE = 0.05
"""Most by which mean scores of possible duplicates differ, or a score and a half."""
_COPIED = 0.9
"""Probability that the second outcome of duplicates repeats the first."""
_MOST_COPIED = 0.05
"""Most that the share of duplicates is taken to be, among pairs of items of one mean score."""
LEAST_SHARED = 15
"""Agents that must have answered both items of a pair that is tested by itself."""
_MOST_PAIRS = 200


@dataclass(frozen=True)
class Pair:
    """Two items."""

    items: tuple[str, str]
    q3: float
    """Less the mean over all pairs, as in clusters and attributes."""
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


def find_pairs(data: ItemPairs) -> tuple[Pair, ...]:
    """Those that stand out, or else the strongest ones."""
    bulk = data.bulk
    i, j = np.triu_indices(len(data.tested), 1)
    p = ndtr(-bulk.strength[i, j])
    # the tail matters, where the cube root is too rough; a negative skew has the lighter tail
    tail = np.flatnonzero((p < 0.05) & (bulk.skew[i, j] > 0))
    k = gamma_shape(bulk.skew[i[tail], j[tail]])
    exact = gammaincc(k, k + bulk.z[i[tail], j[tail]] * np.sqrt(k))
    normal = -ndtri(np.clip(exact, 1e-300, 1.0))
    p[tail] = ndtr(-(normal - bulk.centre) / bulk.spread)
    shared = data.shared[i, j]
    p[shared < LEAST_SHARED] = np.nan
    q = np.fmin(adjusted(p), _copied(data)[i, j])
    known = np.flatnonzero(np.isfinite(q))
    chosen = known[np.lexsort((p[known], q[known]))]
    found = int(np.count_nonzero(q[chosen] < RATE))
    return tuple(
        _pair(data, int(i[c]), int(j[c]), float(q[c]))
        for c in chosen[: min(max(found, 10), _MOST_PAIRS)]
    )


def _copied(data: ItemPairs) -> Array:
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
    i, j = np.nonzero(np.triu(near & (top[:, None] == top) & (data.shared >= LEAST_SHARED), 1))
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


def _pair(data: ItemPairs, i: int, j: int, q: float) -> Pair:
    evidence = data.evidence
    first, second = int(data.tested[i]), int(data.tested[j])
    x, y = evidence.score[:, first], evidence.score[:, second]
    both = ~np.isnan(x + y)
    apart = np.abs(evidence.worth[first][:, None] - evidence.worth[second])
    expected = np.einsum("kq,kl,lq->q", evidence.p[first], apart, evidence.p[second])
    once = evidence.trials[both][:, [first, second]].max() <= 1
    n = int(both.sum())
    half = HALF * data.bulk.spread / np.sqrt(max(n - 3, 1))
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
