"""The command line: `python3 -m contacts COMMAND ...`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from contacts.clean import clean_rows
from contacts.dedupe import Contact, dedupe
from contacts.table import Table, TableError, read_table, table_text, write_files


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="contacts", description="Clean address lists.")
    commands = top.add_subparsers(dest="command", required=True)
    clean = commands.add_parser("clean", help="tidy white space and drop empty rows")
    merge = commands.add_parser("dedupe", help="clean, and merge the rows of one contact")
    for command in (clean, merge):
        command.add_argument("input", type=Path)
        command.add_argument("output", type=Path)
    merge.add_argument("--country", default="44", help="country code for numbers without one")
    merge.add_argument("--report", type=Path, help="write what was merged as JSON")
    return top


def report_text(read: Table, written: Table, contacts: Sequence[Contact]) -> str:
    merged = [{"key": one.key, "rows": one.numbers, "newest": one.newest[0]} for one in contacts]
    counts = {"rows_read": len(read.rows), "rows_written": len(written.rows)}
    return json.dumps({**counts, "merged": merged}, indent=1, ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        table = read_table(options.input)
        if options.command == "clean":
            result = clean_rows(table)
            files = {}
        else:
            result, merged = dedupe(table, options.country)
            files = {options.report: report_text(table, result, merged)} if options.report else {}
        write_files({**files, options.output: table_text(result)})
    except (TableError, OSError) as error:
        print(f"contacts: {error}", file=sys.stderr)
        return 1
    print(f"read {len(table.rows)} rows, wrote {len(result.rows)} rows", file=sys.stderr)
    return 0
