"""Person scoring against R mirt, catsim, girth, brute force and simulation."""

import csv
import gzip
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit
from scipy.stats import kstest, norm

from harness.ability import Posterior, Prior, moments, normalise
from harness.bank import Item, ItemBank, compile_bank
from harness.bank_files import save_bank
from harness.cli.abilities import abilities as command
from harness.errors import HarnessError, PlanError, ResponsesError
from harness.estimate import Method, draw_abilities, estimate_abilities, posteriors
from harness.irt import Array, Model
from harness.responses import Responses, from_matrix

LABELS = {"binary": ("no", "yes"), "three": ("a", "b", "c"), "four": ("a", "b", "c", "d")}
ALL: tuple[Method, ...] = ("eap", "map", "wle", "ml")


def bank_of(*items: Item, abilities: int = 1, correlation: float = 0.0) -> ItemBank:
    matrix = (
        ()
        if abilities == 1
        else tuple(
            tuple(1.0 if i == j else correlation for j in range(abilities))
            for i in range(abilities)
        )
    )
    return ItemBank("b", items, LABELS, (0.0,) * abilities, (1.0,) * abilities, correlation=matrix)


def answers(bank: ItemBank, categories: ArrayLike) -> Responses:
    """``(A, n)`` categories, NaN where missing."""
    return from_matrix(np.asarray(categories, float), items=[i.id for i in bank.items])


def trials(bank: ItemBank, counts: Array) -> Responses:
    """``(A, n, K)`` counts of each category as long rows."""
    agent, item, category = (
        np.repeat(index, counts.astype(int).ravel())
        for index in np.indices(counts.shape).reshape(3, -1)
    )
    plain = from_matrix(np.zeros(counts.shape[:2]), items=[i.id for i in bank.items])
    unknown = np.full(len(agent), np.nan)
    return replace(
        plain,
        agent=agent,
        item=item,
        category=category,
        trial=np.arange(len(agent)),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
    )


def probabilities(item: Item, theta: float, shift: ArrayLike = 0.0) -> Array:
    """``(…, K)`` category probabilities, written down once more; ``shift (…)`` of intercepts."""
    z = item.slopes[0] * theta + np.array(item.intercepts) + np.asarray(shift)[..., None]
    edge = np.zeros((*z.shape[:-1], 1))
    if item.model == "gpcm":
        weight = np.exp(np.concatenate([edge, np.cumsum(z, axis=-1)], axis=-1))
        return np.asarray(weight / weight.sum(axis=-1, keepdims=True))
    reach = np.concatenate([edge + 1, expit(z), edge], axis=-1)
    p = reach[..., :-1] - reach[..., 1:]
    return item.lower * np.array([0.0, 1.0]) + (1 - item.lower) * p if item.lower else p


@st.composite
def items(draw: st.DrawFn, models: tuple[Model, ...], name: str = "i") -> Item:
    a = draw(st.floats(0.5, 2.5))
    b = sorted(draw(st.lists(st.floats(-2, 2), min_size=3, max_size=3)))
    d = tuple(-a * (x + 0.2 * k) for k, x in enumerate(b))
    match draw(st.sampled_from(models)):
        case "grm":
            return Item(name, "grm", (a,), d, categories="four")
        case "gpcm":
            return Item(name, "gpcm", (a,), d[:2], categories="three")
        case "3pl":
            return Item(name, "3pl", (a,), d[:1], lower=0.2)
        case _:
            return Item(name, "2pl", (a,), d[:1])


@st.composite
def sittings(
    draw: st.DrawFn, models: tuple[Model, ...] = ("2pl", "grm", "gpcm"), most: int = 8
) -> tuple[ItemBank, list[int]]:
    """A bank and one agent's answer to each item."""
    n = draw(st.integers(1, most))
    bank = bank_of(*(draw(items(models, f"i{row}")) for row in range(n)))
    return bank, [draw(st.integers(0, len(item.intercepts))) for item in bank.items]


def log_likelihood(bank: ItemBank, row: list[int], theta: float) -> float:
    return sum(
        math.log(probabilities(item, theta)[k]) for item, k in zip(bank.items, row, strict=True)
    )


def is_mixed(bank: ItemBank, row: list[int]) -> bool:
    """Not all at the top, not all at the bottom."""
    top = [len(item.intercepts) for item in bank.items]
    return any(row) and any(k < t for k, t in zip(row, top, strict=True))


# --- R mirt -----------------------------------------------------------------------------------


def table(path: Path) -> list[dict[str, str]]:
    with path.open() if path.exists() else gzip.open(f"{path}.gz", "rt") as file:
        return list(csv.DictReader(file))


