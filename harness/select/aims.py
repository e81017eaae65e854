"""Criteria for aims other than ability: the predicted score, a decision, a comparison."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, xlog1py

from harness.errors import PlanError
from harness.irt import Array
from harness.select.derived import joint, own_news, ratio, spacing
from harness.select.text import number, theta
from harness.select.view import Truth, View

_MOST_POINTS = 1000
"""Of the lattice that the score of one item lies on; finer ones are as good as continuous."""

_NOTHING = 1e-14
"""Nats that cannot be told from the rounding of probabilities."""


@dataclass(frozen=True)
class ScoreVariance:
    """Minimum expected variance of the predicted bank score.

    The score T is the mean over the counted items, of which those not taken are open. By the law
    of total variance the expected reduction by an item is ``Var(E[T | answer])``, exactly: its
    own score becomes known, and through ability it tells of the other open items.
    """

    informative = True

    def __call__(self, view: View) -> Array:
        """Expected reduction of the variance by each item."""
        counted, still_open, given, _ = _score(view)
        off = given - (view.weights * given).sum(axis=1, keepdims=True)
        odds, told = joint(view.table.p, view.weights, view.weights * off)
        (own,) = joint(own_news(view.table), view.weights)
        told += own * still_open[:, :, None]
        size = np.maximum(counted.sum(axis=1, keepdims=True), 1)
        return np.asarray(ratio(told**2, odds).sum(axis=2) / size**2)

    def __str__(self) -> str:
        return "score-variance"


@dataclass(frozen=True)
class DecideAbility:
    """Deciding whether an ability lies above a cut: mutual information between the answer and
    the side of the cut (Weissman 2007)."""

    cut: float
    ability: int = 1
    """Which of the bank's abilities, counted from 1."""
    informative = True

    def __call__(self, view: View) -> Array:
        """Information of every item in nats."""
        axis = axis_of(self, self.ability, view)
        off = view.table.nodes[:, axis] - self.cut
        # a node stands for its cell, which may lie on both sides
        above = np.clip(off / spacing(view.table)[axis] + 0.5, 0.0, 1.0)
        return _event_information(view, np.broadcast_to(above, view.weights.shape))

    def __str__(self) -> str:
        return f"decide({theta(self.ability)}>{number(self.cut)})"


@dataclass(frozen=True)
class DecideScore:
    """Deciding whether the bank score lies above a cut: mutual information between the answer
    and the side of the cut.

    Given ability, the sum over the open items is taken as normal with its exact mean and
    variance, and an item's own answer shifts it (to first order).
    """

    cut: float
    informative = True

    def __post_init__(self) -> None:
        if not 0 <= self.cut <= 1:
            raise PlanError(f"{self}: a score lies from 0 to 1")

    def __call__(self, view: View) -> Array:
        """Information of every item in nats."""
        table = view.table
        counted, still_open, given, variance = _score(view)
        # sums lie on a lattice, and the boundary between two of its points
        trials = 1 if table.repeats is None else table.repeats.trials
        points = float(np.lcm.reduce(table.n_categories - 1)) * trials
        cut = counted.sum(axis=1, keepdims=True) * self.cut
        if points <= _MOST_POINTS:
            cut = (np.floor(cut * points + 1e-9) + 0.5) / points
        sd = np.sqrt(np.maximum(variance, 1e-9))
        z = (given - cut) / sd
        density = np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * sd)
        return _event_information(view, ndtr(z), density, still_open)

    def __str__(self) -> str:
        return f"decide(score>{number(self.cut)})"


@dataclass(frozen=True)
class Apart:
    """Telling two agents apart: mutual information between the answer and which of them is abler.

    The other agent's ability is a normal, such as the result of its own session.
    """

    mean: float
    sd: float
    ability: int = 1
    """Which of the bank's abilities, counted from 1."""
    informative = True

    def __post_init__(self) -> None:
        if not self.sd > 0:
            raise PlanError(f"{self}: the sd of the other agent's ability must be positive")

    def __call__(self, view: View) -> Array:
        """Information of every item in nats."""
        nodes = view.table.nodes[:, axis_of(self, self.ability, view)]
        abler = ndtr((nodes - self.mean) / self.sd)
        return _event_information(view, np.broadcast_to(abler, view.weights.shape))

    def __str__(self) -> str:
        which = "" if self.ability == 1 else f", {theta(self.ability)}"
        return f"apart({number(self.mean)}, {number(self.sd)}{which})"


def axis_of(selector: object, ability: int, view: View) -> int:
    """Column of an ability counted from 1, refused if the bank has fewer."""
    dimensions = view.table.nodes.shape[1]
    if not 1 <= ability <= dimensions:
        raise PlanError(f"{selector}: the bank has no theta{ability}, only {dimensions} abilities")
    return ability - 1


def _score(view: View) -> tuple[Truth, Truth, Array, Array]:
    """Counted items, the open ones among them, mean and variance of the sum of scores.

    ``(A, n)`` and, given ability, ``(A, Q)``. What is in flight is not open: its answer will be
    known, and a future already has it.
    """
    table, answers = view.table, view.answers
    counted = np.ones_like(view.available) if view.counted is None else view.counted
    still_open = counted & ~view.taken
    known = counted & (answers >= 0)
    mean = still_open @ table.expected_score
    variance = still_open @ table.score_variance
    if table.repeats is None:
        rows, columns = np.nonzero(known)
        scores = table.scores[columns, answers[rows, columns]]
        mean += np.bincount(rows, weights=scores, minlength=len(answers))[:, None]
    else:
        for category in range(table.log_p.shape[1]):
            here = known & (answers == category)
            mean += here @ table.repeats.mean[:, category]
            variance += here @ table.repeats.variance[:, category]
    return counted, still_open, mean, variance


def _event_information(
    view: View, chance: Array, density: Array | None = None, still_open: Truth | None = None
) -> Array:
    """``(A, n)`` mutual information in nats between each item's answer and an event.

    Args:
        chance: ``(A, Q)`` probability of the event at each node.
        density: ``(A, Q)`` how it grows with the score of an open item; None if it does not.
        still_open: ``(A, n)`` items whose own score counts.
    """
    table, weights = view.table, view.weights
    now = (weights * chance).sum(axis=1)
    odds, more = joint(table.p, weights, weights * (chance - now[:, None]))
    if density is not None and still_open is not None:
        (own,) = joint(own_news(table), weights * density)
        more += own * still_open[:, :, None]
    # Σ P_k P_b f(r) over both sides b of the event, f(r) = (1 + r) log(1 + r) - r and
    # 1 + r = P(b | k) / P(b): every term is positive, so nothing cancels
    yes, no = now[:, None, None], (1 - now)[:, None, None]
    information = np.zeros(more.shape[:2])
    for side, off in ((yes, more), (no, -more)):
        r = np.maximum(ratio(off, odds * side), -1.0)
        information += (odds * side * (xlog1py(1 + r, r) - r)).sum(axis=2)
    # less than rounding leaves of it is nothing, so that items which tell nothing tie exactly
    return np.where(information > _NOTHING, information, 0.0)
