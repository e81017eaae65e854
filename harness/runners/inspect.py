"""A live session: one Inspect task whose samples a session chooses as it goes."""

import time
from collections.abc import Callable
from pathlib import Path

from inspect_ai import SampleSource, Task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSample
from inspect_ai.solver import Solver

from harness.environments import Environment
from harness.events import Chosen, Event, Voided
from harness.journal import Writer
from harness.runners.metrics import METRICS
from harness.runners.outcome import outcome
from harness.runners.task import attempt, hidden_tests, make_sample, prepare
from harness.session import Session

Notify = Callable[[Session, Event], None]


class SessionSource(SampleSource):
    """Couples a session to Inspect: every event goes to the journal before anything else.

    Args:
        session: new, or folded from a journal; items that it left in flight are launched again.
        writer: of the session's journal.
        environments: task directory of each item.
        run: id of the run, which labels its containers.
        logs: folder of Inspect's logs, in the run folder.
        notify: called after every event with the session that follows from it.
    """

    def __init__(
        self,
        session: Session,
        writer: Writer,
        environments: dict[str, Environment],
        run: str,
        logs: Path,
        notify: Notify,
    ) -> None:
        self.session = session
        self._writer = writer
        self._environments = environments
        self._run = run
        self._logs = logs
        self._notify = notify

    def record(self, event: Event) -> None:
        """Write an event and fold it in. One that changes nothing is not written."""
        after = self.session.after(event)
        if after is not self.session:
            self._writer.append(event)
            self.session = after
            self._notify(after, event)

    def initial_samples(self) -> list[Sample]:
        """What an earlier process left in flight, and what there is room for beside it."""
        left_over = [self._sample(chosen) for chosen in self.session.pending]
        return left_over + self._launch()

    async def next_samples(self) -> list[Sample] | None:
        """More items when nothing is in flight; None once the session has ended."""
        return self._launch() or None

    async def sample_complete(self, sample: EvalSample) -> list[Sample] | None:
        """Record an outcome; an errored sample is a void, and may be followed by another try."""
        chosen = self._chosen(sample.id)
        if chosen is not None:
            self.record(outcome(sample, chosen, time.time(), self._trace()))
        return self._launch()

    async def sample_abandoned(self, sample: Sample, epoch: int) -> list[Sample] | None:
        """An operator cancelled a queued sample: void, because the agent never saw it."""
        chosen = self._chosen(sample.id)
        if chosen is not None:
            detail = "cancelled before it began"
            self.record(Voided(time.time(), chosen.step, chosen.item, "cancelled", detail))
        return self._launch()

    def _chosen(self, sample_id: int | str | None) -> Chosen | None:
        return next((c for c in self.session.chosen.values() if c.sample == sample_id), None)

    def _launch(self) -> list[Sample]:
        if self.session.stopped is None and (end := self.session.ending(time.time())) is not None:
            self.record(end)
        launched = self.session.next_items(time.time())
        for chosen in launched:
            self.record(chosen)
        return [self._sample(chosen) for chosen in launched]

    def _trace(self) -> str:
        """The log of this process: the newest one."""
        newest = max(self._logs.glob("*.eval"), key=lambda path: path.stat().st_mtime, default=None)
        return f"{self._logs.name}/{newest.name}" if newest else ""

    def _sample(self, chosen: Chosen) -> Sample:
        return make_sample(chosen, self._environments[chosen.item], self._run)


def make_task(source: SessionSource, agent: Solver, **limits: float) -> Task:
    """The Inspect task of a session.

    Args:
        limits: Inspect's limits for each sample, such as ``message_limit`` and ``token_limit``.
    """
    return Task(
        dataset=source,
        # apart from the solver, which people who live in Inspect may replace
        setup=prepare(),
        solver=attempt(agent),
        scorer=hidden_tests(),
        metrics=[metric(lambda: source.session) for metric in METRICS],
        name="adaptive",
        # an errored sample is a void of the session, not the end of the run
        fail_on_error=False,
        **limits,  # type: ignore[arg-type]
    )
