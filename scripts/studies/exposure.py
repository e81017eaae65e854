"""Limits on how often a task is shown, and what they cost in precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.bank import ItemBank
from harness.events import Plan
from harness.grammar import parse_selector
from harness.irt import Array
from harness.prior import population_prior
from harness.select import Selector
from harness.study.bootstrap import Estimate, estimate, overlap, weighted_means
from studies.common import Indices, Run, World, held_out, path, seeds_of, simulated, weights_for
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Limits on exposure"
NEEDS = ("swebench_verified",)
LENGTH = 30
SIZES = (20, 30)
AGENTS = 5000
"""Simulated."""
CHANCE = 2.0
"""Standard errors by which chance may take the largest exposure above the rate."""
REPEATS = 10
"""Tests of each held-out agent, with other coins each."""
INNER = "max-information"
RATES = (0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Limit:
    """A way of limiting exposure."""

    name: str
    select: str
    rate: float | None = None
    """Largest share of agents that may see an item."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a way does, after 20 and after 30 items."""

    limit: Limit
    most: dict[str, Array]
    """Exposure of every item ``(n,)``, largest first, for each kind of agents."""
    unused: dict[str, float]
    """Share of items that no agent was given."""
    overlap: Estimate
    """Of the tests of two simulated agents, over the whole test."""
    error: list[Estimate]
    """Of the held-out agents, at the sizes."""
    worse: list[Estimate]
    """How much larger it is than without a limit."""
    sd: list[Estimate]
    short: float
    """Share of the held-out sessions that ended before the last size."""


def limits(run: Run) -> list[Limit]:
    """All ways, the first without a limit; shorter tests of quick runs have looser rates."""
    found = [Limit("none", INNER), Limit("randomesque", f"randomesque({INNER}, 5)")]
    found.append(Limit("progressive", f"progressive({INNER}, {LENGTH})"))
    rates = (0.9, 0.8, 0.7) if run.quick else RATES
    for rate in rates:
        text = f"sympson-hetter({INNER}, {rate:g}, {LENGTH})"
        found.append(Limit(f"Sympson-Hetter {rate:g}", text, rate))
    text = f"sympson-hetter(progressive({INNER}, {LENGTH}), {rates[1]:g}, {LENGTH})"
    found.append(Limit(f"progressive-restricted {rates[1]:g}", text, rates[1]))
    return found


def run(run: Run) -> str:
    """The page."""
    responses = run.load("swebench_verified")
    worlds = held_out(run, responses)
    agent = np.concatenate([np.tile(world.agents, REPEATS) for world in worlds])
    weights, unit = weights_for(run, agent)
    results: list[Result] = []
    base: Array | None = None
    for limit in limits(run):
        run.say(f"  {limit.name}")
        error, sd, order = tested(worlds, parse_selector(limit.select))
        errors = weighted_means(weights, unit, error)
        base = errors if base is None else base
        shown = used(drawn(run, worlds[0].bank, limit), len(responses.items))
        exposures = [
            exposure(part, len(responses.items))
            for part in np.split(order, np.cumsum([len(w.agents) * REPEATS for w in worlds])[:-1])
        ]
        real = np.mean(exposures, axis=0)
        ones = np.ones((1, len(shown)))
        results.append(
            Result(
                limit,
                {"simulated": -np.sort(-shown.mean(axis=0)), "held out": real},
                {
                    "simulated": float((~shown.any(axis=0)).mean()),
                    "held out": float(np.mean([(one == 0).mean() for one in exposures])),
                },
                estimate(overlap(np.repeat(ones, 2, axis=0), shown)),
                [estimate(column) for column in errors.T],
                [estimate(column) for column in (errors - base).T],
                [estimate(column) for column in weighted_means(weights, unit, sd).T],
                float((order[:, LENGTH - 1] < 0).mean()),
            )
        )
    return page(
        "exposure",
        TITLE,
        lead(results, simulated_agents(run)),
        facts([("swebench_verified", responses)]),
        [about(run, worlds), *sections(results), picture(run, results)],
    )


# --- the sessions -----------------------------------------------------------------------------


def tested(worlds: Sequence[World], selector: Selector) -> tuple[Array, Array, Indices]:
    """Absolute errors and sds ``(R, S)`` at the sizes, and the items of each test ``(R, T)``.

    Sessions that end before a size count with what they had in the end.
    """
    errors, sds, orders = [], [], []
    for world in worlds:
        plan = Plan(select=selector, prior=population_prior(world.bank))
        many = World(
            world.bank,
            np.tile(world.agents, REPEATS) + 100_000 * np.repeat(range(REPEATS), len(world.agents)),
            np.tile(world.outcomes, (REPEATS, 1)),
            np.tile(world.truth, REPEATS),
            world.seed,
        )
        error, sd = np.full((2, len(many.agents), len(SIZES)), np.nan)
        order = np.full((len(many.agents), LENGTH), -1)
        for count, score, spread, taken in path(many, plan, LENGTH):
            for place, size in enumerate(SIZES):
                if count <= size:
                    error[:, place] = np.abs(score - many.truth)
                    sd[:, place] = spread
            order[:, : taken.shape[1]] = taken
        errors.append(error)
        sds.append(sd)
        orders.append(order)
    return np.concatenate(errors), np.concatenate(sds), np.concatenate(orders)


def simulated_agents(run: Run) -> int:
    """How many there are."""
    return AGENTS // 50 if run.quick else AGENTS


