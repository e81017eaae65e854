"""Items and cells on which judges are further apart than the many-facet model expects."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from harness.health.flags import LEVEL, adjusted
from harness.health.graders.facet_model import GRID, FacetData, FacetFit, log_table
from harness.irt import Array
from harness.responses.ratings import Ratings

SMALL_DISPUTE = 1.2
"""Times as much dispute as expected, up to which an item is like the others."""
_DRAWS, _MOST_SHOWN = 200, 30


@dataclass(frozen=True)
class Dispute:
    """How far judges are apart on an item."""

    item: str
    cells: int
    """Rated by at least two judges."""
    spread: float
    """Mean sd of the ratings within its cells, in points."""
    ratio: float
    """Squared spread over what the model expects of such ratings."""
    low: float
    high: float
    q: float
    """Adjusted p-value of a ratio of at most ``SMALL_DISPUTE``."""


@dataclass(frozen=True)
class CellDispute:
    """One cell that judges see differently."""

    agent: str
    item: str
    trial: int
    ratings: tuple[float, ...]
    """By judge; NaN where missing."""
    surprise: float
    """Squared spread over what the model expects."""


def find_disputes(
    ratings: Ratings, data: FacetData, fit: FacetFit, seed: int
) -> tuple[tuple[Dispute, ...], tuple[CellDispute, ...]]:
    """Items, most disputed first, and the cells that are disputed most.

    What spread to expect is simulated from the fitted model; sums over the cells of an item are
    taken for Pearson's type III of the simulated mean, sd and skewness.
    """
    from scipy.stats import pearson3, t

    items, cells = data.n[1], len(data.agent)
    draws = _DRAWS if cells * _DRAWS <= 1_000_000 else 100
    spread = _spread(data, data.value)
    simulated = np.stack(list(_simulate(data, fit, draws, seed)))
    expected = simulated.mean(axis=0)
    by_item = np.zeros((draws, items))
    np.add.at(by_item.T, data.item, simulated.T)
    got = np.bincount(data.item, spread, items)
    rated = np.bincount(data.item, minlength=items)
    mean, sd = by_item.mean(axis=0), by_item.std(axis=0)
    skew = ((by_item - mean) ** 3).mean(axis=0) / np.maximum(sd, 1e-12) ** 3
    # sums of as many cells are alike in shape: one skewness that falls with their number
    common = float(np.median((skew * np.sqrt(np.maximum(rated, 1)))[rated > 0]))
    z = (got / SMALL_DISPUTE - mean) / np.maximum(sd, 1e-12)
    shape = np.clip(common / np.sqrt(np.maximum(rated, 1)), 0.01, 5.0)
    p = np.where((rated > 1) & (sd > 0), pearson3.sf(z, shape), np.nan)
    q = adjusted(p)
    ratio = got / np.maximum(mean, 1e-12)
    left = spread - ratio[data.item] * expected
    error = np.sqrt(np.bincount(data.item, left**2, items) * rated / np.maximum(rated - 1, 1))
    half = t.ppf((1 + LEVEL) / 2, np.maximum(rated - 1, 1)) * error / np.maximum(mean, 1e-12)
    given = np.bincount(data.cell)
    within = np.bincount(data.item, np.sqrt(spread / (given - 1)), items) / np.maximum(rated, 1)
    order = [i for i in np.argsort(-z, kind="stable") if rated[i]]
    disputes = tuple(
        Dispute(
            item=ratings.items[i],
            cells=int(rated[i]),
            spread=float(within[i]),
            ratio=float(ratio[i]),
            low=float(max(ratio[i] - half[i], 0.0)) if rated[i] > 1 else 0.0,
            high=float(ratio[i] + half[i]) if rated[i] > 1 else np.inf,
            q=float(q[i]),
        )
        for i in order
    )
    surprise = spread / np.maximum(expected, 1e-12)
    top = np.lexsort((-surprise, -spread))[:_MOST_SHOWN]
    table = ratings.table[np.unique(ratings.cell[data.row])]
    return disputes, tuple(
        CellDispute(
            agent=ratings.agents[data.agent[c]],
            item=ratings.items[data.item[c]],
            trial=int(data.trial[c]),
            ratings=tuple(table[c].tolist()),
            surprise=float(surprise[c]),
        )
        for c in top
    )


def _spread(data: FacetData, value: Array) -> Array:
    """``(C,)`` squared deviations from the mean of each cell."""
    n = np.bincount(data.cell)
    mean = np.bincount(data.cell, value) / n
    return np.asarray(np.bincount(data.cell, (value - mean[data.cell]) ** 2), float)


def _simulate(data: FacetData, fit: FacetFit, draws: int, seed: int) -> Iterator[Array]:
    """Spread of each cell when ratings are drawn from the fitted model."""
    rng = np.random.default_rng(seed)
    nodes = np.cumsum(softmax(fit.log_weights, axis=1), axis=1)
    used, kind = np.unique(fit.shift(data), return_inverse=True)
    below = np.cumsum(np.exp(log_table(fit.steps, used)), axis=1)[:, :-1]
    for _ in range(draws):
        node = (nodes < rng.random(len(nodes))[:, None]).sum(axis=1).clip(max=len(GRID) - 1)
        bounds = below[kind, :, node[data.cell]]
        category = (bounds < rng.random(len(kind))[:, None]).sum(axis=1)
        yield _spread(data, data.worth[category])
