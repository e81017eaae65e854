"""Items of a benchmark: ends, gaps, slopes, noise and categories."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import expit

from harness.bank import Item, ItemBank
from harness.health.evidence import Evidence, gather
from harness.health.items import scale_use, slopes
from harness.health.items.gaps import analyse_gaps, information
from harness.health.items.noise import analyse_noise
from harness.health.items.saturation import analyse_saturation
from harness.health.items.scale_use import Step, analyse_scale_use, mapping
from harness.health.items.slopes import analyse_slopes
from harness.irt import Array
from harness.report.health import items as sections
from harness.report.sections import Section
from harness.responses import Responses, from_matrix


def bank_of(a: Array, b: Array) -> ItemBank:
    items = (
        Item(f"item{i}", "2pl", (float(s),), (float(-s * d),))
        for i, (s, d) in enumerate(zip(a, b, strict=True))
    )
    return ItemBank("test", tuple(items))


def draw(
    seed: int, agents: int, n: int, b: Array | None = None
) -> tuple[np.random.Generator, Array, Array, Array, Array]:
    """A generator, slopes, difficulties, abilities, and probabilities ``(A, n)``."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0.7, 0.35, n))
    b = rng.normal(0.2, 1.4, n) if b is None else b
    theta = rng.normal(size=agents)
    return rng, a, b, theta, expit(a * (theta[:, None] - b))


def outcomes_of(right: NDArray[np.bool_], a: Array, b: Array) -> Evidence:
    return gather(from_matrix(right.astype(float)), bank_of(a, b))


def clean(seed: int, agents: int, n: int, b: Array | None = None) -> Evidence:
    rng, a, b, _, p = draw(seed, agents, n, b)
    return outcomes_of(rng.random(p.shape) < p, a, b)


def repeated(counts: Array) -> Responses:
    """``(A, n, K)`` counts of categories as trials."""
    agent, item, category = np.nonzero(counts)
    times = counts[agent, item, category].astype(int)
    agent, item, category = (np.repeat(x, times) for x in (agent, item, category))
    unknown = np.full(len(agent), np.nan)
    base = from_matrix(np.zeros(counts.shape[:2]), n_categories=counts.shape[2])
    return replace(
        base,
        agent=agent,
        item=item,
        category=category,
        trial=np.arange(len(agent)),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
    )


# --- slopes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_reversed_items_and_coin_flips_are_found_and_sound_ones_are_not(seed: int) -> None:
    difficulty = np.random.default_rng(seed).normal(0.2, 1.4, 100)
    difficulty[:8] = np.linspace(-0.8, 0.8, 8)
    rng, a, b, _, p = draw(seed, 60, 100, difficulty)
    right = rng.random(p.shape) < p
    right[:, :4] = ~right[:, :4]
    right[:, 4:8] = rng.random((60, 4)) < 0.5
    found = analyse_slopes(outcomes_of(right, a, b))
    backwards = {flag.names[0] for flag in found.flags if flag.kind == "reversed"}
    low = {flag.names[0] for flag in found.flags if flag.kind == "low discrimination"}
    assert backwards == {f"item{i}" for i in range(4)}
    assert {f"item{i}" for i in range(4, 8)} <= low
    assert len(low) <= 5
    assert all(flag.low <= flag.estimate <= flag.high for flag in found.flags)


@pytest.mark.parametrize("seed", [3, 4])
def test_clean_items_have_no_flags_and_their_typical_slope_is_found(seed: int) -> None:
    found = analyse_slopes(clean(seed, 60, 100))
    assert found.flags == ()
    assert found.typical == pytest.approx(np.exp(0.7), rel=0.2)


def test_intervals_of_slopes_hold_the_true_ones_as_often_as_they_say() -> None:
    rng, a, b, _, p = draw(5, 80, 150)
    found = analyse_slopes(outcomes_of(rng.random(p.shape) < p, a, b))
    inside = [
        one.low <= true <= one.high
        for one, true in zip(found.items, a, strict=True)
        if one.slope == one.slope
    ]
    assert 0.82 < np.mean(inside) < 0.98


