"""Which kinds of tasks agents fail more or less than their abilities say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from harness.ability import normalise
from harness.explain.contrasts import Contrast, Contrasts
from harness.explain.effects import (
    Likelihoods,
    Posteriors,
    Spread,
    effect_values,
    learn,
    marginal,
    posterior,
    spread_of,
)
from harness.explain.outcomes import Indices, Outcomes
from harness.explain.strengths import Strengths, fit_strengths, weigh
from harness.health.flags import adjusted
from harness.irt import Array

_UNIT = {"group": 1.0, "sd": 0.5}
"""Sds of ability that effects reach a third of at most: of a number they are per sd, and less."""
_MOST_AGENTS = 200
"""That priors are learned from."""
_BASE = 0.3
"""Sd of the error of an ability, in sds of the population, that the joint estimate allows for."""


@dataclass(frozen=True)
class KindEffect:
    """One kind of tasks, for one agent."""

    name: str
    source: str
    unit: str
    """``group``: tasks of the kind against the agent's other tasks. ``sd``: one sd more of it."""
    items: int
    """Answered items of the kind; of a number those above its mean."""
    observed: float
    """Sum of the scores on them: passes, where there are two categories."""
    expected: float
    """That the agent's other outcomes say."""
    mean: float
    """Effect, as a shift of ability: above 0 the agent is better at the kind than elsewhere."""
    sd: float
    low: float
    high: float
    direction: float
    """Probability that the effect has the sign of its mean."""
    false_sign: float
    """Probability that the likelier sign is wrong, an effect of nought included."""
    joint: float
    """Effect with all the other kinds held fixed; NaN where that was not estimated, as its
    interval."""
    joint_low: float
    joint_high: float


@dataclass(frozen=True)
class Difference:
    """How far agents lie apart in one kind of tasks, given their abilities."""

    name: str
    source: str
    unit: str
    items: int
    sd: float
    low: float
    high: float
    p: float
    q: float
    """Adjusted for the number of kinds."""


@dataclass(frozen=True)
class Shared:
    """What effects of one source are like, over all kinds and agents."""

    source: str
    unit: str
    kinds: int
    sd: float


