"""Sessions: what holds whatever is answered, in whatever order, at whatever width."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import JournalError, PlanError
from harness.events import Answered, Chosen, Cost, Event, Plan, Started, Stopped, VoidCause, Voided
from harness.grammar import parse_selector, parse_stop
from harness.session import Session, fold

SELECTORS = (
    "random",
    "max-information",
    "min-variance",
    "min-variance/usd",
    "max-information/seconds",
    "score-variance",
    "mutual-information/usd",
    "randomesque(min-variance, 3)",
    "audit(max-information, 0.3)",
    "at-most(min-variance, 20)",
)


def make_bank(seed: int, n: int = 12) -> ItemBank:
    """Binary and four-category items with costs; parameters of a continuous distribution."""
    rng = np.random.default_rng(seed)
    items = []
    for i in range(n):
        steps = 1 if i % 3 else 3
        intercepts = -np.sort(-rng.normal(0, 1.5, steps)) - 0.01 * np.arange(steps)
        items.append(
            Item(
                f"item{i}",
                "2pl" if steps == 1 else "grm",
                (float(rng.lognormal(0.2, 0.4)),),
                tuple(map(float, intercepts)),
                categories="binary" if steps == 1 else "four",
                usd=float(rng.uniform(0.1, 2)),
                seconds=float(rng.uniform(5, 50)),
            )
        )
    labels = {"binary": ("fail", "pass"), "four": ("none", "first", "core", "complete")}
    return ItemBank("demo", tuple(items), labels)


BANKS = tuple(make_bank(seed) for seed in range(4))
banks = st.sampled_from(BANKS)
selectors = st.sampled_from(SELECTORS)
stops = st.sampled_from(
    (
        "sd<0.45 or items>=8",
        "sd<0.55 and items>=4",
        "items>=5",
        "usd>=4",
        "seconds>=120",
        "exhausted",
        "(sd<0.5 or usd>=3) and items>=3",
    )
)


def start(bank: ItemBank, plan: Plan, at: float = 0.0) -> Started:
    return Started(at, "run", "agent", plan, bank.name, bank.hash, "0")


def random_category(bank: ItemBank, item: str, rng: np.random.Generator) -> int:
    return int(rng.integers(len(bank.labels(item))))


def outcome_of(bank: ItemBank, chosen: Chosen, rng: np.random.Generator, voids: float) -> Event:
    if rng.random() < voids:
        return Voided(0.0, chosen.step, chosen.item, "sandbox", cost=Cost(0.1))
    category = random_category(bank, chosen.item, rng)
    return Answered(0.0, chosen.step, chosen.item, category, Cost(0.5))


def drive(
    session: Session, answer: Callable[[Chosen], Event], rng: np.random.Generator
) -> Iterator[Session]:
    """Every state on the way to the stop; items in flight come back in random order."""
    now = session.events[-1].at if session.events else 0.0
    while (end := session.ending(now)) is None:
        for chosen in session.next_items(now):
            session = session.after(chosen)
            yield session
        back = session.pending[int(rng.integers(len(session.pending)))]
        now += 1.0
        session = session.after(replace(answer(back), at=now))
        yield session
    yield session.after(end)


def finish(bank: ItemBank, plan: Plan, seed: int, voids: float = 0.0) -> Session:
    rng = np.random.default_rng(seed)
    session = Session(bank.table, plan).after(start(bank, plan))
    *_, last = drive(session, lambda chosen: outcome_of(bank, chosen, rng, voids), rng)
    return last


def make_plan(select: str, stop: str, width: int = 1, seed: int = 0) -> Plan:
    return Plan(parse_selector(select), parse_stop(stop), width=width, seed=seed)


def items_of(session: Session) -> list[str]:
    return [event.item for event in session.chosen.values()]


# --- what always holds ------------------------------------------------------------------------


@given(banks, st.integers(0, 2**32))
def test_the_order_of_answers_is_irrelevant(bank: ItemBank, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = Plan(width=6, stop=parse_stop("exhausted"))
    first = Session(bank.table, plan)
    for chosen in first.next_items(0.0):
        first = first.after(chosen)
    answers = [outcome_of(bank, chosen, rng, 0.0) for chosen in first.pending]
    shuffled = [answers[i] for i in rng.permutation(len(answers))]
    one, other = fold(first, answers), fold(first, shuffled)
    assert (one.weights == other.weights).all()
    assert one.score.mean == other.score.mean
    assert items_of(one) == items_of(other)


@given(banks, selectors, stops, st.integers(1, 4), st.integers(0, 2**32), st.floats(0, 0.5))
def test_whatever_happens(
    bank: ItemBank, select: str, stop: str, width: int, seed: int, voids: float
) -> None:
    plan = make_plan(select, stop, width)
    rng = np.random.default_rng(seed)
    session = Session(bank.table, plan).after(start(bank, plan))
    for state in drive(session, lambda chosen: outcome_of(bank, chosen, rng, voids), rng):
        assert len(state.pending) <= width
        flying = [chosen.item for chosen in state.pending]
        answered = [event.item for event in state.answered.values()]
        assert len({*flying, *answered}) == len(flying) + len(answered)
        assert not state.available[[bank.table.row(item) for item in flying + answered]].any()
        assert set(state.open_voids).isdisjoint(answered)
        assert state.weights.sum() == pytest.approx(1)
    launches = items_of(state)
    assert max(launches.count(item) for item in launches) <= plan.max_attempts
    assert [c.step for c in state.chosen.values()] == list(range(1, len(launches) + 1))
    assert len({c.sample for c in state.chosen.values()}) == len(launches)
    assert state.stopped is not None
    assert state.next_items(0.0) == ()
    # the fold of its events is the live session
    again = fold(Session(bank.table, plan), state.events)
    assert again.events == state.events
    assert (again.weights == state.weights).all()
    assert (again.usd, again.seconds, again.stopped) == (state.usd, state.seconds, state.stopped)


@given(banks, st.integers(1, 4), st.integers(0, 2**32), st.data())
def test_an_outcome_delivered_again_changes_nothing(
    bank: ItemBank, width: int, seed: int, data: st.DataObject
) -> None:
    done = finish(bank, Plan(width=width), seed, voids=0.2)
    outcomes = [event for event in done.events if isinstance(event, Answered | Voided)]
    repeated = data.draw(st.sampled_from(outcomes))
    cut = data.draw(st.integers(done.events.index(repeated) + 1, len(done.events)))
    before = fold(Session(bank.table, done.plan), done.events[:cut])
    other = Answered(99.0, repeated.step, repeated.item, 0, Cost(usd=7.0))
    assert before.after(repeated) is before
    assert before.after(other) is before


@given(banks, selectors, stops, st.integers(0, 2**32), st.integers(0, 5), st.data())
def test_a_resumed_session_chooses_as_the_uninterrupted_one(
    bank: ItemBank, select: str, stop: str, seed: int, plan_seed: int, data: st.DataObject
) -> None:
    plan = make_plan(select, stop, seed=plan_seed)
    rng = np.random.default_rng(seed)
    category = {item.id: random_category(bank, item.id, rng) for item in bank.items}

    def answer(chosen: Chosen) -> Event:
        return Answered(0.0, chosen.step, chosen.item, category[chosen.item], Cost(0.5))

    beginning = Session(bank.table, plan).after(start(bank, plan))
    *_, whole = drive(beginning, answer, rng)
    cut = data.draw(st.integers(1, len(whole.events) - 1))
    resumed = fold(Session(bank.table, plan), whole.events[:cut])
    resumed = resumed.after(start(bank, plan, at=resumed.events[-1].at + 1000.0))
    *_, rest = drive(resumed, answer, rng)
    assert items_of(rest) == items_of(whole)
    assert (rest.weights == whole.weights).all()
    assert rest.stopped is not None
    assert whole.stopped is not None
    assert rest.stopped.outcome == whole.stopped.outcome
    # the pause is not working time
    assert rest.seconds <= whole.seconds + 1


@given(banks, selectors, st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**32))
def test_items_in_flight_count_towards_the_limit(
    bank: ItemBank, select: str, width: int, limit: int, seed: int
) -> None:
    done = finish(bank, make_plan(select, f"sd<0.01 or items>={limit}", width), seed)
    assert len(done.chosen) == len(done.answered) == limit


@given(banks, st.integers(2, 5), st.integers(0, 2**32))
def test_expected_costs_in_flight_count_towards_the_limit(
    bank: ItemBank, width: int, seed: int
) -> None:
    plan = make_plan("min-variance", "usd>=2", width)
    rng = np.random.default_rng(seed)
    session = Session(bank.table, plan)
    for chosen in session.next_items(0.0):
        spent = bank.table.usd[[bank.table.row(c.item) for c in session.pending]].sum()
        assert spent < 2
        session = session.after(chosen)
    assert session.next_items(0.0) == ()
    for chosen in session.pending:
        session = session.after(
            Answered(1.0, chosen.step, chosen.item, random_category(bank, chosen.item, rng))
        )
    # free answers leave the budget to others
    assert session.next_items(1.0)


# --- how a session ends -----------------------------------------------------------------------


@given(banks, selectors, stops, st.integers(1, 3), st.integers(0, 2**32), st.floats(0, 0.6))
def test_the_end_is_named_by_its_cause(
    bank: ItemBank, select: str, stop: str, width: int, seed: int, voids: float
) -> None:
    done = finish(bank, make_plan(select, stop, width), seed, voids)
    assert done.stopped is not None
    progress = done._progress(with_pending=False)
    holds = bool(done.plan.stop(progress)[0])
    match done.stopped.outcome:
        case "precise":
            assert holds
            assert "below" in done.stopped.reason
        case "limit":
            assert holds
            assert "limit" in done.stopped.reason
        case "exhausted":
            assert not done.available.any()
        case "voids":
            recent = [e for e in done.events if isinstance(e, Answered | Voided)][-5:]
            assert sum(isinstance(e, Voided) for e in recent) >= 3
            assert "voids (sandbox)" in done.stopped.reason


@pytest.mark.parametrize(
    ("stop", "outcome", "reason"),
    [
        ("sd<0.9", "precise", "below 0.9"),
        ("sd<0.9 or items>=1", "precise", "below 0.9"),
        ("sd<0.01 or items>=3", "limit", "3 items answered, the limit is 3"),
        ("usd>=1", "limit", "$1.00 spent, the limit is $1"),
        ("seconds>=2", "limit", "2 s passed, the limit is 2 s"),
        ("sd<0.01", "exhausted", "bank exhausted, 12 items answered, sd "),
        ("exhausted", "exhausted", "bank exhausted after 12 items"),
        ("sd<0.9 and items>=4", "precise", "the limit is 4"),
    ],
)
def test_ends(stop: str, outcome: str, reason: str) -> None:
    done = finish(BANKS[0], make_plan("min-variance", stop), seed=5)
    assert done.stopped is not None
    assert done.stopped.outcome == outcome
    assert reason in done.stopped.reason


@given(banks, st.integers(1, 8), st.integers(0, 2**32))
def test_a_minimum_of_items_is_kept_by_and(bank: ItemBank, least: int, seed: int) -> None:
    early = finish(bank, make_plan("min-variance", "sd<0.6"), seed)
    late = finish(bank, make_plan("min-variance", f"sd<0.6 and items>={least}"), seed)
    assert len(late.answered) >= least
    assert items_of(late)[: len(early.answered)] == items_of(early)


# --- voids ------------------------------------------------------------------------------------


def void_all(session: Session, rounds: int) -> Session:
    for _ in range(rounds):
        (chosen,) = session.next_items(0.0)
        session = session.after(chosen)
        session = session.after(Voided(0.0, chosen.step, chosen.item, "image"))
    return session


@given(banks, selectors, st.integers(0, 2**32))
def test_a_void_moves_nothing_but_is_counted(bank: ItemBank, select: str, seed: int) -> None:
    done = finish(bank, make_plan(select, "items>=4"), seed)
    before = fold(Session(bank.table, done.plan), done.events[:5])
    after = void_all(before, 1)
    assert (after.weights == before.weights).all()
    assert len(after.answered) == len(before.answered)
    assert after.open_voids == (items_of(after)[-1],)
    assert after.if_voids_failed().mean[0] < before.posterior.mean[0]


def test_a_voided_item_is_tried_again_and_then_left() -> None:
    bank = BANKS[0]
    session = void_all(Session(bank.table, Plan(max_attempts=2)), 2)
    first, second = session.chosen.values()
    assert first.item == second.item
    assert (first.sample, second.sample) == (first.item, f"{first.item} (attempt 2)")
    (third,) = session.next_items(0.0)
    assert third.item != first.item
    assert not session.available[bank.table.row(first.item)]


def test_an_answer_after_a_void_closes_it() -> None:
    session = void_all(Session(BANKS[0].table, Plan()), 1)
    (again,) = session.next_items(0.0)
    session = session.after(again).after(Answered(0.0, again.step, again.item, 1))
    assert session.open_voids == ()
    assert (session.if_voids_failed().weights == session.weights).all()


def test_three_voids_of_five_outcomes_stop_the_session_and_started_reopens_it() -> None:
    bank, plan = BANKS[0], Plan(stop=parse_stop("items>=9"))
    session = Session(bank.table, plan).after(start(bank, plan))
    session = void_all(session, 3)
    end = session.ending(3.0)
    assert end == Stopped(3.0, "voids", "3 of the last 3 outcomes are voids (image)")
    assert session.next_items(3.0) == ()
    session = session.after(end)
    with pytest.raises(JournalError, match="'started' reopens it"):
        session.after(Chosen(4.0, 4, "item0", "item0", (0.0,), (1.0,)))
    session = session.after(start(bank, plan, at=5000.0))
    assert session.stopped is None
    assert session.ending(5000.0) is None
    assert session.available.all()
    assert session.seconds == 3.0
    (chosen,) = session.next_items(5000.0)
    assert (chosen.step, chosen.sample) == (4, f"{chosen.item} (attempt 3)")


@pytest.mark.parametrize(
    ("pattern", "stops"),
    [("vav", False), ("vavv", True), ("vaavav", False), ("vaaavaaav", False), ("avvaav", True)],
)
def test_only_the_last_five_outcomes_count(pattern: str, stops: bool) -> None:
    session = Session(BANKS[1].table, Plan(stop=parse_stop("exhausted"), max_attempts=9))
    for letter in pattern:
        (chosen,) = session.next_items(0.0)
        session = session.after(chosen)
        if letter == "v":
            session = session.after(Voided(0.0, chosen.step, chosen.item, "model"))
        else:
            session = session.after(Answered(0.0, chosen.step, chosen.item, 1))
    assert (session.ending(0.0) is not None) == stops


def test_if_voids_failed_is_the_posterior_with_failures() -> None:
    bank = BANKS[2]
    session = void_all(Session(bank.table, Plan()), 2)
    (item,) = session.open_voids
    failed = Session(bank.table, Plan()).after(Chosen(0.0, 1, item, item, (0.0,), (1.0,)))
    failed = failed.after(Answered(0.0, 1, item, 0))
    assert (session.if_voids_failed().weights == failed.weights).all()


# --- what cannot follow -----------------------------------------------------------------------


@given(banks, st.integers(1, 3), st.integers(0, 2**32), st.data())
def test_impossible_events_are_refused(
    bank: ItemBank, width: int, seed: int, data: st.DataObject
) -> None:
    done = finish(bank, Plan(width=width), seed)
    cut = data.draw(st.integers(1, len(done.events) - 1))
    session = fold(Session(bank.table, done.plan), done.events[:cut])
    assume(session.chosen)
    step, chosen = next(iter(session.chosen.items()))
    new = max(session.chosen) + 1
    top = len(bank.labels(chosen.item)) - 1
    impossible: list[tuple[Event, str]] = [
        (Chosen(0.0, step, "item0", "x", (0.0,), (1.0,)), "chosen twice"),
        (Chosen(0.0, new, chosen.item, "x", (0.0,), (1.0,)), "chosen again"),
        (Answered(0.0, new, chosen.item, 0), "was not chosen"),
        (start(bank, Plan(seed=done.plan.seed + 1)), "plan differs"),
    ]
    if session.pending:
        flying = session.pending[0]
        top = len(bank.labels(flying.item)) - 1
        impossible += [
            (Answered(0.0, flying.step, flying.item, top + 1), f"not in 0..{top}"),
            (Answered(0.0, flying.step, flying.item, -1), f"not in 0..{top}"),
            (Answered(0.0, flying.step, "another", 0), "was not chosen"),
            (Stopped(0.0, "limit", ""), "still in flight"),
        ]
    for event, message in impossible:
        with pytest.raises(JournalError, match=message):
            session.after(event)


def test_only_eligible_items_are_chosen_and_predicted() -> None:
    bank = BANKS[0]
    eligible = np.arange(12) % 2 == 0
    session = Session(bank.table, make_plan("random", "exhausted"), eligible)
    rng = np.random.default_rng(0)
    *_, done = drive(session, lambda chosen: outcome_of(bank, chosen, rng, 0.0), rng)
    assert sorted(items_of(done)) == sorted(f"item{i}" for i in range(0, 12, 2))
    scores = [e.category / (len(bank.labels(e.item)) - 1) for e in done.answered.values()]
    assert done.score.mean == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("stop", ["exhausted", "sd<0.01", "sd<0.01 or items>=12"])
@pytest.mark.parametrize("cause", ["daemon", "image"])
def test_the_last_items_lost_to_a_missing_engine_are_voids_and_come_back(
    stop: str, cause: VoidCause
) -> None:
    bank = BANKS[1]
    session = Session(bank.table, make_plan("random", stop))
    rng = np.random.default_rng(0)

    def answer(chosen: Chosen) -> Event:
        if chosen.step >= 12:
            return Voided(0.0, chosen.step, chosen.item, cause)
        return outcome_of(bank, chosen, rng, 0.0)

    *_, done = drive(session.after(start(bank, session.plan)), answer, rng)
    assert done.stopped is not None
    assert len(done.voided) == 2
    assert done.stopped.outcome == ("voids" if cause == "daemon" else "exhausted")
    again = done.after(start(bank, session.plan, done.events[-1].at))
    *_, done = drive(again, lambda chosen: outcome_of(bank, chosen, rng, 0.0), rng)
    assert done.stopped is not None
    assert done.stopped.outcome == "exhausted"
    assert len(done.answered) == 12


def test_a_limit_that_is_reached_stays_one_though_an_item_was_lost() -> None:
    bank = BANKS[1]
    session = Session(bank.table, make_plan("min-variance", "items>=11"))
    first = session.next_items(0.0)[0].item
    rng = np.random.default_rng(0)

    def answer(chosen: Chosen) -> Event:
        if chosen.item == first:
            return Voided(0.0, chosen.step, chosen.item, "daemon")
        return outcome_of(bank, chosen, rng, 0.0)

    *_, done = drive(session, answer, rng)
    assert done.stopped is not None
    assert done.stopped.reason == "11 items answered, the limit is 11"
    assert done.stopped.outcome == "exhausted"


def test_items_in_flight_change_what_is_chosen_next() -> None:
    bank = BANKS[3]
    pairs = [tuple(c.item for c in Session(b.table, Plan(width=2)).next_items(0.0)) for b in BANKS]
    assert all(first != second for first, second in pairs)
    single = Session(bank.table, Plan(width=1)).next_items(0.0)
    assert single[0].item == pairs[3][0]


@given(banks, selectors, st.integers(1, 3), st.sets(st.integers(0, 14)), st.integers(0, 50))
def test_a_preference_moves_choices_among_near_ties_only(
    bank: ItemBank, select: str, width: int, rows: set[int], seed: int
) -> None:
    session = Session(bank.table, make_plan(select, "items>=6", width, seed))
    # what is preferred may be no item of this bank
    prefer = frozenset(f"item{row}" for row in rows)
    plain, chosen = session.next_items(1.0), session.next_items(1.0, prefer)
    assert session.next_items(1.0, prefer) == chosen
    assert session.next_items(1.0, frozenset()) == plain
    assert session.next_items(1.0, frozenset(bank.table.ids)) == plain
    assert len({c.item for c in chosen}) == len(plain) == width
    if select == "random":
        assert chosen == plain


def test_the_preferred_of_two_twins_is_launched_first() -> None:
    bank = BANKS[0]
    (best,) = Session(bank.table, Plan()).next_items(0.0)
    twin = replace(next(i for i in bank.items if i.id == best.item), id="twin")
    session = Session(replace(bank, items=(*bank.items, twin)).table, Plan())
    assert session.next_items(0.0)[0].item == best.item
    assert session.next_items(0.0, frozenset({"twin"}))[0].item == "twin"


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"max_attempts": 0}, {"level": 1.0}, {"level": 0.0}, {"seed": -1}]
)
def test_impossible_plans_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanError):
        Plan(**wrong)  # type: ignore[arg-type]


# --- precision that is not to be trusted, items that are ruled out, costs that differ -------------


def with_spread(bank: ItemBank, sd: float) -> ItemBank:
    """The binary items of the bank with uncertain difficulties."""
    items = [item for item in bank.items if len(item.intercepts) == 1]
    covariance = ((0.01, 0.0), (0.0, sd**2))
    return replace(bank, items=tuple(replace(item, covariance=covariance) for item in items))


@pytest.mark.parametrize(("sd", "outcome"), [(0.1, "precise"), (2.5, "doubtful")])
def test_precision_from_barely_calibrated_items_is_doubtful(sd: float, outcome: str) -> None:
    done = finish(with_spread(BANKS[0], sd), make_plan("max-information", "sd<0.93"), seed=1)
    assert done.stopped is not None
    assert done.stopped.outcome == outcome
    assert ("barely calibrated" in done.stopped.reason) == (outcome == "doubtful")


@given(banks, st.sets(st.integers(0, 11), min_size=1, max_size=11), st.integers(1, 3))
def test_what_is_excluded_never_runs(bank: ItemBank, rows: set[int], width: int) -> None:
    out = [bank.items[row].id for row in sorted(rows)]
    select = f"exclude(min-variance, {', '.join(out)})"
    done = finish(bank, make_plan(select, "exhausted", width), seed=0)
    assert not set(items_of(done)) & set(out)
    assert len(done.answered) == 12 - len(rows)
    assert done.stopped is not None
    assert done.stopped.outcome == "exhausted"
    assert "allows no other item" in done.stopped.reason


def test_the_pace_is_learned_from_costs() -> None:
    bank = BANKS[0]
    session = Session(bank.table, make_plan("max-information", "exhausted"))
    assert session.pace == (1.0, 1.0)
    paces = []
    for _ in range(10):
        (chosen,) = session.next_items(0.0)
        session = session.after(chosen)
        row = bank.table.row(chosen.item)
        # three times as dear as expected, and as fast; seconds of a void say nothing
        cost = Cost(3 * bank.table.usd[row], bank.table.seconds[row])
        session = session.after(Answered(0.0, chosen.step, chosen.item, 0, cost))
        paces.append(session.pace)
    dollars, seconds = np.array(paces).T
    assert (np.diff(dollars) > 0).all()
    assert 2.5 < dollars[-1] / seconds[-1] < 3.0
    view = session._view(step=0)
    np.testing.assert_allclose(view.pace, [session.pace])
