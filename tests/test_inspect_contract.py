"""What we rely on of Inspect, by its public API alone.

Inspect changes weekly. When one of these fails after an upgrade, the runner in
``harness/runners`` has to be looked at before the upgrade is let in.
"""

import inspect
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai import SampleSource, Task
from inspect_ai import eval as inspect_eval
from inspect_ai.agent import as_solver, is_agent, react
from inspect_ai.dataset import Sample
from inspect_ai.log import (
    EvalLog,
    EvalSample,
    read_eval_log,
    read_eval_log_sample,
    read_eval_log_sample_summaries,
)
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, get_model, modelapi
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, tool
from inspect_ai.util import (
    EarlyStop,
    LimitExceededError,
    SandboxEnvironmentSpec,
    apply_limits,
    message_limit,
    sandbox,
    time_limit,
)

Follow = Callable[[EvalSample], Awaitable[list[Sample] | None]]


@solver
def by_name() -> Solver:
    """Does what the sample's id says."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        name = str(state.sample_id)
        if "fails" in name:
            raise RuntimeError("a defect")
        if "slow" in name:
            await anyio.sleep(0.4)
        if "asks" in name:
            return await generate(state)
        return state

    return solve


@scorer(metrics=[])
def category() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=2, metadata={"category": 2})

    return score


class Recorder(SampleSource):
    """A source that writes down how it is called."""

    def __init__(self, seed: Sequence[Sample], follow: Follow | None = None) -> None:
        self.calls: list[str] = []
        self.done: list[EvalSample] = []
        self._seed, self._follow = list(seed), follow

    def initial_samples(self) -> list[Sample]:
        self.calls.append("initial_samples")
        return self._seed

    async def next_samples(self) -> list[Sample] | None:
        self.calls.append("next_samples")
        return None

    async def sample_complete(self, sample: EvalSample) -> list[Sample] | None:
        self.calls.append(f"sample_complete {sample.id}")
        self.done.append(sample)
        return await self._follow(sample) if self._follow else None


def sample(name: str, **metadata: object) -> Sample:
    return Sample(id=name, input="do it", target="x", metadata=metadata)


def evaluate(
    source: SampleSource, logs: Path, *, solver: Solver | None = None, **options: Any
) -> EvalLog:
    task_options = {
        name: options.pop(name)
        for name in ("metrics", "message_limit", "token_limit", "time_limit", "early_stopping")
        if name in options
    }
    task = Task(
        dataset=source,
        solver=solver or by_name(),
        scorer=category(),
        fail_on_error=False,
        name="contract",
        **task_options,
    )
    options = {"model": "mockllm/model", "display": "none", "log_dir": str(logs), **options}
    (log,) = inspect_eval(task, **options)
    return log


# --- the source ---------------------------------------------------------------------------------


def test_the_source_has_the_methods_that_we_override() -> None:
    expected = {
        "initial_samples": (["self"], False),
        "next_samples": (["self"], True),
        "sample_complete": (["self", "sample"], True),
        "sample_abandoned": (["self", "sample", "epoch"], True),
    }
    for name, (parameters, is_async) in expected.items():
        method = getattr(SampleSource, name)
        assert list(inspect.signature(method).parameters) == parameters, name
        assert inspect.iscoroutinefunction(method) == is_async, name


def test_the_seed_is_asked_for_when_the_task_is_made_and_the_end_is_asked_for_last(
    tmp_path: Path,
) -> None:
    source = Recorder([sample("one"), sample("two")])
    Task(dataset=source, solver=by_name(), scorer=category())
    assert source.calls == ["initial_samples"]
    source.calls.clear()
    log = evaluate(source, tmp_path, max_samples=1)
    assert log.status == "success"
    assert source.calls == [
        *("initial_samples", "sample_complete one", "sample_complete two", "next_samples")
    ]


def test_follow_up_samples_may_be_returned_one_at_a_time(tmp_path: Path) -> None:
    async def follow(done: EvalSample) -> list[Sample] | None:
        number = int(str(done.id))
        return [sample(str(number + 1), step=number + 1)] if number < 4 else []

    source = Recorder([sample("1", step=1)], follow)
    log = evaluate(source, tmp_path, max_samples=1)
    assert [done.id for done in source.done] == ["1", "2", "3", "4"]
    assert [done.metadata["step"] for done in source.done] == [1, 2, 3, 4]
    assert log.results is not None
    assert log.results.completed_samples == 4


def test_a_source_with_nothing_to_run_ends_as_a_success(tmp_path: Path) -> None:
    # a session that was killed between its last answer and its end has nothing left to run
    source = Recorder([])
    log = evaluate(source, tmp_path)
    assert (log.status, source.calls) == ("success", ["initial_samples", "next_samples"])


def test_more_samples_may_come_from_next_samples(tmp_path: Path) -> None:
    class Late(Recorder):
        async def next_samples(self) -> list[Sample] | None:
            await super().next_samples()
            return [sample("late")] if not self.done else None

    source = Late([])
    evaluate(source, tmp_path)
    assert source.calls == [
        *("initial_samples", "next_samples", "sample_complete late", "next_samples")
    ]


def test_an_errored_sample_arrives_with_its_error_and_no_score_and_may_be_followed(
    tmp_path: Path,
) -> None:
    async def follow(done: EvalSample) -> list[Sample] | None:
        return [sample("again")] if done.id == "fails" else None

    source = Recorder([sample("fails")], follow)
    log = evaluate(source, tmp_path, max_samples=1)
    errored, again = source.done
    assert errored.error is not None
    assert (
        errored.error.message == "RuntimeError('a defect')" or errored.error.message == "a defect"
    )
    assert "in solve" in errored.error.traceback
    assert "test_inspect_contract.py" in errored.error.traceback
    assert not errored.scores
    assert again.error is None
    assert (again.scores or {})["category"].metadata == {"category": 2}
    assert log.status == "success"


def test_nothing_follows_an_errored_sample_by_itself(tmp_path: Path) -> None:
    # the trap: without a follow-up, the run ends here and calls itself a success
    source = Recorder([sample("fails")])
    log = evaluate(source, tmp_path)
    assert log.status == "success"
    assert source.calls[-1] == "next_samples"


def test_a_sample_id_may_not_be_used_twice(tmp_path: Path) -> None:
    async def follow(done: EvalSample) -> list[Sample] | None:
        return [sample("one")]

    log = evaluate(Recorder([sample("one")], follow), tmp_path)
    assert log.status == "error"
    assert log.error is not None
    assert "duplicate" in log.error.message


def test_a_failure_of_the_source_ends_the_run_as_an_error(tmp_path: Path) -> None:
    async def follow(done: EvalSample) -> list[Sample] | None:
        raise OSError("the disk is full")

    log = evaluate(Recorder([sample("one"), sample("two")], follow), tmp_path)
    assert log.status == "error"
    assert log.error is not None
    assert "the disk is full" in log.error.message


def test_completion_order_is_not_launch_order(tmp_path: Path) -> None:
    source = Recorder([sample("slow"), sample("quick")])
    evaluate(source, tmp_path, max_samples=2)
    assert [done.id for done in source.done] == ["quick", "slow"]


def test_callbacks_come_one_at_a_time_on_one_thread(tmp_path: Path) -> None:
    # a session is folded and its journal written without locks
    inside = 0
    threads = set()

    async def follow(done: EvalSample) -> list[Sample] | None:
        nonlocal inside
        inside += 1
        assert inside == 1
        threads.add(threading.get_ident())
        inside -= 1
        return None

    log = evaluate(Recorder([sample(str(n)) for n in range(8)], follow), tmp_path, max_samples=8)
    assert log.status == "success"
    assert len(threads) == 1


def test_early_stopping_cannot_be_combined_with_a_source(tmp_path: Path) -> None:
    class Never:
        async def start_task(self, *_: Any) -> str:
            return "never"

        async def schedule_sample(self, *_: Any) -> EarlyStop | None:
            return None

        async def complete_sample(self, *_: Any) -> None:
            return None

        async def complete_task(self) -> dict[str, Any]:
            return {}

    with pytest.raises(Exception, match="early_stopping"):
        evaluate(Recorder([sample("one")]), tmp_path, early_stopping=Never())


# --- the log ------------------------------------------------------------------------------------


@metric(name="of_the_source")
def of_the_source(source: Recorder) -> Metric:
    def compute(scores: list[SampleScore]) -> Value:
        return float(len(source.done) + 0.5)

    return compute


def test_metrics_that_close_over_the_source_are_computed_at_the_end(tmp_path: Path) -> None:
    source = Recorder([sample("one"), sample("two"), sample("fails")])
    log = evaluate(source, tmp_path, metrics=[of_the_source(source)])
    assert log.results is not None
    (scored,) = log.results.scores
    assert scored.metrics["of_the_source"].value == 3.5


def test_the_log_on_disk_has_metadata_scores_errors_and_summaries(tmp_path: Path) -> None:
    source = Recorder([sample("one", step=1, ability=[0.5], sd=[0.9]), sample("fails", step=2)])
    location = evaluate(source, tmp_path, max_samples=1).location
    log = read_eval_log(location)
    assert log.status == "success"
    assert log.samples is not None
    # in the order of their ids, not of their launch: the step is in the metadata
    assert {str(s.id): s.metadata["step"] for s in log.samples} == {"one": 1, "fails": 2}
    assert next(s for s in log.samples if s.id == "one").metadata["ability"] == [0.5]
    header = read_eval_log(location, header_only=True)
    assert header.samples is None
    assert header.eval.task == "contract"
    summaries = {str(s.id): s for s in read_eval_log_sample_summaries(location)}
    assert summaries["one"].completed
    assert (summaries["one"].scores or {})["category"].value == 2
    assert summaries["fails"].error
    assert not summaries["fails"].scores
    one = read_eval_log_sample(location, id="one", epoch=1)
    assert one.total_time is not None
    assert one.total_time >= 0


# --- limits -------------------------------------------------------------------------------------


@solver
def endless() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for _ in range(50):
            await anyio.sleep(0.1)
            state = await generate(state)
        return state

    return solve


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ({"message_limit": 5}, "message"),
        ({"token_limit": 30}, "token"),
        ({"time_limit": 1}, "time"),
    ],
)
def test_a_sample_at_its_limit_is_scored(option: dict[str, int], kind: str, tmp_path: Path) -> None:
    source = Recorder([sample("one")])
    evaluate(source, tmp_path, solver=endless(), model=talker(), **option)
    (done,) = source.done
    assert done.error is None
    assert done.limit is not None
    assert done.limit.type == kind
    assert (done.scores or {})["category"].value == 2


def test_applied_limits_catch_their_own_errors_and_no_others() -> None:
    async def own() -> LimitExceededError | None:
        with apply_limits([time_limit(0.05)], catch_errors=True) as scope:
            await anyio.sleep(5)
        return scope.limit_error

    error = anyio.run(own)
    assert error is not None
    assert error.type == "time"

    async def unused() -> LimitExceededError | None:
        with apply_limits([time_limit(5)], catch_errors=True) as scope:
            await anyio.sleep(0)
        return scope.limit_error

    assert anyio.run(unused) is None

    async def outer() -> None:
        with (
            apply_limits([time_limit(0.05)], catch_errors=False),
            apply_limits([message_limit(5)], catch_errors=True),
        ):
            await anyio.sleep(5)

    with pytest.raises(LimitExceededError):
        anyio.run(outer)


# --- models, agents, sandboxes ------------------------------------------------------------------


def talker() -> Any:
    def say(*_: object) -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", "words")
        output.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
        return output

    return get_model("mockllm/model", custom_outputs=say)


def test_scripted_outputs_with_usage_need_no_tokenizer_and_are_counted(tmp_path: Path) -> None:
    source = Recorder([sample("asks")])
    evaluate(source, tmp_path, model=talker())
    (done,) = source.done
    assert done.error is None
    (usage,) = done.model_usage.values()
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 3, 10)
    assert [message.role for message in done.messages] == ["user", "assistant"]


def test_a_task_whose_agent_asks_no_model_needs_none(tmp_path: Path) -> None:
    source = Recorder([sample("one")])
    assert evaluate(source, tmp_path, model=None).status == "success"


@modelapi(name="broken")
class Broken(ModelAPI):
    async def generate(self, *_: Any, **__: Any) -> ModelOutput:
        raise RuntimeError("no such deployment")


def test_an_error_of_a_model_shows_the_models_module_in_its_traceback(tmp_path: Path) -> None:
    source = Recorder([sample("asks")])
    evaluate(source, tmp_path, model="broken/model")
    (done,) = source.done
    assert done.error is not None
    assert "no such deployment" in done.error.message
    assert "inspect_ai/model/_model.py" in done.error.traceback.replace("\\", "/")


@tool
def broken_tool() -> Tool:
    async def execute() -> str:
        """Fail."""
        raise KeyError("a defect of the tool")

    return execute


def calls_tool(name: str, **arguments: Any) -> Any:
    def say(*_: object) -> ModelOutput:
        output = ModelOutput.for_tool_call("mockllm/model", name, arguments)
        output.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
        return output

    return get_model("mockllm/model", custom_outputs=say)


def test_an_error_of_a_tool_is_told_from_one_of_the_model(tmp_path: Path) -> None:
    source = Recorder([sample("one")])
    agent = as_solver(react(tools=[broken_tool()]))
    evaluate(source, tmp_path, solver=agent, model=calls_tool("broken_tool"))
    (done,) = source.done
    assert done.error is not None
    traceback = done.error.traceback.replace("\\", "/")
    assert set(re.findall(r"inspect_ai/model/(\S+\.py)", traceback)) == {"_call_tools.py"}


def test_react_ends_by_its_submit_tool(tmp_path: Path) -> None:
    assert is_agent(react(tools=[]))
    source = Recorder([sample("one")])
    model = calls_tool("submit", answer="done")
    evaluate(source, tmp_path, solver=as_solver(react(tools=[])), model=model)
    (done,) = source.done
    assert done.error is None
    assert sum(message.role == "assistant" for message in done.messages) == 1


def test_each_sample_has_the_sandbox_it_names(tmp_path: Path) -> None:
    @solver
    def writes() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            await sandbox().write_file("kept.txt", str(state.sample_id))
            result = await sandbox().exec(["cat", "kept.txt"])
            state.store.set("read", result.stdout)
            return state

        return solve

    samples = [sample("one"), sample("two")]
    for one in samples:
        one.sandbox = SandboxEnvironmentSpec("local")
    source = Recorder(samples)
    evaluate(source, tmp_path, solver=writes())
    assert {str(done.id): done.store["read"] for done in source.done} == {
        "one": "one",
        "two": "two",
    }
