"""Runs on one bank side by side: who is better, how sure that is, and what would settle it.

The posteriors are taken as independent, so that errors of the bank's parameters, which all runs
share, make an interval a little wider than it had to be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_uppercase

import numpy as np
from scipy.special import ndtr, ndtri

from harness.ability import Interval, moments
from harness.bank import ItemBank
from harness.errors import InputError
from harness.events import Outcome
from harness.irt import Array
from harness.report.difference import (
    Difference,
    Distribution,
    ability_difference,
    difference,
    rank_probabilities,
)
from harness.report.mismatches import Mismatch, first_start, mismatches
from harness.report.wording import count, percent
from harness.session import Session

ALPHA = 0.05
"""Probability of the other order that may remain when two agents are called told apart."""
MOST_RUNS = len(ascii_uppercase)


@dataclass(frozen=True)
class Side:
    """One run."""

    name: str
    """``A``, ``B``, … in the order given."""
    run: str
    agent: str
    ability: tuple[float, ...]
    """Posterior means, one entry an ability."""
    sd: tuple[float, ...]
    score: float
    """Predicted mean score on the whole bank."""
    score_interval: Interval
    items: int
    """Answered."""
    outcome: Outcome | None
    """How the session ended; None if it has not."""
    ranks: tuple[float, ...]
    """Probability of being first, second, … by the predicted score."""
    predicted: int = 0
    """Answered items whose parameters are predicted, not estimated from outcomes."""
    predicted_share: float = 0.0
    """Share of the information of the answers that rests on them."""


@dataclass(frozen=True)
class Shared:
    """How two agents fared on the tasks that both answered, by the category."""

    tasks: int
    first: int
    """Tasks on which the first did better."""
    equal: int
    second: int


@dataclass(frozen=True)
class Pair:
    """Two of the runs; every difference is the first minus the second."""

    first: str
    second: str
    abilities: tuple[Difference, ...]
    score: Difference
    better: float
    """Probability that the first agent is better: by its ability, and by the predicted score
    where the bank has several."""
    apart: bool
    """Whether that is sure enough, either way."""
    more: int | None
    """Tasks that each should still do for even chances of being told apart; 0 if they are, None
    if all that are left are not enough or the bank has several abilities."""
    shared: Shared
    mismatches: tuple[Mismatch, ...]
    words: str

    @property
    def forbidden(self) -> bool:
        """Whether a mismatch forbids the comparison."""
        return any(mismatch.forbids for mismatch in self.mismatches)


@dataclass(frozen=True)
class TaskRow:
    """One task that at least two agents answered."""

    item: str
    categories: tuple[int | None, ...]
    """One entry a run; None where it did not answer the task."""
    labels: tuple[str, ...]
    """The same in words; empty where there is none."""


@dataclass(frozen=True)
class Comparison:
    """All runs and all pairs of them; ``dataclasses.asdict`` gives plain JSON."""

    bank: str
    bank_hash: str
    level: float
    """Probability of every interval."""
    alpha: float
    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    tasks: tuple[TaskRow, ...]

    @property
    def apart(self) -> bool:
        """Whether every two agents are told apart."""
        return all(pair.apart for pair in self.pairs)

    @property
    def forbidden(self) -> bool:
        """Whether a mismatch forbids the comparison of any two."""
        return any(pair.forbidden for pair in self.pairs)


def compare(
    sessions: Sequence[Session], bank: ItemBank, *, alpha: float = ALPHA, level: float = 0.9
) -> Comparison:
    """Compare sessions on the same bank.

    Args:
        sessions: two to 26.
        bank: theirs.
        alpha: two agents are told apart once one is better with probability ``1 - alpha``.
        level: probability of the intervals.

    Raises:
        InputError: fewer than two sessions, or more than there are letters; senseless numbers.
    """
    if not 2 <= len(sessions) <= MOST_RUNS:
        raise InputError(
            f"a comparison takes 2 to {MOST_RUNS} runs, not {len(sessions)}: name their folders"
        )
    if not (0 < alpha < 0.5 and 0 < level < 1):
        raise InputError(
            f"alpha lies between 0 and 0.5, the level between 0 and 1, not {alpha:g} and {level:g}"
        )
    scores = [score_distribution(session) for session in sessions]
    ranks = rank_probabilities(scores)
    names = ascii_uppercase[: len(sessions)]
    return Comparison(
        bank=bank.name,
        bank_hash=bank.hash,
        level=level,
        alpha=alpha,
        sides=tuple(
            _side(name, session, level, tuple(map(float, row)))
            for name, session, row in zip(names, sessions, ranks, strict=True)
        ),
        pairs=tuple(
            _pair(
                (names[a], names[b]),
                (sessions[a], sessions[b]),
                difference(scores[a], scores[b], level),
                alpha,
            )
            for a, b in combinations(range(len(sessions)), 2)
        ),
        tasks=tuple(_tasks(sessions, bank)),
    )


def score_distribution(session: Session) -> Distribution:
    """Distribution of the predicted score on the whole bank."""
    return Distribution(session.score.values, session.score.probabilities)


def _side(name: str, session: Session, level: float, ranks: tuple[float, ...]) -> Side:
    start = first_start(session)
    return Side(
        name=name,
        run=start.run if start else "",
        agent=start.agent if start else "",
        ability=tuple(map(float, session.posterior.mean)),
        sd=session.sd,
        score=session.score.mean,
        score_interval=session.score.interval(level),
        items=len(session.answered),
        outcome=session.stopped.outcome if session.stopped else None,
        ranks=ranks,
        predicted=session.predicted_answers,
        predicted_share=session.predicted_share,
    )


def _pair(
    names: tuple[str, str], sessions: tuple[Session, Session], score: Difference, alpha: float
) -> Pair:
    first, second = sessions
    dimensions = range(first.table.nodes.shape[1])
    level = score.interval.level
    abilities = tuple(
        ability_difference(first.posterior, second.posterior, level, d) for d in dimensions
    )
    better = abilities[0].better if len(dimensions) == 1 else score.better
    sure = max(better, 1 - better) >= 1 - alpha
    more = 0 if sure else tasks_to_decide(first, second, alpha)
    return Pair(
        *names,
        abilities=abilities,
        score=score,
        better=better,
        apart=sure,
        more=more,
        shared=_shared(first, second),
        mismatches=tuple(mismatches(first, second)),
        words=_verdict(*names, better, more, len(dimensions)),
    )


def tasks_to_decide(first: Session, second: Session, alpha: float = ALPHA) -> int | None:
    """How many more tasks two agents need until it is probably ``1 - alpha`` sure who is better.

    A preposterior analysis (Raiffa and Schlaifer 1961). Each agent does its most informative
    tasks in turn; their Fisher information at its estimate adds to the precision of its ability.
    What that takes off the variance of the difference is the variance with which the estimated
    difference will move, all taken as normal. The number is the first at which the chances of
    being told apart are even.

    Returns:
        None if all tasks that are left are not enough, or the bank has several abilities.
    """
    if first.table.nodes.shape[1] > 1:
        return None
    gap = abs(float(first.posterior.mean[0] - second.posterior.mean[0]))
    a, b = (_variances(session) for session in (first, second))
    tasks = np.arange(max(len(a), len(b)))
    left = a[np.minimum(tasks, len(a) - 1)] + b[np.minimum(tasks, len(b) - 1)]
    moves = np.sqrt(left[0] - left[1:])
    needed = ndtri(1 - alpha) * np.sqrt(left[1:])
    with np.errstate(divide="ignore"):
        chance = ndtr((gap - needed) / moves) + ndtr((-gap - needed) / moves)
    enough = np.flatnonzero(chance >= 0.5)
    return int(enough[0]) + 1 if len(enough) else None


def _variances(session: Session) -> Array:
    """Expected variance of ability on the whole bank after 0, 1, 2, … more tasks."""
    table = session.table
    counted = np.ones(len(table.ids), bool) if session.eligible is None else session.eligible
    still_open = counted & (session.answers < 0)
    node = int(np.abs(table.nodes[:, 0] - session.posterior.mean[0]).argmin())
    gained = np.sort(table.information[still_open, node])[::-1]
    now = float(moments(table.nodes, session.weights[None])[1][0, 0])
    shown = 1 / (1 / now**2 + np.concatenate([[0.0], np.cumsum(gained)]))
    # what is specific to the tasks of a session vanishes as they become the whole bank
    left = np.arange(len(gained), -1, -1) / counted.sum()
    return np.asarray(shown + table.specific_sd**2 * left)


def _verdict(first: str, second: str, better: float, more: int | None, dimensions: int) -> str:
    leader, other = (first, second) if better >= 0.5 else (second, first)
    sure = certainty(max(better, 1 - better))
    if more == 0:
        return f"{leader} is better than {other} ({sure})"
    leaning = "" if math.isclose(better, 0.5) else f" ({leader} is better with {sure})"
    undecided = f"{first} and {second} are indistinguishable{leaning}"
    if more is not None:
        return f"{undecided}: about {count(more, 'more task')} each would decide"
    return undecided if dimensions > 1 else f"{undecided}: all tasks left would not decide"


def certainty(probability: float) -> str:
    """A probability in percent; never one that looks like certainty.

    >>> certainty(0.974), certainty(0.99996)
    ('97%', 'over 99.9%')
    """
    return "over 99.9%" if probability > 0.9995 else percent(probability)


def probability_better(first: Session, second: Session) -> float:
    """Probability that the first agent is better, as in :attr:`Pair.better`."""
    if first.table.nodes.shape[1] == 1:
        return ability_difference(first.posterior, second.posterior, first.plan.level).better
    ours, theirs = score_distribution(first), score_distribution(second)
    return difference(ours, theirs, first.plan.level).better


def _shared(first: Session, second: Session) -> Shared:
    both = (first.answers >= 0) & (second.answers >= 0)
    gap = first.answers[both] - second.answers[both]
    return Shared(len(gap), int((gap > 0).sum()), int((gap == 0).sum()), int((gap < 0).sum()))


def _tasks(sessions: Sequence[Session], bank: ItemBank) -> list[TaskRow]:
    answers = np.stack([session.answers for session in sessions], axis=1)
    rows = np.flatnonzero((answers >= 0).sum(axis=1) >= 2)
    found = []
    for row in rows:
        item = bank.items[row].id
        categories = [None if k < 0 else int(k) for k in answers[row]]
        labels = bank.labels(item)
        words = tuple("" if k is None else labels[k] for k in categories)
        found.append(TaskRow(item, tuple(categories), words))
    return found
