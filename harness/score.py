"""The score that an agent would get on a whole bank, predicted from some answers.

It counts two kinds of doubt: ability, and the luck of what was not administered. Given ability the
sum over open items is a normal with the exact mean and variance, on the lattice of possible sums;
the mixture over the posterior is the prediction. Where the score of an item is its mean over
several trials, the trials that are still to come are open too, also those of answered items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness.ability import Interval
from harness.irt import Array, Table

_FEW = 32
"""Up to so many open items the predicted score is exact: a normal would be far off for a few."""
_MOST_STEPS = 20_000
"""Steps of the lattice that the score of many items is predicted on."""


@dataclass(frozen=True, eq=False)
class ScorePrediction:
    """Distribution of the score that the agent would get on all items of a bank.

    The score is the mean of ``category / top category`` over items: the pass rate of a binary
    bank. ``values`` and ``probabilities`` are ``(M,)``.
    """

    values: Array
    probabilities: Array
    mean: float

    def interval(self, level: float = 0.9) -> Interval:
        """Central interval, between quantiles of the mid-distribution (Parzen 2004).

        A score takes few values, so an interval that holds at least ``level`` would hold more than
        that in a small bank; between the values this one holds ``level`` on average.
        """
        # between values that can be taken: a finer lattice must not change anything
        taken = self.probabilities > 0
        middle = (np.cumsum(self.probabilities) - self.probabilities / 2)[taken]
        tail = (1 - level) / 2
        low, high = np.interp([tail, 1 - tail], middle, self.values[taken])
        return Interval(float(low), float(high), level)

    def probability_above(self, score: float) -> float:
        """Probability of a score strictly above ``score``."""
        return float(self.probabilities[self.values > score + 1e-12].sum())


@dataclass(frozen=True, eq=False)
class ScorePredictions:
    """:class:`ScorePrediction` of A agents at once, all distributions in closed form.

    Sums of scores lie on a lattice: ``low + step · (0 … steps - 1)``.
    """

    weights: Array
    """``(A, Q)`` posteriors."""
    given: Array
    """``(A, Q)`` expected sum of scores over the counted items, given ability."""
    spread: Array
    """``(A, Q)`` its standard deviation."""
    total: Array
    """``(A,)`` counted items."""
    low: Array
    """``(A,)`` smallest possible sum."""
    step: Array
    """``(A,)``."""
    steps: NDArray[np.intp]
    """``(A,)`` points of the lattice."""
    exact: dict[int, Array]
    """Distribution ``(steps,)`` of the agents with few open items."""

    @property
    def mean(self) -> Array:
        """``(A,)`` expected scores."""
        return np.asarray((self.weights * self.given).sum(axis=1) / self.total)

    @property
    def sd(self) -> Array:
        """``(A,)`` standard deviations."""
        centre = (self.weights * self.given).sum(axis=1, keepdims=True)
        variance = (self.weights * ((self.given - centre) ** 2 + self.spread**2)).sum(axis=1)
        return np.asarray(np.sqrt(variance) / self.total)

    def interval(self, level: float = 0.9) -> Array:
        """``(A, 2)`` central intervals, as :meth:`ScorePrediction.interval`."""
        tail = (1 - level) / 2
        ends = np.stack([self._quantile(tail), self._quantile(1 - tail)], axis=1)
        for agent in self.exact:
            interval = self.of(agent).interval(level)
            ends[agent] = interval.low, interval.high
        return ends

    def probability_above(self, score: float) -> Array:
        """``(A,)`` probabilities of a score strictly above ``score``."""
        position = np.floor((score * self.total - self.low) / self.step + 1e-9)
        below = self._below(np.clip(position, -1, self.steps - 1))
        return np.asarray(np.where(position < 0, 1.0, 1.0 - below))

    def of(self, agent: int) -> ScorePrediction:
        """The whole distribution of one agent."""
        points = np.arange(self.steps[agent])
        chances = self.exact.get(agent)
        if chances is None:
            live = self.weights[agent] > 1e-9 * self.weights[agent].max()
            chance = self.weights[agent, live] / self.weights[agent, live].sum()
            edges = self.low[agent] + (points[:-1] + 0.5) * self.step[agent]
            z = (edges[:, None] - self.given[agent, live]) / self.spread[agent, live]
            chances = np.diff(np.concatenate([[0.0], ndtr(z) @ chance, [1.0]]))
        values = (self.low[agent] + points * self.step[agent]) / self.total[agent]
        return ScorePrediction(values, chances, float(self.mean[agent]))

    def _below(self, position: Array) -> Array:
        """``(A,)`` probability of the lattice points up to ``position``, one for each agent."""
        edge = self.low + (position + 0.5) * self.step
        cumulative = (self.weights * ndtr((edge[:, None] - self.given) / self.spread)).sum(axis=1)
        for agent, chances in self.exact.items():
            cumulative[agent] = chances[: int(position[agent]) + 1].sum()
        return np.where(position >= self.steps - 1, 1.0, cumulative)

    def _middle(self, position: Array) -> Array:
        """``(A,)`` probability below a lattice point and half of its own."""
        before = np.where(position > 0, self._below(np.maximum(position - 1, 0)), 0.0)
        return np.asarray((before + self._below(position)) / 2)

    def _quantile(self, probability: float) -> Array:
        """``(A,)`` of the mid-distribution, by a straight line between lattice points."""
        last = (self.steps - 1).astype(float)
        low, high = np.zeros(len(last)), last.copy()
        while (low < high).any():
            # what is found stays: there low equals high, and middle is both
            middle = np.floor((low + high) / 2)
            reached = self._middle(middle) >= probability
            high = np.where(reached, middle, high)
            low = np.where(reached, low, np.minimum(middle + 1, high))
        before, here = self._middle(np.maximum(low - 1, 0)), self._middle(low)
        gap = here - before
        share = np.divide(here - probability, gap, out=np.zeros_like(gap), where=gap > 0)
        place = low - np.where(low > 0, np.clip(share, 0.0, 1.0), 0.0)
        return np.asarray((self.low + place * self.step) / self.total)


def predict_scores(
    table: Table,
    weights: Array,
    answers: NDArray[np.intp],
    counted: NDArray[np.bool_] | None = None,
) -> ScorePredictions:
    """Predict the scores of A agents on a whole bank from posteriors and known answers.

    Given ability the sum over up to 32 unadministered items is exact (Lord and Wingersky 1984);
    over more it is a normal on the lattice of possible sums.

    Args:
        weights: ``(A, Q)`` posteriors.
        answers: ``(A, n)`` category of each item, -1 where it was not administered.
        counted: ``(A, n)`` items that the score is over; all when None.
    """
    counted = np.ones(answers.shape, bool) if counted is None else counted
    still_open = counted & (answers < 0)
    known = counted & (answers >= 0)
    given = still_open @ table.expected_score
    variance = still_open @ table.score_variance
    repeats = table.repeats
    earned = np.where(known, table.scores[np.arange(len(table.ids)), answers], 0.0).sum(axis=1)
    trials = 1 if repeats is None else repeats.trials
    if repeats is None:
        given += earned[:, None]
    else:
        for category in range(table.log_p.shape[1]):
            here = known & (answers == category)
            given += here @ repeats.mean[:, category]
            variance += here @ repeats.variance[:, category]

    # sums lie on a lattice of step 1/lcm(K-1), or of that step divided by the trials
    resolution = int(np.lcm.reduce(table.n_categories[counted.any(axis=0)] - 1, initial=1)) * trials
    items_open = still_open.sum(axis=1) + known.sum(axis=1) * (trials - 1) / trials
    few = (still_open.sum(axis=1) <= _FEW) & (trials == 1)
    # many different K make a lattice far finer than the normal on it is exact
    fine = np.where(
        few, resolution, np.minimum(resolution, np.maximum(1, _MOST_STEPS // (items_open + 1)))
    )
    spread = np.sqrt(np.maximum(variance, 1e-12))
    return ScorePredictions(
        weights=weights,
        given=given,
        spread=spread,
        # nothing counted makes a score of 0
        total=np.maximum(counted.sum(axis=1), 1).astype(float),
        low=earned / trials,
        step=1.0 / fine,
        steps=np.rint(items_open * fine).astype(np.intp) + 1,
        exact={
            int(agent): _sum_distribution(table, still_open[agent], resolution) @ weights[agent]
            for agent in np.flatnonzero(few)
        },
    )


def predict_score(
    table: Table,
    weights: Array,
    answers: NDArray[np.intp],
    counted: NDArray[np.bool_] | None = None,
) -> ScorePrediction:
    """:func:`predict_scores` for one agent: ``weights`` ``(Q,)``, ``answers`` and ``counted``
    ``(n,)``."""
    one = predict_scores(
        table, weights[None], answers[None], None if counted is None else counted[None]
    )
    return one.of(0)


def corrected_scores(
    table: Table,
    weights: Array,
    answers: NDArray[np.intp],
    counted: NDArray[np.bool_] | None = None,
) -> Array:
    """``(A,)`` the model's mean over the bank plus the mean residual of the answered items.

    In the spirit of prediction-powered inference (Angelopoulos et al. 2023): right on average
    whatever the model, where items were drawn at random. Where they were chosen, it is not, and
    the residuals of a few items add their luck; arguments as :func:`predict_scores`.
    """
    counted = np.ones(answers.shape, bool) if counted is None else counted
    known = counted & (answers >= 0)
    expected = weights @ table.expected_score.T
    observed = table.scores[np.arange(len(table.ids)), answers]
    residual = np.where(known, observed - expected, 0.0).sum(axis=1)
    mean = np.where(counted, expected, 0.0).sum(axis=1) / counted.sum(axis=1)
    return np.asarray(np.clip(mean + residual / np.maximum(known.sum(axis=1), 1), 0.0, 1.0))


def _sum_distribution(table: Table, rows: NDArray[np.bool_], resolution: int) -> Array:
    """``(M, Q)`` distribution of the sum of scores given ability (Lord and Wingersky 1984)."""
    distribution = np.ones((1, len(table.nodes)))
    for row in np.flatnonzero(rows):
        top = int(table.n_categories[row]) - 1
        longer = np.zeros((len(distribution) + resolution, distribution.shape[1]))
        for category in range(top + 1):
            start = category * (resolution // top)
            longer[start : start + len(distribution)] += distribution * table.p[row, category]
        distribution = longer
    return distribution
