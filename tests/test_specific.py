"""What one ability does not explain: found where it was planted, and covered by intervals."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.batch import administer
from harness.calibrate.specific import FEWEST_AGENTS, estimate_specific_sd
from harness.events import Plan
from harness.responses import from_matrix
from harness.score import predict_scores

ITEMS = 200
RNG = np.random.default_rng(4)
# every second item is sharp; a session is made of those
SLOPES = np.where(np.arange(ITEMS) % 2, 2.0, 0.8)
DIFFICULTY = RNG.normal(size=ITEMS)
BANK = ItemBank(
    "two kinds",
    tuple(
        Item(f"item{k}", "2pl", (float(a),), (float(-a * b),))
        for k, (a, b) in enumerate(zip(SLOPES, DIFFICULTY, strict=True))
    ),
)


def outcomes(agents: int, specific: float, seed: int) -> np.ndarray:
    """Agents who are better or worse at sharp items than at others."""
    rng = np.random.default_rng(seed)
    general, own = rng.standard_normal((2, agents))
    ability = general[:, None] + specific * own[:, None] * np.where(SLOPES > 1, 1.0, 0.0)
    right = rng.random((agents, ITEMS)) < expit(SLOPES * (ability - DIFFICULTY))
    return right.astype(int)


def test_nothing_is_found_where_one_ability_is_all() -> None:
    found = [estimate_specific_sd(BANK, from_matrix(outcomes(150, 0.0, seed))) for seed in range(5)]
    assert np.mean(found) < 0.08


@pytest.mark.parametrize("planted", [0.3, 0.5])
def test_what_was_planted_is_found(planted: float) -> None:
    found = [
        estimate_specific_sd(BANK, from_matrix(outcomes(150, planted, seed))) for seed in range(5)
    ]
    # the whole bank is half sharp items, so a session errs by about half of what was planted:
    # less, as sharp items weigh more
    assert 0.3 * planted < np.mean(found) < 0.75 * planted


def covered(bank: ItemBank, categories: np.ndarray, items: int) -> float:
    """Share of agents whose score lies in its 90% interval."""
    truth = categories.mean(axis=1)
    for step in administer(bank.table, Plan(prior=Prior()), categories):
        if step.round == items:
            view = step.progress.view
            ends = predict_scores(bank.table, view.posterior, view.answers).interval(0.9)
            return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
    raise AssertionError("the session ended early")


def test_intervals_cover_new_agents() -> None:
    sd = estimate_specific_sd(BANK, from_matrix(outcomes(150, 0.7, 1)))
    new = outcomes(400, 0.7, 99)
    for items in (20, 40):
        without = covered(BANK, new, items)
        honest = covered(dataclasses.replace(BANK, specific_sd=sd), new, items)
        assert without < 0.8
        # the standard error is 1.5%
        assert 0.85 < honest < 0.96


def test_little_data_tells_nothing() -> None:
    assert estimate_specific_sd(BANK, from_matrix(outcomes(FEWEST_AGENTS - 1, 0.5, 0))) == 0.0
    few = dataclasses.replace(BANK, items=BANK.items[:30])
    assert estimate_specific_sd(few, from_matrix(outcomes(50, 0.5, 0)[:, :30])) == 0.0


def test_the_doubt_ends_with_the_bank() -> None:
    """Of a bank that is all answered nothing is left to differ from."""
    bank = dataclasses.replace(BANK, specific_sd=0.4)
    categories = outcomes(1, 0.0, 3)
    steps = [step.of(0) for step in administer(bank.table, Plan(prior=Prior()), categories)]
    for step in (steps[10], steps[100], steps[-1]):
        view = step.progress.view
        spread = [
            weights @ (view.table.nodes[:, 0] - weights @ view.table.nodes[:, 0]) ** 2
            for weights in (view.weights[0], view.posterior[0])
        ]
        left = 1 - (view.answers >= 0).mean()
        assert spread[1] - spread[0] == pytest.approx(0.16 * left, abs=2e-3)
