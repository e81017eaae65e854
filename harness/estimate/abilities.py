"""Estimates, posteriors and draws of the abilities of all agents with outcomes on a bank."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from harness.ability import Prior
from harness.bank import ItemBank
from harness.errors import PlanError
from harness.estimate.cells import Indices, cells_of
from harness.estimate.peak import find_peak
from harness.estimate.posterior import find_posteriors
from harness.irt import Array
from harness.responses import Responses

Method = Literal["eap", "map", "wle", "ml"]


@dataclass(frozen=True, eq=False)
class Abilities:
    """Estimates for A agents on D abilities, in the order of the responses."""

    agents: tuple[str, ...]
    method: Method
    level: float
    """Probability of the intervals."""
    ability: Array
    """``(A, D)``; ±inf where the likelihood has no finite maximum, NaN where no answer tells of
    it. Either has a remark."""
    sd: Array
    """``(A, D)`` standard errors, for eap the posterior sd."""
    low: Array
    """``(A, D)`` lower ends of the intervals: quantiles of the posterior for eap with one ability,
    the estimate less a multiple of its standard error otherwise."""
    high: Array
    """``(A, D)`` upper ends."""
    items: Indices
    """``(A,)`` items with an answer."""
    answers: Indices
    """``(A,)`` answers, every trial counted."""
    score: Array
    """``(A,)`` mean score over the items with an answer; NaN without any."""
    remarks: tuple[str, ...]
    """What to know about each agent's estimate; empty for nothing."""


def estimate_abilities(
    bank: ItemBank,
    responses: Responses,
    method: Method = "eap",
    *,
    prior: Prior | None = None,
    uncertainty: bool = True,
    level: float = 0.9,
) -> Abilities:
    """Estimate the abilities of all agents with outcomes on a bank.

    Args:
        responses: outcomes on items of the bank; missing cells are left out, the trials of a cell
            all count.
        prior: for eap and map; the population of the bank when None.
        uncertainty: average over the uncertainty of item parameters; False takes them as known.
        level: probability of the intervals.

    Raises:
        ResponsesError: an item or category that the bank does not have.
        PlanError: a prior of other abilities, a level outside 0 to 1, wle for several abilities.

    >>> from harness.bank import Item
    >>> from harness.responses import from_matrix
    >>> bank = ItemBank("demo", tuple(Item(f"i{k}", "2pl", (1.5,), (0.0,)) for k in range(4)))
    >>> answers = from_matrix([[1, 1, 1, 0], [1, 1, 1, 1]], items=["i0", "i1", "i2", "i3"])
    >>> estimate_abilities(bank, answers, "wle").ability.round(2).tolist()
    [[0.56], [1.46]]
    >>> found = estimate_abilities(bank, answers, "ml")
    >>> found.ability.round(2).tolist(), found.remarks[1]
    ([[0.73], [inf]], 'no finite maximum: the likelihood rises for ever towards high ability')
    """
    prior = _prior(bank, prior)
    if not 0 < level < 1:
        raise PlanError(f"the level of an interval lies between 0 and 1, not at {level:g}")
    cells = cells_of(bank, responses, uncertainty)
    if method == "eap":
        found = find_posteriors(cells, prior)
        ability, sd = found.moments()
        low, high = (found.quantiles((1 + side * level) / 2) for side in (-1, 1))
        remarks = [""] * len(ability)
    else:
        peak = find_peak(cells, method, prior)
        ability, sd = peak.ability, peak.sd
        reach = float(ndtri(0.5 + level / 2)) * sd
        # where the estimate is infinite the data alone give no bound
        bounded = np.isfinite(ability) | np.isnan(ability)
        with np.errstate(invalid="ignore"):
            low = np.where(bounded, ability - reach, -np.inf)
            high = np.where(bounded, ability + reach, np.inf)
        remarks = [_remark(a, s) for a, s in zip(ability, peak.settled, strict=True)]
    unseen = "no answer" + (": this is the prior" if method in ("eap", "map") else "")
    return Abilities(
        agents=responses.agents,
        method=method,
        level=level,
        ability=ability,
        sd=sd,
        low=low,
        high=high,
        items=cells.items,
        answers=cells.answers,
        score=cells.score,
        remarks=tuple(
            remark if items else unseen for remark, items in zip(remarks, cells.items, strict=True)
        ),
    )


