"""What benchmarks say of one another: matching, correlations without noise, refusals, the page."""

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, spearmanr
from scipy.stats import pearsonr as scipy_pearson

from harness.bank import Item, ItemBank
from harness.cli.validity import validity
from harness.errors import HarnessError, InputError
from harness.responses import Responses, from_matrix, read_responses
from harness.responses.names import likeness, model_in, normalised, words_of
from harness.validity import (
    Matching,
    Measure,
    analyse_validity,
    compare_measures,
    latent,
    match_by,
    measure,
    plain,
    read_mapping,
    suggest_mapping,
    write_suggestions,
)
from harness.validity.measures import column_measure, spread_within

# --- worlds -----------------------------------------------------------------------------------


def correlated(rho: float, n: int, reliability: float, seed: int) -> tuple[Any, Any]:
    """Estimates and error variances ``(n, 2)`` of abilities with a known correlation."""
    rng = np.random.default_rng(seed)
    abilities = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    error = np.full((n, 2), 1 / reliability - 1)
    return abilities + np.sqrt(error) * rng.standard_normal((n, 2)), error


def measured(name: str, estimate: Any, error: Any, items: tuple[str, ...] = ()) -> Measure:
    """A measure with given estimates of agents k0, k1, …"""
    n = len(estimate)
    keys = tuple(f"k{i:02d}" for i in range(n))
    shrink = 1 / (1 + error)
    sd = np.sqrt(shrink * error)
    rng = np.random.default_rng(1)
    return Measure(
        name=name,
        keys=keys,
        agents=tuple((key,) for key in keys),
        score=1 / (1 + np.exp(-estimate)),
        ability=shrink * estimate,
        sd=sd,
        estimate=estimate,
        error=error,
        draws=shrink * estimate + sd * rng.standard_normal((300, n)),
        spread=math.nan,
        items=items,
        source=f"{name}.csv",
        sha256="",
        tested=n,
        notes=(),
    )


def answers(abilities: Any, seed: int, items: int = 40, prefix: str = "i") -> Responses:
    """2PL outcomes of agents a0, a1, …"""
    rng = np.random.default_rng(seed)
    slope = rng.lognormal(0.5, 0.3, items)
    p = 1 / (1 + np.exp(-slope * (np.asarray(abilities)[:, None] - rng.normal(0, 1, items))))
    return from_matrix(
        (rng.random(p.shape) < p).astype(int),
        agents=[f"a{i:02d}" for i in range(len(p))],
        items=[f"{prefix}{i}" for i in range(items)],
    )


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claude 3.5 Sonnet", "anthropic/claude-3-5-sonnet-20241022"),
        ("GPT-5.1-Codex-Max", "gpt-5_1-codex-max_at_openai"),
        ("Claude Opus 4.5", "claude-4.5-opus"),
        ("GPT-4o", "gpt4o"),
        ("Grok 4", "grok-4-0709"),
        ("o3", "openai/o3-2025-04-16"),
        ("MiniMax M2.1", "minimax-m2_1"),
    ],
)
def test_names_of_one_model_are_made_equal(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    alike = likeness(one, other)
    assert alike is not None
    assert alike.similarity == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claude Opus 4", "Claude Opus 4.1"),
        ("GPT-5", "GPT-5-Mini"),
        ("GPT-5-Codex", "GPT-5.1-Codex"),
        ("qwen3-30b", "qwen3-32b"),
        ("Gemini 2.5 Pro", "Gemini 2.5 Flash"),
        ("o3", "o4-mini"),
        ("gpt-oss-20b", "gpt-oss-120b"),
    ],
)
def test_other_models_are_not_suggested(one: str, other: str) -> None:
    assert likeness(one, other) is None


@given(st.text(max_size=30))
def test_any_text_has_words_that_do_not_depend_on_case(text: str) -> None:
    assert words_of(text.upper().lower()) == words_of(text.lower().upper().lower())
    assert all(word == word.lower() and word.strip() == word for word in words_of(text))


def test_a_scaffold_is_no_part_of_the_model() -> None:
    models = ["GPT-5", "GPT-5-Codex", "Claude Haiku 4.5", "GPT-5.2"]
    found = model_in("codex_gpt-5_at_openai", models)
    assert found is not None
    assert found[0] == "GPT-5"
    found = model_in("codex_gpt-5-codex_at_openai", models)
    assert found is not None
    assert found[0] == "GPT-5-Codex"
    assert model_in("mini-swe-agent_gpt-5-mini", models) is None
    assert model_in("warp_claude-haiku-4-5_at_anthropic,gpt-5_2_at_openai", models) is None


