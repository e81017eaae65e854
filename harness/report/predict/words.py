"""Predictions of tasks in words."""

from harness.features.task_text import level_of
from harness.predict.quality import Quality, half_width
from harness.predict.reasons import Outside, Reason
from harness.predict.tasks import TaskPrediction, TaskPredictions
from harness.regression import Cell
from harness.report.sections import interval, signed
from harness.report.wording import count, percent, printable

SHOWN = 6
"""Reasons that are told one by one; the others are summed up."""
_TOLD = 4
"""Tasks of which a caution is told one by one."""
_WIDER = 1.03
"""Times that unknown features must widen an interval before it is said."""
_SMALL = 0.005
_NAME = 44

VERDICTS = {
    "floor": "too hard for all",
    "ceiling": "too easy",
    "fills a gap": "fills a gap",
    "within reach": "within reach",
}
"""What the table says of a task."""


def feature_name(feature: str, block: str) -> str:
    """A feature as a reader knows it.

    >>> feature_name("lines", "solution"), feature_name("fix_localization", "judged_solution")
    ('solution lines', 'fix localization')
    >>> feature_name("text", "text")
    'wording of the statement'
    """
    if feature == block:
        return "wording of the statement" if block == "text" else f"{_plain(block)} as a whole"
    name = _plain(feature)
    ours = level_of(block) and not block.startswith("judged") and block != "text"
    return f"{_plain(block)} {name}" if ours and _plain(block) not in name else name


def _plain(name: str) -> str:
    return printable(name.replace("_", " "), _NAME)


def number(value: float) -> str:
    """A value of a feature in three digits, or as it is where it is whole.

    >>> number(412.0), number(0.12345), number(-3.0)
    ('412', '0.123', '−3')
    """
    text = f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.3g}"
    return text.replace("-", "−")


def cell(value: Cell) -> str:
    """A cell as text."""
    if value is None:
        return "unknown"
    return printable(value, 24) if isinstance(value, str) else number(value)


def reason_label(reason: Reason) -> str:
    """The feature with its value, and what is typical to hold it against.

    >>> reason = Reason("lines", "solution", 412.0, 80.2, 0.6, 0.1, True)
    >>> reason_label(reason)
    'solution lines 412 (typically 80.2)'
    >>> reason_label(Reason("tags=security", "topic", 1.0, 0.05, 0.6, 0.1, True))
    'topic tags security (5% of tasks have it)'
    """
    name = feature_name(reason.feature, reason.block)
    if not reason.known:
        return f"{name} unknown"
    if reason.columns > 1:
        return name
    if reason.average is None:
        return f"{name}: {cell(reason.value)}"
    if "=" in reason.feature:
        # a column of 0 and 1, one word of a set of tags
        what = name.replace("=", " ")
        return f"{'no ' * (not reason.value)}{what} ({percent(reason.average)} of tasks have it)"
    return f"{name} {cell(reason.value)} (typically {number(reason.average)})"


def direction(effect: float) -> str:
    """Which way an effect goes.

    >>> direction(0.6), direction(-0.251)
    ('harder by 0.60', 'easier by 0.25')
    """
    return f"{'harder' if effect > 0 else 'easier'} by {abs(effect):.2f}"


def told_reasons(task: TaskPrediction) -> tuple[tuple[Reason, ...], float, int]:
    """The reasons to tell one by one, the sum of the others, and how many these are.

    Features that are unknown add nothing, and are told of elsewhere.
    """
    known = [reason for reason in task.reasons if reason.known]
    told = tuple(reason for reason in known if abs(reason.effect) >= _SMALL)[:SHOWN]
    return told, sum(reason.effect for reason in known[len(told) :]), len(known) - len(told)


def reasons_sentence(task: TaskPrediction, most: int = 3) -> str:
    """Why a task is expected to be harder or easier than an average one."""
    told, rest, others = told_reasons(task)
    shown = told[:most]
    rest += sum(reason.effect for reason in told[most:])
    others += len(told) - len(shown)
    words = [f"{reason_label(reason)}: {direction(reason.effect)}" for reason in shown]
    if others and abs(rest) >= _SMALL:
        words.append(f"all else: {direction(rest)}")
    return "; ".join(words) or "nothing that is known of it makes a difference"


def unknown_sentence(task: TaskPrediction, level: float) -> str:
    """What is unknown of a task and what that costs; empty where all is known."""
    if not task.unknown:
        return ""
    half = half_width(level)
    lacking = [reason for reason in task.reasons if not reason.known]
    columns = sum(reason.columns for reason in lacking)
    names = ", ".join(feature_name(one.feature, one.block) for one in lacking[:4])
    names += f" and {len(lacking) - 4} more" if len(lacking) > 4 else ""
    return (
        f"{count(columns, 'feature')} unknown ({names}), so that its difficulty is known to "
        f"±{half * task.sd:.2f} rather than ±{half * task.sd_if_known:.2f}"
    )


