"""Criteria for learning an agent's ability."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import entr

from harness.ability import moments
from harness.errors import PlanError
from harness.irt import Array
from harness.select.derived import (
    directions,
    entropy,
    flat_log_p,
    joint,
    nearest,
    population,
    ratio,
    spacing,
)
from harness.select.text import numbers
from harness.select.view import View

KL_WIDTH = 3.0
"""After m answers, KL information looks ``KL_WIDTH / √m`` around the estimate."""

_RIDGE = 1e-3
"""Of the population's precision, added to the information of the answered items: it keeps the
matrix regular before they span all abilities."""

Letter = Literal["d", "a", "t"]


@dataclass(frozen=True)
class MaxInformation:
    """Maximum Fisher information (Lord 1980), at the ability estimate or a given point.

    At a point it is the classic choice for deciding on which side of it an agent is. With
    several abilities it is the trace of the information matrix.
    """

    at: tuple[float, ...] = ()
    """Ability, one number a dimension; empty for the agent's estimate."""
    informative = True

    def __call__(self, view: View) -> Array:
        """Information of every item at the node nearest to the point."""
        table = view.table
        points = view.ability
        if self.at:
            points = np.broadcast_to(at_point(self, self.at, view), points.shape)
        return np.asarray(table.information_by_node[nearest(table, points)])

    def __str__(self) -> str:
        return f"max-information{numbers(self.at)}"


@dataclass(frozen=True)
class PosteriorInformation:
    """Fisher information averaged over the posterior (van der Linden 1998)."""

    informative = True

    def __call__(self, view: View) -> Array:
        """Expected information of every item."""
        return np.asarray(view.weights @ view.table.information.T)

    def __str__(self) -> str:
        return "posterior-information"


@dataclass(frozen=True)
class KullbackLeibler:
    """Kullback–Leibler information about the estimate (Chang and Ying 1996).

    ``Σ_k P_k(θ̂) log (P_k(θ̂) / P_k(θ))``, averaged over θ: evenly over ``θ̂ ± 3/√m`` after m
    answers (a cube with several abilities), or over the posterior. The interval is never
    narrower than a step of the grid, where this is Fisher information times a constant.
    """

    posterior: bool = False
    informative = True

    def __call__(self, view: View) -> Array:
        """Information of every item."""
        table = view.table
        n, k, _ = table.log_p.shape
        centre = nearest(table, view.ability)
        weights = view.weights if self.posterior else self._around(view, table.nodes[centre])
        flat, log_flat = table.p.reshape(n * k, -1), flat_log_p(table)
        divergence = flat[:, centre].T * (log_flat[:, centre].T - weights @ log_flat.T)
        return np.asarray(np.maximum(divergence.reshape(-1, n, k).sum(axis=2), 0.0))

    @staticmethod
    def _around(view: View, centres: Array) -> Array:
        """``(A, Q)`` share of each node's cell in the interval around each centre."""
        answered = np.maximum((view.answers >= 0).sum(axis=1), 1)
        inside = np.ones((len(centres), len(view.table.nodes)))
        scale = np.array(population(view.table).sd)
        for axis, (step, sd) in enumerate(zip(spacing(view.table), scale, strict=True)):
            half = np.maximum(KL_WIDTH * sd / np.sqrt(answered), step)[:, None]
            far = np.abs(view.table.nodes[:, axis] - centres[:, axis, None])
            inside *= np.clip((half - far) / step + 0.5, 0.0, 1.0)
        return np.asarray(inside / inside.sum(axis=1, keepdims=True))

    def __str__(self) -> str:
        return "posterior-kl" if self.posterior else "kl"


@dataclass(frozen=True)
class MutualInformation:
    """Mutual information between the answer and ability, in nats (Weissman 2007)."""

    informative = True

    def __call__(self, view: View) -> Array:
        """Entropy of each answer, less its expected entropy once ability is known."""
        total = entr(joint(view.table.p, view.weights)[0]).sum(axis=2)
        return np.asarray(np.maximum(total - view.weights @ entropy(view.table).T, 0.0))

    def __str__(self) -> str:
        return "mutual-information"


