"""The page of a bank: its numbers against second implementations, and that it holds them all."""

import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from test_report import HOSTILE, Page

from harness.bank import Calibrant, Item, ItemBank, compile_bank, parameter_names
from harness.bank_files import save_bank
from harness.cli.inventory import bank as bank_command
from harness.errors import InputError
from harness.report import bank_plots
from harness.report.bank_page import Fact, facts, render_bank_page
from harness.report.bank_summary import (
    Precision,
    curves,
    expected_scores,
    fewest_items,
    location,
    location_intervals,
    parameter_sds,
    placed_by_prior,
    precision,
    slope_intervals,
)

LABELS = {"binary": ("fail", "pass"), "four": ("none", "some", "core", "complete")}


def covariance(size: int, rng: np.random.Generator, sd: float = 0.3) -> Any:
    root = sd * (np.eye(size) + 0.3 * rng.normal(size=(size, size)))
    return tuple(map(tuple, (root @ root.T).tolist()))


def make_item(number: int, dimensions: int, rng: np.random.Generator, sd: float = 0.3) -> Item:
    """2PL, GRM, 3PL and GPCM items in turn."""
    slopes = rng.lognormal(0.2, 0.3, dimensions)
    slopes[1:] *= rng.choice([-0.2, 0.0, 1.0], dimensions - 1)
    start = float(rng.normal(0, 1.2))
    name = f"task-{number:03}"
    if number % 2:
        steps = tuple((start + np.array([1.1, 0.0, -0.8])).tolist())
        model = "grm" if number % 4 == 1 else "gpcm"
        item = Item(name, model, tuple(slopes.tolist()), steps, categories="four")  # type: ignore[arg-type]
    else:
        model, lower = ("2pl", 0.0) if number % 4 else ("3pl", 0.2)
        item = Item(name, model, tuple(slopes.tolist()), (start,), lower)  # type: ignore[arg-type]
    return replace(item, covariance=covariance(len(parameter_names(item)), rng, sd))


def make_bank(n: int = 8, dimensions: int = 1, seed: int = 0, **more: Any) -> ItemBank:
    rng = np.random.default_rng(seed)
    items = tuple(make_item(i, dimensions, rng) for i in range(n))
    mean, sd = (0.0,) * dimensions, (1.0,) * dimensions
    return ItemBank("starter", items, LABELS, mean, sd, **more)


def agents(n: int, dimensions: int = 1) -> tuple[Calibrant, ...]:
    rng = np.random.default_rng(5)
    return tuple(
        Calibrant(f"agent-{i}", tuple(rng.normal(size=dimensions).tolist()), (0.3,) * dimensions)
        for i in range(n)
    )


items_drawn = st.builds(
    lambda number, dimensions, seed: make_item(number, dimensions, np.random.default_rng(seed)),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 10**6),
)


# --- parameters ---------------------------------------------------------------------------------


def slopes_and_difficulties(item: Item, unconstrained: NDArray[np.float64]) -> NDArray[np.float64]:
    d = len(item.slopes)
    slopes = np.exp(unconstrained[:d]) if d == 1 else unconstrained[:d]
    intercepts = unconstrained[d : d + len(item.intercepts)]
    return np.concatenate([slopes, -intercepts / np.linalg.norm(slopes)])


@given(items_drawn)
def test_sds_are_the_delta_method_with_a_numerical_gradient(item: Item) -> None:
    size = len(parameter_names(item))
    d = len(item.slopes)
    at = np.zeros(size)
    at[:d] = np.log(item.slopes) if d == 1 else item.slopes
    at[d : d + len(item.intercepts)] = item.intercepts
    step = 1e-6
    gradient = np.stack(
        [
            (
                slopes_and_difficulties(item, at + step * unit)
                - slopes_and_difficulties(item, at - step * unit)
            )
            / (2 * step)
            for unit in np.eye(size)
        ],
        axis=1,
    )
    expected = np.sqrt(np.diag(gradient @ np.array(item.covariance) @ gradient.T))
    assert parameter_sds(item) == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert parameter_sds(replace(item, covariance=None)) is None


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(0, 10**6))
def test_an_interval_of_location_holds_ninety_percent_of_draws(number: int, seed: int) -> None:
    item = make_item(number, 1, np.random.default_rng(seed))
    (interval,) = location_intervals([item])
    assert interval is not None
    steps = len(item.intercepts)
    mean = [math.log(item.slopes[0]), *item.intercepts]
    matrix = np.array(item.covariance)[: steps + 1, : steps + 1]
    draws = np.random.default_rng(1).multivariate_normal(mean, matrix, 40_000)
    found = -draws[:, 1:].mean(axis=1) / np.exp(draws[:, 0])
    # four standard errors of a share of 0.05 among 40,000
    assert (found < interval.low).mean() == pytest.approx(0.05, abs=0.0045)
    assert (found > interval.high).mean() == pytest.approx(0.05, abs=0.0045)


