"""Agreement of judges, the many-facet model, and contradictions of two graders."""

import gzip
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from harness.errors import ResponsesError
from harness.health.graders import facet_model
from harness.health.graders.agreement import alpha, analyse_agreement, coincidences, kappa
from harness.health.graders.contradictions import analyse_contradictions
from harness.health.graders.facets import analyse_facets
from harness.health.graders.favouritism import ITSELF
from harness.health.graders.judges import Graders, analyse_graders
from harness.irt import Array
from harness.report.health.contradictions import contradictions_section
from harness.report.health.graders import graders_section
from harness.report.sections import Plot
from harness.responses.families import maker_in
from harness.responses.ratings import (
    Cut,
    Grader,
    Ratings,
    from_table,
    parse_graders,
    read_graders,
    read_ratings,
)

NAN = float("nan")

# --- reading ----------------------------------------------------------------------------------


def write(folder: Path, text: str, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_ratings_are_read_with_trials_and_blanks(tmp_path: Path) -> None:
    text = (
        "agent,item,judge,trial,severity,self_judge,note\n"
        "x,i,p,0,1,0,a\nx,i,q,0,3.5,1,\nx,i,p,1,,0,\ny,i,p,1,0,0,\nx,i,p,0,1,0,again\n"
    )
    packed = tmp_path / "r.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (write(tmp_path, text), packed):
        found = read_ratings(path)
        assert found.column == "severity"
        assert found.scale.tolist() == [0, 1, 3.5]
        assert found.cells.tolist() == [[0, 0, 0], [1, 0, 1]]
        assert found.own.tolist() == [False, True, False]
        np.testing.assert_array_equal(found.table, [[1, 3.5], [0, NAN]])


def test_without_a_column_a_judge_of_the_same_name_rates_itself(tmp_path: Path) -> None:
    found = read_ratings(write(tmp_path, "agent,item,judge,rating\nx,i,x,1\ny,i,x,1\n"))
    assert found.own.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent,item,rating\n", ["line 1", "'judge'"]),
        ("agent,item,judge,mark\n", ["line 1", "rating", "mark"]),
        ("agent,item,judge,rating,category\n", ["rating and category"]),
        ("agent,item,judge,rating\nx,i,p,good\n", ["line 2", "'good'", "number"]),
        ("agent,item,judge,rating\nx,i,p,inf\n", ["line 2", "'inf'"]),
        ("agent,item,judge,rating\nx,i,,1\n", ["line 2", "'judge' is blank"]),
        ("agent,item,judge,rating\nx,i,p,1\nx,i,p,2\n", ["line 3", "line 2", "'p'", "'x'", "'i'"]),
        ("agent,item,judge,rating\nx,i,p,\n", ["no rating"]),
        ("agent,item,judge,trial,rating\nx,i,p,0.5,1\n", ["line 2", "trial 0.5"]),
        ('agent,item,judge,rating\nx,"i,p,1\n', ["line"]),
        ("", ["line 1"]),
    ],
)
def test_a_bad_table_is_named_with_file_and_line(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ResponsesError) as caught:
        read_ratings(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_columns_of_outcomes_are_graders(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,trial,a,b\nx,i,0,1,True\nx,i,1,,0\ny,i,0,2,nan\n")
    found = read_graders(path, ["b", "a"])
    assert found.judges == ("b", "a")
    np.testing.assert_array_equal(found.table, [[1, 1], [0, NAN], [NAN, 2]])
    with pytest.raises(ResponsesError, match="'c' is missing"):
        read_graders(path, ["a", "c"])


@pytest.mark.parametrize("text", ["a", "a,a", "a,b,c", "a>b,c", "a>=x,b", ",b"])
def test_graders_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(ResponsesError, match="grader"):
        parse_graders(text)


# --- agreement --------------------------------------------------------------------------------

tables = st.integers(2, 4).flatmap(
    lambda judges: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.0, NAN]), min_size=judges, max_size=judges),
        min_size=2,
        max_size=8,
    )
)


