"""How ability moves between checkpoints: the transitions of a state-space model on nodes.

Between two checkpoints ability takes a random walk whose variance grows with the training steps
between them; now and then, or where it is declared, it jumps. Optionally the walk follows a slope
that itself walks (a local linear trend, Harvey 1989). How far ability walks is not known
beforehand: a few sds are carried along, and the answers weigh them.

Kernels are those of the discrete Gaussian ``exp(-t) I_n(t)`` (Lindeberg 1990): on nodes it has the
variance of the walk exactly, however small it is against the spacing, and two short walks are one
long one, so that irregular steps are consistent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.linalg import toeplitz
from scipy.sparse import csc_array, csr_array
from scipy.special import ive

from harness.errors import PlanError
from harness.irt import Array

_SLOPES = 13
_SLOPE_SPAN = 3.0
_EVEN = 1e8
"""Variance in squared nodes from which a walk is even over any number of nodes that we use."""
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Drift:
    """What is assumed of a training run before it. Sds are in sds of the bank's population."""

    unit: int = 1
    """Training steps that the walk, the slope and the rate of jumps are per: those between two
    checkpoints. 0 for what lies between the first two; see :func:`settled`."""
    sds: tuple[float, ...] = (0.02, 0.04, 0.08, 0.16, 0.32)
    """What the sd of the walk in one unit may be."""
    weights: tuple[float, ...] = (0.25, 0.3, 0.25, 0.15, 0.05)
    """Prior probability of each."""
    trend: bool = False
    """Whether the walk follows a slope."""
    slope_sd: float = 0.05
    """Prior sd of the slope, in sds a unit."""
    slope_walk: float = 0.01
    """Sd of the change of the slope in one unit."""
    jump_rate: float = 0.03
    """Probability of a jump that nobody declared in one unit."""
    jump_sd: float = 1.0
    """Sd of a jump, declared or not."""
    persistence: float = 0.45
    """Correlation of two answers to the same item beyond ability, on the latent scale."""
    correlations: tuple[float, ...] = (-0.4, 0.0, 0.4, 0.8)
    """What the correlation of two abilities may be, in the population and in the walk; all are
    equally likely beforehand. Of one ability they mean nothing."""

    def __post_init__(self) -> None:
        if self.unit < 0:
            raise PlanError("the unit of the drift is a number of training steps")
        if len(self.sds) != len(self.weights) or not self.sds:
            raise PlanError("the drift needs a weight for each of its sds")
        positive = (*self.sds, *self.weights, self.slope_sd, self.jump_sd)
        if not all(np.isfinite(positive)) or min(positive) <= 0:
            raise PlanError("sds and weights of the drift are positive numbers")
        if not 0 <= self.slope_walk < np.inf:
            raise PlanError("the sd of the change of the slope is a number from 0 on")
        if not 0 <= self.jump_rate < 1 or not 0 <= self.persistence < 1:
            raise PlanError("the rate of jumps and the persistence lie from 0 to below 1")
        if not self.correlations or not all(-1 < r < 1 for r in self.correlations):
            raise PlanError("correlations of two abilities lie between -1 and 1")


def settled(drift: Drift, steps: Sequence[int]) -> Drift:
    """The drift with its unit, for checkpoints at these steps.

    >>> settled(Drift(unit=0), [500, 1500]).unit, settled(Drift(unit=0), [500]).unit
    (1000, 1)
    """
    if drift.unit:
        return drift
    # with a single checkpoint nothing has drifted yet
    return replace(drift, unit=steps[1] - steps[0] if len(steps) > 1 else 1)


@dataclass(frozen=True)
class Cell:
    """One way in which a training run may move: the sd of its walk, and a correlation."""

    sd: float
    correlation: float
    weight: float
    """Prior probability."""


def cells(drift: Drift, abilities: int) -> tuple[Cell, ...]:
    """Every combination of a sd and, with two abilities, a correlation."""
    correlations = drift.correlations if abilities == 2 else (0.0,)
    total = sum(drift.weights) * len(correlations)
    return tuple(
        Cell(sd, correlation, weight / total)
        for (sd, weight), correlation in product(
            zip(drift.sds, drift.weights, strict=True), correlations
        )
    )


def slopes(drift: Drift) -> Array:
    """``(S,)`` slopes that are carried along, in sds a unit; only 0 without a trend."""
    if not drift.trend:
        return np.zeros(1)
    return np.linspace(-_SLOPE_SPAN, _SLOPE_SPAN, _SLOPES) * drift.slope_sd


