"""Linking: planted changes of scale come back, within the error that is stated."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from harness import irt
from harness.ability import Prior, moments, normalise
from harness.bank import (
    Calibrant,
    Item,
    ItemBank,
    Source,
    compile_bank,
    parameter_names,
)
from harness.bank_files import load_bank, save_bank
from harness.calibrate import calibrate
from harness.calibrate.link import Link, Method, _false_discoveries, _larger, link
from harness.calibrate.link_problem import FEWEST
from harness.calibrate.merge import apply_link, link_facts, merge
from harness.cli.link import link_banks
from harness.errors import BankError
from harness.irt import Array
from harness.responses import Responses, from_matrix, read_responses

CURVES: tuple[Method, ...] = ("stocking-lord", "haebara")
BY_ITEMS: tuple[Method, ...] = (*CURVES, "mean-sigma")
LABELS = {f"c{k}": tuple(f"label {c}" for c in range(k)) for k in range(2, 6)}

# --- banks to link ----------------------------------------------------------------------------

SLOPE = st.floats(0.4, 2.5)
DIFFICULTY = st.floats(-2.5, 2.5)
GAP = st.floats(0.2, 1.5)


@st.composite
def items(draw: st.DrawFn, name: str) -> Item:
    model = draw(st.sampled_from(get_args(irt.Model)))
    kind = irt.family(model)
    steps = 1 if kind == "binary" else draw(st.integers(1, 4))
    a, b = draw(SLOPE), draw(DIFFICULTY)
    gaps = [0.0, *(draw(GAP) for _ in range(steps - 1))]
    lower = draw(st.floats(0.0, 0.3)) if model in ("3pl", "4pl") else 0.0
    upper = draw(st.floats(0.8, 1.0)) if model == "4pl" else 1.0
    item = Item(
        name,
        model,
        (a,),
        tuple(float(-a * (b + shift)) for shift in np.cumsum(gaps)),
        lower,
        upper,
        categories=f"c{steps + 1}",
        effect_sd=draw(st.sampled_from([0.0, 0.5])),
    )
    size = len(parameter_names(item))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    root = 0.2 * rng.standard_normal((size, size)) / math.sqrt(size)
    covariance = (root @ root.T).tolist()
    return replace(item, covariance=tuple(tuple(row) for row in covariance))


@st.composite
def banks(draw: st.DrawFn, least: int = 6) -> ItemBank:
    """A bank of mixed models, and of agents, whose difficulties are not all but one alike."""
    n = draw(st.integers(least, least + 5))
    members = tuple(draw(items(f"i{k}")) for k in range(n))
    for left_out in members:
        rest = [b for item in members if item is not left_out for b in item.difficulties]
        assume(np.std(rest) > 0.3)
    agents = tuple(
        Calibrant(f"agent{k}", (float(ability),), (draw(st.floats(0.1, 0.5)),))
        for k, ability in enumerate(np.linspace(-2, 2, n) + draw(st.floats(-0.5, 0.5)))
    )
    mean, sd = draw(st.floats(-0.5, 0.5)), draw(st.floats(0.7, 1.5))
    return ItemBank("a", members, LABELS, (mean,), (sd,), calibrants=agents)


SCALES = st.tuples(st.floats(0.4, 2.5), st.floats(-2.0, 2.0))


def seen_on(bank: ItemBank, slope: float, shift: float, name: str = "b") -> ItemBank:
    """The same bank on the scale from which ``(slope, shift)`` leads back."""
    moved = []
    for item in bank.items:
        (a,), size = item.slopes, len(parameter_names(item))
        turn = np.eye(size)
        turn[1 : 1 + len(item.intercepts), 0] = a * shift
        covariance = turn @ np.array(item.covariance) @ turn.T if item.covariance else None
        moved.append(
            replace(
                item,
                slopes=(a * slope,),
                intercepts=tuple(d + a * shift for d in item.intercepts),
                covariance=None
                if covariance is None
                else tuple(tuple(row) for row in ((covariance + covariance.T) / 2).tolist()),
            )
        )
    agents = tuple(
        replace(c, ability=((c.ability[0] - shift) / slope,), sd=(c.sd[0] / slope,))
        for c in bank.calibrants
    )
    return replace(
        bank,
        name=name,
        items=tuple(moved),
        calibrants=agents,
        mean=((bank.mean[0] - shift) / slope,),
        sd=(bank.sd[0] / slope,),
    )


def noisy(bank: ItemBank, seed: int, share: float = 1.0) -> ItemBank:
    """Parameters as another calibration might have found them; ``share`` of the stated error."""
    rng = np.random.default_rng(seed)
    moved = []
    for item in bank.items:
        off = share * rng.multivariate_normal(
            np.zeros(len(parameter_names(item))), np.array(item.covariance)
        )
        steps = len(item.intercepts)
        d = np.array(item.intercepts) + off[1 : 1 + steps]
        if irt.family(item.model) == "graded":
            d = -np.sort(-d)
        lower, upper = item.lower, item.upper
        if len(off) > 1 + steps and lower > 0:
            lower = float(expit(math.log(lower / (1 - lower)) + off[1 + steps]))
        if len(off) > 2 + steps and upper < 1:
            upper = float(expit(math.log(upper / (1 - upper)) + off[2 + steps]))
        moved.append(
            replace(
                item,
                slopes=(item.slopes[0] * math.exp(off[0]),),
                intercepts=tuple(d.tolist()),
                lower=lower,
                upper=upper,
            )
        )
    agents = tuple(
        replace(c, ability=(c.ability[0] + share * c.sd[0] * rng.standard_normal(),))
        for c in bank.calibrants
    )
    return replace(bank, items=tuple(moved), calibrants=agents)


def line_of(found: Link) -> tuple[float, float]:
    return found.slope, found.intercept


# --- the line ---------------------------------------------------------------------------------


@given(banks(), SCALES, st.sampled_from(get_args(Method)))
def test_a_change_of_scale_alone_comes_back(
    bank: ItemBank, scale: tuple[float, float], method: Method
) -> None:
    found = link(bank, seen_on(bank, *scale), method)
    assert line_of(found) == pytest.approx(scale, abs=1e-6)
    assert not found.drifted


@given(banks(), st.sampled_from(get_args(Method)))
def test_a_bank_links_to_itself_by_the_identity(bank: ItemBank, method: Method) -> None:
    found = link(bank, bank, method)
    assert line_of(found) == pytest.approx((1.0, 0.0), abs=1e-7)


@settings(max_examples=25)
@given(banks(), SCALES, st.integers(0, 999), st.sampled_from(get_args(Method)))
def test_linking_back_is_the_inverse(
    bank: ItemBank, scale: tuple[float, float], seed: int, method: Method
) -> None:
    other = noisy(seen_on(bank, *scale), seed)
    there, back = link(bank, other, method), link(other, bank, method)
    a, b = line_of(there)
    assert line_of(back) == pytest.approx((1 / a, -b / a), rel=1e-5, abs=1e-5)
    turn = np.array([[-1 / a**2, 0.0], [b / a**2, -1 / a]])
    expected = turn @ np.array(there.sampling) @ turn.T
    assert np.array(back.sampling) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@settings(max_examples=25)
@given(banks(), SCALES, st.integers(0, 999), st.sampled_from(get_args(Method)))
def test_units_do_not_matter(
    bank: ItemBank, scale: tuple[float, float], seed: int, method: Method
) -> None:
    other = noisy(bank, seed)
    plain, moved = link(bank, other, method), link(bank, seen_on(other, *scale), method)
    slope, shift = scale
    assert moved.slope == pytest.approx(plain.slope * slope, rel=1e-5)
    assert moved.intercept == pytest.approx(plain.ability(shift), abs=1e-5)
    for ability in (-1.0, 0.0, 1.0):
        assert moved.se((ability - shift) / slope) == pytest.approx(plain.se(ability), rel=1e-3)


def curve(item: Item, theta: float) -> list[float]:
    """Category probabilities by the formulas of the models, one ability at a time."""
    z = [item.slopes[0] * theta + d for d in item.intercepts]
    match irt.family(item.model):
        case "binary":
            up = item.lower + (item.upper - item.lower) * expit(z[0])
            return [1 - up, up]
        case "graded":
            reach = [1.0, *expit(z), 0.0]
            return [reach[k] - reach[k + 1] for k in range(len(z) + 1)]
        case "partial_credit":
            odds = [math.exp(sum(z[:k])) for k in range(len(z) + 1)]
            return [x / sum(odds) for x in odds]


def disagreement(
    bank_a: ItemBank, bank_b: ItemBank, method: Method, line: Sequence[float]
) -> float:
    """What the curve methods make least, item by item and node by node."""
    slope, shift = line
    total = 0.0
    for step in np.linspace(-4, 4, 41):
        for bank, is_a in ((bank_a, True), (bank_b, False)):
            here = bank.mean[0] + bank.sd[0] * step
            on_a = here if is_a else slope * here + shift
            on_b = (here - shift) / slope if is_a else here
            pairs = [
                (np.array(curve(one, on_a)), np.array(curve(other, on_b)))
                for one, other in zip(bank_a.items, bank_b.items, strict=True)
            ]
            if method == "haebara":
                off = sum(float(((p - q) ** 2).sum()) for p, q in pairs)
            else:
                off = sum(float((p - q) @ np.arange(len(p))) for p, q in pairs) ** 2
            total += math.exp(-0.5 * step**2) * off
    return total


@pytest.mark.parametrize("method", CURVES)
@settings(max_examples=5)
@given(bank=banks(), scale=SCALES, seed=st.integers(0, 999))
def test_curve_methods_find_the_least_disagreement(
    method: Method, bank: ItemBank, scale: tuple[float, float], seed: int
) -> None:
    other = noisy(seen_on(bank, *scale), seed)
    found = link(bank, other, method)
    least = disagreement(bank, other, method, line_of(found))
    for away in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01), (0.01, 0.01), (-0.01, 0.01)):
        near = found.slope + away[0] * scale[0], found.intercept + away[1] * scale[0]
        assert disagreement(bank, other, method, near) > least


@given(banks(), SCALES, st.integers(0, 999))
def test_mean_and_sd_of_difficulties_agree_after_mean_sigma(
    bank: ItemBank, scale: tuple[float, float], seed: int
) -> None:
    other = noisy(seen_on(bank, *scale), seed)
    moved = apply_link(other, link(bank, other, "mean-sigma"))
    ours, theirs = ([b for i in x.items for b in i.difficulties] for x in (bank, moved))
    assert np.mean(theirs) == pytest.approx(np.mean(ours), abs=1e-9)
    assert np.std(theirs) == pytest.approx(np.std(ours), abs=1e-9)


def shrunk(ability: float, error: float, mean: float, sd: float) -> tuple[float, float]:
    """Posterior mean and sd under a normal prior, from a measurement with a normal error."""
    precision = error**-2 + sd**-2
    return (ability / error**2 + mean / sd**2) / precision, precision**-0.5


@given(
    st.lists(
        st.tuples(st.floats(-2, 2), st.floats(0.1, 0.7), st.floats(0.1, 0.7)),
        min_size=6,
        max_size=12,
    ),
    SCALES,
)
def test_posteriors_that_are_shrunk_unequally_do_not_bend_the_line(
    agents: list[tuple[float, float, float]], scale: tuple[float, float]
) -> None:
    # far enough from each other to be told apart
    drawn = np.array([ability for ability, _, _ in agents])
    abilities = np.linspace(-2, 2, len(agents)) + 0.1 * drawn
    slope, shift = scale
    of_a, of_b = [], []
    for k, (ability, (_, error_a, error_b)) in enumerate(
        zip(abilities.tolist(), agents, strict=True)
    ):
        on_b = (ability - shift) / slope
        for found, at, error, prior in (
            (of_a, ability, error_a, (0.3, 1.1)),
            (of_b, on_b, error_b / slope, (-0.2, 0.9)),
        ):
            mean, sd = shrunk(at, error, *prior)
            found.append(Calibrant(f"agent{k}", (mean,), (sd,)))
    anything = (Item("i", "2pl", (1.0,), (0.0,)),)
    bank_a = ItemBank("a", anything, mean=(0.3,), sd=(1.1,), calibrants=tuple(of_a))
    bank_b = ItemBank("b", anything, mean=(-0.2,), sd=(0.9,), calibrants=tuple(of_b))
    assert line_of(link(bank_a, bank_b, "agents")) == pytest.approx(scale, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_line_of_agents_is_the_least_squares_over_where_they_are(seed: int) -> None:
    """Oracle: the same squares with every agent's true ability as an unknown of its own."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(seed)
    ability, error_a, error_b = rng.normal(0, 1, 30), *rng.uniform(0.1, 0.5, (2, 30))
    x, y = (
        1.4 * ability + 0.3 + error_a * rng.normal(size=30),
        ability + error_b * rng.normal(size=30),
    )

    def off(unknown: Array) -> Array:
        slope, shift, where = unknown[0], unknown[1], unknown[2:]
        return np.concatenate([(x - slope * where - shift) / error_a, (y - where) / error_b])

    expected = least_squares(off, np.concatenate([[1.0, 0.0], y]), xtol=1e-13, ftol=1e-13).x[:2]
    wide = 1e4  # a prior that says nothing, so that posteriors are the measurements
    one, other = (
        ItemBank(
            name,
            (Item("i", "2pl", (1.0,), (0.0,)),),
            sd=(wide,),
            calibrants=tuple(
                Calibrant(f"agent{k}", (float(t),), (float(e),))
                for k, (t, e) in enumerate(zip(values, errors, strict=True))
            ),
        )
        for name, values, errors in (("a", x, error_a), ("b", y, error_b))
    )
    assert line_of(link(one, other, "agents")) == pytest.approx(expected, abs=1e-4)