@settings(max_examples=20)
@given(st.floats(0.3, 3.0), st.floats(-3.0, 3.0), st.floats(0.05, 0.8))
def test_a_location_with_a_known_slope_is_normal(a: float, d: float, sd: float) -> None:
    item = Item("i", "2pl", (a,), (d,), covariance=((0.0, 0.0), (0.0, sd**2)))
    (interval,) = location_intervals([item])
    assert interval is not None
    expected = stats.norm(-d / a, sd / a).interval(0.9)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-6)
    slope = slope_intervals(item)
    assert slope is not None
    assert slope[0].low == slope[0].high == pytest.approx(a)


def test_intervals_of_several_abilities_are_those_of_the_delta_method() -> None:
    item = Item(
        "i", "2pl", (1.0, 2.0), (0.5,), covariance=covariance(3, np.random.default_rng(2), 0.1)
    )
    (interval,) = location_intervals([item])
    sds = parameter_sds(item)
    assert interval is not None
    assert sds is not None
    half = stats.norm.ppf(0.95) * sds[2]
    assert interval.low == pytest.approx(location(item) - half)
    assert interval.high == pytest.approx(location(item) + half)


# --- curves and information ---------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(0, 10**6))
def test_curves_are_the_compiled_table_along_each_item(dimensions: int, seed: int) -> None:
    bank = make_bank(5, dimensions, seed)
    found = curves(bank)
    assert found.p.sum(axis=1) == pytest.approx(np.ones((5, len(found.positions))))
    for row, item in enumerate(bank.items):
        k = len(item.intercepts) + 1
        # a step of t in the item's direction is a step of t of a single ability
        alone = replace(item, slopes=(math.hypot(*item.slopes),), covariance=None)
        one = replace(bank, items=(alone,), mean=(0.0,), sd=(1.0,))
        table = compile_bank(one, found.positions[:, None])
        assert found.known[row, :k] == pytest.approx(table.p[0, :k])
    if dimensions == 1:
        table = compile_bank(bank, found.positions[:, None])
        assert found.p == pytest.approx(table.p)
        assert found.information == pytest.approx(table.information)
        assert precision(bank).information == pytest.approx(table.information.sum(axis=0))
    assert expected_scores(bank) == pytest.approx(
        compile_bank(bank, np.zeros((1, dimensions))).expected_score[:, 0]
    )


@settings(max_examples=15)
@given(st.integers(2, 3), st.integers(0, 10**6))
def test_information_of_one_ability_is_one_over_its_variance(dimensions: int, seed: int) -> None:
    bank = make_bank(9, dimensions, seed)
    rng = np.random.default_rng(seed)
    # no two abilities that only appear together
    slopes = rng.normal(1.0, 0.6, (9, dimensions))
    items = tuple(
        replace(item, slopes=tuple(row.tolist()), covariance=None)
        for item, row in zip(bank.items, slopes, strict=True)
    )
    bank = replace(bank, items=items)
    for d in range(dimensions):
        found = precision(bank, d)
        at = 40
        node = np.zeros((1, dimensions))
        node[0, d] = found.values[at]
        matrix = np.zeros((dimensions, dimensions))
        for item in items:
            table = compile_bank(replace(bank, items=(item,)), node)
            a = np.array(item.slopes)
            matrix += table.information[0, 0] / (a @ a) * np.outer(a, a)
        variance = np.linalg.inv(matrix)[d, d]
        assert found.information[at] == pytest.approx(1 / variance, rel=1e-6)
        assert found.known == pytest.approx(found.information)


def test_an_ability_that_only_comes_with_another_is_not_measured() -> None:
    items = tuple(Item(f"i{k}", "2pl", (1.0, 1.0), (0.5 * k,)) for k in range(-3, 4))
    bank = ItemBank("b", items, mean=(0.0, 0.0), sd=(1.0, 1.0))
    assert precision(bank, 0).information == pytest.approx(0.0, abs=1e-9)
    assert "The items tell nothing about θ1 alone." in Page(render_bank_page(bank)).text


