"""Tables of checkpoints, and of sessions that want a look: sections of the page."""

from harness.report.sections import Grid, Part, Section
from harness.report.series.wording import listed, probability, score_text, shown, told
from harness.report.wording import count, duration, money, printable
from harness.schedule.summary import BankSummary, Point, Registered, SeriesSummary


def checkpoints_section(summary: SeriesSummary) -> Section:
    """All checkpoints, the last one first: subject, cost, abilities, alarms."""
    n = len(summary.checkpoints)
    untested = summary.untested
    found = f"{count(n, 'checkpoint')} registered, {n - len(untested):,} tested."
    if untested:
        some = listed([f"{step:,}" for step in untested[:6]])
        more = f", and {len(untested) - 6} more" if len(untested) > 6 else ""
        found += f" Not tested: {'step' if len(untested) == 1 else 'steps'} {some}{more}."
    named = any(checkpoint.subject for checkpoint in summary.checkpoints)
    heads = ("step", *(["agent and model"] if named else []), "tasks", "money", "time")
    rows = tuple(_checkpoint_row(one, named) for one in reversed(summary.checkpoints))
    parts: list[Part] = [Grid(heads, rows, words=(1,) if named else ())]
    for bank in summary.banks:
        parts.append(
            Grid(
                ("step", "when tested", "by all known now", "predicted score"),
                tuple(_point_row(point) for point in reversed(bank.points)),
                title=f"Ability on {shown(bank.name)}",
                caption=f"Brackets are {summary.level:.0%} intervals.",
            )
        )
        if any(point.changes for point in bank.points):
            parts.append(
                Grid(
                    ("step", *bank.alarms),
                    tuple(_alarm_row(bank, point) for point in reversed(bank.points)),
                    title=f"Probability of what is looked out for on {shown(bank.name)}",
                    caption="By what was known at that step.",
                )
            )
    return Section("Checkpoints", found, parts=tuple(parts), key="checkpoints")


def unfinished_section(summary: SeriesSummary) -> Section:
    """Sessions that are open or failed, and where to look."""
    running, failed = len(summary.open), len(summary.failed)
    said = []
    if running:
        said.append(f"{count(running, 'session')} {'is' if running == 1 else 'are'} not finished.")
    if failed:
        said.append(f"{count(failed, 'session')} failed; the answers that they have still count.")
    rows = tuple(
        (
            f"{session.step:,}",
            shown(session.bank),
            session.purpose,
            f"{session.tasks} of {session.planned}",
            session.state,
            printable(session.error, 200) or "–",
            session.run or "–",
        )
        for session in (*summary.open, *summary.failed)
    )
    heads = ("step", "bank", "purpose", "answers", "state", "reason", "run")
    return Section(
        "Not finished, or failed",
        " ".join(said),
        parts=(Grid(heads, rows, words=(1, 2, 4, 5, 6)),),
        key="unfinished",
    )


def _checkpoint_row(one: Registered, named: bool) -> tuple[str, ...]:
    mark = ", jump declared" if one.jump else ""
    subject = (printable(one.subject, 120) or "–",) if named else ()
    spent = one.spent
    cells = (f"{spent.tasks:,.0f}", money(spent.usd or 0.0), duration(spent.seconds or 0.0))
    return (f"{one.step:,}{mark}", *subject, *(cells if one.tested else ("not tested", *cells[1:])))


def _point_row(point: Point) -> tuple[str, ...]:
    return (
        f"{point.step:,}",
        told(point.filtered) if point.tasks else "not tested",
        told(point.smoothed),
        score_text(point.score),
    )


def _alarm_row(bank: BankSummary, point: Point) -> tuple[str, ...]:
    seen = {change.alarm: probability(change.probability) for change in point.changes}
    return (f"{point.step:,}", *(seen.get(alarm, "–") for alarm in bank.alarms))
