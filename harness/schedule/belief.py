"""What is believed at one checkpoint: ability, how it moves, and what this line does on each item.

The same tasks come back at later checkpoints, and what one checkpoint does on a task goes with
what the last one did beyond ability. On the latent scale of an item, where an answer is a standard
normal ``z`` between two cuts, ``z = r u + sqrt(1 - r²) e``: the effect ``u`` of this line of models
on the item stays, ``e`` is new each time, and ``r²`` is the persistence. The first answer then has
the probabilities of the bank exactly, whatever its model.

Given ability the effects of different items are independent; of each we keep mean and variance at
every node (assumed-density filtering, Minka 2001, conditional on ability). A move carries them
along by the way that ability came: where a low ability today means a fall, yesterday's answers
were those of a higher one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from harness.ability import Posterior, blurred
from harness.irt import Array
from harness.schedule.drift import Move
from harness.schedule.space import Scale, Space

_TINY = 1e-290
"""Probability that no answer is below."""
_NARROW = 1e-9
"""Variance that no effect is below."""
_NOTHING = 1e-300
_HIGHEST = 700.0
"""What can still be exponentiated."""
_LEFT = 1e-13
"""Nodes with less of the mass than that keep the effects that the others have."""


@dataclass(frozen=True, eq=False)
class Effect:
    """What this line of models does on one item beyond ability, in sds of such effects."""

    mean: Array
    """``(..., Q)`` given ability."""
    variance: Array
    """``(..., Q)`` given ability."""


Effects = Mapping[int, Effect]
"""By the rows of items that were answered before; all others have mean 0 and variance 1."""


@dataclass(frozen=True, eq=False)
class Belief:
    """At one checkpoint."""

    p: Array
    """``(H, S, Q)``, or ``(H, S, Q, Q)`` for two abilities: probabilities of how the run moves,
    of its slope and of abilities; sums to 1."""
    effects: tuple[Effects, ...]
    """Of each ability."""

    def ability(self, axis: int = 0) -> Array:
        """``(Q,)`` probabilities of one ability."""
        others = tuple(i for i in range(self.p.ndim) if i != axis + 2)
        return np.asarray(self.p.sum(axis=others))

    @property
    def cells(self) -> Array:
        """``(H,)`` probabilities of the ways in which the run may move."""
        return np.asarray(self.p.reshape(len(self.p), -1).sum(axis=1))


def first_belief(space: Space) -> Belief:
    """Before any answer."""
    return Belief(space.prior, tuple({} for _ in space.scales))


def forecast(space: Space, belief: Belief, move: Move) -> Belief:
    """What is believed of the next checkpoint before it is tested."""
    moved = move.forward(belief.p)
    effects = tuple(
        carried(space.one(belief.p, axis), move, effects)
        for axis, effects in enumerate(belief.effects)
    )
    return Belief(moved / moved.sum(), effects)


def carried(p: Array, move: Move, effects: Effects) -> Effects:
    """Effects given the ability that they came to, averaged over where it came from.

    Args:
        p: ``(..., H, S, Q)`` mass of the ability that they belong to, before the move.
    """
    if not effects:
        return effects
    came = np.einsum("...hsq,hsqr->...qr", p, move.marginal, optimize=True)
    total = came.sum(axis=-2, keepdims=True)
    known = total > _LEFT * total.max(axis=-1, keepdims=True)
    usual = p.sum(axis=(-3, -2))[..., None] + _NOTHING
    usual = usual / usual.sum(axis=-2, keepdims=True)
    # columns are nodes of now, rows those of before
    back = np.where(known, came / np.where(known, total, 1.0), usual)
    before, variance = _stacked(effects.values())
    mean = before @ back
    variance = np.maximum((variance + before**2) @ back - mean**2, _NARROW)
    return {row: Effect(mean[..., i, :], variance[..., i, :]) for i, row in enumerate(effects)}


def answered(
    space: Space, belief: Belief, axis: int, answers: Sequence[tuple[int, int]]
) -> tuple[Belief, Array]:
    """The belief after answers to different items, given as rows and categories.

    Returns:
        The belief, and the log-likelihood ``(Q,)`` of the answers given ability.
    """
    log_likelihood, effects = observed(space, belief.effects[axis], axis, answers)
    p = weighed(space, belief.p, axis, log_likelihood)
    every = tuple(effects if i == axis else old for i, old in enumerate(belief.effects))
    return replace(belief, p=p, effects=every), log_likelihood


def weighed(space: Space, p: Array, axis: int, log_likelihood: Array) -> Array:
    """Mass ``(..., H, S, Q...)`` times a likelihood ``(..., Q)`` of one ability; sums to 1."""
    mass = space.one(p, axis).sum(axis=(-3, -2))
    left = np.where(mass > 0, np.log(np.where(mass > 0, mass, 1.0)) + log_likelihood, -np.inf)
    # the largest product is about 1, and what would overflow has no mass
    factor = np.exp(np.minimum(log_likelihood - left.max(), _HIGHEST))
    weighed = p * space.along(factor, axis)
    return np.asarray(weighed / weighed.sum())


def observed(
    space: Space, effects: Effects, axis: int, answers: Sequence[tuple[int, int]]
) -> tuple[Array, Effects]:
    """The log-likelihood ``(..., Q)`` of answers to different items, and the effects after them."""
    if not answers:
        return np.zeros(space.size), effects
    cuts, persistence = space.scales[axis].cuts, space.drift.persistence
    fresh = Effect(np.zeros(space.size), np.ones(space.size))
    log_likelihood, after = np.zeros(space.size), dict(effects)
    # items that nothing is known of are the same in every leading dimension
    for known in (False, True):
        some = [answer for answer in answers if (answer[0] in effects) == known]
        if some:
            rows, categories = np.array(some).T
            likelihood, mean, variance = _observe(
                cuts[rows, categories],
                cuts[rows, categories + 1],
                *_stacked([effects.get(row, fresh) for row, _ in some]),
                persistence,
            )
            log_likelihood = log_likelihood + np.log(likelihood).sum(axis=-2)
            for i, (row, _) in enumerate(some):
                after[row] = Effect(mean[..., i, :], variance[..., i, :])
    return log_likelihood, after


def _stacked(effects: Collection[Effect]) -> tuple[Array, Array]:
    """``(..., n, Q)`` means and variances."""
    means = np.broadcast_arrays(*(effect.mean for effect in effects))
    variances = np.broadcast_arrays(*(effect.variance for effect in effects))
    return np.stack(means, axis=-2), np.stack(variances, axis=-2)


def _observe(
    low: Array, high: Array, mean: Array, variance: Array, persistence: float
) -> tuple[Array, Array, Array]:
    """Probability of ``low < z < high``, and moments of the effect after it."""
    r = np.sqrt(persistence)
    sd = np.sqrt(1 - persistence + persistence * variance)
    a, b = (low - r * mean) / sd, (high - r * mean) / sd
    # the tail that loses nothing to cancellation
    swap = a > 0
    a, b = np.where(swap, -b, a), np.where(swap, -a, b)
    mass = np.maximum(ndtr(b) - ndtr(a), _TINY)
    at_a, at_b = _density(a), _density(b)
    centre = (at_a - at_b) / mass
    finite_a, finite_b = np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0)
    # beyond any sensible node the formula has no digits left
    centre = np.clip(centre, np.where(np.isfinite(a), a, -40.0), np.where(np.isfinite(b), b, 40.0))
    spread = 1 + (finite_a * at_a - finite_b * at_b) / mass - centre**2
    spread = np.clip(spread, 0.0, 1.0)
    gain = r * variance / sd
    centre = np.where(swap, -centre, centre)
    return mass, mean + gain * centre, np.maximum(variance - gain**2 * (1 - spread), _NARROW)


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * np.minimum(np.abs(x), 40.0) ** 2) / np.sqrt(2 * np.pi))


def predicted(space: Space, belief: Belief, axis: int) -> Array:
    """``(n, K, Q)`` probabilities of every item's categories, given ability and all answers."""
    cuts, persistence = space.scales[axis].cuts, space.drift.persistence
    mean, variance = np.zeros((len(cuts), space.size)), np.ones((len(cuts), space.size))
    for row, effect in belief.effects[axis].items():
        mean[row], variance[row] = effect.mean, effect.variance
    sd = np.sqrt(1 - persistence + persistence * variance)[:, None]
    below = ndtr((cuts - np.sqrt(persistence) * mean[:, None]) / sd)
    return np.asarray(np.diff(below, axis=1))


