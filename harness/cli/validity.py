"""The command that tells what benchmarks say of one another."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank_files import load_bank
from harness.cli.common import json_option, print_table, say, to_json, write_json, write_page
from harness.errors import PlanError

if TYPE_CHECKING:
    from rich.table import Table

    from harness.bank import ItemBank
    from harness.responses import Responses
    from harness.validity import Matching, Validity
    from harness.validity.mapping import By

REFUSED = 3


@click.command()
@click.argument("benchmarks", metavar="NAME=RESPONSES…", nargs=-1, required=True)
@click.option(
    "--map",
    "mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV that says which agents are the same: benchmark,agent,key; agents of one key, such as "
    "a model under several scaffolds, are taken together.",
)
@click.option(
    "--by",
    type=click.Choice(["llm", "agent"]),
    help="Match without a mapping: agents whose models (column llm), or whose own names, are "
    "exactly equal.",
)
@click.option(
    "--suggest-map",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a mapping by likeness of names, for you to review; nothing else is done.",
)
@click.option(
    "--given",
    metavar="NAME",
    help="Capability measure to hold fixed: one of the benchmarks, NAME=RESPONSES, or a column "
    "with numbers in the mapping.",
)
@click.option(
    "--banks",
    metavar="NAME=BANK",
    multiple=True,
    help="A calibrated bank of a benchmark; others are calibrated on the outcomes. Repeatable.",
)
@click.option(
    "--fewest",
    type=click.IntRange(4),
    default=8,
    show_default=True,
    help="Shared agents that a pair needs.",
)
@click.option("--level", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def validity(
    benchmarks: tuple[str, ...],
    mapping: Path | None,
    by: "By | None",
    suggest_map: Path | None,
    given: str | None,
    banks: tuple[str, ...],
    fewest: int,
    level: float,
    seed: int,
    out: Path | None,
    json_target: str | None,
) -> int:
    """What scores on one benchmark say of scores on another.

    Abilities of the agents or models that benchmarks share, with the correlation of abilities that
    is left when noise is taken out, the partial one given a capability measure, and how well the
    score of an agent is told that was left out.

    Exit code 3 when no pair shares agents enough.
    """
    from harness.validity import analyse_validity, suggest_mapping, write_suggestions

    named = _named(benchmarks, "NAME=RESPONSES")
    held = given or ""
    if "=" in held:
        extra = _named([held], "--given NAME=RESPONSES")
        held = next(iter(extra))
        if held in named:
            raise PlanError(
                f"--given {held}: there is a benchmark of that name; say --given {held}"
            )
        named |= extra
    calibrated = {
        name: load_bank(path) for name, path in _named(banks, "--banks NAME=BANK").items()
    }
    if stray := [name for name in calibrated if name not in named]:
        raise PlanError(f"--banks {stray[0]}: no benchmark has that name")
    outcomes = _read(named, calibrated)
    if suggest_map is not None:
        rows = suggest_mapping(outcomes)
        write_suggestions(rows, suggest_map)
        say(
            f"{len(rows)} agents that may be shared: {suggest_map}; write yes or no in column "
            "'use' of every row, then give it with --map"
        )
        return 0
    column = held if held and held not in named else None
    matching = _match(outcomes, mapping, by, column)
    found = analyse_validity(
        outcomes,
        matching,
        banks=calibrated,
        given=held,
        fewest=fewest,
        level=level,
        seed=seed,
        progress=lambda name: say(f"abilities on {name}"),
    )
    if json_target is not None:
        write_json(to_json(found), json_target)
    if json_target != "-":
        _print(found)
    if out is not None:
        from harness.report.validity_page import render_validity_page

        write_page(render_validity_page(found, version("cat-harness")), out)
    return 0 if found.pairs else REFUSED


def _named(texts: Sequence[str], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, sign, rest = text.partition("=")
        if not sign or not name or not rest:
            raise PlanError(f"{what} is needed, not {text!r}")
        if name in found:
            raise PlanError(f"{what}: there are two of the name {name!r}")
        found[name] = rest
    return found


def _read(named: dict[str, str], banks: dict[str, "ItemBank"]) -> dict[str, "Responses"]:
    from harness.responses import read_responses

    return {name: read_responses(Path(path), banks.get(name)) for name, path in named.items()}


def _match(
    outcomes: dict[str, "Responses"], mapping: Path | None, by: "By | None", column: str | None
) -> "Matching":
    from harness.validity import match_by, read_mapping

    if (mapping is None) == (by is None):
        raise PlanError(
            "say which agents are the same, in one way: --map CSV, --by llm or --by agent; "
            "--suggest-map FILE writes a mapping to review"
        )
    if mapping is not None:
        return read_mapping(mapping, outcomes, column)
    if column is not None:
        raise PlanError(f"--given {column}: it is no benchmark, and a column needs --map")
    assert by is not None
    return match_by(outcomes, by)


def _print(found: "Validity") -> None:
    from harness.report.validity_page import (
        PAIR_HEADS,
        PARTIAL_HEADS,
        PLAIN_HEADS,
        pair_cells,
        pair_sentence,
        partial_cells,
        partial_sentence,
        plain_cells,
    )

    if found.pairs:
        level = f"{found.level:.0%} intervals in brackets"
        print_table(
            _table(f"Abilities, noise taken out; {level}", PAIR_HEADS, map(pair_cells, found.pairs))
        )
        click.echo()
        print_table(_table("Other ways to correlate", PLAIN_HEADS, map(plain_cells, found.pairs)))
        click.echo()
    if found.partials:
        title = f"Given {found.given}"
        print_table(_table(title, PARTIAL_HEADS, map(partial_cells, found.partials)))
        click.echo()
    for pair in found.pairs:
        click.echo(pair_sentence(pair, found.level))
        for caution in pair.cautions:
            click.echo(f"  {caution}")
    for one in found.partials:
        click.echo(partial_sentence(one, found.level))
        for caution in one.cautions:
            click.echo(f"  {caution}")
    for refusal in found.refusals:
        click.echo(f"Not compared: {refusal.reason} {refusal.remedy}")


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table
