"""Calibrate a bank: from responses to items with parameters, uncertainty and provenance."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.bank import ItemBank
from harness.calibrate import priors as prior_of
from harness.calibrate.ascend import Progress
from harness.calibrate.assemble import (
    Population,
    bank_categories,
    bank_items,
    calibrants,
    data_facts,
    program,
    trials_of,
)
from harness.calibrate.blocks import natural
from harness.calibrate.choices import check_flat, make_choices, make_design, placed_by_prior
from harness.calibrate.connect import check_connected
from harness.calibrate.explained import (
    Explained,
    check_explicable,
    explained_facts,
    on_ability_scale,
    regressions,
)
from harness.calibrate.priors import Priors
from harness.calibrate.problem import priors_at
from harness.calibrate.result import (
    at_means,
    errors_by_item,
    find_warnings,
    free_parameters,
    latent_space,
    node_facts,
    population_table,
    rounded,
    still_predicted,
)
from harness.calibrate.rotate import Rotation
from harness.calibrate.search import search
from harness.calibrate.setup import set_up
from harness.calibrate.specific import estimate_specific_sd
from harness.calibrate.uncertainty import uncertainty
from harness.irt import Array, Model
from harness.regression import Features
from harness.responses import Responses

TRIALS_AGREE = (
    "the trials of a cell never differ, so each cell counts once: agents repeat themselves, or the "
    "rows were copied"
)


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
    explained: Explained | None = None
    """What features say of the items; None without features."""

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
    features: Features | None = None,
    anchors: ItemBank | None = None,
    hold_anchors: bool = False,
    trials: int | None = None,
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
            estimated. Where trials of a cell never differ, None counts each cell once.
        groups: of each agent; their populations have means and sds of their own.
        covariates: numbers of each agent that the mean of ability depends on, by name.
        features: of the items, which explain where they lie; items without a row are placed by
            their outcomes alone.
        anchors: a bank whose scale is kept: what it knows of its items is their prior. Predicted
            ones stay so until five agents have answered them.
        hold_anchors: do not update the anchors, but for predicted ones.
        trials: of each item that the score of the bank is the mean of; None for how many the
            cells usually have.
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
    if unobserved:
        responses = responses.subset(items=np.array(responses.items)[seen].tolist())
    # repeats without any difference are no further facts, and would put the effect at infinity
    agree = dispersion is None and priors is None and responses.trials_agree
    if agree:
        responses = responses.first_trials()
    known = frozenset(item.id for item in anchors.items) if anchors else frozenset()
    check_connected(responses, known)
    choices = make_choices(responses, model, priors, abilities, dispersion, anchors, hold_anchors)
    placed = placed_by_prior(responses, known)
    check_flat(responses, priors)
    design = make_design(responses, groups, covariates, anchored=bool(known), choices=choices)
    problem, start = set_up(responses, choices, design, nodes)
    if features is not None:
        problem = replace(problem, features=features.of(responses.items))
        check_explicable(problem)
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
        x, covariances, rough = at_means(fit, joint)
    explained = None
    if features is not None:
        backs = [block.back for block in problem.blocks]
        phi = [xb @ back.T for xb, back in zip(x, backs, strict=True)]
        spread_phi = [back @ c @ back.T for c, back in zip(covariances, backs, strict=True)]
        found_there = regressions(fit.problem, point, phi, spread_phi)
        explained = on_ability_scale(found_there, fit.problem, point)
    turn, mean, covariance, onto = latent_space(fit, choices, rotate)
    ability = found.mean @ onto.T
    spread = onto @ found.covariance @ onto.T
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0))
    names, of_item = bank_categories(responses)
    items = bank_items(responses, fit.problem.blocks, x, covariances, of_item, turn)
    still = still_predicted(responses, anchors) if anchors else frozenset()
    items = [replace(item, predicted=item.id in still) for item in items]
    used = prior_of.describe(fit.problem.blocks, priors_at(fit.problem, point))
    effect_sd = float(natural(fit.problem.blocks[0], x[0]).effect_sd[0])
    people = population_table(fit.problem, fit, doubt)
    free = free_parameters(fit.problem)
    warnings = find_warnings(fit, responses, choices, doubt, placed, rough)
    warnings += (TRIALS_AGREE,) if agree else ()
    warnings += explained.difficulty.coding.notes if explained else ()
    sds = np.sqrt(np.diag(covariance))
    facts: dict[str, Any] = {
        "program": program(),
        "model": model if isinstance(model, str) else dict(sorted(model.items())),
        "population": population,
        **data_facts(responses),
        "priors": "estimated with the items"
        if choices.estimate
        else "held at defaults"
        if priors is None
        else "given",
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
        "ability_nodes": node_facts(fit.problem),
        "items_placed_by_the_priors_alone": list(placed),
        "items_without_outcomes": list(unobserved),
    }
    if explained:
        facts["explained_by"] = explained_facts(explained)
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
        correlation=rounded(covariance / np.outer(sds, sds)) if len(sds) > 1 else (),
        calibrants=calibrants(
            *(responses.agents, ability, sd, responses.date, responses.llm, responses.scaffold)
        ),
        trials=trials_of(responses) if trials is None else trials,
    )
    specific = estimate_specific_sd(bank, responses)
    bank = replace(bank, specific_sd=float(f"{specific:.3g}"))
    return Calibration(
        bank=bank,
        agents=responses.agents,
        ability=ability,
        sd=sd,
        standard_errors=errors_by_item(fit.problem.blocks, doubt.marginal),
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
        explained=explained,
    )
