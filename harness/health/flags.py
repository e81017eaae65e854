"""Flags: what deserves a look, with the evidence for it and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array

Kind = Literal[
    "never solved",
    "always solved",
    "ceiling",
    "floor",
    "gap",
    "reversed",
    "low discrimination",
    "misfit",
    "noise",
    "unused category",
    "sparse category",
    "disordered categories",
    "severe judge",
    "inconsistent judge",
    "favouring judge",
    "disputed item",
    "contradiction",
    "duplicate",
    "cluster",
    "second dimension",
    "group of items",
    "differential functioning",
    "underperforms on easy items",
    "contamination",
    "broken scaffold",
    "unusual agent",
    "unreliable",
]
"""What can be wrong with an item, an agent, a judge or the whole benchmark."""

About = Literal["item", "items", "agent", "judge", "benchmark"]

RATE = 0.05
"""Share of the flags of one analysis that may be false on average (Benjamini and Hochberg 1995)."""
LEVEL = 0.9
"""Probability of the intervals."""
HALF = 1.6448536269514722
"""Half of such an interval of a normal variable, in sds."""


@dataclass(frozen=True)
class Flag:
    """One thing that deserves a look."""

    kind: Kind
    about: About
    names: tuple[str, ...]
    """Items, agent, judge or group that it is about; a long list is the page's to shorten."""
    evidence: str
    """What was seen, in words and numbers, with an interval where it is an estimate."""
    estimate: float
    """The number behind it, in the unit that ``evidence`` names."""
    low: float
    """Interval of probability :data:`LEVEL`; NaN where it is a plain count."""
    high: float
    q: float
    """Adjusted p-value or posterior probability of being wrong; 0 for a plain count."""
    action: str
    """What to do about it, as an imperative."""


def adjusted(p: Array | Sequence[float]) -> Array:
    """P-values adjusted for their number (Benjamini and Hochberg 1995); NaN stays out of it.

    >>> adjusted([0.01, 0.04, float("nan"), 0.5]).round(3).tolist()
    [0.03, 0.06, nan, 0.5]
    """
    from scipy.stats import false_discovery_control

    values = np.asarray(p, float)
    found = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if known.any():
        found[known] = false_discovery_control(np.clip(values[known], 0.0, 1.0))
    return found


def improbable(wrong: Array | Sequence[float], rate: float = RATE) -> NDArray[np.bool_]:
    """Which to flag when each is wrong with a known probability: as many as keep the expected
    share of wrong ones at the rate (Newton et al. 2004).

    >>> improbable([0.001, 0.3, 0.06, 0.02]).tolist()
    [True, False, True, True]
    """
    values = np.asarray(wrong, float)
    order = np.argsort(values, kind="stable")
    share = np.cumsum(values[order]) / np.arange(1, len(values) + 1)
    chosen = np.zeros(len(values), bool)
    chosen[order[share <= rate]] = True
    return chosen


def by_kind(flags: Sequence[Flag]) -> dict[Kind, list[Flag]]:
    """Flags gathered by their kind, in the order in which kinds first occur."""
    found: dict[Kind, list[Flag]] = {}
    for flag in flags:
        found.setdefault(flag.kind, []).append(flag)
    return found


def names_of(flags: Sequence[Flag]) -> tuple[str, ...]:
    """All names of some flags, each once."""
    return tuple(dict.fromkeys(name for flag in flags for name in flag.names))
