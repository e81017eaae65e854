#!/bin/bash
# First milestone: batches with ISO days and plain amounts move to the new tables. No dates as
# typed, no checks, no report, and the other commands stay with version 1.
set -eu
cp "$(dirname "${BASH_SOURCE[0]}")/full/002_cents.sql" ledger/migrations/
cat > ledger/migrate.py <<'PY'
"""From version 1 to version 2."""

import sqlite3

from ledger.db import MIGRATIONS


def migrate(path):
    books = sqlite3.connect(path)
    accounts = books.execute("SELECT * FROM accounts").fetchall()
    entries = books.execute(
        "SELECT id, day, account, amount, memo, batch FROM entries ORDER BY id"
    ).fetchall()
    books.executescript("DROP TABLE accounts; DROP TABLE entries;")
    books.executescript((MIGRATIONS / "002_cents.sql").read_text(encoding="utf-8"))
    books.executemany("INSERT INTO accounts VALUES (?, ?, ?)", accounts)
    numbers = {}
    for number, day, account, amount, memo, batch in entries:
        if batch not in numbers:
            numbers[batch] = len(numbers) + 1
            row = (numbers[batch], day, memo or "", batch)
            books.execute("INSERT INTO transactions VALUES (?, ?, ?, ?)", row)
        row = (number, numbers[batch], account, int(amount * 100))
        books.execute("INSERT INTO postings VALUES (?, ?, ?, ?)", row)
    books.commit()
    books.close()
    print(f"migrated: {len(numbers)} transactions, {len(entries)} postings")
PY
python3 - <<'PY'
from pathlib import Path

cli = Path("ledger/cli.py")
text = cli.read_text()
for old, new in (
    ("connect, create\n", "connect, create\nfrom ledger.migrate import migrate\n"),
    (
        "    account = commands.add_parser",
        '    commands.add_parser("migrate").add_argument("db", type=Path)\n'
        "    account = commands.add_parser",
    ),
    (
        "    books = connect(options.db)\n",
        '    if options.command == "migrate":\n'
        "        migrate(options.db)\n"
        "        return\n"
        "    books = connect(options.db)\n",
    ),
):
    assert old in text, old
    text = text.replace(old, new, 1)
cli.write_text(text)
PY
