"""Choosing a response model: scores, held-out predictions, and what is concluded from them."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit

from harness.bank import Item, ItemBank
from harness.calibrate import calibrate
from harness.calibrate.heldout import BASELINES
from harness.calibrate.metrics import (
    brier_scores,
    calibration_curve,
    clustered_mean,
    log_scores,
    mean_scores,
    ordering,
    ranked_probability_scores,
)
from harness.calibrate.validate import (
    By,
    Candidate,
    InSample,
    Validation,
    cross_validate,
)
from harness.cli.models import models as command
from harness.errors import BankError, HarnessError, PlanError, ResponsesError
from harness.report.models_page import render_models_page
from harness.responses import Responses, from_matrix, read_responses

Matrix = NDArray[np.float64]
BY: tuple[By, ...] = ("cell", "agent")

# --- data and candidates ----------------------------------------------------------------------


def repeated(matrices: list[NDArray[np.intp]], **how: Any) -> Responses:
    """Several trials of each cell, one a matrix."""
    each = [from_matrix(matrix, **how) for matrix in matrices]

    def joined(name: str) -> Any:
        return np.concatenate([getattr(r, name) for r in each])

    names = ("agent", "item", "category", "usd", "seconds", "tokens", "turns")
    trial = np.repeat(np.arange(len(each)), [len(r.trial) for r in each])
    return replace(each[0], trial=trial, **{name: joined(name) for name in names})


def share_bank(responses: Responses) -> ItemBank:
    """Partial credit items that reproduce the smoothed shares at ability 0; those seen only."""
    counts = responses.counts().sum(axis=0)
    items = []
    for i in np.flatnonzero(counts.sum(axis=1)):
        k = int(responses.n_categories[i])
        steps = np.diff(np.log(counts[i, :k] + 0.5))
        items.append(Item(responses.items[i], "gpcm", (1.0,), tuple(steps), categories=f"c{k}"))
    labels = {f"c{k}": tuple(map(str, range(k))) for k in set(responses.n_categories.tolist())}
    return ItemBank("shares", tuple(items), labels)


SHARES = Candidate("shares", share_bank)


def fixed(bank: ItemBank, name: str = "fixed") -> Candidate:
    return Candidate(name, lambda _: bank)


def irt_candidate(model: Any, **how: Any) -> Candidate:
    return Candidate(model, lambda r: calibrate(r, model, name=model, **how).bank)


def simulate(seed: int, agents: int, items: int, spread: float) -> NDArray[np.intp]:
    """Binary outcomes with an sd of ``spread`` between log slopes."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0.6, spread, items))
    z = a * (rng.standard_normal((agents, 1)) - rng.normal(0, 1, items))
    return (rng.random((agents, items)) < expit(z)).astype(np.intp)


def outcomes(draw: st.DrawFn) -> Responses:
    """Any small data: missing cells, repeated trials, different numbers of categories."""
    agents, items = draw(st.integers(3, 8)), draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(2, 4), min_size=items, max_size=items))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.3, 0.6]))
    trials = []
    for _ in range(draw(st.integers(1, 3))):
        matrix = rng.integers(0, sizes, (agents, items))
        matrix[rng.random(matrix.shape) < share] = -1
        # something is left of two agents at least
        matrix[:3, 0] = rng.integers(0, sizes[0], 3)
        trials.append(matrix)
    return repeated(trials, n_categories=sizes)


any_outcomes = st.composite(outcomes)()


def shuffled(responses: Responses, seed: int) -> Responses:
    """The same outcomes with rows, agents and items in another order."""
    rng = np.random.default_rng(seed)
    agents = [responses.agents[a] for a in rng.permutation(len(responses.agents))]
    items = [responses.items[i] for i in rng.permutation(len(responses.items))]
    moved = responses.subset(agents, items)
    rows = rng.permutation(len(moved.category))
    names = ("agent", "item", "trial", "category", "usd", "seconds", "tokens", "turns")
    return replace(moved, **{name: getattr(moved, name)[rows] for name in names})


