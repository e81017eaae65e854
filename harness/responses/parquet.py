"""Tables of outcomes in Parquet: the columns of the long CSV, with pyarrow."""

from pathlib import Path
from typing import Any

from harness.errors import ResponsesError
from harness.responses.rows import Rows
from harness.responses.tables import add_row, used_columns


def add_parquet(rows: Rows, path: Path) -> None:
    """Add the rows of a Parquet file; only the columns that matter are read.

    Raises:
        ResponsesError: pyarrow is not installed, or naming the file and the row.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ResponsesError(
            f"{path} is Parquet, for which pyarrow is missing: "
            "pip install 'cat-harness[parquet]', or give the table as CSV"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            columns = used_columns(rows, str(path), file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(columns=columns):
                texts = [_as_text(path, name, batch.column(name)) for name in columns]
                for values in zip(*texts, strict=True):
                    number += 1
                    add_row(rows, f"{path}, row {number}", dict(zip(columns, values, strict=True)))
    except (pa.ArrowException, OSError) as error:
        raise ResponsesError(f"{path} is not a readable Parquet file ({error})") from None


def _as_text(path: Path, name: str, column: Any) -> list[str | None]:
    """The values of a column as a CSV would have them; null and NaN are None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.date32(), safe=False)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        if pa.types.is_duration(column.type) or pa.types.is_time(column.type):
            raise pa.ArrowInvalid("text would hide the unit")
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise ResponsesError(
            f"{path}: column {name!r} has the type {column.type}; it must hold text or numbers"
        ) from None
    return texts
