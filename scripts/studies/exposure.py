"""Limits on how often a task is shown, and what they cost in precision."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from harness.bank import ItemBank
from harness.batch import batches
from harness.events import Plan
from harness.grammar import parse_selector
from harness.irt import Array
from harness.select import Selector
from harness.study.bootstrap import Estimate, estimate, overlap, weighted_means
from studies.common import Indices, Run, World, held_out, path, simulated_at, weights_for
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Limits on exposure"
NEEDS = ("swebench_verified",)
LENGTH = 30
SIZES = (20, 30)
AGENTS = 3000
"""Simulated, of each kind."""
CHANCE = 0.025
"""Probability that chance alone takes the exposure of any item as far above the rate as is let
pass: shared out among the items (Bonferroni)."""
REPEATS = 10
"""Tests of each held-out agent, with other coins each."""
GROUPS = 10
"""Groups of as many simulated agents as are held out, tested as often: what chance does."""
MANY, FEW, REAL = "simulated", "few simulated", "held out"
"""Kinds of agents: as able as the calibrating ones, which is what limits are fitted to; groups of
the same; and real ones."""
INNER = "max-information"
RATES = (0.3, 0.2, 0.1)
MOST_USED = 150
"""Tasks in the figure."""


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
    overlap: float
    """Mean share of tasks that the tests of two simulated agents have in common."""
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
    bank, size, n = worlds[0].bank, len(worlds[0].agents), len(responses.items)
    agents = simulated_agents(run)
    results: list[Result] = []
    base: Array | None = None
    for limit in limits(run):
        run.say(f"  {limit.name}")
        error, sd, order = tested(worlds, parse_selector(limit.select))
        errors = weighted_means(weights, unit, error)
        base = errors if base is None else base
        sizes = [len(world.agents) * REPEATS for world in worlds]
        real = np.split(order, np.cumsum(sizes)[:-1])
        kinds = {
            MANY: [drawn(bank, limit, agents)],
            FEW: list(np.split(drawn(bank, limit, GROUPS * size * REPEATS, REPEATS), GROUPS)),
            REAL: real,
        }
        exposures = {
            kind: np.mean([exposure(part, n) for part in parts], axis=0)
            for kind, parts in kinds.items()
        }
        unused = {
            kind: float(np.mean([(exposure(part, n) == 0).mean() for part in parts]))
            for kind, parts in kinds.items()
        }
        shown = used(kinds[MANY][0], n)
        results.append(
            Result(
                limit,
                exposures,
                unused,
                float(overlap(np.ones((1, len(shown))), shown)[0]),
                [estimate(column) for column in errors.T],
                [estimate(column) for column in (errors - base).T],
                [estimate(column) for column in weighted_means(weights, unit, sd).T],
                float((order[:, LENGTH - 1] < 0).mean()),
            )
        )
    return page(
        "exposure",
        TITLE,
        lead(results, agents, size),
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
        plan = Plan(select=selector, prior=world.bank.population)
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


def drawn(bank: ItemBank, limit: Limit, tests: int, repeats: int = 1) -> Indices:
    """``(A, T)`` items of tests of simulated agents, each tested a number of times.

    The tests of an agent lie together, so that equal parts of all tests hold whole agents.
    """
    abilities = bank.population.draw(tests // repeats, np.random.default_rng(1))[:, 0]
    outcomes = np.repeat(simulated_at(bank, abilities, seed=2), repeats, axis=0)
    plan = Plan(select=parse_selector(limit.select), prior=bank.population)
    world = World(bank, np.arange(tests), outcomes, np.zeros(tests), seed=500)
    return np.concatenate(
        [
            _last(replace(world, agents=rows, outcomes=outcomes[rows]), plan)
            for rows in batches(bank.table, np.arange(tests))
        ]
    )


def _last(world: World, plan: Plan) -> Indices:
    order = np.full((len(world.agents), LENGTH), -1)
    for _, _, _, taken in path(world, plan, LENGTH):
        order[:, : taken.shape[1]] = taken
    return order


def used(order: Indices, items: int) -> NDArray[np.bool_]:
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


def allowed(rate: float, agents: float, items: int) -> float:
    """Largest exposure among all items that is within chance."""
    z = norm.isf(CHANCE / items)
    return float(min(rate + z * np.sqrt(rate * (1 - rate) / agents), 1.0))


def lead(results: Sequence[Result], agents: int, one_split: int) -> list[str]:
    """What it shows."""
    kept = [one for one in results if one.limit.rate is not None]

    def bound(one: Result, tests: float) -> float:
        return allowed(one.limit.rate or 0, tests, len(one.most[MANY]))

    def within(kind: str, tests: float) -> bool:
        return all(one.most[kind][0] <= bound(one, tests) for one in kept)

    def listed(kind: str) -> str:
        return ", ".join(f"{one.most[kind][0]:.3f} ({one.limit.name})" for one in kept)

    real = within(REAL, np.inf)
    strict = min(kept, key=lambda one: one.limit.rate or 1)
    none = results[0]
    return [
        verdict(
            within(MANY, agents),
            f"Largest share of {agents} simulated agents, as able as the calibrating ones, that "
            f"see one task: {listed(MANY)}; without a limit {none.most[MANY][0]:.3f}. With so many "
            "agents the largest of all tasks may come to "
            f"{', '.join(f'{bound(one, agents):.3f}' for one in kept)} by chance.",
        ),
        verdict(
            real,
            f"The same on real agents that were held out: {listed(REAL)}; without a limit "
            f"{none.most[REAL][0]:.3f}."
            + (
                ""
                if real
                else f" Few agents are tested here, {one_split} a time, so that which ones they "
                f"are matters: groups of as many simulated agents have {listed(FEW)}. A limit "
                "holds for the population that the bank was calibrated on; ask for a lower rate "
                "where the agents will be few or alike."
            ),
        ),
        f"What it costs: after {SIZES[-1]} tasks the error of the predicted score is "
        f"{told(none.error[-1], 2, 100)} points and the sd of ability {told(none.sd[-1], 3)} "
        f"without a limit; `{strict.limit.select}` adds {told(strict.worse[-1], 2, 100)} points "
        f"and has sd {told(strict.sd[-1], 3)}.",
    ]


def about(run: Run, worlds: Sequence[World]) -> str:
    """How it was done."""
    return (
        f"Tests of {LENGTH} tasks. Errors, sds and exposure of real agents: banks (`2pl`) on a "
        f"random 70% of the agents, {len(worlds)} times (seeds 0 to {len(worlds) - 1}), the "
        f"{len(worlds[0].agents)} others tested {REPEATS} times each with other random numbers; "
        "exposure is the share of these tests with the task, averaged over splits by rank. "
        f"Simulated agents answer as the first bank says: {simulated_agents(run)} as able as its "
        f"calibrating agents, and {GROUPS} groups of {len(worlds[0].agents)} tested {REPEATS} "
        f"times each ('{FEW}'). Overlap is the share of tasks that the tests of two "
        f"simulated agents have in common. Brackets are 95% intervals of {run.resamples} bootstrap "
        "samples of the real agents."
    )


def sections(results: Sequence[Result]) -> list[str]:
    """The two tables."""
    kinds = (MANY, FEW, REAL)
    shown = table(
        (
            "limit",
            *(f"largest exposure, {kind}" for kind in kinds),
            *(f"never used, {kind}, %" for kind in (MANY, REAL)),
            "overlap",
        ),
        [
            (
                one.limit.name,
                *(f"{one.most[kind][0]:.3f}" for kind in kinds),
                *(f"{100 * one.unused[kind]:.0f}" for kind in (MANY, REAL)),
                f"{one.overlap:.3f}",
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
    shown = []
    for one in results:
        shares = one.most[REAL][:MOST_USED]
        shown.append(Line(one.limit.name, np.arange(1.0, len(shares) + 1), shares))
    caption = "Share of tests of held-out agents that hold a task, for the most used tasks"
    return figure(run.out, "exposure", caption, shown, "rank of the task", "share of tests")
