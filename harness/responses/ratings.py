"""Ratings of the same outcomes by several judges, from a table."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.irt import Array
from harness.responses.read import read_text

Index: TypeAlias = NDArray[np.intp]
_RATINGS = ("rating", "severity", "category")
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_Row: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, eq=False)
class Ratings:
    """R ratings of C cells by J judges; a cell is one trial of an agent on an item."""

    agents: tuple[str, ...]
    items: tuple[str, ...]
    judges: tuple[str, ...]
    cells: NDArray[np.intp]
    """``(C, 3)`` agent, item and number of the trial of each cell."""
    cell: Index
    """``(R,)``."""
    judge: Index
    """``(R,)``."""
    value: Array
    """``(R,)`` the ratings as they stand in the table."""
    own: NDArray[np.bool_]
    """``(R,)`` the judge rates itself."""
    column: str
    """What the ratings are called in the table."""
    source: str

    @cached_property
    def scale(self) -> Array:
        """``(K,)`` all values that were given, rising."""
        return np.unique(self.value)

    @cached_property
    def table(self) -> Array:
        """``(C, J)`` value by cell and judge; NaN where missing."""
        found = np.full((len(self.cells), len(self.judges)), np.nan)
        found[self.cell, self.judge] = self.value
        return found


@dataclass(frozen=True)
class Cut:
    """When a grader says yes: at ``at`` and above it, or below it."""

    at: float
    above: bool = True

    def __str__(self) -> str:
        return f"{'≥' if self.above else '≤'} {self.at:g}"

    def __call__(self, value: Array) -> NDArray[np.bool_]:
        return value >= self.at if self.above else value <= self.at


@dataclass(frozen=True)
class Grader:
    """A column that grades, and when it says yes; None where that is not known."""

    column: str
    cut: Cut | None = None


def parse_graders(text: str) -> tuple[Grader, Grader]:
    """Two graders, each a column and when it says yes.

    Raises:
        ResponsesError: not two different columns, or a bound that is no number.

    >>> for grader in parse_graders("llm_label>=1,rule_unsafe"):
    ...     print(grader.column, grader.cut)
    llm_label ≥ 1
    rule_unsafe None
    """
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([^<>=]+?)\s*(?:(>=|<=)\s*(.+?)\s*)?", part)
        try:
            if match is None:
                raise ValueError
            column, sign, bound = match.groups()
            found.append(Grader(column, Cut(float(bound), sign == ">=") if sign else None))
        except ValueError:
            raise ResponsesError(
                f"grader {part!r} is neither a column nor 'column>=number' or 'column<=number'"
            ) from None
    if len(found) != 2 or found[0].column == found[1].column:
        raise ResponsesError(
            f"graders {text!r}: give two different columns, such as 'llm_label>=1,rule_unsafe'"
        )
    return found[0], found[1]


def read_ratings(path: Path, column: str | None = None) -> Ratings:
    """Read a CSV or CSV.gz with one row a rating: ``agent,item,judge``, the rating, and optionally
    ``trial`` and ``self_judge`` (1 where the judge rates itself; without it, where judge and agent
    have the same name). Rows with a blank rating are missing ones.

    Args:
        path: the table.
        column: the one that holds the rating; ``rating``, ``severity`` or ``category`` when None.

    Raises:
        ResponsesError: naming file and line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "ratings.csv"
    ...     _ = table.write_text("agent,item,judge,rating\\nx,i,p,0\\nx,i,q,2\\ny,i,p,1\\n")
    ...     found = read_ratings(table)
    >>> found.judges, found.scale.tolist(), found.table.tolist()
    (('p', 'q'), [0.0, 1.0, 2.0], [[0.0, 2.0], [1.0, nan]])
    """
    columns, rows = _open(path)
    known = [name for name in ([column] if column else _RATINGS) if name in columns]
    if not known:
        raise ResponsesError(
            f"{path}, line 1: no column {' or '.join([column] if column else _RATINGS)!r}; name "
            f"the column of the ratings, it has: {', '.join(columns)}"
        )
    if len(known) > 1:
        raise ResponsesError(
            f"{path}, line 1: columns {' and '.join(known)} could both be the rating; name one"
        )
    _need(path, columns, ("agent", "item", "judge"))
    marked = "self_judge" in columns
    found = _Collected(known[0], path)
    for where, row in rows:
        agent, item, judge = (_name(where, row, name) for name in ("agent", "item", "judge"))
        own = bool(_value(where, row, "self_judge")) if marked else agent == judge
        found.add(where, (agent, item, _trial(where, row)), judge, row, known[0], own)
    return found.finish()


def read_graders(path: Path, columns: Sequence[str]) -> Ratings:
    """Columns of a CSV or CSV.gz of outcomes (``agent,item``, optionally ``trial``) as judges.

    Raises:
        ResponsesError: naming file and line.
    """
    names, rows = _open(path)
    _need(path, names, ("agent", "item", *columns))
    found = _Collected(" and ".join(columns), path)
    for where, row in rows:
        cell = _name(where, row, "agent"), _name(where, row, "item"), _trial(where, row)
        for column in columns:
            found.add(where, cell, column, row, column, False)
    return found.finish(tuple(columns))


def from_table(table: Sequence[Sequence[float]] | Array) -> Ratings:
    """Ratings of ``(C, J)`` cells by judges; NaN where missing. Every cell is an item of its own.

    >>> from_table([[0, 1], [2, float("nan")]]).value.tolist()
    [0.0, 1.0, 2.0]
    """
    values = np.asarray(table, float)
    cell, judge = np.nonzero(~np.isnan(values))
    n = np.arange(len(values))
    return Ratings(
        agents=("agent",),
        items=tuple(f"item-{i}" for i in n),
        judges=tuple(f"judge-{j}" for j in range(values.shape[1])),
        cells=np.stack([0 * n, n, 0 * n], 1).astype(np.intp),
        cell=cell,
        judge=judge,
        value=values[cell, judge],
        own=np.zeros(len(cell), bool),
        column="rating",
        source="",
    )


class _Collected:
    """Ratings, each checked against those before it."""

    def __init__(self, column: str, path: Path) -> None:
        self.column, self.path = column, path
        self.seen: dict[tuple[tuple[str, str, int], str], tuple[float, bool, str]] = {}

    def add(
        self,
        where: str,
        cell: tuple[str, str, int],
        judge: str,
        row: _Row,
        column: str,
        own: bool,
    ) -> None:
        value = _value(where, row, column)
        if value is None:
            return
        before = self.seen.setdefault((cell, judge), (value, own, where))
        if before[0] != value:
            agent, item, trial = cell
            raise ResponsesError(
                f"{where}: {judge!r} rates agent {agent!r} on item {item!r}, trial {trial}, with "
                f"{value:g}, but with {before[0]:g} in {before[2]}; remove one of the two rows, or "
                "number the trials"
            )

    def finish(self, judges: tuple[str, ...] = ()) -> Ratings:
        if not self.seen:
            raise ResponsesError(f"{self.path} holds no rating: every row is blank, or none is")
        cells = {cell: n for n, cell in enumerate(dict.fromkeys(cell for cell, _ in self.seen))}
        agents = _positions(agent for agent, _, _ in cells)
        items = _positions(item for _, item, _ in cells)
        by = _positions([*judges, *(judge for _, judge in self.seen)])
        return Ratings(
            agents=tuple(agents),
            items=tuple(items),
            judges=tuple(by),
            cells=np.array([(agents[a], items[i], t) for a, i, t in cells], np.intp),
            cell=np.array([cells[cell] for cell, _ in self.seen], np.intp),
            judge=np.array([by[judge] for _, judge in self.seen], np.intp),
            value=np.array([value for value, _, _ in self.seen.values()]),
            own=np.array([own for _, own, _ in self.seen.values()]),
            column=self.column,
            source=self.path.name,
        )


def _positions(names: Iterator[str] | Sequence[str]) -> dict[str, int]:
    return {name: n for n, name in enumerate(dict.fromkeys(names))}


def _open(path: Path) -> tuple[Sequence[str], Iterator[tuple[str, _Row]]]:
    """Names of the columns, and rows with where they stand."""
    if not path.is_file():
        raise ResponsesError(f"no ratings at {path}: give a CSV or CSV.gz")
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)

    def rows() -> Iterator[tuple[str, _Row]]:
        try:
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
        except csv.Error as error:
            raise ResponsesError(f"{path}, line {reader.line_num}: {error}") from None

    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise ResponsesError(f"{path}, line 1: {error}") from None
    return columns, rows()


def _need(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    for name in needed:
        if columns.count(name) != 1:
            problem = "is missing" if name not in columns else "occurs twice"
            raise ResponsesError(
                f"{path}, line 1: column {name!r} {problem}; it has: {', '.join(columns)}"
            )


def _name(where: str, row: _Row, column: str) -> str:
    name = (row.get(column) or "").strip()
    if not name:
        raise ResponsesError(f"{where}: column {column!r} is blank; name the {column}")
    return name


def _trial(where: str, row: _Row) -> int:
    trial = _value(where, row, "trial") or 0.0
    if not trial.is_integer():
        raise ResponsesError(f"{where}: trial {trial:g} is not a whole number")
    return int(trial)


def _value(where: str, row: _Row, column: str) -> float | None:
    """The number in a column, None where it is blank."""
    text = (row.get(column) or "").strip().lower()
    if text in ("", "nan"):
        return None
    try:
        value = _WORDS[text] if text in _WORDS else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ResponsesError(
            f"{where}: column {column!r} holds {row[column]!r}, not a number; ratings need an "
            "order, so number their categories"
        )
    return value
