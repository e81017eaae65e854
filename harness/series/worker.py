"""Work on a series: hold the sessions that are worth holding, judge alarms, tell the world.

Sessions run one at a time, each through the ordinary runner. Several workers may be at work on
one series, on one machine or on many that share its folder.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from harness import journal
from harness.errors import BankError, HarnessError, InfrastructureError, InputError, JournalError
from harness.schedule.events import Proposal
from harness.series import files, history
from harness.series.engine import Say
from harness.series.files import AlarmRecord, Work
from harness.series.holding import Notify, hold_session
from harness.series.index import ATTEMPTS, Claim, Index, open_index
from harness.series.judge import judge
from harness.series.launch import is_own, launch_of
from harness.series.lease import in_use, renewed
from harness.series.metrics import checked, publish
from harness.series.preview import preview
from harness.series.state import Loaded, load_series, next_proposal

IDLE: Final = 2.0
"""Seconds between two looks for work."""
PAUSE: Final = 10.0
"""Seconds before a session that failed is tried again; they double."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call of :func:`work_on`."""

    sessions: tuple[Work, ...]
    """Held to their end."""
    left: tuple[Proposal, ...]
    """Worth holding, where a limit of the call came first."""
    alarms: tuple[AlarmRecord, ...]
    """Confirmed by this call, or at the last checkpoint that was tested."""
    problems: tuple[str, ...]
    """Sessions that were given up, and why."""

    @property
    def exit_code(self) -> int:
        """1 with a confirmed alarm, else 4 with a problem, else 0."""
        return 1 if self.alarms else 4 if self.problems else 0


def work_on(
    folder: Path,
    *,
    say: Say,
    until_idle: bool = True,
    max_usd: float | None = None,
    max_seconds: float | None = None,
    max_sessions: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    notify_event: Notify | None = None,
) -> Outcome:
    """Hold sessions of a series, one after the other.

    A session that another worker left is gone on with from its journal. One that ends on voids,
    or whose checkpoint cannot be served, is tried again, and given up after three attempts in all.

    Args:
        folder: of the series.
        say: told what is done and why.
        until_idle: return when nothing is worth holding and no other worker is at work; otherwise
            wait for more until ``stop`` says so.
        max_usd: of this call. Like the seconds, it also ends a session that it begins.
        max_seconds: of this call.
        max_sessions: of this call.
        stop: asked between sessions.
        notify_event: called after every event of a session.

    Raises:
        InputError: the series cannot be used; BankError where a bank has changed.
        InfrastructureError: the database stays away, or sessions cannot be held at all.
        KeyboardInterrupt: also by SIGTERM; nothing is lost.
    """
    from harness.runners.live import terminable  # Inspect takes seconds to import

    loaded = load_series(folder)
    checked(loaded.definition.metrics)
    index = open_index(folder, loaded.definition, say=say)
    limits = _Limits(max_usd, max_seconds, max_sessions, stop)
    try:
        with terminable():
            return _Shift(index, loaded, say, limits, notify_event).work(until_idle)
    finally:
        index.close()


@dataclass(frozen=True)
class _Limits:
    usd: float | None
    seconds: float | None
    sessions: int | None
    stop: Callable[[], bool]


