"""Abilities of agents whose outcomes on a bank are known: estimates, standard errors, draws.

A *cell* is what one agent did on one item: a count of each category over its trials. Items are
known up to a Gaussian in their parameters x, and an item may be easier or harder for one agent
than its ability says, by an effect e ~ N(0, effect_sd²). Trials of a cell share both, so

    L_cell(θ) = E_{x,e} Π_k P(k | θ, x, e)^{count_k},        ℓ(θ) = Σ_cells log L_cell(θ)

The average is over fixed points. With one ability and a single trial they are those of
:func:`harness.bank.compile_bank`, so that the same answers give the same posterior as in a
session. Several trials take uniform nodes along the common shift of an item's intercepts, and a
few points across it. With ``uncertainty=False`` x is known.

===  ==============================================================  ========================
     estimate                                                        standard error
===  ==============================================================  ========================
eap  mean of the posterior ∝ prior e^ℓ (Bock and Mislevy 1982)        sd of the posterior
map  mode of the posterior (Samejima 1969)                           (prior precision - ℓ'')^-½
ml   maximum of ℓ                                                    (-ℓ'')^-½
wle  root of ℓ' + J / (2 I) (Warm 1989; polytomous: Samejima 1993)    (-ℓ'' - (J / (2 I))')^-½
===  ==============================================================  ========================

``I = Σ P'²/P`` and ``J = Σ P' P''/P`` run over the outcomes that the agent's cells can have. Every
standard error but that of eap is from the curvature at the estimate, the observed information,
as R's mirt has it.

With one ability the posterior lies on uniform nodes, at most a quarter of the smallest posterior
sd apart: their error falls like ``exp(-2π²s²/h²)``. With several it lies on nodes around each
agent's mode, along the axes of the curvature there (adaptive quadrature, Naylor and Smith 1982).
Modes and roots are refined by Newton's method.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logit, ndtri, roots_genlaguerre

from harness import irt
from harness.ability import Prior, moments, normalise, point_estimate
from harness.bank import Item, ItemBank, spread_of
from harness.errors import PlanError, ResponsesError
from harness.irt import Array, Family
from harness.responses import Responses

Method = Literal["eap", "map", "wle", "ml"]
_Indices: TypeAlias = NDArray[np.intp]

_CHUNK = 1 << 15
"""Probabilities that are worked on at once, so that temporaries fit the processor's cache."""
_PATTERNS = 256
"""Patterns whose log-likelihoods are handed to the agents at once."""
_TINY = 1e-300
_MOST_NODES = 20_000
"""Of one ability: a grid of more would take a prior far wider than the narrowest posterior."""
_SHIFTS = np.linspace(-7.0, 7.0, 49)
"""Of the intercepts that several trials share, in sds. The log-likelihood of five trials is right
to 2e-7 with an effect of up to 2 logits, to 5e-6 with one of 3; that of twenty to 1e-4 with an
effect of 1 to 2 logits, to 2e-2 with one of 3."""
_MOST_OUTCOMES = 2000
"""Of the trials of a cell that weighted likelihood sums over."""
_ROUNDS = 200
"""Steps of Newton's method before a maximum counts as not found."""
_LAST = 1e-5
"""The last step of Newton's method is no longer than this, in prior sds."""
_NEARBY = 1e-4
"""Prior sds between an ability and where its bias is probed for a difference quotient."""
_FLAT = 1e-6
"""Information per squared prior sd below which an agent's answers do not hold ability back: the
standard error would be a thousand prior sds."""
_AXIS = {1: 61, 2: 13, 3: 7}
"""Nodes a dimension, over ±6 prior sds, from the best of which a climb starts."""
_REACH, _SPACING = 5.4, 0.9
"""Of adaptive nodes, in posterior sds."""
_LAYINGS = 4
"""Times that adaptive nodes are laid at most."""


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
    items: _Indices
    """``(A,)`` items with an answer."""
    answers: _Indices
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
    cells = _cells(bank, responses, uncertainty)
    if method == "eap":
        found = _posterior(cells, prior)
        ability, sd = found.moments()
        low, high = (found.quantiles((1 + side * level) / 2) for side in (-1, 1))
        remarks = [""] * len(ability)
    else:
        peak = _peak(cells, method, prior)
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
    found = _posterior(_cells(bank, responses, uncertainty), _prior(bank, prior))
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

    >>> from harness.responses import from_matrix
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> draw_abilities(bank, from_matrix([[1], [0]], items=["i"]), 100, seed=1).shape
    (100, 2, 1)
    """
    if n < 1:
        raise PlanError(f"at least one draw of each agent is needed, not {n}")
    found = _posterior(_cells(bank, responses, uncertainty), _prior(bank, prior))
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


# --- outcomes as cells ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Points:
    """m items of one shape, each at M points of its parameters."""

    kind: Family
    slopes: Array
    """``(m, M, D)``."""
    intercepts: Array
    """``(m, M, K-1)``."""
    lower: Array
    """``(m, M)``."""
    upper: Array
    """``(m, M)``."""
    log_weights: Array
    """``(M,)``."""


@dataclass(frozen=True, eq=False)
class _Block:
    """C cells on items of one shape. Equal counts on the same item are one of P patterns."""

    points: _Points
    row: _Indices
    """``(P,)`` row of the points."""
    counts: Array
    """``(P, K)``."""
    agent: _Indices
    """``(C,)``."""
    pattern: _Indices
    """``(C,)``."""


@dataclass(frozen=True, eq=False)
class _Cells:
    """All cells of A agents."""

    blocks: tuple[_Block, ...]
    population: Prior
    """Of the bank: where to look for a maximum, and in what units to measure a step."""
    items: _Indices
    """``(A,)``, as the next two of :class:`Abilities`."""
    answers: _Indices
    score: Array

    @property
    def abilities(self) -> int:
        """D."""
        return len(self.population.mean)


def _cells(bank: ItemBank, responses: Responses, uncertainty: bool) -> _Cells:
    source = responses.source or "the responses"
    index = {item.id: row for row, item in enumerate(bank.items)}
    row_of = np.array([index.get(item, -1) for item in responses.items], np.intp)
    row = row_of[responses.item]
    if (row < 0).any():
        first = responses.items[responses.item[int(np.argmax(row < 0))]]
        raise ResponsesError(
            f"{source}: item {first!r} is not in bank {bank.name!r}; give the bank that it belongs "
            "to, or remove its rows"
        )
    top = np.array([len(item.intercepts) for item in bank.items], np.intp)
    if (wrong := (responses.category > top[row]) | (responses.category < 0)).any():
        at = int(np.argmax(wrong))
        raise ResponsesError(
            f"{source}: agent {responses.agents[responses.agent[at]]!r}, item "
            f"{bank.items[row[at]].id!r}: category {responses.category[at]}, but the bank has "
            f"0..{top[row[at]]}; check the scoring of that item"
        )
    agents, n, k = len(responses.agents), len(bank.items), int(top.max()) + 1
    cell, which = np.unique(responses.agent * n + row, return_inverse=True)
    agent, row = cell // n, cell % n
    counts = np.bincount(which * k + responses.category, minlength=len(cell) * k).reshape(-1, k)
    items = np.bincount(agent, minlength=agents)
    earned = counts @ np.arange(k) / (counts.sum(axis=1) * top[row])
    with np.errstate(invalid="ignore"):
        score = np.bincount(agent, earned, agents) / items

    code = row
    for column in counts.T:
        _, first_of, code = np.unique(
            code * (int(column.max(initial=0)) + 1) + column, return_index=True, return_inverse=True
        )
    blocks = _blocks(bank, uncertainty, row[first_of], counts[first_of], agent, code)
    answers = np.bincount(responses.agent, minlength=agents)
    return _Cells(tuple(blocks), _prior(bank, None), items, answers, score)


def _blocks(
    bank: ItemBank,
    uncertainty: bool,
    row: _Indices,
    counts: _Indices,
    agent: _Indices,
    pattern: _Indices,
) -> Iterator[_Block]:
    """Patterns (``row``, ``counts``) and their cells, apart by the shape of their items."""
    spreads = [spread_of(item, uncertainty) for item in bank.items]
    shapes: dict[tuple[Family, int, int, _Rule], list[int]] = {}
    for p, (r, attempts) in enumerate(zip(row, counts.sum(axis=1), strict=True)):
        item, spread = bank.items[r], spreads[r]
        size = 0 if spread is None else len(spread)
        rule = _rule(item, int(attempts)) if size else "table"
        shape = irt.family(item.model), len(item.intercepts), size, rule
        shapes.setdefault(shape, []).append(p)
    for (kind, steps, _, rule), patterns in shapes.items():
        rows, of_pattern = np.unique(row[patterns], return_inverse=True)
        found = [spread for r in rows if (spread := spreads[r]) is not None]
        points = _points(
            kind, [bank.items[r] for r in rows], np.array(found) if found else None, rule
        )
        position = np.full(len(row), -1)
        position[patterns] = np.arange(len(patterns))
        here = np.flatnonzero(position[pattern] >= 0)
        yield _Block(
            points,
            of_pattern,
            counts[patterns, : steps + 1].astype(float),
            agent[here],
            position[pattern[here]],
        )


_Rule: TypeAlias = Literal["table", "rays", "shift"]
"""Which points stand for the spread of an item's parameters: those of the compiled table; few on
the axes; many along the common shift of the intercepts, and few across it. The likelihood of
several trials is sharp along that shift, where the others would be far off."""


def _rule(item: Item, attempts: int) -> _Rule:
    if attempts > 1:
        return "shift"
    if len(item.slopes) == 1:
        return "table"
    return "shift" if item.effect_sd else "rays"


def _points(kind: Family, items: list[Item], spread: Array | None, rule: _Rule) -> _Points:
    """Items at points of their parameters, which vary by ``spread (m, p, p)``."""
    slopes = np.array([item.slopes for item in items])[:, None]
    intercepts = np.array([item.intercepts for item in items])[:, None]
    lower = np.array([item.lower for item in items])[:, None]
    upper = np.array([item.upper for item in items])[:, None]
    if spread is None:
        return _Points(kind, slopes, intercepts, lower, upper, np.zeros(1))
    d, steps = slopes.shape[2], intercepts.shape[2]
    shifts, log_weights = _shifts(spread, slice(d, d + steps), rule)
    # the forms that irt.predictive averages over
    slopes = slopes * np.exp(shifts[:, :, :1]) if d == 1 else slopes + shifts[:, :, :d]
    intercepts = intercepts + shifts[:, :, d : d + steps]
    if kind == "graded":
        intercepts = -np.sort(-intercepts, axis=2)
    lower, upper = (
        expit(logit(side) + shifts[:, :, at])
        if at < spread.shape[1]
        else side + 0 * shifts[:, :, 0]
        for side, at in ((lower, d + steps), (upper, d + steps + 1))
    )
    return _Points(kind, slopes, intercepts, lower, np.maximum(upper, lower), log_weights)


def _shifts(spread: Array, steps: slice, rule: "_Rule") -> tuple[Array, Array]:
    """``(m, M, p)`` changes of the parameters and the log weights ``(M,)`` of the points."""
    if rule == "table":
        points = irt.normal_draws(spread.shape[1])
        shifts = np.einsum("mp,nqp->nmq", points, _square_root(spread))
        return shifts, np.full(len(points), -math.log(len(points)))
    if rule == "rays":
        points, log_weights = _rays(spread.shape[1])
        return np.einsum("mp,nqp->nmq", points, _square_root(spread)), log_weights
    common = spread[:, :, steps].mean(axis=2)
    variance = common[:, steps].mean(axis=1, keepdims=True)
    along = common / np.sqrt(np.maximum(variance, _TINY))
    # given the common shift one axis fewer is left
    rest = _square_root(spread - along[:, :, None] * along[:, None, :])[:, :, 1:]
    log_weights = Prior().log_weights(_SHIFTS[:, None])
    shifts = along[:, None, :] * _SHIFTS[:, None]
    if np.abs(rest).max(initial=0.0) < 1e-6:
        return shifts, log_weights
    points, log_rest = _rays(rest.shape[2])
    both = shifts[:, :, None] + np.einsum("mp,nqp->nmq", points, rest)[:, None]
    return (
        both.reshape(len(both), -1, both.shape[3]),
        (log_weights[:, None] + log_rest).ravel(),
    )


def _rays(size: int) -> tuple[Array, Array]:
    """``(M, size)`` points of a standard normal, on the axes at two radii each, and log weights.

    >>> points, log_weights = _rays(3)
    >>> bool(np.allclose((points.T * np.exp(log_weights)) @ points, np.eye(3)))
    True
    """
    # the square of the radius over 2 has a gamma distribution
    half_square, weight = roots_genlaguerre(2, size / 2 - 1)
    radii = np.sqrt(2 * half_square)
    axes = np.concatenate([np.eye(size), -np.eye(size)])
    points = (radii[:, None, None] * axes).reshape(-1, size)
    return points, np.log(np.repeat(weight / weight.sum(), len(axes)) / len(axes))


def _square_root(covariance: Array) -> Array:
    """``F`` with ``F Fᵀ = covariance``, ``(m, p, p)``; the smallest axis comes first."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :])


