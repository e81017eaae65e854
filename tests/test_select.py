"""What holds for every selector, items in flight, near-ties, costs and chance."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selecting import (
    CRITERIA,
    OTHERS,
    Case,
    banks,
    flying,
    is_random,
    view_of,
    views,
    weights_after,
)

from harness.ability import moments
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_selector
from harness.irt import Array, Table
from harness.select import (
    NEAR_TIE,
    MaxInformation,
    MinExpectedVariance,
    PerCost,
    Random,
    Selector,
    Unit,
    View,
    choose,
    expected_cost,
    gains_of,
    learned_pace,
    pick,
)
from harness.select.cost import ATTEMPT_SD, PACE_SD

criteria = st.sampled_from(CRITERIA).map(parse_selector)
selectors = st.sampled_from([*CRITERIA, *OTHERS]).map(parse_selector)


# --- every selector ---------------------------------------------------------------------------


@given(views(), selectors, st.data())
def test_only_available_items_are_chosen_and_always_the_same(
    case: Case, selector: Selector, data: st.DataObject
) -> None:
    view = view_of(*case)
    pending = data.draw(st.lists(st.sampled_from(case[2]), unique=True)) if case[2] else []
    if pending:
        view = flying(view, tuple(pending))
    row = choose(selector, view)
    assert choose(selector, view) == row
    gains = gains_of(selector, view)
    assert not np.isnan(gains).any()
    if row is None:
        assert (gains[view.available] == -np.inf).all()
    else:
        assert view.available[0, row]
        assert gains[0, row] == gains[view.available].max()


@given(views(), st.sampled_from([*CRITERIA, "random", "fixed", "min-variance/usd"]))
def test_a_criterion_always_finds_an_item(case: Case, text: str) -> None:
    assert choose(parse_selector(text), view_of(*case)) is not None


def three_agents(bank: ItemBank, data: st.DataObject) -> View:
    """Agents that differ in everything that a view holds."""
    single = [view_of(bank, answers, step=k) for k, answers in enumerate([{}, {0: 1}, {1: 0}])]
    n = len(bank.items)
    flags = st.lists(st.booleans(), min_size=3 * n, max_size=3 * n)
    pending, counted = (np.array(data.draw(flags)).reshape(3, n) for _ in range(2))
    counted[:, 0] = True
    answers = np.concatenate([view.answers for view in single])
    pending &= answers < 0
    return View(
        bank.table,
        np.concatenate([view.weights for view in single]),
        (answers < 0) & ~pending,
        np.array([[3, 1], [4, 1], [3, 2]]),
        answers,
        pending=pending,
        counted=counted,
        pace=np.array([[1.0, 2.0], [3.0, 0.5], [0.1, 0.2]]),
    )


@given(banks(), selectors, st.data())
def test_agents_are_looked_at_one_by_one(
    bank: ItemBank, selector: Selector, data: st.DataObject
) -> None:
    joint = three_agents(bank, data)
    expected = np.concatenate([gains_of(selector, joint.of([agent])) for agent in range(3)])
    np.testing.assert_allclose(gains_of(selector, joint), expected, rtol=1e-9, atol=1e-12)


@given(banks(), selectors.filter(lambda s: not is_random(s)), st.data())
def test_gains_follow_their_items(bank: ItemBank, selector: Selector, data: st.DataObject) -> None:
    if "fixed" in str(selector):
        return
    view = three_agents(bank, data)
    order = np.array(data.draw(st.permutations(range(len(bank.items)))))
    assert view.pending is not None
    assert view.counted is not None
    shuffled = replace(
        view,
        table=replace(bank, items=tuple(bank.items[row] for row in order)).table,
        available=view.available[:, order],
        answers=view.answers[:, order],
        pending=view.pending[:, order],
        counted=view.counted[:, order],
    )
    gains = gains_of(selector, view)[:, order]
    np.testing.assert_allclose(gains_of(selector, shuffled), gains, rtol=1e-7, atol=1e-12)


def test_nothing_available_is_nothing_chosen() -> None:
    bank = ItemBank("one", (Item("i", "2pl", (1.0,), (0.0,)),))
    assert choose(Random(), view_of(bank, {0: 1})) is None


@given(st.data())
def test_pick_is_the_largest_available_gain(data: st.DataObject) -> None:
    agents, n = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    values = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.nan])
    gains = np.array([[data.draw(values) for _ in range(n)] for _ in range(agents)])
    available = np.array([[data.draw(st.booleans()) for _ in range(n)] for _ in range(agents)])
    rows, found = pick(gains, available)
    for a in range(agents):
        usable = [k for k in range(n) if available[a, k] and gains[a, k] > -np.inf]
        assert found[a] == bool(usable)
        if usable:
            assert rows[a] == max(usable, key=lambda k: (gains[a, k], -k))


# --- items in flight --------------------------------------------------------------------------


def futures(table: Table, weights: Array, pending: tuple[int, ...]) -> list[tuple[float, Array]]:
    """Odds and posterior of every combination of answers to the pending items."""
    found = []
    for answers in itertools.product(*(range(table.n_categories[row]) for row in pending)):
        joint = weights.copy()
        for row, category in zip(pending, answers, strict=True):
            joint = joint * table.p[row, category]
        found.append((float(joint.sum()), joint / joint.sum()))
    return found


@given(views(), st.data())
def test_the_futures_average_to_the_present(case: Case, data: st.DataObject) -> None:
    view = view_of(*case)
    pending = case[2]
    seen: list[View] = []

    def spy(view: View) -> Array:
        seen.append(view)
        return np.zeros(view.available.shape)

    choose(spy, flying(view, pending))
    (spread,) = seen
    expected = futures(view.table, view.weights[0], pending)
    if len(expected) <= 256:
        assert len(spread.weights) == len(expected)
        odds = np.array([p for p, _ in expected])
        assert odds.sum() == pytest.approx(1)
        np.testing.assert_allclose(odds @ np.array([w for _, w in expected]), view.weights[0])
    np.testing.assert_allclose(spread.weights.sum(axis=1), 1)
    assert spread.available.shape == (len(spread.weights), len(view.table.ids))


@settings(max_examples=100)
@given(banks(3, 5), criteria, st.data())
def test_a_future_is_an_agent_who_has_answered(
    bank: ItemBank, selector: Selector, data: st.DataObject
) -> None:
    n = len(bank.items)
    rows = data.draw(st.permutations(range(n)))
    pending = tuple(rows[: data.draw(st.integers(1, min(3, n - 1)))])
    view = flying(view_of(bank, {}), pending)
    expected = np.zeros(n)
    for answers in itertools.product(*(range(bank.table.n_categories[row]) for row in pending)):
        known = dict(zip(pending, answers, strict=True))
        joint = np.prod([bank.table.p[row, k] for row, k in known.items()], axis=0)
        expected += float(view.weights[0] @ joint) * selector(view_of(bank, known))[0]
    found = gains_of(selector, view)[0]
    still = view.available[0]
    np.testing.assert_allclose(found[still], expected[still], rtol=1e-6, atol=1e-12)
    row = choose(selector, view)
    assert row == choose(selector, flying(view_of(bank, {}, gone=pending), pending))
    assert row is not None
    assert expected[row] == pytest.approx(expected[still].max(), rel=1e-6)


def test_a_twin_of_an_item_in_flight_loses_its_worth() -> None:
    # an item that all but splits the scale in two: its copy would only repeat it
    twin = Item("twin", "2pl", (20.0,), (0.0,))
    other = Item("other", "2pl", (20.0,), (-14.0,))
    bank = ItemBank("twins", (replace(twin, id="launched"), twin, other))
    assert choose(MinExpectedVariance(), view_of(bank, {}, gone=(0,))) == 1
    assert choose(MinExpectedVariance(), flying(view_of(bank, {}, gone=(0,)), (0,))) == 2


@given(views(), st.floats(-2, 2), st.sampled_from([-1e-3, 1e-3]))
def test_futures_count_by_their_odds(case: Case, at: float, more: float) -> None:
    view = view_of(*case)
    rows = np.flatnonzero(view.available[0])
    if len(rows) < 2:
        return
    above = view.table.nodes[:, 0] > at
    now = float(view.weights[0] @ above)

    def linear(view: View) -> Array:
        # the first item promises what averages to `now`, the second a little more or less
        gains = np.full(view.available.shape, -1.0)
        gains[:, rows[0]] = view.weights @ above
        gains[:, rows[1]] = now + more
        return gains

    assert choose(linear, flying(view, case[2])) == rows[1 if more > 0 else 0]


def test_many_items_in_flight_keep_the_likeliest_futures() -> None:
    bank = ItemBank("wide", tuple(Item(f"i{k}", "2pl", (1.0,), (0.3 * k - 2,)) for k in range(14)))
    pending = tuple(range(12))
    view = view_of(bank, {}, gone=pending)
    seen: list[View] = []

    def spy(view: View) -> Array:
        seen.append(view)
        return MinExpectedVariance()(view)

    assert choose(spy, flying(view, pending)) in (12, 13)
    assert len(seen[0].weights) == 256
    # with nine in flight, nothing was dropped before the last of them
    choose(spy, flying(view, pending[:9]))
    likeliest = sorted(futures(view.table, view.weights[0], pending[:9]), key=lambda f: -f[0])
    expected = np.array([weights for _, weights in likeliest[:256]])
    found = seen[1].weights
    np.testing.assert_allclose(
        np.sort(found @ view.table.nodes, axis=0), np.sort(expected @ view.table.nodes, axis=0)
    )


# --- near-ties --------------------------------------------------------------------------------

measured = st.one_of(
    criteria,
    st.sampled_from(
        [
            "min-variance/usd",
            "max-information/seconds",
            "exclude(min-variance/usd, web)",
            "at-most(kl, git=2)",
            "balance(score-variance, git=0.5, web=0.5)",
        ]
    ).map(parse_selector),
)


@st.composite
def near_ties(draw: st.DrawFn) -> tuple[View, tuple[int, ...], Array]:
    """A view of a bank in which several items nearly tie, what is in flight, and a preference."""
    bank, _, gone, step = draw(views())
    items = list(bank.items)
    for row in range(1, len(items)):
        if draw(st.booleans()):
            slope = items[0].slopes[0] * (1 + draw(st.sampled_from([-0.02, -0.005, 0.0, 0.005])))
            own = items[row]
            items[row] = replace(items[0], id=own.id, tags=own.tags, slopes=(slope,))
    view = view_of(replace(bank, items=tuple(items)), {}, gone, step)
    prefer = np.array([draw(st.booleans()) for _ in items])
    return view, gone[: draw(st.integers(0, min(2, len(gone))))], prefer


@given(near_ties(), selectors)
def test_without_a_preference_nothing_changes(
    case: tuple[View, tuple[int, ...], Array], selector: Selector
) -> None:
    view, pending, prefer = case
    row = choose(selector, flying(view, pending))
    assert choose(selector, flying(view, pending), np.zeros_like(prefer)) == row
    assert choose(selector, flying(view, pending), np.ones_like(prefer)) == row


@given(near_ties(), measured)
def test_the_best_preferred_item_is_taken_if_it_nearly_ties(
    case: tuple[View, tuple[int, ...], Array], selector: Selector
) -> None:
    view, _, prefer = case
    gains = np.where(view.available[0], selector(view)[0], -np.inf)
    row = choose(selector, view, prefer)
    if row is None:
        assert (gains == -np.inf).all()
        return
    assert view.available[0, row]
    assert gains[row] >= (1 - NEAR_TIE) * gains.max()
    near = prefer & (gains >= (1 - NEAR_TIE) * gains.max())
    expected = np.where(near, gains, -np.inf) if near.any() else gains
    assert row == expected.argmax()
    assert choose(selector, view, prefer) == row


@given(near_ties(), measured)
def test_a_preference_costs_little_with_items_in_flight_too(
    case: tuple[View, tuple[int, ...], Array], selector: Selector
) -> None:
    view, pending, prefer = case
    gains = gains_of(selector, flying(view, pending))[0]
    gains = np.where(view.available[0], gains, -np.inf)
    row = choose(selector, flying(view, pending), prefer)
    if row is None:
        assert (gains == -np.inf).all()
    else:
        assert gains[row] >= (1 - NEAR_TIE) * gains.max()


UNMOVED = (
    "random",
    "random/usd",
    "fixed",
    "window(0, 1)",
    "randomesque(min-variance, 3)",
    "progressive(min-variance, 9)",
    "audit(min-variance, 1)",
    "catsim:RandomSelector",
)


@given(near_ties(), st.sampled_from(UNMOVED))
def test_chance_and_order_know_no_preference(
    case: tuple[View, tuple[int, ...], Array], text: str
) -> None:
    view, pending, prefer = case
    if text.startswith("catsim") and any(k > 2 for k in view.table.n_categories):
        return
    selector = parse_selector(text)
    assert choose(selector, flying(view, pending), prefer) == choose(
        selector, flying(view, pending)
    )


def test_a_twin_that_is_preferred_goes_first() -> None:
    twin = Item("twin", "2pl", (1.5,), (0.0,))
    bank = ItemBank(
        "twins",
        (twin, replace(twin, id="other"), replace(twin, id="weaker", slopes=(1.2,))),
    )
    view = view_of(bank, {})
    for selector in (MaxInformation(), MinExpectedVariance()):
        assert choose(selector, view) == 0
        assert choose(selector, view, prefer=np.array([False, True, False])) == 1
        assert choose(selector, view, prefer=np.array([False, False, True])) == 0


# --- cost and chance --------------------------------------------------------------------------


@given(
    views(),
    st.sampled_from([*CRITERIA, "random"]).map(parse_selector),
    st.sampled_from(["usd", "seconds"]),
    st.none() | st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
)
def test_gains_per_cost_are_gains_divided_by_cost(
    case: Case, inner: Selector, unit: Unit, pace: tuple[float, float] | None
) -> None:
    view = replace(view_of(*case), pace=None if pace is None else np.array([pace]))
    cost = np.array([getattr(item, unit) for item in case[0].items])
    if pace is not None:
        cost = cost * pace[unit == "seconds"]
    np.testing.assert_allclose(expected_cost(view, unit), cost[None])
    per_cost = parse_selector(f"{inner}/{unit}")
    np.testing.assert_allclose(per_cost(view), inner(view) / cost)


@given(st.lists(st.floats(-3, 3), max_size=30))
def test_pace_is_the_posterior_of_a_log_normal_model(log_ratios: list[float]) -> None:
    # by brute force, on a grid of log pace
    log_pace = np.linspace(-8, 8, 40_001)
    log_posterior = -0.5 * (log_pace / PACE_SD) ** 2
    for x in log_ratios:
        log_posterior += -0.5 * ((x + ATTEMPT_SD**2 / 2 - log_pace) / ATTEMPT_SD) ** 2
    weights = np.exp(log_posterior - log_posterior.max())
    mean = float(log_pace @ weights / weights.sum())
    found = learned_pace(np.array(sum(log_ratios)), np.array(len(log_ratios)))
    assert float(np.log(found)) == pytest.approx(mean, abs=1e-3)


def test_pace_starts_at_one_and_finds_the_factor_of_mean_costs() -> None:
    assert learned_pace(np.array(0.0), np.array(0)) == 1.0
    noise = np.random.default_rng(0).normal(-(ATTEMPT_SD**2) / 2, ATTEMPT_SD, 20_000)
    costs = 2.5 * np.exp(noise)
    assert costs.mean() == pytest.approx(2.5, rel=0.05)
    found = learned_pace(np.array(np.log(costs).sum()), np.array(len(costs)))
    assert found == pytest.approx(2.5, rel=0.03)


@pytest.mark.parametrize("cost", [float("nan"), 0.0, -1.0, float("inf")])
def test_a_missing_cost_is_named(cost: float) -> None:
    bank = ItemBank(
        "costs",
        (
            Item("priced", "2pl", (1.0,), (0.0,), usd=1.0),
            Item("unpriced", "2pl", (1.0,), (0.0,), usd=cost),
        ),
    )
    with pytest.raises(PlanError, match="'unpriced'") as error:
        choose(PerCost(MaxInformation(), "usd"), view_of(bank, {}))
    assert "max-information/usd" in str(error.value)
    assert "'usd' of items.csv" in str(error.value)


def test_random_choice_is_uniform_and_follows_its_seed() -> None:
    bank = ItemBank("six", tuple(Item(f"i{k}", "2pl", (1.0,), (0.0,)) for k in range(6)))
    rows = [choose(Random(), view_of(bank, {}, gone=(2,), step=step)) for step in range(2000)]
    counts = Counter(rows)
    assert set(counts) == {0, 1, 3, 4, 5}
    # 400 each, with a standard deviation of 18
    assert all(abs(count - 400) < 80 for count in counts.values())
    view = view_of(bank, {})
    other_seed = replace(view, seeds=np.array([[4, 1]]))
    assert not np.array_equal(Random()(view), Random()(other_seed))


def test_the_random_choice_does_not_depend_on_what_is_in_flight() -> None:
    bank = ItemBank("six", tuple(Item(f"i{k}", "2pl", (1.0,), (0.0,)) for k in range(6)))
    view = view_of(bank, {}, gone=(0,))
    assert choose(Random(), flying(view, (0,))) == choose(Random(), view)


# --- estimates ----------------------------------------------------------------------


def test_the_estimator_decides_where_information_is_looked_up() -> None:
    bank = ItemBank(
        "two", (Item("low", "2pl", (2.0,), (4.0,)), Item("high", "2pl", (2.0,), (-4.0,)))
    )
    for ability, best in ((-2.0, 0), (2.0, 1)):
        fixed = replace(view_of(bank, {}), estimator=lambda view, at=ability: np.array([[at]]))
        assert choose(MaxInformation(), fixed) == best
    skewed = weights_after(bank.table, {1: 1})[None]
    view = replace(view_of(bank, {}), weights=skewed)
    assert view.ability[0, 0] == pytest.approx(moments(bank.table.nodes, skewed)[0][0, 0])
    mode = replace(view, estimator="map").ability[0, 0]
    assert bank.table.nodes[skewed[0].argmax(), 0] == pytest.approx(mode, abs=0.026)
