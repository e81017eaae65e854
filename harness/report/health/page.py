"""The health of a benchmark as one self-contained HTML page."""

import math

from harness.health.assess import Health
from harness.health.better.clean import Cleaned
from harness.health.better.subset import Reduction
from harness.health.evidence import Evidence
from harness.health.flags import RATE, by_kind, names_of
from harness.report.health.agents import agents_section
from harness.report.health.contradictions import contradictions_section
from harness.report.health.fit import item_fit_section, model_fit_section
from harness.report.health.functioning import functioning_section
from harness.report.health.graders import graders_section
from harness.report.health.item_groups import item_groups_section
from harness.report.health.items import (
    gaps_section,
    noise_section,
    saturation_section,
    scale_use_section,
    slopes_section,
)
from harness.report.health.reliability import reliability_section
from harness.report.health.structure import dependence_section, dimensions_section
from harness.report.health.subset import cleaned_section, subset_section
from harness.report.sections import Grid, Section, Text
from harness.report.sections_page import Figure, Page, render_sections, shortened
from harness.report.wording import count, percent, sentence

_FEW_AGENTS = 30
_TO_DO = "to-do"


def render_health_page(health: Health, evidence: Evidence, cleaned: Cleaned | None = None) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        evidence: what ``health`` was found in.
        cleaned: the bank that was written without what is wrong with it.
    """
    found = sections_of(health, evidence)
    return render_sections(
        Page(
            title=health.name,
            over="The health of a benchmark",
            figures=_figures(health),
            notes=_notes(health),
            sections=(
                to_do_section(health),
                *found.values(),
                *([cleaned_section(cleaned)] if cleaned else []),
            ),
            facts=(
                (
                    "Outcomes",
                    health.source + (f", SHA-256 {health.sha256}" if health.sha256 else ""),
                ),
                ("Curves", health.bank),
                ("Seed", str(health.seed)),
                ("Program", f"cat-harness {health.version}"),
            ),
            version=health.version,
            contents_after=_TO_DO,
        )
    )


def sections_of(health: Health, evidence: Evidence) -> dict[str, Section]:
    """The section of each analysis by its key, in the order of what to do about them."""
    h = health
    every = (
        slopes_section(h.slopes, evidence),
        item_fit_section(h.fit, evidence),
        item_groups_section(h.item_groups) if h.item_groups.groups else None,
        graders_section(h.graders) if h.graders else None,
        contradictions_section(h.contradictions) if h.contradictions else None,
        dependence_section(h.dependence, evidence),
        saturation_section(h.saturation, evidence),
        gaps_section(h.gaps, evidence),
        noise_section(h.noise, evidence) if h.noise else None,
        scale_use_section(h.scale_use, evidence) if h.scale_use else None,
        functioning_section(h.functioning, evidence),
        agents_section(h.agents_fit, evidence),
        dimensions_section(h.dimensions, evidence),
        model_fit_section(h.model_fit, evidence),
        reliability_section(h.reliability, evidence),
        subset_section(h.subset, evidence) if h.subset else None,
    )
    return {section.key: section for section in every if section is not None}


def _figures(health: Health) -> tuple[Figure, ...]:
    flagged = names_of([flag for flag in health.flags if flag.about in ("item", "items")])
    reliability = health.reliability.empirical.value
    return (
        Figure(
            "Outcomes",
            f"{count(health.agents, 'agent')} × {count(health.items, 'item')}",
            f"{count(health.answers, 'answer')}, {percent(health.missing)} of the cells missing",
        ),
        Figure(
            "Items with a flag",
            f"{len(flagged)} of {health.items}",
            "items that deserve a look, each with the evidence below",
        ),
        Figure(
            "Reliability",
            "unknown" if math.isnan(reliability) else f"{reliability:.2f}",
            "share of the differences between these agents' estimates that is no noise",
        ),
        *(_smaller(health.subset) if health.subset else ()),
    )


def _smaller(found: Reduction) -> tuple[Figure, ...]:
    subset = found.subset
    return (
        Figure(
            "A smaller benchmark",
            count(len(subset.picks), "item"),
            f"keeps {percent(subset.share)} of the information",
        ),
    )


def _notes(health: Health) -> tuple[str, ...]:
    few = (
        f"{health.agents} agents: what needs many agents to be seen is not seen here, so no flag "
        "is no proof of health. What cannot be concluded is said in each section."
    )
    return (*([few] if health.agents < _FEW_AGENTS else []), *health.notes)


def to_do_section(health: Health) -> Section:
    """All flags by kind, with what to do, in the order of the page."""
    kinds = by_kind(health.flags)
    rows = tuple(
        (kind, str(len(flags)), shortened(names_of(flags), 3), sentence(flags[0].action))
        for kind, flags in kinds.items()
    )
    if not rows:
        return Section(
            "What to do",
            "Nothing was flagged. What these outcomes are too few to show is said below.",
            key=_TO_DO,
        )
    n = len(health.flags)
    return Section(
        "What to do",
        f"{count(n, 'flag')} of {count(len(kinds), 'kind')}, the most urgent first.",
        parts=(
            Grid(
                ("what", "flags", "about", "what to do"),
                rows,
                words=(2, 3),
                stacked=True,
                shown=len(rows),
            ),
            Text(
                "Each flag is below with its evidence. Flags are adjusted for how many were looked "
                f"at: of those of one kind at most {RATE:.0%} are expected to be false, of low and "
                "reversed slopes 10%. Intervals are 90%.",
                hint=True,
            ),
        ),
        key=_TO_DO,
    )
