"""A series as plain data: what is believed of each checkpoint, what was spent, what was used.

The terminal, the page and JSON all show this. Numbers that are unknown are None.
"""

from dataclasses import dataclass
from typing import Literal

from harness.schedule.drift import Drift
from harness.schedule.events import Purpose, State
from harness.schedule.situation import Spending


@dataclass(frozen=True)
class AlarmNote:
    """An alarm that was raised, and what became of it."""

    step: int
    """Checkpoint at which it was raised."""
    bank: str
    alarm: str
    """Its text, such as ``fall>0.25 within 5``."""
    probability: float
    """Of the change, when it was raised."""
    state: Literal["raised", "confirmed", "dismissed"] = "raised"
    settled: float | None = None
    """Probability of the change after the confirming session."""


@dataclass(frozen=True)
class Estimate:
    """A number with its posterior sd and a central interval."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """How ability differs from a baseline, by what was known at the later checkpoint."""

    alarm: str
    """What looks out for it; empty where nothing does."""
    baseline: int
    """Step."""
    probability: float
    """Of what the alarm looks out for; of any fall without one."""
    by: Estimate
    """The change in sds of the bank's population; below 0 for a fall."""


@dataclass(frozen=True)
class Session:
    """One session of one checkpoint."""

    step: int
    bank: str
    number: int
    purpose: Purpose
    state: State
    planned: int
    """Tasks that it was to administer."""
    tasks: int
    """Answers that it has."""
    voids: int
    usd: float
    seconds: float
    run: str
    """Run folder, relative to that of the series."""
    error: str


@dataclass(frozen=True)
class Point:
    """One checkpoint on one bank. Abilities are on the bank's scale."""

    step: int
    forecast: Estimate
    """Before its own answers."""
    filtered: Estimate
    """By what was known when it was tested."""
    smoothed: Estimate
    """By all that is known now."""
    score: Estimate
    """Predicted on the whole bank, from 0 to 1, by all that is known now."""
    tasks: int
    """Answers, of all its sessions on this bank."""
    usd: float
    seconds: float
    sessions: tuple[Session, ...]
    changes: tuple[Change, ...]
    """One for each alarm of the bank that has a baseline, as of this checkpoint."""


@dataclass(frozen=True)
class ItemUse:
    """An item that was answered."""

    item: str
    times: int
    last: int
    """Step."""


@dataclass(frozen=True)
class Chance:
    """A value that something may have, and its posterior probability."""

    value: float
    probability: float


@dataclass(frozen=True)
class BankSummary:
    """One bank over the series."""

    name: str
    hash: str
    items: int
    mean: float
    sd: float
    """Of the population that its scale comes from: the unit of drift and alarms."""
    alarms: tuple[str, ...]
    """What is looked out for."""
    points: tuple[Point, ...]
    """One for each checkpoint."""
    moved: Change | None
    """Between the first and the last tested checkpoint; None before there are two."""
    walk: tuple[Chance, ...]
    """Sds that the walk may have in one unit of drift, in sds of the population."""
    slope: Estimate | None
    """Of the trend at the last checkpoint, in sds of the population a unit; None without one."""
    used: tuple[ItemUse, ...]
    """Items that were answered, most used first."""
    full: Spending
    """What all of its items cost once; None where unknown."""
    priced: bool
    """Whether what is known of costs includes means over this series."""
    curve: tuple[tuple[float, float], ...]
    """Abilities, and the expected score on the whole bank."""

    @property
    def tested(self) -> tuple[Point, ...]:
        """Checkpoints that have answers."""
        return tuple(point for point in self.points if point.tasks)

    @property
    def latest(self) -> tuple[Change, ...]:
        """What its alarms say of the last checkpoint."""
        return self.points[-1].changes if self.points else ()


@dataclass(frozen=True)
class Registered:
    """A checkpoint."""

    step: int
    subject: str
    """Agent and model, for people."""
    jump: bool
    """Declared: something that may have moved ability far happened before it."""
    tested: bool
    """Whether any bank has answers of it."""
    spent: Spending


@dataclass(frozen=True)
class SeriesSummary:
    """All that is told of a series."""

    name: str
    policy: str
    alpha: float
    """Probability that the first alarm of the series is false."""
    certainty: float | None
    """Posterior probability from which on an alarm is raised; None where nothing is looked out
    for."""
    level: float
    """Probability of all intervals."""
    planned: int
    """Checkpoints that the training run is expected to have."""
    joint: bool
    """Whether abilities of two banks move together."""
    drift: Drift
    checkpoints: tuple[Registered, ...]
    banks: tuple[BankSummary, ...]
    correlation: tuple[Chance, ...]
    """Of the two abilities when they move together; empty otherwise."""
    alarms: tuple[AlarmNote, ...]
    """In the order of their steps."""
    spent: Spending
    full: Spending
    """What all items of all banks would have cost at every checkpoint; None where unknown."""
    limit: Spending
    """Budgets; None where there is no limit."""
    left: Spending
    """Of the budgets, with the tasks of running sessions taken off."""

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All, by bank and step."""
        return tuple(s for bank in self.banks for point in bank.points for s in point.sessions)

    @property
    def open(self) -> tuple[Session, ...]:
        """Sessions that are planned or running."""
        return tuple(s for s in self.sessions if s.state in ("planned", "running"))

    @property
    def failed(self) -> tuple[Session, ...]:
        """Sessions that failed."""
        return tuple(s for s in self.sessions if s.state == "failed")

    @property
    def untested(self) -> tuple[int, ...]:
        """Steps that were registered and never tested."""
        return tuple(checkpoint.step for checkpoint in self.checkpoints if not checkpoint.tested)
