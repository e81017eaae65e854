"""Many agents at once are the same sessions as one by one."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.batch import Step, administer, batches, outcome
from harness.events import Answered, Cost, Plan
from harness.grammar import parse_selector, parse_stop
from harness.session import Session

Categories = NDArray[np.intp]


def make_bank(seed: int, n: int = 9, dimensions: int = 1) -> ItemBank:
    """Items of two, three and four categories with costs, no two alike."""
    rng = np.random.default_rng(seed)
    # every fourth bank of one ability is half predicted
    common = 0.6 * (seed % 4 == 3 and dimensions == 1)
    items = []
    for i in range(n):
        steps = 1 + i % 3
        intercepts = -np.sort(-rng.normal(0, 1.5, steps)) - 0.01 * np.arange(steps)
        items.append(
            Item(
                f"item{i}",
                ("2pl", "gpcm", "grm")[steps - 1],
                tuple(map(float, rng.lognormal(0.2, 0.4, dimensions))),
                tuple(map(float, intercepts)),
                categories=f"c{steps}",
                tags=("odd" if i % 2 else "even",),
                usd=float(rng.uniform(0.1, 2)),
                seconds=float(rng.uniform(5, 50)),
                covariance=tuple(map(tuple, (0.5 * np.eye(steps + 1)).tolist()))
                if common
                else None,
                predicted=common > 0 and i % 2 == 0,
            )
        )
    labels = {f"c{steps}": tuple("abcd"[: steps + 1]) for steps in (1, 2, 3)}
    population = (0.0,) * dimensions, (1.0,) * dimensions
    specific = 0.2 * (seed % 2)
    return ItemBank(
        "demo", tuple(items), labels, *population, specific_sd=specific, common_sd=common
    )


BANKS = tuple(make_bank(seed) for seed in range(4))
banks = st.sampled_from(BANKS)
SELECTORS = (
    *("random", "max-information", "min-variance", "min-variance/usd", "random/seconds"),
    *("score-variance", "mutual-information", "kl", "decide(score>0.5)", "apart(0.3, 0.4)"),
    *("randomesque(min-variance, 3)", "audit(score-variance, 0.3)", "window(0.2, 0.8)"),
    "at-most(balance(min-variance, odd=0.5, even=0.5), odd=3)",
)
NARROW = SELECTORS[-2:]
"""Those that leave items out."""
STOPS = (
    "half-width<0.2",
    "decided(score>0.5, 0.1) or plateau(0.05, 2)",
    "gain/usd<0.002",
    "sd<0.5 or items>=6",
    "sd<0.6 and items>=3",
    "usd>=3",
    "seconds>=60",
    "exhausted",
    "(sd<0.5 or usd>=3) and items>=3",
)


@st.composite
def outcomes_of(draw: st.DrawFn, bank: ItemBank, agents: int | None = None) -> Categories:
    """``(A, n)`` with about a quarter missing; an agent may have none."""
    a = draw(st.integers(1, 4)) if agents is None else agents
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    drawn = rng.integers(0, bank.table.n_categories, (a, len(bank.items)))
    return np.where(rng.random(drawn.shape) < draw(st.sampled_from((0.0, 0.25, 1.0))), -1, drawn)


def one_by_one(bank: ItemBank, plan: Plan, categories: Categories) -> list[Session]:
    """Every state of a session that goes on whatever its rule says; the clock is the bank's."""
    session = Session(bank.table, plan, eligible=categories >= 0)
    states = [session]
    while session.available.any():
        chosen = session._choose(session.seconds)
        if chosen is None:
            break
        row = bank.table.row(chosen.item)
        cost = Cost(bank.table.usd[row], bank.table.seconds[row])
        done = session.seconds + cost.seconds
        session = session.after(chosen)
        session = session.after(
            Answered(done, chosen.step, chosen.item, int(categories[row]), cost)
        )
        states.append(session)
    return states


def all_steps(steps: Iterator[Step]) -> list[list[Step]]:
    """By round and agent."""
    return [[step.of(a) for a in range(len(step.may_stop))] for step in steps]


@pytest.mark.parametrize("select", SELECTORS)
@given(bank=banks, stop=st.sampled_from(STOPS), seed=st.integers(0, 99), data=st.data())
def test_a_batch_is_its_sessions(
    select: str, bank: ItemBank, stop: str, seed: int, data: st.DataObject
) -> None:
    outcomes = data.draw(outcomes_of(bank))
    agents = len(outcomes)
    seeds = seed + np.arange(agents)
    plan = Plan(parse_selector(select), parse_stop(stop), seed=seed)
    steps = all_steps(administer(bank.table, plan, outcomes, seeds))
    for a in range(agents):
        alone = Plan(plan.select, plan.stop, seed=int(seeds[a]))
        states = one_by_one(bank, alone, outcomes[a])
        for round_, session in enumerate(states):
            step = steps[round_][a]
            progress = step.progress
            np.testing.assert_array_equal(progress.view.answers[0], session.answers)
            np.testing.assert_array_equal(progress.view.available[0], session.available)
            np.testing.assert_allclose(progress.view.weights[0], session.weights, atol=1e-12)
            np.testing.assert_allclose(progress.sd[0], session.sd, atol=1e-9)
            assert progress.items[0] == round_
            assert progress.usd[0] == pytest.approx(session.usd)
            assert progress.seconds[0] == pytest.approx(session.seconds)
            end = session.ending(0.0)
            assert bool(step.may_stop[0]) == (end is not None)
            assert end is None or outcome(plan, step, 0) == end.outcome
        # an agent that ran out of items stays as it was
        last = steps[-1][a].progress
        np.testing.assert_array_equal(last.view.answers[0], states[-1].answers)
        assert last.items[0] == len(states) - 1


