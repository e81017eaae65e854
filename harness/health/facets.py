"""What judges do to ratings: a many-facet rating scale model (Linacre 1989).

A cell is one trial of an agent on an item. Judge j gives it category k of K with

    log P(k) - log P(k-1) = η + c_j - F_k,        η ~ N(B_agent - D_item, τ²)

so a cell has a quality η of its own that all of its judges see: what they share is not taken for
independent evidence, as it would be without τ. Ability B, difficulty D, the judges' levels c and
the steps F have normal priors; η is integrated over a grid, and the marginal posterior maximised.
Standard errors of c are robust to items on which a judge differs (sandwich over items, White 1982;
the information is Louis' (1982)).

How a judge fits is seen from what the *other* judges of a cell lead one to expect of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.special import log_softmax, logsumexp, softmax

from harness.health.agreement import few_values
from harness.health.flags import LEVEL, RATE, adjusted
from harness.irt import Array
from harness.responses.ratings import Index, Ratings

_GRID = np.arange(-12.0, 12.01, 0.25)
"""Logits. A judge's rating moves at most so fast that quarters of a logit are fine enough."""
_SD_ABILITY, _SD_JUDGE, _SD_STEP = 3.0, 3.0, 5.0
_LOG_TAU = (0.7, 1.0)
"""Mean and sd of log τ a priori."""
_MOST_CATEGORIES = 11
MOST_CELLS = 8000
"""That the model is fitted to; more are thinned, evenly over agents and items."""
SMALL_LEVEL = 0.03
"""Of the scale's range: judges who differ less in level are alike for any use."""
SMALL_FAVOUR = 0.01
"""Of the scale's range: less favour than this is of no consequence."""
SMALL_MISFIT = 1.2
"""Infit up to which a judge is as consistent as the others."""
SMALL_DISPUTE = 1.2
"""Times as much dispute as expected, up to which an item is like the others."""
ITSELF = "itself"
_OWN_LIKELIER = 100.0
_DRAWS, _MOST_SHOWN = 200, 30


@dataclass(frozen=True)
class Judge:
    """One judge against the others. Intervals have probability ``LEVEL``."""

    name: str
    family: str
    ratings: int
    mean: float
    level: float
    """Logits above the mean of the judges: positive rates higher."""
    se: float
    points: float
    """The same in points of the scale: how much higher it rates a cell than the average judge."""
    low: float
    high: float
    level_q: float
    """Adjusted p-value of differing by more than ``SMALL_LEVEL`` of the range."""
    infit: float
    """Squared differences from what the others lead one to expect, over their expectation."""
    infit_low: float
    infit_high: float
    outfit: float
    """The same, each first divided by its variance: feels far-off ratings most."""
    infit_q: float
    """Adjusted p-value of an infit of at most ``SMALL_MISFIT``."""


@dataclass(frozen=True)
class Favour:
    """How a judge rates a family of agents (or itself), apart from its level."""

    judge: str
    group: str
    """A family, or ``ITSELF``."""
    own: bool
    """The judge's own family, or itself."""
    agents: int
    ratings: int
    points: float
    """Above what the other judges lead one to expect, against the judge's other ratings."""
    low: float
    high: float
    q: float
    """Adjusted p-value of at most ``SMALL_FAVOUR`` of the range."""
    found: bool


@dataclass(frozen=True)
class Dispute:
    """How far judges are apart on an item."""

    item: str
    cells: int
    """Rated by at least two judges."""
    spread: float
    """Mean sd of the ratings within its cells, in points."""
    ratio: float
    """Squared spread over what the model expects of such ratings."""
    low: float
    high: float
    q: float
    """Adjusted p-value of a ratio of at most ``SMALL_DISPUTE``."""


@dataclass(frozen=True)
class CellDispute:
    """One cell that judges see differently."""

    agent: str
    item: str
    trial: int
    ratings: tuple[float, ...]
    """By judge; NaN where missing."""
    surprise: float
    """Squared spread over what the model expects."""


