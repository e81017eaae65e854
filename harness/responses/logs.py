"""Outcomes from logs: journals of this program, and Inspect's ``.eval`` files."""

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

from harness import journal
from harness.errors import ResponsesError
from harness.events import Answered
from harness.responses.rows import COSTS, Rows


def is_journal(text: str) -> bool:
    try:
        first = json.loads(text.partition("\n")[0])
    except ValueError:
        return False
    return isinstance(first, dict) and first.get("kind") == "started"


def add_journal(rows: Rows, path: Path) -> None:
    found = journal.read(path)
    started = found.started
    date = dt.datetime.fromtimestamp(started.at, dt.UTC).date().isoformat()
    done: set[int] = set()
    for number, event in enumerate(found.events, start=1):
        # a completion may be journalled twice: the first one counts
        if not isinstance(event, Answered) or event.step in done:
            continue
        done.add(event.step)
        # a cost of zero stands for unknown, too
        costs = tuple(float(getattr(event.cost, name)) or math.nan for name in COSTS)
        where = f"{path}, line {number}"
        rows.add(where, started.agent, event.item, event.category, None, costs, {"date": date})


def add_inspect_logs(rows: Rows, paths: list[Path]) -> None:
    """Scored samples of Inspect logs.

    The agent is ``model/solver``. Ids of samples repeat between tasks: with several tasks the
    item is ``task/id``, unless a bank has the bare id.
    """
    from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries

    heads = []
    for path in paths:
        try:
            heads.append(read_eval_log(path, header_only=True))
        except Exception as error:
            raise ResponsesError(f"{path} is not a readable Inspect log ({error})") from None
    several = len({head.eval.task for head in heads}) > 1
    for path, head in zip(paths, heads, strict=True):
        spec = head.eval
        # the specification names a solver only if it was given by name; the plan shows any
        scaffold = spec.solver or (head.plan.steps[-1].solver if head.plan.steps else "")
        agent = f"{spec.model}/{scaffold}" if scaffold else spec.model
        about = {"llm": spec.model, "scaffold": scaffold, "date": spec.created[:10]}
        for sample in read_eval_log_sample_summaries(path):
            if sample.error or not sample.scores:
                continue
            where = f"{path}, sample {sample.id!r}"
            value = next(iter(sample.scores.values())).value
            item = f"{spec.task}/{sample.id}" if several else str(sample.id)
            if rows.bank and item not in rows.known:
                item = str(sample.id)
            score = _inspect_score(where, value)
            if score is None:
                continue
            usage = sample.model_usage.values()
            costs = (
                math.fsum(used.total_cost or 0.0 for used in usage) or math.nan,
                sample.total_time or math.nan,
                sum(used.total_tokens for used in usage) or math.nan,
                sample.turn_count or math.nan,
            )
            rows.add(where, agent, item, rows.from_score(where, item, score), None, costs, about)


def _inspect_score(where: str, value: Any) -> float | None:
    """Inspect's letters and numbers as a score; None where there is no verdict."""
    match value:
        case "C":
            return 1.0
        case "P":
            return 0.5
        case "I" | "N":
            return 0.0
        case bool() | int() | float():
            return None if math.isnan(value) else float(value)
        case _:
            raise ResponsesError(
                f"{where}: score {value!r} is neither C, P, I, N nor a number; reduce it to one "
                "number in the scorer"
            )
