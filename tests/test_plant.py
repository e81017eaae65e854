"""Planted defects: each is what it says, where it says, and nothing else."""

import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bank import Item, ItemBank, compile_bank
from harness.cli import main
from harness.errors import PlanError
from harness.health.flags import Flag, Kind
from harness.irt import Array
from harness.plant import (
    Coin,
    Defect,
    Dif,
    Dimensions,
    Duplicates,
    Gap,
    Grader,
    Reversed,
    Sandbag,
    Simulated,
    draw_bank,
    parse_defects,
    plant,
)
from harness.responses import read_responses

MANY = 3000
"""Agents of one ability, so that a share of them has a standard error below 0.01."""


def mixed_bank(effect_sd: float = 0.0) -> ItemBank:
    """Every third item has four categories."""
    two, four = draw_bank(40), draw_bank(40, categories=4)
    items = tuple(
        dataclasses.replace(
            (four if i % 3 == 0 else two).items[i],
            categories="four" if i % 3 == 0 else "two",
            effect_sd=effect_sd,
        )
        for i in range(40)
    )
    return ItemBank("mixed", items, {"two": ("0", "1"), "four": ("0", "1", "2", "3")})


MIXED = mixed_bank()
TOP = np.array([len(item.intercepts) for item in MIXED.items])


def planted(found: Simulated, defect: str) -> list[int]:
    names = [p.name for p in found.planted if p.defect == defect]
    places = found.responses.agents if defect == "sandbag" else found.responses.items
    return [places.index(name) for name in names]


def alike(ability: float, count: int = MANY) -> Array:
    return np.full((count, 1), ability)


def expected(bank: ItemBank, ability: float) -> Array:
    """``(n, K)`` probabilities, by the compiler of banks."""
    return compile_bank(bank, np.array([[ability]]), uncertainty=False).p[:, :, 0]


def logit(p: Array) -> Array:
    return np.asarray(np.log(p / (1 - p)))


# --- where, and nothing else --------------------------------------------------------------------

COUNTS = st.integers(1, 4)
OF_ITEMS = st.lists(
    st.one_of(*(st.builds(kind, COUNTS) for kind in (Reversed, Coin, Duplicates, Grader, Dif))),
    unique_by=type,
)


@settings(max_examples=40, deadline=None)
@given(defects=OF_ITEMS, seed=st.integers(0, 10**6), trials=st.integers(1, 2))
def test_other_items_are_untouched_and_no_item_has_two_defects(
    defects: list[Defect], seed: int, trials: int
) -> None:
    clean = plant(MIXED, agents=9, seed=seed, trials=trials)
    found = plant(MIXED, defects, agents=9, seed=seed, trials=trials)
    names = [p.name for p in found.planted]
    originals = [p.partner for p in found.planted if p.defect == "duplicates"]
    assert len({*names, *originals}) == len(names) + len(originals)
    assert len(names) == sum(d.count for d in defects if not isinstance(d, Gap | Dimensions))
    same = [i for i, item in enumerate(found.responses.items) if item not in names]
    assert (found.responses.counts()[:, same] == clean.responses.counts()[:, same]).all()
    assert (found.responses.attempts == trials).all()
    assert (found.responses.category <= TOP[found.responses.item]).all()
    assert found.responses.llm == clean.responses.llm
    again = plant(MIXED, defects, agents=9, seed=seed, trials=trials)
    assert again.planted == found.planted
    assert (again.responses.category == found.responses.category).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_reversed_item_counts_from_the_top(seed: int) -> None:
    clean, found = (plant(MIXED, d, agents=12, seed=seed) for d in ((), (Reversed(6),)))
    where = planted(found, "reversed")
    assert len(where) == 6
    assert (
        found.responses.matrix()[:, where] == TOP[where] - clean.responses.matrix()[:, where]
    ).all()


# --- what they are ------------------------------------------------------------------------------


def test_honest_outcomes_follow_the_bank() -> None:
    found = plant(MIXED, abilities=alike(0.4), seed=3)
    shares = found.responses.counts().mean(axis=0)
    p = expected(MIXED, 0.4)
    error = np.sqrt(p * (1 - p) / MANY) + 1e-3
    assert (np.abs(shares - p) < 4.5 * error).all()


def test_trials_of_a_cell_are_alike_by_its_effect() -> None:
    trials = 20
    for effect_sd, low, high in ((0.0, -0.02, 0.02), (3.0, 0.35, 0.65)):
        bank = mixed_bank(effect_sd)
        binary = [i for i in range(40) if TOP[i] == 1]
        scores = plant(bank, abilities=alike(0.0), trials=trials).responses.scores()[:, binary]
        p = scores.mean(axis=0)
        # variance of a mean of m trials is p(1-p)(1 + (m-1)ρ)/m
        rho = (scores.var(axis=0) / (p * (1 - p)) * trials - 1) / (trials - 1)
        middle = (p > 0.3) & (p < 0.7)
        assert low < np.median(rho[middle]) < high