def alpha_by_hand(table: Sequence[Sequence[float]], metric: str) -> float:
    """Krippendorff's α by its definition, pair by pair."""
    cells = [[x for x in row if x == x] for row in table]
    cells = [row for row in cells if len(row) > 1]
    values = [x for row in cells for x in row]

    def distance(a: float, b: float) -> float:
        if metric == "nominal":
            return float(a != b)
        if metric == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= x <= high for x in values)
        return (between - (values.count(a) + values.count(b)) / 2) ** 2 if a != b else 0.0

    n = len(values)
    observed = sum(
        distance(a, b) / (len(row) - 1) for row in cells for a, b in itertools.permutations(row, 2)
    )
    chance = sum(distance(a, b) for a, b in itertools.permutations(values, 2))
    return 1 - observed * (n - 1) / chance if chance else NAN


@given(tables)
def test_alpha_is_what_its_definition_says(table: list[list[float]]) -> None:
    rows = np.array(table)
    scale = np.unique(rows[~np.isnan(rows)])
    if not len(scale):
        return
    total = coincidences(rows, scale, np.zeros(len(rows), np.intp))[0]
    for metric in ("nominal", "ordinal", "interval"):
        expected = alpha_by_hand(table, metric)
        np.testing.assert_allclose(alpha(total, scale, metric), expected, atol=1e-12)


def test_alpha_of_the_published_example() -> None:
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C and D
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    found = analyse_agreement(from_table(np.array(rows).T))
    assert round(found.nominal.value, 3) == 0.743
    assert round(found.ordinal.value, 3) == 0.815
    assert round(found.interval.value, 3) == 0.849


@given(
    st.lists(st.tuples(*[st.sampled_from([0, 1, 2, 5])] * 2), min_size=2, max_size=30),
    st.sampled_from(["linear", "quadratic"]),
)
def test_kappa_is_one_less_observed_over_chance(pairs: list[tuple[int, int]], how: str) -> None:
    scale = np.array([0.0, 1.0, 2.0, 5.0])
    joint = np.zeros((4, 4))
    for a, b in pairs:
        joint[scale.tolist().index(a), scale.tolist().index(b)] += 1
    power = 1 if how == "linear" else 2
    observed = np.mean([abs(a - b) ** power for a, b in pairs])
    chance = np.mean([abs(a - b) ** power for (a, _), (_, b) in itertools.product(pairs, pairs)])
    expected = 1 - observed / chance if chance else NAN
    np.testing.assert_allclose(kappa(joint, scale, how), expected, atol=1e-12)  # type: ignore[arg-type]


def test_agreement_does_not_depend_on_order_and_its_interval_narrows() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 400)
    table = np.stack([np.where(rng.random(400) < 0.7, truth, rng.integers(0, 4, 400))] * 1, 1)
    other = np.where(rng.random(400) < 0.7, truth, rng.integers(0, 4, 400))
    table = np.column_stack([table, other])
    found = analyse_agreement(from_table(table))
    turned = analyse_agreement(from_table(table[::-1, ::-1]))
    assert found.ordinal.value == pytest.approx(turned.ordinal.value)
    assert found.pairs[0].exact.value == pytest.approx(np.mean(table[:, 0] == table[:, 1]))
    assert found.ordinal.low < found.ordinal.value < found.ordinal.high
    few = analyse_agreement(from_table(table[:40]))
    assert few.ordinal.high - few.ordinal.low > 2 * (found.ordinal.high - found.ordinal.low)


# --- many facets ------------------------------------------------------------------------------

FAMILIES = ["A"] * 4 + ["B"] * 4 + ["C", "D", "E", "F", "G", "H"] * 2 + ["I"]


