"""Tidy the cells of a table."""

from contacts.table import Table


def tidy(cell: str) -> str:
    """White space trimmed at both ends, and single spaces inside."""
    return " ".join(cell.split())


def clean_rows(table: Table, keep_empty: bool = False) -> Table:
    """Every cell tidied; rows without any text are dropped unless `keep_empty`."""
    tidied = [{column: tidy(row[column]) for column in table.columns} for row in table.rows]
    return Table(table.columns, [row for row in tidied if keep_empty or any(row.values())])
