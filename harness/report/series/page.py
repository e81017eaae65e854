"""A series as a page: has the model moved, by how much, and what did it cost to know."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from harness.report.sections import Section, interval, signed
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.series.ability import ability_section
from harness.report.series.checkpoints import checkpoints_section, unfinished_section
from harness.report.series.cost import cost_section, items_section
from harness.report.series.method import method_section
from harness.report.series.verdict import verdict
from harness.report.series.wording import score_text, share, shown
from harness.report.wording import count, money, printable
from harness.schedule.summary import AlarmNote, SeriesSummary


def render_series(summary: SeriesSummary) -> str:
    """The page as text, to be written as UTF-8."""
    program = version("cat-harness")
    return render_sections(
        Page(
            title=printable(summary.name, 80),
            over="Series of checkpoints",
            figures=tuple(_figures(summary)),
            notes=tuple(_notes(summary)),
            sections=tuple(_sections(summary)),
            facts=tuple(_facts(summary, program)),
            version=program,
        )
    )


def _sections(summary: SeriesSummary) -> Iterator[Section]:
    yield verdict(summary)
    if summary.checkpoints:
        for number, bank in enumerate(summary.banks):
            yield ability_section(summary, bank, f"bank-{_letters(number)}")
        yield cost_section(summary)
        yield items_section(summary)
        yield checkpoints_section(summary)
    if summary.open or summary.failed:
        yield unfinished_section(summary)
    yield method_section(summary)


def _letters(number: int) -> str:
    return chr(ord("a") + number % 26) * (1 + number // 26)


def _figures(summary: SeriesSummary) -> Iterator[Figure]:
    for bank in summary.banks:
        name = shown(bank.name)
        if not bank.tested:
            yield Figure(f"Ability on {name}", "–", "not tested yet")
            continue
        last = bank.tested[-1]
        yield Figure(
            f"Ability on {name}",
            signed(last.smoothed.mean),
            f"{interval(last.smoothed.low, last.smoothed.high)} at step {last.step:,}; predicted "
            f"score {score_text(last.score)}",
        )
    yield Figure("Alarms", *_alarm_figure(summary.alarms))
    if summary.spent.tasks:
        yield Figure(
            "Tasks",
            f"{summary.spent.tasks:,.0f}",
            f"instead of {summary.full.tasks:,.0f} "
            f"({share(summary.spent.tasks, summary.full.tasks)})"
            + (f"; {money(summary.spent.usd)}" if summary.spent.usd else ""),
        )
    else:
        yield Figure("Tasks", "0", "nothing has been tested")


def _alarm_figure(alarms: Sequence[AlarmNote]) -> tuple[str, str]:
    for state, label in (("confirmed", "confirmed"), ("raised", "not settled")):
        if notes := [note for note in alarms if note.state == state]:
            last = notes[-1]
            where = f"{last.alarm} on {shown(last.bank)} at step {last.step:,}"
            return f"{len(notes)} {label}", where
    if alarms:
        return "None holds", f"{len(alarms)} raised and dismissed"
    return "None", "no alarm was raised"


def _notes(summary: SeriesSummary) -> Iterator[str]:
    if summary.checkpoints and not summary.spent.tasks:
        yield "No checkpoint has answers yet: what is shown is what was believed beforehand."
    if summary.failed:
        last = summary.failed[-1]
        why = f": {printable(last.error, 200)}" if last.error else ""
        yield (
            f"{count(len(summary.failed), 'session')} failed, the last at step {last.step:,} on "
            f"{shown(last.bank)}{why}"
        )


def _facts(summary: SeriesSummary, program: str) -> Iterator[tuple[str, str]]:
    for bank in summary.banks:
        yield printable(bank.name, 100), f"{count(bank.items, 'item')}, hash {bank.hash}"
        if bank.alarms:
            yield "looked out for", "; ".join(bank.alarms)
    yield "Policy", printable(summary.policy, 200)
    yield "Checkpoints", f"{len(summary.checkpoints)} of {summary.planned} planned"
    yield "Program", f"cat-harness {program}"