@given(
    st.lists(st.floats(0.01, 50.0), min_size=3, max_size=40),
    st.floats(0.15, 3.0),
)
def test_stretches_are_where_the_error_is_small(heights: list[float], error: float) -> None:
    values = np.linspace(-3, 3, len(heights))
    found = Precision(0, 0.0, 1.0, values, np.array(heights), np.array(heights))
    stretches = found.stretches(error)
    for value, height in zip(values, heights, strict=True):
        if abs(height * error**2 - 1) > 1e-9:
            inside = any(low <= value <= high for low, high in stretches)
            assert inside == (1 / math.sqrt(height) < error)
    assert all(low <= high for low, high in stretches)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(stretches))
    assert 0 <= found.population_share(stretches) <= 1 + 1e-12


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=20), st.floats(0.2, 2.0))
def test_the_fewest_items_reach_the_error_and_one_less_does_not(
    information: list[float], error: float
) -> None:
    number = fewest_items(np.array(information), error)
    most = sorted(information, reverse=True)
    if number is None:
        assert math.fsum(most) < 1 / error**2
    else:
        assert math.fsum(most[:number]) >= 1 / error**2 - 1e-6
        assert math.fsum(most[: number - 1]) < 1 / error**2


@given(st.lists(st.floats(0.0, 400.0), min_size=2, max_size=60))
def test_the_points_kept_of_a_curve_stay_close_to_all_others(heights: list[float]) -> None:
    x = [4.0 * i for i in range(len(heights))]
    kept = bank_plots._corners(x, heights)
    assert kept[0] == 0
    assert kept[-1] == len(x) - 1
    assert kept == sorted(set(kept))
    line = np.interp(x, [x[i] for i in kept], [heights[i] for i in kept])
    assert np.abs(line - heights).max() <= 0.5 + 1e-6


# --- provenance ---------------------------------------------------------------------------------

leaves = st.one_of(
    st.integers(0, 9999), st.booleans(), st.none(), st.text("abcdef ", min_size=1, max_size=8)
)
provenance = st.dictionaries(
    st.text("abc_", min_size=1, max_size=6),
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=15),
            st.dictionaries(st.text("xyz_", min_size=1, max_size=4), inner, max_size=15),
        ),
        max_leaves=25,
    ),
    max_size=5,
)


def shown(found: tuple[Fact, ...]) -> Iterator[str]:
    for fact in found:
        yield from (fact.name, fact.text, *fact.entries, *fact.columns)
        for row in fact.rows:
            yield from row
        yield from shown(fact.facts)