# --- the likelihood of cells ------------------------------------------------------------------


def _log_likelihood(points: _Points, row: _Indices, counts: Array, nodes: Array) -> Array:
    """``(c, J)`` log-likelihood of c cells at J nodes.

    Args:
        row: ``(c,)`` row of the points.
        counts: ``(c, K)``.
        nodes: ``(J, D)``, or ``(c, J, D)`` where each cell has its own.
    """
    c, m, j = len(row), len(points.log_weights), nodes.shape[-2]
    if nodes.ndim == 2:
        log_p, _ = _at(points, row, points.slopes[row].reshape(c * m, -1), nodes)
        log_p = log_p.reshape(c, m, -1, j)
        joint = np.einsum("ck,cmkj->cmj", counts, log_p)
    else:
        z = points.slopes[row] @ nodes.swapaxes(1, 2)
        each = np.repeat(row, j)
        log_p, _ = _at(points, each, z.swapaxes(1, 2).reshape(-1, 1), np.ones((1, 1)))
        log_p = log_p.reshape(c, j, m, -1)
        joint = np.einsum("ck,cjmk->cmj", counts, log_p)
    return _log_mean(joint + points.log_weights[:, None])


def _derivatives(
    points: _Points, row: _Indices, counts: Array, ability: Array
) -> tuple[Array, Array, Array]:
    """Log-likelihood ``(c,)`` of c cells with its gradient ``(c, D)`` and Hessian ``(c, D, D)``.

    Args:
        row: ``(c,)`` row of the points.
        counts: ``(c, K)``.
        ability: ``(c, D)`` of the agent of each cell.
    """
    c, m = len(row), len(points.log_weights)
    slopes = points.slopes[row]
    z = (slopes @ ability[:, :, None]).reshape(-1, 1)
    log_p, dp = (part[:, :, 0] for part in _at(points, row, z, np.ones((1, 1))))
    p = np.exp(log_p)
    first = dp / p
    second = _second(points, row, p, dp) / p - first**2
    log_p, first, second = (x.reshape(c, m, -1) for x in (log_p, first, second))
    joint = np.einsum("ck,cmk->cm", counts, log_p) + points.log_weights
    value = _log_mean(joint)
    weight = np.exp(joint - value[:, None])
    slope = np.einsum("ck,cmk->cm", counts, first)
    bend = np.einsum("ck,cmk->cm", counts, second)
    gradient = np.einsum("cm,cmd->cd", weight * slope, slopes)
    # what the points say of the second derivative, and how much they differ in the first
    off = slope[:, :, None] * slopes - gradient[:, None]
    hessian = (slopes * (weight * bend)[:, :, None]).swapaxes(1, 2) @ slopes
    hessian += (off * weight[:, :, None]).swapaxes(1, 2) @ off
    return value, gradient, hessian


