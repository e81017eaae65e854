"""A bank as one self-contained HTML page: it opens offline, prints, and reads on a phone."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.bank import Item, ItemBank, compile_bank
from harness.report import bank_plots
from harness.report.bank_plots import Agents, Spot
from harness.report.bank_summary import (
    LEVEL,
    Curves,
    Precision,
    curves,
    expected_scores,
    fewest_items,
    location,
    location_intervals,
    parameter_sds,
    placed_by_prior,
    precision,
    slope_intervals,
)
from harness.report.page import templates
from harness.report.wording import ability_names, count, decimal, percent, printable

_FIRST_CURVES = 24
"""So many category curves are open; the others wait for a click."""
_SHORT_LIST = 12
_DEEPEST = 6


def render_bank_page(bank: ItemBank) -> str:
    """The page as text, to be written as UTF-8.

    >>> bank = ItemBank("demo", (Item("first", "2pl", (1.0,), (0.0,)),))
    >>> page = render_bank_page(bank)
    >>> page.startswith("<!DOCTYPE html>"), "first" in page
    (True, True)
    """
    from markupsafe import Markup

    names = ability_names(len(bank.mean))
    found = curves(bank)
    spots = _spots(bank)
    agents = [_agents(bank, d) for d in range(len(names))]
    precisions = [precision(bank, d) for d in range(len(names))]
    cards = [(row, bank.items[row], Markup(svg)) for row, svg in _drawn_curves(bank, found)]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    single = len(names) == 1
    return (
        templates()
        .get_template("bank.html.j2")
        .render(
            bank=bank,
            names=names,
            level=f"{100 * LEVEL:g}%",
            models=_tally(item.model for item in bank.items),
            sizes=_tally((f"{len(i.intercepts) + 1} categories" for i in bank.items), " with "),
            simulated=str(bank.provenance.get("population", "")).startswith("simulated"),
            population=_population(bank),
            certain=sum(item.covariance is None for item in bank.items),
            placed=[spot.name for spot in spots if spot.placed_by_prior],
            predicted=[item.id for item in bank.items if item.predicted],
            doubt=_doubt(spots),
            fitted=_fitted(bank.provenance),
            troubles=list(_troubles(bank.provenance)),
            facts=facts(bank.provenance),
            abilities=[
                (p, _precision_words(p, a, bank), list(_steps(p, bank)))
                for p, a in zip(precisions, agents, strict=True)
            ],
            information=[
                _both(partial(bank_plots.information_plot, p, a, len(names)))
                for p, a in zip(precisions, agents, strict=True)
            ],
            scatter=_both(partial(bank_plots.scatter_plot, spots, agents[0])) if single else (),
            loadings=[Markup(bank_plots.loadings_plot(spots, i, j)) for i, j in pairs],
            outside=_outside(spots, agents[0]) if single else 0,
            maps=[
                (names[d], len(own), _both(partial(bank_plots.item_map, own, a, d, len(names))))
                for d, own, a in _item_maps(spots, agents)
            ],
            named=bank_plots.MOST_NAMED,
            first=cards[:_FIRST_CURVES],
            rest=cards[_FIRST_CURVES:],
            rows=_rows(bank, spots, found),
            labels=lambda item: " < ".join(bank.categories[item.categories]),
        )
    )


def _both(plot: Callable[..., str]) -> tuple[tuple[str, str], ...]:
    """A plot for wide screens and one for narrow ones."""
    from markupsafe import Markup

    return tuple((kind, Markup(plot(wide=kind == "wide"))) for kind in ("wide", "narrow"))


# --- how it was fitted --------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """An entry of the provenance: a short text, a list of entries, or facts of its own."""

    name: str
    text: str = ""
    entries: tuple[str, ...] = ()
    """Of a list that is too long to be read in passing."""
    facts: tuple["Fact", ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """Of several mappings with the same plain entries: a table, a row each."""


def facts(provenance: Mapping[Any, Any], depth: int = 1) -> tuple[Fact, ...]:
    """Free-form provenance as facts with readable names.

    >>> prior, held_out = facts({"prior_sd": {"log_a": 0.5}, "held_out": [1, 2]})
    >>> prior.name, prior.facts[0].text, held_out.text
    ('prior sd', '0.5', '1, 2')
    """
    return tuple(
        _fact(str(key).replace("_", " "), value, depth) for key, value in provenance.items()
    )


def _fact(name: str, value: Any, depth: int) -> Fact:
    if depth == _DEEPEST or isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return Fact(name, _plain(value))
    if not value:
        return Fact(name, "none")
    if isinstance(value, Mapping):
        if len(value) > _SHORT_LIST and not any(_nested(entry) for entry in value.values()):
            entries = tuple(f"{key}: {_plain(entry)}" for key, entry in value.items())
            return Fact(name, f"{len(entries):,}", entries)
        return _table(name, value) or Fact(name, facts=facts(value, depth + 1))
    if any(isinstance(entry, Mapping) for entry in value):
        numbered = {str(number): entry for number, entry in enumerate(value, start=1)}
        return _table(name, numbered) or Fact(name, facts=facts(numbered, depth + 1))
    rows = any(isinstance(entry, list | tuple) for entry in value)
    entries = tuple(
        ", ".join(map(_plain, entry)) if isinstance(entry, list | tuple) else _plain(entry)
        for entry in value
    )
    if len(entries) > _SHORT_LIST:
        return Fact(name, f"{len(entries):,}", entries)
    return Fact(name, ("; " if rows else ", ").join(entries))


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _table(name: str, entries: Mapping[Any, Any]) -> Fact | None:
    """Two mappings or more with the same plain entries as a table; None if they are not that."""
    mappings = [entry for entry in entries.values() if isinstance(entry, Mapping)]
    if not 1 < len(mappings) == len(entries) or len({tuple(m) for m in mappings}) != 1:
        return None
    columns = tuple(mappings[0])
    values = [value for mapping in mappings for value in mapping.values()]
    if not columns or any(map(_nested, values)):
        return None
    return Fact(
        name,
        columns=("", *(str(column).replace("_", " ") for column in columns)),
        rows=tuple(
            (str(key).replace("_", " "), *map(_plain, mapping.values()))
            for key, mapping in zip(entries, mappings, strict=True)
        ),
    )


def _plain(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if abs(value) >= 10_000 else str(value)
        case float():
            return f"{value:,.6g}".replace("-", "−")
        case list() | tuple():
            return f"[{', '.join(map(_plain, value))}]"
        case Mapping():
            return ", ".join(f"{key}: {_plain(entry)}" for key, entry in value.items()) or "none"
        case _:
            return str(value)


def _fitted(provenance: Mapping[str, Any]) -> str:
    """How the bank was fitted, in the sentences that its provenance has the numbers for.

    >>> _fitted({"model": "2pl", "responses": 40, "agents": 10, "items": 4})
    'The item parameters were fitted as 2pl to 40 outcomes of 10 agents on 4 items.'
    """
    fit = provenance.get("fit")
    known = {**(fit if isinstance(fit, Mapping) else {}), **provenance}

    def number(key: str) -> float:
        value = known.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0

    text = []
    responses, agents, items = (int(number(key)) for key in ("responses", "agents", "items"))
    if responses and agents and items:
        model = known.get("model")
        text.append(
            f"The item parameters were fitted{f' as {model}' if isinstance(model, str) else ''} to "
            f"{count(responses, 'outcome')} of {count(agents, 'agent')} on {count(items, 'item')}."
        )
    if "missing_share" in known:
        missing = number("missing_share")
        cells = f"{percent(missing)} of the cells were" if missing else "no cell was"
        text.append(f"Of agents × items, {cells} missing.")
    if known.get("converged") is True:
        rounds = [f"{number(k):,.0f} {k}" for k in ("iterations", "passes") if number(k)]
        text.append(f"The fit converged{f' after {rounds[0]}' if rounds else ''}.")
    return " ".join(text)


def _troubles(provenance: Mapping[Any, Any]) -> Iterator[str]:
    """Warnings of the calibration, wherever in the provenance they stand."""
    for key, value in provenance.items():
        if key == "converged" and value is False:
            yield "The fit did not converge: its parameters may still be off. Calibrate it again."
        elif key in ("warning", "warnings"):
            yield from (value if isinstance(value, list | tuple) else [value] if value else [])
        elif isinstance(value, Mapping):
            yield from _troubles(value)


# --- agents and precision -----------------------------------------------------------------------


def _agents(bank: ItemBank, dimension: int) -> Agents:
    return Agents(
        np.array([calibrant.ability[dimension] for calibrant in bank.calibrants]),
        bank.mean[dimension],
        bank.sd[dimension],
    )


def _population(bank: ItemBank) -> str:
    """Mean and sd of each ability, and how they go together."""
    names = ability_names(len(bank.mean))
    parts = [
        f"{f'{name} ' if len(names) > 1 else ''}mean {_number(mean)}, sd {_number(sd)}"
        for name, mean, sd in zip(names, bank.mean, bank.sd, strict=True)
    ]
    parts += [
        f"correlation of {names[i]} and {names[j]} {_number(bank.correlation[i][j])}"
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if bank.correlation
    ]
    if bank.specific_sd:
        specific = _number(bank.specific_sd)
        parts.append(f"ability in one session differs from it by an sd of {specific}")
    if bank.common_sd:
        common = _number(bank.common_sd)
        parts.append(f"difficulties of predicted items share an error of sd {common}")
    if bank.trials > 1:
        parts.append(f"its score is the mean over {bank.trials} trials of each item")
    return "; ".join(parts)


def _number(value: float) -> str:
    return decimal(value).replace("-", "−")


def stretch_words(stretches: Sequence[tuple[float, float]]) -> str:
    """Stretches of ability in words.

    >>> stretch_words([(-1.0, 2.0)]), stretch_words([(-math.inf, 0.5), (1.0, math.inf)])
    ('from −1.00 to 2.00', 'up to 0.50 and from 1.00 on')
    >>> stretch_words([(-math.inf, math.inf)]), stretch_words([])
    ('everywhere', 'nowhere')
    """
    words = []
    for low, high in stretches:
        match math.isfinite(low), math.isfinite(high):
            case True, True:
                words.append(f"from {_number(low)} to {_number(high)}")
            case True, False:
                words.append(f"from {_number(low)} on")
            case False, True:
                words.append(f"up to {_number(high)}")
            case _:
                words.append("everywhere")
    return " and ".join(words) or "nowhere"


def _precision_words(precision: Precision, agents: Agents, bank: ItemBank) -> list[str]:
    """Where a bank measures one ability well, and where it does not."""
    name = ability_names(len(bank.mean))[precision.dimension]
    best, error = precision.best
    if math.isinf(error):
        return [f"The items tell nothing about {name} alone."]
    everything = f"With {_all(len(bank.items))} answered,"
    text = [
        f"{everything} the standard error of {name} is smallest at {_number(best)}, where it is "
        f"{_number(error)}."
    ]
    target = precision.target
    good = precision.stretches(target)
    if good:
        inside = precision.population_share(good)
        share = f"{percent(inside) if inside < 0.9995 else 'all'} of the population"
        if n := len(agents.abilities):
            a = agents.abilities
            agents_inside = sum(int(((a >= low) & (a <= high)).sum()) for low, high in good)
            share += f" and {agents_inside} of the {count(n, 'agent')} of the calibration"
        text.append(
            f"It measures well, with a standard error of at most {_number(target)}, "
            f"{stretch_words(good)}: {share}."
        )
    else:
        text.append(f"Nowhere is the standard error as small as {_number(target)}.")
    fair = precision.stretches(2 * target)
    text += _weak_words(precision, fair) if fair else []
    return text


def _weak_words(precision: Precision, fair: Sequence[tuple[float, float]]) -> list[str]:
    low, high = fair[0][0], fair[-1][1]
    limit = _number(2 * precision.target)
    text = []
    if math.isfinite(low):
        text.append(
            f"Below {_number(low)} too few items are easy enough, and the error exceeds {limit}."
        )
    if math.isfinite(high):
        text.append(
            f"Above {_number(high)} too few items are hard enough, and the error exceeds {limit}."
        )
    return text


def _all(n: int) -> str:
    return "its only item" if n == 1 else f"all {n:,} items"


@dataclass(frozen=True)
class Step:
    """What to expect at one ability."""

    ability: float
    below: float
    """Share of the population with less."""
    error: float
    fewest: int | None
    """Items that a standard error of the target takes, the most informative first."""


def _steps(precision: Precision, bank: ItemBank) -> Iterator[Step]:
    z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    abilities = precision.mean + precision.sd * z
    # with several abilities an item's share in the precision of one depends on the others
    single = len(bank.mean) == 1
    information = compile_bank(bank, abilities[:, None]).information if single else None
    for i, ability in enumerate(abilities.tolist()):
        yield Step(
            ability,
            precision.population_share([(-math.inf, ability)]),
            precision.error(ability),
            None if information is None else fewest_items(information[:, i], precision.target),
        )


# --- items --------------------------------------------------------------------------------------


def _spots(bank: ItemBank) -> list[Spot]:
    prior = placed_by_prior(bank)
    return [
        Spot(
            name=printable(item.id, 120),
            slopes=item.slopes,
            slope_intervals=slope_intervals(item),
            difficulties=item.difficulties,
            difficulty_sds=None
            if (sds := parameter_sds(item)) is None
            else sds[len(item.slopes) :],
            location=location(item),
            location_interval=between,
            placed_by_prior=item.id in prior,
        )
        for item, between in zip(bank.items, location_intervals(bank.items), strict=True)
    ]


def _doubt(spots: Sequence[Spot]) -> float | None:
    """Half the width of the middle item's interval of difficulty."""
    widths = [
        (spot.location_interval.high - spot.location_interval.low) / 2
        for spot in spots
        if spot.location_interval is not None
    ]
    return float(np.median(widths)) if widths else None


