"""What benchmarks say of one another, as a page and as the rows of a table."""

import math
from collections.abc import Iterator
from functools import partial as bound

from harness.report.sections import Caution, Grid, Part, Section, Text, both, interval, signed
from harness.report.sections_page import Figure, Page, render_sections
from harness.report.validity_plots import pair_plot
from harness.report.wording import printable
from harness.validity.plain import Interval
from harness.validity.result import Pair, Partial, Validity

_CAPTION = (
    "Each point is one agent or model; bars are {level} intervals of its abilities. The line is "
    "what ability on {first} says of ability on {second} once noise is taken out, the band its "
    "{level} interval. Named are those farthest from the line."
)


def render_validity_page(found: Validity, version: str) -> str:
    """The page as text, to be written as UTF-8."""
    names = [printable(one.name, 40) for one in found.benchmarks]
    return render_sections(
        Page(
            title=f"What {_joined(names)} say of one another",
            over="Predictive validity across benchmarks",
            figures=tuple(_figures(found)),
            notes=tuple(_notes(found)),
            sections=tuple(sections_of(found)),
            facts=tuple(_facts(found, version)),
            version=version,
        )
    )


def _joined(names: list[str]) -> str:
    if len(names) > 4:
        return f"{len(names)} benchmarks"
    return " and ".join([", ".join(names[:-1]), names[-1]])


def sections_of(found: Validity) -> Iterator[Section]:
    """All sections: pairs, what lies beyond capability, what was refused, and how to read it."""
    if found.pairs:
        yield _overview(found)
    if found.given:
        yield _beyond(found)
    for number, pair in enumerate(found.pairs):
        yield _pair_section(found, pair, f"pair-{chr(ord('a') + number % 26) * (1 + number // 26)}")
    if found.refusals:
        yield _refusals(found)
    yield _matched(found)
    yield _meaning()


# --- numbers as text --------------------------------------------------------------------------

PAIR_HEADS = ("pair", "shared", "correlation of abilities", "adjusted p", "error taken away")
PLAIN_HEADS = (
    "pair",
    "raw scores",
    "ranks of raw scores",
    "posterior means",
    "posterior draws",
    "classically corrected",
)
PARTIAL_HEADS = (
    "pair",
    "shared",
    "beyond capability",
    "adjusted p",
    "nothing held fixed",
    "posterior means",
    "error taken away",
)


def pair_cells(pair: Pair) -> tuple[str, ...]:
    """What :data:`PAIR_HEADS` say of a pair."""
    return (
        _arrow(pair),
        str(len(pair.keys)),
        told(pair.latent),
        _probability(pair.q),
        _share(pair.prediction.gain),
    )


def plain_cells(pair: Pair) -> tuple[str, ...]:
    """What :data:`PLAIN_HEADS` say of a pair."""
    return (_arrow(pair), *map(told, _plain(pair)))


def _plain(pair: Pair) -> tuple[Interval, ...]:
    return pair.scores, pair.ranks, pair.estimates, pair.draws, pair.classical


def _arrow(one: Pair | Partial) -> str:
    return f"{one.first} → {one.second}"


def partial_cells(one: Partial) -> tuple[str, ...]:
    """What :data:`PARTIAL_HEADS` say of a partial correlation."""
    return (
        f"{_arrow(one)}, given {one.given}",
        str(len(one.keys)),
        told(one.latent),
        _probability(one.q),
        told(one.whole),
        told(one.estimates),
        _share(one.predictions[-1].gain),
    )


def told(found: Interval) -> str:
    """A value with its interval.

    >>> told(Interval(0.5, -0.1, 0.8)), told(Interval(float("nan")))
    ('0.50 (−0.10 to 0.80)', '–')
    """
    if math.isnan(found.low):
        return signed(found.value)
    return f"{signed(found.value)} ({interval(found.low, found.high)})"


def _share(found: Interval) -> str:
    if math.isnan(found.value):
        return "–"
    ends = interval(100 * found.low, 100 * found.high, 0)
    return f"{signed(100 * found.value, 0)}% ({ends})"


def _probability(q: float) -> str:
    return "< 0.001" if q < 0.001 else signed(q, 3)


# --- sections ---------------------------------------------------------------------------------


