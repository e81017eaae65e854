"""How far judges agree: Krippendorff's α, weighted κ, and plain shares of equal ratings.

Intervals are percentiles of a bootstrap over items, as the cells of an item are alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.health.flags import LEVEL
from harness.irt import Array
from harness.responses.ratings import Index, Ratings

Metric = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"]
_DRAWS = 1000
_MOST_VALUES = 25
"""Of a scale; more are grouped, as every pair of values is counted."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval of probability ``LEVEL``; NaN where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairAgreement:
    """Two judges on the cells that both rated."""

    first: str
    second: str
    cells: int
    kappa: Estimate
    """Weighted by squared distance."""
    exact: Estimate
    """Share of equal ratings."""


@dataclass(frozen=True)
class Agreement:
    """How far all judges agree."""

    cells: int
    """Rated by at least two judges."""
    nominal: Estimate
    ordinal: Estimate
    interval: Estimate
    all_equal: Estimate
    """Share of those cells in which all judges give the same rating."""
    pairs: tuple[PairAgreement, ...]


def analyse_agreement(ratings: Ratings, seed: int = 0) -> Agreement:
    """Agreement of all judges and of every pair of them.

    >>> from harness.responses.ratings import from_table
    >>> rated = from_table([[0, 0], [1, 1], [2, 2], [0, 1]])
    >>> found = analyse_agreement(rated)
    >>> round(found.all_equal.value, 2), found.pairs[0].cells
    (0.75, 4)
    """
    table = few_values(ratings.table)
    scale = np.unique(table[~np.isnan(table)])
    item = ratings.cells[:, 1]
    both = np.count_nonzero(~np.isnan(table), axis=1) > 1
    # without several items the cells themselves are drawn
    groups = item if len(ratings.items) > 1 else np.arange(len(item))
    n = int(groups.max()) + 1
    draws = _draws(n, seed)
    same = np.nanmax(table[both], axis=1) == np.nanmin(table[both], axis=1)
    equal = np.zeros((n, 2))
    np.add.at(equal, groups[both], np.stack([same, np.ones(len(same))], 1))
    found = coincidences(table, scale, groups)

    def alpha_of(metric: Metric) -> Estimate:
        return _estimate(found, draws, lambda total: alpha(total, scale, metric))

    return Agreement(
        cells=int(both.sum()),
        nominal=alpha_of("nominal"),
        ordinal=alpha_of("ordinal"),
        interval=alpha_of("interval"),
        all_equal=_estimate(equal, draws, lambda total: _ratio(total[..., 0], total[..., 1])),
        pairs=tuple(
            _pair(ratings, table, scale, groups, draws, j, k)
            for j in range(len(ratings.judges))
            for k in range(j + 1, len(ratings.judges))
        ),
    )


def coincidences(table: Array, scale: Array, groups: Index) -> Array:
    """Pairs of values within cells, each cell with as much weight as it has ratings.

    Args:
        table: ``(C, J)`` ratings; NaN where missing.
        scale: ``(K,)`` all values, rising.
        groups: ``(C,)`` whole numbers, to sum over.

    Returns:
        ``(G, K, K)`` symmetric sums (Krippendorff 2004, section 11.3).
    """
    counts = np.stack([np.count_nonzero(table == value, axis=1) for value in scale], 1)
    given = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(scale))
    found = np.zeros((int(groups.max()) + 1, len(scale), len(scale)))
    np.add.at(found, groups, pairs / np.maximum(given - 1, 1)[:, None, None])
    return found


def alpha(coincidence: Array, scale: Array, metric: Metric) -> Array:
    """Krippendorff's α of ``(..., K, K)`` coincidences; NaN without variation."""
    totals = coincidence.sum(axis=-1)
    n = totals.sum(axis=-1)
    match metric:
        case "nominal":
            distance: Array = 1 - np.eye(len(scale))
        case "interval":
            distance = (scale[:, None] - scale) ** 2
        case "ordinal":
            # as far apart as there are ratings between the middles of the two values
            middle = np.cumsum(totals, axis=-1) - totals / 2
            distance = (middle[..., :, None] - middle[..., None, :]) ** 2
    observed = (coincidence * distance).sum(axis=(-2, -1))
    chance = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1))
    return np.asarray(1 - _ratio(observed * (n - 1), chance))


def kappa(joint: Array, scale: Array, weights: Weights) -> Array:
    """Cohen's weighted κ (1968) of ``(..., K, K)`` joint counts; NaN without variation."""
    away = np.abs(scale[:, None] - scale)
    distance = away if weights == "linear" else away**2
    rows, columns = joint.sum(axis=-1), joint.sum(axis=-2)
    chance = (rows[..., :, None] * columns[..., None, :] * distance).sum(axis=(-2, -1))
    return np.asarray(1 - _ratio((joint * distance).sum(axis=(-2, -1)) * rows.sum(-1), chance))


def exact(joint: Array) -> Array:
    """Share of equal ratings of ``(..., K, K)`` joint counts."""
    return _ratio(np.trace(joint, axis1=-2, axis2=-1), joint.sum(axis=(-2, -1)))


def few_values(values: Array, most: int = _MOST_VALUES) -> Array:
    """The same ratings where they have at most so many values; else means of groups of about
    equal size. NaN stays.

    >>> few_values(np.arange(6.0), 2).tolist()
    [1.0, 1.0, 1.0, 4.0, 4.0, 4.0]
    """
    known = ~np.isnan(values)
    given = values[known]
    if len(np.unique(given)) <= most:
        return values
    edges = np.unique(np.quantile(given, np.linspace(0, 1, most + 1)[1:-1]))
    bins = np.searchsorted(edges, given, side="right")
    means = np.bincount(bins, given) / np.maximum(np.bincount(bins), 1)
    found = values.copy()
    found[known] = means[bins]
    return found


def _pair(
    ratings: Ratings, table: Array, scale: Array, groups: Index, draws: Array, j: int, k: int
) -> PairAgreement:
    rows = np.flatnonzero(~np.isnan(table[:, j]) & ~np.isnan(table[:, k]))
    joint = np.zeros((draws.shape[1], len(scale), len(scale)))
    places = (np.searchsorted(scale, table[rows, judge]) for judge in (j, k))
    np.add.at(joint, (groups[rows], *places), 1.0)
    return PairAgreement(
        ratings.judges[j],
        ratings.judges[k],
        len(rows),
        _estimate(joint, draws, lambda total: kappa(total, scale, "quadratic")),
        _estimate(joint, draws, exact),
    )


def _draws(n: int, seed: int) -> Array:
    """``(B, n)`` how often each of n items is in each bootstrap sample."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS).astype(float)


def _estimate(by_group: Array, draws: Array, statistic: Callable[[Array], Array]) -> Estimate:
    value = float(statistic(by_group.sum(axis=0)))
    again = statistic(np.tensordot(draws, by_group, 1))
    again = again[np.isfinite(again)]
    if not np.isfinite(value) or not len(again):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _ratio(part: Array, whole: Array) -> Array:
    found = np.full(np.shape(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=found, where=np.asarray(whole) > 0))
