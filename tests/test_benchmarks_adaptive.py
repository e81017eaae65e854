"""The benchmarks of adaptive tests: what the peers do, what is reported, and that all runs."""

import doctest
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm, spearmanr

from harness.ability import Prior, normalise
from harness.bank import Item, ItemBank
from harness.responses import Responses, from_matrix, read_responses

REPOSITORY = Path(__file__).resolve().parent.parent
BENCHMARKS = REPOSITORY / "benchmarks"
MODULES = ("adaptive", "engine", "_engine_peers", "_adaptive_errors", "_adaptive_peers")


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    """The modules, which find their neighbours as they do when run as programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import _adaptive_errors
        import _adaptive_peers
        import _engine_peers
        import adaptive
        import engine

        yield SimpleNamespace(
            peers=_adaptive_peers,
            errors=_adaptive_errors,
            adaptive=adaptive,
            engine=engine,
            engine_peers=_engine_peers,
        )
        for name in MODULES:
            sys.modules.pop(name)


seeds = st.integers(0, 2**32 - 1)


def make(peers: ModuleType, seed: int, n: int = 12, guessing: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    lower = rng.uniform(0, 0.4, n) if guessing else np.zeros(n)
    return peers.Parameters(rng.lognormal(0.2, 0.5, n), rng.normal(0, 1.5, n), lower)


def make_training(peers: ModuleType, seed: int, agents: int = 15, n: int = 12) -> Any:
    rng = np.random.default_rng(seed)
    two, three = make(peers, seed, n), make(peers, seed + 1, n, guessing=True)
    single = (rng.random((agents, n)) < two.p(rng.standard_normal(agents))).astype(int)
    return peers.Training(single, single.astype(float), two, three)


def make_outcomes(seed: int, agents: int = 4, n: int = 12) -> Any:
    return np.random.default_rng(seed).integers(-1, 2, (agents, n))


# --- the parts of the peers -------------------------------------------------------------------


@given(seed=seeds, theta=st.floats(-4, 4))
def test_information_is_that_of_the_probabilities(benchmark: Any, seed: int, theta: float) -> None:
    items = make(benchmark.peers, seed, guessing=True)
    (below,), (p,), (above,) = (items.p(np.array([theta + h])) for h in (-1e-5, 0.0, 1e-5))
    slope = (above - below) / 2e-5
    expected = slope**2 / (p * (1 - p))
    assert items.information(np.array([theta]))[0] == pytest.approx(expected, rel=1e-4, abs=1e-8)


@given(seed=seeds)
def test_the_posterior_mode_is_that_of_an_optimiser(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    items, answers = make(peers, seed), make_outcomes(seed)
    for found, mine in zip(peers.map_2pl(items, answers), answers, strict=True):
        best = minimize_scalar(
            lambda theta, mine=mine: -log_posterior(items, mine, theta),
            bounds=(-4, 4),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert found == pytest.approx(best.x, abs=1e-4)


def log_posterior(items: Any, answers: Any, theta: float) -> float:
    (p,) = items.p(np.array([theta]))
    chances = np.where(answers == 1, p, np.where(answers == 0, 1 - p, 1.0))
    return float(np.log(chances).sum() - theta**2 / 2)


@settings(max_examples=20)
@given(seed=seeds)
def test_the_posterior_mean_is_that_of_another_quadrature(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    items, answers = make(peers, seed, guessing=True), make_outcomes(seed, agents=1)
    moments = [
        quad(lambda t, k=k: t**k * np.exp(log_posterior(items, answers[0], t)), -6, 6, limit=200)[0]
        for k in (0, 1)
    ]
    (found,) = peers.eap(items, answers, -6, 6, 241)
    assert found == pytest.approx(moments[1] / moments[0], abs=1e-4)


@given(seed=seeds)
def test_the_most_informative_item_is_that_of_a_search(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    items = make(peers, seed, guessing=True)
    rng = np.random.default_rng(seed)
    ability, open_ = rng.standard_normal(3), rng.random((3, 12)) < 0.5
    open_[:, 0] = True
    chosen = peers.most_informative(items, 0, ability, open_)
    for theta, mine, row in zip(ability, open_, chosen, strict=True):
        information = items.information(np.array([theta]))[0]
        assert mine[row]
        assert information[row] == max(information[mine])


# --- the peers --------------------------------------------------------------------------------


def installed(name: str) -> bool:
    return name not in ("catsim", "adaptivetesting") or find_spec(name) is not None


ALL = (
    "random + mean",
    "30–70% + mean",
    "30–70% + regression",
    "random + 2PL EAP",
    "Fluid Benchmarking",
    "ATLAS",
    "catsim",
    "adaptivetesting",
)


def test_all_peers_are_tested(benchmark: Any) -> None:
    assert tuple(benchmark.peers.PEERS) == ALL


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_peer_gives_a_task_twice_or_one_that_is_missing(
    benchmark: Any, name: str, seed: int
) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    peers = benchmark.peers
    outcomes = make_outcomes(seed)
    outcomes[:, 0] = 1
    found = peers.PEERS[name](make_training(peers, seed), outcomes, (1, 5, 12), seed)
    assert found.rates.shape == (4, 3)
    assert ((found.rates >= 0) & (found.rates <= 1)).all()
    for mine, taken in zip(outcomes, found.taken, strict=True):
        given_ = taken[taken >= 0]
        assert len(set(given_)) == len(given_)
        assert (mine[given_] >= 0).all()
        if name.startswith("30–70%"):
            continue
        assert len(given_) == (mine >= 0).sum()


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("30–70%")])
def test_the_prediction_after_all_tasks_is_the_truth(benchmark: Any, name: str) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    peers = benchmark.peers
    outcomes = make_outcomes(5)
    found = peers.PEERS[name](make_training(peers, 5), outcomes, (12,), 0)
    truth = [mine[mine >= 0].mean() for mine in outcomes]
    assert found.rates[:, 0] == pytest.approx(truth)


@given(seed=seeds)
def test_answers_count_as_they_are_and_other_tasks_by_their_chance(
    benchmark: Any, seed: int
) -> None:
    peers = benchmark.peers
    items, outcomes = make(peers, seed), make_outcomes(seed)
    outcomes[:, 0] = 1
    answers = np.where(np.random.default_rng(seed).random(outcomes.shape) < 0.5, outcomes, -1)
    ability = np.random.default_rng(seed).standard_normal(4)
    found = peers.predicted_rates(items, outcomes >= 0, answers, ability)
    for agent in range(4):
        scores = [
            answers[agent, i]
            if answers[agent, i] >= 0
            else items.p(ability[agent : agent + 1])[0, i]
            for i in range(12)
            if outcomes[agent, i] >= 0
        ]
        assert found[agent] == pytest.approx(np.mean(scores))


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_fluid_is_the_loop_of_its_paper(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    training, outcomes = make_training(peers, seed), make_outcomes(seed, agents=2)
    outcomes[outcomes < 0] = 0
    found = peers.fluid(training, outcomes, (3, 8), 0)
    for agent, mine in enumerate(outcomes):
        answers, theta, taken = np.full(12, -1), 0.0, []
        for _ in range(8):
            information = training.two.information(np.array([theta]))[0]
            item = max((i for i in range(12) if answers[i] < 0), key=information.__getitem__)
            answers[item] = mine[item]
            taken.append(item)
            best = minimize_scalar(
                lambda t, answers=answers: -log_posterior(training.two, answers, t),
                bounds=(-4, 4),
                method="bounded",
                options={"xatol": 1e-9},
            )
            theta = best.x
        assert found.taken[agent].tolist() == taken
        assert found.ability[agent, 1] == pytest.approx(theta, abs=1e-4)


@given(seed=st.integers(0, 10_000))
def test_atlas_draws_among_the_five_most_informative(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    training, outcomes = make_training(peers, seed), make_outcomes(seed)
    outcomes[:, :2] = 1
    items = training.three
    found = peers.atlas(training, outcomes, tuple(range(1, 7)), seed)
    for agent, taken in enumerate(found.taken):
        near = np.abs(items.difficulty)
        open_ = outcomes[agent] >= 0
        first = taken[0]
        assert near[first] < 0.5 or near[first] == near[open_].min()
        for count in range(1, 6):
            open_[taken[count - 1]] = False
            if taken[count] < 0:
                assert not open_.any()
                continue
            information = items.information(found.ability[agent, count - 1 : count])[0]
            best = np.sort(information[open_])[::-1][:5]
            assert information[taken[count]] >= best[-1]


def test_atlas_is_not_the_same_for_every_seed(benchmark: Any) -> None:
    peers = benchmark.peers
    training, outcomes = make_training(peers, 3), np.ones((1, 12), int)
    orders = {tuple(peers.atlas(training, outcomes, (8,), seed).taken[0]) for seed in range(5)}
    assert len(orders) > 1


def test_a_plain_mean_is_that_of_the_tasks_taken(benchmark: Any) -> None:
    peers = benchmark.peers
    outcomes = make_outcomes(2, agents=6)
    for peer in (peers.random_mean, peers.filtered_mean):
        found = peer(make_training(peers, 2), outcomes, (1, 4, 9), 7)
        for agent, taken in enumerate(found.taken):
            for column, size in enumerate((1, 4, 9)):
                chosen = [outcomes[agent, i] for i in taken[:size] if i >= 0]
                assert found.rates[agent, column] == pytest.approx(
                    np.mean(chosen) if chosen else 0.5
                )


def test_only_tasks_of_intermediate_difficulty_pass_the_filter(benchmark: Any) -> None:
    peers = benchmark.peers
    training = make_training(peers, 4)
    rates = training.rates.mean(axis=0)
    found = peers.filtered_mean(training, np.ones((2, 12), int), (12,), 0)
    for taken in found.taken:
        assert set(taken[taken >= 0]) == set(np.flatnonzero((rates >= 0.3) & (rates <= 0.7)))


@given(seed=seeds)
def test_the_regression_is_the_one_of_numpy(benchmark: Any, seed: int) -> None:
    peers = benchmark.peers
    training, outcomes = make_training(peers, seed), make_outcomes(seed)
    plain = peers.filtered_mean(training, outcomes, (2, 4), seed)
    found = peers.filtered_regression(training, outcomes, (2, 4), seed)
    whole = training.rates.mean(axis=1)
    for agent in range(4):
        for column, size in enumerate((2, 4)):
            taken = [i for i in plain.taken[agent, :size] if i >= 0]
            mean = training.single[:, taken].mean(axis=1) if taken else np.zeros(len(whole))
            if np.ptp(mean) == 0:
                expected = whole.mean()
            else:
                slope, start = np.polyfit(mean, whole, 1)
                expected = start + slope * plain.rates[agent, column]
            assert found.rates[agent, column] == pytest.approx(np.clip(expected, 0, 1))


@pytest.mark.skipif(not installed("adaptivetesting"), reason="adaptivetesting is not installed")
def test_adaptivetesting_does_what_fluid_does(benchmark: Any) -> None:
    peers = benchmark.peers
    training, outcomes = make_training(peers, 8), make_outcomes(8, agents=3)
    outcomes[:, :6] = np.maximum(outcomes[:, :6], 0)
    ours = peers.fluid(training, outcomes, (2, 6), 0)
    theirs = peers.adaptivetesting(training, outcomes, (2, 6), 0)
    assert theirs.taken.tolist() == ours.taken.tolist()
    assert theirs.ability == pytest.approx(ours.ability, abs=1e-3)


@pytest.mark.skipif(not installed("catsim"), reason="catsim is not installed")
def test_catsim_maximises_the_likelihood(benchmark: Any) -> None:
    peers = benchmark.peers
    training = make_training(peers, 11)
    outcomes = np.array([[0, 1] * 6])
    found = peers.catsim(training, outcomes, (12,), 0)

    def loss(theta: float) -> float:
        return -(log_posterior(training.two, outcomes[0], theta) + theta**2 / 2)

    best = minimize_scalar(loss, bounds=(-6, 6), method="bounded", options={"xatol": 1e-9})
    assert found.ability[0, 0] == pytest.approx(best.x, abs=1e-3)


@pytest.mark.skipif(not installed("catsim"), reason="catsim is not installed")
def test_catsim_can_estimate_as_this_program_does(benchmark: Any) -> None:
    engine, peers = benchmark.engine, benchmark.peers
    table, _, outcomes = engine.make_study(30, 2)
    session = benchmark.engine_peers.peer_sessions(table)["catsim"]
    answers, log_weights = np.full(30, -1), Prior().log_weights(table.nodes)
    for _, (item, ability) in zip(range(10), session(outcomes[0]), strict=False):
        answers[item] = outcomes[0, item]
        log_weights += table.log_p[item, answers[item]]
        assert ability == pytest.approx(float(normalise(log_weights) @ table.nodes[:, 0]))
    assert peers.eap(
        benchmark.engine_peers.parameters_of(table), answers[None], -6, 6, 241
    ) == pytest.approx(ability, abs=1e-9)


# --- what is reported -------------------------------------------------------------------------


def long(trials: Any) -> Responses:
    """Responses with ``trials (A, n, T)``; -1 is missing."""
    agents, items, count = trials.shape
    flat = from_matrix(trials.reshape(agents, items * count))
    item, trial = flat.item // count, flat.item % count
    return replace(
        flat,
        items=tuple(f"item{i}" for i in range(items)),
        item=item,
        trial=trial,
        n_categories=np.full(items, 2),
    )


def test_a_trial_is_drawn_fairly(benchmark: Any) -> None:
    trials = np.array([[[1, 1, 0, 0, 0], [1, 0, 0, -1, -1], [-1] * 5, [1] * 5]])
    drawn = np.array([benchmark.adaptive.one_trial(long(trials), [s])[0] for s in range(2000)])
    assert (drawn[:, 2] == -1).all()
    assert (drawn[:, 3] == 1).all()
    assert drawn[:, 0].mean() == pytest.approx(2 / 5, abs=0.05)
    assert drawn[:, 1].mean() == pytest.approx(1 / 3, abs=0.05)


def test_splits_keep_agents_apart(benchmark: Any) -> None:
    responses = replace(
        from_matrix(np.zeros((20, 3))), date=tuple(f"2025-01-{d:02}" for d in range(20, 0, -1))
    )
    random = list(benchmark.adaptive.splits(responses, "random", 3))
    dated = list(benchmark.adaptive.splits(responses, "date", 2))
    for split in random + dated:
        assert sorted([*split.training, *split.test]) == list(range(20))
        assert len(split.training) == 14
    assert len({tuple(split.test) for split in random}) == 3
    for split in dated:
        training, test = (
            [responses.date[a] for a in part] for part in (split.training, split.test)
        )
        assert max(training) < min(test)


def test_random_tasks_have_no_error_once_all_are_taken(benchmark: Any) -> None:
    responses = from_matrix(make_outcomes(3, agents=5, n=40).clip(0))
    split = benchmark.adaptive.Split(np.array([0, 1]), np.array([2, 3, 4]), 0)
    truth = responses.matrix()[2:].mean(axis=1)
    found = benchmark.adaptive.random_mean_errors(responses, split, truth)
    assert found[:, -1] == pytest.approx(np.zeros(3))
    # one task passes with probability p: E |x - p| = 2 p (1 - p)
    assert found[:, 0] == pytest.approx(2 * truth * (1 - truth), abs=0.15)
    assert (np.diff(found.mean(axis=0)[::5]) < 0).all()


@settings(max_examples=10, deadline=None)
@given(seed=seeds, trials=st.integers(1, 5))
def test_the_floor_is_the_luck_that_is_left(benchmark: Any, seed: int, trials: int) -> None:
    rng = np.random.default_rng(seed)
    bank = ItemBank(
        "b",
        tuple(
            Item(f"i{i}", "2pl", (float(rng.uniform(0.5, 2)),), (float(rng.normal()),), effect_sd=e)
            for i, e in enumerate([0.0, 0.8, 1.5, 0.4])
        ),
    )
    outcomes = np.array([[0, 1, 1, -1]])
    counts = np.where(outcomes >= 0, float(trials), 0.0)
    weights = Prior().log_weights(bank.table.nodes)
    for item in range(3):
        weights = weights + bank.table.log_p[item, outcomes[0, item]]
    theta = float(normalise(weights) @ bank.table.nodes[:, 0])
    variances = []
    for item in bank.items[:3]:
        e = np.linspace(-8, 8, 4001) * max(item.effect_sd, 1e-9)
        mass = norm.pdf(e, scale=max(item.effect_sd, 1e-9))
        mass /= mass.sum()
        p = 1 / (1 + np.exp(-(item.slopes[0] * theta + item.intercepts[0] + e)))
        mean = mass @ p
        variances.append(mass @ (p - mean) ** 2 + mass @ (p * (1 - p)) / trials)
    left = sum(sorted(variances)[:2])
    (found,) = benchmark.adaptive.floor(bank, outcomes, counts, (1, 3))
    # E |x| of a normal
    assert found[0] == pytest.approx(np.sqrt(2 / np.pi * left) / 3, rel=1e-4)
    assert found[1] == 0


@given(seed=seeds)
def test_tasks_for_an_error_inverts_the_curve(benchmark: Any, seed: int) -> None:
    curve = np.sort(np.random.default_rng(seed).random((2, 9)))[:, ::-1]
    found = benchmark.errors.tasks_for(curve, curve)
    assert found == pytest.approx(np.tile(np.arange(1.0, 10.0), (2, 1)))
    beyond = benchmark.errors.tasks_for(np.array([[-1.0, 2.0]]), curve[:1])
    assert beyond.tolist() == [[9.0, 1.0]]


@given(seed=seeds)
def test_agents_are_drawn_with_all_their_rows(benchmark: Any, seed: int) -> None:
    agent = np.random.default_rng(seed).integers(0, 5, 30)
    weights = benchmark.errors.resamples(agent, 20)
    assert (weights[0] == 1).all()
    for row in weights:
        by_agent = [set(row[agent == a]) for a in np.unique(agent)]
        assert all(len(values) == 1 for values in by_agent)
        assert sum(values.pop() for values in by_agent) == len(by_agent)


def test_means_leave_out_what_was_not_run(benchmark: Any) -> None:
    values = np.array([[1.0], [np.nan], [4.0]])
    found = benchmark.errors.weighted_means(values, np.array([[1.0, 1.0, 1.0], [2.0, 5.0, 1.0]]))
    assert found.tolist() == [[2.5], [2.0]]


def test_rank_correlations_are_those_of_scipy(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.random(20), rng.random((20, 2)).round(1)
    errors = benchmark.errors.Errors(
        agent=np.arange(20),
        split=np.repeat([0, 1], 10),
        truth=truth,
        predicted={"m": predicted},
        random=np.zeros((20, 1)),
        floor=np.zeros((20, 2)),
    )
    expected = [
        np.mean([spearmanr(truth[r], predicted[r, c]).statistic for r in (np.s_[:10], np.s_[10:])])
        for c in range(2)
    ]
    assert errors.spearman("m") == pytest.approx(expected)


def test_parameters_are_those_of_abilities_with_mean_0_and_sd_1(benchmark: Any) -> None:
    bank = ItemBank("b", (Item("i", "2pl", (1.5,), (0.3,)),), mean=(0.7,), sd=(2.0,))
    found = benchmark.adaptive.parameters_of(bank)
    for z in (-1.0, 0.4):
        expected = 1 / (1 + np.exp(-(1.5 * (0.7 + 2 * z) + 0.3)))
        assert found.p(np.array([z]))[0, 0] == pytest.approx(expected)


def test_peak_memory_is_that_of_the_work(benchmark: Any) -> None:
    found = benchmark.engine.peak_megabytes(lambda: np.ones(1_000_000).sum())
    assert 8 <= found < 9


def test_doctests(benchmark: Any) -> None:
    for module in vars(benchmark).values():
        assert doctest.testmod(module).failed == 0


# --- that all runs ----------------------------------------------------------------------------


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARKS / program, *arguments],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated outcomes in the layout of the real ones, one of them with repeated trials."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, trials in (("terminal_bench_2", 2), ("terminal_bench_2_majority", 1)):
        (folder / name).mkdir()
        lines = ["agent,date,item,trial,category"]
        ability, difficulty = rng.standard_normal(24), rng.standard_normal(16)
        for a, theta in enumerate(ability):
            for i, b in enumerate(difficulty):
                for trial in range(trials):
                    passed = int(rng.random() < 1 / (1 + np.exp(1.5 * (b - theta))))
                    lines.append(f"a{a},2025-02-{a + 1:02},i{i},{trial},{passed}")
        with gzip.open(folder / name / "responses.csv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    assert read_responses(folder / "terminal_bench_2" / "responses.csv.gz").attempts.max() == 2
    return folder


def test_the_quality_is_measured(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = run("adaptive.py", "--data", str(data), "--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    figures = json.loads(file.read_text(), parse_constant=refuse)
    assert [study["study"] for study in figures["studies"]] == [
        "terminal_bench_2/random",
        "terminal_bench_2_majority/date",
    ]
    assert all("--data" in reason for reason in figures["skipped_studies"].values())
    for study in figures["studies"]:
        assert study["sizes"] == [5, 10]
        ours = {"this program", "this program, dated prior"}
        assert set(study["methods"]) == ours | set(filter(installed, ALL))
        for method in study["methods"].values():
            for estimate in method["error"]:
                assert estimate["low"] <= estimate["value"] <= estimate["high"]
        mine = study["methods"]["this program"]
        assert all(gap["value"] == 0 for gap in mine["worse_by_than"]["this program"])
        gaps = study["methods"]["ATLAS"]["worse_by_than"]["this program"]
        for gap, one, other in zip(
            gaps, study["methods"]["ATLAS"]["error"], mine["error"], strict=True
        ):
            assert gap["value"] == pytest.approx(one["value"] - other["value"])
        assert mine["sessions"] == 7
        assert 0 < study["floor"][1] < study["floor"][0]
    assert "split 1 of 1" in done.stderr
    assert "left out" in done.stdout


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    done = run("adaptive.py", "--data", str(tmp_path / "nowhere"), "--quick")
    assert done.returncode == 0
    assert done.stdout.count("--data") == 4
    assert "Traceback" not in done.stderr


def test_the_speed_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    sizes = ("--items", "40", "--agents", "8", "--length", "5", "--large", "300")
    done = run("engine.py", *sizes, "--peer-seconds", "0.1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert set(figures["ours"]) == {"max-information", "min-variance", "random"}
    assert figures["large"]["steps"]["max-information"]["megabytes"] == pytest.approx(300 * 9 / 1e6)
    for found in figures["peers"].values():
        assert found["examinees"] >= 2
        assert found["study_ratio"] > 0


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("adaptive.py", ["--seeds", "0"]),
        ("adaptive.py", ["--methods", "nope"]),
        ("adaptive.py", ["--studies", "nope"]),
        ("adaptive.py", ["--json", "/nowhere/at/all"]),
        ("engine.py", ["--length", "50", "--items", "40"]),
        ("engine.py", ["--agents", "0"]),
        ("engine.py", ["--json", "/nowhere/at/all"]),
    ],
)
def test_wrong_arguments_are_named(program: str, arguments: list[str]) -> None:
    done = run(program, *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr
