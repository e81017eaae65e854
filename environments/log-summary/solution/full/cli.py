"""The command line: `python3 -m weblog COMMAND ...`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from weblog.files import log_files, read_lines
from weblog.parse import LEVELS, parse_line
from weblog.summary import summarise, write_table


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="weblog", description="Figures from log files.")
    commands = top.add_subparsers(dest="command", required=True)
    count = commands.add_parser("count", help="events per level in the current log files")
    count.add_argument("folder", type=Path)
    summary = commands.add_parser("summary", help="requests per hour and service, as CSV")
    summary.add_argument("folder", type=Path)
    summary.add_argument("--out", type=Path, required=True, help="the table")
    summary.add_argument("--rejected", type=Path, help="the lines that could not be read")
    summary.add_argument("--strict", action="store_true", help="exit with 3 if there were any")
    return top


def count_levels(folder: Path) -> Counter[str]:
    events = (parse_line(line) for path in log_files(folder) for line in read_lines(path))
    return Counter(event.level for event in events if event is not None)


def run_count(options: argparse.Namespace) -> int:
    levels = count_levels(options.folder)
    for level in LEVELS:
        print(f"{level} {levels[level]}")
    return 0


def run_summary(options: argparse.Namespace) -> int:
    summary = summarise(options.folder)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        write_table(file, summary)
    if options.rejected:
        text = "".join(line + "\n" for line in summary.rejected)
        options.rejected.write_bytes(text.encode())
    print(summary, file=sys.stderr)
    return 3 if options.strict and summary.rejected else 0


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        return run_count(options) if options.command == "count" else run_summary(options)
    except OSError as error:
        print(f"weblog: {error}", file=sys.stderr)
        return 1
