"""What a page says of agents that one ability does not explain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.health.agents.analysis import AgentsFit
from harness.health.agents.fit import AgentFit
from harness.health.evidence import Evidence
from harness.health.flags import Flag, names_of
from harness.report.health.functioning import leave_out, short
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN, new_figure, render_svg
from harness.report.sections import (
    Caution,
    Grid,
    Part,
    Section,
    Text,
    both,
    signed,
    width_of,
)
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 6
_NUMBERED = 9


def agents_section(found: AgentsFit, evidence: Evidence) -> Section:
    """Person fit, patterns, and the outcomes that surprise most."""
    chosen = _chosen(found)
    flagged = names_of(found.flags)
    numbers = {one.name: i + 1 for i, one in enumerate(chosen[:_NUMBERED])}
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if any(one.corrected == one.corrected for one in found.agents):
        numbered = ", ".join(f"{i} {printable(name, 40)}" for name, i in numbers.items())
        parts.append(
            both(
                lambda wide: render_svg(
                    lambda: _draw_fit(found, frozenset(flagged), numbers, wide),
                    f"agents-fit-{'wide' if wide else 'narrow'}",
                    "Person fit against ability",
                ),
                "Each point is an agent. Low means that its outcomes agree with one ability less "
                "than chance allows; the band holds 95% of agents like most here. "
                f"Numbers: {numbered}.",
                "How well one ability explains each agent",
            )
        )
    shown = chosen[:_PANELS]
    if shown:
        parts += [
            both(
                lambda wide: render_svg(
                    lambda: _draw_panels(shown, numbers, wide),
                    f"agents-patterns-{'wide' if wide else 'narrow'}",
                    "Observed and expected score by difficulty",
                ),
                "Items in groups of equal number, hardest at the left. The line is what ability "
                "says, with a 90% band; the points are what the agent scored. Points below the "
                "band at the right are easy items failed; above it at the left, hard ones solved.",
                "Agents flagged, by difficulty of the items"
                if flagged
                else "The agents that fit worst, by difficulty of the items",
            ),
            _surprises_table(shown),
        ]
    else:
        parts.append(Text("No outcome is improbable enough to be listed.", hint=True))
    parts.append(_agents_table(found))
    return Section("Agents", _finding(found, len(flagged)), found.flags, tuple(parts), "agents")


def _chosen(found: AgentsFit) -> list[AgentFit]:
    """Those flagged, or else the three that fit worst."""
    by_name = {one.name: one for one in found.agents}
    flagged = [by_name[name] for name in names_of(found.flags)]
    if flagged:
        return flagged
    known = [one for one in found.agents if one.corrected == one.corrected and one.bins]
    return sorted(known, key=lambda one: one.corrected)[:3]


def _finding(found: AgentsFit, flagged: int) -> str:
    count = len(found.agents)
    if not flagged:
        return (
            f"The outcomes of all {count} agents agree with what their abilities say as well as "
            "those of the others do: no sign of failing on purpose, of known solutions or of a "
            "broken scaffold."
        )
    words = {
        "underperforms on easy items": "failing easy items that it should solve",
        "contamination": "looking as if it knew some of the items",
        "broken scaffold": "failing whole blocks, or at random, as a broken scaffold does",
        "unusual agent": "unusual without a clear pattern",
    }
    told = [
        f"{len(names)} {how}" for kind, how in words.items() if (names := _named(found.flags, kind))
    ]
    return (
        f"{flagged} of {count} agents {'has' if flagged == 1 else 'have'} outcomes that ability "
        f"does not explain: {'; '.join(told)}. Look at the logs before such scores are used, or "
        "used to calibrate."
    )


def _named(flags: Sequence[Flag], kind: str) -> tuple[str, ...]:
    return names_of([flag for flag in flags if flag.kind == kind])


def _surprises_table(shown: Sequence[AgentFit]) -> Grid:
    return Grid(
        ("Agent", "Item", "Expected", "Got"),
        tuple(
            (printable(one.name), printable(s.item), f"{s.expected:.0%}", f"{s.got:.0%}")
            for one in shown
            for s in one.surprises
        ),
        "Outcomes that surprise most",
        "What ability on all items says, and what was scored.",
        words=(1,),
        shown=16,
    )


def _agents_table(found: AgentsFit) -> Grid:
    kinds = {name: flag.kind for flag in reversed(found.flags) for name in flag.names}
    dated = any(one.dated for one in found.agents)
    worst = sorted(
        found.agents, key=lambda one: (one.name not in kinds, np.nan_to_num(one.corrected, nan=99))
    )
    heads = ("Agent", "Score", "Ability", "lz*", "Adjusted p", "Outfit", "Infit", "Fails easy")
    heads += ("Solves hard", *(("Older − newer",) if dated else ()), "Flag")
    return Grid(
        heads,
        tuple(
            (
                printable(one.name),
                f"{one.score:.0%}",
                signed(one.ability),
                signed(one.corrected, 1),
                _p(one.q),
                signed(one.outfit),
                signed(one.infit),
                f"{one.easy.strength:.0%}" if one.easy.log_bayes_factor > 0 else "",
                f"{one.hard.strength:.0%}" if one.hard.log_bayes_factor > 0 else "",
                *((signed(one.dated.estimate) if one.dated else "",) if dated else ()),
                kinds.get(one.name, ""),
            )
            for one in worst
        ),
        "All agents, least explained first",
        "lz*: person fit, about −2 or less is poor. Outfit and infit: mean squared residual, 1 as "
        "expected. Fails easy, solves hard: share of the easiest or hardest items that go wrong or "
        "right whatever the ability, where there is evidence of it."
        + (
            " Older − newer: how much higher ability is on items older than the model, in sds."
            if dated
            else ""
        ),
        words=(len(heads) - 1,),
    )


def _p(value: float) -> str:
    if value != value:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


# --- drawing ----------------------------------------------------------------------------------


def _draw_fit(
    found: AgentsFit, flagged: frozenset[str], numbers: dict[str, int], wide: bool
) -> "Figure":
    figure = new_figure(width_of(wide), 2.7 if wide else 2.5)
    axes = figure.subplots()
    half = 1.96 * max(found.spread, 1.0)
    axes.axhspan(found.centre - half, found.centre + half, color=MUTED, alpha=0.12, linewidth=0)
    axes.axhline(found.centre, color=MUTED, linewidth=1.0)
    known = [one for one in found.agents if one.corrected == one.corrected]
    for colour, size, those in (
        (ACCENT, 20, [one for one in known if one.name not in flagged]),
        (WARN, 34, [one for one in known if one.name in flagged]),
    ):
        axes.scatter(
            [one.ability for one in those],
            [one.corrected for one in those],
            s=size,
            color=colour,
            alpha=0.85,
            linewidths=0.6,
            edgecolors=PAPER,
            zorder=3,
        )
    for one in known:
        if one.name in numbers:
            axes.annotate(
                str(numbers[one.name]),
                (one.ability, one.corrected),
                (5, 3),
                textcoords="offset points",
                fontsize=8.5,
                color=INK,
                zorder=4,
            )
    axes.margins(x=0.06, y=0.1)
    axes.locator_params(axis="both", nbins=7 if wide else 5)
    axes.set_xlabel("Ability")
    axes.set_ylabel("Person fit lz*")
    return figure


def _draw_panels(shown: Sequence[AgentFit], numbers: dict[str, int], wide: bool) -> "Figure":
    columns = min(3 if wide else 2, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(width_of(wide), 0.35 + (1.85 if wide else 1.5) * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, one in zip(panels, shown, strict=False):
        _draw_panel(axes, one)
        axes.set_title(
            f"{numbers[one.name]} {short(one.name, 24 if wide else 17)}",
            fontsize=8.5,
            color=INK,
            loc="left",
            parse_math=False,
        )
    leave_out(list(panels), len(shown), columns)
    panels[0].set_ylim(-0.05, 1.05)
    panels[0].set_xlim(-0.03, 1.03)
    panels[0].set_xticks([0, 0.5, 1], ["hard", "", "easy"])
    panels[0].set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    figure.supylabel("Score", fontsize=9, color=MUTED)
    return figure


def _draw_panel(axes: "Axes", one: AgentFit) -> None:
    x = np.linspace(0, 1, len(one.bins)) if len(one.bins) > 1 else np.array([0.5])
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    low, high = ([getattr(b, end) for b in one.bins] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=MUTED, alpha=0.18, linewidth=0)
    axes.plot(x, [b.expected for b in one.bins], color=MUTED, linewidth=1.2)
    outside = np.array([not b.low <= b.observed <= b.high for b in one.bins])
    observed = np.array([b.observed for b in one.bins])
    for colour, those in ((ACCENT, ~outside), (WARN, outside)):
        axes.scatter(x[those], observed[those], s=24, color=colour, linewidths=0, zorder=3)