def _outside(spots: Sequence[Spot], agents: Agents) -> int:
    """Items beyond the axis of difficulties."""
    low, high = bank_plots.difficulty_range(spots, agents)
    return sum(not low <= spot.location <= high for spot in spots)


def _item_maps(
    spots: Sequence[Spot], agents: Sequence[Agents]
) -> Iterator[tuple[int, list[Spot], Agents]]:
    """Of each ability the items that load on it most, and its agents."""
    chief = np.abs([spot.slopes for spot in spots]).argmax(axis=1)
    for d, there in enumerate(agents):
        if own := [spot for spot, c in zip(spots, chief, strict=True) if c == d]:
            yield d, own, there


def _drawn_curves(bank: ItemBank, found: Curves) -> Iterator[tuple[int, str]]:
    """Rows of the items with their curves, those that tell most first."""
    from markupsafe import escape

    low = float((found.mean - 4 * found.sd).min())
    high = float((found.mean + 4 * found.sd).max())
    shown = (found.positions >= low - 1e-9) & (found.positions <= high + 1e-9)
    positions = found.positions[shown]
    ticks = _round_ticks(positions[0], positions[-1])
    for row in np.argsort(-found.told, kind="stable").tolist():
        item = bank.items[row]
        k = len(item.intercepts) + 1
        p, known = found.p[row, :k, shown].T, found.known[row, :k, shown].T
        yield (
            row,
            bank_plots.category_plot(
                escape(f"Probability of each category of {printable(item.id, 120)}"),
                positions,
                p,
                None if np.allclose(p, known, rtol=0, atol=0.01) else known,
                float(found.mean[row]),
                ticks,
            ),
        )


