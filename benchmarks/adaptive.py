"""Quality of adaptive tests on real agents: this program and what people would use instead.

    python benchmarks/adaptive.py [--data DIR] [--json FILE] [--seeds 10] [--slow-peers 60]
                                  [--methods NAME ...] [--studies NAME ...] [--quick]

Banks are calibrated on some agents, the others are tested. Every method sees the same agents with
the same outcomes and says, after 5, 10, 20, 30 and 50 tasks, which share of all tasks an agent
passes; its error is held against the share that the agent passed. Where cells have several trials,
a session sees one of them, drawn at random, and the truth is the mean of all.

Splits are random, 70% of the agents for calibration, anew for every seed; or by date, the oldest
70% for calibration, where a seed means other random tasks. Intervals are 95%, from a bootstrap over
agents, each with all its splits.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import _adaptive_peers as peers
import numpy as np
from _adaptive_errors import (
    Errors,
    Indices,
    estimates,
    joined,
    known_number,
    resamples,
    tasks_for,
    weighted_means,
)
from _adaptive_peers import Array, Found, Outcomes, Parameters, Training
from numpy.polynomial.hermite_e import hermegauss
from rich.console import Console
from rich.table import Table as TextTable
from scipy.special import expit

from harness.ability import Prior, normalise
from harness.bank import ItemBank
from harness.batch import administer
from harness.calibrate import calibrate
from harness.errors import InputError
from harness.events import Plan
from harness.prior import agent_prior
from harness.responses import Responses, read_responses
from harness.score import predict_scores
from harness.stop import MaxItems

SIZES = (5, 10, 20, 30, 50)
AVERAGED = 4
"""Methods are also compared on the average over the first so many sizes, 5 to 30."""
CALIBRATED = 0.7
"""Share of the agents that banks are calibrated on."""
RESAMPLES = 2000
ORDERS = 20
"""Random orders of the tasks for each agent, for the error of random tasks at every number."""
OURS = "this program"
DATED = "this program, dated prior"
"""With a prior from the trend of the calibrating agents over their dates."""

By = Literal["random", "date"]


# --- the data ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """One data set, split one way."""

    data: str
    """Name of its folder."""
    by: By

    @property
    def name(self) -> str:
        """For people and ``--studies``.

        >>> Study("swebench_verified", "date").name
        'swebench_verified/date'
        """
        return f"{self.data}/{self.by}"


STUDIES = (
    Study("swebench_verified", "random"),
    Study("swebench_verified", "date"),
    Study("terminal_bench_2", "random"),
    # the runs with five trials have no dates
    Study("terminal_bench_2_majority", "date"),
)


@dataclass(frozen=True, eq=False)
class Split:
    """Agents by their position: those of the calibration, and those under test."""

    training: Indices
    test: Indices
    seed: int


def splits(responses: Responses, by: By, seeds: int) -> Iterator[Split]:
    """One split for each seed."""
    agents = len(responses.agents)
    cut = round(CALIBRATED * agents)
    for seed in range(seeds):
        if by == "random":
            order = np.random.default_rng([seed, 0]).permutation(agents)
        else:
            # of one day by name, so that the order of the file does not matter
            names = list(zip(responses.date, responses.agents, strict=True))
            order = np.array(sorted(range(agents), key=names.__getitem__))
        yield Split(np.sort(order[:cut]), np.sort(order[cut:]), seed)


def one_trial(responses: Responses, seed: Sequence[int]) -> Outcomes:
    """``(A, n)`` one trial of each cell, drawn at random; -1 is missing.

    The order of the trials in the data tells nothing: some sources list successes first.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(responses.category))
    drawn = np.full((len(responses.agents), len(responses.items)), -1)
    drawn[responses.agent[shuffled], responses.item[shuffled]] = responses.category[shuffled]
    return drawn


# --- calibration ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What the calibration agents tell: our bank, and what the peers are given."""

    bank: ItemBank
    training: Training
    unconverged: int
    """Calibrations that did not converge."""


