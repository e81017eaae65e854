"""Sections about single items and about where the test measures."""

from functools import partial

from harness.health.evidence import Evidence
from harness.health.flags import HALF, Flag, names_of
from harness.health.items import gaps, scale_use, slopes
from harness.health.items.gaps import RELIABILITY, Gaps
from harness.health.items.noise import COIN, Noise
from harness.health.items.saturation import End, Saturation
from harness.health.items.scale_use import ScaleUse, mapping
from harness.health.items.slopes import LOW, Slopes
from harness.report.health import item_plots
from harness.report.sections import (
    Caution,
    Grid,
    Pair,
    Part,
    Plot,
    Section,
    Text,
    both,
    interval,
    signed,
)
from harness.report.wording import count, percent


def saturation_section(found: Saturation, evidence: Evidence) -> Section:
    """Items that all agents or none solve, and the ends of the test."""
    n, agents = len(found.items), len(evidence.responses.agents)
    never = [one for one in found.items if one.state == "never"]
    always = [one for one in found.items if one.state == "always"]
    single = [one for one in found.items if one.state == "one category"]
    finding = (
        f"Of {count(n, 'item')}, {len(never)} ({percent(len(never) / n)}) were never solved and "
        f"{len(always)} ({percent(len(always) / n)}) always"
    )
    if single:
        finding += f", and {len(single)} got one and the same middle category"
    top = found.top
    finding += (
        f". The best agent, {top.agent}, scores {percent(top.score)}"
        f"{_company(top, agents)}; one that is better by half a spread of ability would be ranked "
        f"above it with a probability of {_likely(top.tell)}."
    )
    parts: list[Part] = [
        both(
            lambda wide: item_plots.share_plot(found, wide),
            "Each item's mean score over agents, hardest first. The band is the 90% interval of "
            "what agents such as these would score; marks are items on which all outcomes are the "
            "same.",
        ),
        Grid(
            ("End", "Agent", "Score", "Within noise", "Tells half a spread beyond (90%)"),
            tuple(
                (
                    word,
                    end.agent,
                    percent(end.score),
                    f"{end.within_noise} of {agents}",
                    f"{_likely(end.tell)} ({_likely(end.tell_low)} to {_likely(end.tell_high)})",
                )
                for word, end in (("Top", found.top), ("Bottom", found.bottom))
            ),
            title="The ends of the test",
            caption="Agents within noise of an end cannot be told from the agent there. The last "
            "column is the probability that the test ranks rightly an agent that lies half a "
            "spread of ability beyond; where the test measures best it is "
            f"{_likely(found.tell_peak)}.",
            words=(1,),
        ),
    ]
    stuck = [*never, *always, *single]
    if stuck:
        says = {"never": "never solved", "always": "always solved"}
        parts.append(
            Grid(
                ("Item", "Outcome", "Agents", "Rate of agents such as these (90%)"),
                tuple(
                    (
                        one.item,
                        says.get(one.state, "one middle category"),
                        str(one.agents),
                        f"{percent(one.low)} to {percent(one.high)}",
                    )
                    for one in stuck
                ),
                title="Items on which all outcomes are the same",
                caption=f"A typical item that nobody solved is harder than {signed(found.above)}, "
                f"one that all solved is easier than {signed(found.below)}."
                if any(one.concluded for one in stuck)
                else "",
                words=(1,),
                shown=6,
            )
        )
    return _section("Never and always solved", finding, found.flags, found.cautions, parts, "ends")


def _likely(probability: float) -> str:
    """A probability that a model gives, which is no more exact than the model."""
    if probability > 0.99:
        return ">99%"
    return "<1%" if probability < 0.01 else f"{probability:.0%}"


def _company(end: End, agents: int) -> str:
    others = end.within_noise - 1
    if not others:
        return " and is ahead of all others by more than noise"
    return f", with {others} of the other {agents - 1} within noise of it"


