"""A series in a training loop: nothing is forgotten, and nothing but its own mistakes ends it."""

import errno
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from series_worlds import World, world

from harness.bank import Item, ItemBank
from harness.bank_files import load_bank, save_bank
from harness.errors import InputError, PlanError
from harness.events import Launch
from harness.schedule.drift import Drift
from harness.series import Series, background, files, hooks, worker
from harness.series.definition import read_definition
from harness.series.files import AlarmRecord, Registered, write_alarm
from harness.series.settings import define
from harness.series.state import load_series
from harness.series.status import Status

__all__ = ["world"]

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs" / "series.md"
SECONDS = 60.0
"""What a test waits at most for something that takes a moment."""


def training_loop() -> str:
    """The first program under "From a training loop"."""
    section = DOCS.read_text(encoding="utf-8").partition("## From a training loop\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found, f"{DOCS} has no program under 'From a training loop'"
    return found[1]


def small_bank(folder: Path, name: str = "safety", size: int = 60) -> Path:
    items = (Item(f"{name}-{k}", "2pl", (2.5,), (2 - 4 * k / size,)) for k in range(size))
    save_bank(ItemBank(name, tuple(items)), folder / name)
    return folder / name


def make_series(folder: Path, **changes: Any) -> Series:
    banks = [small_bank(folder / "banks")]
    given: dict[str, Any] = {"banks": banks, "policy": "fixed(6)", "unit": 100, "agent": "oracle"}
    return Series.open(folder / "line", **{**given, **changes})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log(series: Series) -> str:
    path = series.folder / background.LOG
    return path.read_text() if path.exists() else ""


@dataclass
class Workers:
    """In place of processes: they do their work when they are told to, with locks of their own."""

    begun: list[tuple[Path, int]] = field(default_factory=list)

    def begin(self, folder: Path, lock: IO[bytes]) -> None:
        # like the descriptor that a process inherits, it holds the same lock
        self.begun.append((folder, os.dup(lock.fileno())))

    def run(self) -> None:
        while self.begun:
            folder, lock = self.begun.pop()
            try:
                background.work(folder, lock)
            finally:
                os.close(lock)

    def kill(self) -> None:
        while self.begun:
            os.close(self.begun.pop()[1])


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    workers = Workers()
    monkeypatch.setattr(hooks, "begin_worker", workers.begin)
    yield workers
    workers.kill()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch, workers: Workers) -> Iterator[Workers]:
    """Workers that begin at once."""
    started: list[threading.Thread] = []

    def begin(folder: Path, lock: IO[bytes]) -> None:
        own = Workers()
        own.begin(folder, lock)
        started.append(threading.Thread(target=own.run))
        started[-1].start()

    monkeypatch.setattr(hooks, "begin_worker", begin)
    yield workers
    for thread in started:
        thread.join(SECONDS)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Work that only looks: the steps that were registered each time."""
    looks: list[list[int]] = []

    def work_on(folder: Path, *, say: object) -> SimpleNamespace:
        looks.append([known.step for known in files.registered(folder)])
        return SimpleNamespace(problems=())

    monkeypatch.setattr(worker, "work_on", work_on)
    return looks


@pytest.fixture
def personas(world: World) -> World:
    """Sessions are drawn, and the ability is what the persona has of care."""

    def care(session: str) -> float:
        agent = world.launches[-1].agent
        return float(agent.rpartition(",")[2]) if "persona" in agent else 0.0

    world.abilities = care
    return world


# --- registering ---


def expected(calls: list[tuple[int, str]]) -> tuple[dict[int, str], list[bool]]:
    """What is registered after calls with steps and notes, and which were the caller's mistake."""
    known: dict[int, str] = {}
    wrong = []
    for step, note in calls:
        last = max(known, default=0)
        wrong.append(known.get(step, note) != note or (step not in known and step < last))
        if not wrong[-1]:
            known[step] = note
    return known, wrong