def calibrated(responses: Responses, split: Split) -> Calibrated:
    """Calibrate on the training agents.

    All banks come from this program. Peers do not know an agent × item effect: theirs take the
    trials of a cell as independent, so that their probabilities are those of a single trial.
    """
    known = responses.subset(agents=[responses.agents[a] for a in split.training])
    ours = calibrate(known, "2pl", name="benchmark")
    repeated = bool(known.attempts.max() > 1)
    two = calibrate(known, "2pl", name="benchmark", dispersion=False) if repeated else ours
    three = calibrate(known, "3pl", name="benchmark", dispersion=False)
    training = Training(
        one_trial(known, [split.seed, 1]),
        known.scores(),
        parameters_of(two.bank),
        parameters_of(three.bank),
    )
    return Calibrated(ours.bank, training, sum(not c.converged for c in (ours, two, three)))


def parameters_of(bank: ItemBank) -> Parameters:
    """Point estimates of a bank of binary items, on a scale where agents are N(0, 1)."""
    (mean,), (sd,) = bank.mean, bank.sd
    slope = np.array([item.slopes[0] for item in bank.items])
    intercept = np.array([item.intercepts[0] for item in bank.items])
    lower = np.array([item.lower for item in bank.items])
    return Parameters(slope * sd, (-intercept / slope - mean) / sd, lower)


# --- methods ----------------------------------------------------------------------------------


def ours(
    bank: ItemBank,
    outcomes: Outcomes,
    sizes: Sequence[int],
    seed: int,
    dates: Sequence[str] = (),
) -> Found:
    """This program: its default plan but for the length, and its predicted score.

    With dates of the agents under test, their prior follows the trend of the calibrating agents.
    """
    plan = Plan(stop=MaxItems(max(sizes)), prior=agent_prior(bank), seed=seed)
    priors = [agent_prior(bank, date) for date in dates]
    rates, ability = [], []
    for step in administer(bank.table, plan, outcomes, priors=priors or None):
        view = step.progress.view
        if step.round in sizes:
            predicted = predict_scores(bank.table, view.posterior, view.answers, outcomes >= 0)
            rates.append(predicted.mean)
            ability.append(view.ability[:, 0])
        if step.round == max(sizes):
            break
    return Found(np.stack(rates, axis=1), np.stack(ability, axis=1))


def run(
    method: str,
    found: Calibrated,
    outcomes: Outcomes,
    sizes: Sequence[int],
    seed: int,
    dates: Sequence[str],
) -> Found:
    """Test agents with a method."""
    if method in (OURS, DATED):
        return ours(found.bank, outcomes, sizes, seed, dates if method == DATED else ())
    return peers.PEERS[method](found.training, outcomes, sizes, seed)


def missing(method: str) -> str:
    """Why a method cannot be run here; empty if it can."""
    distribution = peers.SLOW.get(method)
    try:
        if distribution:
            version(distribution)
    except PackageNotFoundError:
        return f"needs the package: pip install {distribution}"
    return ""


# --- errors -----------------------------------------------------------------------------------


def floor(bank: ItemBank, outcomes: Outcomes, trials: Array, sizes: Sequence[int]) -> Array:
    """``(A, S)`` expected absolute error where ability is known and only luck is left.

    Ability is taken from all outcomes. Given it, the rate over the tasks not taken is nearly
    normal, and its variance is known from their probabilities: with m trials of a cell
    (``trials``, ``(A, n)``), what an agent × item effect does to it stays, and the rest is divided
    by m. The tasks taken are those with the largest variances, so no choice of tasks gets below.
    """
    table = bank.table
    log_weights = Prior(bank.mean, bank.sd).log_weights(table.nodes) + (
        (outcomes == 1) @ table.log_p[:, 1] + (outcomes == 0) @ table.log_p[:, 0]
    )
    ability = normalise(log_weights) @ table.nodes[:, 0]
    slope, intercept = table.slopes[:, 0], table.intercepts[:, 0]
    effect = np.array([item.effect_sd for item in bank.items])
    points, weights = hermegauss(21)
    logit = slope * ability[:, None] + intercept
    p = table.lower + (table.upper - table.lower) * expit(logit + points[:, None, None] * effect)
    weights = weights / weights.sum()
    mean = np.tensordot(weights, p, 1)
    of_cell = np.tensordot(weights, p**2, 1) - mean**2
    of_trial = np.tensordot(weights, p * (1 - p), 1)
    variance = np.where(trials > 0, of_cell + of_trial / np.maximum(trials, 1), 0.0)
    falling = -np.sort(-variance, axis=1)
    left = np.stack([falling[:, size:].sum(axis=1) for size in sizes], axis=1)
    return np.asarray(np.sqrt(2 / np.pi * left) / (trials > 0).sum(axis=1)[:, None])


