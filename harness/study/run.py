"""Run a study: calibrate a bank for each split, and test its agents with every plan."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.ability import Prior
from harness.bank import ItemBank
from harness.calibrate import calibrate
from harness.errors import PlanError, ResponsesError
from harness.events import Plan
from harness.irt import Array, Model
from harness.prior import named_prior
from harness.responses import Responses
from harness.responses.drawn import Cells, draw_cells
from harness.select import Random
from harness.study.baselines import middling, plain_means
from harness.study.outcomes import Indices, full_abilities, full_scores
from harness.study.parallel import Ticks, mapped
from harness.study.plan_file import PlanEntry, PriorChoice, StudyPlan
from harness.study.sessions import Asked, Sessions, joined, run_sessions
from harness.study.splits import Split, make_splits

_DRAWS = 20
_CELLS = 4_000_000
"""Draws × sessions × items of a baseline: about ten arrays of 32 MB while it is made, unless a
single draw takes more."""
_FEW_AGENTS, _FEW_ITEMS = 64, 5
"""That a rehearsal runs."""


@dataclass(frozen=True)
class Method:
    """A plan, or what people do without one."""

    name: str
    entry: PlanEntry | None
    """None for random tasks that are scored by their mean."""
    baseline: bool = False
    window: bool = False
    """Only tasks of middling difficulty."""


def methods_of(plan: StudyPlan) -> tuple[Method, ...]:
    """Plans in their order, then baselines."""
    found = [Method(entry.title, entry) for entry in plan.plans]
    for name in plan.baselines:
        match name:
            case "random + IRT":
                entry = PlanEntry(name=name, select=Random())
                found.append(Method(name, entry, baseline=True))
            case "random + mean" | "window":
                found.append(Method(name, None, baseline=True, window=name == "window"))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Fit:
    """A bank, and how its calibration went."""

    bank: ItemBank
    converged: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Tested:
    """All R sessions of one method, over all splits."""

    method: Method
    sessions: Sessions
    agent: Indices
    """``(R,)`` position in the responses."""
    group: Indices
    """``(R,)`` sessions of one group have different agents, and are ranked against each other."""
    truth: Array
    """``(R,)`` score over all items and trials."""
    ability: Array
    """``(R, D)`` given all trials; D is 0 where the method has no ability."""


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that was run."""

    plan: StudyPlan
    responses: Responses
    splits: tuple[Split, ...]
    fits: tuple[Fit, ...]
    """One for each split."""
    tested: tuple[Tested, ...]


# --- all of it --------------------------------------------------------------------------------


def run_study(
    plan: StudyPlan,
    responses: Responses,
    bank: ItemBank | None = None,
    *,
    jobs: int = 1,
    progress: Ticks | None = None,
) -> Study:
    """Run every plan of a study on every agent under test.

    Args:
        bank: the one that the plan names.
        jobs: processes. Splits are calibrated, and splits × plans tested, independently of each
            other; the result does not depend on their number.

    Raises:
        PlanError: a plan that cannot be followed with this bank.
        ResponsesError: outcomes that cannot be split, calibrated on or looked up in the bank.
    """
    progress = progress or (lambda what, done, total: None)
    splits = make_splits(responses, plan.split)
    fits = _fits(plan, responses, bank, splits, jobs, progress)
    methods = methods_of(plan)
    prepared = [
        _prepare(plan, responses, split, fit) for split, fit in zip(splits, fits, strict=True)
    ]
    work = [_Job(plan, method, one) for one in prepared for method in methods]
    found = list(mapped(_test, work, jobs, "testing", progress))
    tested = [
        _gathered(method, prepared, found[place :: len(methods)])
        for place, method in enumerate(methods)
    ]
    return Study(plan, responses, splits, fits, tuple(tested))


@dataclass(frozen=True)
class Rehearsal:
    """What a study would be, with times measured on a small part."""

    fits: int
    seconds_a_fit: float
    agents: int
    """Most that a split tests."""
    sessions: int
    seconds: float
    """Of everything, in one process."""


def rehearse(plan: StudyPlan, responses: Responses, bank: ItemBank | None = None) -> Rehearsal:
    """Calibrate the first split, test a few of its agents on a few items, and extrapolate.

    Raises:
        as :func:`run_study`.
    """
    splits = make_splits(responses, plan.split)
    fit = _fits(plan, responses, bank, splits[:1], 1, lambda *_: None)[0]
    few = plan.model_copy(update={"sizes": (min(_FEW_ITEMS, plan.sizes[-1]),)})
    first = splits[0]
    some = Split(first.name, first.calibrating, first.tested[:_FEW_AGENTS], first.seed)
    began = time.perf_counter()
    prepared = _prepare(few, responses, some, fit)
    for method in methods_of(few):
        if method.entry is None:
            _test(_Job(few, method, prepared))
    ready = time.perf_counter()
    for method in methods_of(few):
        if method.entry is not None:
            # the stopping rule may go on for much longer
            entry = method.entry.model_copy(update={"stop": None})
            _test(_Job(few, replace(method, entry=entry), prepared))
    took = (time.perf_counter() - ready) * plan.sizes[-1] / few.sizes[-1]
    agents = sum(len(split.tested) for split in splits)
    fits = 0 if bank else len({split.calibrating.tobytes() for split in splits})
    a_split = ready - began + took
    return Rehearsal(
        fits=fits,
        seconds_a_fit=fit.seconds,
        agents=max(len(split.tested) for split in splits),
        sessions=agents * len(plan.plans),
        seconds=fits * fit.seconds + a_split * agents / len(some.tested),
    )