@dataclass(frozen=True)
class Facets:
    """What a many-facet model finds."""

    judges: tuple[Judge, ...]
    favours: tuple[Favour, ...]
    """Every judge with every family that has at least two ratings of it."""
    disputes: tuple[Dispute, ...]
    """By item, most disputed first."""
    cells: tuple[CellDispute, ...]
    """The most surprising ones."""
    agents: tuple[tuple[str, float], ...]
    """Level of each agent in logits, as all judges together see it."""
    steps: Array
    """``(K-1,)`` F."""
    tau: float
    cells_used: int
    grouped: bool
    """The scale had too many values, and was cut into groups."""
    connected: bool
    """All judges are linked by cells that they share."""


@dataclass(frozen=True, eq=False)
class _Data:
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
class _Fit:
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

    def shift(self, data: _Data) -> Array:
        """``(R,)`` level and effects of each rating."""
        levels, effects = np.split(self.location, [data.n[2]])
        return np.asarray(levels[data.judge] + effects @ self.effects)


def analyse_facets(ratings: Ratings, families: Mapping[str, str], seed: int = 0) -> Facets | None:
    """Fit the model; None where there is nothing to compare: no cell that two judges rated, or
    only one value.

    Args:
        ratings: of the judges.
        families: of agents and judges by name; those without one belong to none.
        seed: of the simulation that says what spread to expect.
    """
    data = _prepare(ratings)
    if data is None:
        return None
    fit, favours = _favouritism(ratings, data, families)
    disputes, cells = _disputes(ratings, data, fit, seed)
    agents = [(ratings.agents[a], float(fit.ability[a])) for a in np.unique(data.agent)]
    shared = np.zeros((len(data.agent), data.n[2]))
    shared[data.cell, data.judge] = 1.0
    from scipy.sparse.csgraph import connected_components

    parts = connected_components(csr_array(shared.T @ shared), directed=False)[0]
    return Facets(
        judges=_judges(ratings, data, fit, families),
        favours=favours,
        disputes=disputes,
        cells=cells,
        agents=tuple(sorted(agents, key=lambda pair: -pair[1])),
        steps=fit.steps,
        tau=fit.tau,
        cells_used=len(data.agent),
        grouped=len(data.worth) < len(ratings.scale),
        connected=parts - int((shared.sum(axis=0) == 0).sum()) == 1,
    )


def _prepare(ratings: Ratings) -> _Data | None:
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
    return _Data(
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


# --- fit --------------------------------------------------------------------------------------


def _log_table(steps: Array, shifts: Array) -> Array:
    """``(L, K, Q)`` log-probabilities of each category at each node, for L shifts."""
    k = np.arange(len(steps) + 1)[:, None]
    passed = np.concatenate([[0.0], np.cumsum(steps)])[:, None]
    return np.asarray(log_softmax(k * (_GRID + shifts[:, None, None]) - passed, axis=1))


def _log_prior(mean: Array, tau: float) -> Array:
    """``(C, Q)`` of η, normalised on the grid."""
    return np.asarray(log_softmax(-0.5 * ((_GRID - mean[:, None]) / tau) ** 2, axis=1))


def _fit(data: _Data, effects: NDArray[np.bool_], before: _Fit | None = None) -> _Fit:
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
        table = _log_table(steps, design @ location)
        prior = _log_prior(mean, tau)
        joint = chosen @ table.reshape(-1, len(_GRID)) + prior
        cells = logsumexp(joint, axis=1, keepdims=True)
        w, w0 = np.exp(joint - cells), np.exp(prior)
        expected = chosen.T @ w
        totals = expected.reshape(table.shape).sum(axis=1)
        # observed less expected counts of each category
        excess = counts - np.einsum("lq,lkq->lk", totals, np.exp(table))
        by_mean = ((w - w0) @ _GRID) / tau**2
        squares = ((_GRID - mean[:, None]) / tau) ** 2
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
    table = _log_table(steps, design @ location).reshape(-1, len(_GRID))
    weights = chosen @ table + _log_prior(mean, tau)
    return _Fit(ability, difficulty, location, effects, steps, tau, mean, weights)


def _kinds(data: _Data, effects: NDArray[np.bool_]) -> tuple[Array, Index]:
    """Ratings that share judge and effects: ``(L, M)`` design of the kinds, ``(R,)`` the kind."""
    full = np.zeros((len(data.judge), data.n[2] + len(effects)))
    full[np.arange(len(full)), data.judge] = 1.0
    full[:, data.n[2] :] = effects.T
    design, kind = np.unique(full, axis=0, return_inverse=True)
    return design, kind.ravel()


def _start(data: _Data, effects: int, before: _Fit | None) -> Array:
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


def _covariance(data: _Data, fit: _Fit) -> Array:
    """``(M, M)`` of the levels and effects, robust to what the cells of an item share.

    Steps and τ are held fixed: differences between judges hardly depend on them.
    """
    agents, items, _ = data.n
    design, kind = _kinds(data, fit.effects)
    p = np.exp(_log_table(fit.steps, design @ fit.location))
    k = np.arange(p.shape[1])
    expected = np.einsum("k,lkq->lq", k, p)
    variance = np.einsum("k,lkq->lq", k**2, p) - expected**2
    given = np.zeros((len(data.agent), len(design)))
    given[data.cell, kind] = 1.0
    w, w0 = softmax(fit.log_weights, axis=1), np.exp(_log_prior(fit.mean, fit.tau))
    precision = fit.tau**-2

    def spread(weights: Array) -> Array:
        return np.asarray(weights @ _GRID**2 - (weights @ _GRID) ** 2)

    # Louis (1982): complete information less what is lost by not seeing η, cell by cell
    inside = w @ expected.T
    products = w @ (expected[:, None] * expected).reshape(-1, len(_GRID)).T
    lost = products.reshape(-1, *2 * (len(design),)) - inside[:, :, None] * inside[:, None]
    lost *= given[:, :, None] * given[:, None]
    of_mean = (spread(w0) - spread(w)) * precision**2
    with_mean = given * (w @ (_GRID * expected).T - (w @ _GRID)[:, None] * inside) * precision
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
            (where * (((w - w0) @ _GRID) * precision)[:, None]).toarray(),
            _by_cell(data, kind, len(design)) @ design - (given * inside) @ design,
        ]
    )
    by_item = np.zeros((items, scores.shape[1]))
    np.add.at(by_item, data.item, scores)
    n = len(np.unique(data.item))
    half = by_item @ np.linalg.inv(information)[:, agents + items :]
    if n < 3:  # too few items to be robust over
        return np.asarray(np.linalg.inv(information)[agents + items :, agents + items :])
    return np.asarray(half.T @ half * n / (n - 1))


