"""A smaller benchmark, and a cleaned one."""

from typing import TYPE_CHECKING

import numpy as np

from harness.health.better.clean import Cleaned
from harness.health.better.greedy import Where
from harness.health.better.subset import Point, Reduction
from harness.health.evidence import Evidence
from harness.irt import Array
from harness.report import plots
from harness.report.plots import ACCENT, MUTED, RULE, WARN
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
from harness.report.wording import printable
from harness.study.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def subset_section(found: Reduction, evidence: Evidence) -> Section:
    """The chosen items, and how well such a choice orders agents that had no say in it."""
    subset = found.subset
    count, n = len(subset.picks), len(evidence.responses.items)
    parts: list[Part] = [Caution(text) for text in found.cautions]
    if found.curve:
        parts += [_curve_plot(found), _curve_grid(found)]
    parts += [
        Text(_how(found), hint=True),
        _picks_grid(found),
    ]
    finding = (
        f"{count} of {n} tasks keep {subset.share:.0%} of the information "
        f"{_at(subset.where)}: they tell the score on all tasks to ± "
        f"{100 * subset.score_sd:.1f} points (standard deviation). "
    )
    point = found.at(count)
    finding += _ranks(point, found) if point else ""
    return Section("A smaller benchmark", finding, found.flags, tuple(parts), "subset")


def _picks_grid(found: Reduction) -> Grid:
    picks = found.subset.picks
    columns = {
        "Mean score": [f"{pick.score:.0%}" for pick in picks],
        "Difficulty": [signed(pick.difficulty) for pick in picks],
        "Information": [f"{pick.share:.2%}" for pick in picks],
    }
    if any(pick.usd == pick.usd for pick in picks):
        columns["Dollars"] = [signed(pick.usd) for pick in picks]
    if any(pick.seconds == pick.seconds for pick in picks):
        columns["Minutes"] = [signed(pick.seconds / 60, 1) for pick in picks]
    names = [printable(pick.item, 80) for pick in picks]
    return Grid(
        ("Task", *columns),
        tuple(zip(names, *columns.values(), strict=True)),
        title=f"The {len(picks)} tasks",
        caption="In the order in which they were picked: the first ten are the choice of ten. "
        "Information is a task's share of that of the whole benchmark, at the abilities that "
        "count.",
    )


def _at(where: Where) -> str:
    match where:
        case "agents":
            return "where the agents are"
        case "newest":
            return "where the newest agents are"
        case (low, high):
            return f"at abilities from {signed(low)} to {signed(high)}"


def _ranks(point: Point, found: Reduction) -> str:
    tau = point.chosen["mean"].tau
    if tau.value is None:
        return ""
    against = [f"{_value(point.random['mean'].tau)} for as many drawn at random"]
    if point.middle is not None:
        against.append(f"{_value(point.middle['mean'].tau)} for tasks that 30–70% of agents solve")
    gain = point.gain
    if gain.low is not None and gain.low > 0:
        verdict = "Choosing beats drawing at random."
    elif gain.high is not None and gain.high < 0:
        verdict = "Drawing at random does better here: choose at random."
    else:
        verdict = "That choosing beats drawing at random is not shown by these agents."
    return (
        f"On agents that had no say in the choice, ranks by mean score on so many chosen tasks "
        f"agree with ranks on all tasks with Kendall's τ {_value(tau)} (95% interval "
        f"{_ends(tau)}), against {' and '.join(against)}. {verdict}"
    )


def _how(found: Reduction) -> str:
    text = (
        "Tasks are picked one after the other, each time the one that leaves the score on the "
        "whole benchmark least uncertain where agents are."
        if found.subset.aim == "ranks"
        else "The tasks with most information at the abilities that count are picked."
    )
    if found.folds:
        text += (
            f" Checked {found.folds} times on about {found.held_out:.0f} agents held out: tasks "
            "are calibrated and chosen on the others only."
        )
    return text


def _value(one: Estimate) -> str:
    return signed(float("nan") if one.value is None else one.value)


