"""Cold-start protocols: folds, measures, methods on simulated benchmarks, sessions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from harness.coldstart.benchmark import Benchmark, make_benchmark
from harness.coldstart.elsewhere import LEVEL_SD, fit_transfer, tell_benchmark, transferred_items
from harness.coldstart.fits import any_item, difficulties, fit_known, pass_rates
from harness.coldstart.forecast import Forecast, Placed, Places, placed
from harness.coldstart.measures import coverage, measure, told_cells
from harness.coldstart.result import Found, Result
from harness.coldstart.run import run_protocol
from harness.coldstart.sessions import MEAN, run_cold_sessions
from harness.coldstart.splits import (
    agent_folds,
    cell_folds,
    date_fold,
    pair_folds,
    parts_of,
    task_folds,
)
from harness.coldstart.strong import with_strengths
from harness.errors import InputError, PlanError, ResponsesError
from harness.regression import Column, Features
from harness.responses import from_matrix


def simulated(
    seed: int, agents: int = 40, items: int = 60, told: float = 1.0, name: str = "demo"
) -> Benchmark:
    """1PL outcomes whose difficulties two features explain, but for a residual; noise in a third.

    Abilities are those of four models, three scaffolds, and the agents' own.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(items, 3))
    hard = told * (x[:, 0] + 0.7 * x[:, 1]) + rng.normal(0, 0.5, items)
    model, scaffold = np.arange(agents) % 4, (np.arange(agents) // 4) % 3
    able = 0.9 * (model - 1.5) + 0.5 * (scaffold - 1) + rng.normal(0, 0.3, agents)
    passed = rng.random((agents, items)) < expit(1.5 * (able[:, None] - hard))
    responses = from_matrix(
        passed.astype(float),
        agents=[f"a{k:02}" for k in range(agents)],
        items=[f"t{k:03}" for k in range(items)],
    )
    columns = (Column("x", "good", "number"), Column("y", "good", "number"))
    features = Features(
        responses.items,
        (*columns, Column("z", "noise", "number")),
        tuple(map(tuple, x.tolist())),
    )
    responses = replace(
        responses,
        llm=tuple(f"m{k}" for k in model),
        scaffold=tuple(f"s{k}" for k in scaffold),
        date=tuple(f"2025-{1 + k % 12:02}-01" for k in range(agents)),
    )
    return make_benchmark(name, responses, features)


@pytest.fixture(scope="module")
def benchmark_() -> Benchmark:
    return simulated(1)


def named(found: Result, name: str) -> Found:
    return next(method for method in found.methods if method.name == name)


# --- folds --------------------------------------------------------------------------------------


@given(st.integers(5, 60), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_parts_hold_everything_once(n: int, folds: int) -> None:
    parts = list(parts_of(n, folds))
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_folds_tell_every_cell_once_and_know_none_of_what_they_tell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((12, 15)) < 0.2, -1, rng.integers(0, 2, (12, 15)))
    benchmark = make_benchmark("demo", from_matrix(matrix))
    for make in (task_folds, cell_folds, agent_folds):
        folds = make(benchmark)
        told = np.sum([fold.told for fold in folds], axis=0)
        np.testing.assert_array_equal(told, benchmark.seen)
        for fold in folds:
            assert not (fold.told & fold.known).any()
            assert not (fold.known & ~benchmark.seen).any()


def test_new_tasks_and_agents_have_no_known_cell(benchmark_: Benchmark) -> None:
    for folds, axis in ((task_folds(benchmark_), 0), (agent_folds(benchmark_), 1)):
        for fold in folds:
            assert not (fold.told.any(axis=axis) & fold.known.any(axis=axis)).any()


def test_folds_do_not_depend_on_the_order_of_the_file(benchmark_: Benchmark) -> None:
    given_ = benchmark_.responses
    mixed = given_.subset(agents=given_.agents[::-1], items=given_.items[::-1])
    other = make_benchmark("demo", mixed, benchmark_.features)
    assert other.responses.items == given_.items
    np.testing.assert_array_equal(other.counts, benchmark_.counts)


def test_the_newest_are_told_from_older_ones(benchmark_: Benchmark) -> None:
    (fold,) = date_fold(benchmark_)
    dates = np.array(benchmark_.responses.date)
    new = fold.told.any(axis=1)
    assert new.sum() == 12
    assert min(dates[new]) >= max(dates[~new])


def test_a_new_pair_is_of_a_model_and_a_scaffold_that_are_known(benchmark_: Benchmark) -> None:
    responses = benchmark_.responses
    pairs = list(zip(responses.llm, responses.scaffold, strict=True))
    for fold in pair_folds(benchmark_):
        told = {pairs[a] for a in np.flatnonzero(fold.told.any(axis=1))}
        known = {pairs[a] for a in np.flatnonzero(fold.known.any(axis=1))}
        assert told
        assert not told & known
        assert {m for m, _ in told} <= {m for m, _ in known}
        assert {s for _, s in told} <= {s for _, s in known}


def test_what_cannot_be_split_is_refused(benchmark_: Benchmark) -> None:
    responses = benchmark_.responses
    undated = replace(responses, date=("", *responses.date[1:]))
    with pytest.raises(ResponsesError, match="'a00' has no date, nor have 0 others"):
        date_fold(make_benchmark("demo", undated))
    with pytest.raises(ResponsesError, match="0 pairs of model and scaffold are known"):
        pair_folds(make_benchmark("demo", replace(responses, llm=("",) * len(responses.agents))))
    alone = replace(responses, llm=responses.agents, scaffold=responses.agents)
    with pytest.raises(ResponsesError, match="nothing can be said of new pairs"):
        pair_folds(make_benchmark("demo", alone))


def test_bad_outcomes_and_features_are_refused(benchmark_: Benchmark) -> None:
    degrees = from_matrix(np.arange(200).reshape(10, 20) % 3)
    with pytest.raises(ResponsesError, match=r"has 3 categories.*--score"):
        make_benchmark("demo", degrees)
    with pytest.raises(ResponsesError, match="outcomes of 3 agents on 20 items"):
        make_benchmark("demo", from_matrix(np.eye(20)[:3] + np.eye(20)[3:6]))
    strangers = Features(("other",), (Column("x", "b", "number"),), ((1.0,),))
    with pytest.raises(InputError, match="'other' and others, none of which is an item"):
        make_benchmark("demo", benchmark_.responses, strangers)


# --- measures -----------------------------------------------------------------------------------


def brute_auc(p: np.ndarray, y: np.ndarray) -> float:
    gaps = p[y == 1][:, None] - p[y == 0]
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_measures_agree_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    benchmark = make_benchmark("demo", from_matrix(rng.integers(0, 2, (8, 12))))
    folds = task_folds(benchmark)
    p = np.round(rng.uniform(0.05, 0.95, (8, 12)), 1)
    cells = told_cells(benchmark.counts, folds, 1, draws=5)
    told = {"one": [Forecast(p)] * len(folds), "other": [Forecast(np.full((8, 12), 0.5))] * 5}
    (one, other), (gap,) = measure(told, folds, cells, "one")
    y = benchmark.counts[:, :, 1]
    assert one.auc.value == pytest.approx(brute_auc(p.ravel(), y.ravel()))
    assert one.log_score.value == pytest.approx(np.mean(np.log(np.where(y == 1, p, 1 - p))))
    assert one.brier.value == pytest.approx(np.mean((p - y) ** 2))
    for fold, auc in zip(folds, one.fold_aucs, strict=True):
        expected = brute_auc(p[fold.told], y[fold.told])
        assert auc == pytest.approx(expected, nan_ok=True)
    assert other.auc.value == 0.5
    assert gap.first == "other"
    assert gap.auc.value == pytest.approx(one.auc.value - 0.5)


def test_a_bootstrap_over_items_is_wider_where_outcomes_are_by_item() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(40) < 0.5
    matrix = np.where(rng.random((30, 40)) < 0.9, hard, ~hard)
    benchmark = make_benchmark("demo", from_matrix(matrix.astype(float)))
    folds = cell_folds(benchmark)
    told = {"one": [Forecast(np.full((30, 40), 0.5))] * 5}
    widths = []
    for by in (0, 1):
        (found,), _ = measure(told, folds, told_cells(benchmark.counts, folds, by), "one")
        assert found.log_score.value == pytest.approx(np.log(0.5))
        p = {"one": [Forecast(np.broadcast_to(rng.uniform(0.3, 0.7, 40), (30, 40)))] * 5}
        (found,), _ = measure(p, folds, told_cells(benchmark.counts, folds, by), "one")
        assert found.auc.low is not None
        assert found.auc.high is not None
        widths.append(found.auc.high - found.auc.low)
    assert widths[1] > 3 * widths[0]


def test_coverage_counts_the_error_of_what_is_held_against() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 0.8, 4000)
    full = Places(truth + rng.normal(0, 0.6, 4000), np.full(4000, 0.6))
    rows = np.arange(4000)
    right = coverage([placed(rows, np.zeros(4000), np.full(4000, 0.8), full)])
    narrow = coverage([placed(rows, np.zeros(4000), np.full(4000, 0.4), full)])
    assert right.share.value == pytest.approx(0.9, abs=0.02)
    assert narrow.share.value is not None
    assert narrow.share.value < 0.8
    assert right.rmse == pytest.approx(1.0, abs=0.05)
    assert np.isnan(right.correlation)


