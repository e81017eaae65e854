"""A study as one self-contained HTML page, and its tables for the terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from harness.report import study_plots
from harness.report.page import templates
from harness.report.wording import count, duration, money, percent, printable
from harness.study.bootstrap import Estimate
from harness.study.result import Accuracy, Needed, PlanResult, Point, StudyResult, Third
from harness.study.words import gap_between, judged, middle_point, ranked, separated


@dataclass(frozen=True)
class Cell:
    """A number with its interval below it, as text."""

    value: str
    interval: str = ""
    mark: str = ""
    """``best`` or ``poor``: how the cell stands out; empty for neither."""


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]
    baseline: bool = False
    best: bool = False


@dataclass(frozen=True)
class TableView:
    """A table whose first column names plans."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]


def render_study_page(found: StudyResult) -> str:
    """The page as text, to be written as UTF-8."""
    from markupsafe import Markup

    style = study_plots.styles(found)
    plans = ranked(found)
    best = plans[0] if plans else None
    middle = len(found.levels) // 2
    abilities = any(point.ability for plan in found.plans for point in plan.points)
    return (
        templates()
        .get_template("study.html.j2")
        .render(
            found=found,
            name=lambda text: printable(text, 60),
            best=best,
            middle=middle_point(best) if best else None,
            bare=lambda estimate: _points(estimate).value,
            saving=_saving(found, best) if best else None,
            key=[
                (plan, Markup(study_plots.key_sample(str(i), style[plan.name])))
                for i, plan in enumerate(found.plans)
            ],
            learning=[
                (unit, _both(partial(study_plots.learning_plot, found, unit)))
                for unit in found.units
            ],
            ranks=[Markup(study_plots.rank_plot(found, m)) for m in ("spearman", "kendall")],
            coverage=[
                (what, Markup(study_plots.coverage_plot(found, what)))
                for what in (["score", "ability"] if abilities else ["score"])
            ],
            differences=Markup(study_plots.difference_plot(found)) if best else "",
            error_table=error_table(found),
            bias_table=_by_size(found, lambda point: _points(point.score.bias, sign=True)),
            rmse_table=_by_size(found, lambda point: _points(point.score.rmse)),
            spearman_table=_by_size(found, lambda point: _plain(point.score.spearman)),
            kendall_table=_by_size(found, lambda point: _plain(point.score.kendall)),
            needed_tables=[
                (reference, unit, _needed_table(found, reference, unit))
                for reference in dict.fromkeys(one.reference for one in found.needed)
                for unit in found.units
            ],
            coverage_tables=[
                (level, covered, _width_table(found, place))
                for place, (level, covered) in enumerate(coverage_by_size(found))
            ],
            thirds=[
                (title, view)
                for title, show in (
                    ("Error, points", lambda third: _points(third.mae)),
                    ("Bias, points", lambda third: _points(third.bias, sign=True)),
                    (
                        f"In {found.levels[middle]:.0%} intervals",
                        lambda third: _percents(third.coverage[middle] if third.coverage else None),
                    ),
                )
                if (view := _thirds_table(found, show))
            ],
            ability_table=_ability_table(found),
            exposure=_exposure_table(found),
            stops=_stop_table(found),
            wrong=_by_size(found, lambda point: _percents(point.wrong)) if found.cut else None,
            spent=_spent_table(found),
            agents=_agents(found),
        )
    )


def _both(plot: Callable[..., str]) -> tuple[tuple[str, str], ...]:
    """A plot for wide screens and one for narrow ones."""
    from markupsafe import Markup

    return tuple((kind, Markup(plot(wide=kind == "wide"))) for kind in ("wide", "narrow"))


# --- numbers ----------------------------------------------------------------------------------


def _shown(estimate: Estimate | None, show: Callable[[float], str]) -> Cell:
    if estimate is None or estimate.value is None:
        return Cell("")
    if estimate.low is None and estimate.high is None:
        return Cell(show(estimate.value))
    low, high = ("more" if x is None else show(x) for x in (estimate.low, estimate.high))
    return Cell(show(estimate.value), f"{low} to {high}")


def _points(estimate: Estimate | None, *, sign: bool = False) -> Cell:
    return _shown(estimate, lambda x: _signed(100 * x, sign))


