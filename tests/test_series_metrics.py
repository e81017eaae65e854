"""Numbers reach the clients of Weights & Biases and MLflow, whose failures stop nothing."""

import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.errors import InputError
from harness.series import metrics
from harness.series.metrics import STEP, Mlflow, Wandb, checked, parse_target, publish

NUMBERS = {"odcv/ability": -0.5, "odcv/sd": 0.25}


class Run:
    """Stands in for wandb's run: what was defined and logged."""

    def __init__(self) -> None:
        self.axes: dict[str, str | None] = {}
        self.logged: list[dict[str, float]] = []
        self.ended = False

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.ended = True

    def define_metric(
        self, name: str, step_metric: str | None = None, hidden: bool = False
    ) -> None:
        self.axes[name] = step_metric

    def log(self, data: dict[str, float]) -> None:
        self.logged.append(data)


class FakeWandb(ModuleType):
    """The part of wandb's surface that is used."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.run: Run | None = None
        self.opened: list[dict[str, Any]] = []
        self.runs: list[Run] = []

    Settings = SimpleNamespace

    def login(self, *, timeout: int) -> bool:
        return timeout > 0

    def init(self, **given: Any) -> Run:
        self.opened.append(given)
        self.runs.append(Run())
        return self.runs[-1]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("wandb:p", Wandb("p")),
        ("wandb:p/r", Wandb("p", "r")),
        ("mlflow:/Users/me/exp", Mlflow("/Users/me/exp")),
    ],
)
def test_targets(text: str, target: Wandb | Mlflow) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "wandb", "wandb:", "wandb:/r", "wandb:a/b/c", "tb:x", "mlflow:"]
)
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be read; write wandb:PROJECT"):
        publish((text,), NUMBERS, 1, print)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_an_absent_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"pip install 'cat-harness\[{name}\]'"):
        checked((f"{name}:x",))


def test_one_run_is_continued_and_ended_and_steps_may_go_back(
    wandb: FakeWandb, said: list[str]
) -> None:
    for step in (20, 10):
        publish(("wandb:p/r",), NUMBERS, step, said.append)
    for given in wandb.opened:
        assert (given["project"], given["id"], given["resume"]) == ("p", "r", "allow")
    assert [run.logged for run in wandb.runs] == [[{**NUMBERS, STEP: 20}], [{**NUMBERS, STEP: 10}]]
    assert all(run.ended for run in wandb.runs)
    assert wandb.runs[0].axes == {STEP: None, **dict.fromkeys(NUMBERS, STEP)}
    assert said == []


def test_an_active_run_is_used(wandb: FakeWandb, said: list[str]) -> None:
    wandb.run = Run()
    publish(("wandb:other",), NUMBERS, 7, said.append)
    assert wandb.opened == []
    assert wandb.run.logged == [{**NUMBERS, STEP: 7}]
    assert not wandb.run.ended


def test_a_failure_is_said_and_the_next_target_is_reached(
    wandb: FakeWandb, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**given: Any) -> Run:
        if given["project"] == "bad":
            raise OSError("no\nroute")
        return FakeWandb.init(wandb, **given)

    monkeypatch.setattr(wandb, "init", fail)
    publish(("wandb:bad", "wandb:good"), NUMBERS, 7, said.append)
    assert said == ["metrics of step 7 did not reach wandb:bad: OSError: no route"]
    assert len(wandb.runs) == 1


def test_wandb_itself_takes_it_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = (
        "from harness.series.metrics import publish\n"
        "import wandb\n"
        "for step in (20, 10): publish(('wandb:p/r',), {'a/b': step / 2}, step, print)\n"
        "assert wandb.run is None\n"
        "run = wandb.init(project='q')\n"
        "assert run.project == 'q'\n"
        "publish(('wandb:p/r',), {'a/b': 1.5}, 5, print)\n"
        "assert dict(run.summary)['a/b'] == 1.5, dict(run.summary)\n"
        "assert dict(run.summary)['checkpoint/step'] == 5\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PYTHONPATH": str(Path(metrics.__file__).parents[2]),
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    written = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len(written) >= 2
    assert any(b"a/b" in path.read_bytes() for path in written)


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    library = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    before = library.get_tracking_uri()
    library.set_tracking_uri(tmp_path.as_uri())
    yield library
    library.set_tracking_uri(before)


def history(mlflow: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    found = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [(metric.step, metric.value) for metric in found]


def test_mlflow_itself_takes_it(mlflow: Any, said: list[str]) -> None:
    publish(("mlflow:line",), {"a/b": 2.0, "c": math.nan}, 20, said.append)
    publish(("mlflow:line",), {"a/b": 1.0}, 10, said.append)
    assert said == []
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("line")
    [run] = client.search_runs([experiment.experiment_id])
    assert history(mlflow, run.info.run_id, "a/b") == [(20, 2.0), (10, 1.0)]
    with mlflow.start_run(experiment_id=experiment.experiment_id) as active:
        publish(("mlflow:line",), {"a/b": 3.0}, 30, said.append)
    assert history(mlflow, active.info.run_id, "a/b") == [(30, 3.0)]


def test_an_absent_mlflow_server_is_said(mlflow: Any, said: list[str]) -> None:
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    publish(("mlflow:line",), NUMBERS, 7, said.append)
    assert len(said) == 1
    assert said[0].startswith("metrics of step 7 did not reach mlflow:line: MlflowException")


class FakeMlflow(ModuleType):
    """The part of mlflow's surface that is used, with one store for all clients."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.active: Any = None
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, list[str]] = {}
        self.logged: list[tuple[str, int, dict[str, float]]] = []

    def active_run(self) -> Any:
        return self.active

    def log_metrics(self, numbers: dict[str, float], *, step: int, run_id: str) -> None:
        self.logged.append((run_id, step, numbers))

    def MlflowClient(self) -> "FakeMlflow":
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        number = self.experiments.get(name)
        return number and SimpleNamespace(experiment_id=number)

    def create_experiment(self, name: str) -> str:
        return self.experiments.setdefault(name, f"e{len(self.experiments)}")

    def search_runs(self, numbers: list[str], text: str, *, max_results: int) -> list[Any]:
        assert text == "attributes.run_name = 'cat-harness'"
        return [_run(name) for number in numbers for name in self.runs.get(number, [])]

    def create_run(self, number: str, *, run_name: str) -> Any:
        assert run_name == "cat-harness"
        self.runs.setdefault(number, []).append(f"{number}-run")
        return _run(f"{number}-run")


def _run(name: str) -> Any:
    return SimpleNamespace(info=SimpleNamespace(run_id=name))


def test_one_run_of_an_experiment_is_continued(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    for target, step in (("mlflow:x", 20), ("mlflow:x", 10), ("mlflow:y", 5)):
        publish((target,), NUMBERS, step, said.append)
    fake.active = _run("training")
    publish(("mlflow:x",), NUMBERS, 30, said.append)
    assert [(run, step) for run, step, _ in fake.logged] == [
        ("e0-run", 20),
        ("e0-run", 10),
        ("e1-run", 5),
        ("training", 30),
    ]
    assert all(numbers == NUMBERS for *_, numbers in fake.logged)
    assert said == []