def test_coverage_of_other_shapes_goes_by_their_own_probabilities() -> None:
    below = np.array([0.04, 0.06, 0.5, 0.94, 0.96])
    some = Placed(np.arange(5), *np.zeros((3, 5)), below)
    assert coverage([some]).share.value == pytest.approx(0.6)


# --- methods ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks(benchmark_: Benchmark) -> Result:
    return run_protocol("tasks", benchmark_, draws=50)


def test_features_tell_new_tasks(tasks: Result) -> None:
    ours, alike = named(tasks, "explained 1PL"), named(tasks, "ability only")
    oracle = named(tasks, "oracle")
    assert ours.auc.value > alike.auc.value + 0.05  # type: ignore[operator]
    assert oracle.auc.value > ours.auc.value  # type: ignore[operator]
    assert ours.log_score.value > alike.log_score.value  # type: ignore[operator]
    assert abs(ours.mean_auc - ours.auc.value) < 0.05  # type: ignore[operator]
    assert ours.difficulty is not None
    assert ours.difficulty.share.value is not None
    assert 0.8 <= ours.difficulty.share.value <= 1.0
    assert ours.difficulty.correlation > 0.7


def test_what_blocks_are_worth_is_told(tasks: Result) -> None:
    good, noise = named(tasks, "only good"), named(tasks, "only noise")
    assert good.auc.value > noise.auc.value + 0.05  # type: ignore[operator]
    assert tasks.blocks == (("good", 2), ("noise", 1))
    gap = next(one for one in tasks.differences if one.first == "only noise")
    assert gap.log_score.low is not None
    assert gap.log_score.low > 0