def test_a_coin_knows_nothing_of_ability() -> None:
    for ability in (-3.0, 3.0):
        found = plant(MIXED, (Coin(8),), abilities=alike(ability), seed=2)
        for item in planted(found, "coin"):
            shares = found.responses.counts()[:, item].mean(axis=0)[: TOP[item] + 1]
            assert shares == pytest.approx(1 / (TOP[item] + 1), abs=0.05)


def test_a_duplicate_differs_in_few_cells() -> None:
    found = plant(MIXED, (Duplicates(8),), agents=MANY, seed=5)
    matrix = found.responses.matrix()
    pairs = [(p.name, p.partner) for p in found.planted]
    assert len(pairs) == 8
    for copy, original in pairs:
        i, j = (found.responses.items.index(name) for name in (copy, original))
        assert TOP[i] == TOP[j]
        differing = np.mean(matrix[:, i] != matrix[:, j])
        assert 0 < differing < 0.05
        # as good an item as the other: what is drawn anew follows its ability
        assert matrix[:, i].mean() == pytest.approx(matrix[:, j].mean(), abs=0.03)


def test_a_broken_grader_tosses_for_half_of_its_verdicts() -> None:
    found = plant(MIXED, (Grader(10),), abilities=alike(1.0), seed=4)
    (name,) = {p.partner for p in found.planted}
    marked = [i for i, item in enumerate(found.tags) if found.tags[item]["grader"] == name]
    assert marked == sorted(planted(found, "grader"))
    assert len({tags["grader"] for tags in found.tags.values()}) == 4
    p = expected(MIXED, 1.0)
    uniform = np.where(np.arange(4) <= TOP[:, None], 1 / (TOP[:, None] + 1), 0)
    shares = found.responses.counts().mean(axis=0)
    assert shares[marked] == pytest.approx((p / 2 + uniform / 2)[marked], abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_dif_makes_hard_items_easier_for_one_family(seed: int) -> None:
    found = plant(draw_bank(30), (Dif(5),), abilities=alike(-0.8), seed=seed)
    (family,) = {p.partner for p in found.planted}
    members = np.array([llm.startswith(family) for llm in found.responses.llm])
    assert members.mean() == pytest.approx(1 / 3, abs=0.01)
    scores = found.responses.scores()
    looked = 0
    for item in planted(found, "dif"):
        assert 0 <= found.bank.items[item].difficulties[0] <= 1.5
        inside, outside = scores[members, item].mean(), scores[~members, item].mean()
        if outside > 0.02 and inside < 0.98:
            looked += 1
            (slope,) = found.bank.items[item].slopes
            assert (logit(inside) - logit(outside)) / slope == pytest.approx(3.0, abs=0.6)
    assert looked


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_gap_is_empty_and_no_item_is_lost(seed: int) -> None:
    bank = dataclasses.replace(draw_bank(60, seed=seed), mean=(0.5,), sd=(1.2,))
    found = plant(bank, (Gap(),), agents=3, seed=seed)
    low, high = 0.5 + 1.2 * 0.3, 0.5 + 1.2 * 1.3
    b = np.array([item.difficulties[0] for item in found.bank.items])
    before = np.array([item.difficulties[0] for item in bank.items])
    assert len(found.responses.items) == 60
    assert not ((b > low) & (b < high)).any()
    outside = (before < low) | (before > high)
    assert b[outside] == pytest.approx(before[outside])
    assert [item.slopes for item in found.bank.items] == [item.slopes for item in bank.items]


def test_two_dimensions_correlate_as_they_should() -> None:
    def correlation(found: Simulated, where: list[int]) -> float:
        scores = found.responses.scores()
        other = np.setdiff1d(np.arange(scores.shape[1]), where)
        halves = scores[:, where].mean(axis=1), scores[:, other].mean(axis=1)
        return float(np.corrcoef(*halves)[0, 1])

    bank = draw_bank(100)
    one, two = (plant(bank, d, agents=MANY) for d in ((), (Dimensions(),)))
    where = planted(two, "dimensions")
    assert len(where) == 50
    assert correlation(one, where) > 0.9
    assert correlation(two, where) == pytest.approx(0.47, abs=0.05)
    assert {two.tags[two.responses.items[i]]["topic"] for i in where} == {"topic-2"}


def test_a_sandbagging_agent_is_able_and_fails_the_easy_items() -> None:
    bank = draw_bank(400)
    clean, found = (plant(bank, d, seed=8) for d in ((), (Sandbag(2),)))
    easy = np.argsort([item.difficulties[0] for item in bank.items])[:120]
    who = planted(found, "sandbag")
    assert (found.abilities[who, 0] >= np.quantile(found.abilities[:, 0], 0.75)).all()
    before, after = clean.responses.matrix(), found.responses.matrix()
    solved = before[np.ix_(who, easy)] == 1
    assert after[np.ix_(who, easy)][solved].mean() == pytest.approx(0.3, abs=0.12)
    untouched = np.ones(before.shape, bool)
    untouched[np.ix_(who, easy)] = False
    assert (before == after)[untouched].all()


def test_a_drawn_bank_looks_like_real_ones() -> None:
    bank = draw_bank(4000, categories=4)
    log_a = np.log([item.slopes[0] for item in bank.items])
    b = np.array([item.difficulties for item in bank.items])
    assert (log_a.mean(), log_a.std()) == pytest.approx((0.7, 0.35), abs=0.02)
    centre = b.mean(axis=1)
    assert (centre.mean(), centre.std()) == pytest.approx((0.2, 1.4), abs=0.06)
    assert np.exp(np.log(np.diff(b, axis=1)).mean()) == pytest.approx(np.exp(-0.5), abs=0.02)


# --- what cannot be -----------------------------------------------------------------------------


def test_defects_are_read() -> None:
    assert parse_defects(" ") == ()
    assert parse_defects("reversed=5,gap , dif = 2, sandbag=1") == (
        Reversed(5),
        Gap(),
        Dif(2),
        Sandbag(1),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("broken=2", "unknown defect 'broken'; known: reversed=N, coin=N"),
        ("coin=2,", "unknown defect ''"),
        ("coin", "coin needs how many, as in coin=5"),
        ("coin=0", "coin needs how many"),
        ("coin=-1", "coin needs how many"),
        ("coin=2.5", "coin needs how many"),
        ("gap=3", "gap is of the whole benchmark and takes no number"),
        ("coin=1, coin=2", "coin is named twice"),
    ],
)
def test_defects_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_defects(text)
    assert message in str(caught.value)


