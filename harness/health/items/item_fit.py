"""How well each item follows its curve: S-X² (Orlando and Thissen 2000), infit and outfit.

With a hundred agents the textbook distributions of these statistics are wrong: cells hold a
handful of agents, and parameters that were fitted to the same answers take misfit away. What is
flagged is judged by simulation from the fitted curves instead.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from harness.health.evidence import Evidence
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.health.items.simulated_fit import simulate_fit
from harness.irt import Array

FEWEST_AGENTS = 30
"""With complete rows for S-X², and with answers to an item for a flag."""
FEWEST_ITEMS = 40
"""For infit to count: in a short test an item's own answer moves the ability it is judged by."""
WORST = 9
"""Items whose curves are kept."""
_SEED = 20000

Shape = Literal["flatter", "steeper", "upper plateau", "lower plateau", "uneven"]
"""How the answers depart from the fitted curve."""


@dataclass(frozen=True)
class ItemFit:
    """Fit of one item; NaN where it cannot be known."""

    item: str
    agents: int
    s_x2: float
    df: int
    p_s_x2: float
    """By the χ² distribution, as other programs print it."""
    infit: float
    infit_low: float
    """Interval of infit, from simulation."""
    infit_high: float
    z_infit: float
    """By Wilson and Hilferty, as other programs print it."""
    outfit: float
    z_outfit: float
    shape: Shape
    p: float
    """Of S-X², infit and plateaus together, by simulation; NaN where all outcomes are the same."""
    q: float
    """Adjusted for the number of items."""


@dataclass(frozen=True)
class Group:
    """Agents of about the same ability, on one item."""

    ability: float
    agents: int
    reached: tuple[float, ...]
    """Share of their trials in category 1 or above, 2 or above, …"""
    expected: tuple[float, ...]
    """The same by the fitted curves."""
    low: tuple[float, ...]
    """Where the share of 90% of such groups would lie."""
    high: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Fitted against empirical curves of one item."""

    item: str
    ability: tuple[float, ...]
    fitted: tuple[tuple[float, ...], ...]
    """Probability of category 1 or above, 2 or above, … at each ability."""
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class ItemFits:
    """Fit of all items, in the order of the bank."""

    items: tuple[ItemFit, ...]
    complete: int
    """Agents with an answer to every item: those that S-X² is of; 0 where it was not computed."""
    curves: tuple[Curve, ...]
    """Of the items that fit worst, worst first."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_item_fit(evidence: Evidence) -> ItemFits:
    """S-X², infit and outfit of every item, and the curves of those that fit worst."""
    complete = np.flatnonzero((evidence.trials > 0).all(axis=1))
    if len(complete) < FEWEST_AGENTS:
        complete = complete[:0]
    found = simulate_fit(evidence, complete, np.random.default_rng(_SEED))
    x2, squares, sd, p_values = found.sum_scores, found.squares, found.sd, found.p.copy()
    if _answered(evidence) < FEWEST_ITEMS:
        p_values[1] = np.nan
    tests = np.isfinite(p_values).sum(axis=0)
    least = np.where(np.isfinite(p_values), p_values, 1.0).min(axis=0)
    # where all outcomes are the same there is nothing that could follow a curve
    differ = np.array([len(np.unique(column[column == column])) > 1 for column in evidence.score.T])
    p = np.where((tests > 0) & differ, np.minimum(1.0, tests * least), np.nan)
    agents = (evidence.trials > 0).sum(axis=0)
    q = adjusted(np.where(agents >= FEWEST_AGENTS, p, np.nan))
    shapes = [_shape(evidence, i, float(squares.infit[i]), p_values[:, i]) for i in range(len(p))]
    items = tuple(
        ItemFit(
            item=name,
            agents=int(agents[i]),
            s_x2=x2[i].statistic if x2 else math.nan,
            df=x2[i].df if x2 else 0,
            p_s_x2=x2[i].p if x2 else math.nan,
            infit=float(squares.infit[i]),
            infit_low=float(squares.infit[i] * np.exp(-HALF * sd[i])),
            infit_high=float(squares.infit[i] * np.exp(HALF * sd[i])),
            z_infit=float(squares.z_infit[i]),
            outfit=float(squares.outfit[i]),
            z_outfit=float(squares.z_outfit[i]),
            shape=shapes[i][0],
            p=float(p[i]),
            q=float(q[i]),
        )
        for i, name in enumerate(evidence.responses.items)
    )
    order = np.argsort(np.where(np.isfinite(p), p, 2.0), kind="stable")
    shown = [int(i) for i in order[:WORST] if np.isfinite(p[i])]
    return ItemFits(
        items=items,
        complete=len(complete),
        curves=tuple(_curve(evidence, i) for i in shown),
        flags=tuple(_flag(items[i], shapes[i][1]) for i in order.tolist() if q[i] <= RATE),
        cautions=_cautions(evidence, len(complete), agents),
    )


