"""A task explained, as a page."""

from collections.abc import Iterator
from functools import partial

from harness.explain.task import TaskExplained
from harness.predict.quality import half_width
from harness.report.explain.plots import Bar, curve_plot, effects_plot
from harness.report.explain.words import (
    GROUP_HEADS,
    group_cells,
    group_label,
    group_sentence,
    groups_finding,
    surprise_cells,
    surprises_finding,
    task_finding,
    why_finding,
)
from harness.report.predict.words import reason_label
from harness.report.sections import Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.wording import count, percent, printable

_DRAWN = 12


def render_task_page(found: TaskExplained, version: str) -> str:
    """The page as text, to be written as UTF-8."""
    return render_sections(
        Page(
            title=f"Why {printable(found.item, 60)} is as hard as it is",
            over="A task explained",
            figures=tuple(_figures(found)),
            notes=found.notes,
            sections=tuple(_sections(found)),
            facts=tuple(_facts(found, version)),
            version=version,
        )
    )


def _sections(found: TaskExplained) -> Iterator[Section]:
    yield _curve(found)
    if found.why is not None:
        yield _why(found)
    yield _groups(found)
    yield _surprises(found)
    yield _nearest(found)
    yield _reading(found)


def _figures(found: TaskExplained) -> Iterator[Figure]:
    yield Figure(
        "Difficulty",
        signed(found.difficulty),
        f"± {found.sd:.2f}; harder than {percent(found.harder_than)} of the items",
    )
    yield Figure(
        "Mean score" if found.graded else "Passed",
        percent(found.score),
        f"{count(found.agents, 'agent')}, {count(found.answers, 'answer')}",
    )
    if found.why is not None:
        yield Figure(
            "As its features say",
            signed(found.why.predicted),
            f"± {found.why.sd:.2f}; off by {abs(found.why.surprise):.1f} sds",
        )
    yield Figure("Groups that stand out", str(len(found.sure)), f"of {len(found.groups)} looked at")


def _curve(found: TaskExplained) -> Section:
    rows = tuple(
        (
            f"{signed(one.low)} to {signed(one.high)}",
            str(one.agents),
            percent(one.observed),
            f"{percent(one.observed_low)} to {percent(one.observed_high)}",
            percent(one.expected),
        )
        for one in found.bins
    )
    return Section(
        "By ability",
        task_finding(found),
        parts=(
            both(
                lambda wide: curve_plot(found, wide=wide),
                "The line is what the bank expects at each ability. Filled points are thirds of "
                f"the agents with {percent(found.level)} intervals, open ones what is expected of "
                "them; the grey line spans their abilities, which are from all other outcomes.",
            ),
            Grid(("abilities", "agents", "got", "interval", "expected"), rows),
            Text(
                f"Discrimination {found.slope:.2f}, more than {percent(found.steeper_than)} of the "
                "other items have.",
                hint=True,
            ),
        ),
        key="curve",
    )


def _why(found: TaskExplained) -> Section:
    why = found.why
    assert why is not None
    half = half_width(found.level)
    parts: list[Part] = []
    if why.reasons:
        bars = [
            Bar(
                reason_label(one),
                # a plot of effects has what is worse on the left
                -one.effect,
                -one.effect - half * one.sd,
                -one.effect + half * one.sd,
                abs(one.effect) > half * one.sd,
            )
            for one in why.reasons[:_DRAWN]
        ]
        draw = partial(
            effects_plot,
            bars,
            "reasons",
            "What features add to the difficulty",
            "← harder | easier →",
        )
        parts = [
            both(
                lambda wide: draw(wide=wide),
                "What each feature adds to the difficulty of an average task "
                f"({signed(why.average)}), with {percent(found.level)} intervals; the largest "
                "first.",
            ),
            Grid(
                ("feature", "adds", "interval"),
                tuple(
                    (
                        reason_label(one),
                        signed(one.effect),
                        interval(one.effect - half * one.sd, one.effect + half * one.sd),
                    )
                    for one in why.reasons
                ),
                shown=8,
            ),
        ]
    parts.append(
        Text(
            f"Learned from {count(why.tasks, 'task')} ({', '.join(why.blocks)}): features explain "
            f"{percent(why.explained)} of the variance of difficulty. What they say of this task "
            "was told from the other tasks. They go with difficulty; they need not be its cause.",
            hint=True,
        )
    )
    return Section("Why it is hard", why_finding(why), parts=tuple(parts), key="why")


