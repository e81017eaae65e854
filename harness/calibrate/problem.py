"""What is maximised: the log-posterior of items, shared parameters, priors and population.

The unknowns are a :class:`Point`. Its log-posterior is marginal over abilities, which lie on a
grid; the gradient comes from expected counts (Fisher's identity), so one pass over the data gives
both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.calibrate import blocks as shape
from harness.calibrate import population as latent
from harness.calibrate import priors as prior_of
from harness.calibrate.blocks import Block
from harness.calibrate.cells import Cells, Patterns
from harness.calibrate.grid import Grid, edge
from harness.calibrate.population import Design, Population
from harness.calibrate.priors import ItemPriors
from harness.irt import Array
from harness.regression import Features

_CHUNK = 4_000_000
"""Numbers that an array of a chunk of agents may hold (32 MB): a few such arrays exist at once."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, models and priors; everything that stays while parameters move."""

    blocks: tuple[Block, ...]
    cells: tuple[Cells, ...]
    priors: tuple[ItemPriors, ...]
    shared_mean: Array
    """``(G,)`` prior mean of the shared parameters."""
    shared_precision: Array
    """``(G,)``."""
    design: Design
    grid: Grid
    partial_precision: float
    """Prior precision of the inverse hyperbolic tangents of partial correlations, around 0."""
    features: Features | None = None
    """Of all items, by their position in the responses; they explain where items lie."""

    @property
    def agents(self) -> int:
        """A."""
        return len(self.design.group)


@dataclass(frozen=True, eq=False)
class Point:
    """Where the search stands."""

    items: tuple[Array, ...]
    """φ ``(m, f)`` of each block."""
    shared: Array
    """γ ``(G,)``."""
    locations: tuple[Array, ...]
    """``(f,)`` location of each block's prior; empty where it is not estimated."""
    population: Population

    def parameters(self, problem: Problem) -> list[Array]:
        """``x (m, p)`` of each block."""
        return [
            block.parameters(phi, self.shared)
            for block, phi in zip(problem.blocks, self.items, strict=True)
        ]


