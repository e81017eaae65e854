"""Linking: a bank that was calibrated separately, brought onto the scale of another.

Two calibrations have two scales, each that of its own agents. What the banks share, items or
agents, gives the line ``θ_A = slope · θ_B + intercept`` from the scale of B to that of A:

=================  ==========================================================================
``stocking-lord``  expected score on all common items, as a function of ability, agrees best
                   (Stocking & Lord 1983)
``haebara``        the category curves of each common item agree best (Haebara 1980)
``mean-sigma``     mean and sd of the common items' difficulties agree (Marco 1977)
``agents``         abilities of the common agents lie on the line, both with errors (York 1966)
=================  ==========================================================================

The two curve methods weigh disagreement over the populations of both banks, in both directions
(Kim & Kolen 2007), so that linking B to A is the inverse of linking A to B. The three item
methods take binary, graded and partial-credit items, mixed in one bank.

**Abilities are measured with error**, and posterior means are shrunk toward the population, so
the ratio of their sds is not the slope. Each agent's posterior is first divided by its prior,
which leaves an unbiased measurement with a known error; the line is then the
errors-in-variables estimate that gives both errors their weight. It does not assume that the
common agents are typical of either population.

**The linking error** has two sources. *Sampling*: item parameters (or abilities) are estimates;
the delta method carries their covariances through the estimate (Ogasawara 2001, Battauz 2013).
*Choice of items*: other common items would have given another line, as items drift more or less;
a jackknife over them says by how much (Robitzsch 2025). The jackknife sees the estimation error
of single items as well, so the two must not be added: stated is the larger of the two, in every
direction of (slope, intercept), which is the bias-corrected total error of Robitzsch (2024).

It is the error of a line between the scales that the items of each bank define as they stand:
which agents either was calibrated with is part of its scale, and a slope that all items of a bank
share is a choice of unit. Both banks count as calibrated on different outcomes; where they share
some, and where priors shrink parameters much, the error is overstated.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness import irt
from harness.bank import Calibrant, Item, ItemBank, parameter_names
from harness.errors import BankError
from harness.irt import Array, Model

Method = Literal["stocking-lord", "haebara", "mean-sigma", "agents"]
Quantity = Literal["difficulty", "log slope", "ability"]
Noun = Literal["items", "agents"]
Matrix = tuple[tuple[float, float], tuple[float, float]]
_T = TypeVar("_T")

FEWEST = 5
"""Common items or agents that a link needs: through fewer, its error cannot be estimated."""
_FALSE_DRIFT = 0.05
"""Expected share of false alarms among what is said to drift."""
_SAME = 1e-3
"""The least standard error of a difference: less than this, in ability, is nobody's drift."""
_COMMON_SLOPE: frozenset[Model] = frozenset({"1pl", "pcm", "rsm"})
_GRID = np.linspace(-4.0, 4.0, 41)
"""Abilities at which curves are compared, in sds of a population."""
_STEP = 1e-5
"""Of central differences."""


@dataclass(frozen=True)
class Drift:
    """A common item, or agent, that is not where the others say it should be."""

    name: str
    of: Quantity
    difference: float
    """B, once linked, less A, and less the median of all; in units of ability on the scale of A,
    or of the logarithm of a slope."""
    z: float
    """Robust z."""
    p: float
    """Two-sided p-value, not corrected for testing many."""


@dataclass(frozen=True)
class Link:
    """The line from the scale of B to that of A, and how well it is known.

    >>> line = Link(2.0, 0.5, ((0.04, 0.0), (0.0, 0.09)), "haebara", "a", ("i1", "i2"))
    >>> line.ability(1.0), line.se_slope, round(line.se(1.0), 3)
    (2.5, 0.2, 0.361)
    """

    slope: float
    intercept: float
    covariance: Matrix
    """Of ``(slope, intercept)``: the linking error as stated."""
    method: Method
    onto: str
    """Name of A."""
    common: tuple[str, ...]
    """Items, or agents, that both banks have."""
    drifted: tuple[Drift, ...] = ()
    """What of them drifts, whether or not it is left out."""
    dropped: tuple[str, ...] = ()
    """Those that the line leaves out."""
    sampling: Matrix = ((0.0, 0.0), (0.0, 0.0))
    """The part of ``covariance`` that is there because parameters are estimates."""
    jackknife: Matrix = ((0.0, 0.0), (0.0, 0.0))
    """What leaving out one item, or agent, at a time finds."""

    @property
    def se_slope(self) -> float:
        """Standard error of the slope."""
        return float(np.sqrt(self.covariance[0][0]))

    @property
    def se_intercept(self) -> float:
        """Standard error of the intercept, in units of ability on the scale of A."""
        return float(np.sqrt(self.covariance[1][1]))

    def ability(self, ability: float) -> float:
        """An ability on the scale of B, expressed on the scale of A."""
        return self.slope * ability + self.intercept

    def se(self, ability: float) -> float:
        """Standard error, on the scale of A, that the link adds to an ability on that of B."""
        at = np.array([ability, 1.0])
        return float(np.sqrt(max(at @ np.array(self.covariance) @ at, 0.0)))


