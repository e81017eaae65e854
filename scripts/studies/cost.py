"""Selecting per dollar and per second: what the same error costs."""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.batch import administer
from harness.events import Plan
from harness.grammar import parse_selector
from harness.irt import Array, Table
from harness.responses import Responses
from harness.study.bootstrap import Estimate, estimate, first_reached, weighted_means
from studies.common import (
    FILE,
    Run,
    World,
    held_out,
    seeds_of,
    weights_for,
    worlds,
)
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Per dollar and per second"
COSTS = "openagentsafety"
DRAWN = ("swebench_verified", "terminal_bench_2")
NEEDS = (COSTS, *DRAWN)
SIZES = (5, 10, 20, 30, 50)
JUDGED = (10, 20, 30)
LONGEST = 150
"""Tasks of the plans per unit of cost, which take more but cheaper ones; or all there are."""
TARGET = 0.7
"""Of the plain plan's cost."""
PLAIN = "max-information"
SELECTORS = (PLAIN, "score-variance")
STEP = 6
THIN = f"every sixth task of {DRAWN[0]}"
"""As large a bank as that of the other data set, to tell what the size of a bank does."""
UNITS = ("usd", "seconds")
NAMES = {"usd": "dollars", "seconds": "seconds"}


@dataclass(frozen=True, eq=False)
class Costs:
    """Logged costs of attempts, ``(R,)`` each."""

    agent: tuple[str, ...]
    item: tuple[str, ...]
    usd: Array
    seconds: Array


@dataclass(frozen=True)
class Spread:
    """How costs of attempts vary: the mean of their natural logarithms, and sds."""

    mean: float
    item: float
    agent: float
    attempt: float
    """What neither item nor agent explains."""

    @property
    def foreseen(self) -> float:
        """Share of the variance within an agent that the item explains."""
        return self.item**2 / (self.item**2 + self.attempt**2)


@dataclass(frozen=True, eq=False)
class Curves:
    """R sessions of one plan after 1 … T tasks, ``(R, T)`` each."""

    error: Array
    usd: Array
    seconds: Array


@dataclass(frozen=True, eq=False)
class Result:
    """One plan on one data set."""

    select: str
    errors: list[Estimate]
    """At the sizes."""
    shares: dict[str, list[Estimate]]
    """By unit: what it spends for the errors of the plain plan, over what that spends."""
    curve: Array
    """``(T,)`` mean error …"""
    spent: Array
    """… and mean dollars."""


def run(run: Run) -> str:
    """The page."""
    costs = read_costs(run.data / COSTS / FILE)
    spreads = {unit: spread(costs, unit) for unit in UNITS}
    real = run.load(COSTS)
    found = {}
    data = [(COSTS, real)]
    for name in DRAWN:
        run.say(f"  {name}")
        responses = run.load(name)
        data.append((name, responses))
        drawn = [with_costs(world, spreads) for world in held_out(run, responses)]
        found[name] = measure(run, drawn)
    run.say(f"  {THIN}")
    big = run.load(DRAWN[0])
    few = [with_costs(thinned(world), spreads) for world in held_out(run, big)]
    found[THIN] = measure(run, few)
    run.say("  leave one agent out")
    found[COSTS] = measure(run, alone(run, real))
    return page(
        "cost",
        TITLE,
        lead(found, spreads, real),
        facts(data),
        [about(run, costs, spreads, real), *sections(found), picture(run, found)],
    )


# --- costs ------------------------------------------------------------------------------------


