"""The command line: `python3 -m contacts COMMAND ...`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contacts.clean import clean_rows
from contacts.table import TableError, read_table, write_table


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="contacts", description="Clean address lists.")
    commands = top.add_subparsers(dest="command", required=True)
    clean = commands.add_parser("clean", help="tidy white space and drop empty rows")
    clean.add_argument("input", type=Path)
    clean.add_argument("output", type=Path)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        table = read_table(options.input)
        cleaned = clean_rows(table)
        write_table(options.output, cleaned)
    except (TableError, OSError) as error:
        print(f"contacts: {error}", file=sys.stderr)
        return 1
    print(f"read {len(table.rows)} rows, wrote {len(cleaned.rows)} rows", file=sys.stderr)
    return 0
