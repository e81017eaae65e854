"""The command that holds runs side by side, or runs agents against each other."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness import journal
from harness.bank import ItemBank
from harness.bank_files import find_bank, load_bank
from harness.cli.agent_options import (
    environments_option,
    limit_options,
    limits,
    prices_option,
    width_option,
)
from harness.cli.common import (
    json_option,
    log_to_stderr,
    make_plan,
    plan_options,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.errors import InputError, JournalError, PlanError
from harness.events import Answered, Event, Launch, Stopped, Voided
from harness.session import Session

_BAD_INPUT, _NOT_APART, _INFRASTRUCTURE, _INTERRUPTED = 2, 3, 4, 130
_PLAN = (
    *("select", "per", "stop", "max_items", "max_cost", "max_seconds", "prior", "estimator"),
    *("seed", "level", "width"),
)


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--bank", "-b", help="The bank of all: for new runs, or where it has moved since the runs."
)
@click.option(
    "--agent",
    "-a",
    "agents",
    multiple=True,
    help="Test this agent now, as for run; repeatable.",
)
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    help="Model of the agent; repeatable: one for all agents, one for each, or several for one.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Probability of the other order that may remain when two agents are told apart.",
)
@plan_options(stop="exhausted", max_items=30)
@width_option
@environments_option
@limit_options
@prices_option
@click.option(
    "--runs",
    "runs_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where folders of new runs are made.",
)
@click.option("--anyway", is_flag=True, help="Compare in spite of what forbids it.")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write one self-contained HTML page.",
)
@json_option
def compare(**options: Any) -> int:
    """Compare the agents of two or more runs on the same bank.

    Agents that are named by --agent or --model are tested first, each in a run of its own, side
    by side, until every one is told apart from all the others or its plan ends.

    \b
    Exit codes: 0 every two agents are told apart; 2 the runs differ in something that matters
    besides their agents: the bank, the images or the limits of items that both answered;
    3 some are not told apart; 4 a new run stopped on voids; 130 interrupted.
    """
    from harness.report.compare import compare as compared
    from harness.report.compare_text import comparison_text

    runs = options["runs"]
    sessions, bank = _sessions(runs, options["bank"])
    if options["agents"] or options["models"]:
        try:
            sessions += _contest(bank, runs, sessions, options)
        except KeyboardInterrupt:
            return _INTERRUPTED
    comparison = compared(sessions, bank, alpha=options["alpha"], level=options["level"])
    if options["json_target"] is not None:
        write_json(to_json(asdict(comparison)), options["json_target"])
    if options["json_target"] != "-":
        click.echo(comparison_text(comparison))
    if options["out"] is not None:
        from harness.report.compare_page import render_compare_page

        write_page(render_compare_page(comparison, sessions), options["out"])
    if comparison.forbidden and not options["anyway"]:
        say("The runs differ in what matters, so this says little: use --anyway to accept that.")
        return _BAD_INPUT
    if any(s.stopped and s.stopped.outcome == "voids" for s in sessions[len(runs) :]):
        return _INFRASTRUCTURE
    return 0 if comparison.apart else _NOT_APART


def _sessions(runs: Sequence[Path], bank: str | None) -> tuple[list[Session], ItemBank]:
    records = [journal.read(path) for path in runs]
    for other in records[1:]:
        first = records[0]
        ours, theirs = first.started, other.started
        if ours.bank_hash != theirs.bank_hash:
            raise InputError(
                f"{first.path} is of bank {ours.bank} ({ours.bank_hash[:12]}), {other.path} of "
                f"{theirs.bank} ({theirs.bank_hash[:12]}): abilities on two scales cannot be "
                "compared. Run both agents on the same bank."
            )
    launch = records[0].started.launch if records else None
    if bank is None and launch is None:
        if records:
            raise JournalError(
                f"{records[0].path} does not say where its bank is: add --bank FOLDER"
            )
        raise PlanError("there is nothing to compare: name two run folders, or --bank and --agent")
    items = load_bank(bank or (launch.bank if launch else ""))
    return [journal.replayed(record, items) for record in records], items


def _contest(
    bank: ItemBank, runs: Sequence[Path], finished: Sequence[Session], options: dict[str, Any]
) -> list[Session]:
    """Test the agents that are named against each other, and against those of finished runs."""
    where = options["bank"] or journal.read(runs[0]).started.launch.bank  # type: ignore[union-attr]
    plan = make_plan(bank, **{name: options[name] for name in _PLAN})
    launches = [
        Launch(
            bank=str(find_bank(where)),
            agent=agent,
            model=model,
            model_cost=options["model_cost_config"],
            environments=options["environments"],
            limits=limits(options),
        )
        for agent, model in _entrants(options["agents"], options["models"])
    ]
    from harness.runners.contest import contest
    from harness.runners.live import new_folder

    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[len(runs) :]
    folders = [
        new_folder(options["runs_folder"], bank.name, launch.title, name)
        for launch, name in zip(launches, names, strict=False)
    ]
    log_to_stderr()
    for name, launch, folder in zip(names, launches, folders, strict=False):
        say(f"{name}  {launch.title} on {bank.name}; run folder {folder}")
    board = _Board(bank, names)
    titles = [journal.read(run).started.agent for run in runs]
    try:
        return contest(
            folders,
            launches,
            plan,
            alpha=options["alpha"],
            finished=list(zip(titles, finished, strict=True)),
            notify=board,
            say=say,
        )
    except KeyboardInterrupt:
        say("\nInterrupted; nothing answered is lost. Each run can go on by itself to its limits:")
        for folder in folders:
            say(f"  cat-harness resume {folder}")
        say(f"Then:\n  cat-harness compare {' '.join(map(str, [*runs, *folders]))}")
        raise


def _entrants(agents: Sequence[str], models: Sequence[str]) -> list[tuple[str, str | None]]:
    """Agents with their models: one model for all, one for each, or several for one agent."""
    some = list(agents) or ["react"]
    if not models:
        return [(agent, None) for agent in some]
    if len(models) == 1:
        return [(agent, models[0]) for agent in some]
    if len(some) == 1:
        return [(some[0], model) for model in models]
    if len(some) != len(models):
        raise PlanError(
            f"{len(some)} agents and {len(models)} models do not pair: give one model for all "
            "agents, one for each, or one agent"
        )
    return list(zip(some, models, strict=True))


class _Board:
    """A line on stderr for every outcome, with the name of its agent."""

    def __init__(self, bank: ItemBank, names: str) -> None:
        self._bank = bank
        self._names = names

    def __call__(self, side: int, session: Session, event: Event) -> None:
        from harness.report.text import item_line

        match event:
            case Answered() | Voided():
                say(f"{self._names[side]}  {item_line(session, self._bank, event)}")
            case Stopped():
                say(f"{self._names[side]}  stopped: {event.reason}")
