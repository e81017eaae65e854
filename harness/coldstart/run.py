"""Run a protocol: every method on every fold, then all of them measured side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.coldstart.benchmark import Benchmark
from harness.coldstart.fits import Oracle, fit_oracle
from harness.coldstart.forecast import Forecast
from harness.coldstart.measures import DRAWS, measure, told_cells
from harness.coldstart.result import Protocol, Result, Unit
from harness.coldstart.splits import (
    Fold,
    agent_folds,
    cell_folds,
    date_fold,
    pair_folds,
    task_folds,
)
from harness.coldstart.tell_agents import tell_agents
from harness.coldstart.tell_cells import tell_cells
from harness.coldstart.tell_tasks import tell_tasks
from harness.errors import PlanError
from harness.study.parallel import Ticks, mapped

Tell = Callable[[Benchmark, Fold, Oracle], dict[str, Forecast]]


@dataclass(frozen=True, eq=False)
class _Job:
    tell: Tell
    benchmark: Benchmark
    fold: Fold
    oracle: Oracle


@dataclass(frozen=True)
class _Rules:
    """What makes up a protocol."""

    folds: Callable[[Benchmark], tuple[Fold, ...]]
    tell: Tell
    unit: Unit
    main: tuple[str, ...]
    """Methods that others are held against: the first that there is."""


_RULES: Mapping[Protocol, _Rules] = {
    "tasks": _Rules(task_folds, tell_tasks, "items", ("explained 1PL", "ability only")),
    "responses": _Rules(cell_folds, tell_cells, "items", ("explained 2PL", "2PL")),
    "agents": _Rules(agent_folds, tell_agents, "agents", ("parts", "population")),
    "agents-by-date": _Rules(date_fold, tell_agents, "agents", ("parts", "population")),
    "pairs": _Rules(pair_folds, tell_agents, "agents", ("parts", "population")),
}


def run_protocol(
    protocol: Protocol,
    benchmark: Benchmark,
    *,
    jobs: int = 1,
    progress: Ticks | None = None,
    draws: int = DRAWS,
) -> Result:
    """Tell all cells of a benchmark fold by fold, with every method.

    Args:
        jobs: processes; the result does not depend on their number.
        draws: bootstrap samples.

    Raises:
        PlanError: the protocol is about several benchmarks.
        ResponsesError, InputError: outcomes that cannot be split or calibrated on.
    """
    if protocol not in _RULES:
        raise PlanError(f"the protocol {protocol} is not about folds of one benchmark")
    rules = _RULES[protocol]
    folds = rules.folds(benchmark)
    oracle = fit_oracle(benchmark)
    work = [_Job(rules.tell, benchmark, fold, oracle) for fold in folds]
    quiet: Ticks = lambda what, done, total: None  # noqa: E731
    found = list(mapped(_tell, work, jobs, "folds", progress or quiet))
    names = list(found[0])
    told = {name: [one[name] for one in found] for name in names if all(name in f for f in found)}
    main = next(name for name in rules.main if name in told)
    cells = told_cells(benchmark.counts, folds, 1 if rules.unit == "items" else 0, draws)
    methods, differences = measure(told, folds, cells, main)
    features = benchmark.features
    blocks = [] if features is None else [column.block for column in features.columns]
    responses = benchmark.responses
    any_told = np.any([fold.told for fold in folds], axis=0)
    return Result(
        protocol=protocol,
        benchmark=benchmark.name,
        source=responses.source,
        sha256=responses.sha256,
        agents=int(any_told.any(axis=1).sum()),
        items=int(any_told.any(axis=0).sum()),
        attempts=int(cells.counts.sum()),
        folds=tuple(fold.name for fold in folds),
        unit=rules.unit,
        blocks=tuple((name, blocks.count(name)) for name in dict.fromkeys(blocks)),
        main=main,
        methods=methods,
        differences=differences,
    )


def _tell(job: _Job) -> dict[str, Forecast]:
    return job.tell(job.benchmark, job.fold, job.oracle)
