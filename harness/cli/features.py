"""The commands ``features …``: what is known of tasks before anyone runs them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import json_option, print_table, say, to_json, write_json
from harness.cli.features_judge import judge
from harness.features.task_text import LEVELS, Level, level_of

if TYPE_CHECKING:
    from harness.features import TaskText
    from harness.regression import Features

_EMBEDDED = 32
"""Dimensions of a sentence-embedding model's vectors, unless it is said."""


@click.group()
def features() -> None:
    """Features of tasks: tables that difficulty is predicted from."""


features.add_command(judge)


@features.command()
@click.argument("source")
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Table to write (CSV or CSV.gz); beside it FILE.space.json, for --like.",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    help="How much may be known of a task: each level knows what the earlier ones do, and more; "
    "solution, which is all, by default. Take what you will have of new tasks.",
)
@click.option(
    "--vectors",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Add the statements as vectors of N numbers: words weighted by rarity, on their leading "
    "directions.",
)
@click.option(
    "--embed",
    metavar="MODEL",
    help=f"Make the vectors by a model of sentence-transformers instead, {_EMBEDDED} numbers "
    "unless --vectors says otherwise; needs the extra 'embed'.",
)
@click.option(
    "--like",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Give new tasks the columns, vectors and level of an earlier table: its .space.json.",
)
@click.option(
    "-T",
    "task_args",
    multiple=True,
    metavar="NAME=VALUE",
    help="Argument of the Inspect task, as of inspect eval; repeatable.",
)
@json_option
def extract(
    source: str,
    out: Path,
    level: Level | None,
    vectors: int,
    embed: str | None,
    like: Path | None,
    task_args: tuple[str, ...],
    json_target: str | None,
) -> None:
    """Extract features from the texts of tasks.

    SOURCE is a task directory, a folder of them, a table with a column for the statement, or an
    Inspect task as package/task or file.py@task. The features say how the statement is built and
    what it mentions, how large repository, tests and solution are, and what the author says of the
    task. Their columns are called block.column; calibrate --features FILE takes them.
    """
    from harness.features import extract_features, read_space, write_features, write_space

    notes: list[str] = []
    tasks = _texts(source, task_args, notes)
    found = extract_features(
        tasks,
        level=level,
        vectors=vectors or (_EMBEDDED if embed else 0),
        model=embed,
        like=read_space(like) if like else None,
    )
    write_features(found.features, out)
    space = like
    if space is None:
        space = out.with_name(out.name.removesuffix(".gz").removesuffix(".csv") + ".space.json")
        write_space(found.space, space)
    notes += found.notes
    for note in notes:
        say(f"remark: {note}")
    blocks = tuple(_blocks(found.features))
    if json_target is not None:
        facts = {
            "source": source,
            "tasks": len(found.features.names),
            "level": found.space.level,
            "out": str(out),
            "space": str(space),
            "blocks": blocks,
            "notes": notes,
        }
        write_json(to_json(facts), json_target)
    if json_target != "-":
        _print(found.features, found.space.level, blocks)
    say(f"Table: {out}; for new tasks: --like {space}")


def _texts(source: str, task_args: tuple[str, ...], notes: list[str]) -> "dict[str, TaskText]":
    if not task_args and (Path(source).is_dir() or source.endswith((".csv", ".csv.gz"))):
        from harness.features import read_texts

        return read_texts(Path(source), notes.append)
    # an Inspect task, whose library takes seconds to import
    from harness.runners.borrowed import argument_values
    from harness.runners.sample_texts import texts_of

    return texts_of(source, argument_values(task_args), notes.append)


def _blocks(table: "Features") -> Iterator[dict[str, Any]]:
    """Facts of each block, in the order of the table."""
    for block in table.blocks:
        part = table.only([block])
        columns = {
            column.name: [row[k] for row in part.cells] for k, column in enumerate(part.columns)
        }
        unknown = sum(cell is None for cells in columns.values() for cell in cells)
        yield {
            "block": block,
            "level": level_of(block),
            "columns": list(columns),
            "unknown": unknown / (len(columns) * len(table.names)),
            "constant": [
                name
                for name, cells in columns.items()
                if len(cells) > 1 and len({*cells} - {None}) < 2
            ],
        }


def _print(table: "Features", level: Level, blocks: tuple[dict[str, Any], ...]) -> None:
    from rich.table import Table

    n = len(table.names)
    click.echo(
        f"{n} task{'s' * (n != 1)}, {len(table.columns)} features, at the level of the {level}."
    )
    shown = Table(box=None, pad_edge=False)
    shown.add_column("block")
    shown.add_column("needs")
    shown.add_column("columns", justify="right")
    shown.add_column("unknown", justify="right")
    shown.add_column("the same in every task")
    for block in blocks:
        shown.add_row(
            block["block"],
            block["level"] or "",
            str(len(block["columns"])),
            f"{block['unknown']:.0%}",
            ", ".join(block["constant"]),
        )
    print_table(shown)
