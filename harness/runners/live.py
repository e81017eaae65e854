"""Run or resume a session for real: bank, journal, Inspect and Docker put together."""

import ast
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import yaml
from inspect_ai import eval as inspect_eval
from inspect_ai.model import (
    Model,
    ModelCost,
    ModelInfo,
    get_model,
    get_model_info,
    set_model_info,
)
from inspect_ai.solver import Solver
from pydantic import ValidationError

from harness import journal
from harness.bank import ItemBank, Source
from harness.bank_files import find_bank, load_bank
from harness.environments import Environment, bank_environments
from harness.errors import AgentError, DockerError, InfrastructureError, JournalError
from harness.events import Launch, Plan, Started, Stopped
from harness.runners.agents import OWN, REACT, is_scripted, resolve_agent
from harness.runners.borrowed import argument_values
from harness.runners.foreign import ForeignItem, ForeignTask, bank_items, bank_tasks
from harness.runners.inspect import Errand, Notify, SessionSource, World, make_task
from harness.runners.judge import judge_roles
from harness.runners.machine import machine
from harness.runners.sandboxes import sandbox_for
from harness.sandbox import images, pool, store
from harness.sandbox.engine import cleanup, sweep
from harness.session import Session

LOGS = "logs"
_ENDED = "Inspect ended the run"
_MEND = "nothing answered is lost: once that is mended, resume it"


def new_folder(runs: Path, *words: str) -> Path:
    """A folder for a new run that does not exist yet, named by time and what it is about."""
    slug = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") for word in words)
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}"
    taken = (runs / stem).exists()
    return runs / (f"{stem}-{os.getpid()}" if taken else stem)


def container_label(folder: Path) -> str:
    """What the containers of a run are labelled with; runs elsewhere may have the same name."""
    path = folder.resolve()
    return f"{path.name}-{crc32(str(path).encode()):08x}"


def start(
    folder: Path,
    launch: Launch,
    plan: Plan,
    *,
    model: Model | None = None,
    notify: Notify = lambda session, event: None,
    say: Callable[[str], None] = lambda text: None,
) -> Session:
    """Begin a session in a new run folder and follow it to its end.

    Args:
        folder: the run folder; its name is the run's id.
        launch: bank, agent, model and limits.
        plan: what the session follows.
        model: a model object in place of the one that ``launch`` names.
        notify: called after every event.
        say: told about what takes time before the first item.

    Returns:
        The session, stopped.

    Raises:
        HarnessError: bad input, or a world that does not work.
        KeyboardInterrupt: the run was interrupted; :func:`resume` goes on with it.
    """
    bank = load_bank(launch.bank)
    launch = replace(launch, bank=str(find_bank(launch.bank).resolve()))
    if launch.model is None and not is_scripted(launch.agent):
        launch = replace(launch, model=os.environ.get("INSPECT_EVAL_MODEL"))
    cast = Cast.of(bank, launch, plan, model, say)
    with journal.appending(folder / journal.NAME) as writer:
        return _follow(folder, cast, Session(bank.table, plan), writer, notify)


def resume(
    run: Path,
    *,
    model: Model | None = None,
    notify: Notify = lambda session, event: None,
    say: Callable[[str], None] = lambda text: None,
) -> Session:
    """Go on with a session from its journal; arguments as :func:`start`.

    A session that had stopped on voids begins again, and so does one that ran out of items while
    some were void; any other that reached its end is returned as it is.

    Raises:
        JournalError: the journal is damaged, of another bank, or not of a live session.
    """
    record = journal.read(run)
    launch = record.started.launch
    if launch is None or record.started.rescored:
        raise JournalError(f"{record.path} is not of a live session; there is nothing to resume")
    bank = load_bank(launch.bank)
    session = journal.replayed(record, bank)
    if record.torn:
        say(f"the last line of {record.path} was cut short ({record.torn} bytes) and is left out")
    if _is_over(session):
        # a process that was killed after the last line has left its containers
        with suppress(DockerError):
            cleanup(container_label(record.path.parent))
        return session
    cast = Cast.of(bank, launch, session.plan, model, say)
    with journal.appending(record.path, record) as writer:
        return _follow(record.path.parent, cast, session, writer, notify)