def drawn(run: Run, bank: ItemBank, limit: Limit) -> Indices:
    """``(A, T)`` items of the tests of simulated agents."""
    agents = simulated_agents(run)
    outcomes = simulated(bank, agents, seed=1)
    plan = Plan(select=parse_selector(limit.select), prior=population_prior(bank))
    world = World(bank, np.arange(agents), outcomes, np.zeros(agents), seed=500)
    for _, _, _, order in path(world, plan, LENGTH):
        last = order
    return np.asarray(last)


def used(order: Indices, items: int) -> Indices:
    """``(A, n)`` whether each item is in each test; -1 is none.

    >>> used(np.array([[1, -1], [0, 2]]), 3).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    found = np.zeros((len(order), items), bool)
    rows, places = np.nonzero(order >= 0)
    found[rows, order[rows, places]] = True
    return found


def exposure(order: Indices, items: int) -> Array:
    """``(n,)`` share of the tests that hold each item, largest first."""
    return np.asarray(-np.sort(-used(order, items).mean(axis=0)))


# --- the page ---------------------------------------------------------------------------------


def lead(results: Sequence[Result], simulated_agents: int) -> list[str]:
    """What it shows."""
    kept = [one for one in results if one.limit.rate is not None]

    def within(kind: str, agents: float) -> bool:
        rates = [one.limit.rate or 0 for one in kept]
        return all(
            one.most[kind][0] <= rate + CHANCE * np.sqrt(rate * (1 - rate) / agents)
            for one, rate in zip(kept, rates, strict=True)
        )

    def listed(kind: str) -> str:
        return ", ".join(f"{one.most[kind][0]:.3f} ({one.limit.name})" for one in kept)

    # the agents of a split differ, so theirs is no matter of chance
    real = within("held out", np.inf)
    strict = next(one for one in kept if one.limit.rate == min(k.limit.rate or 1 for k in kept))
    none = results[0]
    lines = [
        verdict(
            within("simulated", simulated_agents),
            "Largest share of simulated agents of the bank's population that see one task: "
            f"{listed('simulated')}; without a limit {none.most['simulated'][0]:.3f}.",
        ),
        verdict(
            real,
            f"The same on real agents that were held out: {listed('held out')}; without a limit "
            f"{none.most['held out'][0]:.3f}."
            + (
                ""
                if real
                else " The limit is fitted to a normal population; real agents crowd in a narrower "
                "range of ability, where the same tasks are best for most of them, so a task is "
                "asked for more often than the fit expects. Ask for a lower rate where the agents "
                "will be alike."
            ),
        ),
        f"What it costs: after {SIZES[-1]} tasks the error of the predicted score is "
        f"{told(none.error[-1], 2, 100)} points and the sd of ability {told(none.sd[-1], 3)} "
        f"without a limit; `{strict.limit.select}` adds {told(strict.worse[-1], 2, 100)} points "
        f"and has sd {told(strict.sd[-1], 3)}.",
    ]
    return lines


def about(run: Run, worlds: Sequence[World]) -> str:
    """How it was done."""
    return (
        f"Tests of {LENGTH} tasks. Errors, sds and exposure of real agents: banks (`2pl`) on a "
        f"random 70% of the agents, {len(worlds)} times (seeds 0 to {len(worlds) - 1}), the "
        f"{len(worlds[0].agents)} others tested {REPEATS} times each with other random numbers; "
        "exposure is the share of these tests with the task, averaged over splits. Exposure of "
        f"simulated agents: {simulated_agents(run)} of the population of the first "
        "bank. Overlap is the share of tasks that the tests of two simulated agents have in "
        f"common. Brackets are 95% intervals of {run.resamples} bootstrap samples of the agents."
    )


def sections(results: Sequence[Result]) -> list[str]:
    """The two tables."""
    shown = table(
        (
            "limit",
            "largest exposure, simulated",
            "held out",
            "tasks never used, simulated, %",
            "held out, %",
            "overlap",
        ),
        [
            (
                one.limit.name,
                f"{one.most['simulated'][0]:.3f}",
                f"{one.most['held out'][0]:.3f}",
                f"{100 * one.unused['simulated']:.0f}",
                f"{100 * one.unused['held out']:.0f}",
                f"{one.overlap.value or 0:.3f}",
            )
            for one in results
        ],
    )
    heads = [f"{what} at {size}" for size in SIZES for what in ("error", "more than none", "sd")]
    cost = table(
        ("limit", *heads, "ended early, %"),
        [
            (
                one.limit.name,
                *(
                    text
                    for error, worse, sd in zip(one.error, one.worse, one.sd, strict=True)
                    for text in (told(error, 2, 100), told(worse, 2, 100), told(sd, 3))
                ),
                f"{100 * one.short:.1f}",
            )
            for one in results
        ],
    )
    return ["## How often tasks are seen", shown, "## What it costs, in points of the score", cost]


def picture(run: Run, results: Sequence[Result]) -> str:
    """Exposure of the tasks, the most used first."""
    shown = [
        Line(one.limit.name, np.arange(1, 151), one.most["simulated"][:150]) for one in results
    ]
    if run.quick:
        shown = [Line(line.name, np.arange(1, len(line.y) + 1), line.y) for line in shown]
    caption = "Share of simulated agents that see a task, for the most used tasks"
    return figure(run.out, "exposure", caption, shown, "rank of the task", "share of agents")
