"""Items of one shape as arrays: parameters to log-probabilities and their derivatives.

The parameters of an item are the unconstrained vector of ``harness.bank.parameter_names``:
``(log a, d_1 … d_{K-1}, logit lower, logit upper)``, with as many asymptotes as the model frees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from harness import irt
from harness.errors import ResponsesError
from harness.irt import Array, Family, Model
from harness.responses import Responses

_ASYMPTOTES: dict[Model, int] = {"3pl": 1, "4pl": 2}


@dataclass(frozen=True, eq=False)
class Group:
    """m items with the same number of categories K, answered by A agents."""

    kind: Family
    items: NDArray[np.intp]
    """``(m,)`` positions of the items among all of the responses."""
    counts: Array
    """``(A, m, K)`` how often each category was observed."""
    asymptotes: int
    """0, 1 (lower) or 2 (lower and upper) free asymptotes."""
    common_slope: bool
    """All items share one slope (1PL), which then moves only with the scale of ability."""

    @property
    def steps(self) -> int:
        """Categories above the lowest: ``K - 1``."""
        return int(self.counts.shape[2]) - 1

    @property
    def size(self) -> int:
        """Parameters of an item."""
        return 1 + self.steps + self.asymptotes

    @property
    def ordered(self) -> list[tuple[int, int]]:
        """Pairs of parameters of which the first must stay above the second."""
        if self.kind == "graded":
            return [(k, k + 1) for k in range(1, self.steps)]
        if self.asymptotes == 2:
            return [(3, 2)]
        return []


def make_groups(responses: Responses, model: Model) -> list[Group]:
    """Groups of items by their number of categories.

    Raises:
        ResponsesError: a binary model for an item with more than two categories.
    """
    kind = irt.family(model)
    n_categories = responses.n_categories
    if kind == "binary" and n_categories.max() > 2:
        item = responses.items[int(n_categories.argmax())]
        raise ResponsesError(
            f"{responses.source}: item {item!r} has {n_categories.max()} categories, which the "
            f"binary model {model} cannot describe; use grm or gpcm"
        )
    counts = responses.counts()
    return [
        Group(
            kind,
            items := np.flatnonzero(n_categories == k),
            np.ascontiguousarray(counts[:, items, :k]),
            _ASYMPTOTES.get(model, 0),
            model == "1pl",
        )
        for k in np.unique(n_categories)
    ]


def start_values(group: Group, log_a: float, lower: float, upper: float) -> Array:
    """``(m, p)`` parameters that reproduce each item's smoothed shares of categories.

    Args:
        log_a: log slope of every item.
        lower: logit of the lower asymptote, where free.
        upper: logit of the upper asymptote, where free.
    """
    shares = group.counts.sum(axis=0) + 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    if group.kind == "partial_credit":
        steps = np.log(shares[:, 1:] / shares[:, :-1])
    else:
        steps = logit(np.cumsum(shares[:, :0:-1], axis=1)[:, ::-1])
    # a logistic curve averaged over N(0, 1) abilities is flatter by about this factor
    steps = steps * np.sqrt(1 + np.exp(2 * log_a) / 2.9)
    rest = np.array([lower, upper])[: group.asymptotes]
    m = len(steps)
    return np.hstack([np.full((m, 1), log_a), steps, np.broadcast_to(rest, (m, len(rest)))])


@dataclass(frozen=True, eq=False)
class Natural:
    """Parameters in the form of :func:`harness.irt.response`."""

    slopes: Array
    intercepts: Array
    lower: Array
    upper: Array


def natural(group: Group, parameters: Array) -> Natural:
    """Slopes ``(m, 1)``, intercepts ``(m, K-1)`` and asymptotes ``(m,)``."""
    end = 1 + group.steps
    m = len(parameters)
    return Natural(
        np.exp(parameters[:, :1]),
        parameters[:, 1:end],
        expit(parameters[:, end]) if group.asymptotes > 0 else np.zeros(m),
        expit(parameters[:, end + 1]) if group.asymptotes > 1 else np.ones(m),
    )


def log_probability(group: Group, parameters: Array, nodes: Array) -> Array:
    """``(m, K, Q)`` category log-probabilities at ``nodes (Q,)``."""
    x = natural(group, parameters)
    return irt.response(group.kind, x.slopes, x.intercepts, x.lower, x.upper, nodes[:, None])[0]


def scores(group: Group, parameters: Array, nodes: Array) -> tuple[Array, Array]:
    """Log-probabilities ``(m, K, Q)`` and their derivatives ``(m, K, p, Q)``."""
    x = natural(group, parameters)
    log_p, dp_dz = irt.response(
        group.kind, x.slopes, x.intercepts, x.lower, x.upper, nodes[:, None]
    )
    p = np.exp(log_p)
    derivative = np.empty((*log_p.shape[:2], group.size, log_p.shape[2]))
    derivative[:, :, 0] = dp_dz * (x.slopes * nodes)[:, None]
    derivative[:, :, 1 : 1 + group.steps] = _by_intercept(group, x, p, dp_dz, nodes)
    if group.asymptotes:
        z = expit(x.slopes * nodes + x.intercepts)
        sides = [(x.lower, 1 - z), (x.upper, z)][: group.asymptotes]
        for position, (asymptote, weight) in enumerate(sides):
            change = (asymptote * (1 - asymptote))[:, None] * weight
            derivative[:, 1, 1 + group.steps + position] = change
            derivative[:, 0, 1 + group.steps + position] = -change
    return log_p, derivative / np.maximum(p, 1e-300)[:, :, None]


def _by_intercept(group: Group, x: Natural, p: Array, dp_dz: Array, nodes: Array) -> Array:
    """``∂P_k/∂d_j`` as ``(m, K, K-1, Q)``."""
    if group.kind == "binary":
        return dp_dz[:, :, None]
    reached = np.arange(group.steps + 1)[:, None] >= np.arange(1, group.steps + 1)
    if group.kind == "partial_credit":
        at_least = np.cumsum(p[:, :0:-1], axis=1)[:, ::-1]
        return np.asarray(p[:, :, None] * (reached[None, :, :, None] - at_least[:, None]))
    z = (x.slopes * nodes)[:, None] + x.intercepts[:, :, None]
    step = expit(z) * expit(-z)
    # raising d_j moves probability from category j-1 to category j
    sign = np.zeros(reached.shape)
    j = np.arange(group.steps)
    sign[j, j], sign[j + 1, j] = -1.0, 1.0
    return np.asarray(sign[None, :, :, None] * step[:, None])


def feasible_share(group: Group, parameters: Array, step: Array) -> Array:
    """``(m,)`` share of a step, at most 1, that keeps every ordered pair in order."""
    share = np.ones(len(parameters))
    for above, below in group.ordered:
        gap = parameters[:, above] - parameters[:, below]
        closing = step[:, below] - step[:, above]
        share = np.minimum(share, np.where(closing > 0, 0.8 * gap / np.maximum(closing, 1e-300), 1))
    return share
