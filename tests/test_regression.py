"""Regression with a variance for each block: dense formulas, simulations, properties."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.stats import multivariate_normal

from harness.errors import InputError
from harness.irt import Array
from harness.regression import (
    Column,
    Features,
    Regression,
    from_dict,
    learn_coding,
    regress,
    to_dict,
)
from harness.regression.evidence import Evidence
from harness.regression.fit import regression_at
from harness.regression.table import Cell, Kind

KINDS: st.SearchStrategy[Kind] = st.sampled_from(["number", "category"])


def table(x: Array, block: str = "x", first: int = 0) -> Features:
    columns = tuple(Column(f"{block}{j}", block, "number") for j in range(x.shape[1]))
    names = tuple(f"row{i + first}" for i in range(len(x)))
    return Features(names, columns, tuple(tuple(map(float, row)) for row in x))


@st.composite
def tables(draw: st.DrawFn) -> Features:
    """Tables of two blocks with numbers, categories and unknown cells."""
    n = draw(st.integers(8, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns, cells = [], []
    values: list[Cell]
    for j in range(draw(st.integers(1, 5))):
        kind: Kind = draw(KINDS)
        columns.append(Column(f"c{j}", f"block{j % 2}", kind))
        if kind == "number":
            values = [float(x) for x in rng.normal(3, 2, n)]
        else:
            values = [f"level{k}" for k in rng.integers(0, 3, n)]
        unknown = rng.random(n) < draw(st.sampled_from([0.0, 0.3]))
        cells.append([None if u else v for u, v in zip(unknown, values, strict=True)])
    rows = tuple(zip(*cells, strict=True))
    return Features(tuple(f"row{i}" for i in range(n)), tuple(columns), rows)


def evidence_of(features: Features, seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    coding = learn_coding(features)
    n = len(features.names)
    return Evidence(coding, coding.design(features), rng.normal(1, 2, n), rng.uniform(0, 1, n))


def dense(evidence: Evidence, log_variance: Array) -> Array:
    """The covariance of what is observed, written out."""
    found = evidence.at(log_variance)
    x = evidence.design.x
    return np.asarray(x @ np.diag(found.prior) @ x.T + np.diag(found.own))


@given(tables(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_evidence_is_the_density_of_a_multivariate_normal(features: Features, seed: int) -> None:
    evidence = evidence_of(features, seed)
    rng = np.random.default_rng(seed)
    log_variance = rng.normal(0, 1, len(evidence.coding.blocks) + 1)
    covariance = dense(evidence, log_variance)
    wanted = multivariate_normal(np.zeros(len(covariance)), covariance).logpdf(evidence.y)
    assert evidence.at(log_variance).value == pytest.approx(wanted, rel=1e-7)


@given(tables(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_gradient_of_the_evidence(features: Features, seed: int) -> None:
    evidence = evidence_of(features, seed)
    at = np.random.default_rng(seed).normal(0, 1, len(evidence.coding.blocks) + 1)

    def value(v: Array) -> float:
        return evidence.at(v).value

    def gradient(v: Array) -> Array:
        return evidence.at(v).gradient

    off = check_grad(value, gradient, at)
    assert off < 1e-4


@given(tables(), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_left_out_rows_are_predicted_from_the_others(features: Features, seed: int) -> None:
    evidence = evidence_of(features, seed)
    log_variance = np.zeros(len(evidence.coding.blocks) + 1)
    fit = regression_at(evidence, features.names, log_variance)
    covariance = dense(evidence, log_variance)
    for row in range(len(evidence.y)):
        others = np.delete(np.arange(len(evidence.y)), row)
        inverse = np.linalg.inv(covariance[np.ix_(others, others)])
        weights = covariance[row, others] @ inverse
        assert fit.fitted.mean[row] == pytest.approx(weights @ evidence.y[others], abs=1e-5)
        variance = covariance[row, row] - weights @ covariance[others, row]
        assert fit.fitted.sd[row] ** 2 == pytest.approx(variance - evidence.noise[row], rel=1e-5)


@given(tables(), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_contributions_sum_to_the_prediction(features: Features, seed: int) -> None:
    evidence = evidence_of(features, seed)
    log_variance = np.zeros(len(evidence.coding.blocks) + 1)
    fit = regression_at(evidence, features.names, log_variance)
    parts = fit.contributions(features)
    assert fit.weights[0] + parts.mean.sum(axis=1) == pytest.approx(fit.predict(features).mean)


def simulated(rng: np.random.Generator, n: int) -> tuple[Features, Features, Array, Array, Array]:
    """Old and new rows, and what is true of both: three numbers, and a category of eight levels."""
    x = rng.normal(size=(2 * n, 3))
    level = rng.integers(0, 8, 2 * n)
    effect = rng.normal(0, 0.6, 8)
    truth = 0.5 + x @ rng.normal(0, 0.5, 3) + effect[level] + rng.normal(0, 0.7, 2 * n)
    noise = rng.uniform(0.0, 0.4, n)
    columns = (*table(x).columns, Column("topic", "topic", "category"))
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (*map(float, row), f"t{k}") for row, k in zip(x, level, strict=True)
    )
    names = tuple(f"row{i}" for i in range(2 * n))
    features = Features(names, columns, cells)
    y = truth[:n] + rng.normal(0, np.sqrt(noise))
    return features.of(names[:n]), features.of(names[n:]), y, noise, truth[n:]


def test_intervals_of_new_rows_cover() -> None:
    rng = np.random.default_rng(5)
    covered: list[float] = []
    for _ in range(60):
        old, new, y, noise, truth = simulated(rng, 60)
        found = regress(old, y, noise).predict(new)
        covered.append(float((np.abs(truth - found.mean) < 1.645 * found.sd).mean()))
    # 60 × 60 rows; the spread over repetitions makes the standard error about .007
    assert 0.87 < np.mean(covered) < 0.93


def test_left_out_predictions_are_as_good_as_those_of_new_rows() -> None:
    rng = np.random.default_rng(6)
    inside, outside = [], []
    for _ in range(30):
        old, new, y, noise, truth = simulated(rng, 80)
        fit = regress(old, y, noise)
        off = fit.left_out().mean - y
        inside.append(np.mean(off**2 - noise))
        outside.append(np.mean((fit.predict(new).mean - truth) ** 2))
    # a little better, as they had a part in learning the variances
    assert 0.8 < np.mean(inside) / np.mean(outside) < 1.05


def test_variances_are_recovered() -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(20):
        old, _, y, noise, _ = simulated(rng, 300)
        found.append(regress(old, y, noise).residual_sd)
    assert np.mean(found) == pytest.approx(0.7, abs=0.03)


def test_a_useless_block_gets_little() -> None:
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=(200, 3)), rng.normal(size=(200, 10))
    y = x @ np.array([0.7, 0.5, -0.6]) + rng.normal(0, 0.5, 200)
    fit = regress(table(x).beside(table(z, "noise")), y, np.zeros(200))
    shares = dict(fit.shares())
    assert shares["noise"] < 0.05 < 0.5 < shares["x"]


def fitted() -> tuple[Regression, Features]:
    old, new, y, noise, _ = simulated(np.random.default_rng(9), 50)
    return regress(old, y, noise), new


def test_unknown_cells_widen_and_do_not_move_the_rest() -> None:
    fit, new = fitted()
    blank = replace(new, cells=tuple((None, *row[1:]) for row in new.cells))
    known, unknown = fit.predict(new), fit.predict(blank)
    moved = fit.contributions(new).mean[:, 0]
    assert unknown.mean == pytest.approx(known.mean - moved)
    nothing = fit.predict(new.of(["stranger"]))
    assert nothing.mean[0] == pytest.approx(fit.weights[0])
    assert nothing.sd[0] > known.sd.max()
    assert fit.contributions(blank).mean[:, 0] == pytest.approx(0)


def test_a_level_nobody_has_seen_is_a_draw_from_its_block() -> None:
    fit, new = fitted()
    row = new.cells[0]
    strange = replace(new, names=("s",), cells=((*row[:3], "another topic"),))
    blank = replace(new, names=("s",), cells=((*row[:3], None),))
    assert fit.predict(strange).sd == pytest.approx(fit.predict(blank).sd)
    assert fit.predict(strange).sd[0] > fit.predict(new).sd[0]


@given(st.floats(-50, 50), st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_units_of_a_feature_do_not_matter(shift: float, scale: float) -> None:
    rng = np.random.default_rng(10)
    x = rng.normal(size=(40, 2))
    y = x[:, 0] + rng.normal(0, 1, 40)
    one = regress(table(x), y, np.full(40, 0.1)).predict(table(x))
    other = regress(table(shift + scale * x), y, np.full(40, 0.1)).predict(table(shift + scale * x))
    assert other.mean == pytest.approx(one.mean, abs=1e-4)
    assert other.sd == pytest.approx(one.sd, abs=1e-4)


@given(st.permutations(range(30)))
@settings(max_examples=15, deadline=None)
def test_order_of_rows_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(11)
    features = table(rng.normal(size=(30, 3)))
    y = rng.normal(size=30)
    one = regress(features, y, np.full(30, 0.2))
    shuffled = features.of(features.names[k] for k in order)
    other = regress(shuffled, y[order], np.full(30, 0.2))
    assert other.predict(features).mean == pytest.approx(one.predict(features).mean, abs=1e-5)


@given(st.sampled_from([-2.0, 0.5, 3.0]))
def test_times_is_a_regression_of_a_multiple(factor: float) -> None:
    fit, new = fitted()
    other = fit.times(factor)
    assert other.predict(new).mean == pytest.approx(factor * fit.predict(new).mean)
    assert other.predict(new).sd == pytest.approx(abs(factor) * fit.predict(new).sd)
    assert other.left_out().effects_sd == pytest.approx(abs(factor) * fit.left_out().effects_sd)
    assert dict(other.shares()) == pytest.approx(dict(fit.shares()))


def test_json_round_trip() -> None:
    fit, new = fitted()
    again = from_dict(json.loads(json.dumps(to_dict(fit))))
    assert again.predict(new).mean.tolist() == fit.predict(new).mean.tolist()
    assert again.predict(new).sd.tolist() == fit.predict(new).sd.tolist()
    assert again.left_out().sd.tolist() == fit.left_out().sd.tolist()
    assert again.coding.codes == fit.coding.codes
    assert again.shares() == fit.shares()


def test_what_says_nothing_is_left_out_and_said() -> None:
    numbers = ("a", "twice", "mirror", "same")
    columns = (
        *(Column(name, "x", "number") for name in numbers),
        Column("id", "x", "category"),
        Column("blank", "x", "number"),
    )
    values = [0.0, 1.0, 3.0, 4.0, 9.0]
    cells = tuple((v, 2 * v + 1, -v, 7.0, f"id{v}", None) for v in values)
    coding = learn_coding(Features(tuple("abcde"), columns, cells))
    assert [code.column.name for code in coding.codes] == ["a"]
    assert coding.notes == (
        "feature x.twice says the same as x.a: left out",
        "feature x.mirror says the same as x.a: left out",
        "feature x.same is the same everywhere and says nothing: left out",
        "feature x.id has another value in every row: left out",
        "feature x.blank is unknown everywhere: left out",
    )


def test_sizes_enter_by_their_logarithm() -> None:
    rng = np.random.default_rng(14)
    lines = np.exp(rng.normal(4, 1.2, 200)).round()
    y = 0.7 * np.log1p(lines) + rng.normal(0, 0.4, 200)
    fit = regress(table(lines[:, None]), y, np.zeros(200))
    code = fit.coding.codes[0]
    assert code.log
    assert (code.low, code.high) == (lines.min(), lines.max())
    assert code.typical == pytest.approx(np.expm1(np.log1p(lines).mean()))
    assert fit.residual_sd == pytest.approx(0.4, abs=0.05)
    # below what was seen there is no logarithm to fail
    assert np.isfinite(fit.predict(table(np.array([[-5.0]]))).mean).all()


def test_beyond_the_range_a_line_is_followed_only_where_that_is_asked() -> None:
    x = np.linspace(0, 1, 40)[:, None]
    far, edge = table(np.array([[3.0]])), table(np.array([[1.0]]))
    held = regress(table(x), 2 * x[:, 0], np.full(40, 0.01))
    assert held.predict(far).mean == pytest.approx(held.predict(edge).mean)
    followed = regress(table(x), 2 * x[:, 0], np.full(40, 0.01), beyond=True)
    assert followed.predict(far).mean[0] > followed.predict(edge).mean[0] + 2
    assert from_dict(to_dict(followed)).predict(far).mean == followed.predict(far).mean


@pytest.mark.parametrize(
    "numbers",
    [[1, 2, 3, 4, 5, 5, 5], [2023.1, 2024.9, 2025, 2025.1, 2025.2], [0, 0, 0, 0, 0, 1], [-1, 900]],
)
def test_ratings_dates_and_yes_or_no_do_not(numbers: list[float]) -> None:
    coding = learn_coding(table(np.array(numbers, float)[:, None]))
    assert not coding.codes[0].log


def test_collinear_features_share_their_weight() -> None:
    rng = np.random.default_rng(12)
    x = rng.normal(size=(100, 2))
    x = np.column_stack([x, x.sum(axis=1), x @ [1, -1]])
    fit = regress(table(x), x[:, 0] + rng.normal(0, 0.3, 100), np.zeros(100))
    assert np.isfinite(fit.weights).all()
    assert fit.residual_sd == pytest.approx(0.3, abs=0.05)


def test_no_feature_left_is_a_mean_and_a_spread() -> None:
    y = np.random.default_rng(13).normal(2, 1, 500)
    fit = regress(table(np.ones((500, 2))), y, np.zeros(500))
    assert len(fit.coding.notes) == 2
    found = fit.predict(table(np.ones((3, 2))))
    assert found.mean == pytest.approx(y.mean(), abs=1e-3)
    assert found.sd == pytest.approx(y.std(), rel=0.02)


def test_bad_input_names_the_culprit() -> None:
    good = table(np.random.default_rng(0).normal(size=(6, 1)))
    with pytest.raises(InputError, match="'row3' is not a number"):
        regress(good, [0, 1, 2, np.nan, 4, 5], np.zeros(6))
    with pytest.raises(InputError, match="3 rows are too few"):
        regress(good.of(good.names[:3]), [0, 1, 2], np.zeros(3))
    cells: tuple[tuple[Cell, ...], ...] = ((0.0,), ("many",), *good.cells[2:])
    with pytest.raises(InputError, match="'x0' of 'row1' is 'many'"):
        regress(replace(good, cells=cells), np.arange(6.0), np.zeros(6))
    fit = regress(good, np.arange(6.0), np.zeros(6))
    with pytest.raises(InputError, match="none of the 1 features that are used is among the 1"):
        fit.predict(table(np.ones((2, 1)), "other"))
    with pytest.raises(InputError, match="'a' has two rows"):
        Features(("a", "a"), (), ((), ()))
    with pytest.raises(InputError, match="two columns 'c'"):
        Features((), (Column("c", "b", "number"),) * 2, ())


def test_tables_side_by_side() -> None:
    left, right = table(np.ones((2, 1))), table(np.zeros((2, 1)), "y", first=1)
    both = left.beside(right)
    assert both.names == ("row0", "row1", "row2")
    assert both.cells == ((1.0, None), (1.0, 0.0), (None, 0.0))
    assert both.blocks == ("x", "y")
    assert both.only(["y"]).cells == ((None,), (0.0,), (0.0,))