def _by_cell(data: _Data, kind: Index, kinds: int) -> Array:
    """``(C, L)`` category by cell and kind; 0 where missing."""
    found = np.zeros((len(data.agent), kinds))
    found[data.cell, kind] = data.category
    return found


# --- judges -----------------------------------------------------------------------------------


def _given_others(data: _Data, fit: _Fit, own: Array) -> tuple[Array, Array]:
    """``(R,)`` mean and variance of each rating, given the other judges' ratings of its cell.

    Args:
        own: ``(R,)`` shifts with which the rating itself is expected.
    """
    used, kind = np.unique(fit.shift(data), return_inverse=True)
    lower = fit.log_weights[data.cell] - _log_table(fit.steps, used)[kind, data.category]
    weights = softmax(lower, axis=1)
    used, kind = np.unique(own, return_inverse=True)
    p = np.exp(_log_table(fit.steps, used))
    moments = np.einsum("km,lkq->lmq", np.stack([data.worth, data.worth**2], 1), p)
    mean, square = (np.einsum("rq,rq->r", weights, moments[kind, m]) for m in (0, 1))
    return mean, square - mean**2


def _judges(
    ratings: Ratings, data: _Data, fit: _Fit, families: Mapping[str, str]
) -> tuple[Judge, ...]:
    from scipy.stats import t

    _, items, judges = data.n
    there = np.flatnonzero(np.bincount(data.judge, minlength=judges))
    levels = fit.location[there]
    centre = np.eye(len(there)) - 1 / len(there)
    covariance = _covariance(data, fit)[np.ix_(there, there)]
    se = np.sqrt(np.diag(centre @ covariance @ centre.T))
    expected = np.einsum("k,lkq->lq", data.worth, np.exp(_log_table(fit.steps, levels)))
    density = softmax(fit.log_weights, axis=1).mean(axis=0)
    points = centre @ (expected @ density)
    # points per logit
    slope = float(np.mean(np.gradient(expected, _GRID, axis=1) @ density))
    dof = max(len(np.unique(data.item)) - 1, 1)
    half = float(t.ppf((1 + LEVEL) / 2, dof)) * se * slope
    p = _beyond(points, se * slope, SMALL_LEVEL * data.reach, dof)
    mean, variance = _given_others(data, fit, fit.shift(data))
    squares = (data.value - mean) ** 2
    variance = np.maximum(variance, 1e-6 * data.reach**2)
    shape = (judges, items)
    place = data.judge, data.item[data.cell]
    got, due = np.zeros(shape), np.zeros(shape)
    np.add.at(got, place, squares)
    np.add.at(due, place, variance)
    infit = got[there].sum(axis=1) / due[there].sum(axis=1)
    apart = got[there] - infit[:, None] * due[there]
    infit_se = np.sqrt((apart**2).sum(axis=1) * (dof + 1) / dof) / due[there].sum(axis=1)
    outfit = np.bincount(data.judge, squares / variance, judges) / np.maximum(
        np.bincount(data.judge, minlength=judges), 1
    )
    quantile = float(t.ppf((1 + LEVEL) / 2, dof))
    infit_q = adjusted(t.sf((infit - SMALL_MISFIT) / np.maximum(infit_se, 1e-9), dof))
    level_q = adjusted(p)
    return tuple(
        Judge(
            name=ratings.judges[j],
            family=families.get(ratings.judges[j], ""),
            ratings=int(np.count_nonzero(ratings.judge == j)),
            mean=float(ratings.value[ratings.judge == j].mean()),
            level=float(levels[n] - levels.mean()),
            se=float(se[n]),
            points=float(points[n]),
            low=float(points[n] - half[n]),
            high=float(points[n] + half[n]),
            level_q=float(level_q[n]),
            infit=float(infit[n]),
            infit_low=float(max(infit[n] - quantile * infit_se[n], 0.0)),
            infit_high=float(infit[n] + quantile * infit_se[n]),
            outfit=float(outfit[j]),
            infit_q=float(infit_q[n]),
        )
        for n, j in enumerate(there)
    )


