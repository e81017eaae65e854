"""One trial of each cell, as a session would have seen it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.irt import Array, Table
from harness.responses.outcomes import Responses


@dataclass(frozen=True, eq=False)
class Cells:
    """One trial of each cell, ``(A, n)`` each."""

    category: NDArray[np.intp]
    """-1 where missing."""
    usd: Array
    """Dollars of the attempt; NaN where unknown, as seconds."""
    seconds: Array

    def of(self, agents: NDArray[np.intp], items: NDArray[np.intp], table: Table) -> "Cells":
        """Some agents on the items of a table, which says what attempts of unknown cost cost."""
        where = np.ix_(agents, items)
        usd, seconds = (
            np.where(np.isnan(actual[where]), expected, actual[where])
            for actual, expected in ((self.usd, table.usd), (self.seconds, table.seconds))
        )
        return Cells(self.category[where], usd, seconds)


def draw_cells(responses: Responses, seed: int | Sequence[int]) -> Cells:
    """One trial of each cell at random, in the order of the responses: a session runs an item once.

    >>> from harness.responses import from_matrix
    >>> draw_cells(from_matrix(np.array([[1, 0], [-1, 1]])), seed=0).category.tolist()
    [[1, 0], [-1, 1]]
    """
    # the last row written to a cell stays, so a random order draws one trial fairly
    order = np.random.default_rng(seed).permutation(len(responses.category))
    where = responses.agent[order], responses.item[order]
    shape = len(responses.agents), len(responses.items)
    category, usd, seconds = np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan)
    category[where] = responses.category[order]
    usd[where], seconds[where] = responses.usd[order], responses.seconds[order]
    return Cells(category, usd, seconds)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One outcome a cell, in the order of the bank; all ``(A, n)``."""

    category: NDArray[np.intp]
    """-1 where missing."""
    usd: Array
    """NaN where neither log nor bank knows; as seconds."""
    seconds: Array
    score: Array
    """Score of the cell: of the trial drawn, or the mean over all of them where the score of the
    bank is over several trials. NaN where missing."""


def draw_trials(table: Table, responses: Responses, seed: int) -> Drawn:
    """Draw one trial of every cell at random.

    Raises:
        ResponsesError: an item or a category that the bank does not have.
    """
    used = np.unique(responses.item)
    unknown = [responses.items[i] for i in used if responses.items[i] not in table.index]
    if unknown:
        raise ResponsesError(
            f"{responses.source or 'the responses'}: item {unknown[0]!r} is not in the bank, nor "
            f"are {len(unknown) - 1} others; give the bank that they belong to, or remove their "
            "rows"
        )
    column_of = np.array([table.index.get(item, -1) for item in responses.items])
    row, column, category = responses.agent, column_of[responses.item], responses.category
    wrong = np.flatnonzero(category >= table.n_categories[column])
    if len(wrong):
        first = wrong[0]
        raise ResponsesError(
            f"{responses.source or 'the responses'}: agent {responses.agents[row[first]]!r}, item "
            f"{table.ids[column[first]]!r}: category {category[first]}, but the bank has "
            f"0..{table.n_categories[column[first]] - 1}; check the scoring of that item"
        )
    cells = draw_cells(responses, seed)
    shape = len(responses.agents), len(table.ids)
    categories, usd, seconds = np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan)
    place = column_of[used]
    categories[:, place] = cells.category[:, used]
    usd[:, place], seconds[:, place] = cells.usd[:, used], cells.seconds[:, used]
    score, times = np.zeros(shape), np.zeros(shape)
    if table.repeats is None:
        row, column = np.nonzero(categories >= 0)
        category = categories[row, column]
    np.add.at(score, (row, column), table.scores[column, category])
    np.add.at(times, (row, column), 1.0)
    with np.errstate(invalid="ignore"):
        score /= times
    return Drawn(
        categories,
        np.where(np.isnan(usd), table.usd, usd),
        np.where(np.isnan(seconds), table.seconds, seconds),
        score,
    )
