"""The folder of a series: everything that its database holds can be read from here.

::

    series.yaml                        what the series is
    checkpoints/000000001000.json      a registered checkpoint
    sessions/000000001000-odcv-1/      a run folder: journal.jsonl, logs/
        work.json                      which session this is, and why it is held
        failure.json                   why it was given up, if it was
    alarms/000000001000-….json         an alarm, and what became of it
    alarms.lock                        held by the worker that judges alarms
    worker.lock                        held by the worker that a training loop has started
    worker.log, worker.json            what that worker says, and how far it has come
    series.db                          the database, unless it is elsewhere

Files appear whole or not at all: they are written beside their place, flushed to the disk and
moved there.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from zlib import crc32

from pydantic import TypeAdapter

from harness.errors import InputError
from harness.schedule.events import Purpose
from harness.series.storage import read_record, write_record

CHECKPOINTS = "checkpoints"
SESSIONS = "sessions"
ALARMS = "alarms"
WORK = "work.json"
FAILURE = "failure.json"


@dataclass(frozen=True)
class Registered:
    """A checkpoint of the training run, as it was registered.

    Of ``model``, ``agent`` and their arguments None and ``()`` stand for those of the series.
    """

    step: int
    model: str | None = None
    agent: str | None = None
    model_args: tuple[tuple[str, str], ...] = ()
    agent_args: tuple[tuple[str, str], ...] = ()
    serve: str = ""
    """Command that serves the checkpoint and prints its endpoint."""
    path: str = ""
    """Where its weights lie, for the serving command."""
    jump: bool = False
    """Something happened before it that may have moved ability far."""
    at: float = 0.0
    """Unix time in seconds."""
    note: str = ""


@dataclass(frozen=True)
class Work:
    """A session that is to be held.

    >>> Work(1000, "odcv", 1, "routine", 5, "the first checkpoint").id
    '000000001000-odcv-1'
    """

    step: int
    bank: str
    """Name of the bank."""
    number: int
    """1 for the first session of this checkpoint on this bank."""
    purpose: Purpose
    tasks: int
    why: str
    avoid: tuple[str, ...] = ()
    """Items that are left out."""
    stop: str = ""
    """What may end it earlier, as a stopping rule; empty for nothing."""
    agent: str = ""
    """Name of the agent under test, for people."""

    @property
    def id(self) -> str:
        """Name of its run folder."""
        return f"{self.step:012d}-{_slug(self.bank)}-{self.number}"


@dataclass(frozen=True)
class Failure:
    """Why a work was given up."""

    error: str
    at: float
    """Unix time in seconds."""


AlarmState = Literal["raised", "confirmed", "dismissed"]


@dataclass(frozen=True)
class AlarmRecord:
    """An alarm that was raised, and what became of it."""

    step: int
    """Checkpoint at which it was raised."""
    bank: str
    alarm: str
    """Its text, such as ``fall>0.25 within 5``."""
    probability: float
    """Of the change, when it was raised."""
    raised_at: float
    """Unix time in seconds."""
    state: AlarmState = "raised"
    settled: float | None = None
    """Probability of the change after the confirming session; None before that."""
    notified: tuple[str, ...] = ()
    """What was told, so that nothing is told twice."""

    @property
    def id(self) -> str:
        """Name of its file, without the ending."""
        return f"{self.step:012d}-{_slug(self.bank)}-{_slug(self.alarm)}"


def _slug(name: str) -> str:
    """A name that is safe in a path; where it had to be changed, told apart by a checksum."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:60].strip("-.")
    return safe if safe == name else f"{safe}-{crc32(name.encode()):08x}"


_REGISTERED = TypeAdapter(Registered)
_WORK = TypeAdapter(Work)
_FAILURE = TypeAdapter(Failure)
_ALARM = TypeAdapter(AlarmRecord)