@pytest.mark.parametrize("select", SELECTORS)
@given(bank=banks, width=st.integers(2, 4), seed=st.integers(0, 99), data=st.data())
def test_items_in_flight_are_those_of_a_session(
    select: str, bank: ItemBank, width: int, seed: int, data: st.DataObject
) -> None:
    """A session whose outcomes come back in the order of launch."""
    (categories,) = outcomes = data.draw(outcomes_of(bank, agents=1))
    plan = Plan(parse_selector(select), parse_stop("exhausted"), seed=seed, width=width)
    session = Session(bank.table, plan, eligible=categories >= 0)
    for step in administer(bank.table, plan, outcomes):
        np.testing.assert_array_equal(step.progress.view.answers[0], session.answers)
        for chosen in session.next_items(0.0):
            session = session.after(chosen)
        if session.pending:
            oldest = session.pending[0]
            category = int(categories[bank.table.row(oldest.item)])
            session = session.after(Answered(0.0, oldest.step, oldest.item, category))
    assert not session.pending


@given(banks, st.sampled_from(SELECTORS), st.sampled_from(STOPS), st.data())
def test_agents_do_not_see_each_other(
    bank: ItemBank, select: str, stop: str, data: st.DataObject
) -> None:
    outcomes = data.draw(outcomes_of(bank, agents=3))
    plan = Plan(parse_selector(select), parse_stop(stop))
    order = [2, 0, 1]
    together = all_steps(administer(bank.table, plan, outcomes))
    mixed = all_steps(administer(bank.table, plan, outcomes[order]))
    assert len(mixed) == len(together)
    for here, there in zip(mixed, together, strict=True):
        for one, other in zip(here, (there[a] for a in order), strict=True):
            np.testing.assert_array_equal(one.progress.view.answers, other.progress.view.answers)
            assert one.may_stop == other.may_stop


@given(banks, st.sampled_from([s for s in SELECTORS if s not in NARROW]), st.data())
def test_nothing_is_given_twice_and_nothing_is_invented(
    bank: ItemBank, select: str, data: st.DataObject
) -> None:
    outcomes = data.draw(outcomes_of(bank))
    steps = all_steps(administer(bank.table, Plan(parse_selector(select)), outcomes))
    assert [one.round for one, *_ in steps] == list(range(len(steps)))
    for a, wanted in enumerate(outcomes):
        for before, after in pairwise(step[a].progress.view for step in steps):
            old, new = before.answers[0], after.answers[0]
            fresh = (new >= 0) & (old < 0)
            assert fresh.sum() == before.available.any()
            np.testing.assert_array_equal(new[~fresh], old[~fresh])
        np.testing.assert_array_equal(steps[-1][a].progress.view.answers[0], wanted)


def test_with_several_abilities_too() -> None:
    bank = make_bank(7, n=6, dimensions=2)
    plan = Plan(prior=Prior((0.0, 0.0), (1.0, 1.0)), stop=parse_stop("sd<0.7"))
    outcomes = np.random.default_rng(1).integers(0, bank.table.n_categories, (2, 6))
    steps = all_steps(administer(bank.table, plan, outcomes))
    for a in range(2):
        for step, session in zip(steps, one_by_one(bank, plan, outcomes[a]), strict=True):
            progress = step[a].progress
            np.testing.assert_array_equal(progress.view.answers[0], session.answers)
            np.testing.assert_allclose(progress.sd[0], session.sd, atol=1e-9)


def test_logged_costs_come_before_expected_ones() -> None:
    bank = BANKS[0]
    outcomes = np.zeros((2, 9), np.intp)
    usd = np.arange(18.0).reshape(2, 9)
    usd[0, 0] = np.nan
    *_, last = administer(bank.table, Plan(), outcomes, usd=usd, seconds=2 * usd)
    assert last.progress.usd.tolist() == [36.0, 117.0]
    assert last.progress.seconds.tolist() == [72.0, 234.0]
    *_, last = administer(bank.table, Plan(), outcomes)
    np.testing.assert_allclose(last.progress.usd, bank.table.usd.sum())


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("sd<0.9", "precise"),
        ("sd<0.9 or items>=1", "precise"),
        ("sd<0.01 or items>=3", "limit"),
        ("sd<0.01", "exhausted"),
        ("exhausted", "exhausted"),
        ("sd<0.9 and items>=4", "precise"),
        ("items>=2 and usd>=0.1", "limit"),
    ],
)
def test_outcomes(stop: str, expected: str) -> None:
    plan = Plan(stop=parse_stop(stop))
    outcomes = np.ones((1, 9), np.intp)
    first = next(s for s in administer(BANKS[0].table, plan, outcomes) if s.may_stop[0])
    assert outcome(plan, first, 0) == expected


@given(st.integers(1, 3000), st.integers(1, 40))
def test_batches_are_the_agents_in_order(agents: int, items: int) -> None:
    bank = ItemBank("b", tuple(Item(f"i{i}", "1pl", (1.0,), (0.0,)) for i in range(items)))
    rows = np.arange(agents) * 2
    groups = list(batches(bank.table, rows))
    np.testing.assert_array_equal(np.concatenate(groups), rows)
    assert all(len(group) for group in groups)
