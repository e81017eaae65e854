"""The plots of predicted tasks: where they lie, why, and how good the predictor is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.predict.quality import Quality, half_width
from harness.predict.tasks import TaskPrediction, TaskPredictions
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN
from harness.report.predict.words import cut, direction, reason_label, told_reasons
from harness.report.sections import width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMED = 40
"""Tasks whose names are written; of more, only the intervals are drawn."""
_SMALL = 7.5


def place_plot(found: TaskPredictions, wide: bool) -> str:
    """Difficulties of the new tasks among today's agents and the bank's tasks, on one axis."""

    def draw() -> "Figure":
        tasks = sorted(found.tasks, key=lambda task: task.difficulty)
        named = len(tasks) <= _NAMED
        rows = max(0.3 * len(tasks), 0.7) if named else float(np.clip(0.035 * len(tasks), 2.0, 7.0))
        figure = plots.new_figure(width_of(wide), 1.9 + rows)
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1.0, 0.35, rows))
        items, today = np.array(found.items), np.array(found.today)
        ends = np.concatenate(
            [np.quantile(items, [0.01, 0.99]), today]
            + [np.array([task.low, task.high]) for task in tasks]
        )
        margin = 0.03 * float(np.ptp(ends))
        low, high = float(ends.min()) - margin, float(ends.max()) + margin
        for axes in (top, middle, bottom):
            _plain(axes)
        top.hist(
            np.clip(items, low, high),
            bins=np.linspace(low, high, 41 if wide else 27),
            color=MUTED,
            alpha=0.4,
            linewidth=0,
        )
        top.set_ylabel("Bank")
        top.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        middle.scatter(
            today, np.zeros(len(today)), s=90, marker="|", color=INK, linewidths=0.9, alpha=0.7
        )
        middle.set_yticks([])
        middle.set_ylabel("Agents", rotation=0, ha="right", va="center")
        _draw_tasks(bottom, tasks, named, float(today.max()), wide)
        bottom.set_xlim(low, high)
        bottom.set_xlabel("Ability of agents, difficulty of tasks")
        return figure

    return plots.render_svg(draw, _name("places", wide), "Difficulty of the new tasks")


def _draw_tasks(
    axes: "Axes", tasks: list[TaskPrediction], named: bool, best: float, wide: bool
) -> None:
    y = np.arange(len(tasks))
    colours = {"floor": WARN, "ceiling": WARN, "fills a gap": ACCENT, "within reach": INK}
    axes.axvline(best, color=MUTED, linewidth=0.9, dashes=(4, 2.5))
    for row, task in enumerate(tasks):
        colour = colours[task.verdict]
        axes.hlines(row, task.low, task.high, color=colour, linewidth=1.6, alpha=0.55)
        axes.scatter(task.difficulty, row, s=26 if named else 7, color=colour, zorder=3)
        if named:
            axes.annotate(
                cut(task.item, 60 if wide else 34),
                (0, row),
                (2, 3.5),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=_SMALL,
                color=INK,
                in_layout=False,
            )
    axes.set_yticks([])
    axes.set_ylabel("New tasks")
    axes.set_ylim(-0.8, len(y) - 0.1 if named else len(y) - 0.3)


def widest_reason(tasks: Sequence[TaskPrediction], level: float) -> float:
    """How far the effects of some tasks reach, so that their plots share a scale."""
    half = half_width(level)
    ends = [abs(r.effect) + half * r.sd for task in tasks for r in told_reasons(task)[0]]
    return max([0.25, *(abs(told_reasons(task)[1]) for task in tasks), *ends])


def reasons_plot(task: TaskPrediction, name: str, level: float, reach: float, wide: bool) -> str:
    """What each feature adds to the difficulty of one task, with intervals."""

    def draw() -> "Figure":
        told, rest, others = told_reasons(task)
        half = half_width(level)
        rows = [(reason_label(r), r.effect, half * r.sd) for r in told]
        if others:
            rows.append((f"all else ({others})", rest, 0.0))
        figure = plots.new_figure(width_of(wide), 0.55 + 0.38 * max(len(rows), 1))
        axes = figure.subplots()
        _plain(axes)
        axes.grid(visible=False)
        axes.axvline(0, color=MUTED, linewidth=0.9)
        for place, (label, effect, doubt) in enumerate(rows):
            colour = WARN if effect > 0 else ACCENT
            axes.barh(place, effect, 0.34, color=colour, alpha=0.75, linewidth=0)
            if doubt:
                axes.hlines(place, effect - doubt, effect + doubt, color=INK, linewidth=1.0)
            axes.annotate(
                cut(f"{label}, {direction(effect)}", 100 if wide else 56),
                (0, place - 0.26),
                xycoords=("axes fraction", "data"),
                fontsize=_SMALL,
                color=INK,
                va="bottom",
                in_layout=False,
            )
        axes.set_ylim(max(len(rows), 1) - 0.6, -0.75)
        axes.set_yticks([])
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.set_xlabel("Easier ← effect on difficulty → harder")
        return figure

    return plots.render_svg(draw, f"predict-why-{name}-{'wide' if wide else 'narrow'}", "Why")


def quality_plot(quality: Quality, wide: bool) -> str:
    """Difficulties of the calibrated tasks against predictions from all others."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 4.0 if wide else 3.5)
        axes = figure.subplots()
        checks = quality.checks
        x = np.array([check.predicted for check in checks])
        y = np.array([check.calibrated for check in checks])
        error = half_width(quality.level) * np.array([check.error for check in checks])
        reach = float(np.median([check.high - check.predicted for check in checks]))
        # tasks that nobody solved, or all did, lie far away with errors as large
        low, high = np.quantile(np.concatenate([y, x]), [0.01, 0.99])
        margin = 0.15 * (high - low)
        low, high = float(low - margin), float(high + margin)
        line = np.array([low, high])
        axes.fill_between(line, line - reach, line + reach, color=ACCENT, alpha=0.14, linewidth=0)
        axes.plot(line, line, color=ACCENT, linewidth=1.4)
        alpha = 0.18 if len(x) > 150 else 0.45
        axes.vlines(x, y - error, y + error, color=MUTED, linewidth=0.8, alpha=alpha)
        axes.scatter(
            x, y, s=9 if len(x) > 150 else 20, color=INK, edgecolors=PAPER, linewidths=0.3, zorder=3
        )
        axes.set_axisbelow(True)
        axes.grid(color=RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        side = 0.06 * float(np.ptp(x)) + 0.05
        axes.set_xlim(float(x.min()) - side, float(x.max()) + side)
        axes.set_ylim(low, high)
        axes.set_xlabel("Difficulty predicted from all other tasks")
        axes.set_ylabel("Calibrated difficulty")
        return figure

    return plots.render_svg(draw, _name("quality", wide), "Predicted and calibrated difficulty")


def _name(what: str, wide: bool) -> str:
    return f"predict-{what}-{'wide' if wide else 'narrow'}"


def _plain(axes: "Axes") -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
