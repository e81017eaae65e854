"""Predictions of tasks: scores and information against brute force, verdicts, reasons, banks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import rankdata

from harness.bank import Calibrant, Item, ItemBank
from harness.bank_files import load_bank, save_bank
from harness.errors import BankError, InputError
from harness.predict.match import aligned, combined, extraction_space, predicted_bank
from harness.predict.predictor import Predictor, fit_predictor, predicted_items
from harness.predict.quality import judge_predictor
from harness.predict.rates import drawn_scores, expected_information
from harness.predict.reasons import explain, sd_if_known
from harness.predict.tasks import TaskPredictions, predict_tasks
from harness.predict.today import a_few, named_agents, places, todays_agents
from harness.regression import Column, Features, regress
from harness.report.predict.tasks import render_predictions_page
from harness.report.predict.words import quality_sentence, reasons_sentence, summary_sentence

_COLUMNS = (
    Column("size", "code", "number"),
    Column("depth", "code", "number"),
    Column("kind", "meta", "category"),
)
_KINDS = {"web": -0.5, "data": 0.0, "crypto": 0.5}


def table(n: int, rng: np.random.Generator, prefix: str) -> tuple[Features, np.ndarray]:
    """Features of tasks, and what they make of the difficulty."""
    x = rng.normal(size=(n, 2))
    kinds = rng.choice(list(_KINDS), n)
    rows = tuple((float(a), float(b), str(k)) for (a, b), k in zip(x, kinds, strict=True))
    names = tuple(f"{prefix}{i:03}" for i in range(n))
    return Features(names, _COLUMNS, rows), 0.8 * x[:, 0] + np.array([_KINDS[k] for k in kinds])


def items(names: tuple[str, ...], b: np.ndarray, rng: np.random.Generator) -> tuple[Item, ...]:
    """2PL items whose difficulties are known to a standard error of 0.2."""
    found = []
    for name, hard in zip(names, b + rng.normal(0, 0.2, len(b)), strict=True):
        a = math.exp(rng.normal(0.4, 0.2))
        spread = (
            (0.04, -0.04 * a * hard),
            (-0.04 * a * hard, 0.04 * (a * hard) ** 2 + 0.04 * a**2),
        )
        found.append(Item(name, "2pl", (a,), (-a * hard,), covariance=spread))
    return tuple(found)


def world(
    n: int = 80, residual: float = 0.5, new: int = 20, seed: int = 0, agents: int = 40
) -> tuple[ItemBank, Features, Features, np.ndarray]:
    """A bank, features of its items and of new tasks, and the true difficulty of the latter."""
    rng = np.random.default_rng(seed)
    features, mean = table(n, rng, "old")
    b = mean + rng.normal(0, residual, n)
    ability = np.sort(rng.normal(0, 1, agents))
    calibrants = tuple(
        Calibrant(f"agent-{k}", (float(t),), (0.1,), f"2025-{1 + k % 12:02}")
        for k, t in enumerate(ability)
    )
    bank = ItemBank("world", items(features.names, b, rng), calibrants=calibrants)
    later, mean = table(new, rng, "new")
    return bank, features, later, mean + rng.normal(0, residual, new)


@pytest.fixture(scope="module")
def usual() -> tuple[ItemBank, Predictor, Features, TaskPredictions]:
    bank, features, new, _ = world()
    predictor = fit_predictor(bank, features)
    return bank, predictor, new, predict_tasks(predictor, bank, new)


# --- scores and information -------------------------------------------------------------------


@settings(max_examples=25)
@given(
    b=st.floats(-3, 3),
    sd=st.floats(0, 1.5),
    log_a=st.floats(-0.5, 1),
    log_sd=st.floats(0, 0.4),
    ability=st.floats(-2, 2),
    doubt=st.floats(0, 0.5),
    effect=st.floats(0, 1.5),
)
def test_the_expected_score_is_that_of_quadrature(
    b: float, sd: float, log_a: float, log_sd: float, ability: float, doubt: float, effect: float
) -> None:
    item = Item("i", "2pl", (1.0,), (0.0,), effect_sd=effect)
    agent = Calibrant("a", (ability,), (doubt,))
    scores = drawn_scores(item, (b, sd), (log_a, log_sd), ((0.0,), 0.0), [agent])
    x, w = np.polynomial.hermite_e.hermegauss(25)
    w = w / w.sum()
    # ability and difficulty enter by their difference alone
    apart = ability - b + math.hypot(sd, doubt) * x
    slope = np.exp(log_a + log_sd * x)
    logit = slope[:, None, None] * apart[None, :, None] + effect * x[None, None, :]
    exact = np.einsum("i,j,k,ijk", w, w, w, expit(logit))
    assert scores.mean() == pytest.approx(exact, abs=0.012)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("model", ["grm", "gpcm"])
def test_ordinal_scores_are_those_of_independent_draws(model: str) -> None:
    spacing, spacing_sd = (-0.8, 0.1, 0.7), 1.0
    item = Item("i", model, (1.0,), (1.0, 0.0, -1.0), categories="four")  # type: ignore[arg-type]
    agent = Calibrant("a", (0.4,), (0.2,))
    found = drawn_scores(item, (0.3, 0.8), (0.2, 0.2), (spacing, spacing_sd), [agent])[:, 0]
    rng = np.random.default_rng(1)
    n = 200_000
    a = np.exp(rng.normal(0.2, 0.2, n))
    steps = rng.normal(0.3, 0.8, n)[:, None] + np.array(spacing)
    steps = steps + rng.normal(0, spacing_sd, (n, 3))
    theta = rng.normal(0.4, 0.2, n)
    if model == "grm":
        steps = np.sort(steps, axis=1)
        score = expit(a[:, None] * (theta[:, None] - steps)).mean(axis=1)
    else:
        log = np.cumsum(a[:, None] * (theta[:, None] - steps), axis=1)
        weight = np.exp(np.concatenate([np.zeros((n, 1)), log], axis=1))
        score = (weight @ np.arange(4)) / weight.sum(axis=1) / 3
    assert found.mean() == pytest.approx(score.mean(), abs=0.01)
    assert np.quantile(found, [0.05, 0.95]) == pytest.approx(
        np.quantile(score, [0.05, 0.95]), abs=0.03
    )


def test_doubt_about_ability_widens_the_score_as_doubt_about_difficulty_does() -> None:
    item = Item("i", "2pl", (1.0,), (0.0,))
    sure, unsure = Calibrant("a", (0.5,), (0.0,)), Calibrant("a", (0.5,), (0.8,))
    known = drawn_scores(item, (0.0, 0.0), (0.5, 0.0), ((0.0,), 0.0), [sure, unsure])
    moved = drawn_scores(item, (0.0, 0.8), (0.5, 0.0), ((0.0,), 0.0), [sure])
    assert np.ptp(known[:, 0]) == 0
    ends = [0.05, 0.5, 0.95]
    assert np.quantile(known[:, 1], ends) == pytest.approx(np.quantile(moved, ends), abs=0.02)


def test_expected_information_is_the_average_over_what_the_task_may_be() -> None:
    nodes = np.array([[-1.0], [0.0], [2.0]])
    item = Item("i", "2pl", (1.0,), (0.0,))
    found = expected_information(item, (0.5, 0.7), (0.3, 0.2), (0.0,), nodes)
    rng = np.random.default_rng(2)
    a, b = np.exp(rng.normal(0.3, 0.2, 100_000)), rng.normal(0.5, 0.7, 100_000)
    p = expit(a * (nodes - b))
    assert found == pytest.approx((a**2 * p * (1 - p)).mean(axis=1), rel=0.1)


def test_an_effect_of_agent_and_item_flattens_both(usual: object) -> None:
    plain, noisy = (Item("i", "2pl", (1.0,), (0.0,), effect_sd=sd) for sd in (0.0, 2.0))
    agents = [Calibrant("a", (2.0,), (0.0,))]
    sure = ((0.0, 0.2), (0.7, 0.1), ((0.0,), 0.0))
    assert drawn_scores(noisy, *sure, agents).mean() < drawn_scores(plain, *sure, agents).mean()
    node = np.zeros((1, 1))
    told = [
        expected_information(item, (0.0, 0.2), (0.7, 0.1), (0.0,), node)[0]
        for item in (plain, noisy)
    ]
    assert told[1] < told[0]


def test_better_agents_are_expected_to_score_higher(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    found = usual[3]
    abilities = [agent.ability[0] for agent in found.agents]
    assert abilities == sorted(abilities, reverse=True)
    for task in found.tasks:
        for name in ("mean", "low", "high"):
            ends = [getattr(rate, name) for rate in task.rates]
            assert ends == sorted(ends, reverse=True)
        assert all(rate.low <= rate.mean <= rate.high for rate in task.rates)
        assert task.low < task.difficulty < task.high
        assert task.below_low <= task.below <= task.below_high


# --- reasons ----------------------------------------------------------------------------------


@settings(max_examples=20)
@given(data=st.data())
def test_reasons_add_up_and_unknown_cells_widen(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions], data: st.DataObject
) -> None:
    _, predictor, new, _ = usual
    blank = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
    cells = tuple(None if b else cell for b, cell in zip(blank, new.cells[0], strict=True))
    some = Features(("t",), new.columns, (cells,))
    fit = predictor.difficulty
    (reasons,), place = explain(fit, some), fit.predict(some)
    total = fit.weights[0] + sum(reason.effect for reason in reasons)
    assert total == pytest.approx(place.mean[0], abs=1e-9)
    assert [reason.known for reason in reasons].count(False) == sum(blank)
    effects = [abs(reason.effect) for reason in reasons]
    assert effects == sorted(effects, reverse=True)
    (narrow,) = sd_if_known(fit, some)
    if any(blank):
        assert narrow < place.sd[0]
    else:
        assert narrow == pytest.approx(place.sd[0])


def test_a_vector_is_one_reason_with_the_sd_of_its_sum() -> None:
    rng = np.random.default_rng(3)
    # columns that go together, so that the errors of their weights do too
    x = rng.normal(size=(60, 4)) + rng.normal(size=(60, 1))
    columns = (*(Column(f"v{k}", "text", "number") for k in range(3)), Column("a", "m", "number"))
    features = Features(tuple(map(str, range(60))), columns, tuple(map(tuple, x.tolist())))
    fit = regress(features, x @ [0.5, 0.5, -0.5, 0.3] + rng.normal(0, 0.3, 60), np.zeros(60))
    (reasons,) = explain(fit, features.of(["7"]))
    by_name = {reason.feature: reason for reason in reasons}
    assert by_name["text"].columns == 3
    assert by_name.keys() == {"text", "a"}
    z = fit.coding.design(features.of(["7"])).x[0, 1:4]
    assert by_name["text"].effect == pytest.approx(z @ fit.weights[1:4])
    draws = rng.multivariate_normal(fit.weights, fit.covariance, 100_000)[:, 1:4] @ z
    assert by_name["text"].sd == pytest.approx(draws.std(), rel=0.02)


def test_what_lies_outside_the_calibrated_range_is_named_and_not_followed(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    bank, predictor, _, _ = usual
    size = predictor.difficulty.coding.codes[0]
    cells = ((1e6, 0.0, "web"), (size.high, 0.0, "web"), (0.0, 0.0, "quantum"))
    odd = Features(("far", "edge", "strange"), _COLUMNS, cells)
    far, edge, strange = predict_tasks(predictor, bank, odd).tasks
    assert [(o.feature, o.why, o.value) for o in far.outside] == [("size", "number", 1e6)]
    assert not edge.outside
    assert [(o.feature, o.why, o.value) for o in strange.outside] == [
        ("kind", "category", "quantum")
    ]
    assert far.difficulty == pytest.approx(edge.difficulty)
    assert strange.unknown == ("kind",)
    # what is told is the task's own value, not the end of the range
    assert next(r for r in far.reasons if r.feature == "size").value == 1e6


# --- verdicts and places ----------------------------------------------------------------------


def test_tasks_far_from_all_agents_are_at_the_floor_or_the_ceiling() -> None:
    rng = np.random.default_rng(4)
    n = 60
    size = rng.uniform(-8, 8, n)
    names = tuple(f"old{i}" for i in range(n))
    columns = (Column("size", "code", "number"),)
    features = Features(names, columns, tuple((float(x),) for x in size))
    agents = tuple(Calibrant(f"a{k}", (k / 10 - 1,), (0.1,)) for k in range(21))
    bank = ItemBank("wide", items(names, size, rng), calibrants=agents)
    predictor = fit_predictor(bank, features)
    new = Features(("hard", "easy", "middle"), columns, ((7.0,), (-7.0,), (0.0,)))
    hard, easy, middle = predict_tasks(predictor, bank, new).tasks
    assert (hard.verdict, easy.verdict) == ("floor", "ceiling")
    assert middle.verdict in ("within reach", "fills a gap")
    assert hard.floor > 0.99
    assert easy.ceiling > 0.99
    assert max(middle.floor, middle.ceiling) < 0.01
    assert (hard.below, easy.below) == (1.0, 0.0)


def test_a_task_fills_the_gap_that_was_left_in_a_bank() -> None:
    rng = np.random.default_rng(5)
    size = rng.uniform(-3, -1, 80)
    names = tuple(f"old{i}" for i in range(80))
    columns = (Column("size", "code", "number"),)
    agents = tuple(Calibrant(f"a{k}", (k / 10 - 2,), (0.1,)) for k in range(31))
    made = items((*names, "one"), np.array([*size, 1.0]), rng)
    bank = ItemBank("easy", made, calibrants=agents)
    features = Features((*names, "one"), columns, (*((float(x),) for x in size), (1.0,)))
    new = Features(("there", "elsewhere"), columns, ((0.9,), (-2.0,)))
    found = predict_tasks(fit_predictor(bank, features), bank, new)
    assert [task.verdict for task in found.tasks] == ["fills a gap", "within reach"]
    best = [place.name for place in found.places].index("best agent")
    assert found.places[best].thin
    assert found.tasks[0].worth[best] > 2 > found.tasks[1].worth[best]


def test_places_tell_of_the_information_of_the_calibrated_items() -> None:
    bank, _, new, _ = world()
    today = todays_agents(bank)
    for place in places(bank, today):
        exact = 0.0
        for item in bank.items:
            p = expit(item.slopes[0] * place.ability + item.intercepts[0])
            exact += item.slopes[0] ** 2 * p * (1 - p)
        assert place.bank == pytest.approx(exact)
    predictor = fit_predictor(bank, world()[1])
    merged = predicted_bank(bank, predictor, new, merge=True)
    assert places(merged, today) == places(bank, today)


def test_a_few_agents_hold_the_best_the_median_and_the_newest() -> None:
    bank = world(agents=41)[0]
    today = todays_agents(bank)
    few = a_few(today)
    order = sorted(bank.calibrants, key=lambda agent: -agent.ability[0])
    december = [agent for agent in order if agent.date == "2025-12"]
    for one in (order[0], order[20], order[-1], december[0]):
        assert one in few
    assert len(few) <= 6


def test_without_agents_the_population_stands_in() -> None:
    bank, features, new, _ = world()
    bank = replace(bank, calibrants=())
    found = predict_tasks(fit_predictor(bank, features), bank, new)
    assert not found.real
    assert found.best == "better than 95%"
    assert found.today == tuple(sorted(found.today, reverse=True))
    assert found.today[0] == pytest.approx(1.645, abs=0.05)


def test_an_agent_that_the_bank_does_not_know_is_refused_with_likely_names() -> None:
    today = todays_agents(world()[0])
    with pytest.raises(InputError, match="'agent-39'"):
        named_agents(today, ["agent-390"])
    assert [a.agent for a in named_agents(today, ["agent-3", "agent-30"])] == [
        "agent-30",
        "agent-3",
    ]


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_a_level_that_is_none_is_refused(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions], level: float
) -> None:
    bank, predictor, new, _ = usual
    with pytest.raises(InputError, match="between 0 and 1"):
        predict_tasks(predictor, bank, new, level=level)


def test_banks_without_a_calibrated_item_or_with_several_abilities_are_refused(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    bank, predictor, new, _ = usual
    with pytest.raises(BankError, match="predicted items only"):
        predict_tasks(predictor, predicted_bank(bank, predictor, new), new)
    plane = ItemBank("plane", (Item("i", "2pl", (1.0, 1.0), (0.0,)),), mean=(0, 0), sd=(1, 1))
    with pytest.raises(BankError, match="2 abilities"):
        predict_tasks(predictor, plane, new)


# --- truth ------------------------------------------------------------------------------------


def test_intervals_cover_and_the_predictor_knows_how_good_it_is() -> None:
    bank, features, new, b = world(n=150, new=400, residual=0.6)
    predictor = fit_predictor(bank, features)
    found = predict_tasks(predictor, bank, new)
    inside = [t.low <= x <= t.high for t, x in zip(found.tasks, b, strict=True)]
    assert 0.85 <= np.mean(inside) <= 0.95
    error = np.array([t.difficulty for t in found.tasks]) - b
    quality = found.quality
    assert quality.n == 150
    assert quality.error_sd == pytest.approx(error.std(), rel=0.2)
    assert quality.spread == pytest.approx(b.std(), rel=0.2)
    assert quality.explained == pytest.approx(1 - error.var() / b.var(), abs=0.12)
    assert 0.83 <= quality.covered <= 0.96
    assert quality.correlation_low < quality.correlation < quality.correlation_high


def test_pass_rates_come_true() -> None:
    bank, features, new, b = world(n=150, new=250, residual=0.6, seed=1, agents=20)
    names = [agent.agent for agent in bank.calibrants]
    found = predict_tasks(fit_predictor(bank, features), bank, new, agents=names)
    rng = np.random.default_rng(6)
    slope = np.exp(rng.normal(0.4, 0.2, len(b)))[:, None]
    ability = np.array([agent.ability[0] for agent in found.agents])
    passed = rng.random((len(b), len(ability))) < expit(slope * (ability - b[:, None]))
    expected = np.array([[rate.mean for rate in task.rates] for task in found.tasks])
    for low in np.arange(0, 1, 0.2):
        here = (expected >= low) & (expected < low + 0.2)
        assert passed[here].mean() == pytest.approx(expected[here].mean(), abs=0.05)


def test_features_without_meaning_explain_nothing_and_it_is_said() -> None:
    bank, features, _, _ = world(n=100)
    rng = np.random.default_rng(7)
    order = rng.permutation(100)
    shuffled = Features(features.names, features.columns, tuple(features.cells[k] for k in order))
    quality = judge_predictor(fit_predictor(bank, shuffled).difficulty)
    assert quality.explained < 0.1
    assert abs(quality.correlation) < 0.35
    sentence = quality_sentence(replace(quality, explained=0.0))
    assert "next to nothing" in sentence


# --- tables, banks and words ------------------------------------------------------------------


def test_columns_find_the_blocks_of_the_predictor_by_their_names(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    _, predictor, new, _ = usual
    moved = replace(new, columns=tuple(replace(c, block="file") for c in new.columns))
    assert aligned(moved, predictor).columns == new.columns
    # a column that is there already is not put in twice
    twice = new.beside(moved)
    assert aligned(twice, predictor).columns == twice.columns


@given(st.data())
def test_of_two_tables_the_second_counts_where_it_knows_something(data: st.DataObject) -> None:
    cell = st.one_of(st.none(), st.floats(-1, 1))
    x, y = Column("x", "b", "number"), Column("y", "b", "number")
    a = Features(("i",), (x,), ((data.draw(cell),),))
    b = Features(("i", "j"), (x, y), ((data.draw(cell), 2.0), (9.0, 9.0)))
    found = combined(a, b)
    first, second = a.cells[0][0], b.cells[0][0]
    assert found.names == ("i",)
    assert found.columns == (x, y)
    assert found.cells == ((first if second is None else second, 2.0),)


def test_tags_that_the_predictor_has_columns_for_are_looked_for_in_new_tasks() -> None:
    columns = (Column("tags=web", "topic", "number"), Column("lines", "tests", "number"))
    rows = tuple((float(k % 2), float(k)) for k in range(12))
    features = Features(tuple(f"old{k:03}" for k in range(12)), columns, rows)
    bank = world(n=12)[0]
    space = extraction_space(fit_predictor(bank, features))
    assert space.words == {"topic.tags": ("web",)}
    assert space.level == "tests"


@pytest.mark.parametrize("merge", [False, True])
def test_the_new_tasks_make_a_bank_that_reads_back(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions], tmp_path: Path, merge: bool
) -> None:
    bank, predictor, new, found = usual
    made = predicted_bank(bank, predictor, new, merge=merge)
    save_bank(made, tmp_path / "bank")
    read = load_bank(tmp_path / "bank")
    assert read.hash == made.hash
    assert len(read.items) == len(new.names) + merge * len(bank.items)
    assert read.common_sd == pytest.approx(predictor.common_sd(new))
    assert read.calibrants == bank.calibrants
    for task in found.tasks:
        assert read[task.item].predicted
        assert read[task.item].difficulties[0] == pytest.approx(task.difficulty, abs=1e-4)
    # predicted anew, they replace what was predicted before
    again = predicted_bank(read, predictor, new, merge=True)
    assert len(again.items) == len(read.items)


def test_the_page_is_whole_and_strange_names_do_no_harm(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    bank, predictor, new, _ = usual
    bad = "<script>alert(1)</script>\x1b[31m"
    named = replace(new.of(new.names[:3]), names=(bad, *new.names[1:3]))
    found = predict_tasks(predictor, bank, named)
    page = render_predictions_page(found, "0", "tasks.csv", ("a note",))
    assert "<script>" not in page
    assert "\x1b" not in page
    assert page.count("<svg") >= 4
    assert "http" not in page.replace("http://www.w3.org", "")
    for section in ("places", "why", "additions", "quality", "meaning"):
        assert f'id="{section}"' in page
    one = predict_tasks(predictor, bank, new.of(new.names[:1]))
    assert new.names[0] in summary_sentence(one)
    assert "size" in reasons_sentence(one.tasks[0])


def test_swe_bench_tasks_that_were_left_out(shared_data: Path) -> None:
    from harness.features import read_features
    from harness.responses import read_responses

    bank = load_bank("swebench-verified")
    folder = shared_data / "swebench_verified"
    features = read_features({"judged_solution": folder / "features_15.csv"})
    held = [item.id for item in bank.items[::5]]
    rest = replace(bank, items=tuple(i for i in bank.items if i.id not in set(held)))
    names = [agent.agent for agent in bank.calibrants[::5]]
    predictor = fit_predictor(rest, features)
    found = predict_tasks(predictor, rest, features.of(held), agents=names)
    truth = judge_predictor(predictor.difficulty)
    assert 0.3 < truth.explained < 0.6
    inside = [
        abs(t.difficulty - bank[t.item].difficulties[0]) < t.high - t.difficulty
        for t in found.tasks
    ]
    assert 0.8 <= np.mean(inside) <= 0.98
    responses = read_responses(folder / "responses.csv.gz")
    outcome = {
        (responses.agents[a], responses.items[i]): responses.category[k] > 0
        for k, (a, i) in enumerate(zip(responses.agent, responses.item, strict=True))
    }
    pairs = [(rate.mean, outcome[rate.agent, t.item]) for t in found.tasks for rate in t.rates]
    expected, passed = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    n = passed.sum()
    auc = (rankdata(expected)[passed].sum() - n * (n + 1) / 2) / (n * (~passed).sum())
    assert auc > 0.78
    assert expected.mean() == pytest.approx(passed.mean(), abs=0.05)


def test_predicted_parameters_are_those_of_the_page(
    usual: tuple[ItemBank, Predictor, Features, TaskPredictions],
) -> None:
    _, predictor, new, found = usual
    for item, task in zip(predicted_items(predictor, new), found.tasks, strict=True):
        assert item.difficulties[0] == pytest.approx(task.difficulty, abs=1e-4)
        assert item.slopes[0] == pytest.approx(task.slope, rel=1e-4)
