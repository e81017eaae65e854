"""Speed of the engine: one choice and update, and a whole study against catsim's simulator.

    python benchmarks/engine.py [--json FILE] [--items 1000] [--agents 1000] [--length 30]
                                [--catsim-seconds 40]

catsim is timed on as many examinees as fit in ``--catsim-seconds`` (at least two) and scaled up:
it tests one examinee after the other, so its time is linear in their number.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as TextTable

from harness.bank import Item, ItemBank, compile_bank
from harness.batch import administer, batches
from harness.events import Answered, Plan
from harness.irt import Array, Table
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
    parser.add_argument("--catsim-seconds", type=float, default=40.0, help="time for catsim")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()

    bank = make_bank(options.items)
    started = time.perf_counter()
    table = compile_bank(bank, bank.table.nodes)
    compiled = time.perf_counter() - started
    steps = {str(selector): step_seconds(table, selector) for selector in SELECTORS}
    truth = np.random.default_rng(2).standard_normal(options.agents)
    outcomes = draw_outcomes(bank, truth[:, None], np.arange(options.agents), seed=3)
    studies = {
        str(selector): study(table, selector, outcomes, truth, options.length)
        for selector in SELECTORS
    }
    theirs = catsim_study(table, truth, options.length, options.catsim_seconds)
    ratio = theirs["seconds_for_all"] / studies["max-information"]["seconds"]
    figures = {
        "items": options.items,
        "agents": options.agents,
        "length": options.length,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}",
        "load": os.getloadavg()[0],
        "compile_seconds": compiled,
        "choice_and_update_seconds": steps,
        "study": studies,
        "catsim": theirs,
        "times_faster": ratio,
    }
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def make_bank(n: int) -> ItemBank:
    """Binary two-parameter items with known parameters, as catsim has them."""
    rng = np.random.default_rng(1)
    slopes, difficulties = rng.lognormal(0.0, 0.3, n), rng.standard_normal(n)
    return ItemBank(
        "benchmark",
        tuple(
            Item(f"item{i}", "2pl", (float(a),), (float(-a * b),))
            for i, (a, b) in enumerate(zip(slopes, difficulties, strict=True))
        ),
    )


def step_seconds(table: Table, selector: Selector, length: int = 20) -> dict[str, float]:
    """One choice and update of a live session, over the steps of a few sessions."""
    rng = np.random.default_rng(4)
    taken = []
    for _ in range(5):
        session = Session(table, Plan(select=selector, stop=MaxItems(length)))
        for step in range(1, length + 1):
            answer = int(rng.integers(2))
            started = time.perf_counter()
            (chosen,) = session.next_items(at=0.0)
            session = session.after(chosen)
            session = session.after(Answered(0.0, step, chosen.item, answer))
            session.posterior.sd  # noqa: B018  computed on demand
            taken.append(time.perf_counter() - started)
    return {"median": statistics.median(taken), "slowest": max(taken)}


def study(
    table: Table, selector: Selector, outcomes: Any, truth: Array, length: int
) -> dict[str, float]:
    """All agents together, the best of three runs."""
    taken = []
    for _ in range(3):
        estimates = []
        started = time.perf_counter()
        for rows in batches(table, np.arange(len(truth))):
            for step in administer(table, Plan(select=selector), outcomes[rows]):
                if step.round == length:
                    break
            estimates.append(step.progress.view.ability[:, 0])
        taken.append(time.perf_counter() - started)
    rmse = float(np.sqrt(((np.concatenate(estimates) - truth) ** 2).mean()))
    return {"seconds": min(taken), "rmse": rmse}


def catsim_study(table: Table, truth: Array, length: int, budget: float) -> dict[str, float]:
    """catsim's simulator on the same items, examinee by examinee until the time is used up."""
    from catsim.estimation import NumericalSearchEstimator
    from catsim.initialization import FixedPointInitializer
    from catsim.selection import MaxInfoSelector
    from catsim.simulation import Simulator
    from catsim.stopping import TestLengthStopper

    slopes = table.slopes[:, 0]
    parameters = np.column_stack(
        [slopes, -table.intercepts[:, 0] / slopes, table.lower, table.upper]
    )
    taken: list[float] = []
    errors = []
    while len(taken) < min(2, len(truth)) or (sum(taken) < budget and len(taken) < len(truth)):
        one = truth[len(taken) : len(taken) + 1]
        # its check of the items prints an empty line for each bank without errors
        with contextlib.redirect_stdout(io.StringIO()):
            simulator = Simulator(
                parameters,
                one,
                FixedPointInitializer(0.0),
                MaxInfoSelector(),
                NumericalSearchEstimator(),
                TestLengthStopper(max_items=length),
                seed=len(taken),
            )
        started = time.perf_counter()
        simulator.simulate()
        taken.append(time.perf_counter() - started)
        errors.append(float(simulator.estimations[0][-1] - one[0]))
    each = statistics.fmean(taken)
    return {
        "examinees": len(taken),
        "seconds": sum(taken),
        "seconds_each": each,
        "seconds_for_all": each * len(truth),
        "rmse": float(np.sqrt(np.mean(np.square(errors)))),
    }


def show(figures: dict[str, Any]) -> None:
    """A table for people."""
    console = Console(width=100)
    console.print(f"{figures['machine']}; catsim {version('catsim')}; load {figures['load']:.1f}")
    console.print(f"compiling {figures['items']} items: {1e3 * figures['compile_seconds']:.0f} ms")
    table = TextTable(title=f"bank of {figures['items']} items")
    table.add_column("selector")
    table.add_column("one choice and update", justify="right")
    table.add_column(f"{figures['agents']} agents × {figures['length']} items", justify="right")
    table.add_column("RMSE of θ", justify="right")
    for name, step in figures["choice_and_update_seconds"].items():
        whole = figures["study"][name]
        table.add_row(
            name,
            f"{1e3 * step['median']:.2f} ms",
            f"{whole['seconds']:.2f} s",
            f"{whole['rmse']:.3f}",
        )
    theirs = figures["catsim"]
    table.add_row(
        "catsim MaxInfoSelector",
        f"{1e3 * theirs['seconds_each'] / figures['length']:.1f} ms",
        f"{theirs['seconds_for_all']:.0f} s *",
        f"{theirs['rmse']:.3f} *",
    )
    console.print(table)
    console.print(
        f"* extrapolated: {theirs['examinees']} of {figures['agents']} examinees took "
        f"{theirs['seconds']:.1f} s, {theirs['seconds_each']:.2f} s each; RMSE over those few. "
        "catsim estimates by maximum likelihood (NumericalSearchEstimator), this program by the "
        "posterior mean."
    )
    console.print(f"max-information here is {figures['times_faster']:.0f} times faster than catsim")


if __name__ == "__main__":
    main()
