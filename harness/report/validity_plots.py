"""Abilities on two benchmarks against each other."""

from typing import TYPE_CHECKING

import numpy as np

from harness.irt import Array
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE
from harness.report.sections import width_of
from harness.report.wording import printable
from harness.validity.result import Pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {True: 14, False: 7}
"""Agents that are named at most, on wide and narrow screens."""
_FONT = 7.5
_LETTER = 0.6
"""Width of a letter in heights."""


def pair_plot(pair: Pair, name: str, *, wide: bool) -> str:
    """Points with intervals on both axes, and the regression line with its band."""
    first, second = (printable(text, 40) for text in (pair.first, pair.second))
    return plots.render_svg(
        lambda: _draw(pair, wide),
        f"{name}-{'wide' if wide else 'narrow'}",
        f"Ability on {second} against ability on {first}",
    )


def _draw(pair: Pair, wide: bool) -> "Figure":
    figure = plots.new_figure(width_of(wide), 4.2 if wide else 3.5)
    axes = figure.subplots()
    rows = np.array(
        [[p.x, p.x_low, p.x_high, p.y, p.y_low, p.y_high] for p in pair.points], dtype=float
    )
    x, x_low, x_high, y, y_low, y_high = rows.T
    line = pair.line
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.6)
    axes.fill_between(line.x, line.low, line.high, color=ACCENT, alpha=0.14, linewidth=0)
    axes.plot(line.x, line.middle, color=ACCENT, linewidth=1.6)
    axes.hlines(y, x_low, x_high, color=MUTED, linewidth=0.9, alpha=0.7)
    axes.vlines(x, y_low, y_high, color=MUTED, linewidth=0.9, alpha=0.7)
    size = 30 if len(x) <= 30 else 16
    axes.scatter(x, y, s=size, color=INK, edgecolors=PAPER, linewidths=0.8, zorder=4)
    # what the band does beyond the points would squeeze them
    for low, high, set_limits in ((x_low, x_high, axes.set_xlim), (y_low, y_high, axes.set_ylim)):
        margin = 0.07 * float(high.max() - low.min()) or 0.5
        set_limits(low.min() - margin, high.max() + margin)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    axes.locator_params(nbins=6)
    limit = 44 if wide else 30
    axes.set_xlabel(f"Ability on {printable(pair.first, limit)}")
    axes.set_ylabel(f"Ability on {printable(pair.second, limit)}")
    figure.draw_without_rendering()
    off = np.abs(y - np.interp(x, line.x, line.middle))
    _name(axes, [p.key for p in pair.points], x, y, off, wide)
    return figure


def _name(axes: "Axes", names: list[str], x: Array, y: Array, off: Array, wide: bool) -> None:
    """Name the agents farthest from the line, where there is room."""
    scale = 72 / axes.figure.dpi
    places = axes.transData.transform(np.column_stack([x, y])) * scale
    frame = axes.get_window_extent()
    left, right, bottom, top = (scale * end for end in (frame.x0, frame.x1, frame.y0, frame.y1))
    taken = [(px - 4, py - 4, px + 4, py + 4) for px, py in places]
    for agent in np.argsort(-off, kind="stable")[: _LABELS[wide]]:
        text = printable(names[agent], 30 if wide else 22)
        width, height = _LETTER * _FONT * len(text), 1.25 * _FONT
        px, py = places[agent]
        # a step aside clears the bars of the point itself
        for dx, dy in ((5, 4), (-5 - width, 4), (5, -4 - height), (-5 - width, -4 - height)):
            box = (px + dx, py + dy, px + dx + width, py + dy + height)
            inside = left <= box[0] and box[2] <= right and bottom <= box[1] and box[3] <= top
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(
                    text,
                    (x[agent], y[agent]),
                    (dx, dy),
                    textcoords="offset points",
                    fontsize=_FONT,
                    color=INK,
                    zorder=5,
                )
                break


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
