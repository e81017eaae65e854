"""Ability on one bank over the checkpoints: a section of the page."""

from harness.report.sections import Section, Text, both, signed
from harness.report.series.course_plot import course_plot
from harness.report.series.wording import score_text, told
from harness.report.wording import count, printable
from harness.schedule.summary import BankSummary, SeriesSummary


def ability_section(summary: SeriesSummary, bank: BankSummary, key: str) -> Section:
    """Where it is now, its course, and what was learned of its drift.

    Args:
        key: of the section, unlike that of any other bank.
    """
    if bank.tested:
        last = bank.tested[-1]
        score = score_text(last.score)
        now = f"At step {last.step:,} it is {told(last.smoothed)}, predicted score {score}."
        more = bank.points[-1]
        if more.step != last.step:
            now += (
                f" Step {more.step:,} has not been tested; its forecast is {told(more.forecast)}."
            )
    else:
        now = "No checkpoint has answers: all that is known is the population of the bank."
    caption = (
        "Line and band: ability by all that is known now. Points: by what was known when the "
        "checkpoint was tested. Grey: the forecast before that. Bars and band are "
        f"{summary.level:.0%} intervals. Below, the sessions: the larger a mark, the more tasks; "
        "open marks are not finished, crosses have failed. On the right, the score on the whole "
        "bank that is expected at that ability."
    )
    course = both(
        lambda wide: course_plot(bank, summary.checkpoints, summary.alarms, key, wide=wide), caption
    )
    return Section(
        f"Ability on {printable(bank.name, 100)}",
        now,
        parts=(course, Text(_drift(summary, bank), hint=True)),
        key=key,
    )


def _drift(summary: SeriesSummary, bank: BankSummary) -> str:
    unit = count(summary.drift.unit, "step")
    usual = sum(chance.value**2 * chance.probability for chance in bank.walk) ** 0.5
    best = max(bank.walk, key=lambda chance: chance.probability)
    said = [
        f"What {'was learned' if bank.tested else 'is assumed'} of its drift: in {unit} ability "
        f"walks with an sd of about {signed(usual)} sds of the population; likeliest "
        f"of what was considered is {best.value:g}, with probability {signed(best.probability)}."
    ]
    if bank.slope is not None:
        said.append(f"The trend is {told(bank.slope, digits=3)} sds in {unit}.")
    if summary.correlation:
        mean = sum(chance.value * chance.probability for chance in summary.correlation)
        said.append(
            "The abilities of both banks move together; their expected correlation is "
            f"{signed(mean)}."
        )
    return " ".join(said)
