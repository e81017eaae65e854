"""An agent explained, as a page."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.explain.agent import AgentExplained
from harness.explain.better import Change
from harness.report.explain.plots import Bar, effects_plot
from harness.report.explain.words import (
    DIFFERENCE_HEADS,
    KIND_HEADS,
    Traces,
    best_sentence,
    change_sentence,
    difference_cells,
    differences_finding,
    kind_cells,
    kind_label,
    kind_sentence,
    kinds_finding,
    surprise_cells,
    surprises_finding,
    trace_links,
)
from harness.report.sections import Caution, Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.wording import count, percent, printable

_DRAWN = 14


def render_agent_page(
    found: AgentExplained, traces: Traces, version: str, page: Path = Path("page.html")
) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        traces: of the agent's answers by item; empty for outcomes from a table.
        page: where it will be written, as traces are linked from there.
    """
    return render_sections(
        Page(
            title=f"What {printable(found.agent, 60)} fails, and why",
            over="Failures of an agent explained",
            figures=tuple(_figures(found)),
            notes=found.notes,
            sections=(
                _kinds(found),
                _surprises(found, traces, page),
                _better(found),
                _differences(found),
                _reading(found),
            ),
            facts=tuple(_facts(found, version)),
            version=version,
        )
    )


def _figures(found: AgentExplained) -> Iterator[Figure]:
    yield Figure(
        "Ability",
        signed(found.ability),
        f"{interval(found.low, found.high)}, from {count(found.items, 'item')}",
    )
    yield Figure(
        "Mean score" if found.graded else "Passed",
        percent(found.score),
        f"{count(found.answers, 'answer')} on {count(found.items, 'item')}",
    )
    sure = len(found.sure)
    yield Figure("Kinds that stand out", str(sure), f"of {len(found.kinds)} looked at")
    surprises = found.surprises
    expected = surprises.expected_failures + surprises.expected_successes
    yield Figure(
        "Surprising outcomes", str(len(surprises.found)), f"{expected:.1f} would be by chance"
    )


def _kinds(found: AgentExplained) -> Section:
    parts: list[Part] = [Text(kind_sentence(one, found.graded)) for one in found.sure]
    if found.kinds:
        shown = found.kinds[:_DRAWN]
        bars = [
            Bar(kind_label(one), one.mean, one.low, one.high, one.false_sign <= found.cut)
            for one in shown
        ]
        draw = partial(
            effects_plot,
            bars,
            "kinds",
            "Effects of kinds of tasks on the agent",
            "Ability on them, against its other tasks",
        )
        parts += [
            both(
                lambda wide: draw(wide=wide),
                f"Shift of ability for each kind of tasks, with {percent(found.level)} intervals; "
                "of a number per sd. Grey where the direction is not sure. "
                + (f"The {len(shown)} surest." if len(found.kinds) > len(shown) else ""),
            ),
            Grid(
                KIND_HEADS,
                tuple(kind_cells(one) for one in found.kinds),
                caption="Got and expected are sums of scores over the tasks of a kind, of a number "
                "over those above its mean; expected is what the agent's other outcomes say. "
                "Sure: probability that the effect has the sign shown.",
            ),
        ]
        if any(one.joint == one.joint for one in found.kinds):
            parts.append(
                Grid(
                    ("kind of tasks", "alone", "others held fixed", "interval"),
                    tuple(
                        (
                            kind_label(one),
                            signed(one.mean),
                            signed(one.joint),
                            interval(one.joint_low, one.joint_high),
                        )
                        for one in found.kinds
                    ),
                    title="All kinds at once",
                    shown=8,
                    caption="Kinds overlap: where the effect of one vanishes beside the others, it "
                    "was theirs.",
                )
            )
    return Section("Kinds of tasks", kinds_finding(found), parts=tuple(parts), key="kinds")


