"""Outcomes with defects in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bank import ItemBank
from harness.errors import PlanError
from harness.irt import Array
from harness.plant.defects import (
    KINDS,
    Coin,
    Defect,
    Dif,
    Dimensions,
    Duplicates,
    Gap,
    Grader,
    Planted,
    Reversed,
    Sandbag,
)
from harness.plant.draw import (
    FAMILIES,
    Crew,
    Indices,
    difficulties,
    draw_answers,
    draw_crew,
    stream,
)
from harness.plant.places import choose, gap_in, with_gap
from harness.responses import Responses

_EASIER = 3.0
"""Sds of ability, for the family that knows an item."""
_EASY, _FAILED, _ABLE = 0.3, 0.7, 0.25
_CORRELATION = 0.5
_GRADERS = 4
_REDRAWN = 0.05
_TOSSED = 0.5


@dataclass(frozen=True, eq=False)
class Simulated:
    """Outcomes and the truth about them."""

    responses: Responses
    bank: ItemBank
    """What honest outcomes were drawn from."""
    abilities: Array
    """``(A, D)``; the second of two dimensions that were planted is not among them."""
    tags: Mapping[str, Mapping[str, str]]
    """Grader and topic of each item, by its name."""
    planted: tuple[Planted, ...]


def plant(
    bank: ItemBank,
    defects: Sequence[Defect] = (),
    *,
    agents: int = 60,
    abilities: Array | None = None,
    trials: int = 1,
    seed: int = 0,
) -> Simulated:
    """Draw outcomes of agents on all items, with defects in some of them.

    Items with a defect have no other one, gap and dimensions aside; which they are, the seed says.
    Without the defects the same seed draws the same answers of all agents on all other items. An
    able agent has a late date more often than not, and all trials of a cell share its agent × item
    effect where the bank has one.

    Args:
        agents: how many to draw from the bank's population.
        abilities: ``(A, D)`` of the agents instead.
        trials: of each agent on each item.

    Raises:
        PlanError: more defects than items or agents, or defects that this bank cannot have.

    >>> from harness.plant import Duplicates, Reversed, draw_bank, plant
    >>> found = plant(draw_bank(20), (Duplicates(1), Reversed(1)), agents=8)
    >>> found.responses.attempts.shape, [p.defect for p in found.planted]
    ((8, 20), ['duplicates', 'reversed'])
    """
    dimensions = len(bank.mean)
    if trials < 1:
        raise PlanError(f"--trials must be 1 or more, not {trials}")
    if abilities is None:
        abilities = bank.population.draw(max(agents, 0), stream(seed, 1))
    shaped = abilities.ndim == 2 and abilities.shape[1] == dimensions and len(abilities) > 0
    if not shaped or not np.isfinite(abilities).all():
        raise PlanError(
            f"true abilities must be numbers, {dimensions} for each of one agent or more"
        )
    if dimensions > 1 and any(isinstance(d, Gap | Dimensions) for d in defects):
        raise PlanError(
            f"--plant: bank {bank.name!r} has {dimensions} abilities; gap and dimensions need a "
            "bank of one"
        )
    if any(isinstance(d, Gap) for d in defects):
        bank = with_gap(bank, seed)
    chosen = choose(bank, defects, seed)
    n = len(bank.items)
    topics = stream(seed, 2).permutation(np.arange(n) % 2)
    items = list(bank.items)
    for defect in chosen:
        if isinstance(defect, Duplicates):
            for copy, original in chosen[defect].reshape(-1, 2):
                items[copy] = replace(items[original], id=items[copy].id)
                topics[copy] = topics[original]
    bank = replace(bank, items=tuple(items))
    crew = draw_crew(abilities, seed)
    category, of_agents = _attempts(bank, crew, topics, defects, chosen, trials, seed)
    category, graders, of_verdicts = _verdicts(bank, category, defects, chosen, seed)
    return Simulated(
        _responses(bank, crew, category),
        bank,
        abilities,
        {
            item.id: {"grader": f"grader-{g + 1}", "topic": f"topic-{t + 1}"}
            for item, g, t in zip(bank.items, graders, topics, strict=True)
        },
        (*of_agents, *of_verdicts),
    )


def _attempts(
    bank: ItemBank,
    crew: Crew,
    topics: Indices,
    defects: Sequence[Defect],
    chosen: Mapping[Defect, Indices],
    trials: int,
    seed: int,
) -> tuple[Indices, list[Planted]]:
    """``(A, n, T)`` categories that agents reach, with the defects that are their own."""
    a, n = len(crew.name), len(bank.items)
    first = crew.ability[:, 0]
    shift, fails = np.zeros((a, n)), np.zeros((a, n))
    other = crew.ability
    planted: list[Planted] = []
    for defect in defects:
        match defect:
            case Dif():
                if a < 3:
                    raise PlanError(f"--plant: dif needs a third of the agents, but there are {a}")
                favoured = FAMILIES[int(stream(seed, 4).integers(3))]
                members = np.array([name.startswith(favoured) for name in crew.llm])
                spread = np.array([np.linalg.norm(bank.items[i].slopes) for i in chosen[defect]])
                shift[np.ix_(members, chosen[defect])] = _EASIER * float(bank.sd[0]) * spread
                planted += [
                    Planted(defect.name, "item", bank.items[i].id, favoured) for i in chosen[defect]
                ]
            case Dimensions():
                z = (first - bank.mean[0]) / bank.sd[0]
                noise = np.sqrt(1 - _CORRELATION**2) * stream(seed, 5).standard_normal(a)
                other = (bank.mean[0] + bank.sd[0] * (_CORRELATION * z + noise))[:, None]
                planted += [
                    Planted(defect.name, "item", bank.items[i].id) for i in np.flatnonzero(topics)
                ]
            case Sandbag():
                able = np.argsort(-first, kind="stable")[: int(np.ceil(a * _ABLE))]
                if defect.count > len(able):
                    raise PlanError(
                        f"--plant: sandbag={defect.count} is more than the {len(able)} agents of "
                        "the ablest quarter; plant fewer, or draw more --agents"
                    )
                easy = np.argsort(difficulties(bank), kind="stable")[: int(np.ceil(n * _EASY))]
                who = np.sort(stream(seed, 6).permutation(able)[: defect.count])
                fails[np.ix_(who, easy)] = _FAILED
                planted += [Planted(defect.name, "agent", crew.name[k]) for k in who]
            case Gap():
                low, high = gap_in(bank)
                planted.append(Planted(defect.name, "benchmark", f"{low:.3g} to {high:.3g}"))
            case Reversed() | Coin() | Duplicates() | Grader():
                pass
    category = np.empty((a, n, trials), np.intp)
    for i, item in enumerate(bank.items):
        rng = stream(seed, 7, i)
        effect = item.effect_sd * rng.standard_normal(a)
        ability = other if topics[i] else crew.ability
        category[:, i] = draw_answers(item, ability, shift[:, i] + effect, trials, rng)
        category[:, i][rng.random((a, trials)) < fails[:, i, None]] = 0
    return category, planted


def _verdicts(
    bank: ItemBank,
    reached: Indices,
    defects: Sequence[Defect],
    chosen: Mapping[Defect, Indices],
    seed: int,
) -> tuple[Indices, Indices, list[Planted]]:
    """Categories after the defects of keys and graders; ``(n,)`` graders."""
    category = reached.copy()
    a, n, trials = category.shape
    top = np.array([len(item.intercepts) for item in bank.items])
    by: Indices = stream(seed, 8).integers(_GRADERS, size=(n,))
    planted: list[Planted] = []
    for defect, where in chosen.items():
        rng = stream(seed, 9, list(KINDS).index(defect.name))
        tossed = np.moveaxis(rng.integers(top[where] + 1, size=(trials, a, len(where))), 0, 2)
        names = [bank.items[i].id for i in where]
        match defect:
            case Reversed():
                category[:, where] = top[where, None] - category[:, where]
                planted += [Planted(defect.name, "item", name) for name in names]
            case Coin():
                category[:, where] = tossed
                planted += [Planted(defect.name, "item", name) for name in names]
            case Grader():
                broken = int(rng.integers(_GRADERS))
                # the others share out what it had
                by[by == broken] = (broken + rng.integers(1, _GRADERS, size=(n,)))[by == broken]
                by[where] = broken
                by %= _GRADERS
                careless = rng.random(tossed.shape) < _TOSSED
                category[:, where] = np.where(careless, tossed, category[:, where])
                planted += [Planted(defect.name, "item", x, f"grader-{broken + 1}") for x in names]
            case Duplicates():
                copies, originals = where[::2], where[1::2]
                same = rng.random((a, len(copies), 1)) >= _REDRAWN
                category[:, copies] = np.where(same, category[:, originals], category[:, copies])
                pairs = zip(names[::2], names[1::2], strict=True)
                planted += [Planted(defect.name, "item", copy, other) for copy, other in pairs]
            case _:
                pass
    return category, by, planted


def _responses(bank: ItemBank, crew: Crew, category: Indices) -> Responses:
    agent, item, trial = (index.ravel() for index in np.indices(category.shape))
    unknown = np.full(category.size, np.nan)
    return Responses(
        agents=crew.name,
        items=tuple(item.id for item in bank.items),
        agent=agent,
        item=item,
        trial=trial,
        category=category.ravel(),
        n_categories=np.array([len(item.intercepts) + 1 for item in bank.items]),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
        llm=crew.llm,
        scaffold=crew.scaffold,
        date=crew.date,
        labels=tuple(bank.categories[item.categories] for item in bank.items),
        source="simulated agents",
    )