def gaps_section(found: Gaps, evidence: Evidence) -> Section:
    """Information against abilities, and where to write tasks."""
    if found.stretches:
        where = " and ".join(interval(one.low, one.high) for one in found.stretches)
        finding = f"Tasks are missing at difficulty {where}"
    elif (agents := len(evidence.responses.agents)) < gaps.FEWEST_AGENTS:
        finding = f"{agents} agents are too few to see a gap in difficulty"
    else:
        finding = "No gap in difficulty stands out"
    finding += (
        f". The standard error of ability is {signed(found.typical)} at the median agent and "
        f"{signed(found.at_best)} at the best one, where {signed(found.needed)} gives a "
        f"reliability of {RELIABILITY}."
    )
    beyond = found.reach - found.best
    if beyond >= found.spread / 2:
        finding += (
            f" Agents may become better than {found.best_name} by {signed(beyond)} before the "
            "test measures them less precisely than that."
        )
    heading = found.heading
    parts: list[Part] = [
        both(
            lambda wide: item_plots.information_plot(found, evidence, wide),
            "Above, the information of the whole test at each ability, and the information that "
            "is needed (dashed). In the middle, how many items are of each difficulty. Below, "
            "where the agents are"
            + (", the newest quarter of those with a date apart" if found.newest else "")
            + (", and where one of the newest date is expected (90%)" if heading else "")
            + (". Shaded: where tasks are missing." if found.stretches else "."),
        )
    ]
    if heading:
        parts.append(
            Text(
                f"Over {heading.dated} dated agents ability grows by {signed(heading.pace)} a year "
                f"(90% interval {interval(heading.pace_low, heading.pace_high)}). One of "
                f"{heading.date}, the newest date, is expected at {signed(heading.mean)} "
                f"({interval(heading.mean - HALF * heading.sd, heading.mean + HALF * heading.sd)}"
                "); the line is not followed beyond that date."
            )
        )
    if found.stretches:
        parts.append(
            Grid(
                ("Why", "Difficulty", "Solved by today's best agent", "Tasks to write, about"),
                tuple(
                    (
                        one.why,
                        interval(one.low, one.high),
                        f"{percent(one.rate_low)} to {percent(one.rate_high)}",
                        str(one.tasks),
                    )
                    for one in found.stretches
                ),
                title="Where tasks must be written",
                caption=f"Today's best agent is {found.best_name}, at ability {signed(found.best)}."
                f" Its rates are those on tasks of a typical slope, {signed(found.slope)}.",
            )
        )
    return _section("Gaps in difficulty", finding, found.flags, found.cautions, parts, "gaps")


def slopes_section(found: Slopes, evidence: Evidence) -> Section:
    """Discrimination of items."""
    flagged = set(names_of(found.flags))
    backwards = sum(flag.kind == "reversed" for flag in found.flags)
    n = len(found.items)
    finding = (
        f"Of {count(n, 'item')}, {backwards} {'seems' if backwards == 1 else 'seem'} to be "
        f"reversed, and {len(flagged) - backwards} to tell little of ability. A typical item has "
        f"a slope of {signed(found.typical)}."
    )
    if not flagged:
        finding = (
            f"No item of {n} is shown to discriminate badly. A typical one has a slope of "
            f"{signed(found.typical)}."
        )
    agents = len(evidence.responses.agents)
    if agents < slopes.FEWEST_AGENTS:
        finding = f"{agents} agents are too few to tell one item's slope from another's."
    doubtful = sorted(
        (one for one in found.items if one.slope == one.slope),
        key=lambda one: -(one.reversed + one.weak),
    )[: max(len(flagged), 8)]
    parts: list[Part] = []
    if doubtful:
        parts = [
            both(
                lambda wide: item_plots.slope_plot(found, wide),
                "How steeply each item's score rises with ability, from the least to the most "
                "discriminating; bars are 90% intervals. Below the line at zero strong agents do "
                f"worse; below the lower dashed line, at {LOW:.0%} of the typical slope, an item "
                "tells little." + (" In the colour of warnings: flagged items." if flagged else ""),
            ),
        ]
    if doubtful and agents >= slopes.FEWEST_AGENTS:
        parts.append(
            Grid(
                ("Item", "Slope (90%)", "Reversed", "Tells little", "Chance", "Item–rest (90%)"),
                tuple(
                    (
                        one.item,
                        f"{signed(one.slope)} ({interval(one.low, one.high)})",
                        _likely(one.reversed),
                        _likely(one.weak),
                        percent(one.chance),
                        signed(one.rest)
                        + (
                            f" ({interval(one.rest_low, one.rest_high)})"
                            if one.rest == one.rest
                            else ""
                        ),
                    )
                    for one in doubtful
                ),
                title="The least discriminating items",
                caption="Probabilities that strong agents do worse than weak ones, and that it "
                "tells little for another reason: a low slope, or 30% and more of its outcomes by "
                "chance. Chance is the estimated share of outcomes that are tosses of a coin. "
                "Item–rest is the correlation of its score with the mean score on all others.",
            )
        )
    return _section("Discrimination", finding, found.flags, found.cautions, parts, "slopes")


