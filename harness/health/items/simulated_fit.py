"""Fit of items against simulations from their fitted curves.

Every simulated item is fitted again by one step of Fisher scoring, as a fit to the same answers
takes misfit away.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, pearson3, skew

from harness.health.evidence import Evidence
from harness.health.items.mean_squares import LEAST_VARIANCE, MeanSquares, mean_squares
from harness.health.items.sum_score_fit import SumScoreFit, sum_score_fit
from harness.health.items.sum_scores import given_sum
from harness.irt import Array

REPLICATIONS = 400
"""Simulations of all answers."""
_REPLICATIONS_X2 = 200
_SPARE = 0.02
_NEGLIGIBLE = 20.0
"""Log-probability below the most probable node."""


@dataclass(frozen=True, eq=False)
class SimulatedFit:
    """Fit of n items and what simulations say of it."""

    sum_scores: tuple[SumScoreFit, ...]
    """Of each item; none where S-X² was left out."""
    squares: MeanSquares
    sd: Array
    """``(n,)`` of log infit."""
    p: Array
    """``(4, n)`` p-values of S-X², of infit on either side, of failures of the able and of
    successes of the weak; NaN where S-X² was left out or simulations never differ."""


def simulate_fit(
    evidence: Evidence, complete: NDArray[np.intp], rng: np.random.Generator
) -> SimulatedFit:
    """S-X² of agents with complete rows, and infit, outfit and plateaus of all.

    Args:
        complete: agents with an outcome on every item; with none S-X² is left out.
    """
    moves, slack = _moves(evidence), _slack(evidence)
    sum_scores, p = _sum_score_fits(evidence, complete, moves, slack, rng)
    squares, sd, p_residuals = _residual_fits(evidence, moves, slack, rng)
    return SimulatedFit(sum_scores, squares, sd, np.vstack([p, p_residuals]))


def _slack(evidence: Evidence) -> Array:
    """``(2,)`` variance of difficulty and of log-slope among the items, in which a fit to an
    item's own answers moves them; 0 for a bank that was not fitted to these answers."""
    if not evidence.fitted:
        return np.zeros(2)
    log_slope = np.log(np.maximum([abs(item.slopes[0]) for item in evidence.bank.items], 1e-3))
    difficulty = np.clip(evidence.difficulty, evidence.nodes[0], evidence.nodes[-1])
    return np.array([difficulty.var(), log_slope.var()])


def _moves(evidence: Evidence) -> Array:
    """``(A, n, K, 2)`` derivative of each category's probability at an agent's ability by the
    item's difficulty and log-slope, from the slope of the curve along ability."""
    nodes, x = evidence.nodes, evidence.ability
    slope = np.gradient(evidence.p, nodes, axis=2)
    place = np.clip(np.searchsorted(nodes, x) - 1, 0, len(nodes) - 2)
    share = (x - nodes[place]) / (nodes[place + 1] - nodes[place])
    at = np.moveaxis(slope[:, :, place] * (1 - share) + slope[:, :, place + 1] * share, 2, 0)
    distance = np.subtract.outer(x, np.clip(evidence.difficulty, nodes[0], nodes[-1]))
    return np.stack([-at, distance[:, :, None] * at], axis=3)


def _gain(information: Array, slack: Array) -> Array:
    """``(…, 2, 2)`` step of Fisher scoring for each unit of the score function."""
    root = np.sqrt(slack)
    inner = np.eye(2) + information * root[:, None] * root
    return np.asarray(np.linalg.inv(inner) * root[:, None] * root)