def _log_mean(joint: Array) -> Array:
    """Log of the sum of exponentials along the axis of points, the second."""
    if joint.shape[1] == 1:
        return joint[:, 0]
    top = joint.max(axis=1)
    return np.asarray(np.log(np.exp(joint - top[:, None]).sum(axis=1)) + top)


def _at(points: _Points, row: _Indices, slopes: Array, nodes: Array) -> tuple[Array, Array]:
    """:func:`irt.response` of every point of the items ``row``, slopes given."""
    steps = points.intercepts.shape[2]
    return irt.response(
        points.kind,
        slopes,
        points.intercepts[row].reshape(-1, steps),
        points.lower[row].ravel(),
        points.upper[row].ravel(),
        nodes,
    )


def _second(points: _Points, row: _Indices, p: Array, dp: Array) -> Array:
    """``(N, K)`` second derivatives of category probabilities with respect to ``z = a·θ``."""
    if points.kind == "partial_credit":
        k = np.arange(p.shape[1])
        off = k - (k * p).sum(axis=1, keepdims=True)
        return np.asarray(p * (off**2 - (p * off**2).sum(axis=1, keepdims=True)))
    # probability of category k or more, a logistic curve between the asymptotes
    reach = np.cumsum(p[:, :0:-1], axis=1)[:, ::-1]
    rise = np.cumsum(dp[:, :0:-1], axis=1)[:, ::-1]
    lower, upper = points.lower[row].reshape(-1, 1), points.upper[row].reshape(-1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(upper > lower, (reach - lower) / (upper - lower), 0.5)
    bend = np.pad(rise * (1 - 2 * share), ((0, 0), (1, 1)))
    return np.asarray(bend[:, :-1] - bend[:, 1:])


def _slices(length: int, size: int) -> Iterator[slice]:
    """Chunks of ``length`` rows that each hold ``size`` numbers."""
    step = max(1, _CHUNK // size)
    return (slice(start, start + step) for start in range(0, length, step))


def _on_nodes(cells: _Cells, nodes: Array) -> Array:
    """``(A, Q)`` log-likelihood of every agent at shared nodes ``(Q, D)``."""
    total = np.zeros((len(cells.items), len(nodes)))
    for block in cells.blocks:
        m, k = len(block.points.log_weights), block.counts.shape[1]
        order = np.argsort(block.pattern, kind="stable")
        begins = np.searchsorted(block.pattern[order], np.arange(len(block.row) + 1))
        for first in range(0, len(block.row), _PATTERNS):
            row = block.row[first : first + _PATTERNS]
            counts = block.counts[first : first + _PATTERNS]
            table = [
                _log_likelihood(block.points, row[some], counts[some], nodes)
                for some in _slices(len(row), m * k * len(nodes))
            ]
            there = order[begins[first] : begins[first + len(row)]]
            has = np.zeros((len(total), len(row)))
            has[block.agent[there], block.pattern[there] - first] = 1.0
            total += has @ np.concatenate(table)
    return total


def _at_each(cells: _Cells, agents: _Indices, ability: Array) -> tuple[Array, Array, Array]:
    """Log-likelihood ``(a,)`` of some agents, gradient ``(a, D)`` and Hessian ``(a, D, D)``.

    Args:
        agents: ``(a,)`` distinct agents.
        ability: ``(a, D)`` theirs.
    """
    d = cells.abilities
    total = np.zeros((len(agents), 1 + d + d * d))
    for block, agent, pattern in _of_agents(cells, agents):
        m, k = len(block.points.log_weights), block.counts.shape[1]
        for some in _slices(len(agent), m * k):
            who, what = agent[some], pattern[some]
            value, gradient, hessian = _derivatives(
                block.points, block.row[what], block.counts[what], ability[who]
            )
            flat = np.column_stack([value, gradient, hessian.reshape(len(who), -1)])
            for column, numbers in enumerate(flat.T):
                total[:, column] += np.bincount(who, numbers, len(agents))
    return total[:, 0], total[:, 1 : 1 + d], total[:, 1 + d :].reshape(-1, d, d)


def _of_agents(cells: _Cells, agents: _Indices) -> Iterator[tuple[_Block, _Indices, _Indices]]:
    """Of each block the cells of some agents: position in ``agents``, and pattern."""
    position = np.full(len(cells.items), -1)
    position[agents] = np.arange(len(agents))
    for block in cells.blocks:
        agent = position[block.agent]
        here = agent >= 0
        yield block, agent[here], block.pattern[here]


# --- posteriors -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Posterior:
    """Posteriors of A agents on J nodes."""

    nodes: Array
    """``(A, J, D)``, or ``(1, J, D)`` where all agents share them."""
    weights: Array
    """``(A, J)``."""
    edges: Array
    """``(A, D, D)``; the columns span the cell that a node stands for."""

    def moments(self) -> tuple[Array, Array]:
        """Means and sds ``(A, D)``."""
        mean, covariance = self.mean_and_covariance()
        return mean, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))

    def mean_and_covariance(self) -> tuple[Array, Array]:
        """``(A, D)`` and ``(A, D, D)``."""
        if self.nodes.shape[2] == 1:
            mean, sd = moments(self.nodes[0], self.weights)
            return mean, sd[:, :, None] ** 2
        mean = (self.weights[:, None] @ self.nodes)[:, 0]
        off = self.nodes - mean[:, None]
        return mean, np.asarray((off * self.weights[:, :, None]).swapaxes(1, 2) @ off)

    def quantiles(self, probability: float) -> Array:
        """``(A, D)`` quantiles; with several abilities to the third moment."""
        if self.nodes.shape[2] == 1:
            # each node stands for the cell around it, so half of its mass lies below it
            below = np.cumsum(self.weights, axis=1) - self.weights / 2
            x = self.nodes[0, :, 0]
            return np.array([np.interp(probability, row, x) for row in below]).reshape(-1, 1)
        mean, sd = self.moments()
        off = (self.nodes - mean[:, None]) / sd[:, None]
        skewness = (self.weights[:, None] @ off**3)[:, 0]
        z = float(ndtri(probability))
        return np.asarray(mean + sd * (z + (z**2 - 1) * skewness / 6))


