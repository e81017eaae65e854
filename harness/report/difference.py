"""How two or more independent quantities compare, from their discrete distributions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.ability import Interval, Posterior
from harness.irt import Array

_TIE = 1e-9
"""Values closer than this are the same one."""
_HALVINGS = 50


@dataclass(frozen=True)
class Difference:
    """The first quantity minus the second."""

    mean: float
    interval: Interval
    better: float
    """Probability that the first is larger; a tie counts for half."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """A discrete distribution; both ``(M,)``, values ascending."""

    values: Array
    probabilities: Array

    def below(self, values: Array) -> Array:
        """Probability of less than each of ``values``, a tie counting for half."""
        cumulative = np.concatenate([[0.0], np.cumsum(self.probabilities)])
        left = np.searchsorted(self.values, values - _TIE)
        right = np.searchsorted(self.values, values + _TIE)
        return np.asarray((cumulative[left] + cumulative[right]) / 2)

    @property
    def mean(self) -> float:
        """Expected value."""
        return float(self.values @ self.probabilities)


def difference(first: Distribution, second: Distribution, level: float) -> Difference:
    """The difference of two independent quantities, each on points of its own.

    The quantiles are found by halving: for M points each, nothing of size M² is made.

    >>> coin, sure = Distribution(np.array([0.0, 1.0]), np.full(2, 0.5)), np.ones(1)
    >>> difference(coin, Distribution(0 * sure, sure), 0.9).better
    0.75
    """
    tail = (1 - level) / 2
    return Difference(
        first.mean - second.mean,
        Interval(_quantile(first, second, tail), _quantile(first, second, 1 - tail), level),
        float(first.probabilities @ second.below(first.values)),
    )


def difference_below(first: Distribution, second: Distribution, gap: float) -> float:
    """Probability that the first quantity minus the second is at most ``gap``."""
    cumulative = np.concatenate([[0.0], np.cumsum(second.probabilities)])
    under = np.searchsorted(second.values, first.values - gap - _TIE)
    return float(first.probabilities @ (1 - cumulative[under]))


def _quantile(first: Distribution, second: Distribution, probability: float) -> float:
    """Smallest difference that is not exceeded with at least this probability."""
    low = float(first.values[0] - second.values[-1]) - _TIE
    high = float(first.values[-1] - second.values[0])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = difference_below(first, second, middle) >= probability
        low, high = (low, middle) if enough else (middle, high)
    # the step lies a tie below the value that makes it; a zero has no sign
    return round(high + _TIE, 12) + 0.0


def ability_difference(
    first: Posterior, second: Posterior, level: float, dimension: int = 0
) -> Difference:
    """The difference of one ability between two agents on the same nodes.

    Its distribution lies on a grid too, with the same spacing: it is the convolution of one
    posterior with the mirror image of the other.
    """
    a, b = (marginal(posterior, dimension) for posterior in (first, second))
    weights = np.convolve(a.probabilities, b.probabilities[::-1])
    reach = float(a.values[-1] - a.values[0])
    gap = Posterior(np.linspace(-reach, reach, len(weights))[:, None], weights)
    middle = len(a.values) - 1
    better = float(weights[middle + 1 :].sum() + weights[middle] / 2)
    return Difference(float(gap.mean[0]), gap.interval(level), better)


def marginal(posterior: Posterior, dimension: int = 0) -> Distribution:
    """Distribution of one ability."""
    values, where = np.unique(posterior.nodes[:, dimension], return_inverse=True)
    return Distribution(values, np.bincount(where, weights=posterior.weights).astype(float))


def rank_probabilities(quantities: Sequence[Distribution]) -> Array:
    """``(N, N)`` probability that each of N independent quantities has rank 1 (largest) … N.

    Given its own value, how many others are larger is a sum of independent coins
    (Poisson–binomial); a tie counts for half. Rows sum to 1.
    """
    size = len(quantities)
    ranks = np.zeros((size, size))
    for one, own in enumerate(quantities):
        larger = np.zeros((size, len(own.values)))
        larger[0] = 1.0
        for other, rival in enumerate(quantities):
            if other != one:
                above = 1 - rival.below(own.values)
                larger[1:] = larger[1:] * (1 - above) + larger[:-1] * above
                larger[0] *= 1 - above
        ranks[one] = larger @ own.probabilities
    return ranks
