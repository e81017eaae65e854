"""The commands ``predict …``: tasks that nobody has run, and agents that nobody has tested."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank import ItemBank, Source
from harness.bank_files import find_bank, load_bank, save_bank
from harness.cli.common import json_option, print_table, say, to_json, write_json, write_page
from harness.cli.predict_agents import predict_agents
from harness.cli.predict_fit import SPACE, fit, space_beside
from harness.errors import InputError, PlanError

if TYPE_CHECKING:
    from harness.predict.predictor import Predictor
    from harness.predict.tasks import TaskPredictions
    from harness.regression import Features

_ROWS = 40
"""Tasks in the table of a terminal."""
_TOLD = 5
"""Tasks whose reasons are told there."""


@click.group()
def predict() -> None:
    """Difficulty of tasks before anyone runs them, ability of agents before anyone tests them."""


predict.add_command(fit)
predict.add_command(predict_agents)


@predict.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--bank",
    "-b",
    "bank_name",
    required=True,
    metavar="BANK",
    help="Calibrated bank: its scale, its agents, and its predictor.json where it has one.",
)
@click.option(
    "--features",
    "tables",
    multiple=True,
    metavar="NAME=FILE",
    help="CSV of features, item first, as block NAME. With rows of the bank's own items a "
    "predictor is fitted to these instead of the saved one; rows of new tasks add to what SOURCE "
    "says of them. Repeatable.",
)
@click.option(
    "--like",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The .space.json that features extract wrote beside the features of the bank's items: "
    "texts of SOURCE become the same vectors. Found by itself beside a --features FILE, or the "
    "bank's predictor.",
)
@click.option(
    "--agents",
    default="",
    metavar="NAME,…",
    help="Calibrating agents of the bank whose expected scores are shown; by default a few from "
    "the best to the worst, and the newest.",
)
@click.option("--level", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option(
    "--out-bank",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the new tasks as a bank of predicted items, to run agents on.",
)
@click.option(
    "--add-to",
    "merge",
    is_flag=True,
    help="With --out-bank: add them to the items of the calibrated bank.",
)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def tasks(
    source: Path,
    bank_name: str,
    tables: tuple[str, ...],
    like: Path | None,
    agents: str,
    level: float,
    out_bank: Path | None,
    merge: bool,
    out: Path | None,
    json_target: str | None,
) -> None:
    """What to expect of tasks that no agent has tried.

    SOURCE is a folder of task directories, a table with a column for the statement, or a CSV of
    features (item, …). For each task: its difficulty with an interval, how often agents of the
    bank are expected to pass it, why, and whether it is too hard, too easy or fills a gap.

    The predictor is the one that calibrate --features saved with the bank, or is fitted here to
    --features of the bank's own items.
    """
    from harness.predict.match import predicted_bank
    from harness.predict.predictor import load_predictor, save_predictor
    from harness.predict.tasks import predict_tasks

    folder = find_bank(bank_name)
    bank = load_bank(folder)
    if merge and out_bank is None:
        raise PlanError("--add-to needs --out-bank FOLDER, the folder to write to")
    if out_bank is not None and not merge and out_bank.resolve() == folder.resolve():
        raise PlanError(
            f"--out-bank {out_bank} is the calibrated bank itself, which the new tasks would "
            "replace; name another folder, or add them to it with --add-to"
        )
    notes: list[str] = []
    extra = _tables(tables, notes)
    predictor = _fitted(bank, extra, notes) or load_predictor(folder)
    if predictor.bank_hash != bank.hash:
        notes.append(
            f"the predictor was fitted to another state of the bank (hash {predictor.bank_hash}, "
            f"now {bank.hash}); calibrate with --features anew if items were changed"
        )
    features = _features(source, predictor, extra, like or _space(tables, folder), notes)
    features = _new(features, predictor, bank, notes)
    found = predict_tasks(
        predictor,
        bank,
        features,
        agents=[name.strip() for name in agents.split(",") if name.strip()],
        level=level,
    )
    kept = _scored_alike(source, predictor, features, notes) if out_bank else features
    for note in notes:
        say(f"remark: {note}")
    if out is not None:
        from harness.report.predict.tasks import render_predictions_page

        page = render_predictions_page(found, version("cat-harness"), str(source), tuple(notes))
        write_page(page, out)
    if out_bank is not None:
        place = Source(environments=str(source.resolve())) if source.is_dir() else None
        made = predicted_bank(bank, predictor, kept, merge=merge, source=place)
        save_bank(made, out_bank)
        if merge:
            save_predictor(replace(predictor, bank_hash=made.hash), out_bank)
        say(f"Bank: {out_bank}")
    # last, as whoever reads may have had enough
    if json_target is not None:
        write_json(to_json(found), json_target)
    if json_target != "-":
        _print(found)


def _tables(tables: tuple[str, ...], notes: list[str]) -> "Features | None":
    if not tables:
        return None
    from harness.features import feature_files, read_features

    return read_features(feature_files(tables), notes.append)


def _space(tables: tuple[str, ...], folder: Path) -> Path | None:
    """How statements become vectors: as for the tables, or for the bank's own predictor."""
    kept = folder / SPACE
    return space_beside(tables) or (kept if kept.is_file() else None)


