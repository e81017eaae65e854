"""Outcomes as cells with a likelihood on ability nodes: what every explanation starts from.

A cell is what one agent did on one item: a count of each category over its trials, which share
what the item is to that agent. Equal counts on one item are one *pattern*, so that the likelihood
of a hundred agents on five hundred items is a table of a thousand rows.
"""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.ability import Prior, moments, normalise
from harness.bank import ItemBank
from harness.errors import BankError, ResponsesError
from harness.estimate.cells import cells_of
from harness.estimate.likelihood import on_nodes
from harness.irt import Array
from harness.responses import Responses

Indices = NDArray[np.intp]
_ONE_SLOPE = "1pl", "pcm", "rsm"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """A agents on n items of a bank of one ability: C cells of P patterns, on Q nodes."""

    bank: ItemBank
    responses: Responses
    nodes: Array
    """``(Q,)`` uniform abilities."""
    log_prior: Array
    """``(Q,)`` of the population of the bank."""
    agent: Indices
    """``(C,)`` position in the responses."""
    item: Indices
    """``(C,)`` position in the bank."""
    pattern: Indices
    """``(C,)``."""
    counts: Array
    """``(P, K)`` how often each category was observed."""
    of_item: Indices
    """``(P,)`` item of each pattern."""
    log_l: Array
    """``(P, Q)`` log-likelihood of each pattern."""
    fitted: int = 0
    """Agents that the items were fitted to, where these are they; else 0."""

    @property
    def sharpness(self) -> float:
        """What the log-likelihood of an effect counts for: items that were fitted to these very
        agents leave less noise than the model says, by a share of parameters / agents."""
        free = np.mean(
            [len(one.intercepts) + (one.model not in _ONE_SLOPE) for one in self.bank.items]
        )
        return self.fitted / max(self.fitted - float(free), 1.0) if self.fitted else 1.0

    @property
    def agents(self) -> tuple[str, ...]:
        return self.responses.agents

    @cached_property
    def items(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.bank.items)

    @cached_property
    def score(self) -> Array:
        """``(P,)`` mean of category / top category over the trials of a pattern."""
        top = np.array([len(item.intercepts) for item in self.bank.items])[self.of_item]
        earned = self.counts @ np.arange(self.counts.shape[1])
        return np.asarray(earned / (self.counts.sum(axis=1) * top))

    @cached_property
    def expected(self) -> Array:
        """``(n, Q)`` expected score of every item of the bank."""
        return self.bank.table.expected_score

    def by_level(self, level: Indices, levels: int) -> Array:
        """``(A, levels, Q)`` log-likelihood of every agent on the items of each level.

        Args:
            level: ``(n,)`` of each item of the bank.
        """
        from scipy.sparse import csr_array

        where = self.agent * levels + level[self.item]
        shape = len(self.agents) * levels, len(self.log_l)
        cells = csr_array((np.ones(len(where)), (where, self.pattern)), shape)
        return np.asarray(cells @ self.log_l).reshape(len(self.agents), levels, -1)

    @cached_property
    def log_posterior(self) -> Array:
        """``(A, Q)`` of each agent given all of its outcomes; rows sum to 1 as probabilities."""
        everything = self.by_level(np.zeros(len(self.items), np.intp), 1)[:, 0]
        return np.log(np.maximum(normalise(everything + self.log_prior), 1e-300))

    @cached_property
    def ability(self) -> Array:
        """``(A, 2)`` posterior means and sds."""
        mean, sd = moments(self.nodes[:, None], np.exp(self.log_posterior))
        return np.hstack([mean, sd])

    @cached_property
    def answered(self) -> Indices:
        """``(A,)`` items with an outcome."""
        return np.bincount(self.agent, minlength=len(self.agents))

    def cells_of(self, *, agent: int | None = None, item: int | None = None) -> Indices:
        """Positions of the cells of an agent, or on an item."""
        if agent is not None:
            return np.flatnonzero(self.agent == agent)
        return np.flatnonzero(self.item == item)

    def without_own(self, cells: Indices) -> Array:
        """``(c, Q)`` posterior of the agent of each cell from all of its other outcomes."""
        return normalise(self.log_posterior[self.agent[cells]] - self.log_l[self.pattern[cells]])

    def position(self, name: str, kind: str) -> int:
        """Where an agent or item is.

        Raises:
            ResponsesError: there is no outcome of it; similar names are suggested.
        """
        names = self.agents if kind == "agent" else self.items
        there = self.agent if kind == "agent" else self.item
        found = names.index(name) if name in names else -1
        if found < 0 or not (there == found).any():
            raise ResponsesError(_unknown(name, kind, [names[i] for i in np.unique(there)]))
        return found


