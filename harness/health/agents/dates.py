"""Contamination by date: is an agent abler on items older than its model's cutoff?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, ndtr, softmax

from harness.health.agents.answers import FEW_AGENTS, FEWEST_ITEMS, Answers
from harness.health.summaries import centre_and_spread, density_interval


@dataclass(frozen=True)
class Shift:
    """How much higher ability is on items older than a model's cutoff, in sds of agents."""

    older: int
    newer: int
    estimate: float
    low: float
    high: float
    p: float


def find_shifts(answers: Answers, dates: Sequence[str]) -> list[Shift | None]:
    """Ability on items older than each model's cutoff, less that on newer ones.

    Args:
        answers: of A agents.
        dates: ISO date of each agent, instead of a cutoff that is unknown; empty where unknown too.
    """
    e = answers.evidence
    created = np.array(e.created)
    limits = [own or date for own, date in zip(e.cutoff, dates, strict=True)]
    # with the signed root of the likelihood ratio of no shift
    rooted: dict[int, tuple[float, Shift]] = {}
    step = float(answers.nodes[1] - answers.nodes[0])
    reach = min(len(answers.nodes) - 1, round(4 * float(e.bank.sd[0]) / step))
    moves = np.arange(-reach, reach + 1)
    shifts = np.asarray(moves * step / e.bank.sd[0], float)
    log_p = np.log(answers.p)
    for limit in sorted(set(limits) - {""}):
        older = np.flatnonzero((created != "") & (created <= limit))
        newer = np.flatnonzero(created > limit)
        rows = np.array([a for a, own in enumerate(limits) if own == limit])
        counted = [np.count_nonzero(e.trials[rows][:, those], axis=1) for those in (older, newer)]
        enough = np.minimum(*counted) >= FEWEST_ITEMS
        if not enough.any():
            continue
        old = answers.likelihood(log_p[older], older)[rows]
        new = answers.likelihood(log_p[newer], newer)[rows] + answers.log_prior
        places = np.clip(np.arange(len(answers.nodes)) + moves[:, None], 0, len(answers.nodes) - 1)
        heights = np.stack([logsumexp(new + old[:, place], axis=1) for place in places], axis=1)
        for row in np.flatnonzero(enough):
            weights = softmax(heights[row])
            low, high = density_interval(shifts, weights)
            mean = float(weights @ shifts)
            ratio = 2 * float(heights[row].max() - heights[row, reach])
            root = float(np.sign(mean) * np.sqrt(max(ratio, 0.0)))
            one = Shift(int(counted[0][row]), int(counted[1][row]), mean, low, high, 1.0)
            rooted[int(rows[row])] = root, one
    centre, spread = centre_and_spread(np.array([root for root, _ in rooted.values()]))
    many = len(rooted) >= FEW_AGENTS
    found: list[Shift | None] = [None] * len(limits)
    for a, (root, one) in rooted.items():
        z = (root - centre) / max(spread, 1.0) if many else root
        found[a] = replace(one, p=float(ndtr(-min(z, root))))
    return found
