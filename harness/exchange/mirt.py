"""The coefficients of mirt (Chalmers 2012), the R package, as CSV.

The table is that of ``coef(fit, simplify = TRUE)$items``: slopes ``a1``, ``a2``, …; then ``d`` and
the asymptotes ``g`` and ``u`` of a binary item, ``d1``, ``d2``, … of a graded one, or ``ak0``, …
``d0``, … of generalized partial credit, whose log-numerators are ``ak_k a·θ + d_k``, so that its
``d_k`` are the sums of our steps. What an item does not have is blank or NA. ``SE_`` and the name
of one of these columns holds its standard error. A row ``GroupPars`` holds the population:
``MEAN_1``, …, ``COV_11``, ``COV_21``, … as in ``coef(fit)$GroupPars``.
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness import irt
from harness.bank import Item, ItemBank, parameter_names
from harness.errors import BankError
from harness.exchange.found import Found, Population, check_abilities
from harness.irt import Array, Model

_COLUMN = re.compile(r"item|(SE_)?(a[1-9]|ak\d+|d\d*|[gu])|MEAN_[1-9]|COV_[1-9][1-9]")
_BLANK = ("", "NA")
_GROUP = "GroupPars"

_Row = Mapping[str, float]
"""The numbers of a row by column; blank ones are not there."""


def read_mirt(text: str) -> Found:
    """Items and population of a table of mirt's coefficients.

    Raises:
        BankError: naming the line and the item.
    """
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError):
        raise BankError("this is neither a CSV with a header nor JSON") from None
    # the name that R leaves blank is that of the rows
    columns = [re.sub("^se_", "SE_", name.strip()) for name in ["item", *header[1:]]]
    if header[:1] not in ([""], ["item"]):
        raise BankError(f"line 1: the first column must be 'item', not {header[0]!r}")
    for name in columns:
        if not _COLUMN.fullmatch(name) or columns.count(name) > 1:
            raise BankError(
                f"line 1: column {name!r} is unknown, or there twice; mirt's are a1, a2, …, d, g, "
                "u, d0, d1, …, ak0, ak1, … and SE_ before one of these. Write coef(fit, "
                "simplify = TRUE)$items, without IRTpars"
            )
    abilities = sum(re.fullmatch("a[1-9]", name) is not None for name in columns)
    check_abilities(abilities)
    items = []
    population = None
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        try:
            row = _numbers(columns, line)
            if line[0] == _GROUP:
                population = _population(row, abilities)
            else:
                items.append(_item(line[0], row, abilities))
        except ValueError as error:
            raise BankError(f"line {number}, item {line[0]!r}: {error}") from None
    if not items:
        raise BankError("the table has no items")
    return Found("mirt", _shared_slopes(items), population)


def _numbers(columns: Sequence[str], line: Sequence[str]) -> _Row:
    if len(line) != len(columns):
        raise ValueError(f"{len(line)} entries in {len(columns)} columns")
    row = {}
    for column, text in zip(columns[1:], line[1:], strict=True):
        if text.strip() in _BLANK:
            continue
        try:
            row[column] = float(text)
        except ValueError:
            raise ValueError(f"column {column!r} holds {text!r}, which is not a number") from None
        if not math.isfinite(row[column]):
            raise ValueError(f"column {column!r} holds {text!r}, which is not finite")
    return row


def _item(name: str, row: _Row, abilities: int) -> Item:
    slopes = _series(row, "a", 1)
    if len(slopes) != abilities:
        raise ValueError(f"{len(slopes)} slopes for {abilities} abilities")
    scores = _series(row, "ak", 0)
    intercepts = _series(row, "d", 0 if "d0" in row else 1)
    lower, upper = row.get("g", 0.0), row.get("u", 1.0)
    if "d" in row:
        if scores or intercepts:
            raise ValueError("it has d, as binary items have, and d1 or ak0, as others have")
        model: Model = "4pl" if upper != 1 else "3pl" if lower != 0 else "2pl"
        return _with_errors(Item(name, model, slopes, (row["d"],), lower, upper), row)
    if lower != 0 or upper != 1:
        raise ValueError("it has an asymptote g or u, but no d: only binary items have asymptotes")
    if not scores:
        if not intercepts or "d0" in row:
            raise ValueError("it needs d (binary), d1, … (graded), or ak0, … (partial credit)")
        return _with_errors(Item(name, "grm", slopes, intercepts), row)
    if scores != tuple(range(len(scores))):
        raise ValueError(
            f"its ak0, … are {', '.join(f'{x:g}' for x in scores)}, not 0, 1, 2, …: that is a "
            "nominal item, and a bank holds ordered categories only"
        )
    sums = intercepts if "d0" in row else (0.0, *intercepts)
    if len(sums) != len(scores):
        raise ValueError(f"it has {len(scores)} scores ak0, …, but {len(sums)} intercepts d0, …")
    return _with_errors(Item(name, "gpcm", slopes, tuple(np.diff(sums).tolist())), row)


def _series(row: _Row, prefix: str, first: int) -> tuple[float, ...]:
    """Values of numbered columns, without gaps."""
    found = sorted(int(c.removeprefix(prefix)) for c in row if re.fullmatch(rf"{prefix}\d+", c))
    for number, there in enumerate(found, start=first):
        if number != there:
            raise ValueError(f"{prefix}{number} is blank, but {prefix}{there} is not")
    return tuple(row[f"{prefix}{number}"] for number in found)


def _shared_slopes(items: list[Item]) -> tuple[Item, ...]:
    """Items that all have the same slope, under the name of the model where they must."""
    names: dict[Model, Model] = {"2pl": "1pl", "gpcm": "pcm"}
    for free, shared in names.items():
        slopes = [item.slopes for item in items if item.model == free]
        if len(slopes) > 1 and len(set(slopes)) == 1:
            items = [replace(i, model=shared) if i.model == free else i for i in items]
    return tuple(items)


def _with_errors(item: Item, row: _Row) -> Item:
    """The item with the covariance that its standard errors make; without any, as it is."""
    if not any(column.startswith("SE_") for column in row):
        return item
    errors = np.array([row.get(f"SE_{name}", 0.0) for name in _names(item)])
    if (errors < 0).any():
        raise ValueError("a standard error is negative")
    # the pseudoinverse leaves an asymptote at 0 or 1, which has no logit, where it is
    inverse = np.linalg.pinv(_jacobian(item))
    covariance = (inverse * errors**2) @ inverse.T
    return replace(item, covariance=tuple(map(tuple, covariance.tolist())))


def _names(item: Item) -> list[str]:
    """mirt's names of what :func:`parameter_names` lists."""
    steps = range(1, len(item.intercepts) + 1)
    binary = irt.family(item.model) == "binary"
    names = [f"a{j + 1}" for j in range(len(item.slopes))]
    names += ["d"] if binary else [f"d{k}" for k in steps]
    return [*names, "g", "u"][: len(parameter_names(item))]


