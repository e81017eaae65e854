"""Rules that ask for a precise estimate, or for one that no longer moves."""

from dataclasses import dataclass

import numpy as np

from harness.ability import moments, normalise
from harness.errors import PlanError
from harness.irt import Array
from harness.select.text import number
from harness.stop.progress import Progress, Truth, counted


@dataclass(frozen=True)
class SdBelow:
    """The posterior sd of every ability is below a bound (Weiss and Kingsbury 1984)."""

    bound: float
    precise = True

    def __call__(self, progress: Progress) -> Truth:
        """True where the largest sd is below the bound."""
        return np.asarray(progress.sd.max(axis=1) < self.bound)

    def reason(self, progress: Progress) -> str:
        """For example: sd 0.29 below 0.3."""
        return f"sd {progress.sd[0].max():.3g} below {self.bound:g}"

    def __str__(self) -> str:
        return f"sd<{number(self.bound)}"


@dataclass(frozen=True)
class HalfWidth:
    """The central interval of the predicted score on the whole bank is narrow."""

    bound: float
    """Half the width of the interval, as a share of the score's range from 0 to 1."""
    level: float = 0.9
    """Probability that the score lies in the interval."""
    precise = True

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise PlanError(
                f"{self}: the level of an interval lies between 0 and 1, as in half-width(0.95)"
            )

    def _half(self, progress: Progress) -> Array:
        low, high = progress.scores.interval(self.level).T
        return np.asarray((high - low) / 2)

    def __call__(self, progress: Progress) -> Truth:
        """True where half the interval is below the bound."""
        return np.asarray(self._half(progress) < self.bound)

    def reason(self, progress: Progress) -> str:
        """For example: predicted score within ±0.046 (90%), below 0.05."""
        half = self._half(progress)[0]
        return f"predicted score within ±{half:.3g} ({self.level:.0%}), below {self.bound:g}"

    def __str__(self) -> str:
        return f"half-width({number(self.level)})<{number(self.bound)}"


@dataclass(frozen=True)
class Plateau:
    """The posterior mean of every ability stayed where it is over the last answers.

    The estimates after each of the last answers and before the first of them are all closer to
    the present one than ``change``. What the last answers said is divided out of the posterior,
    so that nothing but their order has to be kept.
    """

    change: float
    last: int
    """How many answers back."""
    precise = True

    def _moved(self, progress: Progress) -> Array:
        """``(A,)`` largest distance of an earlier estimate; infinite where there are too few."""
        view = progress.view
        agents = len(view.weights)
        if progress.order is None or progress.order.shape[1] < self.last:
            return np.full(agents, np.inf)
        given = (progress.order >= 0).sum(axis=1)
        who = np.flatnonzero(given >= self.last)
        moved = np.full(agents, np.inf)
        moved[who] = 0.0
        now = moments(view.table.nodes, view.weights[who])[0]
        with np.errstate(divide="ignore"):
            log_weights = np.log(view.weights[who])
        for back in range(1, self.last + 1):
            row = progress.order[who, given[who] - back]
            log_weights = log_weights - view.table.log_p[row, view.answers[who, row]]
            before = moments(view.table.nodes, normalise(log_weights))[0]
            moved[who] = np.maximum(moved[who], np.abs(before - now).max(axis=1))
        return moved

    def __call__(self, progress: Progress) -> Truth:
        """True where no estimate of the last answers is farther than ``change`` from the last."""
        return np.asarray(self._moved(progress) < self.change)

    def reason(self, progress: Progress) -> str:
        """For example: ability moved by 0.031 over the last 5 items, less than 0.05."""
        moved = self._moved(progress)[0]
        return (
            f"ability moved by {moved:.2g} over the last {counted(self.last)}, "
            f"less than {self.change:g}"
        )

    def __str__(self) -> str:
        return f"plateau({number(self.change)}, {self.last})"
