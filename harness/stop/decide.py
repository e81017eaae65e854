"""Rules that end a session once a question about the agent is decided."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import ndtr

from harness.errors import PlanError
from harness.irt import Array, Table
from harness.select import View
from harness.select.text import number, theta
from harness.stop.progress import Progress, Truth

_SMALLEST = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Decided:
    """It is sure enough on which side of a cut the agent lies."""

    quantity: Literal["score", "theta"]
    """The predicted score on the whole bank, or ability."""
    cut: float
    alpha: float = 0.05
    """Probability that may remain for the other side."""
    ability: int = field(default=1, kw_only=True)
    """Which of the bank's abilities, counted from 1."""
    precise = True

    def __post_init__(self) -> None:
        _check_error(self, "alpha", self.alpha)
        if self.quantity == "score" and not 0 <= self.cut < 1:
            raise PlanError(f"{self}: a score lies between 0 and 1, as in decided(score>0.5, 0.05)")

    def _above(self, progress: Progress) -> Array:
        if self.quantity == "score":
            return progress.scores.probability_above(self.cut)
        return ability_above(progress.view, self.cut, self.ability)

    def __call__(self, progress: Progress) -> Truth:
        """True where the probability of either side is at least ``1 - alpha``."""
        above = self._above(progress)
        return np.asarray(np.maximum(above, 1 - above) >= 1 - self.alpha)

    def reason(self, progress: Progress) -> str:
        """For example: score above 0.5 with probability 0.962."""
        above = float(self._above(progress)[0])
        what = "score"
        if self.quantity == "theta":
            what = _name(progress.view, self.ability)
        side = "above" if above >= 0.5 else "at most"
        return f"{what} {side} {self.cut:g} with probability {max(above, 1 - above):.3f}"

    def __str__(self) -> str:
        what = "score" if self.quantity == "score" else theta(self.ability)
        return f"decided({what}>{number(self.cut)}, {number(self.alpha)})"


@dataclass(frozen=True)
class ToldApart:
    """The agent is told apart from another one, whose ability is known as a normal."""

    mean: float
    sd: float
    alpha: float = 0.05
    """Probability that may remain for the other order."""
    ability: int = field(default=1, kw_only=True)
    """Which of the bank's abilities, counted from 1."""
    precise = True

    def __post_init__(self) -> None:
        _check_error(self, "alpha", self.alpha)
        if not self.sd > 0:
            raise PlanError(
                f"{self}: the sd of the other agent's ability must be positive; for a fixed "
                f"value use decided({theta(self.ability)}>{number(self.mean)}, "
                f"{number(self.alpha)})"
            )

    def _better(self, progress: Progress) -> Array:
        values = _values(self, progress.view, self.ability)
        return np.asarray(progress.view.posterior @ ndtr((values - self.mean) / self.sd))

    def __call__(self, progress: Progress) -> Truth:
        """True where one of the two is better with a probability of at least ``1 - alpha``."""
        better = self._better(progress)
        return np.asarray(np.maximum(better, 1 - better) >= 1 - self.alpha)

    def reason(self, progress: Progress) -> str:
        """For example: better than the other (θ 0.3 ± 0.2) with probability 0.962."""
        better = float(self._better(progress)[0])
        name = _name(progress.view, self.ability)
        order = "better" if better >= 0.5 else "worse"
        return (
            f"{order} than the other ({name} {self.mean:g} ± {self.sd:g}) with probability "
            f"{max(better, 1 - better):.3f}"
        )

    def __str__(self) -> str:
        which = "" if self.ability == 1 else f", {theta(self.ability)}"
        return f"apart({number(self.mean)}, {number(self.sd)}, {number(self.alpha)}{which})"


