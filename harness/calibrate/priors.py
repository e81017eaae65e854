"""Priors of item parameters: given, or with location and spread estimated together with the items.

A hundred agents say little about a single item, but five hundred items say a lot about items.
Estimating the location and spread of the priors (empirical Bayes) lets the items be shrunk to where
items really are, and keeps the priors from setting the scale: with independent fixed priors and
many more items than agents, the abilities come out with an sd far from 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.calibrate.blocks import Block
from harness.irt import Array


@dataclass(frozen=True)
class Normal:
    """A normal prior; an infinite ``sd`` is a flat one."""

    mean: float
    sd: float

    @classmethod
    def lognormal_density(cls, mean: float, sd: float) -> "Normal":
        """The prior on log a with the same mode as a lognormal density on a itself.

        Programs that maximise over a, such as mirt, count the density ``1/a`` of the change of
        variable; over log a that is a shift of the mean by ``-sd²``.

        >>> Normal.lognormal_density(0.0, 0.5)
        Normal(mean=-0.25, sd=0.5)
        """
        return cls(mean - sd**2, sd)


FLAT = Normal(0.0, math.inf)


@dataclass(frozen=True)
class Priors:
    """Independent normal priors of the unconstrained parameters of each item.

    The mode is taken over these parameters: ``log a``, ``d`` and the logits of the asymptotes.
    """

    log_a: Normal = Normal(0.0, 0.5)
    """Of the log slope; common to all items in 1PL, PCM and RSM."""
    d: Normal = Normal(0.0, 3.0)
    """Of every intercept, and of the steps of a rating scale."""
    logit_lower: Normal = Normal(-3.0, 1.0)
    """A guessing rate of about 5%, hardly above 25%."""
    logit_upper: Normal = Normal(3.0, 1.0)
    """A slipping rate of about 5%, hardly above 25%."""
    loading: Normal = Normal(1.0, 1.0)
    """Of a slope where there are several abilities, so that its sign is free."""
    log_effect_sd: Normal = Normal(-0.5, 1.0)
    """Of the log sd of an agent × item effect: between .1 and 4 logits."""
    gap: float = 0.2
    """Weight of a gamma prior with mode 1 on the gaps ``g = d_k - d_{k+1}`` of graded items,
    ``gap · (log g - g)``: thresholds stay apart where a category was hardly ever observed."""


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of the prior itself before the items are seen.

    It matters for tiny banks, and stops the prior from running away where the data say nothing, or
    are fitted best by infinite slopes.
    """

    mean: Array
    """``(f,)`` where the location is believed to be."""
    precision: Array
    """``(f,)`` of that belief."""
    spread: Array
    """``(f, f)`` covariance of items that is believed in, to the worth of :data:`WORTH` items."""
    learned: NDArray[np.bool_]
    """``(f,)`` parameters whose location and spread are estimated; of the others the prior
    stays."""
    isotropic: tuple[int, ...] = ()
    """Parameters that share one variance, uncorrelated, with the location held: loadings that may
    still be rotated."""


@dataclass(frozen=True, eq=False)
class ItemPriors:
    """Prior of the free parameters φ of each item of a block: ``N(mean_j, precision_j⁻¹)``.

    Where it is estimated and there is one ability with a free slope, the normal is over ``(log a,
    b_1 … b_{K-1}, …)`` with difficulties ``b = -d/a`` (Glas & van der Linden 2003), as what makes
    tasks hard has little to do with what makes them discriminate, whereas d depends on both.
    """

    mean: Array
    """``(m, f)``, equal rows while the location is being estimated."""
    precision: Array
    """``(m, f, f)``."""
    gap: float
    belief: Belief | None
    """None for a prior that is not estimated."""
    steps: slice | None = None
    """Where the intercepts stand in φ, if the prior is over difficulties."""
    neutral: Array | None = None
    """``(m,)`` what takes the prior's own pull on the scale away, see :func:`log_density`."""
    offset: Array | None = None
    """``(m, f)`` how far features put each item from the location that is being estimated."""

    def around(self, location: Array) -> "ItemPriors":
        """The prior at a location ``(f,)``, to which each item's offset adds."""
        off = np.zeros(self.mean.shape) if self.offset is None else self.offset
        return replace(self, mean=location + off)


WORTH = 4.0
HELD = 1e12
"""Precision of a location that does not move."""
_DIFFICULTY_SD = 2.0
_LOCATION_SD = {"slope": 0.75, "loading": 1.0, "step": 4.0}


def columns(block: Block) -> list[str]:
    """The kind of each free parameter: slope, loading, step, lower or upper."""
    kinds = ["loading" if block.signed else "slope"] * len(block.loads)
    kinds += ["step"] * block.steps + ["lower", "upper"][: block.asymptotes]
    kinds += ["effect"] * block.effect
    # each free parameter is named after the first of x that it moves
    return [kinds[int(np.flatnonzero(column)[0])] for column in block.free.T]


