"""Policies as text: what is tested at a training run's checkpoints, and how much.

The common ones are here as baselines: the whole benchmark now and then, the same number of tasks
every time, adaptive sessions to a target sd. The default spends a budget where it buys most.
``harness.schedule.propose`` follows them.
"""

import re
from dataclasses import dataclass

from harness.errors import PlanError


@dataclass(frozen=True)
class Full:
    """The whole benchmark at every n-th checkpoint, and no other."""

    every: int = 1

    def __str__(self) -> str:
        return f"full({self.every})"


@dataclass(frozen=True)
class Fixed:
    """So many tasks at every checkpoint."""

    tasks: int

    def __str__(self) -> str:
        return f"fixed({self.tasks})"


@dataclass(frozen=True)
class Adaptive:
    """At every checkpoint as many tasks as it takes to an sd, or at most so many."""

    sd: float
    """Of ability, in sds of the bank's population."""
    most: int = 40

    def __str__(self) -> str:
        return f"adaptive({self.sd:g}, {self.most})"


@dataclass(frozen=True)
class Budget:
    """A budget, spent where it buys most."""

    reserve: float = 0.35
    """Share of what is left that is kept for suspicions and alarms."""
    suspect: float = 0.15
    """Probability of what an alarm looks out for from which on more is asked."""

    def __str__(self) -> str:
        return f"budget({self.reserve:g}, {self.suspect:g})"


Policy = Full | Fixed | Adaptive | Budget

_CALL = re.compile(r"([a-z]+)\s*(?:\(([^()]*)\))?")


def parse_policy(text: str) -> Policy:
    """A policy from its text.

    >>> parse_policy("fixed(8)"), parse_policy("budget")
    (Fixed(tasks=8), Budget(reserve=0.35, suspect=0.15))

    Raises:
        PlanError: it cannot be read.
    """
    match = _CALL.fullmatch(text.strip())
    name, inside = (match[1], match[2] or "") if match else ("", "")
    try:
        numbers = [float(part) for part in inside.split(",") if part.strip()]
    except ValueError:
        name, numbers = "", []
    match name, numbers:
        case "full", []:
            return Full()
        case "full", [every] if _whole(every):
            return Full(int(every))
        case "fixed", [tasks] if _whole(tasks):
            return Fixed(int(tasks))
        case "adaptive", [sd] if sd > 0:
            return Adaptive(sd)
        case "adaptive", [sd, most] if sd > 0 and _whole(most):
            return Adaptive(sd, int(most))
        case "budget", [] | [_] | [_, _] if all(0 <= share < 1 for share in numbers):
            return Budget(*numbers)
        case _:
            raise PlanError(
                f"policy {text!r} cannot be read; write budget, budget(RESERVE, SUSPECT) with "
                "shares below 1, full(EVERY), fixed(TASKS), adaptive(SD) or adaptive(SD, MOST)"
            )


def _whole(number: float) -> bool:
    return number >= 1 and number == int(number)
