"""A session in one plain dataclass: what the terminal, ``--json`` and the page all show."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from harness.bank import ItemBank
from harness.events import (
    Answered,
    Chosen,
    Cost,
    Evidence,
    Outcome,
    Started,
    VoidCause,
    Voided,
)
from harness.session import Session

State = Outcome | Literal["running", "interrupted"]
"""How a session ended, or that it has not."""


@dataclass(frozen=True)
class PlanText:
    """The plan in the words that a plan file uses."""

    select: str
    stop: str
    estimator: str
    prior: Literal["normal", "population"]
    """A population is a mixture of normals, of which mean and sd follow."""
    prior_mean: tuple[float, ...]
    prior_sd: tuple[float, ...]
    seed: int
    width: int
    max_attempts: int


@dataclass(frozen=True)
class Range:
    """The interval of one ability."""

    low: float
    high: float


@dataclass(frozen=True)
class PredictedScore:
    """The score to expect on the whole bank, between 0 and 1."""

    mean: float
    low: float
    high: float
    items: int
    """How many items the score is over."""
    meaning: Literal["pass rate", "mean score"]
    """A mean score averages category / top category over items."""
    trials: int
    """Trials of each item that it is the mean of."""
    corrected: float
    """The model's score of the bank, corrected by the mean residual of the answers."""


@dataclass(frozen=True)
class CostTotal:
    """What a session used up, voids included."""

    usd: float
    seconds: float
    """Time since the start, the gaps between processes left out."""
    agent_seconds: float
    """Sum over attempts: more than ``seconds`` when several ran at once."""
    tokens: int
    turns: int


@dataclass(frozen=True)
class ItemRow:
    """One answered item."""

    step: int
    item: str
    sample: str
    """Id of the Inspect sample."""
    category: int
    top: int
    label: str
    cost: Cost
    evidence: Evidence
    trace: str
    predicted: bool = False
    """Whether the item's parameters are predicted, not estimated from outcomes."""


@dataclass(frozen=True)
class VoidRow:
    """One attempt that says nothing about the agent."""

    step: int
    item: str
    sample: str
    cause: VoidCause
    detail: str
    cost: Cost
    trace: str
    answers_before: int
    """How many answers were in when it arrived."""
    answered_later: bool
    """Whether another attempt on the item was answered, so that this void changes nothing."""


@dataclass(frozen=True)
class IfVoidsFailed:
    """The result if each item that was voided and never answered had been a failure."""

    items: tuple[str, ...]
    ability: tuple[float, ...]
    sd: tuple[float, ...]
    score: float


@dataclass(frozen=True)
class TrajectoryPoint:
    """What was believed after so many answers; the first point, with none, is the prior."""

    answers: int
    step: int
    """Step of the last of these answers; 0 for the prior."""
    item: str
    ability: tuple[float, ...]
    sd: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class SessionSummary:
    """Everything that a report says; tuples over abilities have one entry an ability."""

    run: str
    agent: str
    version: str
    """Version of the program that ran the session; several when a resume used another."""
    started_at: float | None
    """Unix time in seconds; None for a session without a ``Started`` event."""
    ended_at: float | None
    processes: int
    """1 plus the number of resumes."""
    bank: str
    bank_hash: str
    bank_items: int
    bank_mean: tuple[float, ...]
    """Mean ability of the population that the bank was calibrated on."""
    bank_sd: tuple[float, ...]
    bank_description: str
    bank_provenance: Mapping[str, Any]
    simulated_population: bool
    """Whether the bank was calibrated on simulated agents."""
    plan: PlanText
    state: State
    reason: str
    level: float
    """Probability of every interval."""
    ability: tuple[float, ...]
    sd: tuple[float, ...]
    interval: tuple[Range, ...]
    score: PredictedScore
    cost: CostTotal
    items: tuple[ItemRow, ...]
    """In the order of their answers."""
    voids: tuple[VoidRow, ...]
    if_voids_failed: IfVoidsFailed | None
    """None when every voided item was answered in the end."""
    in_flight: tuple[str, ...]
    trajectory: tuple[TrajectoryPoint, ...]
    predicted_items: int = 0
    """Items of the bank whose parameters are predicted, not estimated from outcomes."""
    predicted_answers: int = 0
    """Of these, the answered ones."""
    predicted_share: float = 0.0
    """Share of the information of the answers that rests on them."""


