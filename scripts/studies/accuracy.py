"""How near a few tasks come to the score on the whole benchmark, and whether intervals are true."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.ability import Prior
from harness.batch import administer
from harness.events import Plan
from harness.irt import Array
from harness.prior import agent_prior
from harness.responses import Responses
from harness.responses.drawn import draw_trials
from harness.score import corrected_scores, predict_scores
from harness.select import Random, Selector
from harness.study import Study, StudyPlan, StudyResult, measure_study, parse_study, run_study
from harness.study.bootstrap import Estimate, estimate, weighted_means
from harness.study.result import Needed, PlanResult
from studies.common import Run, World, seeds_of, weights_for
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Accuracy and coverage"
NEEDS = ("swebench_verified", "terminal_bench_2", "terminal_bench_2_majority")
SIZES = (5, 10, 20, 30, 50)
LEVELS = (0.8, 0.9, 0.95)
BOUNDS = {0.8: (0.75, 0.85), 0.95: (0.92, 0.98)}
"""What the coverage of intervals may be, by their level."""
COVERED = (10, 20, 30)
FACTOR = 3.0
"""Tasks of random + mean over ours that were asked for."""
DEFAULT = "default"
NORMAL = "N(0, 1) prior"
PLANS: tuple[dict[str, object], ...] = (
    {"name": DEFAULT, "select": "max-information"},
    {"name": "population prior", "select": "max-information", "prior": "population"},
    {"name": NORMAL, "select": "max-information", "prior": (0.0, 1.0)},
    {"select": "score-variance"},
    {"select": "min-variance"},
)
RANDOM = "random + mean"


@dataclass(frozen=True)
class Case:
    """One data set, split one way."""

    data: str
    by: str

    @property
    def title(self) -> str:
        """Heading, and key."""
        how = "random agents" if self.by == "random" else "oldest to newest"
        return f"{self.data}, {how}"


CASES = (
    Case("swebench_verified", "random"),
    Case("swebench_verified", "date"),
    Case("terminal_bench_2", "random"),
    Case("terminal_bench_2_majority", "random"),
    Case("terminal_bench_2_majority", "date"),
)


@dataclass(frozen=True, eq=False)
class Extra:
    """What the study engine does not say, at each size."""

    floor: list[Estimate]
    """Error that remains where ability is known and only the luck of open items is left."""
    corrected: dict[str, list[Estimate]]
    """By selector: error of the score corrected by residuals …"""
    model: dict[str, list[Estimate]]
    """… that of the model's, in the same sessions …"""
    worse: dict[str, list[Estimate]]
    """… and how much larger the first is."""


def run(run: Run) -> str:
    """The page."""
    loaded = {name: run.load(name) for name in NEEDS}
    found, extras = {}, {}
    for case in CASES:
        run.say(f"  {case.title}")
        study = run_study(
            plan_of(run, case, loaded[case.data]),
            loaded[case.data],
            jobs=run.jobs,
            progress=run.tick,
        )
        found[case.title] = measure_study(study)
        extras[case.title] = extra(run, study)
    return page(
        "accuracy",
        TITLE,
        lead(found, extras),
        facts(loaded.items()),
        [about(run), *sections(run, found, extras)],
    )


def plan_of(run: Run, case: Case, responses: Responses) -> StudyPlan:
    """The plan of a study."""
    split = {"by": case.by, "share": 0.7, "seeds": run.seeds}
    return parse_study(
        {
            "name": case.title,
            "responses": case.data,
            "model": "2pl",
            "split": split,
            "plans": list(PLANS),
            "sizes": [size for size in SIZES if size < len(responses.items)],
            "levels": LEVELS,
            "units": ["items"],
            "resamples": run.resamples // 2,
        },
        "this study",
    )


# --- what the engine does not say -------------------------------------------------------------


