"""Cold starts on outcomes of real agents: new tasks, agents, benchmarks, and sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.coldstart.benchmark import Benchmark, make_benchmark
from harness.coldstart.elsewhere import tell_benchmark
from harness.coldstart.result import Coverage, Found, Protocol, Result
from harness.coldstart.run import run_protocol
from harness.coldstart.sessions import ADVISED, MEAN, run_cold_sessions
from harness.features import extract_features, read_features, table_texts
from harness.regression import Features
from harness.responses.parts import with_parts
from harness.study import StudyResult
from harness.study.bootstrap import Estimate
from studies.common import Run
from studies.pages import Line, facts, figure, page, table, told, verdict

TITLE = "Cold starts: new tasks, new agents, new benchmarks"
SWE, TERMINAL = "swebench_verified", "terminal_bench_2_majority"
NEEDS = (SWE, TERMINAL)
JUDGED = "judged-15", "judged-28"
"""Blocks of attributes that a language model gave; the 15 saw the solution, the 28 mix levels."""
STATED = "stated"
STATED_COLUMNS = (
    *("atypicality", "domain_knowledge_required", "error_specificity"),
    *("expected_behavior_clarity", "information_completeness", "logical_reasoning_required"),
    *("problem_clarity", "reproduction_clarity", "similar_issue_likelihood", "solution_hint"),
)
"""Those of the 28 that somebody can judge from the statement alone."""
VECTORS = 20
WORDED = "judged and text vectors"
RIDGE = f"ridge on {JUDGED[0]}"
TASKS, CELLS, AGENTS = "explained 1PL", "explained 2PL", "parts"


@dataclass(frozen=True, eq=False)
class Told:
    """One benchmark with several sets of features."""

    all_judged: Benchmark
    """With both judged blocks."""
    stated: Benchmark
    """With what the statement alone tells."""
    worded: Benchmark | None
    """With both judged blocks and vectors of the statements; None where they are not known."""
    everything: Benchmark | None
    """With all that can be extracted besides."""


def run(run: Run) -> str:
    """The page."""
    swe, terminal = load(run, SWE), load(run, TERMINAL)
    tasks = [
        *((SWE, "judged", swe.all_judged), (SWE, "statement only", swe.stated)),
        *((TERMINAL, "judged", terminal.all_judged), (TERMINAL, "statement only", terminal.stated)),
        *([(TERMINAL, WORDED, terminal.worded)] if terminal.worded else []),
        *([(TERMINAL, "everything", terminal.everything)] if terminal.everything else []),
    ]
    found = {
        (name, what): protocol(run, "tasks", benchmark, what) for name, what, benchmark in tasks
    }
    both = [swe.all_judged, terminal.all_judged]
    cells = [protocol(run, "responses", one) for one in both]
    agents = [protocol(run, "agents", one) for one in both]
    dated = [protocol(run, "agents-by-date", one) for one in both]
    pairs = [protocol(run, "pairs", one) for one in both]
    run.say("  new benchmarks")
    across = [tell_benchmark(one, [other]) for one, other in zip(both, reversed(both), strict=True)]
    sessions = [session(run, one) for one in both]
    abroad = [session(run, one, [other]) for one, other in zip(both, reversed(both), strict=True)]
    return page(
        "cold-start",
        TITLE,
        lead(found, cells, agents, dated, sessions),
        facts((one.name, one.responses) for one in both),
        [
            INTRODUCTION,
            *new_tasks(found),
            *protocol_tables("New responses", CELLS_TEXT, cells),
            *protocol_tables("New agents", AGENTS_TEXT, agents),
            *protocol_tables("The newest agents", DATED_TEXT, dated),
            *protocol_tables("New pairs of model and scaffold", PAIRS_TEXT, pairs),
            *protocol_tables("A new benchmark", ACROSS_TEXT, across),
            *of_sessions(run, sessions, abroad),
            COMMANDS,
        ],
    )


INTRODUCTION = f"""Everything here is told of outcomes that the method has not seen. Folds are those
of `KFold(5, shuffle=True, random_state=0)` on sorted names; all that is fitted is fitted again in
every fold; all agents are told of, whether or not their models are known. AUC is over all cells
pooled, and besides as the mean of the folds' own. The log score is in nats an attempt, higher is
better. Brackets are 95% bootstrap intervals over tasks, or over agents where agents are new. The
oracle is a 1PL fitted to all outcomes, those to be told among them.

