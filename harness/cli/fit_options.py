"""What the options of ``calibrate`` mean: tables beside the outcomes, and priors."""

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from harness.errors import InputError, PlanError
from harness.irt import Model

if TYPE_CHECKING:
    from harness.calibrate import Priors
    from harness.responses import Responses


def _rows(path: Path, *columns: str) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [c for c in columns if c not in (reader.fieldnames or [])]
        if missing:
            raise InputError(
                f"{path}: column {missing[0]!r} is missing; it has: "
                f"{', '.join(reader.fieldnames or []) or 'none'}"
            )
        return list(reader)


def read_models(logged: "Responses", model: Model | None, table: Path | None) -> Any:
    if table is None:
        if model is None:
            raise PlanError("say which response model: --model 2pl, for instance, or --models CSV")
        return model
    found: dict[str, str] = {} if model is None else dict.fromkeys(logged.items, model)
    for line, row in enumerate(_rows(table, "item", "model"), start=2):
        if row["model"] not in get_args(Model):
            raise InputError(
                f"{table}, line {line}: unknown model {row['model']!r}; use one of "
                f"{', '.join(get_args(Model))}"
            )
        found[row["item"]] = row["model"]
    return found


def read_abilities(text: str) -> Any:
    if text.isdigit():
        return int(text)
    path = Path(text)
    if not path.is_file():
        raise PlanError(f"--abilities takes a number or a table of loadings, not {text!r}")
    rows = _rows(path, "item", "a1")
    columns = [c for c in ("a1", "a2", "a3") if c in rows[0]] if rows else []
    return {
        row["item"]: [j for j, c in enumerate(columns) if (row[c] or "0").strip() not in ("0", "")]
        for row in rows
    }


def read_groups(logged: "Responses", text: str | None) -> Sequence[str] | None:
    if text is None:
        return None
    if text in ("llm", "scaffold"):
        names: Sequence[str] = getattr(logged, text)
        return [name or "unknown" for name in names]
    found = {row["agent"]: row["group"] for row in _rows(Path(text), "agent", "group")}
    return [_of_agent(found, agent, text) for agent in logged.agents]


def _of_agent(found: dict[str, Any], agent: str, source: str) -> Any:
    if agent not in found:
        raise InputError(f"{source}: agent {agent!r} is missing; add a row for each agent")
    return found[agent]


def read_covariates(logged: "Responses", given: Sequence[str]) -> dict[str, list[float]] | None:
    found: dict[str, list[float]] = {}
    for text in given:
        if text == "date":
            found["date in years"] = [
                _years(day, agent) for day, agent in zip(logged.date, logged.agents, strict=True)
            ]
            continue
        rows = {row.pop("agent"): row for row in _rows(Path(text), "agent")}
        for column in next(iter(rows.values()), {}):
            found[column] = [
                _number(_of_agent(rows, agent, text)[column], agent, text)
                for agent in logged.agents
            ]
    return found or None


def _number(text: str, agent: str, source: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{source}: agent {agent!r} has {text!r}, which is not a number") from None


def _years(day: str, agent: str) -> float:
    """An ISO date as a year with its fraction; month and day may be missing.

    >>> round(_years("2024-07-02", "x"), 2), _years("2024", "x")
    (2024.5, 2024.0)
    """
    parts = [*day.split("T")[0].split("-"), "1", "1"][:3]
    try:
        when = date(*(int(part) for part in parts))
    except (ValueError, TypeError):
        raise InputError(
            f"agent {agent!r} has the date {day!r}; the covariate needs one such as 2025-03-01 for "
            "every agent"
        ) from None
    first = date(when.year, 1, 1)
    return when.year + (when - first).days / (date(when.year + 1, 1, 1) - first).days


def parse_priors(given: Sequence[str]) -> "Priors | None":
    from dataclasses import fields, replace

    from harness.calibrate import Normal, Priors

    if not given:
        return None
    found: dict[str, Any] = {}
    names = [f.name for f in fields(Priors) if f.name != "gap"]
    for text in given:
        name, _, numbers = text.partition("=")
        try:
            mean, sd = (float(part) for part in numbers.split(","))
        except ValueError:
            raise PlanError(f"--prior needs NAME=MEAN,SD, as in d=0,3, not {text!r}") from None
        if name not in names or not sd > 0:
            raise PlanError(f"--prior {text!r}: the name is one of {', '.join(names)}, and sd > 0")
        found[name] = Normal(mean, sd)
    return replace(Priors(), **found)
