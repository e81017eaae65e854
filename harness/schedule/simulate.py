"""Simulated training runs: what a policy costs, how soon it sees a fall, how often it is wrong.

Runs go in lockstep, a checkpoint at a time, and each makes the proposals and holds the sessions
that a real series would: the same policy, the same plans, the same choice of items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.ability import Posterior
from harness.bank import ItemBank
from harness.batch import administer
from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.certainty import certainty
from harness.schedule.course import Course, arrived, follow, with_answers
from harness.schedule.drift import Drift
from harness.schedule.events import Checkpoint, Proposal, Tested
from harness.schedule.plan import session_plan
from harness.schedule.policy import Policy
from harness.schedule.propose import propose
from harness.schedule.situation import Confirmed, Situation, Spending
from harness.schedule.space import Scale, Space, make_spaces


@dataclass(frozen=True, eq=False)
class Lab:
    """What all simulated runs share."""

    spaces: tuple[Space, ...]
    policy: Policy
    alarms: tuple[tuple[str, Alarm], ...] = ()
    alpha: float = 0.05
    limit: Spending = field(default_factory=Spending)
    level: float = 0.9
    independent: bool = False
    """Every checkpoint is judged by its own answers only, as separate evaluations would; there is
    then no alarm."""
    persistence: float | None = None
    """What is true of the effects on items; what the drift says when None."""
    smooth: bool = False
    """Whether runs are smoothed at their end, which takes longer than to follow them."""

    @property
    def banks(self) -> tuple[str, ...]:
        """Names."""
        return tuple(scale.name for space in self.spaces for scale in space.scales)


def make_lab(
    banks: Sequence[ItemBank],
    policy: Policy,
    *,
    drift: Drift | None = None,
    joint: bool = False,
    alarms: Sequence[tuple[str, Alarm]] = (),
    alpha: float = 0.05,
    limit: Spending | None = None,
    independent: bool = False,
    persistence: float | None = None,
    smooth: bool = False,
) -> Lab:
    """A lab over banks; arguments as those of a series, or as the fields of :class:`Lab`."""
    spaces = make_spaces(banks, drift or Drift(), joint)
    return Lab(
        spaces,
        policy,
        tuple(alarms),
        alpha,
        limit or Spending(),
        independent=independent,
        persistence=persistence,
        smooth=smooth,
    )


@dataclass(frozen=True)
class Raised:
    """An alarm of a simulated run."""

    checkpoint: int
    """Its number, from 0 on."""
    bank: str
    change: float
    """What is true: the change of ability since the baseline, in population sds."""


@dataclass(frozen=True, eq=False)
class Run:
    """One simulated training run of T checkpoints on B banks; abilities in population sds."""

    tasks: NDArray[np.intp]
    """``(T, B)``."""
    truth: Array
    """``(T, B)``."""
    mean: Array
    """``(T, B)`` filtered: what was known then."""
    sd: Array
    """``(T, B)``."""
    covered: NDArray[np.bool_]
    """``(T, B)`` whether the filtered interval holds the truth."""
    smoothed: Array
    """``(T, B)`` what is known at the end; as ``mean`` if that was not asked for."""
    smoothed_covered: NDArray[np.bool_]
    """``(T, B)``."""
    raised: tuple[Raised, ...]
    confirmed: tuple[Raised, ...]


def simulate_series(
    lab: Lab,
    truth: Array,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Run, ...]:
    """Follow R training runs.

    Args:
        truth: ``(R, T, B)`` true abilities by run, checkpoint and bank, in sds of the bank's
            population about its mean.
        seed: of effects, answers and sessions.
        progress: called with (checkpoints done, all).

    >>> from harness.bank import Item
    >>> from harness.schedule.policy import Fixed
    >>> items = tuple(Item(f"i{j}", "2pl", (1.5,), (j / 3 - 2.0,)) for j in range(12))
    >>> lab = make_lab([ItemBank("demo", items)], Fixed(4))
    >>> (run,) = simulate_series(lab, np.zeros((1, 3, 1)))
    >>> run.tasks[:, 0].tolist(), bool(run.sd[0, 0] > run.sd[2, 0])
    ([4, 4, 4], True)
    """
    trainings = [_Training(lab, own, (seed, number)) for number, own in enumerate(truth)]
    for t in range(truth.shape[1]):
        for training in trainings:
            training.arrive(t)
        while asked := [(who, what) for who in trainings if (what := who.ask()) is not None]:
            for bank in lab.banks:
                _hold([(who, what) for who, what in asked if what.bank == bank])
        for training in trainings:
            training.look()
        if progress:
            progress(t + 1, truth.shape[1])
    return tuple(training.result() for training in trainings)


class _Training:
    """One run on its way."""

    def __init__(self, lab: Lab, truth: Array, seed: tuple[int, int]) -> None:
        self.lab = lab
        self.truth = truth
        self.seed = seed
        rng = np.random.default_rng([*seed, 0])
        self.situation = Situation(
            (),
            tuple(Course(space) for space in lab.spaces),
            lab.alarms,
            lab.alpha,
            len(truth),
            lab.limit,
        )
        self.effects = {
            bank: rng.standard_normal(len(scale.table.ids))
            for bank, (_, _, scale) in self.situation.scales.items()
        }
        self.looks: list[tuple[Array, Array, NDArray[np.bool_]]] = []
        self.raised: list[Raised] = []
        self.confirmed: list[Raised] = []

    def arrive(self, t: int) -> None:
        now = self.situation
        courses = now.courses
        if self.lab.independent:
            courses = tuple(Course(space) for space in self.lab.spaces)
        step = t * self.lab.spaces[0].drift.unit
        self.situation = replace(
            now,
            checkpoints=(*now.checkpoints, Checkpoint(step)),
            courses=tuple(arrived(course, step) for course in courses),
        )

    def ask(self) -> Proposal | None:
        now = self.situation
        if self.lab.independent and now.checkpoints[-1].sessions:
            held = {session.bank for session in now.checkpoints[-1].sessions}
            if held == set(self.lab.banks):
                return None
        return propose(now, self.lab.policy)

    def outcomes(self, proposal: Proposal) -> NDArray[np.intp]:
        """``(n,)`` category of every item, -1 for those that are left out."""
        _, _, scale = self.situation.scales[proposal.bank]
        place = [c.step for c in self.situation.checkpoints].index(proposal.step)
        true = scale.bank.mean[0] + scale.sd * self.truth[place, self._at(proposal.bank)]
        node = int(np.abs(scale.nodes - true).argmin())
        share = self.lab.persistence
        if share is None:
            share = self.lab.spaces[0].drift.persistence
        words = [*self.seed, 1, place, self._at(proposal.bank), proposal.number]
        fresh = np.random.default_rng(words).standard_normal(len(scale.table.ids))
        latent = np.sqrt(share) * self.effects[proposal.bank] + np.sqrt(1 - share) * fresh
        found = (scale.cuts[:, 1:-1, node] < latent[:, None]).sum(axis=1)
        found[[scale.table.row(item) for item in proposal.avoid]] = -1
        return np.asarray(found, np.intp)

    def _at(self, bank: str) -> int:
        return self.lab.banks.index(bank)

    def hold(self, proposal: Proposal, answers: tuple[tuple[str, int], ...]) -> None:
        bank = proposal.bank
        now = self.situation
        held = Tested(bank, proposal.number, proposal.purpose, proposal.tasks, "done", answers)
        checkpoints = tuple(
            replace(c, sessions=(*c.sessions, held)) if c.step == proposal.step else c
            for c in now.checkpoints
        )
        last = checkpoints[-1]
        course = now.course(bank)
        if proposal.step == last.step:
            new = with_answers(course, bank, answers)
        else:
            new = follow(course.space, checkpoints)
        courses = tuple(new if c is course else c for c in now.courses)
        self.situation = replace(now, checkpoints=checkpoints, courses=courses)
        found = self.situation.suspicions.get(bank)
        if found is None or found[1].probability < certainty(self.situation):
            return
        alarm, seen = found
        own = self.truth[:, self._at(bank)]
        place = len(checkpoints) - 1
        before = [c.step for c in checkpoints].index(seen.baseline)
        event = Raised(place, bank, float(own[place] - own[before]))
        if event not in self.raised:
            self.raised.append(event)
        if proposal.purpose == "confirm":
            self.confirmed.append(event)
            done = Confirmed(bank, alarm, last.step)
            self.situation = replace(self.situation, confirmed=(*self.situation.confirmed, done))

    def look(self) -> None:
        """What is believed of the last checkpoint after its sessions."""
        places = self.situation.scales.values()
        self.looks.append(self._compared([(c.filtered(-1, axis), s) for c, axis, s in places], -1))

    def _compared(
        self, found: Sequence[tuple[Posterior, Scale]], place: int
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        truth = self.truth[len(self.looks) if place < 0 else place]
        mean = [(p.mean[0] - scale.bank.mean[0]) / scale.sd for p, scale in found]
        sd = [p.sd[0] / scale.sd for p, scale in found]
        inside = []
        for (p, scale), true in zip(found, truth, strict=True):
            interval = p.interval(self.lab.level)
            ability = scale.bank.mean[0] + scale.sd * true
            inside.append(interval.low <= ability <= interval.high)
        return np.array(mean), np.array(sd), np.array(inside)

    def result(self) -> Run:
        mean, sd, covered = (np.stack(part) for part in zip(*self.looks, strict=True))
        smooth, smooth_covered = mean, covered
        if self.lab.smooth and not self.lab.independent:
            by_bank = [
                [(p, scale) for p in course.smoothed(axis)]
                for course, axis, scale in self.situation.scales.values()
            ]
            looks = [self._compared(found, t) for t, found in enumerate(zip(*by_bank, strict=True))]
            smooth, _, smooth_covered = (np.stack(part) for part in zip(*looks, strict=True))
        tasks = [
            [sum(s.tasks for s in checkpoint.on(bank)) for bank in self.lab.banks]
            for checkpoint in self.situation.checkpoints
        ]
        return Run(
            np.array(tasks),
            self.truth,
            mean,
            sd,
            covered,
            smooth,
            smooth_covered,
            tuple(self.raised),
            tuple(self.confirmed),
        )


def _hold(asked: Sequence[tuple[_Training, Proposal]]) -> None:
    """Sessions of many runs on one bank, side by side."""
    if not asked:
        return
    places = [who.situation.scales[what.bank] for who, what in asked]
    scale = places[0][2]
    # an item without an outcome is left out, as by a selector that excludes it
    plans = [
        session_plan(course, replace(what, avoid=()), seed=who.seed[1])
        for (course, _, _), (who, what) in zip(places, asked, strict=True)
    ]
    outcomes = np.stack([who.outcomes(what) for who, what in asked])
    most = np.minimum([what.tasks for _, what in asked], (outcomes >= 0).sum(axis=1))
    ids = scale.table.ids
    ended = np.full(len(asked), -1)
    order = np.argsort(outcomes < 0, axis=1, kind="stable")
    if (most == (outcomes >= 0).sum(axis=1)).all() and not any(what.stop for _, what in asked):
        ended = most  # every item: the order is irrelevant
    else:
        for step in administer(
            scale.table,
            plans[0],
            outcomes,
            np.array([plan.seed for plan in plans]),
            priors=[plan.prior for plan in plans],
        ):
            done = step.progress.items >= most
            if asked[0][1].stop:
                done |= plans[0].stop(step.progress)
            ended = np.where((ended < 0) & done, step.progress.items, ended)
            assert step.progress.order is not None
            order = step.progress.order
            if (ended >= 0).all():
                break
    for (who, what), rows, count, own in zip(asked, order, ended, outcomes, strict=True):
        who.hold(what, tuple((ids[row], int(own[row])) for row in rows[:count]))
