"""Item banks: reading, checking, hashing, writing, and compiling onto ability nodes.

A bank is a folder: ``bank.yaml`` (name, abilities, categories, latent population, provenance),
``items.csv`` (one row an item) and, where it was calibrated, ``covariance.csv`` (how uncertain
the parameters are). ``docs/bank-format.md`` describes the three files.
"""

import csv
import hashlib
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness import irt
from harness.errors import BankError
from harness.irt import Array, Model, Table
from harness.shipped import shipped

_FREE_ASYMPTOTES: dict[Model, int] = {"3pl": 1, "4pl": 2}


@dataclass(frozen=True)
class Item:
    """One task with one scoring, and its parameters in slope-intercept form.

    ``slopes`` has one entry an ability, ``intercepts`` one a category above the lowest.
    ``covariance`` is that of :func:`parameter_names`, or None where the parameters count as known.
    """

    id: str
    model: Model
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    lower: float = 0.0
    upper: float = 1.0
    categories: str = "binary"
    """Name of the list of labels, see ``ItemBank.categories``."""
    covariance: tuple[tuple[float, ...], ...] | None = None
    usd: float = math.nan
    """Expected cost of one attempt in US dollars."""
    seconds: float = math.nan
    """Expected duration of one attempt in seconds."""
    environment: str = ""
    """Name or path of the task directory; empty means: the item's id."""
    tags: tuple[str, ...] = ()

    @property
    def difficulties(self) -> tuple[float, ...]:
        """Thresholds ``-d/|a|`` on the ability scale, ascending for graded items.

        >>> Item("i", "2pl", (2.0,), (1.0,)).difficulties
        (-0.5,)
        """
        norm = math.hypot(*self.slopes)
        return tuple(-d / norm for d in self.intercepts)


def parameter_names(item: Item) -> tuple[str, ...]:
    """Names of the unconstrained parameters whose covariance a bank stores, in order.

    >>> parameter_names(Item("i", "3pl", (1.0,), (0.0,), lower=0.2))
    ('log_a1', 'd1', 'logit_lower')
    """
    slope = "log_a" if len(item.slopes) == 1 else "a"
    asymptotes = ("logit_lower", "logit_upper")[: _FREE_ASYMPTOTES.get(item.model, 0)]
    return (
        *(f"{slope}{j + 1}" for j in range(len(item.slopes))),
        *(f"d{k + 1}" for k in range(len(item.intercepts))),
        *asymptotes,
    )


