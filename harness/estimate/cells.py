"""Outcomes as cells, and their items at points of what is not known of their parameters."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, roots_genlaguerre

from harness import irt
from harness.ability import Prior
from harness.bank import Item, ItemBank, spread_of
from harness.errors import ResponsesError
from harness.irt import Array, Family
from harness.responses import Responses

Indices: TypeAlias = NDArray[np.intp]

TINY = 1e-300
"""What a divisor is at least."""
_SHIFTS = np.linspace(-7.0, 7.0, 49)
"""Of the intercepts that several trials share, in sds. The log-likelihood of five trials is right
to 2e-7 with an effect of up to 2 logits, to 5e-6 with one of 3; that of twenty to 1e-4 with an
effect of 1 to 2 logits, to 2e-2 with one of 3."""


@dataclass(frozen=True, eq=False)
class Points:
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
class Block:
    """C cells on items of one shape. Equal counts on the same item are one of P patterns."""

    points: Points
    row: Indices
    """``(P,)`` row of the points."""
    counts: Array
    """``(P, K)``."""
    agent: Indices
    """``(C,)``."""
    pattern: Indices
    """``(C,)``."""


@dataclass(frozen=True, eq=False)
class Cells:
    """All cells of A agents."""

    blocks: tuple[Block, ...]
    population: Prior
    """Of the bank: where to look for a maximum, and in what units to measure a step."""
    items: Indices
    """``(A,)``, as the next two of :class:`harness.estimate.Abilities`."""
    answers: Indices
    score: Array

    @property
    def abilities(self) -> int:
        """D."""
        return len(self.population.mean)


def cells_of(bank: ItemBank, responses: Responses, uncertainty: bool) -> Cells:
    """The responses as cells; ResponsesError for an item or category that the bank lacks."""
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
    return Cells(tuple(blocks), Prior(bank.mean, bank.sd, bank.correlation), items, answers, score)


def _blocks(
    bank: ItemBank,
    uncertainty: bool,
    row: Indices,
    counts: Indices,
    agent: Indices,
    pattern: Indices,
) -> Iterator[Block]:
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
        yield Block(
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


def _points(kind: Family, items: list[Item], spread: Array | None, rule: _Rule) -> Points:
    """Items at points of their parameters, which vary by ``spread (m, p, p)``."""
    slopes = np.array([item.slopes for item in items])[:, None]
    intercepts = np.array([item.intercepts for item in items])[:, None]
    lower = np.array([item.lower for item in items])[:, None]
    upper = np.array([item.upper for item in items])[:, None]
    if spread is None:
        return Points(kind, slopes, intercepts, lower, upper, np.zeros(1))
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
    return Points(kind, slopes, intercepts, lower, np.maximum(upper, lower), log_weights)


def _shifts(spread: Array, steps: slice, rule: _Rule) -> tuple[Array, Array]:
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
    along = common / np.sqrt(np.maximum(variance, TINY))
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
