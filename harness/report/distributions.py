"""The distributions behind a summary, as the page draws them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.ability import normalise
from harness.irt import Array
from harness.session import Session


@dataclass(frozen=True, eq=False)
class AbilityDensity:
    """Marginal densities of one ability, each ``(M,)`` over ``values``."""

    values: Array
    prior: Array
    posterior: Array
    if_voids_failed: Array | None


@dataclass(frozen=True, eq=False)
class Distributions:
    """What is believed of a session's agent, in full."""

    abilities: tuple[AbilityDensity, ...]
    scores: Array
    """``(S,)`` possible scores on the bank."""
    score_probabilities: Array
    """``(S,)``."""


def distributions(session: Session) -> Distributions:
    """Prior and posterior of each ability, and the predicted score on the bank."""
    nodes = session.table.nodes
    prior = normalise(session.plan.prior.log_weights(nodes))
    failed = session.if_voids_failed().weights if session.open_voids else None
    abilities = []
    for d in range(nodes.shape[1]):
        values, cell = np.unique(nodes[:, d], return_inverse=True)

        def density(weights: Array, values: Array = values, cell: NDArray[np.intp] = cell) -> Array:
            return np.asarray(np.bincount(cell, weights=weights) / (values[1] - values[0]))

        abilities.append(
            AbilityDensity(
                values,
                density(prior),
                density(session.posterior.weights),
                None if failed is None else density(failed),
            )
        )
    return Distributions(tuple(abilities), session.score.values, session.score.probabilities)
