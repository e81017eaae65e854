"""Priors of item parameters: given, or estimated together with the items.

A hundred agents say little about a single item, but five hundred items say a lot about items.
Estimating the mean and spread of the priors (empirical Bayes) lets the items be shrunk to where
items really are, and keeps the priors from setting the scale: with independent fixed priors and
many more items than agents, the abilities come out with an sd far from 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.calibrate.shapes import Group
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
    d: Normal = Normal(0.0, 3.0)
    """Of every intercept."""
    logit_lower: Normal = Normal(-3.0, 1.0)
    """A guessing rate of about 5%, hardly above 25%."""
    logit_upper: Normal = Normal(3.0, 1.0)
    """A slipping rate of about 5%, hardly above 25%."""
    gap: float = 0.2
    """Weight of a gamma prior with mode 1 on the gaps ``g = d_k - d_{k+1}`` of graded items,
    ``gap · (log g - g)``: thresholds stay apart where a category was hardly ever observed."""


@dataclass(frozen=True, eq=False)
class ItemPriors:
    """The prior of the items of a group: multivariate normal with ``mean (p,)`` and ``precision
    (p, p)``, and the pull between thresholds."""

    mean: Array
    precision: Array
    gap: float


def item_priors(groups: Sequence[Group], priors: Priors) -> list[ItemPriors]:
    """Priors as given: independent."""
    total = sum(len(group.items) for group in groups)
    found = []
    for group in groups:
        rest = [priors.logit_lower, priors.logit_upper][: group.asymptotes]
        row = [priors.log_a, *[priors.d] * group.steps, *rest]
        precision = np.array([prior.sd**-2.0 for prior in row])
        if group.common_slope:
            # one slope for all items has one prior, shared out among them
            precision[0] /= total
        gap = priors.gap if group.kind == "graded" else 0.0
        found.append(ItemPriors(np.array([x.mean for x in row]), np.diag(precision), gap))
    return found


def log_density(group: Group, parameters: Array, prior: ItemPriors) -> Array:
    """``(m,)`` log prior density of each item; flat directions count as 0."""
    off = parameters - prior.mean
    proper = np.diag(prior.precision) > 0
    _, log_det = np.linalg.slogdet(prior.precision[np.ix_(proper, proper)])
    constant = 0.5 * (log_det - proper.sum() * np.log(2 * np.pi))
    total = constant - 0.5 * ((off @ prior.precision) * off).sum(axis=1)
    if prior.gap:
        for above, below in group.ordered:
            gap = parameters[:, above] - parameters[:, below]
            total = total + prior.gap * (np.log(gap) - gap)
    return np.asarray(total)


def gradient_and_curvature(
    group: Group, parameters: Array, prior: ItemPriors
) -> tuple[Array, Array]:
    """Gradient ``(m, p)`` and negative Hessian ``(m, p, p)`` of :func:`log_density`."""
    gradient = -(parameters - prior.mean) @ prior.precision
    curvature = np.tile(prior.precision, (len(parameters), 1, 1))
    if prior.gap:
        for above, below in group.ordered:
            gap = parameters[:, above] - parameters[:, below]
            push = prior.gap * (1 / gap - 1)
            gradient[:, above] += push
            gradient[:, below] -= push
            bend = prior.gap / gap**2
            for i, j, sign in (
                (above, above, 1),
                (below, below, 1),
                (above, below, -1),
                (below, above, -1),
            ):
                curvature[:, i, j] += sign * bend
    return gradient, curvature


def rescale(group: Group, prior: ItemPriors, mean: float, log_sd: float) -> ItemPriors:
    """The prior on the scale on which abilities ``N(mean, sd²)`` become N(0, 1)."""
    moved = prior.mean.copy()
    moved[1 : 1 + group.steps] += mean * np.exp(moved[0])
    if not group.common_slope:
        moved[0] += log_sd
    return replace(prior, mean=moved)


def of_scale(group: Group, prior: ItemPriors) -> ItemPriors:
    """What of a prior speaks of the scale even while the priors move: that of a common slope."""
    precision = np.zeros_like(prior.precision)
    if group.common_slope:
        precision[0, 0] = prior.precision[0, 0]
    return ItemPriors(prior.mean, precision, 0.0)


# Weak beliefs about the priors themselves. They matter for tiny banks, and they stop the priors
# from running away where the data say nothing, or are fitted best by infinite slopes.
_WORTH = 4.0
_LOG_A_LOCATION_SD = 0.75
_D_LOCATION_SD = 4.0


def estimate(
    groups: Sequence[Group],
    parameters: Sequence[Array],
    covariances: Sequence[Array],
    priors: Sequence[ItemPriors],
    start: Sequence[ItemPriors],
) -> list[ItemPriors]:
    """One EM step of the mean and covariance of ``(log a, d_1 … d_{K-1})`` over the items.

    The items are the missing data: ``mean((x - mean)(x - mean)ᵀ + Cov x)``, so that uncertain
    items do not pretend that all items are alike. The covariance is a full one, as the thresholds
    of an item move together, and hard items may be steeper or flatter than easy ones.

    Args:
        covariances: ``(m, p, p)`` posterior covariances of the parameters, one array a group.
        start: what the weak beliefs about the priors say.
    """
    found = []
    for group, x, uncertain, prior, belief in zip(
        groups, parameters, covariances, priors, start, strict=True
    ):
        # a common slope has nothing to learn from, and asymptotes too little
        free = slice(1 if group.common_slope else 0, 1 + group.steps)
        believed = np.linalg.inv(belief.precision[free, free])
        m = len(x)
        location_sd = np.array([_LOG_A_LOCATION_SD, *[_D_LOCATION_SD] * group.steps])[free]
        spread = np.linalg.inv(prior.precision[free, free]).diagonal()
        weight = spread / location_sd**2
        mean = (x[:, free].sum(axis=0) + weight * belief.mean[free]) / (m + weight)
        off = x[:, free] - mean
        scatter = off.T @ off + uncertain[:, free, free].sum(axis=0) + _WORTH * believed
        new_mean, precision = prior.mean.copy(), prior.precision.copy()
        new_mean[free] = mean
        precision[free, free] = np.linalg.inv(scatter / (m + _WORTH))
        found.append(replace(prior, mean=new_mean, precision=precision))
    return found


def describe(groups: Sequence[Group], priors: Sequence[ItemPriors]) -> dict[str, list[float]]:
    """``{"log_a": [mean, sd], "d1": …}`` for provenance; a flat prior has sd ``inf``."""
    total = sum(len(group.items) for group in groups)
    found: dict[str, list[float]] = {}
    for group, prior in zip(groups, priors, strict=True):
        names = ["log_a", *(f"d{k + 1}" for k in range(group.steps))]
        names += ["logit_lower", "logit_upper"][: group.asymptotes]
        precision = prior.precision.copy()
        if group.common_slope:
            precision[0, 0] *= total
        proper = np.diag(precision) > 0
        sd = np.full(len(names), math.inf)
        sd[proper] = np.sqrt(np.diag(np.linalg.inv(precision[np.ix_(proper, proper)])))
        for column, name in enumerate(names):
            several = f" of {group.steps + 1} categories" if len(groups) > 1 else ""
            found[name + several] = [
                float(f"{number:.4g}") for number in (prior.mean[column], sd[column])
            ]
    return found
