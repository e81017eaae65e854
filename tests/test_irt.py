"""Response models: what holds for every item, then other programs and brute force as oracles."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit, roots_hermitenorm

from harness.bank import Item, ItemBank, compile_bank
from harness.errors import BankError
from harness.irt import (
    Array,
    Family,
    family,
    grid,
    information,
    normal_draws,
    predictive,
    response,
)


class Items(NamedTuple):
    """Arguments of `response` before the nodes."""

    kind: Family
    slopes: Array
    intercepts: Array
    lower: Array
    upper: Array


@st.composite
def items_strategy(
    draw: st.DrawFn,
    *,
    kinds: tuple[Family, ...] = ("binary", "graded", "partial_credit"),
    dimensions: int | None = None,
    asymptotes: bool = True,
) -> Items:
    kind = draw(st.sampled_from(kinds))
    n = draw(st.integers(1, 3))
    d = draw(st.integers(1, 3)) if dimensions is None else dimensions
    steps = 1 if kind == "binary" else draw(st.integers(1, 4))
    slopes = draw(arrays(float, (n, d), elements=st.floats(0.1, 4)))
    if kind == "graded":
        gaps = draw(arrays(float, (n, steps), elements=st.floats(0.05, 3)))
        top = draw(arrays(float, (n, 1), elements=st.floats(-3, 6)))
        intercepts = top - np.cumsum(gaps, axis=1)
    else:
        intercepts = draw(arrays(float, (n, steps), elements=st.floats(-5, 5)))
    lower, upper = np.zeros(n), np.ones(n)
    if kind == "binary" and asymptotes:
        lower = draw(arrays(float, n, elements=st.sampled_from([0.0, 0.1, 0.25, 0.4])))
        upper = draw(arrays(float, n, elements=st.sampled_from([1.0, 0.95, 0.8, 0.6])))
    return Items(kind, slopes, intercepts, lower, upper)


def nodes_strategy(dimensions: int, bound: float = 5.0) -> st.SearchStrategy[Array]:
    return st.integers(1, 4).flatmap(
        lambda q: arrays(float, (q, dimensions), elements=st.floats(-bound, bound))
    )


@st.composite
def items_and_nodes(draw: st.DrawFn, **kwargs: object) -> tuple[Items, Array]:
    items = draw(items_strategy(**kwargs))  # type: ignore[arg-type]
    return items, draw(nodes_strategy(items.slopes.shape[1]))


# --- response ---------------------------------------------------------------------------------


@given(items_and_nodes())
def test_probabilities_sum_to_one_and_their_derivatives_to_zero(case: tuple[Items, Array]) -> None:
    items, nodes = case
    log_p, dp_dz = response(*items, nodes)
    n, steps = items.intercepts.shape
    assert log_p.shape == dp_dz.shape == (n, steps + 1, len(nodes))
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(dp_dz.sum(axis=1), 0, atol=1e-14)


@given(items_and_nodes(kinds=("binary",), asymptotes=False))
def test_two_categories_are_the_same_in_every_family(case: tuple[Items, Array]) -> None:
    items, nodes = case
    binary, graded, partial = (
        response(kind, *items[1:], nodes) for kind in ("binary", "graded", "partial_credit")
    )
    for other in (graded, partial):
        np.testing.assert_allclose(other[0], binary[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(other[1], binary[1], rtol=1e-10, atol=1e-15)


@given(items_and_nodes())
def test_the_derivative_is_that_of_the_probability(case: tuple[Items, Array]) -> None:
    items, nodes = case
    step = 1e-5
    # a step in every intercept is a step in z
    above, below = (
        np.exp(response(*items._replace(intercepts=items.intercepts + shift), nodes)[0])
        for shift in (step, -step)
    )
    dp_dz = response(*items, nodes)[1]
    np.testing.assert_allclose(dp_dz, (above - below) / (2 * step), atol=1e-8)


@given(items_and_nodes(dimensions=1))
def test_information_is_the_expected_curvature_of_the_log_likelihood(
    case: tuple[Items, Array],
) -> None:
    items, nodes = case
    step = 1e-3
    below, here, above = (response(*items, nodes + shift)[0] for shift in (-step, 0.0, step))
    curvature = (above - 2 * here + below) / step**2
    expected = -(np.exp(here) * curvature).sum(axis=1)
    found = information(*response(*items, nodes), items.slopes)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@given(items_and_nodes())
def test_information_with_several_abilities_is_the_trace(case: tuple[Items, Array]) -> None:
    items, nodes = case
    step = 1e-5
    p = np.exp(response(*items, nodes)[0])
    trace = np.zeros((len(items.slopes), len(nodes)))
    for axis in range(nodes.shape[1]):
        shift = step * np.eye(nodes.shape[1])[axis]
        slope = np.exp(response(*items, nodes + shift)[0]) - np.exp(
            response(*items, nodes - shift)[0]
        )
        trace += ((slope / (2 * step)) ** 2 / p).sum(axis=1)
    found = information(*response(*items, nodes), items.slopes)
    np.testing.assert_allclose(found, trace, rtol=1e-4, atol=1e-5)


@given(
    arrays(float, 3, elements=st.sampled_from([1e-8, 1e-3, 1.0, 50.0, 1e4])),
    arrays(float, (3, 3), elements=st.floats(-1e5, 1e5)),
    st.sampled_from(["binary", "graded", "partial_credit"]),
)
def test_extreme_parameters_stay_finite(slopes: Array, intercepts: Array, kind: Family) -> None:
    if kind == "graded":
        intercepts = -np.sort(-intercepts, axis=1)
    if kind == "binary":
        intercepts = intercepts[:, :1]
    nodes = np.array([[-1e3], [-6.0], [0.0], [6.0], [1e3]])
    log_p, dp_dz = response(kind, slopes[:, None], intercepts, np.zeros(3), np.ones(3), nodes)
    assert np.isfinite(log_p).all()
    assert (log_p <= 1e-12).all()
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-9)
    assert np.isfinite(dp_dz).all()
    found = information(log_p, dp_dz, slopes[:, None])
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("kind", ["binary", "graded", "partial_credit"])
def test_tails_keep_their_relative_precision(kind: Family) -> None:
    # far below the item, log P(success) is the logit itself
    one = np.ones((1, 1))
    log_p, _ = response(kind, one, 0 * one, np.zeros(1), np.ones(1), np.array([[-200.0]]))
    assert log_p[0, 1, 0] == pytest.approx(-200)
    assert log_p[0, 0, 0] == pytest.approx(0, abs=1e-15)


# --- other programs and textbook forms --------------------------------------------------------


@given(items_and_nodes(kinds=("binary",), dimensions=1))
def test_binary_items_against_catsim(case: tuple[Items, Array]) -> None:
    from catsim import irt as catsim

    items, nodes = case
    log_p, dp_dz = response(*items, nodes)
    found = information(log_p, dp_dz, items.slopes)
    for row, (a,) in enumerate(items.slopes):
        b = -items.intercepts[row, 0] / a
        c, d = items.lower[row], items.upper[row]
        for q, (theta,) in enumerate(nodes):
            p = catsim.icc(theta, a, b, c, d)
            assert np.exp(log_p[row, 1, q]) == pytest.approx(p, rel=1e-9)
            if 1e-9 < p < 1 - 1e-9:
                expected = catsim.inf(theta, a, b, c, d)
                assert found[row, q] == pytest.approx(expected, rel=1e-5)


@given(items_and_nodes(kinds=("graded",), dimensions=1))
def test_graded_items_in_difficulty_form(case: tuple[Items, Array]) -> None:
    items, nodes = case
    difficulty = -items.intercepts / items.slopes
    reach = 1 / (1 + np.exp(-items.slopes[:, :, None] * (nodes[:, 0] - difficulty[:, :, None])))
    n, _, q = reach.shape
    padded = np.concatenate([np.ones((n, 1, q)), reach, np.zeros((n, 1, q))], axis=1)
    p = np.exp(response(*items, nodes)[0])
    np.testing.assert_allclose(p, padded[:, :-1] - padded[:, 1:], atol=1e-13)


@given(items_and_nodes(kinds=("partial_credit",), dimensions=1))
def test_partial_credit_items_in_difficulty_form(case: tuple[Items, Array]) -> None:
    items, nodes = case
    difficulty = -items.intercepts / items.slopes
    p = np.exp(response(*items, nodes)[0])
    for row, (a,) in enumerate(items.slopes):
        for q, (theta,) in enumerate(nodes):
            numerators = [
                np.exp(sum(a * (theta - b) for b in difficulty[row, :k])) for k in range(p.shape[1])
            ]
            np.testing.assert_allclose(p[row, :, q], numerators / sum(numerators), rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "name"), [("graded", "_graded_func"), ("partial_credit", "_credit_func")]
)
def test_ordinal_items_against_girth(kind: Family, name: str) -> None:
    girth = pytest.importorskip("girth.synthetic.polytomous", reason="girth is a bench extra")
    difficulty, a, theta = np.array([-1.1, 0.2, 1.4]), 1.3, np.linspace(-4, 4, 9)
    expected = np.zeros((4, 9))
    getattr(girth, name)(difficulty, a, theta, expected)
    slopes, intercepts = np.array([[a]]), -a * difficulty[None]
    log_p, _ = response(kind, slopes, intercepts, np.zeros(1), np.ones(1), theta[:, None])
    np.testing.assert_allclose(np.exp(log_p[0]), expected, atol=1e-12)


# --- parameter uncertainty --------------------------------------------------------------------


@st.composite
def covariances(draw: st.DrawFn, n: int, size: int, scale: float = 0.5) -> Array:
    factor = draw(arrays(float, (n, size, size), elements=st.floats(-scale, scale)))
    return np.asarray(factor @ factor.transpose(0, 2, 1))


def size_of(items: Items) -> int:
    asymptotes = 2 if items.kind == "binary" else 0
    return items.slopes.shape[1] + items.intercepts.shape[1] + asymptotes


@pytest.mark.parametrize("size", range(1, 9))
def test_the_draws_have_the_moments_of_a_standard_normal(size: int) -> None:
    draws = normal_draws(size)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(draws.T @ draws / len(draws), np.eye(size), atol=1e-12)
    np.testing.assert_array_equal(normal_draws(size), draws)


@given(items_and_nodes())
def test_without_uncertainty_the_average_is_the_curve(case: tuple[Items, Array]) -> None:
    items, nodes = case
    covariance = np.zeros((len(items.slopes), size_of(items), size_of(items)))
    for averaged, point in zip(
        predictive(*items, covariance, nodes), response(*items, nodes), strict=True
    ):
        np.testing.assert_allclose(averaged, point, rtol=1e-10, atol=1e-12)


@given(items_and_nodes(), st.data())
def test_averaged_probabilities_sum_to_one(case: tuple[Items, Array], data: st.DataObject) -> None:
    items, nodes = case
    covariance = data.draw(covariances(len(items.slopes), size_of(items)))
    log_p, dp_dz = predictive(*items, covariance, nodes)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(dp_dz.sum(axis=1), 0, atol=1e-12)
    assert np.isfinite(log_p).all()


@given(items_and_nodes(dimensions=1), st.data())
def test_the_averaged_derivative_is_that_of_the_average(
    case: tuple[Items, Array], data: st.DataObject
) -> None:
    items, nodes = case
    covariance = data.draw(covariances(len(items.slopes), size_of(items)))
    step = 1e-5
    above, below = (np.exp(predictive(*items, covariance, nodes + s)[0]) for s in (step, -step))
    dp_dz = predictive(*items, covariance, nodes)[1]
    np.testing.assert_allclose(
        dp_dz * items.slopes[:, :, None], (above - below) / (2 * step), atol=1e-5
    )


@given(items_and_nodes(kinds=("binary",), dimensions=1, asymptotes=False), st.floats(0.05, 1.5))
def test_an_uncertain_difficulty_flattens_the_curve(case: tuple[Items, Array], sd: float) -> None:
    items, _ = case
    covariance = np.zeros((len(items.slopes), 2, 2))
    covariance[:, 1, 1] = sd**2
    # wide enough to hold the peak of every item
    nodes = np.linspace(-60, 60, 2401)[:, None]
    found = information(*predictive(*items, covariance, nodes), items.slopes)
    known = information(*response(*items, nodes), items.slopes)
    assert (found.max(axis=1) <= items.slopes[:, 0] ** 2 / 4).all()
    assert (found.max(axis=1) < known.max(axis=1) * (1 - 0.1 * sd**2 / (1 + sd**2))).all()
    # and nearer to one half on both sides
    log_p, point = predictive(*items, covariance, nodes)[0], response(*items, nodes)[0]
    tails = np.abs(nodes[:, 0] * items.slopes + items.intercepts) > 4 * (1 + sd)
    flatter = np.abs(np.exp(log_p[:, 1]) - 0.5) <= np.abs(np.exp(point[:, 1]) - 0.5) + 1e-12
    assert flatter[tails].all()


@given(items_and_nodes(kinds=("binary",), dimensions=1, asymptotes=False), st.data())
def test_the_average_is_that_of_an_integral(case: tuple[Items, Array], data: st.DataObject) -> None:
    items, nodes = case
    covariance = data.draw(covariances(len(items.slopes), 2, scale=0.35))
    points, masses = roots_hermitenorm(41)
    masses = masses / masses.sum()
    first, second = (x.ravel() for x in np.meshgrid(points, points, indexing="ij"))
    mass = np.outer(masses, masses).ravel()
    p = np.exp(predictive(*items, covariance, nodes)[0][:, 1])
    for row in range(len(items.slopes)):
        factor = np.linalg.cholesky(covariance[row] + 1e-12 * np.eye(2))
        shift = factor @ np.stack([first, second])
        slopes = items.slopes[row, 0] * np.exp(shift[0])
        curve = expit(np.outer(nodes[:, 0], slopes) + items.intercepts[row, 0] + shift[1])
        np.testing.assert_allclose(p[row], curve @ mass, atol=0.02)


def test_draws_whose_thresholds_cross_are_put_back_in_order() -> None:
    # two thresholds at nearly one place, each uncertain by itself: in most draws a wide middle
    slopes, intercepts = np.ones((1, 1)), np.array([[1e-6, 0.0]])
    covariance = np.diag([0.0, 1.0, 1.0])[None]
    nodes = np.array([[0.0], [1.0]])
    log_p, _ = predictive("graded", slopes, intercepts, np.zeros(1), np.ones(1), covariance, nodes)
    draws = np.random.default_rng(0).normal(size=(200_000, 2))
    for q, (theta,) in enumerate(nodes):
        first, second = expit(theta + draws).T
        assert np.exp(log_p[0, 1, q]) == pytest.approx(np.abs(first - second).mean(), abs=0.03)


def test_a_narrow_category_keeps_its_relative_precision() -> None:
    gap = 1e-13
    intercepts, nodes = np.array([[gap, 0.0]]), np.zeros((1, 1))
    log_p, _ = response("graded", np.ones((1, 1)), intercepts, np.zeros(1), np.ones(1), nodes)
    assert log_p[0, 1, 0] == pytest.approx(np.log(gap / 4), rel=1e-9)


def test_an_uncertain_guessing_rate_moves_only_where_it_is_free() -> None:
    one, covariance = np.ones((1, 1)), np.diag([0.0, 0.0, 0.5**2])[None]
    nodes = np.array([[-40.0]])
    for lower in (0.0, 0.25):
        log_p, _ = predictive(
            "binary", one, 0 * one, np.array([lower]), np.ones(1), covariance, nodes
        )
        points, masses = roots_hermitenorm(41)
        expected = (expit(logit(lower) + 0.5 * points) * masses / masses.sum()).sum()
        assert np.exp(log_p[0, 1, 0]) == pytest.approx(expected, abs=2e-3)


def test_many_items_are_averaged_as_each_would_be_alone() -> None:
    rng = np.random.default_rng(3)
    n, nodes = 70, np.linspace(-3, 3, 5)[:, None]
    factor = rng.normal(scale=0.4, size=(n, 2, 2))
    covariance = factor @ factor.transpose(0, 2, 1)
    slopes, intercepts = rng.uniform(0.5, 2, (n, 1)), rng.normal(size=(n, 1))
    lower, upper = np.zeros(n), np.ones(n)
    together = predictive("binary", slopes, intercepts, lower, upper, covariance, nodes)
    for row in range(n):
        i = slice(row, row + 1)
        alone = predictive(
            "binary", slopes[i], intercepts[i], lower[i], upper[i], covariance[i], nodes
        )
        np.testing.assert_allclose(together[0][i], alone[0], rtol=1e-12)
        np.testing.assert_allclose(together[1][i], alone[1], rtol=1e-12)


# --- tables and nodes -------------------------------------------------------------------------

MIXED = ItemBank(
    "mixed",
    (
        Item("guess", "3pl", (1.2,), (0.3,), lower=0.2, usd=0.5),
        Item("steps", "grm", (0.9,), (1.0, 0.0, -1.5), categories="four", seconds=30.0),
        Item("credit", "gpcm", (1.1,), (0.5, -0.5), categories="three"),
        Item("unsure", "2pl", (1.0,), (0.0,), covariance=((0.1, 0.02), (0.02, 0.3)), usd=2.0),
    ),
    {"binary": ("no", "yes"), "three": ("a", "b", "c"), "four": ("a", "b", "c", "d")},
)


def test_a_mixed_bank_is_one_table() -> None:
    table = MIXED.table
    q = len(table.nodes)
    assert table.log_p.shape == (4, 4, q)
    assert table.information.shape == (4, q)
    assert table.n_categories.tolist() == [2, 4, 3, 2]
    np.testing.assert_allclose(table.p.sum(axis=1), 1, rtol=1e-12)
    for row, k in enumerate(table.n_categories):
        assert np.isneginf(table.log_p[row, k:]).all()
        assert np.isfinite(table.log_p[row, :k]).all()
        assert np.isnan(table.intercepts[row, k - 1 :]).all()
    assert table.usd[[0, 3]].tolist() == [0.5, 2.0]
    assert np.isnan(table.seconds[[0, 2, 3]]).all()
    np.testing.assert_array_equal(table.information_by_node, table.information.T)


def test_uncertainty_can_be_left_out_of_a_table() -> None:
    known = compile_bank(MIXED, MIXED.table.nodes, uncertainty=False)
    np.testing.assert_array_equal(known.log_p[:3], MIXED.table.log_p[:3])
    np.testing.assert_allclose(known.p[3, 1], expit(known.nodes[:, 0]), rtol=1e-12)
    assert (known.information[3].max() > MIXED.table.information[3]).all()


def test_scores_are_shares_of_the_top_category() -> None:
    table = MIXED.table
    np.testing.assert_allclose(table.scores[1], [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(table.scores[2], [0, 0.5, 1, 0])
    for row, k in enumerate(table.n_categories):
        values = np.arange(k) / (k - 1)
        mean = values @ table.p[row, :k]
        np.testing.assert_allclose(table.expected_score[row], mean, rtol=1e-12)
        spread = ((values[:, None] - mean) ** 2 * table.p[row, :k]).sum(axis=0)
        np.testing.assert_allclose(table.score_variance[row], spread, atol=1e-12)


def test_rows_by_id() -> None:
    assert [MIXED.table.row(item.id) for item in MIXED.items] == [0, 1, 2, 3]
    with pytest.raises(BankError, match=r"'gone' is not in the bank \(4 items"):
        MIXED.table.row("gone")


@given(st.integers(1, 3), st.floats(-100, 100), st.floats(0.1, 100))
def test_nodes_span_the_population(dimensions: int, mean: float, sd: float) -> None:
    nodes = grid((mean,) * dimensions, (sd,) * dimensions)
    assert nodes.shape[1] == dimensions
    np.testing.assert_allclose(nodes.min(axis=0), mean - 6 * sd)
    np.testing.assert_allclose(nodes.max(axis=0), mean + 6 * sd)
    np.testing.assert_allclose(nodes.mean(axis=0), mean, atol=1e-9 * sd + 1e-9)
    assert len(np.unique(nodes, axis=0)) == len(nodes)


def test_more_than_three_abilities_are_refused() -> None:
    with pytest.raises(BankError, match="1 to 3 abilities, not 4"):
        grid((0.0,) * 4, (1.0,) * 4)


def test_families() -> None:
    assert [family(m) for m in ("1pl", "2pl", "3pl", "4pl")] == ["binary"] * 4
    assert (family("grm"), family("gpcm")) == ("graded", "partial_credit")