# --- its error --------------------------------------------------------------------------------

SQUARES = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).standard_normal((2, 1 + seed % 3))
)


@given(SQUARES, SQUARES, st.floats(0.01, 100))
def test_the_larger_error_is_larger_in_every_direction(
    one: Array, other: Array, unit: float
) -> None:
    scale = np.diag([1.0, unit])
    first, second = one @ one.T, other @ other.T
    larger = _larger(first, second)
    for smaller in (first, second):
        assert np.linalg.eigvalsh(larger - smaller)[0] > -1e-9
    assert np.linalg.eigvalsh(first + second - larger)[0] > -1e-9
    assert _larger(first, first) == pytest.approx(first, abs=1e-9)
    assert _larger(first, 2 * first + np.eye(2)) == pytest.approx(2 * first + np.eye(2), abs=1e-9)
    scaled = _larger(scale @ first @ scale, scale @ second @ scale)
    assert scaled == pytest.approx(scale @ larger @ scale, rel=1e-6, abs=1e-6 * unit)


def test_no_error_is_stated_where_there_is_none() -> None:
    assert _larger(np.zeros((2, 2)), np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def fixed_bank(n: int = 12, seed: int = 0, sd: float = 0.15) -> ItemBank:
    """Binary and graded items with the same small uncertainty."""
    rng = np.random.default_rng(seed)
    members = []
    for k in range(n):
        a, b = float(np.exp(rng.normal(0, 0.3))), float(rng.normal(0, 1.2))
        steps = (-a * (b - 0.6), -a * (b + 0.6)) if k % 3 == 0 else (-a * b,)
        size = 1 + len(steps)
        covariance = sd**2 * (0.7 * np.eye(size) + 0.3)
        members.append(
            Item(
                f"i{k}",
                "grm" if k % 3 == 0 else "2pl",
                (a,),
                steps,
                categories=f"c{size}",
                covariance=tuple(tuple(row) for row in covariance.tolist()),
            )
        )
    return ItemBank("a", tuple(members), LABELS)


@pytest.mark.parametrize("method", BY_ITEMS)
def test_sampling_error_is_that_of_draws(method: Method) -> None:
    """Oracle: lines through 120 parametric draws of both banks; sd of an sd is 6% of it."""
    bank = fixed_bank(sd=0.08)
    lines = [line_of(link(noisy(bank, 2 * k), noisy(bank, 2 * k + 1), method)) for k in range(120)]
    drawn = np.cov(np.array(lines).T)
    stated = np.array(link(bank, bank, method).sampling)
    assert np.sqrt(np.diag(stated)) == pytest.approx(np.sqrt(np.diag(drawn)), rel=0.25)
    assert stated[0, 1] == pytest.approx(
        drawn[0, 1], abs=0.25 * math.sqrt(drawn[0, 0] * drawn[1, 1])
    )


@pytest.mark.parametrize("method", BY_ITEMS)
def test_the_jackknife_is_that_of_linking_without_each_item(method: Method) -> None:
    bank = fixed_bank(20)
    other = noisy(bank, 1)
    without = []
    for item in bank.items:
        less = replace(bank, items=tuple(i for i in bank.items if i != item))
        without.append(line_of(link(less, other, method)))
    off = np.array(without) - np.mean(without, axis=0)
    expected = off.T @ off * 19 / 20
    found = np.array(link(bank, other, method).jackknife)
    assert np.sqrt(np.diag(found)) == pytest.approx(np.sqrt(np.diag(expected)), rel=0.1)


def test_a_slope_that_all_items_share_is_a_unit_and_has_no_error() -> None:
    covariance = ((0.04, 0.0), (0.0, 1e-12))
    rasch = ItemBank(
        "a",
        tuple(Item(f"i{k}", "1pl", (1.3,), (k - 4.0,), covariance=covariance) for k in range(9)),
    )
    assert link(rasch, rasch).se_slope < 1e-5
    free = replace(rasch, items=tuple(replace(i, model="2pl") for i in rasch.items))
    assert link(free, free).se_slope > 0.01


@given(st.floats(-3, 3), st.floats(0.01, 1), st.floats(0.01, 1), st.floats(-0.9, 0.9))
def test_the_error_of_an_ability_is_that_of_the_line_there(
    ability: float, slope_sd: float, shift_sd: float, correlation: float
) -> None:
    both = correlation * slope_sd * shift_sd
    found = Link(1.5, 0.2, ((slope_sd**2, both), (both, shift_sd**2)), "haebara", "a", ())
    expected = math.sqrt((slope_sd * ability) ** 2 + 2 * ability * both + shift_sd**2)
    assert found.se(ability) == pytest.approx(expected)
    assert found.se(0.0) == pytest.approx(found.se_intercept)
    assert found.ability(ability) == 1.5 * ability + 0.2


# --- drift ------------------------------------------------------------------------------------


def harder(bank: ItemBank, names: Sequence[str], by: float) -> ItemBank:
    return replace(
        bank,
        items=tuple(
            replace(i, intercepts=tuple(d - by * i.slopes[0] for d in i.intercepts))
            if i.id in names
            else i
            for i in bank.items
        ),
    )


@given(SCALES, st.sampled_from(BY_ITEMS), st.sampled_from([-2.0, 2.0]), st.integers(0, 50))
def test_planted_drift_is_found_and_can_be_left_out(
    scale: tuple[float, float], method: Method, by: float, seed: int
) -> None:
    bank = fixed_bank(16, seed=seed, sd=0.05)
    drifting = {"i4", "i11"}
    other = seen_on(harder(bank, sorted(drifting), by), *scale)
    named = link(bank, other, method)
    assert {drift.name for drift in named.drifted} == drifting
    assert not named.dropped
    for drift in named.drifted:
        assert drift.of == "difficulty"
        assert drift.difference == pytest.approx(by, abs=1e-5)
        assert math.copysign(1, drift.z) == math.copysign(1, by)
    dropped = link(bank, other, method, drop_drifted=True)
    assert set(dropped.dropped) == drifting
    assert line_of(dropped) == pytest.approx(scale, abs=1e-5)
    assert dropped.drifted == named.drifted
    # differences that estimation does not explain make the line less certain while they are in
    assert named.jackknife[1][1] > 1e-4 > dropped.jackknife[1][1]


def test_a_slope_drifts_too() -> None:
    bank = fixed_bank(16, sd=0.1)
    other = replace(
        bank,
        items=tuple(
            replace(i, slopes=(4 * i.slopes[0],), intercepts=tuple(4 * d for d in i.intercepts))
            if i.id == "i5"
            else i
            for i in bank.items
        ),
    )
    (drift,) = link(bank, other, "haebara").drifted
    assert (drift.name, drift.of) == ("i5", "log slope")
    assert drift.difference == pytest.approx(math.log(4))


def test_estimation_error_is_rarely_called_drift() -> None:
    """30 pairs of banks that differ by estimation only: about one in twenty may have a flag."""
    bank = fixed_bank(20, sd=0.25)
    pairs = [(noisy(bank, 2 * k), noisy(bank, 2 * k + 1)) for k in range(30)]
    assert sum(bool(link(*pair).drifted) for pair in pairs) <= 5


def test_an_agent_that_has_become_another_drifts() -> None:
    rng = np.random.default_rng(5)
    ability = rng.normal(size=20)
    one, other = (
        tuple(
            Calibrant(f"agent{k}", (float(t + 0.1 * rng.normal()),), (0.1,))
            for k, t in enumerate(ability + extra)
        )
        for extra in (0.0, 2.0 * (np.arange(20) == 7))
    )
    bank = replace(fixed_bank(), sd=(100.0,))
    found = link(
        replace(bank, calibrants=one), replace(bank, calibrants=other), "agents", drop_drifted=True
    )
    assert found.dropped == ("agent7",)
    assert found.slope == pytest.approx(1.0, abs=4 * found.se_slope)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_false_discoveries_are_those_of_scipy(p: list[float]) -> None:
    from scipy.stats import false_discovery_control

    expected = false_discovery_control(p) <= 0.05
    assert _false_discoveries(np.array(p), 0.05).tolist() == expected.tolist()


# --- planted scales, through calibration ------------------------------------------------------

SEEDS = range(24)
TRUE_SLOPE, TRUE_SHIFT = 1.3, 0.6


@dataclass(frozen=True)
class World:
    """Two calibrations of overlapping tests and agents, and the line between their scales."""

    bank_a: ItemBank
    bank_b: ItemBank
    slope: float
    shift: float


def answers(rng: np.random.Generator, members: Sequence[Item], ability: Array) -> Array:
    bank = ItemBank("truth", tuple(members))
    p = compile_bank(bank, ability[:, None], uncertainty=False).p[:, 1]
    return (rng.random(p.shape) < p).T.astype(float)


def calibrated(
    name: str, outcomes: Array, agents: Sequence[str], tasks: Sequence[Item]
) -> ItemBank:
    responses = from_matrix(outcomes, agents=agents, items=[task.id for task in tasks])
    return with_agents(responses, name)


def with_agents(responses: Responses, name: str) -> ItemBank:
    found = calibrate(responses, "2pl", name=name)
    if found.bank.calibrants:
        return found.bank
    rows = zip(found.agents, np.ravel(found.ability), np.ravel(found.sd), strict=True)
    return replace(
        found.bank,
        calibrants=tuple(Calibrant(agent, (float(t),), (float(s),)) for agent, t, s in rows),
    )


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    """20 of 60 items and 50 of 150 agents in common; the agents of B are abler and more varied."""
    made = []
    for seed in SEEDS:
        rng = np.random.default_rng([7, seed])
        a, b = np.exp(rng.normal(0.2, 0.35, 100)), rng.normal(0.3, 1.2, 100)
        tasks = [Item(f"i{k}", "2pl", (float(a[k]),), (float(-a[k] * b[k]),)) for k in range(100)]
        of_a, of_b = tasks[:60], tasks[40:]
        both = rng.normal(0, 1, 50)
        ability_a = np.concatenate([both, rng.normal(0, 1, 100)])
        ability_b = np.concatenate([both, rng.normal(TRUE_SHIFT, TRUE_SLOPE, 100)])
        shared = [f"both{k}" for k in range(50)]
        names_a, names_b = ([*shared, *(f"{x}{k}" for k in range(100))] for x in "ab")
        made.append(
            World(
                calibrated("a", answers(rng, of_a, ability_a), names_a, of_a),
                calibrated("b", answers(rng, of_b, ability_b), names_b, of_b),
                # each scale is that of its own agents
                ability_b.std() / ability_a.std(),
                (ability_b.mean() - ability_a.mean()) / ability_a.std(),
            )
        )
    return made


@pytest.mark.parametrize("method", get_args(Method))
def test_planted_scales_lie_within_the_stated_error(
    method: Method, worlds: list[World], record_property: Callable[[str, object], None]
) -> None:
    """24 pairs of calibrations. Intervals of nominal 90% should cover 80 to 100% of 48 values,
    whose binomial sd is 4 to 6 points; errors should be as large as said, give or take a third.
    """
    off, se = [], []
    for world in worlds:
        found = link(world.bank_a, world.bank_b, method)
        off.append([found.slope - world.slope, found.intercept - world.shift])
        se.append([found.se_slope, found.se_intercept])
    errors, stated = np.array(off), np.array(se)
    coverage = (abs(errors) < 1.645 * stated).mean(axis=0)
    rmse, mean_se = np.sqrt((errors**2).mean(axis=0)), np.sqrt((stated**2).mean(axis=0))
    for name, values in (("coverage of 90%", coverage), ("rmse", rmse), ("stated", mean_se)):
        record_property(f"{method} {name} (slope, shift)", values.round(3).tolist())
    said = f"coverage {coverage}, rmse {rmse}, stated {mean_se}"
    assert coverage.mean() >= 0.8, said
    assert (rmse < 1.35 * mean_se).all(), said
    assert (rmse > 0.4 * mean_se).all(), said
    assert (abs(errors.mean(axis=0)) < 0.6 * mean_se).all(), said


def test_posterior_means_taken_as_they_are_would_give_a_smaller_slope(worlds: list[World]) -> None:
    """Why the agents' abilities are unshrunk: B's agents spread less of what they are measured."""
    naive, found = [], []
    for world in worlds:
        other = {c.agent: c for c in world.bank_b.calibrants}
        pairs = [
            (c.ability[0], other[c.agent].ability[0])
            for c in world.bank_a.calibrants
            if c.agent in other
        ]
        x, y = np.array(pairs).T
        naive.append(x.std() / y.std() - world.slope)
        found.append(link(world.bank_a, world.bank_b, "agents").slope - world.slope)
    assert abs(np.mean(found)) < abs(np.mean(naive))


def test_real_items_and_agents_agree_on_the_line(shared_data: Path) -> None:
    """Two halves of the same benchmark with 100 items, and all agents, in both: one scale."""
    responses = read_responses(shared_data / "swebench_verified" / "responses.csv.gz")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(responses.items))
    parts = [[responses.items[k] for k in order[s]] for s in (slice(0, 300), slice(200, 500))]
    one, other = (
        with_agents(responses.subset(items=part), name)
        for part, name in zip(parts, "ab", strict=True)
    )
    for method in ("stocking-lord", "haebara", "agents"):
        found = link(one, other, method)  # type: ignore[arg-type]
        assert found.slope == pytest.approx(1.0, abs=3 * found.se_slope)
        assert found.intercept == pytest.approx(0.0, abs=3 * found.se_intercept)


