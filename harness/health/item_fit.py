"""How well each item follows its curve: S-X² (Orlando and Thissen 2000), infit and outfit.

With a hundred agents the textbook distributions of these statistics are wrong: cells hold a
handful of agents, and parameters that were fitted to the same answers take misfit away. What is
flagged is judged by simulation from the fitted curves instead, each simulated item fitted again
by one step of Fisher scoring.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2, pearson3, skew

from harness.health.evidence import Evidence
from harness.health.flags import RATE, Flag, adjusted
from harness.health.sum_scores import given_sum
from harness.irt import Array

SMALLEST_EXPECTED = 1.0
"""Answers expected in a cell of S-X², after merging."""
LEAST_VARIANCE = math.sqrt(1e-5)
"""Of a score between 0 and 1."""
FEWEST_AGENTS = 30
"""With complete rows for S-X², and with answers to an item for a flag."""
FEWEST_ITEMS = 40
"""For infit to count: in a short test an item's own answer moves the ability it is judged by."""


# --- S-X² -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SumScoreFit:
    """S-X² of one item over T sum scores and K categories."""

    statistic: float
    df: int
    p: float
    """By the χ² distribution; NaN with no degrees of freedom."""
    cells: NDArray[np.intp]
    """``(T, K)`` which merged cell each belongs to; -1 for none."""


def sum_score_fit(observed: Array, expected: Array, n_parameters: int) -> SumScoreFit:
    """S-X² of an item (Orlando and Thissen 2000; Kang and Chen 2008), with cells merged.

    Sum scores of a single agent join the next one; then, from below, those where no split of
    the categories expects an answer on either side join the neighbour with fewer agents; at last
    neighbouring categories are merged within each group of sum scores. For binary items this is
    what mirt does.

    Args:
        observed: ``(T, K)`` agents by sum score and category, without the lowest and the
            highest sum score.
        expected: ``(T, K)`` what the model expects of as many agents.

    >>> observed = np.array([[6.0, 4.0], [3.0, 7.0]])
    >>> found = sum_score_fit(observed, np.array([[5.0, 5.0], [5.0, 5.0]]), n_parameters=1)
    >>> found.statistic, found.df
    (2.0, 1)
    """
    of_row = _merged_scores(observed, expected)
    cells = np.full(observed.shape, -1)
    start = 0
    for row in range(of_row.max(initial=-1) + 1):
        here = of_row == row
        labels = _merged_categories(expected[here].sum(axis=0))
        cells[here] = start + labels
        start += int(labels[-1]) + 1
    inside = cells >= 0
    o = np.bincount(cells[inside], observed[inside], start)
    e = np.bincount(cells[inside], expected[inside], start)
    statistic = float(((o - e) ** 2 / np.where(e > 0, e, 1.0)).sum())
    df = start - (int(of_row.max(initial=-1)) + 1) - n_parameters
    return SumScoreFit(
        statistic, max(df, 0), float(chi2.sf(statistic, df)) if df > 0 else math.nan, cells
    )


def _merged_scores(observed: Array, expected: Array) -> NDArray[np.intp]:
    """``(T,)`` group of each sum score; -1 where nobody has it."""
    seen = np.flatnonzero(observed.sum(axis=1) > 0).tolist()
    rows: list[tuple[list[int], float, Array]] = []
    for t in seen:
        agents, hoped = float(observed[t].sum()), expected[t]
        if rows and rows[-1][1] == 1:
            members, before, others = rows.pop()
            rows.append(([*members, t], before + agents, others + hoped))
        else:
            rows.append(([t], agents, hoped))

    def join(left: int) -> None:
        (a, n, e), (b, m, f) = rows[left], rows.pop(left + 1)
        rows[left] = (a + b, n + m, e + f)

    if len(rows) > 1 and rows[-1][1] == 1:
        join(len(rows) - 2)
    row = 0
    while row < len(rows) and len(rows) > 1:
        if _divisible(rows[row][2]):
            row += 1
        elif row == 0:
            join(0)
        elif row == len(rows) - 1 or rows[row - 1][1] <= rows[row + 1][1]:
            join(row - 1)
            row -= 1
        else:
            join(row)
    of_row = np.full(len(observed), -1)
    for place, (members, _, _) in enumerate(rows):
        of_row[members] = place
    return of_row


