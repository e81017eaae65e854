"""Methods beside each other, their calibration, and sessions by their number of tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.coldstart.result import Found, Result
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, RULE
from harness.report.sections import width_of
from harness.report.study_plots import styles
from harness.report.wording import printable
from harness.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.27
"""Inches of a method."""


def auc_plot(found: Result, *, wide: bool) -> str:
    """The AUC of every method with its interval."""
    return plots.render_svg(
        lambda: _draw_aucs(found, wide),
        f"auc-{'wide' if wide else 'narrow'}",
        "AUC of every method",
    )


def _draw_aucs(found: Result, wide: bool) -> "Figure":
    methods = sorted(found.methods, key=lambda method: method.auc.value or 0.0)
    figure = plots.new_figure(width_of(wide), 0.7 + _ROW * len(methods))
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.6, axis="x")
    for row, method in enumerate(methods):
        colour = ACCENT if method.name == found.main else INK
        auc = method.auc.value or 0.0
        axes.hlines(row, method.auc.low or auc, method.auc.high or auc, color=colour, linewidth=1.4)
        axes.plot([auc], [row], "o", color=colour, markersize=5)
    axes.set_yticks(
        range(len(methods)), [printable(method.name, 40 if wide else 22) for method in methods]
    )
    axes.set_xlabel("AUC, with 95% intervals")
    _bare(axes)
    return figure


def calibration_plot(methods: Sequence[Found], *, wide: bool) -> str:
    """Observed against predicted shares of passes of some methods."""
    return plots.render_svg(
        lambda: _draw_calibration(methods, wide),
        f"calibration-{'wide' if wide else 'narrow'}",
        "Observed against predicted shares of passes",
    )


def _draw_calibration(methods: Sequence[Found], wide: bool) -> "Figure":
    figure = plots.new_figure(width_of(wide), 4.2 if wide else 3.4)
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.6)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    colours = (ACCENT, "#d07a1f", "#2c9a69")
    for method, colour in zip(methods, colours, strict=False):
        x = [b.predicted for b in method.curve]
        y = [b.observed for b in method.curve]
        axes.vlines(x, [b.low for b in method.curve], [b.high for b in method.curve], color=colour)
        axes.plot(x, y, "o-", color=colour, markersize=4, linewidth=1.2, label=method.name)
    axes.set_xlabel("Predicted share of passes")
    axes.set_ylabel("Observed")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left")
    _bare(axes)
    return figure


def session_plot(found: StudyResult, *, wide: bool) -> str:
    """Error of the predicted pass rate by the number of tasks."""
    return plots.render_svg(
        lambda: _draw_sessions(found, wide),
        f"sessions-{'wide' if wide else 'narrow'}",
        "Error of the predicted pass rate by the number of tasks",
    )


def _draw_sessions(found: StudyResult, wide: bool) -> "Figure":
    figure = plots.new_figure(width_of(wide), 4.0 if wide else 4.6)
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.6)
    looks = styles(found)
    for plan in found.plans:
        known = [p for p in plan.points if p.size and p.score.mae.value is not None]
        look = looks[plan.name]
        (line,) = axes.plot(
            [p.size or 0 for p in known],
            [100 * (p.score.mae.value or np.nan) for p in known],
            color=look.colour,
            marker=look.marker,
            markersize=4,
            linewidth=1.4,
            label=printable(plan.name, 34),
        )
        if look.dashes:
            line.set_dashes(look.dashes)
    axes.set_xscale("log")
    axes.set_xticks(found.sizes, [str(size) for size in found.sizes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Tasks")
    axes.set_ylabel("Mean absolute error, points")
    axes.legend(loc="upper right" if wide else "lower center", bbox_to_anchor=None)
    _bare(axes)
    return figure


def _bare(axes: "Axes") -> None:
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