def _answered(evidence: Evidence) -> int:
    """Items that a typical agent has outcomes on."""
    return int(np.median((evidence.trials > 0).sum(axis=1)))


@dataclass(frozen=True)
class _Tail:
    """Agents at one end of the abilities, on one item."""

    agents: int
    expected: float
    score: float
    low: float
    high: float


def _shape(evidence: Evidence, item: int, infit: float, p: Array) -> tuple[Shape, _Tail | None]:
    """What stands out most, given infit and the p-values of S-X² and of the tests of residuals;
    and where, if at an end."""
    x2, spread, upper, lower = (1.0 if math.isnan(one) else float(one) for one in p)
    if min(upper, lower) < spread and (tail := _tail(evidence, item, upper <= lower)):
        return ("upper plateau" if upper <= lower else "lower plateau"), tail
    if x2 < spread and spread > RATE:
        return "uneven", None
    return ("steeper" if infit < 1 else "flatter"), None


def _tail(evidence: Evidence, item: int, able: bool) -> _Tail | None:
    """The quarter, third or half at one end, whichever is the first to lie off the curve; the
    interval is Jeffreys', with as many independent trials as the cells are worth."""
    order = np.argsort(evidence.ability, kind="stable")
    order = order[evidence.trials[order, item] > 0]
    for share in (4, 3, 2):
        n = -(-len(order) // share)
        agents = order[-n:] if able else order[:n]
        weight = evidence.weight[agents, item]
        trials = float(weight.sum())
        right = float(weight @ evidence.score[agents, item])
        expected = float(weight @ evidence.expected_score[agents, item]) / trials
        low, high = (
            float(beta.ppf(end, right + 0.5, trials - right + 0.5)) for end in (0.05, 0.95)
        )
        if (high < expected) if able else (low > expected):
            return _Tail(n, expected, right / trials, low, high)
    return None


def _curve(evidence: Evidence, item: int) -> Curve:
    p = evidence.p[item, : int(evidence.responses.n_categories[item])]
    reach = 1 - np.cumsum(p, axis=0)[:-1]
    low = float((evidence.ability - 1.5 * evidence.sd).min())
    high = float((evidence.ability + 1.5 * evidence.sd).max())
    x = np.linspace(low, high, 61)
    return Curve(
        evidence.responses.items[item],
        tuple(x.tolist()),
        tuple(tuple(np.interp(x, evidence.nodes, row).tolist()) for row in reach),
        tuple(_groups(evidence, item, reach)),
    )


def _groups(evidence: Evidence, item: int, reach: Array) -> Iterator[Group]:
    """Up to eight groups of at least five agents, where there are that many."""
    agents = np.flatnonzero(evidence.trials[:, item] > 0)
    agents = agents[np.argsort(evidence.ability[agents], kind="stable")]
    expected = evidence.posterior @ reach.T
    # what the trials of one cell share widens the band as fewer trials would
    weight = np.maximum(evidence.weight[:, item], 1.0)
    for members in np.array_split(agents, int(np.clip(len(agents) // 5, 1, 8))):
        trials = evidence.trials[members, item].sum()
        counts = evidence.counts[members, item].sum(axis=0)
        share = evidence.trials[members, item] / trials
        hoped = share @ expected[members]
        variance = share**2 @ (expected * (1 - expected) / weight[:, None])[members]
        band = HALF * np.sqrt(variance)
        yield Group(
            float(evidence.ability[members].mean()),
            len(members),
            tuple((counts[::-1].cumsum()[::-1][1 : len(reach) + 1] / trials).tolist()),
            tuple(hoped.tolist()),
            tuple(np.maximum(hoped - band, 0.0).tolist()),
            tuple(np.minimum(hoped + band, 1.0).tolist()),
        )


_MEANING: dict[Shape, str] = {
    "flatter": "outcomes are noisier than its curve",
    "steeper": "outcomes follow ability more strictly than its curve",
    "upper plateau": "able agents fail it more often than its curve says",
    "lower plateau": "weak agents solve it more often than its curve says",
    "uneven": "outcomes do not rise with the total score as its curve does",
}
_ACTION: dict[Shape, str] = {
    "flatter": "check whether its grader or environment is unreliable, or whether it needs another "
    "ability than the rest",
    "steeper": "look for another item that asks the same, or a step that all of the able know",
    "upper plateau": "read the failures of the best agents: a broken test or an unclear statement "
    "would look like this",
    "lower plateau": "read how weak agents solved it: a shortcut or a lenient grader would look "
    "like this",
    "uneven": "compare the agents that lie off its curve: it may treat some of them differently",
}


def _flag(found: ItemFit, tail: _Tail | None) -> Flag:
    estimate, low, high = found.infit, found.infit_low, found.infit_high
    seen = f"infit {estimate:.2f} (90% interval {low:.2f} to {high:.2f}, 1 is as expected)"
    if tail:
        estimate, low, high = tail.score, tail.low, tail.high
        end = "most" if found.shape == "upper plateau" else "least"
        seen = (
            f"the {tail.agents} {end} able agents scored {estimate:.2f} on it (90% interval "
            f"{low:.2f} to {high:.2f}) where {tail.expected:.2f} was expected; infit "
            f"{found.infit:.2f}"
        )
    if not math.isnan(found.p_s_x2):
        seen += f", S-X² {found.s_x2:.1f} on {found.df} degrees of freedom"
    return Flag(
        kind="misfit",
        about="item",
        names=(found.item,),
        evidence=f"{_MEANING[found.shape]}: {seen}; {found.agents} agents",
        estimate=estimate,
        low=low,
        high=high,
        q=found.q,
        action=_ACTION[found.shape],
    )


def _cautions(evidence: Evidence, complete: int, agents: NDArray[np.intp]) -> tuple[str, ...]:
    found = []
    n = len(agents)
    few = int((agents < FEWEST_AGENTS).sum())
    if few == n:
        found.append(
            f"With at most {agents.max()} agents an item no misfit can be told from chance: "
            f"nothing is flagged below {FEWEST_AGENTS} agents"
        )
    elif few:
        found.append(
            f"{few} of {n} items have outcomes of fewer than {FEWEST_AGENTS} agents: their misfit "
            "is not judged"
        )
    if (answered := _answered(evidence)) < FEWEST_ITEMS and few < n:
        found.append(
            f"With outcomes on {answered} items a typical agent's ability leans on each of them: "
            f"infit is shown, but nothing is flagged for it below {FEWEST_ITEMS} items"
        )
    if complete == 0 and few < n:
        rows = int((evidence.trials > 0).all(axis=1).sum())
        found.append(
            f"S-X² needs agents with an outcome on every item; {rows} of {len(evidence.trials)} "
            f"have one and {FEWEST_AGENTS} are needed, so fit is judged by residuals alone"
        )
    elif 0 < complete < len(evidence.trials):
        found.append(
            f"S-X² is of the {complete} of {len(evidence.trials)} agents with an outcome on every "
            "item"
        )
    if complete and evidence.trials.max() > 1:
        found.append("S-X² takes one trial a cell, drawn at random; infit and outfit take all")
    return tuple(found)