def _round_ticks(low: float, high: float) -> list[float]:
    """Four to seven round numbers inside of an axis.

    >>> _round_ticks(-4.0, 4.0)
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    """
    least = (high - low) / 6
    decade = 10.0 ** math.floor(math.log10(least))
    step = next(s * decade for s in (1, 2, 5, 10) if s * decade >= least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) + 0.0 for k in range(first, last + 1)]


@dataclass(frozen=True)
class Row:
    """One item in the table."""

    number: int
    item: Item
    sds: tuple[float, ...] | None
    """Of slopes and difficulties."""
    location: float
    expected: float
    peak: float
    peak_at: str
    peak_order: float
    placed_by_prior: bool

    @property
    def has_usd(self) -> bool:
        """Whether the cost of an attempt is known."""
        return not math.isnan(self.item.usd)

    @property
    def has_seconds(self) -> bool:
        """Whether the duration of an attempt is known."""
        return not math.isnan(self.item.seconds)


def _rows(bank: ItemBank, spots: Sequence[Spot], found: Curves) -> list[Row]:
    at, heights = found.peaks
    expected = expected_scores(bank)
    ends = (found.positions[0], found.positions[-1])
    return [
        Row(
            number=row,
            item=item,
            sds=parameter_sds(item),
            location=spots[row].location,
            expected=float(expected[row]),
            peak=float(heights[row]),
            peak_at=_peak_words(float(at[row]), ends),
            peak_order=float(at[row]),
            placed_by_prior=spots[row].placed_by_prior,
        )
        for row, item in enumerate(bank.items)
    ]


def _peak_words(at: float, ends: tuple[float, float]) -> str:
    """Where an item tells most; beyond the grid only the side is known."""
    if at == ends[0]:
        return f"< {_number(at)}"
    return f"> {_number(at)}" if at == ends[1] else _number(at)


def _tally(words: Iterable[str], joint: str = " ") -> str:
    """What there is, and how often where that differs.

    >>> _tally(["2pl", "2pl"]), _tally(["grm", "2pl", "grm"])
    ('2pl', '2 grm, 1 2pl')
    """
    counts = Counter(words)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{n:,}{joint}{word}" for word, n in counts.most_common())