# --- scores -----------------------------------------------------------------------------------


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Matrix, Matrix, NDArray[np.intp], NDArray[np.intp]]:
    """Predicted probabilities, counts, top categories and agents of a few cells."""
    cells, k = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top = rng.integers(1, k, cells)
    exists = np.arange(k) <= top[:, None]
    # few distinct values, so that there are ties
    raw = rng.integers(1, 4, (cells, k)) * exists
    counts = rng.integers(0, 3, (cells, k)) * exists
    counts[:, 0] += counts.sum(axis=1) == 0
    predicted = raw / raw.sum(axis=1, keepdims=True)
    return predicted, counts.astype(float), top, rng.integers(0, 3, cells)


@given(predictions())
def test_with_two_categories_the_ranked_score_is_briers(found: Any) -> None:
    predicted, counts, top, _ = found
    two = top == 1
    p, y = predicted[two, 1], counts[two]
    expected = y[:, 1] * (1 - p) ** 2 + y[:, 0] * p**2
    ranked = ranked_probability_scores(predicted, counts, top)[two]
    assert ranked == pytest.approx(expected)
    assert brier_scores(predicted, counts)[two] == pytest.approx(expected)


@given(predictions())
def test_scores_of_a_cell_are_sums_over_its_trials(found: Any) -> None:
    predicted, counts, top, _ = found
    for c in range(len(top)):
        log, brier, ranked = 0.0, 0.0, 0.0
        for k, times in enumerate(counts[c].astype(int)):
            happened = np.eye(counts.shape[1])[k]
            reach = [predicted[c, j:].sum() - (k >= j) for j in range(1, top[c] + 1)]
            log += times * math.log(predicted[c, k]) if times else 0.0
            brier += times * 0.5 * float(((predicted[c] - happened) ** 2).sum())
            ranked += times * float(np.mean(np.square(reach)))
        assert log_scores(predicted, counts)[c] == pytest.approx(log)
        assert brier_scores(predicted, counts)[c] == pytest.approx(brier)
        assert ranked_probability_scores(predicted, counts, top)[c] == pytest.approx(ranked)


@given(predictions(), st.integers(0, 2**32))
def test_no_prediction_beats_the_truth_on_average(found: Any, seed: int) -> None:
    predicted, _, top, _ = found
    raw = np.random.default_rng(seed).random(predicted.shape) * (predicted > 0)
    truth = raw / raw.sum(axis=1, keepdims=True)
    # scores are linear in the counts, so shares in place of counts give the expectation
    assert (log_scores(truth, truth) >= log_scores(predicted, truth) - 1e-12).all()
    assert (brier_scores(truth, truth) <= brier_scores(predicted, truth) + 1e-12).all()
    ranked = [ranked_probability_scores(p, truth, top) for p in (truth, predicted)]
    assert (ranked[0] <= ranked[1] + 1e-12).all()


@given(predictions())
def test_perfect_predictions_have_the_best_scores(found: Any) -> None:
    _, counts, top, agent = found
    happened = counts.argmax(axis=1)
    certain = np.eye(counts.shape[1])[happened]
    assert log_scores(certain, certain) == pytest.approx(0)
    assert brier_scores(certain, certain) == pytest.approx(0)
    assert ranked_probability_scores(certain, certain, top) == pytest.approx(0)
    auc = ordering(certain, certain, top, agent).auc()
    several = len(np.unique(happened / top)) > 1
    assert auc == pytest.approx(1.0) if several else math.isnan(auc)


@given(predictions())
def test_auc_counts_pairs(found: Any) -> None:
    predicted, counts, top, agent = found
    weights = np.array([2.0, 0.0, 1.0])
    guess = mean_scores(predicted, top)
    right = pairs = 0.0
    for c, d in np.ndindex(len(top), len(top)):
        for j, k in np.ndindex(*(counts.shape[1],) * 2):
            times = counts[c, j] * counts[d, k] * weights[agent[c]] * weights[agent[d]]
            if times and k / top[d] > j / top[c]:
                pairs += times
                right += times * (0.5 if guess[d] == guess[c] else float(guess[d] > guess[c]))
    auc = ordering(predicted, counts, top, agent).auc(weights)
    assert auc == pytest.approx(right / pairs) if pairs else math.isnan(auc)


