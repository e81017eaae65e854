"""The smallest part of a benchmark that says what the whole says.

Chosen by :mod:`harness.health.better.greedy`, and checked on agents that had no say in it by
:mod:`harness.health.better.held_out`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import ResponsesError
from harness.health.better.greedy import Aim, Budget, Indices, Price, Where, curves_of, pick
from harness.health.better.held_out import (
    SCORINGS,
    Fold,
    Scoring,
    Truth,
    full_fold,
    quick_fold,
    random_subsets,
    rank_agreement,
    score_subsets,
    splits,
)
from harness.health.evidence import Evidence
from harness.health.flags import Flag
from harness.irt import Array
from harness.study.bootstrap import Estimate, draw_weights, estimate

__all__ = ["Aim", "Budget", "Reduction", "Subset", "Where", "analyse_subset", "choose_subset"]

SIZES = (5, 10, 20, 30, 50, 100, 200, 300)
_FEWEST_TO_SPLIT = 8
_FEW = 30
_RESAMPLED = 50
"""Random subsets whose intervals are bootstrapped; the mean is over all."""


@dataclass(frozen=True)
class Pick:
    """An item of a subset."""

    item: str
    score: float
    """Mean over agents."""
    difficulty: float
    """Ability at which half of the score is expected; ±inf where it never is."""
    share: float
    """Of the information of the whole benchmark that this item adds."""
    usd: float
    """Of one attempt; NaN where unknown."""
    seconds: float


@dataclass(frozen=True)
class Subset:
    """A part of a benchmark, in the order in which its items were picked."""

    picks: tuple[Pick, ...]
    aim: Aim
    where: Where
    budget: Budget
    share: float
    """Of the information that is kept, on average over the abilities that count."""
    score_sd: float
    """Expected sd of the score on the whole benchmark, given the answers on the subset."""
    usd: float
    """Of all picks; NaN where unknown."""
    minutes: float
    cautions: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[str, ...]:
        """Names, in the order in which they were picked."""
        return tuple(pick.item for pick in self.picks)


def choose_subset(
    evidence: Evidence,
    budget: Budget,
    aim: Aim = "ranks",
    where: Where = "agents",
) -> Subset:
    """Choose the items that say most of the whole benchmark within a budget.

    Args:
        aim: keep the order of agents, or as much information as there can be.
        where: abilities that count.

    Raises:
        ResponsesError: costs or dates that are needed are unknown, or the budget is below the
            cheapest item.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> easy = np.linspace(3, -3, 20)
    >>> passed = rng.random((40, 20)) < 1 / (1 + np.exp(-rng.normal(size=(40, 1)) - easy))
    >>> found = choose_subset(gather(from_matrix(passed)), Budget(tasks=8))
    >>> len(found.items), found.share > 8 / 20
    (8, True)
    """
    curves = curves_of(evidence, where)
    usd, seconds = item_costs(evidence)
    prices, cautions = _prices(evidence, budget, usd, seconds)
    rows = pick(curves, budget, aim, prices)
    if not rows:
        raise ResponsesError(
            "the budget is below the cost of the cheapest task; allow at least "
            + " and ".join(f"{cost.min():.3g} {unit}" for unit, cost, _ in prices)
        )
    gain = curves.gain()
    means = _column_means(evidence.score)
    return Subset(
        picks=tuple(
            Pick(
                evidence.responses.items[i],
                float(means[i]),
                float(evidence.difficulty[i]),
                float(gain[i]),
                float(usd[i]),
                float(seconds[i]),
            )
            for i in rows
        ),
        aim=aim,
        where=where,
        budget=budget,
        share=float(gain[rows].sum()),
        score_sd=max(curves.score_variance(rows), 0.0) ** 0.5,
        usd=float(usd[rows].sum()),
        minutes=float(seconds[rows].sum() / 60),
        cautions=cautions,
    )


@dataclass(frozen=True)
class Agreement:
    """Of the score on a subset with that on the whole benchmark, on held-out agents, averaged over
    folds; 95% intervals from a bootstrap over agents."""

    tau: Estimate
    """Kendall's tau-b."""
    rho: Estimate
    """Spearman's."""
    error: Estimate
    """Mean absolute difference from the score on the whole benchmark; None for abilities."""


