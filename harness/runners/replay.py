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

from harness.ability import Posterior, moments, normalise, predict_score
from harness.bank import ItemBank
from harness.batch import Step, administer, batches, outcome
from harness.errors import PlanError, ResponsesError
from harness.events import Outcome, Plan
from harness.irt import Array, Table
from harness.responses import Responses
from harness.runners.accuracy import Accuracy, Baseline, accuracy, plain_accuracy

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
    checkpoints: Sequence[int] = CHECKPOINTS,
    baseline: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Replay every agent of a log through the session that a plan describes.

    Items that the log lacks for an agent are not available to its session. Where a cell has
    several trials, one of them is drawn (by the plan's seed), for a session runs an item once;
    full-data values rest on the same trials. Sessions run one item at a time, whatever the
    plan's width; the random selector gives agent number a of the log the seed ``plan.seed + a``.

    Args:
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
    cells = _cells(table, responses, plan.seed)
    usable = np.flatnonzero((cells.category >= 0).any(axis=1))
    if not len(usable):
        raise ResponsesError(
            f"{responses.source or 'the responses'}: no agent has an outcome on an item of bank "
            f"{bank.name!r}; check that the item ids are those of the bank"
        )
    tracks: list[_Track] = []
    for rows in batches(table, usable):
        tracks += _replay_batch(table, plan, responses.agents, cells, rows, counts, baseline)
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
        absent_items=int((cells.category < 0).all(axis=0).sum()),
        checkpoints=tuple(_compared(tracks, counts)),
        at_stop=_compare(None, [(t.agent, t.agent.stop, t.random_at_stop) for t in tracks]),
        outcomes={
            end: sum(agent.outcome == end for agent in agents)
            for end in ("precise", "limit", "exhausted")
        },
        items=_usage([(agent.stop.items, agent.items) for agent in agents]),
        usd=_usage_if_known((agent.stop.usd, agent.usd) for agent in agents),
        seconds=_usage_if_known((agent.stop.seconds, agent.seconds) for agent in agents),
    )


# --- what the log holds -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Cells:
    """One outcome a cell, in the order of the bank; all ``(A, n)``."""

    category: NDArray[np.intp]
    """-1 where missing."""
    usd: Array
    """NaN where neither log nor bank knows; as seconds."""
    seconds: Array


def _cells(table: Table, responses: Responses, seed: int) -> _Cells:
    used = np.unique(responses.item)
    unknown = [responses.items[i] for i in used if responses.items[i] not in table.index]
    if unknown:
        raise ResponsesError(
            f"{responses.source or 'the responses'}: item {unknown[0]!r} is not in the bank, nor "
            f"are {len(unknown) - 1} others; give the bank that they belong to, or remove their "
            "rows"
        )
    column_of = np.array([table.index.get(item, -1) for item in responses.items])
    # the last row written to a cell stays, so a random order draws one trial fairly
    order = np.random.default_rng(seed).permutation(len(responses.item))
    row, column = responses.agent[order], column_of[responses.item[order]]
    category = responses.category[order]
    wrong = np.flatnonzero(category >= table.n_categories[column])
    if len(wrong):
        first = wrong[0]
        raise ResponsesError(
            f"{responses.source or 'the responses'}: agent {responses.agents[row[first]]!r}, item "
            f"{table.ids[column[first]]!r}: category {category[first]}, but the bank has "
            f"0..{table.n_categories[column[first]] - 1}; check the scoring of that item"
        )
    shape = len(responses.agents), len(table.ids)
    categories = np.full(shape, -1)
    categories[row, column] = category
    usd, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    usd[row, column] = responses.usd[order]
    seconds[row, column] = responses.seconds[order]
    return _Cells(
        categories,
        np.where(np.isnan(usd), table.usd, usd),
        np.where(np.isnan(seconds), table.seconds, seconds),
    )


# --- sessions ---------------------------------------------------------------------------------


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
    cells: _Cells,
    rows: NDArray[np.intp],
    counts: tuple[int, ...],
    with_baseline: bool,
) -> Iterator[_Track]:
    category, usd, seconds = cells.category[rows], cells.usd[rows], cells.seconds[rows]
    observed = category >= 0
    total = observed.sum(axis=1)
    last = np.minimum(total, max(counts, default=0))
    known = [
        (bool(np.isfinite(usd[a, there]).any()), bool(np.isfinite(seconds[a, there]).any()))
        for a, there in enumerate(observed)
    ]
    earned = np.where(observed, table.scores[np.arange(len(table.ids)), category], 0.0)
    score = earned.sum(axis=1) / total
    random = [
        _plain_means(earned[a, observed[a]], [plan.seed, int(row)]) if with_baseline else None
        for a, row in enumerate(rows)
    ]

    marked: list[list[Estimate]] = [[] for _ in rows]
    ended: dict[int, tuple[Outcome, Estimate]] = {}
    for step in administer(table, plan, category, plan.seed + rows, usd, seconds):
        at_count = (step.round <= total) if step.round in counts else np.zeros(len(rows), bool)
        for a in map(int, np.flatnonzero(at_count | step.may_stop)):
            if a in ended and not at_count[a]:
                continue
            estimate = _estimate(plan, step.of(a), observed[a], known[a], score[a], random[a])
            if at_count[a]:
                marked[a].append(estimate)
            if step.may_stop[a] and a not in ended:
                ended[a] = outcome(plan, step, a), estimate
        if len(ended) == len(rows) and (step.round >= last).all():
            break

    log_likelihood = np.stack([_log_likelihood(table, answers) for answers in category])
    weights = normalise(plan.prior.log_weights(table.nodes) + log_likelihood)
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


def _estimate(
    plan: Plan,
    alone: Step,
    observed: NDArray[np.bool_],
    known: tuple[bool, bool],
    score: float,
    random: Array | None,
) -> Estimate:
    """``alone`` is a step of a single agent."""
    view, progress = alone.progress.view, alone.progress
    posterior = Posterior(view.table.nodes, view.weights[0])
    prediction = predict_score(view.table, view.weights[0], view.answers[0], observed)
    interval = prediction.interval(plan.level)
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
        score=prediction.mean,
        score_interval=(interval.low, interval.high),
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
