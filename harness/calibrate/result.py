"""What a finished search amounts to: items at their means, populations, facts and warnings."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.bank import ItemBank
from harness.calibrate import population as latent
from harness.calibrate.blocks import Block, natural
from harness.calibrate.choices import FEWEST_AGENTS, Choices
from harness.calibrate.connect import parts
from harness.calibrate.moments import item_moments
from harness.calibrate.population import Design
from harness.calibrate.problem import Problem
from harness.calibrate.rotate import Rotation, rotation
from harness.calibrate.search import Fit
from harness.calibrate.uncertainty import Uncertainty, item_covariances
from harness.irt import Array
from harness.responses import Responses

_FEW_AGENTS = 30
_POOR = 0.5
"""Share of effective draws below which a Gaussian is called poor."""
_ROUGH_SHARE = 0.1
_RUNAWAY = 15.0


def latent_space(fit: Fit, choices: Choices, rotate: Rotation) -> tuple[Array, Array, Array, Array]:
    """Turn of the slopes, mean and covariance of the population, and turn of the abilities."""
    mean, covariance = latent.pooled(fit.problem.design, fit.state.point.population)
    d = choices.abilities
    if not choices.rotatable:
        return np.eye(d), mean, covariance, np.eye(d)
    slopes = np.vstack(
        [
            natural(block, x).slopes
            for block, x in zip(
                fit.problem.blocks, fit.state.point.parameters(fit.problem), strict=True
            )
        ]
    )
    t = rotation(slopes, rotate)
    return np.asarray(np.linalg.inv(t.T), float), t.T @ mean, t.T @ covariance @ t, t.T


def population_table(problem: Problem, fit: Fit, doubt: Uncertainty) -> dict[str, list[float]]:
    """Estimate and standard error of what is free; groups against the first where that is held."""
    design, people = problem.design, fit.state.point.population
    names = latent.free_names(design, people.abilities)
    first = replace(
        people,
        coefficients=people.coefficients
        - np.where(_first_only(design), people.coefficients[0], 0.0),
        log_sd=people.log_sd - (0.0 if design.free_sd[0] else people.log_sd[0]),
    )
    values = latent.pack(design, first)
    errors = np.sqrt(np.maximum(np.diag(doubt.population), 0.0))
    return {
        name: [float(f"{value:.4g}"), float(f"{error:.2g}")]
        for name, value, error in zip(names, values, errors, strict=True)
    }


def _first_only(design: Design) -> Array:
    """``(C, 1)`` group indicators, unless the first group is free itself."""
    indicator = np.arange(design.x.shape[1]) < len(design.groups)
    return np.asarray((indicator & ~design.free_mean[0])[:, None])


def at_means(fit: Fit, joint: Sequence[Array]) -> tuple[list[Array], tuple[Array, ...], float]:
    """Items ``(m, p)`` at their posterior means, covariances, and the share of items that a
    Gaussian describes poorly."""
    problem, point = fit.problem, fit.state.point
    gaussian = item_covariances(problem, fit.state)
    moments = item_moments(problem, fit.state, gaussian)
    x, covariances = [], []
    for block, moment, at_mode, together in zip(
        problem.blocks, moments, gaussian, joint, strict=True
    ):
        x.append(block.parameters(moment.mean, point.shared))
        # what the shape of each item's own posterior adds to the joint Gaussian
        covariances.append(together + block.free @ (moment.covariance - at_mode) @ block.free.T)
    effective = np.concatenate([moment.effective for moment in moments])
    looked = np.isfinite(effective)
    rough = float((effective[looked] < _POOR).mean()) if looked.any() else 0.0
    return x, tuple(covariances), rough


def free_parameters(problem: Problem) -> int:
    people = len(latent.free_names(problem.design, problem.grid.abilities))
    items = sum(len(block.items) * int(block.free.shape[1]) for block in problem.blocks)
    return items + len(problem.shared_mean) + people


def errors_by_item(
    blocks: Sequence[Block], covariances: Sequence[Array]
) -> tuple[tuple[float, ...], ...]:
    found: dict[int, tuple[float, ...]] = {}
    for block, covariance in zip(blocks, covariances, strict=True):
        errors = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        for item, row in zip(block.items, errors, strict=True):
            found[int(item)] = tuple(float(e) for e in row)
    return tuple(found[i] for i in sorted(found))


def node_facts(problem: Problem) -> dict[str, Any]:
    grid = problem.grid
    return {
        "count": len(grid.nodes),
        "reach": [round(float(r), 4) for r in grid.reach],
        "spacing": [round(float(h), 4) for h in grid.spacing],
    }


def rounded(matrix: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(f"{x:.6g}") for x in row) for row in matrix)


def find_warnings(
    fit: Fit,
    responses: Responses,
    choices: Choices,
    doubt: Uncertainty,
    placed: Sequence[str],
    rough: float,
) -> tuple[str, ...]:
    found = []
    agents = int(responses.attempts.any(axis=1).sum())
    if not fit.converged:
        found.append(
            f"not converged after {fit.passes} passes: the next step would move a parameter by "
            f"{fit.move:.2g} standard errors; allow more passes, or choose a simpler model"
        )
    if agents < FEWEST_AGENTS and choices.anchors is None:
        found.append(
            f"{agents} agent{'s' * (agents > 1)}: too few to say anything of how items are spread, "
            "so the priors were held at wide defaults; bring more agents"
        )
    elif agents < _FEW_AGENTS or rough > _ROUGH_SHARE:
        poor = f", and a Gaussian is poor for {rough:.0%} of the items" if rough else ""
        draw = "" if choices.anchors else "draw parameters with --sampler, or "
        found.append(
            f"{agents} agent{'s' * (agents > 1)}: the priors decide much of every item{poor}; "
            f"{draw}bring more agents"
        )
    if agents < FEWEST_AGENTS and choices.anchors is not None:
        found.append(
            f"{agents} agent{'s' * (agents > 1)}: too few to say how abilities are spread, so they "
            "are taken to come from the population of the anchoring bank"
        )
    found += _on_predictions(responses, choices)
    reversed_ = _reversed_items(responses, fit.state.found.mean)
    if choices.abilities == 1 and reversed_:
        found.append(
            f"{len(reversed_)} items are passed less often by abler agents (first "
            f"{reversed_[0]!r}): a model with one ability makes them flat; check their tasks and "
            "scoring, or leave them out"
        )
    flat = not choices.estimate and math.inf in (choices.priors.log_a.sd, choices.priors.d.sd)
    farthest = max(float(np.abs(phi).max()) for phi in fit.state.point.items)
    if flat and farthest > _RUNAWAY:
        found.append(
            f"a parameter stands at {farthest:.0f} logits and may have no maximum under flat "
            "priors, however well the search seems to have ended; estimate the priors, or give "
            "proper ones"
        )
    if len(placed) > len(responses.items) / 2:
        found.append(
            f"{len(placed)} of {len(responses.items)} items are placed by the priors alone: the "
            "data say little of this bank"
        )
    if not doubt.jointly:
        found.append(
            "too many items to invert together: standard errors of each count the others as known"
        )
    if (
        choices.effect
        and natural(fit.problem.blocks[0], fit.state.point.parameters(fit.problem)[0]).effect_sd[0]
        > 3
    ):
        found.append(
            "the agent × item effect is larger than three logits: trials of a cell hardly differ, "
            "so they count almost as one"
        )
    return tuple(found)


def _on_predictions(responses: Responses, choices: Choices) -> list[str]:
    """A warning if predicted anchors alone put parts of the outcomes on the scale."""
    known = choices.known
    agents, anchors = 0, 0
    for part in parts(responses) if known else ():
        common = [known[item] for item in part.items if item in known]
        if all(item.predicted for item in common):
            agents, anchors = agents + len(part.agents), anchors + len(common)
    if not agents:
        return []
    return [
        f"the scale of {agents} agent{'s' * (agents > 1)} rests on predictions: all of their "
        f"{anchors} anchors are predicted items, so what the predictor is wrong by moves their "
        "abilities and the items together; bring outcomes of them on calibrated items"
    ]


def still_predicted(responses: Responses, anchors: ItemBank) -> frozenset[str]:
    """Predicted items of the anchoring bank on which outcomes do not say enough yet: those of
    fewer than five agents."""
    agents = dict(zip(responses.items, np.count_nonzero(responses.attempts, axis=0), strict=True))
    return frozenset(
        item.id
        for item in anchors.items
        if item.predicted and agents.get(item.id, 0) < FEWEST_AGENTS
    )


def _reversed_items(responses: Responses, ability: Array) -> list[str]:
    """Items whose scores fall with ability, beyond three standard errors of no correlation."""
    n = len(responses.items)

    def total(values: Array) -> Array:
        return np.bincount(responses.item, values, n).astype(float)

    score = responses.category / (responses.n_categories[responses.item] - 1)
    theta = ability[responses.agent, 0]
    times = np.maximum(total(np.ones(len(score))), 1)
    covariance = total(score * theta) - total(score) * total(theta) / times
    spread = [total(x * x) - total(x) ** 2 / times for x in (score, theta)]
    scale = np.sqrt(np.maximum(spread[0] * spread[1], 1e-12))
    agents = np.count_nonzero(responses.attempts, axis=0)
    z = covariance / scale * np.sqrt(np.maximum(agents - 1, 0))
    return [responses.items[i] for i in np.flatnonzero(z < -3)]
