"""The search for the mode: quasi-Newton steps whose first guess of the curvature is EM's.

EM (Bock & Aitkin 1981) takes the information that complete data would hold for the curvature of the
log-posterior. Limited-memory BFGS corrects that guess by the changes of the gradient seen so far
(Jamshidian & Jennrich 1997; Nocedal 1980), which turns EM's linear convergence into a superlinear
one at the same price: one pass over the data a step. The two directions in which EM is slowest, the
mean and spread of ability against all items, get their observed information from the start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from harness.calibrate import blocks as shape
from harness.calibrate import priors as prior_of
from harness.calibrate.problem import (
    Evaluation,
    Point,
    Problem,
    System,
    border_slices,
    evaluate,
    pack,
    scale_directions,
    system,
    unpack,
)
from harness.irt import Array

Progress = Callable[[int, float, float], None]
"""Called with step, log-posterior, and the largest move of a parameter in its standard errors."""

_LARGEST_MOVE = 2.0
_MEMORY = 20
_HALVINGS = 12
_ARMIJO = 1e-4


@dataclass(frozen=True, eq=False)
class State:
    """A point and everything known there."""

    point: Point
    found: Evaluation
    system: System

    @property
    def gradient(self) -> Array:
        """``(N,)`` of all unknowns."""
        parts = [g.ravel() for g in self.system.gradients]
        return np.concatenate([*parts, self.system.border_gradient])


def look(problem: Problem, point: Point) -> State:
    """Evaluate a point."""
    found = evaluate(problem, point)
    return State(point, found, system(problem, point, found))


@dataclass(frozen=True, eq=False)
class Factor:
    """The arrow-shaped complete-data information, ready to be solved with."""

    inverse: tuple[Array, ...]
    """``(m, f, f)``."""
    reach: tuple[Array, ...]
    """``(m, f, B)``: inverse times coupling."""
    schur: Array
    """``(B, B)`` inverse of the corner's Schur complement."""


def factor(s: System) -> Factor:
    """Invert the arrow block by block."""
    inverse = tuple(np.asarray(np.linalg.inv(block), float) for block in s.items)
    reach = tuple(i @ c for i, c in zip(inverse, s.coupling, strict=True))
    corner = s.corner.copy()
    for c, r in zip(s.coupling, reach, strict=True):
        corner -= np.einsum("mfb,mfc->bc", c, r)
    return Factor(inverse, reach, np.asarray(np.linalg.pinv(corner, hermitian=True), float))


def solve(f: Factor, vector: Array) -> Array:
    """Information⁻¹ times a vector of all unknowns."""
    parts, start = [], 0
    for inverse in f.inverse:
        size = inverse.shape[0] * inverse.shape[1]
        parts.append(vector[start : start + size].reshape(inverse.shape[:2]))
        start += size
    border = vector[start:].copy()
    for part, reach in zip(parts, f.reach, strict=True):
        border -= np.einsum("mfb,mf->b", reach, part)
    border = f.schur @ border
    items = [
        np.einsum("mfg,mg->mf", inverse, part) - reach @ border
        for inverse, reach, part in zip(f.inverse, f.reach, parts, strict=True)
    ]
    return np.concatenate([*(item.ravel() for item in items), border])


def standard_errors(f: Factor) -> Array:
    """``(N,)`` that complete data would leave: the yardstick for how far a step moves."""
    items = []
    for inverse, reach in zip(f.inverse, f.reach, strict=True):
        own = np.diagonal(inverse, axis1=1, axis2=2)
        items.append((own + np.einsum("mfb,bc,mfc->mf", reach, f.schur, reach)).ravel())
    border = np.diag(f.schur)
    return np.asarray(np.sqrt(np.maximum(np.concatenate([*items, border]), 1e-12)))


@dataclass
class Memory:
    """Pairs of moves and changes of the (negative) gradient."""

    pairs: list[tuple[Array, Array]] = field(default_factory=list)

    def add(self, move: Array, change: Array) -> None:
        """Keep a pair that shows positive curvature."""
        if move @ change > 1e-10 * np.linalg.norm(move) * np.linalg.norm(change):
            self.pairs = [*self.pairs[-_MEMORY + 1 :], (move, change)]

    def direction(self, gradient: Array, first: Callable[[Array], Array]) -> Array:
        """Two-loop recursion (Nocedal 1980) around the inverse curvature ``first``."""
        q, weights = gradient.copy(), []
        for s, y in reversed(self.pairs):
            weight = (s @ q) / (s @ y)
            weights.append(weight)
            q -= weight * y
        r = first(q)
        for (s, y), weight in zip(self.pairs, reversed(weights), strict=True):
            r += s * (weight - (y @ r) / (s @ y))
        return r