def test_auc_is_that_of_mann_and_whitney() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(3)
    p = rng.integers(1, 20, 400) / 20
    y = rng.random(400) < p
    auc = ordering(
        np.stack([1 - p, p], axis=1),
        np.stack([~y, y], axis=1).astype(float),
        np.ones(400, np.intp),
        np.zeros(400, np.intp),
    ).auc()
    u = mannwhitneyu(p[y], p[~y]).statistic
    assert auc == pytest.approx(u / (y.sum() * (~y).sum()))


@given(predictions())
def test_a_calibration_curve_holds_every_trial_once(found: Any) -> None:
    predicted, counts, top, agent = found
    curve = calibration_curve(predicted, counts, top, agent)
    trials = sum(b.trials for b in curve)
    assert trials == counts.sum()
    observed = sum(b.observed * b.trials for b in curve) / trials
    assert observed == pytest.approx(mean_scores(counts, top).sum() / trials)
    for b in curve:
        assert 0 <= b.low <= b.observed + 1e-9
        assert b.observed - 1e-9 <= b.high <= 1


def test_the_interval_of_a_bin_is_wilsons_for_independent_trials_and_wider_for_others() -> None:
    from scipy.stats import binomtest

    n, passed = 200, 61
    y = np.arange(n) < passed
    predicted = np.tile([0.65, 0.35], (n, 1))
    counts = np.stack([~y, y], axis=1).astype(float)
    top = np.ones(n, np.intp)
    (alone,) = calibration_curve(predicted, counts, top, np.arange(n))
    expected = binomtest(passed, n).proportion_ci(0.9, method="wilson")
    assert (alone.low, alone.high) == pytest.approx((expected.low, expected.high), abs=5e-4)
    (together,) = calibration_curve(predicted, counts, top, np.arange(n) // 20)
    assert together.high - together.low > 2 * (alone.high - alone.low)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.integers(1, 5))
def test_an_error_over_agents_does_not_shrink_with_more_cells_alike(
    values: list[float], times: int
) -> None:
    one = np.array(values)
    agent = np.arange(len(one))
    alone = clustered_mean(one, np.ones(len(one)), agent)
    assert alone.value == pytest.approx(one.mean())
    assert alone.error == pytest.approx(one.std(ddof=1) / math.sqrt(len(one)), abs=1e-12)
    more = np.repeat(one, times)
    again = clustered_mean(more, np.ones(len(more)), np.repeat(agent, times))
    assert again.error == pytest.approx(alone.error, abs=1e-12)


# --- what is held out -------------------------------------------------------------------------


@given(any_outcomes, st.sampled_from(BY), st.integers(2, 9), st.integers(0, 99))
def test_every_cell_is_left_out_of_exactly_one_calibration(
    responses: Responses, by: By, folds: int, seed: int
) -> None:
    parts: list[set[tuple[str, str]]] = []

    def spy(part: Responses) -> ItemBank:
        rows = zip(part.agent, part.item, strict=True)
        parts.append({(part.agents[a], part.items[i]) for a, i in rows})
        assert {name for name, _ in parts[-1]} == set(part.agents)
        return share_bank(part)

    found = cross_validate(responses, [Candidate("spy", spy)], by=by, folds=folds, seed=seed)
    cells = found.cells
    every = {
        (cells.agents[a], cells.items[i]) for a, i in zip(cells.agent, cells.item, strict=True)
    }
    assert len(parts) == found.folds <= folds
    for cell in every:
        assert sum(cell not in part for part in parts) == 1
    if by == "agent":
        for agent in {name for name, _ in every}:
            assert sum(all(name != agent for name, _ in part) for part in parts) == 1


@given(any_outcomes, st.sampled_from(BY), st.integers(0, 99))
def test_scores_are_finite_and_probabilities_sum_to_one(
    responses: Responses, by: By, seed: int
) -> None:
    found = cross_validate(responses, [SHARES], by=by, folds=3, seed=seed)
    assert [result.name for result in found.results] == ["shares", *BASELINES]
    for result in found.results:
        assert np.isfinite(result.log_score).all()
        assert (result.log_score <= 1e-12).all()
        assert result.predicted.sum(axis=1) == pytest.approx(1.0)
        m = result.metrics
        assert 0 <= m.ranked_probability_score <= 1
        assert 0 <= m.brier <= 1
        assert 0 <= m.calibration_error <= 1
    json.dumps(found.summary(), allow_nan=False)