def _posterior(cells: _Cells, prior: Prior) -> _Posterior:
    return _shared(cells, prior) if cells.abilities == 1 else _adaptive(cells, prior)


def _shared(cells: _Cells, prior: Prior) -> _Posterior:
    """On uniform nodes, as dense and wide as the posteriors of one ability need."""
    mean, sd = prior.mean[0], prior.sd[0]
    low, high, step = mean - 6 * sd, mean + 6 * sd, 0.2 * sd
    while True:
        count = math.ceil((high - low) / step) + 1
        if count > _MOST_NODES:
            raise PlanError(
                f"a prior of sd {sd:g} is too wide beside the narrowest posterior: "
                "give a narrower prior"
            )
        nodes = np.linspace(low, high, count)[:, None]
        log_weights = _on_nodes(cells, nodes) + prior.log_weights(nodes)
        weights = normalise(log_weights)
        spacing = float(nodes[1, 0] - nodes[0, 0])
        width = _smallest_sd(log_weights, spacing)
        weight = weights.max(axis=0, initial=0.0)
        below, above = weight[0] > 1e-9, weight[-1] > 1e-9
        if not below and not above and spacing <= min(width / 4, 0.05 * sd):
            return _Posterior(nodes[None], weights, np.full((len(weights), 1, 1), spacing))
        # a little finer than needed, so that a curvature found on coarse nodes need not be exact
        step = min(step, width / 5, 0.05 * sd)
        some = nodes[weight > 1e-12, 0]
        low = low - 6 * sd if below else float(some.min(initial=mean)) - spacing
        high = high + 6 * sd if above else float(some.max(initial=mean)) + spacing