def simulated(
    seed: int,
    *,
    agents: int = 21,
    items: int = 80,
    judges: int = 4,
    level: float = 0.0,
    noise: float = 0.0,
    favour: float = 0.0,
    itself: float = 0.0,
    dispute: float = 0.0,
    missing: float = 0.0,
) -> tuple[Ratings, dict[str, str]]:
    """Judge 0 is as the arguments say, and of family A, as is agent 0, which is itself; all judges
    are apart on item 0 by ``dispute``."""
    rng = np.random.default_rng(seed)
    steps = np.array([0.0, 1.0, -1.0, 0.0, 2.0, 5.0])
    x = rng.normal(-0.5, 1.5, (agents, 1)) - rng.normal(0, 1.2, items)
    x = (x + rng.normal(0, 2, x.shape))[..., None] + np.zeros(judges)
    family = np.array([FAMILIES[a % len(FAMILIES)] for a in range(agents)])
    x[..., 0] += level + rng.normal(0, noise, x.shape[:2])
    x[family == "A", :, 0] += favour
    x[0, :, 0] += itself
    x[:, 0] += rng.normal(0, dispute, (agents, judges))
    p = softmax(np.arange(6) * x[..., None] - np.cumsum(steps), axis=-1)
    y = (p.cumsum(-1)[..., :-1] < rng.random(x.shape)[..., None]).sum(-1)
    a, i, j = np.nonzero(rng.random(y.shape) >= missing)
    cells, cell = np.unique(np.stack([a, i, 0 * a], 1), axis=0, return_inverse=True)
    rated = Ratings(
        agents=tuple(f"agent-{n}" for n in range(agents)),
        items=tuple(f"item-{n}" for n in range(items)),
        judges=tuple(f"judge-{n}" for n in range(judges)),
        cells=cells,
        cell=cell.ravel(),
        judge=j,
        value=y[a, i, j].astype(float),
        own=(a == 0) & (j == 0),
        column="rating",
        source="simulated",
    )
    families = dict(zip(rated.agents, family.tolist(), strict=True))
    return rated, families | dict(zip(rated.judges, "ABCDEFGHI", strict=False))


def kinds(found: Graders) -> list[tuple[str, tuple[str, ...]]]:
    return [(flag.kind, flag.names) for flag in found.flags]


def test_the_gradient_is_that_of_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import optimize

    rated, _ = simulated(0, agents=4, items=5, judges=3, missing=0.2)
    data = facet_model.facet_data(rated)
    assert data is not None
    effects = (np.arange(len(data.judge)) % 3 == 0)[None]

    def check(loss: object, start: Array, **_: object) -> object:
        x = start + np.random.default_rng(0).normal(0, 0.3, len(start))
        value = lambda at: loss(at)[0]  # type: ignore[operator]  # noqa: E731
        near = optimize.approx_fprime(x, value, 1e-6)
        np.testing.assert_allclose(loss(x)[1], near, atol=2e-3, rtol=1e-3)  # type: ignore[operator]
        raise StopIteration

    monkeypatch.setattr(optimize, "minimize", check)
    with pytest.raises(StopIteration):
        facet_model.fit_facets(data, effects)


def test_levels_and_their_intervals_are_right() -> None:
    """Over seeds the level is recovered, and its standard error is its spread."""
    found = []
    for seed in range(12):
        rated, families = simulated(seed, agents=12, items=40, judges=3, level=0.9, missing=0.2)
        result = analyse_facets(rated, families)
        assert result is not None
        found.append([(judge.level, judge.se) for judge in result.judges])
    level, se = np.array(found)[:, 0].T
    assert abs(level.mean() - 0.6) < 3 * se.mean() / 12**0.5
    assert 0.6 < level.std() / se.mean() < 1.6


def test_expectations_from_other_judges_by_enumeration() -> None:
    rated, _ = simulated(3, agents=3, items=4, judges=3)
    data = facet_model.facet_data(rated)
    assert data is not None
    fit = facet_model.fit_facets(data, np.zeros((0, len(data.judge)), bool))
    shift = fit.shift(data)
    mean, variance = facet_model.given_others(data, fit, shift)
    for r in (0, 7, 20):
        others = (data.cell == data.cell[r]) & (np.arange(len(shift)) != r)
        eta = fit.ability[data.agent[data.cell[r]]] - fit.difficulty[data.item[data.cell[r]]]
        weight = np.exp(-0.5 * ((facet_model.GRID - eta) / fit.tau) ** 2)
        k = np.arange(len(data.worth))
        passed = np.append(0, np.cumsum(fit.steps))
        for o in np.flatnonzero(others):
            p = softmax(k * (facet_model.GRID[:, None] + shift[o]) - passed, axis=1)
            weight = weight * p[:, data.category[o]]
        p = weight @ softmax(k * (facet_model.GRID[:, None] + shift[r]) - passed, axis=1)
        p /= p.sum()
        assert mean[r] == pytest.approx(p @ data.worth)
        assert variance[r] == pytest.approx(p @ data.worth**2 - (p @ data.worth) ** 2)


