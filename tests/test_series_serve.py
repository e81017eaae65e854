"""A serving command: its endpoint is found, its failures are told, and nothing of it is left."""

import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureError, InputError
from harness.series.serve import Endpoint, endpoint, filled, serving

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = shlex.quote(sys.executable)


def quiet(text: str) -> None:
    pass


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def alive(pid: int) -> bool:
    """Running, or at least no mere entry that nobody has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def pids(path: Path, count: int) -> list[int]:
    assert until(lambda: path.exists() and len(path.read_text().split()) == count)
    return [int(text) for text in path.read_text().split()]


def test_placeholders_reach_the_command_as_single_words() -> None:
    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
    def check(path: str) -> None:
        line = filled("printf '%s|' {path} {step}", {"path": path, "step": "7"})
        done = subprocess.run(line, shell=True, capture_output=True, check=True)
        assert done.stdout.decode() == f"{path}|7|"

    check()


def test_an_unknown_placeholder_is_refused_and_the_shells_own_braces_are_not() -> None:
    with pytest.raises(InputError, match=r"\{pat\} in 'serve \{pat\}'.*\{path\}, \{step\}"):
        filled("serve {pat}", {"path": "x", "step": "1"})
    text = """echo ${HOME} {a,b} '{"a": 1}' {{print}}"""
    assert filled(text, {}) == """echo ${HOME} {a,b} '{"a": 1}' {print}"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("http://10.1.2.3/v1", Endpoint("http://10.1.2.3/v1")),
        ("  https://host/v1 org/name:tag \n", Endpoint("https://host/v1", "org/name:tag")),
        ("http://0.0.0.0:8000/v1 m", Endpoint("http://127.0.0.1:8000/v1", "m")),
        (
            "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)",
            Endpoint("http://127.0.0.1:8000"),
        ),
        (
            "INFO 07-01 [api_server.py:1] Starting vLLM API server 0 on http://0.0.0.0:8000",
            Endpoint("http://127.0.0.1:8000"),
        ),
        ("\x1b[32mINFO\x1b[0m: on \x1b[1mhttp://[::]:80\x1b[0m (x)", Endpoint("http://[::1]:80")),
        ("server is listening on http://127.0.0.1:8080 - starting", Endpoint("http://127.0.0.1:8080")),
        ("serving at http://node7:9000.", Endpoint("http://node7:9000")),
        ("see https://docs.example.org/page, then http://localhost/v1", Endpoint("http://localhost/v1")),
        ("WARNING: see https://docs.example.org/page for more", None),
        ("a port that is none: http://localhost:99999 here", None),
        ("http:// is how it starts", None),
        ("loading weights", None),
    ],
)  # fmt: skip
def test_endpoints_are_read_from_lines(line: str, expected: Endpoint | None) -> None:
    assert endpoint(line) == expected


def test_within_a_log_only_the_port_that_was_given_counts() -> None:
    assert endpoint("dashboard at http://127.0.0.1:8265 now", 9000) is None
    assert endpoint("up at http://127.0.0.1:9000 now", 9000) == Endpoint("http://127.0.0.1:9000")
    assert endpoint("http://node7:8265/v1 m", 9000) == Endpoint("http://node7:8265/v1", "m")


@given(st.text())
def test_any_line_is_read(line: str) -> None:
    found = endpoint(line)
    assert found is None or found.url.lower().startswith("http")


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[1].encode())
        for _ in range(3000): print("x" * 99, file=sys.stderr)
    def log_message(self, *args): pass
