"""Speed of calibration against girth, PyPI's mirt and theta-irt, and its growth with the data.

    python benchmarks/calibration.py [--sets SET ...] [--programs PROGRAM ...] [--runs 3]
                                     [--limit 200] [--nodes 61] [--quick] [--json FILE]

Every program runs in a process of its own, on one processor and one thread; seconds are of
processor time, which other work on the machine moves less than the wall clock. The log-likelihood
of everybody's parameters is computed here, by the same code on the same fine grid, so that a time
can be judged together with what it bought; with given priors the log-posterior is what counts.

Most sets are files of the reference results, looked for in the folder that CAT_HARNESS_REFS names,
or else in ``../shared/refs`` beside the repository. Items that do not show all categories are left
out, as not every program takes them. Programs that are not installed are listed as absent; they
come with the extra ``bench``.
"""

import argparse
import csv
import gzip
import importlib.metadata
import json
import math
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import _peers as peers
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import logsumexp

from harness import irt
from harness.irt import Array, Family

SEED = 1
THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
ENOUGH_SECONDS = 60.0
"""No further run begins once the runs of a program on a set have taken this long."""
EQUAL = 0.01
"""Log-likelihoods this close count as equal: what two correct programs differ by."""


@dataclass(frozen=True)
class Set:
    """Outcomes by name, and what is fitted to them."""

    name: str
    model: peers.Model
    priors: peers.Priors = "none"
    data: str = ""
    """Name of the reference data; that of the set when empty."""
    agents: int = 0
    """Of simulated outcomes, as the next."""
    items: int = 0

    @property
    def simulated(self) -> bool:
        """The set is no file."""
        return self.agents > 0


SETS = (
    Set("a_2pl", "2pl"),
    Set("b_2pl", "2pl", "given"),
    Set("f_2pl_miss", "2pl", "given"),
    Set("b_2pl_ml", "2pl", data="b_2pl"),
    Set("f_2pl_miss_ml", "2pl", data="f_2pl_miss"),
    Set("b1_1pl", "1pl"),
    Set("c_grm", "grm"),
    Set("d_gpcm", "gpcm"),
    Set("g_mirt2", "2pl"),
    Set("sim_5000x1000", "2pl", agents=5000, items=1000),
)
GROWTH = tuple(
    Set(f"growth_{a}x{n}", "2pl", "estimated", agents=a, items=n)
    for a, n in ((100, 500), (5000, 1000), (20000, 2000))
)
ABOUT_PRIORS: dict[peers.Priors, str] = {
    "none": "no priors",
    "given": "priors log a ~ N({}, {}), d ~ N({}, {})".format(*peers.LOG_SLOPE, *peers.INTERCEPT),
    "estimated": "priors estimated with the items",
}


@dataclass(frozen=True)
class Options:
    """How runs are done."""

    runs: int
    limit: float
    nodes: int
    quick: bool


def references() -> Path:
    """The folder of reference results, which need not exist."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "refs"
    return Path(os.environ.get("CAT_HARNESS_REFS") or beside)


def job_of(chosen: Set, options: Options) -> peers.Job | str:
    """The outcomes of a set, or why there are none; a quick run takes a fraction of them."""
    loads = None
    if chosen.simulated:
        agents, items = chosen.agents, chosen.items
        if options.quick:
            agents, items = max(agents // 25, 100), max(items // 25, 40)
        category = simulate(agents, items)
    else:
        name = chosen.data or chosen.name
        file = references() / "simulated" / f"{name}_responses.csv.gz"
        if not file.is_file():
            return f"{file} is no file; CAT_HARNESS_REFS may name the folder of reference results"
        category = read_categories(file)
        if name == "g_mirt2":
            loads = read_loads(file.with_name(f"{name}_true_items.csv.gz"))
    if loads is None:
        loads = np.ones((category.shape[1], 1), bool)
    if options.quick and not chosen.simulated:
        category, loads = category[:300, ::4], loads[::4]
    complete = shows_all(category)
    category, loads = category[:, complete], loads[complete]
    return peers.Job(category, chosen.model, loads, chosen.priors, options.nodes)


def simulate(agents: int, items: int) -> np.typing.NDArray[np.int8]:
    """2PL outcomes ``(A, n)``: ``a ~ LogNormal(.2, .4)``, ``b ~ N(.3, 1.3)``, ability N(0, 1)."""
    rng = np.random.default_rng(SEED)
    slopes, difficulties = rng.lognormal(0.2, 0.4, items), rng.normal(0.3, 1.3, items)
    ability = rng.standard_normal(agents)
    found = np.empty((agents, items), np.int8)
    for row in range(agents):
        logit = slopes * (ability[row] - difficulties)
        found[row] = rng.random(items) < 1 / (1 + np.exp(-logit))
    return found


def read_categories(file: Path) -> np.typing.NDArray[np.int8]:
    """``(A, n)`` from a CSV with a line of names and an empty cell where missing."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))[1:]
    return np.array([[int(cell) if cell else -1 for cell in row] for row in rows], np.int8)


