"""The plots of items: shares solved, information, slopes, noise and categories."""

from typing import TYPE_CHECKING

import numpy as np

from harness.health.evidence import Evidence
from harness.health.flags import HALF, names_of
from harness.health.items.gaps import Gaps
from harness.health.items.noise import Noise
from harness.health.items.saturation import Saturation
from harness.health.items.scale_use import ItemUse, Scale
from harness.health.items.slopes import Slopes
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, RULE, WARN
from harness.report.sections import width_of
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EDGE = 0.004
"""Share of the highest density below which nothing is drawn."""


def share_plot(found: Saturation, wide: bool) -> str:
    """Mean score of each item with its interval, items in order of it."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 2.7 if wide else 2.5)
        axes = figure.subplots()
        items = sorted(found.items, key=lambda one: one.share)
        x = np.arange(1, len(items) + 1)
        low, high, share = (
            100 * np.array([getattr(one, end) for one in items]) for end in ("low", "high", "share")
        )
        axes.fill_between(x, low, high, step="mid", color=ACCENT, alpha=0.18, linewidth=0)
        axes.step(x, share, where="mid", color=ACCENT, linewidth=1.5)
        stuck = np.array([bool(one.state) for one in items])
        axes.scatter(x[stuck], share[stuck], s=9, color=WARN, linewidths=0, zorder=3, clip_on=False)
        _frame(axes)
        axes.set_ylim(0, 100)
        axes.set_xlim(0.5, len(items) + 0.5)
        axes.set_yticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
        axes.set_xlabel("Items, hardest first")
        axes.set_ylabel("Mean score of agents")
        return figure

    return plots.render_svg(draw, _name("shares", wide), "Mean score of each item")


def information_plot(found: Gaps, evidence: Evidence, wide: bool) -> str:
    """Information, difficulties of items, and abilities of agents, on one axis."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 4.6 if wide else 4.9)
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1.5, 1.8))
        seen = found.nodes[found.density > _EDGE * found.density.max()]
        ends = [seen[0], seen[-1], *(end for one in found.stretches for end in (one.low, one.high))]
        if found.heading:
            ends.append(found.heading.mean + 1.7 * found.heading.sd)
        low, high = min(ends), max(ends)
        for axes in (top, middle, bottom):
            _frame(axes)
            for stretch in found.stretches:
                axes.axvspan(stretch.low, stretch.high, color=WARN, alpha=0.16, linewidth=0)
        inside = (found.nodes >= low) & (found.nodes <= high)
        top.plot(found.nodes[inside], found.information[inside], color=ACCENT, linewidth=1.7)
        top.axhline(1 / found.needed**2, color=INK, linewidth=1.0, dashes=(4, 2.5))
        top.set_ylim(0, 1.08 * max(found.information[inside].max(), 1 / found.needed**2))
        top.set_ylabel("Information")
        difficulty = evidence.difficulty[np.isfinite(evidence.difficulty)]
        bins = np.linspace(low, high, 41 if wide else 27)
        middle.hist(difficulty, bins=bins, color=ACCENT, alpha=0.55, linewidth=0)
        middle.set_ylabel("Items")
        middle.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        _draw_agents(bottom, found, evidence)
        bottom.set_xlim(low, high)
        bottom.set_xlabel("Ability of agents, difficulty of items")
        figure.align_ylabels()
        return figure

    return plots.render_svg(
        draw, _name("information", wide), "Information of the test against abilities"
    )


def _draw_agents(axes: "Axes", found: Gaps, evidence: Evidence) -> None:
    """Density of abilities, and below it a mark an agent, the newest ones darker."""
    height = found.density.max()
    axes.fill_between(found.nodes, found.density / height, color=MUTED, alpha=0.25, linewidth=0)
    newest = set(found.newest)
    new = np.array([agent in newest for agent in evidence.responses.agents])
    for them, level, colour in ((~new, -0.2, MUTED), (new, -0.5, WARN)):
        x = evidence.ability[them]
        axes.scatter(x, np.full(len(x), level), s=70, marker="|", color=colour, linewidths=1.1)
    marks, words = [-0.2], ["agents"]
    if newest:
        marks, words = [-0.2, -0.5], ["others", "newest"]
    if found.heading:
        mean, half = found.heading.mean, HALF * found.heading.sd
        axes.plot([mean - half, mean + half], [-0.8, -0.8], color=INK, linewidth=1.6)
        axes.scatter([mean], [-0.8], s=22, color=INK, zorder=3)
        marks.append(-0.8)
        words.append("expected")
    axes.set_yticks(marks, words)
    axes.set_ylim(min(marks) - 0.25, 1.08)
    axes.grid(visible=False)


