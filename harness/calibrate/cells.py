"""What was observed on a block of items, laid out for matrix products with ability nodes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from harness.irt import Array
from harness.responses import Responses

_IN_FULL = 8_000_000
"""Up to so many counts they are kept as floats (64 MB); more are kept as bytes and widened a chunk
of agents at a time."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Independent trials: category counts, the lowest category left out.

    With ``log_p`` of the lowest category as the base, a cell adds
    ``Σ_k count_k (log_p_k - log_p_0) + attempts log_p_0``: one matrix product for complete data.
    """

    counts: NDArray[Any]
    """``(A, m (K-1))`` of categories 1 to K-1."""
    attempts: NDArray[Any] | None
    """``(A, m)``; None where every cell has exactly one."""
    steps: int

    def log_likelihood(self, rows: slice, log_p: Array) -> Array:
        """``(rows, Q)`` of these agents at every node, from ``log_p (m, K, Q)``."""
        q = log_p.shape[2]
        above = (log_p[:, 1:] - log_p[:, :1]).reshape(-1, q)
        base = log_p[:, 0].sum(axis=0) if self.attempts is None else self._wide(rows) @ log_p[:, 0]
        return np.asarray(self.counts[rows].astype(float, copy=False) @ above + base)

    def _wide(self, rows: slice) -> Array:
        assert self.attempts is not None
        return self.attempts[rows].astype(float, copy=False)

    def expected(self, rows: slice, weights: Array) -> Array:
        """``(m, K, Q)`` expected outcomes at each node, from posteriors ``(rows, Q)``."""
        q = weights.shape[1]
        above = (self.counts[rows].astype(float, copy=False).T @ weights).reshape(-1, self.steps, q)
        if self.attempts is None:
            total = np.broadcast_to(weights.sum(axis=0), (len(above), q))
        else:
            total = self._wide(rows).T @ weights
        lowest = np.maximum(total - above.sum(axis=1), 0.0)
        return np.concatenate([lowest[:, None], above], axis=1)

    def outcomes(self, rows: slice) -> Array:
        """``(rows, m, K)`` counts."""
        above = self.counts[rows].astype(float, copy=False)
        above = above.reshape(len(above), -1, self.steps)
        total = 1.0 if self.attempts is None else self._wide(rows)
        return np.concatenate([(total - above.sum(axis=2))[:, :, None], above], axis=2)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Trials that share an effect: each cell is one of O patterns of category counts."""

    patterns: Array
    """``(O, K)``."""
    hot: sparse.csr_array
    """``(A, m O)``, a 1 where a cell has a pattern."""

    def log_likelihood(self, rows: slice, log_p: Array) -> Array:
        """As :meth:`Trials.log_likelihood`, from ``log_p (m, O, Q)``."""
        return np.asarray(self.hot[rows] @ log_p.reshape(-1, log_p.shape[2]))

    def expected(self, rows: slice, weights: Array) -> Array:
        """``(m, O, Q)``, as :meth:`Trials.expected`."""
        found = np.asarray(self.hot[rows].T @ weights)
        return found.reshape(-1, len(self.patterns), weights.shape[1])

    def outcomes(self, rows: slice) -> Array:
        """``(rows, m, O)`` 0 or 1."""
        dense = self.hot[rows].toarray()
        return np.asarray(dense.reshape(len(dense), -1, len(self.patterns)))


Cells = Trials | Patterns


Counts = NDArray[np.uint8] | NDArray[np.int64]


def count(responses: Responses, items: NDArray[np.intp], k: int) -> Counts:
    """``(A, m, K)`` how often each agent had each category of these items, in bytes if they do."""
    column = np.full(len(responses.items), -1)
    column[items] = np.arange(len(items))
    here = np.flatnonzero(column[responses.item] >= 0)
    cell = responses.agent[here], column[responses.item[here]], responses.category[here]
    most = int(responses.attempts.max(initial=0))
    shape = len(responses.agents), len(items), k
    found: Counts = np.zeros(shape, np.uint8) if most <= 255 else np.zeros(shape, np.int64)
    if most <= 1:
        found[cell] = 1
    else:
        np.add.at(found, cell, 1)
    return found


def trials(counts: Counts) -> Trials:
    """From category counts ``(A, m, K)``."""
    agents, _, k = counts.shape
    kind = counts.dtype.type if counts.size > _IN_FULL else np.float64
    total = counts.sum(axis=2, dtype=kind)
    complete = bool((total == 1).all())
    above = np.ascontiguousarray(counts[:, :, 1:].reshape(agents, -1)).astype(kind, copy=False)
    return Trials(above, None if complete else total, k - 1)


def patterns(counts: Counts) -> Patterns:
    """From category counts ``(A, m, K)``."""
    agents, m, _ = counts.shape
    agent, item = np.nonzero(counts.sum(axis=2))
    unique, which = np.unique(counts[agent, item], axis=0, return_inverse=True)
    column = item * len(unique) + which.ravel()
    hot = sparse.csr_array((np.ones(len(agent)), (agent, column)), shape=(agents, m * len(unique)))
    return Patterns(unique.astype(float), hot)