def read_loads(file: Path) -> np.typing.NDArray[np.bool_]:
    """``(n, D)`` which slopes of the true items are not 0."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    columns = [name for name in rows[0] if name.startswith("a")]
    return np.array([[float(row[name]) != 0 for name in columns] for row in rows])


def shows_all(category: np.typing.NDArray[np.int8]) -> np.typing.NDArray[np.bool_]:
    """``(n,)`` items that show all categories: not every program takes others."""
    k = int(category.max()) + 1
    seen = np.stack([(category == c).any(axis=0) for c in range(k)])
    return np.asarray(seen.all(axis=0))


_FAMILY: dict[peers.Model, Family] = {
    "1pl": "binary",
    "2pl": "binary",
    "grm": "graded",
    "gpcm": "partial_credit",
}
_CHUNK = 500


def log_likelihood(job: peers.Job, fit: peers.Fit) -> float:
    """Marginal log-likelihood for abilities N(0, R), R the correlation of the fit.

    Rectangles of 0.02 from -10 to 10 with one ability, of 0.1 from -6 to 6 in each of two:
    at least three to the sd of the narrowest posterior of the sets, so exact to many digits.
    """
    slopes, intercepts = np.array(fit.slopes), np.array(fit.intercepts)
    correlation = np.array(fit.correlation)
    d = len(correlation)
    axis = np.linspace(-10, 10, 1001) if d == 1 else np.linspace(-6, 6, 121)
    nodes = np.stack([x.ravel() for x in np.meshgrid(*[axis] * d, indexing="ij")], axis=1)
    quadratic = ((nodes @ np.linalg.inv(correlation)) * nodes).sum(axis=1)
    constant = d * math.log(2 * math.pi) + np.linalg.slogdet(correlation)[1]
    log_weights = d * np.log(axis[1] - axis[0]) - 0.5 * (quadratic + constant)
    n = len(slopes)
    log_p, _ = irt.response(_FAMILY[job.model], slopes, intercepts, np.zeros(n), np.ones(n), nodes)
    by_cell = log_p.reshape(-1, len(nodes))
    categories = np.arange(log_p.shape[1])
    total = 0.0
    for start in range(0, len(job.category), _CHUNK):
        rows = job.category[start : start + _CHUNK]
        shown = (rows[:, :, None] == categories).astype(float).reshape(len(rows), -1)
        total += float(logsumexp(shown @ by_cell + log_weights, axis=1).sum())
    return total


def log_prior(fit: peers.Fit) -> float:
    """Of slopes and intercepts under the given priors."""
    slopes, intercepts = np.array(fit.slopes), np.array(fit.intercepts)
    return normal(np.log(slopes), *peers.LOG_SLOPE) + normal(intercepts, *peers.INTERCEPT)


def normal(x: Array, mean: float, sd: float) -> float:
    """Sum of normal log densities."""
    return float(
        (-0.5 * ((x - mean) / sd) ** 2).sum() - x.size * math.log(sd * math.sqrt(2 * math.pi))
    )


@dataclass(frozen=True)
class Row:
    """A program on a set: what was measured, or why nothing was."""

    program: str
    problem: str = ""
    result: peers.Result | None = None
    log_likelihood: float = math.nan
    log_posterior: float = math.nan
    """Equal to the log-likelihood where no priors are given."""

    @cached_property
    def seconds(self) -> float:
        """Of the fastest run."""
        return min(self.result.seconds) if self.result else math.nan

    @cached_property
    def mode_seconds(self) -> float:
        """Of the fastest run, until the parameters were known; NaN where not told apart."""
        found = self.result.fit if self.result else None
        return math.nan if found is None or found.mode_seconds is None else found.mode_seconds


def run(program: peers.Program, chosen: Set, job: peers.Job, folder: Path, options: Options) -> Row:
    """Start a process for a program and judge what it found."""
    if problem := missing(program) or program.refusal(job):
        return Row(program.name, problem)
    file, written = folder / "job.npz", folder / "result.json"
    written.unlink(missing_ok=True)
    peers.save_job(job, file)
    numbers = [options.runs, options.limit, ENOUGH_SECONDS]
    with Console(stderr=True).status(f"{program.name} on {chosen.name}"):
        done = subprocess.run(
            [sys.executable, peers.__file__, program.name, file, written, *map(str, numbers)],
            env=os.environ | THREADS,
            capture_output=True,
            text=True,
        )
    if not written.exists():
        if done.returncode == -signal.SIGPROF:
            return Row(program.name, f"> {options.limit:g} s")
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return Row(program.name, f"failed: {last[0]}")
    result = peers.read_result(written)
    if result.fit is None:
        return Row(program.name, f"failed: {result.error}")
    if job.priors == "estimated":
        return Row(program.name, "", result)
    likelihood = log_likelihood(job, result.fit)
    prior = log_prior(result.fit) if job.priors == "given" else 0.0
    return Row(program.name, "", result, likelihood, likelihood + prior)


def missing(program: peers.Program) -> str:
    """Why a program cannot be started; empty when it can."""
    try:
        importlib.metadata.version(program.package)
    except importlib.metadata.PackageNotFoundError:
        return f"absent; pip install {program.package}, or the extra: pip install -e '.[bench]'"
    return ""


def versions(programs: Sequence[peers.Program]) -> str:
    """Versions of what is installed, for people."""
    found = {p.package: p for p in programs if not missing(p)}
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)


def pin() -> None:
    """Stay on one processor, and so do the processes that are started from here."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def show(console: Console, chosen: Set, job: peers.Job, rows: Sequence[Row]) -> None:
    """The table of a set."""
    agents, items = job.category.shape
    gaps = f", {(job.category < 0).mean():.0%} missing" if (job.category < 0).any() else ""
    abilities = f", {job.abilities} abilities" if job.abilities > 1 else ""
    table = Table(
        title=f"{chosen.name}: {agents} agents × {items} items{gaps}, {job.model}{abilities}, "
        f"{ABOUT_PRIORS[job.priors]}",
        title_justify="left",
    )
    table.add_column("program")
    for name in ("seconds", "first", "× ours", "iterations", "MB", "log-likelihood"):
        table.add_column(name, justify="right")
    if job.priors == "given":
        table.add_column("log-posterior", justify="right")
    table.add_column("− ours", justify="right")
    ours = next((row for row in rows if row.program == "harness" and row.result), None)
    for row in rows:
        if row.result is None or row.result.fit is None:
            table.add_row(row.program, "–")
            continue
        found = row.result.fit
        ended = " !" if found.converged is False else ""
        cells = [
            row.program,
            seconds_text(row.seconds),
            seconds_text(row.result.seconds[0]),
            f"{row.seconds / ours.seconds:.2g}" if ours else "",
            "" if found.iterations is None else f"{found.iterations}{ended}",
            f"{row.result.memory_peak:.0f} ({row.result.memory_before:.0f})",
            f"{row.log_likelihood:.3f}",
        ]
        if job.priors == "given":
            cells.append(f"{row.log_posterior:.3f}")
        cells.append(f"{row.log_posterior - ours.log_posterior:+.3f}" if ours else "")
        table.add_row(*cells)
        if not math.isnan(row.mode_seconds):
            share = f"{row.mode_seconds / ours.seconds:.2g}" if ours else ""
            cells = ["  without s.e.", seconds_text(row.mode_seconds), "", share]
            table.add_row(*cells, style="dim")
    console.print(table)
    for row in rows:
        if row.problem:
            console.print(f"  {row.program}: {row.problem}", style="dim")
    console.print()


