"""Today's agents, those that a bank was calibrated with, and how well it measures them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.ability import Posterior, normalise
from harness.bank import Calibrant, ItemBank, compile_bank
from harness.errors import InputError
from harness.prior import year_of

FEWEST_AGENTS = 5
"""With fewer calibrating agents the population that they were taken from stands in for them."""
_STAND_INS = 19
_QUARTER = 0.25
_THIN = 0.5
"""Share of the most information among the places below which the bank is thin."""
_AHEAD = 0.5
"""Sds of today's agents that the last place lies beyond the best of them."""


@dataclass(frozen=True)
class Place:
    """A place among today's agents, and how well the bank measures there."""

    name: str
    ability: float
    bank: float
    """Information of the bank's calibrated tasks."""
    thin: bool
    """The bank tells less than half of what it tells at the best measured place."""


@dataclass(frozen=True)
class Today:
    """Today's agents, the best first."""

    agents: tuple[Calibrant, ...]
    real: bool
    """They are agents that the bank names, not quantiles of its population."""

    @property
    def best(self) -> Calibrant:
        """The best of them."""
        return self.agents[0]

    @property
    def quarter(self) -> Calibrant:
        """One at the lower quartile."""
        ability = float(np.quantile([agent.ability[0] for agent in self.agents], _QUARTER))
        return Calibrant("lower quartile", (ability,), (0.0,))


def todays_agents(bank: ItemBank) -> Today:
    """The calibrating agents of a bank of one ability, or stand-ins where it names too few.

    >>> from harness.bank import Item
    >>> today = todays_agents(ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),)))
    >>> today.real, today.best.agent, round(today.best.ability[0], 1)
    (False, 'better than 95%', 1.6)
    """
    if len(bank.calibrants) >= FEWEST_AGENTS:
        order = sorted(bank.calibrants, key=lambda agent: -agent.ability[0])
        return Today(tuple(order), True)
    nodes = bank.table.nodes
    population = Posterior(nodes, normalise(bank.population.log_weights(nodes)[None])[0])
    shares = np.linspace(0, 1, _STAND_INS + 2)[-2:0:-1]
    return Today(
        tuple(
            Calibrant(f"better than {share:.0%}", (population.quantile(float(share)),), (0.0,))
            for share in shares
        ),
        False,
    )


def a_few(today: Today) -> tuple[Calibrant, ...]:
    """A handful over the range: the best, the newest, the quartiles, the worst; best first."""
    last = len(today.agents) - 1
    chosen = {round(share * last) for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
    dated = [k for k, agent in enumerate(today.agents) if _year(agent) > -np.inf]
    if dated:
        # of several of the newest date the best
        chosen.add(max(dated, key=lambda k: (_year(today.agents[k]), -k)))
    return tuple(today.agents[k] for k in sorted(chosen))


def named_agents(today: Today, names: Sequence[str]) -> tuple[Calibrant, ...]:
    """Agents by their names, best first.

    Raises:
        InputError: there is no agent of a name.
    """
    known = {agent.agent: agent for agent in today.agents}
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            like = get_close_matches(name, known, 3, 0.4) or [today.best.agent]
            raise InputError(
                f"no calibrating agent of the bank is called {name!r}; there is, for example, "
                + ", ".join(repr(one) for one in like)
            )
    return tuple(agent for agent in today.agents if agent.agent in set(names))


def places(bank: ItemBank, today: Today) -> tuple[Place, ...]:
    """The information of a bank's calibrated tasks where today's agents are, and just beyond."""
    ability = np.array([agent.ability[0] for agent in today.agents])
    where = {
        "lower quartile": float(np.quantile(ability, _QUARTER)),
        "median agent": float(np.median(ability)),
        "upper quartile": float(np.quantile(ability, 1 - _QUARTER)),
        "best agent": float(ability.max()),
        "beyond the best": float(ability.max() + _AHEAD * ability.std()),
    }
    known = replace(bank, items=tuple(item for item in bank.items if not item.predicted))
    nodes = np.array(list(where.values()))[:, None]
    total = compile_bank(known, nodes, uncertainty=False).information.sum(axis=0)
    return tuple(
        Place(name, at, float(here), bool(here < _THIN * total.max()))
        for (name, at), here in zip(where.items(), total, strict=True)
    )


def _year(agent: Calibrant) -> float:
    try:
        return year_of(agent.date)
    except InputError:
        return -np.inf
