"""The plots of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.irt import Array
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, NARROW, RULE, WIDE
from harness.report.wording import printable
from harness.study.bootstrap import Estimate
from harness.study.result import Accuracy, PlanResult, Point, StudyResult
from harness.study.words import gap_between, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# of middling lightness, so that each is seen on white and on black
_COLOURS = (ACCENT, "#d07a1f", "#2c9a69", "#b257c2", "#cf4d4d", "#2a9db0", "#8c8a26", "#9a6c50")
_MARKERS = "osD^vPX*"
_LONGEST = 24
"""Characters of a name beside a plot."""
_DASHES: tuple[tuple[float, ...], ...] = ((4.0, 2.0), (1.2, 1.6), (5.0, 1.5, 1.2, 1.5))


@dataclass(frozen=True)
class Style:
    """How a plan is drawn in every plot of a page."""

    colour: str
    marker: str
    dashes: tuple[float, ...] = ()
    """Lengths of strokes and gaps, in widths of the line; empty for none."""


def styles(found: StudyResult) -> dict[str, Style]:
    """Plans in colours of their own, baselines in grey and dashed."""
    own = [plan.name for plan in found.plans if not plan.baseline]
    others = [plan.name for plan in found.plans if plan.baseline]
    return {
        **{
            name: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
            for i, name in enumerate(own)
        },
        **{
            name: Style(MUTED, _MARKERS[-1 - i], _DASHES[i % len(_DASHES)])
            for i, name in enumerate(others)
        },
    }


def key_sample(name: str, style: Style) -> str:
    """A line with its marker, for the key beside a plot."""
    return plots.render_svg(lambda: _draw_sample(style), f"key-{name}", "")


def learning_plot(found: StudyResult, unit: str, *, wide: bool) -> str:
    """Error of the predicted score against what was spent."""
    kind = "wide" if wide else "narrow"
    return plots.render_svg(
        lambda: _draw_learning(found, unit, wide),
        f"learning-{unit}-{kind}",
        f"Error of the predicted score against {unit}",
    )


def rank_plot(found: StudyResult, measure: str) -> str:
    """A rank correlation against items; ``measure`` is spearman or kendall."""
    return plots.render_svg(
        lambda: _draw_ranks(found, measure), f"ranks-{measure}", f"{measure} against items"
    )


def coverage_plot(found: StudyResult, what: str) -> str:
    """Coverage of intervals of the ``score`` or the ``ability`` against items."""
    return plots.render_svg(
        lambda: _draw_coverage(found, what), f"coverage-{what}", f"Coverage of the {what}"
    )


def difference_plot(found: StudyResult) -> str:
    """Error of every plan above that of the best one, with intervals."""
    return plots.render_svg(
        lambda: _draw_differences(found), "differences", "Differences from the best plan"
    )


# --- drawing ----------------------------------------------------------------------------------


def _draw_sample(style: Style) -> "Figure":
    figure = plots.new_figure(0.42, 0.16)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(-1, 1)
    axes.plot([0.03, 0.97], [0, 0], color=style.colour, linewidth=1.7, **_dashed(style))
    axes.plot([0.5], [0], color=style.colour, marker=style.marker, markersize=4.5)
    return figure


def _dashed(style: Style) -> dict[str, Any]:
    return {"dashes": style.dashes} if style.dashes else {}


def _draw_learning(found: StudyResult, unit: str, wide: bool) -> "Figure":
    figure = plots.new_figure(WIDE if wide else NARROW, 3.3 if wide else 3.0)
    axes = figure.subplots()
    most = max(found.sizes)
    top, right = 0.0, 0.0
    best = ranked(found)[:1]
    for plan in found.plans:
        style = styles(found)[plan.name]
        curve = plan.curve
        mae = 100 * _numbers(curve.mae[:most])
        x = (
            np.arange(1.0, len(mae) + 1)
            if unit == "items"
            else _numbers(getattr(curve, unit)[:most])
        )
        if plan in best:
            low, high = (100 * _numbers(ends[:most]) for ends in (curve.low, curve.high))
            axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
        marks = [size - 1 for size in found.sizes if size <= len(mae)]
        axes.plot(
            x,
            mae,
            color=style.colour,
            linewidth=1.5,
            marker=style.marker,
            markersize=4.5,
            markevery=marks,
            zorder=2 if plan.baseline else 3,
            **_dashed(style),
        )
        top = max(top, *(mae[marks[:1]]), 0.0)
        right = max(right, float(np.nanmax(x[: marks[-1] + 1], initial=0.0))) if marks else right
    _frame(axes)
    axes.set_ylim(0, 1.08 * top or 1)
    axes.set_xlim(0, 1.02 * right or 1)
    axes.set_ylabel("Mean absolute error, points")
    axes.set_xlabel(
        {"items": "Items", "usd": "Dollars an agent", "seconds": "Seconds an agent"}[unit]
    )
    return figure


def _draw_ranks(found: StudyResult, measure: str) -> "Figure":
    figure = plots.new_figure(NARROW, 2.6)
    axes = figure.subplots()
    for plan in found.plans:
        values = [getattr(point.score, measure) for point in _sized(plan)]
        _draw_line(axes, found, plan, values, 1.0)
    _frame(axes)
    axes.set_ylim(None, 1.0)
    axes.set_xlabel("Items")
    axes.set_ylabel({"spearman": "Spearman's ρ", "kendall": "Kendall's τ"}[measure])
    return figure


def _draw_coverage(found: StudyResult, what: str) -> "Figure":
    figure = plots.new_figure(NARROW, 1.75 * len(found.levels) + 0.4)
    panels = figure.subplots(len(found.levels), 1, sharex=True, squeeze=False)[:, 0]
    for place, (axes, level) in enumerate(zip(panels, found.levels, strict=True)):
        axes.axhline(100 * level, color=INK, linewidth=1.0, zorder=1)
        for plan in found.plans:
            accuracies = [_of(point, what) for point in _sized(plan)]
            values = [a.coverage[place] for a in accuracies if a and a.coverage]
            if len(values) == len(accuracies):
                _draw_line(axes, found, plan, values, 100.0)
        _frame(axes)
        low = axes.get_ylim()[0]
        axes.set_ylim(min(low, 100 * level - 12), 101)
        axes.set_ylabel(f"{level:.0%} interval, %")
    panels[-1].set_xlabel("Items")
    return figure


def _of(point: Point, what: str) -> Accuracy | None:
    if what == "score":
        return point.score
    return point.ability[0] if point.ability else None


def _draw_line(
    axes: "Axes", found: StudyResult, plan: PlanResult, values: Sequence[Estimate], scale: float
) -> None:
    """Estimates at the sizes, with faint bars for their intervals, side by side."""
    style = styles(found)[plan.name]
    place = list(styles(found)).index(plan.name)
    shift = (place - (len(found.plans) - 1) / 2) * 0.012 * max(found.sizes)
    x = np.array(found.sizes[: len(values)], float) + shift
    value, low, high = (
        scale * _numbers([getattr(one, end) for one in values]) for end in ("value", "low", "high")
    )
    axes.vlines(x, low, high, color=style.colour, linewidth=1.0, alpha=0.45)
    axes.plot(
        x,
        value,
        color=style.colour,
        linewidth=1.2,
        marker=style.marker,
        markersize=4,
        **_dashed(style),
    )


def _draw_differences(found: StudyResult) -> "Figure":
    plans = ranked(found)
    best, others = plans[0], plans[1:]
    figure = plots.new_figure(NARROW, 0.75 + 0.27 * len(plans))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    axes.scatter([0], [0], s=26, marker="D", color=INK, zorder=4)
    for y, plan in enumerate(others, 1):
        gap = gap_between(found, best.name, plan.name)
        style = styles(found)[plan.name]
        axes.axhline(y, color=RULE, linewidth=0.6, zorder=0)
        value, low, high = 100 * _numbers([gap.value, gap.low, gap.high])
        axes.plot([low, high], [y, y], color=style.colour, linewidth=2.0, solid_capstyle="butt")
        axes.scatter([value], [y], s=26, marker=style.marker, color=style.colour, zorder=3)
    names = [_short(plan.name) for plan in plans]
    # a name with dollar signs is no formula
    axes.set_yticks(range(len(plans)), names, parse_math=False)
    axes.set_ylim(len(plans) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("Error above that of the best, points")
    return figure


def _short(name: str) -> str:
    shown = printable(name, len(name))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _frame(axes: "Axes") -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _sized(plan: PlanResult) -> list[Point]:
    return [point for point in plan.points if point.size is not None]


def _numbers(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if x is None else x for x in values], float)
