"""S-X² of an item: how its answers at each sum score differ from what is expected there.

Orlando and Thissen (2000); for ordinal items Kang and Chen (2008).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from harness.irt import Array

SMALLEST_EXPECTED = 1.0
"""Answers expected in a cell of S-X², after merging."""


@dataclass(frozen=True, eq=False)
class SumScoreFit:
    """S-X² of one item over T sum scores and K categories."""

    statistic: float
    df: int
    p: float
    """By the χ² distribution; NaN with no degrees of freedom."""
    cells: NDArray[np.intp]
    """``(T, K)`` which merged cell each belongs to; -1 for none."""


def sum_score_fit(observed: Array, expected: Array, n_parameters: int) -> SumScoreFit:
    """S-X² of an item (Orlando and Thissen 2000; Kang and Chen 2008), with cells merged.

    Sum scores of a single agent join the next one; then, from below, those where no split of
    the categories expects an answer on either side join the neighbour with fewer agents; at last
    neighbouring categories are merged within each group of sum scores. For binary items this is
    what mirt does.

    Args:
        observed: ``(T, K)`` agents by sum score and category, without the lowest and the
            highest sum score.
        expected: ``(T, K)`` what the model expects of as many agents.

    >>> observed = np.array([[6.0, 4.0], [3.0, 7.0]])
    >>> found = sum_score_fit(observed, np.array([[5.0, 5.0], [5.0, 5.0]]), n_parameters=1)
    >>> found.statistic, found.df
    (2.0, 1)
    """
    of_row = _merged_scores(observed, expected)
    cells = np.full(observed.shape, -1)
    start = 0
    for row in range(of_row.max(initial=-1) + 1):
        here = of_row == row
        labels = _merged_categories(expected[here].sum(axis=0))
        cells[here] = start + labels
        start += int(labels[-1]) + 1
    inside = cells >= 0
    o = np.bincount(cells[inside], observed[inside], start)
    e = np.bincount(cells[inside], expected[inside], start)
    statistic = float(((o - e) ** 2 / np.where(e > 0, e, 1.0)).sum())
    df = start - (int(of_row.max(initial=-1)) + 1) - n_parameters
    return SumScoreFit(
        statistic, max(df, 0), float(chi2.sf(statistic, df)) if df > 0 else math.nan, cells
    )


def _merged_scores(observed: Array, expected: Array) -> NDArray[np.intp]:
    """``(T,)`` group of each sum score; -1 where nobody has it."""
    seen = np.flatnonzero(observed.sum(axis=1) > 0).tolist()
    rows: list[tuple[list[int], float, Array]] = []
    for t in seen:
        agents, hoped = float(observed[t].sum()), expected[t]
        if rows and rows[-1][1] == 1:
            members, before, others = rows.pop()
            rows.append(([*members, t], before + agents, others + hoped))
        else:
            rows.append(([t], agents, hoped))

    def join(left: int) -> None:
        (a, n, e), (b, m, f) = rows[left], rows.pop(left + 1)
        rows[left] = (a + b, n + m, e + f)

    if len(rows) > 1 and rows[-1][1] == 1:
        join(len(rows) - 2)
    row = 0
    while row < len(rows) and len(rows) > 1:
        if _divisible(rows[row][2]):
            row += 1
        elif row == 0:
            join(0)
        elif row == len(rows) - 1 or rows[row - 1][1] <= rows[row + 1][1]:
            join(row - 1)
            row -= 1
        else:
            join(row)
    of_row = np.full(len(observed), -1)
    for place, (members, _, _) in enumerate(rows):
        of_row[members] = place
    return of_row


def _divisible(expected: Array) -> bool:
    """Some split of the categories expects an answer, or none possible, on either side."""
    below = np.cumsum(expected)[:-1]
    above = expected.sum() - below
    least = np.minimum(below, above)
    return bool((least >= SMALLEST_EXPECTED).any() or (least <= 0.0).all())


def _merged_categories(expected: Array) -> NDArray[np.intp]:
    """``(K,)`` group of each category, so that each group expects enough."""
    groups = [[k] for k in range(len(expected))]
    sums = expected.tolist()
    while len(groups) > 1 and min(sums) < SMALLEST_EXPECTED:
        low = int(np.argmin(sums))
        left = low > 0 and (low == len(sums) - 1 or sums[low - 1] <= sums[low + 1])
        first = low - 1 if left else low
        groups[first] += groups.pop(first + 1)
        sums[first] += sums.pop(first + 1)
    labels = np.empty(len(expected), np.intp)
    for label, members in enumerate(groups):
        labels[members] = label
    return labels
