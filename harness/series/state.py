"""A series as its files tell it: what was tested, what is believed, and what is worth testing."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.bank import ItemBank
from harness.errors import InputError
from harness.schedule.alarms import parse_alarm
from harness.schedule.course import Course
from harness.schedule.drift import Drift, settled
from harness.schedule.events import Checkpoint, Proposal
from harness.schedule.policy import parse_policy
from harness.schedule.propose import propose
from harness.schedule.situation import Confirmed, Situation, Spending, make_situation
from harness.schedule.space import Space, make_spaces
from harness.series import files, history
from harness.series.definition import NAME, Definition, check_banks, read_definition
from harness.series.files import AlarmRecord, Registered

ROOT = Path("runs/series")
"""Where series are made unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """All that the files of a series hold."""

    folder: Path
    definition: Definition
    banks: tuple[ItemBank, ...]
    spaces: tuple[Space, ...]
    """One for each bank, or a single one for two whose abilities move together."""
    registered: tuple[Registered, ...]
    """By step, like the checkpoints."""
    checkpoints: tuple[Checkpoint, ...]
    alarms: tuple[AlarmRecord, ...]
    """Those that were raised."""
    situation: Situation

    def bank(self, name: str) -> ItemBank:
        """One of the banks."""
        return next(bank for bank in self.banks if bank.name == name)

    def at(self, step: int) -> tuple[Registered, Checkpoint]:
        """One checkpoint: as it was registered, and as it was tested.

        Raises:
            InputError: no such step is registered.
        """
        for known, checkpoint in zip(self.registered, self.checkpoints, strict=True):
            if known.step == step:
                return known, checkpoint
        raise InputError(f"step {step} is not registered in {self.folder / files.CHECKPOINTS}")

    def fits(self, definition: Definition, drift: Drift) -> bool:
        """Whether the spaces are those of a definition and a drift."""
        own = self.definition
        same = (own.banks, own.joint) == (definition.banks, definition.joint)
        return same and self.spaces[0].drift == drift

    def course(self, bank: str, step: int) -> Course:
        """The course of a bank up to a checkpoint."""
        course = self.situation.course(bank)
        known = sum(visited <= step for visited in course.steps)
        return replace(course, visits=course.visits[:known])


def load_series(folder: Path, before: Loaded | None = None) -> Loaded:
    """Read a series from its files.

    Args:
        folder: of the series.
        before: the same series as it was read earlier; what takes long and cannot have changed
            since is taken from there.

    Raises:
        PlanError: the definition cannot be used.
        BankError: a bank is gone, or has changed since the series began.
        InputError: naming a file that is damaged.
    """
    definition = read_definition(folder)
    # always, as it reads them again: a bank may change in mid-series
    banks = tuple(check_banks(definition).values())
    checkpoints = history.checkpoints(folder, {bank.name: bank for bank in banks})
    steps = [checkpoint.step for checkpoint in checkpoints]
    drift = settled(definition.drift, steps)
    if before is not None and before.fits(definition, drift):
        banks, spaces = before.banks, before.spaces
    else:
        spaces = make_spaces(banks, drift, definition.joint)
    # one that was added a moment ago is left for the next time
    registered = tuple(known for known in files.registered(folder) if known.step in steps)
    alarms = files.alarms(folder)
    situation = make_situation(
        checkpoints,
        spaces,
        alarms=tuple((bank, parse_alarm(text)) for bank, text in definition.alarms),
        alpha=definition.alpha,
        planned=definition.checkpoints,
        limit=Spending(definition.max_tasks, definition.max_usd, definition.max_seconds),
        prices={bank.name: _price(bank, checkpoints) for bank in banks},
        confirmed=[
            Confirmed(record.bank, parse_alarm(record.alarm), record.step)
            for record in alarms
            if record.state == "confirmed"
        ],
    )
    return Loaded(
        folder,
        definition,
        banks,
        spaces,
        registered,
        checkpoints,
        alarms,
        situation,
    )


def _price(bank: ItemBank, checkpoints: Iterable[Checkpoint]) -> tuple[float, float]:
    """Expected dollars and seconds of a task: as in the series so far, else as the bank says."""
    sessions = [session for checkpoint in checkpoints for session in checkpoint.on(bank.name)]
    if tasks := sum(len(session.answers) for session in sessions):
        usd = sum(session.usd for session in sessions) / tasks
        return usd, sum(session.seconds for session in sessions) / tasks
    return _mean(bank.table.usd), _mean(bank.table.seconds)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def next_proposal(loaded: Loaded) -> Proposal | None:
    """The next session that is worth holding; None where nothing is."""
    return propose(loaded.situation, parse_policy(loaded.definition.policy))


def find_series(series: str | Path, root: Path = ROOT) -> Path:
    """The folder of a series given by path, or by its name in ``root``.

    Raises:
        InputError: there is none; the message lists those that there are.
    """
    places = [Path(series), root / series]
    for place in places:
        # series.yaml itself may be named too
        folder = place.parent if place.name == NAME else place
        if (folder / NAME).is_file():
            return folder
    names = sorted(path.parent.name for path in root.glob(f"*/{NAME}"))
    there = f"in {root} there are {', '.join(names)}" if names else f"there is none in {root}"
    raise InputError(
        f"no series at {places[0]} or {places[1]} (a series is a folder with {NAME}); {there}; "
        "make one with cat-harness series init"
    )


__all__ = ["ROOT", "Loaded", "find_series", "load_series", "next_proposal"]