@settings(max_examples=25)
@given(any_outcomes, st.sampled_from(BY), st.integers(0, 99))
def test_the_order_of_the_data_is_irrelevant(responses: Responses, by: By, seed: int) -> None:
    def scores(data: Responses) -> tuple[Validation, dict[tuple[str, str, str], float]]:
        found = cross_validate(data, [SHARES], by=by, folds=3, seed=seed)
        cells = found.cells
        return found, {
            (result.name, cells.agents[a], cells.items[i]): float(score)
            for result in found.results
            for a, i, score in zip(cells.agent, cells.item, result.log_score, strict=True)
        }

    (one, here), (other, there) = scores(responses), scores(shuffled(responses, seed))
    assert here == pytest.approx(there)
    gaps = [found.difference("shares", "both") for found in (one, other)]
    assert gaps[0].log_score.error == pytest.approx(gaps[1].log_score.error, nan_ok=True)
    assert one["item"].metrics.auc == pytest.approx(other["item"].metrics.auc, nan_ok=True)


# --- predictions against independent computations ---------------------------------------------

TWO_PL = ItemBank(
    "two",
    tuple(Item(f"item{n}", "2pl", (a,), (d,)) for n, (a, d) in enumerate([(1.5, 0.3), (0.7, -1)])),
    mean=(0.2,),
    sd=(1.3,),
)


def integral(function: Callable[[float], float]) -> float:
    """Mean of a function of ability over the population of ``TWO_PL``."""
    from scipy.integrate import quad

    def weighted(x: float) -> float:
        return function(0.2 + 1.3 * x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    return float(quad(weighted, -8, 8, epsabs=1e-13, limit=200)[0])


def chance(item: Item, theta: float, counts: tuple[int, int], effect: float = 0.0) -> float:
    z = item.slopes[0] * theta + item.intercepts[0] + effect
    return float(expit(-z) ** counts[0] * expit(z) ** counts[1])


@pytest.mark.parametrize("by", BY)
def test_a_cell_is_predicted_from_the_posterior_of_the_others(by: By) -> None:
    # an item to a fold or part, so that each is predicted from the other
    responses = from_matrix(np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [0, 1]]))
    first, second = TWO_PL.items
    for seed in range(30):
        found = cross_validate(responses, [fixed(TWO_PL)], by=by, folds=6, seed=seed)
        predicted = found["fixed"].predicted
        for agent, (x, y) in enumerate(responses.matrix()):
            one = [(1, 0), (0, 1)][x], [(1, 0), (0, 1)][y]
            both = integral(lambda t, c=one: chance(first, t, c[0]) * chance(second, t, c[1]))
            alone = integral(lambda t, c=one: chance(first, t, c[0]))
            given_nothing, given_first = predicted[2 * agent], predicted[2 * agent + 1, y]
            # both cells may fall into one part, which is then predicted from the prior
            prior = integral(lambda t, c=one: chance(second, t, c[1]))
            assert min(abs(given_first - p) for p in (both / alone, prior)) < 1e-6
            assert given_nothing.sum() == pytest.approx(1)
    if by == "agent":
        likelihood = found["fixed"].agent_log_likelihood
        assert likelihood is not None
        for agent, (x, y) in enumerate(responses.matrix()):
            c = [(1, 0), (0, 1)][x], [(1, 0), (0, 1)][y]
            both = integral(lambda t, c=c: chance(first, t, c[0]) * chance(second, t, c[1]))
            assert likelihood[agent] == pytest.approx(math.log(both), abs=1e-6)
    else:
        assert found["fixed"].agent_log_likelihood is None


@pytest.mark.parametrize("effect_sd", [0.4, 1.5, 3.0])
def test_trials_of_a_cell_share_its_effect(effect_sd: float) -> None:
    from scipy.integrate import quad

    item = replace(TWO_PL.items[0], effect_sd=effect_sd)
    bank = replace(TWO_PL, items=(item,))
    matrices = [np.array([[1], [0], [1]]), np.array([[1], [0], [0]]), np.array([[1], [0], [1]])]
    found = cross_validate(repeated(matrices), [fixed(bank)], by="cell", folds=3)

    def mixture(theta: float, counts: tuple[int, int]) -> float:
        def weighted(u: float) -> float:
            density = math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
            return chance(item, theta, counts, effect_sd * u) * density

        return float(quad(weighted, -8, 8, epsabs=1e-11)[0])

    for cell, counts in enumerate([(0, 3), (3, 0), (1, 2)]):
        expected = integral(lambda t, c=counts: mixture(t, c))
        assert found["fixed"].log_score[cell] == pytest.approx(math.log(expected), abs=1e-5)


