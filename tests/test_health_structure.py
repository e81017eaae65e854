"""Items that depend on each other, and the number of abilities."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal, norm

from harness.bank import Item, ItemBank
from harness.health.evidence import About, Evidence, gather
from harness.health.structure.correlations import bivariate_normal, polychoric
from harness.health.structure.dependence import analyse_dependence
from harness.health.structure.dimensions import analyse_dimensions
from harness.health.structure.factors import fit_another, fit_one
from harness.health.structure.q3 import q3
from harness.health.structure.replicate import replicate, residuals_of, set_aside
from harness.irt import Array
from harness.report.health.structure import dependence_section, dimensions_section
from harness.report.sections import Pair, Plot
from harness.responses import Responses, from_matrix

A, N = 60, 120


def drawn(seed: int, second: float = 0.0, agents: int = A, items: int = N) -> tuple[Array, Array]:
    """Outcomes and slopes and difficulties ``(n, 2)``; a share of items needs another ability."""
    rng = np.random.default_rng(seed)
    a, b = rng.lognormal(0.7, 0.35, items), rng.normal(0.2, 1.0, items)
    theta = rng.normal(size=(agents, 2)) @ np.array([[1, 0.5], [0, np.sqrt(0.75)]])
    which = (np.arange(items) < second * items).astype(int)
    p = 1 / (1 + np.exp(-a * (theta[:, which] - b)))
    return (rng.random(p.shape) < p).astype(float), np.column_stack([a, b])


def evidence_of(
    outcomes: Array, items: Array, tags: dict[str, list[str]] | None = None
) -> Evidence:
    """Under the parameters that drew the outcomes, which saves the calibration."""
    responses = from_matrix(outcomes)
    bank = ItemBank(
        "true",
        tuple(
            Item(name, "2pl", (float(a),), (float(-a * b),))
            for name, (a, b) in zip(responses.items, items, strict=True)
        ),
    )
    about = {
        name: {tag: values[i] for tag, values in (tags or {}).items()}
        for i, name in enumerate(responses.items)
    }
    return gather(responses, bank, About({}, about))


# --- Q3 ---------------------------------------------------------------------------------------


def test_q3_is_that_of_the_reference(shared_refs: Path) -> None:
    folder = shared_refs / "fit_statistics"

    def table(path: Path, width: int) -> Array:
        return np.asarray(np.genfromtxt(path, delimiter=",", skip_header=1)).reshape(-1, width)

    x = table(shared_refs / "simulated" / "a_2pl_responses.csv.gz", 50)
    items = table(folder / "items_irtpars.csv", 5)[:, 1:3]
    nodes = np.linspace(-6, 6, 61)
    p = 1 / (1 + np.exp(-items[:, :1] * (nodes - items[:, 1:])))
    log = x @ np.log(p) + (1 - x) @ np.log(1 - p) + norm.logpdf(nodes)
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    ability = weights @ nodes / weights.sum(axis=1)
    expected = 1 / (1 + np.exp(-items[:, 0] * (ability[:, None] - items[:, 1])))
    reference = table(folder / "Q3_matrix.csv.gz", 51)[:, 1:]
    assert np.abs(q3(x, expected) - reference).max() < 1e-6


@given(st.integers(0, 10_000))
def test_q3_is_the_correlation_over_shared_agents(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, expected = rng.integers(0, 3, (12, 4)) / 2, rng.random((12, 4))
    score[rng.random(score.shape) < 0.3] = np.nan
    found = q3(score, expected)
    for i in range(4):
        for j in range(i):
            both = ~np.isnan(score[:, i] + score[:, j])
            r = (score - expected)[both][:, [i, j]]
            if len(r) < 3:
                assert np.isnan(found[i, j])
            else:
                truth = np.asarray(np.corrcoef(r.T))
                assert found[i, j] == pytest.approx(truth[0, 1], abs=1e-9)


# --- polychoric -------------------------------------------------------------------------------


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-0.97, 0.97))
def test_bivariate_normal(h: float, k: float, rho: float) -> None:
    truth = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([h, k])
    found = bivariate_normal(np.array(h), np.array(k), np.array(rho))
    assert float(found) == pytest.approx(truth, abs=1e-5)


def counts_of(categories: Array, top: int) -> Array:
    return np.asarray(categories[:, :, None] == np.arange(top), float)


@pytest.mark.parametrize("top", [2, 4])
def test_polychoric_is_the_maximum_of_the_likelihood(top: int) -> None:
    rng = np.random.default_rng(top)
    z = rng.multivariate_normal(np.zeros(3), [[1, 0.6, -0.3], [0.6, 1, 0.1], [-0.3, 0.1, 1]], 300)
    x = np.digitize(z, np.linspace(-0.7, 0.9, top - 1)).astype(float)
    x[rng.random(x.shape) < 0.1] = -1
    found = polychoric(counts_of(x, top))
    edges = []
    for i in range(3):
        known = x[x[:, i] >= 0, i]
        upto = [np.mean(known <= k) for k in range(top - 1)]
        edges.append(np.concatenate([[-8], norm.ppf(upto), [8]]))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = (x[:, i] >= 0) & (x[:, j] >= 0)

        def minus(rho: float, i: int = i, j: int = j, both: NDArray[np.bool_] = both) -> float:
            law = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
            total = 0.0
            for k in range(top):
                for m in range(top):
                    n = np.count_nonzero((x[both, i] == k) & (x[both, j] == m))
                    corners = [
                        law.cdf([edges[i][k + u], edges[j][m + v]]) for u in (1, 0) for v in (1, 0)
                    ]
                    p = corners[0] - corners[1] - corners[2] + corners[3]
                    total -= n * np.log(max(p, 1e-12))
            return total

        best = minimize_scalar(minus, bounds=(-0.98, 0.98), method="bounded").x
        assert found[i, j] == pytest.approx(best, abs=2e-3)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_polychoric_turns_with_an_item(seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 3, (40, 4)).astype(float)
    turned = x.copy()
    turned[:, 0] = 2 - x[:, 0]
    before, after = polychoric(counts_of(x, 3)), polychoric(counts_of(turned, 3))
    assert np.allclose(after[0, 1:], -before[0, 1:], atol=1e-4, equal_nan=True)
    assert np.allclose(after[1:, 1:], before[1:, 1:], equal_nan=True)


def test_polychoric_of_an_item_with_one_category_is_unknown() -> None:
    x = np.random.default_rng(0).integers(0, 2, (30, 3)).astype(float)
    x[:, 1] = 1
    found = polychoric(counts_of(x, 2))
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[0, 2])


# --- replicates -------------------------------------------------------------------------------


def test_replicates_have_the_moments_and_cells_of_the_model() -> None:
    outcomes, items = drawn(3, agents=20, items=15)
    outcomes[np.random.default_rng(0).random(outcomes.shape) < 0.2] = np.nan
    evidence = evidence_of(outcomes, items)
    rng = np.random.default_rng(1)
    total = np.zeros(evidence.counts.shape)
    rounds = 800
    for _ in range(rounds):
        counts = replicate(evidence, rng)
        assert np.array_equal(counts.sum(axis=2), evidence.trials)
        total += counts
    mean = total[:, :, 1] / rounds
    away = (mean - evidence.expected_score)[evidence.trials > 0]
    assert np.abs(away).max() < 5 * 0.5 / np.sqrt(rounds)


def test_residuals_are_those_of_the_evidence() -> None:
    outcomes, items = drawn(4, agents=20, items=15)
    evidence = evidence_of(outcomes, items)
    found = residuals_of(evidence, evidence.counts)
    assert np.allclose(found.residual, evidence.score - evidence.expected_score)
    assert np.allclose(found.variance, evidence.score_variance)


def test_an_agent_unlike_all_others_is_set_aside() -> None:
    outcomes, items = drawn(5)
    assert set_aside(evidence_of(outcomes, items))[1] == ()
    # it solves what is hard and fails what is easy
    outcomes[7] = items[:, 1] > 0.2
    kept, names = set_aside(evidence_of(outcomes, items))
    assert names == ("agent7",)
    assert kept.score.shape == (A - 1, N)
    assert "agent7" in " ".join(analyse_dimensions(evidence_of(outcomes, items)).cautions)


# --- dependence -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_duplicates_are_found_and_nothing_else(seed: int) -> None:
    outcomes, items = drawn(seed)
    clean = analyse_dependence(evidence_of(outcomes, items))
    assert not clean.flags
    assert not clean.clusters
    assert clean.information.share == pytest.approx(1.0)
    rng = np.random.default_rng(seed)
    middling = np.flatnonzero(np.abs(outcomes.mean(axis=0) - 0.5) < 0.3)
    pairs = rng.choice(middling, (4, 2), replace=False)
    for source, copy in pairs:
        redrawn = rng.random(A) < 0.07
        outcomes[:, copy] = np.where(redrawn, rng.random(A) < 0.5, outcomes[:, source])
        items[copy] = items[source]
    found = analyse_dependence(evidence_of(outcomes, items))
    planted = {frozenset((f"item{i}", f"item{j}")) for i, j in pairs}
    flagged = {frozenset(flag.names) for flag in found.flags if flag.kind == "duplicate"}
    assert len(planted & flagged) >= 3
    assert flagged <= planted
    assert N - 12 < found.information.effective_items < N - 1


def test_a_test_given_twice_tells_as_much_as_once() -> None:
    outcomes, items = drawn(11, agents=150, items=40)
    outcomes, items = np.tile(outcomes, 2), np.tile(items, (2, 1))
    found = analyse_dependence(evidence_of(outcomes, items))
    # a little less: chance links pairs of pairs into clusters
    assert 30 < found.information.effective_items < 44


def test_items_of_one_scenario_are_found_and_shuffled_labels_are_not() -> None:
    rng = np.random.default_rng(2)
    items = np.column_stack([np.full(60, 1.8), rng.normal(0, 0.8, 60)])
    scenario = np.arange(60) // 3
    logit = items[:, 0] * (rng.normal(size=(40, 1)) - items[:, 1])
    logit += 1.5 * rng.normal(size=(40, 20))[:, scenario]
    outcomes = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    labels = [f"s{s}" for s in scenario]
    tags = {"scenario": labels, "shuffled": list(rng.permutation(labels))}
    found = analyse_dependence(evidence_of(outcomes, items, tags))
    q = {row.name: row.q for row in found.attributes}
    assert q["scenario"] < 0.05 < q["shuffled"]
    assert ("scenario",) in [flag.names for flag in found.flags]
    assert found.information.share < 0.95
    row = next(row for row in found.attributes if row.name == "scenario")
    assert row.pairs == 60
    assert row.low < row.difference < row.high


def test_a_cluster_is_found_whole() -> None:
    outcomes, items = drawn(6)
    rng = np.random.default_rng(6)
    members = np.flatnonzero(np.abs(outcomes.mean(axis=0) - 0.5) < 0.25)[:8]
    skill = rng.random((A, 1)) < 0.5
    outcomes[:, members] = np.where(rng.random((A, 8)) < 0.8, skill, outcomes[:, members])
    found = analyse_dependence(evidence_of(outcomes, items))
    names = {f"item{i}" for i in members}
    assert any(len(names & set(cluster.items)) >= 7 for cluster in found.clusters)
    assert all(set(flag.names) <= names for flag in found.flags)
    assert set(found.order) == {f"item{i}" for i in range(N)} - _untested(outcomes)


def _untested(outcomes: Array) -> set[str]:
    few = np.minimum(outcomes.sum(axis=0), (1 - outcomes).sum(axis=0)) < 2
    return {f"item{i}" for i in np.flatnonzero(few)}


# --- dimensions -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_a_second_ability_is_found_where_there_is_one(seed: int) -> None:
    outcomes, items = drawn(seed, second=0.5)
    half = ["one" if i < N / 2 else "two" for i in range(N)]
    # slopes and difficulties of the first ability are near enough for the second one's items
    two = analyse_dimensions(evidence_of(outcomes, items, {"half": half}))
    assert two.second
    assert [flag.kind for flag in two.flags] == ["second dimension"]
    assert two.by_tag[0].attribute == "half"
    assert two.by_tag[0].q < 0.01
    assert two.by_tag[0].explained > 0.3
    one = analyse_dimensions(evidence_of(*drawn(seed)))
    assert not one.second
    assert not one.flags


def test_polychoric_eigenvalues_are_shown_where_agents_outnumber_items() -> None:
    found = analyse_dimensions(evidence_of(*drawn(8, agents=150, items=20)))
    assert found.polychoric is not None
    observed = np.array(found.polychoric.observed)
    assert observed[0] > 4 * observed[1]
    assert observed[0] == pytest.approx(found.polychoric.simulated[0], rel=0.15)


def test_two_factors_predict_held_out_cells_of_two_abilities_better() -> None:
    for second, better in ((0.5, True), (0.0, False)):
        score, _ = drawn(9, second=second)
        kept = (np.random.default_rng(0).random(score.shape) < 0.8).astype(float)
        one = fit_one(score, kept)
        two = fit_another(score, kept, one)
        held = kept == 0
        gain = [
            float(np.log(np.where(score == 1, f.predict(), 1 - f.predict()))[held].mean())
            for f in (one, two)
        ]
        assert (gain[1] > gain[0] + 0.005) == better
        base = float(
            np.log(np.where(score == 1, score.mean(0), 1 - score.mean(0)) + 1e-3)[held].mean()
        )
        assert gain[0] > base


# --- whatever comes ---------------------------------------------------------------------------


def awkward(kind: str) -> Responses:
    rng = np.random.default_rng(0)
    if kind == "missing":
        x, _ = drawn(1, agents=15, items=20)
        x[rng.random(x.shape) < 0.4] = np.nan
        return from_matrix(x)
    if kind == "ordinal":
        top = rng.integers(2, 6, 20)
        level = rng.normal(size=(20, 1)) + rng.normal(size=(20, 20))
        x = np.clip(np.round((level + 2) / 4 * (top - 1)), 0, top - 1)
        x[:, 3] = np.where(x[:, 3] == 1, 0, x[:, 3])
        return from_matrix(x, n_categories=[int(k) for k in top])
    if kind == "repeated":
        x, _ = drawn(1, agents=15, items=12)
        once = from_matrix(x)
        again = from_matrix((rng.random(x.shape) < 0.5 * x + 0.25).astype(float))
        return replace(
            once,
            agent=np.concatenate([once.agent, again.agent]),
            item=np.concatenate([once.item, again.item]),
            category=np.concatenate([once.category, again.category]),
            trial=np.repeat([0, 1], x.size),
            usd=np.tile(once.usd, 2),
            seconds=np.tile(once.usd, 2),
            tokens=np.tile(once.usd, 2),
            turns=np.tile(once.usd, 2),
        )
    if kind == "solved":
        return from_matrix(np.ones((8, 9)))
    if kind == "constant agents":
        x = np.zeros((12, 12))
        x[:6] = 1
        return from_matrix(x)
    agents = int(kind)
    return from_matrix(drawn(1, agents=agents, items=15)[0])


@pytest.mark.parametrize(
    "kind",
    ["2", "3", "5", "15", "missing", "ordinal", "repeated", "solved", "constant agents"],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_nothing_breaks_it(kind: str) -> None:
    evidence = gather(awkward(kind))
    dependence, dimensions = analyse_dependence(evidence), analyse_dimensions(evidence)
    if kind in ("2", "3", "5", "solved"):
        assert not dependence.flags
        assert not dimensions.flags
        assert dependence.cautions
        assert dimensions.cautions
    for section in (
        dependence_section(dependence, evidence),
        dimensions_section(dimensions, evidence),
    ):
        assert section.finding
        assert "nan" not in section.finding


def test_the_same_seed_finds_the_same() -> None:
    evidence = evidence_of(*drawn(2, agents=30, items=40))
    assert analyse_dimensions(evidence, 4) == analyse_dimensions(evidence, 4)
    one, two = (analyse_dependence(evidence, 4) for _ in range(2))
    assert one.strongest == two.strongest
    assert one.order == two.order


def test_sections_show_plots_of_bearable_size() -> None:
    outcomes, items = drawn(1, second=0.5, items=150)
    values = [f"a rather long name of a category {i % 15}" for i in range(150)]
    evidence = evidence_of(outcomes, items, {"category": values})
    parts = (
        *dependence_section(analyse_dependence(evidence), evidence).parts,
        *dimensions_section(analyse_dimensions(evidence), evidence).parts,
    )
    plots = [plot for part in parts for plot in (part.plots if isinstance(part, Pair) else (part,))]
    svgs = [svg for plot in plots if isinstance(plot, Plot) for svg in (plot.wide, plot.narrow)]
    assert len(svgs) >= 6
    assert all(svg.startswith("<svg") and len(svg) < 150_000 for svg in svgs)
