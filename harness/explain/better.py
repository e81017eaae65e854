"""What a better model, or a better scaffold, would change for an agent."""

from dataclasses import dataclass

import numpy as np

from harness.ability import Posterior, normalise
from harness.bank import ItemBank
from harness.errors import InputError
from harness.explain.outcomes import Outcomes
from harness.irt import Array
from harness.parts.ability import (
    FEWEST_KNOWN,
    KINDS,
    Kind,
    Parts,
    PartsModel,
    fit_parts,
    lacks_parts,
    parts_of,
)
from harness.parts.names import folded
from harness.parts.prior import prior_of
from harness.parts.rank import Effect, measured_bank, rank_parts
from harness.score import predict_score

_TASKS = 10


@dataclass(frozen=True)
class Gain:
    """A task that the agent failed."""

    item: str
    now: float
    """Score to expect of another attempt of the agent as it is."""
    then: float


@dataclass(frozen=True)
class Change:
    """The agent with another model, or in another scaffold."""

    kind: Kind
    before: str
    part: str
    """The best that is known: the one with the highest ability of those that can be compared."""
    best: float
    """Probability that it is the best of them."""
    agents: int
    """Agents with that part."""
    partners: int
    """Scaffolds of the model, or models of the scaffold, that tie it to others."""
    ability: float
    sd: float
    low: float
    high: float
    score: float
    """To expect on the whole bank."""
    score_low: float
    score_high: float
    abler: float
    """Probability that the agent would be abler than it is."""
    tasks: tuple[Gain, ...]
    """Failed tasks that it would more likely fail again as it is, those first that would most
    likely be solved."""


@dataclass(frozen=True)
class Better:
    """Both changes, where parts of agents are known."""

    score: float
    """To expect of the agent as it is on the whole bank, run anew."""
    score_low: float
    score_high: float
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """Why nothing, or not both, can be said."""


def what_if(outcomes: Outcomes, agent: int, level: float) -> Better:
    """What the best known model would do in this scaffold, and this model in the best scaffold.

    Abilities of all agents in the outcomes are explained by date, model and scaffold; a new pair
    has what it is itself besides, so that its interval is wide.
    """
    weights = np.exp(outcomes.log_posterior[agent])
    now = _score(outcomes, weights, level)
    found: list[Change] = []
    notes: list[str] = []
    bank = measured_bank(outcomes.bank, outcomes.responses)
    own = parts_of(bank.calibrants[agent])
    if lacks_parts(bank):
        told = sum(bool(parts_of(calibrant)) for calibrant in bank.calibrants)
        return Better(
            *now,
            (),
            (
                "What another model or scaffold would change cannot be told: model or scaffold of "
                f"{told} agents is known, and {FEWEST_KNOWN} are needed. Give a table with "
                "agent,llm,scaffold,date as --agents FILE.",
            ),
        )
    model = fit_parts(bank)
    for kind in KINDS:
        change = _change(outcomes, agent, bank, model, own, kind, level)
        (notes if isinstance(change, str) else found).append(change)  # type: ignore[arg-type]
    return Better(*now, tuple(found), tuple(notes))


def _change(
    outcomes: Outcomes,
    agent: int,
    bank: ItemBank,
    model: PartsModel,
    own: Parts,
    kind: Kind,
    level: float,
) -> Change | str:
    """The change of one part, or a sentence on why there is none."""
    other: Kind = "scaffold" if kind == "model" else "model"
    if not own.name(other):
        return f"The agent's {other} is not known: what another {kind} would do cannot be told."
    try:
        effects = rank_parts(bank, model, kind, level).effects
    except InputError as error:
        return f"What another {kind} would do cannot be told: {error}."
    tied = [effect for effect in effects if not effect.confounded]
    if not tied:
        return f"No two {kind}s share a {other}: which is the best cannot be told."
    best = tied[0]
    if folded(best.name) == folded(own.name(kind)):
        return f"Its {kind}, {best.name}, is already the best of those that can be compared."
    return _with(outcomes, agent, bank, model, _changed(model, own, kind, best), kind, best, level)


def _changed(model: PartsModel, own: Parts, kind: Kind, best: Effect) -> Parts:
    if kind == "scaffold":
        return Parts(own.llm, best.name, own.date)
    # a newer model comes with its date, which the trend counts
    dates = [user.date for user in model.users("model", best.name) if user.date]
    return Parts(best.name, own.scaffold, max([own.date, *dates]))


def _with(
    outcomes: Outcomes,
    agent: int,
    bank: ItemBank,
    model: PartsModel,
    parts: Parts,
    kind: Kind,
    best: Effect,
    level: float,
) -> Change:
    nodes = outcomes.nodes
    prior = prior_of(model, bank, (parts,))[0]
    then = normalise(prior.log_weights(nodes[:, None]))
    now = np.exp(outcomes.log_posterior[agent])
    interval = Posterior(nodes[:, None], then).interval(level)
    below = np.cumsum(now) - now / 2
    cells = outcomes.cells_of(agent=agent)
    # failed: at the lowest score in every trial
    failed = outcomes.item[cells[outcomes.score[outcomes.pattern[cells]] == 0]]
    ahead, before = outcomes.expected[failed] @ then, outcomes.expected[failed] @ now
    order = [row for row in np.argsort(-ahead, kind="stable") if before[row] < 0.5][:_TASKS]
    return Change(
        *(kind, parts_of(bank.calibrants[agent]).name(kind), best.name),
        *(best.best, best.agents, best.partners),
        *(prior.mean[0], prior.sd[0], interval.low, interval.high),
        *_score(outcomes, then, level),
        float(then @ below),
        tuple(
            Gain(outcomes.items[failed[row]], float(before[row]), float(ahead[row]))
            for row in order
        ),
    )


def _score(outcomes: Outcomes, weights: Array, level: float) -> tuple[float, float, float]:
    found = predict_score(outcomes.bank.table, weights, np.full(len(outcomes.items), -1))
    ends = found.interval(level)
    return found.mean, ends.low, ends.high