def link(
    bank_a: ItemBank,
    bank_b: ItemBank,
    method: Method = "stocking-lord",
    *,
    drop_drifted: bool = False,
) -> Link:
    """The line that brings bank B onto the scale of bank A.

    Drift is found by the robust z of Huynh & Meyer (2010), ``(difference - median) / (0.74 IQR)``,
    of difficulties (the mean over an item's steps) and of logarithms of slopes. Differences are
    first divided by their standard errors, and their spread then counts as at least 1: an item is
    not called drifting because it is poorly known, nor where all agree but for estimation. Flags
    are set so that 5% of them are false (Benjamini & Hochberg 1995), against a line through the
    items that are not flagged, until nothing changes.

    Args:
        bank_a: whose scale is kept.
        bank_b: whose scale is moved.
        method: what determines the line.
        drop_drifted: leave out drifting items, or agents, instead of only naming them.

    Raises:
        BankError: several abilities; fewer than 5 common items or agents, or fewer left once
            drifting ones are dropped; a common item with another model family or number of
            categories in the two banks; items or agents too much alike to give a slope.

    >>> bank = ItemBank("a", tuple(Item(f"i{k}", "2pl", (1.5,), (k - 2.0,)) for k in range(5)))
    >>> other = replace(bank, items=tuple(
    ...     replace(item, slopes=(3.0,), intercepts=(item.intercepts[0] + 1.5,))
    ...     for item in bank.items))
    >>> line = link(bank, other)
    >>> round(line.slope, 6), round(line.intercept, 6)
    (2.0, 1.0)
    """
    for bank in (bank_a, bank_b):
        if len(bank.mean) != 1:
            raise BankError(
                f"bank {bank.name!r} has {len(bank.mean)} abilities, and only banks of one can be "
                "linked: calibrate the outcomes of both together instead"
            )
    if method == "agents":
        problem = _common_agents(bank_a, bank_b)
    else:
        problem = _common_items(bank_a, bank_b, method)
    everything = np.arange(len(problem.names))
    drifted, kept = _find_drift(problem)
    if not drop_drifted:
        kept = everything
    elif len(kept) < FEWEST:
        raise BankError(
            f"of {len(everything)} common {problem.noun} {len(everything) - len(kept)} drift, and "
            f"the other {len(kept)} are too few to link banks {bank_a.name!r} and "
            f"{bank_b.name!r}, which needs {FEWEST}: they do not seem to measure the same"
        )
    found = problem.estimate(kept)
    return Link(
        slope=float(found.line[0]),
        intercept=float(found.line[1]),
        covariance=_matrix(_larger(found.sampling, found.jackknife)),
        method=method,
        onto=bank_a.name,
        common=problem.names,
        drifted=drifted,
        dropped=tuple(problem.names[row] for row in np.setdiff1d(everything, kept)),
        sampling=_matrix(found.sampling),
        jackknife=_matrix(found.jackknife),
    )


def _matrix(covariance: Array) -> Matrix:
    (a, b), (c, d) = covariance.tolist()
    return (a, b), (c, d)


@dataclass(frozen=True, eq=False)
class _Estimate:
    """A line ``(slope, intercept)``, and two covariances ``(2, 2)`` of it."""

    line: Array
    sampling: Array
    jackknife: Array


