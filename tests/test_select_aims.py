"""Criteria for the score, a decision and a comparison, against enumeration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from selecting import PLANE, Case, flying, per_item, view_of, views

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_selector
from harness.irt import Array, repeated
from harness.select import (
    Apart,
    DecideAbility,
    DecideScore,
    MutualInformation,
    ScoreVariance,
    View,
    gains_of,
)


def every_outcome(view: View) -> tuple[Array, Array, list[tuple[int, ...]]]:
    """Probability, mean score over the counted items, and answers of all that may happen."""
    table, n = view.table, len(view.table.ids)
    counted = np.ones(n, bool) if view.counted is None else view.counted[0]
    choices = [
        range(table.n_categories[row]) if view.answers[0, row] < 0 else (view.answers[0, row],)
        for row in range(n)
    ]
    chances, scores, patterns = [], [], []
    for pattern in itertools.product(*choices):
        joint = view.weights[0].copy()
        for row in np.flatnonzero(view.answers[0] < 0):
            joint = joint * table.p[row, pattern[row]]
        chances.append(joint.sum())
        scores.append(np.mean([table.scores[row, pattern[row]] for row in np.flatnonzero(counted)]))
        patterns.append(pattern)
    return np.array(chances), np.array(scores), patterns


def variance(chances: Array, values: Array) -> float:
    chances = chances / chances.sum()
    return float(chances @ (values - chances @ values) ** 2)


def split_by(row: int, patterns: list[tuple[int, ...]], categories: int) -> list[list[int]]:
    return [[i for i, p in enumerate(patterns) if p[row] == k] for k in range(categories)]


@given(views(max_size=4), st.data())
def test_score_variance_is_the_expected_reduction(case: Case, data: st.DataObject) -> None:
    view = view_of(*case)
    n = len(case[0].items)
    counted = np.array([data.draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    counted[0, data.draw(st.integers(0, n - 1))] = True
    view = replace(view, counted=counted if data.draw(st.booleans()) else None)
    chances, scores, patterns = every_outcome(view)
    now = variance(chances, scores)
    gains = ScoreVariance()(view)[0]
    for row in np.flatnonzero(view.answers[0] < 0):
        parts = split_by(row, patterns, view.table.n_categories[row])
        after = sum(chances[part].sum() * variance(chances[part], scores[part]) for part in parts)
        assert gains[row] == pytest.approx(now - after, abs=1e-9)


def test_the_last_open_item_leaves_no_variance() -> None:
    bank = ItemBank("pair", tuple(Item(f"i{k}", "2pl", (1.0,), (0.3 * k,)) for k in range(2)))
    view = view_of(bank, {0: 1})
    chances, scores, _ = every_outcome(view)
    assert ScoreVariance()(view)[0, 1] == pytest.approx(variance(chances, scores))


def test_an_item_that_does_not_count_tells_through_ability_only() -> None:
    sharp = Item("sharp", "2pl", (3.0,), (0.0,))
    bank = ItemBank("some", (sharp, *(Item(f"i{k}", "2pl", (1.0,), (0.0,)) for k in range(9))))
    inside = ScoreVariance()(view_of(bank, {}))[0]
    counted = np.ones((1, 10), bool)
    counted[0, 0] = False
    outside = ScoreVariance()(replace(view_of(bank, {}), counted=counted))[0]
    assert inside[0] > outside[0] * 0.81 > 0
    assert outside[0] > outside[1]


def test_items_whose_score_is_a_mean_over_trials() -> None:
    rng = np.random.default_rng(0)
    n, trials = 6, 5
    items = [Item(f"i{k}", "2pl", (1.2,), (float(rng.normal()),)) for k in range(n)]
    table = ItemBank("trials", tuple(items)).table
    some = [np.array([getattr(i, name) for i in items]) for name in ("slopes", "intercepts")]
    # what an item is to an agent differs by 1 logit
    shared = np.tile(np.diag([0.0, 1.0]), (n, 1, 1))
    repeats = repeated(
        "binary", some[0], some[1], np.zeros(n), np.ones(n), shared, table.nodes, trials
    )
    view = view_of(ItemBank("trials", tuple(items)), {0: 1, 1: 0})
    view = replace(view, table=replace(table, repeats=repeats))
    w = view.weights[0]
    given_ability = repeats.mean[0, 1] + repeats.mean[1, 0] + table.expected_score[2:].sum(axis=0)

    def gain(weights: Array, row: int) -> float:
        means, odds = [], []
        for k in range(2):
            p = table.p[row, k]
            after = given_ability - table.expected_score[row] + repeats.mean[row, k]
            odds.append(float(w @ p))
            means.append(float((w * p) @ after) / odds[-1])
        return variance(np.array(odds), np.array(means)) / n**2

    expected = per_item(view, gain)
    # the mean over the categories is only as exact as the draws of the item's effect
    np.testing.assert_allclose(ScoreVariance()(view)[0, 2:], expected[2:], rtol=1e-2)


# --- decisions --------------------------------------------------------------------------------


def information(view: View, chance: Array) -> Array:
    """Mutual information between each answer and an event of probability ``chance (Q,)``."""

    def gain(weights: Array, row: int) -> float:
        total = 0.0
        for side in (chance, 1 - chance):
            for category in range(view.table.n_categories[row]):
                p = view.table.p[row, category]
                both = float((weights * p) @ side)
                if both > 0:
                    total += both * np.log(both / (float(weights @ p) * float(weights @ side)))
        return total

    return per_item(view, gain)


@given(views(), st.floats(-3, 3))
def test_deciding_on_ability(case: Case, cut: float) -> None:
    view = view_of(*case)
    # a node stands for its cell, 0.05 wide
    above = np.clip((view.table.nodes[:, 0] - cut) / 0.05 + 0.5, 0.0, 1.0)
    gains = DecideAbility(cut)(view)[0]
    np.testing.assert_allclose(gains, information(view, above), atol=1e-12)
    assert (gains >= 0).all()
    # a side is a function of ability, so its information is at most that on ability
    assert (gains <= MutualInformation()(view)[0] + 1e-12).all()


@given(views(), st.floats(-2, 2), st.floats(0.05, 2))
def test_telling_two_agents_apart(case: Case, mean: float, sd: float) -> None:
    view = view_of(*case)
    abler = ndtr((view.table.nodes[:, 0] - mean) / sd)
    np.testing.assert_allclose(Apart(mean, sd)(view)[0], information(view, abler), atol=1e-12)
    near = Apart(mean, 1e-9)(view)[0]
    np.testing.assert_allclose(near, DecideAbility(mean)(view)[0], atol=5e-3)


def test_the_second_ability_can_be_decided_on() -> None:
    view = view_of(PLANE, {2: 1})
    above = np.clip((view.table.nodes[:, 1] - 0.4) / 0.24 + 0.5, 0.0, 1.0)
    gains = parse_selector("decide(theta2>0.4)")(view)[0]
    np.testing.assert_allclose(gains, information(view, above), atol=1e-12)
    abler = ndtr((view.table.nodes[:, 1] - 0.1) / 0.5)
    gains = parse_selector("apart(0.1, 0.5, theta2)")(view)[0]
    np.testing.assert_allclose(gains, information(view, abler), atol=1e-12)
    for text in ("decide(theta3>0)", "apart(0, 1, theta3)"):
        with pytest.raises(PlanError, match="2 abilities"):
            parse_selector(text)(view)


def exact_decision(view: View, cut: float) -> Array:
    """By enumeration of the sum over all other items, given each ability; binary items."""
    table, n = view.table, len(view.table.ids)
    earned = int((view.answers[0] == 1).sum())
    still_open = np.flatnonzero(view.answers[0] < 0)
    gains = np.zeros(n)
    for row in still_open:
        sums = np.ones((1, len(table.nodes)))
        for other in still_open[still_open != row]:
            p = table.p[other]
            sums = np.pad(sums, ((0, 1), (0, 0))) * p[0] + np.pad(sums, ((1, 0), (0, 0))) * p[1]
        both = np.zeros((2, 2))
        for k in range(2):
            above = (earned + k + np.arange(len(sums))) / n > cut + 1e-9
            joint = view.weights[0] * table.p[row, k]
            both[k] = (
                float(joint @ sums[above].sum(axis=0)),
                float(joint @ sums[~above].sum(axis=0)),
            )
        margin = both.sum(axis=1, keepdims=True) * both.sum(axis=0)
        gains[row] = (both[both > 0] * np.log(both[both > 0] / margin[both > 0])).sum()
    return gains


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.62])
@pytest.mark.parametrize("seed", range(3))
def test_deciding_on_the_score_is_close_to_enumeration(cut: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = [
        Item(f"i{k}", "2pl", (float(a),), (float(d),))
        for k, (a, d) in enumerate(
            zip(rng.lognormal(0, 0.4, 40), rng.normal(0, 1.3, 40), strict=True)
        )
    ]
    bank = ItemBank("forty", tuple(items))
    for known in (0, 5, 20):
        view = view_of(bank, {k: int(rng.integers(2)) for k in range(known)})
        exact, found = exact_decision(view, cut)[known:], DecideScore(cut)(view)[0, known:]
        # in nats; the best items bring up to 0.1
        assert np.abs(found - exact).max() < 0.004
        assert exact[found.argmax()] > exact.max() - 0.002


def test_a_decided_score_has_nothing_to_learn() -> None:
    items = tuple(Item(f"i{k}", "2pl", (1.0,), (0.0,)) for k in range(40))
    view = view_of(ItemBank("forty", items), dict.fromkeys(range(30), 1))
    # thirty of forty are more than half whatever the others bring
    assert DecideScore(0.5)(view)[0, 30:].max() < 1e-9
    assert DecideScore(0.97)(view)[0, 30:].min() > 0.02


def test_scores_in_flight_count_as_known_in_each_future() -> None:
    bank = ItemBank("four", tuple(Item(f"i{k}", "2pl", (1.0,), (0.2 * k,)) for k in range(4)))
    view = flying(view_of(bank, {0: 1}), (1,))
    expected = np.zeros(4)
    for k in range(2):
        odds = float(view.weights[0] @ view.table.p[1, k])
        expected += odds * ScoreVariance()(view_of(bank, {0: 1, 1: k}))[0]
    np.testing.assert_allclose(gains_of(ScoreVariance(), view)[0, 2:], expected[2:])


@pytest.mark.parametrize("text", ["decide(1.5)", "decide(score>-0.1)", "apart(0, 0)"])
def test_impossible_aims_are_refused(text: str) -> None:
    with pytest.raises(PlanError):
        parse_selector(text)