def mirt_case(refs: Path, data: str, fitted: str, model: Model) -> tuple[ItemBank, Responses]:
    found = []
    for row in table(refs / "simulated_fits" / f"{data}__{fitted}_items.csv"):
        slopes = tuple(float(row[name]) for name in ("a1", "a2") if name in row)
        d = [float(row[name]) for name in ("d", "d1", "d2", "d3") if name in row]
        if model == "gpcm":
            # mirt's are log-numerators, of which the lowest is 0
            d = np.diff(d, prepend=0.0).tolist()
        labels = "four" if len(d) == 3 else "binary"
        lower = float(row.get("g", 0.0))
        found.append(Item(row["item"], model, slopes, tuple(d), lower=lower, categories=labels))
    bank = bank_of(*found, abilities=len(found[0].slopes), correlation=0.53838544)
    with gzip.open(refs / "simulated" / f"{data}_responses.csv.gz", "rt") as file:
        names, *rows = csv.reader(file)
    everything = from_matrix([[float(x or "nan") for x in row] for row in rows], items=names)
    return bank, everything.subset(items=[item.id for item in bank.items])


@pytest.mark.parametrize("method", ALL)
def test_mirt_scores_and_standard_errors(shared_refs: Path, method: Method) -> None:
    bank, responses = mirt_case(shared_refs, "a_2pl", "2PL", "2pl")
    rows = table(shared_refs / "fit_statistics" / f"fscores_{method.upper()}_first50.csv")
    found = estimate_abilities(
        bank, responses.subset(agents=responses.agents[:50]), method, uncertainty=False
    )
    expected = np.array([[float(row["F1"]), float(row["SE_F1"])] for row in rows])
    # mirt stops its search at about 1e-5; the bound to meet is 1e-3
    np.testing.assert_allclose(found.ability[:, 0], expected[:, 0], atol=1e-4)
    np.testing.assert_allclose(found.sd[:, 0], expected[:, 1], atol=1e-4)
    assert set(found.remarks) == {""}


@pytest.mark.parametrize(
    ("data", "fitted", "model"),
    [
        ("a_2pl", "2PL", "2pl"),
        ("b_2pl", "2PLmap", "2pl"),
        ("f_2pl_miss", "2PLmap", "2pl"),
        ("c_grm", "GRM", "grm"),
        ("d_gpcm", "GPCM", "gpcm"),
        ("h_3pl", "3PLmapLogitNorm", "3pl"),
        ("g_mirt2", "M2PLcfa", "2pl"),
    ],
)
def test_mirt_expected_a_posteriori(
    shared_refs: Path, data: str, fitted: str, model: Model
) -> None:
    bank, responses = mirt_case(shared_refs, data, fitted, model)
    rows = table(shared_refs / "simulated_fits" / f"{data}__{fitted}_eap.csv")
    found = estimate_abilities(bank, responses, uncertainty=False)
    names = [name for name in rows[0] if name.startswith("F")]
    expected = np.array([[float(row[name]) for name in names] for row in rows])
    spread = np.array([[float(row[f"SE_{name}"]) for name in names] for row in rows])
    # the two abilities rest on mirt's 31 × 31 nodes
    np.testing.assert_allclose(found.ability, expected, atol=2e-4)
    np.testing.assert_allclose(found.sd, spread, atol=2e-4)


# --- other programs ---------------------------------------------------------------------------


def drawn_bank(rng: np.random.Generator, n: int, **more: float) -> ItemBank:
    model: Model = "3pl" if more.get("lower") else "2pl"
    return bank_of(
        *(
            Item(f"i{k}", model, (float(rng.lognormal(0, 0.3)),), (float(rng.normal()),), **more)
            for k in range(n)
        )
    )


def test_maximum_likelihood_of_catsim() -> None:
    from catsim.estimation import NumericalSearchEstimator
    from catsim.item_bank import ItemBank as Theirs

    rng = np.random.default_rng(1)
    bank = drawn_bank(rng, 30)
    matrix = rng.integers(0, 2, (10, 30))
    rows = [[i.slopes[0], i.difficulties[0], i.lower, i.upper] for i in bank.items]
    found = estimate_abilities(bank, answers(bank, matrix), "ml", uncertainty=False)
    for row, ability in zip(matrix, found.ability[:, 0], strict=True):
        theirs = NumericalSearchEstimator(tol=1e-9).estimate(
            item_bank=Theirs(np.array(rows)),
            administered_items=list(range(30)),
            response_vector=[bool(x) for x in row],
            est_theta=0.0,
        )
        assert ability == pytest.approx(theirs, abs=1e-3)


def test_maximum_likelihood_of_girth() -> None:
    girth = pytest.importorskip("girth", reason="girth is a bench extra")
    rng = np.random.default_rng(2)
    bank = drawn_bank(rng, 25)
    matrix = rng.integers(0, 2, (20, 25))
    a = np.array([item.slopes[0] for item in bank.items])
    b = np.array([item.difficulties[0] for item in bank.items])
    theirs = girth.ability_mle(matrix.T, b, a)
    found = estimate_abilities(bank, answers(bank, matrix), "ml", uncertainty=False)
    np.testing.assert_allclose(found.ability[:, 0], theirs, atol=1e-3)


# --- brute force ------------------------------------------------------------------------------