def _larger(one: Array, other: Array) -> Array:
    """The least covariance that is no smaller than either of two in any direction.

    Found in the coordinates where their sum is the identity and both are diagonal, so that it
    does not depend on units.
    """
    values, vectors = np.linalg.eigh(one + other)
    real = values > 1e-12 * values[-1]
    root = vectors[:, real] * np.sqrt(values[real])
    inverse = vectors[:, real] / np.sqrt(values[real])
    shares, directions = np.linalg.eigh(inverse.T @ one @ inverse)
    half = root @ directions
    return np.asarray((half * np.maximum(shares, 1.0 - shares)) @ half.T)


@dataclass(frozen=True, eq=False)
class _Differences:
    """How B, linked, differs from A in one quantity: all ``(m,)``, of the positions ``rows``."""

    of: Quantity
    rows: NDArray[np.intp]
    difference: Array
    se: Array


@dataclass(frozen=True, eq=False)
class _Problem:
    """What the banks share, and how a line is put through some of it."""

    noun: Noun
    names: tuple[str, ...]
    start: tuple[float, float]
    """A line from medians, which drift leaves as it is."""
    estimate: Callable[[NDArray[np.intp]], _Estimate]
    differences: Callable[[float, float], Sequence[_Differences]]


_OTHER_WAY: dict[Noun, str] = {
    "items": "give the same task the same id in both, or link through common agents",
    "agents": "calibrate both with some of the same agents under the same names (banks keep them "
    "in agents.csv), or link through common items",
}


def _enough(noun: Noun, common: int, bank_a: ItemBank, bank_b: ItemBank) -> None:
    if common < FEWEST:
        raise BankError(
            f"banks {bank_a.name!r} and {bank_b.name!r} have {common} {noun} in common that can "
            f"carry a link, which needs {FEWEST}: {_OTHER_WAY[noun]}"
        )


# --- drift ------------------------------------------------------------------------------------


def _find_drift(problem: _Problem) -> tuple[tuple[Drift, ...], NDArray[np.intp]]:
    """What drifts, and the rows of what does not."""
    everything = np.arange(len(problem.names))
    line = problem.start
    seen: set[tuple[int, ...]] = set()
    while True:
        drifted, flagged = _flag(problem, *line)
        kept = np.setdiff1d(everything, flagged)
        if tuple(kept) in seen or len(kept) < FEWEST:
            return drifted, kept
        seen.add(tuple(kept))
        slope, intercept = problem.estimate(kept).line
        line = float(slope), float(intercept)


def _flag(
    problem: _Problem, slope: float, intercept: float
) -> tuple[tuple[Drift, ...], NDArray[np.intp]]:
    found = []
    for quantity in problem.differences(slope, intercept):
        if not len(quantity.rows):
            continue
        centred = quantity.difference - np.median(quantity.difference)
        studentised = centred / np.maximum(quantity.se, _SAME)
        low, high = np.quantile(studentised, [0.25, 0.75])
        z = studentised / max(1.0, 0.74 * float(high - low))
        found += [
            (int(row), Drift(problem.names[row], quantity.of, float(d), float(x), float(p)))
            for row, d, x, p in zip(quantity.rows, centred, z, 2 * ndtr(-abs(z)), strict=True)
        ]
    alarm = _false_discoveries(np.array([drift.p for _, drift in found]), _FALSE_DRIFT)
    flagged = [pair for pair, is_flagged in zip(found, alarm, strict=True) if is_flagged]
    flagged.sort(key=lambda pair: -abs(pair[1].z))
    return tuple(drift for _, drift in flagged), np.array([row for row, _ in flagged], int)


def _false_discoveries(p: Array, rate: float) -> NDArray[np.bool_]:
    """Which hypotheses to reject so that ``rate`` of them are false (Benjamini & Hochberg 1995).

    >>> _false_discoveries(np.array([0.01, 0.9, 0.02, 0.04]), 0.05).tolist()
    [True, False, True, False]
    """
    order = np.sort(p)
    passed = order <= rate * np.arange(1, len(p) + 1) / len(p)
    bound = order[passed][-1] if passed.any() else -1.0
    return np.asarray(p <= bound)


# --- common items -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Items:
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
    def of(cls, items: Sequence[Item]) -> "_Items":
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

    def subset(self, rows: NDArray[np.intp]) -> "_Items":
        return _Items(**{name: value[rows] for name, value in vars(self).items()})

    def moved(self, place: int, step: float) -> "_Items":
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


