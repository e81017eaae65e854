"""The worker process of a training loop, which outlives the loop if need be.

There is one for all calls, as its lock says::

    on_checkpoint:  register, then take the lock if it is free and start a worker that inherits it
    worker:         work, say up to which step; release the lock; look whether a later step was
                    registered, and if so take the lock again unless another worker has it

Whoever finds the lock taken has registered before; the worker that holds it looks after releasing
it. So no checkpoint is forgotten, however close to the end of a worker it comes. The lock goes with
the process: one that is killed has released it.
"""

import fcntl
import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from pydantic import TypeAdapter, ValidationError

from harness.errors import HarnessError
from harness.series import files
from harness.series.storage import write_record

LOCK: Final = "worker.lock"
LOG: Final = "worker.log"
PASS: Final = "worker.json"

_NOT_OURS = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
"""What a launcher tells the processes of a training run. A server that is started for a checkpoint
must not take itself for one of them."""


@dataclass(frozen=True)
class Pass:
    """How far a worker of the hook has come."""

    step: int = -1
    """Last step that was registered when it began."""
    problems: tuple[str, ...] = ()


_PASS = TypeAdapter(Pass)


def begin_worker(folder: Path, lock: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that works on a series for as long as there is something to test.

    Args:
        folder: of the series.
        lock: open and locked; it goes over to the process.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_OURS)}
    # -P, as a module of the training run must not be taken for one of the same name elsewhere
    command = [sys.executable, "-P", "-m", __name__, str(folder), str(lock.fileno())]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=[lock.fileno()],
            # neither Ctrl-C nor the end of the loop ends it
            start_new_session=True,
        )


def work(folder: Path, lock: int) -> None:
    """Work on a series until nothing is left to test.

    Args:
        folder: of the series.
        lock: descriptor of the lock, which is held.
    """
    from harness.series.worker import work_on

    while True:
        step = last_step(folder)
        try:
            problems = tuple(work_on(folder, say=_say).problems)
        except Exception as error:
            if not isinstance(error, HarnessError):
                traceback.print_exc()
            problems = (told(error),)
            _say(problems[0])
        done = Pass(step, problems)
        write_record(folder / PASS, _PASS, done, new=False)
        fcntl.flock(lock, fcntl.LOCK_UN)
        if last_step(folder) <= step:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return


def last_step(folder: Path) -> int:
    """The last that is registered; -1 without any.

    By the names of the files, as one that is damaged counts too.
    """
    names = (path.stem for path in (folder / files.CHECKPOINTS).glob("*.json"))
    return max((int(name) for name in names if name.isdigit()), default=-1)


def read_pass(folder: Path) -> Pass:
    """How far the last worker has come; nowhere where that cannot be read."""
    try:
        return _PASS.validate_json((folder / PASS).read_bytes())
    except (OSError, ValidationError):
        return Pass()


def told(error: Exception) -> str:
    """An error in a line, for people; a defect with its kind."""
    return str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


def main() -> None:
    """Entry point of the worker process: a folder, and the descriptor of its lock."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    _say(f"worker {os.getpid()} begins")
    try:
        work(folder, lock)
    except KeyboardInterrupt:
        sys.exit(130)
    _say(f"worker {os.getpid()} ends")


if __name__ == "__main__":
    main()
