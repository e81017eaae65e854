"""Independent work in several processes, in an order that does not depend on their number."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")
Ticks = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def mapped(
    function: Callable[[J], R], work: Sequence[J], jobs: int, what: str, progress: Ticks
) -> Iterator[R]:
    """Results in the order of the work.

    Args:
        function: of a module, so that another process finds it.
        jobs: processes; with 1 all is done in this one.
        what: for ``progress``.

    Raises:
        what the function raises, once; the other work is given up.
    """
    progress(what, 0, len(work))
    if jobs == 1 or len(work) < 2:
        for done, job in enumerate(work, 1):
            yield function(job)
            progress(what, done, len(work))
        return
    with _pool(min(jobs, len(work))) as pool:
        # processes start while work is handed in
        with _without_interrupts():
            futures = [pool.submit(function, job) for job in work]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            progress(what, done, len(work))
        yield from (future.result() for future in futures)


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    others = set(active_children())
    # threads of linear algebra in every process would only get in each other's way
    variables = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    with _environment(variables):
        pool = ProcessPoolExecutor(jobs, get_context("spawn"))
        try:
            yield pool
        except BaseException:
            for child in set(active_children()) - others:
                child.terminate()
            # Nobody reads the work that is still on its way; with Python 3.11 the thread that
            # writes it would wait for ever.
            pool._call_queue._reader.close()  # type: ignore[attr-defined]
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, and only the first one should act on it: those
    started meanwhile never see it, and this one once it is through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
