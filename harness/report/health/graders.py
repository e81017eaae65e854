"""What a page says of the judges that rated the same outcomes."""

from harness.health.flags import names_of
from harness.health.graders.agreement import Estimate
from harness.health.graders.facets import Facets
from harness.health.graders.favouritism import ITSELF
from harness.health.graders.judges import Graders, rates
from harness.report.health.grader_plots import (
    agreement_plot,
    disputes_plot,
    favour_plot,
    levels_plot,
)
from harness.report.sections import Caution, Grid, Part, Section, Text, interval, signed

_MOST_JUDGES = 14
"""In a plot; more are only in the tables."""
_MOST_ITEMS = 15


def graders_section(found: Graders) -> Section:
    """Judges who rated the same outcomes: agreement, level, consistency, favour, disputes."""
    parts: list[Part] = [Caution(text) for text in found.cautions]
    facets = found.facets
    if facets is not None and len(facets.judges) <= _MOST_JUDGES:
        parts.append(levels_plot(found, facets))
    if facets is not None:
        parts.append(_judges_table(found, facets))
    if 2 < len(found.judges) <= _MOST_JUDGES and found.agreement.cells:
        parts.append(agreement_plot(found))
    if found.agreement.cells:
        parts += [_agreement_table(found), _pairs_table(found)]
    if facets is not None:
        parts += _favour_parts(found, facets)
        parts += _dispute_parts(found, facets)
    return Section("Judges", _finding(found), found.flags, tuple(parts), "judges")


def _finding(found: Graders) -> str:
    equal, alpha = found.agreement.all_equal, found.agreement.ordinal
    if not found.agreement.cells:
        return "No outcome was rated by two judges: nothing can be said of them."
    who = "Both judges" if len(found.judges) == 2 else f"All of the {len(found.judges)} judges"
    text = (
        f"{who} give the same rating to {equal.value:.0%} of the {found.agreement.cells:,} cells "
        f"that two or more rated. Krippendorff's α is {_estimate(alpha)}"
    )
    text += f": {_grade(alpha)}." if alpha.value == alpha.value else "."
    facets = found.facets
    if facets is None:
        return text
    upper = max(facets.judges, key=lambda judge: judge.points)
    lower = min(facets.judges, key=lambda judge: judge.points)
    if any(flag.kind == "severe judge" for flag in found.flags):
        text += (
            f" {upper.name} rates {rates(1, found.higher_is)} than {lower.name}, by "
            f"{upper.points - lower.points:.2f} points on a scale of {found.reach:g}."
        )
    texts = {
        "inconsistent judge": "Out of step with the others: {}.",
        "favouring judge": "Partial to a family or to itself, or against it: {}.",
        "disputed item": "Disputed more than other items: {}.",
    }
    for kind, words in texts.items():
        names = names_of([flag for flag in found.flags if flag.kind == kind])
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            text += " " + words.format(", ".join(names[:3]) + more)
    if not found.flags:
        text += " No judge stands out."
    return text


def _grade(alpha: Estimate) -> str:
    # Krippendorff (2004, section 11.4.2)
    if alpha.low >= 0.8:
        return "good"
    if alpha.low >= 0.667:
        return "enough for tentative conclusions"
    return "too little to rely on" if alpha.high < 0.667 else "perhaps too little to rely on"


def _judges_table(found: Graders, facets: Facets) -> Grid:
    return Grid(
        ("Judge", "Ratings", "Mean", "Level", "Infit", "Outfit"),
        tuple(
            (
                judge.name,
                f"{judge.ratings:,}",
                f"{judge.mean:.2f}",
                f"{signed(judge.points)} ({interval(judge.low, judge.high)})",
                f"{judge.infit:.2f} ({interval(judge.infit_low, judge.infit_high)})",
                f"{judge.outfit:.2f}",
            )
            for judge in sorted(facets.judges, key=lambda judge: -judge.points)
        ),
        "Judges",
        "Level: points that it rates the same cell higher than the average judge. Infit and "
        "outfit: squared differences from what the other judges lead one to expect, over what is "
        "due to chance; 1 is as it should be, more is erratic. Outfit feels far-off ratings most. "
        "Intervals have 90% probability.",
    )


