"""Items that every agent solves or none does, and a test that is too easy or too hard as a whole.

An item that n agents failed has a rate among such agents below the upper end of Jeffreys' interval
(Brown, Cai & DasGupta 2001); with few agents that is no news, and nothing is concluded.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv, log_expit, ndtr

from harness.health.evidence import Evidence
from harness.health.flags import HALF, LEVEL, Flag, Kind
from harness.health.items.gaps import information, typical_slope
from harness.irt import Array

RARE = 0.1
"""A rate that must be ruled out before an item counts as never, or always, solved."""
AHEAD = 0.5
"""How much better than the best agent a new one is taken to be, in sds of ability."""
TELL = 0.8
"""Probability of ranking it above the best that a test with headroom gives."""
FULL = 0.95
"""A share of all points beyond which the best agent's own estimate is enough to say so."""
FEWEST_AGENTS = 10
"""Fewer agents say nothing of the ends of a test."""
NOISE = 0.05
"""Agents are within noise when the one ranked lower is the better with at least this
probability."""

State = Literal["never", "always", "one category", ""]


@dataclass(frozen=True)
class ItemShare:
    """How often one item is solved, or what share of its score agents earn."""

    item: str
    agents: int
    share: float
    """Mean score of the agents."""
    low: float
    high: float
    """Interval for agents such as these."""
    state: State
    """Every outcome is of the lowest, the highest, or one middle category."""
    concluded: bool
    """The interval rules out a rate of :data:`RARE` the other way."""


@dataclass(frozen=True)
class End:
    """The upper or the lower end of the whole test."""

    agent: str
    """The best, or the worst, by ability."""
    score: float
    ability: float
    within_noise: int
    """Agents that cannot be told from it, itself included."""
    extreme: int
    """Agents with the highest, or the lowest, score there is."""
    tell: float
    """Probability that the test ranks rightly an agent that is :data:`AHEAD` beyond it."""
    tell_low: float
    tell_high: float


@dataclass(frozen=True)
class Saturation:
    """Items at the ends of the scale, and the ends of the test."""

    items: tuple[ItemShare, ...]
    above: float
    """Difficulty that items which were never solved exceed: a typical item that is easier would
    have been solved by somebody with a probability of 95%."""
    below: float
    """In the same way, items that were always solved are easier than this."""
    tell_peak: float
    """As ``tell`` of the ends, at the ability where the test measures best."""
    top: End
    bottom: End
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_saturation(evidence: Evidence) -> Saturation:
    """Never and always solved items, ceiling and floor.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> right = rng.random((40, 12)) < np.linspace(0.2, 0.8, 12)
    >>> right[:, 3] = False
    >>> [(flag.kind, *flag.names) for flag in analyse_saturation(gather(from_matrix(right))).flags]
    [('never solved', 'item3')]
    """
    items = _items(evidence)
    theta, slope = evidence.ability, typical_slope(evidence)
    b = np.linspace(evidence.nodes[0], evidence.nodes[-1], 801)
    ahead = slope * (theta[:, None] - b)
    # log-probabilities that no agent solves, and that all do, an item of each difficulty
    none, every = log_expit(-ahead).sum(axis=0), log_expit(ahead).sum(axis=0)
    above = float(np.interp(np.log(0.05), none, b))
    below = float(np.interp(-np.log(0.05), -every, b))
    tells = _tells(evidence)
    top, bottom = _end(evidence, tells, 1), _end(evidence, tells, -1)
    peak = float(max(tells[0].max(), tells[1].max()))
    flags, cautions = _item_flags(items, above, below)
    if len(theta) >= FEWEST_AGENTS:
        flags += _end_flags(top, bottom, peak, len(theta))
    else:
        cautions += (
            f"With {len(theta)} agents nothing is concluded of a ceiling or a floor of the test: "
            f"it takes {FEWEST_AGENTS}.",
        )
    return Saturation(items, above, below, peak, top, bottom, flags, cautions)


def _items(evidence: Evidence) -> tuple[ItemShare, ...]:
    agents = (evidence.trials > 0).sum(axis=0)
    score = np.nan_to_num(evidence.score).sum(axis=0)
    share = score / agents
    tail = (1 - LEVEL) / 2
    low, high = (betaincinv(score + 0.5, agents - score + 0.5, end) for end in (tail, 1 - tail))
    seen = evidence.counts.sum(axis=0)
    top = evidence.responses.n_categories - 1
    found = []
    for i, name in enumerate(evidence.responses.items):
        used = np.flatnonzero(seen[i])
        state: State = ""
        concluded = False
        if used[-1] == 0:
            state, concluded = "never", bool(high[i] < RARE)
        elif used[0] == top[i]:
            state, concluded = "always", bool(low[i] > 1 - RARE)
        elif len(used) == 1:
            state, concluded = "one category", bool(_rate(0.0, agents[i]) < RARE)
        found.append(
            ItemShare(
                name,
                int(agents[i]),
                float(share[i]),
                float(low[i]),
                float(high[i]),
                state,
                concluded,
            )
        )
    return tuple(found)


def _rate(hits: float, agents: int) -> float:
    """Upper end of the interval of a rate."""
    return float(betaincinv(hits + 0.5, agents - hits + 0.5, (1 + LEVEL) / 2))