@dataclass(frozen=True, eq=False)
class KindsFound:
    """Effects of J kinds on A agents, and what can be said of all agents."""

    contrasts: tuple[Contrast, ...]
    agents: Indices
    """``(A,)`` positions of the agents that were looked at."""
    posteriors: tuple[Posteriors, ...]
    """Of each kind, over the agents."""
    differences: tuple[Difference, ...]
    shared: tuple[Shared, ...]
    rows: "_Rows"
    """All kinds at once."""

    def strengths(self) -> Strengths | None:
        """All kinds at once, for all agents; None without any."""
        if not self.contrasts:
            return None
        r = self.rows
        return fit_strengths(
            r.offset, r.score, r.x, slope=r.slope, trials=r.trials, base_sd=r.base_sd
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a regression of all kinds at once is fitted to."""

    offset: Array
    """``(A, n)`` logits of the expected scores, by ability alone."""
    score: Array
    trials: Array
    """``(A, n)`` of a coin, that each score is worth."""
    slope: Array
    """``(n,)`` of the logits."""
    x: Array
    """``(n, J)``."""
    base_sd: float


def find_kinds(outcomes: Outcomes, contrasts: Contrasts, agent: int | None = None) -> KindsFound:
    """Effects of all kinds, one at a time against all other tasks, and all at once.

    Args:
        contrasts: over the items of the bank.
        agent: one that must be among those that are looked at, where there are very many.
    """
    agents = _some(outcomes, agent)
    found: list[Posteriors | None] = [None] * len(contrasts.all)
    spreads: dict[int, Spread] = {}
    shared = []
    sd = float(outcomes.bank.sd[0])
    for (source, unit), positions in contrasts.by_source().items():
        at = effect_values(_UNIT[unit] * sd)
        parts = [_likelihoods(outcomes, contrasts.all[j], agents, at) for j in positions]
        priors = learn(parts)
        spread = float(np.sqrt(np.mean([prior.spread**2 for prior in priors])))
        shared.append(Shared(source, unit, len(parts), spread))
        for j, part, prior in zip(positions, parts, priors, strict=True):
            found[j], spreads[j] = posterior(part, prior), spread_of(part)
    q = adjusted([spreads[j].p for j in range(len(found))]) if found else np.zeros(0)
    differences = tuple(
        Difference(
            *(one.name, one.source, one.unit, len(one.members)),
            *(spreads[j].sd, spreads[j].low, spreads[j].high, spreads[j].p, float(q[j])),
        )
        for j, one in enumerate(contrasts.all)
    )
    return KindsFound(
        contrasts.all,
        agents,
        tuple(one for one in found if one is not None),
        differences,
        tuple(shared),
        _rows(outcomes, contrasts.all, agents, agent),
    )


def of_agent(
    outcomes: Outcomes, found: KindsFound, agent: int, level: float
) -> tuple[KindEffect, ...]:
    """All kinds for one agent, those whose sign is surest first."""
    row = int(np.flatnonzero(found.agents == agent)[0])
    cells = outcomes.cells_of(agent=agent)
    item, score = outcomes.item[cells], outcomes.score[outcomes.pattern[cells]]
    tail = (1 - level) / 2
    effects = []
    joint = _joint(found, row, level)
    for j, (one, post) in enumerate(zip(found.contrasts, found.posteriors, strict=True)):
        inside = one.x[item] > 0
        mean, below, above = (float(v[row]) for v in (post.mean, post.below, post.above))
        effects.append(
            KindEffect(
                *(one.name, one.source, one.unit, int(inside.sum()), float(score[inside].sum())),
                _expected(outcomes, agent, item[inside]),
                *(mean, float(post.sd[row])),
                *(float(post.quantile(tail)[row]), float(post.quantile(1 - tail)[row])),
                above if mean >= 0 else below,
                float(post.false_sign[row]),
                *joint[j],
            )
        )
    return tuple(sorted(effects, key=lambda one: (one.false_sign, -abs(one.mean))))


def _some(outcomes: Outcomes, agent: int | None) -> Indices:
    seen = np.flatnonzero(outcomes.answered)
    if len(seen) <= _MOST_AGENTS:
        return seen
    chosen = seen[np.linspace(0, len(seen) - 1, _MOST_AGENTS).astype(int)]
    return chosen if agent is None else np.unique(np.append(chosen, agent))


def _likelihoods(outcomes: Outcomes, one: Contrast, agents: Indices, at: Array) -> Likelihoods:
    by_level = outcomes.by_level(one.level, len(one.values))[agents]
    log_l = marginal(by_level, one.values, outcomes.nodes, outcomes.log_prior, at)
    return Likelihoods(at, outcomes.sharpness * log_l)


def _expected(outcomes: Outcomes, agent: int, items: Indices) -> float:
    """Sum of the scores on some items, by the agent's outcomes on all others."""
    inside = np.zeros(len(outcomes.items), np.intp)
    inside[items] = 1
    rest = outcomes.by_level(inside, 2)[agent, 0]
    return float(normalise(rest + outcomes.log_prior) @ outcomes.expected[items].sum(axis=0))


def _rows(
    outcomes: Outcomes, contrasts: Sequence[Contrast], agents: Indices, agent: int | None
) -> _Rows:
    around = outcomes.ability[:, 0][agents]
    centre = float(outcomes.ability[agent, 0]) if agent is not None else float(around.mean())
    step = 0.1 * float(outcomes.bank.sd[0])
    logits = logit(np.clip(outcomes.expected, 1e-6, 1 - 1e-6))
    at = np.concatenate([around, [centre - step, centre + step]])
    curve = np.array([np.interp(at, outcomes.nodes, row) for row in logits]).T
    x = np.column_stack([one.x for one in contrasts]) if contrasts else np.zeros((len(logits), 0))
    return _Rows(
        curve[:-2],
        *_scores(outcomes, agents),
        (curve[-1] - curve[-2]) / (2 * step),
        x,
        _BASE * float(outcomes.bank.sd[0]),
    )


def _scores(outcomes: Outcomes, agents: Indices) -> tuple[Array, Array]:
    """``(A, n)`` mean scores, NaN where missing, and the trials of a coin that each is worth."""
    table = outcomes.bank.table
    score = np.full((len(outcomes.agents), len(outcomes.items)), np.nan)
    score[outcomes.agent, outcomes.item] = outcomes.score[outcomes.pattern]
    attempts = np.zeros(score.shape)
    attempts[outcomes.agent, outcomes.item] = outcomes.counts.sum(axis=1)[outcomes.pattern]
    mean = table.expected_score
    single = np.einsum("nk,nkq->nq", table.scores**2, table.p) - mean**2
    density = np.exp(outcomes.log_prior)
    ratio = (mean * (1 - mean)) @ density / np.maximum(single @ density, 1e-9)
    # trials of a cell share its effect: correlation on the scale of logits
    spread = np.array([item.effect_sd for item in outcomes.bank.items]) ** 2
    alike = spread / (spread + np.pi**2 / 3)
    worth = attempts * ratio / (1 + np.maximum(attempts - 1, 0) * alike)
    return score[agents], worth[agents]


def _joint(found: KindsFound, row: int, level: float) -> list[tuple[float, float, float]]:
    """Of each kind the effect with all others held fixed, and its interval: by ridge, each kind
    with the variance of the part of its prior that it belongs to."""
    from scipy.special import ndtri

    if len(found.contrasts) < 2:
        return [(float("nan"),) * 3] * len(found.contrasts)
    r = found.rows
    prior_sd = np.sqrt([float(one.prior_variance[row]) for one in found.posteriors])
    mean, sd = weigh(
        *(r.offset[row], r.score[row], r.x, prior_sd),
        slope=r.slope,
        trials=r.trials[row],
        base_sd=r.base_sd,
    )
    half = float(ndtri(0.5 + level / 2)) * sd
    return list(zip(mean.tolist(), (mean - half).tolist(), (mean + half).tolist(), strict=True))
