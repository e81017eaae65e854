"""Complete outcomes of simulated agents, with defects planted in them and a record of which.

What a diagnosis finds can only be judged where the truth is known. A bank that is drawn looks like
those of real benchmarks, as far as agents tell their items apart: calibrations of SWE-bench
Verified and Terminal-Bench 2 by this program estimate log discriminations of mean 0.76 and 0.69
and sd 0.43 and 0.40, and difficulties of mean 0.39 and 0.83 and sd 1.49 and 1.60, in sds of their
agents.

Parameters of a bank count as known here: all agents meet the same item, so that averaging over its
uncertainty would draw another item for each of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness import irt
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.irt import Array
from harness.responses import Responses

_Indices = NDArray[np.intp]

# --- what can be planted ------------------------------------------------------------------------


@dataclass(frozen=True)
class Reversed:
    """Items whose key is inverted: category k of K counts as K-1-k."""

    name: ClassVar = "reversed"
    count: int


@dataclass(frozen=True)
class Coin:
    """Items whose category is drawn at random, whatever the agent did."""

    name: ClassVar = "coin"
    count: int


@dataclass(frozen=True)
class Duplicates:
    """Items that are another one once more: 5% of cells differ by chance, the others are copied."""

    name: ClassVar = "duplicates"
    count: int


@dataclass(frozen=True)
class Grader:
    """Items of one grader, named in their tags, that tosses a coin for half of its verdicts."""

    name: ClassVar = "grader"
    count: int


@dataclass(frozen=True)
class Dif:
    """Items a little hard for the mean agent, by up to 1.5 sds, that a third of agents, one family,
    know: they are 3 sds of ability easier for them."""

    name: ClassVar = "dif"
    count: int


@dataclass(frozen=True)
class Sandbag:
    """Agents of the ablest quarter that fail each of the easiest 30% of items with chance 0.7."""

    name: ClassVar = "sandbag"
    count: int


@dataclass(frozen=True)
class Gap:
    """No item is as difficult as from 0.3 to 1.3 sds above the mean agent; it has moved away."""

    name: ClassVar = "gap"


@dataclass(frozen=True)
class Dimensions:
    """A random half of the items measures a second ability, correlated 0.5 with the first."""

    name: ClassVar = "dimensions"


Defect = Reversed | Coin | Duplicates | Grader | Dif | Sandbag | Gap | Dimensions

_KINDS: Mapping[str, type[Defect]] = {kind.name: kind for kind in get_args(Defect)}
_REDRAWN = 0.05
_TOSSED = 0.5
_HARD, _EASIER = (0.0, 1.5), 3.0
_EASY, _FAILED, _ABLE = 0.3, 0.7, 0.25
_GAP = 0.3, 1.3
_CORRELATION = 0.5
_GRADERS = 4
_FAMILIES = "claude", "gpt", "gemini"


def parse_defects(text: str) -> tuple[Defect, ...]:
    """Defects from their text, as in ``reversed=5, gap``; none of an empty one.

    Raises:
        PlanError: an unknown defect, one that is named twice, or a count that is no count.

    >>> parse_defects("coin=5, gap")
    (Coin(count=5), Gap())
    """
    found: dict[str, Defect] = {}
    for part in text.split(",") if text.strip() else ():
        name, equals, number = (word.strip() for word in part.partition("="))
        if name not in _KINDS:
            known = ", ".join(
                name if kind in (Gap, Dimensions) else f"{name}=N" for name, kind in _KINDS.items()
            )
            raise PlanError(f"--plant: unknown defect {name!r}; known: {known}")
        if name in found:
            raise PlanError(f"--plant: {name} is named twice; give it once, with its number")
        kind = _KINDS[name]
        if kind is Gap or kind is Dimensions:
            if equals:
                raise PlanError(f"--plant: {name} is of the whole benchmark and takes no number")
            found[name] = kind()
        else:
            if not number.isdecimal() or int(number) < 1:
                raise PlanError(f"--plant: {name} needs how many, as in {name}=5, not {part!r}")
            found[name] = kind(int(number))  # type: ignore[call-arg]
    return tuple(found.values())


@dataclass(frozen=True)
class Planted:
    """One thing that is wrong, and where."""

    defect: str
    kind: Literal["item", "agent", "benchmark"]
    name: str
    """The item or agent; of a gap the stretch of abilities."""
    partner: str = ""
    """What it is a copy of; the grader; the family that an item is easier for."""


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


# --- drawing ------------------------------------------------------------------------------------


def draw_bank(n_items: int, *, categories: int = 2, seed: int = 0) -> ItemBank:
    """A bank like those of real benchmarks: a ~ LogNormal(0.7, 0.35), b ~ N(0.2, 1.4).

    With more than two categories items are graded, and neighbouring thresholds lie
    LogNormal(-0.5, 0.4) apart around b. Abilities are meant to be N(0, 1).

    Raises:
        PlanError: fewer than two items or categories.

    >>> [len(item.intercepts) for item in draw_bank(2, categories=4).items]
    [3, 3]
    """
    if n_items < 2 or categories < 2:
        raise PlanError(f"a bank needs two items and categories, not {n_items} and {categories}")
    rng = _rng(seed, 0)
    a = np.exp(rng.normal(0.7, 0.35, n_items))
    b = rng.normal(0.2, 1.4, n_items)
    apart = np.exp(rng.normal(-0.5, 0.4, (n_items, categories - 2)))
    steps = np.pad(apart.cumsum(axis=1), ((0, 0), (1, 0)))
    thresholds = b[:, None] + steps - steps.mean(axis=1, keepdims=True)
    labels = ("fail", "pass") if categories == 2 else tuple(map(str, range(categories)))
    digits = len(str(n_items))
    items = tuple(
        Item(
            f"task{i + 1:0{digits}}",
            "2pl" if categories == 2 else "grm",
            (float(a[i]),),
            tuple(map(float, -a[i] * thresholds[i])),
            categories="drawn",
        )
        for i in range(n_items)
    )
    return ItemBank("drawn", items, {"drawn": labels})


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

    >>> found = plant(draw_bank(20), (Duplicates(1), Reversed(1)), agents=8)
    >>> found.responses.attempts.shape, [p.defect for p in found.planted]
    ((8, 20), ['duplicates', 'reversed'])
    """
    dimensions = len(bank.mean)
    if trials < 1:
        raise PlanError(f"--trials must be 1 or more, not {trials}")
    if abilities is None:
        abilities = bank.population.draw(max(agents, 0), _rng(seed, 1))
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
        bank = _with_gap(bank, seed)
    chosen = _choose(bank, defects, seed)
    n = len(bank.items)
    topics = _rng(seed, 2).permutation(np.arange(n) % 2)
    items = list(bank.items)
    for defect in chosen:
        if isinstance(defect, Duplicates):
            for copy, original in chosen[defect].reshape(-1, 2):
                items[copy] = replace(items[original], id=items[copy].id)
                topics[copy] = topics[original]
    bank = replace(bank, items=tuple(items))
    crew = _crew(abilities, seed)
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


