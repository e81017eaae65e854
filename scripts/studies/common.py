"""What the studies share: outcomes, banks with the agents that they have not seen, endings."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.ability import Prior
from harness.bank import ItemBank
from harness.batch import administer, batches
from harness.calibrate import calibrate
from harness.events import Plan
from harness.irt import Array, Model, Table
from harness.responses import Responses, read_responses
from harness.responses.drawn import draw_trials
from harness.stop import Rule
from harness.study.bootstrap import draw_weights
from harness.study.parallel import mapped
from harness.study.plan_file import SplitEntry
from harness.study.splits import make_splits

Indices = NDArray[np.intp]
FILE = "responses.csv.gz"
SHARE = 0.7
"""Of the agents, for calibration."""


@dataclass(frozen=True)
class Run:
    """One run of the script."""

    data: Path
    """Folder of the data sets, one folder each."""
    out: Path
    """Folder of the pages."""
    quick: bool = False
    """Few seeds and few tasks, to see that everything runs."""
    jobs: int = 1

    @property
    def seeds(self) -> int:
        """Repetitions, each with its own split."""
        return 2 if self.quick else 10

    @property
    def resamples(self) -> int:
        """Bootstrap samples of the agents."""
        return 200 if self.quick else 2000

    def say(self, text: str) -> None:
        """A line of progress."""
        print(text, file=sys.stderr, flush=True)

    def tick(self, what: str, done: int, total: int) -> None:
        """Progress of parallel work."""
        if done in (0, total):
            self.say(f"  {what}: {done} of {total}")

    def load(self, name: str) -> Responses:
        """The outcomes of a data set; with ``quick`` every so many of its tasks only."""
        responses = read_responses(self.data / name / FILE)
        if self.quick:
            step = max(1, len(responses.items) // 60)
            responses = responses.subset(items=responses.items[::step])
        return responses


@dataclass(frozen=True, eq=False)
class World:
    """A bank, and the agents that it was not calibrated on."""

    bank: ItemBank
    agents: Indices
    """``(A,)`` position in the responses."""
    outcomes: Indices
    """``(A, n)`` one trial of each cell, -1 where missing."""
    truth: Array
    """``(A,)`` score over all items and trials."""
    seed: int


@dataclass(frozen=True, eq=False)
class _Fit:
    responses: Responses
    model: Model


def _fitted(job: _Fit) -> ItemBank:
    bank = calibrate(job.responses, job.model, name="study").bank
    _ = bank.table  # compiled here, it travels with the bank
    return bank


_BANKS: dict[tuple[str, int, Model, bytes], ItemBank] = {}
"""Banks of this run by data, number of items, model and calibrating agents: studies share them."""


def held_out(run: Run, responses: Responses, model: Model = "2pl") -> list[World]:
    """A world for each seed: 70% of the agents at random calibrate, the others are tested."""
    splits = make_splits(responses, SplitEntry(by="random", share=SHARE, seeds=run.seeds))
    return worlds(run, responses, model, [(split.calibrating, split.tested) for split in splits])


def worlds(
    run: Run, responses: Responses, model: Model, splits: Sequence[tuple[Indices, Indices]]
) -> list[World]:
    """A world for each pair of calibrating and tested agents; banks are made once a run."""
    keys = [
        (responses.sha256, len(responses.items), model, calibrating.tobytes())
        for calibrating, _ in splits
    ]
    wanted = {
        key: _Fit(responses.subset(agents=[responses.agents[a] for a in calibrating]), model)
        for key, (calibrating, _) in zip(keys, splits, strict=True)
        if key not in _BANKS
    }
    if wanted:
        found = mapped(_fitted, list(wanted.values()), run.jobs, "calibrating", run.tick)
        _BANKS.update(zip(wanted, found, strict=True))
    made = []
    for seed, (key, (_, tested)) in enumerate(zip(keys, splits, strict=True)):
        drawn = draw_trials(_BANKS[key].table, responses, seed)
        truth = np.nanmean(drawn.score[tested], axis=1)
        made.append(World(_BANKS[key], tested, drawn.category[tested], truth, seed))
    return made


def seeds_of(world: World) -> NDArray[np.int64]:
    """``(A,)`` seeds of the selectors' random numbers, different for all agents and splits."""
    return np.asarray(1_000 * world.seed + world.agents, np.int64)


