"""One program calibrates one set in a process of its own; ``calibration.py`` starts it.

    python benchmarks/_peers.py PROGRAM JOB.npz RESULT.json

A process holds one program only, so that its peak memory is that program's, and ends itself when
a calibration takes longer than the limit. What it reports is on one metric for all: slopes and
intercepts of :mod:`harness.irt` for abilities that are N(0, 1).
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Model = Literal["1pl", "2pl", "grm", "gpcm"]
Priors = Literal["none", "given", "estimated"]
"""No priors; ``LOG_SLOPE`` and ``INTERCEPT``; or priors whose location and spread are estimated."""

LOG_SLOPE = (0.0, 0.5)
"""Mean and sd of the given normal prior of ``log a``."""
INTERCEPT = (0.0, 3.0)
"""Mean and sd of the given normal prior of ``d``."""


@dataclass(frozen=True, eq=False)
class Job:
    """Outcomes, and what to fit to them."""

    category: NDArray[np.int8]
    """``(A, n)``; -1 is missing. Every item shows all of its categories."""
    model: Model
    loads: NDArray[np.bool_]
    """``(n, D)`` which abilities an item loads on."""
    priors: Priors = "none"
    nodes: int = 61
    """Gauss–Hermite nodes of mirt and theta, half as many for each of two abilities: what theta
    does unasked; mirt's own choice of 21 is too coarse for these sets."""

    @property
    def abilities(self) -> int:
        """D."""
        return int(self.loads.shape[1])

    @property
    def outcomes(self) -> Array:
        """``(A, n)``; NaN is missing."""
        return np.where(self.category < 0, np.nan, self.category.astype(float))


def save_job(job: Job, path: Path) -> None:
    """Write a job for :func:`load_job`."""
    text = [job.model, job.priors]
    np.savez(path, category=job.category, loads=job.loads, text=text, nodes=job.nodes)


def load_job(path: Path) -> Job:
    """Read what :func:`save_job` wrote."""
    with np.load(path) as file:
        model, priors = file["text"].tolist()
        return Job(file["category"], model, file["loads"], priors, int(file["nodes"]))


@dataclass(frozen=True)
class Fit:
    """What a program found, as lists that JSON can hold."""

    slopes: list[list[float]]
    """``(n, D)``."""
    intercepts: list[list[float]]
    """``(n, K-1)``."""
    correlation: list[list[float]]
    """``(D, D)`` of the abilities, which have mean 0 and sd 1."""
    iterations: int | None = None
    converged: bool | None = None
    mode_seconds: float | None = None
    """Processor time until the parameters were known, where their uncertainty is estimated too."""


def fit_of(slopes: Any, intercepts: Any, correlation: Any = ((1.0,),), **known: Any) -> Fit:
    """A fit from arrays; ``(n,)`` slopes or intercepts become one column."""
    columns = [np.asarray(x, float) for x in (slopes, intercepts)]
    a, d = (x.reshape(len(x), -1).tolist() for x in columns)
    return Fit(a, d, np.asarray(correlation, float).tolist(), **known)


Prepared = tuple[Callable[[], Any], Callable[[Any], Fit]]
"""What is timed, and how its result is read. Outcomes are brought into the program's own form
before the clock starts."""


def harness(job: Job) -> Prepared:
    """This program, from the matrix of outcomes to a bank with standard errors."""
    import harness.calibrate  # noqa: F401  not while the clock runs
    from harness.responses import from_matrix

    outcomes = job.outcomes

    def fit() -> Any:
        began = last = time.process_time()

        def progress(*_: object) -> None:
            nonlocal last
            last = time.process_time()

        found = calibrated(from_matrix(outcomes), job, progress)
        return found, last - began

    def read(result: Any) -> Fit:
        found, mode_seconds = result
        return standardised(
            found.bank,
            iterations=found.passes,
            converged=found.converged,
            mode_seconds=mode_seconds,
        )

    return fit, read


def standardised(bank: Any, **known: Any) -> Fit:
    """The items of a bank seen from abilities of mean 0 and sd 1."""
    slopes = np.array([item.slopes for item in bank.items])
    intercepts = np.array([item.intercepts for item in bank.items])
    correlation = bank.correlation or np.eye(len(bank.mean))
    return fit_of(
        slopes * np.array(bank.sd),
        intercepts + (slopes @ np.array(bank.mean))[:, None],
        correlation,
        **known,
    )


def calibrated(responses: Any, job: Job, progress: Callable[..., None]) -> Any:
    """The call of ``calibrate`` for a job."""
    from harness.calibrate import FLAT, Normal, Priors, calibrate

    priors = {
        "none": Priors(log_a=FLAT, d=FLAT, loading=FLAT, gap=0.0),
        "given": Priors(log_a=Normal(*LOG_SLOPE), d=Normal(*INTERCEPT), gap=0.0),
        "estimated": None,
    }[job.priors]
    pattern = {
        item: np.flatnonzero(row).tolist()
        for item, row in zip(responses.items, job.loads, strict=True)
    }
    return calibrate(
        responses,
        job.model,
        name="benchmark",
        priors=priors,
        abilities=pattern if job.abilities > 1 else 1,
        progress=progress,
    )


