"""Several items in flight: how many more it takes to know an agent as well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bank import ItemBank
from harness.events import Plan
from harness.grammar import parse_stop
from harness.irt import Array
from harness.study.bootstrap import Estimate, estimate, weighted_means
from studies.common import (
    Endings,
    Indices,
    Run,
    World,
    endings,
    held_out,
    seeds_of,
    simulated,
    weights_for,
)
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Several tasks at once"
NEEDS = ("swebench_verified", "terminal_bench_2")
WIDTHS = (1, 2, 4, 8)
SDS = (0.3, 0.25, 0.2)
"""The first two are judged."""
LIMIT = 120
AGENTS = 300
"""Simulated, for each bank."""
MOST = 1.15
"""Tasks at width 4 over tasks at width 1 that were asked for."""


@dataclass(frozen=True, eq=False)
class Group:
    """Agents of one kind, with where their sessions end at every width and sd."""

    name: str
    agent: Indices
    """``(R,)`` what is drawn again by the bootstrap."""
    ends: dict[tuple[int, float], Endings]


@dataclass(frozen=True, eq=False)
class Result:
    """One width and sd in one group, over the sessions that get there at every width."""

    width: int
    sd: float
    reached: float
    """Share of all sessions."""
    answered: Estimate
    """Items answered when the sd is reached."""
    more: Estimate
    """The same, over that of width 1."""
    launched: Estimate
    """With the items in flight at that moment."""
    more_launched: Estimate


def run(run: Run) -> str:
    """The page."""
    groups, data = [], []
    for name in NEEDS:
        responses = run.load(name)
        data.append((name, responses))
        worlds = held_out(run, responses)
        run.say(f"  {name}")
        groups.append(replayed(name, worlds))
        groups.append(drawn(f"simulated agents, bank of {name}", worlds[0].bank))
    results = {group.name: measure(run, group) for group in groups}
    return page(
        "width",
        TITLE,
        lead(results),
        facts(data),
        [about(run), *sections(results), picture(run, results)],
    )


def sessions(bank: ItemBank, outcomes: Indices, seeds: Indices) -> dict[tuple[int, float], Endings]:
    """Endings for every width and sd."""
    rules = [parse_stop(f"sd<{sd}") for sd in SDS]
    found: dict[tuple[int, float], Endings] = {}
    for width in WIDTHS:
        plan = replace(Plan(prior=bank.population), width=width)
        ends = endings(bank.table, plan, outcomes, rules, LIMIT, seeds)
        found |= {(width, sd): one for sd, one in zip(SDS, ends, strict=True)}
    return found


def replayed(name: str, worlds: Sequence[World]) -> Group:
    """The agents that were held out, on their own outcomes."""
    each = [sessions(world.bank, world.outcomes, seeds_of(world)) for world in worlds]
    ends = {
        key: Endings(
            *(
                np.concatenate([getattr(one[key], field) for one in each])
                for field in ("items", "launched", "score", "above")
            )
        )
        for key in each[0]
    }
    return Group(name, np.concatenate([world.agents for world in worlds]), ends)


def drawn(name: str, bank: ItemBank) -> Group:
    """Agents of the bank's population, whose outcomes are as the bank says."""
    agents = np.arange(AGENTS)
    return Group(name, agents, sessions(bank, simulated(bank, AGENTS, seed=0), agents))


def measure(run: Run, group: Group) -> list[Result]:
    """All widths and sds, each against width 1 in the same sessions."""
    weights, unit = weights_for(run, group.agent)
    found = []
    for sd in SDS:
        there = np.all([np.isfinite(group.ends[width, sd].items) for width in WIDTHS], axis=0)

        def mean(values: Array, there: Array = there) -> Array:
            return weighted_means(weights, unit, np.where(there, values, np.nan)[:, None])[:, 0]

        base = group.ends[1, sd]
        for width in WIDTHS:
            end = group.ends[width, sd]
            found.append(
                Result(
                    width=width,
                    sd=sd,
                    reached=float(there.mean()),
                    answered=estimate(mean(end.items)),
                    more=estimate(mean(end.items) / mean(base.items)),
                    launched=estimate(mean(end.launched)),
                    more_launched=estimate(mean(end.launched) / mean(base.launched)),
                )
            )
    return found


# --- the page ---------------------------------------------------------------------------------


