"""Tables of outcomes: rows of a long CSV or of Parquet, and py-irt's JSON lines."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import ResponsesError
from harness.responses.rows import ABOUT, Rows
from harness.scoring.ladder import Ladder

_COSTS = ("cost_usd", "seconds", "tokens", "turns")
_COUNTS = ("successes", "trials")
_COLUMNS = ("agent", "item", "trial", "category", "score", *_COUNTS, *_COSTS, *ABOUT)

Row = Mapping[str, str | None]


def add_csv(rows: Rows, path: Path, text: str) -> None:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        used_columns(rows, f"{path}, line 1", reader.fieldnames or [])
        for row in reader:
            add_row(rows, f"{path}, line {reader.line_num}", row)
    except csv.Error as error:
        raise ResponsesError(f"{path}, line {max(reader.line_num, 1)}: {error}") from None


def used_columns(rows: Rows, where: str, columns: Sequence[str]) -> list[str]:
    """Those of a table's columns that are read: what every table may have, and the ladder's.

    Raises:
        ResponsesError: one that is needed is missing, or one occurs twice.
    """
    if not columns:
        raise ResponsesError(
            f"{where}: the table is empty; it needs the columns agent,item,score or category"
        )
    missing = [name for name in ("agent", "item") if name not in columns]
    advice = ""
    if not missing and rows.ladder:
        missing = [name for name in rows.ladder.names if name not in columns]
        advice = f"; the ladder '{rows.ladder}' asks for it"
    elif not missing and "successes" in columns:
        missing = ["trials"] * ("trials" not in columns)
    elif not missing and "category" not in columns and "score" not in columns:
        missing = ["successes" if "trials" in columns else "category' or 'score"]
        advice = "; of other columns a ladder makes a category"
    if missing:
        raise ResponsesError(
            f"{where}: column '{missing[0]}' is missing; it has: {', '.join(columns)}{advice}"
        )
    ladder = rows.ladder.names if rows.ladder else ()
    used = [name for name in dict.fromkeys((*_COLUMNS, *ladder)) if name in columns]
    for name in used:
        if columns.count(name) > 1:
            raise ResponsesError(f"{where}: column '{name}' occurs twice; remove or rename one")
    return used


def add_row(rows: Rows, where: str, row: Row) -> None:
    """Add what a row of a table holds; nothing where its outcome is blank."""
    agent, item = row["agent"] or "", row["item"] or ""
    counts = None if rows.ladder else _counts(where, row)
    trial = _text(row, "trial")
    if counts is not None:
        if trial:
            raise ResponsesError(
                f"{where}: a row with 'successes' holds all trials of its cell; leave 'trial' blank"
            )
        rows.add_counts(where, agent, item, *counts, _costs(where, row), _about(row))
        return
    category = _category(rows, where, item, row)
    if category is not None:
        number = _whole(where, "trial", trial or "0")
        rows.add(where, agent, item, category, number, _costs(where, row), _about(row))


def _text(row: Row, column: str) -> str:
    return (row.get(column) or "").strip()


def _about(row: Row) -> dict[str, str]:
    return {name: text for name in ABOUT if (text := row.get(name))}


def _costs(where: str, row: Row) -> tuple[float, ...]:
    return tuple(
        _number(where, column, text) if (text := row.get(column)) and text != "nan" else math.nan
        for column in _COSTS
    )


def _counts(where: str, row: Row) -> tuple[int, int] | None:
    """Successes and trials, None where both are blank."""
    if "successes" not in row:
        return None
    given = {name: text for name in _COUNTS if (text := _text(row, name))}
    if not given:
        return None
    if len(given) == 1:
        (blank,) = {*_COUNTS} - {*given}
        raise ResponsesError(f"{where}: column {blank!r} is blank; counts need both numbers")
    for other in ("category", "score"):
        if _text(row, other):
            raise ResponsesError(
                f"{where}: a row has either 'successes' and 'trials' or {other!r}, not both; "
                f"leave one of them blank, or say what counts with a ladder such as '{other}>=1'"
            )
    successes, trials = (_whole(where, name, given[name]) for name in _COUNTS)
    return successes, trials


def _category(rows: Rows, where: str, item: str, row: Row) -> int | None:
    """Category of a row of one attempt, None where its outcome is blank."""
    if rows.ladder:
        scores = _scores(where, row, rows.ladder)
        return None if scores is None else rows.from_ladder(where, item, rows.ladder, scores)
    if given := _text(row, "category"):
        return _given_category(rows, where, item, given)
    if given := _text(row, "score"):
        return rows.from_score(where, item, _number(where, "score", given))
    return None


def _scores(where: str, row: Row, ladder: Ladder) -> dict[str, float] | None:
    """The numbers that a ladder asks for, None where one of them is blank."""
    texts = {name: _text(row, name) for name in ladder.names}
    if not all(texts.values()):
        return None
    return {name: _number(where, name, text) for name, text in texts.items()}


def _given_category(rows: Rows, where: str, item: str, given: str) -> int:
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
    if not math.isfinite(number):
        raise ResponsesError(f"{where}: column {column!r} holds {text!r}, not a finite number")
    return number


def _whole(where: str, column: str, text: str) -> int:
    number = _number(where, column, text)
    if not number.is_integer():
        raise ResponsesError(f"{where}: {column} {number:g} is not a whole number")
    return int(number)


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