def _overview(found: Validity) -> Section:
    sure = [pair for pair in found.pairs if pair.q <= 1 - found.level]
    n = len(found.pairs)
    level = f"{found.level:.0%}"
    if n == 1:
        finding = pair_sentence(found.pairs[0], found.level)
    else:
        finding = (
            f"{len(sure)} of {n} pairs of benchmarks correlate, at adjusted p of "
            f"{1 - found.level:.2g} or less."
        )
    several = (
        f"Intervals hold for each pair by itself; adjusted p is over all {n} pairs (Benjamini and "
        "Hochberg 1995)."
        if n > 1
        else ""
    )
    parts: list[Part] = [
        Grid(PAIR_HEADS, tuple(pair_cells(pair) for pair in found.pairs)),
        Text(
            f"Brackets are {level} intervals. {several} The correlation of abilities has the "
            "noise of both tests taken out, and its interval knows of that noise. Error taken "
            "away: how much smaller the squared error is when the second benchmark's score of an "
            "agent is told from its ability on the first and from all other agents, rather than "
            "from their mean; below 0 it is larger.",
            hint=True,
        ),
    ]
    return Section("All pairs", finding, parts=tuple(parts), key="pairs")


def pair_sentence(pair: Pair, level: float) -> str:
    """What was found of a pair, in words."""
    ends = f"{interval(pair.latent.low, pair.latent.high)}, {level:.0%} interval"
    numbers = f"{signed(pair.latent.value)} ({ends}) over {len(pair.keys)} agents"
    if pair.latent.low > 0:
        return f"Abilities on {pair.first} and {pair.second} go together: {numbers}."
    if pair.latent.high < 0:
        return f"Abilities on {pair.first} and {pair.second} go against each other: {numbers}."
    names = f"{pair.first} and {pair.second}"
    return f"Whether abilities on {names} go together cannot be told: {numbers}."


def _pair_section(found: Validity, pair: Pair, key: str) -> Section:
    level = f"{found.level:.0%}"
    caption = _CAPTION.format(level=level, first=pair.first, second=pair.second)
    told_by = pair.prediction
    parts: list[Part] = [both(bound(_svg, pair, key), caption)]
    if not math.isnan(told_by.gain.value):
        worse = ", which is to say that it is worse" if told_by.gain.value < 0 else ""
        parts.append(
            Text(
                f"Told from ability on {pair.first}, the score on {pair.second} of an agent that "
                f"was left out is off by {100 * told_by.error:.1f} points (root mean square). That "
                f"takes {_share(told_by.gain)} of the squared error away that the mean of the "
                f"others leaves{worse}."
            )
        )
    parts += [
        Grid(
            ("way to correlate", "value", f"{level} interval"),
            tuple(
                (
                    head,
                    signed(way.value),
                    "–" if math.isnan(way.low) else interval(way.low, way.high),
                )
                for head, way in zip(
                    ("abilities, noise taken out", *PLAIN_HEADS[1:]),
                    (pair.latent, *_plain(pair)),
                    strict=True,
                )
            ),
        ),
        Text(
            "Raw scores, posterior means and draws take noisy values for the truth and come out "
            "too close to 0; the interval over draws is about noise alone, not about which agents "
            "there are. Classically corrected is that of posterior means divided by the root of "
            f"both reliabilities ({signed(pair.reliability[0])}, {signed(pair.reliability[1])}), "
            "as Spearman (1904) did, and may exceed 1.",
            hint=True,
        ),
    ]
    parts += [Caution(text) for text in pair.cautions]
    title = f"{pair.first} and {pair.second}"
    return Section(title, pair_sentence(pair, found.level), parts=tuple(parts), key=key)


def _svg(pair: Pair, key: str, wide: bool) -> str:
    return pair_plot(pair, key, wide=wide)


def _beyond(found: Validity) -> Section:
    title = f"Beyond {found.given}"
    if not found.partials:
        return Section(
            title,
            f"Nothing can be said beyond {found.given}: too few agents have it and two other "
            "benchmarks.",
            key="beyond",
        )
    first, *others = found.partials
    finding = partial_sentence(first, found.level)
    if others:
        sure = [one for one in found.partials if one.q <= 1 - found.level]
        finding = (
            f"{len(sure)} of {len(found.partials)} pairs say something of one another beyond "
            f"{found.given}, at adjusted p of {1 - found.level:.2g} or less."
        )
    parts: list[Part] = [
        Grid(PARTIAL_HEADS, tuple(partial_cells(one) for one in found.partials)),
        Text(
            f"Correlations of abilities with ability on {found.given} held fixed, all three with "
            "their noise taken out. Error taken away: how much smaller the squared error of the "
            "second benchmark's score is when the first is known beside the capability measure; "
            "below 0 knowing it makes the prediction worse.",
            hint=True,
        ),
    ]
    parts += [Caution(text) for one in found.partials for text in one.cautions]
    return Section(title, finding, parts=tuple(parts), key="beyond")


