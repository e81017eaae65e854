"""Banks, posteriors and views that the tests of selectors are run on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from harness.ability import Prior, normalise
from harness.bank import Item, ItemBank
from harness.irt import Array, Table
from harness.select import Selector, View

LABELS = {"binary": ("no", "yes"), "three": ("a", "b", "c"), "four": ("a", "b", "c", "d")}
Case = tuple[ItemBank, dict[int, int], tuple[int, ...], int]

CRITERIA = (
    "max-information",
    "max-information(0.4)",
    "posterior-information",
    "kl",
    "posterior-kl",
    "mutual-information",
    "min-variance",
    "min-variance(2)",
    "d-optimal",
    "a-optimal",
    "t-optimal(0.5)",
    "bayes-d-optimal",
    "bayes-a-optimal",
    "bayes-t-optimal",
    "score-variance",
    "decide(score>0.6)",
    "decide(theta>0.3)",
    "apart(0.2, 0.5)",
)
"""What measures information, for banks of one ability."""

OTHERS = (
    "random",
    "fixed",
    "window(0, 1)",
    "min-variance/usd",
    "random/seconds",
    "balance(min-variance, git=0.4, web=0.6)",
    "balance(random, git=0.5)",
    "at-most(mutual-information, git=1)",
    "at-most(min-variance/usd, 2)",
    "exclude(score-variance, web)",
    "randomesque(max-information, 2)",
    "progressive(max-information, 4)",
    "audit(min-variance, 0.5)",
    "at-most(audit(balance(min-variance, git=1), 0.3), web=1)",
)
"""Everything else but exposure control that is fitted, which has a file of its own."""


@st.composite
def banks(draw: st.DrawFn, min_size: int = 2, max_size: int = 5) -> ItemBank:
    """Banks of items with two to four categories, known costs and the tags git and web."""
    items = []
    for row in range(draw(st.integers(min_size, max_size))):
        a, b = draw(st.floats(0.4, 2.5)), draw(st.floats(-2, 2))
        usd, seconds = draw(st.floats(0.01, 10)), draw(st.floats(1, 1000))
        match draw(st.sampled_from(["2pl", "grm", "gpcm"])):
            case "grm":
                steps = (-a * b + 1, -a * b, -a * b - 1.5)
                item = Item(f"i{row}", "grm", (a,), steps, categories="four")
            case "gpcm":
                item = Item(f"i{row}", "gpcm", (a,), (-a * b, 0.4 - a * b), categories="three")
            case _:
                item = Item(f"i{row}", "2pl", (a,), (-a * b,))
        tags = [("git",), ("web",)]
        own = tags[row] if row < 2 else draw(st.sampled_from([*tags, (), ("git", "web")]))
        items.append(replace(item, usd=usd, seconds=seconds, tags=own))
    return ItemBank("drawn", tuple(items), LABELS)


PLANE = ItemBank(
    "plane",
    (
        Item("first", "2pl", (2.0, 0.0), (0.0,)),
        Item("second", "2pl", (0.0, 1.0), (0.5,)),
        Item("both", "grm", (1.0, 0.7), (1.0, -1.0), categories="three"),
        Item("against", "2pl", (0.8, -0.5), (0.2,)),
    ),
    LABELS,
    mean=(0.0, 0.5),
    sd=(1.0, 0.8),
)


def weights_after(table: Table, answers: dict[int, int]) -> Array:
    d = table.nodes.shape[1]
    log_weights = Prior((0.0,) * d, (1.0,) * d).log_weights(table.nodes)
    for row, category in answers.items():
        log_weights = log_weights + table.log_p[row, category]
    return normalise(log_weights)


def view_of(
    bank: ItemBank, answers: dict[int, int], gone: tuple[int, ...] = (), step: int = 1
) -> View:
    """What a selector sees after ``answers`` (row -> category), with ``gone`` not to be had."""
    table = bank.table
    known = np.full((1, len(table.ids)), -1)
    for row, category in answers.items():
        known[0, row] = category
    available = known < 0
    available[0, list(gone)] = False
    weights = weights_after(table, answers)[None]
    return View(table, weights, available, np.array([[3, step]]), known)


@st.composite
def views(draw: st.DrawFn, max_size: int = 5) -> Case:
    """Arguments of `view_of` that leave at least one item."""
    bank = draw(banks(max_size=max_size))
    n = len(bank.items)
    rows = draw(st.permutations(range(n)))
    first, second = sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    answers = {row: draw(st.integers(0, len(bank.items[row].intercepts))) for row in rows[:first]}
    return bank, answers, tuple(rows[first:second]), draw(st.integers(0, 100))


def flying(view: View, rows: tuple[int, ...]) -> View:
    """The view with these items in flight."""
    pending = np.zeros_like(view.available)
    pending[0, list(rows)] = True
    return replace(view, pending=pending, available=view.available & ~pending)


def per_item(view: View, gain: Callable[[Array, int], float]) -> Array:
    """``(n,)`` what ``gain(weights, row)`` says of every item, for the only agent."""
    return np.array([gain(view.weights[0], row) for row in range(len(view.table.ids))])


def is_random(selector: Selector) -> bool:
    """Whether chance is in its text."""
    words = ("random", "window", "progressive", "audit")
    return any(word in str(selector) for word in words)
