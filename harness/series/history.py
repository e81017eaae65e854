"""What came out of the sessions of a series, from their journals."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness import journal
from harness.bank import ItemBank
from harness.errors import InputError, JournalError
from harness.events import Answered, Stopped, Voided
from harness.schedule.events import Checkpoint, State, Tested
from harness.series import files
from harness.series.files import Work


@dataclass(frozen=True)
class Facts:
    """What came out of a work so far."""

    state: State = "planned"
    answered: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    """Sum over the attempts, however many ran at once."""
    ability: float | None = None
    """First ability at the end of the session; None before that."""
    sd: float | None = None
    error: str = ""


def begun(session: Path) -> bool:
    """Whether a run folder holds something to go on with."""
    path = session / journal.NAME
    # one without a whole line was left by a worker that ended before it could begin
    return path.is_file() and b"\n" in path.read_bytes()


def _session(folder: Path, work: Work) -> tuple[Tested, journal.Journal | None]:
    session = files.session_folder(folder, work)
    told = Tested(
        work.bank,
        work.number,
        work.purpose,
        work.tasks,
        state="planned",
        run=session.relative_to(folder).as_posix(),
    )
    record = None
    if begun(session):
        record = journal.read(session)
        attempts = [e for e in record.events if isinstance(e, Answered | Voided)]
        answers = [e for e in attempts if isinstance(e, Answered)]
        told = replace(
            told,
            state="running",
            answers=tuple((answer.item, answer.category) for answer in answers),
            voids=len(attempts) - len(answers),
            usd=sum(attempt.cost.usd for attempt in attempts),
            seconds=sum(attempt.cost.seconds for attempt in attempts),
        )
        match record.events[-1]:
            case Stopped(outcome="voids", reason=reason):
                return replace(told, state="failed", error=reason), record
            case Stopped():
                return replace(told, state="done"), record
            case _:
                pass
    if (given_up := files.failure(folder, work)) is not None:
        told = replace(told, state="failed", error=given_up.error)
    return told, record


def sessions(folder: Path, banks: Mapping[str, ItemBank]) -> dict[int, tuple[Tested, ...]]:
    """The sessions of every step, from their journals.

    A session is done when its journal ends, failed when it ended on voids or was given up.

    Args:
        folder: of the series.
        banks: by name.

    Raises:
        InputError: naming a file that cannot be read, or of a bank that the series does not have.
        JournalError: a journal is damaged, or was written with another version of its bank.
    """
    found: dict[int, list[Tested]] = defaultdict(list)
    for work in files.works(folder):
        session, record = _session(folder, work)
        _check_bank(folder, work, record, banks)
        found[work.step].append(session)
    return {step: tuple(some) for step, some in found.items()}


def _check_bank(
    folder: Path,
    work: Work,
    record: journal.Journal | None,
    banks: Mapping[str, ItemBank],
) -> None:
    if work.bank not in banks:
        raise InputError(
            f"{files.session_folder(folder, work) / files.WORK}: bank {work.bank!r} is none of the "
            f"series ({', '.join(banks)}); add it to series.yaml, or move the folder away"
        )
    bank = banks[work.bank]
    if record is not None and record.started.bank_hash != bank.hash:
        raise JournalError(
            f"{record.path} was written with bank {work.bank!r} of hash "
            f"{record.started.bank_hash}, which has hash {bank.hash} now: a bank must not change "
            "in a series; restore it, or start a new series"
        )


def facts(folder: Path, work: Work, bank: ItemBank | None = None) -> Facts:
    """What came out of a work so far, from its journal.

    Args:
        folder: of the series.
        work: whose journal is read.
        bank: for the ability at the end of a session that is done.

    Raises:
        JournalError: the journal is damaged, or of another bank.
    """
    told, record = _session(folder, work)
    found = Facts(told.state, len(told.answers), told.usd, told.seconds, error=told.error)
    if record is None or bank is None or told.state != "done":
        return found
    session = journal.replayed(record, bank)
    return replace(found, ability=float(session.ability[0]), sd=float(session.sd[0]))


def checkpoints(folder: Path, banks: Mapping[str, ItemBank]) -> tuple[Checkpoint, ...]:
    """What a schedule needs to know of a series, by step; arguments and errors as :func:`sessions`.

    Raises:
        InputError: also a session of a step that is not registered.
    """
    held = sessions(folder, banks)
    known = files.registered(folder)
    if unknown := held.keys() - {checkpoint.step for checkpoint in known}:
        raise InputError(
            f"{folder / files.SESSIONS} has sessions of step {min(unknown)}, which is not "
            f"registered: restore its file in {folder / files.CHECKPOINTS}, or move these "
            "sessions away"
        )
    return tuple(
        Checkpoint(checkpoint.step, checkpoint.jump, held.get(checkpoint.step, ()))
        for checkpoint in known
    )
