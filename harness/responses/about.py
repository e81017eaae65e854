"""Tables of what is known of agents or items besides their outcomes."""

import csv
import io
from collections.abc import Collection
from pathlib import Path

from harness.errors import ResponsesError
from harness.responses.read import read_text


def read_about(path: Path, key: str, known: Collection[str]) -> dict[str, dict[str, str]]:
    """Attributes by name, from a CSV or CSV.gz with a column of names.

    Args:
        key: the column of names: ``agent`` or ``item``.
        known: names that occur in the outcomes; rows of others are left out.

    Raises:
        ResponsesError: the column is missing, a name occurs twice with different attributes, or no
            row is about a known name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "items.csv"
    ...     _ = table.write_text("item,topic\\ni,web\\nj,\\n")
    ...     read_about(table, "item", ["i", "j"])
    {'i': {'topic': 'web'}, 'j': {}}
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    found: dict[str, dict[str, str]] = {}
    try:
        columns = reader.fieldnames or []
        if key not in columns:
            raise ResponsesError(
                f"{path}, line 1: column '{key}' is missing; it has: {', '.join(columns) or 'none'}"
            )
        for row in reader:
            name = (row.pop(key) or "").strip()
            values = {
                column: text
                for column, value in row.items()
                if isinstance(column, str) and (text := (value or "").strip())
            }
            if found.setdefault(name, values) != values:
                raise ResponsesError(
                    f"{path}, line {reader.line_num}: {key} {name!r} has other attributes in an "
                    "earlier row; keep one of them"
                )
    except csv.Error as error:
        raise ResponsesError(f"{path}, line {max(reader.line_num, 1)}: {error}") from None
    about = {name: values for name, values in found.items() if name in set(known)}
    if not about:
        first = next(iter(found), None)
        raise ResponsesError(
            f"{path}: no {key} of it is in the outcomes"
            + (f" (it names {first!r}, say, and they {next(iter(known))!r})" if first else "")
            + "; names must be the same in both"
        )
    return about
