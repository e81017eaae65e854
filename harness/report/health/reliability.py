"""The section about reliability and precision."""

from typing import TYPE_CHECKING

import numpy as np

from harness.health.evidence import Evidence
from harness.health.structure.reliability import Coefficient, Reliability
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, RULE
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TALLEST = 3.0
"""Of the axis, in the largest standard error of an agent."""


def reliability_section(found: Reliability, evidence: Evidence) -> Section:
    """How reliably agents are told apart, and where precisely."""
    value = found.empirical
    apart = (
        "it tells no groups of agents apart"
        if found.strata < 2
        else f"it tells about {found.strata:.0f} groups of agents apart"
    )
    finding = (
        f"Reliability over these {len(found.abilities)} agents is {signed(value.value)} (90% "
        f"interval {interval(value.low, value.high)}): {apart}. An agent's standard error is "
        f"{signed(min(found.errors))} to {signed(max(found.errors))}, where abilities spread by "
        f"{signed(float(np.std(found.abilities, ddof=1)))}; the benchmark is most precise at an "
        f"ability of {signed(found.best, 1)}."
    )
    parts: list[Part] = [Caution(text) for text in found.cautions]
    parts.append(
        both(
            lambda wide: error_plot(found, wide),
            "Line: standard error of ability with all items. Dots: the agents, with what is "
            "known of agents in general counted in; below, how they are spread. Lower is more "
            "precise.",
            title="Standard error along ability",
        )
    )
    plain = Coefficient(found.marginal, float("nan"), float("nan"))
    model = Coefficient(found.omega, float("nan"), float("nan"))
    parts.append(
        Grid(
            ("Coefficient", "Value", "90%", "What it is"),
            tuple(
                (
                    name,
                    signed(one.value, 3),
                    interval(one.low, one.high, 3) if one.low == one.low else "–",
                    what,
                )
                for name, one, what in (
                    ("Empirical", value, "of ability, over these agents"),
                    ("Marginal", plain, "of ability, over the population of the scale"),
                    (
                        "α",
                        found.alpha,
                        f"of the mean score, over {found.complete} agents with all outcomes",
                    ),
                    ("ω", model, "of the mean score, by the fitted curves"),
                )
            ),
            title="Reliability in four senses",
            caption="All take outcomes of different items as independent given ability. Where "
            "items depend on one another, all four are too high.",
            words=(3,),
        )
    )
    return Section("Reliability", finding, found.flags, tuple(parts), "reliability")


def error_plot(found: Reliability, wide: bool) -> str:
    """Standard error along ability, with the agents on it."""

    def draw() -> "Figure":
        figure = plots.new_figure(width_of(wide), 3.3)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.plot(found.ability, found.error, color=INK, linewidth=1.5)
        axes.scatter(
            found.abilities, found.errors, s=15, color=ACCENT, alpha=0.6, linewidths=0, zorder=3
        )
        top = max(_TALLEST * max(found.errors), 1.2 * min(found.error))
        axes.set_ylim(0, min(top, 1.05 * max(*found.error, *found.errors)))
        axes.set_ylabel("Standard error")
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0)
        bins = np.linspace(found.ability[0], found.ability[-1], 41 if wide else 27)
        below.hist(found.abilities, bins=list(bins), color=MUTED, alpha=0.55, linewidth=0)
        plots.no_height(below)
        below.set_ylabel("Agents")
        below.set_xlabel("Ability")
        below.set_xlim(found.ability[0], found.ability[-1])
        figure.align_ylabels()
        return figure

    return plots.render_svg(
        draw, f"health-error-{'wide' if wide else 'narrow'}", "Standard error along ability"
    )
