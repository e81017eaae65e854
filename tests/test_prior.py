"""Priors from the trend of calibrating agents, against a textbook regression and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from harness.ability import Prior, mixed, normalise
from harness.bank import Calibrant, Item, ItemBank
from harness.errors import PlanError
from harness.prior import FEWEST_DATED, agent_prior, trend_prior, year_of

ITEMS = (Item("i", "2pl", (1.0,), (0.0,)),)


def bank_of(years: np.ndarray, abilities: np.ndarray) -> ItemBank:
    calibrants = tuple(
        Calibrant(f"a{k}", (float(ability),), (0.1,), f"{int(year)}-{1 + round(year % 1 * 12):02d}")
        for k, (year, ability) in enumerate(zip(years, abilities, strict=True))
    )
    return ItemBank("dated", ITEMS, calibrants=calibrants, mean=(0.3,), sd=(1.5,))


@st.composite
def dated_banks(draw: st.DrawFn) -> ItemBank:
    n = draw(st.integers(FEWEST_DATED, 40))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    years = 2020 + rng.integers(0, 48, n) / 12 % 4
    years[:2] = 2020, 2023
    return bank_of(years, draw(st.floats(-2, 2)) * (years - 2021) + rng.standard_normal(n))


@given(dated_banks(), st.integers(2020, 2022))
def test_the_prior_is_the_prediction_of_a_regression(bank: ItemBank, year: int) -> None:
    when = np.array([year_of(c.date) for c in bank.calibrants])
    ability = np.array([c.ability[0] for c in bank.calibrants])
    fit = linregress(when, ability)
    prior = trend_prior(bank, str(year))
    assert prior is not None
    assert prior.mean[0] == pytest.approx(fit.intercept + fit.slope * year, abs=1e-6)
    residual = ability - fit.intercept - fit.slope * when
    s2 = (residual**2).sum() / (len(when) - 2)
    leverage = 1 / len(when) + (year - when.mean()) ** 2 / ((when - when.mean()) ** 2).sum()
    assert prior.sd[0] == pytest.approx(np.sqrt(s2 * (1 + leverage)), rel=1e-6)


@given(dated_banks())
def test_the_line_ends_where_the_dates_do(bank: ItemBank) -> None:
    last = max(c.date for c in bank.calibrants)
    assert trend_prior(bank, "2041-05") == trend_prior(bank, last)
    first = min(c.date for c in bank.calibrants)
    assert trend_prior(bank, "1999") == trend_prior(bank, first)


def test_without_enough_dates_the_population_is_the_prior() -> None:
    years = np.linspace(2020, 2023, FEWEST_DATED - 1)
    few = bank_of(years, years - 2021)
    same = bank_of(np.full(20, 2021.0), np.arange(20.0))
    for bank in (few, same, ItemBank("none", ITEMS, mean=(0.3,), sd=(1.5,))):
        assert trend_prior(bank, "2022") is None
        assert agent_prior(bank, "2022") == bank.population
    nobody = ItemBank("none", ITEMS, mean=(0.3,), sd=(1.5,))
    assert agent_prior(nobody, "2022") == Prior((0.3,), (1.5,))


def test_priors_cover_new_agents() -> None:
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        years = 2020 + rng.integers(0, 36, 25) / 12
        bank = bank_of(years, 1.2 * (years - 2021) + 0.6 * rng.standard_normal(25))
        new = 2021.5
        prior = trend_prior(bank, "2021-07")
        assert prior is not None
        truth = 1.2 * (new - 2021) + 0.6 * rng.standard_normal()
        inside.append(abs(truth - prior.mean[0]) < 1.645 * prior.sd[0])
    # 90% nominal; the standard error is 1.5%, and a normal is used where a t would be exact
    assert 0.85 < np.mean(inside) < 0.94


# --- the population -----------------------------------------------------------------------------

NODES = np.linspace(-9, 9, 721)[:, None]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=60))
def test_the_population_has_the_moments_of_its_agents(abilities: list[float]) -> None:
    bank = bank_of(np.full(len(abilities), 2020.0), np.array(abilities))
    prior = bank.population
    weights = normalise(prior.log_weights(NODES))
    mean = weights @ NODES[:, 0]
    assert sum(weight for weight, _, _ in prior.mixture) == pytest.approx(1, abs=1e-4)
    assert mean == pytest.approx(prior.mean[0], abs=1e-3)
    assert np.sqrt(weights @ (NODES[:, 0] - mean) ** 2) == pytest.approx(prior.sd[0], abs=2e-3)
    # linear binning keeps means: ten agents at 0.3 and those that there are
    agents = len(abilities)
    expected = (10 * 0.3 + np.sum(abilities)) / (10 + agents)
    assert prior.mean[0] == pytest.approx(expected, abs=1e-3)


def test_two_generations_make_two_modes() -> None:
    bank = bank_of(np.full(100, 2020.0), np.repeat([-2.5, 3.0], 50))
    density = np.exp(bank.population.log_weights(NODES))
    valley = density[np.searchsorted(NODES[:, 0], 0.3)]
    assert density[NODES[:, 0] < -1].max() > 2 * valley
    assert density[NODES[:, 0] > 1.5].max() > 2 * valley
    # nothing is ruled out
    assert density[np.searchsorted(NODES[:, 0], 4.5)] > 1e-6


def test_draws_are_of_the_prior() -> None:
    prior = mixed(((0.3, -2.0, 0.5), (0.7, 1.0, 0.8)))
    drawn = prior.draw(40_000, np.random.default_rng(0))
    assert drawn.shape == (40_000, 1)
    assert drawn.mean() == pytest.approx(prior.mean[0], abs=0.03)
    assert drawn.std() == pytest.approx(prior.sd[0], abs=0.03)
    assert (drawn < -0.8).mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    "mixture", [((0.5, 0.0, 1.0),), ((1.0, 0.0, 0.0),), ((1.5, 0.0, 1.0), (-0.5, 0.0, 1.0))]
)
def test_a_mixture_that_is_none_is_refused(mixture: tuple[tuple[float, float, float], ...]) -> None:
    with pytest.raises(PlanError, match="mixture"):
        Prior(mixture=mixture)


@pytest.mark.parametrize(
    ("text", "year"), [("2026", 2026.0), ("2026-07", 2026.5), ("20260701", 2026.5)]
)
def test_dates_are_read(text: str, year: float) -> None:
    assert year_of(text) == year


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-01-40", "26-01"])
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(PlanError, match="is not a date"):
        year_of(text)
