"""Sections about how well the model fits: item by item, and the whole table."""

from typing import TYPE_CHECKING

import numpy as np

from harness.health.evidence import Evidence
from harness.health.flags import names_of
from harness.health.items.item_fit import Curve, ItemFit, ItemFits
from harness.health.structure.model_fit import ModelFit
from harness.irt import Array
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, RULE, WARN
from harness.report.sections import (
    Caution,
    Grid,
    Part,
    Section,
    Text,
    both,
    interval,
    signed,
    width_of,
)
from harness.report.wording import count, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TABLE = 12
_LONGEST_WIDE, _LONGEST_NARROW = 26, 20
"""Characters of a name in a plot."""


def item_fit_section(found: ItemFits, evidence: Evidence) -> Section:
    """Items that do not follow their curve."""
    flagged = set(names_of(found.flags))
    judged = sum(one.q == one.q for one in found.items)
    finding = f"No item of {judged} that could be judged departs from its curve beyond chance."
    if flagged:
        finding = (
            f"{count(len(flagged), 'item')} of {judged} "
            f"{'departs' if len(flagged) == 1 else 'depart'} from the fitted curve beyond chance."
        )
    if not judged:
        finding = "No item has outcomes enough, and differing ones, to tell misfit from chance."
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if found.curves:
        binary = any(len(curve.fitted) == 1 for curve in found.curves)
        parts.append(
            both(
                lambda wide: curves_plot(found, wide),
                "Lines: probability of scoring in a category or above, by the model; with two "
                "categories, of success. Dots: share of agents of about that ability who did"
                + (", and in grey where that of 90% of such groups would lie." if binary else ".")
                + (" In the colour of warnings: flagged items." if flagged else ""),
                title="Items that fit worst, worst first",
            )
        )
    if any(one.p == one.p for one in found.items):
        parts.append(
            both(
                lambda wide: squares_plot(found, wide),
                "Each dot is an item on which outcomes differ. Infit counts agents for whom the "
                "item is neither easy nor hard, outfit is ruled by surprises far from its "
                "difficulty; 1 is as expected. "
                "Right of 1 outcomes are noisier than the curve, left of it they follow ability "
                "more strictly.",
                title="Infit and outfit",
            )
        )
    worst = sorted((one for one in found.items if one.p == one.p), key=lambda one: one.p)
    if worst:
        parts.append(_table(worst[: max(_TABLE, len(flagged))]))
        parts.append(
            Text(
                "What is flagged is judged by simulation from the fitted curves (p and adjusted "
                "p); p of S-X² and the z are those of textbooks, shown for comparison with other "
                "programs, and wrong with so few agents.",
                hint=True,
            )
        )
    return Section("Fit of items", finding, found.flags, tuple(parts), "fit")


def _table(items: list[ItemFit]) -> Grid:
    heads = ("Item", "Infit (90%)", "z", "Outfit", "z", "S-X²", "df", "p of S-X²", "p", "Adjusted")
    return Grid(
        heads,
        tuple(
            (
                one.item,
                f"{signed(one.infit)} ({interval(one.infit_low, one.infit_high)})",
                signed(one.z_infit, 1),
                signed(one.outfit),
                signed(one.z_outfit, 1),
                signed(one.s_x2, 1),
                str(one.df) if one.s_x2 == one.s_x2 else "–",
                _p(one.p_s_x2),
                _p(one.p),
                _p(one.q),
            )
            for one in items
        ),
        title="Fit statistics, worst first",
        shown=8,
    )


def model_fit_section(found: ModelFit, evidence: Evidence) -> Section:
    """Fit of one ability to the whole table."""
    low, high = found.chance
    finding = (
        "Whether one ability explains the table as a whole cannot be said from these outcomes."
    )
    if found.srmsr == found.srmsr:
        beyond = found.srmsr > high
        finding = (
            f"Correlations between items differ from those that one ability explains by "
            f"{found.srmsr:.3f} on average (SRMSR), "
            + ("more than" if beyond else "no more than")
            + f" chance would have it ({low:.3f} to {high:.3f} in simulations of "
            f"{count(found.agents, 'agent')})."
        )
        if beyond:
            finding += (
                " Some items share more than ability: see dependence and dimensions for which."
            )
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if found.limited:
        fit = found.limited
        rows = (
            ("M2", f"{fit.m2:.1f}"),
            ("Degrees of freedom", str(fit.df)),
            ("p", f"{fit.p:.3f}"),
            ("RMSEA (90%)", f"{fit.rmsea:.3f} ({interval(fit.rmsea_low, fit.rmsea_high, 3)})"),
        )
        parts.append(
            Grid(
                ("Statistic", "Value"),
                rows,
                title="Limited-information fit",
                caption="An RMSEA below 0.05 is commonly called a close fit.",
            )
        )
    return Section("Fit of the whole model", finding, found.flags, tuple(parts), "model-fit")


