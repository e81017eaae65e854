"""From parameters to a bank: items, label lists, agents, provenance."""

import importlib.metadata
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from harness.bank import Calibrant, Item
from harness.calibrate.blocks import Block, natural
from harness.irt import Array
from harness.responses import Responses

Population = Literal["real agents", "simulated personas"]


def bank_items(
    responses: Responses,
    blocks: Sequence[Block],
    parameters: Sequence[Array],
    uncertainty: Sequence[Array],
    categories: Sequence[str],
    turn: Array,
) -> list[Item]:
    """Items in the order of the responses; ``categories`` names the label list of each.

    Args:
        turn: ``(D, D)`` that slopes are multiplied with from the right: a rotation of the axes.
    """
    usd, seconds = (_mean_by_item(responses, cost) for cost in (responses.usd, responses.seconds))
    items: dict[int, Item] = {}
    for block, x, covariance in zip(blocks, parameters, uncertainty, strict=True):
        form = natural(block, x)
        slopes = form.slopes @ turn
        whole = _with_all_slopes(block, covariance, turn)
        for row, item in enumerate(block.items):
            items[int(item)] = Item(
                id=responses.items[item],
                model=block.model,
                slopes=_digits(slopes[row]),
                intercepts=_digits(form.intercepts[row]),
                lower=_digits(form.lower[row : row + 1])[0],
                upper=_digits(form.upper[row : row + 1])[0],
                categories=categories[item],
                covariance=tuple(_digits(line) for line in whole[row]),
                effect_sd=_digits(form.effect_sd[row : row + 1])[0],
                usd=usd[item],
                seconds=seconds[item],
            )
    return [items[position] for position in sorted(items)]


def _with_all_slopes(block: Block, covariance: Array, turn: Array) -> Array:
    """Covariance in the order of a bank: all slopes, also those that are 0; no effect."""
    d, loads = block.abilities, list(block.loads)
    size = block.size - block.effect
    rest = size - len(loads)
    onto = np.zeros((d + rest, size))
    onto[loads, range(len(loads))] = 1.0
    onto[d:, len(loads) :] = np.eye(rest)
    turned = np.eye(d + rest)
    turned[:d, :d] = turn.T
    onto = turned @ onto
    own = covariance[:, :size, :size]
    # what is certain must not become indefinite when it is written with six digits
    values, vectors = np.linalg.eigh((own + own.swapaxes(1, 2)) / 2)
    floor = 1e-5 * np.maximum(values[:, -1:], 1e-6)
    own = (vectors * np.maximum(values, floor)[:, None, :]) @ vectors.swapaxes(1, 2)
    return np.asarray(onto @ own @ onto.T)


def _digits(numbers: Array) -> tuple[float, ...]:
    """Six significant digits: far below any standard error, and readable in a diff."""
    return tuple(float(f"{x:.6g}") for x in numbers)


def calibrants(
    agents: Sequence[str], ability: Array, sd: Array, *about: Sequence[str]
) -> tuple[Calibrant, ...]:
    """The agents with their abilities ``(A, D)``, and their dates, models and scaffolds."""
    rounded = zip(ability.round(4).tolist(), sd.round(4).tolist(), strict=True)
    return tuple(
        Calibrant(name, tuple(mean), tuple(error), *known)
        for name, (mean, error), *known in zip(agents, rounded, *about, strict=True)
    )


def trials_of(responses: Responses) -> int:
    """How many trials a cell usually has: what the score of the benchmark is the mean of."""
    tried = responses.attempts[responses.attempts > 0]
    return int(np.median(tried)) if len(tried) else 1


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


def program() -> str:
    """Name and version of this program."""
    try:
        return f"cat-harness {importlib.metadata.version('cat-harness')}"
    except importlib.metadata.PackageNotFoundError:
        return "cat-harness"


def data_facts(responses: Responses) -> dict[str, Any]:
    """Where the outcomes of a bank come from, in plain values for YAML."""
    dates = sorted(date for date in responses.date if date)
    cells = int(np.count_nonzero(responses.attempts))
    return {
        "source": responses.source,
        "source_sha256": responses.sha256,
        "agents": len(responses.agents),
        "agent_dates": [dates[0], dates[-1]] if dates else [],
        "items": len(responses.items),
        "responses": len(responses.category),
        "trials_per_cell": round(len(responses.category) / max(cells, 1), 3),
        "missing_share": round(responses.missing, 4),
    }