def read_costs(file: Path) -> Costs:
    """Attempts with both dollars and seconds, also those without an outcome."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        rows = [
            (row["agent"], row["item"], float(row["cost_usd"]), float(row["seconds"]))
            for row in csv.DictReader(lines)
            if row["cost_usd"] and row["seconds"]
        ]
    known = [row for row in rows if row[2] > 0 and row[3] > 0]
    agent, item, usd, seconds = zip(*known, strict=True)
    return Costs(agent, item, np.array(usd), np.array(seconds))


def spread(costs: Costs, unit: str) -> Spread:
    """Variance components of log costs with crossed effects of item and agent, by moments.

    Effects are fitted by least squares; what noise adds to the variance of their estimates, its
    own variance over the number of attempts, is taken off.
    """
    y = np.log(getattr(costs, unit))
    of = [np.unique(names, return_inverse=True)[1] for names in (costs.item, costs.agent)]
    times = [np.bincount(one) for one in of]
    effects = [np.zeros(len(one)) for one in times]
    mean = float(y.mean())
    for _ in range(200):
        for which in (0, 1):
            left = y - mean - effects[1 - which][of[1 - which]]
            effects[which] = np.bincount(of[which], left) / times[which]
            effects[which] -= effects[which].mean()
    rest = y - mean - effects[0][of[0]] - effects[1][of[1]]
    rest -= rest.mean()
    noise = float((rest**2).sum() / (len(y) - sum(map(len, times)) + 1))
    item, agent = (
        float(np.sqrt(max(effect.var(ddof=1) - noise * (1 / count).mean(), 0.0)))
        for effect, count in zip(effects, times, strict=True)
    )
    return Spread(mean, item, agent, float(np.sqrt(noise)))


@dataclass(frozen=True, eq=False)
class Priced:
    """Agents under test with what their attempts cost, and a table that expects costs."""

    world: World
    table: Table
    usd: Array
    """``(A, n)``."""
    seconds: Array


def with_costs(world: World, spreads: Mapping[str, Spread]) -> Priced:
    """Log-normal costs, drawn anew for each world; the table expects of an item what it cost as
    many other agents on average."""
    rng = np.random.default_rng([world.seed, 5])
    tested, n = world.outcomes.shape
    others = max(len(world.bank.calibrants), 1)
    drawn = {}
    for unit in UNITS:
        one = spreads[unit]
        item = rng.normal(0, one.item, n)
        agent = rng.normal(0, one.agent, (tested + others, 1))
        attempt = rng.normal(0, one.attempt, (tested + others, n))
        drawn[unit] = np.exp(one.mean + item + agent + attempt)
    expected = {unit: cost[tested:].mean(axis=0) for unit, cost in drawn.items()}
    priced = replace(world.bank.table, usd=expected["usd"], seconds=expected["seconds"])
    return Priced(world, priced, drawn["usd"][:tested], drawn["seconds"][:tested])


def thinned(world: World) -> World:
    """With every so many of the items only."""
    kept = slice(None, None, STEP)
    bank = replace(world.bank, items=world.bank.items[kept])
    outcomes = world.outcomes[:, kept]
    known = outcomes >= 0
    score = np.where(known, bank.table.scores[np.arange(len(bank.items)), outcomes], 0.0)
    truth = score.sum(axis=1) / known.sum(axis=1)
    return replace(world, bank=bank, outcomes=outcomes, truth=truth)


def alone(run: Run, responses: Responses) -> list[Priced]:
    """Each agent with a bank that the others calibrated, on the attempts of known cost."""
    known = np.isfinite(responses.usd) & np.isfinite(responses.seconds)
    known &= (responses.usd > 0) & (responses.seconds > 0)
    shape = len(responses.agents), len(responses.items)
    cost = {}
    for unit in UNITS:
        cost[unit] = np.full(shape, np.nan)
        values = getattr(responses, unit)[known]
        cost[unit][responses.agent[known], responses.item[known]] = values
    everyone = np.arange(len(responses.agents))
    splits = [(np.setdiff1d(everyone, [agent]), np.array([agent])) for agent in everyone]
    found = []
    for world in worlds(run, responses, "pcm", splits):
        index = {item: place for place, item in enumerate(responses.items)}
        columns = np.array([index[item] for item in world.bank.table.ids])
        usd, seconds = (cost[unit][np.ix_(world.agents, columns)] for unit in UNITS)
        outcomes = np.where(np.isfinite(usd), world.outcomes, -1)
        scores = world.bank.table.scores[np.arange(len(columns)), np.maximum(outcomes, 0)]
        truth = np.where(outcomes >= 0, scores, 0).sum(axis=1) / (outcomes >= 0).sum(axis=1)
        some = replace(world, outcomes=outcomes, truth=truth)
        found.append(Priced(some, _all_priced(world.bank.table), usd, seconds))
    return found


def _all_priced(table: Table) -> Table:
    """What no calibrating agent tells the cost of is expected to cost what the median item does."""
    usd, seconds = (
        np.where(np.isfinite(cost) & (cost > 0), cost, np.nanmedian(cost))
        for cost in (table.usd, table.seconds)
    )
    return replace(table, usd=usd, seconds=seconds)


# --- the sessions -----------------------------------------------------------------------------


def measure(run: Run, priced: Sequence[Priced]) -> list[Result]:
    """All plans; the plain one first."""
    weights, unit_of = weights_for(run, np.concatenate([one.world.agents for one in priced]))
    selects = [PLAIN, *(f"{s}/{unit}" for s in SELECTORS for unit in UNITS), *SELECTORS[1:]]
    found: list[Result] = []
    base: dict[str, Array] = {}
    for select in [*selects, "random"]:
        each = [followed(one, select) for one in priced]
        shortest = min(one.error.shape[1] for one in each)
        error, usd, seconds = (
            weighted_means(
                weights,
                unit_of,
                np.concatenate([getattr(one, name)[:, :shortest] for one in each]),
            )
            for name in ("error", "usd", "seconds")
        )
        means = {"error": error, "usd": usd, "seconds": seconds}
        base = base or means
        sizes = [size for size in SIZES if size <= shortest]
        shares = {
            unit: [
                estimate(
                    first_reached(means[unit], error, base["error"][:, size - 1])
                    / base[unit][:, size - 1]
                )
                for size in sizes
            ]
            for unit in UNITS
        }
        errors = [estimate(error[:, size - 1]) for size in sizes]
        found.append(Result(select, errors, shares, error[0], usd[0]))
    return found


def followed(priced: Priced, select: str) -> Curves:
    """All agents of a world with one plan; who has no more items stays as he was."""
    world, table = priced.world, priced.table
    plan = Plan(select=parse_selector(select), prior=world.bank.population)
    rows: list[tuple[Array, Array, Array]] = []
    longest = min(LONGEST, int((world.outcomes >= 0).sum(axis=1).max()))
    steps = administer(table, plan, world.outcomes, seeds_of(world), priced.usd, priced.seconds)
    for step in steps:
        progress = step.progress
        if step.round:
            error = np.abs(progress.scores.mean - world.truth)
            rows.append((error, progress.usd, progress.seconds))
        if step.round >= longest:
            break
    error, usd, seconds = (np.stack(column, axis=1) for column in zip(*rows, strict=True))
    return Curves(error, usd, seconds)


# --- the page ---------------------------------------------------------------------------------


def lead(found: dict[str, list[Result]], spreads: dict[str, Spread], real: Responses) -> list[str]:
    """What it shows."""
    lines = []
    for name in DRAWN:
        for unit in UNITS:
            one = _named(found[name], f"{PLAIN}/{unit}")
            shares = judged(found[name], unit)
            met = all(share.value is not None and share.value <= TARGET for share in shares)
            text = ", ".join(told(share, 2) for share in shares)
            lines.append(
                verdict(
                    met,
                    f"{name}, {NAMES[unit]} drawn: `{one.select}` has the errors that `{PLAIN}` "
                    f"has after {', '.join(map(str, JUDGED[: len(shares)]))} tasks for these "
                    f"shares of its {NAMES[unit]}: {text}; at most {TARGET:g} was asked."
                    + ("" if met else why(found, spreads[unit], unit)),
                )
            )
    lines.append(
        f"On the {len(real.agents)} agents of `{COSTS}` with outcomes, whose costs are real, "
        f"nothing can be told: a bank of {len(real.agents) - 1} agents is one of held priors, and "
        "the intervals below, over so few agents, are too narrow by far."
    )
    return lines


def judged(results: Sequence[Result], unit: str) -> list[Estimate]:
    """Shares of the plan per unit at the sizes that are judged."""
    shares = _named(results, f"{PLAIN}/{unit}").shares[unit]
    places = [SIZES.index(size) for size in JUDGED]
    return [shares[place] for place in places if place < len(shares)]


def why(found: dict[str, list[Result]], one: Spread, unit: str) -> str:
    """Why no more is saved."""
    whole, few = judged(found[DRAWN[0]], unit), judged(found[THIN], unit)
    larger = all(
        b.value is None or (a.value is not None and b.value > a.value)
        for a, b in zip(whole, few, strict=False)
    )
    return (
        f" What can be known before is limited: tasks explain {one.foreseen:.0%} of the variance "
        f"of an agent's log {NAMES[unit]}. With a bank of {THIN} the shares are "
        f"{', '.join(told(share, 2) for share in few)} in place of "
        f"{', '.join(told(share, 2) for share in whole)} with all: "
        + (
            "the size of the bank matters, as in a small one the tasks that are both cheap and "
            "informative are soon used up."
            if larger
            else "not clearly more, so the size of the bank alone is not the reason."
        )
    )


def about(run: Run, costs: Costs, spreads: dict[str, Spread], real: Responses) -> str:
    """How it was done."""
    rows = [
        (
            NAMES[unit],
            f"{np.exp(one.mean):.3g}",
            f"{one.item:.2f}",
            f"{one.agent:.2f}",
            f"{one.attempt:.2f}",
        )
        for unit, one in spreads.items()
    ]
    heads = ("cost", "geometric mean", "sd, tasks", "sd, agents", "sd, rest")
    return (
        f"`{COSTS}` has dollars and seconds of {len(costs.usd)} attempts by "
        f"{len(set(costs.agent))} agents; {len(real.agents)} of them have outcomes. Their "
        "logarithms are the sum of an effect of the task, one of the agent and a rest:\n\n"
        f"{table(heads, rows)}\n\n"
        f"No other data set has costs, `terminal_bench_2` neither. For "
        f"{' and '.join(f'`{name}`' for name in DRAWN)} they are drawn from these log-normals, "
        "anew for each split, independent of all else; that dear tasks may be hard ones is left "
        "out. Outcomes are real. Banks (`2pl`) are calibrated on a random 70% of the agents, "
        f"{run.seeds} times (seeds 0 to {run.seeds - 1}), and expect of a task what it cost as "
        "many agents as calibrated, on average. The pace of an agent is learned in the session. "
        f"In `{COSTS}` each agent is tested with a bank (`pcm`) of the others, on the attempts of "
        "known cost. Costs are compared at equal mean error of the predicted score. Brackets are "
        f"95% intervals of {run.resamples} bootstrap samples of the agents; – is more than "
        f"{LONGEST} tasks, or than there are."
    )


def sections(found: dict[str, list[Result]]) -> Iterator[str]:
    """Errors and shares."""
    for name, results in found.items():
        yield f"## {name}: {'real' if name == COSTS else 'drawn'} costs"
        sizes = SIZES[: len(results[0].errors)]
        yield table(
            ("plan", *(f"error at {size}" for size in sizes)),
            [
                (f"`{one.select}`", *(told(error, 2, 100) for error in one.errors))
                for one in results
            ],
        )
        for unit in UNITS:
            yield (
                f"{NAMES[unit].capitalize()} for the error of `{PLAIN}` after so many tasks, as a "
                "share of what it spends:"
            )
            yield table(
                ("plan", *map(str, sizes)),
                [
                    (f"`{one.select}`", *(told(share, 2) for share in one.shares[unit]))
                    for one in results[1:]
                ],
            )


def _named(results: Sequence[Result], select: str) -> Result:
    return next(one for one in results if one.select == select)


def picture(run: Run, found: dict[str, list[Result]]) -> str:
    """Errors against dollars."""
    parts = []
    for name in DRAWN:
        lines = [
            Line(one.select, one.spent, 100 * one.curve)
            for one in found[name]
            if not one.select.endswith("seconds")
        ]
        caption = f"{name}: mean absolute error of the predicted score against dollars drawn"
        text = figure(
            run.out, f"cost-{name}", caption, lines, "dollars an agent", "error, points", log=True
        )
        parts.append(text)
    return "\n\n".join(parts)
