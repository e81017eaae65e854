"""Runs side by side: the difference of the agents, and what forbids the comparison."""

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from harness import journal
from harness.ability import Prior, normalise
from harness.bank import Item, ItemBank
from harness.bank_files import save_bank
from harness.cli.compare import compare as command
from harness.errors import InputError
from harness.events import Answered, Chosen, Event, Launch, Machine, Plan, Setting, Started
from harness.irt import Array
from harness.report.compare import Pair, compare, tasks_to_decide
from harness.report.compare_page import render_compare_page
from harness.report.compare_text import comparison_text
from harness.report.difference import (
    Distribution,
    difference,
    difference_below,
    rank_probabilities,
)
from harness.session import Session, fold
from harness.stop import Exhausted

BANK = ItemBank(
    "bank", tuple(Item(f"i{n}", "2pl", (1.2,), (d,)) for n, d in enumerate((-1.0, -0.5, 0.0, 0.5)))
)
HERE = Machine("cpu", 2, 4096, 0.1, "20.10", "sha256:base", "3.11", "0.3", "abc")
SETTING = Setting("sha256:1", 1.0, 512, 1024, False)


def events(
    answers: list[int],
    *,
    machine: Machine | None = HERE,
    setting: Setting | None = SETTING,
    limits: tuple[tuple[str, float], ...] = (),
    version: str = "1",
    bank_hash: str = BANK.hash,
    prior: Prior = Prior(),  # noqa: B008  frozen
) -> list[Event]:
    plan = Plan(prior=prior)
    launch = Launch("bank", "agent", limits=limits)
    found: list[Event] = [
        Started(0.0, "run", "agent", plan, "bank", bank_hash, version, launch, machine)
    ]
    for step, category in enumerate(answers, start=1):
        item = f"i{step - 1}"
        found.append(Chosen(0.0, step, item, item, (0.0,), (1.0,)))
        found.append(Answered(0.0, step, item, category, setting=setting))
    return found


def run(answers: list[int], **how: object) -> Session:
    plan = Plan(prior=how.get("prior", Prior()))  # type: ignore[arg-type]
    return fold(Session(BANK.table, plan), events(answers, **how))  # type: ignore[arg-type]


ANSWERS = st.lists(st.integers(0, 1), min_size=1, max_size=4)
MANY = ItemBank(
    "many", tuple(Item(f"i{n}", "2pl", (1.5,), (d,)) for n, d in enumerate(np.linspace(-3, 3, 60)))
)


def pair(a: Session, b: Session, bank: ItemBank = BANK) -> Pair:
    return compare([a, b], bank).pairs[0]


