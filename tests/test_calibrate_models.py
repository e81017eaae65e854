"""Calibration beyond one binary model: groups, covariates, effects, several abilities, trouble."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.bank import compile_bank
from harness.calibrate import Priors, calibrate
from harness.calibrate.connect import parts
from harness.calibrate.rotate import rotation
from harness.errors import InputError, ResponsesError
from harness.irt import Model
from harness.responses import Responses, from_matrix

Matrix = NDArray[np.intp]


def items(seed: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and intercepts ``(n,)``."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0.2, 0.4, n))
    return a, -a * rng.normal(0.0, 1.2, n)


def passed(logits: NDArray[np.float64], seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.random(logits.shape) < 1 / (1 + np.exp(-logits)), np.intp)


def with_trials(outcomes: list[Matrix]) -> Responses:
    """Several ``(A, n)`` matrices as trials of the same cells."""
    each = [from_matrix(one, n_categories=2) for one in outcomes]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in each])
        for name in ("agent", "item", "category", "usd", "seconds", "tokens", "turns")
    }
    trial = np.repeat(np.arange(len(each)), [len(one.trial) for one in each])
    return replace(each[0], trial=trial, **columns)


def test_groups_have_means_and_sds_of_their_own() -> None:
    """The planted difference and ratio lie within two standard errors; seed fixed."""
    rng = np.random.default_rng(0)
    a, d = items(1, 40)
    ability = np.concatenate([rng.standard_normal(150), 1 + 0.5 * rng.standard_normal(120)])
    outcomes = passed(a * ability[:, None] + d, 2)
    names = ["old"] * 150 + ["new"] * 120
    fit = calibrate(from_matrix(outcomes), "2pl", name="x", groups=names)
    assert fit.converged
    pooled = ability.std()
    mean, error = fit.population["mean new"]
    assert abs(mean - (ability[150:].mean() - ability[:150].mean()) / pooled) < 2 * error
    log_sd, error = fit.population["log sd new"]
    assert abs(log_sd - np.log(ability[150:].std() / ability[:150].std())) < 2 * error
    # the scale is that of all agents together
    assert (fit.ability**2 + fit.sd**2).mean() == pytest.approx(1.0, abs=1e-3)
    assert fit.bank.mean == pytest.approx((0.0,), abs=1e-9)


def test_ability_may_depend_on_a_covariate() -> None:
    rng = np.random.default_rng(3)
    a, d = items(4, 40)
    years = rng.uniform(2024, 2026, 200)
    ability = 0.8 * (years - 2025) + 0.8 * rng.standard_normal(200)
    fit = calibrate(
        from_matrix(passed(a * ability[:, None] + d, 5)),
        "2pl",
        name="x",
        covariates={"year": years},
    )
    slope, error = fit.population["mean year"]
    assert abs(slope - 0.8 / ability.std()) < 2 * error
    with pytest.raises(ResponsesError, match="covariate 'year' of agent 'agent3' is not known"):
        calibrate(
            from_matrix(passed(a * ability[:, None] + d, 5)),
            "2pl",
            name="x",
            covariates={"year": np.where(np.arange(200) == 3, np.nan, years)},
        )


@pytest.mark.parametrize("effect", [0.0, 1.2])
def test_trials_of_a_cell_are_not_independent_facts(effect: float) -> None:
    """The sd of a planted agent × item effect is found, and intervals account for it."""
    rng = np.random.default_rng(6)
    a, d = items(7, 40)
    ability = rng.standard_normal(60)
    logits = a * ability[:, None] + d + effect * rng.standard_normal((60, 40))
    logged = with_trials([passed(logits, 8 + k) for k in range(5)])
    dispersed = calibrate(logged, "2pl", name="x")
    plain = calibrate(logged, "2pl", name="x", dispersion=False)
    assert dispersed.converged
    assert dispersed.effect_sd == pytest.approx(effect, abs=0.35)
    assert plain.effect_sd == 0.0
    assert all(
        item.effect_sd == pytest.approx(dispersed.effect_sd, rel=1e-4)
        for item in dispersed.bank.items
    )
    gain = dispersed.log_likelihood - plain.log_likelihood
    if effect:
        assert gain > 50
        # plain trials pretend to know each agent far better than they do
        assert dispersed.sd.mean() > 1.2 * plain.sd.mean()
    else:
        assert abs(gain) < 5


def test_an_effect_needs_repeated_trials() -> None:
    a, d = items(0, 8)
    logged = from_matrix(passed(a * np.linspace(-2, 2, 30)[:, None] + d, 0))
    with pytest.raises(ResponsesError, match="no cell has several trials"):
        calibrate(logged, "2pl", name="x", dispersion=True)


def test_special_cases_of_partial_credit() -> None:
    """Steps that all items share are found; likelihoods are nested."""
    rng = np.random.default_rng(9)
    ability, location = rng.standard_normal(400), rng.normal(0, 1, 12)
    steps = np.array([0.8, 0.1, -0.9])
    z = 1.3 * ability[:, None, None] + location[:, None] + steps
    odds = np.exp(np.cumsum(np.pad(z, ((0, 0), (0, 0), (1, 0))), axis=2))
    below = np.cumsum(odds, axis=2) / odds.sum(axis=2, keepdims=True)
    logged = from_matrix((rng.random((400, 12, 1)) > below[:, :, :-1]).sum(axis=2))
    fits = {m: calibrate(logged, m, name=m) for m in ("rsm", "pcm", "gpcm")}
    assert [fit.parameters for fit in fits.values()] == [12 + 1 + 2, 12 * 3 + 1, 12 * 4]
    likelihoods = [fit.log_likelihood for fit in fits.values()]
    assert likelihoods == sorted(likelihoods)
    rsm = np.array([item.intercepts for item in fits["rsm"].bank.items])
    pattern = rsm - rsm.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(pattern - pattern[0], 0.0, atol=1e-4)
    np.testing.assert_allclose(pattern[0], steps, atol=0.15)
    assert len({item.slopes for item in fits["pcm"].bank.items}) == 1
    assert min(fits, key=lambda m: fits[m].bic) == "rsm"


def test_models_may_be_mixed_in_one_bank() -> None:
    rng = np.random.default_rng(10)
    ability = rng.standard_normal(200)
    a, d = items(11, 20)
    outcomes = passed(a * ability[:, None] + d, 12)
    outcomes[:, 10:] += passed(a * ability[:, None] + d - 1.5, 13)[:, 10:] * outcomes[:, 10:]
    models: dict[str, Model] = {f"item{k}": "2pl" if k < 10 else "grm" for k in range(20)}
    models["item3"], models["item15"] = "1pl", "gpcm"
    logged = from_matrix(outcomes, n_categories=[2] * 10 + [3] * 10)
    fit = calibrate(logged, models, name="x")
    assert fit.converged
    assert [item.model for item in fit.bank.items] == [models[f"item{k}"] for k in range(20)]
    assert np.corrcoef(fit.ability[:, 0], ability)[0, 1] > 0.9
    del models["item0"]
    with pytest.raises(ResponsesError, match="no model is given for item 'item0'"):
        calibrate(logged, models, name="x")


def two_abilities(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], Responses]:
    """Simple structure, correlation .5: slopes ``(30, 2)``, abilities ``(400, 2)``, outcomes."""
    rng = np.random.default_rng(seed)
    ability = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 400)
    slopes = np.zeros((30, 2))
    slopes[:15, 0], slopes[15:, 1] = rng.lognormal(0.2, 0.2, (2, 15))
    return slopes, ability, from_matrix(passed(ability @ slopes.T + rng.normal(0, 1, 30), seed + 1))


def test_an_exploratory_fit_finds_simple_structure() -> None:
    slopes, ability, logged = two_abilities(14)
    fit = calibrate(logged, "2pl", name="x", abilities=2)
    assert fit.converged
    found = np.array([item.slopes for item in fit.bank.items])
    order = [0, 1] if found[:15, 0].mean() > found[:15, 1].mean() else [1, 0]
    # loadings are on the scale of the sample, and each has a standard error of about .15
    assert np.abs(found[:, order] - slopes).mean() < 0.2
    assert fit.bank.correlation[0][1] == pytest.approx(0.5, abs=0.15)
    for dimension in (0, 1):
        scored = fit.ability[:, order[dimension]]
        assert np.corrcoef(scored, ability[:, dimension])[0, 1] > 0.8
    # turning the axes changes no prediction
    plain = calibrate(logged, "2pl", name="x", abilities=2, rotate="none")
    assert plain.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)


def test_a_confirmatory_fit_keeps_its_zeros() -> None:
    _, ability, logged = two_abilities(14)
    loads = {f"item{k}": [0] if k < 15 else [1] for k in range(30)}
    fit = calibrate(logged, "2pl", name="x", abilities=loads)
    assert fit.converged
    assert all(item.slopes[1] == 0 for item in fit.bank.items[:15])
    assert fit.bank.correlation[0][1] == pytest.approx(np.corrcoef(ability.T)[0, 1], abs=0.12)
    assert np.isfinite(fit.bank.table.log_p).all()
    with pytest.raises(InputError, match="lacks item 'item29'"):
        calibrate(logged, "2pl", name="x", abilities={f"item{k}": [0, 1] for k in range(29)})
    with pytest.raises(InputError, match="1 to 3 abilities"):
        calibrate(logged, "2pl", name="x", abilities=4)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(("oblimin", "varimax")), st.sampled_from((2, 3)))
def test_rotation_changes_no_prediction(seed: int, method: Any, d: int) -> None:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 1, (12, d))
    t = rotation(loadings, method)
    rotated, correlation = loadings @ np.linalg.inv(t.T), t.T @ t
    np.testing.assert_allclose(np.diag(correlation), 1.0, atol=1e-9)
    np.testing.assert_allclose(rotated @ correlation @ rotated.T, loadings @ loadings.T, atol=1e-8)
    if method == "varimax":
        np.testing.assert_allclose(correlation, np.eye(d), atol=1e-9)


def test_parts_without_a_common_scale_are_named() -> None:
    apart = np.full((6, 8), -1)
    apart[:3, :4], apart[3:, 4:] = 1, 0
    apart[0, 0] = apart[4, 6] = 0
    apart[4, 5] = 1
    logged = from_matrix(apart)
    assert [part.items for part in parts(logged)] == [
        ("item0", "item1", "item2", "item3"),
        ("item4", "item5", "item6", "item7"),
    ]
    with pytest.raises(ResponsesError, match=r"2 parts .*agent0, agent1.* and|item4, item5"):
        calibrate(logged, "2pl", name="x")
    apart[2, 5] = 1
    assert calibrate(from_matrix(apart), "2pl", name="x").converged


def test_a_single_agent_gives_a_bank_that_says_how_little_it_knows() -> None:
    outcomes = np.random.default_rng(15).integers(0, 2, (1, 12))
    fit = calibrate(from_matrix(outcomes), "2pl", name="x")
    assert fit.converged
    assert len(fit.placed_by_prior) == 12
    assert any("1 agent: too few" in warning for warning in fit.warnings)
    spread = [np.sqrt(item.covariance[1][1]) for item in fit.bank.items if item.covariance]
    assert min(spread) > 0.8


def test_almost_everything_missing() -> None:
    a, d = items(16, 30)
    rng = np.random.default_rng(17)
    outcomes = passed(a * rng.standard_normal(200)[:, None] + d, 18)
    outcomes[rng.random(outcomes.shape) < 0.95] = -1
    outcomes[:, 0] = np.where(rng.random(200) < 0.5, outcomes[:, 0], 1)
    fit = calibrate(from_matrix(outcomes, n_categories=2), "2pl", name="x")
    assert fit.converged
    assert np.isfinite([*fit.ability.ravel(), *fit.sd.ravel()]).all()


def test_all_ones_and_an_item_with_one_answer() -> None:
    ones = np.ones((20, 6), int)
    fit = calibrate(from_matrix(ones), "2pl", name="x")
    assert fit.converged
    assert len(fit.placed_by_prior) == 6
    lonely = np.random.default_rng(19).integers(0, 2, (20, 6))
    lonely[1:, 5] = -1
    fit = calibrate(from_matrix(lonely), "2pl", name="x")
    assert "item5" in fit.placed_by_prior


def test_given_priors_hold_the_population_at_standard_normal() -> None:
    a, d = items(20, 30)
    ability = 1 + 0.5 * np.random.default_rng(21).standard_normal(80)
    logged = from_matrix(passed(a * ability[:, None] + d, 22))
    fit = calibrate(logged, "2pl", name="x", priors=Priors())
    assert (fit.bank.mean, fit.bank.sd) == ((0.0,), (1.0,))
    assert fit.bank.provenance["priors"] == "given"
    assert fit.bank.provenance["items_at"] == "the mode"


def test_a_bank_holds_the_agents_it_was_calibrated_with() -> None:
    a, d = items(23, 20)
    logged = from_matrix(passed(a * np.linspace(-2, 2, 40)[:, None] + d, 24))
    fit = calibrate(logged, "2pl", name="x")
    assert [c.agent for c in fit.bank.calibrants] == list(fit.agents)
    # the stated uncertainty flattens the curves of the table
    certain = compile_bank(fit.bank, fit.bank.table.nodes, uncertainty=False)
    assert fit.bank.table.information.sum() < certain.information.sum()


def test_items_that_abler_agents_fail_are_pointed_at() -> None:
    a, d = items(25, 20)
    outcomes = passed(a * np.linspace(-2, 2, 200)[:, None] + d, 26)
    outcomes[:, 7] = 1 - outcomes[:, 7]
    fit = calibrate(from_matrix(outcomes), "2pl", name="x")
    assert any(
        "1 items are passed less often by abler agents (first 'item7')" in w for w in fit.warnings
    )
    assert fit.bank.provenance["warnings"] == list(fit.warnings)
