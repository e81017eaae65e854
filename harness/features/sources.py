"""Tasks and their texts: from Harbor directories, and from tables with a text of each task."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from harness.environments import SOLVE, Environment, list_environments
from harness.environments.task_file import TaskFile
from harness.errors import InputError
from harness.features.author import author_facts, author_name, ordered_difficulty
from harness.features.sheet import STATEMENTS, Entry, Note, read_sheet
from harness.features.task_text import Fact, Files, TaskText

_LARGEST = 1_000_000
"""Bytes of a file that is still read as text."""

_PARTS = {
    "solution": ("solution", "patch", "reference_solution", "gold_patch"),
    "tests": ("tests", "test_patch", "test_code"),
}
_PREFIXES = {
    **{"solution": "solution", "patch": "solution", "tests": "tests", "test": "tests"},
    **{"repository": "repository", "repo": "repository"},
}
_RESOURCES = (
    *("agent_seconds", "verifier_seconds", "build_seconds", "cpus", "memory_mb", "storage_mb"),
    "network",
)


def read_texts(source: Path, note: Note) -> dict[str, TaskText]:
    """The tasks of a folder of Harbor directories, one such directory, or a table with texts.

    Args:
        note: told of tasks and columns that are left out, and why.

    Raises:
        InputError: there are no tasks, or the table cannot be read.
    """
    return harbor_texts(source, note) if source.is_dir() else table_texts(source, note)


def harbor_texts(folder: Path, note: Note) -> dict[str, TaskText]:
    """Texts of task directories by name; one that cannot be read is noted and left out.

    Raises:
        TaskError: the folder holds no task directory, or two have the same name.
    """
    environments = list_environments(folder, lambda error: note(f"left out: {error}"))
    if not environments:
        raise InputError(f"no task of {folder} can be read; see: cat-harness env check")
    return {environment.name: environment_text(environment) for environment in environments}


def environment_text(environment: Environment) -> TaskText:
    """The texts of one task directory; solutions that reach less than the top are no reference."""
    path = environment.path
    task = TaskFile.model_validate(tomllib.loads((path / "task.toml").read_text(encoding="utf-8")))
    solution = {
        name: text
        for name, text in _files(path / "solution").items()
        if not name.startswith(("partial-", "unsafe-"))
    }
    resources = {f"resources.{name}": float(getattr(environment, name)) for name in _RESOURCES}
    author = author_facts({"tags": list(environment.tags), **task.metadata})
    return TaskText(
        environment.instruction,
        repository=_files(environment.context) if environment.context.is_dir() else None,
        tests=_files(path / "tests") or None,
        solution=solution if SOLVE in solution else None,
        metadata={**resources, **author},
    )


def _files(folder: Path) -> Files:
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".git" not in path.parts
    }
    return {name: file_text(path) for name, path in found.items()}


def file_text(path: Path) -> str | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text


def table_texts(path: Path, note: Note) -> dict[str, TaskText]:
    """Texts of the tasks of a CSV or CSV.gz with a column for the statement.

    That is the first of ``statement``, ``problem_statement``, ``instruction``, ``prompt`` and the
    like. ``solution`` or ``patch`` and ``tests`` or ``test_patch`` are texts too. ``difficulty``,
    ``category``, ``tags`` and minutes are the author's; numbers such as ``solution_lines`` or
    ``test_lines`` belong to their part. Other numbers and categories are kept in a block
    ``table``, which counts as known at every level.

    Raises:
        InputError: no such column, or the table cannot be read.
    """
    sheet = read_sheet(path, note)
    named = {entry.name.lower(): entry for entry in sheet.entries}
    statement = next((named[name] for name in STATEMENTS if name in named), None)
    if statement is None:
        raise InputError(
            f"{path}: no column holds what the task says (looked for {', '.join(STATEMENTS)}); "
            "rename one, or use the table as features as it is"
        )
    parts = {
        part: next((named[name] for name in names if _is_words(named.get(name))), None)
        for part, names in _PARTS.items()
    }
    taken = {statement, *parts.values()}
    facts: dict[str, tuple[Fact, ...]] = {}
    for entry in sheet.entries:
        if entry in taken:
            continue
        if entry.kind == "text":
            note(f"{path}: column {entry.name!r} is free text and is not used")
        else:
            facts[_fact_name(entry.name.lower())] = _facts(entry)
    return {
        item: TaskText(
            str(statement.facts[row] or ""),
            tests=_one(parts["tests"], row, "tests"),
            solution=_one(parts["solution"], row, "solution"),
            metadata={name: column[row] for name, column in facts.items()},
        )
        for row, item in enumerate(sheet.items)
    }


def _is_words(entry: Entry | None) -> bool:
    return entry is not None and entry.kind in ("text", "category")


def _one(entry: Entry | None, row: int, name: str) -> Mapping[str, str] | None:
    text = None if entry is None else entry.facts[row]
    return None if text is None else {name: str(text)}


def _facts(entry: Entry) -> tuple[Fact, ...]:
    if author_name(entry.name.lower()) == "author.difficulty":
        return tuple(map(ordered_difficulty, entry.facts))
    return entry.facts


def _fact_name(column: str) -> str:
    """``block.column`` of a column of a table.

    >>> [_fact_name(name) for name in ("difficulty", "test_lines", "cpus", "stars")]
    ['author.difficulty', 'tests.lines', 'resources.cpus', 'table.stars']
    """
    if name := author_name(column):
        return name
    prefix, _, rest = column.partition("_")
    if rest and prefix in _PREFIXES:
        return f"{_PREFIXES[prefix]}.{rest}"
    if column in _RESOURCES:
        return f"resources.{column}"
    return f"table.{column}"
