"""A session as one self-contained HTML page: it opens offline, prints, and reads on a phone."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.events import Cost, Evidence, TestResult
from harness.report import plots
from harness.report.distributions import Distributions
from harness.report.summary import ItemRow, SessionSummary, TrajectoryPoint
from harness.report.wording import (
    STATES,
    ability_names,
    count,
    decimal,
    duration,
    minus,
    money,
    percent,
    printable,
    rests_on,
    sentence,
    void_effect,
)

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent
_MAX_TESTS = 100
_MAX_FILES = 50
_MAX_ENTRIES = 20


def render_page(summary: SessionSummary, distributions: Distributions, *, traces: str = "") -> str:
    """The page as text, to be written as UTF-8.

    Args:
        distributions: of the same session.
        traces: path from the page's folder to the run folder, which traces are relative to;
            empty when the page lies in the run folder.
    """
    from markupsafe import Markup

    dimensions = range(len(summary.ability))
    template = templates().get_template("page.html.j2")
    return template.render(
        summary=summary,
        names=ability_names(len(summary.ability)),
        state=STATES[summary.state],
        level=f"{100 * summary.level:g}%",
        void_effect=void_effect(summary).replace("-", "−"),
        rests_on=rests_on(summary),
        items=_item_views(summary),
        link=lambda trace: _link(trace, traces),
        outcome_width=_outcome_width(summary),
        traces=_trace_folders(summary, traces),
        provenance=list(_rows(summary.bank_provenance)),
        cost_line=cost_line,
        trajectory=[
            (kind, Markup(plots.trajectory_plot(summary, wide=kind == "wide")))
            for kind in ("wide", "narrow")
        ],
        ability_plots=[Markup(plots.ability_plot(summary, distributions, d)) for d in dimensions],
        score_plot=Markup(plots.score_plot(summary, distributions)),
    )


@cache
def templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        decimal=lambda number: decimal(number).replace("-", "−"),
        percent=percent,
        money=money,
        duration=duration,
        count=count,
        moment=_moment,
        printable=printable,
        sentence=sentence,
        minus=minus,
    )
    return environment


@dataclass(frozen=True)
class _TestGroup:
    """The tests of one milestone."""

    title: str
    passed: int
    tests: tuple[TestResult, ...]
    left_out: int


@dataclass(frozen=True)
class _ItemView:
    """One answered item with what the page says about it."""

    number: int
    row: ItemRow
    after: TrajectoryPoint
    groups: tuple[_TestGroup, ...]
    files: tuple[str, ...]
    more_files: int


def _item_views(summary: SessionSummary) -> list[_ItemView]:
    return [
        _ItemView(
            number=number,
            row=row,
            after=after,
            groups=tuple(_groups(row.evidence, row.top)),
            files=row.evidence.files_changed[:_MAX_FILES],
            more_files=max(len(row.evidence.files_changed) - _MAX_FILES, 0),
        )
        for number, (row, after) in enumerate(
            zip(summary.items, summary.trajectory[1:], strict=True), start=1
        )
    ]


def _outcome_width(summary: SessionSummary) -> float:
    """Width in rem that the longest category of the list needs."""
    pips = [1.1 * row.top + 0.5 if row.top <= 5 else 0.0 for row in summary.items]
    letters = [len(f"{row.top}/{row.top} {row.label}"[:24]) for row in summary.items]
    return round(max(pips, default=0.0) + 0.58 * max(letters, default=0), 1)


def _groups(evidence: Evidence, top: int) -> Iterable[_TestGroup]:
    by_milestone: dict[int | None, list[TestResult]] = {}
    for test in evidence.tests:
        by_milestone.setdefault(test.milestone, []).append(test)
    for milestone in sorted(by_milestone, key=lambda m: (m is None, m or 0)):
        tests = by_milestone[milestone]
        # where not all can be shown, failures say more
        shown = tests if len(tests) <= _MAX_TESTS else sorted(tests, key=lambda t: t.passed)
        yield _TestGroup(
            title="Tests" if milestone is None else f"Milestone {milestone} of {top}",
            passed=sum(test.passed for test in tests),
            tests=tuple(shown[:_MAX_TESTS]),
            left_out=max(len(tests) - _MAX_TESTS, 0),
        )


def _link(trace: str, traces: str) -> str:
    """A relative link to a trace; empty where there is none or it points elsewhere."""
    path = PurePosixPath(traces, trace)
    if not trace or path.is_absolute():
        return ""
    # quoting the colon leaves nothing that could be read as a scheme
    return quote(str(path), errors="replace")


def _trace_folders(summary: SessionSummary, traces: str) -> list[str]:
    logs = [*(row.trace for row in summary.items), *(void.trace for void in summary.voids)]
    folders = dict.fromkeys(str(PurePosixPath(traces, log).parent) for log in logs if log)
    return [shlex.quote(printable(folder)) for folder in folders][:3]


def cost_line(cost: Cost) -> str:
    """What one attempt used up.

    >>> cost_line(Cost(0.12, 75.0, 12345, 1))
    '$0.12, 1 min 15 s, 12,345 tokens, 1 turn'
    """
    parts = [money(cost.usd), duration(cost.seconds)]
    parts += [count(cost.tokens, "token")] if cost.tokens else []
    parts += [count(cost.turns, "turn")] if cost.turns else []
    return ", ".join(parts)


def _rows(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested provenance as flat rows of readable name and value."""
    for key, value in mapping.items():
        name = f"{prefix}{key}".replace("_", " ")
        match value:
            case dict():
                yield from _rows(value, f"{name}: ")
            case list():
                shown = ", ".join(str(entry) for entry in value[:_MAX_ENTRIES])
                rest = len(value) - _MAX_ENTRIES
                yield name, (f"{shown} and {rest} more" if rest > 0 else shown or "none")
            case None:
                yield name, "none"
            case bool():
                yield name, "yes" if value else "no"
            case _:
                yield name, str(value)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