@dataclass(frozen=True, eq=False)
class Move:
    """The way from one checkpoint to the next: beliefs forward, messages backward.

    Both are ``(..., H, S, Q)`` with one ability and ``(..., H, S, Q, Q)`` with two. The two
    directions are adjoint: ``(forward(p) * m).sum() == (p * backward(m)).sum()``.
    """

    alone: Array
    """``(H, S, Q, Q)`` steps that each ability takes by itself; rows sum to 1."""
    together: tuple[csr_array, ...]
    """Steps that two abilities take together, for each cell ``(Q², Q²)`` over pairs of nodes; rows
    sum to 1. Empty with one ability."""
    marginal: Array
    """``(H, S, Q, Q)`` steps of one ability whatever the other does; rows sum to 1."""
    turning: Array
    """``(S, S)`` changes of the slope; rows sum to 1."""

    def forward(self, p: Array) -> Array:
        """Where the mass ``p`` goes."""
        if not self.together:
            # mass of all that leads is moved at once
            many = np.moveaxis(p.reshape(-1, *self.alone.shape[:3]), 0, 2)
            moved = np.moveaxis(many @ self.alone, 2, 0).reshape(p.shape)
            return np.asarray(np.einsum("...sq,st->...tq", moved, self.turning))
        moved = np.swapaxes(self.alone, -1, -2) @ p @ self.alone
        return _coupled(moved, self.together)

    def backward(self, message: Array) -> Array:
        """The expectation of ``message`` given where the move began."""
        if not self.together:
            turned = np.einsum("...tq,st->...sq", message, self.turning)
            return np.asarray((self.alone @ turned[..., None])[..., 0])
        coupled = _coupled(message, [steps.T for steps in self.together])
        return np.asarray(self.alone @ coupled @ np.swapaxes(self.alone, -1, -2))


def _coupled(p: Array, steps: Sequence[csr_array | csc_array]) -> Array:
    result = np.empty_like(p)
    for h, matrix in enumerate(steps):
        pairs = p[..., h, :, :, :].reshape(-1, matrix.shape[0])
        result[..., h, :, :, :] = (pairs @ matrix).reshape(p[..., h, :, :, :].shape)
    return result


def walk(variance: float, size: int) -> Array:
    """``(size,)`` probabilities of steps 0, 1, ... of a discrete Gaussian, in nodes.

    >>> steps = walk(0.3, 40)
    >>> round(2 * float(sum(steps * np.arange(40) ** 2)), 6)
    0.3
    """
    return np.asarray(ive(np.arange(size), min(variance, _EVEN)))


def make_move(
    drift: Drift, gap: int, jump: bool, abilities: int, spacing: float, size: int
) -> Move:
    """The move over a gap of training steps.

    What would leave the nodes stays inside: a step of one ability goes where the others of its row
    go, a step of both ends at the last node.

    Every ability jumps by itself, at most once in a move.

    >>> move = make_move(Drift(unit=100), 300, False, abilities=1, spacing=0.25, size=41)
    >>> move.alone.shape, round(float(move.forward(np.full((5, 1, 41), 1 / 205)).sum()), 6)
    ((5, 1, 41, 41), 1.0)

    Args:
        gap: training steps.
        jump: a jump was declared.
        abilities: 1 or 2.
        spacing: of the nodes, in sds of the population.
        size: nodes of each ability.
    """
    units = gap / drift.unit
    ways, line = cells(drift, abilities), slopes(drift)
    shifts = line * units / spacing
    rate = 1.0 if jump else 1 - (1 - drift.jump_rate) ** units
    jumped = (drift.jump_sd / spacing) ** 2
    variances = [way.sd**2 * units / spacing**2 for way in ways]

    def steps(shares: list[float]) -> Array:
        """``(H, S, Q, Q)`` of a share of the walk of each cell, and all of a jump."""
        return np.stack(
            [
                [
                    (1 - rate) * _kernel(share * variance, shift, size)
                    + rate * _kernel(share * variance + jumped, shift, size)
                    for shift in shifts
                ]
                for share, variance in zip(shares, variances, strict=True)
            ]
        )

    turning = np.ones((1, 1))
    if drift.trend:
        between = line[1] - line[0]
        turning = _kernel(drift.slope_walk**2 * units / between**2, 0.0, len(line))
    marginal = steps([1.0] * len(ways))
    if abilities == 1:
        return Move(marginal, (), marginal, turning)
    return Move(
        steps([1 - abs(way.correlation) for way in ways]),
        tuple(
            _pairs(variance * abs(way.correlation), 1 if way.correlation > 0 else -1, size)
            for way, variance in zip(ways, variances, strict=True)
        ),
        marginal,
        turning,
    )


def _pairs(variance: float, sign: int, size: int) -> csr_array:
    """``(size², size²)`` a walk of two abilities that step the same way, or opposite ones."""
    half = walk(variance, size)
    weights = np.concatenate([half[:0:-1], half])
    taken = np.flatnonzero(weights > _NEGLIGIBLE)
    weights = weights[taken] / weights[taken].sum()
    step = (taken - (size - 1))[:, None, None]
    place = np.arange(size)
    first = np.clip(place[None, :, None] + step, 0, size - 1)
    second = np.clip(place[None, None, :] + sign * step, 0, size - 1)
    target = (first * size + second).ravel()
    start = np.tile(np.arange(size**2), len(taken))
    mass = np.repeat(weights, size**2)
    return csr_array((mass, (start, target)), shape=(size**2, size**2))


def _kernel(variance: float, shift: float, size: int) -> Array:
    """``(size, size)`` a shift by a number of nodes, and a walk; rows sum to 1.

    A shift between two nodes is a step to either, whose variance the walk then lacks.
    """
    whole = int(np.floor(shift))
    part = shift - whole
    kernel = toeplitz(walk(max(variance - part * (1 - part), 0.0), size))
    if shift:
        below, above = (np.clip(np.arange(size) + step, 0, size - 1) for step in (whole, whole + 1))
        kernel = (1 - part) * kernel[below] + part * kernel[above]
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))
