"""Limits on what a session may use up."""

from dataclasses import dataclass

import numpy as np

from harness.select.text import number
from harness.stop.progress import Progress, Truth, counted


@dataclass(frozen=True)
class MaxItems:
    """So many items are answered."""

    limit: int
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.items >= self.limit)

    def reason(self, progress: Progress) -> str:
        """For example: 30 items, the limit."""
        return f"{counted(int(progress.items[0]))} answered, the limit is {self.limit}"

    def __str__(self) -> str:
        return f"items>={self.limit}"


@dataclass(frozen=True)
class MaxCost:
    """So many dollars are spent."""

    usd: float
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.usd >= self.usd)

    def reason(self, progress: Progress) -> str:
        """For example: $2.10 spent, the limit is $2."""
        return f"${progress.usd[0]:.2f} spent, the limit is ${self.usd:g}"

    def __str__(self) -> str:
        return f"usd>={number(self.usd)}"


@dataclass(frozen=True)
class MaxSeconds:
    """So many seconds have passed."""

    limit: float
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.seconds >= self.limit)

    def reason(self, progress: Progress) -> str:
        """For example: 3605 s passed, the limit is 3600 s."""
        return f"{progress.seconds[0]:.0f} s passed, the limit is {self.limit:g} s"

    def __str__(self) -> str:
        return f"seconds>={number(self.limit)}"


@dataclass(frozen=True)
class Exhausted:
    """Only when nothing is left: every session ends there anyway, this rule adds no other end."""

    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True where no item is available."""
        return np.asarray(~progress.view.available.any(axis=1))

    def reason(self, progress: Progress) -> str:
        """The bank is exhausted."""
        return f"bank exhausted after {counted(int(progress.items[0]))}"

    def __str__(self) -> str:
        return "exhausted"
