"""From what a policy looks at to a summary of the series."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from harness.ability import Posterior
from harness.bank import ItemBank
from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.belief import Belief, first_belief
from harness.schedule.certainty import certainty
from harness.schedule.changes import baseline, differences
from harness.schedule.course import Course
from harness.schedule.events import Checkpoint, Tested
from harness.schedule.situation import Situation, Spending
from harness.schedule.summary import (
    AlarmNote,
    BankSummary,
    Chance,
    Change,
    Estimate,
    ItemUse,
    Point,
    Registered,
    SeriesSummary,
    Session,
)
from harness.score import predict_scores

_CURVE = 41
"""Points of the curve from ability to expected score."""


def summarise(
    situation: Situation,
    *,
    name: str,
    policy: str,
    subjects: Mapping[int, str] | None = None,
    alarms: Sequence[AlarmNote] = (),
    level: float = 0.9,
    hindsight: bool = True,
) -> SeriesSummary:
    """Everything that is told of a series.

    Args:
        name: of the series.
        policy: its text.
        subjects: agent and model of each step, for people.
        alarms: that were raised.
        level: probability of intervals.
        hindsight: look back at earlier checkpoints, which takes most of the time. Without it they
            stand as they were when tested, and alarms are judged as of the last one only.
    """
    checkpoints = situation.checkpoints
    banks = tuple(_bank_summary(situation, bank, level, hindsight) for bank in situation.scales)
    joint = any(len(course.space.scales) == 2 for course in situation.courses)
    spent = _spent([s for checkpoint in checkpoints for s in checkpoint.sessions])
    reserved = sum(s.tasks for checkpoint in checkpoints for s in checkpoint.sessions)
    n = len(checkpoints)
    return SeriesSummary(
        name=name,
        policy=policy,
        alpha=situation.alpha,
        certainty=certainty(situation) if situation.alarms else None,
        level=level,
        planned=situation.planned,
        joint=joint,
        drift=situation.courses[0].space.drift,
        checkpoints=tuple(
            Registered(
                checkpoint.step,
                (subjects or {}).get(checkpoint.step, ""),
                checkpoint.jump,
                any(session.answers for session in checkpoint.sessions),
                _spent(checkpoint.sessions),
            )
            for checkpoint in checkpoints
        ),
        banks=banks,
        correlation=_correlation(situation.courses[0]) if joint else (),
        alarms=tuple(sorted(alarms, key=lambda note: (note.step, note.bank, note.alarm))),
        spent=spent,
        full=Spending(
            _total([bank.full.tasks for bank in banks], n),
            _total([bank.full.usd for bank in banks], n),
            _total([bank.full.seconds for bank in banks], n),
        ),
        limit=situation.limit,
        left=Spending(
            _rest(situation.limit.tasks, reserved),
            _rest(situation.limit.usd, spent.usd),
            _rest(situation.limit.seconds, spent.seconds),
        ),
    )


def _total(each: Sequence[float | None], times: int) -> float | None:
    known = [one for one in each if one is not None]
    return times * sum(known) if len(known) == len(each) else None


def _rest(limit: float | None, spent: float | None) -> float | None:
    return None if limit is None else max(limit - (spent or 0.0), 0.0)


def _spent(sessions: Sequence[Tested]) -> Spending:
    return Spending(
        sum(len(session.answers) for session in sessions),
        sum(session.usd for session in sessions),
        sum(session.seconds for session in sessions),
    )


def _bank_summary(situation: Situation, name: str, level: float, hindsight: bool) -> BankSummary:
    course, axis, scale = situation.scales[name]
    checkpoints = situation.checkpoints
    bank = scale.bank
    estimate = partial(_estimate, level=level)
    smoothed = (
        course.smoothed(axis)
        if hindsight
        else tuple(course.filtered(place, axis) for place in range(len(checkpoints)))
    )
    moved, changes = _changes(situation, name, level, hindsight)
    scores = _scores(course, axis, checkpoints, smoothed, level)
    points = tuple(
        _point(
            checkpoint,
            name,
            estimate(course.forecast(place, axis)),
            estimate(course.filtered(place, axis)),
            estimate(smoothed[place]),
            scores[place],
            changes[place],
        )
        for place, checkpoint in enumerate(checkpoints)
    )
    sessions = [session for checkpoint in checkpoints for session in checkpoint.on(name)]
    full, priced = _full(bank, sessions)
    belief = _last_belief(course)
    expected = scale.table.expected_score.mean(axis=0)
    at = np.linspace(0, course.space.size - 1, _CURVE).round().astype(int)
    return BankSummary(
        name=name,
        hash=bank.hash,
        items=len(bank.items),
        mean=bank.mean[0],
        sd=scale.sd,
        alarms=tuple(str(alarm) for on, alarm in situation.alarms if on == name),
        points=points,
        moved=moved,
        walk=_chances([way.sd for way in course.space.cells], belief.cells),
        slope=estimate(_slope(course, belief)) if course.space.drift.trend else None,
        used=_used(checkpoints, name),
        full=full,
        priced=priced,
        curve=tuple((float(scale.nodes[i]), float(expected[i])) for i in at),
    )


def _point(
    checkpoint: Checkpoint,
    bank: str,
    forecast: Estimate,
    filtered: Estimate,
    smoothed: Estimate,
    score: Estimate,
    changes: tuple[Change, ...],
) -> Point:
    sessions = checkpoint.on(bank)
    return Point(
        step=checkpoint.step,
        forecast=forecast,
        filtered=filtered,
        smoothed=smoothed,
        score=score,
        tasks=sum(len(session.answers) for session in sessions),
        usd=sum(session.usd for session in sessions),
        seconds=sum(session.seconds for session in sessions),
        sessions=tuple(
            Session(
                step=checkpoint.step,
                bank=bank,
                number=session.number,
                purpose=session.purpose,
                state=session.state,
                planned=session.planned,
                tasks=len(session.answers),
                voids=session.voids,
                usd=session.usd,
                seconds=session.seconds,
                run=session.run,
                error=session.error,
            )
            for session in sessions
        ),
        changes=changes,
    )


def _estimate(posterior: Posterior, level: float) -> Estimate:
    between = posterior.interval(level)
    return Estimate(float(posterior.mean[0]), float(posterior.sd[0]), between.low, between.high)


def _slope(course: Course, belief: Belief) -> Posterior:
    others = tuple(i for i in range(belief.p.ndim) if i != 1)
    return Posterior(course.space.slopes[:, None], belief.p.sum(axis=others))


def _changes(
    situation: Situation, bank: str, level: float, hindsight: bool
) -> tuple[Change | None, list[tuple[Change, ...]]]:
    """The change from the first to the last tested checkpoint, and every alarm's as of each."""
    course, axis, _ = situation.scales[bank]
    n = len(course.visits)
    tested = [place for place, visit in enumerate(course.visits) if visit.tasks[axis]]
    whole = {(tested[0], tested[-1])} if len(tested) > 1 else set()
    asked: list[list[tuple[int, Alarm]]] = [[] for _ in range(n)]
    for on, alarm in situation.alarms:
        settled = [d.step for d in situation.confirmed if (d.bank, d.alarm) == (bank, alarm)]
        for place in range(0 if hindsight else n - 1, n) if on == bank else ():
            earlier = [step for step in settled if step < course.steps[place]]
            start = baseline(course, alarm, bank, place, max(earlier, default=None))
            if start is not None:
                asked[place].append((start, alarm))
    pairs = {(start, place) for place, some in enumerate(asked) for start, _ in some}
    found = differences(course, bank, pairs | whole)

    def told(start: int, end: int, alarm: Alarm, text: str) -> Change:
        difference = found[start, end]
        ends = difference.interval(level)
        by = Estimate(difference.mean, difference.sd, ends.low, ends.high)
        return Change(text, course.steps[start], difference.probability(alarm), by)

    moved = [told(start, end, Alarm("fall", 0.0), "") for start, end in whole]
    return moved[0] if moved else None, [
        tuple(told(start, place, alarm, str(alarm)) for start, alarm in some)
        for place, some in enumerate(asked)
    ]


