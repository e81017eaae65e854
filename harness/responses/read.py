"""Reading logged outcomes from a file or folder."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

from harness.bank import ItemBank
from harness.errors import ResponsesError
from harness.responses.logs import add_inspect_logs, add_journal, is_journal
from harness.responses.outcomes import Responses
from harness.responses.parquet import add_parquet
from harness.responses.rows import Rows
from harness.responses.tables import add_csv, add_json_lines
from harness.scoring.ladder import parse_ladder


def read_responses(
    path: Path | Sequence[Path],
    bank: ItemBank | None = None,
    labels: Sequence[str] | None = None,
    score: str | None = None,
    *,
    lenient: bool = False,
) -> Responses:
    """Read logged outcomes, each of them one of these:

    * a long table, CSV, CSV.gz, or Parquet: ``agent,item`` and ``category`` (0 is lowest, or a
      label), ``score`` (0 to 1) or ``successes,trials`` (counts of a binary item), optionally
      ``trial,llm,scaffold,date,cost_usd,seconds,tokens,turns``; other columns are ignored, a row
      without an outcome is a missing one;
    * py-irt's JSON lines, plain or gzipped: ``{"subject_id": …, "responses": {item: 0 or 1}}``;
    * a journal, or a folder with journals of this program (searched first);
    * an Inspect ``.eval`` log, or a folder with such logs (searched second);
    * a folder with Parquet files.

    Args:
        path: file or folder, or several of them.
        bank: says which items there are and how many categories each has; the result then has
            exactly the items of the bank, in its order.
        labels: category labels, lowest first, for all items; the bank's when None.
        score: ladder that makes a category of columns of a table, instead of ``category``,
            ``score`` and counts; see :func:`harness.scoring.ladder.parse_ladder`. A row where a
            column that it names is blank is a missing outcome.
        lenient: leave out cells whose rows contradict each other, and say so in the notes.

    Without bank, labels and ladder every item has as many categories as the highest one in the
    file needs.

    Raises:
        ResponsesError: naming file and line.
        PlanError: ``score`` is not a ladder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "log.csv"
    ...     _ = table.write_text("agent,item,safe,done\\nx,i,1,0.2\\nx,j,1,0.9\\ny,i,0,1\\n")
    ...     found = read_responses(table, score="safe>=1 then done>=0.5")
    >>> found.labels[0]
    ('fail', 'safe>=1', 'done>=0.5')
    >>> found.matrix().tolist()
    [[1, 2], [0, -1]]
    """
    paths = [path] if isinstance(path, Path) else [*path]
    ladder = parse_ladder(score) if score is not None else None
    given = tuple(labels) if labels else None
    if ladder and bank is None:
        given = given or ladder.labels
        if len(given) != ladder.n_categories:
            raise ResponsesError(
                f"the ladder '{ladder}' makes {ladder.n_categories} categories, but there are "
                f"{len(given)} labels: {', '.join(given)}"
            )
    rows = Rows(bank, given, ladder, lenient=lenient)
    digests = [_add(rows, one) for one in paths]
    named = paths[0] if len(paths) == 1 else Path(", ".join(one.name for one in paths))
    return rows.finish(named, _digest(digests))


def _add(rows: Rows, path: Path) -> str:
    """Add what a file or folder holds; its digest."""
    if not path.exists():
        raise ResponsesError(
            f"no responses at {path}: give a CSV, Parquet, JSON lines or a folder of logs"
        )
    if path.is_file() and path.suffix not in (".eval", ".parquet"):
        text = read_text(path)
        if not text.lstrip().startswith("{"):
            add_csv(rows, path, text)
        elif is_journal(text):
            _no_ladder(rows, path, "a journal")
            add_journal(rows, path)
        else:
            _no_ladder(rows, path, "a file of JSON lines")
            add_json_lines(rows, path, text)
        return _sha256(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    journals = [p for p in files if p.suffix == ".jsonl" and is_journal(read_text(p))]
    logs = [p for p in files if p.suffix == ".eval"]
    tables = [p for p in files if p.suffix == ".parquet"]
    if journals:
        _no_ladder(rows, path, "a folder of journals")
        for file in journals:
            add_journal(rows, file)
    elif logs:
        _no_ladder(rows, path, "an Inspect log")
        add_inspect_logs(rows, logs)
    elif tables:
        for file in tables:
            add_parquet(rows, file)
    else:
        raise ResponsesError(
            f"{path} holds neither journals (*.jsonl), nor Inspect logs (*.eval), nor tables "
            "(*.parquet); give a CSV by its own name"
        )
    return _digest([_sha256(file) for file in journals or logs or tables])


def _no_ladder(rows: Rows, path: Path, what: str) -> None:
    if rows.ladder:
        raise ResponsesError(
            f"{path}: {what} has no columns for the ladder '{rows.ladder}'; leave the ladder out, "
            "or give a table (CSV or Parquet)"
        )


def read_text(path: Path) -> str:
    """Text of a plain or gzipped file.

    Raises:
        ResponsesError: broken gzip, or not UTF-8.
    """
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b" or path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ResponsesError(f"{path} is broken gzip ({error}); fetch or write it again") from None
    except UnicodeDecodeError as error:
        raise ResponsesError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _digest(digests: Sequence[str]) -> str:
    """Of several contents in their order; a single one keeps its own digest."""
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )
