"""The plots of a bank's page, as SVG that takes its colours and font from the page around it."""

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.ability import Interval
from harness.irt import Array
from harness.report import plots
from harness.report.bank_summary import Precision
from harness.report.plots import ACCENT, INK, MUTED, NARROW, PAPER, RULE, WARN, WIDE
from harness.report.wording import ability_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

MOST_NAMED = 40
"""Up to so many items the item map has a line for each."""
_MOST_RUGS = 400


@dataclass(frozen=True, eq=False)
class Agents:
    """Where agents lie on one ability: those of the calibration, and their population."""

    abilities: Array
    """``(A,)`` of the agents that the bank was calibrated with; empty where they are not known."""
    mean: float
    sd: float


@dataclass(frozen=True)
class Spot:
    """One item as the scatter and the item map show it."""

    name: str
    slopes: tuple[float, ...]
    slope_intervals: tuple[Interval, ...] | None
    difficulties: tuple[float, ...]
    difficulty_sds: tuple[float, ...] | None
    location: float
    location_interval: Interval | None
    placed_by_prior: bool


def information_plot(precision: Precision, agents: Agents, names: int, *, wide: bool) -> str:
    """Test information with its standard error, above the agents that there are."""
    return _svg(
        lambda: _draw_information(precision, agents, names, WIDE if wide else NARROW),
        f"information-{precision.dimension}-{'wide' if wide else 'narrow'}",
        "Test information and standard error by ability, above the distribution of agents",
    )


def scatter_plot(spots: Sequence[Spot], agents: Agents, *, wide: bool) -> str:
    """Difficulty against discrimination, with intervals."""
    return _svg(
        lambda: _draw_scatter(spots, agents, WIDE if wide else NARROW),
        f"scatter-{'wide' if wide else 'narrow'}",
        "Difficulty against discrimination of each item, with intervals",
    )


def loadings_plot(spots: Sequence[Spot], first: int, second: int) -> str:
    """The slopes of two abilities against each other, with intervals."""
    return _svg(
        lambda: _draw_loadings(spots, first, second),
        f"loadings-{first}-{second}",
        f"Slopes of abilities {first + 1} and {second + 1} of each item, with intervals",
    )


def item_map(
    spots: Sequence[Spot], agents: Agents, dimension: int, names: int, *, wide: bool
) -> str:
    """Difficulties of the items below the abilities of agents, on one axis."""
    return _svg(
        lambda: _draw_map(spots, agents, dimension, names, wide),
        f"map-{dimension}-{'wide' if wide else 'narrow'}",
        "Difficulties of items below abilities of agents",
    )


def _svg(draw: Callable[[], "Figure"], name: str, title: str) -> str:
    with warnings.catch_warnings():
        # names of items may hold what the measuring font lacks; the page's own font draws them
        warnings.filterwarnings("ignore", message="Glyph")
        return plots.render_svg(draw, name, title)


# --- information --------------------------------------------------------------------------------


def ability_range(agents: Agents) -> tuple[float, float]:
    """The part of an ability that is worth showing: the population, and every agent."""
    low, high = agents.mean - 4 * agents.sd, agents.mean + 4 * agents.sd
    if len(agents.abilities):
        margin = 0.25 * agents.sd
        low = min(low, float(agents.abilities.min()) - margin)
        high = max(high, float(agents.abilities.max()) + margin)
    return low, high


def _draw_information(precision: Precision, agents: Agents, names: int, width: float) -> "Figure":
    figure = plots.new_figure(width, 3.5 if width > 5 else 3.2)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
    low, high = ability_range(agents)
    shown = (precision.values >= low) & (precision.values <= high)
    values, information = precision.values[shown], precision.information[shown]
    known = precision.known[shown]
    for start, end in precision.stretches(precision.target):
        axes.axvspan(max(start, low), min(end, high), color=ACCENT, alpha=0.07, linewidth=0)
    if not np.allclose(known, information):
        axes.plot(values, known, color=MUTED, linewidth=1.1, dashes=(4, 2.5))
    axes.fill_between(values, information, color=ACCENT, alpha=0.14, linewidth=0)
    axes.plot(values, information, color=ACCENT, linewidth=1.6)
    top = 1.08 * float(max(information.max(), known.max(), 1e-9))
    axes.set_xlim(low, high)
    axes.set_ylim(0, top)
    axes.set_ylabel("Test information")
    errors = axes.twinx()
    errors.set_ylim(0, top)
    ticks = _error_ticks(top)
    errors.set_yticks([1 / e**2 for e in ticks], [f"{e:g}" for e in ticks])
    errors.set_ylabel("Standard error")
    errors.spines["right"].set_visible(True)
    for other in (errors, axes):
        other.tick_params(axis="x", length=0)
    _draw_agents(below, agents, low, high)
    below.set_ylabel("Agents")
    below.set_xlabel(f"Ability {ability_names(names)[precision.dimension]}")
    return figure