def summarise(session: Session, bank: ItemBank, *, live: bool = False) -> SessionSummary:
    """Summarise a session.

    Args:
        bank: the bank that the session runs on.
        live: whether a process works on the session now. One that has no end and no process
            is ``interrupted``.
    """
    plan, table = session.plan, session.table
    starts = [event for event in session.events if isinstance(event, Started)]
    score = session.score
    score_interval = score.interval(plan.level)
    counted = np.ones(len(table.ids), bool) if session.eligible is None else session.eligible
    state, reason = _state(session, live)
    dimensions = table.nodes.shape[1]
    intervals = [session.posterior.interval(plan.level, d) for d in range(dimensions)]
    return SessionSummary(
        run=starts[0].run if starts else "",
        agent=starts[0].agent if starts else "",
        version=", ".join(dict.fromkeys(start.version for start in starts)),
        started_at=starts[0].at if starts else None,
        ended_at=session.events[-1].at if starts else None,
        processes=max(len(starts), 1),
        bank=bank.name,
        bank_hash=bank.hash,
        bank_items=len(bank.items),
        bank_mean=bank.mean,
        bank_sd=bank.sd,
        bank_description=bank.description,
        bank_provenance=_plain(bank.provenance),
        simulated_population=_is_simulated(bank.provenance),
        plan=PlanText(
            select=str(plan.select),
            stop=str(plan.stop),
            estimator=str(plan.estimator),
            prior="population" if plan.prior.mixture else "normal",
            prior_mean=plan.prior.mean,
            prior_sd=plan.prior.sd,
            seed=plan.seed,
            width=plan.width,
            max_attempts=plan.max_attempts,
        ),
        state=state,
        reason=reason,
        level=plan.level,
        ability=session.ability,
        sd=session.sd,
        interval=tuple(Range(interval.low, interval.high) for interval in intervals),
        score=PredictedScore(
            mean=score.mean,
            low=score_interval.low,
            high=score_interval.high,
            items=int(counted.sum()),
            meaning="pass rate" if table.n_categories[counted].max() == 2 else "mean score",
            trials=bank.trials,
            corrected=session.corrected_score,
        ),
        cost=_cost(session),
        items=tuple(_item_row(session, bank, event) for event in session.answered.values()),
        voids=_void_rows(session),
        if_voids_failed=_if_voids_failed(session),
        in_flight=tuple(chosen.item for chosen in session.pending),
        trajectory=_trajectory(session),
        predicted_items=sum(item.predicted for item in bank.items),
        predicted_answers=session.predicted_answers,
        predicted_share=session.predicted_share,
    )


SUMMARY: TypeAdapter[SessionSummary] = TypeAdapter(SessionSummary)
"""Reads a summary back from its JSON: ``SUMMARY.validate_json(text)``."""


def summary_json(summary: SessionSummary) -> str:
    """The summary as indented JSON in plain ASCII, so that no terminal acts on its content.

    Numbers that are not finite become ``null``, half surrogates a question mark.
    """
    content = json.dumps(SUMMARY.dump_python(summary, mode="json"), ensure_ascii=False)
    whole = content.encode("utf-8", "replace")
    return json.dumps(json.loads(whole, parse_constant=lambda _: None), indent=2)


def _plain(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance as JSON would give it back: YAML also knows dates."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(provenance), default=str))
    return plain


def _is_simulated(provenance: Mapping[str, Any]) -> bool:
    return str(provenance.get("population", "")).strip().lower().startswith("simulated")


def _state(session: Session, live: bool) -> tuple[State, str]:
    if session.stopped is not None:
        return session.stopped.outcome, session.stopped.reason
    answered, flying = len(session.answered), len(session.pending)
    progress = f"{answered} item{'' if answered == 1 else 's'} answered"
    if flying:
        progress += f", {flying} in flight"
    return ("running", progress) if live else ("interrupted", f"no end was reached: {progress}")


def _cost(session: Session) -> CostTotal:
    outcomes: list[Answered | Voided] = [*session.answered.values(), *session.voided.values()]
    costs = [event.cost for event in outcomes]
    return CostTotal(
        usd=session.usd,
        seconds=session.seconds,
        agent_seconds=sum(cost.seconds for cost in costs),
        tokens=sum(cost.tokens for cost in costs),
        turns=sum(cost.turns for cost in costs),
    )


def _item_row(session: Session, bank: ItemBank, event: Answered) -> ItemRow:
    labels = bank.labels(event.item)
    return ItemRow(
        step=event.step,
        item=event.item,
        sample=session.chosen[event.step].sample,
        category=event.category,
        top=len(labels) - 1,
        label=labels[event.category],
        cost=event.cost,
        evidence=event.evidence,
        trace=event.trace,
        predicted=bank[event.item].predicted,
    )


def _void_rows(session: Session) -> tuple[VoidRow, ...]:
    rows, answers = [], 0
    for event in session.events:
        if isinstance(event, Answered):
            answers += 1
        elif isinstance(event, Voided):
            rows.append(
                VoidRow(
                    step=event.step,
                    item=event.item,
                    sample=session.chosen[event.step].sample,
                    cause=event.cause,
                    detail=event.detail,
                    cost=event.cost,
                    trace=event.trace,
                    answers_before=answers,
                    answered_later=event.item not in session.open_voids,
                )
            )
    return tuple(rows)


def _if_voids_failed(session: Session) -> IfVoidsFailed | None:
    """Folds the answers and a failure of every open void: the plan's own estimator judges it."""
    if not session.open_voids:
        return None
    failed = Session(session.table, session.plan, session.eligible)
    known = [(event.item, event.category) for event in session.answered.values()]
    for item, category in (*known, *((item, 0) for item in session.open_voids)):
        step = len(failed.chosen) + 1
        failed = failed.after(Chosen(0.0, step, item, item, (), ()))
        failed = failed.after(Answered(0.0, step, item, category))
    return IfVoidsFailed(session.open_voids, failed.ability, failed.sd, failed.score.mean)


def _trajectory(session: Session) -> tuple[TrajectoryPoint, ...]:
    now = Session(session.table, session.plan, session.eligible)
    points = [_point(now, step=0, item="")]
    for event in session.events:
        now = now.after(event)
        if isinstance(event, Answered):
            points.append(_point(now, event.step, event.item))
    return tuple(points)


def _point(session: Session, step: int, item: str) -> TrajectoryPoint:
    level = session.plan.level
    dimensions = range(session.table.nodes.shape[1])
    intervals = [session.posterior.interval(level, d) for d in dimensions]
    return TrajectoryPoint(
        answers=len(session.answered),
        step=step,
        item=item,
        ability=session.ability,
        sd=session.sd,
        low=tuple(interval.low for interval in intervals),
        high=tuple(interval.high for interval in intervals),
    )
