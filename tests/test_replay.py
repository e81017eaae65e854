"""Replay: logged outcomes through the engine, against the full data and against random choice."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.ability import Posterior, normalise
from harness.bank import Item, ItemBank
from harness.batch import administer
from harness.calibrate import calibrate
from harness.errors import PlanError, ResponsesError
from harness.events import Plan
from harness.grammar import parse_selector, parse_stop
from harness.responses import Responses, from_matrix, read_responses
from harness.runners.accuracy import accuracy, plain_accuracy, rank_correlation
from harness.runners.replay import DRAWS, Replay, replay
from harness.runners.simulate import draw_outcomes
from harness.runners.tables import replay_table
from harness.score import predict_score

RNG = np.random.default_rng(11)
BANK = ItemBank(
    "demo",
    tuple(
        Item(
            f"i{i}",
            "2pl" if i % 4 else "grm",
            (float(RNG.lognormal(0.3, 0.3)),),
            (float(RNG.normal(0, 1.2)),) if i % 4 else (1.5, 0.2, -1.0),
            categories="binary" if i % 4 else "four",
            seconds=10.0 + i,
        )
        for i in range(24)
    ),
    {"binary": ("fail", "pass"), "four": ("none", "first", "core", "complete")},
)
TRUTH = np.linspace(-1.5, 1.5, 20)
FULL = draw_outcomes(BANK, TRUTH[:, None], np.arange(20), seed=5)
IDS = [item.id for item in BANK.items]
TOP = BANK.table.n_categories - 1


def log_of(matrix: NDArray[np.intp]) -> Responses:
    return from_matrix(matrix, items=IDS, n_categories=BANK.table.n_categories.tolist())


def plain(found: Replay) -> str:
    """Strict JSON: a NaN would raise."""
    return json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.fixture(scope="module")
def found() -> Replay:
    return replay(BANK, log_of(FULL), Plan(stop=parse_stop("sd<0.4 or items>=12")))


# --- agents -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["random", "max-information", "min-variance", "min-variance/seconds"]),
    st.sampled_from(["sd<0.5 or items>=9", "seconds>=100", "exhausted", "sd<2"]),
)
def test_every_agent_is_its_own_session(seed: int, select: str, stop: str) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((4, 24)) < 0.4, -1, FULL[:4])
    matrix[3] = -1
    plan = Plan(parse_selector(select), parse_stop(stop), seed=seed % 100)
    found = replay(BANK, log_of(matrix), plan, checkpoints=(3, 1, 30))
    assert found.skipped == ("agent3",)
    assert [agent.agent for agent in found.agents] == ["agent0", "agent1", "agent2"]
    for a, agent in enumerate(found.agents):
        observed = matrix[a] >= 0
        score = (matrix[a] / TOP)[observed].mean()
        assert agent.items == observed.sum()
        assert agent.score == pytest.approx(score)
        seeds = np.array([plan.seed + a])
        steps = [s.of(0) for s in administer(BANK.table, plan, matrix[a : a + 1], seeds)]
        stopped = next(step for step in steps if step.may_stop[0])
        assert agent.stop.items == stopped.round
        assert [e.items for e in agent.checkpoints] == [m for m in (1, 3) if m <= agent.items]
        for estimate in (agent.stop, *agent.checkpoints):
            progress = steps[estimate.items].progress
            weights, answers = progress.view.weights[0], progress.view.answers[0]
            prediction = predict_score(BANK.table, weights, answers, observed)
            interval = Posterior(BANK.table.nodes, weights).interval(plan.level)
            assert estimate.ability == pytest.approx(progress.view.ability[0].tolist())
            assert estimate.ability_interval == ((interval.low, interval.high),)
            assert estimate.score == pytest.approx(prediction.mean)
            assert estimate.seconds == pytest.approx(BANK.table.seconds[answers >= 0].sum())
            assert estimate.usd is None
    assert plain(found)


@given(st.integers(0, 2**32))
def test_full_data_ability_is_the_posterior_mean_of_every_answer(seed: int) -> None:
    matrix = np.where(np.random.default_rng(seed).random((2, 24)) < 0.5, -1, FULL[:2])
    matrix[:, 0] = FULL[:2, 0]
    found = replay(BANK, log_of(matrix), Plan(), checkpoints=(24,))
    for agent, row in zip(found.agents, matrix, strict=True):
        rows = np.flatnonzero(row >= 0)
        log_p = Plan().prior.log_weights(BANK.table.nodes) + BANK.table.log_p[rows, row[rows]].sum(
            0
        )
        posterior = Posterior(BANK.table.nodes, normalise(log_p))
        assert agent.ability == pytest.approx(posterior.mean.tolist())
        assert agent.sd == pytest.approx(posterior.sd.tolist())


def test_with_every_item_the_session_knows_the_full_data_values() -> None:
    found = replay(BANK, log_of(FULL), Plan(stop=parse_stop("exhausted")), checkpoints=(24,))
    for point in (found.at_stop, *found.checkpoints):
        assert point.score.mae == pytest.approx(0, abs=1e-12)
        assert point.ability[0].mae == pytest.approx(0, abs=1e-9)
        assert point.score.coverage == point.ability[0].coverage == 1.0
        assert point.baseline is not None
        assert point.baseline.mae == pytest.approx(0, abs=1e-12)
    assert found.outcomes == {"precise": 0, "doubtful": 0, "limit": 0, "exhausted": 20}
    assert found.items.mean == found.items.mean_all == 24


def test_the_report_follows_from_its_agents(found: Replay) -> None:
    assert [point.items for point in found.checkpoints] == [5, 10, 20]
    for place, point in enumerate(found.checkpoints):
        errors = np.array([a.checkpoints[place].score - a.score for a in found.agents])
        assert point.score.mae == pytest.approx(np.abs(errors).mean())
        assert point.score.bias == pytest.approx(errors.mean())
        inside = [
            e.score_interval[0] - 1e-9 <= a.score <= e.score_interval[1] + 1e-9
            for a, e in ((a, a.checkpoints[place]) for a in found.agents)
        ]
        assert point.score.coverage == pytest.approx(np.mean(inside))
        assert point.baseline is not None
        random = [a.checkpoints[place].random_mae or 0.0 for a in found.agents]
        assert point.baseline.mae == pytest.approx(np.mean(random))
    assert found.items.mean == np.mean([a.stop.items for a in found.agents])
    assert found.items.median == np.median([a.stop.items for a in found.agents])
    assert sum(found.outcomes.values()) == len(found.agents)
    assert found.usd is None
    assert found.seconds is not None
    assert found.seconds.mean_all == BANK.table.seconds.sum()
    assert found.draws == DRAWS


def test_adaptive_items_beat_random_ones(found: Replay) -> None:
    # with nearly all items known, the plain mean is as good as any
    for point in (*found.checkpoints[:2], found.at_stop):
        assert point.baseline is not None
        assert point.score.mae < point.baseline.mae
        assert point.baseline.mae_spread > 0
    assert found.checkpoints[-1].score.mae < found.checkpoints[0].score.mae


def test_the_same_seed_gives_the_same_replay(found: Replay) -> None:
    again = replay(BANK, log_of(FULL), Plan(stop=parse_stop("sd<0.4 or items>=12")))
    assert again == found
    assert replay(BANK, log_of(FULL), Plan(seed=1)).at_stop.baseline != found.at_stop.baseline


def test_without_baseline() -> None:
    found = replay(BANK, log_of(FULL[:3]), Plan(), checkpoints=(), baseline=False)
    assert found.checkpoints == ()
    assert (found.at_stop.baseline, found.draws, found.agents[0].stop.random_mae) == (None, 0, None)
    assert plain(found)


def test_progress_reaches_all_agents() -> None:
    told: list[tuple[int, int]] = []
    replay(BANK, log_of(FULL), Plan(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (20, 20)


# --- what the log holds -----------------------------------------------------------------------


def test_items_that_the_log_lacks_are_not_available() -> None:
    some = log_of(FULL).subset(items=IDS[::2])
    found = replay(BANK, some, Plan(stop=parse_stop("exhausted")))
    assert found.absent_items == 12
    assert {agent.items for agent in found.agents} == {12}
    assert [point.items for point in found.checkpoints] == [5, 10]


def test_items_may_come_in_any_order() -> None:
    shuffled = np.random.default_rng(0).permutation(24)
    other = log_of(FULL).subset(items=[IDS[i] for i in shuffled])
    plan = Plan(stop=parse_stop("items>=6"))
    assert replay(BANK, other, plan) == replay(BANK, log_of(FULL), plan)


def test_an_item_that_the_bank_lacks_is_refused() -> None:
    strange = from_matrix(np.ones((2, 2)), items=["i1", "elsewhere"])
    with pytest.raises(ResponsesError, match="'elsewhere' is not in the bank"):
        replay(BANK, strange, Plan())


def test_an_unknown_item_without_outcomes_does_no_harm() -> None:
    blank = from_matrix(np.array([[1, -1], [0, -1]]), items=["i1", "elsewhere"])
    assert replay(BANK, blank, Plan()).items.mean_all == 1


def test_a_category_that_the_bank_lacks_is_refused() -> None:
    wrong = from_matrix(np.array([[0, 1], [2, 1]]), items=["i1", "i2"])
    with pytest.raises(ResponsesError, match=r"agent 'agent1', item 'i1': category 2.*0\.\.1"):
        replay(BANK, wrong, Plan())


def test_a_log_without_outcomes_is_refused() -> None:
    with pytest.raises(ResponsesError, match="no agent has an outcome on an item of bank 'demo'"):
        replay(BANK, log_of(np.full((2, 24), -1)), Plan())


def test_a_checkpoint_is_positive() -> None:
    with pytest.raises(PlanError, match="from 1 on, not 0"):
        replay(BANK, log_of(FULL), Plan(), checkpoints=(5, 0))


def write_log(path: Path, trials: int) -> Path:
    lines = ["agent,item,trial,category,cost_usd"]
    rng = np.random.default_rng(3)
    for a in range(6):
        for i, item in enumerate(IDS):
            for trial in range(trials):
                category = FULL[a, i] if trial == 0 else rng.integers(TOP[i] + 1)
                cost = f"{1 + trial}" if a else ""
                lines.append(f"agent{a},{item},{trial},{category},{cost}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_file_of_outcomes(tmp_path: Path) -> None:
    found = replay(BANK, read_responses(write_log(tmp_path / "log.csv", 1), BANK), Plan())
    in_memory = replay(BANK, log_of(FULL[:6]), Plan())
    for one, other in zip(found.agents, in_memory.agents, strict=True):
        assert dataclasses.replace(one.stop, usd=None) == other.stop
        assert one.ability == other.ability
    # cost is known of all agents but the first
    assert found.agents[0].usd is None
    assert found.agents[1].usd == 24
    assert found.agents[1].stop.usd == found.agents[1].stop.items
    assert found.usd is not None
    assert found.usd.mean_all == 24
    assert found.source == "log.csv"


def test_one_trial_of_a_cell_is_drawn_with_its_cost(tmp_path: Path) -> None:
    log = read_responses(write_log(tmp_path / "log.csv", 3), BANK)
    plan = Plan(stop=parse_stop("exhausted"))
    one, same, other = (
        replay(BANK, log, dataclasses.replace(plan, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same
    assert [a.score for a in one.agents] != [a.score for a in other.agents]
    usd = [a.usd for seed in (one, other) for a in seed.agents if a.usd is not None]
    # three trials of 1, 2 and 3 dollars
    assert np.mean(usd) / 24 == pytest.approx(2, abs=0.2)


# --- accuracy ---------------------------------------------------------------------------------


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=20), st.integers(0, 2**32))
def test_rank_correlation_is_spearmans(values: list[int], seed: int) -> None:
    from scipy.stats import spearmanr

    left = np.array(values, float)
    right = np.random.default_rng(seed).permutation(left)
    if not np.ptp(left):
        assert rank_correlation(left, right) is None
    else:
        assert rank_correlation(left, right) == pytest.approx(spearmanr(left, right).statistic)
        assert rank_correlation(left, np.exp(left)) == pytest.approx(1)
        assert rank_correlation(left, -left) == pytest.approx(-1)


def test_accuracy_of_one_agent() -> None:
    found = accuracy([0.5], [(0.4, 0.6)], [0.7])
    assert found.mae == pytest.approx(0.2)
    assert (found.spearman, found.coverage) == (None, 0.0)


def test_plain_accuracy_averages_over_draws() -> None:
    found = plain_accuracy(np.array([[0.0, 1.0], [1.0, 1.0]]), [0.0, 1.0])
    assert (found.mae, found.bias) == (0.25, 0.25)
    assert found.mae_spread == pytest.approx(np.std([0.0, 0.5], ddof=1))
    assert found.spearman == 1.0


def test_the_table_shows_every_point(found: Replay) -> None:
    table = replay_table(found)
    assert list(table.columns[0].cells) == ["5", "10", "20", f"stop: {found.items.mean:.1f}"]
    assert all(len(list(column.cells)) == 4 for column in table.columns)


# --- real agents ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_newest_agents_of_swebench_verified(shared_data: Path) -> None:
    log = read_responses(shared_data / "swebench_verified" / "responses.csv.gz")
    by_date = sorted(range(len(log.agents)), key=lambda a: (log.date[a], log.agents[a]))
    names = [log.agents[a] for a in by_date]
    bank = calibrate(log.subset(names[:70]), "2pl", name="oldest").bank
    newest = log.subset(names[70:], items=[item.id for item in bank.items])
    found = replay(bank, newest, Plan(parse_selector("max-information")), checkpoints=(20, 50))
    assert (len(found.agents), found.skipped) == (30, ())
    for point, points_of_pass_rate, ranks in zip(
        found.checkpoints, (0.05, 0.04), (0.8, 0.9), strict=True
    ):
        assert point.baseline is not None
        assert point.score.mae < points_of_pass_rate
        assert point.score.mae < 0.65 * point.baseline.mae
        assert point.score.spearman is not None
        assert point.score.spearman > ranks
    assert found.items.mean < 20
