"""Errors of methods on agents, and how sure they are: what ``adaptive.py`` reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from _adaptive_peers import Array
from numpy.typing import NDArray
from scipy.stats import rankdata

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Errors:
    """What the methods predicted in one study: R pairs of a split and an agent under test."""

    agent: Indices
    """``(R,)`` as the next two."""
    split: Indices
    truth: Array
    predicted: dict[str, Array]
    """``(R, S)`` of each method; NaN where it was not run."""
    random: Array
    """``(R, n)`` mean absolute error of random tasks and their mean, at every number of tasks."""
    floor: Array
    """``(R, S)``."""

    def absolute(self, method: str) -> Array:
        """``(R, S)`` absolute errors."""
        return np.abs(self.predicted[method] - self.truth[:, None])

    def spearman(self, method: str) -> Array:
        """``(S,)`` rank correlation with the truth within a split, averaged over splits."""
        found = []
        for split in np.unique(self.split):
            rows = (self.split == split) & np.isfinite(self.predicted[method][:, 0])
            if rows.sum() > 2:
                truth = rankdata(self.truth[rows])
                ranks = rankdata(self.predicted[method][rows], axis=0)
                found.append([_correlation(truth, rank) for rank in ranks.T])
        columns = self.predicted[method].shape[1]
        return np.mean(found, axis=0) if found else np.full(columns, np.nan)


def _correlation(one: Array, other: Array) -> float:
    """Of ranks; 0 where one of them is the same everywhere, and tells no order."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def resamples(agent: Indices, draws: int) -> Array:
    """``(draws + 1, R)`` weights of rows when agents are drawn again; the first are all 1."""
    present, row = np.unique(agent, return_inverse=True)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(present), np.full(len(present), 1 / len(present)), size=draws)
    return np.concatenate([np.ones((1, len(agent))), counts[:, row].astype(float)])


def weighted_means(values: Array, weights: Array) -> Array:
    """``(B, S)`` means of ``values (R, S)`` under each row of ``weights (B, R)``, NaN left out."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ np.where(known, values, 0.0)) / (weights @ known))


def tasks_for(error: Array, curve: Array) -> Array:
    """``(B, S)`` at how many random tasks the error falls to ``error (B, S)``.

    ``curve`` is ``(B, n)``, the error at 1 to n tasks. n is the answer too where it never falls so
    low, and 1 where it is lower from the start.

    >>> tasks_for(np.array([[0.25]]), np.array([[0.4, 0.3, 0.2]])).tolist()
    [[2.5]]
    """
    falling = np.minimum.accumulate(curve, axis=1)
    number = np.arange(1, curve.shape[1] + 1, dtype=float)
    rows = [np.interp(-e, -c, number) for e, c in zip(error, falling, strict=True)]
    return np.array(rows)


def joined(parts: Sequence[Errors]) -> Errors:
    """The rows of all parts."""
    return Errors(
        agent=np.concatenate([part.agent for part in parts]),
        split=np.concatenate([part.split for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        predicted={
            method: np.concatenate([part.predicted[method] for part in parts])
            for method in parts[0].predicted
        },
        random=np.concatenate([part.random for part in parts]),
        floor=np.concatenate([part.floor for part in parts]),
    )


def estimates(draws: Array, scale: float = 1.0) -> list[dict[str, float]]:
    """Value and 95% interval of each column; the first row of ``(B, S)`` is the value."""
    low, high = np.nanquantile(draws[1:], [0.025, 0.975], axis=0)
    return [
        {"value": float(v * scale), "low": float(a * scale), "high": float(b * scale)}
        for v, a, b in zip(draws[0], low, high, strict=True)
    ]


def known_number(number: float) -> float | None:
    """A number as JSON can hold it."""
    return float(number) if np.isfinite(number) else None
