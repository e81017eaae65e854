"""A series as plain data: every number against a second way to it."""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_series import ALARMS, simulated, small_bank, with_states

from harness.cli.common import to_json
from harness.schedule.changes import change, differences
from harness.schedule.events import Checkpoint, Tested
from harness.schedule.situation import Confirmed, Situation, Spending, make_situation
from harness.schedule.summarise import summarise
from harness.schedule.summary import SeriesSummary

TRUTH = st.lists(st.floats(-2, 2), min_size=0, max_size=5)


def told(situation: Situation, **others: object) -> SeriesSummary:
    return summarise(situation, name="s", policy="fixed(6)", **others)  # type: ignore[arg-type]


@given(
    truth=TRUTH,
    gaps=st.lists(st.integers(1, 5000), min_size=5, max_size=5),
    skipped=st.sets(st.integers(0, 4)),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_alarms_are_judged_as_of_each_checkpoint(
    truth: list[float], gaps: list[int], skipped: set[int], seed: int
) -> None:
    steps = np.cumsum(gaps)[: len(truth)].tolist()
    made = simulated([small_bank()], truth, steps=steps, seed=seed, skipped=sorted(skipped))
    found = told(made).banks[0].points
    assert len(found) == len(truth)
    for place, point in enumerate(found):
        # what the series would have said had it ended here
        until = make_situation(
            made.checkpoints[: place + 1], [course.space for course in made.courses]
        ).courses[0]
        expected = [(alarm, change(until, alarm, "care")) for alarm in ALARMS]
        assert [(c.alarm, c.baseline) for c in point.changes] == [
            (str(alarm), seen.baseline) for alarm, seen in expected if seen
        ]
        for mine, (_, seen) in zip(
            point.changes, [pair for pair in expected if pair[1]], strict=True
        ):
            assert seen is not None
            assert mine.probability == pytest.approx(seen.probability, abs=1e-6)
            assert mine.by.mean == pytest.approx(seen.mean, abs=1e-6)
            assert mine.by.sd == pytest.approx(seen.sd, abs=1e-6)
            assert mine.by.low <= mine.by.high


@given(truth=TRUTH, skipped=st.sets(st.integers(0, 4)), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_counts_and_costs_add_up(truth: list[float], skipped: set[int], seed: int) -> None:
    banks = [small_bank(), small_bank("skill", items=15, label="work")]
    made = simulated(banks, truth, seed=seed, skipped=sorted(skipped), alarms=())
    found = told(made)
    sessions = [s for checkpoint in made.checkpoints for s in checkpoint.sessions]
    asked = Counter((s.bank, item) for s in sessions for item, _ in s.answers)
    assert found.spent.tasks == sum(asked.values())
    assert found.spent.usd == pytest.approx(sum(s.usd for s in sessions))
    assert found.full.tasks == len(truth) * 39
    for bank in found.banks:
        assert {use.item: use.times for use in bank.used} == {
            item: n for (name, item), n in asked.items() if name == bank.name
        }
        assert [use.times for use in bank.used] == sorted(
            (use.times for use in bank.used), reverse=True
        )
        for use in bank.used:
            at = [
                checkpoint.step
                for checkpoint in made.checkpoints
                for session in checkpoint.on(bank.name)
                if use.item in dict(session.answers)
            ]
            assert use.last == max(at)
        assert sum(point.tasks for point in bank.points) == sum(
            n for (name, _), n in asked.items() if name == bank.name
        )
        for point in bank.points:
            assert point.smoothed.low <= point.smoothed.mean <= point.smoothed.high
            assert 0 <= point.score.low <= point.score.high <= 1
            if not point.tasks:
                assert point.filtered == point.forecast
        if bank.points:
            # nothing comes after the last: hindsight adds nothing
            last = bank.points[-1]
            assert last.smoothed.mean == pytest.approx(last.filtered.mean, abs=1e-9)
            assert last.smoothed.sd == pytest.approx(last.filtered.sd, abs=1e-9)
    assert found.untested == tuple(c.step for c in made.checkpoints if not c.sessions)


def test_the_change_since_the_first_tested_checkpoint_has_an_interval() -> None:
    made = simulated([small_bank()], [0.5] * 4 + [-1.5] * 4, skipped=[0, 7], tasks=12)
    bank = told(made, level=0.8).banks[0]
    assert bank.moved is not None
    assert bank.moved.baseline == 2000
    assert bank.moved.by.high < 0
    difference = differences(made.courses[0], "care", [(1, 6)])[1, 6]
    # the interval holds its level of the distribution that the alarms read
    inside = (difference.values > bank.moved.by.low) & (difference.values < bank.moved.by.high)
    step = difference.values[1] - difference.values[0]
    edge = difference.weights.max()
    assert difference.weights[inside].sum() == pytest.approx(0.8, abs=2 * edge + step)
    assert difference.weights.sum() == pytest.approx(1)


def test_what_was_confirmed_is_the_baseline_from_then_on() -> None:
    made = simulated([small_bank()], [0.5, 0.5, -1.0, -1.0, -1.0])
    since_first = ALARMS[1]
    made = replace(made, confirmed=(Confirmed("care", since_first, 3000),))
    points = told(made).banks[0].points
    before, after = points[2].changes[1], points[4].changes[1]
    assert (before.baseline, after.baseline) == (1000, 3000)
    seen = change(made.courses[0], since_first, "care", not_before=3000)
    assert seen is not None
    assert after.probability == pytest.approx(seen.probability, abs=1e-9)


def test_without_hindsight_the_last_checkpoint_is_the_same() -> None:
    made = simulated([small_bank()], [0.3, 0.0, -0.5])
    full, quick = told(made).banks[0], told(made, hindsight=False).banks[0]
    assert quick.points[-1].changes == full.points[-1].changes
    assert quick.points[-1].filtered == full.points[-1].filtered
    assert quick.points[-1].smoothed.mean == pytest.approx(full.points[-1].smoothed.mean)
    assert not quick.points[1].changes
    assert quick.points[0].smoothed == quick.points[0].filtered
    assert quick.moved == full.moved


def test_full_evaluations_cost_what_the_bank_says_else_what_was_seen() -> None:
    stated = told(simulated([small_bank(usd=0.25)], [0.0, 0.0], usd=9.0))
    assert stated.full == Spending(48, 48 * 0.25, 48 * 60.0)
    assert not stated.banks[0].priced
    seen = told(simulated([small_bank()], [0.0, 0.0], usd=0.5))
    assert (seen.full.usd, seen.full.seconds) == pytest.approx((48 * 0.5, 48 * 90.0))
    assert seen.banks[0].priced
    free = told(with_states(simulated([small_bank()], [0.0]), usd=0.0, seconds=0.0))
    assert free.full == Spending(24, None, None)
    # of two banks one is not known: the sum is not known
    banks = [small_bank(usd=0.25), small_bank("skill", label="work")]
    assert told(with_states(simulated(banks, [0.0]), usd=0.0)).full.usd is None


def test_items_without_a_cost_count_with_the_mean_of_the_series() -> None:
    bank = small_bank(usd=0.25)
    items = tuple(
        replace(item, usd=math.nan) if row < 4 else item for row, item in enumerate(bank.items)
    )
    found = told(simulated([replace(bank, items=items)], [0.0], usd=2.0))
    assert found.full.usd == pytest.approx(20 * 0.25 + 4 * 2.0)


def test_a_checkpoint_that_answered_everything_has_the_score_that_it_got() -> None:
    bank = small_bank(items=6)
    answers = tuple((item.id, row % 2) for row, item in enumerate(bank.items))
    session = Tested("care", 1, "full", 6, "done", answers)
    spaces = [course.space for course in simulated([bank], []).courses]
    made = make_situation([Checkpoint(1, False, (session,)), Checkpoint(2)], spaces)
    known, forecast = (point.score for point in told(made).banks[0].points)
    # rows 0 and 3 have three categories
    expected = (0 + 1 + 0 + 1 / 2 + 0 + 1) / 6
    assert (known.mean, known.low, known.high) == pytest.approx((expected,) * 3, abs=1e-6)
    assert forecast.low < expected < forecast.high


def test_what_was_learned_of_the_drift() -> None:
    calm = told(simulated([small_bank()], [0.3] * 8, tasks=12, trend=True)).banks[0]
    assert sum(chance.probability for chance in calm.walk) == pytest.approx(1)
    assert [chance.value for chance in calm.walk] == [0.02, 0.04, 0.08, 0.16, 0.32]
    assert calm.slope is not None
    up = told(simulated([small_bank()], np.linspace(-1.5, 1.5, 8).tolist(), tasks=12, trend=True))
    slope = up.banks[0].slope
    assert slope is not None
    assert slope.mean > calm.slope.mean
    assert slope.low < slope.mean < slope.high


def test_two_abilities_together_have_a_correlation() -> None:
    banks = [small_bank(), small_bank("skill", label="work")]
    made = simulated(banks, [0.8, -0.8, 0.8], joint=True, tasks=8, alarms=ALARMS[1:])
    found = told(made)
    assert found.joint
    assert [chance.value for chance in found.correlation] == [-0.4, 0.0, 0.4, 0.8]
    assert sum(chance.probability for chance in found.correlation) == pytest.approx(1)
    seen = change(made.courses[0], ALARMS[1], "skill")
    assert seen is not None
    mine = found.banks[1].points[-1].changes[0]
    assert mine.probability == pytest.approx(seen.probability, abs=1e-6)
    assert not told(simulated(banks, [0.0])).correlation


def test_unfinished_sessions_reserve_their_tasks() -> None:
    made = simulated([small_bank()], [0.0, 0.0], limit=Spending(tasks=30, usd=5.0))
    running = told(with_states(made, state="running", answers=(), usd=0.0))
    assert running.spent.tasks == 0
    assert running.left == Spending(30 - 24, 5.0)
    assert [s.state for s in running.open] == ["running"] * 2
    failed = told(with_states(made, state="failed", error="no endpoint", usd=9.0))
    assert failed.left == Spending(6, 0.0)
    assert {s.error for s in failed.failed} == {"no endpoint"}


@pytest.mark.parametrize("truth", [[], [0.0], [0.3, -0.5]])
def test_it_is_plain_data_without_holes(truth: list[float]) -> None:
    found = told(simulated([small_bank()], truth), subjects={1000: "openai/m"})
    plain = json.loads(to_json(found))
    # NaN would be read back as a number and not be JSON
    json.dumps(plain, allow_nan=False)
    assert plain["name"] == "s"
    assert len(plain["banks"][0]["points"]) == len(truth)
    if truth:
        assert plain["checkpoints"][0]["subject"] == "openai/m"
        assert plain["banks"][0]["points"][0]["sessions"][0]["purpose"] == "routine"
