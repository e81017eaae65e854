"""Predicted scores against enumeration, convolution and simulation."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from test_ability import banks_with_answers, unpack, weights_after

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.irt import Array, Table
from harness.score import ScorePrediction, corrected_scores, predict_score, predict_scores

# --- predicted score --------------------------------------------------------------------------


def exact_scores(table: Table, weights: Array, answers: Array) -> dict[float, float]:
    """Probability of every score, by going through every combination of open answers."""
    open_rows = np.flatnonzero(answers < 0)
    known = np.flatnonzero(answers >= 0)
    earned = table.scores[known, answers[known]].sum()
    found: dict[float, float] = {}
    for combination in itertools.product(*(range(table.n_categories[row]) for row in open_rows)):
        p = weights.copy()
        for row, category in zip(open_rows, combination, strict=True):
            p = p * table.p[row, category]
        score = (earned + sum(table.scores[open_rows, list(combination)])) / len(table.ids)
        key = round(float(score), 9)
        found[key] = found.get(key, 0.0) + float(p.sum())
    return found


@settings(max_examples=30)
@given(banks_with_answers(max_size=5))
def test_the_predicted_score_against_enumeration(case: tuple[ItemBank, list[int]]) -> None:
    table, answers = unpack(case)
    weights = weights_after(table, answers)
    prediction = predict_score(table, weights, answers)
    exact = exact_scores(table, weights, answers)
    assert sum(exact.values()) == pytest.approx(1)

    assert prediction.mean == pytest.approx(sum(x * p for x, p in exact.items()), abs=1e-9)
    assert prediction.values @ prediction.probabilities == pytest.approx(prediction.mean, abs=1e-6)
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert (prediction.probabilities >= 0).all()
    assert prediction.values.min() >= -1e-12
    assert prediction.values.max() <= 1 + 1e-12
    for bound in np.linspace(0, 1, 11):
        expected = sum(p for x, p in exact.items() if x > bound + 1e-9)
        assert prediction.probability_above(bound) == pytest.approx(expected, abs=1e-6)


def exact_by_convolution(table: Table, weights: Array) -> Array:
    """Distribution of the number right of a binary bank (Lord and Wingersky 1984)."""
    given_ability = np.zeros((len(table.ids) + 1, len(table.nodes)))
    given_ability[0] = 1.0
    for row in range(len(table.ids)):
        shifted = np.roll(given_ability, 1, axis=0)
        given_ability = given_ability * table.p[row, 0] + shifted * table.p[row, 1]
    return np.asarray(given_ability @ weights)


@settings(max_examples=20)
@given(
    st.integers(33, 80),
    st.floats(0.5, 2),
    st.floats(-2, 2),
    st.floats(0.05, 1.5),
    st.integers(0, 9),
)
def test_the_normal_on_the_lattice_against_the_exact_distribution(
    n: int, slope: float, ability: float, sd: float, seed: int
) -> None:
    difficulties = np.random.default_rng(seed).normal(size=n)
    items = tuple(
        Item(f"i{k}", "2pl", (slope,), (-slope * b,)) for k, b in enumerate(difficulties.tolist())
    )
    table = ItemBank("drawn", items).table
    weights = np.exp(Prior((ability,), (sd,)).log_weights(table.nodes))
    prediction = predict_score(table, weights, np.full(n, -1))
    exact = exact_by_convolution(table, weights)
    distance = np.abs(np.cumsum(prediction.probabilities) - np.cumsum(exact)).max()
    # where nearly all items are passed, the distribution is skewed
    assert distance < 0.1
    interval = prediction.interval(0.9)
    # an end is at most one item from the end of the exact interval
    middle = np.cumsum(exact) - exact / 2
    ends = np.interp([0.05, 0.95], middle, np.arange(n + 1))
    assert np.abs(np.array([interval.low, interval.high]) * n - ends).max() < 1.0


@given(banks_with_answers())
def test_a_fully_answered_bank_has_its_score(case: tuple[ItemBank, list[int]]) -> None:
    table, answers = unpack(case)
    answers = np.maximum(answers, 0)
    score = table.scores[np.arange(len(answers)), answers].mean()
    prediction = predict_score(table, weights_after(table, answers), answers)
    assert prediction.mean == pytest.approx(score)
    interval = prediction.interval(0.99)
    assert interval.low == interval.high == pytest.approx(score)
    assert prediction.probability_above(score - 1e-6) == pytest.approx(1)
    assert prediction.probability_above(score) == 0


@given(banks_with_answers())
def test_intervals_of_scores_nest(case: tuple[ItemBank, list[int]]) -> None:
    table, answers = unpack(case)
    prediction = predict_score(table, weights_after(table, answers), answers)
    inner, outer = prediction.interval(0.5), prediction.interval(0.95)
    assert outer.low <= inner.low <= inner.high <= outer.high
    assert prediction.values.min() - 1e-12 <= outer.low
    assert outer.high <= prediction.values.max() + 1e-12


def test_only_counted_items_make_the_score() -> None:
    items = tuple(Item(f"i{k}", "2pl", (1.0,), (float(k - 2),)) for k in range(5))
    bank, part = ItemBank("all", items), ItemBank("part", items[1:4])
    answers = np.array([1, 0, -1, -1, 1])
    counted = np.array([False, True, True, True, False])
    weights = weights_after(bank.table, answers)
    whole = predict_score(bank.table, weights, answers, counted)
    alone = predict_score(part.table, weights, answers[1:4])
    np.testing.assert_allclose(whole.values, alone.values)
    np.testing.assert_allclose(whole.probabilities, alone.probabilities)
    assert whole.mean == pytest.approx(alone.mean)


def test_score_intervals_cover_in_simulation() -> None:
    rng = np.random.default_rng(5)
    n, agents, asked = 60, 600, 12
    slopes, difficulties = rng.uniform(0.6, 1.8, n), rng.normal(size=n)
    table = ItemBank(
        "drawn",
        tuple(
            Item(f"i{k}", "2pl", (a,), (-a * b,))
            for k, (a, b) in enumerate(zip(slopes.tolist(), difficulties.tolist(), strict=True))
        ),
    ).table
    inside = []
    for ability in rng.normal(size=agents):
        right = (rng.random(n) < expit(slopes * (ability - difficulties))).astype(int)
        answers = np.full(n, -1)
        rows = rng.choice(n, asked, replace=False)
        answers[rows] = right[rows]
        interval = predict_score(table, weights_after(table, answers), answers).interval(0.9)
        inside.append(interval.low - 1e-9 <= right.mean() <= interval.high + 1e-9)
    # the standard error is 0.012
    assert 0.87 <= np.mean(inside) <= 0.93


def test_an_interval_lies_between_quantiles_of_the_mid_distribution() -> None:
    prediction = ScorePrediction(np.arange(5) / 4, np.array([0.1, 0.2, 0.4, 0.2, 0.1]), 0.5)
    # probability below each score and half of its own: .05 .2 .5 .8 .95
    for level, low in ((0.6, 0.25), (0.9, 0.0), (0.99, 0.0), (0.75, 0.125)):
        interval = prediction.interval(level)
        assert (interval.low, interval.high) == pytest.approx((low, 1 - low))
    assert prediction.probability_above(0.5) == pytest.approx(0.3)
    assert prediction.probability_above(-0.1) == pytest.approx(1.0)


# --- many agents at once ------------------------------------------------------------------------


@settings(max_examples=30)
@given(banks_with_answers(max_size=5), st.integers(0, 40), st.integers(0, 99))
def test_many_agents_are_one_by_one(case: tuple[ItemBank, list[int]], more: int, seed: int) -> None:
    """Closed forms for all agents against the whole distribution of each."""
    bank, answers = case
    extra = tuple(Item(f"more{k}", "2pl", (1.0,), (0.1 * k - 2,)) for k in range(more))
    bank = dataclasses.replace(bank, items=(*bank.items, *extra))
    table, rng = bank.table, np.random.default_rng(seed)
    given_answers = np.array([[*answers, *[-1] * more], [-1] * len(bank.items)])
    given_answers[1, rng.integers(len(bank.items))] = 0
    counted = rng.random(given_answers.shape) < 0.8
    counted[:, 0] = True
    weights = np.stack([weights_after(table, row) for row in given_answers])
    together = predict_scores(table, weights, given_answers, counted)
    for agent in range(2):
        alone = predict_score(table, weights[agent], given_answers[agent], counted[agent])
        assert together.mean[agent] == pytest.approx(alone.mean)
        spread = alone.probabilities @ (alone.values - alone.mean) ** 2
        assert together.sd[agent] == pytest.approx(np.sqrt(spread), abs=2e-3)
        for level in (0.5, 0.9):
            interval = alone.interval(level)
            found = together.interval(level)[agent]
            # as close as the sds are: both lay a normal on a lattice, of other widths
            assert found == pytest.approx([interval.low, interval.high], abs=2e-3)
        for cut in (0.0, 0.31, 0.5, 0.77, 1.0):
            above = together.probability_above(cut)[agent]
            assert above == pytest.approx(alone.probability_above(cut), abs=1e-6)


# --- several trials -----------------------------------------------------------------------------

TRIED = ItemBank(
    "tried",
    tuple(Item(f"i{k}", "2pl", (1.2,), (0.2 * k - 1.5,), effect_sd=1.4) for k in range(16)),
    trials=5,
)


def test_the_mean_over_trials_against_simulation() -> None:
    """Effects and trials drawn, and the score after one trial of some items held against them."""
    rng = np.random.default_rng(8)
    table, agents = TRIED.table, 20_000
    node = 130
    ability = table.nodes[node, 0]
    logit = 1.2 * ability + 0.2 * np.arange(16) - 1.5
    p = expit(logit + 1.4 * rng.standard_normal((agents, 16)))
    trials = rng.random((5, agents, 16)) < p
    first, mean = trials[0].astype(int), trials.mean(axis=0)
    known = np.arange(16) < 4
    weights = np.zeros(len(table.nodes))
    weights[node] = 1.0
    # agents whose first trials of the known items came out alike
    for pattern in ([1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]):
        here = (first[:, known] == pattern).all(axis=1)
        answers = np.where(known, [*pattern, *[0] * 12], -1)
        found = predict_scores(table, weights[None], answers[None])
        scores = mean[here].mean(axis=1)
        assert len(scores) > 400
        error = scores.std() / np.sqrt(len(scores))
        assert found.mean[0] == pytest.approx(scores.mean(), abs=4 * error)
        assert found.sd[0] == pytest.approx(scores.std(), rel=0.12)


def test_an_answer_says_more_of_further_trials_with_an_effect() -> None:
    table = TRIED.table
    plain = dataclasses.replace(
        TRIED, items=tuple(dataclasses.replace(item, effect_sd=0.0) for item in TRIED.items)
    ).table
    repeats, without = table.repeats, plain.repeats
    assert repeats is not None
    assert without is not None
    gap = repeats.mean[:, 1] - repeats.mean[:, 0]
    assert (gap > without.mean[:, 1] - without.mean[:, 0] + 0.05).any()
    # without an effect the other trials owe nothing to the first
    np.testing.assert_allclose(without.mean[:, 1] - without.mean[:, 0], 1 / 5)
    single = dataclasses.replace(TRIED, trials=1).table
    assert single.repeats is None
    np.testing.assert_array_equal(single.log_p, table.log_p)
    np.testing.assert_array_less(table.score_variance, single.score_variance + 1e-12)


# --- corrected by residuals ---------------------------------------------------------------------


@given(banks_with_answers())
def test_the_corrected_score_adds_the_mean_residual(case: tuple[ItemBank, list[int]]) -> None:
    table, answers = unpack(case)
    weights = weights_after(table, answers)
    expected = table.expected_score @ weights
    rows = np.flatnonzero(answers >= 0)
    residual = (table.scores[rows, answers[rows]] - expected[rows]).mean() if len(rows) else 0.0
    found = corrected_scores(table, weights[None], answers[None])[0]
    assert found == pytest.approx(np.clip(expected.mean() + residual, 0, 1))


def test_the_corrected_score_mends_a_wrong_bank_where_items_are_random() -> None:
    """All difficulties wrong by one logit: the model is off, the corrected score is not."""
    rng = np.random.default_rng(2)
    n, asked, agents = 200, 60, 300
    b = rng.normal(size=n)
    table = ItemBank(
        "wrong", tuple(Item(f"i{k}", "2pl", (1.0,), (-x,)) for k, x in enumerate(b))
    ).table
    # and abilities taken as known, so that they cannot make up for it
    weights = np.zeros((agents, len(table.nodes)))
    weights[:, 120] = 1.0
    right = (rng.random((agents, n)) < expit(1.0 - b)).astype(int)
    answers = np.full((agents, n), -1)
    for agent in range(agents):
        rows = rng.choice(n, asked, replace=False)
        answers[agent, rows] = right[agent, rows]
    truth = right.mean(axis=1)
    corrected = corrected_scores(table, weights, answers) - truth
    plain = predict_scores(table, weights, answers).mean - truth
    assert abs(corrected.mean()) < 0.01
    assert plain.mean() < -0.1
