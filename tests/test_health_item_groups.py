"""Groups of items that tell less than the others."""

import numpy as np
import pytest

from harness.health.evidence import About, Evidence, gather
from harness.health.items.item_groups import ItemGroups, analyse_item_groups
from harness.health.items.slopes import analyse_slopes
from harness.irt import Array
from harness.responses import from_matrix


def outcomes(seed: int, careless: Array, agents: int = 60) -> Array:
    """Half of the verdicts on the careless items are tosses of a coin."""
    rng = np.random.default_rng(seed)
    n = len(careless)
    slope, b = rng.lognormal(0.7, 0.35, n), rng.normal(0.2, 1.2, n)
    ahead = slope * (rng.normal(size=(agents, 1)) - b)
    right = rng.random((agents, n)) < 1 / (1 + np.exp(-ahead))
    tossed = careless & (rng.random((agents, n)) < 0.5)
    return np.where(tossed, rng.random((agents, n)) < 0.5, right).astype(float)


def looked_at(right: Array, value_of: list[str]) -> tuple[Evidence, ItemGroups]:
    tags = {f"item{i}": {"grader": value} for i, value in enumerate(value_of)}
    found = gather(from_matrix(right), about=About({}, tags))
    return found, analyse_item_groups(found, analyse_slopes(found))


def test_a_careless_grader_is_found_and_no_other_group() -> None:
    graders = [f"g{i % 8}" for i in range(96)]
    careless = np.array([g == "g3" for g in graders])
    hits = 0
    for seed in range(4):
        _, found = looked_at(outcomes(seed, careless), graders)
        names = [flag.names[0] for flag in found.flags]
        assert set(names) <= {"grader=g3"}
        hits += names == ["grader=g3"]
    assert hits >= 3


def test_random_groups_have_uniform_p_values() -> None:
    p = []
    for seed in range(6):
        graders = [f"g{i}" for i in np.random.default_rng(seed).integers(0, 6, 72)]
        _, found = looked_at(outcomes(seed, np.zeros(72, bool)), graders)
        assert not found.flags
        p += [group.p for group in found.groups]
    assert len(p) == 36
    assert 0.3 < np.mean(p) < 0.7


def test_small_groups_and_items_without_a_value_stay_out() -> None:
    graders = ["a"] * 3 + ["b"] * 5 + [""] * 12
    _, found = looked_at(outcomes(0, np.zeros(20, bool)), graders)
    assert [group.value for group in found.groups] == ["b"]
    assert set(found.groups[0].items) <= {f"item{i}" for i in range(3, 8)}


@pytest.mark.parametrize("agents", [2, 3, 5])
def test_constant_scores_and_no_attributes_are_survived(agents: int) -> None:
    found = gather(from_matrix(np.ones((agents, 10))))
    assert "no attribute" in analyse_item_groups(found, analyse_slopes(found)).cautions[0]
    tags = {f"item{i}": {"grader": "ab"[i % 2]} for i in range(10)}
    found = gather(from_matrix(np.ones((agents, 10))), about=About({}, tags))
    assert analyse_item_groups(found, analyse_slopes(found)).flags == ()
