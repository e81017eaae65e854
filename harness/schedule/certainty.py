"""How sure an alarm has to be, so that few training runs see a false one."""

from functools import lru_cache

import numpy as np

from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.drift import Drift
from harness.schedule.situation import Situation

_PATHS = 20_000


def certainty(situation: Situation) -> float:
    """Posterior probability from which on an alarm is raised.

    With ``rho`` the probability that a training run truly has what the alarms look out for, a
    first alarm at a probability of ``c`` or more is false with a probability of at most
    ``rho (1 - c) / c`` a run, however often one looks and whatever decides to look; ``c`` is chosen
    so that this is alpha.
    """
    alarms = tuple((a, situation.course(bank).space.drift) for bank, a in situation.alarms)
    rho = expected_alarms(alarms, situation.planned)
    return rho / (rho + situation.alpha)


@lru_cache(maxsize=32)
def expected_alarms(alarms: tuple[tuple[Alarm, Drift], ...], planned: int) -> float:
    """Probability that a training run truly has what any of the alarms looks out for.

    By simulation of the drift (20,000 runs of a fixed seed) over so many checkpoints, one unit
    apart; abilities of several banks count as independent.
    """
    without = 1.0
    for alarm, drift in alarms:
        path = draw_paths(drift, _PATHS, max(planned, 2), np.random.default_rng(0))
        path = -path if alarm.direction == "fall" else path
        back = path.shape[1] if alarm.window is None else alarm.window
        before = path[:, np.maximum(np.arange(path.shape[1]) - back, 0)]
        without *= 1 - float((path - before > alarm.by).any(axis=1).mean())
    return 1 - without


def draw_paths(drift: Drift, runs: int, checkpoints: int, rng: np.random.Generator) -> Array:
    """``(runs, checkpoints)`` abilities of training runs, one unit apart, from 0 on, in population
    sds.

    >>> draw_paths(Drift(), 2, 3, np.random.default_rng(0)).shape
    (2, 3)
    """
    shape = (runs, checkpoints - 1)
    weights = np.array(drift.weights) / sum(drift.weights)
    moves = rng.choice(np.array(drift.sds), (runs, 1), p=weights) * rng.standard_normal(shape)
    if drift.trend:
        moves += drift.slope_sd * rng.standard_normal((runs, 1))
        moves += drift.slope_walk * rng.standard_normal(shape).cumsum(axis=1)
    moves += (rng.random(shape) < drift.jump_rate) * drift.jump_sd * rng.standard_normal(shape)
    return np.concatenate([np.zeros((runs, 1)), moves.cumsum(axis=1)], axis=1)
