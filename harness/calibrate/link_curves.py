"""The line through common items: by their difficulties (mean-sigma), or by their curves."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness import irt
from harness.bank import ItemBank
from harness.calibrate.link_items import Items
from harness.calibrate.link_problem import (
    Differences,
    Estimate,
    Problem,
    jackknife,
    population_of,
    require_enough,
)
from harness.errors import BankError
from harness.irt import Array

ItemMethod = Literal["stocking-lord", "haebara", "mean-sigma"]
_GRID = np.linspace(-4.0, 4.0, 41)
"""Abilities at which curves are compared, in sds of a population."""
_STEP = 1e-5
"""Of central differences."""


def common_items(bank_a: ItemBank, bank_b: ItemBank, method: ItemMethod) -> Problem:
    """The items that both banks have; BankError for fewer than 5, or other forms."""
    # what is only predicted is no measurement to link through
    of_b = {item.id: item for item in bank_b.items if not item.predicted}
    pairs = [
        (item, of_b[item.id]) for item in bank_a.items if item.id in of_b and not item.predicted
    ]
    require_enough("items", len(pairs), bank_a, bank_b)
    for one, other in pairs:
        forms = [(irt.family(i.model), len(i.intercepts) + 1) for i in (one, other)]
        if forms[0] != forms[1]:
            said = [f"{kind.replace('_', ' ')} with {k} categories" for kind, k in forms]
            raise BankError(
                f"item {one.id!r} is {said[0]} in bank {bank_a.name!r} and {said[1]} in "
                f"{bank_b.name!r}: calibrate one of them again, or give it another id there"
            )
    names = tuple(item.id for item, _ in pairs)
    a, b = (Items.of(side) for side in zip(*pairs, strict=True))
    populations = population_of(bank_a), population_of(bank_b)

    def estimate(rows: NDArray[np.intp]) -> Estimate:
        chosen = a.subset(rows), b.subset(rows)
        if method == "mean-sigma":
            return _mean_sigma(*chosen)
        return _by_curves(*chosen, *populations, pooled=method == "stocking-lord")

    return Problem(
        "items", names, _median_line(a, b), estimate, lambda *line: _item_differences(a, b, *line)
    )


def _item_differences(a: Items, b: Items, slope: float, intercept: float) -> list[Differences]:
    located = []
    for items in (a, b):
        mean = np.nanmean(items.difficulties, axis=1)
        gradient = items.difficulty_gradient.sum(axis=1) / items.steps[:, None]
        variance = np.einsum("np,npr,nr->n", gradient, items.covariance, gradient)
        located.append((mean, variance))
    (mean_a, variance_a), (mean_b, variance_b) = located
    everything = np.arange(len(a.slopes))
    # one slope for all items of a bank says nothing about single ones
    own = np.flatnonzero(~a.common_slope & ~b.common_slope)
    ratio = np.log(b.slopes / slope) - np.log(a.slopes)
    ratio_se = np.sqrt(a.covariance[:, 0, 0] + b.covariance[:, 0, 0])
    return [
        Differences(
            "difficulty",
            everything,
            slope * mean_b + intercept - mean_a,
            np.sqrt(np.maximum(variance_a + slope**2 * variance_b, 0.0)),
        ),
        Differences("log slope", own, ratio[own], ratio_se[own]),
    ]


def _sampling(a: Items, b: Items, gradient_a: Array, gradient_b: Array) -> Array:
    """Covariance ``(2, 2)`` by the delta method; gradients are ``(n, P, 2)``."""
    return np.asarray(
        sum(
            np.einsum("npx,npr,nry->xy", gradient, items.covariance, gradient)
            for items, gradient in ((a, gradient_a), (b, gradient_b))
        )
    )


def _mean_sigma(a: Items, b: Items) -> Estimate:
    known = ~np.isnan(a.intercepts)

    def line(kept: NDArray[np.bool_]) -> Array:
        spread = [side.difficulties[kept].std() for side in (a, b)]
        if not min(spread) > 1e-9 * max(1.0, *spread):
            raise BankError(
                "the common items are all equally difficult, or all but one are, which gives "
                "mean-sigma no slope: link by stocking-lord or haebara"
            )
        slope = spread[0] / spread[1]
        mean_a, mean_b = (side.difficulties[kept].mean() for side in (a, b))
        return np.array([slope, mean_a - slope * mean_b])

    found = line(known)
    slope, mean_b = found[0], b.difficulties[known].mean()
    gradients = []
    for side, on_slope, on_shift in ((a, slope, 1.0), (b, -slope, -slope)):
        off = np.where(known, side.difficulties - side.difficulties[known].mean(), 0.0)
        # derivatives along each difficulty, (n, S, 2)
        of_slope = on_slope * off / (off**2).sum()
        of_shift = np.where(known, on_shift / known.sum(), 0.0) - mean_b * of_slope
        along = np.stack([of_slope, of_shift], axis=2)
        gradients.append(np.einsum("nsp,nsx->npx", side.difficulty_gradient, along))
    everyone = np.arange(len(known))
    without = np.array([line(known & (everyone != row)[:, None]) for row in everyone])
    return Estimate(found, _sampling(a, b, gradients[0], gradients[1]), jackknife(without))


@dataclass(frozen=True, eq=False)
class _CurveFit:
    """How the curves of common items disagree under a line ``x = (log slope, intercept)``.

    They are compared at M points: the nodes of A's population on A's scale, followed by those of
    B's on B's, each brought to the other scale by the line.
    """

    a: Items
    b: Items
    nodes_a: Array
    nodes_b: Array
    pooled: bool
    """Compare expected scores summed over items, rather than categories of each."""

    def points(self, x: Array) -> tuple[Array, Array]:
        """``(M,)`` abilities on the scales of A and of B."""
        slope, shift = np.exp(x[0]), x[1]
        return (
            np.concatenate([self.nodes_a, slope * self.nodes_b + shift]),
            np.concatenate([(self.nodes_a - shift) / slope, self.nodes_b]),
        )

    def weighted(self, curves: Array) -> Array:
        """``(n, L)`` from ``(n, K, M)``: expected scores when pooled, else all categories."""
        weight = np.exp(-0.25 * _GRID**2)
        curves = curves * np.tile(weight / np.linalg.norm(weight), 2)
        if self.pooled:
            return np.asarray(np.arange(curves.shape[1]) @ curves)
        return curves.reshape(len(curves), -1)

    def residuals(self, x: Array) -> Array:
        """``(n, L)``: A less B."""
        at_a, at_b = self.points(x)
        return self.weighted(self.a.curves(at_a)[0] - self.b.curves(at_b)[0])

    def jacobian(self, x: Array) -> Array:
        """``(n, L, 2)`` derivatives of the residuals along ``x``."""
        at_a, at_b = self.points(x)
        slope = np.exp(x[0])
        along_a, along_b = self.a.curves(at_a)[1], self.b.curves(at_b)[1]
        none = np.zeros(len(_GRID))
        # only the half of the points that the line brings to a scale moves on it
        moves_a = [np.concatenate([none, slope * self.nodes_b]), np.concatenate([none, none + 1])]
        moves_b = [
            np.concatenate([-at_b[: len(none)], none]),
            np.concatenate([none - 1 / slope, none]),
        ]
        return np.stack(
            [
                self.weighted(along_a * a - along_b * b)
                for a, b in zip(moves_a, moves_b, strict=True)
            ],
            axis=2,
        )

    def parameter_gradients(self, x: Array) -> tuple[Array, Array]:
        """``(n, P, L)`` derivatives of each item's residuals along its parameters in A and B."""
        found = []
        for side, sign, at in zip((self.a, self.b), (1.0, -1.0), self.points(x), strict=True):
            places = range(side.covariance.shape[1])
            ahead, behind = (
                [self.weighted(side.moved(place, step).curves(at)[0]) for place in places]
                for step in (_STEP, -_STEP)
            )
            found.append(sign * (np.stack(ahead, 1) - np.stack(behind, 1)) / (2 * _STEP))
        return found[0], found[1]


