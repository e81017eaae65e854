"""Response models: item parameters to category probabilities and information at ability nodes.

Every model is linear-logistic in ``z = a·θ``:

=================  ==========================================================================
binary             ``P(1) = lower + (upper - lower) σ(z + d)``            (1PL to 4PL)
graded             ``P(X >= k) = σ(z + d_k)``, ``d_1 > d_2 > …``          (Samejima 1969)
partial credit     ``log P(k) / P(k-1) = z + d_k``                         (Muraki 1992)
=================  ==========================================================================

Partial credit (Masters 1982) and rating scale (Andrich 1978) items are generalized partial credit
items with one slope for all, and, for the latter, one pattern of steps.

The slope-intercept form is used because it covers one and several abilities alike; with one
ability the familiar difficulty is ``b = -d / a``.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from harness.errors import BankError

Array = NDArray[np.float64]
Model = Literal["1pl", "2pl", "3pl", "4pl", "grm", "gpcm", "pcm", "rsm"]
Family = Literal["binary", "graded", "partial_credit"]
_TINY = float(np.finfo(float).tiny)


def family(model: Model) -> Family:
    """The response family of a model name.

    >>> family("3pl"), family("grm")
    ('binary', 'graded')
    """
    match model:
        case "1pl" | "2pl" | "3pl" | "4pl":
            return "binary"
        case "grm":
            return "graded"
        case "gpcm" | "pcm" | "rsm":
            return "partial_credit"


def response(
    kind: Family,
    slopes: Array,
    intercepts: Array,
    lower: Array,
    upper: Array,
    nodes: Array,
) -> tuple[Array, Array]:
    """Category log-probabilities of n items and their derivative with respect to ``z = a·θ``.

    Args:
        kind: response family, the same for all n items.
        slopes: ``(n, D)``.
        intercepts: ``(n, K-1)``; decreasing along the row for the graded family.
        lower: ``(n,)`` lower asymptotes, used by the binary family only.
        upper: ``(n,)`` upper asymptotes, used by the binary family only.
        nodes: ``(Q, D)`` abilities.

    Returns:
        ``log_p`` and ``dp_dz``, both ``(n, K, Q)``.

    >>> one = np.ones((1, 1))
    >>> log_p, _ = response("binary", one, 0 * one, np.zeros(1), np.ones(1), np.zeros((1, 1)))
    >>> np.exp(log_p).round(3).tolist()
    [[[0.5], [0.5]]]
    """
    p, dp_dz = _probabilities(kind, slopes, intercepts, lower, upper, nodes)
    return np.log(np.maximum(p, _TINY)), dp_dz


def _probabilities(
    kind: Family, slopes: Array, intercepts: Array, lower: Array, upper: Array, nodes: Array
) -> tuple[Array, Array]:
    """:func:`response` without the logarithm; every form is free of cancellation in the tails."""
    z = slopes @ nodes.T
    match kind:
        case "binary":
            return _binary(z + intercepts, lower[:, None], upper[:, None])
        case "graded":
            return _graded(z[:, None, :] + intercepts[:, :, None])
        case "partial_credit":
            return _partial_credit(z[:, None, :] + intercepts[:, :, None])


def _binary(logit: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    span = upper - lower
    above, below = span * expit(logit), span * expit(-logit)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(span > 0, above * below / span, 0.0)
    p = np.stack([1 - upper + below, lower + above], axis=1)
    return p, np.stack([-slope, slope], axis=1)


def _graded(cumulative: Array) -> tuple[Array, Array]:
    """``cumulative`` is ``(n, K-1, Q)``, the logits of reaching category k or more."""
    reach, miss = expit(cumulative), expit(-cumulative)
    # σ(u) - σ(l) = σ(u) σ(-l) (1 - e^(l-u))
    gap = -np.expm1(cumulative[:, 1:] - cumulative[:, :-1])
    middle = reach[:, :-1] * miss[:, 1:] * gap
    step = np.pad(reach * miss, ((0, 0), (1, 1), (0, 0)))
    p = np.concatenate([miss[:, :1], middle, reach[:, -1:]], axis=1)
    return p, step[:, :-1] - step[:, 1:]


def _partial_credit(adjacent: Array) -> tuple[Array, Array]:
    """``adjacent`` is ``(n, K-1, Q)``, the logits of category k against k-1."""
    p = softmax(np.pad(np.cumsum(adjacent, axis=1), ((0, 0), (1, 0), (0, 0))), axis=1)
    k = np.arange(p.shape[1])[None, :, None]
    return p, p * (k - (k * p).sum(axis=1, keepdims=True))


_N_DRAWS = 64
_CHUNK = 32
"""Items averaged at once, so that the draws fit the processor's cache."""