@given(sittings(("2pl", "3pl", "grm", "gpcm")))
def test_eap_is_the_mean_of_the_posterior(case: tuple[ItemBank, list[int]]) -> None:
    bank, row = case

    def moment(power: int, about: float = 0.0) -> float:
        return float(
            quad(
                lambda t: (
                    (t - about) ** power * math.exp(log_likelihood(bank, row, t)) * norm.pdf(t)
                ),
                *(-8, 8),
                limit=200,
                points=[-1, 0, 1],
            )[0]
        )

    mean = moment(1) / moment(0)
    found = estimate_abilities(bank, answers(bank, [row]), uncertainty=False)
    assert found.ability[0, 0] == pytest.approx(mean, abs=1e-6)
    assert found.sd[0, 0] == pytest.approx(math.sqrt(moment(2, mean) / moment(0)), abs=1e-6)


@given(sittings())
def test_map_is_the_highest_point(case: tuple[ItemBank, list[int]]) -> None:
    bank, row = case
    best = minimize_scalar(
        lambda t: 0.5 * t**2 - log_likelihood(bank, row, t), bounds=(-6, 6), options={"xatol": 1e-9}
    )
    found = estimate_abilities(bank, answers(bank, [row]), "map", uncertainty=False)
    assert found.ability[0, 0] == pytest.approx(best.x, abs=1e-5)


@given(sittings())
def test_ml_is_where_the_score_is_zero_or_infinite(case: tuple[ItemBank, list[int]]) -> None:
    bank, row = case
    found = estimate_abilities(bank, answers(bank, [row]), "ml", uncertainty=False)
    ability, step = found.ability[0, 0], 1e-4
    if not is_mixed(bank, row):
        assert ability == (math.inf if row[0] else -math.inf)
        assert found.sd[0, 0] == math.inf
        assert (found.low[0, 0], found.high[0, 0]) == (-math.inf, math.inf)
        assert "no finite maximum" in found.remarks[0]
        return
    left, mid, right = (log_likelihood(bank, row, ability + s) for s in (-step, 0.0, step))
    # a slope of the likelihood in standard errors, and its curvature
    assert (right - left) / (2 * step) * found.sd[0, 0] == pytest.approx(0, abs=1e-5)
    assert found.sd[0, 0] == pytest.approx((-(right - 2 * mid + left) / step**2) ** -0.5, rel=1e-3)
    assert found.remarks == ("",)


def information_and_bias(item: Item, theta: float) -> tuple[float, float]:
    """``Σ P'²/P`` and ``Σ P' P''/P`` by difference quotients."""
    h = 1e-3
    left, mid, right = (probabilities(item, theta + s) for s in (-h, 0.0, h))
    first, second = (right - left) / (2 * h), (right - 2 * mid + left) / h**2
    return float((first**2 / mid).sum()), float((first * second / mid).sum())


@settings(max_examples=30)
@given(sittings(("2pl", "grm", "gpcm", "3pl"), most=6))
def test_wle_is_warms_root(case: tuple[ItemBank, list[int]]) -> None:
    bank, row = case

    def score(theta: float) -> float:
        h = 1e-4
        slope = (log_likelihood(bank, row, theta + h) - log_likelihood(bank, row, theta - h)) / (
            2 * h
        )
        parts = [information_and_bias(item, theta) for item in bank.items]
        return slope + sum(j for _, j in parts) / (2 * sum(i for i, _ in parts))

    found = estimate_abilities(bank, answers(bank, [row]), "wle", uncertainty=False)
    root, step = found.ability[0, 0], 1e-2
    assert math.isfinite(root)
    # with a lower asymptote there may be several roots: ours is one, where the score falls
    assert score(root - step) > 0 > score(root + step)
    assert brentq(score, root - step, root + step) == pytest.approx(root, abs=1e-4)
    falls = (score(root + step) - score(root - step)) / (2 * step)
    assert found.sd[0, 0] == pytest.approx((-falls) ** -0.5, rel=1e-2)


@given(
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
    st.floats(0.2, 1.5),
    st.sampled_from(["2pl", "grm", "gpcm"]),
)
def test_trials_of_a_cell_share_an_effect(counts: list[int], sd: float, model: Model) -> None:
    assume(sum(counts) > 1)
    d = (0.4,) if model == "2pl" else (0.8, -0.5)
    item = Item(
        "i", model, (1.3,), d, effect_sd=sd, categories="binary" if model == "2pl" else "three"
    )
    counts = counts[: len(d) + 1]
    assume(sum(counts) > 1)
    bank = bank_of(item)

    effects = np.linspace(-10, 10, 2001)

    def likelihood(theta: float) -> float:
        given_effect = np.prod(probabilities(item, theta, sd * effects) ** counts, axis=1)
        return float(given_effect @ norm.pdf(effects))

    nodes, weights = posteriors(bank, trials(bank, np.array([[counts]])), uncertainty=False)
    some = np.flatnonzero(np.abs(nodes[:, 0]) < 3)[::20]
    ours = np.log(weights[0, some]) + nodes[some, 0] ** 2 / 2
    brute = np.log([likelihood(float(t)) for t in nodes[some, 0]])
    np.testing.assert_allclose(ours - ours[0], brute - brute[0], atol=5e-3)


