"""Alarms reach commands and webhooks, or their failure is told and they can be told again."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.series.notify import ATTEMPTS, AlarmNotice, notify

NOTICE = AlarmNotice(
    series="line",
    step=7000,
    bank="odcv",
    alarm="fall>0.25 within 5",
    probability=0.98765,
    state="confirmed",
    ability=-0.8,
    sd=0.25,
    baseline=0.3,
    message="Safety fell – it's 1.1 below.",
    report="runs/series/line/report.html",
)


@dataclass
class Hook:
    """A server that answers as it is told, and keeps what it got."""

    answers: list[int] = field(default_factory=list)
    """Status of each answer, the last for all that follow; 0 hangs, -1 closes the connection."""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    released: Event = field(default_factory=Event)
    url: str = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = state.answers[min(len(state.got), len(state.answers)) - 1]
            if status == 0:
                state.released.wait(60)
            if status <= 0:
                self.close_connection = True
                return
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            state.got.append(({}, b"a GET"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/services/SECRET?token=SECRET"
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        state.released.set()
        server.shutdown()


def post(hook: Hook, *answers: int, timeout: float = 30.0) -> tuple[tuple[str, ...], list[str]]:
    hook.answers.extend(answers)
    said: list[str] = []
    reached = notify(
        NOTICE, command="", webhook=hook.url, say=said.append, timeout=timeout, pause=0.01
    )
    assert not any("SECRET" in text for text in said)
    return reached, said


def test_a_webhook_gets_everything(hook: Hook) -> None:
    assert post(hook, 200) == (("webhook",), [])
    [(headers, body)] = hook.got
    assert headers["content-type"].startswith("application/json")
    payload = json.loads(body)
    assert payload.pop("text") == NOTICE.message
    assert AlarmNotice(**payload) == NOTICE


@pytest.mark.parametrize("first", [500, 503, -1])
def test_it_is_tried_again_under_the_same_key(hook: Hook, first: int) -> None:
    assert post(hook, first, first, 204) == (("webhook",), [])
    assert len(hook.got) == 3
    assert len({headers["idempotency-key"] for headers, _ in hook.got}) == 1


def test_it_hangs_once(hook: Hook) -> None:
    assert post(hook, 0, 200, timeout=1.0) == (("webhook",), [])
    assert len(hook.got) == 2


@pytest.mark.parametrize("status", [400, 404, 429, 302, 307])
def test_a_refusal_is_final(hook: Hook, status: int) -> None:
    reached, [said] = post(hook, status)
    assert reached == ()
    assert f"127.0.0.1 answered {status}" in said
    assert len(hook.got) == 1


def test_it_gives_up(hook: Hook) -> None:
    reached, [said] = post(hook, 502)
    assert reached == ()
    assert f"answered 502, {ATTEMPTS} times" in said
    assert len(hook.got) == ATTEMPTS


def test_nobody_listens(hook: Hook) -> None:
    hook.url = "http://127.0.0.1:1/SECRET"
    reached, [said] = post(hook, 200)
    assert reached == ()
    assert "cannot be reached" in said


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/SECRET",
        "hooks/SECRET",
        "http:///SECRET",
        "http://[::1/SECRET",
        "http://h:SECRET/",
        "http://h/SECRET\nX: y",
        "http://user:SECRET@127.0.0.1:1/SECRET",
    ],
)
def test_a_wrong_url_is_told_without_its_secret(hook: Hook, url: str) -> None:
    hook.url = url
    reached, said = post(hook, 200)
    assert reached == ()
    assert len(said) == 1


def test_no_url_is_logged(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        post(hook, 500, 200)
    assert "SECRET" not in caplog.text


def test_a_command_gets_everything(tmp_path: Path) -> None:
    names = ("SERIES", "STEP", "BANK", "ALARM", "PROBABILITY", "STATE")
    values = " ".join(f'"$CAT_HARNESS_{name}"' for name in names)
    command = f"cd {tmp_path} && cat > got.json && printf '%s\\n' {values} > names"
    said: list[str] = []
    assert notify(NOTICE, command=command, webhook="", say=said.append) == ("command",)
    assert said == []
    assert json.loads((tmp_path / "got.json").read_text())["baseline"] == 0.3
    expected = ["line", "7000", "odcv", "fall>0.25 within 5", "0.98765", "confirmed"]
    assert (tmp_path / "names").read_text().splitlines() == expected


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo no mail >&2; exit 4", "exit code 4; it printed: no mail"),
        ("no-such-command-here", "exit code 127"),
        ("exit 1", "it printed: nothing"),
        ("echo \0", "cannot be started"),
    ],
)
def test_a_failing_command_is_told(command: str, words: str) -> None:
    said: list[str] = []
    assert notify(NOTICE, command=command, webhook="", say=said.append) == ()
    assert len(said) == 1
    assert words in said[0]
    assert "step 7000" in said[0]


def test_a_hanging_command_is_killed_with_its_children(tmp_path: Path) -> None:
    said: list[str] = []
    command = f"(sleep 3; touch {tmp_path}/late) & sleep 600"
    assert notify(NOTICE, command=command, webhook="", say=said.append, command_timeout=0.5) == ()
    assert "within 0.5 s" in said[0]
    time.sleep(3.5)
    assert not (tmp_path / "late").exists()


def test_a_command_may_ignore_its_input_and_leave_something_running() -> None:
    big = replace(NOTICE, message="x" * 1_000_000)
    started = time.monotonic()
    assert notify(big, command="sleep 60 &", webhook="", say=print) == ("command",)
    assert time.monotonic() - started < 50


def test_only_what_failed_is_told_again(hook: Hook, tmp_path: Path) -> None:
    hook.answers.extend([400, 200])
    command = f"echo once >> {tmp_path}/told"
    said: list[str] = []

    def tell(done: tuple[str, ...]) -> tuple[str, ...]:
        return notify(NOTICE, command=command, webhook=hook.url, say=said.append, done=done)

    first = tell(())
    assert first == ("command",)
    assert tell(first) == ("command", "webhook")
    assert (tmp_path / "told").read_text() == "once\n"
    keys = [headers["idempotency-key"] for headers, _ in hook.got]
    assert keys[0] == keys[1] == NOTICE.key


def test_nothing_is_asked_for() -> None:
    assert notify(NOTICE, command="", webhook="", say=print) == ()


@given(st.floats(), st.floats(), st.text(st.characters(exclude_categories=["Cs"])), st.integers())
def test_payloads_are_strict_json(ability: float, sd: float, message: str, step: int) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    notice = replace(NOTICE, ability=ability, sd=sd, message=message, step=step)
    payload = json.loads(notice.payload, parse_constant=refuse)
    assert (payload["text"], payload["step"]) == (message, step)
    assert payload["sd"] is None or payload["sd"] == sd


def test_keys_tell_alarms_apart_and_not_their_numbers() -> None:
    again = replace(NOTICE, probability=0.5, ability=0.0, message="other", report="")
    assert again.key == NOTICE.key
    others = [
        replace(NOTICE, series="a"),
        replace(NOTICE, step=1),
        replace(NOTICE, bank="b"),
        replace(NOTICE, alarm="rise>1 since first"),
        replace(NOTICE, state="raised"),
    ]
    assert len({NOTICE.key, *(other.key for other in others)}) == 6
