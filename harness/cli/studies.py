"""Commands about many sessions: replay and simulate."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.bank_files import load_bank
from harness.cli.agent_options import agents_option
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    make_plan,
    parse_agent_priors,
    plan_options,
    print_table,
    progress_bar,
    to_json,
    write_json,
)
from harness.errors import InputError, PlanError
from harness.parts.ability import Parts


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
@agents_option
@click.option("--since", metavar="DATE", help="Only agents dated from DATE on.")
@click.option("--newest", type=click.IntRange(1), help="Only so many agents of the latest dates.")
@json_option
def replay(
    bank: str,
    responses: Path,
    score: str | None,
    agents_table: Path | None,
    checkpoints: str,
    since: str | None,
    newest: int | None,
    json_target: str | None,
    **options: Any,
) -> None:
    """Feed logged outcomes of every agent to the adaptive session, and compare with all data."""
    from harness.responses import read_responses
    from harness.responses.parts import with_parts
    from harness.runners.replay import replay as run_replay

    items = load_bank(bank)
    logged = read_responses(responses, items, score=score)
    if agents_table is not None:
        logged = with_parts(logged, agents_table)
    chosen = dated(logged.agents, logged.date, since=since, newest=newest)
    logged = logged.subset(agents=chosen)
    about = [Parts(*parts) for parts in zip(logged.llm, logged.scaffold, logged.date, strict=True)]
    priors = parse_agent_priors(options["prior"], items, about, logged.agents)
    if options["prior"] == "parts":
        options["prior"] = "auto"
    plan = make_plan(items, agent_date=max(logged.date, default=""), **options)
    with progress_bar("replaying") as progress:
        result = run_replay(
            items,
            logged,
            plan,
            priors=[one.prior for one in priors],
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
    "--bank",
    "-b",
    help="Folder of an item bank, or the name of a shipped one; with --outcomes one is drawn "
    "that looks like real ones unless it is given.",
)
@plan_options(stop="sd<0.3", max_items=30)
@click.option(
    "--agents",
    type=click.IntRange(1),
    help="Simulated agents, drawn from the prior; 1000 unless given, and 60 with --outcomes.",
)
@click.option("--abilities", metavar="A,B,…", help="True abilities to simulate instead.")
@click.option(
    "--outcomes",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Test nobody, but write complete outcomes of the agents, with attributes of the items "
    "beside them as FILE.items.csv and the truth as FILE.planted.csv.",
)
@click.option(
    "--plant",
    metavar="DEFECT,…",
    help="Defects of these outcomes, as in 'reversed=5, coin=5, duplicates=5, grader=10, dif=10, "
    "sandbag=1, gap, dimensions'.",
)
@click.option("--items", type=click.IntRange(2), help="Items of a drawn bank; 200 unless given.")
@click.option(
    "--categories", type=click.IntRange(2), help="Categories of its items; 2 unless given."
)
@click.option(
    "--trials", type=click.IntRange(1), help="Of each agent on each item; 1 unless given."
)
@json_option
def simulate(
    bank: str | None,
    agents: int | None,
    abilities: str | None,
    outcomes: Path | None,
    plant: str | None,
    items: int | None,
    categories: int | None,
    trials: int | None,
    json_target: str | None,
    **options: Any,
) -> None:
    """Test simulated agents: what a plan costs, and whether its uncertainty is true.

    With --outcomes, what they would do on every item instead, with defects planted in it.
    """
    truth = _abilities(abilities)
    if outcomes is not None:
        _refuse_plan()
        _write_outcomes(
            outcomes,
            bank,
            plant or "",
            agents=60 if agents is None else agents,
            abilities=truth,
            n_items=items,
            categories=categories,
            trials=1 if trials is None else trials,
            seed=options["seed"],
        )
        return
    drawn = {"plant": plant, "items": items, "categories": categories, "trials": trials}
    for name, value in drawn.items():
        if value is not None:
            raise PlanError(
                f"--{name} is about outcomes that are written, not about adaptive tests: "
                "add --outcomes FILE.csv"
            )
    if bank is None:
        raise click.MissingParameter(param=_parameter("bank"))
    from harness.runners.simulate import AGENTS
    from harness.runners.simulate import simulate as run_simulation

    loaded = load_bank(bank)
    plan = make_plan(loaded, **options)
    with progress_bar("simulating") as progress:
        result = run_simulation(
            loaded,
            plan,
            abilities=truth,
            n_agents=AGENTS if agents is None else agents,
            seed=plan.seed,
            progress=progress,
        )
    if json_target is not None:
        write_json(to_json(result), json_target)
    if json_target != "-":
        from harness.runners.tables import simulation_table

        print_table(simulation_table(result))


_OF_OUTCOMES = frozenset(
    {"bank", "agents", "abilities", "outcomes", "plant", "items", "categories", "trials", "seed"}
)


def _parameter(name: str) -> click.Parameter:
    return next(p for p in click.get_current_context().command.params if p.name == name)


def _refuse_plan() -> None:
    """Options of a plan say nothing about outcomes on every item."""
    context = click.get_current_context()
    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _OF_OUTCOMES:
            raise PlanError(
                f"{_parameter(name).opts[0]} is of adaptive tests, but --outcomes writes what "
                "agents do on every item; leave one of them out"
            )


def _write_outcomes(
    path: Path,
    bank: str | None,
    defects: str,
    *,
    agents: int,
    abilities: list[float] | None,
    n_items: int | None,
    categories: int | None,
    trials: int,
    seed: int,
) -> None:
    import numpy as np

    from harness.plant import draw_bank, parse_defects, plant

    if path.suffix != ".csv":
        raise PlanError(f"--outcomes {path}: the table is CSV; end its name in .csv")
    wanted = parse_defects(defects)
    if bank is None:
        used = draw_bank(
            200 if n_items is None else n_items,
            categories=2 if categories is None else categories,
            seed=seed,
        )
    elif n_items is not None or categories is not None:
        raise PlanError(
            f"bank {bank} says which items there are and their categories; leave out --items and "
            "--categories, or --bank"
        )
    else:
        used = load_bank(bank)
    truth = None if abilities is None else np.array(abilities)[:, None]
    found = plant(used, wanted, agents=agents, abilities=truth, trials=trials, seed=seed)
    responses = found.responses
    about = list(
        zip(responses.agents, responses.llm, responses.scaffold, responses.date, strict=True)
    )
    outcomes = (
        (*about[agent], responses.items[item], trial, category)
        for agent, item, trial, category in zip(
            responses.agent, responses.item, responses.trial, responses.category, strict=True
        )
    )
    attributes = ((item, *tags.values()) for item, tags in found.tags.items())
    truth_path, items_path = path.with_suffix(".planted.csv"), path.with_suffix(".items.csv")
    _write_table(path, "agent,llm,scaffold,date,item,trial,category", outcomes)
    _write_table(items_path, "item,grader,topic", attributes)
    _write_table(truth_path, "defect,kind,name,partner", map(astuple, found.planted))
    click.echo(
        f"{len(responses.agents)} agents on {len(responses.items)} items: {path}\n"
        f"graders and topics of the items: {items_path}\n"
        f"what is planted, {len(found.planted)} rows: {truth_path}"
    )


def _write_table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"outcomes cannot be written to {path}: {error.strerror}") from None


def _abilities(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PlanError(f"--abilities needs numbers such as -1,0,1, not {text!r}") from None
