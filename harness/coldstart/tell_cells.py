"""New responses: some cells of agents and items whose other cells are known."""

from dataclasses import replace

import numpy as np

from harness.bank import Item
from harness.coldstart.benchmark import Benchmark
from harness.coldstart.fits import Known, Oracle, any_item, fit_known, pass_rates
from harness.coldstart.forecast import Forecast
from harness.coldstart.splits import Fold
from harness.coldstart.strong import with_strengths
from harness.irt import Array
from harness.predict.predictor import predicted_items, predictor_of


def tell_cells(benchmark: Benchmark, fold: Fold, oracle: Oracle) -> dict[str, Forecast]:
    """All methods on one fold."""
    train = benchmark.within(fold.known)
    shape = benchmark.seen.shape
    rasch, birnbaum = fit_known(train, "1pl"), fit_known(train, "2pl")
    item, _, _ = any_item(rasch.bank)
    average = np.exp(rasch.bank.population.log_weights(rasch.nodes))[None]

    def filled(passing: Array) -> Forecast:
        return Forecast(np.broadcast_to(passing, shape))

    found = {
        "item mean": filled(pass_rates(train, axis=0)),
        "agent mean": filled(pass_rates(train, axis=1)[:, None]),
        "ability only": filled(rasch.passing([item])),
        "difficulty only": filled(rasch.passing(all_items(rasch, benchmark), average)),
        "1PL": filled(rasch.passing(all_items(rasch, benchmark))),
        "2PL": filled(birnbaum.passing(all_items(birnbaum, benchmark))),
    }
    if benchmark.features is not None:
        joint = fit_known(train, "2pl", benchmark.features)
        passing = joint.passing(all_items(joint, benchmark))
        found["explained 2PL"] = filled(passing)
        found["with strengths"] = filled(
            with_strengths(passing, benchmark.responses, fold.known, benchmark.features)
        )
    return found | {"oracle": Forecast(oracle.passing)}


def all_items(known: Known, benchmark: Benchmark) -> list[Item]:
    """Every item of a benchmark; one without a known outcome as its features have it, or else as
    any other."""
    names = benchmark.responses.items
    placed = {item.id: item for item in known.bank.items}
    lost = [name for name in names if name not in placed]
    if known.fit.explained is not None and benchmark.features is not None and lost:
        rows = benchmark.features.of(lost)
        placed |= {item.id: item for item in predicted_items(predictor_of(known.fit), rows)}
    elsewhere, _, _ = any_item(known.bank)
    return [placed.get(name) or replace(elsewhere, id=name) for name in names]
