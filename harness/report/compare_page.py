"""A comparison of runs as one self-contained HTML page."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from harness.irt import Array
from harness.report import plots
from harness.report.compare import Comparison, Pair, score_distribution
from harness.report.difference import Distribution, difference_below
from harness.report.page import templates
from harness.report.plots import ACCENT, INK, MUTED, NARROW, WARN, WIDE
from harness.session import Session
from harness.stop import predicted_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (ACCENT, WARN, INK, MUTED)
_DASHES = ("solid", (0, (4, 2)), (0, (1.2, 1.4)))
_BINS = 120
_SCORES = np.linspace(0.0, 1.0, 401)
_BLUR = 0.012
"""Sd of the blur of a plotted score."""
_UNSEEN = 1e-4
"""Probability in either tail that a plot leaves out."""


def render_compare_page(comparison: Comparison, sessions: Sequence[Session]) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        comparison: what is shown.
        sessions: those that it is of, in the same order.
    """
    from markupsafe import Markup

    scores = [score_distribution(session) for session in sessions]
    order = {side.name: score for side, score in zip(comparison.sides, scores, strict=True)}
    return (
        templates()
        .get_template("compare.html.j2")
        .render(
            comparison=comparison,
            version=version("cat-harness"),
            level=f"{100 * comparison.level:g}%",
            predicted_words=predicted_words,
            score_plot=Markup(_score_plot(comparison, scores)),
            pairs=[
                (pair, Markup(_difference_plot(pair, order[pair.first], order[pair.second])))
                for pair in comparison.pairs
            ],
            signed=lambda number, form: format(number, form).replace("-", "−"),
        )
    )


def _score_plot(comparison: Comparison, scores: Sequence[Distribution]) -> str:
    def draw() -> "Figure":
        figure = plots.new_figure(WIDE, 2.5)
        axes = figure.subplots()
        for number, (side, score) in enumerate(zip(comparison.sides, scores, strict=True)):
            heights = _smooth(score)
            colour = _COLOURS[number % len(_COLOURS)]
            dashes = _DASHES[number // len(_COLOURS) % len(_DASHES)]
            axes.fill_between(100 * _SCORES, heights, color=colour, alpha=0.1, linewidth=0)
            axes.plot(
                100 * _SCORES,
                heights,
                color=colour,
                linewidth=1.6,
                linestyle=dashes,
                label=side.name,
            )
        axes.set_xlabel("Predicted score on the whole bank (%)")
        plots.no_height(axes)
        figure.legend(loc="outside upper left", ncols=9, handlelength=1.8, borderpad=0)
        return figure

    return plots.render_svg(draw, "scores", "Probability of each score on the whole bank")


def _difference_plot(pair: Pair, first: Distribution, second: Distribution) -> str:
    def draw() -> "Figure":
        figure = plots.new_figure(NARROW, 2.1)
        axes = figure.subplots()
        middles, heights = _density(first, second)
        low, high = pair.score.interval.low, pair.score.interval.high
        axes.fill_between(100 * middles, heights, color=ACCENT, alpha=0.12, linewidth=0)
        inside = (middles >= low) & (middles <= high)
        axes.fill_between(
            100 * middles, heights, where=inside.tolist(), color=ACCENT, alpha=0.22, linewidth=0
        )
        axes.plot(100 * middles, heights, color=ACCENT, linewidth=1.6)
        axes.axvline(0, color=INK, linewidth=1.1, dashes=(3, 2))
        axes.set_xlabel(f"Score of {pair.first} minus that of {pair.second} (points)")
        plots.no_height(axes)
        return figure

    return plots.render_svg(
        draw,
        f"difference-{pair.first}-{pair.second}",
        f"Probability of each difference in score between {pair.first} and {pair.second}",
    )


def _smooth(score: Distribution) -> Array:
    """Density at ``_SCORES``, smoothed: scores of items with different categories lie unevenly."""
    off = (_SCORES[:, None] - score.values) / _BLUR
    return np.asarray(np.exp(-0.5 * off**2) @ score.probabilities)


def _density(first: Distribution, second: Distribution) -> tuple[Array, Array]:
    """Middles and heights ``(M,)`` of bins over the first quantity minus the second.

    Bins are as wide as a step of the coarser lattice at least, so that none stays empty between
    two values.
    """
    low = float(first.values[0] - second.values[-1])
    high = float(first.values[-1] - second.values[0])
    if high <= low:
        return np.array([low - 0.01, low, low + 0.01]), np.array([0.0, 1.0, 0.0])
    step = max(
        (float(d.values[1] - d.values[0]) for d in (first, second) if len(d.values) > 1),
        default=high - low,
    )
    lattice = np.arange(low - step / 2, high + step, step)
    below = np.array([difference_below(first, second, gap) for gap in lattice])
    seen = np.flatnonzero((below > _UNSEEN) & (below < 1 - _UNSEEN))
    start, stop = max(int(seen[0]) - 2, 0), min(int(seen[-1]) + 3, len(lattice))
    each = -(-(stop - start) // _BINS)
    edges, mass = lattice[start:stop:each], below[start:stop:each]
    return (edges[:-1] + edges[1:]) / 2, np.diff(mass)