def register(folder: Path, checkpoint: Registered) -> Path:
    """Add a checkpoint to a series.

    Returns:
        Its file.

    Raises:
        InputError: the step was registered before, or lies before the last one.
        InfrastructureError: it cannot be written.
    """
    if checkpoint.step < 0:
        raise InputError(f"step {checkpoint.step}: a step of training is 0 or more")
    path = folder / CHECKPOINTS / f"{checkpoint.step:012d}.json"
    earlier = registered(folder)
    if earlier and checkpoint.step < earlier[-1].step and not path.exists():
        raise InputError(
            f"step {checkpoint.step} comes before step {earlier[-1].step}, which is registered in "
            f"{folder / CHECKPOINTS}: checkpoints are added in the order of training; give this "
            "one a later step, or a series of its own"
        )
    try:
        write_record(path, _REGISTERED, checkpoint, new=True)
    except FileExistsError:
        there = read_record(path, _REGISTERED)
        already = f"step {checkpoint.step} is registered already, "
        if differences := _differences(there, checkpoint):
            already += f"with {differences}: {path}; give the new checkpoint a step of its own"
        else:
            already += f"with the same content: {path}; there is nothing to do"
        raise InputError(already) from None
    return path


def _differences(there: Registered, new: Registered) -> str:
    parts = []
    for name in (field.name for field in fields(Registered) if field.name != "at"):
        old, other = getattr(there, name), getattr(new, name)
        if old != other:
            parts.append(f"{name} {old!r} and not {other!r}")
    return ", ".join(parts)


def registered(folder: Path) -> tuple[Registered, ...]:
    """The checkpoints of a series, by step.

    Raises:
        InputError: naming a file that cannot be read.
    """
    found = (read_record(path, _REGISTERED) for path in (folder / CHECKPOINTS).glob("*.json"))
    return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))


def session_folder(folder: Path, work: Work) -> Path:
    """The run folder of a work."""
    return folder / SESSIONS / work.id


def write_work(folder: Path, work: Work) -> Path:
    """Put a work into the folder; one that is there already is left as it is.

    Returns:
        Its run folder.

    Raises:
        InputError: another work has this step, bank and number.
        InfrastructureError: it cannot be written.
    """
    path = session_folder(folder, work) / WORK
    try:
        write_record(path, _WORK, work, new=True)
    except FileExistsError:
        if read_work(path.parent) != work:
            raise InputError(
                f"{path} holds another work of this step, bank and number; plan the work again"
            ) from None
    return path.parent


def read_work(session: Path) -> Work:
    """The work that a run folder is of.

    Raises:
        InputError: it cannot be read.
    """
    path = session / WORK
    work = read_record(path, _WORK)
    if work.id != session.name:
        raise InputError(f"{path} is of {work.id}: move it to a folder of that name")
    return work


def work_ids(folder: Path) -> frozenset[str]:
    """Names of the run folders of all works, without reading them."""
    return frozenset(path.parent.name for path in (folder / SESSIONS).glob(f"*/{WORK}"))


def works(folder: Path) -> tuple[Work, ...]:
    """All works of a series, by step, bank and number.

    Raises:
        InputError: naming a file that cannot be read.
    """
    found = (read_work(folder / SESSIONS / name) for name in work_ids(folder))
    return tuple(sorted(found, key=lambda work: (work.step, work.bank, work.number)))


def write_failure(folder: Path, work: Work, failure: Failure) -> None:
    """Record that a work is given up.

    Raises:
        InfrastructureError: it cannot be written.
    """
    write_record(session_folder(folder, work) / FAILURE, _FAILURE, failure, new=False)


def failure(folder: Path, work: Work) -> Failure | None:
    """Why a work was given up; None where it was not.

    Raises:
        InputError: it cannot be read.
    """
    path = session_folder(folder, work) / FAILURE
    return read_record(path, _FAILURE) if path.is_file() else None


def write_alarm(folder: Path, record: AlarmRecord) -> Path:
    """Record an alarm, in place of what was recorded of it before.

    Returns:
        Its file.

    Raises:
        InfrastructureError: it cannot be written.
    """
    path = folder / ALARMS / f"{record.id}.json"
    write_record(path, _ALARM, record, new=False)
    return path


def alarms(folder: Path) -> tuple[AlarmRecord, ...]:
    """All alarms of a series, by step.

    Raises:
        InputError: naming a file that cannot be read.
    """
    found = (read_record(path, _ALARM) for path in (folder / ALARMS).glob("*.json"))
    return tuple(sorted(found, key=lambda record: (record.step, record.bank, record.alarm)))