def _smallest_sd(log_weights: Array, step: float) -> float:
    """By the curvature at the highest node: right even where the nodes are too far apart."""
    peak = np.clip(log_weights.argmax(axis=1), 1, log_weights.shape[1] - 2)
    rows = np.arange(len(log_weights))
    left, mid, right = (log_weights[rows, peak + shift] for shift in (-1, 0, 1))
    bend = float((2 * mid - left - right).max(initial=0.0))
    return step / math.sqrt(bend) if bend > 0 else math.inf


def _adaptive(cells: _Cells, prior: Prior) -> _Posterior:
    """On nodes around each agent's mode, along the axes of the curvature there.

    Where mean and covariance come out as others than the nodes were laid for, because the
    posterior is skewed, nodes are laid again.
    """
    d = cells.abilities
    peak = _peak(cells, "map", prior)
    axis = np.arange(-_REACH, _REACH + _SPACING / 2, _SPACING)
    unit = np.array(list(itertools.product(axis, repeat=d)))
    # corners that a normal posterior leaves empty
    unit = unit[(unit**2).sum(axis=1) <= _REACH**2 * (1 + 1e-9)]
    centre, covariance = peak.ability, np.linalg.inv(peak.curvature)
    nodes = np.empty((len(centre), len(unit), d))
    weights, edges = np.empty(nodes.shape[:2]), np.empty(covariance.shape)
    live = np.arange(len(centre))
    for _ in range(_LAYINGS):
        edges[live] = _SPACING * np.linalg.cholesky(covariance[live])
        nodes[live] = centre[live, None] + unit / _SPACING @ edges[live].swapaxes(1, 2)
        weights[live] = normalise(
            _on_own_nodes(cells, live, nodes[live]) + _log_density(nodes[live], prior)
        )
        mean, found = _Posterior(nodes[live], weights[live], edges[live]).mean_and_covariance()
        unscale = np.linalg.inv(edges[live]) * _SPACING
        moved = (unscale @ (mean - centre[live])[:, :, None])[:, :, 0]
        spread = unscale @ found @ unscale.swapaxes(1, 2) - np.eye(d)
        centre[live], covariance[live] = mean, found
        live = live[(np.abs(moved).max(axis=1) > 0.1) | (np.abs(spread).max(axis=(1, 2)) > 0.1)]
        if not len(live):
            break
    return _Posterior(nodes, weights, edges)


