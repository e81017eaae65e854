"""What the methods share: calibrations, where they put items, and items that are only predicted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bank import Item, ItemBank, compile_bank
from harness.calibrate import Calibration, calibrate
from harness.coldstart.benchmark import Benchmark
from harness.coldstart.forecast import Places
from harness.estimate import posteriors
from harness.irt import Array, Model
from harness.predict.predictor import Predictor
from harness.regression import Features, Regression, regress
from harness.responses import Responses


@dataclass(frozen=True, eq=False)
class Known:
    """A calibration, and what it leaves to know of its agents."""

    fit: Calibration
    nodes: Array
    """``(Q, 1)``."""
    weights: Array
    """``(A, Q)`` posteriors of the agents."""

    @property
    def bank(self) -> ItemBank:
        """The calibrated items."""
        return self.fit.bank

    def passing(self, items: Sequence[Item], weights: Array | None = None) -> Array:
        """``(A, m)`` chances of passing, averaged over what is not known of agents and items.

        Args:
            weights: ``(A, Q)`` of the agents; the posteriors when None.
        """
        bank = ItemBank("told", tuple(items), mean=self.bank.mean, sd=self.bank.sd)
        table = compile_bank(bank, self.nodes)
        return np.asarray((self.weights if weights is None else weights) @ table.p[:, 1].T)


def fit_known(responses: Responses, model: Model, features: Features | None = None) -> Known:
    """Calibrate on some outcomes, with features where they are given."""
    fit = calibrate(responses, model, name="known", features=features)
    placed = responses.subset(items=[item.id for item in fit.bank.items])
    return Known(fit, *posteriors(fit.bank, placed))


def difficulties(items: Sequence[Item]) -> Places:
    """Difficulties ``-d / a`` with their errors by the delta method."""
    a = np.array([item.slopes[0] for item in items])
    b = np.array([item.difficulties[0] for item in items])
    turn = np.stack([-b, -1 / a], axis=1)
    spread = np.array([item.covariance for item in items], float)
    variance = np.einsum("mp,mpq,mq->m", turn, spread, turn)
    return Places(b, np.sqrt(np.maximum(variance, 0.0)))


def any_item(bank: ItemBank) -> tuple[Item, float, float]:
    """An item of which nothing is known but that it is one of these, and the mean and sd of its
    difficulty; its slope is their median."""
    hard = difficulties(bank.items).value
    mean, sd = float(hard.mean()), float(hard.std())
    slope = float(np.median([item.slopes[0] for item in bank.items]))
    covariance = ((0.0, 0.0), (0.0, (slope * sd) ** 2))
    return Item("any", "2pl", (slope,), (-slope * mean,), covariance=covariance), mean, sd


def again(predictor: Predictor, features: Features) -> Predictor:
    """The same evidence on the items, explained by other features."""

    def refitted(fit: Regression) -> Regression:
        return regress(features.of(fit.fitted.names), fit.fitted.y, fit.fitted.noise)

    steep = predictor.log_slope
    return replace(
        predictor, difficulty=refitted(predictor.difficulty), log_slope=steep and refitted(steep)
    )


def pass_rates(responses: Responses, axis: int) -> Array:
    """Share of passes of each agent (1) or item (0); half a pass and half a failure are added, so
    that nothing is held to be impossible."""
    counts = responses.counts().sum(axis=axis)
    return np.asarray((counts[:, 1] + 0.5) / (counts.sum(axis=1) + 1))


@dataclass(frozen=True, eq=False)
class Oracle:
    """What all outcomes say, those to be told among them: nobody has this beforehand."""

    passing: Array
    """``(A, n)`` by 1PL."""
    one_slope: Places
    """``(n,)`` difficulties by 1PL, as abilities."""
    difficulty: Places
    """``(n,)`` by 2PL."""
    ability: Places
    """``(A,)`` by 2PL."""


def fit_oracle(benchmark: Benchmark) -> Oracle:
    """Calibrate on everything."""
    rasch = fit_known(benchmark.responses, "1pl")
    full = calibrate(benchmark.responses, "2pl", name="full")
    return Oracle(
        rasch.passing(rasch.bank.items),
        difficulties(rasch.bank.items),
        difficulties(full.bank.items),
        Places(full.ability[:, 0], full.sd[:, 0]),
    )
