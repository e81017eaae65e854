"""Speed of the engine: a step, a whole study and a large bank, against catsim and adaptivetesting.

    python benchmarks/engine.py [--json FILE] [--items 1000] [--agents 1000] [--length 30]
                                [--large 100000] [--peer-seconds 20]

All programs choose by maximum information, estimate by the posterior mean under N(0, 1) and are
given the same outcomes. catsim has no such estimator: it gets one over the nodes of this program,
and is timed as it comes too, with its own estimator inside of its own simulator. adaptivetesting
has one, over 1,000 nodes that it fixes. Peers test one agent after the other: they are timed on as
many as fit in ``--peer-seconds`` (at least two), and a study is scaled up from there.

Studies are in seconds of processor time, which other work on the machine moves less than the clock;
asking for that takes as long as a short step on some machines, so steps are medians by the clock.
"""

import argparse
import json
import os
import platform
import time
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _engine_peers import (
    PACKAGES,
    catsim_simulator,
    installed,
    peer_sessions,
    peer_study,
    spread,
    timed,
)
from rich.console import Console
from rich.table import Table as TextTable

from harness.bank import Item, ItemBank, compile_bank
from harness.batch import administer, batches
from harness.events import Answered, Plan
from harness.irt import Array, Table, grid
from harness.runners.simulate import draw_outcomes
from harness.select import MaxInformation, MinExpectedVariance, Random, Selector
from harness.session import Session
from harness.stop import MaxItems

SELECTORS: tuple[Selector, ...] = (MaxInformation(), MinExpectedVariance(), Random())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=1000, help="items of the bank")
    parser.add_argument("--agents", type=int, default=1000, help="simulated agents")
    parser.add_argument("--length", type=int, default=30, help="items for each agent")
    parser.add_argument("--large", type=int, default=100_000, help="items of the large bank")
    parser.add_argument("--peer-seconds", type=float, default=20.0, help="time for each peer")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if min(options.items, options.agents, options.length, options.large) < 1:
        parser.error("--items, --agents, --length and --large must be at least 1")
    if options.length > options.items:
        parser.error(f"--length: {options.length} is more than the {options.items} items")
    if options.json and (options.json.is_dir() or not options.json.absolute().parent.is_dir()):
        parser.error(f"--json: {options.json} cannot be written; its folder must exist")

    figures = {
        "items": options.items,
        "agents": options.agents,
        "length": options.length,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}",
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
        "load": os.getloadavg()[0],
    }
    figures |= compare(options.items, options.agents, options.length, options.peer_seconds)
    figures["large"] = large_bank(options.large)
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


# --- the inputs -------------------------------------------------------------------------------


def make_bank(n: int) -> ItemBank:
    """Binary two-parameter items with known parameters, as the peers have them."""
    rng = np.random.default_rng(1)
    slopes, difficulties = rng.lognormal(0.0, 0.3, n), rng.standard_normal(n)
    return ItemBank(
        "benchmark",
        tuple(
            Item(f"item{i}", "2pl", (float(a),), (float(-a * b),))
            for i, (a, b) in enumerate(zip(slopes, difficulties, strict=True))
        ),
    )


def make_study(items: int, agents: int) -> tuple[Table, Array, Any]:
    """A table, abilities ``(A,)`` and outcomes ``(A, n)``; the same at every call."""
    bank = make_bank(items)
    truth = np.random.default_rng(2).standard_normal(agents)
    return bank.table, truth, draw_outcomes(bank, truth[:, None], np.arange(agents), seed=3)


# --- this program -----------------------------------------------------------------------------


def session_seconds(
    table: Table, selector: Selector, outcomes: Any, length: int
) -> dict[str, float]:
    """One choice and update of a live session, events and all, over a few sessions."""
    taken = []
    for mine in outcomes[:5]:
        session = Session(table, Plan(select=selector, stop=MaxItems(length)))
        for step in range(1, length + 1):
            started = time.perf_counter()
            (chosen,) = session.next_items(at=0.0)
            session = session.after(chosen)
            category = int(mine[table.row(chosen.item)])
            session = session.after(Answered(0.0, step, chosen.item, category))
            session.posterior.sd  # noqa: B018  computed on demand
            taken.append(time.perf_counter() - started)
    return spread(taken)


