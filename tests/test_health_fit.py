"""Fit statistics and reliability: identities, brute force, calibration, and what is planted."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ResponsesError
from harness.health.evidence import Evidence, gather
from harness.health.items.item_fit import analyse_item_fit
from harness.health.items.mean_squares import mean_squares
from harness.health.items.sum_score_fit import SMALLEST_EXPECTED, sum_score_fit
from harness.health.items.sum_scores import given_sum, rest_scores, sum_scores
from harness.health.structure.model_fit import analyse_model_fit, limited_fit
from harness.health.structure.reliability import (
    ENOUGH,
    alpha,
    analyse_reliability,
    empirical_reliability,
    information_of_test,
    marginal_reliability,
    omega,
)
from harness.irt import Array
from harness.report.health.fit import item_fit_section, model_fit_section
from harness.report.health.reliability import reliability_section
from harness.responses import from_matrix


def probabilities(rng: np.random.Generator, n_categories: list[int], nodes: int) -> Array:
    """Any categories, not those of a model."""
    p = np.zeros((len(n_categories), max(n_categories), nodes))
    for item, k in enumerate(n_categories):
        p[item, :k] = rng.dirichlet(np.ones(k), nodes).T
    return p


def drawn(
    seed: int, agents: int, items: int, plateau: int = 0, top: float = 0.5
) -> tuple[Evidence, Array]:
    """Outcomes of the 2PL as real banks have it; the able fail the first items at random."""
    rng = np.random.default_rng(seed)
    a, b = np.exp(0.7 + 0.35 * rng.standard_normal(items)), 0.2 + 1.4 * rng.standard_normal(items)
    a[:plateau], b[:plateau] = 2.5, -1.0
    ability = rng.standard_normal(agents)
    p = 1 / (1 + np.exp(-a * (ability[:, None] - b)))
    p[:, :plateau] *= np.where(ability[:, None] > 0.3, top, 1.0)
    return gather(from_matrix((rng.random(p.shape) < p).astype(int))), ability


@pytest.fixture(scope="module")
def clean() -> Evidence:
    return drawn(3, 60, 80)[0]


# --- sum scores -------------------------------------------------------------------------------

items_of = st.lists(st.integers(2, 4), min_size=1, max_size=5)


@given(items_of, st.integers(0, 99))
def test_sum_scores_are_those_of_all_patterns(n_categories: list[int], seed: int) -> None:
    p = probabilities(np.random.default_rng(seed), n_categories, 3)
    expected = np.zeros((sum(n_categories) - len(n_categories) + 1, 3))
    for pattern in itertools.product(*(range(k) for k in n_categories)):
        expected[sum(pattern)] += np.prod([p[i, k] for i, k in enumerate(pattern)], axis=0)
    np.testing.assert_allclose(sum_scores(p, np.array(n_categories)), expected, atol=1e-14)


@given(items_of, st.integers(0, 99))
def test_rest_scores_leave_one_item_out(n_categories: list[int], seed: int) -> None:
    k = np.array(n_categories)
    p = probabilities(np.random.default_rng(seed), n_categories, 2)
    found = list(rest_scores(p, k))
    assert [item for item, _ in found] == list(range(len(k)))
    for item, rest in found:
        others = np.delete(np.arange(len(k)), item)
        np.testing.assert_allclose(rest, sum_scores(p[others], k[others]), atol=1e-14)


@given(st.lists(st.integers(2, 4), min_size=2, max_size=5), st.integers(0, 99))
def test_given_sum_adds_up_to_the_sum(n_categories: list[int], seed: int) -> None:
    """Over items, the expected categories of agents of one sum score add up to it."""
    k = np.array(n_categories)
    p = probabilities(np.random.default_rng(seed), n_categories, 3)
    found = given_sum(p, k, np.array([0.2, 0.5, 0.3]))
    np.testing.assert_allclose(found.sum(axis=2), 1.0)
    total = (found @ np.arange(found.shape[2])).sum(axis=0)
    np.testing.assert_allclose(total, np.arange(found.shape[1]), atol=1e-12)


# --- S-X² -------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(2, 4), st.integers(1, 30), st.integers(0, 999))
def test_merged_cells_expect_enough_and_lose_nobody(
    scores: int, k: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    agents = rng.integers(0, most + 1, scores)
    share = rng.dirichlet(np.ones(k), scores)
    observed = np.array([rng.multinomial(n, p) for n, p in zip(agents, share, strict=True)], float)
    expected = share * agents[:, None]
    found = sum_score_fit(observed, expected, 0)
    inside = found.cells >= 0
    assert not observed[~inside].any()
    if inside.any():
        sums = np.bincount(found.cells[inside], expected[inside])
        if len(sums) > 1:
            assert sums.min() >= SMALLEST_EXPECTED - 1e-9
        assert found.cells[inside].max() + 1 == len(np.unique(found.cells[inside]))
    # no cell reaches over a gap of sum scores that somebody has
    for cell in np.unique(found.cells[inside]):
        rows = np.flatnonzero((found.cells == cell).any(axis=1))
        between = np.flatnonzero(agents[rows[0] : rows[-1] + 1] > 0) + rows[0]
        assert set(between) <= set(rows)


def test_s_x2_of_known_parameters_is_chi_squared() -> None:
    """Fifty agents a sum score: p-values of simulated items are uniform."""
    rng = np.random.default_rng(1)
    share = np.stack([np.linspace(0.8, 0.2, 9), np.linspace(0.2, 0.8, 9)], axis=1)
    p = []
    for _ in range(600):
        right = rng.binomial(50, share[:, 1])
        p.append(sum_score_fit(np.stack([50 - right, right], 1) * 1.0, 50 * share, 0).p)
    assert np.mean(p) == pytest.approx(0.5, abs=0.04)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.025)


# --- infit and outfit -------------------------------------------------------------------------


def test_mean_squares_are_one_where_the_model_is_true() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.95, (4000, 30))
    residual = (rng.random(p.shape) < p) - p
    variance = p * (1 - p)
    fourth = variance * (1 - 3 * variance)
    found = mean_squares(residual, variance, fourth)
    assert found.infit.mean() == pytest.approx(1, abs=0.01)
    assert found.outfit.mean() == pytest.approx(1, abs=0.02)
    for z in (found.z_infit, found.z_outfit):
        assert z.std() == pytest.approx(1, abs=0.35)
        assert abs(z.mean()) < 0.6


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_missing_cells_are_as_if_they_were_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 0.9, (20, 1))
    residual = (rng.random(p.shape) < p) - p
    residual[::3] = np.nan
    kept = np.isfinite(residual[:, 0])
    whole = mean_squares(residual, p * (1 - p), p)
    part = mean_squares(residual[kept], (p * (1 - p))[kept], p[kept])
    assert whole.infit == pytest.approx(part.infit)
    assert whole.z_outfit == pytest.approx(part.z_outfit)


# --- the analysis of items --------------------------------------------------------------------


def test_clean_items_are_hardly_ever_flagged(clean: Evidence) -> None:
    found = [analyse_item_fit(e) for e in (clean, drawn(4, 60, 80)[0])]
    assert sum(len(one.flags) for one in found) <= 4
    p = np.array([item.p for one in found for item in one.items])
    assert np.nanmean(p < 0.05) < 0.09
    # the χ² of textbooks is close for S-X², the z of infit is far too narrow
    z = np.array([item.z_infit for one in found for item in one.items])
    assert np.nanstd(z) < 0.85


def test_a_short_test_is_not_judged_by_infit() -> None:
    """Each answer moves the ability it is judged by, so that infit is off."""
    flags = 0
    for seed in range(4):
        found = analyse_item_fit(drawn(seed, 100, 10)[0])
        assert "infit is shown" in found.cautions[0]
        flags += len(found.flags)
    assert flags <= 1


def test_broken_items_are_flagged_with_their_shape() -> None:
    evidence, _ = drawn(5, 150, 100, plateau=5, top=0.4)
    found = analyse_item_fit(evidence)
    named = {flag.names[0]: flag for flag in found.flags}
    planted = {f"item{i}" for i in range(5)}
    assert len(planted & set(named)) >= 4
    assert len(set(named) - planted) <= 2
    assert {curve.item for curve in found.curves[:4]} <= planted
    shapes = [item.shape for item in found.items if item.item in planted]
    assert shapes.count("upper plateau") >= 4
    for name in planted & set(named):
        flag = named[name]
        assert flag.low <= flag.estimate <= flag.high
    assert sum("able agents fail it" in flag.evidence for flag in found.flags) >= 3


def test_curves_hold_every_agent_once(clean: Evidence) -> None:
    for curve in analyse_item_fit(clean).curves:
        assert sum(group.agents for group in curve.groups) == 60
        assert [g.ability for g in curve.groups] == sorted(g.ability for g in curve.groups)
        for group in curve.groups:
            assert group.low[0] <= group.expected[0] <= group.high[0]
            assert 0 <= group.reached[0] <= 1


def test_an_item_of_one_outcome_is_not_judged() -> None:
    rng = np.random.default_rng(6)
    outcomes = (rng.random((40, 20)) < 0.5).astype(int)
    outcomes[:, 0] = 0
    found = analyse_item_fit(gather(from_matrix(outcomes)))
    assert np.isnan(found.items[0].p)
    assert not found.flags


def untidy(agents: int) -> Evidence:
    """Ordinal and binary items, repeated trials, missing cells, constant items, a gap."""
    rng = np.random.default_rng(agents)
    ability = rng.standard_normal(agents)
    step = ability[:, None] + rng.standard_normal((agents, 8)) > rng.standard_normal(8)
    outcomes = step.astype(float)
    outcomes[:, 4:] += ability[:, None] + rng.standard_normal((agents, 4)) > 0.5
    outcomes[:, 0], outcomes[:, 1] = 1, 0
    outcomes[outcomes == 1] = np.where(rng.random((outcomes == 1).sum()) < 0.1, np.nan, 1)
    outcomes[:, 7] = np.where(outcomes[:, 7] == 1, 2, outcomes[:, 7])
    one = from_matrix(outcomes, n_categories=[2] * 4 + [3] * 4)
    twice = replace(
        one,
        **{
            name: np.concatenate([getattr(one, name)] * 2)
            for name in ("agent", "item", "category", "usd", "seconds", "tokens", "turns")
        },
        trial=np.concatenate([one.trial, one.trial + 1]),
    )
    return gather(twice)


@pytest.mark.parametrize("agents", [2, 3, 5, 15, 40])
def test_untidy_outcomes_are_looked_at(agents: int) -> None:
    evidence = untidy(agents)
    fits, model = analyse_item_fit(evidence), analyse_model_fit(evidence)
    precision = analyse_reliability(evidence)
    assert len(fits.items) == len(evidence.responses.items)
    if agents < 30:
        assert not fits.flags
        assert fits.cautions
    assert np.isfinite(precision.marginal)
    assert model.agents < 40
    if agents not in (3, 40):
        return
    for section in (
        item_fit_section(fits, evidence),
        model_fit_section(model, evidence),
        reliability_section(precision, evidence),
    ):
        assert section.finding
        assert "nan" not in section.finding


def test_a_complete_table_is_told_from_one_with_gaps(clean: Evidence) -> None:
    matrix = clean.responses.matrix().astype(float)
    matrix[:40, 0] = np.nan
    gaps = gather(from_matrix(matrix), clean.bank)
    found = analyse_item_fit(gaps)
    assert found.complete == 0
    assert "S-X²" in found.cautions[-1]
    assert np.isnan(found.items[5].s_x2)
    assert np.isfinite(found.items[5].infit)
    assert analyse_item_fit(clean).complete == 60


# --- the whole model --------------------------------------------------------------------------


def test_m2_is_chi_squared_where_the_model_is_true() -> None:
    """With known parameters: residuals in the unit of the covariance of moments."""
    rng = np.random.default_rng(7)
    nodes = np.linspace(-5, 5, 41)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    k = 3
    worth = np.arange(k)
    cut = np.array([-0.7, 0.7])
    above = 1 / (1 + np.exp(-1.5 * (nodes - np.linspace(-1, 1, 6)[:, None, None] - cut[:, None])))
    p = -np.diff(np.concatenate([np.ones((6, 1, 41)), above, np.zeros((6, 1, 41))], 1), axis=1)
    mean, square = np.einsum("k,nkq->nq", worth, p), np.einsum("k,nkq->nq", worth**2, p)
    found = []
    for _ in range(200):
        node = rng.choice(41, 300, p=weights)
        u = rng.random((300, 6, 1))
        score = (u > np.cumsum(p, axis=1)[:, :-1, node].transpose(2, 0, 1)).sum(axis=2)
        found.append(limited_fit(score * 1.0, mean, square, np.zeros((6, 1, 41)), weights))
    assert found[0].df == 21
    assert np.mean([one.m2 for one in found]) == pytest.approx(21, rel=0.06)
    assert np.mean([one.p for one in found]) == pytest.approx(0.5, abs=0.07)
    assert np.std([one.m2 for one in found]) == pytest.approx(np.sqrt(2 * 21), rel=0.25)
    for one in found[:20]:
        assert one.rmsea_low <= one.rmsea <= one.rmsea_high + 1e-4


def test_m2_needs_degrees_of_freedom() -> None:
    slope = np.ones((2, 2, 3))
    mean = np.full((2, 3), 0.5)
    with pytest.raises(ResponsesError, match="2 items: 4 parameters"):
        limited_fit(np.zeros((5, 2)), mean, mean, slope, np.full(3, 1 / 3))


def test_a_second_ability_shows_in_srmsr(clean: Evidence) -> None:
    rng = np.random.default_rng(8)
    two = rng.standard_normal((150, 2)).repeat(25, axis=1)
    p = 1 / (1 + np.exp(-1.8 * (two - rng.standard_normal(50))))
    evidence = gather(from_matrix((rng.random(p.shape) < p).astype(int)))
    found = analyse_model_fit(evidence)
    assert found.srmsr > 1.3 * found.chance[1]
    assert found.limited is not None
    assert found.limited.p < 1e-6
    assert found.limited.rmsea_low > 0.03
    one = analyse_model_fit(clean)
    assert one.srmsr < one.chance[1]
    assert one.limited is None


# --- reliability ------------------------------------------------------------------------------


def test_coefficients_estimate_what_they_are_defined_as() -> None:
    """Squared correlation of estimates with truth, and of two halves stepped up."""
    evidence, ability = drawn(9, 800, 40)
    found = analyse_reliability(evidence)
    truth = np.corrcoef(evidence.ability, ability)[0, 1] ** 2
    assert found.empirical.value == pytest.approx(truth, abs=0.02)
    assert found.marginal == pytest.approx(truth, abs=0.03)
    total = evidence.score.sum(axis=1)
    again = np.random.default_rng(1)
    parallel = (again.random(evidence.score.shape) < evidence.expected_score).sum(axis=1)
    assert found.omega == pytest.approx(np.corrcoef(total, parallel)[0, 1], abs=0.03)
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert found.empirical.low < found.empirical.value < found.empirical.high


@given(st.integers(2, 6), st.integers(0, 99))
def test_alpha_of_copies_is_one(items: int, seed: int) -> None:
    one = np.random.default_rng(seed).random((8, 1))
    assert alpha(np.repeat(one, items, axis=1)) == pytest.approx(1)


def test_constant_scores_have_no_reliability() -> None:
    assert np.isnan(alpha(np.ones((5, 3))))
    assert np.isnan(empirical_reliability(np.zeros(4), np.zeros(4)))


def test_omega_of_parallel_items_is_spearman_brown() -> None:
    expected, weights = np.array([[0.3, 0.7]]), np.array([0.5, 0.5])
    one = omega(expected, np.full((1, 2), 0.1), weights)
    five = omega(np.repeat(expected, 5, 0), np.full((5, 2), 0.1), weights)
    assert five == pytest.approx(5 * one / (1 + 4 * one))


def test_marginal_reliability_is_free_of_the_scale() -> None:
    information, weights = np.array([2.0, 8.0]), np.array([0.4, 0.6])
    stretched = marginal_reliability(information / 9, weights, 9.0)
    assert stretched == pytest.approx(marginal_reliability(information, weights, 1.0))


def test_trials_of_one_cell_tell_less_where_an_item_is_different_to_each_agent(
    clean: Evidence,
) -> None:
    alone = information_of_test(clean)
    items = tuple(replace(item, effect_sd=1.0) for item in clean.bank.items)
    matrix = clean.responses
    shared = gather(matrix, replace(clean.bank, items=items))
    three = replace(
        matrix,
        **{
            name: np.concatenate([getattr(matrix, name)] * 3)
            for name in ("agent", "item", "category", "usd", "seconds", "tokens", "turns")
        },
        trial=np.repeat(np.arange(3), len(matrix.trial)),
    )
    often, often_shared = gather(three, clean.bank), gather(three, shared.bank)

    def at_zero(evidence: Evidence) -> float:
        return float(np.interp(0.0, evidence.nodes, information_of_test(evidence)))

    assert at_zero(often) == pytest.approx(3 * np.interp(0.0, clean.nodes, alone), rel=1e-2)
    assert at_zero(often_shared) < 2.4 * at_zero(shared)


def test_an_unreliable_benchmark_is_flagged() -> None:
    rng = np.random.default_rng(10)
    ability = rng.standard_normal(80)
    p = 1 / (1 + np.exp(-(ability[:, None] - rng.standard_normal(6))))
    found = analyse_reliability(gather(from_matrix((rng.random(p.shape) < p).astype(int))))
    assert found.empirical.high < ENOUGH
    (flag,) = found.flags
    assert flag.kind == "unreliable"
    assert flag.low <= flag.estimate <= flag.high


def test_sections_show_plots_and_tables(clean: Evidence) -> None:
    fit = item_fit_section(analyse_item_fit(clean), clean)
    assert [type(part).__name__ for part in fit.parts] == ["Plot", "Plot", "Grid", "Text"]
    reliability = reliability_section(analyse_reliability(clean), clean)
    kinds = [type(part).__name__ for part in reliability.parts]
    assert kinds == ["Plot", "Grid"]
