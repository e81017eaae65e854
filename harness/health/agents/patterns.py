"""Patterns in an agent's outcomes, each by a Bayes factor against ability alone.

- *underperforms on easy items*: an outcome on the easiest items is the lowest with probability λ,
  whatever the ability;
- *contamination*: an outcome on the hardest items is the highest with probability λ.

The Bayes factor is of marginal likelihoods over ability, averaged over how strong the pattern is
and which items it touches.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import logsumexp, softmax

from harness.health.agents.answers import Answers
from harness.health.summaries import density_interval

SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Of the easiest or hardest items that a pattern touches."""
_STRENGTHS = np.arange(0.05, 1.0, 0.1)


@dataclass(frozen=True)
class Pattern:
    """Evidence that outcomes follow one pattern rather than ability alone."""

    strength: float
    """λ, in the share of items that fits best."""
    low: float
    high: float
    share: float
    """Of the items, the easiest or the hardest."""
    log_bayes_factor: float


def find_patterns(answers: Answers, where: Literal["lowest", "highest"]) -> list[Pattern]:
    """The easiest items go wrong, or the hardest go right, with probability λ."""
    n = len(answers.p)
    lowest = where == "lowest"
    order = np.argsort(-answers.easiness if lowest else answers.easiness, kind="stable")
    target = (
        np.zeros(n, np.intp) if lowest else np.asarray(answers.evidence.responses.n_categories) - 1
    )
    sizes = sorted({max(1, round(share * n)) for share in SHARES})
    # (share, λ, A): marginal log-likelihoods
    heights = np.empty((len(sizes), len(_STRENGTHS), len(answers.base)))
    for s, size in enumerate(sizes):
        items = order[:size]
        p = answers.p[items]
        mixed = p[..., None] * (1 - _STRENGTHS)
        mixed[np.arange(size), target[items]] += _STRENGTHS
        # all strengths beside each other: one product of matrices
        gain = np.log(mixed / p[..., None]).reshape(*p.shape[:2], -1)
        moved = answers.likelihood(gain, items).reshape(len(answers.base), -1, len(_STRENGTHS))
        moved += (answers.base + answers.log_prior)[..., None]
        heights[s] = logsumexp(moved, axis=1).T
    plain = logsumexp(answers.base + answers.log_prior, axis=1)
    factor = logsumexp(heights, axis=(0, 1)) - np.log(heights.shape[0] * heights.shape[1]) - plain
    best = logsumexp(heights, axis=1).argmax(axis=0)
    found = []
    for a, share in enumerate(best):
        weights = softmax(heights[share, :, a])
        low, high = density_interval(_STRENGTHS, weights)
        found.append(
            Pattern(
                float(weights @ _STRENGTHS),
                max(0.0, low),
                min(1.0, high),
                sizes[share] / n,
                float(factor[a]),
            )
        )
    return found
