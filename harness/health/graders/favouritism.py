"""Which judges favour a family of agents, or themselves, apart from how high they rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.health.flags import LEVEL, RATE, adjusted
from harness.health.graders.facet_model import (
    FacetData,
    FacetFit,
    fit_facets,
    given_others,
    p_beyond,
)
from harness.irt import Array
from harness.responses.ratings import Ratings

SMALL_FAVOUR = 0.01
"""Of the scale's range: less favour than this is of no consequence."""
ITSELF = "itself"
_OWN_LIKELIER = 100.0
"""Times as likely a priori is favour for the judge's own family as for another."""


@dataclass(frozen=True)
class Favour:
    """How a judge rates a family of agents (or itself), apart from its level."""

    judge: str
    group: str
    """A family, or ``ITSELF``."""
    own: bool
    """The judge's own family, or itself."""
    agents: int
    ratings: int
    points: float
    """Above what the other judges lead one to expect, against the judge's other ratings."""
    low: float
    high: float
    q: float
    """Adjusted p-value of at most ``SMALL_FAVOUR`` of the range."""
    found: bool


@dataclass(frozen=True)
class _Candidate:
    judge: int
    group: str
    own: bool
    among: NDArray[np.bool_]
    """``(R,)``."""


def favouritism(
    ratings: Ratings, data: FacetData, families: Mapping[str, str]
) -> tuple[FacetFit, tuple[Favour, ...]]:
    """The model with the effects of favour that were found, and all that were looked for.

    Forward selection: who favours a family makes the other judges look as if they slighted it, and
    itself as if it slighted the other families; so the strongest effect goes into the model before
    the rest is judged again.
    """
    candidates = _candidates(ratings, data, families)
    fit = fit_facets(data, np.zeros((0, len(data.judge)), bool))
    # where two effects explain the same, a judge's own family is the likelier one
    likely = np.array([_OWN_LIKELIER if one.own else 1.0 for one in candidates])
    chosen: dict[int, float] = {}
    q = np.full(len(candidates), np.nan)
    for _ in range(3 * data.n[2]):
        mean, _variance = given_others(data, fit, fit.shift(data))
        points, se, dof = _contrasts(data, candidates, families, ratings, data.value - mean)
        p = p_beyond(points, se, SMALL_FAVOUR * data.reach, dof)
        p[list(chosen)] = np.nan
        q = adjusted(p)
        known = np.flatnonzero(q < RATE)
        if not len(known):
            break
        best = int(known[np.argmin((p / likely)[known])])
        chosen[best] = float(q[best])
        fit = fit_facets(data, np.array([candidates[c].among for c in chosen]), fit)
    # each seen with its own effect left out of what is expected, but in what the others say
    mean, _variance = given_others(data, fit, fit.location[data.judge])
    points, se, dof = _contrasts(data, candidates, families, ratings, data.value - mean)
    return fit, _favours(ratings, data, candidates, chosen, q, points, se, dof)


def _candidates(ratings: Ratings, data: FacetData, families: Mapping[str, str]) -> list[_Candidate]:
    family = np.array([families.get(agent, "") for agent in ratings.agents])[data.agent]
    of, itself = family[data.cell], ratings.own[data.row]
    found = []
    for j, judge in enumerate(ratings.judges):
        mine = data.judge == j
        home = families.get(judge, "")
        # with two judges nobody can say which of them favours: only what is a reason counts
        groups = np.unique(of[mine]) if data.n[2] > 2 else [home]
        parts = [(str(group), mine & (of == group)) for group in groups if group]
        if len(parts) == 2:  # favour for one is slight of the other
            parts = [part for part in parts if part[0] == home] or parts[:1]
        for group, among in [*parts, (ITSELF, mine & itself)]:
            if among.sum() > 1 and (mine & ~among).sum() > 1:
                found.append(_Candidate(j, group, group in (home, ITSELF), among))
    return found


def _contrasts(
    data: FacetData,
    candidates: Sequence[_Candidate],
    families: Mapping[str, str],
    ratings: Ratings,
    residual: Array,
) -> tuple[Array, Array, int]:
    """Mean residual of each candidate against the judge's other ratings, its standard error over
    items with the judge's variation from agent to agent, and degrees of freedom."""
    item = data.item[data.cell]
    variance, freedom = _from_agent_to_agent(data, families, ratings, residual)
    points, se = np.zeros(len(candidates)), np.zeros(len(candidates))
    for c, candidate in enumerate(candidates):
        parts = candidate.among, (data.judge == candidate.judge) & ~candidate.among
        weight = parts[0] / np.count_nonzero(parts[0]) - parts[1] / np.count_nonzero(parts[1])
        means = [residual[part].mean() for part in parts]
        left = residual - np.where(parts[0], means[0], means[1])
        by_item = np.bincount(item, weight * left)
        n = len(np.unique(item[candidate.among]))
        rated = [len(np.unique(data.agent[data.cell[part]])) for part in parts]
        points[c] = means[0] - means[1]
        se[c] = np.sqrt(
            by_item @ by_item * n / max(n - 1, 1) + variance * (1 / rated[0] + 1 / rated[1])
        )
    dof = len(np.unique(data.item)) - 1
    return points, se, max(min(dof, freedom) if variance else dof, 1)


def _from_agent_to_agent(
    data: FacetData, families: Mapping[str, str], ratings: Ratings, residual: Array
) -> tuple[float, int]:
    """Variance of a judge's mean residual between agents of one family, beyond that of the ratings
    (by moments, as DerSimonian and Laird 1986); and its degrees of freedom."""
    agents, _, judges = data.n
    pair = data.judge * agents + data.agent[data.cell]
    n = np.bincount(pair, minlength=agents * judges)
    sums = np.bincount(pair, residual, agents * judges)
    mean = sums / np.maximum(n, 1)
    error = np.bincount(pair, (residual - mean[pair]) ** 2, agents * judges)
    noise = error / np.maximum((n - 1) * n, 1)
    names = [families.get(agent, "") or f"\0{a}" for a, agent in enumerate(ratings.agents)]
    family = np.unique(names, return_inverse=True)[1]
    groups = int(family.max()) + 1
    group = np.repeat(np.arange(judges), agents) * groups + np.tile(family, judges)
    known = n > 1

    def total(values: Array) -> Array:
        return np.asarray(np.bincount(group[known], values[known], groups * judges), float)

    size = total(np.ones(len(n)))
    centre = total(mean) / np.maximum(size, 1)
    left = ((mean - centre[group])[known] ** 2).sum()
    due = (noise * (1 - 1 / np.maximum(size[group], 1)))[known].sum()
    freedom = int((np.maximum(size, 1) - 1).sum())
    return max(float(left - due) / max(freedom, 1), 0.0) if freedom else 0.0, freedom


def _favours(
    ratings: Ratings,
    data: FacetData,
    candidates: Sequence[_Candidate],
    chosen: Mapping[int, float],
    q: Array,
    points: Array,
    se: Array,
    dof: int,
) -> tuple[Favour, ...]:
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, dof)) * se
    return tuple(
        Favour(
            judge=ratings.judges[one.judge],
            group=one.group,
            own=one.own,
            agents=len(np.unique(data.agent[data.cell[one.among]])),
            ratings=int(one.among.sum()),
            points=float(points[c]),
            low=float(points[c] - half[c]),
            high=float(points[c] + half[c]),
            q=chosen.get(c, float(q[c])),
            found=c in chosen,
        )
        for c, one in enumerate(candidates)
    )
