"""How much of what answers tell rests on predicted items, and what error those share.

Difficulties that one predictor stated are wrong together: an error of its intercept or of a weight
moves many of them at once, so it does not average out over items as the errors of single items do.
"""

import numpy as np
from numpy.typing import NDArray

from harness.ability import moments
from harness.irt import Array, Table

_STEPS = 50
"""Shifts are told apart by this share of the largest one, so that agents can share a blur."""


def told(table: Table, weights: Array, answers: NDArray[np.intp]) -> Array:
    """``(A, n)`` Fisher information of the answered items, averaged over the posteriors ``(A, Q)``;
    0 for the others."""
    return np.where(answers >= 0, weights @ table.information.T, 0.0)


def predicted_share(table: Table, weights: Array, answers: NDArray[np.intp]) -> Array:
    """``(A,)`` share of the information of the answered items that rests on predicted ones.

    Args:
        weights: ``(A, Q)`` posteriors.
        answers: ``(A, n)`` category of each item, -1 where it was not administered.
    """
    if not table.predicted.any():
        return np.zeros(len(answers))
    information = told(table, weights, answers)
    total = information.sum(axis=1)
    ours = information[:, table.predicted].sum(axis=1)
    return np.asarray(np.divide(ours, total, out=np.zeros(len(total)), where=total > 0))


def common_shift(
    table: Table, weights: Array, answers: NDArray[np.intp], counted: NDArray[np.bool_] | None
) -> tuple[Array, Array]:
    """Sds of the error that predicted items have in common, as it enters two results.

    An estimate is about the mean of what the prior and each item say, weighted by precision and
    information ``w_i``. If all predicted items are harder by c than stated, it is off by ``s c``
    with ``s = Σ w_i / Σ w`` over the predicted ones, and the variance that this adds to that of
    independent errors is ``c² (s² - Σ w_i² / (Σ w)²)``. The score of the open items depends on
    ability minus c where they are predicted themselves, so of their share f the error is ``(s - f)
    c``: nothing is lost where all items are predicted.

    Args:
        weights: ``(A, Q)`` posteriors.
        answers: ``(A, n)`` category of each item, -1 where it was not administered.
        counted: ``(A, n)`` items that the score is over; all when None.

    Returns:
        ``(A,)`` each: of ability, and of ability as far as the score of the bank depends on it.
    """
    if not table.common_sd or not table.predicted.any():
        return np.zeros(len(answers)), np.zeros(len(answers))
    information = told(table, weights, answers)
    # neither narrower than nodes can show, nor wider than the items alone would make it
    narrowest = (table.nodes[1, 0] - table.nodes[0, 0]) / 2
    precision = np.maximum(moments(table.nodes, weights)[1][:, 0], narrowest) ** -2.0
    precision = np.maximum(precision, information.sum(axis=1))
    ours = information[:, table.predicted]
    share = ours.sum(axis=1) / precision
    known = (ours**2).sum(axis=1) / precision**2

    still_open = answers < 0 if counted is None else counted & (answers < 0)
    rise = np.gradient(table.expected_score, table.nodes[:, 0], axis=1)
    steepness = np.where(still_open, weights @ rise.T, 0.0)
    total = steepness.sum(axis=1)
    theirs = steepness[:, table.predicted].sum(axis=1)
    of_open = np.divide(theirs, total, out=share.copy(), where=total > 0)

    def sd(error: Array) -> Array:
        shift = np.sqrt(np.maximum(error**2 - known, 0.0))
        return np.asarray(np.rint(shift * _STEPS) * table.common_sd / _STEPS)

    return sd(share), sd(share - of_open)