def test_few_agents_flag_no_slope_and_say_so() -> None:
    found = analyse_slopes(clean(6, 5, 40))
    assert found.flags == ()
    assert any("5 agents" in caution for caution in found.cautions)


def test_profile_likelihood_is_the_maximum_over_intercepts() -> None:
    rng = np.random.default_rng(7)
    x = np.linspace(-3, 3, 25)
    abilities = rng.dirichlet(np.ones(25), 20)
    score, weight = rng.random(20), rng.uniform(0.5, 3, 20)
    at, chance = np.array([-1.3, 0.0, 0.7, 2.5]), 0.3

    def minus(d: float, slope: float) -> float:
        p = chance / 2 + (1 - chance) * abilities @ expit(slope * x + d)
        return -float(weight @ (score * np.log(p) + (1 - score) * np.log1p(-p)))

    expected = [
        -minimize_scalar(minus, args=(slope,), bounds=(-12, 12), method="bounded").fun
        for slope in at
    ]
    found = slopes._profile(x, abilities[None], score[None], weight[None], at, chance)
    assert found[0] == pytest.approx(expected, abs=1e-5)


def test_item_rest_correlation_is_that_of_the_other_items_mean() -> None:
    evidence = clean(8, 30, 12)
    found = analyse_slopes(evidence)
    for i, one in enumerate(found.items):
        rest = np.delete(evidence.score, i, axis=1).mean(axis=1)
        if np.ptp(evidence.score[:, i]):
            assert one.rest == pytest.approx(np.corrcoef(evidence.score[:, i], rest)[0, 1])
            z = np.arctanh(one.rest) + 1.6449 / np.sqrt(27)
            assert one.rest_high == pytest.approx(np.tanh(z), abs=1e-4)


# --- gaps --------------------------------------------------------------------------------------


def test_information_is_that_of_two_parameter_items() -> None:
    evidence = clean(9, 20, 15)
    a = np.array([item.slopes[0] for item in evidence.bank.items])
    b = np.array([item.difficulties[0] for item in evidence.bank.items])
    p = expit(a[:, None] * (evidence.nodes - b[:, None]))
    expected = (a[:, None] ** 2 * p * (1 - p)).sum(axis=0)
    assert information(evidence)[1:-1] == pytest.approx(expected[1:-1], rel=0.06)


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_a_hole_in_difficulty_is_found_where_it_is(seed: int) -> None:
    b = np.random.default_rng(seed).normal(0.2, 1.4, 400)
    hole = analyse_gaps(clean(seed, 60, 200, b[(b < 0.3) | (b > 1.3)][:200]))
    assert [stretch.why for stretch in hole.stretches] == ["hole"]
    (stretch,) = hole.stretches
    assert stretch.low < 0.8 < stretch.high
    assert 0 < stretch.rate_low < stretch.rate_high < 1
    assert analyse_gaps(clean(seed, 60, 200, b[:200])).flags == ()


def test_a_test_whose_best_agents_have_outgrown_it_lacks_hard_tasks() -> None:
    found = analyse_gaps(clean(13, 60, 60, np.linspace(-3.5, -1.5, 60)))
    assert [stretch.why for stretch in found.stretches] == ["thin end"]
    assert found.stretches[0].high > found.best
    assert found.reach < found.best


def test_newest_agents_are_expected_on_the_line_through_dates() -> None:
    rng, a, b, _, _ = draw(14, 40, 80)
    year = np.linspace(0, 1.9, 40)
    theta = -1 + year + 0.3 * rng.normal(size=40)
    p = expit(a * (theta[:, None] - b))
    evidence = outcomes_of(rng.random(p.shape) < p, a, b)
    dates = [f"{2024 + int(y)}-{1 + int(12 * (y % 1)):02}" for y in year]
    found = analyse_gaps(evidence, tuple(dates))
    assert found.heading is not None
    assert found.heading.mean == pytest.approx(0.9, abs=0.4)
    assert found.heading.pace_low < 1 < found.heading.pace_high
    assert found.newest[0] in ("agent38", "agent39")
    assert len(found.newest) == 10
    odd = analyse_gaps(evidence, ("soon", *[""] * 39))
    assert odd.heading is None
    assert "soon" in odd.cautions[0]


