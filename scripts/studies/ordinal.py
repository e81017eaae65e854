"""Five degrees of severity or only two: how many scenarios it takes to rank agents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bank import ItemBank
from harness.events import Plan
from harness.grammar import parse_selector
from harness.irt import Array, Model
from harness.responses import Responses
from harness.study.bootstrap import Estimate, estimate, first_reached, rank_correlations
from studies.common import Indices, Run, path, weights_for, worlds
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Ordinal or binary"
NEEDS = ("odcv",)
SEVERE = 3
"""Severity from which on a run counts as a failure."""
SIZES = (5, 10, 15, 20, 30)
LONGEST = 40
"""Scenarios, each in one of its two variants."""
FOLDS = 7
SEEDS = 6
SELECT = "at-most(max-information, 1)"


@dataclass(frozen=True)
class Kind:
    """A way of scoring, with the model for it."""

    name: str
    model: Model
    binary: bool


ORDINAL = Kind("ordinal, pcm", "pcm", False)
BINARY = (Kind("binary, 1pl", "1pl", True), Kind("binary, 2pl", "2pl", True))
"""The first has one slope for all items too; the second is what most would take."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Rank correlations ``(B + 1, T)`` after 1 … T scenarios, with each of two truths."""

    ordinal: Array
    """With the mean of all ordinal outcomes."""
    binary: Array
    """With the share of all runs that do not fail."""


@dataclass(frozen=True, eq=False)
class Fewer:
    """What the ordinal session needs for the agreement of the binary one."""

    size: int
    ordinal: Estimate
    """Agreement of both after so many scenarios."""
    binary: Estimate
    gap: Estimate
    needed: Estimate
    saved: Estimate
    """Scenarios fewer."""


def run(run: Run) -> str:
    """The page."""
    responses = run.load("odcv")
    truths = [
        np.nanmean(outcomes.scores(), axis=1) for outcomes in (responses, dichotomised(responses))
    ]
    weights, _ = weights_for(run, np.arange(len(responses.agents)))
    curves = {}
    for kind in (ORDINAL, *BINARY):
        run.say(f"  {kind.name}")
        predicted = predictions(run, responses, kind)
        curves[kind.name] = Curves(*(agreement(weights, predicted, truth) for truth in truths))
    found = {
        (binary.name, truth): compared(
            getattr(curves[ORDINAL.name], truth), getattr(curves[binary.name], truth)
        )
        for binary in BINARY
        for truth in ("ordinal", "binary")
    }
    return page(
        "ordinal",
        TITLE,
        lead(found),
        facts([("odcv", responses)]),
        [about(run, responses), *sections(found), picture(run, curves)],
    )


# --- the sessions -----------------------------------------------------------------------------


def dichotomised(responses: Responses) -> Responses:
    """1 for a severity below the bound, rounded up, and 0 from there on."""
    top = int(responses.n_categories.max()) - 1
    return replace(
        responses,
        category=(responses.category > top - SEVERE).astype(np.intp),
        n_categories=np.full_like(responses.n_categories, 2),
        labels=(),
        sha256=f"{responses.sha256}-binary",
    )


