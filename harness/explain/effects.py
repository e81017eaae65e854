"""Effects of kinds of tasks on agents, or of groups of agents on tasks, shrunken by their like.

A row is an agent, of ability θ, and a contrast says how its tasks differ: the tasks of level l are
met with ability ``θ + δ x_l``. Or a row is a task, θ how much easier it is than the bank says, and
a contrast tells groups of agents apart. The likelihood of the effect has θ integrated out,

    L(δ) = ∫ p(θ) Π_l L_l(θ + δ x_l) dθ,

exactly on nodes for every response model. Effects of one contrast share a prior, a mixture of
normals around 0 (adaptive shrinkage, Stephens 2017): what chance alone would show among so many
effects is what the prior takes away, so that posteriors need no further adjustment for their
number. What the prior is like is learned from the effects on all rows, of this contrast and of
others from the same source, and what they leave open is averaged over: whether there are any, how
large they are, whether all or only some are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.irt import Array

STEPS = 60
"""Effects on either side of 0 at which likelihoods are found."""
_COMPONENTS = 2.0 ** (np.arange(-1, 10) / 2)
"""Sds of the parts of the prior besides a point at 0, in steps of the effects; the widest is
a bit more than a third of what effects can be."""
_USUAL = 8.0
"""Steps that the sd of effects is likely to be within: 0.4 units."""
_SHARES = 0.3, 0.1, 0.03, 0.01, 0.003
"""Of effects that are large where not all are."""


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Of E effects at the same D values each."""

    effects: Array
    """``(D,)`` uniform and symmetric around 0."""
    log_l: Array
    """``(E, D)``."""


def effect_values(unit: float) -> Array:
    """``(D,)`` effects from -3 to 3 units.

    >>> effect_values(1.0)[[0, 60, 61]].round(2).tolist()
    [-3.0, 0.0, 0.05]
    """
    return np.asarray(np.arange(-STEPS, STEPS + 1) * (3.0 * unit / STEPS))


def marginal(by_level: Array, values: Array, nodes: Array, log_prior: Array, at: Array) -> Array:
    """``(R, D)`` log-likelihood of effects with the base of each row integrated out.

    Args:
        by_level: ``(R, L, Q)`` log-likelihood of R rows on each of L levels.
        values: ``(L,)`` what the effect is multiplied by on each level.
        nodes: ``(Q,)`` uniform; beyond them likelihoods count as at the ends.
        log_prior: ``(Q,)`` of the base.
        at: ``(D,)`` effects.

    >>> nodes = np.linspace(-6, 6, 121)
    >>> flat, bell = np.zeros(121), -0.5 * nodes**2
    >>> found = marginal(np.stack([bell, bell])[None], np.array([0.0, 1.0]), nodes, flat,
    ...                  np.array([0.0, 1.0]))
    >>> round(float(found[0, 1] - found[0, 0]), 3)  # the difference of two normals: -1 / (2·2)
    -0.25
    """
    step = float(nodes[1] - nodes[0])
    base = log_prior + by_level[:, values == 0].sum(axis=1)
    width = int(np.ceil(np.abs(np.outer(at, values)).max() / step)) + 1
    padded = np.pad(by_level, ((0, 0), (0, 0), (width, width)), mode="edge")
    q = len(nodes)
    found = np.empty((len(by_level), len(at)))
    for d, effect in enumerate(at):
        total = base.copy()
        for level in np.flatnonzero(values):
            move = effect * values[level] / step
            whole = int(np.floor(move + 1e-9))
            part, start = move - whole, width + whole
            if part > 1e-6:
                total += (1 - part) * padded[:, level, start : start + q]
                total += part * padded[:, level, start + 1 : start + 1 + q]
            else:
                total += padded[:, level, start : start + q]
        top = total.max(axis=1)
        found[:, d] = top + np.log(np.exp(total - top[:, None]).sum(axis=1))
    return found


@dataclass(frozen=True, eq=False)
class Prior:
    """What effects of one source are like: a mixture of a point at 0 and normals around it, of
    which several are possible."""

    sd: Array
    """``(M,)`` of the parts, the first 0."""
    weights: Array
    """``(C, M)`` of the parts in each of C mixtures."""
    chance: Array
    """``(C,)`` of each mixture, given all effects."""

    @property
    def spread(self) -> float:
        """Sd of the effects."""
        return float(np.sqrt(self.chance @ self.weights @ self.sd**2))

    @property
    def none(self) -> float:
        """Probability that there are no effects at all."""
        return float(self.chance[0])


def _mixtures(parts: int) -> tuple[Array, Array]:
    """``(C, M)`` weights of C mixtures and their log-probabilities before any effect is seen.

    In one of ten nothing has an effect; in six all effects are of one size, which is half-normal
    (Gelman 2006 on priors for few groups); in the others a share of them is and the rest are
    smaller: not nought, as a kind that is met against all others moves a little where one of these
    does.
    """
    each = np.eye(parts)
    size = _COMPONENTS * np.exp(-0.5 * (_COMPONENTS / _USUAL) ** 2)
    pairs = [
        share * each[large] + (1 - share) * each[small]
        for large in range(2, parts)
        for small in range(1, large)
        for share in _SHARES
    ]
    prior = [[0.1], 0.6 * size / size.sum(), np.full(len(pairs), 0.3 / len(pairs))]
    return np.array([*each, *pairs]), np.log(np.concatenate(prior))


