"""Ability over the checkpoints of a series, and its sessions, as SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report import plots
from harness.report.plots import ACCENT, INK, MUTED, PAPER, RULE, WARN
from harness.report.sections import width_of
from harness.report.series.steps import Line, bare, line_of, step_axis
from harness.report.wording import printable
from harness.schedule.events import Purpose
from harness.schedule.summary import AlarmNote, BankSummary, Point, Registered, Session

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: dict[Purpose, str] = {
    "routine": "o",
    "full": "s",
    "follow-up": "^",
    "confirm": "D",
    "locate": "P",
}
_NAMES: dict[Purpose, str] = {
    "routine": "routine",
    "full": "full",
    "follow-up": "follow-up",
    "confirm": "confirming",
    "locate": "locating",
}


def course_plot(
    bank: BankSummary,
    checkpoints: Sequence[Registered],
    alarms: Sequence[AlarmNote],
    name: str,
    *,
    wide: bool,
) -> str:
    """Ability on one bank over training steps, and its sessions below."""
    return plots.render_svg(
        lambda: _draw_course(bank, checkpoints, alarms, wide),
        f"{name}-{'wide' if wide else 'narrow'}",
        f"Ability on {printable(bank.name, 80)} over training steps",
    )


def _draw_course(
    bank: BankSummary,
    checkpoints: Sequence[Registered],
    alarms: Sequence[AlarmNote],
    wide: bool,
) -> "Figure":
    purposes = [
        purpose
        for purpose in _MARKERS
        if any(s.purpose == purpose for point in bank.points for s in point.sessions)
    ]
    figure = plots.new_figure(width_of(wide), (3.7 if wide else 3.4) + 0.2 * len(purposes))
    rows = figure.subplots(
        2 if purposes else 1,
        1,
        sharex=True,
        squeeze=False,
        height_ratios=[3.4, 0.24 * len(purposes)] if purposes else [1],
    )[:, 0]
    axes = rows[0]
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    _limits(axes, bank)
    line = line_of([point.step for point in bank.points])
    shrink = float(np.clip((72 * width_of(wide) - 90) / max(len(line.at), 1) / 9.0, 0.3, 1.0))
    entries = [
        *_ability(axes, bank.points, line, shrink),
        *_marks(axes, checkpoints, [note for note in alarms if note.bank == bank.name], line),
    ]
    axes.set_ylabel("Ability")
    axes.locator_params(axis="y", nbins=6)
    bare(axes)
    _score_axis(axes, bank)
    if purposes:
        _sessions(rows[1], bank, purposes, line, shrink)
    step_axis(rows[-1], line, wide)
    # several artists may stand beside one label, which its types do not know
    handles: list[Any] = [artist for artist, _ in entries]
    figure.legend(
        handles,
        [label for _, label in entries],
        loc="outside upper left",
        ncols=4 if wide else 2,
        handlelength=1.6,
        columnspacing=1.2,
        handletextpad=0.5,
        borderpad=0,
    )
    return figure


def _limits(axes: "Axes", bank: BankSummary) -> None:
    """Room for what was measured; what a forecast does beyond would squeeze it."""
    seen = [e for p in bank.points for e in (p.smoothed, *([p.filtered] if p.tasks else []))]
    if not seen:
        axes.set_ylim(bank.mean - 2 * bank.sd, bank.mean + 2 * bank.sd)
        return
    low, high = min(e.low for e in seen), max(e.high for e in seen)
    margin = 0.09 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _ability(
    axes: "Axes", points: Sequence[Point], places: Line, shrink: float
) -> "list[tuple[Artist | tuple[Artist, ...], str]]":
    """Smoothed band and line, forecasts, filtered points; with entries of the legend."""
    if not points:
        return []
    steps = [places.at[point.step] for point in points]
    entries: list[tuple[Artist | tuple[Artist, ...], str]] = []
    if len(points) > 1:
        band = axes.fill_between(
            steps,
            [point.smoothed.low for point in points],
            [point.smoothed.high for point in points],
            color=ACCENT,
            alpha=0.16,
            linewidth=0,
        )
        (line,) = axes.plot(
            steps, [point.smoothed.mean for point in points], color=ACCENT, linewidth=1.6
        )
        entries.append(((band, line), "by all known now"))
    bars = axes.vlines(
        steps,
        [point.forecast.low for point in points],
        [point.forecast.high for point in points],
        color=MUTED,
        linewidth=6 * shrink,
        alpha=0.22,
    )
    dash = axes.scatter(
        steps,
        [point.forecast.mean for point in points],
        s=70 * shrink**2,
        marker="_",
        color=MUTED,
        linewidths=1.1,
        zorder=3,
    )
    entries.append(((bars, dash), "forecast"))
    tested = [point for point in points if point.tasks]
    if tested:
        at = [places.at[point.step] for point in tested]
        axes.vlines(
            at,
            [point.filtered.low for point in tested],
            [point.filtered.high for point in tested],
            color=INK,
            linewidth=max(1.1 * shrink, 0.6),
            zorder=4,
        )
        dots = axes.scatter(
            at,
            [point.filtered.mean for point in tested],
            s=26 * shrink,
            color=INK,
            edgecolors=PAPER,
            linewidths=0.7 * shrink,
            zorder=5,
        )
        entries.append((dots, "when tested"))
    return entries


def _marks(
    axes: "Axes", checkpoints: Sequence[Registered], alarms: Sequence[AlarmNote], places: Line
) -> "list[tuple[Artist | tuple[Artist, ...], str]]":
    """Declared jumps and alarms, at the top; with entries of the legend."""
    entries: list[tuple[Artist | tuple[Artist, ...], str]] = []
    jumps = [places.at[checkpoint.step] for checkpoint in checkpoints if checkpoint.jump]
    for step in jumps:
        line = axes.axvline(step, color=MUTED, linewidth=1.1, dashes=(1.5, 2), zorder=1)
    if jumps:
        entries.append((line, "jump declared"))
    for state, label in (
        ("raised", "alarm raised"),
        ("confirmed", "alarm confirmed"),
        ("dismissed", "alarm dismissed"),
    ):
        steps = sorted({places.at[note.step] for note in alarms if note.state == state})
        if not steps:
            continue
        colour = MUTED if state == "dismissed" else WARN
        for step in steps:
            axes.axvline(step, color=colour, linewidth=1.0, alpha=0.55, zorder=1)
        mark = axes.scatter(
            steps,
            np.full(len(steps), 0.965),
            s=44,
            marker="v",
            facecolors=WARN if state == "confirmed" else PAPER,
            edgecolors=colour,
            linewidths=1.3,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=7,
        )
        entries.append((mark, label))
    return entries


def _score_axis(axes: "Axes", bank: BankSummary) -> None:
    """Expected score on the whole bank, on the right of the ability that it goes with."""
    ability, score = np.array(bank.curve).T
    if (np.diff(score) <= 0).any():
        return
    low, high = np.interp(axes.get_ylim(), ability, score)
    for each in (0.25, 0.1, 0.05, 0.02, 0.01):
        ticks = np.arange(np.ceil(low / each), np.floor(high / each) + 1) * each
        if len(ticks) >= 4:
            break
    places = np.interp(ticks, score, ability)
    # where the curve is flat, ticks would lie upon each other
    apart = 0.06 * float(np.ptp(axes.get_ylim()))
    kept: list[int] = []
    for i, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= apart:
            kept.append(i)
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.set_yticks(places[kept], [f"{100 * ticks[i]:.0f}%" for i in kept])
    right.set_ylabel("Expected score")
    right.tick_params(length=0)
    for side in ("left", "bottom", "right", "top"):
        right.spines[side].set_visible(False)


def _sessions(
    axes: "Axes", bank: BankSummary, purposes: Sequence[Purpose], places: Line, shrink: float
) -> None:
    """One row a purpose; the area of a mark is the tasks, and a cross is a failure."""
    sessions = [session for point in bank.points for session in point.sessions]
    most = max(max(session.tasks, session.planned) for session in sessions)
    for row, purpose in enumerate(purposes):
        here = [session for session in sessions if session.purpose == purpose]
        for kind in ("done", "open", "failed"):
            some = [session for session in here if _kind(session) == kind]
            tasks = np.array([s.tasks or s.planned for s in some])
            axes.scatter(
                [places.at[session.step] for session in some],
                np.full(len(some), row),
                s=(14 + 46 * tasks / max(most, 1)) * shrink**1.5,
                marker="x" if kind == "failed" else _MARKERS[purpose],
                facecolors=WARN if kind == "failed" else ACCENT if kind == "done" else PAPER,
                edgecolors=None if kind == "failed" else ACCENT if kind == "open" else PAPER,
                linewidths=1.4 if kind == "failed" else 1.1 if kind == "open" else 0.5,
                zorder=5,
            )
    axes.set_yticks(range(len(purposes)), [_NAMES[purpose] for purpose in purposes])
    axes.set_ylim(len(purposes) - 0.4, -0.6)
    axes.tick_params(axis="y", labelsize=8)
    bare(axes)


def _kind(session: Session) -> str:
    return session.state if session.state in ("done", "failed") else "open"
