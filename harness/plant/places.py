"""Which items get which defect."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.bank import ItemBank
from harness.errors import PlanError
from harness.plant.defects import Coin, Defect, Dif, Duplicates, Grader, Reversed
from harness.plant.draw import Indices, difficulties, stream

_HARD = 0.0, 1.5
"""Sds above the mean agent between which items may be known to a family."""
_GAP = 0.3, 1.3


def choose(bank: ItemBank, defects: Sequence[Defect], seed: int) -> dict[Defect, Indices]:
    """Positions of the items of each defect; of duplicates each copy and its original."""
    n = len(bank.items)
    hard = (difficulties(bank) - bank.mean[0]) / bank.sd[0]
    free: list[int] = stream(seed, 11).permutation(n).tolist()
    chosen: dict[Defect, Indices] = {}
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


def gap_in(bank: ItemBank) -> tuple[float, float]:
    """The stretch of abilities that a gap leaves without items."""
    low, high = (float(bank.mean[0] + bank.sd[0] * edge) for edge in _GAP)
    return low, high


def with_gap(bank: ItemBank, seed: int) -> ItemBank:
    """Items in the gap become as difficult as other items, drawn at random."""
    low, high = gap_in(bank)
    difficulty = difficulties(bank)
    inside = (difficulty >= low) & (difficulty <= high)
    if inside.all():
        raise PlanError("--plant: gap leaves no item; all of them are as difficult as the gap")
    moved = np.where(inside, stream(seed, 10).choice(difficulty[~inside], len(inside)), difficulty)
    items = tuple(
        replace(item, intercepts=tuple(d - item.slopes[0] * float(by) for d in item.intercepts))
        for item, by in zip(bank.items, moved - difficulty, strict=True)
    )
    return replace(bank, items=items)
