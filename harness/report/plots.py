"""The plots of a page, as SVG that takes its colours and font from the page around it."""

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.irt import Array
from harness.report.distributions import AbilityDensity, Distributions
from harness.report.summary import SessionSummary
from harness.report.wording import ability_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib knows no CSS variables: each gets a stand-in colour that no plot uses otherwise
INK, MUTED, RULE, ACCENT, WARN, PAPER = (f"#0{i}0b0c" for i in range(1, 7))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    ACCENT: "var(--accent)",
    WARN: "var(--warn)",
    PAPER: "var(--paper)",
}
_STYLE: Any = {
    # text stays text: small, searchable, and in the reader's font
    "svg.fonttype": "none",
    # names of agents and items may hold dollar signs
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "path.simplify": True,
}
WIDE, NARROW = 7.3, 3.7
_MAX_BARS = 60


def trajectory_plot(summary: SessionSummary, *, wide: bool) -> str:
    """Ability and its interval after each answer, one panel an ability; voids as crosses."""
    dimensions = len(summary.ability)
    width = WIDE if wide else NARROW
    return render_svg(
        lambda: _draw_trajectory(summary, width, (2.5 if wide else 2.3) * dimensions),
        f"trajectory-{'wide' if wide else 'narrow'}",
        "Ability estimate with its interval after each answer",
    )


def ability_plot(summary: SessionSummary, distributions: Distributions, dimension: int) -> str:
    """Posterior of one ability against its prior."""
    density = distributions.abilities[dimension]
    return render_svg(
        lambda: _draw_ability(summary, density, dimension),
        f"ability-{dimension}",
        "Posterior density of ability against the prior",
    )


def score_plot(summary: SessionSummary, distributions: Distributions) -> str:
    """Distribution of the predicted score on the bank."""
    return render_svg(
        lambda: _draw_score(summary, distributions),
        "score",
        "Probability of each score on the whole bank",
    )


# --- drawing ----------------------------------------------------------------------------------


def new_figure(width: float, height: float) -> "Figure":
    # not pyplot: a figure that belongs to no window and no global state
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_trajectory(summary: SessionSummary, width: float, height: float) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(width, height)
    names = ability_names(len(summary.ability))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    points = summary.trajectory
    x = [point.answers for point in points]
    shares = np.array([row.category / row.top for row in summary.items])
    size = float(np.clip(300 / len(points), 6, 34))
    for d, (axes, name) in enumerate(zip(panels, names, strict=True)):
        middle = [point.ability[d] for point in points]
        low, high = [p.low[d] for p in points], [p.high[d] for p in points]
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.fill_between(x, low, high, color=ACCENT, alpha=0.16, linewidth=0)
        if len(points) == 1:
            axes.errorbar(x, middle, [[middle[0] - low[0]], [high[0] - middle[0]]], color=ACCENT)
        axes.plot(x, middle, color=ACCENT, linewidth=1.6)
        axes.scatter(x[:1], middle[:1], s=size, marker="_", color=ACCENT, zorder=3)
        # paper below, so that the line does not show through a pale point
        axes.scatter(x[1:], middle[1:], s=size, color=PAPER, linewidths=0, zorder=3)
        _scatter_shares(axes, x[1:], middle[1:], shares, size)
        axes.set_ylabel(f"Ability {name}")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.margins(x=0.03, y=0.1)
        _mark_voids(summary, axes)
    panels[-1].set_xlabel("Answers")
    panels[-1].xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    panels[-1].set_xlim(-0.03 * max(x[-1], 1) - 0.1, max(x[-1], 1) * 1.03 + 0.1)
    return figure


def _scatter_shares(axes: "Axes", x: list[int], y: list[float], shares: Array, size: float) -> None:
    for share in np.unique(shares):
        here = np.flatnonzero(shares == share)
        where = [x[i] for i in here], [y[i] for i in here]
        axes.scatter(*where, s=size, color=ACCENT, alpha=share, linewidths=0, zorder=4)
        axes.scatter(*where, s=size, facecolors="none", edgecolors=ACCENT, linewidths=1.1, zorder=5)


def _mark_voids(summary: SessionSummary, axes: "Axes") -> None:
    # an attempt that was voided lies between the answers before and after it
    where = [min(void.answers_before + 0.5, len(summary.items)) for void in summary.voids]
    axes.scatter(
        where,
        np.full(len(where), 0.045),
        s=26,
        marker="x",
        color=WARN,
        linewidths=1.6,
        transform=axes.get_xaxis_transform(),
        zorder=6,
        clip_on=False,
    )


