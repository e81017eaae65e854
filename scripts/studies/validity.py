"""What benchmarks say of one another: simulated ones with a known answer, and real ones."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.irt import Array
from harness.report.validity_page import told
from harness.responses import Responses
from harness.study.parallel import mapped
from harness.validity import Matching, Validity, analyse_validity, match_by, suggest_mapping
from harness.validity.latent import correlation, partial_draws
from harness.validity.plain import corrected, pearson
from studies.common import Run
from studies.pages import Line, facts, figure, page, table

TITLE = "What benchmarks say of one another"
NEEDS = (
    "swebench_verified",
    "terminal_bench_2",
    "terminal_bench_2_majority",
    "odcv",
    "lyptus_cyber",
)
LEVEL = 0.9
TRUTHS = (0.0, 0.5, 0.8, 0.95)
AGENTS = (12, 25, 60)
RELIABILITIES = (0.7, 0.9)
PARTIALS = (0.0, 0.5)
WITH_CAPABILITY = 0.7
"""Correlation of both simulated benchmarks with the capability measure."""
DRAWN = 25, 0.7
"""Agents and reliability of the figure."""
LENGTHS = (10, 25, 50, 100)
"""Tasks of each half of SWE-bench Verified."""
SUITES = ("nl2bash", "cybashbench", "intercode-ctf", "arvo")
CAPABILITY = "nl2bash"
"""The suite of plain shell commands, which is held fixed."""
AT_LEAST = 5
"""Shared models that pairs are told from when the refusal is set aside."""


@dataclass(frozen=True)
class Cell:
    """One simulated setting."""

    truth: float
    agents: int
    reliability: float
    repeats: int


def run(run: Run) -> str:
    """The page."""
    pairs, partials = simulated(run)
    outcomes = {name: run.load(name) for name in NEEDS}
    outcomes["swebench_verified"] = with_models(run, outcomes["swebench_verified"])
    matching = by_rule(outcomes)
    run.say("  across benchmarks")
    across = analyse_validity(outcomes, matching, progress=lambda name: run.say(f"    {name}"))
    few = analyse_validity(
        {name: outcomes[name] for name in ("terminal_bench_2_majority", "odcv")},
        matching,
        fewest=AT_LEAST,
    )
    run.say("  halves")
    halves = list(of_halves(run, outcomes["swebench_verified"]))
    run.say("  within benchmarks")
    variants = of_variants(outcomes["odcv"])
    suites = of_suites(outcomes["lyptus_cyber"])
    return page(
        "validity",
        TITLE,
        lead(pairs, partials, across, few, halves, variants, suites, dates_of(outcomes)),
        facts(outcomes.items()),
        [
            *known_truth(pairs, partials),
            picture(run, pairs),
            *real(outcomes, matching, across, few),
            *within(halves, variants, suites),
        ],
    )


def dates_of(outcomes: dict[str, Responses]) -> str:
    """First and last date of the agents of two benchmarks."""
    spans = [
        (min(known), max(known))
        for name in ("swebench_verified", "terminal_bench_2_majority")
        if (known := [date for date in outcomes[name].date if date])
    ]
    return "; ".join(f"{first} to {last}" for first, last in spans)


# --- simulation -------------------------------------------------------------------------------


def simulated(run: Run) -> tuple[dict[Cell, Array], dict[Cell, Array]]:
    """``(R, 9)`` of each pair: value and ends without noise, raw and classically corrected; and
    ``(R, 3)`` of each partial correlation."""
    repeats, fewer = (4, 2) if run.quick else (100, 60)
    cells = [Cell(*one, repeats) for one in itertools.product(TRUTHS, AGENTS, RELIABILITIES)]
    pairs = mapped(_pairs, cells, run.jobs, "simulated pairs", run.tick)
    given = [Cell(*one, fewer) for one in itertools.product(PARTIALS, AGENTS[1:], RELIABILITIES)]
    partials = mapped(_partials, given, run.jobs, "simulated partial correlations", run.tick)
    return dict(zip(cells, pairs, strict=True)), dict(zip(given, partials, strict=True))


def _drawn(cell: Cell, matrix: Any) -> Iterator[tuple[int, Array, Array]]:
    """Estimates and error variances of every repetition, errors of unequal sizes."""
    rng = np.random.default_rng(
        [round(100 * cell.truth), cell.agents, round(10 * cell.reliability)]
    )
    shape = cell.agents, len(matrix)
    for repeat in range(cell.repeats):
        ability = rng.multivariate_normal(np.zeros(len(matrix)), matrix, cell.agents)
        spread = rng.lognormal(-0.045, 0.3, shape)
        error = (1 / cell.reliability - 1) * spread
        yield repeat, ability + np.sqrt(error) * rng.standard_normal(shape), error


def _pairs(cell: Cell) -> Array:
    found = []
    for repeat, estimate, error in _drawn(cell, [[1, cell.truth], [cell.truth, 1]]):
        ours = correlation(estimate, error, lines=1, seed=repeat)
        raw = pearson(estimate[:, 0], estimate[:, 1], LEVEL)
        seen = 1 - error.mean(axis=0) / estimate.var(axis=0, ddof=1)
        old = corrected(raw, np.clip(seen, 0.05, 1.0).tolist())
        found.append(
            [
                *(ours.quantile(q) for q in (0.5, 0.05, 0.95)),
                *(end for one in (raw, old) for end in (one.value, one.low, one.high)),
            ]
        )
    return np.array(found)


def _partials(cell: Cell) -> Array:
    r = WITH_CAPABILITY
    whole = r**2 + cell.truth * (1 - r**2)
    matrix = [[1, whole, r], [whole, 1, r], [r, r, 1]]
    return np.array(
        [
            np.quantile(partial_draws(estimate, error, seed=repeat), [0.5, 0.05, 0.95])
            for repeat, estimate, error in _drawn(cell, matrix)
        ]
    )


def bias(cell: Cell, found: Array) -> str:
    """Mean of the values less the truth."""
    return f"{found[:, 0].mean() - cell.truth:+.3f}"


def coverage(cell: Cell, found: Array) -> float:
    """Share of the intervals that hold the truth."""
    return float(np.mean((found[:, 1] <= cell.truth) & (cell.truth <= found[:, 2])))


def known_truth(pairs: dict[Cell, Array], partials: dict[Cell, Array]) -> list[str]:
    """The tables of the simulation."""
    rows = [
        (
            *(f"{cell.truth:g}", str(cell.agents), f"{cell.reliability:g}"),
            *(
                text
                for start in (0, 3, 6)
                for text in (
                    bias(cell, found[:, start:]),
                    f"{100 * coverage(cell, found[:, start : start + 3]):.0f}",
                )
            ),
            f"{np.mean(found[:, 2] - found[:, 1]):.2f}",
        )
        for cell, found in pairs.items()
    ]
    given = [
        (
            *(f"{cell.truth:g}", str(cell.agents), f"{cell.reliability:g}"),
            *(bias(cell, found), f"{100 * coverage(cell, found):.0f}"),
            f"{np.mean(found[:, 2] - found[:, 1]):.2f}",
        )
        for cell, found in partials.items()
    ]
    heads = ("truth", "agents", "reliability")
    ways = ("noise taken out", "raw", "classically corrected")
    return [
        "## Where the truth is known",
        "Abilities of simulated agents on two benchmarks correlate by the truth; estimates have "
        "errors of a known size, so that their reliability is as stated. "
        f"{next(iter(pairs)).repeats} repetitions of each setting. Bias is the mean of the "
        "estimate (the median of the posterior) less the truth; coverage is how often the "
        f"{LEVEL:.0%} interval holds it, in percent.",
        table(
            (*heads, *(f"{what}, {way}" for way in ways for what in ("bias", "coverage")), "width"),
            rows,
        ),
        f"The partial correlation given a capability measure of the same reliability, which "
        f"correlates {WITH_CAPABILITY:g} with both, over {next(iter(partials)).repeats} "
        "repetitions:",
        table((*heads, "bias", "coverage", "width"), given),
    ]


def picture(run: Run, pairs: dict[Cell, Array]) -> str:
    """Estimates against the truth."""
    agents, reliability = DRAWN
    chosen = {
        cell.truth: found
        for cell, found in pairs.items()
        if (cell.agents, cell.reliability) == DRAWN
    }
    truths = list(chosen)
    lines = [Line("truth", truths, truths)]
    for name, place in (("noise taken out", 0), ("raw", 3)):
        values = np.array([found[:, place] for found in chosen.values()])
        low, high = np.quantile(values, [0.05, 0.95], axis=1)
        lines.append(Line(name, truths, np.median(values, axis=1), low, high))
    caption = (
        f"Estimated correlation against the true one, {agents} agents and tests of reliability "
        f"{reliability:g}: medians, and where 90% of the repetitions lie"
    )
    return figure(run.out, "validity", caption, lines, "true correlation", "estimated")


# --- across benchmarks ------------------------------------------------------------------------


def with_models(run: Run, responses: Responses) -> Responses:
    """Models from the table beside the outcomes, where the outcomes name none."""
    path = run.data / "swebench_verified" / "agents.csv"
    if not path.exists():
        return responses
    with path.open(newline="", encoding="utf-8") as file:
        models = {row["agent"]: row["llm"] for row in csv.DictReader(file)}
    return replace(responses, llm=tuple(models.get(agent, "") for agent in responses.agents))


def by_rule(outcomes: dict[str, Responses]) -> Matching:
    """Models whose names have the same words, and agents whose names hold these together.

    Words are without vendor, host, date, case, punctuation and the word preview. Suggestions by
    mere likeness are not taken.
    """
    keys: dict[str, dict[str, str]] = {name: {} for name in outcomes}
    for row in suggest_mapping(outcomes):
        if not row.likeness.reason.startswith("similar"):
            keys[row.benchmark][row.agent] = row.key
    return Matching(keys, "equal words of the names of models")


def real(
    outcomes: dict[str, Responses], matching: Matching, across: Validity, few: Validity
) -> list[str]:
    """Tables of the pairs of benchmarks."""
    every = list(itertools.combinations(outcomes, 2))
    shared = [
        (f"`{first}`, `{second}`", str(len(keys)), ", ".join(keys) or "none")
        for first, second in every
        if (keys := matching.shared(first, second)) is not None
    ]
    refusals = "\n".join(f"- {one.reason} {one.remedy}" for one in across.refusals)
    return [
        "## Across benchmarks",
        "Models are the same where their names have the same words, without vendor, host, date, "
        "case, punctuation and the word `preview`; the name of a scaffold may stand before them. "
        "Agents of one model are taken together, and what they differ by counts as error.",
        table(("pair", "shared", "models"), shared),
        correlations(across),
        "Refused, by the default of 8 shared models:",
        refusals,
        f"What the refusal guards against, with `--fewest {AT_LEAST}`:",
        correlations(few),
    ]


def correlations(found: Validity) -> str:
    """All ways to correlate, of all pairs."""
    return table(
        (
            *("pair", "shared", "noise taken out", "adjusted p", "raw", "ranks", "over draws"),
            *("classically corrected", "error taken away, %"),
        ),
        [
            (
                f"{pair.first} → {pair.second}",
                str(len(pair.keys)),
                told(pair.latent),
                chance(pair.q),
                *map(told, (pair.scores, pair.ranks, pair.draws, pair.classical)),
                f"{100 * pair.prediction.gain.value:.0f}",
            )
            for pair in found.pairs
        ],
    )


def chance(q: float) -> str:
    """An adjusted p as text.

    >>> chance(0.0001), chance(0.25)
    ('< 0.001', '0.250')
    """
    return "< 0.001" if q < 0.001 else f"{q:.3f}"


# --- within benchmarks ------------------------------------------------------------------------


def of_halves(run: Run, responses: Responses) -> Iterator[tuple[int, Validity]]:
    """Two tests of as many tasks each, drawn from the same tasks at random: the truth is near 1."""
    order = np.random.default_rng(0).permutation(len(responses.items))
    for length in LENGTHS[:2] if run.quick else LENGTHS:
        parts = {
            name: responses.subset(
                items=[responses.items[i] for i in order[start : start + length]]
            )
            for name, start in (("one half", 0), ("the other", length))
        }
        yield length, analyse_validity(parts, match_by(parts, "agent"))


def of_variants(responses: Responses) -> Validity:
    """Incentivized scenarios against other mandated ones: no scenario is in both."""
    scenarios = sorted({item.split("/", 1)[1] for item in responses.items})
    parts = {}
    for place, variant in enumerate(("incentivized", "mandated")):
        names = {f"{variant}/{scenario}" for scenario in scenarios[place::2]}
        parts[variant] = responses.subset(items=[i for i in responses.items if i in names])
    return analyse_validity(parts, match_by(parts, "agent"))


def of_suites(responses: Responses) -> Validity:
    """Suites of one collection against each other, and beyond plain shell commands."""
    parts = {
        suite: responses.subset(items=[i for i in responses.items if i.startswith(suite)])
        for suite in SUITES
    }
    return analyse_validity(parts, match_by(parts, "agent"), given=CAPABILITY)


def within(
    halves: Sequence[tuple[int, Validity]], variants: Validity, suites: Validity
) -> list[str]:
    """Tables of tests from one collection."""
    rows = [
        (
            str(length),
            *map(told, (pair.latent, pair.scores, pair.classical)),
            f"{pair.reliability[0]:.2f}, {pair.reliability[1]:.2f}",
        )
        for length, found in halves
        for pair in found.pairs
    ]
    partials = [
        (
            f"{one.first} → {one.second}",
            str(len(one.keys)),
            *map(told, (one.whole, one.latent)),
            chance(one.q),
            f"{100 * one.predictions[1].gain.value:.0f}",
        )
        for one in suites.partials
    ]
    return [
        "## Halves of one benchmark",
        "Two sets of tasks of SWE-bench Verified, drawn at random and calibrated apart: abilities "
        "on both are the same but for what the tasks are about, so that the truth is near 1.",
        table(("tasks", "noise taken out", "raw", "classically corrected", "reliability"), rows),
        "## Suites of one collection",
        "ODCV-Bench: scenarios with an incentive to cheat, against other scenarios where it is "
        "mandated.",
        correlations(variants),
        f"Lyptus cyber, four suites. Beyond ability on `{CAPABILITY}`, plain shell commands, "
        "below.",
        correlations(suites),
        table(
            (
                *("pair", "shared", "nothing held fixed", f"given {CAPABILITY}", "adjusted p"),
                "error taken away, %",
            ),
            partials,
        ),
    ]


def lead(
    pairs: dict[Cell, Array],
    partials: dict[Cell, Array],
    across: Validity,
    few: Validity,
    halves: Sequence[tuple[int, Validity]],
    variants: Validity,
    suites: Validity,
    dates: str,
) -> list[str]:
    """What it shows."""
    ours = [coverage(cell, found[:, :3]) for cell, found in pairs.items()]
    raw = [coverage(cell, found[:, 3:6]) for cell, found in pairs.items()]
    off = [abs(found[:, 0].mean() - cell.truth) for cell, found in pairs.items()]
    raw_off = [abs(found[:, 3].mean() - cell.truth) for cell, found in pairs.items()]
    held = [coverage(cell, found) for cell, found in partials.items()]
    held_off = [abs(found[:, 0].mean() - cell.truth) for cell, found in partials.items()]
    refused = [
        one
        for one in across.refusals
        if {one.first, one.second} == {"swebench_verified", "terminal_bench_2_majority"}
    ]
    length, shortest = halves[0]
    lines = [
        f"Simulated: {LEVEL:.0%} intervals of the correlation with the noise taken out hold the "
        f"truth in {100 * min(ours):.0f} to {100 * max(ours):.0f}% of the repetitions "
        f"({100 * np.mean(ours):.0f}% on average), those of raw estimates in "
        f"{100 * min(raw):.0f} to {100 * max(raw):.0f}%. Off by {np.mean(off):.3f} on average and "
        f"{max(off):.3f} at most, against {np.mean(raw_off):.3f} and {max(raw_off):.3f}.",
        f"Partial correlations given a noisy capability measure: {100 * min(held):.0f} to "
        f"{100 * max(held):.0f}% ({100 * np.mean(held):.0f}% on average), off by "
        f"{max(held_off):.3f} at most.",
        *(
            f"`{one.first}` against `{one.second}`: refused, they share {len(one.keys)} models"
            + ("." if one.keys else f", as their agents are of other times ({dates}).")
            for one in refused
        ),
        *(
            f"`{pair.first}` against `{pair.second}`, two scrapes of one leaderboard: "
            f"{told(pair.latent)} over {len(pair.keys)} models; raw {told(pair.scores)}."
            for pair in across.pairs
        ),
        *(
            f"`{pair.first}` against `{pair.second}` is refused as well; set the refusal aside, "
            f"and {len(pair.keys)} models give {told(pair.latent)}."
            for pair in few.pairs
        ),
        *(
            f"Two sets of {length} tasks of SWE-bench Verified: raw {told(pair.scores)}, noise "
            f"taken out {told(pair.latent)}."
            for pair in shortest.pairs
        ),
        *(
            f"ODCV-Bench, {pair.first} against {pair.second}: {told(pair.latent)} over "
            f"{len(pair.keys)} agents."
            for pair in variants.pairs
        ),
    ]
    sure = sum(pair.q <= 1 - LEVEL for pair in suites.pairs)
    beyond = sum(one.q <= 1 - LEVEL for one in suites.partials)
    lines.append(
        f"Lyptus cyber: {sure} of {len(suites.pairs)} pairs of suites go together at adjusted p of "
        f"0.1 or less over 12 agents, {beyond} of {len(suites.partials)} beyond {CAPABILITY}."
    )
    return lines
