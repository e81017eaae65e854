"""The command that places agents on the scale of a bank."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import numpy as np

from harness.bank import ItemBank
from harness.bank_files import load_bank
from harness.cli.common import (
    RESPONSES_PATH,
    json_option,
    parse_prior,
    print_table,
    say,
    to_json,
    write_json,
)
from harness.errors import InputError, PlanError
from harness.estimate import Method

if TYPE_CHECKING:
    from rich.table import Table

    from harness.ability import Prior
    from harness.estimate import Abilities
    from harness.responses import Responses

_MOST_REMARKS = 10


@click.command()
@click.argument("responses", type=RESPONSES_PATH, nargs=-1, required=True)
@click.option(
    "--bank", "-b", required=True, help="Folder of an item bank, or the name of a shipped one."
)
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default="eap",
    show_default=True,
    help="Posterior mean, posterior mode, weighted likelihood (Warm), maximum likelihood.",
)
@click.option(
    "--prior",
    metavar="normal|MEAN,SD",
    default="normal",
    help="Normal prior over ability, for eap, map, draws and the predicted score; the bank's "
    "own by default.",
)
@click.option(
    "--known-items",
    is_flag=True,
    help="Take the parameters of the items as known, whatever their uncertainty.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Probability of the intervals.",
)
@click.option(
    "--draws",
    type=click.IntRange(1),
    metavar="N",
    help="Write N draws of every agent's posterior to --out, a row each.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV to write: the table, or the draws.",
)
@json_option
def abilities(
    responses: tuple[Path, ...],
    bank: str,
    method: Method,
    prior: str,
    known_items: bool,
    level: float,
    draws: int | None,
    seed: int,
    out: Path | None,
    json_target: str | None,
) -> None:
    """Abilities of all agents with outcomes on a bank, the ablest first.

    RESPONSES are what calibrate reads. An agent's score is the mean over the items that it
    answered; the bank score is what the posterior predicts for all items of the bank.
    """
    from harness.estimate import estimate_abilities
    from harness.responses import read_responses

    if draws is not None and out is None:
        raise PlanError("--draws needs --out FILE to write the draws to")
    items = load_bank(bank)
    logged = read_responses(responses, items)
    around = parse_prior(prior, items).prior
    found = estimate_abilities(
        items, logged, method, prior=around, uncertainty=not known_items, level=level
    )
    rows = _rows(found, _bank_scores(items, logged, around, known_items, level))
    if out is not None:
        content = (
            _csv_rows(rows, len(items.mean))
            if draws is None
            else _draw_rows(items, logged, around, known_items, draws, seed)
        )
        _write_csv(content, out)
    if json_target is not None:
        facts = {
            "bank": items.name,
            "hash": items.hash,
            "source": logged.source,
            "method": method,
            "prior": {"mean": around.mean, "sd": around.sd, "correlation": around.correlation},
            "items_known": known_items,
            "level": level,
            "agents": [{name: _finite(value) for name, value in row.items()} for row in rows],
        }
        write_json(to_json(facts), json_target)
    if json_target != "-":
        print_table(_table(rows, f"{len(rows)} agents on {items.name}, {method}", level))
        _print_remarks(rows)


def _bank_scores(
    bank: ItemBank, responses: "Responses", prior: "Prior", known_items: bool, level: float
) -> list[tuple[float, float, float]] | None:
    """Predicted score of every agent on all items, with its interval; of one ability only.

    Items with answers count by their mean score over trials, the others by the prediction.
    """
    from harness.bank import compile_bank
    from harness.estimate import posteriors
    from harness.score import predict_score

    if len(bank.mean) > 1:
        return None
    scores = responses.scores()
    unseen = np.isnan(scores)
    earned = np.nansum(scores, axis=1)
    if not unseen.any():
        return [(float(mean), float(mean), float(mean)) for mean in earned / scores.shape[1]]
    nodes, weights = posteriors(bank, responses, prior=prior, uncertainty=not known_items)
    table = compile_bank(bank, nodes, uncertainty=not known_items)
    nothing = np.full(scores.shape[1], -1)
    predicted = []
    for weight, open_items, points in zip(weights, unseen, earned, strict=True):
        ends = (0.0, 0.0, 0.0)
        if open_items.any():
            score = predict_score(table, weight, nothing, open_items)
            interval = score.interval(level)
            ends = score.mean, interval.low, interval.high
        share = open_items.mean()
        mean, low, high = (float(share * end + points / scores.shape[1]) for end in ends)
        predicted.append((mean, low, high))
    return predicted


def _rows(
    found: "Abilities", scores: list[tuple[float, float, float]] | None
) -> list[dict[str, Any]]:
    """What is known of each agent, the ablest in the first ability first, the unplaced last."""
    rows = []
    for a in np.argsort(-found.ability[:, 0], kind="stable"):
        row = {
            "agent": found.agents[a],
            "items": int(found.items[a]),
            "answers": int(found.answers[a]),
            "ability": found.ability[a].tolist(),
            "sd": found.sd[a].tolist(),
            "low": found.low[a].tolist(),
            "high": found.high[a].tolist(),
            "score": float(found.score[a]),
        }
        if scores is not None:
            row |= zip(("bank_score", "bank_low", "bank_high"), scores[a], strict=True)
        rows.append(row | {"remark": found.remarks[a]})
    return rows


def _finite(value: Any) -> Any:
    """JSON knows neither infinity nor NaN; the remark says what null stands for."""
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_rows(rows: Sequence[dict[str, Any]], abilities: int) -> Iterable[Sequence[Any]]:
    def spread(row: dict[str, Any]) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, list):
                flat |= zip(_numbered(name, abilities), value, strict=True)
            else:
                flat[name] = value
        return flat

    table = [spread(row) for row in rows]
    yield list(table[0])
    yield from (list(row.values()) for row in table)


def _draw_rows(
    bank: ItemBank,
    responses: "Responses",
    prior: "Prior",
    known_items: bool,
    n: int,
    seed: int,
) -> Iterable[Sequence[Any]]:
    from harness.estimate import draw_abilities

    draws = draw_abilities(bank, responses, n, seed, prior=prior, uncertainty=not known_items)
    yield ["agent", "draw", *_numbered("ability", draws.shape[2])]
    for a, agent in enumerate(responses.agents):
        yield from ([agent, s, *place] for s, place in enumerate(draws[:, a].tolist()))


def _numbered(name: str, abilities: int) -> list[str]:
    """Column names, one an ability.

    >>> _numbered("sd", 1), _numbered("sd", 2)
    (['sd'], ['sd1', 'sd2'])
    """
    return [name] if abilities == 1 else [f"{name}{d + 1}" for d in range(abilities)]


def _write_csv(rows: Iterable[Sequence[Any]], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise InputError(f"the CSV cannot be written to {path}: {error.strerror}") from None
    say(f"CSV: {path}")


def _table(rows: Sequence[dict[str, Any]], title: str, level: float) -> "Table":
    from rich.table import Table
    from rich.text import Text

    from harness.report.wording import decimal, printable

    table = Table("agent", title=title)
    abilities = len(rows[0]["ability"])
    names = ["ability"] if abilities == 1 else [f"ability {d + 1}" for d in range(abilities)]
    headings = ["items", *(h for name in names for h in (name, "sd", f"{level:.0%}")), "score"]
    with_bank = "bank_score" in rows[0]
    for heading in headings + ["bank score", f"{level:.0%}"] * with_bank:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [str(row["items"])]
        for value, sd, low, high in zip(
            row["ability"], row["sd"], row["low"], row["high"], strict=True
        ):
            cells += [decimal(value), decimal(sd), f"{decimal(low)} to {decimal(high)}"]
        cells.append(f"{row['score']:.1%}")
        if with_bank:
            cells.append(f"{row['bank_score']:.1%}")
            cells.append(f"{row['bank_low']:.1%} to {row['bank_high']:.1%}")
        table.add_row(Text(printable(row["agent"], 60)), *cells)
    return table


def _print_remarks(rows: Sequence[dict[str, Any]]) -> None:
    from harness.report.wording import printable

    noted = [row for row in rows if row["remark"]]
    for row in noted[:_MOST_REMARKS]:
        click.echo(f"{printable(row['agent'], 60)}: {row['remark']}")
    if len(noted) > _MOST_REMARKS:
        click.echo(f"and {len(noted) - _MOST_REMARKS} more agents with a remark: see --json")