# --- mappings ---------------------------------------------------------------------------------


def two_benchmarks() -> dict[str, Responses]:
    one = replace(
        from_matrix(np.eye(3, dtype=int), agents=["x", "y", "z"]),
        llm=("openai/gpt-5", "GLM 4.6", ""),
    )
    two = replace(from_matrix(np.eye(2, dtype=int), agents=["p", "y"]), llm=("GPT-5", "GLM 4.6"))
    return {"A": one, "B": two}


def test_nothing_is_matched_that_is_not_exactly_equal() -> None:
    both = two_benchmarks()
    assert match_by(both, "llm").shared("A", "B") == ("GLM 4.6",)
    assert match_by(both, "agent").shared("A", "B") == ("y",)


def test_a_suggestion_has_to_be_reviewed(tmp_path: Path) -> None:
    both = two_benchmarks()
    path = tmp_path / "map.csv"
    write_suggestions(suggest_mapping(both), path)
    rows = list(csv.DictReader(path.open()))
    assert {(row["benchmark"], row["agent"]) for row in rows} == {
        *(("A", "x"), ("A", "y"), ("B", "p"), ("B", "y")),
    }
    assert {row["use"] for row in rows} == {"?"}
    with pytest.raises(InputError, match=r"line 2.*nobody has confirmed"):
        read_mapping(path, both)
    with pytest.raises(InputError, match="exists"):
        write_suggestions((), path)
    path.write_text(path.read_text().replace(",?,", ",yes,", 2).replace(",?,", ",no,"))
    kept = sum(len(keys) for keys in read_mapping(path, both).keys.values())
    assert kept == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("benchmark,agent\nA,x\n", "column 'key' is missing"),
        ("benchmark,agent,key\nA,nobody,k\n", "line 2: A has no agent 'nobody'"),
        ("benchmark,agent,key\nA,x,\n", "line 2: agent 'x' has no key"),
        ("benchmark,agent,key\nA,x,k\nA,x,l\n", "line 3: agent 'x' of A has key 'k'"),
        ("benchmark,agent,key\nC,x,k\n", "no row is about A, B"),
        ("benchmark,agent,key,use\nA,x,k,\n", "says '' of agent 'x'"),
    ],
)
def test_a_wrong_mapping_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_mapping(path, two_benchmarks())


def test_numbers_of_a_column_are_means_over_the_rows_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("benchmark,agent,key,size\nA,x,k,1\nA,y,k,3\nB,p,l,5\nB,y,m,\n")
    assert read_mapping(path, two_benchmarks(), "size").numbers == {"k": 2.0, "l": 5.0}
    path.write_text("benchmark,agent,key,size\nA,x,k,big\n")
    with pytest.raises(InputError, match="line 2: size is 'big'"):
        read_mapping(path, two_benchmarks(), "size")


# --- the latent correlation -------------------------------------------------------------------


def brute_force(sigma: Any, estimate: Any, error: Any, mean: Any) -> float:
    return float(
        sum(
            multivariate_normal(mean, sigma + np.diag(v)).logpdf(y)
            for y, v in zip(estimate, error, strict=True)
        )
    )


def test_the_likelihood_of_two_is_that_of_the_normal_with_its_mean_integrated_out() -> None:
    rng = np.random.default_rng(0)
    estimate, error = rng.standard_normal((6, 2)), rng.random((6, 2))
    covariances = np.array([[1.0, 2.0], [1.5, 0.7], [0.3, -0.6]])
    log, mean, spread = latent._pair(estimate, error, covariances)
    for g in range(2):
        a, b, c = covariances[:, g]
        sigma = np.array([[a, c], [c, b]])
        peak = brute_force(sigma, estimate, error, mean[g])
        # a Gaussian integral: the peak times the root of the determinant of the spread
        assert peak + 0.5 * np.linalg.slogdet(spread[g])[1] - log[g] == pytest.approx(
            -6 * np.log(2 * np.pi)
        )
        assert brute_force(sigma, estimate, error, mean[g] + 0.1) < peak


