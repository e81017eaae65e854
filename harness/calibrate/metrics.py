"""How good predictions of outcomes were: scores of cells, ordering, calibration, errors.

Arrays speak of C cells with at most K categories: ``predicted (C, K)`` are the probabilities of
the categories in one trial, ``counts (C, K)`` how often each was observed, ``top (C,)`` the
highest category of the cell's item. Columns past ``top`` are 0 in both.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.ability import Interval
from harness.irt import Array

_Indices = NDArray[np.intp]
_TINY = float(np.finfo(float).tiny)
LEVEL = 0.9
"""Probability of all intervals here."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, from a number of agents that count as independent."""

    value: float
    error: float
    """NaN where there is only one agent."""
    agents: int

    @property
    def interval(self) -> Interval:
        """90% interval by Student's t with ``agents - 1`` degrees of freedom; unbounded where
        there is no error.

        >>> Estimate(0.5, 0.1, 1000).interval.low.__round__(3)
        0.335
        """
        if not math.isfinite(self.error):
            return Interval(-math.inf, math.inf, LEVEL)
        reach = float(stdtrit(self.agents - 1, (1 + LEVEL) / 2)) * self.error
        return Interval(self.value - reach, self.value + reach, LEVEL)

    @property
    def positive(self) -> bool:
        """Whether all of the interval lies above 0."""
        return self.interval.low > 0


@dataclass(frozen=True)
class Bin:
    """Trials whose predicted score lies in one tenth of its range."""

    predicted: float
    """Mean predicted score."""
    observed: float
    """Mean observed score."""
    trials: int
    low: float
    """90% interval of the observed score."""
    high: float


def log_scores(predicted: Array, counts: Array) -> Array:
    """``(C,)`` sums over the trials of a cell of the log probability of what happened, in nats.

    >>> log_scores(np.array([[0.5, 0.5]]), np.array([[1.0, 2.0]])).round(3).tolist()
    [-2.079]
    """
    # a count of 0 times log 0 is 0
    log_p = np.log(np.maximum(predicted, _TINY))
    return np.asarray((counts * log_p).sum(axis=1))


def brier_scores(predicted: Array, counts: Array) -> Array:
    """``(C,)`` sums over the trials of a cell of half of Brier's (1950) score: half the squared
    distance of the probabilities from what happened, ``(p - y)²`` with two categories.

    >>> brier_scores(np.array([[0.2, 0.8]]), np.array([[1.0, 1.0]])).round(3).tolist()
    [0.68]
    """
    trials = counts.sum(axis=1)
    square = (predicted**2).sum(axis=1)
    return np.asarray(0.5 * (trials * (square + 1) - 2 * (counts * predicted).sum(axis=1)))


def ranked_probability_scores(predicted: Array, counts: Array, top: _Indices) -> Array:
    """``(C,)`` sums over the trials of a cell of the ranked probability score (Epstein 1969).

    The mean over thresholds of ``(P(X >= k) - [x >= k])²``, between 0 and 1; with two categories
    it is the Brier score. Unlike that it knows that a near miss is better than a far one.

    >>> far, near = np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]])
    >>> happened, top = np.array([[0, 0, 1.0]]), np.array([2])
    >>> [float(ranked_probability_scores(p, happened, top)[0]) for p in (far, near)]
    [1.0, 0.5]
    """
    reach, reached = _at_least(predicted), _at_least(counts)
    trials = counts.sum(axis=1, keepdims=True)
    return np.asarray((trials * reach**2 - 2 * reach * reached + reached).sum(axis=1) / top)


def _at_least(values: Array) -> Array:
    """``(C, K-1)`` sums of the categories from 1, 2, … upwards."""
    return np.asarray(np.cumsum(values[:, :0:-1], axis=1)[:, ::-1])


def mean_scores(weights: Array, top: _Indices) -> Array:
    """``(C,)`` sums of ``category / top`` weighted by probabilities or counts ``(C, K)``."""
    return np.asarray(weights @ np.arange(weights.shape[1]) / top)


