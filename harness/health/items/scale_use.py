"""How the categories of ordinal items are used, and which of them to merge.

Categories are in order when agents that reach a higher one are better agents. What is compared is
the ability, from all other items, of the agents in adjacent used categories of the same item,
averaged over items with weights as their numbers allow; its interval is a jackknife over agents.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from harness.health.evidence import Evidence
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.irt import Array

SPARSE = 10
"""A category that was given less often than this over all items is sparse."""
SPARSE_SHARE = 0.01
"""So is one with a smaller share of the outcomes than this."""
RARELY = 0.1
"""A category that is the likeliest outcome on a smaller share of the items, at no ability, tells
little of its own."""
FEWEST_AGENTS = 10
"""Fewer agents say nothing of categories."""
FEWEST_OUTCOMES = 20
"""With fewer outcomes a category, a rare one is no surprise."""
FEWEST_CELLS = 3
"""Cells that both of two categories need for an item's own order to be looked at."""


@dataclass(frozen=True)
class Category:
    """Use of one category over all items of a scale."""

    category: int
    label: str
    outcomes: int
    items: int
    """Items on which somebody got it."""
    modal: int
    """Items on which it is the most likely one at some ability that agents have."""
    ability: float
    """Mean ability of the agents that got it, from their other items; NaN if nobody did."""


@dataclass(frozen=True)
class Step:
    """How much abler agents of a category are than those of the used one below, on one item."""

    lower: int
    upper: int
    items: int
    """Items on which both occur."""
    difference: float
    """In abilities; NaN, as its interval, where no item has both."""
    low: float
    high: float
    p: float
    """P-value of an order that is right."""


@dataclass(frozen=True)
class Scale:
    """Items that share their categories."""

    items: tuple[str, ...]
    categories: tuple[Category, ...]
    steps: tuple[Step, ...]
    collapsed: tuple[int, ...]
    """New category of each category, so that none is unused, sparse or out of order; 0, 1, 2, …
    where nothing is to be merged."""
    simpler: tuple[int, ...]
    """Also without those that are the likeliest outcome on next to no item."""


@dataclass(frozen=True)
class ItemUse:
    """Use of the categories on one ordinal item."""

    item: str
    counts: tuple[int, ...]
    falling: tuple[tuple[int, int], ...]
    """Adjacent used categories of which the higher one has the weaker agents, on average."""


