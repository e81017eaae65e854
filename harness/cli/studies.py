"""Commands about many sessions: replay and simulate."""

from pathlib import Path
from typing import Any

import click

from harness.bank_files import load_bank
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    make_plan,
    parse_prior,
    plan_options,
    print_table,
    progress_bar,
    to_json,
    write_json,
)
from harness.errors import PlanError


@click.command()
@click.option(
    "--bank", "-b", required=True, help="Folder of an item bank, or the name of a shipped one."
)
@click.option(
    "--responses",
    "-r",
    type=RESPONSES_PATH,
    required=True,
    help="CSV, Parquet, py-irt JSON lines, or a folder of journals or .eval logs.",
)
@click.option(
    "--score",
    metavar="LADDER",
    help="Make categories of columns of a table, as in 'score>=0.3 then score>=0.8'.",
)
@plan_options(stop="sd<0.3", max_items=None)
@click.option(
    "--checkpoints",
    default="5,10,20,30,50,100",
    show_default=True,
    help="Numbers of items to compare at.",
)
@click.option("--since", metavar="DATE", help="Only agents dated from DATE on.")
@click.option("--newest", type=click.IntRange(1), help="Only so many agents of the latest dates.")
@json_option
def replay(
    bank: str,
    responses: Path,
    score: str | None,
    checkpoints: str,
    since: str | None,
    newest: int | None,
    json_target: str | None,
    **options: Any,
) -> None:
    """Feed logged outcomes of every agent to the adaptive session, and compare with all data."""
    from harness.responses import read_responses
    from harness.runners.replay import replay as run_replay

    items = load_bank(bank)
    logged = read_responses(responses, items, score=score)
    chosen = dated(logged.agents, logged.date, since=since, newest=newest)
    logged = logged.subset(agents=chosen)
    plan = make_plan(items, agent_date=max(logged.date, default=""), **options)
    with progress_bar("replaying") as progress:
        result = run_replay(
            items,
            logged,
            plan,
            priors=[parse_prior(options["prior"], items, date) for date in logged.date],
            checkpoints=_counts(checkpoints),
            progress=progress,
        )
    if json_target is not None:
        write_json(to_json(result), json_target)
    if json_target != "-":
        from harness.runners.tables import replay_table

        print_table(replay_table(result))
        if result.skipped:
            click.echo(f"without any outcome, skipped: {', '.join(result.skipped)}")


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise PlanError(f"--checkpoints needs numbers such as 5,10,20, not {text!r}") from None


def dated(
    agents: tuple[str, ...],
    dates: tuple[str, ...],
    *,
    since: str | None = None,
    before: str | None = None,
    newest: int | None = None,
    oldest: int | None = None,
) -> list[str]:
    """Names of agents selected by ISO date; all when nothing is asked.

    Raises:
        PlanError: an agent has no date, or none is left.

    >>> dated(("a", "b", "c"), ("2024-01", "2025-01", "2026-01"), newest=2)
    ['b', 'c']
    """
    if since is None and before is None and newest is None and oldest is None:
        return list(agents)
    if "" in dates:
        name = agents[dates.index("")]
        raise PlanError(f"agents cannot be selected by date: agent {name!r} has none")
    order = sorted(zip(dates, agents, strict=True))
    order = [
        (d, a) for d, a in order if (since is None or d >= since) and (before is None or d < before)
    ]
    order = order[-newest:] if newest else order
    order = order[:oldest] if oldest else order
    if not order:
        raise PlanError("no agent has such a date")
    kept = {agent for _, agent in order}
    return [agent for agent in agents if agent in kept]


@click.command()
@click.option(
    "--bank", "-b", required=True, help="Folder of an item bank, or the name of a shipped one."
)
@plan_options(stop="sd<0.3", max_items=30)
@click.option(
    "--agents",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Simulated agents, drawn from the prior.",
)
@click.option("--abilities", metavar="A,B,…", help="True abilities to simulate instead.")
@json_option
def simulate(
    bank: str, agents: int, abilities: str | None, json_target: str | None, **options: Any
) -> None:
    """Test simulated agents: what a plan costs, and whether its uncertainty is true."""
    from harness.runners.simulate import simulate as run_simulation

    items = load_bank(bank)
    plan = make_plan(items, **options)
    with progress_bar("simulating") as progress:
        result = run_simulation(
            items,
            plan,
            abilities=_abilities(abilities),
            n_agents=agents,
            seed=plan.seed,
            progress=progress,
        )
    if json_target is not None:
        write_json(to_json(result), json_target)
    if json_target != "-":
        from harness.runners.tables import simulation_table

        print_table(simulation_table(result))


def _abilities(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PlanError(f"--abilities needs numbers such as -1,0,1, not {text!r}") from None