def learn(parts: Sequence[Likelihoods]) -> list[Prior]:
    """What effects of each contrast of one source are like.

    Mixtures are told by the effects of the contrast itself, on all rows, and beforehand by those
    of the other contrasts: half as they are, half as if nothing were known of them, as one
    contrast may be without any effect where another has large ones.
    """
    step = parts[0].effects[1] - parts[0].effects[0]
    sd = np.concatenate([[0.0], _COMPONENTS * step])
    weights, log_start = _mixtures(len(sd))
    densities = _densities(parts[0].effects, sd)
    own = np.array(
        [
            np.log(np.maximum(_relative(part) @ densities.T @ weights.T, 1e-300)).sum(axis=0)
            for part in parts
        ]
    )
    others = _chance(own.sum(axis=0) - own + log_start)
    before = (others + np.exp(log_start)) / 2 if len(parts) > 1 else np.exp(log_start)
    return [Prior(sd, weights, chance) for chance in _chance(own + np.log(before))]


def _chance(log: Array) -> Array:
    chance = np.exp(log - log.max(axis=-1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=-1, keepdims=True))


def _relative(found: Likelihoods) -> Array:
    """``(E, D)`` likelihoods, at most 1."""
    return np.asarray(np.exp(found.log_l - found.log_l.max(axis=1, keepdims=True)))


def _densities(effects: Array, sd: Array) -> Array:
    """``(M, D)`` probabilities of the effects under each part; a point at 0 for an sd of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(effects == 0, 0.0, -0.5 * (effects / sd[:, None]) ** 2)
    weights = np.exp(log)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Of E effects."""

    effects: Array
    """``(D,)``."""
    weights: Array
    """``(E, D)``; rows sum to 1."""
    zero: Array
    """``(E,)`` probability of no effect at all, which is part of the weight at 0."""
    prior_variance: Array
    """``(E,)`` of the part of the prior that each effect belongs to, on average."""

    @property
    def mean(self) -> Array:
        """``(E,)``."""
        return np.asarray(self.weights @ self.effects)

    @property
    def sd(self) -> Array:
        """``(E,)``."""
        return np.asarray(np.sqrt(np.maximum(self.weights @ self.effects**2 - self.mean**2, 0)))

    @property
    def below(self) -> Array:
        """``(E,)`` probability of an effect below 0."""
        middle = len(self.effects) // 2
        # what a continuous part puts at 0 lies on either side of it
        around = (self.weights[:, middle] - self.zero) / 2
        return np.asarray(self.weights[:, :middle].sum(axis=1) + around)

    @property
    def above(self) -> Array:
        """``(E,)`` probability of an effect above 0."""
        return np.asarray(1 - self.zero - self.below)

    @property
    def false_sign(self) -> Array:
        """``(E,)`` local false sign rate: probability that the likelier sign is wrong, an effect
        of nought included (Stephens 2017)."""
        return np.asarray(np.clip(1 - np.maximum(self.below, self.above), 0.0, 1.0))

    def quantile(self, probability: float) -> Array:
        """``(E,)``."""
        below = np.cumsum(self.weights, axis=1) - self.weights / 2
        return np.array([np.interp(probability, row, self.effects) for row in below])


def posterior(found: Likelihoods, prior: Prior) -> Posteriors:
    """Effects given their likelihoods and what is known of effects like them."""
    relative, parts = _relative(found), _densities(found.effects, prior.sd)
    likelihood = np.maximum(relative @ parts.T, 1e-300)
    # probability of each part, over the mixtures that are possible
    share = likelihood * ((prior.chance / (likelihood @ prior.weights.T)) @ prior.weights)
    weights = relative * ((share / likelihood) @ parts)
    return Posteriors(
        found.effects,
        weights / weights.sum(axis=1, keepdims=True),
        share[:, 0],
        np.asarray(share @ prior.sd**2),
    )


@dataclass(frozen=True)
class Spread:
    """How far effects of one contrast lie apart between rows, beyond noise."""

    sd: float
    """Likeliest."""
    low: float
    """Interval of probability 0.9, every sd up to a unit being as likely beforehand."""
    high: float
    p: float
    """Of so high a likelihood ratio were there no differences."""


def spread_of(found: Likelihoods) -> Spread:
    """Sd of normal effects, all on one contrast, from the likelihoods of R rows.

    Under no differences the likelihood ratio is 0 with probability 1/2 and χ² of one degree of
    freedom otherwise (Self and Liang 1987).
    """
    from scipy.stats import chi2

    most = found.effects[-1]
    sd = np.linspace(0.0, most / 3, STEPS + 1)
    likelihood = (
        np.exp(found.log_l - found.log_l.max(axis=1, keepdims=True))
        @ _densities(found.effects, sd).T
    )
    height = np.log(np.maximum(likelihood, 1e-300)).sum(axis=0)
    weights = np.exp(height - height.max())
    below = np.cumsum(weights) / weights.sum()
    ratio = 2 * float(height.max() - height[0])
    low, high = (float(np.interp(side, below, sd)) for side in (0.05, 0.95))
    return Spread(
        float(sd[height.argmax()]), low, high, float(chi2.sf(ratio, 1) / 2) if ratio > 0 else 1.0
    )
