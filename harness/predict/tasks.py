"""What is to be expected of tasks that nobody has run: for those who write tasks.

A predictor's difficulties become expected scores of today's agents, with the places that the tasks
take among these agents, what they would add to the bank, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from harness.bank import Calibrant, ItemBank
from harness.errors import BankError, InputError
from harness.features.task_text import LEVELS, Level, level_of
from harness.irt import Array
from harness.predict.predictor import Predictor, predicted_items
from harness.predict.quality import Quality, half_width, judge_predictor
from harness.predict.rates import drawn_scores, expected_information
from harness.predict.reasons import Outside, Reason, explain, outside, sd_if_known
from harness.predict.today import Place, a_few, named_agents, places, todays_agents
from harness.regression import Features

LITTLE = 0.1
"""A task is at the floor where even the best agent is expected to score less than this, and at the
ceiling where the agent at the lower quartile is expected to miss less."""
WORTH = 2.0
"""Tasks of the bank that a task must be worth, at a place where the bank is thin, to fill a gap."""

Verdict: TypeAlias = Literal["floor", "ceiling", "fills a gap", "within reach"]


@dataclass(frozen=True)
class Rate:
    """Expected score of one agent on one task: the rate at which it passes where that is binary."""

    agent: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TaskPrediction:
    """What is expected of one task. Intervals are of the level of :class:`TaskPredictions`."""

    item: str
    difficulty: float
    """Mean threshold on the ability scale: of a binary task, the ability that passes it half of
    the time."""
    sd: float
    low: float
    high: float
    slope: float
    """Discrimination."""
    slope_low: float
    slope_high: float
    rates: tuple[Rate, ...]
    """Of :attr:`TaskPredictions.agents`."""
    below: float
    """Share of today's agents whose ability is below the difficulty."""
    below_low: float
    below_high: float
    floor: float
    """Probability that even the best agent scores below :data:`LITTLE`."""
    ceiling: float
    """Probability that the agent at the lower quartile scores above 1 - :data:`LITTLE`."""
    information: tuple[float, ...]
    """Expected at each :class:`~harness.predict.today.Place` once the task is calibrated."""
    worth: tuple[float, ...]
    """The same in average tasks of the bank."""
    verdict: Verdict
    reasons: tuple[Reason, ...]
    """Of the difficulty, the largest effect first."""
    sd_if_known: float
    """Sd of the difficulty if no feature were unknown."""
    outside: tuple[Outside, ...]
    """Features in which the task is unlike all that the predictor knows."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Features that the predictor uses and that are unknown of this task."""
        return tuple(reason.feature for reason in self.reasons if not reason.known)


@dataclass(frozen=True)
class TaskPredictions:
    """What is expected of some tasks."""

    bank: str
    bank_hash: str
    model: str
    binary: bool
    """Tasks pass or fail, so that expected scores are pass rates."""
    level: float
    levels: tuple[Level, ...]
    """Information levels of the predictor's features: how much of a task they know."""
    tasks: tuple[TaskPrediction, ...]
    agents: tuple[Calibrant, ...]
    """Those whose scores are given, best first."""
    today: tuple[float, ...]
    """Abilities of today's agents, best first."""
    real: bool
    """Today's agents are agents that the bank names, not quantiles of its population."""
    best: str
    """The best of them."""
    items: tuple[float, ...]
    """Difficulties of the bank's calibrated tasks."""
    places: tuple[Place, ...]
    quality: Quality
    """Of the predictor, on difficulty."""
    slope_quality: Quality | None
    """And on the log of the slope; None where all tasks have one slope."""