def test_wle_counts_the_outcomes_that_several_trials_can_have() -> None:
    item = Item("i", "2pl", (1.2,), (0.3,), effect_sd=1.0)
    bank = bank_of(item)
    n = 4
    x, weight = np.polynomial.hermite_e.hermegauss(61)
    weight = weight / weight.sum()

    def outcome(theta: float) -> Array:
        p = expit(item.slopes[0] * theta + item.intercepts[0] + x)
        return np.array(
            [math.comb(n, r) * weight @ (p**r * (1 - p) ** (n - r)) for r in range(n + 1)]
        )

    def score(theta: float, passes: int) -> float:
        h = 1e-3
        left, mid, right = (outcome(theta + s) for s in (-h, 0.0, h))
        first, second = (right - left) / (2 * h), (right - 2 * mid + left) / h**2
        bias = (first * second / mid).sum() / (2 * (first**2 / mid).sum())
        return float(first[passes] / mid[passes] + bias)

    counts = np.array([[[n - passes, passes]] for passes in range(n + 1)])
    found = estimate_abilities(bank, trials(bank, counts), "wle")
    for passes, ability in enumerate(found.ability[:, 0]):
        assert ability == pytest.approx(brentq(score, -9, 9, args=(passes,)), abs=1e-3)


@given(sittings(("2pl", "3pl", "grm", "gpcm")), st.floats(0.01, 0.5))
def test_one_trial_a_cell_gives_the_posterior_of_a_session(
    case: tuple[ItemBank, list[int]], variance: float
) -> None:
    bank, row = case
    bank = replace(
        bank,
        items=tuple(
            replace(item, covariance=np.diag(np.full(size, variance)).tolist(), effect_sd=0.3)
            for item in bank.items
            for size in [1 + len(item.intercepts) + (item.model == "3pl")]
        ),
    )
    weights = normalise(
        Prior().log_weights(bank.table.nodes)
        + bank.table.log_p[np.arange(len(row)), row].sum(axis=0)
    )
    session = Posterior(bank.table.nodes, weights)
    found = estimate_abilities(bank, answers(bank, [row]))
    # both lie on nodes of their own
    assert found.ability[0] == pytest.approx(session.mean, abs=1e-5)
    assert found.sd[0] == pytest.approx(session.sd, abs=1e-5)
    interval = session.interval(0.9)
    assert found.low[0, 0] == pytest.approx(interval.low, abs=2e-3)
    assert found.high[0, 0] == pytest.approx(interval.high, abs=2e-3)


def two_ability_bank(rng: np.random.Generator, n: int, **more: float) -> ItemBank:
    loads = np.array([[1, 0], [0, 1], [1, 1]])
    return bank_of(
        *(
            Item(
                f"i{k}",
                "2pl",
                tuple((rng.lognormal(0.1, 0.3, 2) * loads[k % 3]).tolist()),
                (float(rng.normal()),),
                **more,
            )
            for k in range(n)
        ),
        abilities=2,
        correlation=0.5,
    )


