"""From sessions to measures: errors, ranks, coverage, lengths, costs, exposure, comparisons."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array
from harness.study.bootstrap import (
    Estimate,
    draw_weights,
    estimate,
    estimate_share,
    first_reached,
    overlap,
    rank_correlations,
    weighted_means,
)
from harness.study.outcomes import full_scores
from harness.study.parallel import Ticks
from harness.study.result import (
    Accuracy,
    AgentFacts,
    Curve,
    Difference,
    Exposure,
    Needed,
    PlanResult,
    Point,
    SplitFacts,
    StudyResult,
    Third,
)
from harness.study.run import Method, Study, Tested
from harness.study.words import verdict, warnings

_ROUNDING = 1e-9
_GROUPS = 50
"""Repetitions whose rank correlations and exposures are averaged at most."""
_FEWEST = 9
"""Agents that thirds are made of."""
_THIRDS = ("lowest", "middle", "highest")
Indices = NDArray[np.intp]
Truth = NDArray[np.bool_]


def measure_study(study: Study, progress: Ticks | None = None) -> StudyResult:
    """Everything that a study found."""
    progress = progress or (lambda what, done, total: None)
    plan, responses = study.plan, study.responses
    units = np.unique(np.concatenate([split.tested for split in study.splits]))
    weights = draw_weights(len(units), plan.resamples)
    everything = full_scores(responses, np.arange(len(responses.items)))[units]
    context = _Context(study, units, weights, everything)
    plans = []
    for done, tested in enumerate(study.tested):
        progress("measuring", done, len(study.tested))
        plans.append(_plan(context, tested))
    progress("measuring", len(study.tested), len(study.tested))
    known = _known_units(study)
    reference = _reference([tested.method for tested in study.tested])
    found = StudyResult(
        name=plan.name,
        source=responses.source,
        sha256=responses.sha256,
        version=version("cat-harness"),
        agents=len(responses.agents),
        items=len(responses.items),
        missing=responses.missing,
        repeated=bool((responses.attempts > 1).any()),
        bank=study.fits[0].bank.name if plan.bank else None,
        model=plan.model,
        by=plan.split.by,
        seeds=plan.split.seeds,
        sizes=plan.sizes,
        levels=plan.levels,
        units=known,
        cut=plan.cut,
        resamples=plan.resamples,
        reference=reference,
        splits=tuple(
            SplitFacts(s.name, len(s.calibrating), len(s.tested), s.seed, fit.converged)
            for s, fit in zip(study.splits, study.fits, strict=True)
        ),
        tested=tuple(_agents(context)),
        plans=tuple(plans),
        differences=tuple(_differences(context)),
        needed=tuple(_all_needed(context, reference, study.tested, known))
        + tuple(_among_plans(context, reference, known)),
        verdict=(),
        warnings=(),
    )
    return replace(found, verdict=verdict(found), warnings=warnings(found, study))


@dataclass(frozen=True, eq=False)
class _Context:
    """What all measures share."""

    study: Study
    units: Indices
    """``(U,)`` agents under test: what is drawn again."""
    weights: Array
    """``(B + 1, U)``."""
    scores: Array
    """``(U,)`` full-data scores over all items."""

    def unit(self, tested: Tested) -> Indices:
        """``(R,)`` the unit of each session."""
        return np.searchsorted(self.units, tested.agent)

    def means(self, tested: Tested, values: Array, rows: Truth | None = None) -> Array:
        """``(B + 1, C)`` of ``values (R, C)``, of some rows."""
        unit = self.unit(tested)
        if rows is None:
            return weighted_means(self.weights, unit, values)
        return weighted_means(self.weights, unit[rows], values[rows])

    def mean(self, tested: Tested, values: Array, rows: Truth | None = None) -> Estimate:
        """Of ``values (R,)``."""
        return estimate(self.means(tested, values[:, None], rows)[:, 0])

    def shares(self, tested: Tested, values: Array, rows: Truth | None = None) -> list[Estimate]:
        """Of each column of ``values (R, C)``, 0 and 1 or NaN."""
        known = np.isfinite(values) if rows is None else np.isfinite(values) & rows[:, None]
        draws = self.means(tested, values, rows)
        return [
            estimate_share(column, len(np.unique(tested.agent[there])))
            for column, there in zip(draws.T, known.T, strict=True)
        ]

    def groups(self, tested: Tested) -> Iterator[tuple[Indices, Array]]:
        """Rows of each repetition, and the weights ``(B + 1, m)`` of their agents."""
        unit = self.unit(tested)
        for group in np.unique(tested.group)[:_GROUPS]:
            rows = np.flatnonzero(tested.group == group)
            yield rows, self.weights[:, unit[rows]]

    def errors(self, tested: Tested) -> Array:
        """``(R, S)`` absolute errors of the predicted score at the sizes."""
        sizes = len(self.study.plan.sizes)
        return np.abs(tested.sessions.score[:, :sizes] - tested.truth[:, None])

    def error_by_size(self, tested: Tested) -> Array:
        """``(B + 1, S)``."""
        return self.means(tested, self.errors(tested))

    def curve(self, tested: Tested) -> Array:
        """``(B + 1, T)`` mean absolute error after each item."""
        return self.means(tested, np.abs(tested.sessions.curve - tested.truth[:, None]))


# --- one plan ---------------------------------------------------------------------------------


def _plan(context: _Context, tested: Tested) -> PlanResult:
    plan, method, entry = context.study.plan, tested.method, tested.method.entry
    ends = [*plan.sizes, *([None] if entry and entry.stop else [])]
    prior = entry.prior if entry else ""
    return PlanResult(
        name=method.name,
        baseline=method.baseline,
        select=str(entry.selector) if entry else "random" if not method.window else "window",
        stop=str(entry.stop) if entry and entry.stop else None,
        prior=prior if isinstance(prior, str) else f"{prior[0]:g},{prior[1]:g}",
        estimator=str(entry.estimator) if entry else "mean",
        width=entry.width if entry else 1,
        sessions=len(tested.agent),
        error=estimate(_over_sizes(context.error_by_size(tested))),
        points=tuple(_point(context, tested, place, size) for place, size in enumerate(ends)),
        curve=_curve(context, tested),
        ended=dict(sorted(tested.sessions.ended.items())),
    )


def _point(context: _Context, tested: Tested, place: int, size: int | None) -> Point:
    sessions, plan = tested.sessions, context.study.plan
    there = np.isfinite(sessions.items[:, place])
    wrong = None
    if plan.cut is not None:
        above = sessions.above[:, place]
        # a plain mean is its own answer
        above = sessions.score[:, place] if tested.method.entry is None else above
        said = above > (plan.cut if tested.method.entry is None else 0.5)
        mistake = np.where(there, said != (tested.truth > plan.cut), np.nan)
        (wrong,) = context.shares(tested, mistake[:, None])
    return Point(
        size=size,
        agents=len(np.unique(tested.agent[there])),
        items=context.mean(tested, sessions.items[:, place]),
        usd=context.mean(tested, sessions.usd[:, place]),
        seconds=context.mean(tested, sessions.seconds[:, place]),
        score=_accuracy(
            context, tested, sessions.score[:, place], sessions.score_ends[:, place], tested.truth
        ),
        ability=tuple(
            _accuracy(
                context,
                tested,
                sessions.ability[:, place, d],
                sessions.ability_ends[:, place, d],
                tested.ability[:, d],
            )
            for d in range(tested.ability.shape[1])
        ),
        thirds=tuple(_thirds(context, tested, place)),
        exposure=_exposure(context, tested, place),
        wrong=wrong,
    )


def _accuracy(
    context: _Context, tested: Tested, found: Array, ends: Array, truth: Array
) -> Accuracy:
    """``found`` and ``truth`` are ``(R,)``, ``ends`` is ``(R, L, 2)``."""
    error = found - truth
    means = context.means(tested, np.stack([np.abs(error), error**2, error], axis=1))
    inside, width = _inside(ends, truth), ends[:, :, 1] - ends[:, :, 0]
    wide = context.means(tested, width)
    spearman, kendall = _ranks(context, tested, found, truth)
    return Accuracy(
        mae=estimate(means[:, 0]),
        rmse=estimate(np.sqrt(means[:, 1])),
        bias=estimate(means[:, 2]),
        spearman=spearman,
        kendall=kendall,
        coverage=tuple(context.shares(tested, inside)),
        width=tuple(estimate(column) for column in wide.T),
    )


def _inside(ends: Array, truth: Array) -> Array:
    """``(R, L)`` 1 where the truth lies in the interval; NaN where there is none."""
    low, high = ends[:, :, 0], ends[:, :, 1]
    value = truth[:, None]
    inside = (low <= value + _ROUNDING) & (value <= high + _ROUNDING)
    return np.where(np.isfinite(low), inside, np.nan)


def _ranks(
    context: _Context, tested: Tested, found: Array, truth: Array
) -> tuple[Estimate, Estimate]:
    """Spearman's and Kendall's coefficients, averaged over repetitions."""
    each = []
    for rows, weights in context.groups(tested):
        known = np.isfinite(found[rows])
        if known.sum() > 2:
            here = rows[known]
            each.append(rank_correlations(weights[:, known], found[here], truth[here]))
    if not each:
        return Estimate(None), Estimate(None)
    stacked = np.array(each)
    known_draws = np.isfinite(stacked)
    # a draw in which a repetition has no ranks counts the others
    with np.errstate(invalid="ignore"):
        means = np.where(known_draws, stacked, 0.0).sum(axis=0) / known_draws.sum(axis=0)
    return estimate(means[0]), estimate(means[1])


def _thirds(context: _Context, tested: Tested, place: int) -> Iterator[Third]:
    if len(context.units) < _FEWEST:
        return
    sessions = tested.sessions
    order = np.argsort(context.scores, kind="stable")
    third_of = np.empty(len(order), np.intp)
    for third, members in enumerate(np.array_split(order, len(_THIRDS))):
        third_of[members] = third
    error = sessions.score[:, place] - tested.truth
    inside = _inside(sessions.score_ends[:, place], tested.truth)
    of_row = third_of[context.unit(tested)]
    for third, name in enumerate(_THIRDS):
        rows, scores = of_row == third, context.scores[third_of == third]
        yield Third(
            name=name,
            agents=len(scores),
            low=float(scores.min()),
            high=float(scores.max()),
            items=context.mean(tested, sessions.items[:, place], rows),
            mae=context.mean(tested, np.abs(error), rows),
            bias=context.mean(tested, error, rows),
            coverage=tuple(context.shares(tested, inside, rows)),
        )


def _exposure(context: _Context, tested: Tested, place: int) -> Exposure:
    sessions, n = tested.sessions, len(context.study.responses.items)
    most, unused, common = [], [], []
    for rows, weights in context.groups(tested):
        used = _used(sessions.order[rows], sessions.items[rows, place], n)
        has = np.isfinite(sessions.items[rows, place])
        if has.sum() < 2:
            continue
        given = used.sum(axis=0)
        favourite = used[has][:, int(given.argmax())].astype(float)
        total = weights[:, has].sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            most.append((weights[:, has] @ favourite) / total)
        unused.append(float((given == 0).mean()))
        common.append(overlap(weights[:, has], used[has]))
    if not most:
        return Exposure(Estimate(None), None, Estimate(None))
    return Exposure(
        most=estimate(np.mean(most, axis=0)),
        unused=float(np.mean(unused)),
        overlap=estimate(np.mean(common, axis=0)),
    )


def _used(order: NDArray[np.int32], items: Array, n: int) -> Truth:
    """``(m, n)`` the items of each test up to a length; NaN is none."""
    given = (np.arange(order.shape[1]) < np.nan_to_num(items)[:, None]) & (order >= 0)
    used = np.zeros((len(order), n), bool)
    rows, places = np.nonzero(given)
    used[rows, order[rows, places]] = True
    return used


def _curve(context: _Context, tested: Tested) -> Curve:
    draws = context.curve(tested)
    found = [estimate(column) for column in draws.T]
    usd, seconds = (
        context.means(tested, values)[0]
        for values in (tested.sessions.curve_usd, tested.sessions.curve_seconds)
    )
    return Curve(
        mae=tuple(one.value for one in found),
        low=tuple(one.low for one in found),
        high=tuple(one.high for one in found),
        usd=_plain(usd),
        seconds=_plain(seconds),
    )


def _plain(numbers: Array) -> tuple[float | None, ...]:
    return tuple(float(x) if np.isfinite(x) else None for x in numbers)


# --- comparisons ------------------------------------------------------------------------------


def _over_sizes(errors: Array) -> Array:
    """``(B + 1,)`` mean over the sizes that any session reached."""
    reached = np.isfinite(errors[0])
    if not reached.any():
        return np.full(len(errors), np.nan)
    return np.asarray(errors[:, reached].mean(axis=1))


def _differences(context: _Context) -> Iterator[Difference]:
    """All pairs of plans, at every size and on average."""
    by_plan = [(t.method.name, context.error_by_size(t)) for t in context.study.tested]
    for (first, one), (second, other) in combinations(by_plan, 2):
        gap = other - one
        yield Difference(first, second, None, estimate(_over_sizes(gap)))
        for place, size in enumerate(context.study.plan.sizes):
            yield Difference(first, second, size, estimate(gap[:, place]))


def _reference(methods: Sequence[Method]) -> str:
    """Random tasks, or else the plan that is named first."""
    names = [method.name for method in methods]
    return next((name for name in ("random + mean", "random + IRT") if name in names), names[0])


def _among_plans(context: _Context, reference: str, units: Sequence[str]) -> Iterator[Needed]:
    """What the user's own plans need for the errors of the one that is named first."""
    own = [tested for tested in context.study.tested if not tested.method.baseline]
    first = own[0].method.name
    return _all_needed(context, first, own, units) if first != reference else iter(())