def _beyond(estimate: Array, se: Array, bound: float, dof: int) -> Array:
    """P-values of estimates whose true size is at most ``bound``."""
    from scipy.stats import t

    size, safe = np.abs(estimate), np.maximum(se, 1e-9)
    return np.asarray(t.sf((size - bound) / safe, dof) + t.sf((size + bound) / safe, dof))


# --- favouritism ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    judge: int
    group: str
    own: bool
    among: NDArray[np.bool_]
    """``(R,)``."""


def _favouritism(
    ratings: Ratings, data: _Data, families: Mapping[str, str]
) -> tuple[_Fit, tuple[Favour, ...]]:
    """Forward selection: who favours a family makes the other judges look as if they slighted it,
    and itself as if it slighted the other families; so the strongest effect goes into the model
    before the rest is judged again."""
    candidates = _candidates(ratings, data, families)
    fit = _fit(data, np.zeros((0, len(data.judge)), bool))
    # where two effects explain the same, a judge's own family is the likelier one
    likely = np.array([_OWN_LIKELIER if one.own else 1.0 for one in candidates])
    chosen: dict[int, float] = {}
    q = np.full(len(candidates), np.nan)
    for _ in range(3 * data.n[2]):
        mean, _variance = _given_others(data, fit, fit.shift(data))
        points, se, dof = _contrasts(data, candidates, families, ratings, data.value - mean)
        p = _beyond(points, se, SMALL_FAVOUR * data.reach, dof)
        p[list(chosen)] = np.nan
        q = adjusted(p)
        known = np.flatnonzero(q < RATE)
        if not len(known):
            break
        best = int(known[np.argmin((p / likely)[known])])
        chosen[best] = float(q[best])
        fit = _fit(data, np.array([candidates[c].among for c in chosen]), fit)
    # each seen with its own effect left out of what is expected, but in what the others say
    mean, _variance = _given_others(data, fit, fit.location[data.judge])
    points, se, dof = _contrasts(data, candidates, families, ratings, data.value - mean)
    return fit, _favours(ratings, data, candidates, chosen, q, points, se, dof)