def _error_ticks(top: float) -> list[float]:
    """Round standard errors whose information lies far enough apart on an axis up to ``top``."""
    ticks: list[float] = []
    last = math.inf
    for decade in (0.01, 0.1, 1.0, 10.0):
        for digit in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0):
            error = round(digit * decade, 4)
            at = 1 / error**2
            if at <= top and last - at > 0.085 * top and at > 0.03 * top:
                ticks.append(error)
                last = at
    return ticks


def _draw_agents(axes: "Axes", agents: Agents, low: float, high: float) -> None:
    """Histogram and rug of the agents, and the normal curve of their population."""
    values = np.linspace(low, high, 161)
    density = np.exp(-0.5 * ((values - agents.mean) / agents.sd) ** 2)
    density /= agents.sd * math.sqrt(2 * math.pi)
    if n := len(agents.abilities):
        bins = int(np.clip(round(2 * math.sqrt(n)), 8, 40))
        axes.hist(
            agents.abilities,
            bins=np.linspace(low, high, bins * 2 + 1).tolist(),
            density=True,
            color=ACCENT,
            alpha=0.35,
            linewidth=0,
        )
        if n <= _MOST_RUGS:
            axes.scatter(
                agents.abilities,
                np.full(n, -0.05),
                s=22,
                marker="|",
                color=ACCENT,
                alpha=float(np.clip(30 / n, 0.3, 0.9)),
                linewidths=0.8,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )
            axes.tick_params(axis="x", pad=7)
    axes.plot(values, density, color=MUTED, linewidth=1.2, dashes=(4, 2.5))
    axes.set_xlim(low, high)
    plots.no_height(axes)


# --- parameters ---------------------------------------------------------------------------------


_FAINTNESS = ((0.75, 1.0), (1.25, 0.75), (2.0, 0.5), (4.0, 0.3), (math.inf, 0.16))
"""How strongly an item is drawn, by the size of its intervals relative to the middle item."""


def _draw_scatter(spots: Sequence[Spot], agents: Agents, width: float) -> "Figure":
    figure = plots.new_figure(width, 3.5 if width > 5 else 3.1)
    axes = figure.subplots()
    a = np.array([spot.slopes[0] for spot in spots])
    b = np.array([spot.location for spot in spots])
    a_low, a_high = _ends([s.slope_intervals[0] if s.slope_intervals else None for s in spots], a)
    b_low, b_high = _ends([s.location_interval for s in spots], b)
    low, high = difficulty_range(spots, agents)
    axes.axvspan(
        agents.mean - 2 * agents.sd,
        agents.mean + 2 * agents.sd,
        color=RULE,
        alpha=0.3,
        linewidth=0,
    )
    # both as shares of the picture
    height = np.log(np.quantile(a_high, 0.98) / np.quantile(a_low, 0.02)) or 1.0
    size = (b_high - b_low) / (high - low) + np.log(a_high / a_low) / height
    _crosses(axes, (b, a), (b_low, b_high), (a_low, a_high), size, spots)
    axes.set_yscale("log")
    bottom, top = min(np.quantile(a_low, 0.01), a.min()), max(np.quantile(a_high, 0.99), a.max())
    axes.set_ylim(0.85 * bottom, 1.18 * top)
    axes.set_xlim(low, high)
    _plain_log_ticks(axes)
    axes.set_xlabel("Difficulty" if _single(spots) else "Difficulty (mean over its categories)")
    axes.set_ylabel("Discrimination")
    return figure