def _signed(number: float, sign: bool) -> str:
    text = f"{number:{'+' if sign else ''}.1f}"
    text = text.lstrip("+-") if float(text) == 0 else text
    return text.replace("-", "−")


def _plain(estimate: Estimate | None, digits: int = 2) -> Cell:
    return _shown(estimate, lambda x: f"{x:.{digits}f}".replace("-", "−"))


def _percents(estimate: Estimate | None) -> Cell:
    return _shown(estimate, percent)


def _amount(estimate: Estimate, unit: str) -> Cell:
    match unit:
        case "usd":
            return _shown(estimate, money)
        case "seconds":
            return _shown(estimate, duration)
        case _:
            return _shown(estimate, lambda x: f"{x:.1f}")


# --- tables -----------------------------------------------------------------------------------


def _point_at(plan: PlanResult, size: int | None) -> Point | None:
    return next((point for point in plan.points if point.size == size), None)


def _by_size(found: StudyResult, show: Callable[[Point], Cell]) -> TableView:
    """A row for each plan, a column for each size."""
    rows = []
    for plan in found.plans:
        points = [_point_at(plan, size) for size in found.sizes]
        rows.append(_row(found, plan, [show(point) if point else Cell("") for point in points]))
    heads = ("plan", *(count(size, "item") for size in found.sizes))
    return TableView(heads, tuple(row for row in rows if any(cell.value for cell in row.cells)))


def _row(found: StudyResult, plan: PlanResult, cells: Sequence[Cell]) -> Row:
    plans = ranked(found)
    return Row(plan.name, tuple(cells), plan.baseline, bool(plans) and plan is plans[0])


def error_table(found: StudyResult) -> TableView:
    """Mean absolute error of the predicted score in points, the smallest of a size marked, with
    those that are not clearly worse."""
    rows = []
    for plan in found.plans:
        cells = []
        for size in found.sizes:
            point = _point_at(plan, size)
            cell = _points(point.score.mae if point else None)
            mark = "best" if _as_good(found, plan, size) else ""
            cells.append(Cell(cell.value, cell.interval, mark))
        rows.append(_row(found, plan, [*cells, _points(plan.error)]))
    return TableView(("plan", *(count(size, "item") for size in found.sizes), "mean"), tuple(rows))


def _as_good(found: StudyResult, plan: PlanResult, size: int) -> bool:
    """Whether a plan has the smallest error at a size, or one that may be as small."""
    errors = {
        other.name: point.score.mae.value
        for other in found.plans
        if (point := _point_at(other, size)) and point.score.mae.value is not None
    }
    if plan.name not in errors:
        return False
    first = min(errors, key=lambda name: errors[name] or 0.0)
    return plan.name == first or not separated(gap_between(found, first, plan.name, size))


def _needed_table(found: StudyResult, reference: str, unit: str) -> TableView:
    """What each plan needs for the errors of the reference; for money and time as a share."""
    rows = []
    for plan in found.plans:
        cells = []
        for size in found.sizes:
            one = _needed(found, (plan.name, reference, size, unit))
            if one is None:
                cells.append(Cell(""))
            elif one.amount.value is None:
                cells.append(Cell("not reached"))
            elif unit == "items":
                cells.append(_amount(one.amount, unit))
            else:
                cells.append(_percents(one.share))
        rows.append(_row(found, plan, cells))
    heads = tuple(f"as after {size}" for size in found.sizes)
    return TableView(
        ("plan", *heads), tuple(row for row in rows if any(c.value for c in row.cells))
    )


def _needed(found: StudyResult, key: tuple[str, str, int, str]) -> Needed | None:
    return next((n for n in found.needed if (n.plan, n.reference, n.size, n.unit) == key), None)


def coverage_by_size(found: StudyResult) -> list[tuple[str, TableView]]:
    """Coverage of the score's intervals of each level; marked where it is clearly another one."""

    def show(point: Point, place: int, level: float) -> Cell:
        if not point.score.coverage:
            return Cell("")
        covered = point.score.coverage[place]
        cell = _percents(covered)
        return Cell(cell.value, cell.interval, "" if judged(level, covered) == "true" else "poor")

    return [
        (f"{level:.0%}", _by_size(found, partial(show, place=place, level=level)))
        for place, level in enumerate(found.levels)
    ]