def _candidates(ratings: Ratings, data: _Data, families: Mapping[str, str]) -> list[_Candidate]:
    family = np.array([families.get(agent, "") for agent in ratings.agents])[data.agent]
    of, itself = family[data.cell], ratings.own[data.row]
    found = []
    for j, judge in enumerate(ratings.judges):
        mine = data.judge == j
        home = families.get(judge, "")
        # with two judges nobody can say which of them favours: only what is a reason counts
        groups = np.unique(of[mine]) if data.n[2] > 2 else [home]
        parts = [(str(group), mine & (of == group)) for group in groups if group]
        if len(parts) == 2:  # favour for one is slight of the other
            parts = [part for part in parts if part[0] == home] or parts[:1]
        for group, among in [*parts, (ITSELF, mine & itself)]:
            if among.sum() > 1 and (mine & ~among).sum() > 1:
                found.append(_Candidate(j, group, group in (home, ITSELF), among))
    return found


def _contrasts(
    data: _Data,
    candidates: Sequence[_Candidate],
    families: Mapping[str, str],
    ratings: Ratings,
    residual: Array,
) -> tuple[Array, Array, int]:
    """Mean residual of each candidate against the judge's other ratings, its standard error over
    items with the judge's variation from agent to agent, and degrees of freedom."""
    item = data.item[data.cell]
    variance, freedom = _from_agent_to_agent(data, families, ratings, residual)
    points, se = np.zeros(len(candidates)), np.zeros(len(candidates))
    for c, candidate in enumerate(candidates):
        parts = candidate.among, (data.judge == candidate.judge) & ~candidate.among
        weight = parts[0] / np.count_nonzero(parts[0]) - parts[1] / np.count_nonzero(parts[1])
        means = [residual[part].mean() for part in parts]
        left = residual - np.where(parts[0], means[0], means[1])
        by_item = np.bincount(item, weight * left)
        n = len(np.unique(item[candidate.among]))
        rated = [len(np.unique(data.agent[data.cell[part]])) for part in parts]
        points[c] = means[0] - means[1]
        se[c] = np.sqrt(
            by_item @ by_item * n / max(n - 1, 1) + variance * (1 / rated[0] + 1 / rated[1])
        )
    dof = len(np.unique(data.item)) - 1
    return points, se, max(min(dof, freedom) if variance else dof, 1)


def _from_agent_to_agent(
    data: _Data, families: Mapping[str, str], ratings: Ratings, residual: Array
) -> tuple[float, int]:
    """Variance of a judge's mean residual between agents of one family, beyond that of the ratings
    (by moments, as DerSimonian and Laird 1986); and its degrees of freedom."""
    agents, _, judges = data.n
    pair = data.judge * agents + data.agent[data.cell]
    n = np.bincount(pair, minlength=agents * judges)
    sums = np.bincount(pair, residual, agents * judges)
    mean = sums / np.maximum(n, 1)
    error = np.bincount(pair, (residual - mean[pair]) ** 2, agents * judges)
    noise = error / np.maximum((n - 1) * n, 1)
    names = [families.get(agent, "") or f"\0{a}" for a, agent in enumerate(ratings.agents)]
    family = np.unique(names, return_inverse=True)[1]
    groups = int(family.max()) + 1
    group = np.repeat(np.arange(judges), agents) * groups + np.tile(family, judges)
    known = n > 1

    def total(values: Array) -> Array:
        return np.asarray(np.bincount(group[known], values[known], groups * judges), float)

    size = total(np.ones(len(n)))
    centre = total(mean) / np.maximum(size, 1)
    left = ((mean - centre[group])[known] ** 2).sum()
    due = (noise * (1 - 1 / np.maximum(size[group], 1)))[known].sum()
    freedom = int((np.maximum(size, 1) - 1).sum())
    return max(float(left - due) / max(freedom, 1), 0.0) if freedom else 0.0, freedom


def _favours(
    ratings: Ratings,
    data: _Data,
    candidates: Sequence[_Candidate],
    chosen: Mapping[int, float],
    q: Array,
    points: Array,
    se: Array,
    dof: int,
) -> tuple[Favour, ...]:
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, dof)) * se
    return tuple(
        Favour(
            judge=ratings.judges[one.judge],
            group=one.group,
            own=one.own,
            agents=len(np.unique(data.agent[data.cell[one.among]])),
            ratings=int(one.among.sum()),
            points=float(points[c]),
            low=float(points[c] - half[c]),
            high=float(points[c] + half[c]),
            q=chosen.get(c, float(q[c])),
            found=c in chosen,
        )
        for c, one in enumerate(candidates)
    )


