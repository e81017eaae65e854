"""Ratings of tasks as features, and what they say of the judge."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.features import Level
from harness.regression import Column, Features
from harness.runners.rate import Answer, Ask
from harness.runners.rubric import attributes


def block_name(level: Level) -> str:
    """The block of features judged at a level of information, which its name keeps."""
    return f"judged_{level}"


@dataclass(frozen=True)
class Use:
    """How a judge used one attribute."""

    attribute: str
    tasks: int
    """That have a rating."""
    mean: float | None
    sd: float | None
    """Between tasks; None below two."""
    spread: float | None
    """Standard deviation between asks of the same task; None without two asks of any."""


def rated_features(names: Sequence[str], answers: Mapping[Ask, Answer], level: Level) -> Features:
    """The median rating of each task by attribute, None where the judge gave none."""
    asked = [a.name for a in attributes(level)]
    given = _given(answers)
    cells = tuple(
        tuple(
            float(statistics.median(ratings)) if (ratings := given.get((name, a))) else None
            for a in asked
        )
        for name in names
    )
    block = block_name(level)
    return Features(tuple(names), tuple(Column(a, block, "number") for a in asked), cells)


def uses(features: Features, answers: Mapping[Ask, Answer]) -> tuple[Use, ...]:
    """How the judge used each attribute; the spread is pooled over tasks."""
    given = _given(answers)
    found = []
    for column, cells in zip(features.columns, zip(*features.cells, strict=True), strict=True):
        known = [cell for cell in cells if isinstance(cell, float)]
        repeated = [
            statistics.variance(ratings)
            for name in features.names
            if len(ratings := given.get((name, column.name), [])) > 1
        ]
        found.append(
            Use(
                column.name,
                len(known),
                statistics.fmean(known) if known else None,
                statistics.stdev(known) if len(known) > 1 else None,
                math.sqrt(statistics.fmean(repeated)) if repeated else None,
            )
        )
    return tuple(found)


def _given(answers: Mapping[Ask, Answer]) -> dict[tuple[str, str], list[int]]:
    """Ratings by task and attribute."""
    given: dict[tuple[str, str], list[int]] = {}
    for ask, answer in answers.items():
        for attribute, rating in answer.ratings.items():
            given.setdefault((ask.task, attribute), []).append(rating)
    return given