def _scores(
    course: Course,
    axis: int,
    checkpoints: Sequence[Checkpoint],
    smoothed: Sequence[Posterior],
    level: float,
) -> list[Estimate]:
    """Predicted scores; what a checkpoint answered counts as it is."""
    if not checkpoints:
        return []
    scale = course.space.scales[axis]
    row = {item: place for place, item in enumerate(scale.table.ids)}
    answers = np.full((len(checkpoints), len(row)), -1)
    for place, checkpoint in enumerate(checkpoints):
        for session in checkpoint.on(scale.name):
            for item, category in session.answers:
                answers[place, row[item]] = category
    weights = np.stack([posterior.weights for posterior in smoothed])
    found = predict_scores(scale.table, weights, answers)
    ends = found.interval(level)
    return [
        Estimate(float(mean), float(sd), float(low), float(high))
        for mean, sd, (low, high) in zip(found.mean, found.sd, ends, strict=True)
    ]


def _chances(values: Sequence[float], weights: Array) -> tuple[Chance, ...]:
    """Probabilities of values, those that occur several times added up."""
    kinds, where = np.unique(values, return_inverse=True)
    mass = np.bincount(where, weights=weights)
    return tuple(Chance(float(v), float(m)) for v, m in zip(kinds, mass, strict=True))


def _correlation(course: Course) -> tuple[Chance, ...]:
    return _chances([way.correlation for way in course.space.cells], _last_belief(course).cells)


def _last_belief(course: Course) -> Belief:
    return course.visits[-1].belief if course.visits else first_belief(course.space)


def _used(checkpoints: Sequence[Checkpoint], bank: str) -> tuple[ItemUse, ...]:
    times: Counter[str] = Counter()
    last: dict[str, int] = {}
    for checkpoint in checkpoints:
        for session in checkpoint.on(bank):
            for item, _ in session.answers:
                times[item] += 1
                last[item] = checkpoint.step
    order = sorted(times, key=lambda item: (-times[item], -last[item], item))
    return tuple(ItemUse(item, times[item], last[item]) for item in order)


def _full(bank: ItemBank, sessions: Sequence[Tested]) -> tuple[Spending, bool]:
    """What all items cost once, and whether means over sessions had to stand in."""
    tasks = sum(len(session.answers) for session in sessions)

    def cost(expected: Array, spent: float) -> tuple[float | None, bool]:
        unknown = ~np.isfinite(expected)
        if not unknown.any():
            return float(expected.sum()), False
        # a spent 0 stands for what is not known
        if not tasks or not spent:
            return None, False
        return float(expected[~unknown].sum() + unknown.sum() * spent / tasks), True

    usd, of_usd = cost(
        np.array([item.usd for item in bank.items]), sum(session.usd for session in sessions)
    )
    seconds, of_seconds = cost(
        np.array([item.seconds for item in bank.items]),
        sum(session.seconds for session in sessions),
    )
    return Spending(len(bank.items), usd, seconds), of_usd or of_seconds
