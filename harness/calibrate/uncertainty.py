"""How uncertain calibrated parameters are.

The covariance is the inverse of the observed information at the mode (Louis 1982): what complete
data would tell, plus the curvature of the priors, minus what is missing because abilities are known
only up to their posteriors. What is missing is the variance of each agent's complete-data score
over his posterior. Scores are smooth and posteriors narrow, so that variance is summed up in the
first few polynomials that are orthonormal under the posterior (Parseval): exact for polynomial
scores, and one matrix product a polynomial instead of one a node.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from harness.calibrate import blocks as shape
from harness.calibrate import population as latent
from harness.calibrate import priors as prior_of
from harness.calibrate.ascend import State
from harness.calibrate.cells import Patterns
from harness.calibrate.problem import (
    Problem,
    border_slices,
    chunks,
    information,
    posteriors,
    priors_at,
    scale_directions,
    scale_scores,
    system,
)
from harness.irt import Array

_DEGREE = {1: 3, 2: 2, 3: 2}
_MOST_UNKNOWNS = 4500
"""Up to so many unknowns all items are inverted together (160 MB); beyond, item by item."""
_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Covariances of the parameters x, ``(m, p, p)`` for each block.

    ``given_scale`` is on the scale on which the calibrating agents have the mean and spread that
    they have: what a bank needs, as a scale that is a little off for all items alike changes no
    prediction. ``marginal`` counts the scale as well, as a sample of agents from a population fixes
    it only so well; it is what other programs call standard errors.
    """

    given_scale: tuple[Array, ...]
    marginal: tuple[Array, ...]
    shared: Array
    """``(G, G)`` of the shared parameters."""
    population: Array
    """Of the free parameters of the population, square."""
    jointly: bool
    """All items were inverted together; else each item as if the others were known."""


def item_covariances(problem: Problem, state: State) -> tuple[Array, ...]:
    """``(m, f, f)`` of each block, as if all other items were known."""
    found = []
    for b, bend in enumerate(_complete(problem, state)):
        missing = np.zeros_like(bend)
        score = state.found.tables[b][1]
        for rows in _chunks(problem, 4 * score.shape[0] * score.shape[1]):
            missing += _missing_by_item(problem, state, b, score, rows)
        found.append(_safe_inverse(bend, missing))
    return tuple(found)


def uncertainty(problem: Problem, state: State) -> Uncertainty:
    """Observed information of everything together, inverted."""
    arrow = system(problem, state.point, state.found)
    sizes = [g.size for g in arrow.gradients]
    n_items, border = sum(sizes), len(arrow.border_gradient)
    shared, _, people = border_slices(problem)
    if n_items + border > _MOST_UNKNOWNS:
        corner = np.asarray(np.linalg.pinv(arrow.corner, hermitian=True), float)
        alone = tuple(
            block.free @ c @ block.free.T + block.shared @ corner[shared, shared] @ block.shared.T
            for block, c in zip(problem.blocks, item_covariances(problem, state), strict=True)
        )
        return Uncertainty(alone, alone, corner[shared, shared], corner[people, people], False)
    d = problem.grid.abilities
    n = n_items + border
    whole = np.zeros((n, n))
    start = 0
    for bend, coupling in zip(_complete(problem, state), arrow.coupling, strict=True):
        m, f, _ = bend.shape
        for j in range(m):
            here = slice(start + j * f, start + (j + 1) * f)
            whole[here, here] = bend[j]
            whole[here, n_items:] = coupling[j]
            whole[n_items:, here] = coupling[j].T
        start += m * f
    whole[n_items:, n_items:] = arrow.corner
    missing = _missing_together(problem, state, n_items, border)
    observed = whole - missing[:n, :n]
    covariance = _invert(whole, observed)
    # how the mean and spread of the agents at hand answer to the parameters
    by_scale = -missing[n:, :n]
    complete_scale = problem.agents * np.diag(np.repeat([1.0, 2.0], d))
    scale = complete_scale - missing[n:, n:]
    moves = scale_directions(problem, state.point)
    # (I - M R) C (I - M R)ᵀ, with M of few columns
    pulled = np.linalg.solve(scale, by_scale) @ covariance
    inner = pulled @ np.linalg.solve(scale, by_scale).T
    given = covariance - moves @ pulled - pulled.T @ moves.T + moves @ inner @ moves.T
    people_at = slice(n_items + people.start, n_items + people.stop)
    shared_at = slice(n_items + shared.start, n_items + shared.stop)
    return Uncertainty(
        tuple(_blocks(problem, given, shared_at)),
        tuple(_blocks(problem, covariance, shared_at)),
        given[shared_at, shared_at],
        covariance[people_at, people_at],
        True,
    )


