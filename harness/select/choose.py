"""The item with the largest gain."""

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array
from harness.select.futures import gains_of
from harness.select.view import Selector, Truth, View, informative

NEAR_TIE = 0.02
"""Items whose gain is at most this fraction below the best one's are as good as the best."""


def pick(gains: Array, available: Truth) -> tuple[NDArray[np.intp], Truth]:
    """Row of the best available item for each agent, and whether there was any.

    Args:
        gains: ``(A, n)``; ``-inf`` is not to be chosen.
        available: ``(A, n)``.

    Returns:
        ``(A,)`` rows, the first of equals and 0 where there is none, and ``(A,)`` truth values.

    >>> pick(np.array([[1.0, 3.0], [2.0, -np.inf]]), np.array([[True, True], [False, True]]))
    (array([1, 0]), array([ True, False]))
    """
    masked = np.where(available & (gains > -np.inf), gains, -np.inf)
    rows = masked.argmax(axis=1)
    return rows, np.asarray(masked[np.arange(len(rows)), rows] > -np.inf)


def choose(selector: Selector, view: View, prefer: Truth | None = None) -> int | None:
    """Row of the best available item for one agent; None if the selector wants no other.

    Args:
        view: with A = 1.
        prefer: ``(n,)`` items that are taken before others where gains nearly tie: the best of
            those within `NEAR_TIE` of the best item. It holds for criteria whose gains measure
            information, since 0 means none there; neither for chance nor for selectors from
            elsewhere.
    """
    gains = gains_of(selector, view)
    (row,), (found,) = pick(gains, view.available)
    if not found:
        return None
    if prefer is not None and informative(selector):
        near = view.available & prefer & (gains >= (1 - NEAR_TIE) * gains[0, row])
        if near.any():
            (row,), _ = pick(gains, near)
    return int(row)