def _divisible(expected: Array) -> bool:
    """Some split of the categories expects an answer, or none possible, on either side."""
    below = np.cumsum(expected)[:-1]
    above = expected.sum() - below
    least = np.minimum(below, above)
    return bool((least >= SMALLEST_EXPECTED).any() or (least <= 0.0).all())


def _merged_categories(expected: Array) -> NDArray[np.intp]:
    """``(K,)`` group of each category, so that each group expects enough."""
    groups = [[k] for k in range(len(expected))]
    sums = expected.tolist()
    while len(groups) > 1 and min(sums) < SMALLEST_EXPECTED:
        low = int(np.argmin(sums))
        left = low > 0 and (low == len(sums) - 1 or sums[low - 1] <= sums[low + 1])
        first = low - 1 if left else low
        groups[first] += groups.pop(first + 1)
        sums[first] += sums.pop(first + 1)
    labels = np.empty(len(expected), np.intp)
    for label, members in enumerate(groups):
        labels[members] = label
    return labels


# --- infit and outfit -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MeanSquares:
    """Of n items: squared residuals relative to their variance, 1 when all is as expected."""

    infit: Array
    """``(n,)`` weighted by variance: agents for whom the item is neither easy nor hard."""
    outfit: Array
    """``(n,)`` unweighted: ruled by surprises far from the item's difficulty."""
    z_infit: Array
    z_outfit: Array


def mean_squares(residual: Array, variance: Array, fourth: Array) -> MeanSquares:
    """Infit and outfit (Wright and Masters 1982), z by Wilson and Hilferty's cube root.

    Args:
        residual: ``(A, n)`` observed minus expected score; NaN where missing.
        variance: ``(A, n)`` expected square of the residual; below :data:`LEAST_VARIANCE` it counts
            as that, as in mirt, so that no single surprise makes an outfit.
        fourth: ``(A, n)`` expected fourth power.

    Returns:
        NaN for items that nobody answered.

    >>> half = np.full((4, 1), 0.5)
    >>> found = mean_squares(half, half**2, half**4)
    >>> found.infit.tolist(), found.outfit.tolist()
    ([1.0], [1.0])
    """
    there = np.isfinite(residual)
    r, w, c = (np.where(there, x, y) for x, y in ((residual, 0.0), (variance, 1.0), (fourth, 1.0)))
    w = np.maximum(w, LEAST_VARIANCE)
    inside = there.astype(float)
    n = inside.sum(axis=0)
    n = np.where(n > 0, n, np.nan)
    total = (w * inside).sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    infit = (r**2).sum(axis=0) / total
    outfit = (r**2 / w).sum(axis=0) / n
    q_infit = np.sqrt(np.maximum(((c - w**2) * inside).sum(axis=0), 0.0)) / total
    q_outfit = np.sqrt(np.maximum((c / w**2 * inside).sum(axis=0) / n**2 - 1 / n, 0.0))
    return MeanSquares(infit, outfit, _cube_root(infit, q_infit), _cube_root(outfit, q_outfit))


def _cube_root(mean_square: Array, sd: Array) -> Array:
    # sd beyond √2 is that of a single squared normal: the formula turns around there
    q = np.minimum(sd, math.sqrt(2))
    q = np.where(q > 0, q, np.nan)
    return np.asarray((np.cbrt(mean_square) - 1) * 3 / q + q / 3)


# --- the analysis -----------------------------------------------------------------------------

Shape = Literal["flatter", "steeper", "upper plateau", "lower plateau", "uneven"]
"""How the answers depart from the fitted curve."""

REPLICATIONS = 400
"""Simulations of all answers."""
WORST = 9
"""Items whose curves are kept."""
_SEED = 20000
_Z = 1.645
_REPLICATIONS_X2 = 200
_SPARE = 0.02
_NEGLIGIBLE = 20.0
"""Log-probability below the most probable node."""


