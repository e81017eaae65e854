#!/bin/bash
# First milestone: requests and errors from the current files, hours as they are written. No
# rotated files, no duplicates, and the mean where percentiles should be.
set -eu
cat > weblog/summary.py <<'PY'
"""Requests per hour and service."""

import csv
from collections import defaultdict

from weblog.files import log_files, read_lines
from weblog.parse import parse_line

COLUMNS = ("hour", "service", "requests", "errors", "error_rate", "p50_ms", "p95_ms")


def write_summary(folder, out):
    cells = defaultdict(list)
    for path in log_files(folder):
        for line in read_lines(path):
            event = parse_line(line)
            if event is not None and "status" in event.fields:
                status, ms = int(event.fields["status"]), float(event.fields["ms"])
                cells[event.time.strftime("%Y-%m-%dT%H:00Z"), event.service].append((status, ms))
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, requests in sorted(cells.items()):
            errors = sum(status >= 500 for status, _ in requests)
            mean = f"{sum(ms for _, ms in requests) / len(requests):.1f}"
            rate = f"{errors / len(requests):.4f}"
            writer.writerow([*key, len(requests), errors, rate, mean, mean])
PY
python3 - <<'PY'
from pathlib import Path

cli = Path("weblog/cli.py")
text = cli.read_text()
for old, new in (
    ("LEVELS, parse_line\n", "LEVELS, parse_line\nfrom weblog.summary import write_summary\n"),
    (
        "    return top\n",
        '    summary = commands.add_parser("summary", help="requests per hour and service")\n'
        '    summary.add_argument("folder", type=Path)\n'
        '    summary.add_argument("--out", type=Path, required=True)\n'
        "    return top\n",
    ),
    (
        "        levels = ",
        '        if options.command == "summary":\n'
        "            write_summary(options.folder, options.out)\n"
        "            return 0\n"
        "        levels = ",
    ),
):
    assert old in text, old
    text = text.replace(old, new)
cli.write_text(text)
PY