def _common_items(bank_a: ItemBank, bank_b: ItemBank, method: Method) -> _Problem:
    of_b = {item.id: item for item in bank_b.items}
    pairs = [(item, of_b[item.id]) for item in bank_a.items if item.id in of_b]
    _enough("items", len(pairs), bank_a, bank_b)
    for one, other in pairs:
        forms = [(irt.family(i.model), len(i.intercepts) + 1) for i in (one, other)]
        if forms[0] != forms[1]:
            said = [f"{kind.replace('_', ' ')} with {k} categories" for kind, k in forms]
            raise BankError(
                f"item {one.id!r} is {said[0]} in bank {bank_a.name!r} and {said[1]} in "
                f"{bank_b.name!r}: calibrate one of them again, or give it another id there"
            )
    names = tuple(item.id for item, _ in pairs)
    a, b = (_Items.of(side) for side in zip(*pairs, strict=True))
    populations = _population(bank_a), _population(bank_b)

    def estimate(rows: NDArray[np.intp]) -> _Estimate:
        chosen = a.subset(rows), b.subset(rows)
        if method == "mean-sigma":
            return _mean_sigma(*chosen)
        return _by_curves(*chosen, *populations, pooled=method == "stocking-lord")

    return _Problem(
        "items", names, _median_line(a, b), estimate, lambda *line: _item_differences(a, b, *line)
    )


def _population(bank: ItemBank) -> tuple[float, float]:
    return bank.mean[0], bank.sd[0]


def _item_differences(a: _Items, b: _Items, slope: float, intercept: float) -> list[_Differences]:
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
        _Differences(
            "difficulty",
            everything,
            slope * mean_b + intercept - mean_a,
            np.sqrt(np.maximum(variance_a + slope**2 * variance_b, 0.0)),
        ),
        _Differences("log slope", own, ratio[own], ratio_se[own]),
    ]


def _sampling(a: _Items, b: _Items, gradient_a: Array, gradient_b: Array) -> Array:
    """Covariance ``(2, 2)`` by the delta method; gradients are ``(n, P, 2)``."""
    return np.asarray(
        sum(
            np.einsum("npx,npr,nry->xy", gradient, items.covariance, gradient)
            for items, gradient in ((a, gradient_a), (b, gradient_b))
        )
    )


def _jackknife(without: Array) -> Array:
    """Covariance from estimates ``(n, 2)`` that leave out one each (Tukey 1958)."""
    off = without - without.mean(axis=0)
    return np.asarray(off.T @ off * (len(without) - 1) / len(without))


def _mean_sigma(a: _Items, b: _Items) -> _Estimate:
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
    return _Estimate(found, _sampling(a, b, gradients[0], gradients[1]), _jackknife(without))


@dataclass(frozen=True, eq=False)
class _CurveFit:
    """How the curves of common items disagree under a line ``x = (log slope, intercept)``.

    They are compared at M points: the nodes of A's population on A's scale, followed by those of
    B's on B's, each brought to the other scale by the line.
    """

    a: _Items
    b: _Items
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
    a: _Items,
    b: _Items,
    population_a: tuple[float, float],
    population_b: tuple[float, float],
    *,
    pooled: bool,
) -> _Estimate:
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
    return _Estimate(
        np.array([slope, x[1]]), _sampling(a, b, gradient_a, gradient_b), _jackknife(steps)
    )


def _median_line(a: _Items, b: _Items) -> tuple[float, float]:
    slope = float(np.exp(np.median(np.log(b.slopes / a.slopes))))
    return slope, float(np.nanmedian(a.difficulties - slope * b.difficulties))


# --- common agents ----------------------------------------------------------------------------

_NO_SPREAD = (
    "the abilities of the common agents differ no more than they are uncertain, or do not rise "
    "together, which gives no slope: calibrate with more items, or link through common items"
)


@dataclass(frozen=True, eq=False)
class _Measured:
    """Abilities ``(n,)`` of the same agents on one scale, with their errors."""

    ability: Array
    error: Array
    """Variances."""


