#!/bin/bash
# Core: keys, merging and the report, but files are still read as before (no byte order mark, no
# uneven rows), any text counts as an address, and `(0)` stays in phone numbers.
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{clean,cli,dedupe,table}.py contacts/
python3 - <<'PY'
from pathlib import Path


def edit(name, *changes):
    path = Path("contacts", name)
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


edit(
    "dedupe.py",
    ('local and domain and "@" not in domain', "local"),
    ('cell.replace("(0)", "")', "cell"),
)
edit(
    "table.py",
    ("utf-8-sig", "utf-8"),
    ('cells = line + [""] * (len(columns) - len(line))', "cells = line"),
)
PY
