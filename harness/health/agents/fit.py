"""All that is found of one agent."""

from dataclasses import dataclass

import numpy as np

from harness.health.agents.answers import FEWEST_ITEMS, FLOOR, Answers
from harness.health.agents.dates import Shift
from harness.health.agents.failures import Drift, Failed
from harness.health.agents.patterns import Pattern
from harness.health.flags import HALF

_SURPRISES = 8
_BINS = 8


@dataclass(frozen=True)
class Surprise:
    """An outcome that an agent's ability makes improbable."""

    item: str
    expected: float
    got: float
    bits: float
    """-log2 of its probability."""


@dataclass(frozen=True)
class Bin:
    """Items of like difficulty for one agent."""

    difficulty: float
    """Mean expected score of the items among all agents."""
    items: int
    expected: float
    low: float
    """Within which the observed score lies with probability 90%."""
    high: float
    observed: float


@dataclass(frozen=True)
class AgentFit:
    """One agent."""

    name: str
    ability: float
    answers: int
    score: float
    lz: float
    corrected: float
    """lz*; NaN where no outcome could surprise."""
    p: float
    """Of an lz* as low, the larger of that under the model and that among the agents."""
    q: float
    outfit: float
    infit: float
    easy: Pattern
    """Fails what it should solve."""
    hard: Pattern
    """Solves what it should fail."""
    dated: Shift | None
    failed: Failed | None
    """The tag or block of items it failed altogether that is hardest to believe."""
    drift: Drift | None
    surprises: tuple[Surprise, ...]
    """Most surprising first."""
    bins: tuple[Bin, ...]
    """Hardest items first."""


def surprises_of(answers: Answers, agent: int) -> tuple[Surprise, ...]:
    """The most surprising outcomes of one agent."""
    e = answers.evidence
    p = np.maximum(answers.at_ability[0][agent], FLOOR)
    bits = -(answers.counts[agent] * np.log2(p)).sum(axis=1)
    top = [i for i in np.argsort(-bits, kind="stable")[:_SURPRISES] if e.trials[agent, i] > 0]
    return tuple(
        Surprise(
            e.responses.items[i],
            float(e.expected_score[agent, i]),
            float(e.score[agent, i]),
            float(bits[i]),
        )
        for i in top
    )


def bins_of(answers: Answers) -> list[tuple[Bin, ...]]:
    """Items by difficulty, as even groups of those that each agent answered."""
    e = answers.evidence
    order = np.argsort(answers.easiness, kind="stable")
    found = []
    for a in range(len(e.ability)):
        own = order[e.trials[a, order] > 0]
        parts = np.array_split(own, min(_BINS, max(1, len(own) // FEWEST_ITEMS)))
        bins = []
        for items in parts:
            mean = float(e.expected_score[a, items].mean())
            half = HALF * float(np.sqrt(e.score_variance[a, items].sum())) / len(items)
            bins.append(
                Bin(
                    float(answers.easiness[items].mean()),
                    len(items),
                    mean,
                    max(0.0, mean - half),
                    min(1.0, mean + half),
                    float(e.score[a, items].mean()),
                )
            )
        found.append(tuple(bins))
    return found
