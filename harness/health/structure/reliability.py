"""How reliably the benchmark tells agents apart, and how precise it is along ability."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from harness.bank import compile_bank
from harness.health.evidence import Evidence
from harness.health.flags import Flag
from harness.irt import Array

ENOUGH = 0.8
"""Reliability below which agents are not told apart well (Nunnally and Bernstein 1994)."""
FEWEST_AGENTS = 15
"""For a flag."""
_DRAWS = 1000
_SEED = 20001
_ENDS = (0.05, 0.95)


# --- coefficients -----------------------------------------------------------------------------


def marginal_reliability(information: Array, weights: Array, variance: float) -> float:
    """Share of the variance of abilities that is no error, on average over the population (Green
    et al. 1984, as mirt computes it): the mean of ``I/(I + 1/variance)``.

    Args:
        information: ``(Q,)`` of the test at each node.
        weights: ``(Q,)`` of the nodes in the population; they sum to 1.
        variance: of ability in the population.

    >>> marginal_reliability(np.array([9.0]), np.array([1.0]), 1.0)
    0.9
    """
    return float(weights @ (information / (information + 1 / variance)))


def empirical_reliability(ability: Array, sd: Array) -> float:
    """Variance of the estimates over that and the mean squared error (Bock and Mislevy 1982); NaN
    where there is neither.

    >>> empirical_reliability(np.array([-1.0, 0.0, 1.0]), np.full(3, 0.5))
    0.8
    """
    spread = float(ability.var(ddof=1))
    total = spread + float((sd**2).mean())
    return spread / total if total > 0 else math.nan


def alpha(score: Array) -> float:
    """Cronbach's α of ``(A, n)`` scores; NaN where the sums do not vary.

    >>> round(alpha(np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])), 3)
    0.667
    """
    n = score.shape[1]
    total = float(score.sum(axis=1).var(ddof=1))
    if total <= 0 or n < 2:
        return math.nan
    return float(n / (n - 1)) * (1 - float(score.var(axis=0, ddof=1).sum()) / total)


def omega(expected: Array, variance: Array, weights: Array) -> float:
    """Categorical ω: share of the variance of the sum score that ability makes, by the fitted
    curves (Green and Yang 2009).

    Args:
        expected: ``(n, Q)`` expected score.
        variance: ``(n, Q)`` its variance given ability.
        weights: ``(Q,)`` of the nodes in the population; they sum to 1.
    """
    total = expected.sum(axis=0)
    by_ability = float(weights @ (total - float(weights @ total)) ** 2)
    return by_ability / (by_ability + float(weights @ variance.sum(axis=0)))


# --- the analysis -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Coefficient:
    """A reliability with its interval of 90%; NaN where it cannot be known."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """How reliably agents are told apart."""

    empirical: Coefficient
    """Of these agents, from their estimates and standard errors."""
    marginal: float
    """Of agents from the population of the scale, with every item given as often as here."""
    alpha: Coefficient
    omega: float
    complete: int
    """Agents with an outcome on every item: those that α is of."""
    strata: float
    """Groups of agents that can be told apart (Wright and Masters 1982)."""
    ability: tuple[float, ...]
    """Of the curve of standard errors."""
    error: tuple[float, ...]
    """Standard error of ability with all items, without a prior."""
    abilities: tuple[float, ...]
    """Of the agents."""
    errors: tuple[float, ...]
    """Posterior sd of the agents."""
    best: float
    """Ability at which the standard error is least."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_reliability(evidence: Evidence) -> Reliability:
    """Reliability in several senses, and standard errors along ability."""
    agents = len(evidence.ability)
    weights = np.exp(evidence.log_prior)
    variance = float(weights @ evidence.nodes**2 - (weights @ evidence.nodes) ** 2)
    information = information_of_test(evidence)
    rng = np.random.default_rng(_SEED)
    value = empirical_reliability(evidence.ability, evidence.sd)
    again = rng.integers(agents, size=(_DRAWS, agents))
    spread = evidence.ability[again].var(axis=1, ddof=1)
    drawn = spread / (spread + (evidence.sd[again] ** 2).mean(axis=1))
    low, high = np.quantile(drawn, _ENDS).tolist()
    empirical = Coefficient(value, low, high)

    complete = (evidence.trials > 0).all(axis=1)
    n_complete = int(complete.sum())
    trials = _trials(evidence)
    spare = evidence.between + evidence.within / trials[:, None]
    error = 1 / np.sqrt(np.maximum(information, 1e-6))
    near = (evidence.nodes >= evidence.ability.min() - 1) & (
        evidence.nodes <= evidence.ability.max() + 1
    )
    shown = np.flatnonzero(near)
    shown = shown[:: max(1, len(shown) // 120)]
    ratio = min(value, 1 - 1e-9)
    return Reliability(
        empirical=empirical,
        marginal=marginal_reliability(information, weights, variance),
        alpha=_alpha(evidence.score[complete]) if n_complete >= 3 else _UNKNOWN,
        omega=omega(evidence.expected, spare, weights),
        complete=n_complete,
        strata=(4 * math.sqrt(ratio / (1 - ratio)) + 1) / 3,
        ability=tuple(evidence.nodes[shown].tolist()),
        error=tuple(error[shown].tolist()),
        abilities=tuple(evidence.ability.tolist()),
        errors=tuple(evidence.sd.tolist()),
        best=float(evidence.nodes[int(np.argmax(information))]),
        flags=(_flag(empirical, agents),) if high < ENOUGH and agents >= FEWEST_AGENTS else (),
        cautions=_cautions(evidence, n_complete),
    )


_UNKNOWN = Coefficient(math.nan, math.nan, math.nan)


def information_of_test(evidence: Evidence) -> Array:
    """``(Q,)`` Fisher information about ability of all items, each with its usual trials.

    An item with an effect of its own on each agent tells what its mean score tells: trials of one
    cell are not independent.
    """
    trials = _trials(evidence)
    table = compile_bank(evidence.bank, evidence.nodes[:, None], uncertainty=False)
    slope = np.gradient(evidence.expected, evidence.nodes, axis=1)
    shared = evidence.between + evidence.within / trials[:, None]
    of_mean = slope**2 / np.maximum(shared, 1e-12)
    alone = np.array([item.effect_sd == 0 for item in evidence.bank.items])
    one = np.where(alone[:, None], table.information * trials[:, None], of_mean)
    return np.asarray(one.sum(axis=0))


def _trials(evidence: Evidence) -> Array:
    """``(n,)`` usual number of trials of each item: the median over the agents that it has."""
    tried = np.where(evidence.trials > 0, evidence.trials, np.nan)
    return np.asarray(np.nanmedian(tried, axis=0))


def _alpha(score: Array) -> Coefficient:
    """α with Feldt's (1965) interval."""
    agents, n = score.shape
    value = alpha(score)
    if math.isnan(value):
        return _UNKNOWN
    free = agents - 1, (agents - 1) * (n - 1)
    low, high = (1 - (1 - value) * float(f_distribution.ppf(end, *free)) for end in (0.95, 0.05))
    return Coefficient(value, low, high)


def _flag(found: Coefficient, agents: int) -> Flag:
    return Flag(
        kind="unreliable",
        about="benchmark",
        names=(),
        evidence=(
            f"reliability {found.value:.2f} (90% interval {found.low:.2f} to {found.high:.2f}) "
            f"over {agents} agents; {ENOUGH} is the least for telling agents apart"
        ),
        estimate=found.value,
        low=found.low,
        high=found.high,
        q=0.0,
        action="add items where the agents are, or trials; do not rank agents that lie close",
    )


def _cautions(evidence: Evidence, complete: int) -> tuple[str, ...]:
    found = []
    agents = len(evidence.ability)
    if agents < FEWEST_AGENTS:
        found.append(
            f"{agents} agents say little of how agents differ: reliability is of these agents, not "
            "of others, and nothing is flagged"
        )
    if complete < 3:
        found.append(
            f"α needs 3 agents with an outcome on every item; {complete} of {agents} have one"
        )
    elif complete < agents:
        found.append(f"α is of the {complete} of {agents} agents with an outcome on every item")
    return tuple(found)
