"""How far sessions have come, and what a stopping rule is."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array
from harness.score import ScorePredictions, predict_scores
from harness.select import View

Truth = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Progress:
    """How far A sessions have come; every array has a leading axis A."""

    items: NDArray[np.intp]
    """``(A,)`` answered items."""
    usd: Array
    """``(A,)`` dollars spent, voids included."""
    seconds: Array
    """``(A,)`` seconds since the start, time between processes left out."""
    sd: Array
    """``(A, D)`` posterior standard deviations."""
    view: View
    """Posterior and answers, for rules that need more."""
    order: NDArray[np.intp] | None = None
    """``(A, T)`` rows of the answered items in the order of their answers, -1 after the last.
    None where the order is not known: a rule about the last few answers does not fire then."""

    @cached_property
    def scores(self) -> ScorePredictions:
        """Predicted score of every agent on the whole bank."""

        view = self.view
        return predict_scores(view.table, view.score_posterior, view.answers, view.counted)

    def of(self, agents: NDArray[np.intp]) -> "Progress":
        """A copy for some of the agents."""
        return Progress(
            self.items[agents],
            self.usd[agents],
            self.seconds[agents],
            self.sd[agents],
            self.view.of(agents),
            None if self.order is None else self.order[agents],
        )


def counted(items: int) -> str:
    """A number of items in words.

    >>> counted(1), counted(2)
    ('1 item', '2 items')
    """
    return f"{items} item{'' if items == 1 else 's'}"


@runtime_checkable
class Rule(Protocol):
    """A stopping rule."""

    @property
    def precise(self) -> bool:
        """Whether this is a demand on the result rather than a limit on spending."""
        ...

    def __call__(self, progress: Progress, /) -> Truth:
        """``(A,)`` whether each session may stop."""
        ...

    def reason(self, progress: Progress, /) -> str:
        """Why the first session stops, with its numbers."""
        ...