def _sum_score_fits(
    evidence: Evidence,
    rows: NDArray[np.intp],
    moves: Array,
    slack: Array,
    rng: np.random.Generator,
) -> tuple[tuple[SumScoreFit, ...], Array]:
    """S-X² of all items over some agents, and ``(n,)`` p-values by simulation.

    Given the sum scores, answers of different agents to an item are independent, and the cells
    stay as they are: only the categories need to be drawn.
    """
    n = len(evidence.responses.items)
    if not len(rows):
        return (), np.full(n, np.nan)
    n_categories = evidence.responses.n_categories
    category = _one_trial(evidence.counts[rows], rng)
    total = category.sum(axis=1)
    # a sum score says less than all answers: every other node is enough
    nodes = np.flatnonzero(evidence.log_prior > evidence.log_prior.max() - _NEGLIGIBLE)[::2]
    p, weights = evidence.p[:, :, nodes], np.exp(evidence.log_prior[nodes])
    given = given_sum(np.ascontiguousarray(p), n_categories, weights)
    top = given.shape[1] - 1
    inside = (total > 0) & (total < top)
    # sum scores that somebody has
    scores, of_agent = np.unique(total[inside], return_inverse=True)
    agents, category = rows[inside], category[inside]
    fits, p_values = [], np.full(n, np.nan)
    for i in range(n):
        k = int(n_categories[i])
        share = given[i, scores, :k]
        observed = np.zeros_like(share)
        np.add.at(observed, (of_agent, category[:, i]), 1.0)
        expected = share * observed.sum(axis=1, keepdims=True)
        found = sum_score_fit(observed, expected, _n_parameters(evidence, i))
        fits.append(found)
        if found.df > 0:
            z = moves[agents, i, :k]
            p_values[i] = _simulated_p(found, share[of_agent], of_agent, z, slack, rng)
    return tuple(fits), p_values


def _n_parameters(evidence: Evidence, item: int) -> int:
    """Parameters of an item that were fitted to the answers."""
    if not evidence.fitted:
        return 0
    found = evidence.bank.items[item]
    return len(found.intercepts) + (found.model not in ("1pl", "pcm", "rsm"))


