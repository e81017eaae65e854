"""Cells that are held out, and what a bank or shares of categories predict of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

from harness import irt
from harness.ability import Prior, normalise
from harness.bank import ItemBank, compile_bank
from harness.errors import BankError
from harness.irt import Array, Table
from harness.responses import Responses

_Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

BASELINES = ("item", "agent", "both")
"""Predictions without abilities: the shares of categories of the item, of the agent, and of both,
``p ∝ p_item p_agent / p_overall``, which with two categories adds their logits. Shares count one
more trial at the overall share, so that no outcome is impossible. Items with different numbers of
categories are kept apart."""

_PARTS = 5
"""Parts of a held-out agent's cells: each is predicted from the others."""
_EFFECT_REACH = 6.0
"""How far the effect of a cell is integrated, in its sd."""
_MOST_NODES = 1201
_CHUNK = 4_000_000
"""Cells × categories × nodes that are averaged at once: 32 MB."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Outcomes by cell: C cells of A agents and n items, at most K categories."""

    agents: tuple[str, ...]
    items: tuple[str, ...]
    agent: _Indices
    """``(C,)``, as the next two."""
    item: _Indices
    pattern: _Indices
    """Which of the P distinct pairs of item and counts it is."""
    pattern_item: _Indices
    """``(P,)``."""
    pattern_counts: Array
    """``(P, K)`` how often each category was observed."""
    n_categories: _Indices
    """``(n,)``."""
    row_cell: _Indices
    """``(R,)`` the cell of each row of the responses."""

    @cached_property
    def counts(self) -> Array:
        """``(C, K)``."""
        return np.asarray(self.pattern_counts[self.pattern])

    @cached_property
    def trials(self) -> Array:
        """``(C,)``."""
        return np.asarray(self.counts.sum(axis=1))

    @cached_property
    def top(self) -> _Indices:
        """``(C,)`` highest category of each cell's item."""
        return np.asarray(self.n_categories[self.item] - 1)


def make_cells(responses: Responses) -> Cells:
    """Gather the trials of each agent × item cell."""
    n, k = len(responses.items), int(responses.n_categories.max())
    key, row_cell = np.unique(responses.agent * n + responses.item, return_inverse=True)
    counts = np.bincount(row_cell * k + responses.category, minlength=len(key) * k)
    table = np.column_stack([key % n, counts.reshape(-1, k)])
    patterns, pattern = np.unique(table, axis=0, return_inverse=True)
    return Cells(
        responses.agents,
        responses.items,
        key // n,
        key % n,
        pattern.ravel(),
        patterns[:, 0],
        patterns[:, 1:].astype(float),
        responses.n_categories,
        row_cell.ravel(),
    )


# --- what is held out -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Split:
    """One calibration and what is predicted with it; masks ``(C,)`` over cells."""

    calibration: Mask
    tests: tuple[tuple[Mask, Mask], ...]
    """What is known of the agents, and what is predicted from it."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Which cells are held out together, ``(C,)``."""

    fold: _Indices
    part: _Indices | None
    """Parts that the cells of a held-out agent are predicted in; None where cells are held out."""

    def __len__(self) -> int:
        return len(np.unique(self.fold))

    def __iter__(self) -> Iterator[Split]:
        for f in np.unique(self.fold):
            held = self.fold == f
            if self.part is None:
                yield Split(~held, ((~held, held),))
                continue
            masks = (self.part == part for part in np.unique(self.part[held]))
            yield Split(~held, tuple((held & ~mask, held & mask) for mask in masks))


def by_cell(cells: Cells, folds: int, seed: int) -> Folds:
    """Hold out cells; each item's are spread evenly over the folds."""
    return Folds(_cell_folds(cells, folds, seed), None)


def by_agent(cells: Cells, folds: int, seed: int) -> Folds:
    """Hold out agents, one at a time where there are no more of them than folds."""
    return Folds(_agent_folds(cells, folds, seed), _cell_folds(cells, _PARTS, seed))


def _cell_folds(cells: Cells, folds: int, seed: int) -> _Indices:
    """``(C,)`` folds: the cells of each item are shuffled, then dealt out in turn.

    Names, not positions, decide, so that the order of the data is irrelevant.
    """
    agent, item = ranks(cells.agents)[cells.agent], ranks(cells.items)[cells.item]
    rng = np.random.default_rng([seed, folds])
    first = rng.integers(folds, size=len(cells.items))
    draw = np.empty(len(agent))
    draw[np.lexsort((agent, item))] = rng.random(len(agent))
    shuffled = np.lexsort((draw, item))
    place = np.empty(len(agent), np.intp)
    place[shuffled] = np.arange(len(agent))
    starts = np.searchsorted(item[shuffled], np.arange(len(cells.items)))
    return np.asarray((place - starts[item] + first[item]) % folds)


