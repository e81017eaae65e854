"""A command that serves a checkpoint, for as long as a session needs it."""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Final
from urllib.parse import urlsplit

from harness.errors import InfrastructureError, InputError

LAST_LINES: Final = 50
"""Lines of the command's output that are kept."""

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|(?<!\$)\{(\w+)\}")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ALONE = re.compile(r"\s*(https?://\S+)(?:\s+(\S+))?\s*", re.IGNORECASE)
_WITHIN = re.compile(r"https?://[^\s'\"<>(),;|]+", re.IGNORECASE)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_HERE = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}

# Its input tells a group and the time of grace, and ends when the group has to: because we closed
# it, or because we are gone. A parent-death signal (prctl) would reach the shell alone and none of
# its children, be sent when the thread that started it ends, and exist on Linux only.
_GUARD = """
read -r group tenths || exit 0
read -r _
kill -s TERM -- "-$group" || exit 0
while [ "$tenths" -gt 0 ]; do
    kill -s 0 -- "-$group" || exit 0
    sleep 0.1
    tenths=$((tenths - 1))
done
kill -s KILL -- "-$group"
exit 0
"""


def _none() -> None:
    return None


@dataclass(frozen=True)
class Endpoint:
    """Where a checkpoint is served."""

    url: str
    model: str | None = None
    """Name of the model there, if the command printed one."""
    problem: Callable[[], str | None] = field(default=_none, repr=False, compare=False)
    """Asks whether the command has ended in the meantime: why, or None while it runs."""


