"""Selecting per dollar and per second: what the same error costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.irt import Array
from harness.responses import Responses
from harness.study import StudyResult, measure_study, parse_study, run_study
from harness.study.result import Needed
from studies.common import Run
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Per dollar and per second"
COSTS = "openagentsafety"
DRAWN = ("swebench_verified", "terminal_bench_2")
NEEDS = (COSTS, *DRAWN)
SIZES = (5, 10, 20, 30, 50, 100)
JUDGED = (10, 20, 30)
TARGET = 0.7
"""Of the plain plan's cost."""
SELECTORS = ("max-information", "score-variance")
UNITS = ("usd", "seconds")
NAMES = {"usd": "dollars", "seconds": "seconds"}


@dataclass(frozen=True)
class Spread:
    """How costs of attempts vary: sds of their natural logarithms, and the overall mean."""

    mean: float
    item: float
    agent: float
    attempt: float
    """What neither item nor agent explains."""
    score: float
    """Correlation over items of their cost with the mean score on them."""


def run(run: Run) -> str:
    """The page."""
    known = priced(run.load(COSTS))
    spreads = {unit: spread(known, unit) for unit in UNITS}
    run.say("  leave one agent out")
    real = studied(run, COSTS, alone(known), "pcm", {"by": "family", "seeds": 1})
    found, data = {}, [(COSTS, known)]
    for name in DRAWN:
        run.say(f"  {name}")
        responses = run.load(name)
        data.append((name, responses))
        costly = with_costs(responses, spreads, seed=0)
        split = {"by": "random", "share": 0.7, "seeds": run.seeds}
        found[name] = studied(run, name, costly, "2pl", split)
    return page(
        "cost",
        TITLE,
        lead(real, found, spreads),
        facts(data),
        [about(run, known, spreads), *sections(real, found), picture(run, found)],
    )


# --- costs ------------------------------------------------------------------------------------


def priced(responses: Responses) -> Responses:
    """The attempts whose dollars and seconds are known."""
    kept = np.isfinite(responses.usd) & np.isfinite(responses.seconds)
    kept &= (responses.usd > 0) & (responses.seconds > 0)
    columns = ("agent", "item", "trial", "category", "usd", "seconds", "tokens", "turns")
    some = replace(responses, **{name: getattr(responses, name)[kept] for name in columns})
    return some.subset(items=[some.items[i] for i in np.unique(some.item)])


def spread(responses: Responses, unit: str) -> Spread:
    """Variance components of log costs with crossed effects of item and agent, by moments.

    Effects are fitted by least squares; what noise adds to the variance of their estimates, its
    own variance over the number of attempts, is taken off.
    """
    y = np.log(getattr(responses, unit))
    sizes = len(responses.items), len(responses.agents)
    of = (responses.item, responses.agent)
    effects = [np.zeros(size) for size in sizes]
    times = [np.bincount(one, minlength=size) for one, size in zip(of, sizes, strict=True)]
    mean = float(y.mean())
    for _ in range(200):
        for which in (0, 1):
            other = 1 - which
            left = y - mean - effects[other][of[other]]
            effects[which] = np.bincount(of[which], left, sizes[which]) / times[which]
            effects[which] -= effects[which].mean()
    rest = y - mean - effects[0][of[0]] - effects[1][of[1]]
    rest -= rest.mean()
    noise = float((rest**2).sum() / (len(y) - sum(sizes) + 1))
    sds = [
        float(np.sqrt(max(effect.var(ddof=1) - noise * (1 / count).mean(), 0.0)))
        for effect, count in zip(effects, times, strict=True)
    ]
    score = np.nanmean(responses.scores(), axis=0)
    correlation = float(np.corrcoef(effects[0], score)[0, 1])
    return Spread(mean, sds[0], sds[1], float(np.sqrt(noise)), correlation)


def with_costs(responses: Responses, spreads: dict[str, Spread], seed: int) -> Responses:
    """With log-normal costs drawn for every attempt."""
    rng = np.random.default_rng(seed)

    def draw(one: Spread) -> Array:
        item = rng.normal(0, one.item, len(responses.items))
        agent = rng.normal(0, one.agent, len(responses.agents))
        attempt = rng.normal(0, one.attempt, len(responses.category))
        return np.exp(one.mean + item[responses.item] + agent[responses.agent] + attempt)

    usd, seconds = (draw(spreads[unit]) for unit in UNITS)
    return replace(responses, usd=usd, seconds=seconds)


def alone(responses: Responses) -> Responses:
    """Every agent as a family of its own, so that a split by family leaves one agent out."""
    return replace(responses, llm=tuple(f"{name}/" for name in responses.agents))


def studied(
    run: Run, name: str, responses: Responses, model: str, split: dict[str, object]
) -> StudyResult:
    """Plain plans and the same per unit of cost; amounts are compared with the first."""
    most = len(responses.items) // 2
    plans: list[dict[str, str]] = [{"select": select} for select in SELECTORS[:1]]
    plans += [{"select": f"{select}/{unit}"} for select in SELECTORS for unit in UNITS]
    plans += [{"select": SELECTORS[1]}, {"select": "random"}]
    plan = parse_study(
        {
            "name": name,
            "responses": name,
            "model": model,
            "split": split,
            "plans": plans,
            "baselines": [],
            "sizes": [size for size in SIZES if size <= most],
            "resamples": run.resamples // 2,
        },
        "this study",
    )
    return measure_study(run_study(plan, responses, jobs=run.jobs, progress=run.tick))


