"""Alarms as text, and the plan of a proposed session."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.events import Started
from harness.grammar import parse_selector, parse_stop
from harness.journal import encode, read
from harness.schedule.alarms import Alarm, parse_alarm
from harness.schedule.course import Course, arrived, with_answers
from harness.schedule.drift import Drift
from harness.schedule.events import Proposal
from harness.schedule.plan import prior_of, session_plan
from harness.schedule.space import make_spaces

alarms = st.builds(
    Alarm,
    direction=st.sampled_from(["fall", "rise"]),
    by=st.integers(0, 400).map(lambda n: n / 100),
    window=st.none() | st.integers(1, 1000),
).flatmap(
    lambda alarm: (
        st.just(alarm)
        if alarm.window
        else st.builds(
            Alarm,
            st.just(alarm.direction),
            st.just(alarm.by),
            st.none(),
            st.none() | st.integers(-(10**12), 10**12),
        )
    )
)


@given(alarms)
def test_an_alarm_reads_back_from_its_own_text(alarm: Alarm) -> None:
    assert parse_alarm(str(alarm)) == alarm


@given(st.floats(0, 1e6, allow_nan=False))
def test_any_size_of_change_that_an_alarm_prints_can_be_read(by: float) -> None:
    assert parse_alarm(str(Alarm("fall", by, 3))).by == pytest.approx(by, rel=1e-9)


@pytest.mark.parametrize(
    "text",
    ["", "fall", "fall>x within 5", "fall>0.5", "drop>0.5 within 5", "fall>0.5 within 0",
     "fall>0.5 within 00", "fall>-0.5 within 5", "fall>0.5 within -2", "fall>0.5 since last",
     "fall>0.5 within 5 since 3", "fall<0.5 within 5"],
)  # fmt: skip
def test_an_alarm_that_cannot_be_read_is_refused_with_a_pattern(text: str) -> None:
    with pytest.raises(PlanError, match=r"write it as 'fall>0\.25 within 5'"):
        parse_alarm(text)


NODES = np.linspace(-5, 5, 121)


@given(
    parts=st.lists(
        st.tuples(st.floats(0.1, 1), st.floats(-2.5, 2.5), st.floats(0.15, 0.8)),
        min_size=1,
        max_size=2,
    ),
    scale=st.floats(0.3, 3),
    centre=st.floats(-4, 4),
)
def test_the_prior_of_a_session_has_the_moments_of_the_forecast(
    parts: list[tuple[float, float, float]], scale: float, centre: float
) -> None:
    humps = [w / sd * np.exp(-0.5 * ((NODES - mean) / sd) ** 2) for w, mean, sd in parts]
    p = np.sum(humps, axis=0)
    p = p / p.sum()
    nodes = centre + scale * NODES
    prior = prior_of(nodes, p)
    mean = p @ nodes
    sd = np.sqrt(p @ (nodes - mean) ** 2)
    assert prior.mean[0] == pytest.approx(mean, abs=0.005 * sd)
    assert prior.sd[0] == pytest.approx(sd, rel=0.01)
    # and its shape: no more than a few hundredths of the mass lie elsewhere
    assert 0.5 * np.abs(np.exp(prior.log_weights(nodes[:, None])) - p).sum() < 0.06


def test_the_prior_of_a_certain_forecast_is_narrow() -> None:
    p = np.zeros(121)
    p[70] = 1
    prior = prior_of(NODES, p)
    assert prior.mean[0] == pytest.approx(NODES[70])
    assert prior.sd[0] < NODES[1] - NODES[0]


def demo() -> Course:
    items = tuple(Item(f"i{k}", "2pl", (1.2,), (k - 2.0,)) for k in range(5))
    space = make_spaces([ItemBank("demo", items)], Drift())[0]
    return arrived(with_answers(arrived(Course(space), 0), "demo", [("i0", 1), ("i4", 0)]), 10)


def test_a_plan_follows_its_proposal_and_survives_a_journal(tmp_path: Path) -> None:
    course = demo()
    proposal = Proposal(10, "demo", 2, "confirm", 3, "because", stop="sd<0.4", avoid=("i0", "i4"))
    plan = session_plan(course, proposal, seed=7, width=2, max_attempts=3, level=0.8)
    assert parse_stop(str(plan.stop)) == plan.stop
    assert parse_selector(str(plan.select)) == plan.select
    assert (plan.width, plan.max_attempts, plan.level) == (2, 3, 0.8)
    assert plan.prior.mean[0] == pytest.approx(course.forecast(1).mean[0], abs=0.01)
    assert plan.prior.sd[0] == pytest.approx(course.forecast(1).sd[0], rel=0.02)
    started = Started(
        at=time.time(), run="r", agent="a", plan=plan, bank="demo",
        bank_hash=course.space.scales[0].bank.hash, version="0",
    )  # fmt: skip
    line, _ = encode(started, "")
    (tmp_path / "journal.jsonl").write_text(line + "\n")
    back = read(tmp_path).started
    assert back == started
    assert back.plan.prior == plan.prior


def test_seeds_of_sessions_differ_and_repeat() -> None:
    course = arrived(Course(demo().space), -10)
    course = arrived(arrived(course, 10), 11)

    def seed(step: int, number: int, of: int) -> int:
        proposal = Proposal(step, "demo", number, "routine", 3, "because")
        return session_plan(course, proposal, seed=of).seed

    places = [(10, 1, 0), (10, 2, 0), (11, 1, 0), (10, 1, 1), (-10, 1, 0)]
    seeds = [seed(*place) for place in places]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [seed(*place) for place in places]
