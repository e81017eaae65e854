"""How well each item tells strong agents from weak ones, and items that do so badly or backwards.

An item's score y between 0 and 1 is regressed on ability by a logistic curve,

    E(y | θ) = ε / 2 + (1 - ε) σ(a θ + d),

where a is its slope and ε the share of its outcomes that are chance: tosses of a coin, whoever
the agent is. The ability of an agent is its posterior from all *other* items. The likelihood is
Bernoulli's with a fractional outcome (Papke & Wooldridge 1996), in which a cell counts as as many
trials as give its score the variance that the bank says it has. So one formula serves repeated
trials and any number of categories, and slopes of all items are in one unit: logits of score an
ability. It is maximised over d, which comes close to averaging over a flat prior of the item's
mean score.

Every item is a draw from a mixture that the items themselves teach (empirical Bayes): sound ones,
whose log-slopes are normal; reversed ones, with such slopes below 0; flat ones, with slopes about
0; and noisy ones, sound but for a share of chance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, logsumexp

from harness.health.evidence import Evidence
from harness.health.flags import HALF, LEVEL, Flag, improbable
from harness.irt import Array

FEWEST_AGENTS = 10
"""Fewer agents than this, and no item is flagged."""
FEW_AGENTS = 30
"""Fewer agents than this, and only gross defects are seen."""
LOW = 1 / 3
"""A slope is low below this share of the typical one."""
NOISY = 0.3
"""A share of chance that is as bad as a low slope."""
SURE = 0.5
"""Posterior probability that a flag needs at least."""
WRONG = 0.1
"""Expected share of wrong ones among the flags. Half-random items and sound ones overlap so much
that fewer would cost most of the former."""

_POSITIVE = np.geomspace(0.08, 10.0, 24)
"""Slopes in units of one over the spread of the agents' abilities."""
_ALL = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])
_CHANCE = np.array([NOISY, 0.5, 0.7])
# the points at which an item may lie: sound, reversed, flat, noisy
_SLOPE = np.concatenate([_POSITIVE, -_POSITIVE, _ALL, np.tile(_POSITIVE, len(_CHANCE))])
_SHARE = np.concatenate(
    [np.zeros(2 * len(_POSITIVE) + len(_ALL)), np.repeat(_CHANCE, len(_POSITIVE))]
)
_SOUND, _REVERSED, _FLAT, _NOISY = range(4)
_KIND = np.repeat(
    [_SOUND, _REVERSED, _FLAT, _NOISY],
    [len(_POSITIVE), len(_POSITIVE), len(_ALL), len(_POSITIVE) * len(_CHANCE)],
)
_PRIOR_ITEMS = np.array([20.0, 0.5, 0.5, 2.0])
"""How many items of each kind were seen before, as it were."""
_CENTRE, _CENTRE_SD = float(np.log(1.5)), 0.5
"""Prior of the mean log-slope of sound items."""
_SPREAD, _SPREAD_ITEMS = 0.4, 8.0
"""Prior sd of their log-slopes, and how many items it weighs as much as."""
_ROUNDS = 60
_STEPS = 7
_CHUNK = 25
"""Items looked at at once, so that their arrays fit the processor's cache."""


@dataclass(frozen=True)
class ItemSlope:
    """What is known of one item's discrimination."""

    item: str
    slope: float
    """Posterior mean of ``(1 - ε) a``; NaN, as all but the correlation, where all cells score the
    same."""
    low: float
    high: float
    reversed: float
    """Posterior probability that strong agents do worse on it than weak ones."""
    weak: float
    """Posterior probability that it is none of these, but its slope is low or much is chance."""
    chance: float
    """Posterior mean of ε."""
    rest: float
    """Correlation of its score with the mean score on the other items; NaN where undefined."""
    rest_low: float
    rest_high: float


