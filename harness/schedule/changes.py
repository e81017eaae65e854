"""How ability at one checkpoint differs from that at an earlier one.

An alarm asks it of the last checkpoint. A report asks the same of every checkpoint as of its own
time, and one pass from each baseline answers all that share it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.ability import Interval, Posterior
from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.course import Course, joint


@dataclass(frozen=True, eq=False)
class Difference:
    """The posterior distribution of a change, by what was known at its end."""

    values: Array
    """``(2Q - 1,)`` changes in sds of the population; below 0 for a fall."""
    weights: Array
    """``(2Q - 1,)`` their probabilities."""

    @property
    def mean(self) -> float:
        """Expected change."""
        return float(self.weights @ self.values)

    @property
    def sd(self) -> float:
        """Of the change."""
        variance = float(self.weights @ self.values**2) - self.mean**2
        return float(max(variance, 0.0) ** 0.5)

    def interval(self, level: float) -> Interval:
        """Central interval."""
        return Posterior(self.values[:, None], self.weights).interval(level)

    def probability(self, alarm: Alarm) -> float:
        """Of what an alarm looks out for; a node stands for the cell around it."""
        sign = -1.0 if alarm.direction == "fall" else 1.0
        spacing = self.values[1] - self.values[0]
        beyond = np.clip((sign * self.values - alarm.by) / spacing + 0.5, 0.0, 1.0)
        return float(self.weights @ beyond)


@dataclass(frozen=True)
class Change:
    """How ability at the last checkpoint differs from that at a baseline."""

    baseline: int
    """Step."""
    step: int
    probability: float
    """Posterior probability of what the alarm looks out for."""
    mean: float
    """Expected change, in sds of the population; below 0 for a fall."""
    sd: float


def change(
    course: Course, alarm: Alarm, bank: str, *, not_before: int | None = None
) -> Change | None:
    """What an alarm says at the last checkpoint; None where it has no baseline.

    Abilities at the two checkpoints are dependent, and so are the answers.

    Args:
        not_before: step of the earliest baseline.

    >>> from harness.bank import Item, ItemBank
    >>> from harness.schedule.alarms import parse_alarm
    >>> from harness.schedule.course import follow
    >>> from harness.schedule.drift import Drift
    >>> from harness.schedule.events import Checkpoint, Tested
    >>> from harness.schedule.space import make_spaces
    >>> bank = ItemBank("demo", tuple(Item(f"i{k}", "2pl", (2.0,), (0.0,)) for k in range(16)))
    >>> passed = tuple((f"i{k}", 1) for k in range(8))
    >>> failed = tuple((f"i{k}", 0) for k in range(8, 16))
    >>> course = follow(
    ...     make_spaces([bank], Drift())[0],
    ...     [
    ...         Checkpoint(1000, sessions=(Tested("demo", 1, "routine", 8, answers=passed),)),
    ...         Checkpoint(2000, sessions=(Tested("demo", 1, "routine", 8, answers=failed),)),
    ...     ],
    ... )
    >>> change(course, parse_alarm("fall>0.5 within 3"), "demo").probability > 0.99
    True
    """
    last = len(course.visits) - 1
    start = baseline(course, alarm, bank, last, not_before)
    if start is None:
        return None
    found = differences(course, bank, [(start, last)])[start, last]
    return Change(
        baseline=course.visits[start].step,
        step=course.visits[last].step,
        probability=found.probability(alarm),
        mean=found.mean,
        sd=found.sd,
    )


def baseline(
    course: Course, alarm: Alarm, bank: str, place: int, not_before: int | None = None
) -> int | None:
    """Place of the checkpoint that an alarm compares ``place`` with; None where there is none.

    That of a window is the checkpoint so many tested ones before; the first tested one while there
    are fewer.

    Args:
        not_before: step of the earliest baseline.
    """
    axis = course.space.axis(bank)
    known = [i for i, visit in enumerate(course.visits[:place]) if visit.tasks[axis]]
    steps = course.steps[:place]
    if alarm.window is not None:
        found = known[max(0, len(known) - alarm.window)] if known else None
    elif alarm.since is None:
        found = known[0] if known else None
    else:
        found = steps.index(alarm.since) if alarm.since in steps else None
    if found is None or not_before is None:
        return found
    return max(found, sum(step < not_before for step in steps))


def differences(
    course: Course, bank: str, pairs: Iterable[tuple[int, int]]
) -> Mapping[tuple[int, int], Difference]:
    """The change between every pair of places ``(baseline, later)``.

    The work is the sum over baselines of the checkpoints to the last one asked of each.
    """
    asked: dict[int, set[int]] = {}
    for start, end in pairs:
        asked.setdefault(start, set()).add(end)
    size, spacing = course.space.size, course.space.spacing
    values = np.arange(1 - size, size) * spacing
    offset = (np.arange(size)[None, :] - np.arange(size)[:, None]).ravel() + size - 1
    found = {}
    for start, ends in asked.items():
        until = replace(course, visits=course.visits[: max(ends) + 1])
        for end, together in enumerate(joint(until, course.space.axis(bank), start), start + 1):
            if end in ends:
                mass = np.bincount(offset, together.ravel())
                found[start, end] = Difference(np.asarray(values, float), np.asarray(mass, float))
    return found
