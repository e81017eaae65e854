"""Why a task is hard: what its features say of its difficulty, and what they do not."""

from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.errors import InputError
from harness.irt import Array
from harness.predict.predictor import Predictor, fit_predictor
from harness.predict.reasons import Reason, explain
from harness.regression import Features, Regression


@dataclass(frozen=True, eq=False)
class Why:
    """Difficulty of one task as its features say, and as it is."""

    predicted: float
    """From the features, by the other tasks."""
    sd: float
    calibrated: float
    """From outcomes alone."""
    calibrated_sd: float
    surprise: float
    """Calibrated less predicted, in sds of what that may be."""
    average: float
    """Difficulty of a task whose features are all average."""
    reasons: tuple[Reason, ...]
    """What each feature adds to the average; none without features of the task."""
    explained: float
    """Share of the variance of difficulty that features explain, over all tasks."""
    blocks: tuple[str, ...]
    tasks: int
    """That it was learned from."""
    coded: Array
    """``(n, p)`` standardised features of the items of the bank; empty without features."""


def why(
    bank: ItemBank, item: str, features: Features | None, predictor: Predictor | None
) -> Why | str:
    """Difficulty explained, or a sentence on why it is not.

    Args:
        features: of the items of the bank.
        predictor: of the bank; used where the features have its columns, or without features.
    """
    if features is None and predictor is None:
        return (
            "Why it is hard cannot be told: give what is known of the tasks with --features "
            "NAME=FILE."
        )
    try:
        fit = _fit(bank, features, predictor)
    except InputError as error:
        return f"Why it is hard cannot be told: {error}."
    fitted = fit.fitted
    if item not in fitted.names:
        return f"Why it is hard cannot be told: the features have no row of {item!r}."
    row = fitted.names.index(item)
    shares = dict(fit.shares())
    reasons: tuple[Reason, ...] = ()
    coded = np.zeros((len(bank.items), 0))
    if features is not None:
        reasons = explain(fit, features.of([item]))[0]
        coded = fit.coding.design(features.of(one.id for one in bank.items)).x[:, 1:]
    predicted, sd = float(fitted.mean[row]), float(fitted.sd[row])
    calibrated, noise = float(fitted.y[row]), float(np.sqrt(fitted.noise[row]))
    return Why(
        predicted,
        sd,
        calibrated,
        noise,
        (calibrated - predicted) / float(np.hypot(sd, noise)),
        float(fit.weights[0]),
        reasons,
        1 - shares["residual"],
        fit.coding.blocks,
        fit.n,
        coded,
    )


def _fit(bank: ItemBank, features: Features | None, predictor: Predictor | None) -> Regression:
    if predictor is None or features is None:
        if predictor is not None:
            return predictor.difficulty
        assert features is not None
        return fit_predictor(bank, features).difficulty
    given = {(column.block, column.name) for column in features.columns}
    used = {(code.column.block, code.column.name) for code in predictor.difficulty.coding.codes}
    return predictor.difficulty if used <= given else fit_predictor(bank, features).difficulty
