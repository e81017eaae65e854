"""Predictive validity: do abilities on one benchmark tell those on another?

Agents are matched by a mapping (:mod:`~harness.validity.mapping`), their abilities on every
benchmark come with errors (:mod:`~harness.validity.measures`), and the correlation of abilities is
that of a model which knows of the errors (:mod:`~harness.validity.latent`). Correlations that do
not know of them stand beside it (:mod:`~harness.validity.plain`).
"""

from harness.validity.correlate import FEWEST, analyse_validity, compare_measures
from harness.validity.mapping import (
    Matching,
    match_by,
    read_mapping,
    suggest_mapping,
    write_suggestions,
)
from harness.validity.measures import Measure, measure
from harness.validity.result import Pair, Partial, Refusal, Validity

__all__ = [
    "FEWEST",
    "Matching",
    "Measure",
    "Pair",
    "Partial",
    "Refusal",
    "Validity",
    "analyse_validity",
    "compare_measures",
    "match_by",
    "measure",
    "read_mapping",
    "suggest_mapping",
    "write_suggestions",
]