def _fitted(bank: ItemBank, extra: "Features | None", notes: list[str]) -> "Predictor | None":
    """A predictor from features of the bank's own items; None where there are none of them."""
    if extra is None:
        return None
    from harness.predict.predictor import fit_predictor

    own = [item.id for item in bank.items if not item.predicted]
    known = set(extra.names) & set(own)
    if not known:
        return None
    if len(known) < len(own):
        notes.append(
            f"the predictor is fitted to {len(known)} of {len(own)} items of the bank; the others "
            f"have no features, such as {next(i for i in own if i not in known)!r}"
        )
    return fit_predictor(bank, extra.of(known))


def _features(
    source: Path,
    predictor: "Predictor",
    extra: "Features | None",
    like: Path | None,
    notes: list[str],
) -> "Features":
    """Features of the tasks of a source, and what other tables say of them."""
    from harness.features import extract_features, read_features, read_space, read_texts
    from harness.features.sheet import STATEMENTS, read_sheet, silent
    from harness.predict.match import aligned, combined, extraction_space

    texts = source.is_dir() or any(
        entry.name.lower() in STATEMENTS for entry in read_sheet(source, silent).entries
    )
    if texts:
        space = read_space(like) if like else extraction_space(predictor)
        if "text" in predictor.blocks and space.vectors is None:
            notes.append(
                "the predictor uses vectors of statements, which new texts get by --like alone "
                "(the .space.json beside the features of the bank's items); they count as unknown"
            )
        extraction = extract_features(read_texts(source, notes.append), like=space)
        notes += extraction.notes
        found = extraction.features
    else:
        found = read_features({"source": source}, notes.append)
    found = aligned(found, predictor)
    return found if extra is None else combined(found, aligned(extra, predictor))


def _new(
    features: "Features", predictor: "Predictor", bank: ItemBank, notes: list[str]
) -> "Features":
    """Without the tasks that the bank has calibrated.

    Raises:
        InputError: there is no other task, or nothing useful is known of any.
    """
    from harness.predict.match import without_features

    calibrated = {item.id for item in bank.items if not item.predicted}
    known = [name for name in features.names if name in calibrated]
    new = [name for name in features.names if name not in calibrated]
    if not new:
        raise InputError(
            f"all {len(known)} tasks are calibrated in the bank, such as {known[0]!r}: there is "
            "nothing to predict; cat-harness bank show has their difficulties"
        )
    if known:
        notes.append(
            f"{len(known)} of {len(features.names)} tasks are calibrated in the bank, such as "
            f"{known[0]!r}, and left out"
        )
    found = features.of(new)
    if blank := without_features(found, predictor):
        notes.append(
            f"nothing that the predictor uses is known of {len(blank)} of {len(new)} tasks, such "
            f"as {blank[0]!r}: what is said of them holds for any task"
        )
    return found


def _scored_alike(
    source: Path, predictor: "Predictor", features: "Features", notes: list[str]
) -> "Features":
    """The tasks whose categories are as many as those that are predicted; of others no item of
    the bank could be run.

    Raises:
        InputError: there is none.
    """
    if not source.is_dir():
        return features
    from harness.environments import list_environments

    count = len(predictor.labels)
    scored = {one.name: len(one.categories) for one in list_environments(source, lambda _: None)}
    other = [name for name in features.names if scored.get(name, count) != count]
    if not other:
        return features
    reason = (
        f"{len(other)} of {len(features.names)} tasks, such as {other[0]!r} with "
        f"{scored[other[0]]} categories, are not scored in the {count} that are predicted"
    )
    if len(other) == len(features.names):
        raise InputError(f"{reason}: leave out --out-bank, or take a bank that is scored alike")
    notes.append(f"{reason}, and are left out of the bank that is written")
    return features.of(name for name in features.names if name not in other)


def _print(found: "TaskPredictions") -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.predict.quality import half_width
    from harness.report.predict.words import (
        VERDICTS,
        cautions,
        cut,
        level_sentence,
        quality_sentence,
        rate_text,
        reasons_sentence,
        summary_sentence,
    )

    half = half_width(found.level)
    columns = sorted({0, len(found.agents) // 2, len(found.agents) - 1})
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("task")
    table.add_column("verdict")
    table.add_column(f"difficulty ({found.level:.0%})", justify="right")
    table.add_column("harder than", justify="right")
    for a in columns:
        table.add_column(Text(cut(found.agents[a].agent, 18)), justify="right")
    shown = sorted(found.tasks, key=lambda task: -task.difficulty)
    for task in shown[:_ROWS]:
        rates = [task.rates[a] for a in columns]
        table.add_row(
            Text(cut(task.item, 40)),
            VERDICTS[task.verdict],
            f"{task.difficulty:.2f} ± {half * task.sd:.2f}",
            f"{task.below:.0%}",
            *(rate_text(rate.mean, rate.low, rate.high) for rate in rates),
        )
    print_table(table)
    if len(shown) > _ROWS:
        click.echo(f"and {len(shown) - _ROWS} easier tasks; --json and -o have all")
    what = "pass rates" if found.binary else "scores"
    click.echo(
        f"Harder than: share of today's agents. Expected {what} of agents in percent, intervals "
        "in brackets."
    )
    click.echo()
    click.echo(summary_sentence(found))
    click.echo(quality_sentence(found.quality))
    if text := level_sentence(found):
        click.echo(text)
    click.echo()
    for task in shown[:_TOLD]:
        click.echo(f"{cut(task.item, 60)}: {reasons_sentence(task)}.")
    for text in cautions(found):
        click.echo(text)