@dataclass(frozen=True)
class ScaleUse:
    """Use of the categories of all ordinal items."""

    scales: tuple[Scale, ...]
    items: tuple[ItemUse, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_scale_use(evidence: Evidence) -> ScaleUse | None:
    """Categories that are never used, sparse or out of order, and a collapsing that mends it.

    None where all items are binary.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> got = np.clip((rng.normal(size=(40, 1)) + rng.normal(size=(40, 9)) + 2.5) // 1, 0, 4)
    >>> got[got == 3] = 4
    >>> found = analyse_scale_use(gather(from_matrix(got)))
    >>> [flag.kind for flag in found.flags], found.scales[0].collapsed
    (['unused category'], (0, 1, 2, 2, 3))
    """
    sizes = evidence.responses.n_categories
    ordinal = np.flatnonzero(sizes > 2)
    if not len(ordinal):
        return None
    names, labels = evidence.responses.items, evidence.responses.labels
    share = evidence.counts / np.maximum(evidence.trials, 1)[:, :, None]
    ability = np.zeros(evidence.trials.shape)
    for i in ordinal.tolist():
        ability[:, i] = evidence.posterior_without(i) @ evidence.nodes
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for i in ordinal.tolist():
        groups.setdefault((int(sizes[i]), labels[i] if labels else ()), []).append(i)
    scales, flags = [], []
    for (k, words), members in groups.items():
        at = np.array(members)
        scale = _scale(
            tuple(names[i] for i in members),
            words or tuple(str(c) for c in range(k)),
            evidence.counts[:, at, :k],
            share[:, at, :k],
            ability[:, at],
            _modal(evidence, at, k),
        )
        scales.append(scale)
        if len(evidence.responses.agents) >= FEWEST_AGENTS:
            flags += _flags(scale, len(names))
    items = tuple(
        _item(names[i], evidence.counts[:, i, : sizes[i]], ability[:, i]) for i in ordinal.tolist()
    )
    cautions = _cautions(len(evidence.responses.agents), scales, len(ordinal), len(names))
    return ScaleUse(tuple(scales), items, tuple(flags), cautions)


def _modal(evidence: Evidence, at: Array, k: int) -> Array:
    """``(k,)`` items on which each category is the likeliest somewhere among the agents."""
    below = np.cumsum(evidence.posterior.mean(axis=0))
    here = (below > 0.05) & (below < 0.95)
    likeliest = evidence.p[at, :k][:, :, here].argmax(axis=1)
    return np.array([(likeliest == c).any(axis=1).sum() for c in range(k)])


def _scale(
    items: tuple[str, ...],
    labels: tuple[str, ...],
    counts: Array,
    share: Array,
    ability: Array,
    modal: Array,
) -> Scale:
    """Of m items with K categories: ``counts`` and ``share`` are ``(A, m, K)``, ``ability`` is
    ``(A, m)``."""
    total = counts.sum(axis=(0, 1))
    weight = share.sum(axis=(0, 1))
    earned = np.einsum("amk,am->k", share, ability)
    categories = tuple(
        Category(
            c,
            label,
            int(total[c]),
            int((counts[:, :, c] > 0).any(axis=0).sum()),
            int(modal[c]),
            float(earned[c] / weight[c]) if weight[c] else np.nan,
        )
        for c, label in enumerate(labels)
    )
    used = np.flatnonzero(total)
    steps = tuple(_step(low, high, share, ability) for low, high in pairwise(used.tolist()))
    rare = modal < RARELY * len(items)
    simpler = _collapse(np.where(rare, 0, total), steps)
    return Scale(items, categories, steps, _collapse(total, steps), simpler)


def _step(lower: int, upper: int, share: Array, ability: Array) -> Step:
    pair = share[:, :, [lower, upper]]
    sums = pair * ability[:, :, None]
    n, s = pair.sum(axis=0), sums.sum(axis=0)
    both = (n > 0).all(axis=1)
    if not both.any():
        return Step(lower, upper, 0, np.nan, np.nan, np.nan, np.nan)
    difference = float(_difference(n, s))
    without = _difference(n - pair, s - sums)
    known = np.isfinite(without)
    agents = int(known.sum())
    spread = ((without[known] - without[known].mean()) ** 2).sum() if agents > 1 else np.nan
    # an agent without which no item has both says that the rest is not enough
    error = float(np.sqrt((agents - 1) / max(agents, 1) * spread)) if known.all() else np.inf
    error = max(error, 1e-9)
    return Step(
        lower,
        upper,
        int(both.sum()),
        difference,
        difference - HALF * error,
        difference + HALF * error,
        float(ndtr(difference / error)),
    )


def _difference(n: Array, s: Array) -> Array:
    """``(…,)`` mean over items of the difference of two means, from counts and sums ``(…, m, 2)``;
    NaN where no item has both."""
    enough = n > 1e-9
    mean = s / np.where(enough, n, 1.0)
    both = enough.all(axis=-1)
    weight = np.where(both, n[..., 0] * n[..., 1] / np.where(both, n.sum(axis=-1), 1.0), 0.0)
    total = weight.sum(axis=-1)
    found = (weight * (mean[..., 1] - mean[..., 0])).sum(axis=-1) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, found, np.nan))


def _item(name: str, counts: Array, ability: Array) -> ItemUse:
    cells = (counts > 0).sum(axis=0)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mean = share.T @ ability / np.maximum(share.sum(axis=0), 1e-9)
    used = np.flatnonzero(cells)
    falling = tuple(
        (low, high)
        for low, high in pairwise(used.tolist())
        if min(cells[low], cells[high]) >= FEWEST_CELLS and mean[high] < mean[low]
    )
    return ItemUse(name, tuple(int(c) for c in counts.sum(axis=0)), falling)


# --- what is wrong, and what to merge -----------------------------------------------------------


def _disordered(steps: tuple[Step, ...]) -> list[tuple[Step, float]]:
    q = adjusted([step.p for step in steps]) if steps else np.zeros(0)
    return [(step, float(one)) for step, one in zip(steps, q, strict=True) if one < RATE]


def _sparse_below(total: Array) -> float:
    """How often a category must be given; 0 where there are too few outcomes to say."""
    outcomes = float(total.sum())
    enough = outcomes >= FEWEST_OUTCOMES * len(total)
    return max(SPARSE, SPARSE_SHARE * outcomes) if enough else 0.0


