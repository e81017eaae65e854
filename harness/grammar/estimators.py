"""Estimators read back from their text."""

from harness.catsim_adapter import catsim_estimator
from harness.errors import PlanError
from harness.select import Estimator


def parse_estimator(text: str) -> Estimator:
    """An estimator from its text.

    Raises:
        PlanError: for an unknown name.
    """
    match text:
        case "eap" | "map":
            return text
        case _ if text.startswith("catsim:"):
            return catsim_estimator(text.removeprefix("catsim:"))
        case _:
            raise PlanError(f"unknown estimator {text!r}; use eap, map or catsim:NAME")
