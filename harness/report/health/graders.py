"""What a page says of judges, and of a rule and a judge that both graded."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.health.agreement import Estimate
from harness.health.facets import ITSELF, Dispute, Facets
from harness.health.flags import RATE, names_of
from harness.health.graders import Concentration, Contradictions, Graders, rates
from harness.irt import Array
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN, new_figure, render_svg
from harness.report.sections import (
    Caution,
    Grid,
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

_MOST_JUDGES = 14
"""In a plot; more are only in the tables."""
_MOST_COLUMNS = 5
"""With numbers in them on a narrow screen."""
_MOST_ITEMS = 15
_MOST_CONTRADICTIONS = 200


def graders_section(found: Graders) -> Section:
    """Judges who rated the same outcomes: agreement, level, consistency, favour, disputes."""
    parts: list[Part] = [Caution(text) for text in found.cautions]
    facets = found.facets
    if facets is not None and len(facets.judges) <= _MOST_JUDGES:
        parts.append(_levels_plot(found, facets))
    if facets is not None:
        parts.append(_judges_table(found, facets))
    if 2 < len(found.judges) <= _MOST_JUDGES and found.agreement.cells:
        parts.append(_agreement_plot(found))
    if found.agreement.cells:
        parts += [_agreement_table(found), _pairs_table(found)]
    if facets is not None:
        parts += _favour_parts(found, facets)
        parts += _dispute_parts(found, facets)
    return Section("Judges", _finding(found), found.flags, tuple(parts), "judges")


def contradictions_section(found: Contradictions) -> Section:
    """Two graders on different scales, such as a rule and a judge."""
    one, two = found.graders
    parts: list[Part] = [Caution(text) for text in found.cautions]
    parts += [
        _joint_table(found),
        _rates_table(found),
        *(
            _concentrations_table(found, what, rows)
            for what, rows in (("Agent", found.agents), ("Item", found.items))
            if any(row.first_only + row.second_only for row in rows)
        ),
    ]
    if found.found:
        parts.append(_every_contradiction(found))
    against = len(found.found)
    alone = sum(x.first_only for x in found.found)
    gathered = names_of([flag for flag in found.flags if flag.about == "item"])
    text = (
        f"{one} and {two} contradict each other on {against:,} of {found.cells:,} cells "
        f"({_percents(found.rate)}): {one} alone says yes in {alone:,}, {two} alone in "
        f"{against - alone:,}."
    )
    if gathered:
        text += (
            f" On {len(gathered)} item{'s' * (len(gathered) != 1)} they part far more often than "
            "elsewhere: there the rule or the judge's instruction is likely wrong."
        )
    return Section("Two graders", text, found.flags, tuple(parts), "contradictions")


# --- words ------------------------------------------------------------------------------------


def _finding(found: Graders) -> str:
    equal, alpha = found.agreement.all_equal, found.agreement.ordinal
    if not found.agreement.cells:
        return "No outcome was rated by two judges: nothing can be said of them."
    who = "Both judges" if len(found.judges) == 2 else f"All of the {len(found.judges)} judges"
    text = (
        f"{who} give the same rating to {equal.value:.0%} of the {found.agreement.cells:,} cells "
        f"that two or more rated. Krippendorff's α is {_estimate(alpha)}"
    )
    text += f": {_grade(alpha)}." if alpha.value == alpha.value else "."
    facets = found.facets
    if facets is None:
        return text
    upper = max(facets.judges, key=lambda judge: judge.points)
    lower = min(facets.judges, key=lambda judge: judge.points)
    if any(flag.kind == "severe judge" for flag in found.flags):
        text += (
            f" {upper.name} rates {rates(1, found.higher_is)} than {lower.name}, by "
            f"{upper.points - lower.points:.2f} points on a scale of {found.reach:g}."
        )
    texts = {
        "inconsistent judge": "Out of step with the others: {}.",
        "favouring judge": "Partial to a family or to itself, or against it: {}.",
        "disputed item": "Disputed more than other items: {}.",
    }
    for kind, words in texts.items():
        names = names_of([flag for flag in found.flags if flag.kind == kind])
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            text += " " + words.format(", ".join(names[:3]) + more)
    if not found.flags:
        text += " No judge stands out."
    return text


def _grade(alpha: Estimate) -> str:
    # Krippendorff (2004, section 11.4.2)
    if alpha.low >= 0.8:
        return "good"
    if alpha.low >= 0.667:
        return "enough for tentative conclusions"
    return "too little to rely on" if alpha.high < 0.667 else "perhaps too little to rely on"


def _estimate(one: Estimate, digits: int = 2) -> str:
    if one.value != one.value:
        return "unknown, as the ratings do not vary"
    return f"{signed(one.value, digits)} ({interval(one.low, one.high, digits)})"


def _cell(one: Estimate) -> str:
    return "–" if one.value != one.value else _estimate(one)


def _percents(one: Estimate) -> str:
    return "–" if one.value != one.value else f"{one.value:.0%}, {one.low:.0%} to {one.high:.0%}"


def _short(name: str, longest: int = 24) -> str:
    """The middle is left out: ends of names tell versions apart."""
    if len(name) <= longest:
        return name
    left = (longest - 1) // 2
    return f"{name[:left]}…{name[left + 1 - longest :]}"


# --- tables -----------------------------------------------------------------------------------


def _judges_table(found: Graders, facets: Facets) -> Grid:
    return Grid(
        ("Judge", "Ratings", "Mean", "Level", "Infit", "Outfit"),
        tuple(
            (
                judge.name,
                f"{judge.ratings:,}",
                f"{judge.mean:.2f}",
                f"{signed(judge.points)} ({interval(judge.low, judge.high)})",
                f"{judge.infit:.2f} ({interval(judge.infit_low, judge.infit_high)})",
                f"{judge.outfit:.2f}",
            )
            for judge in sorted(facets.judges, key=lambda judge: -judge.points)
        ),
        "Judges",
        "Level: points that it rates the same cell higher than the average judge. Infit and "
        "outfit: squared differences from what the other judges lead one to expect, over what is "
        "due to chance; 1 is as it should be, more is erratic. Outfit feels far-off ratings most. "
        "Intervals have 90% probability.",
    )


def _agreement_table(found: Graders) -> Grid:
    got = found.agreement
    return Grid(
        ("Agreement", "Estimate"),
        (
            ("α, ordinal", _cell(got.ordinal)),
            ("α, interval", _cell(got.interval)),
            ("α, nominal", _cell(got.nominal)),
            ("All judges equal", _percents(got.all_equal)),
        ),
        "Agreement of all judges",
        "α is 1 for full agreement and 0 for what chance would give. From 0.8 ratings can be "
        "relied on, below 0.667 they cannot (Krippendorff 2004). Intervals of 90% by drawing items "
        "again.",
    )


def _pairs_table(found: Graders) -> Grid:
    pairs = sorted(found.agreement.pairs, key=lambda pair: pair.kappa.value)
    return Grid(
        ("Judges", "Cells", "Weighted κ", "Equal"),
        tuple(
            (
                f"{pair.first} and {pair.second}",
                f"{pair.cells:,}",
                _cell(pair.kappa),
                _percents(pair.exact),
            )
            for pair in pairs
        ),
        "Agreement of each two",
        "κ is weighted by squared distance (Cohen 1968).",
    )


def _favour_parts(found: Graders, facets: Facets) -> list[Part]:
    if not facets.favours:
        return [
            Text(
                "Favour for a family cannot be looked for: it needs agents of two known families "
                "that a judge rated, and with two judges one of the judge's own family.",
                hint=True,
            )
        ]
    parts: list[Part] = []
    if len(facets.judges) <= _MOST_JUDGES and len({one.group for one in facets.favours}) > 1:
        parts.append(_favour_plot(found, facets))
    rows = sorted(facets.favours, key=lambda one: (not one.found, not one.own, -abs(one.points)))
    parts.append(
        Grid(
            ("Judge", "Rates", "Agents", "Ratings", "Points", "Adjusted p"),
            tuple(
                (
                    one.judge,
                    one.group + (" (its own)" if one.own and one.group != ITSELF else ""),
                    str(one.agents),
                    f"{one.ratings:,}",
                    f"{signed(one.points)} ({interval(one.low, one.high)})",
                    _p(one.q),
                )
                for one in rows
            ),
            "How each judge rates each family, apart from its level",
            "Points above what the other judges' ratings lead one to expect; its own families "
            "first. The p-value is of a favour of at most 1% of the scale, once the flagged ones "
            "are accounted for.",
            words=(1,),
        )
    )
    return parts


def _dispute_parts(found: Graders, facets: Facets) -> list[Part]:
    several = tuple(one for one in facets.disputes if one.cells > 1)
    parts: list[Part] = []
    if len(several) > 1:
        parts.append(_disputes_plot(several[:_MOST_ITEMS]))
    parts.append(
        Grid(
            ("Item", "Cells", "Sd within cells", "Dispute", "Adjusted p"),
            tuple(
                (
                    one.item,
                    str(one.cells),
                    f"{one.spread:.2f}",
                    f"{one.ratio:.2f} ({interval(one.low, one.high)})",
                    _p(one.q),
                )
                for one in facets.disputes
            ),
            "Items by how much the judges dispute them",
            "Dispute: squared differences between the judges of a cell, over what the model of the "
            "judges expects where ratings are as high. The p-value is of at most 1.2.",
        )
    )
    parts.append(
        Grid(
            ("Item", "Agent", "Ratings"),
            tuple(
                (
                    cell.item,
                    cell.agent,
                    "·".join("–" if x != x else f"{x:g}" for x in cell.ratings),
                )
                for cell in facets.cells
            ),
            "Cells to read first",
            f"Where the judges are furthest apart; ratings of {', '.join(found.judges)}, in this "
            "order.",
            words=(1,),
            shown=8,
        )
    )
    return parts


def _p(q: float) -> str:
    return "–" if q != q else "< 0.001" if q < 0.001 else f"{q:.3f}"


def _joint_table(found: Contradictions) -> Grid:
    one, two = found.graders
    marks = [found.cuts[1](np.array([value]))[0] for value in found.second_scale]
    return Grid(
        (
            f"{one} \\ {two}",
            *(
                f"{_value(value)}{' (yes)' * bool(mark)}"
                for value, mark in zip(found.second_scale, marks, strict=True)
            ),
        ),
        tuple(
            (
                f"{_value(value)}{' (yes)' * bool(found.cuts[0](np.array([value]))[0])}",
                *(f"{n:,}" for n in row),
            )
            for value, row in zip(found.first_scale, found.joint, strict=True)
        ),
        "Cells by what each grader says",
        f"Rows: {one}, yes is {found.cuts[0]}. Columns: {two}, yes is {found.cuts[1]}.",
    )


def _rates_table(found: Contradictions) -> Grid:
    one, two = found.graders
    return Grid(
        ("What", "Share and interval"),
        (
            ("Cells with a contradiction", _percents(found.rate)),
            (f"{two} says no where {one} says yes", _percents(found.first_only)),
            (f"{one} says no where {two} says yes", _percents(found.second_only)),
            ("κ of the two verdicts", signed(found.kappa)),
        ),
        "How often",
    )


def _every_contradiction(found: Contradictions) -> Grid:
    place = {row.name: n for n, row in enumerate(found.items)}
    rows = sorted(found.found, key=lambda x: (place[x.item], x.agent, x.trial))
    repeated = any(x.trial for x in rows)
    more = len(rows) - _MOST_CONTRADICTIONS
    return Grid(
        ("Item", "Agent", *("Trial",) * repeated, *found.graders),
        tuple(
            (x.item, x.agent, *(str(x.trial),) * repeated, _value(x.first), _value(x.second))
            for x in rows[:_MOST_CONTRADICTIONS]
        ),
        "Every contradiction" if more <= 0 else f"The first {_MOST_CONTRADICTIONS} contradictions",
        "By item, those with most contradictions first."
        + (f" {more:,} more are in the JSON file." if more > 0 else ""),
        words=(1,),
    )


def _value(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _concentrations_table(found: Contradictions, what: str, rows: Sequence[Concentration]) -> Grid:
    one, two = found.graders
    return Grid(
        (what, "Cells", f"{one} alone", f"{two} alone", "Rate"),
        tuple(
            (
                row.name,
                str(row.cells),
                str(row.first_only),
                str(row.second_only),
                _percents(row.rate),
            )
            for row in rows
            if row.first_only + row.second_only
        ),
        f"Contradictions by {what.lower()}",
        "How often only one of the two says yes; the rate is of both kinds, with its interval.",
    )


# --- plots ------------------------------------------------------------------------------------


def _drawn(name: str, title: str, draw: Callable[[bool], "Figure"]) -> Callable[[bool], str]:
    return lambda wide: render_svg(
        lambda: draw(wide), f"graders-{name}-{'wide' if wide else 'narrow'}", title
    )


def _levels_plot(found: Graders, facets: Facets) -> Plot:
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


def _agreement_plot(found: Graders) -> Plot:
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


def _favour_plot(found: Graders, facets: Facets) -> Plot:
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


def _disputes_plot(items: Sequence[Dispute]) -> Plot:
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