# --- plots ------------------------------------------------------------------------------------


def curves_plot(found: ItemFits, wide: bool) -> str:
    """Fitted against empirical curves of the items that fit worst, one panel an item."""
    flagged = set(names_of(found.flags))
    shown = found.curves if wide else found.curves[:6]

    def draw() -> "Figure":
        columns = 3 if wide else 2
        rows = -(-len(shown) // columns)
        figure = plots.new_figure(width_of(wide), 0.5 + (1.75 if wide else 1.6) * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, curve in zip(panels, shown, strict=False):
            _draw_curve(axes, curve, WARN if curve.item in flagged else ACCENT)
            longest = _LONGEST_WIDE if wide else _LONGEST_NARROW
            axes.set_title(_cut(curve.item, longest), fontsize=8, color=INK, loc="left", pad=4)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        # the last panel of each column bears the axis, whether or not a row is full
        for axes in panels[max(len(shown) - columns, 0) : len(shown)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel("Ability", fontsize=9, color=MUTED)
        return figure

    return plots.render_svg(
        draw, f"health-curves-{'wide' if wide else 'narrow'}", "Fitted and empirical curves"
    )


def _draw_curve(axes: "Axes", curve: Curve, colour: str) -> None:
    _frame(axes)
    x = [group.ability for group in curve.groups]
    levels = len(curve.fitted)
    for level, fitted in enumerate(curve.fitted):
        # paler the lower the category
        strength = (level + 1) / levels
        axes.plot(curve.ability, fitted, color=INK, linewidth=1.1, alpha=0.35 + 0.65 * strength)
        low, high, share = (
            [getattr(group, what)[level] for group in curve.groups]
            for what in ("low", "high", "reached")
        )
        if levels == 1:
            axes.fill_between(x, low, high, color=MUTED, alpha=0.2, linewidth=0)
        axes.scatter(
            x,
            share,
            s=13,
            color=colour,
            alpha=0.4 + 0.6 * strength,
            linewidths=0,
            zorder=3,
            clip_on=False,
        )
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])


def _cut(name: str, longest: int) -> str:
    """A name without its middle: those of one benchmark differ at either end."""
    shown = printable(name)
    half = longest // 2
    return shown if len(shown) <= longest else f"{shown[: half - 1]}…{shown[-half:]}"


def squares_plot(found: ItemFits, wide: bool) -> str:
    """Outfit against infit."""
    flagged = set(names_of(found.flags))

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 3.0)
        axes = figure.subplots()
        _frame(axes)
        items = [one for one in found.items if one.p == one.p and one.outfit > 0]
        x, y = (np.array([getattr(one, what) for one in items]) for what in ("infit", "outfit"))
        bad = np.array([one.item in flagged for one in items], bool)
        axes.axvline(1, color=INK, linewidth=0.9)
        axes.axhline(1, color=INK, linewidth=0.9)
        for them, colour, order in ((~bad, ACCENT, 3), (bad, WARN, 4)):
            axes.scatter(
                x[them], y[them], s=14, color=colour, alpha=0.6, linewidths=0, zorder=order
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        _ticks(axes, x, y)
        axes.set_xlabel("Infit")
        axes.set_ylabel("Outfit")
        return figure

    return plots.render_svg(
        draw, f"health-squares-{'wide' if wide else 'narrow'}", "Infit and outfit of each item"
    )


def _ticks(axes: "Axes", x: Array, y: Array) -> None:
    """Few round ticks on logarithmic axes."""
    for values, limit, ticks in (
        (x, axes.set_xlim, axes.set_xticks),
        (y, axes.set_ylim, axes.set_yticks),
    ):
        low, high = min(0.65, values.min() / 1.08), max(1.5, values.max() * 1.08)
        limit(low, high)
        near, far = (0.3, 0.5, 0.7, 1, 1.4, 2, 3), (0.01, 0.05, 0.2, 0.5, 1, 2, 5, 20)
        every = near if high / low < 10 else far
        seen = [tick for tick in every if low <= tick <= high]
        ticks(seen, [f"{tick:g}" for tick in seen])
        ticks([], minor=True)


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else signed(value, 3)


def _frame(axes: "Axes") -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