def of_kind(priors: Priors, kind: str) -> Normal:
    """The given prior of a kind of parameter."""
    return {
        "slope": priors.log_a,
        "loading": priors.loading,
        "step": priors.d,
        "lower": priors.logit_lower,
        "upper": priors.logit_upper,
        "effect": priors.log_effect_sd,
    }[kind]


def item_priors(block: Block, priors: Priors, *, estimate: bool, rotatable: bool) -> ItemPriors:
    """Independent priors as given, or as a start for those that are estimated."""
    kinds = columns(block)
    each = [of_kind(priors, kind) for kind in kinds]
    mean = np.array([prior.mean for prior in each])
    precision = np.array([prior.sd**-2.0 for prior in each])
    loadings = tuple(k for k, kind in enumerate(kinds) if kind == "loading")
    if rotatable:
        mean[list(loadings)] = 0.0
    m = len(block.items)
    belief = None
    difficulties = estimate and kinds[0] == "slope" and "step" in kinds
    step_slice = slice(1, 1 + block.steps)
    if difficulties:
        precision[step_slice] = _DIFFICULTY_SD**-2.0
    if estimate:
        learned = np.array([kind in _LOCATION_SD for kind in kinds])
        held = np.array([rotatable and kind == "loading" for kind in kinds])
        location = np.array([_LOCATION_SD.get(kind, 1.0) for kind in kinds])
        belief = Belief(
            mean,
            np.where(held | ~learned, HELD, location**-2.0),
            np.diag(1 / precision),
            learned,
            loadings if rotatable else (),
        )
    return ItemPriors(
        np.tile(mean, (m, 1)),
        np.tile(np.diag(precision), (m, 1, 1)),
        priors.gap if block.kind == "graded" else 0.0,
        belief,
        step_slice if difficulties else None,
        np.zeros(m) if difficulties else None,
    )


def described(prior: ItemPriors, phi: Array) -> Array:
    """``(m, f)`` what the prior is normal in: φ, or φ with difficulties for intercepts."""
    if prior.steps is None:
        return phi
    found = phi.copy()
    found[:, prior.steps] = -phi[:, prior.steps] * np.exp(-phi[:, :1])
    return found


def jacobian(prior: ItemPriors, phi: Array) -> Array:
    """``(m, f, f)`` derivatives of :func:`described` by φ."""
    m, f = phi.shape
    found = np.tile(np.eye(f), (m, 1, 1))
    if prior.steps is not None:
        found[:, prior.steps, 0] = phi[:, prior.steps] * np.exp(-phi[:, :1])
        for k in range(prior.steps.start, prior.steps.stop):
            found[:, k, k] = -np.exp(-phi[:, 0])
    return found


def log_density(block: Block, phi: Array, x: Array, prior: ItemPriors) -> Array:
    """``(m,)`` log prior density of each item; flat directions count as 0.

    A normal over difficulties pulls slopes up, as that brings difficulties together: by
    ``b (b - μ)/σ²`` a difficulty, which is 1 on average over posteriors, and what the factor
    ``a^{-(K-1)}`` of a density over φ takes back. At the mode the average is less, the more so the
    less data tell. So the exponent is that average as it is found: whatever the data, the prior
    leaves the scale alone.
    """
    off = described(prior, phi) - prior.mean
    diagonal = prior.precision[0].diagonal()
    proper = diagonal > 0
    _, log_det = np.linalg.slogdet(prior.precision[:, proper][:, :, proper])
    constant = 0.5 * (log_det - proper.sum() * np.log(2 * np.pi))
    total = constant - 0.5 * np.einsum("mf,mfg,mg->m", off, prior.precision, off)
    if prior.neutral is not None:
        total = total - prior.neutral * phi[:, 0]
    if prior.gap:
        for above, below in block.ordered:
            gap = x[:, above] - x[:, below]
            total = total + prior.gap * (np.log(gap) - gap)
    return np.asarray(total)


def gradient_and_curvature(
    block: Block, phi: Array, x: Array, prior: ItemPriors
) -> tuple[Array, Array]:
    """Gradient ``(m, f)`` and curvature ``(m, f, f)`` of :func:`log_density`.

    The curvature is the negative Hessian, for difficulties without the bend of ``-d/a`` itself, so
    that it is never indefinite (Gauss–Newton).
    """
    turn = jacobian(prior, phi)
    pull = np.einsum("mfg,mg->mf", prior.precision, described(prior, phi) - prior.mean)
    gradient = -np.einsum("mgf,mg->mf", turn, pull)
    curvature = turn.swapaxes(1, 2) @ prior.precision @ turn
    if prior.neutral is not None:
        gradient[:, 0] -= prior.neutral
    if prior.gap:
        for above, below in block.ordered:
            gap = x[:, above] - x[:, below]
            apart = block.free[above] - block.free[below]
            gradient += (prior.gap * (1 / gap - 1))[:, None] * apart
            curvature += (prior.gap / gap**2)[:, None, None] * np.outer(apart, apart)
    return gradient, curvature


