"""Feed the logged outcomes of agents to the engine, and compare with all that is known of them.

What an adaptive session of a few items believes of an agent is held against the *full-data
values*: the ability given every observed answer of the agent, and its mean score over its
observed items. The baseline is what people do without a bank: run as many items at random, and
take the plain mean.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.ability import Posterior, Prior, moments, normalise
from harness.bank import ItemBank
from harness.batch import ENDS, Step, administer, batches, outcome
from harness.errors import PlanError, ResponsesError
from harness.events import Outcome, Plan
from harness.irt import Array, Table
from harness.responses import Responses
from harness.responses.drawn import Drawn, draw_trials
from harness.runners.accuracy import Accuracy, Baseline, accuracy, plain_accuracy
from harness.score import corrected_scores, predict_scores

CHECKPOINTS = (5, 10, 20, 30, 50, 100)
DRAWS = 20
"""Random orders of an agent's items that the baseline is averaged over."""


@dataclass(frozen=True)
class Estimate:
    """What the session believed of one agent after some items.

    ``ability``, ``sd`` and ``ability_interval`` have one entry an ability. The score is the
    predicted mean score over all items that the agent's log holds.
    """

    items: int
    ability: tuple[float, ...]
    sd: tuple[float, ...]
    ability_interval: tuple[tuple[float, float], ...]
    score: float
    score_interval: tuple[float, float]
    corrected_score: float
    """The model's score of those items, corrected by the mean residual of the answers."""
    usd: float | None
    """Dollars spent so far, an attempt of unknown cost counting as 0; None where neither log nor
    bank knows any cost of this agent."""
    seconds: float | None
    random_mae: float | None
    """Mean absolute error of as many random items scored by their plain mean."""


@dataclass(frozen=True)
class AgentReplay:
    """One agent: full-data values, and what the session believed on the way."""

    agent: str
    items: int
    """Items that the log holds."""
    ability: tuple[float, ...]
    """Expected a posteriori, given all of them."""
    sd: tuple[float, ...]
    score: float
    """Mean score over all of them."""
    usd: float | None
    """Dollars of all of them."""
    seconds: float | None
    outcome: Outcome
    stop: Estimate
    """At the stopping rule."""
    checkpoints: tuple[Estimate, ...]
    """At those checkpoints that the log has enough items for."""


@dataclass(frozen=True)
class Checkpoint:
    """All agents after the same number of items, or each at the stopping rule."""

    items: int | None
    """None at the stopping rule."""
    agents: int
    """Agents whose log holds that many items."""
    ability: tuple[Accuracy, ...]
    """One entry an ability."""
    score: Accuracy
    baseline: Baseline | None


@dataclass(frozen=True)
class Usage:
    """What the sessions used up until the stopping rule, against running every item."""

    mean: float
    median: float
    mean_all: float


@dataclass(frozen=True)
class Replay:
    """Every agent of a log through the same session; ``dataclasses.asdict`` gives plain JSON."""

    bank: str
    bank_hash: str
    source: str
    select: str
    stop: str
    seed: int
    level: float
    """Probability of the intervals."""
    draws: int
    """Random draws that the baseline is averaged over; 0 without baseline."""
    agents: tuple[AgentReplay, ...]
    skipped: tuple[str, ...]
    """Agents without any outcome on an item of the bank."""
    absent_items: int
    """Items of the bank that no agent of the log has an outcome for."""
    checkpoints: tuple[Checkpoint, ...]
    at_stop: Checkpoint
    outcomes: dict[Outcome, int]
    """Agents by how their session ended."""
    items: Usage
    usd: Usage | None
    seconds: Usage | None