def _blocks(problem: Problem, covariance: Array, shared: slice) -> list[Array]:
    """``(m, p, p)`` of each block's x, which its free and the shared parameters make up."""
    found, start = [], 0
    for block in problem.blocks:
        m, f = len(block.items), block.free.shape[1]
        own = start + np.arange(m)[:, None] * f + np.arange(f)
        common = np.tile(np.arange(shared.start, shared.stop), (m, 1))
        rows = np.hstack([own, common])
        onto = np.hstack([block.free, block.shared])
        found.append(onto @ covariance[rows[:, :, None], rows[:, None, :]] @ onto.T)
        start += m * f
    return found


def _complete(problem: Problem, state: State) -> list[Array]:
    """``(m, f, f)`` information of each block if abilities were known, with the priors."""
    found, priors = [], priors_at(problem, state.point)
    for b, (block, cells) in enumerate(zip(problem.blocks, problem.cells, strict=True)):
        phi = state.point.items[b]
        x = block.parameters(phi, state.point.shared)
        expected = state.found.expected[b]
        if isinstance(cells, Patterns):
            bend = shape.pattern_information(block, x, problem.grid.nodes, cells.patterns, expected)
        else:
            log_p, score = state.found.tables[b]
            bend = information(log_p, score, expected.sum(axis=1))
        prior = priors[b]
        _, curvature = prior_of.gradient_and_curvature(block, phi, x, prior)
        ridge = 1e-9 * np.eye(curvature.shape[1])
        found.append(block.free.T @ bend @ block.free + curvature + ridge)
    return found


def _chunks(problem: Problem, widest: int) -> list[slice]:
    d = problem.grid.abilities
    size = max(1, _CHUNK // max(widest, len(problem.grid.nodes) * (len(_monomials(d)) + 1)))
    first = chunks(problem)
    size = min(size, first[0].stop - first[0].start)
    return [slice(i, min(i + size, problem.agents)) for i in range(0, problem.agents, size)]


def _missing_by_item(problem: Problem, state: State, b: int, score: Array, rows: slice) -> Array:
    """``(m, f, f)`` variance of each item's score over the posteriors of some agents."""
    weights, _ = posteriors(problem, state.point, [t[0] for t in state.found.tables], rows)
    parts = _item_parts(problem, b, score, rows, _polynomials(problem, weights))
    return np.asarray(np.einsum("akmf,akmg->mfg", parts, parts, optimize=True))


def _item_parts(
    problem: Problem, b: int, score: Array, rows: slice, polynomials: list[Array]
) -> Array:
    """``(rows, M, m, f)`` coefficients of each agent's score of each item in his polynomials."""
    m, o, _, q = score.shape
    block = problem.blocks[b]
    flat = (np.swapaxes(score, 2, 3) @ block.free).transpose(2, 0, 1, 3).reshape(q, -1)
    outcomes = problem.cells[b].outcomes(rows)
    found = [
        np.einsum("amo,amof->amf", outcomes, (one @ flat).reshape(len(one), m, o, -1))
        for one in polynomials
    ]
    return np.stack(found, axis=1)


def _polynomials(problem: Problem, weights: Array) -> list[Array]:
    """Polynomials of ability orthonormal under each posterior, times it: ``(a, Q)`` each.

    The constant is left out: it carries the mean of the score, not its variance.
    """
    nodes = problem.grid.nodes
    d = nodes.shape[1]
    mean = weights @ nodes
    second = (weights @ (nodes[:, :, None] * nodes[:, None]).reshape(len(nodes), -1)).reshape(
        -1, d, d
    )
    covariance = second - mean[:, :, None] * mean[:, None]
    root = np.linalg.inv(np.linalg.cholesky(covariance + 1e-12 * np.eye(d)))
    z = (nodes[None] - mean[:, None]) @ root.swapaxes(1, 2)
    # posteriors reach a few sds: far nodes weigh nothing, but their powers must not overflow
    np.clip(z, -12.0, 12.0, out=z)
    powers = [np.ones(weights.shape)]
    for axes in _monomials(d):
        power = z[:, :, axes[0]]
        for axis in axes[1:]:
            power = power * z[:, :, axis]
        powers.append(power)
    basis = np.stack(powers, axis=1)
    weighted = basis * weights[:, None]
    gram = weighted @ basis.swapaxes(1, 2)
    size = len(powers)
    ridge = 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] / size
    turn = np.linalg.inv(np.linalg.cholesky(gram + ridge * np.eye(size)))
    orthonormal = turn @ weighted
    return [orthonormal[:, k] for k in range(1, size)]


