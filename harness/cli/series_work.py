"""Commands that work on a series: next and run."""

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bank import ItemBank
from harness.cli.common import json_option, log_to_stderr, say, to_json, write_json
from harness.cli.series_init import of_series
from harness.cli.sessions import Screen
from harness.errors import InputError
from harness.events import Event, Started
from harness.session import Session

if TYPE_CHECKING:
    from harness.series.definition import Definition
    from harness.series.files import Registered
    from harness.series.preview import Preview
    from harness.series.state import Loaded
    from harness.series.worker import Outcome

_INTERRUPTED = 130
_POSITIVE = click.FloatRange(0, min_open=True)


def check_checkpoint(definition: "Definition", checkpoint: "Registered") -> None:
    """Whether there is something to test.

    Raises:
        InputError: no model, or a model or serving command that cannot be filled in.
    """
    from harness.series.serve import filled

    launch = definition.launch
    model = checkpoint.model or launch.model or os.environ.get("INSPECT_EVAL_MODEL")
    if model is None and (checkpoint.agent or launch.agent) == "react":
        raise InputError(
            f"step {checkpoint.step} has no model, and the series has none either: name one, such "
            "as vllm/{path}, or openai-api/local/{model} where a command serves it, or a scripted "
            "agent"
        )
    about = ("step", "path", "name")
    filled(checkpoint.serve, dict.fromkeys((*about, "port"), ""))
    filled(model or "", dict.fromkeys((*about, "model"), ""))


def warn_of_unit(folder: Path, definition: "Definition") -> None:
    """Say when checkpoints are far from as many steps apart as the series was told."""
    from harness.series.files import registered

    steps = [checkpoint.step for checkpoint in registered(folder)][-2:]
    unit = definition.drift.unit
    if unit and len(steps) == 2 and not unit / 10 < steps[1] - steps[0] < unit * 10:
        say(
            f"warning: steps {steps[0]} and {steps[1]} are {steps[1] - steps[0]} apart, and the "
            f"series expects about {unit} between checkpoints; if more are to come like this, "
            f"correct drift.unit in {folder / 'series.yaml'}"
        )


@click.command("next")
@of_series
@json_option
def next_session(name: str, root: Path, json_target: str | None) -> int:
    """What would be tested next and why, and what that is expected to cost; nothing is run."""
    from harness.series.preview import preview
    from harness.series.state import find_series, load_series

    loaded = load_series(find_series(name, root))
    ahead = preview(loaded)
    chosen = {found.proposal.bank for found in ahead}
    nothing = {bank.name: why_not(loaded, bank.name) for bank in loaded.banks}
    nothing = {bank: why for bank, why in nothing.items() if bank not in chosen}
    if json_target is not None:
        sessions = [
            {**asdict(found.proposal), "usd": finite(found.usd), "seconds": finite(found.seconds)}
            for found in ahead
        ]
        write_json(to_json({"sessions": sessions, "nothing": nothing}), json_target)
    if json_target != "-":
        for found in ahead:
            click.echo(_preview_text(found))
        for bank, why in nothing.items():
            click.echo(f"{bank}: nothing, {why}")
    return 0


def _preview_text(found: "Preview") -> str:
    from harness.report.wording import count, duration, money

    proposal = found.proposal
    usd, seconds = finite(found.usd), finite(found.seconds)
    costs = [
        "dollars unknown" if usd is None else f"about {money(usd)}",
        "duration unknown" if seconds is None else f"about {duration(seconds)}",
    ]
    lines = [
        f"{proposal.bank}: step {proposal.step}, {proposal.purpose}, at most "
        f"{count(proposal.tasks, 'task')}, {', '.join(costs)}",
        proposal.why,
        *([f"may end earlier: {proposal.stop}"] if proposal.stop else []),
    ]
    return "\n  ".join(lines)


def finite(number: float) -> float | None:
    """A number as JSON has it: null where it is unknown."""
    return number if math.isfinite(number) else None


