"""Sessions on a benchmark that nobody has tried: chosen and scored by predicted parameters.

The parameters of every task are predicted from other tasks only, and an agent is tested with
predictions that agents of the other half have shaped: neither its own outcomes nor those of the
task have had a part in them. Or all tasks are predicted from other benchmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.coldstart.benchmark import Benchmark, Indices
from harness.coldstart.elsewhere import fit_transfer, transferred_items
from harness.coldstart.splits import parts_of, task_folds
from harness.errors import InputError
from harness.events import Plan
from harness.grammar import parse_selector
from harness.predict.predictor import calibrate_explained, predicted_items
from harness.responses.drawn import draw_cells
from harness.study import StudyPlan, StudyResult, measure_study
from harness.study.baselines import plain_means
from harness.study.outcomes import full_scores
from harness.study.parallel import Ticks, mapped
from harness.study.plan_file import Baseline, PlanEntry, SplitEntry
from harness.study.run import Fit, Method, Study, Tested
from harness.study.sessions import Asked, joined, run_sessions
from harness.study.splits import Split

SIZES = (5, 10, 20, 50, 100)
LEVEL = 0.8
PRIOR = (0.0, 1.5)
"""Mean and sd of ability, in sds of the agents that calibrated: wider than they are, as the level
of a benchmark that nobody has tried is not known."""
ADVISED = "randomesque(score-variance, 20)"
"""What to choose by: among the 20 tasks that would say most of the score, one at random. Without
chance all agents would meet the same tasks, and share the errors of their predictions."""
SELECTORS = ("random", "max-information", "min-variance", "score-variance", ADVISED)
REPEATS = 5
MEAN: Baseline = "random + mean"


def run_cold_sessions(
    benchmark: Benchmark,
    selectors: Sequence[str] = SELECTORS,
    *,
    others: Sequence[Benchmark] = (),
    jobs: int = 1,
    progress: Ticks | None = None,
    repeats: int = REPEATS,
) -> StudyResult:
    """Test all agents on predicted tasks with several selectors, and with random tasks scored by
    their mean.

    Args:
        others: benchmarks that tasks are predicted from; other tasks of the same one when empty.

    Raises:
        InputError: there are no features.
        PlanError: a selector that cannot be read.
    """
    features = benchmark.features
    if features is None:
        raise InputError(
            "a cold-start session needs features of the tasks; give them with --features NAME=FILE"
        )
    quiet: Ticks = lambda what, done, total: None  # noqa: E731
    progress = progress or quiet
    agents, n = benchmark.seen.shape
    plan = StudyPlan(
        name=benchmark.name,
        responses=Path(benchmark.responses.source or "responses"),
        model="2pl",
        split=SplitEntry(by="random", share=0.5, seeds=repeats),
        plans=tuple(
            PlanEntry(name=text, select=parse_selector(text), prior=PRIOR) for text in selectors
        ),
        baselines=(MEAN,),
        sizes=tuple(size for size in SIZES if size < n),
        levels=(LEVEL,),
        units=("items",),
    )
    if others:
        halves = [np.arange(agents)]
        banks = [ItemBank("predicted", transferred_items(fit_transfer(others), benchmark))]
    else:
        halves = [np.sort(part) for part in parts_of(agents, 2)]
        banks = predicted_banks(benchmark, halves, jobs, progress)
    worlds = [
        _World(plan, benchmark, bank, half, repeat)
        for bank, half in zip(banks, halves, strict=True)
        for repeat in range(repeats)
    ]
    methods = [Method(entry.title, entry) for entry in plan.plans]
    methods.append(Method(MEAN, None, baseline=True))
    work = [_Job(world, method) for world in worlds for method in methods]
    found = list(mapped(_test, work, jobs, "sessions", progress))
    tested = tuple(_together(found[place :: len(methods)]) for place in range(len(methods)))
    splits = tuple(
        Split(
            f"half {k}" if len(halves) > 1 else "all agents",
            np.setdiff1d(np.arange(agents), half),
            half,
            0,
        )
        for k, half in enumerate(halves, 1)
    )
    study = Study(plan, benchmark.responses, splits, tuple(map(Fit, banks)), tested)
    return measure_study(study, progress)


# --- predicted items --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Predict:
    benchmark: Benchmark
    agents: Indices
    """That calibrate."""
    new: Indices
    """Items to predict."""


def predicted_banks(
    benchmark: Benchmark, halves: Sequence[Indices], jobs: int, progress: Ticks
) -> list[ItemBank]:
    """For each half of the agents a bank whose items are predicted from other items, by the other
    agents' outcomes."""
    agents = np.arange(len(benchmark.seen))
    parts = [np.flatnonzero(~fold.known.any(axis=0)) for fold in task_folds(benchmark)]
    work = [
        _Predict(benchmark, np.setdiff1d(agents, half), new) for half in halves for new in parts
    ]
    found = list(mapped(_predict, work, jobs, "predicting", progress))
    banks = []
    for start in range(0, len(found), len(parts)):
        by_id = {item.id: item for items in found[start : start + len(parts)] for item in items}
        ordered = tuple(by_id[name] for name in benchmark.responses.items)
        banks.append(ItemBank("predicted", ordered))
    return banks


def _predict(job: _Predict) -> tuple[Item, ...]:
    responses, features = job.benchmark.responses, job.benchmark.features
    assert features is not None
    new = {responses.items[i] for i in job.new}
    train = responses.subset(
        agents=[responses.agents[a] for a in job.agents],
        items=[name for name in responses.items if name not in new],
    )
    _, predictor = calibrate_explained(train, features, "2pl", name="known")
    return predicted_items(predictor, features.of(sorted(new)))


# --- sessions ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _World:
    """Some agents, and the bank that tests them, in one repetition."""

    plan: StudyPlan
    benchmark: Benchmark
    bank: ItemBank
    agents: Indices
    repeat: int


@dataclass(frozen=True, eq=False)
class _Job:
    world: _World
    method: Method


def _test(job: _Job) -> Tested:
    world, method = job.world, job.method
    responses, table = world.benchmark.responses, world.bank.table
    columns = np.arange(len(table.ids))
    cells = draw_cells(responses, [world.repeat, 1]).of(world.agents, columns, table)
    asked = Asked(world.plan.sizes, world.plan.levels, None, None)
    if method.entry is None:
        seed = [world.repeat, 2, int(world.agents[0])]
        sessions = plain_means(table, cells, None, seed, 1, asked)
    else:
        plan = Plan(select=method.entry.selector, prior=Prior(PRIOR[:1], PRIOR[1:]))
        seeds = world.repeat * len(responses.agents) + world.agents
        sessions = run_sessions(table, plan, cells, seeds, None, asked)
    truth = full_scores(responses, columns)[world.agents]
    group = np.full(len(world.agents), world.repeat)
    return Tested(method, sessions, world.agents, group, truth, np.empty((len(truth), 0)))


def _together(parts: Sequence[Tested]) -> Tested:
    agent, group, truth, ability = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("agent", "group", "truth", "ability")
    )
    sessions = joined([part.sessions for part in parts])
    return Tested(parts[0].method, sessions, agent, group, truth, ability)
