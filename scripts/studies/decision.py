"""Above a cut or not: adaptive tests that stop once it is decided, and fixed random tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from harness.events import Plan
from harness.grammar import parse_selector, parse_stop
from harness.irt import Array, Table
from harness.prior import agent_prior
from harness.study.bootstrap import (
    Estimate,
    estimate,
    estimate_share,
    first_reached,
    weighted_means,
)
from studies.common import (
    Endings,
    Indices,
    Run,
    World,
    endings,
    held_out,
    seeds_of,
    weighted_quantile,
    weights_for,
)
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Is this agent above the cut?"
NEEDS = ("swebench_verified",)
CUTS = (0.5, 0.3, 0.4, 0.6)
ALPHAS = (0.05, 0.1, 0.2)
ZONE = 0.05
"""Half the zone of scores around the cut in which the ratio test may say either."""
TARGET = 0.5
"""Of the tasks of a random test."""
ERROR = 0.05


@dataclass(frozen=True)
class Way:
    """A selector with the rules that end its sessions; ``{…}`` is filled in for each bank."""

    select: str
    stops: tuple[str, ...]


WAYS = (
    Way("decide(score>{cut})", tuple(f"decided(score>{{cut}}, {alpha})" for alpha in ALPHAS)),
    Way("max-information", ("decided(score>{cut}, 0.05)",)),
    Way("max-information({at})", ("sprt({low}, {high}, 0.05, 0.05)",)),
)


@dataclass(frozen=True, eq=False)
class Result:
    """One way of deciding about one cut."""

    cut: float
    select: str
    stop: str
    wrong: Estimate
    items: Estimate
    ninetieth: Estimate
    """Length of the test that 90% of the sessions do not exceed."""
    random: Estimate
    """Tasks of a fixed random test that is wrong no more often."""
    share: Estimate
    """Items over those tasks."""
    random_wrong: Estimate
    """How often a random test of the same average length is wrong."""


def run(run: Run) -> str:
    """The page."""
    responses = run.load("swebench_verified")
    worlds = held_out(run, responses)
    results = []
    for cut in CUTS:
        run.say(f"  cut {cut}")
        results += list(measure(run, worlds, cut))
    return page(
        "decision",
        TITLE,
        lead(results),
        facts([("swebench_verified", responses)]),
        [about(run, worlds), *sections(results), curves(run, worlds, results)],
    )


def measure(run: Run, worlds: Sequence[World], cut: float) -> Iterator[Result]:
    """Every way at one cut."""
    agent = np.concatenate([world.agents for world in worlds])
    truth = np.concatenate([world.truth for world in worlds])
    weights, unit = weights_for(run, agent)
    wrong_at = np.concatenate([random_wrong(world.outcomes, cut) for world in worlds])
    random_curve = weighted_means(weights, unit, wrong_at)
    for way in WAYS:
        each = [sessions(world, way, cut) for world in worlds]
        for number, stop in enumerate(way.stops):
            items, above = (
                np.concatenate([getattr(found[number], name) for found in each])
                for name in ("items", "above")
            )
            wrong = (above > 0.5) != (truth > cut)
            means = weighted_means(weights, unit, np.stack([wrong, items], axis=1).astype(float))
            lengths = np.broadcast_to(np.arange(1.0, random_curve.shape[1] + 1), random_curve.shape)
            equal = first_reached(lengths, random_curve, means[:, 0])
            length = np.rint(means[:, 1]).astype(int) - 1
            yield Result(
                cut=cut,
                select=plain(way.select, cut),
                stop=plain(stop, cut),
                wrong=estimate_share(means[:, 0], weights.shape[1]),
                items=estimate(means[:, 1]),
                ninetieth=estimate(weighted_quantile(weights, unit, items, 0.9)),
                random=estimate(equal),
                share=estimate(means[:, 1] / equal),
                random_wrong=estimate(random_curve[np.arange(len(length)), length]),
            )


def sessions(world: World, way: Way, cut: float) -> list[Endings]:
    """Where the rules of a way end the sessions of the agents under test: at the latest when all
    items are answered."""
    bank = world.bank
    values = filled(bank.table, cut)
    plan = Plan(select=parse_selector(way.select.format(**values)), prior=agent_prior(bank))
    n = len(bank.table.ids)
    # a limit is reached by all; the other rule ends most before
    rules = [parse_stop(f"{stop.format(**values)} or items>={n}") for stop in way.stops]
    return endings(bank.table, plan, world.outcomes, rules, n, seeds_of(world), cut)


def filled(table: Table, cut: float) -> dict[str, str]:
    """The cut on the score, and the abilities at which a score around it is expected."""
    expected = table.expected_score.mean(axis=0)
    at, low, high = np.interp([cut, cut - ZONE, cut + ZONE], expected, table.nodes[:, 0])
    return {"cut": f"{cut:g}", "at": f"{at:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}


def plain(text: str, cut: float) -> str:
    """The text of a selector or rule for a table of all banks together."""
    return text.format(cut=f"{cut:g}", at="θ at the cut", low="θ at -5", high="θ at +5 points")


def random_wrong(outcomes: Indices, cut: float) -> Array:
    """``(A, n)`` how often the plain mean of 1 … n random tasks lies on the wrong side of a cut.

    Exact: passes among random tasks are hypergeometric.
    """
    passes = (outcomes == 1).sum(axis=1)
    n = (outcomes >= 0).sum(axis=1)
    found = np.full(outcomes.shape, np.nan)
    for row, (k, total) in enumerate(zip(passes, n, strict=True)):
        size = np.arange(1, total + 1)
        most = np.floor(cut * size + 1e-9)
        above = hypergeom.sf(most, total, k, size)
        found[row, :total] = 1 - above if k / total > cut else above
    return found


# --- the page ---------------------------------------------------------------------------------


def lead(results: Sequence[Result]) -> list[str]:
    """What it shows."""
    main = [one for one in results if one.cut == CUTS[0]]
    first = main[0]
    near = min(main[: len(ALPHAS)], key=lambda one: abs((one.wrong.value or 0) - ERROR))
    lines = [
        verdict(
            _half(first),
            f"`{first.stop}` with `{first.select}` is wrong about {told(first.wrong, 1, 100)}% of "
            f"the agents and takes {told(first.items)} tasks on average. A fixed random test needs "
            f"{told(first.random, 0)} tasks to be wrong no more often: {told(first.share, 2)} of "
            "its length, where at most half was asked.",
        )
    ]
    if near is not first:
        lines.append(
            f"Closest to {ERROR:.0%} of actual errors comes `{near.stop}`: "
            f"{told(near.wrong, 1, 100)}% wrong after {told(near.items)} tasks, "
            f"{told(near.share, 2)} of a random test's {told(near.random, 0)}."
        )
    others = [one for one in results if one.cut != CUTS[0] and one.stop == _same(first, one.cut)]
    lines.append(
        "At the other cuts the same plan takes "
        + ", ".join(
            f"{told(one.share, 2)} of the random test's tasks at {one.cut:.0%}"
            for one in others
            if one.select.startswith("decide")
        )
        + "."
    )
    parts = []
    for cut in CUTS:
        good = [one for one in results if one.cut == cut and (one.wrong.value or 0) <= ERROR]
        if good:
            best = min(good, key=lambda one: one.items.value or 0)
            parts.append(
                f"at {cut:.0%} `{best.stop.partition('(')[0]}` with `{best.select}`: "
                f"{told(best.items)} tasks, {told(best.wrong, 1, 100)}% wrong"
            )
    lines.append(
        f"Shortest of all that are wrong about at most {ERROR:.0%}: {'; '.join(parts)}. The best "
        "of several is a little too good, as it was picked after the fact."
    )
    return lines


def _half(one: Result) -> bool:
    return one.share.value is not None and one.share.value <= TARGET


def _same(first: Result, cut: float) -> str:
    return first.stop.replace(f"{first.cut:g}", f"{cut:g}", 1)


def about(run: Run, worlds: Sequence[World]) -> str:
    """How it was done."""
    tested = len(np.unique(np.concatenate([world.agents for world in worlds])))
    return (
        f"Banks (`2pl`) are calibrated on 70% of the agents at random, {len(worlds)} times (seeds "
        f"0 to {len(worlds) - 1}); the other agents, {len(worlds[0].agents)} a time and {tested} "
        "in all, are tested on their own outcomes. The truth is whether the agent passes more "
        "than the cut of all tasks; a session says what its posterior makes "
        "more likely. Priors are the population of the calibrating agents. No "
        "session has a limit, so an agent near the cut may take nearly all tasks. The ratio test "
        f"may say either within {ZONE:.0%} of the cut. Random tests say that the agent is above "
        "where the plain mean of their tasks is; how often they are wrong is exact "
        f"(hypergeometric). Brackets are 95% intervals of {run.resamples} bootstrap samples of "
        "the agents, each with all its sessions."
    )


def sections(results: Sequence[Result]) -> Iterator[str]:
    """A table for each cut."""
    heads = (
        "selector",
        "stops on",
        "wrong, %",
        "tasks, mean",
        "tasks, 90th percentile",
        "random test as good",
        "share of its tasks",
        "random test as long: wrong, %",
    )
    for cut in CUTS:
        yield f"## Above {cut:.0%}?"
        yield table(
            heads,
            [
                (
                    f"`{one.select}`",
                    f"`{one.stop}`",
                    told(one.wrong, 1, 100),
                    told(one.items),
                    told(one.ninetieth, 0),
                    told(one.random, 0),
                    told(one.share, 2),
                    told(one.random_wrong, 1, 100),
                )
                for one in results
                if one.cut == cut
            ],
        )


def curves(run: Run, worlds: Sequence[World], results: Sequence[Result]) -> str:
    """Errors against length, at the first cut."""
    cut = CUTS[0]
    agent = np.concatenate([world.agents for world in worlds])
    weights, unit = weights_for(run, agent)
    wrong = np.concatenate([random_wrong(world.outcomes, cut) for world in worlds])
    curve = weighted_means(weights, unit, wrong)
    best = np.minimum.accumulate(curve[:, :300], axis=1)
    low, high = np.quantile(best[1:], [0.025, 0.975], axis=0)
    x = np.arange(1, best.shape[1] + 1)
    lines = [Line("fixed random test", x, 100 * best[0], 100 * low, 100 * high)]
    adaptive = [one for one in results if one.cut == cut][: len(ALPHAS)]
    points = sorted((one.items.value or 0, 100 * (one.wrong.value or 0)) for one in adaptive)
    lines.append(Line("decide, stopped when decided", *zip(*points, strict=True)))
    caption = (
        f"Wrong answers to 'above {cut:.0%}?' by mean length of the test; the adaptive sessions "
        f"stop at alpha {', '.join(f'{alpha:g}' for alpha in reversed(ALPHAS))} (left to right)"
    )
    return figure(run.out, "decision", caption, lines, "tasks", "wrong, % of agents")
