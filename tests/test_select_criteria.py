"""Criteria for ability against brute force, and the identities that tie them together."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit
from selecting import PLANE, Case, banks, flying, per_item, view_of, views

from harness.ability import moments
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_selector
from harness.irt import Array
from harness.select import (
    KullbackLeibler,
    MaxInformation,
    MinExpectedVariance,
    MutualInformation,
    Optimal,
    PosteriorInformation,
    View,
    choose,
)

plane_answers = st.dictionaries(st.integers(0, 2), st.just(0) | st.just(1), max_size=2)


def nearest(view: View) -> int:
    return int(((view.table.nodes - view.ability[0]) ** 2).sum(axis=1).argmin())


# --- minimum expected posterior variance ------------------------------------------------------


def expected_variance(view: View, weights: Array, row: int, matters: tuple[float, ...]) -> float:
    """Sum over abilities of the posterior variance, averaged over the answers to one item."""
    table, expected = view.table, 0.0
    for category in range(table.n_categories[row]):
        joint = weights * table.p[row, category]
        sd = moments(table.nodes, joint[None] / joint.sum())[1][0]
        expected += joint.sum() * float(sd**2 @ np.array(matters))
    return float(expected)


def reduction(view: View, matters: tuple[float, ...]) -> Array:
    now = float(moments(view.table.nodes, view.weights)[1][0] ** 2 @ np.array(matters))
    return per_item(view, lambda w, row: now - expected_variance(view, w, row, matters))


@given(views())
def test_min_variance_is_the_expected_reduction_of_variance(case: Case) -> None:
    view = view_of(*case)
    gains = MinExpectedVariance()(view)[0]
    np.testing.assert_allclose(gains, reduction(view, (1.0,)), atol=1e-9)
    assert (gains > 0).all()


@given(plane_answers, st.sampled_from([(1.0, 1.0), (1.0, 0.0), (0.2, 3.0)]))
def test_min_variance_with_two_abilities(
    answers: dict[int, int], matters: tuple[float, ...]
) -> None:
    view = view_of(PLANE, answers)
    gains = MinExpectedVariance(matters)(view)[0]
    np.testing.assert_allclose(gains, reduction(view, matters), atol=1e-9)
    if matters == (1.0, 1.0):
        np.testing.assert_allclose(MinExpectedVariance()(view)[0], gains)


def test_the_ability_that_matters_decides() -> None:
    # once the first ability has had its item, the other one gains more
    view = view_of(PLANE, {0: 1}, gone=(2, 3))
    assert choose(MinExpectedVariance(), view) == 1
    for text in ("min-variance", "d-optimal", "a-optimal", "t-optimal"):
        first, second = (parse_selector(f"{text}{w}") for w in ("(1, 0)", "(0, 1)"))
        fresh = view_of(PLANE, {}, gone=(2, 3))
        assert (choose(first, fresh), choose(second, fresh)) == (0, 1), text


# --- information ------------------------------------------------------------------------------


@given(views())
def test_information_at_the_estimate_and_over_the_posterior(case: Case) -> None:
    view = view_of(*case)
    table = view.table
    np.testing.assert_array_equal(MaxInformation()(view)[0], table.information[:, nearest(view)])
    expected = per_item(view, lambda w, row: float(sum(w * table.information[row])))
    np.testing.assert_allclose(PosteriorInformation()(view)[0], expected)


@given(views(), st.floats(-4, 4))
def test_information_at_a_given_point_is_the_same_for_every_agent(case: Case, at: float) -> None:
    view = view_of(*case)
    index = np.abs(view.table.nodes[:, 0] - at).argmin()
    expected = view.table.information[:, index]
    np.testing.assert_allclose(MaxInformation((at,))(view)[0], expected, rtol=0.15, atol=1e-3)
    fresh = view_of(case[0], {})
    np.testing.assert_array_equal(MaxInformation((at,))(view), MaxInformation((at,))(fresh))


def test_information_with_two_abilities() -> None:
    view = view_of(PLANE, {0: 1})
    at_estimate = view.table.information[:, nearest(view)]
    np.testing.assert_array_equal(MaxInformation()(view)[0], at_estimate)
    corner = MaxInformation((-6.0, -4.3))(view)[0]
    np.testing.assert_array_equal(corner, view.table.information[:, 0])


# --- Kullback–Leibler and mutual information --------------------------------------------------


def divergence(view: View, row: int, centre: int, node: int) -> float:
    total = 0.0
    for category in range(view.table.n_categories[row]):
        here, there = (view.table.log_p[row, category, q] for q in (centre, node))
        total += np.exp(here) * (here - there)
    return float(total)


@given(views(max_size=3))
def test_posterior_kl_averages_the_divergence(case: Case) -> None:
    view = view_of(*case)
    centre = nearest(view)
    expected = per_item(
        view,
        lambda w, row: sum(float(w[q]) * divergence(view, row, centre, q) for q in range(len(w))),
    )
    np.testing.assert_allclose(KullbackLeibler(posterior=True)(view)[0], expected, atol=1e-12)


@given(st.floats(0.4, 2.5), st.floats(-2, 2), st.integers(1, 60))
def test_kl_is_the_integral_over_a_shrinking_interval(a: float, b: float, m: int) -> None:
    known = [Item(f"k{i}", "2pl", (1.0,), (0.0,)) for i in range(m)]
    bank = ItemBank("line", (Item("i", "2pl", (a,), (-a * b,)), *known))
    view = view_of(bank, {i + 1: i % 2 for i in range(m)})
    centre = float(view.table.nodes[nearest(view), 0])
    p0 = float(expit(a * (centre - b)))

    def kl(theta: float) -> float:
        p = float(expit(a * (theta - b)))
        return p0 * np.log(p0 / p) + (1 - p0) * np.log((1 - p0) / (1 - p))

    half = 3 / np.sqrt(m)
    expected = quad(kl, centre - half, centre + half, epsabs=1e-12)[0] / (2 * half)
    found = KullbackLeibler()(view)[0, 0]
    # the grid has 0.05 between nodes: a trapezoid is that much off
    assert found == pytest.approx(expected, rel=0.02, abs=0.05**2 * a**2 / 4)


def test_kl_with_many_answers_ranks_as_information_does() -> None:
    rng = np.random.default_rng(0)
    items = [
        Item(f"i{k}", "2pl", (float(a),), (float(-a * b),))
        for k, (a, b) in enumerate(zip(rng.uniform(0.5, 2, 40), rng.normal(0, 1, 40), strict=True))
    ]
    many = [Item(f"m{k}", "2pl", (1.0,), (0.0,)) for k in range(4000)]
    bank = ItemBank("long", (*items, *many))
    view = view_of(bank, {40 + k: k % 2 for k in range(4000)})
    kl, information = (s(view)[0, :40] for s in (KullbackLeibler(), MaxInformation()))
    np.testing.assert_allclose(kl / information, (kl / information)[0], rtol=0.02)


@given(plane_answers)
def test_kl_with_two_abilities(answers: dict[int, int]) -> None:
    view = view_of(PLANE, answers)
    nodes, centre = view.table.nodes, nearest(view)
    m = max(len(answers), 1)
    share = np.ones(len(nodes))
    for axis, sd in enumerate(PLANE.sd):
        step, half = 12 * sd / 40, 3 * sd / np.sqrt(m)
        low, high = nodes[centre, axis] - half, nodes[centre, axis] + half
        inside = np.minimum(nodes[:, axis] + step / 2, high) - np.maximum(
            nodes[:, axis] - step / 2, low
        )
        share *= np.maximum(inside, 0.0)
    share /= share.sum()
    expected = per_item(
        view,
        lambda w, row: sum(
            float(share[q]) * divergence(view, row, centre, int(q)) for q in np.flatnonzero(share)
        ),
    )
    np.testing.assert_allclose(KullbackLeibler()(view)[0], expected, rtol=1e-6, atol=1e-10)


@given(views(), st.booleans())
def test_mutual_information(case: Case, plane: bool) -> None:
    view = view_of(PLANE, {0: 0}) if plane else view_of(*case)
    table = view.table

    def gain(weights: Array, row: int) -> float:
        total = 0.0
        for category in range(table.n_categories[row]):
            p = table.p[row, category]
            total += float((weights * p * np.log(p / float(weights @ p))).sum())
        return total

    gains = MutualInformation()(view)[0]
    np.testing.assert_allclose(gains, per_item(view, gain), atol=1e-9)
    assert (gains >= 0).all()
    assert (gains <= np.log(table.n_categories)).all()


# --- optimality of matrices -------------------------------------------------------------------

letters = st.sampled_from(["d", "a", "t"])


def matrices(view: View, information: Array) -> list[Array]:
    """Information matrix of every item."""
    found = []
    for row, slopes in enumerate(view.table.slopes):
        unit = slopes / np.linalg.norm(slopes)
        found.append(information[row] * np.outer(unit, unit))
    return found


def worth(letter: str, information: Array, matters: Array) -> float:
    """What an information matrix is worth under a criterion."""
    covariance = np.linalg.inv(information)
    match letter:
        case "d":
            kept = np.flatnonzero(matters)
            return -float(np.linalg.slogdet(covariance[np.ix_(kept, kept)])[1])
        case "a":
            return -float(np.diag(covariance) @ matters)
        case _:
            return float(np.diag(information) @ matters)


@given(
    plane_answers,
    letters,
    st.booleans(),
    st.sampled_from([(), (1.0, 0.0), (0.0, 2.0), (0.5, 3.0)]),
)
def test_optimality_with_two_abilities(
    answers: dict[int, int], letter: str, bayesian: bool, matters: tuple[float, ...]
) -> None:
    view = view_of(PLANE, answers)
    nodes, sd = view.table.nodes, np.array(PLANE.sd)
    if bayesian:
        single = matrices(view, view.table.information @ view.weights[0])
        spread = np.cov(nodes.T, aweights=view.weights[0], bias=True)
        base = np.linalg.inv(spread + np.diag((12 * sd / 40) ** 2 / 12))
    else:
        single = matrices(view, view.table.information[:, nearest(view)])
        base = sum((single[row] for row in answers), np.diag(1e-3 / sd**2))
    weigh = np.array(matters or (1.0, 1.0))
    expected = [worth(letter, base + m, weigh) - worth(letter, base, weigh) for m in single]
    bayes = "bayes-" if bayesian else ""
    text = f"{bayes}{letter}-optimal" + (str(matters) if matters else "")
    np.testing.assert_allclose(parse_selector(text)(view)[0], expected, rtol=1e-6, atol=1e-9)


@given(banks(), letters)
def test_with_one_ability_all_optimality_ranks_as_information(bank: ItemBank, letter: str) -> None:
    view = view_of(bank, {0: 0})
    for bayesian, criterion in ((False, MaxInformation()), (True, PosteriorInformation())):
        gains = parse_selector(f"{'bayes-' * bayesian}{letter}-optimal")(view)[0]
        order = np.argsort(criterion(view)[0])
        assert (np.diff(gains[order]) >= -1e-9 * gains.max()).all()


@given(views())
def test_t_optimality_is_the_trace(case: Case) -> None:
    for view in (view_of(*case), view_of(PLANE, {0: 1, 2: 2})):
        for optimal, trace in (
            (Optimal("t"), MaxInformation()),
            (Optimal("t", bayesian=True), PosteriorInformation()),
        ):
            np.testing.assert_allclose(optimal(view), trace(view))


def test_items_in_flight_count_for_optimality() -> None:
    twin = replace(PLANE.items[0], id="twin")
    other = Item("other", "2pl", (0.0, 1.9), (-0.9,))
    bank = replace(PLANE, items=(PLANE.items[0], twin, other))
    for text in ("d-optimal", "a-optimal", "bayes-d-optimal", "bayes-a-optimal"):
        view = view_of(bank, {}, gone=(0,))
        assert choose(parse_selector(text), view) == 1, text
        assert choose(parse_selector(text), flying(view, (0,))) == 2, text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MinExpectedVariance((1.0, 0.0)), "has 2 numbers, one for each ability"),
        (lambda: Optimal("a", (1.0, 1.0)), "but the bank has 1"),
        (lambda: MaxInformation((0.0, 0.0)), "max-information"),
    ],
)
def test_numbers_for_other_abilities_are_refused(
    make: Callable[[], MaxInformation | Optimal | MinExpectedVariance], says: str
) -> None:
    bank = ItemBank("one", (Item("i", "2pl", (1.0,), (0.0,)),))
    with pytest.raises(PlanError, match=says):
        make()(view_of(bank, {}))


@pytest.mark.parametrize("weights", [(0.0,), (-1.0, 2.0)])
def test_weights_must_mean_something(weights: tuple[float, ...]) -> None:
    with pytest.raises(PlanError, match="weights of abilities"):
        MinExpectedVariance(weights)
    with pytest.raises(PlanError, match="weights of abilities"):
        Optimal("d", weights)
