"""Which items to pick, one after the other.

What is to be kept is the score on the whole benchmark. Given the answers on a subset S, ability is
known to about ``1 / (1/σ² + I_S(θ))``, and the expected score ``T(θ) = Σ_i E_i(θ) / n`` to
``T'(θ)²`` times that; what is left is chance on the items outside S. The subset for the rank order
makes the mean of both over the agents' abilities small:

    V(S) = Σ_θ w(θ) [ T'(θ)² / (1/σ² + Σ_{i in S} I_i(θ)) + Σ_{i not in S} Var_i(θ) / n² ]

an expected posterior variance (van der Linden 1998), of the score instead of ability. It has
diminishing returns, so that picking one item after the other comes close to the best subset
(Nemhauser, Wolsey and Fisher 1978) and gives nested subsets of all sizes. What counts is that items
help each other: the most informative items alone are all of one difficulty. The subset for a share
of the information holds the items with most ``Σ_θ w(θ) I_i(θ)``, which is the smallest that there
is. ``I_i = E_i'² / Var_i`` is the information of an item's score, for pass or fail Fisher's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.health.evidence import Evidence
from harness.irt import Array

Indices = NDArray[np.intp]
Aim = Literal["ranks", "information"]
Where: TypeAlias = Literal["agents", "newest"] | tuple[float, float]
"""Abilities that count: all agents', those of the newest quarter, or a range."""

_NODES = 121
_NEWEST = 0.25
_FEWEST_NEWEST = 5


@dataclass(frozen=True)
class Budget:
    """What a subset may cost; every limit that is given holds.

    >>> Budget(tasks=50, usd=20.0)
    Budget(tasks=50, usd=20.0, minutes=None, share=None)
    """

    tasks: int | None = None
    usd: float | None = None
    """Dollars for one agent."""
    minutes: float | None = None
    """For one agent, one task after the other."""
    share: float | None = None
    """Stop as soon as this share of the information is kept."""

    def __post_init__(self) -> None:
        limits = (self.tasks, self.usd, self.minutes, self.share)
        if all(limit is None for limit in limits):
            raise ResponsesError(
                "a budget needs a limit: tasks, dollars, minutes, or a share of the information"
            )
        if any(limit is not None and not limit > 0 for limit in limits) or (self.share or 0) > 1:
            raise ResponsesError(
                f"a budget has limits above 0, and a share of at most 1, not {self}; give others"
            )


@dataclass(frozen=True, eq=False)
class Curves:
    """What a choice is made from: n items at Q nodes of ability."""

    nodes: Array
    """``(Q,)`` uniform."""
    density: Array
    """``(Q,)`` how much each ability counts; sums to 1."""
    expected: Array
    """``(n, Q)`` expected score."""
    information: Array
    """``(n, Q)`` of the score of an item's usual number of trials."""
    noise: Array
    """``(n, Q)`` variance of the score of an item's usual number of trials."""
    precision: float
    """``1/σ²`` of what is known of an agent before any answer."""

    def gain(self) -> Array:
        """``(n,)`` share of the information that each item adds, over the abilities that count."""
        each = self.information @ self.density
        return np.asarray(each / max(float(each.sum()), 1e-12))

    def importance(self) -> Array:
        """``(Q,)`` ``w T'²``: where telling abilities apart tells scores apart."""
        slope = np.gradient(self.expected.mean(axis=0), self.nodes)
        return np.asarray(self.density * slope**2)

    def luck(self) -> Array:
        """``(n,)`` what the score on the whole benchmark owes to chance on each item, as a
        variance: known once the item was tried."""
        return np.asarray(self.noise @ self.density / len(self.noise) ** 2)

    def score_variance(self, rows: Sequence[int] | Indices) -> float:
        """``V(S)``, the expected variance of the score on the whole benchmark."""
        known = self.precision + self.information[rows].sum(axis=0)
        luck = self.luck()
        return float((self.importance() / known).sum() + luck.sum() - luck[rows].sum())