def extra(run: Run, study: Study) -> Extra:
    """Floors and corrected scores, in sessions with the banks of a study."""
    worlds, priors = [], []
    for split, fit in zip(study.splits, study.fits, strict=True):
        drawn = draw_trials(fit.bank.table, study.responses, split.seed)
        truth = np.nanmean(drawn.score[split.tested], axis=1)
        outcomes = drawn.category[split.tested]
        worlds.append(World(fit.bank, split.tested, outcomes, truth, split.seed))
        priors.append([agent_prior(fit.bank, study.responses.date[a]) for a in split.tested])
    agent = np.concatenate([world.agents for world in worlds])
    weights, unit = weights_for(run, agent)
    sizes = study.plan.sizes
    selectors: tuple[Selector, ...] = (Plan().select, Random())
    floor: list[Estimate] = []
    model, corrected, worse = {}, {}, {}
    for selector in selectors:
        each = [
            followed(world, Plan(select=selector), prior, sizes)
            for world, prior in zip(worlds, priors, strict=True)
        ]
        parts = [np.concatenate(one) for one in zip(*each, strict=True)]
        floors, ours, theirs = (weighted_means(weights, unit, one) for one in parts)
        floor = floor or [estimate(column) for column in floors.T]
        name = str(selector)
        model[name] = [estimate(column) for column in ours.T]
        corrected[name] = [estimate(column) for column in theirs.T]
        worse[name] = [estimate(column) for column in (theirs - ours).T]
    return Extra(floor, corrected, model, worse)


def followed(
    world: World, plan: Plan, priors: Sequence[Prior], sizes: Sequence[int]
) -> tuple[Array, Array, Array]:
    """``(A, S)`` each: floor, and absolute errors of the model's and of the corrected score."""
    table, outcomes = world.bank.table, world.outcomes
    known = exact(world)
    found = np.full((3, len(outcomes), len(sizes)), np.nan)
    for step in administer(table, plan, outcomes, seeds_of(world), priors=priors):
        if step.round in sizes:
            view = step.progress.view
            place = sizes.index(step.round)
            luck = predict_scores(table, known, view.answers, view.counted).sd
            model = predict_scores(table, view.posterior, view.answers, view.counted).mean
            corrected = corrected_scores(table, view.posterior, view.answers, view.counted)
            found[0, :, place] = np.sqrt(2 / np.pi) * luck
            found[1, :, place] = np.abs(model - world.truth)
            found[2, :, place] = np.abs(corrected - world.truth)
        if step.round >= max(sizes):
            break
    floor, ours, theirs = found
    return floor, ours, theirs


def exact(world: World) -> Array:
    """``(A, Q)`` all weight on the node where the agent's score on everything is expected."""
    table = world.bank.table
    counted = world.outcomes >= 0
    expected = counted @ table.expected_score / counted.sum(axis=1, keepdims=True)
    found = np.zeros(expected.shape)
    nearest = np.abs(expected - world.truth[:, None]).argmin(axis=1)
    found[np.arange(len(found)), nearest] = 1.0
    return found


# --- the page ---------------------------------------------------------------------------------


def plan_named(found: StudyResult, name: str) -> PlanResult:
    """One plan of a study."""
    return next(plan for plan in found.plans if plan.name == name)


def factors(found: StudyResult) -> list[Needed]:
    """How many times the tasks of the default plan random + mean needs, by size."""
    return [one for one in found.needed if (one.plan, one.reference) == (DEFAULT, RANDOM)]


def lead(found: dict[str, StudyResult], extras: dict[str, Extra]) -> list[str]:
    """What it shows."""
    return [
        *(factor_line(title, one) for title, one in found.items()),
        *(coverage_line(found, level) for level in BOUNDS),
        prior_line(found),
        selector_line(found),
        which_score(extras),
    ]


