"""Commands about series: many short sessions over the checkpoints of a training run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.agent_options import agent_args_option, model_args_option
from harness.cli.common import json_option, print_table, say, to_json, write_json, write_page
from harness.cli.series_init import init, of_series, root_option
from harness.cli.series_status import print_status, summary_of
from harness.cli.series_watch import watch
from harness.cli.series_work import (
    check_checkpoint,
    next_session,
    run_series,
    warn_of_unit,
)

if TYPE_CHECKING:
    from rich.table import Table


@click.group()
def series() -> None:
    """Follow a training run: few tasks a checkpoint, and an alarm where ability falls."""


for _command in (init, next_session, run_series, watch):
    series.add_command(_command)


@series.command()
@of_series
@click.argument("step", type=click.IntRange(0))
@click.argument("model", required=False)
@click.option("--agent", "-a", help="Of this checkpoint, in place of that of the series.")
@agent_args_option
@model_args_option
@click.option(
    "--serve",
    metavar="COMMAND",
    default="",
    help="Shell command that serves the checkpoint, prints its URL and is stopped afterwards; "
    "{step}, {path} and {port} are filled in.",
)
@click.option("--path", default="", help="Where its weights are, for {path}.")
@click.option(
    "--jump",
    is_flag=True,
    help="Something that may have moved ability far came before it: new data, a fine-tune.",
)
@click.option("--note", default="", metavar="TEXT", help="For people.")
@json_option
def add(
    name: str,
    root: Path,
    step: int,
    model: str | None,
    agent: str | None,
    agent_args: tuple[tuple[str, str], ...],
    model_args: tuple[tuple[str, str], ...],
    serve: str,
    path: str,
    jump: bool,
    note: str,
    json_target: str | None,
) -> int:
    """Register the checkpoint of a training step; nothing is run.

    MODEL is any model that Inspect knows; that of the series by default.
    """
    from harness.series.definition import read_definition
    from harness.series.files import Registered, register
    from harness.series.settings import absolute_agent
    from harness.series.state import find_series

    folder = find_series(name, root)
    definition = read_definition(folder)
    checkpoint = Registered(
        step=step,
        model=model,
        agent=absolute_agent(agent) if agent else None,
        model_args=model_args,
        agent_args=agent_args,
        serve=serve,
        path=str(Path(path).resolve()) if Path(path).exists() and path else path,
        jump=jump,
        at=time.time(),
        note=note,
    )
    check_checkpoint(definition, checkpoint)
    file = register(folder, checkpoint)
    warn_of_unit(folder, definition)
    say(f"Next: cat-harness series run {folder}")
    if json_target is not None:
        write_json(to_json(asdict(checkpoint)), json_target)
    if json_target != "-":
        click.echo(str(file))
    return 0


@series.command()
@of_series
@json_option
def status(name: str, root: Path, json_target: str | None) -> int:
    """Where a series stands: ability, alarms, what runs, what was spent, and what is next."""
    from harness.series.state import find_series, load_series, next_proposal

    loaded = load_series(find_series(name, root))
    if json_target is not None:
        write_json(to_json(summary_of(loaded)), json_target)
    if json_target != "-":
        print_status(loaded, next_proposal(loaded))
    return 0


@series.command()
@of_series
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page; report.html in the folder of the series by default.",
)
@json_option
def report(name: str, root: Path, out: Path | None, json_target: str | None) -> int:
    """Write one self-contained HTML page about a series."""
    from harness.series.state import find_series, load_series

    folder = find_series(name, root)
    summary = summary_of(load_series(folder))
    if json_target is not None:
        write_json(to_json(summary), json_target)
    if json_target != "-":
        from harness.report.series.page import render_series

        write_page(render_series(summary), out or folder / "report.html")
    return 0


@series.command()
@of_series
@json_option
def rebuild(name: str, root: Path, json_target: str | None) -> int:
    """Make the database of a series anew from its files."""
    from harness.report.wording import count
    from harness.series.definition import read_definition
    from harness.series.index import rebuild as rebuilt
    from harness.series.state import find_series

    folder = find_series(name, root)
    index = rebuilt(folder, read_definition(folder), say=say)
    works = index.works()
    index.close()
    if json_target is not None:
        write_json(to_json({"sessions": [asdict(work) for work in works]}), json_target)
    if json_target != "-":
        click.echo(f"{count(len(works), 'session')} of {name} read from {folder}")
    return 0


@series.command("list")
@root_option
@json_option
def list_series(root: Path, json_target: str | None) -> int:
    """The series that there are."""
    from harness.series import definition, files

    rows = []
    for file in sorted(root.glob(f"*/{definition.NAME}")):
        found = definition.read_definition(file.parent)
        steps = [checkpoint.step for checkpoint in files.registered(file.parent)]
        rows.append(
            {
                "name": found.name,
                "folder": str(file.parent),
                "banks": [bank.name for bank in found.banks],
                "checkpoints": len(steps),
                "last_step": steps[-1] if steps else None,
                "sessions": len(files.work_ids(file.parent)),
            }
        )
    if json_target is not None:
        write_json(to_json(rows), json_target)
    if json_target != "-":
        print_table(_table(rows))
    return 0


def _table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("series", "banks", box=None)
    for head in ("checkpoints", "last step", "sessions"):
        table.add_column(head, justify="right")
    for row in rows:
        numbers = [str(row[key] or "-") for key in ("checkpoints", "last_step", "sessions")]
        table.add_row(escape(row["name"]), escape(", ".join(row["banks"])), *numbers)
    return table
