"""Studies: what is asked, who is tested, and that lockstep sessions are the ordinary ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_batch import BANKS, outcomes_of

from harness.ability import Posterior, Prior
from harness.bank import Item, ItemBank
from harness.errors import PlanError, ResponsesError
from harness.events import Answered, Chosen, Cost, Plan
from harness.grammar import parse_selector, parse_stop
from harness.irt import Table
from harness.responses import Responses, from_matrix
from harness.responses.drawn import Cells, draw_cells
from harness.responses.families import family_of
from harness.session import Session
from harness.study import parse_study, read_study, rehearse, run_study
from harness.study.baselines import middling, plain_means
from harness.study.outcomes import full_abilities, full_scores
from harness.study.plan_file import SplitEntry
from harness.study.run import methods_of
from harness.study.sessions import Asked, joined, run_sessions
from harness.study.splits import make_splits

Categories = NDArray[np.intp]
PLAN: dict[str, Any] = {
    "name": "demo",
    "responses": "r.csv",
    "model": "2pl",
    "split": {"by": "random"},
    "plans": [{"select": "min-variance"}],
}


def simulated(seed: int, agents: int = 24, items: int = 15, trials: int = 1) -> Responses:
    """Binary outcomes of agents whose names, models and dates follow their ability."""
    rng = np.random.default_rng(seed)
    ability, difficulty = np.sort(rng.normal(size=agents)), rng.normal(size=items)
    chance = 1 / (1 + np.exp(1.4 * (difficulty - ability[:, None])))
    passed = (rng.random((trials, agents, items)) < chance).astype(int)
    one = from_matrix(passed[0])
    cells, unknown = len(one.agent), np.full(passed.size, np.nan)
    return replace(
        one,
        agent=np.tile(one.agent, trials),
        item=np.tile(one.item, trials),
        trial=np.repeat(np.arange(trials), cells),
        category=passed.reshape(-1),
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
        llm=tuple(f"{'abc'[a % 3]}/model-{a}" for a in range(agents)),
        date=tuple(f"2025-{1 + a * 12 // agents:02}" for a in range(agents)),
    )


# --- the plan file ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plans": [{"select": "best"}]}, r"entry 'plans\[1\].select': unknown selector 'best'"),
        ({"plans": [{}, {"stop": "sd<"}]}, r"entry 'plans\[2\].stop': stopping rule 'sd<'"),
        ({"plans": [{"prior": "0,-1"}]}, r"entry 'plans\[1\].prior': must be auto, trend"),
        ({"plans": [{"estimator": "best"}]}, r"entry 'plans\[1\].estimator'"),
        ({"plans": [{"width": 0}]}, r"entry 'plans\[1\].width'"),
        ({"plans": [{"per": "euro"}]}, r"entry 'plans\[1\].per': 'euro' is none of"),
        ({"plans": [{"select": "min-variance/usd", "per": "usd"}]}, "one cost unit is enough"),
        ({"plans": [{"seed": 1}]}, r"entry 'plans\[1\].seed': is not known"),
        ({"plans": [{}, {}]}, "two plans are called 'max-information'"),
        ({"plans": []}, "entry 'plans'"),
        ({"split": {"by": "luck"}}, "entry 'split.by': 'luck' is none of"),
        ({"split": {"by": "date", "share": 1.5}}, "entry 'split.share'"),
        ({"split": {"by": "none"}}, "split by none goes with a bank"),
        ({"bank": "b"}, "give either bank, or model"),
        ({"sizes": [10, 5]}, "sizes must ascend"),
        ({"sizes": [0]}, r"entry 'sizes\[1\]'"),
        ({"levels": [1.0]}, r"entry 'levels\[1\]'"),
        ({"baselines": ["luck"]}, r"entry 'baselines\[1\]': 'luck' is none of"),
        ({"speed": 1}, "entry 'speed': is not known"),
        ({"name": None}, "entry 'name'"),
    ],
)
def test_a_refusal_names_the_entry(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_study({**PLAN, **change}, "plan file p.yaml")


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(PlanError, match="entry 'split': is missing"):
        parse_study({k: v for k, v in PLAN.items() if k != "split"}, "p")
    with pytest.raises(PlanError, match="must map entries to values"):
        parse_study([PLAN], "p")


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "name: x\nresponses: r.csv\nbank: b\nsplit: {by: none, seeds: 2}\n"
        "plans: [{select: random, prior: '0,2', stop: sd<0.5, per: usd, width: 3}]\n"
    )
    with pytest.raises(PlanError, match="entry 'responses': there is no"):
        read_study(file)
    (tmp_path / "r.csv").write_text("")
    (tmp_path / "b").mkdir()
    plan = read_study(file)
    assert (plan.responses, plan.bank) == (tmp_path / "r.csv", str(tmp_path / "b"))
    (entry,) = plan.plans
    assert (entry.title, entry.prior, entry.width) == ("random/usd", (0.0, 2.0), 3)
    assert str(entry.stop) == "sd<0.5"
    file.write_text("name: [x")
    with pytest.raises(PlanError, match="not valid YAML"):
        read_study(file)


# --- splits -----------------------------------------------------------------------------------


@given(
    st.integers(7, 40),
    st.sampled_from(["random", "date", "family", "none"]),
    st.floats(0.3, 0.7),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_splits_are_disjoint_and_cover(
    agents: int, by: str, share: float, seeds: int, seed: int
) -> None:
    responses = simulated(seed, agents, 3)
    everyone = set(range(agents))
    found = make_splits(responses, SplitEntry(by=by, share=share, seeds=seeds))  # type: ignore[arg-type]
    assert {split.seed for split in found} == set(range(seeds))
    for split in found:
        calibrating, tested = set(split.calibrating.tolist()), set(split.tested.tolist())
        assert tested
        assert not calibrating & tested
        assert calibrating | tested == everyone
        match by:
            case "none":
                assert tested == everyone
            case "family":
                families = [
                    {family_of(responses.llm[a]) for a in side} for side in (calibrating, tested)
                ]
                assert not families[0] & families[1]
                assert families[1] == {split.name}
            case "date":
                dates = [[responses.date[a] for a in side] for side in (calibrating, tested)]
                assert max(dates[0]) <= min(dates[1])
        if by in ("random", "date"):
            assert len(calibrating) == round(share * agents)
    if by == "family":
        for number in range(seeds):
            of_seed = [s.tested for s in found if s.seed == number]
            assert sorted(np.concatenate(of_seed)) == sorted(everyone)


def test_seeds_hold_out_other_agents() -> None:
    found = make_splits(simulated(0, 30), SplitEntry(by="random", seeds=4))
    assert len({split.tested.tobytes() for split in found}) == 4


def test_a_split_says_what_it_lacks() -> None:
    responses = simulated(0, 6)
    with pytest.raises(ResponsesError, match=r"agent 'agent3' has no date.*split another way"):
        make_splits(
            replace(responses, date=(*responses.date[:3], "", *responses.date[4:])),
            SplitEntry(by="date"),
        )
    with pytest.raises(ResponsesError, match="agent 'agent0' has no model"):
        make_splits(replace(responses, llm=("",) * 6), SplitEntry(by="family"))
    with pytest.raises(ResponsesError, match="leaves 0 of 6 agents to calibrate"):
        make_splits(replace(responses, llm=("gpt-1",) * 6), SplitEntry(by="family"))
    with pytest.raises(ResponsesError, match="leaves no agent to test"):
        make_splits(responses, SplitEntry(by="random", share=0.99))


def test_agents_without_outcomes_are_in_no_split() -> None:
    responses = from_matrix(np.array([[1, 0], [-1, -1], [0, 1], [1, 1]]))
    (split,) = make_splits(responses, SplitEntry(by="random", share=0.5, seeds=1))
    assert sorted([*split.calibrating, *split.tested]) == [0, 2, 3]


# --- outcomes ---------------------------------------------------------------------------------


def test_a_session_sees_one_of_the_trials_fairly() -> None:
    responses = simulated(3, 10, 12, trials=4)
    counts = responses.counts()
    rates, draws = responses.scores(), 400
    drawn = np.array([draw_cells(responses, seed).category for seed in range(draws)])
    rows, columns = np.indices(rates.shape)
    assert all((counts[rows, columns, one] > 0).all() for one in drawn)
    # five standard errors of the farthest of 120 cells
    assert np.abs(drawn.mean(axis=0) - rates).max() < 5 * 0.5 / np.sqrt(draws)
    np.testing.assert_allclose(full_scores(responses, np.arange(12)), rates.mean(axis=1))


def test_costs_are_those_of_the_trial_and_else_the_expected_ones() -> None:
    responses = replace(from_matrix(np.array([[1, 0], [0, -1]])), usd=np.array([3.0, np.nan, 5.0]))
    bank = ItemBank("b", tuple(Item(f"item{i}", "1pl", (1.0,), (0.0,), usd=7.0) for i in range(2)))
    cells = draw_cells(responses, 0).of(np.array([1, 0]), np.array([1, 0]), bank.table)
    assert cells.category.tolist() == [[-1, 0], [0, 1]]
    assert cells.usd.tolist() == [[7.0, 5.0], [7.0, 3.0]]
    assert np.isnan(cells.seconds).all()


# --- sessions ---------------------------------------------------------------------------------


def cells_of(outcomes: Categories, table: Table) -> Cells:
    shape = outcomes.shape
    return Cells(outcomes, np.broadcast_to(table.usd, shape), np.broadcast_to(table.seconds, shape))


def one_by_one(bank: ItemBank, plan: Plan, categories: Categories) -> list[Session]:
    """The session of one agent after each answer, whatever its rule says; answers come in the
    order of launch."""
    session = Session(bank.table, plan, eligible=categories >= 0)
    states = [session]
    clock = 0.0
    flight: list[Chosen] = []
    while True:
        while len(flight) < plan.width and session.available.any():
            chosen = session._choose(clock)
            if chosen is None:
                break
            flight.append(chosen)
            session = session.after(chosen)
        if not flight:
            return states
        chosen = flight.pop(0)
        row = bank.table.row(chosen.item)
        cost = Cost(float(bank.table.usd[row]), float(bank.table.seconds[row]))
        clock += cost.seconds
        category = int(categories[row])
        session = session.after(Answered(clock, chosen.step, chosen.item, category, cost))
        states.append(session)


@settings(max_examples=25)
@pytest.mark.parametrize(
    ("select", "width"),
    [("min-variance", 1), ("random", 1), ("min-variance/usd", 1), ("score-variance", 2)],
)
@given(bank=st.sampled_from(BANKS), seed=st.integers(0, 99), data=st.data())
def test_lockstep_chooses_what_the_session_of_one_agent_chooses(
    select: str, width: int, bank: ItemBank, seed: int, data: st.DataObject
) -> None:
    outcomes = data.draw(outcomes_of(bank))
    agents = len(outcomes)
    seeds = seed + np.arange(agents)
    priors = [Prior((0.2 * a,), (1.0 + 0.1 * a,)) for a in range(agents)]
    sizes, levels = (1, 3, 6), (0.5, 0.9)
    stop = parse_stop("sd<0.8 or items>=4")
    plan = Plan(parse_selector(select), width=width)
    asked = Asked(sizes, levels, 0.5, stop)
    found = run_sessions(bank.table, plan, cells_of(outcomes, bank.table), seeds, priors, asked)
    for a in range(agents):
        own = replace(plan, prior=priors[a], seed=int(seeds[a]), stop=stop)
        states = one_by_one(bank, own, outcomes[a])
        taken = [bank.table.row(event.item) for event in states[-1].answered.values()]
        order = found.order[a][found.order[a] >= 0]
        assert order.tolist() == taken[: len(order)]
        assert len(order) >= min(max(sizes), len(taken))
        for place, size in enumerate(sizes):
            if size >= len(states):
                assert np.isnan(found.score[a, place])
                continue
            check_point(found, a, place, states[size], asked)
        ends = [s for s in states if stop(s._progress(with_pending=False))[0]]
        check_point(found, a, len(sizes), ends[0] if ends else states[-1], asked)


def check_point(found: Any, agent: int, place: int, state: Session, asked: Asked) -> None:
    """One recorded point against the session that it is of."""
    assert found.items[agent, place] == len(state.answered)
    assert found.usd[agent, place] == pytest.approx(state.usd)
    assert found.ability[agent, place] == pytest.approx(list(state.ability), abs=1e-9)
    if not (state.eligible is not None and state.eligible.any()):
        return
    assert found.score[agent, place] == pytest.approx(state.score.mean, abs=1e-9)
    assert found.above[agent, place] == pytest.approx(state.score.probability_above(0.5), abs=1e-6)
    for level, probability in enumerate(asked.levels):
        interval = state.score.interval(probability)
        assert found.score_ends[agent, place, level] == pytest.approx([interval.low, interval.high])
        of_ability = Posterior(state.table.nodes, state.posterior.weights).interval(probability)
        assert found.ability_ends[agent, place, 0, level] == pytest.approx(
            [of_ability.low, of_ability.high], abs=1e-6
        )


def test_groups_of_agents_do_not_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = BANKS[0]
    outcomes = np.random.default_rng(0).integers(0, bank.table.n_categories, (7, len(bank.items)))
    asked = Asked((2, 5), (0.9,), None, None)
    plan, cells = Plan(parse_selector("random")), cells_of(outcomes, bank.table)
    one = run_sessions(bank.table, plan, cells, np.arange(7), None, asked)
    monkeypatch.setattr("harness.batch._BATCH", 2 * bank.table.log_p[..., 0].size)
    other = run_sessions(bank.table, plan, cells, np.arange(7), None, asked)
    np.testing.assert_array_equal(one.order, other.order)
    np.testing.assert_allclose(one.score, other.score)
    np.testing.assert_allclose(one.curve, other.curve)


def test_shorter_tests_are_filled_up() -> None:
    bank = BANKS[0]
    outcomes = np.zeros((2, len(bank.items)), np.intp)
    outcomes[1, 2:] = -1
    asked = Asked((2, 4), (0.9,), None, None)
    parts = [
        run_sessions(
            bank.table, Plan(), cells_of(outcomes[[a]], bank.table), np.array([a]), None, asked
        )
        for a in range(2)
    ]
    both = joined(parts)
    assert both.order.shape == both.curve.shape == (2, 4)
    assert (both.order[1, 2:] == -1).all()
    assert np.isnan(both.curve[1, 2:]).all()
    assert np.isnan(both.score[1, 1])


# --- baselines --------------------------------------------------------------------------------


@given(st.sampled_from(BANKS), st.integers(0, 9), st.booleans(), st.data())
def test_plain_means_are_means_of_what_was_given(
    bank: ItemBank, seed: int, filtered: bool, data: st.DataObject
) -> None:
    outcomes = data.draw(outcomes_of(bank))
    table, draws = bank.table, 3
    allowed = np.arange(len(bank.items)) % 2 == 0 if filtered else None
    asked = Asked((1, 4), (0.9,), None, None)
    found = plain_means(table, cells_of(outcomes, table), allowed, [seed], draws, asked)
    for row, agent in enumerate(np.repeat(np.arange(len(outcomes)), draws)):
        known = np.flatnonzero(outcomes[agent] >= 0)
        may = [i for i in known if allowed is None or allowed[i]]
        order = found.order[row][found.order[row] >= 0]
        assert sorted(order) == may
        scores = table.scores[order, outcomes[agent, order]]
        for number in range(1, len(bank.items) + 1):
            value = found.curve[row, number - 1]
            if number > len(known):
                assert np.isnan(value)
            else:
                wanted = scores[:number].mean() if len(order) else 0.5
                assert value == pytest.approx(wanted)
        for place, size in enumerate(asked.sizes):
            if size <= len(known):
                assert found.score[row, place] == found.curve[row, size - 1]
                assert found.items[row, place] == min(size, len(order))
            else:
                assert np.isnan(found.score[row, place])


def test_the_window_says_when_it_is_empty() -> None:
    easy = ItemBank("b", tuple(Item(f"i{i}", "1pl", (1.0,), (9.0,)) for i in range(3)))
    with pytest.raises(PlanError, match="baseline 'window': no item"):
        middling(easy.table)
    even = ItemBank("b", (*easy.items, Item("even", "1pl", (1.0,), (0.0,))))
    assert middling(even.table).tolist() == [False, False, False, True]


# --- whole studies ----------------------------------------------------------------------------


def study_plan(**change: Any) -> Any:
    values = {**PLAN, "sizes": [3, 6], "split": {"by": "random", "seeds": 2}, "resamples": 100}
    return parse_study({**values, **change}, "p")


def test_processes_change_nothing() -> None:
    responses = simulated(5)
    plan = study_plan(baselines=["random + mean"])
    one, other = (run_study(plan, responses, jobs=jobs) for jobs in (1, 2))
    for a, b in zip(one.tested, other.tested, strict=True):
        np.testing.assert_array_equal(a.sessions.order, b.sessions.order)
        np.testing.assert_array_equal(a.sessions.score, b.sessions.score)
        np.testing.assert_array_equal(a.truth, b.truth)


def test_rows_belong_to_their_agents() -> None:
    responses = simulated(6, trials=2)
    study = run_study(study_plan(), responses)
    names = [method.name for method in methods_of(study.plan)]
    assert names == ["min-variance", "random + mean", "random + IRT", "window"]
    truth = full_scores(responses, np.arange(15))
    for tested in study.tested:
        np.testing.assert_allclose(tested.truth, truth[tested.agent])
        # a session of a group is of another agent than the others
        pairs = list(zip(tested.group.tolist(), tested.agent.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
    first = study.tested[0]
    split, fit = study.splits[0], study.fits[0]
    here = first.group == split.seed
    np.testing.assert_array_equal(first.agent[here], split.tested)
    known = full_abilities(fit.bank, responses, split.tested)
    np.testing.assert_allclose(first.ability[here], known)
    assert set(fit.bank.provenance) >= {"agents"}
    assert {c.agent for c in fit.bank.calibrants} == {
        responses.agents[a] for a in split.calibrating
    }


def test_items_are_numbered_as_in_the_responses() -> None:
    """A bank that knows the items in another order, and only some agents have all of them."""
    responses = from_matrix(np.array([[1, 0, 1, 1], [0, 0, 1, -1], [1, 1, -1, 0]]))
    items = [Item(f"item{i}", "1pl", (1.0,), (0.3 * i,)) for i in (2, 0, 3, 1)]
    bank = ItemBank("b", tuple(items))
    plan = study_plan(
        bank="b", model=None, split={"by": "none", "seeds": 1}, sizes=[2, 3], baselines=[]
    )
    (tested,) = run_study(plan, responses, bank).tested
    for agent, order in zip(tested.agent, tested.sessions.order, strict=True):
        given = order[order >= 0]
        assert (responses.matrix()[agent, given] >= 0).all()
        assert len(given) == 3


def test_trend_needs_dates() -> None:
    responses = replace(simulated(7), date=("",) * 24)
    with pytest.raises(PlanError, match="there is no trend of ability"):
        run_study(study_plan(plans=[{"prior": "trend"}]), responses)


def test_a_plan_that_cannot_be_followed_is_named() -> None:
    with pytest.raises(PlanError, match="plan 'cheap': max-information/usd needs a positive"):
        run_study(study_plan(plans=[{"name": "cheap", "per": "usd"}]), simulated(7))


def test_a_rehearsal_counts_what_will_be_run() -> None:
    responses = simulated(8)
    found = rehearse(study_plan(), responses)
    assert (found.fits, found.sessions) == (2, 14)
    assert found.seconds > 0
    assert found.agents == 7


def test_unknown_costs_are_those_of_the_median_item() -> None:
    responses = simulated(9)
    usd = np.where(responses.item == 0, np.nan, 1.0 + responses.item)
    study = run_study(study_plan(plans=[{"per": "usd"}]), replace(responses, usd=usd))
    table = study.fits[0].bank.table
    assert table.usd[0] == np.median(table.usd[1:])