@dataclass(frozen=True)
class Sprt:
    """Wald's sequential probability ratio test of two abilities (Wald 1947; Reckase 1983).

    It looks at the likelihood of the answers only, so the prior has no say. An agent of ability
    ``low`` is called high with a probability of at most about ``alpha``, one of ability ``high``
    is called low with at most about ``beta``; between the two either answer counts as right.
    """

    low: float
    high: float
    alpha: float = 0.05
    beta: float = 0.05
    precise = True

    def __post_init__(self) -> None:
        _check_error(self, "alpha", self.alpha)
        _check_error(self, "beta", self.beta)
        if not self.low < self.high:
            raise PlanError(f"{self}: the first ability must be below the second")

    @property
    def bounds(self) -> tuple[float, float]:
        """Log-likelihood ratios at and beyond which low and high are accepted (Wald 1947)."""
        return (
            float(np.log(self.beta / (1 - self.alpha))),
            float(np.log((1 - self.beta) / self.alpha)),
        )

    def log_ratio(self, view: View) -> Array:
        """``(A,)`` log-likelihood of the answers at ``high`` minus that at ``low``."""
        low, high = (self._log_p(view.table, ability) for ability in (self.low, self.high))
        agent, row = np.nonzero(view.answers >= 0)
        category = view.answers[agent, row]
        step = high[row, category] - low[row, category]
        return np.asarray(np.bincount(agent, weights=step, minlength=len(view.answers)), float)

    def _log_p(self, table: Table, ability: float) -> Array:
        """``(n, K)`` between the two nearest nodes."""
        nodes = table.nodes
        if nodes.shape[1] > 1:
            raise PlanError(
                f"{self} is for banks of one ability, but this one has {nodes.shape[1]}: use "
                "decided(theta>CUT) for the first of them"
            )
        if not nodes[0, 0] <= ability <= nodes[-1, 0]:
            raise PlanError(
                f"{self}: ability {ability:g} lies outside of what the bank covers, "
                f"{nodes[0, 0]:g} to {nodes[-1, 0]:g}"
            )
        at = (ability - nodes[0, 0]) / (nodes[1, 0] - nodes[0, 0])
        left = min(int(at), len(nodes) - 2)
        share = at - left
        p = (1 - share) * table.p[:, :, left] + share * table.p[:, :, left + 1]
        return np.asarray(np.log(np.maximum(p, _SMALLEST)))

    def __call__(self, progress: Progress) -> Truth:
        """True where the likelihood ratio has left the open interval between its bounds."""
        ratio = self.log_ratio(progress.view)
        accept_low, accept_high = self.bounds
        return np.asarray((ratio <= accept_low) | (ratio >= accept_high))

    def reason(self, progress: Progress) -> str:
        """For example: ability 0.5 is 21.3 times as likely as 0 (19 needed)."""
        ratio = float(self.log_ratio(progress.view)[0])
        accept_low, accept_high = self.bounds
        if ratio > 0:
            likely, other, needed = self.high, self.low, accept_high
        else:
            likely, other, needed = self.low, self.high, -accept_low
        return (
            f"ability {likely:g} is {np.exp(min(abs(ratio), 700)):.3g} times as likely as "
            f"{other:g}, {np.exp(needed):.3g} times asked"
        )

    def __str__(self) -> str:
        return f"sprt({', '.join(map(number, (self.low, self.high, self.alpha, self.beta)))})"


def ability_above(view: View, cut: float, ability: int = 1) -> Array:
    """``(A,)`` posterior probability that an ability lies above a cut.

    The distribution function is linear between nodes, as it is for :meth:`Posterior.quantile`.
    """
    values = _values(f"decided({theta(ability)}>{number(cut)})", view, ability)
    axis = np.unique(values)
    # half of a node's mass lies below it, and its neighbours' distance away nothing is left
    below = np.clip(0.5 + (cut - values) / (2 * (axis[1] - axis[0])), 0.0, 1.0)
    return np.asarray(view.posterior @ (1 - below))


def _values(rule: object, view: View, ability: int) -> Array:
    nodes = view.table.nodes
    if not 1 <= ability <= nodes.shape[1]:
        raise PlanError(f"{rule}: there is no ability {ability}, the bank has {nodes.shape[1]}")
    return np.asarray(nodes[:, ability - 1])


def _name(view: View, ability: int) -> str:
    return "ability" if view.table.nodes.shape[1] == 1 else f"ability {ability}"


def _check_error(rule: object, name: str, value: float) -> None:
    if not 0 < value < 0.5:
        raise PlanError(f"{rule}: {name} is a probability of error between 0 and 0.5")
