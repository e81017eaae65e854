"""The text of a plan: selectors, estimators and stopping rules read back from ``str()``."""

from harness.grammar.estimators import parse_estimator
from harness.grammar.rules import parse_stop
from harness.grammar.selectors import parse_selector

__all__ = ["parse_estimator", "parse_selector", "parse_stop"]
