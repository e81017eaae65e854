"""Agents by name: Inspect's own, a user's from a module or file, and the scripted ones.

``oracle`` runs the reference solution, ``nop`` does nothing, ``persona:SKILL`` draws the category
it will reach from the task's documented response curve and runs the solution that reaches it.
"""

import importlib
import importlib.util
import inspect
import math
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from inspect_ai.agent import as_solver, is_agent, react
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import bash, text_editor
from inspect_ai.util import sandbox

from harness.environments import Environment, load_environment
from harness.errors import AgentError

_SCRIPTED = ("oracle", "nop", "persona")
_OURS = (*_SCRIPTED, "react")
_TOOL_SECONDS = 180


def is_scripted(agent: str) -> bool:
    """Whether an agent is one of the scripted ones, which no model drives.

    >>> is_scripted("react"), is_scripted("persona:0.5")
    (False, True)
    """
    return agent.partition(":")[0] in _SCRIPTED


def resolve_agent(text: str, args: dict[str, Any] | None = None, seed: int = 0) -> Solver:
    """The solver that stands for an agent.

    Args:
        text: ``react``, ``oracle``, ``nop``, ``persona:SKILL``, ``package.module:name`` or
            ``path/to/file.py:name`` of an Inspect agent or solver, or of a function making one.
        args: keyword arguments of a user's agent.
        seed: of a persona's luck.

    Raises:
        AgentError: it cannot be imported, found or made.
    """
    kind, _, rest = text.partition(":")
    if args and kind in _OURS:
        raise AgentError(f"agent {text!r} takes no arguments: {', '.join(args)}")
    match kind:
        case "oracle" if not rest:
            return scripted(solves=True)
        case "nop" if not rest:
            return scripted(solves=False)
        case "persona":
            try:
                skill = float(rest)
            except ValueError:
                skill = math.nan
            if not math.isfinite(skill):
                raise AgentError(
                    f"agent {text!r}: a persona needs its skill, a number, as in persona:1.0"
                )
            return persona(skill, seed)
        case "react" if not rest:
            tools = [bash(timeout=_TOOL_SECONDS), text_editor(timeout=_TOOL_SECONDS)]
            return as_solver(react(tools=tools))
        case _:
            return _user_agent(text, args or {})


def _user_agent(text: str, args: dict[str, Any]) -> Solver:
    module_name, _, name = text.replace("@", ":").rpartition(":")
    if not module_name:
        raise AgentError(
            f"unknown agent {text!r}; use react, oracle, nop, persona:SKILL, "
            "package.module:name or path/to/file.py:name"
        )
    found = _attribute(module_name, name, text)
    if not callable(found):
        raise AgentError(f"agent {text!r}: {name} is not a function or an Inspect agent")
    try:
        # an agent or solver itself is a coroutine function; what makes one is not
        made = found if inspect.iscoroutinefunction(found) else found(**args)
    except Exception as error:
        raise AgentError(
            f"agent {text!r}: making it failed: {type(error).__name__}: {error}"
        ) from error
    if is_agent(made):
        return as_solver(made)
    if callable(made) and len(inspect.signature(made).parameters) == 2:
        result: Solver = made
        return result
    raise AgentError(f"agent {text!r} gives {type(made).__name__}, not an Inspect agent or solver")


def _attribute(module_name: str, name: str, text: str) -> Any:
    is_file = module_name.endswith(".py")
    if is_file and not Path(module_name).is_file():
        raise AgentError(f"agent {text!r}: there is no file {Path(module_name).resolve()}")
    # a script has its own folder on the path, and python -m the current one; so do agents
    folder = str(Path(module_name).resolve().parent if is_file else Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = _from_file(Path(module_name)) if is_file else importlib.import_module(module_name)
    except Exception as error:
        raise AgentError(
            f"agent {text!r} does not import: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, name):
        public = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise AgentError(f"agent {text!r}: {module_name} has no {name!r}; it has: {public}")
    return getattr(module, name)


def _from_file(path: Path) -> Any:
    # a name of its own: a file may be called like a module that others need
    name = f"_agent_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# --- scripted agents --------------------------------------------------------------------------


@solver
def scripted(solves: bool) -> Solver:
    """Runs the reference solution (the oracle), or does nothing at all."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if solves:
            environment = load_environment(Path(state.metadata["environment"]))
            await reach(environment, len(environment.categories) - 1)
        return state

    return solve


@solver
def persona(skill: float, seed: int) -> Solver:
    """A simulated agent whose category follows the task's response curve.

    Its luck on a task depends on the seed, its skill and the task alone, so that a session that
    is resumed or repeated meets the same agent.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        environment = load_environment(Path(state.metadata["environment"]))
        await reach(environment, persona_category(environment, skill, seed))
        return state

    return solve


def persona_category(environment: Environment, skill: float, seed: int) -> int:
    """The category that a persona reaches on a task.

    Raises:
        AgentError: the task documents no response curve.
    """
    if environment.persona is None:
        raise AgentError(
            f"task {environment.path} has no [metadata.harness] persona curve, so no persona can "
            "act on it; use another agent"
        )
    words = [crc32(environment.name.encode()), crc32(repr(skill).encode())]
    luck = np.random.default_rng([seed, *words])
    return int(luck.choice(len(environment.categories), p=environment.persona.probabilities(skill)))


async def reach(environment: Environment, category: int) -> None:
    """Run the solution script of a category in the container; look around for the lowest."""
    script = environment.solution(category)
    if script is None:
        await sandbox().exec(["ls", "-la"])
        return
    if not script.is_file():
        raise AgentError(f"task {environment.path} has no solution/{script.name}")
    await upload(script.parent, "/solution")
    result = await sandbox().exec(["bash", f"/solution/{script.name}"])
    if not result.success:
        raise AgentError(
            f"{script} ended with exit code {result.returncode}: {result.stderr.strip()[-300:]}"
        )


async def upload(folder: Path, target: str) -> None:
    """Copy a folder into the container, following links."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix()
            await sandbox().write_file(f"{target}/{name}", path.read_bytes())
