"""The benchmark of calibration: what it computes, and that it runs."""

import doctest
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, logsumexp, softmax

from harness.bank import Item, ItemBank

REPOSITORY = Path(__file__).resolve().parent.parent
BENCHMARKS = REPOSITORY / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    """The module, which finds its neighbour as it does when run as a program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import calibration

        yield calibration
        for name in ("calibration", "_peers"):
            sys.modules.pop(name)


def category_probabilities(model: str, z: float, intercepts: np.ndarray) -> np.ndarray:
    """``(K,)`` from the formulas of the models, one item and one ability at a time."""
    if model == "gpcm":
        return softmax(np.concatenate([[0.0], np.cumsum(z + intercepts)]))
    reach = np.concatenate([[1.0], expit(z + intercepts), [0.0]])
    return reach[:-1] - reach[1:]


def oracle(model: str, category: np.ndarray, fit: Any) -> float:
    """Marginal log-likelihood by Gauss–Hermite quadrature, node by node."""
    slopes, intercepts = np.array(fit.slopes), np.array(fit.intercepts)
    root = np.linalg.cholesky(np.array(fit.correlation))
    points, weights = hermegauss(30)
    d = len(root)
    grid = np.stack([x.ravel() for x in np.meshgrid(*[points] * d)], axis=1)
    mass = np.prod([x.ravel() for x in np.meshgrid(*[weights] * d)], axis=0)
    joint = np.tile(np.log(mass) - 0.5 * d * np.log(2 * np.pi), (len(category), 1))
    for node, ability in enumerate(grid @ root.T):
        for item, (a, steps) in enumerate(zip(slopes, intercepts, strict=True)):
            p = category_probabilities(model, float(a @ ability), steps)
            seen = category[:, item] >= 0
            joint[seen, node] += np.log(p[category[seen, item]])
    return float(logsumexp(joint, axis=1).sum())


# the other quadrature is slow, being written for being read
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    model=st.sampled_from(["2pl", "grm", "gpcm"]),
    abilities=st.sampled_from([1, 2]),
)
def test_the_log_likelihood_is_that_of_another_quadrature(
    benchmark: ModuleType, seed: int, model: str, abilities: int
) -> None:
    rng = np.random.default_rng(seed)
    n, steps = 3, 1 if model == "2pl" else 2
    category = rng.integers(-1, steps + 1, (4, n)).astype(np.int8)
    r = rng.uniform(-0.6, 0.6)
    fit = benchmark.peers.fit_of(
        rng.uniform(0.3, 1.2, (n, abilities)),
        -np.sort(-rng.normal(0, 1, (n, steps)) - np.arange(steps)[::-1]),
        [[1.0]] if abilities == 1 else [[1.0, r], [r, 1.0]],
    )
    job = benchmark.peers.Job(category, model, np.ones((n, abilities), bool))
    assert benchmark.log_likelihood(job, fit) == pytest.approx(
        oracle(model, category, fit), abs=1e-6
    )


@given(
    ability=st.floats(-3, 3),
    mean=st.floats(-2, 2),
    sd=st.floats(0.2, 4),
    slope=st.floats(0.1, 4),
    intercept=st.floats(-4, 4),
)
def test_a_standardised_bank_says_the_same(
    benchmark: ModuleType, ability: float, mean: float, sd: float, slope: float, intercept: float
) -> None:
    bank = ItemBank("b", (Item("i", "2pl", (slope,), (intercept,)),), mean=(mean,), sd=(sd,))
    fit = benchmark.peers.standardised(bank)
    assert fit.slopes[0][0] * ability + fit.intercepts[0][0] == pytest.approx(
        slope * (mean + sd * ability) + intercept
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_a_job_comes_back_from_its_file(
    benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    peers = benchmark.peers
    rng = np.random.default_rng(seed)
    category = rng.integers(-1, 3, (4, 3)).astype(np.int8)
    job = peers.Job(category, "grm", rng.random((3, 2)) < 0.5, "given", 31)
    file = tmp_path_factory.mktemp("job") / "job.npz"
    peers.save_job(job, file)
    again = peers.load_job(file)
    assert (again.category == category).all()
    assert (again.loads == job.loads).all()
    assert (again.model, again.priors, again.nodes) == ("grm", "given", 31)
    assert (np.isnan(again.outcomes) == (category < 0)).all()


def test_only_items_that_show_all_categories_are_kept(benchmark: ModuleType) -> None:
    category = np.array([[0, 1, -1, 2], [1, 1, 0, 0], [2, 0, 2, 1]], np.int8)
    assert benchmark.shows_all(category).tolist() == [True, False, False, True]


def test_another_program_counts_as_faster_only_at_no_worse_an_objective(
    benchmark: ModuleType,
) -> None:
    peers = benchmark.peers

    def row(name: str, seconds: float, objective: float) -> Any:
        result = peers.Result([seconds], [seconds], 1.0, 1.0, peers.fit_of([1.0], [0.0]))
        return benchmark.Row(name, "", result, objective, objective)

    rows = [row("harness", 2.0, -10.0), row("girth", 1.0, -10.5), row("theta", 1.0, -10.0)]
    (chosen, *_) = benchmark.SETS
    job = peers.Job(np.zeros((1, 1), np.int8), "2pl", np.ones((1, 1), bool))
    told = benchmark.verdict([(chosen, job, rows)])
    assert "theta on a_2pl (2×)" in told
    assert "girth" not in told


def test_doctests(benchmark: ModuleType) -> None:
    assert doctest.testmod(benchmark).failed == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_peak_memory_is_not_that_of_the_parent() -> None:
    held = np.ones(40_000_000)
    code = "import _peers; print(_peers.resident('VmHWM'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < held.nbytes / 1e6


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARKS / "calibration.py", "--quick", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    sets = ("--sets", "sim_5000x1000", "growth")
    done = run(*sets, "--programs", "harness", "mirt", "--json", str(file))
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    ours, theirs = figures["sets"][0]["programs"]
    assert ours["converged"]
    assert ours["memory_peak"] >= ours["memory_before"] > 0
    assert max(ours["seconds"]) > 0
    assert len(figures["growth"]) == 3
    # absent where the extra is not installed
    if "problem" not in theirs:
        assert theirs["log_likelihood"] == pytest.approx(ours["log_likelihood"], abs=0.05)
    else:
        assert "pip install" in theirs["problem"]


def test_a_run_ends_at_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    sets = ("--sets", "sim_5000x1000", "--programs", "harness")
    done = run(*sets, "--limit", "0.001", "--json", str(file))
    assert done.returncode == 0, done.stderr
    (ours,) = json.loads(file.read_text())["sets"][0]["programs"]
    assert ours["problem"] == "> 0.001 s"


def test_sets_without_their_files_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    missing = str(tmp_path / "nowhere")
    done = run("--sets", "a_2pl", "g_mirt2", "--json", str(file), CAT_HARNESS_REFS=missing)
    assert done.returncode == 0, done.stderr
    skipped = json.loads(file.read_text())["skipped"]
    assert list(skipped) == ["a_2pl", "g_mirt2"]
    assert all("CAT_HARNESS_REFS" in reason for reason in skipped.values())


@pytest.mark.parametrize(
    "arguments",
    [["--sets", "nope"], ["--programs", "nope"], ["--runs", "0"], ["--json", "/nowhere/at/all"]],
)
def test_wrong_arguments_are_named(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reference_sets_are_read(benchmark: ModuleType, shared_refs: Path) -> None:
    options = benchmark.Options(runs=1, limit=1.0, nodes=61, quick=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAT_HARNESS_REFS", str(shared_refs))
        jobs = {s.name: benchmark.job_of(s, options) for s in benchmark.SETS if not s.simulated}
    assert not [job for job in jobs.values() if isinstance(job, str)]
    # two load patterns of one ability each, and ten items on both
    assert jobs["g_mirt2"].loads.sum(axis=0).tolist() == [25, 25]
    assert (jobs["f_2pl_miss"].category < 0).mean() == pytest.approx(0.3, abs=0.02)
    assert jobs["c_grm"].category.max() == 3


def test_a_program_that_is_not_installed_is_absent(benchmark: ModuleType) -> None:
    peers = benchmark.peers
    nobody = peers.Program("nobody", "no-such-distribution", None, ("2pl",), True, 1, "")
    assert "pip install no-such-distribution" in benchmark.missing(nobody)


@pytest.mark.parametrize(
    ("model", "abilities", "priors", "reason"),
    [
        ("grm", 1, "none", "does not fit grm"),
        ("2pl", 2, "none", "several abilities"),
        ("2pl", 1, "given", "takes no priors"),
        ("2pl", 1, "none", ""),
    ],
)
def test_a_program_refuses_what_it_cannot_do(
    benchmark: ModuleType, model: str, abilities: int, priors: str, reason: str
) -> None:
    peers = benchmark.peers
    program = peers.Program("p", "p", None, ("2pl",), False, 1, "")
    job = peers.Job(np.zeros((1, 1), np.int8), model, np.ones((1, abilities), bool), priors)
    refusal = program.refusal(job)
    assert refusal == reason if not reason else reason in refusal


def test_the_fit_of_the_fastest_run_is_kept(benchmark: ModuleType) -> None:
    peers = benchmark.peers
    written: list[Any] = []
    sizes = iter([400_000, 100_000, 200_000])

    def work() -> int:
        size = next(sizes)
        sorted(range(size), key=lambda x: -x)
        return size

    program = peers.Program("p", "p", lambda job: (work, lambda found: found), (), True, 1, "")
    peers.measure(program, None, 3, 1000.0, 1000.0, written.append)
    (*_, last) = written
    assert len(written) == len(last.seconds) == 3
    assert last.fit == [400_000, 100_000, 200_000][int(np.argmin(last.seconds))]


def test_an_error_of_a_program_is_told(benchmark: ModuleType) -> None:
    peers = benchmark.peers

    def fail() -> None:
        raise ValueError("no\nmore")

    written: list[Any] = []
    program = peers.Program("p", "p", lambda job: (fail, None), (), True, 1, "")
    peers.measure(program, None, 3, 1000.0, 1000.0, written.append)
    assert [result.error for result in written] == ["ValueError: no"]