@dataclass(frozen=True)
class Slopes:
    """Discrimination of all items."""

    items: tuple[ItemSlope, ...]
    typical: float
    """Median slope of sound items, in logits of score an ability."""
    spread: float
    """Sd of their log-slopes."""
    bound: float
    """An item with a lower slope tells little."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_slopes(evidence: Evidence) -> Slopes:
    """Slope, share of chance and item–rest correlation of every item.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> ahead = rng.normal(size=40)[:, None] - np.linspace(-1.5, 1.5, 20)
    >>> right = rng.random(ahead.shape) < 1 / (1 + np.exp(-2 * ahead))
    >>> right[:, 7] = ~right[:, 7]
    >>> [(flag.kind, *flag.names) for flag in analyse_slopes(gather(from_matrix(right))).flags]
    [('reversed', 'item7')]
    """
    density = evidence.posterior.mean(axis=0)
    unit = float(np.sqrt(density @ (evidence.nodes - density @ evidence.nodes) ** 2))
    score = np.where(evidence.trials > 0, evidence.score, np.nan)
    varied = np.nanmax(score, axis=0) > np.nanmin(score, axis=0)
    likelihood = _log_likelihoods(evidence, unit)
    prior, centre, spread = _learn(likelihood[varied])
    log = prior + likelihood
    posterior = np.exp(log - logsumexp(log, axis=1, keepdims=True))
    typical = float(np.exp(centre)) / unit
    bound = LOW * typical
    value = (1 - _SHARE) * _SLOPE / unit
    backwards = _KIND == _REVERSED
    weak = ~backwards & ((_KIND == _NOISY) | (value < bound))
    found = np.stack(
        [
            posterior @ value,
            *_ends(value, posterior, unit),
            posterior @ backwards,
            posterior @ weak,
            posterior @ _SHARE,
        ]
    )
    found[:, ~varied] = np.nan
    rows = np.concatenate([found, np.stack(_item_rest(evidence))]).T.tolist()
    items = tuple(
        ItemSlope(name, *row) for name, row in zip(evidence.responses.items, rows, strict=True)
    )
    agents = len(evidence.responses.agents)
    flags = _flags(items, typical) if agents >= FEWEST_AGENTS else ()
    return Slopes(
        items, typical, spread, bound, flags, _cautions(agents, int((~varied).sum()), len(items))
    )


def _log_likelihoods(evidence: Evidence, unit: float) -> Array:
    """``(n, points)`` of each item at each point, from a slope, a share of chance and the best d.

    Abilities are projected on nodes that are coarse against the curves, by weights that keep
    their means.
    """
    density = evidence.posterior.mean(axis=0)
    below = np.cumsum(density)
    seen = evidence.nodes[(below > 1e-6) & (below < 1 - 1e-6)]
    low, high = seen[0] - 0.15 * unit, seen[-1] + 0.15 * unit
    nodes = np.linspace(low, high, 1 + int(np.ceil((high - low) / (0.15 * unit))))
    hats = np.stack([np.interp(evidence.nodes, nodes, one) for one in np.eye(len(nodes))], axis=1)
    x = (nodes - float(density @ evidence.nodes)) / unit
    # independent trials of a coin that would make each cell's score vary as the bank says
    coin = (evidence.expected * (1 - evidence.expected)) @ density
    cell = evidence.between @ density + evidence.within @ density / np.maximum(evidence.trials, 1)
    weight = np.where(evidence.trials > 0, coin / np.maximum(cell, 1e-12), 0.0)
    score = np.nan_to_num(evidence.score)
    n = score.shape[1]
    found = np.zeros((n, len(_SLOPE)))
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        abilities = np.stack([evidence.posterior_without(int(i)) @ hats for i in rows])
        data = abilities, score.T[rows], weight.T[rows]
        plain = _profile(x, *data, _ALL, 0.0)
        positive = len(_POSITIVE)
        noisy = [_profile(x, *data, _POSITIVE, float(chance)) for chance in _CHANCE]
        parts = (plain[:, positive + 1 :], plain[:, :positive][:, ::-1], plain, *noisy)
        found[rows] = np.concatenate(parts, axis=1)
    return found


def _profile(
    x: Array, abilities: Array, score: Array, weight: Array, slopes: Array, chance: float
) -> Array:
    """``(m, G)`` log-likelihood of m items at each slope, maximised over d by Fisher scoring."""
    mean = (weight * score).sum(axis=1) / weight.sum(axis=1)
    # averaging over abilities flattens a curve, as if the logistic were a normal one
    d = logit(np.clip(mean, 0.02, 0.98))[:, None] * np.sqrt(1 + slopes**2 / 2.9)
    score, weight = score[:, :, None], weight[:, :, None]
    for _ in range(_STEPS):
        curve = expit(slopes[:, None] * x + d[:, :, None]).transpose(0, 2, 1)
        p = np.clip(chance / 2 + (1 - chance) * (abilities @ curve), 1e-9, 1 - 1e-9)
        rise = (1 - chance) * (abilities @ (curve * (1 - curve)))
        slant = weight * rise / (p * (1 - p))
        step = (slant * (score - p)).sum(axis=1) / np.maximum((slant * rise).sum(axis=1), 1e-6)
        d = np.clip(d + np.clip(step, -1.5, 1.5), -40.0, 40.0)
    curve = expit(slopes[:, None] * x + d[:, :, None]).transpose(0, 2, 1)
    p = np.clip(chance / 2 + (1 - chance) * (abilities @ curve), 1e-9, 1 - 1e-9)
    return np.asarray((weight * (score * np.log(p) + (1 - score) * np.log1p(-p))).sum(axis=1))


def _learn(likelihood: Array) -> tuple[Array, float, float]:
    """Log-prior of the points, and mean and sd of the log-slopes of sound items."""
    log_slope = np.log(_POSITIVE)
    centre, spread, counts = _CENTRE, _SPREAD, _PRIOR_ITEMS
    prior = _log_prior(centre, spread, counts)
    for _ in range(_ROUNDS if len(likelihood) else 0):
        log = prior + likelihood
        weight = np.exp(log - logsumexp(log, axis=1, keepdims=True)).sum(axis=0)
        counts = _PRIOR_ITEMS + np.bincount(_KIND, weight)
        sound = weight[_KIND == _SOUND]
        pull = (spread / _CENTRE_SD) ** 2
        centre = float((sound @ log_slope + pull * _CENTRE) / (sound.sum() + pull))
        squares = sound @ (log_slope - centre) ** 2 + _SPREAD_ITEMS * _SPREAD**2
        spread = float(np.sqrt(squares / (sound.sum() + _SPREAD_ITEMS)))
        prior = _log_prior(centre, spread, counts)
    return prior, centre, spread


def _log_prior(centre: float, spread: float, counts: Array) -> Array:
    log_slope = np.log(_POSITIVE)
    sound = -0.5 * ((log_slope - centre) / spread) ** 2
    backwards = -0.5 * ((log_slope - centre) / max(spread, 0.7)) ** 2
    # on slopes that are not evenly spaced
    flat = -0.5 * (10 * _ALL / np.exp(centre)) ** 2 + np.log(np.gradient(_ALL))
    noisy = np.tile(sound, len(_CHANCE))
    parts = (part - logsumexp(part) for part in (sound, backwards, flat, noisy))
    return np.asarray(np.concatenate(list(parts)) + np.log(counts / counts.sum())[_KIND])


def _ends(value: Array, weight: Array, unit: float) -> tuple[Array, Array]:
    """``(n,)`` ends of the interval of values with weights ``(n, points)``, which are taken to lie
    evenly between the middles of neighbouring slopes."""
    edges = np.concatenate([_ALL[:1], (_ALL[1:] + _ALL[:-1]) / 2, _ALL[-1:]]) / unit
    within = np.clip(np.searchsorted(edges, value) - 1, 0, len(_ALL) - 1)
    inside = weight @ (within[:, None] == np.arange(len(_ALL)))
    below = np.pad(np.cumsum(inside, axis=1), ((0, 0), (1, 0)))
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.stack([np.interp(tails, row, edges) for row in below], axis=1)
    return low, high


def _item_rest(evidence: Evidence) -> tuple[Array, Array, Array]:
    """``(n,)`` correlations with their intervals by Fisher's z."""
    here = evidence.trials > 0
    score = np.nan_to_num(evidence.score)
    others = np.maximum(here.sum(axis=1, keepdims=True) - here, 1)
    rest = (score.sum(axis=1, keepdims=True) - score) / others
    count = here.sum(axis=0)
    x, y = (
        np.where(here, values - np.where(here, values, 0.0).sum(axis=0) / count, 0.0)
        for values in (score, rest)
    )
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    known = (scale > 1e-9) & (count > 4)
    r = np.where(known, (x * y).sum(axis=0) / np.where(known, scale, 1.0), np.nan)
    half = HALF / np.sqrt(np.maximum(count - 3, 1))
    z = np.arctanh(np.clip(r, -0.9999, 0.9999))
    return r, np.tanh(z - half), np.tanh(z + half)