def noise_section(found: Noise, evidence: Evidence) -> Section:
    """Noise where trials repeat."""
    part = found.components
    total = max(part.agent + part.item + part.cell + part.within, 1e-12)
    once = found.ahead[0]
    finding = (
        f"{percent(found.mixed)} of {found.cells:,} cells with repeated trials are mixed (90% "
        f"interval {percent(found.mixed_low)} to {percent(found.mixed_high)}), and "
        f"{percent(part.within / total)} of the variance of one trial lies between trials of the "
        f"same agent on the same item. With one trial a cell the score has a reliability of "
        f"{once.score:.2f}, one cell of {once.cell:.2f}."
    )
    rows = (
        ("Between agents", part.agent),
        ("Between items", part.item),
        ("Agent × item", part.cell),
        ("Between trials of a cell", part.within),
    )
    binary = bool((evidence.responses.n_categories == 2).all())
    flagged = names_of(found.flags)
    noisiest = sorted(
        (one for one in found.items if one.share == one.share), key=lambda one: -one.mixed
    )[: max(8, len(flagged))]
    reliability, mixed = item_plots.reliability_plot(found), item_plots.mixed_plot(found, binary)
    parts: list[Part] = [
        Pair(
            (
                Plot(
                    reliability,
                    reliability,
                    "How far the scores of agents, and single cells, would come out the same "
                    "again, by number of trials.",
                    "Reliability by trials",
                ),
                Plot(
                    mixed,
                    mixed,
                    "Each item: the share of its cells whose trials differ."
                    + (
                        " On the dashed curve all agents would toss the same coin "
                        f"({round(found.trials)} trials)."
                        if binary
                        else ""
                    ),
                    "Mixed cells",
                ),
            )
        ),
        Grid(
            ("Source", "Variance", "Share"),
            tuple((name, f"{value:.4f}", percent(value / total)) for name, value in rows),
            title="Variance of the score of one trial",
        ),
        Grid(
            ("Trials of a cell", "Reliability of the score", "Reliability of a cell"),
            tuple((str(a.trials), f"{a.score:.3f}", f"{a.cell:.3f}") for a in found.ahead),
            title="Reliability by number of trials",
            shown=5,
        ),
        Grid(
            ("Item", "Mixed", "Cells", "Mean score", "Variance within cells (90%)"),
            tuple(
                (
                    one.item,
                    percent(one.mixed),
                    str(one.cells),
                    percent(one.score),
                    f"{percent(one.share)} ({percent(one.low)} to {percent(one.high)})",
                )
                for one in noisiest
            ),
            title="The noisiest items",
            caption=f"An item with more than {COIN:.0%} of its variance within cells is a coin "
            "flip for everyone.",
            shown=8,
        ),
    ]
    return _section("Noise between trials", finding, found.flags, found.cautions, parts, "noise")


def scale_use_section(found: ScaleUse, evidence: Evidence) -> Section:
    """Use of the categories of ordinal items."""
    kinds = [flag.kind for flag in found.flags]
    wrong = [
        f"{kinds.count(kind)} {word}"
        for kind, word in (
            ("unused category", "on unused categories"),
            ("sparse category", "on sparse ones"),
            ("disordered categories", "on ones out of order"),
        )
        if kind in kinds
    ]
    finding = (
        f"The categories need a look: {count(len(kinds), 'flag')}, {', '.join(wrong)}."
        if wrong
        else "All categories are used, often enough, and no two are shown to be out of order."
    )
    agents = len(evidence.responses.agents)
    if agents < scale_use.FEWEST_AGENTS:
        finding = f"{agents} agents are too few to judge the categories; their use is shown below."
    uses = {use.item: use for use in found.items}
    parts: list[Part] = []
    for index, scale in enumerate(found.scales):
        them = tuple(uses[item] for item in scale.items)
        parts.append(
            both(
                partial(item_plots.category_plot, scale, them, index),
                "Share of each category in the outcomes of every item, from the item with the "
                "lowest mean to that with the highest.",
                f"Categories of {count(len(them), 'item')}" if len(found.scales) > 1 else "",
            )
        )
        steps = {step.upper: step for step in scale.steps}
        rows = []
        for one in scale.categories:
            step = steps.get(one.category)
            known = step is not None and step.items > 0
            rows.append(
                (
                    f"{one.category}"
                    if one.label == str(one.category)
                    else f"{one.category} {one.label}",
                    f"{one.outcomes:,}",
                    str(one.items),
                    str(one.modal),
                    f"{signed(step.difference)} ({interval(step.low, step.high)})"
                    if step is not None and known
                    else "–",
                )
            )
        parts.append(
            Grid(
                ("Category", "Outcomes", "Items", "Likeliest on", "Abler than below (90%)"),
                tuple(rows),
                caption="Likeliest on: items on which it is the most likely outcome at some "
                "ability that agents have. Abler than below: how much abler agents in it are than "
                "those in the used category below, on the same item.",
            )
        )
        merged = scale.collapsed[-1] + 1 < len(scale.categories)
        if merged:
            parts.append(Text(f"Suggested collapsing: {mapping(scale.collapsed)}."))
        if scale.simpler != scale.collapsed:
            parts.append(
                Text(
                    "Some categories are the likeliest outcome on next to no item, so that a "
                    f"simpler scale would tell nearly as much: {mapping(scale.simpler)}."
                )
            )
    falling = [use for use in found.items if use.falling]
    if falling:
        parts.append(
            Grid(
                ("Item", "Outcomes by category", "Higher but weaker"),
                tuple(
                    (
                        use.item,
                        " · ".join(str(c) for c in use.counts),
                        ", ".join(f"{high} than {low}" for low, high in use.falling),
                    )
                    for use in falling
                ),
                title="Items where a higher category has weaker agents",
                caption="On average, over few agents each: no proof by itself.",
                shown=6,
            )
        )
    return _section("Use of categories", finding, found.flags, found.cautions, parts, "categories")


def _section(
    title: str,
    finding: str,
    flags: tuple[Flag, ...],
    cautions: tuple[str, ...],
    parts: list[Part],
    key: str,
) -> Section:
    return Section(title, finding, flags, (*(Caution(text) for text in cautions), *parts), key)