def predictions(run: Run, responses: Responses, kind: Kind) -> Array:
    """``(S, T, A)`` predicted scores after 1 … T scenarios, for each seed; every agent is tested
    with a bank that others calibrated."""
    seen = dichotomised(responses) if kind.binary else responses
    agents = len(seen.agents)
    seeds = min(run.seeds, SEEDS)
    splits = [split for seed in range(seeds) for split in folds(agents, seed)]
    predicted = np.full((seeds, LONGEST, agents), np.nan)
    for place, world in enumerate(worlds(run, seen, kind.model, splits)):
        bank = tagged(world.bank)
        plan = Plan(select=parse_selector(SELECT), prior=bank.population)
        for count, score, _, _ in path(replace(world, bank=bank), plan, LONGEST):
            predicted[place // FOLDS, count - 1, world.agents] = score
    return predicted


def folds(agents: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Calibrating and tested agents of each fold; every agent is tested once."""
    order = np.random.default_rng([seed, 0]).permutation(agents)
    for part in np.array_split(order, FOLDS):
        tested = np.sort(part)
        yield np.setdiff1d(np.arange(agents), tested), tested


def tagged(bank: ItemBank) -> ItemBank:
    """With the scenario of each item as its tag: the part of its name after the slash."""
    items = [replace(item, tags=(item.id.partition("/")[2],)) for item in bank.items]
    return replace(bank, items=tuple(items))


# --- measures ---------------------------------------------------------------------------------


def agreement(weights: Array, predicted: Array, truth: Array) -> Array:
    """``(B + 1, T)`` Spearman's rho with the truth, averaged over seeds."""
    each = [
        [rank_correlations(weights, scores, truth)[0] for scores in of_seed]
        for of_seed in predicted
    ]
    return np.asarray(np.nanmean(np.array(each), axis=0).T)


def compared(ordinal: Array, binary: Array) -> list[Fewer]:
    """At every size."""
    length = np.broadcast_to(np.arange(1.0, ordinal.shape[1] + 1), ordinal.shape)
    found = []
    for size in SIZES:
        target = binary[:, size - 1]
        needed = first_reached(length, 1 - ordinal, 1 - target)
        found.append(
            Fewer(
                size=size,
                ordinal=estimate(ordinal[:, size - 1]),
                binary=estimate(target),
                gap=estimate(ordinal[:, size - 1] - target),
                needed=estimate(needed),
                saved=estimate(size - needed),
            )
        )
    return found


# --- the page ---------------------------------------------------------------------------------


def lead(found: dict[tuple[str, str], list[Fewer]]) -> list[str]:
    """What it shows."""
    lines = []
    for binary in BINARY:
        main = found[binary.name, "ordinal"]
        fewer = all(one.needed.value is not None and one.needed.value < one.size for one in main)
        sure = [str(one.size) for one in main if one.saved.low is not None and one.saved.low > 0]
        lines.append(
            verdict(
                fewer,
                f"For the rank agreement that a session with {binary.name} has after "
                f"{_sizes(main)} scenarios, the ordinal one needs {_needed(main)}. The interval of "
                "what is saved "
                + (
                    f"lies above 0 at {', '.join(sure)}."
                    if sure
                    else "holds 0 at every size: 21 agents are few."
                ),
            )
        )
    other = found[BINARY[1].name, "binary"]
    lines.append(
        "This is agreement with the mean of all ordinal outcomes. A binary session aims at the "
        f"share of runs that do not fail. For the agreement with that share which {BINARY[1].name} "
        f"has after {_sizes(other)} scenarios, the ordinal session needs {_needed(other)}"
        + (
            " (– is more than there are): who wants to know that share only loses by the degrees."
            if any(one.needed.value is None or one.needed.value > one.size for one in other)
            else "."
        )
    )
    return lines


def _sizes(rows: Sequence[Fewer]) -> str:
    return ", ".join(str(one.size) for one in rows)


def _needed(rows: Sequence[Fewer]) -> str:
    return ", ".join(told(one.needed) for one in rows)


def about(run: Run, responses: Responses) -> str:
    """How it was done."""
    return (
        f"The {len(responses.agents)} agents are dealt into {FOLDS} folds, "
        f"{min(run.seeds, SEEDS)} times (seeds from 0); each fold is tested with a bank that the "
        "others calibrated, and the agreement (Spearman's rho) is between the predicted scores of "
        "all agents and their scores on everything, averaged over the seeds. The binary outcome is "
        f"a severity of {SEVERE} or more, rounded up, or less. The two variants of a scenario are "
        f"no independent facts, so `{SELECT}` gives at most one of them: tests have up to "
        f"{LONGEST} scenarios. `pcm` and `1pl` have one slope for all items, `2pl` one for each. "
        f"Brackets are 95% intervals of {run.resamples} bootstrap samples of the agents."
    )


def sections(found: dict[tuple[str, str], list[Fewer]]) -> Iterator[str]:
    """A table for each pair and truth."""
    what = {"ordinal": "the mean ordinal outcome", "binary": "the share that does not fail"}
    for binary in BINARY:
        for truth, name in what.items():
            yield f"## {ORDINAL.name}, against {binary.name}: agreement with {name}"
            yield table(
                (
                    "scenarios",
                    "ordinal",
                    "binary",
                    "difference",
                    "ordinal needs",
                    "fewer",
                ),
                [
                    (
                        str(one.size),
                        told(one.ordinal, 3),
                        told(one.binary, 3),
                        told(one.gap, 3),
                        told(one.needed),
                        told(one.saved),
                    )
                    for one in found[binary.name, truth]
                ],
            )


def picture(run: Run, curves: dict[str, Curves]) -> str:
    """Agreement against length."""
    lines = []
    for name, curve in curves.items():
        low, high = np.nanquantile(curve.ordinal[1:], [0.025, 0.975], axis=0)
        x = np.arange(1, curve.ordinal.shape[1] + 1)
        band = (None, None) if name == BINARY[0].name else (low, high)
        lines.append(Line(name, x, curve.ordinal[0], *band))
    caption = "Rank agreement with the mean of all ordinal outcomes"
    return figure(run.out, "ordinal", caption, lines, "scenarios", "Spearman's rho")
