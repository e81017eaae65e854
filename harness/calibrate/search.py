"""The search for the mode: estimate the priors, then the items, on nodes that are fine enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.calibrate import em
from harness.calibrate import priors as prior_of
from harness.calibrate.priors import ItemPriors, Priors
from harness.calibrate.shapes import Group, start_values
from harness.errors import InputError
from harness.irt import Array

_PRIOR_STEPS = 200
_PRIOR_TOLERANCE = 2e-3
_MOST_NODES = 1201
_LARGEST_CORRECTION = 0.5


@dataclass(frozen=True, eq=False)
class Fit:
    """Where the search ended."""

    parameters: em.Parameters
    priors: list[ItemPriors]
    nodes: Array
    iterations: int
    converged: bool


def search(
    groups: list[Group],
    start: Priors,
    estimate: bool,
    given_nodes: Array | None,
    tolerance: float,
    max_iterations: int,
    progress: em.Progress | None,
) -> Fit:
    """EM steps until nothing moves; the arguments are those of ``calibrate``."""
    nodes = np.linspace(-6.0, 6.0, 121) if given_nodes is None else _uniform(given_nodes)
    x = [
        start_values(group, start.log_a.mean, start.logit_lower.mean, start.logit_upper.mean)
        for group in groups
    ]
    priors = beliefs = prior_of.item_priors(groups, start)
    iteration, converged, look_again = 0, False, 0
    scale: em.Scale = "held"
    common = groups[0].common_slope

    def tell(step: em.Step, change: float) -> None:
        nonlocal iteration
        iteration += 1
        if progress is not None:
            progress(iteration, step.before.log_posterior, change)

    while estimate and iteration < min(_PRIOR_STEPS, max_iterations):
        step = em.em_step(groups, x, priors, nodes, "floating")
        tell(step, em.largest_change(x, step))
        x = step.parameters
        new = prior_of.estimate(groups, x, step.covariances, step.priors, beliefs)
        settled = _prior_change(priors, new) < _PRIOR_TOLERANCE
        priors = new
        if settled:
            break

    while iteration < max_iterations and not converged:
        first = em.em_step(groups, x, priors, nodes, scale)
        tell(first, em.largest_change(x, first))
        last = em.em_step(groups, first.parameters, priors, nodes, scale)
        change = em.largest_change(first.parameters, last)
        tell(last, change)
        guess = em.extrapolate(groups, x, first.parameters, last.parameters)
        if guess is not None and change >= tolerance:
            third = em.em_step(groups, guess, priors, nodes, scale)
            if third.before.log_posterior >= last.before.log_posterior:
                tell(third, em.largest_change(guess, third))
                last = third
        x = last.parameters
        gain = last.before.log_posterior - first.before.log_posterior
        settled = change < tolerance and gain < tolerance
        if settled and given_nodes is not None and not (common or scale == "fixed"):
            # a change of scale is exact on fine nodes only: end without, on the nodes as given
            settled, scale = False, "fixed"
        # a grid too coarse for the posteriors makes EM wander: do not wait for it to settle
        if given_nodes is None and (settled or iteration >= look_again):
            finer = _finer(nodes, em.expect(groups, x, priors, nodes).weights)
            settled = settled and finer is nodes
            nodes, look_again = finer, iteration + 20
        converged = settled
    if estimate:
        x, priors = _standardise(groups, x, priors, nodes, beliefs)
    return Fit(x, priors, nodes, iteration, converged)


def _uniform(nodes: Array) -> Array:
    if nodes.ndim != 1 or len(nodes) < 3 or not np.allclose(np.diff(nodes, 2), 0, atol=1e-9):
        raise InputError("ability nodes for calibration must be uniform: use numpy.linspace")
    return nodes


def _finer(nodes: Array, weights: Array) -> Array:
    """Nodes that are dense and wide enough for these posteriors; the same object if they are."""
    ability = weights @ nodes
    sd = np.sqrt(np.maximum(weights @ nodes**2 - ability**2, 0.0))
    reach, spacing = float(nodes[-1]), float(nodes[1] - nodes[0])
    if weights[:, [0, -1]].max() > 1e-9:
        reach += 2.0
    if sd.min() < spacing:
        # posteriors narrower than the spacing are not resolved, so their sd is a guess
        spacing = max(float(sd.min()) * 0.9, spacing / 3)
    elif reach == float(nodes[-1]):
        return nodes
    half = min(math.ceil(reach / spacing), _MOST_NODES // 2)
    new = np.linspace(-reach, reach, 2 * half + 1)
    return nodes if len(new) == len(nodes) and reach == float(nodes[-1]) else new


def _prior_change(before: Sequence[ItemPriors], after: Sequence[ItemPriors]) -> float:
    """Largest change of a mean, in sds, or of an entry of a precision matrix, in its diagonal."""
    largest = 0.0
    for a, b in zip(before, after, strict=True):
        scale = np.sqrt(np.diag(b.precision))
        largest = max(
            largest,
            float(np.abs((b.mean - a.mean) * scale).max()),
            float(np.abs((b.precision - a.precision) / np.outer(scale, scale)).max()),
        )
    return largest


def _standardise(
    groups: list[Group],
    x: em.Parameters,
    priors: list[ItemPriors],
    nodes: Array,
    beliefs: Sequence[ItemPriors],
) -> tuple[em.Parameters, list[ItemPriors]]:
    """Put items and their estimated priors on the scale on which the agents are N(0, 1).

    The mode is a compromise between the population and the priors of the items, which know
    nothing of the scale: the population alone defines it. That is a correction of a few
    hundredths; data that ask for much more say too little of the scale to be followed.
    """
    free = [ItemPriors(prior.mean, np.zeros_like(prior.precision), 0.0) for prior in priors]
    moved = 0.0
    while moved < _LARGEST_CORRECTION:
        found = em.expect(groups, x, free, nodes)
        mean, log_sd, _ = em.population_step(groups, x, free, nodes, found)
        x = em.rescale(groups, x, mean, log_sd)
        moved += abs(mean) + abs(log_sd)
        if max(abs(mean), abs(log_sd)) < 1e-6:
            break
    covariances = em.em_step(groups, x, priors, nodes).covariances
    return x, prior_of.estimate(groups, x, covariances, priors, beliefs)
