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

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness.bank import ItemBank
from harness.calibrate.link_agents import common_agents
from harness.calibrate.link_curves import ItemMethod, common_items
from harness.calibrate.link_problem import FEWEST, Problem, Quantity
from harness.errors import BankError
from harness.irt import Array

Method = Literal[ItemMethod, "agents"]
Matrix = tuple[tuple[float, float], tuple[float, float]]
_FALSE_DRIFT = 0.05
"""Expected share of false alarms among what is said to drift."""
_SAME = 1e-3
"""The least standard error of a difference: less than this, in ability, is nobody's drift."""


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

    >>> from dataclasses import replace
    >>> from harness.bank import Item
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
        problem = common_agents(bank_a, bank_b)
    else:
        problem = common_items(bank_a, bank_b, method)
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


def _find_drift(problem: Problem) -> tuple[tuple[Drift, ...], NDArray[np.intp]]:
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
    problem: Problem, slope: float, intercept: float
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
