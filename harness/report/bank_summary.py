"""A bank in numbers: its items with intervals, its category curves, and where it measures well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from harness.ability import Interval, Prior, normalise
from harness.bank import Item, ItemBank, compile_bank
from harness.irt import Array

LEVEL = 0.9
"""Probability of the intervals of parameters."""
TARGET = 0.3
"""Standard error, in sd of the population, up to which a bank is said to measure well."""
_Z = float(ndtri((1 + LEVEL) / 2))
_SPAN = 6.0
"""Positions reach so many sd of the population to either side."""
_N_POSITIONS = 145
"""A twelfth of a sd apart with one ability."""
_N_SLOPES = 101


# --- items --------------------------------------------------------------------------------------


def parameter_sds(item: Item) -> tuple[float, ...] | None:
    """Posterior sds of the slopes and, after them, the difficulties of an item.

    ``(D + K - 1,)`` by the delta method; None where the parameters count as known.

    >>> item = Item("i", "2pl", (2.0,), (1.0,), covariance=((0.01, 0.0), (0.0, 0.16)))
    >>> [round(sd, 3) for sd in parameter_sds(item)]
    [0.2, 0.206]
    """
    if item.covariance is None:
        return None
    covariance = np.array(item.covariance)
    slopes = np.array(item.slopes)
    d, norm = len(slopes), math.hypot(*item.slopes)
    gradient = np.zeros((d + len(item.intercepts), len(covariance)))
    # with one ability the parameter is log a
    gradient[:d, :d] = np.diag(slopes) if d == 1 else np.eye(d)
    for k, difficulty in enumerate(item.difficulties):
        gradient[d + k, :d] = -difficulty if d == 1 else -difficulty * slopes / norm**2
        gradient[d + k, d + k] = -1 / norm
    variances = np.einsum("ij,jk,ik->i", gradient, covariance, gradient)
    return tuple(float(x) for x in np.sqrt(np.maximum(variances, 0.0)))


def location(item: Item) -> float:
    """Mean of an item's difficulties.

    >>> location(Item("i", "grm", (2.0,), (1.0, -2.0)))
    0.25
    """
    return math.fsum(item.difficulties) / len(item.difficulties)


def slope_intervals(item: Item) -> tuple[Interval, ...] | None:
    """90% interval of each slope: of the logarithm with one ability, symmetric with several."""
    if item.covariance is None:
        return None
    if len(item.slopes) == 1:
        factor = math.exp(_Z * math.sqrt(max(item.covariance[0][0], 0.0)))
        return (Interval(item.slopes[0] / factor, item.slopes[0] * factor, LEVEL),)
    return tuple(
        Interval(a - _Z * sd, a + _Z * sd, LEVEL)
        for a, sd in zip(item.slopes, parameter_sds(item) or (), strict=False)
    )


def location_intervals(items: Sequence[Item]) -> list[Interval | None]:
    """90% interval of the :func:`location` of each item; None where parameters count as known.

    With one ability the location is a ratio of a normal and a log-normal number. Given the slope
    it is normal, so its distribution is taken as a mixture of normals over 101 equally likely
    slopes, and its quantiles are skewed as they should be. With several abilities by the delta
    method.
    """
    rows = [row for row, item in enumerate(items) if item.covariance is not None]
    found: list[Interval | None] = [None] * len(items)
    if not rows:
        return found
    uncertain = [items[row] for row in rows]
    if len(items[0].slopes) == 1:
        means, sds = _locations_given_slopes(uncertain)
        tail = (1 - LEVEL) / 2
        ends = np.stack([_mixture_quantile(means, sds, p) for p in (tail, 1 - tail)], axis=1)
    else:
        centre = np.array([location(item) for item in uncertain])
        half = _Z * np.array([_location_sd(item) for item in uncertain])
        ends = np.stack([centre - half, centre + half], axis=1)
    for row, (low, high) in zip(rows, ends.tolist(), strict=True):
        found[row] = Interval(low, high, LEVEL)
    return found


def _location_sd(item: Item) -> float:
    """As :func:`parameter_sds`, of the mean intercept alone."""
    covariance = np.array(item.covariance)
    d, m = len(item.slopes), len(item.intercepts)
    merge = np.zeros((d + 1, len(covariance)))
    merge[:d, :d] = np.eye(d)
    merge[d, d : d + m] = 1 / m
    joint = merge @ covariance @ merge.T
    middle = Item(
        item.id,
        "2pl",
        item.slopes,
        (math.fsum(item.intercepts) / m,),
        covariance=tuple(map(tuple, joint.tolist())),
    )
    return (parameter_sds(middle) or (0.0,))[-1]


def _locations_given_slopes(items: Sequence[Item]) -> tuple[Array, Array]:
    """Means and sds ``(n, 101)`` of locations given equally likely values of ``log a``."""
    z = ndtri((np.arange(_N_SLOPES) + 0.5) / _N_SLOPES)
    z /= z.std()
    log_a = np.array([math.log(item.slopes[0]) for item in items])
    intercept = np.array([np.mean(item.intercepts) for item in items])
    spread = np.zeros((len(items), 3))
    for row, item in enumerate(items):
        covariance = np.array(item.covariance)
        steps = slice(1, 1 + len(item.intercepts))
        spread[row] = (
            covariance[0, 0],
            covariance[0, steps].mean(),
            covariance[steps, steps].mean(),
        )
    sd_log_a = np.sqrt(np.maximum(spread[:, 0], 0.0))
    along = np.divide(spread[:, 1], sd_log_a, out=np.zeros(len(items)), where=sd_log_a > 0)
    rest = np.sqrt(np.maximum(spread[:, 2] - along**2, 0.0))
    slopes = np.exp(log_a[:, None] + sd_log_a[:, None] * z)
    return -(intercept[:, None] + along[:, None] * z) / slopes, rest[:, None] / slopes


def _mixture_quantile(means: Array, sds: Array, probability: float) -> Array:
    """``(n,)`` quantiles of equal mixtures of normals ``(n, m)``, by bisection."""
    low = (means - 9 * sds).min(axis=1)
    high = (means + 9 * sds).max(axis=1)
    sds = np.maximum(sds, 1e-12)
    for _ in range(48):
        middle = (low + high) / 2
        below = ndtr((middle[:, None] - means) / sds).mean(axis=1) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


# --- curves -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Curves:
    """What each of n items does along its own direction: that of its slopes.

    A position on it is an ability with one ability, and the distance from 0 with several.
    """

    positions: Array
    """``(T,)``, the same for all items."""
    p: Array
    """``(n, K, T)`` category probabilities, parameter uncertainty averaged over; 0 for categories
    that an item does not have."""
    known: Array
    """``(n, K, T)`` the same with the point estimates taken as known."""
    information: Array
    """``(n, T)`` Fisher information about the position."""
    mean: Array
    """``(n,)`` mean position of the population."""
    sd: Array
    """``(n,)`` its sd."""

    @cached_property
    def told(self) -> Array:
        """``(n,)`` information that an item gives about an agent of the population, on average."""
        off = (self.positions - self.mean[:, None]) / self.sd[:, None]
        return np.asarray((normalise(-0.5 * off**2) * self.information).sum(axis=1))

    @cached_property
    def peaks(self) -> tuple[Array, Array]:
        """Positions and heights ``(n,)`` of the most information."""
        return _peaks(self.positions, self.information)


def curves(bank: ItemBank) -> Curves:
    """The curves of all items of a bank, in its order."""
    slopes = np.array([item.slopes for item in bank.items])
    directions = slopes / np.sqrt((slopes**2).sum(axis=1, keepdims=True))
    several = slopes.shape[1] > 1
    if not several:
        directions = np.abs(directions)
    population = Prior(bank.mean, bank.sd, bank.correlation).covariance
    mean = directions @ np.array(bank.mean)
    sd = np.sqrt(np.einsum("ni,ij,nj->n", directions, population, directions))
    positions = np.linspace((mean - _SPAN * sd).min(), (mean + _SPAN * sd).max(), _N_POSITIONS)
    # items with a direction of their own are compiled one by one
    parts = (
        [replace(bank, items=(item,), calibrants=()) for item in bank.items] if several else [bank]
    )
    steps = max(len(item.intercepts) for item in bank.items) + 1
    p, known = (np.zeros((len(slopes), steps, _N_POSITIONS)) for _ in range(2))
    information = np.zeros((len(slopes), _N_POSITIONS))
    row = 0
    for part, direction in zip(parts, directions, strict=False):
        table = compile_bank(part, positions[:, None] * direction)
        rows = slice(row, row + len(part.items))
        p[rows, : table.p.shape[1]] = table.p
        information[rows] = table.information
        exact = compile_bank(part, positions[:, None] * direction, uncertainty=False)
        known[rows, : exact.p.shape[1]] = exact.p
        row = rows.stop
    return Curves(positions, p, known, information, mean, sd)


def _peaks(values: Array, heights: Array) -> tuple[Array, Array]:
    """Where each row of ``heights (n, M)`` is largest, and how large, by a parabola.

    >>> values = np.linspace(-1, 1, 5)
    >>> at, height = _peaks(values, 1 - (values - 0.2)[None] ** 2)
    >>> round(float(at[0]), 6), round(float(height[0]), 6)
    (0.2, 1.0)
    """
    rows = np.arange(len(heights))
    at = heights.argmax(axis=1)
    inside = np.clip(at, 1, len(values) - 2)
    left, middle, right = (heights[rows, inside + shift] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    peaked = (at == inside) & (bend < 0)
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(rows)), where=peaked)
    step = values[1] - values[0]
    return values[at] + step * shift, heights[rows, at] - 0.25 * (left - right) * shift


def expected_scores(bank: ItemBank) -> Array:
    """``(n,)`` expected score on each item of an agent at the population's mean."""
    return np.asarray(compile_bank(bank, np.array([bank.mean])).expected_score[:, 0])