# --- ends --------------------------------------------------------------------------------------


def test_an_item_that_nobody_solved_is_flagged_only_if_many_tried() -> None:
    for agents, flagged in ((5, False), (40, True)):
        rng, a, b, _, p = draw(15, agents, 20, np.linspace(-1, 1, 20))
        right = rng.random(p.shape) < p
        right[:, 3] = False
        found = analyse_saturation(outcomes_of(right, a, b))
        assert found.items[3].state == "never"
        named = [flag.names for flag in found.flags if flag.kind == "never solved"]
        assert (("item3",) in named) == flagged
        assert any("nothing is concluded" in caution for caution in found.cautions) != flagged
        limit = stats.beta.ppf(0.95, 0.5, agents + 0.5)
        assert found.items[3].high == pytest.approx(limit, rel=1e-6)


def test_a_test_that_is_too_easy_has_a_ceiling() -> None:
    found = analyse_saturation(clean(16, 60, 60, np.linspace(-3, -0.8, 60)))
    assert "ceiling" in [flag.kind for flag in found.flags]
    assert found.top.tell < found.tell_peak
    assert "ceiling" not in [flag.kind for flag in analyse_saturation(clean(16, 60, 60)).flags]


# --- noise -------------------------------------------------------------------------------------


def test_noise_needs_repeated_trials() -> None:
    assert analyse_noise(clean(17, 10, 5)) is None


def test_components_are_those_of_a_balanced_analysis_of_variance() -> None:
    rng, a, b, _, p = draw(18, 30, 20)
    hits = rng.binomial(4, p)
    evidence = gather(repeated(np.stack([4 - hits, hits], axis=2)), bank_of(a, b))
    found = analyse_noise(evidence)
    assert found is not None
    mean = hits / 4
    row, column = mean.mean(axis=1), mean.mean(axis=0)
    rest = mean - row[:, None] - column + mean.mean()
    square = (rest**2).sum() / (29 * 19)
    within = (mean * (1 - mean)).mean() * 4 / 3
    assert found.components.within == pytest.approx(within)
    assert found.components.cell == pytest.approx(max(0, square - within / 4))
    assert found.components.agent == pytest.approx(row.var(ddof=1) - square / 20)
    assert found.components.item == pytest.approx(column.var(ddof=1) - square / 30)
    assert found.mixed == pytest.approx(((hits > 0) & (hits < 4)).mean())
    scores = [ahead.score for ahead in found.ahead]
    assert scores == sorted(scores)


def test_items_that_are_coin_flips_for_everyone_are_found() -> None:
    rng, a, b, _, p = draw(19, 60, 40)
    p[:, :3] = 0.5
    hits = rng.binomial(5, p)
    evidence = gather(repeated(np.stack([5 - hits, hits], axis=2)), bank_of(a, b))
    found = analyse_noise(evidence)
    assert found is not None
    assert {flag.names[0] for flag in found.flags} == {"item0", "item1", "item2"}


# --- categories --------------------------------------------------------------------------------


def graded(seed: int, agents: int = 50, n: int = 20) -> Array:
    """Outcomes in four categories, and the bank's idea of them."""
    rng = np.random.default_rng(seed)
    ahead = 1.5 * (rng.normal(size=agents)[:, None] - rng.normal(size=n))
    u = rng.logistic(size=(agents, n)) + ahead
    return np.asarray((u[:, :, None] > np.array([-1.5, 0.0, 1.5])).sum(axis=2), float)


def judged(categories: Array, k: int) -> scale_use.ScaleUse:
    cuts = tuple(float(c) for c in np.linspace(1.5, -1.5, k - 1))
    items = tuple(
        Item(f"item{i}", "grm", (1.5,), cuts, categories="scale")
        for i in range(categories.shape[1])
    )
    bank = ItemBank("test", items, categories={"scale": tuple("abcdefg"[:k])})
    found = analyse_scale_use(gather(from_matrix(categories, n_categories=k), bank))
    assert found is not None
    return found