@dataclass(frozen=True)
class Point:
    """Subsets of one size."""

    size: int
    share: float
    """Of the information kept by the choice on all agents."""
    chosen: Mapping[Scoring, Agreement]
    random: Mapping[Scoring, Agreement]
    """Mean over random subsets."""
    middle: Mapping[Scoring, Agreement] | None
    """Mean over random subsets of the items that 30% to 70% of the training agents solve; None
    where no item is."""
    band: tuple[float, float]
    """Kendall's tau by mean score of single random subsets: 5% and 95% of them, averaged over
    folds."""
    beaten: float
    """Share of the random subsets whose tau is below that of the chosen one."""
    gain: Estimate
    """Tau of the chosen subset less that of random ones, by mean score."""
    gain_middle: Estimate
    """The same against the 30-70% rule."""


@dataclass(frozen=True)
class Reduction:
    """A subset, and how well subsets chosen like it order agents that had no say in it."""

    subset: Subset
    curve: tuple[Point, ...]
    """By size; empty where agents are too few to hold any out."""
    middle_items: float
    """Items within the 30-70% rule, on average over folds."""
    all_middle: Mapping[Scoring, Agreement] | None
    """Of all of them together."""
    folds: int
    """Times that agents were held out."""
    held_out: float
    """Agents held out at a time, on average."""
    draws: int
    """Random subsets of each size in each fold."""
    calibration: Literal["quick", "full"]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]

    def at(self, size: int) -> Point | None:
        """The point of one size."""
        return next((point for point in self.curve if point.size == size), None)