def _agent_folds(cells: Cells, folds: int, seed: int) -> _Indices:
    """``(C,)`` folds of the agents of cells: of equal size, or of one agent each where there are
    no more agents than folds."""
    present, row = np.unique(cells.agent, return_inverse=True)
    rank = ranks(tuple(cells.agents[a] for a in present))
    draw = np.random.default_rng([seed, folds, 1]).permutation(len(present))
    return np.asarray((draw[rank] % folds)[row])


def ranks(names: tuple[str, ...]) -> _Indices:
    """Place of each name in the order of names.

    >>> ranks(("b", "a", "c")).tolist()
    [1, 0, 2]
    """
    return np.argsort(np.argsort(np.array(names), kind="stable"), kind="stable")


def part_of(responses: Responses, cells: Cells, kept: Mask) -> Responses:
    """The rows of some cells, and the agents that have any."""
    rows = kept[cells.row_cell]
    part = replace(
        responses,
        agent=responses.agent[rows],
        item=responses.item[rows],
        trial=responses.trial[rows],
        category=responses.category[rows],
        usd=responses.usd[rows],
        seconds=responses.seconds[rows],
        tokens=responses.tokens[rows],
        turns=responses.turns[rows],
    )
    return part.subset(agents=[responses.agents[a] for a in np.unique(part.agent)])


