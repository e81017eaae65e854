"""The search for the mode: estimate the priors, then the items, on nodes that are fine enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.calibrate import grid as grids
from harness.calibrate import population as latent
from harness.calibrate import priors as prior_of
from harness.calibrate.ascend import Ascent, Memory, Progress, State, ascend, look
from harness.calibrate.explained import explained_priors
from harness.calibrate.priors import ItemPriors
from harness.calibrate.problem import (
    Point,
    Problem,
    pack,
    priors_at,
    scale_directions,
    unpack,
)
from harness.calibrate.uncertainty import item_covariances
from harness.irt import Array

_PRIOR_ROUNDS = 60
_SCALE_ROUNDS = 8
"""Rounds in which the scale is moved by hand; from then on it only has to settle."""
_FIRST = 4
"""Steps between two looks at the grid in the beginning."""
_ROUND = 6
"""Steps between two updates of the priors, at most."""
_PRIOR_TOLERANCE = 2e-3
_LARGEST_CORRECTION = 0.5
_TOLD = 0.3
"""Share of the information on mean and spread of ability that must not be missing."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Where the search ended."""

    problem: Problem
    state: State
    passes: int
    """Over the data."""
    converged: bool
    move: float
    """Largest last move of a parameter, in its standard errors."""
    gain: float
    """What the log-posterior was still expected to gain."""


def search(
    problem: Problem,
    point: Point,
    *,
    adapt: bool,
    own_scale: bool,
    anchored: bool,
    tolerance: float,
    most: int,
    progress: Progress | None,
) -> Fit:
    """Steps until nothing moves.

    Args:
        adapt: refine the grid until it resolves all posteriors.
        own_scale: end on the scale on which the agents together have mean 0 and sd 1.
        anchored: the scale is held by anchors.
        most: passes over the data.
    """
    passes = 0

    def tell(log_posterior: float, move: float) -> None:
        nonlocal passes
        passes += 1
        if progress is not None:
            progress(passes, log_posterior, move)

    def climb(state: State, to: float, at_most: int | None = None) -> Ascent:
        left = max(most - passes, 0)
        return ascend(
            problem,
            state,
            tolerance=to,
            most=left if at_most is None else min(left, at_most),
            memory=memory,
            tell=tell,
            along_scale=not anchored,
        )

    def settle(state: State) -> tuple[State, bool]:
        """The same point on a grid that resolves it, and whether that is another one."""
        nonlocal problem
        if not adapt:
            return state, False
        finer = grids.refined(problem.grid, state.found.sd.min(axis=0), state.found.edge_weight)
        if finer is problem.grid:
            return state, False
        problem = replace(problem, grid=finer)
        return look(problem, state.point), True

    memory = Memory()
    # a grid too coarse for the posteriors makes the search wander: mend it before going far
    state, finer = look(problem, point), True
    while finer and passes < most:
        state, finer = settle(climb(state, max(tolerance, 0.1), _FIRST).state)
        memory.pairs.clear()
    estimated = any(prior.belief is not None for prior in problem.priors)
    # features come in once the items lie well: far from there they would be misread
    stages = [False, True] if problem.features is not None else [False]
    for explain in stages if estimated else []:
        for round_ in range(_PRIOR_ROUNDS):
            found = climb(state, max(tolerance, 0.05), _ROUND)
            state = found.state
            before = problem.priors
            if own_scale and round_ < _SCALE_ROUNDS and _scale_is_told(problem, state):
                problem, state = _on_agents_scale(problem, state)
            priors = _spread(problem, state, 1 / (2 + round_ / 3), explain=explain)
            change = _prior_change(before, priors)
            problem = replace(problem, priors=priors)
            state = look(problem, state.point)
            state, _ = settle(state)
            if change < _PRIOR_TOLERANCE:
                break

    while True:
        found = climb(state, tolerance)
        state, finer = settle(found.state)
        if not finer or passes >= most:
            break
        memory.pairs.clear()
    if own_scale:
        state = _standardise(problem, state)
    return Fit(problem, state, passes, found.converged, found.move, found.gain)