def _tells(evidence: Evidence) -> tuple[Array, Array]:
    """``(Q,)`` at each ability, the probability that the test ranks rightly an agent that is
    :data:`AHEAD` above it, and one below it."""
    density = evidence.posterior.mean(axis=0)
    sd = float(np.sqrt(density @ (evidence.nodes - density @ evidence.nodes) ** 2))
    variance = 1 / np.maximum(information(evidence), 1e-12)
    beyond = [
        np.interp(evidence.nodes + side * AHEAD * sd, evidence.nodes, variance) for side in (1, -1)
    ]
    up, down = (np.asarray(ndtr(AHEAD * sd / np.sqrt(variance + v))) for v in beyond)
    return up, down


def _end(evidence: Evidence, tells: tuple[Array, Array], side: Literal[1, -1]) -> End:
    theta, sd = evidence.ability, evidence.sd
    at = int(np.argmax(side * theta))
    behind = side * (theta[at] - theta) / np.sqrt(sd[at] ** 2 + sd**2)
    score = np.nanmean(np.where(evidence.trials > 0, evidence.score, np.nan), axis=1)
    tell = tells[0] if side == 1 else tells[1]
    half = HALF * sd[at]
    here, *ends = np.interp(theta[at] + half * np.array([0, -1, 1]), evidence.nodes, tell)
    return End(
        agent=evidence.responses.agents[at],
        score=float(score[at]),
        ability=float(theta[at]),
        within_noise=int((ndtr(-behind) >= NOISE).sum()),
        extreme=int((score == (1.0 if side == 1 else 0.0)).sum()),
        tell=float(here),
        tell_low=float(min(ends)),
        tell_high=float(max(ends)),
    )


def _item_flags(
    items: tuple[ItemShare, ...], above: float, below: float
) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    texts: tuple[tuple[State, Kind, str, str], ...] = (
        (
            "never",
            "never solved",
            f"never earned anything; a typical item of this kind is harder than {above:.2f}",
            "Prove with a reference solution that each can be solved; keep those that can for "
            "stronger agents, repair or drop the others",
        ),
        (
            "always",
            "always solved",
            f"always earned all; a typical item of this kind is easier than {below:.2f}",
            "Drop them from runs with agents such as these: they cost and tell nothing",
        ),
        (
            "one category",
            "unused category",
            "always got one and the same middle category",
            "Read what the grader does on them: it may give that category whatever happens",
        ),
    )
    flags, cautions = [], []
    for state, kind, seen, action in texts:
        them = [item for item in items if item.state == state]
        sure = [item for item in them if item.concluded]
        open_ = [item for item in them if not item.concluded]
        if sure:
            agents = [item.agents for item in sure]
            between = _between(min(agents), max(agents))
            worst = _rate(0.0, min(agents))
            flags.append(
                Flag(
                    kind,
                    "items",
                    tuple(item.item for item in sure),
                    f"{len(sure)} of {len(items)} items ({len(sure) / len(items):.1%}) {seen}; "
                    f"{between} agents tried each, so that another outcome has a rate of less than "
                    f"{worst:.1%} among agents such as these",
                    len(sure) / len(items),
                    float("nan"),
                    float("nan"),
                    0.0,
                    action,
                )
            )
        if open_:
            agents = [item.agents for item in open_]
            cautions.append(
                f"{len(open_)} of {len(items)} items {seen.partition(';')[0]}, but only "
                f"{_between(min(agents), max(agents))} agents tried each: another outcome may have "
                f"a rate of up to {_rate(0.0, min(agents)):.0%}, so nothing is concluded."
            )
    return tuple(flags), tuple(cautions)


def _between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _end_flags(top: End, bottom: End, peak: float, agents: int) -> tuple[Flag, ...]:
    """Ends where the test cannot tell agents apart although it can elsewhere, or where many agents
    have the best score there is, or the worst."""
    flags = []
    ends: tuple[tuple[Kind, End, str, str, str], ...] = (
        (
            "ceiling",
            top,
            "better",
            "best",
            "Write tasks that the best agent fails, or report it as a tie at the top",
        ),
        (
            "floor",
            bottom,
            "worse",
            "worst",
            "Write easier tasks if agents as weak as these are to be told apart",
        ),
    )
    for kind, end, way, name, action in ends:
        # one weak agent is no reason to write easier tasks
        enough = kind == "ceiling" or end.within_noise >= max(2, 0.1 * agents)
        extreme = end.score if kind == "ceiling" else 1 - end.score
        sure = end.tell_high < TELL or (end.tell < TELL and extreme > FULL)
        crowded = end.extreme >= max(2, 0.1 * agents)
        if not ((peak >= TELL and sure and enough) or crowded):
            continue
        flags.append(
            Flag(
                kind,
                "benchmark",
                (end.agent,),
                f"an agent {way} by half a spread than the {name} one, {end.agent} with a score of "
                f"{end.score:.1%}, would be ranked rightly with a probability of {end.tell:.0%} "
                f"(90% interval {end.tell_low:.0%} to {end.tell_high:.0%}), against {peak:.0%} "
                f"where the test measures best; {end.within_noise} of {agents} agents are within "
                f"noise of it, and {end.extreme} have the {name} score there is",
                end.tell,
                end.tell_low,
                end.tell_high,
                0.0,
                action,
            )
        )
    return tuple(flags)