def predict_tasks(
    predictor: Predictor,
    bank: ItemBank,
    features: Features,
    *,
    agents: Sequence[str] = (),
    level: float = 0.9,
) -> TaskPredictions:
    """What is expected of tasks, given their features.

    Args:
        bank: what the predictor was fitted to; its calibrating agents are today's agents.
        features: of the new tasks.
        agents: calibrating agents whose scores are wanted; empty for a few over their range.
        level: probability of the intervals.

    Raises:
        InputError: there is no such agent, no task, or no feature that the predictor uses.
        BankError: the bank has several abilities, or no calibrated item.
    """
    _check(bank, features, level)
    today = todays_agents(bank)
    shown = named_agents(today, agents) if agents else a_few(today)
    ability = np.array([agent.ability[0] for agent in today.agents])
    points = places(bank, today)
    calibrated = [item for item in bank.items if not item.predicted]
    average = np.array([point.bank for point in points]) / len(calibrated)
    nodes = np.array([[point.ability] for point in points])
    half, tails = half_width(level), np.array([(1 - level) / 2, (1 + level) / 2])

    difficulty = predictor.difficulty
    place, log_slope = difficulty.predict(features), _log_slope(predictor, features)
    reasons, odd = explain(difficulty, features), outside(difficulty, features)
    if_known = sd_if_known(difficulty, features)
    found = []
    for row, item in enumerate(predicted_items(predictor, features)):
        mean, sd = float(place.mean[row]), float(place.sd[row])
        log_a, log_sd = log_slope[row].tolist()
        scores = drawn_scores(
            item,
            (mean, sd),
            (log_a, log_sd),
            (predictor.spacing, predictor.spacing_sd),
            (*shown, today.best, today.quarter),
        )
        own = expected_information(item, (mean, sd), (log_a, log_sd), predictor.spacing, nodes)
        worth = own / np.maximum(average, 1e-12)
        floor = float((scores[:, -2] < LITTLE).mean())
        ceiling = float((scores[:, -1] > 1 - LITTLE).mean())
        ends = np.quantile(scores, tails, axis=0)
        where = mean + half * sd * np.array([0, -1, 1])
        below = (ability < where[:, None]).mean(axis=1).tolist()
        steep = np.exp(log_a + half * log_sd * np.array([0, -1, 1])).tolist()
        found.append(
            TaskPrediction(
                item=item.id,
                difficulty=mean,
                sd=sd,
                low=float(where[1]),
                high=float(where[2]),
                slope=steep[0],
                slope_low=steep[1],
                slope_high=steep[2],
                rates=tuple(
                    Rate(agent.agent, float(scores[:, a].mean()), *map(float, ends[:, a]))
                    for a, agent in enumerate(shown)
                ),
                below=below[0],
                below_low=below[1],
                below_high=below[2],
                floor=floor,
                ceiling=ceiling,
                information=tuple(own.tolist()),
                worth=tuple(worth.tolist()),
                verdict=_verdict(floor, ceiling, worth, [point.thin for point in points]),
                reasons=reasons[row],
                sd_if_known=if_known[row],
                outside=odd[row],
            )
        )
    return TaskPredictions(
        bank=bank.name,
        bank_hash=bank.hash,
        model=predictor.model,
        binary=len(predictor.spacing) == 1,
        level=level,
        levels=information_levels(predictor),
        tasks=tuple(found),
        agents=shown,
        today=tuple(ability.tolist()),
        real=today.real,
        best=today.best.agent,
        items=tuple(float(np.mean(item.difficulties)) for item in calibrated),
        places=points,
        quality=judge_predictor(difficulty, level),
        slope_quality=None
        if predictor.log_slope is None
        else judge_predictor(predictor.log_slope, level),
    )


def _check(bank: ItemBank, features: Features, level: float) -> None:
    if len(bank.mean) > 1:
        raise BankError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities; tasks are predicted for one"
        )
    if all(item.predicted for item in bank.items):
        raise BankError(
            f"bank {bank.name!r} holds predicted items only; give the calibrated bank that its "
            "predictor comes from"
        )
    if not features.names:
        raise InputError("there is no task to predict; give a source with at least one")
    if not 0 < level < 1:
        raise InputError(f"the level of the intervals must be between 0 and 1, not {level:g}")


def information_levels(predictor: Predictor) -> tuple[Level, ...]:
    """How much of a task a predictor wants to know, by the names of its blocks."""
    needed = {level_of(block) for block in predictor.blocks}
    return tuple(level for level in LEVELS if level in needed)


def _log_slope(predictor: Predictor, features: Features) -> Array:
    """``(n, 2)`` mean and sd of the log of each slope."""
    if predictor.log_slope is None:
        return np.tile(predictor.common_log_slope, (len(features.names), 1))
    found = predictor.log_slope.predict(features)
    return np.stack([found.mean, found.sd], axis=1)


def _verdict(floor: float, ceiling: float, worth: Array, thin: Sequence[bool]) -> Verdict:
    if floor > 0.5:
        return "floor"
    if ceiling > 0.5:
        return "ceiling"
    return "fills a gap" if (worth[np.array(thin)] >= WORTH).any() else "within reach"
