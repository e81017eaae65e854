"""Benchmarks on one scale through shared models and scaffolds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from harness.bank import Item, ItemBank, compile_bank
from harness.errors import BankError, PlanError
from harness.parts.link import link_parts, on_first
from harness.parts.link_model import Likelihood, Rows, sample
from harness.parts.link_result import Linked, Refusal
from harness.parts.names import folded
from harness.parts.shared import Scale, measured, shared_parts
from harness.responses import from_matrix


def _scale(name: str, rows: list[tuple[str, str, str, str, float]], error: float = 0.02) -> Scale:
    agents, llm, scaffold, date, ability = zip(*rows, strict=True)
    return Scale(name, agents, np.array(ability), np.full(len(rows), error), llm, scaffold, date)


def _world(
    seed: int,
    alpha: float = 0.7,
    beta: float = 1.6,
    *,
    shared: int = 12,
    own: int = 4,
    scaffolds: int = 2,
    special: float = 0.1,
    names: tuple[str, ...] = ("a", "b"),
) -> list[Scale]:
    """Benchmarks of known line; ``special`` is the sd of what a model is on one of them alone."""
    rng = np.random.default_rng(seed)
    models, runs = rng.standard_normal(shared), 0.3 * rng.standard_normal(scaffolds)
    scales = []
    for k, name in enumerate(names):
        rows = []
        for m in range(shared + own):
            is_own = m >= shared
            # models of one benchmark alone are better on every further benchmark
            general = rng.standard_normal() + k if is_own else models[m]
            here = general + special * rng.standard_normal()
            for s in range(2):
                s = (m + s) % scaffolds
                theta = here + runs[s] + 0.1 * rng.standard_normal()
                ability = alpha * (k > 0) + (beta if k else 1.0) * theta
                model = f"{name}-{m}" if is_own else f"m{m}"
                date = f"202{4 + m % 3}-0{1 + m % 9}"
                rows.append((f"{name}{m}{s}", model, f"s{s}", date, ability))
        scales.append(_scale(name, rows))
    return scales


@pytest.fixture(scope="module")
def world() -> list[Scale]:
    return _world(0)


@pytest.fixture(scope="module")
def linked(world: list[Scale]) -> Linked:
    found = link_parts(world)
    assert isinstance(found, Linked)
    return found


# --- names and what is shared ------------------------------------------------------------------


@given(st.text())
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@given(st.text("abc1 .-_+", max_size=12))
def test_folding_forgets_case_and_spaces_about_a_name(name: str) -> None:
    assert folded(f"  {name.upper()}_") == folded(name)


_PARTS = st.sampled_from(["", "GPT-5", "gpt 5", "o3", "O3", "x"])
_TABLE = st.lists(
    st.tuples(st.sampled_from("pqrs"), _PARTS, _PARTS, st.just(""), st.just(0.0)),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row[0],
)


@given(_TABLE, _TABLE)
def test_shared_models_and_scaffolds_are_those_of_equal_folded_names(one, other) -> None:
    # agents of other names in the second table: nothing is shared but by parts
    other = [(f"other {row[0]}", *row[1:]) for row in other]
    (found,) = shared_parts([_scale("a", one), _scale("b", other)])
    for part, names in ((1, found.models), (2, found.scaffolds)):
        both = {folded(row[part]) for row in one} & {folded(row[part]) for row in other} - {""}
        assert {folded(name) for name in names} == both
        assert len(names) == len(both)
    pairs = [{(folded(m), folded(s)) for _, m, s, *_ in t if m and s} for t in (one, other)]
    assert {(folded(m), folded(s)) for m, s in found.pairs} == pairs[0] & pairs[1]
    assert found.agents == ()


def test_an_agent_of_unknown_model_is_shared_by_its_own_name_and_fills_blanks() -> None:
    a = _scale("a", [("warp", "", "", "", 0.0), ("kilo", "o3", "x", "", 0.0)])
    b = _scale("b", [("Warp", "", "", "", 0.0), ("kilo", "", "", "", 0.0)])
    (found,) = shared_parts([a, b])
    assert found.models == ("o3", "warp")
    assert found.scaffolds == ("x",)
    assert found.agents == ("kilo", "warp")
    (hidden,) = shared_parts([a, b.without(["Warp"])])
    assert hidden.models == ("o3",)


# --- the model ---------------------------------------------------------------------------------


def _rows(rng: np.random.Generator, n: int = 24) -> Rows:
    bench = np.arange(n) % 3
    model = rng.integers(0, 6, n)
    board = np.array([0, 0, 1, 1, -1, -1])[model]
    # models of one benchmark alone are other models on each
    model = np.where(board < 0, 10 + 10 * bench + model, model)
    return Rows(
        y=np.where(np.arange(n) < 20, rng.standard_normal(n), np.nan),
        error=rng.uniform(0.05, 0.3, n),
        bench=bench,
        model=model,
        scaffold=rng.integers(0, 4, n),
        agent=rng.integers(0, 14, n) + 100 * bench * rng.integers(0, 2, n),
        board=board,
        year=rng.standard_normal(n),
        scaffolds=True,
    )


@pytest.mark.parametrize("seed", range(3))
def test_evidence_and_predictions_are_those_of_the_joint_normal(seed: int) -> None:
    """The oracle integrates means and trends out by adding their covariance."""
    rng = np.random.default_rng(seed)
    likelihood = Likelihood(_rows(rng))
    rows, seen = likelihood.rows, likelihood.seen
    differences = []
    for x in rng.standard_normal((3, 16)):
        found = likelihood.scales(x)
        design = likelihood.design(found)
        covariance = np.zeros((24, 24))
        for i in range(24):
            for j in range(24):
                k, h = rows.bench[i], rows.bench[j]
                alike = 1.0 if k == h else found.general[k] * found.general[h]
                if rows.model[i] == rows.model[j]:
                    sd = found.model if rows.board[i] >= 0 else found.own
                    covariance[i, j] += alike * sd[k] * sd[h]
                if rows.scaffold[i] == rows.scaffold[j]:
                    covariance[i, j] += alike * found.scaffold[k] * found.scaffold[h]
                if rows.agent[i] == rows.agent[j]:
                    covariance[i, j] += alike * found.agent[k] * found.agent[h]
        whole = covariance + 100.0 * design @ design.T
        noisy = whole[np.ix_(seen, seen)] + np.diag(rows.error[seen])
        log_p = multivariate_normal(cov=noisy).logpdf(rows.y[seen]) - x @ x / 2
        differences.append(likelihood.log_density(x) - log_p)
        weights = np.linalg.solve(noisy, whole[np.ix_(seen, ~seen)])
        mean, variance = likelihood.unseen(found)
        expected = np.diag(whole[np.ix_(~seen, ~seen)] - whole[np.ix_(~seen, seen)] @ weights)
        np.testing.assert_allclose(mean, weights.T @ rows.y[seen], atol=1e-6)
        np.testing.assert_allclose(variance, expected, atol=1e-6)
    assert np.ptp(differences) < 1e-6


def test_draws_have_the_moments_of_their_density() -> None:
    """A banana: x0 ~ N(0, 1), x1 | x0 ~ N(x0² / 2, 0.5²)."""

    def log_density(x: np.ndarray) -> float:
        return float(-(x[0] ** 2) / 2 - 2 * (x[1] - x[0] ** 2 / 2) ** 2)

    draws, worth = sample(log_density, 2, 4000, 0)
    assert worth >= 400
    np.testing.assert_allclose(draws.mean(0), [0.0, 0.5], atol=0.12)
    np.testing.assert_allclose(draws.var(0), [1.0, 0.75], atol=0.2)
    np.testing.assert_allclose(np.mean(draws[:, 0] < -1.645), 0.05, atol=0.025)


# --- the link ----------------------------------------------------------------------------------


def test_a_known_line_is_found(linked: Linked) -> None:
    (line,) = linked.lines
    assert line.beta.low < 1.6 < line.beta.high
    assert line.alpha.low < 0.7 < line.alpha.high
    assert line.beta.value == pytest.approx(1.6, rel=0.2)
    for point in line.points:
        assert point.there.low < (point.here - 0.7) / 1.6 < point.there.high
        assert 0.01 < point.error < 0.5
    (pair,) = linked.correlations
    assert pair.value.low > 0.6
    assert linked.barely == ()
    assert len(linked.shared[0].models) == 12
    # the same line, the other way about, with its covariance
    assert line.link.ability(line.points[1].here) == pytest.approx(line.points[1].there.value)
    assert line.link.se(line.points[2].here) == pytest.approx(line.points[2].error)


@pytest.mark.parametrize("which", [0, 1])
def test_units_of_the_scales_do_not_matter(linked: Linked, world: list[Scale], which: int) -> None:
    # by a power of two, which changes no digit
    scales = list(world)
    moved = scales[which]
    scales[which] = replace(moved, ability=4 * moved.ability, error=16 * moved.error)
    found = link_parts(scales)
    assert isinstance(found, Linked)
    (before,), (line,) = linked.lines, found.lines
    times = 4.0 if which == 1 else 0.25
    assert line.beta.high == pytest.approx(times * before.beta.high)
    assert line.alpha.low == pytest.approx((4.0 if which == 1 else 1.0) * before.alpha.low)
    error = before.points[0].error * (1.0 if which == 1 else 4.0)
    assert line.points[0].error == pytest.approx(error)
    assert line.relative_error == pytest.approx(before.relative_error)
    assert found.correlations == linked.correlations


def test_models_of_one_benchmark_alone_do_not_move_the_line(linked: Linked) -> None:
    a, b = _world(0)
    own = np.char.startswith(b.llm, "b-")
    found = link_parts([a, replace(b, ability=b.ability + np.where(own, -3.0, 0.0))])
    assert isinstance(found, Linked)
    at = linked.lines[0].points[1].here
    before, line = linked.lines[0].link, found.lines[0].link
    assert abs(line.ability(at) - before.ability(at)) < before.se(at) / 2
    assert line.slope == pytest.approx(before.slope, rel=0.1)


def test_what_was_hidden_is_told(world: list[Scale]) -> None:
    a, b = world
    hidden = [agent for agent, llm in zip(b.agents, b.llm, strict=True) if llm in {"m1", "m5"}]
    found = link_parts([a, b.without(hidden)])
    assert isinstance(found, Linked)
    assert [(one.benchmark, one.agent) for one in found.told] == [("b", x) for x in hidden]
    assert len(found.shared[0].models) == 10
    truth = dict(zip(b.agents, b.ability, strict=True))
    for one in found.told:
        assert abs(one.mean - truth[one.agent]) < 3 * one.sd
        assert one.sd < 0.75 * np.std(b.ability)
        assert one.low < one.mean < one.high


def test_one_scaffold_and_no_dates_are_fine() -> None:
    scales = [
        replace(scale, scaffold=("x",) * len(scale.agents), date=("",) * len(scale.agents))
        for scale in _world(1)
    ]
    found = link_parts(scales)
    assert isinstance(found, Linked)
    assert found.lines[0].beta.low < 1.6 < found.lines[0].beta.high


def test_models_that_do_not_go_together_are_barely_linked() -> None:
    a, b = _world(2, shared=6, own=0)
    order = np.random.default_rng(0).permutation(6)
    mixed = tuple(f"m{order[int(llm[1:])]}" for llm in b.llm)
    found = link_parts([a, replace(b, llm=mixed)], bound=0.2)
    assert isinstance(found, Linked)
    assert found.barely == ("b",)
    assert found.correlations[0].value.value < 0.75


def test_benchmarks_that_share_nobody_are_refused_with_a_remedy() -> None:
    a, b = _world(0)
    alone = replace(
        b,
        llm=tuple(f"x{m}" for m in b.llm),
        scaffold=tuple(f"x{s}" for s in b.scaffold),
    )
    found = link_parts([a, alone])
    assert isinstance(found, Refusal)
    assert found.apart == ("b",)
    assert "share nobody" in found.reason
    assert "5 more" in found.remedy
    assert "agents suggest" in found.remedy


def test_too_few_models_are_refused_and_named() -> None:
    scales = _world(0, shared=4)
    found = link_parts(scales)
    assert isinstance(found, Refusal)
    assert "4 models (m0, m1, m2, m3)" in found.reason
    assert "takes 5" in found.reason
    assert "1 more" in found.remedy


def test_a_chain_links_what_shares_nothing_itself() -> None:
    a, b, c = _world(3, names=("a", "b", "c"), own=0, shared=12)
    half = [f"m{m}" for m in range(6)]

    def only(scale: Scale, keep: list[bool]) -> Scale:
        rows = np.flatnonzero(keep)
        return Scale(
            scale.name,
            tuple(scale.agents[r] for r in rows),
            scale.ability[rows],
            scale.error[rows],
            *(tuple(part[r] for r in rows) for part in (scale.llm, scale.scaffold, scale.date)),
        )

    a, c = only(a, [m in half for m in a.llm]), only(c, [m not in half for m in c.llm])
    assert isinstance(link_parts([a, c]), Refusal)
    found = link_parts([a, b, c])
    assert isinstance(found, Linked)
    assert [line.name for line in found.lines] == ["b", "c"]
    for line in found.lines:
        assert line.points[1].there.low < (line.points[1].here - 0.7) / 1.6
        assert (line.points[1].here - 0.7) / 1.6 < line.points[1].there.high


def test_bad_input_is_named() -> None:
    a, b = _world(0)
    with pytest.raises(PlanError, match="at least two"):
        link_parts([a])
    with pytest.raises(PlanError, match="one name"):
        link_parts([a, replace(b, name="a")])
    with pytest.raises(PlanError, match="'soon' is not a date"):
        link_parts([a, replace(b, date=("soon",) * len(b.agents))])


# --- banks -------------------------------------------------------------------------------------


def _bank(name: str) -> ItemBank:
    items = tuple(Item(f"{name}{i}", "2pl", (1.2,), (0.3 * i - 1,)) for i in range(8))
    return ItemBank(name, items)


def test_a_moved_bank_gives_the_same_probabilities(linked: Linked) -> None:
    bank = _bank("b")
    moved = on_first(bank, linked, "b")
    here = np.linspace(-2, 2, 5)
    there = np.array([linked.lines[0].link.ability(x) for x in here])
    one, other = (
        compile_bank(which, at[:, None], uncertainty=False).log_p
        for which, at in ((bank, here), (moved, there))
    )
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert moved.items[0].covariance is not None
    facts = moved.provenance["link"]
    assert facts["onto"] == "a"
    assert facts["shared"]["models"] == 12
    assert facts["error_at_mean"] == linked.lines[0].points[1].error
    assert on_first(bank, linked, "a") is bank


def test_abilities_of_a_table_are_not_shrunk() -> None:
    rng = np.random.default_rng(4)
    bank = _bank("b")
    ability = np.repeat([-1.5, 0.0, 1.5], 400)
    p = np.exp(compile_bank(bank, ability[:, None], uncertainty=False).log_p)[:, 1].T
    passed = (rng.random(p.shape) < p).astype(int)
    scale = measured("b", bank, from_matrix(passed, items=[item.id for item in bank.items]))
    assert len(scale.agents) == 1200
    assert (scale.error > 0).all()
    weight = 1 / scale.error
    for group in np.split(np.arange(1200), 3):
        mean = weight[group] @ scale.ability[group] / weight[group].sum()
        assert mean == pytest.approx(ability[group[0]], abs=0.25)


def test_banks_of_several_abilities_are_refused() -> None:
    items = tuple(Item(f"i{k}", "2pl", (1.0, 0.5), (0.0,)) for k in range(3))
    bank = ItemBank("two", items, mean=(0.0, 0.0), sd=(1.0, 1.0))
    with pytest.raises(BankError, match="2 abilities"):
        measured("two", bank, from_matrix([[1, 0, 1], [0, 0, 1]], items=["i0", "i1", "i2"]))
