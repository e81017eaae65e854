"""The line through common agents, whose abilities are measured with error in both banks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.bank import Calibrant, ItemBank
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


def unshrunk(calibrant: Calibrant, population: tuple[float, float]) -> tuple[float, float]:
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


def common_agents(bank_a: ItemBank, bank_b: ItemBank) -> Problem:
    """The agents that both banks measured; BankError for fewer than 5, or no spread."""
    of_b = {calibrant.agent: calibrant for calibrant in bank_b.calibrants}
    pairs = [(c, of_b[c.agent]) for c in bank_a.calibrants if c.agent in of_b]
    measured = [
        (a.agent, unshrunk(a, population_of(bank_a)), unshrunk(b, population_of(bank_b)))
        for a, b in pairs
    ]
    measured = [(name, a, b) for name, a, b in measured if a[1] > 0 and b[1] > 0]
    require_enough("agents", len(measured), bank_a, bank_b)
    names = tuple(name for name, _, _ in measured)
    values = np.array([(*a, *b) for _, a, b in measured])

    def estimate(rows: NDArray[np.intp]) -> Estimate:
        x, v, y, w = values[rows].T
        return _by_agents(_Measured(x, v), _Measured(y, w))

    def differences(slope: float, intercept: float) -> list[Differences]:
        x, v, y, w = values.T
        se = np.sqrt(v + slope**2 * w)
        return [Differences("ability", np.arange(len(x)), slope * y + intercept - x, se)]

    x, _, y, _ = values.T
    off_x, off_y = (np.median(abs(ability - np.median(ability))) for ability in (x, y))
    if not min(off_x, off_y) > 0:
        raise BankError(_NO_SPREAD)
    slope = float(off_x / off_y)
    start = slope, float(np.median(x - slope * y))
    return Problem("agents", names, start, estimate, differences)


def _by_agents(a: _Measured, b: _Measured) -> Estimate:
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
    return Estimate(line, inverse @ spread @ inverse, jackknife(without))


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
