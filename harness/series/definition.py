"""What a series is: its banks, agent, policy, alarms and budgets, as ``series.yaml`` holds them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from harness.bank import ItemBank
from harness.bank_files import load_bank
from harness.errors import BankError, InfrastructureError, InputError, PlanError
from harness.events import Launch
from harness.schedule.alarms import parse_alarm
from harness.schedule.drift import Drift
from harness.series.storage import write_file

NAME = "series.yaml"


@dataclass(frozen=True)
class SeriesBank:
    """A bank of a series, as it was when the series began."""

    name: str
    path: str
    """Its folder, absolute."""
    hash: str


@dataclass(frozen=True)
class Definition:
    """What a series is.

    Raises:
        PlanError: naming the entry that cannot be.
    """

    name: str
    banks: tuple[SeriesBank, ...]
    launch: Launch
    """Agent, model and limits where a checkpoint does not state its own; its bank is empty."""
    policy: str
    """Text of the policy that chooses what is tested."""
    alarms: tuple[tuple[str, str], ...] = ()
    """Names of banks, and what is looked out for there."""
    alpha: float = 0.05
    """Probability of a false alarm over the whole series."""
    checkpoints: int = 30
    """How many are planned."""
    max_tasks: int | None = None
    max_usd: float | None = None
    max_seconds: float | None = None
    """Budgets of the whole series."""
    joint: bool = False
    """Abilities of two banks move together."""
    drift: Drift = field(default_factory=Drift)
    width: int = 1
    """Items in flight at once in a session."""
    max_attempts: int = 2
    """Launches of one item before its voids take it out of a session."""
    on_alarm: str = ""
    """Shell command."""
    webhook: str = field(default="", repr=False)
    """URL that is told of an alarm."""
    metrics: tuple[str, ...] = ()
    """Where figures are sent to, such as ``wandb``."""
    database: str = field(default="", repr=False)
    """URL as SQLAlchemy reads it; a SQLite file in the folder when empty."""
    lease: float = 60.0
    """Seconds after which the work of a worker that is not heard of is free."""
    seed: int = 0
    level: float = 0.9
    """Probability of the intervals that are reported."""
    created: float = 0.0
    """Unix time in seconds; it tells two series of one name apart."""

    def __post_init__(self) -> None:
        names = [bank.name for bank in self.banks]
        problems = {
            "name": "must not be empty or contain / or start with a dot"
            if not self.name or "/" in self.name or self.name.startswith(".")
            else "",
            "banks": "must be at least one, each name once"
            if not names or len(set(names)) < len(names)
            else "",
            "launch.bank": "must be empty: the banks of a series are under 'banks'"
            if self.launch.bank
            else "",
            "alpha": _outside(self.alpha),
            "level": _outside(self.level),
            "lease": "" if 0 < self.lease < math.inf else "must be a number of seconds above 0",
            "seed": "must be 0 or more" if self.seed < 0 else "",
            "joint": "needs exactly two banks" if self.joint and len(names) != 2 else "",
        }
        for entry in ("checkpoints", "width", "max_attempts"):
            problems[entry] = "must be 1 or more" if getattr(self, entry) < 1 else ""
        for entry in ("max_tasks", "max_usd", "max_seconds"):
            budget = getattr(self, entry)
            problems[entry] = (
                "" if budget is None or budget > 0 else "must be above 0; leave it out for no limit"
            )
        for entry, problem in problems.items():
            if problem:
                raise PlanError(f"entry {entry!r}: {problem}")
        for bank, text in self.alarms:
            if bank not in names:
                raise PlanError(
                    f"entry 'alarms': bank {bank!r} is none of the series ({', '.join(names)})"
                )
            try:
                parse_alarm(text)
            except PlanError as error:
                raise PlanError(f"entry 'alarms': {error}") from None


def _outside(probability: float) -> str:
    return "" if 0 < probability < 1 else "must lie between 0 and 1"


_DEFINITION = TypeAdapter(Definition)


def write_definition(folder: Path, definition: Definition) -> Path:
    """Begin a series in a folder.

    Returns:
        The file.

    Raises:
        InputError: there is a series already.
        InfrastructureError: it cannot be written.
    """
    path = folder / NAME
    content = _DEFINITION.dump_python(definition, mode="json")
    text = _dump(content, readable=True)
    if any(separator in text for separator in "\x85\u2028\u2029"):
        # PyYAML writes these as they are and reads them as ends of lines
        text = _dump(content, readable=False)
    try:
        write_file(path, text.encode(), new=True)
    except FileExistsError:
        raise InputError(
            f"{path} exists: a series is made once; edit that file, or choose another name"
        ) from None
    return path


def _dump(content: dict[str, Any], *, readable: bool) -> str:
    text: str = yaml.safe_dump(
        content, sort_keys=False, allow_unicode=readable, width=100, default_flow_style=None
    )
    return text


def read_definition(folder: Path) -> Definition:
    """The series in a folder.

    Raises:
        PlanError: naming the file and the entry that cannot be used.
        InfrastructureError: it cannot be read.
    """
    path = folder / NAME
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(
            f"there is no {path}: make the series with cat-harness series init"
        ) from None
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror or error}") from error
    except yaml.MarkedYAMLError as error:
        # its own text quotes the line, which may hold a password
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PlanError(f"{path}, line {line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise PlanError(f"{path} must map entries to values, as in 'name: my-series'")
    try:
        definition = _DEFINITION.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = "is missing" if first["type"] == "missing" else first["msg"]
        entry = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"{path}, entry {entry!r}: {message}") from None
    except PlanError as error:
        raise PlanError(f"{path}, {error}") from None
    if unknown := _unknown(content, _DEFINITION.dump_python(definition, mode="json")):
        raise PlanError(f"{path}, entry {unknown!r}: is unknown; correct its name or remove it")
    return definition


def _unknown(given: Any, known: Any) -> str:
    """The first entry that reading has passed over, with those that it lies in."""
    match given, known:
        case dict(), dict():
            pairs = [(key, value, known.get(key)) for key, value in given.items()]
            for key in given:
                if key not in known:
                    return str(key)
        case list(), list():
            pairs = [(i, *both) for i, both in enumerate(zip(given, known, strict=False))]
        case _:
            return ""
    for key, below, there in pairs:
        if inner := _unknown(below, there):
            return f"{key}.{inner}"
    return ""


def check_banks(definition: Definition) -> Mapping[str, ItemBank]:
    """The banks of a series by name, as they were when it began.

    Raises:
        BankError: one is gone, or has changed since.
    """
    return {bank.name: check_bank(definition, bank) for bank in definition.banks}


def check_bank(definition: Definition, bank: SeriesBank) -> ItemBank:
    """One bank of a series; errors as :func:`check_banks`."""
    loaded = load_bank(bank.path)
    if loaded.hash != bank.hash:
        raise BankError(
            f"bank {bank.name!r} in {bank.path} has hash {loaded.hash}, but series "
            f"{definition.name!r} began with hash {bank.hash}: its abilities would no longer be "
            "comparable; restore the bank, or begin a new series with it"
        )
    return loaded