def _is_over(session: Session) -> bool:
    match session.stopped:
        case Stopped(outcome="precise" | "doubtful" | "limit"):
            return True
        case Stopped(outcome="exhausted"):
            return not session.open_voids
        case _:
            return False


@dataclass(frozen=True)
class Cast:
    """Everything that takes part in a session, made and checked before its journal is opened."""

    bank: ItemBank
    launch: Launch
    agent: Solver
    model: Model | None
    tasks: dict[str, ForeignTask]
    items: dict[str, Errand]
    judges: dict[str, Model]
    """By role."""

    @classmethod
    def of(
        cls,
        bank: ItemBank,
        launch: Launch,
        plan: Plan,
        model: Model | None,
        say: Callable[[str], None],
    ) -> "Cast":
        tasks, items = errands(bank, launch)
        _check_agent(launch.agent, items)
        own = launch.agent == OWN
        agent = resolve_agent(REACT if own else launch.agent, parsed(launch.agent_args), plan.seed)
        # an agent of the user's may have a model of its own, and so may a task
        unnamed = model is None and launch.model is None
        if unnamed and launch.agent in (REACT, OWN) and not _all_have_models(tasks, items):
            raise AgentError(
                f"agent {launch.agent!r} needs a model: add --model PROVIDER/NAME, or try the "
                "scripted agents oracle, nop and persona:SKILL"
            )
        model = model or make_model(launch)
        if launch.model_cost is not None:
            set_prices(Path(launch.model_cost))
        directories = [item for item in items.values() if isinstance(item, Environment)]
        judges = judge_roles(directories, launch.judge)
        if any(environment.image is None for environment in directories):
            images.ensure_base(say)
        for item in items.values():
            if isinstance(item, ForeignItem):
                # what a session cannot run must not be found out in the middle of one
                sandbox_for(item, "", launch.sandbox)
        for note in dict.fromkeys(note for task in tasks.values() for note in task.notes):
            say(f"note: {note}")
        return cls(bank, launch, agent, model, tasks, items, judges)


def errands(bank: ItemBank, launch: Launch) -> tuple[dict[str, ForeignTask], dict[str, Errand]]:
    """The Inspect tasks of a bank by source, and what each of its items asks of an agent.

    Raises:
        TaskError: something is missing, or has other categories than its item.
    """
    if launch.task is not None:
        bank = _with_task(bank, launch)
    tasks = bank_tasks(bank)
    folder = Path(launch.environments) if launch.environments else None
    directories = bank_environments(bank, folder)
    return tasks, {**directories, **bank_items(bank, tasks)}


def _with_task(bank: ItemBank, launch: Launch) -> ItemBank:
    """The bank with a task of the command line as the source of the items that name none."""
    name = "task"
    args = argument_values([f"{key}={value}" for key, value in launch.task_args])
    source = Source(task=str(launch.task), args=args, score=launch.score or "", folder=Path.cwd())
    items = tuple(item if item.source else replace(item, source=name) for item in bank.items)
    return replace(bank, items=items, sources={**bank.sources, name: source})


def _check_agent(agent: str, items: Mapping[str, Errand]) -> None:
    samples = [name for name, item in items.items() if isinstance(item, ForeignItem)]
    if agent == OWN and not samples:
        raise AgentError(
            f"agent {OWN!r} stands for the solvers of Inspect tasks, of which this bank has none"
        )
    if samples and is_scripted(agent) and agent != "nop":
        raise AgentError(
            f"agent {agent!r} runs scripts of a task directory, which item {samples[0]!r} is not: "
            f"use {OWN} (the task's own solver), react, nop or an agent of yours"
        )


def _all_have_models(tasks: Mapping[str, ForeignTask], items: Mapping[str, Errand]) -> bool:
    only_samples = all(isinstance(item, ForeignItem) for item in items.values())
    return only_samples and all(task.task.model is not None for task in tasks.values())