def draws(session: Session, rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Abilities from the posterior, and for each the score on the whole bank: the oracle."""
    q = rng.choice(len(session.table.nodes), size=size, p=session.weights)
    known = session.answers >= 0
    p = session.table.p[:, 1, q]
    won = np.where(known[:, None], session.answers[:, None] == 1, rng.random(p.shape) < p)
    return session.table.nodes[q, 0], won.mean(axis=0)


# --- two agents -------------------------------------------------------------------------------


@given(ANSWERS, ANSWERS)
def test_a_comparison_turned_round_is_its_mirror(a: list[int], b: list[int]) -> None:
    there, back = pair(run(a), run(b)), pair(run(b), run(a))
    for gap, other in ((there.abilities[0], back.abilities[0]), (there.score, back.score)):
        assert gap.mean == pytest.approx(-other.mean)
        assert gap.better == pytest.approx(1 - other.better)
        assert gap.interval.low <= gap.mean + 1e-9
        assert gap.mean - 1e-9 <= gap.interval.high
    ability, turned = there.abilities[0].interval, back.abilities[0].interval
    assert ability.low == pytest.approx(-turned.high)
    assert (there.shared.first, there.shared.second) == (back.shared.second, back.shared.first)
    assert there.more == back.more
    means = [float(run(x).posterior.mean[0]) for x in (a, b)]
    assert there.abilities[0].mean == pytest.approx(means[0] - means[1])
    assert there.score.mean == pytest.approx(run(a).score.mean - run(b).score.mean)


@given(ANSWERS)
def test_an_agent_is_not_better_than_itself(a: list[int]) -> None:
    same = pair(run(a), run(a))
    assert same.better == pytest.approx(0.5)
    assert same.score.better == pytest.approx(0.5)
    assert same.abilities[0].mean == pytest.approx(0.0, abs=1e-9)
    assert same.mismatches == ()
    assert same.shared.equal == same.shared.tasks == len(a)
    assert same.words == "A and B are indistinguishable: all tasks left would not decide"


def test_it_agrees_with_draws_from_both_posteriors() -> None:
    first, second = run([1, 1, 0, 1]), run([0, 1, 0])
    rng = np.random.default_rng(5)
    one, two = draws(first, rng, 200_000), draws(second, rng, 200_000)
    found = pair(first, second)
    for gap, (a, b), slack in zip(
        (found.abilities[0], found.score), zip(one, two, strict=True), (0.03, 0.0), strict=True
    ):
        wins = (a > b + 1e-9).mean() + (np.abs(a - b) < 1e-9).mean() / 2
        assert gap.better == pytest.approx(wins, abs=0.005)
        assert gap.mean == pytest.approx((a - b).mean(), abs=0.01)
        for value, probability in ((gap.interval.low, 0.05), (gap.interval.high, 0.95)):
            assert (a - b <= value + slack + 1e-6).mean() >= probability - 0.005
            assert (a - b <= value - slack - 1e-6).mean() <= probability + 0.005


POINTS = st.lists(st.floats(-9, 9).map(lambda x: round(x, 1)), min_size=1, max_size=9, unique=True)


@given(
    POINTS,
    POINTS,
    st.floats(0.05, 0.99),
    st.randoms(use_true_random=False),
)
def test_differences_are_those_of_all_pairs(
    a: list[float], b: list[float], level: float, random: Random
) -> None:
    one, two = (
        Distribution(np.sort(values), normalise(np.array([random.random() for _ in values])))
        for values in (a, b)
    )
    gaps = (one.values[:, None] - two.values).ravel()
    odds = np.outer(one.probabilities, two.probabilities).ravel()
    found = difference(one, two, level)
    ties = np.abs(gaps) < 1e-9
    assert found.better == pytest.approx(odds[(gaps > 0) & ~ties].sum() + odds[ties].sum() / 2)
    for gap in (found.interval.low, found.interval.high, 0.0):
        assert difference_below(one, two, gap) == pytest.approx(odds[gaps <= gap + 1e-8].sum())
    tail = (1 - level) / 2
    for value, probability in ((found.interval.low, tail), (found.interval.high, 1 - tail)):
        assert np.abs(gaps - value).min() < 1e-7
        assert odds[gaps <= value + 1e-7].sum() >= probability - 1e-9
        assert odds[gaps < value - 1e-7].sum() <= probability + 1e-9


def test_tasks_of_both_are_told_one_by_one() -> None:
    comparison = compare([run([1, 1, 0]), run([0, 1, 0, 1]), run([1])], BANK)
    assert [task.item for task in comparison.tasks] == ["i0", "i1", "i2"]
    assert comparison.tasks[0].categories == (1, 0, 1)
    assert comparison.tasks[1].labels == ("pass", "pass", "")
    shared = comparison.pairs[0].shared
    assert (shared.tasks, shared.first, shared.equal, shared.second) == (3, 1, 2, 0)
    text = comparison_text(comparison)
    assert "A did better on 1, B on 0, equal on 2" in text
    assert re.search(r"^i1 +pass +pass +-$", text, re.MULTILINE)


# --- what would settle it ---------------------------------------------------------------------


def session_of(bank: ItemBank, answers: dict[int, int]) -> Session:
    found: list[Event] = []
    for step, (row, category) in enumerate(answers.items(), start=1):
        item = bank.items[row].id
        found += [
            Chosen(0.0, step, item, item, (0.0,), (1.0,)),
            Answered(0.0, step, item, category),
        ]
    return fold(Session(bank.table, Plan(stop=Exhausted())), found)


GIVEN = st.dictionaries(st.integers(0, 59), st.integers(0, 1), min_size=3, max_size=20)


@settings(max_examples=30)
@given(GIVEN, GIVEN, st.sampled_from([0.01, 0.05, 0.2]))
def test_tasks_to_decide_are_counted_out(
    a: dict[int, int], b: dict[int, int], alpha: float
) -> None:
    """The oracle adds the best task left to each side, and draws where the difference will be."""
    one, two = (session_of(MANY, answers) for answers in (a, b))
    found = tasks_to_decide(one, two, alpha)
    gap = float(one.posterior.mean[0] - two.posterior.mean[0])
    precision = [1 / session.sd[0] ** 2 for session in (one, two)]
    now = 1 / precision[0] + 1 / precision[1]
    left = []
    for session in (one, two):
        node = int(np.abs(MANY.table.nodes[:, 0] - session.posterior.mean[0]).argmin())
        left.append(sorted(MANY.table.information[session.answers < 0, node]))
    noise = np.random.default_rng(0).normal(size=20_000)
    noise = np.concatenate([noise, -noise])
    chances = []
    for _ in range(60):
        for side in (0, 1):
            precision[side] += left[side].pop() if left[side] else 0.0
        then = 1 / precision[0] + 1 / precision[1]
        sure = ndtr(np.abs(gap + np.sqrt(now - then) * noise) / np.sqrt(then))
        chances.append((sure >= 1 - alpha).mean())
    if found is None:
        assert max(chances) < 0.51
    else:
        assert chances[found - 1] > 0.49
        assert found == 1 or chances[found - 2] < 0.51


def test_half_of_the_agents_are_told_apart_after_as_many_tasks_as_said() -> None:
    rng = np.random.default_rng(1)
    difficulty = np.linspace(-3, 3, 60)
    told = []
    for _ in range(150):
        truth = rng.normal(size=2)
        wins = rng.random((2, 60)) < expit(1.5 * truth[:, None] + difficulty)
        sides = [Session(MANY.table, Plan(stop=Exhausted())) for _ in truth]
        more: int | None = 0
        for count in range(60):
            if count == 5:
                more = tasks_to_decide(sides[0], sides[1])
                if more is None or pair(sides[0], sides[1], MANY).apart:
                    break
            if more and count == 5 + more:
                told.append(pair(sides[0], sides[1], MANY).apart)
                break
            for side in (0, 1):
                (chosen,) = sides[side].next_items(0.0)
                outcome = int(wins[side, MANY.table.row(chosen.item)])
                sides[side] = sides[side].after(chosen)
                sides[side] = sides[side].after(Answered(0.0, chosen.step, chosen.item, outcome))
    assert len(told) >= 40
    assert 0.3 < np.mean(told) < 0.7


def test_the_verdict_says_who_how_sure_and_how_far() -> None:
    strong = session_of(MANY, dict.fromkeys(range(10, 40), 1))
    weak = session_of(MANY, dict.fromkeys(range(10, 40), 0))
    middle = session_of(MANY, {30: 1, 31: 0})
    apart = pair(weak, strong, MANY)
    assert apart.apart
    assert apart.more == 0
    assert re.fullmatch(r"B is better than A \(over 99\.9%\)", apart.words)
    near = pair(session_of(MANY, {30: 1, 31: 1}), middle, MANY)
    assert not near.apart
    assert near.more
    assert re.fullmatch(
        rf"A and B are indistinguishable \(A is better with \d\d%\): about {near.more} more tasks? "
        "each would decide",
        near.words,
    )


def test_with_several_abilities_the_score_decides() -> None:
    bank = ItemBank(
        "two",
        tuple(Item(f"i{n}", "2pl", (1.5, 0.2) if n % 2 else (0.2, 1.5), (0.0,)) for n in range(20)),
        mean=(0.0, 0.0),
        sd=(1.0, 1.0),
    )
    plan = Plan(prior=Prior((0.0, 0.0), (1.0, 1.0)))
    sessions = []
    for category in (1, 0):
        session = Session(bank.table, plan)
        for step in range(1, 13):
            item = f"i{step}"
            session = session.after(Chosen(0.0, step, item, item, (0.0, 0.0), (1.0, 1.0)))
            session = session.after(Answered(0.0, step, item, category))
        sessions.append(session)
    found = compare([*sessions, sessions[0]], bank)
    best, _, same = found.pairs[0], found.pairs[1], found.pairs[2]
    assert len(best.abilities) == 2
    assert best.apart
    assert best.better == best.score.better > 0.99
    assert found.pairs[1].more is None
    assert found.pairs[1].words == "A and C are indistinguishable"
    assert same.words.startswith("C is better than B")
    assert " ± " in comparison_text(found)


# --- more than two ----------------------------------------------------------------------------


def test_ranks_agree_with_draws() -> None:
    sessions = [run([1, 1, 0, 1]), run([0, 1, 0]), run([1, 0]), run([0, 0, 0, 0])]
    comparison = compare(sessions, BANK)
    ranks = np.array([side.ranks for side in comparison.sides])
    rng = np.random.default_rng(3)
    scores = np.stack([draws(session, rng, 100_000)[1] for session in sessions])
    scores += rng.random(scores.shape) * 1e-6  # ties are broken by chance
    places = (-scores).argsort(axis=0).argsort(axis=0)
    expected = np.array([[(row == place).mean() for place in range(4)] for row in places])
    # ties of three or four agents are counted pair by pair, so not quite as chance breaks them
    assert np.abs(ranks - expected).max() < 0.03
    assert np.allclose(ranks.sum(axis=1), 1)
    assert [pair.first + pair.second for pair in comparison.pairs] == [
        *("AB", "AC", "AD", "BC", "BD", "CD")
    ]


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=6, unique_by=lambda x: round(x, 3)))
def test_ranks_of_what_is_known_are_the_order(values: list[float]) -> None:
    ranks = rank_probabilities([Distribution(np.array([v]), np.ones(1)) for v in values])
    order = np.argsort(np.argsort([-v for v in values]))
    assert np.allclose(ranks, np.eye(len(values))[order])


@pytest.mark.parametrize("runs", [0, 1, 27])
def test_one_run_or_too_many_are_refused(runs: int) -> None:
    with pytest.raises(InputError, match=f"takes 2 to 26 runs, not {runs}"):
        compare([run([1])] * runs, BANK)


@pytest.mark.parametrize(("alpha", "level"), [(0.5, 0.9), (0.0, 0.9), (0.05, 1.0), (0.05, 0.0)])
def test_senseless_numbers_are_refused(alpha: float, level: float) -> None:
    with pytest.raises(InputError, match="alpha lies between 0 and"):
        compare([run([1]), run([0])], BANK, alpha=alpha, level=level)


# --- what forbids it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "forbids", "what"),
    [
        ({"setting": replace(SETTING, image="sha256:2")}, True, "image of i0"),
        ({"setting": replace(SETTING, memory_mb=64)}, True, "memory (MiB) of i0"),
        ({"limits": (("token_limit", 5.0),)}, True, "limits of each item"),
        ({"version": "2"}, False, "version of cat-harness"),
        ({"prior": Prior((1.0,), (0.5,))}, False, "prior over ability"),
        ({"machine": replace(HERE, cpu="other")}, False, "machine: cpu"),
        ({"machine": replace(HERE, load=9.0)}, False, "machine: busy at the start"),
        ({"machine": None}, False, "machine"),
    ],
)
def test_what_differs_is_named(change: dict[str, object], forbids: bool, what: str) -> None:
    found = pair(run([1, 0]), run([1, 0], **change))
    assert found.forbidden is forbids
    assert any(m.what.startswith(what) and m.forbids is forbids for m in found.mismatches)


def write_runs(folder: Path, **kinds: list[Event]) -> None:
    save_bank(BANK, folder / "bank")
    for name, kind in kinds.items():
        with journal.appending(folder / name / journal.NAME) as writer:
            for event in kind:
                writer.append(event)


def test_the_command_refuses_warns_and_compares(tmp_path: Path) -> None:
    write_runs(
        tmp_path,
        a=events([0, 0, 0, 0]),
        b=events([1, 1, 1, 1], version="2"),
        c=events([1, 1, 1, 1], setting=replace(SETTING, image="sha256:2")),
        d=events([1, 1, 1, 1], bank_hash="0123456789ab"),
    )

    def compared(*names: str, more: tuple[str, ...] = ()) -> tuple[int, str]:
        places = [*(str(tmp_path / name) for name in names), "--bank", str(tmp_path / "bank")]
        done = CliRunner().invoke(command, [*places, *more], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), done.output

    code, said = compared("b", "a")
    assert code == 0
    assert "note: version of cat-harness: 2 | 1" in said
    assert re.search(r"^A is better than B \(9\d%\)\.$", said, re.MULTILINE)
    assert "4 tasks of both: A did better on 4, B on 0, equal on 0" in said
    code, said = compared("a", "b", more=("--alpha", "0.001"))
    assert code == 3
    assert "A and B are indistinguishable (B is better with 9" in said
    code, said = compared("a", "c")
    assert code == 2
    assert "differs: image of i0" in said
    assert "--anyway" in said
    assert compared("a", "c", more=("--anyway",))[0] == 0
    with pytest.raises(InputError, match="abilities on two scales cannot be compared"):
        compared("a", "b", "d")
    with pytest.raises(InputError, match="takes 2 to 26 runs, not 1"):
        compared("a")
    code, said = compared("a", "b", "b")
    assert code == 3
    assert "rank by predicted score" in said
    assert "note: A | B: version of cat-harness: 1 | 2" in said


def test_json_and_page_say_the_same(tmp_path: Path) -> None:
    write_runs(tmp_path, a=events([0, 1, 0, 0]), b=events([1, 1, 1, 1]))
    page = tmp_path / "page.html"
    arguments = [str(tmp_path / name) for name in ("b", "a")]
    arguments += ["--bank", str(tmp_path / "bank"), "--json", "-", "--out", str(page)]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.exception is None
    facts = json.loads(done.stdout)
    (found,) = facts["pairs"]
    assert found["apart"] is (found["better"] >= 0.95)
    assert [side["name"] for side in facts["sides"]] == ["A", "B"]
    assert facts["sides"][0]["ranks"][0] == pytest.approx(found["score"]["better"])
    text = page.read_text(encoding="utf-8")
    assert found["words"] in text
    assert text.count("<svg") == 2
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)


def test_a_page_escapes_what_others_wrote(tmp_path: Path) -> None:
    started, *rest = events([1, 0])
    assert isinstance(started, Started)
    bad = fold(Session(BANK.table, Plan()), [replace(started, agent="<script>x</script>"), *rest])
    sessions = [bad, run([0, 1])]
    page = render_compare_page(compare(sessions, BANK), sessions)
    assert "<script" not in page
