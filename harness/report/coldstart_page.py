"""What a cold-start protocol found, as a page and as the rows of tables."""

from collections.abc import Iterator

from harness.coldstart.result import Coverage, Found, Protocol, Result
from harness.report.coldstart_plots import auc_plot, calibration_plot
from harness.report.sections import Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page
from harness.report.wording import count, printable
from harness.study.bootstrap import Estimate

_NEW: dict[Protocol, str] = {
    "tasks": "New tasks",
    "responses": "New responses",
    "agents": "New agents",
    "agents-by-date": "The newest agents",
    "pairs": "New pairs of model and scaffold",
    "benchmark": "A new benchmark",
}
_HOW: dict[Protocol, str] = {
    "tasks": "A fifth of the tasks at a time is told from the outcomes of the others.",
    "responses": "A fifth of the cells at a time is told from all others.",
    "agents": "A fifth of the agents at a time is told from the outcomes of the others.",
    "agents-by-date": "The newest 30% of the agents are told from the outcomes of the others.",
    "pairs": "Agents are told whose model and scaffold others have, but not both together.",
    "benchmark": "All outcomes are told from other benchmarks, whose tasks have the same features.",
}
_MEANING: tuple[tuple[str, str], ...] = (
    ("agent mean", "the share of known tasks that the agent passed"),
    ("item mean", "the share of known agents that passed the task"),
    ("ability only", "the agent's ability on a task of which nothing is known"),
    ("difficulty only", "the task's difficulty for an agent of which nothing is known"),
    ("ridge", "1PL with difficulties by ridge regression on one block, taken for known"),
    ("two-stage", "difficulties are calibrated first and explained afterwards"),
    ("explained", "features explain the items inside the calibration"),
    ("with strengths", "the explained model with a weight of every feature for every agent"),
    ("only", "the explained 1PL with one block of features, or with all blocks but one (without)"),
    ("population", "an agent like any that calibrated"),
    ("parts", "ability by the agent's model, scaffold and date"),
    ("nothing", "neither the task nor the agent is known"),
    ("oracle", "1PL fitted to all outcomes, those to be told among them: a bound, not a method"),
)

METHOD_HEADS = ("method", "AUC", "mean of folds", "log score", "Brier", "calibration error")
COVERAGE_HEADS = ("method", "number", "90% intervals hold", "off by", "stated sd", "correlation")


# --- numbers as text --------------------------------------------------------------------------


def told(found: Estimate, digits: int = 3) -> str:
    """A value with its interval.

    >>> told(Estimate(0.5, 0.4, 0.61)), told(Estimate(None))
    ('0.500 (0.400 to 0.610)', '–')
    """
    if found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return signed(found.value, digits)
    return f"{signed(found.value, digits)} ({interval(found.low, found.high, digits)})"


def percent(found: Estimate) -> str:
    """A share in percent with its interval.

    >>> percent(Estimate(0.9, 0.85, 0.951))
    '90% (85 to 95)'
    """
    if found.value is None:
        return "–"
    ends = "" if found.low is None or found.high is None else f" ({100 * found.low:.0f} to "
    return f"{100 * found.value:.0f}%" + (f"{ends}{100 * (found.high or 0):.0f})" if ends else "")


def method_cells(method: Found) -> tuple[str, ...]:
    """What :data:`METHOD_HEADS` say of a method."""
    return (
        printable(method.name, 40),
        told(method.auc),
        signed(method.mean_auc, 3),
        told(method.log_score),
        signed(method.brier.value or 0.0, 3),
        signed(method.calibration, 3),
    )


def coverage_cells(name: str, found: Coverage) -> tuple[str, ...]:
    """What :data:`COVERAGE_HEADS` say of a method."""
    return (
        printable(name, 40),
        str(found.n),
        percent(found.share),
        signed(found.rmse),
        signed(found.sd),
        signed(found.correlation),
    )


# --- a protocol -------------------------------------------------------------------------------


