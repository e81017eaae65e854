"""The log files in a folder."""

from collections.abc import Iterator
from pathlib import Path


def log_files(folder: Path) -> list[Path]:
    """The current log files (not the rotated ones), by name."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".log")


def read_lines(path: Path) -> Iterator[str]:
    yield from path.read_text(encoding="utf-8", errors="replace").splitlines()
