"""What a page says of items that are easier or harder for one group of agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.health.evidence import Evidence
from harness.health.flags import RATE, names_of
from harness.health.structure.functioning import LARGE, SMALL, Functioning, GroupEffect
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN, new_figure, render_svg
from harness.report.sections import (
    Caution,
    Grid,
    Part,
    Section,
    both,
    interval,
    signed,
    width_of,
)
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = 16
_ROWS = 60
_PANELS = 6
_HEAP = 0.01
"""Effect sizes below this are not drawn."""


@dataclass(frozen=True)
class _Row:
    """One item for one group."""

    item: str
    one: GroupEffect
    at: int

    @property
    def q(self) -> float:
        return float(min(self.one.q[self.at], self.one.q_shape[self.at]))

    @property
    def shift(self) -> float:
        return float(self.one.shift[self.at])


def functioning_section(found: Functioning, evidence: Evidence) -> Section:
    """Differential functioning by family, scaffold and year."""
    cautions = [Caution(text) for text in found.cautions]
    rows = _rows(found)
    if not rows:
        return Section(
            "Fairness to groups of agents",
            "No group of agents is large enough to say whether an item is easier for it than its "
            "ability says.",
            found.flags,
            tuple(cautions),
            "functioning",
        )
    flagged = frozenset(names_of(found.flags))
    parts: list[Part] = [
        *cautions,
        both(
            lambda wide: render_svg(
                lambda: _draw_forest(rows[:_BARS], wide),
                f"functioning-forest-{'wide' if wide else 'narrow'}",
                "Shift of the items that differ most, with intervals",
            ),
            "How many logits easier an item is for the group named, at equal ability, with its 90% "
            "interval; 1 logit turns an even chance into 73%. To the right it favours the group, "
            "to the left it is harder for it. Filled points are significant after adjustment for "
            "the number of items and not small; open ones are the largest of the rest.",
            "Items that differ most between groups",
        ),
        both(
            lambda wide: render_svg(
                lambda: _draw_groups(_largest(found), wide),
                f"functioning-groups-{'wide' if wide else 'narrow'}",
                "Effect size against shift, a panel a group",
            ),
            "Each point is an item: across, how many logits easier it is for the group; up, how "
            f"much the group adds to R²; those below {_HEAP:g} are left out. Above the lower line "
            f"({SMALL:g}) an effect is moderate, above the upper ({LARGE:g}) large. Points in "
            "colour are significant too.",
            "All items, group by group",
        ),
        _groups_table(found),
        _items_table(rows),
    ]
    return Section(
        "Fairness to groups of agents",
        _finding(found, len(flagged), len(evidence.responses.items)),
        found.flags,
        tuple(parts),
        "functioning",
    )


def _rows(found: Functioning) -> list[_Row]:
    """Items and groups, most certain first; of each item and attribute the group that differs
    most."""
    best: dict[tuple[str, int], _Row] = {}
    for one in found.groups:
        for at in np.flatnonzero(np.isfinite(one.q)):
            row = _Row(found.items[at], one, int(at))
            other = best.get((one.attribute, int(at)))
            if other is None or row.q < other.q:
                best[one.attribute, int(at)] = row
    return sorted(best.values(), key=lambda row: (not _sure(row), row.q, -abs(row.shift)))


def _sure(row: _Row) -> bool:
    one, at = row.one, row.at
    uniform = one.q[at] <= RATE and one.gain[at] >= SMALL
    return bool(uniform or (one.q_shape[at] <= RATE and one.gain_shape[at] >= SMALL))


def _largest(found: Functioning) -> list[GroupEffect]:
    shown = [one for one in found.groups if np.isfinite(one.q).any()]
    first = sorted(shown, key=lambda one: -min(one.agents, one.others))[:_PANELS]
    return [one for one in shown if one in first]


def _finding(found: Functioning, flagged: int, items: int) -> str:
    attributes = list(dict.fromkeys(one.attribute for one in found.groups))
    groups = len(found.groups)
    by = attributes[0] if len(attributes) == 1 else f"{', '.join(attributes[:-1])} and "
    by += attributes[-1] if len(attributes) > 1 else ""
    many = f"{groups} group{'s' * (groups != 1)} of agents by {by}"
    if not flagged:
        text = f"None of {items} items is clearly easier or harder for one of {many}"
    else:
        favours = sum(flag.estimate > 0 for flag in found.flags)
        text = (
            f"{flagged} of {items} items {'is' if flagged == 1 else 'are'} not equally hard for "
            f"agents of equal ability, among {many}; {favours} of {len(found.flags)} flags "
            f"{'is' if favours == 1 else 'are'} in favour of the group"
        )
    wide = [repr(one.group) for one in found.groups if one.beyond]
    if wide:
        named = ", ".join(wide[:4]) + (" and others" if len(wide) > 4 else "")
        text += (
            f". Over all items together {named} differ from the rest in what they are good at, "
            "more than chance makes them"
        )
    return f"{text}."


def _groups_table(found: Functioning) -> Grid:
    return Grid(
        ("Group", "Attribute", "Agents", "Others", "Flagged", "Spread", "Seen from"),
        tuple(
            (
                printable(one.group),
                one.attribute,
                str(one.agents),
                str(one.others),
                str(
                    sum(_sure(_Row("", one, at)) for at in map(int, np.flatnonzero(one.q == one.q)))
                ),
                signed(one.spread),
                signed(one.least, 1) if not one.least > 8 else "> 8",
            )
            for one in found.groups
        ),
        "Groups compared",
        "Each against all other agents. Spread: how widely items differ, 1 being chance. Seen "
        "from: logits by which a typical item must differ to be found at all.",
        words=(1,),
    )


def _items_table(rows: Sequence[_Row]) -> Grid:
    return Grid(
        (
            *("Item", "Group", "Scored", "Expected", "Logits easier", "90% interval", "ΔR²"),
            "Adjusted p",
        ),
        tuple(
            (
                printable(row.item),
                printable(f"{row.one.group} ({row.one.attribute})"),
                f"{row.one.observed[row.at]:.0%}",
                f"{row.one.expected[row.at]:.0%}",
                signed(row.shift, 1),
                interval(float(row.one.low[row.at]), float(row.one.high[row.at]), 1),
                f"{max(row.one.gain[row.at], row.one.gain_shape[row.at]):.3f}",
                f"{row.q:.3f}" if row.q >= 0.001 else "<0.001",
            )
            for row in rows[:_ROWS]
        ),
        "Largest differences, flagged or not",
        f"Only those with an adjusted p of {RATE:g} or less and an effect that is not negligible "
        "are flagged; the rest is what to watch as agents are added.",
        words=(1,),
    )


# --- drawing ----------------------------------------------------------------------------------


def short(name: str, longest: int) -> str:
    """A name that fits beside a plot: its end tells items apart more often than its start."""
    shown = printable(name, len(name))
    if len(shown) <= longest:
        return shown
    head = longest // 3
    return f"{shown[:head]}…{shown[-(longest - head - 1) :]}"


def leave_out(panels: "Sequence[Axes]", count: int, columns: int) -> None:
    """Hide panels beyond the first few; those above them get the labels of the axis."""
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)


def _draw_forest(rows: Sequence[_Row], wide: bool) -> "Figure":
    figure = new_figure(width_of(wide), 0.75 + (0.27 if wide else 0.4) * len(rows))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    ends = [abs(row.shift) for row in rows]
    reach = max(1.0, 1.15 * max(ends) + 0.8)
    for y, row in enumerate(rows):
        colour = ACCENT if row.shift > 0 else WARN
        low, high = float(row.one.low[row.at]), float(row.one.high[row.at])
        axes.axhline(y, color=RULE, linewidth=0.6, zorder=0)
        sides = np.clip([low, high], -reach, reach)
        axes.plot(sides, [y, y], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        axes.scatter(
            [row.shift],
            [y],
            s=30,
            linewidths=1.3,
            edgecolors=colour,
            facecolors=colour if _sure(row) else PAPER,
            zorder=3,
        )
    between = " · " if wide else "\n"
    names = [
        f"{short(row.item, 34 if wide else 22)}{between}{short(row.one.group, 18)}" for row in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=8 if wide else 7.5, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-reach, reach)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=7 if wide else 5)
    axes.set_xlabel("Logits easier for the group" if wide else "Logits easier")
    return figure


def _draw_groups(groups: Sequence[GroupEffect], wide: bool) -> "Figure":
    columns = min(3 if wide else 2, len(groups))
    rows = -(-len(groups) // columns)
    figure = new_figure(width_of(wide), 0.35 + (1.75 if wide else 1.55) * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    values = np.concatenate([one.shift[np.isfinite(one.shift)] for one in groups])
    gains = np.concatenate([one.gain[np.isfinite(one.gain)] for one in groups])
    reach = max(1.0, 1.1 * float(np.abs(values).max()))
    top = max(1.6 * LARGE, 1.1 * float(gains.max()))
    for axes, one in zip(panels, groups, strict=False):
        _draw_group(axes, one)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-0.03 * top, top)
        axes.locator_params(axis="both", nbins=4)
        axes.set_title(
            f"{short(one.group, 18 if wide else 13)} ({one.agents})",
            fontsize=8.5,
            color=INK,
            loc="left",
            parse_math=False,
        )
    leave_out(list(panels), len(groups), columns)
    figure.supxlabel("Logits easier for the group", fontsize=9, color=MUTED)
    figure.supylabel("Added to R²", fontsize=9, color=MUTED)
    return figure


def _draw_group(axes: "Axes", one: GroupEffect) -> None:
    for line in (SMALL, LARGE):
        axes.axhline(line, color=RULE, linewidth=0.8, zorder=0)
    axes.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    known = np.flatnonzero(np.isfinite(one.q))
    sure = np.array([_sure(_Row("", one, int(at))) for at in known])
    # most items lie in a heap at zero, of which one point says as much as a hundred
    shown = one.gain[known] >= _HEAP
    rest, found = known[~sure & shown], known[sure]
    axes.scatter(one.shift[rest], one.gain[rest], s=7, color=MUTED, alpha=0.45, linewidths=0)
    for colour, those in (
        (ACCENT, found[one.shift[found] > 0]),
        (WARN, found[one.shift[found] <= 0]),
    ):
        axes.scatter(one.shift[those], one.gain[those], s=22, color=colour, linewidths=0, zorder=3)