def narrow(bank: ItemBank) -> ItemBank:
    return dataclasses.replace(
        bank,
        items=tuple(dataclasses.replace(i, intercepts=(-0.8 * i.slopes[0],)) for i in bank.items),
    )


@pytest.mark.parametrize(
    ("bank", "defects", "agents", "message"),
    [
        (draw_bank(10), (Coin(11),), 5, "coin=11 takes 11 items, but 10 are left"),
        (draw_bank(10), (Coin(5), Duplicates(3)), 5, "coin=5 takes 5 items, but 4 are left"),
        (draw_bank(10), (Dif(6),), 5, "dif=6 takes 6 items 0 to 1.5 sds harder"),
        (MIXED, (Duplicates(21),), 5, "duplicates=21 takes 42 items in pairs"),
        (draw_bank(10), (Dif(1),), 2, "dif needs a third of the agents"),
        (draw_bank(10), (Sandbag(3),), 8, "sandbag=3 is more than the 2 agents"),
        (draw_bank(10), (), 0, "one agent or more"),
        (narrow(draw_bank(10)), (Gap(),), 5, "gap leaves no item"),
        (
            ItemBank("two", (Item("i", "2pl", (1.0, 1.0), (0.0,)),), mean=(0, 0), sd=(1, 1)),
            (Dimensions(),),
            5,
            "bank 'two' has 2 abilities",
        ),
    ],
)
def test_what_cannot_be_planted(
    bank: ItemBank, defects: tuple[Defect, ...], agents: int, message: str
) -> None:
    with pytest.raises(PlanError) as caught:
        plant(bank, defects, agents=agents)
    assert message in str(caught.value)


def test_true_abilities_that_are_none() -> None:
    with pytest.raises(PlanError, match="must be numbers"):
        plant(draw_bank(4), abilities=np.array([[np.nan]]))


# --- the command --------------------------------------------------------------------------------


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command as its entry point does: exit code and what was said on stderr."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cat-harness", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, " ".join(capsys.readouterr().err.split())

    return run


