"""Starting a command in a container and talking to it until it has ended."""

import socket
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.lowlevel
import anyio.to_thread
from docker import APIClient
from docker.errors import APIError

from harness.errors import DockerError
from harness.sandbox import container as containers
from harness.sandbox.container import Container
from harness.sandbox.engine import FAILURES, call, explanation, is_transient
from harness.sandbox.streams import Demultiplexer

_CHUNK: Final = 1 << 20
_POLL_SECONDS: Final = 0.5
_DRAIN_SECONDS: Final = 0.5


class RefusedError(Exception):
    """The engine answered a start with the reason why the runtime could not do it."""


@dataclass(frozen=True)
class Attached:
    """A started exec and the connection that carries its streams."""

    exec_id: str
    stream: Any
    head: bytes

    @property
    def socket(self) -> socket.socket:
        return self.stream._sock  # type: ignore[no-any-return]

    def close(self) -> None:
        self.socket.close()
        self.stream._response.close()


def start(
    container: Container,
    cmd: list[str],
    user: str,
    workdir: str,
    env: list[str],
    stdin: bool,
) -> Attached:
    def attempt(api: APIClient) -> Attached:
        exec_id = str(
            api.exec_create(
                container.id, cmd, stdin=stdin, user=user, workdir=workdir, environment=env
            )["Id"]
        )
        try:
            stream: Any = api.exec_start(exec_id, socket=True)
        except APIError as error:
            if error.status_code in (404, 409):
                raise
            raise RefusedError(explanation(error)) from error
        except FAILURES as error:
            if is_transient(error) and _is_started(api, exec_id):
                # Repeating would run the command twice.
                raise DockerError(
                    f"The connection was lost just after a command started: {error}", "daemon"
                ) from error
            raise
        stream._sock.setblocking(False)
        # The engine's first bytes may have been read along with the header of its answer.
        reader = stream._response.raw._fp.fp
        waiting = len(reader.peek())
        return Attached(exec_id, stream, reader.read1(waiting) if waiting else b"")

    try:
        return call(f"run a command in container {container.name}", attempt, cause="exec")
    except DockerError as error:
        if error.cause == "exec" and not containers.is_running(container):
            raise containers.gone(container) from error
        raise


def _is_started(api: APIClient, exec_id: str) -> bool:
    try:
        facts = api.exec_inspect(exec_id)
    except FAILURES:
        return True
    return bool(facts.get("Running") or facts.get("Pid"))


async def converse(attached: Attached, input: bytes | None, streams: Demultiplexer) -> None:
    """Send the input and collect the output until the command has ended."""
    progress = _Progress()
    streams.feed(attached.head)
    try:
        async with anyio.create_task_group() as group:
            if input is not None:
                group.start_soon(_send, attached.socket, input)
            group.start_soon(_watch, attached.exec_id, progress, group.cancel_scope)
            await _receive(attached.socket, streams, progress)
            group.cancel_scope.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


@dataclass
class _Progress:
    chunks: int = 0


async def _receive(sock: socket.socket, streams: Demultiplexer, progress: _Progress) -> None:
    while True:
        try:
            data = sock.recv(_CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(sock)
            continue
        except ConnectionResetError:
            return
        if not data:
            return
        streams.feed(data)
        progress.chunks += 1
        await anyio.lowlevel.checkpoint()


async def _send(sock: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            sent = sock.send(view[:_CHUNK])
        except BlockingIOError:
            await anyio.wait_writable(sock)
            continue
        except ConnectionError:
            # The command ended without reading all of its input, as `head` does.
            return
        view = view[sent:]
        await anyio.lowlevel.checkpoint()
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return


async def _watch(exec_id: str, progress: _Progress, scope: anyio.CancelScope) -> None:
    """End the conversation once the command has, even if a background child holds its output."""
    pause = _POLL_SECONDS
    while True:
        await anyio.sleep(pause)
        pause = min(1.5 * pause, 4 * _POLL_SECONDS)
        if has_ended(await anyio.to_thread.run_sync(inspect, exec_id)):
            break
    for _ in range(10):
        seen = progress.chunks
        await anyio.sleep(_DRAIN_SECONDS)
        if progress.chunks == seen:
            break
    scope.cancel()


async def end(exec_id: str) -> dict[str, Any]:
    """The engine's record of an exec whose output has ended, once the command has ended too."""
    pause = 0.01
    while True:
        facts = await anyio.to_thread.run_sync(inspect, exec_id)
        if has_ended(facts):
            return facts
        await anyio.sleep(pause)
        pause = min(2 * pause, _POLL_SECONDS)


def inspect(exec_id: str) -> dict[str, Any]:
    return dict(call("inspect a command", lambda api: api.exec_inspect(exec_id)))


def has_ended(facts: dict[str, Any]) -> bool:
    # Just before a start, too, an exec is not running; only then it has no exit code.
    return not facts.get("Running") and facts.get("ExitCode") is not None