def _on_own_nodes(cells: _Cells, agents: _Indices, nodes: Array) -> Array:
    """``(a, J)`` log-likelihood of some agents, each at its own nodes ``(a, J, D)``."""
    total = np.zeros(nodes.shape[:2])
    for block, agent, pattern in _of_agents(cells, agents):
        m, k = len(block.points.log_weights), block.counts.shape[1]
        for some in _slices(len(agent), m * k * nodes.shape[1]):
            who, what = agent[some], pattern[some]
            found = _log_likelihood(block.points, block.row[what], block.counts[what], nodes[who])
            # cells are in the order of agents
            begins = np.flatnonzero(np.diff(who, prepend=-1))
            total[who[begins]] += np.add.reduceat(found, begins, axis=0)
    return total


def _log_density(nodes: Array, prior: Prior) -> Array:
    """Log of the prior density up to a constant, at ``(…, D)``."""
    off = nodes - np.array(prior.mean)
    return np.asarray(-0.5 * ((off @ np.linalg.inv(prior.covariance)) * off).sum(axis=-1))


# --- maxima and roots -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Peak:
    """Where a climb of A agents ended."""

    ability: Array
    """``(A, D)``."""
    sd: Array
    """``(A, D)``."""
    settled: NDArray[np.bool_]
    """``(A,)``."""
    curvature: Array
    """``(A, D, D)`` minus the Hessian, made positive definite."""


def _peak(cells: _Cells, method: Literal["map", "wle", "ml"], prior: Prior) -> _Peak:
    match method:
        case "map":
            return _climb(cells, _best_nodes(cells, prior), prior)
        case "ml":
            return _climb(cells, _best_nodes(cells, None), None)
        case "wle":
            if cells.abilities > 1:
                raise PlanError(
                    "weighted likelihood (wle) is defined for one ability, and this bank has "
                    f"{cells.abilities}: use eap or map"
                )
            return _weighted(cells, _best_nodes(cells, cells.population))


