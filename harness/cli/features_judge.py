"""The command ``features judge``: attributes of tasks by a language model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.agent_options import model_args_option, prices_option
from harness.cli.common import json_option, print_table, progress_bar, say, to_json, write_json
from harness.errors import AgentError, InfrastructureError, InputError
from harness.features.task_text import LEVELS, Level

if TYPE_CHECKING:
    from inspect_ai.model import Model

    from harness.features import TaskText
    from harness.runners.rate import Ask, Quote
    from harness.runners.rate_asking import Asked
    from harness.runners.rate_table import Use

_BUDGET = 3
_FAILED = 4


@click.command("judge")
@click.argument("source")
@click.option(
    "--model", "-m", required=True, help="The judge, as Inspect names it, such as openai/gpt-5."
)
@model_args_option
@prices_option
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="statement",
    show_default=True,
    help="What the judge is shown: the statement, then also the repository, the tests, the "
    "solution. Take what you will have of new tasks.",
)
@click.option(
    "-T",
    "task_args",
    multiple=True,
    metavar="NAME=VALUE",
    help="Argument of the Inspect task, as of inspect eval; repeatable.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Times that each task is judged, first at temperature 0 and then at 1; the median counts.",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="USD",
    help="Ask no more once this would be exceeded, as far as can be told.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Table to write the ratings to, one row a task.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and ask nothing.")
@json_option
def judge(
    source: str,
    model: str,
    model_args: tuple[tuple[str, str], ...],
    model_cost_config: str | None,
    level: Level,
    task_args: tuple[str, ...],
    samples: int,
    max_cost: float | None,
    out: Path | None,
    dry_run: bool,
    json_target: str | None,
) -> int:
    """Rate what makes tasks hard by a language model as judge, with a fixed rubric.

    SOURCE is a folder of task directories, a table with texts, or an Inspect task as package/task
    or file.py@task. Each task is one request. Answers are kept: the same command asks only what is
    missing, after a Ctrl-C too. Exit code 3 when --max-cost ended it, 4 when the model's API
    failed; what was answered is written all the same.
    """
    if out is None and not dry_run:
        raise InputError("--out is missing: name a file for the ratings, or add --dry-run")
    from harness.runners.borrowed import argument_values
    from harness.runners.live import parsed, set_prices
    from harness.runners.rate import asks_for, quote
    from harness.runners.sample_texts import texts_of

    texts = texts_of(source, argument_values(task_args), lambda note: say(f"remark: {note}"))
    told = {name: task for name, task in texts.items() if task.statement.strip()}
    for remark in _remarks(source, texts, told, level):
        say(f"remark: {remark}")
    if model_cost_config is not None:
        set_prices(Path(model_cost_config))
    args = parsed(model_args)
    asks = asks_for(told, level, model, args, samples)
    expected = quote(asks, model)
    if max_cost is not None and expected.usd is None:
        raise InputError(
            f"--max-cost needs the prices of {model}: give them by --model-cost-config"
        )
    facts = _plan_facts(source, model, level, samples, len(texts), expected)
    if dry_run or out is None:
        if json_target is not None:
            write_json(to_json(facts), json_target)
        if json_target != "-":
            click.echo(_quote_line(model, level, samples, expected))
        return 0
    say(_quote_line(model, level, samples, expected))
    asked = _ask(asks, _made(model, args), max_cost, expected)
    return _report(tuple(texts), level, asked, max_cost, facts, out, json_target)


def _remarks(
    source: str, texts: "Mapping[str, TaskText]", told: "Mapping[str, TaskText]", level: Level
) -> Iterator[str]:
    """What tasks lack of the level; one that none of them reaches is refused."""
    if not told:
        raise InputError(f"no task of {source} says anything; there is nothing to judge")
    if silent := [name for name in texts if name not in told]:
        yield f"{len(silent)} tasks have no statement and stay unknown, first {silent[0]!r}"
    for part in LEVELS[1 : LEVELS.index(level) + 1]:
        lacking = [name for name, task in told.items() if getattr(task, part) is None]
        if part == level and len(lacking) == len(told):
            raise InputError(f"{source} has no {part} of any task; choose a lower --level")
        if lacking:
            yield (
                f"{len(lacking)} of {len(told)} tasks are judged without their {part}, which is "
                f"not known, first {lacking[0]!r}"
            )


def _made(name: str, args: Mapping[str, Any]) -> "Model":
    from inspect_ai.model import get_model

    try:
        return get_model(name, **args)
    except Exception as error:
        # an unknown provider, a package or a key that is missing: each provider has its own
        raise AgentError(f"model {name!r} cannot be used: {error}") from error


def _ask(
    asks: "Sequence[Ask]", model: "Model", max_cost: float | None, expected: "Quote"
) -> "Asked":
    import anyio

    from harness.runners.live import terminable
    from harness.runners.rate_asking import ask_all

    each = expected.usd_each or 0.0
    try:
        with terminable(), progress_bar("judging") as tick:
            ask = partial(ask_all, asks, model, max_usd=max_cost, usd_each=each, progress=tick)
            return anyio.run(ask)
    except KeyboardInterrupt:
        say("Stopped. Answers so far are kept; the same command goes on from there.")
        raise


def _report(
    names: tuple[str, ...],
    level: Level,
    asked: "Asked",
    max_cost: float | None,
    plan: Mapping[str, Any],
    out: Path,
    json_target: str | None,
) -> int:
    from harness.features import write_features
    from harness.runners.rate_table import rated_features, uses

    features = rated_features(names, asked.answers, level)
    for remark in _outcome_remarks(asked, max_cost):
        say(f"remark: {remark}")
    if not asked.answers:
        if asked.failed or asked.unusable:
            why = next(iter((asked.failed or asked.unusable).values()))
            raise InfrastructureError(f"nothing was judged: {why}")
        raise InputError(f"nothing was judged: ${max_cost:g} does not pay for one request")
    used = uses(features, asked.answers)
    write_features(features, out)
    if json_target is not None:
        facts = {
            **plan,
            "file": str(out),
            "calls": asked.calls,
            "input_tokens": asked.input_tokens,
            "output_tokens": asked.output_tokens,
            "usd": asked.usd,
            "unusable": _by_task(asked.unusable),
            "failed": _by_task(asked.failed),
            "unasked": sorted({ask.task for ask in asked.unasked}),
            "attributes": [asdict(use) for use in used],
            "ratings": {
                name: dict(zip((c.name for c in features.columns), row, strict=True))
                for name, row in zip(features.names, features.cells, strict=True)
            },
        }
        write_json(to_json(facts), json_target)
    if json_target != "-":
        _print_uses(used)
        spent = "" if asked.usd is None else f", ${asked.usd:.2f}"
        tokens = f"{asked.input_tokens:,} tokens in, {asked.output_tokens:,} out{spent}"
        click.echo(f"{asked.calls} requests: {tokens}")
        rated = len({ask.task for ask in asked.answers})
        click.echo(f"{out}: {rated} of {len(names)} tasks, block {plan['block']}")
    if asked.failed:
        return _FAILED
    return _BUDGET if asked.unasked else 0


def _plan_facts(
    source: str, model: str, level: Level, samples: int, tasks: int, expected: "Quote"
) -> dict[str, Any]:
    from harness.runners.rate_table import block_name
    from harness.runners.rubric import rubric_version

    return {
        "source": source,
        "model": model,
        "level": level,
        "block": block_name(level),
        "rubric": rubric_version(),
        "samples": samples,
        "tasks": tasks,
        "expected": asdict(expected),
    }


def _quote_line(model: str, level: Level, samples: int, expected: "Quote") -> str:
    from harness.runners.rubric import attributes

    times = "once each" if samples == 1 else f"{samples} times each"
    what = (
        f"{model} at level {level}: {len(attributes(level))} attributes, "
        f"{expected.asks // samples} tasks, {times}; "
    )
    if expected.kept == expected.asks:
        return f"{what}all answers are kept from before, and cost nothing."
    usd = "dollars not known (--model-cost-config tells prices)"
    if expected.usd is not None:
        usd = f"about ${expected.usd:.2f}"
    return (
        f"{what}{expected.kept} of {expected.asks} answers are kept from before. Left: about "
        f"{expected.input_tokens:,} tokens in, {expected.output_tokens:,} out and what the model "
        f"reasons; {usd}."
    )


def _outcome_remarks(asked: "Asked", max_cost: float | None) -> Iterator[str]:
    if asked.plain:
        yield "the model takes no schema or no temperature, and was asked without"
    for what, of in (
        ("gave no usable answer, and what they lack stays unknown", asked.unusable),
        ("failed at the model's API", asked.failed),
    ):
        if of:
            ask, why = next(iter(of.items()))
            yield f"{len(of)} requests {what}, first of task {ask.task!r}: {why}"
    if asked.unasked:
        why = "every request before them failed"
        if max_cost is not None and not asked.failed:
            why = f"${max_cost:g} would be exceeded"
        yield f"{len(asked.unasked)} requests were not sent: {why}"


def _by_task(problems: "Mapping[Ask, str]") -> dict[str, str]:
    return {ask.task: problem for ask, problem in problems.items()}


def _print_uses(used: "Sequence[Use]") -> None:
    from rich.table import Table

    repeated = any(use.spread is not None for use in used)
    table = Table("attribute", box=None)
    for title in ("tasks", "mean", "sd", *(["between asks"] if repeated else [])):
        table.add_column(title, justify="right")
    for use in used:
        cells = [use.mean, use.sd, *([use.spread] if repeated else [])]
        table.add_row(
            use.attribute,
            str(use.tasks),
            *("" if value is None else f"{value:.2f}" for value in cells),
        )
    print_table(table)
