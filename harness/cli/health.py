"""The command about the health of a benchmark."""

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from harness.bank_files import load_bank
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
    from rich.table import Table

    from harness.health.assess import Health
    from harness.health.better.greedy import Budget
    from harness.responses.ratings import Grader, Ratings

_TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("responses", type=RESPONSES_PATH, nargs=-1, required=True)
@click.option("--bank", "-b", help="A calibrated bank; without one, the outcomes calibrate theirs.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@click.option(
    "--agents",
    type=_TABLE,
    help="CSV about the agents: agent, and any of llm, family, scaffold, date, cutoff.",
)
@click.option(
    "--items",
    type=_TABLE,
    help="CSV about the items: item, created, and attributes such as a topic or a testlet.",
)
@click.option("--ratings", type=_TABLE, help="CSV of ratings: agent, item, judge, rating.")
@click.option(
    "--high-is",
    type=click.Choice(["better", "worse"]),
    help="What a high rating says of the agent; for the words.",
)
@click.option(
    "--graders",
    metavar="COLUMN,COLUMN",
    help="Two columns of the outcomes, filled by two graders that may contradict each other; "
    "'label>=2,rule<=0' says when each holds that the agent did well.",
)
@click.option(
    "--score",
    metavar="LADDER",
    help="Make categories of columns of a table, as in 'score>=0.3 then score>=0.8'.",
)
@click.option("--labels", metavar="LOW,…,HIGH", help="Category labels, lowest first.")
@click.option(
    "--in-order",
    is_flag=True,
    help="The rows of each agent stand in the order of administration, as in runs of this program: "
    "also look for drift.",
)
@click.option("--name", metavar="TEXT", help="Of the benchmark; the name of its file by default.")
@click.option(
    "--keep",
    metavar="SIZE",
    help="Of the smaller benchmark to look for: 50 items, 80% of the information, $20 or 90min; a "
    "tenth of the items by default.",
)
@click.option(
    "--keep-for",
    type=click.Choice(["agents", "newest"]),
    default="agents",
    show_default=True,
    help="Whose abilities the smaller benchmark is to tell apart: all agents', or those of the "
    "newest quarter.",
)
@click.option(
    "--clean",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the bank without what is wrong with it, and a log of the changes.",
)
@click.option(
    "--fail-on",
    metavar="KIND,…",
    help="Exit with 1 when something of these kinds is flagged, as in 'reversed,duplicate'.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of random draws."
)
@json_option
def health(
    responses: tuple[Path, ...],
    bank: str | None,
    out: Path | None,
    agents: Path | None,
    items: Path | None,
    ratings: Path | None,
    high_is: Literal["better", "worse"] | None,
    graders: str | None,
    score: str | None,
    labels: str | None,
    in_order: bool,
    name: str | None,
    keep: str | None,
    keep_for: Literal["agents", "newest"],
    clean: Path | None,
    fail_on: str | None,
    seed: int,
    json_target: str | None,
) -> int:
    """What is wrong with a benchmark, which tasks to drop, and which to write next.

    Reads logged outcomes of agents on its items, looks for items, graders and agents that do not
    fit, and for what the benchmark cannot measure, and says what to do about each.
    """
    from harness.health.assess import assess
    from harness.health.better.clean import clean_bank, save_cleaned
    from harness.health.evidence import About, gather
    from harness.responses import read_responses
    from harness.responses.about import read_about
    from harness.responses.ratings import read_ratings

    budget = _budget(keep) if keep else None
    kinds = _kinds(fail_on)
    if clean is not None and clean.is_dir() and any(clean.iterdir()):
        raise PlanError(f"{clean} exists and is not empty; name another folder with --clean")
    known = load_bank(bank) if bank else None
    logged = read_responses(
        responses,
        known,
        labels.split(",") if labels else None,
        score,
        lenient=True,
    )
    about = About(
        read_about(agents, "agent", logged.agents) if agents else {},
        read_about(items, "item", logged.items) if items else {},
    )
    rated = read_ratings(ratings) if ratings else None
    grades = _grades(responses, graders) if graders else None
    with progress_bars() as progress:
        progress("calibrating", 0, 1)
        evidence = gather(logged, known, about)
        found = assess(
            evidence,
            name=name,
            ratings=rated,
            high_is=high_is,
            grades=grades,
            in_order=in_order,
            budget=budget,
            subset_for=keep_for,
            seed=seed,
            progress=progress,
        )
    cleaned = clean_bank(evidence, found.flags) if clean is not None else None
    if cleaned is not None and clean is not None:
        save_cleaned(cleaned, clean)
        say(f"Bank: {clean}    Changes: {clean / 'CHANGES.md'}")
    if json_target is not None:
        write_json(to_json(_plain(found)), json_target)
    if json_target != "-":
        _print(found)
    if out is not None:
        from harness.report.health.page import render_health_page

        write_page(render_health_page(found, evidence, cleaned), out)
    failed = sorted({flag.kind for flag in found.flags} & kinds)
    if failed:
        say(f"Flagged, and asked to fail on: {', '.join(failed)}")
    return 1 if failed else 0


