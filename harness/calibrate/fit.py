"""Calibrate a bank: from responses to items with parameters, uncertainty and provenance."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.calibrate import em
from harness.calibrate import priors as prior_of
from harness.calibrate.assemble import Population, bank_categories, bank_items, bank_provenance
from harness.calibrate.priors import Priors
from harness.calibrate.search import search
from harness.calibrate.shapes import Group, make_groups
from harness.calibrate.uncertainty import covariances
from harness.errors import ResponsesError
from harness.irt import Array, Model
from harness.responses import Responses


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated bank, and how the calibration went."""

    bank: ItemBank
    agents: tuple[str, ...]
    ability: Array
    """``(A,)`` expected a posteriori ability of each agent."""
    sd: Array
    """``(A,)`` posterior standard deviations."""
    log_likelihood: float
    log_posterior: float
    iterations: int
    converged: bool
    seconds: float
    single_outcome: tuple[str, ...]
    """Items of which only one category was observed: the priors placed them, data did not."""
    unobserved: tuple[str, ...]
    """Items without any outcome, left out of the bank."""
    priors: dict[str, list[float]]
    """``[mean, sd]`` of each prior as used: estimated, or as given."""
    nodes: Array
    """``(Q,)`` ability nodes of the last E-step."""


def calibrate(
    responses: Responses,
    model: Model,
    *,
    name: str,
    priors: Priors | None = None,
    nodes: Array | None = None,
    description: str = "",
    population: Population = "real agents",
    tolerance: float = 1e-3,
    max_iterations: int = 1000,
    progress: em.Progress | None = None,
) -> Calibration:
    """Estimate item parameters by marginal maximum a posteriori EM.

    The scale is that of the calibrating agents: their abilities are N(0, 1).

    Args:
        responses: outcomes; missing cells are left out, repeated trials count each.
        model: the same for all items; grm and gpcm take any number of categories.
        name: of the bank.
        priors: of item parameters; None estimates their means and spreads with the items, and
            standardises the population once more at the end.
        nodes: ``(Q,)`` uniform ability nodes; None refines them until their spacing is no larger
            than the smallest posterior sd.
        description: of the bank.
        population: what the agents are; goes into the provenance.
        tolerance: converged once a step changes no parameter by more than this share of its
            standard error, and the log-posterior by no more than this.
        max_iterations: EM steps.
        progress: called after each EM step.

    Raises:
        ResponsesError: fewer than two agents, items that the model cannot describe, or
            items with a single outcome under flat priors.
    """
    began = time.perf_counter()
    seen = np.bincount(responses.item, minlength=len(responses.items)) > 0
    unobserved = tuple(i for i, any_row in zip(responses.items, seen, strict=True) if not any_row)
    responses = responses.subset(items=np.array(responses.items)[seen].tolist())
    groups = make_groups(responses, model)
    single = _single_outcome(responses, groups)
    _check(responses, single, priors)

    start = priors or Priors()
    fit = search(groups, start, priors is None, nodes, tolerance, max_iterations, progress)
    found = em.expect(groups, fit.parameters, fit.priors, fit.nodes)
    uncertainty = covariances(groups, fit.parameters, fit.priors, fit.nodes, found)
    weights = found.weights
    ability = weights @ fit.nodes
    sd = np.sqrt(np.maximum(weights @ fit.nodes**2 - ability**2, 0.0))
    used = prior_of.describe(groups, fit.priors)
    provenance = bank_provenance(responses, model, population, single, unobserved) | {
        "priors": ("estimated with the items" if priors is None else "given"),
        "prior_mean_sd": used,
        "iterations": fit.iterations,
        "converged": fit.converged,
        "log_likelihood": round(found.log_likelihood, 4),
        "ability_nodes": [float(fit.nodes[0]), float(fit.nodes[-1]), len(fit.nodes)],
    }
    names, of_item = bank_categories(responses)
    bank = ItemBank(
        name,
        tuple(bank_items(responses, model, groups, fit.parameters, uncertainty, of_item)),
        names,
        description=description,
        provenance=provenance,
    )
    return Calibration(
        bank=bank,
        agents=responses.agents,
        ability=ability,
        sd=sd,
        log_likelihood=found.log_likelihood,
        log_posterior=found.log_posterior,
        iterations=fit.iterations,
        converged=fit.converged,
        seconds=time.perf_counter() - began,
        single_outcome=single,
        unobserved=unobserved,
        priors=used,
        nodes=fit.nodes,
    )


def _single_outcome(responses: Responses, groups: Sequence[Group]) -> tuple[str, ...]:
    rows = [
        int(row)
        for group in groups
        for row in group.items[((group.counts.sum(axis=0) > 0).sum(axis=1) == 1)]
    ]
    return tuple(responses.items[row] for row in sorted(rows))


def _check(responses: Responses, single: Sequence[str], priors: Priors | None) -> None:
    if len(responses.agents) < 2:
        raise ResponsesError(
            f"{responses.source}: one agent cannot place items; bring outcomes of at least a few "
            "tens of agents"
        )
    if single and priors is not None and math.inf in (priors.d.sd, priors.log_a.sd):
        raise ResponsesError(
            f"{responses.source}: {len(single)} items have a single outcome (first "
            f"{single[0]!r}), which flat priors cannot place; drop them or use proper priors"
        )
