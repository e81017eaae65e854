"""What all outcomes say of the agents under test: the truth that sessions are held against."""

import numpy as np
from numpy.typing import NDArray

from harness.bank import ItemBank
from harness.estimate import estimate_abilities
from harness.irt import Array
from harness.responses import Responses

Indices = NDArray[np.intp]


def full_scores(responses: Responses, items: Indices) -> Array:
    """``(A,)`` mean over items of the mean over all trials; NaN for an agent without any."""
    scores = responses.scores()[:, items]
    known = np.isfinite(scores)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, scores, 0.0).sum(axis=1) / known.sum(axis=1))


def full_abilities(bank: ItemBank, responses: Responses, agents: Indices) -> Array:
    """``(A, D)`` expected a posteriori abilities of some agents given all their trials."""
    known = responses.subset(
        agents=[responses.agents[a] for a in agents], items=[item.id for item in bank.items]
    )
    return estimate_abilities(bank, known).ability