def random_mean_errors(responses: Responses, split: Split, truth: Array) -> Array:
    """``(A, n)`` mean absolute error of the plain mean of k random tasks, for every k.

    Over many orders of the tasks, with a trial of each cell drawn anew in each.
    """
    total = np.zeros((len(split.test), len(responses.items)))
    for order in range(ORDERS):
        outcomes = one_trial(responses, [split.seed, 4, order])[split.test]
        rows = peers.random_order(outcomes >= 0, ORDERS * split.seed + order)
        drawn = np.take_along_axis(outcomes, rows, axis=1)
        total += np.abs(peers.running_mean(drawn.astype(float), drawn >= 0) - truth[:, None])
    return total / ORDERS


# --- a study ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """How much is done."""

    seeds: int
    slow_agents: int
    """Agents that the slow peers test in one study, over all seeds."""
    methods: tuple[str, ...]


def load(study: Study, folder: Path, quick: bool) -> Responses | str:
    """The outcomes of a study, or why there are none."""
    file = folder / study.data / "responses.csv.gz"
    if not file.exists():
        return f"no file {file}; give the folder that holds the data sets with --data"
    try:
        responses = read_responses(file)
    except InputError as error:
        return str(error)
    if quick:
        # not the first ones, as neighbours are alike
        responses = responses.subset(items=responses.items[:: max(1, len(responses.items) // 60)])
    if (responses.n_categories > 2).any():
        return f"{file}: outcomes of more than two categories, which no peer takes"
    if study.by == "date" and not all(responses.date):
        return f"{file}: not every agent has a date"
    return responses


def measure(study: Study, responses: Responses, options: Options) -> tuple[Errors, int]:
    """Run all methods on all splits; the errors, and how many calibrations did not converge."""
    rates = responses.scores()
    sizes = sizes_for(responses)
    methods = [m for m in options.methods if m != DATED or all(responses.date)]
    each = -(-options.slow_agents // options.seeds)
    parts: list[Errors] = []
    unconverged = 0
    found: Calibrated | None = None
    for split in splits(responses, study.by, options.seeds):
        began = time.perf_counter()
        if found is None or study.by == "random":
            found = calibrated(responses, split)
            unconverged += found.unconverged
        test = split.test
        outcomes = one_trial(responses, [split.seed, 2])[test]
        truth = np.nanmean(rates[test], axis=1)
        few = np.sort(np.random.default_rng([split.seed, 3]).permutation(len(test))[:each])
        predicted = {m: np.full((len(test), len(sizes)), np.nan) for m in methods}
        for method, values in predicted.items():
            rows = few if method in peers.SLOW else np.arange(len(test))
            dates = [responses.date[agent] for agent in test[rows]]
            values[rows] = run(method, found, outcomes[rows], sizes, split.seed, dates).rates
        trials = responses.attempts[test].astype(float)
        parts.append(
            Errors(
                agent=test,
                split=np.full(len(test), split.seed),
                truth=truth,
                predicted=predicted,
                random=random_mean_errors(responses, split, truth),
                floor=floor(found.bank, outcomes, trials, sizes),
            )
        )
        print(
            f"{study.name}: split {split.seed + 1} of {options.seeds}, "
            f"{time.perf_counter() - began:.0f} s",
            file=sys.stderr,
        )
    return joined(parts), unconverged


def sizes_for(responses: Responses) -> tuple[int, ...]:
    """The sizes that leave something to predict."""
    return tuple(size for size in SIZES if size < len(responses.items))


# --- figures ----------------------------------------------------------------------------------


def with_average(values: Array) -> Array:
    """``(R, S + 1)``: a last column with the mean over sizes 5 to 30."""
    return np.column_stack([values, values[:, :AVERAGED].mean(axis=1)])


def figures_of(
    study: Study, responses: Responses, errors: Errors, unconverged: int
) -> dict[str, Any]:
    """All that is reported of a study; errors in points of a hundred."""
    weights = resamples(errors.agent, RESAMPLES)
    ours = {m: errors.absolute(m) for m in (OURS, DATED) if m in errors.predicted}
    sizes = np.array(sizes_for(responses))
    methods = {}
    for method in errors.predicted:
        error = errors.absolute(method)
        draws = weighted_means(with_average(error), weights)
        rows = np.isfinite(error[:, 0])
        curve = weighted_means(np.where(rows[:, None], errors.random, np.nan), weights)
        factor = tasks_for(draws[:, :-1], curve) / sizes
        methods[method] = {
            "agents": len(np.unique(errors.agent[rows])),
            "sessions": int(rows.sum()),
            "error": estimates(draws, 100.0),
            "spearman": [known_number(rho) for rho in errors.spearman(method)],
            "worse_by_than": {
                name: estimates(weighted_means(with_average(error - mine), weights), 100.0)
                for name, mine in ours.items()
            },
            "times_fewer_tasks_than_random": estimates(factor),
        }
    return {
        "study": study.name,
        "agents": len(responses.agents),
        "items": len(responses.items),
        "trials": int(responses.attempts.max()),
        "under_test": len(np.unique(errors.agent)),
        "splits": len(np.unique(errors.split)),
        "sizes": sizes.tolist(),
        "unconverged_calibrations": unconverged,
        "floor": (100 * errors.floor.mean(axis=0)).tolist(),
        "methods": methods,
    }


def best_peer(figures: dict[str, Any], column: int) -> str:
    """The peer of the smallest error in a column, among those that tested as many agents as this
    program; empty where there is none."""
    found = figures["methods"]
    full = [m for m in found if found[m]["sessions"] == found[OURS]["sessions"]]
    full = [m for m in full if m not in (OURS, DATED)]
    return min(full, key=lambda m: found[m]["error"][column]["value"], default="")


def show(console: Console, figures: dict[str, Any]) -> None:
    """Tables for people."""
    found, sizes = figures["methods"], figures["sizes"]
    last = min(AVERAGED, len(sizes))
    heads = [*map(str, sizes), f"mean {sizes[0]}–{sizes[last - 1]}"]
    trials = f", up to {figures['trials']} trials" if figures["trials"] > 1 else ""
    console.print(
        f"{figures['study']}: {figures['agents']} agents × {figures['items']} tasks{trials}; "
        f"{figures['under_test']} agents under test, {figures['splits']} splits"
    )
    table = TextTable(title="mean absolute error in points (rank correlation) after k tasks")
    table.add_column("method")
    for head in heads:
        table.add_column(head, justify="right")
    for method, row in found.items():
        few = "" if row["sessions"] == found[OURS]["sessions"] else f" *{row['sessions']}"
        cells = [
            f"{e['value']:.2f} ({'–' if rho is None else f'{rho:.2f}'})"
            for e, rho in zip(row["error"], row["spearman"], strict=False)
        ]
        table.add_row(method + few, *cells, f"{row['error'][-1]['value']:.2f}")
    floors = figures["floor"]
    table.add_row("floor", *(f"{f:.2f}" for f in floors), f"{np.mean(floors[:last]):.2f}")
    console.print(table)
    table = TextTable(title=f"worse than {OURS} by so many points [95%]")
    table.add_column("method")
    for head in heads:
        table.add_column(head, justify="right")
    for method, row in found.items():
        if method != OURS:
            table.add_row(method, *(interval(e, 2) for e in row["worse_by_than"][OURS]))
    console.print(table)
    table = TextTable(title="times fewer tasks than random + mean for the same error [95%]")
    table.add_column("method")
    for size in sizes:
        table.add_column(str(size), justify="right")
    for method, row in found.items():
        table.add_row(method, *(interval(e, 1) for e in row["times_fewer_tasks_than_random"]))
    # with all tasks a random choice makes no error
    table.add_row("at most", *(f"{figures['items'] / size:.1f}" for size in sizes))
    console.print(table)
    for mine in (m for m in (OURS, DATED) if m in found):
        for column, head in enumerate(heads):
            if peer := best_peer(figures, column):
                gap = found[peer]["worse_by_than"][mine][column]
                side = _side(gap)
                console.print(
                    f"{mine}, {head}: {peer}, the best peer, is {side}: {interval(gap, 2)}"
                )
    if any(row["sessions"] < found[OURS]["sessions"] for row in found.values()):
        console.print("* sessions that a slow peer ran; its differences are over the same sessions")
    console.print()


def _side(gap: dict[str, float]) -> str:
    if gap["low"] <= 0 <= gap["high"]:
        return "no different"
    return "worse" if gap["low"] > 0 else "better"


def interval(estimate: dict[str, float], digits: int) -> str:
    """An estimate with its interval.

    >>> interval({"value": 1.234, "low": 1.0, "high": 2.0}, 1)
    '1.2 [1.0, 2.0]'
    """
    value, low, high = (f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


# --- the program ------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    methods = [OURS, DATED, *peers.PEERS]
    names = [study.name for study in STUDIES]
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=default, help="folder of the data sets [../shared/data]"
    )
    parser.add_argument("--seeds", type=int, default=10, help="splits of each study [10]")
    parser.add_argument(
        "--slow-peers",
        type=int,
        default=60,
        metavar="N",
        help="agents that catsim and adaptivetesting test in each study [60]; 0 leaves them out",
    )
    parser.add_argument(
        "--studies", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=methods,
        default=methods,
        metavar="NAME",
        help=", ".join(methods).replace("%", "%%") + "; this program always runs",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one split of a part of the tasks: does it all work?"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.seeds < 1 or options.slow_peers < 0:
        parser.error("--seeds must be at least 1 and --slow-peers at least 0")
    if options.json and (options.json.is_dir() or not options.json.absolute().parent.is_dir()):
        parser.error(f"--json: {options.json} cannot be written; its folder must exist")
    return options


def main() -> None:
    """Measure and print."""
    given = arguments()
    console = Console(width=150, highlight=False, markup=False)
    wanted = [m for m in (OURS, DATED, *peers.PEERS) if m == OURS or m in given.methods]
    reasons = {m: reason for m in wanted if (reason := missing(m))}
    if given.slow_peers == 0:
        reasons |= dict.fromkeys(peers.SLOW, "--slow-peers 0")
    methods = tuple(m for m in wanted if m not in reasons)
    seeds, slow = (1, min(2, given.slow_peers)) if given.quick else (given.seeds, given.slow_peers)
    options = Options(seeds, slow, methods)
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}",
        "quick": given.quick,
        "skipped_methods": {m: reason for m, reason in reasons.items() if m in wanted},
        "skipped_studies": {},
        "studies": [],
    }
    for method, reason in figures["skipped_methods"].items():
        console.print(f"{method}: left out, {reason}")
    for study in STUDIES:
        if study.name not in given.studies:
            continue
        responses = load(study, given.data, given.quick)
        if isinstance(responses, str):
            figures["skipped_studies"][study.name] = responses
            console.print(f"{study.name}: left out, {responses}")
            continue
        began = time.perf_counter()
        errors, unconverged = measure(study, responses, options)
        figures["studies"].append(figures_of(study, responses, errors, unconverged))
        figures["studies"][-1]["seconds"] = time.perf_counter() - began
        show(console, figures["studies"][-1])
        if given.json:
            given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
