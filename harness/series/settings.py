"""A series from the settings that a program names, with the defaults of the command line."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from harness.bank_files import find_bank, load_bank
from harness.errors import InputError, PlanError
from harness.events import Launch
from harness.schedule.alarms import parse_alarm
from harness.schedule.drift import Drift
from harness.schedule.policy import Budget, parse_policy
from harness.series.definition import Definition, SeriesBank
from harness.series.metrics import checked

ALARM: Final = "fall>0.25 within 5"
"""What is looked out for on every bank where nothing is named."""
SHARE: Final = 0.15
"""Of the whole benchmark at every checkpoint: the budget where none is named."""

_BUDGETS = ("max_tasks", "max_usd", "max_seconds")
_LAUNCH = {field.name for field in fields(Launch)} - {"bank"}
_OTHERS = {field.name for field in fields(Definition)} - {"name", "launch", "created"}


def define(
    name: str,
    banks: Sequence[str | Path],
    *,
    unit: int = 0,
    drift: Drift | None = None,
    alarms: Sequence[str] = (ALARM,),
    policy: str = "budget",
    checkpoints: int = 30,
    metrics: Sequence[str] = (),
    **others: Any,
) -> Definition:
    """What a series is.

    Args:
        name: of the series.
        banks: folders, or names of shipped ones.
        unit: training steps from one checkpoint to the next; 0 for those between the first two.
        drift: in place of the usual one with this unit.
        alarms: texts such as ``fall>0.25 within 5``, for all banks, or ``odcv: fall>0.5 since
            first``.
        policy: what is tested when.
        checkpoints: how many are expected.
        metrics: where figures are sent to.
        others: fields of ``Launch`` but its bank, and of ``Definition``.

    Raises:
        InputError: naming the setting that cannot be used.

    >>> series = define("s", ["safety-starter"], model="vllm/{path}", unit=500, seed=3)
    >>> series.launch.model, series.drift.unit, series.alarms
    ('vllm/{path}', 500, (('safety-starter', 'fall>0.25 within 5'),))
    """
    if unknown := sorted(others.keys() - _LAUNCH - _OTHERS):
        known = ", ".join(sorted(_OTHERS | _LAUNCH | {"unit"}))
        raise InputError(f"setting {unknown[0]!r} of series {name!r} is unknown; there are {known}")
    for setting, value in (("banks", banks), ("alarms", alarms), ("metrics", metrics)):
        if isinstance(value, str):
            raise InputError(f"setting {setting!r} of series {name!r} has to be a list of texts")
    loaded = [load_bank(bank) for bank in banks]
    if isinstance(parse_policy(policy), Budget) and not any(map(others.get, _BUDGETS)):
        tasks = sum(len(bank.items) for bank in loaded)
        others["max_tasks"] = math.ceil(SHARE * checkpoints * tasks)
    checked(tuple(metrics))
    own = all(any(source.task for source in bank.sources.values()) for bank in loaded)
    launch = {setting: others.pop(setting) for setting in _LAUNCH & others.keys()}
    try:
        return Definition(
            name=name,
            banks=tuple(
                SeriesBank(bank.name, str(find_bank(given).resolve()), bank.hash)
                for bank, given in zip(loaded, banks, strict=True)
            ),
            launch=_launch({"agent": "own" if own else "react", **launch}),
            policy=policy,
            alarms=_alarms(alarms, [bank.name for bank in loaded]),
            checkpoints=checkpoints,
            drift=drift or Drift(unit=unit),
            metrics=tuple(metrics),
            created=time.time(),
            **others,
        )
    except PlanError as error:
        raise PlanError(f"series {name!r}, {error}") from None


def difference(there: Definition, settings: Mapping[str, Any]) -> str:
    """The first setting that is not as a series has it, for people; empty if all are."""
    said = define(there.name, **settings)
    for name in settings:
        for old, new in ((there, said), (there.launch, said.launch), (there.drift, said.drift)):
            if hasattr(old, name) and getattr(old, name) != getattr(new, name):
                return f"{name} is {getattr(old, name)!r} there and {getattr(new, name)!r} here"
    return ""


def literals(arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Arguments by name in the form in which sessions keep them.

    >>> literals({"tensor_parallel_size": 2, "dtype": "auto"})
    (('tensor_parallel_size', '2'), ('dtype', "'auto'"))
    """
    return tuple((name, repr(value)) for name, value in arguments.items())


def absolute_agent(text: str) -> str:
    """An agent of a file by a path that holds from another folder too.

    >>> absolute_agent("persona:1.0"), absolute_agent("/agents/mine.py:solve")
    ('persona:1.0', '/agents/mine.py:solve')
    """
    file, colon, name = text.replace("@", ":").rpartition(":")
    return f"{Path(file).resolve()}{colon}{name}" if file.endswith(".py") else text


def _launch(given: Mapping[str, Any]) -> Launch:
    settings = dict(given)
    for name in ("agent_args", "model_args", "task_args"):
        if isinstance(settings.get(name), Mapping):
            settings[name] = literals(settings[name])
    if isinstance(settings.get("limits"), Mapping):
        settings["limits"] = tuple(settings["limits"].items())
    for name in ("environments", "model_cost"):
        if settings.get(name):
            settings[name] = str(Path(settings[name]).resolve())
    settings["agent"] = absolute_agent(settings["agent"])
    return Launch(bank="", **settings)


def _alarms(texts: Sequence[str], banks: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names of banks, and what is looked out for there."""
    found: dict[tuple[str, str], None] = {}
    for text in texts:
        bank, colon, alarm = text.rpartition(":")
        names = [bank.strip()] if colon else banks
        found.update(dict.fromkeys((name, str(parse_alarm(alarm))) for name in names))
    return tuple(found)
