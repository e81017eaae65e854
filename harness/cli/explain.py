"""The commands ``explain …``: why an agent fails what it fails, and why a task is hard."""

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.bank import ItemBank
from harness.bank_files import find_bank, load_bank
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    print_table,
    say,
    to_json,
    write_json,
    write_page,
)

if TYPE_CHECKING:
    from rich.table import Table

    from harness.predict.predictor import Predictor
    from harness.regression import Features
    from harness.responses import Responses

F = TypeVar("F", bound=Callable[..., Any])

_ROWS = 12
_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.group()
def explain() -> None:
    """Why an agent fails what it fails, and why a task is hard."""


def _options(function: F) -> F:
    for option in reversed(
        [
            click.option(
                "--bank",
                "-b",
                "bank_name",
                required=True,
                metavar="BANK",
                help="Folder of a calibrated bank of one ability, or the name of a shipped one.",
            ),
            click.option(
                "--responses",
                "-r",
                type=RESPONSES_PATH,
                multiple=True,
                required=True,
                help="Outcomes of many agents, as calibrate reads them; from a folder of runs, "
                "traces are named. Repeatable.",
            ),
            click.option(
                "--features",
                "tables",
                multiple=True,
                metavar="NAME=FILE",
                help="CSV of features of the tasks, item first, as block NAME. Repeatable.",
            ),
            click.option(
                "--agents",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                metavar="FILE",
                help="CSV with model, scaffold and date of agents: agent,llm,scaffold,date.",
            ),
            click.option(
                "--cut",
                type=_SHARE,
                default=0.05,
                show_default=True,
                help="False sign rate up to which an effect counts as found.",
            ),
            click.option(
                "--bound",
                type=_SHARE,
                default=0.02,
                show_default=True,
                help="Probability at or below which a single outcome is a surprise.",
            ),
            click.option(
                "--level", type=_SHARE, default=0.9, show_default=True, help="Of the intervals."
            ),
            click.option(
                "--out",
                "-o",
                type=click.Path(dir_okay=False, path_type=Path),
                help="An HTML page about it.",
            ),
            json_option,
        ]
    ):
        function = option(function)
    return function


@explain.command("agent")
@click.argument("name", metavar="AGENT")
@_options
def explain_agent_command(
    name: str,
    bank_name: str,
    responses: tuple[Path, ...],
    tables: tuple[str, ...],
    agents: Path | None,
    cut: float,
    bound: float,
    level: float,
    out: Path | None,
    json_target: str | None,
) -> None:
    """Which kinds of tasks AGENT fails more or less than its ability says.

    Kinds are the tags of the bank's items and the features that are given. Besides: single
    outcomes that surprise, with their traces where outcomes come from runs; what a better model or
    scaffold would change; and whether agents differ by kind of task at all.
    """
    from harness.explain.agent import explain_agent
    from harness.explain.traces import find_traces

    bank = load_bank(find_bank(bank_name))
    features, notes = _features(tables)
    logged = _read(responses, bank, agents)
    found = explain_agent(bank, logged, name, features, level=level, cut=cut, bound=bound)
    traces = find_traces(responses, name)
    for note in (*notes, *found.notes):
        say(f"remark: {note}")
    if json_target is not None:
        write_json(to_json({"explained": found, "traces": traces}), json_target)
    if json_target != "-":
        from harness.report.explain.words import KIND_HEADS, agent_lines, kind_cells

        if found.kinds:
            title = f"{found.agent}: ability {found.ability:.2f} ± {found.sd:.2f}"
            rows = [kind_cells(one) for one in found.kinds[:_ROWS]]
            print_table(_table(title, KIND_HEADS, rows))
            if len(found.kinds) > _ROWS:
                click.echo(f"and {len(found.kinds) - _ROWS} more kinds: see --json or --out")
        for line in agent_lines(found, traces):
            click.echo(line)
    if out is not None:
        from harness.report.explain.agent_page import render_agent_page

        write_page(render_agent_page(found, traces, version("cat-harness"), out), out)


@explain.command("task")
@click.argument("name", metavar="TASK")
@_options
def explain_task_command(
    name: str,
    bank_name: str,
    responses: tuple[Path, ...],
    tables: tuple[str, ...],
    agents: Path | None,
    cut: float,
    bound: float,
    level: float,
    out: Path | None,
    json_target: str | None,
) -> None:
    """Why TASK is hard, and for whom it is harder than for others.

    What features say of its difficulty and what they leave unexplained; groups of agents (model
    family, scaffold, date) that do better or worse on it than their abilities say; agents whose
    outcome surprises; and the tasks that are nearest to it.
    """
    from harness.explain.task import explain_task

    folder = find_bank(bank_name)
    bank = load_bank(folder)
    features, notes = _features(tables)
    logged = _read(responses, bank, agents)
    found = explain_task(
        bank, logged, name, features, _predictor(folder), level=level, cut=cut, bound=bound
    )
    for note in (*notes, *found.notes):
        say(f"remark: {note}")
    if json_target is not None:
        write_json(to_json(found), json_target)
    if json_target != "-":
        from harness.report.explain.words import GROUP_HEADS, group_cells, task_lines

        if found.groups:
            title = f"{found.item}: difficulty {found.difficulty:.2f} ± {found.sd:.2f}"
            rows = [group_cells(one) for one in found.groups[:_ROWS]]
            print_table(_table(title, GROUP_HEADS, rows))
        for line in task_lines(found):
            click.echo(line)
    if out is not None:
        from harness.report.explain.task_page import render_task_page

        write_page(render_task_page(found, version("cat-harness")), out)


def _read(paths: Sequence[Path], bank: ItemBank, agents: Path | None) -> "Responses":
    from harness.responses import read_responses
    from harness.responses.parts import with_parts

    logged = read_responses(paths, bank)
    return logged if agents is None else with_parts(logged, agents)


def _features(tables: Sequence[str]) -> "tuple[Features | None, list[str]]":
    from harness.features.tables import feature_files, read_features

    notes: list[str] = []
    return (read_features(feature_files(tables), notes.append) if tables else None), notes


def _predictor(folder: Path) -> "Predictor | None":
    from harness.predict.predictor import FILE, load_predictor

    return load_predictor(folder) if (folder / FILE).is_file() else None


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from harness.report.wording import printable

    table = Table(title=escape(printable(title)), title_justify="left", box=None)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell, 60)) for cell in row))
    return table
