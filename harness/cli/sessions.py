"""Commands about one session: run, resume, report."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import journal
from harness.bank import ItemBank
from harness.bank_files import find_bank, load_bank, save_bank
from harness.cli.agent_options import (
    agent_options,
    attempt_options,
    launch_settings,
    pairs,
    parts_given,
    parts_options,
    sandbox_option,
)
from harness.cli.common import (
    json_option,
    log_to_stderr,
    make_plan,
    parse_prior,
    plan_options,
    say,
    show_origins,
    to_json,
    write_json,
)
from harness.errors import JournalError, PlanError
from harness.events import Answered, Chosen, Event, Launch, Plan, Stopped, Voided
from harness.gate import Gate, parse_gate
from harness.session import Session
from harness.stop import predicted_only

if TYPE_CHECKING:
    from rich.console import RenderableType

_IMPRECISE, _INFRASTRUCTURE, _GATE_FAILED, _INTERRUPTED = 3, 4, 1, 130


@click.command()
@click.option("--bank", "-b", help="Folder of an item bank, or the name of a shipped one.")
@click.option(
    "--task",
    "-t",
    help="An Inspect task, as package/task or file.py@task, whose samples are the items: those "
    "of the bank that name no source, or all of them without a bank.",
)
@click.option(
    "-T",
    "task_args",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="Argument of the task; repeatable.",
)
@click.option(
    "--score",
    metavar="LADDER",
    help="How the task's scores make a category, as in 'security>=0.5 then utility>=0.5'.",
)
@sandbox_option
@agent_options
@plan_options(stop="sd<0.3", max_items=30)
@parts_options
@attempt_options
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where run folders are made.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    help="The run folder; named by time by default.",
)
@click.option(
    "--fail-if",
    "fail_if",
    multiple=True,
    metavar="GATE",
    help="Exit 1 when it holds, as in 'P(score>0.5) < 0.9'; repeatable.",
)
@click.option(
    "--dry-run", is_flag=True, help="Simulate from the prior and say what to expect; run nothing."
)
@click.option(
    "--show-config", is_flag=True, help="Print each option, its value and origin; run nothing."
)
@json_option
@click.pass_context
def run(context: click.Context, /, **options: Any) -> int:
    """Test an agent adaptively in Docker until the answer is good enough."""
    if options["show_config"]:
        show_origins(context)
        return 0
    gates = [parse_gate(text) for text in options["fail_if"]]
    bank = _bank(options)
    plan = make_plan(bank, **{name: options[name] for name in _PLAN_OPTIONS})
    agent = parts_given(options)
    if agent or agent.date:
        for sentence in parse_prior(options["prior"], bank, agent).words:
            say(f"prior: {sentence}")
    if warning := predicted_only(plan.stop, bank.table):
        say(f"warning: {warning}")
    environments = options["environments"]
    if options["dry_run"]:
        return _dry_run(bank, plan, environments, options["json_target"])
    launch = Launch(
        bank=str(find_bank(options["bank"])) if options["bank"] else "",
        agent=options["agent"] or _default_agent(bank, options["task"]),
        task=_absolute_task(options["task"]),
        task_args=options["task_args"],
        score=options["score"],
        **launch_settings(options),
    )
    from harness.runners import live

    folder = options["out"] or live.new_folder(options["runs"], bank.name, launch.title)
    if not launch.bank:
        # what a later calibration begins with, and what resume goes on with
        save_bank(bank, folder / "bank")
        launch = replace(launch, bank=str(folder / "bank"), task=None, task_args=(), score=None)
    if options["max_cost"] and launch.model and not launch.model_cost:
        say("warning: --max-cost cannot fire without prices: add --model-cost-config FILE")
    log_to_stderr()
    say(f"Testing {launch.title} on {bank.name} ({len(bank.items)} items); run folder {folder}")
    screen = Screen(bank)
    try:
        session = live.start(folder, launch, plan, notify=screen, say=say)
    except KeyboardInterrupt:
        return _interrupted(folder)
    return _finish(folder, session, bank, gates, options["json_target"])


def _bank(options: dict[str, Any]) -> ItemBank:
    """The bank that is named, or an uncalibrated one of the task that is."""
    if options["bank"]:
        return load_bank(options["bank"])
    if not options["task"]:
        raise PlanError(
            "there is nothing to test with: add --bank BANK, or --task TASK for an Inspect task; "
            "cat-harness bank init makes a bank of task directories"
        )
    from harness.runners.borrowed import argument_values
    from harness.runners.foreign import task_bank

    args = argument_values([f"{name}={value}" for name, value in options["task_args"]])
    return task_bank(options["task"], args, score=options["score"] or "")


def _default_agent(bank: ItemBank, task: str | None) -> str:
    samples = task or any(source.task for source in bank.sources.values())
    return "own" if samples else "react"


def _absolute_task(task: str | None) -> str | None:
    if task is None:
        return None
    file, at, name = task.rpartition("@") if "@" in task else (task, "", "")
    return f"{Path(file).resolve()}{at}{name}" if file.endswith(".py") else task


_PLAN_OPTIONS = (
    *("select", "per", "stop", "max_items", "max_cost", "max_seconds", "prior", "estimator"),
    *("seed", "level", "width", "max_attempts", "llm", "scaffold", "agent_date"),
)


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--fail-if", "fail_if", multiple=True, metavar="GATE", help="Exit 1 when it holds; repeatable."
)
@json_option
def resume(run_folder: Path, fail_if: tuple[str, ...], json_target: str | None) -> int:
    """Go on with the session of a run folder, after Ctrl-C, a kill, or too many voids."""
    gates = [parse_gate(text) for text in fail_if]
    record = journal.read(run_folder)
    folder = record.path.parent
    launch = record.started.launch
    if launch is None or record.started.rescored:
        raise JournalError(f"{record.path} is not of a live session; there is nothing to resume")
    bank = load_bank(launch.bank)
    from harness.runners import live

    log_to_stderr()
    answered = sum(isinstance(event, Answered) for event in record.events)
    say(f"Resuming {launch.title} on {bank.name}: {answered} items answered so far")
    try:
        session = live.resume(folder, notify=Screen(bank), say=say)
    except KeyboardInterrupt:
        return _interrupted(folder)
    return _finish(folder, session, bank, gates, json_target)


class Screen:
    """The live line for each item, on stderr.

    An outcome is printed once it is known what follows it: the next choice, or the end.
    """

    def __init__(self, bank: ItemBank) -> None:
        self._bank = bank
        self._waiting: Answered | Voided | None = None

    def __call__(self, session: Session, event: Event) -> None:
        from harness.report.text import item_line

        if self._waiting is not None:
            say(item_line(session, self._bank, self._waiting))
            self._waiting = None
        match event:
            case Answered() | Voided():
                self._waiting = event
            case Chosen() if event.step <= session.plan.width:
                say(f"    first: {event.item}")
            case Stopped():
                say(f"Stopped: {event.reason}")


def _interrupted(folder: Path) -> int:
    journal_file = folder / journal.NAME
    if not journal_file.is_file() or not journal_file.stat().st_size:
        say("\nInterrupted before the session began.")
        return _INTERRUPTED
    say(f"\nInterrupted; nothing answered is lost. Go on with:\n  cat-harness resume {folder}")
    return _INTERRUPTED


def _finish(
    folder: Path, session: Session, bank: ItemBank, gates: Sequence[Gate], json_target: str | None
) -> int:
    from harness.report.summary import summarise, summary_json
    from harness.report.text import summary_text

    summary = summarise(session, bank)
    if json_target != "-":
        _print(summary_text(summary))
    if json_target is not None:
        write_json(summary_json(summary), json_target)
    say(f"Page: cat-harness report {folder}    Traces: inspect view --log-dir {folder / 'logs'}")
    return _exit_code(folder, session, gates)


def _exit_code(folder: Path, session: Session, gates: Sequence[Gate]) -> int:
    assert session.stopped is not None
    if session.stopped.outcome == "voids":
        say(f"Stopped on voids. Once their cause is gone: cat-harness resume {folder}")
        return _INFRASTRUCTURE
    failed = [gate for gate in gates if gate.failed(session)]
    for gate in failed:
        say(f"Gate failed: {gate.text} (it is {gate.value(session):.3f})")
    if failed:
        return _GATE_FAILED
    if session.plan.stop.precise and session.stopped.outcome != "precise":
        return _IMPRECISE
    return 0


def _print(renderable: "RenderableType") -> None:
    from rich.console import Console

    Console().print(renderable, soft_wrap=True)


def _dry_run(bank: ItemBank, plan: Plan, environments: str | None, json_target: str | None) -> int:
    from harness.cli.dry_run import expect, expectation_text

    expectation = expect(bank, plan, Path(environments) if environments else None)
    if json_target != "-":
        click.echo(expectation_text(expectation))
    if json_target is not None:
        write_json(to_json(expectation), json_target)
    return 0


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(exists=True, path_type=Path))
@click.option("--bank", "-b", help="The bank, where it has moved since the run.")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page; report.html in the run folder by default.",
)
@json_option
def report(run_folder: Path, bank: str | None, out: Path | None, json_target: str | None) -> int:
    """Write one self-contained HTML page about a run."""
    record = journal.read(run_folder)
    if record.torn:
        say(f"the last line of {record.path} was cut short ({record.torn} bytes) and is left out")
    launch = record.started.launch
    if bank is None and launch is None:
        raise PlanError(f"{record.path} does not say where its bank is: add --bank FOLDER")
    items = load_bank(bank or (launch.bank if launch else ""))
    session = journal.replayed(record, items)
    from harness.report.distributions import distributions
    from harness.report.page import render_page
    from harness.report.summary import summarise, summary_json

    summary = summarise(session, items)
    if json_target is not None:
        write_json(summary_json(summary), json_target)
    if json_target != "-":
        path = out or record.path.parent / "report.html"
        traces = os.path.relpath(record.path.parent, path.parent)
        page = render_page(summary, distributions(session), traces=traces)
        path.write_text(page, encoding="utf-8")
        click.echo(str(path))
    return 0
