"""A predictor: what features say of the parameters of items that no agent has tried."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import irt
from harness.bank import Item, ItemBank, parameter_names
from harness.calibrate import Calibration, calibrate
from harness.calibrate.ascend import Progress
from harness.errors import BankError, InputError
from harness.features.task_text import LEVELS, Level, level_of
from harness.irt import Array, Model
from harness.regression import Features, Regression, from_dict, regress, to_dict
from harness.responses import Responses

FILE = "predictor.json"
FORMAT = 1
_SPACING_SD = 0.02
"""At least, of thresholds around their mean: no two tasks are alike, and a covariance that is
singular does not survive being written."""
_KNOWN_SD = 1e-3
"""Of a parameter that a bank takes as known: nothing is known to the last digit."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """Regressions of difficulty and log slope on features, and what new items are like besides."""

    bank: str
    """Name of the bank whose items it was fitted to, and"""
    bank_hash: str
    model: Model
    """Of the items that it predicts."""
    categories: str
    """Name of their labels in the bank, and"""
    labels: tuple[str, ...]
    difficulty: Regression
    """Of the mean threshold on the scale of ability."""
    log_slope: Regression | None
    """None where all items have one slope."""
    common_log_slope: tuple[float, float]
    """Mean and sd of the log slope over the items; what counts where nothing explains it."""
    spacing: tuple[float, ...]
    """Thresholds minus their mean, on the scale of ability; ``(0.0,)`` for binary items."""
    spacing_sd: float
    """Sd of each of them between items."""
    effect_sd: float
    """Sd of what an item is to one agent, as the bank's items have it."""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks of features that it uses."""
        return self.difficulty.coding.blocks

    @property
    def levels(self) -> tuple[Level, ...]:
        """What has to be known of a task: the information levels that its blocks are named
        after."""
        needed = {level_of(block) for block in self.blocks}
        return tuple(level for level in LEVELS if level in needed)

    def common_sd(self, features: Features) -> float:
        """Sd of the error that the difficulties of these tasks have in common.

        Averaging over tasks does not make it smaller: it comes from the weights, not the tasks.
        """
        centre = self.difficulty.coding.design(features).x.mean(axis=0)
        return float(np.sqrt(max(centre @ self.difficulty.covariance @ centre, 0.0)))


def calibrate_explained(
    responses: Responses,
    features: Features,
    model: Model = "2pl",
    *,
    name: str,
    progress: Progress | None = None,
) -> tuple[Calibration, Predictor]:
    """Calibrate items and what features say of them in one model.

    Raises:
        ResponsesError, InputError: as :func:`harness.calibrate.calibrate`.
    """
    found = calibrate(responses, model, name=name, features=features, progress=progress)
    return found, predictor_of(found)


def predictor_of(calibration: Calibration) -> Predictor:
    """The predictor of an explained calibration.

    Raises:
        InputError: no features explained it, or its items have asymptotes.
    """
    explained = calibration.explained
    if explained is None:
        raise InputError("the calibration was given no features, so it predicts nothing")
    return _predictor(calibration.bank, explained.difficulty, explained.log_slope)


def fit_predictor(bank: ItemBank, features: Features) -> Predictor:
    """A predictor from a bank that is there: its parameters, their uncertainty, and features.

    The prior that shrank the parameters is taken out again where the bank says what it was. A
    joint calibration (:func:`calibrate_explained`) does better where outcomes are at hand and
    few.

    Raises:
        InputError: fewer than five items have features, several abilities, or asymptotes.
    """
    if len(bank.mean) > 1:
        raise InputError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities; difficulty is predicted for one"
        )
    with_row = {
        name
        for name, row in zip(features.names, features.cells, strict=True)
        if any(cell is not None for cell in row)
    }
    items = [item for item in bank.items if item.id in with_row and not item.predicted]
    if not items:
        raise InputError(
            f"none of the {len(features.names)} tasks with features is an item of bank "
            f"{bank.name!r} (they begin with {features.names[0]!r}, say, the items with "
            f"{bank.items[0].id!r}); names must be the same in both"
        )
    rows = features.of(item.id for item in items)
    hard = np.array([_difficulty(item) for item in items])
    steep = np.array([_log_slope(item) for item in items])
    priors = _priors(bank)
    one_slope = len({item.slopes for item in items}) == 1
    difficulty = regress(rows, *_unshrunk(hard, priors.get("b")))
    log_slope = None if one_slope else regress(rows, *_unshrunk(steep, priors.get("log_a")))
    return _predictor(bank, difficulty, log_slope)


