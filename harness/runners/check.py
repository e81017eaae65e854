"""Prove task directories in Docker: each scripted solution must reach exactly its category."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.solver import Generate, Solver, TaskState, solver

from harness.environments import Environment, load_environment
from harness.events import Answered, Chosen, Voided
from harness.runners.agents import reach
from harness.runners.outcome import outcome
from harness.runners.task import attempt, hidden_tests, make_sample, prepare
from harness.sandbox import images


@dataclass(frozen=True)
class Trial:
    """One scripted attempt at a task, and what came of it."""

    environment: str
    script: str
    expected: int
    category: int | None
    """None for a void."""
    seconds: float
    detail: str

    @property
    def ok(self) -> bool:
        """Whether the attempt reached exactly its category."""
        return self.category == self.expected


@solver
def _reach_given_category() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        environment = load_environment(Path(state.metadata["environment"]))
        await reach(environment, state.metadata["category"])
        return state

    return solve


def check(
    environments: Sequence[Environment],
    *,
    width: int = 2,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Trial, ...]:
    """Run the do-nothing agent, every partial solution and the reference solution of each task.

    Raises:
        DockerError: there is no engine, or no base image.
    """
    images.ensure_base(say)
    planned = {}
    for environment in environments:
        for category in range(len(environment.categories)):
            script = environment.solution(category)
            if script is None or script.is_file():
                name = f"{environment.name}/{script.name if script else 'nop'}"
                planned[name] = (environment, category)
    samples = []
    for step, (name, (environment, category)) in enumerate(planned.items(), start=1):
        chosen = Chosen(0.0, step, environment.name, name, (), ())
        sample = make_sample(chosen, environment, run="")
        sample.metadata = {**(sample.metadata or {}), "category": category}
        samples.append(sample)
    task = Task(
        dataset=samples,
        setup=prepare(),
        solver=attempt(_reach_given_category()),
        scorer=hidden_tests(),
        fail_on_error=False,
        name="check",
    )
    with TemporaryDirectory() as logs:
        done = inspect_eval(task, model=None, log_dir=logs, max_samples=width, display="none")
        if not done or done[0].status == "cancelled":
            raise KeyboardInterrupt
        (log,) = done
        trials = []
        # samples are read from the file, so while it is there
        for sample_log in log.samples or []:
            environment, category = planned[str(sample_log.id)]
            script_name = str(sample_log.id).partition("/")[2]
            event = outcome(sample_log, Chosen(0.0, 0, environment.name, "", (), ()), 0.0, "")
            trials.append(_trial(event, script_name, category))
    return tuple(trials)


def _trial(event: Answered | Voided, script: str, expected: int) -> Trial:
    if isinstance(event, Voided):
        detail = f"void ({event.cause}): {event.detail}"
        return Trial(event.item, script, expected, None, event.cost.seconds, detail)
    failed = [test.name for test in event.evidence.tests if not test.passed]
    detail = (
        f"{len(event.evidence.tests) - len(failed)} of {len(event.evidence.tests)} tests passed"
    )
    if event.category != expected and failed:
        detail += f"; first failure: {failed[0]}"
    return Trial(event.item, script, expected, event.category, event.cost.seconds, detail)
