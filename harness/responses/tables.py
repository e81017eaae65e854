"""Tables of outcomes: long CSV and py-irt's JSON lines."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path

from harness.errors import ResponsesError
from harness.responses.rows import ABOUT, Rows

_COST_COLUMNS = ("cost_usd", "seconds", "tokens", "turns")


def add_csv(rows: Rows, path: Path, text: str) -> None:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or []
    if not columns:
        raise ResponsesError(f"{path} is empty; it needs the columns agent,item,score or category")
    missing = [name for name in ("agent", "item") if name not in columns]
    if not missing and "category" not in columns and "score" not in columns:
        missing = ["category' or 'score"]
    if missing:
        raise ResponsesError(
            f"{path}, line 1: column '{missing[0]}' is missing; it has: {', '.join(columns)}"
        )
    try:
        for row in reader:
            _add_csv_row(rows, f"{path}, line {reader.line_num}", row)
    except csv.Error as error:
        raise ResponsesError(f"{path}, line {reader.line_num}: {error}") from None


def _add_csv_row(rows: Rows, where: str, row: Mapping[str, str | None]) -> None:
    item = row["item"] or ""
    if given := (row.get("category") or "").strip():
        category = _category(rows, where, item, given)
    elif given := (row.get("score") or "").strip():
        category = rows.from_score(where, item, _number(where, "score", given))
    else:
        return
    trial = _number(where, "trial", row.get("trial") or "0")
    if trial != int(trial):
        raise ResponsesError(f"{where}: trial {trial:g} is not a whole number")
    rows.add(
        where,
        row["agent"] or "",
        item,
        category,
        int(trial),
        tuple(_number(where, column, row.get(column) or "nan") for column in _COST_COLUMNS),
        {name: row.get(name) or "" for name in ABOUT},
    )


def _category(rows: Rows, where: str, item: str, given: str) -> int:
    labels = rows.labels(item, where) or ()
    if given in labels:
        return labels.index(given)
    try:
        category = float(given)
    except ValueError:
        known = f"one of {', '.join(labels)}" if labels else "a number; labels need a bank"
        raise ResponsesError(f"{where}: category {given!r} is not {known}") from None
    if not category.is_integer():
        raise ResponsesError(
            f"{where}: category {given} is not a whole number; fractions belong in 'score'"
        )
    return int(category)


def _number(where: str, column: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ResponsesError(f"{where}: column {column!r} holds {text!r}, not a number") from None
    if math.isinf(number) or (math.isnan(number) and text != "nan"):
        raise ResponsesError(f"{where}: column {column!r} holds {text!r}, not a finite number")
    return number


def add_json_lines(rows: Rows, path: Path, text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            subject = json.loads(line)
            agent, answers = str(subject["subject_id"]), dict(subject["responses"])
        except (ValueError, KeyError, TypeError):
            raise ResponsesError(
                f"{where}: not a JSON object with 'subject_id' and 'responses' {{item: 0 or 1}}"
            ) from None
        for item, score in answers.items():
            if score is None:
                continue
            if not isinstance(score, int | float):
                raise ResponsesError(f"{where}: response {score!r} of item {item!r} is no number")
            rows.add(where, agent, item, rows.from_score(where, item, float(score)))
