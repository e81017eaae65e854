"""What is known of the agents under test: one outcome a cell for sessions, all for the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.bank import ItemBank
from harness.estimate import estimate_abilities
from harness.irt import Array, Table
from harness.responses import Responses

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cells:
    """One trial of each cell, ``(A, n)`` each."""

    category: Indices
    """-1 where missing."""
    usd: Array
    """Dollars of the attempt; NaN where unknown, as seconds."""
    seconds: Array

    def of(self, agents: Indices, items: Indices, table: Table) -> "Cells":
        """Some agents on the items of a table, which says what attempts of unknown cost cost."""
        where = np.ix_(agents, items)
        usd, seconds = (
            np.where(np.isnan(actual[where]), expected, actual[where])
            for actual, expected in ((self.usd, table.usd), (self.seconds, table.seconds))
        )
        return Cells(self.category[where], usd, seconds)


def draw_trials(responses: Responses, seed: int) -> Cells:
    """One trial of each cell at random: a session runs an item once.

    >>> from harness.responses import from_matrix
    >>> draw_trials(from_matrix([[1, 0], [-1, 1]]), seed=0).category.tolist()
    [[1, 0], [-1, 1]]
    """
    # the last row written to a cell stays, so a random order draws one trial fairly
    order = np.random.default_rng([seed, 1]).permutation(len(responses.category))
    where = responses.agent[order], responses.item[order]
    shape = len(responses.agents), len(responses.items)
    category, usd, seconds = np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan)
    category[where] = responses.category[order]
    usd[where], seconds[where] = responses.usd[order], responses.seconds[order]
    return Cells(category, usd, seconds)


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
