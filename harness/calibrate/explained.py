"""Items explained by features: each has a prior of its own, from a regression on all the others.

The difficulties of a calibration are ``N(μ + Σ blocks, residual²)``, and so are its log slopes
where items have them. What the outcomes alone say of an item is its posterior with the prior taken
out again. The regression runs on that, and its prediction of an item from all other items is the
item's prior in the next round: at rest, every posterior is that of the joint model (the sites of
expectation propagation; Minka 2001). The thresholds of an item move together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.calibrate import priors as prior_of
from harness.calibrate.blocks import Block
from harness.calibrate.priors import ItemPriors
from harness.calibrate.problem import Point, Problem, priors_at
from harness.errors import InputError
from harness.irt import Array
from harness.regression import Features, Regression, regress

_LEAST = 0.05
"""Share of the prior's precision that outcomes count as adding at least. Where they add less, the
distance of mode and mean would be taken for what they say."""


_FARTHEST = 3.0
"""Sds of the prediction that an outcome's value may lie from it: farther is misread too."""


@dataclass(frozen=True, eq=False)
class Explained:
    """What features say of the items of a calibration, on the scale of ability."""

    difficulty: Regression
    """Of the mean threshold."""
    log_slope: Regression | None
    """None where all items have one slope."""


@dataclass(frozen=True, eq=False)
class _Described:
    """One coordinate of all items, such as the mean threshold."""

    mean: Array
    """``(n,)``, and"""
    variance: Array
    """posterior variance of it."""
    prior_mean: Array
    prior_variance: Array

    def alone(self) -> tuple[Array, Array]:
        """What outcomes alone say: values and error variances, the prior taken out again."""
        prior = 1 / self.prior_variance
        gained = np.maximum(1 / self.variance - prior, _LEAST * prior)
        # the posterior mean is the average of the prior's and this value, by their precisions
        away = (self.mean - self.prior_mean) * (1 + prior / gained)
        most = _FARTHEST * np.sqrt(self.prior_variance + 1 / gained)
        return self.prior_mean + np.clip(away, -most, most), 1 / gained


def explained_priors(
    problem: Problem,
    point: Point,
    uncertain: Sequence[Array],
    spread: Sequence[ItemPriors],
) -> tuple[ItemPriors, ...]:
    """The priors of the next round: each item's mean and width as predicted from all others.

    Args:
        uncertain: ``(m, f, f)`` posterior covariances of each block's φ.
        spread: priors whose covariance is that of all items together; it is scaled for each item.
    """
    explained = regressions(problem, point, point.items, uncertain)
    hard = explained.difficulty.left_out()
    steep = explained.log_slope.left_out() if explained.log_slope else None
    found = []
    start = steep_start = 0
    for block, prior, location in zip(problem.blocks, spread, point.locations, strict=True):
        m, f = prior.mean.shape
        rows = slice(start, start + m)
        start += m
        covariance = np.linalg.inv(prior.precision[0])
        mean_step = step_mean(block)
        offset = np.zeros((m, f))
        turn = np.tile(np.eye(f), (m, 1, 1))
        steps = mean_step > 0
        offset[:, steps] = (hard.mean[rows] - mean_step @ location)[:, None]
        # how wide priors are together is for the items to say; the regression says which are wider
        ratio = hard.sd[rows] / np.sqrt(np.mean(hard.sd**2))
        turn += (ratio - 1)[:, None, None] * np.outer(steps, mean_step)
        if steep is not None and _has_slope(block):
            rows = slice(steep_start, steep_start + m)
            steep_start += m
            offset[:, 0] = steep.mean[rows] - location[0]
            turn[:, 0, 0] = steep.sd[rows] / np.sqrt(np.mean(steep.sd**2))
        scaled = turn @ covariance @ turn.swapaxes(1, 2)
        own = replace(prior, precision=np.asarray(np.linalg.inv(scaled)), offset=offset)
        found.append(own.around(location))
    return tuple(found)


def regressions(
    problem: Problem, point: Point, items: Sequence[Array], uncertain: Sequence[Array]
) -> Explained:
    """The regressions of difficulties and log slopes on the features, blocks of items together.

    They are in the coordinates of the priors: intercepts where all items share one slope.

    Args:
        items: ``(m, f)`` φ of each block, and
        uncertain: ``(m, f, f)`` its posterior covariances.
    """
    assert problem.features is not None
    parts = list(zip(problem.blocks, priors_at(problem, point), items, uncertain, strict=True))
    hard = [_coordinate(step_mean(block), prior, phi, c) for block, prior, phi, c in parts]
    rows = np.concatenate([block.items for block in problem.blocks])
    difficulty = regress(_rows(problem.features, rows), *_together(hard))
    sloped = [part for part in parts if _has_slope(part[0])]
    if not sloped:
        return Explained(difficulty, None)
    steep = [_coordinate(np.eye(phi.shape[1])[0], prior, phi, c) for _, prior, phi, c in sloped]
    rows = np.concatenate([block.items for block, *_ in sloped])
    return Explained(difficulty, regress(_rows(problem.features, rows), *_together(steep)))


def on_ability_scale(explained: Explained, problem: Problem, point: Point) -> Explained:
    """The same with difficulties for intercepts, where those were explained."""
    if problem.priors[0].steps is not None:
        return explained
    log_slope = float(point.parameters(problem)[0][0, 0])
    return replace(explained, difficulty=explained.difficulty.times(-float(np.exp(-log_slope))))


def explained_facts(explained: Explained) -> dict[str, Any]:
    """For the provenance of a bank: share of the variance that each block brings about."""
    found = {"difficulty": explained.difficulty, "log_slope": explained.log_slope}
    return {
        name: {block: round(share, 3) for block, share in fit.shares()}
        for name, fit in found.items()
        if fit is not None
    }


def step_mean(block: Block) -> Array:
    """``(f,)`` weights that make the mean of the intercepts of an item out of its φ."""
    steps = np.array([kind == "step" for kind in prior_of.columns(block)], float)
    return np.asarray(steps / steps.sum())


def check_explicable(problem: Problem) -> None:
    """Whether features can explain the items of a problem.

    Raises:
        InputError: several abilities, priors that are held, anchors, or models that do not mix.
    """
    if problem.grid.abilities > 1:
        raise InputError("features explain the items of a bank with one ability; leave them out")
    if any(prior.belief is None for prior in problem.priors):
        raise InputError(
            "features explain items whose priors are estimated: that takes outcomes of at least "
            "five agents, and no anchors or priors of your own"
        )
    if len({prior.steps is None for prior in problem.priors}) > 1:
        raise InputError(
            "features cannot explain items of which some share a slope and others do not; use one "
            "model for all"
        )


def _has_slope(block: Block) -> bool:
    return prior_of.columns(block)[0] == "slope"


def _coordinate(weights: Array, prior: ItemPriors, phi: Array, uncertain: Array) -> _Described:
    turn = weights @ prior_of.jacobian(prior, phi)
    return _Described(
        prior_of.described(prior, phi) @ weights,
        np.einsum("mf,mfg,mg->m", turn, uncertain, turn),
        prior.mean @ weights,
        np.einsum("f,mfg,g->m", weights, np.linalg.inv(prior.precision), weights),
    )


def _together(parts: Sequence[_Described]) -> tuple[Array, Array]:
    alone = [part.alone() for part in parts]
    return np.concatenate([y for y, _ in alone]), np.concatenate([v for _, v in alone])


def _rows(features: Features, rows: Array) -> Features:
    return features.of(features.names[int(row)] for row in rows)
