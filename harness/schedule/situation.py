"""All that a policy looks at: checkpoints, beliefs, alarms, money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harness.errors import PlanError
from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.belief import information
from harness.schedule.changes import Change, change
from harness.schedule.course import Course, follow
from harness.schedule.events import Checkpoint
from harness.schedule.space import Scale, Space


@dataclass(frozen=True)
class Spending:
    """Dollars, seconds or tasks for the whole series; None where there is no limit."""

    tasks: float | None = None
    usd: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Confirmed:
    """An alarm that a second session confirmed."""

    bank: str
    alarm: Alarm
    step: int


@dataclass(frozen=True, eq=False)
class Situation:
    """All that a policy looks at."""

    checkpoints: tuple[Checkpoint, ...]
    """In order of their steps, those not tested yet included."""
    courses: tuple[Course, ...]
    """Over these checkpoints, one a space."""
    alarms: tuple[tuple[str, Alarm], ...] = ()
    """What is looked out for on each bank."""
    alpha: float = 0.05
    """Probability that the first alarm of a run is false."""
    planned: int = 30
    """Checkpoints that the training run is expected to have."""
    limit: Spending = field(default_factory=Spending)
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Expected dollars and seconds of one task of each bank; NaN where unknown."""
    confirmed: tuple[Confirmed, ...] = ()
    """So far: what was confirmed is the baseline of later alarms, so that one fall is one alarm."""

    @cached_property
    def scales(self) -> dict[str, tuple[Course, int, Scale]]:
        """Where each bank is: course, ability, scale."""
        return {
            scale.name: (course, axis, scale)
            for course in self.courses
            for axis, scale in enumerate(course.space.scales)
        }

    @cached_property
    def gains(self) -> dict[str, Array]:
        """By bank: information ``(n,)`` of its items about ability at the last checkpoint, in
        population sds, the most informative first."""
        return {
            bank: np.sort(information(course.space, course.visits[-1].belief, axis))[::-1]
            for bank, (course, axis, _) in self.scales.items()
        }

    def course(self, bank: str) -> Course:
        """The course that a bank belongs to.

        Raises:
            PlanError: no course has it.
        """
        if bank not in self.scales:
            raise PlanError(f"bank {bank!r} is not in this series, which has {[*self.scales]}")
        return self.scales[bank][0]

    def until(self, place: int) -> "Situation":
        """The situation as of an earlier checkpoint, as far as abilities go."""
        if place == len(self.checkpoints) - 1:
            return self
        courses = tuple(replace(c, visits=c.visits[: place + 1]) for c in self.courses)
        return replace(self, checkpoints=self.checkpoints[: place + 1], courses=courses)

    @cached_property
    def suspicions(self) -> dict[str, tuple[Alarm, Change]]:
        """By bank: the alarm that is nearest to be raised at the last checkpoint."""
        found: dict[str, tuple[Alarm, Change]] = {}
        for bank, alarm in self.alarms:
            earlier = [
                done.step
                for done in self.confirmed
                if (done.bank, done.alarm) == (bank, alarm)
                and done.step < self.checkpoints[-1].step
            ]
            seen = change(self.course(bank), alarm, bank, not_before=max(earlier, default=None))
            if seen and (bank not in found or seen.probability > found[bank][1].probability):
                found[bank] = alarm, seen
        return found


def make_situation(
    checkpoints: Sequence[Checkpoint],
    spaces: Sequence[Space],
    *,
    alarms: Sequence[tuple[str, Alarm]] = (),
    alpha: float = 0.05,
    planned: int = 30,
    limit: Spending | None = None,
    prices: Mapping[str, tuple[float, float]] | None = None,
    confirmed: Sequence[Confirmed] = (),
) -> Situation:
    """A situation, its courses folded; arguments as the fields of :class:`Situation`."""
    return Situation(
        tuple(checkpoints),
        tuple(follow(space, checkpoints) for space in spaces),
        tuple(alarms),
        alpha,
        planned,
        limit or Spending(),
        prices or {},
        tuple(confirmed),
    )