def seconds_text(seconds: float) -> str:
    """Three digits.

    >>> seconds_text(0.01234), seconds_text(123.4)
    ('0.0123', '123')
    """
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def show_growth(console: Console, rows: Sequence[tuple[peers.Job, Row]]) -> None:
    """The table of growth."""
    table = Table(title=f"growth of cost, 2pl, {ABOUT_PRIORS['estimated']}", title_justify="left")
    names = ("agents × items", "seconds", "without standard errors", "iterations", "MB (before)")
    for name in names:
        table.add_column(name, justify="right")
    for job, row in rows:
        agents, items = job.category.shape
        size = f"{agents} × {items}"
        if row.result is None or row.result.fit is None:
            table.add_row(size, row.problem)
            continue
        found = row.result.fit
        table.add_row(
            size,
            seconds_text(row.seconds),
            seconds_text(row.mode_seconds),
            str(found.iterations),
            f"{row.result.memory_peak:.0f} ({row.result.memory_before:.0f})",
        )
    console.print(table)


def verdict(found: Sequence[tuple[Set, peers.Job, Sequence[Row]]]) -> str:
    """Where another program was faster at no worse an objective."""
    compared, faster, much = 0, [], []
    for chosen, _, rows in found:
        ours = next((row for row in rows if row.program == "harness" and row.result), None)
        for row in rows:
            if ours is None or row is ours or row.result is None:
                continue
            compared += 1
            if row.log_posterior < ours.log_posterior - EQUAL:
                continue
            where = f"{row.program} on {chosen.name}"
            if row.seconds < ours.seconds:
                faster.append(f"{where} ({ours.seconds / row.seconds:.2g}×)")
            if row.seconds < ours.mode_seconds:
                much.append(f"{where} ({ours.mode_seconds / row.seconds:.2g}×)")
    if not compared:
        return "nothing to compare"
    return (
        f"of {compared} comparisons, faster than harness at an equal or better objective: "
        f"{', '.join(faster) or 'none'}; than harness without standard errors: "
        f"{', '.join(much) or 'none'}"
    )