@dataclass(frozen=True, eq=False)
class _Crew:
    """The agents."""

    name: tuple[str, ...]
    llm: tuple[str, ...]
    scaffold: tuple[str, ...]
    date: tuple[str, ...]
    ability: Array


def _crew(ability: Array, seed: int) -> _Crew:
    """Models of three families, a third of the agents each; three scaffolds; dates of 30 months."""
    a = len(ability)
    rng = _rng(seed, 3)
    family = rng.permutation(np.arange(a) % 3)
    llm = tuple(
        f"{_FAMILIES[f]}-{np.count_nonzero(family[:k] == f) + 1}" for k, f in enumerate(family)
    )
    # dates correlate 0.6 with the rank of the first ability
    place = (_ranks(ability[:, 0]) + 0.5) / a - 0.5
    month = _ranks(0.6 * np.sqrt(12) * place + 0.8 * rng.standard_normal(a)) * 30 // a
    return _Crew(
        tuple(f"agent{k + 1:0{len(str(a))}}" for k in range(a)),
        llm,
        tuple(f"scaffold-{s + 1}" for s in rng.integers(3, size=a)),
        tuple(f"{2024 + m // 12}-{m % 12 + 1:02}-01" for m in month),
        ability,
    )


def _ranks(values: Array) -> _Indices:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def _attempts(
    bank: ItemBank,
    crew: _Crew,
    topics: _Indices,
    defects: Sequence[Defect],
    chosen: Mapping[Defect, _Indices],
    trials: int,
    seed: int,
) -> tuple[_Indices, list[Planted]]:
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
                favoured = _FAMILIES[int(_rng(seed, 4).integers(3))]
                members = np.array([name.startswith(favoured) for name in crew.llm])
                spread = np.array([np.linalg.norm(bank.items[i].slopes) for i in chosen[defect]])
                shift[np.ix_(members, chosen[defect])] = _EASIER * float(bank.sd[0]) * spread
                planted += [
                    Planted(defect.name, "item", bank.items[i].id, favoured) for i in chosen[defect]
                ]
            case Dimensions():
                z = (first - bank.mean[0]) / bank.sd[0]
                noise = np.sqrt(1 - _CORRELATION**2) * _rng(seed, 5).standard_normal(a)
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
                easy = np.argsort(_difficulty(bank), kind="stable")[: int(np.ceil(n * _EASY))]
                who = np.sort(_rng(seed, 6).permutation(able)[: defect.count])
                fails[np.ix_(who, easy)] = _FAILED
                planted += [Planted(defect.name, "agent", crew.name[k]) for k in who]
            case Gap():
                low, high = (bank.mean[0] + bank.sd[0] * edge for edge in _GAP)
                planted.append(Planted(defect.name, "benchmark", f"{low:.3g} to {high:.3g}"))
            case Reversed() | Coin() | Duplicates() | Grader():
                pass
    category = np.empty((a, n, trials), np.intp)
    for i, item in enumerate(bank.items):
        rng = _rng(seed, 7, i)
        effect = item.effect_sd * rng.standard_normal(a)
        ability = other if topics[i] else crew.ability
        category[:, i] = _answers(item, ability, shift[:, i] + effect, trials, rng)
        category[:, i][rng.random((a, trials)) < fails[:, i, None]] = 0
    return category, planted