# --- prediction -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CompiledCells:
    """A bank on Q nodes, laid out for the items and cells of the data."""

    log_prior: Array
    """``(Q,)``."""
    p: Array
    """``(n, K, Q)`` category probabilities in one trial."""
    log_p: Array
    """``(P, Q)`` log probability of all trials of each distinct cell."""
    placed: Mask
    """``(n,)`` items that the bank has."""

    def log_posteriors(self, cells: Cells, known: Mask, who: _Indices) -> Array:
        """``(len(who), Q)`` unnormalised log posteriors of agents from their known cells."""
        row = np.full(len(cells.agents), -1)
        row[who] = np.arange(len(who))
        used = known & (row[cells.agent] >= 0)
        where = row[cells.agent[used]], cells.pattern[used]
        shape = len(who), len(self.log_p)
        seen = sparse.csr_array((np.ones(len(where[0])), where), shape=shape)
        return np.asarray(self.log_prior + seen @ self.log_p)

    def predict(self, cells: Cells, known: Mask, held: Mask) -> tuple[Array, Array]:
        """Category probabilities ``(H, K)`` and log scores ``(H,)`` of held-out cells."""
        who, row = np.unique(cells.agent[held], return_inverse=True)
        log_weights = self.log_posteriors(cells, known, who)
        log_weights -= logsumexp(log_weights, axis=1, keepdims=True)
        weights = normalise(log_weights)
        item, pattern = cells.item[held], cells.pattern[held]
        predicted = np.empty((len(item), self.p.shape[1]))
        joint = np.empty(len(item))
        size = max(1, _CHUNK // self.p[0].size)
        for start in range(0, len(item), size):
            c = slice(start, start + size)
            predicted[c] = np.einsum("cq,ckq->ck", weights[row[c]], self.p[item[c]])
            joint[c] = logsumexp(log_weights[row[c]] + self.log_p[pattern[c]], axis=1)
        return predicted, joint


def compile_cells(bank: ItemBank, cells: Cells) -> CompiledCells:
    """Compile a bank for these cells. An item that it lacks is taken for one drawn at random from
    its items with as many categories.

    Raises:
        BankError: bank and data disagree about the categories of an item.
    """
    index = {item.id: row for row, item in enumerate(bank.items)}
    row = np.array([index.get(item, -1) for item in cells.items])
    placed = row >= 0
    table = compile_bank(bank, _nodes(bank, cells, row))
    wrong = np.flatnonzero(placed & (table.n_categories[row] != cells.n_categories))
    if len(wrong):
        i = wrong[0]
        raise BankError(
            f"bank {bank.name!r} gives item {cells.items[i]!r} {table.n_categories[row[i]]} "
            f"categories, the responses {cells.n_categories[i]}: keep those of the responses"
        )
    p = np.zeros((len(row), cells.pattern_counts.shape[1], len(table.nodes)))
    width = min(p.shape[1], table.p.shape[1])
    p[placed, :width] = table.p[row[placed], :width]
    log_p = np.empty((len(cells.pattern_item), len(table.nodes)))
    here = placed[cells.pattern_item]
    log_p[here] = _joint(bank, table, row[cells.pattern_item[here]], cells.pattern_counts[here])
    for i in np.flatnonzero(~placed):
        size = int(cells.n_categories[i])
        alike = np.flatnonzero(table.n_categories == size)
        p[i, :size] = table.p[alike, :size].mean(axis=0) if len(alike) else 1 / size
        for at in np.flatnonzero(cells.pattern_item == i):
            counts = cells.pattern_counts[at]
            log_p[at] = -counts.sum() * math.log(size)
            if len(alike):
                each = _joint(bank, table, alike, np.tile(counts, (len(alike), 1)))
                log_p[at] = logsumexp(each, axis=0) - math.log(len(alike))
    prior = Prior(bank.mean, bank.sd, bank.correlation)
    return CompiledCells(prior.log_weights(table.nodes), p, log_p, placed)


def _nodes(bank: ItemBank, cells: Cells, row: _Indices) -> Array:
    """The bank's default nodes; with one ability no farther apart than the sd of the posterior of
    the agent that most is known of, which makes sums over them exact to 8 digits."""
    nodes = irt.grid(bank.mean, bank.sd)
    if nodes.shape[1] > 1:
        return nodes
    information = compile_bank(bank, nodes, uncertainty=False).information
    known = row[cells.item] >= 0
    where = cells.agent[known], row[cells.item[known]]
    shape = len(cells.agents), len(bank.items)
    trials = sparse.csr_array((cells.trials[known], where), shape=shape)
    total = np.asarray(trials @ information)
    low, high = float(nodes[0, 0]), float(nodes[-1, 0])
    needed = math.ceil((high - low) * math.sqrt(float(total.max()))) + 1
    return np.linspace(low, high, min(max(len(nodes), needed), _MOST_NODES))[:, None]


def _joint(bank: ItemBank, table: Table, rows: _Indices, counts: Array) -> Array:
    """``(M, Q)`` log probability of all trials of M cells: items ``rows (M,)``, ``counts (M, K)``.

    The effect that the trials of a cell share is integrated on uniform points, half an sd and at
    most a logit apart; for logistic curves that is closer than as many Gauss–Hermite points. There
    the parameters are taken as known: averaging over them a trial at a time would count their
    uncertainty once for each trial.
    """
    log_p = _independent(table, rows, counts)
    effects = np.array([item.effect_sd for item in bank.items])
    shared = np.flatnonzero((effects[rows] > 0) & (counts.sum(axis=1) > 1))
    if not len(shared):
        return log_p
    half = math.ceil(_EFFECT_REACH * max(2.0, float(effects.max())))
    points = np.linspace(-_EFFECT_REACH, _EFFECT_REACH, 2 * half + 1)
    weights = np.exp(-(points**2) / 2)
    mixture = np.full((len(shared), len(table.nodes)), -np.inf)
    for point, weight in zip(points, weights / weights.sum(), strict=True):
        given = compile_bank(_shifted(bank, float(point)), table.nodes)
        log_given = _independent(given, rows[shared], counts[shared])
        np.logaddexp(mixture, math.log(weight) + log_given, out=mixture)
    log_p[shared] = mixture
    return log_p


def _shifted(bank: ItemBank, effect: float) -> ItemBank:
    """The bank to an agent for whom every item is easier by so many sd of its effect."""
    items = (
        replace(
            item,
            intercepts=tuple(d + effect * item.effect_sd for d in item.intercepts),
            effect_sd=0.0,
            covariance=None,
        )
        for item in bank.items
    )
    return replace(bank, items=tuple(items))


def _independent(table: Table, rows: _Indices, counts: Array) -> Array:
    """``(M, Q)`` log probability of trials that share nothing but ability."""
    total = np.zeros((len(rows), len(table.nodes)))
    for k in range(min(counts.shape[1], table.log_p.shape[1])):
        seen = np.flatnonzero(counts[:, k])
        total[seen] += counts[seen, k, None] * table.log_p[rows[seen], k]
    return total


def _sums(index: _Indices, size: int, counts: Array) -> Array:
    """``(size, K)`` sums of the rows of ``counts`` by index."""
    return np.stack([np.bincount(index, column, size) for column in counts.T], axis=1)


def _shares(counts: Array, base: Array) -> Array:
    """Shares of categories along the last axis, with one more trial spread as ``base``."""
    return np.asarray((counts + base) / (counts.sum(axis=-1, keepdims=True) + 1))


def baselines(cells: Cells, calibration: Mask, known: Mask, held: Mask) -> tuple[Array, ...]:
    """Category probabilities ``(H, K)`` of held-out cells by each of ``BASELINES``."""
    sizes, kind = np.unique(cells.n_categories, return_inverse=True)
    k = cells.pattern_counts.shape[1]
    uniform = np.where(np.arange(k) < sizes[:, None], 1 / sizes[:, None], 0.0)
    a, n = len(cells.agents), len(cells.items)
    cell_kind = kind[cells.item]
    of_items = _sums(cells.item[calibration], n, cells.counts[calibration])
    overall = _shares(_sums(kind, len(sizes), of_items), uniform)
    by_kind = cells.agent * len(sizes) + cell_kind
    of_agents = _sums(by_kind[known], a * len(sizes), cells.counts[known])
    base = overall[cell_kind[held]]
    item = _shares(of_items, overall[kind])[cells.item[held]]
    agent = _shares(of_agents, np.tile(overall, (a, 1)))[by_kind[held]]
    both = np.divide(item * agent, base, out=np.zeros_like(base), where=base > 0)
    return item, agent, both / both.sum(axis=1, keepdims=True)
