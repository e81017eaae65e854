"""The log files in a folder."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

ANY_LOG = re.compile(r".*\.log(\.[0-9]+)?(\.gz)?", re.DOTALL)


class Damaged(Exception):
    """A compressed file that is cut off or broken."""


def log_files(folder: Path) -> list[Path]:
    """The current log files (not the rotated ones), by name."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".log")


def all_log_files(folder: Path) -> list[Path]:
    """Current, rotated and compressed log files, by name."""
    found = [p for p in folder.iterdir() if ANY_LOG.fullmatch(p.name) and p.is_file()]
    return sorted(found, key=lambda path: path.name)


def read_lines(path: Path) -> Iterator[str]:
    """The lines without their ends. Damaged comes after the last complete line of a bad file."""
    compressed = path.suffix == ".gz"
    with gzip.open(path, "rb") if compressed else path.open("rb") as file:
        while True:
            try:
                line = file.readline()
                if compressed and not line.endswith(b"\n"):
                    # Only the end of the file shows whether an unfinished line is all there is.
                    line += file.read()
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise Damaged(str(path)) from error
            if not line:
                return
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")