# --- moving a bank ----------------------------------------------------------------------------

LINE = Link(1.7, -0.4, ((0.02, 0.004), (0.004, 0.03)), "stocking-lord", "a", ("i0", "i1"))


@given(banks(), SCALES)
def test_moving_a_bank_changes_no_probability(bank: ItemBank, scale: tuple[float, float]) -> None:
    line = replace(LINE, slope=scale[0], intercept=scale[1])
    moved = apply_link(bank, line, include_error=False)
    nodes = np.linspace(-3, 3, 7)[:, None]
    before = compile_bank(bank, nodes, uncertainty=False)
    after = compile_bank(moved, scale[0] * nodes + scale[1], uncertainty=False)
    assert after.p == pytest.approx(before.p, abs=1e-9)
    assert moved.mean[0] == pytest.approx(scale[0] * bank.mean[0] + scale[1])
    assert moved.sd[0] == pytest.approx(scale[0] * bank.sd[0])
    for was, now in zip(bank.calibrants, moved.calibrants, strict=True):
        assert now.ability[0] == pytest.approx(scale[0] * was.ability[0] + scale[1])
        assert now.sd[0] == pytest.approx(scale[0] * was.sd[0])
    for was_item, now_item in zip(bank.items, moved.items, strict=True):
        assert now_item.effect_sd == was_item.effect_sd