def _groups(found: TaskExplained) -> Section:
    parts: list[Part] = [Text(group_sentence(one)) for one in found.sure]
    if found.groups:
        bars = [
            Bar(
                f"{group_label(one)} ({one.agents})",
                *(one.mean, one.low, one.high),
                one.false_sign <= found.cut,
            )
            for one in found.groups[:_DRAWN]
        ]
        draw = partial(
            effects_plot,
            bars,
            "groups",
            "Effects of groups of agents on the task",
            "← harder for them | easier for them →",
        )
        parts += [
            both(
                lambda wide: draw(wide=wide),
                "By how much the task is easier for a group than for others of the same ability, "
                f"on the scale of ability, with {percent(found.level)} intervals.",
            ),
            Grid(
                GROUP_HEADS,
                tuple(group_cells(one) for one in found.groups),
                caption="Got and expected are mean scores of the group; expected is what its other "
                "outcomes say.",
            ),
        ]
    return Section("For whom", groups_finding(found), parts=tuple(parts), key="groups")


def _surprises(found: TaskExplained) -> Section:
    s = found.surprises
    heads = ("agent", "got", "expected", "probability", "chance among such")
    parts = tuple(
        Grid(heads, tuple(surprise_cells(one, "agent") for one in rows), title=title)
        for title, rows in (("Failed it", s.failures), ("Passed it", s.successes))
        if rows
    )
    return Section("Surprising agents", surprises_finding(s, "agent"), parts=parts, key="agents")


def _nearest(found: TaskExplained) -> Section:
    sure = [one for one in found.alike if one.q <= found.cut]
    finding = (
        f"{count(len(sure), 'task')} of the nearest {'goes' if len(sure) == 1 else 'go'} with it "
        "beyond chance: agents do better or worse on both than their abilities say."
        if sure
        else "No other task goes with it beyond chance, once ability is held fixed."
    )
    parts: list[Part] = []
    if found.alike:
        parts.append(
            Grid(
                ("task", "correlation", "interval", "agents", "adjusted p"),
                tuple(
                    (
                        one.item,
                        signed(one.correlation),
                        interval(one.low, one.high),
                        str(one.agents),
                        "< 0.001" if one.q < 0.001 else signed(one.q, 3),
                    )
                    for one in found.alike
                ),
                title="By what agents do",
                caption="Correlation of what is left of scores once ability is taken out, the "
                "highest of all tasks; adjusted for their number.",
            )
        )
    if found.near:
        parts.append(
            Grid(
                ("task", "distance", "mean score"),
                tuple(
                    (
                        one.item,
                        signed(one.distance),
                        "–" if one.score != one.score else percent(one.score),
                    )
                    for one in found.near
                ),
                title="By features",
                caption="Root mean square difference of features, in sds.",
            )
        )
    return Section("Nearest tasks", finding, parts=tuple(parts), key="nearest")


def _reading(found: TaskExplained) -> Section:
    learned = ", ".join(f"{one.source} {one.sd:.2f}" for one in found.shared) or "none"
    return Section(
        "How to read this",
        "Abilities are from all other outcomes of an agent: a task cannot explain itself.",
        parts=(
            Text(
                "A group is held against all other agents whose group is known, while the task may "
                "be easier or harder for everybody than the bank says. Effects have a prior "
                "that was learned from the effects of all groups of an attribute on all tasks (sd: "
                f"{learned}): what chance shows among many groups and tasks is taken away. An "
                f"effect counts as found where its false sign rate is {found.cut:g} or less: the "
                "probability that the likelier sign is wrong, no effect included."
            ),
        ),
        key="reading",
    )


def _facts(found: TaskExplained, version: str) -> Iterator[tuple[str, str]]:
    yield "Task", found.item
    if found.tags:
        yield "Tags", ", ".join(found.tags)
    yield "Bank", f"{found.bank}, hash {found.bank_hash}"
    yield "Outcomes", found.source
    yield "Program", f"cat-harness {version}"
