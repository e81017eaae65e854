"""What a link is made from: that which two banks share, and a line through some of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.bank import ItemBank
from harness.errors import BankError
from harness.irt import Array

Quantity = Literal["difficulty", "log slope", "ability"]
Noun = Literal["items", "agents"]

FEWEST = 5
"""Common items or agents that a link needs: through fewer, its error cannot be estimated."""
_OTHER_WAY: dict[Noun, str] = {
    "items": "give the same task the same id in both, or link through common agents",
    "agents": "calibrate both with some of the same agents under the same names (banks keep them "
    "in agents.csv), or link through common items",
}


@dataclass(frozen=True, eq=False)
class Estimate:
    """A line ``(slope, intercept)``, and two covariances ``(2, 2)`` of it."""

    line: Array
    sampling: Array
    jackknife: Array


@dataclass(frozen=True, eq=False)
class Differences:
    """How B, linked, differs from A in one quantity: all ``(m,)``, of the positions ``rows``."""

    of: Quantity
    rows: NDArray[np.intp]
    difference: Array
    se: Array


@dataclass(frozen=True, eq=False)
class Problem:
    """What the banks share, and how a line is put through some of it."""

    noun: Noun
    names: tuple[str, ...]
    start: tuple[float, float]
    """A line from medians, which drift leaves as it is."""
    estimate: Callable[[NDArray[np.intp]], Estimate]
    differences: Callable[[float, float], Sequence[Differences]]


def require_enough(noun: Noun, common: int, bank_a: ItemBank, bank_b: ItemBank) -> None:
    """Raise BankError where the banks have too little in common."""
    if common < FEWEST:
        raise BankError(
            f"banks {bank_a.name!r} and {bank_b.name!r} have {common} {noun} in common that can "
            f"carry a link, which needs {FEWEST}: {_OTHER_WAY[noun]}"
        )


def population_of(bank: ItemBank) -> tuple[float, float]:
    """Mean and sd of ability in a bank of one ability."""
    return bank.mean[0], bank.sd[0]


def jackknife(without: Array) -> Array:
    """Covariance from estimates ``(n, 2)`` that leave out one each (Tukey 1958)."""
    off = without - without.mean(axis=0)
    return np.asarray(off.T @ off * (len(without) - 1) / len(without))