def _unshrunk(calibrant: Calibrant, population: tuple[float, float]) -> tuple[float, float]:
    """Ability and error variance that a normal posterior rests on beside its prior.

    The variance is not positive where the posterior knows no more than the prior.
    """
    if not (np.isfinite(calibrant.ability[0]) and 0 < calibrant.sd[0] < np.inf):
        raise BankError(
            f"agent {calibrant.agent!r} has the ability {calibrant.ability[0]:g} ± "
            f"{calibrant.sd[0]:g}: correct agents.csv, where both are numbers and sds positive"
        )
    mean, sd = population
    prior, posterior = sd**-2, calibrant.sd[0] ** -2
    precision = posterior - prior
    if precision <= 0:
        return mean, 0.0
    return (calibrant.ability[0] * posterior - mean * prior) / precision, 1 / precision


def _common_agents(bank_a: ItemBank, bank_b: ItemBank) -> _Problem:
    of_b = {calibrant.agent: calibrant for calibrant in bank_b.calibrants}
    pairs = [(c, of_b[c.agent]) for c in bank_a.calibrants if c.agent in of_b]
    measured = [
        (a.agent, _unshrunk(a, _population(bank_a)), _unshrunk(b, _population(bank_b)))
        for a, b in pairs
    ]
    measured = [(name, a, b) for name, a, b in measured if a[1] > 0 and b[1] > 0]
    _enough("agents", len(measured), bank_a, bank_b)
    names = tuple(name for name, _, _ in measured)
    values = np.array([(*a, *b) for _, a, b in measured])

    def estimate(rows: NDArray[np.intp]) -> _Estimate:
        x, v, y, w = values[rows].T
        return _by_agents(_Measured(x, v), _Measured(y, w))

    def differences(slope: float, intercept: float) -> list[_Differences]:
        x, v, y, w = values.T
        se = np.sqrt(v + slope**2 * w)
        return [_Differences("ability", np.arange(len(x)), slope * y + intercept - x, se)]

    x, _, y, _ = values.T
    off_x, off_y = (np.median(abs(ability - np.median(ability))) for ability in (x, y))
    if not min(off_x, off_y) > 0:
        raise BankError(_NO_SPREAD)
    slope = float(off_x / off_y)
    start = slope, float(np.median(x - slope * y))
    return _Problem("agents", names, start, estimate, differences)


def _by_agents(a: _Measured, b: _Measured) -> _Estimate:
    """The line with errors in both variables: least ``Σ (a - A·b - B)² / (v_a + A²·v_b)``.

    With known error variances that sum favours neither variable (York 1966); sampling errors are
    those of the functional model (Fuller 1987, section 3.1).
    """
    if not np.cov(a.ability, b.ability)[0, 1] > 0:
        raise BankError(_NO_SPREAD)
    everyone = np.arange(len(a.ability))
    line = _york(a, b, everyone >= 0)
    slope, shift = line
    weight = 1 / (a.error + slope**2 * b.error)
    residual = a.ability - slope * b.ability - shift
    # where on the line the agents most probably are, and the error of that
    fitted = b.ability + slope * b.error * weight * residual
    noise = float((a.error * b.error * weight**2).sum())
    along = np.stack([fitted, np.ones_like(fitted)], axis=1)
    spread = (along * weight[:, None]).T @ along
    curvature = spread - np.diag([noise, 0.0])
    # as much of the spread of abilities must be real as is error
    if curvature[0, 0] - curvature[0, 1] ** 2 / curvature[1, 1] < noise:
        raise BankError(_NO_SPREAD)
    inverse = np.linalg.inv(curvature)
    without = np.array([_york(a, b, everyone != row) for row in everyone])
    return _Estimate(line, inverse @ spread @ inverse, _jackknife(without))


