"""The command that holds plans against each other on the known outcomes of many agents.

``study PLAN`` is as old as the program, so ``study`` is a command of its own beside being the group
of other studies.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.bank_files import load_bank
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    print_table,
    progress_bars,
    to_json,
    write_json,
    write_page,
)
from harness.cli.study_cold_start import cold_start
from harness.errors import PlanError

if TYPE_CHECKING:
    from rich.table import Table

    from harness.report.study_page import TableView
    from harness.study import StudyPlan, StudyResult


class _Study(click.Group):
    """A group whose commands come first; anything else is for the command that has no name."""

    def __init__(self, unnamed: click.Command) -> None:
        super().__init__(unnamed.name, params=unnamed.params, help=unnamed.help)
        self.unnamed = unnamed

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        named = self.commands.get(args[0]) if args else None
        if named is None:
            return self.unnamed.make_context(info_name, args, parent, **extra)
        # a command's usage shows the arguments of those above it, and PLAN is none of them
        above = click.Context(click.Command(self.name), parent, info_name, **extra)
        return named.make_context(args[0], args[1:], above)

    def invoke(self, ctx: click.Context) -> Any:
        return ctx.command.invoke(ctx)


@click.command("study")
@click.argument(
    "plan", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--bank", "-b", help="Without PLAN: the bank to test all agents with.")
@click.option(
    "--responses", "-r", type=RESPONSES_PATH, help="Without PLAN: the outcomes of the agents."
)
@click.option(
    "--select",
    multiple=True,
    help="Without PLAN: a selector to test, several times for several; max-information by default.",
)
@click.option("--sizes", metavar="N,…", help="Numbers of items to compare at.")
@click.option("--seeds", type=click.IntRange(1), help="How often all is repeated.")
@click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="Processes."
)
@click.option("--dry-run", is_flag=True, help="Say what would be run and how long it would take.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def _study(
    plan: Path | None,
    bank: str | None,
    responses: Path | None,
    select: tuple[str, ...],
    sizes: str | None,
    seeds: int | None,
    jobs: int,
    dry_run: bool,
    out: Path | None,
    json_target: str | None,
) -> int:
    """Which plan comes nearest to the whole benchmark, with how many items, and by how much.

    PLAN is a YAML file with plans, outcomes, and how agents are split into those that calibrate
    and those that are tested. Or give --bank and --responses. --sizes and --seeds win over PLAN.

    Another study has a name of its own: cat-harness study cold-start --help.
    """
    from harness.responses import read_responses
    from harness.study import measure_study, run_study

    asked = _asked(plan, bank, responses, select, sizes, seeds)
    items = load_bank(asked.bank) if asked.bank else None
    logged = read_responses(asked.responses, items, score=asked.score)
    if dry_run:
        _rehearse(asked, logged, items, jobs)
        return 0
    with progress_bars() as progress:
        done = run_study(asked, logged, items, jobs=jobs, progress=progress)
        found = measure_study(done, progress)
    if json_target is not None:
        write_json(to_json(found), json_target)
    if json_target != "-":
        _print(found)
    if out is not None:
        from harness.report.study_page import render_study_page

        write_page(render_study_page(found), out)
    return 0


study = _Study(_study)
study.add_command(cold_start)


def _asked(
    plan: Path | None,
    bank: str | None,
    responses: Path | None,
    select: tuple[str, ...],
    sizes: str | None,
    seeds: int | None,
) -> "StudyPlan":
    """The plan of a file, or that of the options."""
    from harness.study import parse_study, read_study

    if plan is not None:
        if bank or responses or select:
            raise PlanError(
                "a plan file has entries for the bank, the outcomes and the selectors: leave out "
                "--bank, --responses and --select, or the file"
            )
        found = read_study(plan)
    elif bank is None or responses is None:
        raise PlanError("give a plan file, or both --bank and --responses")
    else:
        chosen = [{"select": text} for text in select or ("max-information",)]
        found = parse_study(
            {
                "name": responses.name,
                "responses": str(responses),
                "bank": bank,
                "split": {"by": "none", "seeds": 1},
                "plans": chosen,
            },
            "the options",
        )
    changed: dict[str, Any] = {"sizes": _numbers(sizes)} if sizes else {}
    if seeds:
        changed["split"] = found.split.model_copy(update={"seeds": seeds})
    return found.model_copy(update=changed)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or list(numbers) != sorted(set(numbers)):
        raise PlanError(f"--sizes needs ascending numbers such as 5,10,20, not {text!r}")
    return numbers


def _rehearse(asked: "StudyPlan", logged: Any, bank: Any, jobs: int) -> None:
    from harness.report.wording import count, duration
    from harness.study import rehearse

    found = rehearse(asked, logged, bank)
    if found.fits:
        click.echo(
            f"{count(found.fits, 'calibration')} of {asked.model}, about "
            f"{duration(found.seconds_a_fit)} each"
        )
    click.echo(
        f"{count(found.sessions, 'session')} of {count(len(asked.plans), 'plan')}, each of up to "
        f"{max(asked.sizes)} items or to its stopping rule; up to {count(found.agents, 'agent')} "
        "in lockstep"
    )
    if asked.baselines:
        click.echo(f"baselines: {', '.join(asked.baselines)}")
    click.echo(
        f"about {duration(max(found.seconds, 1))} in one process"
        + (f", less with {jobs}" if jobs > 1 else "")
        + "; measured on a small part"
    )


# --- what is printed --------------------------------------------------------------------------


def _print(found: "StudyResult") -> None:
    from harness.report.study_page import coverage_by_size, error_table

    print_table(_table("Mean absolute error of the predicted score, points", error_table(found)))
    for level, view in coverage_by_size(found):
        if view.rows:
            print_table(_table(f"Coverage of {level} intervals of the score", view))
    for sentence in (*found.verdict, *(f"warning: {text}" for text in found.warnings)):
        click.echo(sentence)


def _table(title: str, view: "TableView") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from harness.report.wording import printable

    table = Table(title=title, title_justify="left", box=None)
    for place, head in enumerate(view.heads):
        table.add_column(escape(head), justify="right" if place else "left")
    for row in view.rows:
        cells = [
            escape(f"{cell.value} [{cell.interval}]" if cell.interval else cell.value)
            for cell in row.cells
        ]
        style = "bold" if row.best else "dim" if row.baseline else None
        table.add_row(escape(printable(row.name, 40)), *cells, style=style)
    return table
