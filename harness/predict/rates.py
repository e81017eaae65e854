"""What predicted tasks are to agents of known ability: scores, and information.

What is not known of a task is drawn: its difficulty, its slope, the distances of its thresholds,
what it is to one agent besides ability. The draws are the same for every task.
"""

from collections.abc import Sequence

import numpy as np

from harness import irt
from harness.bank import Calibrant, Item, spread_of
from harness.irt import Array

_DRAWS = 2048
_TASKS = 64
"""Draws of a task whose information is averaged."""


def drawn_scores(
    item: Item,
    place: tuple[float, float],
    log_slope: tuple[float, float],
    spacing: tuple[tuple[float, ...], float],
    agents: Sequence[Calibrant],
) -> Array:
    """``(draws, agents)`` expected score, from 0 to 1, of each agent on one predicted task.

    Args:
        item: model, asymptotes and ``effect_sd`` of the task.
        place: mean and sd of the mean threshold.
        log_slope: mean and sd of the log of its slope.
        spacing: the thresholds minus their mean, and the sd of each.
        agents: their abilities and the sds of these.

    >>> item = Item("i", "2pl", (1.0,), (0.0,))
    >>> agent = Calibrant("a", (1.0,), (0.0,))
    >>> sure = drawn_scores(item, (1.0, 0.0), (0.0, 0.0), ((0.0,), 0.0), [agent])
    >>> float(sure.min()), float(sure.max())
    (0.5, 0.5)
    """
    steps = np.array(spacing[0])
    z = irt.normal_draws(4 + len(steps) * (len(steps) > 1), _DRAWS)
    slope = np.exp(log_slope[0] + log_slope[1] * z[:, :1])
    thresholds = place[0] + place[1] * z[:, 1:2] + steps
    if len(steps) > 1:
        thresholds = thresholds + spacing[1] * z[:, 4:]
    kind = irt.family(item.model)
    if kind == "graded":
        thresholds = np.sort(thresholds, axis=1)
    ability = np.array([agent.ability[0] for agent in agents])
    doubt = np.array([agent.sd[0] for agent in agents])
    logit = slope * (ability + doubt * z[:, 2:3]) + item.effect_sd * z[:, 3:4]
    # ability moves all intercepts alike, so that it may differ from draw to draw
    intercepts = (logit[:, :, None] - (slope * thresholds)[:, None, :]).reshape(-1, len(steps))
    n = len(intercepts)
    log_p, _ = irt.response(
        kind,
        np.ones((n, 1)),
        intercepts,
        np.full(n, item.lower),
        np.full(n, item.upper),
        np.zeros((1, 1)),
    )
    score = np.exp(log_p[:, :, 0]) @ np.linspace(0, 1, len(steps) + 1)
    return np.asarray(score.reshape(_DRAWS, len(agents)))


def expected_information(
    item: Item,
    place: tuple[float, float],
    log_slope: tuple[float, float],
    spacing: tuple[float, ...],
    nodes: Array,
) -> Array:
    """``(Q,)`` information that a predicted task will have at abilities ``(Q, 1)`` once it is
    calibrated, as far as that can be said now."""
    z = irt.normal_draws(2, _TASKS)
    slopes = np.exp(log_slope[0] + log_slope[1] * z[:, :1])
    intercepts = -slopes * (place[0] + place[1] * z[:, 1:] + np.array(spacing))
    ends = np.full(_TASKS, item.lower), np.full(_TASKS, item.upper)
    kind = irt.family(item.model)
    effect = spread_of(item, False)
    if effect is None:
        log_p, slant = irt.response(kind, slopes, intercepts, *ends, nodes)
    else:
        effects = np.broadcast_to(effect, (_TASKS, *effect.shape))
        log_p, slant = irt.predictive(kind, slopes, intercepts, *ends, effects, nodes)
    return np.asarray(irt.information(log_p, slant, slopes).mean(axis=0))
