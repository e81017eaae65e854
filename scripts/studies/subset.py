"""Ranks of agents on a chosen part of a benchmark, against random parts and the 30–70% rule."""

from dataclasses import replace
from typing import Any

import numpy as np

from harness.health.better.held_out import MIDDLE, Scoring
from harness.health.better.subset import Agreement, Budget, Point, Reduction, analyse_subset
from harness.health.evidence import Evidence, gather
from harness.report.health.subset import subset_section
from harness.report.sections import Grid, signed
from harness.report.wording import sentence
from harness.responses import Responses
from harness.study.bootstrap import Estimate
from studies.common import Indices, Run
from studies.pages import facts, page, told
from studies.sections import grid, plot, plots_of

TITLE = "A smaller SWE-bench Verified"
NEEDS = ("swebench_verified",)
SIZE = 50
SIZES = (5, 10, 20, 30, 50, 75, 100, 150, 200)
FOLDS, REPEATS, DRAWS = 5, 4, 1000
NEWEST = 0.3
"""Share of the agents that are held out by date."""
RULE = f"{100 * MIDDLE[0]:.0f}–{100 * MIDDLE[1]:.0f}%"
_SCORINGS: dict[Scoring, str] = {
    "mean": "mean score",
    "ability": "ability",
    "predicted": "predicted score",
}
"""What agents are ranked by."""