def outside_text(odd: Outside) -> str:
    """A feature in which a task is unlike the calibrated ones."""
    name = feature_name(odd.feature, odd.block)
    match odd.why:
        case "vector":
            return f"{name}, which is unlike that of any of them"
        case "category":
            return f"{name} {cell(odd.value)}, which none of them has"
        case "number":
            ends = f"{cell(odd.low)} to {cell(odd.high)}"
            return f"{name} {cell(odd.value)}, where theirs go from {ends}"


def quality_sentence(quality: Quality) -> str:
    """How much the features tell of the difficulty of a task that they were not fitted to."""
    half = half_width(quality.level)
    with_, without = half * quality.error_sd, half * quality.spread
    sure = f"at {quality.level:.0%}"
    if quality.explained < 0.02:
        return (
            "The features tell next to nothing of what makes tasks hard: a new task's difficulty "
            f"is known to ±{with_:.2f} {sure}, against ±{without:.2f} without any feature."
        )
    return (
        f"The features explain {percent(quality.explained)} of what makes tasks hard. A new task's "
        f"difficulty is known to ±{with_:.2f} {sure}, against ±{without:.2f} without features."
    )


def level_sentence(found: TaskPredictions) -> str:
    """How much of a task the predictor wants to know; empty where nothing is said of it."""
    if "solution" in found.levels:
        return (
            "The predictor uses the reference solution, directly or through a judge that saw it. A "
            "designer who has none yet knows less than this page does, and what comes out for a "
            "task depends on how good its solution is."
        )
    if "tests" in found.levels:
        return "The predictor uses the hidden tests, but no reference solution."
    if "repository" in found.levels:
        return "The predictor uses the statement and the code that a task starts from."
    if "statement" in found.levels:
        return "The predictor uses what the statement and the metadata of a task say, no more."
    return ""


def summary_sentence(found: TaskPredictions) -> str:
    """What the tasks are to today's agents, all together."""
    n = len(found.tasks)
    kinds = [task.verdict for task in found.tasks]
    if n == 1:
        (task,) = found.tasks
        return (
            f"{printable(task.item, 60)} is expected at difficulty {signed(task.difficulty)} "
            f"({interval(task.low, task.high)}), above {percent(task.below)} of today's agents: "
            f"{VERDICTS[task.verdict]}."
        )
    parts = [
        f"{kinds.count(kind)} {text}"
        for kind, text in (
            ("floor", "probably beyond every agent of today"),
            ("ceiling", "probably too easy to tell agents apart"),
            ("fills a gap", "where the bank tells too little"),
        )
        if kind in kinds
    ]
    rest = kinds.count("within reach")
    parts += [f"{rest} within reach"] if rest else []
    return f"Of {count(n, 'new task')}, {', '.join(parts)}."


def rate_text(mean: float, low: float, high: float) -> str:
    """An expected rate with its interval, in percent.

    >>> rate_text(0.4, 0.05, 0.931)
    '40 (5–93)'
    """
    return f"{100 * mean:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def cut(text: str, most: int) -> str:
    """A name in at most so many characters.

    >>> cut("20241221_codestory_midwit", 12), cut("trae", 12)
    ('20241221_co…', 'trae')
    """
    shown = printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def cautions(found: TaskPredictions) -> tuple[str, ...]:
    """What is unknown of tasks, or unlike all that the predictor knows: sentences."""
    texts = [
        f"{printable(task.item, 60)} is unlike the calibrated tasks: "
        + "; ".join(map(outside_text, task.outside[:3]))
        + (f"; and {len(task.outside) - 3} more" if len(task.outside) > 3 else "")
        + ". What holds for them may not hold for it; numbers count as if at the end of the range."
        for task in found.tasks
        if task.outside
    ]
    if len(texts) > _TOLD:
        more = len(texts) - _TOLD
        texts = [*texts[:_TOLD], f"{count(more, 'more task')} unlike the calibrated ones."]
    lacking = [task for task in found.tasks if task.sd > _WIDER * task.sd_if_known]
    same: dict[str, list[TaskPrediction]] = {}
    for task in lacking:
        same.setdefault(", ".join(task.unknown), []).append(task)
    for them in list(same.values())[:_TOLD]:
        who = printable(them[0].item, 60) if len(them) == 1 else f"{len(them)} tasks, such as "
        who += printable(them[0].item, 60) if len(them) > 1 else ""
        texts.append(f"Of {who}: {unknown_sentence(them[0], found.level)}.")
    return tuple(texts)
