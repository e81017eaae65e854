"""Features of tasks from their texts, in named blocks."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.features.parts import repository_features, solution_features, tests_features
from harness.features.statement import statement_features, statement_languages
from harness.features.task_text import LEVELS, SEVERAL, Fact, Level, TaskText
from harness.features.vectors import (
    Vectors,
    fit_model,
    fit_terms,
    vectors_from_dict,
    vectors_to_dict,
)
from harness.regression import Cell, Column, Features

_FORMAT = "cat-harness features 1"


@dataclass(frozen=True, eq=False)
class Space:
    """What new tasks need to get the same columns."""

    level: Level = "solution"
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tags and languages that have a column, by ``block.column``."""
    vectors: Vectors | None = None


@dataclass(frozen=True, eq=False)
class Extraction:
    """Features of some tasks, and how others get the same."""

    features: Features
    space: Space
    notes: tuple[str, ...] = ()


def features_of_task(task: TaskText) -> dict[str, Fact]:
    """Facts of one task by ``block.column``; parts that are unknown have none.

    >>> found = features_of_task(TaskText("Speed up src/fit.py.", metadata={"tests.lines": 9.0}))
    >>> found["statement.words"], found["tests.lines"], sorted(found["languages.mentioned"])
    (5.0, 9.0, ['python'])
    """
    found: dict[str, Fact] = {}
    if task.statement.strip():
        found |= _named("statement", dict(statement_features(task.statement)))
        found["languages.mentioned"] = statement_languages(task.statement)
    if task.repository is not None:
        found |= _named("repository", repository_features(task.repository))
    if task.tests is not None:
        found |= _named("tests", tests_features(task.tests))
    if task.solution is not None:
        found |= _named("solution", solution_features(task.solution))
    return {**task.metadata, **found}


def _named(block: str, facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {f"{block}.{name}": fact for name, fact in facts.items()}


def extract_features(
    tasks: Mapping[str, TaskText],
    *,
    level: Level | None = None,
    vectors: int = 0,
    model: str | None = None,
    like: Space | None = None,
) -> Extraction:
    """Features of tasks at an information level, the highest by default.

    Blocks are ``statement``, ``languages``, ``author``, ``topic``, ``resources``, ``repository``,
    ``tests``, ``solution``, ``table`` for other columns of a table, and ``text`` for vectors of
    statements.

    Args:
        vectors: dimensions of the vectors; 0 for none.
        model: sentence-embedding model to make them with; words weighted by rarity when None.
        like: columns, vectors and level of an earlier extraction instead of new ones.

    Raises:
        InputError: no tasks, ``like`` with other settings, or the model cannot be used.
    """
    if not tasks:
        raise InputError("there are no tasks to extract features of")
    if like is not None and (vectors or model or level not in (None, like.level)):
        raise InputError(
            f"the earlier extraction settles level ({like.level}) and vectors; leave them out, or "
            "extract anew without it"
        )
    level = like.level if like else level or LEVELS[-1]
    known = {name: task.at(level) for name, task in tasks.items()}
    facts = {name: features_of_task(task) for name, task in known.items()}
    words = like.words if like else _words(facts)
    features, notes = _table(facts, words)
    if foreign := [column.name for column in features.columns if column.block == "table"]:
        notes.append(
            f"other columns of the table are kept at every level, as nothing says what they know: "
            f"{', '.join(foreign[:8])}{' and others' if len(foreign) > 8 else ''}; leave out what "
            "will not be known of new tasks"
        )
    statements = [task.statement for task in known.values()]
    space = like.vectors if like else None
    if vectors and space is None:
        space = fit_model(model, statements, vectors) if model else fit_terms(statements, vectors)
        if (found := len(space.directions)) < vectors:
            notes.append(
                f"the vectors have {found} of the {vectors} numbers asked for: "
                f"{len(set(statements))} different statements carry no more"
            )
        space = space if found else None
    if space is not None:
        features = features.beside(_placed(known, space))
    return Extraction(features, Space(level, words, space), tuple(notes))


def _words(facts: Mapping[str, Mapping[str, Fact]]) -> dict[str, tuple[str, ...]]:
    """Members of sets that several tasks have; a set without any is kept, as it is known."""
    counts: dict[str, Counter[str]] = {}
    for row in facts.values():
        for key, fact in row.items():
            if isinstance(fact, frozenset):
                counts.setdefault(key, Counter()).update(fact)
    return {
        key: tuple(sorted(word for word, count in found.items() if count >= SEVERAL))
        for key, found in counts.items()
    }


def _table(
    facts: Mapping[str, Mapping[str, Fact]], words: Mapping[str, tuple[str, ...]]
) -> tuple[Features, list[str]]:
    keys = dict.fromkeys(key for row in facts.values() for key in row)
    notes: list[str] = []
    columns: list[tuple[Column, list[Cell]]] = []
    for key in sorted(keys, key=_place):
        block, _, name = key.partition(".")
        values = [row.get(key) for row in facts.values()]
        if any(isinstance(value, frozenset) for value in values):
            for word in words.get(key, ()):
                has = [float(word in v) if isinstance(v, frozenset) else None for v in values]
                columns.append((Column(f"{name}={word}", block, "number"), [*has]))
            continue
        cells: list[Cell] = [None if isinstance(v, frozenset) else v for v in values]
        texts = [cell for cell in cells if isinstance(cell, str)]
        if texts and (numbers := sum(isinstance(cell, float) for cell in cells)):
            notes.append(
                f"{key} is taken as a category: {numbers} tasks have a number, others words such "
                f"as {texts[0]!r}"
            )
        if texts:
            cells = [None if cell is None else _said(cell) for cell in cells]
        columns.append((Column(name, block, "category" if texts else "number"), cells))
    rows = tuple(zip(*(cells for _, cells in columns), strict=True)) or ((),) * len(facts)
    return Features(tuple(facts), tuple(column for column, _ in columns), rows), notes


_ORDER = ("statement", "languages", "author", "topic", "resources", "table", *LEVELS[1:])


def _place(key: str) -> tuple[int, str]:
    """Blocks in order of what they need; the columns of one stay as they come."""
    block = key.partition(".")[0]
    return (_ORDER.index(block), "") if block in _ORDER else (len(_ORDER), block)


def _said(cell: Cell) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _placed(tasks: Mapping[str, TaskText], space: Vectors) -> Features:
    names = tuple(name for name, task in tasks.items() if task.statement.strip())
    columns = tuple(Column(f"v{k + 1}", "text", "number") for k in range(len(space.directions)))
    if not names or not columns:
        return Features(names, columns, ((),) * len(names))
    found = space.place([tasks[name].statement for name in names])
    return Features(names, columns, tuple(tuple(row) for row in found.round(9).tolist()))


def write_space(space: Space, path: Path) -> None:
    """Write what new tasks need to get the same columns, as JSON."""
    data = {
        "format": _FORMAT,
        "level": space.level,
        "words": {key: list(words) for key, words in space.words.items()},
        "vectors": None if space.vectors is None else vectors_to_dict(space.vectors),
    }
    path.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")


def read_space(path: Path) -> Space:
    """Read it back.

    Raises:
        InputError: it is no such file.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT or data["level"] not in LEVELS:
            raise ValueError(f"its format is {data['format']!r}, not {_FORMAT!r}")
        words = {str(key): tuple(map(str, found)) for key, found in data["words"].items()}
        vectors = None if data["vectors"] is None else vectors_from_dict(data["vectors"])
        return Space(data["level"], words, vectors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not what 'features extract' writes beside its table ({error}); give the "
            "file that ends in .space.json"
        ) from None
