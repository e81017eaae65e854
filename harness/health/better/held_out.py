"""How well a part of a benchmark orders agents that it was not chosen on.

Items are calibrated and chosen on training agents; what held-out agents did on those items is
scored and compared with what they did on all items. Scorings:

- ``mean``: mean score over the subset;
- ``ability``: posterior mean given the answers on the subset;
- ``predicted``: expected score on the whole benchmark, where the answers on the subset are known.

A quick calibration takes the expected score of an item as logistic in ability (Papke and Wooldridge
1996, for scores between 0 and 1) and each cell for as many trials as its variance says. For pass or
fail it is the two-parameter model, by expectation-maximisation (Bock and Aitkin 1981).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from harness.calibrate import calibrate
from harness.health.better.greedy import Curves, Indices, Where, curves_of, density_of
from harness.health.evidence import Evidence, gather
from harness.irt import Array

Scoring = Literal["mean", "ability", "predicted"]
SCORINGS: tuple[Scoring, ...] = get_args(Scoring)
Truth = NDArray[np.bool_]

MIDDLE = (0.3, 0.7)
"""The rule to keep the items that between 30% and 70% of agents solve."""
_REACH = 5.0
_FIT_NODES, _SCORE_NODES = 121, 61
_PASSES, _STEPS = 12, 2
_KERNEL = 0.5
_NORMAL = 10
"""The population as :attr:`harness.bank.ItemBank.population` has it."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Training agents' view of n items, and T held-out agents on Q nodes."""

    test: Indices
    """``(T,)`` rows of the held-out agents."""
    curves: Curves
    log_prior: Array
    """``(Q,)`` of the training agents' population."""
    cells: Array
    """``(T, n, Q)`` log-likelihood of each held-out cell; 0 where missing."""
    middle: Truth
    """``(n,)`` items within the rule, by the training agents."""


def splits(agents: int, folds: int, repeats: int, seed: int) -> tuple[Indices, ...]:
    """Held-out agents of each fold: every agent once in each repeat.

    >>> [len(test) for test in splits(7, 3, 1, 0)]
    [3, 2, 2]
    """
    orders = [np.random.default_rng([seed, r]).permutation(agents) for r in range(repeats)]
    return tuple(np.sort(order[f::folds]) for order in orders for f in range(folds))


def quick_fold(evidence: Evidence, test: Indices, where: Where) -> Fold:
    """A fold by the quick calibration, in milliseconds.

    Only how widely slopes and intercepts spread, and how much a cell varies, come from all agents.
    """
    train = np.setdiff1d(np.arange(len(evidence.score)), test)
    p = evidence.expected
    # trials of pass or fail that a cell is worth; 1 for a single one
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = (evidence.posterior @ (p * (1 - p)).T) / evidence.score_variance
    worth = np.where(evidence.trials > 0, np.clip(np.nan_to_num(worth), 0.0, 1e3), 0.0)
    score = np.nan_to_num(evidence.score)
    nodes = np.linspace(-_REACH, _REACH, _FIT_NODES)
    sd = evidence.bank.sd[0]
    log_a = np.log([item.slopes[0] * sd for item in evidence.bank.items])
    at = np.array([np.interp(evidence.bank.mean[0], evidence.nodes, row) for row in p])
    d = np.log(np.clip(at, 1e-3, 1 - 1e-3) / np.clip(1 - at, 1e-3, 1))
    prior = np.array([[log_a.mean(), max(log_a.std(), 0.3)], [d.mean(), max(d.std(), 0.5)]])
    slopes, intercepts, posterior = _fit(score[train], worth[train], nodes, prior)
    step = (_FIT_NODES - 1) // (_SCORE_NODES - 1)
    nodes = nodes[::step]
    posterior = np.add.reduceat(posterior, np.arange(0, _FIT_NODES, step), axis=1)
    dates = [evidence.responses.date[a] for a in train]
    density = density_of(nodes, posterior, dates, where)
    logit = slopes[:, None] * nodes + intercepts[:, None]
    expected = expit(logit)
    held = worth[train]
    usual = held.sum(axis=0) / np.maximum((held > 0).sum(axis=0), 1)
    noise = expected * (1 - expected) / np.maximum(usual, 1e-9)[:, None]
    information = slopes[:, None] ** 2 * (expected * (1 - expected)) ** 2 / noise
    s, w = score[test][:, :, None], worth[test][:, :, None]
    cells = w * (s * log_expit(logit) + (1 - s) * log_expit(-logit))
    return Fold(
        test=test,
        curves=Curves(nodes, density, expected, information, noise, 1.0),
        log_prior=_population(nodes, posterior.mean(axis=0), len(train)),
        cells=cells,
        middle=_in_middle(evidence.score[train]),
    )


