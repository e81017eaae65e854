"""What a selector sees, and the shapes of selectors and estimators."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.ability import PosteriorEstimate, blurred, point_estimate
from harness.irt import Array, Table
from harness.select.predicted import common_shift, predicted_share

Truth = NDArray[np.bool_]
Rows = NDArray[np.intp] | Truth | slice | list[int]


@dataclass(frozen=True, eq=False)
class View:
    """What a selector may look at: A posteriors over one table."""

    table: Table
    weights: Array
    """``(A, Q)`` posterior probabilities of the ability that the answered items show: what the
    next item adds to. Of the ability on the whole bank they are ``posterior``."""
    available: Truth
    """``(A, n)`` items that may be chosen."""
    seeds: NDArray[np.int64]
    """``(A, 2)`` seed and step: the only source of randomness."""
    answers: NDArray[np.intp]
    """``(A, n)`` category of each answered item, -1 elsewhere."""
    estimator: "Estimator" = "eap"
    pending: Truth | None = None
    """``(A, n)`` items in flight; None for none."""
    counted: Truth | None = None
    """``(A, n)`` items that the predicted score is over; None for all."""
    pace: Array | None = None
    """``(A, 2)`` by what factor the agent's attempts cost more dollars and seconds than the
    bank expects; None for 1."""

    @cached_property
    def ability(self) -> Array:
        """``(A, D)`` point estimates."""
        if isinstance(self.estimator, str):
            return point_estimate(self.table.nodes, self.weights, self.estimator)
        return self.estimator(self)

    @cached_property
    def posterior(self) -> Array:
        """``(A, Q)`` posterior probabilities of ability on the whole bank.

        Wider than ``weights`` by what is specific to the items of a session, of which less is
        left the more of the bank is answered, and by the error that predicted items share.
        """
        return self._wider(self._common[0])

    @cached_property
    def score_posterior(self) -> Array:
        """``(A, Q)`` the same for predicting the score of the bank, which errors that answered and
        open items share do not change."""
        return self._wider(self._common[1])

    @cached_property
    def predicted_share(self) -> Array:
        """``(A,)`` share of the information of the answers that rests on predicted items."""
        return predicted_share(self.table, self.weights, self.answers)

    @cached_property
    def predicted_answers(self) -> NDArray[np.intp]:
        """``(A,)`` how many of the answered items are predicted."""
        if not self.table.predicted.any():
            return np.zeros(len(self.answers), np.intp)
        return np.asarray((self.answers[:, self.table.predicted] >= 0).sum(axis=1))

    @cached_property
    def _common(self) -> tuple[Array, Array]:
        return common_shift(self.table, self.weights, self.answers, self.counted)

    def _wider(self, common: Array) -> Array:
        if not self.table.specific_sd and not common.any():
            return self.weights
        counted = np.ones(self.answers.shape, bool) if self.counted is None else self.counted
        share = ((self.answers >= 0) & counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        sd = np.hypot(self.table.specific_sd * np.sqrt(1 - share), common)
        return blurred(self.table.nodes, self.weights, sd)

    @cached_property
    def taken(self) -> Truth:
        """``(A, n)`` items that are answered or in flight."""
        answered = self.answers >= 0
        return answered if self.pending is None else answered | self.pending

    def of(self, rows: Rows) -> Self:
        """The view of some of the agents."""
        return replace(
            self,
            weights=self.weights[rows],
            available=self.available[rows],
            seeds=self.seeds[rows],
            answers=self.answers[rows],
            pending=None if self.pending is None else self.pending[rows],
            counted=None if self.counted is None else self.counted[rows],
            pace=None if self.pace is None else self.pace[rows],
        )

    def narrowed(self, allowed: Truth) -> Self:
        """The view with fewer items to choose from; ``allowed`` is ``(A, n)`` or ``(n,)``."""
        return replace(self, available=self.available & allowed)


class PointEstimator(Protocol):
    """A point estimate that needs more than the posterior, such as one of catsim's."""

    def __call__(self, view: View, /) -> Array:
        """Estimates ``(A, D)``."""
        ...


Estimator = PosteriorEstimate | PointEstimator


@runtime_checkable
class Selector(Protocol):
    """Anything that promises a gain for every item; ``str()`` gives the text of the plan.

    A criterion also says ``informative = True`` if its gains measure information, so that 0
    means none and a preference may decide between near-ties. What has an ``inner`` selector is
    a combinator.
    """

    def __call__(self, view: View, /) -> Array:
        """Gains ``(A, n)``; larger is better, ``-inf`` is not to be chosen."""
        ...


RANDOMESQUE, PROGRESSIVE, AUDIT, AUDITED, WINDOW, EXPOSURE = range(1, 7)
"""Streams of random numbers, so that no two uses of them depend on each other."""


def uniform(view: View, stream: int) -> Array:
    """``(A, n)`` uniform numbers that depend on seed, step and ``stream`` only."""
    n = len(view.table.ids)
    return np.stack([np.random.default_rng([*seed, stream]).random(n) for seed in view.seeds])


def coins(view: View, stream: int) -> Array:
    """``(A, n)`` uniform numbers that depend on the seed only, the same at every step."""
    # no choice is made at step 0, so its random numbers are free
    return uniform(replace(view, seeds=view.seeds * np.array([1, 0])), stream)


def informative(selector: Selector) -> bool:
    """Whether a selector's gains measure information, so that near-ties are as good as ties."""
    return bool(getattr(selector, "informative", False))