def gather(bank: ItemBank, responses: Responses, *, uncertainty: bool | None = None) -> Outcomes:
    """Lay outcomes out as cells.

    Args:
        uncertainty: average over the uncertainty of item parameters; False takes them as known.
            By default they count as known where most of the agents are those that they were
            fitted to: their outcomes are what the estimates are closest to.

    Raises:
        BankError: a bank of several abilities.
        ResponsesError: an item or category that the bank does not have, or no outcome at all.

    >>> from harness.bank import Item
    >>> from harness.responses import from_matrix
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> gather(bank, from_matrix([[1], [0]], items=["i"])).ability.round(2).tolist()
    [[0.41, 0.91], [-0.41, 0.91]]
    """
    if len(bank.mean) > 1:
        raise BankError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities; outcomes are explained on a bank "
            "of one: calibrate one with --abilities 1"
        )
    if not len(responses.category):
        raise ResponsesError(f"{responses.source or 'the responses'}: there are no outcomes")
    calibrants = {calibrant.agent for calibrant in bank.calibrants}
    same = sum(agent in calibrants for agent in responses.agents)
    fitted = len(calibrants) if 2 * same > len(responses.agents) else 0
    uncertain = not fitted if uncertainty is None else uncertainty
    cells_of(bank, responses, uncertain)  # refuses what the bank does not know
    rows = {item.id: row for row, item in enumerate(bank.items)}
    item = np.array([rows.get(name, 0) for name in responses.items])[responses.item]
    n, k = len(bank.items), 1 + max(len(one.intercepts) for one in bank.items)
    cell, which = np.unique(responses.agent * n + item, return_inverse=True)
    counts = np.bincount(which * k + responses.category, minlength=len(cell) * k).reshape(-1, k)
    keys, pattern = np.unique(np.column_stack([cell % n, counts]), axis=0, return_inverse=True)
    nodes = bank.table.nodes
    return Outcomes(
        bank=bank,
        responses=responses,
        nodes=nodes[:, 0],
        log_prior=Prior(bank.mean, bank.sd).log_weights(nodes),
        agent=cell // n,
        item=cell % n,
        pattern=pattern.ravel(),
        counts=keys[:, 1:].astype(float),
        of_item=keys[:, 0],
        log_l=likelihood(bank, keys[:, 0], keys[:, 1:], nodes[:, 0], uncertainty=uncertain),
        fitted=fitted,
    )


def with_calibrants(bank: ItemBank, responses: Responses) -> Responses:
    """The outcomes with model, scaffold and date of agents that the bank was calibrated with,
    where the outcomes do not tell them."""
    known = {calibrant.agent: calibrant for calibrant in bank.calibrants}

    def told(part: str) -> tuple[str, ...]:
        return tuple(
            own or (getattr(known[agent], part) if agent in known else "")
            for agent, own in zip(responses.agents, getattr(responses, part), strict=True)
        )

    return replace(responses, llm=told("llm"), scaffold=told("scaffold"), date=told("date"))


def likelihood(
    bank: ItemBank, items: Indices, counts: Indices, nodes: Array, *, uncertainty: bool = True
) -> Array:
    """``(P, Q)`` log-likelihood of P patterns: counts ``(P, K)`` of categories on ``items (P,)``.

    Of trials in one order: without the number of ways to order them.
    """
    patterns, k = counts.shape
    repeats = counts.ravel()
    rows = int(repeats.sum())
    unknown = np.full(rows, np.nan)
    # each pattern as an agent of its own
    alone = Responses(
        agents=tuple(map(str, range(patterns))),
        items=tuple(item.id for item in bank.items),
        agent=np.repeat(np.repeat(np.arange(patterns), k), repeats),
        item=np.repeat(np.repeat(items, k), repeats),
        trial=np.arange(rows),
        category=np.repeat(np.tile(np.arange(k), patterns), repeats),
        n_categories=np.array([len(item.intercepts) + 1 for item in bank.items]),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
        llm=("",) * patterns,
        scaffold=("",) * patterns,
        date=("",) * patterns,
    )
    return on_nodes(cells_of(bank, alone, uncertainty), nodes[:, None])


def _unknown(name: str, kind: str, known: Sequence[str]) -> str:
    close = (
        difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        or [one for one in known if name.lower() in one.lower()][:3]
    )
    meant = f"did you mean {', '.join(map(repr, close))}?" if close else f"it has {known[0]!r}, say"
    return f"no outcome of {kind} {name!r} is in the responses ({len(known)} {kind}s); {meant}"


def ways(counts: Array) -> Array:
    """``(P,)`` log of the number of orders in which trials can come to counts ``(P, K)``."""
    log_factorial = np.vectorize(math.lgamma)
    return np.asarray(log_factorial(counts.sum(axis=1) + 1) - log_factorial(counts + 1).sum(axis=1))