def _budget(text: str) -> "Budget":
    from harness.health.better.greedy import Budget

    match = re.fullmatch(
        r"(?P<tasks>[0-9]+)|\$(?P<usd>[0-9.]+)|(?P<minutes>[0-9.]+) ?min|(?P<share>[0-9.]+)%", text
    )
    try:
        if match and match["tasks"]:
            return Budget(tasks=int(match["tasks"]))
        if match and match["share"]:
            return Budget(share=float(match["share"]) / 100)
        if match and match["usd"]:
            return Budget(usd=float(match["usd"]))
        if match:
            return Budget(minutes=float(match["minutes"]))
    except ValueError:
        pass
    raise PlanError(
        "--keep takes a number of items, a share of the information, dollars or minutes, as in 50, "
        f"80%, $20 or 90min, not {text!r}"
    )


def _kinds(text: str | None) -> set[str]:
    from harness.health.flags import Kind

    asked = {part.strip() for part in text.split(",")} if text else set()
    if unknown := sorted(asked - {*get_args(Kind)}):
        raise PlanError(
            f"--fail-on: unknown kind {unknown[0]!r}; known: {', '.join(sorted(get_args(Kind)))}"
        )
    return asked


def _grades(paths: tuple[Path, ...], text: str) -> "tuple[Ratings, tuple[Grader, Grader]]":
    from harness.responses.ratings import parse_graders, read_graders

    graders = parse_graders(text)
    if len(paths) != 1:
        raise PlanError("--graders names two columns of one file of outcomes; give a single file")
    return read_graders(paths[0], [grader.column for grader in graders]), graders


def _plain(found: "Health") -> dict[str, Any]:
    """With flags and cautions of all parts first."""
    every = {field.name: getattr(found, field.name) for field in fields(found)}
    return {"flags": found.flags, "cautions": found.cautions, **every}


def _print(found: "Health") -> None:
    print_table(_table(found))
    for note in (*found.notes, *found.cautions):
        click.echo(f"note: {note}")


def _table(found: "Health") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from harness.health.flags import by_kind, names_of
    from harness.report.sections_page import shortened
    from harness.report.wording import count, sentence

    title = (
        f"{count(len(found.flags), 'flag')} on {count(found.items, 'item')} and "
        f"{count(found.agents, 'agent')}"
    )
    table = Table(title=title, title_justify="left", box=None)
    for head in ("what", "flags", "about", "what to do"):
        table.add_column(head, justify="right" if head == "flags" else "left", overflow="fold")
    for kind, flags in by_kind(found.flags).items():
        cells = kind, str(len(flags)), shortened(names_of(flags), 3), sentence(flags[0].action)
        table.add_row(*(escape(cell) for cell in cells))
    return table