@pytest.mark.parametrize("n", [1, 3, 12, 60])
def test_two_abilities_against_a_dense_grid(n: int) -> None:
    rng = np.random.default_rng(n)
    bank = two_ability_bank(rng, n)
    matrix = rng.integers(0, 2, (8, n)).astype(float)
    matrix[0], matrix[1] = 0, 1
    matrix[2, n // 2 :] = np.nan
    axis = np.linspace(-6.5, 6.5, 261)
    nodes = np.array(list(itertools.product(axis, axis)))
    compiled = compile_bank(bank, nodes)
    prior = Prior(bank.mean, bank.sd, bank.correlation).log_weights(nodes)
    weights = normalise(
        np.array(
            [
                prior + compiled.log_p[seen, row[seen].astype(int)].sum(axis=0)
                for row in matrix
                for seen in [np.flatnonzero(~np.isnan(row))]
            ]
        )
    )
    mean, sd = moments(nodes, weights)
    found = estimate_abilities(bank, answers(bank, matrix))
    np.testing.assert_allclose(found.ability, mean, atol=1e-3)
    np.testing.assert_allclose(found.sd, sd, atol=1e-3)
    for a, d in itertools.product(range(8), range(2)):
        interval = Posterior(nodes, weights[a]).interval(0.9, d)
        # from three moments; without skewness it would be off by a tenth of an sd
        assert found.low[a, d] == pytest.approx(interval.low, abs=0.05 * sd[a, d])
        assert found.high[a, d] == pytest.approx(interval.high, abs=0.05 * sd[a, d])


@pytest.mark.parametrize("abilities", [2, 3])
def test_several_abilities_have_their_mode_and_curvature(abilities: int) -> None:
    rng = np.random.default_rng(abilities)
    slopes = rng.lognormal(0, 0.3, (40, abilities)) * (rng.random((40, abilities)) < 0.6)
    slopes[:, 0] += 0.3
    bank = bank_of(
        *(
            Item(f"i{k}", "2pl", tuple(a), (float(rng.normal()),))
            for k, a in enumerate(slopes.tolist())
        ),
        abilities=abilities,
        correlation=0.3,
    )
    matrix = rng.integers(0, 2, (5, 40))
    d = np.array([item.intercepts[0] for item in bank.items])
    precision = np.linalg.inv(Prior(bank.mean, bank.sd, bank.correlation).covariance)
    found = estimate_abilities(bank, answers(bank, matrix), "map")
    for row, ability, sd in zip(matrix, found.ability, found.sd, strict=True):

        def loss(theta: Array, row: Array = row) -> float:
            z = slopes @ theta + d
            return float(np.logaddexp(0, z).sum() - row @ z + theta @ precision @ theta / 2)

        best = minimize(loss, np.zeros(abilities), tol=1e-10)
        np.testing.assert_allclose(ability, best.x, atol=1e-4)
        p = expit(slopes @ best.x + d)
        curvature = (slopes.T * (p * (1 - p))) @ slopes + precision
        np.testing.assert_allclose(sd, np.sqrt(np.diag(np.linalg.inv(curvature))), rtol=1e-4)


def test_of_several_abilities_only_some_may_be_infinite_or_unknown() -> None:
    one = [Item(f"x{k}", "2pl", (1.2, 0.0), (0.3 * k - 0.5,)) for k in range(4)]
    other = [Item(f"y{k}", "2pl", (0.0, 0.9), (0.4 - 0.3 * k,)) for k in range(4)]
    bank = bank_of(*one, *other, abilities=2)
    nan = math.nan
    found = estimate_abilities(
        bank,
        answers(
            bank, [[1, 1, 1, 1, 0, 1, 0, 1], [1, 0, 1, 0, nan, nan, nan, nan], [0] * 4 + [1] * 4]
        ),
        "ml",
    )
    assert found.ability[0, 0] == math.inf
    assert math.isfinite(found.ability[0, 1])
    assert math.isfinite(found.ability[1, 0])
    assert math.isnan(found.ability[1, 1])
    assert found.ability[2].tolist() == [-math.inf, math.inf]
    assert found.remarks == (
        "no finite maximum: the likelihood rises for ever towards high ability 1",
        "undefined: no answer tells of ability 2",
        "no finite maximum: the likelihood rises for ever towards low ability 1 and high ability 2",
    )
    # the finite ability is that of its own items
    alone = bank_of(*(replace(item, slopes=item.slopes[1:]) for item in other))
    expected = estimate_abilities(alone, answers(alone, [[0, 1, 0, 1]]), "ml")
    assert found.ability[0, 1] == pytest.approx(expected.ability[0, 0], abs=1e-6)
    assert found.sd[0, 1] == pytest.approx(expected.sd[0, 0], abs=1e-6)


def test_guessing_can_make_the_lowest_ability_the_likeliest() -> None:
    # right on the hard items and wrong on the easy ones: luck explains it best
    bank = bank_of(*(Item(f"i{k}", "3pl", (2.0,), (6.0 - 2 * k,), lower=0.25) for k in range(6)))
    found = estimate_abilities(bank, answers(bank, [[0, 0, 0, 0, 1, 1]]), "ml")
    assert found.ability[0, 0] == -math.inf
    assert math.isfinite(
        estimate_abilities(bank, answers(bank, [[0, 0, 0, 0, 1, 1]]), "wle").ability[0, 0]
    )


# --- properties -------------------------------------------------------------------------------


@given(sittings(("2pl", "3pl", "grm", "gpcm")), st.sampled_from(ALL), st.randoms())
def test_the_order_of_answers_does_not_matter(
    case: tuple[ItemBank, list[int]], method: Method, random: object
) -> None:
    bank, row = case
    order = list(range(len(row)))
    random.shuffle(order)  # type: ignore[attr-defined]
    responses = answers(bank, [row])
    shuffled = replace(
        responses,
        agent=responses.agent[order],
        item=responses.item[order],
        category=responses.category[order],
    )
    first, second = (estimate_abilities(bank, r, method) for r in (responses, shuffled))
    np.testing.assert_allclose(first.ability, second.ability, atol=1e-8)
    np.testing.assert_allclose(first.sd, second.sd, rtol=1e-6)


@given(sittings(("2pl", "3pl")), items(("2pl", "3pl"), "more"), st.sampled_from(["eap", "map"]))
def test_a_right_answer_never_lowers_ability(
    case: tuple[ItemBank, list[int]], item: Item, method: Method
) -> None:
    bank, row = case
    more = replace(bank, items=(*bank.items, item))
    found = estimate_abilities(
        more, answers(more, [[*row, math.nan], [*row, 0], [*row, 1]]), method
    )
    before, wrong, right = found.ability[:, 0]
    assert wrong <= before + 1e-9
    assert right >= before - 1e-9


@given(sittings(("2pl",)), st.sampled_from(ALL))
def test_a_graded_item_of_two_categories_is_a_2pl(
    case: tuple[ItemBank, list[int]], method: Method
) -> None:
    bank, row = case
    for model in ("grm", "gpcm"):
        other = replace(bank, items=tuple(replace(i, model=model) for i in bank.items))
        one, two = (estimate_abilities(b, answers(b, [row]), method) for b in (bank, other))
        np.testing.assert_allclose(one.ability, two.ability, atol=1e-7)
        np.testing.assert_allclose(one.sd, two.sd, rtol=1e-6)


@given(sittings(("2pl", "3pl", "grm", "gpcm")))
def test_agents_do_not_change_each_other(case: tuple[ItemBank, list[int]]) -> None:
    bank, row = case
    matrix = [row, [0] * len(row), [math.nan] * len(row)]
    for method in ALL:
        together = estimate_abilities(bank, answers(bank, matrix), method)
        alone = estimate_abilities(bank, answers(bank, [row]), method)
        np.testing.assert_allclose(together.ability[0], alone.ability[0], atol=1e-7)
        np.testing.assert_allclose(together.sd[0], alone.sd[0], rtol=1e-5)


def test_with_many_items_the_methods_agree() -> None:
    rng = np.random.default_rng(3)
    bank = drawn_bank(rng, 2000)
    theta = np.linspace(-2, 2, 9)
    responses = simulate(bank, theta, rng)
    found = {method: estimate_abilities(bank, responses, method) for method in ALL}
    for method in ALL[1:]:
        # the sd is 0.05 to 0.1
        np.testing.assert_allclose(found[method].ability, found["eap"].ability, atol=0.02)
        np.testing.assert_allclose(found[method].sd, found["eap"].sd, rtol=0.03)


def test_an_agent_without_answers_is_told_of() -> None:
    bank = bank_of(Item("i", "2pl", (1.0,), (0.0,)))
    responses = answers(bank, [[1.0], [math.nan]])
    for method in ("eap", "map"):
        found = estimate_abilities(bank, responses, method, prior=Prior((0.5,), (2.0,)))
        assert found.ability[1, 0] == pytest.approx(0.5, abs=1e-6)
        assert found.sd[1, 0] == pytest.approx(2.0, rel=1e-4)
        assert found.remarks[1] == "no answer: this is the prior"
    for method in ("ml", "wle"):
        found = estimate_abilities(bank, responses, method)
        assert math.isnan(found.ability[1, 0])
        assert found.remarks[1] == "no answer"
    assert found.items.tolist() == [1, 0]
    assert found.score[0] == 1
    assert math.isnan(found.score[1])


def test_a_prior_far_from_the_answers_is_followed() -> None:
    bank = bank_of(*(Item(f"i{k}", "2pl", (2.0,), (0.0,)) for k in range(40)))
    responses = answers(bank, [[1, 0] * 20])
    for prior in (Prior((8.0,), (0.2,)), Prior((0.0,), (30.0,))):
        nodes = np.linspace(-12, 12, 24001)[:, None]
        weights = normalise(
            prior.log_weights(nodes)[None] + 20 * compile_bank(bank, nodes).log_p[0].sum(axis=0)
        )
        mean, sd = moments(nodes, weights)
        found = estimate_abilities(bank, responses, prior=prior)
        assert found.ability[0, 0] == pytest.approx(mean[0, 0], abs=1e-5)
        assert found.sd[0, 0] == pytest.approx(sd[0, 0], rel=1e-4)


# --- simulation -------------------------------------------------------------------------------


def simulate(
    bank: ItemBank, theta: Array, rng: np.random.Generator, attempts: int = 1
) -> Responses:
    """Binary answers of agents, their effects drawn anew; ``theta`` is ``(A,)`` or ``(A, D)``."""
    theta = theta.reshape(len(theta), -1)
    z = theta @ np.array([item.slopes for item in bank.items]).T
    z += np.array([item.intercepts[0] for item in bank.items])
    z += rng.normal(size=z.shape) * np.array([item.effect_sd for item in bank.items])
    passes = rng.binomial(attempts, expit(z))
    return trials(bank, np.stack([attempts - passes, passes], axis=2))


def coverage(low: Array, high: Array, true: Array) -> float:
    return float(((low <= true) & (true <= high)).mean())


def test_recovery_and_coverage() -> None:
    """Of 2000 agents drawn from the prior the standard error of a coverage of 90% is 0.7%."""
    rng = np.random.default_rng(5)
    bank = drawn_bank(rng, 40)
    theta = rng.normal(size=2000)
    responses = simulate(bank, theta, rng)
    rmse = {}
    for method in ALL:
        found = estimate_abilities(bank, responses, method)
        ability = found.ability[:, 0]
        finite = np.isfinite(ability)
        assert finite.mean() > 0.98
        error = (ability - theta)[finite]
        rmse[method] = math.sqrt((error**2).mean())
        # the standard errors tell the size of the errors
        assert (error / found.sd[finite, 0]).std() == pytest.approx(1, abs=0.06)
        assert coverage(found.low[:, 0], found.high[:, 0], theta) == pytest.approx(0.9, abs=0.02)
        if method in ("eap", "wle"):
            assert abs(error.mean()) < 0.03
    assert rmse["eap"] == min(rmse.values())
    assert rmse["wle"] < rmse["ml"]


def test_coverage_of_two_abilities() -> None:
    """Of 1500 agents the standard error of a coverage of 90% is 0.8% for each ability."""
    rng = np.random.default_rng(6)
    bank = two_ability_bank(rng, 45)
    theta = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 1500)
    found = estimate_abilities(bank, simulate(bank, theta, rng))
    for d in range(2):
        inside = coverage(found.low[:, d], found.high[:, d], theta[:, d])
        assert inside == pytest.approx(0.9, abs=0.025)


