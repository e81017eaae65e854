"""The command that holds cold-start predictions against what happened."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    print_table,
    progress_bars,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.errors import PlanError

if TYPE_CHECKING:
    from harness.coldstart.benchmark import Benchmark
    from harness.report.sections import Grid
    from harness.report.sections_page import Page
    from harness.study.parallel import Ticks

Asked = Literal["tasks", "responses", "agents", "agents-by-date", "pairs", "benchmark", "session"]


@click.command("cold-start")
@click.argument("responses", type=RESPONSES_PATH)
@click.option(
    "--protocol",
    type=click.Choice(get_args(Asked)),
    default="tasks",
    show_default=True,
    help="What is new: tasks, responses (cells), agents, the newest agents, pairs of model and "
    "scaffold, or the whole benchmark; session tests agents on tasks that nobody has tried.",
)
@click.option(
    "--features",
    "features",
    metavar="NAME=FILE",
    multiple=True,
    help="Features of the tasks, a block a file: CSV with item and any columns. Repeatable.",
)
@click.option(
    "--agents",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with agent, llm, scaffold and date, where the responses do not have them.",
)
@click.option(
    "--score", metavar="LADDER", help="What a pass is, as in 'category>=2'; see docs/scoring.md."
)
@click.option(
    "--with",
    "others",
    metavar="NAME=RESPONSES",
    multiple=True,
    help="For benchmark and session: another benchmark to predict from. Repeatable.",
)
@click.option(
    "--with-features",
    metavar="NAME=FILE",
    multiple=True,
    help="Features of the tasks of the other benchmarks, in blocks of the same names. Repeatable.",
)
@click.option(
    "--select",
    metavar="SELECTOR",
    multiple=True,
    help="For session: what to choose by, several times for several.",
)
@click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="Processes."
)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def cold_start(
    responses: Path,
    protocol: Asked,
    features: tuple[str, ...],
    agents: Path | None,
    score: str | None,
    others: tuple[str, ...],
    with_features: tuple[str, ...],
    select: tuple[str, ...],
    jobs: int,
    out: Path | None,
    json_target: str | None,
) -> int:
    """How well what nobody has seen is told beforehand: new tasks, agents, pairs, benchmarks.

    RESPONSES are outcomes that are known. Parts of them are set aside, told from the rest by
    several methods, and compared with what happened: how well successes are told from failures
    (AUC), log score, calibration, and whether stated intervals hold.
    """
    if protocol == "benchmark" and not others:
        raise PlanError("the protocol benchmark predicts from others: give --with NAME=RESPONSES")
    if others and protocol not in ("benchmark", "session"):
        raise PlanError(f"--with is for the protocols benchmark and session, not for {protocol}")
    if select and protocol != "session":
        raise PlanError(f"--select is for the protocol session, not for {protocol}")
    asked = _benchmark(responses.name, responses, features, agents, score)
    elsewhere = _elsewhere(others, with_features, score)
    with progress_bars() as progress:
        found, page = _run(protocol, asked, elsewhere, select, jobs, progress)
    if json_target is not None:
        write_json(to_json(found), json_target)
    if json_target != "-":
        from harness.report.sections import Grid

        for section in page.sections:
            for part in section.parts:
                if isinstance(part, Grid):
                    print_table(_table(part))
            click.echo(section.finding)
    if out is not None:
        from harness.report.sections_page import render_sections

        write_page(render_sections(page), out)
    return 0


def _run(
    protocol: Asked,
    asked: "Benchmark",
    others: Sequence["Benchmark"],
    select: Sequence[str],
    jobs: int,
    progress: "Ticks",
) -> "tuple[Any, Page]":
    from harness.report.coldstart_page import protocol_page
    from harness.report.coldstart_sessions import session_page

    program = version("cat-harness")
    if protocol == "session":
        from harness.coldstart.sessions import SELECTORS, run_cold_sessions

        tested = run_cold_sessions(
            asked, select or SELECTORS, others=others, jobs=jobs, progress=progress
        )
        return tested, session_page(tested, program)
    if protocol == "benchmark":
        from harness.coldstart.elsewhere import tell_benchmark

        told = tell_benchmark(asked, others)
    else:
        from harness.coldstart.run import run_protocol

        told = run_protocol(protocol, asked, jobs=jobs, progress=progress)
    return told, protocol_page(told, program)


def _benchmark(
    name: str, path: Path, features: Sequence[str], agents: Path | None, score: str | None
) -> "Benchmark":
    from harness.coldstart.benchmark import make_benchmark
    from harness.features import feature_files, read_features
    from harness.responses import read_responses
    from harness.responses.parts import with_parts

    logged = read_responses(path, score=score)
    if agents is not None:
        logged = with_parts(logged, agents)
    tables = feature_files(features)
    known = read_features(tables, lambda text: say(f"remark: {text}")) if tables else None
    return make_benchmark(name, logged, known)


def _elsewhere(
    others: Sequence[str], features: Sequence[str], score: str | None
) -> "list[Benchmark]":
    found = []
    for text in others:
        name, sign, path = text.partition("=")
        if not sign or not name or not Path(path).exists():
            raise PlanError(f"--with needs NAME=RESPONSES with a file that exists, not {text!r}")
        found.append(_benchmark(name, Path(path), features, None, score))
    if features and not others:
        raise PlanError("--with-features is for benchmarks that --with gives")
    return found


def _table(grid: "Grid") -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=grid.title or None, title_justify="left", box=None)
    for place, head in enumerate(grid.heads):
        table.add_column(escape(head), justify="right" if place else "left")
    for row in grid.rows:
        table.add_row(*map(escape, row))
    return table
