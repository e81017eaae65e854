"""From parameters to a bank: items, label lists, provenance."""

import importlib.metadata
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from harness.bank import Item
from harness.calibrate.shapes import Group, natural
from harness.irt import Array, Model
from harness.responses import Responses

Population = Literal["real agents", "simulated personas"]


def bank_items(
    responses: Responses,
    model: Model,
    groups: Sequence[Group],
    parameters: Sequence[Array],
    uncertainty: Sequence[Array],
    categories: Sequence[str],
) -> list[Item]:
    """Items in the order of the responses; ``categories`` names the label list of each."""
    usd, seconds = (_mean_by_item(responses, cost) for cost in (responses.usd, responses.seconds))
    items: dict[int, Item] = {}
    for group, x, covariance in zip(groups, parameters, uncertainty, strict=True):
        form = natural(group, x)
        for row, item in enumerate(group.items):
            items[int(item)] = Item(
                id=responses.items[item],
                model=model,
                slopes=_digits(form.slopes[row]),
                intercepts=_digits(form.intercepts[row]),
                lower=_digits(form.lower[row : row + 1])[0],
                upper=_digits(form.upper[row : row + 1])[0],
                categories=categories[item],
                covariance=tuple(_digits(line) for line in covariance[row]),
                usd=usd[item],
                seconds=seconds[item],
            )
    return [items[position] for position in sorted(items)]


def _digits(numbers: Array) -> tuple[float, ...]:
    """Six significant digits: far below any standard error, and readable in a diff."""
    return tuple(float(f"{x:.6g}") for x in numbers)


def _mean_by_item(responses: Responses, cost: Array) -> list[float]:
    known = np.isfinite(cost)
    n = len(responses.items)
    total = np.bincount(responses.item[known], cost[known], n)
    times = np.bincount(responses.item[known], minlength=n)
    return [float(f"{t / k:.6g}") if k else math.nan for t, k in zip(total, times, strict=True)]


def bank_categories(responses: Responses) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The bank's lists of labels by name, and the name of each item's list."""
    names: dict[tuple[str, ...], str] = {}
    of_item = []
    for position, k in enumerate(responses.n_categories):
        labels = responses.labels[position] if responses.labels else ()
        if not labels:
            labels = ("fail", "pass") if k == 2 else tuple(str(c) for c in range(k))
        default = "binary" if labels == ("fail", "pass") else f"ordinal-{len(labels)}"
        taken = set(names.values()) - ({names[labels]} if labels in names else set())
        while default in taken:
            default += "b"
        of_item.append(names.setdefault(labels, default))
    return {name: labels for labels, name in names.items()}, of_item


def bank_provenance(
    responses: Responses,
    model: Model,
    population: Population,
    single: Sequence[str],
    unobserved: Sequence[str],
) -> dict[str, Any]:
    """Where a bank comes from, in plain values for YAML."""
    try:
        version = importlib.metadata.version("cat-harness")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    dates = sorted(date for date in responses.date if date)
    return {
        "program": f"cat-harness {version}",
        "model": model,
        "population": population,
        "source": responses.source,
        "source_sha256": responses.sha256,
        "agents": len(responses.agents),
        "agent_dates": [dates[0], dates[-1]] if dates else [],
        "items": len(responses.items),
        "responses": len(responses.category),
        "missing_share": round(responses.missing, 4),
        "items_placed_by_the_priors_alone": list(single),
        "items_without_outcomes": list(unobserved),
    }
