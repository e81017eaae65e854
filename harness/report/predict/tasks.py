"""Predicted tasks as one self-contained HTML page, for those who write tasks."""

from collections.abc import Iterator
from functools import partial

from harness.predict.quality import half_width
from harness.predict.tasks import LITTLE, WORTH, TaskPrediction, TaskPredictions
from harness.report.predict import plots
from harness.report.predict.words import (
    VERDICTS,
    cautions,
    cut,
    level_sentence,
    quality_sentence,
    rate_text,
    reasons_sentence,
    summary_sentence,
    unknown_sentence,
)
from harness.report.sections import Caution, Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.wording import count, percent, printable, sentence

_DRAWN = 12
"""Tasks whose reasons are drawn."""
_CHANCE = 0.01


def render_predictions_page(
    found: TaskPredictions, version: str, source: str = "", notes: tuple[str, ...] = ()
) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        source: where the tasks come from.
        notes: what was noticed when their features were read.
    """
    half = half_width(found.level)
    widths = sorted(half * task.sd for task in found.tasks)
    reach = [task for task in found.tasks if task.verdict not in ("floor", "ceiling")]
    return render_sections(
        Page(
            title=f"{count(len(found.tasks), 'new task')} against {printable(found.bank, 60)}",
            over="Difficulty before anyone runs it",
            figures=(
                Figure(
                    "Within reach",
                    f"{len(reach)} of {len(found.tasks)}",
                    "tasks that should tell some of today's agents apart",
                ),
                Figure(
                    "Known to",
                    f"±{widths[len(widths) // 2]:.2f}",
                    f"difficulty of the typical task, at {found.level:.0%}; "
                    f"±{half * found.quality.spread:.2f} without features",
                ),
                Figure(
                    "Explained",
                    percent(max(found.quality.explained, 0.0)),
                    f"of what makes {count(found.quality.n, 'calibrated task')} hard, each left "
                    "out once",
                ),
                _best_figure(found),
            ),
            notes=(*(f"{sentence(note)}." for note in notes), *_notes(found)),
            sections=tuple(sections_of(found)),
            facts=tuple(_facts(found, version, source)),
            version=version,
        )
    )


def _best_figure(found: TaskPredictions) -> Figure:
    best = found.agents[0]
    return Figure(
        f"Expected of {cut(best.agent, 30)}",
        percent(sum(task.rates[0].mean for task in found.tasks) / len(found.tasks)),
        ("pass rate" if found.binary else "score")
        + f" over the new tasks, at ability {signed(best.ability[0])}",
    )


def sections_of(found: TaskPredictions) -> Iterator[Section]:
    """Where the tasks lie, why, what they would add, and how good the predictor is."""
    yield _places(found)
    yield _reasons(found)
    yield _additions(found)
    yield _quality(found)
    yield _meaning(found)


def _notes(found: TaskPredictions) -> Iterator[str]:
    if text := level_sentence(found):
        yield text
    if not found.real:
        yield (
            "The bank names no agents, so that quantiles of its population stand in for today's "
            "agents."
        )


# --- cells ------------------------------------------------------------------------------------


TASK_HEADS = (
    *("Task", "Verdict", "Difficulty", "Interval", "Harder than"),
    *("Too hard for all", "Too easy"),
)


def task_cells(task: TaskPrediction) -> tuple[str, ...]:
    """What :data:`TASK_HEADS` say of a task."""
    return (
        printable(task.item, 60),
        VERDICTS[task.verdict],
        signed(task.difficulty),
        interval(task.low, task.high),
        f"{task.below:.0%}",
        f"{task.floor:.0%}",
        f"{task.ceiling:.0%}",
    )


def rate_heads(found: TaskPredictions) -> tuple[str, ...]:
    """Heads of the table of expected rates."""
    return "Task", *(cut(agent.agent, 16) for agent in found.agents)


def rate_cells(task: TaskPrediction) -> tuple[str, ...]:
    """What :func:`rate_heads` say of a task."""
    return (
        printable(task.item, 60),
        *(rate_text(rate.mean, rate.low, rate.high) for rate in task.rates),
    )


# --- sections ---------------------------------------------------------------------------------


def _places(found: TaskPredictions) -> Section:
    shown = sorted(found.tasks, key=lambda task: -task.difficulty)
    level = f"{found.level:.0%}"
    parts: list[Part] = [
        both(
            partial(plots.place_plot, found),
            f"Each line is the {level} interval of a task's difficulty. Above it, the "
            f"{count(len(found.items), 'calibrated task')} of the bank and "
            + ("today's agents" if found.real else "quantiles of the population")
            + f"; dashed: the best of them, {printable(found.best, 40)}. In the colour of "
            "warnings: tasks that are probably too hard or too easy for all; in that of links: "
            "those that fill a gap.",
        ),
        *(Caution(text) for text in cautions(found)),
        Grid(
            TASK_HEADS,
            tuple(map(task_cells, shown)),
            words=(1,),
            caption=f"Intervals are {level} ones of the difficulty. Harder than: share of today's "
            "agents whose ability is below the difficulty. The last two columns are probabilities.",
            shown=20,
        ),
        Grid(
            rate_heads(found),
            tuple(map(rate_cells, shown)),
            title=("Expected pass rates" if found.binary else "Expected scores") + ", %",
            caption=(
                "How often an agent is expected to pass"
                if found.binary
                else "The share of the highest category that an agent is expected to reach"
            )
            + f", with its {level} interval: over what is not known of the task, of the agent, and "
            "of what one is to the other.",
            shown=20,
        ),
        Grid(
            ("Agent", "Ability", "Date", "Better than"),
            tuple(
                (
                    printable(agent.agent, 80),
                    signed(agent.ability[0]),
                    agent.date or "–",
                    f"{sum(x < agent.ability[0] for x in found.today) / len(found.today):.0%}",
                )
                for agent in found.agents
            ),
            title="The agents",
        ),
    ]
    return Section("Where the new tasks lie", summary_sentence(found), (), tuple(parts), "places")


def _reasons(found: TaskPredictions) -> Section:
    shown = sorted(found.tasks, key=lambda task: -task.difficulty)
    reach = plots.widest_reason(shown[:_DRAWN], found.level)
    parts: list[Part] = [
        Text(
            "Effects are on difficulty, against a task whose features are all average; with the "
            f"average they add up to the prediction. Bars in the plots have {found.level:.0%} "
            "intervals. An effect is what goes along with a feature among the calibrated tasks: "
            "changing the feature need not change the difficulty by as much.",
            hint=True,
        )
    ]
    average = shown[0].difficulty - sum(reason.effect for reason in shown[0].reasons)
    for k, task in enumerate(shown[:_DRAWN]):
        parts.append(
            both(
                partial(plots.reasons_plot, task, str(k), found.level, reach),
                (sentence(text) + ". " if (text := unknown_sentence(task, found.level)) else "")
                + f"An average task is at {signed(average)}.",
                f"{printable(task.item, 60)}: {signed(task.difficulty)} "
                f"({interval(task.low, task.high)})",
            )
        )
    if rest := shown[_DRAWN:]:
        parts.append(
            Grid(
                ("Task", "Difficulty", "Why"),
                tuple(
                    (printable(task.item, 60), signed(task.difficulty), reasons_sentence(task))
                    for task in rest
                ),
                title="The other tasks",
                words=(2,),
                stacked=True,
            )
        )
    return Section("Why", _most_telling(found), (), tuple(parts), "why")


def _most_telling(found: TaskPredictions) -> str:
    hardest = max(found.tasks, key=lambda task: task.difficulty)
    text = f"{printable(hardest.item, 60)}, the hardest: {reasons_sentence(hardest, 2)}."
    if len(found.tasks) > 1:
        easiest = min(found.tasks, key=lambda task: task.difficulty)
        text += f" {printable(easiest.item, 60)}, the easiest: {reasons_sentence(easiest, 2)}."
    return text


def _additions(found: TaskPredictions) -> Section:
    rows = []
    for k, place in enumerate(found.places):
        added = sum(task.information[k] for task in found.tasks)
        telling = max(found.tasks, key=lambda task: task.information[k])
        before, after = (max(total, 1e-9) ** -0.5 for total in (place.bank, place.bank + added))
        rows.append(
            (
                place.name + (" (thin)" if place.thin else ""),
                signed(place.ability),
                _error(before),
                _error(after),
                f"{printable(telling.item, 40)} ({telling.worth[k]:.1f})",
            )
        )
    thin = [place.name for place in found.places if place.thin]
    fill = [task for task in found.tasks if task.verdict == "fills a gap"]
    if not thin:
        finding = "The bank has no thin place among today's agents that new tasks could fill."
    else:
        times = f"{WORTH:g} times as much of them as its average task"
        finding = f"The bank tells little of agents like these: {', '.join(thin)}. " + (
            f"{count(len(fill), 'new task')} {'tells' if len(fill) == 1 else 'tell'} {times} or "
            "more."
            if fill
            else f"No new task tells {times}."
        )
    grid = Grid(
        ("Place", "Ability", "Error now", "Error with them", "Most telling (average tasks)"),
        tuple(rows),
        words=(4,),
        caption="Standard errors of ability on all tasks of the bank, without the new ones and "
        "with them once they are calibrated. In brackets: how many average tasks of the bank the "
        "most telling new one is worth there. A place is thin where the bank tells less than half "
        "of what it tells where it measures best.",
    )
    return Section("What they would add to the bank", finding, (), (grid,), "additions")


def _error(value: float) -> str:
    return f"{value:.3f}" if value < 100 else "none"


def _quality(found: TaskPredictions) -> Section:
    from scipy.special import bdtr

    quality, slope = found.quality, found.slope_quality
    steep = narrow = ""
    if bdtr(round(quality.covered * quality.n), quality.n, quality.level) < _CHANCE:
        narrow = (
            f" That is less than {quality.level:.0%} by more than chance: the intervals on this "
            "page are too narrow."
        )
    if slope is not None:
        known = f"{percent(slope.explained)}" if slope.explained >= 0.02 else "next to nothing"
        steep = (
            f" The features explain {known} of what makes tasks discriminate, and "
            f"{percent(slope.covered)} of the slopes lie in their intervals."
        )
    parts: list[Part] = [
        Text(
            f"Each of the {count(quality.n, 'calibrated task')} was predicted from all others. The "
            f"correlation is {signed(quality.correlation)} "
            f"({interval(quality.correlation_low, quality.correlation_high)}), the error has an sd "
            f"of {quality.error_sd:.2f} where the tasks themselves have {quality.spread:.2f}, and "
            f"{percent(quality.covered)} of the calibrated difficulties lie in the "
            f"{quality.level:.0%} intervals around their predictions. Noise of the calibration is "
            f"taken out of the errors.{narrow}{steep}"
        ),
        both(
            partial(plots.quality_plot, quality),
            f"Each point is one calibrated task with the {quality.level:.0%} interval of its "
            "difficulty; the band is that of a prediction. Tasks with a single outcome may lie "
            "beyond the frame.",
        ),
        Grid(
            ("Features", "Share of the variance"),
            tuple((_block(name), percent(share)) for name, share in quality.shares),
            title="What each group of features brings about",
            caption="As fitted, of the difficulties of the calibrated tasks. Groups that say the "
            "same share what they explain.",
        ),
    ]
    parts += [Text(sentence(note) + ".", hint=True) for note in quality.notes[:8]]
    return Section(
        "How good the predictor is", quality_sentence(quality), (), tuple(parts), "quality"
    )


def _block(name: str) -> str:
    return "not explained" if name == "residual" else name.replace("_", " ")


def _meaning(found: TaskPredictions) -> Section:
    half = "passes half of the time" if found.binary else "reaches half of the thresholds"
    return Section(
        "How to read this",
        f"Difficulty is on the scale of the bank: an agent whose ability equals it {half}.",
        (),
        (
            Text(
                f"{sentence(VERDICTS['floor'])}: with a probability above one half, even the best "
                f"agent of today is expected to score below {LITTLE:.0%}. "
                f"{sentence(VERDICTS['ceiling'])}: in the same way, the agent at the lower "
                f"quartile is expected to score above {1 - LITTLE:.0%}. Fills a gap: neither, "
                f"and at a thin place of the bank worth {WORTH:g} of its average tasks or more."
            ),
            Text(
                "Predictions hold for tasks like those that were calibrated: written in the same "
                "way, run with the same limits, scored alike. They say nothing of a broken task. "
                "A few runs of real agents say more than any feature; a session on predicted "
                "items learns from every answer."
            ),
        ),
        "meaning",
    )


def _facts(found: TaskPredictions, version: str, source: str) -> Iterator[tuple[str, str]]:
    yield "Bank", f"{found.bank}, hash {found.bank_hash}, {count(len(found.items), 'item')}"
    if source:
        yield "Tasks", source
    yield "Model", found.model
    yield (
        "Predictor",
        f"fitted to {count(found.quality.n, 'task')}, "
        + (
            f"information levels: {', '.join(found.levels)}"
            if found.levels
            else "levels not stated"
        ),
    )
    yield "Program", f"cat-harness {version}"
