"""Banks, agents and honest answers, drawn at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import irt
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.irt import Array

Indices = NDArray[np.intp]
FAMILIES = "claude", "gpt", "gemini"


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
    rng = stream(seed, 0)
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


@dataclass(frozen=True, eq=False)
class Crew:
    """The agents."""

    name: tuple[str, ...]
    llm: tuple[str, ...]
    scaffold: tuple[str, ...]
    date: tuple[str, ...]
    ability: Array


def draw_crew(ability: Array, seed: int) -> Crew:
    """Models of three families, a third of the agents each; three scaffolds; dates of 30 months."""
    a = len(ability)
    rng = stream(seed, 3)
    family = rng.permutation(np.arange(a) % 3)
    llm = tuple(
        f"{FAMILIES[f]}-{np.count_nonzero(family[:k] == f) + 1}" for k, f in enumerate(family)
    )
    # dates correlate 0.6 with the rank of the first ability
    place = (_ranks(ability[:, 0]) + 0.5) / a - 0.5
    month = _ranks(0.6 * np.sqrt(12) * place + 0.8 * rng.standard_normal(a)) * 30 // a
    return Crew(
        tuple(f"agent{k + 1:0{len(str(a))}}" for k in range(a)),
        llm,
        tuple(f"scaffold-{s + 1}" for s in rng.integers(3, size=a)),
        tuple(f"{2024 + m // 12}-{m % 12 + 1:02}-01" for m in month),
        ability,
    )


def _ranks(values: Array) -> Indices:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def draw_answers(
    item: Item, ability: Array, shift: Array, trials: int, rng: np.random.Generator
) -> Indices:
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


def difficulties(bank: ItemBank) -> Array:
    """``(n,)`` mean thresholds."""
    return np.array([np.mean(item.difficulties) for item in bank.items])


def stream(*seed: int) -> np.random.Generator:
    """One stream for each purpose, so that a defect changes nothing but what it is about."""
    return np.random.default_rng(seed)