def figures_of(chosen: Set, job: peers.Job, rows: Sequence[Row]) -> dict[str, Any]:
    """What JSON gets of a set: all but the parameters."""
    agents, items = job.category.shape
    told = []
    for row in rows:
        entry: dict[str, Any] = {"program": row.program}
        if row.problem:
            entry["problem"] = row.problem
        if row.result is not None and row.result.fit is not None:
            fit = asdict(replace(row.result.fit, slopes=[], intercepts=[]))
            entry |= {k: v for k, v in asdict(row.result).items() if k not in ("fit", "error")}
            entry |= {k: v for k, v in fit.items() if k not in ("slopes", "intercepts")}
            entry |= {
                "log_likelihood": number(row.log_likelihood),
                "log_posterior": number(row.log_posterior),
            }
        told.append(entry)
    return {
        "set": chosen.name,
        "agents": agents,
        "items": items,
        "missing": float((job.category < 0).mean()),
        "model": job.model,
        "abilities": job.abilities,
        "priors": job.priors,
        "programs": told,
    }


def number(x: float) -> float | None:
    """JSON has no NaN."""
    return x if math.isfinite(x) else None


def arguments() -> argparse.Namespace:
    """What the command line says."""
    sets = [chosen.name for chosen in SETS] + ["growth"]
    names = [program.name for program in peers.PROGRAMS]
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="The sets whose names end in _ml have no maximum without priors: the slopes of "
        "some items grow without bound. They are there for programs that take no priors.",
    )
    parser.add_argument(
        "--sets", nargs="+", choices=sets, default=sets, metavar="SET", help=", ".join(sets)
    )
    parser.add_argument(
        "--programs",
        nargs="+",
        choices=names,
        default=names,
        metavar="PROGRAM",
        help=", ".join(names),
    )
    parser.add_argument("--runs", type=int, default=3, help="of each program; the fastest counts")
    parser.add_argument(
        "--limit", type=float, default=200.0, help="seconds of processor time for one run"
    )
    parser.add_argument(
        "--nodes", type=int, default=61, help="Gauss–Hermite nodes of mirt and theta"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one run on a fraction of each set: does it all work?"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.runs < 1 or options.limit <= 0 or options.nodes < 10:
        parser.error("--runs must be at least 1, --limit above 0 and --nodes at least 10")
    if options.json and (options.json.is_dir() or not options.json.absolute().parent.is_dir()):
        parser.error(f"--json: {options.json} cannot be written; its folder must exist")
    return options


def main() -> None:
    """Measure and print."""
    given = arguments()
    runs = 1 if given.quick else given.runs
    options = Options(runs, given.limit, given.nodes, given.quick)
    programs = [p for p in peers.PROGRAMS if p.name in given.programs]
    console = Console(width=120, highlight=False)
    pin()
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}",
        "versions": versions(programs),
        "load": os.getloadavg()[0],
        "seed": SEED,
        "runs": runs,
        "limit_seconds": options.limit,
        "nodes": options.nodes,
        "quick": options.quick,
        "sets": [],
        "growth": [],
        "skipped": {},
    }
    console.print(
        f"{figures['machine']}; {figures['versions']}; one thread; load {figures['load']:.1f}\n"
        f"seconds: processor time, the fastest of up to {runs} runs; MB: peak (before the first "
        "run); !: by its own account not converged\n"
    )

    def keep() -> None:
        # after every set, as the whole takes long and may be stopped
        if given.json:
            given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    keep()
    found: list[tuple[Set, peers.Job, Sequence[Row]]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for chosen in SETS:
            if chosen.name not in given.sets:
                continue
            job = job_of(chosen, options)
            if isinstance(job, str):
                figures["skipped"][chosen.name] = job
                console.print(f"{chosen.name}: skipped, {job}\n")
            else:
                rows = [run(program, chosen, job, folder, options) for program in programs]
                found.append((chosen, job, rows))
                figures["sets"].append(figures_of(chosen, job, rows))
                show(console, chosen, job, rows)
            keep()
        if "growth" in given.sets:
            ours = peers.PROGRAMS[0]
            growth = []
            for chosen in GROWTH:
                job = job_of(chosen, options)
                assert not isinstance(job, str)
                growth.append((job, run(ours, chosen, job, folder, options)))
                figures["growth"].append(figures_of(chosen, job, [growth[-1][1]]))
                keep()
            show_growth(console, growth)
    console.print(verdict(found))
    for program in programs:
        console.print(f"{program.name}: {program.remark}", style="dim")


if __name__ == "__main__":
    main()
