"""What a file of another program holds."""

from dataclasses import dataclass
from typing import Final, Literal

from harness.bank import Calibrant, Item
from harness.errors import BankError

Format = Literal["mirt", "py-irt"]
_MOST_ABILITIES: Final = 3


@dataclass(frozen=True)
class Population:
    """Normal distribution of ability that a scale comes from; one entry an ability."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...] = ()
    """``(D, D)``; independent when empty."""


@dataclass(frozen=True)
class Found:
    """Items, and what else a file says of their scale."""

    format: Format
    items: tuple[Item, ...]
    population: Population | None = None
    """None where the file does not say."""
    calibrants: tuple[Calibrant, ...] = ()


def check_abilities(dimensions: int) -> None:
    """A bank can have so many abilities.

    Raises:
        BankError: it cannot.
    """
    if not 1 <= dimensions <= _MOST_ABILITIES:
        raise BankError(
            f"{dimensions} abilities: a bank has 1 to {_MOST_ABILITIES}, with a slope of every "
            "item for each"
        )
