"""Outcomes as arrays: one row an attempt."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.irt import Array

_Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Responses:
    """Outcomes in long form: R rows, A agents, n items.

    ``agent``, ``item``, ``trial`` and ``category`` are ``(R,)``; the first two are positions in
    ``agents`` and ``items``. The same cell may have several trials.
    """

    agents: tuple[str, ...]
    items: tuple[str, ...]
    agent: _Indices
    item: _Indices
    trial: _Indices
    category: _Indices
    n_categories: _Indices
    """``(n,)`` number of categories of each item, at least 2."""
    usd: Array
    """``(R,)`` dollars of each attempt; NaN where unknown, as in the next three."""
    seconds: Array
    tokens: Array
    turns: Array
    llm: tuple[str, ...]
    """Model of each agent; empty where unknown, as in the next two."""
    scaffold: tuple[str, ...]
    date: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...] = ()
    """Category labels of each item, lowest first; empty when the source names none."""
    source: str = ""
    """Name of the file or folder that was read."""
    sha256: str = ""
    """Of the content of the file, or of all the files of a folder."""
    notes: tuple[str, ...] = ()
    """What was left out while reading, and why."""

    @property
    def missing(self) -> float:
        """Share of agent × item cells without any outcome."""
        return float(1.0 - np.count_nonzero(self.attempts) / self.attempts.size)

    @cached_property
    def attempts(self) -> _Indices:
        """``(A, n)`` number of trials of each cell."""
        shape = len(self.agents), len(self.items)
        flat = self.agent * shape[1] + self.item
        return np.bincount(flat, minlength=math.prod(shape)).reshape(shape)

    def counts(self) -> Array:
        """``(A, n, K)`` how often each category was observed; the trials of a cell add up."""
        k = int(self.n_categories.max())
        shape = len(self.agents), len(self.items), k
        flat = (self.agent * shape[1] + self.item) * k + self.category
        return np.bincount(flat, minlength=math.prod(shape)).reshape(shape).astype(float)

    def matrix(self, trial: int | None = None) -> _Indices:
        """``(A, n)`` one category a cell, -1 where missing.

        By default each cell gives its lowest trial number, which every cell with an outcome has.
        Where a source lists the trials of a cell by outcome, that is no fair draw of one: a replay
        draws its own. ``trial=2`` gives the third attempt instead, and -1 where a cell has none.
        """
        matrix = np.full((len(self.agents), len(self.items)), -1)
        chosen = (
            np.arange(len(self.trial)) if trial is None else np.flatnonzero(self.trial == trial)
        )
        # written in falling order, so that the lowest trial of a cell is written last
        order = chosen[np.argsort(-self.trial[chosen], kind="stable")]
        matrix[self.agent[order], self.item[order]] = self.category[order]
        return matrix

    def scores(self) -> Array:
        """``(A, n)`` mean of ``category / top category`` over the trials of a cell; NaN missing."""
        counts = self.counts()
        total = counts.sum(axis=2)
        earned = counts @ np.arange(counts.shape[2]) / (self.n_categories - 1)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(total > 0, earned / total, np.nan))

    @property
    def trials_agree(self) -> bool:
        """Whether cells have several trials, and those of a cell never differ."""
        if not self.attempts.size or self.attempts.max() < 2:
            return False
        return bool(np.count_nonzero(self.counts(), axis=2).max() == 1)

    def first_trials(self) -> "Responses":
        """Only the trial of the lowest number of each cell."""
        order = np.lexsort((self.trial, self.agent * len(self.items) + self.item))
        cell = (self.agent * len(self.items) + self.item)[order]
        rows = np.sort(order[np.unique(cell, return_index=True)[1]])
        return replace(
            self,
            agent=self.agent[rows],
            item=self.item[rows],
            trial=self.trial[rows],
            category=self.category[rows],
            usd=self.usd[rows],
            seconds=self.seconds[rows],
            tokens=self.tokens[rows],
            turns=self.turns[rows],
        )

    def subset(
        self, agents: Iterable[str] | None = None, items: Iterable[str] | None = None
    ) -> "Responses":
        """Only these agents and items, in the order given; None keeps all.

        Raises:
            ResponsesError: an unknown name.
        """
        kept_agents = _positions(self.agents, agents, "agent")
        kept_items = _positions(self.items, items, "item")
        new_agent, new_item = np.full(len(self.agents), -1), np.full(len(self.items), -1)
        new_agent[kept_agents] = np.arange(len(kept_agents))
        new_item[kept_items] = np.arange(len(kept_items))
        rows = (new_agent[self.agent] >= 0) & (new_item[self.item] >= 0)
        return replace(
            self,
            agents=tuple(self.agents[a] for a in kept_agents),
            items=tuple(self.items[i] for i in kept_items),
            agent=new_agent[self.agent[rows]],
            item=new_item[self.item[rows]],
            trial=self.trial[rows],
            category=self.category[rows],
            usd=self.usd[rows],
            seconds=self.seconds[rows],
            tokens=self.tokens[rows],
            turns=self.turns[rows],
            llm=tuple(self.llm[a] for a in kept_agents),
            scaffold=tuple(self.scaffold[a] for a in kept_agents),
            date=tuple(self.date[a] for a in kept_agents),
            n_categories=self.n_categories[kept_items],
            labels=tuple(self.labels[i] for i in kept_items) if self.labels else (),
        )


def _positions(names: tuple[str, ...], wanted: Iterable[str] | None, kind: str) -> list[int]:
    if wanted is None:
        return list(range(len(names)))
    index = {name: position for position, name in enumerate(names)}
    try:
        return [index[name] for name in wanted]
    except KeyError as unknown:
        raise ResponsesError(
            f"{kind} {unknown.args[0]!r} is not among the {len(names)} {kind}s of the responses"
        ) from None


def from_matrix(
    categories: Array | _Indices,
    *,
    agents: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    n_categories: int | Sequence[int] | None = None,
) -> Responses:
    """Responses from an ``(A, n)`` matrix of categories; negative or NaN is missing.

    >>> from_matrix(np.array([[0, 1], [1, -1]])).missing
    0.25
    """
    values = np.asarray(categories, float)
    shown = np.nan_to_num(values, nan=-1.0)
    agent, item = np.nonzero(shown >= 0)
    category = shown[agent, item].astype(np.intp)
    a, n = values.shape
    k = max(2, int(shown.max(initial=1)) + 1) if n_categories is None else n_categories
    unknown = np.full(len(agent), np.nan)
    return Responses(
        agents=tuple(agents or (f"agent{row}" for row in range(a))),
        items=tuple(items or (f"item{column}" for column in range(n))),
        agent=agent,
        item=item,
        trial=np.zeros(len(agent), np.intp),
        category=category,
        n_categories=np.broadcast_to(np.asarray(k, np.intp), n).copy(),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
        llm=("",) * a,
        scaffold=("",) * a,
        date=("",) * a,
        source="matrix",
    )
