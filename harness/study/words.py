"""What a study says, in sentences."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.study.bootstrap import Estimate
from harness.study.result import Needed, PlanResult, Point, StudyResult
from harness.study.run import Study

_FEW_AGENTS = 10
_UNITS = {"items": "items", "usd": "dollars", "seconds": "seconds"}


def points(estimate: Estimate, digits: int = 1) -> str:
    """A share in points with its interval.

    >>> points(Estimate(0.031, 0.028, 0.0345))
    '3.1 points [2.8, 3.5]'
    """
    show = _rounded(digits)
    return _with(estimate, lambda x: show(100 * x), " points")


def percents(estimate: Estimate) -> str:
    """A share in percent with its interval.

    >>> percents(Estimate(0.84, 0.8, 0.882))
    '84% [80, 88]'
    """
    return _with(estimate, lambda x: f"{100 * x:.0f}", "%")


def number(estimate: Estimate, digits: int = 0, noun: str = "") -> str:
    """A number with its interval; an end that was not reached is left open.

    >>> number(Estimate(11.2, 8.7, None), noun=" items")
    '11 items [9, more]'
    """
    show = _rounded(digits)
    one = estimate.value is not None and show(estimate.value) == "1"
    return _with(estimate, show, noun.removesuffix("s") if one else noun)


def _rounded(digits: int) -> Callable[[float], str]:
    def show(x: float) -> str:
        text = f"{x:,.{digits}f}"
        return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text

    return show


def _with(estimate: Estimate, show: Callable[[float], str], noun: str) -> str:
    if estimate.value is None:
        return "unknown"
    text = f"{show(estimate.value)}{noun}"
    if estimate.low is None and estimate.high is None:
        return text
    low, high = ("more" if x is None else show(x) for x in (estimate.low, estimate.high))
    return f"{text} [{low}, {high}]"


def listed(words: Sequence[str]) -> str:
    """Words joined as in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def separated(gap: Estimate) -> bool:
    """Whether the interval of a difference leaves out 0."""
    if gap.low is None or gap.high is None:
        return False
    return gap.low > 0 or gap.high < 0


def gap_between(found: StudyResult, first: str, second: str, size: int | None = None) -> Estimate:
    """How much larger the error of ``second`` is than that of ``first``."""
    for one in found.differences:
        if one.size == size and {one.first, one.second} == {first, second}:
            if one.first == first:
                return one.error
            value, low, high = one.error.value, one.error.low, one.error.high
            return Estimate(*(None if x is None else -x for x in (value, high, low)))
    raise KeyError((first, second, size))


def ranked(found: StudyResult) -> list[PlanResult]:
    """Plans with an error, the smallest first."""
    known = [plan for plan in found.plans if plan.error.value is not None]
    return sorted(known, key=lambda plan: plan.error.value or 0.0)


def verdict(found: StudyResult) -> tuple[str, ...]:
    """Which plan is best and by how much, in sentences; honest where nothing differs."""
    plans = ranked(found)
    if not plans:
        return ("No session got as far as the smallest size.",)
    best = plans[0]
    return (
        *_winner(found, best, plans[1:]),
        *_savings(found, best),
        *_honesty(found, best),
        *_endings(found),
    )


def _winner(found: StudyResult, best: PlanResult, others: Sequence[PlanResult]) -> Iterator[str]:
    sizes = _sizes_reached(best)
    average = (
        f"on average over {listed([str(s) for s in sizes])} items"
        if sizes[1:]
        else (f"after {sizes[0]} items")
    )
    yield (
        f"'{best.name}' predicts the full score best: it is off by {points(best.error)} {average}."
    )
    even: list[tuple[PlanResult, Estimate]] = []
    behind: list[tuple[PlanResult, Estimate]] = []
    for other in others:
        gap = gap_between(found, best.name, other.name)
        (behind if separated(gap) else even).append((other, gap))
    if even:
        names = listed([f"'{other.name}' ({points(gap)})" for other, gap in even])
        yield f"No clear difference from {names}."
    if behind:
        names = listed([f"'{other.name}' by {points(gap)}" for other, gap in behind])
        yield f"It is ahead of {names}."


def _sizes_reached(plan: PlanResult) -> list[int]:
    return [p.size for p in plan.points if p.size is not None and p.score.mae.value is not None]


def _savings(found: StudyResult, best: PlanResult) -> Iterator[str]:
    """What the best plan and the user's own need for the errors of others."""
    own = [plan.name for plan in found.plans if not plan.baseline]
    for name in dict.fromkeys([best.name, *own]):
        mine = [one for one in found.needed if one.plan == name]
        yield from _needs(found, [one for one in mine if one.reference == found.reference])
        if name == best.name:
            yield from _matches(
                [n for n in mine if n.unit == "items" and n.reference == found.reference]
            )
        yield from _needs(found, [one for one in mine if one.reference != found.reference])


