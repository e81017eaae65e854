"""The command line: `python3 -m weblog COMMAND ...`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from weblog.files import log_files, read_lines
from weblog.parse import LEVELS, parse_line


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="weblog", description="Figures from log files.")
    commands = top.add_subparsers(dest="command", required=True)
    count = commands.add_parser("count", help="events per level in the current log files")
    count.add_argument("folder", type=Path)
    return top


def count_levels(folder: Path) -> Counter[str]:
    events = (parse_line(line) for path in log_files(folder) for line in read_lines(path))
    return Counter(event.level for event in events if event is not None)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        levels = count_levels(options.folder)
    except OSError as error:
        print(f"weblog: {error}", file=sys.stderr)
        return 1
    for level in LEVELS:
        print(f"{level} {levels[level]}")
    return 0
