"""Priors from the trend of calibrating agents, against a textbook regression and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from harness.bank import Calibrant, Item, ItemBank
from harness.errors import PlanError
from harness.trend import FEWEST_DATED, agent_prior, trend_prior, year_of

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
        assert agent_prior(bank, "2022").mean == (0.3,)
        assert agent_prior(bank).sd == (1.5,)


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


@pytest.mark.parametrize(
    ("text", "year"), [("2026", 2026.0), ("2026-07", 2026.5), ("20260701", 2026.5)]
)
def test_dates_are_read(text: str, year: float) -> None:
    assert year_of(text) == year


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-01-40", "26-01"])
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(PlanError, match="is not a date"):
        year_of(text)
