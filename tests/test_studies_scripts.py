"""The studies' script: what it computes, against small second implementations, and its pages."""

import doctest
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.events import Plan
from harness.grammar import parse_stop
from harness.health.flags import Flag
from harness.report.sections import Grid, Section
from harness.responses import from_matrix
from harness.study.bootstrap import Estimate

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = REPOSITORY / "scripts"
NAMES = (
    *("common", "pages", "sections", "accuracy", "cost", "decision", "exposure", "health"),
    *("ordinal", "series", "subset", "validity", "width"),
)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def studies() -> Iterator[Any]:
    """The modules, as the script finds them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        from studies import (
            accuracy,
            common,
            cost,
            decision,
            exposure,
            health,
            ordinal,
            pages,
            sections,
            series,
            subset,
            validity,
            width,
        )

        yield SimpleNamespace(
            accuracy=accuracy,
            common=common,
            cost=cost,
            decision=decision,
            exposure=exposure,
            health=health,
            ordinal=ordinal,
            pages=pages,
            sections=sections,
            series=series,
            subset=subset,
            validity=validity,
            width=width,
        )
        for name in ("studies", *(f"studies.{name}" for name in NAMES)):
            sys.modules.pop(name)


def bank_of(rng: np.random.Generator, n: int = 25) -> ItemBank:
    slopes, intercepts = rng.uniform(0.7, 2.0, n), rng.normal(0, 1.2, n)
    return ItemBank(
        "drawn",
        tuple(
            Item(f"item{k}", "2pl", (float(a),), (float(d),))
            for k, (a, d) in enumerate(zip(slopes, intercepts, strict=True))
        ),
    )


# --- shared -----------------------------------------------------------------------------------


@given(seed=seeds, share=st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_a_weighted_quantile_is_that_of_the_repeated_values(
    studies: Any, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    values, unit = rng.integers(0, 9, 12).astype(float), rng.integers(0, 5, 12)
    unit[:5] = range(5)
    weights = rng.integers(0, 4, (6, 5)).astype(float)
    weights[:, 0] += 1
    found = studies.common.weighted_quantile(weights, unit, values, share)
    for row, got in zip(weights, found, strict=True):
        many = np.sort(np.repeat(values, row[unit].astype(int)))
        assert got == many[int(np.ceil(share * len(many) - 1e-9)) - 1]


def test_endings_are_where_single_sessions_stop(studies: Any) -> None:
    rng = np.random.default_rng(3)
    bank = bank_of(rng)
    outcomes = studies.common.simulated(bank, 6, seed=4)
    rules = [parse_stop("sd<0.55"), parse_stop("decided(score>0.5, 0.1)"), parse_stop("sd<0.01")]
    plan = Plan(prior=Prior())
    found = studies.common.endings(bank.table, plan, outcomes, rules, 25, np.arange(6), cut=0.5)
    assert np.isnan(found[2].items).all()
    for rule, ends in zip(rules[:2], found, strict=False):
        for agent in range(6):
            items = _stops_after(bank, outcomes[agent], rule)
            assert items == ends.items[agent] == ends.launched[agent]


def _stops_after(bank: ItemBank, outcomes: Any, rule: Any) -> int:
    """Items of a session that is followed one answer at a time."""
    from harness.events import Answered, Chosen
    from harness.session import Session

    session = Session(bank.table, Plan(stop=rule))
    at = 0.0
    while not session.answered or session.ending(at=at) is None:
        (chosen,) = session.next_items(at=at) or (None,)
        if chosen is None:
            # the rule may hold before anything is answered, which does not count here
            row = int(bank.table.information[:, len(bank.table.nodes) // 2].argmax())
            chosen = Chosen(at, len(session.chosen) + 1, bank.table.ids[row])
        category = int(outcomes[bank.table.row(chosen.item)])
        session = session.after(chosen).after(Answered(at, chosen.step, chosen.item, category))
    return len(session.answered)


def test_tasks_in_flight_count_as_launched(studies: Any) -> None:
    bank = bank_of(np.random.default_rng(5))
    outcomes = studies.common.simulated(bank, 8, seed=6)
    plan = Plan(width=3)
    (ends,) = studies.common.endings(
        bank.table, plan, outcomes, [parse_stop("items>=4")], 25, np.arange(8)
    )
    assert (ends.items == 4).all()
    assert (ends.launched == 6).all()


def test_simulated_agents_answer_as_the_bank_says(studies: Any) -> None:
    bank = bank_of(np.random.default_rng(7), n=4)
    found = studies.common.simulated_at(bank, np.full(20_000, 0.5), seed=1)
    node = np.abs(bank.table.nodes[:, 0] - 0.5).argmin()
    expected = bank.table.p[:, 1, node]
    assert np.abs(found.mean(axis=0) - expected).max() < 4 * np.sqrt(0.25 / 20_000)


# --- decision ---------------------------------------------------------------------------------


@given(seed=seeds, cut=st.sampled_from([0.3, 0.5, 0.6]))
@settings(max_examples=15, deadline=None)
def test_random_tests_are_wrong_as_often_as_all_their_draws(
    studies: Any, seed: int, cut: float
) -> None:
    from itertools import combinations

    rng = np.random.default_rng(seed)
    outcomes = rng.integers(0, 2, (2, 7))
    outcomes[1, :2] = -1
    found = studies.decision.random_wrong(outcomes, cut)
    for row, got in zip(outcomes, found, strict=True):
        known = row[row >= 0]
        above = known.mean() > cut
        for size in range(1, len(known) + 1):
            draws = [np.mean(draw) > cut for draw in combinations(known, size)]
            assert got[size - 1] == pytest.approx(np.mean(np.array(draws) != above))
        assert np.isnan(got[len(known) :]).all()


def test_the_ratio_test_stands_around_the_cut(studies: Any) -> None:
    table = bank_of(np.random.default_rng(9)).table
    values = studies.decision.filled(table, 0.5)
    at = [float(values[name]) for name in ("low", "at", "high")]
    expected = np.interp(at, table.nodes[:, 0], table.expected_score.mean(axis=0))
    assert expected == pytest.approx([0.45, 0.5, 0.55], abs=1e-3)


# --- ordinal ----------------------------------------------------------------------------------


def test_every_agent_is_tested_once_by_others(studies: Any) -> None:
    tested = []
    for calibrating, part in studies.ordinal.folds(21, seed=3):
        assert not set(calibrating) & set(part)
        assert len(calibrating) + len(part) == 21
        tested += list(part)
    assert sorted(tested) == list(range(21))


def test_severe_is_a_failure(studies: Any) -> None:
    responses = from_matrix(np.array([[0, 1, 2, 3, 4, 5]]), n_categories=6)
    found = studies.ordinal.dichotomised(responses)
    # severity is 5 minus the category
    assert found.category.tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.n_categories == 2).all()


def test_agreement_is_spearmans_averaged_over_seeds(studies: Any) -> None:
    rng = np.random.default_rng(1)
    predicted, truth = rng.random((3, 4, 9)), rng.random(9)
    found = studies.ordinal.agreement(np.ones((2, 9)), predicted, truth)
    expected = [
        np.mean([spearmanr(predicted[seed, size], truth)[0] for seed in range(3)])
        for size in range(4)
    ]
    assert found[0] == pytest.approx(expected)


def test_fewer_scenarios_where_the_curve_is_higher(studies: Any) -> None:
    number = np.arange(1, 41)
    binary, ordinal = 1 - 1 / number, 1 - 1 / (2 * number)
    rows = studies.ordinal.compared(np.stack([ordinal] * 3), np.stack([binary] * 3))
    for row in rows:
        assert row.needed.value == pytest.approx(row.size / 2, abs=0.2)
        assert row.saved.value == pytest.approx(row.size - row.needed.value)


# --- exposure ---------------------------------------------------------------------------------


def test_exposure_counts_the_tests_with_an_item(studies: Any) -> None:
    order = np.array([[0, 2], [2, 1], [2, -1]])
    assert studies.exposure.exposure(order, 4).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 0])


def test_without_a_limit_all_begin_with_the_same_item(studies: Any) -> None:
    bank = bank_of(np.random.default_rng(11), n=60)
    limit = studies.exposure.Limit("none", "max-information")
    order = studies.exposure.drawn(bank, limit, 20, repeats=2)
    assert order.shape == (20, studies.exposure.LENGTH)
    assert len(set(order[:, 0])) == 1
    # nothing but the seed differs between the tests of one agent, and it has no say here
    assert (order[0::2] == order[1::2]).all()


def test_chance_seldom_takes_any_item_above_what_is_let_pass(studies: Any) -> None:
    rate, agents, items = 0.2, 1000, 300
    bound = studies.exposure.allowed(rate, agents, items)
    largest = np.random.default_rng(0).binomial(agents, rate, (2000, items)).max(axis=1) / agents
    assert 0.005 < (largest > bound).mean() < 0.05
    assert studies.exposure.allowed(rate, np.inf, items) == rate


# --- cost -------------------------------------------------------------------------------------


def crossed(studies: Any, agents: int) -> Any:
    """Costs with planted sds of 0.8, 0.6 and 0.5; every third attempt is missing."""
    rng = np.random.default_rng(0)
    a, i = np.divmod(np.arange(agents * 400), 400)
    log = 1 + rng.normal(0, 0.8, 400)[i] + rng.normal(0, 0.6, agents)[a]
    usd = np.exp(log + rng.normal(0, 0.5, len(log)))
    kept = rng.random(len(log)) > 1 / 3
    names = [tuple(f"x{k}" for k in of[kept]) for of in (a, i)]
    return studies.cost.Costs(*names, usd[kept], usd[kept])


@pytest.mark.parametrize("agents", [4, 60])
def test_variance_components_are_found_again(studies: Any, agents: int) -> None:
    found = studies.cost.spread(crossed(studies, agents), "usd")
    # with few agents the noise of the means would pass for spread of the items
    assert found.item == pytest.approx(0.8, rel=0.12)
    assert found.attempt == pytest.approx(0.5, rel=0.08)
    assert found.agent == pytest.approx(0.6, rel=0.3 if agents > 10 else 0.8)
    assert found.foreseen == pytest.approx(0.64 / 0.89, rel=0.1)


def test_costs_are_read_where_outcomes_are_missing(studies: Any, tmp_path: Path) -> None:
    file = tmp_path / "responses.csv.gz"
    with gzip.open(file, "wt") as lines:
        lines.write(
            "agent,item,category,cost_usd,seconds\n"
            "a,one,1,0.5,10\na,two,,0.25,20\nb,one,0,,5\nb,two,0,0,5\n"
        )
    found = studies.cost.read_costs(file)
    assert found.agent == ("a", "a")
    assert found.item == ("one", "two")
    assert found.usd.tolist() == [0.5, 0.25]
    assert found.seconds.tolist() == [10, 20]


def test_drawn_costs_are_as_spread_as_asked(studies: Any) -> None:
    cost, common = studies.cost, studies.common
    bank = bank_of(np.random.default_rng(15), n=200)
    outcomes = common.simulated(bank, 50, seed=1)
    world = common.World(bank, np.arange(50), outcomes, outcomes.mean(axis=1), 3)
    planted = cost.Spread(mean=1.0, item=0.8, agent=0.6, attempt=0.5)
    priced = cost.with_costs(world, {"usd": planted, "seconds": planted})
    a, i = np.divmod(np.arange(50 * 200), 200)
    names = [tuple(f"x{k}" for k in of) for of in (a, i)]
    found = cost.spread(cost.Costs(*names, priced.usd.ravel(), priced.usd.ravel()), "usd")
    assert found.item == pytest.approx(0.8, rel=0.2)
    assert found.agent == pytest.approx(0.6, rel=0.35)
    assert found.attempt == pytest.approx(0.5, rel=0.05)
    # what is expected of an item is not what the tested agents paid, but goes with it
    expected = np.log(priced.table.usd)
    assert np.corrcoef(expected, np.log(priced.usd).mean(axis=0))[0, 1] > 0.7


def test_a_thinned_world_is_one_of_fewer_items(studies: Any) -> None:
    bank = bank_of(np.random.default_rng(17), n=20)
    outcomes = studies.common.simulated(bank, 4, seed=1)
    world = studies.common.World(bank, np.arange(4), outcomes, outcomes.mean(axis=1), 0)
    found = studies.cost.thinned(world)
    assert [item.id for item in found.bank.items] == ["item0", "item6", "item12", "item18"]
    assert found.truth == pytest.approx(outcomes[:, [0, 6, 12, 18]].mean(axis=1))


def test_curves_hold_what_was_spent_on_the_items_taken(studies: Any) -> None:
    cost, common = studies.cost, studies.common
    bank = bank_of(np.random.default_rng(16), n=12)
    outcomes = common.simulated(bank, 5, seed=1)
    world = common.World(bank, np.arange(5), outcomes, outcomes.mean(axis=1), 0)
    one = cost.Spread(mean=0.0, item=1.0, agent=0.5, attempt=0.5)
    priced = cost.with_costs(world, {"usd": one, "seconds": one})
    curves = cost.followed(priced, "max-information/usd")
    assert curves.usd[:, -1] == pytest.approx(priced.usd.sum(axis=1))
    assert curves.seconds[:, -1] == pytest.approx(priced.seconds.sum(axis=1))
    assert curves.error[:, -1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(curves.usd, axis=1) > 0).all()


# --- accuracy ---------------------------------------------------------------------------------


def test_the_floor_is_the_luck_of_open_items(studies: Any) -> None:
    rng = np.random.default_rng(2)
    bank = bank_of(rng, n=80)
    table = bank.table
    outcomes = studies.common.simulated(bank, 40, seed=3)
    world = studies.common.World(bank, np.arange(40), outcomes, outcomes.mean(axis=1), 0)
    floor, ours, _ = studies.accuracy.followed(world, Plan(), [Prior()] * 40, (10, 40))
    # by hand: all items given but the open ones, whose scores are independent coins
    node = np.abs(table.expected_score.mean(axis=0) - world.truth[0]).argmin()
    p = table.p[:, 1, node]
    all_open = np.sqrt(2 / np.pi * (p * (1 - p)).sum()) / 80
    assert (floor[:, 1] < floor[:, 0]).all()
    assert floor[0, 0] < all_open
    assert floor[0, 0] > all_open * np.sqrt(70 / 80) * 0.8
    assert ours.mean(axis=0)[1] > floor.mean(axis=0)[1] * 0.7


# --- width ------------------------------------------------------------------------------------


def test_widths_are_compared_in_the_same_sessions(studies: Any) -> None:
    width, common = studies.width, studies.common
    ends = {
        (w, sd): common.Endings(
            items=np.array([10.0 + w, 20.0 + w, np.nan if w == 8 else 30.0]),
            launched=np.array([9.0 + 2 * w, 19.0 + 2 * w, 29.0 + 2 * w]),
            score=np.zeros(3),
            above=np.zeros(3),
        )
        for w in width.WIDTHS
        for sd in width.SDS
    }
    run = common.Run(Path(), Path(), quick=True)
    rows = width.measure(run, width.Group("made up", np.arange(3), ends))
    four = next(row for row in rows if row.width == 4 and row.sd == width.SDS[0])
    assert four.reached == pytest.approx(2 / 3)
    assert four.answered.value == pytest.approx(19.0)
    assert four.more.value == pytest.approx(19 / 16)
    assert four.more_launched.value == pytest.approx(22 / 16)


# --- health -----------------------------------------------------------------------------------


def test_what_was_flagged_is_told_first_and_the_rest_by_title(studies: Any) -> None:
    flag = Flag("noise", "item", ("t1",), "much", 0.9, 0.8, 1.0, 0.0, "look")
    found = {
        "slopes": Section("Slopes", "two items are weak", (flag,)),
        "fit": Section("Fit of items", "all fit"),
        "reliability": Section("Reliability", "it is high"),
    }
    assert studies.health.lead(found) == [
        "**Slopes.** two items are weak",
        "**Reliability.** it is high",
        "Nothing was flagged under: fit of items.",
    ]


def test_tables_beside_the_outcomes_win_over_names(studies: Any, tmp_path: Path) -> None:
    responses = from_matrix(np.eye(2), items=["a__1", "b__2"])
    assert studies.health.about(tmp_path, responses).items["b__2"] == {"repository": "b"}
    (tmp_path / "items.csv").write_text("item,topic\na__1,web\n")
    assert studies.health.about(tmp_path, responses).items == {"a__1": {"topic": "web"}}


def test_a_plot_stands_alone(studies: Any) -> None:
    from harness.report import plots

    def draw() -> Any:
        figure = plots.new_figure(3, 2)
        figure.subplots().plot([0, 1], [0, 1], color=plots.ACCENT)
        return figure

    drawn = studies.sections.alone(plots.render_svg(draw, "line", "A line"))
    assert "var(" not in drawn
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("288", "192")


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=4))
def test_strangers_text_stays_in_its_cell(studies: Any, rows: list[list[str]]) -> None:
    text = studies.sections.grid(Grid(("a", "b", "c"), tuple(tuple(row) for row in rows)))
    lines = text.split("\n")
    assert len(lines) == len(rows) + 2
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)


# --- subset -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("tau", "said"), [(0.7, "about 20"), (0.95, "more than 40")])
def test_random_tasks_that_rank_as_well(studies: Any, tau: float, said: str) -> None:
    def point(size: int, chosen: float, random: float) -> Any:
        taus = [{"mean": SimpleNamespace(tau=Estimate(value))} for value in (chosen, random)]
        return SimpleNamespace(size=size, chosen=taus[0], random=taus[1])

    points = [point(10, tau, 0.6), point(40, 0.9, 0.8)]
    found = SimpleNamespace(curve=points, at=lambda size: points[size // 40])
    assert studies.subset.needed(found, 10) == said


def test_the_newest_agents_are_held_out(studies: Any) -> None:
    dates = tuple(f"2025-{month:02}" for month in (3, 1, 9, 2, 8, 4, 7, 5, 6, 10))
    responses = replace(from_matrix(np.eye(10)), date=dates)
    assert studies.subset.by_date(responses).tolist() == [2, 4, 9]
    assert not len(studies.subset.by_date(replace(responses, date=("",) * 10)))


# --- pages and the command --------------------------------------------------------------------


def test_examples_in_docstrings_hold(studies: Any) -> None:
    found = [doctest.testmod(module) for module in vars(studies).values()]
    assert sum(one.failed for one in found) == 0
    assert sum(one.attempted for one in found) > 4


def test_numbers_are_told_with_their_intervals(studies: Any) -> None:
    told = studies.pages.told
    assert told(Estimate(0.5, 0.25, 0.75), 2) == "0.50 [0.25, 0.75]"
    assert told(Estimate(0.5), 2) == "0.50"
    assert told(Estimate(None, None, 3.0)) == "–"


def test_the_same_numbers_make_the_same_figure(studies: Any, tmp_path: Path) -> None:
    line = studies.pages.Line("one", [1.0, 2.0], [1.0, 3.0], [0.5, 2.0], [1.5, 4.0])
    made = []
    for name in ("a", "b"):
        text = studies.pages.figure(tmp_path / name, "fig", "What it shows", [line], "x", "y")
        assert "](figures/fig.svg)" in text
        made.append((tmp_path / name / "figures" / "fig.svg").read_bytes())
    assert made[0] == made[1]


def followed(**more: Any) -> Any:
    """A training run of ten checkpoints on two banks, as it was simulated."""
    from harness.schedule.simulate import Run

    shape = (10, 2)
    given = {
        "tasks": np.full(shape, 4),
        "truth": np.zeros(shape),
        "mean": np.zeros(shape),
        "sd": np.full(shape, 0.2),
        "covered": np.ones(shape, bool),
        "smoothed": np.zeros(shape),
        "smoothed_covered": np.ones(shape, bool),
        "raised": (),
        "confirmed": (),
    }
    return Run(**{**given, **more})


def test_delays_count_from_the_fall_and_false_alarms_are_those_of_no_fall(studies: Any) -> None:
    from harness.schedule.simulate import Raised

    series = studies.series
    safety, capability = series.BANKS
    job = series.Job(series.OURS, "fall of 1 sd", 0, 4, 10)
    _, when = series.truths(job)
    alarms = [
        (Raised(when[0] + 1, safety, -1.0),),
        (Raised(when[1] - 1, safety, 0.0), Raised(when[1] + 2, safety, -1.0)),
        (Raised(3, capability, 0.1), Raised(4, capability, -0.4)),
        (),
    ]
    runs = [followed(confirmed=some) for some in alarms]
    found = series.measured(job, runs)
    np.testing.assert_array_equal(found.delay, [1, 2, np.inf, np.inf])
    np.testing.assert_array_equal(found.false, [0, 1, 1, 0])


def test_the_same_runs_meet_every_policy(studies: Any) -> None:
    series = studies.series
    jobs = [series.Job(method, "fall of 1 sd", 20, 5, 30) for method in series.METHODS[:2]]
    (one, when), (other, _) = map(series.truths, jobs)
    np.testing.assert_array_equal(one, other)
    for run, at in zip(one, when, strict=True):
        step = np.diff(run[:, 0])
        assert step[at - 1] == pytest.approx(-1.0)
        assert np.abs(np.delete(step, at - 1)).max() < 1e-12


def test_separate_sessions_carry_the_last_result_on(studies: Any) -> None:
    series = studies.series
    tasks = np.zeros((10, 2), int)
    tasks[[0, 5]] = 8
    mean = np.zeros((10, 2))
    mean[:, 0] = np.arange(10) / 10
    carried = series._carried(followed(tasks=tasks, mean=mean))
    np.testing.assert_allclose(carried.mean[:, 0], [0.0] * 5 + [0.5] * 5)
    assert carried.covered[0, 0]
    assert not carried.covered[5, 0] or tasks[5, 0]


def test_separate_sessions_raise_an_alarm_at_a_significant_difference(studies: Any) -> None:
    series = studies.series
    truth = np.zeros((10, 2))
    truth[6:, 0] = -1.0
    fallen = followed(mean=truth, truth=truth)
    (alarm,) = series._naive(fallen, truth)
    assert (alarm.checkpoint, alarm.bank, alarm.change) == (6, series.BANKS[0], -1.0)
    assert not series._naive(followed(), np.zeros((10, 2)))
    blurred = followed(mean=truth, truth=truth, sd=np.full((10, 2), 0.6))
    assert not series._naive(blurred, truth)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "studies.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )


def test_studies_without_data_are_skipped_and_named(tmp_path: Path) -> None:
    done = command("decision", "ordinal", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    for name, data in (("decision", "swebench_verified"), ("ordinal", "odcv")):
        assert f"{name}: skipped, there is no {tmp_path / data}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_page_is_made_from_a_small_data_set(studies: Any, tmp_path: Path) -> None:
    bank = bank_of(np.random.default_rng(13), n=40)
    outcomes = studies.common.simulated(bank, 30, seed=14)
    rows = ["agent,item,category"] + [
        f"a{agent},t{item},{category}"
        for agent, line in enumerate(outcomes)
        for item, category in enumerate(line)
    ]
    _write(tmp_path / "swebench_verified", rows)
    done = command("decision", "--quick", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "decision.md").read_text()
    assert page.startswith("# Is this agent above the cut?\n\n- **")
    assert "30 agents × 40 tasks" in page
    assert (tmp_path / "out" / "figures" / "decision.svg").exists()


def test_pages_of_health_say_what_was_planted(studies: Any, tmp_path: Path) -> None:
    bank = bank_of(np.random.default_rng(19), n=30)
    outcomes = studies.common.simulated(bank, 40, seed=20)
    outcomes[:, 7] = 1 - (outcomes.mean(axis=1) > np.median(outcomes.mean(axis=1)))
    rows = ["agent,item,category"] + [
        f"a{agent},repo__t{item},{category}"
        for agent, line in enumerate(outcomes)
        for item, category in enumerate(line)
    ]
    _write(tmp_path / "swebench_verified", rows)
    out = tmp_path / "out"
    names = "health-swebench_verified", "subset"
    done = command(*names, "--quick", "--data", str(tmp_path), "--out", str(out))
    assert done.returncode == 0, done.stderr
    health, subset = ((out / f"{name}.md").read_text() for name in names)
    assert "| reversed | 1 | repo__t7: " in health
    assert "cat-harness health responses.csv.gz \\\n" in health
    assert '\n  --name "SWE-bench Verified" \\\n' in health
    assert "## 10 tasks\n" in subset
    assert "newest" not in subset
    for text in (health, subset):
        pictures = re.findall(r"\]\((figures/\S+)\)", text)
        assert pictures
        assert all((out / picture).exists() for picture in pictures)


def _write(folder: Path, rows: list[str]) -> None:
    folder.mkdir()
    with gzip.open(folder / "responses.csv.gz", "wt") as file:
        file.write("\n".join(rows) + "\n")
