"""What a series has found so far, for its commands."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.schedule.events import Proposal
    from harness.schedule.summary import SeriesSummary
    from harness.series.definition import Definition
    from harness.series.files import Registered
    from harness.series.state import Loaded


def summary_of(loaded: "Loaded", *, hindsight: bool = True) -> "SeriesSummary":
    """The summary of a series.

    Args:
        hindsight: look back at earlier checkpoints, which takes most of the time.
    """
    from harness.schedule.summarise import summarise
    from harness.schedule.summary import AlarmNote

    names = [field.name for field in fields(AlarmNote)]
    return summarise(
        loaded.situation,
        name=loaded.definition.name,
        policy=loaded.definition.policy,
        subjects={known.step: _subject(loaded.definition, known) for known in loaded.registered},
        alarms=[AlarmNote(*(getattr(record, name) for name in names)) for record in loaded.alarms],
        level=loaded.definition.level,
        hindsight=hindsight,
    )


def _subject(definition: "Definition", known: "Registered") -> str:
    launch = definition.launch
    return replace(
        launch, model=known.model or launch.model, agent=known.agent or launch.agent
    ).title


def print_status(loaded: "Loaded", proposal: "Proposal | None" = None) -> None:
    """Where a series stands, in a few lines, and what would be tested next."""
    from rich.console import Console

    from harness.report.series.status import status_lines

    # it tells of the last checkpoint only, of which hindsight knows no more
    summary = summary_of(loaded, hindsight=False)
    Console().print(status_lines(summary, proposal), soft_wrap=True)
