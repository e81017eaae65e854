"""What Inspect finds under the entry point ``cat_harness``: the sandbox and the task.

For people who live in Inspect::

    inspect eval cat_harness/adaptive -T bank=coding-starter --model openai/gpt-5
"""

import atexit
import math
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from inspect_ai import Task, task

from harness import journal
from harness.bank_files import find_bank, load_bank
from harness.environments import Environment
from harness.events import Launch, Plan, Started, default_selector
from harness.grammar import parse_selector, parse_stop
from harness.runners.agents import resolve_agent
from harness.runners.inspect import SessionSource, World, make_task
from harness.runners.live import LOGS, container_label, errands, new_folder
from harness.runners.machine import machine
from harness.sandbox.provider import CatDockerSandbox
from harness.session import Session

__all__ = ["CatDockerSandbox", "adaptive"]


def adaptive(
    bank: str = "coding-starter",
    agent: str = "react",
    select: str = "auto",
    stop: str = "sd<0.3 or items>=30",
    seed: int = 0,
    width: int = 1,
    environments: str | None = None,
    runs: str = "runs",
) -> Task:
    """An adaptive session as an Inspect task; its journal lands in a new folder of ``runs``.

    Args:
        bank: folder of an item bank, or the name of one that is shipped.
        agent: as ``cat-harness run --agent``; Inspect's ``--solver`` takes its place.
        select: selector, as ``cat-harness run --select``.
        stop: stopping rule, as ``cat-harness run --stop``.
        seed: of all random choices.
        width: items in flight at once.
        environments: folder of task directories; those shipped when None.
        runs: where run folders are made.
    """
    items = load_bank(bank)
    plan = Plan(
        default_selector(len(items.mean)) if select == "auto" else parse_selector(select),
        parse_stop(stop),
        items.population,
        seed=seed,
        width=width,
    )
    folder = new_folder(Path(runs), items.name, agent)
    launch = Launch(str(find_bank(bank).resolve()), agent, environments=environments)
    tasks, asked = errands(items, launch)
    solver = resolve_agent(agent, seed=seed)
    # Inspect gives a task no place to close what it opened
    stack = ExitStack()
    atexit.register(stack.close)
    writer = stack.enter_context(journal.appending(folder / journal.NAME))
    session = Session(items.table, plan)
    world = World(asked, container_label(folder), folder / LOGS)
    source = SessionSource(session, writer, world, lambda session, event: None)
    program = version("cat-harness")
    source.record(
        Started(
            time.time(),
            folder.name,
            agent,
            plan,
            items.name,
            items.hash,
            program,
            launch,
            machine(),
        )
    )
    # each task's own time is up sooner, but only for the solver that is given here
    own = [item.agent_seconds for item in asked.values() if isinstance(item, Environment)]
    longest = math.ceil(max(own)) if len(own) == len(asked) else None
    limits: dict[str, float] = {} if longest is None else {"time_limit": longest}
    return make_task(source, solver, tasks, limits)


# Inspect puts the name of the top-level module before a task's name, but only for a module that it
# can find. Ours is called harness; users look for the distribution, cat_harness.
adaptive.__module__ = "cat_harness"
adaptive = task(name="cat_harness/adaptive")(adaptive)