def _collapse(total: Array, steps: tuple[Step, ...]) -> tuple[int, ...]:
    """Merge neighbours out of order, then unused and sparse ones with the neighbour that differs
    least; two categories always remain."""
    k = len(total)
    difference = {step.lower: step.difference for step in steps if step.upper == step.lower + 1}
    apart = np.ones(k - 1, bool)
    for step, _ in _disordered(steps):
        if apart.sum() > step.upper - step.lower:
            apart[step.lower : step.upper] = False
    while apart.sum() > 1:
        group = np.concatenate([[0], np.cumsum(apart)])
        sizes = np.bincount(group, total)
        smallest = int(np.argmin(sizes))
        if sizes[smallest] >= max(_sparse_below(total), 1):
            break
        members = np.flatnonzero(group == smallest)
        sides = [int(edge) for edge in (members[0] - 1, members[-1]) if 0 <= edge < k - 1]
        apart[min(sides, key=lambda edge: np.nan_to_num(difference.get(edge, 0.0)))] = False
    return tuple(int(g) for g in np.concatenate([[0], np.cumsum(apart)]))


def mapping(collapsed: tuple[int, ...]) -> str:
    """A collapsing in words.

    >>> mapping((0, 0, 0, 1))
    '0, 1 and 2 → 0; 3 → 1'
    """
    parts = []
    for group in range(collapsed[-1] + 1):
        *others, last = (str(old) for old, new in enumerate(collapsed) if new == group)
        parts.append(f"{', '.join(others)}{' and ' if others else ''}{last} → {group}")
    return "; ".join(parts)


def _flags(scale: Scale, all_items: int) -> list[Flag]:
    total = np.array([one.outcomes for one in scale.categories], float)
    which = "" if len(scale.items) == all_items else f" of {len(scale.items)} items"
    merge = f"Merge categories: {mapping(scale.collapsed)}"
    nan = float("nan")

    def named(those: list[Category]) -> str:
        plural = "categories" if len(those) > 1 else "category"
        return f"{plural} {', '.join(_titled(one) for one in those)}"

    flags = []
    unused = [one for one in scale.categories if not one.outcomes]
    if unused and total.sum() >= FEWEST_OUTCOMES * len(total):
        flags.append(
            Flag(
                "unused category",
                "benchmark",
                (),
                f"{named(unused)}{which}: never given in {int(total.sum())} outcomes",
                float(len(unused)),
                nan,
                nan,
                0.0,
                f"Say when {'they are' if len(unused) > 1 else 'it is'} to be given, or take "
                f"{'them' if len(unused) > 1 else 'it'} out. {merge}",
            )
        )
    sparse = [one for one in scale.categories if 0 < one.outcomes < _sparse_below(total)]
    if sparse:
        seen = ", ".join(f"{one.outcomes}" for one in sparse)
        flags.append(
            Flag(
                "sparse category",
                "benchmark",
                (),
                f"{named(sparse)}{which}: given {seen} times in {int(total.sum())} outcomes",
                float(min(one.outcomes for one in sparse)),
                nan,
                nan,
                0.0,
                merge,
            )
        )
    flags += [
        Flag(
            "disordered categories",
            "benchmark",
            (),
            f"agents in category {_titled(scale.categories[step.upper])}{which} are weaker than"
            f" those in {_titled(scale.categories[step.lower])}, by {-step.difference:.2f} of "
            f"ability (90% interval {-step.high:.2f} to {-step.low:.2f}) on {step.items} items "
            "with both",
            step.difference,
            step.low,
            step.high,
            q,
            f"Check which of the two is the better outcome. {merge}",
        )
        for step, q in _disordered(scale.steps)
    ]
    return flags


def _titled(one: Category) -> str:
    return f"{one.category}" if one.label == f"{one.category}" else f"{one.category} ({one.label})"


def _cautions(agents: int, scales: list[Scale], ordinal: int, all_items: int) -> tuple[str, ...]:
    found = []
    if agents < FEWEST_AGENTS:
        found.append(
            f"With {agents} agents nothing is concluded of a category that is rare or out of "
            f"order: it takes {FEWEST_AGENTS}."
        )
    for scale in scales:
        outcomes = sum(one.outcomes for one in scale.categories)
        if outcomes < FEWEST_OUTCOMES * len(scale.categories):
            found.append(
                f"{outcomes} outcomes on {len(scale.items)} items are too few to call one of their "
                f"{len(scale.categories)} categories unused or sparse."
            )
    if ordinal < all_items:
        found.append(f"{all_items - ordinal} of {all_items} items are binary and not looked at.")
    return tuple(found)
