"""When to stop: rules over the progress of a session, and their combinators.

A rule is a frozen, printable callable from :class:`Progress` to one truth value per agent.
Its text is an expression such as ``sd<0.3 or items>=30``, which :mod:`harness.grammar` reads.
"""

from harness.stop.combine import AllOf, AnyOf, all_of, any_of, limits, precision_reached
from harness.stop.decide import Decided, Sprt, ToldApart, ability_above
from harness.stop.precision import HalfWidth, Plateau, SdBelow
from harness.stop.progress import Progress, Rule, Truth, counted
from harness.stop.spending import Exhausted, MaxCost, MaxItems, MaxSeconds
from harness.stop.trust import BARELY, caveat, doubt, predicted_only, predicted_words
from harness.stop.worth import GainBelow

__all__ = [
    "BARELY",
    "AllOf",
    "AnyOf",
    "Decided",
    "Exhausted",
    "GainBelow",
    "HalfWidth",
    "MaxCost",
    "MaxItems",
    "MaxSeconds",
    "Plateau",
    "Progress",
    "Rule",
    "SdBelow",
    "Sprt",
    "ToldApart",
    "Truth",
    "ability_above",
    "all_of",
    "any_of",
    "caveat",
    "counted",
    "doubt",
    "limits",
    "precision_reached",
    "predicted_only",
    "predicted_words",
]