def _surprises(found: AgentExplained, traces: Traces, page: Path) -> Section:
    s = found.surprises
    known = traces if traces else None
    heads: tuple[str, ...] = ("task", "got", "expected", "probability", "chance among such")
    if traces:
        heads += ("trace",)
    parts: list[Part] = [
        Grid(
            heads,
            tuple(surprise_cells(one, "item", known) for one in rows),
            title=title,
            words=(5,) if traces else (),
            stacked=bool(traces),
            links=trace_links(traces, page),
        )
        for title, rows in (
            ("Failures", s.failures),
            ("Successes", s.successes),
        )
        if rows
    ]
    if s.found:
        parts.append(
            Text(
                "Expected is what the agent's other outcomes say. Chance among such: share of "
                "outcomes at least as improbable that chance alone would give among all its tasks."
                + (" Open a trace with: inspect view --log-dir FOLDER." if traces else ""),
                hint=True,
            )
        )
    if s.left_out:
        parts.append(
            Caution(f"{count(s.left_out, 'task')} with very many trials and categories left out.")
        )
    return Section(
        "Surprising outcomes", surprises_finding(s, "task"), parts=tuple(parts), key="surprises"
    )


def _better(found: AgentExplained) -> Section:
    better = found.better
    parts: list[Part] = []
    for one in better.changes:
        parts += _change(one, found)
    parts += [Caution(note) for note in better.notes]
    if not better.changes:
        finding = "What another model or scaffold would change cannot be told."
    else:
        most = max(better.changes, key=lambda one: one.score)
        finding = (
            f"A better {most.kind} would change most: {change_sentence(most, found)}"
            if most.score > better.score
            else "No known model or scaffold is expected to make it better."
        )
    return Section("Another model or scaffold", finding, parts=tuple(parts), key="better")


def _change(one: Change, found: AgentExplained) -> list[Part]:
    now = found.better
    heads = (f"{one.kind}", "ability", "interval", "score", "interval")
    rows = (
        (
            one.before or "unknown",
            signed(found.ability),
            interval(found.low, found.high),
            percent(now.score),
            f"{percent(now.score_low)} to {percent(now.score_high)}",
        ),
        (
            one.part,
            signed(one.ability),
            interval(one.low, one.high),
            percent(one.score),
            f"{percent(one.score_low)} to {percent(one.score_high)}",
        ),
    )
    parts: list[Part] = [
        Grid(heads, rows, title=f"The best {one.kind} that is known", caption=best_sentence(one))
    ]
    if one.tasks:
        parts.append(
            Grid(
                ("failed task", "as it is", f"with {one.part}"),
                tuple((gain.item, percent(gain.now), percent(gain.then)) for gain in one.tasks),
                title="Failed tasks that would most likely be solved",
                caption="Expected scores of one more attempt, of tasks it would likely fail again.",
                shown=6,
            )
        )
    return parts


def _differences(found: AgentExplained) -> Section:
    parts: list[Part] = []
    if found.differences and found.agents > 1:
        parts = [
            Grid(
                DIFFERENCE_HEADS,
                tuple(difference_cells(one) for one in found.differences),
                shown=8,
                caption="Sd of the shift of ability between agents, in each kind against all other "
                "tasks; likelihood ratio against none, adjusted for the number of kinds.",
            )
        ]
    return Section(
        "Do agents differ in this at all?",
        differences_finding(found),
        parts=tuple(parts),
        key="all",
    )


def _reading(found: AgentExplained) -> Section:
    learned = ", ".join(
        f"{one.source} {one.sd:.2f}{' per sd' if one.unit == 'sd' else ''}" for one in found.shared
    )
    return Section(
        "How to read this",
        "Effects are shifts of ability, with ability on all other tasks estimated along with them.",
        parts=(
            Text(
                "Every effect has a prior that was learned from those of its kind and source on "
                f"{count(found.agents, 'agent')} (sd of effects: {learned or 'none'}), so that "
                "what chance shows among many kinds is taken away, and no further adjustment is "
                f"needed. An effect counts as found where its false sign rate is {found.cut:g} or "
                "less: the probability that the likelier sign is wrong, no effect included. An "
                "effect is relative to the agents that the bank was calibrated with. It says where "
                "to look, not why."
            ),
        ),
        key="reading",
    )


def _facts(found: AgentExplained, version: str) -> Iterator[tuple[str, str]]:
    yield "Agent", found.agent
    for label, value in (("Model", found.llm), ("Scaffold", found.scaffold), ("Date", found.date)):
        if value:
            yield label, value
    yield "Bank", f"{found.bank}, hash {found.bank_hash}"
    yield "Outcomes", found.source
    yield "Program", f"cat-harness {version}"
