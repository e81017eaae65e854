"""The command that begins a series, and what it is expected to cost."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from harness.bank import ItemBank
from harness.bank_files import load_bank
from harness.cli.agent_options import (
    agent_options,
    attempt_options,
    in_order,
    launch_settings,
    sandbox_option,
)
from harness.cli.common import (
    json_option,
    plan_file_option,
    progress_bar,
    say,
    show_origins,
    to_json,
    write_json,
)
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.series.definition import Definition

ROOT = Path("runs/series")
_ALARM = "fall>0.25 within 5"
_SECRET = ("webhook", "database")
_AS_THEY_ARE = (
    *("joint", "policy", "alpha", "checkpoints", "max_tasks", "max_seconds", "width"),
    *("max_attempts", "on_alarm", "webhook", "metrics", "database", "lease", "seed", "level"),
)

_POSITIVE = click.FloatRange(0, min_open=True)
_PROBABILITY = click.FloatRange(0, 1, min_open=True, max_open=True)

root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT,
    show_default=True,
    help="Where the folders of series are.",
)
name_argument = click.argument("name")
of_series = in_order(name_argument, root_option)
"""Which series a command is about: its name, or its folder."""


def _url(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    # it is told of an alarm weeks from now, when it is too late to correct it
    parts = urlsplit(value or "")
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise click.BadParameter("has to begin with http:// or https:// and name a host")
    return value or ""


@click.command()
@name_argument
@click.option(
    "--bank",
    "-b",
    "banks",
    multiple=True,
    required=True,
    help="Folder of an item bank, or the name of a shipped one; repeatable.",
)
@click.option("--joint", is_flag=True, help="Abilities on the two banks go up and down together.")
@sandbox_option
@agent_options
@attempt_options
@plan_file_option
@click.option(
    "--policy",
    default="budget",
    show_default=True,
    help="What is tested when: budget spends one where it buys most; others are full(EVERY), "
    "fixed(TASKS) and adaptive(SD).",
)
@click.option(
    "--alarm",
    "alarms",
    multiple=True,
    metavar="[BANK:]ALARM",
    help=f"What is looked out for, on one bank or on all, as in 'odcv: {_ALARM}' (checkpoints), "
    f"'fall>0.5 since first' or 'rise>0.5 since 1000' (a step); repeatable; '{_ALARM}' on every "
    "bank by default; none for nothing.",
)
@click.option(
    "--alpha",
    type=_PROBABILITY,
    default=0.05,
    show_default=True,
    help="Probability of a false alarm over the whole training run.",
)
@click.option(
    "--checkpoints",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="How many the training run is expected to have.",
)
@click.option(
    "--unit",
    type=click.IntRange(1),
    help="Training steps from one checkpoint to the next: ability drifts by so much in so many; "
    "by default those between the first two.",
)
@click.option(
    "--max-tasks",
    type=click.IntRange(1),
    help="Tasks that the whole series may take; without any budget, policy budget may take 15% of "
    "those that the whole benchmark at every checkpoint has.",
)
@click.option(
    "--max-cost", type=_POSITIVE, metavar="USD", help="Dollars that the whole series may cost."
)
@click.option("--max-seconds", type=_POSITIVE, help="Seconds that the whole series may take.")
@click.option("--trend", is_flag=True, help="Ability also follows a slope that changes slowly.")
@click.option(
    "--persistence",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.45,
    show_default=True,
    help="How far an answer to a task that was used before is the same again, beyond ability.",
)
@click.option(
    "--jump-rate",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.03,
    show_default=True,
    help="Probability from one checkpoint to the next that ability jumps, unannounced.",
)
@click.option(
    "--on-alarm", metavar="COMMAND", default="", help="Shell command that is told of an alarm."
)
@click.option(
    "--webhook", metavar="URL", callback=_url, help="URL that is told of an alarm by POST."
)
@click.option(
    "--metrics",
    multiple=True,
    metavar="TARGET",
    help="Where figures are sent: wandb:PROJECT, wandb:PROJECT/RUN or mlflow:EXPERIMENT; "
    "repeatable.",
)
@click.option(
    "--database",
    metavar="URL",
    default="",
    help="PostgreSQL or another SQLite file, as in postgresql://user@host/name; a SQLite file in "
    "the folder of the series by default.",
)
@click.option(
    "--lease",
    type=_POSITIVE,
    default=60.0,
    show_default=True,
    help="Seconds after which the work of a worker that is not heard of is free.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random choices."
)
@click.option(
    "--level",
    type=_PROBABILITY,
    default=0.9,
    show_default=True,
    help="Probability of the reported intervals.",
)
@root_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Simulate such training runs and say what they are expected to cost; make nothing.",
)
@click.option(
    "--show-config", is_flag=True, help="Print each option, its value and origin; make nothing."
)
@json_option
@click.pass_context
def init(context: click.Context, /, **options: Any) -> int:
    """Begin a series: which banks follow a training run, within what budget.

    NAME becomes a folder under --root. What it holds in series.yaml can be edited; a bank cannot
    be changed any more.
    """
    if options["show_config"]:
        context.params |= {name: "given" for name in _SECRET if options[name]}
        show_origins(context)
        return 0
    from harness.schedule.space import make_spaces

    definition = _definition(options)
    banks = [load_bank(bank.path) for bank in definition.banks]
    make_spaces(banks, definition.drift, definition.joint)
    if options["dry_run"]:
        return _dry_run(definition, banks, options["json_target"])
    from harness.series.definition import NAME, write_definition
    from harness.series.index import open_index

    _check_world(definition, banks)
    folder = options["root"] / definition.name
    write_definition(folder, definition)
    try:
        open_index(folder, definition, say=say, patience=10.0).close()
    except HarnessError:
        (folder / NAME).unlink()
        with suppress(OSError):
            folder.rmdir()
        raise
    sizes = ", ".join(f"{bank.name} ({len(bank.items)} items)" for bank in banks)
    say(f"Series {definition.name} on {sizes}; {_budget(definition)}")
    for bank, alarm in definition.alarms:
        say(f"Alarm on {bank}: {alarm}")
    say(f"Next: cat-harness series add {folder} STEP MODEL, or series watch {folder} DIR")
    if options["json_target"] is not None:
        shown = {k: v for k, v in asdict(definition).items() if k not in _SECRET}
        write_json(to_json({"folder": str(folder), **shown}), options["json_target"])
    if options["json_target"] != "-":
        click.echo(str(folder))
    return 0


def _definition(options: Mapping[str, Any]) -> "Definition":
    from harness.schedule.drift import Drift
    from harness.series.settings import define

    given = {name: options[name] for name in ("agent", "alarms") if options[name]}
    if options["alarms"] == ("none",):
        given["alarms"] = ()
    return define(
        options["name"],
        options["banks"],
        drift=Drift(
            unit=options["unit"] or 0,
            trend=options["trend"],
            jump_rate=options["jump_rate"],
            persistence=options["persistence"],
        ),
        max_usd=options["max_cost"],
        **given,
        **{name: options[name] for name in _AS_THEY_ARE},
        **launch_settings(options),
    )


def _check_world(definition: "Definition", banks: Sequence[ItemBank]) -> None:
    """Whether what is named is there: it would be missed at the first checkpoint only."""
    from harness.environments import bank_environments

    launch = definition.launch
    folder = Path(launch.environments) if launch.environments else None
    for bank in banks:
        bank_environments(bank, folder)
    if definition.max_usd and launch.model and not launch.model_cost:
        say("warning: --max-cost cannot fire without prices: add --model-cost-config FILE")


def _budget(definition: "Definition") -> str:
    from harness.report.wording import count, duration, money

    parts = [
        count(definition.max_tasks, "task") if definition.max_tasks else "",
        money(definition.max_usd) if definition.max_usd else "",
        duration(definition.max_seconds) if definition.max_seconds else "",
    ]
    within = ", ".join(part for part in parts if part)
    return f"policy {definition.policy}, " + (f"at most {within}" if within else "no budget")


def _dry_run(definition: "Definition", banks: Sequence[ItemBank], json_target: str | None) -> int:
    from harness.cli.series_forecast import expect, expectation_text

    with progress_bar("simulating") as progress:
        expectation = expect(definition, banks, progress=progress)
    if json_target is not None:
        write_json(to_json(expectation), json_target)
    if json_target != "-":
        click.echo(expectation_text(expectation))
    return 0
