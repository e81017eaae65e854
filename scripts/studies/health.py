"""What ``cat-harness health`` finds in real benchmarks, a page each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.health.assess import Health, assess
from harness.health.evidence import About, Evidence, gather
from harness.health.flags import RATE, Flag, by_kind, names_of
from harness.health.graders.judges import HigherIs
from harness.report.health.page import sections_of
from harness.report.sections import Caution, Grid, Section, interval, signed
from harness.report.sections_page import shortened
from harness.report.wording import printable, sentence
from harness.responses import Responses
from harness.responses.about import read_about
from harness.responses.ratings import read_ratings
from studies.common import FILE, Run
from studies.pages import facts, page
from studies.sections import grid, plot, plots_of

AGENTS, ITEMS, RATINGS = "agents.csv", "items.csv", "ratings.csv.gz"
REPOSITORY = "repository"
"""Attribute of items that their names tell."""
_NAMED = 50
"""Names of one kind in the list."""
_FEW = 5
"""Items that a group of dependent ones must have for a row of its own."""
_ROWS = 8
_ALWAYS = ("gaps", "noise", "dimensions", "reliability", "subset")
"""Sections that are told of even where they flag nothing."""
_TABLES = {
    "judges": ("Judges", "Agreement of all judges"),
    "noise": ("Variance of the score of one trial", "Reliability by number of trials"),
    "subset": ("By number of tasks",),
}
"""Tables that are shown, by section and title."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with a page of its own."""

    data: str
    """Folder of its outcomes."""
    name: str
    figures: tuple[str, ...]
    """Sections whose first plots are shown."""
    high_is: HigherIs | None = None
    """What a high rating says of an agent, where there are ratings."""

    @property
    def study(self) -> str:
        """What the study is called on the command line."""
        return f"health-{self.data}"

    @property
    def TITLE(self) -> str:
        """Of the page."""
        return f"The health of {self.name}"

    @property
    def NEEDS(self) -> tuple[str, ...]:
        """Data sets."""
        return (self.data,)

    def run(self, run: Run) -> str:
        """The page."""
        responses, evidence, health = found(run, self)
        sections = sections_of(health, evidence)
        figures = [
            plot(run.out, f"{self.study}-{key}", first, sections[key].title)
            for key in self.figures
            if key in sections and (first := next(plots_of(sections[key]), None))
        ]
        return page(
            self.study,
            self.TITLE,
            lead(sections),
            facts([(self.data, responses)]),
            [
                *to_do(health),
                *structure(health),
                *(text for key in _TABLES if key in sections for text in _grids(sections[key])),
                *figures,
                *cautions(health, sections),
                command(run, self, evidence),
            ],
        )


BENCHMARKS = (
    Benchmark("swebench_verified", "SWE-bench Verified", ("gaps", "agents")),
    Benchmark("terminal_bench_2", "Terminal-Bench 2.0", ("gaps", "noise")),
    Benchmark("odcv", "ODCV-Bench", ("gaps", "judges"), "worse"),
)


# --- what is found ----------------------------------------------------------------------------


def found(run: Run, benchmark: Benchmark) -> tuple[Responses, Evidence, Health]:
    """Outcomes, what is known of them, and all analyses, as the command makes them."""
    folder = run.data / benchmark.data
    responses = run.load(benchmark.data)
    evidence = gather(responses, about=about(folder, responses))
    ratings = folder / RATINGS
    health = assess(
        evidence,
        name=benchmark.name,
        ratings=read_ratings(ratings) if ratings.exists() else None,
        high_is=benchmark.high_is,
    )
    return responses, evidence, health


def about(folder: Path, responses: Responses) -> About:
    """Tables beside the outcomes; without one of the items, the repositories in their names."""
    agents, items = folder / AGENTS, folder / ITEMS
    return About(
        read_about(agents, "agent", responses.agents) if agents.exists() else {},
        read_about(items, "item", responses.items)
        if items.exists()
        else repositories(responses.items),
    )


