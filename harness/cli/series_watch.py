"""The command that tests the checkpoints of a training run as they are written."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.agent_options import agent_args_option, model_args_option
from harness.cli.common import json_option, log_to_stderr, say
from harness.cli.series_init import of_series
from harness.cli.series_work import Screens, check_checkpoint, finish, interrupted, warn_of_unit
from harness.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from harness.series.definition import Definition
    from harness.series.files import Registered
    from harness.series.watch import Found
    from harness.series.worker import Outcome

_CONFIRMED, _BAD_INPUT, _INFRASTRUCTURE = 1, 2, 4
_POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@of_series
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--pattern",
    "patterns",
    multiple=True,
    metavar="NAME",
    help="What checkpoints are called, with {step} for the step and * for anything; repeatable; "
    "by default as common trainers call them, such as checkpoint-{step}.",
)
@click.option(
    "--marker",
    metavar="FILE",
    help="A checkpoint is complete once it holds this file; by default, once nothing in it has "
    "changed for a while.",
)
@click.option(
    "--settled",
    type=_POSITIVE,
    default=10.0,
    show_default=True,
    help="Seconds without a change after which a checkpoint is complete.",
)
@click.option(
    "--poll",
    type=_POSITIVE,
    default=10.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option(
    "--model",
    "-m",
    metavar="TEMPLATE",
    help="Model of each checkpoint, such as vllm/{path}; {step} and {name} are filled in too, and "
    "{model} by what --serve prints; that of the series by default.",
)
@model_args_option
@click.option(
    "--agent",
    "-a",
    metavar="TEMPLATE",
    help="Agent of each checkpoint; {path}, {step} and {name} are filled in.",
)
@agent_args_option
@click.option(
    "--serve",
    metavar="TEMPLATE",
    help="Shell command that serves a checkpoint, prints its URL and is stopped afterwards; "
    "{port} is filled in too.",
)
@click.option("--once", is_flag=True, help="Look once, test what is worth it, and end.")
@click.option(
    "--until", type=click.IntRange(0), metavar="STEP", help="End after the checkpoint of this step."
)
@click.option(
    "--idle-exit",
    type=_POSITIVE,
    metavar="SECONDS",
    help="End when no checkpoint came and nothing was tested for so long.",
)
@click.option("--stop-on-alarm", is_flag=True, help="End when an alarm is confirmed.")
@json_option
def watch(name: str, root: Path, json_target: str | None, **options: Any) -> int:
    """Register the checkpoints that a training run writes to DIR, and test them as they come.

    A checkpoint may bring its own model, agent, serving command, jump and note in a file
    cat-harness.yaml.

    \b
    Exit codes: 0 done; 1 an alarm was confirmed; 2 bad input, or a checkpoint without a model;
    4 infrastructure; 130 interrupted.
    """
    from harness.runners.live import terminable
    from harness.series.definition import check_banks, read_definition
    from harness.series.state import find_series

    series = find_series(name, root)
    definition = read_definition(series)
    screens = Screens(check_banks(definition))
    log_to_stderr()
    say(f"Watching {options['folder']} for series {definition.name}; Ctrl-C ends it")
    watched = _Watch(series, definition, options, screens)
    try:
        with terminable():
            watched.follow()
    except KeyboardInterrupt:
        return interrupted()
    return finish(series, watched.outcomes, watched.exit_code, json_target)


@dataclass
class _Watch:
    """A folder that is watched, and what came of it so far."""

    series: Path
    definition: "Definition"
    options: Mapping[str, Any]
    """Of the command."""
    screens: Screens
    outcomes: list["Outcome"] = field(default_factory=list)
    confirmed_before: frozenset[str] = frozenset()
    """Alarms that are no news."""
    seen: set[int] = field(default_factory=set)
    """Steps that were found, those that were left out included."""
    lacking: bool = False
    """Whether a checkpoint was left out that cannot be tested."""
    moved: float = field(default_factory=time.monotonic)
    """When a checkpoint came or a session ended."""
    looked: float = 0.0
    idle_since: float | None = None
    """When nothing was worth testing; None before that."""

    def follow(self) -> None:
        """Register and test until an option says that it is enough."""
        from harness.series.watch import watching

        self.confirmed_before = self.confirmed()
        self.seen.update(self.steps())
        found = watching(
            self.options["folder"],
            say=say,
            until=self.ended,
            known=tuple(self.seen),
            poll=self.options["poll"],
            sleep=self.work_or_wait,
            **self.how,
        )
        for checkpoint in found:
            self.register(checkpoint)
        if not self.alarmed():
            self.work(stop=self.alarmed)

    @property
    def how(self) -> dict[str, Any]:
        from harness.series.watch import PATTERNS

        given = {name: self.options[name] for name in ("marker", "settled")}
        return {"patterns": self.options["patterns"] or PATTERNS, **given}

    def steps(self) -> list[int]:
        from harness.series.files import registered

        return [checkpoint.step for checkpoint in registered(self.series)]

    def confirmed(self) -> frozenset[str]:
        from harness.series.files import alarms

        return frozenset(alarm.id for alarm in alarms(self.series) if alarm.state == "confirmed")

    def alarmed(self) -> bool:
        """Whether an alarm ends the watch."""
        return self.options["stop_on_alarm"] and self.confirmed() != self.confirmed_before

    def ended(self) -> bool:
        until, idle_exit = self.options["until"], self.options["idle_exit"]
        return (
            self.options["once"]
            or (until is not None and max(self.steps(), default=-1) >= until)
            or (idle_exit is not None and time.monotonic() - self.moved >= idle_exit)
            or self.alarmed()
        )

    def register(self, found: "Found") -> None:
        from harness.series.files import register

        self.seen.add(found.step)
        steps = self.steps()
        # another watch of the same folder may have been quicker
        if found.step not in steps:
            in_order = found.step > max(steps, default=-1)
            try:
                checkpoint = _checkpoint(found, self.options)
                if in_order:
                    check_checkpoint(self.definition, checkpoint)
                register(self.series, checkpoint)
            except InputError as error:
                say(f"{found.path} is left out: {error}")
                self.lacking |= in_order
                return
            say(f"Checkpoint {found.step}: {found.path}")
            warn_of_unit(self.series, self.definition)
        self.moved, self.idle_since = time.monotonic(), None

    def has_news(self) -> bool:
        """Whether a checkpoint waits to be registered before the next session is chosen."""
        from harness.series.watch import look

        if time.monotonic() - self.looked < self.options["poll"]:
            return False
        self.looked = time.monotonic()
        with suppress(InputError):
            now = time.time()
            return bool(look(self.options["folder"], now=now, known=self.seen, **self.how).complete)
        return False

    def work(self, stop: Callable[[], bool]) -> None:
        from harness.series.worker import work_on

        # one look has just been taken
        self.looked = time.monotonic()
        done = work_on(self.series, say=say, stop=stop, notify_event=self.screens)
        self.outcomes.append(done)
        self.idle_since = None if done.left else time.monotonic()
        if done.sessions:
            self.moved = time.monotonic()

    def work_or_wait(self, seconds: float) -> None:
        # after a while again: another worker may have been lost, or what failed may be mended
        if self.idle_since is None or time.monotonic() - self.idle_since >= self.definition.lease:
            try:
                self.work(stop=lambda: self.has_news() or self.alarmed())
            except InfrastructureError as error:
                say(f"{error}\nTrying again in {self.definition.lease:.0f} s")
                self.idle_since = time.monotonic()
        else:
            time.sleep(seconds)

    @property
    def exit_code(self) -> int:
        if self.confirmed() != self.confirmed_before:
            return _CONFIRMED
        if self.lacking:
            return _BAD_INPUT
        return _INFRASTRUCTURE if self.outcomes and self.outcomes[-1].problems else 0


def _checkpoint(found: "Found", templates: Mapping[str, Any]) -> "Registered":
    """What was found, with what it says of itself before what is said of all."""
    from harness.series.files import Registered
    from harness.series.settings import absolute_agent
    from harness.series.watch import template

    own = found.settings
    agent = template(own.agent or templates["agent"] or "", found.step, found.path)
    return Registered(
        step=found.step,
        model=own.model or templates["model"],
        agent=absolute_agent(agent) or None,
        model_args=own.model_args or templates["model_args"],
        agent_args=own.agent_args or templates["agent_args"],
        serve=own.serve or templates["serve"] or "",
        path=str(found.path.resolve()),
        jump=bool(own.jump),
        at=time.time(),
        note=own.note or "",
    )
