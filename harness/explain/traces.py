"""Where the traces of outcomes lie, for outcomes that come from a folder of runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import journal
from harness.errors import ResponsesError
from harness.events import Answered, Chosen
from harness.responses.logs import is_journal
from harness.responses.read import read_text


@dataclass(frozen=True)
class Trace:
    """The trace of one attempt."""

    run: str
    """Folder of the run."""
    log: str
    """Inspect's log, relative to that folder."""
    sample: str
    """Id of the Inspect sample in it."""
    category: int


def find_traces(paths: Iterable[Path], agent: str) -> Mapping[str, tuple[Trace, ...]]:
    """Traces of an agent's answers by item, from the journals among some files and folders.

    A table of outcomes has none.

    Raises:
        JournalError: a damaged journal.
    """
    found: dict[str, list[Trace]] = {}
    for path in paths:
        for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
            if file.suffix == ".jsonl" and _is_journal(file):
                for item, trace in _traces(file, agent):
                    found.setdefault(item, []).append(trace)
    return {item: tuple(traces) for item, traces in found.items()}


def _is_journal(file: Path) -> bool:
    try:
        return is_journal(read_text(file))
    except ResponsesError:
        return False


def _traces(file: Path, agent: str) -> Iterable[tuple[str, Trace]]:
    read = journal.read(file)
    if read.started.agent != agent:
        return
    samples = {event.step: event.sample for event in read.events if isinstance(event, Chosen)}
    done: set[int] = set()
    for event in read.events:
        if not isinstance(event, Answered) or not event.trace or event.step in done:
            continue
        done.add(event.step)
        yield (
            event.item,
            Trace(str(file.parent), event.trace, samples.get(event.step, ""), event.category),
        )