def _missing_together(problem: Problem, state: State, n_items: int, border: int) -> Array:
    """Missing information of all unknowns, then of the mean and log sd of each ability."""
    shared, _, people = border_slices(problem)
    d = problem.grid.abilities
    n = n_items + border + 2 * d
    total = np.zeros((n, n))
    nodes = problem.grid.nodes
    by_scale = scale_scores(problem, state.point)
    widest = n * len(_monomials(d))
    scores = [table[1] for table in state.found.tables]
    for rows in _chunks(problem, widest):
        weights, _ = posteriors(problem, state.point, [t[0] for t in state.found.tables], rows)
        polynomials = _polynomials(problem, weights)
        parts = np.zeros((len(weights), len(polynomials), n))
        start = 0
        for b, score in enumerate(scores):
            own = _item_parts(problem, b, score, rows, polynomials)
            parts[:, :, start : start + own.shape[2] * own.shape[3]] = own.reshape(
                *own.shape[:2], -1
            )
            start += own.shape[2] * own.shape[3]
            block = problem.blocks[b]
            if block.shared.any():
                by_shared = (np.swapaxes(score, 2, 3) @ block.shared).transpose(2, 0, 1, 3)
                flat = by_shared.reshape(len(nodes), -1)
                outcomes = problem.cells[b].outcomes(rows)
                for k, one in enumerate(polynomials):
                    parts[:, k, n_items : n_items + shared.stop] += np.einsum(
                        "amo,amog->ag",
                        outcomes,
                        (one @ flat).reshape(len(one), *score.shape[:2], -1),
                    )
        if people.stop > people.start:
            by_people = latent.agent_scores(problem.design, state.point.population, rows, nodes)
            for k, one in enumerate(polynomials):
                parts[:, k, n_items + people.start : n_items + people.stop] = np.einsum(
                    "aq,anq->an", one, by_people
                )
        for k, one in enumerate(polynomials):
            parts[:, k, n_items + border :] = one @ by_scale
        flat_parts = parts.reshape(-1, n)
        total += flat_parts.T @ flat_parts
    return total


def _monomials(d: int) -> list[tuple[int, ...]]:
    """Axes that are multiplied, by rising degree: ``(0,), (1,), (0, 0), (0, 1), …``."""
    return [
        axes
        for degree in range(1, _DEGREE[d] + 1)
        for axes in itertools.combinations_with_replacement(range(d), degree)
    ]


def _invert(complete: Array, observed: Array) -> Array:
    """Inverse of the observed information; where rounding or rare items leave it indefinite, a
    hundredth of the complete information is kept in every direction."""
    factor, failed = lapack.dpotrf(observed, lower=1)
    if not failed:
        lower, _ = lapack.dpotri(factor, lower=1)
        return np.asarray(np.tril(lower) + np.tril(lower, -1).T)
    scale = 1 / np.sqrt(np.diag(complete))
    values, vectors = np.linalg.eigh(observed * np.outer(scale, scale))
    kept = np.maximum(values, 0.01)
    return np.asarray(((vectors / kept) @ vectors.T) * np.outer(scale, scale))


def _safe_inverse(certain: Array, missing: Array) -> Array:
    """Inverse of ``certain - missing``, of which at least a tenth of ``certain`` is kept.

    In the coordinates where ``certain`` is the identity, ``missing`` has eigenvalues between 0
    and 1; rounding and rare items can push one above.
    """
    factor = np.linalg.inv(np.linalg.cholesky(certain))
    relative = factor @ missing @ factor.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(relative)
    kept = np.maximum(1.0 - np.maximum(values, 0.0), 0.1)
    half = factor.swapaxes(1, 2) @ (vectors / np.sqrt(kept)[:, None, :])
    return np.asarray(half @ half.swapaxes(1, 2))
