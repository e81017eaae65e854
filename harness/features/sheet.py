"""A CSV of items as facts: which columns hold numbers, categories, tags or free text."""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import InputError, ResponsesError
from harness.features.task_text import Fact
from harness.responses.read import read_text

Note = Callable[[str], None]
"""Told, in sentences, what was left out or read otherwise than it may seem."""

Kind = Literal["number", "category", "tags", "text"]

STATEMENTS = (
    *("statement", "problem_statement", "instruction", "instructions", "prompt", "task_text"),
    *("text", "question", "description"),
)
"""Names of columns with the statement of a task, the likeliest first."""
_SURE = 6
"""So many of them name nothing else, however short the texts are."""

_TAGS = ("tags", "keywords", "labels")
_UNKNOWN = ("", "na", "nan")
_YES_NO = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_LONG = 60
_LARGEST_CELL = 100_000_000
_DIFFERENT = 0.9


@dataclass(frozen=True)
class Entry:
    """One column of a CSV."""

    name: str
    kind: Kind
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Sheet:
    """A CSV with one row for each item."""

    items: tuple[str, ...]
    entries: tuple[Entry, ...]


def silent(note: str) -> None:
    """For callers who need no notes."""


def read_sheet(path: Path, note: Note) -> Sheet:
    """Read ``item, ...`` from a CSV or CSV.gz.

    A column whose known cells are all finite numbers holds numbers; yes, no, true and false are 1
    and 0. Columns called tags, keywords or labels, or ending in ``_tags``, hold sets of words,
    apart by ``;``, commas or spaces. Long texts that nearly all differ are free text. Everything
    else is a category. A name that ends in ``:number`` or ``:category`` says so itself. Blank, NA
    and NaN are unknown; where the name says the kind, only blank is.

    Raises:
        InputError: naming file, line, item and column.
    """
    names, lines, rows = _read(path)
    at = names.index("item")
    items = tuple(row[at] for row in rows)
    seen: dict[str, int] = {}
    for line, item in zip(lines, items, strict=True):
        if not item:
            raise InputError(f"{path}, line {line}: the item is blank; every row needs one")
        if item in seen:
            raise InputError(
                f"{path}, line {line}: item {item!r} has a row in line {seen[item]} already; "
                "keep one of them"
            )
        seen[item] = line
    where = [f"{path}, line {n}, item {i!r}" for n, i in zip(lines, items, strict=True)]
    entries = [
        _entry(path, name, tuple(row[k].strip() for row in rows), where, note)
        for k, name in enumerate(names)
        if k != at
    ]
    return Sheet(items, tuple(entries))


def _read(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """(names of columns, line of each row, rows), all of one width."""
    if not path.is_file():
        raise InputError(f"no table of features at {path}: give a CSV with the columns item, ...")
    # of the whole process, and meant for broken quotes: a patch is longer than its default
    csv.field_size_limit(_LARGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        names = [name.strip() for name in next(reader, [])]
        if "item" not in names:
            raise InputError(
                f"{path}, line 1: there is no column 'item'; a table of features has one, and one "
                f"row for each item (found: {', '.join(names[:8]) or 'nothing'})"
            )
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{path}, line 1: two columns are called {twice!r}; rename one")
        at, lines, rows = names.index("item"), [], []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise InputError(
                    f"{path}, line {reader.line_num}, item {''.join(row[at : at + 1])!r}: "
                    f"{len(row)} cells, but {len(names)} columns"
                )
            lines.append(reader.line_num)
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {max(reader.line_num, 1)}: {error}") from None
    except ResponsesError as error:
        raise InputError(str(error)) from None
    if not rows:
        raise InputError(f"{path} has no rows below its first line; it needs one for each item")
    return names, lines, rows


def _entry(path: Path, header: str, cells: tuple[str, ...], where: list[str], note: Note) -> Entry:
    name, kind = _said_kind(header)
    unknown = ("",) if kind else _UNKNOWN
    known = {k: cell for k, cell in enumerate(cells) if cell.lower() not in unknown}
    numbers = {k: value for k, cell in known.items() if (value := _number(cell)) is not None}
    if kind is None:
        kind = _kind(name, known, numbers)
        if kind == "category" and 2 * len(numbers) > len(known):
            k = next(k for k in known if k not in numbers)
            note(
                f"{where[k]}, column {name!r}: {cells[k]!r} is no number, so the column is taken "
                f"as a category, though {len(numbers)} of its {len(known)} cells are numbers"
            )
    facts: Mapping[int, Fact] = known
    match kind:
        case "number":
            facts = values = max(numbers, _yes_no(known), key=len)
            for k in known:
                if not math.isfinite(values.get(k, math.nan)):
                    raise InputError(
                        f"{where[k]}, column {name!r}: {cells[k]!r} is no finite number; mend it "
                        "or leave the cell blank"
                    )
        case "tags":
            facts = _tags(known)
        case "category" | "text":
            pass
    return Entry(name, kind, tuple(facts.get(k) for k in range(len(cells))))


def _said_kind(header: str) -> tuple[str, Kind | None]:
    name, _, said = header.rpartition(":")
    match said:
        case "number" | "category" if name:
            return name, said
        case _:
            return header, None


def _kind(name: str, known: Mapping[int, str], numbers: Mapping[int, float]) -> Kind:
    if len(numbers) == len(known) or len(_yes_no(known)) == len(known):
        return "number"
    if name.lower() in _TAGS or name.lower().endswith("_tags"):
        return "tags"
    mean = sum(map(len, known.values())) / len(known)
    if mean > _LONG and len(set(known.values())) >= _DIFFERENT * len(known):
        return "text"
    return "text" if name.lower() in STATEMENTS[:_SURE] else "category"


def _yes_no(known: Mapping[int, str]) -> dict[int, float]:
    return {k: _YES_NO[cell.lower()] for k, cell in known.items() if cell.lower() in _YES_NO}


def _number(cell: str) -> float | None:
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _tags(known: Mapping[int, str]) -> dict[int, Fact]:
    apart = next((mark for mark in ";," if any(mark in cell for cell in known.values())), None)
    bare = {k: re.sub(r"[\[\]'\"]", "", cell) for k, cell in known.items()}
    return {
        k: frozenset(word for part in cell.split(apart) if (word := part.strip()))
        for k, cell in bare.items()
    }
