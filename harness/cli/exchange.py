"""The commands ``bank import`` and ``bank export``: parameters from and to other programs."""

from pathlib import Path
from typing import get_args

import click

from harness.bank import ItemBank
from harness.bank_files import load_bank, save_bank
from harness.cli.common import json_option, say, to_json, write_json
from harness.errors import InputError, PlanError
from harness.exchange import Format, Population, export_bank, import_bank


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the new bank.",
)
@click.option("--name", help="Name of the bank; that of the folder by default.")
@click.option("--description", default="", help="One sentence for bank.yaml.")
@click.option(
    "--labels",
    multiple=True,
    metavar="LOW,…,HIGH",
    help="Category labels, lowest first, of the items with as many categories; may be repeated.",
)
@click.option(
    "--population",
    metavar="MEAN,SD",
    help="Distribution of ability that the scale comes from, where the file does not say. With "
    "several abilities all means, all sds, and the correlations 21, 31, 32.",
)
@click.option("--force", is_flag=True, help="Replace a bank that is there.")
@json_option
def import_(
    file: Path,
    out: Path,
    name: str | None,
    description: str,
    labels: tuple[str, ...],
    population: str | None,
    force: bool,
    json_target: str | None,
) -> None:
    """Make a bank from the parameters that mirt or py-irt estimated.

    FILE is the CSV of mirt's coef(fit, simplify = TRUE)$items, with columns SE_… where standard
    errors are known and a row GroupPars where the abilities are not standard normal; or
    best_parameters.json of py-irt.
    """
    if (out / "bank.yaml").exists() and not force:
        raise PlanError(f"there is a bank in {out} already: add --force to replace it")
    bank = import_bank(
        file,
        name=name or out.resolve().name,
        description=description,
        labels=[tuple(label.strip() for label in one.split(",")) for one in labels],
        population=parse_population(population) if population else None,
    )
    save_bank(bank, out)
    if json_target is not None:
        write_json(to_json(_facts(bank) | {"bank": str(out)}), json_target)
    if json_target != "-":
        models = ", ".join(sorted({item.model for item in bank.items}))
        click.echo(f"{out}: {len(bank.items)} items ({models}), hash {bank.hash}")
    certain = sum(item.covariance is None for item in bank.items)
    if certain:
        say(f"no standard errors of {certain} items: intervals of sessions will be too narrow")
    if bank.provenance["ability_distribution"] == "assumed":
        say("ability is taken for standard normal, as the file does not say; see --population")


def parse_population(text: str) -> Population:
    """Means, sds and the lower triangle of the correlations, of 1 to 3 abilities.

    Raises:
        PlanError: it is not as many numbers as that takes.

    >>> parse_population("0,0, 1,1.2, 0.5")
    Population(mean=(0.0, 0.0), sd=(1.0, 1.2), correlation=((1.0, 0.5), (0.5, 1.0)))
    """
    sizes = {2: 1, 5: 2, 9: 3}
    try:
        numbers = [float(part) for part in text.split(",")]
        size = sizes[len(numbers)]
    except (KeyError, ValueError):
        raise PlanError(
            "--population needs a mean and an sd, such as 0,1.4, or means, sds and correlation of "
            f"two abilities, such as 0,0,1,1,0.5, not {text!r}"
        ) from None
    below = iter(numbers[2 * size :])
    rows = [[1.0 if i == j else 0.0 for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            rows[i][j] = rows[j][i] = next(below)
    correlation = tuple(map(tuple, rows)) if size > 1 else ()
    return Population(tuple(numbers[:size]), tuple(numbers[size : 2 * size]), correlation)


@click.command("export")
@click.argument("name", metavar="BANK")
@click.option(
    "--format",
    "to",
    type=click.Choice(get_args(Format)),
    required=True,
    help="mirt: CSV as of coef(fit, simplify = TRUE)$items; py-irt: JSON as of "
    "best_parameters.json, for binary items.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
def export(name: str, to: Format, out: Path, force: bool, json_target: str | None) -> None:
    """Write the parameters of a bank for mirt or py-irt.

    Labels, costs, tasks and tags stay behind. An item that the format cannot hold is an error.
    """
    bank = load_bank(name)
    text = export_bank(bank, to)
    if out.exists() and not force:
        raise PlanError(f"{out} is there already: add --force to replace it")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from None
    if json_target is not None:
        write_json(to_json(_facts(bank) | {"file": str(out), "format": to}), json_target)
    if json_target != "-":
        click.echo(f"{out}: {len(bank.items)} items for {to}")
    uncertain = sum(item.covariance is not None for item in bank.items)
    if uncertain and to == "mirt":
        say(f"of the uncertainty of {uncertain} items, standard errors only")
    elif uncertain:
        say(f"without the uncertainty of {uncertain} items, which py-irt's file does not hold")


def _facts(bank: ItemBank) -> dict[str, object]:
    return {
        "name": bank.name,
        "hash": bank.hash,
        "items": len(bank.items),
        "models": sorted({item.model for item in bank.items}),
        "population": {"mean": bank.mean, "sd": bank.sd, "correlation": bank.correlation},
        "agents": len(bank.calibrants),
        "provenance": dict(bank.provenance),
    }