def priors_at(problem: Problem, point: Point) -> list[ItemPriors]:
    """The priors with their estimated locations."""
    return [
        prior if prior.belief is None else prior.around(location)
        for prior, location in zip(problem.priors, point.locations, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one pass over the data tells at a point."""

    agent_log_likelihood: Array
    """``(A,)`` marginal over ability."""
    log_prior: float
    """Of items, shared parameters and locations."""
    expected: tuple[Array, ...]
    """``(m, O, Q)`` expected outcomes of each block."""
    tables: tuple[tuple[Array, Array], ...]
    """Log-probabilities ``(m, O, Q)`` and scores ``(m, O, p, Q)`` of each block."""
    mean: Array
    """``(A, D)`` posterior means of ability."""
    second: Array
    """``(A, D, D)`` posterior second moments about 0."""
    scale_information: Array
    """``(2 D,)`` observed information of mean and log sd of each ability."""
    edge_weight: float
    """Largest weight of a posterior at the rim of the grid."""

    @property
    def log_likelihood(self) -> float:
        """Marginal log-likelihood of all agents."""
        return float(self.agent_log_likelihood.sum())

    @property
    def log_posterior(self) -> float:
        """Log-likelihood plus log prior."""
        return self.log_likelihood + self.log_prior

    @property
    def covariance(self) -> Array:
        """``(A, D, D)`` posterior covariances of ability."""
        return self.second - self.mean[:, :, None] * self.mean[:, None, :]

    @property
    def sd(self) -> Array:
        """``(A, D)`` posterior standard deviations."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=1, axis2=2), 0.0))


def chunks(problem: Problem) -> list[slice]:
    """Agents in slices that keep every array of a pass within bounds."""
    widest = max(
        len(problem.grid.nodes),
        *(len(b.items) * (1 if isinstance(c, Patterns) else b.steps) for b, c in _parts(problem)),
    )
    size = max(1, _CHUNK // widest)
    return [slice(i, i + size) for i in range(0, problem.agents, size)]


def _parts(problem: Problem) -> list[tuple[Block, Cells]]:
    return list(zip(problem.blocks, problem.cells, strict=True))


def outcome_table(block: Block, cells: Cells, x: Array, nodes: Array) -> tuple[Array, Array]:
    """Log-probabilities ``(m, O, Q)`` and scores ``(m, O, p, Q)`` of a block's outcomes."""
    if isinstance(cells, Patterns):
        return shape.pattern_scores(block, x, nodes, cells.patterns)
    return shape.scores(block, x, nodes)


def posteriors(
    problem: Problem, point: Point, log_p: Sequence[Array], rows: slice
) -> tuple[Array, Array]:
    """Posteriors ``(rows, Q)`` and log-likelihoods ``(rows,)`` of some agents."""
    grid = problem.grid
    joint = latent.log_weights(problem.design, point.population, rows, grid.nodes, grid.log_cell)
    for cells, table in zip(problem.cells, log_p, strict=True):
        joint += cells.log_likelihood(rows, table)
    top = joint.max(axis=1, keepdims=True)
    joint -= top
    np.exp(joint, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return joint, (top + np.log(total))[:, 0]


def evaluate(problem: Problem, point: Point) -> Evaluation:
    """One pass: posteriors of all agents, and what they expect of every item."""
    nodes = problem.grid.nodes
    d = nodes.shape[1]
    x = point.parameters(problem)
    tables = tuple(
        outcome_table(block, cells, xb, nodes)
        for (block, cells), xb in zip(_parts(problem), x, strict=True)
    )
    agents = problem.agents
    log_likelihood, mean = np.empty(agents), np.empty((agents, d))
    second = np.empty((agents, d, d))
    products = (nodes[:, :, None] * nodes[:, None]).reshape(len(nodes), -1)
    expected = [np.zeros(log_p.shape) for log_p, _ in tables]
    by_scale = scale_scores(problem, point)
    by_scale = np.hstack([by_scale, by_scale**2])
    missing = np.zeros(2 * d)
    rim = _rim(problem)
    edge = 0.0
    for rows in chunks(problem):
        weights, log_likelihood[rows] = posteriors(problem, point, [t[0] for t in tables], rows)
        for total, cells in zip(expected, problem.cells, strict=True):
            total += cells.expected(rows, weights)
        mean[rows] = weights @ nodes
        second[rows] = (weights @ products).reshape(-1, d, d)
        moments = weights @ by_scale
        missing += (moments[:, 2 * d :] - moments[:, : 2 * d] ** 2).sum(axis=0)
        edge = max(edge, float(weights[:, rim].max(initial=0.0)))
    complete = agents * np.repeat([1.0, 2.0], d)
    return Evaluation(
        log_likelihood,
        log_prior(problem, point, x),
        tuple(expected),
        tables,
        mean,
        second,
        np.maximum(complete - missing, 0.05 * complete),
        edge,
    )


def scale_scores(problem: Problem, point: Point) -> Array:
    """``(Q, 2 D)`` derivatives of a standard normal density by its means and log sds.

    The pooled population stands for all groups.
    """
    mean, covariance = latent.pooled(problem.design, point.population)
    z = (problem.grid.nodes - mean) / np.sqrt(np.diag(covariance))
    return np.hstack([z, z**2 - 1])


def _rim(problem: Problem) -> NDArray[np.intp]:
    return np.flatnonzero(edge(problem.grid))


def log_prior(problem: Problem, point: Point, x: Sequence[Array]) -> float:
    """Log prior density of everything that is estimated and has one."""
    total = 0.0
    for block, phi, xb, prior in zip(
        problem.blocks, point.items, x, priors_at(problem, point), strict=True
    ):
        total += float(prior_of.log_density(block, phi, xb, prior).sum())
    if problem.design.free_correlation:
        total -= 0.5 * problem.partial_precision * float((point.population.partial**2).sum())
    off = point.shared - problem.shared_mean
    total -= 0.5 * float((problem.shared_precision * off**2).sum())
    for prior, location in zip(problem.priors, point.locations, strict=True):
        if prior.belief is not None:
            away = location - prior.belief.mean
            total -= 0.5 * float((prior.belief.precision * away**2).sum())
    return total


def information(log_p: Array, score: Array, weight: Array) -> Array:
    """Expected information ``(m, p, p)`` of complete data with ``weight (m, Q)`` trials."""
    m, k, p, q = score.shape
    scaled = (score * np.sqrt(np.exp(log_p) * weight[:, None])[:, :, None]).swapaxes(1, 2)
    flat = scaled.reshape(m, p, k * q)
    return np.asarray(flat @ flat.swapaxes(1, 2))


def empirical_information(score: Array, expected: Array) -> Array:
    """``(m, p, p)`` sum of the outer products of scores over expected outcomes (Berndt et al.
    1974)."""
    m, o, p, q = score.shape
    scaled = (score * np.sqrt(expected)[:, :, None]).swapaxes(1, 2).reshape(m, p, o * q)
    return np.asarray(scaled @ scaled.swapaxes(1, 2))


@dataclass(frozen=True, eq=False)
class System:
    """Gradient of the log-posterior, and the information that complete data would hold.

    Items are tied to each other only through the border: shared parameters, locations of priors and
    the population. So the information has the form of an arrow.
    """

    gradients: tuple[Array, ...]
    """``(m, f)`` of each block."""
    border_gradient: Array
    """``(B,)``."""
    items: tuple[Array, ...]
    """``(m, f, f)`` of each block."""
    coupling: tuple[Array, ...]
    """``(m, f, B)``."""
    corner: Array
    """``(B, B)``."""


def border_slices(problem: Problem) -> tuple[slice, list[slice], slice]:
    """Where shared parameters, locations and population stand in the border."""
    n = len(problem.shared_mean)
    shared, places = slice(0, n), []
    for prior in problem.priors:
        size = 0 if prior.belief is None else prior.mean.shape[1]
        places.append(slice(n, n + size))
        n += size
    design = problem.design
    d = problem.grid.abilities
    size = (int(design.free_mean.sum()) + int(design.free_sd.sum())) * d
    size += d * (d - 1) // 2 if design.free_correlation else 0
    return shared, places, slice(n, n + size)


def system(problem: Problem, point: Point, found: Evaluation) -> System:
    """Gradient and complete-data information at an evaluated point."""
    shared, places, people = border_slices(problem)
    border = people.stop
    gradient, corner = np.zeros(border), np.zeros((border, border))
    gradients, items, couplings = [], [], []
    priors = priors_at(problem, point)
    for b, (block, cells) in enumerate(_parts(problem)):
        log_p, score = found.tables[b]
        expected = found.expected[b]
        phi = point.items[b]
        x = block.parameters(phi, point.shared)
        prior = priors[b]
        by_x = np.einsum("moq,mopq->mp", expected, score, optimize=True)
        if isinstance(cells, Patterns):
            bend = empirical_information(score, expected)
        else:
            bend = information(log_p, score, expected.sum(axis=1))
        slope, curvature = prior_of.gradient_and_curvature(block, phi, x, prior)
        gradients.append(by_x @ block.free + slope)
        # items that neither data nor prior place must not stop the others
        curvature = curvature + 1e-9 * np.eye(curvature.shape[1])
        items.append(block.free.T @ bend @ block.free + curvature)
        coupling = np.zeros((len(phi), phi.shape[1], border))
        coupling[:, :, shared] = block.free.T @ bend @ block.shared
        gradient[shared] += by_x.sum(axis=0) @ block.shared
        corner[shared, shared] += block.shared.T @ bend.sum(axis=0) @ block.shared
        if prior.belief is not None:
            here = places[b]
            coupling[:, :, here] = -prior_of.jacobian(prior, phi).swapaxes(1, 2) @ prior.precision
            off = prior_of.described(prior, phi) - prior.mean
            gradient[here] += np.einsum("mfg,mg->f", prior.precision, off)
            gradient[here] -= prior.belief.precision * (point.locations[b] - prior.belief.mean)
            corner[here, here] += prior.precision.sum(axis=0) + np.diag(prior.belief.precision)
        couplings.append(coupling)
    gradient[shared] -= problem.shared_precision * (point.shared - problem.shared_mean)
    corner[shared, shared] += np.diag(problem.shared_precision + 1e-9)
    moved = latent.slope(problem.design, point.population, found.mean, found.second)
    gradient[people] += moved.gradient
    corner[people, people] += moved.information
    if problem.design.free_correlation:
        partial = point.population.partial
        ends = np.arange(people.stop - len(partial), people.stop)
        gradient[ends] -= problem.partial_precision * partial
        corner[ends, ends] += problem.partial_precision
    return System(tuple(gradients), gradient, tuple(items), tuple(couplings), corner)


def pack(problem: Problem, point: Point) -> Array:
    """All unknowns as one vector: items block by block, then the border."""
    return np.concatenate(
        [
            *(phi.ravel() for phi in point.items),
            point.shared,
            *point.locations,
            latent.pack(problem.design, point.population),
        ]
    )


def unpack(problem: Problem, point: Point, vector: Array) -> Point:
    """The inverse of :func:`pack`; ``point`` gives the shapes and what is held."""
    items, start = [], 0
    for phi in point.items:
        items.append(vector[start : start + phi.size].reshape(phi.shape))
        start += phi.size
    border = vector[start:]
    shared, places, people = border_slices(problem)
    return Point(
        tuple(items),
        border[shared],
        tuple(border[place] for place in places),
        latent.unpack(problem.design, point.population, border[people]),
    )


def scale_directions(problem: Problem, point: Point) -> Array:
    """``(N, 2 D)`` moves of all unknowns that amount to another mean or log sd of each ability.

    Along these EM crawls when items far outnumber agents: complete data would pin the scale down,
    but the data at hand say little of it.
    """
    d = problem.grid.abilities
    shared, places, people = border_slices(problem)
    moves = [np.zeros((phi.size, 2 * d)) for phi in point.items]
    border = np.zeros((people.stop, 2 * d))
    for b, (block, phi) in enumerate(zip(problem.blocks, point.items, strict=True)):
        x = block.parameters(phi, point.shared)
        slopes = shape.natural(block, x).slopes
        m, f = phi.shape
        by_x = np.zeros((m, block.size, 2 * d))
        for column, ability in enumerate(block.loads):
            by_x[:, block.step_columns, ability] = slopes[:, ability, None]
            by_x[:, column, d + ability] = x[:, column] if block.signed else 1.0
        # the free parameters that make such a move; those of x which are shared move with the
        # border
        moves[b] = (block.back @ by_x).reshape(m * f, 2 * d)
        belief = problem.priors[b].belief
        if belief is not None:
            free = (belief.precision < prior_of.HELD)[:, None]
            turn = prior_of.jacobian(problem.priors[b], phi)
            border[places[b]] = free * (turn @ moves[b].reshape(m, f, 2 * d)).mean(axis=0)
        common = np.flatnonzero(block.shared[: len(block.loads)].any(axis=1))
        for column in map(int, common):
            row = int(np.flatnonzero(block.shared[column])[0])
            border[shared][row, d + block.loads[column]] = (
                point.shared[row] if block.signed else 1.0
            )
    return np.vstack([*moves, border])
