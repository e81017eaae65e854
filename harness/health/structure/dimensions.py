"""Whether the items measure one ability, and if not, what the second one is.

Parallel analysis (Horn 1965) as Green, Levy, Thompson, Lu & Lo (2012) revised it: the eigenvalues
of the correlations of what one ability leaves unexplained, against those of outcomes drawn from
the fitted model of one ability, with the same missing cells and trials. With fewer agents than
items, which is the usual case here, these say more than tetrachoric correlations do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.health.evidence import Evidence
from harness.health.flags import LEVEL, RATE, Flag, adjusted
from harness.health.structure.correlations import polychoric
from harness.health.structure.factors import fit_another, fit_one
from harness.health.structure.replicate import (
    about_set_aside,
    replicate,
    residuals_of,
    set_aside,
    shape,
    varied,
)
from harness.irt import Array

FEWEST_AGENTS, FEWEST_ITEMS = 10, 10
_REPLICATES = 99
_RARE = 0.01
"""Share of replicates that may have as large an eigenvalue as a second dimension has."""
_REPLICATES_POLYCHORIC = 20
_MOST_POLYCHORIC = 200
"""Items for which polychoric correlations are affordable in replicates."""
_REPLICATES_GAIN = 3
_FOLDS = 5
_LEAST_GAIN = 0.001
"""Nats a cell that a second ability must gain to be worth a word."""
_SHOWN = 10


@dataclass(frozen=True)
class Eigenvalues:
    """Of a matrix of correlations, largest first."""

    observed: tuple[float, ...]
    simulated: tuple[float, ...]
    """Means over replicates with one ability."""
    high: tuple[float, ...]
    """Their 95th percentiles."""


@dataclass(frozen=True)
class Gain:
    """What a second ability adds to the prediction of cells that were held out."""

    one: float
    """Mean log score of a cell by one ability, in nats."""
    gain: float
    """By two abilities less that."""
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """Mean on the second dimension of those with one value of an attribute."""

    value: str
    number: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Breakdown:
    """The second dimension by an attribute of items or agents."""

    attribute: str
    explained: float
    """Share of the variance between its values (η²)."""
    q: float
    """Adjusted p-value by Kruskal & Wallis (1952)."""
    levels: tuple[Level, ...]
    """Highest first; those with one item or agent only have no interval."""


@dataclass(frozen=True)
class Dimensions:
    """What :func:`analyse_dimensions` found."""

    agents: int
    items: int
    """Others were solved, or failed, by too few."""
    eigenvalues: Eigenvalues | None
    """Of residual correlations; None with too few agents or items."""
    p: float
    """Share of replicates whose largest eigenvalue is as large; NaN if None."""
    beyond: int
    """Leading eigenvalues above the 95th percentiles."""
    share: float
    """Of what ability leaves unexplained, by the largest component."""
    usual_share: float
    """The same by chance."""
    polychoric: Eigenvalues | None
    """Of polychoric correlations of the items, where agents outnumber them."""
    gain: Gain | None
    second: bool
    """Whether there is a second dimension that helps to predict."""
    loadings: tuple[tuple[str, float], ...]
    """Correlation of each item's residuals with the second dimension, highest first."""
    scores: tuple[tuple[str, float], ...]
    """Of each agent on it, with mean 0 and variance 1, highest first."""
    by_tag: tuple[Breakdown, ...]
    by_group: tuple[Breakdown, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_dimensions(evidence: Evidence, seed: int = 0) -> Dimensions:
    """One ability or more.

    Args:
        seed: of the replicates and of what is held out.
    """
    evidence, apart = set_aside(evidence)
    kept = varied(evidence)
    agents, items = len(evidence.ability), int(kept.sum())
    if agents < FEWEST_AGENTS or items < FEWEST_ITEMS:
        return _nothing(agents, items)
    rng = np.random.default_rng(seed)
    observed = shape(residuals_of(evidence, evidence.counts))[:, kept]
    eigenvalues, p, beyond = _parallel(evidence, observed, kept, rng)
    gain = _gain(evidence, rng)
    second = p <= _RARE and gain.low > 0 and gain.gain >= _LEAST_GAIN
    left, singular, right = np.linalg.svd(observed, full_matrices=False)
    # of either sign: the items that it lifts most are named first
    sign = float(np.sign(right[0][np.argmax(np.abs(right[0]))]))
    loading = sign * right[0] * singular[0]
    own = sign * left[:, 0] * np.sqrt(agents)
    names = np.array(evidence.responses.items)[kept]
    by_tag = _breakdowns(
        {name: np.array(values)[kept] for name, values in evidence.tags.items()}, loading
    )
    by_group = _breakdowns({name: np.array(v) for name, v in evidence.groups.items()}, own)
    loadings = _ranked(names, loading)
    return Dimensions(
        agents=agents,
        items=items,
        eigenvalues=eigenvalues,
        p=p,
        beyond=beyond,
        share=eigenvalues.observed[0] / items,
        usual_share=eigenvalues.simulated[0] / items,
        polychoric=_polychoric(evidence, kept, rng),
        gain=gain,
        second=second,
        loadings=loadings,
        scores=_ranked(np.array(evidence.responses.agents), own),
        by_tag=by_tag,
        by_group=by_group,
        flags=(_flag(eigenvalues, p, gain, loadings, by_tag, by_group),) if second else (),
        cautions=about_set_aside(apart) + _cautions(agents, len(kept) - items, second, p),
    )


def _parallel(
    evidence: Evidence, residual: Array, kept: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Eigenvalues, float, int]:
    observed = _squares(residual)
    drawn = []
    for _ in range(_REPLICATES):
        here = shape(residuals_of(evidence, replicate(evidence, rng)))[:, kept]
        drawn.append(_squares(here))
    found = _eigenvalues(observed, np.array(drawn))
    p = (1 + sum(float(one[0]) >= observed[0] for one in drawn)) / (1 + _REPLICATES)
    above = np.array(found.observed) > np.array(found.high)
    return found, p, int(np.argmin(np.append(above, False)))


def _squares(residual: Array) -> Array:
    """Largest eigenvalues of the correlations, from the smaller side."""
    agents, n = residual.shape
    return _top(residual @ residual.T if agents < n else residual.T @ residual)


def _top(matrix: Array) -> Array:
    return np.asarray(np.linalg.eigvalsh(matrix)[::-1][:_SHOWN])


def _eigenvalues(observed: Array, drawn: Array) -> Eigenvalues:
    high = np.quantile(drawn, 0.95, axis=0)
    return Eigenvalues(
        *(tuple(float(x) for x in row) for row in (observed, drawn.mean(axis=0), high))
    )


def _polychoric(
    evidence: Evidence, kept: NDArray[np.bool_], rng: np.random.Generator
) -> Eigenvalues | None:
    """Where there are agents enough for them, and one trial a cell."""
    agents, items = len(evidence.ability), int(kept.sum())
    if agents < items or items > _MOST_POLYCHORIC or evidence.trials.max() > 1:
        return None
    replicates = (replicate(evidence, rng) for _ in range(_REPLICATES_POLYCHORIC))
    tops = [
        _top(np.nan_to_num(polychoric(counts[:, kept])))
        for counts in (evidence.counts, *replicates)
    ]
    return _eigenvalues(tops[0], np.array(tops[1:]))


def _gain(evidence: Evidence, rng: np.random.Generator) -> Gain:
    """Cross-validated over cells; the interval is over agents.

    More loadings predict a little better even where there is one ability, as no approximation is
    exact: what replicates with one ability gain is taken off.
    """
    one, gain, se = _held_out(evidence, np.nan_to_num(evidence.score), rng)
    chance = []
    for _ in range(_REPLICATES_GAIN):
        counts = replicate(evidence, rng)
        total = np.einsum("ank,nk->an", counts, evidence.worth)
        chance.append(_held_out(evidence, total / np.maximum(evidence.trials, 1.0), rng)[1])
    gain -= max(0.0, float(np.mean(chance)))
    half = float(stdtrit(len(evidence.ability) - 1, 0.5 + LEVEL / 2)) * se
    return Gain(one, gain, gain - half, gain + half)


def _held_out(
    evidence: Evidence, score: Array, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean log score of one ability, what a second one adds, and the standard error of that."""
    weight = evidence.weight
    seen = weight > 0
    fold = rng.integers(_FOLDS, size=score.shape)
    by_one, gained = np.zeros_like(score), np.zeros_like(score)
    for held in range(_FOLDS):
        kept = np.where(fold == held, 0.0, weight)
        one = fit_one(score, kept)
        p, p2 = one.predict(), fit_another(score, kept, one).predict()
        here = seen & (fold == held)
        by_one[here] = _log_score(score[here], p[here])
        gained[here] = _log_score(score[here], p2[here]) - by_one[here]
    number = seen.sum(axis=1)
    gain = float(gained.sum() / number.sum())
    agents = len(number)
    away = gained.sum(axis=1) - gain * number
    se = float(np.sqrt(agents / (agents - 1) * (away**2).sum()) / number.sum())
    return float(by_one.sum() / number.sum()), gain, se


def _log_score(score: Array, p: Array) -> Array:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(score * np.log(p) + (1 - score) * np.log1p(-p))


def _breakdowns(attributes: Mapping[str, Array], values: Array) -> tuple[Breakdown, ...]:
    from scipy.stats import kruskal

    found, p = [], []
    for name, labels in attributes.items():
        shown = [v for v in np.unique(labels) if v]
        several = [values[labels == v] for v in shown if np.count_nonzero(labels == v) >= 2]
        if len(several) < 2:
            continue
        known = np.concatenate(several)
        within = sum(float(((g - g.mean()) ** 2).sum()) for g in several)
        total = float(((known - known.mean()) ** 2).sum())
        p.append(float(kruskal(*several).pvalue))
        levels = [_level(str(v), values[labels == v]) for v in shown]
        levels.sort(key=lambda level: -level.mean)
        found.append((name, 1 - within / max(total, 1e-12), tuple(levels)))
    rows = [
        Breakdown(name, explained, float(q), levels)
        for (name, explained, levels), q in zip(found, adjusted(p), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.q))


def _level(value: str, values: Array) -> Level:
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Level(value, n, mean, float("nan"), float("nan"))
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * values.std(ddof=1) / np.sqrt(n))
    return Level(value, n, mean, mean - half, mean + half)


def _ranked(names: Array, values: Array) -> tuple[tuple[str, float], ...]:
    return tuple((str(names[i]), float(values[i])) for i in np.argsort(-values, kind="stable"))


# --- words ------------------------------------------------------------------------------------


def _flag(
    eigenvalues: Eigenvalues,
    p: float,
    gain: Gain,
    loadings: tuple[tuple[str, float], ...],
    by_tag: tuple[Breakdown, ...],
    by_group: tuple[Breakdown, ...],
) -> Flag:
    told = [row for row in by_tag if row.q < RATE]
    agents = [row for row in by_group if row.q < RATE]
    return Flag(
        kind="second dimension",
        about="benchmark",
        names=(),
        evidence=(
            f"the largest residual eigenvalue is {eigenvalues.observed[0]:.1f}, where one ability "
            f"gives {eigenvalues.simulated[0]:.1f} and at most {eigenvalues.high[0]:.1f} in 95% of "
            f"replicates; a second ability improves the prediction of held-out cells by "
            f"{gain.gain:.4f} nats a cell ({gain.low:.4f} to {gain.high:.4f})"
            + (
                f"; the {agents[0].attribute} of agents explains {agents[0].explained:.0%} of it"
                if agents
                else ""
            )
        ),
        estimate=gain.gain,
        low=gain.low,
        high=gain.high,
        q=p,
        action=(
            f"report scores by {told[0].attribute}, which the second dimension goes with"
            if told
            else f"look at what {loadings[0][0]} and its neighbours at one end share against "
            f"{loadings[-1][0]} at the other, and report a score for each side"
        ),
    )


def _cautions(agents: int, left: int, second: bool, p: float) -> tuple[str, ...]:
    cautions = []
    if agents < 30:
        cautions.append(
            f"{agents} agents: only a strong second ability, one that half of the items need, "
            "would show; its absence here is no evidence of one ability"
        )
    if left:
        cautions.append(
            f"{left} items were left out: fewer than two agents solved them, or failed them"
        )
    if p <= _RARE and not second:
        cautions.append(
            "residuals are correlated beyond chance, but a second ability does not predict "
            "held-out outcomes any better: small clusters, or agents that are alike, do that too"
        )
    return tuple(cautions)


def _nothing(agents: int, items: int) -> Dimensions:
    nan = float("nan")
    return Dimensions(
        agents=agents,
        items=items,
        eigenvalues=None,
        p=nan,
        beyond=0,
        share=nan,
        usual_share=nan,
        polychoric=None,
        gain=None,
        second=False,
        loadings=(),
        scores=(),
        by_tag=(),
        by_group=(),
        flags=(),
        cautions=(
            f"{agents} agents and {items} items that several of them solved and several failed: "
            f"with fewer than {FEWEST_AGENTS} of either nothing can be said of a second ability",
        ),
    )
