"""How a series was computed: the last section of the page."""

from harness.report.sections import Section, Text
from harness.schedule.summary import SeriesSummary


def method_section(summary: SeriesSummary) -> Section:
    """The model of a series, and when an alarm is raised."""
    moves = "takes a random walk whose variance grows with the training steps in between"
    if summary.drift.trend:
        moves += ", along a slope that itself walks"
    if summary.joint:
        moves += ", together with the ability on the other bank"
    return Section(
        "How it was computed",
        "All answers of the series count for every checkpoint, those of its neighbours most.",
        parts=(
            Text(
                f"Between two checkpoints ability {moves}; with a small probability, or where it "
                "is declared, it jumps. What a checkpoint is believed to be before its test is "
                "what the last one was, moved so; its answers then weigh it (filtering), and those "
                "of later checkpoints too when looked back (smoothing). How far ability walks is "
                "learned with it. Answers of the same line to the same item go together beyond "
                f"ability, with a correlation of {summary.drift.persistence:g} on the latent "
                "scale. Predicted scores take the answers that a checkpoint has as they are and "
                f"the rest from its ability. {_rule(summary)}"
            ),
        ),
        key="method",
    )


def _rule(summary: SeriesSummary) -> str:
    if summary.certainty is None:
        return "No alarm is defined."
    return (
        f"An alarm is raised when its posterior probability reaches {summary.certainty:.3f}. That "
        "is chosen so that, if the model holds, the first alarm of a training run is false with a "
        f"probability of at most {summary.alpha:g}, however often one looks and whatever decided "
        "to look (Shiryaev 1963)."
    )
