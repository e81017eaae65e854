"""Tables of features on disk: ``item`` and one column for each feature.

A file that this program writes names its columns ``block.column``, and is read back in the same
blocks. Any other CSV is one block.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from harness.errors import InputError
from harness.features.sheet import Entry, Note, read_sheet, silent
from harness.features.task_text import SEVERAL
from harness.regression import Cell, Column, Features

_BLOCK = re.compile(r"[A-Za-z][\w-]*")


def feature_files(options: Iterable[str]) -> dict[str, Path]:
    """Files by block, from ``NAME=FILE`` or ``FILE``, which is named after the file.

    >>> feature_files(["judged=ratings.csv", "data/features_15.csv.gz"])
    {'judged': PosixPath('ratings.csv'), 'features_15': PosixPath('data/features_15.csv.gz')}

    Raises:
        InputError: a name that is none, or twice the same.
    """
    found: dict[str, Path] = {}
    for option in options:
        name, mark, file = option.partition("=")
        if not mark or Path(option).is_file():
            name, file = Path(option).name.partition(".")[0], option
        if not _BLOCK.fullmatch(name):
            raise InputError(
                f"features {option!r}: {name!r} cannot name a block; write NAME=FILE with a name "
                "of letters, digits, - and _"
            )
        if name in found:
            raise InputError(
                f"features {option!r}: block {name!r} is {found[name]} already; write NAME=FILE "
                "with another name"
            )
        found[name] = Path(file)
    return found


def read_features(tables: Mapping[str, Path], note: Note = silent) -> Features:
    """Features of items from CSV or CSV.gz files with the columns ``item, ...``, by block.

    Kinds of columns are recognised as :func:`harness.features.sheet.read_sheet` says. Each tag
    that three items have becomes a column of 0 and 1; free text is left out. A file in which every
    column is called ``block.column`` keeps these blocks, whatever it is called here.

    Args:
        note: told, in sentences, what was left out or read otherwise than it may seem.

    Raises:
        InputError: naming file, line, item and column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "x.csv"
    ...     _ = path.write_text("item,lines,repo,slow\\na,3,django,yes\\nb,,sympy,no\\n")
    ...     found = read_features({"code": path})
    >>> found.cells
    ((3.0, 'django', 1.0), (None, 'sympy', 0.0))
    """
    found = Features((), (), ())
    for block, path in tables.items():
        found = found.beside(_read(block, path, note))
    return found


def _read(block: str, path: Path, note: Note) -> Features:
    sheet = read_sheet(path, note)
    parts = [entry.name.partition(".") for entry in sheet.entries]
    own = all(_BLOCK.fullmatch(first) and rest for first, _, rest in parts)
    columns: list[tuple[Column, tuple[Cell, ...]]] = []
    for entry, (first, _, rest) in zip(sheet.entries, parts, strict=True):
        where, name = (first, rest) if own else (block, entry.name)
        if entry.kind == "text":
            note(f"{path}: column {entry.name!r} is free text and no feature; it is left out")
        elif entry.kind == "tags":
            columns += _tags(entry, where, name, path, note)
        else:
            columns.append((Column(name, where, entry.kind), cast(tuple[Cell, ...], entry.facts)))
    if not columns:
        raise InputError(
            f"{path} has no column of features beside 'item'; it needs numbers or categories, one "
            "row for each item"
        )
    if own and (blocks := {column.block for column, _ in columns}) != {block}:
        note(f"{path} names its own blocks: {', '.join(sorted(blocks))}")
    rows = zip(*(cells for _, cells in columns), strict=True)
    return Features(sheet.items, tuple(column for column, _ in columns), tuple(rows))


def _tags(
    entry: Entry, block: str, name: str, path: Path, note: Note
) -> list[tuple[Column, tuple[Cell, ...]]]:
    sets = [fact if isinstance(fact, frozenset) else None for fact in entry.facts]
    counts = Counter(word for words in sets for word in words or ())
    several = sorted(word for word, count in counts.items() if count >= SEVERAL)
    note(
        f"{path}: {len(several)} of the {len(counts)} words in column {entry.name!r} occur in "
        f"{SEVERAL} items or more and have a column each"
    )
    return [
        (
            Column(f"{name}={word}", block, "number"),
            tuple(None if words is None else float(word in words) for words in sets),
        )
        for word in several
    ]


def write_features(features: Features, path: Path) -> None:
    """Write a CSV that :func:`read_features` reads back: ``item`` and ``block.column``.

    The names of categories end in ``:category``, as theirs may look like numbers.

    Raises:
        InputError: it cannot be written, or a block has a name that cannot be read back.
    """
    for block in features.blocks:
        if not _BLOCK.fullmatch(block):
            raise InputError(
                f"block {block!r} cannot be written: its name needs letters, digits, - and _ only"
            )
    marks = {"number": "", "category": ":category"}
    names = [f"{column.block}.{column.name}{marks[column.kind]}" for column in features.columns]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", *names])
    for item, row in zip(features.names, features.cells, strict=True):
        writer.writerow([item, *map(_cell, row)])
    data = text.getvalue().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    except OSError as error:
        raise InputError(f"the features cannot be written to {path}: {error.strerror}") from None


def _cell(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return f"{cell:.0f}"
    return "" if cell is None else str(cell)
