"""Policies: what is proposed, within which budget, and when an alarm is raised."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.events import Answered
from harness.schedule.alarms import parse_alarm
from harness.schedule.certainty import certainty, expected_alarms
from harness.schedule.drift import Drift
from harness.schedule.events import Checkpoint, Proposal, Tested
from harness.schedule.plan import session_plan
from harness.schedule.policy import Adaptive, Budget, Fixed, Full, Policy, parse_policy
from harness.schedule.propose import propose
from harness.schedule.simulate import make_lab, simulate_series
from harness.schedule.situation import Confirmed, Situation, Spending, make_situation
from harness.schedule.space import make_spaces
from harness.session import Session


def make_bank(name: str = "safety", n: int = 30, slope: float = 1.6) -> ItemBank:
    return ItemBank(
        name,
        tuple(Item(f"{name}-{j}", "2pl", (slope,), (slope * (j / n * 3 - 1.5),)) for j in range(n)),
    )


BANK = make_bank()
SPACES = make_spaces([BANK], Drift(unit=100))
ALARM = ("safety", parse_alarm("fall>0.25 within 5"))


def answers(places: range, category: int = 1) -> tuple[tuple[str, int], ...]:
    return tuple((f"safety-{j}", category) for j in places)


def held(
    number: int, some: tuple[tuple[str, int], ...], purpose: str = "routine", **more: object
) -> Tested:
    return Tested("safety", number, purpose, len(some), answers=some, **more)  # type: ignore[arg-type]


def situation(*checkpoints: Checkpoint, **more: object) -> Situation:
    return make_situation(checkpoints, SPACES, **more)  # type: ignore[arg-type]


# --- texts ------------------------------------------------------------------------------------

whole = st.integers(1, 500)
share = st.sampled_from([0.0, 0.1, 0.35, 0.9])
policies = st.one_of(
    st.builds(Full, whole),
    st.builds(Fixed, whole),
    st.builds(Adaptive, st.sampled_from([0.1, 0.25, 1.5]), whole),
    st.builds(Budget, share, share),
)


@given(policies)
def test_a_policy_reads_back_from_its_text(policy: Policy) -> None:
    assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    "text",
    [
        *("", "all", "fixed", "fixed(0)", "fixed(2.5)", "fixed(a)", "adaptive", "adaptive(-1)"),
        *("budget(1)", "budget(0.1, 0.2, 0.3)", "full(0)", "fixed(3", "fixed(3) 4"),
    ],
)
def test_an_unknown_policy_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(PlanError, match=r"write budget, .*full\(EVERY\)"):
        parse_policy(text)


# --- baselines --------------------------------------------------------------------------------


def test_nothing_is_proposed_without_checkpoints() -> None:
    assert propose(situation(), Budget()) is None
    assert propose(situation(), Fixed(3)) is None


def test_fixed_takes_every_checkpoint_in_turn() -> None:
    first, second = Checkpoint(100), Checkpoint(200)
    found = propose(situation(first, second), Fixed(5))
    assert found is not None
    assert (found.step, found.tasks, found.purpose) == (100, 5, "routine")
    first = replace(first, sessions=(held(1, answers(range(5))),))
    found = propose(situation(first, second), Fixed(5))
    assert found is not None
    assert (found.step, found.number) == (200, 1)
    assert set(found.avoid) == {f"safety-{j}" for j in range(5)}


def test_full_takes_every_nth_checkpoint() -> None:
    steps = [Checkpoint(100 * t) for t in range(5)]
    done = held(1, answers(range(30)), "full")
    asked = []
    while (found := propose(situation(*steps), Full(3))) is not None:
        assert found.tasks == 30
        asked.append(found.step)
        place = [c.step for c in steps].index(found.step)
        steps[place] = replace(steps[place], sessions=(done,))
    assert asked == [0, 300]


def test_adaptive_ends_at_its_sd() -> None:
    found = propose(situation(Checkpoint(100)), Adaptive(0.4, 12))
    assert found is not None
    assert (found.tasks, found.stop) == (12, "sd<0.4")
    plan = session_plan(situation(Checkpoint(100)).course("safety"), found, seed=3)
    assert str(plan.stop) == "sd<0.4 or items>=12"


@pytest.mark.parametrize("state", ["planned", "running"])
@pytest.mark.parametrize("policy", [Budget(), Fixed(3), Full(), Adaptive(0.3)])
def test_nothing_more_is_proposed_while_a_session_runs(state: str, policy: Policy) -> None:
    running = replace(held(1, answers(range(3))), planned=8, state=state)  # type: ignore[arg-type]
    now = situation(Checkpoint(100, sessions=(running,)), limit=Spending(tasks=100))
    assert propose(now, policy) is None


# --- the budget -------------------------------------------------------------------------------


@given(
    st.sampled_from([Budget(), Budget(0.0, 0.9), Fixed(7), Full(), Adaptive(0.2, 25)]),
    st.integers(0, 60),
    st.floats(0.0, 5.0),
    st.floats(0.0, 500.0),
    st.integers(1, 4),
)
@settings(max_examples=40)
def test_no_proposal_costs_more_than_is_left(
    policy: Policy, tasks: int, usd: float, seconds: float, checkpoints: int
) -> None:
    sessions = (held(1, answers(range(5)), usd=0.5, seconds=40.0),)
    steps = [Checkpoint(100 * t, sessions=sessions) for t in range(checkpoints)]
    limit = Spending(tasks, usd, seconds)
    now = situation(*steps, Checkpoint(900), limit=limit, prices={"safety": (0.1, 8.0)})
    found = propose(now, policy)
    if found is not None:
        assert found.tasks >= 1
        assert found.tasks <= tasks - 5 * checkpoints
        assert found.tasks * 0.1 <= usd - 0.5 * checkpoints + 1e-9
        assert found.tasks * 8.0 <= seconds - 40.0 * checkpoints + 1e-9


def test_a_session_that_runs_is_paid_for() -> None:
    banks = [make_bank("safety"), make_bank("skill")]
    spaces = make_spaces(banks, Drift(unit=100))
    running = Tested("safety", 1, "routine", 18, "running")
    now = make_situation([Checkpoint(1, sessions=(running,))], spaces, limit=Spending(tasks=20))
    found = propose(now, Fixed(10))
    assert found is not None
    assert (found.bank, found.tasks) == ("skill", 2)


def test_a_sharp_forecast_is_left_alone_and_a_jump_is_not() -> None:
    everything = (held(1, answers(range(15), 0) + answers(range(15, 30))),)
    tested = [Checkpoint(step, sessions=everything) for step in (0, 100, 200)]
    limit = Spending(tasks=120)
    # a hundredth of a unit later hardly anything can have changed
    quiet = situation(*tested, Checkpoint(201), limit=limit)
    assert propose(quiet, Budget()) is None
    jumped = situation(*tested, Checkpoint(201, jump=True), limit=limit)
    found = propose(jumped, Budget())
    assert found is not None
    assert found.purpose == "routine"
    assert "the forecast has sd" in found.why


def test_more_is_spent_where_more_is_left() -> None:
    def asked(tasks: int) -> int:
        found = propose(situation(Checkpoint(100), limit=Spending(tasks=tasks)), Budget())
        return 0 if found is None else found.tasks

    many = [asked(tasks) for tasks in (30, 100, 300, 3000)]
    assert many == sorted(many)
    assert many[0] < many[-1]


def test_the_price_spends_the_budget_in_a_steady_state() -> None:
    """Tasks a checkpoint over a long quiet run, against what was to be spent on routine."""
    lab = make_lab([make_bank(n=60)], Budget(0.4, 0.99), limit=Spending(tasks=40 * 10))
    runs = simulate_series(lab, np.zeros((6, 40, 1)), seed=5)
    spent = np.mean([run.tasks.sum() for run in runs])
    assert 0.55 * 400 < spent <= 400


# --- suspicions and alarms --------------------------------------------------------------------


def fallen(after: tuple[Tested, ...], **more: object) -> Situation:
    """Two checkpoints that solve nearly everything, and one of which little is solved."""
    good = tuple(
        Checkpoint(100 * t, sessions=(held(1, answers(range(10 * t, 10 * t + 10))),))
        for t in range(2)
    )
    return situation(*good, Checkpoint(300, sessions=after), alarms=[ALARM], **more)


def failing(number: int, places: range, purpose: str = "routine") -> Tested:
    return held(number, answers(places, 0), purpose)


def test_a_suspicion_is_followed_up_and_an_alarm_confirmed_once() -> None:
    after: tuple[Tested, ...] = (failing(1, range(17, 19)),)
    limit = Spending(tasks=500)
    purposes = []
    for number in range(2, 8):
        now = fallen(after, limit=limit)
        found = propose(now, Budget(suspect=0.05))
        if found is None:
            break
        purposes.append(found.purpose)
        assert found.number == number
        left = [j for j in range(30) if f"safety-{j}" not in found.avoid]
        after += (failing(number, range(left[0], left[0] + 6), found.purpose),)
    assert purposes.count("confirm") == 1
    assert purposes[-1] == "confirm"
    assert "follow-up" in purposes
    assert fallen(after).suspicions["safety"][1].probability > certainty(fallen(after))


def test_the_confirming_session_avoids_what_was_asked_lately() -> None:
    after = (failing(1, range(20, 30)), failing(2, range(10, 18), "follow-up"))
    found = propose(fallen(after, limit=Spending(tasks=500)), Budget())
    assert found is not None
    assert found.purpose == "confirm"
    asked_now = {item for session in after for item, _ in session.answers}
    assert set(found.avoid[: len(asked_now)]) == asked_now
    assert len(found.avoid) <= 30 - found.tasks


def test_one_fall_is_one_alarm() -> None:
    after = (failing(1, range(20, 30)), failing(2, range(0, 10), "confirm"))
    now = fallen(after)
    steps = (*now.checkpoints, Checkpoint(400, sessions=(failing(1, range(10, 20)),)))
    again = situation(*steps, alarms=[ALARM])
    assert again.suspicions["safety"][1].probability > 0.9
    done = (Confirmed("safety", ALARM[1], 300),)
    told = situation(*steps, alarms=[ALARM], confirmed=done)
    assert told.suspicions["safety"][1].baseline == 300
    assert told.suspicions["safety"][1].probability < 0.5


def test_after_an_alarm_one_skipped_checkpoint_is_tested() -> None:
    good = [Checkpoint(100, sessions=(held(1, answers(range(15))),))]
    skipped = [Checkpoint(step) for step in (200, 300, 400)]
    bad = Checkpoint(500, sessions=(failing(1, range(15, 30)), failing(2, range(15), "confirm")))
    done = (Confirmed("safety", ALARM[1], 500),)
    limit = Spending(tasks=500)
    now = situation(*good, *skipped, bad, alarms=[ALARM], confirmed=done, limit=limit)
    found = propose(now, Budget())
    assert found is not None
    assert (found.step, found.purpose, found.number) == (300, "locate", 1)
    skipped[1] = replace(skipped[1], sessions=(failing(1, range(10), "locate"),))
    now = situation(*good, *skipped, bad, alarms=[ALARM], confirmed=done, limit=limit)
    assert propose(now, Budget()) is None


def test_certainty_bounds_false_alarms_by_alpha() -> None:
    """``rho (1 - c) / c`` is alpha."""
    for alpha in (0.01, 0.05, 0.2):
        now = situation(Checkpoint(1), alarms=[ALARM], alpha=alpha)
        c = certainty(now)
        rho = expected_alarms(((ALARM[1], SPACES[0].drift),), 30)
        assert rho * (1 - c) / c == pytest.approx(alpha)


def test_expected_alarms_agree_with_a_walk_by_hand() -> None:
    """Two checkpoints and a single sd: a normal step, or one with a jump."""
    drift = Drift(sds=(0.2,), weights=(1.0,), jump_rate=0.1, jump_sd=1.0)

    def beyond(sd: float) -> float:
        return 0.5 * math.erfc(0.25 / sd / math.sqrt(2))

    exact = 0.9 * beyond(0.2) + 0.1 * beyond(math.hypot(0.2, 1.0))
    for text in ("fall>0.25 within 1", "rise>0.25 since first"):
        found = expected_alarms(((parse_alarm(text), drift),), 2)
        assert found == pytest.approx(exact, abs=0.01)
    both = tuple((parse_alarm(text), drift) for text in ("fall>0.25 within 1",) * 2)
    assert expected_alarms(both, 2) == pytest.approx(1 - (1 - exact) ** 2, abs=0.02)


# --- simulation -------------------------------------------------------------------------------


def test_a_simulated_run_is_what_real_sessions_would_have_been() -> None:
    """Sessions of the engine, one answer at a time, choose the items that the simulation did."""
    bank = make_bank(n=24)
    lab = make_lab([bank], Budget(), alarms=[ALARM], limit=Spending(tasks=60), drift=Drift(unit=10))
    truth = np.array([[[0.5], [0.5], [-1.5], [-1.5]]])
    kept: list[tuple[Proposal, tuple[tuple[str, int], ...]]] = []

    from harness.schedule import simulate

    class Spy(simulate._Training):
        def hold(self, proposal: Proposal, found: tuple[tuple[str, int], ...]) -> None:
            course = self.situation.course("safety")
            plan = session_plan(course, proposal, seed=self.seed[1])
            outcomes = dict(zip(bank.table.ids, self.outcomes(proposal), strict=True))
            session = Session(course.space.scales[0].table, plan)
            while session.ending(at=0.0) is None:
                (chosen,) = session.next_items(at=0.0)
                category = int(outcomes[chosen.item])
                session = session.after(chosen)
                session = session.after(Answered(0.0, chosen.step, chosen.item, category))
            asked = tuple((e.item, e.category) for e in session.answered.values())
            kept.append((proposal, asked))
            # in which order all items are asked is irrelevant
            everything = len(found) == len(bank.items) - len(proposal.avoid)
            assert sorted(found) == sorted(asked) if everything else found == asked
            super().hold(proposal, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "_Training", Spy)
        (run,) = simulate_series(lab, truth, seed=1)
    assert sum(len(asked) for _, asked in kept) == run.tasks.sum()
    assert any(proposal.avoid for proposal, _ in kept)
    assert any(proposal.number > 1 for proposal, _ in kept)


def test_runs_do_not_depend_on_who_else_is_simulated() -> None:
    lab = make_lab([BANK], Fixed(4), alarms=[ALARM])
    truth = np.linspace(-1, 1, 15).reshape(3, 5, 1)
    together = simulate_series(lab, truth, seed=2)
    (alone,) = simulate_series(lab, truth[:1], seed=2)
    np.testing.assert_array_equal(alone.mean, together[0].mean)
    np.testing.assert_array_equal(alone.tasks, together[0].tasks)


def test_separate_sessions_know_nothing_of_each_other() -> None:
    alone = make_lab([BANK], Fixed(6), independent=True)
    series = make_lab([BANK], Fixed(6))
    truth = np.zeros((20, 6, 1))
    apart = np.mean([run.sd[-1] for run in simulate_series(alone, truth)])
    tied = np.mean([run.sd[-1] for run in simulate_series(series, truth)])
    assert tied < 0.85 * apart
    first = [run.sd[0] for run in simulate_series(alone, truth)]
    np.testing.assert_allclose(first, [run.sd[0] for run in simulate_series(series, truth)])
