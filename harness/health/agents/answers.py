"""What every look at an agent starts from: its weighted outcomes and their probabilities."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.health.evidence import Evidence
from harness.irt import Array

FEW_AGENTS = 10
"""With fewer there is no telling an odd agent from what agents are like here."""
FEWEST_ITEMS = 5
"""That an agent must have answered for a look at them together."""
FLOOR = 1e-9
"""Probability of any outcome, so that no single one is evidence without limit."""
_NODES = 80


class Answers:
    """What all patterns start from: cells as weighted counts, tables on fewer nodes."""

    def __init__(self, evidence: Evidence) -> None:
        step = max(1, len(evidence.nodes) // _NODES)
        self.evidence = evidence
        self.step = step
        self.nodes = evidence.nodes[::step]
        self.log_prior = evidence.log_prior[::step]
        self.p = np.clip(evidence.p[:, :, ::step], FLOOR, 1.0)
        ratio = evidence.weight / np.maximum(evidence.trials, 1.0)
        # trials of a cell are alike: together they count as the independent ones they are worth
        self.counts = evidence.counts * ratio[..., None]

    @cached_property
    def base(self) -> Array:
        """``(A, Q)`` log-likelihood of all outcomes."""
        return self.likelihood(np.log(self.p))

    def likelihood(self, log_p: Array, items: NDArray[np.intp] | slice = slice(None)) -> Array:
        """``(A, Q)`` of the outcomes on some items, whose log-probabilities are given."""
        counts = self.counts[:, items]
        return np.asarray(counts.reshape(len(counts), -1) @ log_p.reshape(-1, log_p.shape[2]))

    @cached_property
    def easiness(self) -> Array:
        """``(n,)`` expected score among all agents."""
        return np.asarray(self.evidence.expected @ self.evidence.posterior.mean(axis=0))

    @cached_property
    def at_ability(self) -> tuple[Array, Array]:
        """``(A, n, K)`` probabilities and their derivatives at each agent's ability."""
        e = self.evidence
        p = np.moveaxis(e.p, 2, 0)
        slope = np.gradient(p, e.nodes, axis=0)
        left = np.clip(np.searchsorted(e.nodes, e.ability) - 1, 0, len(e.nodes) - 2)
        part = ((e.ability - e.nodes[left]) / (e.nodes[left + 1] - e.nodes[left]))[:, None, None]
        at = p[left] * (1 - part) + p[left + 1] * part
        return at, slope[left] * (1 - part) + slope[left + 1] * part