def _ends(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return "unknown"
    return interval(one.low, one.high)


def _curve_grid(found: Reduction) -> Grid:
    def with_ends(one: Estimate) -> str:
        return f"{_value(one)} ({_ends(one)})"

    def points(one: Estimate) -> str:
        return "–" if one.value is None else f"{100 * one.value:.1f}"

    return Grid(
        ("Tasks", "Information", "Chosen", "Random", "30–70%", "Gain over random", "Error"),
        tuple(
            (
                f"{point.size}",
                f"{point.share:.0%}",
                with_ends(point.chosen["mean"].tau),
                _value(point.random["mean"].tau),
                _value(point.middle["mean"].tau) if point.middle else "–",
                with_ends(point.gain),
                f"{points(point.chosen['predicted'].error)} / "
                f"{points(point.random['predicted'].error)}",
            )
            for point in found.curve
        ),
        title="By number of tasks",
        caption="Kendall's τ of the mean score on the tasks with the score on all of them, on "
        "held-out agents, with 95% intervals over agents. Error: mean absolute error, in points, "
        "of the score on all tasks as predicted from the chosen / from random ones.",
    )


def _curve_plot(found: Reduction) -> Plot:
    return both(
        lambda wide: plots.render_svg(
            lambda: _draw_curve(found, wide),
            f"subset-{'wide' if wide else 'narrow'}",
            "Rank agreement with the whole benchmark by number of tasks",
        ),
        "Agreement of ranks on some tasks with ranks on all, for agents that had no say in the "
        "choice. Bars are 95% intervals over agents; the band holds nine in ten of the random "
        "subsets.",
    )


def _draw_curve(found: Reduction, wide: bool) -> "Figure":
    from matplotlib.ticker import NullLocator

    figure = plots.new_figure(width_of(wide), 3.2 if wide else 3.1)
    axes = figure.subplots()
    x = np.array([point.size for point in found.curve], float)
    low, high = np.array([point.band for point in found.curve]).T
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.fill_between(x, low, high, color=MUTED, alpha=0.16, linewidth=0)
    random = _taus([point.random["mean"].tau for point in found.curve])[0]
    axes.plot(x, random, color=MUTED, linewidth=1.4, dashes=(4, 2.5), label="random")
    middle = _taus([p.middle["mean"].tau if p.middle else Estimate(None) for p in found.curve])[0]
    # the rule has no more tasks than it has
    some = np.isfinite(middle) & (x <= found.middle_items)
    if some.any():
        axes.plot(
            x[some],
            middle[some],
            color=WARN,
            linewidth=1.4,
            dashes=(1.2, 1.6),
            marker="s",
            markersize=3.5,
            label="solved by 30–70%",
        )
    value, below, above = _taus([point.chosen["mean"].tau for point in found.curve])
    axes.vlines(x, below, above, color=ACCENT, linewidth=1.2, alpha=0.6)
    axes.plot(x, value, color=ACCENT, linewidth=1.8, marker="o", markersize=4.5, label="chosen")
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(x, _tick_labels(x, 0.07 if wide else 0.12))
    axes.set_xlabel("Tasks")
    axes.set_ylabel("Kendall's τ with all tasks")
    axes.set_ylim(None, 1.0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside upper left",
        ncols=3,
        handlelength=1.8,
        columnspacing=1.0,
        handletextpad=0.5,
        borderpad=0,
    )
    return figure


def _tick_labels(sizes: Array, apart: float) -> list[str]:
    """Sizes in words, those left out that would touch one before them on a logarithmic axis."""
    place = np.log(sizes) / max(float(np.ptp(np.log(sizes))), 1e-9)
    labels, last = [], -np.inf
    for size, at in zip(sizes, place, strict=True):
        shown = at - last >= apart
        labels.append(f"{size:.0f}" if shown else "")
        last = at if shown else last
    return labels


def _taus(values: list[Estimate]) -> tuple[Array, Array, Array]:
    table = np.array(
        [[np.nan if x is None else x for x in (one.value, one.low, one.high)] for one in values],
        float,
    )
    return table[:, 0], table[:, 1], table[:, 2]


def cleaned_section(cleaned: Cleaned) -> Section:
    """What became of each item, those that change first."""
    counts = {
        "dropped": len(cleaned.of("drop")),
        "merged into another": len(cleaned.of("merge")),
        "with categories merged": len(cleaned.of("collapse")),
        "kept to be looked at": len(cleaned.of("look")),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    changes = [c for a in ("drop", "merge", "collapse", "look") for c in cleaned.of(a)]
    kept = [c for c in cleaned.of("keep") if c.reason != "nothing was flagged"]
    rows = tuple(
        (
            printable(change.item, 80),
            {
                "drop": "drop",
                "merge": f"merge into {printable(change.into, 80)}",
                "collapse": "merge categories",
                "look": "look",
                "keep": "keep",
            }[change.action],
            change.reason,
        )
        for change in (*changes, *kept)
    )
    grid = Grid(
        ("Task", "Action", "Why"),
        rows,
        title="Item by item",
        caption="Items that are not listed are kept: nothing was flagged.",
        words=(1, 2),
    )
    return Section(
        "A cleaned benchmark",
        f"{len(cleaned.bank.items)} of {len(cleaned.changes)} tasks would be left, with "
        f"{cleaned.share:.0%} of the information: {said or 'nothing to change'}.",
        (),
        (grid,) if rows else (),
        "cleaned",
    )
