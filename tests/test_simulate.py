"""Simulated agents: their answers follow the bank, and the engine knows what it knows."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.ability import Prior
from harness.bank import Item, ItemBank, compile_bank
from harness.errors import PlanError
from harness.events import Plan
from harness.grammar import parse_selector, parse_stop
from harness.runners.simulate import Simulation, draw_outcomes, simulate
from harness.runners.tables import simulation_table


def make_bank(n: int = 60, *, uncertain: bool = True, dimensions: int = 1) -> ItemBank:
    """Two- and four-category items; half of them with a known cost, all with a duration."""
    rng = np.random.default_rng(8)
    items = []
    for i in range(n):
        steps = 3 if i % 5 == 0 else 1
        intercepts = (1.6, 0.1, -1.4) if steps == 3 else (float(rng.normal(0, 1.3)),)
        size = dimensions + steps
        items.append(
            Item(
                f"item{i}",
                "grm" if steps == 3 else "2pl",
                tuple(map(float, rng.lognormal(0.2, 0.3, dimensions))),
                intercepts,
                categories="four" if steps == 3 else "binary",
                covariance=(
                    tuple(tuple(map(float, row)) for row in 0.06 * np.eye(size))
                    if uncertain
                    else None
                ),
                usd=2.0 if i % 2 else float("nan"),
                seconds=30.0,
            )
        )
    labels = {"binary": ("fail", "pass"), "four": ("none", "first", "core", "complete")}
    return ItemBank("demo", tuple(items), labels, (0.0,) * dimensions, (1.0,) * dimensions)


BANK = make_bank()
SMALL = make_bank(10)
PLAN = Plan(parse_selector("max-information"), parse_stop("sd<0.4 or items>=15"))


@pytest.fixture(scope="module")
def found() -> Simulation:
    return simulate(BANK, PLAN, n_agents=1000, seed=1)


# --- answers ----------------------------------------------------------------------------------


def test_answers_have_the_banks_probabilities() -> None:
    ability = np.full((4000, 1), 0.37)
    drawn = draw_outcomes(SMALL, ability, np.arange(4000), seed=0)
    p = compile_bank(SMALL, ability[:1]).p[:, :, 0]
    for row, probabilities in enumerate(p):
        shares = np.bincount(drawn[:, row], minlength=4) / 4000
        # five standard errors
        tolerance = 5 * np.sqrt(probabilities * (1 - probabilities) / 4000)
        assert (np.abs(shares - probabilities) <= tolerance).all()


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=6), st.integers(0, 99))
def test_an_agents_answers_depend_on_nobody_else(abilities: list[float], seed: int) -> None:
    together = draw_outcomes(SMALL, np.array(abilities)[:, None], np.arange(len(abilities)), seed)
    assert ((together >= 0) & (together < SMALL.table.n_categories)).all()
    last = len(abilities) - 1
    alone = draw_outcomes(SMALL, np.array([[abilities[last]]]), np.array([last]), seed)
    np.testing.assert_array_equal(alone[0], together[last])


@given(st.floats(-4, 4), st.floats(0, 3), st.integers(0, 2**32))
def test_an_abler_agent_never_does_worse(ability: float, more: float, seed: int) -> None:
    pair = np.array([[ability], [ability + more]])
    low, high = draw_outcomes(SMALL, pair, np.array([3, 3]), seed)
    assert (high >= low).all()


# --- what is reported -------------------------------------------------------------------------


def test_intervals_cover_as_they_say(found: Simulation) -> None:
    # three standard errors of 1000 agents around 90% are not quite three points
    assert found.overall.ability[0].coverage == pytest.approx(0.9, abs=0.03)
    # a score is discrete: its interval holds at least the level
    assert 0.88 < found.overall.score.coverage < 0.95
    assert abs(found.overall.ability[0].bias) < 0.03
    assert abs(found.overall.score.bias) < 0.01


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_follows_the_level(level: float) -> None:
    plan = dataclasses.replace(PLAN, level=level)
    coverage = simulate(BANK, plan, n_agents=400).overall.ability[0].coverage
    assert coverage == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 400))


def test_the_posterior_sd_is_the_real_error(found: Simulation) -> None:
    assert found.overall.ability[0].rmse == pytest.approx(found.overall.sd, rel=0.06)


def test_parameters_that_pass_as_known_make_intervals_too_narrow() -> None:
    uncertain = make_bank(15)
    items = [dataclasses.replace(item, covariance=None) for item in uncertain.items]
    certain = dataclasses.replace(uncertain, items=tuple(items))
    everything = Plan(stop=parse_stop("exhausted"))
    honest, sure = (simulate(b, everything, n_agents=300).overall for b in (uncertain, certain))
    assert sure.sd < honest.sd


def test_the_shares_and_spreads_add_up(found: Simulation) -> None:
    assert sum(found.outcomes.values()) == pytest.approx(1)
    assert found.outcomes["exhausted"] == 0
    assert 0 < found.outcomes["limit"] < 0.5
    items = found.overall.items
    assert items.low <= items.median <= items.high <= 15
    assert sum(band.agents for band in found.bands) == found.agents == 1000
    assert [band.agents for band in found.bands] == [200] * 5
    lows, highs = [b.low for b in found.bands], [b.high for b in found.bands]
    assert lows == sorted(lows)
    assert all(low >= high for low, high in zip(lows[1:], highs, strict=False))
    mean = np.average([b.ability[0].mae for b in found.bands])
    assert mean == pytest.approx(found.overall.ability[0].mae)
    # shrinking to the prior: weak agents are overrated, strong ones underrated
    assert found.bands[0].ability[0].bias > 0 > found.bands[-1].ability[0].bias


def test_cost_and_time_come_from_the_bank(found: Simulation) -> None:
    assert (found.usd_known, found.seconds_known) == (0.5, 1.0)
    assert found.seconds is not None
    assert found.seconds.median == 30 * found.overall.items.median
    assert found.usd is not None
    assert 0 < found.usd.median <= 2 * found.overall.items.median
    side_by_side = simulate(BANK, dataclasses.replace(PLAN, width=3), n_agents=50)
    alone = simulate(BANK, PLAN, n_agents=50)
    assert side_by_side.seconds is not None
    assert alone.seconds is not None
    assert side_by_side.seconds.median < alone.seconds.median / 2
    # choosing blindly costs a few items more, and those in flight are paid for too
    assert side_by_side.overall.items.median >= alone.overall.items.median


def test_without_costs_there_are_none() -> None:
    items = [dataclasses.replace(i, usd=float("nan"), seconds=float("nan")) for i in SMALL.items]
    found = simulate(dataclasses.replace(SMALL, items=tuple(items)), PLAN, n_agents=5)
    assert (found.usd, found.seconds, found.usd_known, found.seconds_known) == (None, None, 0, 0)


@settings(max_examples=15)
@given(
    st.sampled_from(["random", "max-information", "min-variance", "min-variance/seconds"]),
    st.sampled_from(["sd<0.5 or items>=6", "seconds>=100", "exhausted", "sd<2"]),
    st.integers(0, 2**32),
)
def test_the_same_seed_gives_the_same_simulation(select: str, stop: str, seed: int) -> None:
    plan = Plan(parse_selector(select), parse_stop(stop))
    one, same = (simulate(SMALL, plan, n_agents=12, seed=seed) for _ in range(2))
    assert one == same
    assert json.dumps(dataclasses.asdict(one), allow_nan=False)
    assert one.agents == 12


@pytest.mark.parametrize(
    ("stop", "items", "outcome"),
    [("exhausted", 10, "exhausted"), ("items>=4", 4, "limit"), ("sd<2", 0, "precise")],
)
def test_ends(stop: str, items: int, outcome: str) -> None:
    found = simulate(SMALL, Plan(stop=parse_stop(stop)), n_agents=8)
    assert (found.overall.items.low, found.overall.items.high) == (items, items)
    assert found.outcomes[outcome] == 1.0  # type: ignore[index]


def test_given_abilities() -> None:
    found = simulate(BANK, PLAN, abilities=[0.5] * 40)
    assert (found.agents, found.overall.low, found.overall.high) == (40, 0.5, 0.5)
    assert len(found.bands) == 1
    assert found.overall.ability[0].spearman is None


def test_the_prior_is_what_agents_are_drawn_from() -> None:
    plan = dataclasses.replace(PLAN, prior=Prior((1.0,), (0.1,)))
    found = simulate(BANK, plan, n_agents=200)
    assert 0.5 < found.overall.low < 1 < found.overall.high < 1.5


def test_two_abilities() -> None:
    bank = make_bank(12, dimensions=2, uncertain=False)
    plan = Plan(stop=parse_stop("items>=8"), prior=Prior((0.0, 0.0), (1.0, 1.0)))
    found = simulate(bank, plan, n_agents=100)
    assert len(found.overall.ability) == 2
    for ability in found.overall.ability:
        assert 0.8 < ability.coverage <= 1


@pytest.mark.parametrize(
    ("abilities", "plan", "message"),
    [
        ([], PLAN, "at least one agent"),
        ([[0.0, 1.0]], PLAN, "1 for each simulated agent"),
        ([float("nan")], PLAN, "must be numbers"),
        ([0.0], Plan(prior=Prior((0.0, 0.0), (1.0, 1.0))), "the prior has 2 abilities"),
    ],
)
def test_impossible_agents_are_refused(abilities: list[float], plan: Plan, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        simulate(SMALL, plan, abilities=abilities)


def test_progress_reaches_all_agents() -> None:
    told: list[tuple[int, int]] = []
    simulate(SMALL, PLAN, n_agents=7, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (7, 7)


def test_the_table_shows_every_band(found: Simulation) -> None:
    table = simulation_table(found)
    assert list(table.columns[1].cells) == ["1000", *["200"] * 5]
    assert next(iter(table.columns[0].cells)) == "all"
