"""A series from within a training loop.

The loop registers its checkpoints, which takes milliseconds; a process of its own tests them
(``background``).
"""

import fcntl
import logging
import operator
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.errors import InfrastructureError, InputError
from harness.series import files
from harness.series.background import LOCK, LOG, begin_worker, last_step, read_pass, told
from harness.series.definition import NAME, check_banks, read_definition, write_definition
from harness.series.files import AlarmRecord, Registered
from harness.series.serve import filled
from harness.series.settings import absolute_agent, define, difference, literals
from harness.series.state import ROOT, find_series, load_series
from harness.series.status import Ability, Status, last_abilities
from harness.series.trainer import TrainerCallback

_log = logging.getLogger(__name__)


class Series:
    """A series in a training loop.

    Whatever goes wrong in evaluation never ends the loop: it is logged as a warning and told by
    :meth:`status`. Only what the loop itself does wrong is raised.
    """

    def __init__(self, folder: Path, *, strict: bool, main: bool) -> None:
        self.folder = folder
        """Its folder, absolute."""
        self.main = main
        """Whether this process acts; in others every call does nothing."""
        self._strict = strict
        self._problems: list[str] = []
        # kept, as Python warns of one that is dropped while its process is at work
        self._worker: subprocess.Popen[bytes] | None = None

    @classmethod
    def open(
        cls,
        series: str | Path,
        *,
        root: Path = ROOT,
        strict: bool = True,
        main: bool | None = None,
        **settings: Any,
    ) -> Self:
        """A series that exists or, where settings are given, is made by the first call.

        So a training run that is started again goes on with its series.

        Args:
            series: its name in ``root``, or its folder.
            root: where the folders of series are.
            strict: raise what the loop does wrong. False makes warnings of it, for runs that must
                go on unattended.
            main: whether this process acts. By default it does unless RANK, which torchrun sets,
                says that it is not the first of a distributed run.
            settings: as in :meth:`create`.

        Raises:
            InputError: there is no such series, or not with these settings.
        """
        try:
            folder = find_series(series, root)
        except InputError:
            if not settings:
                raise
            return cls.create(series, root=root, strict=strict, main=main, **settings)
        opened = cls(folder.resolve(), strict=strict, main=_is_main(main))
        if opened.main:
            with opened._spared(strict=True):
                _check_settings(opened.folder, settings)
        return opened

    @classmethod
    def create(
        cls,
        series: str | Path,
        *,
        root: Path = ROOT,
        strict: bool = True,
        main: bool | None = None,
        **settings: Any,
    ) -> Self:
        """Make a series; ``cat-harness series init`` has the same defaults.

        Args:
            series: its name in ``root``, or a folder for it.
            root: where the folders of series are.
            strict: as in :meth:`open`.
            main: as in :meth:`open`.
            settings: ``banks``, folders or names of shipped ones; ``unit``, training steps from
                one checkpoint to the next; ``alarms``, each a text such as ``fall>0.25 within 5``
                or ``odcv: fall>0.5 since first``; any field of ``Definition`` but these, and any
                of ``Launch`` but the bank: ``agent``, ``model``, ``policy``, ``max_usd``, ...

        Raises:
            InputError: naming the setting that cannot be used, or the series that exists.
            InfrastructureError: it cannot be written.
        """
        is_folder = isinstance(series, Path) or "/" in series
        folder = (Path(series) if is_folder else root / series).resolve()
        made = cls(folder, strict=strict, main=_is_main(main))
        if made.main:
            write_definition(folder, define(folder.name, **settings))
        return made

    def on_checkpoint(
        self,
        step: int,
        model: str | None = None,
        *,
        agent: str | None = None,
        path: str | Path = "",
        serve: str = "",
        model_args: Mapping[str, Any] | None = None,
        agent_args: Mapping[str, Any] | None = None,
        jump: bool = False,
        note: str = "",
        wait: bool = False,
    ) -> Status | None:
        """Register a checkpoint and have it tested by a worker process.

        The same checkpoint again, as a run that was resumed registers it, is nothing new.

        Args:
            step: of training.
            model: any that Inspect knows, such as ``vllm/checkpoints/500``; that of the series by
                default. ``{path}`` and ``{step}`` are filled in.
            agent: in place of that of the series.
            path: where its weights are, for ``{path}`` in ``serve``.
            serve: command that serves the checkpoint and prints its endpoint.
            model_args: of the model.
            agent_args: of the agent.
            jump: something that may have moved ability far came before it.
            note: for people.
            wait: until nothing is left to test.

        Returns:
            What was found, where it waited.

        Raises:
            InputError: the step comes before the last one, or was registered with other content;
                not with ``strict=False``.
        """
        if not self.main:
            return None
        known: tuple[Registered, ...] | None = None
        with self._spared():
            known = files.registered(self.folder)
        if known is not None:
            with self._spared(strict=True):
                checkpoint = Registered(
                    step=_whole(step),
                    model=_text(model),
                    agent=agent and absolute_agent(agent),
                    model_args=literals(model_args or {}),
                    agent_args=literals(agent_args or {}),
                    serve=serve,
                    path=str(Path(path).resolve()) if path and Path(path).exists() else str(path),
                    jump=jump,
                    at=time.time(),
                    note=note,
                )
                self._register(checkpoint, known)
        begun_at = self._begun_at()
        return self._settled(begun_at) if wait else None

    def status(self) -> Status:
        """What was found so far."""
        abilities: tuple[Ability, ...] = ()
        with self._spared():
            abilities = last_abilities(load_series(self.folder))
        alarms = self.alarms()
        problems = dict.fromkeys((*read_pass(self.folder).problems, *self._problems))
        return Status(abilities, alarms, tuple(problems))

    def alarms(self) -> tuple[AlarmRecord, ...]:
        """The alarms that are confirmed, by step: none while there is no reason to stop."""
        found: tuple[AlarmRecord, ...] = ()
        with self._spared():
            found = tuple(a for a in files.alarms(self.folder) if a.state == "confirmed")
        return found

    def close(self, *, wait: bool = True) -> Status:
        """End of training.

        Args:
            wait: until nothing is left to test; otherwise the worker goes on by itself. What has
                failed before is tried once more.
        """
        if self.main and wait:
            return self._settled(self._begun_at())
        return self.status()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # a loop that failed is not held up
        if kind is None:
            self.close()

    def trainer_callback(
        self,
        model: str | None = None,
        *,
        stop_on_alarm: bool = False,
        wait: bool = False,
        **settings: Any,
    ) -> TrainerCallback:
        """A callback for ``transformers.Trainer``, which is not imported.

        Every checkpoint that the trainer saves is registered.

        Args:
            model: as ``vllm/{path}``.
            stop_on_alarm: ask the trainer to stop, at the next save after an alarm.
            wait: at the end of training, until nothing is left to test.
            settings: of :meth:`on_checkpoint`.
        """
        return TrainerCallback(self, {"model": model, **settings}, stop_on_alarm, wait)

    @contextmanager
    def _spared(self, *, strict: bool = False) -> Iterator[None]:
        """What goes wrong inside does not reach the training loop, save for its own mistakes."""
        try:
            yield
        except Exception as error:
            if strict and self._strict and isinstance(error, InputError):
                raise
            problem = told(error)
            if problem not in self._problems:
                self._problems.append(problem)
            _log.warning("series %s: %s", self.folder.name, problem)

    def _register(self, new: Registered, known: Iterable[Registered]) -> None:
        filled(new.serve, dict.fromkeys(("step", "path", "name", "port"), ""))
        filled(new.model or "", dict.fromkeys(("step", "path", "name", "model"), ""))
        if any(replace(there, at=new.at) == new for there in known):
            _log.info("series %s: step %d is registered already", self.folder.name, new.step)
        else:
            files.register(self.folder, new)

    def _begun_at(self) -> int | None:
        """How far the work had come when a worker was begun; None if none is wanted, or one is
        there."""
        found = None
        with self._spared():
            last = read_pass(self.folder)
            if last.problems or last.step < last_step(self.folder):
                with (self.folder / LOCK).open("ab") as lock, suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._worker = begin_worker(self.folder, lock)
                    found = last.step
        return found

    def _settled(self, begun_at: int | None) -> Status:
        """What was found once no worker is at work and none is wanted.

        Args:
            begun_at: how far the work had come when a worker was begun for what is waited for.
        """
        with self._spared():
            while True:
                with (self.folder / LOCK).open("ab") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    step = read_pass(self.folder).step
                    if step >= last_step(self.folder):
                        break
                    if step == begun_at:
                        raise InfrastructureError(
                            f"the worker ended before it had looked; see {self.folder / LOG}"
                        )
                    # we may have taken the lock just before a worker that would have gone on
                    self._worker = begin_worker(self.folder, lock)
                    begun_at = step
        return self.status()


def _is_main(said: bool | None) -> bool:
    return os.environ.get("RANK", "0") == "0" if said is None else said


def _whole(step: object) -> int:
    try:
        return operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"step {step!r} has to be a whole number") from None


def _text(model: object) -> str | None:
    if model is None or isinstance(model, str):
        return model
    raise InputError(
        f"model has to be text, such as 'vllm/checkpoints/500', and not a {type(model).__name__}: "
        "save the checkpoint, and say where Inspect finds it"
    )


def _check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Whether a series is what a training loop says of it.

    Raises:
        InputError: a setting differs, or a bank has changed.
    """
    there = read_definition(folder)
    check_banks(there)
    if settings and (differs := difference(there, settings)):
        raise InputError(
            f"{folder / NAME} is not what the training loop says: {differs}; change one of the "
            "two, or begin a series of another name"
        )
