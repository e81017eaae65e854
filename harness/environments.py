"""Task directories in the Harbor layout, read and checked.

A task directory holds ``task.toml``, ``instruction.md``, ``environment/Dockerfile``,
``tests/test.sh`` and ``solution/solve.sh``. What this program adds lives under
``[metadata.harness]``; ``docs/environment-format.md`` describes it.
"""

import math
import re
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.bank import ItemBank
from harness.errors import TaskError
from harness.shipped import shipped

SOLVE = "solve.sh"


@dataclass(frozen=True)
class ResponseCurve:
    """Graded response curve by which a scripted persona of a given skill behaves on a task.

    ``P(category >= k) = σ(discrimination · (skill - thresholds[k-1]))`` (Samejima 1969).
    """

    discrimination: float
    thresholds: tuple[float, ...]

    def probabilities(self, skill: float) -> tuple[float, ...]:
        """Probability of each category, lowest first.

        >>> [round(p, 3) for p in ResponseCurve(1.0, (0.0,)).probabilities(0.0)]
        [0.5, 0.5]
        """
        logits = [self.discrimination * (skill - t) for t in self.thresholds]
        # the same as 1 / (1 + exp(-x)), which overflows far from the thresholds
        reach = [0.5 * (1 + math.tanh(x / 2)) for x in logits]
        edges = [1.0, *reach, 0.0]
        return tuple(a - b for a, b in pairwise(edges))


@dataclass(frozen=True)
class Environment:
    """One task on disk."""

    name: str
    path: Path
    instruction: str
    categories: tuple[str, ...]
    """Labels, lowest first."""
    persona: ResponseCurve | None
    difficulty: str
    tags: tuple[str, ...]
    agent_seconds: float
    verifier_seconds: float
    cpus: float
    memory_mb: int
    storage_mb: int
    network: bool
    image: str | None
    """A ready image to use instead of building ``environment/``."""
    env: tuple[tuple[str, str], ...]

    @property
    def context(self) -> Path:
        """The directory that the image is built from."""
        return self.path / "environment"

    def solution(self, category: int) -> Path | None:
        """The script that reaches a category: full, partial, or none for the lowest."""
        top = len(self.categories) - 1
        if category == 0:
            return None
        return self.path / "solution" / (SOLVE if category == top else f"partial-{category}.sh")


class _Persona(BaseModel):
    model_config = ConfigDict(extra="forbid")
    discrimination: float = Field(gt=0, allow_inf_nan=False)
    thresholds: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> "_Persona":
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError("thresholds must ascend")
        return self


class _Ours(BaseModel):
    model_config = ConfigDict(extra="forbid")
    categories: tuple[str, ...] = Field(default=("fail", "pass"), min_length=2)
    persona: _Persona | None = None

    @model_validator(mode="after")
    def _same_length(self) -> "_Ours":
        if self.persona and len(self.persona.thresholds) != len(self.categories) - 1:
            raise ValueError("persona.thresholds needs one entry fewer than categories")
        return self


class _Metadata(BaseModel):
    difficulty: str = ""
    tags: tuple[str, ...] = ()
    harness: _Ours = Field(default_factory=_Ours)


class _Limit(BaseModel):
    timeout_sec: float = Field(default=900.0, gt=0)


class _Container(BaseModel):
    docker_image: str | None = None
    cpus: float = Field(default=1.0, gt=0)
    memory_mb: int = Field(default=2048, gt=0)
    storage_mb: int = Field(default=10240, gt=0)
    allow_internet: bool = False
    env: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _sizes(cls, data: Any) -> Any:
        """Older files write ``memory = "2G"``."""
        if isinstance(data, dict):
            for key in ("memory", "storage"):
                if key in data and f"{key}_mb" not in data:
                    data = {**data, f"{key}_mb": _megabytes(str(data[key]))}
        return data


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT])i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512M or 2G")
    return int(float(match[1]) * {"M": 1, "G": 1024, "T": 1024**2}[match[2].upper()])


class _TaskFile(BaseModel):
    """task.toml, checked at the edge. Unknown keys of other Harbor tools are let through."""

    metadata: _Metadata = Field(default_factory=_Metadata)
    agent: _Limit = Field(default_factory=_Limit)
    verifier: _Limit = Field(default_factory=_Limit)
    environment: _Container = Field(default_factory=_Container)