def lead(results: dict[str, list[Result]]) -> list[str]:
    """What it shows."""
    four = [
        (name, one)
        for name, group in results.items()
        for one in group
        if one.width == 4 and one.sd in SDS[:2] and one.answered.value is not None
    ]

    def most(field: str) -> tuple[str, Result]:
        return max(four, key=lambda pair: getattr(pair[1], field).value)

    name, worst = most("more")
    launched_name, launched = most("more_launched")
    good = sum((one.more.value or 0) <= MOST for _, one in four)
    met_launched = all((one.more_launched.value or 0) <= MOST for _, one in four)
    lines = [
        verdict(
            good == len(four),
            f"Answers that the same sd takes: at width 4 at most {told(worst.more, 2)} times those "
            f"of width 1 ({name}, sd {worst.sd:g}, {told(worst.answered)} tasks); at most {MOST:g} "
            f"was asked. It is so or less in {good} "
            f"of {len(four)} cases. What is lost is lost at the start, when four tasks are chosen "
            f"before any outcome is known: {extra_tasks(results)} The longer the test, the smaller "
            "its share.",
        ),
        verdict(
            met_launched,
            "With the tasks that are still running when the sd is reached, and that have to be "
            f"paid for too, it is at most {told(launched.more_launched, 2)} ({launched_name}, sd "
            f"{launched.sd:g}, {told(launched.launched)} tasks)."
            + (
                ""
                if met_launched
                else " Up to three tasks are in flight at that moment, and in a test of so few "
                "tasks three are a large share; no choice of tasks can change that. Their outcomes "
                "are not lost: they make the sd smaller than was asked."
            ),
        ),
    ]
    return lines


def extra_tasks(results: dict[str, list[Result]]) -> str:
    """How many more answers width 4 takes, by sd."""
    parts = []
    for name, group in results.items():
        base = {one.sd: one.answered.value for one in group if one.width == 1}
        more = [
            f"{one.answered.value - (base[one.sd] or 0):.1f}"
            for one in group
            if one.width == 4 and one.answered.value is not None
        ]
        parts.append(f"{', '.join(more)} more answers ({name})")
    return f"for sds of {', '.join(f'{sd:g}' for sd in SDS)}, {'; '.join(parts)}."


def about(run: Run) -> str:
    """How it was done."""
    return (
        "The default selector, with the population of the calibrating agents as prior, until the "
        f"sd of ability is below the bound, {LIMIT} tasks at most. Abilities of the calibrating "
        f"agents have sd 1. Held-out agents: banks (`2pl`) on a random 70% of the agents, "
        f"{run.seeds} times (seeds 0 to {run.seeds - 1}), the others replayed; of a cell with "
        f"several trials one is drawn. Simulated agents: {AGENTS} of the population of the first "
        "of these banks, seed 0. Only sessions that reach the bound at every width are counted; "
        "the last column says how many do. Brackets are 95% intervals of "
        f"{run.resamples} bootstrap samples of the agents, paired between widths."
    )


def sections(results: dict[str, list[Result]]) -> list[str]:
    """A table for each group."""
    heads = (
        "sd below",
        "width",
        "answered",
        "times width 1",
        "with those in flight",
        "times width 1",
        "sessions, %",
    )
    parts = []
    for name, group in results.items():
        parts.append(f"## {name}")
        rows = [
            (
                f"{one.sd:g}",
                str(one.width),
                told(one.answered),
                told(one.more, 2),
                told(one.launched),
                told(one.more_launched, 2),
                f"{one.reached:.0%}".rstrip("%"),
            )
            for one in group
        ]
        parts.append(table(heads, rows))
    return parts


def picture(run: Run, results: dict[str, list[Result]]) -> str:
    """How much more, by width."""
    sd = SDS[0]
    lines = []
    for name, group in results.items():
        here = [one for one in group if one.sd == sd and one.more.value is not None]
        more = [one.more for one in here]
        lines.append(
            Line(
                name,
                [one.width for one in here],
                [one.value or np.nan for one in more],
                [one.low or np.nan for one in more],
                [one.high or np.nan for one in more],
            )
        )
    caption = f"Answers until the sd of ability is below {sd:g}, over those that width 1 takes"
    return figure(run.out, "width", caption, lines, "width", "answers, times those of width 1")
