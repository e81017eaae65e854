"""Simulated agents through the engine: what to expect of a plan before anything is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.ability import Posterior
from harness.bank import ItemBank, compile_bank
from harness.batch import ENDS, Step, administer, batches, outcome
from harness.errors import PlanError
from harness.events import Outcome, Plan
from harness.irt import Array, Table
from harness.runners.accuracy import Accuracy, accuracy
from harness.score import predict_score

AGENTS = 1000


@dataclass(frozen=True)
class Spread:
    """Median and central 80% range over simulated agents."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Band:
    """Simulated agents whose first ability lies between ``low`` and ``high``, both included."""

    low: float
    high: float
    agents: int
    items: Spread
    sd: float
    """Mean posterior standard deviation of the first ability at the end."""
    ability: tuple[Accuracy, ...]
    """Against the true ability, one entry an ability."""
    score: Accuracy
    """Predicted score against what the agent would have got on all items."""


@dataclass(frozen=True)
class Simulation:
    """What became of the simulated agents; ``dataclasses.asdict`` gives plain JSON."""

    bank: str
    bank_hash: str
    select: str
    stop: str
    seed: int
    level: float
    """Probability of the intervals."""
    agents: int
    overall: Band
    bands: tuple[Band, ...]
    """Fifths of the agents by true ability, lowest first; fewer where abilities are tied."""
    outcomes: dict[Outcome, float]
    """Share of agents by how their session ended."""
    usd: Spread | None
    """Dollars, from the expected cost of each item; None where the bank knows none."""
    usd_known: float
    """Share of the bank's items whose cost is known; the others count as 0."""
    seconds: Spread | None
    """Duration with the plan's width of items running side by side; None as for dollars."""
    seconds_known: float


@dataclass(frozen=True, eq=False)
class _End:
    """One simulated agent at its stop."""

    items: int
    sd: tuple[float, ...]
    ability: tuple[float, ...]
    interval: tuple[tuple[float, float], ...]
    score: float
    score_interval: tuple[float, float]
    true_score: float
    usd: float
    seconds: float
    outcome: Outcome