def test_three_blocks_are_left_out_one_at_a_time(benchmark_: Benchmark) -> None:
    from harness.coldstart.tell_tasks import parts_of as sets_of

    assert benchmark_.features is not None
    more = benchmark_.features.beside(
        Features(("t000",), (Column("w", "third", "number"),), ((1.0,),))
    )
    found = dict(sets_of(more))
    assert found["without third"].blocks == ("good", "noise")
    assert found["only noise"].blocks == ("noise",)
    assert len(found) == 6


def test_the_result_does_not_depend_on_outcomes_that_are_told(benchmark_: Benchmark) -> None:
    from harness.coldstart.fits import fit_oracle
    from harness.coldstart.tell_tasks import tell_tasks

    fold = task_folds(benchmark_)[0]
    oracle = fit_oracle(benchmark_)
    responses = benchmark_.responses
    turned = fold.told[responses.agent, responses.item]
    other = replace(
        benchmark_,
        responses=replace(
            responses, category=np.where(turned, 1 - responses.category, responses.category)
        ),
    )
    one, two = (tell_tasks(b, fold, oracle) for b in (benchmark_, other))
    for name, forecast in one.items():
        np.testing.assert_allclose(
            forecast.passing[fold.told], two[name].passing[fold.told], rtol=1e-10, err_msg=name
        )


def test_new_responses_are_told_by_both_their_item_and_their_agent() -> None:
    found = run_protocol("responses", simulated(3, 30, 40), draws=20)
    ours = named(found, "explained 2PL")
    for name in ("item mean", "agent mean", "ability only", "difficulty only"):
        assert ours.auc.value > named(found, name).auc.value + 0.03, name  # type: ignore[operator]
    assert ours.log_score.value > named(found, "1PL").log_score.value - 0.01  # type: ignore[operator]


def test_parts_tell_new_agents(benchmark_: Benchmark) -> None:
    found = run_protocol("agents", benchmark_, draws=20)
    parts, anybody = named(found, "parts"), named(found, "population")
    assert found.unit == "agents"
    assert parts.auc.value > anybody.auc.value + 0.05  # type: ignore[operator]
    assert parts.ability is not None
    assert parts.ability.share.value is not None
    assert parts.ability.share.value >= 0.8
    assert parts.ability.correlation > 0.8
    # an agent of which nothing is known is told by the items alone
    assert anybody.auc.value == pytest.approx(named(found, "item mean").auc.value, abs=0.02)


def test_agents_without_parts_are_like_any(benchmark_: Benchmark) -> None:
    responses = benchmark_.responses
    nothing = ("",) * len(responses.agents)
    bare = make_benchmark("demo", replace(responses, llm=nothing, scaffold=nothing, date=nothing))
    found = run_protocol("agents", bare, draws=20)
    assert found.main == "population"
    assert {method.name for method in found.methods} == {"item mean", "population", "oracle"}


