"""A new benchmark: told from others, whose tasks have the same features.

Difficulties of several benchmarks do not lie on one scale. What features say of differences between
tasks carries over; the level does not, so it is open for all tasks of the new benchmark together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.bank import Item
from harness.coldstart.benchmark import Benchmark
from harness.coldstart.fits import Known, any_item, fit_known, fit_oracle
from harness.coldstart.forecast import Forecast, Placed, placed
from harness.coldstart.measures import DRAWS, measure, told_cells
from harness.coldstart.result import Result
from harness.coldstart.splits import Fold
from harness.errors import InputError
from harness.irt import Array
from harness.parts.ability import Parts, lacks_parts
from harness.parts.prior import choose_priors
from harness.predict.predictor import Predictor, predicted_items, predictor_of
from harness.regression import Column, Features, Regression, regress

LEVEL_SD = 1.5
"""Sd of the level of a new benchmark, in sds of the agents of another: wide, since few benchmarks
say little of how far levels lie apart."""
_ORIGIN = Column("benchmark", "benchmark", "category")


@dataclass(frozen=True, eq=False)
class Transfer:
    """What other benchmarks say of tasks and agents."""

    first: Known
    """The first of them, on whose scale abilities are told."""
    predictor: Predictor


def fit_transfer(others: Sequence[Benchmark]) -> Transfer:
    """One predictor from several benchmarks, each calibrated by itself.

    Raises:
        InputError: a benchmark without features.
    """
    if bare := [one.name for one in others if one.features is None]:
        raise InputError(
            f"benchmark {bare[0]!r} has no features; give them with --with-features BLOCK=FILE"
        )
    fits = [fit_known(one.responses, "2pl", one.features) for one in others]
    predictors = [predictor_of(one.fit) for one in fits]
    if len(others) == 1:
        return Transfer(fits[0], predictors[0])
    first = predictors[0]
    steep = [one.log_slope for one in predictors if one.log_slope is not None]
    return Transfer(
        fits[0],
        replace(
            first,
            difficulty=_pooled(others, [one.difficulty for one in predictors]),
            log_slope=_pooled(others, steep) if len(steep) == len(others) else None,
        ),
    )


def _pooled(others: Sequence[Benchmark], fits: Sequence[Regression]) -> Regression:
    """The evidence of all benchmarks under one set of weights, each with a level of its own."""
    names: list[str] = []
    cells = []
    for one, fit in zip(others, fits, strict=True):
        assert one.features is not None
        rows = one.features.of(fit.fitted.names)
        # tasks of two benchmarks may have one name
        names += [f"{one.name}/{name}" for name in rows.names]
        known = {(column.block, column.name): k for k, column in enumerate(rows.columns)}
        place = [known.get((column.block, column.name)) for column in _columns(others)]
        cells += [(*(None if k is None else row[k] for k in place), one.name) for row in rows.cells]
    together = Features(tuple(names), (*_columns(others), _ORIGIN), tuple(cells))
    y, noise = (
        np.concatenate([getattr(fit.fitted, what) for fit in fits]) for what in ("y", "noise")
    )
    return regress(together, y, noise)


def _columns(others: Sequence[Benchmark]) -> tuple[Column, ...]:
    found = (column for one in others if one.features for column in one.features.columns)
    return tuple(dict.fromkeys(found))


def transferred_items(transfer: Transfer, new: Benchmark) -> tuple[Item, ...]:
    """The items of a benchmark as their features have them, its level taken for the usual one.

    Raises:
        InputError: no feature in common.
    """
    if new.features is None:
        raise InputError(
            f"benchmark {new.name!r} has no features; give them with --features BLOCK=FILE"
        )
    return predicted_items(transfer.predictor, new.features)


def tell_benchmark(new: Benchmark, others: Sequence[Benchmark], draws: int = DRAWS) -> Result:
    """Tell all of a benchmark from others.

    Raises:
        InputError: features are missing, or have nothing in common.
    """
    transfer = fit_transfer(others)
    items = transferred_items(transfer, new)
    first, oracle = transfer.first, fit_oracle(new)
    agents, n = new.seen.shape
    one, mean, sd = any_item(first.bank)
    population = np.exp(first.bank.population.log_weights(first.nodes))[None]
    rows = np.arange(n)
    assert new.features is not None
    hard = transfer.predictor.difficulty.predict(new.features)
    wide = np.hypot(hard.sd, LEVEL_SD)
    said = placed(rows, hard.mean, wide, oracle.difficulty)
    nothing = placed(
        rows, np.full(n, mean), np.full(n, float(np.hypot(sd, LEVEL_SD))), oracle.difficulty
    )

    def told(of: Sequence[Item], weights: Array, where: Placed) -> Forecast:
        passing = first.passing([_at_any_level(item) for item in of], weights)
        return Forecast(np.broadcast_to(passing, (agents, n)), where)

    found = {
        "nothing": told([one], population, nothing),
        "predictor": told(items, population, said),
    }
    if not lacks_parts(first.bank):
        responses = new.responses
        parts = tuple(map(Parts, responses.llm, responses.scaffold, responses.date))
        priors = [chosen.prior for chosen in choose_priors("auto", first.bank, parts)]
        weights = np.exp([prior.log_weights(first.nodes) for prior in priors])
        found["parts"] = told([one], weights, nothing)
        found["predictor and parts"] = told(items, weights, said)
    found["oracle"] = Forecast(oracle.passing)
    folds = (Fold(new.name, np.zeros_like(new.seen), new.seen),)
    cells = told_cells(new.counts, folds, 1, draws)
    main = "predictor and parts" if "parts" in found else "predictor"
    methods, differences = measure({k: [v] for k, v in found.items()}, folds, cells, main)
    names = ", ".join(other.name for other in others)
    blocks = [column.block for column in new.features.columns]
    return Result(
        protocol="benchmark",
        benchmark=new.name,
        source=new.responses.source,
        sha256=new.responses.sha256,
        agents=agents,
        items=n,
        attempts=int(cells.counts.sum()),
        folds=(f"from {names}",),
        unit="items",
        blocks=tuple((name, blocks.count(name)) for name in dict.fromkeys(blocks)),
        main=main,
        methods=methods,
        differences=differences,
        notes=(
            f"The level of the benchmark is not known: it is taken to be that of {names} within an "
            f"sd of {LEVEL_SD:g}, so that intervals of difficulty are wide.",
        ),
    )


def _at_any_level(item: Item) -> Item:
    """With the level of the benchmark left open."""
    assert item.covariance is not None
    slope = item.slopes[0]
    (aa, ad), (da, dd) = item.covariance
    return replace(item, covariance=((aa, ad), (da, dd + (slope * LEVEL_SD) ** 2)))
