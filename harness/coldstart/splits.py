"""Folds: which cells may be learned from, and which are then told."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.coldstart.benchmark import Benchmark, Indices, Truth
from harness.errors import ResponsesError

FOLDS = 5
NEWEST = 0.3
"""Share of the agents that are tested by date."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold; both are ``(A, n)`` and hold cells with outcomes only."""

    name: str
    known: Truth
    """Cells that may be learned from."""
    told: Truth
    """Cells to tell."""


def parts_of(n: int, folds: int = FOLDS) -> Iterator[Indices]:
    """Positions of each fold, as scikit-learn's ``KFold(folds, shuffle=True, random_state=0)``.

    >>> [part.tolist() for part in parts_of(6, 3)]
    [[2, 5], [1, 3], [0, 4]]
    """
    from sklearn.model_selection import KFold

    split = KFold(folds, shuffle=True, random_state=0).split(np.zeros(n))
    return (np.asarray(told, np.intp) for _, told in split)


def task_folds(benchmark: Benchmark) -> tuple[Fold, ...]:
    """A fifth of the items at a time is new."""
    n = benchmark.seen.shape[1]
    return tuple(
        _split(benchmark, f"fold {k}", np.isin(np.arange(n), told)[None])
        for k, told in enumerate(parts_of(n), 1)
    )


def cell_folds(benchmark: Benchmark) -> tuple[Fold, ...]:
    """A fifth of the cells at a time is unknown; an item or agent may lose all, rarely."""
    cells = np.flatnonzero(benchmark.seen)
    found = []
    for k, part in enumerate(parts_of(len(cells)), 1):
        told = np.zeros(benchmark.seen.size, bool)
        told[cells[part]] = True
        found.append(_split(benchmark, f"fold {k}", told.reshape(benchmark.seen.shape)))
    return tuple(found)


def agent_folds(benchmark: Benchmark) -> tuple[Fold, ...]:
    """A fifth of the agents at a time is new."""
    a = benchmark.seen.shape[0]
    return tuple(
        _split(benchmark, f"fold {k}", np.isin(np.arange(a), told)[:, None])
        for k, told in enumerate(parts_of(a), 1)
    )


def date_fold(benchmark: Benchmark) -> tuple[Fold, ...]:
    """The newest agents are new, and the older ones known.

    Raises:
        ResponsesError: an agent without a date.
    """
    responses = benchmark.responses
    if undated := [a for a, date in zip(responses.agents, responses.date, strict=True) if not date]:
        raise ResponsesError(
            f"{benchmark.name}: agent {undated[0]!r} has no date, nor have {len(undated) - 1} "
            "others; give dates with --agents, or take the protocol agents"
        )
    order = sorted(range(len(responses.agents)), key=lambda a: (responses.date[a], a))
    newest = order[round((1 - NEWEST) * len(order)) :]
    told = np.isin(np.arange(len(order)), newest)[:, None]
    return (_split(benchmark, f"from {responses.date[newest[0]]}", told),)


def pair_folds(benchmark: Benchmark) -> tuple[Fold, ...]:
    """Agents whose model and scaffold other agents have too, but not both together.

    Agents of one pair are new together. A fold tells only those whose model and scaffold are both
    left among the agents that it learns from.

    Raises:
        ResponsesError: too few agents of known model and scaffold.
    """
    responses = benchmark.responses
    pairs = list(zip(responses.llm, responses.scaffold, strict=True))
    known = sorted({pair for pair in pairs if all(pair)})
    if len(known) < FOLDS:
        raise ResponsesError(
            f"{benchmark.name}: {len(known)} pairs of model and scaffold are known, and {FOLDS} "
            "are needed; give columns llm and scaffold with --agents"
        )
    found = []
    for k, part in enumerate(parts_of(len(known)), 1):
        new = {known[i] for i in part}
        rest = [pair for pair in pairs if pair not in new]
        models, scaffolds = {m for m, _ in rest}, {s for _, s in rest}
        left_out = np.array([pair in new for pair in pairs])
        told = np.array([p in new and p[0] in models and p[1] in scaffolds for p in pairs])
        if told.any():
            cells = benchmark.seen & told[:, None]
            found.append(Fold(f"fold {k}", benchmark.seen & ~left_out[:, None], cells))
    if not found:
        raise ResponsesError(
            f"{benchmark.name}: no agent has a model and a scaffold that other agents have too: "
            "nothing can be said of new pairs"
        )
    return tuple(found)


def _split(benchmark: Benchmark, name: str, told: Truth) -> Fold:
    new = np.broadcast_to(told, benchmark.seen.shape)
    return Fold(name, benchmark.seen & ~new, benchmark.seen & new)
