"""Read and write CSV files with a header line."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class TableError(Exception):
    """A file that is not a usable table."""


@dataclass(frozen=True)
class Table:
    """Column names in file order, and one dict from column to cell per row."""

    columns: list[str]
    rows: list[dict[str, str]]


def read_table(path: Path) -> Table:
    """Short rows are filled with empty cells; TableError names a row that is too long."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: {error}") from error
    if not lines:
        raise TableError(f"{path}: no header line")
    columns = [name.strip() for name in lines[0]]
    rows = []
    for number, line in enumerate(filter(None, lines[1:]), start=1):
        if len(line) > len(columns):
            raise TableError(f"{path}: row {number} has more cells than the header")
        cells = line + [""] * (len(columns) - len(line))
        rows.append(dict(zip(columns, cells, strict=True)))
    return Table(columns, rows)


def table_text(table: Table) -> str:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([row[column] for column in table.columns] for row in table.rows)
    return text.getvalue()


def write_files(texts: Mapping[Path, str]) -> None:
    """Write all files, or none if one of them cannot be written."""
    partly = {path: path.with_name(path.name + ".part") for path in texts}
    try:
        for path, text in texts.items():
            partly[path].write_bytes(text.encode())
        for path in texts:
            os.replace(partly[path], path)
    finally:
        for part in partly.values():
            part.unlink(missing_ok=True)
