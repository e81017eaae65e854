"""Differential item functioning: items easier or harder for a group than its ability says.

For each item and each group of agents against all others, at ability x from all other items,

    logit E[score] = x + α + γ x                    (no difference)
                   + δ g                            (uniform: δ logits easier for the group)
                   + κ g (x - mean x in the group)  (non-uniform: steeper for the group)

where x is the logit of the expected score. Swaminathan and Rogers (1990) regress on the total
score; the expected score from a model of the other items is the same idea for missing cells,
several trials and several categories: a mean score enters as a fraction (Papke and Wooldridge
1996), weighted so that its variance is that of the model. Weak normal priors keep parameters
finite where outcomes separate (Gelman et al. 2008). Likelihood ratios of one degree of freedom
test δ, then κ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from harness.health.evidence import Evidence
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.health.structure.logistic import maximise, nagelkerke
from harness.health.summaries import centre_and_spread
from harness.irt import Array

FEWEST = 5
"""Agents that a group, and the others, must have."""
RARE = 3.0
"""Outcomes of the rarer kind below which no group can be told from chance: the item is left out,
whichever agents they were (Tarone 1990)."""
SMALL, LARGE = 0.035, 0.07
"""Differences in R² from which an effect is moderate and large (Jodoin and Gierl 2001)."""
_FEW_ITEMS = 30
_NO_DIFFERENCE = (2.0, 0.5)
"""Sds of the priors of α and γ."""
_TESTED, _SHOWN = 10.0, 2.5
"""Sd of the prior of δ, in logits: next to flat for the test, and for the estimate."""
_STEEPER = 1.0
"""Sd of the prior of κ."""
_HUGE = 8.0
"""Logits that no item differs by."""

Size = Literal["negligible", "moderate", "large"]


@dataclass(frozen=True, eq=False)
class GroupEffect:
    """One group of agents against all others, on n items; NaN where an item cannot be tested."""

    attribute: str
    group: str
    agents: int
    others: int
    shift: Array
    """``(n,)`` logits by which each item is easier for the group, at equal ability."""
    low: Array
    high: Array
    q: Array
    """``(n,)`` adjusted p-values of a uniform difference, over the items of the group."""
    q_shape: Array
    """``(n,)`` those of a non-uniform one."""
    gain: Array
    """``(n,)`` what the shift adds to Nagelkerke's R²."""
    gain_shape: Array
    steeper: Array
    """``(n,)`` κ: what the group adds to the slope of 1."""
    observed: Array
    """``(n,)`` mean score of the group."""
    expected: Array
    """``(n,)`` what its abilities say."""
    spread: float
    """Robust sd of the signed root of the likelihood ratio over items; near 1 if all is chance."""
    beyond: bool
    """It is more than chance makes it, and items are measured against it."""
    least: float
    """Logits that a typical item must differ by to be found."""


