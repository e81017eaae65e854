"""Gates: conditions on the result of a session that make a run fail, for use in CI.

``P(score>0.5) < 0.9`` fails when it is not 90% sure that the score on the whole bank is above
one half. ``score``, ``ability`` and ``sd`` alone compare the estimate itself.
"""

import operator
import re
from dataclasses import dataclass
from typing import Literal

from harness.errors import PlanError
from harness.session import Session

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
_GATE = re.compile(
    rf"\s*(?:P\(\s*(score|ability)\s*>\s*{_NUMBER}\s*\)|(score|ability|sd))"
    rf"\s*(<=|>=|<|>)\s*{_NUMBER}\s*"
)


@dataclass(frozen=True)
class Gate:
    """A condition that makes a run fail when it holds."""

    text: str
    quantity: Literal["score", "ability", "sd"]
    above: float | None
    """For ``P(quantity > above)``; None compares the quantity itself."""
    comparison: str
    bound: float

    def value(self, session: Session) -> float:
        """The left-hand side for a session; abilities and sds are those of the first dimension."""
        match self.quantity:
            case "score":
                if self.above is None:
                    return session.score.mean
                return session.score.probability_above(self.above)
            case "ability":
                if self.above is None:
                    return session.ability[0]
                posterior = session.posterior
                return float(posterior.weights[posterior.nodes[:, 0] > self.above].sum())
            case "sd":
                return session.sd[0]

    def failed(self, session: Session) -> bool:
        """Whether the condition holds, so that the run fails."""
        return bool(_COMPARISONS[self.comparison](self.value(session), self.bound))


def parse_gate(text: str) -> Gate:
    """A gate from its text.

    Raises:
        PlanError: the text is not a gate.

    >>> gate = parse_gate("P(score>0.5) < 0.9")
    >>> gate.quantity, gate.above, gate.comparison, gate.bound
    ('score', 0.5, '<', 0.9)
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise PlanError(
            f"gate {text!r} cannot be read; write for example 'P(score>0.5) < 0.9', "
            "'P(ability>1) < 0.8', 'score < 0.4', 'ability < 0' or 'sd > 0.5'"
        )
    above = float(match[2]) if match[1] else None
    quantity = match[1] or match[3]
    return Gate(text, quantity, above, match[4], float(match[5]))  # type: ignore[arg-type]