server = http.server.HTTPServer(("0.0.0.0", int(sys.argv[2])), Handler)
print("see https://docs.example.org/ for more")
print(f"INFO:  Uvicorn running on http://0.0.0.0:{sys.argv[2]} (Press CTRL+C to quit)")
server.serve_forever()
"""


def test_a_server_is_used_and_stopped_and_never_waits_for_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    (tmp_path / "server.py").write_text(SERVER)
    command = f"{PYTHON} {tmp_path}/server.py {{path}} {{port}}"
    said: list[str] = []
    with serving(command, variables={"path": "a 'b"}, say=said.append) as found:
        for _ in range(3):  # each prints 300 kB, more than a pipe holds
            with urllib.request.urlopen(found.url, timeout=60) as answer:
                assert answer.read() == b"a 'b"
        assert found.problem() is None
        assert found.model is None
    assert said[-1] == f"Serving at {found.url}"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(found.url, timeout=5)


FAMILY = "sleep 600 & echo $! > {path}; sleep 600 & echo $! >> {path}; echo $$ >> {path}; "


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_the_whole_group_is_stopped(tmp_path: Path, error: type[BaseException] | None) -> None:
    command = FAMILY + "echo http://127.0.0.1:1/v1 mine; wait"
    file = tmp_path / "pids"
    seen: list[int] = []

    def use() -> None:
        with serving(command, variables={"path": str(file)}, say=quiet) as found:
            assert (found.url, found.model) == ("http://127.0.0.1:1/v1", "mine")
            seen.extend(pids(file, 3))
            assert all(map(alive, seen))
            if error:
                raise error

    if error:
        with pytest.raises(error):
            use()
    else:
        use()
    assert len(seen) == 3
    assert not any(map(alive, seen))


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = "trap '' TERM; echo $$ > {path}; echo http://h; while :; do sleep 1; done"
    with serving(command, grace=2, variables={"path": str(file)}, say=quiet):
        [pid] = pids(file, 1)
        started = time.monotonic()
    assert not alive(pid)
    assert time.monotonic() - started > 1.5  # it had its time


def test_nothing_is_left_when_we_are_killed(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    command = FAMILY + "echo http://h; wait"
    user = (
        "import time\nfrom harness.series.serve import serving\n"
        f"with serving({command!r}, variables={{'path': {str(file)!r}}}, say=print):\n"
        "    time.sleep(600)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", user], cwd=REPOSITORY)
    seen = pids(file, 3)
    assert all(map(alive, seen))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert until(lambda: not any(map(alive, seen)))


def test_a_command_that_ends_first_is_told_with_its_last_lines() -> None:
    command = "seq 100; echo no memory >&2; exit 3"
    with pytest.raises(InfrastructureError) as caught, serving(command, variables={}, say=quiet):
        pass
    text = str(caught.value)
    assert "exit code 3" in text
    assert "no memory" in text
    assert "    100\n" in text
    assert "    10\n" not in text
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-command-here --port {port}", "exit code 127"),
        ("kill -s KILL $$", "ended by signal 9"),
        ("exec >&- 2>&-; sleep 600", "closed its output"),
        ("true", "printed nothing"),
        ("echo \0", "cannot be started"),
    ],
)
def test_failures_are_told(command: str, words: str) -> None:
    with (
        pytest.raises(InfrastructureError, match=words),
        serving(command, timeout=60, variables={}, say=quiet),
    ):
        pass


def test_a_command_that_hangs_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    command = FAMILY + "echo loading; wait"
    with (
        pytest.raises(InfrastructureError, match=r"within 1 s(.|\n)*    loading"),
        serving(command, timeout=1, variables={"path": str(file)}, say=quiet),
    ):
        pass
    assert not any(map(alive, pids(file, 3)))


def test_a_server_that_dies_meanwhile_is_noticed(tmp_path: Path) -> None:
    command = "echo http://h; while [ ! -e {path} ]; do sleep 0.1; done; echo no memory; exit 9"
    flag = tmp_path / "flag"
    with serving(command, variables={"path": str(flag)}, say=quiet) as found:
        assert found.problem() is None
        flag.touch()
        assert until(lambda: found.problem() is not None)
        assert until(lambda: "no memory" in str(found.problem()))
        assert "exit code 9" in str(found.problem())


def test_a_command_that_leaves_its_server_in_the_background_serves(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = "(echo $$ > {path}; sleep 1; echo http://h; exec sleep 600) & sleep 0.1"
    with serving(command, variables={"path": str(file)}, say=quiet) as found:
        time.sleep(0.2)
        assert found.problem() is None