def test_uncertain_items_and_effects_widen_intervals_as_much_as_they_should() -> None:
    """12 banks of true items around one calibrated bank, 100 agents each, five trials a cell.

    The standard error of the coverage is 1.2%: agents of a bank share its items. Measured are 90%;
    87% with items taken as known; 68% with trials taken as independent, too.
    """
    rng = np.random.default_rng(7)
    spread = ((0.04, 0.0), (0.0, 0.3))
    bank = replace(
        drawn_bank(rng, 30, effect_sd=1.0),
        items=tuple(
            replace(item, covariance=spread) for item in drawn_bank(rng, 30, effect_sd=1.0).items
        ),
    )
    alone = replace(bank, items=tuple(replace(i, effect_sd=0.0) for i in bank.items))
    inside: dict[str, list[float]] = {"honest": [], "known items": [], "independent trials": []}
    for _ in range(12):
        change = rng.multivariate_normal([0, 0], spread, 30)
        true = replace(
            bank,
            items=tuple(
                replace(
                    item,
                    slopes=(item.slopes[0] * math.exp(log_a),),
                    intercepts=(item.intercepts[0] + d,),
                )
                for item, (log_a, d) in zip(bank.items, change.tolist(), strict=True)
            ),
        )
        theta = rng.normal(size=100)
        responses = simulate(true, theta, rng, attempts=5)
        for name, used, uncertainty in (
            ("honest", bank, True),
            ("known items", bank, False),
            ("independent trials", alone, False),
        ):
            found = estimate_abilities(used, responses, uncertainty=uncertainty)
            inside[name].append(coverage(found.low[:, 0], found.high[:, 0], theta))
    means = {name: float(np.mean(values)) for name, values in inside.items()}
    assert means["honest"] == pytest.approx(0.9, abs=0.03)
    assert means["independent trials"] < means["known items"] < means["honest"]


