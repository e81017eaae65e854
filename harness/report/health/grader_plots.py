"""Plots of judges: level and consistency, agreement, favour, disputed items."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.health.flags import RATE, names_of
from harness.health.graders.disputes import Dispute
from harness.health.graders.facets import Facets
from harness.health.graders.favouritism import ITSELF
from harness.health.graders.judges import Graders, rates
from harness.irt import Array
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN, new_figure, render_svg
from harness.report.sections import Plot, both, signed, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_COLUMNS = 5
"""With numbers in them on a narrow screen."""


def levels_plot(found: Graders, facets: Facets) -> Plot:
    """Level and infit of each judge, each with its interval."""
    judges = sorted(facets.judges, key=lambda judge: judge.points)
    flagged = {
        kind: names_of([flag for flag in found.flags if flag.kind == kind])
        for kind in ("severe judge", "inconsistent judge")
    }
    sense = "" if found.higher_is is None else f" (right is {rates(1, found.higher_is)})"

    def draw(wide: bool) -> "Figure":
        n = len(judges)
        height = 0.75 + 0.26 * n
        figure = new_figure(width_of(wide), height if wide else 2 * height)
        panels = figure.subplots(1, 2, sharey=True) if wide else figure.subplots(2, 1, sharey=True)
        _whiskers(
            panels[0],
            [(judge.points, judge.low, judge.high) for judge in judges],
            [judge.name in flagged["severe judge"] for judge in judges],
            0.0,
        )
        _whiskers(
            panels[1],
            [(judge.infit, judge.infit_low, judge.infit_high) for judge in judges],
            [judge.name in flagged["inconsistent judge"] for judge in judges],
            1.0,
        )
        panels[0].set_xlabel("Points above the average judge")
        panels[1].set_xlabel("Infit (1: as the others)")
        _names(panels[0], [judge.name for judge in judges])
        if not wide:
            _names(panels[1], [judge.name for judge in judges])
        return figure

    return both(
        _drawn("levels", "Level and consistency of each judge", draw),
        f"How high each judge rates the same cells{sense}, and how erratically. A line is a 90% "
        "interval. Open: flagged.",
        "Level and consistency",
    )


def agreement_plot(found: Graders) -> Plot:
    """A square for each two judges."""
    n = len(found.judges)
    place = {judge: j for j, judge in enumerate(found.judges)}
    values = np.full((n, n), np.nan)
    for pair in found.agreement.pairs:
        i, j = place[pair.first], place[pair.second]
        values[max(i, j), min(i, j)] = pair.kappa.value
        values[min(i, j), max(i, j)] = pair.exact.value

    def draw(wide: bool) -> "Figure":
        upright = _upright(found.judges, wide)
        figure = new_figure(width_of(wide), (1.7 if upright else 0.9) + 0.28 * n)
        axes = figure.subplots()
        _tiles(axes, np.maximum(np.nan_to_num(values), 0) * ~np.isnan(values))
        for i, j in np.argwhere(~np.isnan(values)):
            text = f"{values[i, j]:.0%}" if j > i else signed(values[i, j])
            _write(axes, j, i, text, n, wide)
        _names(axes, found.judges)
        _below(axes, found.judges, upright)
        return figure

    return both(
        _drawn("agreement", "Agreement of each two judges", draw),
        "Below the diagonal weighted κ, above it the share of equal ratings; darker is better.",
        "Agreement of each two judges",
    )


def favour_plot(found: Graders, facets: Facets) -> Plot:
    """A square for each judge and family."""
    from matplotlib.patches import Rectangle

    groups = sorted({one.group for one in facets.favours} - {ITSELF})
    groups += [ITSELF] * any(one.group == ITSELF for one in facets.favours)
    judges = [judge.name for judge in facets.judges]
    shape = len(groups), len(judges)
    values, own, marked = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
    for one in facets.favours:
        where = groups.index(one.group), judges.index(one.judge)
        values[where], own[where], marked[where] = one.points, one.own, one.found
    top = max(float(np.nanmax(np.abs(values))), 0.1 * found.reach)

    def draw(wide: bool) -> "Figure":
        upright = _upright(judges, wide)
        figure = new_figure(width_of(wide), (1.7 if upright else 0.9) + 0.28 * shape[0])
        axes = figure.subplots()
        _tiles(axes, np.nan_to_num(np.abs(values)) / top, np.nan_to_num(values) < 0)
        for i, j in np.argwhere(~np.isnan(values)):
            plus = "+" if round(values[i, j], 2) > 0 else ""
            text = f"{plus}{signed(values[i, j])}{' *' * bool(marked[i, j])}"
            _write(axes, j, i, text, shape[1], wide)
        for i, j in np.argwhere(own):
            axes.add_patch(
                Rectangle(
                    (j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=INK, linewidth=1.1
                )
            )
        _names(axes, groups)
        _below(axes, judges, upright)
        return figure

    sense = "" if found.higher_is is None else f" ({rates(1, found.higher_is)})"
    return both(
        _drawn("favour", "How each judge rates each family", draw),
        f"Points that a judge (column) rates a family (row) higher{sense} or lower than the other "
        "judges lead one to expect, its level apart. Outlined: its own family, and itself. "
        "*: flagged.",
        "Favouritism",
    )


def disputes_plot(items: Sequence[Dispute]) -> Plot:
    """How disputed each item is, the first on top."""
    rows = items[::-1]

    def draw(wide: bool) -> "Figure":
        figure = new_figure(width_of(wide), 0.7 + 0.23 * len(rows))
        axes = figure.subplots()
        _whiskers(
            axes,
            [(one.ratio, one.low, one.high) for one in rows],
            [one.q < RATE for one in rows],
            1.0,
        )
        axes.set_yticks(
            range(len(rows)), [_short(one.item, 44 if wide else 22) for one in rows], color=INK
        )
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xlim(left=0, right=1.05 * max(min(one.high, 3 * one.ratio + 1) for one in rows))
        axes.set_xlabel("Dispute over what is expected" if wide else "Dispute over expected")
        return figure

    return both(
        _drawn("disputes", "Most disputed items", draw),
        "How far judges are apart on an item against what is expected where ratings are as high "
        "(1). A line is a 90% interval. Open: flagged.",
        "Most disputed items",
    )


def _drawn(name: str, title: str, draw: Callable[[bool], "Figure"]) -> Callable[[bool], str]:
    return lambda wide: render_svg(
        lambda: draw(wide), f"graders-{name}-{'wide' if wide else 'narrow'}", title
    )


def _whiskers(
    axes: "Axes", rows: Sequence[tuple[float, float, float]], marked: Sequence[bool], zero: float
) -> None:
    """A dot with its interval a row."""
    axes.axvline(zero, color=MUTED, linewidth=0.9, dashes=(3, 2))
    for y, ((middle, low, high), mark) in enumerate(zip(rows, marked, strict=True)):
        colour = WARN if mark else ACCENT
        axes.plot([low, high], [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
        axes.plot(
            [middle],
            [y],
            marker="o",
            markersize=5,
            color=colour,
            markerfacecolor=PAPER if mark else colour,
            markeredgewidth=1.5,
        )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


def _names(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_short(name) for name in names], color=INK)
    axes.tick_params(axis="y", labelcolor=INK)


def _short(name: str, longest: int = 24) -> str:
    """The middle is left out: ends of names tell versions apart."""
    if len(name) <= longest:
        return name
    left = (longest - 1) // 2
    return f"{name[:left]}…{name[left + 1 - longest :]}"


def _upright(names: Sequence[str], wide: bool) -> bool:
    """Names are too long to be slanted below their columns."""
    room = (100 if wide else 40) // len(names)
    return any(len(name) > min(room, 24) for name in names)


def _below(axes: "Axes", names: Sequence[str], upright: bool) -> None:
    """Names below columns."""
    axes.set_xticks(
        range(len(names)),
        [_short(name) for name in names],
        rotation=90 if upright else 30,
        ha="right",
        va="center" if upright else "top",
        rotation_mode="anchor",
    )


def _tiles(axes: "Axes", strength: Array, negative: Array | None = None) -> None:
    """Squares as opaque as ``strength``, between 0 and 1."""
    from matplotlib.patches import Rectangle

    rows, columns = strength.shape
    for i in range(rows):
        for j in range(columns):
            colour = ACCENT if negative is None or not negative[i, j] else WARN
            axes.add_patch(
                Rectangle(
                    (j - 0.47, i - 0.47),
                    0.94,
                    0.94,
                    facecolor=colour,
                    alpha=float(0.55 * min(strength[i, j], 1.0)),
                    linewidth=0,
                )
            )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def _write(axes: "Axes", x: int, y: int, text: str, columns: int, wide: bool) -> None:
    # on a phone the tables are for reading numbers of many judges
    if wide or columns <= _MOST_COLUMNS:
        size = min(8.5, 80 / columns)
        axes.text(x, y, text, ha="center", va="center", fontsize=size, color=INK)
