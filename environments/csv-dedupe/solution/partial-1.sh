#!/bin/bash
# First milestone: the last row with the same lower-case address wins; no phones, dates or report.
set -eu
cat > contacts/dedupe.py <<'PY'
"""Merge rows with the same e-mail address."""

from contacts.clean import clean_rows
from contacts.table import Table


def dedupe(table: Table) -> Table:
    cleaned = clean_rows(table)
    found = {}
    for row in cleaned.rows:
        found[row["email"].lower()] = row
    return Table(cleaned.columns, list(found.values()))
PY
python3 - <<'PY'
from pathlib import Path

cli = Path("contacts/cli.py")
text = cli.read_text()
text = text.replace(
    "from contacts.table", "from contacts.dedupe import dedupe\nfrom contacts.table"
)
text = text.replace(
    "    return top\n",
    '    merge = commands.add_parser("dedupe", help="merge rows with the same address")\n'
    '    merge.add_argument("input", type=Path)\n'
    '    merge.add_argument("output", type=Path)\n'
    "    return top\n",
)
text = text.replace(
    "cleaned = clean_rows(table)",
    'cleaned = dedupe(table) if options.command == "dedupe" else clean_rows(table)',
)
cli.write_text(text)
PY