def why_not(loaded: "Loaded", bank: str) -> str:
    """Why nothing of a bank is worth testing now."""
    from harness.schedule.policy import Budget, Full, parse_policy

    if not loaded.checkpoints:
        return "no checkpoint is registered yet: cat-harness series add"
    last = loaded.checkpoints[-1]
    held = last.on(bank)
    for session in held:
        if session.state in ("planned", "running"):
            return f"{session.run} is at work, or waits for cat-harness series run"
    definition = loaded.definition
    sessions = [session for checkpoint in loaded.checkpoints for session in checkpoint.sessions]
    usd, seconds = loaded.situation.prices[bank]
    for what, limit, spent, price in (
        ("tasks", definition.max_tasks, sum(s.tasks for s in sessions), 1),
        ("dollars", definition.max_usd, sum(s.usd for s in sessions), usd),
        ("seconds", definition.max_seconds, sum(s.seconds for s in sessions), seconds),
    ):
        if limit is not None and (spent >= limit or spent + price > limit):
            return f"the budget of {limit:g} {what} is spent"
    answered = sum(len(session.answers) for session in held)
    course = loaded.situation.course(bank)
    axis = course.space.axis(bank)
    sd = float(course.filtered(-1, axis).sd[0]) / course.space.scales[axis].sd
    match parse_policy(definition.policy):
        case _ if held:
            return f"step {last.step} was tested with {answered} tasks, and no alarm asks for more"
        case Full(every):
            return f"the policy tests one checkpoint in {every}"
        case Budget():
            return f"the forecast of step {last.step} is sharp enough: sd {sd:.2f}"
        case _:
            return "what is left of the budgets is too little for a task"


@click.command("run")
@of_series
@click.option(
    "--max-cost", type=_POSITIVE, metavar="USD", help="Begin no session after so many dollars."
)
@click.option("--max-seconds", type=_POSITIVE, help="Begin no session after so many seconds.")
@click.option("--max-sessions", type=click.IntRange(1), help="Hold at most so many sessions.")
@json_option
def run_series(
    name: str,
    root: Path,
    max_cost: float | None,
    max_seconds: float | None,
    max_sessions: int | None,
    json_target: str | None,
) -> int:
    """Test what is worth testing, until nothing is.

    \b
    Exit codes: 0 done; 1 an alarm was confirmed; 2 bad input; 4 infrastructure; 130 interrupted.
    """
    from harness.series.definition import check_banks, read_definition
    from harness.series.state import find_series
    from harness.series.worker import work_on

    folder = find_series(name, root)
    screen = Screens(check_banks(read_definition(folder)))
    log_to_stderr()
    try:
        outcome = work_on(
            folder,
            say=say,
            max_usd=max_cost,
            max_seconds=max_seconds,
            max_sessions=max_sessions,
            notify_event=screen,
        )
    except KeyboardInterrupt:
        return interrupted()
    return finish(folder, [outcome], outcome.exit_code, json_target)


class Screens:
    """The live lines of one session after the other, on stderr."""

    def __init__(self, banks: Mapping[str, ItemBank]) -> None:
        self._banks = banks
        self._screen: Screen | None = None

    def __call__(self, session: Session, event: Event) -> None:
        if isinstance(event, Started):
            self._screen = Screen(self._banks[event.bank])
        if self._screen is not None:
            self._screen(session, event)


def finish(folder: Path, outcomes: Sequence["Outcome"], code: int, json_target: str | None) -> int:
    from harness.cli.series_status import print_status
    from harness.report.wording import count
    from harness.series.state import load_series

    sessions = [work for outcome in outcomes for work in outcome.sessions]
    alarms = {record.id: record for outcome in outcomes for record in outcome.alarms}
    if json_target is not None:
        content = {
            "sessions": sessions,
            "left": outcomes[-1].left,
            "alarms": list(alarms.values()),
            "problems": [problem for outcome in outcomes for problem in outcome.problems],
            "exit_code": code,
        }
        write_json(to_json(content), json_target)
    if json_target != "-":
        print_status(load_series(folder))
    for record in alarms.values():
        say(f"Alarm confirmed at step {record.step} on {record.bank}: {record.alarm}")
    say(f"{count(len(sessions), 'session')} held. Page: cat-harness series report {folder}")
    return code


def interrupted() -> int:
    """The very same command goes on: what is done is in files."""
    command = shlex.join(["cat-harness", *sys.argv[1:]])
    say(f"\nInterrupted; nothing answered is lost. Go on with:\n  {command}")
    return _INTERRUPTED
