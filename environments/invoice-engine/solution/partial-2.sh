#!/usr/bin/env bash
# Discounts, both kinds of tax rounding and credit notes work in the plain cases, but every currency
# has cents, each credit note is rounded on its own, and numbers are read and shown as they come.
set -euo pipefail
cp /solution/full/*.py invoicer/
python3 - <<'EOF'
from pathlib import Path


def change(name: str, old: str, new: str) -> None:
    path = Path("invoicer", name)
    text = path.read_text()
    if old not in text:
        raise SystemExit(f"{name} has no {old!r}")
    path.write_text(text.replace(old, new))


change("money.py", 'DIGITS = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "TND": 3}\n', "")
change("money.py", "DIGITS.get(currency, 2)", "2")
change("money.py", '    return text.rstrip("0").rstrip(".") if "." in text else text\n', "    return text\n")
change("model.py", "json.loads(content, parse_float=Decimal) if exact else json.loads(content)",
       "json.loads(content)")
change("credit.py", "        round_units(line.net * old) - round_units(line.net * new),\n",
       "        -round_units(line.net * (new - old)),\n")
change("credit.py", "        round_units(line.tax * old) - round_units(line.tax * new),\n",
       "        -round_units(line.tax * (new - old)),\n")
EOF