def partial_sentence(one: Partial, level: float) -> str:
    """What was found of a pair beyond capability, in words."""
    ends = f"{interval(one.latent.low, one.latent.high)}, {level:.0%} interval"
    numbers = f"{signed(one.latent.value)} ({ends}) over {len(one.keys)} agents"
    what = f"{one.first} says of {one.second}"
    if one.latent.low > 0 or one.latent.high < 0:
        return f"Beyond {one.given}, {what} something: partial correlation {numbers}."
    return (
        f"Whether {what} anything beyond {one.given} cannot be told: partial correlation {numbers}."
    )


def _refusals(found: Validity) -> Section:
    n = len(found.refusals)
    return Section(
        "Not compared",
        f"{n} {'comparison was' if n == 1 else 'comparisons were'} refused: fewer than "
        f"{found.fewest} agents are shared.",
        parts=tuple(Text(f"{one.reason} {one.remedy}") for one in found.refusals),
        key="refused",
    )


def _matched(found: Validity) -> Section:
    rows = tuple(
        (one.name, str(one.agents), str(one.items), str(one.keys), signed(one.spread))
        for one in found.benchmarks
    )
    heads = ("benchmark", "agents", "items", "matched", "spread of scaffolds")
    parts: list[Part] = [
        Grid(heads, rows),
        Text(
            "Matched: agents, or models over all their scaffolds, that the matching names. Spread "
            "of scaffolds: sd of ability between agents of one model, beyond noise; it counts as "
            "error of the model's ability, as other scaffolds could have been tested. A dash means "
            "that no model has several agents, or that abilities were not needed.",
            hint=True,
        ),
    ]
    for pair in found.pairs:
        keys = Grid(
            (f"{pair.first} and {pair.second}", pair.first, pair.second),
            tuple((p.key, signed(p.x), signed(p.y)) for p in pair.points),
            caption="Posterior means of the abilities.",
        )
        parts.append(keys)
    return Section(
        "Who was compared",
        f"Matched by {found.how}.",
        parts=tuple(parts),
        key="matched",
    )


def _meaning() -> Section:
    return Section(
        "What this can and cannot say",
        "A correlation over agents that somebody chose to test is about agents like them.",
        parts=(
            Text(
                "Newer models are better at most things, so that benchmarks correlate because of "
                "progress alone: hold a capability measure fixed to see what is left. Where shared "
                "agents are more alike than all agents are, correlations come out lower. Models of "
                "one maker are no independent facts. And a high correlation says that two "
                "benchmarks order these agents alike, not that they measure the same."
            ),
        ),
        key="meaning",
    )


# --- around the sections ----------------------------------------------------------------------


def _figures(found: Validity) -> Iterator[Figure]:
    if found.pairs:
        best = max(found.pairs, key=lambda pair: abs(pair.latent.value))
        yield Figure(
            "Correlation of abilities" if len(found.pairs) == 1 else "Strongest correlation",
            signed(best.latent.value),
            f"{interval(best.latent.low, best.latent.high)}; {best.first} and {best.second}",
        )
    total = len(found.pairs) + sum(not one.given for one in found.refusals)
    yield Figure(
        "Pairs compared",
        f"{len(found.pairs)} of {total}",
        f"those that share {found.fewest} agents or more",
    )
    if found.partials:
        first = found.partials[0]
        yield Figure(
            f"Beyond {found.given}",
            signed(first.latent.value),
            f"{interval(first.latent.low, first.latent.high)}; {first.first} and {first.second}",
        )


def _notes(found: Validity) -> Iterator[str]:
    if not found.pairs:
        yield "No two benchmarks share agents enough: nothing is said of them."
    for one in found.benchmarks:
        for note in one.notes:
            yield f"{one.name}: {note}"


def _facts(found: Validity, version: str) -> Iterator[tuple[str, str]]:
    for one in found.benchmarks:
        digest = f", SHA-256 {one.sha256}" if one.sha256 else ""
        yield one.name, f"{one.source}{digest}"
    yield "Seed", str(found.seed)
    yield "Program", f"cat-harness {version}"