def load_environment(path: Path) -> Environment:
    """Read a task directory.

    Raises:
        TaskError: naming the missing file or the wrong entry.
    """
    path = path.resolve()
    file = path / "task.toml"
    for needed, why in (
        (file, "its limits"),
        (path / "instruction.md", "what the agent is told"),
        (path / "tests" / "test.sh", "the hidden tests; without them nothing can be scored"),
    ):
        if not needed.is_file():
            raise TaskError(f"task {path}: {needed.relative_to(path)} is missing ({why})")
    try:
        task = _TaskFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{file} is not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TaskError(f"{file}: {where}: {first['msg']}") from None
    container, ours = task.environment, task.metadata.harness
    persona = ours.persona
    if container.docker_image is None and not (path / "environment" / "Dockerfile").is_file():
        raise TaskError(
            f"task {path}: environment/Dockerfile is missing, and no docker_image is set"
        )
    instruction = (path / "instruction.md").read_text(encoding="utf-8")
    if not instruction.strip():
        raise TaskError(f"task {path}: instruction.md is empty")
    return Environment(
        name=path.name,
        path=path,
        instruction=instruction,
        categories=ours.categories,
        persona=None
        if persona is None
        else ResponseCurve(persona.discrimination, persona.thresholds),
        difficulty=task.metadata.difficulty,
        tags=task.metadata.tags,
        agent_seconds=task.agent.timeout_sec,
        verifier_seconds=task.verifier.timeout_sec,
        cpus=container.cpus,
        memory_mb=container.memory_mb,
        storage_mb=container.storage_mb,
        network=container.allow_internet,
        image=container.docker_image,
        env=tuple(sorted(container.env.items())),
    )


def find_environment(name: str, folder: Path | None = None) -> Environment:
    """An environment by path, or by name in ``folder`` or among those shipped.

    Raises:
        TaskError: there is none, or it cannot be read.
    """
    places = [Path(name), *([folder / name] if folder else []), shipped("environments") / name]
    # a folder that merely has the name of a task must not hide it
    found = sorted(filter(Path.is_dir, places), key=lambda p: not (p / "task.toml").is_file())
    if found:
        return load_environment(found[0])
    looked = ", ".join(str(place) for place in places)
    raise TaskError(f"no task directory {name!r} (looked at: {looked}); see: cat-harness env list")


def bank_environments(bank: ItemBank, folder: Path | None) -> dict[str, Environment]:
    """The task directory of each item.

    Raises:
        TaskError: one is missing, unreadable, or has other categories than its item.
    """
    environments = {}
    for item in bank.items:
        environment = find_environment(item.environment or item.id, folder)
        if len(environment.categories) != len(item.intercepts) + 1:
            raise TaskError(
                f"item {item.id!r} has {len(item.intercepts) + 1} categories, but its task "
                f"{environment.path} has {len(environment.categories)}: calibrate the bank again"
            )
        environments[item.id] = environment
    return environments


def list_environments(folder: Path | None = None) -> tuple[Environment, ...]:
    """All task directories of a folder, by name; those shipped when it is None.

    Raises:
        TaskError: the folder holds no task directory, or one of them cannot be read.
    """
    folder = folder or shipped("environments")
    if (folder / "task.toml").is_file():
        return (load_environment(folder),)
    paths = sorted(p for p in folder.glob("*") if p.is_dir() and not p.name.startswith(("_", ".")))
    if not paths:
        raise TaskError(f"{folder} holds no task directories")
    return tuple(load_environment(path) for path in paths)


_INSTRUCTION_PARTS = (
    "User story",
    "Inputs and outputs",
    "Quality standards",
    "Forbidden shortcuts",
    "Edge cases",
)


def lint(environment: Environment) -> tuple[str, ...]:
    """What is missing for a task of our own library, one sentence each; empty when in order."""
    problems: list[str] = []
    headings = set(re.findall(r"(?m)^## (.+?)\s*$", environment.instruction))
    missing = [part for part in _INSTRUCTION_PARTS if part not in headings]
    problems += [f"instruction.md lacks the part '## {part}'" for part in missing]
    if environment.persona is None:
        problems.append("task.toml has no [metadata.harness] persona: personas cannot act here")
    for category in range(1, len(environment.categories)):
        script = environment.solution(category)
        if script is not None and not script.is_file():
            problems.append(f"solution/{script.name} is missing (reaches category {category})")
    dockerfile = environment.context / "Dockerfile"
    if dockerfile.is_file():
        copied = re.findall(r"(?im)^\s*(?:COPY|ADD)\b.*\b(tests|solution)/", dockerfile.read_text())
        if copied and not (environment.context / copied[0]).exists():
            problems.append(f"the Dockerfile copies {copied[0]}/, which must stay hidden")
    return tuple(problems)