def factor_line(title: str, found: StudyResult) -> str:
    """How many times the tasks random + mean takes, in one study."""
    there = [f for f in factors(found) if f.unit == "items" and f.size <= 30]
    text = ", ".join(f"{told(f.factor)} at {f.size}" for f in there)
    missed = [f for f in there if f.factor.value is not None and f.factor.value < FACTOR]
    beyond = [f.size for f in missed if found.items / f.size < FACTOR]
    return verdict(
        not missed,
        f"{title}: random tasks with their mean need so many times the tasks of the default plan "
        f"for its error: {text}; at least {FACTOR:g} was asked."
        + (
            f" With {found.items} tasks it cannot be more than "
            + ", ".join(f"{found.items / size:.2f} at {size}" for size in beyond)
            + ", as a random test of all tasks has no error."
            if beyond
            else ""
        ),
    )


def coverage_line(found: dict[str, StudyResult], level: float) -> str:
    """Whether intervals of one level are true, over all studies."""
    low, high = BOUNDS[level]
    outside, clear, total = [], 0, 0
    for title, one in found.items():
        place = one.levels.index(level)
        for point in plan_named(one, DEFAULT).points:
            covered = point.score.coverage[place]
            if point.size not in COVERED or covered.value is None:
                continue
            total += 1
            if not low <= covered.value <= high:
                outside.append(f"{title} at {point.size}: {told(covered, 0, 100)}%")
                clear += not (covered.low or 0) <= level <= (covered.high or 1)
    return verdict(
        not outside,
        f"{level:.0%} intervals of the default plan hold {low:.0%} to {high:.0%} of the scores in "
        f"{total - len(outside)} of {total} cases"
        + (
            f"; not so in {'; '.join(outside)}. In {clear} of these the interval of the share "
            f"leaves out {level:.0%}."
            if outside
            else "."
        ),
    )


def prior_line(found: dict[str, StudyResult]) -> str:
    """What the prior of the default plan is worth."""
    parts = []
    for title, one in found.items():
        gaps = [
            told(gap.error, 2, 100)
            for gap in one.differences
            if (gap.first, gap.second) == (DEFAULT, NORMAL) and gap.size in (5, 10)
        ]
        parts.append(f"{' and '.join(gaps)} ({title})")
    return (
        "With N(0, 1) as prior in place of what the calibrating agents say, the error is larger at "
        f"5 and at 10 tasks by so many points: {'; '.join(parts)}."
    )


def selector_line(found: dict[str, StudyResult]) -> str:
    """The other selectors, on average over the sizes."""
    parts = []
    for name in ("score-variance", "min-variance"):
        gaps = [
            f"{told(gap.error, 2, 100)} ({title})"
            for title, one in found.items()
            for gap in one.differences
            if (gap.first, gap.second, gap.size) == (DEFAULT, name, None)
        ]
        parts.append(f"with `{name}` by {', '.join(gaps)}")
    return (
        "Other selectors, by how many points the error is larger (less than 0: smaller) on average "
        f"over all sizes: {'; '.join(parts)}."
    )


def which_score(extras: dict[str, Extra]) -> str:
    """Model or corrected, in words."""
    parts = []
    for selector in next(iter(extras.values())).worse:
        cells = [one for extra in extras.values() for one in extra.worse[selector]]
        worse = sum(one.low is not None and one.low > 0 for one in cells)
        better = sum(one.high is not None and one.high < 0 for one in cells)
        mean = np.mean([one.value for one in cells if one.value is not None])
        parts.append(
            f"with `{selector}` its error is {100 * mean:+.2f} points larger on average, clearly "
            f"larger in {worse} and clearly smaller in {better} of {len(cells)} cases"
        )
    return (
        "The score corrected by the residuals of the answers, against the model's: "
        f"{'; '.join(parts)}."
    )


