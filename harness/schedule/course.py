"""Ability over the checkpoints of a series: filtered as answers come in, smoothed afterwards.

A fold, like a session: what is believed at the last checkpoint is a function of all answers
before it. The order of answers at one checkpoint is irrelevant.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.ability import Posterior
from harness.irt import Array
from harness.schedule.belief import (
    Belief,
    Effects,
    answered,
    carried,
    first_belief,
    forecast,
    observed,
    posterior,
    weighed,
)
from harness.schedule.drift import Move
from harness.schedule.events import Checkpoint
from harness.schedule.space import Space

_ANCHORS = 9
"""Nodes of an earlier ability that effects are followed from."""
_SOON = 5
"""Checkpoints ahead over which smoothing follows them."""
_NEGLIGIBLE = 1e-9
"""Nodes of an earlier ability with less of its mass are left out."""
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Visit:
    """One checkpoint."""

    step: int
    forecast: Belief
    """Before its own answers."""
    belief: Belief
    """With them."""
    answers: tuple[tuple[tuple[int, int], ...], ...]
    """Of each ability: rows of items and categories, in the order of arrival."""
    log_likelihoods: tuple[Array, ...]
    """``(Q,)`` of its answers given each ability; 0 without any."""
    move: Move | None
    """How ability came here; None at the first checkpoint."""

    @property
    def tasks(self) -> tuple[int, ...]:
        """Answers about each ability."""
        return tuple(map(len, self.answers))


@dataclass(frozen=True, eq=False)
class Course:
    """The checkpoints so far."""

    space: Space
    visits: tuple[Visit, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        """Training steps of the checkpoints."""
        return tuple(visit.step for visit in self.visits)

    def forecast(self, place: int, axis: int = 0) -> Posterior:
        """Ability at a checkpoint before it was tested."""
        return self._reported(self.visits[place].forecast.ability(axis), axis)

    def filtered(self, place: int, axis: int = 0) -> Posterior:
        """Ability at a checkpoint by what was known then."""
        return self._reported(self.visits[place].belief.ability(axis), axis)

    def _reported(self, weights: Array, axis: int) -> Posterior:
        return posterior(self.space, weights, axis)

    def smoothed(self, axis: int = 0) -> tuple[Posterior, ...]:
        """Ability at every checkpoint by all that is known now."""
        messages = _messages(self)
        return tuple(
            self._reported(_hindsight(self, axis, place, messages), axis)
            for place in range(len(self.visits))
        )


def _messages(course: Course) -> tuple[Array, ...]:
    """``(H, S, Q...)`` at each checkpoint the probability of all later answers, up to a factor."""
    message = np.ones_like(course.space.prior)
    found = [message]
    for visit in reversed(course.visits[1:]):
        assert visit.move is not None
        message = visit.move.backward(_explained(course.space, visit, message))
        message = np.asarray(message / message.max())
        found.append(message)
    return tuple(reversed(found))


def _hindsight(course: Course, axis: int, place: int, messages: Sequence[Array]) -> Array:
    """``(Q,)`` smoothed probabilities of one ability at a checkpoint.

    Where its items soon come back, their answers tell of both abilities at once, whereas messages
    know only what later answers say of later abilities.
    """
    space, visit = course.space, course.visits[place]
    mass = visit.belief.ability(axis)
    soon = course.visits[place + 1 : place + 1 + _SOON]
    asked = {row for later in soon for row, _ in later.answers[axis]}
    if asked.isdisjoint(visit.belief.effects[axis]):
        weights = space.one(visit.belief.p * messages[place], axis).sum(axis=(0, 1))
    else:
        kept = np.flatnonzero(mass > _NEGLIGIBLE)
        nodes = kept[_anchors(mass[kept])]
        *_, p = islice(_onward(course, axis, place, nodes), len(soon))
        ends = (p * messages[place + len(soon)]).reshape(len(nodes), -1).sum(axis=1)
        logs = np.log(np.maximum(ends, _TINY) / mass[nodes])
        logs = np.interp(np.arange(space.size), nodes, logs)
        weights = mass * np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _explained(space: Space, visit: Visit, p: Array) -> Array:
    """Mass times the probability of the answers of a checkpoint, up to a factor."""
    for axis, log_likelihood in enumerate(visit.log_likelihoods):
        p = p * space.along(np.exp(log_likelihood - log_likelihood.max()), axis)
    return p


def arrived(course: Course, step: int, jump: bool = False) -> Course:
    """The course with one more checkpoint, not yet tested."""
    space = course.space
    if not course.visits:
        belief, move = first_belief(space), None
    else:
        last = course.visits[-1]
        move = space.move(step - last.step, jump)
        belief = forecast(space, last.belief, move)
    nothing = (np.zeros(space.size),) * len(space.scales)
    visit = Visit(step, belief, belief, ((),) * len(space.scales), nothing, move)
    return replace(course, visits=(*course.visits, visit))


def with_answers(course: Course, bank: str, answers: Sequence[tuple[str, int]]) -> Course:
    """The course with answers of its last checkpoint to different items.

    Raises:
        BankError: the bank has no such item.
    """
    space, visit = course.space, course.visits[-1]
    axis = space.axis(bank)
    found = tuple((space.scales[axis].table.row(item), category) for item, category in answers)
    belief, log_likelihood = answered(space, visit.belief, axis, found)
    every, logs = list(visit.answers), list(visit.log_likelihoods)
    every[axis] = every[axis] + found
    logs[axis] = logs[axis] + log_likelihood
    visit = replace(visit, belief=belief, answers=tuple(every), log_likelihoods=tuple(logs))
    return replace(course, visits=(*course.visits[:-1], visit))


def follow(space: Space, checkpoints: Sequence[Checkpoint]) -> Course:
    """The course over checkpoints in order of their steps; other banks' sessions are left out.

    An unfinished session counts with the answers that it has.
    """
    course = Course(space)
    for checkpoint in checkpoints:
        course = arrived(course, checkpoint.step, checkpoint.jump)
        for session in checkpoint.sessions:
            if any(scale.name == session.bank for scale in space.scales):
                course = with_answers(course, session.bank, session.answers)
    return course


def joint(course: Course, axis: int, start: int) -> Iterator[Array]:
    """How ability at a checkpoint goes with that at each later one, by what was known then.

    Args:
        axis: which ability.
        start: place of the earlier checkpoint, the baseline.

    Yields:
        ``(Q, Q)`` probabilities of ability at the baseline (rows) and at a later checkpoint.
    """
    space = course.space
    nodes = np.flatnonzero(course.visits[start].belief.ability(axis) > _NEGLIGIBLE)
    for p in _onward(course, axis, start, nodes):
        together = np.zeros((space.size, space.size))
        together[nodes] = space.one(p, axis).sum(axis=(1, 2))
        yield together


def _onward(course: Course, axis: int, start: int, nodes: NDArray[np.intp]) -> Iterator[Array]:
    """One filter for each of B nodes of ability at a checkpoint, over the later ones.

    Given both abilities, what is known of an item from earlier answers depends on the earlier
    ability too: who did well on it although able little is likely to do well on it again. It does
    so smoothly, and is followed from a few nodes only.

    Yields:
        The mass ``(B, H, S, Q...)`` at a later checkpoint, up to a factor.
    """
    space = course.space
    belief, later = course.visits[start].belief, course.visits[start + 1 :]
    anchors = _anchors(belief.ability(axis)[nodes])
    p = belief.p * space.along(np.eye(space.size)[nodes], axis)
    back = Counter(row for visit in later for row, _ in visit.answers[axis])
    effects: Effects = belief.effects[axis]
    for visit in later:
        assert visit.move is not None
        effects = {row: effect for row, effect in effects.items() if back[row]}
        effects = carried(space.one(p, axis)[anchors], visit.move, effects)
        p = visit.move.forward(p)
        own, effects = observed(space, effects, axis, visit.answers[axis])
        if own.ndim > 1:
            own = _between(anchors, own, len(nodes))
        for other, log_likelihood in enumerate(visit.log_likelihoods):
            p = weighed(space, p, other, own if other == axis else log_likelihood)
        back.subtract(row for row, _ in visit.answers[axis])
        yield p


def _between(anchors: NDArray[np.intp], values: Array, size: int) -> Array:
    """``(size, Q)`` by straight lines between the anchors, of which ``values (A, Q)`` are known."""
    place = np.arange(size)
    hats = [np.interp(place, anchors, hat) for hat in np.eye(len(anchors))]
    return np.asarray(np.transpose(hats) @ values)


def _anchors(mass: Array) -> NDArray[np.intp]:
    """Places that lie evenly over 3 sds to either side of the mean, as far as there are any."""
    place = np.arange(len(mass))
    mean = mass @ place / mass.sum()
    sd = np.sqrt(mass @ (place - mean) ** 2 / mass.sum())
    even = np.linspace(mean - 3 * sd, mean + 3 * sd, _ANCHORS)
    return np.unique(np.clip(even.round().astype(int), 0, len(mass) - 1))