def _by_curves(
    a: Items,
    b: Items,
    population_a: tuple[float, float],
    population_b: tuple[float, float],
    *,
    pooled: bool,
) -> Estimate:
    from scipy.optimize import least_squares

    (mean_a, sd_a), (mean_b, sd_b) = population_a, population_b
    fit = _CurveFit(a, b, mean_a + sd_a * _GRID, mean_b + sd_b * _GRID, pooled)
    axes = (0,) if pooled else ()
    slope, shift = _median_line(a, b)
    start = np.array([np.log(slope), shift])

    def disagreement(x: Array) -> Array:
        return np.asarray(fit.residuals(x).sum(axis=axes).ravel())

    def its_slope(x: Array) -> Array:
        return np.asarray(fit.jacobian(x).sum(axis=axes).reshape(-1, 2))

    solved = least_squares(
        disagreement, start, its_slope, method="lm", xtol=1e-12, ftol=1e-15, gtol=1e-15
    )
    x = np.asarray(solved.x)
    slope = np.exp(x[0])
    residual, jacobian = fit.residuals(x), fit.jacobian(x) / [slope, 1.0]
    # pooled curves respond to an item by the slope of their sum
    total = np.broadcast_to(jacobian.sum(axis=0), jacobian.shape) if pooled else jacobian
    curvature = np.einsum("nlx,nly->xy", jacobian, total)
    gradient_a, gradient_b = (
        -np.einsum("npl,nlx->npx", along, total) @ np.linalg.inv(curvature)
        for along in fit.parameter_gradients(x)
    )
    # without one item, the line is one Gauss-Newton step from the line of all
    if pooled:
        rest, slopes = residual.sum(axis=0) - residual, jacobian.sum(axis=0) - jacobian
        left = np.einsum("nlx,nly->nxy", slopes, slopes)
        pull = np.einsum("nlx,nl->nx", slopes, rest)
    else:
        left = curvature - np.einsum("nlx,nly->nxy", jacobian, jacobian)
        pull = -np.einsum("nlx,nl->nx", jacobian, residual)
    steps = -np.linalg.solve(left, pull[:, :, None])[:, :, 0]
    return Estimate(
        np.array([slope, x[1]]), _sampling(a, b, gradient_a, gradient_b), jackknife(steps)
    )


def _median_line(a: Items, b: Items) -> tuple[float, float]:
    slope = float(np.exp(np.median(np.log(b.slopes / a.slopes))))
    return slope, float(np.nanmedian(a.difficulties - slope * b.difficulties))
