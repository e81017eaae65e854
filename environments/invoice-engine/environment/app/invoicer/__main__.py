"""The command line: `python3 -m invoicer show FILE`."""

import argparse
import sys
from pathlib import Path

from invoicer.model import load_invoice, read_json
from invoicer.money import InvoiceError
from invoicer.render import render


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="invoicer", description="Work with invoices.")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print an invoice as text")
    show.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(render(load_invoice(read_json(options.file))))
    except InvoiceError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