def _single(spots: Sequence[Spot]) -> bool:
    return all(len(spot.difficulties) == 1 for spot in spots)


def difficulty_range(spots: Sequence[Spot], agents: Agents) -> tuple[float, float]:
    """The difficulties worth showing: those of nearly all items, at most 6 sd from the mean."""
    found = np.array([d for spot in spots for d in spot.difficulties])
    left_out = 0.01 if len(found) > 200 else 0.0
    ends = (np.quantile(found, [left_out, 1 - left_out]) - agents.mean) / agents.sd
    low, high = np.clip(ends, [-6.0, 3.0], [-3.0, 6.0])
    return agents.mean + agents.sd * (low - 0.4), agents.mean + agents.sd * (high + 0.4)


def _ends(intervals: Sequence[Interval | None], middle: Array) -> tuple[Array, Array]:
    low = [m if i is None else i.low for i, m in zip(intervals, middle, strict=True)]
    high = [m if i is None else i.high for i, m in zip(intervals, middle, strict=True)]
    return np.array(low), np.array(high)


def _crosses(
    axes: "Axes",
    point: tuple[Array, Array],
    x: tuple[Array, Array],
    y: tuple[Array, Array],
    size: Array,
    spots: Sequence[Spot],
) -> None:
    """Points with an interval both ways; the larger the intervals, the fainter."""
    n = len(size)
    relative = size / (np.median(size) or 1.0)
    strength = min(0.75, 4.5 / n**0.45)
    prior = np.array([spot.placed_by_prior for spot in spots])
    area = float(np.clip(900 / n, 5, 26))
    below = -1.0
    for limit, share in _FAINTNESS:
        here = np.flatnonzero((relative > below) & (relative <= limit))
        below = limit
        # one path for a whole level: thousands of items make a small file; equal items are drawn
        # once, as they would look certain together
        ends = np.stack([*point, *x, *y], axis=1)[here]
        px, py, x0, x1, y0, y1 = np.unique(ends, axis=0).T
        gap = np.full(len(px), np.nan)
        axes.plot(
            np.stack([x0, x1, gap, px, px, gap], axis=1).ravel(),
            np.stack([py, py, gap, y0, y1, gap], axis=1).ravel(),
            color=ACCENT,
            linewidth=0.9 if n < 200 else 0.7,
            alpha=strength * share,
            solid_capstyle="butt",
        )
        fill = here[~prior[here]]
        axes.scatter(
            point[0][fill],
            point[1][fill],
            s=area,
            color=ACCENT,
            alpha=min(1.0, 1.6 * strength + 0.1) * max(share, 0.45),
            linewidths=0,
            zorder=3,
        )
    axes.scatter(
        point[0][prior],
        point[1][prior],
        s=area,
        facecolors=PAPER,
        edgecolors=WARN,
        linewidths=0.9,
        zorder=4,
    )