def leaves_of(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > 4:
        return
    match value:
        case dict():
            for entry in value.values():
                yield from leaves_of(entry, depth + 1)
        case list():
            for entry in value:
                yield from leaves_of(entry, depth + 1)
        case None | bool():
            yield {None: "none", True: "yes", False: "no"}[value]
        case _:
            yield str(value)


@given(provenance)
def test_everything_in_the_provenance_is_shown(entries: dict[str, Any]) -> None:
    text = " ".join(shown(facts(entries)))
    for key in entries:
        assert key.replace("_", " ") in text
    for leaf in leaves_of(entries):
        assert leaf in text


def test_mappings_of_one_shape_are_a_table() -> None:
    found = facts({"held_out": [{"model": "1pl", "auc": 0.7}, {"model": "2pl", "auc": 0.81}]})
    assert found[0].columns == ("", "model", "auc")
    assert found[0].rows == (("1", "1pl", "0.7"), ("2", "2pl", "0.81"))


# --- the page -----------------------------------------------------------------------------------

FULL = {
    "model": "2pl",
    "population": "real agents",
    "responses": 1234,
    "agents": 30,
    "items": 8,
    "missing_share": 0.25,
    "fit": {"converged": True, "passes": 17, "log_likelihood": -1234.5},
    "warnings": ["one agent answered nothing"],
    "items_placed_by_the_priors_alone": ["task-003"],
    "seeds": list(range(40)),
}


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_page_is_whole_and_loads_nothing(dimensions: int, calibrated: bool) -> None:
    bank = make_bank(44 if dimensions == 1 else 8, dimensions)
    if calibrated:
        bank = replace(bank, provenance=FULL, calibrants=agents(30, dimensions))
    else:
        bank = replace(bank, items=tuple(replace(i, covariance=None) for i in bank.items))
    text = render_bank_page(bank)
    page = Page(text)
    assert page.tags[0] == "html"
    assert not {"link", "iframe", "img", "object", "form"} & set(page.tags)
    assert not re.search(r"https?:|@import|fetch\(", text)
    assert len(page.ids) == len(set(page.ids))
    anchors = {f"#curves-{row}" for row in range(len(bank.items))}
    assert set(page.links) == anchors
    assert {f"#{name}" for name in page.ids} == anchors | set(page.references)
    pairs = dimensions * (dimensions - 1) // 2
    maps = 2 * len({int(np.abs(item.slopes).argmax()) for item in bank.items})
    plots = 2 * dimensions + (2 if dimensions == 1 else pairs) + maps
    assert page.tags.count("svg") == plots + len(bank.items)
    assert "None" not in page.text
    assert not re.search(r"\bnan\b", page.text)
    assert bank.hash in page.text
    if calibrated:
        assert "task-003 placed by prior" in page.text
        assert "one agent answered nothing" in page.text
        assert "1,234 outcomes of 30 agents on 8 items" in page.text
        assert "25% of the cells were missing" in page.text
        assert "converged after 17 passes" in page.text
    else:
        assert "Abilities not recorded" in page.text
        assert "Uncertainty not recorded" in page.text
        assert "No item says how uncertain its parameters are." in page.text
        assert "says nothing about where it comes from" in page.text


def rows_of(text: str) -> list[list[str]]:
    """The table of items without its marks."""
    body = text[text.index('<table class="sortable">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)[1:]
    return [
        [" ".join(unescape(re.sub(r"<[^>]+>", " ", c)).split()) for c in cells]
        for row in rows
        if (cells := re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL))
    ]


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_table_holds_every_item_with_its_numbers() -> None:
    bank = make_bank(10)
    items = (replace(bank.items[0], effect_sd=0.4, usd=1.5, tags=("a", "b")), *bank.items[1:])
    bank = replace(bank, items=items)
    rows = rows_of(render_bank_page(bank))
    assert [row[0] for row in rows] == [item.id for item in items]
    for row, item, score in zip(rows, items, expected_scores(bank), strict=True):
        sds = parameter_sds(item)
        assert sds is not None
        assert row[1:3] == [item.model, str(len(item.intercepts) + 1)]
        a, _, sd = row[3].partition(" ± ")
        assert (number(a), number(sd)) == pytest.approx((item.slopes[0], sds[0]), abs=0.0051)
        found = [number(x) for x in re.findall(r"−?\d+\.\d+", row[4])]
        expected = [x for pair in zip(item.difficulties, sds[1:], strict=True) for x in pair]
        assert found == pytest.approx(expected, abs=0.0051)
        assert float(row[5].rstrip("%")) == pytest.approx(100 * score, abs=0.51)
    assert rows[0][8:] == ["0.40", "$1.50", "a, b"]
    assert rows[1][8:] == ["0.00", "", ""]


def test_columns_that_no_item_fills_are_left_out() -> None:
    text = Page(render_bank_page(make_bank(3))).text
    assert "Effect sd" not in text
    assert "Cost" not in text
    assert "Tags" not in text


def test_a_page_is_the_same_on_every_run() -> None:
    bank = make_bank(3, calibrants=agents(5))
    assert render_bank_page(bank) == render_bank_page(bank)


def test_where_it_measures_well_agrees_with_the_information() -> None:
    bank = make_bank(30, calibrants=agents(40))
    found = precision(bank)
    (stretch,) = found.stretches(0.6)
    text = Page(render_bank_page(replace(bank, sd=(2.0,)))).text
    match = re.search(r"error of at most 0\.60, from (−?[\d.]+) to (−?[\d.]+): (\d+)%", text)
    assert match is not None
    ends = number(match[1]), number(match[2])
    # the wider population has a coarser grid
    assert ends == pytest.approx(stretch, abs=0.02)
    share = stats.norm.cdf(ends, 0, 2)
    assert float(match[3]) == pytest.approx(100 * (share[1] - share[0]), abs=1.0)
    inside = sum(ends[0] <= c.ability[0] <= ends[1] for c in bank.calibrants)
    assert f"and {inside} of the 40 agents" in text


def test_a_fit_that_did_not_converge_is_told_at_the_top() -> None:
    bank = make_bank(2, provenance={"fit": {"converged": False}})
    text = Page(render_bank_page(bank)).text
    assert "The fit did not converge" in text
    assert text.index("did not converge") < text.index("How it was fitted")


def test_a_simulated_population_is_said() -> None:
    bank = make_bank(2, provenance={"population": "simulated personas"})
    assert "The population of this bank is simulated." in Page(render_bank_page(bank)).text
    assert "is simulated" not in Page(render_bank_page(make_bank(2))).text


def test_items_placed_by_prior_are_those_of_the_provenance_that_exist() -> None:
    named = ["task-001", "gone"]
    bank = make_bank(3, provenance={"items_placed_by_the_priors_alone": named})
    assert placed_by_prior(bank) == {"task-001"}
    odd = replace(bank, provenance={"items_placed_by_the_priors_alone": 7})
    assert placed_by_prior(odd) == frozenset()


@contextmanager
def no_plots() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("information_plot", "scatter_plot", "loadings_plot", "item_map"):
            stack.enter_context(patch.object(bank_plots, name, lambda *args, **kwargs: ""))
        yield


def written_by_others(text: str) -> ItemBank:
    items = (
        Item(text, "2pl", (1.0,), (0.0,), categories=text, tags=(text,)),
        Item(f"{text}2", "grm", (1.0,), (0.5, -0.5), categories=f"{text}2"),
    )
    return ItemBank(
        text,
        items,
        {text: (text, text), f"{text}2": (text,) * 3},
        description=text,
        provenance={
            "population": text,
            text: [text, {text: text}],
            "warnings": [text],
            "model": text,
            "fit": {"a": {text: 1}, "b": {text: 2}},
        },
        calibrants=(Calibrant(text, (0.0,), (1.0,)),),
    )


@settings(max_examples=25)
@given(HOSTILE)
def test_text_of_others_adds_no_element_and_no_control_character(text: str) -> None:
    with no_plots():
        hostile = render_bank_page(written_by_others(text))
        harmless = render_bank_page(written_by_others("words"))
    hostile.encode()
    assert Page(hostile).tags == Page(harmless).tags
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in hostile)


def test_names_in_plots_are_text_and_nothing_else() -> None:
    names = ["<script>alert(1)</script>", "$x_1$ &amp;", "\ud800\x1b[31m", "名前 \u202e", "a\nb"]
    items = tuple(Item(name, "2pl", (1.0,), (0.1 * i,)) for i, name in enumerate(names))
    text = render_bank_page(ItemBank("b", items))
    text.encode()
    assert Page(text).tags.count("script") == 1
    assert text.count("$x_1$") >= 4
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in text)


