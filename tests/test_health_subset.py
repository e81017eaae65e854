"""The choice of a part of a benchmark, and its check on agents held out."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from harness.bank import Item, ItemBank, compile_bank
from harness.errors import ResponsesError
from harness.health.better.greedy import Budget, Curves, curves_of, pick
from harness.health.better.held_out import (
    full_fold,
    quick_fold,
    random_subsets,
    rank_agreement,
    score_subsets,
    splits,
)
from harness.health.better.subset import analyse_subset, choose_subset, item_costs
from harness.health.evidence import Evidence, gather
from harness.irt import Array
from harness.report.health.subset import subset_section
from harness.responses import Responses, from_matrix
from harness.study.bootstrap import draw_weights, rank_correlations

NODES = np.linspace(-4, 4, 41)


def simulated(agents: int, items: int, seed: int = 0) -> tuple[ItemBank, Responses]:
    """A bank as real ones are, and outcomes on it."""
    rng = np.random.default_rng(seed)
    a, b = rng.lognormal(0.7, 0.35, items), rng.normal(0.2, 1.4, items)
    theta = rng.normal(size=(agents, 1))
    passed = rng.random((agents, items)) < 1 / (1 + np.exp(-a * (theta - b)))
    bank = ItemBank(
        "demo",
        tuple(
            Item(f"item{i}", "2pl", (float(a[i]),), (float(-a[i] * b[i]),)) for i in range(items)
        ),
    )
    return bank, from_matrix(passed.astype(float), n_categories=2)


def evidence_of(agents: int, items: int, seed: int = 0) -> Evidence:
    bank, responses = simulated(agents, items, seed)
    return gather(responses, bank)


def with_costs(evidence: Evidence, usd: Array, seconds: Array) -> Evidence:
    item = evidence.responses.item
    return replace(
        evidence, responses=replace(evidence.responses, usd=usd[item], seconds=seconds[item])
    )


def random_curves(seed: int, items: int) -> Curves:
    rng = np.random.default_rng(seed)
    a, b = rng.lognormal(0.7, 0.4, (items, 1)), rng.normal(0, 1.3, (items, 1))
    p = 1 / (1 + np.exp(-a * (NODES - b)))
    density = np.exp(-0.5 * (NODES - rng.normal()) ** 2)
    return Curves(NODES, density / density.sum(), p, a**2 * p * (1 - p), p * (1 - p), 1.0)


# --- choice -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=25)
def test_greedy_choice_is_close_to_the_best_of_all(seed: int, size: int) -> None:
    curves = random_curves(seed, 10)
    best = min(curves.score_variance(list(s)) for s in itertools.combinations(range(10), size))
    none = curves.score_variance([])
    found = none - curves.score_variance(pick(curves, Budget(tasks=size), "ranks"))
    assert found >= 0.95 * (none - best)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_choices_are_nested_and_first_is_best(seed: int) -> None:
    curves = random_curves(seed, 12)
    long = pick(curves, Budget(tasks=12), "ranks")
    assert sorted(long) == list(range(12))
    assert pick(curves, Budget(tasks=4), "ranks") == long[:4]
    assert long[0] == int(np.argmin([curves.score_variance([i]) for i in range(12)]))
    variances = [curves.score_variance(long[:k]) for k in range(13)]
    assert (np.diff(variances) < 0).all()


@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
@settings(max_examples=25)
def test_a_share_of_information_is_kept_by_the_fewest_items(seed: int, share: float) -> None:
    curves = random_curves(seed, 9)
    rows = pick(curves, Budget(share=share), "information")
    gain = curves.gain()
    assert gain[rows].sum() >= share - 1e-9
    fewer = itertools.combinations(range(9), len(rows) - 1)
    assert all(gain[list(s)].sum() < share - 1e-12 for s in fewer)


@given(st.integers(0, 10_000), st.floats(0.5, 8.0), st.sampled_from(["ranks", "information"]))
@settings(max_examples=30)
def test_a_budget_is_kept_and_used(seed: int, limit: float, aim: str) -> None:
    curves = random_curves(seed, 15)
    cost = np.random.default_rng(seed).uniform(0.3, 3.0, 15)
    rows = pick(curves, Budget(usd=limit), aim, [("dollars", cost, limit)])  # type: ignore[arg-type]
    spent = cost[rows].sum()
    assert spent <= limit + 1e-9
    left = np.setdiff1d(np.arange(15), rows)
    # nothing that is left could still be paid for
    assert (cost[left] > limit - spent - 1e-9).all()


def test_dear_items_give_way_to_cheap_ones_that_say_as_much() -> None:
    evidence = evidence_of(40, 20)
    one = evidence.bank.items[0]
    bank = replace(evidence.bank, items=tuple(replace(one, id=f"item{i}") for i in range(20)))
    usd = np.where(np.arange(20) % 2 == 0, 5.0, 1.0)
    alike = with_costs(gather(evidence.responses, bank), usd, 60 * usd)
    found = choose_subset(alike, Budget(usd=6.0))
    assert len(found.items) == 6
    assert all(pick.usd == 1.0 for pick in found.picks)
    assert found.usd == pytest.approx(6.0)
    assert found.minutes == pytest.approx(6.0)


def test_information_of_pass_or_fail_is_fishers() -> None:
    evidence = evidence_of(30, 12)
    curves = curves_of(evidence)
    table = compile_bank(evidence.bank, curves.nodes[:, None], uncertainty=False)
    inner = slice(1, -1)
    np.testing.assert_allclose(
        curves.information[:, inner], table.information[:, inner], rtol=0.08, atol=0.02
    )


def test_where_it_matters_decides() -> None:
    evidence = evidence_of(60, 80)
    means = []
    for where in ((-2.5, -1.5), (1.5, 2.5)):
        found = choose_subset(evidence, Budget(tasks=10), "information", where)
        means.append(np.mean([pick.difficulty for pick in found.picks]))
    assert means[0] < -1 < 1 < means[1]


def test_the_newest_agents_count_when_asked() -> None:
    evidence = evidence_of(60, 80)
    rank = np.argsort(np.argsort(evidence.ability))
    dates = tuple(f"2025-{1 + k // 28:02d}-{1 + k % 28:02d}" for k in rank)
    dated = replace(evidence, responses=replace(evidence.responses, date=dates))
    newest = choose_subset(dated, Budget(tasks=10), where="newest")
    every = choose_subset(dated, Budget(tasks=10))
    hard = [np.mean([pick.difficulty for pick in found.picks]) for found in (every, newest)]
    assert hard[1] > hard[0] + 0.3
    with pytest.raises(ResponsesError, match="no agent has a date"):
        choose_subset(evidence, Budget(tasks=10), where="newest")


def test_what_cannot_be_chosen_is_said() -> None:
    evidence = evidence_of(20, 10)
    with pytest.raises(ResponsesError, match="needs a limit"):
        Budget()
    with pytest.raises(ResponsesError, match="above 0"):
        Budget(tasks=0)
    with pytest.raises(ResponsesError, match="budget in dollars needs to know"):
        choose_subset(evidence, Budget(usd=5.0))
    with pytest.raises(ResponsesError, match="no ability lies"):
        choose_subset(evidence, Budget(tasks=5), where=(50.0, 60.0))
    priced = with_costs(evidence, np.full(10, 2.0), np.full(10, 60.0))
    with pytest.raises(ResponsesError, match="at least 2 dollars"):
        choose_subset(priced, Budget(usd=1.0))


def test_items_of_unknown_cost_cost_the_mean() -> None:
    usd = np.array([1.0, 3.0, *[np.nan] * 8])
    evidence = with_costs(evidence_of(20, 10), usd, np.full(10, np.nan))
    found = choose_subset(evidence, Budget(usd=4.0))
    assert len(found.picks) <= 3
    assert found.cautions == (
        "The cost in dollars of 8 of 10 tasks is unknown: each counts as the mean of the others, "
        "2.",
    )
    np.testing.assert_array_equal(item_costs(evidence)[0], usd)


# --- agents held out --------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(3, 12))
@settings(max_examples=25)
def test_rank_agreement_is_that_of_scipy_and_of_studies(seed: int, agents: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, (4, agents)).astype(float)
    y = rng.permutation(agents).astype(float)
    weights = draw_weights(agents, 5, seed)
    tau, rho = rank_agreement(weights, x, y)
    for column, values in enumerate(x):
        expected = rank_correlations(weights, values, y)
        np.testing.assert_allclose(rho[:, column], expected[0], atol=1e-5)
        np.testing.assert_allclose(tau[:, column], expected[1], atol=1e-5)
        if np.ptp(values) > 0:
            assert tau[0, column] == pytest.approx(kendalltau(values, y)[0])
            assert rho[0, column] == pytest.approx(spearmanr(values, y)[0])


def test_every_agent_is_held_out_once_a_repeat() -> None:
    found = splits(23, 4, 3, seed=1)
    assert len(found) == 12
    for repeat in range(3):
        part = np.concatenate(found[4 * repeat : 4 * repeat + 4])
        assert sorted(part) == list(range(23))


def test_the_quick_calibration_finds_the_curves() -> None:
    evidence = evidence_of(300, 60)
    fold = quick_fold(evidence, np.arange(20), "agents")
    truth = compile_bank(evidence.bank, fold.curves.nodes[:, None]).expected_score
    # abilities have mean 0 and sd 1 but for the draw of agents
    near = np.abs(fold.curves.nodes) < 1.5
    assert np.abs(fold.curves.expected - truth)[:, near].mean() < 0.03


def test_held_out_agents_have_no_say_in_the_choice() -> None:
    bank, responses = simulated(40, 30)
    test = np.arange(10)
    matrix = responses.matrix().astype(float)
    other = matrix.copy()
    other[test] = 1 - other[test]
    folds = [
        quick_fold(gather(from_matrix(m, n_categories=2), bank), test, "agents")
        for m in (matrix, other)
    ]
    # but for the nodes that the prior is read off; with their answers it would be far more
    np.testing.assert_allclose(folds[0].curves.expected, folds[1].curves.expected, atol=2e-3)
    np.testing.assert_array_equal(folds[0].middle, folds[1].middle)
    orders = [pick(fold.curves, Budget(tasks=10), "ranks") for fold in folds]
    assert orders[0] == orders[1]


def test_all_items_give_the_whole_score() -> None:
    evidence = evidence_of(30, 25)
    for fold in (quick_fold(evidence, np.arange(8), "agents"),):
        score = evidence.score[:8]
        found = score_subsets(fold, score, np.ones((1, 25), bool))
        np.testing.assert_allclose(found["mean"][0], score.mean(axis=1))
        np.testing.assert_allclose(found["predicted"][0], score.mean(axis=1), atol=1e-12)


def test_missing_cells_are_predicted() -> None:
    bank, responses = simulated(30, 25)
    matrix = responses.matrix().astype(float)
    matrix[:8, ::2] = np.nan
    evidence = gather(from_matrix(matrix, n_categories=2), bank)
    fold = quick_fold(evidence, np.arange(8), "agents")
    # a subset that nobody answered says what the population says
    chosen = np.zeros((2, 25), bool)
    chosen[0, ::2] = True
    chosen[1] = True
    found = score_subsets(fold, evidence.score[:8], chosen)
    assert np.ptp(found["predicted"][0]) < 1e-9
    assert np.isfinite(found["mean"]).all()
    brute = np.empty(8)
    for a in range(8):
        log = fold.log_prior + fold.cells[a].sum(axis=0)
        w = np.exp(log - log.max())
        expected = fold.curves.expected @ (w / w.sum())
        known = np.isfinite(evidence.score[a])
        brute[a] = np.where(known, np.nan_to_num(evidence.score[a]), expected).mean()
    np.testing.assert_allclose(found["predicted"][1], brute)


def test_random_subsets_are_of_the_pool_and_size() -> None:
    found = random_subsets(np.random.default_rng(0), [1, 3, 5, 7], 3, 50, 9)
    assert (found.sum(axis=1) == 3).all()
    assert found[:, [0, 2, 4, 6, 8]].sum() == 0
    assert found[:, [1, 3, 5, 7]].any(axis=0).all()
    assert (random_subsets(np.random.default_rng(0), [1, 3], 3, 5, 9).sum(axis=1) == 2).all()


def test_choosing_beats_drawing_on_held_out_agents() -> None:
    found = analyse_subset(evidence_of(80, 150), draws=30, sizes=(10, 30), resamples=50)
    for point in found.curve:
        assert point.gain.value is not None
        assert point.gain.value > 0.02
        assert point.beaten > 0.65
    first = found.curve[0].gain
    assert first.low is not None
    assert first.low > 0
    assert found.folds == 6
    assert found.curve[0].size == 10
    assert found.at(15) is not None
    again = analyse_subset(evidence_of(80, 150), draws=30, sizes=(10, 30), resamples=50)
    # NaN of unknown costs is not equal to itself
    assert again.curve == found.curve
    assert again.subset.items == found.subset.items


def test_a_full_calibration_agrees_with_the_quick_one() -> None:
    evidence = evidence_of(60, 25)
    test = np.arange(0, 60, 5)
    quick, full = quick_fold(evidence, test, "agents"), full_fold(evidence, test, "agents")
    assert full is not None
    at = full.curves.nodes
    near = np.abs(at) < 1.5
    between = np.array([np.interp(at, quick.curves.nodes, row) for row in quick.curves.expected])
    assert np.abs(between - full.curves.expected)[:, near].mean() < 0.03
    chosen = random_subsets(np.random.default_rng(0), np.arange(25), 10, 20, 25)
    pair = [
        score_subsets(fold, evidence.score[test], chosen)["predicted"] for fold in (quick, full)
    ]
    assert np.abs(pair[0] - pair[1]).mean() < 0.02


@pytest.mark.parametrize("agents", [2, 3, 5, 15])
def test_few_agents_are_said_to_be_few(agents: int) -> None:
    rng = np.random.default_rng(agents)
    matrix = rng.integers(0, 4, (agents, 12)).astype(float)
    matrix[:, 0], matrix[:, 1] = 0, 3  # never and always
    matrix[0, 2:6] = np.nan
    matrix[matrix == 1] = 0  # a category that nobody uses
    evidence = gather(from_matrix(matrix, n_categories=4))
    found = analyse_subset(evidence, Budget(tasks=5), draws=10, resamples=20)
    assert len(found.subset.items) == 5
    assert any(f"{agents} agents" in text for text in found.cautions)
    assert bool(found.curve) == (agents >= 8)
    section = subset_section(found, evidence)
    assert "5 of 12 tasks" in section.finding


def test_constant_outcomes_are_survived() -> None:
    for value in (0.0, 1.0):
        evidence = gather(from_matrix(np.full((12, 8), value), n_categories=2))
        found = analyse_subset(evidence, Budget(tasks=3), draws=5, resamples=10)
        assert len(found.subset.items) == 3
        assert subset_section(found, evidence).title


def test_trials_count() -> None:
    bank, responses = simulated(20, 12)
    again = np.repeat(np.arange(len(responses.agent)), 5)
    repeated = replace(
        responses,
        agent=responses.agent[again],
        item=responses.item[again],
        trial=np.tile(np.arange(5), len(responses.agent)),
        category=responses.category[again],
        usd=responses.usd[again],
        seconds=responses.seconds[again],
        tokens=responses.tokens[again],
        turns=responses.turns[again],
    )
    once, often = (curves_of(gather(r, bank)) for r in (responses, repeated))
    at = np.interp(0.0, once.nodes, once.information[0])
    assert np.interp(0.0, often.nodes, often.information[0]) == pytest.approx(5 * at, rel=0.05)
    found = analyse_subset(gather(repeated, bank), Budget(tasks=4), draws=5, resamples=10)
    assert found.curve


def test_tasks_that_only_held_out_agents_tried_are_said() -> None:
    bank, responses = simulated(24, 10)
    matrix = responses.matrix().astype(float)
    matrix[6:, 0] = np.nan
    evidence = gather(from_matrix(matrix, n_categories=2), bank)
    parts = [np.arange(6), np.arange(6, 12)]
    found = analyse_subset(
        evidence,
        Budget(tasks=3),
        calibration="full",
        held_out=parts,
        draws=5,
        resamples=10,
    )
    assert found.folds == 1
    assert any("1 of 2 parts of the agents" in text for text in found.cautions)