def test_the_command_writes_what_is_drawn(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    text = "grader=4, duplicates=2, sandbag=1, gap"
    code, said = call(
        *("--items", 20, "--agents", 9, "--categories", 3, "--trials", 2, "--seed", 5),
        *("--plant", text, "--outcomes", path),
    )
    assert code == 0, said
    bank = draw_bank(20, categories=3, seed=5)
    found = plant(bank, parse_defects(text), agents=9, trials=2, seed=5)
    read = read_responses(path)
    assert read.agents == found.responses.agents
    assert (read.llm, read.scaffold, read.date) == (
        found.responses.llm,
        found.responses.scaffold,
        found.responses.date,
    )
    assert (read.category == found.responses.category).all()
    assert (read.trial == found.responses.trial).all()
    with (path.parent / "out.planted.csv").open() as file:
        assert [tuple(row.values()) for row in csv.DictReader(file)] == [
            dataclasses.astuple(p) for p in found.planted
        ]
    with (path.parent / "out.items.csv").open() as file:
        tags = {row.pop("item"): row for row in csv.DictReader(file)}
    assert tags == found.tags


def test_the_command_takes_abilities_and_a_bank(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    code, said = call("--bank", "terminal-bench-2", "--abilities", "-1,2", "--outcomes", path)
    assert code == 0, said
    read = read_responses(path)
    assert len(read.agents) == 2
    low, high = read.scores().mean(axis=1)
    assert low < high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bank", "B", "--plant", "gap"), "--plant is about outcomes that are written"),
        (("--bank", "B", "--trials", "2"), "add --outcomes FILE.csv"),
        ((), "Missing option '--bank' / '-b'"),
        (("--outcomes", "o.csv", "--stop", "sd<0.1"), "--stop is of adaptive tests"),
        (("--outcomes", "o.csv", "--json"), "--json is of adaptive tests"),
        (("--outcomes", "o.txt"), "end its name in .csv"),
        (("--outcomes", "o.csv", "--bank", "B", "--items", "9"), "leave out --items"),
        (("--outcomes", "o.csv", "--plant", "coin"), "coin needs how many"),
        (("--outcomes", "o.csv", "--plant", "coin=201"), "201 items, but 200 are left"),
        (("--outcomes", "o.csv/o.csv"), "outcomes cannot be written to o.csv/o.csv"),
    ],
)
def test_what_the_command_refuses(
    arguments: tuple[str, ...],
    message: str,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "o.csv/o.csv" in arguments:
        (tmp_path / "o.csv").write_text("")
    code, said = call(*arguments)
    assert code == 2
    assert message in said


# --- the benchmark of diagnoses -----------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
        import health

        yield health
        sys.modules.pop("health")


def flag(kind: Kind, *names: str) -> Flag:
    about = "benchmark" if kind == "gap" else "item"
    return Flag(kind, about, names, "seen", 0.0, 0.0, 0.0, 0.0, "Look.")


def test_flags_are_judged_by_the_truth(benchmark: ModuleType) -> None:
    defects = (Reversed(1), Coin(1), Duplicates(2), Grader(3), Sandbag(1), Gap())
    drawn = plant(draw_bank(40, seed=1), defects, seed=1)
    of = {p.defect: p for p in drawn.planted}
    (pair, split) = (p for p in drawn.planted if p.defect == "duplicates")
    wrong = {name for p in drawn.planted for name in (p.name, p.partner)}
    clean, other = [name for name in drawn.responses.items if name not in wrong][:2]
    able = next(name for name in drawn.responses.agents if name not in wrong)
    flags = [
        flag("reversed", of["reversed"].name),
        # of an item, but not what is wrong with it
        flag("differential functioning", of["coin"].name),
        flag("duplicate", pair.name, pair.partner),
        # one of a pair is no pair, and the other is clean
        flag("cluster", split.name, clean),
        flag("group of items", of["grader"].partner),
        flag("unusual agent", able),
        flag("never solved", other),
    ]
    run = benchmark.judge("x", 1, drawn, flags, 0.0)
    found = {(f.defect, f.name): (f.strictly, f.at_all) for f in run.found}
    assert found.pop(("reversed", of["reversed"].name)) == (True, True)
    assert found.pop(("coin", of["coin"].name)) == (False, True)
    assert found.pop(("duplicates", pair.name)) == (True, True)
    assert found.pop(("duplicates", split.name)) == (False, True)
    assert found.pop(("sandbag", of["sandbag"].name)) == (False, False)
    assert found.pop(("gap", of["gap"].name)) == (False, False)
    assert [*found.values()] == [(True, True)] * 3
    assert run.false_items == {clean: ("cluster",)}
    assert run.false_agents == {able: ("unusual agent",)}
    assert run.false_flags == {"cluster": 1, "unusual agent": 1}
    assert sum(run.flags.values()) == 6
    assert run.facts == 1
    assert run.clean_items == 40 - 1 - 1 - 4 - 3
    assert run.clean_agents == 59
    assert json.loads(json.dumps(dataclasses.asdict(run)))["clean_items"] == run.clean_items


def test_a_gap_is_true_only_where_there_is_one(benchmark: ModuleType) -> None:
    for defects, wrongly in (((Gap(),), ()), ((), ("gap",))):
        drawn = plant(draw_bank(20), defects, agents=5)
        run = benchmark.judge("x", 0, drawn, [flag("gap", "0.3 to 1.3")], 0.0)
        assert run.false_of_benchmark == wrongly
        assert [f.strictly for f in run.found] == [True] * len(defects)
