"""Which agents of several benchmarks are the same: said by a mapping, never guessed."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import InputError
from harness.responses import Responses
from harness.responses.names import Likeness, likeness, model_in, normalised

By = Literal["agent", "llm"]
COLUMNS = ("benchmark", "agent", "key")
_YES = frozenset({"yes", "y", "1", "true"})
_NO = frozenset({"no", "n", "0", "false"})


@dataclass(frozen=True)
class Matching:
    """What the agents of several benchmarks have in common: a key, such as their model.

    Several agents of a benchmark may have one key, as one model under several scaffolds.
    """

    keys: Mapping[str, Mapping[str, str]]
    """Key of each matched agent, by benchmark and agent."""
    how: str
    """In words."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Of each key, from the column that was asked for."""

    def shared(self, *benchmarks: str) -> tuple[str, ...]:
        """Keys that all of these benchmarks have, sorted."""
        found = [set(self.keys.get(name, {}).values()) for name in benchmarks]
        return tuple(sorted(set.intersection(*found))) if found else ()


@dataclass(frozen=True)
class Suggestion:
    """One row of a mapping, for somebody to confirm."""

    benchmark: str
    agent: str
    key: str
    llm: str
    likeness: Likeness


def match_by(benchmarks: Mapping[str, Responses], by: By) -> Matching:
    """Match agents whose names, or whose models in the column ``llm``, are exactly equal.

    >>> from harness.responses import from_matrix
    >>> one = from_matrix([[1], [0]], agents=["x", "y"])
    >>> two = from_matrix([[1], [0]], agents=["y", "z"])
    >>> match_by({"A": one, "B": two}, "agent").shared("A", "B")
    ('y',)
    """
    keys = {
        name: {
            agent: key
            for agent, key in zip(
                found.agents, found.agents if by == "agent" else found.llm, strict=True
            )
            if key
        }
        for name, found in benchmarks.items()
    }
    what = {"agent": "agents of equal names", "llm": "agents whose models (llm) have equal names"}
    return Matching(keys, what[by])


def read_mapping(
    path: Path, benchmarks: Mapping[str, Responses], column: str | None = None
) -> Matching:
    """Read a mapping: CSV with ``benchmark,agent,key``, one row an agent.

    Rows of benchmarks that are not looked at are passed over. Where there is a column ``use``,
    as in a suggestion, it must say yes or no in every row.

    Args:
        path: of the file.
        benchmarks: outcomes by the names that the file uses.
        column: whose numbers to read for each key, the mean over its rows; blank is unknown.

    Raises:
        InputError: naming file and line.
    """
    keys: dict[str, dict[str, str]] = {name: {} for name in benchmarks}
    known = {name: set(found.agents) for name, found in benchmarks.items()}
    numbers: dict[str, list[float]] = {}
    for line, row in _rows(path, (*COLUMNS, *([column] if column else []))):
        where = f"{path}, line {line}"
        benchmark, agent, key = (row[name].strip() for name in COLUMNS)
        if not _used(row, where) or benchmark not in keys:
            continue
        if agent not in known[benchmark]:
            raise InputError(
                f"{where}: {benchmark} has no agent {agent!r}; correct the name or remove the row"
            )
        if not key:
            raise InputError(f"{where}: agent {agent!r} has no key; give one or remove the row")
        if keys[benchmark].setdefault(agent, key) != key:
            raise InputError(
                f"{where}: agent {agent!r} of {benchmark} has key {keys[benchmark][agent]!r} in an "
                f"earlier row and {key!r} here; keep one"
            )
        if column and (text := row[column].strip()):
            numbers.setdefault(key, []).append(_number(text, column, where))
    if not any(keys.values()):
        raise InputError(
            f"{path}: no row is about {', '.join(benchmarks)}; its column 'benchmark' must use "
            "these names"
        )
    means = {key: sum(values) / len(values) for key, values in numbers.items()}
    return Matching(keys, f"the mapping {path.name}", means)


def _rows(path: Path, columns: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [c for c in columns if c not in (reader.fieldnames or [])]
            if missing:
                raise InputError(
                    f"{path}: column {missing[0]!r} is missing; it has: "
                    f"{', '.join(reader.fieldnames or []) or 'none'}"
                )
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"the mapping {path} cannot be read ({error}); save it as CSV in UTF-8"
        ) from None


def _used(row: Mapping[str, str], where: str) -> bool:
    said = row.get("use", "yes").strip().lower()
    if said not in _YES | _NO:
        raise InputError(
            f"{where}: column 'use' says {said!r} of agent {row['agent']!r}: nobody has confirmed "
            "this row; write yes or no in every row"
        )
    return said in _YES


def _number(text: str, column: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {column} is {text!r}, which is not a number") from None


# --- suggestions ------------------------------------------------------------------------------


def suggest_mapping(benchmarks: Mapping[str, Responses]) -> tuple[Suggestion, ...]:
    """Agents of different benchmarks whose models may be the same, by their names, for review.

    A model is what the column ``llm`` says; without it, the known model that the name of the agent
    holds, or else that name itself. Keys that a single benchmark has are left out.

    >>> from dataclasses import replace
    >>> from harness.responses import from_matrix
    >>> one = replace(from_matrix([[1]], agents=["x"]), llm=("openai/gpt-5.1-2025-11-13",))
    >>> two = from_matrix([[1]], agents=["codex_gpt-5_1"])
    >>> [(row.agent, row.key, row.likeness.reason) for row in suggest_mapping({"A": one, "B": two})]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('x', 'openai/gpt-5.1-2025-11-13', 'the same text'),
     ('codex_gpt-5_1', 'openai/gpt-5.1-2025-11-13',
      "the name holds 'openai/gpt-5.1-2025-11-13'; besides it 'codex'")]
    """
    models: dict[str, str] = {}
    for found in benchmarks.values():
        for llm in filter(None, found.llm):
            models.setdefault(normalised(llm), llm)
    heads: list[str] = []
    rows = []
    for name, found in benchmarks.items():
        for agent, llm in zip(found.agents, found.llm, strict=True):
            held = None if llm else model_in(agent, models.values())
            text = held[0] if held else llm or agent
            key, alike = _headed(text, heads)
            rows.append(Suggestion(name, agent, key, llm, held[1] if held else alike))
    places: dict[str, set[str]] = {}
    for row in rows:
        places.setdefault(row.key, set()).add(row.benchmark)
    kept = [row for row in rows if len(places[row.key]) > 1]
    return tuple(sorted(kept, key=lambda row: (row.key, list(benchmarks).index(row.benchmark))))


def _headed(text: str, heads: list[str]) -> tuple[str, Likeness]:
    """The name among those so far that is most alike; itself, then one of them, where none is."""
    found = [(alike.similarity, head, alike) for head in heads if (alike := likeness(text, head))]
    if found:
        _, head, alike = max(found, key=lambda one: one[0])
        return head, alike
    heads.append(text)
    return text, Likeness(1.0, "the same text")


def write_suggestions(suggestions: Iterable[Suggestion], path: Path) -> None:
    """Write suggestions as a mapping whose column ``use`` is to be filled in.

    Raises:
        InputError: the file exists, so that no review is lost, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((*COLUMNS, "use", "similarity", "reason", "llm"))
            for row in suggestions:
                alike = row.likeness
                writer.writerow(
                    (
                        row.benchmark,
                        row.agent,
                        row.key,
                        "?",
                        alike.similarity,
                        alike.reason,
                        row.llm,
                    )
                )
    except FileExistsError:
        raise InputError(f"{path} exists; remove it or name another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
