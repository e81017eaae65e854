"""A comparison of response models as one self-contained HTML page.

It is drawn from the same plain data that ``cat-harness models --json`` writes, so a page can be
made of a comparison that was run elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report import plots
from harness.report.page import templates
from harness.report.plots import ACCENT, INK, MUTED, NARROW, PAPER, RULE
from harness.report.wording import percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Facts = Mapping[str, Any]


def render_models_page(comparison: Facts) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        comparison: ``source``, ``sha256``, ``agents``, ``items``, ``version``, and
            ``validations``, each a summary of a cross-validation.
    """
    from markupsafe import Markup

    sections = [
        _Section(
            facts=validation,
            columns=columns(validation),
            rows=[_row(validation, result) for result in validation["results"]],
            forests=[
                (title, Markup(_forest(validation, measure, unit)))
                for measure, title, unit in _FORESTS
            ],
            curves=[
                (result, Markup(_curve(result, f"curve-{validation['by']}-{number}")))
                for number, result in enumerate(validation["results"])
            ],
        )
        for validation in comparison["validations"]
    ]
    return (
        templates()
        .get_template("models.html.j2")
        .render(
            comparison=comparison,
            sections=sections,
            fit_columns=FIT_COLUMNS,
            fits=fit_cells(comparison["validations"][0]),
            name=lambda text: printable(text, 60),
        )
    )


@dataclass(frozen=True)
class _Section:
    """One cross-validation as the page shows it."""

    facts: Facts
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    forests: Sequence[tuple[str, str]]
    curves: Sequence[tuple[Facts, str]]


def columns(validation: Facts) -> list[str]:
    """Heads of the columns of :func:`cells`: those that say something about these data."""
    several = validation["trials"] > validation["cells"]
    heads = ["model", "log score a cell", "difference", "log score a trial", "Brier", "ranked"]
    heads += ["AUC", "calibration error", "log-likelihood an agent"]
    left_out = set() if several else {"log score a trial"}
    left_out |= set() if validation["categories"] > 2 else {"ranked"}
    left_out |= set() if validation["by"] == "agent" else {"log-likelihood an agent"}
    return [head for head in heads if head not in left_out]


def cells(validation: Facts, result: Facts) -> list[str]:
    """What :func:`columns` say of one model, as text."""
    found = {
        "model": result["name"],
        "log score a cell": _number(result["log_score"], 4),
        "difference": _difference(validation, result["name"]),
        "log score a trial": _number(result["log_score_per_trial"], 4),
        "Brier": _number(result["brier"], 4),
        "ranked": _number(result["ranked_probability_score"], 4),
        "AUC": _number(result["auc"], 4),
        "calibration error": _number(result["calibration_error"], 4),
        "log-likelihood an agent": _number(result["log_likelihood_per_agent"], 2),
    }
    return [found[head] for head in columns(validation)]


def _row(validation: Facts, result: Facts) -> list[str]:
    name, *numbers = cells(validation, result)
    return [name, *(number.replace("-", "−") for number in numbers)]


FIT_COLUMNS = ("model", "log-likelihood", "parameters", "AIC", "BIC")


def fit_cells(validation: Facts) -> list[list[str]]:
    """What :data:`FIT_COLUMNS` say of each model's fit to all of the data, as text."""
    return [
        [
            result["name"],
            _number(fit["log_likelihood"], 1),
            _number(fit["parameters"], 0),
            _number(fit["aic"], 1),
            _number(fit["bic"], 1),
        ]
        for result in validation["results"]
        if (fit := result["in_sample"])
    ]


def _difference(validation: Facts, name: str) -> str:
    """Log score above that of the reference, with its standard error."""
    for difference in validation["differences"]:
        if difference["first"] == name:
            gap = difference["log_score"]
            error = "" if gap["error"] is None else f" ± {gap['error']:.4f}"
            return f"{gap['value']:+.4f}{error}"
    return "0"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:,.{places}f}"


# --- plots ------------------------------------------------------------------------------------

