"""The health of a benchmark: what its outcomes say is wrong with it, and what to do.

``gather`` makes the evidence that all analyses share: cleaned outcomes, a calibrated bank of one
ability, the posterior of every agent. Each analysis is a module with one function from the evidence
to plain data with flags; ``assess`` runs them all.

=============  ================================================================================
``evidence``   cleaned outcomes, curves, posteriors, residuals
``flags``      what a flag is; adjustment for how many were looked at
``items``      saturation, gaps, slopes, fit, noise, use of categories
``graders``    judges, their agreement and favour; contradictions of two graders
``structure``  dependence, dimensions, differential functioning, reliability, fit of the model
``agents``     person fit, sandbagging, contamination, broken scaffolds
``better``     a smaller benchmark, a cleaned bank
``assess``     all of them
=============  ================================================================================
"""

from harness.health.assess import Health, assess
from harness.health.evidence import About, Evidence, gather
from harness.health.flags import Flag

__all__ = ["About", "Evidence", "Flag", "Health", "assess", "gather"]
