"""What sessions on predicted tasks found, as a page and as the rows of a table."""

from harness.coldstart.sessions import ADVISED, MEAN
from harness.report.coldstart_page import percent, told
from harness.report.coldstart_plots import session_plot
from harness.report.sections import Caution, Grid, Part, Section, Text, both
from harness.report.sections_page import Figure, Page
from harness.report.wording import count, printable
from harness.study import StudyResult
from harness.study.bootstrap import Estimate
from harness.study.result import PlanResult, Point

SESSION_HEADS = ("chosen by", "tasks", "error, points", "rank correlation", "80% intervals hold")


def session_cells(plan: PlanResult, point: Point) -> tuple[str, ...]:
    """What :data:`SESSION_HEADS` say of a plan at one size."""
    score = point.score
    holds = percent(score.coverage[0]) if score.coverage else "–"
    mae = Estimate(*(x and 100 * x for x in (score.mae.value, score.mae.low, score.mae.high)))
    return printable(plan.name, 40), str(point.size), told(mae, 1), told(score.spearman), holds


def session_page(found: StudyResult, version: str) -> Page:
    """The page of cold-start sessions."""
    rows = tuple(
        session_cells(plan, point)
        for size in found.sizes
        for plan in found.plans
        for point in plan.points
        if point.size == size
    )
    parts: list[Part] = [
        both(lambda wide: session_plot(found, wide=wide), "Error of the predicted pass rate."),
        Grid(SESSION_HEADS, rows, title="Sessions on tasks that nobody has tried", shown=60),
        Text(
            f"Means over {count(len(found.tested), 'agent')} and {found.seeds} repetitions; "
            "brackets are 95% intervals over agents. The error is that of the predicted pass rate "
            "over all tasks; ranks are those of the agents by it.",
            hint=True,
        ),
    ]
    met = session_verdict(found)
    first = next((text for text in met if text.startswith(ADVISED)), met[0])
    parts.insert(1, Text(" ".join(text for text in met if text != first)))
    return Page(
        title=f"A cold start: {printable(found.name, 60)}",
        over="Sessions on predicted tasks",
        figures=(
            Figure("Agents", str(len(found.tested)), "tested on tasks that nobody has tried"),
            Figure("Tasks", str(found.items), "all of them predicted"),
        ),
        notes=(),
        sections=(
            Section("Sessions", first, parts=tuple(parts), key="sessions"),
            Section(
                "What to use",
                f"Choose by {ADVISED}, with a prior of mean 0 and sd 1.5.",
                parts=(
                    Text(
                        "Selectors without chance give all agents the same first tasks, and so the "
                        "same errors of prediction: on one benchmark all scores may be off the "
                        "same way. Choosing one of the twenty best tasks at random spreads these "
                        "errors."
                    ),
                    Caution(
                        "That is for predictions learned on tasks like these. Predictions from "
                        "another benchmark may be off in a systematic way: chosen tasks then fall "
                        "behind in longer sessions, with intervals that are too narrow. Random "
                        "tasks, scored by predicted parameters, are the safer choice there."
                    ),
                ),
                key="advice",
            ),
        ),
        facts=(
            ("Outcomes", found.source + (f", SHA-256 {found.sha256}" if found.sha256 else "")),
            ("Program", f"cat-harness {version}"),
        ),
        version=version,
    )


def session_verdict(found: StudyResult) -> tuple[str, ...]:
    """What every plan does beside random tasks scored by their mean, in sentences."""
    base = next(plan for plan in found.plans if plan.name == MEAN)
    told_of = []
    for plan in found.plans:
        if plan is base:
            continue
        worse, cover = [], []
        for point, other in zip(plan.points, base.points, strict=True):
            mine, theirs = point.score.mae.value, other.score.mae.value
            if mine is not None and theirs is not None and mine > theirs:
                worse.append(str(point.size))
            if point.score.coverage and point.score.coverage[0].value is not None:
                cover.append(point.score.coverage[0].value)
        error = (
            f"a larger error than {MEAN} at {', '.join(worse)} tasks"
            if worse
            else (f"a smaller error than {MEAN} at every size")
        )
        spread = f"{100 * min(cover):.0f} to {100 * max(cover):.0f}%" if cover else "none"
        told_of.append(f"{plan.name}: {error}; 80% intervals hold {spread}.")
    return tuple(told_of)