def needs(found: StudyResult, plan: str, unit: str) -> dict[int, Needed]:
    """What a plan needs for the errors of the plain one, by its size."""
    return {
        one.size: one
        for one in found.needed
        if one.plan == plan and one.unit == unit and one.reference == SELECTORS[0]
    }


# --- the page ---------------------------------------------------------------------------------


def lead(
    real: StudyResult, found: dict[str, StudyResult], spreads: dict[str, Spread]
) -> list[str]:
    """What it shows."""
    lines = []
    for name, one in found.items():
        for unit in UNITS:
            plan = f"{SELECTORS[0]}/{unit}"
            there = needs(one, plan, unit)
            shares = {size: there[size].share for size in JUDGED if size in there}
            met = all(s.value is not None and s.value <= TARGET for s in shares.values())
            text = ", ".join(f"{told(share, 2)} at {size}" for size, share in shares.items())
            lines.append(
                verdict(
                    met,
                    f"{name}, {NAMES[unit]} drawn: `{plan}` has the error of `{SELECTORS[0]}` for "
                    f"this share of its {NAMES[unit]}: {text} tasks; at most {TARGET:g} was "
                    "asked."
                    + ("" if met else why(spreads[unit])),
                )
            )
    lines.append(
        f"On the {real.agents} agents of `{COSTS}`, whose costs are real, nothing can be said with "
        "any confidence: four agents calibrate a bank whose priors are held, and five are tested. "
        "The table is there to be honest, not to decide."
    )
    return lines


def why(one: Spread) -> str:
    """Why little is saved."""
    return (
        f" Expected costs of tasks differ by a factor of e^{one.item:.2f} (one sd), attempts at "
        f"the same task by the same agent by e^{one.attempt:.2f}: most of what an attempt costs "
        "cannot be known before. And a plan that avoids dear tasks has to take more of the cheap "
        "ones, the less informative the longer it goes on."
    )


def about(run: Run, known: Responses, spreads: dict[str, Spread]) -> str:
    """How it was done."""
    rows = [
        (
            NAMES[unit],
            f"{np.exp(one.mean):.3g}",
            f"{one.item:.2f}",
            f"{one.agent:.2f}",
            f"{one.attempt:.2f}",
            f"{one.score:.2f}",
        )
        for unit, one in spreads.items()
    ]
    heads = ("cost", "geometric mean", "sd, tasks", "sd, agents", "sd, rest", "with mean score")
    return (
        f"`{COSTS}` has dollars and seconds for {len(known.category)} attempts of "
        f"{len(known.agents)} agents; the others are left out. Their logarithms, as the sum of an "
        "effect of the task, one of the agent and a rest (the last column is the correlation of "
        "the first with the mean score on the task, which is not drawn):\n\n"
        f"{table(heads, rows)}\n\n"
        f"No other data set has costs, `terminal_bench_2` neither. For "
        f"{' and '.join(f'`{name}`' for name in DRAWN)} they are drawn from these log-normals "
        "(seed 0), independent of all else, dollars of seconds too; outcomes are real. Banks "
        f"(`2pl`) are calibrated on a random 70% of the agents, {run.seeds} times (seeds from 0), "
        "and expect of a task what it cost the calibrating agents on average. In "
        f"`{COSTS}` each agent is tested with a bank (`pcm`) of the four others. Costs are "
        "compared at equal mean error of the predicted score, all agents together. Brackets are "
        "95% bootstrap intervals over agents."
    )


def sections(real: StudyResult, found: dict[str, StudyResult]) -> Iterator[str]:
    """Errors, costs and shares."""
    for name, one in {**found, COSTS: real}.items():
        costs = "real costs, five agents" if one is real else "drawn costs"
        yield f"## {name}: {costs}"
        yield table(
            ("plan", *(f"error at {size}" for size in one.sizes)),
            [
                (f"`{plan.name}`", *(told(point.score.mae, 2, 100) for point in plan.points))
                for plan in one.plans
            ],
        )
        for unit in UNITS:
            yield (
                f"{NAMES[unit].capitalize()} for the error of `{SELECTORS[0]}` after so many "
                "tasks, as a share of what it spends:"
            )
            yield table(
                ("plan", *(str(size) for size in one.sizes)),
                list(_shares(one, unit)),
            )


def _shares(one: StudyResult, unit: str) -> Iterator[Sequence[str]]:
    for plan in one.plans[1:]:
        there = needs(one, plan.name, unit)
        if there:
            yield (
                f"`{plan.name}`",
                *(told(there[size].share, 2) if size in there else "–" for size in one.sizes),
            )


def picture(run: Run, found: dict[str, StudyResult]) -> str:
    """Errors against dollars."""
    parts = []
    for name, one in found.items():
        lines = [
            Line(plan.name, _numbers(plan.curve.usd), 100 * _numbers(plan.curve.mae))
            for plan in one.plans
            if not plan.name.endswith("seconds")
        ]
        caption = f"{name}: mean absolute error of the predicted score against dollars spent"
        text = figure(
            run.out, f"cost-{name}", caption, lines, "dollars an agent", "error, points", log=True
        )
        parts.append(text)
    return "\n\n".join(parts)


def _numbers(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values])


