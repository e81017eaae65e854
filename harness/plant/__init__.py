"""Complete outcomes of simulated agents, with defects planted in them and a record of which.

What a diagnosis finds can only be judged where the truth is known. A bank that is drawn looks like
those of real benchmarks, as far as agents tell their items apart: calibrations of SWE-bench
Verified and Terminal-Bench 2 by this program estimate log discriminations of mean 0.76 and 0.69
and sd 0.43 and 0.40, and difficulties of mean 0.39 and 0.83 and sd 1.49 and 1.60, in sds of their
agents.

Parameters of a bank count as known here: all agents meet the same item, so that averaging over its
uncertainty would draw another item for each of them.

``defects`` says what can be planted, ``draw`` makes banks, agents and honest answers, ``places``
chooses the items of each defect, and ``outcomes`` puts them together.
"""

from harness.plant.defects import (
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
    parse_defects,
)
from harness.plant.draw import draw_bank
from harness.plant.outcomes import Simulated, plant

__all__ = [
    "Coin",
    "Defect",
    "Dif",
    "Dimensions",
    "Duplicates",
    "Gap",
    "Grader",
    "Planted",
    "Reversed",
    "Sandbag",
    "Simulated",
    "draw_bank",
    "parse_defects",
    "plant",
]