@dataclass(frozen=True)
class MinExpectedVariance:
    """Minimum expected posterior variance of ability (van der Linden 1998).

    With several abilities, of the sum of their variances, weighted if weights are given.
    """

    weights: tuple[float, ...] = ()
    """How much each ability matters, one number a dimension; empty for all alike."""
    informative = True

    def __post_init__(self) -> None:
        check_weights(self, self.weights)

    def __call__(self, view: View) -> Array:
        """Expected reduction of the variance by each item."""
        table = view.table
        scale = np.sqrt(at_point(self, self.weights or (1.0,) * table.nodes.shape[1], view))
        mean = moments(table.nodes, view.weights)[0]
        # E Var = E θ² - Σ_k (Σ_q w p_k θ)² / P_k, and E θ² is the same for every item
        axes = [s * (x - m[:, None]) for s, x, m in zip(scale, table.nodes.T, mean.T, strict=True)]
        odds, *first = joint(table.p, view.weights, *(view.weights * axis for axis in axes))
        return np.asarray(ratio(sum(f**2 for f in first), odds).sum(axis=2))

    def __str__(self) -> str:
        return f"min-variance{numbers(self.weights)}"


@dataclass(frozen=True)
class Optimal:
    """D-, A- and T-optimality (Silvey 1980; Mulder and van der Linden 2009; Segall 1996).

    D: ``log det`` of the information gained. A: the reduction of the sum of variances. T: the
    trace of the item's information. Plain forms add the item's information at the estimate to
    that of the items taken so far; Bayesian ones add its average over the posterior to the
    posterior's precision. For D = 1 all plain forms rank items as maximum information does.

    Item information is ``I u uᵀ`` with u along the slopes, so the inverse after one more item
    follows from that before (Sherman and Morrison 1950): no matrix is inverted per item.
    """

    letter: Letter
    weights: tuple[float, ...] = ()
    """How much each ability matters; empty for all alike. D-optimality only asks whether a
    weight is 0: it takes the determinant over the abilities that matter (D_s)."""
    bayesian: bool = False
    informative = True

    def __post_init__(self) -> None:
        check_weights(self, self.weights)

    def __call__(self, view: View) -> Array:
        """Gain of every item."""
        table = view.table
        unit = directions(table)
        matters = at_point(self, self.weights or (1.0,) * table.nodes.shape[1], view)
        if self.bayesian:
            information = view.weights @ table.information.T
        else:
            information = table.information_by_node[nearest(table, view.ability)]
        if self.letter == "t":
            return np.asarray(information * (unit**2 @ matters))
        covariance = self._posterior(view) if self.bayesian else self._estimated(view, information)
        along = unit @ covariance  # (A, n, D): V u
        more = (along * unit).sum(axis=2)  # u' V u
        shrink = information / (1 + information * more)
        if self.letter == "a":
            return np.asarray(shrink * (along**2 @ matters))
        kept = np.flatnonzero(matters > 0)
        inside = along[:, :, kept]
        block = np.linalg.inv(covariance[:, kept[:, None], kept])
        left = shrink * ((inside @ block) * inside).sum(axis=2)
        return np.asarray(-np.log1p(-np.minimum(left, 1 - 1e-15)))

    def _estimated(self, view: View, information: Array) -> Array:
        """``(A, D, D)`` inverse of the information that the taken items have at the estimate."""
        unit = directions(view.table)
        dimensions = unit.shape[1]
        products = (unit[:, :, None] * unit[:, None, :]).reshape(len(unit), -1)
        total = ((view.taken * information) @ products).reshape(-1, dimensions, dimensions)
        ridge = _RIDGE / np.array(population(view.table).sd) ** 2
        return np.asarray(np.linalg.inv(total + np.diag(ridge)))

    def _posterior(self, view: View) -> Array:
        """``(A, D, D)`` posterior covariance, each node taken as the middle of its cell."""
        nodes = view.table.nodes
        off = nodes[None] - moments(nodes, view.weights)[0][:, None]
        within = spacing(view.table) ** 2 / 12
        covariance = off.transpose(0, 2, 1) @ (view.weights[:, :, None] * off)
        return np.asarray(covariance + np.diag(within))

    def __str__(self) -> str:
        bayes = "bayes-" if self.bayesian else ""
        return f"{bayes}{self.letter}-optimal{numbers(self.weights)}"


def check_weights(selector: object, weights: tuple[float, ...]) -> None:
    """Refuse weights of abilities that are negative or all 0."""
    if weights and (min(weights) < 0 or not max(weights) > 0):
        raise PlanError(f"{selector}: weights of abilities are 0 or more, and not all of them 0")


def at_point(selector: object, values: tuple[float, ...], view: View) -> Array:
    """``(D,)`` values given for each ability, refused if there are more or fewer abilities."""
    dimensions = view.table.nodes.shape[1]
    if len(values) != dimensions:
        raise PlanError(
            f"{selector} has {len(values)} numbers, one for each ability, but the bank has "
            f"{dimensions}"
        )
    return np.array(values)