def test_without_features_there_are_baselines(benchmark_: Benchmark) -> None:
    bare = make_benchmark("demo", benchmark_.responses)
    found = run_protocol("tasks", bare, draws=20)
    assert found.main == "ability only"
    assert found.blocks == ()


def test_the_number_of_processes_changes_nothing() -> None:
    bare = make_benchmark("demo", simulated(4, 12, 20).responses)
    one, two = (run_protocol("tasks", bare, jobs=jobs, draws=20) for jobs in (1, 2))
    assert one == two


def test_rates_are_never_0_or_1() -> None:
    responses = from_matrix(np.array([[1, 1, 1], [0, 0, -1]]))
    np.testing.assert_allclose(pass_rates(responses, axis=1), [3.5 / 4, 0.5 / 3])
    np.testing.assert_allclose(pass_rates(responses, axis=0), [0.5, 0.5, 0.75])


def test_any_item_is_as_spread_as_items_are(benchmark_: Benchmark) -> None:
    known = fit_known(benchmark_.responses, "1pl")
    item, mean, sd = any_item(known.bank)
    values = difficulties(known.bank.items)
    assert (mean, sd) == (pytest.approx(values.value.mean()), pytest.approx(values.value.std()))
    own = difficulties([item])
    assert own.value[0] == pytest.approx(mean)
    assert own.error[0] == pytest.approx(sd)


def test_strengths_are_found_where_there_are_some() -> None:
    rng = np.random.default_rng(5)
    x, u = rng.normal(size=(80, 1)), rng.normal(0, 1.2, (30, 1))
    chance = expit(u @ x.T)
    responses = from_matrix((rng.random((30, 80)) < chance).astype(float))
    features = Features(
        responses.items, (Column("x", "b", "number"),), tuple(map(tuple, x.tolist()))
    )
    known = np.broadcast_to(np.arange(80) < 60, (30, 80))
    found = with_strengths(np.full((30, 80), 0.5), responses, known, features)
    new = ~known
    assert np.corrcoef(found[new], chance[new])[0, 1] > 0.9


# --- new benchmarks and sessions ----------------------------------------------------------------


def test_what_features_say_carries_over_and_the_level_is_left_open() -> None:
    new, old = simulated(6, name="new"), simulated(7, name="old")
    found = tell_benchmark(new, [old], draws=50)
    said = named(found, "predictor and parts")
    assert said.auc.value > named(found, "parts").auc.value + 0.05  # type: ignore[operator]
    assert said.difficulty is not None
    assert said.difficulty.sd > LEVEL_SD
    assert said.difficulty.correlation > 0.6
    assert named(found, "nothing").auc.value == 0.5
    assert "level" in found.notes[0]


def test_several_benchmarks_are_pooled_under_one_set_of_weights() -> None:
    new, one, other = (simulated(seed, 25, 40, name=f"b{seed}") for seed in (8, 9, 10))
    alone, pooled = fit_transfer([one]), fit_transfer([one, other])
    assert pooled.predictor.difficulty.n == 2 * alone.predictor.difficulty.n
    items = transferred_items(pooled, new)
    assert [item.id for item in items] == list(new.responses.items)
    # the level of the new one is unknown, and widens what is said of every item
    assert difficulties(items).error.min() > 0


def test_benchmarks_without_features_are_refused() -> None:
    bare = make_benchmark("bare", simulated(8, 25, 40).responses)
    with pytest.raises(InputError, match=r"'bare' has no features.*--with-features"):
        fit_transfer([bare])
    with pytest.raises(InputError, match=r"'bare' has no features.*--features"):
        tell_benchmark(bare, [simulated(9, 25, 40)])
    with pytest.raises(InputError, match="needs features of the tasks"):
        run_cold_sessions(bare)


def test_sessions_on_predicted_tasks_beat_random_tasks() -> None:
    found = run_cold_sessions(
        simulated(11, 30, 60), ("randomesque(score-variance, 20)",), repeats=4
    )
    assert found.sizes == (5, 10, 20, 50)
    ours, mean = found.plans
    assert mean.name == MEAN
    for a, b in zip(ours.points, mean.points, strict=True):
        assert a.score.mae.value < b.score.mae.value  # type: ignore[operator]
        assert 0.65 <= a.score.coverage[0].value <= 0.97  # type: ignore[operator]
    assert {split.tested for split in found.splits} == {15}


def test_sessions_may_rest_on_another_benchmark() -> None:
    new, old = simulated(12, 25, 40, name="new"), simulated(13, 25, 40, name="old")
    found = run_cold_sessions(new, ("random",), others=[old], repeats=1)
    assert [split.tested for split in found.splits] == [25]
    with pytest.raises(PlanError):
        run_cold_sessions(new, ("best",), others=[old], repeats=1)
