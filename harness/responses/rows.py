"""Rows of outcomes, checked one by one while they are read."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.bank import ItemBank
from harness.errors import ResponsesError
from harness.responses.outcomes import Responses

COSTS = ("usd", "seconds", "tokens", "turns")
ABOUT = ("llm", "scaffold", "date")
_NO_COSTS = (math.nan,) * len(COSTS)
# published scores are rounded: 0.67 stands for 2/3
_ROUNDING = 0.02


@dataclass
class Rows:
    """Collects checked rows; ``where`` names file and line in every message."""

    bank: ItemBank | None
    given_labels: tuple[str, ...] | None
    agents: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Category by agent, item and trial."""
    costs: list[tuple[float, ...]] = field(default_factory=list)
    """``COSTS`` of each of ``seen``."""
    trials: Counter[tuple[str, str]] = field(default_factory=Counter)
    passed_only: str = ""
    """Where the first score of 1 without a known number of categories stands."""

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
        if not agent or not item:
            raise ResponsesError(
                f"{where}: the name of the {'item' if agent else 'agent'} is blank"
            )
        labels = self.labels(item, where)
        if category < 0 or (labels and category >= len(labels)):
            allowed = f"0..{len(labels) - 1} ({', '.join(labels)})" if labels else "0 or more"
            raise ResponsesError(f"{where}: category {category} of item {item!r} must be {allowed}")
        if trial is None:
            trial = self.trials[agent, item]
            self.trials[agent, item] += 1
        known = self.agents.setdefault(agent, dict.fromkeys(ABOUT, ""))
        for name, value in (about or {}).items():
            known[name] = known[name] or value
        before = self.seen.setdefault((agent, item, trial), category)
        if before != category:
            raise ResponsesError(
                f"{where}: agent {agent!r}, item {item!r}, trial {trial} has category {before} "
                f"in an earlier row and {category} here; number repeated attempts in a column "
                "'trial', or remove one of the rows"
            )
        if len(self.seen) > len(self.costs):
            self.costs.append(costs)

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
            self.passed_only = self.passed_only or where
        return category

    def finish(self, path: Path, digest: str) -> Responses:
        """All rows as arrays."""
        if not self.seen:
            raise ResponsesError(f"{path} holds no outcome: every row is blank or there is none")
        agents = tuple(self.agents)
        cells = list(self.seen)
        items = tuple(self.known) if self.bank else tuple(dict.fromkeys(i for _, i, _ in cells))
        agent_index = {name: position for position, name in enumerate(agents)}
        item_index = {name: position for position, name in enumerate(items)}
        category = np.array(list(self.seen.values()), np.intp)
        k = max(2, int(category.max()) + 1)
        labels = tuple(self.labels(item, str(path)) or () for item in items)
        if k > 2 and self.passed_only and not any(labels):
            raise ResponsesError(
                f"{self.passed_only}: a score of 1 without category, in a file with {k} "
                "categories; fill the column 'category' in every row"
            )
        costs = np.array(self.costs, float)
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
        )
