"""The command line: `python3 -m invoicer show|total|credit FILE ...`."""

import argparse
import json
import sys
from pathlib import Path

from invoicer.credit import compute_credit
from invoicer.model import load_invoice, read_json
from invoicer.money import InvoiceError
from invoicer.render import render
from invoicer.totals import compute_totals


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="invoicer", description="Work with invoices.")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print an invoice as text")
    show.add_argument("file", type=Path)
    total = commands.add_parser("total", help="compute net, tax and gross")
    total.add_argument("file", type=Path)
    credit = commands.add_parser("credit", help="compute a credit note")
    credit.add_argument("file", type=Path, help="the invoice")
    credit.add_argument("note", type=Path)
    credit.add_argument(
        "--earlier", type=Path, action="append", default=[], metavar="NOTE", help="may be repeated"
    )
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(run(options))
    except InvoiceError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> str:
    """What the command prints."""
    if options.command == "show":
        return render(load_invoice(read_json(options.file)))
    document = read_json(options.file, exact=True)
    if options.command == "total":
        result = compute_totals(document)
    else:
        note = read_json(options.note, exact=True)
        earlier = [read_json(path, exact=True) for path in options.earlier]
        result = compute_credit(document, note, earlier)
    return json.dumps(result, indent=2) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