# --- ordering ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ordering:
    """Cells sorted by their predicted score, ready for any weighting of the agents."""

    starts: _Indices
    """``(G,)`` first row of each group of equal predictions."""
    outcomes: Array
    """``(C, L)`` trials with each distinct observed score, in order of the predictions."""
    agent: _Indices
    """``(C,)``."""

    def auc(self, weights: Array | None = None) -> float:
        """Probability that of two trials with different scores the one with the higher score was
        predicted higher; ties count half. NaN where all scores are the same.

        With two categories the area under the receiver operating characteristic (Hanley & McNeil
        1982).

        Args:
            weights: ``(A,)`` of the agents, all 1 when None.
        """
        weighted = self.outcomes if weights is None else self.outcomes * weights[self.agent, None]
        groups = np.add.reduceat(weighted, self.starts, axis=0)
        # trials with a lower score and a lower prediction, half of those with the same one
        before = np.cumsum(groups, axis=0) - groups / 2
        lower = np.cumsum(before, axis=1) - before
        total = groups.sum(axis=0)
        pairs = float((total * (np.cumsum(total) - total)).sum())
        return float((groups * lower).sum()) / pairs if pairs else math.nan


def ordering(predicted: Array, counts: Array, top: _Indices, agent: _Indices) -> Ordering:
    """Sort cells by predicted score.

    >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> y = np.array([[1.0, 0], [0, 1.0], [1.0, 0]])
    >>> ordering(p, y, np.array([1, 1, 1]), np.array([0, 0, 0])).auc()
    0.5
    """
    expected = mean_scores(predicted, top)
    order = np.argsort(expected, kind="stable")
    _, starts = np.unique(expected[order], return_index=True)
    share = np.arange(counts.shape[1]) / top[:, None]
    levels = np.unique(share[counts > 0])
    outcomes = np.stack([(counts * (share == level)).sum(axis=1) for level in levels], axis=1)
    return Ordering(starts, outcomes[order], agent[order])


def resamples(agents: int, size: int, seed: int) -> _Indices:
    """``(size, A)`` how often each agent occurs in bootstrap samples of the agents."""
    rng = np.random.default_rng([seed, agents])
    return rng.multinomial(agents, np.full(agents, 1 / agents), size=size).astype(np.intp)


# --- calibration ------------------------------------------------------------------------------


def calibration_curve(
    predicted: Array, counts: Array, top: _Indices, agent: _Indices
) -> tuple[Bin, ...]:
    """Observed against predicted mean score in the ten tenths of the predicted score; empty ones
    are left out.

    The interval is Wilson's (1927) for the effective number of trials (Korn & Graubard 1998):
    trials of one agent tell less than as many of different agents.
    """
    expected = mean_scores(predicted, top)
    earned, trials = mean_scores(counts, top), counts.sum(axis=1)
    tenth = np.minimum((10 * expected).astype(np.intp), 9)
    bins = []
    for b in np.unique(tenth):
        here = tenth == b
        n = float(trials[here].sum())
        observed = clustered_mean(earned[here], trials[here], agent[here])
        low, high = _wilson(observed.value, _effective(observed, n))
        guess = float((expected * trials)[here].sum()) / n
        bins.append(Bin(guess, observed.value, round(n), low, high))
    return tuple(bins)


def _effective(observed: Estimate, trials: float) -> float:
    """How many independent trials would give this standard error; no more than there are."""
    if observed.agents == 1:
        return 1.0
    if observed.error == 0:
        return trials
    return min(trials, observed.value * (1 - observed.value) / observed.error**2)


def _wilson(share: float, n: float) -> tuple[float, float]:
    z2 = float(stdtrit(math.inf, (1 + LEVEL) / 2)) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def calibration_error(curve: tuple[Bin, ...]) -> float:
    """Expected calibration error: mean distance of observed from predicted over trials.

    >>> round(calibration_error((Bin(0.2, 0.3, 10, 0, 1), Bin(0.8, 0.8, 30, 0, 1))), 3)
    0.025
    """
    total = sum(b.trials for b in curve)
    return sum(b.trials * abs(b.observed - b.predicted) for b in curve) / total


# --- errors -----------------------------------------------------------------------------------


def clustered_mean(sums: Array, weights: Array, agent: _Indices) -> Estimate:
    """``Σ sums / Σ weights`` over cells, with a standard error that takes agents, not cells, as
    independent (the linearised ratio, Cochran 1977).

    >>> one = np.ones(4)
    >>> clustered_mean(np.array([0.0, 0, 1, 1]), one, np.array([0, 0, 1, 1]))
    Estimate(value=0.5, error=0.5, agents=2)
    """
    total = float(weights.sum())
    mean = float(sums.sum()) / total
    _, cluster = np.unique(agent, return_inverse=True)
    off = np.bincount(cluster, weights=sums - mean * weights)
    g = len(off)
    error = math.sqrt(g / (g - 1) * float(off @ off)) / total if g > 1 else math.nan
    return Estimate(mean, error, g)