@dataclass(frozen=True, eq=False)
class Ascent:
    """Where a search ended."""

    state: State
    steps: int
    converged: bool
    move: float
    """Largest move of the last step, in standard errors."""
    gain: float
    """What the log-posterior was still expected to gain."""


def ascend(
    problem: Problem,
    state: State,
    *,
    tolerance: float,
    most: int,
    memory: Memory,
    tell: Callable[[float, float], None],
    along_scale: bool = True,
) -> Ascent:
    """Steps until one would move no parameter by more than ``tolerance`` standard errors, nor gain
    more than ``tolerance`` of log-posterior.

    Args:
        memory: is kept between calls while the problem stays nearly the same.
        along_scale: give the scale of ability its observed information; not while anchors hold it.
    """
    move = gain = np.inf
    for step in range(most):
        f = factor(state.system)
        se = standard_errors(f)
        gradient = state.gradient
        first = _first(problem, state, f, along_scale)
        direction = memory.direction(gradient, first)
        if not direction @ gradient > 0:
            memory.pairs.clear()
            direction = first(gradient)
        move, gain = float((np.abs(direction) / se).max()), float(direction @ gradient)
        tell(state.found.log_posterior, move)
        if move < tolerance and gain < tolerance:
            return Ascent(state, step, True, move, gain)
        better = _advance(problem, state, direction)
        if better is None and memory.pairs:
            memory.pairs.clear()
            better = _advance(problem, state, first(gradient))
        if better is None:
            # no step up can be told from rounding: this is the top
            return Ascent(state, step, gain < 1e-4, move, gain)
        memory.add(
            pack(problem, better.point) - pack(problem, state.point),
            gradient - better.gradient,
        )
        state = better
    return Ascent(state, most, False, move, gain)


def _first(
    problem: Problem, state: State, f: Factor, along_scale: bool
) -> Callable[[Array], Array]:
    if not along_scale:
        return lambda vector: solve(f, vector)
    moves = scale_directions(problem, state.point)
    resisted = state.found.scale_information + _prior_resistance(problem, state, moves)
    return lambda vector: solve(f, vector) + moves @ ((moves.T @ vector) / resisted)


def _prior_resistance(problem: Problem, state: State, moves: Array) -> Array:
    """``(2 D,)`` curvature of the priors along the moves; estimated locations move along."""
    n_items = sum(phi.size for phi in state.point.items)
    _, places, _ = border_slices(problem)
    total = np.zeros(moves.shape[1])
    start = 0
    for prior, phi, place in zip(problem.priors, state.point.items, places, strict=True):
        move = moves[start : start + phi.size].reshape(*phi.shape, -1)
        if prior.belief is not None:
            along = moves[n_items:][place]
            move = prior_of.jacobian(prior, phi) @ move - along
            total += (prior.belief.precision[:, None] * along**2).sum(axis=0)
        total += np.einsum("mfd,mfg,mgd->d", move, prior.precision, move, optimize=True)
        start += phi.size
    return total


def _advance(problem: Problem, state: State, direction: Array) -> State | None:
    """The first of ever smaller shares of a step that climbs enough; None if none does."""
    before, gradient, start = state.found.log_posterior, state.gradient, pack(problem, state.point)
    move = np.clip(direction, -_LARGEST_MOVE, _LARGEST_MOVE)
    if move @ gradient <= 0:
        move = direction * min(1.0, _LARGEST_MOVE / np.abs(direction).max())
    for _ in range(_HALVINGS):
        vector = _in_order(problem, state.point, start, move)
        new = look(problem, unpack(problem, state.point, vector))
        rise = float((vector - start) @ gradient)
        noise = 1e-12 * abs(before)
        if new.found.log_posterior >= before + _ARMIJO * rise - noise and np.isfinite(
            new.found.log_posterior
        ):
            return new
        move = move / 2
    return None


def _in_order(problem: Problem, point: Point, start: Array, move: Array) -> Array:
    """``start + move``, with each item's share of the move cut where its thresholds would cross."""
    vector = start + move
    target = unpack(problem, point, vector)
    if not any(block.ordered for block in problem.blocks):
        return vector
    items = []
    for block, old, new in zip(problem.blocks, point.items, target.items, strict=True):
        x = block.parameters(old, point.shared)
        share = shape.feasible_share(block, x, block.parameters(new, target.shared) - x)
        items.append(old + share[:, None] * (new - old))
    return pack(problem, replace(target, items=tuple(items)))