def normal_draws(size: int, n: int = _N_DRAWS) -> Array:
    """``(n, size)`` fixed points, n even: exactly the mean and covariance of a standard normal.

    Antithetic and whitened, so that averages over them are smooth in the parameters and the
    same on every machine and run.
    """
    half = np.random.default_rng(0).standard_normal((n // 2, size))
    points = np.concatenate([half, -half])
    return np.asarray(
        np.linalg.solve(
            np.linalg.cholesky(np.cov(points.T, bias=True).reshape(size, size)), points.T
        ).T
    )


def predictive(
    kind: Family,
    slopes: Array,
    intercepts: Array,
    lower: Array,
    upper: Array,
    covariance: Array,
    nodes: Array,
) -> tuple[Array, Array]:
    """:func:`response` averaged over the uncertainty of each item's parameters.

    The parameters of an item are Gaussian in the unconstrained vector ``(log a, d_1 … d_{K-1},
    logit lower, logit upper)``; with several abilities the slopes enter as they are, because
    their sign is free. ``covariance`` is ``(n, p, p)`` over the leading p entries. The average
    over parameters is what an item tells about an agent before more is known of the item.

    Returns:
        ``log_p`` and ``dp_dz`` as :func:`response`; the derivative is along the mean slope.
    """
    rows = [slice(i, i + _CHUNK) for i in range(0, len(slopes), _CHUNK)]
    chunks = [
        _predictive(kind, slopes[r], intercepts[r], lower[r], upper[r], covariance[r], nodes)
        for r in rows
    ]
    p = np.concatenate([p for p, _ in chunks])
    return np.log(np.maximum(p, _TINY)), np.concatenate([dp for _, dp in chunks])


def _predictive(
    kind: Family,
    slopes: Array,
    intercepts: Array,
    lower: Array,
    upper: Array,
    covariance: Array,
    nodes: Array,
) -> tuple[Array, Array]:
    p, dp = _drawn(kind, slopes, intercepts, lower, upper, covariance, nodes)
    return p.mean(axis=1), dp.mean(axis=1)


def _drawn(
    kind: Family,
    slopes: Array,
    intercepts: Array,
    lower: Array,
    upper: Array,
    covariance: Array,
    nodes: Array,
) -> tuple[Array, Array]:
    """``(n, draws, K, Q)`` probabilities and derivatives under the draws of each item."""
    n, dimensions = slopes.shape
    size = covariance.shape[1]
    shifts = np.einsum("mp,nqp->nmq", normal_draws(size), _square_root(covariance))
    shifts = shifts.reshape(n * _N_DRAWS, size)
    repeat = np.repeat(np.arange(n), _N_DRAWS)

    if dimensions == 1:
        drawn_slopes = slopes[repeat] * np.exp(shifts[:, :1])
    else:
        drawn_slopes = slopes[repeat] + shifts[:, :dimensions]
    end = dimensions + intercepts.shape[1]
    drawn_intercepts = intercepts[repeat] + shifts[:, dimensions:end]
    if kind == "graded":
        # a draw whose thresholds cross is put back in order, not thrown away
        drawn_intercepts = -np.sort(-drawn_intercepts, axis=1)
    drawn_lower = _shift_logit(lower[repeat], shifts[:, end : end + 1])
    drawn_upper = _shift_logit(upper[repeat], shifts[:, end + 1 : end + 2])
    drawn_upper = np.maximum(drawn_upper, drawn_lower)

    p, dp = _probabilities(kind, drawn_slopes, drawn_intercepts, drawn_lower, drawn_upper, nodes)
    if dimensions == 1:
        # each draw has its own slope: carry dP/dθ, then express it per unit of the given slope
        dp *= (drawn_slopes / slopes[repeat])[:, :, None]
    shape = (n, _N_DRAWS, *p.shape[1:])
    return p.reshape(shape), dp.reshape(shape)


@dataclass(frozen=True, eq=False)
class Repeats:
    """What the mean score of an item over several trials is, given ability.

    The trials of one agent on one item share what the item is to that agent, so an answer says
    more of the other trials than ability does.
    """

    trials: int
    mean: Array
    """``(n, K, Q)`` expected mean over all trials, one of which ended in category k."""
    variance: Array
    """``(n, K, Q)`` its variance."""
    open_variance: Array
    """``(n, Q)`` variance of the mean over all trials before any."""


def repeated(
    kind: Family,
    slopes: Array,
    intercepts: Array,
    lower: Array,
    upper: Array,
    covariance: Array | None,
    nodes: Array,
    trials: int,
) -> Repeats:
    """The mean score over ``trials`` trials; arguments otherwise as :func:`predictive`.

    ``covariance`` is that of what the trials share; None where that is known.
    """
    if covariance is None:
        p = _probabilities(kind, slopes, intercepts, lower, upper, nodes)[0][:, None]
        return _repeats(p, trials)
    rows = [slice(i, i + _CHUNK) for i in range(0, len(slopes), _CHUNK)]
    parts = [
        _repeats(
            _drawn(kind, slopes[r], intercepts[r], lower[r], upper[r], covariance[r], nodes)[0],
            trials,
        )
        for r in rows
    ]
    return Repeats(
        trials,
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.variance for part in parts]),
        np.concatenate([part.open_variance for part in parts]),
    )


