"""Blocks of items of one shape: parameters to log-probabilities and their derivatives.

The parameters x of an item are the unconstrained vector of ``harness.bank.parameter_names``,
``(log a | a_1 a_2 …, d_1 … d_{K-1}, logit lower, logit upper)``, followed by ``log σ`` where an
agent × item effect is estimated. Items may share some of them (one slope, the steps of a rating
scale): ``x = F φ + S γ`` with free parameters φ of each item and shared ones γ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from harness import irt
from harness.bank import Item, parameter_names
from harness.irt import Array, Family, Model

ASYMPTOTES: dict[Model, int] = {"3pl": 1, "4pl": 2}
COMMON_SLOPE: frozenset[Model] = frozenset({"1pl", "pcm", "rsm"})
_CHUNK = 4_000_000
"""Numbers that an array over items, nodes, effects and patterns may hold at once (32 MB)."""


@dataclass(frozen=True, eq=False)
class Block:
    """m items of one model with the same number of categories and the same loadings."""

    model: Model
    items: NDArray[np.intp]
    """``(m,)`` positions of the items among all of the responses."""
    steps: int
    """Categories above the lowest, K - 1."""
    loads: tuple[int, ...]
    """The abilities that the items load on."""
    abilities: int
    """D."""
    effect: bool
    """An agent × item effect is estimated."""
    free: Array
    """``F (p, f)``."""
    shared: Array
    """``S (p, G)``."""

    @property
    def kind(self) -> Family:
        """Response family."""
        return irt.family(self.model)

    @property
    def asymptotes(self) -> int:
        """0, 1 (lower) or 2 (lower and upper) free asymptotes."""
        return ASYMPTOTES.get(self.model, 0)

    @property
    def signed(self) -> bool:
        """Slopes enter as they are, not by their log: with several abilities their sign is free."""
        return self.abilities > 1

    @property
    def size(self) -> int:
        """Parameters of an item, p."""
        return len(self.free)

    @property
    def step_columns(self) -> slice:
        """Where the intercepts stand in x."""
        return slice(len(self.loads), len(self.loads) + self.steps)

    @property
    def ordered(self) -> list[tuple[int, int]]:
        """Pairs of parameters of which the first must stay above the second."""
        start, end = self.step_columns.start, self.step_columns.stop
        if self.kind == "graded":
            return [(k, k + 1) for k in range(start, end - 1)]
        return [(end + 1, end)] if self.asymptotes == 2 else []

    @cached_property
    def back(self) -> Array:
        """``(f, p)`` from x to the free parameters."""
        return np.asarray(np.linalg.pinv(self.free), float)

    def parameters(self, phi: Array, gamma: Array) -> Array:
        """``x (m, p)`` from free ``(m, f)`` and shared ``(G,)`` parameters."""
        return np.asarray(phi @ self.free.T + self.shared @ gamma)


@dataclass(frozen=True, eq=False)
class Natural:
    """Parameters in the form of :func:`harness.irt.response`."""

    slopes: Array
    """``(m, D)``."""
    intercepts: Array
    lower: Array
    upper: Array
    effect_sd: Array
    """``(m,)``."""


def natural(block: Block, x: Array) -> Natural:
    """Slopes, intercepts ``(m, K-1)``, asymptotes and sd of the effect from ``x (m, p)``."""
    m = len(x)
    slopes = np.zeros((m, block.abilities))
    loaded = x[:, : len(block.loads)]
    slopes[:, list(block.loads)] = loaded if block.signed else np.exp(loaded)
    end = block.step_columns.stop
    return Natural(
        slopes,
        x[:, block.step_columns],
        expit(x[:, end]) if block.asymptotes > 0 else np.zeros(m),
        expit(x[:, end + 1]) if block.asymptotes > 1 else np.ones(m),
        np.exp(x[:, -1]) if block.effect else np.zeros(m),
    )


def scores(
    block: Block, x: Array, nodes: Array, effect: Array | None = None
) -> tuple[Array, Array]:
    """Log-probabilities ``(m, K, Q)`` of one trial and their derivatives ``(m, K, p, Q)``.

    Args:
        nodes: ``(Q, D)``.
        effect: ``(Q,)`` standardised agent × item effect at each node, which enters as one more
            ability on which every item loads σ; none when None.
    """
    form = natural(block, x)
    slopes, points = form.slopes, nodes
    if effect is not None:
        slopes = np.column_stack([slopes, form.effect_sd])
        points = np.column_stack([nodes, effect])
    log_p, dp_dz = irt.response(block.kind, slopes, form.intercepts, form.lower, form.upper, points)
    p = np.exp(log_p)
    derivative = np.zeros((*log_p.shape[:2], block.size, log_p.shape[2]))
    for column, ability in enumerate(block.loads):
        factor = np.ones(len(x)) if block.signed else slopes[:, ability]
        derivative[:, :, column] = dp_dz * (factor[:, None] * nodes[:, ability])[:, None]
    z = slopes @ points.T
    derivative[:, :, block.step_columns] = _by_intercept(block, form, p, dp_dz, z)
    if block.asymptotes:
        reached = expit(z + form.intercepts)
        sides = [(form.lower, 1 - reached), (form.upper, reached)][: block.asymptotes]
        for position, (asymptote, weight) in enumerate(sides, start=block.step_columns.stop):
            change = (asymptote * (1 - asymptote))[:, None] * weight
            derivative[:, 1, position] = change
            derivative[:, 0, position] = -change
    if effect is not None:
        derivative[:, :, -1] = dp_dz * (form.effect_sd[:, None] * effect)[:, None]
    derivative /= np.maximum(p, 1e-300)[:, :, None]
    return log_p, derivative


def _by_intercept(block: Block, x: Natural, p: Array, dp_dz: Array, z: Array) -> Array:
    """``∂P_k/∂d_j`` as ``(m, K, K-1, Q)``."""
    if block.kind == "binary":
        return dp_dz[:, :, None]
    reached = np.arange(block.steps + 1)[:, None] >= np.arange(1, block.steps + 1)
    if block.kind == "partial_credit":
        at_least = np.cumsum(p[:, :0:-1], axis=1)[:, ::-1]
        return np.asarray(p[:, :, None] * (reached[None, :, :, None] - at_least[:, None]))
    cumulative = z[:, None] + x.intercepts[:, :, None]
    step = expit(cumulative) * expit(-cumulative)
    # raising d_j moves probability from category j-1 to category j
    sign = np.zeros(reached.shape)
    j = np.arange(block.steps)
    sign[j, j], sign[j + 1, j] = -1.0, 1.0
    return np.asarray(sign[None, :, :, None] * step[:, None])


def effect_nodes(most_trials: int) -> tuple[Array, Array]:
    """Nodes ``(E,)`` of a standard normal effect and their log weights.

    The spacing resolves what so many trials leave of an effect with an sd of one to two logits.

    >>> [len(effect_nodes(trials)[0]) for trials in (5, 50)]
    [15, 41]
    """
    spacing = min(0.6, 1.5 / np.sqrt(1 + most_trials))
    half = int(np.ceil(4.2 / spacing - 1e-9))
    nodes = np.linspace(-4.2, 4.2, 2 * half + 1)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, np.log(weights / weights.sum())


@dataclass(frozen=True, eq=False)
class _Mixed:
    """A few items at every node of ability and effect."""

    p: Array
    """``(m, Q, K, E)``."""
    score: Array
    """``(m, Q, E, K, p)`` of one trial."""
    log_p: Array
    """``(m, Q, O)`` of patterns, effects averaged out."""
    chance: Array
    """``(m, Q, O, E)`` posterior of the effect given a pattern."""


def _mix(block: Block, x: Array, nodes: Array, patterns: Array) -> Iterator[tuple[slice, _Mixed]]:
    """Patterns of trials that share an effect, a few items at a time to bound memory."""
    e, log_w = effect_nodes(int(patterns.sum(axis=1).max()))
    q = len(nodes)
    both, effect = np.repeat(nodes, len(e), axis=0), np.tile(e, q)
    size = max(1, _CHUNK // (q * len(e) * max(len(patterns), block.size * (block.steps + 1))))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        log_p, score = scores(block, x[rows], both, effect)
        m, k, p, _ = score.shape
        log_p = log_p.reshape(m, k, q, -1).swapaxes(1, 2)
        score = score.reshape(m, k, p, q, -1).transpose(0, 3, 4, 1, 2)
        joint = patterns @ log_p + log_w
        top = joint.max(axis=3, keepdims=True)
        chance = np.exp(joint - top)
        total = chance.sum(axis=3, keepdims=True)
        chance /= total
        yield rows, _Mixed(np.exp(log_p), score, (top + np.log(total))[..., 0], chance)


def pattern_scores(block: Block, x: Array, nodes: Array, patterns: Array) -> tuple[Array, Array]:
    """Log-probabilities ``(m, O, Q)`` of patterns ``(O, K)`` of category counts, and their
    derivatives ``(m, O, p, Q)``.

    The trials of a cell share one effect, so their joint probability is a mixture over it.
    Binomial coefficients are left out.
    """
    log_p = np.empty((len(x), len(patterns), len(nodes)))
    slope = np.empty((len(x), len(patterns), block.size, len(nodes)))
    for rows, mixed in _mix(block, x, nodes, patterns):
        m, q, e, k, p = mixed.score.shape
        log_p[rows] = mixed.log_p.swapaxes(1, 2)
        by_trial = (mixed.chance @ mixed.score.reshape(m, q, e, k * p)).reshape(m, q, -1, k, p)
        slope[rows] = np.einsum("mqokp,ok->mopq", by_trial, patterns)
    return log_p, slope


def pattern_information(
    block: Block, x: Array, nodes: Array, patterns: Array, expected: Array
) -> Array:
    """``(m, p, p)`` what expected patterns ``(m, O, Q)`` tell of the parameters, ability known.

    What is missing is the effect (Louis 1982): complete information, less the variance of the
    score over the posterior of the effect.
    """
    found = np.empty((len(x), block.size, block.size))
    trials = patterns.sum(axis=1)
    for rows, mixed in _mix(block, x, nodes, patterns):
        seen = expected[rows].swapaxes(1, 2)[..., None] * mixed.chance
        m, q, e, k, p = mixed.score.shape
        by_trial = (mixed.chance @ mixed.score.reshape(m, q, e, k * p)).reshape(m, q, -1, k, p)
        mean = np.einsum("mqokp,ok->mqop", by_trial, patterns)
        flat = mixed.score.reshape(m, -1, k, p)
        complete = np.einsum("o,mqoe->mqe", trials, seen)[:, :, None] * mixed.p
        whole = _squares(flat, complete.swapaxes(2, 3).reshape(m, -1, k))
        pairs = np.einsum("ok,ol,mqoe->mqekl", patterns, patterns, seen, optimize=True)
        square = np.einsum(
            "mnkp,mnkl,mnlr->mpr", flat, pairs.reshape(m, -1, k, k), flat, optimize=True
        )
        found[rows] = whole - square + _squares(mean.reshape(m, -1, 1, p), _flat(seen))
    return found


def _flat(seen: Array) -> Array:
    return np.asarray(seen.sum(axis=3).reshape(len(seen), -1, 1))


def _squares(score: Array, weight: Array) -> Array:
    """``Σ weight · score scoreᵀ`` ``(m, p, p)`` of scores ``(m, N, K, p)``, weights ``(m, N,
    K)``."""
    scaled = (score * np.sqrt(np.maximum(weight, 0.0))[..., None]).reshape(
        len(score), -1, score.shape[3]
    )
    return np.asarray(scaled.swapaxes(1, 2) @ scaled)


def from_item(block: Block, item: Item) -> Array:
    """``x (p,)`` of an item of a bank; where its effect is 0, the log sd stands for a small one."""
    slopes = np.array([item.slopes[ability] for ability in block.loads])
    rest = [item.lower, item.upper][: block.asymptotes]
    x = [*(slopes if block.signed else np.log(slopes)), *item.intercepts]
    x += [float(logit(p)) for p in rest]
    return np.array([*x, np.log(max(item.effect_sd, 0.05))] if block.effect else x)


def item_covariance(block: Block, item: Item) -> Array:
    """``(p, p)`` of x as a bank has it; 0 for what counts as known."""
    found = np.zeros((block.size, block.size))
    if item.covariance is not None:
        names = list(parameter_names(item))
        keep = [names.index(f"{'a' if block.signed else 'log_a'}{a + 1}") for a in block.loads]
        keep += range(len(item.slopes), len(names))
        found[: len(keep), : len(keep)] = np.array(item.covariance)[np.ix_(keep, keep)]
    return found


def start_values(block: Block, shares: Array, slopes: Array, lower: float, upper: float) -> Array:
    """``x (m, p)`` that reproduces each item's smoothed shares ``(m, K)`` of categories.

    Args:
        slopes: ``(m, L)`` slopes (not their logs) to begin with.
        lower: logit of the lower asymptote, where free.
        upper: logit of the upper asymptote, where free.
    """
    shares = shares + 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    if block.kind == "partial_credit":
        steps = np.log(shares[:, 1:] / shares[:, :-1])
    else:
        steps = logit(np.cumsum(shares[:, :0:-1], axis=1)[:, ::-1])
    # a logistic curve averaged over N(0, 1) abilities is flatter by about this factor
    steps = steps * np.sqrt(1 + (slopes**2).sum(axis=1, keepdims=True) / 2.9)
    rest = np.array([lower, upper])[: block.asymptotes]
    m = len(steps)
    x = np.hstack(
        [
            slopes if block.signed else np.log(slopes),
            steps,
            np.broadcast_to(rest, (m, len(rest))),
        ]
    )
    return np.column_stack([x, np.full(m, np.log(0.7))]) if block.effect else x


def feasible_share(block: Block, x: Array, step: Array) -> Array:
    """``(m,)`` share of a step of x, at most 1, that keeps every ordered pair in order."""
    share = np.ones(len(x))
    for above, below in block.ordered:
        gap = x[:, above] - x[:, below]
        closing = step[:, below] - step[:, above]
        share = np.minimum(share, np.where(closing > 0, 0.8 * gap / np.maximum(closing, 1e-300), 1))
    return share


def design(
    model: Model,
    steps: int,
    loads: tuple[int, ...],
    effect: bool,
    slope_columns: dict[int, int],
    step_columns: list[int],
    effect_column: int,
    n_shared: int,
) -> tuple[Array, Array]:
    """``F (p, f)`` and ``S (p, G)`` of a block.

    Args:
        slope_columns: shared parameter of each ability's common slope.
        step_columns: the K - 2 shared step contrasts of a rating scale.
        effect_column: the shared log sd of the effect.
    """
    n = len(loads)
    size = n + steps + ASYMPTOTES.get(model, 0) + effect
    free, shared = np.eye(size), np.zeros((size, n_shared))
    gone: list[int] = []
    if model in COMMON_SLOPE:
        for row, ability in enumerate(loads):
            shared[row, slope_columns[ability]] = 1.0
        gone += range(n)
    if model == "rsm" and steps > 1:
        # steps are a location of the item plus a pattern that sums to 0 over the scale
        free[n : n + steps, n] = 1.0
        gone += range(n + 1, n + steps)
        for j, column in enumerate(step_columns):
            shared[n + j, column] = 1.0
            shared[n + steps - 1, column] = -1.0
    if effect:
        shared[size - 1, effect_column] = 1.0
        gone.append(size - 1)
    return np.delete(free, gone, axis=1), shared
