"""Read and write CSV files with a header line."""

import csv
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
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    if not lines:
        raise TableError(f"{path}: no header line")
    columns = [name.strip() for name in lines[0]]
    rows = [dict(zip(columns, line, strict=True)) for line in lines[1:] if line]
    return Table(columns, rows)


def write_table(path: Path, table: Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([row[column] for column in table.columns] for row in table.rows)