def analyse_subset(
    evidence: Evidence,
    budget: Budget | None = None,
    aim: Aim = "ranks",
    where: Where = "agents",
    *,
    calibration: Literal["quick", "full"] = "quick",
    folds: int = 3,
    repeats: int = 2,
    held_out: Sequence[Indices] | None = None,
    sizes: Sequence[int] = SIZES,
    draws: int = 100,
    resamples: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Reduction:
    """Choose a subset, and compare such subsets with random ones on held-out agents.

    Args:
        budget: of the subset; a tenth of the items, at least 10, when None.
        calibration: of the training agents: approximate in milliseconds, or a bank in seconds.
        folds: parts that agents are split into; each is held out once.
        repeats: times that they are split anew.
        held_out: rows of the agents to hold out, one array a fold, instead of random folds.
        sizes: of the subsets; those below the number of items, and that of the choice, are used.
        draws: random subsets of each size in each fold.
        resamples: of agents, for the intervals.
        progress: called with (folds done, of how many).

    Raises:
        ResponsesError: as :func:`choose_subset`.
    """
    a, n = evidence.score.shape
    subset = choose_subset(evidence, budget or Budget(tasks=max(10, n // 10)), aim, where)
    cautions = list(subset.cautions)
    if held_out is None:
        parts = min(folds, a // (_FEWEST_TO_SPLIT // 2))
        held_out = splits(a, parts, repeats, seed) if a >= _FEWEST_TO_SPLIT else ()
    if not held_out:
        cautions.append(
            f"{a} agents are too few to hold some out ({_FEWEST_TO_SPLIT} are the least): how well "
            "the subset keeps the order of other agents is not known."
        )
    elif a < _FEW:
        cautions.append(
            f"With {a} agents, about {np.mean([len(test) for test in held_out]):.0f} are held out "
            "at a time: rank correlations of so few say little, see their intervals."
        )
    if evidence.responses.missing > 0:
        cautions.append(
            f"{evidence.responses.missing:.1%} of the outcomes are missing: the score on the whole "
            "benchmark counts what the model expects there."
        )
    used = sorted({size for size in (*sizes, len(subset.picks)) if 0 < size < n})
    filled = np.where(evidence.trials > 0, evidence.score, evidence.expected_score)
    truth = np.nan_to_num(filled).mean(axis=1)
    weights = draw_weights(a, resamples, seed)
    tables: list[_Table] = []
    middle_items = []
    for number, test in enumerate(held_out):
        if progress:
            progress(number, len(held_out))
        make = quick_fold if calibration == "quick" else full_fold
        fold = make(evidence, test, where)
        if fold is None:
            continue
        rng = np.random.default_rng([seed, number])
        middle_items.append(int(fold.middle.sum()))
        tables.append(
            _table(fold, evidence.score[test], truth[test], weights[:, test], aim, used, draws, rng)
        )
    if progress and held_out:
        progress(len(held_out), len(held_out))
    if len(tables) < len(held_out):
        cautions.append(
            f"{len(held_out) - len(tables)} of {len(held_out)} parts of the agents were not held "
            "out: only they tried some of the tasks."
        )
    curves = curves_of(evidence, where)
    order = pick(curves, Budget(tasks=max(used, default=1)), aim)
    kept = np.cumsum(curves.gain()[order])
    return Reduction(
        subset=subset,
        curve=tuple(_point(size, float(kept[size - 1]), tables) for size in used if tables),
        middle_items=float(np.mean(middle_items)) if middle_items else 0.0,
        all_middle=_agreements([t[0, "middle"] for t in tables if (0, "middle") in t]),
        folds=len(tables),
        held_out=float(np.mean([len(test) for test in held_out])) if held_out else 0.0,
        draws=draws,
        calibration=calibration,
        flags=(),
        cautions=tuple(cautions),
    )


_Rule = Literal["chosen", "random", "middle"]


@dataclass(frozen=True, eq=False)
class _Measured:
    """Of the subsets of one rule and size in one fold, by scoring."""

    tau: Mapping[Scoring, Array]
    """``(B + 1,)`` mean over subsets."""
    rho: Mapping[Scoring, Array]
    error: Mapping[Scoring, Array]
    single: Array
    """``(R,)`` tau by mean score of each subset, on all agents."""


_Table = dict[tuple[int, _Rule], _Measured]


def _table(
    fold: Fold,
    score: Array,
    truth: Array,
    weights: Array,
    aim: Aim,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> _Table:
    """All rules and sizes in one fold; size 0 of the rule ``middle`` are all of its items."""
    n = score.shape[1]
    order = pick(fold.curves, Budget(tasks=max(sizes, default=1)), aim)
    pool = np.flatnonzero(fold.middle)
    found: _Table = {}
    for size in sizes:
        chosen = np.zeros((1, n), bool)
        chosen[0, order[:size]] = True
        rules: dict[_Rule, Truth] = {
            "chosen": chosen,
            "random": random_subsets(rng, np.arange(n), size, draws, n),
        }
        if len(pool):
            rules["middle"] = random_subsets(rng, pool, size, draws, n)
        for rule, subsets in rules.items():
            found[size, rule] = _measure(fold, score, truth, weights, subsets)
    if len(pool):
        found[0, "middle"] = _measure(fold, score, truth, weights, fold.middle[None])
    return found


def _measure(fold: Fold, score: Array, truth: Array, weights: Array, subsets: Truth) -> _Measured:
    scores = score_subsets(fold, score, subsets)
    tau, rho, error = {}, {}, {}
    single = np.zeros(0)
    total = weights.sum(axis=1)
    for scoring, x in scores.items():
        whole = rank_agreement(np.ones((1, len(truth))), x, truth)
        again = rank_agreement(weights[1:], x[:_RESAMPLED], truth)
        tau[scoring], rho[scoring] = (
            np.concatenate([_mean(one), _mean(many)])
            for one, many in zip(whole, again, strict=True)
        )
        off = weights @ np.abs(x - truth).mean(axis=0) / np.maximum(total, 1)
        error[scoring] = np.where((total > 0) & (scoring != "ability"), off, np.nan)
        if scoring == "mean":
            single = whole[0][0]
    return _Measured(tau, rho, error, single)


def _mean(values: Array) -> Array:
    """Means along the last axis, NaN left out; NaN where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _over_folds(values: Sequence[Array]) -> Array:
    return _mean(np.stack(values, axis=-1))


def _agreements(measured: Sequence[_Measured]) -> Mapping[Scoring, Agreement] | None:
    if not measured:
        return None
    return {
        scoring: Agreement(
            estimate(_over_folds([m.tau[scoring] for m in measured])),
            estimate(_over_folds([m.rho[scoring] for m in measured])),
            estimate(_over_folds([m.error[scoring] for m in measured])),
        )
        for scoring in SCORINGS
    }


def _point(size: int, share: float, tables: Sequence[_Table]) -> Point:
    chosen, random = ([table[size, rule] for table in tables] for rule in ("chosen", "random"))
    both = [table for table in tables if (size, "middle") in table]
    middle = [table[size, "middle"] for table in both]

    def gain(ours: Sequence[_Measured], theirs: Sequence[_Measured]) -> Estimate:
        pairs = zip(ours, theirs, strict=True)
        return estimate(_over_folds([a.tau["mean"] - b.tau["mean"] for a, b in pairs]))

    low, high = _mean(np.array([_quantiles(m.single) for m in random]).T).tolist()
    beaten = [
        np.mean(r.single < c.single[0]) + 0.5 * np.mean(r.single == c.single[0])
        for c, r in zip(chosen, random, strict=True)
    ]
    ours, theirs = _agreements(chosen), _agreements(random)
    assert ours is not None
    assert theirs is not None
    return Point(
        size=size,
        share=share,
        chosen=ours,
        random=theirs,
        middle=_agreements(middle),
        band=(low, high),
        beaten=float(np.mean(beaten)),
        gain=gain(chosen, random),
        gain_middle=gain([table[size, "chosen"] for table in both], middle)
        if both
        else Estimate(None),
    )


def _quantiles(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.05, 0.95])
    return float(low), float(high)


def item_costs(evidence: Evidence) -> tuple[Array, Array]:
    """``(n,)`` dollars and seconds of an item: means over attempts, or else what the bank says."""
    responses, n = evidence.responses, len(evidence.responses.items)
    found = []
    for values, own in (
        (responses.usd, [item.usd for item in evidence.bank.items]),
        (responses.seconds, [item.seconds for item in evidence.bank.items]),
    ):
        known = np.isfinite(values)
        count = np.bincount(responses.item[known], minlength=n)
        total = np.bincount(responses.item[known], values[known], minlength=n)
        found.append(np.where(count > 0, total / np.maximum(count, 1), np.array(own)))
    return found[0], found[1]


def _prices(
    evidence: Evidence, budget: Budget, usd: Array, seconds: Array
) -> tuple[tuple[Price, ...], tuple[str, ...]]:
    """What each item costs of what is limited; items of unknown cost cost the mean."""
    found: list[Price] = []
    cautions: list[str] = []
    for unit, cost, limit in (
        ("dollars", usd, budget.usd),
        ("minutes", seconds / 60, budget.minutes),
    ):
        if limit is None:
            continue
        known = np.isfinite(cost)
        if not known.any():
            raise ResponsesError(
                f"{evidence.responses.source or 'the outcomes'}: a budget in {unit} needs to know "
                "what tasks cost; fill cost_usd and seconds, or give a budget in tasks"
            )
        if not known.all():
            cautions.append(
                f"The cost in {unit} of {int((~known).sum())} of {len(known)} tasks is unknown: "
                f"each counts as the mean of the others, {cost[known].mean():.3g}."
            )
        # what is free still takes its place in an order by price
        price = np.where(known, cost, cost[known].mean())
        found.append((unit, np.maximum(price, 1e-9), limit))
    return tuple(found), tuple(cautions)


def _column_means(score: Array) -> Array:
    """Means over agents, missing left out; every item has an outcome."""
    known = np.isfinite(score)
    return np.asarray(np.where(known, score, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
