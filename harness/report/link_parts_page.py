"""Benchmarks linked through shared models and scaffolds, as a page and as rows of a table."""

from collections.abc import Iterator
from functools import partial as bound

from harness.parts.link_result import Correlation, Estimate, Line, Linked, Refusal
from harness.parts.shared import Shared
from harness.report.link_parts_plot import line_plot
from harness.report.sections import Caution, Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page, render_sections, shortened
from harness.report.wording import printable

_NOTHING = 0.45
"""Width of a correlation's interval above which the data hardly told it; 0.61 without any."""

SHARED_HEADS = ("pair", "models", "scaffolds", "models under one scaffold", "agents")
LINE_HEADS = (
    "benchmark",
    "alpha",
    "beta",
    "1 sd below",
    "mean ability there",
    "1 sd above",
    "linking error",
)


def render_link_page(found: Linked | Refusal, version: str) -> str:
    """The page as text, to be written as UTF-8."""
    names = list(dict.fromkeys(name for one in found.shared for name in (one.first, one.second)))
    return render_sections(
        Page(
            title=f"{shortened(names)} on one scale",
            over="Benchmarks linked through shared models and scaffolds",
            figures=tuple(_figures(found)),
            notes=(found.reason, found.remedy) if isinstance(found, Refusal) else (),
            sections=tuple(_sections(found)),
            facts=(("Program", f"cat-harness {version}"),),
            version=version,
        )
    )


# --- numbers as text --------------------------------------------------------------------------


def shared_cells(one: Shared) -> tuple[str, ...]:
    """What :data:`SHARED_HEADS` say of a pair."""
    parts = one.models, one.scaffolds, one.pairs, one.agents
    return (f"{one.first} and {one.second}", *(str(len(names)) for names in parts))


def line_cells(line: Line, found: Linked) -> tuple[str, ...]:
    """What :data:`LINE_HEADS` say of a benchmark."""
    return (
        line.name,
        told(line.alpha),
        told(line.beta),
        *(f"{signed(point.here)} is {told(point.there)}" for point in line.points),
        f"{signed(line.points[1].error)}" + (" (barely)" if line.name in found.barely else ""),
    )


def told(found: Estimate) -> str:
    """A value with its interval.

    >>> told(Estimate(0.5, -0.1, 0.8))
    '0.50 (−0.10 to 0.80)'
    """
    return f"{signed(found.value)} ({interval(found.low, found.high)})"


def line_sentence(line: Line, found: Linked) -> str:
    """How well one benchmark is linked, in words."""
    first, error = found.names[0], signed(line.points[1].error)
    sds = f"{signed(line.relative_error)} sds of the agents there"
    if line.name in found.barely:
        return (
            f"{line.name} is barely linked to {first}: the linking error at its mean is {error} on "
            f"the scale of {first}, {sds}, above the bound of {signed(found.bound)}. Abilities are "
            "not to be compared across the two; more shared models, of more different abilities, "
            "would help."
        )
    return (
        f"{line.name} is linked to {first} with a linking error at its mean of {error} on the "
        f"scale of {first}, {sds}."
    )


def correlation_sentence(one: Correlation) -> str:
    """How far two benchmarks measure the same, in words."""
    hardly = one.value.high - one.value.low > _NOTHING
    return (
        f"What a model or scaffold is worth on {one.first} and on {one.second} correlates by "
        f"{told(one.value)}"
        + (", which is hardly more than is assumed before any data, 0.66 (0.31 to 0.91)." * hardly)
        + "." * (not hardly)
    )


# --- sections ---------------------------------------------------------------------------------


def _figures(found: Linked | Refusal) -> Iterator[Figure]:
    fewest = min(found.shared, key=lambda one: len(one.models))
    yield Figure(
        "Shared models",
        str(len(fewest.models)),
        f"{fewest.first} and {fewest.second}" + ", the fewest" * (len(found.shared) > 1),
    )
    if isinstance(found, Linked):
        worst = max(found.lines, key=lambda line: line.relative_error)
        yield Figure(
            "Linking error",
            signed(worst.points[1].error),
            f"at the mean of {worst.name}, on the scale of {found.names[0]}"
            + ", the largest" * (len(found.lines) > 1),
        )
        weakest = min(found.correlations, key=lambda one: one.value.value)
        yield Figure(
            "Correlation of abilities",
            signed(weakest.value.value),
            f"{interval(weakest.value.low, weakest.value.high)}; {weakest.first} and "
            f"{weakest.second}",
        )


