"""What agents that nobody has tested would reach on a bank, by their parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from harness.ability import Posterior, normalise
from harness.bank import ItemBank
from harness.errors import PlanError
from harness.parts.ability import Parts, PartsModel, parts_of
from harness.parts.names import folded
from harness.parts.prior import grounds, prior_of
from harness.score import predict_scores


@dataclass(frozen=True)
class AgentPrediction:
    """Ability and score of an agent before its first answer."""

    llm: str
    scaffold: str
    date: str
    ability: float
    sd: float
    low: float
    """Ends of the central interval of ability, as in the next."""
    high: float
    score: float
    """Expected score on the bank: the pass rate, where items are binary."""
    score_low: float
    score_high: float
    rests_on: tuple[str, ...]
    """Sentences."""

    @property
    def name(self) -> str:
        """Model and scaffold."""
        return f"{self.llm or 'any model'} in {self.scaffold or 'any scaffold'}"


def predict_agents(
    bank: ItemBank, model: PartsModel, agents: Sequence[Parts], level: float = 0.9
) -> tuple[AgentPrediction, ...]:
    """Ability and score of each of some agents, with intervals of probability ``level``.

    The interval of the score counts the doubt about ability, about the items, and the luck of
    running them.

    Raises:
        PlanError: a date cannot be read, or the level is no probability.
    """
    if not 0 < level < 1:
        raise PlanError(f"the level of an interval lies between 0 and 1, not at {level:g}")
    if not agents:
        return ()
    table = bank.table
    priors = prior_of(model, bank, tuple(agents))
    weights = normalise(np.stack([prior.log_weights(table.nodes) for prior in priors]))
    scores = predict_scores(table, weights, np.full((len(agents), len(table.ids)), -1))
    found = []
    for n, (one, prior, (score_low, score_high), mean) in enumerate(
        zip(agents, priors, scores.interval(level), scores.mean, strict=True)
    ):
        ability = Posterior(table.nodes, weights[n]).interval(level)
        found.append(
            AgentPrediction(
                *(one.llm, one.scaffold, one.date, prior.mean[0], prior.sd[0]),
                *(ability.low, ability.high, float(mean), float(score_low), float(score_high)),
                tuple(grounds(model, one)),
            )
        )
    return tuple(found)


def unseen_pairs(model: PartsModel, date: str = "") -> tuple[Parts, ...]:
    """All pairs of a known model and a known scaffold that no calibrating agent is made of.

    Args:
        date: of the pairs; by default the last date of an agent with that model.
    """
    seen = {(folded(c.llm), folded(c.scaffold)) for c in model.agents}
    last: dict[str, str] = {}
    for agent in map(parts_of, model.agents):
        last[folded(agent.llm)] = max(last.get(folded(agent.llm), ""), agent.date)
    return tuple(
        Parts(llm, scaffold, date or last[key])
        for (key, llm), (other, scaffold) in product(
            sorted(model.known["model"].items()), sorted(model.known["scaffold"].items())
        )
        if (key, other) not in seen
    )