# --- calibration ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Calibrate:
    responses: Responses
    model: Model
    name: str


def _fits(
    plan: StudyPlan,
    responses: Responses,
    bank: ItemBank | None,
    splits: Sequence[Split],
    jobs: int,
    progress: Ticks,
) -> tuple[Fit, ...]:
    """A bank for each split; splits that calibrate on the same agents share one."""
    if bank is not None:
        return (Fit(bank),) * len(splits)
    assert plan.model is not None
    wanted: dict[bytes, _Calibrate] = {}
    for split in splits:
        agents = [responses.agents[a] for a in split.calibrating]
        job = _Calibrate(responses.subset(agents=agents), plan.model, plan.name)
        wanted.setdefault(split.calibrating.tobytes(), job)
    found = mapped(_calibrate, list(wanted.values()), jobs, "calibrating", progress)
    fits: Mapping[bytes, Fit] = dict(zip(wanted, found, strict=True))
    return tuple(fits[split.calibrating.tobytes()] for split in splits)


def _calibrate(job: _Calibrate) -> Fit:
    found = calibrate(job.responses, job.model, name=job.name)
    bank = _priced(found.bank)
    _ = bank.table  # compiled here, it travels with the bank
    return Fit(bank, found.converged, found.seconds)


def _priced(bank: ItemBank) -> ItemBank:
    """Items whose cost no calibrating agent tells are expected to cost what the median item does,
    so that plans may choose by cost; unknown where nothing is known."""
    usd, seconds = (
        np.array([getattr(item, unit) for item in bank.items]) for unit in ("usd", "seconds")
    )
    for cost in (usd, seconds):
        if np.isfinite(cost).any():
            cost[np.isnan(cost)] = np.nanmedian(cost)
    items = [
        replace(item, usd=float(usd[row]), seconds=float(seconds[row]))
        for row, item in enumerate(bank.items)
    ]
    return replace(bank, items=tuple(items))


# --- sessions ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Prepared:
    """The agents under test of one split."""

    split: Split
    bank: ItemBank
    columns: Indices
    """Position in the responses of each item of the bank."""
    cells: Cells
    truth: Array
    ability: Array
    dates: tuple[str, ...]
    seeds: Indices
    draws: int


@dataclass(frozen=True, eq=False)
class _Job:
    plan: StudyPlan
    method: Method
    prepared: _Prepared


def _prepare(plan: StudyPlan, responses: Responses, split: Split, fit: Fit) -> _Prepared:
    index = {item: column for column, item in enumerate(responses.items)}
    table = fit.bank.table
    columns = np.array([index[item] for item in table.ids], np.intp)
    agents = split.tested
    truth = full_scores(responses, columns)[agents]
    if np.isnan(truth).any():
        name = responses.agents[agents[int(np.argmax(np.isnan(truth)))]]
        raise ResponsesError(
            f"{responses.source or 'the responses'}: agent {name!r} has no outcome on an item of "
            f"the bank of split {split.name!r}; remove it"
        )
    sessions = plan.split.seeds * len(agents)
    return _Prepared(
        split=split,
        bank=fit.bank,
        columns=columns,
        cells=draw_cells(responses, [split.seed, 1]).of(agents, columns, table),
        truth=truth,
        ability=full_abilities(fit.bank, responses, agents),
        dates=tuple(responses.date[a] for a in agents),
        seeds=split.seed * len(responses.agents) + agents,
        draws=int(np.clip(_CELLS // (sessions * len(table.ids)), 1, _DRAWS)),
    )


def _test(job: _Job) -> Sessions:
    """All agents of one split with one method; items are numbered as in the responses."""
    one, entry = job.prepared, job.method.entry
    table = one.bank.table
    stop = entry.stop if entry else None
    asked = Asked(job.plan.sizes, job.plan.levels, job.plan.cut, stop)
    if entry is None:
        allowed = middling(table) if job.method.window else None
        seed = [one.split.seed, 2, *map(int, one.split.tested[:1])]
        found = plain_means(table, one.cells, allowed, seed, one.draws, asked)
    else:
        plan = Plan(select=entry.selector, estimator=entry.estimator, width=entry.width)
        priors = [_prior(one.bank, entry.prior, date) for date in one.dates]
        try:
            found = run_sessions(table, plan, one.cells, one.seeds, priors, asked)
        except PlanError as error:
            raise PlanError(f"plan {job.method.name!r}: {error}") from None
    return found.renumbered(one.columns)


def _prior(bank: ItemBank, choice: PriorChoice, date: str) -> Prior:
    match choice:
        case (mean, sd):
            return Prior((mean,) * len(bank.mean), (sd,) * len(bank.mean))
        case _:
            return named_prior(choice, bank, date)


def _gathered(method: Method, prepared: Sequence[_Prepared], parts: Sequence[Sessions]) -> Tested:
    rows = [_rows(method, one) for one in prepared]
    agent, group, truth, ability = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Tested(method, joined(parts), agent, group, truth, ability)


def _rows(method: Method, one: _Prepared) -> tuple[Indices, Indices, Array, Array]:
    """Agent, group, true score and true ability of each session."""
    draws = 1 if method.entry else one.draws
    agents = len(one.split.tested)
    ability = one.ability if method.entry else np.empty((agents, 0))
    return (
        np.repeat(one.split.tested, draws),
        one.split.seed * draws + np.tile(np.arange(draws), agents),
        np.repeat(one.truth, draws),
        np.repeat(ability, draws, axis=0),
    )
