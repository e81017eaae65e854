"""Agents of several benchmarks as the rows of one fit."""

from collections.abc import Sequence

import numpy as np

from harness.irt import Array
from harness.parts.link_model import Rows
from harness.parts.shared import Member, Scale


def location(scale: Scale) -> tuple[float, float]:
    """Mean and sd of abilities, with less weight to those that are hardly known."""
    seen = np.isfinite(scale.ability)
    ability, error = scale.ability[seen], scale.error[seen]
    weight = 1 / (error + np.median(error))
    weight /= weight.sum()
    mean = float(weight @ ability)
    return mean, max(float(np.sqrt(weight @ (ability - mean) ** 2)), 1e-3)


def rows_of(
    agents: Sequence[Member], scales: Sequence[Scale], centre: Array, spread: Array
) -> Rows:
    """The rows, in units of each benchmark's spread about its centre, both ``(K,)``."""
    bench = np.array([row.bench for row in agents])
    boards: dict[str, frozenset[int]] = {}
    first_seen: dict[str, float] = {}
    for row in agents:
        boards[row.model] = boards.get(row.model, frozenset()) | {row.bench}
        first_seen[row.model] = float(np.fmin(first_seen.get(row.model, np.nan), row.year))
    sets = [boards[row.model] for row in agents]
    # the set that most rows are of comes first: others are told by how they differ from it
    several = sorted(
        {one for one in sets if len(one) > 1}, key=lambda one: (-sets.count(one), sorted(one))
    )
    year = np.array([first_seen[row.model] for row in agents])
    known = np.isfinite(year)
    if known.any() and np.ptp(year[known]) > 0:
        year = np.where(known, (year - year[known].mean()) / year[known].std(), 0.0)
    else:
        year = np.zeros(len(agents))
    scaffold = np.unique([row.scaffold for row in agents], return_inverse=True)[1]
    ability = np.concatenate([scale.ability for scale in scales])
    error = np.concatenate([scale.error for scale in scales])
    return Rows(
        y=(ability - centre[bench]) / spread[bench],
        error=error / spread[bench] ** 2,
        bench=bench,
        model=np.unique([row.model for row in agents], return_inverse=True)[1],
        scaffold=scaffold,
        agent=np.unique([row.agent for row in agents], return_inverse=True)[1],
        board=np.array([several.index(one) if len(one) > 1 else -1 for one in sets]),
        year=year,
        scaffolds=len(np.unique(scaffold)) > 1,
    )