def _draw_ability(summary: SessionSummary, density: AbilityDensity, dimension: int) -> "Figure":
    figure = new_figure(NARROW, 2.35)
    axes = figure.subplots()
    density = _smooth(density)
    values, posterior = density.values, density.posterior
    between = summary.interval[dimension]
    within = values[(values > between.low) & (values < between.high)]
    within = np.concatenate([[between.low], within, [between.high]])
    axes.fill_between(values, posterior, color=ACCENT, alpha=0.12, linewidth=0)
    axes.fill_between(
        within, np.interp(within, values, posterior), color=ACCENT, alpha=0.22, linewidth=0
    )
    axes.plot(values, density.prior, color=MUTED, linewidth=1.2, dashes=(4, 2.5), label="prior")
    if density.if_voids_failed is not None:
        axes.plot(
            values,
            density.if_voids_failed,
            color=WARN,
            linewidth=1.3,
            dashes=(1.2, 1.6),
            label="if voids failed",
        )
    axes.plot(values, posterior, color=ACCENT, linewidth=1.6, label="posterior")
    estimate = summary.ability[dimension]
    axes.plot(
        [estimate] * 2,
        [0, np.interp(estimate, values, posterior)],
        color=ACCENT,
        linewidth=1.2,
    )
    curves = [density.prior, posterior]
    if density.if_voids_failed is not None:
        curves.append(density.if_voids_failed)
    seen = np.flatnonzero(np.max([c / c.max() for c in curves], axis=0) > 0.004)
    axes.set_xlim(values[seen[0]], values[seen[-1]])
    axes.set_xlabel(f"Ability {ability_names(len(summary.ability))[dimension]}")
    no_height(axes)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside upper left",
        ncols=3,
        handlelength=1.6,
        columnspacing=1.0,
        handletextpad=0.5,
        borderpad=0,
    )
    return figure


def _smooth(density: AbilityDensity) -> AbilityDensity:
    """Densities on a fine axis: with several abilities the nodes are too far apart to draw.

    A spline of the logarithm, which is exact for a normal density.
    """
    from scipy.interpolate import CubicSpline

    if len(density.values) > 150:
        return density
    fine = np.linspace(density.values[0], density.values[-1], 241)

    def smooth(curve: Array) -> Array:
        log = np.log(np.maximum(curve, 1e-12 * curve.max()))
        return np.asarray(np.exp(CubicSpline(density.values, log)(fine)))

    failed = density.if_voids_failed
    return AbilityDensity(
        fine,
        smooth(density.prior),
        smooth(density.posterior),
        None if failed is None else smooth(failed),
    )


def _draw_score(summary: SessionSummary, distributions: Distributions) -> "Figure":
    figure = new_figure(NARROW, 2.35)
    axes = figure.subplots()
    centres, heights, width = _bars(distributions.scores, distributions.score_probabilities)
    low, high = summary.score.low, summary.score.high
    inside = (centres >= low - width / 2) & (centres <= high + width / 2)
    for rows, alpha in ((~inside, 0.3), (inside, 0.85)):
        axes.bar(
            100 * centres[rows],
            heights[rows],
            100 * width * 0.86,
            color=ACCENT,
            alpha=alpha,
            linewidth=0,
        )
    axes.axvline(100 * summary.score.mean, color=INK, linewidth=1.1, dashes=(3, 2))
    axes.set_xlim(-2, 102)
    axes.set_xticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_xlabel(f"Score on all {summary.score.items:,} items ({summary.score.meaning})")
    no_height(axes)
    return figure


def _bars(scores: Array, probabilities: Array) -> tuple[Array, Array, float]:
    """Centres, heights and width: one bar a score, or 60 bins where there are more scores."""
    if len(scores) == 1:
        return scores, probabilities, 0.01
    spacing = float(scores[1] - scores[0])
    # beyond this nothing would be visible, and with many items the rest is a needle
    seen = np.flatnonzero(probabilities > 2e-3 * probabilities.max())
    group = -(-(int(seen[-1] - seen[0]) + 1) // _MAX_BARS)
    start = np.arange(seen[0], seen[-1] + 1, group)
    padded = np.pad(probabilities, (0, group))
    heights = np.array([padded[i : i + group].sum() for i in start])
    return scores[start] + spacing * (group - 1) / 2, heights, spacing * group


def no_height(axes: "Axes") -> None:
    """Heights of a density need no scale: areas are what is read."""
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)


# --- SVG --------------------------------------------------------------------------------------


def render_svg(draw: Callable[[], "Figure"], name: str, title: str) -> str:
    """Render a figure as an SVG element to be put into HTML, the same on every run."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
        draw().savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>"):
        text = re.sub(rf"\s*{pattern}", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    # a hundredth of a point is finer than any screen or printer
    text = re.sub(r"(\.\d\d)\d+(?=[^<>]*>)", r"\1", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    text = text[text.index(">") + 1 :].replace("xlink:href", "href")
    text = f'<svg {view[0]} role="img"><title>{escape(title)}</title>{text}'
    return _own_ids(text, name)


def _own_ids(text: str, name: str) -> str:
    """Ids that are unique on a page with several plots; those that nothing refers to go."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    return re.sub(r'(href="|url\()#([^")]+)', rf"\g<1>#{name}-\g<2>", text)