def _repeats(p: Array, trials: int) -> Repeats:
    """``p`` is ``(n, draws, K, Q)``."""
    k = p.shape[2]
    score = np.arange(k) / (k - 1)
    expected = np.einsum("nmkq,k->nmq", p, score)
    luck = np.einsum("nmkq,k->nmq", p, score**2) - expected**2
    # a category weighs the draws by how probable they make it
    weight = p / np.maximum(p.sum(axis=1, keepdims=True), _TINY)
    others = np.einsum("nmkq,nmq->nkq", weight, expected)
    spread = np.einsum("nmkq,nmq->nkq", weight, expected**2) - others**2
    own_luck = np.einsum("nmkq,nmq->nkq", weight, luck)
    rest = trials - 1
    return Repeats(
        trials,
        (score[None, :, None] + rest * others) / trials,
        (rest * own_luck + rest**2 * np.maximum(spread, 0.0)) / trials**2,
        luck.mean(axis=1) / trials + np.maximum(expected.var(axis=1), 0.0),
    )


def _square_root(covariance: Array) -> Array:
    """A factor ``F`` with ``F Fᵀ = covariance`` for ``(n, p, p)`` positive semidefinite input."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :])


def _shift_logit(probability: Array, shift: Array) -> Array:
    """Move probabilities by ``shift`` on the logit scale; 0 and 1 stay where they are."""
    if shift.shape[1] == 0:
        return probability
    with np.errstate(divide="ignore"):
        return np.asarray(expit(np.log(probability) - np.log1p(-probability) + shift[:, 0]))


def information(log_p: Array, dp_dz: Array, slopes: Array) -> Array:
    """Fisher information of each item at each node, ``(n, Q)``: ``Σ_k (∂P_k/∂θ)² / P_k``.

    With several abilities, the trace of the information matrix.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(dp_dz == 0.0, 0.0, dp_dz**2 / np.exp(log_p))
    total = np.nan_to_num(ratio, nan=0.0, posinf=0.0).sum(axis=1)
    return np.asarray(total * (slopes**2).sum(axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class Table:
    """A bank compiled onto ability nodes: what every engine function works on.

    ``n`` items, at most ``K`` categories, ``Q`` nodes, ``D`` abilities.
    """

    ids: tuple[str, ...]
    """Item ids, length n."""
    nodes: Array
    """``(Q, D)`` abilities."""
    log_p: Array
    """``(n, K, Q)``; ``-inf`` for categories that an item does not have."""
    information: Array
    """``(n, Q)`` Fisher information, per squared unit of ability."""
    n_categories: NDArray[np.intp]
    """``(n,)`` number of categories of each item."""
    slopes: Array
    """``(n, D)`` point estimates."""
    intercepts: Array
    """``(n, K-1)`` point estimates; NaN past an item's last category."""
    lower: Array
    """``(n,)`` lower asymptotes."""
    upper: Array
    """``(n,)`` upper asymptotes."""
    usd: Array
    """``(n,)`` expected cost of one attempt in US dollars; NaN where unknown."""
    seconds: Array
    """``(n,)`` expected duration of one attempt in seconds; NaN where unknown."""
    tags: tuple[tuple[str, ...], ...] = ()
    """Tags of each item, length n; empty where no item has any."""
    location_sd: Array = field(default_factory=lambda: np.zeros(0))
    """``(n,)`` sd of each item's difficulty, in population sds; 0 where it counts as known."""
    repeats: Repeats | None = None
    """Where the score of an item is its mean over several trials; None for a single one."""
    log_population: Array = field(default_factory=lambda: np.zeros(0))
    """``(Q,)`` log-probabilities of the nodes in the population that agents come from."""
    specific_sd: float = 0.0
    """Sd of how far ability on the items of one session lies from ability on the whole bank."""
    predicted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    """``(n,)`` items whose parameters no outcome has shaped yet; empty where there are none."""
    common_sd: float = 0.0
    """Sd, on the ability scale, of the error that the difficulties of all predicted items share."""

    @cached_property
    def p(self) -> Array:
        """``(n, K, Q)`` category probabilities."""
        return np.exp(self.log_p)

    @cached_property
    def information_by_node(self) -> Array:
        """``(Q, n)`` the information laid out for looking up one node at a time."""
        return np.ascontiguousarray(self.information.T)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each item id."""
        return {item: row for row, item in enumerate(self.ids)}

    @cached_property
    def scores(self) -> Array:
        """``(n, K)`` score of each category: ``k / (K_i - 1)``, so 0 is bottom and 1 is top."""
        k = np.arange(self.log_p.shape[1])[None, :]
        top = (self.n_categories - 1)[:, None]
        return np.asarray(np.where(k <= top, k / top, 0.0))

    @cached_property
    def expected_score(self) -> Array:
        """``(n, Q)`` expected score at each node."""
        return np.asarray(np.einsum("nk,nkq->nq", self.scores, self.p))

    @cached_property
    def score_variance(self) -> Array:
        """``(n, Q)`` variance of the score of an item not yet answered, at each node."""
        if self.repeats is not None:
            return self.repeats.open_variance
        return np.asarray(np.einsum("nk,nkq->nq", self.scores**2, self.p) - self.expected_score**2)

    def row(self, item: str) -> int:
        """Row of an item id.

        Raises:
            BankError: the bank has no such item.
        """
        try:
            return self.index[item]
        except KeyError:
            raise BankError(
                f"item {item!r} is not in the bank ({len(self.ids)} items, first {self.ids[0]!r}); "
                "check the spelling with: cat-harness bank show"
            ) from None


def grid(mean: tuple[float, ...], sd: tuple[float, ...], span: float = 6.0) -> Array:
    """Uniform ability nodes ``(Q, D)`` covering ``mean ± span · sd`` in every dimension.

    241, 41 or 17 nodes a dimension for D = 1, 2, 3: one ability gets a spacing of 0.05 sd,
    finer than the posterior of any realistic session.

    >>> grid((0.0,), (1.0,)).shape, grid((0.0, 0.0), (1.0, 1.0)).shape
    ((241, 1), (1681, 2))
    """
    per_axis = {1: 241, 2: 41, 3: 17}
    if len(mean) not in per_axis:
        raise BankError(f"a bank may have 1 to 3 abilities, not {len(mean)}")
    axes = [
        np.linspace(m - span * s, m + span * s, per_axis[len(mean)])
        for m, s in zip(mean, sd, strict=True)
    ]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
