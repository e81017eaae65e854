"""Agents tested against each other: one session each, all ending once it is clear who is better.

The sessions run side by side in one evaluation of Inspect, one task each, and every one has an
ordinary run folder. Each chooses items by its own plan. For two independent agents the variance
of the difference is the sum of their variances, so what is most informative about either is also
what tells them apart best. After each outcome, a session that is told apart from all the others
ends as soon as nothing of its own is in flight; what comes in later may open the question again
for those that still run.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

from inspect_ai import Task, task_with
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import Sample

from harness import journal
from harness.bank_files import find_bank, load_bank
from harness.errors import DockerError, InfrastructureError, InputError
from harness.events import Event, Launch, Plan, Started, Stopped
from harness.journal import Writer
from harness.report.compare import ALPHA, probability_better
from harness.runners.agents import OWN
from harness.runners.inspect import Notify, SessionSource, World, make_task
from harness.runners.live import LOGS, Cast, container_label, present, terminable
from harness.runners.machine import machine
from harness.sandbox import pool, store
from harness.sandbox.config import SandboxConfig
from harness.sandbox.engine import cleanup, sweep
from harness.session import Session

Say = Callable[[str], None]
Prepare = Callable[[list[SandboxConfig]], None]


class _Contest:
    """Who takes part, what is known of each, and which containers all of them want."""

    def __init__(self, alpha: float, finished: Sequence[tuple[str, Session]]) -> None:
        self.alpha = alpha
        self.finished = finished
        self.sides: list[_Side] = []
        self._wanted: dict[int, list[SandboxConfig]] = {}

    def verdict(self, side: "_Side") -> str | None:
        """How a side does against all the others, once that is sure enough; None until then."""
        rivals = [(other.title, other.session) for other in self.sides if other is not side]
        found = []
        for title, session in (*self.finished, *rivals):
            better = probability_better(side.session, session)
            if max(better, 1 - better) < 1 - self.alpha:
                return None
            word = "better" if better >= 0.5 else "worse"
            found.append(f"{word} than {title} with probability {max(better, 1 - better):.3f}")
        return ", ".join(found)

    def want(self, tell: Prepare, side: int, configs: list[SandboxConfig]) -> None:
        """Tell the pool what all sides want ready: the likeliest of each, then the next ones."""
        self._wanted[side] = configs
        turns = zip_longest(*self._wanted.values())
        tell([config for turn in turns for config in turn if config is not None])


class _Side(SessionSource):
    """A session's source that also ends when the contest is decided."""

    def __init__(
        self,
        title: str,
        task: str,
        contest: _Contest,
        session: Session,
        writer: Writer,
        world: World,
        notify: Notify,
    ) -> None:
        self.title = title
        self.task = task
        self._contest = contest
        super().__init__(session, writer, world, notify)
        contest.sides.append(self)

    def _launch(self) -> list[Sample]:
        if self.session.stopped is None and (verdict := self._contest.verdict(self)):
            if self.session.pending:
                return []
            doubt = self.session.doubt
            but = doubt or self.session.caveat
            reason = f"{verdict}, but {but}" if but else verdict
            self.record(Stopped(time.time(), "doubtful" if doubt else "precise", reason))
        return super()._launch()

    def _logs(self) -> frozenset[Path]:
        return frozenset(self._world.logs.glob(f"*{self.task}*.eval"))

    def take_logs(self, folder: Path) -> None:
        """Move this side's logs from where all of them were written to its own run folder."""
        for log in self._logs() - self._earlier:
            target = folder / LOGS / log.name
            target.parent.mkdir(exist_ok=True)
            log.replace(target)


