"""Calibration: logged outcomes to item parameters with their uncertainty."""

from harness.calibrate.fit import Calibration, calibrate
from harness.calibrate.priors import FLAT, Normal, Priors

__all__ = ["FLAT", "Calibration", "Normal", "Priors", "calibrate"]
