"""The plots of explained failures: effects with their intervals, a task's curve, reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.explain import TaskExplained
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN
from harness.report.sections import width_of
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALL = 7.5


@dataclass(frozen=True)
class Bar:
    """One effect."""

    label: str
    value: float
    low: float
    high: float
    sure: bool


def effects_plot(bars: Sequence[Bar], name: str, title: str, axis: str, *, wide: bool) -> str:
    """Effects around 0 with intervals, the first on top; those that are not sure in grey."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 0.6 + 0.36 * max(len(bars), 2))
        axes = figure.subplots()
        _plain(axes)
        axes.axvline(0, color=MUTED, linewidth=0.9)
        for row, bar in enumerate(bars):
            colour = MUTED if not bar.sure else WARN if bar.value < 0 else ACCENT
            axes.hlines(row, bar.low, bar.high, color=colour, linewidth=2.2, alpha=0.6)
            axes.scatter(bar.value, row, s=28, color=colour, edgecolors=PAPER, zorder=3)
            axes.annotate(
                printable(bar.label, 80 if wide else 44),
                (0, row - 0.27),
                (2, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=_SMALL,
                color=INK,
            )
        axes.set_yticks([])
        axes.set_ylim(len(bars) - 0.4, -0.85)
        reach = max([0.2, *(abs(end) for bar in bars for end in (bar.low, bar.high))])
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.set_xlabel(axis)
        return figure

    return plots.render_svg(draw, _name(name, wide), title)


def curve_plot(found: TaskExplained, *, wide: bool) -> str:
    """The bank's curve of a task, and what thirds of the agents did."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 3.0 if wide else 2.6)
        axes = figure.subplots()
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.plot(found.abilities, found.curve, color=ACCENT, linewidth=1.6)
        for one in found.bins:
            axes.hlines(one.observed, one.low, one.high, color=MUTED, linewidth=0.9)
            axes.vlines(one.middle, one.observed_low, one.observed_high, color=INK, linewidth=1.4)
            axes.scatter(one.middle, one.observed, s=34, color=INK, edgecolors=PAPER, zorder=4)
            axes.scatter(
                one.middle, one.expected, s=30, facecolors=PAPER, edgecolors=ACCENT, zorder=3
            )
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
        axes.set_xlim(found.abilities[0], found.abilities[-1])
        axes.set_xlabel("Ability")
        axes.set_ylabel("Mean score" if found.graded else "Passed")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)
        return figure

    return plots.render_svg(draw, _name("curve", wide), f"Score on {found.item} by ability")


def _plain(axes: "Axes") -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.locator_params(axis="x", nbins=7)


def _name(name: str, wide: bool) -> str:
    return f"{name}-{'wide' if wide else 'narrow'}"
