"""Rankings of models and scaffolds, as a page and as the rows of a table."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from harness.parts.rank import Effect, Ranking, sentences
from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, RULE
from harness.report.sections import Caution, Grid, Section, Text, both, interval, signed, width_of
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_SHOWN = {True: 40, False: 25}
"""Rows of the plot on wide and narrow screens."""

RANK_HEADS = {
    "model": ("model", "effect", "interval", "ability", "agents", "shared scaffolds", "best"),
    "scaffold": ("scaffold", "effect", "interval", "ability", "agents", "shared models", "best"),
}


def rank_cells(effect: Effect) -> tuple[str, ...]:
    """What :data:`RANK_HEADS` say of a model or scaffold."""
    return (
        printable(effect.name, 60),
        signed(effect.effect),
        interval(effect.low, effect.high),
        signed(effect.ability),
        str(effect.agents),
        str(effect.partners) if effect.partners else "none: confounded",
        "–" if math.isnan(effect.best) else f"{effect.best:.0%}",
    )


def render_rank_page(rankings: Sequence[Ranking], refusals: Sequence[str], version: str) -> str:
    """The page as text, to be written as UTF-8."""
    first = rankings[0]
    return render_sections(
        Page(
            title=f"Models and scaffolds on {printable(first.bank, 60)}",
            over="What makes agents able",
            figures=tuple(
                Figure(word, f"{share:.0%}", "of the variance of ability")
                for word, share in first.shares
            ),
            notes=tuple(f"Not ranked: {refusal}." for refusal in refusals),
            sections=(*map(_section, rankings), _meaning(first)),
            facts=(("Bank", printable(first.bank, 60)), ("Agents", str(first.agents))),
            version=version,
        )
    )


def _section(ranking: Ranking) -> Section:
    finding, *others = sentences(ranking)
    return Section(
        f"{ranking.by.capitalize()}s",
        finding,
        parts=(
            both(
                partial(_plot, ranking),
                f"How much abler agents with each {ranking.by} are than the average agent, with "
                f"{ranking.level:.0%} intervals. "
                "Hollow ones share no partner with another, and are confounded with it.",
            ),
            *(Text(text) for text in others),
            Grid(RANK_HEADS[ranking.by], tuple(map(rank_cells, ranking.effects))),
        ),
        key=f"{ranking.by}s",
    )


def _plot(ranking: Ranking, wide: bool) -> str:
    return plots.render_svg(
        lambda: _draw(ranking.effects[: _SHOWN[wide]], wide),
        f"rank-{ranking.by}-{'wide' if wide else 'narrow'}",
        f"Intervals of the ability of each {ranking.by}",
    )


def _draw(effects: Sequence[Effect], wide: bool) -> "Drawing":
    figure = plots.new_figure(width_of(wide), 0.6 + 0.2 * len(effects))
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    for row, effect in enumerate(effects):
        colour = MUTED if effect.confounded else ACCENT
        axes.hlines(row, effect.low, effect.high, color=colour, linewidth=1.6)
        axes.plot(
            effect.effect,
            row,
            marker="o",
            markersize=4.5,
            markeredgecolor=colour if effect.confounded else INK,
            markerfacecolor="none" if effect.confounded else INK,
        )
    limit = 40 if wide else 16
    names = [printable(one.name) for one in effects]
    short = [name if len(name) <= limit else f"{name[: limit - 1]}…" for name in names]
    axes.set_yticks(range(len(effects)), short)
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.tick_params(length=0, labelsize=7.5)
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("Ability against the average agent")
    return figure


def _meaning(ranking: Ranking) -> Section:
    return Section(
        "How to read this",
        "Ability = trend over dates + model + scaffold + what is the agent's own.",
        parts=(*_explained(),),
        key="meaning",
    )


def _explained() -> Iterator[Text | Caution]:
    yield Text(
        "The effect of a model is how much abler agents with it are than the average agent, in an "
        "equal scaffold, at the dates of its agents; that of a scaffold is how much abler agents "
        "in it are, with an equal model at an equal date. Effects are drawn towards the average, "
        "the more the fewer agents there are; how much is learned from how models, scaffolds and "
        "agents differ. Ability is what agents with this part reach when the other is average."
    )
    yield Caution(
        "A model that was only seen in a scaffold of its own cannot be told from that scaffold. "
        "Shared partners are what a comparison rests on; with one or two of them it rests on one "
        "or two agents."
    )
    yield Caution(
        "Who tests which model in which scaffold is not random: a scaffold that is made for one "
        "model may do worse with another, and these effects do not know that."
    )
