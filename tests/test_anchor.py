"""Keeping a scale: anchored calibration, drift of anchors, updates from adaptive sessions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.bank import ItemBank
from harness.batch import administer
from harness.calibrate import calibrate
from harness.calibrate.anchor import find_drift, updated_bank
from harness.errors import InputError, ResponsesError
from harness.events import Plan
from harness.responses import Responses, from_matrix

Floats = NDArray[np.float64]


class World:
    """Sixty items of known parameters, of which the first forty are in the bank."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.a = np.exp(rng.normal(0.2, 0.4, 60))
        self.d = -self.a * rng.normal(0, 1.2, 60)
        first = rng.standard_normal(100)
        self.mean, self.sd = first.mean(), first.std()
        self.bank = calibrate(self.outcomes(first, range(40)), "2pl", name="base").bank

    def draw(self, ability: Floats, d: Floats | None = None) -> NDArray[np.intp]:
        z = self.a * ability[:, None] + (self.d if d is None else d)
        return np.asarray(self.rng.random(z.shape) < 1 / (1 + np.exp(-z)), np.intp)

    def outcomes(self, ability: Floats, which: range, d: Floats | None = None) -> Responses:
        return from_matrix(
            self.draw(ability, d)[:, list(which)],
            items=[f"i{k}" for k in which],
            n_categories=2,
        )

    def truth(self, bank: ItemBank) -> Floats:
        """``(n, 2)`` log slopes and intercepts on the bank's scale."""
        k = [int(item.id[1:]) for item in bank.items]
        return np.column_stack([np.log(self.a[k] * self.sd), self.d[k] + self.a[k] * self.mean])


def parameters(bank: ItemBank) -> Floats:
    return np.array([[np.log(item.slopes[0]), item.intercepts[0]] for item in bank.items])


def variances(bank: ItemBank) -> Floats:
    return np.array([np.diag(np.array(item.covariance)) for item in bank.items])


def test_new_items_come_onto_the_scale_of_the_bank() -> None:
    """A population with another mean and spread; ten seeds.

    Over twenty seeds 90% intervals of new items held 82% of log slopes and 85% of intercepts.

    Without anchors, new agents a standard deviation apart would shift the scale by as much.
    """
    errors, shifts = [], []
    for seed in range(10):
        world = World(seed)
        ability = 1.0 + 0.7 * world.rng.standard_normal(80)
        fit = calibrate(world.outcomes(ability, range(20, 60)), "2pl", name="x", anchors=world.bank)
        assert fit.converged
        bank = updated_bank(world.bank, fit.bank)
        assert [item.id for item in bank.items] == [f"i{k}" for k in range(60)]
        off = (parameters(bank) - world.truth(bank)) / np.sqrt(variances(bank))
        errors.append(off[40:])
        true_mean = (ability.mean() - world.mean) / world.sd
        mean, error = fit.population["mean all"]
        shifts.append((mean - true_mean) / error)
    inside = (np.abs(np.concatenate(errors)) < 1.645).mean(axis=0)
    assert (inside > 0.75).all()
    assert np.abs(shifts).max() < 3
    assert np.abs(np.mean(shifts)) < 1


def test_held_anchors_do_not_move() -> None:
    world = World(1)
    ability = world.rng.standard_normal(50)
    fit = calibrate(
        world.outcomes(ability, range(20, 60)),
        "2pl",
        name="x",
        anchors=world.bank,
        hold_anchors=True,
    )
    held = {item.id: item for item in fit.bank.items}
    for item in world.bank.items[20:]:
        np.testing.assert_allclose(held[item.id].slopes, item.slopes, rtol=1e-4)
        np.testing.assert_allclose(held[item.id].intercepts, item.intercepts, atol=1e-4)


def test_drifted_anchors_are_found_and_others_are_not() -> None:
    found, false = 0, 0
    for seed in range(6):
        world = World(seed)
        changed = world.d.copy()
        changed[5] += 2.5
        outcomes = world.outcomes(world.rng.standard_normal(100), range(40), changed)
        drift = [one.item for one in find_drift(outcomes, world.bank) if one.drifted]
        found += "i5" in drift
        false += len([item for item in drift if item != "i5"])
    assert found >= 5
    # 234 anchors kept their parameters
    assert false <= 4


def test_nothing_in_common_with_the_bank_is_refused() -> None:
    world = World(2)
    outcomes = world.outcomes(world.rng.standard_normal(20), range(40, 60))
    with pytest.raises(ResponsesError, match="no item of bank 'base' is among its items"):
        calibrate(outcomes, "2pl", name="x", anchors=world.bank)
    both = world.outcomes(world.rng.standard_normal(20), range(60))
    with pytest.raises(InputError, match="has 1 abilities, the new items 2"):
        calibrate(both, "2pl", name="x", anchors=world.bank, abilities=2)


def test_adaptive_sessions_update_a_bank_without_bias() -> None:
    """Two hundred sessions of fifteen items each, chosen by what was answered before.

    What is missing depends on answers that are in the likelihood, so no correction is needed. Four
    seeds; the standard error of a mean error over 160 items is about .03.
    """
    before, after, bias = [], [], []
    for seed in range(4):
        world = World(seed)
        bank = world.bank
        ability = 0.5 + world.rng.standard_normal(200)
        all_outcomes = world.draw(ability)[:, :40]
        for step in administer(bank.table, Plan(), all_outcomes):
            answers = step.progress.view.answers.copy()
            if step.round == 15:
                break
        assert (answers >= 0).sum() == 200 * 15
        logged = from_matrix(answers, items=[item.id for item in bank.items], n_categories=2)
        fit = calibrate(logged, "2pl", name="x", anchors=bank)
        new = updated_bank(bank, fit.bank)
        truth = world.truth(bank)
        before.append(parameters(bank) - truth)
        after.append(parameters(new) - truth)
        bias.append((ability.mean() - world.mean) / world.sd - fit.population["mean all"][0])
    rmse = [np.sqrt((np.concatenate(errors) ** 2).mean(axis=0)) for errors in (before, after)]
    assert (rmse[1] < 0.95 * rmse[0]).all()
    assert (np.abs(np.concatenate(after).mean(axis=0)) < 0.1).all()
    assert abs(np.mean(bias)) < 0.15
