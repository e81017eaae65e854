"""Item banks on disk: ``bank.yaml``, ``items.csv``, ``covariance.csv`` and ``agents.csv``.

``docs/bank-format.md`` describes the files.
"""

import csv
import io
import math
import os
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.bank import Calibrant, Item, ItemBank, Source, parameter_names
from harness.errors import BankError
from harness.irt import Model
from harness.shipped import shipped


class _Population(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)
    correlation: tuple[tuple[float, ...], ...] = ()
    specific_sd: float = 0.0
    common_sd: float = 0.0


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid")
    task: str = ""
    args: dict[str, Any] = Field(default_factory=dict)
    score: str = ""
    environments: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> "_Source":
        if bool(self.task) == bool(self.environments):
            raise ValueError("a source has either task or environments")
        if self.environments and (self.args or self.score):
            raise ValueError("args and score belong to a task; task directories state their own")
        return self


class _BankFile(BaseModel):
    """bank.yaml, checked at the edge."""

    model_config = ConfigDict(extra="forbid")
    name: str
    description: str = ""
    categories: dict[str, tuple[str, ...]] = {"binary": ("fail", "pass")}
    trials: int = 1
    population: _Population = Field(default_factory=_Population)
    provenance: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, _Source] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _two_labels(self) -> "_BankFile":
        for name, labels in self.categories.items():
            if len(labels) < 2:
                raise ValueError(f"categories {name!r} needs at least two labels")
        return self


def find_bank(bank: str | Path) -> Path:
    """The folder of a bank given by path, or by the name of one that is shipped.

    Raises:
        BankError: there is no such bank; the message lists those that are shipped.
    """
    given = Path(bank)
    places = [given]
    if str(given.parent) in (".", "item_banks"):
        places.append(shipped("item_banks") / given.name)
    for folder in places:
        if (folder / "bank.yaml").is_file():
            return folder
    names = sorted(p.parent.name for p in shipped("item_banks").glob("*/bank.yaml"))
    raise BankError(
        f"no item bank at {given} (a bank is a folder with bank.yaml and items.csv); "
        f"shipped banks: {', '.join(names) or 'none'}"
    )


