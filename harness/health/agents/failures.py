"""Broken scaffolds: tags and blocks of items that an agent failed altogether; drift in a run."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from harness.health.agents.answers import FEWEST_ITEMS, Answers
from harness.health.agents.person_fit import cusum
from harness.health.evidence import Evidence
from harness.irt import Array

_EXPECTED = 2.0
"""Score that an agent must have been expected to earn where it earned none."""
_BLOCKS = 8
_DRIFT_ANSWERS = 20


@dataclass(frozen=True)
class Failed:
    """Items of one tag, or one after another, all with the lowest outcome."""

    what: str
    items: tuple[str, ...]
    expected: float
    """Score that the agent's other answers say it should have earned on them."""
    p: float
    """Probability of none, given the other answers, times the number of blocks looked at."""


@dataclass(frozen=True)
class Drift:
    """The stretch of the order of administration with the largest cumulative sum."""

    first: int
    last: int
    """Positions from 1 among the answers of the agent."""
    observed: float
    expected: float
    p: float


def find_failures(answers: Answers, order: Array | None) -> list[Failed | None]:
    """The tag, or the run of consecutive items, without any score that is least probable."""
    e = answers.evidence
    answered = e.trials > 0
    nothing = answered & (np.nan_to_num(e.score) == 0)
    log_p, log_none = np.log(answers.p), np.log(answers.p[:, 0])
    worth = answers.counts.sum(axis=2)
    found: list[Failed | None] = [None] * len(answered)

    def look(a: int, items: NDArray[np.intp], what: str, looks: int, spread: Array) -> None:
        rest = answers.base[a] - answers.likelihood(log_p[items], items)[a] + answers.log_prior
        weights = softmax(rest)
        mean = e.expected[items][:, :: answers.step] @ weights
        if mean.sum() < _EXPECTED:
            return
        p = looks * float(weights @ spread @ np.exp(worth[a, items] @ log_none[items]))
        best = found[a]
        if best is None or p < best.p:
            names = tuple(e.responses.items[i] for i in items)
            found[a] = Failed(what, names, float(mean.sum()), min(1.0, p))

    tagged = []
    for name, values in e.tags.items():
        labels = np.unique(values, return_inverse=True)[1]
        spread = _as_usual(answers, labels)
        tagged += [
            (f"{name} {value!r}", np.array([v == value for v in values]), spread)
            for value in sorted(set(values) - {""})
        ]
    for what, those, spread in tagged:
        own = answered & those
        for a in np.flatnonzero((own.sum(axis=1) >= FEWEST_ITEMS) & ~(own & ~nothing).any(axis=1)):
            look(int(a), np.flatnonzero(own[a]), what, len(tagged), spread)
    when = np.arange(answered.shape[1]) if order is None else np.nan_to_num(order)
    place = np.argsort(np.argsort(np.broadcast_to(when, answered.shape), axis=1), axis=1)
    spread = _as_usual(answers, place * _BLOCKS // answered.shape[1])
    for agent, positions in enumerate(_administered(answered, order)):
        best = max(
            _runs(nothing[agent, positions]),
            key=lambda run: float(e.expected_score[agent, positions[run]].sum()),
            default=None,
        )
        if best is not None:
            items = positions[best]
            what = f"a block of {len(items)} consecutive items"
            look(agent, items, what, len(positions), spread)
    return found


def _as_usual(answers: Answers, labels: NDArray[np.intp]) -> Array:
    """``(Q, Q)`` ability on some items given ability on the others: normal around it, with the sd
    that abilities on items of different labels, ``(n,)`` or ``(A, n)``, usually differ by here.

    The sum R of residuals of a label has variance ``V (1 - V / ΣV) + S² sd²``: V that of its
    scores, of which the ability fitted to all of them takes its share, and S the slope of its
    expected score. The sd is a weighted mean over agents but the tenth that differs most, who may
    be the broken ones.
    """
    e = answers.evidence
    own = np.broadcast_to(labels, e.trials.shape)
    slopes = np.where(e.trials > 0, answers.at_ability[1] @ np.arange(e.p.shape[1]), 0.0)
    slopes = slopes / (e.responses.n_categories - 1)
    residual = np.nan_to_num(e.score - e.expected_score)
    variance = np.nan_to_num(e.score_variance)
    total = np.maximum(variance.sum(axis=1), 1e-9)
    above, below = np.zeros(len(own)), np.zeros(len(own))
    for label in np.unique(labels):
        here = own == label
        square = (slopes * here).sum(axis=1) ** 2
        chance = (variance * here).sum(axis=1)
        excess = (residual * here).sum(axis=1) ** 2 - chance * (1 - chance / total)
        above, below = above + excess * square, below + square**2
    usual = np.argsort(above / np.maximum(below, 1e-9))[: max(1, round(0.9 * len(own)))]
    sd = float(np.sqrt(max(0.0, above[usual].sum() / max(below[usual].sum(), 1e-9))))
    if sd < 0.5 * float(answers.nodes[1] - answers.nodes[0]):
        return np.eye(len(answers.nodes))
    return np.asarray(softmax(-0.5 * ((answers.nodes - answers.nodes[:, None]) / sd) ** 2, axis=1))


def _administered(answered: NDArray[np.bool_], order: Array | None) -> Iterator[NDArray[np.intp]]:
    """Items of each agent, first to last."""
    when = np.arange(answered.shape[1]) if order is None else order
    for own, times in zip(answered, np.broadcast_to(when, answered.shape), strict=True):
        items = np.flatnonzero(own & np.isfinite(times))
        yield items[np.argsort(times[items], kind="stable")]


def _runs(nothing: NDArray[np.bool_]) -> Iterator[slice]:
    """Runs of zeros of at least :data:`FEWEST_ITEMS`, unless they are everything."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], nothing.astype(int), [0]])))
    for first, end in edges.reshape(-1, 2):
        if FEWEST_ITEMS <= end - first < len(nothing):
            yield slice(first, end)


def find_drifts(evidence: Evidence, order: Array | None) -> list[Drift | None]:
    """The largest cumulative sum of residuals, as a range.

    Centred residuals in a random order make a Brownian bridge, whose range has Kuiper's
    distribution (1960); the larger of both cumulative sums is that range.
    """
    found: list[Drift | None] = [None] * len(evidence.ability)
    if order is None:
        return found
    sd = np.sqrt(np.maximum(np.nan_to_num(evidence.score_variance, nan=1.0), 1e-4))
    residual = np.where(
        evidence.trials > 0, (evidence.score - evidence.expected_score) / sd, np.nan
    )
    for a, items in enumerate(_administered(evidence.trials > 0, order)):
        steps = residual[a, items]
        if len(items) < _DRIFT_ANSWERS or not np.ptp(steps) > 0:
            continue
        steps = (steps - steps.mean()) / (steps.std() * np.sqrt(len(steps)))
        sums = cusum(steps[None])
        better = sums.upper.max() >= -sums.lower.min()
        path = sums.upper[0] if better else -sums.lower[0]
        last = int(path.argmax())
        zero = np.flatnonzero(path[: last + 1] <= 1e-12)
        first = int(zero[-1]) + 1 if len(zero) else 0
        stretch = items[first : last + 1]
        found[a] = Drift(
            first + 1,
            last + 1,
            float(evidence.score[a, stretch].mean()),
            float(evidence.expected_score[a, stretch].mean()),
            _kuiper(float(path[last]) + 0.155 / np.sqrt(len(steps))),
        )
    return found


def _kuiper(range_: float) -> float:
    """Probability that a Brownian bridge has a range as large."""
    if range_ < 0.4:
        return 1.0
    square = (np.arange(1, 101) * range_) ** 2
    return float(np.clip(2 * ((4 * square - 1) * np.exp(-2 * square)).sum(), 0.0, 1.0))
