"""What a diagnosis of a benchmark finds of defects that were planted, and what it flags falsely.

    python benchmarks/health.py [--seeds 20] [--first 0] [--agents 60] [--items 200] [--jobs 2]
                                [--settings NAME ...] [--json FILE]

Outcomes of simulated agents on a drawn bank (`harness.plant`), each defect alone and all defects of
items together. A planted item is found *strictly* when a flag of a kind that fits its defect names
it, *at all* when any flag of an item does; one that fewer than 5% or more than 95% of attempts
solved tells of nothing, so that figures without these are given too. Clean items and agents are
those without a defect. A flag is false when it names a clean one. Items that nobody or everybody
solved are facts and counted apart.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as TextTable

from harness.health.assess import assess
from harness.health.evidence import About, gather
from harness.health.flags import Flag, Kind
from harness.plant import Planted, Simulated, draw_bank, parse_defects, plant
from harness.study.parallel import mapped

SETTINGS: Mapping[str, str] = {
    "nothing": "",
    "reversed": "reversed=5",
    "coin": "coin=5",
    "duplicates": "duplicates=5",
    "grader": "grader=10",
    "dif": "dif=10",
    "gap": "gap",
    "dimensions": "dimensions",
    "sandbag": "sandbag=1",
    "all of items": "reversed=5, coin=5, duplicates=5, grader=10, dif=10",
}
FITTING: Mapping[str, frozenset[Kind]] = {
    "reversed": frozenset({"reversed"}),
    "coin": frozenset({"low discrimination", "noise"}),
    "duplicates": frozenset({"duplicate", "cluster"}),
    "grader": frozenset({"group of items", "low discrimination", "noise", "misfit"}),
    "dif": frozenset({"differential functioning"}),
    "gap": frozenset({"gap"}),
    "dimensions": frozenset({"second dimension"}),
    "sandbag": frozenset({"underperforms on easy items"}),
}
OF_ITEMS: frozenset[Kind] = frozenset(
    {
        *("reversed", "low discrimination", "misfit", "noise", "duplicate", "cluster"),
        *("group of items", "differential functioning"),
    }
)
OF_AGENTS: frozenset[Kind] = frozenset(
    {"underperforms on easy items", "contamination", "broken scaffold", "unusual agent"}
)
OF_BENCHMARK: frozenset[Kind] = frozenset({"gap", "second dimension"})
FACTS: frozenset[Kind] = frozenset({"never solved", "always solved", "ceiling", "floor"})
# items of a second ability hang together
OF_DIMENSIONS: frozenset[Kind] = frozenset({"cluster", "group of items"})
TELLS = 0.05, 0.95


@dataclass(frozen=True)
class Found:
    """What became of one planted defect."""

    defect: str
    name: str
    strictly: bool
    at_all: bool
    tells: bool
    """Its item has failures and successes enough."""
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One set of outcomes."""

    setting: str
    seed: int
    found: tuple[Found, ...]
    clean_items: int
    false_items: Mapping[str, tuple[str, ...]]
    """Clean items flagged, with the kinds of flags."""
    clean_agents: int
    false_agents: Mapping[str, tuple[str, ...]]
    flags: Mapping[str, int]
    """Of items and agents, by kind."""
    false_flags: Mapping[str, int]
    """Of these, those that name something clean."""
    false_of_benchmark: tuple[str, ...]
    """Gap or second dimension where there is none."""
    facts: int
    seconds: float


def named(flag: Flag, drawn: Simulated) -> set[str]:
    """Items and agents that a flag is about; a value of an attribute stands for its items."""
    known = {*drawn.responses.items, *drawn.responses.agents}
    direct = {name for name in flag.names if name in known}
    values = {
        item
        for item, tags in drawn.tags.items()
        for attribute, value in tags.items()
        if {value, f"{attribute} {value}", f"{attribute}={value}"} & {*flag.names}
    }
    return direct or values


def judge(setting: str, seed: int, drawn: Simulated, flags: Sequence[Flag], seconds: float) -> Run:
    """Compare flags with the truth."""
    kinds: dict[str, set[str]] = {}
    for flag in flags:
        for name in named(flag, drawn):
            kinds.setdefault(name, set()).add(flag.kind)
    of_benchmark = {flag.kind for flag in flags} & OF_BENCHMARK
    scores = dict(
        zip(drawn.responses.items, np.nanmean(drawn.responses.scores(), axis=0), strict=True)
    )
    together = {frozenset({p.name, p.partner}) for p in drawn.planted if p.defect == "duplicates"}
    coupled = {
        pair
        for pair in together
        if any(f.kind in FITTING["duplicates"] and pair <= named(f, drawn) for f in flags)
    }

    def found(p: Planted) -> Found:
        seen = kinds.get(p.name, set()) if p.kind != "benchmark" else of_benchmark
        allowed = OF_ITEMS if p.kind == "item" else OF_AGENTS | OF_BENCHMARK
        strictly = bool(seen & FITTING[p.defect])
        if p.defect == "duplicates":
            strictly = frozenset({p.name, p.partner}) in coupled
        low, high = TELLS
        tells = p.kind != "item" or bool(low <= scores[p.name] <= high)
        return Found(p.defect, p.name, strictly, bool(seen & allowed), tells, tuple(sorted(seen)))

    two = any(p.defect == "dimensions" for p in drawn.planted)
    planted = [p for p in drawn.planted if p.defect != "dimensions"]
    wrong = {name for p in planted for name in (p.name, p.partner)}
    ours = tuple(found(p) for p in planted)
    if two:
        ours += (found(Planted("dimensions", "benchmark", "second ability")),)
    counted = (OF_ITEMS | OF_AGENTS) - (OF_DIMENSIONS if two else frozenset())
    about = [flag for flag in flags if flag.kind in counted]
    false = {
        name: tuple(sorted(seen & counted))
        for name, seen in kinds.items()
        if name not in wrong and seen & counted
    }
    items, agents = {*drawn.responses.items} - wrong, {*drawn.responses.agents} - wrong
    true_of_benchmark = {
        kind for p in drawn.planted for kind in FITTING[p.defect] if kind in OF_BENCHMARK
    }
    return Run(
        setting=setting,
        seed=seed,
        found=ours,
        clean_items=len(items),
        false_items={name: seen for name, seen in false.items() if name in items},
        clean_agents=len(agents),
        false_agents={name: seen for name, seen in false.items() if name in agents},
        flags=dict(Counter(flag.kind for flag in about)),
        false_flags=dict(Counter(flag.kind for flag in about if named(flag, drawn) - wrong)),
        false_of_benchmark=tuple(sorted(of_benchmark - true_of_benchmark)),
        facts=sum(flag.kind in FACTS for flag in flags),
        seconds=seconds,
    )


def draw(setting: str, seed: int, agents: int, items: int) -> Simulated:
    """Outcomes with the defects of a setting."""
    bank = draw_bank(items, seed=seed)
    return plant(bank, parse_defects(SETTINGS[setting]), agents=agents, seed=seed)


def run(job: tuple[str, int], agents: int, items: int) -> Run:
    """Draw, diagnose and judge."""
    drawn = draw(*job, agents, items)
    began = time.perf_counter()
    evidence = gather(drawn.responses, about=About({}, drawn.tags))
    health = assess(evidence, subset=False)
    return judge(*job, drawn, health.flags, time.perf_counter() - began)


def percent(values: Iterable[bool]) -> str:
    given = list(values)
    return f"{np.mean(given):.1%} of {len(given)}" if given else "-"


def share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def found_table(runs: Sequence[Run]) -> TextTable:
    """Of planted defects, what was found."""
    table = TextTable(title="Planted defects that were flagged")
    table.add_column("planted")
    table.add_column("defect")
    for title in (
        *("strictly", "at all", "strictly, where items tell", "at all, where items tell"),
        "runs with one found strictly",
    ):
        table.add_column(title, justify="right")
    for setting in SETTINGS:
        by_run = [r.found for r in runs if r.setting == setting]
        of = [f for found in by_run for f in found]
        rows = list(dict.fromkeys(f.defect for f in of))
        for defect in (*rows, *(["all"] if len(rows) > 1 else [])):
            these = [f for f in of if defect in (f.defect, "all")]
            telling = [f for f in these if f.tells]
            table.add_row(
                setting,
                defect,
                percent(f.strictly for f in these),
                percent(f.at_all for f in these),
                percent(f.strictly for f in telling),
                percent(f.at_all for f in telling),
                percent(
                    any(f.strictly for f in found if defect in (f.defect, "all"))
                    for found in by_run
                ),
            )
    return table


def false_table(runs: Sequence[Run]) -> TextTable:
    """Of what is clean, what was flagged."""
    table = TextTable(title="Flags that name something clean")
    table.add_column("planted")
    for title in (
        *("clean items flagged", "clean agents flagged", "false of flags"),
        *("by kind, a run", "false gap or dimension, runs", "facts, a run", "seconds"),
    ):
        table.add_column(title, justify="right")
    for setting in SETTINGS:
        these = [r for r in runs if r.setting == setting]
        if not these:
            continue
        false = sum((Counter(r.false_flags) for r in these), Counter[str]())
        table.add_row(
            setting,
            share(sum(len(r.false_items) for r in these), sum(r.clean_items for r in these)),
            share(sum(len(r.false_agents) for r in these), sum(r.clean_agents for r in these)),
            share(false.total(), sum(sum(r.flags.values()) for r in these)),
            ", ".join(f"{kind} {n / len(these):.2f}" for kind, n in false.most_common()),
            str(sum(bool(r.false_of_benchmark) for r in these)),
            f"{np.mean([r.facts for r in these]):.1f}",
            f"{np.mean([r.seconds for r in these]):.1f}",
        )
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--agents", type=int, default=60)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    console = Console(width=160)
    seeds = range(options.first, options.first + options.seeds)
    work = [(setting, seed) for seed in seeds for setting in options.settings]
    one = partial(run, agents=options.agents, items=options.items)
    with console.status("") as status:
        runs = list(
            mapped(
                one,
                work,
                options.jobs,
                "diagnosing",
                lambda what, done, total: status.update(f"{what} {done} of {total}"),
            )
        )
    console.print(
        f"{options.agents} agents × {options.items} items, {len(seeds)} seeds from {seeds.start}"
    )
    console.print(found_table(runs))
    console.print(false_table(runs))
    if options.json:
        text = json.dumps([asdict(r) for r in runs], indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