def test_the_joint_probabilities_of_a_cell_sum_to_one() -> None:
    """Over all that two trials of a three-category item can give, with an effect."""
    item = Item("item0", "grm", (1.2,), (0.5, -0.8), categories="three", effect_sd=1.0)
    bank = ItemBank("b", (item,), {"three": ("0", "1", "2")})
    total = 0.0
    for x in range(3):
        for y in range(3):
            trials = [np.array([[x], [0], [1]]), np.array([[y], [0], [1]])]
            data = repeated(trials, n_categories=3)
            total += math.exp(cross_validate(data, [fixed(bank)], folds=3)["fixed"].log_score[0])
    assert total == pytest.approx(1.0, abs=1e-6)


def test_an_item_without_outcomes_left_is_predicted_from_the_population_of_items() -> None:
    # item2 has one cell, so no calibration that predicts it has seen it
    matrix = np.array([[1, 0, 1], [1, 1, -1], [0, 0, -1], [1, 0, -1]])
    responses = from_matrix(matrix, n_categories=2)
    found = cross_validate(responses, [fixed(TWO_PL)], by="cell", folds=4)
    cell = int(np.flatnonzero(found.cells.item == 2)[0])
    p = found["fixed"].predicted[cell, 1]
    assert found["fixed"].unplaced == found["item"].unplaced == 1
    # between what the two known items would give, as it is their mean given the agent
    first, second = (integral(lambda t, i=item: chance(i, t, (0, 1))) for item in TWO_PL.items)
    assert min(first, second) - 0.2 < p < max(first, second) + 0.2
    assert 0 < found["item"].predicted[cell, 1] < 1


def test_an_unknown_kind_of_item_is_predicted_evenly() -> None:
    matrix = np.array([[1, 3], [1, -1], [0, -1]])
    responses = from_matrix(matrix, n_categories=[2, 4])
    found = cross_validate(responses, [SHARES], folds=3)
    cell = int(np.flatnonzero(found.cells.item == 1)[0])
    assert found["shares"].predicted[cell] == pytest.approx(0.25)
    assert found["shares"].log_score[cell] == pytest.approx(math.log(0.25))
    assert found["item"].predicted[cell] == pytest.approx(0.25)


def test_baselines_are_smoothed_shares_and_both_adds_their_logits() -> None:
    responses = from_matrix(np.random.default_rng(1).integers(0, 2, (12, 9)))
    parts: list[Responses] = []

    def spy(part: Responses) -> ItemBank:
        parts.append(part)
        return share_bank(part)

    found = cross_validate(responses, [Candidate("spy", spy)], by="cell", folds=4)

    def share(part: Responses, rows: NDArray[np.bool_], base: float) -> float:
        return float((part.category[rows].sum() + base) / (rows.sum() + 1))

    for cell, (agent, item) in enumerate(zip(found.cells.agent, found.cells.item, strict=True)):
        where = [
            (part, part.agent == part.agents.index(f"agent{agent}"), part.item == item)
            for part in parts
        ]
        ((part, its, of),) = [found for found in where if not (found[1] & found[2]).any()]
        overall = share(part, np.ones(len(its), bool), 0.5)
        by_item, by_agent = share(part, of, overall), share(part, its, overall)
        both = expit(logit(by_item) + logit(by_agent) - logit(overall))
        expected = dict(zip(BASELINES, (by_item, by_agent, both), strict=True))
        for name in BASELINES:
            assert found[name].predicted[cell, 1] == pytest.approx(expected[name])


