"""Measures of a study against plain second implementations."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from test_study import PLAN, simulated

from harness.study import measure_study, parse_study, run_study
from harness.study.bootstrap import (
    Estimate,
    draw_weights,
    estimate,
    estimate_share,
    first_reached,
    overlap,
    rank_correlations,
    weighted_means,
)
from harness.study.result import StudyResult
from harness.study.words import (
    gap_between,
    judged,
    listed,
    number,
    points,
    ranked,
    separated,
    verdict,
)

COUNTS = st.integers(0, 3)


def copies(weights: Any) -> Any:
    """Rows of a bootstrap sample: each as often as it was drawn."""
    return np.repeat(np.arange(len(weights)), weights.astype(int))


# --- bootstrap --------------------------------------------------------------------------------


def test_every_sample_has_as_many_agents_and_the_first_is_the_data() -> None:
    weights = draw_weights(7, 200)
    assert weights.shape == (201, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert len(np.unique(weights, axis=0)) > 150
    np.testing.assert_array_equal(weights, draw_weights(7, 200))


@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 999))
def test_means_are_those_of_the_agents_drawn_with_all_their_sessions(
    units: int, each: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    unit = rng.permutation(np.repeat(np.arange(units), each))
    values = rng.normal(size=(len(unit), 2))
    values[rng.random(values.shape) < 0.2] = np.nan
    weights = draw_weights(units, 100, seed)
    found = weighted_means(weights, unit, values)
    for row in (0, 1, 50, 100):
        sample = np.concatenate([values[unit == u] for u in copies(weights[row])])
        with np.errstate(invalid="ignore"):
            known = np.isfinite(sample)
            wanted = np.where(known, sample, 0).sum(axis=0) / known.sum(axis=0)
        np.testing.assert_allclose(found[row], wanted)


def test_an_interval_is_that_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(1)
    values = rng.exponential(size=40)
    found = estimate(weighted_means(draw_weights(40, 4000), np.arange(40), values[:, None])[:, 0])
    resampled = rng.choice(values, (4000, 40)).mean(axis=1)
    assert found.value == pytest.approx(values.mean())
    # two runs of 4000 samples agree within their own luck
    luck = 4 * values.std() / np.sqrt(40) * np.sqrt(2 * 0.025 / 4000) / 0.058
    assert found.low == pytest.approx(np.quantile(resampled, 0.025), abs=luck)
    assert found.high == pytest.approx(np.quantile(resampled, 0.975), abs=luck)


def test_an_end_that_is_not_reached_stays_open() -> None:
    draws = np.array([3.0, 1.0, 2.0, np.inf, np.inf])
    assert estimate(draws) == Estimate(3.0, 1.0, None)
    assert estimate(np.array([np.inf, 1.0])).value is None
    assert estimate(np.array([np.nan, 1.0])) == Estimate(None)
    assert estimate(np.array([1.0, np.nan])) == Estimate(1.0)


def test_a_share_without_exceptions_is_not_certain() -> None:
    certain = estimate_share(np.ones(50), 30)
    exact = stats.binomtest(30, 30).proportion_ci(0.95).low
    assert certain.low == pytest.approx(exact, abs=1e-3)
    none = estimate_share(np.zeros(50), 30)
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - exact, abs=1e-3)
    some = np.array([0.9, 0.8, 1.0, 0.9])
    assert estimate_share(some, 30) == estimate(some)


@given(
    st.integers(3, 8).flatmap(
        lambda m: st.tuples(
            *(arrays(np.int64, m, elements=st.integers(0, 4)) for _ in "xy"),
            arrays(np.int64, (2, m), elements=COUNTS),
        )
    )
)
def test_rank_correlations_are_those_of_the_sample(case: Any) -> None:
    x, y, drawn = case
    weights = np.concatenate([np.ones((1, len(x))), drawn]).astype(float)
    rho, tau = rank_correlations(weights, x.astype(float), y.astype(float))
    for row, counts in enumerate(weights):
        sample = copies(counts)
        a, b = x[sample], y[sample]
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            assert not np.isfinite(rho[row])
            assert not np.isfinite(tau[row])
            continue
        assert rho[row] == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-6)
        assert tau[row] == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-6)


def test_many_agents_are_ranked_in_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.study.bootstrap._PAIRS", 25 * 250)
    x, weights = np.arange(5.0), draw_weights(5, 400)
    rho, _ = rank_correlations(weights, x, x)
    assert rho[0] == pytest.approx(1)
    assert np.isnan(rho[250:]).all()
    assert estimate(rho).value == pytest.approx(1)


@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 999))
def test_overlap_is_the_mean_over_pairs_of_different_agents(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    used = rng.random((m, n)) < 0.6
    weights = np.concatenate([np.ones((1, m)), rng.integers(0, 3, (3, m))]).astype(float)
    found = overlap(weights, used)
    for row, counts in enumerate(weights):
        sample = copies(counts)
        shares = []
        for i in sample:
            for j in sample:
                if i != j:
                    length = used[i].sum() + used[j].sum()
                    shares.append(2 * (used[i] & used[j]).sum() / length if length else 0.0)
        if shares:
            assert found[row] == pytest.approx(np.mean(shares), abs=1e-6)
        else:
            assert not np.isfinite(found[row])


@given(arrays(float, (3, 6), elements=st.floats(0, 1)), st.floats(0, 1))
def test_the_first_amount_with_so_small_an_error(errors: Any, target: float) -> None:
    amounts = np.tile(np.arange(1.0, 7.0), (3, 1))
    found = first_reached(amounts, errors, np.full(3, target))
    for row, amount in enumerate(found):
        under = np.flatnonzero(errors[row] <= target)
        if not len(under):
            assert amount == np.inf
            continue
        first = under[0] + 1
        assert max(first - 1, 1) <= amount <= first
        if first > 1:
            best = errors[row, : first - 1].min()
            part = (best - target) / (best - errors[row, first - 1])
            assume(np.isfinite(part))
            assert amount == pytest.approx(first - 1 + part)


# --- measures ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study() -> Any:
    values = {
        **PLAN,
        "split": {"by": "random", "seeds": 3, "share": 0.6},
        "plans": [{"stop": "sd<0.6"}, {"select": "random", "width": 2}],
        "baselines": ["random + mean"],
        "sizes": [3, 6],
        "cut": 0.5,
        "resamples": 150,
    }
    responses = simulated(11, agents=30, items=20, trials=2)
    usd = np.random.default_rng(0).uniform(1, 2, len(responses.agent))
    return run_study(parse_study(values, "p"), replace(responses, usd=usd))


@pytest.fixture(scope="module")
def found(study: Any) -> StudyResult:
    return measure_study(study)


def test_errors_are_those_of_the_sessions(study: Any, found: StudyResult) -> None:
    for tested, plan in zip(study.tested, found.plans, strict=True):
        assert plan.sessions == len(tested.agent)
        for place, point in enumerate(plan.points):
            error = tested.sessions.score[:, place] - tested.truth
            score = point.score
            assert score.mae.value == pytest.approx(np.abs(error).mean())
            assert score.rmse.value == pytest.approx(np.sqrt((error**2).mean()))
            assert score.bias.value == pytest.approx(error.mean())
            assert score.mae.low < score.mae.value < score.mae.high  # type: ignore[operator]
            groups = [tested.group == group for group in np.unique(tested.group)[:50]]
            for name, function in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
                each = [
                    function(tested.sessions.score[g, place], tested.truth[g]).statistic
                    for g in groups
                ]
                assert getattr(score, name).value == pytest.approx(np.nanmean(each), abs=1e-6)
            for level, covered in enumerate(score.coverage):
                ends = tested.sessions.score_ends[:, place, level]
                inside = (ends[:, 0] <= tested.truth + 1e-9) & (tested.truth <= ends[:, 1] + 1e-9)
                assert covered.value == pytest.approx(inside.mean())
                assert score.width[level].value == pytest.approx((ends[:, 1] - ends[:, 0]).mean())
            said = tested.sessions.above[:, place] > 0.5
            if plan.name == "random + mean":
                said = tested.sessions.score[:, place] > 0.5
            assert point.wrong is not None
            assert point.wrong.value == pytest.approx((said != (tested.truth > 0.5)).mean())


def test_agents_are_the_units_not_their_sessions(study: Any, found: StudyResult) -> None:
    """The interval of an error, by hand: agents drawn again, each with all its sessions."""
    tested = study.tested[0]
    error = np.abs(tested.sessions.score[:, 0] - tested.truth)
    agents = np.unique(tested.agent)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(3000):
        sample = rng.choice(agents, len(agents))
        drawn.append(np.concatenate([error[tested.agent == agent] for agent in sample]).mean())
    mae = found.plans[0].points[0].score.mae
    spread = np.std(drawn)
    assert mae.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.6 * spread)
    assert mae.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.6 * spread)


def test_thirds_are_of_the_agents_and_add_up(found: StudyResult) -> None:
    for plan in found.plans:
        for point in plan.points:
            assert [third.name for third in point.thirds] == ["lowest", "middle", "highest"]
            assert sum(third.agents for third in point.thirds) == len(found.tested)
            lows, highs = zip(*((t.low, t.high) for t in point.thirds), strict=True)
            assert list(lows) == sorted(lows)
            assert all(high <= low for high, low in zip(highs, lows[1:], strict=False))
            errors = [third.mae.value for third in point.thirds]
            assert min(errors) <= point.score.mae.value <= max(errors)  # type: ignore[type-var, operator]


def test_exposure_counts_items_of_one_repetition(study: Any, found: StudyResult) -> None:
    tested, point = study.tested[0], found.plans[0].points[0]
    most, unused = [], []
    for group in np.unique(tested.group):
        rows = np.flatnonzero(tested.group == group)
        given = Counter(item for row in rows for item in tested.sessions.order[row, :3].tolist())
        most.append(max(given.values()) / len(rows))
        unused.append(1 - len(given) / 20)
    assert point.exposure.most.value == pytest.approx(np.mean(most))
    assert point.exposure.unused == pytest.approx(np.mean(unused))
    assert 0 < point.exposure.overlap.value <= 1  # type: ignore[operator]


def test_differences_are_paired_and_turn_round(study: Any, found: StudyResult) -> None:
    first, second = found.plans[0], found.plans[1]
    gap = gap_between(found, first.name, second.name, 3)
    errors = [plan.points[0].score.mae.value for plan in (first, second)]
    assert gap.value == pytest.approx(errors[1] - errors[0])  # type: ignore[operator]
    back = gap_between(found, second.name, first.name, 3)
    assert (back.value, back.low, back.high) == (-gap.value, -gap.high, -gap.low)  # type: ignore[operator]
    assert gap_between(found, first.name, second.name).value == pytest.approx(
        second.error.value - first.error.value  # type: ignore[operator]
    )
    tested = study.tested[:2]
    each = [np.abs(t.sessions.score[:, 0] - t.truth) for t in tested]
    spread = np.std(each[1] - each[0])
    assert gap.high - gap.low < 8 * spread / np.sqrt(len(found.tested))  # type: ignore[operator]


def test_amounts_needed_come_from_the_curves(found: StudyResult) -> None:
    assert found.reference == "random + mean"
    pairs = {(one.plan, one.reference) for one in found.needed}
    first, second = (plan.name for plan in found.plans[:2])
    assert pairs == {*((name, "random + mean") for name in (first, second)), (second, first)}
    assert found.units == ("items", "usd")
    by_name = {plan.name: plan for plan in found.plans}
    for one in found.needed:
        plan, reference = by_name[one.plan], by_name[one.reference]
        target = reference.points[found.sizes.index(one.size)].score.mae.value
        assert target is not None
        curve = np.minimum.accumulate(np.array(plan.curve.mae, float))
        x = np.arange(1.0, len(curve) + 1) if one.unit == "items" else np.array(plan.curve.usd)
        if one.amount.value is None:
            assert curve[-1] > target
        else:
            at = np.interp(-one.amount.value, -x[::-1], curve[::-1])
            assert at <= target + 1e-9
    assert [p.points[0].usd.value for p in found.plans] == pytest.approx([4.5] * 3, rel=0.1)


def test_ends_are_counted(found: StudyResult) -> None:
    plan = found.plans[0]
    assert plan.points[-1].size is None
    assert sum(plan.ended.values()) == plan.sessions
    assert found.plans[1].ended == {}
    assert [point.size for point in found.plans[1].points] == [3, 6]


# --- words ------------------------------------------------------------------------------------


def test_a_verdict_names_the_best_and_admits_what_is_even(found: StudyResult) -> None:
    first, *rest = found.verdict
    plans = ranked(found)
    assert first.startswith(f"'{plans[0].name}' predicts the full score best: it is off by ")
    for other in plans[1:]:
        gap = gap_between(found, plans[0].name, other.name)
        lead = "It is ahead of" if separated(gap) else "No clear difference from"
        (sentence,) = [text for text in rest if text.startswith(lead)]
        assert f"'{other.name}'" in sentence
    assert any("stops on sd<0.6 after" in text for text in rest)
    assert any(text.startswith("'random + mean' needs so many times the items") for text in rest)


def test_a_plan_that_falls_short_is_said_to(found: StudyResult) -> None:
    short = [replace(one, amount=Estimate(None)) for one in found.needed]
    said = verdict(replace(found, needed=tuple(short)))
    assert any("does not reach the error of 'random + mean' after 6 items" in s for s in said)


def test_nothing_is_claimed_where_no_size_was_reached(found: StudyResult) -> None:
    plans = tuple(replace(plan, error=Estimate(None)) for plan in found.plans)
    assert verdict(replace(found, plans=plans)) == ("No session got as far as the smallest size.",)


@pytest.mark.parametrize(
    ("coverage", "word"),
    [
        (Estimate(0.7, 0.6, 0.75), "narrow"),
        (Estimate(0.9, 0.85, 0.95), "wide"),
        (Estimate(0.7, 0.6, 0.85), "true"),
        (Estimate(None), "true"),
    ],
)
def test_intervals_are_judged_by_what_is_sure(coverage: Estimate, word: str) -> None:
    assert judged(0.8, coverage) == word


def test_words_of_numbers() -> None:
    assert points(Estimate(-0.0004, -0.01, 0.02)) == "0.0 points [-1.0, 2.0]"
    assert number(Estimate(1.2, 1.0, 1.4), noun=" items") == "1 item [1, 1]"
    assert number(Estimate(None)) == "unknown"
    assert listed([]) == ""