def curves_of(evidence: Evidence, where: Where = "agents") -> Curves:
    """Curves from a bank, and how much each ability counts.

    Raises:
        ResponsesError: ``"newest"`` without dates, or a range that no node lies in.
    """
    step = -(-len(evidence.nodes) // _NODES)
    nodes = evidence.nodes[::step]
    posterior = np.add.reduceat(evidence.posterior, np.arange(0, len(evidence.nodes), step), axis=1)
    trials = np.where(evidence.trials > 0, evidence.trials, np.nan)
    usual = np.nanmedian(trials, axis=0)
    variance = evidence.between + evidence.within / usual[:, None]
    slope = np.gradient(evidence.expected, evidence.nodes, axis=1)
    information = slope**2 / np.maximum(variance, 1e-12)
    # a score that cannot vary says nothing, and its slope is rounding
    information[variance < 1e-9] = 0.0
    return Curves(
        nodes=nodes,
        density=density_of(nodes, posterior, evidence.responses.date, where),
        expected=evidence.expected[:, ::step],
        information=information[:, ::step],
        noise=variance[:, ::step],
        precision=evidence.bank.sd[0] ** -2,
    )


def density_of(nodes: Array, posterior: Array, dates: Sequence[str], where: Where) -> Array:
    """``(Q,)`` how much each ability counts, given agents' posteriors ``(A, Q)`` and dates.

    Raises:
        ResponsesError: ``"newest"`` without dates, or a range that no node lies in.
    """
    match where:
        case "agents":
            density = posterior.mean(axis=0)
        case "newest":
            density = posterior[_newest(np.array(dates))].mean(axis=0)
        case (low, high):
            density = np.where((nodes >= low) & (nodes <= high), 1.0, 0.0)
            if not density.any():
                raise ResponsesError(
                    f"no ability lies between {low:g} and {high:g}: they reach from "
                    f"{nodes[0]:.2g} to {nodes[-1]:.2g}; give a range there"
                )
    return np.asarray(density / density.sum())


def _newest(dates: NDArray[np.str_]) -> Indices:
    dated = np.flatnonzero(dates != "")
    if not len(dated):
        raise ResponsesError(
            "no agent has a date, so the newest are not known; fill the column 'date', or choose "
            "for all agents"
        )
    count = max(_FEWEST_NEWEST, round(_NEWEST * len(dated)))
    return np.asarray(dated[np.argsort(dates[dated], kind="stable")][-count:])


Price: TypeAlias = tuple[str, Array, float]
"""Unit, cost of each item, and what may be spent."""


def pick(curves: Curves, budget: Budget, aim: Aim, prices: Sequence[Price] = ()) -> list[int]:
    """Rows in the order of choice.

    With prices both the greedy choice by gain and by gain per price are made, and the better one is
    kept: either alone may be far off (Khuller, Moss and Naor 1999).
    """
    plain = _greedy(curves, budget, aim, prices, False)
    if not prices:
        return plain
    cheap = _greedy(curves, budget, aim, prices, True)
    if budget.share is not None:
        # both keep the share if they can: then the cheaper one is better
        kept = [curves.gain()[rows].sum() >= budget.share - 1e-9 for rows in (plain, cheap)]
        if all(kept):
            spent = [sum(float(c[rows].sum()) / m for _, c, m in prices) for rows in (plain, cheap)]
            return plain if spent[0] <= spent[1] else cheap
    if aim == "information":
        return max(plain, cheap, key=lambda rows: float(curves.gain()[rows].sum()))
    return min(plain, cheap, key=curves.score_variance)


def _greedy(
    curves: Curves, budget: Budget, aim: Aim, prices: Sequence[Price], per_price: bool
) -> list[int]:
    n = len(curves.expected)
    most = n if budget.tasks is None else min(budget.tasks, n)
    price = np.ones(n)
    if per_price:
        price = np.sum([cost / limit for _, cost, limit in prices], axis=0)
    left = np.array([limit for _, _, limit in prices])
    costs = np.array([cost for _, cost, _ in prices]).reshape(len(prices), n)
    weight, gain, luck = curves.importance(), curves.gain(), curves.luck()
    known = np.full(len(curves.nodes), curves.precision)
    open_ = np.ones(n, bool)
    rows: list[int] = []
    kept = 0.0
    while len(rows) < most and not (budget.share is not None and kept >= budget.share - 1e-9):
        able = open_ & (costs <= left[:, None] + 1e-9).all(axis=0)
        if not able.any():
            break
        value = gain
        if aim == "ranks":
            # V falls by Σ w T'² I_i / (known (known + I_i)), and by the item's own luck
            value = (curves.information / (known + curves.information)) @ (weight / known) + luck
        best = int(np.where(able, value / price, -np.inf).argmax())
        rows.append(best)
        open_[best] = False
        known = known + curves.information[best]
        kept += float(gain[best])
        left = left - costs[:, best]
    return rows
