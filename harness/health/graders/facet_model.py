"""A many-facet rating scale model (Linacre 1989), which says how likely ratings are.

A cell is one trial of an agent on an item. Judge j gives it category k of K with

    log P(k) - log P(k-1) = η + c_j - F_k,        η ~ N(B_agent - D_item, τ²)

so a cell has a quality η of its own that all of its judges see: what they share is not taken for
independent evidence, as it would be without τ. Ability B, difficulty D, the judges' levels c and
the steps F have normal priors; η is integrated over a grid, and the marginal posterior maximised.
Standard errors of c are robust to items on which a judge differs (sandwich over items, White 1982;
the information is Louis' (1982)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.special import log_softmax, logsumexp, softmax

from harness.health.graders.agreement import few_values
from harness.irt import Array
from harness.responses.ratings import Index, Ratings

GRID = np.arange(-12.0, 12.01, 0.25)
"""Logits. A judge's rating moves at most so fast that quarters of a logit are fine enough."""
_SD_ABILITY, _SD_JUDGE, _SD_STEP = 3.0, 3.0, 5.0
_LOG_TAU = (0.7, 1.0)
"""Mean and sd of log τ a priori."""
_MOST_CATEGORIES = 11
MOST_CELLS = 8000
"""That the model is fitted to; more are thinned, evenly over agents and items."""


@dataclass(frozen=True, eq=False)
class FacetData:
    """R ratings of C cells that at least two judges rated, in K categories."""

    row: Index
    """``(R,)`` of each rating in those given."""
    cell: Index
    judge: Index
    category: Index
    agent: Index
    """``(C,)``."""
    item: Index
    """``(C,)``."""
    trial: Index
    """``(C,)``."""
    worth: Array
    """``(K,)`` what the categories stand for."""
    n: tuple[int, int, int]
    """Agents, items, judges."""

    @property
    def value(self) -> Array:
        """``(R,)``."""
        return self.worth[self.category]

    @property
    def reach(self) -> float:
        """Range of the scale."""
        return float(self.worth[-1] - self.worth[0])


@dataclass(frozen=True, eq=False)
class FacetFit:
    """Estimates; beside the judges' levels, effects of groups of ratings."""

    ability: Array
    difficulty: Array
    location: Array
    """``(M,)`` levels of the J judges, then of E effects."""
    effects: NDArray[np.bool_]
    """``(E, R)`` whether each holds of each rating."""
    steps: Array
    tau: float
    mean: Array
    """``(C,)`` of η a priori."""
    log_weights: Array
    """``(C, Q)`` of η a posteriori; not normalised."""

    def shift(self, data: FacetData) -> Array:
        """``(R,)`` level and effects of each rating."""
        levels, effects = np.split(self.location, [data.n[2]])
        return np.asarray(levels[data.judge] + effects @ self.effects)