# --- disputes ---------------------------------------------------------------------------------


def _disputes(
    ratings: Ratings, data: _Data, fit: _Fit, seed: int
) -> tuple[tuple[Dispute, ...], tuple[CellDispute, ...]]:
    from scipy.stats import pearson3, t

    items, cells = data.n[1], len(data.agent)
    draws = _DRAWS if cells * _DRAWS <= 1_000_000 else 100
    spread = _spread(data, data.value)
    simulated = np.stack(list(_simulate(data, fit, draws, seed)))
    expected = simulated.mean(axis=0)
    by_item = np.zeros((draws, items))
    np.add.at(by_item.T, data.item, simulated.T)
    got = np.bincount(data.item, spread, items)
    rated = np.bincount(data.item, minlength=items)
    mean, sd = by_item.mean(axis=0), by_item.std(axis=0)
    skew = ((by_item - mean) ** 3).mean(axis=0) / np.maximum(sd, 1e-12) ** 3
    # sums of as many cells are alike in shape: one skewness that falls with their number
    common = float(np.median((skew * np.sqrt(np.maximum(rated, 1)))[rated > 0]))
    z = (got / SMALL_DISPUTE - mean) / np.maximum(sd, 1e-12)
    shape = np.clip(common / np.sqrt(np.maximum(rated, 1)), 0.01, 5.0)
    p = np.where((rated > 1) & (sd > 0), pearson3.sf(z, shape), np.nan)
    q = adjusted(p)
    ratio = got / np.maximum(mean, 1e-12)
    left = spread - ratio[data.item] * expected
    error = np.sqrt(np.bincount(data.item, left**2, items) * rated / np.maximum(rated - 1, 1))
    half = t.ppf((1 + LEVEL) / 2, np.maximum(rated - 1, 1)) * error / np.maximum(mean, 1e-12)
    given = np.bincount(data.cell)
    within = np.bincount(data.item, np.sqrt(spread / (given - 1)), items) / np.maximum(rated, 1)
    order = [i for i in np.argsort(-z, kind="stable") if rated[i]]
    disputes = tuple(
        Dispute(
            item=ratings.items[i],
            cells=int(rated[i]),
            spread=float(within[i]),
            ratio=float(ratio[i]),
            low=float(max(ratio[i] - half[i], 0.0)) if rated[i] > 1 else 0.0,
            high=float(ratio[i] + half[i]) if rated[i] > 1 else np.inf,
            q=float(q[i]),
        )
        for i in order
    )
    surprise = spread / np.maximum(expected, 1e-12)
    top = np.lexsort((-surprise, -spread))[:_MOST_SHOWN]
    table = ratings.table[np.unique(ratings.cell[data.row])]
    return disputes, tuple(
        CellDispute(
            agent=ratings.agents[data.agent[c]],
            item=ratings.items[data.item[c]],
            trial=int(data.trial[c]),
            ratings=tuple(table[c].tolist()),
            surprise=float(surprise[c]),
        )
        for c in top
    )


def _spread(data: _Data, value: Array) -> Array:
    """``(C,)`` squared deviations from the mean of each cell."""
    n = np.bincount(data.cell)
    mean = np.bincount(data.cell, value) / n
    return np.asarray(np.bincount(data.cell, (value - mean[data.cell]) ** 2), float)


def _simulate(data: _Data, fit: _Fit, draws: int, seed: int) -> Iterator[Array]:
    """Spread of each cell when ratings are drawn from the fitted model."""
    rng = np.random.default_rng(seed)
    nodes = np.cumsum(softmax(fit.log_weights, axis=1), axis=1)
    used, kind = np.unique(fit.shift(data), return_inverse=True)
    below = np.cumsum(np.exp(_log_table(fit.steps, used)), axis=1)[:, :-1]
    for _ in range(draws):
        node = (nodes < rng.random(len(nodes))[:, None]).sum(axis=1).clip(max=len(_GRID) - 1)
        bounds = below[kind, :, node[data.cell]]
        category = (bounds < rng.random(len(kind))[:, None]).sum(axis=1)
        yield _spread(data, data.worth[category])
