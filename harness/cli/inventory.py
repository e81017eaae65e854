"""Commands about what there is to test with: bank and env."""

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from harness.bank import ItemBank
from harness.bank_files import find_bank, load_bank
from harness.cli.common import json_option, log_to_stderr, print_table, say, to_json, write_json
from harness.environments import (
    Environment,
    find_environment,
    lint,
    list_environments,
)
from harness.errors import TaskError

_BAD_INPUT = 2


@click.group()
def bank() -> None:
    """Look at item banks."""


@bank.command("show")
@click.argument("name", metavar="BANK")
@json_option
def show_bank(name: str, json_target: str | None) -> None:
    """Items of a bank with their parameters, and where the bank measures best."""
    items = load_bank(name)
    if json_target is not None:
        write_json(to_json(_bank_facts(items)), json_target)
    if json_target != "-":
        _print_bank(items)


def _bank_facts(bank: ItemBank) -> dict[str, object]:
    information = bank.table.information.sum(axis=0)
    best = bank.table.nodes[int(information.argmax())]
    return {
        "name": bank.name,
        "hash": bank.hash,
        "description": bank.description,
        "population": {"mean": bank.mean, "sd": bank.sd},
        "provenance": dict(bank.provenance),
        "most_information_at": [round(float(x), 3) for x in best],
        "items": [
            {**asdict(item), "difficulties": item.difficulties, "labels": bank.labels(item.id)}
            for item in bank.items
        ],
    }


def _print_bank(bank: ItemBank) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    peak = bank.table.nodes[int(bank.table.information.sum(axis=0).argmax())]
    console.print(f"{bank.name}  hash {bank.hash}  {len(bank.items)} items", highlight=False)
    if bank.description:
        console.print(bank.description.strip(), highlight=False)
    for key, value in bank.provenance.items():
        console.print(f"  {key}: {value}", highlight=False, markup=False)
    where = ", ".join(f"{x:.2f}" for x in peak)
    console.print(f"  measures best at ability {where}", highlight=False)
    table = Table("item", "model", "categories", box=None)
    for column in ("discrimination", "difficulties", "± (first)"):
        table.add_column(column, justify="right", no_wrap=True)
    for item in bank.items:
        sd = ""
        if item.covariance is not None:
            row = len(item.slopes)
            sd = f"{np.sqrt(item.covariance[row][row]) / np.hypot.reduce(item.slopes):.2f}"
        table.add_row(
            item.id,
            item.model,
            str(len(item.intercepts) + 1),
            ", ".join(f"{a:.2f}" for a in item.slopes),
            ", ".join(f"{b:.2f}" for b in item.difficulties),
            sd,
        )
    print_table(table)


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
    if environments is not None:
        for item in items.items:
            try:
                find_environment(item.environment or item.id, environments)
            except TaskError as error:
                remarks.append(str(error))
    if json_target is not None:
        facts = {"name": items.name, "hash": items.hash, "ok": True, "remarks": remarks}
        write_json(to_json(facts), json_target)
    if json_target != "-":
        click.echo(f"{find_bank(name)}: {len(items.items)} items, hash {items.hash}, in order")
        for remark in remarks:
            click.echo(f"  remark: {remark}")
    return 0


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


@env.command("list")
@folder_option
@json_option
def list_env(environments: Path | None, json_target: str | None) -> None:
    """Task directories with their categories and limits."""
    found = list_environments(environments)
    if json_target is not None:
        write_json(to_json([asdict(environment) for environment in found]), json_target)
    if json_target != "-":
        width = max(len(environment.name) for environment in found)
        for e in found:
            labels = " < ".join(e.categories)
            click.echo(f"{e.name:{width}}  {e.difficulty:7} {e.agent_seconds:5.0f} s  {labels}")


@env.command("check")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@folder_option
@click.option(
    "--width", type=click.IntRange(1), default=2, show_default=True, help="Containers at once."
)
@json_option
def check_env(
    names: tuple[str, ...], environments: Path | None, width: int, json_target: str | None
) -> int:
    """Run each task's solutions and the do-nothing agent in Docker.

    The reference solution must reach the top category, doing nothing the bottom one, and each
    partial solution exactly its own. Exit code 2 when a task does not hold.
    """
    selected = _selected(names, environments)
    from harness.runners.check import check

    log_to_stderr()
    remarks = {e.name: lint(e) for e in selected}
    trials = check(selected, width=width, say=say)
    if json_target is not None:
        content = {"trials": [{**asdict(t), "ok": t.ok} for t in trials], "remarks": remarks}
        write_json(to_json(content), json_target)
    if json_target != "-":
        for t in trials:
            reached = "void" if t.category is None else str(t.category)
            verdict = "ok" if t.ok else "WRONG"
            click.echo(
                f"{verdict:6} {t.environment + '/' + t.script:34} category {reached} of expected "
                f"{t.expected}  {t.seconds:4.1f} s  {t.detail}"
            )
        for name, problems in remarks.items():
            for problem in problems:
                click.echo(f"remark {name}: {problem}")
    return 0 if all(trial.ok for trial in trials) else _BAD_INPUT


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
