"""Calibrate a bank: from responses to items with parameters, uncertainty and provenance."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.bank import ItemBank
from harness.calibrate import population as latent
from harness.calibrate import priors as prior_of
from harness.calibrate.ascend import Progress
from harness.calibrate.assemble import (
    Population,
    bank_categories,
    bank_items,
    calibrants,
    data_facts,
    program,
)
from harness.calibrate.blocks import Block, natural
from harness.calibrate.connect import check_connected
from harness.calibrate.moments import item_moments
from harness.calibrate.population import Design
from harness.calibrate.priors import Priors
from harness.calibrate.problem import Problem
from harness.calibrate.rotate import Rotation, rotation
from harness.calibrate.search import Fit, search
from harness.calibrate.setup import Choices, models_for, set_up
from harness.calibrate.uncertainty import Uncertainty, item_covariances, uncertainty
from harness.errors import InputError, ResponsesError
from harness.irt import Array, Model
from harness.responses import Responses

_FEW_AGENTS = 30
_FEW_ANSWERS = 5
_POOR = 0.5
"""Share of effective draws below which a Gaussian is called poor."""
_ROUGH_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated bank, and how the calibration went."""

    bank: ItemBank
    agents: tuple[str, ...]
    ability: Array
    """``(A, D)`` expected a posteriori ability of each agent."""
    sd: Array
    """``(A, D)`` posterior standard deviations."""
    standard_errors: tuple[tuple[float, ...], ...]
    """Of each item's unconstrained parameters, the doubt about the scale counted in: what other
    programs report. The bank holds covariances given the scale."""
    log_likelihood: float
    log_posterior: float
    parameters: int
    """Free parameters that AIC and BIC count."""
    passes: int
    """Passes over the data."""
    converged: bool
    move: float
    """What the next step would have moved a parameter by at most, in its standard errors."""
    gain: float
    """What the next step was expected to add to the log-posterior."""
    seconds: float
    placed_by_prior: tuple[str, ...]
    """Items with a single outcome or few answers: the priors placed them, data did not."""
    unobserved: tuple[str, ...]
    """Items without any outcome, left out of the bank."""
    priors: dict[str, list[float]]
    """``[mean, sd]`` of each prior as used: estimated, or as given."""
    effect_sd: float
    """Sd of the agent × item effect in logits; 0 where none was estimated."""
    population: dict[str, list[float]]
    """Estimate and standard error of each free parameter of the population."""
    warnings: tuple[str, ...]
    """What went wrong or deserves a look, each with what to do about it."""
    nodes: Array
    """``(Q, D)`` ability nodes of the last pass."""

    @property
    def aic(self) -> float:
        """Akaike's criterion: ``-2 log L + 2 k``."""
        return -2 * self.log_likelihood + 2 * self.parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion with agents as units: ``-2 log L + k log A``."""
        return -2 * self.log_likelihood + self.parameters * math.log(len(self.agents))


def calibrate(
    responses: Responses,
    model: Model | Mapping[str, Model],
    *,
    name: str,
    priors: Priors | None = None,
    nodes: Array | None = None,
    abilities: int | Mapping[str, Sequence[int]] = 1,
    rotate: Rotation = "oblimin",
    dispersion: bool | None = None,
    groups: Sequence[str] | None = None,
    covariates: Mapping[str, Sequence[float]] | None = None,
    anchors: ItemBank | None = None,
    hold_anchors: bool = False,
    description: str = "",
    population: Population = "real agents",
    tolerance: float = 1e-3,
    max_passes: int = 1000,
    progress: Progress | None = None,
) -> Calibration:
    """Estimate item parameters by marginal maximum a posteriori.

    The scale is that of the calibrating agents: together they have mean 0 and sd 1. With anchors it
    is theirs; with given priors the (first) population is N(0, 1).

    Args:
        responses: outcomes; missing cells are left out.
        model: one for all items, or one by item; those of more than two categories take grm,
            gpcm, pcm or rsm.
        name: of the bank.
        priors: of item parameters; None estimates their locations and spreads with the items.
        nodes: ``(Q,)`` uniform ability nodes, or ``(Q, D)`` of a product grid; None refines them
            until their spacing is no larger than the smallest posterior sd.
        abilities: their number D, every item loading on all of them (exploratory), or the
            abilities, counted from 0, that each item loads on (confirmatory).
        rotate: how exploratory loadings are rotated.
        dispersion: estimate an agent × item effect, so that several trials of a cell are not as
            many independent facts; None does so where there are such trials and priors are
            estimated.
        groups: of each agent; their populations have means and sds of their own.
        covariates: numbers of each agent that the mean of ability depends on, by name.
        anchors: a calibrated bank whose scale is kept: what it knows of its items is their prior.
        hold_anchors: do not update the anchors.
        description: of the bank.
        population: what the agents are; goes into the provenance.
        tolerance: converged once a step would change no parameter by more than this share of its
            standard error, and the log-posterior by no more than this.
        max_passes: over the data.
        progress: called before each step.

    Raises:
        ResponsesError: data without a common scale, items that the model cannot describe, or
            items with a single outcome under flat priors.

    >>> from harness.responses import from_matrix
    >>> ability, difficulty = np.linspace(-2, 2, 60), np.linspace(-1, 1, 12)
    >>> passed = np.random.default_rng(0).random((60, 12)) < 1 / (1 + np.exp(
    ...     1.5 * (difficulty - ability[:, None])))
    >>> fit = calibrate(from_matrix(passed), "2pl", name="demo")
    >>> fit.converged, len(fit.bank.items), fit.ability.shape
    (True, 12, (60, 1))
    """
    began = time.perf_counter()
    seen = np.bincount(responses.item, minlength=len(responses.items)) > 0
    unobserved = tuple(i for i, any_row in zip(responses.items, seen, strict=True) if not any_row)
    responses = responses.subset(items=np.array(responses.items)[seen].tolist())
    known = frozenset(item.id for item in anchors.items) if anchors else frozenset()
    check_connected(responses, known)
    choices = _choices(responses, model, priors, abilities, dispersion, anchors, hold_anchors)
    placed = _placed_by_prior(responses, known)
    _check_flat(responses, priors)
    design = _design(responses, groups, covariates, anchored=bool(known), choices=choices)
    problem, start = set_up(responses, choices, design, nodes)
    fit = search(
        problem,
        start,
        adapt=nodes is None,
        own_scale=choices.estimate and not known,
        anchored=bool(known),
        tolerance=tolerance,
        most=max_passes,
        progress=progress,
    )
    doubt = uncertainty(fit.problem, fit.state)
    point, found = fit.state.point, fit.state.found
    # the scale of anchors is not that of the agents at hand: its doubt is theirs to bear
    joint = doubt.marginal if known else doubt.given_scale
    x, covariances, rough = point.parameters(fit.problem), joint, 0.0
    if choices.estimate:
        x, covariances, rough = _at_means(fit, joint)
    turn, mean, covariance, onto = _latent(fit, choices, rotate)
    ability = found.mean @ onto.T
    spread = onto @ found.covariance @ onto.T
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0))
    names, of_item = bank_categories(responses)
    items = bank_items(responses, fit.problem.blocks, x, covariances, of_item, turn)
    used = prior_of.describe(fit.problem.blocks, _used_priors(fit))
    effect_sd = float(natural(fit.problem.blocks[0], x[0]).effect_sd[0])
    people = _population_table(fit.problem, fit, doubt)
    free = _free_parameters(fit.problem)
    warnings = _warnings(fit, responses, choices, doubt, placed, rough)
    sds = np.sqrt(np.diag(covariance))
    facts: dict[str, Any] = {
        "program": program(),
        "model": model if isinstance(model, str) else dict(sorted(model.items())),
        "population": population,
        **data_facts(responses),
        "priors": "estimated with the items" if choices.estimate else "given",
        "items_at": "posterior means" if choices.estimate else "the mode",
        "prior_mean_sd": used,
        "fit": {
            "log_likelihood": round(found.log_likelihood, 4),
            "parameters": free,
            "aic": round(-2 * found.log_likelihood + 2 * free, 2),
            "bic": round(-2 * found.log_likelihood + free * math.log(len(responses.agents)), 2),
            "passes": fit.passes,
            "converged": fit.converged,
            "largest_move_in_standard_errors": float(f"{fit.move:.2g}"),
        },
        "ability_nodes": _node_facts(fit.problem),
        "items_placed_by_the_priors_alone": list(placed),
        "items_without_outcomes": list(unobserved),
    }
    facts |= {"agent_item_effect_sd": round(effect_sd, 4)} if choices.effect else {}
    facts |= {"latent_distribution": people} if people else {}
    facts |= {"rotation": rotate} if choices.rotatable else {}
    facts |= {"warnings": list(warnings)} if warnings else {}
    if anchors:
        facts["anchored_on"] = {"bank": anchors.name, "hash": anchors.hash, "held": hold_anchors}
    bank = ItemBank(
        name,
        tuple(items),
        names,
        mean=tuple(float(f"{m:.6g}") for m in mean),
        sd=tuple(float(f"{s:.6g}") for s in sds),
        description=description,
        provenance=facts,
        correlation=_rounded(covariance / np.outer(sds, sds)) if len(sds) > 1 else (),
        calibrants=calibrants(responses.agents, ability, sd),
    )
    return Calibration(
        bank=bank,
        agents=responses.agents,
        ability=ability,
        sd=sd,
        standard_errors=_by_item(fit.problem.blocks, doubt.marginal),
        log_likelihood=found.log_likelihood,
        log_posterior=found.log_posterior,
        parameters=free,
        passes=fit.passes,
        converged=fit.converged,
        move=fit.move,
        gain=fit.gain,
        seconds=time.perf_counter() - began,
        placed_by_prior=placed,
        unobserved=unobserved,
        priors=used,
        effect_sd=effect_sd,
        population=people,
        warnings=warnings,
        nodes=fit.problem.grid.nodes,
    )


def _choices(
    responses: Responses,
    model: Model | Mapping[str, Model],
    priors: Priors | None,
    abilities: int | Mapping[str, Sequence[int]],
    dispersion: bool | None,
    anchors: ItemBank | None,
    hold: bool,
) -> Choices:
    if isinstance(abilities, int):
        if not 1 <= abilities <= 3:
            raise InputError(f"a bank may have 1 to 3 abilities, not {abilities}")
        d, every = abilities, tuple(range(abilities))
        loads = tuple(every for _ in responses.items)
    else:
        try:
            loads = tuple(tuple(sorted(set(abilities[item]))) for item in responses.items)
        except KeyError as missing:
            raise InputError(
                f"the loading pattern lacks item {missing.args[0]!r}: name its abilities"
            ) from None
        d = max((a for row in loads for a in row), default=-1) + 1
        empty = [i for i, row in zip(responses.items, loads, strict=True) if not row or row[0] < 0]
        if empty or not 1 <= d <= 3:
            raise InputError(
                f"item {empty[0]!r} loads on no ability"
                if empty
                else f"{d} abilities, but 1 to 3 can be"
            )
    known = {item.id: item for item in anchors.items} if anchors else {}
    if anchors and len(anchors.mean) != d:
        raise InputError(
            f"bank {anchors.name!r} has {len(anchors.mean)} abilities, the new items {d}"
        )
    if anchors and not known.keys() & set(responses.items):
        raise ResponsesError(
            f"{responses.source}: no item of bank {anchors.name!r} is among its items, so nothing "
            "connects them with the bank's scale; bring outcomes on some of its items"
        )
    repeated = bool(responses.attempts.max() > 1)
    effect = (priors is None and repeated) if dispersion is None else dispersion
    if effect and not repeated:
        raise ResponsesError(
            f"{responses.source}: no cell has several trials, so an agent × item effect cannot be "
            "told from ability; leave dispersion off, or bring repeated trials"
        )
    models = models_for(responses, model)
    for position, item in enumerate(responses.items):
        if item in known:
            _check_anchor(responses, position, known[item].id, len(known[item].intercepts) + 1)
    models = tuple(
        known[i].model if i in known else m for i, m in zip(responses.items, models, strict=True)
    )
    return Choices(
        models=models,
        loads=loads,
        abilities=d,
        rotatable=isinstance(abilities, int) and d > 1 and not known,
        effect=effect,
        priors=priors or Priors(),
        estimate=priors is None,
        anchors=anchors,
        hold=hold,
    )


def _check_anchor(responses: Responses, position: int, item: str, k: int) -> None:
    if responses.n_categories[position] != k:
        raise ResponsesError(
            f"{responses.source}: item {item!r} has {responses.n_categories[position]} categories "
            f"here and {k} in the anchoring bank; read the outcomes with the labels of that bank"
        )


def _design(
    responses: Responses,
    groups: Sequence[str] | None,
    covariates: Mapping[str, Sequence[float]] | None,
    *,
    anchored: bool,
    choices: Choices,
) -> Design:
    agents = len(responses.agents)
    names, group = latent.by_group(groups if groups is not None else ["all"] * agents)
    indicators = (group[:, None] == np.arange(len(names))).astype(float)
    columns = [np.asarray(values, float) for values in (covariates or {}).values()]
    for name, values in zip(covariates or {}, columns, strict=True):
        if not np.isfinite(values).all():
            agent = responses.agents[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ResponsesError(
                f"{responses.source}: covariate {name!r} of agent {agent!r} is not known; leave "
                "the agent out or fill it in"
            )
    # centred, so that the mean of a group is that of its agents whatever the covariate's unit
    x = np.column_stack([indicators, *(values - values.mean() for values in columns)])
    free = np.ones(x.shape[1], bool)
    free_sd = np.ones(len(names), bool)
    if not anchored:
        free[0] = free_sd[0] = False
    return Design(
        x,
        (*names, *(covariates or {})),
        group,
        names,
        free,
        free_sd,
        choices.abilities > 1 and not choices.rotatable,
    )


def _placed_by_prior(responses: Responses, known: frozenset[str]) -> tuple[str, ...]:
    n, k = len(responses.items), int(responses.n_categories.max())
    seen = np.bincount(responses.item * k + responses.category, minlength=n * k).reshape(n, k)
    answers = np.count_nonzero(responses.attempts, axis=0)
    loose = ((seen > 0).sum(axis=1) == 1) | (answers < _FEW_ANSWERS)
    return tuple(i for i, one in zip(responses.items, loose, strict=True) if one and i not in known)


def _check_flat(responses: Responses, priors: Priors | None) -> None:
    if priors is None or math.inf not in (priors.d.sd, priors.log_a.sd):
        return
    n, k = len(responses.items), int(responses.n_categories.max())
    seen = np.bincount(responses.item * k + responses.category, minlength=n * k).reshape(n, k)
    single = np.flatnonzero((seen > 0).sum(axis=1) == 1)
    if len(single):
        raise ResponsesError(
            f"{responses.source}: {len(single)} items have a single outcome (first "
            f"{responses.items[single[0]]!r}), which flat priors cannot place; drop them or use "
            "proper priors"
        )


def _used_priors(fit: Fit) -> list[prior_of.ItemPriors]:
    return [
        prior
        if prior.belief is None
        else replace(prior, mean=np.broadcast_to(location, prior.mean.shape))
        for prior, location in zip(fit.problem.priors, fit.state.point.locations, strict=True)
    ]


def _latent(fit: Fit, choices: Choices, rotate: Rotation) -> tuple[Array, Array, Array, Array]:
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


def _population_table(problem: Problem, fit: Fit, doubt: Uncertainty) -> dict[str, list[float]]:
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


def _at_means(fit: Fit, joint: Sequence[Array]) -> tuple[list[Array], tuple[Array, ...], float]:
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


def _free_parameters(problem: Problem) -> int:
    people = len(latent.free_names(problem.design, problem.grid.abilities))
    items = sum(len(block.items) * int(block.free.shape[1]) for block in problem.blocks)
    return items + len(problem.shared_mean) + people


def _by_item(
    blocks: Sequence[Block], covariances: Sequence[Array]
) -> tuple[tuple[float, ...], ...]:
    found: dict[int, tuple[float, ...]] = {}
    for block, covariance in zip(blocks, covariances, strict=True):
        errors = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        for item, row in zip(block.items, errors, strict=True):
            found[int(item)] = tuple(float(e) for e in row)
    return tuple(found[i] for i in sorted(found))


def _node_facts(problem: Problem) -> dict[str, Any]:
    grid = problem.grid
    return {
        "count": len(grid.nodes),
        "reach": [round(float(r), 4) for r in grid.reach],
        "spacing": [round(float(h), 4) for h in grid.spacing],
    }


def _rounded(matrix: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(f"{x:.6g}") for x in row) for row in matrix)


def _warnings(
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
    if agents < _FEW_AGENTS or rough > _ROUGH_SHARE:
        poor = f", and a Gaussian is poor for {rough:.0%} of the items" if rough else ""
        found.append(
            f"{agents} agents: the priors decide much of every item{poor}; draw parameters with "
            "--sampler, or bring more agents"
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