def posteriors(
    bank: ItemBank,
    responses: Responses,
    *,
    prior: Prior | None = None,
    uncertainty: bool = True,
) -> tuple[Array, Array]:
    """Posteriors of all agents on shared nodes, for a bank of one ability.

    Args:
        as :func:`estimate_abilities`.

    Returns:
        Nodes ``(Q, 1)`` and weights ``(A, Q)``, as :class:`~harness.ability.Posterior` and
        :func:`~harness.ability.predict_score` take them.

    Raises:
        PlanError: the bank has several abilities.
        ResponsesError: as :func:`estimate_abilities`.

    >>> from harness.bank import Item
    >>> from harness.responses import from_matrix
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> nodes, weights = posteriors(bank, from_matrix([[1], [0]], items=["i"]))
    >>> (weights @ nodes).round(3).tolist()
    [[0.413], [-0.413]]
    """
    if len(bank.mean) > 1:
        raise PlanError(
            f"posteriors on shared nodes need a bank of one ability; {bank.name!r} has "
            f"{len(bank.mean)}: use draw_abilities"
        )
    found = find_posteriors(cells_of(bank, responses, uncertainty), _prior(bank, prior))
    return found.nodes[0], found.weights


def draw_abilities(
    bank: ItemBank,
    responses: Responses,
    n: int,
    seed: int,
    *,
    prior: Prior | None = None,
    uncertainty: bool = True,
) -> Array:
    """``(S, A, D)`` draws of the posteriors of A agents, ``S = n``; agents are independent.

    A node is drawn by its weight and then a place in the cell around it; mean and covariance are
    those of the posterior.

    Args:
        n: draws of each agent.
        seed: of the draws.
        prior: the population of the bank when None.
        uncertainty: as in :func:`estimate_abilities`, as is the rest.

    Raises:
        ResponsesError: an item or category that the bank does not have.
        PlanError: no draws asked for, or a prior of other abilities.

    >>> from harness.bank import Item
    >>> from harness.responses import from_matrix
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> draw_abilities(bank, from_matrix([[1], [0]], items=["i"]), 100, seed=1).shape
    (100, 2, 1)
    """
    if n < 1:
        raise PlanError(f"at least one draw of each agent is needed, not {n}")
    found = find_posteriors(cells_of(bank, responses, uncertainty), _prior(bank, prior))
    rng = np.random.default_rng(seed)
    mean, covariance = found.mean_and_covariance()
    # a cell around every node widens the posterior by what a uniform cell varies
    wide = covariance + found.edges @ found.edges.swapaxes(1, 2) / 12
    shrink = np.linalg.cholesky(covariance) @ np.linalg.inv(np.linalg.cholesky(wide))
    draws = np.empty((n, *mean.shape))
    for agent in range(len(mean)):
        nodes = found.nodes[agent if len(found.nodes) > 1 else 0]
        below = np.cumsum(found.weights[agent])
        node = np.searchsorted(below / below[-1], rng.random(n), side="right")
        place = rng.uniform(-0.5, 0.5, (n, mean.shape[1])) @ found.edges[agent].T
        draws[:, agent] = mean[agent] + (nodes[node] + place - mean[agent]) @ shrink[agent].T
    return draws


def _prior(bank: ItemBank, prior: Prior | None) -> Prior:
    if prior is None:
        return Prior(bank.mean, bank.sd, bank.correlation)
    if len(prior.mean) != len(bank.mean):
        raise PlanError(
            f"the prior is over {len(prior.mean)} abilities, but bank {bank.name!r} has "
            f"{len(bank.mean)}"
        )
    if prior.mixture:
        raise PlanError("abilities are estimated under a normal prior, not under a mixture")
    return prior


def _remark(ability: Array, settled: bool) -> str:
    """What to say of an agent's maximum ``(D,)``."""
    if not settled:
        return "no maximum was found: use eap"
    names = [f"ability {d + 1}" if len(ability) > 1 else "ability" for d in range(len(ability))]
    ends = [
        f"{'high' if value > 0 else 'low'} {name}"
        for value, name in zip(ability, names, strict=True)
        if math.isinf(value)
    ]
    unknown = [name for value, name in zip(ability, names, strict=True) if math.isnan(value)]
    parts = []
    if ends:
        parts.append(
            f"no finite maximum: the likelihood rises for ever towards {' and '.join(ends)}"
        )
    if unknown:
        parts.append(f"undefined: no answer tells of {' and '.join(unknown)}")
    return "; ".join(parts)
