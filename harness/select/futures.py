"""Items in flight: their answers are not known yet, so gains are averaged over all of them."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from harness.irt import Array
from harness.select.view import Selector, View

_MAX_FUTURES = 256
_MIN_FUTURES = 16
_WORK = 4_000_000
"""Futures × items × categories that a choice may cost, about a tenth of a second: a bank of
more than 8,000 binary items has to make do with fewer futures than the most."""
_CHUNK = 500_000
"""Of which so many at once: 4 MB a temporary."""


@runtime_checkable
class Combinator(Protocol):
    """A selector made of another one; it sees items in flight and calls :func:`gains_of`."""

    @property
    def inner(self) -> Selector:
        """What is combined."""
        ...


def gains_of(selector: Selector, view: View) -> Array:
    """Gains ``(A, n)``, those of a criterion averaged over what items in flight may answer.

    Combinators are asked as they are, because what they do to gains (ranks, coins, counts)
    does not survive an average; the criterion at their core is averaged.
    """
    if view.pending is None or isinstance(selector, Combinator) or not view.pending.any():
        return selector(view)
    agents = range(len(view.weights))
    return np.concatenate([_average(selector, view.of([a])) for a in agents])


def _average(selector: Selector, view: View) -> Array:
    """``(1, n)`` for one agent, chunk by chunk."""
    futures, probability = futures_of(view)
    n, k, _ = view.table.log_p.shape
    size = max(1, _CHUNK // (n * k))
    total = np.zeros((1, n))
    for start in range(0, len(probability), size):
        rows = slice(start, start + size)
        total += probability[rows] @ selector(futures.of(rows))
    return total


def futures_of(view: View) -> tuple[View, Array]:
    """One agent after every combination of answers to the items in flight, and their odds.

    A future is an agent like any other who has given those answers. Past 256 of them, fewer with
    a bank of very many items, only the most probable are kept.
    """
    assert view.pending is not None
    n, k, _ = view.table.log_p.shape
    most = int(np.clip(_WORK // (n * k), _MIN_FUTURES, _MAX_FUTURES))
    weights, probability, answers = view.weights, np.ones(1), view.answers
    for row in np.flatnonzero(view.pending[0]):
        joint = weights[:, None, :] * view.table.p[row][None]
        new = (probability[:, None] * joint.sum(axis=2)).ravel()
        keep = np.argsort(-new, kind="stable")[:most]
        keep = keep[new[keep] > 0]
        flat = joint.reshape(-1, weights.shape[1])[keep]
        weights, probability = flat / flat.sum(axis=1, keepdims=True), new[keep]
        answers = answers[keep // k]
        answers[:, row] = keep % k
    rows = np.zeros(len(probability), np.intp)
    futures = replace(view.of(rows), weights=weights, answers=answers, pending=None)
    return futures, probability / probability.sum()
