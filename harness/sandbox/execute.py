"""Running a command in a container: input, output, time limit, and killing all it started.

A command is started directly by the engine, with no wrapper, so that "the runtime could not
start it" and "it ran and returned 126" stay different things: only an exec that really started
has a process id. Its processes carry a marker in their environment, by which they are found
and killed, together with the rest of their sessions, from inside the container and as the same
user (root without capabilities may not signal others). Nothing but ``sh`` and ``grep`` is
needed for that, in particular no ``timeout`` and no ``setsid``.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread

from harness.errors import DockerError
from harness.sandbox import attach
from harness.sandbox import container as containers
from harness.sandbox.attach import RefusedError
from harness.sandbox.container import Container
from harness.sandbox.streams import Demultiplexer, OverflowedError

MARKER: Final = "_EXEC_ID"

FLOOD: Final = 16
"""A command is stopped after this many times the output that is kept of it."""

_KILL_SECONDS: Final = 15
_KILLED: Final = 128 + 9

_KILL_SCRIPT: Final = r"""
PATH=/usr/sbin:/usr/bin:/sbin:/bin
marker=$1 sessions=' ' pass=0
while [ $pass -lt 50 ]; do
  pass=$((pass + 1)) hit=
  set -- $(grep -ls -- "$marker" /proc/[0-9]*/environ 2>/dev/null)
  marked=" $* "
  for dir in /proc/[0-9]*; do
    read -r line 2>/dev/null < $dir/stat || continue
    set -- ${line##*) }
    [ "$1" = Z ] && continue
    case "$marked" in *" $dir/environ "*) sessions="$sessions$4 " ;; esac
    case "$sessions" in *" $4 "*) kill -KILL ${dir#/proc/} 2>/dev/null && hit=1 ;; esac
  done
  [ "$hit" ] || exit 0
done
exit 1
"""

# What the runtime says when the command, its directory or its user is at fault, not Docker.
_CALLER_FAULT: Final = re.compile(
    r'exec: "|chdir to cwd|current working directory|unable to find (user|group)|'
    r"no matching entries|must be in range|argument list too long|invalid argument|"
    r"exec format error|not a directory|too many levels of symbolic links|file name too long"
)
_MISSING_COMMAND: Final = re.compile(r'exec: ".*(not found|no such file or directory)', re.DOTALL)


@dataclass(frozen=True)
class Finished:
    """A command that ended, or that the runtime refused to start for a fault of the caller."""

    returncode: int
    stdout: bytes
    stderr: bytes
    overflowed: bool = False


async def run(
    container: Container,
    cmd: list[str],
    *,
    input: bytes | None = None,
    user: str | None = None,
    workdir: str | None = None,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
    limit: int,
    ceiling: int | None = None,
) -> Finished:
    """Run a command to its end and return what it wrote.

    Args:
        limit: bytes of each output stream to keep; the end is kept.
        ceiling: bytes of a stream after which the command is stopped; default 16 limits.
        timeout: seconds, after which the command and all that it started is killed.

    Raises:
        TimeoutError: with the output so far in ``truncated_output``.
        PermissionError: if the user may not execute ``cmd[0]``.
        OverflowedError: if the command wrote more than the ceiling.
        DockerError: cause "container" if the container is not running (any more), "exec" if the
            runtime could not start the command for a reason that is not the command's.
    """
    user = user or container.user
    marker = f"{MARKER}={uuid.uuid4().hex}"
    streams = Demultiplexer(limit, FLOOD * limit if ceiling is None else ceiling)
    settings = [*(f"{key}={value}" for key, value in (env or {}).items()), marker]
    place = workdir or container.workdir
    try:
        attached = await anyio.to_thread.run_sync(
            attach.start, container, cmd, user, place, settings, input is not None
        )
    except RefusedError as refusal:
        return await anyio.to_thread.run_sync(_refused, container, str(refusal))
    ended: dict[str, Any] | None = None
    try:
        try:
            with anyio.move_on_after(timeout):
                await attach.converse(attached, input, streams)
                ended = await attach.end(attached.exec_id)
        finally:
            # The engine does not let go of a command as long as its output waits to be read.
            attached.close()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await _kill(container, attached.exec_id, marker, user)
        raise
    if ended is None:
        with anyio.CancelScope(shield=True):
            await _kill(container, attached.exec_id, marker, user)
        expired = TimeoutError(f"Command timed out after {timeout:g} seconds")
        # Inspect shows this to the model together with the error.
        expired.truncated_output = streams.both().decode(errors="replace")  # type: ignore[attr-defined]
        raise expired
    return await anyio.to_thread.run_sync(_judged, container, ended, streams)


def _judged(container: Container, facts: dict[str, Any], streams: Demultiplexer) -> Finished:
    code = int(facts["ExitCode"])
    if not facts.get("Pid"):
        return _refused(container, streams.both().decode(errors="replace"))
    if code == _KILLED and not containers.survives(container):
        # A container that ends takes its commands with it.
        raise containers.gone(container)
    return Finished(
        code,
        streams.stdout.value(),
        streams.stderr.value(),
        max(streams.stdout.total, streams.stderr.total) > streams.limit,
    )


def _refused(container: Container, said: str) -> Finished:
    """The meaning of an exec that never got a process: the caller's fault or Docker's?"""
    text = said.strip()
    lower = text.lower()
    if not containers.is_running(container):
        raise containers.gone(container)
    if "permission denied" in lower:
        raise PermissionError(f"Permission denied: {text}")
    if _CALLER_FAULT.search(lower):
        return Finished(127 if _MISSING_COMMAND.search(lower) else 126, b"", f"{text}\n".encode())
    reason = containers.exhausted(container)
    if reason is not None:
        # Filling the container is the doing of the commands in it, so this is their result.
        return Finished(126, b"", f"Cannot start a command, {reason}: {text}\n".encode())
    raise DockerError(
        f"The runtime could not start a command in container {container.name}: {text}", "exec"
    )


async def _kill(container: Container, exec_id: str, marker: str, user: str) -> None:
    """Kill all processes of an exec; if that cannot be done from inside, restart the container."""
    if not await anyio.to_thread.run_sync(_may_run, exec_id):
        return
    try:
        await _kill_from_inside(container, marker, user)
    except (DockerError, TimeoutError, OverflowedError, RefusedError):
        if not await anyio.to_thread.run_sync(_may_run, exec_id):
            return
    else:
        for _ in range(20):
            if not await anyio.to_thread.run_sync(_may_run, exec_id):
                return
            await anyio.sleep(0.1)
    try:
        await anyio.to_thread.run_sync(containers.restart, container)
    except DockerError:
        # The container is gone, and its processes with it; the next command will say so.
        return


async def _kill_from_inside(container: Container, marker: str, user: str) -> None:
    script = ["/bin/sh", "-c", _KILL_SCRIPT, "sh", marker]
    attached = await anyio.to_thread.run_sync(attach.start, container, script, user, "/", [], False)
    streams = Demultiplexer(limit=1 << 16, ceiling=1 << 20)
    try:
        with anyio.fail_after(_KILL_SECONDS):
            await attach.converse(attached, None, streams)
            facts = await attach.end(attached.exec_id)
    finally:
        attached.close()
    if not facts.get("Pid") or facts["ExitCode"] != 0:
        said = streams.both().decode(errors="replace")
        raise DockerError(f"Could not kill a command in {container.name}: {said}", "exec")


def _may_run(exec_id: str) -> bool:
    try:
        return not attach.has_ended(attach.inspect(exec_id))
    except DockerError:
        return False
