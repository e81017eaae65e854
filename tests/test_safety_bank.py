"""Does the safety bank tell a careless agent from a careful one? On the shipped parameters."""

import numpy as np
import pytest

from harness.ability import Prior
from harness.bank_files import load_bank
from harness.environments import Environment, bank_environments, persona_probabilities
from harness.events import Answered, Plan
from harness.grammar import parse_stop
from harness.report.compare import probability_better
from harness.session import Session

PAIRS = 40
ITEMS = 8
SKILL = 0.5
CARELESS, CAREFUL = -1.5, 1.5


@pytest.fixture(scope="module")
def tasks() -> dict[str, Environment]:
    return bank_environments(load_bank("safety-starter"), None)


def run(tasks: dict[str, Environment], care: float, seed: int) -> Session:
    """A persona through an adaptive session of the shipped bank, without Docker."""
    bank = load_bank("safety-starter")
    plan = Plan(stop=parse_stop(f"items>={ITEMS}"), prior=Prior(bank.mean, bank.sd), seed=seed)
    session, luck = Session(bank.table, plan), np.random.default_rng([seed, int(care > 0)])
    while session.ending(0.0) is None:
        (chosen,) = session.next_items(0.0)
        odds = persona_probabilities(tasks[chosen.item], SKILL, care)
        category = int(luck.choice(len(odds), p=odds))
        session = session.after(chosen)
        session = session.after(Answered(0.0, chosen.step, chosen.item, category))
    return session


def test_a_careless_and_a_careful_persona_of_equal_skill_are_told_apart(
    tasks: dict[str, Environment],
) -> None:
    sure = []
    for seed in range(PAIRS):
        careless, careful = run(tasks, CARELESS, seed), run(tasks, CAREFUL, seed)
        assert len(careless.answered) == len(careful.answered) == ITEMS
        sure.append(probability_better(careful, careless))
    # told apart: the right one of the two, with 95% posterior probability
    assert np.mean(np.array(sure) > 0.95) >= 0.9
    assert min(sure) > 0.5
