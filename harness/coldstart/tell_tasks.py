"""New tasks: no agent has tried them, and all are told of by what is known of other tasks."""

import numpy as np

from harness.coldstart.benchmark import Benchmark
from harness.coldstart.fits import (
    Known,
    Oracle,
    again,
    any_item,
    difficulties,
    fit_known,
    pass_rates,
)
from harness.coldstart.forecast import Forecast, placed
from harness.coldstart.splits import Fold
from harness.coldstart.strong import with_strengths
from harness.irt import Array
from harness.predict.predictor import Predictor, fit_predictor, predicted_items, predictor_of
from harness.regression import Features, learn_coding


def tell_tasks(benchmark: Benchmark, fold: Fold, oracle: Oracle) -> dict[str, Forecast]:
    """All methods on one fold; its new items are those without a known cell."""
    known = fold.known.any(axis=0)
    new = np.flatnonzero(~known)
    names = benchmark.responses.items
    new_names = [names[i] for i in new]
    train = benchmark.within(fold.known).subset(items=[names[i] for i in np.flatnonzero(known)])

    def told(passing: Array) -> Array:
        everywhere = np.full(benchmark.seen.shape, np.nan)
        everywhere[:, new] = passing
        return everywhere

    def predicted(one: Known, predictor: Predictor, features: Features) -> Forecast:
        rows = features.of(new_names)
        hard = predictor.difficulty.predict(rows)
        full = oracle.one_slope if predictor.model == "1pl" else oracle.difficulty
        return Forecast(
            told(one.passing(predicted_items(predictor, rows))),
            placed(new, hard.mean, hard.sd, full),
        )

    rasch = fit_known(train, "1pl")
    item, mean, sd = any_item(rasch.bank)
    alike = np.ones(len(new))
    found = {
        "agent mean": Forecast(told(pass_rates(train, axis=1)[:, None])),
        "ability only": Forecast(
            told(rasch.passing([item])), placed(new, mean * alike, sd * alike, oracle.one_slope)
        ),
    }
    features = benchmark.features
    if features is not None:
        block = features.blocks[0]
        ridge = _ridge(rasch, features.only([block]), new_names)
        found[f"ridge on {block}"] = Forecast(told(ridge))
        found["two-stage 1PL"] = predicted(rasch, fit_predictor(rasch.bank, features), features)
        joint = fit_known(train, "1pl", features)
        predictor = predictor_of(joint.fit)
        items = predicted_items(predictor, features.of(new_names))
        average = np.exp(joint.bank.population.log_weights(joint.nodes))
        found["difficulty only"] = Forecast(told(joint.passing(items, average[None])))
        sloped = fit_known(train, "2pl", features)
        found["explained 2PL"] = predicted(sloped, predictor_of(sloped.fit), features)
        found["explained 1PL"] = predicted(joint, predictor, features)
        everywhere = told(joint.passing(items))
        place = {name: i for i, name in enumerate(names)}
        everywhere[:, [place[item.id] for item in joint.bank.items]] = joint.passing(
            joint.bank.items
        )
        found["with strengths"] = Forecast(
            with_strengths(everywhere, benchmark.responses, fold.known, features),
            found["explained 1PL"].difficulty,
        )
        for name, part in parts_of(features):
            found[name] = predicted(joint, again(predictor, part), part)
    return found | {"oracle": Forecast(oracle.passing)}


def parts_of(features: Features) -> list[tuple[str, Features]]:
    """Each block alone, and all blocks but one, with the names of these methods."""
    blocks = features.blocks
    if len(blocks) < 2:
        return []
    alone = [(f"only {one}", features.only([one])) for one in blocks]
    if len(blocks) == 2:
        # the rest of two is the other one alone
        return alone
    return alone + [
        (f"without {one}", features.only([other for other in blocks if other != one]))
        for one in blocks
    ]


def _ridge(rasch: Known, features: Features, new: list[str]) -> Array:
    """``(A, m)`` chances at the difficulties of a ridge regression, which count as known."""
    from scipy.special import expit
    from sklearn.linear_model import RidgeCV

    items = rasch.bank.items
    rows = features.of(item.id for item in items)
    coding = learn_coding(rows)
    fit = RidgeCV(alphas=np.logspace(-3, 4, 29))
    fit.fit(coding.design(rows).x[:, 1:], difficulties(items).value)
    hard = fit.predict(coding.design(features.of(new)).x[:, 1:])
    return np.asarray(expit(items[0].slopes[0] * (rasch.fit.ability - hard)))