def test_many_trials_sharpen_the_posterior_beyond_the_default_nodes() -> None:
    """400 trials of one informative item: the posterior is far narrower than 0.05."""
    item = Item("item0", "2pl", (4.0,), (0.0,))
    other = Item("item1", "2pl", (4.0,), (0.0,))
    bank = ItemBank("sharp", (item, other))
    half = [np.full((3, 2), k % 2) for k in range(4000)]
    found = cross_validate(repeated(half), [fixed(bank)], by="cell", folds=3)
    assert found["fixed"].predicted == pytest.approx(0.5, abs=0.01)


# --- conclusions ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("seed", range(2))
def test_unequal_slopes_are_found(by: By, seed: int) -> None:
    data = from_matrix(simulate(seed, 120, 30, spread=0.8))
    found = cross_validate(data, [irt_candidate("1pl"), irt_candidate("2pl")], by=by, folds=3)
    assert found.difference("2pl", "1pl").log_score.positive
    assert found.recommended == "2pl"
    assert found.sentence.startswith("Use 2pl: on 3,600 ")
    assert "above 1pl, the next best, and" in found.sentence


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("seed", range(2))
def test_equal_slopes_are_left_equal(by: By, seed: int) -> None:
    data = from_matrix(simulate(seed, 120, 30, spread=0.0))
    found = cross_validate(data, [irt_candidate("1pl"), irt_candidate("2pl")], by=by, folds=3)
    assert found.recommended == "1pl"
    assert found.sentence.startswith("Use 1pl: ")


def test_without_ability_no_model_is_recommended() -> None:
    rng = np.random.default_rng(4)
    share = rng.uniform(0.2, 0.8, 30)
    data = from_matrix((rng.random((60, 30)) < share).astype(int))
    wrong = ItemBank(
        "wrong", tuple(Item(f"item{i}", "2pl", (2.0,), (-logit(p),)) for i, p in enumerate(share))
    )
    found = cross_validate(data, [fixed(wrong, "wrong")])
    assert found.recommended is None
    assert found.sentence.startswith("Use none of these yet: on 1,800 held-out cells no model")
    assert "nats a cell below it" in found.sentence
    assert found.summary()["reference"] == "wrong"


@pytest.mark.parametrize("seed", range(3))
def test_trials_that_share_an_effect_are_told_from_independent_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, d, effect_sd = np.exp(rng.normal(0, 0.3, 25)), rng.normal(0, 1, 25), 1.2
    z = a * rng.standard_normal((80, 1)) + d + effect_sd * rng.standard_normal((80, 25))
    trials = [(rng.random(z.shape) < expit(z)).astype(int) for _ in range(5)]
    items = tuple(Item(f"item{i}", "2pl", (a[i],), (d[i],)) for i in range(25))
    plain = ItemBank("plain", items)
    truth = ItemBank("truth", tuple(replace(item, effect_sd=effect_sd) for item in items))
    found = cross_validate(
        repeated(trials), [fixed(plain, "plain"), fixed(truth, "effect")], by="cell"
    )
    gap = found.difference("effect", "plain")
    assert gap.log_score.positive
    assert gap.log_score.value > 0.1
    assert found.recommended == "effect"


def test_one_agent_leaves_differences_without_error() -> None:
    data = from_matrix(np.array([[0, 1, 1, 0, 1, 1]]))
    six = ItemBank("six", tuple(Item(f"item{i}", "1pl", (1.0,), (0.5,)) for i in range(6)))
    found = cross_validate(data, [fixed(six)], by="cell", folds=2)
    assert math.isnan(found.difference("fixed", "both").log_score.error)
    assert found.recommended is None
    assert "of one agent, so of unknown error" in found.sentence
    assert found.summary()["differences"][0]["log_score"]["error"] is None


def test_the_bootstrap_of_the_auc_is_as_wide_as_the_spread_of_new_agents() -> None:
    """The mean standard error of 30 data sets against the sd of their differences, within 40%:
    that sd itself is uncertain by 13%."""
    rng = np.random.default_rng(0)
    a, d = np.exp(rng.normal(0, 0.5, 12)), rng.normal(0, 1.2, 12)
    one = ItemBank("a", tuple(Item(f"item{i}", "2pl", (a[i],), (d[i],)) for i in range(12)))
    flat = ItemBank("b", tuple(replace(item, slopes=(1.0,)) for item in one.items))

    def difference(seed: int) -> Any:
        draw = np.random.default_rng(seed)
        z = a * draw.standard_normal((40, 1)) + d
        data = from_matrix((draw.random(z.shape) < expit(z)).astype(int), n_categories=2)
        return cross_validate(data, [fixed(one, "a"), fixed(flat, "b")]).difference("a", "b").auc

    found = [difference(seed) for seed in range(30)]
    spread = np.std([gap.value for gap in found], ddof=1)
    assert np.mean([gap.error for gap in found]) == pytest.approx(spread, rel=0.4)


