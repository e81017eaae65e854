"""Sections on items that depend on each other, and on how many abilities the items measure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.health.evidence import Evidence
from harness.health.flags import RATE
from harness.health.structure.dependence import Dependence
from harness.health.structure.dimensions import Breakdown, Dimensions, Eigenvalues
from harness.irt import Array
from harness.report.plots import ACCENT, INK, MUTED, NARROW, PAPER, RULE, WARN, new_figure
from harness.report.plots import render_svg as render
from harness.report.sections import (
    Caution,
    Grid,
    Pair,
    Part,
    Plot,
    Section,
    Text,
    both,
    interval,
    signed,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

_LEVELS = 4
"""Shades of the heat map."""
_LONGEST = 22
"""Characters of a name beside a plot."""
_ROWS = 12


def dependence_section(found: Dependence, evidence: Evidence) -> Section:
    """What is redundant, and what that costs."""
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if len(found.edges) > 2:
        parts.append(_heat_map(found))
    if found.strongest:
        significant = found.strongest[0].q < RATE
        parts.append(
            Grid(
                heads=("Items", "Q3", "90% interval", "Same", "By ability", "q"),
                rows=tuple(
                    (
                        f"{pair.items[0]} · {pair.items[1]}",
                        signed(pair.q3),
                        interval(pair.low, pair.high),
                        f"{pair.same:.0%}",
                        "–"
                        if pair.expected_same != pair.expected_same
                        else f"{pair.expected_same:.0%}",
                        f"{pair.q:.3f}",
                    )
                    for pair in found.strongest
                ),
                title="Pairs of items",
                caption=(
                    "Same: agents with the same outcome on both items, and what ability alone "
                    "predicts of that. "
                    + (
                        "Pairs with q below 0.05 stand out among all pairs."
                        if significant
                        else "The strongest pairs, none of which stands out among all pairs."
                    )
                ),
                shown=8 if significant else 4,
            )
        )
    if found.clusters:
        parts.append(
            Grid(
                heads=("Cluster", "Items", "Mean Q3", "90% interval"),
                rows=tuple(
                    (
                        ", ".join(cluster.items),
                        str(len(cluster.items)),
                        signed(cluster.q3),
                        interval(cluster.low, cluster.high),
                    )
                    for cluster in found.clusters
                ),
                title="Clusters of items",
                caption=(
                    "Stronger than any cluster in outcomes drawn from one ability; Q3 is less "
                    "what the strongest cluster of this size shows by chance."
                ),
                shown=6,
            )
        )
    if found.attributes:
        parts.append(
            Grid(
                heads=("Items of the same …", "Pairs", "Q3 above others", "90% interval", "q"),
                rows=tuple(
                    (
                        row.name,
                        f"{row.pairs:,}",
                        signed(row.difference, 3),
                        interval(row.low, row.high, 3),
                        f"{row.q:.3f}",
                    )
                    for row in found.attributes
                ),
                title="Attributes of items",
                caption="q by permuting the items.",
            )
        )
        first = found.attributes[0]
        if first.q < RATE:
            parts.append(
                Grid(
                    heads=(first.name, "Items", "Mean Q3", "90% interval"),
                    rows=tuple(
                        (
                            group.value,
                            str(group.items),
                            signed(group.q3, 3),
                            interval(group.low, group.high, 3),
                        )
                        for group in first.groups
                    ),
                    title=f"Dependence within each {first.name}",
                    shown=6,
                )
            )
    return Section(
        title="Redundancy",
        finding=_redundancy(found),
        flags=found.flags,
        parts=tuple(parts),
        key="redundancy",
    )


def dimensions_section(found: Dimensions, evidence: Evidence) -> Section:
    """One ability or more, and what the second one is."""
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if found.eigenvalues is not None:
        parts.append(_eigenvalue_plot(found.eigenvalues, "residual"))
    if found.polychoric is not None:
        values = found.polychoric.observed
        parts.append(_eigenvalue_plot(found.polychoric, "polychoric"))
        parts.append(
            Text(
                f"The largest eigenvalue of the correlations of items is {values[0]:.1f}, "
                f"{values[0] / max(values[1], 1e-9):.1f} times the second."
            )
        )
    if found.gain is not None:
        parts.append(
            Text(
                "Held-out cells are predicted with a mean log score of "
                f"{signed(found.gain.one, 3)} by one ability; a second one changes that by "
                f"{signed(found.gain.gain, 4)} nats a cell "
                f"({interval(found.gain.low, found.gain.high, 4)})."
            )
        )
    if found.second:
        parts += _second_dimension(found)
    return Section(
        title="Dimensions",
        finding=_dimensionality(found),
        flags=found.flags,
        parts=tuple(parts),
        key="dimensions",
    )


# --- words ------------------------------------------------------------------------------------


def _redundancy(found: Dependence) -> str:
    kept = found.information
    duplicates = sum(flag.kind == "duplicate" for flag in found.flags)
    others = sum(flag.kind == "cluster" for flag in found.flags)
    if not found.order:
        return "Too few agents or items to say whether items depend on each other."
    told = [
        f"{number} {word if number == 1 else words}"
        for number, word, words in (
            (duplicates, "pair of duplicates", "pairs of duplicates"),
            (others, "group of items that hang together", "groups of items that hang together"),
        )
        if number
    ]
    if not told:
        return (
            f"No two items, and no group of them, measure the same thing beyond ability, as far "
            f"as {found.agents} agents can tell."
        )
    return (
        f"{' and '.join(told)} beyond ability. With this dependence the {kept.items} items tell "
        f"as much about ability as {kept.effective_items:.0f} independent ones would "
        f"({kept.share:.0%}, {kept.low:.0%} to {kept.high:.0%})."
    )


def _dimensionality(found: Dimensions) -> str:
    if found.eigenvalues is None:
        return "Too few agents or items to say how many abilities they measure."
    if not found.second:
        return "One ability explains the outcomes as well as two do."
    told = [row.attribute for row in (*found.by_tag, *found.by_group) if row.q < RATE]
    return (
        f"One ability is not enough: a second dimension carries {found.share:.0%} of what ability "
        f"leaves unexplained ({found.usual_share:.0%} by chance), and helps to predict outcomes"
        + (f". It goes with {' and '.join(told)}." if told else ".")
    )


def _second_dimension(found: Dimensions) -> list[Part]:
    parts: list[Part] = []
    plots = [
        _level_plot(row, name)
        for rows, name in ((found.by_tag, "items"), (found.by_group, "agents"))
        for row in rows[:1]
    ]
    if plots:
        parts.append(Pair(tuple(plots)))
    rows = [(*row, "items") for row in _breakdown_rows(found.by_tag)]
    rows += [(*row, "agents") for row in _breakdown_rows(found.by_group)]
    if rows:
        parts.append(
            Grid(
                heads=("Attribute", "of", "Explained", "q"),
                rows=tuple((name, of, share, q) for name, share, q, of in rows),
                title="What goes with the second dimension",
                caption="Share of its variance between values of an attribute.",
                words=(1,),
            )
        )
    for pairs, title, head in (
        (found.loadings, "Items at its ends", "Item"),
        (found.scores, "Agents at its ends", "Agent"),
    ):
        ends = pairs if len(pairs) <= 2 * _ROWS else (*pairs[:_ROWS], *pairs[-_ROWS:])
        half = len(ends) // 2
        # from both ends inwards, so that what is in sight shows both
        shown = [end for two in zip(ends[:half], ends[::-1][:half], strict=True) for end in two]
        parts.append(
            Grid(
                heads=(head, "Loading" if head == "Item" else "Score"),
                rows=tuple((name, signed(value)) for name, value in shown),
                title=title,
                shown=8,
            )
        )
    return parts


def _breakdown_rows(rows: Sequence[Breakdown]) -> list[tuple[str, str, str]]:
    return [(row.attribute, f"{row.explained:.0%}", f"{row.q:.3f}") for row in rows]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


# --- plots ------------------------------------------------------------------------------------


def _heat_map(found: Dependence) -> Plot:
    per_cell = -(-len(found.order) // (len(found.edges) - 1))
    return both(
        lambda wide: render(
            lambda: _draw_map(found, wide),
            f"dependence-{'wide' if wide else 'narrow'}",
            "Residual correlations of all pairs of items",
        ),
        caption=(
            f"{len(found.order)} items against each other, ordered so that those that hang "
            "together are neighbours"
            + (f"; a cell is the mean over up to {per_cell} × {per_cell} items" * (per_cell > 1))
            + ". Independent items leave it pale; duplicates and clusters are dark spots along the "
            "diagonal, a second ability two large dark corners with the opposite colour between."
            + " Flagged clusters are outlined."
            * bool(found.clusters)
        ),
        title="Dependence beyond ability",
    )


def _draw_map(found: Dependence, wide: bool) -> "Figure":
    from matplotlib.patches import Patch, PathPatch, Rectangle

    size = width_of(wide)
    figure = new_figure(size, 0.62 * size if wide else size + 0.35)
    axes = figure.subplots()
    edges = np.array(found.edges, float)
    n = edges[-1]
    values = found.map
    below = np.tril_indices(len(values))
    top = max(0.05, float(np.quantile(np.abs(values[below]), 0.99)))
    bounds = top * np.arange(1, _LEVELS + 1) / (_LEVELS + 0.5)
    level = np.digitize(np.abs(values), bounds) * np.sign(values)
    handles = []
    for shade in (*range(_LEVELS, 0, -1), *range(-1, -_LEVELS - 1, -1)):
        colour, alpha = (ACCENT if shade > 0 else WARN), abs(shade) / _LEVELS
        path = _cells(level == shade, edges)
        if path is not None:
            axes.add_patch(PathPatch(path, facecolor=colour, alpha=alpha, linewidth=0))
        from_, to = bounds[abs(shade) - 1], bounds[min(abs(shade), _LEVELS - 1)]
        text = f"{from_:.2f} to {to:.2f}" if abs(shade) < _LEVELS else f"over {from_:.2f}"
        if shade < 0:
            text = (
                text.replace("over ", "below −") if "over" in text else f"−{from_:.2f} to −{to:.2f}"
            )
        handles.append(Patch(facecolor=colour, alpha=alpha, linewidth=0, label=text))
    axes.plot([0, n, n], [0, n, n], color=RULE, linewidth=0.6)
    axes.plot([0, 0, n], [0, n, n], color=RULE, linewidth=0.6)
    place = {name: i for i, name in enumerate(found.order)}
    for cluster in found.clusters:
        where = sorted(place[name] for name in cluster.items)
        start, length = where[0], where[-1] + 1 - where[0]
        axes.add_patch(
            Rectangle(
                (start, start), length, length, fill=False, edgecolor=INK, linewidth=1.2, zorder=4
            )
        )
    axes.set_xlim(-0.01 * n, 1.01 * n)
    axes.set_ylim(1.01 * n, -0.01 * n)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.legend(
        handles=handles,
        title="Q3",
        loc="upper right",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=8 if wide else 7.5,
        labelspacing=0.25,
        handlelength=1.2,
        borderpad=0,
    )
    return figure


def _cells(chosen: Array, edges: Array) -> "Path | None":
    """One path of all chosen cells below the diagonal; neighbours in a row are one rectangle."""
    from matplotlib.path import Path as Outline

    rectangles = []
    for row in range(len(chosen)):
        inside = np.append(chosen[row, : row + 1], False).astype(int)
        change = np.diff(np.concatenate([[0], inside]))
        for start, end in zip(np.flatnonzero(change > 0), np.flatnonzero(change < 0), strict=True):
            left, right = edges[start], edges[end]
            high, low = edges[row], edges[row + 1]
            rectangles.append(
                Outline(
                    [(left, high), (right, high), (right, low), (left, low), (left, high)],
                    [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY],
                )
            )
    return Outline.make_compound_path(*rectangles) if rectangles else None


def _eigenvalue_plot(values: Eigenvalues, kind: str) -> Plot:
    of = "what one ability leaves unexplained" if kind == "residual" else "polychoric correlations"
    return both(
        lambda wide: render(
            lambda: _draw_eigenvalues(values, wide),
            f"eigenvalues-{kind}-{'wide' if wide else 'narrow'}",
            f"Eigenvalues of {of} against simulated ones",
        ),
        caption=(
            f"Eigenvalues of {of}. The band is what outcomes of the same agents on the same items "
            "show when there is one ability: its mean, and its top 5% above. A first point far "
            "above the band is a second dimension."
            if kind == "residual"
            else f"Eigenvalues of {of}, and of outcomes drawn from one ability (band)."
        ),
        title="Parallel analysis" if kind == "residual" else "Correlations of items",
    )


def _draw_eigenvalues(values: Eigenvalues, wide: bool) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(width_of(wide), 2.5)
    axes = figure.subplots()
    x = np.arange(1, len(values.observed) + 1)
    mean, high = np.array(values.simulated), np.array(values.high)
    axes.fill_between(
        x, 2 * mean - high, high, color=MUTED, alpha=0.22, linewidth=0, label="one ability"
    )
    axes.plot(x, mean, color=MUTED, linewidth=1.2, dashes=(4, 2.5))
    axes.plot(
        x,
        values.observed,
        color=ACCENT,
        linewidth=1.5,
        marker="o",
        markersize=4.5,
        label="observed",
    )
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Component")
    axes.set_ylabel("Eigenvalue")
    axes.legend(loc="upper right")
    return figure


def _level_plot(row: Breakdown, what: str) -> Plot:
    levels = sorted(row.levels, key=lambda level: -level.number)
    left = len(levels) - _ROWS
    svg = render(
        lambda: _draw_levels(row, what),
        f"second-{what}",
        f"Second dimension by {row.attribute}",
    )
    return Plot(
        svg,
        svg,
        caption=(
            f"{'Mean loading of items' if what == 'items' else 'Mean score of agents'} by "
            f"{row.attribute}, with 90% intervals; the number of {what} in brackets"
            + (f". {left} smaller ones are not shown." if left > 0 else ".")
        ),
        title=f"Second dimension by {row.attribute}",
    )


def _draw_levels(row: Breakdown, what: str) -> "Figure":
    chosen = sorted(row.levels, key=lambda level: -level.number)[:_ROWS]
    chosen.sort(key=lambda level: level.mean)
    figure = new_figure(NARROW, 0.75 + 0.24 * len(chosen))
    axes = figure.subplots()
    y = np.arange(len(chosen))
    axes.axvline(0, color=MUTED, linewidth=0.9)
    for place, level in zip(y, chosen, strict=True):
        if level.low == level.low:
            axes.plot([level.low, level.high], [place, place], color=ACCENT, linewidth=1.4)
        axes.plot(
            [level.mean],
            [place],
            marker="o",
            markersize=5,
            color=ACCENT,
            markerfacecolor=ACCENT if level.low == level.low else PAPER,
        )
    _level_names(axes, [f"{_short(level.value)} ({level.number})" for level in chosen])
    known = [x for one in chosen for x in (one.low, one.high, one.mean) if x == x]
    # an interval from two items may be very wide: means set the axis
    reach = 1.6 * max(0.1, max(abs(level.mean) for level in chosen))
    axes.set_xlim(max(-reach, min(known) - 0.1 * reach), min(reach, max(known) + 0.1 * reach))
    axes.set_xlabel("Loading" if what == "items" else "Score, in sds")
    return figure


def _level_names(axes: "Axes", names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
