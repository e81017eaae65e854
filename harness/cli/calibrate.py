"""The command ``calibrate``: from logged outcomes to an item bank."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from harness.bank_files import load_bank, save_bank
from harness.cli.agent_options import agents_option
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    progress_bar,
    say,
    to_json,
    write_json,
)
from harness.cli.fit_options import (
    parse_priors,
    read_abilities,
    read_covariates,
    read_groups,
    read_models,
)
from harness.cli.predict_fit import keep_predictor
from harness.cli.studies import dated
from harness.errors import PlanError
from harness.irt import Model

if TYPE_CHECKING:
    from harness.bank import ItemBank
    from harness.calibrate import Calibration, Priors
    from harness.calibrate.ascend import Progress
    from harness.regression import Features
    from harness.responses import Responses

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("responses", type=RESPONSES_PATH, nargs=-1, required=True)
@click.option(
    "--model",
    type=click.Choice(get_args(Model)),
    help="Response model of all items; of those that --models leaves out.",
)
@click.option(
    "--models", type=_FILE, metavar="CSV", help="Models by item: a table with item,model."
)
@click.option(
    "--abilities",
    metavar="N|CSV",
    default="1",
    show_default=True,
    help="Number of abilities that every item loads on (exploratory), or a table with item,a1,a2,… "
    "that has a 1 where an item loads (confirmatory).",
)
@click.option(
    "--rotate",
    type=click.Choice(["oblimin", "varimax", "none"]),
    default="oblimin",
    show_default=True,
    help="Rotation of exploratory loadings.",
)
@click.option(
    "--dispersion/--no-dispersion",
    default=None,
    help="Whether trials of a cell share an agent × item effect; by default they do where cells "
    "have several trials.",
)
@click.option(
    "--groups",
    metavar="llm|scaffold|CSV",
    help="Populations with means and sds of their own: by a column of the outcomes, or a table "
    "with agent,group.",
)
@click.option(
    "--covariate",
    "covariates",
    multiple=True,
    metavar="date|CSV",
    help="What the mean of ability depends on: the date of agents, or a table with agent and a "
    "column of numbers for each covariate.",
)
@click.option(
    "--features",
    "tables",
    multiple=True,
    metavar="NAME=FILE",
    help="CSV of features of the tasks, item first, as block NAME. They explain where items lie, "
    "and the bank gets a predictor for tasks that no agent has tried. Repeatable.",
)
@click.option(
    "--anchor",
    "-a",
    help="A calibrated bank whose scale is kept: its items are updated, new ones added.",
)
@click.option("--hold-anchors", is_flag=True, help="Do not update the items of the anchoring bank.")
@click.option(
    "--prior",
    "given_priors",
    multiple=True,
    metavar="NAME=MEAN,SD",
    help="Fixed normal prior of log_a, d, logit_lower, logit_upper, loading or log_effect_sd "
    "(sd inf: flat). Any of them ends the estimation of priors.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    help="Trials of each item that the score of the bank is the mean of; by default as many as "
    "the outcomes usually have.",
)
@click.option(
    "--sampler", is_flag=True, help="Draw parameters by NUTS afterwards (extra: sampler)."
)
@click.option(
    "--draws",
    type=click.IntRange(50),
    default=1000,
    show_default=True,
    help="Draws that the sampler keeps, of each chain.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the sampler."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Done when a step would move no parameter by more, in its standard errors.",
)
@click.option(
    "--max-passes",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Most passes over the data.",
)
@click.option(
    "--bank",
    "-b",
    help="The bank that the outcomes were gathered with, calibrated or not: says which labels, "
    "tasks, sources and tags its items have.",
)
@click.option(
    "--score",
    metavar="LADDER",
    help="Make categories of columns of a table, as in 'score>=0.3 then score>=0.8' or "
    "'safe>=1 then safe>=1 and done>=1'.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the new bank.",
)
@click.option("--name", help="Name of the bank; that of the folder by default.")
@click.option("--description", default="", help="One sentence for bank.yaml.")
@click.option("--labels", metavar="LOW,…,HIGH", help="Category labels, lowest first.")
@click.option("--simulated", is_flag=True, help="Record that the agents are simulated.")
@agents_option
@click.option("--before", metavar="DATE", help="Only agents dated before DATE.")
@click.option("--oldest", type=click.IntRange(2), help="Only so many agents of the earliest dates.")
@click.option("--force", is_flag=True, help="Replace a bank that is there.")
@json_option
def calibrate(
    responses: tuple[Path, ...],
    model: Model | None,
    models: Path | None,
    abilities: str,
    groups: str | None,
    covariates: tuple[str, ...],
    tables: tuple[str, ...],
    anchor: str | None,
    hold_anchors: bool,
    given_priors: tuple[str, ...],
    sampler: bool,
    draws: int,
    seed: int,
    max_passes: int,
    bank: str | None,
    score: str | None,
    out: Path,
    name: str | None,
    labels: str | None,
    simulated: bool,
    agents_table: Path | None,
    before: str | None,
    oldest: int | None,
    force: bool,
    json_target: str | None,
    **options: Any,
) -> int:
    """Fit an item bank to logged outcomes.

    RESPONSES: long CSV or Parquet tables, py-irt JSON lines, or folders of journals or .eval logs.
    """
    from harness.bank_init import keep_tasks
    from harness.calibrate import calibrate as fit
    from harness.calibrate.anchor import find_drift, updated_bank
    from harness.predict.predictor import FILE as PREDICTOR_FILE
    from harness.predict.predictor import predictor_of
    from harness.responses import read_responses
    from harness.responses.parts import with_parts

    if (out / "bank.yaml").exists() and not force:
        raise PlanError(f"there is a bank in {out} already: add --force to replace it")
    if sampler and (abilities != "1" or anchor or groups or covariates or tables):
        raise PlanError(
            "--sampler is for one ability and one population without anchors and features: leave "
            "out --abilities, --anchor, --groups, --covariate and --features, or the sampler"
        )
    features = _features(tables)
    anchors = load_bank(anchor) if anchor else None
    earlier = load_bank(bank) if bank else None
    logged = read_responses(
        list(responses), earlier, labels.split(",") if labels else None, score=score
    )
    if agents_table is not None:
        logged = with_parts(logged, agents_table)
    logged = logged.subset(agents=dated(logged.agents, logged.date, before=before, oldest=oldest))
    chosen = read_models(logged, model, models)
    with _progress() as progress:
        result = fit(
            logged,
            chosen,
            name=name or out.name,
            abilities=read_abilities(abilities),
            groups=read_groups(logged, groups),
            covariates=read_covariates(logged, covariates),
            features=features,
            anchors=anchors,
            hold_anchors=hold_anchors,
            priors=parse_priors(given_priors),
            population="simulated personas" if simulated else "real agents",
            max_passes=max_passes,
            progress=progress,
            **options,
        )
    fitted = result.bank
    drift = find_drift(logged, anchors) if anchors else ()
    if anchors:
        fitted = updated_bank(anchors, fitted)
    if sampler:
        fitted = _sampled(logged, result, chosen, parse_priors(given_priors), draws, seed)
    fitted = keep_tasks(fitted, earlier) if earlier else fitted
    fitted = replace(
        fitted, provenance={"command": _command(options["description"]), **fitted.provenance}
    )
    save_bank(fitted, out)
    (out / PREDICTOR_FILE).unlink(missing_ok=True)
    if features is not None:
        keep_predictor(replace(predictor_of(result), bank_hash=fitted.hash), tables, out)
    facts = {
        "bank": str(out),
        "hash": fitted.hash,
        "items": len(fitted.items),
        "agents": len(result.agents),
        "passes": result.passes,
        "converged": result.converged,
        "log_likelihood": result.log_likelihood,
        "aic": result.aic,
        "bic": result.bic,
        "seconds": round(result.seconds, 2),
        "priors": result.priors,
        "effect_sd": result.effect_sd,
        "specific_sd": result.bank.specific_sd,
        "trials": result.bank.trials,
        "population": result.population,
        "explained_by": fitted.provenance.get("explained_by"),
        "placed_by_prior": result.placed_by_prior,
        "unobserved": result.unobserved,
        "drift": [vars(one) for one in drift],
        "warnings": result.warnings,
        "abilities": dict(zip(result.agents, result.ability.round(4).tolist(), strict=True)),
    }
    if json_target is not None:
        write_json(to_json(facts), json_target)
    if json_target != "-":
        for line in _lines(result, out, len(fitted.items)):
            click.echo(line)
        for one in drift:
            if one.drifted:
                click.echo(f"  {one}")
    for warning in result.warnings:
        if not (sampler and "--sampler" in warning):
            say(f"warning: {warning}")
    return 0


def _features(tables: tuple[str, ...]) -> "Features | None":
    from harness.features import feature_files, read_features

    return (
        read_features(feature_files(tables), lambda note: say(f"remark: {note}"))
        if tables
        else None
    )


def _command(description: str) -> str:
    """This command, for whoever wants to run it again: without what the bank itself says, and of
    paths only the last two parts."""
    given = [text for text in sys.argv[1:] if description not in text or not description]
    given = [text for text in given if text not in ("--description", "--force")]
    shown = [
        str(Path(*Path(text).parts[-2:])) if os.sep in text and " " not in text else text
        for text in given
    ]
    return shlex.join(["cat-harness", *shown])


def _lines(result: "Calibration", out: Path, items: int) -> Iterator[str]:
    yield (
        f"{out}: {items} items from {len(result.agents)} agents in {result.seconds:.1f} s, "
        f"{result.passes} passes, log-likelihood {result.log_likelihood:.2f}"
    )
    if result.effect_sd:
        yield f"  trials of a cell share an agent × item effect of sd {result.effect_sd:.2f} logits"
    for name, (value, error) in result.population.items():
        yield f"  {name}: {value:.3f} ± {error:.2f}"
    if result.bank.trials > 1:
        yield f"  the score of the bank is the mean over {result.bank.trials} trials of each item"
    if result.bank.specific_sd:
        yield (
            "  ability on the items of one session differs from that on the whole bank by an sd of "
            f"{result.bank.specific_sd:.2g}"
        )
    for what, shares in result.bank.provenance.get("explained_by", {}).items():
        parts = ", ".join(f"{block} {share:.0%}" for block, share in shares.items())
        yield f"  variance of {what.replace('_', ' ')}: {parts}"
    if result.placed_by_prior:
        yield (
            f"  {len(result.placed_by_prior)} items have a single outcome or few answers: placed "
            "by prior, not by data"
        )
    if result.unobserved:
        yield f"  left out, no outcome: {', '.join(result.unobserved)}"


@contextmanager
def _progress() -> Iterator["Progress"]:
    """How far a fit has to go, on stderr; silent off a terminal."""
    from rich.console import Console
    from rich.status import Status

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda passes, log_posterior, move: None
        return
    with Status("calibrating", console=console) as status:
        yield lambda passes, log_posterior, move: status.update(
            f"calibrating: pass {passes}, log-posterior {log_posterior:.2f}, "
            f"largest move {move:.1g} standard errors"
        )


def _sampled(
    logged: "Responses",
    result: "Calibration",
    models: Any,
    priors: "Priors | None",
    draws: int,
    seed: int,
) -> "ItemBank":
    from harness.calibrate.sample import sample_posterior, to_bank

    with progress_bar("sampling") as progress:
        drawn = sample_posterior(
            logged,
            models,
            draws=draws,
            seed=seed,
            dispersion=result.effect_sd > 0,
            priors=priors,
            progress=progress,
        )
    for warning in drawn.warnings:
        say(f"warning: {warning}")
    return to_bank(result.bank, drawn)