@settings(max_examples=10)
@given(items("i"))
def test_uncertainty_moves_along_and_takes_the_error_of_the_link(item: Item) -> None:
    """Oracle: the covariance of draws of item and line, each moved by its own line."""
    small = 1e-2  # so that what is not linear does not show
    item = replace(
        item, covariance=tuple(tuple(small * x for x in row) for row in item.covariance or ())
    )
    line = replace(LINE, covariance=tuple(tuple(small * x for x in r) for r in LINE.covariance))
    rng = np.random.default_rng(0)
    size, steps = len(parameter_names(item)), len(item.intercepts)
    n = 40_000
    own = rng.multivariate_normal(np.zeros(size), np.array(item.covariance), n)
    lines = rng.multivariate_normal([line.slope, line.intercept], np.array(line.covariance), n)
    a = item.slopes[0] * np.exp(own[:, 0])
    drawn = own.copy()
    drawn[:, 0] = np.log(a / lines[:, 0])
    drawn[:, 1 : 1 + steps] += np.array(item.intercepts) - (a * lines[:, 1] / lines[:, 0])[:, None]
    expected = np.cov(drawn.T)
    (moved,) = apply_link(ItemBank("b", (item,), LABELS), line).items
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected))) + 1e-15
    assert np.array(moved.covariance) / scale == pytest.approx(expected / scale, abs=0.05)


