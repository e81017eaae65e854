"""The health of a benchmark: what its outcomes say is wrong with it, and what to do.

``gather`` makes the evidence that all analyses share: cleaned outcomes, a calibrated bank of one
ability, the posterior of every agent. Each analysis is a module with one function from the evidence
to plain data with flags; ``assess`` runs them all.
"""

from harness.health.assess import Health, assess
from harness.health.evidence import About, Evidence, gather
from harness.health.flags import Flag

__all__ = ["About", "Evidence", "Flag", "Health", "assess", "gather"]
