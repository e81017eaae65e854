"""What a training loop is told of its series."""

from dataclasses import dataclass

from harness.ability import Interval
from harness.series.files import AlarmRecord
from harness.series.state import Loaded


@dataclass(frozen=True)
class Ability:
    """What is believed of the last checkpoint that was tested on a bank."""

    bank: str
    step: int
    value: float
    """Posterior mean."""
    interval: Interval

    def __str__(self) -> str:
        within = f"{self.interval.low:.2f} to {self.interval.high:.2f}"
        return f"{self.bank} at step {self.step}: ability {self.value:.2f} ({within})"


@dataclass(frozen=True)
class Status:
    """What was found so far.

    >>> ability = Ability("odcv", 500, 0.4, Interval(0.1, 0.7, level=0.9))
    >>> print(Status((ability,), problems=("no Docker",)))
    odcv at step 500: ability 0.40 (0.10 to 0.70)
    problem: no Docker
    """

    abilities: tuple[Ability, ...] = ()
    """One for each bank that was tested."""
    alarms: tuple[AlarmRecord, ...] = ()
    """Those that are confirmed."""
    problems: tuple[str, ...] = ()
    """What went wrong in the last pass of the worker, and in this process."""

    def __str__(self) -> str:
        lines = [
            *map(str, self.abilities),
            *(f"alarm on {a.bank} at step {a.step}: {a.alarm}" for a in self.alarms),
            *(f"problem: {problem}" for problem in self.problems),
        ]
        return "\n".join(lines or ["nothing was tested yet"])


def last_abilities(loaded: Loaded) -> tuple[Ability, ...]:
    """What is believed of the last checkpoint that was tested on each bank."""
    found = []
    for bank, (course, axis, _) in loaded.situation.scales.items():
        tested = [place for place, visit in enumerate(course.visits) if visit.tasks[axis]]
        if tested:
            ability = course.filtered(tested[-1], axis)
            interval = ability.interval(loaded.definition.level)
            step = course.steps[tested[-1]]
            found.append(Ability(bank, step, float(ability.mean[0]), interval))
    return tuple(found)