def test_what_is_known_exactly_stays_so_without_the_error_of_the_link() -> None:
    bank = ItemBank("b", (Item("i", "2pl", (1.0,), (0.0,)),))
    assert apply_link(bank, LINE, include_error=False).items[0].covariance is None
    assert np.trace(np.array(apply_link(bank, LINE).items[0].covariance)) > 0
    exact = replace(LINE, covariance=((0.0, 0.0), (0.0, 0.0)))
    assert apply_link(bank, exact).items[0].covariance is None


def test_a_moved_bank_says_how_and_survives_the_disk(tmp_path: Path) -> None:
    moved = apply_link(replace(fixed_bank(), calibrants=(Calibrant("x", (0.5,), (0.3,)),)), LINE)
    save_bank(moved, tmp_path / "moved")
    again = load_bank(tmp_path / "moved")
    assert again.hash == moved.hash
    assert again.calibrants == moved.calibrants
    assert again.provenance["link"] == link_facts(LINE)
    assert again.provenance["link"]["se_slope"] == pytest.approx(math.sqrt(0.02))


# --- merging ----------------------------------------------------------------------------------


@given(banks())
def test_merging_a_bank_with_itself_changes_nothing_that_counts(bank: ItemBank) -> None:
    merged = merge(bank, bank)
    assert merged.hash == bank.hash
    assert merged.calibrants == bank.calibrants


