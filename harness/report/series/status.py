"""A series on the terminal: where it stands, in a few lines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.report.series.wording import FATES, amounts, probability, shown
from harness.report.wording import count, decimal, duration, money, percent, printable
from harness.schedule.events import Proposal
from harness.schedule.summary import AlarmNote, BankSummary, SeriesSummary, Session

if TYPE_CHECKING:
    from rich.text import Text

_LABEL = 11
_FEW = 3
"""Alarms and failures that are shown, the latest first."""


def status_lines(summary: SeriesSummary, proposal: Proposal | None = None) -> "Text":
    """Where a series stands: abilities, alarms, what runs, what is left, and what is next.

    A :class:`rich.text.Text`: print it with ``soft_wrap=True``; ``.plain`` is the bare text.

    Args:
        proposal: what :func:`harness.schedule.propose.propose` would test next.
    """
    from rich.text import Text

    text = Text()
    for label, line, style in _lines(summary, proposal):
        text.append(f"{label:<{_LABEL}} ", "dim")
        text.append(f"{line}\n", style)
    text.rstrip()
    return text


def _lines(summary: SeriesSummary, proposal: Proposal | None) -> Iterator[tuple[str, str, str]]:
    """Label, text and style of every line."""
    n, untested = len(summary.checkpoints), len(summary.untested)
    yield "Series", f"{shown(summary.name)}, policy {printable(summary.policy, 100)}", ""
    yield "Checkpoints", f"{n} of {summary.planned} planned, {n - untested} tested", ""
    for bank in summary.banks:
        yield "Ability", _ability(bank, summary.level), "bold"
        for change in bank.latest:
            near = summary.certainty is not None and change.probability >= summary.certainty
            since = f"since step {change.baseline:,}"
            line = f"P({change.alarm}) {probability(change.probability)} {since}"
            yield "", line, "yellow" if near else ""
    for number, note in enumerate(summary.alarms[: -_FEW - 1 : -1]):
        style = "yellow" if note.state == "raised" else "red" if note.state == "confirmed" else ""
        yield "" if number else "Alarms", _alarm(note), style
    if len(summary.alarms) > _FEW:
        yield "", f"and {len(summary.alarms) - _FEW:,} more before that", ""
    for number, session in enumerate(summary.open):
        begun = "" if session.state == "running" else ", not begun"
        yield "" if number else "Running", f"{_session(session)}{begun}", ""
    for number, session in enumerate(summary.failed[: -_FEW - 1 : -1]):
        why = f": {printable(session.error, 200)}" if session.error else ""
        yield "" if number else "Failed", f"{_session(session)}{why}", "yellow"
    if len(summary.failed) > _FEW:
        yield "", f"and {len(summary.failed) - _FEW:,} more failed", "yellow"
    yield "Spent", _spent(summary), ""
    if left := _left(summary):
        yield "Left", left, ""
    if proposal is not None:
        what = f"{count(proposal.tasks, 'task')} of {shown(proposal.bank)}"
        where = f"at step {proposal.step:,} ({proposal.purpose})"
        yield "Next", f"{what} {where}: {printable(proposal.why, 300)}", ""


def _ability(bank: BankSummary, level: float) -> str:
    name, tested = shown(bank.name), bank.tested
    if not tested:
        return f"{name}: not tested yet"
    last = tested[-1]
    now, score = last.smoothed, last.score
    return (
        f"{name} {decimal(now.mean)}  {level:.0%} interval {decimal(now.low)} to "
        f"{decimal(now.high)} at step {last.step:,}, predicted score {percent(score.mean)}"
    )


def _alarm(note: AlarmNote) -> str:
    settled = "" if note.settled is None else f", {probability(note.settled)} when settled"
    raised = f"P {probability(note.probability)}"
    where = f"on {shown(note.bank)} at step {note.step:,}"
    return f"{note.alarm} {where}: {FATES[note.state]} ({raised} when raised{settled})"


def _session(session: Session) -> str:
    return (
        f"{session.purpose} of {shown(session.bank)} at step {session.step:,}, "
        f"{session.tasks} of {count(session.planned, 'task')}, in {session.run}"
    )


def _spent(summary: SeriesSummary) -> str:
    spent, full = summary.spent, summary.full
    tasks = f"{spent.tasks or 0:,.0f} tasks"
    if full.tasks:
        share = percent((spent.tasks or 0) / full.tasks)
        tasks += f" instead of {full.tasks:,.0f} for every item at every checkpoint ({share})"
    return f"{tasks}; {money(spent.usd or 0.0)}, {duration(spent.seconds or 0.0)}"


def _left(summary: SeriesSummary) -> str:
    return ", ".join(
        f"{write(left or 0.0)} of {write(limit)}{' tasks' if what == 'tasks' else ''}"
        for what, limit, left, write in amounts(summary.limit, summary.left)
        if limit is not None
    )