def test_the_likelihood_of_three_is_that_of_matrices() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((4, 3, 3))
    sigma = root @ root.swapaxes(1, 2)
    estimate, error = rng.standard_normal((7, 3)), rng.random((7, 3))
    for one, log in zip(sigma, latent._log_likelihood(sigma, estimate, error), strict=True):
        inverse = [np.linalg.inv(one + np.diag(v)) for v in error]
        whole = np.sum(inverse, axis=0)
        mean = np.linalg.solve(
            whole, np.sum([w @ y for w, y in zip(inverse, estimate, strict=True)], axis=0)
        )
        expected = brute_force(one, estimate, error, mean) - 0.5 * np.linalg.slogdet(whole)[1]
        assert log == pytest.approx(expected + 7 * 1.5 * np.log(2 * np.pi))


@settings(max_examples=8)
@given(st.integers(0, 1000), st.floats(0.5, 3.0), st.floats(-2.0, 2.0))
def test_scale_and_origin_do_not_matter_and_a_turned_scale_turns_the_sign(
    seed: int, scale: float, shift: float
) -> None:
    estimate, error = correlated(0.6, 15, 0.8, seed)
    found = latent.correlation(estimate, error)
    moved = latent.correlation(estimate * [scale, -1] + shift, error * [scale**2, 1])
    for q in (0.05, 0.5, 0.95):
        assert moved.quantile(1 - q) == pytest.approx(-found.quantile(q), abs=0.01)
    assert moved.positive == pytest.approx(1 - found.positive, abs=0.01)


def test_without_noise_the_interval_is_nearly_fishers() -> None:
    estimate, _ = correlated(0.5, 120, 1.0, 3)
    found = latent.correlation(estimate, np.zeros((120, 2)))
    fisher = plain.pearson(estimate[:, 0], estimate[:, 1], 0.9)
    for q, end in ((0.5, fisher.value), (0.05, fisher.low), (0.95, fisher.high)):
        assert found.quantile(q) == pytest.approx(end, abs=0.02)


def test_noise_is_taken_out_and_widens_the_interval() -> None:
    clean, covered, naive = [], 0, []
    for seed in range(24):
        estimate, error = correlated(0.8, 40, 0.6, seed)
        found = latent.correlation(estimate, error, lines=1)
        clean.append(found.quantile(0.5))
        covered += found.quantile(0.05) <= 0.8 <= found.quantile(0.95)
        naive.append(plain.pearson(estimate[:, 0], estimate[:, 1], 0.9).value)
    assert np.mean(clean) == pytest.approx(0.8, abs=0.07)
    assert np.mean(naive) < 0.6
    assert covered >= 19


def test_the_line_has_the_slope_of_the_abilities_not_of_the_estimates() -> None:
    estimate, error = correlated(0.7, 200, 0.6, 5)
    found = latent.correlation(estimate, error)
    naive = np.polyfit(estimate[:, 0], estimate[:, 1], 1)[0]
    assert np.median(found.lines[:, 1]) == pytest.approx(0.7, abs=0.15)
    assert naive < 0.5


def test_the_partial_correlation_knows_what_capability_explains() -> None:
    rng = np.random.default_rng(7)
    n = 150
    c = rng.standard_normal(n)
    own = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], n)
    common = np.column_stack(
        [0.7 * c + 0.7 * rng.standard_normal((n, 2))[:, k] for k in range(2)][0:2]
    )
    common = 0.7 * c[:, None] + 0.7 * rng.standard_normal((n, 2))
    linked = 0.7 * c[:, None] + 0.7 * own
    error = np.full((n, 3), 0.15)
    for pair, truth in ((common, 0.0), (linked, 0.8)):
        estimate = np.column_stack([pair, c]) + np.sqrt(error) * rng.standard_normal((n, 3))
        draws = latent.partial_draws(estimate, error, seed=1)
        low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
        assert low <= truth <= high
        assert middle == pytest.approx(truth, abs=0.25)


def test_given_an_unrelated_measure_the_partial_correlation_is_that_of_the_pair() -> None:
    estimate, error = correlated(0.6, 60, 0.8, 11)
    other = np.random.default_rng(2).standard_normal((60, 1))
    draws = latent.partial_draws(
        np.column_stack([estimate, other]), np.column_stack([error, np.zeros(60)]), seed=3
    )
    found = latent.correlation(estimate, error)
    for q in (0.1, 0.5, 0.9):
        assert np.quantile(draws, q) == pytest.approx(found.quantile(q), abs=0.06)


# --- correlations that take estimates for the truth -------------------------------------------


