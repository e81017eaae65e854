"""Groups of items, such as those of one grader or topic, that tell less than the others.

A careless grader flattens the curves of its items a little, too little to be seen in any single
one. Their mean slope is held against those of random groups of as many items (a permutation test:
Fisher 1935).
"""

from dataclasses import dataclass

import numpy as np

from harness.health.evidence import Evidence
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.health.items.slopes import Slopes
from harness.irt import Array

FEWEST_ITEMS = 4
"""In a group, and outside of it."""
LEAST_LOSS = 0.2
"""Share of the others' slope that a group must lack at least to be flagged."""
_PERMUTATIONS = 4_999


@dataclass(frozen=True)
class ItemGroup:
    """Items that share a value of an attribute."""

    attribute: str
    value: str
    items: tuple[str, ...]
    """Those whose slope is known."""
    ratio: float
    """Their mean slope against that of all others."""
    low: float
    high: float
    p: float
    """Probability that a random group has as low a mean."""


@dataclass(frozen=True)
class ItemGroups:
    """All groups that are large enough, the worst first."""

    groups: tuple[ItemGroup, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_item_groups(evidence: Evidence, slopes: Slopes, seed: int = 0) -> ItemGroups:
    """Compare the slopes of the items of each value of each attribute with all others'.

    >>> from harness.health.evidence import About, gather
    >>> from harness.health.items.slopes import analyse_slopes
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> ahead = rng.normal(size=60)[:, None] - np.linspace(-1.5, 1.5, 40)
    >>> right = rng.random(ahead.shape) < 1 / (1 + np.exp(-2 * ahead))
    >>> right[:, ::5] = rng.random((60, 8)) < 0.5
    >>> graders = {f"item{i}": {"grader": "b" if i % 5 == 0 else "a"} for i in range(40)}
    >>> found = gather(from_matrix(right), about=About({}, graders))
    >>> [flag.names[0] for flag in analyse_item_groups(found, analyse_slopes(found)).flags]
    ['grader=b']
    """
    slope = np.array([item.slope for item in slopes.items])
    # an item whose key is reversed is flagged by itself, and would be an outlier in any mean
    reversed_ = {name for flag in slopes.flags if flag.kind == "reversed" for name in flag.names}
    known = np.isfinite(slope) & ~np.isin(evidence.responses.items, [*reversed_])
    names = np.array(evidence.responses.items)[known]
    value = slope[known]
    rng = np.random.default_rng(seed)
    draws = np.array([rng.permutation(value) for _ in range(_PERMUTATIONS if len(value) else 0)])
    groups = []
    for attribute, values in evidence.tags.items():
        of = np.array(values)[known]
        for one in sorted({*of} - {""}):
            inside = of == one
            if FEWEST_ITEMS <= inside.sum() <= len(value) - FEWEST_ITEMS:
                ratio, error = _ratio(value[inside], value[~inside])
                # a hair's breadth of slack: sums in another order differ by rounding
                as_low = draws[:, inside].mean(axis=1) <= value[inside].mean() + 1e-12
                groups.append(
                    ItemGroup(
                        attribute,
                        str(one),
                        tuple(names[inside].tolist()),
                        ratio,
                        ratio - error,
                        ratio + error,
                        float((1 + as_low.sum()) / (1 + _PERMUTATIONS)),
                    )
                )
    q = adjusted([group.p for group in groups])
    flags = [
        _flag(group, float(q_of))
        for group, q_of in zip(groups, q, strict=True)
        if q_of < RATE and group.ratio < 1 - LEAST_LOSS
    ]
    if not groups:
        cautions: tuple[str, ...] = (
            f"no attribute of the items groups at least {FEWEST_ITEMS} of them: a grader or a kind "
            "of task that tells less than the others cannot be found; name them with --items",
        )
    else:
        cautions = ()
    return ItemGroups(tuple(sorted(groups, key=lambda g: g.p)), tuple(flags), cautions)


def _ratio(inside: Array, outside: Array) -> tuple[float, float]:
    """Ratio of the means and half its interval, by the delta method."""
    a, b = float(inside.mean()), float(outside.mean())
    if b <= 0:
        return float("nan"), float("nan")
    errors = inside.var(ddof=1) / len(inside), outside.var(ddof=1) / len(outside)
    sd = np.sqrt(errors[0] / b**2 + errors[1] * a**2 / b**4)
    return a / b, float(HALF * sd)


def _flag(group: ItemGroup, q: float) -> Flag:
    return Flag(
        "group of items",
        "items",
        (f"{group.attribute}={group.value}",),
        f"its {len(group.items)} items have {group.ratio:.0%} of the others' mean slope (90% "
        f"interval {group.low:.0%} to {group.high:.0%}); adjusted p {q:.2g}",
        group.ratio,
        group.low,
        group.high,
        q,
        "look at what these items share: a grader that is careless, an environment that fails at "
        "random, or a kind of task that needs another ability",
    )