def protocol_page(found: Result, version: str) -> Page:
    """The page of a protocol."""
    main = next(method for method in found.methods if method.name == found.main)
    return Page(
        title=f"{_NEW[found.protocol]}: {printable(found.benchmark, 60)}",
        over="Cold start",
        figures=(
            Figure("AUC", signed(main.auc.value or 0.0, 3), f"{main.name}, all cells pooled"),
            Figure("Log score", signed(main.log_score.value or 0.0, 3), "nats an attempt"),
            Figure(
                "Told",
                f"{found.attempts:,}",
                f"attempts of {count(found.agents, 'agent')} on {count(found.items, 'task')}",
            ),
        ),
        notes=found.notes,
        sections=tuple(sections_of(found)),
        facts=_facts(found, version),
        version=version,
    )


def sections_of(found: Result) -> Iterator[Section]:
    """Methods, differences, and where there are such, difficulties and abilities."""
    yield _methods(found)
    yield _differences(found)
    for what in ("difficulty", "ability"):
        rows = [(m.name, getattr(m, what)) for m in found.methods if getattr(m, what)]
        if rows:
            yield _coverage(found, what, rows)


def _methods(found: Result) -> Section:
    main = next(method for method in found.methods if method.name == found.main)
    used = [
        f"{name}: {meaning}"
        for name, meaning in _MEANING
        if any(method.name.startswith(name) for method in found.methods)
    ]
    shown = [m for m in found.methods if m.name in (found.main, "oracle")]
    parts: list[Part] = [
        both(lambda wide: auc_plot(found, wide=wide), "AUC of all cells pooled."),
        Grid(METHOD_HEADS, tuple(map(method_cells, found.methods)), title="Methods", shown=30),
        Text(
            f"Brackets are 95% intervals over {found.unit}. {'; '.join(used)}. Where there are "
            "several folds, cells of different folds are compared in the pooled AUC, but not in "
            "the mean of the folds. The log score is the mean log probability of what happened, "
            "in nats an attempt; higher is better.",
            hint=True,
        ),
        both(
            lambda wide: calibration_plot(shown, wide=wide),
            "Shares of passes in tenths of what was predicted, with 90% intervals.",
        ),
    ]
    return Section(
        "How well outcomes are told",
        f"{_HOW[found.protocol]} '{main.name}' has an AUC of {told(main.auc)} and a log score of "
        f"{told(main.log_score)}.",
        parts=tuple(parts),
        key="methods",
    )


def _differences(found: Result) -> Section:
    rows = tuple(
        (printable(one.first, 40), told(one.auc, 4), told(one.log_score, 4))
        for one in found.differences
    )
    ahead = [
        one.first
        for one in found.differences
        if one.log_score.low is not None and one.log_score.low > 0
    ]
    names = ", ".join(f"'{name}'" for name in ahead) or "no other method"
    return Section(
        f"{found.main} against the others",
        f"By log score '{found.main}' is clearly better than {names}.",
        parts=(
            Grid(
                (f"{found.main} less", "AUC", "log score"),
                rows,
                title=f"Differences, paired over {found.unit}",
                shown=30,
            ),
        ),
        key="differences",
    )


def _coverage(found: Result, what: str, rows: list[tuple[str, Coverage]]) -> Section:
    main = next((row for row in rows if row[0] == found.main), rows[-1])
    noun = "difficulties of tasks" if what == "difficulty" else "abilities of agents"
    return Section(
        f"Whether stated {noun} hold",
        f"90% intervals of {main[0]} hold {percent(main[1].share)} of the {main[1].n} values.",
        parts=(
            Grid(
                COVERAGE_HEADS,
                tuple(coverage_cells(*row) for row in rows),
                title=f"Stated {noun}",
                shown=30,
            ),
            Text(
                "Against the estimates from all outcomes, whose own errors are allowed for. Off by "
                "is the root mean square, in sds of the agents, as is the stated sd.",
                hint=True,
            ),
        ),
        key=what,
    )


def _facts(found: Result, version: str) -> tuple[tuple[str, str], ...]:
    blocks = ", ".join(f"{name} ({n})" for name, n in found.blocks) or "none"
    digest = f", SHA-256 {found.sha256}" if found.sha256 else ""
    return (
        ("Outcomes", f"{found.source}{digest}"),
        ("Blocks of features", blocks),
        ("Folds", ", ".join(found.folds)),
        ("Program", f"cat-harness {version}"),
    )
