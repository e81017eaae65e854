"""What each stopping rule promises, against brute force and simulated agents."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter

from harness.ability import Posterior, Prior, moments, normalise
from harness.bank import Item, ItemBank
from harness.batch import administer
from harness.errors import PlanError
from harness.events import Answered, Plan
from harness.grammar import parse_stop
from harness.irt import Array, Table
from harness.runners.simulate import draw_outcomes
from harness.score import predict_score
from harness.select import MaxInformation, View
from harness.session import Session
from harness.stop import (
    BARELY,
    Decided,
    GainBelow,
    HalfWidth,
    Plateau,
    Progress,
    Sprt,
    ToldApart,
    ability_above,
    doubt,
)


def mixed_bank(n: int = 12, seed: int = 0) -> ItemBank:
    """Binary and graded items with costs."""
    rng = np.random.default_rng(seed)
    items = []
    for row in range(n):
        a, d = float(rng.uniform(0.6, 2.0)), float(rng.normal(0, 1))
        model, steps, kind = (
            ("grm", (d + 0.7, d - 0.7), "three") if row % 3 else ("2pl", (d,), "two")
        )
        cost = {"usd": float(rng.uniform(0.1, 2)), "seconds": float(rng.uniform(5, 90))}
        items.append(Item(f"i{row}", model, (a,), steps, categories=kind, **cost))  # type: ignore[arg-type]
    labels = {"two": ("0", "1"), "three": ("0", "1", "2")}
    return ItemBank("mixed", tuple(items), labels)


BANK = mixed_bank()
TABLE = BANK.table
PLANE = ItemBank(
    "plane",
    tuple(Item(f"i{n}", "2pl", (1.2, 0.4 * (-1) ** n), (n / 4 - 1,)) for n in range(9)),
    mean=(0.0, 0.0),
    sd=(1.0, 1.0),
).table


def posterior(table: Table, rows: NDArray[np.intp], answers: NDArray[np.intp]) -> Array:
    """``(Q,)`` from a standard normal prior and the answers to some rows."""
    dimensions = table.nodes.shape[1]
    prior = Prior((0.0,) * dimensions, (1.0,) * dimensions).log_weights(table.nodes)
    return normalise(prior + table.log_p[rows, answers[rows]].sum(axis=0))


def progress_of(table: Table, given: list[list[tuple[int, int]]]) -> Progress:
    """Agents with (row, category) pairs in the order of their answers."""
    n, agents = len(table.ids), len(given)
    answers = np.full((agents, n), -1)
    order = np.full((agents, max(map(len, given))), -1)
    for agent, pairs in enumerate(given):
        for place, (row, category) in enumerate(pairs):
            answers[agent, row], order[agent, place] = category, row
    weights = np.stack([posterior(table, np.flatnonzero(a >= 0), a) for a in answers])
    seeds = np.zeros((agents, 2), np.int64)
    view = View(table, weights, answers < 0, seeds, answers)
    sd = moments(table.nodes, weights)[1]
    return Progress((answers >= 0).sum(axis=1), np.zeros(agents), np.zeros(agents), sd, view, order)


def one_agent(table: Table) -> st.SearchStrategy[list[tuple[int, int]]]:
    top = table.n_categories - 1
    return st.permutations(range(len(top))).flatmap(
        lambda rows: st.integers(0, len(rows)).flatmap(
            lambda count: st.tuples(
                *(st.tuples(st.just(r), st.integers(0, int(top[r]))) for r in rows[:count])
            ).map(list)
        )
    )


def several(table: Table) -> st.SearchStrategy[Progress]:
    return st.lists(one_agent(table), min_size=1, max_size=3).map(lambda g: progress_of(table, g))


RULES = [
    *("half-width<0.1", "half-width(0.5)<0.1", "decided(score>0.5, 0.2)", "decided(theta>0, 0.2)"),
    *("apart(0.3, 0.4, 0.2)", "sprt(-0.5, 0.5, 0.2, 0.2)", "plateau(0.2, 2)", "gain<0.001"),
    *("gain(theta)<0.1", "gain/usd<0.001", "gain(theta)/seconds<0.01"),
]


@settings(max_examples=40)
@given(st.sampled_from(RULES), several(TABLE))
def test_every_agent_is_judged_as_if_alone(text: str, now: Progress) -> None:
    rule = parse_stop(text)
    together = rule(now)
    assert together.dtype == bool
    assert together.tolist() == [bool(rule(now.of(np.array([a])))[0]) for a in range(len(together))]


@pytest.mark.parametrize("text", RULES)
def test_every_rule_both_holds_and_does_not(text: str) -> None:
    rule = parse_stop(text)
    everything = [(row, int(top)) for row, top in enumerate(TABLE.n_categories - 1)]
    assert not rule(progress_of(TABLE, [[]]))[0]
    assert rule(progress_of(TABLE, [everything]))[0]


# --- precision --------------------------------------------------------------------------------


@given(several(TABLE), st.floats(0.1, 0.99))
def test_half_width_is_that_of_the_predicted_score(now: Progress, level: float) -> None:
    for agent, weights in enumerate(now.view.weights):
        interval = predict_score(TABLE, weights, now.view.answers[agent]).interval(level)
        half = (interval.high - interval.low) / 2
        # predictions of many agents at once may be on a coarser lattice
        assert HalfWidth(half + 0.03, level)(now)[agent]
        assert half < 0.03 or not HalfWidth(half - 0.03, level)(now)[agent]


@given(st.sampled_from([TABLE, PLANE]).flatmap(several), st.integers(1, 5))
def test_a_plateau_is_found_from_the_answers_in_order(now: Progress, last: int) -> None:
    """The oracle computes every earlier posterior from the prior."""
    table = now.view.table
    assert now.order is not None
    for agent, order in enumerate(now.order):
        given = order[order >= 0]
        answers = now.view.answers[agent]
        if len(given) < last:
            assert not Plateau(1e9, last)(now)[agent]
            continue
        means = [
            moments(table.nodes, posterior(table, given[: len(given) - back], answers)[None])[0][0]
            for back in range(last + 1)
        ]
        moved = max(np.abs(mean - means[0]).max() for mean in means[1:])
        assert Plateau(moved * (1 + 1e-6) + 1e-9, last)(now)[agent]
        assert moved < 1e-6 or not Plateau(moved * (1 - 1e-6), last)(now)[agent]


def test_a_plateau_needs_the_order_and_says_its_numbers() -> None:
    now = progress_of(TABLE, [[(0, 1), (3, 0), (6, 1)]])
    rule = Plateau(2.0, 2)
    assert rule(now)[0]
    assert re.fullmatch(
        r"ability moved by 0\.\d+ over the last 2 items, less than 2", rule.reason(now)
    )
    assert not rule(replace(now, order=None))[0]


# --- decisions --------------------------------------------------------------------------------


@given(several(TABLE), st.floats(-3, 3))
def test_probability_above_inverts_the_quantile(now: Progress, cut: float) -> None:
    above = ability_above(now.view, cut)
    for weights, p in zip(now.view.weights, above, strict=True):
        if 1e-6 < p < 1 - 1e-6:
            assert Posterior(TABLE.nodes, weights).quantile(1 - p) == pytest.approx(cut, abs=1e-6)


@given(several(PLANE), st.floats(-2, 2))
def test_the_second_ability_is_judged_by_its_margin(now: Progress, cut: float) -> None:
    above = ability_above(now.view, cut, 2)
    for weights, p in zip(now.view.weights, above, strict=True):
        if 1e-6 < p < 1 - 1e-6:
            found = Posterior(PLANE.nodes, weights).quantile(1 - p, 1)
            assert found == pytest.approx(cut, abs=1e-6)


def test_what_is_specific_to_the_answered_items_makes_decisions_less_sure() -> None:
    table = replace(TABLE, specific_sd=0.8)
    given = [(row, int(top)) for row, top in enumerate(TABLE.n_categories[:4] - 1)]
    plain, wide = progress_of(TABLE, [given]), progress_of(table, [given])
    assert 0.5 < ability_above(wide.view, 0.5)[0] < ability_above(plain.view, 0.5)[0] - 0.01
    for rule in (Decided("theta", 0.5), ToldApart(0.5, 0.1), Decided("score", 0.5)):
        stated = [float(rule.reason(now).rpartition(" ")[2]) for now in (plain, wide)]
        assert stated[1] < stated[0]


@given(several(TABLE), st.floats(-1, 1), st.floats(0.05, 1), st.floats(0.01, 0.3))
def test_apart_agrees_with_draws(now: Progress, mean: float, sd: float, alpha: float) -> None:
    rng = np.random.default_rng(0)
    rule = ToldApart(mean, sd, alpha)
    for agent, weights in enumerate(now.view.weights):
        own = rng.choice(TABLE.nodes[:, 0], size=20_000, p=weights)
        better = (own > rng.normal(mean, sd, 20_000)).mean()
        sure = max(better, 1 - better)
        if abs(sure - (1 - alpha)) > 0.02:
            assert rule(now)[agent] == (sure > 1 - alpha)


@given(several(TABLE), st.floats(-2, 0), st.floats(0.1, 2), st.floats(0.01, 0.3))
def test_sprt_looks_at_likelihoods_only(now: Progress, low: float, gap: float, beta: float) -> None:
    rule = Sprt(low, low + gap, 0.05, beta)
    ratio = rule.log_ratio(now.view)
    nodes = TABLE.nodes[:, 0]
    expected = []
    for answers in now.view.answers:
        rows = np.flatnonzero(answers >= 0)
        curve = TABLE.log_p[rows, answers[rows]].sum(axis=0)
        expected.append(np.interp(low + gap, nodes, curve) - np.interp(low, nodes, curve))
    assert ratio == pytest.approx(np.array(expected), abs=0.02)
    # a prior moves the posterior, but not the test
    tilted = normalise(np.log(now.view.weights) + 3 * nodes)
    moved = replace(now, view=replace(now.view, weights=tilted))
    assert rule(moved).tolist() == rule(now).tolist()
    accept_low, accept_high = rule.bounds
    assert np.exp(accept_high) == pytest.approx((1 - beta) / 0.05)
    assert np.exp(accept_low) == pytest.approx(beta / 0.95)
    assert rule(now).tolist() == ((ratio <= accept_low) | (ratio >= accept_high)).tolist()


LONG = ItemBank(
    "long",
    tuple(
        Item(f"i{n}", "2pl", (float(a),), (float(d),))
        for n, (a, d) in enumerate(
            zip(
                np.random.default_rng(1).uniform(0.8, 1.6, 160),
                np.random.default_rng(2).normal(0, 1, 160),
                strict=True,
            )
        )
    ),
)


def run_until(plan: Plan, truth: Array) -> Iterator[tuple[int, Progress, NDArray[np.intp]]]:
    """Each simulated agent where its rule first holds, and all of its outcomes."""
    outcomes = draw_outcomes(LONG, truth[:, None], np.arange(len(truth)), 0)
    done: set[int] = set()
    for step in administer(LONG.table, plan, outcomes):
        for agent in map(int, np.flatnonzero(step.may_stop)):
            if agent not in done:
                done.add(agent)
                yield agent, step.of(agent).progress, outcomes[agent]
        if len(done) == len(truth):
            return


def test_sprt_keeps_its_error_rates() -> None:
    """Wald (1947): errors are at most α / (1 - β) and β / (1 - α), and not far below."""
    rule = Sprt(-0.4, 0.4, 0.1, 0.05)
    plan = Plan(select=MaxInformation(), stop=rule)
    agents = 600
    truth = np.repeat([rule.low, rule.high], agents)
    called_high = np.zeros(2 * agents)
    for agent, progress, _ in run_until(plan, truth):
        ratio = float(rule.log_ratio(progress.view)[0])
        assert rule(progress)[0], "the bank's items were not enough"
        called_high[agent] = ratio > 0
        likelier = rule.high if ratio > 0 else rule.low
        assert rule.reason(progress).startswith(f"ability {likelier:g} is ")
    false_high, false_low = called_high[:agents].mean(), 1 - called_high[agents:].mean()
    # three standard errors of 600 agents around bounds of 0.105 and 0.056
    assert 0.03 < false_high < 0.105 + 0.038
    assert 0.01 < false_low < 0.056 + 0.028


@pytest.mark.parametrize("text", ["decided(theta>0.3, 0.1)", "decided(score>0.5, 0.1)"])
def test_what_is_decided_is_so_as_often_as_stated(text: str) -> None:
    """Stopping at the first chance leaves the posterior as true as it was."""
    rule = parse_stop(text)
    assert isinstance(rule, Decided)
    truth = np.random.default_rng(3).normal(size=500)
    stated, right = [], []
    for agent, progress, outcomes in run_until(Plan(stop=rule), truth):
        if not rule(progress)[0]:
            continue  # the bank's items were not enough for one so near to the cut
        said = re.fullmatch(
            rf"(ability|score) (above|at most) {rule.cut:g} with probability (\d\.\d+)",
            rule.reason(progress),
        )
        assert said
        value = truth[agent] if said[1] == "ability" else outcomes.mean()
        stated.append(float(said[3]))
        right.append((value > rule.cut) == (said[2] == "above"))
    assert len(right) > 400
    assert min(stated) >= 0.9 - 5e-4
    # three standard errors of agents who are right nine times in ten
    assert np.mean(right) == pytest.approx(np.mean(stated), abs=3 * 0.3 / np.sqrt(len(right)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sprt(-9, 0)", "ability -9 lies outside of what the bank covers, -6 to 6"),
        ("decided(theta2>0)", "there is no ability 2, the bank has 1"),
        ("apart(0, 1, theta3)", "there is no ability 3, the bank has 1"),
    ],
)
def test_rules_that_do_not_fit_the_bank_say_so(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=re.escape(says)):
        parse_stop(text)(progress_of(TABLE, [[]]))


def test_sprt_is_for_one_ability() -> None:
    with pytest.raises(PlanError, match="is for banks of one ability, but this one has 2"):
        Sprt(0, 1)(progress_of(PLANE, [[]]))


def test_decisions_say_their_numbers() -> None:
    now = progress_of(TABLE, [[(row, int(top)) for row, top in enumerate(TABLE.n_categories - 1)]])
    better = ToldApart(-2.0, 0.3)._better(now)[0]
    assert ToldApart(-2.0, 0.3).reason(now) == (
        f"better than the other (ability -2 ± 0.3) with probability {better:.3f}"
    )
    assert ToldApart(5.0, 0.3).reason(now).startswith("worse than the other (ability 5 ± 0.3)")
    assert parse_stop("decided(score>0.5)").reason(now) == "score above 0.5 with probability 1.000"
    ratio = np.exp(Sprt(0, 1).log_ratio(now.view)[0])
    assert Sprt(0, 1).reason(now) == (
        f"ability 1 is {ratio:.3g} times as likely as 0, 19 times asked"
    )


# --- in a session -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answers", "outcome", "says"),
    [
        ("plateau(9, 3)", 3, "precise", "ability moved by"),
        ("gain<1", 0, "limit", "the best item left takes"),
        ("items>=2 and gain<1", 2, "limit", "2 items answered"),
        ("decided(theta>-3) and items>=1", 1, "precise", "ability above -3 with probability"),
        ("half-width(0.5)<0.2 or items>=9", None, "precise", "predicted score within"),
        ("sprt(-2, 2, 0.2, 0.2)", None, "precise", "times as likely"),
        ("apart(3, 0.1)", None, "precise", "worse than the other"),
    ],
)
@pytest.mark.parametrize("width", [1, 3])
def test_sessions_end_by_them(
    text: str, answers: int | None, outcome: str, says: str, width: int
) -> None:
    plan = Plan(stop=parse_stop(text), width=width)
    assert TypeAdapter(Plan).validate_json(TypeAdapter(Plan).dump_json(plan)) == plan
    session = Session(TABLE, plan)
    while (end := session.ending(0.0)) is None:
        for chosen in session.next_items(0.0):
            session = session.after(chosen)
        for chosen in session.pending:
            session = session.after(Answered(0.0, chosen.step, chosen.item, chosen.step % 2))
    assert end.outcome == outcome
    assert says in end.reason
    if answers is not None:
        assert answers <= len(session.answered) < answers + width


# --- worth ------------------------------------------------------------------------------------


def variance_after(
    table: Table, weights: Array, answers: NDArray[np.intp], row: int, quantity: str
) -> float:
    """Expected variance once an item is answered, by trying its categories."""
    total = 0.0
    for category in range(int(table.n_categories[row])):
        joint = weights * table.p[row, category]
        after = answers.copy()
        after[row] = category
        total += joint.sum() * variance_now(table, joint / joint.sum(), after, quantity)
    return total


def variance_now(table: Table, weights: Array, answers: NDArray[np.intp], quantity: str) -> float:
    if quantity == "theta":
        return float((moments(table.nodes, weights[None])[1] ** 2).sum())
    left = answers < 0
    mean = table.expected_score[left].sum(axis=0)
    spread = weights @ mean**2 - (weights @ mean) ** 2
    return float(spread + weights @ table.score_variance[left].sum(axis=0)) / len(answers) ** 2


@settings(max_examples=25)
@given(
    one_agent(TABLE).filter(lambda given: len(given) < 12),
    st.sampled_from(["score", "theta"]),
    st.sampled_from([None, "usd", "seconds"]),
)
def test_gain_is_what_the_best_item_takes_off_the_variance(
    given: list[tuple[int, int]], quantity: str, unit: str | None
) -> None:
    now = progress_of(TABLE, [given])
    weights, answers = now.view.weights[0], now.view.answers[0]
    before = variance_now(TABLE, weights, answers, quantity)
    cost = {"usd": TABLE.usd, "seconds": TABLE.seconds, None: np.ones(12)}[unit]
    best = max(
        (before - variance_after(TABLE, weights, answers, row, quantity)) / cost[row]
        for row in map(int, np.flatnonzero(answers < 0))
    )
    assert GainBelow(best * 1.001, quantity, unit)(now)[0]  # type: ignore[arg-type]
    assert not GainBelow(best * 0.999, quantity, unit)(now)[0]  # type: ignore[arg-type]


def test_gain_follows_the_agents_pace() -> None:
    now = progress_of(TABLE, [[(0, 1)], [(0, 1)]])
    slow = replace(now, view=replace(now.view, pace=np.array([[1.0, 1.0], [10.0, 1.0]])))
    rates = np.geomspace(1e-6, 1e-1, 200)
    first = [
        sum(not GainBelow(r, "score", "usd")(p)[a] for r in rates) for p, a in ((now, 1), (slow, 1))
    ]
    # the same gain for ten times the dollars: a fifth of the 5 decades lower
    assert first[0] - first[1] == pytest.approx(40, abs=1)
    assert GainBelow(1.0, "score", "usd").reason(now).endswith("per dollar, less than 1")


def test_an_item_without_a_cost_cannot_be_weighed() -> None:
    bank = replace(BANK, items=(replace(BANK.items[0], usd=float("nan")), *BANK.items[1:]))
    with pytest.raises(PlanError, match=r"'usd' of items\.csv"):
        GainBelow(0.1, "score", "usd")(progress_of(bank.table, [[]]))


# --- doubt ------------------------------------------------------------------------------------


@given(
    one_agent(TABLE),
    st.lists(st.sampled_from([0.0, BARELY, BARELY + 0.01, 2.0]), min_size=12, max_size=12),
)
def test_doubt_is_the_share_of_information_from_what_is_barely_calibrated(
    given: list[tuple[int, int]], sds: list[float]
) -> None:
    table = replace(TABLE, location_sd=np.array(sds))
    now = progress_of(table, [given])
    at = np.abs(table.nodes[:, 0] - now.view.ability[0, 0]).argmin()
    parts = [(table.information[row, at], sds[row] > BARELY) for row, _ in given]
    total = sum(part for part, _ in parts)
    share = sum(part for part, barely in parts if barely) / total if given else 0.0
    expected = (
        f"{share:.0%} of the information comes from items that are barely calibrated"
        if share > 0.5
        else None
    )
    assert doubt(now) == expected


def test_more_than_half_is_needed_for_doubt() -> None:
    items = tuple(Item(f"i{n}", "2pl", (1.0,), (0.0,)) for n in range(4))
    table = replace(ItemBank("even", items).table, location_sd=np.array([0.0, 0.0, 9.0, 9.0]))
    for rows in itertools.chain.from_iterable(
        itertools.combinations(range(4), k) for k in range(5)
    ):
        barely = sum(row >= 2 for row in rows)
        found = doubt(progress_of(table, [[(row, 1) for row in rows]]))
        assert (found is not None) == (2 * barely > len(rows))