@pytest.mark.parametrize("strict", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(calls=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab")), max_size=8))
def test_steps_come_in_order_and_a_resumed_run_may_repeat_them(
    strict: bool,
    calls: list[tuple[int, str]],
    workers: Workers,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    series = make_series(tmp_path_factory.mktemp("series"), strict=strict)
    known, wrong = expected(calls)
    for (step, note), mistake in zip(calls, wrong, strict=True):
        if mistake and strict:
            with pytest.raises(InputError, match=f"step {step} "):
                series.on_checkpoint(step, "mockllm/model", note=note)
        else:
            series.on_checkpoint(step, "mockllm/model", note=note)
    assert {known.step: known.note for known in files.registered(series.folder)} == known
    assert bool(series.status().problems) == (any(wrong) and not strict)
    workers.kill()


def test_what_is_registered_is_what_was_said(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, tmp_path: Path
) -> None:
    series = make_series(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    series.on_checkpoint(
        np.int64(100),  # type: ignore[arg-type]
        "openai-api/local/{model}",
        agent="agents.py:mine",
        path="here",
        serve="serve {path} --port {port} --name {name}-{step}",
        model_args={"temperature": 0.5, "stop": ["a"]},
        agent_args={"tools": "bash"},
        jump=True,
        note="new data",
    )
    [known] = files.registered(series.folder)
    assert replace(known, at=0.0) == Registered(
        100,
        "openai-api/local/{model}",
        f"{tmp_path}/agents.py:mine",
        (("temperature", "0.5"), ("stop", "['a']")),
        (("tools", "'bash'"),),
        "serve {path} --port {port} --name {name}-{step}",
        f"{tmp_path}/here",
        True,
        0.0,
        "new data",
    )
    assert abs(known.at - time.time()) < SECONDS
    series.on_checkpoint(200, path="org/model")
    assert files.registered(series.folder)[1] == Registered(
        200, path="org/model", at=files.registered(series.folder)[1].at
    )


class Module:
    """What a training loop calls a model."""


@pytest.mark.parametrize(
    ("step", "named", "words"),
    [
        (100, {"model": Module()}, "has to be text.*not a Module: save the checkpoint"),
        (1.5, {}, "step 1.5 has to be a whole number"),
        (-1, {}, "step -1"),
        (100, {"serve": "serve {weights}"}, r"\{weights\}.*no placeholder"),
        (100, {"model": "vllm/{weights}"}, r"\{weights\}.*no placeholder"),
    ],
)
def test_a_mistake_of_the_caller_is_named(
    step: Any, named: dict[str, Any], words: str, workers: Workers, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        make_series(tmp_path).on_checkpoint(step, **named)
    lenient = make_series(tmp_path, strict=False)
    lenient.on_checkpoint(step, **named)
    assert re.search(words, lenient.status().problems[0])
    assert files.registered(lenient.folder) == ()


def full_disk(series: Series, patch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(os, "fsync", full)


def no_process(series: Series, patch: pytest.MonkeyPatch) -> None:
    def none(*args: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    patch.setattr(hooks, "begin_worker", none)


def damaged_file(series: Series, patch: pytest.MonkeyPatch) -> None:
    (series.folder / files.CHECKPOINTS).mkdir(exist_ok=True)
    (series.folder / files.CHECKPOINTS / "000000000001.json").write_text("{")


def damaged_alarm(series: Series, patch: pytest.MonkeyPatch) -> None:
    (series.folder / files.ALARMS).mkdir()
    (series.folder / files.ALARMS / "000000000001-x.json").write_text("{")


def defect(series: Series, patch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        raise KeyError("bank")

    patch.setattr(hooks, "load_series", broken)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (full_disk, "the disk is full"),
        (no_process, "Cannot allocate memory"),
        (damaged_file, "000000000001.json is damaged"),
        (damaged_alarm, "000000000001-x.json is damaged"),
        (defect, "KeyError"),
    ],
)
def test_trouble_never_reaches_the_loop(
    trouble: Callable[[Series, pytest.MonkeyPatch], None],
    words: str,
    looks: list[list[int]],
    threads: Workers,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    series = make_series(tmp_path)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        trouble(series, patch)
        for step in (100, 200):
            assert series.on_checkpoint(step, wait=step == 200) is not None or step == 100
            assert series.alarms() == ()
        assert any(words in problem for problem in series.status().problems)
        assert series.close() == series.status()
    assert words in caplog.text


# --- the worker ---


def test_no_checkpoint_is_forgotten_at_whatever_line_of_a_worker_it_comes(
    looks: list[list[int]], workers: Workers, tmp_path: Path
) -> None:
    lines = 0

    def traced(series: Series, line: int) -> int:
        """Run a worker, register a checkpoint before its given line, and count its lines."""
        seen = 0

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal seen
            if frame.f_code is not background.work.__code__:
                return None
            if event == "line":
                seen += 1
                if seen == line:
                    sys.settrace(None)
                    series.on_checkpoint(200)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            workers.run()
        finally:
            sys.settrace(before)
        return seen

    for line in range(100):
        series = make_series(tmp_path / str(line))
        series.on_checkpoint(100)
        assert len(workers.begun) == 1
        looks.clear()
        lines = traced(series, line)
        if lines < line:
            break
        if line:
            workers.run()
            assert looks[-1] == [100, 200], f"registered before line {line} of a worker"
            assert background.read_pass(series.folder).step == 200
        # nobody is left with the lock, and nothing is left to look at
        assert series.close().problems == ()
        assert workers.begun == []
    assert 5 < lines < 99


def test_calls_from_many_places_begin_one_worker_at_a_time(
    monkeypatch: pytest.MonkeyPatch, threads: Workers, tmp_path: Path
) -> None:
    at_work, most, looks = 0, 0, 0

    def work_on(folder: Path, *, say: object) -> SimpleNamespace:
        nonlocal at_work, most, looks
        at_work, looks = at_work + 1, looks + 1
        most = max(most, at_work)
        time.sleep(0.003)
        at_work -= 1
        return SimpleNamespace(problems=())

    monkeypatch.setattr(worker, "work_on", work_on)
    first = make_series(tmp_path)
    several = [first, Series.open(first.folder), Series.open(first.folder)]
    lock, step = threading.Lock(), 0

    def train(series: Series) -> None:
        nonlocal step
        for k in range(20):
            with lock:
                step += 1
                series.on_checkpoint(step)
            if k % 7 == 0:
                series.on_checkpoint(step, wait=True)

    loops = [threading.Thread(target=train, args=(series,)) for series in several]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(SECONDS)
    assert all(series.close().problems == () for series in several)
    assert background.read_pass(first.folder).step == step == 60
    assert most == 1
    assert looks <= 61


def test_a_worker_that_is_gone_is_replaced_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun = 0

    def killed(folder: Path, lock: IO[bytes]) -> None:
        nonlocal begun
        begun += 1

    monkeypatch.setattr(hooks, "begin_worker", killed)
    series = make_series(tmp_path)
    for step in (100, 200, 300):
        series.on_checkpoint(step)
    assert begun == 3
    [problem] = series.close().problems
    assert "ended before it had looked" in problem
    assert str(series.folder / background.LOG) in problem
    assert begun == 4


def test_what_failed_is_tried_again_by_the_next_call_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, tmp_path: Path
) -> None:
    problems = ["no engine"]
    monkeypatch.setattr(
        worker, "work_on", lambda folder, say: SimpleNamespace(problems=tuple(problems))
    )
    series = make_series(tmp_path)
    series.on_checkpoint(100)
    workers.run()
    assert series.status().problems == ("no engine",)
    # as a run does that is resumed
    series = make_series(tmp_path)
    problems.clear()
    series.on_checkpoint(100)
    workers.run()
    assert series.status().problems == ()
    series.on_checkpoint(100)
    assert workers.begun == []


def test_only_the_first_process_of_a_distributed_run_acts(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "1")
    other = make_series(tmp_path)
    assert other.on_checkpoint(100, wait=True) is None
    assert not other.folder.exists()
    monkeypatch.setenv("RANK", "0")
    make_series(tmp_path).on_checkpoint(100)
    assert other.close().alarms == ()
    assert not make_series(tmp_path, main=False).main
    monkeypatch.setenv("RANK", "3")
    assert make_series(tmp_path, main=True).main
    assert len(workers.begun) == 1


def test_a_worker_is_no_part_of_the_training_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher = {
        *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK"),
        *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"),
    }
    for name in launcher:
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("HF_HOME", "/weights")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('taken for a module of Python')")
    # in place of a worker: what it would see
    probe = "import os, json, sys; print('seen', os.getsid(0) == os.getpid(), *os.environ)"
    monkeypatch.setattr(background, "__name__", "probe")
    run = subprocess.Popen

    def begun(command: list[str], **named: Any) -> Any:
        assert command[1:4] == ["-P", "-m", "probe"]
        return run([command[0], command[1], "-c", probe, *command[4:]], **named)

    monkeypatch.setattr(subprocess, "Popen", begun)
    series = make_series(tmp_path)
    series.on_checkpoint(100)
    until(lambda: log(series).endswith("\n"))
    seen, leads, *names = log(series).split()
    assert (seen, leads) == ("seen", "True")
    assert not launcher & set(names)
    assert "HF_HOME" in names


def test_a_worker_process_works_while_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # nobody answers there
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    bank = "safety-starter"
    series = make_series(tmp_path, banks=[bank], agent="persona:1.0,0.5")
    for step in (100, 200, 300, 400):
        series.on_checkpoint(step)
    until(lambda: "trying again" in log(series))
    for step in (500, 600):
        series.on_checkpoint(step)
    # four calls, and two while it was at work: one worker
    [pid] = re.findall(r"worker (\d+) begins", log(series))
    assert "dead.sock" in log(series) or "Docker" in log(series)
    assert series.status().abilities == ()
    os.kill(int(pid), signal.SIGTERM)
    assert series._worker is not None
    assert series._worker.wait(SECONDS) == 130
    assert [known.step for known in files.registered(series.folder)] == [*range(100, 700, 100)]
    # what cannot be used at all ends the next worker at once, and is told
    known = load_series(series.folder).definition.banks[0]
    text = (series.folder / "series.yaml").read_text()
    (series.folder / "series.yaml").write_text(text.replace(known.hash, "f" * len(known.hash)))
    problems = series.close().problems
    assert all(f"bank '{bank}'" in problem and "has hash" in problem for problem in problems)
    assert background.read_pass(series.folder).problems == problems
    assert len(re.findall(r"worker \d+ ends", log(series))) == 1
    assert "Traceback" not in log(series)


def test_what_was_found_is_what_the_series_believes(
    personas: World, threads: Workers, tmp_path: Path
) -> None:
    banks = [small_bank(tmp_path / "banks", name, 40) for name in ("safety", "coding")]
    series = make_series(tmp_path, banks=banks, alarms=["safety: fall>0.5 within 3"])
    assert str(series.status()) == "nothing was tested yet"
    stopped, found = -1, None
    for k in range(12):
        found = series.on_checkpoint(
            100 * (k + 1), agent=f"persona:1,{0.5 if k < 2 else -2.0}", wait=True
        )
        assert found is not None
        assert found.problems == ()
        assert [ability.step for ability in found.abilities] == [100 * (k + 1)] * 2
        if series.alarms():
            stopped = k
            break
    assert found is not None
    assert stopped in (2, 3)
    [alarm] = found.alarms
    assert (alarm.bank, alarm.state, alarm.step) == ("safety", "confirmed", 100 * (stopped + 1))
    loaded = load_series(series.folder)
    for ability, bank in zip(found.abilities, loaded.banks, strict=True):
        course = loaded.situation.course(bank.name)
        believed = course.filtered(stopped, course.space.axis(bank.name))
        assert ability.bank == bank.name
        assert ability.value == pytest.approx(float(believed.mean[0]))
        assert ability.interval == believed.interval(0.9)
    assert series.close() == found
    assert f"alarm on safety at step {alarm.step}: fall>0.5 within 3" in str(found)


def test_a_loop_that_fails_is_not_held_up(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, tmp_path: Path
) -> None:
    waited = 0

    def settled(series: Series, begun_at: int | None) -> Status:
        nonlocal waited
        waited += 1
        return series.status()

    def train(steps: int) -> float:
        with make_series(tmp_path) as series:
            series.on_checkpoint(100)
            return 1 / steps

    monkeypatch.setattr(Series, "_settled", settled)
    with pytest.raises(ZeroDivisionError):
        train(0)
    assert (waited, len(workers.begun)) == (0, 1)
    train(1)
    assert waited == 1


# --- opening ---


def test_the_first_call_makes_the_series_and_later_ones_find_it(tmp_path: Path) -> None:
    bank = str(small_bank(tmp_path / "banks"))
    known: dict[str, Any] = {"banks": [bank], "unit": 50, "model": "vllm/{path}", "seed": 3}
    made = Series.open("line", root=tmp_path, **known)
    assert made.folder == tmp_path / "line"
    definition = read_definition(made.folder)
    for again in (
        Series.open("line", root=tmp_path),
        Series.open("line", root=tmp_path, **known),
        Series.open(made.folder),
        Series.open(str(made.folder)),
    ):
        assert again.folder == made.folder
    assert read_definition(made.folder) == definition
    for other, there, here in (
        ({"unit": 60}, "unit is 50", "60"),
        ({"model": "vllm/x"}, r"model is 'vllm/\{path\}'", "'vllm/x'"),
        ({"alarms": []}, "alarms is .*within 5", r"\(\)"),
    ):
        with pytest.raises(InputError, match=f"line/series.yaml.*{there}.* there and {here} here"):
            Series.open("line", root=tmp_path, **{**known, **other})
        lenient = Series.open("line", root=tmp_path, strict=False, **{**known, **other})
        assert re.search(there, lenient._problems[0])
    with pytest.raises(InputError, match=r"no series at lime .*there are line"):
        Series.open("lime", root=tmp_path)
    with pytest.raises(InputError, match="exists: a series is made once"):
        Series.create("line", root=tmp_path, **known)


def test_a_bank_that_has_changed_is_found_at_once(tmp_path: Path) -> None:
    make_series(tmp_path)
    small_bank(tmp_path / "banks", size=50)
    with pytest.raises(InputError, match="began with hash"):
        Series.open(tmp_path / "line")


def test_settings_become_a_definition(tmp_path: Path) -> None:
    banks = [small_bank(tmp_path, name) for name in ("safety", "coding")]
    made = define(
        "line",
        banks,
        checkpoints=10,
        alarms=["fall>0.5 within 2", "coding: rise > 1 since first"],
        limits={"message_limit": 9},
        agent="agents.py:mine",
        agent_args={"tools": ["bash"]},
        on_alarm="true",
    )
    assert [bank.path for bank in made.banks] == [str(bank) for bank in banks]
    assert [bank.hash for bank in made.banks] == [load_bank(bank).hash for bank in banks]
    assert made.launch == Launch(
        "",
        f"{Path.cwd()}/agents.py:mine",
        agent_args=(("tools", "['bash']"),),
        limits=(("message_limit", 9),),
    )
    assert made.alarms == (
        ("safety", "fall>0.5 within 2"),
        ("coding", "fall>0.5 within 2"),
        ("coding", "rise>1 since first"),
    )
    # 15% of 60 + 60 items at 10 checkpoints
    assert (made.policy, made.max_tasks, made.on_alarm) == ("budget", 180, "true")
    assert define("line", banks, max_usd=3.0).max_tasks is None
    assert define("line", banks, policy="fixed(3)").max_tasks is None
    assert define("line", banks, drift=Drift(unit=7, trend=True)).drift.trend
    assert define("line", banks, unit=7).drift == Drift(unit=7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bank": "x"}, "setting 'bank' .*unknown; there are .*agent.*banks.*unit"),
        ({"banks": "safety"}, "setting 'banks' .*list"),
        ({"banks": []}, "'line', entry 'banks'"),
        ({"alarms": "fall>0.5 within 3"}, "setting 'alarms' .*list"),
        ({"alarms": ["down"]}, "alarm 'down' cannot be read"),
        ({"alarms": ["coding: fall>0.5 within 3"]}, "bank 'coding' is none of the series"),
        ({"policy": "sometimes"}, "policy 'sometimes'"),
        ({"metrics": ["graphite"]}, "metrics 'graphite'"),
        ({"alpha": 2.0}, "'line', entry 'alpha'"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises((InputError, PlanError), match=words):
        make_series(tmp_path, **changes)
    assert not (tmp_path / "line").exists()


# --- a trainer ---


def save_steps(
    callback: Any, steps: range, folder: Path, *, first: bool = True, stop: bool = False
) -> int:
    """A trainer that saves at every step, as far as its callbacks are concerned; its last step."""
    args = SimpleNamespace(output_dir=str(folder))
    state = SimpleNamespace(global_step=0, is_world_process_zero=first)
    control = SimpleNamespace(should_training_stop=False)

    def event(name: str, **others: object) -> None:
        assert getattr(callback, name)(args, state, control, model=object(), **others) is None

    event("on_init_end")
    event("on_train_begin", train_dataloader=[])
    for step in steps:
        event("on_step_begin")
        state.global_step = step
        (folder / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
        for name in ("on_step_end", "on_log", "on_evaluate", "on_save", "on_something_new"):
            event(name)
        if control.should_training_stop:
            break
    event("on_train_end")
    return int(state.global_step)


def test_a_trainer_s_checkpoints_are_registered(
    looks: list[list[int]], threads: Workers, tmp_path: Path
) -> None:
    series = make_series(tmp_path)
    callback = series.trainer_callback("vllm/{path}", serve="serve {path} --port {port}", wait=True)
    assert save_steps(callback, range(10, 40, 10), tmp_path / "out") == 30
    assert looks[-1] == [10, 20, 30]
    for known in files.registered(series.folder):
        assert known.path == f"{tmp_path}/out/checkpoint-{known.step}"
        assert (known.model, known.serve) == ("vllm/{path}", "serve {path} --port {port}")
    # resumed from the first checkpoint
    save_steps(callback, range(20, 50, 10), tmp_path / "out")
    assert [known.step for known in files.registered(series.folder)] == [10, 20, 30, 40]
    # a process that is not the first
    save_steps(callback, range(50, 60), tmp_path / "out", first=False)
    assert files.registered(series.folder)[-1].step == 40
    assert not hasattr(callback, "state")


def confirmed(step: int) -> AlarmRecord:
    return AlarmRecord(step, "safety", "fall>0.25 within 5", 0.99, 0.0, "confirmed", 0.99)


@pytest.mark.parametrize("stop", [True, False])
def test_a_trainer_stops_at_the_save_after_an_alarm(
    stop: bool, looks: list[list[int]], threads: Workers, tmp_path: Path
) -> None:
    series = make_series(tmp_path)
    callback = series.trainer_callback("mockllm/model", stop_on_alarm=stop)
    write_alarm(series.folder, replace(confirmed(5), state="raised"))
    assert save_steps(callback, range(10, 40, 10), tmp_path / "out") == 30
    write_alarm(series.folder, confirmed(20))
    assert save_steps(callback, range(40, 60, 10), tmp_path / "out") == (40 if stop else 50)


def test_all_processes_of_a_trainer_stop_at_the_same_step(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, tmp_path: Path
) -> None:
    distributed: Any = ModuleType("torch.distributed")
    distributed.is_available = distributed.is_initialized = lambda: True
    told = [False, False, True]

    def broadcast(held: list[Any], src: int) -> None:
        assert src == 0
        held[0] = told.pop(0)

    distributed.broadcast_object_list = broadcast
    monkeypatch.setitem(sys.modules, "torch.distributed", distributed)
    make_series(tmp_path)
    series = make_series(tmp_path, main=False)
    callback = series.trainer_callback("mockllm/model", stop_on_alarm=True)
    # it sees an alarm that the first process has not seen yet
    write_alarm(series.folder, confirmed(5))
    assert save_steps(callback, range(10, 60, 10), tmp_path / "out", first=False) == 30
    distributed.is_initialized = lambda: False
    assert save_steps(callback, range(40, 60, 10), tmp_path / "out", first=False) == 40


def test_the_real_handler_of_a_trainer_takes_the_callback(
    looks: list[list[int]], threads: Workers, tmp_path: Path
) -> None:
    library = pytest.importorskip("transformers")
    series = make_series(tmp_path)
    callback = series.trainer_callback("mockllm/model", wait=True)
    handler = library.trainer_callback.CallbackHandler(
        [library.trainer_callback.DefaultFlowCallback(), callback], None, None, None, None
    )
    args = SimpleNamespace(output_dir=str(tmp_path / "out"))
    state, control = library.TrainerState(), library.TrainerControl()
    for name in dir(library.TrainerCallback):
        if name.startswith("on_") and name not in ("on_save", "on_train_end"):
            # each is asked of the callback alone: others want more of a trainer than we make here
            assert getattr(callback, name)(args, state, control) is None
    state.global_step = 10
    assert handler.on_save(args, state, control) is control
    assert handler.on_train_end(args, state, control) is control
    assert looks == [[10]]


# --- as it is documented ---


def test_the_loop_of_the_docs_runs(
    monkeypatch: pytest.MonkeyPatch,
    personas: World,
    threads: Workers,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    program = training_loop()
    assert 5 <= len([line for line in program.splitlines() if line.strip()]) <= 12
    for _ in range(2):
        # the second time as a run that is started again
        exec(compile(program, str(DOCS), "exec"), {"__name__": "__main__"})
        told = capsys.readouterr().out
        assert re.search(r"^safety-starter at step \d+: ability -?\d", told, re.MULTILINE)
    [folder] = (tmp_path / "runs" / "series").iterdir()
    steps = [known.step for known in files.registered(folder)]
    assert len(steps) >= 3
    tested = {work.step for work in files.works(folder)}
    assert steps[-1] in tested


def test_a_loop_loads_nothing_heavy() -> None:
    heavy = ("inspect_ai", "docker", "sqlalchemy", "torch", "transformers", "matplotlib")
    code = (
        "import sys; from harness.series import Series; "
        f"print(*sorted(sys.modules.keys() & set({heavy!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