def _jacobian(item: Item) -> Array:
    """``(p, p)`` derivatives of mirt's parameters with respect to :func:`parameter_names`."""
    a, k = len(item.slopes), len(item.intercepts)
    jacobian = np.eye(a + k + 2)
    if a == 1:
        jacobian[0, 0] = item.slopes[0]
    if irt.family(item.model) == "partial_credit":
        jacobian[a : a + k, a : a + k] = np.tril(np.ones((k, k)))
    for place, asymptote in enumerate((item.lower, item.upper), start=a + k):
        jacobian[place, place] = asymptote * (1 - asymptote)
    size = len(parameter_names(item))
    return jacobian[:size, :size]


def _population(row: _Row, abilities: int) -> Population:
    axes = range(1, abilities + 1)
    for i in axes:
        if row.get(f"COV_{i}{i}", 0.0) <= 0:
            raise ValueError(f"the variance of ability COV_{i}{i} is missing or not positive")
    sd = [math.sqrt(row[f"COV_{i}{i}"]) for i in axes]
    correlation = np.eye(abilities)
    for i in axes:
        for j in range(1, i):
            shared = row.get(f"COV_{i}{j}", 0.0) / (sd[i - 1] * sd[j - 1])
            correlation[i - 1, j - 1] = correlation[j - 1, i - 1] = shared
    independent = (correlation == np.eye(abilities)).all()
    return Population(
        tuple(row.get(f"MEAN_{i}", 0.0) for i in axes),
        tuple(sd),
        () if independent else tuple(map(tuple, correlation.tolist())),
    )


def mirt_text(bank: ItemBank) -> str:
    """A bank as a table of mirt's coefficients.

    The row ``GroupPars`` is written where the population is not standard normal.
    """
    rows = {item.id: _item_row(item) for item in bank.items}
    if _GROUP in rows:
        raise BankError(f"item {_GROUP!r} has the name of mirt's row of the population; rename it")
    if population := _population_row(bank):
        rows[_GROUP] = population
    k = range(max(len(item.intercepts) for item in bank.items) + 1)
    axes = range(1, len(bank.mean) + 1)
    order = [f"a{j}" for j in axes] + ["d", "g", "u"]
    order += [f"ak{j}" for j in k] + [f"d{j}" for j in k]
    order += [f"SE_{name}" for name in order] + [f"MEAN_{j}" for j in axes]
    order += [f"COV_{i}{j}" for i in axes for j in range(1, i + 1)]
    columns = [column for column in order if any(column in row for row in rows.values())]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", *columns])
    for name, row in rows.items():
        writer.writerow([name, *(repr(row[c]) if c in row else "" for c in columns)])
    return text.getvalue()


def _item_row(item: Item) -> _Row:
    row = {f"a{j}": float(slope) for j, slope in enumerate(item.slopes, start=1)}
    steps = [float(d) for d in item.intercepts]
    match irt.family(item.model):
        case "binary":
            row |= {"d": steps[0], "g": float(item.lower), "u": float(item.upper)}
        case "graded":
            row |= {f"d{k}": d for k, d in enumerate(steps, start=1)}
        case "partial_credit":
            sums = np.cumsum([0.0, *steps]).tolist()
            row |= {f"ak{k}": float(k) for k in range(len(sums))}
            row |= {f"d{k}": d for k, d in enumerate(sums)}
    if item.covariance is not None:
        jacobian = _jacobian(item)
        variances = np.diag(jacobian @ np.array(item.covariance) @ jacobian.T)
        errors = np.sqrt(np.maximum(variances, 0.0)).tolist()
        row |= {f"SE_{name}": error for name, error in zip(_names(item), errors, strict=True)}
    return row


def _population_row(bank: ItemBank) -> _Row:
    """Means and covariances of ability; nothing for a standard normal, which mirt takes for it."""
    identity = np.eye(len(bank.mean))
    covariance = np.outer(bank.sd, bank.sd) * (bank.correlation or identity)
    if not any(bank.mean) and (covariance == identity).all():
        return {}
    row = {f"MEAN_{i}": float(mean) for i, mean in enumerate(bank.mean, start=1)}
    for (i, j), value in np.ndenumerate(covariance):
        if j <= i:
            row[f"COV_{i + 1}{j + 1}"] = float(value)
    return row