def slope_plot(found: Slopes, wide: bool) -> str:
    """Slope of each item with its interval, in order; flagged ones stand out."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 3.0 if wide else 2.9)
        axes = figure.subplots()
        items = sorted(
            (one for one in found.items if one.slope == one.slope), key=lambda one: one.slope
        )
        flagged = set(names_of(found.flags))
        x = np.arange(1, len(items) + 1)
        slope, low, high = (
            np.array([getattr(one, end) for one in items]) for end in ("slope", "low", "high")
        )
        bad = np.array([one.item in flagged for one in items], bool)
        thin = 0.7 if len(items) > 150 else 1.2
        for them, colour, order in ((~bad, ACCENT, 2), (bad, WARN, 3)):
            axes.vlines(
                x[them],
                low[them],
                high[them],
                color=colour,
                alpha=0.35,
                linewidth=thin,
                zorder=order,
            )
            axes.scatter(x[them], slope[them], s=7, color=colour, linewidths=0, zorder=order + 2)
        _frame(axes)
        axes.axhline(0, color=INK, linewidth=0.9)
        for value, word in ((found.bound, "low"), (found.typical, "typical")):
            axes.axhline(value, color=INK, linewidth=0.9, dashes=(4, 2.5))
            axes.annotate(
                word,
                (1, value),
                (3, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=MUTED,
                va="center",
                fontsize=8,
            )
        axes.set_xlim(0.5, max(len(items), 1) + 0.5)
        axes.set_xlabel("Items, least discriminating first")
        axes.set_ylabel("Slope")
        return figure

    return plots.render_svg(draw, _name("slopes", wide), "Slope of each item")


def reliability_plot(found: Noise) -> str:
    """Reliability of the score and of a cell by number of trials."""

    def draw() -> "Figure":
        figure = plots.new_figure(plots.NARROW, 2.6)
        axes = figure.subplots()
        x = [one.trials for one in found.ahead]
        score = [one.score for one in found.ahead]
        cell = [one.cell for one in found.ahead]
        axes.plot(x, score, color=ACCENT, linewidth=1.5, marker="o", markersize=4, label="score")
        axes.plot(
            x,
            cell,
            color=WARN,
            linewidth=1.5,
            marker="s",
            markersize=4,
            dashes=(4, 2),
            label="one agent on one item",
        )
        _frame(axes)
        axes.set_ylim(min(0.5, *score, *cell) - 0.02, 1.0)
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 3, 5, 10, 20], ["1", "2", "3", "5", "10", "20"])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("Trials of each cell")
        axes.set_ylabel("Reliability")
        figure.legend(loc="outside upper left", ncols=2, handlelength=2.4, borderpad=0)
        return figure

    return plots.render_svg(draw, "reliability-trials", "Reliability by number of trials")


def mixed_plot(found: Noise, binary: bool) -> str:
    """Share of mixed cells of each item against its score, and what flips of a coin would have
    where all items are binary."""

    def draw() -> "Figure":
        figure = plots.new_figure(plots.NARROW, 2.6)
        axes = figure.subplots()
        flagged = set(names_of(found.flags))
        known = [one for one in found.items if one.cells]
        if binary:
            p = np.linspace(0, 1, 201)
            trials = max(round(found.trials), 2)
            coin = 1 - p**trials - (1 - p) ** trials
            axes.plot(100 * p, 100 * coin, color=INK, linewidth=1.0, dashes=(4, 2.5))
        for bad, colour, size in ((False, ACCENT, 14), (True, WARN, 22)):
            them = [one for one in known if (one.item in flagged) == bad]
            axes.scatter(
                [100 * one.score for one in them],
                [100 * one.mixed for one in them],
                s=size,
                color=colour,
                alpha=0.75,
                linewidths=0,
                zorder=3 + bad,
                clip_on=False,
            )
        _frame(axes)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 104)
        for axis in (axes.set_xticks, axes.set_yticks):
            axis([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
        axes.set_xlabel("Mean score of the item")
        axes.set_ylabel("Mixed cells")
        return figure

    return plots.render_svg(draw, "mixed-cells", "Mixed cells of each item")


def category_plot(scale: Scale, uses: tuple[ItemUse, ...], index: int, wide: bool) -> str:
    """Share of each category on every item, items in order of their mean."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 2.9 if wide else 2.8)
        axes = figure.subplots()
        counts = np.array([use.counts for use in uses], float)
        share = counts / counts.sum(axis=1, keepdims=True)
        k = share.shape[1]
        share = share[np.lexsort((-share[:, 0], share @ np.arange(k)))]
        edges = np.arange(len(share) + 1) + 0.5
        base = np.zeros(len(share))
        for c in range(k):
            axes.stairs(
                100 * (base + share[:, c]),
                edges,
                baseline=100 * base,
                fill=True,
                # the lowest is the colour of warnings, the others get stronger
                color=WARN if c == 0 else ACCENT,
                alpha=0.75 if c == 0 else 0.15 + 0.8 * c / (k - 1),
                linewidth=0,
                label=printable(scale.categories[c].label, 12),
            )
            base += share[:, c]
        _frame(axes)
        axes.set_axisbelow(True)
        axes.set_xlim(0.5, len(share) + 0.5)
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
        axes.set_xlabel("Items, lowest mean first")
        axes.set_ylabel("Outcomes")
        figure.legend(
            loc="outside upper left",
            ncols=min(k, 7 if wide else 4),
            handlelength=1.0,
            columnspacing=1.0,
            borderpad=0,
        )
        return figure

    return plots.render_svg(draw, _name(f"categories-{index}", wide), "Use of categories")


def _name(what: str, wide: bool) -> str:
    return f"health-{what}-{'wide' if wide else 'narrow'}"


def _frame(axes: "Axes") -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