def test_clean_judges_are_not_flagged() -> None:
    for seed in range(4):
        assert kinds(analyse_graders(*simulated(seed))) == []


def test_planted_judges_are_flagged_and_no_other() -> None:
    severe = analyse_graders(*simulated(10, level=0.8), "worse")
    assert kinds(severe) == [("severe judge", ("judge-0",))]
    assert "more severely" in severe.flags[0].evidence
    erratic = analyse_graders(*simulated(11, noise=2.0))
    assert kinds(erratic) == [("inconsistent judge", ("judge-0",))]
    assert erratic.flags[0].low > 1.2
    partial = analyse_graders(*simulated(12, favour=-0.9), "worse")
    assert kinds(partial) == [("favouring judge", ("judge-0",))]
    assert "its own family" in partial.flags[0].evidence
    assert "more leniently" in partial.flags[0].evidence
    assert partial.flags[0].high < 0
    disputed = analyse_graders(*simulated(13, dispute=3.0))
    assert kinds(disputed) == [("disputed item", ("item-0",))]
    assert disputed.facets is not None
    assert disputed.facets.disputes[0].item == "item-0"


def test_favour_for_itself_is_told_from_favour_for_the_family() -> None:
    found = analyse_facets(*simulated(20, itself=1.8))
    assert found is not None
    assert [(one.judge, one.group) for one in found.favours if one.found] == [("judge-0", ITSELF)]


def test_turning_the_scale_round_turns_the_judges_round() -> None:
    rated, families = simulated(5, agents=8, items=20, level=0.7)
    one = analyse_facets(rated, families)
    two = analyse_facets(replace(rated, value=5 - rated.value), families)
    assert one is not None
    assert two is not None
    for a, b in zip(one.judges, two.judges, strict=True):
        assert a.points == pytest.approx(-b.points, abs=2e-3)
        assert a.infit == pytest.approx(b.infit, abs=2e-2)


@settings(max_examples=15)
@given(
    st.integers(0, 999),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([1, 2, 3, 12]),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5]),
)
def test_small_sets_are_reported_without_false_flags(
    seed: int, agents: int, items: int, judges: int, missing: float
) -> None:
    rated, families = simulated(seed, agents=agents, items=items, judges=judges, missing=missing)
    if not len(rated.value):
        return
    found = analyse_graders(rated, families)
    assert found.cautions
    assert items >= 10 or not found.flags
    if judges == 2:
        assert not [flag for flag in found.flags if flag.kind == "inconsistent judge"]
    graders_section(found)


def test_two_judges_that_differ_are_one_flag() -> None:
    found = analyse_graders(*simulated(8, judges=2, level=2.0))
    assert kinds(found)[-1] == ("severe judge", ("judge-0", "judge-1"))
    assert any("two judges" in text for text in found.cautions)


def test_judges_without_common_cells_and_long_scales_are_said() -> None:
    rng = np.random.default_rng(2)
    table = np.full((60, 4), NAN)
    table[:30, :2] = rng.integers(0, 3, (30, 2))
    table[30:, 2:] = rng.integers(0, 3, (30, 2))
    assert any("share no cell" in text for text in analyse_graders(from_table(table), {}).cautions)
    long = analyse_graders(from_table(rng.normal(size=(60, 3)).round(3)), {})
    assert any("groups" in text for text in long.cautions)
    assert len(long.scale) == 25


def test_many_cells_are_thinned_over_all_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facet_model, "MOST_CELLS", 200)
    rated, families = simulated(1, items=40)
    found = analyse_graders(rated, families)
    assert found.facets is not None
    assert found.facets.cells_used <= 200
    assert len(found.facets.disputes) == 40
    assert any("of 840 cells" in text for text in found.cautions)


# --- contradictions ---------------------------------------------------------------------------


