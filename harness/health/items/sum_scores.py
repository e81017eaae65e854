"""Distributions of the sum score given ability (Lord and Wingersky 1984), and of the rest score of
every item: the sum over all other items."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array


def sum_scores(p: Array, n_categories: NDArray[np.intp]) -> Array:
    """Probability of each sum of categories at each node.

    Args:
        p: ``(n, K, Q)`` probability of each category of each item; what lies beyond an item's
            categories is not read.
        n_categories: ``(n,)``.

    Returns:
        ``(S + 1, Q)`` with S the highest sum, ``(n_categories - 1).sum()``.

    >>> half = np.full((2, 2, 1), 0.5)
    >>> sum_scores(half, np.array([2, 2]))[:, 0].tolist()
    [0.25, 0.5, 0.25]
    """
    return _added(np.ones((1, p.shape[2])), p, n_categories, range(len(p)))


def rest_scores(p: Array, n_categories: NDArray[np.intp]) -> Iterator[tuple[int, Array]]:
    """Each item with the distribution of the sum over all others, ``(S_i + 1, Q)``.

    Items are halved again and again, and each half gets the items of the other: every level of
    halving costs as much as one sum score, and there are log2(n) of them. Taking an item out of
    the sum score instead loses all digits where its answer is nearly certain.

    >>> half = np.full((2, 2, 1), 0.5)
    >>> [(i, d[:, 0].tolist()) for i, d in rest_scores(half, np.array([2, 2]))]
    [(0, [0.5, 0.5]), (1, [0.5, 0.5])]
    """

    def halved(items: range, others: Array) -> Iterator[tuple[int, Array]]:
        if len(items) == 1:
            yield items[0], others
            return
        left, right = items[: len(items) // 2], items[len(items) // 2 :]
        yield from halved(left, _added(others, p, n_categories, right))
        yield from halved(right, _added(others, p, n_categories, left))

    yield from halved(range(len(p)), np.ones((1, p.shape[2])))


def _added(distribution: Array, p: Array, n_categories: NDArray[np.intp], items: range) -> Array:
    """A distribution with more items in the sum."""
    tops = n_categories[items.start : items.stop] - 1
    size = len(distribution)
    now: Array = np.zeros((size + int(tops.sum()), distribution.shape[1]))
    now[:size] = distribution
    spare: Array = np.empty_like(now)
    for item, top in zip(items, tops.tolist(), strict=True):
        np.multiply(now[:size], p[item, 0], out=spare[:size])
        spare[size : size + top] = 0.0
        for k in range(1, top + 1):
            spare[k : size + k] += now[:size] * p[item, k]
        now, spare = spare, now
        size += top
    return now


def given_sum(p: Array, n_categories: NDArray[np.intp], weights: Array) -> Array:
    """Probability of each category of each item in agents of one sum score.

    Args:
        p: as in :func:`sum_scores`.
        weights: ``(Q,)`` of the nodes in the population.

    Returns:
        ``(n, S + 1, K)``; rows sum to 1, or are 0 at a sum score of probability 0.

    >>> half = np.full((2, 2, 1), 0.5)
    >>> given_sum(half, np.array([2, 2]), np.ones(1))[0].tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    n, k_max, _ = p.shape
    joint = np.zeros((n, int((n_categories - 1).sum()) + 1, k_max))
    for item, rest in rest_scores(p, n_categories):
        k = int(n_categories[item])
        both = rest @ (weights * p[item, :k]).T
        for category in range(k):
            joint[item, category : category + len(rest), category] = both[:, category]
    total = joint.sum(axis=2, keepdims=True)
    shares: Array = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    return shares
