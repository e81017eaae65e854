"""Forecasts held against what happened, with intervals over items or agents."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.calibrate.metrics import (
    brier_scores,
    calibration_curve,
    calibration_error,
    log_scores,
    ordering,
)
from harness.coldstart.benchmark import Indices
from harness.coldstart.forecast import Forecast, Placed
from harness.coldstart.result import Coverage, Difference, Found
from harness.coldstart.splits import Fold
from harness.irt import Array
from harness.study.bootstrap import draw_weights, estimate, estimate_share, weighted_means

LEVEL = 0.9
"""Of the intervals of difficulty and ability."""
DRAWS = 400


@dataclass(frozen=True, eq=False)
class Cells:
    """All C cells that were told, by whichever fold told them."""

    counts: Array
    """``(C, 2)`` failures and passes."""
    unit: Indices
    """``(C,)`` item or agent, as the bootstrap draws them."""
    agent: Indices
    fold: Indices
    weights: Array
    """``(B + 1, U)`` of the units."""
    folds: int


def told_cells(counts: Array, folds: Sequence[Fold], by: int, draws: int = DRAWS) -> Cells:
    """The cells of all folds, one fold after the other.

    Args:
        counts: ``(A, n, 2)``.
        by: what the bootstrap draws: 0 agents, 1 items.
    """
    where = [np.nonzero(fold.told) for fold in folds]
    agent, item = (np.concatenate([one[axis] for one in where]) for axis in (0, 1))
    units, unit = np.unique((agent, item)[by], return_inverse=True)
    return Cells(
        counts[agent, item],
        unit,
        agent,
        np.repeat(np.arange(len(folds)), [len(rows) for rows, _ in where]),
        draw_weights(len(units), draws),
        len(folds),
    )


def gathered(forecasts: Sequence[Forecast], folds: Sequence[Fold]) -> Array:
    """``(C,)`` what one method said of the cells of all folds."""
    return np.concatenate(
        [forecast.passing[fold.told] for forecast, fold in zip(forecasts, folds, strict=True)]
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Measures of one method under each bootstrap sample, ``(B + 1,)``."""

    auc: Array
    log_score: Array
    brier: Array


def measure(
    told: Mapping[str, Sequence[Forecast]], folds: Sequence[Fold], cells: Cells, main: str
) -> tuple[tuple[Found, ...], tuple[Difference, ...]]:
    """All methods, and how the main one differs from each.

    Args:
        told: for each method a forecast for every fold.
    """
    passing = {name: gathered(forecasts, folds) for name, forecasts in told.items()}
    drawn = {name: _draw(p, cells) for name, p in passing.items()}
    found = tuple(
        _found(name, passing[name], drawn[name], forecasts, cells)
        for name, forecasts in told.items()
    )
    differences = tuple(
        Difference(
            name,
            main,
            estimate(drawn[main].auc - other.auc),
            estimate(drawn[main].log_score - other.log_score),
        )
        for name, other in drawn.items()
        if name != main
    )
    return found, differences


def _draw(passing: Array, cells: Cells) -> _Drawn:
    p = np.stack([1 - passing, passing], axis=1)
    top = np.ones(len(p), np.intp)
    ordered = ordering(p, cells.counts, top, cells.unit)
    trials = cells.counts.sum(axis=1)
    sums = np.stack([log_scores(p, cells.counts), brier_scores(p, cells.counts), trials], axis=1)
    mean = weighted_means(cells.weights, cells.unit, sums)
    return _Drawn(
        np.array([ordered.auc(weights) for weights in cells.weights]),
        mean[:, 0] / mean[:, 2],
        mean[:, 1] / mean[:, 2],
    )


def _found(
    name: str, passing: Array, drawn: _Drawn, forecasts: Sequence[Forecast], cells: Cells
) -> Found:
    p = np.stack([1 - passing, passing], axis=1)
    curve = calibration_curve(p, cells.counts, np.ones(len(p), np.intp), cells.agent)
    by_fold = []
    for fold in range(cells.folds):
        here = cells.fold == fold
        top = np.ones(int(here.sum()), np.intp)
        by_fold.append(ordering(p[here], cells.counts[here], top, cells.unit[here]).auc())
    hard = [forecast.difficulty for forecast in forecasts if forecast.difficulty]
    able = [forecast.ability for forecast in forecasts if forecast.ability]
    return Found(
        name,
        estimate(drawn.auc),
        tuple(by_fold),
        estimate(drawn.log_score),
        estimate(drawn.brier),
        calibration_error(curve),
        curve,
        coverage(hard) if hard else None,
        coverage(able) if able else None,
    )


def coverage(placed: Sequence[Placed]) -> Coverage:
    """Of stated intervals, all folds together; a row is one item or agent.

    The estimate from all outcomes has an error of its own, which is no fault of what was said, so
    the interval is that of the estimate.
    """
    mean, sd, value, below = (
        np.concatenate([getattr(one, name) for one in placed])
        for name in ("mean", "sd", "value", "below")
    )
    off = value - mean
    inside = (np.abs(below - 0.5) <= LEVEL / 2).astype(float)
    weights = draw_weights(len(off), 1000)
    shares = weights @ inside / len(off)
    # what differs between folds by rounding only has no correlation
    varies = mean.std() > 1e-9 and np.ptp(mean) > 0.05 * value.std()
    return Coverage(
        len(off),
        estimate_share(shares, len(off)),
        math.sqrt(float(off @ off) / len(off)),
        float(sd.mean()),
        float(np.corrcoef(mean, value)[0, 1]) if varies and value.std() > 0 else math.nan,
    )