def test_binary_items_have_no_scale() -> None:
    assert analyse_scale_use(clean(20, 10, 5)) is None


def test_categories_in_order_are_left_alone() -> None:
    found = judged(graded(21), 4)
    assert found.flags == ()
    assert found.scales[0].collapsed == (0, 1, 2, 3)
    assert all(step.low > 0 for step in found.scales[0].steps)


def test_swapped_unused_and_sparse_categories_are_found_and_merged() -> None:
    swapped = graded(22)
    swapped = np.where(swapped == 1, 2, np.where(swapped == 2, 1, swapped))
    found = judged(swapped, 4)
    assert [flag.kind for flag in found.flags] == ["disordered categories"]
    assert found.scales[0].collapsed == (0, 1, 1, 2)
    unused = graded(23)
    unused[unused == 3] = 4
    unused[0, :5] = 5
    found = judged(unused, 6)
    assert [flag.kind for flag in found.flags] == ["unused category", "sparse category"]
    assert found.scales[0].collapsed[0] == 0
    assert found.scales[0].collapsed[-1] == 3


@given(
    st.lists(st.integers(0, 200), min_size=3, max_size=7),
    st.lists(st.floats(-2, 2), min_size=6, max_size=6),
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
)
def test_a_collapsing_merges_neighbours_and_keeps_two(
    total: list[int], differences: list[float], p: list[float]
) -> None:
    steps = tuple(Step(c, c + 1, 1, differences[c], 0.0, 0.0, p[c]) for c in range(len(total) - 1))
    new = scale_use._collapse(np.array(total, float), steps)
    jumps = np.diff(new)
    assert new[0] == 0
    assert new[-1] >= 1
    assert set(jumps.tolist()) <= {0, 1}
    assert mapping(new).count("→") == new[-1] + 1


# --- pages -------------------------------------------------------------------------------------


def test_sections_draw_everything_whatever_the_names() -> None:
    rng = np.random.default_rng(24)
    counts = rng.multinomial(3, [0.2, 0.3, 0.5], size=(15, 6)).astype(float)
    outcomes = repeated(counts)
    names = tuple(f"$item_<b>{i}" + "x" * 200 for i in range(6))
    outcomes = replace(outcomes, items=names)
    evidence = gather(outcomes)
    noise, use = analyse_noise(evidence), analyse_scale_use(evidence)
    assert noise is not None
    assert use is not None
    made: list[Section] = [
        sections.saturation_section(analyse_saturation(evidence), evidence),
        sections.gaps_section(analyse_gaps(evidence, ("2026-01",) * 15), evidence),
        sections.slopes_section(analyse_slopes(evidence), evidence),
        sections.noise_section(noise, evidence),
        sections.scale_use_section(use, evidence),
    ]
    assert len({section.key for section in made}) == 5
    for section in made:
        assert section.finding.endswith(".")
        drawn = [part for part in section.parts if hasattr(part, "wide")]
        for plot in drawn:
            assert plot.wide.startswith("<svg")
            assert "<b>" not in plot.wide


@pytest.mark.parametrize("agents", [2, 3, 12])
@pytest.mark.parametrize("kind", ["solved", "failed", "alike", "mixed"])
def test_little_data_gives_words_and_no_flags_of_slopes(agents: int, kind: str) -> None:
    n = 6
    match kind:
        case "solved":
            outcomes = np.ones((agents, n))
        case "failed":
            outcomes = np.zeros((agents, n))
        case "alike":
            outcomes = np.tile(np.arange(n) % 2, (agents, 1)).astype(float)
        case _:
            outcomes = np.random.default_rng(agents).integers(0, 2, (agents, n)).astype(float)
            outcomes[1, : n - 3] = np.nan
    evidence = gather(from_matrix(outcomes), bank_of(np.full(n, 1.5), np.linspace(-1, 1, n)))
    ends, gaps = analyse_saturation(evidence), analyse_gaps(evidence)
    found = analyse_slopes(evidence)
    assert found.flags == gaps.flags == ()
    assert gaps.cautions
    assert found.cautions
    assert not [flag for flag in ends.flags if flag.about == "items"]
    assert sections.slopes_section(found, evidence).finding