@dataclass
class _Shift:
    """One call of a worker, and what it has done so far."""

    index: Index
    loaded: Loaded
    say: Say
    limits: _Limits
    notify_event: Notify | None
    began: float = field(default_factory=time.monotonic)
    usd: float = 0.0
    sessions: list[Work] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    confirmed: dict[str, AlarmRecord] = field(default_factory=dict)
    troubles: int = 0
    """In a row, that are no fault of a checkpoint."""

    @property
    def folder(self) -> Path:
        return self.loaded.folder

    def load(self) -> Loaded:
        self.loaded = load_series(self.folder, self.loaded)
        return self.loaded

    def work(self, until_idle: bool) -> Outcome:
        owner = f"{socket.gethostname()}:{os.getpid()}"
        lease = self.loaded.definition.lease
        waiting = False
        # what a worker that was killed left half done
        self.judge()
        limit = ""
        while not (stopped := self.limits.stop()) and not (limit := self.limit()):
            claim = self.index.claim(owner, lease, self.plan)
            if claim is not None:
                waiting = False
                self.hold(claim)
                continue
            if until_idle and not (others := self.index.active()):
                break
            if until_idle and not waiting:
                self.say(f"Waiting for {others[0].owner}, which is at work on {others[0].run}")
                waiting = True
            self.wait(IDLE)
        left = tuple(ahead.proposal for ahead in preview(self.load())) if stopped or limit else ()
        if left and limit:
            self.say(f"{limit}; step {left[0].step} is left to test on {left[0].bank}")
        tested = max((c.step for c in self.loaded.checkpoints if c.sessions), default=None)
        standing = {
            record.id: record
            for record in files.alarms(self.folder)
            if record.state == "confirmed" and record.step == tested
        }
        alarms = tuple({**standing, **self.confirmed}.values())
        return Outcome(tuple(self.sessions), left, alarms, tuple(self.problems))

    def limit(self) -> str:
        """Which limit of this call is reached; empty for none."""
        spent = time.monotonic() - self.began
        limits = self.limits
        if limits.sessions is not None and len(self.sessions) >= limits.sessions:
            return f"{limits.sessions} sessions are held, the limit"
        if limits.usd is not None and self.usd >= limits.usd:
            return f"${self.usd:.2f} spent, the limit is ${limits.usd:g}"
        if limits.seconds is not None and spent >= limits.seconds:
            return f"{spent:.0f} s passed, the limit is {limits.seconds:g} s"
        return ""

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not (self.limits.stop() or self.limit()):
            time.sleep(min(left, 0.2))

    def plan(self) -> Work | None:
        """The next work by what the files hold now."""
        loaded = self.load()
        proposal = next_proposal(loaded)
        if proposal is None:
            return None
        known, _ = loaded.at(proposal.step)
        return Work(**asdict(proposal), agent=launch_of(loaded, known, proposal.bank).title)

    # --- one session ---

    def hold(self, claim: Claim) -> None:
        work = claim.work
        run = files.session_folder(self.folder, work)
        if in_use(run / journal.NAME):
            # its worker could not reach the database and lost the lease, but not the session
            self.index.release(claim)
            self.say(f"{work.id} is still being worked on; waiting for it")
            self.wait(claim.lease / 3)
            return
        lost = threading.Event()
        try:
            bank = self.load().bank(work.bank)
            before = history.facts(self.folder, work, bank)
        except (HarnessError, KeyboardInterrupt):
            # of the whole series: a bank that changed, a file that is damaged
            self.give_back(claim)
            raise
        try:
            with renewed(self.index, claim, lost, self.say):
                # a worker may have been killed between the end of a session and its record
                problem = "" if before.state == "done" else self.follow(work)
            after = history.facts(self.folder, work, bank)
            self.usd += after.usd - before.usd
            if problem:
                self.failed(claim, problem)
                return
            self.index.finish(claim, after)
        except KeyboardInterrupt:
            if lost.is_set():
                self.say(f"Another worker has taken {work.id} over; nothing answered is lost")
                return
            self.give_back(claim)
            self.say(
                f"{work.id} is given back, nothing answered is lost; cat-harness series run "
                f"{self.folder} goes on with it"
            )
            raise
        except InfrastructureError as error:
            self.give_back(claim)
            self.troubles += 1
            if self.troubles >= ATTEMPTS:
                raise
            self.pause(f"{work.id}: {error}", self.troubles)
        except InputError as error:
            known, _ = self.loaded.at(work.step)
            if isinstance(error, BankError | JournalError) or not is_own(known):
                self.give_back(claim)
                raise
            # what a checkpoint is registered with does not get better by waiting
            self.failed(claim, str(error), final=True)
        else:
            self.troubles = 0
            self.sessions.append(work)
            self.say(f"Done: {after.answered} tasks answered on {work.bank} at step {work.step}")
            self.judge()
            self.publish(work)

    def follow(self, work: Work) -> str:
        stops = []
        if self.limits.usd is not None:
            stops.append(f"usd>={max(self.limits.usd - self.usd, 0.0):.6f}")
        if self.limits.seconds is not None:
            left = self.limits.seconds - (time.monotonic() - self.began)
            stops.append(f"seconds>={max(left, 0.0):.3f}")
        return hold_session(self.loaded, work, stops=stops, notify=self.notify_event, say=self.say)

    def failed(self, claim: Claim, problem: str, *, final: bool = False) -> None:
        work = claim.work
        told = f"step {work.step} on {work.bank}: {problem}"
        if self.index.fail(claim, problem, final=final):
            run = files.session_folder(self.folder, work)
            told += (
                f"\n{work.id} is given up, the series goes on without it; to try it again: delete "
                f"{run}, then cat-harness series rebuild {self.folder}"
            )
            self.problems.append(told)
            self.say(told)
            self.judge()
        else:
            self.pause(f"{told}\nattempt {claim.attempts} of {ATTEMPTS} failed", claim.attempts)

    def pause(self, problem: str, attempt: int) -> None:
        seconds = PAUSE * 2 ** (attempt - 1)
        self.say(f"{problem}; trying again in {seconds:.0f} s")
        self.wait(seconds)

    def give_back(self, claim: Claim) -> None:
        # without a database the lease expires by itself
        with suppress(InfrastructureError):
            self.index.waiting(1.0, self.say).release(claim)

    # --- what it has found ---

    def judge(self) -> None:
        for record in judge(self.folder, self.index, self.load, self.say):
            self.confirmed[record.id] = record

    def publish(self, work: Work) -> None:
        if not self.loaded.definition.metrics:
            return
        course = self.loaded.course(work.bank, work.step)
        axis = course.space.axis(work.bank)
        ability = course.filtered(len(course.visits) - 1, axis)
        _, checkpoint = self.loaded.at(work.step)
        numbers = {
            "ability": float(ability.mean[0]),
            "sd": float(ability.sd[0]),
            "tasks": sum(session.tasks for session in checkpoint.on(work.bank)),
        }
        situation = self.loaded.situation
        if work.step == situation.checkpoints[-1].step and work.bank in situation.suspicions:
            numbers["alarm"] = situation.suspicions[work.bank][1].probability
        named = {f"{work.bank}/{name}": number for name, number in numbers.items()}
        publish(self.loaded.definition.metrics, named, work.step, self.say)


__all__ = ["Outcome", "work_on"]
