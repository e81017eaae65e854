"""Commands about what there is to test with: bank and env."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import numpy as np

from harness.bank import Item, ItemBank
from harness.bank_files import find_bank, load_bank
from harness.cli.common import (
    json_option,
    log_to_stderr,
    print_table,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.cli.exchange import export, import_
from harness.cli.init import init
from harness.cli.link import link_banks
from harness.environments import (
    Environment,
    find_environment,
    lint,
    list_environments,
)
from harness.errors import TaskError

if TYPE_CHECKING:
    from harness.runners.check import Checked

_BAD_INPUT = 2

Sorting = Literal["difficulty", "discrimination", "id"]


@click.group()
def bank() -> None:
    """Look at item banks."""


bank.add_command(init)
bank.add_command(import_)
bank.add_command(export)
bank.add_command(link_banks)


@bank.command("show")
@click.argument("name", metavar="BANK")
@click.option(
    "--sort",
    type=click.Choice(["difficulty", "discrimination", "id"]),
    help="Order of the printed items: easiest first, most discriminating first, or by id; as in "
    "the bank by default.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the page of the bank: curves, intervals and information, one HTML file.",
)
@json_option
def show_bank(name: str, sort: Sorting | None, out: Path | None, json_target: str | None) -> None:
    """Items of a bank with their parameters, and where the bank measures best."""
    items = load_bank(name)
    if json_target is not None:
        write_json(to_json(_bank_facts(items)), json_target)
    if json_target != "-":
        _print_bank(items, sort)
    if out is not None:
        from harness.report.bank_page import render_bank_page

        write_page(render_bank_page(items), out)


def _bank_facts(bank: ItemBank) -> dict[str, object]:
    information = bank.table.information.sum(axis=0)
    best = bank.table.nodes[int(information.argmax())]
    return {
        "name": bank.name,
        "hash": bank.hash,
        "description": bank.description,
        "trials": bank.trials,
        "population": {
            "mean": bank.mean,
            "sd": bank.sd,
            "correlation": bank.correlation,
            "specific_sd": bank.specific_sd,
            "common_sd": bank.common_sd,
        },
        "predicted": [item.id for item in bank.items if item.predicted],
        "provenance": dict(bank.provenance),
        "sources": {name: source.location for name, source in bank.sources.items()},
        "most_information_at": [round(float(x), 3) for x in best],
        "calibrants": [asdict(calibrant) for calibrant in bank.calibrants],
        "items": [
            {**asdict(item), "difficulties": item.difficulties, "labels": bank.labels(item.id)}
            for item in bank.items
        ],
    }


def _print_bank(bank: ItemBank, sort: Sorting | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.report.bank_summary import parameter_sds
    from harness.report.wording import printable

    console = Console(soft_wrap=True)
    peak = bank.table.nodes[int(bank.table.information.sum(axis=0).argmax())]
    console.print(f"{bank.name}  hash {bank.hash}  {len(bank.items)} items", highlight=False)
    if bank.description:
        console.print(bank.description.strip(), highlight=False)
    for key, source in bank.sources.items():
        from_ = source.task or source.environments
        console.print(f"  source {key}: {from_} {source.score}", highlight=False, markup=False)
    for key, value in bank.provenance.items():
        console.print(f"  {key}: {value}", highlight=False, markup=False)
    for line in _calibrant_lines(bank):
        console.print(f"  {line}", highlight=False)
    if bank.trials > 1:
        console.print(f"  the score is the mean over {bank.trials} trials of each item")
    if bank.specific_sd:
        console.print(
            "  ability in one session differs from that on the whole bank by an sd of "
            f"{bank.specific_sd:.2f}",
            highlight=False,
        )
    if predicted := sum(item.predicted for item in bank.items):
        common = f"; their difficulties share an error of sd {bank.common_sd:.2f}"
        console.print(
            f"  {predicted} of {len(bank.items)} items are predicted, not estimated from outcomes"
            + (common if bank.common_sd else ""),
            highlight=False,
        )
    where = ", ".join(f"{x:.2f}" for x in peak)
    console.print(f"  measures best at ability {where}", highlight=False)
    table = Table("item", "model", "categories", box=None)
    for column in ("discrimination", "difficulties", "± (first)"):
        table.add_column(column, justify="right", no_wrap=True)
    for item in _sorted(bank.items, sort):
        sds = parameter_sds(item)
        table.add_row(
            Text(printable(item.id)),
            item.model + " (predicted)" * item.predicted,
            str(len(item.intercepts) + 1),
            ", ".join(f"{a:.2f}" for a in item.slopes),
            ", ".join(f"{b:.2f}" for b in item.difficulties),
            "" if sds is None else f"{sds[len(item.slopes)]:.2f}",
        )
    print_table(table)


def _calibrant_lines(bank: ItemBank) -> Iterator[str]:
    """Where the agents of the calibration lie, a line an ability."""
    from harness.report.wording import ability_names

    if not bank.calibrants:
        return
    ability = np.array([calibrant.ability for calibrant in bank.calibrants])
    sd = np.array([calibrant.sd for calibrant in bank.calibrants])
    for d, name in enumerate(ability_names(len(bank.mean))):
        values = ability[:, d]
        yield (
            f"{len(values)} agents of the calibration: {name} {values.min():.2f} to "
            f"{values.max():.2f}, mean {values.mean():.2f}, sd {values.std():.2f}; each known to "
            f"± {np.median(sd[:, d]):.2f} (median)"
        )


def _sorted(items: Sequence[Item], by: Sorting | None) -> Sequence[Item]:
    from harness.report.bank_summary import location

    match by:
        case "difficulty":
            return sorted(items, key=location)
        case "discrimination":
            return sorted(items, key=lambda item: -math.hypot(*item.slopes))
        case "id":
            return sorted(items, key=lambda item: item.id)
        case None:
            return items


@bank.command("check")
@click.argument("name", metavar="BANK")
@click.option(
    "--environments",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also check that every item has its task directory there.",
)
@json_option
def check_bank(name: str, environments: Path | None, json_target: str | None) -> int:
    """Check a bank: errors make it unusable (exit 2), remarks are worth knowing."""
    items = load_bank(name)
    remarks = list(_remarks(items))
    remarks += _missing_tasks(items, environments)
    if json_target is not None:
        facts = {"name": items.name, "hash": items.hash, "ok": True, "remarks": remarks}
        write_json(to_json(facts), json_target)
    if json_target != "-":
        click.echo(f"{find_bank(name)}: {len(items.items)} items, hash {items.hash}, in order")
        for remark in remarks:
            click.echo(f"  remark: {remark}")
    return 0


def _missing_tasks(bank: ItemBank, environments: Path | None) -> Iterator[str]:
    """Items without their task; those that a run is given a folder for only where it is named."""
    folders = {"": environments} if environments else {}
    folders |= {name: Path(s.location) for name, s in bank.sources.items() if s.environments}
    for item in bank.items:
        if item.source in folders:
            try:
                find_environment(item.environment or item.id, folders[item.source])
            except TaskError as error:
                yield f"item {item.id!r}: {error}"
    if any(source.task for source in bank.sources.values()):
        from harness.runners.foreign import bank_items, bank_tasks

        try:
            tasks = bank_tasks(bank)
            bank_items(bank, tasks)
        except TaskError as error:
            yield str(error)
        else:
            yield from (note for task in tasks.values() for note in task.notes)


def _remarks(bank: ItemBank) -> list[str]:
    remarks = []
    weak = [item.id for item in bank.items if np.hypot.reduce(item.slopes) < 0.35]
    if weak:
        remarks.append(f"{len(weak)} items barely discriminate (a < 0.35), first {weak[0]!r}")
    certain = [item.id for item in bank.items if item.covariance is None]
    if certain:
        remarks.append(
            f"{len(certain)} items have no parameter uncertainty, so intervals will be too narrow"
        )
    predicted = [item.id for item in bank.items if item.predicted]
    if predicted:
        some = ", ".join(predicted[:5]) + (", …" if len(predicted) > 5 else "")
        remarks.append(
            f"{len(predicted)} of {len(bank.items)} items are predicted, not estimated from "
            f"outcomes: {some}; calibrate with --anchor on outcomes of agents"
        )
    if not bank.provenance:
        remarks.append("bank.yaml says nothing about provenance")
    return remarks


@click.group()
def env() -> None:
    """Look at task directories, check them in Docker, build their images."""


folder_option = click.option(
    "--environments",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of task directories; those shipped by default.",
)


def _selected(names: tuple[str, ...], folder: Path | None) -> tuple[Environment, ...]:
    if names:
        return tuple(find_environment(name, folder) for name in names)
    return list_environments(folder)


def _environment_facts(environment: Environment) -> dict[str, object]:
    """What is known of a task; of variables only the names, as values may be secrets."""
    facts = asdict(environment)
    for table in (facts, facts["separate"] or {}):
        for key in ("env", "verifier_env", "solution_env"):
            if key in table:
                table[key] = [name for name, _ in table[key]]
    return {**facts, "score": None if environment.score is None else str(environment.score)}


@env.command("list")
@folder_option
@json_option
def list_env(environments: Path | None, json_target: str | None) -> None:
    """Task directories with their categories and limits."""
    found = list_environments(environments)
    if json_target is not None:
        write_json(to_json([_environment_facts(environment) for environment in found]), json_target)
    if json_target != "-":
        width = max(len(environment.name) for environment in found)
        for e in found:
            labels = " < ".join(e.categories)
            click.echo(f"{e.name:{width}}  {e.difficulty:7} {e.agent_seconds:5.0f} s  {labels}")
        for e in found:
            for remark in e.ignored:
                say(f"{e.name}: {remark}")


@env.command("check")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@folder_option
@click.option(
    "--width", type=click.IntRange(1), default=2, show_default=True, help="Containers at once."
)
@click.option("--rebuild", is_flag=True, help="Build images again, to see how long that takes.")
@json_option
def check_env(
    names: tuple[str, ...],
    environments: Path | None,
    width: int,
    rebuild: bool,
    json_target: str | None,
) -> int:
    """Run each task's solutions and the do-nothing agent in Docker.

    The reference solution must reach the top category, doing nothing the task's idle one, and
    each partial or unsafe solution exactly its own. Exit code 2 when a task does not hold.
    """
    selected = _selected(names, environments)
    from harness.runners.check import check

    log_to_stderr()
    remarks = {e.name: lint(e) for e in selected}
    checked = check(selected, width=width, rebuild=rebuild, say=say)
    if json_target is not None:
        trials = [{**asdict(t), "ok": t.ok} for t in checked.trials]
        images = [asdict(image) for image in checked.images]
        write_json(to_json({"trials": trials, "images": images, "remarks": remarks}), json_target)
    if json_target != "-":
        for t in checked.trials:
            reached = "void" if t.category is None else str(t.category)
            verdict = "ok" if t.ok else "WRONG"
            click.echo(
                f"{verdict:6} {t.environment + '/' + t.script:34} category {reached} of expected "
                f"{t.expected}  {t.seconds:4.1f} s  {t.detail}"
            )
        for name, problems in remarks.items():
            for problem in problems:
                click.echo(f"remark {name}: {problem}")
        click.echo(_image_table(checked))
    return 0 if all(trial.ok for trial in checked.trials) else _BAD_INPUT


def _image_table(checked: "Checked") -> str:
    """Time to build, size, and time of the reference solution and its tests, a line a task."""
    width = max(len(image.environment) for image in checked.images)
    lines = [f"{'':{width}}  {'build':>7}  {'image':>7}  {'run':>7}"]
    for image in checked.images:
        runs = [t.seconds for t in checked.trials if t.environment == image.environment]
        build = "present" if image.seconds is None else f"{image.seconds:.1f} s"
        size, run = f"{image.megabytes} MiB", f"{max(runs):.1f} s"
        lines.append(f"{image.environment:{width}}  {build:>7}  {size:>7}  {run:>7}")
    return "\n".join(lines)


@env.command("build")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@folder_option
@json_option
def build_env(names: tuple[str, ...], environments: Path | None, json_target: str | None) -> None:
    """Build the images of task directories, so that runs need not wait for them."""
    from harness.sandbox import images

    built = []
    for environment in _selected(names, environments):
        if environment.image is not None:
            tag = images.ensure(environment.image, say)
        else:
            tag = images.build(environment.context, environment.name, say=say)
        size = images.image_size(tag) or 0
        built.append({"environment": environment.name, "image": tag, "bytes": size})
        if json_target != "-":
            click.echo(f"{environment.name}  {tag}  {size / 1e6:.0f} MB")
    if json_target is not None:
        write_json(to_json(built), json_target)