def alone_seconds(table: Table, selector: Selector, outcomes: Any, length: int) -> dict[str, float]:
    """One choice and update of the arithmetic alone, an agent at a time."""
    taken = []
    for mine in outcomes[:5]:
        steps = administer(table, Plan(select=selector), mine[None])
        next(steps)
        taken += [seconds for seconds, _ in islice(timed(steps), length)]
    return spread(taken)


def our_study(table: Table, selector: Selector, outcomes: Any, length: int) -> tuple[float, Array]:
    """Seconds for all agents together, and their abilities ``(A,)``."""
    estimates = []
    started = time.process_time()
    for rows in batches(table, np.arange(len(outcomes))):
        for step in administer(table, Plan(select=selector), outcomes[rows]):
            if step.round == length:
                break
        estimates.append(step.progress.view.ability[:, 0])
    return time.process_time() - started, np.concatenate(estimates)


# --- peak memory ------------------------------------------------------------------------------


def peak_megabytes(work: Callable[[], object]) -> float:
    """What a piece of work allocates at most, in Python and in numpy."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


# --- what is reported -------------------------------------------------------------------------


def compare(items: int, agents: int, length: int, budget: float) -> dict[str, Any]:
    """Steps and studies of all programs."""
    table, truth, outcomes = make_study(items, agents)
    started = time.process_time()
    compile_bank(make_bank(items), table.nodes)
    compiled = time.process_time() - started
    ours: dict[str, dict[str, Any]] = {}
    for selector in SELECTORS:
        runs = [our_study(table, selector, outcomes, length) for _ in range(3)]
        seconds, ability = min(seconds for seconds, _ in runs), runs[0][1]
        ours[str(selector)] = {
            "session_step": session_seconds(table, selector, outcomes, length),
            "step": alone_seconds(table, selector, outcomes, length),
            "seconds_for_all": seconds,
            "step_among_all": seconds / agents / length,
            "rmse": float(np.sqrt(((ability - truth) ** 2).mean())),
        }
    theirs: dict[str, dict[str, Any]] = {}
    for name, session in peer_sessions(table).items():
        theirs[name] = peer_study(session, outcomes, truth, length, budget)
        # the same for every agent, as they are tested one after the other
        theirs[name]["peak_mb"] = peak_megabytes(
            lambda session=session: list(islice(session(outcomes[0]), length))  # type: ignore[misc]
        )
    if "catsim" in theirs:
        theirs["catsim, its own simulator"] = catsim_simulator(table, truth, length, budget)
    mine = ours[str(MaxInformation())]
    for found in theirs.values():
        found["study_ratio"] = found["seconds_for_all"] / mine["seconds_for_all"]
        if "step" in found:
            for kind in ("session_step", "step"):
                found[f"{kind}_ratio"] = found["step"]["median"] / mine[kind]["median"]
    # a fresh table, as what one keeps is made on demand
    fresh = make_study(items, 1)[0]
    mine["peak_mb"] = peak_megabytes(lambda: our_study(fresh, MaxInformation(), outcomes, length))
    return {"compile_seconds": compiled, "ours": ours, "peers": theirs}


def large_bank(n: int) -> dict[str, Any]:
    """A step of one agent on a large bank, and what the memory alone would take."""
    bank = make_bank(n)
    table = compile_bank(bank, grid(bank.mean, bank.sd))
    outcomes = draw_outcomes(bank, np.array([[0.5]]), np.arange(1), seed=3)
    length = min(15, n)
    steps = {}
    bandwidth = copy_bandwidth()
    for selector in (MaxInformation(), MinExpectedVariance()):
        least = bytes_to_read(table, selector)
        # once unmeasured: what the table keeps is made on demand
        for measure in (alone_seconds, session_seconds):
            measure(table, selector, outcomes, 1)
        alone = alone_seconds(table, selector, outcomes, length)
        steps[str(selector)] = {
            "step": alone,
            "session_step": session_seconds(table, selector, outcomes, length),
            "megabytes": least / 1e6,
            "memory_seconds": least / bandwidth,
            "times_memory": alone["median"] * bandwidth / least,
        }
    return {"items": n, "gb_per_second": bandwidth / 1e9, "steps": steps}


def bytes_to_read(table: Table, selector: Selector) -> int:
    """What a step cannot do without, in double precision: for the information at a point, one
    number an item; for an expectation over the posterior, the probabilities of all categories but
    one, which is 1 minus the others, at all nodes. And which items are available."""
    n, k, q = table.log_p.shape
    numbers = n if isinstance(selector, MaxInformation) else n * (k - 1) * q
    return int(8 * numbers + n)


def copy_bandwidth(megabytes: int = 200) -> float:
    """Bytes read and written in a second by a copy of more than the caches hold; best of five."""
    source = np.ones(megabytes * 125_000)
    target = np.empty_like(source)
    taken = []
    for _ in range(6):
        started = time.perf_counter()
        np.copyto(target, source)
        taken.append(time.perf_counter() - started)
    # the first one finds the memory of the target
    return 2 * source.nbytes / min(taken[1:])


def show(figures: dict[str, Any]) -> None:
    """Tables for people."""
    console = Console(width=110, highlight=False)
    versions = ", ".join(f"{name} {found}" for name, found in figures["versions"].items())
    console.print(f"{figures['machine']}; {versions}; load {figures['load']:.1f}")
    for name in PACKAGES:
        if name not in figures["versions"]:
            console.print(f"{name}: left out, needs the package: pip install {name}")
    console.print(f"compiling {figures['items']} items: {1e3 * figures['compile_seconds']:.0f} ms")
    table = TextTable(title=f"bank of {figures['items']} items")
    table.add_column("program and selector")
    for head in (
        "step of a session",
        "step alone",
        "step among all",
        f"{figures['agents']} agents × {figures['length']}",
        "peak",
        "RMSE of θ",
    ):
        table.add_column(head, justify="right")
    for name, found in figures["ours"].items():
        table.add_row(
            name,
            milliseconds(found["session_step"]["median"]),
            milliseconds(found["step"]["median"]),
            milliseconds(found["step_among_all"]),
            f"{found['seconds_for_all']:.2f} s",
            f"{found['peak_mb']:.1f} MB" if "peak_mb" in found else "",
            f"{found['rmse']:.3f}",
        )
    for name, found in figures["peers"].items():
        table.add_row(
            name,
            "",
            milliseconds(found["step"]["median"]) if "step" in found else "",
            "",
            f"{found['seconds_for_all']:.0f} s *",
            f"{found['peak_mb']:.1f} MB" if "peak_mb" in found else "",
            f"{found['rmse']:.3f} *",
        )
    console.print(table)
    for name, found in figures["peers"].items():
        steps = (
            f"; a step is {found['session_step_ratio']:.0f} times faster in a session, "
            f"{found['step_ratio']:.0f} times alone"
            if "step" in found
            else ""
        )
        console.print(
            f"max-information against {name}: the study is {found['study_ratio']:.0f} times "
            f"faster{steps}. * {found['examinees']} examinees took {found['seconds']:.1f} s"
        )
    large = figures["large"]
    table = TextTable(
        title=f"a step on {large['items']} items; copying moves {large['gb_per_second']:.1f} GB/s"
    )
    for head in ("selector", "step alone", "step of a session", "must be read", "memory", "times"):
        table.add_column(head, justify="left" if head == "selector" else "right")
    for name, found in large["steps"].items():
        table.add_row(
            name,
            milliseconds(found["step"]["median"]),
            milliseconds(found["session_step"]["median"]),
            f"{found['megabytes']:.1f} MB",
            milliseconds(found["memory_seconds"]),
            f"{found['times_memory']:.1f}",
        )
    console.print(table)


def milliseconds(seconds: float) -> str:
    """To three digits.

    >>> milliseconds(0.0012345), milliseconds(0.1)
    ('1.23 ms', '100 ms')
    """
    return f"{1e3 * seconds:#.3g}".rstrip(".") + " ms"


if __name__ == "__main__":
    main()
