"""Which item next: criteria over the table, and what combines them.

A selector is a frozen, printable callable from a :class:`View` to gains ``(A, n)``: how much
each item promises under each of A posteriors. :func:`choose` takes the available item with the
largest gain. Items in flight are counted by averaging over what they may still answer.

The modules, lowest first: ``view`` and ``text`` (shapes), ``derived`` (what is made of a table
once), ``futures`` (items in flight), ``choose``, ``criteria`` (ability), ``aims`` (score,
decision, comparison), ``cost``, ``combine``, ``exposure``, ``baselines``.
"""

from harness.select.aims import Apart, DecideAbility, DecideScore, ScoreVariance
from harness.select.baselines import Fixed, Random, Window
from harness.select.choose import NEAR_TIE, choose, pick
from harness.select.combine import AtMost, Audit, Balance, Exclude, Randomesque, audits
from harness.select.cost import PerCost, Unit, expected_cost, learned_pace
from harness.select.criteria import (
    KullbackLeibler,
    MaxInformation,
    MinExpectedVariance,
    MutualInformation,
    Optimal,
    PosteriorInformation,
)
from harness.select.exposure import Progressive, SympsonHetter
from harness.select.futures import Combinator, gains_of
from harness.select.view import Estimator, PointEstimator, Selector, View

__all__ = [
    "NEAR_TIE",
    "Apart",
    "AtMost",
    "Audit",
    "Balance",
    "Combinator",
    "DecideAbility",
    "DecideScore",
    "Estimator",
    "Exclude",
    "Fixed",
    "KullbackLeibler",
    "MaxInformation",
    "MinExpectedVariance",
    "MutualInformation",
    "Optimal",
    "PerCost",
    "PointEstimator",
    "PosteriorInformation",
    "Progressive",
    "Random",
    "Randomesque",
    "ScoreVariance",
    "Selector",
    "SympsonHetter",
    "Unit",
    "View",
    "Window",
    "audits",
    "choose",
    "expected_cost",
    "gains_of",
    "learned_pace",
    "pick",
]