def renamed(bank: ItemBank, names: dict[str, str]) -> ItemBank:
    return replace(bank, items=tuple(replace(i, id=names.get(i.id, i.id)) for i in bank.items))


def test_common_items_keep_the_parameters_of_a() -> None:
    bank = fixed_bank()
    other = renamed(noisy(replace(bank, name="b"), 3), {"i0": "new0", "i1": "new1"})
    merged = merge(bank, other, name="both")
    assert merged.name == "both"
    assert merged.items[: len(bank.items)] == bank.items
    assert [i.id for i in merged.items[len(bank.items) :]] == ["new0", "new1"]
    assert merged.items[len(bank.items) :] == other.items[:2]
    assert (merged.mean, merged.sd) == (bank.mean, bank.sd)
    (entry,) = merged.provenance["merged_with"]
    assert (entry["name"], entry["items_added"]) == ("b", 2)


def test_agents_that_only_b_has_get_the_posterior_under_the_population_of_a() -> None:
    """Oracle: the posterior on a grid from the same measurement, under the other prior."""
    mean, sd = shrunk(1.2, 0.4, 0.8, 1.3)
    bank = fixed_bank()
    other = replace(
        bank, name="b", mean=(0.8,), sd=(1.3,), calibrants=(Calibrant("x", (mean,), (sd,)),)
    )
    merged = merge(replace(bank, calibrants=(Calibrant("y", (0.0,), (0.5,)),)), other)
    nodes = np.linspace(-8, 8, 4001)[:, None]
    weights = normalise(
        Prior(bank.mean, bank.sd).log_weights(nodes) - 0.5 * ((nodes[:, 0] - 1.2) / 0.4) ** 2
    )
    expected = moments(nodes, weights[None])
    assert [c.agent for c in merged.calibrants] == ["y", "x"]
    assert merged.calibrants[1].ability[0] == pytest.approx(expected[0][0, 0], abs=1e-6)
    assert merged.calibrants[1].sd[0] == pytest.approx(expected[1][0, 0], abs=1e-6)


