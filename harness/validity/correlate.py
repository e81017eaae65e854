"""Correlations between benchmarks over the agents or models that they share."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.bank import ItemBank
from harness.errors import InputError
from harness.health.flags import LEVEL, adjusted
from harness.irt import Array
from harness.responses import Responses
from harness.responses.families import maker_in
from harness.validity import latent, plain
from harness.validity.mapping import Matching
from harness.validity.measures import Measure, column_measure, measure, unmeasured
from harness.validity.plain import Interval
from harness.validity.result import Benchmark, Line, Pair, Partial, Point, Refusal, Validity

FEWEST = 8
"""Shared agents below which no correlation is told."""
_FEW = 20
_LEAST = 4
"""Below this not even a wide interval exists."""
_LINE = 25
_NAMED = 6


def analyse_validity(
    benchmarks: Mapping[str, Responses],
    matching: Matching,
    *,
    banks: Mapping[str, ItemBank] | None = None,
    given: str = "",
    fewest: int = FEWEST,
    level: float = LEVEL,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Validity:
    """Correlate all pairs of benchmarks, and partially given a capability measure.

    Benchmarks without a partner that shares agents enough are not calibrated.

    Args:
        benchmarks: outcomes by name, the capability measure's too where that is a benchmark.
        matching: which agents are the same.
        banks: calibrated banks by name; others are calibrated on the outcomes.
        given: a benchmark, or what ``matching.numbers`` were read from; empty for nothing.
        fewest: shared keys that a pair needs.
        level: probability of the intervals.
        seed: of all draws.
        progress: called with the name of each benchmark before its abilities are estimated.

    Raises:
        InputError: fewer than two benchmarks, ``fewest`` below 4, a level outside 0 to 1, or no
            such capability measure.
        ResponsesError, BankError: as :func:`~harness.validity.measures.measure`.
    """
    if len(benchmarks) < 2:
        raise InputError("two benchmarks at least are compared: give NAME=RESPONSES for each")
    measures = {}
    for name, responses in benchmarks.items():
        others = [len(matching.shared(name, other)) for other in benchmarks if other != name]
        keys = matching.keys.get(name, {})
        if max(others) < fewest:
            measures[name] = unmeasured(name, responses, keys)
            continue
        if progress:
            progress(name)
        bank = (banks or {}).get(name)
        measures[name] = measure(name, responses, keys, bank, seed=seed)
    held = None
    if given:
        held = measures[given] if given in measures else column_measure(given, matching.numbers)
    return compare_measures(
        list(measures.values()), matching.how, given=held, fewest=fewest, level=level, seed=seed
    )


def compare_measures(
    measures: Sequence[Measure],
    how: str,
    *,
    given: Measure | None = None,
    fewest: int = FEWEST,
    level: float = LEVEL,
    seed: int = 0,
) -> Validity:
    """As :func:`analyse_validity`, of abilities that are already estimated.

    Args:
        how: their keys were matched, in words.
        given: the capability measure, which may be one of the measures.

    Raises:
        InputError: ``fewest`` below 4 or a level outside 0 to 1.
    """
    if fewest < _LEAST:
        raise InputError(
            f"at least {_LEAST} shared agents are needed for an interval, not {fewest}"
        )
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, not at {level:g}")
    every = [*measures, *([given] if given and given not in measures else [])]
    pairs: list[Pair] = []
    partials: list[Partial] = []
    refusals: list[Refusal] = []
    for first, second in itertools.combinations(every, 2):
        shared = _shared(first, second)
        if len(shared) < fewest:
            refusals.append(_refused((first, second), shared, fewest, level))
        else:
            pairs.append(_pair(first, second, shared, level, seed))
    compared = [one for one in measures if one is not given] if given else []
    for first, second in itertools.combinations(compared, 2):
        assert given is not None
        shared = _shared(first, second, given)
        if len(shared) < fewest:
            refusals.append(_refused((first, second, given), shared, fewest, level))
        else:
            partials.append(_partial(first, second, given, shared, level, seed))
    return Validity(
        benchmarks=tuple(_benchmark(one) for one in every),
        pairs=tuple(replace(one, q=q) for one, q in zip(pairs, _adjusted(pairs), strict=True)),
        partials=tuple(
            replace(one, q=q) for one, q in zip(partials, _adjusted(partials), strict=True)
        ),
        refusals=tuple(refusals),
        how=how,
        given=given.name if given else "",
        fewest=fewest,
        level=level,
        seed=seed,
    )


def _adjusted(found: Sequence[Pair] | Sequence[Partial]) -> list[float]:
    return adjusted([two_sided(one.positive) for one in found]).tolist() if found else []


def two_sided(positive: float) -> float:
    """Twice the posterior probability of the less probable sign.

    >>> two_sided(0.98)  # doctest: +ELLIPSIS
    0.04...
    """
    return min(1.0, 2 * min(positive, 1 - positive))


def _shared(*measures: Measure) -> tuple[str, ...]:
    return tuple(sorted(set.intersection(*(set(one.keys) for one in measures))))


def _benchmark(one: Measure) -> Benchmark:
    return Benchmark(
        one.name,
        one.source,
        one.sha256,
        one.tested,
        len(one.items),
        len(one.keys),
        one.spread,
        one.notes,
    )


# --- pairs ------------------------------------------------------------------------------------


def _pair(
    first: Measure,
    second: Measure,
    keys: tuple[str, ...],
    level: float,
    seed: int,
) -> Pair:
    here, there = first.at(keys), second.at(keys)
    x, y = first.ability[here], second.ability[there]
    found = _latent(first, second, keys, seed)
    reliabilities = (
        plain.reliability(x, first.sd[here]),
        plain.reliability(y, second.sd[there]),
    )
    estimates = plain.pearson(x, y, level)
    scores = first.score[here], second.score[there]
    draws = min(len(first.draws), len(second.draws))
    return Pair(
        first=first.name,
        second=second.name,
        keys=keys,
        latent=_interval(found, level),
        positive=found.positive,
        q=math.nan,
        draws=plain.over_draws(first.draws[:draws, here], second.draws[:draws, there], level),
        estimates=estimates,
        scores=plain.pearson(*scores, level),
        ranks=plain.spearman(*scores, level),
        classical=plain.corrected(estimates, reliabilities),
        reliability=reliabilities,
        prediction=plain.prediction(scores[1], x[:, None], second.name, (first.name,), level),
        points=_points(first, second, keys, level),
        line=_line(found, x, level),
        cautions=_cautions((first, second), keys, reliabilities),
    )


def _latent(
    first: Measure, second: Measure, keys: tuple[str, ...], seed: int
) -> latent.Correlation:
    rows = ((one, one.at(keys)) for one in (first, second))
    estimate, error = zip(*((one.estimate[at], one.error[at]) for one, at in rows), strict=True)
    return latent.correlation(np.column_stack(estimate), np.column_stack(error), seed=seed)


def _interval(found: latent.Correlation, level: float) -> Interval:
    return Interval(*(found.quantile(q) for q in (0.5, (1 - level) / 2, (1 + level) / 2)))


def _points(
    first: Measure, second: Measure, keys: tuple[str, ...], level: float
) -> tuple[Point, ...]:
    ends = []
    for one in (first, second):
        at = one.at(keys)
        draws = one.draws[:, at]
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        ends.append(np.stack([one.ability[at], low, high], axis=1))
    rows = np.concatenate(ends, axis=1)
    return tuple(Point(key, *row) for key, row in zip(keys, rows.tolist(), strict=True))


def _line(found: latent.Correlation, x: Array, level: float) -> Line:
    margin = 0.08 * float(np.ptp(x))
    grid = np.linspace(x.min() - margin, x.max() + margin, _LINE)
    values = found.lines[:, :1] + found.lines[:, 1:] * grid
    middle, low, high = np.quantile(values, [0.5, (1 - level) / 2, (1 + level) / 2], axis=0)
    return Line(*(tuple(row.tolist()) for row in (grid, middle, low, high)))


def _cautions(
    measures: Sequence[Measure],
    keys: tuple[str, ...],
    reliabilities: Sequence[float],
) -> tuple[str, ...]:
    """What limits the conclusions, in sentences."""
    found = []
    n = len(keys)
    first, second = measures[:2]
    if n < _FEW:
        found.append(
            f"{n} shared agents are few: one unusual agent can move the correlation by much, more "
            "than the interval says."
        )
    makers = Counter(filter(None, (maker_in(key) for key in keys)))
    if len(makers) > 1 and sum(makers.values()) >= n / 2 and len(makers) <= n / 2:
        found.append(
            f"The {n} agents are of {len(makers)} families ({_counted(makers)}): related models "
            "are no independent facts, so the interval is too narrow rather than too wide."
        )
    same = len(set(first.items) & set(second.items))
    if same:
        found.append(
            f"{same} items have the same names in {first.name} and {second.name}: where outcomes "
            "are of the same runs their errors are shared, and the correlation comes out too high."
        )
    for one, value in zip(measures, reliabilities, strict=True):
        if value < 0.5:
            found.append(
                f"{one.name} tells these agents apart poorly (reliability {value:.2f}): more items "
                "or trials would say more than more agents."
            )
    for one in measures[:2]:
        named = {a for group in one.agents for a in group}
        if math.isnan(one.spread) and len(named) and named != set(one.keys) and one.items:
            found.append(
                f"On {one.name} every key has a single agent: what its scaffold adds cannot be "
                "told from the model, and counts as the model's."
            )
    return tuple(found)


def _counted(makers: Counter[str]) -> str:
    shown = [f"{name} {count}" for name, count in makers.most_common(5)]
    return ", ".join(shown) + (", …" if len(makers) > 5 else "")


# --- a capability measure ---------------------------------------------------------------------


def _partial(
    first: Measure,
    second: Measure,
    held: Measure,
    keys: tuple[str, ...],
    level: float,
    seed: int,
) -> Partial:
    every = (first, second, held)
    places = [one.at(keys) for one in every]
    estimate, error, ability = (
        np.column_stack([getattr(one, what)[at] for one, at in zip(every, places, strict=True)])
        for what in ("estimate", "error", "ability")
    )
    draws = latent.partial_draws(estimate, error, seed=seed)
    middle, low, high = np.quantile(draws, [0.5, (1 - level) / 2, (1 + level) / 2])
    left = [plain.residuals(ability[:, d], ability[:, 2]) for d in range(2)]
    score = second.score[places[1]]
    capability = ability[:, 2:]
    cautions = []
    if len(keys) < _FEW:
        cautions.append(
            f"{len(keys)} agents are few to hold something fixed: the interval says how little is "
            "known."
        )
    return Partial(
        first=first.name,
        second=second.name,
        given=held.name,
        keys=keys,
        latent=Interval(float(middle), float(low), float(high)),
        positive=float((draws > 0).mean()),
        q=math.nan,
        whole=_interval(_latent(first, second, keys, seed), level),
        estimates=plain.pearson(left[0], left[1], level, held=1),
        predictions=(
            plain.prediction(score, capability, second.name, (held.name,), level),
            plain.prediction(
                *(score, ability[:, [0, 2]], second.name, (first.name, held.name), level),
                *(capability, (held.name,)),
            ),
        ),
        cautions=tuple(cautions),
    )


# --- refusals ---------------------------------------------------------------------------------


def _refused(
    measures: Sequence[Measure], shared: tuple[str, ...], fewest: int, level: float
) -> Refusal:
    first, second = measures[:2]
    n = len(shared)
    names = " and ".join(one.name for one in measures[:2])
    if len(measures) > 2:
        names = f"{first.name}, {second.name} and {measures[2].name}"
    who = f" ({_named(shared)})" if shared else ""
    reason = f"{names} share {n} agent{'s' * (n != 1)}{who}, and {fewest} are needed."
    if n > 3:
        # for example: what a strong correlation would look like
        wide = plain.fisher(0.8, n - 3, 1.0, level)
        reason += (
            f" With {n} even a correlation of 0.80 would have a {level:.0%} interval from "
            f"{wide.low:.2f} to {wide.high:.2f}."
        ).replace("from -", "from −")
    else:
        reason += " From so few no interval can be given at all."
    short = fewest - n
    options = [
        f"test {short} more of {one.name}'s agents on {other.name}, such as {_named(alone)}"
        for one, other in itertools.permutations(measures, 2)
        if other.items and (alone := [key for key in one.keys if key not in other.keys])
    ]
    remedy = f"What would help: {options[0]}" if options else "What would help: more agents on both"
    return Refusal(
        first.name,
        second.name,
        shared,
        measures[2].name if len(measures) > 2 else "",
        reason,
        f"{remedy}; or a mapping that knows other names of the same models.",
    )


def _named(keys: Sequence[str]) -> str:
    rest = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
