"""Calibration: logged outcomes to item parameters with their uncertainty."""

from harness.calibrate.fit import Calibration, calibrate
from harness.calibrate.priors import Normal, Priors

__all__ = ["Calibration", "Normal", "Priors", "calibrate"]
