"""Regression on named blocks of features, each with a variance of its own (empirical Bayes)."""

from harness.regression.coding import Coding, learn_coding
from harness.regression.fit import (
    Contributions,
    Prediction,
    Regression,
    from_dict,
    regress,
    to_dict,
)
from harness.regression.table import Cell, Column, Features

__all__ = [
    "Cell",
    "Coding",
    "Column",
    "Contributions",
    "Features",
    "Prediction",
    "Regression",
    "from_dict",
    "learn_coding",
    "regress",
    "to_dict",
]