def stretched(prior: ItemPriors, log_sd: float) -> ItemPriors:
    """The prior over difficulties where a unit of ability has become ``exp(log_sd)`` times as
    long."""
    factor = np.ones(prior.mean.shape[1])
    if prior.steps is not None:
        factor[prior.steps] = np.exp(log_sd)
    return replace(
        prior,
        precision=prior.precision * np.outer(factor, factor),
        offset=None if prior.offset is None else prior.offset / factor,
    )


def spread(prior: ItemPriors, phi: Array, uncertain: Array) -> ItemPriors:
    """One EM step of the covariance of φ over the items, at the present location.

    The items are the missing data: ``mean((φ - mean)(φ - mean)ᵀ + Cov φ)``, so that uncertain
    items do not pretend that all items are alike. The covariance is a full one, as the thresholds
    of an item move together, and hard items may be steeper or flatter than easy ones.

    Args:
        phi: ``(m, f)``, and
        uncertain: ``(m, f, f)`` its posterior covariances.
    """
    belief = prior.belief
    if belief is None:
        return prior
    learned = np.flatnonzero(belief.learned)
    off = described(prior, phi) - prior.mean
    turn = jacobian(prior, phi)
    uncertain = turn @ uncertain @ turn.swapaxes(1, 2)
    scatter = off.T @ off + uncertain.sum(axis=0)
    scatter += WORTH * belief.spread
    covariance = (scatter / (len(phi) + WORTH))[np.ix_(learned, learned)]
    same = [int(np.flatnonzero(learned == k)[0]) for k in belief.isotropic]
    if same:
        variance = covariance[same, same].mean()
        covariance[same] = covariance[:, same] = 0.0
        covariance[same, same] = variance
    precision = prior.precision[0].copy()
    precision[np.ix_(learned, learned)] = np.linalg.inv(covariance)
    return replace(prior, precision=np.tile(precision, (len(phi), 1, 1)))


def neutralised(prior: ItemPriors, phi: Array, share: float) -> ItemPriors:
    """The prior with what takes its own pull on the scale away, see :func:`log_density`.

    Args:
        share: of the way that ``neutral`` goes to its new value. What it is depends on where the
            prior puts the items, so with little data it might swing if it went all the way.
    """
    if prior.steps is None or prior.neutral is None:
        return prior
    found, steps = described(prior, phi), prior.steps
    pull = np.einsum("mfg,mg->mf", prior.precision, found - prior.mean)
    average = (found[:, steps] * pull[:, steps]).sum(axis=1).mean()
    return replace(prior, neutral=prior.neutral + share * (average - prior.neutral))


def parameter_labels(block: Block, *, difficulties: bool) -> list[str]:
    """Readable names of what a prior is about, for provenance: d, or b for difficulties."""
    names = [f"a{a + 1}" if block.signed else "log_a" for a in block.loads]
    names += [f"{'b' if difficulties else 'd'}{k + 1}" for k in range(block.steps)]
    names += ["logit_lower", "logit_upper"][: block.asymptotes]
    names += ["log_effect_sd"] * block.effect
    found = []
    for column in block.free.T:
        moved = np.flatnonzero(column)
        found.append("d" if len(moved) > 1 else names[int(moved[0])])
    return found


def describe(blocks: Sequence[Block], priors: Sequence[ItemPriors]) -> dict[str, list[float]]:
    """``{"log_a": [mean, sd], "d1": …}`` for provenance; a flat prior has sd ``inf``."""
    found: dict[str, list[float]] = {}
    for block, prior in zip(blocks, priors, strict=True):
        proper = np.diag(prior.precision[0]) > 0
        sd = np.full(len(proper), math.inf)
        variances = np.linalg.inv(prior.precision[:, proper][:, :, proper]).mean(axis=0)
        sd[proper] = np.sqrt(np.diag(variances))
        several = f" of {block.model} with {block.steps + 1} categories" if len(blocks) > 1 else ""
        if block.signed and len(blocks) > 1:
            several += f" on {'+'.join(str(a + 1) for a in block.loads)}"
        for column, name in enumerate(
            parameter_labels(block, difficulties=prior.steps is not None)
        ):
            found[name + several] = [
                float(f"{number:.4g}") for number in (prior.mean[:, column].mean(), sd[column])
            ]
    return found


def one(prior: ItemPriors, item: int, times: int) -> ItemPriors:
    """The prior of one item, repeated, as a density over φ."""
    return replace(
        prior,
        mean=np.broadcast_to(prior.mean[item], (times, prior.mean.shape[1])),
        precision=np.broadcast_to(prior.precision[item], (times, *prior.precision.shape[1:])),
        neutral=None
        if prior.steps is None
        else np.full(times, prior.steps.stop - prior.steps.start),
    )