@pytest.mark.parametrize("abilities", [1, 2])
def test_draws_have_the_moments_of_the_posterior(abilities: int) -> None:
    """Of 20000 draws the standard error of a mean is 0.7% of an sd, that of an sd 0.5%."""
    rng = np.random.default_rng(8)
    bank = drawn_bank(rng, 15) if abilities == 1 else two_ability_bank(rng, 15)
    responses = answers(bank, rng.integers(0, 2, (4, 15)))
    found = estimate_abilities(bank, responses)
    draws = draw_abilities(bank, responses, 20_000, seed=1)
    assert draws.shape == (20_000, 4, abilities)
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - found.ability) / found.sd, 0.03)
    np.testing.assert_allclose(draws.std(axis=0), found.sd, rtol=0.025)
    np.testing.assert_allclose(
        np.quantile(draws, [0.05, 0.95], axis=0), [found.low, found.high], atol=0.05
    )
    np.testing.assert_array_equal(draws, draw_abilities(bank, responses, 20_000, seed=1))
    assert (draws != draw_abilities(bank, responses, 20_000, seed=2)).all()


def test_true_abilities_are_like_draws() -> None:
    """Simulation-based calibration (Talts et al. 2018): ranks of truths among draws are uniform."""
    rng = np.random.default_rng(9)
    bank = drawn_bank(rng, 20, lower=0.15)
    theta = rng.normal(size=600)
    z = theta[:, None] * [i.slopes[0] for i in bank.items] + [i.intercepts[0] for i in bank.items]
    responses = answers(bank, rng.random(z.shape) < 0.15 + 0.85 * expit(z))
    draws = draw_abilities(bank, responses, 999, seed=3)
    ranks = (draws[:, :, 0] < theta).mean(axis=0)
    assert kstest(ranks, "uniform").pvalue > 0.01


# --- bad input --------------------------------------------------------------------------------