def _agreement_table(found: Graders) -> Grid:
    got = found.agreement
    return Grid(
        ("Agreement", "Estimate"),
        (
            ("α, ordinal", _cell(got.ordinal)),
            ("α, interval", _cell(got.interval)),
            ("α, nominal", _cell(got.nominal)),
            ("All judges equal", percents(got.all_equal)),
        ),
        "Agreement of all judges",
        "α is 1 for full agreement and 0 for what chance would give. From 0.8 ratings can be "
        "relied on, below 0.667 they cannot (Krippendorff 2004). Intervals of 90% by drawing items "
        "again.",
    )


def _pairs_table(found: Graders) -> Grid:
    pairs = sorted(found.agreement.pairs, key=lambda pair: pair.kappa.value)
    return Grid(
        ("Judges", "Cells", "Weighted κ", "Equal"),
        tuple(
            (
                f"{pair.first} and {pair.second}",
                f"{pair.cells:,}",
                _cell(pair.kappa),
                percents(pair.exact),
            )
            for pair in pairs
        ),
        "Agreement of each two",
        "κ is weighted by squared distance (Cohen 1968).",
    )


def _favour_parts(found: Graders, facets: Facets) -> list[Part]:
    if not facets.favours:
        return [
            Text(
                "Favour for a family cannot be looked for: it needs agents of two known families "
                "that a judge rated, and with two judges one of the judge's own family.",
                hint=True,
            )
        ]
    parts: list[Part] = []
    if len(facets.judges) <= _MOST_JUDGES and len({one.group for one in facets.favours}) > 1:
        parts.append(favour_plot(found, facets))
    rows = sorted(facets.favours, key=lambda one: (not one.found, not one.own, -abs(one.points)))
    parts.append(
        Grid(
            ("Judge", "Rates", "Agents", "Ratings", "Points", "Adjusted p"),
            tuple(
                (
                    one.judge,
                    one.group + (" (its own)" if one.own and one.group != ITSELF else ""),
                    str(one.agents),
                    f"{one.ratings:,}",
                    f"{signed(one.points)} ({interval(one.low, one.high)})",
                    _p(one.q),
                )
                for one in rows
            ),
            "How each judge rates each family, apart from its level",
            "Points above what the other judges' ratings lead one to expect; its own families "
            "first. The p-value is of a favour of at most 1% of the scale, once the flagged ones "
            "are accounted for.",
            words=(1,),
        )
    )
    return parts


def _dispute_parts(found: Graders, facets: Facets) -> list[Part]:
    several = tuple(one for one in facets.disputes if one.cells > 1)
    parts: list[Part] = []
    if len(several) > 1:
        parts.append(disputes_plot(several[:_MOST_ITEMS]))
    parts.append(
        Grid(
            ("Item", "Cells", "Sd within cells", "Dispute", "Adjusted p"),
            tuple(
                (
                    one.item,
                    str(one.cells),
                    f"{one.spread:.2f}",
                    f"{one.ratio:.2f} ({interval(one.low, one.high)})",
                    _p(one.q),
                )
                for one in facets.disputes
            ),
            "Items by how much the judges dispute them",
            "Dispute: squared differences between the judges of a cell, over what the model of the "
            "judges expects where ratings are as high. The p-value is of at most 1.2.",
        )
    )
    parts.append(
        Grid(
            ("Item", "Agent", "Ratings"),
            tuple(
                (
                    cell.item,
                    cell.agent,
                    "·".join("–" if x != x else f"{x:g}" for x in cell.ratings),
                )
                for cell in facets.cells
            ),
            "Cells to read first",
            f"Where the judges are furthest apart; ratings of {', '.join(found.judges)}, in this "
            "order.",
            words=(1,),
            shown=8,
        )
    )
    return parts


def _estimate(one: Estimate) -> str:
    if one.value != one.value:
        return "unknown, as the ratings do not vary"
    return f"{signed(one.value)} ({interval(one.low, one.high)})"


def _cell(one: Estimate) -> str:
    return "–" if one.value != one.value else _estimate(one)


def percents(one: Estimate) -> str:
    """A share and its interval as text, or a dash for none."""
    return "–" if one.value != one.value else f"{one.value:.0%}, {one.low:.0%} to {one.high:.0%}"


def _p(q: float) -> str:
    return "–" if q != q else "< 0.001" if q < 0.001 else f"{q:.3f}"