@dataclass(frozen=True, eq=False)
class Functioning:
    """Differential functioning by every attribute with groups large enough."""

    items: tuple[str, ...]
    groups: tuple[GroupEffect, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def size_of(gain: float) -> Size:
    """What Jodoin and Gierl (2001) call a difference in R².

    >>> size_of(0.01), size_of(0.05), size_of(0.2)
    ('negligible', 'moderate', 'large')
    """
    return "negligible" if gain < SMALL else "moderate" if gain < LARGE else "large"


def analyse_functioning(evidence: Evidence) -> Functioning:
    """Test every item for every group of at least :data:`FEWEST` agents by each attribute.

    After a first pass, items found to differ no longer count for the ability of that group's
    agents (purification, Clauser et al. 1993), and all are tested again.
    """
    found: list[GroupEffect] = []
    cautions: list[str] = []
    if not evidence.groups:
        cautions.append(
            "Nothing is known of the agents' family, scaffold or date, so no groups can be "
            "compared. Give a table of agents."
        )
    x = _logits(evidence, evidence.posterior, range(len(evidence.responses.agents)))
    weight = _weights(evidence)
    for attribute, values in evidence.groups.items():
        groups, several = list(_groups(values)), len(set(values)) > 1
        if not groups:
            what = "has" if several else "can have"
            cautions.append(
                f"By {attribute} no group {what} {FEWEST} agents with {FEWEST} others to compare "
                "them with, so nothing is said of it."
            )
        for group, members in groups:
            effect = _compare(evidence, attribute, group, members, x, weight)
            differs = np.flatnonzero(_flagged(effect))
            if len(differs):
                # ability of the group without the items that are unfair to it
                rows = np.flatnonzero(members)
                pure = _without(evidence, rows, differs)
                purified = x.copy()
                purified[rows] = _logits(evidence, pure, rows, frozenset(differs.tolist()))
                effect = _compare(evidence, attribute, group, members, purified, weight)
            found.append(effect)
        unknown = sum(not value for value in values)
        if groups and unknown:
            cautions.append(
                f"The {attribute} of {unknown} of {len(values)} agents is unknown. They count "
                "among the others: differences look smaller than they are if some belong to the "
                "group."
            )
    cautions += _cautions(evidence, found)
    return Functioning(
        evidence.responses.items, tuple(found), _flags(evidence, found), tuple(cautions)
    )


def _groups(values: Sequence[str]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Groups with agents enough; of two that make up all agents only the smaller."""
    known = np.array(values)
    names = sorted(set(values) - {""})
    if len(names) == 2 and "" not in values:
        names = [min(names, key=list(values).count)]
    for name in names:
        members = known == name
        if FEWEST <= members.sum() <= len(values) - FEWEST:
            yield name, members


def _without(evidence: Evidence, rows: NDArray[np.intp], items: NDArray[np.intp]) -> Array:
    """``(len(rows), Q)`` posteriors of some agents without their answers on some items."""
    with np.errstate(divide="ignore"):
        log = np.log(evidence.posterior[rows])
    for item in items:
        log = log - evidence.log_likelihood(int(item))[rows]
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _logits(
    evidence: Evidence,
    posterior: Array,
    rows: Sequence[int] | NDArray[np.intp],
    out: frozenset[int] = frozenset(),
) -> Array:
    """``(len(rows), n)`` logit of each expected score without the item itself; the posterior does
    not hold the items ``out`` to begin with."""
    chosen = np.asarray(rows)
    # a posterior that is nought at a node stays so without one item
    log = np.log(np.maximum(posterior, 1e-300))
    log -= log.max(axis=1, keepdims=True)
    # ability nodes are laid for the most certain agent: every fourth of a long grid will do
    step = max(1, len(evidence.nodes) // 160)
    log = log[:, ::step]
    expected = evidence.expected[:, ::step]
    found = np.empty((len(chosen), len(expected)))
    thin = replace(evidence, log_p=evidence.log_p[..., ::step]) if step > 1 else evidence
    for item, mean in enumerate(expected):
        if item in out:
            weights = np.exp(log)
        else:
            without = log - thin.log_likelihood(item)[chosen]
            weights = np.exp(without - without.max(axis=1, keepdims=True))
        found[:, item] = weights @ mean / weights.sum(axis=1)
    return np.asarray(logit(np.clip(found, 1e-4, 1 - 1e-4)))


def _compare(
    evidence: Evidence,
    attribute: str,
    group: str,
    members: NDArray[np.bool_],
    x: Array,
    weight: Array,
) -> GroupEffect:
    """``x`` is ``(A, n)`` and ``weight`` ``(n, A)``."""
    from scipy.stats import chi2, norm

    score = np.nan_to_num(evidence.score).T
    cells = weight > 0
    worth = (evidence.weight.T * score).sum(axis=1), (evidence.weight.T * (1 - score)).sum(axis=1)
    member = np.broadcast_to(members, cells.shape)
    here, there = (cells & member).sum(axis=1), (cells & ~member).sum(axis=1)
    tested = (np.minimum(*worth) >= RARE) & (here >= FEWEST) & (there >= FEWEST)
    blank = np.full(len(tested), np.nan)
    observed, expected = blank.copy(), blank.copy()
    any_here = here > 0
    own = cells & member
    observed[any_here] = (score * own).sum(axis=1)[any_here] / here[any_here]
    expected[any_here] = (expit(x.T) * own).sum(axis=1)[any_here] / here[any_here]
    columns = {
        name: blank.copy()
        for name in ("shift", "low", "high", "q", "q_shape", "gain", "gain_shape", "steeper")
    }
    spread, least, beyond = float("nan"), float("nan"), False
    if tested.any():
        y, w, offset, g = score[tested], weight[tested], x.T[tested], member[tested] * 1.0
        centre = (offset * w * g).sum(axis=1) / (w * g).sum(axis=1)
        design = np.stack(
            [np.ones_like(y), offset, g, g * (offset - centre[:, None])],
            axis=-1,
        )
        none = maximise(y, w, offset, design[..., :2], _NO_DIFFERENCE)
        uniform = maximise(y, w, offset, design[..., :3], (*_NO_DIFFERENCE, _TESTED))
        slopes = maximise(y, w, offset, design, (*_NO_DIFFERENCE, _TESTED, _STEEPER))
        shrunken = maximise(y, w, offset, design[..., :3], (*_NO_DIFFERENCE, _SHOWN))
        ratios = [
            2 * np.maximum(more.height - less.height, 0.0)
            for less, more in ((none, uniform), (uniform, slopes))
        ]
        signs = np.sign(uniform.at[:, 2]), np.sign(slopes.at[:, 3])
        spreads = [_spread(sign * np.sqrt(r)) for sign, r in zip(signs, ratios, strict=True)]
        spread, beyond = spreads[0][0], spreads[0][1] > 1
        half = HALF * shrunken.error[:, 2]
        r2 = [nagelkerke(fit.log_likelihood, y, w) for fit in (none, uniform, slopes)]
        found = {
            "shift": shrunken.at[:, 2],
            "low": shrunken.at[:, 2] - half,
            "high": shrunken.at[:, 2] + half,
            # twice, as either test may flag an item
            "q": np.minimum(2 * adjusted(chi2.sf(ratios[0] / spreads[0][1] ** 2, 1)), 1.0),
            "q_shape": np.minimum(2 * adjusted(chi2.sf(ratios[1] / spreads[1][1] ** 2, 1)), 1.0),
            "gain": np.maximum(r2[1] - r2[0], 0.0),
            "gain_shape": np.maximum(r2[2] - r2[1], 0.0),
            "steeper": slopes.at[:, 3],
        }
        for name, values in found.items():
            columns[name][tested] = values
        # what one item among so many must exceed to stand out alone
        bar = norm.isf(RATE / 4 / np.count_nonzero(tested)) * spreads[0][1]
        least = float(bar * np.quantile(uniform.error[:, 2], 0.25))
    return GroupEffect(
        attribute,
        group,
        int(members.sum()),
        int((~members).sum()),
        observed=observed,
        expected=expected,
        spread=spread,
        beyond=beyond,
        least=least,
        **columns,
    )


def _weights(evidence: Evidence) -> Array:
    """``(n, A)`` trials of a coin that each score is as certain as; 0 where missing.

    One trial of a binary item weighs 1; a score of several categories or trials more.
    """
    mean = evidence.expected_score
    spread = evidence.posterior @ (evidence.expected**2).T - mean**2
    total = np.nan_to_num(evidence.score_variance) + np.maximum(spread, 0.0)
    coin = mean * (1 - mean)
    several = (evidence.trials > 1) | (evidence.responses.n_categories > 2)
    ratio = np.where(several, np.maximum(coin, 1e-6) / np.maximum(total, 1e-6), 1.0)
    return np.asarray(np.where(evidence.trials > 0, ratio, 0.0).T)


def _spread(z: Array) -> tuple[float, float]:
    """Sd of the middle half, were it normal, and what to divide by: 1 unless the sd is more than
    chance makes it (Efron 2004), of which few items say nothing."""
    _, spread = centre_and_spread(z)
    # the standard error of a normal's sd from its quartiles is 1.17 sd / √n
    sure = len(z) >= _FEW_ITEMS and spread > 1 + HALF * 1.17 / len(z) ** 0.5
    return spread, spread if sure else 1.0


def _flagged(found: GroupEffect) -> NDArray[np.bool_]:
    """Significant, and no negligible effect."""
    uniform = (found.q <= RATE) & (found.gain >= SMALL)
    return np.asarray(uniform | ((found.q_shape <= RATE) & (found.gain_shape >= SMALL)))


def _flags(evidence: Evidence, found: Sequence[GroupEffect]) -> tuple[Flag, ...]:
    """One for each item and attribute: the group that differs most."""
    best: dict[tuple[str, int], Flag] = {}
    for one in found:
        for item in np.flatnonzero(_flagged(one)):
            flag = _flag(evidence.responses.items[item], one, int(item))
            other = best.get((one.attribute, int(item)))
            if other is None or flag.q < other.q:
                best[one.attribute, int(item)] = flag
    return tuple(sorted(best.values(), key=lambda flag: (flag.q, -abs(flag.estimate))))


def _flag(name: str, one: GroupEffect, item: int) -> Flag:
    who = f"{one.agents} agents of {one.attribute} {one.group!r}"
    shift, low, high = (float(v[item]) for v in (one.shift, one.low, one.high))
    uniform = bool(one.q[item] <= RATE and one.gain[item] >= SMALL)
    gain = float(one.gain[item] if uniform else one.gain_shape[item])
    q = float(one.q[item] if uniform else one.q_shape[item])
    scored = (
        f"the {who} scored {one.observed[item]:.0%} where their ability says "
        f"{one.expected[item]:.0%}"
    )
    size = f"ΔR² {gain:.2f}, {size_of(gain)}"
    if uniform:
        near, far = sorted((abs(low), abs(high)))
        evidence = (
            f"{scored}: {abs(shift):.1f} logits {'easier' if shift > 0 else 'harder'} for them "
            f"({near if low * high > 0 else 0:.1f} to {far:.1f}; {size})"
        )
        action = (
            "look for a leak or a shortcut that this group knows, or leave the item out of "
            "comparisons with it"
            if shift > 0
            else "check whether the task's format, tools or limits fail this group for reasons "
            "other than ability"
        )
    else:
        evidence = (
            f"{scored}, and the item separates them {'more' if one.steeper[item] > 0 else 'less'} "
            f"than it does others ({size}); shift {shift:.1f} logits ({low:.1f} to {high:.1f})"
        )
        action = "see what the able agents of this group do differently here"
    return Flag(
        kind="differential functioning",
        about="item",
        names=(name,),
        evidence=evidence,
        estimate=shift,
        low=low,
        high=high,
        q=q,
        action=action,
    )


def _least(one: GroupEffect) -> str:
    return f"{one.least:.1f}" if one.least < _HUGE else f"more than {_HUGE:g}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _cautions(evidence: Evidence, found: Sequence[GroupEffect]) -> list[str]:
    cautions = [
        f"For {one.attribute} {one.group!r} no item has both outcomes often enough to be compared."
        for one in found
        if np.isnan(one.least)
    ]
    blind = [one for one in found if one.least > 2.0]
    if blind:
        named = _listed([f"{one.group!r} ({one.agents}; {_least(one)})" for one in blind])
        cautions.append(
            "Groups are small: a single item must differ by this many logits to be found, shown "
            f"with the number of agents: {named}. No flag is no proof of fairness."
        )
    wide = [one for one in found if one.beyond]
    if wide:
        named = _listed([f"{one.group!r} ({one.spread:.1f})" for one in wide])
        cautions.append(
            "These groups have strengths and weaknesses of their own on many items, so their "
            "items differ from others' by more than chance throughout (times as much): "
            f"{named}. Only items that stand out from that are flagged."
        )
    if found and int(evidence.responses.n_categories.max()) > 2:
        cautions.append(
            "Items with several categories are compared by their mean scores: a group that uses "
            "the middle categories differently with the same mean is not seen."
        )
    return cautions
