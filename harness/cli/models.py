"""The command that says which response model to calibrate with."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from harness.bank_files import load_bank
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    print_table,
    progress_bar,
    say,
    to_json,
    write_json,
    write_page,
)
from harness.errors import PlanError
from harness.irt import Model

if TYPE_CHECKING:
    from rich.table import Table

    from harness.calibrate.validate import By, Candidate
    from harness.responses import Responses

_SIMPLEST_FIRST: tuple[Model, ...] = ("1pl", "rsm", "pcm", "2pl", "gpcm", "grm", "3pl", "4pl")
_EFFECT = "+effect"


@click.command()
@click.argument("responses", type=RESPONSES_PATH, nargs=-1, required=True)
@click.option(
    "--models",
    "-m",
    metavar="MODEL,…",
    help="Models to compare, such as 1pl,2pl,3pl or pcm,gpcm,grm; with +effect, as in 2pl+effect, "
    "the trials of a cell share an agent × item effect. Those that suit the data by default.",
)
@click.option(
    "--by",
    default="cell,agent",
    show_default=True,
    metavar="WHAT",
    help="What to hold out: cell, agent, or both.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    help="Calibrations of each model; as many as agents leaves out one agent at a time.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the folds.")
@click.option("--bank", "-b", help="A bank that says which items and categories there are.")
@click.option("--labels", metavar="LOW,…,HIGH", help="Category labels, lowest first.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="An HTML page about it."
)
@json_option
def models(
    responses: tuple[Path, ...],
    models: str | None,
    by: str,
    folds: int,
    seed: int,
    bank: str | None,
    labels: str | None,
    out: Path | None,
    json_target: str | None,
) -> int:
    """Which response model predicts outcomes best that it was not calibrated on.

    Compares models with each other and with shares of categories of items and agents, on cells and
    on agents that are held out, and says which one to use.
    """
    from harness.calibrate.validate import cross_validate
    from harness.responses import read_responses

    hold_out = _hold_out(by)
    logged = read_responses(
        responses, load_bank(bank) if bank else None, labels.split(",") if labels else None
    )
    candidates = [_candidate(model, effect) for model, effect in _parse(models, logged)]
    validations = []
    for what in hold_out:
        with progress_bar(f"predicting held-out {what}s") as bar:
            validations.append(
                cross_validate(
                    logged, candidates, by=what, folds=folds, seed=seed, progress=bar
                ).summary()
            )
    comparison = {
        "source": logged.source,
        "sha256": logged.sha256,
        "agents": len(logged.agents),
        "items": len(logged.items),
        "missing": round(logged.missing, 4),
        "version": version("cat-harness"),
        "validations": validations,
    }
    if json_target is not None:
        write_json(to_json(comparison), json_target)
    if json_target != "-":
        for validation in validations:
            _print(validation)
        print_table(_fits(validations[0]))
    if out is not None:
        from harness.report.models_page import render_models_page

        write_page(render_models_page(comparison), out)
    return 0


def _hold_out(text: str) -> "list[By]":
    found = [part.strip() for part in text.split(",")]
    for part in found:
        if part not in ("cell", "agent") or found.count(part) > 1:
            raise PlanError(f"--by takes cell, agent, or cell,agent, not {text!r}")
    return found  # type: ignore[return-value]


def _parse(text: str | None, responses: "Responses") -> list[tuple[Model, bool]]:
    """Models and whether they have an effect, simplest first.

    Raises:
        PlanError: naming the model that is unknown.
    """
    if text is None:
        return _suited(responses)
    found: list[tuple[Model, bool]] = []
    for part in (part.strip() for part in text.split(",")):
        name = part.removesuffix(_EFFECT)
        if name not in get_args(Model):
            raise PlanError(
                f"--models: unknown model {part!r}; known: {', '.join(get_args(Model))}, each "
                f"with or without {_EFFECT}"
            )
        found.append((name, name != part))  # type: ignore[arg-type]
    return sorted(found, key=_complexity)


def _complexity(choice: tuple[Model, bool]) -> tuple[int, bool]:
    return _SIMPLEST_FIRST.index(choice[0]), choice[1]


def _suited(responses: "Responses") -> list[tuple[Model, bool]]:
    binary: tuple[Model, ...] = ("1pl", "2pl")
    ordinal: tuple[Model, ...] = ("pcm", "gpcm", "grm")
    cells = set(zip(responses.agent.tolist(), responses.item.tolist(), strict=True))
    effects = (False, True) if len(cells) < len(responses.category) else (False,)
    chosen = binary if responses.n_categories.max() == 2 else ordinal
    return [(model, effect) for model in chosen for effect in effects]


def _candidate(model: Model, effect: bool) -> "Candidate":
    from harness.calibrate import calibrate
    from harness.calibrate.validate import Candidate, InSample

    name = model + _EFFECT if effect else model

    def fit(responses: "Responses") -> Any:
        return calibrate(responses, model, name=name, dispersion=effect)

    @cache
    def in_sample(responses: "Responses") -> InSample:
        found = fit(responses)
        return InSample(found.log_likelihood, found.parameters, len(found.agents))

    return Candidate(name, lambda responses: fit(responses).bank, in_sample)


def _print(validation: dict[str, Any]) -> None:
    print_table(_table(validation))
    for result in validation["results"]:
        if result["unconverged_calibrations"]:
            say(
                f"{result['name']}: {result['unconverged_calibrations']} of {validation['folds']} "
                "calibrations did not converge; take its figures as provisional"
            )
    unplaced = validation["results"][0]["unplaced_cells"]
    if unplaced:
        click.echo(
            f"{unplaced} cells had an item without any outcome left to calibrate on; they were "
            "predicted as an item drawn at random"
        )
    click.echo(f"{validation['sentence']}\n")


def _table(validation: dict[str, Any]) -> "Table":
    from harness.report.models_page import cells, columns

    what = {"cell": "held-out cells", "agent": "cells of held-out agents"}[validation["by"]]
    table = _numbers(
        f"{validation['cells']:,} {what}, {validation['folds']} calibrations of each model",
        columns(validation),
    )
    for result in validation["results"]:
        style = "bold" if result["name"] == validation["recommended"] else None
        table.add_row(*cells(validation, result), style="dim" if result["baseline"] else style)
    return table


def _fits(validation: dict[str, Any]) -> "Table":
    from harness.report.models_page import FIT_COLUMNS, fit_cells

    table = _numbers("Fit to all of the data", FIT_COLUMNS)
    for row in fit_cells(validation):
        table.add_row(*row)
    return table


def _numbers(title: str, heads: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for head in heads:
        table.add_column(head, justify="left" if head == "model" else "right")
    return table
