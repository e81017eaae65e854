"""What is looked out for: that ability fell, or rose, by more than so much.

An alarm is raised where the posterior probability of such a change reaches ``1 - alpha``. As that
probability is right whenever one looks, the first alarm of a run is false with a probability of at
most alpha, however many checkpoints are looked at and whatever decided to look (Shiryaev 1963).
"""

import re
from dataclasses import dataclass
from typing import Literal

from harness.errors import PlanError

_TEXT = re.compile(
    r"(fall|rise)\s*>\s*(\d*\.?\d+(?:e[-+]?\d+)?)\s+(?:within\s+(\d+)|since\s+(-?\d+|first))"
)


@dataclass(frozen=True)
class Alarm:
    """A change of one ability, against an earlier checkpoint.

    >>> parse_alarm("fall > .25 within 5")
    Alarm(direction='fall', by=0.25, window=5, since=None)
    >>> str(parse_alarm("rise>0.5 since first"))
    'rise>0.5 since first'
    """

    direction: Literal["fall", "rise"]
    by: float
    """In sds of the bank's population."""
    window: int | None = None
    """Against the ability so many tested checkpoints ago; None for a fixed baseline."""
    since: int | None = None
    """Step of the baseline; None with neither window nor step is the first checkpoint."""

    def __str__(self) -> str:
        if self.window is not None:
            return f"{self.direction}>{self.by:.12g} within {self.window}"
        since = "first" if self.since is None else self.since
        return f"{self.direction}>{self.by:.12g} since {since}"


def parse_alarm(text: str) -> Alarm:
    """An alarm from its text, such as ``fall>0.25 within 5`` or ``rise>0.5 since 1000``.

    Raises:
        PlanError: it cannot be read.
    """
    match = _TEXT.fullmatch(text.strip())
    if not match or (match[3] and int(match[3]) < 1):
        raise PlanError(
            f"alarm {text!r} cannot be read; write it as 'fall>0.25 within 5' (so many checkpoints "
            "ago), 'fall>0.5 since first' or 'rise>0.5 since 1000' (a step)"
        )
    direction: Literal["fall", "rise"] = "fall" if match[1] == "fall" else "rise"
    window = int(match[3]) if match[3] else None
    since = int(match[4]) if match[4] and match[4] != "first" else None
    return Alarm(direction, float(match[2]), window, since)