def _answers(
    item: Item, ability: Array, shift: Array, trials: int, rng: np.random.Generator
) -> _Indices:
    """``(A, T)`` categories of agents of abilities ``(A, D)``, ``(A,)`` logits better than that."""
    log_p, _ = irt.response(
        irt.family(item.model),
        np.array([[*item.slopes, 1.0]]),
        np.array([item.intercepts]),
        np.array([item.lower]),
        np.array([item.upper]),
        np.column_stack([ability, shift]),
    )
    below = np.exp(log_p[0]).cumsum(axis=0)[:-1].T
    uniform = rng.random((len(ability), trials))
    return np.asarray((uniform[:, :, None] >= below[:, None]).sum(axis=2), np.intp)


def _verdicts(
    bank: ItemBank,
    reached: _Indices,
    defects: Sequence[Defect],
    chosen: Mapping[Defect, _Indices],
    seed: int,
) -> tuple[_Indices, _Indices, list[Planted]]:
    """Categories after the defects of keys and graders; ``(n,)`` graders."""
    category = reached.copy()
    a, n, trials = category.shape
    top = np.array([len(item.intercepts) for item in bank.items])
    by: _Indices = _rng(seed, 8).integers(_GRADERS, size=(n,))
    planted: list[Planted] = []
    for defect, where in chosen.items():
        rng = _rng(seed, 9, list(_KINDS).index(defect.name))
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


def _rng(*seed: int) -> np.random.Generator:
    """One stream for each purpose, so that a defect changes nothing but what it is about."""
    return np.random.default_rng(seed)


def _with_gap(bank: ItemBank, seed: int) -> ItemBank:
    """Items in the gap become as difficult as other items, drawn at random."""
    low, high = (bank.mean[0] + bank.sd[0] * edge for edge in _GAP)
    difficulty = _difficulty(bank)
    inside = (difficulty >= low) & (difficulty <= high)
    if inside.all():
        raise PlanError("--plant: gap leaves no item; all of them are as difficult as the gap")
    moved = np.where(inside, _rng(seed, 10).choice(difficulty[~inside], len(inside)), difficulty)
    items = tuple(
        replace(item, intercepts=tuple(d - item.slopes[0] * float(by) for d in item.intercepts))
        for item, by in zip(bank.items, moved - difficulty, strict=True)
    )
    return replace(bank, items=items)


def _difficulty(bank: ItemBank) -> Array:
    """``(n,)`` mean thresholds."""
    return np.array([np.mean(item.difficulties) for item in bank.items])


def _choose(bank: ItemBank, defects: Sequence[Defect], seed: int) -> dict[Defect, _Indices]:
    """Positions of the items of each defect; of duplicates each copy and its original."""
    n = len(bank.items)
    hard = (_difficulty(bank) - bank.mean[0]) / bank.sd[0]
    free: list[int] = _rng(seed, 11).permutation(n).tolist()
    chosen: dict[Defect, _Indices] = {}
    # those with a condition come first
    order = (Dif, Duplicates, Reversed, Coin, Grader)
    of_items = [d for d in defects if isinstance(d, order)]
    for defect in sorted(of_items, key=lambda d: order.index(type(d))):
        needed, kind = defect.count, "items"
        match defect:
            case Dif():
                low, high = _HARD
                fit = [i for i in free if low <= hard[i] <= high]
                kind = f"items {low:g} to {high:g} sds harder than the mean agent is able"
            case Duplicates():
                fit, kind = _pairs(bank, free), "items in pairs of the same categories"
                needed *= 2
            case _:
                fit = free
        if needed > len(fit):
            raise PlanError(
                f"--plant: {defect.name}={defect.count} takes {needed} {kind}, but {len(fit)} are "
                "left without a defect; plant fewer, or have more --items"
            )
        taken = fit[:needed]
        chosen[defect] = np.array(taken)
        free = [i for i in free if i not in taken]
    return chosen


def _pairs(bank: ItemBank, free: Sequence[int]) -> list[int]:
    """Free items that share their categories two by two, first and second in turn."""
    waiting: dict[str, int] = {}
    paired: list[int] = []
    for i in free:
        kind = bank.items[i].categories
        if kind in waiting:
            paired += [i, waiting.pop(kind)]
        else:
            waiting[kind] = i
    return paired


def _responses(bank: ItemBank, crew: _Crew, category: _Indices) -> Responses:
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