# --- the command --------------------------------------------------------------------------------

Show = Callable[..., Any]


@pytest.fixture
def show(tmp_path: Path) -> Show:
    folder = tmp_path / "bank"
    save_bank(make_bank(6, calibrants=agents(12), provenance=FULL), folder)

    def call(*arguments: object) -> Any:
        return CliRunner().invoke(bank_command, ["show", str(folder), *map(str, arguments)])

    return call


def test_show_writes_the_page_and_still_prints(show: Show, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    done = show("--out", path)
    assert done.exit_code == 0, done.output
    assert str(path) in done.stderr
    assert "task-000" in done.stdout
    assert "12 agents of the calibration: θ " in done.stdout
    assert Page(path.read_text(encoding="utf-8")).tags[0] == "html"


def test_show_writes_json_beside_the_page(show: Show, tmp_path: Path) -> None:
    done = show("--json", "--out", tmp_path / "page.html")
    content = json.loads(done.stdout)
    assert len(content["calibrants"]) == 12
    assert [item["id"] for item in content["items"]] == [f"task-{i:03}" for i in range(6)]
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("difficulty", location),
        ("discrimination", lambda item: -item.slopes[0]),
        ("id", lambda item: item.id),
    ],
)
def test_show_sorts_what_it_prints(show: Show, by: str, key: Callable[[Item], Any]) -> None:
    printed = re.findall(r"^ *(task-\d+)", show("--sort", by).stdout, re.MULTILINE)
    assert printed == [item.id for item in sorted(make_bank(6).items, key=key)]


def test_a_page_that_cannot_be_written_is_told(show: Show, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = show("--out", tmp_path / "file" / "page.html")
    assert isinstance(done.exception, InputError)
    assert "the page cannot be written to" in str(done.exception)
    assert show("--out", tmp_path).exit_code == 2
    assert show("--sort", "price").exit_code == 2