def _york(a: _Measured, b: _Measured, kept: NDArray[np.bool_]) -> Array:
    """``(slope, intercept)`` of the errors-in-variables line through some of the agents."""
    from scipy.optimize import minimize_scalar

    x, v, y, w = a.ability[kept], a.error[kept], b.ability[kept], b.error[kept]

    def at(log_slope: float) -> tuple[float, float]:
        """The sum of squares at a slope, with the intercept that is best there."""
        slope = np.exp(log_slope)
        weight = 1 / (v + slope**2 * w)
        shift = float(weight @ (x - slope * y) / weight.sum())
        return float(weight @ (x - slope * y - shift) ** 2), shift

    start = np.log(x.std() / y.std())
    best = minimize_scalar(
        lambda s: at(s)[0],
        bounds=(start - 3.0, start + 3.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return np.array([np.exp(best.x), at(best.x)[1]])


# --- moving and merging banks -----------------------------------------------------------------


def apply_link(bank: ItemBank, link: Link, *, include_error: bool = True) -> ItemBank:
    """The bank with everything on the scale that the link leads to.

    Slopes become ``a / slope`` and intercepts ``d - a · intercept / slope``, which leaves every
    probability as it was; asymptotes and agent × item effects, which are in logits, stay.

    The linking error is one error that all items share, and a bank holds errors of single items.
    With ``include_error`` each item gets the whole of it, which is right for the item and lets a
    session that takes many such items average it away: the ability that it then states on the
    scale of A is uncertain by :meth:`Link.se` besides. The link is kept in the provenance.

    Args:
        bank: B, with one ability.
        link: from B to A.
        include_error: add the linking error to covariances of items and sds of calibrants.

    Raises:
        BankError: the bank has several abilities.

    >>> bank = ItemBank("b", (Item("i", "2pl", (1.0,), (0.5,)),))
    >>> moved = apply_link(bank, Link(2.0, 1.0, ((0.0, 0.0), (0.0, 0.0)), "haebara", "a", ()))
    >>> moved.items[0].slopes, moved.items[0].intercepts, moved.mean, moved.sd
    ((0.5,), (0.0,), (1.0,), (2.0,))
    """
    if len(bank.mean) != 1:
        raise BankError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities, and a link moves only one"
        )
    error = np.array(link.covariance) if include_error else np.zeros((2, 2))
    return replace(
        bank,
        items=tuple(_moved(item, link, error) for item in bank.items),
        mean=(link.ability(bank.mean[0]),),
        sd=(link.slope * bank.sd[0],),
        calibrants=tuple(
            replace(
                calibrant,
                ability=(link.ability(calibrant.ability[0]),),
                sd=(
                    float(
                        np.hypot(
                            link.slope * calibrant.sd[0],
                            link.se(calibrant.ability[0]) if include_error else 0.0,
                        )
                    ),
                ),
            )
            for calibrant in bank.calibrants
        ),
        provenance={**bank.provenance, "link": link_facts(link, include_error=include_error)},
    )


def _moved(item: Item, link: Link, error: Array) -> Item:
    slope, shift = link.slope, link.intercept
    a, d = item.slopes[0], np.array(item.intercepts)
    size, steps = len(parameter_names(item)), slice(1, 1 + len(d))
    known = item.covariance is None and not error.any()
    covariance = np.zeros((size, size)) if item.covariance is None else np.array(item.covariance)
    own = np.eye(size)
    own[steps, 0] = -a * shift / slope
    of_link = np.zeros((size, 2))
    of_link[0, 0] = -1 / slope
    of_link[steps] = a * shift / slope**2, -a / slope
    covariance = own @ covariance @ own.T + of_link @ error @ of_link.T
    covariance = (covariance + covariance.T) / 2
    return replace(
        item,
        slopes=(a / slope,),
        intercepts=tuple((d - a * shift / slope).tolist()),
        covariance=None if known else tuple(tuple(row) for row in covariance.tolist()),
    )


def link_facts(link: Link, *, include_error: bool = True) -> dict[str, Any]:
    """A link in plain values, for provenance and JSON."""
    return {
        "onto": link.onto,
        "method": link.method,
        "slope": link.slope,
        "intercept": link.intercept,
        "se_slope": link.se_slope,
        "se_intercept": link.se_intercept,
        "covariance": [list(row) for row in link.covariance],
        "common": len(link.common),
        "drifted": sorted({drift.name for drift in link.drifted}),
        "dropped": list(link.dropped),
        "error_in_covariances": include_error,
    }


def merge(bank_a: ItemBank, linked_b: ItemBank, *, name: str = "") -> ItemBank:
    """One bank of all items of A, and those of B that A does not have.

    Common items keep A's parameters. An inverse-variance average would be sharper where both
    calibrations rest on different outcomes of an item that did not drift, but neither can be seen
    from the banks; it would move the very items that define A's scale; and the parameters of B
    hold the linking error, which all of them share. To use the outcomes of both, calibrate B's
    with the items of A as anchors.

    Population and name are A's, whose scale it is; agents that only B has are kept with their
    posterior under A's population.

    Args:
        bank_a: whose scale and items are kept.
        linked_b: B on the scale of A, see :func:`apply_link`.
        name: of the merged bank; A's when empty.

    Raises:
        BankError: the banks disagree in labels of a list of categories or of a common item, in
            what a source is, or in which task a common item is.

    >>> one, two = (ItemBank(n, (Item(n, "2pl", (1.0,), (0.0,)),)) for n in "ab")
    >>> [item.id for item in merge(one, two).items]
    ['a', 'b']
    """
    own = {item.id: item for item in bank_a.items}
    new = tuple(item for item in linked_b.items if item.id not in own)
    _check_categories(bank_a, linked_b, new)
    _check_sources(bank_a, linked_b, new)
    for item in linked_b.items:
        if item.id in own:
            _check_common(own[item.id], item, bank_a, linked_b)
    known = {calibrant.agent for calibrant in bank_a.calibrants}
    populations = _population(linked_b), _population(bank_a)
    merged = {
        "name": linked_b.name,
        "items_added": len(new),
        "provenance": dict(linked_b.provenance),
    }
    return replace(
        bank_a,
        name=name or bank_a.name,
        items=(*bank_a.items, *new),
        categories={
            **bank_a.categories,
            **_used(linked_b.categories, {item.categories for item in new}),
        },
        sources={**bank_a.sources, **_used(linked_b.sources, {item.source for item in new})},
        calibrants=(
            *bank_a.calibrants,
            *(_under(c, *populations) for c in linked_b.calibrants if c.agent not in known),
        ),
        provenance={
            **bank_a.provenance,
            "merged_with": [*bank_a.provenance.get("merged_with", []), merged],
        },
    )


def _used(named: Mapping[str, _T], names: set[str]) -> dict[str, _T]:
    return {name: value for name, value in named.items() if name in names}


def _check_categories(bank_a: ItemBank, linked_b: ItemBank, new: Sequence[Item]) -> None:
    for name in sorted({item.categories for item in new} & bank_a.categories.keys()):
        lists = bank_a.categories[name], linked_b.categories[name]
        if lists[0] != lists[1]:
            said = [", ".join(labels) for labels in lists]
            raise BankError(
                f"categories {name!r} are {said[0]} in bank {bank_a.name!r} and {said[1]} in "
                f"{linked_b.name!r}: give one of the two lists another name"
            )


def _check_sources(bank_a: ItemBank, linked_b: ItemBank, new: Sequence[Item]) -> None:
    for name in sorted({item.source for item in new} & bank_a.sources.keys()):
        one, other = bank_a.sources[name], linked_b.sources[name]
        if (one.location, one.args, one.score) != (other.location, other.args, other.score):
            raise BankError(
                f"source {name!r} is {one.location} in bank {bank_a.name!r} and {other.location} "
                f"in {linked_b.name!r}, or has other arguments or another score there: give one "
                "of the two sources another name"
            )


def _check_common(item: Item, other: Item, bank_a: ItemBank, linked_b: ItemBank) -> None:
    labels = bank_a.categories[item.categories], linked_b.categories[other.categories]
    if labels[0] != labels[1]:
        said = [", ".join(names) for names in labels]
        raise BankError(
            f"item {item.id!r} has the categories {said[0]} in bank {bank_a.name!r} and {said[1]} "
            f"in {linked_b.name!r}: if they mean the same give them the same labels, else give "
            "the item another id in one bank"
        )
    tasks = _task(item, bank_a), _task(other, linked_b)
    if "" not in tasks and tasks[0] != tasks[1]:
        raise BankError(
            f"item {item.id!r} is the task {tasks[0]} in bank {bank_a.name!r} and {tasks[1]} in "
            f"{linked_b.name!r}: give it another id in one bank"
        )


def _task(item: Item, bank: ItemBank) -> str:
    """Which task an item is, where the bank says so."""
    if not item.source:
        return item.environment
    return f"{item.environment or item.id} of {bank.sources[item.source].location}"


def _under(
    calibrant: Calibrant, population: tuple[float, float], other: tuple[float, float]
) -> Calibrant:
    """The posterior of an agent, had another population been the prior."""
    ability, error = _unshrunk(calibrant, population)
    prior = other[1] ** -2
    measured = 1 / error if error > 0 else 0.0
    precision = prior + measured
    return replace(
        calibrant,
        ability=((other[0] * prior + ability * measured) / precision,),
        sd=(precision**-0.5,),
    )
