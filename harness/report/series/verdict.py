"""Whether ability has moved: the first section of the page."""

from harness.report.sections import Grid, Part, Section
from harness.report.series.sentences import finding
from harness.report.series.wording import FATES, probability, shown, told
from harness.schedule.summary import SeriesSummary


def verdict(summary: SeriesSummary) -> Section:
    """Alarms that were raised, and what every alarm says of the last checkpoint."""
    parts: list[Part] = []
    if summary.alarms:
        parts.append(_raised(summary))
    if summary.certainty is not None and any(bank.latest for bank in summary.banks):
        parts.append(_looked_out_for(summary, summary.certainty))
    return Section("Has it moved?", finding(summary), parts=tuple(parts), key="moved")


def _raised(summary: SeriesSummary) -> Grid:
    rows = tuple(
        (
            note.alarm,
            FATES[note.state],
            f"{note.step:,}",
            probability(note.probability),
            "–" if note.settled is None else probability(note.settled),
            shown(note.bank),
        )
        for note in reversed(summary.alarms)
    )
    heads = ("alarm", "what became of it", "at step", "P when raised", "P when settled")
    caption = "A confirming session on tasks that were not used lately settles an alarm."
    return _by_bank(summary, heads, rows, (1,), caption)


def _looked_out_for(summary: SeriesSummary, certainty: float) -> Grid:
    rows = tuple(
        (
            change.alarm,
            probability(change.probability),
            told(change.by),
            f"{change.baseline:,}",
            shown(bank.name),
        )
        for bank in summary.banks
        for change in bank.latest
    )
    heads = ("looked out for", "P now", "expected change, sd", "since step")
    caption = (
        f"At the last checkpoint, step {summary.checkpoints[-1].step:,}. An alarm is raised at "
        f"a probability P of {probability(certainty)} or more. Brackets are "
        f"{summary.level:.0%} intervals; changes are in sds of the bank's population."
    )
    return _by_bank(summary, heads, rows, (), caption)


def _by_bank(
    summary: SeriesSummary,
    heads: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
    words: tuple[int, ...],
    caption: str,
) -> Grid:
    """A table whose last column is the bank, where there are several."""
    if len(summary.banks) == 1:
        return Grid(
            heads, tuple(row[:-1] for row in rows), words=words, caption=caption, stacked=True
        )
    return Grid((*heads, "bank"), rows, words=(*words, len(heads)), caption=caption, stacked=True)
