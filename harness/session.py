"""One adaptive test of one agent, as a fold over its events.

A session never runs, reads, sleeps or prints. It says which items to launch next and takes
what happened. Resume, replay, audit and what-if are therefore the same function::

    session = Session(bank.table, plan)
    while (end := session.ending(at=now())) is None:
        for chosen in session.next_items(at=now()):
            session = session.after(chosen).after(run(chosen))
    session = session.after(end)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.ability import Posterior, Prior, normalise
from harness.errors import JournalError
from harness.events import Answered, Chosen, Event, Outcome, Plan, Started, Stopped, Voided
from harness.irt import Array, Table
from harness.score import ScorePrediction, corrected_scores, predict_score
from harness.select import Combinator, Fixed, View, Window, choose, learned_pace
from harness.stop import Progress, caveat, counted, doubt, limits, precision_reached

_VOID_WINDOW = 5
_VOIDS_TOO_MANY = 3


@dataclass(frozen=True, eq=False)
class Session:
    """The state after some events; immutable.

    ``eligible`` ``(n,)`` restricts the items that may be chosen, and over which the score is
    predicted (a replay can only offer what its log holds); None means all.
    """

    table: Table
    plan: Plan
    eligible: NDArray[np.bool_] | None = None
    events: tuple[Event, ...] = ()
    chosen: Mapping[int, Chosen] = field(default_factory=dict)
    """By step."""
    answered: Mapping[int, Answered] = field(default_factory=dict)
    """By step, in the order of arrival."""
    voided: Mapping[int, Voided] = field(default_factory=dict)
    """By step, in the order of arrival."""
    stopped: Stopped | None = None
    seconds: float = 0.0
    """Time since the start, the gaps between processes left out."""

    # --- the fold ---

    def after(self, event: Event) -> "Session":
        """The session once ``event`` has happened.

        An outcome of a step that already has one changes nothing: a completion may be delivered
        twice.

        Raises:
            JournalError: the event cannot follow (an outcome of a step that was never chosen, an
                item answered twice, a category that the item does not have).
        """
        if isinstance(event, Answered | Voided) and event.step in self._closed:
            return self
        if self.stopped and not isinstance(event, Started):
            raise JournalError(f"{event.kind} after the session had stopped; 'started' reopens it")
        self._check(event)
        last = self.events[-1].at if self.events else event.at
        session = replace(self, events=(*self.events, event))
        if isinstance(event, Started):
            return replace(session, stopped=None)
        session = replace(session, seconds=self.seconds + max(event.at - last, 0.0))
        match event:
            case Chosen():
                return replace(session, chosen={**self.chosen, event.step: event})
            case Answered():
                return replace(session, answered={**self.answered, event.step: event})
            case Voided():
                return replace(session, voided={**self.voided, event.step: event})
            case Stopped():
                return replace(session, stopped=event)

    def _check(self, event: Event) -> None:
        match event:
            case Started():
                if self.events and event.plan != self.plan:
                    raise JournalError("the plan differs from the one that the session began with")
            case Chosen():
                row = self.table.row(event.item)
                if event.step in self.chosen:
                    raise JournalError(f"step {event.step} is chosen twice")
                if self.answers[row] >= 0:
                    raise JournalError(f"item {event.item!r} is chosen again though answered")
                if any(c.item == event.item for c in self.pending):
                    raise JournalError(f"item {event.item!r} is chosen again while in flight")
            case Answered() | Voided():
                launched = self.chosen.get(event.step)
                if launched is None or launched.item != event.item:
                    raise JournalError(
                        f"outcome of item {event.item!r} at step {event.step}, which was not chosen"
                    )
                if isinstance(event, Answered):
                    top = int(self.table.n_categories[self.table.row(event.item)]) - 1
                    if not 0 <= event.category <= top:
                        raise JournalError(
                            f"category {event.category} of item {event.item!r} is not in 0..{top}"
                        )
            case Stopped():
                if self.pending:
                    raise JournalError(f"stopped with {self.pending[0].item!r} still in flight")

    # --- what is known ---

    @cached_property
    def _closed(self) -> frozenset[int]:
        return frozenset(self.answered) | frozenset(self.voided)

    @cached_property
    def answers(self) -> NDArray[np.intp]:
        """``(n,)`` category of each answered item, -1 elsewhere."""
        answers = np.full(len(self.table.ids), -1)
        for event in self.answered.values():
            answers[self.table.row(event.item)] = event.category
        return answers

    @cached_property
    def pending(self) -> tuple[Chosen, ...]:
        """Launched and without an outcome, in order of launch."""
        return tuple(c for step, c in self.chosen.items() if step not in self._closed)

    @cached_property
    def weights(self) -> Array:
        """``(Q,)`` posterior probabilities of the ability that the answered items show."""
        return self._weights(self.answers)

    def _weights(self, answers: NDArray[np.intp]) -> Array:
        rows = np.flatnonzero(answers >= 0)
        return normalise(
            _log_prior(self.plan.prior, self.table)
            + self.table.log_p[rows, answers[rows]].sum(axis=0)
        )

    @cached_property
    def posterior(self) -> Posterior:
        """What is believed of the agent's ability on the whole bank."""
        return Posterior(self.table.nodes, self._view(step=0).posterior[0])

    @cached_property
    def ability(self) -> tuple[float, ...]:
        """Point estimate by the plan's estimator, one number an ability."""
        return tuple(float(x) for x in self._view(step=0).ability[0])

    @property
    def sd(self) -> tuple[float, ...]:
        """Posterior standard deviation of each ability."""
        return tuple(float(x) for x in self.posterior.sd)

    @cached_property
    def score(self) -> ScorePrediction:
        """Predicted score on the whole bank."""
        weights = self._view(step=0).score_posterior[0]
        return predict_score(self.table, weights, self.answers, self.eligible)

    @cached_property
    def corrected_score(self) -> float:
        """The model's score of the bank, corrected by the mean residual of the answers."""
        counted = None if self.eligible is None else self.eligible[None]
        weights, answers = self._view(step=0).score_posterior, self.answers[None]
        return float(corrected_scores(self.table, weights, answers, counted)[0])

    @cached_property
    def predicted_share(self) -> float:
        """Share of the information of the answers that rests on predicted items."""
        return float(self._view(step=0).predicted_share[0])

    @property
    def predicted_answers(self) -> int:
        """How many of the answered items are predicted."""
        return int(self._view(step=0).predicted_answers[0])

    @cached_property
    def doubt(self) -> str | None:
        """Why the stated precision is not to be trusted; None where it is."""
        return doubt(self._progress(with_pending=False))

    @cached_property
    def caveat(self) -> str | None:
        """What else to say beside the stated precision; None where there is nothing."""
        return caveat(self._progress(with_pending=False))

    @cached_property
    def open_voids(self) -> tuple[str, ...]:
        """Items that were voided and never answered."""
        items = dict.fromkeys(event.item for event in self.voided.values())
        return tuple(item for item in items if self.answers[self.table.row(item)] < 0)

    def if_voids_failed(self) -> Posterior:
        """The posterior if every open void had been a failure: how much the voids could matter."""
        answers = self.answers.copy()
        answers[[self.table.row(item) for item in self.open_voids]] = 0
        view = replace(
            self._view(step=0), weights=self._weights(answers)[None], answers=answers[None]
        )
        return Posterior(self.table.nodes, view.posterior[0])

    @cached_property
    def usd(self) -> float:
        """Dollars spent, voids included."""
        outcomes: list[Answered | Voided] = [*self.answered.values(), *self.voided.values()]
        return sum(event.cost.usd for event in outcomes)

    # --- what is next ---

    @cached_property
    def _since_start(self) -> tuple[Event, ...]:
        """Events of the current process."""
        starts = [i for i, event in enumerate(self.events) if isinstance(event, Started)]
        return self.events[starts[-1] :] if starts else self.events

    @cached_property
    def available(self) -> NDArray[np.bool_]:
        """``(n,)`` items that may be chosen now."""
        free = np.ones(len(self.table.ids), bool) if self.eligible is None else self.eligible.copy()
        free &= self.answers < 0
        free[[self.table.row(c.item) for c in self.pending]] = False
        voids = [event.item for event in self._since_start if isinstance(event, Voided)]
        for item in set(voids):
            if voids.count(item) >= self.plan.max_attempts:
                free[self.table.row(item)] = False
        return free

    @cached_property
    def _lost(self) -> NDArray[np.bool_]:
        """``(n,)`` items without an answer whose last attempt in this process found no engine."""
        lost = np.zeros(len(self.table.ids), bool)
        for event in self._since_start:
            if isinstance(event, Voided):
                lost[self.table.row(event.item)] = event.cause == "daemon"
        return lost & (self.answers < 0)

    @cached_property
    def pace(self) -> tuple[float, float]:
        """By what factor attempts of this agent cost more dollars and seconds than expected."""
        events = self.answered.values()
        rows = [self.table.row(event.item) for event in events]
        paces = []
        for spent, expected in (
            ([event.cost.usd for event in events], self.table.usd),
            ([event.cost.seconds for event in events], self.table.seconds),
        ):
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = np.log(np.array(spent) / expected[rows])
            known = np.isfinite(ratios)
            paces.append(float(learned_pace(ratios[known].sum(), known.sum())))
        return paces[0], paces[1]

    def _view(self, step: int) -> View:
        pending = np.zeros((1, len(self.table.ids)), bool)
        pending[0, [self.table.row(c.item) for c in self.pending]] = True
        return View(
            self.table,
            self.weights[None],
            self.available[None],
            np.array([[self.plan.seed, step]]),
            self.answers[None],
            self.plan.estimator,
            pending=pending if self.pending else None,
            counted=None if self.eligible is None else self.eligible[None],
            pace=np.array([self.pace]),
        )

    def _progress(self, *, with_pending: bool) -> Progress:
        rows = [self.table.row(c.item) for c in self.pending] if with_pending else []
        expected = np.nan_to_num(self.table.usd[rows]).sum() * self.pace[0]
        order = [self.table.row(event.item) for event in self.answered.values()]
        return Progress(
            items=np.array([len(self.answered) + len(rows)]),
            usd=np.array([self.usd + expected]),
            seconds=np.array([self.seconds]),
            sd=self.posterior.sd[None],
            view=self._view(step=0),
            order=np.array([order], np.intp),
        )

    def ending(self, at: float) -> Stopped | None:
        """The event that ends the session, once nothing is in flight and a rule says so."""
        return None if self.pending else self._verdict(at)

    def _verdict(self, at: float) -> Stopped | None:
        outcomes = [e for e in self._since_start if isinstance(e, Answered | Voided)]
        voids = [e for e in outcomes[-_VOID_WINDOW:] if isinstance(e, Voided)]
        if len(voids) >= _VOIDS_TOO_MANY:
            window = min(len(outcomes), _VOID_WINDOW)
            reason = f"{len(voids)} of the last {window} outcomes are voids ({voids[-1].cause})"
            return Stopped(at, "voids", reason)
        progress = self._progress(with_pending=False)
        rule = self.plan.stop
        if self._lost.any() and not self.available.any() and not self.pending:
            # with an engine it would go on; a resumed session does
            view = replace(progress.view, available=self._lost[None])
            if not rule(replace(progress, view=view))[0]:
                left = counted(int(self._lost.sum()))
                return Stopped(
                    at, "voids", f"nothing is left but {left} that found no Docker (daemon)"
                )
        if rule(progress)[0]:
            outcome: Outcome = "limit" if self.available.any() else "exhausted"
            reason = rule.reason(progress)
            if precision_reached(rule, progress):
                outcome = "doubtful" if self.doubt else "precise"
                if self.doubt or self.caveat:
                    reason += f", but {self.doubt or self.caveat}"
            return Stopped(at, outcome, reason)
        if not self.available.any() and not self.pending:
            count = f"{counted(len(self.answered))} answered"
            return Stopped(at, "exhausted", f"bank exhausted, {count}, sd {max(self.sd):.3g}")
        if self._selector_is_done:
            count = f"{counted(len(self.answered))} answered"
            return Stopped(at, "exhausted", f"{self.plan.select} allows no other item, {count}")
        return None

    @cached_property
    def _selector_is_done(self) -> bool:
        """Whether the selector rules out every item that is left; few selectors rule out any."""
        if self.pending or not isinstance(self.plan.select, Combinator | Fixed | Window):
            return False
        return choose(self.plan.select, self._view(self._step)) is None

    @property
    def _step(self) -> int:
        """Number of the next choice."""
        return max(self.chosen, default=0) + 1

    def next_items(self, at: float, prefer: frozenset[str] = frozenset()) -> tuple[Chosen, ...]:
        """Items to launch now: as many as the width leaves room for, none once a rule fires.

        Items in flight count towards limits, and their possible answers towards the choice.

        Args:
            at: Unix time of the choice.
            prefer: items that are taken first where the gains of several nearly tie, such as
                those whose image is there.
        """
        session, launched = self, []
        while len(session.pending) < self.plan.width and session._may_launch():
            chosen = session._choose(at, prefer)
            if chosen is None:
                break
            launched.append(chosen)
            session = session.after(chosen)
        return tuple(launched)

    def _may_launch(self) -> bool:
        if self.stopped or not self.available.any() or self._verdict(0.0) is not None:
            return False
        progress = self._progress(with_pending=True)
        return not any(limit(progress)[0] for limit in limits(self.plan.stop))

    def _choose(self, at: float, prefer: frozenset[str] = frozenset()) -> Chosen | None:
        step = self._step
        preferred = np.array([item in prefer for item in self.table.ids]) if prefer else None
        row = choose(self.plan.select, self._view(step), preferred)
        if row is None:
            return None
        item = self.table.ids[row]
        attempt = sum(c.item == item for c in self.chosen.values()) + 1
        sample = item if attempt == 1 else f"{item} (attempt {attempt})"
        return Chosen(at, step, item, sample, self.ability, self.sd)


@lru_cache(maxsize=8)
def _log_prior(prior: Prior, table: Table) -> Array:
    # needed after every event, and the same for all of them
    return prior.log_weights(table.nodes)


def fold(session: Session, events: Iterable[Event]) -> Session:
    """The session after all of the events."""
    for event in events:
        session = session.after(event)
    return session
