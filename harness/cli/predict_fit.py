"""The command ``predict fit``, and keeping a predictor with the bank that it belongs to."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank_files import find_bank, load_bank
from harness.cli.common import json_option, say, to_json, write_json
from harness.errors import PlanError

if TYPE_CHECKING:
    from harness.predict import Predictor

SPACE = "predictor.space.json"
"""Beside a predictor that uses vectors of statements: how new statements become such vectors."""


@click.command()
@click.option(
    "--bank",
    "-b",
    "bank_name",
    required=True,
    metavar="BANK",
    help="Calibrated bank, whose parameters and their uncertainty are explained.",
)
@click.option(
    "--features",
    "tables",
    multiple=True,
    required=True,
    metavar="NAME=FILE",
    help="CSV of features of its items, item first, as block NAME. Repeatable.",
)
@click.option(
    "--out-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where predictor.json goes; the bank's own folder unless given.",
)
@click.option("--force", is_flag=True, help="Replace a predictor that is there.")
@json_option
def fit(
    bank_name: str,
    tables: tuple[str, ...],
    out_dir: Path | None,
    force: bool,
    json_target: str | None,
) -> None:
    """Fit a predictor to a bank that is there, whose outcomes may be gone.

    Where the outcomes are at hand, calibrate --features does it in one model.
    """
    from harness.calibrate.assemble import program
    from harness.features import feature_files, read_features
    from harness.predict import fit_predictor
    from harness.predict.predictor import FILE
    from harness.predict.quality import judge_predictor
    from harness.report.predict.words import quality_sentence

    folder = find_bank(bank_name)
    bank = load_bank(folder)
    target = out_dir or folder
    if (target / FILE).exists() and not force:
        raise PlanError(f"there is a {FILE} in {target} already: add --force to replace it")
    features = read_features(feature_files(tables), lambda note: say(f"remark: {note}"))
    about = {"program": program(), "features": [Path(t).name for t in tables]}
    predictor = replace(fit_predictor(bank, features), provenance=about)
    for note in predictor.difficulty.coding.notes:
        say(f"remark: {note}")
    keep_predictor(predictor, tables, target)
    quality = judge_predictor(predictor.difficulty)
    facts = {
        "predictor": str(target / FILE),
        "bank": bank.name,
        "items": predictor.difficulty.n,
        "levels": predictor.levels,
        "difficulty": dict(predictor.difficulty.shares()),
        "log_slope": dict(predictor.log_slope.shares()) if predictor.log_slope else None,
        "quality": quality,
    }
    if json_target is not None:
        write_json(to_json(facts), json_target)
    if json_target != "-":
        shares = ", ".join(f"{b} {s:.0%}" for b, s in predictor.difficulty.shares())
        click.echo(f"{target / FILE}: fitted to {predictor.difficulty.n} items of {bank.name}")
        click.echo(f"Variance of difficulty: {shares}.")
        click.echo(quality_sentence(quality))


def keep_predictor(predictor: "Predictor", tables: Sequence[str], folder: Path) -> None:
    """Write a predictor into a folder, with the space of its vectors where it uses any.

    Args:
        tables: the options that its features came from; ``features extract`` wrote the space
            beside one of them.
    """
    from harness.predict import save_predictor

    save_predictor(predictor, folder)
    space = space_beside(tables) if "text" in predictor.blocks else None
    (folder / SPACE).unlink(missing_ok=True)
    if space is not None:
        shutil.copyfile(space, folder / SPACE)


def space_beside(tables: Sequence[str]) -> Path | None:
    """What ``features extract`` wrote beside one of some tables."""
    from harness.features import feature_files

    for path in feature_files(tables).values():
        stem = path.name.removesuffix(".gz").removesuffix(".csv")
        if (space := path.with_name(f"{stem}.space.json")).is_file():
            return space
    return None
