"""The command line: `python3 -m invoicer show|total FILE`."""

import argparse
import json
import sys
from pathlib import Path

from invoicer.model import load_invoice, read_json
from invoicer.money import InvoiceError
from invoicer.render import render
from invoicer.totals import compute_totals


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="invoicer", description="Work with invoices.")
    parser.add_argument("command", choices=("show", "total"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        document = read_json(options.file)
        if options.command == "show":
            sys.stdout.write(render(load_invoice(document)))
        else:
            print(json.dumps(compute_totals(document), indent=2))
    except InvoiceError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