def one_item(name: str, **more: object) -> ItemBank:
    item = Item("i", "2pl", (1.0,), (0.0,), source="s" if "sources" in more else "")
    return ItemBank(name, (item,), **more)  # type: ignore[arg-type]


def with_environment(bank: ItemBank, environment: str) -> ItemBank:
    return replace(bank, items=(replace(bank.items[0], environment=environment),))


UNMERGEABLE = {
    "labels of a common item": (
        one_item("a"),
        one_item("b", categories={"binary": ("no", "yes")}),
        "item 'i' has the categories fail, pass in bank 'a' and no, yes in 'b'",
    ),
    "labels of a list": (
        one_item("a"),
        renamed(one_item("b", categories={"binary": ("no", "yes")}), {"i": "j"}),
        "categories 'binary' are fail, pass in bank 'a' and no, yes in 'b'",
    ),
    "source": (
        one_item("a", sources={"s": Source("package/one")}),
        renamed(one_item("b", sources={"s": Source("package/two")}), {"i": "j"}),
        "source 's' is package/one in bank 'a' and package/two in 'b'",
    ),
    "ladder": (
        one_item("a", sources={"s": Source("package/one")}),
        renamed(one_item("b", sources={"s": Source("package/one", score="value>=C")}), {"i": "j"}),
        "another score",
    ),
    "folder": (
        one_item("a", sources={"s": Source(environments="tasks", folder=Path("/one"))}),
        renamed(
            one_item("b", sources={"s": Source(environments="tasks", folder=Path("/two"))}),
            {"i": "j"},
        ),
        "/two/tasks",
    ),
    "task": (
        with_environment(one_item("a"), "first"),
        with_environment(one_item("b"), "second"),
        "item 'i' is the task first in bank 'a' and second in 'b'",
    ),
}


@pytest.mark.parametrize("case", UNMERGEABLE)
def test_banks_that_contradict_each_other_are_not_merged(case: str) -> None:
    bank_a, bank_b, words = UNMERGEABLE[case]
    with pytest.raises(BankError, match=words):
        merge(bank_a, bank_b)


def test_a_bank_that_names_no_task_does_not_contradict_one_that_does() -> None:
    bank_a = with_environment(one_item("a"), "first")
    assert merge(bank_a, one_item("b")).items == bank_a.items
    assert merge(one_item("b"), bank_a).items == one_item("b").items


# --- refusals ---------------------------------------------------------------------------------


def few(n: int) -> ItemBank:
    bank = fixed_bank()
    return replace(bank, items=bank.items[:n])


def two_abilities() -> ItemBank:
    return ItemBank("two", (Item("i", "2pl", (1.0, 0.5), (0.0,)),), mean=(0.0, 0.0), sd=(1.0, 1.0))


def alike() -> ItemBank:
    return ItemBank("a", tuple(Item(f"i{k}", "2pl", (1.0 + k,), (0.0,)) for k in range(6)))


def agents(sd: float, spread: float) -> ItemBank:
    return replace(
        fixed_bank(),
        calibrants=tuple(Calibrant(f"x{k}", (spread * (k - 3),), (sd,)) for k in range(7)),
    )