def _best_nodes(cells: _Cells, prior: Prior | None) -> Array:
    """``(A, D)`` nodes of the highest posterior, or of the highest likelihood without a prior."""
    around = prior or cells.population
    axes = [
        np.linspace(m - 6 * s, m + 6 * s, _AXIS[cells.abilities])
        for m, s in zip(around.mean, around.sd, strict=True)
    ]
    nodes = np.array(list(itertools.product(*axes)))
    log_weights = _on_nodes(cells, nodes)
    if prior is not None:
        log_weights += prior.log_weights(nodes)
    return point_estimate(nodes, normalise(log_weights), "map")


def _climb(cells: _Cells, start: Array, prior: Prior | None) -> _Peak:
    """Newton's method for every agent at once, on the posterior, or on the likelihood alone.

    A step goes uphill along every axis of the curvature, whatever its sign; it is shortened where
    the objective falls. Where the likelihood is flat in a direction when all others have settled,
    its maximum in that direction is not finite.
    """
    agents, d = start.shape
    around = prior or cells.population
    centre, scale = np.array(around.mean), np.array(around.sd)
    precision = np.zeros((d, d))
    if prior is not None:
        precision = np.asarray(np.linalg.inv(prior.covariance) * np.outer(scale, scale), float)

    def objective(who: _Indices, x: Array) -> tuple[Array, Array, Array]:
        value, gradient, hessian = _at_each(cells, who, centre + scale * x)
        pull = x @ precision
        return (
            value - 0.5 * (pull * x).sum(axis=1),
            gradient * scale - pull,
            precision - hessian * np.outer(scale, scale),
        )

    x = (start - centre) / scale
    value, gradient, curvature = objective(np.arange(agents), x)
    share = np.ones(agents)
    settled = np.zeros(agents, bool)
    for _ in range(_ROUNDS):
        step, flat_only = _newton(gradient, curvature)
        # the last step is taken unseen: after it the error is of the order of its square
        last = ~settled & ~flat_only & (np.abs(step).max(axis=1) < _LAST)
        x[last] += step[last]
        settled |= flat_only | last
        live = np.flatnonzero(~settled)
        if not len(live):
            break
        trial = x[live] + share[live, None] * step[live]
        new_value, new_gradient, new_curvature = objective(live, trial)
        better = new_value >= value[live] - 1e-12 * np.abs(value[live])
        moved = live[better]
        x[moved], value[moved] = trial[better], new_value[better]
        gradient[moved], curvature[moved] = new_gradient[better], new_curvature[better]
        share[live] = np.where(better, np.minimum(1.0, 4 * share[live]), share[live] / 4)
    return _end(x, gradient, curvature, settled, around)


