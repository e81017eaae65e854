"""Other programs for adaptive tests, timed; ``engine.py`` holds them against this one."""

import contextlib
import io
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

import _adaptive_peers as peers
import numpy as np

from harness.ability import Prior
from harness.irt import Array, Table

PACKAGES = ("catsim", "adaptivetesting")


def installed(distribution: str) -> str:
    """The version of a distribution, empty where it is absent."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def parameters_of(table: Table) -> peers.Parameters:
    """Point estimates in the form of the peers."""
    slope = table.slopes[:, 0]
    return peers.Parameters(slope, -table.intercepts[:, 0] / slope, table.lower)


def timed(steps: Iterator[Any]) -> Iterator[tuple[float, Any]]:
    """What an iterator gives, with the seconds that it took."""
    while True:
        started = time.perf_counter()
        found = next(steps)
        yield time.perf_counter() - started, found


def spread(taken: list[float]) -> dict[str, float]:
    """Of the seconds of single steps."""
    return {"median": statistics.median(taken), "slowest": max(taken)}


PeerSession = Callable[[Any], Iterator[peers.Step]]
"""From the outcomes of an agent to the steps of its test."""


def peer_sessions(table: Table) -> dict[str, PeerSession]:
    """The installed peers by name, with the estimator of this program as far as they can."""
    parameters = parameters_of(table)
    weights = np.exp(Prior().log_weights(table.nodes))
    found: dict[str, PeerSession] = {}
    if installed("catsim"):
        eap = peers.catsim_eap(table.nodes[:, 0], weights)
        found["catsim"] = partial(peers.catsim_session, parameters, estimator=eap)
    if installed("adaptivetesting"):
        found["adaptivetesting"] = partial(peers.adaptivetesting_session, parameters, mean=True)
    return found


def peer_study(
    session: PeerSession, outcomes: Any, truth: Array, length: int, budget: float
) -> dict[str, Any]:
    """A peer on agent after agent, until the time is used up."""
    taken: list[float] = []

    def test(agent: int) -> tuple[float, float]:
        started = time.process_time()
        steps = list(islice(timed(session(outcomes[agent])), length))
        seconds = time.process_time() - started
        taken.extend(step for step, _ in steps)
        return seconds, steps[-1][1][1] - truth[agent]

    found = scaled_up(test, len(truth), budget)
    return {"step": spread(taken), **found}


def catsim_simulator(table: Table, truth: Array, length: int, budget: float) -> dict[str, Any]:
    """catsim's own simulator with its own estimator; it draws outcomes itself."""
    from catsim.estimation import NumericalSearchEstimator
    from catsim.initialization import FixedPointInitializer
    from catsim.selection import MaxInfoSelector
    from catsim.simulation import Simulator
    from catsim.stopping import TestLengthStopper

    known = parameters_of(table)
    items = np.column_stack([known.slope, known.difficulty, table.lower, table.upper])

    def test(agent: int) -> tuple[float, float]:
        # its check of the items prints an empty line for each bank without errors
        with contextlib.redirect_stdout(io.StringIO()):
            simulator = Simulator(
                items,
                truth[agent : agent + 1],
                FixedPointInitializer(0.0),
                MaxInfoSelector(),
                NumericalSearchEstimator(),
                TestLengthStopper(max_items=length),
                seed=agent,
            )
        started = time.process_time()
        simulator.simulate()
        seconds = time.process_time() - started
        return seconds, float(simulator.estimations[0][-1] - truth[agent])

    return scaled_up(test, len(truth), budget)


def scaled_up(
    test: Callable[[int], tuple[float, float]], agents: int, budget: float
) -> dict[str, Any]:
    """What a study of all agents takes, from at least two and as many as fit in the budget.

    ``test`` gives the seconds that an agent took, and the error of its ability.
    """
    tests: list[tuple[float, float]] = []
    while len(tests) < min(2, agents) or (
        len(tests) < agents and sum(seconds for seconds, _ in tests) < budget
    ):
        tests.append(test(len(tests)))
    seconds, errors = np.array(tests).T
    return {
        "examinees": len(tests),
        "seconds": float(seconds.sum()),
        "seconds_for_all": float(seconds.mean() * agents),
        "rmse": float(np.sqrt((errors**2).mean())),
    }
