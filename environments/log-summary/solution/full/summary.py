"""Requests, errors and latencies per hour and service."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TextIO

from weblog.files import Damaged, all_log_files, read_lines
from weblog.parse import parse_line

COLUMNS = ("hour", "service", "requests", "errors", "error_rate", "p50_ms", "p95_ms")


@dataclass(frozen=True)
class Request:
    hour: str
    service: str
    status: int
    ms: Decimal
    id: str | None


@dataclass
class Cell:
    """The requests of one service in one hour."""

    latencies: list[Decimal] = field(default_factory=list)
    errors: int = 0


@dataclass
class Summary:
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    files: int = 0
    lines: int = 0
    requests: int = 0
    duplicates: int = 0

    def __str__(self) -> str:
        return (
            f"files {self.files}, lines {self.lines}, requests {self.requests}, "
            f"duplicates {self.duplicates}, rejected {len(self.rejected)}"
        )


def read_request(line: str) -> Request | None:
    """The request on a line, None for another event; ValueError if the line is neither."""
    event = parse_line(line)
    if event is None or event.time.tzinfo is None:
        raise ValueError("not an event")
    status, ms = event.fields.get("status"), event.fields.get("ms", "")
    if status is None:
        return None
    if not re.fullmatch("[0-9]{3}", status) or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", ms):
        raise ValueError("not a request")
    hour = event.time.astimezone(UTC).strftime("%Y-%m-%dT%H:00Z")
    return Request(hour, event.service, int(status), Decimal(ms), event.fields.get("request_id"))


def summarise(folder: Path) -> Summary:
    summary = Summary()
    seen: set[tuple[str, str]] = set()
    for path in all_log_files(folder):
        summary.files += 1
        number = 0
        try:
            for number, line in enumerate(read_lines(path), start=1):
                summary.lines += 1
                if line and line[0] not in " \t":
                    try:
                        add(summary, seen, read_request(line))
                    except ValueError:
                        summary.rejected.append(f"{path.name}:{number}: {line}")
        except Damaged:
            summary.rejected.append(f"{path.name}:{number + 1}: damaged")
    return summary


def add(summary: Summary, seen: set[tuple[str, str]], request: Request | None) -> None:
    if request is None:
        return
    if request.id is not None:
        if (request.service, request.id) in seen:
            summary.duplicates += 1
            return
        seen.add((request.service, request.id))
    summary.requests += 1
    cell = summary.cells.setdefault((request.hour, request.service), Cell())
    cell.latencies.append(request.ms)
    cell.errors += request.status >= 500


def rounded(value: Decimal, step: str) -> str:
    return str(value.quantize(Decimal(step), ROUND_HALF_UP))


def percentile(ascending: Sequence[Decimal], p: int) -> Decimal:
    """Nearest rank."""
    return ascending[(p * len(ascending) + 99) // 100 - 1]


def table_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    for (hour, service), cell in sorted(summary.cells.items(), key=lambda item: item[0]):
        ascending = sorted(cell.latencies)
        rate = Decimal(cell.errors) / len(ascending)
        yield (
            hour,
            service,
            str(len(ascending)),
            str(cell.errors),
            rounded(rate, "0.0001"),
            rounded(percentile(ascending, 50), "0.1"),
            rounded(percentile(ascending, 95), "0.1"),
        )


def write_table(file: TextIO, summary: Summary) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(table_rows(summary))
