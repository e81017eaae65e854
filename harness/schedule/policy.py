"""What to test, and when: policies from what is known of a series to the next session.

The common ones are here as baselines: the whole benchmark now and then, the same number of tasks
every time, adaptive sessions to a target sd. The default spends a budget where it buys most. In a
steady state a checkpoint adds the variance of the drift, and its tasks take that off again; the
last of them sets the price of variance at which the budget lasts. A task is worth holding while it
is expected to take off more. So a sharp forecast is left alone, a first checkpoint and a declared
jump get more, and so does the bank whose ability moves faster. What may be an alarm gets tasks
until it is one, or is none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.optimize import brentq

from harness.errors import PlanError
from harness.irt import Array
from harness.schedule.alarms import Alarm
from harness.schedule.belief import information
from harness.schedule.changes import Change, change
from harness.schedule.course import Course, follow
from harness.schedule.drift import Drift
from harness.schedule.events import Checkpoint, Proposal, Purpose
from harness.schedule.space import Scale, Space

_FEWEST = 3
"""Tasks below which a session is not worth its start."""
_FOLLOW_UP = (3.0, 10.0)
"""Tasks of a session that is to find something out: so many times what a checkpoint affords, and
at least so many; at most a third of the bank."""
_PATHS = 20_000


@dataclass(frozen=True)
class Full:
    """The whole benchmark at every n-th checkpoint, and no other."""

    every: int = 1

    def __str__(self) -> str:
        return f"full({self.every})"


@dataclass(frozen=True)
class Fixed:
    """So many tasks at every checkpoint."""

    tasks: int

    def __str__(self) -> str:
        return f"fixed({self.tasks})"


@dataclass(frozen=True)
class Adaptive:
    """At every checkpoint as many tasks as it takes to an sd, or at most so many."""

    sd: float
    """Of ability, in sds of the bank's population."""
    most: int = 40

    def __str__(self) -> str:
        return f"adaptive({self.sd:g}, {self.most})"


@dataclass(frozen=True)
class Budget:
    """A budget, spent where it buys most."""

    reserve: float = 0.35
    """Share of what is left that is kept for suspicions and alarms."""
    suspect: float = 0.15
    """Probability of what an alarm looks out for from which on more is asked."""

    def __str__(self) -> str:
        return f"budget({self.reserve:g}, {self.suspect:g})"


Policy = Full | Fixed | Adaptive | Budget

_CALL = re.compile(r"([a-z]+)\s*(?:\(([^()]*)\))?")


def parse_policy(text: str) -> Policy:
    """A policy from its text.

    >>> parse_policy("fixed(8)"), parse_policy("budget")
    (Fixed(tasks=8), Budget(reserve=0.35, suspect=0.15))

    Raises:
        PlanError: it cannot be read.
    """
    match = _CALL.fullmatch(text.strip())
    name, inside = (match[1], match[2] or "") if match else ("", "")
    try:
        numbers = [float(part) for part in inside.split(",") if part.strip()]
    except ValueError:
        name, numbers = "", []
    match name, numbers:
        case "full", []:
            return Full()
        case "full", [every] if _whole(every):
            return Full(int(every))
        case "fixed", [tasks] if _whole(tasks):
            return Fixed(int(tasks))
        case "adaptive", [sd] if sd > 0:
            return Adaptive(sd)
        case "adaptive", [sd, most] if sd > 0 and _whole(most):
            return Adaptive(sd, int(most))
        case "budget", [] | [_] | [_, _] if all(0 <= share < 1 for share in numbers):
            return Budget(*numbers)
        case _:
            raise PlanError(
                f"policy {text!r} cannot be read; write budget, budget(RESERVE, SUSPECT) with "
                "shares below 1, full(EVERY), fixed(TASKS), adaptive(SD) or adaptive(SD, MOST)"
            )


def _whole(number: float) -> bool:
    return number >= 1 and number == int(number)


@dataclass(frozen=True)
class Spending:
    """Dollars, seconds or tasks for the whole series; None where there is no limit."""

    tasks: float | None = None
    usd: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Confirmed:
    """An alarm that a second session confirmed."""

    bank: str
    alarm: Alarm
    step: int