def replay(
    bank: ItemBank,
    responses: Responses,
    plan: Plan,
    *,
    priors: Sequence[Prior] | None = None,
    checkpoints: Sequence[int] = CHECKPOINTS,
    baseline: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Replay every agent of a log through the session that a plan describes.

    Items that the log lacks for an agent are not available to its session. Where a cell has
    several trials, one of them is drawn (by the plan's seed), for a session runs an item once; the
    full-data ability rests on the same trials, and so does the score, unless the bank's score is
    the mean over several trials: then it is over all of them. Agent number a of the log has the
    seed ``plan.seed + a``.

    Args:
        priors: one for each agent of the log; the plan's for all when None.
        checkpoints: numbers of items at which to compare, besides the stopping rule.
        baseline: also score random items by their plain mean.
        progress: called with (agents done, all agents).

    Raises:
        ResponsesError: an item or a category that the bank does not have, or no agent with an
            outcome.
        PlanError: a checkpoint below 1.
    """
    counts = tuple(sorted(set(checkpoints)))
    if counts and counts[0] < 1:
        raise PlanError(f"a checkpoint is a number of items from 1 on, not {counts[0]}")
    table = bank.table
    drawn = draw_trials(table, responses, plan.seed)
    usable = np.flatnonzero((drawn.category >= 0).any(axis=1))
    if not len(usable):
        raise ResponsesError(
            f"{responses.source or 'the responses'}: no agent has an outcome on an item of bank "
            f"{bank.name!r}; check that the item ids are those of the bank"
        )
    each = [plan.prior] * len(responses.agents) if priors is None else priors
    tracks: list[_Track] = []
    for rows in batches(table, usable):
        tracks += _replay_batch(table, plan, responses.agents, drawn, rows, each, counts, baseline)
        if progress:
            progress(len(tracks), len(usable))

    agents = tuple(track.agent for track in tracks)
    used = set(usable.tolist())
    return Replay(
        bank=bank.name,
        bank_hash=bank.hash,
        source=responses.source,
        select=str(plan.select),
        stop=str(plan.stop),
        seed=plan.seed,
        level=plan.level,
        draws=DRAWS if baseline else 0,
        agents=agents,
        skipped=tuple(name for a, name in enumerate(responses.agents) if a not in used),
        absent_items=int((drawn.category < 0).all(axis=0).sum()),
        checkpoints=tuple(_compared(tracks, counts)),
        at_stop=_compare(None, [(t.agent, t.agent.stop, t.random_at_stop) for t in tracks]),
        outcomes={end: sum(agent.outcome == end for agent in agents) for end in ENDS},
        items=_usage([(agent.stop.items, agent.items) for agent in agents]),
        usd=_usage_if_known((agent.stop.usd, agent.usd) for agent in agents),
        seconds=_usage_if_known((agent.stop.seconds, agent.seconds) for agent in agents),
    )


# --- sessions ---------------------------------------------------------------------------------


_Predicted = tuple[float, list[float], float]


@dataclass(frozen=True, eq=False)
class _Track:
    """One agent, with the plain means of its random draws, ``(draws,)`` at each point."""

    agent: AgentReplay
    random_at_stop: Array | None
    random: tuple[Array | None, ...]
    """One entry a checkpoint of the agent."""


def _replay_batch(
    table: Table,
    plan: Plan,
    names: Sequence[str],
    drawn: Drawn,
    rows: NDArray[np.intp],
    priors: Sequence[Prior],
    counts: tuple[int, ...],
    with_baseline: bool,
) -> Iterator[_Track]:
    category, usd, seconds = drawn.category[rows], drawn.usd[rows], drawn.seconds[rows]
    observed = category >= 0
    total = observed.sum(axis=1)
    last = np.minimum(total, max(counts, default=0))
    known = [
        (bool(np.isfinite(usd[a, there]).any()), bool(np.isfinite(seconds[a, there]).any()))
        for a, there in enumerate(observed)
    ]
    earned = np.where(observed, table.scores[np.arange(len(table.ids)), category], 0.0)
    score = np.where(observed, drawn.score[rows], 0.0).sum(axis=1) / total
    random = [
        _plain_means(earned[a, observed[a]], [plan.seed, int(row)]) if with_baseline else None
        for a, row in enumerate(rows)
    ]

    marked: list[list[Estimate]] = [[] for _ in rows]
    ended: dict[int, tuple[Outcome, Estimate]] = {}
    own = [priors[row] for row in rows]
    for step in administer(table, plan, category, plan.seed + rows, usd, seconds, own):
        at_count = (step.round <= total) if step.round in counts else np.zeros(len(rows), bool)
        wanted = [
            int(a)
            for a in np.flatnonzero(at_count | step.may_stop)
            if a not in ended or at_count[a]
        ]
        for a, predicted in zip(wanted, _predicted(plan, step, observed, wanted), strict=True):
            estimate = _estimate(plan, step.of(a), predicted, known[a], score[a], random[a])
            if at_count[a]:
                marked[a].append(estimate)
            if step.may_stop[a] and a not in ended:
                ended[a] = outcome(plan, step, a), estimate
        if len(ended) == len(rows) and (step.round >= last).all():
            break

    log_likelihood = np.stack([_log_likelihood(table, answers) for answers in category])
    log_prior = np.stack([prior.log_weights(table.nodes) for prior in own])
    weights = normalise(log_prior + log_likelihood)
    mean, sd = moments(table.nodes, weights)
    for a, row in enumerate(rows):
        end, stop = ended[a]
        agent = AgentReplay(
            agent=names[row],
            items=int(total[a]),
            ability=_floats(mean[a]),
            sd=_floats(sd[a]),
            score=float(score[a]),
            usd=float(np.nansum(usd[a, observed[a]])) if known[a][0] else None,
            seconds=float(np.nansum(seconds[a, observed[a]])) if known[a][1] else None,
            outcome=end,
            stop=stop,
            checkpoints=tuple(marked[a]),
        )
        at_stop, *at_counts = (_at(random[a], e.items) for e in (stop, *marked[a]))
        yield _Track(agent, at_stop, tuple(at_counts))


def _predicted(
    plan: Plan, step: Step, observed: NDArray[np.bool_], agents: list[int]
) -> Iterator[_Predicted]:
    """Predicted score and its interval, and the score corrected by residuals, of some agents."""
    if not agents:
        return
    view = step.progress.view.of(agents)
    arguments = view.table, view.score_posterior, view.answers, observed[agents]
    scores = predict_scores(*arguments)
    yield from zip(
        scores.mean.tolist(),
        scores.interval(plan.level).tolist(),
        corrected_scores(*arguments).tolist(),
        strict=True,
    )


def _estimate(
    plan: Plan,
    alone: Step,
    predicted: _Predicted,
    known: tuple[bool, bool],
    score: float,
    random: Array | None,
) -> Estimate:
    """``alone`` is a step of a single agent."""
    view, progress = alone.progress.view, alone.progress
    posterior = Posterior(view.table.nodes, view.posterior[0])
    mean, (low, high), corrected = predicted
    items = int(progress.items[0])
    plain = _at(random, items)
    return Estimate(
        items=items,
        ability=_floats(view.ability[0]),
        sd=_floats(progress.sd[0]),
        ability_interval=tuple(
            (i.low, i.high)
            for i in (posterior.interval(plan.level, d) for d in range(view.table.nodes.shape[1]))
        ),
        score=mean,
        score_interval=(low, high),
        corrected_score=corrected,
        usd=float(progress.usd[0]) if known[0] else None,
        seconds=float(progress.seconds[0]) if known[1] else None,
        random_mae=None if plain is None else float(np.abs(plain - score).mean()),
    )


def _plain_means(scores: Array, seed: list[int]) -> Array:
    """``(draws, m)`` mean of the first 1 … m scores in random orders."""
    orders = np.random.default_rng(seed).permuted(np.tile(scores, (DRAWS, 1)), axis=1)
    return np.asarray(orders.cumsum(axis=1) / np.arange(1, len(scores) + 1))


def _at(means: Array | None, items: int) -> Array | None:
    """Plain means after some items; None where there are none."""
    return None if means is None or items == 0 else means[:, items - 1]


def _log_likelihood(table: Table, answers: NDArray[np.intp]) -> Array:
    """``(Q,)`` of all observed answers of one agent."""
    rows = np.flatnonzero(answers >= 0)
    return np.asarray(table.log_p[rows, answers[rows]].sum(axis=0))


def _floats(numbers: Array) -> tuple[float, ...]:
    return tuple(float(x) for x in numbers)


# --- comparison -------------------------------------------------------------------------------


def _compare(
    items: int | None, points: Sequence[tuple[AgentReplay, Estimate, Array | None]]
) -> Checkpoint:
    agents = [agent for agent, _, _ in points]
    estimates = [estimate for _, estimate, _ in points]
    scores = [agent.score for agent in agents]
    random = [means for _, _, means in points if means is not None]
    return Checkpoint(
        items=items,
        agents=len(agents),
        ability=tuple(
            accuracy(
                [e.ability[d] for e in estimates],
                [e.ability_interval[d] for e in estimates],
                [agent.ability[d] for agent in agents],
            )
            for d in range(len(agents[0].ability))
        ),
        score=accuracy([e.score for e in estimates], [e.score_interval for e in estimates], scores),
        baseline=plain_accuracy(np.stack(random), scores) if len(random) == len(scores) else None,
    )


def _compared(tracks: Sequence[_Track], counts: Sequence[int]) -> Iterator[Checkpoint]:
    for place, count in enumerate(counts):
        # checkpoints ascend, so an agent with fewer items has only the first ones
        there = [t for t in tracks if len(t.random) > place]
        if there:
            yield _compare(
                count, [(t.agent, t.agent.checkpoints[place], t.random[place]) for t in there]
            )


def _usage(pairs: Sequence[tuple[float, float]]) -> Usage:
    used, everything = np.array(pairs, float).T
    return Usage(float(used.mean()), float(np.median(used)), float(everything.mean()))


def _usage_if_known(pairs: Iterable[tuple[float | None, float | None]]) -> Usage | None:
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return _usage(known) if known else None
