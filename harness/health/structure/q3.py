"""How strongly each two items depend on each other beyond ability.

The Q3 of two items is the correlation over agents of what ability leaves unexplained of their
scores (Yen 1984). With few agents and items of any difficulty it is far from normal, so Fisher's
z calls hundreds of times too many pairs significant. What is tested instead is the sum of products
of residuals, whose variance and third moment given ability are known: its tail is that of a gamma
variable with these moments. The bulk of all pairs gives the centre (Christensen, Makransky &
Horton 2017) and the spread (Efron 2004), which grows where agents are alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from harness.health.evidence import Evidence
from harness.health.flags import LEVEL
from harness.health.structure.replicate import Residuals, residuals_of, shape
from harness.irt import Array

Indices = NDArray[np.intp]


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


@dataclass(frozen=True, eq=False)
class Bulk:
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
class ItemPairs:
    """What all parts of the analysis look at: n tested items, and each two of them."""

    evidence: Evidence
    tested: Indices
    names: tuple[str, ...]
    bulk: Bulk
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

    def as_q3(self, strength: Array | float) -> Array:
        """Q3 of a typical pair from what would be a standard normal for independent items."""
        return np.asarray(np.tanh(strength / np.sqrt(self.typical - 3)))


def item_pairs(evidence: Evidence, tested: Indices) -> ItemPairs:
    """Q3 and strength of all pairs of some items, at least three."""
    observed = residuals_of(evidence, evidence.counts)
    raw = q3(evidence.score[:, tested], evidence.expected_score[:, tested])
    upper = np.triu_indices(len(tested), 1)
    mean_q3 = float(np.nan_to_num(np.nanmean(raw[upper]))) if np.isfinite(raw[upper]).any() else 0.0
    seen = observed.seen[:, tested]
    return ItemPairs(
        evidence=evidence,
        tested=tested,
        names=tuple(evidence.responses.items[i] for i in tested),
        bulk=bulk_of(observed, tested),
        q3=np.clip(np.nan_to_num(raw, nan=mean_q3) - mean_q3, -0.999, 0.999),
        mean_q3=mean_q3,
        shared=seen.T @ seen,
        shape=shape(observed)[:, tested],
    )


def bulk_of(found: Residuals, tested: Indices) -> Bulk:
    """Of some items, the observed ones or replicates."""
    r, v, t = (x[:, tested] for x in (found.residual, found.variance, found.third))
    variance = np.maximum(v.T @ v, 1e-12)
    z, skew = r.T @ r / np.sqrt(variance), t.T @ t / variance**1.5
    # Wilson & Hilferty (1931): the cube root of a gamma variable is nearly normal
    k = gamma_shape(skew)
    cube = np.cbrt(np.maximum(1 + z / np.sqrt(k), 0.0))
    normal = np.where(skew > 0, 3 * np.sqrt(k) * (cube - 1 + 1 / (9 * k)), z)
    bulk = normal[np.triu_indices(len(tested), 1)]
    low, centre, high = np.quantile(bulk, (ndtr(-1.0), 0.5, ndtr(1.0)))
    spread = max(1.0, float(high - low) / 2)
    strength = (normal - centre) / spread
    np.fill_diagonal(strength, 0.0)
    return Bulk(z, skew, float(centre), spread, strength)


def gamma_shape(skew: Array) -> Array:
    """Shape parameter of a gamma variable of this skewness; its sign is left to the caller."""
    return np.asarray(4 / np.maximum(skew**2, 1e-6))


def mean_within(data: ItemPairs, members: Array) -> tuple[float, float, float]:
    """Mean Q3 over pairs within groups, less that of all pairs, and its interval over agents.

    Args:
        members: ``(n, G)`` 1 where an item is in a group; the pairs of all groups count alike.
    """
    part = _parts(data, members) - _parts(data, np.ones((len(members), 1)))
    mean, agents = float(part.sum()), len(part)
    se = float(np.std(part, ddof=1) * np.sqrt(agents)) * data.bulk.spread
    half = float(stdtrit(agents - 1, 0.5 + LEVEL / 2)) * se
    return mean, max(mean - half, -1.0), min(mean + half, 1.0)


def _parts(data: ItemPairs, members: Array) -> Array:
    """``(A,)`` what each agent adds to the mean Q3 over pairs within groups."""
    size = members.sum(axis=0)
    within = (data.shape @ members) ** 2 - data.shape**2 @ members
    return np.asarray(within.sum(axis=1) / (size * (size - 1)).sum())