# --- the bank as a test ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Precision:
    """How precisely all items together measure one ability, the others at their means."""

    dimension: int
    mean: float
    """Of this ability in the population."""
    sd: float
    """Of this ability in the population."""
    values: Array
    """``(M,)`` abilities."""
    information: Array
    """``(M,)`` 1 / variance of the best unbiased estimate, the other abilities unknown too."""
    known: Array
    """``(M,)`` the same with the item parameters taken as known."""

    @property
    def target(self) -> float:
        """Standard error up to which the bank is said to measure well."""
        return TARGET * self.sd

    @cached_property
    def best(self) -> tuple[float, float]:
        """The ability with the smallest standard error, and that error."""
        at, height = _peaks(self.values, self.information[None])
        return float(at[0]), _error(float(height[0]))

    def error(self, ability: float) -> float:
        """Standard error at an ability, ``inf`` where nothing is measured."""
        return _error(float(np.interp(ability, self.values, self.information)))

    def stretches(self, error: float) -> list[tuple[float, float]]:
        """Where the standard error is at most ``error``; ±inf where that goes on.

        >>> values = np.linspace(-3, 3, 7)
        >>> precision = Precision(0, 0.0, 1.0, values, 4 - abs(values), 4 - abs(values))
        >>> precision.stretches(1.0), precision.stretches(0.1)
        ([(-inf, inf)], [])
        >>> [(round(low, 6), round(high, 6)) for low, high in precision.stretches(2**-0.5)]
        [(-2.0, 2.0)]
        """
        enough = self.information - 1 / error**2
        inside = np.concatenate([[False], enough >= 0, [False]])
        starts = np.flatnonzero(~inside[:-1] & inside[1:])
        ends = np.flatnonzero(inside[:-1] & ~inside[1:]) - 1
        return [
            (
                -math.inf if start == 0 else self._crossing(enough, start - 1, start),
                math.inf if end == len(enough) - 1 else self._crossing(enough, end, end + 1),
            )
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _crossing(self, enough: Array, left: int, right: int) -> float:
        share = float(enough[left] / (enough[left] - enough[right]))
        return float(self.values[left] + share * (self.values[right] - self.values[left]))

    def population_share(self, stretches: Sequence[tuple[float, float]]) -> float:
        """Share of the population's normal distribution that lies in the stretches."""
        ends = (np.array(stretches).reshape(-1, 2) - self.mean) / self.sd
        return float((ndtr(ends[:, 1]) - ndtr(ends[:, 0])).sum())


def _error(information: float) -> float:
    return 1 / math.sqrt(information) if information > 0 else math.inf


def precision(bank: ItemBank, dimension: int = 0) -> Precision:
    """The information of all items about one ability, along its axis.

    With several abilities the information matrix ``Σ_i w_i a_i a_iᵀ`` is reduced to one ability
    by its Schur complement, which is 1 over the variance bound when all abilities are estimated.

    >>> found = precision(ItemBank("b", (Item("i", "2pl", (2.0,), (-2.0,)),)))
    >>> round(found.best[0], 6), round(found.best[1], 6)
    (1.0, 1.0)
    """
    mean, sd = bank.mean[dimension], bank.sd[dimension]
    values = np.linspace(mean - _SPAN * sd, mean + _SPAN * sd, _N_POSITIONS)
    nodes = np.tile(np.array(bank.mean), (_N_POSITIONS, 1))
    nodes[:, dimension] = values
    return Precision(
        dimension,
        mean,
        sd,
        values,
        *(_information(bank, nodes, dimension, uncertainty) for uncertainty in (True, False)),
    )


def _information(bank: ItemBank, nodes: Array, dimension: int, uncertainty: bool) -> Array:
    table = compile_bank(bank, nodes, uncertainty=uncertainty)
    weights = table.information / (table.slopes**2).sum(axis=1)[:, None]
    matrices = np.einsum("nq,ni,nj->qij", weights, table.slopes, table.slopes)
    others = [j for j in range(nodes.shape[1]) if j != dimension]
    own = matrices[:, dimension, dimension]
    if not others:
        return np.asarray(own)
    cross = matrices[:, dimension, others]
    rest = np.linalg.pinv(matrices[:, others][:, :, others], hermitian=True)
    left = own - np.einsum("qi,qij,qj->q", cross, rest, cross)
    # less than rounding leaves over is nothing
    return np.asarray(np.where(left > 1e-9 * own, left, 0.0))


def fewest_items(information: Array, error: float) -> int | None:
    """How many items it takes, the most informative ``(n,)`` first; None if all are too few.

    >>> fewest_items(np.array([1.0, 9.0, 4.0]), 0.28), fewest_items(np.array([1.0]), 0.5)
    (2, None)
    """
    total = np.cumsum(np.sort(information)[::-1])
    reached = np.flatnonzero(total >= 1 / error**2 - 1e-9)
    return int(reached[0]) + 1 if len(reached) else None


def placed_by_prior(bank: ItemBank) -> frozenset[str]:
    """Items that the data of the calibration could not place, by the bank's provenance."""
    named = bank.provenance.get("items_placed_by_the_priors_alone")
    known = {item.id for item in bank.items}
    return frozenset(known & {str(n) for n in named} if isinstance(named, list | tuple) else ())