The judged attributes come with the data: block `{JUDGED[0]}` was rated with the reference solution
in sight, and `{JUDGED[1]}` mixes all levels of information. Somebody who designs new tasks has no
solution rated yet, so `statement only` uses just {len(STATED_COLUMNS)} attributes that can be
judged from the statement ({", ".join(STATED_COLUMNS)}),
and for Terminal-Bench the extracted features of the statement and its text vectors. Their judge did
see the rest, so this is still an upper bound.
Which model explains new tasks (1PL or 2PL), which blocks to add, and how tasks are chosen in a
cold-start session were settled on these two benchmarks: differences of a hundredth between such
choices are no evidence for other data."""
CELLS_TEXT = (
    "A fifth of the cells at a time is told from all others. `with strengths` gives every agent a "
    "weight of every feature on top."
)
AGENTS_TEXT = (
    "A fifth of the agents at a time is told from the outcomes of the others. `parts` knows the "
    "model, the scaffold and the date of an agent, so far as the data say them; `population` "
    "knows nothing."
)
DATED_TEXT = "The newest 30% of the agents are told from the older ones."
PAIRS_TEXT = (
    "Agents are told whose model and scaffold other agents have too, but not both together; agents "
    "of unknown parts help to calibrate."
)
ACROSS_TEXT = (
    "All outcomes of one benchmark are told from the other. What features say of differences "
    "between tasks carries over as far as it does; the level does not, and is left open with an "
    "sd of 1.5. With two benchmarks it cannot be learned how far levels lie apart."
)
COMMANDS = """## Do it yourself