def simulate(
    bank: ItemBank,
    plan: Plan,
    *,
    abilities: Array | Sequence[float] | None = None,
    n_agents: int = AGENTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Test simulated agents adaptively.

    An answer is drawn from the item's category probabilities at the agent's true ability,
    averaged over the uncertainty of the item's parameters as in a session. Agents have the one
    ability that the model knows of, so that intervals that allow for more (the bank's
    ``specific_sd``) are a little wider than these agents need. Items in flight when the rule holds
    are counted, and their cost is not. Agent number a has the seed ``plan.seed + a``.

    Args:
        abilities: ``(A, D)``, or ``(A,)`` with one ability; drawn from the plan's prior when None.
        n_agents: how many to draw.
        seed: of abilities and answers.
        progress: called with (agents done, all agents).

    Raises:
        PlanError: no agents, or abilities of another dimension than the bank's.
    """
    table = bank.table
    truth = _abilities(table, plan, abilities, n_agents, seed)
    ends: list[_End] = []
    for rows in batches(table, np.arange(len(truth))):
        ends += _simulate_batch(bank, plan, truth[rows], rows, seed)
        if progress:
            progress(len(ends), len(truth))
    everyone = np.ones(len(truth), bool)
    return Simulation(
        bank=bank.name,
        bank_hash=bank.hash,
        select=str(plan.select),
        stop=str(plan.stop),
        seed=seed,
        level=plan.level,
        agents=len(truth),
        overall=_band(truth, ends, everyone),
        bands=tuple(_band(truth, ends, inside) for inside in _fifths(truth[:, 0])),
        outcomes={end: float(np.mean([e.outcome == end for e in ends])) for end in ENDS},
        usd=_spread([e.usd for e in ends]) if np.isfinite(table.usd).any() else None,
        usd_known=float(np.isfinite(table.usd).mean()),
        seconds=_spread([e.seconds for e in ends]) if np.isfinite(table.seconds).any() else None,
        seconds_known=float(np.isfinite(table.seconds).mean()),
    )


def draw_outcomes(
    bank: ItemBank, abilities: Array, agents: NDArray[np.intp], seed: int
) -> NDArray[np.intp]:
    """``(A, n)`` categories that agents of the given abilities ``(A, D)`` would get.

    Agent number a draws from ``default_rng([seed, a])``, so its answers do not depend on who
    else is simulated.
    """
    p = compile_bank(bank, abilities).p
    n, k, _ = p.shape
    uniform = np.stack([np.random.default_rng([seed, int(a)]).random(n) for a in agents])
    below = p.cumsum(axis=1)[:, : k - 1].transpose(2, 0, 1)
    drawn = (uniform[:, :, None] >= below).sum(axis=2)
    # a cumulative sum may end just below 1
    return np.asarray(np.minimum(drawn, bank.table.n_categories - 1), np.intp)


def _abilities(
    table: Table, plan: Plan, given: Array | Sequence[float] | None, n_agents: int, seed: int
) -> Array:
    dimensions = table.nodes.shape[1]
    if len(plan.prior.mean) != dimensions:
        raise PlanError(
            f"the prior has {len(plan.prior.mean)} abilities, but the bank has {dimensions}"
        )
    if given is None:
        truth = plan.prior.draw(n_agents, np.random.default_rng([seed]))
    else:
        truth = np.asarray(given, float)
        truth = truth[:, None] if truth.ndim == 1 else truth
    if truth.ndim != 2 or truth.shape[1] != dimensions or not np.isfinite(truth).all():
        raise PlanError(f"true abilities must be numbers, {dimensions} for each simulated agent")
    if not len(truth):
        raise PlanError("a simulation needs at least one agent")
    return np.asarray(truth)


def _simulate_batch(
    bank: ItemBank, plan: Plan, truth: Array, rows: NDArray[np.intp], seed: int
) -> list[_End]:
    table = bank.table
    outcomes = draw_outcomes(bank, truth, rows, seed)
    true_scores = _true_scores(bank, truth, outcomes, rows, seed)
    ends: dict[int, _End] = {}
    seconds = np.broadcast_to(table.seconds / plan.width, outcomes.shape)
    for step in administer(table, plan, outcomes, plan.seed + rows, seconds=seconds):
        for a in map(int, np.flatnonzero(step.may_stop)):
            if a not in ends:
                ends[a] = _end(plan, step, a, float(true_scores[a]))
        if len(ends) == len(rows):
            break
    return [ends[a] for a in range(len(rows))]


def _true_scores(
    bank: ItemBank, truth: Array, outcomes: NDArray[np.intp], rows: NDArray[np.intp], seed: int
) -> Array:
    """``(A,)`` scores on the whole bank; the trials that are not drawn add a normal."""
    items = np.arange(len(bank.items))
    if bank.trials == 1:
        return np.asarray(bank.table.scores[items, outcomes].mean(axis=1))
    repeats = compile_bank(bank, truth).repeats
    assert repeats is not None
    agents = np.arange(len(truth))[:, None]
    mean = repeats.mean[items, outcomes, agents].sum(axis=1)
    sd = np.sqrt(repeats.variance[items, outcomes, agents].sum(axis=1))
    luck = np.array([np.random.default_rng([seed, int(a), 1]).standard_normal() for a in rows])
    return np.asarray(np.clip((mean + sd * luck) / len(items), 0.0, 1.0))


def _end(plan: Plan, step: Step, agent: int, true_score: float) -> _End:
    progress = step.of(agent).progress
    view = progress.view
    posterior = Posterior(view.table.nodes, view.posterior[0])
    dimensions = range(view.table.nodes.shape[1])
    intervals = [posterior.interval(plan.level, d) for d in dimensions]
    prediction = predict_score(view.table, view.score_posterior[0], view.answers[0])
    score_interval = prediction.interval(plan.level)
    return _End(
        items=int(progress.items[0] + step.in_flight[agent]),
        sd=tuple(float(x) for x in progress.sd[0]),
        ability=tuple(float(x) for x in view.ability[0]),
        interval=tuple((i.low, i.high) for i in intervals),
        score=prediction.mean,
        score_interval=(score_interval.low, score_interval.high),
        true_score=true_score,
        usd=float(progress.usd[0]),
        seconds=float(progress.seconds[0]),
        outcome=outcome(plan, step, agent),
    )


def _fifths(ability: Array) -> list[NDArray[np.bool_]]:
    edges = np.unique(np.quantile(ability, [0.2, 0.4, 0.6, 0.8]))
    of_agent = np.searchsorted(edges, ability, side="right")
    return [of_agent == fifth for fifth in np.unique(of_agent)]


def _band(truth: Array, ends: Sequence[_End], inside: NDArray[np.bool_]) -> Band:
    here = [end for end, within in zip(ends, inside, strict=True) if within]
    values = truth[inside]
    return Band(
        low=float(values[:, 0].min()),
        high=float(values[:, 0].max()),
        agents=len(here),
        items=_spread([end.items for end in here]),
        sd=float(np.mean([end.sd[0] for end in here])),
        ability=tuple(
            accuracy(
                [end.ability[d] for end in here],
                [end.interval[d] for end in here],
                values[:, d].tolist(),
            )
            for d in range(truth.shape[1])
        ),
        score=accuracy(
            [end.score for end in here],
            [end.score_interval for end in here],
            [end.true_score for end in here],
        ),
    )


def _spread(values: Sequence[float]) -> Spread:
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return Spread(float(median), float(low), float(high))
