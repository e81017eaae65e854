"""Person fit against mirt and a bootstrap; planted agents found, clean ones left alone."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from harness.bank import Item, ItemBank
from harness.health.agents.analysis import AgentsFit, analyse_agents
from harness.health.agents.person_fit import cusum, person_fit
from harness.health.evidence import About, Evidence, gather
from harness.irt import Array
from harness.report.health.agents import agents_section
from harness.report.sections import Plot
from harness.responses import from_matrix

N_AGENTS, N_ITEMS = 40, 150
CREATED = ("2023-05-01", "2025-05-01")
CUTOFF = "2024-01-01"

Change = Callable[[Array, Array, np.random.Generator], None]


def world(seed: int, change: Change | None = None, *, fitted: bool = False) -> Evidence:
    """The first agent is changed: ``change(its outcomes, difficulty, rng)``. Items have tags k0 to
    k5 in turn, and every other one is old."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0.7, 0.35, N_ITEMS))
    b = rng.normal(0.2, 1.4, N_ITEMS)
    ability = rng.standard_normal(N_AGENTS)
    ability[0] = 1.0
    z = a * (ability[:, None] - b)
    solved = (rng.random(z.shape) < expit(z)).astype(float)
    if change is not None:
        change(solved[0], b, rng)
    bank = ItemBank(
        "true", tuple(Item(f"item{j}", "2pl", (a[j],), (-a[j] * b[j],)) for j in range(N_ITEMS))
    )
    about = About(
        {f"agent{i}": {"cutoff": CUTOFF} for i in range(N_AGENTS)},
        {f"item{j}": {"created": CREATED[j % 2], "kind": f"k{j % 6}"} for j in range(N_ITEMS)},
    )
    return gather(from_matrix(solved), None if fitted else bank, about)


