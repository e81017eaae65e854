"""Options of the commands that launch agents: who is tested, and within what limits."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli.machine import parse_size
from harness.parts.ability import Parts

F = TypeVar("F", bound=Callable[..., Any])

_LIMITS = ("message_limit", "token_limit", "time_limit")


def pairs(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Callback of a repeatable option whose values are NAME=VALUE."""
    found = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        found.append((name, text))
    return tuple(found)


def _size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else parse_size(value)


def in_order(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator; help shows them in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


sandbox_option = click.option(
    "--sandbox", help="Sandbox of the task's samples, in place of the one that they name."
)
agent_args_option = click.option(
    "-A",
    "agent_args",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="Argument of your own agent; repeatable.",
)
model_args_option = click.option(
    "-M",
    "model_args",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="Argument of the model; repeatable.",
)
prices_option = click.option(
    "--model-cost-config",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Inspect's file of model prices; without it dollars are not known and count as 0.",
)
agent_options = in_order(
    click.option(
        "--agent",
        "-a",
        help="react, oracle, nop, persona:SKILL[,CARE], own (an Inspect task's own solver), "
        "package.module:name or file.py:name; by default own for Inspect tasks, else react.",
    ),
    agent_args_option,
    click.option(
        "--model", "-m", help="Model of the agent, as Inspect names it, such as openai/gpt-5."
    ),
    model_args_option,
    click.option(
        "--judge",
        metavar="MODEL",
        help="Model that judges quality in task directories which ask for that and name none.",
    ),
    prices_option,
)

width_option = click.option(
    "--width", type=click.IntRange(1), default=1, show_default=True, help="Items in flight at once."
)
environments_option = click.option(
    "--environments",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder of task directories; those shipped by default.",
)
limit_options = in_order(
    click.option(
        "--message-limit", type=click.IntRange(1), help="Inspect's limit of messages for each item."
    ),
    click.option(
        "--token-limit", type=click.IntRange(1), help="Inspect's limit of tokens for each item."
    ),
    click.option(
        "--time-limit",
        type=click.IntRange(1),
        help="Inspect's limit of seconds for each item; tasks have their own too.",
    ),
)
attempt_options = in_order(
    width_option,
    click.option(
        "--max-attempts",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Launches of one item before its voids take it out.",
    ),
    environments_option,
    limit_options,
    click.option(
        "--prewarm",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Containers that may stand ready for hidden tests and likely next items.",
    ),
    click.option(
        "--disk-budget",
        callback=_size,
        metavar="SIZE",
        help="As 20GB: above it, our images that were not used for longest are removed.",
    ),
)


AGENTS_TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
agents_option = click.option(
    "--agents",
    "agents_table",
    type=AGENTS_TABLE,
    metavar="CSV",
    help="What agents are made of: a table with agent and any of llm, scaffold and date.",
)
parts_options = in_order(
    click.option(
        "--llm",
        metavar="NAME",
        help="Model of the agent, as the calibrating agents of the bank name it: its prior follows "
        "what they did with it.",
    ),
    click.option("--scaffold", metavar="NAME", help="Scaffold of the agent, as the bank names it."),
    click.option(
        "--date",
        "--agent-date",
        "agent_date",
        metavar="DATE",
        help="When the agent came out: its prior follows the trend of the calibrating agents.",
    ),
)


def parts_given(options: Mapping[str, Any]) -> Parts:
    """What these options say that an agent is made of."""
    return Parts(options["llm"] or "", options["scaffold"] or "", options["agent_date"] or "")


def limits(options: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Those of Inspect's limits that were given."""
    return tuple((name, options[name]) for name in _LIMITS if options[name])


def launch_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """What these options say of a ``Launch``: all of its fields but bank, agent and task."""
    return {
        "agent_args": options["agent_args"],
        "model": options["model"],
        "model_args": options["model_args"],
        "model_cost": options["model_cost_config"],
        "environments": options["environments"],
        "limits": limits(options),
        "judge": options["judge"],
        "sandbox": options["sandbox"],
        "prewarm": options["prewarm"],
        "disk_budget_mb": options["disk_budget"],
    }