REFUSED: dict[str, tuple[ItemBank, ItemBank, Method, str]] = {
    "two abilities": (two_abilities(), two_abilities(), "haebara", "has 2 abilities"),
    "no common item": (
        few(8),
        renamed(few(8), {f"i{k}": f"j{k}" for k in range(8)}),
        "stocking-lord",
        "have 0 items in common .* needs 5: give the same task the same id",
    ),
    "four common items": (few(4), few(8), "stocking-lord", "have 4 items in common .* needs 5"),
    "no agents": (few(8), few(8), "agents", "have 0 agents in common .* needs 5: calibrate both"),
    "agents without information": (agents(1.0, 0.1), agents(0.5, 0.1), "agents", "have 0 agents"),
    "an agent known exactly": (agents(0.0, 0.5), agents(0.2, 0.5), "agents", "'x0' has .* sds"),
    "agents alike": (agents(0.6, 0.01), agents(0.6, 0.01), "agents", "no more than they are"),
    "agents reversed": (agents(0.2, 0.5), agents(0.2, -0.5), "agents", "do not rise together"),
    "difficulties alike": (alike(), alike(), "mean-sigma", "equally difficult"),
    "another family": (
        few(8),
        replace(few(8), items=(replace(few(8).items[0], model="gpcm"), *few(8).items[1:])),
        "haebara",
        "item 'i0' is graded with 3 categories in bank 'a' and partial credit with 3 categories",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_linked_is_refused_with_the_way_out(case: str) -> None:
    bank_a, bank_b, method, words = REFUSED[case]
    with pytest.raises(BankError, match=words):
        link(bank_a, bank_b, method)


def test_too_few_left_after_drift_is_a_refusal() -> None:
    bank = few(6)
    other = harder(harder(bank, ["i1"], 3.0), ["i4"], -3.0)
    assert {d.name for d in link(bank, other).drifted} == {"i1", "i4"}
    with pytest.raises(BankError, match="of 6 common items 2 drift, and the other 4 are too few"):
        link(bank, other, drop_drifted=True)


def test_curves_of_items_that_are_equally_difficult_still_give_a_line() -> None:
    assert line_of(link(alike(), seen_on(alike(), 1.4, 0.3))) == pytest.approx((1.4, 0.3))


@pytest.mark.parametrize("n", [FEWEST, FEWEST + 1])
def test_the_fewest_are_enough(n: int) -> None:
    assert line_of(link(few(n), seen_on(few(n), 1.4, 0.3))) == pytest.approx((1.4, 0.3), abs=1e-6)


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Banks ``a`` and ``b``, 14 of 16 items in common, one of which drifts."""
    bank = fixed_bank(16, sd=0.1)
    other = renamed(seen_on(harder(bank, ["i4"], 2.0), 1.5, 0.25), {"i14": "new14", "i15": "new15"})
    save_bank(bank, tmp_path / "a")
    save_bank(other, tmp_path / "b")
    return tmp_path


def test_the_command_prints_the_line_and_writes_the_bank(folders: Path) -> None:
    out = folders / "c"
    arguments = [str(folders / "a"), str(folders / "b"), "--drop-drifted", "--out", str(out)]
    done = CliRunner().invoke(link_banks, arguments)
    assert done.exit_code == 0, done.output
    for words in (
        "b onto the scale of a, by stocking-lord through 13 common items",
        "slope      1.500",
        "shift      0.250",
        "1 of 14 common items drift, left out:",
        "i4",
        "18 items, 16 as in a and 2 of b",
    ):
        assert words in done.output
    merged = load_bank(out)
    assert merged.name == "c"
    assert merged.hash in done.output
    bank = load_bank(folders / "a")
    for was, now in ((bank["i14"], merged["new14"]), (bank["i15"], merged["new15"])):
        assert now.slopes == pytest.approx(was.slopes, rel=1e-4)
        assert now.intercepts == pytest.approx(was.intercepts, abs=1e-4)
        # as uncertain as it was, and a little by the link
        for k in range(len(now.covariance or ())):
            assert now.covariance[k][k] > was.covariance[k][k]  # type: ignore[index]
    assert merged.provenance["merged_with"][0]["provenance"]["link"]["dropped"] == ["i4"]


@pytest.mark.parametrize("method", BY_ITEMS)
def test_the_command_says_the_same_in_json(folders: Path, method: str) -> None:
    arguments = [str(folders / "a"), str(folders / "b"), "--method", method, "--json"]
    done = CliRunner().invoke(link_banks, arguments)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    found = link(load_bank(folders / "a"), load_bank(folders / "b"), method)  # type: ignore[arg-type]
    assert facts["link"]["slope"] == found.slope
    assert facts["se_intercept"] == found.se_intercept
    assert [row["se"] for row in facts["abilities"]] == [found.se(x) for x in (-1.0, 0.0, 1.0)]
    assert [drift["name"] for drift in facts["link"]["drifted"]] == ["i4"]
    assert facts["merged"] is None
    assert "1 of 14 common items drift and are used" in facts["remarks"][0]
    assert "1 of 14 common items drift and are used" in done.stderr


def test_the_command_replaces_no_bank(folders: Path) -> None:
    a, b = str(folders / "a"), str(folders / "b")
    done = CliRunner().invoke(link_banks, [a, b, "--out", b])
    assert isinstance(done.exception, BankError)
    assert "already holds bank.yaml" in str(done.exception)


def test_the_command_doubts_items_that_share_only_a_name(folders: Path) -> None:
    stranger = replace(fixed_bank(16, seed=9, sd=0.1), name="stranger")
    save_bank(stranger, folders / "stranger")
    arguments = [str(folders / "a"), str(folders / "stranger"), "--method", "haebara"]
    done = CliRunner().invoke(link_banks, arguments)
    assert done.exit_code == 0, done.output
    assert "may not" in done.stderr
