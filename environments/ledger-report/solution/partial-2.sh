#!/bin/bash
# Core: migration of sound books and the monthly report. Amounts are rounded as floats, problems
# end the migration at the first one, and income and expense never start again at zero.
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{books,cli,db,migrate,money,report}.py ledger/
cp "$from/002_cents.sql" ledger/migrations/
python3 - <<'PY'
from pathlib import Path


def edit(name, *changes):
    path = Path("ledger", name)
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


edit("money.py", ("int((Decimal(repr(amount)) * 100).to_integral_value(ROUND_HALF_UP))",
                  "round(amount * 100)"))
edit("migrate.py", ("raise Problems(problems)", "raise Problems(problems[:1])"))
edit(
    "report.py",
    ("since = year if account.kind in RESULT_KINDS else None", "since = None"),
    ("earlier += before if account.kind == \"income\" else -before", "earlier += 0 * before"),
)
PY
