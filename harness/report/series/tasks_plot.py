"""Tasks of every checkpoint of a series, as SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.report import plots
from harness.report.plots import ACCENT, INK, RULE, WARN
from harness.report.sections import width_of
from harness.report.series.steps import bare, line_of, step_axis
from harness.report.series.wording import shown
from harness.schedule.summary import BankSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tasks_plot(banks: Sequence[BankSummary], name: str, *, wide: bool) -> str:
    """Tasks of every checkpoint, one panel a bank, also as a share of the whole bank."""
    return plots.render_svg(
        lambda: _draw_tasks(banks, wide),
        f"{name}-{'wide' if wide else 'narrow'}",
        "Tasks administered at each checkpoint",
    )


def _draw_tasks(banks: Sequence[BankSummary], wide: bool) -> "Figure":
    figure = plots.new_figure(width_of(wide), 0.6 + 1.55 * len(banks))
    panels = figure.subplots(len(banks), 1, sharex=True, squeeze=False)[:, 0]
    line = line_of([point.step for point in banks[0].points])
    steps = list(line.at.values())
    low, high = line.ends
    width = min(0.7 * float(np.diff(steps).min()), 0.08 * (high - low)) if high > low else 0.1
    for axes, bank in zip(panels, banks, strict=True):
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        below = np.zeros(len(steps))
        for purpose, colour, alpha in (
            ("routine", ACCENT, 0.85),
            ("full", ACCENT, 0.85),
            ("follow-up", ACCENT, 0.45),
            ("locate", ACCENT, 0.45),
            ("confirm", WARN, 0.85),
        ):
            tasks = np.array(
                [sum(s.tasks for s in p.sessions if s.purpose == purpose) for p in bank.points]
            )
            if not tasks.any():
                continue
            axes.bar(steps, tasks, width, below, color=colour, alpha=alpha, linewidth=0)
            below += tasks
        axes.set_ylim(0, max(1.12 * below.max(), 1))
        axes.set_ylabel("Tasks")
        name = shown(bank.name)
        axes.set_title(
            f"{name}, {bank.items:,} items" if wide or len(name) < 30 else name,
            loc="left",
            fontsize=8.5,
            color=INK,
        )
        axes.locator_params(axis="y", nbins=4, integer=True)
        bare(axes)
        right = axes.secondary_yaxis(
            "right",
            functions=(lambda y, n=bank.items: 100 * y / n, lambda y, n=bank.items: y * n / 100),
        )
        right.set_ylabel("% of all")
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    step_axis(panels[-1], line, wide, width)
    # below the zeros at both ends of the axis
    panels[-1].tick_params(axis="x", pad=8)
    return figure
