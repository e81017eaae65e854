"""Which agents calibrate and which are tested."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import ResponsesError
from harness.responses import Responses
from harness.responses.families import family_of
from harness.study.plan_file import SplitEntry

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Agents by their position in the responses, ascending."""

    name: str
    calibrating: Indices
    """Empty where a bank is given."""
    tested: Indices
    seed: int


def make_splits(responses: Responses, entry: SplitEntry) -> tuple[Split, ...]:
    """All splits that an entry asks for: each seed, and for families each family of each seed.

    Agents without any outcome are in none of them.

    Raises:
        ResponsesError: too few agents, or one without the date or model that a split goes by.
    """
    present = np.flatnonzero(responses.attempts.any(axis=1))
    found = tuple(
        split for seed in range(entry.seeds) for split in _splits(responses, present, entry, seed)
    )
    for split in found:
        if entry.by != "none" and len(split.calibrating) < 2:
            raise ResponsesError(
                f"{_source(responses)}: split {split.name!r} leaves "
                f"{len(split.calibrating)} of {len(present)} agents to calibrate on; at least 2 "
                "are needed: bring more agents, or change the share"
            )
        if not len(split.tested):
            raise ResponsesError(
                f"{_source(responses)}: split {split.name!r} leaves no agent to test; bring more "
                "agents, or lower the share"
            )
    return found


def _splits(
    responses: Responses, present: Indices, entry: SplitEntry, seed: int
) -> Iterator[Split]:
    cut = round(entry.share * len(present))
    match entry.by:
        case "none":
            yield Split("all agents", present[:0], present, seed)
        case "random":
            order = np.random.default_rng([seed, 0]).permutation(present)
            yield Split(f"random {seed + 1}", np.sort(order[:cut]), np.sort(order[cut:]), seed)
        case "date":
            if undated := [responses.agents[a] for a in present if not responses.date[a]]:
                raise ResponsesError(
                    f"{_source(responses)}: agent {undated[0]!r} has no date, nor have "
                    f"{len(undated) - 1} others; fill the column 'date', or split another way"
                )
            # those of one day by name, so that the order of the file does not matter
            order = np.array(
                sorted(present, key=lambda a: (responses.date[a], responses.agents[a])), np.intp
            )
            name = f"before and from {responses.date[order[min(cut, len(order) - 1)]]}"
            yield Split(name, np.sort(order[:cut]), np.sort(order[cut:]), seed)
        case "family":
            families = np.array([_family(responses, int(a)) for a in present])
            for family in np.unique(families):
                of = families == family
                yield Split(str(family), present[~of], present[of], seed)


def _family(responses: Responses, agent: int) -> str:
    name = family_of(responses.llm[agent])
    if not name:
        raise ResponsesError(
            f"{_source(responses)}: agent {responses.agents[agent]!r} has no model, so its family "
            "is not known; fill the column 'llm', or split another way"
        )
    return name


def _source(responses: Responses) -> str:
    return responses.source or "the responses"