def test_what_cannot_be_estimated_is_refused() -> None:
    bank = bank_of(Item("i", "2pl", (1.0,), (0.0,)))
    two = bank_of(Item("i", "2pl", (1.0, 0.5), (0.0,)), abilities=2)
    good = answers(bank, [[1]])
    cases: list[tuple[type[HarnessError], str, object]] = [
        (
            ResponsesError,
            "item 'j' is not in bank 'b'",
            lambda: estimate_abilities(bank, from_matrix([[1]], items=["j"])),
        ),
        (
            ResponsesError,
            "category 2, but the bank has 0..1",
            lambda: estimate_abilities(bank, answers(bank, [[2]])),
        ),
        (PlanError, "defined for one ability", lambda: estimate_abilities(two, good, "wle")),
        (
            PlanError,
            "the prior is over 1 abilities",
            lambda: estimate_abilities(two, good, prior=Prior()),
        ),
        (PlanError, "level", lambda: estimate_abilities(bank, good, level=1.0)),
        (PlanError, "at least one draw", lambda: draw_abilities(bank, good, 0, seed=0)),
        (PlanError, "one ability", lambda: posteriors(two, good)),
        (
            PlanError,
            "too wide",
            lambda: estimate_abilities(bank, good, prior=Prior((0.0,), (1e9,))),
        ),
    ]
    for error, message, call in cases:
        with pytest.raises(error, match=message):
            call()  # type: ignore[operator]


def test_wle_refuses_cells_with_too_many_outcomes() -> None:
    item = Item("i", "grm", (1.0,), (1.0, 0.0, -1.0), categories="four", effect_sd=0.5)
    bank = bank_of(item)
    responses = trials(bank, np.array([[[10, 10, 10, 10]]]))
    with pytest.raises(PlanError, match="40 trials in 4 categories"):
        estimate_abilities(bank, responses, "wle")
    assert math.isfinite(estimate_abilities(bank, responses, "map").ability[0, 0])


# --- the command ------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Responses and bank: six agents, one of them perfect, on some of twelve items."""
    rng = np.random.default_rng(10)
    bank = drawn_bank(rng, 12)
    save_bank(bank, tmp_path / "bank")
    lines = ["agent,item,trial,score"]
    for agent, item in itertools.product(range(6), range(10)):
        for trial in range(1 + agent % 2):
            lines.append(f"[b]agent{agent},i{item},{trial},{int(agent == 0 or rng.random() < 0.5)}")
    path = tmp_path / "responses.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, tmp_path / "bank"


def test_the_command_sorts_agents_by_ability(files: tuple[Path, Path]) -> None:
    path, bank = files
    done = run(path, "--bank", bank, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    found = [agent["ability"][0] for agent in facts["agents"]]
    assert found == sorted(found, reverse=True)
    first = facts["agents"][0]
    assert (first["agent"], first["items"], first["score"]) == ("[b]agent0", 10, 1.0)
    # ten of twelve items are right for certain
    assert first["bank_low"] >= 10 / 12 - 1e-9
    shown = run(path, "--bank", bank).stdout
    assert "[b]agent0" in shown
    assert shown.index("[b]agent0") < shown.index("[b]agent1")


def test_what_is_infinite_is_null_with_a_remark(files: tuple[Path, Path]) -> None:
    path, bank = files
    done = run(path, "--bank", bank, "--method", "ml", "--json")
    first = json.loads(done.stdout)["agents"][0]
    assert first["ability"] == [None]
    assert "no finite maximum" in first["remark"]
    assert "inf" in run(path, "--bank", bank, "--method", "ml").stdout


def test_the_command_writes_a_table_or_draws(files: tuple[Path, Path], tmp_path: Path) -> None:
    path, bank = files
    out = tmp_path / "new" / "abilities.csv"
    assert run(path, "--bank", bank, "--out", out).exit_code == 0
    rows = table(out)
    assert len(rows) == 6
    assert list(rows[0])[:7] == ["agent", "items", "answers", "ability", "sd", "low", "high"]
    assert run(path, "--bank", bank, "--draws", 7, "--seed", 3, "--out", out).exit_code == 0
    draws = table(out)
    assert len(draws) == 42
    assert list(draws[0]) == ["agent", "draw", "ability"]
    again = tmp_path / "again.csv"
    run(path, "--bank", bank, "--draws", 7, "--seed", 3, "--out", again)
    assert again.read_text() == out.read_text()


def test_two_abilities_have_two_columns(tmp_path: Path) -> None:
    bank = two_ability_bank(np.random.default_rng(11), 6)
    save_bank(bank, tmp_path / "bank")
    path = tmp_path / "responses.csv"
    path.write_text("agent,item,score\n" + "\n".join(f"a,i{k},{k % 2}" for k in range(6)))
    out = tmp_path / "out.csv"
    done = run(path, "--bank", tmp_path / "bank", "--out", out)
    assert done.exit_code == 0, done.output
    assert "ability 2" in done.stdout
    assert {"ability1", "ability2", "sd1", "sd2"} <= set(table(out)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--draws", "5"], "--draws needs --out"),
        (["--prior", "0"], "--prior is auto, parts"),
        (["--prior", "0,-1"], "sd > 0"),
        (["--out", "/proc/none/x.csv"], "cannot be written"),
    ],
)
def test_bad_options(files: tuple[Path, Path], options: list[str], message: str) -> None:
    path, bank = files
    done = run(path, "--bank", bank, *options)
    assert isinstance(done.exception, HarnessError)
    assert message in str(done.exception)
