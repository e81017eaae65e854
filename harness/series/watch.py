"""Finding the checkpoints that a training run writes, complete ones only."""

import fnmatch
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from harness.errors import InputError
from harness.series.serve import filled

PATTERNS: Final = (
    "checkpoint-{step}",
    "step-{step}",
    "step_{step}",
    "global_step{step}",
    "iter_{step}",
)
"""What checkpoints are called by common trainers."""

SETTINGS_FILE: Final = "cat-harness.yaml"

_TEMPORARY = ("*.tmp", "*.temp", "*.incomplete", "*.part", "*.partial", "tmp-*", ".tmp*")


class Settings(BaseModel):
    """How one checkpoint differs from the rest of its series; None for what does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    agent: str | None = None
    model_args: tuple[tuple[str, str], ...] | None = None
    """A mapping in the file; values as Python literals here, as ``runners.live`` takes them."""
    agent_args: tuple[tuple[str, str], ...] | None = None
    serve: str | None = None
    jump: bool | None = None
    note: str | None = None

    @field_validator("model_args", "agent_args", mode="before")
    @classmethod
    def _literals(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ValueError("has to be a mapping of names to values")
        return tuple((str(name), repr(given)) for name, given in value.items())


@dataclass(frozen=True)
class Found:
    """A complete checkpoint."""

    step: int
    path: Path
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Pending:
    """A checkpoint that cannot be used yet."""

    step: int
    path: Path
    state: Literal["writing", "unfinished", "wrong"]
    """It changed a moment ago; something is missing though nothing changes any more; the user has
    to do something about it."""
    reason: str


@dataclass(frozen=True)
class Look:
    """What a look into a folder has found; all in the order of step, then of name."""

    complete: tuple[Found, ...] = ()
    pending: tuple[Pending, ...] = ()
    others: tuple[str, ...] = ()
    """Names that no pattern matches."""


def look(
    folder: Path,
    patterns: Sequence[str] = PATTERNS,
    *,
    now: float,
    marker: str | None = None,
    settled: float = 10.0,
    known: Collection[int] = (),
) -> Look:
    """Look for checkpoints among what stands directly in a folder.

    A checkpoint is a sub-folder, or a file with whatever suffix, that a pattern matches. With a
    marker it is complete once it holds a file of that name. Without one it is complete if it is
    not empty, holds no file with a temporary name, and nothing in it was modified lately.

    Args:
        folder: where the training run writes.
        patterns: names with ``{step}``, a whole number with or without leading zeros, and perhaps
            ``*`` for anything.
        now: seconds since the epoch.
        marker: name of a file that is written last.
        settled: seconds without a change after which nothing more is expected.
        known: steps that are left out.

    Raises:
        InputError: no such folder, a pattern that cannot be used.
    """
    expressions = [_expression(pattern) for pattern in patterns]
    try:
        with os.scandir(folder) as entries:
            named = sorted((entry.name, entry.is_dir()) for entry in entries)
    except OSError as error:
        raise InputError(f"{folder}: cannot be looked into: {error.strerror}") from error
    steps: dict[int, list[Path]] = {}
    others = []
    for name, is_folder in named:
        step = _step(name if is_folder else name.partition(".")[0], name, expressions)
        if step is None:
            others.append(name)
        elif step not in known:
            steps.setdefault(step, []).append(folder / name)
    complete: list[Found] = []
    pending: list[Pending] = []
    for step, paths in sorted(steps.items()):
        if len(paths) > 1:
            reason = (
                f"{' and '.join(map(str, paths))} are both step {step}; move one away, or give a "
                "pattern that matches one of them"
            )
            pending += [Pending(step, path, "wrong", reason) for path in paths]
            continue
        match _judged(step, paths[0], now, marker, settled):
            case Found() as found:
                complete.append(found)
            case Pending() as waiting:
                pending.append(waiting)
            case None:
                pass
    return Look(tuple(complete), tuple(pending), tuple(others))


def watching(
    folder: Path,
    patterns: Sequence[str] = PATTERNS,
    *,
    say: Callable[[str], None],
    until: Callable[[], bool] = lambda: False,
    marker: str | None = None,
    settled: float = 10.0,
    known: Collection[int] = (),
    poll: float = 10.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[Found]:
    """Complete checkpoints as they appear, by step, each step once.

    While an earlier checkpoint is being written, later ones wait for it. What is wrong with one
    checkpoint, or with the folder, is said once and holds up no other.

    Args:
        say: is told what is waited for, and why.
        until: asked before each look; when true, that look is the last.
        known: steps that are in the series already.
        poll: seconds between looks.
        sleep: how to wait.
        clock: seconds since the epoch.

    Raises:
        InputError: a pattern that cannot be used.
    """
    for pattern in patterns:
        _expression(pattern)
    yielded = set(known)
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    last = False
    while not last:
        last = until()
        try:
            seen = look(
                folder, patterns, now=clock(), marker=marker, settled=settled, known=yielded
            )
        except InputError as error:
            once(f"{error}; waiting for it")
            seen = Look()
        for pending in seen.pending:
            once(f"not yet: {pending.reason}")
        if seen.others and not (seen.complete or seen.pending or yielded):
            names = ", ".join(seen.others[:5]) + (", ..." if len(seen.others) > 5 else "")
            once(f"{folder} holds {names}, which match none of {', '.join(patterns)}")
        held = min((p.step for p in seen.pending if p.state == "writing"), default=None)
        for found in seen.complete:
            if held is None or found.step < held:
                yielded.add(found.step)
                yield found
        if not last:
            sleep(poll)


def template(text: str, step: int, path: Path) -> str:
    """A text with ``{step}``, ``{path}`` and ``{name}`` (the last part of the path) filled in.

    ``{model}`` stays: the serving command tells it later.

    Raises:
        InputError: another placeholder.

    >>> template("vllm/{path} as {name}", 500, Path("out/step_0500"))
    'vllm/out/step_0500 as step_0500'
    >>> template("openai-api/local/{model}", 500, Path("out/step_0500"))
    'openai-api/local/{model}'
    """
    known = {"step": str(step), "path": str(path), "name": path.name, "model": "{model}"}
    return filled(text, known, quote=str)


def read_settings(path: Path) -> Settings:
    """The settings that a checkpoint brings along, if it does.

    Raises:
        InputError: they cannot be read; the message names the file and the key.
    """
    file = path / SETTINGS_FILE
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{file}: no valid YAML: {' '.join(str(error).split())}") from error
    if raw is None:
        return Settings()
    if not isinstance(raw, dict):
        raise InputError(f"{file}: has to be a mapping with any of {', '.join(_KEYS)}")
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise InputError(f"{file}: unknown key {key}; there are {', '.join(_KEYS)}") from error
        raise InputError(f"{file}: {key}: {first['msg']}") from error


_KEYS = tuple(Settings.model_fields)


def _expression(pattern: str) -> re.Pattern[str]:
    before, found, after = pattern.partition("{step}")
    if not found or "{step}" in after or "/" in pattern or before[-1:].isdigit():
        raise InputError(
            f"pattern {pattern!r} has to be a name with {{step}} in it once, such as "
            "'checkpoint-{step}' or 'epoch=*-step={step}.ckpt'"
        )
    any_of = [re.escape(part).replace(r"\*", ".*") for part in (before, after)]
    return re.compile(f"{any_of[0]}([0-9]{{1,18}}){any_of[1]}", re.DOTALL)


def _step(stem: str, name: str, expressions: list[re.Pattern[str]]) -> int | None:
    for expression in expressions:
        if match := expression.fullmatch(name) or expression.fullmatch(stem):
            return int(match[1])
    return None


def _judged(
    step: int, path: Path, now: float, marker: str | None, settled: float
) -> Found | Pending | None:
    """None if it vanished: training runs rotate their checkpoints."""
    try:
        names, empty, newest = _contents(path)
    except FileNotFoundError:
        if not path.exists():
            return None
        return Pending(step, path, "writing", f"{path} is being written")
    except OSError as error:
        return Pending(step, path, "wrong", f"{path} cannot be read: {error.strerror}")
    age = now - newest
    temporary = [n for n in names if any(fnmatch.fnmatchcase(n.lower(), t) for t in _TEMPORARY)]
    if marker is not None and path.is_dir():
        missing = "" if (path / marker).exists() else f"{path} holds no {marker} yet"
    elif empty:
        missing = f"{path} is empty"
    elif temporary:
        missing = f"{path} holds {temporary[0]}, which looks unfinished"
    elif age < -settled:
        missing = f"{path} was modified {-age:.0f} s from now; the clocks of two machines differ"
    else:
        missing = f"{path} was modified less than {settled:g} s ago" if age < settled else ""
    if missing:
        return Pending(step, path, "writing" if abs(age) < settled else "unfinished", missing)
    try:
        return Found(step, path, read_settings(path))
    except InputError as error:
        return Pending(step, path, "wrong", str(error))


def _contents(path: Path) -> tuple[list[str], bool, float]:
    """All names, whether there is no content, the time of the last modification."""
    status = path.stat()
    if not path.is_dir():
        return [path.name], status.st_size == 0, status.st_mtime
    names = []
    empty = True
    newest = status.st_mtime
    folders = [path]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                names.append(entry.name)
                newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    empty = False
    return sorted(names), empty, newest
