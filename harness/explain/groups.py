"""For whom a task is harder than for others: effects of groups of agents on tasks.

The rows are tasks, their base is how much easier a task is for everybody than the bank says, and
an agent of a group meets it with an ability that is higher by the effect. The ability of each
agent is that of all of its other outcomes. See :mod:`harness.explain.effects`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.ability import Prior as Normal
from harness.explain.contrasts import FEWEST, Contrast, of_groups
from harness.explain.effects import (
    Likelihoods,
    Prior,
    effect_values,
    learn,
    marginal,
    posterior,
)
from harness.explain.kinds import Shared
from harness.explain.outcomes import Indices, Outcomes
from harness.irt import Array
from harness.prior import year_of
from harness.responses import Responses
from harness.responses.families import family_of

_REACH = 4.0
"""Sds of ability that a task may be easier or harder for everybody than the bank says."""
_EVERY = 2
"""Nodes between two such values."""


@dataclass(frozen=True)
class GroupEffect:
    """One group of agents against all others whose group is known, on one task."""

    name: str
    attribute: str
    agents: int
    others: int
    observed: float
    """Mean score of the group."""
    expected: float
    """That its abilities say."""
    mean: float
    """Effect, as a shift of ability: below 0 the task is harder for the group."""
    low: float
    high: float
    direction: float
    """Probability that the effect has the sign of its mean."""
    false_sign: float


def attributes_of(responses: Responses) -> dict[str, tuple[str, ...]]:
    """Groups of agents by attribute; empty where unknown.

    >>> from dataclasses import replace
    >>> from harness.responses import from_matrix
    >>> known = replace(from_matrix([[1], [0]]), llm=("o3", ""), date=("2024", "2025"))
    >>> attributes_of(known)["date"]
    ('before 2024-07', 'since 2024-07')
    """
    dates = [year_of(date) if date else np.nan for date in responses.date]
    found = {
        "model family": tuple(family_of(llm) if llm else "" for llm in responses.llm),
        "scaffold": tuple(responses.scaffold),
    }
    if len({year for year in dates if year == year}) > 1:
        middle = float(np.nanmedian(dates))
        day = f"{int(middle)}-{int((middle % 1) * 12) + 1:02}"
        found["date"] = tuple(
            "" if year != year else f"since {day}" if year >= middle else f"before {day}"
            for year in dates
        )
    return found


def find_groups(
    outcomes: Outcomes, item: int, level: float
) -> tuple[tuple[GroupEffect, ...], tuple[Shared, ...], tuple[str, ...]]:
    """Effects of all groups on one task, those whose sign is surest first.

    Args:
        outcomes: at point estimates of the item parameters.

    Returns:
        Effects; what effects are like over all tasks, by attribute; and notes.
    """
    effects: list[GroupEffect] = []
    shared, notes = [], []
    cells = outcomes.cells_of(item=item)
    for attribute, values in attributes_of(outcomes.responses).items():
        contrasts = [one for one in of_groups(attribute, values) if _enough(one, outcomes, cells)]
        if not contrasts:
            notes.append(
                f"By {attribute} no group has {FEWEST} agents with an outcome here, and {FEWEST} "
                "others to compare them with: nothing is said of it."
            )
            continue
        at = effect_values(float(outcomes.bank.sd[0]))
        parts = _likelihoods(outcomes, contrasts, at)
        priors = learn(parts)
        spread = float(np.sqrt(np.mean([prior.spread**2 for prior in priors])))
        shared.append(Shared(attribute, "group", len(contrasts), spread))
        for one, part, prior in zip(contrasts, parts, priors, strict=True):
            effects.append(_effect(outcomes, item, one, part, prior, level))
    order = sorted(effects, key=lambda one: (one.false_sign, -abs(one.mean)))
    return tuple(order), tuple(shared), tuple(notes)


def _enough(one: Contrast, outcomes: Outcomes, cells: Indices) -> bool:
    level = one.level[outcomes.agent[cells]]
    return bool(min((level == 1).sum(), (level == 0).sum()) >= FEWEST)


def _likelihoods(outcomes: Outcomes, contrasts: Sequence[Contrast], at: Array) -> list[Likelihoods]:
    """Of each group's effect on every item."""
    nodes = outcomes.nodes
    step = float(nodes[1] - nodes[0])
    most = int(_REACH * outcomes.bank.sd[0] / step) // _EVERY * _EVERY
    moves = np.arange(-most, most + 1, _EVERY)
    places = np.clip(np.arange(len(nodes))[:, None] + moves, 0, len(nodes) - 1)
    # (items, levels, bases) of each group; agents of unknown group are kept on level 2
    by_level = [np.zeros((len(outcomes.items), 3, len(moves))) for _ in contrasts]
    order = np.argsort(outcomes.pattern, kind="stable")
    ends = np.searchsorted(outcomes.pattern[order], np.arange(len(outcomes.log_l) + 1))
    for pattern, log_l in enumerate(outcomes.log_l):
        cells = order[ends[pattern] : ends[pattern + 1]]
        chance = outcomes.without_own(cells) @ np.exp(log_l[places])
        log_chance = np.log(np.maximum(chance, 1e-300))
        agents, item = outcomes.agent[cells], outcomes.of_item[pattern]
        for one, total in zip(contrasts, by_level, strict=True):
            level = one.level[agents]
            for which in (0, 1):
                total[item, which] += log_chance[level == which].sum(axis=0)
    bases = np.asarray(moves * step, float)[:, None]
    log_prior = Normal((0.0,), (float(outcomes.bank.sd[0]),)).log_weights(bases)
    return [
        Likelihoods(at, marginal(total[:, :2], one.values, bases[:, 0], log_prior, at))
        for one, total in zip(contrasts, by_level, strict=True)
    ]


def _effect(
    outcomes: Outcomes,
    item: int,
    one: Contrast,
    part: Likelihoods,
    prior: Prior,
    level: float,
) -> GroupEffect:
    row = Likelihoods(part.effects, part.log_l[[item]])
    found = posterior(row, prior)
    cells = outcomes.cells_of(item=item)
    inside = cells[one.level[outcomes.agent[cells]] == 1]
    expected = outcomes.without_own(inside) @ outcomes.expected[item]
    mean = float(found.mean[0])
    return GroupEffect(
        one.name,
        one.source,
        len(inside),
        int((one.level[outcomes.agent[cells]] == 0).sum()),
        float(outcomes.score[outcomes.pattern[inside]].mean()),
        float(expected.mean()),
        mean,
        float(found.quantile((1 - level) / 2)[0]),
        float(found.quantile((1 + level) / 2)[0]),
        float((found.above if mean >= 0 else found.below)[0]),
        float(found.false_sign[0]),
    )
