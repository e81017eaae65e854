"""The command ``agents link``: benchmarks on one scale through the parts that agents share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank_files import load_bank, save_bank
from harness.cli.common import (
    json_option,
    print_table,
    progress_bar,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.errors import PlanError

if TYPE_CHECKING:
    from harness.bank import ItemBank
    from harness.parts.link_result import Linked, Refusal
    from harness.parts.shared import Scale

REFUSED = 3


@click.command("link")
@click.argument("benchmarks", metavar="NAME=RESPONSES…", nargs=-1, required=True)
@click.option(
    "--agents",
    "tables",
    metavar="NAME=CSV",
    multiple=True,
    help="Model, scaffold and date of a benchmark's agents: a table with agent,llm,scaffold,date. "
    "Repeatable.",
)
@click.option(
    "--banks",
    metavar="NAME=BANK",
    multiple=True,
    help="A calibrated bank of a benchmark; others are calibrated on the outcomes. Repeatable.",
)
@click.option(
    "--fewest",
    type=click.IntRange(3),
    default=5,
    show_default=True,
    help="Models that two benchmarks must share for a link between them.",
)
@click.option(
    "--bound",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Linking error, in sds of the first benchmark's agents, above which scales are called "
    "barely linked.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option(
    "--out-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the banks there, on the scale of the first; not of what is barely linked.",
)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def link(
    benchmarks: tuple[str, ...],
    tables: tuple[str, ...],
    banks: tuple[str, ...],
    fewest: int,
    bound: float,
    seed: int,
    out_dir: Path | None,
    out: Path | None,
    json_target: str | None,
) -> int:
    """Put benchmarks on the scale of the first, through models and scaffolds that they share.

    Each table of outcomes is calibrated by itself; then all abilities are fitted together, by what
    their models, scaffolds and dates are. Names of models and scaffolds must be equal but for case,
    spaces and punctuation.

    Exit code 3 when benchmarks share too few models.
    """
    from harness.parts.link import link_parts
    from harness.parts.link_result import Refusal

    named = _named(benchmarks, "NAME=RESPONSES")
    about, given = (
        _known(_named(texts, what), named, what)
        for texts, what in ((tables, "--agents NAME=CSV"), (banks, "--banks NAME=BANK"))
    )
    if out_dir is not None:
        _check_folders(out_dir, named)
    loaded = [
        _measure(name, Path(path), about.get(name), given.get(name)) for name, path in named.items()
    ]
    with progress_bar("linking") as bar:
        found = link_parts(
            [scale for scale, _ in loaded], fewest=fewest, bound=bound, seed=seed, progress=bar
        )
    if json_target is not None:
        write_json(to_json(found), json_target)
    if out is not None:
        from harness.report.link_parts_page import render_link_page

        write_page(render_link_page(found, version("cat-harness")), out)
    if json_target != "-":
        _print(found)
    if isinstance(found, Refusal):
        return REFUSED
    if out_dir is not None:
        from harness.parts.link import on_first

        for scale, bank in loaded:
            if scale.name in found.barely:
                say(f"{scale.name} is barely linked: no bank is written, unless --bound is raised")
            else:
                save_bank(on_first(bank, found, scale.name), out_dir / scale.name)
        say(f"Banks on the scale of {found.names[0]}: {out_dir}")
    return 0


def _named(texts: Sequence[str], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, _, rest = text.partition("=")
        if not name or not rest:
            raise PlanError(f"{what} is needed, not {text!r}")
        if name in found:
            raise PlanError(f"{what}: there are two of the name {name!r}")
        found[name] = rest
    return found


def _known(found: dict[str, str], named: dict[str, str], what: str) -> dict[str, str]:
    if stray := [name for name in found if name not in named]:
        raise PlanError(
            f"{what}: no benchmark has the name {stray[0]!r}; there are {', '.join(named)}"
        )
    return found


def _check_folders(out_dir: Path, names: dict[str, str]) -> None:
    for name in names:
        if Path(name).name != name:
            raise PlanError(f"{name!r} cannot be the name of a folder in {out_dir}: rename it")
        if (out_dir / name / "bank.yaml").exists():
            raise PlanError(f"there is a bank in {out_dir / name} already: name another --out-dir")


def _measure(
    name: str, path: Path, table: str | None, bank: str | None
) -> tuple["Scale", "ItemBank"]:
    from harness.health.evidence import gather
    from harness.parts.shared import measured
    from harness.responses import read_responses
    from harness.responses.parts import with_parts

    given = None if bank is None else load_bank(bank)
    responses = read_responses(path, given)
    if table is not None:
        responses = with_parts(responses, Path(table))
    say(f"abilities on {name}")
    evidence = gather(responses, given)
    for note in evidence.notes:
        say(f"{name}: {note}")
    whole = given or replace(evidence.bank, name=name)
    return measured(name, whole, evidence.responses), whole


def _print(found: "Linked | Refusal") -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.parts.link_result import Refusal
    from harness.report.link_parts_page import LINE_HEADS, SHARED_HEADS, line_cells, shared_cells

    grids: list[tuple[str, Sequence[str], Iterator[Sequence[str]]]] = [
        ("Shared", SHARED_HEADS, (shared_cells(one) for one in found.shared))
    ]
    if not isinstance(found, Refusal):
        lines = (line_cells(line, found) for line in found.lines)
        grids.append((f"On the scale of {found.names[0]}", LINE_HEADS, lines))
    for title, heads, rows in grids:
        table = Table(title=title, title_justify="left", box=None)
        for place, head in enumerate(heads):
            table.add_column(head, justify="right" if place else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        print_table(table)
        click.echo()
    for sentence in _sentences(found):
        click.echo(sentence)


def _sentences(found: "Linked | Refusal") -> Iterator[str]:
    from harness.parts.link_result import Refusal
    from harness.report.link_parts_page import correlation_sentence, line_sentence

    if isinstance(found, Refusal):
        yield found.reason
        yield found.remedy
        return
    for line in found.lines:
        yield line_sentence(line, found)
    for one in found.correlations:
        yield correlation_sentence(one)