```
cat-harness study cold-start responses.csv.gz --features judged=features.csv --agents agents.csv \\
  --protocol tasks -o tasks.html --json tasks.json
cat-harness study cold-start new.csv.gz --with old=old.csv.gz --features judged=new_features.csv \\
  --with-features judged=old_features.csv --protocol session
```"""


# --- what is run ------------------------------------------------------------------------------


def load(run: Run, name: str) -> Told:
    """A benchmark with its features."""
    folder = run.data / name
    responses = run.load(name)
    if (folder / "agents.csv").exists():
        with_names = with_parts(responses, folder / "agents.csv")
        responses = replace(
            responses, llm=with_names.llm, scaffold=with_names.scaffold, date=with_names.date
        )
    judged = read_features(
        {JUDGED[0]: folder / "features_15.csv", JUDGED[1]: folder / "features_28.csv"}
    )
    stated = _stated(judged)
    worded = everything = None
    if (folder / "tasks.csv.gz").exists():
        texts = table_texts(folder / "tasks.csv.gz", lambda text: None)
        known = {item: texts[item] for item in responses.items if item in texts}
        extracted = extract_features(known, vectors=min(VECTORS, len(known) // 4)).features
        worded = make_benchmark(name, responses, judged.beside(extracted.only(["text"])))
        everything = make_benchmark(name, responses, judged.beside(extracted))
        stated = stated.beside(extracted.only(["statement", "text", "languages"]))
    return Told(
        make_benchmark(name, responses, judged),
        make_benchmark(name, responses, stated),
        worded,
        everything,
    )


def _stated(judged: Features) -> Features:
    kept = [
        k
        for k, column in enumerate(judged.columns)
        if column.block == JUDGED[1] and column.name in STATED_COLUMNS
    ]
    return Features(
        judged.names,
        tuple(replace(judged.columns[k], block=STATED) for k in kept),
        tuple(tuple(row[k] for k in kept) for row in judged.cells),
    )


def protocol(run: Run, which: Protocol, benchmark: Benchmark, what: str = "") -> Result:
    """One protocol, with a line of progress."""
    run.say(f"  {which}, {benchmark.name} {what}".rstrip())
    return run_protocol(which, benchmark, jobs=run.jobs)


def session(run: Run, benchmark: Benchmark, others: Sequence[Benchmark] = ()) -> StudyResult:
    """Cold-start sessions of all agents."""
    origin = f" from {others[0].name}" if others else ""
    run.say(f"  sessions, {benchmark.name}{origin}")
    return run_cold_sessions(benchmark, others=others, jobs=run.jobs, repeats=2 if run.quick else 5)


# --- what is said -----------------------------------------------------------------------------


def method(found: Result, name: str) -> Found:
    """One of the methods."""
    return next(one for one in found.methods if one.name == name)


def lead(
    tasks: dict[tuple[str, str], Result],
    cells: Sequence[Result],
    agents: Sequence[Result],
    dated: Sequence[Result],
    sessions: Sequence[StudyResult],
) -> list[str]:
    """What the page shows, the targets first."""
    lines = []
    for (name, what), found in tasks.items():
        if what == "statement only":
            continue
        ours, ridge = method(found, TASKS), method(found, RIDGE)
        lines.append(
            verdict(
                ours.mean_auc > ridge.mean_auc,
                f"New tasks, `{name}`, {what}: AUC {ours.mean_auc:.3f} as the mean of the folds "
                f"({told(ours.auc, 3)} pooled), ridge regression {ridge.mean_auc:.3f}, ability "
                f"only {method(found, 'ability only').mean_auc:.3f}, oracle "
                f"{method(found, 'oracle').mean_auc:.3f}; log score {told(ours.log_score, 3)} "
                f"against {told(ridge.log_score, 3)}.",
            )
        )
        lines.append(_covered("difficulties of unseen tasks", name, ours.difficulty))
    for found in cells:
        ours, other = method(found, CELLS), method(found, "1PL")
        gap = next(one for one in found.differences if one.first == "1PL")
        met = (gap.auc.low or 0) > 0 and (gap.log_score.low or 0) > 0
        lines.append(
            verdict(
                met,
                f"New responses, `{found.benchmark}`: AUC {told(ours.auc, 3)}, of an agent-wise "
                f"1PL {told(other.auc, 3)}; differences {told(gap.auc, 4)} and in log score "
                f"{told(gap.log_score, 4)}.",
            )
        )
    for found in agents:
        ours = method(found, AGENTS)
        target = found.benchmark != SWE or (ours.auc.value or 0) >= 0.91
        lines.append(
            verdict(
                target,
                f"New agents, `{found.benchmark}`: AUC {told(ours.auc, 3)} over all "
                f"{found.agents}; by the mean of each task "
                f"{told(method(found, 'item mean').auc, 3)}.",
            )
        )
        lines.append(_covered("abilities of unseen agents", found.benchmark, ours.ability))
    for found in dated:
        ours = method(found, AGENTS)
        lines.append(
            f"The newest agents, `{found.benchmark}`: AUC {told(ours.auc, 3)}, by the mean of each "
            f"task {told(method(found, 'item mean').auc, 3)}; log score "
            f"{told(ours.log_score, 3)} against {told(method(found, 'item mean').log_score, 3)}."
        )
        lines.append(_covered("abilities of the newest agents", found.benchmark, ours.ability))
    return lines + [_session_line(found) for found in sessions]


def _covered(what: str, name: str, found: Coverage | None) -> str:
    assert found is not None
    share = found.share.value or 0.0
    return verdict(
        0.85 <= share <= 0.95,
        f"90% intervals of the {what}, `{name}`: they hold in {told(found.share, 0, 100)}% of "
        f"{found.n}.",
    )


def _session_line(found: StudyResult) -> str:
    ours, base = (
        next(plan for plan in found.plans if plan.name == name) for name in (ADVISED, MEAN)
    )
    rows = list(zip(ours.points, base.points, strict=True))
    errors = all((a.score.mae.value or 0) <= (b.score.mae.value or 0) for a, b in rows)
    ranks = all(
        (a.score.spearman.value or 0) > (b.score.spearman.value or 0)
        for a, b in rows
        if a.size in (10, 20)
    )
    holds = [a.score.coverage[0].value or 0.0 for a, _ in rows]
    met = errors and ranks and min(holds) >= 0.7 and max(holds) <= 0.9
    sizes = ", ".join(str(a.size) for a, _ in rows)
    mine = ", ".join(f"{100 * (a.score.mae.value or 0):.1f}" for a, _ in rows)
    theirs = ", ".join(f"{100 * (b.score.mae.value or 0):.1f}" for _, b in rows)
    return verdict(
        met,
        f"Cold-start sessions, `{found.name}`, after {sizes} tasks: off by {mine} points, random "
        f"tasks scored by their mean by {theirs}; 80% intervals hold in {100 * min(holds):.0f} to "
        f"{100 * max(holds):.0f}%.",
    )


METHOD_HEADS = ("method", "AUC, pooled", "mean of folds", "log score", "Brier", "calibration error")


def method_row(one: Found) -> tuple[str, ...]:
    """A method in a table."""
    return (
        one.name,
        told(one.auc, 3),
        f"{one.mean_auc:.3f}",
        told(one.log_score, 3),
        f"{one.brier.value:.3f}",
        f"{one.calibration:.3f}",
    )


def new_tasks(found: dict[tuple[str, str], Result]) -> list[str]:
    """Tables of new tasks, and what blocks are worth."""
    parts = ["## New tasks", "A fifth of the tasks at a time is told from the outcomes of others."]
    for (name, what), one in found.items():
        main = [m for m in one.methods if not m.name.startswith(("only ", "without "))]
        blocks = ", ".join(f"`{block}` ({n})" for block, n in one.blocks)
        parts += [
            f"### {name}, {what}",
            f"Blocks and their columns: {blocks}.",
            table(METHOD_HEADS, map(method_row, main)),
            *_differences(one, (RIDGE, "two-stage 1PL", "explained 2PL", "with strengths")),
        ]
        worth = [m for m in one.methods if m.name.startswith(("only ", "without "))]
        if worth:
            ours = method(one, TASKS)
            rows = [
                (
                    m.name,
                    told(m.auc, 3),
                    f"{m.mean_auc:.3f}",
                    told(m.log_score, 3),
                    told(gap.auc, 4),
                    told(gap.log_score, 4),
                )
                for m in worth
                for gap in one.differences
                if gap.first == m.name
            ]
            heads = (
                "blocks",
                "AUC",
                "mean of folds",
                "log score",
                "all less this: AUC",
                "log score",
            )
            parts += [
                f"What each block is worth, in {ours.name} with all of them ({told(ours.auc, 3)}):",
                table(heads, rows),
            ]
    parts += ["### Whether stated difficulties hold", *_coverages(found.values(), "difficulty")]
    return parts


def _differences(found: Result, names: Sequence[str]) -> list[str]:
    rows = [
        (f"{found.main} less {gap.first}", told(gap.auc, 4), told(gap.log_score, 4))
        for gap in found.differences
        if gap.first in names
    ]
    return [table(("paired difference", "AUC", "log score"), rows)] if rows else []


def _coverages(results: Iterable[Result], what: str) -> list[str]:
    rows = []
    for one in results:
        for m in one.methods:
            said = getattr(m, what)
            if said is None or m.name.startswith(("only ", "without ", "with strengths")):
                continue
            blocks = ", ".join(name for name, _ in one.blocks)
            rows.append(
                (
                    f"{one.benchmark}: {m.name}",
                    blocks if what == "difficulty" else f"{one.protocol}",
                    told(said.share, 0, 100),
                    f"{said.rmse:.2f}",
                    f"{said.sd:.2f}",
                    "–" if said.correlation != said.correlation else f"{said.correlation:.2f}",
                )
            )
    second = "blocks" if what == "difficulty" else "protocol"
    heads = ("method", second, "90% intervals hold, %", "off by", "stated sd", "correlation")
    return [table(heads, rows)]


def protocol_tables(title: str, text: str, results: Sequence[Result]) -> list[str]:
    """Tables of one protocol on both benchmarks."""
    parts = [f"## {title}", text]
    for one in results:
        parts += [
            f"### {one.benchmark}, {one.agents} agents, {one.items} tasks told"
            + (f", {one.folds[0]}" if len(one.folds) == 1 else ""),
            table(METHOD_HEADS, map(method_row, one.methods)),
            *_differences(one, [gap.first for gap in one.differences if gap.first != "oracle"]),
        ]
    if any(m.ability for one in results for m in one.methods):
        parts += _coverages(results, "ability")
    elif results[0].protocol == "benchmark":
        parts += _coverages(results, "difficulty")
    return parts


def of_sessions(
    run: Run, sessions: Sequence[StudyResult], abroad: Sequence[StudyResult]
) -> list[str]:
    """Tables and figures of cold-start sessions."""
    parts = [
        "## A session on a benchmark that nobody has tried",
        "Tasks are chosen and scored by predicted parameters only. In the first two tables the "
        "parameters of a task are predicted from other tasks of the benchmark by outcomes of half "
        "the agents, and the other half is tested; in the last two, from the other benchmark. The "
        "prior of ability is N(0, 1.5²). Errors are in points of the pass rate over all tasks, "
        f"and ranks those of the agents; means over {sessions[0].seeds} repetitions.",
        f'**Use `--select "{ADVISED}"` with `--prior 0,1.5`.** Without chance all agents get the '
        "same first tasks and share the errors of their predictions, so that one badly predicted "
        "task moves all scores the same way; choosing one of the twenty best tasks at random "
        "spreads these errors over agents, and costs little information.",
        "That is for predictions learned on tasks like the new ones. Where they come from another "
        "benchmark they are off in a systematic way, and the model does not know it: chosen "
        "tasks end behind random ones in longer sessions, with intervals that are far too narrow. "
        "`--select random`, scored by predicted parameters, is the safer choice there (no table "
        "below has it more than half a point behind), and calibrate once agents have answers.",
    ]
    for found, origin in [
        *((one, "") for one in sessions),
        *((one, ", predicted from the other benchmark") for one in abroad),
    ]:
        parts += [
            f"### {found.name}{origin}",
            table(
                ("chosen by", *(f"{size} tasks" for size in found.sizes)),
                (
                    (plan.name, *(_points(point.score.mae) for point in plan.points))
                    for plan in found.plans
                ),
            ),
            "Rank correlations; and in how many sessions the 80% interval holds, in percent:",
            table(
                ("chosen by", *(f"{size} tasks" for size in found.sizes)),
                (
                    (
                        plan.name,
                        *(
                            f"{point.score.spearman.value or 0:.3f}"
                            + (
                                f"; {100 * (point.score.coverage[0].value or 0):.0f}"
                                if point.score.coverage and not plan.baseline
                                else ""
                            )
                            for point in plan.points
                        ),
                    )
                    for plan in found.plans
                ),
            ),
        ]
    parts += [
        figure(
            run.out,
            f"cold-start-{found.name}",
            f"Mean absolute error of the predicted pass rate, {found.name}, with 95% intervals.",
            [
                Line(
                    plan.name,
                    [point.size or 0 for point in plan.points],
                    *(
                        [100 * (getattr(point.score.mae, end) or 0.0) for point in plan.points]
                        for end in ("value", "low", "high")
                    ),
                )
                for plan in found.plans
                if plan.name in (ADVISED, MEAN, "random", "max-information")
            ],
            "tasks",
            "points",
        )
        for found in sessions
    ]
    return parts


def _points(found: Estimate) -> str:
    return told(found, 1, 100)
