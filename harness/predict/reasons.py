"""Why a prediction is what it is: what each feature adds, what is unknown, what is out of range."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.regression import Cell, Features, Regression

_BEYOND = 0.1
"""Share of the calibrated range by which a number must leave it to be remarked on."""
_FAR = 0.25
"""The same for any column of a vector, as of many one is always a little outside."""
_NUMBERED = re.compile(r".*?\d+")


@dataclass(frozen=True)
class Reason:
    """What one feature adds to a prediction, against a task whose features are all average.

    The columns of a block that is a vector, such as the components of a text, mean nothing one by
    one: the block is one reason.
    """

    feature: str
    """Name of the column, or of the block where that is a vector."""
    block: str
    value: Cell
    """None where unknown, or of a vector."""
    average: float | None
    """Of a number over the tasks that the predictor knows: its mean, as it enters."""
    effect: float
    """On the prediction."""
    sd: float
    known: bool
    columns: int = 1
    """More than one for a vector."""


@dataclass(frozen=True)
class Outside:
    """A feature that is unlike anything that the predictor was fitted to."""

    feature: str
    block: str
    why: Literal["number", "category", "vector"]
    value: Cell
    low: float | None = None
    """Range of a number there."""
    high: float | None = None


def explain(fit: Regression, features: Features) -> tuple[tuple[Reason, ...], ...]:
    """Reasons for the prediction of each row, the largest effect first.

    >>> from harness.regression import Column, regress
    >>> columns = (Column("lines", "solution", "number"),)
    >>> table = Features(tuple("abcdefgh"), columns, tuple((float(k),) for k in range(8)))
    >>> fit = regress(table, np.arange(8) / 2, np.zeros(8))
    >>> (reason,) = explain(fit, table)[7]
    >>> reason.feature, reason.value, reason.average, round(reason.effect, 1)
    ('lines', 7.0, 3.5, 1.7)
    """
    coding = fit.coding
    design, parts = coding.design(features), fit.contributions(features)
    groups = _groups(fit)
    cells = _cells(fit, features)
    found = []
    for row in range(len(features.names)):
        reasons = []
        for group in groups:
            known = [c for c in group if not design.unknown[row, c]]
            spots = np.concatenate(
                [np.arange(coding.places[c].start, coding.places[c].stop) for c in group]
            )
            x = design.x[row, spots]
            variance = float(x @ fit.covariance[np.ix_(spots, spots)] @ x)
            variance += float(sum(parts.sd[row, c] ** 2 for c in group if c not in known))
            code = coding.codes[group[0]]
            single = len(group) == 1
            number = single and code.column.kind == "number"
            reasons.append(
                Reason(
                    code.column.name if single else code.column.block,
                    code.column.block,
                    cells[row][group[0]] if single else None,
                    code.typical if number else None,
                    float(parts.mean[row, group].sum()),
                    max(variance, 0.0) ** 0.5,
                    bool(known),
                    len(group),
                )
            )
        found.append(tuple(sorted(reasons, key=lambda reason: -abs(reason.effect))))
    return tuple(found)


def sd_if_known(fit: Regression, features: Features) -> tuple[float, ...]:
    """Sd of each prediction as it would be if its unknown cells were known and average."""
    design, parts = fit.coding.design(features), fit.contributions(features)
    open_ = (design.unknown * parts.sd**2).sum(axis=1)
    variance = fit.predict(features).sd ** 2 - open_
    return tuple(np.sqrt(np.maximum(variance, fit.residual_sd**2)).tolist())


def outside(fit: Regression, features: Features) -> tuple[tuple[Outside, ...], ...]:
    """What of each row lies outside the tasks that the predictor knows."""
    cells, groups = _cells(fit, features), _groups(fit)
    found = []
    for row in range(len(features.names)):
        odd: list[Outside] = []
        for group in groups:
            code = fit.coding.codes[group[0]]
            column, value = code.column, cells[row][group[0]]
            if len(group) > 1:
                if max(_beyond(fit, c, cells[row][c]) for c in group) > _FAR:
                    odd.append(Outside(column.block, column.block, "vector", None))
            elif column.kind == "category":
                if value is not None and str(value) not in code.levels:
                    odd.append(Outside(column.name, column.block, "category", value))
            elif _beyond(fit, group[0], value) > _BEYOND:
                odd.append(Outside(column.name, column.block, "number", value, code.low, code.high))
        found.append(tuple(odd))
    return tuple(found)


def _groups(fit: Regression) -> list[list[int]]:
    """Codes that belong together: each its own, and a vector's all in one."""
    codes = fit.coding.codes
    by_block: dict[str, list[int]] = {}
    for c, code in enumerate(codes):
        by_block.setdefault(code.column.block, []).append(c)
    groups: list[list[int]] = []
    for members in by_block.values():
        vector = len(members) > 2 and all(
            codes[c].column.kind == "number" and _NUMBERED.fullmatch(codes[c].column.name)
            for c in members
        )
        groups += [members] if vector else [[c] for c in members]
    return groups


def _cells(fit: Regression, features: Features) -> list[list[Cell]]:
    """Cells of the coded columns, row by row; None where the table has no such column."""
    at = {(column.block, column.name): k for k, column in enumerate(features.columns)}
    keys = [at.get((code.column.block, code.column.name)) for code in fit.coding.codes]
    return [[None if k is None else row[k] for k in keys] for row in features.cells]


def _beyond(fit: Regression, c: int, value: Cell) -> float:
    """How far a number lies outside its range, in widths of that as it enters; 0 inside."""
    code = fit.coding.codes[c]
    if not isinstance(value, int | float):
        return 0.0
    low, high, here = map(code.entered, (code.low, code.high, value))
    return max(low - here, here - high, 0.0) / (high - low)