# in hundredths, because an SVG of ours keeps two decimals
_FORESTS = (
    ("log_score", "Log score a cell", "Difference in hundredths of a nat; right is better"),
    ("auc", "AUC", "Difference in hundredths; right is better"),
)


def _forest(validation: Facts, measure: str, unit: str) -> str:
    return plots.render_svg(
        lambda: _draw_forest(validation, measure, unit),
        f"forest-{validation['by']}-{measure}",
        "Difference of each model from the one to use, with 90% intervals",
    )


def _draw_forest(validation: Facts, measure: str, unit: str) -> "Figure":
    baselines = {r["name"] for r in validation["results"] if r["baseline"]}
    rows = [
        (d["first"], {end: x if x is None else 100 * x for end, x in d[measure].items()})
        for d in validation["differences"]
    ]
    figure = plots.new_figure(NARROW, 0.75 + 0.27 * (len(rows) + 1))
    axes = figure.subplots()
    left, right = _range([gap for name, gap in rows if name not in baselines] or [rows[0][1]])
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    axes.scatter([0], [0], s=26, marker="D", color=INK, zorder=4)
    for y, (name, gap) in enumerate(rows, start=1):
        axes.axhline(y, color=RULE, linewidth=0.6, zorder=0)
        _draw_gap(axes, y, gap, (left, right), MUTED if name in baselines else ACCENT)
    axes.axhline(0, color=RULE, linewidth=0.6, zorder=0)
    names = [validation["reference"], *(name for name, _ in rows)]
    axes.set_yticks(range(len(names)), [printable(name, 22) for name in names])
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.set_xlim(left, right)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)
    return figure


def _range(gaps: Sequence[Mapping[str, float | None]]) -> tuple[float, float]:
    """Ends of an axis that shows 0 and all models; baselines may lie beyond."""
    ends = [x for gap in gaps for x in (gap["value"], gap["low"], gap["high"]) if x is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.25 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_gap(
    axes: "Axes",
    y: int,
    gap: Mapping[str, float | None],
    ends: tuple[float, float],
    colour: str,
) -> None:
    """A difference with its interval, or an arrow with its value where it lies beyond the axis."""
    value, low, high = gap["value"], gap["low"], gap["high"]
    if value is None:
        return
    if ends[0] < value < ends[1]:
        if low is not None and high is not None:
            axes.plot([low, high], [y, y], color=colour, linewidth=2.0, solid_capstyle="butt")
        axes.scatter([value], [y], s=26, color=colour, zorder=3)
        return
    side = 1 if value > 0 else -1
    axes.annotate(
        f"◀ {value:.1f}".replace("-", "−") if side < 0 else f"{value:.1f} ▶",
        (ends[side > 0], y),
        (-4 * side, 0),
        textcoords="offset points",
        ha="left" if side < 0 else "right",
        va="center",
        fontsize=8,
        color=MUTED,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
    )


def _curve(result: Facts, name: str) -> str:
    return plots.render_svg(lambda: _draw_curve(result), name, "Observed against predicted score")


def _draw_curve(result: Facts) -> "Figure":
    figure = plots.new_figure(NARROW, 2.9)
    axes = figure.subplots()
    bins = result["curve"]
    colour = MUTED if result["baseline"] else ACCENT
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=1)
    most = max(b["trials"] for b in bins)
    x = [b["predicted"] for b in bins]
    axes.vlines(x, [b["low"] for b in bins], [b["high"] for b in bins], color=colour, linewidth=1.4)
    axes.plot(x, [b["observed"] for b in bins], color=colour, linewidth=0.8, alpha=0.6)
    axes.scatter(
        x,
        [b["observed"] for b in bins],
        s=[8 + 50 * b["trials"] / most for b in bins],
        color=colour,
        edgecolors=PAPER,
        linewidths=0.8,
        zorder=3,
    )
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, [percent(t) for t in ticks])
    axes.set_yticks(ticks, [percent(t) for t in ticks])
    axes.set_xlabel("Predicted score")
    axes.set_ylabel("Observed score")
    return figure