def predicted_items(predictor: Predictor, features: Features) -> tuple[Item, ...]:
    """New items with predicted parameters and the covariance of the prediction.

    Difficulty and log slope are predicted independently; intercepts follow by the delta method.

    Raises:
        InputError: the features have nothing in common with those that the predictor uses.
    """
    hard = predictor.difficulty.predict(features)
    centre, spread = predictor.common_log_slope
    n = len(features.names)
    log_slope, log_slope_sd = np.full(n, centre), np.full(n, spread)
    if predictor.log_slope is not None:
        steep = predictor.log_slope.predict(features)
        log_slope, log_slope_sd = steep.mean, steep.sd
    found = []
    spacing = np.array(predictor.spacing)
    for row, name in enumerate(features.names):
        slope = float(np.exp(log_slope[row]))
        intercepts = -slope * (hard.mean[row] + spacing)
        by_slope = np.concatenate([[1.0], intercepts])
        covariance = log_slope_sd[row] ** 2 * np.outer(by_slope, by_slope)
        covariance[1:, 1:] += slope**2 * hard.sd[row] ** 2
        covariance[1:, 1:] += slope**2 * predictor.spacing_sd**2 * np.eye(len(spacing))
        found.append(
            Item(
                name,
                predictor.model,
                (_digits(slope),),
                tuple(map(_digits, intercepts)),
                categories=predictor.categories,
                covariance=tuple(tuple(map(_digits, line)) for line in covariance),
                effect_sd=_digits(predictor.effect_sd),
                predicted=True,
            )
        )
    return tuple(found)