def facet_data(ratings: Ratings) -> FacetData | None:
    """Ratings as the model takes them; None where no cell has two, or all of them are equal."""
    value = few_values(ratings.value, _MOST_CATEGORIES)
    enough = np.bincount(ratings.cell, minlength=len(ratings.cells))[ratings.cell] > 1
    cells = ratings.cells
    # every s-th diagonal of agents × items: all of both stay
    apart = max(1, -(-len(np.unique(ratings.cell[enough])) // MOST_CELLS))
    kept = enough & (cells[ratings.cell, :2].sum(axis=1) % apart == 0)
    row = np.flatnonzero(kept)
    if not len(row):
        return None
    used, cell = np.unique(ratings.cell[row], return_inverse=True)
    worth, category = np.unique(value[row], return_inverse=True)
    if len(worth) < 2:
        return None
    agent, item, trial = cells[used].T
    return FacetData(
        row=row,
        cell=cell,
        judge=ratings.judge[row],
        category=category,
        agent=agent,
        item=item,
        trial=trial,
        worth=worth,
        n=(len(ratings.agents), len(ratings.items), len(ratings.judges)),
    )


def fit_facets(
    data: FacetData, effects: NDArray[np.bool_], before: FacetFit | None = None
) -> FacetFit:
    """Maximum of the marginal posterior.

    Args:
        data: R ratings.
        effects: ``(E, R)`` groups of ratings that share an effect.
        before: estimates to start from, with the first of these effects.
    """
    from scipy.optimize import minimize

    (agents, items, judges), k = data.n, len(data.worth)
    design, kind = _kinds(data, effects)
    chosen = coo_array(
        (np.ones(len(kind)), (data.cell, kind * k + data.category)),
        shape=(len(data.agent), len(design) * k),
    ).tocsr()
    counts = np.bincount(kind * k + data.category, minlength=len(design) * k).reshape(-1, k)
    places = np.cumsum([agents, items, judges + len(effects), k - 1])
    sd = np.repeat(
        [_SD_ABILITY, _SD_ABILITY, _SD_JUDGE, _SD_STEP],
        [agents, items, judges + len(effects), k - 1],
    )
    up = np.arange(k)
    # about a standard error of each, so that all are of a size to the optimiser
    number = [
        np.bincount(data.agent, minlength=agents),
        np.bincount(data.item, minlength=items),
        (counts.sum(axis=1) @ design),
        np.full(k - 1, len(kind) / k),
        [len(data.agent)],
    ]
    unit = 1 / np.sqrt(1 + np.concatenate(number))

    def loss(scaled: Array) -> tuple[float, Array]:
        x = scaled * unit
        ability, difficulty, location, steps, (log_tau,) = np.split(x, places)
        tau = float(np.exp(log_tau))
        mean = ability[data.agent] - difficulty[data.item]
        table = log_table(steps, design @ location)
        prior = _log_prior(mean, tau)
        joint = chosen @ table.reshape(-1, len(GRID)) + prior
        cells = logsumexp(joint, axis=1, keepdims=True)
        w, w0 = np.exp(joint - cells), np.exp(prior)
        expected = chosen.T @ w
        totals = expected.reshape(table.shape).sum(axis=1)
        # observed less expected counts of each category
        excess = counts - np.einsum("lq,lkq->lk", totals, np.exp(table))
        by_mean = ((w - w0) @ GRID) / tau**2
        squares = ((GRID - mean[:, None]) / tau) ** 2
        gradient = np.concatenate(
            [
                np.bincount(data.agent, by_mean, agents),
                -np.bincount(data.item, by_mean, items),
                (excess @ up) @ design,
                -np.cumsum(excess.sum(axis=0)[::-1])[::-1][1:],
                [((w - w0) * squares).sum()],
            ]
        )
        penalty = np.append(x[:-1] / sd, (log_tau - _LOG_TAU[0]) / _LOG_TAU[1])
        gradient -= penalty / np.append(sd, _LOG_TAU[1])
        return -float(cells.sum() - 0.5 * penalty @ penalty), -gradient * unit

    found = minimize(
        loss,
        _start(data, len(effects), before) / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * int(places[-1])
        + [(np.log(0.05) / unit[-1], np.log(20.0) / unit[-1])],
        options={"maxiter": 300, "maxcor": 20, "ftol": 1e-8, "gtol": 1e-3},
    ).x
    ability, difficulty, location, steps, (log_tau,) = np.split(found * unit, places)
    tau, mean = float(np.exp(log_tau)), ability[data.agent] - difficulty[data.item]
    table = log_table(steps, design @ location).reshape(-1, len(GRID))
    weights = chosen @ table + _log_prior(mean, tau)
    return FacetFit(ability, difficulty, location, effects, steps, tau, mean, weights)


def _kinds(data: FacetData, effects: NDArray[np.bool_]) -> tuple[Array, Index]:
    """Ratings that share judge and effects: ``(L, M)`` design of the kinds, ``(R,)`` the kind."""
    full = np.zeros((len(data.judge), data.n[2] + len(effects)))
    full[np.arange(len(full)), data.judge] = 1.0
    full[:, data.n[2] :] = effects.T
    design, kind = np.unique(full, axis=0, return_inverse=True)
    return design, kind.ravel()


def _start(data: FacetData, effects: int, before: FacetFit | None) -> Array:
    agents, items, judges = data.n
    if before is not None:
        location = np.zeros(judges + effects)
        location[: len(before.location)] = before.location
        return np.concatenate(
            [before.ability, before.difficulty, location, before.steps, [np.log(before.tau)]]
        )
    centred = data.category - data.category.mean()
    centred *= 6 / (len(data.worth) - 1)

    def means(of: Index, n: int) -> Array:
        size = np.bincount(of[data.cell], minlength=n)
        return np.asarray(np.bincount(of[data.cell], centred, n) / np.maximum(size, 1))

    number = np.bincount(data.category)
    return np.concatenate(
        [
            means(data.agent, agents),
            -means(data.item, items),
            np.zeros(judges + effects),
            np.log(number[:-1] / number[1:]),
            [_LOG_TAU[0]],
        ]
    )


def log_table(steps: Array, shifts: Array) -> Array:
    """``(L, K, Q)`` log-probabilities of each category at each node, for L shifts."""
    k = np.arange(len(steps) + 1)[:, None]
    passed = np.concatenate([[0.0], np.cumsum(steps)])[:, None]
    return np.asarray(log_softmax(k * (GRID + shifts[:, None, None]) - passed, axis=1))


def _log_prior(mean: Array, tau: float) -> Array:
    """``(C, Q)`` of η, normalised on the grid."""
    return np.asarray(log_softmax(-0.5 * ((GRID - mean[:, None]) / tau) ** 2, axis=1))


def location_covariance(data: FacetData, fit: FacetFit) -> Array:
    """``(M, M)`` of the levels and effects, robust to what the cells of an item share.

    Steps and τ are held fixed: differences between judges hardly depend on them.
    """
    agents, items, _ = data.n
    design, kind = _kinds(data, fit.effects)
    p = np.exp(log_table(fit.steps, design @ fit.location))
    k = np.arange(p.shape[1])
    expected = np.einsum("k,lkq->lq", k, p)
    variance = np.einsum("k,lkq->lq", k**2, p) - expected**2
    given = np.zeros((len(data.agent), len(design)))
    given[data.cell, kind] = 1.0
    category = np.zeros_like(given)
    category[data.cell, kind] = data.category
    w, w0 = softmax(fit.log_weights, axis=1), np.exp(_log_prior(fit.mean, fit.tau))
    precision = fit.tau**-2

    def spread(weights: Array) -> Array:
        return np.asarray(weights @ GRID**2 - (weights @ GRID) ** 2)

    # Louis (1982): complete information less what is lost by not seeing η, cell by cell
    inside = w @ expected.T
    products = w @ (expected[:, None] * expected).reshape(-1, len(GRID)).T
    lost = products.reshape(-1, *2 * (len(design),)) - inside[:, :, None] * inside[:, None]
    lost *= given[:, :, None] * given[:, None]
    of_mean = (spread(w0) - spread(w)) * precision**2
    with_mean = given * (w @ (GRID * expected).T - (w @ GRID)[:, None] * inside) * precision
    of_kinds = np.diag((given * (w @ variance.T)).sum(axis=0)) - lost.sum(axis=0)
    rows = np.arange(len(data.agent))
    where = coo_array(
        (
            np.repeat([1.0, -1.0], len(rows)),
            (np.tile(rows, 2), np.concatenate([data.agent, agents + data.item])),
        ),
        shape=(len(rows), agents + items),
    ).tocsr()
    cross = where.T @ with_mean @ design
    information = np.block(
        [
            [(where.T * of_mean @ where).toarray(), cross],
            [cross.T, design.T @ of_kinds @ design],
        ]
    )
    information += np.diag(
        np.repeat(
            [_SD_ABILITY**-2, _SD_JUDGE**-2],
            [agents + items, information.shape[0] - agents - items],
        )
    )
    scores = np.hstack(
        [
            (where * (((w - w0) @ GRID) * precision)[:, None]).toarray(),
            (category - given * inside) @ design,
        ]
    )
    by_item = np.zeros((items, scores.shape[1]))
    np.add.at(by_item, data.item, scores)
    n = len(np.unique(data.item))
    inverse = np.linalg.inv(information)[:, agents + items :]
    if n < 3:  # too few items to be robust over
        return np.asarray(inverse[agents + items :])
    half = by_item @ inverse
    return np.asarray(half.T @ half * n / (n - 1))


def given_others(data: FacetData, fit: FacetFit, own: Array) -> tuple[Array, Array]:
    """``(R,)`` mean and variance of each rating, given the other judges' ratings of its cell.

    Args:
        own: ``(R,)`` shifts with which the rating itself is expected.
    """
    used, kind = np.unique(fit.shift(data), return_inverse=True)
    lower = fit.log_weights[data.cell] - log_table(fit.steps, used)[kind, data.category]
    weights = softmax(lower, axis=1)
    used, kind = np.unique(own, return_inverse=True)
    p = np.exp(log_table(fit.steps, used))
    moments = np.einsum("km,lkq->lmq", np.stack([data.worth, data.worth**2], 1), p)
    mean, square = (np.einsum("rq,rq->r", weights, moments[kind, m]) for m in (0, 1))
    return mean, square - mean**2


def p_beyond(estimate: Array, se: Array, bound: float, dof: int) -> Array:
    """P-values of estimates whose true size is at most ``bound``."""
    from scipy.stats import t

    size, safe = np.abs(estimate), np.maximum(se, 1e-9)
    return np.asarray(t.sf((size - bound) / safe, dof) + t.sf((size + bound) / safe, dof))