def full_fold(evidence: Evidence, test: Indices, where: Where) -> Fold | None:
    """A fold by the calibration of a bank, in seconds; None where an item was not tried in it."""
    responses = evidence.responses
    train = np.setdiff1d(np.arange(len(responses.agents)), test)
    models = {item.id: item.model for item in evidence.bank.items}
    trained = responses.subset(agents=[responses.agents[a] for a in train])
    if not trained.attempts.any(axis=0).all():
        return None
    found = gather(responses, calibrate(trained, models, name="training agents").bank)
    step = -(-len(found.nodes) // _FIT_NODES)
    cells = np.stack(
        [found.log_likelihood(i)[test][:, ::step] for i in range(len(responses.items))], axis=1
    )
    curves = curves_of(found)
    starts = np.arange(0, len(found.nodes), step)
    posterior = np.add.reduceat(found.posterior[train], starts, axis=1)
    density = density_of(curves.nodes, posterior, trained.date, where)
    return Fold(
        test=test,
        curves=replace(curves, density=density),
        log_prior=found.bank.population.log_weights(curves.nodes[:, None]),
        cells=cells,
        middle=_in_middle(evidence.score[train]),
    )


def _fit(score: Array, worth: Array, nodes: Array, prior: Array) -> tuple[Array, Array, Array]:
    """Slopes and intercepts ``(n,)``, and posteriors ``(A, Q)``, of a normal population."""
    n = score.shape[1]
    log_a, d = np.full(n, prior[0, 0]), np.zeros(n)
    answered = worth.sum(axis=0)
    earned = (worth * score).sum(axis=0)
    share = (earned + 0.5) / (answered + 1)
    d = np.log(share / (1 - share)) * np.exp(0.3)
    normal = -0.5 * nodes**2
    posterior = np.empty((len(score), len(nodes)))
    for _ in range(_PASSES):
        logit = np.exp(log_a)[:, None] * nodes + d[:, None]
        log = (worth * score) @ log_expit(logit) + (worth * (1 - score)) @ log_expit(-logit)
        log += normal
        posterior = np.exp(log - log.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        # the agents are the population: they keep mean 0 and sd 1
        total, right = worth.T @ posterior, (worth * score).T @ posterior
        for _ in range(_STEPS):
            log_a, d = _step(log_a, d, total, right, nodes, prior)
    return np.exp(log_a), d, posterior


def _step(
    log_a: Array, d: Array, total: Array, right: Array, nodes: Array, prior: Array
) -> tuple[Array, Array]:
    """A step of Fisher scoring in ``(log a, d)`` of all items."""
    a = np.exp(log_a)[:, None]
    e = expit(a * nodes + d[:, None])
    off, weight, along = right - total * e, total * e * (1 - e), a * nodes
    grad = np.stack([(off * along).sum(axis=1), off.sum(axis=1)])
    grad -= (np.stack([log_a, d]) - prior[:, :1]) / prior[:, 1:] ** 2
    aa = (weight * along**2).sum(axis=1) + prior[0, 1] ** -2
    dd = weight.sum(axis=1) + prior[1, 1] ** -2
    ad = (weight * along).sum(axis=1)
    det = aa * dd - ad**2
    move = np.stack([dd * grad[0] - ad * grad[1], aa * grad[1] - ad * grad[0]]) / det
    move = np.clip(move, -1.0, 1.0)
    return log_a + move[0], d + move[1]


def _population(nodes: Array, density: Array, agents: int) -> Array:
    """Log-weights: a kernel density of the training agents, with ten agents' worth of a normal."""
    kernel = np.exp(-0.5 * ((nodes[:, None] - nodes) / _KERNEL) ** 2)
    smooth = (kernel / kernel.sum(axis=0)) @ density
    normal = np.exp(-0.5 * nodes**2)
    mixed = agents * smooth + _NORMAL * normal / normal.sum()
    return np.asarray(np.log(mixed / mixed.sum()))


def _in_middle(score: Array) -> Truth:
    known = np.isfinite(score)
    mean = np.where(known, score, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray((mean >= MIDDLE[0]) & (mean <= MIDDLE[1]) & known.any(axis=0))


def score_subsets(fold: Fold, score: Array, chosen: Truth) -> Mapping[Scoring, Array]:
    """Score the held-out agents on R subsets; each is ``(R, T)``.

    Args:
        score: ``(T, n)`` of the held-out agents; NaN where missing.
        chosen: ``(R, n)`` items of each subset.
    """
    held, n = len(score), chosen.shape[1]
    q = len(fold.curves.nodes)
    known = np.isfinite(score)
    rows = chosen.astype(float)
    answered = rows @ known.T
    earned = rows @ np.where(known, score, 0.0).T
    log = (rows @ fold.cells.swapaxes(0, 1).reshape(n, held * q)).reshape(-1, held, q)
    log += fold.log_prior
    weights = np.exp(log - log.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    expected = fold.curves.expected
    # what is expected of the answers that are known, to be replaced by them
    if known.all():
        replaced = (rows @ expected)[:, None]
    else:
        cells = (known[:, :, None] * expected).swapaxes(0, 1).reshape(n, held * q)
        replaced = (rows @ cells).reshape(-1, held, q)
    rest = (weights * (expected.sum(axis=0) - replaced)).sum(axis=2)
    predicted = (earned + rest) / n
    mean = np.where(answered > 0, earned / np.maximum(answered, 1), predicted)
    return {"mean": mean, "ability": weights @ fold.curves.nodes, "predicted": predicted}


def rank_agreement(weights: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Kendall's tau-b and Spearman's rho of R columns with one, under B + 1 weightings of agents.

    As :func:`harness.study.bootstrap.rank_correlations`, for many columns at once.

    Args:
        weights: ``(B + 1, m)`` how often each agent counts.
        x: ``(R, m)``.
        y: ``(m,)``.

    Returns:
        ``(B + 1, R)`` each; NaN where a column does not vary.

    >>> tau, rho = rank_agreement(np.ones((1, 3)), np.array([[1.0, 2, 3], [1, 3, 2]]), np.arange(3))
    >>> tau.round(2).tolist(), rho.round(2).tolist()
    ([[1.0, 0.33]], [[1.0, 0.5]])
    """
    m = len(y)
    one = np.sign(y[:, None] - y)
    many = np.sign(x[:, :, None] - x[:, None]).astype(float)
    # each unordered pair once: both orders say the same
    pairs = np.triu_indices(m, 1)
    both = weights[:, pairs[0]] * weights[:, pairs[1]]
    of_x, of_y = many[:, pairs[0], pairs[1]], one[pairs]
    agree = both @ (of_x * of_y).T
    scale = (both @ (of_x**2).T) * (both @ of_y**2)[:, None]
    rank_y = weights @ one
    # twice the midranks less their mean: what lies below minus what lies above
    rank_x = np.tensordot(weights, many, (1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        tau = np.where(scale > 0, agree / np.sqrt(scale), np.nan)
        products = np.einsum("bm,brm,bm->br", weights, rank_x, rank_y, optimize=True)
        sizes = np.einsum("bm,brm->br", weights, rank_x**2, optimize=True)
        sizes = sizes * (weights * rank_y**2).sum(axis=1)[:, None]
        rho = np.where(sizes > 0, products / np.sqrt(sizes), np.nan)
    return np.asarray(tau), np.asarray(rho)


def random_subsets(
    rng: np.random.Generator, pool: Sequence[int] | Indices, size: int, draws: int, n: int
) -> Truth:
    """``(draws, n)`` subsets of a pool without replacement; the whole pool where it is smaller."""
    pool = np.asarray(pool)
    chosen = np.zeros((draws, n), bool)
    order = rng.random((draws, len(pool))).argsort(axis=1)[:, :size]
    np.put_along_axis(chosen, pool[order], True, axis=1)
    return chosen