def fail_easy(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
    easy = np.argsort(b)[: round(0.3 * len(b))]
    outcomes[easy[rng.random(len(easy)) < 0.7]] = 0


def know_old(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
    old = np.arange(0, len(b), 2)
    outcomes[old[rng.random(len(old)) < 0.7]] = 1


def fail_tag(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
    outcomes[3::6] = 0


def fail_block(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
    outcomes[80:100] = 0


def kinds(found: AgentsFit, name: str = "agent0") -> set[str]:
    return {flag.kind for flag in found.flags if flag.names == (name,)}


def analysed(evidence: Evidence, order: Array | None = None) -> AgentsFit:
    return analyse_agents(evidence, [""] * len(evidence.responses.agents), order)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (fail_easy, "underperforms on easy items"),
        (know_old, "contamination"),
        (fail_tag, "broken scaffold"),
        (fail_block, "broken scaffold"),
    ],
)
def test_planted_agents_are_found_for_what_they_do(change: Change, kind: str) -> None:
    for seed in range(4):
        found = analysed(world(seed, change))
        assert kind in kinds(found)
        others = {flag.names[0] for flag in found.flags} - {"agent0"}
        assert len(others) <= 1


def test_sandbagging_is_found_where_items_are_fitted_to_the_same_agents() -> None:
    found = analysed(world(0, fail_easy, fitted=True))
    (flag,) = found.flags
    assert (flag.kind, flag.names) == ("underperforms on easy items", ("agent0",))
    # 70% of the easiest 30% were failed on purpose
    assert flag.low < 0.7 < flag.high + 0.1
    assert sum(s.got < s.expected for s in found.agents[0].surprises) >= 4


def test_clean_agents_are_left_alone() -> None:
    count = sum(len(analysed(world(50 + seed)).flags) for seed in range(5))
    assert count <= 0.02 * 5 * N_AGENTS


def test_outcomes_that_difficulty_does_not_move_stand_out() -> None:
    def shuffled(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
        rng.shuffle(outcomes)

    assert kinds(analysed(world(1, shuffled)))


def test_drift_over_the_order_of_administration() -> None:
    """Failing nine of ten from the middle on shows in that order, not in another."""
    rng = np.random.default_rng(0)
    order = rng.permutation(N_ITEMS).astype(float)

    def tire(outcomes: Array, b: Array, rng: np.random.Generator) -> None:
        late = np.flatnonzero(order >= 75)
        outcomes[late[rng.random(len(late)) < 0.9]] = 0

    evidence = world(3, tire)
    drift = analysed(evidence, order).agents[0].drift
    other = analysed(evidence, rng.permutation(N_ITEMS).astype(float)).agents[0].drift
    assert drift is not None
    assert other is not None
    assert drift.p < 1e-3 < 0.01 < other.p
    clean = [one.drift.p for one in analysed(world(4), order).agents if one.drift]
    assert 0.25 < float(np.mean(clean)) < 0.75


def test_person_fit_is_that_of_mirt(shared_refs: Path) -> None:
    folder = shared_refs / "fit_statistics"
    a, b = (
        np.array([float(row[name]) for row in _rows(folder / "items_irtpars.csv")])
        for name in ("a", "b")
    )
    ability = np.array([float(r["F1"]) for r in _rows(folder / "fscores_EAP_first50.csv")])
    path = shared_refs / "simulated" / "a_2pl_responses.csv.gz"
    with gzip.open(path, "rt") as file:
        solved = np.array([[int(x) for x in row] for row in list(csv.reader(file))[1:51]])
    right = expit(a * (ability[:, None] - b))
    slope = a * right * (1 - right)
    found = person_fit(
        np.stack([1 - right, right], 2), np.stack([-slope, slope], 2), np.eye(2)[solved]
    )
    expected = _rows(folder / "personfit_EAP.csv")[:50]
    for name, values in (
        ("Zh", found.lz),
        ("outfit", found.outfit),
        ("z.outfit", found.outfit_z),
        ("infit", found.infit),
        ("z.infit", found.infit_z),
    ):
        assert np.allclose(values, [float(row[name]) for row in expected], atol=1e-6), name


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("top", [1, 3])
def test_the_p_value_of_lz_star_is_that_of_a_bootstrap(top: int) -> None:
    """Ability is estimated again from every simulated test: lz* must keep its distribution."""
    rng = np.random.default_rng(0)
    items, count, theta = 80, 4000, 1.0
    a, b = rng.uniform(0.8, 2.5, items), rng.normal(0, 1.3, items)
    steps = np.linspace(-0.8, 0.8, top) if top > 1 else np.zeros(1)
    nodes = np.linspace(-5, 5, 401)

    def curves(at: Array) -> Array:
        """``(…, n, K)`` of partial credit items."""
        z = a[:, None] * (at[..., None, None] - b[:, None] - steps)
        log = np.concatenate([np.zeros((*z.shape[:-1], 1)), np.cumsum(z, axis=-1)], axis=-1)
        p = np.exp(log - log.max(axis=-1, keepdims=True))
        return np.asarray(p / p.sum(axis=-1, keepdims=True))

    cumulative = np.cumsum(curves(np.array(theta)), axis=-1)
    outcomes = (rng.random((count, items))[..., None] > cumulative[:, :-1]).sum(axis=-1)
    counts = np.eye(top + 1)[outcomes]
    log_p = np.log(curves(nodes))
    weights = np.einsum("ank,qnk->aq", counts, log_p) - nodes**2 / 2
    weights = np.exp(weights - weights.max(axis=1, keepdims=True))
    ability = weights @ nodes / weights.sum(axis=1)
    h = 1e-4
    slope = (curves(ability + h) - curves(ability - h)) / (2 * h)
    found = person_fit(curves(ability), slope, counts)
    assert abs(found.corrected.std() - 1) < 0.05
    assert abs(float(np.mean(found.p < 0.05)) - 0.05) < 0.015
    assert float(np.mean(found.p < 0.005)) < 0.01
    # without the correction the statistic is too narrow
    assert found.lz.std() < found.corrected.std()


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_cusum_is_the_recursion(steps: list[float]) -> None:
    rng = np.random.default_rng(len(steps))
    order = rng.permutation(len(steps)).astype(float)
    residuals = np.array([steps])
    residuals[0, rng.random(len(steps)) < 0.2] = np.nan
    found = cusum(residuals, order)
    upper = lower = 0.0
    for step, place in enumerate(np.argsort(np.where(np.isnan(residuals[0]), np.inf, order))):
        if np.isnan(residuals[0, place]):
            assert (found.positions[0, step:] == -1).all()
            break
        assert found.positions[0, step] == place
        upper, lower = max(0.0, upper + steps[place]), min(0.0, lower + steps[place])
        assert found.upper[0, step] == pytest.approx(upper, abs=1e-9)
        assert found.lower[0, step] == pytest.approx(lower, abs=1e-9)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.integers(2, 4))
def test_nothing_breaks_on_few_agents(seed: int, agents: int, items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, k, (agents, items)).astype(float)
    data[rng.random(data.shape) < 0.2] = np.nan
    data[:2] = 0.0  # at least two agents with answers enough
    names = tuple(str(x) for x in range(k))
    steps = tuple(float(d) for d in np.linspace(1, -1, k - 1)) if k > 2 else (0.0,)
    bank = ItemBank(
        "b",
        tuple(
            Item(f"item{j}", "grm" if k > 2 else "2pl", (1.0,), steps, categories="own")
            for j in range(items)
        ),
        {"own": names},
    )
    evidence = gather(from_matrix(data, n_categories=k), bank)
    found = analysed(evidence, rng.permutation(items).astype(float) if seed % 2 else None)
    assert len(found.agents) == len(evidence.responses.agents)
    assert not found.flags or len(found.flags) < len(found.agents)
    agents_section(found, evidence)


def test_the_page_lists_what_surprises() -> None:
    evidence = world(0, fail_easy)
    found = analysed(evidence)
    section = agents_section(found, evidence)
    assert "1 of 40 agents" in section.finding
    assert "easy items" in section.finding
    plots = [part for part in section.parts if isinstance(part, Plot)]
    assert len(plots) == 2
    assert all(p.wide != p.narrow for p in plots)
    assert not any(flag.kind == "contamination" for flag in found.flags)