def _spread(
    problem: Problem, state: State, share: float, *, explain: bool
) -> tuple[ItemPriors, ...]:
    uncertain = item_covariances(problem, state)
    priors = tuple(
        prior_of.spread(prior, phi, c)
        for prior, phi, c in zip(
            priors_at(problem, state.point), state.point.items, uncertain, strict=True
        )
    )
    if explain:
        priors = explained_priors(problem, state.point, uncertain, priors)
    return tuple(
        prior_of.neutralised(prior, phi, share)
        for prior, phi in zip(priors, state.point.items, strict=True)
    )


def _prior_change(before: Sequence[ItemPriors], after: Sequence[ItemPriors]) -> float:
    """Largest change of an entry of a precision matrix, relative to its diagonal, or of an offset,
    relative to its sd."""
    largest = 0.0
    for a, b in zip(before, after, strict=True):
        scale = np.sqrt(np.diagonal(b.precision, axis1=1, axis2=2))
        change = (b.precision - a.precision) / (scale[:, :, None] * scale[:, None])
        largest = max(largest, float(np.abs(change).max()))
        if b.offset is not None:
            moved = b.offset - (0.0 if a.offset is None else a.offset)
            largest = max(largest, float(np.abs(moved * scale).max()))
    return largest


def _scale_is_told(problem: Problem, state: State) -> bool:
    """Whether the outcomes say enough of mean and spread of ability to follow them in that."""
    complete = problem.agents * np.repeat([1.0, 2.0], problem.grid.abilities)
    return bool((state.found.scale_information > _TOLD * complete).all())


def _standardise(problem: Problem, state: State) -> State:
    """Put items and population on the scale on which the agents together have mean 0 and sd 1.

    The mode is a compromise between the population and the priors of the items, which know
    nothing of the scale: the population alone defines it. That is a correction of a few
    hundredths. Where outcomes say little of the scale, the priors keep it.
    """
    d = problem.grid.abilities
    moved = 0.0
    while moved < _LARGEST_CORRECTION and _scale_is_told(problem, state):
        shift, log_sd = _agents_scale(problem, state)
        state = look(problem, _moved(problem, state.point, shift, log_sd))
        moved += float(np.abs([*shift, *log_sd]).max())
        if max(np.abs(shift).max(), np.abs(log_sd).max()) < 1e-6:
            break
    mean, covariance = latent.pooled(problem.design, state.point.population)
    if len(problem.design.names) > 1 or d > 1:
        sd = np.sqrt(np.diag(covariance))
        point = _moved(problem, state.point, mean, np.log(sd))
        people = latent.rescaled(problem.design, state.point.population, mean, sd)
        state = look(problem, replace(point, population=people))
    return state


def _on_agents_scale(problem: Problem, state: State) -> tuple[Problem, State]:
    """A step towards the scale of the agents, which the spread of difficulties takes part in.

    That spread is held while items move, and would hold the scale back with it.
    """
    shift, log_sd = _agents_scale(problem, state)
    priors = tuple(
        prior if prior.steps is None else prior_of.stretched(prior, float(log_sd[0]))
        for prior in problem.priors
    )
    problem = replace(problem, priors=priors)
    return problem, look(problem, _moved(problem, state.point, shift, log_sd))


def _agents_scale(problem: Problem, state: State) -> tuple[Array, Array]:
    """A Newton step of the mean and log sd that the agents at hand have, items held."""
    mean, covariance = latent.pooled(problem.design, state.point.population)
    sd = np.sqrt(np.diag(covariance))
    found = state.found
    z = (found.mean - mean) / sd
    second = np.diagonal(found.second, axis1=1, axis2=2) - 2 * mean * found.mean + mean**2
    slope = np.concatenate([z.sum(axis=0), (second / sd**2).sum(axis=0) - problem.agents])
    step = np.clip(slope / found.scale_information, -0.2, 0.2)
    d = problem.grid.abilities
    return step[:d] * sd, step[d:]


def _moved(problem: Problem, point: Point, shift: Array, log_sd: Array) -> Point:
    """The point on the scale on which abilities ``N(shift, e^(2 log_sd))`` become N(0, 1)."""
    d = problem.grid.abilities
    shifted = pack(problem, point) + scale_directions(problem, point)[:, :d] @ shift
    first = unpack(problem, point, shifted)
    moves = scale_directions(problem, first)[:, d:]
    # a signed slope is multiplied, a log slope is moved
    factor = np.expm1(log_sd) if d > 1 else log_sd
    return replace(unpack(problem, point, shifted + moves @ factor), population=point.population)
