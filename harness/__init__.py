"""Adaptive evaluation of agents in Docker sandboxes, from calibrated item banks.

The engine is here: banks, plans and sessions, all pure. What reaches out into the world has
modules of its own: ``harness.runners.live`` runs sessions in Docker, ``harness.runners.replay`` and
``harness.runners.simulate`` feed them logged and simulated outcomes, ``harness.calibrate`` makes
banks, ``harness.report`` shows sessions.

>>> bank = ItemBank("demo", tuple(Item(f"i{j}", "2pl", (1.5,), (j - 2.0,)) for j in range(5)))
>>> session = Session(bank.table, Plan(stop=MaxItems(3)))
>>> (first,) = session.next_items(at=0.0)
>>> session = session.after(first).after(Answered(1.0, first.step, first.item, category=1))
>>> first.item, round(session.ability[0], 2)
('i2', 0.53)
"""

from harness.ability import Posterior, Prior
from harness.bank import Item, ItemBank
from harness.bank_files import load_bank, save_bank
from harness.events import (
    Answered,
    Chosen,
    Cost,
    Event,
    Evidence,
    Launch,
    Plan,
    Started,
    Stopped,
    Voided,
)
from harness.grammar import parse_estimator, parse_selector, parse_stop
from harness.prior import agent_prior
from harness.score import ScorePrediction, predict_score, predict_scores
from harness.select import (
    DecideScore,
    MaxInformation,
    MinExpectedVariance,
    PerCost,
    Random,
    ScoreVariance,
    Selector,
)
from harness.session import Session, fold
from harness.stop import (
    Decided,
    Exhausted,
    HalfWidth,
    MaxCost,
    MaxItems,
    MaxSeconds,
    Rule,
    SdBelow,
    all_of,
    any_of,
)

__all__ = [
    "Answered",
    "Chosen",
    "Cost",
    "DecideScore",
    "Decided",
    "Event",
    "Evidence",
    "Exhausted",
    "HalfWidth",
    "Item",
    "ItemBank",
    "Launch",
    "MaxCost",
    "MaxInformation",
    "MaxItems",
    "MaxSeconds",
    "MinExpectedVariance",
    "PerCost",
    "Plan",
    "Posterior",
    "Prior",
    "Random",
    "Rule",
    "ScorePrediction",
    "ScoreVariance",
    "SdBelow",
    "Selector",
    "Session",
    "Started",
    "Stopped",
    "Voided",
    "agent_prior",
    "all_of",
    "any_of",
    "fold",
    "load_bank",
    "parse_estimator",
    "parse_selector",
    "parse_stop",
    "predict_score",
    "predict_scores",
    "save_bank",
]
