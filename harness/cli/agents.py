"""Commands about what agents are made of: models, scaffolds and dates."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank_files import find_bank, load_bank, save_calibrants
from harness.cli.agent_options import AGENTS_TABLE, agents_option
from harness.cli.agents_link import link
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    print_table,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.errors import InputError, PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.bank import ItemBank
    from harness.parts.ability import Kind, Parts
    from harness.parts.rank import Ranking

REFUSED = 3


@click.group()
def agents() -> None:
    """Models, scaffolds and dates of agents, and what they say of ability."""


agents.add_command(link)


@agents.command()
@click.argument("responses", type=RESPONSES_PATH, nargs=-1)
@click.option("--bank", "-b", help="The calibrating agents of a bank.")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="CSV",
    help="Where the table is written; a file that is there is kept.",
)
@json_option
def suggest(
    responses: tuple[Path, ...], bank: str | None, out: Path, json_target: str | None
) -> None:
    """Propose model, scaffold and date of agents from their names, for you to review.

    Nothing is applied: write yes or no in the column 'use' of every row, mend what is wrong, and
    give the table to calibrate --agents, agents apply or agents rank --agents.
    """
    from harness.parts.suggest import suggest_parts, write_suggestions

    named = dict(_named(responses, bank))
    if not named:
        raise PlanError("there are no agents: give outcomes, or --bank BANK")
    models, scaffolds = _shipped_names()
    rows = suggest_parts(list(named.items()), models, scaffolds)
    write_suggestions(rows, out)
    whole = sum(bool(row.parts.llm and row.parts.scaffold) for row in rows)
    say(
        f"{out}: {len(rows)} agents, {whole} of them with model and scaffold; write yes or no in "
        "column 'use' of every row"
    )
    if json_target is not None:
        write_json(to_json(rows), json_target)


def _named(responses: tuple[Path, ...], bank: str | None) -> "Iterator[tuple[str, Parts]]":
    from harness.parts.ability import Parts, parts_of
    from harness.responses import read_responses

    if bank is not None:
        for calibrant in load_bank(bank).calibrants:
            yield calibrant.agent, parts_of(calibrant)
    if responses:
        found = read_responses(list(responses))
        for agent, *about in zip(found.agents, found.llm, found.scaffold, found.date, strict=True):
            yield agent, Parts(*about)


def _shipped_names() -> tuple[list[str], list[str]]:
    """Models and scaffolds of the banks that are shipped."""
    from harness.shipped import shipped

    known = [
        calibrant
        for path in sorted(shipped("item_banks").glob("*/bank.yaml"))
        for calibrant in load_bank(path.parent).calibrants
    ]
    models, scaffolds = ({getattr(c, name) for c in known} - {""} for name in ("llm", "scaffold"))
    return sorted(models), sorted(scaffolds)


@agents.command()
@click.argument("table", type=AGENTS_TABLE)
@click.option("--bank", "-b", required=True, help="Folder of the bank that is written to.")
@json_option
def apply(table: Path, bank: str, json_target: str | None) -> None:
    """Write models, scaffolds and dates into the calibrating agents of a bank.

    TABLE: agent and any of llm, scaffold and date. Items stay, and so does the hash of the bank.
    """
    from harness.parts.ability import lacks_parts
    from harness.responses.parts import bank_with_parts

    folder = find_bank(bank)
    told = bank_with_parts(load_bank(folder), table)
    save_calibrants(told, folder)
    known = sum(bool(c.llm or c.scaffold) for c in told.calibrants)
    path, count = folder / "agents.csv", len(told.calibrants)
    if json_target is not None:
        facts = {"agents_csv": str(path), "agents": count, "with_model_or_scaffold": known}
        write_json(to_json(facts), json_target)
    say(f"{path}: {known} of {count} agents with model or scaffold")
    if problem := lacks_parts(told):
        say(f"warning: {problem}, so that abilities can be told from parts")


@agents.command()
@click.option("--bank", "-b", required=True, help="A calibrated bank.")
@click.option(
    "--by",
    type=click.Choice(["model", "scaffold"]),
    help="What is ranked; both by default.",
)
@click.option(
    "--responses",
    "-r",
    type=RESPONSES_PATH,
    help="Outcomes of agents on items of the bank, in place of the agents that it was calibrated "
    "with.",
)
@agents_option
@click.option("--level", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def rank(
    bank: str,
    by: "Kind | None",
    responses: Path | None,
    agents_table: Path | None,
    level: float,
    out: Path | None,
    json_target: str | None,
) -> int:
    """Rank models and scaffolds by the ability of the agents that they make.

    Each with an interval, how many agents it was seen in, and how many partners tie it to the
    others: a model that was seen with no shared scaffold cannot be told from its scaffold.

    Exit code 3 when nothing can be ranked.
    """
    from harness.parts.ability import KINDS, fit_parts
    from harness.parts.rank import rank_parts, sentences

    items = described(bank, agents_table, responses)
    model = fit_parts(items)
    rankings, refusals = [], []
    for kind in (by,) if by else KINDS:
        try:
            rankings.append(rank_parts(items, model, kind, level))
        except InputError as error:
            refusals.append(str(error))
    if json_target is not None:
        write_json(to_json({"rankings": rankings, "refusals": refusals}), json_target)
    if json_target != "-":
        for ranking in rankings:
            print_table(_rank_table(ranking))
            for sentence in sentences(ranking):
                click.echo(sentence)
            click.echo()
        for refusal in refusals:
            click.echo(f"Not ranked: {refusal}.")
    if out is not None and rankings:
        from harness.report.parts_page import render_rank_page

        write_page(render_rank_page(rankings, refusals, version("cat-harness")), out)
    return 0 if rankings else REFUSED


def described(bank: str, table: Path | None, responses: Path | None = None) -> "ItemBank":
    """A bank whose agents are those of outcomes, where there are any, with parts from a table."""
    from harness.responses.parts import bank_with_parts, with_parts

    items = load_bank(bank)
    if responses is None:
        return bank_with_parts(items, table) if table else items
    from harness.parts.rank import measured_bank
    from harness.responses import read_responses

    logged = read_responses(responses, items)
    return measured_bank(items, with_parts(logged, table) if table else logged)


def _rank_table(ranking: "Ranking") -> object:
    from rich.markup import escape
    from rich.table import Table

    from harness.report.parts_page import RANK_HEADS, rank_cells

    title = f"{ranking.by.capitalize()}s on {ranking.bank}; {ranking.level:.0%} intervals"
    table = Table(title=title, title_justify="left", box=None)
    for place, head in enumerate(RANK_HEADS[ranking.by]):
        table.add_column(head, justify="right" if place else "left")
    for effect in ranking.effects:
        table.add_row(*(escape(cell) for cell in rank_cells(effect)))
    return table