def girth(job: Job) -> Prepared:
    """girth: marginal maximum likelihood, item by item; its defaults, which are 41 nodes."""
    import girth as program

    data = job.category.T.astype(int)
    if (data < 0).any():
        data = program.tag_missing_data(data, list(range(int(data.max()) + 1)))
    call = {
        "1pl": program.onepl_mml,
        "2pl": program.twopl_mml,
        "grm": program.grm_mml,
        "gpcm": program.pcm_mml,
    }[job.model]

    def read(found: Any) -> Fit:
        slopes = np.broadcast_to(found["Discrimination"], (len(data),))
        difficulties = np.reshape(found["Difficulty"], (len(data), -1))
        return fit_of(slopes, -slopes[:, None] * difficulties)

    return lambda: call(data), read


def mirt(job: Job, accelerate: str = "none") -> Prepared:
    """PyPI's mirt: its defaults but for the nodes, and without standard errors."""
    import mirt as program
    from mirt.estimation.priors import LogNormalPrior, NormalPrior

    outcomes = job.outcomes
    # The density of a at whose mode N(mean, sd²) of log a has its own; its prior on the location
    # is one of b, for which there is no equal among priors of d.
    mean, sd = LOG_SLOPE
    priors = {"discrimination": LogNormalPrior(mean + sd**2, sd), "difficulty": NormalPrior(0, 3)}
    settings: dict[str, Any] = {
        "model": job.model.upper(),
        "n_quadpts": job.nodes,
        "accelerate": accelerate,
        "compute_standard_errors": False,
        "priors": priors if job.priors == "given" else None,
    }
    if job.abilities > 1:
        factors = [
            f"F{k + 1} = {','.join(str(row + 1) for row in np.flatnonzero(column))}"
            for k, column in enumerate(job.loads.T)
        ]
        covariance = "COV = " + "*".join(f"F{k + 1}" for k in range(job.abilities))
        settings |= {"spec": "\n".join([*factors, covariance]), "n_quadpts": job.nodes // 2 + 1}

    def fit() -> Any:
        if job.model == "1pl":
            return _mirt_1pl(program, outcomes, job.nodes)
        return program.fit_mirt(outcomes, **settings)

    def read(found: Any) -> Fit:
        values = found.model.parameters
        known = {"iterations": int(found.n_iterations), "converged": bool(found.converged)}
        if "slopes" in values:
            return fit_of(values["slopes"], values["intercepts"], found.latent_covariance, **known)
        slopes = values["discrimination"]
        location = next(values[k] for k in ("difficulty", "thresholds", "steps") if k in values)
        intercepts = -slopes[:, None] * location.reshape(len(slopes), -1)
        scale = 1.0
        if found.latent_covariance is not None:
            scale = float(np.sqrt(found.latent_covariance[0, 0]))
        return fit_of(scale * slopes, intercepts, **known)

    return fit, read


def _mirt_1pl(program: Any, outcomes: Array, nodes: int) -> Any:
    """Slope 1 and a free variance of ability: a slope for all and N(0, 1), on another scale.

    Its ``model="1PL"`` holds slope and variance at 1, which is a smaller model; equal slopes by
    constraint fit this one, thirty times slower.
    """
    from mirt.estimation.latent_density import GaussianDensity

    free = GaussianDensity(mean=np.zeros(1), cov=np.eye(1), n_dimensions=1, estimate_cov=True)
    estimator = program.EMEstimator(
        n_quadpts=nodes, latent_density=free, compute_standard_errors=False
    )
    items = outcomes.shape[1]
    coded = np.nan_to_num(outcomes, nan=-1).astype(int)
    return estimator.fit(program.OneParameterLogistic(items), coded)


def mirt_squarem(job: Job) -> Prepared:
    """The same with its acceleration."""
    return mirt(job, accelerate="squarem")


def theta(job: Job) -> Prepared:
    """theta-irt: its defaults; the first run compiles."""
    import theta as program

    outcomes = job.outcomes
    given = program.Priors(la_sd=LOG_SLOPE[1], beta_sd=INTERCEPT[1])
    priors = given if job.priors == "given" else None

    def fit() -> Any:
        return program.fit(outcomes, job.model.upper(), n_points=job.nodes, priors=priors)

    def read(found: Any) -> Fit:
        slopes = np.asarray(found.a)
        return fit_of(
            slopes,
            -slopes * np.asarray(found.b),
            iterations=int(found.n_iter),
            converged=bool(found.converged),
        )

    return fit, read


@dataclass(frozen=True)
class Program:
    """A program, and what it takes."""

    name: str
    package: str
    """Its distribution on the package index."""
    prepare: Callable[[Job], Prepared]
    models: tuple[Model, ...]
    priors: bool
    """Priors of slopes and locations can be given."""
    abilities: int
    """Largest number of them with a loading pattern and a free correlation."""
    remark: str
    """What it lacks or does otherwise, as far as it bears on the comparison."""

    def refusal(self, job: Job) -> str:
        """Why it cannot do a job; empty when it can."""
        if job.model not in self.models:
            return f"does not fit {job.model}"
        if job.abilities > self.abilities:
            return "does not fit several abilities with a pattern of loadings"
        if job.priors != "none" and not self.priors:
            return "takes no priors: see the set with _ml in its name"
        return ""


ALL_MODELS: tuple[Model, ...] = ("1pl", "2pl", "grm", "gpcm")
PROGRAMS = (
    Program(
        *("harness", "cat-harness", harness, ALL_MODELS, True, 3),
        "its time includes standard errors and the bank; that of the others neither",
    ),
    Program(
        *("girth", "girth", girth, ALL_MODELS, False, 1),
        "no priors in marginal maximum likelihood, slopes held in 0.2 to 5 (gpcm 0.25 to 4), at "
        "most 25 rounds and no word on convergence, no standard errors but by bootstrap; several "
        "abilities only exploratory, and that fails with SciPy of today (no stats.mvn.mvnun)",
    ),
    Program(
        *("mirt", "mirt", mirt, ALL_MODELS, True, 2),
        "slopes held in 0.1 to 5; its prior is on b, not d, so with priors it climbs a "
        "neighbouring hill; with priors or acceleration it leaves the Rust code for its 2PL",
    ),
    Program(
        *("mirt-squarem", "mirt", mirt_squarem, ("2pl", "grm", "gpcm"), True, 1),
        "mirt with accelerate='squarem', which needs a latent distribution that is held",
    ),
    Program(
        *("theta", "theta-irt", theta, ("1pl", "2pl"), True, 1),
        "binary items and one ability only; standard errors by a call of their own; the first run "
        "of a shape of data compiles",
    ),
)


@dataclass(frozen=True)
class Result:
    """The runs of a program on a set."""

    seconds: list[float]
    """Processor time of each run: on one thread, the wall time of an idle machine."""
    wall_seconds: list[float]
    memory_before: float
    """Resident megabytes once program and outcomes were loaded."""
    memory_peak: float
    """The most that were resident at any time, in megabytes."""
    fit: Fit | None
    """Of the fastest run."""
    error: str = ""


def measure(
    program: Program,
    job: Job,
    runs: int,
    limit: float,
    enough: float,
    write: Callable[[Result], None],
) -> None:
    """Run a program up to ``runs`` times, and write what is known after each.

    The process ends itself by SIGPROF when the first run takes more than ``limit`` seconds; the
    others are not guarded, as a timer makes the clock of a process as coarse as the kernel's tick.
    No further run begins once ``enough`` seconds have been spent.
    """
    fit, read = program.prepare(job)
    before = resident("VmRSS")
    seconds: list[float] = []
    wall: list[float] = []
    best = None
    while len(seconds) < runs and sum(seconds) < enough:
        if not seconds:
            # no handler: compiled code would not return to Python to run one
            signal.setitimer(signal.ITIMER_PROF, limit)
        wall_began, began = time.perf_counter(), time.process_time()
        try:
            found = fit()
        except Exception as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            write(Result(seconds, wall, before, resident("VmHWM"), None, text))
            return
        seconds.append(time.process_time() - began)
        wall.append(time.perf_counter() - wall_began)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if seconds[-1] == min(seconds):
            best = read(found)
        del found
        write(Result(seconds, wall, before, resident("VmHWM"), best))


def resident(field: Literal["VmRSS", "VmHWM"]) -> float:
    """Megabytes resident now, or at most so far.

    The kernel's ``ru_maxrss`` is no less than what the parent held when it started this process,
    so it is only asked where there is no ``/proc``.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


def read_result(path: Path) -> Result:
    """Read what a process wrote."""
    known: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    fit = Fit(**known["fit"]) if known["fit"] else None
    return Result(**{**known, "fit": fit})


def main(name: str, job_file: str, result_file: str, runs: str, limit: str, enough: str) -> None:
    """Measure one program on one job."""
    program = next(p for p in PROGRAMS if p.name == name)
    path = Path(result_file)

    def write(result: Result) -> None:
        # whole or not at all: the process may be ended at any time
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(result)), encoding="utf-8")
        os.replace(part, path)

    measure(program, load_job(Path(job_file)), int(runs), float(limit), float(enough), write)


if __name__ == "__main__":
    main(*sys.argv[1:])