@given(st.integers(0, 10_000), st.integers(5, 40))
def test_plain_correlations_are_those_of_scipy(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(n), rng.integers(0, 5, n).astype(float)
    if np.ptp(y) == 0:
        assert math.isnan(plain.pearson(x, y, 0.9).value)
        return
    expected = scipy_pearson(x, y)
    ends = expected.confidence_interval(0.9)
    found = plain.pearson(x, y, 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((expected[0], ends.low, ends.high))
    assert plain.spearman(x, y, 0.9).value == pytest.approx(spearmanr(x, y)[0])


@given(st.integers(0, 10_000), st.integers(4, 15), st.integers(0, 2))
def test_left_out_errors_are_those_of_fitting_n_times(seed: int, n: int, p: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    found = plain.left_out_errors(y, x)
    design = np.column_stack([np.ones(n), x])
    for i in range(n):
        rest = np.arange(n) != i
        if n - 1 > p + 1:
            beta = np.linalg.lstsq(design[rest], y[rest], rcond=None)[0]
            assert found[i] == pytest.approx(y[i] - design[i] @ beta, abs=1e-6)


def test_a_useless_predictor_takes_no_error_away_and_a_good_one_most() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((40, 1))
    good = plain.prediction(x[:, 0] + 0.1 * rng.standard_normal(40), x, "B", ("A",), 0.9)
    bad = plain.prediction(rng.standard_normal(40), x, "B", ("A",), 0.9)
    assert good.gain.low > 0.9
    assert bad.gain.value < 0.1


def test_spread_within_groups_is_found_beside_noise() -> None:
    rng = np.random.default_rng(5)
    of = np.repeat(np.arange(60), 3)
    error = rng.uniform(0.05, 0.3, 180)
    values = rng.normal(0, 2, 60)[of] + rng.normal(0, 0.5, 180)
    noisy = values + np.sqrt(error) * rng.standard_normal(180)
    assert spread_within(noisy, error, of) == pytest.approx(0.5, abs=0.12)
    same = np.repeat(rng.normal(0, 2, 60), 3)
    assert spread_within(same, error, of) == 0


# --- measures ---------------------------------------------------------------------------------


def test_the_estimate_that_data_alone_make_gives_the_posterior_back() -> None:
    rng = np.random.default_rng(6)
    items = tuple(
        Item(f"i{k}", "2pl", (float(a),), (float(d),))
        for k, (a, d) in enumerate(
            zip(rng.lognormal(0, 0.3, 30), rng.normal(0, 1, 30), strict=True)
        )
    )
    bank = ItemBank("demo", items)
    outcomes = answers(rng.standard_normal(12), 7, items=30)
    found = measure("A", outcomes, {a: a for a in outcomes.agents}, bank)
    precision = 1 / found.error + 1 / bank.sd[0] ** 2
    assert 1 / precision == pytest.approx(found.sd**2)
    assert found.estimate / found.error / precision == pytest.approx(found.ability, abs=1e-9)
    assert found.draws.mean(axis=0) == pytest.approx(found.ability, abs=0.12)
    assert found.score == pytest.approx(outcomes.scores().mean(axis=1))


def test_models_are_averaged_over_scaffolds_whose_spread_counts() -> None:
    rng = np.random.default_rng(8)
    models = np.repeat(rng.standard_normal(12), 3)
    outcomes = answers(models + 0.6 * rng.standard_normal(36), 9, items=50)
    keys = {agent: f"m{int(agent[1:]) // 3:02d}" for agent in outcomes.agents}
    found = measure("A", outcomes, keys)
    alone = measure("A", outcomes, {agent: agent for agent in outcomes.agents})
    assert len(found.keys) == 12
    assert found.spread == pytest.approx(0.6, abs=0.25)
    assert math.isnan(alone.spread)
    assert found.score == pytest.approx(alone.score.reshape(12, 3).mean(axis=1))
    # three noisy scaffolds: more doubt than noise alone leaves
    noise = 1 / (1 / alone.error).reshape(12, 3).sum(axis=1)
    assert (found.error > noise + 0.8 * found.spread**2 / 3).all()
    assert found.draws.std(axis=0) == pytest.approx(found.sd, rel=0.15)


# --- pairs, partial correlations and refusals -------------------------------------------------


def test_all_pairs_are_told_with_adjusted_probabilities() -> None:
    estimate, error = correlated(0.9, 30, 0.9, 12)
    third = np.random.default_rng(13).standard_normal(30)
    measures = [
        measured("A", estimate[:, 0], error[:, 0], ("i", "j")),
        measured("B", estimate[:, 1], error[:, 1], ("j", "k")),
        measured("C", third, error[:, 0]),
    ]
    found = compare_measures(measures, "hand")
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("A", "B"),
        ("A", "C"),
        ("B", "C"),
    ]
    first, *others = found.pairs
    assert first.latent.low > 0.5
    assert first.q < 0.01
    assert all(pair.q > 0.02 for pair in others)
    assert first.classical.value > first.estimates.value
    assert any("1 items have the same names" in text for text in first.cautions)
    assert len(first.points) == 30
    assert found.partials == ()


def test_too_few_shared_agents_are_refused_with_the_reason() -> None:
    estimate, error = correlated(0.9, 5, 0.9, 1)
    measures = [measured("A", estimate[:, 0], error[:, 0], ("i",))]
    measures.append(measured("B", estimate[:, 1], error[:, 1], ("j",)))
    found = compare_measures(measures, "hand")
    assert found.pairs == ()
    (refusal,) = found.refusals
    assert "share 5 agents (k00, k01, k02, k03, k04), and 8 are needed" in refusal.reason
    assert "from −0.06 to 0.98" in refusal.reason
    assert len(compare_measures(measures, "hand", fewest=5).pairs) == 1
    with pytest.raises(InputError, match="at least 4"):
        compare_measures(measures, "hand", fewest=3)


def test_a_capability_measure_is_a_benchmark_or_a_column() -> None:
    rng = np.random.default_rng(14)
    c = rng.standard_normal(40)
    error = np.full(40, 0.05)
    a, b = (c + 0.5 * rng.standard_normal(40) for _ in range(2))
    measures = [measured("A", a, error), measured("B", b, error)]
    column = column_measure("size", {f"k{i:02d}": float(c[i]) for i in range(40)})
    for capability in (measured("C", c, np.full(40, 0.01)), column):
        found = compare_measures(measures, "hand", given=capability)
        (partial,) = found.partials
        assert partial.whole.low > 0.4
        assert partial.latent.low < 0 < partial.latent.high
        assert partial.predictions[0].gain.value > 0.3
        assert partial.predictions[1].gain.value < 0.15
        assert len(found.pairs) == 3
    with pytest.raises(InputError, match="neither a benchmark nor a column"):
        column_measure("size", {})
    with pytest.raises(InputError, match="all numbers are 2"):
        column_measure("size", {"k": 2.0, "l": 2.0})


@pytest.mark.parametrize("n", [4, 15])
def test_constant_scores_and_few_agents_do_not_break_anything(n: int) -> None:
    estimate, error = correlated(0.5, n, 0.8, 2)
    measures = [measured("A", np.zeros(n), error[:, 0]), measured("B", estimate[:, 1], error[:, 1])]
    found = compare_measures(
        measures,
        "hand",
        fewest=4,
        given=column_measure("c", {f"k{i:02d}": float(i == 0) for i in range(n)}),
    )
    pair = found.pairs[0]
    assert math.isnan(pair.scores.value)
    assert math.isnan(compare_measures(measures[::-1], "hand", fewest=4).pairs[0].prediction.error)
    assert pair.latent.low < 0 < pair.latent.high
    from harness.report.validity_page import render_validity_page

    assert not re.search(r"\bnan\b", render_validity_page(found, "1"), re.IGNORECASE)


def test_halves_of_one_test_measure_the_same() -> None:
    rng = np.random.default_rng(15)
    abilities = rng.standard_normal(50)
    both = {
        "A": answers(abilities, 16, items=25, prefix="a"),
        "B": answers(abilities, 17, items=25, prefix="b"),
    }
    said: list[str] = []
    found = analyse_validity(both, match_by(both, "agent"), progress=said.append)
    (pair,) = found.pairs
    assert said == ["A", "B"]
    assert pair.latent.high > 0.97
    assert pair.latent.value > pair.estimates.value + 0.03
    assert found == analyse_validity(both, match_by(both, "agent"))


def test_benchmarks_without_a_partner_are_not_calibrated() -> None:
    both = {"A": answers(np.zeros(9), 1), "B": answers(np.zeros(9), 2)}
    matching = Matching({"A": {"a01": "x"}, "B": {"a02": "x"}}, "hand")
    said: list[str] = []
    found = analyse_validity(both, matching, progress=said.append)
    assert said == []
    assert found.refusals[0].keys == ("x",)


# --- the command ------------------------------------------------------------------------------


def written(responses: Responses, path: Path) -> Path:
    rows = ["agent,item,category"]
    rows += [
        f"{responses.agents[a]},{responses.items[i]},{c}"
        for a, i, c in zip(responses.agent, responses.item, responses.category, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(20)
    abilities = rng.standard_normal(20)
    return {
        name: written(answers(abilities[:n], seed, items=12, prefix=name), folder / f"{name}.csv")
        for name, n, seed in (("A", 20, 1), ("B", 18, 2), ("C", 4, 3))
    }


def run(*arguments: str) -> Any:
    return CliRunner().invoke(validity, arguments, standalone_mode=False)


def test_the_command_tells_pairs_and_refusals(tables: dict[str, Path], tmp_path: Path) -> None:
    out, target = tmp_path / "page.html", tmp_path / "v.json"
    named = [f"{name}={path}" for name, path in tables.items()]
    done = run(*named, "--by", "agent", "--out", str(out), "--json", str(target))
    assert done.exception is None, done.exception
    assert done.return_value == 0
    assert "A → B" in done.output
    assert "Not compared: A and C share 4 agents" in done.output
    found = json.loads(target.read_text())
    assert found["pairs"][0]["latent"]["low"] > 0
    assert {r["second"] for r in found["refusals"]} == {"C"}
    page = out.read_text()
    assert page.count("<svg") == 2
    assert "Not compared" in page


def test_the_command_ends_with_3_when_all_is_refused(tables: dict[str, Path]) -> None:
    done = run(f"A={tables['A']}", f"C={tables['C']}", "--by", "agent")
    assert done.return_value == 3


def test_the_command_holds_a_column_fixed(tables: dict[str, Path], tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    rows = [f"{b},a{i:02d},m{i},{i % 7}" for b, n in (("A", 20), ("B", 18)) for i in range(n)]
    mapping.write_text("\n".join(["benchmark,agent,key,size", *rows]))
    done = run(
        *(f"A={tables['A']}", f"B={tables['B']}", "--map", str(mapping), "--given", "size"),
    )
    assert done.exception is None, done.exception
    assert "Given size" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("A={A}", "B={B}"), "in one way"),
        (("A={A}", "A={B}", "--by", "agent"), "two of the name 'A'"),
        (("{A}", "B={B}", "--by", "agent"), "NAME=RESPONSES"),
        (("A={A}", "--by", "agent"), "two benchmarks"),
        (("A={A}", "B={B}", "--by", "agent", "--given", "size"), "needs --map"),
        (("A={A}", "B={B}", "--by", "agent", "--level", "2"), "between 0 and 1"),
        (("A={A}", "B=/nowhere.csv", "--by", "agent"), "no responses at"),
    ],
)
def test_wrong_arguments_are_told(
    tables: dict[str, Path], arguments: tuple[str, ...], message: str
) -> None:
    done = run(*(text.format(**tables) for text in arguments))
    assert isinstance(done.exception, HarnessError)
    assert done.exception.exit_code == 2
    assert message in str(done.exception)


def test_the_command_suggests_a_mapping(tables: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "map.csv"
    done = run(f"A={tables['A']}", f"B={tables['B']}", "--suggest-map", str(target))
    assert done.return_value == 0
    assert len(target.read_text().splitlines()) == 1 + 36


def test_names_from_others_cannot_break_the_page() -> None:
    from harness.report.validity_page import render_validity_page

    estimate, error = correlated(0.5, 10, 0.8, 2)
    names = ("<script>alert(1)</script>" + "x" * 300, "$B_1$")
    measures = [measured(name, estimate[:, d], error[:, d]) for d, name in enumerate(names)]
    measures = [
        replace(m, keys=tuple(f"$k_{i}$ & <b>{'y' * 90}" for i in range(10))) for m in measures
    ]
    page = render_validity_page(compare_measures(measures, "hand"), "1")
    assert "<script>" not in page
    assert "<b>y" not in page


# --- real outcomes ----------------------------------------------------------------------------


def test_swe_bench_and_terminal_bench_share_no_model_by_name(shared_data: Path) -> None:
    outcomes = {
        name: read_responses(shared_data / name / "responses.csv.gz")
        for name in ("swebench_verified", "terminal_bench_2_majority")
    }
    assert suggest_mapping(outcomes) == ()


def test_safety_of_models_is_not_told_from_too_few(shared_data: Path) -> None:
    outcomes = {
        name: read_responses(shared_data / name / "responses.csv.gz")
        for name in ("terminal_bench_2_majority", "odcv")
    }
    keys: dict[str, dict[str, str]] = {name: {} for name in outcomes}
    for row in suggest_mapping(outcomes):
        keys[row.benchmark][row.agent] = row.key
    found = analyse_validity(outcomes, Matching(keys, "hand"))
    (refusal,) = found.refusals
    assert len(refusal.keys) == 7
