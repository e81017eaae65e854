"""What one benchmark says of models: abilities with their errors, over all their scaffolds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from harness.bank import ItemBank
from harness.errors import InputError
from harness.estimate import draw_abilities, estimate_abilities
from harness.health.evidence import gather
from harness.irt import Array
from harness.responses import Responses

_DRAWS = 1000
_KNOWN = 0.999
"""Share of the prior variance up to which a posterior tells something."""


@dataclass(frozen=True, eq=False)
class Measure:
    """Abilities of k keys (agents, or models over their scaffolds) on one benchmark.

    A key with several agents has their mean; what agents of one key differ by beyond the error of
    measurement counts as error, as other scaffolds could have been chosen.
    """

    name: str
    keys: tuple[str, ...]
    agents: tuple[tuple[str, ...], ...]
    """Of each key."""
    score: Array
    """``(k,)`` mean score over items."""
    ability: Array
    """``(k,)`` posterior means."""
    sd: Array
    """``(k,)`` posterior sds, the spread of scaffolds counted in."""
    estimate: Array
    """``(k,)`` estimates that the prior does not shrink."""
    error: Array
    """``(k,)`` variances of their errors, the spread of scaffolds counted in."""
    draws: Array
    """``(S, k)`` of the posteriors."""
    spread: float
    """Sd between agents of one key; NaN where every key has a single agent."""
    items: tuple[str, ...]
    source: str
    sha256: str
    tested: int
    """Agents of the benchmark, matched or not."""
    notes: tuple[str, ...]

    def at(self, keys: Sequence[str]) -> NDArray[np.intp]:
        """Positions of keys."""
        place = {key: position for position, key in enumerate(self.keys)}
        return np.array([place[key] for key in keys], np.intp)


def measure(
    name: str,
    responses: Responses,
    keys: Mapping[str, str],
    bank: ItemBank | None = None,
    *,
    seed: int = 0,
) -> Measure:
    """Abilities of matched agents on a bank, which is calibrated on all agents unless given.

    The posterior of an agent, N(m, s²), and its prior N(μ, σ²) give the estimate that the data
    alone make: 1/v = 1/s² - 1/σ² and y = v (m/s² - μ/σ²), where doubt about item parameters is in
    s already.

    Args:
        keys: of agents; others calibrate the bank and are not compared.

    Raises:
        ResponsesError: fewer than two agents or items are left; see
            :func:`harness.health.evidence.gather`.
        BankError: the bank has several abilities.
    """
    evidence = gather(responses, bank)
    found = evidence.responses
    matched = [agent for agent in found.agents if agent in keys]
    lost = [agent for agent in responses.agents if agent in keys and agent not in found.agents]
    subset = found.subset(agents=matched)
    group = [keys[agent] for agent in matched]
    names = tuple(dict.fromkeys(sorted(group)))
    of = np.array([names.index(key) for key in group], np.intp)
    if not matched:
        nothing = np.empty(0)
        values = (nothing, nothing, nothing, nothing, nothing, np.empty((_DRAWS, 0)), math.nan)
    else:
        values = _gathered(evidence.bank, subset, of, seed)
    notes = evidence.notes
    if lost:
        notes += (f"{len(lost)} of the matched agents are not compared: too few answers",)
    return Measure(
        name,
        names,
        tuple(tuple(a for a, key in zip(matched, group, strict=True) if key == n) for n in names),
        *values,
        found.items,
        responses.source,
        responses.sha256,
        len(found.agents),
        notes,
    )


def unmeasured(name: str, responses: Responses, keys: Mapping[str, str]) -> Measure:
    """Who there is, where abilities are not asked for: they are NaN."""
    names = tuple(sorted(set(keys.values())))
    unknown = np.full(len(names), math.nan)
    members = tuple(tuple(a for a, key in keys.items() if key == n) for n in names)
    return Measure(
        *(name, names, members, unknown, unknown, unknown, unknown, unknown),
        *(np.empty((0, len(names))), math.nan, responses.items, responses.source),
        *(responses.sha256, len(responses.agents), ()),
    )


def column_measure(name: str, numbers: Mapping[str, float]) -> Measure:
    """Numbers of keys as a measure without error, standardised.

    Raises:
        InputError: there are none, or all are equal.
    """
    if not numbers:
        raise InputError(
            f"--given {name}: it is neither a benchmark nor a column with numbers in the mapping"
        )
    keys = tuple(sorted(numbers))
    values = np.array([numbers[key] for key in keys])
    if np.ptp(values) == 0:
        raise InputError(f"--given {name}: all numbers are {values[0]:g}, nothing to hold fixed")
    scaled = (values - values.mean()) / values.std()
    nothing = np.zeros(len(keys))
    return Measure(
        *(name, keys, tuple((key,) for key in keys), values, scaled, nothing, scaled, nothing),
        *(np.tile(scaled, (_DRAWS, 1)), math.nan, (), "column of the mapping", "", len(keys), ()),
    )


def _gathered(
    bank: ItemBank, responses: Responses, of: NDArray[np.intp], seed: int
) -> tuple[Array, Array, Array, Array, Array, Array, float]:
    """Score, ability, sd, estimate, error, draws and spread of each key ``of`` the agents."""
    found = estimate_abilities(bank, responses)
    mean, variance = found.ability[:, 0], found.sd[:, 0] ** 2
    prior = bank.sd[0] ** 2
    # as good as nothing known is a huge error, not an infinite one
    variance_known = np.minimum(variance, _KNOWN * prior)
    error = 1 / (1 / variance_known - 1 / prior)
    estimate = error * (mean / variance_known - bank.mean[0] / prior)
    count = np.bincount(of)
    spread = spread_within(estimate, error, of) if (count > 1).any() else math.nan
    extra = 0.0 if math.isnan(spread) else spread**2
    weight = 1 / (error + extra)
    total = np.bincount(of, weight)
    rng = np.random.default_rng([seed, 1])
    draws = draw_abilities(bank, responses, _DRAWS, seed)[:, :, 0]
    mean_of = np.zeros((len(of), len(count)))
    mean_of[np.arange(len(of)), of] = 1 / count[of]
    noise = math.sqrt(extra) * rng.standard_normal((_DRAWS, len(count))) / np.sqrt(count)
    return (
        found.score @ mean_of,
        mean @ mean_of,
        np.sqrt(variance @ mean_of**2 + extra / count),
        np.bincount(of, weight * estimate) / total,
        1 / total,
        draws @ mean_of + noise,
        spread,
    )


def spread_within(estimate: Array, error: Array, of: NDArray[np.intp]) -> float:
    """Sd of true values within groups, by restricted maximum likelihood with free group means.

    Args:
        estimate: ``(a,)``.
        error: ``(a,)`` variances of the errors.
        of: ``(a,)`` group of each, of which one at least has several.

    >>> values = np.array([0.0, 2.0, 5.0, 7.0])
    >>> round(spread_within(values, np.full(4, 0.5), np.array([0, 0, 1, 1])), 3)
    1.225
    """

    def loss(variance: float) -> float:
        weight = 1 / (error + variance)
        total = np.bincount(of, weight)
        mean = np.bincount(of, weight * estimate) / total
        square = weight @ (estimate - mean[of]) ** 2
        return float(0.5 * (square - np.log(weight).sum() + np.log(total).sum()))

    widest = float(np.ptp(estimate)) ** 2 + 1e-12
    best = minimize_scalar(loss, bounds=(0, widest), method="bounded", options={"xatol": 1e-9})
    return math.sqrt(best.x) if loss(best.x) < loss(0.0) - 1e-9 else 0.0