def _needs(found: StudyResult, there: Sequence[Needed]) -> Iterator[str]:
    """What one plan needs for the last of another's errors that it reaches, in all units."""
    if not there:
        return
    items = [one for one in there if one.unit == "items"] or list(there)
    reached = [one.size for one in there if one.amount.value is not None]
    size = max(reached, default=items[-1].size)
    first = items[0]
    reference = next(plan for plan in found.plans if plan.name == first.reference)
    error = next(p.score.mae for p in reference.points if p.size == size)
    what = f"the error of '{first.reference}' after {size} items ({points(Estimate(error.value))})"
    if not reached:
        most = max(found.sizes)
        yield f"'{first.plan}' does not reach {what} within {most} items."
        return
    parts = []
    for one in there:
        if one.size != size or one.amount.value is None:
            continue
        if one.unit == "items":
            parts.append(f"with {number(one.amount, noun=' items')}")
        else:
            parts.append(f"for {percents(one.share)} of its {_UNITS[one.unit]}")
    yield f"'{first.plan}' reaches {what} {listed(parts)}."


def _matches(there: Sequence[Needed]) -> Iterator[str]:
    """The most and the least favourable factor, at their sizes."""
    known = [one for one in there if one.factor.value is not None]
    if not known:
        return
    parts = [f"{number(one.factor, 1)} after {one.size}" for one in known]
    yield (
        f"'{known[0].reference}' needs so many times the items of '{known[0].plan}' for the same "
        f"error: {listed(parts)}."
    )


def _honesty(found: StudyResult, best: PlanResult) -> Iterator[str]:
    """Whether the intervals of the best of the user's plans hold what they say."""
    point = middle_point(best)
    if point is None or not point.score.coverage:
        return
    parts = [
        f"{level:.0%} intervals hold {percents(covered)}"
        for level, covered in zip(found.levels, point.score.coverage, strict=True)
        if covered.value is not None
    ]
    if not parts:
        return
    verdicts = {
        judged(level, covered)
        for level, covered in zip(found.levels, point.score.coverage, strict=True)
    }
    match sorted(verdicts):
        case ["true"]:
            end = "nothing speaks against them"
        case ["narrow"] | ["narrow", "true"]:
            end = "some are too narrow" if "true" in verdicts else "they are too narrow"
        case ["true", "wide"] | ["wide"]:
            end = "some are wider than needed" if "true" in verdicts else "they are too wide"
        case _:
            end = "some are too narrow and some too wide"
    yield f"After {point.size} items of '{best.name}', {listed(parts)} of the scores: {end}."


def judged(level: float, coverage: Estimate) -> str:
    """``narrow``, ``wide`` or ``true``: whether the interval of a coverage leaves out its level."""
    if coverage.high is not None and coverage.high < level:
        return "narrow"
    if coverage.low is not None and coverage.low > level:
        return "wide"
    return "true"


def middle_point(plan: PlanResult) -> Point | None:
    """The point at the size in the middle of those that were reached; None for none."""
    sizes = _sizes_reached(plan)
    if not sizes:
        return None
    middle = sizes[len(sizes) // 2]
    return next(point for point in plan.points if point.size == middle)


def _endings(found: StudyResult) -> Iterator[str]:
    for plan in found.plans:
        point = plan.points[-1]
        if plan.stop is None or point.size is not None:
            continue
        ends = listed([f"{count:,} {how}" for how, count in plan.ended.items()])
        yield (
            f"'{plan.name}' stops on {plan.stop} after {number(point.items, 1, ' items')} with an "
            f"error of {points(point.score.mae)}; sessions ended: {ends}."
        )


def warnings(found: StudyResult, study: Study) -> tuple[str, ...]:
    """What to know before believing the figures."""
    return tuple(_warnings(found, study))


def _warnings(found: StudyResult, study: Study) -> Iterator[str]:
    poor = [split.name for split in found.splits if not split.converged]
    if poor:
        yield (
            f"{len(poor)} of {len(found.splits)} calibrations did not converge (first: "
            f"{poor[0]}): take the figures as provisional."
        )
    if found.bank:
        known = {one.agent for one in study.fits[0].bank.calibrants}
        inside = sum(agent.name in known for agent in found.tested)
        if inside:
            yield (
                f"{inside} of {len(found.tested)} agents under test calibrated bank "
                f"'{found.bank}': for them the figures are better than for new agents."
            )
    if len(found.tested) < _FEW_AGENTS:
        yield (f"Only {len(found.tested)} agents are tested: intervals over so few are too narrow.")
    for size in found.sizes:
        fewest = min(
            (p.agents for plan in found.plans for p in plan.points if p.size == size), default=0
        )
        if fewest < len(found.tested):
            yield f"After {size} items: {fewest} of {len(found.tested)} agents have so many."
    for unit, cost in (("usd", study.responses.usd), ("seconds", study.responses.seconds)):
        share = float(np.isfinite(cost).mean())
        if unit in found.units and share < 1:
            yield (
                f"{share:.0%} of the attempts have {_UNITS[unit]}; the others count as the bank "
                "expects them to cost."
            )