def load_bank(bank: str | Path) -> ItemBank:
    """Read and check a bank.

    Raises:
        BankError: naming the file and the row or item.
    """
    folder = find_bank(bank)
    path = folder / "bank.yaml"
    try:
        head = _BankFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise BankError(f"{path} is not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BankError(f"{path}: {where}: {first['msg']}") from None
    path = folder / "items.csv"
    items = tuple(_read_items(path, len(head.population.mean), head.sources))
    try:
        known = ItemBank(
            head.name,
            # what a predicted item must have is in the other file
            tuple(replace(item, predicted=False) for item in items),
            head.categories,
            head.population.mean,
            head.population.sd,
            head.description,
            head.provenance,
            {
                name: Source(**source.model_dump(), folder=folder)
                for name, source in head.sources.items()
            },
            head.population.correlation,
            tuple(_read_calibrants(folder / "agents.csv", len(head.population.mean))),
            head.trials,
            head.population.specific_sd,
            head.population.common_sd,
        )
        path = folder / "covariance.csv"
        covariances = _read_covariances(path)
        return replace(known, items=tuple(_with_covariances(items, covariances)))
    except BankError as error:
        raise BankError(f"{path}: {error}") from None


_Covariances = dict[str, dict[tuple[str, str], float]]


def _read_items(path: Path, dimensions: int, sources: Container[str]) -> Iterator[Item]:
    if not path.is_file():
        raise BankError(f"{path} is missing: a bank needs items.csv beside bank.yaml")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        slopes = [f"a{j + 1}" for j in range(dimensions)]
        for column in ("item", "model", *slopes, "d1"):
            if column not in columns:
                raise BankError(
                    f"{path}: column {column!r} is missing; it has: {', '.join(columns) or 'none'}"
                )
        for line, row in enumerate(reader, start=2):
            try:
                item = _read_item(row, slopes)
                if item.source and item.source not in sources:
                    raise ValueError(f"bank.yaml defines no source {item.source!r}")
                yield item
            except ValueError as error:
                raise BankError(f"{path}, line {line}, item {row['item']!r}: {error}") from None


def _read_item(row: dict[str, str], slopes: list[str]) -> Item:
    model = (row["model"] or "").strip().lower()
    if model not in get_args(Model):
        raise ValueError(f"unknown model {row['model']!r}; use one of {', '.join(get_args(Model))}")
    intercepts: list[float] = []
    while (text := row.get(f"d{len(intercepts) + 1}") or "") != "":
        intercepts.append(_number(text, f"d{len(intercepts) + 1}"))
    return Item(
        id=row["item"] or "",
        model=model,  # type: ignore[arg-type]
        slopes=tuple(_number(row[name], name) for name in slopes),
        intercepts=tuple(intercepts),
        lower=_number(row.get("lower") or "0", "lower"),
        upper=_number(row.get("upper") or "1", "upper"),
        effect_sd=_number(row.get("effect_sd") or "0", "effect_sd"),
        categories=row.get("categories") or "binary",
        usd=_number(row.get("usd") or "nan", "usd"),
        seconds=_number(row.get("seconds") or "nan", "seconds"),
        environment=row.get("environment") or "",
        tags=tuple(tag for tag in (row.get("tags") or "").split(";") if tag),
        source=row.get("source") or "",
        predicted=_yes(row.get("predicted") or "", "predicted"),
    )


def _yes(text: str, column: str) -> bool:
    if text not in ("", "yes"):
        raise ValueError(f"column {column!r} holds {text!r}; write yes, or leave it empty")
    return text == "yes"


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(f"column {column!r} holds {text!r}, which is not a number") from None


_ABOUT_AGENTS = ("date", "llm", "scaffold")
"""Columns of agents.csv that are there only where they are known of some agent."""


def _read_calibrants(path: Path, dimensions: int) -> Iterator[Calibrant]:
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                ability, sd = (
                    tuple(float(row[f"{name}{j + 1}"]) for j in range(dimensions))
                    for name in ("ability", "sd")
                )
                about = [row.get(name) or "" for name in _ABOUT_AGENTS]
                yield Calibrant(row["agent"], ability, sd, *about)
            except (KeyError, TypeError, ValueError):
                raise BankError(
                    f"{path}, line {line}: needs agent and a number in ability1, sd1 and so on"
                ) from None


def _read_covariances(path: Path) -> _Covariances:
    found: _Covariances = defaultdict(dict)
    if path.is_file():
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                try:
                    found[row["item"]][row["row"], row["column"]] = float(row["value"])
                except (KeyError, TypeError, ValueError):
                    raise BankError(
                        f"line {line} needs item, row, column and a number in value"
                    ) from None
    return dict(found)


def _with_covariances(items: tuple[Item, ...], found: _Covariances) -> Iterator[Item]:
    unknown = found.keys() - {item.id for item in items}
    if unknown:
        raise BankError(
            f"item {min(unknown)!r} is not in items.csv; "
            "remove its rows or calibrate the bank again"
        )
    for item in items:
        entries = found.get(item.id)
        if entries is None:
            yield item
            continue
        names = parameter_names(item)
        try:
            matrix = tuple(
                tuple(entries[(a, b) if (a, b) in entries else (b, a)] for b in names)
                for a in names
            )
        except KeyError as missing:
            raise BankError(f"item {item.id!r} lacks the entry {missing.args[0]}") from None
        yield replace(item, covariance=matrix)


def save_bank(bank: ItemBank, folder: Path) -> None:
    """Write a bank as a folder of up to four files; an existing bank there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    head: dict[str, Any] = {
        "name": bank.name,
        "description": bank.description,
        "categories": {name: list(labels) for name, labels in bank.categories.items()},
        **({"trials": bank.trials} if bank.trials > 1 else {}),
        "population": {"mean": list(bank.mean), "sd": list(bank.sd)}
        | ({"correlation": [list(row) for row in bank.correlation]} if bank.correlation else {})
        | ({"specific_sd": bank.specific_sd} if bank.specific_sd else {})
        | ({"common_sd": bank.common_sd} if bank.common_sd else {}),
        "provenance": dict(bank.provenance),
    }
    if bank.sources:
        head["sources"] = {name: _entry(s, folder) for name, s in bank.sources.items()}
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=100)
    (folder / "bank.yaml").write_text(text, encoding="utf-8")
    steps = max(len(item.intercepts) for item in bank.items)
    columns = ["item", "model", "categories", *(f"a{j + 1}" for j in range(len(bank.mean)))]
    effects = any(item.effect_sd for item in bank.items)
    predicted = any(item.predicted for item in bank.items)
    columns += [*(f"d{k + 1}" for k in range(steps)), "lower", "upper"]
    columns += [*(["effect_sd"] if effects else []), *(["predicted"] if predicted else [])]
    columns += ["usd", "seconds"]
    columns += ["environment", "tags", *(["source"] if bank.sources else [])]
    rows = [columns]
    for item in bank.items:
        rows.append(
            [item.id, item.model, item.categories, *map(_digits, item.slopes)]
            + [*map(_digits, item.intercepts), *[""] * (steps - len(item.intercepts))]
            + [_digits(x) for x in (item.lower, item.upper, *([item.effect_sd] * effects))]
            + ["yes" * item.predicted] * predicted
            + [_digits(item.usd), _digits(item.seconds)]
            + [item.environment, ";".join(item.tags), *([item.source] if bank.sources else [])]
        )
    (folder / "items.csv").write_text(_csv(rows), encoding="utf-8")
    lower_triangles = [["item", "row", "column", "value"]]
    for item in bank.items:
        names = parameter_names(item)
        for i, entries in enumerate(item.covariance or ()):
            for j, value in enumerate(entries[: i + 1]):
                lower_triangles.append([item.id, names[i], names[j], _digits(value)])
    _write(folder / "covariance.csv", lower_triangles)
    save_calibrants(bank, folder)


def save_calibrants(bank: ItemBank, folder: Path) -> None:
    """Write the calibrating agents of a bank, and nothing else of it."""
    abilities = range(1, len(bank.mean) + 1)
    known = [name for name in _ABOUT_AGENTS if any(getattr(c, name) for c in bank.calibrants)]
    rows = [["agent", *(f"{name}{j}" for name in ("ability", "sd") for j in abilities), *known]]
    for calibrant in bank.calibrants:
        row = [calibrant.agent, *map(_digits, calibrant.ability + calibrant.sd)]
        rows.append(row + [getattr(calibrant, name) for name in known])
    _write(folder / "agents.csv", rows)


def _write(path: Path, rows: list[list[str]]) -> None:
    """A table; without rows below its heads there is no file."""
    if len(rows) > 1:
        path.write_text(_csv(rows), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _entry(source: Source, folder: Path) -> dict[str, Any]:
    """A source for bank.yaml; relative paths stay relative, to the folder that it goes to."""
    entry = {
        "task": source.task,
        "args": dict(source.args),
        "score": source.score,
        "environments": source.environments,
    }
    key = "task" if source.task else "environments"
    if source.location != entry[key] and not Path(str(entry[key])).is_absolute():
        entry[key] = Path(os.path.relpath(source.location, folder.resolve())).as_posix()
    return {name: value for name, value in entry.items() if value}


def _digits(number: float) -> str:
    return "" if math.isnan(number) else repr(float(number))


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