def information(space: Space, belief: Belief, axis: int) -> Array:
    """``(n,)`` Fisher information of every item about ability now, in population sds, averaged
    over what is believed of it; what was asked before tells less."""
    scale = space.scales[axis]
    p = np.maximum(predicted(space, belief, axis), 1e-12)
    slope = np.gradient(p, space.spacing, axis=2)
    has = np.arange(p.shape[1])[None, :] < scale.table.n_categories[:, None]
    at_node = (slope**2 / p * has[:, :, None]).sum(axis=1)
    return np.asarray(at_node @ belief.ability(axis))


def posterior(space: Space, weights: Array, axis: int, share: float = 0.0) -> Posterior:
    """An ability as it is reported: on the whole bank, of which ``share`` was answered."""
    scale = space.scales[axis]
    sd = scale.bank.specific_sd * np.sqrt(1 - share)
    wide = blurred(scale.table.nodes, weights[None], np.array([sd]))[0] if sd else weights
    return Posterior(scale.table.nodes, wide)


def unit_moments(scale: Scale, weights: Array) -> tuple[float, float]:
    """Mean and variance of ``(Q,)`` probabilities, in population sds."""
    x = (scale.nodes - scale.bank.mean[0]) / scale.sd
    mean = float(weights @ x)
    return mean, float(weights @ x**2) - mean**2