@dataclass(frozen=True)
class ItemFit:
    """Fit of one item; NaN where it cannot be known."""

    item: str
    agents: int
    s_x2: float
    df: int
    p_s_x2: float
    """By the χ² distribution, as other programs print it."""
    infit: float
    infit_low: float
    """Interval of infit, from simulation."""
    infit_high: float
    z_infit: float
    """By Wilson and Hilferty, as other programs print it."""
    outfit: float
    z_outfit: float
    shape: Shape
    p: float
    """Of S-X², infit and plateaus together, by simulation; NaN where all outcomes are the same."""
    q: float
    """Adjusted for the number of items."""


@dataclass(frozen=True)
class Group:
    """Agents of about the same ability, on one item."""

    ability: float
    agents: int
    reached: tuple[float, ...]
    """Share of their trials in category 1 or above, 2 or above, …"""
    expected: tuple[float, ...]
    """The same by the fitted curves."""
    low: tuple[float, ...]
    """Where the share of 90% of such groups would lie."""
    high: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Fitted against empirical curves of one item."""

    item: str
    ability: tuple[float, ...]
    fitted: tuple[tuple[float, ...], ...]
    """Probability of category 1 or above, 2 or above, … at each ability."""
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class ItemFits:
    """Fit of all items, in the order of the bank."""

    items: tuple[ItemFit, ...]
    complete: int
    """Agents with an answer to every item: those that S-X² is of; 0 where it was not computed."""
    curves: tuple[Curve, ...]
    """Of the items that fit worst, worst first."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_item_fit(evidence: Evidence) -> ItemFits:
    """S-X², infit and outfit of every item, and the curves of those that fit worst."""
    rng = np.random.default_rng(_SEED)
    moves, slack = _moves(evidence), _slack(evidence)
    x2, p_x2, complete = _sum_score_fits(evidence, moves, slack, rng)
    residuals = _residuals(evidence, moves, slack, rng)
    squares, sd = residuals.squares, residuals.sd
    p_values = np.vstack([p_x2, residuals.p])
    if _answered(evidence) < FEWEST_ITEMS:
        p_values[1] = np.nan
    tests = np.isfinite(p_values).sum(axis=0)
    least = np.where(np.isfinite(p_values), p_values, 1.0).min(axis=0)
    # where all outcomes are the same there is nothing that could follow a curve
    differ = np.array([len(np.unique(column[column == column])) > 1 for column in evidence.score.T])
    p = np.where((tests > 0) & differ, np.minimum(1.0, tests * least), np.nan)
    agents = (evidence.trials > 0).sum(axis=0)
    judged = np.where(agents >= FEWEST_AGENTS, p, np.nan)
    q = adjusted(judged)
    shapes = [_shape(evidence, i, float(squares.infit[i]), p_values[:, i]) for i in range(len(p))]
    items = tuple(
        ItemFit(
            item=name,
            agents=int(agents[i]),
            s_x2=x2[i].statistic if x2 else math.nan,
            df=x2[i].df if x2 else 0,
            p_s_x2=x2[i].p if x2 else math.nan,
            infit=float(squares.infit[i]),
            infit_low=float(squares.infit[i] * np.exp(-_Z * sd[i])),
            infit_high=float(squares.infit[i] * np.exp(_Z * sd[i])),
            z_infit=float(squares.z_infit[i]),
            outfit=float(squares.outfit[i]),
            z_outfit=float(squares.z_outfit[i]),
            shape=shapes[i][0],
            p=float(p[i]),
            q=float(q[i]),
        )
        for i, name in enumerate(evidence.responses.items)
    )
    order = np.argsort(np.where(np.isfinite(p), p, 2.0), kind="stable")
    shown = [int(i) for i in order[:WORST] if np.isfinite(p[i])]
    return ItemFits(
        items=items,
        complete=complete,
        curves=tuple(_curve(evidence, i) for i in shown),
        flags=tuple(_flag(items[i], shapes[i][1]) for i in order.tolist() if q[i] <= RATE),
        cautions=_cautions(evidence, complete, agents),
    )


