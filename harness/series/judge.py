"""Alarms of a series: raised and settled by what is known now, and told to the world once."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from harness.errors import InfrastructureError
from harness.schedule.alarms import parse_alarm
from harness.schedule.certainty import certainty
from harness.schedule.changes import change
from harness.series import files
from harness.series.engine import Say
from harness.series.files import AlarmRecord
from harness.series.index import Index
from harness.series.notify import AlarmNotice, notify
from harness.series.state import Loaded

LOCK: Final = "alarms.lock"


def judge(
    folder: Path, index: Index, load: Callable[[], Loaded], say: Say
) -> tuple[AlarmRecord, ...]:
    """Raise and settle alarms by what is known now, and tell of those that are confirmed.

    Args:
        folder: of the series.
        index: that the alarms are recorded in.
        load: reads the series, once no other worker judges it.
        say: told of each alarm that changes.

    Returns:
        Those that are confirmed now and were not before.

    Raises:
        InfrastructureError: the database stays away, or a file cannot be written.
    """
    with _alone(folder):
        loaded = load()
        found = verdicts(loaded, time.time())
        for record in found:
            index.alarm(record)
            say(_told(record))
        for record in files.alarms(folder):
            if record.state == "confirmed":
                _tell(record, index, loaded, say)
    return tuple(record for record in found if record.state == "confirmed")


def verdicts(loaded: Loaded, now: float) -> tuple[AlarmRecord, ...]:
    """Alarms that are raised, confirmed or dismissed by what is known now and were not before.

    Each bank is judged at the last checkpoint that was tested on it, once no session is at work
    there. An alarm is raised where its probability is certain enough, confirmed if it still is
    after a session on fresh tasks, and dismissed once it no longer is. Once confirmed it is raised
    again for a change since then only: one fall is one alarm.

    Args:
        loaded: the series.
        now: Unix time in seconds.
    """
    found: list[AlarmRecord] = []
    situation = loaded.situation
    for bank, alarm in situation.alarms:
        tested = [c for c in loaded.checkpoints if any(s.answers for s in c.on(bank))]
        if not tested or any(s.state in ("planned", "running") for s in tested[-1].on(bank)):
            continue
        last = tested[-1].step
        records = [r for r in loaded.alarms if (r.bank, r.alarm) == (bank, str(alarm))]
        told = [r.step for r in records if r.state == "confirmed"]
        if last in told:
            continue
        seen = change(loaded.course(bank, last), alarm, bank, not_before=max(told, default=None))
        if seen is None:
            continue
        raised = next((r for r in records if r.state == "raised"), None)
        settled = replace(raised, settled=seen.probability) if raised else None
        if seen.probability < certainty(situation):
            if settled:
                found.append(replace(settled, state="dismissed"))
            continue
        record = settled or AlarmRecord(last, bank, str(alarm), seen.probability, now)
        fresh = any(
            session.purpose == "confirm" and session.state == "done"
            for checkpoint in loaded.checkpoints
            if checkpoint.step >= record.step
            for session in checkpoint.on(bank)
        )
        if fresh:
            found.append(replace(record, state="confirmed", settled=seen.probability))
        elif not raised:
            found.append(record)
    return tuple(found)


def _tell(record: AlarmRecord, index: Index, loaded: Loaded, say: Say) -> None:
    definition = loaded.definition
    ways = {"command": definition.on_alarm, "webhook": definition.webhook}
    if all(name in record.notified for name, way in ways.items() if way):
        return
    reached = notify(
        _notice(loaded, record),
        command=definition.on_alarm,
        webhook=definition.webhook,
        say=say,
        done=record.notified,
    )
    index.alarm(replace(record, notified=reached))


def _told(record: AlarmRecord) -> str:
    text = f"Alarm at step {record.step} on {record.bank}: P({record.alarm}) is "
    match record.state:
        case "raised":
            return f"{text}{record.probability:.3f}; raised, to be confirmed on fresh tasks"
        case state:
            return f"{text}{record.settled:.3f} after a session on fresh tasks; {state}"


def _notice(loaded: Loaded, record: AlarmRecord) -> AlarmNotice:
    course = loaded.course(record.bank, record.step)
    axis = course.space.axis(record.bank)
    told = [
        other.step
        for other in loaded.alarms
        if (other.bank, other.alarm, other.state) == (record.bank, record.alarm, "confirmed")
        and other.step < record.step
    ]
    alarm = parse_alarm(record.alarm)
    seen = change(course, alarm, record.bank, not_before=max(told, default=None))
    abilities = course.smoothed(axis)
    ability = abilities[-1]
    start = abilities[course.steps.index(seen.baseline)] if seen else ability
    probability = record.probability if record.settled is None else record.settled
    name = loaded.definition.name
    page = loaded.folder / "report.html"
    return AlarmNotice(
        name,
        record.step,
        record.bank,
        record.alarm,
        probability,
        record.state,
        float(ability.mean[0]),
        float(ability.sd[0]),
        float(start.mean[0]),
        f"{name}, step {record.step}: {record.bank} went from {start.mean[0]:.2f}"
        + (f" at step {seen.baseline}" if seen else "")
        + f" to {ability.mean[0]:.2f}; P({record.alarm}) is {probability:.3f}, {record.state} by "
        "a session on fresh tasks",
        str(page) if page.is_file() else "",
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other workers out, so that an alarm is not told twice."""
    path = folder / LOCK
    try:
        opened = path.open("ab")
    except OSError as error:
        raise InfrastructureError(
            f"{path} cannot be opened ({error.strerror or error}); nothing is lost"
        ) from error
    with opened as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


__all__ = ["judge", "verdicts"]
