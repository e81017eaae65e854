"""Whether a stated precision is to be trusted."""

from typing import Final

import numpy as np

from harness.stop.progress import Progress

BARELY: Final = 0.7
"""An item whose difficulty has a larger sd than this, in sds of the population (half the variance
of the abilities that it is to tell apart), is barely calibrated. Items of banks made without any
outcomes have 1.5; those calibrated on a dozen agents that sessions choose stay below 0.7."""


def doubt(progress: Progress) -> str | None:
    """Why the precision of the first session is not to be trusted; None where it is.

    That is when more than half of the Fisher information at its estimate comes from answered
    items that are barely calibrated: the errors of such items are shared by whatever made their
    parameters, so they do not average out as the posterior takes them to.
    """
    view = progress.view
    table = view.table
    if not table.location_sd.any():
        return None
    rows = np.flatnonzero(view.answers[0] >= 0)
    node = ((table.nodes - view.ability[0]) ** 2).sum(axis=1).argmin()
    information = table.information[rows, node]
    total = information.sum()
    share = information[table.location_sd[rows] > BARELY].sum() / total if total > 0 else 0.0
    if share <= 0.5:
        return None
    return f"{share:.0%} of the information comes from items that are barely calibrated"