def test_fit_to_all_of_the_data_is_reported() -> None:
    fit = InSample(-50.0, 4, 12)
    assert (fit.aic, fit.bic) == pytest.approx((108.0, 100 + 4 * math.log(12)))
    data = from_matrix(np.random.default_rng(0).integers(0, 2, (12, 5)))
    found = cross_validate(data, [replace(SHARES, in_sample=lambda _: fit)])
    facts = found.summary()["results"][0]["in_sample"]
    assert (facts["aic"], facts["parameters"]) == (108.0, 4)


def test_calibrations_that_did_not_converge_are_counted() -> None:
    data = from_matrix(np.random.default_rng(0).integers(0, 2, (12, 5)))

    def loose(part: Responses) -> ItemBank:
        return replace(share_bank(part), provenance={"fit": {"converged": False}})

    found = cross_validate(data, [Candidate("loose", loose), SHARES], folds=4)
    assert (found["loose"].unconverged, found["shares"].unconverged) == (4, 0)


def test_progress_counts_calibrations() -> None:
    seen: list[tuple[int, int]] = []
    data = from_matrix(np.random.default_rng(0).integers(0, 2, (12, 5)))
    one, two = SHARES, replace(SHARES, name="again")
    cross_validate(
        data, [one, two], folds=3, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 6) for done in range(1, 7)]


# --- what cannot be done ----------------------------------------------------------------------

DATA = from_matrix(np.array([[0, 1], [1, 1], [1, 0]]))


