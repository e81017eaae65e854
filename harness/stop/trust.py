"""Whether a stated precision is to be trusted, and how much of it rests on predicted items."""

from typing import Final

import numpy as np

from harness.irt import Table
from harness.stop.progress import Progress, Rule

BARELY: Final = 0.7
"""An item whose difficulty has a larger sd than this, in sds of the population (half the variance
of the abilities that it is to tell apart), is barely calibrated. Items of banks made without any
outcomes have 1.5; those calibrated on a dozen agents that sessions choose stay below 0.7."""


def doubt(progress: Progress) -> str | None:
    """Why the precision of the first session is not to be trusted; None where it is.

    That is when every answered item is predicted, so that no outcome of any agent has a say in
    what the answers mean, or when more than half of the Fisher information at its estimate comes
    from answered items that are barely calibrated. The errors of such items are shared by whatever
    made their parameters, so they do not average out as the posterior takes them to.
    """
    view = progress.view
    table = view.table
    predicted, answered = int(view.predicted_answers[0]), int((view.answers[0] >= 0).sum())
    if answered and predicted == answered:
        return predicted_words(1.0, predicted, answered)
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


def caveat(progress: Progress) -> str | None:
    """What to say beside the precision of the first session: that more than half of what it rests
    on is predicted. None where that is not so."""
    view = progress.view
    if view.predicted_share[0] <= 0.5:
        return None
    answered = int((view.answers[0] >= 0).sum())
    return predicted_words(float(view.predicted_share[0]), int(view.predicted_answers[0]), answered)


def predicted_words(share: float, predicted: int, answered: int) -> str:
    """How much of a result rests on predicted items.

    Args:
        share: of the information, see :attr:`harness.select.View.predicted_share`.
        predicted: answered items that are predicted.
        answered: all answered items.

    >>> predicted_words(0.622, 7, 12)
    '62% of the information rests on predicted items (7 of 12 answered)'
    >>> predicted_words(1.0, 12, 12)
    'all of the information rests on predicted items (12 of 12 answered)'
    """
    much = f"{min(max(share, 0.01), 0.99):.0%}"
    much = "none" if predicted == 0 else "all" if predicted == answered else much
    return (
        f"{much} of the information rests on predicted items ({predicted} of {answered} answered)"
    )


def predicted_only(rule: Rule, table: Table) -> str | None:
    """What to know before a session that is to end for precision on predicted items alone; None
    for any other."""
    if not rule.precise or not table.predicted.any() or not table.predicted.all():
        return None
    return (
        "every item of the bank is predicted, so a session that ends for its precision will be "
        "called doubtful: calibrate some items on outcomes first, or end it by items>=N alone"
    )
