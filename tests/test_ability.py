"""Ability: priors, posteriors and predicted scores against brute force and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import norm

from harness.ability import (
    Posterior,
    Prior,
    moments,
    normalise,
    point_estimate,
)
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.irt import Array, Table, grid

LABELS = {"binary": ("no", "yes"), "three": ("a", "b", "c"), "four": ("a", "b", "c", "d")}
NODES = grid((0.0,), (1.0,))


@st.composite
def banks(draw: st.DrawFn, min_size: int = 1, max_size: int = 6) -> ItemBank:
    """Banks of binary, graded and partial credit items."""
    items = []
    for row in range(draw(st.integers(min_size, max_size))):
        a = draw(st.floats(0.4, 2.5))
        difficulties = sorted(draw(st.lists(st.floats(-2, 2), min_size=3, max_size=3)))
        d = tuple(-a * (b + 0.1 * k) for k, b in enumerate(difficulties))
        match draw(st.sampled_from(["2pl", "3pl", "grm", "gpcm"])):
            case "grm":
                items.append(Item(f"i{row}", "grm", (a,), d, categories="four"))
            case "gpcm":
                items.append(Item(f"i{row}", "gpcm", (a,), d[:2], categories="three"))
            case "3pl":
                items.append(Item(f"i{row}", "3pl", (a,), d[:1], lower=0.2))
            case _:
                items.append(Item(f"i{row}", "2pl", (a,), d[:1]))
    return ItemBank("drawn", tuple(items), LABELS)


@st.composite
def banks_with_answers(draw: st.DrawFn, max_size: int = 6) -> tuple[ItemBank, list[int]]:
    """A bank and the answer to each item, -1 where there is none."""
    bank = draw(banks(max_size=max_size))
    return bank, [draw(st.integers(-1, len(item.intercepts))) for item in bank.items]


def unpack(case: tuple[ItemBank, list[int]]) -> tuple[Table, Array]:
    return case[0].table, np.array(case[1])


def weights_after(table: Table, answers: Array, prior: Prior | None = None) -> Array:
    rows = np.flatnonzero(answers >= 0)
    log_prior = prior or Prior((0.0,) * table.nodes.shape[1], (1.0,) * table.nodes.shape[1])
    return normalise(
        log_prior.log_weights(table.nodes) + table.log_p[rows, answers[rows]].sum(axis=0)
    )


# --- priors and posteriors --------------------------------------------------------------------


@given(st.floats(-50, 50), st.floats(0.1, 30))
def test_a_normal_prior_has_its_moments(mean: float, sd: float) -> None:
    nodes = grid((mean,), (sd,))
    posterior = Posterior(nodes, np.exp(Prior((mean,), (sd,)).log_weights(nodes)))
    assert posterior.weights.sum() == pytest.approx(1)
    assert posterior.mean[0] == pytest.approx(mean, abs=1e-6 * sd)
    assert posterior.mode[0] == pytest.approx(mean, abs=1e-6 * sd)
    assert posterior.sd[0] == pytest.approx(sd, rel=1e-6)


@pytest.mark.parametrize(
    ("mean", "sd"), [((0.0,), (0.0,)), ((0.0,), (-1.0,)), ((0.0, 1.0), (1.0,))]
)
def test_bad_priors(mean: tuple[float, ...], sd: tuple[float, ...]) -> None:
    with pytest.raises(PlanError, match="one mean and one sd > 0"):
        Prior(mean, sd)


@given(arrays(float, (3, 7), elements=st.floats(-1e4, 1e4)), st.floats(-1e5, 1e5))
def test_normalising_survives_any_scale(log_weights: Array, shift: float) -> None:
    weights = normalise(log_weights + shift)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    highest = (log_weights + shift).argmax(axis=1)
    assert (weights[np.arange(3), highest] == weights.max(axis=1)).all()


@given(banks_with_answers(), st.randoms())
def test_the_order_of_answers_does_not_matter(
    case: tuple[ItemBank, list[int]], random: object
) -> None:
    table, answers = unpack(case)
    rows = np.flatnonzero(answers >= 0).tolist()
    random.shuffle(rows)  # type: ignore[attr-defined]
    step_by_step = np.exp(Prior().log_weights(table.nodes))
    for row in rows:
        step_by_step = step_by_step * table.p[row, answers[row]]
        step_by_step = step_by_step / step_by_step.sum()
    np.testing.assert_allclose(step_by_step, weights_after(table, answers), rtol=1e-9, atol=1e-300)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.floats(0.3, 2.5), st.floats(-2.5, 2.5), st.booleans()), min_size=1, max_size=8
    )
)
def test_estimates_against_quadrature(answers: list[tuple[float, float, bool]]) -> None:
    def density(theta: float) -> float:
        value = norm.pdf(theta)
        for a, b, right in answers:
            value *= expit(a * (theta - b)) if right else expit(-a * (theta - b))
        return float(value)

    def integral(power: int) -> float:
        return float(quad(lambda x: x**power * density(x), -8, 8, epsabs=1e-14, limit=200)[0])

    mass = integral(0)
    mean = integral(1) / mass
    sd = math.sqrt(integral(2) / mass - mean**2)
    mode = minimize_scalar(
        lambda x: -math.log(density(x)), bounds=(-6, 6), method="bounded", options={"xatol": 1e-8}
    ).x

    items = tuple(Item(f"i{k}", "2pl", (a,), (-a * b,)) for k, (a, b, _) in enumerate(answers))
    table = ItemBank("drawn", items).table
    weights = weights_after(table, np.array([int(right) for *_, right in answers]))
    posterior = Posterior(table.nodes, weights)
    assert posterior.mean[0] == pytest.approx(mean, abs=1e-5)
    assert posterior.sd[0] == pytest.approx(sd, abs=1e-5)
    assert posterior.mode[0] == pytest.approx(mode, abs=2e-3)
    for probability in (0.05, 0.5, 0.95):
        where = posterior.quantile(probability)
        below = quad(density, -8, where, epsabs=0, limit=200)[0] / mass
        assert below == pytest.approx(probability, abs=2e-3)


@given(banks_with_answers())
def test_estimates_lie_on_the_nodes_and_intervals_hold_their_level(
    case: tuple[ItemBank, list[int]],
) -> None:
    table, answers = unpack(case)
    posterior = Posterior(table.nodes, weights_after(table, answers))
    assert np.abs(posterior.mean).max() <= 6
    assert np.abs(posterior.mode - table.nodes[posterior.weights.argmax()]).max() <= 0.05 / 2 + 1e-9
    inner, outer = posterior.interval(0.5), posterior.interval(0.9)
    assert outer.low < inner.low < posterior.quantile(0.5) < inner.high < outer.high
    inside = (table.nodes[:, 0] >= outer.low) & (table.nodes[:, 0] <= outer.high)
    assert posterior.weights[inside].sum() == pytest.approx(0.9, abs=0.05)


def test_agents_are_independent() -> None:
    weights = normalise(np.random.default_rng(1).normal(size=(5, len(NODES))) - NODES[:, 0] ** 2)
    for estimator in ("eap", "map"):
        together = point_estimate(NODES, weights, estimator)  # type: ignore[arg-type]
        for agent in range(5):
            alone = point_estimate(NODES, weights[[agent]], estimator)  # type: ignore[arg-type]
            np.testing.assert_allclose(together[agent], alone[0], rtol=1e-12)
    means, sds = moments(NODES, weights)
    expected = np.sqrt((weights * (NODES[:, 0] - means) ** 2).sum(axis=1))
    np.testing.assert_allclose(sds[:, 0], expected, rtol=1e-9)


def test_a_scale_far_from_zero_keeps_its_precision() -> None:
    nodes = grid((1e6,), (1.0,))
    posterior = Posterior(nodes, np.exp(Prior((1e6,), (0.2,)).log_weights(nodes)))
    assert posterior.sd[0] == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("edge", [0, -1])
def test_a_mode_at_the_edge_stays_there(edge: int) -> None:
    weights = np.zeros((1, len(NODES)))
    weights[0, edge] = 1.0
    assert point_estimate(NODES, weights, "map")[0, 0] == NODES[edge, 0]
    assert point_estimate(NODES, weights, "eap")[0, 0] == pytest.approx(NODES[edge, 0])


def test_intervals_are_calibrated() -> None:
    # agents drawn from the prior: the interval of a right posterior covers at its level
    rng = np.random.default_rng(11)
    n, agents = 15, 1500
    slopes, difficulties = rng.uniform(0.6, 2, n), rng.normal(size=n)
    table = ItemBank(
        "drawn",
        tuple(
            Item(f"i{k}", "2pl", (a,), (-a * b,))
            for k, (a, b) in enumerate(zip(slopes.tolist(), difficulties.tolist(), strict=True))
        ),
    ).table
    abilities = rng.normal(size=agents)
    right = rng.random((agents, n)) < expit(slopes * (abilities[:, None] - difficulties))
    prior = Prior().log_weights(table.nodes)
    log_weights = prior + np.where(
        right[:, :, None], table.log_p[None, :, 1], table.log_p[None, :, 0]
    ).sum(axis=1)
    covered = []
    for ability, weights in zip(abilities, normalise(log_weights), strict=True):
        interval = Posterior(table.nodes, weights).interval(0.8)
        covered.append(interval.low <= ability <= interval.high)
    # 0.8 with a standard error of 0.0103
    assert np.mean(covered) == pytest.approx(0.8, abs=0.035)


def test_two_abilities() -> None:
    bank = ItemBank(
        "plane",
        (
            Item("first", "2pl", (1.5, 0.0), (0.0,)),
            Item("second", "2pl", (0.0, 1.5), (0.0,)),
            Item("both", "2pl", (1.0, 1.0), (0.0,)),
        ),
        mean=(0.0, 1.0),
        sd=(1.0, 2.0),
    )
    table = bank.table
    prior = Prior(bank.mean, bank.sd)
    start = Posterior(table.nodes, weights_after(table, np.array([-1, -1, -1]), prior))
    np.testing.assert_allclose(start.mean, [0, 1], atol=1e-6)
    np.testing.assert_allclose(start.sd, [1, 2], rtol=1e-4)
    assert start.interval(0.9, dimension=1).low == pytest.approx(1 - 2 * 1.645, abs=0.1)

    # an item of the first ability alone says nothing about the second
    after = Posterior(table.nodes, weights_after(table, np.array([1, -1, -1]), prior))
    assert after.mean[0] > 0.3
    assert after.mean[1] == pytest.approx(1, abs=1e-6)

    # and one ability of the plane is the posterior of a line
    line = ItemBank("line", (Item("first", "2pl", (1.5,), (0.0,)),)).table
    alone = Posterior(line.nodes, weights_after(line, np.array([1])))
    assert after.mean[0] == pytest.approx(alone.mean[0], abs=2e-3)
    assert after.sd[0] == pytest.approx(alone.sd[0], abs=2e-3)

    # success on an item of both makes the two abilities compensate each other
    both = weights_after(table, np.array([-1, -1, 1]), prior)
    centred = table.nodes - both @ table.nodes
    assert both @ (centred[:, 0] * centred[:, 1]) < 0