def about(run: Run) -> str:
    """How it was done."""
    return (
        f"Banks (`2pl`) are calibrated on 70% of the agents: at random, {run.seeds} times (seeds "
        f"0 to {run.seeds - 1}), or the oldest, with {run.seeds} repetitions of what is random "
        "besides. The others are tested on their own outcomes. Of a cell with several trials a "
        "session sees one; the truth is the mean of all trials of all tasks. The default plan "
        "selects by `max-information`; its prior follows the trend of the calibrating agents over "
        "their dates where there are dates and is their population elsewhere. `random + mean` is "
        "the plain mean of random tasks, `window` the same of tasks that 30 to 70% of the "
        "population pass, `random + IRT` random tasks with the bank. Errors are absolute, in "
        "points (hundredths) of the score. The floor is what remains if ability were known "
        "exactly: luck of the tasks that the default plan leaves, as the bank has it. A plan that "
        "takes the most uncertain tasks can get below. Brackets are 95% "
        "intervals of bootstrap samples of the agents, each with all its sessions. How other "
        "programs do on the same outcomes is measured by `benchmarks/adaptive.py`."
    )


def sections(run: Run, found: dict[str, StudyResult], extras: dict[str, Extra]) -> Iterator[str]:
    """Tables and a figure for each case."""
    for case in CASES:
        one, extra = found[case.title], extras[case.title]
        yield f"## {case.title}"
        yield (
            f"{len(one.tested)} agents tested in all, "
            f"{one.splits[0].tested} of them by a bank that {one.splits[0].calibrating} others "
            f"calibrated; {one.items} tasks."
        )
        heads = ("plan", *(f"error at {size}" for size in one.sizes), "mean")
        rows = [
            (
                plan.name,
                *(told(point.score.mae, 2, 100) for point in plan.points),
                told(plan.error, 2, 100),
            )
            for plan in one.plans
        ]
        rows.append(("floor", *(told(floor, 2, 100) for floor in extra.floor), ""))
        yield table(heads, rows)
        yield "Rank agreement (Spearman's rho) with the full score:"
        yield table(
            ("plan", *(str(size) for size in one.sizes)),
            [
                (plan.name, *(told(point.score.spearman, 3) for point in plan.points))
                for plan in one.plans
            ],
        )
        yield "Tasks of random + mean for the error of the default plan, over its tasks:"
        yield table(
            ("", *(str(f.size) for f in factors(one))),
            [("factor", *(told(f.factor) for f in factors(one)))],
        )
        yield "Scores that lie in their intervals, %:"
        yield table(
            ("plan", *(f"{level:.0%} at {size}" for size in one.sizes for level in one.levels)),
            [
                (
                    plan.name,
                    *(told(c, 0, 100) for point in plan.points for c in point.score.coverage),
                )
                for plan in one.plans
                if plan.points[0].score.coverage
            ],
        )
        yield "The model's score, and the same corrected by the mean residual of the answers:"
        yield table(
            ("tasks chosen by", "score", *(f"error at {size}" for size in one.sizes)),
            [
                (f"`{name}`", kind, *(told(value, 2, 100) for value in values[name]))
                for name in extra.model
                for kind, values in (
                    ("model", extra.model),
                    ("corrected", extra.corrected),
                    ("difference", extra.worse),
                )
            ],
        )
        yield picture(run, case, one)


def picture(run: Run, case: Case, one: StudyResult) -> str:
    """Learning curves."""
    lines = []
    for plan in one.plans:
        if plan.name not in (DEFAULT, "random + IRT", RANDOM, "window"):
            continue
        curve = plan.curve
        most = min(len(curve.mae), max(one.sizes))
        y, low, high = (
            100 * np.array([np.nan if v is None else v for v in values[:most]])
            for values in (curve.mae, curve.low, curve.high)
        )
        lines.append(Line(plan.name, np.arange(1.0, most + 1), y, low, high))
    name = f"accuracy-{case.data}-{case.by}"
    caption = f"{case.title}: mean absolute error of the predicted score"
    return figure(run.out, name, caption, lines, "tasks", "error, points", log=True)
