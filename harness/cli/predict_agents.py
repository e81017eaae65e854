"""The command ``predict agents``: ability and score of agents before their first answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.agent_options import agents_option
from harness.cli.agents import described
from harness.cli.common import json_option, print_table, say, to_json, write_json
from harness.errors import PlanError
from harness.parts.ability import Parts

if TYPE_CHECKING:
    from harness.parts.predict import AgentPrediction

_SHOWN = 40


@click.command(name="agents")
@click.option(
    "--bank", "-b", required=True, help="A bank that knows models and scaffolds of its agents."
)
@click.option("--llm", multiple=True, metavar="NAME", help="Model; repeatable.")
@click.option("--scaffold", multiple=True, metavar="NAME", help="Scaffold; repeatable.")
@click.option("--date", default="", metavar="DATE", help="When the agents come out.")
@click.option(
    "--pairs",
    is_flag=True,
    help="All pairs of known models and scaffolds that the bank has not seen.",
)
@agents_option
@click.option("--level", type=float, default=0.9, show_default=True, help="Of the intervals.")
@json_option
def predict_agents(
    bank: str,
    llm: tuple[str, ...],
    scaffold: tuple[str, ...],
    date: str,
    pairs: bool,
    agents_table: Path | None,
    level: float,
    json_target: str | None,
) -> None:
    """Predict ability and score of agents from their models, scaffolds and date.

    Every model that is given is taken with every scaffold that is given; what is left out is not
    known. --agents says what the calibrating agents of the bank are made of.
    """
    from harness.parts.ability import fit_parts
    from harness.parts.predict import predict_agents as predict
    from harness.parts.predict import unseen_pairs

    if bool(llm or scaffold) == pairs and not (date and not pairs):
        raise PlanError(
            "say which agents: --llm, --scaffold and --date, or --pairs for all that the bank has "
            "not seen"
        )
    items = described(bank, agents_table)
    model = fit_parts(items)
    wanted = (
        unseen_pairs(model, date)
        if pairs
        else tuple(Parts(one, other, date) for one in llm or ("",) for other in scaffold or ("",))
    )
    found = sorted(predict(items, model, wanted, level), key=lambda one: -one.score)
    if json_target is not None:
        content = {"bank": items.name, "hash": items.hash, "level": level, "agents": found}
        write_json(to_json(content), json_target)
    if json_target != "-":
        _print(found, level)


def _print(found: Sequence["AgentPrediction"], level: float) -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.report.sections import interval, signed

    table = Table(title=f"{level:.0%} intervals in brackets", title_justify="left", box=None)
    for place, head in enumerate(("agent", "date", "ability", "score", "rests on")):
        table.add_column(head, justify="right" if place in (2, 3) else "left", max_width=80)
    for one in found[:_SHOWN]:
        table.add_row(
            escape(one.name),
            one.date or "–",
            f"{signed(one.ability)} ({interval(one.low, one.high)})",
            f"{one.score:.0%} ({one.score_low:.0%} to {one.score_high:.0%})",
            escape("; ".join(one.rests_on)),
        )
    print_table(table)
    if len(found) > _SHOWN:
        say(f"{len(found) - _SHOWN} more: --json FILE has all of them")