def contest(
    folders: Sequence[Path],
    launches: Sequence[Launch],
    plan: Plan,
    *,
    alpha: float = ALPHA,
    finished: Sequence[tuple[str, Session]] = (),
    notify: Callable[[int, Session, Event], None] = lambda side, session, event: None,
    say: Say = lambda text: None,
) -> list[Session]:
    """Test agents on one bank until each is told apart from all others, or at its plan's end.

    What is interrupted can be resumed run by run; each then goes on to the end of its plan.

    Args:
        folders: a new run folder for each agent.
        launches: agent, model and limits of each, and the same bank.
        plan: what every session follows.
        alpha: two agents are told apart once one is better with probability ``1 - alpha``.
        finished: titles and sessions of agents that were tested before, on the same bank.
        notify: called with the number of the agent after every event of its session.
        say: told about what takes time before the first item.

    Returns:
        The sessions, stopped, in the order of their agents.

    Raises:
        HarnessError: bad input, or a world that does not work.
        KeyboardInterrupt: the contest was interrupted.
    """
    if len(launches) + len(finished) < 2 or not launches:
        raise InputError("a contest needs two agents at least, and one that is still to be tested")
    bank = load_bank(launches[0].bank)
    place = str(find_bank(launches[0].bank).resolve())
    launches = [replace(launch, bank=place) for launch in launches]
    casts = [Cast.of(bank, launch, plan, None, say) for launch in launches]
    labels = [container_label(folder) for folder in folders]
    logs = folders[0] / LOGS
    for label in labels:
        cleanup(label)
    sweep()
    board = _Contest(alpha, finished)
    budgets = [launch.disk_budget_mb for launch in launches if launch.disk_budget_mb is not None]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(journal.appending(folder / journal.NAME)) for folder in folders
        ]
        for label in labels:
            stack.callback(_remove, label)
        stack.enter_context(terminable())
        stack.enter_context(store.within(min(budgets, default=None)))
        ready = stack.enter_context(pool.use(sum(launch.prewarm for launch in launches)))
        tasks = []
        for number, (cast, writer) in enumerate(zip(casts, writers, strict=True)):
            launch = cast.launch
            world = World(
                cast.items,
                labels[number],
                logs,
                launch.sandbox,
                launch.prewarm,
                partial(board.want, ready.want, number),
                None if launch.disk_budget_mb is None else partial(present, cast.items),
            )
            side = _Side(
                launch.title,
                f"adaptive-{number + 1}-of-{len(casts)}",
                board,
                Session(bank.table, plan),
                writer,
                world,
                partial(notify, number),
            )
            run = folders[number].resolve().name
            head = (time.time(), run, launch.title, plan, bank.name, bank.hash)
            side.record(Started(*head, version("cat-harness"), launch, machine()))
            tasks.append(_task(side, cast))
        stack.callback(_take_logs, board.sides, folders)
        _evaluate(tasks, logs, plan.width)
    for writer in writers:
        if writer.failure is not None:
            raise writer.failure
    if any(side.session.stopped is None for side in board.sides):
        raise InfrastructureError("Inspect ended the contest before every session had stopped")
    return [side.session for side in board.sides]


def _task(side: _Side, cast: Cast) -> Task:
    limits: dict[str, float] = {name: int(value) for name, value in cast.launch.limits}
    own = cast.launch.agent == OWN
    task = task_with(make_task(side, cast.agent, cast.tasks, limits, own=own), name=side.task)
    if cast.model is not None:
        task = task_with(task, model=cast.model)
    return task_with(task, model_roles=dict(cast.judges)) if cast.judges else task


def _evaluate(tasks: list[Task], folder: Path, width: int) -> None:
    mend = "nothing answered is lost: once that is mended, resume each run"
    try:
        logs = inspect_eval(
            tasks,
            log_dir=str(folder),
            max_samples=width,
            max_tasks=len(tasks),
            display="none",
        )
    except OSError as error:
        raise InfrastructureError(f"Inspect ended the contest: {error}; {mend}") from error
    # an interrupted evaluation gives cancelled logs, or none at all
    if not logs or any(log.status == "cancelled" for log in logs):
        raise KeyboardInterrupt
    for log in logs:
        if log.status == "error":
            message = log.error.message if log.error else "no reason given"
            raise InfrastructureError(f"Inspect ended the contest: {message}; {mend}")


def _take_logs(sides: Sequence[_Side], folders: Sequence[Path]) -> None:
    for side, folder in zip(sides, folders, strict=True):
        side.take_logs(folder)


def _remove(label: str) -> None:
    # without an engine there is an outcome to report nevertheless; resume cleans up later
    with suppress(DockerError):
        cleanup(label)