def filled(
    text: str, variables: Mapping[str, str], quote: Callable[[str], str] = shlex.quote
) -> str:
    """A text with its placeholders filled in, each quoted for the shell unless told otherwise.

    ``${NAME}`` is the shell's and is left alone; ``{{name}}`` becomes ``{name}``.

    Raises:
        InputError: a placeholder that is not among the variables.

    >>> filled("serve {path} --port {port}", {"path": "runs/a b", "port": "8000"})
    "serve 'runs/a b' --port 8000"
    """

    def fill(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"{{{literal}}}"
        if name not in variables:
            known = ", ".join(f"{{{variable}}}" for variable in variables)
            raise InputError(
                f"{{{name}}} in {text!r} is no placeholder; there are {known}. "
                f"Write {{{{{name}}}}} for the text itself"
            )
        return quote(variables[name])

    return _PLACEHOLDER.sub(fill, text)


def endpoint(line: str, port: int | None = None) -> Endpoint | None:
    """The endpoint that a line of output tells, if it tells one.

    A line of its own, a URL and perhaps the name of a model, counts always. Within a line of a
    log a URL counts if it is of this machine or names a port, as links to documentation stand
    there too.

    Args:
        line: a line of output.
        port: the only one that counts within a line of a log; None for any.

    >>> endpoint("INFO: Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)").url
    'http://127.0.0.1:8000'
    >>> endpoint("http://node7/v1 step-500")
    Endpoint(url='http://node7/v1', model='step-500')
    >>> endpoint("INFO: see https://example.org/docs for more")
    """
    line = _COLOUR.sub("", line)
    if alone := _ALONE.fullmatch(line):
        urls, model = [alone[1]], alone[2]
    else:
        urls, model = [url.rstrip(".:") for url in _WITHIN.findall(line)], None
    for url in urls:
        try:
            parts = urlsplit(url)
            named = parts.port
        except ValueError:
            continue
        if not parts.hostname or not (alone or parts.hostname in _HERE or named):
            continue
        if not alone and port is not None and named != port:
            continue
        for everywhere, here in _EVERYWHERE.items():
            if parts.netloc == everywhere or parts.netloc.startswith(f"{everywhere}:"):
                url = url.replace(everywhere, here, 1)
        return Endpoint(url, model)
    return None


@contextmanager
def serving(
    command: str,
    *,
    timeout: float = 600.0,
    grace: float = 10.0,
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[Endpoint]:
    """Run a shell command that serves a checkpoint, wait for its endpoint, stop it afterwards.

    The command runs in a process group of its own, which gets SIGTERM at the end, and SIGKILL
    after a time of grace if anything of it is left. A small process beside it does this, even if
    our own is killed. What the command starts in other groups it has to end by itself.

    Args:
        command: with placeholders; ``{port}`` is a free port of this machine.
        timeout: seconds that it may take to print its endpoint, see ``endpoint``.
        grace: seconds between SIGTERM and SIGKILL.
        variables: what fills the other placeholders.
        say: is told what is run and where it serves.

    Raises:
        InputError: an unknown placeholder.
        InfrastructureError: it cannot be started, or ended or took too long before it printed an
            endpoint.
    """
    port = _free_port()
    line = filled(command, {**variables, "port": str(port)})
    say(f"Starting {line}")
    server, stop = _started(line, grace)
    assert server.stdout is not None
    lines: deque[str] = deque(maxlen=LAST_LINES)
    told: SimpleQueue[Endpoint | None] = SimpleQueue()
    given = any(match[2] == "port" for match in _PLACEHOLDER.finditer(command))
    expected = port if given else None
    try:
        Thread(
            target=_drain, args=(server.stdout, lines, told, expected), daemon=True, name="serving"
        ).start()
        found = _awaited(server, told, line, lines, timeout)
        say(f"Serving at {found.url}")
        yield Endpoint(found.url, found.model, lambda: _ended(server, line, lines))
    finally:
        stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _started(line: str, grace: float) -> tuple[subprocess.Popen[str], Callable[[], None]]:
    """The command in a group of its own, and what stops that group."""
    quiet = subprocess.DEVNULL
    try:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        assert guard.stdin is not None
        try:
            server = subprocess.Popen(
                line,
                shell=True,
                stdin=quiet,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                # Python keeps what goes into a pipe to itself, the endpoint too, unless told.
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except BaseException:
            guard.stdin.close()
            guard.wait()
            raise
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            f"the serving command cannot be started: {error}. It was: {line}"
        ) from error
    guard.stdin.write(b"%d %d\n" % (server.pid, 10 * grace))
    guard.stdin.flush()

    def stop() -> None:
        assert guard.stdin is not None
        guard.stdin.close()
        # While its first process is not waited for, a group is not empty.
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=grace + 5)
        if guard.wait() != 0:  # somebody killed it
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    return server, stop


def _drain(
    output: IO[str],
    lines: deque[str],
    told: SimpleQueue[Endpoint | None],
    port: int | None,
) -> None:
    """Read to the end, so that the server never waits for a reader."""
    waiting = True
    with output:
        # A part at a time: not every program ends its lines.
        for line in iter(lambda: output.readline(100_000), ""):
            lines.append(line.rstrip("\n")[-2000:])
            if waiting and (found := endpoint(line, port)):
                told.put(found)
                waiting = False
    told.put(None)


def _awaited(
    server: subprocess.Popen[str],
    told: SimpleQueue[Endpoint | None],
    line: str,
    lines: deque[str],
    timeout: float,
) -> Endpoint:
    advice = "It has to print a line with its URL (http://...) and go on while it serves."
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        problem = _ended(server, line, lines)
        try:
            # What it printed before it ended may still be on its way.
            found = told.get(timeout=5.0 if problem else min(left, 0.1))
        except Empty:
            found = None
            if not problem:
                continue
        if found:
            return found
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=min(left, 1.0))
        problem = _ended(server, line, lines)
        problem = problem or f"the serving command closed its output: {line}\n{_tail(lines)}"
        raise InfrastructureError(f"no endpoint: {problem}\n{advice}")
    raise InfrastructureError(
        f"no endpoint: the serving command printed none within {timeout:g} s and was stopped: "
        f"{line}\n{_tail(lines)}\n{advice}"
    )


def _ended(server: subprocess.Popen[str], line: str, lines: deque[str]) -> str | None:
    code = server.poll()
    if code is None:
        return None
    if code == 0:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, 0)
            return None  # it left a server in the background
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return f"the serving command {how}: {line}\n{_tail(lines)}"


def _tail(lines: deque[str]) -> str:
    if not lines:
        return "It printed nothing."
    return "Its last lines:\n" + "\n".join(f"    {line}" for line in list(lines)[-15:])