def save_predictor(predictor: Predictor, folder: Path) -> Path:
    """Write ``predictor.json`` into the folder of a bank."""
    content = {
        "format": FORMAT,
        "bank": predictor.bank,
        "bank_hash": predictor.bank_hash,
        "model": predictor.model,
        "categories": predictor.categories,
        "labels": list(predictor.labels),
        "common_log_slope": list(predictor.common_log_slope),
        "spacing": list(predictor.spacing),
        "spacing_sd": predictor.spacing_sd,
        "effect_sd": predictor.effect_sd,
        "provenance": dict(predictor.provenance),
        "difficulty": to_dict(predictor.difficulty),
        "log_slope": predictor.log_slope and to_dict(predictor.log_slope),
    }
    path = folder / FILE
    path.write_text(json.dumps(_short(content), ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load_predictor(folder: Path) -> Predictor:
    """Read ``predictor.json`` of a bank's folder.

    Raises:
        BankError: there is none, or it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        raise BankError(
            f"{folder} has no {FILE}: give features of the bank's own items with "
            "--features NAME=FILE, or calibrate with them, which writes one"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, not {FORMAT}")
        return Predictor(
            content["bank"],
            content["bank_hash"],
            content["model"],
            content["categories"],
            tuple(content["labels"]),
            from_dict(content["difficulty"]),
            content["log_slope"] and from_dict(content["log_slope"]),
            (content["common_log_slope"][0], content["common_log_slope"][1]),
            tuple(content["spacing"]),
            content["spacing_sd"],
            content["effect_sd"],
            content["provenance"],
        )
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise BankError(
            f"{path} cannot be read ({error}); make it anew with calibrate --features"
        ) from None


def _predictor(bank: ItemBank, difficulty: Regression, log_slope: Regression | None) -> Predictor:
    shapes = Counter(
        (item.model, len(item.intercepts), item.categories)
        for item in bank.items
        if not item.predicted
    )
    (model, steps, categories), _ = shapes.most_common(1)[0]
    like = [i for i in bank.items if (i.model, len(i.intercepts)) == (model, steps)]
    if irt.family(model) == "binary" and model not in ("1pl", "2pl"):
        raise InputError(
            f"bank {bank.name!r} has {model} items, whose asymptotes features do not explain; "
            "calibrate with 2pl to predict new tasks"
        )
    thresholds = np.array([item.difficulties for item in like])
    apart = thresholds - thresholds.mean(axis=1, keepdims=True)
    steep = np.array([_log_slope(item) for item in like])
    between = float(steep[:, 0].var() + steep[:, 1].mean())
    return Predictor(
        bank.name,
        bank.hash,
        model,
        categories,
        tuple(bank.categories[categories]),
        difficulty,
        log_slope,
        (float(steep[:, 0].mean()), max(float(np.sqrt(between)), _KNOWN_SD)),
        tuple(float(x) for x in apart.mean(axis=0)),
        max(float(apart.std(axis=0).mean()), _SPACING_SD) if steps > 1 else 0.0,
        float(np.median([item.effect_sd for item in like])),
    )


def _difficulty(item: Item) -> tuple[float, float]:
    """Mean threshold and its variance, by the delta method."""
    slope, mean = item.slopes[0], float(np.mean(item.intercepts))
    gradient = np.zeros(len(parameter_names(item)))
    gradient[0] = mean / slope
    gradient[1 : 1 + len(item.intercepts)] = -1 / (slope * len(item.intercepts))
    return -mean / slope, _variance(item, gradient)


def _log_slope(item: Item) -> tuple[float, float]:
    gradient = np.zeros(len(parameter_names(item)))
    gradient[0] = 1.0
    return float(np.log(item.slopes[0])), _variance(item, gradient)


def _variance(item: Item, gradient: Array) -> float:
    if item.covariance is None:
        return _KNOWN_SD**2
    return max(float(gradient @ np.array(item.covariance) @ gradient), _KNOWN_SD**2)


def _priors(bank: ItemBank) -> dict[str, tuple[float, float]]:
    """Mean and variance of the priors that shrank difficulties and log slopes, where known."""
    if "explained_by" in bank.provenance or "prior_mean_sd" not in bank.provenance:
        return {}
    told = bank.provenance["prior_mean_sd"]
    found = {}
    steps = [told[key] for key in told if key[:1] == "b" and key[1:].isdigit()]
    if steps:
        # thresholds of an item move together, so their mean has about the spread of each
        found["b"] = (
            float(np.mean([m for m, _ in steps])),
            float(np.mean([sd**2 for _, sd in steps])),
        )
    if "log_a" in told:
        found["log_a"] = (float(told["log_a"][0]), float(told["log_a"][1]) ** 2)
    return found


def _unshrunk(values: Array, prior: tuple[float, float] | None) -> tuple[Array, Array]:
    """Estimates ``(n,)`` and their variances with a normal prior taken out again."""
    mean, variance = values[:, 0], values[:, 1]
    if prior is None or not np.isfinite(prior[1]):
        return mean, variance
    centre, width = prior
    gained = np.maximum(1 / variance - 1 / width, 1e-2 / width)
    return (mean / variance - centre / width) / gained, 1 / gained


def _digits(number: float) -> float:
    return float(f"{number:.6g}")


def _short(content: Any) -> Any:
    """Numbers at seven digits, which is more than any of them is known to."""
    match content:
        case float():
            return float(f"{content:.7g}")
        case dict():
            return {key: _short(value) for key, value in content.items()}
        case list():
            return [_short(value) for value in content]
        case _:
            return content
