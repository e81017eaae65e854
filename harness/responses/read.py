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
from harness.responses.rows import Rows
from harness.responses.tables import add_csv, add_json_lines


def read_responses(
    path: Path, bank: ItemBank | None = None, labels: Sequence[str] | None = None
) -> Responses:
    """Read logged outcomes.

    * a long table, CSV or CSV.gz: ``agent,item`` and ``category`` (0 is lowest, or a label) or
      ``score`` (0 to 1), optionally ``trial,llm,scaffold,date,cost_usd,seconds,tokens,turns``;
      other columns are ignored, a row without category and score is a missing outcome;
    * py-irt's JSON lines, plain or gzipped: ``{"subject_id": …, "responses": {item: 0 or 1}}``;
    * a journal, or a folder with journals of this program (searched first);
    * an Inspect ``.eval`` log, or a folder with such logs.

    Args:
        path: file or folder.
        bank: says which items there are and how many categories each has; the result then has
            exactly the items of the bank, in its order.
        labels: category labels, lowest first, for all items; the bank's when None.

    Without bank and labels every item has as many categories as the highest one in the file
    needs.

    Raises:
        ResponsesError: naming file and line.
    """
    if not path.exists():
        raise ResponsesError(f"no responses at {path}: give a CSV, JSON lines or a folder of logs")
    rows = Rows(bank, tuple(labels) if labels else None)
    if path.is_file() and path.suffix != ".eval":
        text = _read_text(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not text.lstrip().startswith("{"):
            add_csv(rows, path, text)
        elif is_journal(text):
            add_journal(rows, path)
        else:
            add_json_lines(rows, path, text)
        return rows.finish(path, digest)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    journals = [p for p in files if p.suffix == ".jsonl" and is_journal(_read_text(p))]
    logs = [p for p in files if p.suffix == ".eval"]
    if not journals and not logs:
        raise ResponsesError(f"{path} holds neither journals (*.jsonl) nor Inspect logs (*.eval)")
    if journals:
        for file in journals:
            add_journal(rows, file)
    else:
        add_inspect_logs(rows, logs)
    return rows.finish(path, _digest(journals or logs))


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b" or path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ResponsesError(f"{path} is broken gzip ({error}); fetch or write it again") from None
    except UnicodeDecodeError as error:
        raise ResponsesError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None


def _digest(files: list[Path]) -> str:
    """Of the contents in order of path; a single file keeps its own digest."""
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return digests[0] if len(files) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
