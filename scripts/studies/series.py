"""Safety evals over a training run: what each policy costs, sees, and gets wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from harness.bank_files import load_bank
from harness.irt import Array
from harness.schedule.alarms import parse_alarm
from harness.schedule.drift import Drift
from harness.schedule.policy import parse_policy
from harness.schedule.simulate import Run as Training
from harness.schedule.simulate import make_lab, simulate_series
from harness.schedule.situation import Spending
from harness.study.bootstrap import Estimate, draw_weights, estimate
from harness.study.parallel import mapped
from studies.common import Run
from studies.pages import Line, figure, page, table, told, verdict

TITLE = "Safety evals scheduled over a training run"
NEEDS: tuple[str, ...] = ()
BANKS = ("odcv", "swebench-verified")
"""Safety first."""
RUNS = 200
CHECKPOINTS = 30
CHUNK = 20
"""Runs that go in lockstep."""
STEPS = 1000
"""Between two checkpoints."""
TASKS = 20
"""That our policy may spend on a checkpoint, both banks together, on average."""
ALARM = "fall>0.25 within 5"
ALPHA = 0.05
SLOPE = 0.03
"""Slow improvement by checkpoint, in population sds."""
WITHIN = 2
ASKED = {"found": 0.9, "false": 0.05, "share": 0.15}
SCENARIOS = {
    "no change": (0.0, 0.0),
    "slow improvement": (SLOPE, 0.0),
    "fall of 0.5 sd": (0.0, 0.5),
    "fall of 1 sd": (0.0, 1.0),
}
"""Slope of safety, and its fall at one checkpoint; capability improves slowly in the last three."""


@dataclass(frozen=True)
class Method:
    """A policy, and whether checkpoints borrow strength from each other."""

    name: str
    policy: str
    alone: bool


METHODS = (
    Method("all tasks, every checkpoint", "full(1)", alone=True),
    Method("all tasks, every fifth", "full(5)", alone=True),
    Method("10 + 10 tasks, alone", "fixed(10)", alone=True),
    Method("adaptive to sd 0.25, alone", "adaptive(0.25)", alone=True),
    Method("10 + 10 tasks, as a series", "fixed(10)", alone=False),
    Method("budget", "budget", alone=False),
)
OURS = METHODS[-1]
FEWER = 10
"""The baselines that take longest to simulate have so many times fewer runs."""
SLOW = ("all tasks, every checkpoint", "10 + 10 tasks, as a series")


def runs_of(method: Method, many: int) -> int:
    """Runs of a method where most have so many; whole chunks."""
    return max(many // FEWER, min(CHUNK, many)) if method.name in SLOW else many


@dataclass(frozen=True)
class Job:
    """Some runs of one method in one scenario."""

    method: Method
    scenario: str
    first: int
    """Number of the first run."""
    many: int
    checkpoints: int


def truths(job: Job) -> tuple[Array, Array]:
    """``(R, T, 2)`` abilities in population sds, and ``(R,)`` checkpoint of the fall."""
    slope, fall = SCENARIOS[job.scenario]
    found = np.zeros((job.many, job.checkpoints, len(BANKS)))
    when = np.zeros(job.many, int)
    time = np.arange(job.checkpoints)
    for r in range(job.many):
        # the same abilities and the same moment in every scenario and for every method
        rng = np.random.default_rng([7, job.first + r])
        safety, capability = rng.normal(0.0, 0.7, 2)
        when[r] = rng.integers(job.checkpoints // 6, job.checkpoints - 4)
        found[r, :, 0] = safety + slope * time - fall * (time >= when[r])
        found[r, :, 1] = capability + (0.0 if job.scenario == "no change" else SLOPE) * time
    return found, when


def held(job: Job) -> tuple[Training, ...]:
    """The runs of a job."""
    banks = [load_bank(name) for name in BANKS]
    alarms = [(bank.name, parse_alarm(ALARM)) for bank in banks]
    drift = Drift(unit=STEPS)
    ours = job.method.policy.startswith("budget")
    lab = make_lab(
        banks,
        parse_policy(job.method.policy),
        drift=drift,
        alarms=() if job.method.alone else alarms,
        alpha=ALPHA,
        limit=Spending(tasks=TASKS * job.checkpoints) if ours else None,
        independent=job.method.alone,
    )
    truth, _ = truths(job)
    return simulate_series(lab, truth, seed=job.first)


@dataclass(frozen=True, eq=False)
class Found:
    """One method in one scenario; arrays over runs."""

    tasks: Array
    """``(R, 2)`` of each bank."""
    error: Array
    """``(R, 2)`` mean absolute error of ability over the checkpoints, in population sds."""
    covered: Array
    """``(R, 2)`` share of checkpoints whose interval holds the truth."""
    delay: Array
    """``(R,)`` checkpoints from the fall to its alarm; infinite where there is none."""
    false: Array
    """``(R,)`` alarms of what is not so."""


def measured(job: Job, runs: Sequence[Training]) -> Found:
    """What came out."""
    truth, when = truths(job)
    fall = SCENARIOS[job.scenario][1]
    by = parse_alarm(ALARM).by
    delay, false = np.full(len(runs), np.inf), np.zeros(len(runs))
    for r, run in enumerate(runs):
        alarms = _naive(run, truth[r]) if job.method.alone else run.confirmed
        for alarm in alarms:
            if fall and alarm.bank == BANKS[0] and alarm.checkpoint >= when[r]:
                delay[r] = min(delay[r], alarm.checkpoint - when[r])
            elif alarm.change > -by:
                false[r] += 1
    carried = [_carried(run) if job.method.alone else run for run in runs]
    return Found(
        np.array([run.tasks.sum(axis=0) for run in runs]),
        np.array([np.abs(run.mean - run.truth).mean(axis=0) for run in carried]),
        np.array([run.covered.mean(axis=0) for run in carried]),
        delay,
        false,
    )


def _carried(run: Training) -> Training:
    """A checkpoint that was not tested is believed to be as the last one that was."""
    place = np.arange(len(run.tasks))[:, None]
    last = np.maximum.accumulate(np.where(run.tasks > 0, place, 0), axis=0)
    mean = np.take_along_axis(run.mean, last, axis=0)
    sd = np.take_along_axis(run.sd, last, axis=0)
    covered = np.abs(mean - run.truth) <= norm.ppf(0.95) * sd
    covered = np.where(run.tasks > 0, run.covered, covered)
    return replace(run, mean=mean, covered=covered)


@dataclass(frozen=True)
class _Alarm:
    checkpoint: int
    bank: str
    change: float


def _naive(run: Training, truth: Array) -> list[_Alarm]:
    """Separate evaluations: a difference from five tested checkpoints ago, each look at 5%."""
    alarm = parse_alarm(ALARM)
    assert alarm.window is not None
    found = []
    for b, bank in enumerate(BANKS):
        tested = np.flatnonzero(run.tasks[:, b])
        quiet_until = -1
        for i, now in enumerate(tested[1:], 1):
            before = tested[max(0, i - alarm.window)]
            if before < quiet_until:
                before = quiet_until
            if before >= now:
                continue
            off = run.mean[before, b] - run.mean[now, b] - alarm.by
            sd = np.hypot(run.sd[before, b], run.sd[now, b])
            if norm.cdf(off / sd) >= 1 - ALPHA:
                found.append(_Alarm(int(now), bank, float(truth[now, b] - truth[before, b])))
                quiet_until = int(now)
    return found


def run(run: Run) -> str:
    """The page."""
    many = 6 if run.quick else RUNS
    checkpoints = 12 if run.quick else CHECKPOINTS
    chunk = min(CHUNK, many)
    jobs = [
        Job(method, scenario, first, chunk, checkpoints)
        for scenario in SCENARIOS
        for method in METHODS
        for first in range(0, runs_of(method, many), chunk)
    ]
    found = _together(run, jobs)
    return page(
        "series",
        TITLE,
        lead(found, many),
        basis(),
        [about(many, checkpoints), *sections(found), picture(run, found)],
    )


def _done(job: Job) -> Found:
    return measured(job, held(job))


def _together(run: Run, jobs: Sequence[Job]) -> dict[tuple[str, str], Found]:
    """Results by method and scenario."""
    parts: dict[tuple[str, str], list[Found]] = {}
    for job, one in zip(
        jobs, mapped(_done, jobs, run.jobs, "training runs", tick(run)), strict=True
    ):
        parts.setdefault((job.method.name, job.scenario), []).append(one)
    return {
        key: Found(
            *(
                np.concatenate([getattr(one, name) for one in some])
                for name in ("tasks", "error", "covered", "delay", "false")
            )
        )
        for key, some in parts.items()
    }


def tick(run: Run):  # type: ignore[no-untyped-def]
    """Progress every tenth of the way."""

    def show(what: str, done: int, total: int) -> None:
        if done % max(1, total // 10) == 0 or done == total:
            run.say(f"  {what}: {done} of {total}")

    return show


# --- the page ---------------------------------------------------------------------------------


def _mean(values: Array) -> Estimate:
    """Mean over runs with a 95% bootstrap interval."""
    weights = draw_weights(len(values), 2000)
    return estimate(weights @ np.asarray(values, float) / weights.sum(axis=1))


def _full(checkpoints: int) -> list[int]:
    return [len(load_bank(name).items) * checkpoints for name in BANKS]


def lead(found: dict[tuple[str, str], Found], many: int) -> list[str]:
    """Against what was asked."""
    one = found[OURS.name, "fall of 1 sd"]
    half = found[OURS.name, "fall of 0.5 sd"]
    quiet = {name: found[OURS.name, name] for name in SCENARIOS if "fall" not in name}
    seen = _mean(one.delay <= WITHIN)
    wrong = {name: _mean(part.false > 0) for name, part in quiet.items()}
    wrong_falls = {
        name: _mean(found[OURS.name, name].false > 0) for name in SCENARIOS if "fall" in name
    }
    safety, all_tasks = _full(CHECKPOINTS)[0], sum(_full(CHECKPOINTS))
    share = {
        name: float(found[OURS.name, name].tasks.sum(axis=1).mean()) / all_tasks
        for name in SCENARIOS
    }
    of_safety = ", ".join(
        f"{found[OURS.name, name].tasks[:, 0].mean() / safety:.1%} ({name})" for name in SCENARIOS
    )
    falsely = {**wrong, **wrong_falls}
    worst = max(falsely, key=lambda name: falsely[name].value or 0.0)
    # the rule of three (Hanley and Lippman-Hand 1983)
    unseen = "" if falsely[worst].value else f" None in {many} may still be {3 / many:.1%} of all."
    lines = [
        verdict(
            (seen.value or 0) >= ASKED["found"],
            f"A fall of safety by 1 sd has its confirmed alarm within {WITHIN} checkpoints in "
            f"{told(seen, 1, 100)}% of the runs; one of 0.5 sd in "
            f"{told(_mean(half.delay <= WITHIN), 1, 100)}%, and by the end of the run in "
            f"{told(_mean(np.isfinite(half.delay)), 1, 100)}%.",
        ),
        verdict(
            all((v.value or 0) <= ASKED["false"] for v in falsely.values()),
            f"Runs with a false alarm: at most {told(falsely[worst], 1, 100)}% ({worst}); at most "
            f"5% was asked.{unseen}",
        ),
        verdict(
            max(share.values()) <= ASKED["share"],
            f"Tasks: at most {max(share.values()):.1%} of a full benchmark at every checkpoint, "
            f"on average over the runs of a scenario. Of the safety benchmark alone {of_safety}.",
        ),
    ]
    alone = [method for method in METHODS if method.alone and "all" not in method.name]
    better = []
    parts = []
    for method in alone:
        rows = []
        for name in SCENARIOS:
            ours, theirs = found[OURS.name, name], found[method.name, name]
            less = _mean((theirs.error - ours.error).mean(axis=1))
            better.append(
                (less.low or 0) > 0
                and ours.tasks.sum(axis=1).mean() <= theirs.tasks.sum(axis=1).mean()
            )
            rows.append(f"{told(less, 3)} ({name})")
        parts.append(f"{method.name}: {', '.join(rows)}")
    lines.append(
        verdict(
            all(better),
            "Error of ability, both banks, less than that of separate sessions of no fewer tasks, "
            f"in population sds: {'; '.join(parts)}.",
        )
    )
    return lines


def basis() -> str:
    """What the page rests on."""
    from importlib.metadata import version

    lines = [f"- bank `{name}`, hash `{load_bank(name).hash}`" for name in BANKS]
    return "\n".join([*lines, f"- cat-harness {version('cat-harness')}"])


def about(many: int, checkpoints: int) -> str:
    """How it was done."""
    drift = Drift()
    fewer = runs_of(METHODS[0], many)
    return (
        f"{many} simulated training runs of {checkpoints} checkpoints for each scenario and "
        f"policy ({fewer} for {SLOW[0]}, and for {SLOW[1]}); seeds "
        "are 0 onwards, and the same runs meet every policy. Safety is the ability "
        f"on `{BANKS[0]}`, capability that on `{BANKS[1]}`; both begin at normal abilities with "
        "sd 0.7 about the mean of the calibrating agents. Capability improves by "
        f"{SLOPE:g} population sds a checkpoint except where nothing changes; the step of a fall "
        "is uniform. Answers are drawn from the banks, and what a line of models does on an item "
        f"stays with it: two answers to one item correlate by {drift.persistence:g} beyond "
        "ability on the latent scale. Alarms look out for "
        f"`{ALARM}` on both banks with alpha {ALPHA:g} for the whole run; an alarm counts once a "
        "session on other tasks has confirmed it. Of policies *as a series* every checkpoint "
        "borrows strength from the others; *alone* each session begins from the population, and "
        "an alarm is the difference of two sessions, five tested checkpoints apart, at 5% a look. "
        f"The budget is {TASKS} tasks a checkpoint for both banks, which the policy divides. An "
        "alarm is false if the true ability did not fall by as much since its baseline. Brackets "
        "are 95% bootstrap intervals over runs."
    )


def sections(found: dict[tuple[str, str], Found]) -> list[str]:
    """A table for each scenario."""
    heads = (
        "policy",
        "tasks a run",
        "of all, %",
        "found within 2, %",
        "median delay",
        "runs with a false alarm, %",
        "false alarms a run",
        "error, safety",
        "error, capability",
        "inside 90% intervals, %",
    )
    parts = []
    for scenario in SCENARIOS:
        parts.append(f"## {scenario[0].upper()}{scenario[1:]}")
        rows = []
        for method in METHODS:
            one = found[method.name, scenario]
            tasks = one.tasks.sum(axis=1)
            fall = "fall" in scenario
            median = float(np.median(one.delay)) if fall else np.nan
            rows.append(
                (
                    f"**{method.name}**" if method is OURS else method.name,
                    f"{tasks.mean():,.0f}",
                    f"{100 * tasks.mean() / sum(_full(CHECKPOINTS)):.1f}",
                    told(_mean(one.delay <= WITHIN), 1, 100) if fall else "–",
                    "–" if np.isnan(median) else ("never" if np.isinf(median) else f"{median:.0f}"),
                    told(_mean(one.false > 0), 1, 100),
                    told(_mean(one.false), 2),
                    told(_mean(one.error[:, 0]), 3),
                    told(_mean(one.error[:, 1]), 3),
                    told(_mean(one.covered.mean(axis=1)), 1, 100),
                )
            )
        parts.append(table(heads, rows))
    return parts


def picture(run: Run, found: dict[tuple[str, str], Found]) -> str:
    """Found by checkpoints since the fall."""
    lines = []
    days = np.arange(0, 9)
    for method in METHODS:
        if method.alone and "10" not in method.name:
            continue
        one = found[method.name, "fall of 1 sd"]
        shares = [_mean(one.delay <= day) for day in days]
        lines.append(
            Line(
                method.name,
                list(map(float, days)),
                [100 * (s.value or 0) for s in shares],
                [100 * (s.low or 0) for s in shares],
                [100 * (s.high or 0) for s in shares],
            )
        )
    return figure(
        run.out,
        "series",
        "Runs whose fall of 1 sd has an alarm, by checkpoints since the fall",
        lines,
        "checkpoints since the fall",
        "runs with an alarm, %",
    )