def _width_table(found: StudyResult, place: int) -> TableView:
    return _by_size(
        found, lambda point: _points(point.score.width[place] if point.score.width else None)
    )


def _thirds_table(found: StudyResult, show: Callable[[Third], Cell]) -> TableView | None:
    """Something of each third of the agents at the middle size."""
    rows: list[Row] = []
    heads: tuple[str, ...] = ("plan",)
    for plan in found.plans:
        point = middle_point(plan)
        if point is None or not point.thirds:
            continue
        heads = ("plan", *(f"{third.name} third" for third in point.thirds))
        rows.append(_row(found, plan, [show(third) for third in point.thirds]))
    rows = [row for row in rows if any(cell.value for cell in row.cells)]
    return TableView(heads, tuple(rows)) if rows else None


def _ability_table(found: StudyResult) -> TableView | None:
    def show(point: Point) -> Iterator[Cell]:
        first: Accuracy = point.ability[0]
        yield from (_plain(first.mae), _plain(first.bias), _plain(first.spearman))
        yield from (_percents(covered) for covered in first.coverage)
        yield _plain(first.width[len(found.levels) // 2])

    rows = []
    for plan in found.plans:
        point = middle_point(plan)
        if point is not None and point.ability:
            rows.append(_row(found, plan, list(show(point))))
    levels = [f"in {level:.0%}" for level in found.levels]
    width = f"width {found.levels[len(found.levels) // 2]:.0%}"
    heads = ("plan", "error", "bias", "Spearman", *levels, width)
    return TableView(heads, tuple(rows)) if rows else None


def _exposure_table(found: StudyResult) -> TableView:
    rows = []
    for plan in found.plans:
        point = middle_point(plan)
        if point is None:
            continue
        unused = point.exposure.unused
        cells = [
            _percents(point.exposure.most),
            Cell("" if unused is None else percent(unused)),
            _percents(point.exposure.overlap),
        ]
        rows.append(_row(found, plan, cells))
    return TableView(("plan", "most used item", "items unused", "overlap of tests"), tuple(rows))


def _stop_table(found: StudyResult) -> TableView | None:
    place = len(found.levels) // 2
    rows = []
    for plan in found.plans:
        point = _point_at(plan, None)
        if point is None:
            continue
        covered = point.score.coverage[place] if point.score.coverage else None
        ended = ", ".join(f"{number:,} {how}" for how, number in plan.ended.items())
        cells = [_amount(point.items, "items")]
        cells += [_amount(getattr(point, unit), unit) for unit in found.units if unit != "items"]
        cells += [_points(point.score.mae), _plain(point.score.spearman), _percents(covered)]
        rows.append(_row(found, plan, [Cell(plan.stop or ""), *cells, Cell(ended)]))
    units = [{"usd": "dollars", "seconds": "time"}[u] for u in found.units if u != "items"]
    heads = ("plan", "rule", "items", *units, "error", "Spearman")
    return (
        TableView((*heads, f"in {found.levels[place]:.0%}", "ended"), tuple(rows)) if rows else None
    )


def _spent_table(found: StudyResult) -> list[tuple[str, TableView]]:
    """Dollars and seconds at every size, where they are known."""
    return [
        (unit, _by_size(found, partial(_spent, unit=unit)))
        for unit in found.units
        if unit != "items"
    ]


def _spent(point: Point, unit: str) -> Cell:
    return _amount(getattr(point, unit), unit)


def _agents(found: StudyResult) -> TableView:
    """Error of every agent at the middle size, the best agent first."""
    place = len(found.sizes) // 2
    rows = []
    for agent in sorted(found.tested, key=lambda one: -one.score):
        errors = [agent.error[plan.name][place] for plan in found.plans]
        cells = [Cell("" if e is None else f"{100 * e:.1f}") for e in errors]
        rows.append(Row(agent.name, (Cell(percent(agent.score)), *cells)))
    return TableView(("agent", "score", *(plan.name for plan in found.plans)), tuple(rows))


def _saving(found: StudyResult, best: PlanResult) -> Needed | None:
    """What the best plan needs for the reference's error at the largest size that both reach."""
    there = [
        n
        for n in found.needed
        if (n.plan, n.reference, n.unit) == (best.name, found.reference, "items")
    ]
    return there[-1] if there else None