@pytest.mark.parametrize(
    ("candidates", "folds", "message"),
    [
        ([], 5, "name at least one"),
        ([SHARES, SHARES], 5, "two predictors are called 'shares'"),
        ([replace(SHARES, name="both")], 5, "two predictors are called 'both'"),
        ([SHARES], 1, "take 2 or more"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(
    candidates: list[Candidate], folds: int, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        cross_validate(DATA, candidates, folds=folds)


def test_data_that_leave_nothing_to_calibrate_on_are_refused() -> None:
    one = DATA.subset(agents=["agent0"])
    with pytest.raises(ResponsesError, match="bring more agents"):
        cross_validate(one, [SHARES], by="agent")
    with pytest.raises(ResponsesError, match="bring more cells"):
        cross_validate(one.subset(items=["item0"]), [SHARES], by="cell")
    with pytest.raises(ResponsesError, match="no outcome to hold out"):
        cross_validate(from_matrix(np.array([[-1.0]])), [SHARES])


def test_a_failing_calibration_names_the_model_and_the_part() -> None:
    def refuse(_: Responses) -> ItemBank:
        raise ResponsesError("too few agents")

    with pytest.raises(
        ResponsesError, match=r"odd, without fold 1 of 3 by agent .*: too few agents"
    ):
        cross_validate(DATA, [Candidate("odd", refuse)], by="agent")

    def refuse_all(_: Responses) -> InSample:
        raise ResponsesError("no common scale")

    with pytest.raises(ResponsesError, match=r"^odd: no common scale$"):
        cross_validate(DATA, [Candidate("odd", refuse, refuse_all)])


def test_a_bank_with_other_categories_is_refused() -> None:
    bank = share_bank(from_matrix(np.array([[0, 2], [1, 1]])))
    with pytest.raises(BankError, match="gives item 'item0' 3 categories, the responses 2"):
        cross_validate(DATA, [fixed(bank)])


# --- command and page -------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Binary outcomes of 30 agents on 8 items."""
    matrix = simulate(0, 30, 8, spread=0.5)
    path = tmp_path / "responses.csv"
    rows = [f"a{a},i{i},{matrix[a, i]}" for a, i in np.ndindex(matrix.shape)]
    path.write_text("agent,item,category\n" + "\n".join(rows) + "\n")
    return path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(command, [str(a) for a in arguments])


def test_the_command_says_which_model_to_use(table: Path, tmp_path: Path) -> None:
    out, facts = tmp_path / "pages" / "models.html", tmp_path / "models.json"
    done = invoke(table, "--models", "2pl,1pl", "--folds", 3, "--out", out, "--json", facts)
    assert done.exit_code == 0, done.output
    assert "held-out cells, 3 calibrations of each model" in done.output
    assert "cells of held-out agents" in done.output
    assert len(re.findall(r"^Use ", done.output, re.MULTILINE)) == 2
    found = json.loads(facts.read_text())
    assert [v["by"] for v in found["validations"]] == ["cell", "agent"]
    # simplest first, whatever the order they were named in
    names = [r["name"] for r in found["validations"][0]["results"]]
    assert names == ["1pl", "2pl", *BASELINES]
    for result in found["validations"][0]["results"][:2]:
        assert result["in_sample"]["agents"] == 30
    for validation in found["validations"]:
        assert validation["sentence"] in " ".join(done.output.split())
    assert out.read_text(encoding="utf-8") == render_models_page(found)


def test_json_alone_goes_to_stdout(table: Path) -> None:
    done = CliRunner().invoke(command, [str(table), "-m", "1pl", "--by", "cell", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["validations"][0]["cells"] == 240


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (["a,i,0,0", "b,i,0,1"], ["1pl", "2pl"]),
        (["a,i,0,0", "a,i,1,1", "b,i,0,1"], ["1pl", "1pl+effect", "2pl", "2pl+effect"]),
        (["a,i,0,0", "b,i,0,2"], ["pcm", "gpcm", "grm"]),
    ],
)
def test_models_that_suit_the_data_are_the_default(
    rows: list[str], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "responses.csv"
    path.write_text("\n".join(["agent,item,trial,category", *rows]) + "\n")

    def spy(_: Responses, candidates: list[Candidate], **how: object) -> Validation:
        raise PlanError(",".join(candidate.name for candidate in candidates))

    monkeypatch.setattr("harness.calibrate.validate.cross_validate", spy)
    done = invoke(path)
    assert str(done.exception) == ",".join(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "5pl"], "unknown model '5pl'; known: 1pl"),
        (["--models", "1pl,1pl"], "two predictors are called '1pl'"),
        (["--models", ""], "unknown model ''"),
        (["--by", "item"], "--by takes cell, agent"),
        (["--by", "cell,cell"], "--by takes cell, agent"),
        (["--models", "2pl+effect", "--by", "cell"], "2pl"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    table: Path, arguments: list[str], message: str
) -> None:
    done = invoke(table, *arguments)
    assert isinstance(done.exception, HarnessError)
    assert message in str(done.exception)


def test_a_page_that_cannot_be_written_is_an_error(table: Path) -> None:
    done = invoke(table, "-m", "1pl", "--by", "cell", "--folds", 2, "--out", table / "page.html")
    assert isinstance(done.exception, HarnessError)
    assert "the page cannot be written" in str(done.exception)


class _Tags(HTMLParser):
    """Tags that are open at the end, and whatever would be loaded from elsewhere."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_harmless() -> None:
    data = from_matrix(simulate(1, 20, 6, 0.3))
    hostile = "<script>alert(1)</script>"
    found = cross_validate(data, [replace(SHARES, name=hostile), SHARES], folds=3)
    page = render_models_page(
        {
            "source": hostile,
            "sha256": "",
            "agents": 20,
            "items": 6,
            "missing": 0.0,
            "version": "1",
            "validations": [found.summary()],
        }
    )
    assert "<script" not in page
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loaded == []
    assert page.count("<svg") == 2 + len(found.results)


# --- real outcomes ----------------------------------------------------------------------------


@pytest.mark.slow
def test_real_outcomes_are_predicted_better_than_by_any_baseline(shared_data: Path) -> None:
    data = read_responses(shared_data / "terminal_bench_2" / "responses.csv.gz")
    for by in BY:
        found = cross_validate(
            data, [irt_candidate(m, dispersion=False) for m in ("1pl", "2pl")], by=by
        )
        assert found.recommended is not None
        for name in BASELINES:
            assert found.difference(found.recommended, name).auc.positive
