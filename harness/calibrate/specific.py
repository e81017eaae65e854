"""What agents are good at besides what one ability says, as seen by adaptive sessions.

An adaptive session sees few items, and not just any: those that tell most. Where ability has more
sides than one, what such items show differs a little from what the whole bank would, and no number
of them mends that. How much is found by testing the calibrating agents themselves.
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from harness.bank import ItemBank
from harness.batch import administer
from harness.events import Plan
from harness.irt import Array, Table
from harness.responses import Responses
from harness.responses.drawn import draw_trials
from harness.score import predict_scores

CHECKPOINTS = (10, 20, 30, 40, 50)
"""Numbers of items at which predictions are held against what is known; up to half of the bank."""
FEWEST_AGENTS, FEWEST_ITEMS = 20, 40
"""With fewer there is nothing to be learned of it."""
_MOST_AGENTS = 300


def estimate_specific_sd(bank: ItemBank, responses: Responses) -> float:
    """Sd of the ability that sessions of a bank show about the ability on the whole bank.

    Each agent is tested adaptively on its own outcomes. The error of the predicted score is taken
    as normal, its variance as what the prediction states plus that of an error in ability of sd τ
    (less what is known of the bank already); the maximum of the likelihood over τ is returned. It
    is 0 with fewer than 20 agents or 40 items, and for several abilities.

    Args:
        bank: calibrated on the ``responses``.
    """
    if len(bank.mean) > 1 or len(bank.items) < FEWEST_ITEMS:
        return 0.0
    # a single trial is what sessions see, and what they are held against here
    table = replace(bank.table, repeats=None, specific_sd=0.0)
    outcomes = draw_trials(table, responses, seed=0).category
    plan = Plan(prior=bank.population)
    n = len(table.ids)
    tested = np.flatnonzero((outcomes >= 0).sum(axis=1) >= FEWEST_ITEMS)
    if len(tested) < FEWEST_AGENTS:
        return 0.0
    spread_out = np.linspace(0, len(tested) - 1, min(len(tested), _MOST_AGENTS)).astype(int)
    outcomes = outcomes[tested[spread_out]]
    counted = outcomes >= 0
    total = counted.sum(axis=1)
    score = np.where(counted, table.scores[np.arange(n), outcomes], 0.0).sum(axis=1) / total
    found = []
    for step in administer(table, plan, outcomes):
        if step.round in CHECKPOINTS:
            view = step.progress.view
            here = step.round <= total / 2
            predicted = predict_scores(table, view.weights, view.answers, counted)
            steepness = _slope(table, view.weights, predicted.given / total[:, None])
            left = 1 - step.round / total
            columns = (predicted.mean - score, predicted.sd**2, left * steepness**2)
            found.append(np.stack(columns)[:, here])
        if step.round >= min(CHECKPOINTS[-1], total.max() / 2):
            break
    error, stated, per_variance = np.concatenate(found, axis=1)

    def loss(sd: float) -> float:
        variance = stated + sd**2 * per_variance
        return float((np.log(variance) + error**2 / variance).sum())

    best = minimize_scalar(loss, bounds=(0.0, bank.sd[0]), method="bounded").x
    # the search never looks at the bound itself
    return float(best) if loss(best) < loss(0.0) else 0.0


def _slope(table: Table, weights: Array, expected: Array) -> Array:
    """``(A,)`` how fast the expected score ``(A, Q)`` rises with ability, over the posterior."""
    return np.asarray((weights * np.gradient(expected, table.nodes[:, 0], axis=1)).sum(axis=1))