def _all_needed(
    context: _Context, reference: str, plans: Sequence[Tested], units: Sequence[str]
) -> Iterator[Needed]:
    base = next(t for t in context.study.tested if t.method.name == reference)
    base_errors, base_curve = context.error_by_size(base), context.curve(base)
    for tested in plans:
        if tested is base:
            continue
        errors, curve = context.error_by_size(tested), context.curve(tested)
        for unit in units:
            amounts, base_amounts = (_amounts(context, t, unit) for t in (tested, base))
            for place, size in enumerate(context.study.plan.sizes):
                if size > min(amounts.shape[1], base_amounts.shape[1]):
                    continue
                spent, base_spent = amounts[:, size - 1], base_amounts[:, size - 1]
                amount = first_reached(amounts, curve, base_errors[:, place])
                matched = first_reached(base_amounts, base_curve, errors[:, place])
                with np.errstate(invalid="ignore", divide="ignore"):
                    yield Needed(
                        plan=tested.method.name,
                        reference=reference,
                        size=size,
                        unit=unit,
                        amount=estimate(amount),
                        share=estimate(amount / base_spent),
                        matched=estimate(matched),
                        factor=estimate(matched / spent),
                    )


def _amounts(context: _Context, tested: Tested, unit: str) -> Array:
    """``(B + 1, T)`` what is spent after each item on average."""
    sessions = tested.sessions
    length = sessions.curve.shape[1]
    match unit:
        case "usd":
            return context.means(tested, sessions.curve_usd)
        case "seconds":
            return context.means(tested, sessions.curve_seconds)
        case _:
            return np.tile(np.arange(1.0, length + 1), (len(context.weights), 1))


def _known_units(study: Study) -> tuple[str, ...]:
    """Units that the plan asks for, where most of the attempts have them."""
    responses = study.responses
    costs = {"usd": responses.usd, "seconds": responses.seconds}
    found: list[str] = []
    for unit in study.plan.units:
        if unit == "items":
            found.append(unit)
            continue
        expected = getattr(study.fits[0].bank.table, unit)
        if np.isfinite(costs[unit]).mean() > 0.5 or np.isfinite(expected).all():
            found.append(unit)
    return tuple(found)


def _agents(context: _Context) -> Iterator[AgentFacts]:
    names = context.study.responses.agents
    errors = {}
    sessions = np.zeros(len(context.units), np.intp)
    for tested in context.study.tested:
        unit = context.unit(tested)
        one_each = np.eye(len(context.units))
        errors[tested.method.name] = weighted_means(one_each, unit, context.errors(tested))
        if not tested.method.baseline:
            sessions = np.bincount(unit, minlength=len(context.units))
    for row, agent in enumerate(context.units):
        yield AgentFacts(
            name=names[agent],
            score=float(context.scores[row]),
            sessions=int(sessions[row]),
            error={name: list(_plain(found[row])) for name, found in errors.items()},
        )