def _answered(evidence: Evidence) -> int:
    """Items that a typical agent has outcomes on."""
    return int(np.median((evidence.trials > 0).sum(axis=1)))


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
    evidence: Evidence, moves: Array, slack: Array, rng: np.random.Generator
) -> tuple[list[SumScoreFit], Array, int]:
    """S-X² of all items, p-values by simulation, and how many agents it is of.

    Given the sum scores, answers of different agents to an item are independent, and the cells
    stay as they are: only the categories need to be drawn.
    """
    n = len(evidence.responses.items)
    rows = np.flatnonzero((evidence.trials > 0).all(axis=1))
    if len(rows) < FEWEST_AGENTS:
        return [], np.full(n, np.nan), 0
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
    return fits, p_values, len(rows)


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


@dataclass(frozen=True, eq=False)
class _Residuals:
    """What residuals say of n items, and what they say in simulations."""

    squares: MeanSquares
    sd: Array
    """``(n,)`` of log infit."""
    p: Array
    """``(3, n)`` p-values of infit on either side, of failures of the able and of successes of the
    weak; NaN where simulations never differ."""


def _residuals(
    evidence: Evidence, moves: Array, slack: Array, rng: np.random.Generator
) -> _Residuals:
    """Residuals of all cells against simulations.

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
    return _Residuals(squares, sd[0], p)


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


@dataclass(frozen=True)
class _Tail:
    """Agents at one end of the abilities, on one item."""

    agents: int
    expected: float
    score: float
    low: float
    high: float


def _shape(evidence: Evidence, item: int, infit: float, p: Array) -> tuple[Shape, _Tail | None]:
    """What stands out most, given infit and the p-values of S-X² and of the tests of residuals;
    and where, if at an end."""
    x2, spread, upper, lower = (1.0 if math.isnan(one) else float(one) for one in p)
    if min(upper, lower) < spread and (tail := _tail(evidence, item, upper <= lower)):
        return ("upper plateau" if upper <= lower else "lower plateau"), tail
    if x2 < spread and spread > RATE:
        return "uneven", None
    return ("steeper" if infit < 1 else "flatter"), None


def _tail(evidence: Evidence, item: int, able: bool) -> _Tail | None:
    """The quarter, third or half at one end, whichever is the first to lie off the curve; the
    interval is Jeffreys', with as many independent trials as the cells are worth."""
    order = np.argsort(evidence.ability, kind="stable")
    order = order[evidence.trials[order, item] > 0]
    for share in (4, 3, 2):
        n = -(-len(order) // share)
        agents = order[-n:] if able else order[:n]
        weight = evidence.weight[agents, item]
        trials = float(weight.sum())
        right = float(weight @ evidence.score[agents, item])
        expected = float(weight @ evidence.expected_score[agents, item]) / trials
        low, high = (
            float(beta.ppf(end, right + 0.5, trials - right + 0.5)) for end in (0.05, 0.95)
        )
        if (high < expected) if able else (low > expected):
            return _Tail(n, expected, right / trials, low, high)
    return None


def _curve(evidence: Evidence, item: int) -> Curve:
    p = evidence.p[item, : int(evidence.responses.n_categories[item])]
    reach = 1 - np.cumsum(p, axis=0)[:-1]
    low = float((evidence.ability - 1.5 * evidence.sd).min())
    high = float((evidence.ability + 1.5 * evidence.sd).max())
    x = np.linspace(low, high, 61)
    return Curve(
        evidence.responses.items[item],
        tuple(x.tolist()),
        tuple(tuple(np.interp(x, evidence.nodes, row).tolist()) for row in reach),
        tuple(_groups(evidence, item, reach)),
    )


def _groups(evidence: Evidence, item: int, reach: Array) -> Iterator[Group]:
    """Up to eight groups of at least five agents, where there are that many."""
    agents = np.flatnonzero(evidence.trials[:, item] > 0)
    agents = agents[np.argsort(evidence.ability[agents], kind="stable")]
    expected = evidence.posterior @ reach.T
    # what the trials of one cell share widens the band as fewer trials would
    weight = np.maximum(evidence.weight[:, item], 1.0)
    for members in np.array_split(agents, int(np.clip(len(agents) // 5, 1, 8))):
        trials = evidence.trials[members, item].sum()
        counts = evidence.counts[members, item].sum(axis=0)
        share = evidence.trials[members, item] / trials
        hoped = share @ expected[members]
        variance = share**2 @ (expected * (1 - expected) / weight[:, None])[members]
        band = _Z * np.sqrt(variance)
        yield Group(
            float(evidence.ability[members].mean()),
            len(members),
            tuple((counts[::-1].cumsum()[::-1][1 : len(reach) + 1] / trials).tolist()),
            tuple(hoped.tolist()),
            tuple(np.maximum(hoped - band, 0.0).tolist()),
            tuple(np.minimum(hoped + band, 1.0).tolist()),
        )


_MEANING: dict[Shape, str] = {
    "flatter": "outcomes are noisier than its curve",
    "steeper": "outcomes follow ability more strictly than its curve",
    "upper plateau": "able agents fail it more often than its curve says",
    "lower plateau": "weak agents solve it more often than its curve says",
    "uneven": "outcomes do not rise with the total score as its curve does",
}
_ACTION: dict[Shape, str] = {
    "flatter": "check whether its grader or environment is unreliable, or whether it needs another "
    "ability than the rest",
    "steeper": "look for another item that asks the same, or a step that all of the able know",
    "upper plateau": "read the failures of the best agents: a broken test or an unclear statement "
    "would look like this",
    "lower plateau": "read how weak agents solved it: a shortcut or a lenient grader would look "
    "like this",
    "uneven": "compare the agents that lie off its curve: it may treat some of them differently",
}


def _flag(found: ItemFit, tail: _Tail | None) -> Flag:
    estimate, low, high = found.infit, found.infit_low, found.infit_high
    seen = f"infit {estimate:.2f} (90% interval {low:.2f} to {high:.2f}, 1 is as expected)"
    if tail:
        estimate, low, high = tail.score, tail.low, tail.high
        end = "most" if found.shape == "upper plateau" else "least"
        seen = (
            f"the {tail.agents} {end} able agents scored {estimate:.2f} on it (90% interval "
            f"{low:.2f} to {high:.2f}) where {tail.expected:.2f} was expected; infit "
            f"{found.infit:.2f}"
        )
    if not math.isnan(found.p_s_x2):
        seen += f", S-X² {found.s_x2:.1f} on {found.df} degrees of freedom"
    return Flag(
        kind="misfit",
        about="item",
        names=(found.item,),
        evidence=f"{_MEANING[found.shape]}: {seen}; {found.agents} agents",
        estimate=estimate,
        low=low,
        high=high,
        q=found.q,
        action=_ACTION[found.shape],
    )


def _cautions(evidence: Evidence, complete: int, agents: NDArray[np.intp]) -> tuple[str, ...]:
    found = []
    n = len(agents)
    few = int((agents < FEWEST_AGENTS).sum())
    if few == n:
        found.append(
            f"With at most {agents.max()} agents an item no misfit can be told from chance: "
            f"nothing is flagged below {FEWEST_AGENTS} agents"
        )
    elif few:
        found.append(
            f"{few} of {n} items have outcomes of fewer than {FEWEST_AGENTS} agents: their misfit "
            "is not judged"
        )
    if (answered := _answered(evidence)) < FEWEST_ITEMS and few < n:
        found.append(
            f"With outcomes on {answered} items a typical agent's ability leans on each of them: "
            f"infit is shown, but nothing is flagged for it below {FEWEST_ITEMS} items"
        )
    if complete == 0 and few < n:
        rows = int((evidence.trials > 0).all(axis=1).sum())
        found.append(
            f"S-X² needs agents with an outcome on every item; {rows} of {len(evidence.trials)} "
            f"have one and {FEWEST_AGENTS} are needed, so fit is judged by residuals alone"
        )
    elif 0 < complete < len(evidence.trials):
        found.append(
            f"S-X² is of the {complete} of {len(evidence.trials)} agents with an outcome on every "
            "item"
        )
    if complete and evidence.trials.max() > 1:
        found.append("S-X² takes one trial a cell, drawn at random; infit and outfit take all")
    return tuple(found)
