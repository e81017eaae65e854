"""Keeping a work for as long as its session goes on, and seeing that somebody else has one."""

import fcntl
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError
from harness.series.engine import Say
from harness.series.index import Claim, Index


def in_use(path: Path) -> bool:
    """Whether a process writes to a journal."""
    try:
        # as if to write, which locks over a network ask for
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def renewed(index: Index, claim: Claim, lost: threading.Event, say: Say) -> Iterator[None]:
    """Renew a lease for as long as the session goes on; end that the way Ctrl-C does if it is lost.

    While the database is away the session goes on: nobody else can claim it either.

    Args:
        index: that the work was claimed from.
        claim: of the work.
        lost: set when another worker has the work.
        say: told when the lease cannot be renewed.
    """
    patient = index.waiting(claim.lease / 3, say=lambda text: None)
    ended, turn = threading.Event(), threading.Lock()
    main = threading.main_thread()
    interruptible = threading.current_thread() is main

    def renew() -> None:
        away = False
        while not ended.wait(claim.lease / 3):
            try:
                if patient.renew(claim):
                    away = False
                    continue
            except HarnessError as error:
                if not away and not ended.is_set():
                    say(f"The session goes on, but its lease cannot be renewed: {error}")
                away = True
                continue
            with turn:
                if interruptible and not ended.is_set() and main.ident is not None:
                    lost.set()
                    signal.pthread_kill(main.ident, signal.SIGTERM)
            return

    thread = threading.Thread(target=renew, daemon=True, name="lease")
    thread.start()
    try:
        yield
    finally:
        with turn:
            ended.set()


__all__ = ["in_use", "renewed"]
