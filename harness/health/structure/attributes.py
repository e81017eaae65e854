"""Whether items of the same topic, source or other attribute hang together beyond ability."""

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.health.flags import RATE, adjusted
from harness.health.structure.q3 import ItemPairs, mean_within

_SHUFFLES = 499


@dataclass(frozen=True)
class Group:
    """Items with the same value of an attribute."""

    value: str
    items: int
    q3: float
    low: float
    high: float


@dataclass(frozen=True)
class Attribute:
    """Whether items alike in one attribute hang together."""

    name: str
    pairs: int
    """Of items with the same value."""
    difference: float
    """Mean Q3 of such pairs less that of all others."""
    low: float
    high: float
    q: float
    """Adjusted p-value by permutation of the items."""
    groups: tuple[Group, ...]
    """Those with several items, strongest first."""


def find_attributes(data: ItemPairs, rng: np.random.Generator) -> tuple[Attribute, ...]:
    """Attributes that several items share, those that matter most first."""
    found, p = [], list[float]()
    q3_all = data.shape.T @ data.shape
    for name, values in data.evidence.tags.items():
        labels = np.array(values)[data.tested]
        shown, number = np.unique(labels, return_counts=True)
        kept = shown[(shown != "") & (number >= 2)]
        members = (labels[:, None] == kept).astype(float)
        i, j = np.nonzero(np.triu(members @ members.T, 1))
        all_pairs = len(labels) * (len(labels) - 1) / 2
        if not 3 <= len(i) <= all_pairs - 3:
            continue
        # mean within less mean between is (mean within - mean of all) / share between
        share = 1 - len(i) / all_pairs
        difference, low, high = (x / share for x in mean_within(data, members))
        drawn = np.empty(_SHUFFLES)
        for draw in range(_SHUFFLES):
            shuffled = rng.permutation(len(labels))
            drawn[draw] = q3_all[shuffled[i], shuffled[j]].mean()
        p.append((1 + np.count_nonzero(drawn >= q3_all[i, j].mean())) / (1 + _SHUFFLES))
        groups = [
            Group(str(value), int(column.sum()), *mean_within(data, column[:, None]))
            for value, column in zip(kept, members.T, strict=True)
        ]
        groups.sort(key=lambda group: -group.q3)
        found.append(Attribute(name, len(i), difference, low, high, math.nan, tuple(groups)))
    rows = [replace(row, q=float(q)) for row, q in zip(found, adjusted(p), strict=True)]
    return tuple(sorted(rows, key=lambda row: (row.q, -row.difference)))


def matters(attribute: Attribute) -> bool:
    """Beyond chance, and its interval above 0."""
    return attribute.q < RATE and attribute.low > 0
