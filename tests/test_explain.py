"""Failures explained: effects of kinds and groups, surprises, strengths, what is near."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import binom, norm

from harness import journal
from harness.bank import Item, ItemBank
from harness.bank_files import load_bank
from harness.errors import BankError, InputError, ResponsesError
from harness.estimate import posteriors
from harness.events import Answered, Chosen, Plan, Started
from harness.explain import explain_agent, explain_task, fit_strengths, predict_strengths
from harness.explain.agent import is_vector, kinds_of
from harness.explain.contrasts import of_categories, of_groups, of_numbers, of_tags
from harness.explain.effects import (
    Likelihoods,
    effect_values,
    learn,
    marginal,
    posterior,
    spread_of,
)
from harness.explain.groups import find_groups
from harness.explain.kinds import find_kinds, of_agent
from harness.explain.nearest import alike
from harness.explain.outcomes import gather, likelihood, with_calibrants
from harness.explain.surprises import find_surprises
from harness.explain.traces import find_traces
from harness.plant import draw_bank
from harness.plant.draw import draw_answers
from harness.regression import Column, Features
from harness.responses import Responses, from_matrix, read_responses
from harness.responses.parts import with_parts

# --- worlds -----------------------------------------------------------------------------------


def outcomes_of(bank: ItemBank, category: Any, **about: Any) -> Responses:
    """Responses from ``(A, n)`` or, with trials, ``(A, n, T)`` categories."""
    found = from_matrix(
        category if category.ndim == 2 else category[:, :, 0],
        items=[item.id for item in bank.items],
        n_categories=[len(item.intercepts) + 1 for item in bank.items],
    )
    if category.ndim == 3:
        agent, item, trial = np.indices(category.shape).reshape(3, -1)
        told: dict[str, Any] = dict.fromkeys(
            ("usd", "seconds", "tokens", "turns"), np.full(len(agent), np.nan)
        )
        told |= {"agent": agent, "item": item, "trial": trial, "category": category.ravel()}
        found = replace(found, **told)
    return replace(found, **about)


def planted(
    effect: Any, *, agents: int = 40, items: int = 120, categories: int = 2, trials: int = 1
) -> tuple[ItemBank, Responses, Features]:
    """Agents whose ability on items of kind k0, k1, … is higher by ``effect (agents, kinds)``."""
    rng = np.random.default_rng(3)
    bank = draw_bank(items, categories=categories, seed=1)
    ability = rng.standard_normal(agents)
    effect = np.broadcast_to(effect, (agents, np.shape(effect)[-1]))
    kind = np.arange(items) % effect.shape[1]
    category = np.stack(
        [
            draw_answers(item, ability[:, None], item.slopes[0] * effect[:, k], trials, rng)
            for item, k in zip(bank.items, kind, strict=True)
        ],
        axis=1,
    )
    features = Features(
        tuple(item.id for item in bank.items),
        (Column("kind", "meta", "category"), Column("size", "meta", "number")),
        tuple((f"k{k}", float(x)) for k, x in zip(kind, rng.normal(size=items), strict=True)),
    )
    return bank, outcomes_of(bank, category), features


# --- effects ----------------------------------------------------------------------------------


@given(
    slopes=st.lists(st.floats(0.5, 2.5), min_size=4, max_size=4),
    answers=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    values=st.sampled_from([(0.0, 1.0), (-0.7, 1.3)]),
    effect=st.floats(-2.5, 2.5),
)
@settings(max_examples=25)
def test_an_effect_is_integrated_over_ability(
    slopes: list[float], answers: list[int], values: tuple[float, float], effect: float
) -> None:
    nodes = np.linspace(-6, 6, 241)
    log_prior = -0.5 * nodes**2

    def log_l(theta: Any, which: slice) -> Any:
        z = np.multiply.outer(np.array(slopes)[which], theta)
        sign = 2 * np.array(answers)[which, None] - 1
        return log_expit(sign * z).sum(axis=0)

    halves = slice(0, 2), slice(2, 4)
    by_level = np.stack([log_l(nodes, half) for half in halves])[None]
    at = np.array([0.0, effect])
    found = marginal(by_level, np.array(values), nodes, log_prior, at)[0]
    for d, delta in enumerate(at):
        exact = sum(
            log_l(nodes + delta * value, half) for value, half in zip(values, halves, strict=True)
        )
        assert found[d] == pytest.approx(np.log(np.exp(log_prior + exact).sum()), abs=1e-2)


def normal_effects(truth: Any, noise: float, seed: int) -> Likelihoods:
    at = effect_values(1.0)
    seen = truth + np.random.default_rng(seed).normal(0, noise, len(truth))
    return Likelihoods(at, -0.5 * ((seen[:, None] - at) / noise) ** 2)


def test_shrunken_effects_are_the_normal_ones_where_all_are_normal() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.4, 600)
    found = normal_effects(truth, 0.3, 1)
    prior = learn([found])[0]
    assert prior.spread == pytest.approx(0.4, abs=0.05)
    seen = found.effects[found.log_l.argmax(axis=1)]
    exact = seen * 0.4**2 / (0.4**2 + 0.3**2)
    assert np.abs(posterior(found, prior).mean - exact).max() < 0.12
    assert spread_of(found).sd == pytest.approx(0.4, abs=0.05)
    assert spread_of(found).p < 1e-6


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_intervals_cover_and_false_signs_are_as_rare_as_said(share: float) -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 0.8, 2000) * (rng.random(2000) < share)
    found = normal_effects(truth, 0.3, 6)
    post = posterior(found, learn([found])[0])
    inside = (post.quantile(0.05) <= truth) & (truth <= post.quantile(0.95))
    assert inside.mean() > 0.87
    called = post.false_sign <= 0.05
    wrong = np.sign(post.mean) != np.sign(truth)
    assert wrong[called].sum() <= 0.05 * called.sum() + 3
    assert called.mean() < 0.002 if share == 0 else called.mean() > 0.2 * share
    assert np.allclose(post.weights.sum(axis=1), 1)
    assert np.allclose(post.below + post.above + post.zero, 1)


def test_no_differences_are_told_as_none() -> None:
    found = normal_effects(np.zeros(300), 0.3, 2)
    assert learn([found])[0].spread < 0.1
    assert spread_of(found).p > 0.05
    assert spread_of(found).low < 0.02


# --- contrasts --------------------------------------------------------------------------------


def test_kinds_that_cannot_be_told_apart_are_left_out_with_a_reason() -> None:
    assert [c.name for c in of_tags([("a", "b", "z")] * 3 + [("b", "c")] * 3).all] == ["a, z", "c"]
    same = of_numbers("x", "code", [2.0, 2.0, None])
    assert not same.all
    assert "same everywhere" in same.notes[0]
    assert "same everywhere" in of_categories("x", ["a"] * 9).notes[0]
    assert [c.name for c in of_categories("x", ["a"] * 6 + ["b"] * 3).all] == ["b"]
    groups = {one.name: one for one in of_groups("scaffold", ["s"] * 4 + ["t"] * 3 + [""] * 2)}
    assert list(groups) == ["t"]
    assert groups["t"].level.tolist() == [0] * 4 + [1] * 3 + [2] * 2


@given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=60, unique=True))
def test_numbers_are_standardised_and_keep_their_order(numbers: list[float]) -> None:
    found = of_numbers("x", "code", [*numbers, None])
    if not found.all:
        return
    x = found.all[0].x
    assert len(np.unique(x)) <= 10
    assert x[-1] == 0
    assert x[:-1].mean() == pytest.approx(0, abs=1e-6)
    assert x[:-1].std() == pytest.approx(1, abs=1e-6)
    assert (np.diff(x[:-1][np.argsort(numbers)]) >= 0).all()


def test_a_vector_is_no_kind_of_tasks_and_a_flag_is_a_group() -> None:
    bank = draw_bank(12)
    rows = tuple(
        (*map(float, np.random.default_rng(k).normal(size=3)), k % 2 * 1.0) for k in range(12)
    )
    columns = (*(Column(f"t{k}", "text", "number") for k in range(3)), Column("f", "f", "number"))
    features = Features(tuple(item.id for item in bank.items), columns, rows)
    found = kinds_of(bank, features)
    assert is_vector(features.only(["text"]))
    assert [(one.name, one.unit) for one in found.all] == [("f", "group")]
    assert "vector" in found.notes[0]


# --- outcomes ---------------------------------------------------------------------------------


def test_the_posterior_without_an_outcome_is_that_of_the_others() -> None:
    bank, responses, _ = planted(np.zeros(1), agents=5, items=15)
    found = gather(bank, responses, uncertainty=True)
    cells = found.cells_of(agent=2)
    without = found.without_own(cells)
    for row in (0, 7):
        others = [name for k, name in enumerate(responses.items) if k != found.item[cells[row]]]
        nodes, weights = posteriors(bank, responses.subset(items=others))
        mean = float(weights[2] @ nodes[:, 0])
        assert without[row] @ found.nodes == pytest.approx(mean, abs=1e-4)


def test_likelihoods_of_trials_are_those_of_a_binomial() -> None:
    bank = draw_bank(2)
    nodes = np.linspace(-2, 2, 5)
    counts = np.array([[3 - k, k] for k in range(4)])
    log_l = likelihood(bank, np.zeros(4, np.intp), counts, nodes)
    p = expit(bank.items[0].slopes[0] * nodes + bank.items[0].intercepts[0])
    orders = np.array([1, 3, 3, 1])
    for k in range(4):
        assert np.allclose(orders[k] * np.exp(log_l[k]), binom.pmf(k, 3, p))


def test_unknown_names_are_refused_with_similar_ones() -> None:
    bank, responses, features = planted(np.zeros(2), agents=4, items=12)
    with pytest.raises(ResponsesError, match=r"agent 'agent9'.*did you mean 'agent"):
        explain_agent(bank, responses, "agent9", features)
    with pytest.raises(ResponsesError, match=r"item 'task1'.*did you mean 'task1"):
        explain_task(bank, responses, "task1")
    with pytest.raises(InputError, match=r"no tags.*--features"):
        explain_agent(bank, responses, "agent1")
    with pytest.raises(ResponsesError, match="not in bank"):
        gather(bank, replace(responses, items=("x", *responses.items[1:])))
    two = ItemBank("two", (Item("i", "2pl", (1.0, 1.0), (0.0,)),), mean=(0.0, 0.0), sd=(1.0, 1.0))
    with pytest.raises(BankError, match="abilities"):
        gather(two, responses)


# --- kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("categories", "trials"), [(2, 1), (4, 1), (2, 4)])
def test_a_kind_that_an_agent_fails_is_found(categories: int, trials: int) -> None:
    effect = np.zeros((40, 4))
    effect[7, 2] = -2.5
    bank, responses, features = planted(effect, categories=categories, trials=trials)
    found = explain_agent(bank, responses, "agent7", features)
    first = found.kinds[0]
    assert first.name == "k2"
    assert first.false_sign <= found.cut
    assert first.high < 0
    assert first.observed < first.expected - 2
    assert first.joint < -0.5
    others = [one for one in found.kinds if one.name != "k2"]
    assert all(abs(one.mean) < 0.7 for one in others)


def test_where_nothing_is_planted_nothing_is_found() -> None:
    bank, responses, features = planted(np.zeros(4))
    found = find_kinds(gather(bank, responses), kinds_of(bank, features), 0)
    calls = sum(
        one.false_sign <= 0.05
        for agent in range(40)
        for one in of_agent(gather(bank, responses), found, agent, 0.9)
    )
    assert calls <= 1
    assert not [one for one in found.differences if one.q <= 0.05]
    strengths = found.strengths()
    assert strengths is not None
    assert strengths.p > 0.01


def test_effects_are_relative_to_the_rest_and_change_sign_with_it() -> None:
    bank, responses, features = planted(np.zeros(2), agents=6)
    outcomes = gather(bank, responses)
    kinds = of_categories("kind", [str(row[0]) for row in features.cells]).all[0]
    other = replace(kinds, level=1 - kinds.level)
    at = effect_values(1.0)
    one, two = (
        marginal(
            outcomes.by_level(c.level, 2),
            c.values,
            outcomes.nodes,
            np.zeros(len(outcomes.nodes)),
            at,
        )
        for c in (kinds, other)
    )
    # with a flat prior of ability it does not matter which side is moved
    one, two = (found - found.max(axis=1, keepdims=True) for found in (one, two))
    # an agent that fails nearly all is as likely beyond the last node
    inside = (one > -8) & (np.abs(outcomes.ability[:, :1]) < 1)
    assert inside.sum() > 100
    assert np.abs(one - two[:, ::-1])[inside].max() < 1e-3


def test_few_answers_and_few_agents_are_said_to_be_few() -> None:
    bank, responses, features = planted(np.zeros(2), agents=3, items=12)
    found = explain_agent(bank, responses, "agent0", features)
    assert any("answered 12 items" in note for note in found.notes)
    assert any("2 other agents" in note for note in found.notes)
    alone = explain_agent(bank, responses.subset(agents=["agent0"]), "agent0", features)
    assert not alone.sure


# --- surprises --------------------------------------------------------------------------------


def test_surprises_are_as_many_by_chance_as_said() -> None:
    bank, responses, _ = planted(np.zeros(1), agents=60)
    outcomes = gather(bank, responses)
    found = [find_surprises(outcomes, outcomes.cells_of(agent=a), 0.05) for a in range(60)]
    seen = sum(len(one.found) for one in found)
    expected = sum(one.expected_failures + one.expected_successes for one in found)
    assert expected > 30
    assert abs(seen - expected) < 4 * np.sqrt(expected)
    one = max(found, key=lambda one: len(one.found)).found[0]
    assert one.p <= 0.05
    assert one.p <= one.q <= 1


def test_a_planted_surprise_comes_first_and_has_the_probability_of_the_others() -> None:
    bank, responses, _ = planted(np.zeros(1), agents=8)
    matrix = responses.matrix()
    easy = int(np.argmin([item.difficulties[0] for item in bank.items]))
    matrix[5] = np.array([item.difficulties[0] for item in bank.items]) < 1.0
    matrix[5, easy] = 0
    outcomes = gather(bank, outcomes_of(bank, matrix))
    cells = outcomes.cells_of(agent=5)
    first = find_surprises(outcomes, cells).failures[0]
    assert first.item == bank.items[easy].id
    own = cells[outcomes.item[cells] == easy]
    chance = outcomes.without_own(own)[0] @ (1 - outcomes.expected[easy])
    assert first.p == pytest.approx(float(chance), rel=1e-6)
    assert first.q < 0.05


def test_trials_of_a_cell_are_one_surprise() -> None:
    bank, responses, _ = planted(np.zeros(1), agents=6, items=30, trials=5)
    outcomes = gather(bank, responses)
    found = find_surprises(outcomes, outcomes.cells_of(agent=1), bound=0.999)
    assert {one.trials for one in found.found} == {5}
    assert len({one.item for one in found.found}) == len(found.found)


# --- strengths --------------------------------------------------------------------------------


def test_strengths_are_those_of_a_direct_search() -> None:
    rng = np.random.default_rng(2)
    x, offset = rng.normal(size=(60, 3)), rng.normal(size=(1, 60))
    y = (rng.random((1, 60)) < 0.6).astype(float)
    y[0, :5] = np.nan
    found = fit_strengths(offset, y, x, sd=0.8)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    known = np.isfinite(y[0])

    def loss(u: Any) -> float:
        logit = offset[0] + z @ u
        log_l = np.where(y[0] == 1, log_expit(logit), log_expit(-logit))[known].sum()
        return float(0.5 * u @ u / (0.8**2 / 3) - log_l)

    best: Any = minimize(loss, np.zeros(3), tol=1e-10)
    assert np.allclose(found.weights[0], best.x, atol=1e-4)
    chance = expit(offset[0] + z @ best.x)[known]
    curvature = (z[known].T * chance * (1 - chance)) @ z[known] + np.eye(3) * 3 / 0.8**2
    assert np.allclose(found.covariance[0], np.linalg.inv(curvature), atol=1e-5)


def test_strengths_help_on_new_tasks_where_they_are_and_vanish_where_they_are_not() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(500, 6))
    x[:, 5] = 1.0
    offset = np.add.outer(rng.normal(size=50), rng.normal(size=500))
    for size in (0.5, 0.0):
        u = rng.normal(0, size / np.sqrt(5), (50, 6))
        u[:, 5] = 0
        y = (rng.random((50, 500)) < expit(offset + u @ x.T)).astype(float)
        found = fit_strengths(offset[:, :300], y[:, :300], x[:300], base_sd=0.2)
        mean, sd = predict_strengths(found, x[300:])
        sign = 2 * y[:, 300:] - 1
        gain = (
            log_expit(sign * (offset[:, 300:] + mean)) - log_expit(sign * offset[:, 300:])
        ).mean()
        if size:
            assert found.sd == pytest.approx(0.5 * np.sqrt(6 / 5), abs=0.12)
            assert gain > 0.002
            truth = (u @ x[300:].T)[:, :]
            assert np.abs(truth - mean).mean() < np.abs(truth).mean() * 0.75
            assert norm.cdf(1.645) - norm.cdf(-1.645) == pytest.approx(
                (np.abs(truth - mean) < 1.645 * sd).mean(), abs=0.06
            )
        else:
            assert found.sd < 0.12
            assert found.p > 0.01


# --- tasks ------------------------------------------------------------------------------------


def grouped() -> tuple[ItemBank, Responses]:
    """Eighty agents of two families; the first task is 3 harder for one of them."""
    bank, responses, _ = planted(np.zeros(1), agents=80)
    rng = np.random.default_rng(9)
    matrix = responses.matrix()
    family = np.arange(80) % 2
    ability = gather(bank, responses).ability[:, 0]
    easy = replace(bank.items[0], slopes=(2.0,), intercepts=(1.0,))
    bank = replace(bank, items=(easy, *bank.items[1:]))
    matrix[:, 0] = rng.random(80) < expit(2.0 * (ability + 1.0 - 3.0 * family))
    llm = tuple(("claude-1", "gpt-1")[f] for f in family)
    return bank, outcomes_of(
        bank, matrix, llm=llm, date=tuple(f"20{20 + k % 5}" for k in range(80))
    )


def test_a_task_that_is_harder_for_a_group_is_found() -> None:
    bank, responses = grouped()
    found = explain_task(bank, responses, bank.items[0].id)
    assert [one.attribute for one in found.sure] == ["model family"]
    one = found.sure[0]
    # of two groups the rarer, or the first, stands for both
    assert (one.mean > 0) == (one.name == "Anthropic")
    assert any("scaffold" in note for note in found.notes)
    outcomes = gather(bank, responses, uncertainty=False)
    others = [find_groups(outcomes, item, 0.9)[0] for item in range(1, 12)]
    assert sum(one.false_sign <= 0.05 for groups in others for one in groups) <= 1


def test_thirds_of_agents_follow_the_curve() -> None:
    bank, responses, _ = planted(np.zeros(1), agents=90, items=60)
    inside = total = 0
    for item in bank.items[:20]:
        bins = explain_task(bank, responses, item.id).bins
        assert [one.agents for one in bins] == [30, 30, 30]
        assert bins[0].high <= bins[1].low
        inside += sum(one.observed_low <= one.expected <= one.observed_high for one in bins)
        total += 3
    assert inside / total > 0.8


def test_a_copy_of_a_task_is_nearest_to_it() -> None:
    bank, responses, _ = planted(np.zeros(1))
    matrix = responses.matrix()
    matrix[:, 9] = matrix[:, 4]
    bank = replace(
        bank,
        items=tuple(
            replace(bank.items[4], id=item.id) if k == 9 else item
            for k, item in enumerate(bank.items)
        ),
    )
    first = alike(gather(bank, outcomes_of(bank, matrix)), 4)[0]
    assert first.item == bank.items[9].id
    assert first.correlation > 0.9
    assert first.q < 0.001


def test_features_say_why_a_task_is_hard() -> None:
    bank, responses, features = planted(np.zeros(1))
    place = [item.difficulties[0] for item in bank.items]
    rng = np.random.default_rng(0)
    told = Features(
        features.names,
        (Column("steps", "judged", "number"),),
        tuple((float(b + rng.normal(0, 0.3)),) for b in place),
    )
    hardest = int(np.argmax(place))
    found = explain_task(bank, responses, bank.items[hardest].id, told)
    assert found.why is not None
    assert found.why.reasons[0].effect > 1
    assert found.why.explained > 0.8
    assert abs(found.why.surprise) < 4
    assert place[[i.id for i in bank.items].index(found.near[0].item)] > np.median(place)
    assert found.harder_than == 1
    nothing = explain_task(bank, responses, bank.items[0].id)
    assert nothing.why is None
    assert any("--features" in note for note in nothing.notes)


# --- other parts, traces ----------------------------------------------------------------------


def test_a_better_model_is_told_from_the_parts_of_agents() -> None:
    rng = np.random.default_rng(8)
    bank = draw_bank(80)
    models, scaffolds = {"big": 1.5, "mid": 0.0, "small": -1.5}, {"s": 0.5, "t": 0.0, "u": -0.5}
    pairs = [(m, s) for m in models for s in scaffolds for _ in range(2)]
    ability = np.array([models[m] + scaffolds[s] for m, s in pairs]) + rng.normal(0, 0.2, 18)
    matrix = np.stack(
        [draw_answers(item, ability[:, None], np.zeros(18), 1, rng)[:, 0] for item in bank.items], 1
    )
    llm, scaffold = zip(*pairs, strict=True)
    responses = outcomes_of(bank, matrix, llm=llm, scaffold=scaffold, date=("2025-01",) * 18)
    tags = tuple(replace(item, tags=("a",) if k % 2 else ()) for k, item in enumerate(bank.items))
    bank = replace(bank, items=tags)
    agent = responses.agents[pairs.index(("mid", "u"))]
    found = explain_agent(bank, responses, agent).better
    model, frame = found.changes
    assert (model.part, frame.part) == ("big", "s")
    assert model.low < 1.0 < model.high
    assert model.abler > 0.95
    assert model.score > found.score
    assert all(gain.now < 0.5 for gain in model.tasks)
    assert [gain.then for gain in model.tasks] == sorted(
        (g.then for g in model.tasks), reverse=True
    )
    best = explain_agent(bank, responses, responses.agents[pairs.index(("big", "s"))]).better
    assert len(best.changes) == 0
    assert all("already the best" in note for note in best.notes)


def test_parts_are_taken_from_the_calibrating_agents() -> None:
    from harness.bank import Calibrant

    bank, responses, _ = planted(np.zeros(1), agents=2, items=5)
    known = replace(bank, calibrants=(Calibrant("agent1", (0.0,), (1.0,), "2025", "m", "s"),))
    told = with_calibrants(known, replace(responses, llm=("own", "")))
    assert (told.llm, told.scaffold, told.date) == (("own", "m"), ("", "s"), ("", "2025"))


def test_traces_come_from_the_journals_of_an_agent(tmp_path: Path) -> None:
    bank = draw_bank(2)
    for run, agent in (("r1", "one"), ("r2", "other")):
        folder = tmp_path / run
        folder.mkdir()
        with journal.appending(folder / journal.NAME) as writer:
            writer.append(Started(1.0, run, agent, Plan(), bank.name, bank.hash, "1"))
            writer.append(Chosen(2.0, 1, "task1", "task1#1", (0.0,), (1.0,)))
            writer.append(Answered(3.0, 1, "task1", 0, trace="logs/a.eval"))
    (tmp_path / "table.csv").write_text("agent,item,category\n")
    found = find_traces([tmp_path, tmp_path / "table.csv"], "one")
    (trace,) = found["task1"]
    assert (Path(trace.run).name, trace.log, trace.sample) == ("r1", "logs/a.eval", "task1#1")
    assert find_traces([tmp_path / "table.csv"], "one") == {}


# --- real outcomes ----------------------------------------------------------------------------


def test_an_agent_that_breaks_on_one_repository_is_found(shared_data: Path) -> None:
    folder = shared_data / "swebench_verified"
    bank = load_bank("item_banks/swebench-verified")
    responses = with_parts(read_responses(folder / "responses.csv.gz", bank), folder / "agents.csv")
    features = Features(
        tuple(item.id for item in bank.items),
        (Column("repository", "repository", "category"),),
        tuple((item.id.partition("__")[0],) for item in bank.items),
    )
    found = explain_agent(bank, responses, "20250120_Bracket", features)
    assert [one.name for one in found.sure] == ["sympy"]
    assert found.sure[0].observed == 25
    assert 36 < found.sure[0].expected < 45
    assert found.joint_p < 1e-4