def graded(seed: int, wrong: float = 0.05) -> Ratings:
    """A rule of 0 and 1 and a label of -1 to 2, on which they agree but for some; on item 0 the
    rule always fires."""
    rng = np.random.default_rng(seed)
    agents, items = 12, 60
    label = rng.choice([-1, 0, 1, 2], (agents, items)).astype(float)
    rule = ((label >= 1) ^ (rng.random(label.shape) < wrong)).astype(float)
    label[:, 0], rule[:, 0] = 0.0, 1.0
    rated = from_table(np.stack([label.ravel(), rule.ravel()], 1))
    place = np.arange(agents * items)
    return replace(
        rated,
        agents=tuple(f"agent-{n}" for n in range(agents)),
        items=tuple(f"item-{n}" for n in range(items)),
        judges=("label", "rule"),
        cells=np.stack([place // items, place % items, 0 * place], 1),
    )


def test_contradictions_are_counted_and_a_broken_rule_is_found() -> None:
    for seed in range(5):
        rated = graded(seed)
        found = analyse_contradictions(rated)
        assert found.cuts == (Cut(1.0), Cut(1.0))
        against = (rated.table[:, 0] >= 1) != (rated.table[:, 1] >= 1)
        assert len(found.found) == against.sum()
        assert found.rate.value == pytest.approx(against.mean())
        assert found.rate.low < found.rate.value < found.rate.high
        assert sum(map(sum, found.joint)) == found.cells == 720
        flagged = [flag.names for flag in found.flags if flag.about != "benchmark"]
        assert flagged == [("item-0",)]


def test_cuts_that_are_given_are_used_and_the_sense_may_be_turned() -> None:
    rated = graded(0)
    found = analyse_contradictions(rated, (Grader("label", Cut(2.0)), Grader("rule")))
    assert [str(cut) for cut in found.cuts] == ["≥ 2", "≥ 1"]
    assert not any("drawn" in text for text in found.cautions)
    turned = replace(rated, value=np.where(rated.judge == 0, -rated.value, rated.value))
    again = analyse_contradictions(turned)
    assert again.cuts[0] == Cut(-1.0, above=False)
    assert len(again.found) == len(analyse_contradictions(rated).found)


def test_graders_without_a_common_cell_are_refused() -> None:
    with pytest.raises(ResponsesError, match="no row has both"):
        analyse_contradictions(from_table([[0, NAN], [NAN, 1]]))
    with pytest.raises(ResponsesError, match="two graders"):
        analyse_contradictions(from_table([[0, 1, 1]]))


# --- real data and the page -------------------------------------------------------------------


def test_odcv(shared_data: Path) -> None:
    rated = read_ratings(shared_data / "odcv" / "ratings.csv.gz")
    assert rated.table.shape == (1656, 4)
    assert rated.own.sum() == 318
    names = (*rated.agents, *rated.judges)
    found = analyse_graders(rated, {name: maker_in(name) for name in names}, "worse")
    equal = np.mean(np.ptp(rated.table, axis=1) == 0)
    assert found.agreement.all_equal.value == pytest.approx(equal)
    assert 0.57 < equal < 0.58
    assert 0.75 < found.agreement.ordinal.value < 0.82
    assert ("severe judge", ("gpt-5.5",)) in kinds(found)
    assert ("inconsistent judge", ("grok-4.20",)) in kinds(found)
    section = graders_section(found)
    assert "58%" in section.finding
    assert "grok-4.20" in section.finding
    plots = [part for part in section.parts if isinstance(part, Plot)]
    assert len(plots) == 4
    for plot in plots:
        assert plot.wide.startswith("<svg")
        assert plot.narrow != plot.wide
        assert "#0" not in plot.wide + plot.narrow


def test_openagentsafety(shared_data: Path) -> None:
    graders = parse_graders("llm_label>=1,rule_unsafe")
    columns = [grader.column for grader in graders]
    rated = read_graders(shared_data / "openagentsafety" / "responses.csv.gz", columns)
    found = analyse_contradictions(rated, graders)
    # counted in the table itself
    assert found.joint == ((253, 157), (141, 49), (47, 7), (115, 162))
    assert len(found.found) == 157 + 49 + 47 + 115
    assert found.first_only.value == pytest.approx((47 + 115) / (47 + 7 + 115 + 162))
    assert "368 of 931 cells" in contradictions_section(found).finding
