"""Shared models on two scales, and the line between the scales."""

from typing import TYPE_CHECKING

import numpy as np

from harness.parts.link_result import Line
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE
from harness.report.sections import width_of
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FONT = 7.5
_REACH = 1.645
"""Sds of a 90% interval."""


def line_plot(line: Line, first: str, name: str, *, wide: bool) -> str:
    """Shared models as points, the line and its band."""
    here, there = (printable(text, 40) for text in (line.name, first))
    return plots.render_svg(
        lambda: _draw(line, here, there, wide),
        f"{name}-{'wide' if wide else 'narrow'}",
        f"Ability on {there} against ability on {here}",
    )


def _draw(line: Line, here: str, there: str, wide: bool) -> "Figure":
    figure = plots.new_figure(width_of(wide), 4.2 if wide else 3.5)
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.6)
    x = np.array([point.here for point in line.course])
    low, middle, high = (
        np.array([getattr(point.there, end) for point in line.course])
        for end in ("low", "value", "high")
    )
    axes.fill_between(x, low, high, color=ACCENT, alpha=0.14, linewidth=0)
    axes.plot(x, middle, color=ACCENT, linewidth=1.6)
    places = np.array([[p.here, p.here_error, p.there, p.there_error] for p in line.places])
    if len(places):
        px, ex, py, ey = places.T
        axes.hlines(py, px - _REACH * ex, px + _REACH * ex, color=MUTED, linewidth=0.9, alpha=0.7)
        axes.vlines(px, py - _REACH * ey, py + _REACH * ey, color=MUTED, linewidth=0.9, alpha=0.7)
        axes.scatter(px, py, s=26, color=INK, edgecolors=PAPER, linewidths=0.8, zorder=4)
        if wide and len(places) <= 25:
            for place in line.places:
                axes.annotate(
                    printable(place.model, 24),
                    (place.here, place.there),
                    (4, 4),
                    textcoords="offset points",
                    fontsize=_FONT,
                    color=INK,
                )
        # a wide band would squeeze the points
        reach = np.concatenate([py, middle])
        margin = 0.35 * float(np.ptp(reach)) or 0.5
        axes.set_ylim(reach.min() - margin, reach.max() + margin)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.locator_params(nbins=6)
    axes.set_xlabel(f"Ability on {here}")
    axes.set_ylabel(f"Ability on {there}")
    return figure