def _one_trial(counts: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """``(A, n)`` category of one trial of each cell, drawn at random."""
    reached = np.cumsum(counts, axis=2)
    drawn = rng.random(counts.shape[:2]) * reached[:, :, -1]
    return np.asarray((drawn[:, :, None] >= reached[:, :, :-1]).sum(axis=2))


def _simulated_p(
    found: SumScoreFit,
    share: Array,
    of_agent: NDArray[np.intp],
    moves: Array,
    slack: Array,
    rng: np.random.Generator,
) -> float:
    """P-value of S-X² by a multiple of χ² with the mean and variance of simulations.

    Args:
        share: ``(A, K)`` probability of each category given the agent's sum score.
        moves: ``(A, K, 2)``.
    """
    a = len(share)
    cells = found.cells[of_agent]
    n_cells = int(cells.max()) + 1
    safe = np.maximum(share, 1e-9)
    drawn = (rng.random((_REPLICATIONS_X2, a, 1)) >= np.cumsum(share, axis=1)[:, :-1]).sum(axis=2)
    agent = np.arange(a)
    flat = cells[agent, drawn] + n_cells * np.arange(_REPLICATIONS_X2)[:, None]
    observed = np.bincount(flat.ravel(), minlength=_REPLICATIONS_X2 * n_cells)
    expected = np.bincount(cells.ravel(), share.ravel(), n_cells)
    by_move = np.stack(
        [np.bincount(cells.ravel(), m.ravel(), n_cells) for m in moves.T.swapaxes(1, 2)]
    )
    information = np.einsum("akp,akr->pr", moves / safe[:, :, None], moves)
    score = (moves / safe[:, :, None])[agent, drawn].sum(axis=1)
    shift = score @ _gain(information, slack) @ by_move
    residual = observed.reshape(_REPLICATIONS_X2, n_cells) - expected - shift
    simulated = (residual**2 / expected).sum(axis=1)
    mean, variance = simulated.mean(), simulated.var()
    if variance <= 0:
        return math.nan
    return float(chi2.sf(2 * mean * found.statistic / variance, 2 * mean**2 / variance))


def _residual_fits(
    evidence: Evidence, moves: Array, slack: Array, rng: np.random.Generator
) -> tuple[MeanSquares, Array, Array]:
    """Mean squares of the residuals of all cells, ``(n,)`` sd of log infit, and ``(3, n)`` p-values
    of infit and of the two plateaus.

    A plateau is sought as the score test for an asymptote would: residuals in proportion to how
    far the curve moves with it, over their variance. In simulations abilities are drawn from the
    agents' posteriors, then every trial that there was.
    """
    worth, trials = evidence.worth, evidence.trials
    there = trials > 0
    variance = np.where(there, np.maximum(evidence.score_variance, LEAST_VARIANCE), 1.0)
    # (2, A, n), so that all sums run along memory
    z = np.ascontiguousarray(np.einsum("ankp,nk->pan", moves, worth) * there)
    weighted = z / variance
    gain = _gain(np.einsum("pan,ran->npr", weighted, z), slack)
    total = (variance * there).sum(axis=0)
    by_move = _moved_variance(evidence, moves, z, variance).sum(axis=1)
    plateau = _plateaus(evidence, variance * there)
    draw = drawer(evidence, rng)
    simulated, fourth = np.empty((REPLICATIONS, 3, trials.shape[1])), np.zeros_like(trials)
    for replicate in simulated:
        r = (draw() - evidence.expected_score) * there
        square = r * r
        fourth += square * square / REPLICATIONS
        score = np.stack([(weighted[0] * r).sum(axis=0), (weighted[1] * r).sum(axis=0)])
        step = np.einsum("npr,rn->pn", gain, score)
        r -= z[0] * step[0] + z[1] * step[1]
        moved = np.maximum(total + (by_move * step).sum(axis=0), 0.1 * total)
        replicate[0] = np.log(np.maximum((r * r).sum(axis=0) / moved, 1e-6))
        replicate[1] = (r * plateau[0]).sum(axis=0)
        replicate[2] = (r * plateau[1]).sum(axis=0)
    # a variance that the floor raised has no fourth power below its square
    fourth = np.maximum(fourth, variance**2)
    residual = evidence.score - evidence.expected_score
    squares = mean_squares(residual, variance, fourth)
    found = np.empty((3, trials.shape[1]))
    found[0] = np.log(np.maximum(squares.infit, 1e-6))
    found[1:] = np.einsum("an,tan->tn", np.where(there, residual, 0.0), plateau)
    sd = simulated.std(axis=0)
    z = (found - simulated.mean(axis=0)) / np.where(sd > 0, sd, np.nan)
    # tails as long as in simulations, and never shorter than the normal's
    lean = np.asarray(skew(simulated, axis=0))
    above = np.asarray(pearson3.sf(z, np.maximum(lean, 0.0)))
    below = np.asarray(pearson3.cdf(z, np.minimum(lean, 0.0)))
    p = np.concatenate([np.minimum(1.0, 2 * np.minimum(above[:1], below[:1])), above[1:]])
    return squares, sd[0], p


def _plateaus(evidence: Evidence, variance: Array) -> Array:
    """``(2, A, n)`` weight of each residual in the tests for failures of the able and for
    successes of the weak; 0 where the variance is."""
    expected = evidence.expected_score
    # without a little more variance a single surprise would be all
    weight = (variance > 0) / (variance + _SPARE)
    return np.stack([-expected * weight, (1 - expected) * weight])


def _moved_variance(evidence: Evidence, moves: Array, z: Array, variance: Array) -> Array:
    """``(2, A, n)`` derivative of the variance of scores, by an item's difficulty and log-slope.

    That of one trial, in proportion to what the trials of the cell leave of it.
    """
    expected = evidence.expected_score
    square = evidence.posterior @ np.einsum("nk,nkq->qn", evidence.worth**2, evidence.p)
    single = np.maximum(square - expected**2, LEAST_VARIANCE)
    slope = np.einsum("ankp,nk->pan", moves, evidence.worth**2) - 2 * expected * z
    return np.asarray(np.where(evidence.trials > 0, slope * (variance / single), 0.0))


def drawer(evidence: Evidence, rng: np.random.Generator) -> Callable[[], Array]:
    """A function that draws ``(A, n)`` scores of all cells as the model expects them: abilities
    from the posteriors, what an item is to an agent, then as many trials as there were."""
    a, n = evidence.trials.shape
    top = evidence.responses.n_categories - 1
    # (K - 1, E, Q, n), so that the cells of one agent lie together
    reached = np.cumsum(np.exp(evidence.log_p), axis=2)[:, :, :-1].transpose(2, 0, 3, 1)
    reached = np.ascontiguousarray(reached)
    posterior = np.cumsum(evidence.posterior, axis=1)[:, :-1]
    effects = np.cumsum(np.exp(evidence.log_effect))[:-1]
    trials = [evidence.trials > trial for trial in range(int(evidence.trials.max()))]
    item = np.arange(n)

    def draw() -> Array:
        node = (rng.random((a, 1)) > posterior).sum(axis=1)
        if len(effects):
            effect = np.searchsorted(effects, rng.random((a, n)))
            limits = reached[:, effect, node[:, None], item]
        else:
            limits = reached[:, 0, node]
        earned = np.zeros((a, n))
        for there in trials:
            drawn = rng.random((a, n))
            category = sum((drawn > limit) * there for limit in limits)
            earned += category
        return earned / (np.maximum(evidence.trials, 1) * top)

    return draw
