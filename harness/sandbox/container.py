"""Starting a container with all its limits, and asking what became of it."""

import atexit
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError
from docker.types import Ulimit

from harness.errors import DockerError
from harness.sandbox.config import MEBIBYTE, SandboxConfig
from harness.sandbox.engine import PROCESS_RUN, call, image_facts, labels, remove_container

ROOT: Final = "0:0"

KEEPER: Final = "65533:65533"
"""Who the container's first process runs as: nobody that an agent can be or signal.

Without CAP_KILL not even root can signal a process of another user, so an agent cannot end its
own container by ``kill -9 -1`` and turn a failure into an infrastructure problem. The engine
gives capabilities to commands only where the first process is root, so a container with any of
them goes without this protection.
"""


@dataclass(frozen=True)
class Container:
    """A running container of ours, and the defaults of commands in it."""

    id: str
    name: str
    user: str
    workdir: str


def start(config: SandboxConfig, image: str) -> Container:
    """Create and start a container from ``image`` within the limits of ``config``.

    Raises:
        DockerError: cause "image" if the image cannot be run, "container" if the engine cannot
            run it within the limits, "daemon" if there is no engine.
    """
    run = config.run or PROCESS_RUN
    name = f"cat-harness-{uuid.uuid4().hex[:12]}"
    defaults = (image_facts(image) or {}).get("Config") or {}

    def create(api: APIClient) -> str:
        host = api.create_host_config(**_limits(config))
        try:
            made = api.create_container(
                image,
                entrypoint=["sleep"],
                command=[str(config.lifetime_seconds)],
                name=name,
                hostname="sandbox",
                user=ROOT if config.capabilities else KEEPER,
                working_dir="/",
                environment=dict(config.env),
                labels=labels(run),
                host_config=host,
                stdin_open=False,
                tty=False,
            )
            return str(made["Id"])
        except APIError as error:
            # A first attempt whose answer got lost may have created it.
            if error.status_code == 409:
                return str(api.inspect_container(name)["Id"])
            raise

    identity = call(f"create a container from {image}", create)
    _live.add(identity)
    try:
        call(f"start a container from {image}", lambda api: api.start(identity))
        state = _state(identity)
        if not state.get("Running", False):
            raise DockerError(
                f"A container from {image} ended at once ({describe(state)}). An environment "
                "needs sh and coreutils, `sleep` among them.",
                "image",
            )
    except DockerError as error:
        _discard(identity)
        if "executable file not found" in str(error):
            raise DockerError(
                f"Image {image} has no `sleep`: an environment needs sh and coreutils.", "image"
            ) from error
        raise
    except BaseException:
        _discard(identity)
        raise
    return Container(
        id=identity,
        name=name,
        user=config.user or defaults.get("User") or "0",
        workdir=config.workdir or defaults.get("WorkingDir") or "/",
    )


def _limits(config: SandboxConfig) -> dict[str, Any]:
    memory = config.memory_mb * MEBIBYTE
    largest = config.storage_mb * MEBIBYTE
    return {
        "network_mode": "bridge" if config.network else "none",
        "cap_drop": ["ALL"],
        "cap_add": list(config.capabilities) or None,
        "security_opt": ["no-new-privileges"],
        "privileged": False,
        "pids_limit": config.pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(config.cpus * 1e9),
        "ulimits": [
            Ulimit(name="fsize", soft=largest, hard=largest),
            Ulimit(name="nofile", soft=config.open_files, hard=config.open_files),
            Ulimit(name="core", soft=0, hard=0),
        ],
        # Programs are run from /tmp by build tools, and the root file system allows it anyway.
        "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={config.tmpfs_mb}m"},
        "init": True,
        "log_config": {"Type": "none"},
        "restart_policy": {"Name": "no"},
    }


def restart(container: Container) -> None:
    """Stop every process of a container at once and start it again; files outside /tmp stay.

    Raises:
        DockerError: if it cannot be started again.
    """
    call(
        f"restart container {container.name}",
        lambda api: api.restart(container.id, timeout=0),
    )
    if not is_running(container):
        raise gone(container)


def is_running(container: Container) -> bool:
    """Whether the engine still runs the container. False also for one that was removed."""
    try:
        return bool(_state(container.id).get("Running", False))
    except DockerError as error:
        if error.cause == "daemon":
            raise
        return False


def survives(container: Container) -> bool:
    """Whether the container still runs a second from now: it may be about to end.

    The engine learns of the end of a container's commands before that of the container.
    """
    for _ in range(10):
        if not is_running(container):
            return False
        time.sleep(0.1)
    return True


def gone(container: Container) -> DockerError:
    """The error that says what became of a container that is not running."""
    try:
        fate = describe(_state(container.id))
    except DockerError as error:
        if error.cause == "daemon":
            return error
        fate = "it was removed"
    return DockerError(f"Container {container.name} is not running: {fate}.", "container")


def describe(state: dict[str, Any]) -> str:
    """The end of a container in words."""
    words = [f"exit code {state.get('ExitCode')}"]
    if state.get("OOMKilled"):
        words.append("out of memory")
    if state.get("Error"):
        words.append(str(state["Error"]))
    return ", ".join(words)


def exhausted(container: Container) -> str | None:
    """Which of its limits the container has used up, in words, if any."""
    stats = call(
        f"read the usage of container {container.name}",
        lambda api: api.stats(container.id, stream=False, one_shot=True),
    )
    processes = stats.get("pids_stats") or {}
    if _full(processes.get("current"), processes.get("limit"), 0.9):
        return f"it has {processes['current']} of {processes['limit']} processes"
    memory = stats.get("memory_stats") or {}
    if _full(memory.get("usage"), memory.get("limit"), 0.95):
        return f"it uses {memory['usage']} of {memory['limit']} bytes of memory"
    return None


def _full(current: int | None, limit: int | None, share: float) -> bool:
    return bool(current and limit and current >= share * limit)


def _state(identity: str) -> dict[str, Any]:
    facts = call(f"inspect container {identity[:12]}", lambda api: api.inspect_container(identity))
    return dict(facts["State"])


def remove(container: Container) -> None:
    """Kill and remove a container; one that is gone already is fine.

    Raises:
        DockerError: if the engine cannot do it.
    """
    remove_container(container.id)
    _live.discard(container.id)


def release() -> None:
    """Leave the containers of this process alone when it ends."""
    _live.clear()


def _discard(identity: str) -> None:
    with suppress(DockerError):
        remove_container(identity)
        _live.discard(identity)


_live: set[str] = set()


@atexit.register
def _remove_live() -> None:
    # Inspect removes containers after each sample; this is for an exit that bypasses it.
    for identity in tuple(_live):
        _discard(identity)