@dataclass(frozen=True)
class ItemBank:
    """A set of items on one scale.

    ``mean`` and ``sd`` describe the latent population that the scale comes from, one entry an
    ability; they are the default prior of a session.
    """

    name: str
    items: tuple[Item, ...]
    categories: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"binary": ("fail", "pass")}
    )
    """Label lists by name, lowest category first."""
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)
    description: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def hash(self) -> str:
        """12 hex digits over all that decides a session: parameters, uncertainty, categories."""
        content = {
            "items": [
                [
                    *(i.id, i.model, i.categories, i.environment, i.tags),
                    *(_floats(i.slopes), _floats(i.intercepts), _floats((i.lower, i.upper))),
                    i.covariance and [_floats(row) for row in i.covariance],
                    *(repr(float(i.usd)), repr(float(i.seconds))),
                ]
                for i in self.items
            ],
            "categories": {name: list(labels) for name, labels in self.categories.items()},
            "population": [_floats(self.mean), _floats(self.sd)],
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def table(self) -> Table:
        """The bank compiled onto its default nodes, parameter uncertainty folded in."""
        return compile_bank(self, irt.grid(self.mean, self.sd))

    def labels(self, item: str) -> tuple[str, ...]:
        """Category labels of an item, lowest first."""
        return self.categories[self[item].categories]

    def __getitem__(self, item: str) -> Item:
        return self.items[self.table.row(item)]


def compile_bank(bank: ItemBank, nodes: Array, *, uncertainty: bool = True) -> Table:
    """Compile a bank onto ability nodes.

    Args:
        nodes: ``(Q, D)``.
        uncertainty: average over each item's parameter uncertainty; False takes the point
            estimates as known.

    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> compile_bank(bank, np.zeros((1, 1))).p.tolist()
    [[[0.5], [0.5]]]
    """
    n, q = len(bank.items), len(nodes)
    k_max = max(len(item.intercepts) for item in bank.items) + 1
    log_p = np.full((n, k_max, q), -np.inf)
    info = np.zeros((n, q))
    # one vectorised call for each shape of item
    groups: dict[tuple[irt.Family, int, int], list[int]] = defaultdict(list)
    for row, item in enumerate(bank.items):
        size = len(item.covariance) if uncertainty and item.covariance is not None else 0
        groups[irt.family(item.model), len(item.intercepts), size].append(row)
    for (kind, steps, size), rows in groups.items():
        items = [bank.items[row] for row in rows]
        slopes = np.array([item.slopes for item in items])
        intercepts = np.array([item.intercepts for item in items])
        lower = np.array([item.lower for item in items])
        upper = np.array([item.upper for item in items])
        if size:
            covariance = np.array([item.covariance for item in items])
            log_probability, dp = irt.predictive(
                kind, slopes, intercepts, lower, upper, covariance, nodes
            )
        else:
            log_probability, dp = irt.response(kind, slopes, intercepts, lower, upper, nodes)
        log_p[rows, : steps + 1] = log_probability
        info[rows] = irt.information(log_probability, dp, slopes)
    intercepts = np.full((n, k_max - 1), np.nan)
    for row, item in enumerate(bank.items):
        intercepts[row, : len(item.intercepts)] = item.intercepts
    return Table(
        ids=tuple(item.id for item in bank.items),
        nodes=nodes,
        log_p=log_p,
        information=info,
        n_categories=np.array([len(item.intercepts) + 1 for item in bank.items]),
        slopes=np.array([item.slopes for item in bank.items]),
        intercepts=intercepts,
        lower=np.array([item.lower for item in bank.items]),
        upper=np.array([item.upper for item in bank.items]),
        usd=np.array([item.usd for item in bank.items]),
        seconds=np.array([item.seconds for item in bank.items]),
    )


# --- checking ---------------------------------------------------------------------------------


def _check(bank: ItemBank) -> None:
    if not bank.items:
        raise BankError(f"bank {bank.name!r} has no items: add at least one row to items.csv")
    finite = all(math.isfinite(x) for x in (*bank.mean, *bank.sd))
    if len(bank.mean) != len(bank.sd) or not finite or not all(s > 0 for s in bank.sd):
        raise BankError(f"bank {bank.name!r}: population needs one mean and one sd > 0 an ability")
    seen: set[str] = set()
    for row, item in enumerate(bank.items, start=1):
        if not item.id:
            raise BankError(f"bank {bank.name!r}: item {row} has no id; every item needs one")
        if item.id in seen:
            raise BankError(
                f"bank {bank.name!r}: item id {item.id!r} occurs twice; ids must be unique"
            )
        seen.add(item.id)
        problem = _problem(item, bank)
        if problem:
            raise BankError(f"bank {bank.name!r}, item {item.id!r}: {problem}")


def _problem(item: Item, bank: ItemBank) -> str | None:
    numbers = (*item.slopes, *item.intercepts, item.lower, item.upper)
    if not all(math.isfinite(x) for x in numbers):
        return "a parameter is NaN or infinite; every slope, intercept and asymptote needs a number"
    if len(item.slopes) != len(bank.mean):
        return f"{len(item.slopes)} slopes, but the bank has {len(bank.mean)} abilities"
    if len(item.slopes) == 1 and item.slopes[0] <= 0:
        return (
            f"discrimination a1 = {item.slopes[0]:g} is not positive; an item that abler agents "
            "fail more often belongs out of the bank, or its categories are reversed"
        )
    if not any(item.slopes):
        return "all slopes are 0: the item tells nothing about ability"
    if item.categories not in bank.categories:
        known = ", ".join(sorted(bank.categories))
        return f"unknown categories {item.categories!r}; bank.yaml defines: {known}"
    labels = bank.categories[item.categories]
    if len(labels) != len(item.intercepts) + 1:
        return (
            f"{len(item.intercepts)} intercepts make {len(item.intercepts) + 1} categories, but "
            f"{item.categories!r} has {len(labels)} labels: {', '.join(labels)}"
        )
    kind = irt.family(item.model)
    if kind == "binary" and len(item.intercepts) != 1:
        return f"a {item.model} item has exactly one intercept, not {len(item.intercepts)}"
    if kind == "graded" and any(
        b >= a for a, b in zip(item.intercepts, item.intercepts[1:], strict=False)
    ):
        return (
            f"thresholds out of order: intercepts {_plain(item.intercepts)} must decrease "
            "(difficulties must increase) from category to category"
        )
    if not 0 <= item.lower < item.upper <= 1:
        return f"asymptotes must be 0 <= lower < upper <= 1, not {item.lower:g} and {item.upper:g}"
    return _covariance_problem(item)


def _covariance_problem(item: Item) -> str | None:
    if item.covariance is None:
        return None
    matrix = np.array(item.covariance)
    size = len(parameter_names(item))
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        return f"its covariance must be a {size} × {size} matrix of numbers"
    if not np.allclose(matrix, matrix.T):
        return "its covariance is not symmetric"
    if np.linalg.eigvalsh(matrix)[0] < -1e-8 * max(1.0, float(np.trace(matrix))):
        return "its covariance is not positive semidefinite; calibrate the bank again"
    return None


def _floats(numbers: Iterable[float]) -> list[float]:
    # 1 and 1.0 are one number, and hash alike
    return [float(x) for x in numbers]


def _plain(numbers: Iterable[float]) -> str:
    return ", ".join(f"{x:g}" for x in numbers)


# --- files ------------------------------------------------------------------------------------


class _Population(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)


class _BankFile(BaseModel):
    """bank.yaml, checked at the edge."""

    model_config = ConfigDict(extra="forbid")
    name: str
    description: str = ""
    categories: dict[str, tuple[str, ...]] = {"binary": ("fail", "pass")}
    population: _Population = Field(default_factory=_Population)
    provenance: dict[str, Any] = Field(default_factory=dict)

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
    for folder in (given, shipped("item_banks") / given.name):
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
    items = tuple(_read_items(path, len(head.population.mean)))
    try:
        known = ItemBank(
            head.name,
            items,
            head.categories,
            head.population.mean,
            head.population.sd,
            head.description,
            head.provenance,
        )
        path = folder / "covariance.csv"
        covariances = _read_covariances(path)
        return replace(known, items=tuple(_with_covariances(items, covariances)))
    except BankError as error:
        raise BankError(f"{path}: {error}") from None


_Covariances = dict[str, dict[tuple[str, str], float]]


def _read_items(path: Path, dimensions: int) -> Iterator[Item]:
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
                yield _read_item(row, slopes)
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
        categories=row.get("categories") or "binary",
        usd=_number(row.get("usd") or "nan", "usd"),
        seconds=_number(row.get("seconds") or "nan", "seconds"),
        environment=row.get("environment") or "",
        tags=tuple(tag for tag in (row.get("tags") or "").split(";") if tag),
    )


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(f"column {column!r} holds {text!r}, which is not a number") from None


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
    """Write a bank as three files; an existing bank there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "name": bank.name,
        "description": bank.description,
        "categories": {name: list(labels) for name, labels in bank.categories.items()},
        "population": {"mean": list(bank.mean), "sd": list(bank.sd)},
        "provenance": dict(bank.provenance),
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=100)
    (folder / "bank.yaml").write_text(text, encoding="utf-8")
    steps = max(len(item.intercepts) for item in bank.items)
    columns = ["item", "model", "categories", *(f"a{j + 1}" for j in range(len(bank.mean)))]
    columns += [*(f"d{k + 1}" for k in range(steps)), "lower", "upper", "usd", "seconds"]
    rows = [[*columns, "environment", "tags"]]
    for item in bank.items:
        rows.append(
            [item.id, item.model, item.categories, *map(_digits, item.slopes)]
            + [*map(_digits, item.intercepts), *[""] * (steps - len(item.intercepts))]
            + [_digits(x) for x in (item.lower, item.upper, item.usd, item.seconds)]
            + [item.environment, ";".join(item.tags)]
        )
    (folder / "items.csv").write_text(_csv(rows), encoding="utf-8")
    lower_triangles = [["item", "row", "column", "value"]]
    for item in bank.items:
        names = parameter_names(item)
        for i, entries in enumerate(item.covariance or ()):
            for j, value in enumerate(entries[: i + 1]):
                lower_triangles.append([item.id, names[i], names[j], _digits(value)])
    path = folder / "covariance.csv"
    if len(lower_triangles) > 1:
        path.write_text(_csv(lower_triangles), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _digits(number: float) -> str:
    return "" if math.isnan(number) else repr(float(number))


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
