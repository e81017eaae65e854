"""The axis of training steps in the plots of a series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.report.sections import width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTER = 5.6
"""Points that a digit of a tick label takes."""
_CLOSEST = 0.3
"""Gap between two checkpoints, as a share of the mean gap, from which on steps are to scale."""


@dataclass(frozen=True)
class Line:
    """Where checkpoints lie along the axis of training steps."""

    at: dict[int, float]
    """Position of each step: the step itself, or its rank where steps would lie on each other."""
    to_scale: bool

    @property
    def ends(self) -> tuple[float, float]:
        """First and last position."""
        places = list(self.at.values())
        return (places[0], places[-1]) if places else (0.0, 1.0)


def line_of(steps: Sequence[int]) -> Line:
    """To scale, unless that would put checkpoints upon each other."""
    gaps = np.diff(steps)
    if len(gaps) and gaps.min() < _CLOSEST * gaps.mean():
        return Line({step: float(rank) for rank, step in enumerate(steps)}, False)
    return Line({step: float(step) for step in steps}, True)


def step_axis(axes: "Axes", line: Line, wide: bool, width: float = 0.0) -> None:
    """The axis of training steps, with room for bars of a width at its ends."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = line.ends
    margin = max(0.04 * (high - low), 0.6 * width) or max(0.5, 0.05 * high)
    axes.set_xlim(low - margin, high + margin)
    steps = list(line.at)
    last = steps[-1] if steps else 1

    def text(step: float, _: int | None = None) -> str:
        unit, letter = _unit(last if line.to_scale else step)
        return f"{step / unit:,.4g}{letter if step else ''}"

    # halves of what the last step says take two letters more
    letters = len(text(last)) + 3.5
    room = max(int(72 * (width_of(wide) - 1.4) / (_LETTER * letters)), 2)
    if line.to_scale and len(steps) > 1:
        axes.xaxis.set_major_locator(
            MaxNLocator(min(room, 10), integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
        )
        axes.xaxis.set_major_formatter(FuncFormatter(text))
    else:
        shown = steps[:: -(-len(steps) // room)] if steps else []
        axes.set_xticks([line.at[step] for step in shown], [text(step) for step in shown])
    axes.set_xlabel("Training step" if line.to_scale else "Training step (not to scale)")


def _unit(step: float) -> tuple[int, str]:
    units = ((10**9, "G"), (10**6, "M"), (1000, "k"))
    return next((unit for unit in units if step >= max(unit[0], 10**4)), (1, ""))


def bare(axes: "Axes") -> None:
    """Leave the ticks and the sides of a plot away."""
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
