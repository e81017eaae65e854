"""A rule that weighs what is left to learn against what it costs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.irt import Array
from harness.select import (
    MinExpectedVariance,
    PerCost,
    ScoreVariance,
    Selector,
    Unit,
    gains_of,
)
from harness.select.text import number
from harness.stop.progress import Progress, Truth


@dataclass(frozen=True)
class GainBelow:
    """No remaining item is worth its cost (after Choi, Grady and Dodd 2011).

    What an item is expected to take off the variance of the predicted score, or of ability
    (summed over several), for each expected dollar or second of an attempt, is below a rate.
    """

    rate: float
    quantity: Literal["score", "theta"] = "score"
    unit: Unit | None = None
    """None for the reduction by an item, whatever it costs."""
    precise = False

    @property
    def _selector(self) -> Selector:
        inner = ScoreVariance() if self.quantity == "score" else MinExpectedVariance()
        return PerCost(inner, self.unit) if self.unit else inner

    def _best(self, progress: Progress) -> Array:
        """``(A,)`` largest gain among the available items; minus infinity without any."""
        view = progress.view
        gains = np.where(view.available, gains_of(self._selector, view), -np.inf)
        return np.asarray(gains.max(axis=1))

    def __call__(self, progress: Progress) -> Truth:
        """True where even the best available item gains less than the rate."""
        return np.asarray(self._best(progress) < self.rate)

    def reason(self, progress: Progress) -> str:
        """For example: the best item left takes 0.0007 off the variance of the score per usd."""
        best = float(self._best(progress)[0])
        what = "predicted score" if self.quantity == "score" else "ability"
        per = {None: "", "usd": " per dollar", "seconds": " per second"}[self.unit]
        if np.isinf(best):
            return f"no item is left, so none takes {self.rate:g} off the variance of {what}{per}"
        return (
            f"the best item left takes {best:.2g} off the variance of {what}{per}, "
            f"less than {self.rate:g}"
        )

    def __str__(self) -> str:
        per = f"/{self.unit}" if self.unit else ""
        return f"gain({self.quantity}){per}<{number(self.rate)}"