def make_model(launch: Launch) -> Model | None:
    """The model that a launch names; None where it names none.

    Raises:
        AgentError: it cannot be used.
    """
    if launch.model is None:
        return None
    try:
        return get_model(launch.model, **parsed(launch.model_args))
    except Exception as error:
        # an unknown provider, a package or a key that is missing: each provider has its own
        raise AgentError(f"model {launch.model!r} cannot be used: {error}") from error


def set_prices(path: Path) -> None:
    """Tell Inspect what models cost, those that it does not know included.

    Args:
        path: YAML or JSON; for each model the prices of a million tokens, as
            :class:`inspect_ai.model.ModelCost` names them.

    Raises:
        AgentError: naming the file, and the model whose prices cannot be read.
    """
    try:
        prices = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AgentError(f"model prices {path} cannot be read: {error}") from None
    if not isinstance(prices, dict):
        raise AgentError(f"model prices {path} must map names of models to their prices")
    for name, price in prices.items():
        try:
            cost = ModelCost.model_validate(price)
        except ValidationError as error:
            first = error.errors()[0]
            entry = ".".join(str(part) for part in first["loc"])
            raise AgentError(f"model prices {path}, {name}: {entry}: {first['msg']}") from None
        info = get_model_info(str(name)) or ModelInfo()
        set_model_info(str(name), info.model_copy(update={"cost": cost}))


def _follow(
    folder: Path, cast: Cast, session: Session, writer: journal.Writer, notify: Notify
) -> Session:
    run, label = folder.resolve().name, container_label(folder)
    cleanup(label)
    sweep()
    plan, bank, launch = session.plan, cast.bank, cast.launch
    program = version("cat-harness")
    limits: dict[str, float] = {name: int(value) for name, value in launch.limits}
    try:
        with (
            terminable(),
            store.within(launch.disk_budget_mb),
            pool.use(launch.prewarm) as ready,
        ):
            world = World(
                cast.items,
                label,
                folder / LOGS,
                launch.sandbox,
                launch.prewarm,
                ready.want,
                None if launch.disk_budget_mb is None else partial(present, cast.items),
            )
            source = SessionSource(session, writer, world, notify)
            source.record(
                Started(
                    time.time(),
                    run,
                    launch.title,
                    plan,
                    bank.name,
                    bank.hash,
                    program,
                    launch,
                    machine(),
                )
            )
            logs = inspect_eval(
                make_task(source, cast.agent, cast.tasks, limits, own=launch.agent == OWN),
                model=cast.model,
                model_roles=dict(cast.judges) or None,
                log_dir=str(folder / LOGS),
                max_samples=plan.width,
                display="none",
            )
    except OSError as error:
        raise InfrastructureError(f"{_ENDED}: {error}; {_MEND}") from error
    finally:
        # without an engine there is an outcome to report nevertheless; resume cleans up later
        with suppress(DockerError):
            cleanup(label)
    if writer.failure is not None:
        raise writer.failure
    # an interrupted evaluation gives a cancelled log, or none at all
    if not logs or logs[0].status == "cancelled":
        raise KeyboardInterrupt
    (log,) = logs
    if log.status == "error":
        message = log.error.message if log.error else "no reason given"
        raise InfrastructureError(f"{_ENDED}: {message}; {_MEND}")
    if source.session.stopped is None:
        raise InfrastructureError(f"{_ENDED} before the session had stopped")
    return source.session


def present(items: Mapping[str, Errand]) -> frozenset[str]:
    try:
        return store.present(items)
    except DockerError:
        # without an engine there is nothing to prefer, and the item itself will say so
        return frozenset()


def parsed(args: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Keyword arguments from the command line, read as Python literals where they are."""
    values: dict[str, Any] = {}
    for name, text in args:
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does, so that containers are removed."""
    try:
        before = signal.signal(signal.SIGTERM, _interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """What Ctrl-C would do: a running event loop has a handler of its own, which cancels its task
    where an exception could come up in a callback and be lost."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background
        signal.default_int_handler(number, frame)
    signal.raise_signal(signal.SIGINT)
