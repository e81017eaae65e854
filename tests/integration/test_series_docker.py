"""Series over real containers: workers at once, one of them killed; a fall from end to end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import worlds

from harness import journal
from harness.bank_files import load_bank
from harness.events import Answered, Chosen, Event, Started, Stopped
from harness.runners.live import container_label
from harness.sandbox import engine
from harness.series import files
from harness.series.files import Registered, register
from harness.series.index import Index, open_index
from harness.series.preview import preview
from harness.series.state import load_series

pytestmark = pytest.mark.docker

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from harness.cli import main; main()"]
SECONDS = 400
"""What a test waits at most for something that takes a moment."""


def begin(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "series", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def series(*arguments: object, code: int = 0) -> str:
    process = begin(*arguments)
    told, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == code, told
    return told


def wait_for(condition: Callable[[], bool], worker: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        assert worker.poll() is None, worker.communicate()[0]
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    for run in tmp_path.glob(f"*/{files.SESSIONS}/*"):
        label = container_label(run)
        left = engine.containers(label)
        engine.cleanup(label)
        assert left == (), run


# --- two workers at once, one of them killed --------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> tuple[str, ...]:
    if request.param == "sqlite":
        return ()
    return ("--database", str(request.getfixturevalue("postgres_url")))


def events(run: Path) -> tuple[Event, ...]:
    path = run / journal.NAME
    if not path.is_file() or b"\n" not in path.read_bytes():
        return ()
    return journal.read(run).events


def half_done(index: Index, folder: Path, worker: "subprocess.Popen[str]") -> Path | None:
    """The run folder in which a worker has answered some tasks and works on another."""
    for work in index.active():
        if work.owner.endswith(f":{worker.pid}"):
            kinds = [event.kind for event in events(folder / work.run)]
            if "answered" in kinds and kinds[-1] == "chosen":
                return folder / work.run
    return None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two banks, and the folder of their tasks."""
    first, tasks = worlds.write_world(tmp_path_factory.mktemp("world"))
    return first, worlds.write_bank(first.parent / "other", worlds.THRESHOLDS), tasks


def test_of_two_workers_one_is_killed_and_nothing_is_lost_or_done_twice(
    database: tuple[str, ...], world: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    first, second, tasks = world
    name = f"line-{uuid4().hex[:8]}"
    folder = tmp_path / name
    series(
        *("init", name, "--root", tmp_path, "--lease", "3", "--policy", "fixed(2)"),
        *("--bank", first, "--bank", second, "--environments", tasks, "--alarm", "none"),
        *("--agent", "persona:1.0,1.5", "--unit", "100", "--prewarm", "0", *database),
    )
    register(folder, Registered(100))
    register(folder, Registered(200, agent="persona:1.2,1.5"))
    index = open_index(folder, load_series(folder).definition)
    workers = [begin("run", folder) for _ in range(2)]
    runs: list[Path] = []

    def reached() -> bool:
        runs.extend(filter(None, [half_done(index, folder, workers[0])]))
        return bool(runs)

    wait_for(reached, workers[0])
    workers[0].send_signal(signal.SIGKILL)
    workers[0].communicate()
    before = events(runs[0])
    assert not isinstance(before[-1], Stopped)
    told, _ = workers[1].communicate(timeout=SECONDS)
    assert workers[1].returncode == 0, told

    assert {(work.step, work.bank) for work in files.works(folder)} == {
        (step, bank) for step in (100, 200) for bank in (first.name, second.name)
    }
    assert Counter(work.status for work in index.works()) == {"done": 4}
    for work in files.works(folder):
        run = files.session_folder(folder, work)
        happened = events(run)
        # the bank says what may follow what, such as no item answered twice
        bank = load_bank(first.parent / work.bank)
        session = journal.replayed(journal.read(run), bank)
        assert len(session.answered) == 2
        answered = Counter(event.item for event in happened if isinstance(event, Answered))
        assert set(answered.values()) == {1}
        steps = Counter(event.step for event in happened if isinstance(event, Chosen))
        assert set(steps.values()) == {1}
        assert sum(isinstance(event, Stopped) for event in happened) == 1
        processes = sum(isinstance(event, Started) for event in happened)
        assert processes == (2 if run == runs[0] else 1)
    # what the killed worker had written is where the other one went on
    assert events(runs[0])[: len(before)] == before
    assert preview(load_series(folder)) == ()


# --- from end to end --------------------------------------------------------------------------


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """URL of a webhook, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", got
        server.shutdown()


@pytest.mark.parametrize(
    ("checkpoints", "falls", "tasks"),
    [
        pytest.param(4, 3, 5, id="short"),
        pytest.param(10, 7, 4, id="whole", marks=pytest.mark.slow),
    ],
)
def test_a_watched_run_whose_care_falls_raises_an_alarm(
    checkpoints: int,
    falls: int,
    tasks: int,
    hook: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    url, got = hook
    folder, training = tmp_path / "line", tmp_path / "training"
    training.mkdir()
    series(
        *("init", "line", "--root", tmp_path, "--bank", "safety-starter", "--unit", "100"),
        *("--policy", f"fixed({tasks})", "--alarm", "fall>0.25 within 5", "--webhook", url),
        *("--checkpoints", checkpoints, "--agent", "persona:1.0,1.5", "--width", "3"),
    )
    last = 100 * checkpoints
    watcher = begin(
        *("watch", folder, training, "--until", last, "--settled", "0.2", "--poll", "0.2")
    )
    for k in range(1, checkpoints + 1):
        place = training / f"checkpoint-{100 * k}"
        place.mkdir()
        care = 1.5 if k < falls else -2.5
        (place / "cat-harness.yaml").write_text(f"agent: persona:1.0,{care}\n")
        if k < checkpoints:

            def tested(step: int = 100 * k) -> bool:
                return any(work.step == step for work in files.works(folder))

            wait_for(tested, watcher)
    told, _ = watcher.communicate(timeout=SECONDS)
    assert watcher.returncode == 1, told

    [record] = files.alarms(folder)
    assert record.state == "confirmed"
    assert record.step in (100 * falls, 100 * (falls + 1))
    assert record.notified == ("webhook",)
    [notice] = got
    assert (notice["step"], notice["state"]) == (record.step, "confirmed")
    assert notice["ability"] < notice["baseline"] - 0.25
    works = files.works(folder)
    assert [work.step for work in works if work.purpose == "confirm"] == [record.step]
    assert [work.step for work in works if work.number == 1] == [*range(100, last + 1, 100)]
    assert all(work.agent.startswith("persona:1.0,") for work in works)
    status = series("status", folder)
    assert "fall>0.25 within 5" in status
    assert "confirmed" in status
    series("report", folder)
    assert "confirmed" in (folder / "report.html").read_text()