@dataclass(frozen=True, eq=False)
class Situation:
    """All that a policy looks at."""

    checkpoints: tuple[Checkpoint, ...]
    """In order of their steps, those not tested yet included."""
    courses: tuple[Course, ...]
    """Over these checkpoints, one a space."""
    alarms: tuple[tuple[str, Alarm], ...] = ()
    """What is looked out for on each bank."""
    alpha: float = 0.05
    """Probability that the first alarm of a run is false."""
    planned: int = 30
    """Checkpoints that the training run is expected to have."""
    limit: Spending = field(default_factory=Spending)
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Expected dollars and seconds of one task of each bank; NaN where unknown."""
    confirmed: tuple[Confirmed, ...] = ()
    """So far: what was confirmed is the baseline of later alarms, so that one fall is one alarm."""

    @cached_property
    def scales(self) -> dict[str, tuple[Course, int, Scale]]:
        """Where each bank is: course, ability, scale."""
        return {
            scale.name: (course, axis, scale)
            for course in self.courses
            for axis, scale in enumerate(course.space.scales)
        }

    @cached_property
    def gains(self) -> dict[str, Array]:
        """By bank: information ``(n,)`` of its items about ability at the last checkpoint, in
        population sds, the most informative first."""
        return {
            bank: np.sort(information(course.space, course.visits[-1].belief, axis))[::-1]
            for bank, (course, axis, _) in self.scales.items()
        }

    def course(self, bank: str) -> Course:
        """The course that a bank belongs to.

        Raises:
            PlanError: no course has it.
        """
        if bank not in self.scales:
            raise PlanError(f"bank {bank!r} is not in this series, which has {[*self.scales]}")
        return self.scales[bank][0]

    def until(self, place: int) -> "Situation":
        """The situation as of an earlier checkpoint, as far as abilities go."""
        if place == len(self.checkpoints) - 1:
            return self
        courses = tuple(replace(c, visits=c.visits[: place + 1]) for c in self.courses)
        return replace(self, checkpoints=self.checkpoints[: place + 1], courses=courses)

    @cached_property
    def suspicions(self) -> dict[str, tuple[Alarm, Change]]:
        """By bank: the alarm that is nearest to be raised at the last checkpoint."""
        found: dict[str, tuple[Alarm, Change]] = {}
        for bank, alarm in self.alarms:
            earlier = [
                done.step
                for done in self.confirmed
                if (done.bank, done.alarm) == (bank, alarm)
                and done.step < self.checkpoints[-1].step
            ]
            seen = change(self.course(bank), alarm, bank, not_before=max(earlier, default=None))
            if seen and (bank not in found or seen.probability > found[bank][1].probability):
                found[bank] = alarm, seen
        return found


def make_situation(
    checkpoints: Sequence[Checkpoint],
    spaces: Sequence[Space],
    *,
    alarms: Sequence[tuple[str, Alarm]] = (),
    alpha: float = 0.05,
    planned: int = 30,
    limit: Spending | None = None,
    prices: Mapping[str, tuple[float, float]] | None = None,
    confirmed: Sequence[Confirmed] = (),
) -> Situation:
    """A situation, its courses folded; arguments as the fields of :class:`Situation`."""
    return Situation(
        tuple(checkpoints),
        tuple(follow(space, checkpoints) for space in spaces),
        tuple(alarms),
        alpha,
        planned,
        limit or Spending(),
        prices or {},
        tuple(confirmed),
    )


# --- alarms -----------------------------------------------------------------------------------


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
        path = _paths(drift, max(planned, 2))
        path = -path if alarm.direction == "fall" else path
        back = path.shape[1] if alarm.window is None else alarm.window
        before = path[:, np.maximum(np.arange(path.shape[1]) - back, 0)]
        without *= 1 - float((path - before > alarm.by).any(axis=1).mean())
    return 1 - without


def _paths(drift: Drift, planned: int) -> Array:
    """``(paths, planned)`` abilities."""
    rng = np.random.default_rng(0)
    shape = (_PATHS, planned - 1)
    weights = np.array(drift.weights) / sum(drift.weights)
    moves = rng.choice(np.array(drift.sds), (_PATHS, 1), p=weights) * rng.standard_normal(shape)
    if drift.trend:
        moves += drift.slope_sd * rng.standard_normal((_PATHS, 1))
        moves += drift.slope_walk * rng.standard_normal(shape).cumsum(axis=1)
    moves += (rng.random(shape) < drift.jump_rate) * drift.jump_sd * rng.standard_normal(shape)
    return np.concatenate([np.zeros((_PATHS, 1)), moves.cumsum(axis=1)], axis=1)


# --- what next --------------------------------------------------------------------------------


def propose(situation: Situation, policy: Policy) -> Proposal | None:
    """The next session that is worth holding; None where nothing is, or only what runs already.

    A budget is for what ability is now: it is spent on the last checkpoint, and who lags behind a
    training run catches up by skipping. After an alarm, checkpoints that were skipped are tested
    to find where it came from. The other policies take every checkpoint in turn.
    """
    places = range(len(situation.checkpoints))
    for place in places[-1:] if isinstance(policy, Budget) else places:
        then = situation.until(place)
        for bank in situation.scales:
            if found := _at_last(then, situation, policy, bank):
                return found
    if isinstance(policy, Budget) and places:
        for bank in situation.scales:
            if found := _locating(situation, bank):
                return found
    return None


def _at_last(then: Situation, now: Situation, policy: Policy, bank: str) -> Proposal | None:
    """What to hold at the last checkpoint of ``then``, with the money of ``now``."""
    held = then.checkpoints[-1].on(bank)
    if any(session.state in ("planned", "running") for session in held):
        return None
    scale = then.scales[bank][2]
    size = len(scale.table.ids)
    ask = _Asker(then, now, bank)
    if held and (alarm := then.suspicions.get(bank)):
        if any(session.purpose == "confirm" for session in held):
            return None
        rule, seen = alarm
        said = f"P({rule}) is {seen.probability:.3f}"
        if seen.probability >= certainty(then):
            tasks = _follow_up(now, bank)
            return ask("confirm", tasks, f"{said}: an alarm, to be confirmed on other tasks")
        suspicious = isinstance(policy, Budget) and seen.probability >= policy.suspect
        if suspicious and sum(session.tasks for session in held) < size:
            return ask("follow-up", _follow_up(now, bank), f"{said}: too much to leave open")
    if held:
        return None
    match policy:
        case Full(every):
            if (len(then.checkpoints) - 1) % every:
                return None
            return ask("full", size, f"the whole benchmark, at every {_th(every)} checkpoint")
        case Fixed(tasks):
            return ask("routine", tasks, "as many tasks at every checkpoint")
        case Adaptive(sd, most):
            return ask("routine", most, f"until the sd is below {sd:g}", f"sd<{sd * scale.sd:.4g}")
        case Budget():
            tasks, why = _worth(now, policy, bank)
            return ask("routine", tasks, why) if tasks else None


def _th(number: int) -> str:
    """For people.

    >>> _th(1), _th(2), _th(3), _th(12)
    ('single', 'second', 'third', '12th')
    """
    return {1: "single", 2: "second", 3: "third"}.get(number, f"{number}th")


@dataclass(frozen=True)
class _Asker:
    """Makes proposals for one bank at the last checkpoint of a situation, within the budgets."""

    then: Situation
    now: Situation
    bank: str

    def __call__(self, purpose: Purpose, tasks: float, why: str, stop: str = "") -> Proposal | None:
        scale = self.then.scales[self.bank][2]
        many = int(min(tasks, _left(self.now, self.bank), len(scale.table.ids)))
        if many < 1:
            return None
        last = self.then.checkpoints[-1]
        number = max((session.number for session in last.on(self.bank)), default=0) + 1
        avoid = _avoided(self.then, self.bank, many, purpose)
        return Proposal(last.step, self.bank, number, purpose, many, why, stop, avoid)


def _avoided(situation: Situation, bank: str, tasks: int, purpose: Purpose) -> tuple[str, ...]:
    """Items used lately, latest first, as far as enough others remain to choose from."""
    ids = situation.scales[bank][2].table.ids
    enough = tasks if purpose == "confirm" else max(2 * tasks, len(ids) // 2)
    recent: dict[str, None] = {}
    for checkpoint in reversed(situation.checkpoints):
        for session in reversed(checkpoint.on(bank)):
            recent.update(dict.fromkeys(item for item, _ in reversed(session.answers)))
    return tuple(recent)[: max(len(ids) - enough, 0)]


def _locating(situation: Situation, bank: str) -> Proposal | None:
    """After a confirmed alarm: one look at the middle of the checkpoints that were skipped."""
    last = situation.checkpoints[-1]
    found = situation.suspicions.get(bank)
    confirmed = any(done.bank == bank and done.step == last.step for done in situation.confirmed)
    if not confirmed or found is None:
        return None
    baseline = found[1].baseline
    between = [
        place
        for place, checkpoint in enumerate(situation.checkpoints)
        if baseline < checkpoint.step < last.step
    ]
    skipped = [place for place in between if not situation.checkpoints[place].on(bank)]
    located = any(
        session.purpose == "locate"
        for place in between
        for session in situation.checkpoints[place].on(bank)
    )
    if not skipped or located:
        return None
    ask = _Asker(situation.until(skipped[len(skipped) // 2]), situation, bank)
    why = f"ability changed between {baseline} and {last.step}: find out where"
    return ask("locate", _follow_up(situation, bank), why)


# --- money ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Purse:
    """What is left of one budget, and what a task of each bank takes of it."""

    left: float
    costs: Mapping[str, float]


def _purses(situation: Situation) -> list[_Purse]:
    """Of every budget that there is; banks whose cost nobody knows take nothing of it."""
    sessions = [s for checkpoint in situation.checkpoints for s in checkpoint.sessions]
    unknown = (np.nan, np.nan)
    prices = {bank: situation.prices.get(bank, unknown) for bank in situation.scales}
    limit = situation.limit
    purses = []
    if limit.tasks is not None:
        left = limit.tasks - sum(s.tasks for s in sessions)
        purses.append(_Purse(left, dict.fromkeys(situation.scales, 1.0)))
    for at, most in enumerate((limit.usd, limit.seconds)):
        if most is not None:
            costs = {bank: float(np.nan_to_num(price[at])) for bank, price in prices.items()}
            # a session that still runs will cost what its tasks are expected to
            spent = sum(
                max((s.usd, s.seconds)[at], s.tasks * costs[s.bank] * (s.state == "running"))
                for s in sessions
            )
            purses.append(_Purse(most - spent, costs))
    return purses


def _left(situation: Situation, bank: str) -> float:
    """Tasks of one bank that what is left of the budgets pays for."""
    left = np.inf
    for purse in _purses(situation):
        if purse.left <= 0:
            return 0.0
        if purse.costs[bank]:
            left = min(left, purse.left / purse.costs[bank])
    return float(left)


def _checkpoints_left(situation: Situation) -> int:
    return max(situation.planned - len(situation.checkpoints) + 1, 1)


def _follow_up(situation: Situation, bank: str) -> float:
    """Tasks of a session that is to find something out."""
    size = len(situation.scales[bank][2].table.ids)
    times, fewest = _FOLLOW_UP
    affordable = _left(situation, bank) / _checkpoints_left(situation) / len(situation.scales)
    return float(np.clip(times * affordable, fewest, max(size / 3, fewest)))


def _worth(situation: Situation, policy: Budget, bank: str) -> tuple[int, str]:
    """How many tasks of the last checkpoint are worth their price, and why."""
    course, axis, scale = situation.scales[bank]
    belief = course.visits[-1].belief
    weights = belief.ability(axis)
    x = (scale.nodes - scale.bank.mean[0]) / scale.sd
    variance = float(weights @ x**2 - (weights @ x) ** 2)
    after = 1 / (1 / variance + np.concatenate([[0.0], situation.gains[bank].cumsum()]))
    off = -np.diff(after)
    price = max(
        (_price(situation, purse, policy) * purse.costs[bank] for purse in _purses(situation)),
        default=0.0,
    )
    tasks = len(off) if (off >= price).all() else int(np.argmin(off >= price))
    sd, then = variance**0.5, after[tasks] ** 0.5
    if tasks < _FEWEST:
        return 0, f"the forecast is sharp enough for the budget: sd {sd:.2f}"
    return tasks, f"the forecast has sd {sd:.2f}, and the budget affords {then:.2f}"


def _price(situation: Situation, purse: _Purse, policy: Budget) -> float:
    """Variance that a unit of a budget has to take off, so that it lasts to the planned end.

    With the variance ``q`` of the drift and n tasks of information ``i`` at every checkpoint, the
    variance ``v`` after them settles where ``1/v = 1/(v + q) + n i``; the last task then takes off
    ``i v²``. One price serves all banks: each has as many tasks as are worth it.
    """
    budget = purse.left * (1 - policy.reserve) / _checkpoints_left(situation)
    banks = [
        (_drift_variance(course), _good(situation.gains[bank]), purse.costs[bank])
        for bank, (course, _, _) in situation.scales.items()
        if purse.costs[bank]
    ]
    if not banks or budget <= 0:
        return 0.0 if not banks else float("inf")

    def too_much(log_price: float) -> float:
        spent = 0.0
        for drift, gain, cost in banks:
            settled = np.sqrt(np.exp(log_price) * cost / gain)
            spent += cost * drift / (settled * (settled + drift) * gain)
        return float(np.log(spent / budget))

    low, high = -40.0, 40.0
    if too_much(low) <= 0:
        return 0.0
    return float(np.exp(brentq(too_much, low, high)))


def _good(gains: Array) -> float:
    """Information of one of the better items."""
    return max(float(gains[: max(len(gains) // 4, 1)].mean()), 1e-6)


def _drift_variance(course: Course) -> float:
    """Variance that ability is expected to gain by the next checkpoint, in population sds."""
    drift = course.space.drift
    steps = course.steps
    gap = float(np.median(np.diff(steps))) if len(steps) > 1 else float(drift.unit)
    walk = float(course.visits[-1].belief.cells @ [way.sd**2 for way in course.space.cells])
    return (walk + drift.jump_rate * drift.jump_sd**2) * gap / drift.unit
