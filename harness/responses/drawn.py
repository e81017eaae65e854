"""One trial of each cell, as a session would have seen it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.irt import Array, Table
from harness.responses.outcomes import Responses


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
    # the last row written to a cell stays, so a random order draws one trial fairly
    order = np.random.default_rng(seed).permutation(len(responses.item))
    row, column = responses.agent[order], column_of[responses.item[order]]
    category = responses.category[order]
    wrong = np.flatnonzero(category >= table.n_categories[column])
    if len(wrong):
        first = wrong[0]
        raise ResponsesError(
            f"{responses.source or 'the responses'}: agent {responses.agents[row[first]]!r}, item "
            f"{table.ids[column[first]]!r}: category {category[first]}, but the bank has "
            f"0..{table.n_categories[column[first]] - 1}; check the scoring of that item"
        )
    shape = len(responses.agents), len(table.ids)
    categories = np.full(shape, -1)
    categories[row, column] = category
    usd, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    usd[row, column] = responses.usd[order]
    seconds[row, column] = responses.seconds[order]
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