def _plain_log_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    low, high = axes.get_ylim()
    decades = [10.0**k for k in range(-4, 5)]
    ticks = [d * x for d in decades for x in (1, 2, 5) if low <= d * x <= high]
    if len(ticks) < 3:
        ticks = [d * x for d in decades for x in (1, 1.5, 2, 3, 4, 5, 7) if low <= d * x <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_loadings(spots: Sequence[Spot], first: int, second: int) -> "Figure":
    figure = plots.new_figure(NARROW, 3.3)
    axes = figure.subplots()
    points, ends = [], []
    for j in (first, second):
        middle = np.array([spot.slopes[j] for spot in spots])
        points.append(middle)
        ends.append(
            _ends([s.slope_intervals[j] if s.slope_intervals else None for s in spots], middle)
        )
    (x, y), (x_ends, y_ends) = points, ends
    for line in (axes.axhline, axes.axvline):
        line(0, color=RULE, linewidth=0.9, zorder=0)
    size = (x_ends[1] - x_ends[0]) + (y_ends[1] - y_ends[0])
    _crosses(axes, (x, y), x_ends, y_ends, size, spots)
    every = np.concatenate([x, y, *(np.quantile(e, [0.01, 0.99]) for e in (*x_ends, *y_ends))])
    low, high = min(float(every.min()), 0.0), max(float(every.max()), 0.0)
    margin = 0.05 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(low - margin, high + margin)
    axes.set_aspect("equal")
    axes.set_xlabel(f"Slope of θ{first + 1}")
    axes.set_ylabel(f"Slope of θ{second + 1}")
    return figure


# --- item map -----------------------------------------------------------------------------------


def _draw_map(
    spots: Sequence[Spot], agents: Agents, dimension: int, names: int, wide: bool
) -> "Figure":
    low, high = difficulty_range(spots, agents)
    if len(agents.abilities):
        margin = 0.25 * agents.sd
        low = min(low, float(agents.abilities.min()) - margin)
        high = max(high, float(agents.abilities.max()) + margin)
    named = len(spots) <= MOST_NAMED
    items_height = 0.35 + 0.19 * len(spots) if named else 1.5
    figure = plots.new_figure(WIDE if wide else NARROW, 1.45 + items_height)
    above, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.95, items_height])
    figure.set_layout_engine("constrained", hspace=0.0, h_pad=0.02)
    _draw_agents(above, agents, low, high)
    above.tick_params(axis="x", length=0)
    above.set_ylabel("Agents")
    axes.axvspan(
        agents.mean - 2 * agents.sd,
        agents.mean + 2 * agents.sd,
        color=RULE,
        alpha=0.3,
        linewidth=0,
    )
    if named:
        _draw_lines(axes, spots, 30 if wide else 17)
    else:
        _draw_counts(axes, spots, low, high)
        axes.set_ylabel("Items")
    axes.spines["left"].set_visible(False)
    axes.set_xlim(low, high)
    name = ability_names(names)[dimension]
    axes.set_xlabel(f"Ability {name} above, difficulty below")
    return figure


def _draw_lines(axes: "Axes", spots: Sequence[Spot], letters: int) -> None:
    """One line an item, the easiest at the top, with a point for each difficulty."""
    order = sorted(range(len(spots)), key=lambda row: spots[row].location)
    for y, row in enumerate(order):
        spot = spots[row]
        sds = spot.difficulty_sds or (0.0,) * len(spot.difficulties)
        color = WARN if spot.placed_by_prior else ACCENT
        for k, (b, sd) in enumerate(zip(spot.difficulties, sds, strict=True), start=1):
            if sd:
                half = 1.645 * sd
                axes.plot([b - half, b + half], [y, y], color=color, linewidth=2.2, alpha=0.28)
            axes.scatter([b], [y], s=24, color=PAPER, linewidths=0, zorder=3)
            axes.scatter(
                [b],
                [y],
                s=24,
                color=color,
                alpha=k / len(spot.difficulties) if not spot.placed_by_prior else 0.0,
                linewidths=0,
                zorder=4,
            )
            axes.scatter(
                [b], [y], s=24, facecolors="none", edgecolors=color, linewidths=1.0, zorder=5
            )
    labels = [_cut(spots[row].name, letters) for row in order]
    axes.set_yticks(range(len(order)), labels, parse_math=False, color=INK)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def _cut(name: str, letters: int) -> str:
    """A name with its end kept, which tells items of one kind apart.

    >>> _cut("django__django-12345", 12)
    'djang…-12345'
    """
    if len(name) <= letters:
        return name
    tail = letters // 2
    return f"{name[: letters - tail - 1]}…{name[-tail:]}"


def _draw_counts(axes: "Axes", spots: Sequence[Spot], low: float, high: float) -> None:
    """How many difficulties lie where, hanging from the axis; the outermost bars hold the rest."""
    bins = np.linspace(low, high, 61)
    steps = max(len(spot.difficulties) for spot in spots)
    base = np.zeros(60)
    centres = (bins[1:] + bins[:-1]) / 2
    for k in range(steps):
        found = [s.difficulties[k] for s in spots if len(s.difficulties) > k]
        heights = np.histogram(np.clip(found, low, high), bins)[0]
        axes.bar(
            centres,
            heights,
            (bins[1] - bins[0]) * 0.86,
            bottom=base,
            color=ACCENT,
            alpha=0.3 + 0.6 * (k + 1) / steps,
            linewidth=0,
        )
        base += heights
    axes.set_ylim(1.05 * max(float(base.max()), 1.0), 0)
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def _whole_numbers() -> "MaxNLocator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, integer=True)


