"""What a page says of two graders on different scales, such as a rule and a judge."""

from collections.abc import Sequence

import numpy as np

from harness.health.flags import names_of
from harness.health.graders.contradictions import Concentration, Contradictions
from harness.report.health.graders import percents
from harness.report.sections import Caution, Grid, Part, Section, signed

_MOST_CONTRADICTIONS = 200


def contradictions_section(found: Contradictions) -> Section:
    """Two graders on different scales, such as a rule and a judge."""
    one, two = found.graders
    parts: list[Part] = [Caution(text) for text in found.cautions]
    parts += [
        _joint_table(found),
        _rates_table(found),
        *(
            _concentrations_table(found, what, rows)
            for what, rows in (("Agent", found.agents), ("Item", found.items))
            if any(row.first_only + row.second_only for row in rows)
        ),
    ]
    if found.found:
        parts.append(_every_contradiction(found))
    against = len(found.found)
    alone = sum(x.first_only for x in found.found)
    gathered = names_of([flag for flag in found.flags if flag.about == "item"])
    text = (
        f"{one} and {two} contradict each other on {against:,} of {found.cells:,} cells "
        f"({percents(found.rate)}): {one} alone says yes in {alone:,}, {two} alone in "
        f"{against - alone:,}."
    )
    if gathered:
        text += (
            f" On {len(gathered)} item{'s' * (len(gathered) != 1)} they part far more often than "
            "elsewhere: there the rule or the judge's instruction is likely wrong."
        )
    return Section("Two graders", text, found.flags, tuple(parts), "contradictions")


def _joint_table(found: Contradictions) -> Grid:
    one, two = found.graders
    marks = [found.cuts[1](np.array([value]))[0] for value in found.second_scale]
    return Grid(
        (
            f"{one} \\ {two}",
            *(
                f"{_value(value)}{' (yes)' * bool(mark)}"
                for value, mark in zip(found.second_scale, marks, strict=True)
            ),
        ),
        tuple(
            (
                f"{_value(value)}{' (yes)' * bool(found.cuts[0](np.array([value]))[0])}",
                *(f"{n:,}" for n in row),
            )
            for value, row in zip(found.first_scale, found.joint, strict=True)
        ),
        "Cells by what each grader says",
        f"Rows: {one}, yes is {found.cuts[0]}. Columns: {two}, yes is {found.cuts[1]}.",
    )


def _rates_table(found: Contradictions) -> Grid:
    one, two = found.graders
    return Grid(
        ("What", "Share and interval"),
        (
            ("Cells with a contradiction", percents(found.rate)),
            (f"{two} says no where {one} says yes", percents(found.first_only)),
            (f"{one} says no where {two} says yes", percents(found.second_only)),
            ("κ of the two verdicts", signed(found.kappa)),
        ),
        "How often",
    )


def _concentrations_table(found: Contradictions, what: str, rows: Sequence[Concentration]) -> Grid:
    one, two = found.graders
    return Grid(
        (what, "Cells", f"{one} alone", f"{two} alone", "Rate"),
        tuple(
            (
                row.name,
                str(row.cells),
                str(row.first_only),
                str(row.second_only),
                percents(row.rate),
            )
            for row in rows
            if row.first_only + row.second_only
        ),
        f"Contradictions by {what.lower()}",
        "How often only one of the two says yes; the rate is of both kinds, with its interval.",
    )


def _every_contradiction(found: Contradictions) -> Grid:
    place = {row.name: n for n, row in enumerate(found.items)}
    rows = sorted(found.found, key=lambda x: (place[x.item], x.agent, x.trial))
    repeated = any(x.trial for x in rows)
    more = len(rows) - _MOST_CONTRADICTIONS
    return Grid(
        ("Item", "Agent", *("Trial",) * repeated, *found.graders),
        tuple(
            (x.item, x.agent, *(str(x.trial),) * repeated, _value(x.first), _value(x.second))
            for x in rows[:_MOST_CONTRADICTIONS]
        ),
        "Every contradiction" if more <= 0 else f"The first {_MOST_CONTRADICTIONS} contradictions",
        "By item, those with most contradictions first."
        + (f" {more:,} more are in the JSON file." if more > 0 else ""),
        words=(1,),
    )


def _value(value: float) -> str:
    return f"{value:g}".replace("-", "−")