def _sections(found: Linked | Refusal) -> Iterator[Section]:
    if isinstance(found, Linked):
        for number, line in enumerate(found.lines):
            yield _line_section(line, found, f"line-{'abcdefghijklmnopqrstuvwxyz'[number % 26]}")
        yield _alike(found)
    yield _shared(found)
    yield _meaning()


def _line_section(line: Line, found: Linked, key: str) -> Section:
    first = found.names[0]
    parts: list[Part] = [
        both(
            bound(_svg, line, first, key),
            "Each point is a shared model, the mean of its agents on both; bars are 90% intervals "
            "of the measurement. The line is where the two scales meet, the band its 90% interval. "
            "Models lie off it by what they are especially good or bad at, and by their scaffolds.",
        ),
        Grid(
            (f"ability on {line.name}", f"on {first}", "linking error"),
            tuple(
                (signed(point.here), told(point.there), signed(point.error))
                for point in line.points
            ),
            caption="At the mean of its agents, and one sd below and above.",
        ),
        Text(
            f"Ability on {line.name} = alpha + beta · ability on {first}, for what is general in "
            f"both: alpha {told(line.alpha)}, beta {told(line.beta)}. The linking error is shared "
            "by all agents: it does not average out.",
            hint=True,
        ),
    ]
    if line.name in found.barely:
        parts.append(Caution(f"{line.name} and {first} are barely linked."))
    return Section(line.name, line_sentence(line, found), parts=tuple(parts), key=key)


def _svg(line: Line, first: str, key: str, wide: bool) -> str:
    return line_plot(line, first, key, wide=wide)


def _alike(found: Linked) -> Section:
    parts: list[Part] = [
        Grid(
            ("pair", "correlation", "90% interval"),
            tuple(
                (
                    f"{one.first} and {one.second}",
                    signed(one.value.value),
                    interval(one.value.low, one.value.high),
                )
                for one in found.correlations
            ),
        ),
        Grid(
            ("benchmark", "share that is general", "90% interval"),
            tuple(
                (name, signed(share.value), interval(share.low, share.high))
                for name, share in found.general
            ),
            caption="Of the variance of what models and scaffolds are worth. With two benchmarks "
            "only the product of the two shares is told by the data.",
        ),
    ]
    sentence = " ".join(correlation_sentence(one) for one in found.correlations[:3])
    return Section("How far they measure the same", sentence, parts=tuple(parts), key="alike")


def _shared(found: Linked | Refusal) -> Section:
    parts: list[Part] = [Grid(SHARED_HEADS, tuple(map(shared_cells, found.shared)))]
    for one in found.shared:
        if one.models or one.scaffolds:
            models, scaffolds = (
                ", ".join(printable(name, 60) for name in names) or "none"
                for names in (one.models, one.scaffolds)
            )
            parts.append(
                Text(f"{one.first} and {one.second}: models {models}; scaffolds {scaffolds}.")
            )
    most = max(found.shared, key=lambda one: len(one.models))
    finding = f"{most.first} and {most.second} share {len(most.models)} models."
    return Section("What they share", finding, parts=tuple(parts), key="shared")


def _meaning() -> Section:
    return Section(
        "What this can and cannot say",
        "Only what benchmarks share ties their scales.",
        parts=(
            Text(
                "Each table was calibrated by itself first; then all abilities were fitted "
                "together. Models that one benchmark alone has tell nothing of the line, as boards "
                "differ in whom they test. Scaffolds count as drawn from one population: where two "
                "benchmarks have no scaffold in common, that theirs are equally good on average is "
                "an assumption, and how far they may differ is in the linking error."
            ),
        ),
        key="meaning",
    )
