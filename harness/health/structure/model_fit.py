"""Fit of the whole model by its first and second moments: M2 (Maydeu-Olivares and Joe 2006), its
form for ordinal items M2* (Cai and Hansen 2013), RMSEA and SRMSR."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from harness.bank import compile_bank
from harness.errors import ResponsesError
from harness.health.evidence import Evidence
from harness.health.flags import Flag
from harness.health.items.simulated_fit import drawer
from harness.irt import Array

_Indices = NDArray[np.intp]


@dataclass(frozen=True)
class LimitedFit:
    """M2, or M2* with ordinal items, and what is derived from it."""

    m2: float
    df: int
    p: float
    rmsea: float
    rmsea_low: float
    """Interval of 90%."""
    rmsea_high: float
    srmsr: float


def limited_fit(
    score: Array, mean: Array, square: Array, slope: Array, weights: Array
) -> LimitedFit:
    """M2 of a fitted model on complete data.

    The moments are the means of the categories and of their products; those of binary items are
    the proportions that M2 is of.

    Args:
        score: ``(A, n)`` category of each agent on each item.
        mean: ``(n, Q)`` expected category at each node.
        square: ``(n, Q)`` expected square of the category.
        slope: ``(n, P, Q)`` derivative of ``mean`` by each fitted parameter of the item; rows that
            are 0 throughout stand for no parameter.
        weights: ``(Q,)`` of the nodes in the population; they sum to 1.

    Raises:
        ResponsesError: no more moments than parameters.
    """
    agents, n = score.shape
    first, second = np.tril_indices(n, -1)
    fitted = slope.any(axis=2)
    n_moments, n_parameters = n + len(first), int(fitted.sum())
    df = n_moments - n_parameters
    if df <= 0:
        raise ResponsesError(
            f"M2 of {n} items: {n_parameters} parameters leave no degrees of freedom; bring more "
            "items"
        )
    observed = np.concatenate([score.mean(axis=0), (score.T @ score / agents)[first, second]])
    expected_second = (mean * weights) @ mean.T
    expected = np.concatenate([mean @ weights, expected_second[first, second]])

    # derivative of moments by parameters, and by the mean of each item at each node
    delta = np.zeros((n_moments, n_parameters))
    by_item = np.repeat(np.arange(n), slope.shape[1])[fitted.ravel()]
    columns = slope.reshape(-1, slope.shape[2])[fitted.ravel()] * weights
    delta[by_item, np.arange(n_parameters)] = columns.sum(axis=1)
    with_others = columns @ mean.T
    for column, item in enumerate(by_item):
        for own, other in ((first, second), (second, first)):
            pairs = np.flatnonzero(own == item)
            delta[n + pairs, column] = with_others[column, other[pairs]]

    covariance = _moment_covariance(mean, square, weights, expected, first, second)
    factor = cho_factor(covariance)
    inverse_delta = cho_solve(factor, delta)
    residual = observed - expected
    # the residual's part that no change of the parameters explains
    left = inverse_delta.T @ residual
    explained = float(left @ np.linalg.solve(delta.T @ inverse_delta, left))
    m2 = agents * (float(residual @ cho_solve(factor, residual)) - explained)
    low, high = _rmsea_interval(m2, df, agents)
    return LimitedFit(
        m2=m2,
        df=df,
        p=float(chi2.sf(m2, df)),
        rmsea=math.sqrt(max(m2 / df - 1, 0.0) / (agents - 1)),
        rmsea_low=low,
        rmsea_high=high,
        srmsr=residual_correlation(score, mean, square, weights),
    )


def _moment_covariance(
    mean: Array, square: Array, weights: Array, expected: Array, first: _Indices, second: _Indices
) -> Array:
    """``(M, M)`` covariance of all moments of one agent.

    Given ability items are independent: moments vary together only through the items they share,
    and with ability.
    """
    n = len(mean)
    moments = np.concatenate([mean, mean[first] * mean[second]])
    covariance = (moments * weights) @ moments.T - np.outer(expected, expected)
    variance = square - mean**2
    for item in range(n):
        pairs = np.flatnonzero((first == item) | (second == item))
        others = mean[first[pairs] + second[pairs] - item]
        rows = np.concatenate([[item], n + pairs])
        change = np.concatenate([np.ones((1, len(weights))), others])
        covariance[np.ix_(rows, rows)] += (change * (weights * variance[item])) @ change.T
    pairs = np.arange(n, len(moments))
    covariance[pairs, pairs] += (variance[first] * variance[second]) @ weights
    return np.asarray(covariance)


def _rmsea_interval(m2: float, df: int, agents: int) -> tuple[float, float]:
    """Interval of 90% by the noncentral χ² distribution."""

    def end(probability: float) -> float:
        if chi2.cdf(m2, df) <= probability:
            return 0.0
        top = m2 + 10 * math.sqrt(2 * m2) + 100
        found = brentq(lambda nc: ncx2.cdf(m2, df, nc) - probability, 1e-9, top, xtol=1e-6)
        return math.sqrt(found / (agents * df))

    return end(0.95), end(0.05)


def residual_correlation(score: Array, mean: Array, square: Array, weights: Array) -> float:
    """SRMSR: root mean square difference of observed and expected correlations between items, over
    pairs of items that both vary; NaN without any. Arguments as :func:`limited_fit`."""
    kept = score.std(axis=0) > 0
    mean, square = mean[kept], square[kept]
    if len(mean) < 2:
        return math.nan
    centre = mean @ weights
    covariance = (mean * weights) @ mean.T - np.outer(centre, centre)
    sd = np.sqrt(square @ weights - centre**2)
    below = np.tril_indices(len(mean), -1)
    observed = np.corrcoef(score[:, kept], rowvar=False)
    difference = (observed - covariance / np.outer(sd, sd))[below]
    return float(np.sqrt((difference**2).mean()))


# --- the analysis -----------------------------------------------------------------------------

MOST_ITEMS = 60
"""Beyond, M2 takes longer than it tells."""
FEWEST_AGENTS = 100
"""For M2: with fewer its distribution is not χ²."""
_STEP = 1e-4
_DRAWS = 60
_SEED = 20002


@dataclass(frozen=True)
class ModelFit:
    """Fit of one ability to the whole table."""

    agents: int
    """With an outcome on every item: those that this is of."""
    srmsr: float
    """NaN with too few agents."""
    chance: tuple[float, float]
    """Between which SRMSR lies 90 times of 100 where the model is true, by simulation."""
    limited: LimitedFit | None
    """None where there are too few agents or too many items for it."""
    flags: tuple[Flag, ...]
    """None: misfit, dependence and a second dimension are flagged where they are looked for."""
    cautions: tuple[str, ...]


def analyse_model_fit(evidence: Evidence) -> ModelFit:
    """M2 where it can be trusted, and SRMSR, of the agents with an outcome on every item."""
    rng = np.random.default_rng(_SEED)
    cautions = []
    if evidence.trials.max() > 1:
        evidence = _once(evidence, rng)
        cautions.append("Fit of the whole model takes one trial a cell, drawn at random")
    rows = np.flatnonzero((evidence.trials > 0).all(axis=1))
    agents, n = len(rows), evidence.trials.shape[1]
    if agents < 3:
        left_out = f"SRMSR and M2 need agents with an outcome on every item, and there are {agents}"
        return ModelFit(agents, math.nan, (math.nan, math.nan), None, (), (left_out,))
    top = evidence.responses.n_categories - 1
    score = evidence.score[rows] * top
    mean = evidence.expected * top[:, None]
    square = np.einsum("nk,nkq->nq", evidence.worth**2, evidence.p) * (top**2)[:, None]
    weights = np.exp(evidence.log_prior)
    limited = None
    n_parameters = int(top.sum()) + n if evidence.fitted else 0
    if agents < FEWEST_AGENTS or n > MOST_ITEMS:
        cautions.append(
            f"M2 is not computed: it needs {FEWEST_AGENTS} agents with an outcome on every item "
            f"and at most {MOST_ITEMS} items, and there are {agents} and {n}"
        )
    elif n * (n + 1) // 2 <= n_parameters or (score.std(axis=0) == 0).any():
        cautions.append("M2 is not computed: items are too few, or some have a single outcome")
    else:
        limited = limited_fit(score, mean, square, _by_parameter(evidence), weights)
    srmsr = limited.srmsr if limited else residual_correlation(score, mean, square, weights)
    draw = drawer(evidence, rng)
    drawn = [residual_correlation(draw()[rows] * top, mean, square, weights) for _ in range(_DRAWS)]
    known = [value for value in drawn if not math.isnan(value)]
    low, high = np.quantile(known, [0.05, 0.95]).tolist() if known else (math.nan, math.nan)
    return ModelFit(agents, srmsr, (low, high), limited, (), tuple(cautions))


def _once(evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """The same with one trial a cell, drawn at random."""
    all_rows = evidence.responses
    order = rng.permutation(len(all_rows.agent))
    cell = all_rows.agent * len(all_rows.items) + all_rows.item
    kept = np.sort(order[np.unique(cell[order], return_index=True)[1]])
    one = replace(
        all_rows,
        agent=all_rows.agent[kept],
        item=all_rows.item[kept],
        trial=all_rows.trial[kept],
        category=all_rows.category[kept],
        usd=all_rows.usd[kept],
        seconds=all_rows.seconds[kept],
        tokens=all_rows.tokens[kept],
        turns=all_rows.turns[kept],
    )
    return replace(evidence, responses=one)


def _by_parameter(evidence: Evidence) -> Array:
    """``(n, K, Q)`` derivative of each item's expected category by its log-slope and intercepts."""
    top = evidence.responses.n_categories - 1
    found = np.zeros((len(top), int(top.max()) + 1, len(evidence.nodes)))
    if not evidence.fitted:
        return found

    def moved(parameter: int, step: float) -> Array:
        items = []
        for item in evidence.bank.items:
            d = list(item.intercepts)
            if 0 < parameter <= len(d):
                d[parameter - 1] += step
            slope = item.slopes[0] * (math.exp(step) if parameter == 0 else 1.0)
            items.append(replace(item, slopes=(slope,), intercepts=tuple(d)))
        bank = replace(evidence.bank, items=tuple(items))
        table = compile_bank(bank, evidence.nodes[:, None], uncertainty=False)
        return np.asarray(table.expected_score * top[:, None])

    for parameter in range(found.shape[1]):
        found[:, parameter] = (moved(parameter, _STEP) - moved(parameter, -_STEP)) / (2 * _STEP)
    fixed = [item.model in ("1pl", "pcm", "rsm") for item in evidence.bank.items]
    found[fixed, 0] = 0.0
    return found
