"""Explained failures in words and cells, as terminal and page show them."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from harness.explain.agent import AgentExplained
from harness.explain.better import Change
from harness.explain.groups import GroupEffect
from harness.explain.kinds import Difference, KindEffect
from harness.explain.surprises import Surprise, Surprises
from harness.explain.task import TaskExplained
from harness.explain.traces import Trace
from harness.explain.why import Why
from harness.report.predict.words import direction, reason_label
from harness.report.sections import interval, signed
from harness.report.wording import count, percent

Traces = Mapping[str, tuple[Trace, ...]]

KIND_HEADS = ("kind of tasks", "effect", "interval", "sure", "tasks", "got", "expected")
DIFFERENCE_HEADS = ("kind of tasks", "sd between agents", "interval", "adjusted p", "tasks")
GROUP_HEADS = ("group of agents", "effect", "interval", "sure", "agents", "got", "expected")


def kind_label(one: KindEffect | Difference) -> str:
    """A kind of tasks, as in ``repository sympy``.

    >>> kind_label(Difference("sympy", "repository", "group", 9, 0.1, 0.0, 0.2, 1.0, 1.0))
    'repository sympy'
    >>> kind_label(Difference("lines", "code", "sd", 9, 0.1, 0.0, 0.2, 1.0, 1.0))
    'more lines'
    """
    if one.unit == "sd":
        return "more " + one.name.replace("_", " ")
    return f"tag {one.name}" if one.source == "tags" else f"{one.source} {one.name}"


def kind_cells(one: KindEffect) -> tuple[str, ...]:
    """What :data:`KIND_HEADS` say."""
    return (
        kind_label(one),
        signed(one.mean),
        interval(one.low, one.high),
        percent(1 - one.false_sign),
        str(one.items),
        _sum(one.observed),
        f"{one.expected:.1f}",
    )


def difference_cells(one: Difference) -> tuple[str, ...]:
    """What :data:`DIFFERENCE_HEADS` say."""
    return (
        kind_label(one),
        signed(one.sd),
        interval(one.low, one.high),
        "< 0.001" if one.q < 0.001 else signed(one.q, 3),
        str(one.items),
    )


def group_label(one: GroupEffect) -> str:
    """A group of agents, as in ``scaffold Goose``."""
    return f"{one.attribute} {one.name}"


def group_cells(one: GroupEffect) -> tuple[str, ...]:
    """What :data:`GROUP_HEADS` say."""
    return (
        group_label(one),
        signed(one.mean),
        interval(one.low, one.high),
        percent(1 - one.false_sign),
        f"{one.agents} of {one.agents + one.others}",
        percent(one.observed),
        percent(one.expected),
    )


def kind_sentence(one: KindEffect, graded: bool) -> str:
    """One effect that is sure, as a sentence."""
    verb, more = ("earns", "points") if graded else ("passes", "passes")
    better = "more" if one.mean > 0 else "less"
    what = (
        f"tasks with {one.name} above its mean"
        if one.unit == "sd"
        else f"tasks of {kind_label(one)}"
    )
    per = " per sd of it" if one.unit == "sd" else ""
    return (
        f"It {verb} {better} on {what} than its other tasks say: {_sum(one.observed)} of "
        f"{one.items}, with {one.expected:.1f} {more} expected; its ability there is "
        f"{abs(one.mean):.2f} {'higher' if one.mean > 0 else 'lower'}{per} "
        f"({interval(one.low, one.high)})."
    )


def kinds_finding(found: AgentExplained) -> str:
    """The answer to which kinds of tasks the agent fails."""
    if not found.kinds:
        return "No kind of tasks can be told from the others for this agent."
    if not found.sure:
        return (
            f"Nothing stands out: in none of {count(len(found.kinds), 'kind')} of tasks is it sure "
            f"that the agent does better or worse than its ability says (false sign rate up to "
            f"{found.cut:g})."
        )
    worse = [kind_label(one) for one in found.sure if one.mean < 0]
    better = [kind_label(one) for one in found.sure if one.mean > 0]
    parts = [f"fails more than its ability says with: {_listed(worse)}"] * bool(worse)
    parts += [f"does better with: {_listed(better)}"] * bool(better)
    return f"The agent {'; it '.join(parts)}."


def differences_finding(found: AgentExplained) -> str:
    """Whether agents differ by kind of task at all."""
    kinds = [one for one in found.differences if one.q <= found.cut]
    agents = count(found.agents, "agent")
    if not found.differences:
        return "Without kinds of tasks nothing can be said of how agents differ."
    if found.agents < 2:
        return "With a single agent nothing can be said of how agents differ."
    if kinds:
        return (
            f"Among {agents}, abilities differ by kind of task beyond chance for {len(kinds)} of "
            f"{count(len(found.differences), 'kind')}: {_listed([kind_label(k) for k in kinds])}."
        )
    sure = found.joint_p <= found.cut
    if sure:
        return (
            f"Among {agents}, no single kind of task shows differences beyond chance, but all "
            "kinds together do."
        )
    return (
        f"This data carries no such differences: among {agents}, one ability says as much as "
        "strengths in single kinds of tasks would."
    )


def surprises_finding(found: Surprises, what: str) -> str:
    """How many single outcomes surprise, and how many would by chance."""
    bad, good = len(found.failures), len(found.successes)
    return (
        f"{count(bad, 'failure')} and {count(good, 'success').replace('successs', 'successes')} "
        f"among {count(found.cells, what)} had a probability of {percent(found.bound)} or less; by "
        f"chance there would be {found.expected_failures:.1f} and "
        f"{found.expected_successes:.1f}."
    )


def surprise_cells(one: Surprise, about: str, traces: Traces | None = None) -> tuple[str, ...]:
    """Name, score, expected score, probability, share by chance, and traces where known.

    Args:
        about: what a row is named after: ``item`` or ``agent``.
    """
    name = one.item if about == "item" else one.agent
    trials = f" ({one.trials} trials)" if one.trials > 1 else ""
    cells = (
        name,
        f"{percent(one.score)}{trials}",
        percent(one.expected),
        f"{one.p:.2g}",
        percent(one.q),
    )
    return cells if traces is None else (*cells, trace_text(traces.get(one.item, ())))


def trace_text(traces: tuple[Trace, ...]) -> str:
    """Where the traces of an item lie.

    >>> trace_text((Trace("runs/r1", "logs/a.eval", "i#1", 0),))
    'sample i#1 in runs/r1/logs/a.eval'
    """
    return "; ".join(f"sample {one.sample} in {one.run}/{one.log}" for one in traces) or "–"


def trace_links(traces: Traces, page: Path) -> dict[str, str]:
    """Where :func:`trace_text` leads to from a page, by that text: the first log of each item.

    >>> found = {"i": (Trace("/runs/r1", "logs/a:b.eval", "i#1", 0),)}
    >>> trace_links(found, Path("/runs/pages/a.html"))
    {'sample i#1 in /runs/r1/logs/a:b.eval': '../r1/logs/a%3Ab.eval'}
    """
    return {
        trace_text(one): quote(
            Path(os.path.relpath(Path(one[0].run, one[0].log), page.parent)).as_posix(),
            errors="replace",
        )
        for one in traces.values()
    }


def change_sentence(one: Change, found: AgentExplained) -> str:
    """What another part would change."""
    before = one.before or f"an unknown {one.kind}"
    return (
        f"With {one.kind} {one.part} instead of {before} its score would be about "
        f"{percent(one.score)} ({percent(one.score_low)} to {percent(one.score_high)}) instead of "
        f"{percent(found.better.score)}; it would be abler with probability {percent(one.abler)}."
    )


def best_sentence(one: Change) -> str:
    """How sure it is that the part is the best."""
    other = "scaffold" if one.kind == "model" else "model"
    return (
        f"{one.part} is the best of the {one.kind}s that can be compared with probability "
        f"{percent(one.best)}; it rests on {count(one.agents, 'agent')} and "
        f"{count(one.partners, f'shared {other}')}."
    )


def task_finding(found: TaskExplained) -> str:
    """How hard a task is, in one sentence."""
    return (
        f"It is harder than {percent(found.harder_than)} of the other items (difficulty "
        f"{signed(found.difficulty)} ± {found.sd:.2f} on the scale of ability); "
        f"{count(found.agents, 'agent')} {'earned' if found.graded else 'passed it to'} "
        f"{percent(found.score)}."
    )


def why_finding(why: Why) -> str:
    """How far features explain a difficulty."""
    gap = why.calibrated - why.predicted
    numbers = (
        f"Features say {signed(why.predicted)} ± {why.sd:.2f}, outcomes "
        f"{signed(why.calibrated)} ± {why.calibrated_sd:.2f}"
    )
    if abs(why.surprise) < 1:
        return f"{numbers}: it is about as hard as its features say."
    side = "harder" if gap > 0 else "easier"
    if abs(why.surprise) < 2:
        return (
            f"{numbers}: it is {abs(gap):.2f} {side} than they say, which is usual "
            f"({abs(why.surprise):.1f} sds)."
        )
    return (
        f"{numbers}: it is {abs(gap):.2f} {side} than its features explain "
        f"({abs(why.surprise):.1f} sds); look for what they do not tell."
    )


def groups_finding(found: TaskExplained) -> str:
    """For whom the task is harder than for others."""
    if not found.groups:
        return "No groups of agents can be compared on it."
    if not found.sure:
        return (
            f"For none of {count(len(found.groups), 'group')} of agents is it sure that the task "
            "is harder or easier than for others of the same ability (false sign rate up to "
            f"{found.cut:g})."
        )
    harder = [group_label(one) for one in found.sure if one.mean < 0]
    easier = [group_label(one) for one in found.sure if one.mean > 0]
    parts = [f"harder for {_listed(harder)}"] * bool(harder)
    parts += [f"easier for {_listed(easier)}"] * bool(easier)
    return f"At the same ability the task is {' and '.join(parts)} than for other agents."


def group_sentence(one: GroupEffect) -> str:
    """One group for which it is sure."""
    return (
        f"{group_label(one)}: {one.agents} agents got {percent(one.observed)} where their "
        f"other outcomes say {percent(one.expected)} (effect {signed(one.mean)}, "
        f"{interval(one.low, one.high)})."
    )


def agent_lines(found: AgentExplained, traces: Traces) -> Iterator[str]:
    """What a terminal says of an agent besides the table of kinds."""
    yield kinds_finding(found)
    yield from (kind_sentence(one, found.graded) for one in found.sure)
    yield differences_finding(found)
    yield surprises_finding(found.surprises, "task")
    for one in found.surprises.found[:10]:
        where = f"; {trace_text(traces[one.item])}" if one.item in traces else ""
        did = "failed" if one.failed else "passed"
        yield (
            f"  {did} {one.item}: {percent(one.score)} where {percent(one.expected)} was expected "
            f"(p {one.p:.2g}, {percent(one.q)} of such are chance){where}"
        )
    yield from (change_sentence(one, found) for one in found.better.changes)
    yield from found.better.notes


def task_lines(found: TaskExplained) -> Iterator[str]:
    """What a terminal says of a task besides the table of groups."""
    yield task_finding(found)
    for one in found.bins:
        yield (
            f"  {count(one.agents, 'agent')} of ability {signed(one.low)} to {signed(one.high)}: "
            f"{percent(one.observed)} where {percent(one.expected)} was expected"
        )
    if found.why is not None:
        yield why_finding(found.why)
        for reason in found.why.reasons[:5]:
            yield f"  {reason_label(reason)}: {direction(reason.effect)}"
    yield groups_finding(found)
    yield from (group_sentence(one) for one in found.sure)
    yield surprises_finding(found.surprises, "agent")
    for surprise in found.surprises.found[:10]:
        did = "failed" if surprise.failed else "passed"
        yield (
            f"  {surprise.agent} {did} it: {percent(surprise.score)} where "
            f"{percent(surprise.expected)} was expected (p {surprise.p:.2g})"
        )
    near = [f"{one.item} ({signed(one.correlation)})" for one in found.alike[:3]]
    if near:
        yield f"Nearest by what agents do beyond ability: {', '.join(near)}."
    if found.near:
        yield f"Nearest by features: {', '.join(one.item for one in found.near[:3])}."


def _sum(total: float) -> str:
    return f"{total:.0f}" if math.isclose(total, round(total), abs_tol=0.005) else f"{total:.1f}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more
