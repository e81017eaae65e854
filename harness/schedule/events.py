"""What a schedule knows of a series: its checkpoints, and the sessions that tested them.

Plain data. Sessions' journals are the truth; ``harness.series`` reads them into these.
"""

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["routine", "full", "follow-up", "confirm", "locate"]
"""Why a session is held: the regular one of a checkpoint, the whole benchmark, one more because
the first left a suspicion, one on fresh tasks that confirms an alarm, or one at a checkpoint that
was skipped, to find where an alarm came from."""

State = Literal["planned", "running", "done", "failed"]


@dataclass(frozen=True)
class Tested:
    """One session of one checkpoint on one bank, finished or not."""

    __test__ = False  # not a test class for pytest

    bank: str
    """Name of the bank."""
    number: int
    """1 for the first session of this checkpoint on this bank."""
    purpose: Purpose
    planned: int
    """Tasks that it was to administer."""
    state: State = "done"
    answers: tuple[tuple[str, int], ...] = ()
    """Items and categories, in the order of arrival."""
    voids: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    run: str = ""
    """Run folder, relative to that of the series."""
    error: str = ""
    """Why it failed."""

    @property
    def tasks(self) -> int:
        """Tasks that are spent on it: those answered, or all that are planned while it runs."""
        return len(self.answers) if self.state in ("done", "failed") else self.planned


@dataclass(frozen=True)
class Checkpoint:
    """One model of the line, at one training step."""

    step: int
    jump: bool = False
    """Declared: something happened before it that may have moved ability far (a new data mix, a
    fine-tune)."""
    sessions: tuple[Tested, ...] = ()

    def on(self, bank: str) -> tuple[Tested, ...]:
        """Its sessions on one bank, in order."""
        return tuple(session for session in self.sessions if session.bank == bank)


@dataclass(frozen=True)
class Proposal:
    """A session that is worth holding, and why."""

    step: int
    bank: str
    number: int
    purpose: Purpose
    tasks: int
    """How many at most."""
    why: str
    """One sentence for people."""
    stop: str = ""
    """What may end it earlier, as a stopping rule; empty for nothing."""
    avoid: tuple[str, ...] = ()
    """Items that were used lately and are left out."""
