#!/bin/bash
# Core: all files, figures, duplicates and rejected lines, with whatever Python's own line
# splitting, number parsing and rounding give; a damaged file ends the run.
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{cli,files,summary}.py weblog/
python3 - <<'PY'
from pathlib import Path


def edit(name, *changes):
    path = Path("weblog", name)
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


files = Path("weblog/files.py")
text = files.read_text()
head, _, _ = text.partition("def read_lines")
files.write_text(
    head
    + '''def read_lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace") as file:
        yield from file.read().splitlines()
'''
)
edit(
    "summary.py",
    ("event is None or event.time.tzinfo is None", "event is None"),
    (
        'if not re.fullmatch("[0-9]{3}", status) or not re.fullmatch(r"[0-9]+(\\.[0-9]+)?", ms):',
        "if not status.isdigit():",
    ),
    ("int(status), Decimal(ms)", "int(status), Decimal(float(ms))"),
)
PY