def _newton(gradient: Array, curvature: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Steps ``(A, D)``, and whether only flat directions are left to go in; all in prior sds."""
    values, vectors, slope, flat = _axes(gradient, curvature)
    parts = slope / np.maximum(np.abs(values), _TINY)
    settled = (flat | (np.abs(parts) < _LAST)).all(axis=1)
    step = (vectors @ np.clip(parts, -2.0, 2.0)[:, :, None])[:, :, 0]
    return step, np.asarray(settled & flat.any(axis=1))


def _end(
    x: Array,
    gradient: Array,
    curvature: Array,
    settled: NDArray[np.bool_],
    around: Prior,
) -> _Peak:
    """Where a climb has ended, all given in prior sds."""
    values, vectors, slope, flat = _axes(gradient, curvature)
    steep = np.maximum(np.abs(values), _TINY)
    variance = (vectors**2 / np.where(flat, np.inf, steep)[:, None]).sum(axis=2)
    # the part of each flat direction along each ability, and where it leads
    along = np.where(flat[:, None] & (np.abs(vectors) > 1e-3), vectors, 0.0)
    towards = (along * slope[:, None]).sum(axis=2)
    end = np.where(np.abs(towards) > 1e-13, np.copysign(np.inf, towards), np.nan)
    open_ended = (along != 0).any(axis=2)
    centre, scale = np.array(around.mean), np.array(around.sd)
    convex = (vectors * np.maximum(steep, _FLAT)[:, None]) @ vectors.swapaxes(1, 2)
    return _Peak(
        centre + scale * np.where(open_ended, end, x),
        scale * np.where(open_ended, np.abs(end), np.sqrt(variance)),
        settled,
        convex / np.outer(scale, scale),
    )


def _axes(gradient: Array, curvature: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Eigenvalues, eigenvectors, slopes along them, and which of them are flat; in prior sds."""
    values, vectors = np.linalg.eigh(curvature)
    slope = (gradient[:, None] @ vectors)[:, 0]
    return values, vectors, slope, (np.abs(values) < _FLAT) & (np.abs(slope) < 1e-3)


def _weighted(cells: _Cells, start: Array) -> _Peak:
    """Warm's root of ``ℓ' + J / (2 I)``, uphill from the start, and the slope there.

    Newton's method between the places where the sign is known, halving where it would leave them.
    """
    agents, scale = len(start), cells.population.sd[0]
    x: Array = np.where(cells.items > 0, start[:, 0], np.nan)
    low, high = np.full(agents, -np.inf), np.full(agents, np.inf)
    bend = np.full(agents, np.nan)
    live = np.flatnonzero(cells.items > 0)
    for _ in range(_ROUNDS):
        at = x[live]
        _, score, slope = _at_each(cells, live, at[:, None])
        nearby = [_bias(cells, live, at + side * _NEARBY * scale) for side in (-1, 1)]
        score = score[:, 0] + (nearby[0] + nearby[1]) / 2
        bend[live] = slope[:, 0, 0] + (nearby[1] - nearby[0]) / (2 * _NEARBY * scale)
        low[live] = np.where(score > 0, at, low[live])
        high[live] = np.where(score < 0, at, high[live])
        step = np.clip(score / np.maximum(np.abs(bend[live]), _TINY), -scale, scale)
        to = at + step
        with np.errstate(invalid="ignore"):
            middle = (low[live] + high[live]) / 2
        beyond = np.isfinite(middle) & ((to <= low[live]) | (to >= high[live]))
        x[live] = np.where(beyond, middle, to)
        live = live[np.abs(step) >= _LAST * scale]
        if not len(live):
            break
    settled = np.ones(agents, bool)
    settled[live] = False
    return _Peak(x[:, None], np.abs(bend[:, None]) ** -0.5, settled, np.abs(bend[:, None, None]))


def _bias(cells: _Cells, agents: _Indices, ability: Array) -> Array:
    """``J / (2 I)`` of some agents ``(a,)`` at their ``ability (a,)``."""
    information, bias = np.zeros(len(agents)), np.zeros(len(agents))
    for block, agent, pattern in _of_agents(cells, agents):
        attempts = block.counts.sum(axis=1).astype(int)[pattern]
        for total in np.unique(attempts):
            who, what = agent[attempts == total], pattern[attempts == total]
            i, j = _expected(block.points, block.row[what], int(total), ability[who])
            information += np.bincount(who, i, len(agents))
            bias += np.bincount(who, j, len(agents))
    return bias / np.maximum(2 * information, _TINY)


def _expected(points: _Points, row: _Indices, attempts: int, ability: Array) -> tuple[Array, Array]:
    """I and J, both ``(c,)``, of cells of so many trials: sums over all outcomes they can have."""
    k = points.intercepts.shape[2] + 1
    # trials that share nothing add up
    alone = len(points.log_weights) == 1
    outcomes, ways = _outcomes(1 if alone else attempts, k)
    information, bias = np.zeros(len(row)), np.zeros(len(row))
    for some in _slices(len(row), len(outcomes) * len(points.log_weights) * k):
        who = np.repeat(row[some], len(outcomes))
        value, first, second = _derivatives(
            points,
            who,
            np.tile(outcomes, (len(who) // len(outcomes), 1)),
            np.repeat(ability[some], len(outcomes))[:, None],
        )
        p = np.exp(value.reshape(-1, len(outcomes)) + ways)
        first, second = first.reshape(p.shape), second.reshape(p.shape)
        information[some] = (p * first**2).sum(axis=1)
        bias[some] = (p * first * (second + first**2)).sum(axis=1)
    return (information * attempts, bias * attempts) if alone else (information, bias)


def _outcomes(attempts: int, k: int) -> tuple[Array, Array]:
    """``(O, K)`` counts that so many trials can have, and the log number of their orders.

    >>> _outcomes(2, 2)[0].tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    if math.comb(attempts + k - 1, k - 1) > _MOST_OUTCOMES:
        raise PlanError(
            f"weighted likelihood (wle) sums over every outcome of a cell, and {attempts} trials "
            f"in {k} categories have too many: use eap or map"
        )
    bars = itertools.combinations(range(attempts + k - 1), k - 1)
    edges = np.array([(-1, *bar, attempts + k - 1) for bar in bars])
    counts = np.diff(edges, axis=1) - 1.0
    return counts, gammaln(attempts + 1) - gammaln(counts + 1).sum(axis=1)
