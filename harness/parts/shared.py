"""Agents of several benchmarks, and which models and scaffolds the benchmarks share."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from harness.ability import Prior
from harness.bank import ItemBank
from harness.calibrate.link_problem import population_of
from harness.errors import BankError
from harness.estimate import estimate_abilities
from harness.irt import Array
from harness.parts.names import folded
from harness.prior import year_of
from harness.responses import Responses

_KNOWN = 0.999
"""Share of the prior variance up to which an ability tells something."""


@dataclass(frozen=True, eq=False)
class Scale:
    """The n agents of one benchmark, and where they lie on its own scale."""

    name: str
    agents: tuple[str, ...]
    ability: Array
    """``(n,)`` estimates that no prior shrinks; NaN for one that the fit is to tell."""
    error: Array
    """``(n,)`` variances of their errors."""
    llm: tuple[str, ...]
    """Of each agent; empty where unknown, as in the next two."""
    scaffold: tuple[str, ...]
    date: tuple[str, ...]

    def without(self, agents: Sequence[str]) -> "Scale":
        """The scale with the abilities of some agents hidden, so that a fit tells them."""
        hidden = np.isin(self.agents, list(agents))
        return replace(self, ability=np.where(hidden, np.nan, self.ability))


@dataclass(frozen=True)
class Shared:
    """What two benchmarks have in common, by the names that the first uses."""

    first: str
    second: str
    models: tuple[str, ...]
    """An agent of unknown model that both have counts as a model of its own."""
    scaffolds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """Models under the same scaffold."""
    agents: tuple[str, ...]


def measured(name: str, bank: ItemBank, responses: Responses) -> Scale:
    """The agents of some outcomes on the scale of a bank, with what is known of their parts.

    Agents whose answers tell nothing are left out.

    Raises:
        BankError: the bank has several abilities, or has not all the items.
    """
    if len(bank.mean) != 1:
        raise BankError(f"bank {bank.name!r} has {len(bank.mean)} abilities: link banks of one")
    population = population_of(bank)
    prior = Prior(bank.mean, bank.sd)
    found = estimate_abilities(bank, responses, prior=prior)
    rows = [a for a, sd in enumerate(found.sd[:, 0]) if sd**2 < _KNOWN * population[1] ** 2]
    place = {agent: a for a, agent in enumerate(responses.agents)}
    at = [place[found.agents[a]] for a in rows]
    precision = found.sd[rows, 0] ** -2 - population[1] ** -2
    ability = (
        found.ability[rows, 0] * found.sd[rows, 0] ** -2 - population[0] * population[1] ** -2
    ) / precision
    return Scale(
        name,
        tuple(found.agents[a] for a in rows),
        ability,
        1 / precision,
        tuple(responses.llm[a] for a in at),
        tuple(responses.scaffold[a] for a in at),
        tuple(responses.date[a] for a in at),
    )


@dataclass(frozen=True)
class Member:
    """An agent on a benchmark, with keys that are equal for equal parts."""

    bench: int
    model: str
    scaffold: str
    agent: str
    seen: bool
    """Whether its ability is known, and not to be told."""
    year: float
    """Date; NaN where unknown."""
    shown: tuple[str, str, str]
    """Model, scaffold and agent as they are called."""


def members(scales: Sequence[Scale]) -> list[Member]:
    """All agents of all benchmarks, in order.

    What one benchmark says of an agent holds for others that say nothing. An unknown part is
    nobody else's, and two tests count as of one agent where name, model and scaffold agree.

    Raises:
        PlanError: a date is none.
    """
    known: dict[tuple[str, str], str] = {}
    for what in ("llm", "scaffold"):
        for scale in scales:
            for agent, part in zip(scale.agents, getattr(scale, what), strict=True):
                if folded(part):
                    known.setdefault((what, folded(agent)), part)
    found = []
    for k, scale in enumerate(scales):
        rows = zip(scale.agents, scale.llm, scale.scaffold, scale.date, scale.ability, strict=True)
        for agent, llm, scaffold, date, ability in rows:
            name = folded(agent) or agent
            llm = llm if folded(llm) else known.get(("llm", name), "")
            scaffold = scaffold if folded(scaffold) else known.get(("scaffold", name), "")
            who = f"{name}|{folded(llm)}|{folded(scaffold)}"
            found.append(
                Member(
                    bench=k,
                    model=folded(llm) or f"|{who}",
                    scaffold=folded(scaffold) or f"|{who}",
                    agent=who,
                    seen=bool(np.isfinite(ability)),
                    year=year_of(date) if date else math.nan,
                    shown=(llm or agent, scaffold, agent),
                )
            )
    return found


def shared_parts(scales: Sequence[Scale]) -> tuple[Shared, ...]:
    """What every two benchmarks share.

    Names are compared by :func:`harness.parts.names.folded`, and nothing is guessed.
    """
    rows = [row for row in members(scales) if row.seen]

    def common(one: int, other: int, key: Callable[[Member], Hashable]) -> list[Member]:
        """A row of the first for each key that both have."""
        of_one, of_other = (
            {key(row): row for row in reversed(rows) if row.bench == k} for k in (one, other)
        )
        return [row for what, row in of_one.items() if what in of_other]

    return tuple(
        Shared(
            scales[i].name,
            scales[j].name,
            models=tuple(sorted(row.shown[0] for row in common(i, j, lambda row: row.model))),
            scaffolds=tuple(
                sorted(row.shown[1] for row in common(i, j, lambda r: r.scaffold) if row.shown[1])
            ),
            pairs=tuple(
                sorted(
                    row.shown[:2]
                    for row in common(i, j, lambda row: (row.model, row.scaffold))
                    if row.shown[1]
                )
            ),
            agents=tuple(sorted(row.shown[2] for row in common(i, j, lambda row: row.agent))),
        )
        for i, j in combinations(range(len(scales)), 2)
    )
