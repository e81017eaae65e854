"""What can be planted, and how it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from harness.errors import PlanError


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
KINDS: Mapping[str, type[Defect]] = {kind.name: kind for kind in get_args(Defect)}
"""By name."""


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
        if name not in KINDS:
            known = ", ".join(
                name if kind in (Gap, Dimensions) else f"{name}=N" for name, kind in KINDS.items()
            )
            raise PlanError(f"--plant: unknown defect {name!r}; known: {known}")
        if name in found:
            raise PlanError(f"--plant: {name} is named twice; give it once, with its number")
        kind = KINDS[name]
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