def simulated(bank: ItemBank, agents: int, seed: int) -> Indices:
    """``(A, n)`` outcomes of agents as able as those that calibrated the bank."""
    abilities = bank.population.draw(agents, np.random.default_rng([seed, 1]))
    return simulated_at(bank, abilities[:, 0], seed)


def simulated_at(bank: ItemBank, abilities: Array, seed: int) -> Indices:
    """``(A, n)`` outcomes that the bank says agents of these abilities ``(A,)`` would have."""
    rng = np.random.default_rng([seed, 0])
    table = bank.table
    node = np.abs(table.nodes[:, 0] - abilities[:, None]).argmin(axis=1)
    below = np.cumsum(table.p[:, :, node], axis=1)[:, :-1]
    return np.asarray((rng.random((len(table.ids), 1, len(node))) > below).sum(axis=1).T)


# --- sessions ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Endings:
    """Where a rule first held for each of A agents; NaN where it did not within the limit."""

    items: Array
    """``(A,)`` answered."""
    launched: Array
    """``(A,)`` answered and in flight."""
    score: Array
    """``(A,)`` predicted score."""
    above: Array
    """``(A,)`` probability of a score above the cut."""


def endings(
    table: Table,
    plan: Plan,
    outcomes: Indices,
    rules: Sequence[Rule],
    limit: int,
    seeds: NDArray[np.int64],
    cut: float = 0.5,
) -> list[Endings]:
    """Where each of several rules ends the same sessions, after at least one answer.

    ``plan.stop`` is not looked at: what a selector chooses does not depend on it.
    """
    parts = []
    for rows in batches(table, np.arange(len(outcomes))):
        found = np.full((len(rules), 4, len(rows)), np.nan)
        for step in administer(table, plan, outcomes[rows], seeds[rows]):
            progress = step.progress
            for rule, values in zip(rules, found, strict=True):
                ending = rule(progress) & np.isnan(values[0]) & (progress.items > 0)
                if ending.any():
                    scores = progress.scores
                    values[:, ending] = np.stack(
                        [
                            progress.items,
                            progress.items + step.in_flight,
                            scores.mean,
                            scores.probability_above(cut),
                        ]
                    )[:, ending]
            if step.round >= limit or not np.isnan(found[:, 0]).any():
                break
        parts.append(found)
    return [Endings(*values) for values in np.concatenate(parts, axis=2)]


def path(
    world: World, plan: Plan, limit: int, priors: Sequence[Prior] | None = None
) -> Iterator[tuple[int, Array, Array, Indices]]:
    """Number of items, predicted scores, sds of ability and order so far, after each item."""
    table, outcomes = world.bank.table, world.outcomes
    for step in administer(table, plan, outcomes, seeds_of(world), priors=priors):
        if step.round:
            assert step.progress.order is not None
            progress = step.progress
            yield step.round, progress.scores.mean, progress.sd[:, 0], step.progress.order
        if step.round >= limit:
            return


# --- the bootstrap ----------------------------------------------------------------------------


def weights_for(run: Run, agent: Indices) -> tuple[Array, Indices]:
    """Bootstrap weights ``(B + 1, U)`` of the agents, and the unit ``(R,)`` of each row."""
    units, unit = np.unique(agent, return_inverse=True)
    return draw_weights(len(units), run.resamples), unit


def weighted_quantile(weights: Array, unit: Indices, values: Array, share: float) -> Array:
    """``(B + 1,)`` smallest of ``values (R,)`` with at least a share of the weight up to it.

    >>> weighted_quantile(np.array([[1.0, 1.0, 8.0]]), np.arange(3), np.array([1.0, 2.0, 3.0]), 0.2)
    array([2.])
    """
    order = np.argsort(values)
    total = np.cumsum(weights[:, unit[order]], axis=1)
    at = (total >= share * total[:, -1:] - 1e-9).argmax(axis=1)
    return np.asarray(values[order][at])
