"""What judges do to ratings, by a many-facet model: level, consistency, favour, disputes.

How a judge fits is seen from what the *other* judges of a cell lead one to expect of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax

from harness.health.flags import LEVEL, adjusted
from harness.health.graders.disputes import CellDispute, Dispute, find_disputes
from harness.health.graders.facet_model import (
    GRID,
    FacetData,
    FacetFit,
    facet_data,
    given_others,
    location_covariance,
    log_table,
    p_beyond,
)
from harness.health.graders.favouritism import Favour, favouritism
from harness.irt import Array
from harness.responses.ratings import Ratings

SMALL_LEVEL = 0.03
"""Of the scale's range: judges who differ less in level are alike for any use."""
SMALL_MISFIT = 1.2
"""Infit up to which a judge is as consistent as the others."""


@dataclass(frozen=True)
class Judge:
    """One judge against the others. Intervals have probability ``LEVEL``."""

    name: str
    family: str
    ratings: int
    mean: float
    level: float
    """Logits above the mean of the judges: positive rates higher."""
    se: float
    points: float
    """The same in points of the scale: how much higher it rates a cell than the average judge."""
    low: float
    high: float
    level_q: float
    """Adjusted p-value of differing by more than ``SMALL_LEVEL`` of the range."""
    infit: float
    """Squared differences from what the others lead one to expect, over their expectation."""
    infit_low: float
    infit_high: float
    outfit: float
    """The same, each first divided by its variance: feels far-off ratings most."""
    infit_q: float
    """Adjusted p-value of an infit of at most ``SMALL_MISFIT``."""


@dataclass(frozen=True)
class Facets:
    """What a many-facet model finds."""

    judges: tuple[Judge, ...]
    favours: tuple[Favour, ...]
    """Every judge with every family that has at least two ratings of it."""
    disputes: tuple[Dispute, ...]
    """By item, most disputed first."""
    cells: tuple[CellDispute, ...]
    """The most surprising ones."""
    agents: tuple[tuple[str, float], ...]
    """Level of each agent in logits, as all judges together see it."""
    steps: Array
    """``(K-1,)`` F."""
    tau: float
    cells_used: int
    grouped: bool
    """The scale had too many values, and was cut into groups."""
    connected: bool
    """All judges are linked by cells that they share."""


def analyse_facets(ratings: Ratings, families: Mapping[str, str], seed: int = 0) -> Facets | None:
    """Fit the model; None where there is nothing to compare: no cell that two judges rated, or
    only one value.

    Args:
        ratings: of the judges.
        families: of agents and judges by name; those without one belong to none.
        seed: of the simulation that says what spread to expect.
    """
    data = facet_data(ratings)
    if data is None:
        return None
    fit, favours = favouritism(ratings, data, families)
    disputes, cells = find_disputes(ratings, data, fit, seed)
    agents = [(ratings.agents[a], float(fit.ability[a])) for a in np.unique(data.agent)]
    return Facets(
        judges=_judges(ratings, data, fit, families),
        favours=favours,
        disputes=disputes,
        cells=cells,
        agents=tuple(sorted(agents, key=lambda pair: -pair[1])),
        steps=fit.steps,
        tau=fit.tau,
        cells_used=len(data.agent),
        grouped=len(data.worth) < len(ratings.scale),
        connected=_connected(data),
    )


def _connected(data: FacetData) -> bool:
    from scipy.sparse.csgraph import connected_components

    shared = np.zeros((len(data.agent), data.n[2]))
    shared[data.cell, data.judge] = 1.0
    shared = shared[:, shared.any(axis=0)]
    return int(connected_components(csr_array(shared.T @ shared), directed=False)[0]) == 1


def _judges(
    ratings: Ratings, data: FacetData, fit: FacetFit, families: Mapping[str, str]
) -> tuple[Judge, ...]:
    from scipy.stats import t

    _, items, judges = data.n
    there = np.flatnonzero(np.bincount(data.judge, minlength=judges))
    levels = fit.location[there]
    centre = np.eye(len(there)) - 1 / len(there)
    covariance = location_covariance(data, fit)[np.ix_(there, there)]
    se = np.sqrt(np.diag(centre @ covariance @ centre.T))
    expected = np.einsum("k,lkq->lq", data.worth, np.exp(log_table(fit.steps, levels)))
    density = softmax(fit.log_weights, axis=1).mean(axis=0)
    points = centre @ (expected @ density)
    # points per logit
    slope = float(np.mean(np.gradient(expected, GRID, axis=1) @ density))
    dof = max(len(np.unique(data.item)) - 1, 1)
    quantile = float(t.ppf((1 + LEVEL) / 2, dof))
    half = quantile * se * slope
    level_q = adjusted(p_beyond(points, se * slope, SMALL_LEVEL * data.reach, dof))
    mean, variance = given_others(data, fit, fit.shift(data))
    squares = (data.value - mean) ** 2
    variance = np.maximum(variance, 1e-6 * data.reach**2)
    shape = (judges, items)
    place = data.judge, data.item[data.cell]
    got, due = np.zeros(shape), np.zeros(shape)
    np.add.at(got, place, squares)
    np.add.at(due, place, variance)
    infit = got[there].sum(axis=1) / due[there].sum(axis=1)
    apart = got[there] - infit[:, None] * due[there]
    infit_se = np.sqrt((apart**2).sum(axis=1) * (dof + 1) / dof) / due[there].sum(axis=1)
    outfit = np.bincount(data.judge, squares / variance, judges) / np.maximum(
        np.bincount(data.judge, minlength=judges), 1
    )
    infit_q = adjusted(t.sf((infit - SMALL_MISFIT) / np.maximum(infit_se, 1e-9), dof))
    return tuple(
        Judge(
            name=ratings.judges[j],
            family=families.get(ratings.judges[j], ""),
            ratings=int(np.count_nonzero(ratings.judge == j)),
            mean=float(ratings.value[ratings.judge == j].mean()),
            level=float(levels[n] - levels.mean()),
            se=float(se[n]),
            points=float(points[n]),
            low=float(points[n] - half[n]),
            high=float(points[n] + half[n]),
            level_q=float(level_q[n]),
            infit=float(infit[n]),
            infit_low=float(max(infit[n] - quantile * infit_se[n], 0.0)),
            infit_high=float(infit[n] + quantile * infit_se[n]),
            outfit=float(outfit[j]),
            infit_q=float(infit_q[n]),
        )
        for n, j in enumerate(there)
    )