def _flags(items: tuple[ItemSlope, ...], typical: float) -> tuple[Flag, ...]:
    bad = np.nan_to_num([one.reversed + one.weak for one in items])
    # an interval far beyond the typical slope says nothing against an item
    open_ = np.array([not one.high < 1.5 * typical for one in items])
    chosen: NDArray[np.bool_] = improbable(1 - bad, WRONG) & (bad > SURE) & ~open_
    order = sorted(np.flatnonzero(chosen), key=lambda i: -bad[i])
    return tuple(_flag(items[i], typical) for i in order)


def _flag(one: ItemSlope, typical: float) -> Flag:
    seen = (
        f"slope {one.slope:.2f} (90% interval {one.low:.2f} to {one.high:.2f}), where a typical "
        f"item has {typical:.2f}"
    )
    if one.rest == one.rest:
        seen += (
            f"; item–rest correlation {one.rest:.2f} ({one.rest_low:.2f} to {one.rest_high:.2f})"
        )
    if one.reversed > one.weak:
        return Flag(
            "reversed",
            "item",
            (one.item,),
            f"strong agents do worse on it than weak ones, with probability {one.reversed:.0%}: "
            f"{seen}",
            one.slope,
            one.low,
            one.high,
            1 - one.reversed - one.weak,
            "Look for a wrong key, inverted tests or a scale the other way round; keep it out of "
            "the score until then",
        )
    if one.chance > NOISY / 2:
        seen += f"; {one.chance:.0%} of its outcomes look like tosses of a coin"
    return Flag(
        "low discrimination",
        "item",
        (one.item,),
        f"says little of ability, with probability {one.reversed + one.weak:.0%}: {seen}",
        one.slope,
        one.low,
        one.high,
        1 - one.reversed - one.weak,
        "Read traces of strong agents that fail it and weak ones that solve it; repair its tests, "
        "or drop it",
    )


def _cautions(agents: int, constant: int, n: int) -> tuple[str, ...]:
    found = []
    if agents < FEWEST_AGENTS:
        found.append(
            f"With {agents} agents no item's slope can be told from another's: none is flagged "
            f"below {FEWEST_AGENTS} agents."
        )
    elif agents < FEW_AGENTS:
        found.append(
            f"With {agents} agents only gross defects show: an item that is not flagged may still "
            "be a coin flip. Read the intervals."
        )
    if constant:
        found.append(
            f"{constant} of {n} items score the same for every agent: nothing is known of their "
            "slopes."
        )
    return tuple(found)