def run(run: Run) -> str:
    """The page."""
    responses = run.load(NEEDS[0])
    evidence = gather(responses)
    size = min(SIZE, len(responses.items) // 3)
    random = reduced(run, evidence, size)
    newest = by_date(responses)
    dated = reduced(run, evidence, size, held_out=[newest]) if len(newest) else None
    ahead = reduced(run, evidence, size, held_out=[newest], where="newest") if dated else None
    point = random.at(size)
    assert point is not None
    return page(
        "subset",
        TITLE,
        lead(random, dated, ahead, size),
        facts([(NEEDS[0], responses)]),
        [
            about(random, newest, responses),
            f"## {size} tasks",
            grid(scored(point, random)),
            "## By number of tasks, agents held out at random",
            grid(by_size(random)),
            picture(run, "subset", random, evidence),
            *(
                (
                    "## By number of tasks, the newest agents held out",
                    grid(by_size(dated, ahead)),
                    picture(run, "subset-date", dated, evidence),
                )
                if dated
                else ()
            ),
            f"## The {size} tasks",
            "Chosen on all agents, in the order of choice: " + ", ".join(random.subset.items) + ".",
        ],
    )


def reduced(run: Run, evidence: Evidence, size: int, **held_out: Any) -> Reduction:
    """Subsets of all sizes on held-out agents."""
    what = "by date" if held_out else "at random"
    return analyse_subset(
        evidence,
        Budget(tasks=size),
        calibration="quick" if run.quick else "full",
        folds=FOLDS,
        repeats=1 if run.quick else REPEATS,
        sizes=SIZES,
        draws=50 if run.quick else DRAWS,
        resamples=run.resamples // 4,
        progress=lambda done, total: run.tick(f"held out {what}", done, total),
        **held_out,
    )


def by_date(responses: Responses) -> Indices:
    """Rows of the newest agents; none where too few have a date."""
    dates = np.array(responses.date)
    dated = np.flatnonzero(dates != "")
    count = round(NEWEST * len(dated))
    order = dated[np.argsort(dates[dated], kind="stable")]
    return np.sort(order[len(dated) - count :]) if count > 2 else order[:0]


# --- the page ---------------------------------------------------------------------------------


def lead(
    random: Reduction, dated: Reduction | None, ahead: Reduction | None, size: int
) -> list[str]:
    """What it shows."""
    point = random.at(size)
    assert point is not None
    found = [compared(point, random, "agents held out at random")]
    if dated and (at := dated.at(size)):
        whom = "the newest agents, by tasks chosen on the older ones"
        found.append(compared(at, dated, whom) + for_newest(ahead, size))
    as_good = needed(random, size)
    predicted = point.chosen["predicted"].error, point.random["predicted"].error
    found += [
        f"Random subsets rank as well as {size} chosen tasks with {as_good}.",
        f"The score on all tasks is predicted from the {size} chosen ones with a mean error of "
        f"{told(predicted[0], 1, 100)} points, from random ones with {told(predicted[1], 1, 100)}. "
        "The plain mean over chosen tasks is no estimate of that score: use it for ranks only.",
    ]
    return found


def compared(point: Point, found: Reduction, whom: str) -> str:
    """The choice against random subsets and the rule, and first whether it is better."""
    heads = [better(point.gain, "random subsets")]
    texts = [
        f"Ranks of {whom}, {point.size} tasks against all, Kendall's τ: "
        f"{told(point.chosen['mean'].tau, 3)} for the chosen ones, "
        f"{told(point.random['mean'].tau, 3)} for random ones, 90% of which lie between "
        f"{point.band[0]:.3f} and {point.band[1]:.3f}: {told(point.gain, 3)} more on average, and "
        f"{point.beaten:.0%} of {found.draws:,} are worse."
    ]
    if point.middle is not None:
        heads.append(better(point.gain_middle, f"the {RULE} rule"))
        texts.append(
            f"As many tasks that {RULE} of the other agents solve: "
            f"{told(point.middle['mean'].tau, 3)}; the choice has {told(point.gain_middle, 3)} "
            "more."
        )
    return " ".join([f"**{sentence(', '.join(heads))}.**", *texts])


def for_newest(ahead: Reduction | None, size: int) -> str:
    """What it changes to choose where the newest of the older agents are."""
    point = ahead.at(size) if ahead else None
    if point is None:
        return ""
    return (
        " Chosen where the newest quarter of the older agents are: "
        f"{told(point.chosen['mean'].tau, 3)}, {better(point.gain, 'random subsets')}."
    )


def better(gain: Estimate, than: str) -> str:
    """Whether a difference is shown, in words.

    >>> better(Estimate(0.1, 0.05, 0.2), "the rule"), better(Estimate(0.1, -0.1, 0.2), "the rule")
    ('better than the rule', 'not shown to be better than the rule')
    """
    if gain.low is not None and gain.low > 0:
        return f"better than {than}"
    if gain.high is not None and gain.high < 0:
        return f"worse than {than}"
    return f"not shown to be better than {than}"


def needed(found: Reduction, size: int) -> str:
    """How many random tasks rank as well as the chosen ones of a size, in words.

    On a straight line between the logarithms of the sizes that were tried.
    """
    point = found.at(size)
    assert point is not None
    sizes = np.array([one.size for one in found.curve], float)
    taus = np.maximum.accumulate([_value(one.random["mean"].tau) for one in found.curve])
    goal = _value(point.chosen["mean"].tau)
    if not goal <= taus[-1]:
        return f"more than {sizes[-1]:.0f}"
    return f"about {np.exp(np.interp(goal, taus, np.log(sizes))):.0f}"


def _value(one: Estimate) -> float:
    return np.nan if one.value is None else one.value


def about(found: Reduction, newest: Indices, responses: Responses) -> str:
    """How it was done."""
    dates = sorted(responses.date[agent] for agent in newest)
    full = "a bank calibrated" if found.calibration == "full" else "an approximate calibration made"
    text = (
        f"Held out: one of {FOLDS} random parts of the agents, about {found.held_out:.0f}, in turn "
        f"and {found.folds} times in all"
    )
    if len(newest):
        text += f"; and the newest {len(newest)}, from {dates[0]} on"
    return (
        f"{text}. Each time, {full} on the other agents only; tasks are picked one after the "
        "other, the one first that leaves the score on all tasks least uncertain where those "
        f"agents are. Random: {found.draws:,} subsets of each size; {RULE}: as many drawn among "
        f"the tasks that {RULE} of the other agents solve, {found.middle_items:.0f} on average. "
        "Ranks are those of the mean score on the subset, against the score on all tasks. Brackets "
        "are 95% intervals of a bootstrap over agents, paired for differences."
    )


def scored(point: Point, found: Reduction) -> Grid:
    """All ways to choose and to score at one size."""
    ways: list[tuple[str, Any]] = [
        ("chosen", point.chosen),
        ("random", point.random),
        (RULE, point.middle),
        (f"all {found.middle_items:.0f} of {RULE}", found.all_middle),
    ]
    return Grid(
        ("tasks", "ranks by", "Kendall's τ", "Spearman's ρ", "error, points"),
        tuple(
            (
                way,
                name,
                *(told(one, 3) for one in (agreements[scoring].tau, agreements[scoring].rho)),
                _error(agreements[scoring]),
            )
            for way, agreements in ways
            if agreements is not None
            for scoring, name in _SCORINGS.items()
        ),
        words=(1,),
    )


def _error(found: Agreement) -> str:
    return told(found.error, 1, 100)


def by_size(found: Reduction, ahead: Reduction | None = None) -> Grid:
    """Rank agreement by number of tasks; ``ahead`` was chosen where the newest agents are."""
    return Grid(
        (
            "tasks",
            "chosen",
            *(["chosen for the newest"] if ahead else []),
            "random",
            "90% of random ones",
            RULE,
            "more than random",
            f"more than {RULE}",
            "random ones beaten",
        ),
        tuple(
            (
                str(point.size),
                told(point.chosen["mean"].tau, 3),
                *(
                    [told(at.chosen["mean"].tau, 3)]
                    if ahead and (at := ahead.at(point.size))
                    else []
                ),
                told(replace(point.random["mean"].tau, low=None, high=None), 3),
                f"{signed(point.band[0], 3)} to {signed(point.band[1], 3)}",
                told(replace(point.middle["mean"].tau, low=None, high=None), 3)
                if point.middle and point.size <= found.middle_items
                else "–",
                told(point.gain, 3),
                told(point.gain_middle, 3) if point.size <= found.middle_items else "–",
                f"{point.beaten:.0%}",
            )
            for point in found.curve
        ),
    )


def picture(run: Run, name: str, found: Reduction, evidence: Evidence) -> str:
    """τ by number of tasks."""
    section = subset_section(found, evidence)
    return plot(run.out, name, next(plots_of(section)), section.title)
