"""Calibration in which features explain items, and what it predicts of new ones."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from harness.bank import ItemBank
from harness.calibrate import Normal, Priors, calibrate
from harness.errors import BankError, InputError
from harness.irt import Array, Model
from harness.predict import (
    Predictor,
    calibrate_explained,
    fit_predictor,
    load_predictor,
    predicted_items,
    predictor_of,
    save_predictor,
)
from harness.regression import Column, Features
from harness.responses import Responses, from_matrix


class World:
    """Agents and tasks whose difficulty depends on two of three features."""

    def __init__(
        self, seed: int, agents: int, items: int, new: int = 0, categories: int = 2
    ) -> None:
        rng = np.random.default_rng(seed)
        n = items + new
        x = rng.normal(size=(n, 3))
        self.difficulty = 0.8 * x[:, 0] - 0.6 * x[:, 1] + rng.normal(0, 0.7, n)
        self.log_slope = 0.3 + 0.25 * x[:, 2] + rng.normal(0, 0.2, n)
        self.ability = rng.normal(size=agents)
        self.names = tuple(f"task{i}" for i in range(n))
        columns = tuple(Column(f"x{j}", "x", "number") for j in range(3))
        cells = tuple(tuple(map(float, row)) for row in x)
        self.features = Features(self.names, columns, cells)
        spacing = np.linspace(-0.8, 0.8, categories - 1) if categories > 2 else np.zeros(1)
        thresholds = self.difficulty[:, None] + spacing
        z = self.ability[:, None, None] - thresholds[None]
        reach = 1 / (1 + np.exp(-np.exp(self.log_slope)[:, None] * z))
        category = (rng.random((agents, n, 1)) < reach).sum(axis=2)
        self.items = items
        self.responses = from_matrix(
            category[:, :items], items=self.names[:items], n_categories=categories
        )

    @property
    def new(self) -> Features:
        return self.features.of(self.names[self.items :])


@cache
def found(model: Model = "2pl") -> tuple[World, Predictor, ItemBank, Array]:
    world = World(1, agents=60, items=120, new=200, categories=2 if model[-1] == "l" else 4)
    fit, predictor = calibrate_explained(world.responses, world.features, model, name="w")
    assert fit.converged
    return world, predictor, fit.bank, fit.ability


def difficulties(bank: ItemBank) -> Array:
    return np.array([np.mean(item.difficulties) for item in bank.items])


@pytest.mark.parametrize("model", ["2pl", "1pl", "grm", "gpcm"])
def test_new_tasks_are_predicted_with_true_intervals(model: Model) -> None:
    world, predictor, _, ability = found(model)
    # the scale is that of the agents at hand
    truth = (world.difficulty[world.items :] - world.ability.mean()) / world.ability.std()
    assert ability.mean() == pytest.approx(0, abs=0.02)
    predicted = predictor.difficulty.predict(world.new)
    assert np.corrcoef(predicted.mean, truth)[0, 1] > 0.7
    covered = (np.abs(truth - predicted.mean) < 1.645 * predicted.sd).mean()
    # 200 tasks: a standard error of .02
    assert 0.83 < covered < 0.97
    items = predicted_items(predictor, world.new)
    assert all(item.predicted and item.model == model for item in items)
    given = np.array([np.mean(item.difficulties) for item in items])
    assert given == pytest.approx(predicted.mean, abs=1e-4)
    ItemBank("new", items, {predictor.categories: predictor.labels})


def test_features_bring_items_nearer_to_the_truth_where_agents_are_few() -> None:
    better = []
    for seed in range(5):
        world = World(seed + 10, agents=15, items=60)
        plain = calibrate(world.responses, "2pl", name="plain").bank
        explained, _ = calibrate_explained(world.responses, world.features, name="explained")
        assert explained.converged
        # the scale of fifteen agents is not that of all agents: how well items are ordered is
        # free of it
        plainly, well = (
            np.corrcoef(difficulties(bank), world.difficulty)[0, 1]
            for bank in (plain, explained.bank)
        )
        better.append(well - plainly)
    assert np.mean(better) > 0.01
    assert np.mean(better) > 2 * np.std(better, ddof=1) / np.sqrt(len(better))


def test_a_calibrated_item_has_the_posterior_of_the_joint_model() -> None:
    """Against the dense normal of all difficulties at once, given what outcomes alone say."""
    _, predictor, bank, _ = found()
    fit = predictor.difficulty
    f = fit.fitted
    world = found()[0]
    x = fit.coding.design(world.features.of(f.names)).x
    tau = dict(fit.block_sd)["x"]
    prior = np.diag([1e3 * f.y.var(), *[tau**2 / 3] * 3])
    before = x @ prior @ x.T + fit.residual_sd**2 * np.eye(len(x))
    gain = before @ np.linalg.inv(before + np.diag(f.noise))
    mean = gain @ f.y
    order = [f.names.index(item.id) for item in bank.items]
    off = difficulties(bank) - mean[order]
    # real posteriors are skewed where outcomes say little, and slopes take part
    assert np.median(np.abs(off)) < 0.05
    assert np.sqrt(np.mean(off**2)) < 0.25 * np.sqrt(np.mean(f.noise))


def test_features_that_say_nothing_change_nothing_much() -> None:
    world = World(3, agents=60, items=100)
    rng = np.random.default_rng(4)
    columns = tuple(Column(f"z{j}", "z", "number") for j in range(5))
    cells = tuple(tuple(map(float, row)) for row in rng.normal(size=(100, 5)))
    noise = Features(world.names, columns, cells)
    plain = calibrate(world.responses, "2pl", name="plain").bank
    explained, predictor = calibrate_explained(world.responses, noise, name="noise")
    assert dict(predictor.difficulty.shares())["z"] < 0.1
    assert difficulties(explained.bank) == pytest.approx(difficulties(plain), abs=0.2)


def test_order_of_items_does_not_matter() -> None:
    world = World(5, agents=40, items=50)
    one, _ = calibrate_explained(world.responses, world.features, name="w")
    order = np.random.default_rng(0).permutation(50)
    turned = world.responses.subset(items=[world.names[k] for k in order])
    other, _ = calibrate_explained(turned, world.features, name="w")
    a = {item.id: item.difficulties[0] for item in one.bank.items}
    b = {item.id: item.difficulties[0] for item in other.bank.items}
    assert [b[name] for name in a] == pytest.approx(list(a.values()), abs=0.02)


def test_tasks_without_features_are_placed_by_their_outcomes() -> None:
    world = World(6, agents=50, items=60)
    some = world.features.of(world.names[:45])
    fit, predictor = calibrate_explained(world.responses, some, name="w")
    assert fit.converged
    value = difficulties(fit.bank)
    assert np.corrcoef(value[45:], world.difficulty[45:])[0, 1] > 0.9
    stranger = predictor.difficulty.predict(some.of(["never seen"]))
    assert stranger.sd[0] > predictor.difficulty.predict(some).sd.max()


def test_of_a_bank_that_is_there() -> None:
    world, joint, _, _ = found()
    plain = calibrate(world.responses, "2pl", name="plain").bank
    after = fit_predictor(plain, world.features)
    a, b = (p.difficulty.predict(world.new) for p in (joint, after))
    assert np.corrcoef(a.mean, b.mean)[0, 1] > 0.98
    assert np.sqrt(np.mean((a.mean - b.mean) ** 2)) < 0.2
    assert b.sd.mean() == pytest.approx(a.sd.mean(), rel=0.15)


def test_predicted_items_of_a_bank_are_not_learned_from() -> None:
    world, predictor, bank, _ = found()
    more = replace(bank, items=(*bank.items, *predicted_items(predictor, world.new)))
    again = fit_predictor(more, world.features)
    assert again.difficulty.n == len(bank.items)


def test_covariance_of_predicted_items_is_that_of_difficulty_and_slope() -> None:
    """By simulation: intercepts are a product, and the delta method takes it as linear."""
    world, predictor, _, _ = found()
    one = world.new.of(world.new.names[:1])
    item = predicted_items(predictor, one)[0]
    assert predictor.log_slope is not None
    hard, steep = predictor.difficulty.predict(one), predictor.log_slope.predict(one)
    rng = np.random.default_rng(0)
    log_a = rng.normal(steep.mean[0], steep.sd[0], 200_000)
    d = -np.exp(log_a) * rng.normal(hard.mean[0], hard.sd[0], 200_000)
    covariance = np.array(item.covariance)
    assert covariance[0, 0] == pytest.approx(log_a.var(), rel=0.02)
    assert covariance[0, 1] == pytest.approx(np.cov(log_a, d)[0, 1], abs=0.03)
    assert covariance[1, 1] == pytest.approx(d.var(), rel=0.25)


def test_common_error_is_less_than_all_and_shrinks_with_data() -> None:
    small = World(7, agents=40, items=30, new=40)
    _, few = calibrate_explained(small.responses, small.features, name="few")
    world, many, _, _ = found()
    for predictor, new in ((few, small.new), (many, world.new)):
        common = predictor.common_sd(new)
        assert 0 < common < predictor.difficulty.predict(new).effects_sd.mean()
    assert many.common_sd(world.new) < few.common_sd(small.new)


def test_saved_and_read_again(tmp_path: Path) -> None:
    world, predictor, _, _ = found("grm")
    save_predictor(predictor, tmp_path)
    again = load_predictor(tmp_path)
    pairs = zip(
        predicted_items(again, world.new), predicted_items(predictor, world.new), strict=True
    )
    for one, other in pairs:
        assert (one.id, one.model, one.categories) == (other.id, other.model, other.categories)
        assert one.intercepts == pytest.approx(other.intercepts, rel=1e-4)
        assert np.array(one.covariance) == pytest.approx(np.array(other.covariance), rel=1e-4)
    assert (again.bank, again.labels) == (predictor.bank, predictor.labels)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BankError, match=r"has no predictor\.json: give features"):
        load_predictor(tmp_path)
    path = save_predictor(found()[1], tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(BankError, match="its format is 99, not 1"):
        load_predictor(tmp_path)
    path.write_text(path.read_text()[:50])
    with pytest.raises(BankError, match="make it anew"):
        load_predictor(tmp_path)


def fitting(responses: Responses, **options: object) -> None:
    calibrate(responses, "2pl", name="w", **options)  # type: ignore[arg-type]


def test_what_features_cannot_explain() -> None:
    world = World(8, agents=30, items=30)
    features = world.features
    with pytest.raises(InputError, match="one ability"):
        fitting(world.responses, features=features, abilities=2)
    with pytest.raises(InputError, match="priors are estimated"):
        fitting(world.responses, features=features, priors=Priors(d=Normal(0, 2)))
    few = world.responses.subset(agents=world.responses.agents[:3])
    with pytest.raises(InputError, match="at least five agents"):
        fitting(few, features=features)
    with pytest.raises(InputError, match="given no features"):
        predictor_of(calibrate(world.responses, "2pl", name="w"))
    with pytest.raises(InputError, match="3pl items, whose asymptotes"):
        calibrate_explained(world.responses, features, "3pl", name="w")
    bank = calibrate(world.responses, "2pl", name="w").bank
    with pytest.raises(InputError, match="none of the 1 tasks with features is an item"):
        fit_predictor(bank, Features(("other",), features.columns, features.cells[:1]))
