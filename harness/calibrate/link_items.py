"""Items of a bank as arrays, for linking it through them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness import irt
from harness.bank import Item, parameter_names
from harness.irt import Array, Model

_COMMON_SLOPE: frozenset[Model] = frozenset({"1pl", "pcm", "rsm"})


@dataclass(frozen=True, eq=False)
class Items:
    """Items of one bank as arrays.

    Unconstrained parameters have fixed places: log slope, S intercepts, logits of both
    asymptotes, so P = S + 3; places that an item does not use have no covariance.
    """

    kind: NDArray[np.str_]
    """``(n,)`` response families."""
    steps: NDArray[np.intp]
    """``(n,)`` number of intercepts."""
    slopes: Array
    """``(n,)``."""
    intercepts: Array
    """``(n, S)``, NaN past an item's last."""
    lower: Array
    upper: Array
    covariance: Array
    """``(n, P, P)``; given the slope where that is one for all items, and so a unit."""
    common_slope: NDArray[np.bool_]
    """``(n,)`` items whose slope is one for all of them."""

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Items":
        size = max(len(item.intercepts) for item in items)
        intercepts = np.full((len(items), size), np.nan)
        covariance = np.zeros((len(items), size + 3, size + 3))
        for row, item in enumerate(items):
            steps = len(item.intercepts)
            intercepts[row, :steps] = item.intercepts
            if item.covariance is not None:
                free = len(parameter_names(item)) - 1 - steps
                places = [*range(1 + steps), *range(1 + size, 1 + size + free)]
                covariance[row][np.ix_(places, places)] = item.covariance
            if item.model in _COMMON_SLOPE and covariance[row, 0, 0] > 0:
                with_slope = covariance[row, 0] / np.sqrt(covariance[row, 0, 0])
                covariance[row] -= np.outer(with_slope, with_slope)
                covariance[row, 0] = covariance[row, :, 0] = 0.0
        return cls(
            kind=np.array([irt.family(item.model) for item in items]),
            steps=np.array([len(item.intercepts) for item in items]),
            slopes=np.array([item.slopes[0] for item in items]),
            intercepts=intercepts,
            lower=np.array([item.lower for item in items]),
            upper=np.array([item.upper for item in items]),
            covariance=covariance,
            common_slope=np.array([item.model in _COMMON_SLOPE for item in items]),
        )

    def subset(self, rows: NDArray[np.intp]) -> "Items":
        return Items(**{name: value[rows] for name, value in vars(self).items()})

    def moved(self, place: int, step: float) -> "Items":
        """The items with one unconstrained parameter of each moved."""
        size = self.intercepts.shape[1]
        if place == 0:
            return replace(self, slopes=self.slopes * np.exp(step))
        if place <= size:
            intercepts = self.intercepts.copy()
            intercepts[:, place - 1] += step
            return replace(self, intercepts=intercepts)
        if place == size + 1:
            return replace(self, lower=_move_logit(self.lower, step))
        return replace(self, upper=_move_logit(self.upper, step))

    def curves(self, nodes: Array) -> tuple[Array, Array]:
        """Category probabilities at ``nodes (Q,)`` and their derivatives, both ``(n, K, Q)``."""
        shape = len(self.slopes), self.intercepts.shape[1] + 1, len(nodes)
        p, slope = np.zeros(shape), np.zeros(shape)
        groups: dict[tuple[irt.Family, int], list[int]] = defaultdict(list)
        for row, (kind, steps) in enumerate(zip(self.kind, self.steps, strict=True)):
            groups[kind, int(steps)].append(row)
        for (kind, steps), rows in groups.items():
            log_p, dp_dz = irt.response(
                kind,
                self.slopes[rows, None],
                self.intercepts[rows, :steps],
                self.lower[rows],
                self.upper[rows],
                nodes[:, None],
            )
            p[rows, : steps + 1] = np.exp(log_p)
            slope[rows, : steps + 1] = dp_dz * self.slopes[rows, None, None]
        return p, slope

    @property
    def difficulties(self) -> Array:
        """``(n, S)`` difficulties of the steps, NaN past an item's last."""
        return np.asarray(-self.intercepts / self.slopes[:, None])

    @property
    def difficulty_gradient(self) -> Array:
        """``(n, S, P)`` derivatives of the difficulties; 0 past an item's last."""
        n, size = self.intercepts.shape
        gradient = np.zeros((n, size, size + 3))
        gradient[:, :, 0] = -self.difficulties
        gradient[:, range(size), range(1, size + 1)] = -1.0 / self.slopes[:, None]
        return np.where(np.isnan(self.intercepts)[:, :, None], 0.0, gradient)


def _move_logit(probability: Array, step: float) -> Array:
    """Probabilities moved on the logit scale; 0 and 1 stay where they are."""
    odds = probability * np.exp(step)
    return np.asarray(odds / (1 - probability + odds))
