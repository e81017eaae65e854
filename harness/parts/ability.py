"""Ability of agents as trend over date + model + scaffold + what is the agent's own.

The regression of :mod:`harness.regression` with one block each for date, model and scaffold. What
is not known of an agent is its own draw from the spread of its block, never a level that blank
agents share.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.bank import Calibrant, ItemBank
from harness.errors import InputError
from harness.irt import Array
from harness.parts.names import folded
from harness.prior import year_of
from harness.regression import Column, Features, Prediction, Regression, regress

Kind = Literal["model", "scaffold"]
KINDS: tuple[Kind, ...] = ("model", "scaffold")
FEWEST_KNOWN = 10
"""Calibrating agents with a model or scaffold that effects need."""
_AHEAD = 0.5
"""Chance that the trend over date goes on beyond the last calibrating agent."""
_COLUMNS = (
    Column("date", "date", "number"),
    *(Column(kind, kind, "category") for kind in KINDS),
)


@dataclass(frozen=True)
class Parts:
    """What is known of an agent besides its answers; empty where unknown."""

    llm: str = ""
    scaffold: str = ""
    date: str = ""
    """ISO date, or its beginning."""

    def __bool__(self) -> bool:
        return bool(self.llm or self.scaffold)

    def name(self, kind: Kind) -> str:
        """The model or the scaffold."""
        return self.llm if kind == "model" else self.scaffold


@dataclass(frozen=True, eq=False)
class PartsModel:
    """What the calibrating agents of a bank say of models, scaffolds and dates."""

    regression: Regression
    agents: tuple[Calibrant, ...]
    """Those that it rests on."""
    known: Mapping[Kind, Mapping[str, str]]
    """Models and scaffolds as they are written, by their folded names."""
    dates: tuple[float, float]
    """First and last, in years; NaN without any."""
    notes: tuple[str, ...]
    """What could not be told from these agents: sentences."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Which of models and scaffolds tell agents apart; why others do not is in the notes."""
        return tuple(kind for kind in KINDS if kind in self.regression.coding.blocks)

    def why_not(self, kind: Kind) -> str:
        """The note on a kind of part that tells nothing; empty for one that does."""
        return "" if kind in self.kinds else next(note for note in self.notes if kind in note)

    def predict(self, agents: Sequence[Parts]) -> tuple[Array, Array]:
        """Means and sds ``(n,)`` of the abilities of new agents.

        Beyond the dates of the calibrating agents the trend goes on with probability ½ and stops
        with ½: the mean lies halfway (a damped trend; Gardner and McKenzie 1985), and how far the
        two are apart adds to the sd.

        Raises:
            PlanError: a date cannot be read.
        """
        stopped, halfway, followed = (self._at(agents, share) for share in (0.0, _AHEAD, 1.0))
        apart = followed.mean - stopped.mean
        return halfway.mean, np.sqrt(halfway.sd**2 + _AHEAD * (1 - _AHEAD) * apart**2)

    def _at(self, agents: Sequence[Parts], ahead: float) -> Prediction:
        rows = []
        for one in agents:
            year = year_of(one.date) if one.date else math.nan
            inside = float(np.clip(year, *self.dates))
            rows.append(_row(inside + ahead * (year - inside), one))
        names = tuple(str(n) for n in range(len(rows)))
        return self.regression.predict(Features(names, _COLUMNS, tuple(rows)))

    def has(self, kind: Kind, name: str) -> bool:
        """Whether some calibrating agent has a part of this name."""
        return folded(name) in self.known[kind]

    def users(self, kind: Kind, name: str) -> tuple[Calibrant, ...]:
        """The calibrating agents with a part of this name."""
        return tuple(c for c in self.agents if folded(parts_of(c).name(kind)) == folded(name))


def parts_of(calibrant: Calibrant) -> Parts:
    """What a bank knows of an agent."""
    return Parts(calibrant.llm, calibrant.scaffold, calibrant.date)


def _row(year: float, agent: Parts) -> tuple[float | str | None, ...]:
    names = (folded(agent.name(kind)) or None for kind in KINDS)
    return (None if math.isnan(year) else year, *names)


def lacks_parts(bank: ItemBank) -> str:
    """Why nothing can be told of models and scaffolds, as the end of a sentence; empty where it
    can.

    >>> from harness.bank import Item
    >>> lacks_parts(ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),)))
    "bank 'demo' knows model or scaffold of 0 calibrating agents, and 10 are needed"
    """
    if len(bank.mean) > 1:
        return f"bank {bank.name!r} has {len(bank.mean)} abilities, and parts are for one"
    known = sum(bool(parts_of(calibrant)) for calibrant in bank.calibrants)
    if known < FEWEST_KNOWN:
        return (
            f"bank {bank.name!r} knows model or scaffold of {known} calibrating agents, and "
            f"{FEWEST_KNOWN} are needed"
        )
    return ""


def fit_parts(bank: ItemBank) -> PartsModel:
    """Trend, models and scaffolds from the calibrating agents of a bank.

    What is explained is each agent's ability as its answers alone say: the bank's prior, towards
    which the abilities of agents are drawn, is undone, so that nothing is drawn in twice.

    Raises:
        InputError: too few agents have parts, or the bank has several abilities.
        PlanError: the date of an agent cannot be read.
    """
    from harness.calibrate.link_agents import unshrunk

    if problem := lacks_parts(bank):
        raise InputError(
            f"{problem}: calibrate with --agents FILE, a table with agent,llm,scaffold,date; "
            "cat-harness agents suggest proposes one"
        )
    measured = [(c, *unshrunk(c, (bank.mean[0], bank.sd[0]))) for c in bank.calibrants]
    # an error variance of 0 says that the answers told nothing
    kept = [(c, ability, error) for c, ability, error in measured if error > 0]
    agents = tuple(c for c, _, _ in kept)
    years = [year_of(c.date) if c.date else math.nan for c in agents]
    features = Features(
        tuple(c.agent for c in agents),
        _COLUMNS,
        tuple(_row(year, parts_of(c)) for year, c in zip(years, agents, strict=True)),
    )
    known: dict[Kind, dict[str, str]] = {kind: {} for kind in KINDS}
    for calibrant in agents:
        for kind in KINDS:
            name = parts_of(calibrant).name(kind)
            if key := folded(name):
                known[kind].setdefault(key, name)
    dates = [year for year in years if not math.isnan(year)]
    return PartsModel(
        regress(
            features,
            [ability for _, ability, _ in kept],
            [error for *_, error in kept],
            beyond=True,
        ),
        agents,
        known,
        (min(dates), max(dates)) if dates else (math.nan, math.nan),
        tuple(_notes(known, dates, agents)),
    )


def _notes(
    known: Mapping[Kind, Mapping[str, str]], dates: Sequence[float], agents: Sequence[Calibrant]
) -> list[str]:
    found = []
    for kind in KINDS:
        names = known[kind]
        uses = [sum(folded(parts_of(c).name(kind)) == key for c in agents) for key in names]
        if not names:
            found.append(f"no agent has a known {kind}, so nothing is said of {kind}s")
        elif len(names) == 1:
            found.append(
                f"every agent whose {kind} is known has the same one, {next(iter(names.values()))}:"
                f" what it is worth cannot be told, and the {kind} is left out"
            )
        elif max(uses) == 1:
            found.append(
                f"every {kind} is that of a single agent: {kind}s cannot be told from what is the "
                f"agent's own, and are left out"
            )
    if len(set(dates)) < 2:
        found.append(
            "agents have no dates: there is no trend"
            if not dates
            else "all agents have one date: there is no trend"
        )
    return found
