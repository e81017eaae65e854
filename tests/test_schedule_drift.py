"""Drift: what is true of any move between two checkpoints, and of spaces that it happens in."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.irt import Array
from harness.schedule.drift import Drift, cells, make_move, slopes, walk
from harness.schedule.space import make_spaces

SIZE = 41
SPACING = 10 / (SIZE - 1)
ITEM = Item("i", "2pl", (1.0,), (0.0,))

drifts = st.builds(
    Drift,
    unit=st.integers(1, 1000),
    trend=st.booleans(),
    jump_rate=st.sampled_from([0.0, 0.03, 0.5]),
    slope_walk=st.sampled_from([0.0, 0.02]),
)
gaps = st.integers(1, 100_000)


def quiet(**changes: object) -> Drift:
    """One sd, and nothing that jumps."""
    return replace(Drift(), **{"sds": (0.1,), "weights": (1.0,), "jump_rate": 0.0, **changes})  # type: ignore[arg-type]


def moments(kernel: Array, spacing: float = SPACING) -> tuple[float, float]:
    """Mean and variance of the step from the node in the middle."""
    middle = len(kernel) // 2
    step = (np.arange(len(kernel)) - middle) * spacing
    mean = float(kernel[middle] @ step)
    return mean, float(kernel[middle] @ step**2) - mean**2


@given(drift=drifts, gap=gaps, jump=st.booleans(), abilities=st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_a_move_loses_no_mass(drift: Drift, gap: int, jump: bool, abilities: int) -> None:
    if abilities == 2:
        drift = replace(drift, trend=False)
    size = 21 if abilities == 2 else SIZE
    move = make_move(drift, gap, jump, abilities, 10 / (size - 1), size)
    for kernel in (move.alone, move.marginal, move.turning):
        assert np.isfinite(kernel).all()
        assert kernel.min() >= 0
        np.testing.assert_allclose(kernel.sum(axis=-1), 1.0, rtol=1e-9)
    shape = (3, len(cells(drift, abilities)), len(slopes(drift)), *(size,) * abilities)
    p = np.random.default_rng(0).random(shape)
    moved = move.forward(p)
    assert moved.shape == p.shape
    keep = (0, 1)  # mass may pass from slope to slope, but not from cell to cell
    others = tuple(i for i in range(p.ndim) if i not in keep)
    np.testing.assert_allclose(moved.sum(axis=others), p.sum(axis=others), rtol=1e-9, atol=1e-15)


@given(drift=drifts, gap=gaps, abilities=st.sampled_from([1, 2]), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_backward_is_the_adjoint_of_forward(
    drift: Drift, gap: int, abilities: int, seed: int
) -> None:
    if abilities == 2:
        drift = replace(drift, trend=False)
    size = 15 if abilities == 2 else SIZE
    move = make_move(drift, gap, False, abilities, 10 / (size - 1), size)
    rng = np.random.default_rng(seed)
    shape = (len(cells(drift, abilities)), len(slopes(drift)), *(size,) * abilities)
    p, message = rng.random(shape), rng.random(shape)
    forward = (move.forward(p) * message).sum()
    assert forward == pytest.approx((p * move.backward(message)).sum(), rel=1e-9)
    np.testing.assert_allclose(move.backward(np.ones(shape)), 1.0, rtol=1e-9)


def test_several_beliefs_at_once_move_as_each_by_itself() -> None:
    rng = np.random.default_rng(3)
    for drift, abilities in ((Drift(trend=True), 1), (Drift(), 2)):
        move = make_move(drift, 2, False, abilities, 0.5, 21)
        p = rng.random((4, len(cells(drift, abilities)), len(slopes(drift)), *(21,) * abilities))
        one_by_one = np.stack([move.forward(each) for each in p])
        np.testing.assert_allclose(move.forward(p), one_by_one, rtol=1e-12, atol=1e-15)


@given(sd=st.floats(0.001, 0.3), units=st.integers(1, 8))
def test_the_variance_of_a_walk_is_exact_however_small(sd: float, units: int) -> None:
    move = make_move(quiet(sds=(sd,)), units, False, 1, SPACING, SIZE)
    mean, variance = moments(move.alone[0, 0])
    assert mean == pytest.approx(0, abs=1e-12)
    assert variance == pytest.approx(sd**2 * units, rel=1e-5)


def test_two_short_moves_are_one_long_one() -> None:
    def kernel(gap: int, drift: Drift) -> Array:
        return np.asarray(make_move(drift, gap, False, 1, SPACING, SIZE).alone[0, 0])

    far_from_edges = slice(SIZE // 2 - 4, SIZE // 2 + 5)
    walks = quiet(unit=100)
    twice = kernel(300, walks) @ kernel(700, walks)
    np.testing.assert_allclose(
        twice[far_from_edges], kernel(1000, walks)[far_from_edges], atol=1e-10
    )
    # a jump counts once in a move, so that two short moves may hold one more
    jumps = quiet(unit=1000, jump_rate=0.03)
    twice = kernel(300, jumps) @ kernel(700, jumps)
    np.testing.assert_allclose(
        twice[far_from_edges], kernel(1000, jumps)[far_from_edges], atol=1e-3
    )


@given(gap=st.integers(1, 4), walk_sd=st.floats(0.15, 0.3))
def test_a_slope_moves_the_mean_by_itself_times_the_gap(gap: int, walk_sd: float) -> None:
    drift = quiet(trend=True, slope_sd=0.1, slope_walk=0.0, sds=(walk_sd,))
    move = make_move(drift, gap, False, 1, SPACING, SIZE)
    for kernel, slope in zip(move.alone[0], slopes(drift), strict=True):
        mean, variance = moments(kernel)
        assert mean == pytest.approx(slope * gap, abs=1e-4)
        # the two nodes beside a shift spread by a quarter of the square of their distance at most
        exact = walk_sd**2 * gap
        assert exact - 1e-4 <= variance <= max(exact, SPACING**2 / 4) + 1e-4


@given(correlation=st.floats(-0.9, 0.9), sd=st.floats(0.05, 0.3))
@settings(max_examples=20)
def test_increments_of_two_abilities_have_the_correlation_of_their_cell(
    correlation: float, sd: float
) -> None:
    drift = quiet(sds=(sd,), correlations=(correlation,))
    move = make_move(drift, 3, False, 2, SPACING, SIZE)
    p = np.zeros((1, 1, SIZE, SIZE))
    p[0, 0, SIZE // 2, SIZE // 2] = 1
    after = move.forward(p)[0, 0]
    step = (np.arange(SIZE) - SIZE // 2) * SPACING
    variance = sd**2 * 3
    assert after.sum(axis=0) @ step**2 == pytest.approx(variance, rel=1e-4)
    assert after.sum(axis=1) @ step**2 == pytest.approx(variance, rel=1e-4)
    assert step @ after @ step == pytest.approx(correlation * variance, rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(after.sum(axis=0), move.marginal[0, 0, SIZE // 2], atol=1e-9)


def test_a_declared_jump_widens_and_an_undeclared_one_may_happen() -> None:
    def variance(jump: bool, rate: float) -> float:
        drift = quiet(jump_rate=rate, jump_sd=0.8)
        return moments(make_move(drift, 1, jump, 1, SPACING, SIZE).alone[0, 0])[1]

    assert variance(False, 0.1) == pytest.approx(0.01 + 0.1 * 0.64, rel=1e-4)
    assert variance(True, 0.1) == pytest.approx(0.01 + 0.64, rel=1e-4)
    assert variance(True, 0.0) == pytest.approx(0.01 + 0.64, rel=1e-4)


@pytest.mark.parametrize("abilities", [1, 2])
def test_after_any_number_of_steps_moves_are_finite(abilities: int) -> None:
    drift = Drift(trend=abilities == 1)
    for gap in (10**6, 10**12):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            move = make_move(drift, gap, False, abilities, 0.5, 21)
            shape = (len(cells(drift, abilities)), len(slopes(drift)), *(21,) * abilities)
            moved = move.forward(np.full(shape, 1.0))
        assert np.isfinite(moved).all()
        assert moved.sum() == pytest.approx(np.prod(shape))
    assert (np.diff(walk(1e15, 50)) <= 0).all()


def test_the_unit_is_what_lies_between_the_first_two_checkpoints_if_nobody_says() -> None:
    bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    (space,) = make_spaces([bank], Drift(unit=0), steps=[300, 800, 900])
    assert space.drift.unit == 500
    (space,) = make_spaces([bank], Drift(unit=7), steps=[300, 800, 900])
    assert space.drift.unit == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": -1},
        {"sds": (0.1, 0.2)},
        {"sds": (), "weights": ()},
        {"sds": (0.0,), "weights": (1.0,)},
        {"sds": (np.inf,), "weights": (1.0,)},
        {"slope_walk": -0.1},
        {"slope_walk": np.inf},
        {"jump_rate": 1.0},
        {"persistence": 1.0},
        {"persistence": -0.1},
        {"correlations": ()},
        {"correlations": (1.0,)},
    ],
)
def test_a_drift_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        replace(Drift(), **changes)  # type: ignore[arg-type]


def test_cells_and_priors_are_distributions() -> None:
    banks = [ItemBank("a", (ITEM,)), ItemBank("b", (ITEM,), mean=(1.0,), sd=(2.0,))]
    for drift, joint in ((Drift(), False), (Drift(trend=True), False), (Drift(), True)):
        for space in make_spaces(banks, drift, joint):
            assert sum(way.weight for way in space.cells) == pytest.approx(1)
            assert space.prior.sum() == pytest.approx(1)
            assert space.prior.ndim == 2 + len(space.scales)


def test_banks_that_cannot_go_together_are_refused() -> None:
    bank = ItemBank("a", (ITEM,))
    wide = ItemBank("w", (Item("i", "2pl", (1.0, 1.0), (0.0,)),), mean=(0.0, 0.0), sd=(1.0, 1.0))
    with pytest.raises(PlanError, match="at least one bank"):
        make_spaces([], Drift())
    with pytest.raises(PlanError, match="each of them once"):
        make_spaces([bank, bank], Drift())
    with pytest.raises(PlanError, match="one ability each"):
        make_spaces([wide], Drift())
    with pytest.raises(PlanError, match="two banks"):
        make_spaces([bank], Drift(), joint=True)
    with pytest.raises(PlanError, match="without a trend"):
        make_spaces([bank, replace(bank, name="b")], Drift(trend=True), joint=True)
    with pytest.raises(PlanError, match="not in this series"):
        make_spaces([bank], Drift())[0].axis("nobody")
