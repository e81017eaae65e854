"""Why an agent fails what it fails."""

from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.errors import InputError
from harness.explain import contrasts as by
from harness.explain.better import Better, what_if
from harness.explain.contrasts import Contrasts
from harness.explain.kinds import Difference, KindEffect, Shared, find_kinds, of_agent
from harness.explain.outcomes import Outcomes, gather, with_calibrants
from harness.explain.surprises import BOUND, Surprises, find_surprises
from harness.regression import Features
from harness.responses import Responses

FEW = 20
"""Answers below which hardly anything can be told."""
CUT = 0.05
"""False sign rate up to which an effect is said to be there."""


@dataclass(frozen=True)
class AgentExplained:
    """Everything that is said of one agent."""

    agent: str
    llm: str
    scaffold: str
    date: str
    bank: str
    bank_hash: str
    source: str
    items: int
    """Items with an outcome."""
    answers: int
    """Trials."""
    agents: int
    """That priors of effects were learned from, this one among them."""
    score: float
    """Mean score over the items."""
    graded: bool
    """Whether an item has more than two categories: scores instead of passes."""
    ability: float
    sd: float
    low: float
    high: float
    level: float
    cut: float
    kinds: tuple[KindEffect, ...]
    """Surest first."""
    shared: tuple[Shared, ...]
    differences: tuple[Difference, ...]
    """Between agents, in every kind."""
    joint_gain: float
    """Log evidence for any differences between agents, all kinds taken together."""
    joint_p: float
    surprises: Surprises
    better: Better
    notes: tuple[str, ...]

    @property
    def sure(self) -> tuple[KindEffect, ...]:
        """Kinds whose direction is sure enough."""
        return tuple(one for one in self.kinds if one.false_sign <= self.cut)


def kinds_of(bank: ItemBank, features: Features | None) -> Contrasts:
    """All kinds of tasks that tags and features tell apart.

    Raises:
        InputError: there are neither.
    """
    tagged = any(item.tags for item in bank.items)
    if not tagged and (features is None or not features.columns):
        raise InputError(
            f"bank {bank.name!r} has no tags, and no features were given: there are no kinds of "
            "tasks to tell apart. Give a table with --features NAME=FILE, or a column tags in "
            "items.csv"
        )
    found = by.of_tags([item.tags for item in bank.items]) if tagged else Contrasts(())
    if features is None:
        return found
    rows = features.of(item.id for item in bank.items)
    for block in rows.blocks:
        found += _of_block(rows.only([block]), block)
    return found


def _of_block(rows: Features, block: str) -> Contrasts:
    found = Contrasts(())
    if is_vector(rows):
        return Contrasts((), (f"{block} is a vector: its numbers are no kinds of tasks.",))
    flags = [
        k
        for k, column in enumerate(rows.columns)
        if column.kind == "number" and {row[k] for row in rows.cells} - {None} == {0.0, 1.0}
    ]
    for k, column in enumerate(rows.columns):
        cells = [row[k] for row in rows.cells]
        if k in flags:
            continue
        if column.kind == "category":
            texts = [None if cell is None else str(cell) for cell in cells]
            found += by.of_categories(column.name, texts)
        else:
            numbers = [None if cell is None else float(cell) for cell in cells]
            found += by.of_numbers(column.name, block, numbers)
    if flags:
        table = [
            [None if row[k] is None else float(row[k] or 0) for k in flags] for row in rows.cells
        ]
        found += by.of_flags(block, [rows.columns[k].name for k in flags], table)
    return found


def is_vector(rows: Features) -> bool:
    """Whether the columns of a block are the numbers of a vector, which mean nothing one by one.

    >>> from harness.regression import Column
    >>> is_vector(Features((), tuple(Column(f"text{k}", "text", "number") for k in range(3)), ()))
    True
    """
    return len(rows.columns) > 2 and all(
        column.kind == "number" and column.name[-1:].isdigit() for column in rows.columns
    )


def explain_agent(
    bank: ItemBank,
    responses: Responses,
    agent: str,
    features: Features | None = None,
    *,
    level: float = 0.9,
    cut: float = CUT,
    bound: float = BOUND,
) -> AgentExplained:
    """Which kinds of tasks an agent fails more or less than its ability says, and what else.

    Args:
        bank: of one ability.
        responses: outcomes of this agent, and of others if there are: from them is learned how
            much agents differ.
        features: of the items of the bank; with its tags they are the kinds of tasks.
        level: probability of intervals.
        cut: false sign rate up to which an effect counts as found.
        bound: probability at or below which a single outcome is a surprise.

    Raises:
        BankError: a bank of several abilities.
        ResponsesError: the agent is not there; an item or category that the bank does not have.
        InputError: neither tags nor features.
    """
    responses = with_calibrants(bank, responses)
    outcomes = gather(bank, responses)
    who = outcomes.position(agent, "agent")
    cells = outcomes.cells_of(agent=who)
    everything = kinds_of(bank, features)
    contrasts = by.limited(
        everything,
        outcomes.item[cells],
        {"rows": "items", "among": "among those that the agent answered"},
    )
    found = find_kinds(outcomes, contrasts, who)
    weights = np.exp(outcomes.log_posterior[who])
    below = np.cumsum(weights) - weights / 2
    low, high = (
        float(np.interp(side, below, outcomes.nodes)) for side in ((1 - level) / 2, (1 + level) / 2)
    )
    joint = found.strengths()
    return AgentExplained(
        agent=agent,
        llm=responses.llm[who],
        scaffold=responses.scaffold[who],
        date=responses.date[who],
        bank=bank.name,
        bank_hash=bank.hash,
        source=responses.source,
        items=len(cells),
        answers=int(outcomes.counts[outcomes.pattern[cells]].sum()),
        agents=len(found.agents),
        score=float(outcomes.score[outcomes.pattern[cells]].mean()),
        graded=any(len(item.intercepts) > 1 for item in bank.items),
        ability=float(outcomes.ability[who, 0]),
        sd=float(outcomes.ability[who, 1]),
        low=low,
        high=high,
        level=level,
        cut=cut,
        kinds=of_agent(outcomes, found, who, level),
        shared=found.shared,
        differences=tuple(sorted(found.differences, key=lambda one: (one.q, -one.sd))),
        joint_gain=0.0 if joint is None else joint.gain,
        joint_p=1.0 if joint is None else joint.p,
        surprises=find_surprises(outcomes, cells, bound),
        better=what_if(outcomes, who, level),
        notes=(*_notes(outcomes, who), *contrasts.notes),
    )


def _notes(outcomes: Outcomes, who: int) -> list[str]:
    notes = []
    answers = int(outcomes.answered[who])
    if answers < FEW:
        notes.append(
            f"The agent has answered {answers} items: hardly any effect can be told from chance "
            f"with fewer than {FEW}."
        )
    others = int(np.count_nonzero(outcomes.answered)) - 1
    if others < FEW:
        notes.append(
            f"How much agents differ was learned from {others} other agents; with fewer than {FEW} "
            "it rests on what was assumed beforehand. Give the outcomes of more agents."
        )
    return notes