def repositories(items: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """What stands before ``__``; nothing where not all names have it.

    >>> repositories(("django__django-1", "sympy__sympy-2"))["django__django-1"]
    {'repository': 'django'}
    >>> repositories(("chess", "django__django-1"))
    {}
    """
    if not all("__" in item for item in items):
        return {}
    return {item: {REPOSITORY: item.split("__")[0]} for item in items}


# --- the page ---------------------------------------------------------------------------------


def lead(sections: dict[str, Section]) -> list[str]:
    """What was found, most urgent first, and where nothing was."""
    told = {key: one for key, one in sections.items() if one.flags or key in _ALWAYS}
    silent = [one.title.lower() for key, one in sections.items() if key not in told]
    return [
        *(f"**{one.title}.** {one.finding}" for one in told.values()),
        *([f"Nothing was flagged under: {', '.join(silent)}."] if silent else []),
    ]


def to_do(health: Health) -> list[str]:
    """Flags by kind with the evidence for the strongest, and the names."""
    kinds = by_kind(health.flags)
    if not kinds:
        return ["## What to do", "Nothing was flagged."]
    strongest = {kind: min(flags, key=lambda flag: flag.q) for kind, flags in kinds.items()}
    rows = tuple(
        (kind, str(len(flags)), evidence_of(strongest[kind]), sentence(strongest[kind].action))
        for kind, flags in kinds.items()
    )
    named = [
        f"- {kind}, {len(names)}: {shortened(names, _NAMED)}"
        for kind, flags in kinds.items()
        if len(names := names_of(flags)) > 1
    ]
    return [
        "## What to do",
        f"Of the flags of one kind at most {RATE:.0%} are expected to be false; intervals are 90%.",
        grid(Grid(("what", "flags", "the strongest evidence", "what to do"), rows, words=(2, 3))),
        *(["By name:", "\n".join(named)] if named else []),
    ]


def evidence_of(flag: Flag) -> str:
    """Whom a flag is about, and why."""
    return f"{shortened(flag.names, 2)}: {flag.evidence}" if flag.names else sentence(flag.evidence)


def structure(health: Health) -> list[str]:
    """Reliability, dimensions, dependence."""
    return [
        "## Structure",
        grid(Grid(("what", "value", "90% interval", "remark"), tuple(_rows(health)), words=(3,))),
        *_dependent(health),
    ]


def _rows(h: Health) -> Iterator[tuple[str, str, str, str]]:
    reliability, kept, gain = h.reliability, h.dependence.information, h.dimensions.gain
    empirical, alpha = reliability.empirical, reliability.alpha
    yield (
        "reliability of ability",
        signed(empirical.value, 3),
        interval(empirical.low, empirical.high, 3),
        f"tells about {reliability.strata:.0f} groups of agents apart",
    )
    yield (
        "α of the mean score",
        signed(alpha.value, 3),
        interval(alpha.low, alpha.high, 3),
        f"of {reliability.complete} agents with all outcomes; ω is {signed(reliability.omega, 3)}",
    )
    yield (
        "standard error at the median agent",
        signed(h.gaps.typical),
        "",
        f"{signed(h.gaps.at_best)} at the best agent; {signed(h.gaps.needed)} is needed",
    )
    yield (
        "information really there",
        f"{kept.share:.0%}",
        f"{kept.low:.0%} to {kept.high:.0%}",
        f"{kept.items} items tell as much as {kept.effective_items:.0f} independent ones",
    )
    for one in h.dependence.attributes:
        yield (
            f"dependence of items of one {one.name}",
            signed(one.difference, 3),
            interval(one.low, one.high, 3),
            f"residual correlation above that of other pairs, over {one.pairs:,} pairs; "
            f"{_certain(one.q)}",
        )
    if gain is not None:
        yield (
            "gain of a second ability",
            signed(gain.gain, 4),
            interval(gain.low, gain.high, 4),
            "nats a held-out cell; "
            + ("there is a second dimension" if h.dimensions.second else "one ability does as well")
            + f"; the largest component is {h.dimensions.share:.1%} of what ability leaves, "
            f"{h.dimensions.usual_share:.1%} by chance",
        )
    if not math.isnan(h.model_fit.srmsr):
        yield (
            "SRMSR",
            signed(h.model_fit.srmsr, 3),
            "",
            f"{interval(*h.model_fit.chance, 3)} where one ability is all there is",
        )


def _certain(q: float) -> str:
    return f"adjusted p {q:.3f}" + ("" if q < RATE else ", which may be chance")


def _dependent(health: Health) -> list[str]:
    """Groups of items that hang together, of the attribute that does most."""
    first = next((one for one in health.dependence.attributes if one.q < RATE), None)
    groups = [group for group in first.groups if group.items >= _FEW] if first else []
    if first is None or not groups:
        return []
    rows = tuple(
        (
            printable(group.value, 60),
            str(group.items),
            signed(group.q3, 3),
            interval(group.low, group.high, 3),
        )
        for group in groups[:_ROWS]
    )
    heads = first.name, "items", "mean residual correlation", "90% interval"
    return [grid(Grid(heads, rows))]


def _grids(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    for part in section.parts:
        if isinstance(part, Grid) and part.title in _TABLES[section.key]:
            yield grid(part, _ROWS)
            if part.caption:
                yield part.caption


def cautions(health: Health, sections: dict[str, Section]) -> list[str]:
    """What cannot be concluded: the first thing that each analysis says and none before it."""
    told = dict.fromkeys(health.notes, "")
    every = {*health.notes}
    for section in sections.values():
        texts = [part.text for part in section.parts if isinstance(part, Caution)]
        every |= {*texts}
        if new := [text for text in texts if text not in told]:
            told[new[0]] = f"**{section.title}.** "
    if not told:
        return []
    return [
        "## What these outcomes cannot show",
        "\n".join(f"- {title}{text}" for text, title in told.items()),
        *([f"The full page says {len(every) - len(told)} more."] if len(every) > len(told) else []),
    ]


def command(run: Run, benchmark: Benchmark, evidence: Evidence) -> str:
    """How to make the full page."""
    folder = run.data / benchmark.data
    options = [
        f"--{file.partition('.')[0]} {file}"
        for file in (AGENTS, ITEMS, RATINGS)
        if (folder / file).exists()
    ]
    if REPOSITORY in evidence.tags and not (folder / ITEMS).exists():
        options.append(f"--items {ITEMS}")
    if benchmark.high_is:
        options.append(f"--high-is {benchmark.high_is}")
    options += [f'--name "{benchmark.name}"', "--out report.html"]
    words = [f"cat-harness health {FILE}", *options]
    text = "## The full page\n\n```\n" + " \\\n  ".join(words) + "\n```"
    if f"--items {ITEMS}" in options and not (folder / ITEMS).exists():
        text += (
            f"\n\n`{ITEMS}` has the columns `item,{REPOSITORY}`; the repository is what stands "
            "before `__` in the name."
        )
    return text
