"""What a method says of cells that it has not seen, and of where items and agents lie."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.coldstart.benchmark import Indices
from harness.irt import Array


@dataclass(frozen=True, eq=False)
class Places:
    """Where some items or agents lie on the scale of ability."""

    value: Array
    """``(m,)``."""
    error: Array
    """``(m,)`` standard errors."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Where some items or agents were said to lie, and where all outcomes put them."""

    rows: Indices
    """``(m,)`` positions among all items or agents."""
    mean: Array
    """``(m,)``, and"""
    sd: Array
    """sd of what was said."""
    value: Array
    """``(m,)`` estimate from all outcomes."""
    below: Array
    """``(m,)`` probability, as it was said, of an estimate no larger than that one: the estimate's
    own error is allowed for."""


def placed(rows: Indices, mean: Array, sd: Array, full: Places) -> Placed:
    """Where what was said is normal.

    Args:
        full: of all items or agents.
    """
    value, error = full.value[rows], full.error[rows]
    below = ndtr((value - mean) / np.hypot(sd, error))
    return Placed(rows, mean, sd, value, np.asarray(below))


@dataclass(frozen=True, eq=False)
class Forecast:
    """Of one fold by one method."""

    passing: Array
    """``(A, n)`` probabilities; what does not belong to the fold is not looked at."""
    difficulty: Placed | None = None
    ability: Placed | None = None