# --- category curves ----------------------------------------------------------------------------

_BOX = (720, 400)
_TOP, _BASE = 24, 344


def category_plot(
    title: str, positions: Array, p: Array, known: Array | None, mean: float, ticks: Sequence[float]
) -> str:
    """Category probabilities of one item by position, as a small SVG written by hand.

    Thousands of these stand on a page, so coordinates are whole numbers in a fine box and points
    on a straight line are left out.

    Args:
        title: escaped for HTML.
        positions: ``(T,)``, uniform.
        p: ``(K, T)``.
        known: ``(K, T)`` with point estimates, drawn dashed; None leaves them out.
        mean: position of the population's mean.
        ticks: positions with a number below.
    """
    width, height = _BOX
    scale = width / float(positions[-1] - positions[0])

    def at(position: float) -> int:
        return round((position - float(positions[0])) * scale)

    parts = [
        f'<svg class="curves" viewBox="0 0 {width} {height}" role="img"><title>{title}</title>',
        f'<path class="frame" d="M0 {_TOP}h{width}M0 {_BASE}h{width}M{at(mean)} {_TOP}V{_BASE}"/>',
    ]
    x = (positions - positions[0]) * scale
    top = len(p) - 1
    for k, row in enumerate(known if known is not None else ()):
        parts.append(f'<path class="known" {_strength(k, top)} d="{_path(x, row)}"/>')
    for k, row in enumerate(p):
        parts.append(f'<path {_strength(k, top)} d="{_path(x, row)}"/>')
    for k, row in enumerate(p):
        peak = int(row.argmax())
        anchor = "start" if peak < 0.06 * len(x) else "end" if peak > 0.94 * len(x) else "middle"
        y = round(_BASE - (_BASE - _TOP) * float(row[peak])) + (44 if row[peak] > 0.8 else -10)
        shift = {"start": 8, "end": -8, "middle": 0}[anchor]
        parts.append(
            f'<text x="{round(x[peak]) + shift}" y="{y}" text-anchor="{anchor}">{k}</text>'
        )
    for tick in ticks:
        here = at(tick)
        anchor = "start" if here < 30 else "end" if here > width - 30 else "middle"
        label = f"{tick:g}".replace("-", "−")
        parts.append(f'<text class="tick" x="{here}" y="392" text-anchor="{anchor}">{label}</text>')
    return "".join([*parts, "</svg>"])


def _strength(k: int, top: int) -> str:
    """The bottom category is grey, the others stronger the higher they are."""
    return 'class="bottom"' if k == 0 else f'opacity="{0.35 + 0.65 * k / top:.2g}"'


def _path(x: Array, p: Array) -> str:
    """A curve through the points that it needs to stay within an eighth of a pixel."""
    y = _BASE - (_BASE - _TOP) * p
    at = [(round(x[i]), round(y[i])) for i in _corners(x.tolist(), y.tolist())]
    moves = (f"l{b[0] - a[0]} {b[1] - a[1]}" for a, b in itertools.pairwise(at))
    return f"M{at[0][0]} {at[0][1]}" + "".join(moves).replace(" -", "-")


def _corners(x: Sequence[float], y: Sequence[float], tolerance: float = 0.5) -> list[int]:
    """Points that a polyline may keep so that each other one is within ``tolerance`` in y.

    A door swings from the last point kept: it narrows with each point that the line has to pass,
    and the point before the one that shuts it is kept (swinging door, Bristol 1990).

    >>> _corners([0, 1, 2, 3, 4], [0, 0, 0, 5, 10], tolerance=0.1)
    [0, 2, 4]
    """
    kept, low, high = [0], -math.inf, math.inf
    for i in range(1, len(x)):
        start = kept[-1]
        slope = (y[i] - y[start]) / (x[i] - x[start])
        if not low <= slope <= high:
            start = i - 1
            kept.append(start)
            low, high = -math.inf, math.inf
        run = x[i] - x[start]
        low = max(low, (y[i] - tolerance - y[start]) / run)
        high = min(high, (y[i] + tolerance - y[start]) / run)
    return [*kept, len(x) - 1]
