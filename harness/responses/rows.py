"""Rows of outcomes, checked one by one while they are read."""

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

import numpy as np

from harness.bank import ItemBank
from harness.errors import ResponsesError
from harness.responses.outcomes import Responses
from harness.scoring.ladder import Ladder

COSTS = ("usd", "seconds", "tokens", "turns")
ABOUT = ("llm", "scaffold", "date")
_NO_COSTS = (math.nan,) * len(COSTS)
# published scores are rounded: 0.67 stands for 2/3
_ROUNDING = 0.02
_MOST_TRIALS = 100_000
"""Of one row with counts: more is a wrong column, and would fill the memory."""


@dataclass
class Rows:
    """Collects checked rows; ``where`` names file and line in every message."""

    bank: ItemBank | None
    given_labels: tuple[str, ...] | None
    ladder: Ladder | None = None
    """Makes the category of a row of a table from its columns; None reads it from the row."""
    agents: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Category by agent, item and trial."""
    costs: list[tuple[float, ...]] = field(default_factory=list)
    """``COSTS`` of each of ``seen``."""
    trials: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: dict[tuple[str, str], tuple[int, int] | None] = field(default_factory=dict)
    """Successes and trials by cell; None for a cell whose attempts have rows of their own."""
    binary: str = ""
    """Where and what the first outcome is that only makes sense with two categories."""
    lenient: bool = False
    """Leave out a cell whose rows contradict each other, instead of raising."""
    disputed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Where a row contradicts an earlier one, by agent and item."""
    repeated: int = 0
    """Rows that only say again what an earlier one said."""

    def __post_init__(self) -> None:
        items = self.bank.items if self.bank else ()
        self.known = {item.id: self.bank.categories[item.categories] for item in items if self.bank}

    def labels(self, item: str, where: str) -> tuple[str, ...] | None:
        """Labels of an item, None where neither bank nor caller names them."""
        if self.bank is None:
            return self.given_labels
        if item not in self.known:
            raise ResponsesError(
                f"{where}: item {item!r} is not in bank {self.bank.name!r}; "
                "remove its rows or use the bank that they belong to"
            )
        return self.given_labels or self.known[item]

    def add(
        self,
        where: str,
        agent: str,
        item: str,
        category: int,
        trial: int | None = None,
        costs: tuple[float, ...] = _NO_COSTS,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Add an outcome. Without ``trial``: the next attempt of the cell."""
        self._check_cell(where, agent, item, None)
        labels = self.labels(item, where)
        if category < 0 or (labels and category >= len(labels)):
            allowed = f"0..{len(labels) - 1} ({', '.join(labels)})" if labels else "0 or more"
            raise ResponsesError(f"{where}: category {category} of item {item!r} must be {allowed}")
        if trial is None:
            trial = self.trials[agent, item]
            self.trials[agent, item] += 1
        self._describe(agent, about)
        before = self._put(agent, item, trial, category, costs)
        if before != category and self.lenient:
            self.disputed.setdefault((agent, item), where)
        elif before != category:
            raise ResponsesError(
                f"{where}: agent {agent!r}, item {item!r}, trial {trial} has category {before} "
                f"in an earlier row and {category} here; number repeated attempts in a column "
                "'trial', give them as one row with 'successes' and 'trials', or remove one of "
                "the rows"
            )

    def add_counts(
        self,
        where: str,
        agent: str,
        item: str,
        successes: int,
        trials: int,
        costs: tuple[float, ...] = _NO_COSTS,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Add all trials of a cell: ``successes`` of them had category 1, the others 0.

        Shuffled, the same in every run, so that the number of a trial says nothing of its outcome.
        """
        if not 0 <= successes <= trials:
            raise ResponsesError(
                f"{where}: {successes} successes of {trials} trials; successes must be at least 0 "
                "and at most the number of trials"
            )
        if trials > _MOST_TRIALS:
            raise ResponsesError(
                f"{where}: {trials} trials of one cell; more than {_MOST_TRIALS} are not read, "
                "check the column 'trials'"
            )
        if trials == 0:
            return
        self._check_cell(where, agent, item, (successes, trials))
        labels = self.labels(item, where)
        if labels and len(labels) != 2:
            raise ResponsesError(
                f"{where}: successes and trials are for items of 2 categories, but item {item!r} "
                f"has {len(labels)}: {', '.join(labels)}; give one row with 'category' a trial"
            )
        if not labels:
            self.binary = self.binary or f"{where}: successes and trials, which make 2 categories"
        self._describe(agent, about)
        outcomes = [1] * successes + [0] * (trials - successes)
        random.Random(f"{agent}\n{item}").shuffle(outcomes)
        for trial, category in enumerate(outcomes):
            self._put(agent, item, trial, category, costs)

    def _check_cell(
        self, where: str, agent: str, item: str, counts: tuple[int, int] | None
    ) -> None:
        """Both names are there, and the cell has either one row of counts or rows of attempts."""
        if not agent or not item:
            raise ResponsesError(
                f"{where}: the name of the {'item' if agent else 'agent'} is blank"
            )
        before = self.counts.setdefault((agent, item), counts)
        if before != counts:
            earlier, here = (
                "one attempt" if pair is None else f"{pair[0]} successes of {pair[1]}"
                for pair in (before, counts)
            )
            raise ResponsesError(
                f"{where}: agent {agent!r}, item {item!r} has {earlier} in an earlier row and "
                f"{here} here; count all its trials in one row, or give each trial its own"
            )

    def _describe(self, agent: str, about: Mapping[str, str] | None) -> None:
        if agent not in self.agents:
            self.agents[agent] = dict.fromkeys(ABOUT, "")
        known = self.agents[agent]
        for name, value in (about or {}).items():
            known[name] = known[name] or value

    def _put(
        self, agent: str, item: str, trial: int, category: int, costs: tuple[float, ...]
    ) -> int:
        """Keep the outcome of a trial; the category that the trial has, earlier rows first."""
        known = self.seen.setdefault((agent, item, trial), category)
        if len(self.seen) > len(self.costs):
            self.costs.append(costs)
        else:
            self.repeated += 1
        return known

    def from_ladder(
        self, where: str, item: str, ladder: Ladder, scores: Mapping[str, float]
    ) -> int:
        """Category that a ladder makes of the scores it names, all of which are there."""
        labels = self.labels(item, where)
        if labels and len(labels) != ladder.n_categories:
            raise ResponsesError(
                f"{where}: the ladder '{ladder}' makes {ladder.n_categories} categories, but item "
                f"{item!r} has {len(labels)}: {', '.join(labels)}"
            )
        return ladder.category(scores)

    def from_score(self, where: str, item: str, score: float) -> int:
        """Category of a score between 0 and 1."""
        labels = self.labels(item, where)
        top = len(labels) - 1 if labels else 1
        if not 0 <= score <= 1:
            raise ResponsesError(f"{where}: score {score:g} is not between 0 and 1")
        category = round(score * top)
        if abs(score * top - category) > _ROUNDING:
            hint = (
                f"item {item!r} has {top + 1} categories"
                if labels
                else "the number of categories is not known"
            )
            raise ResponsesError(
                f"{where}: score {score:g} is no category, as {hint}; give a column 'category' "
                "with 0 for the lowest" + ("" if labels else ", or a bank that has the item")
            )
        if score == 1 and not labels:
            self.binary = self.binary or f"{where}: a score of 1 without category"
        return category

    def finish(self, path: Path, digest: str) -> Responses:
        """All rows as arrays."""
        if not self.seen:
            raise ResponsesError(f"{path} holds no outcome: every row is blank or there is none")
        agents = tuple(self.agents)
        kept = [cell[:2] not in self.disputed for cell in self.seen]
        if not any(kept):
            raise ResponsesError(
                f"{path}: every cell has rows that contradict each other (first: "
                f"{next(iter(self.disputed.values()))}); number repeated attempts in a column "
                "'trial'"
            )
        cells = list(compress(self.seen, kept))
        items = tuple(self.known) if self.bank else tuple(dict.fromkeys(i for _, i, _ in cells))
        agent_index = {name: position for position, name in enumerate(agents)}
        item_index = {name: position for position, name in enumerate(items)}
        category = np.array(list(compress(self.seen.values(), kept)), np.intp)
        k = max(2, int(category.max()) + 1)
        labels = tuple(self.labels(item, str(path)) or () for item in items)
        if k > 2 and self.binary and not any(labels):
            raise ResponsesError(
                f"{self.binary}, in a file with {k} categories; fill the column 'category' in "
                "every row, or give a bank that says how many each item has"
            )
        costs = np.array(self.costs, float)[np.array(kept)]
        return Responses(
            agents=agents,
            items=items,
            agent=np.array([agent_index[a] for a, _, _ in cells], np.intp),
            item=np.array([item_index[i] for _, i, _ in cells], np.intp),
            trial=np.array([t for _, _, t in cells], np.intp),
            category=category,
            n_categories=np.array([len(names) or k for names in labels], np.intp),
            usd=costs[:, 0],
            seconds=costs[:, 1],
            tokens=costs[:, 2],
            turns=costs[:, 3],
            llm=tuple(self.agents[a]["llm"] for a in agents),
            scaffold=tuple(self.agents[a]["scaffold"] for a in agents),
            date=tuple(self.agents[a]["date"] for a in agents),
            labels=labels if any(labels) else (),
            source=path.name,
            sha256=digest,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.disputed:
            n = len(self.disputed)
            (agent, item), where = next(iter(self.disputed.items()))
            notes.append(
                f"{n} {'cell' if n == 1 else 'cells'} with rows that contradict each other: left "
                f"out (first: {where}, agent {agent!r}, item {item!r}); number repeated attempts "
                "in a column 'trial'"
            )
        if self.repeated and not self.disputed:
            n = self.repeated
            notes.append(
                f"{n} {'row says' if n == 1 else 'rows say'} again what an earlier row said: "
                "counted once"
            )
        return tuple(notes)
