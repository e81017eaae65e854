#!/bin/bash
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{books,cli,db,migrate,money,report}.py ledger/
cp "$from/002_cents.sql" ledger/migrations/
cp "$from/test_report.py" tests/
python3 - <<'PY'
from pathlib import Path

readme = Path("README.md")
text = readme.read_text()
text = text.replace(
    "    python3 -m ledger balance books.db 1000\n",
    "    python3 -m ledger balance books.db 1000\n"
    "    python3 -m ledger report books.db --from 2024-01 --to 2024-03\n",
)
text = text.replace(
    "It is 1; see `ledger/migrations`.",
    "It is 2; `migrate` brings\na ledger of version 1 there, or names what has to be put right first.",
)
readme.write_text(text)
PY
