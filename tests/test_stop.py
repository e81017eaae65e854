"""Stopping rules: their texts, their truth, and their words."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_stop
from harness.select import View
from harness.stop import (
    AllOf,
    AnyOf,
    Decided,
    Exhausted,
    GainBelow,
    HalfWidth,
    MaxCost,
    MaxItems,
    MaxSeconds,
    Plateau,
    Progress,
    Rule,
    SdBelow,
    Sprt,
    ToldApart,
    Truth,
    all_of,
    any_of,
    limits,
    precision_reached,
)

TABLE = ItemBank("two", tuple(Item(f"i{k}", "2pl", (1.0,), (0.0,)) for k in range(2))).table


def progress(
    items: int = 0,
    usd: float = 0.0,
    seconds: float = 0.0,
    sd: tuple[float, ...] = (1.0,),
    available: tuple[bool, bool] = (True, True),
    answers: tuple[int, int] = (-1, -1),
) -> Progress:
    """How far one agent has come."""
    weights = np.full((1, len(TABLE.nodes)), 1 / len(TABLE.nodes))
    given = np.array([answers])
    view = View(TABLE, weights, np.array([available]), np.array([[0, 0]]), given)
    order = np.flatnonzero(given[0] >= 0)[None]
    counts = np.array([items]), np.array([usd]), np.array([seconds]), np.array([sd])
    return Progress(*counts, view, order)


numbers = st.floats(1e-6, 1e6)
errors = st.floats(1e-9, 0.5, exclude_max=True)
# what the bank of these tests covers
abilities = st.floats(-6, 6)
atoms: st.SearchStrategy[Rule] = st.one_of(
    st.builds(SdBelow, numbers),
    st.builds(HalfWidth, numbers, st.floats(0.001, 0.999)),
    st.builds(Plateau, numbers, st.integers(1, 50)),
    st.builds(GainBelow, numbers, st.sampled_from(["score", "theta"])),
    st.builds(Decided, st.just("score"), st.floats(0, 1, exclude_max=True), errors),
    st.builds(Decided, st.just("theta"), st.floats(-1e6, 1e6), errors),
    st.builds(ToldApart, st.floats(-1e6, 1e6), numbers, errors),
    st.tuples(abilities, abilities)
    .filter(lambda pair: pair[0] != pair[1])
    .flatmap(lambda pair: st.builds(Sprt, st.just(min(pair)), st.just(max(pair)), errors, errors)),
    st.builds(MaxItems, st.integers(1, 10**6)),
    st.builds(MaxCost, numbers),
    st.builds(MaxSeconds, numbers),
    st.just(Exhausted()),
)
rules = st.recursive(
    atoms,
    lambda inner: st.tuples(
        st.sampled_from([any_of, all_of]), st.lists(inner, min_size=1, max_size=4)
    ).map(lambda pair: pair[0](*pair[1])),
    max_leaves=12,
)
progresses = st.builds(
    progress,
    st.integers(0, 100),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.tuples(st.floats(0, 10)),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(st.integers(-1, 1), st.integers(-1, 1)),
)


# --- texts ------------------------------------------------------------------------------------


@given(rules)
def test_rules_are_their_texts(rule: Rule) -> None:
    assert parse_stop(str(rule)) == rule


@given(rules, st.text(" \t", max_size=3))
def test_spaces_do_not_matter(rule: Rule, space: str) -> None:
    text = str(rule)
    for part in ("(", ")", "<", ">=", ",", "/"):
        text = text.replace(part, f"{space}{part}{space}")
    assert parse_stop(f"{space}{text}{space}") == rule


# what only needs to be read, not to hold for the bank of these tests
@given(
    st.one_of(
        st.builds(GainBelow, numbers, st.just("score"), st.sampled_from(["usd", "seconds"])),
        st.builds(Decided, st.just("theta"), numbers, errors, ability=st.integers(1, 3)),
        st.builds(ToldApart, st.floats(-9, 9), numbers, errors, ability=st.integers(1, 3)),
        st.builds(Sprt, st.floats(-1e6, -1e-6), numbers, errors, errors),
    )
)
def test_rules_for_other_banks_are_their_texts(rule: Rule) -> None:
    assert parse_stop(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("half-width<0.05", HalfWidth(0.05, 0.9)),
        ("half-width(0.95)<0.05", HalfWidth(0.05, 0.95)),
        ("decided(score>0.5)", Decided("score", 0.5, 0.05)),
        ("decided(theta > -.3, .1)", Decided("theta", -0.3, 0.1)),
        ("decided(theta1>1)", Decided("theta", 1.0)),
        ("decided(theta2>1)", Decided("theta", 1.0, ability=2)),
        ("sprt(-0.2, 0.2)", Sprt(-0.2, 0.2, 0.05, 0.05)),
        ("sprt(-1, 1, 0.1, 0.2)", Sprt(-1.0, 1.0, 0.1, 0.2)),
        ("apart(0.3, 0.2)", ToldApart(0.3, 0.2, 0.05)),
        ("apart(0.3, 0.2, theta2)", ToldApart(0.3, 0.2, ability=2)),
        ("gain<0.001", GainBelow(0.001, "score", None)),
        ("gain(theta)/usd<0.001", GainBelow(0.001, "theta", "usd")),
        ("gain/seconds<1e-6", GainBelow(1e-6, "score", "seconds")),
        ("plateau(0.05, 5)", Plateau(0.05, 5)),
    ],
)
def test_short_forms(text: str, rule: Rule) -> None:
    assert parse_stop(text) == rule
    assert parse_stop(f"items>=5 and ({text} or sd<0.3)") == all_of(
        MaxItems(5), any_of(rule, SdBelow(0.3))
    )


@pytest.mark.parametrize(
    "text",
    [
        *("decided(score)", "decided(score>)", "decided(score<0.5)", "decided(grade>0.5)"),
        *("decided(theta4>0)", "decided(score>0.5, 0.1, 0.1)", "decided(score>0.5)<3"),
        *("sprt(0)", "sprt(0, 1, 0.1, 0.1, 0.1)", "sprt(0, inf)", "sprt(a, b)", "sprt(0, 1"),
        *("apart(0.3)", "apart(theta2, 0.3, 0.2)", "apart(1, 2, 0.1, 3)", "apart()"),
        *("plateau(0.05)", "plateau(0.05, 0)", "plateau(0.05, 2.5)", "plateau(0, 5)"),
        *("half-width(x)<0.1", "half-width()<0.1", "half-width>=0.1", "half-width<0"),
        *(
            "gain(usd)<0.1",
            "gain/tokens<0.1",
            "gain>=0.1",
            "gain/usd<-1",
            "sd(0.9)<0.3",
            "sd/usd<1",
        ),
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="cannot be read at"):
        parse_stop(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("half-width(1.5)<0.1", "the level of an interval lies between 0 and 1"),
        ("decided(score>1)", "a score lies between 0 and 1"),
        ("decided(theta>1, 0.7)", "alpha is a probability of error between 0 and 0.5"),
        ("sprt(0, 1, 0.1, 0)", "beta is a probability of error"),
        ("sprt(1, 0)", "the first ability must be below the second"),
        ("apart(0.3, 0)", r"use decided\(theta>0.3, 0.05\)"),
    ],
)
def test_senseless_numbers_are_named(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        parse_stop(text)


def test_and_binds_tighter_than_or() -> None:
    assert parse_stop("sd<0.3 or items>=5 and usd>=2") == AnyOf(
        (SdBelow(0.3), AllOf((MaxItems(5), MaxCost(2.0))))
    )
    assert parse_stop("(sd<0.3 or items>=5) and usd>=2") == AllOf(
        (AnyOf((SdBelow(0.3), MaxItems(5))), MaxCost(2.0))
    )
    assert parse_stop("((sd<.3))") == SdBelow(0.3)
    assert parse_stop("cost >= 1e1") == MaxCost(10.0)
    assert parse_stop("items>=1e3") == MaxItems(1000)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "its end"),
        ("sd<", "sd<"),
        ("sd>=0.3", "sd>=0.3"),
        ("sd<0", "sd<0"),
        ("sd<-1", "sd<-1"),
        ("sd<1e999", "sd<1e999"),
        ("sd<0.3.1", "sd<0.3.1"),
        ("items>=2.5", "items>=2.5"),
        ("items>=0", "items>=0"),
        ("items<5", "items<5"),
        ("hours>=2", "hours>=2"),
        ("sd<0.3 or", "its end"),
        ("or sd<0.3", "or"),
        ("sd<0.3 items>=5", "items>=5"),
        ("(sd<0.3", "a missing )"),
        ("sd<0.3)", ")"),
        ("sd<0.3 xor items>=5", "xor items>=5"),
        ("exhaustedly", "exhaustedly"),
        ("sd<0.3 or catsim:", "catsim:"),
    ],
)
def test_unreadable_rules_are_shown_where(text: str, where: str) -> None:
    with pytest.raises(PlanError) as error:
        parse_stop(text)
    assert f"stopping rule {text!r} cannot be read at {where!r}; write" in str(error.value)
    assert "items>=30" in str(error.value)


# --- truth ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fixed:
    """A rule that is what it is told to be."""

    truth: bool
    precise: bool = False

    def __call__(self, progress: Progress) -> Truth:
        return np.full(len(progress.items), self.truth)

    def reason(self, progress: Progress) -> str:
        return f"is {self.truth}"


def test_a_rule_is_a_rule() -> None:
    for rule in (SdBelow(1), MaxItems(1), MaxCost(1), MaxSeconds(1), Exhausted(), Fixed(True)):
        assert isinstance(rule, Rule)


@pytest.mark.parametrize("truths", list(itertools.product([False, True], repeat=3)))
def test_truth_tables(truths: tuple[bool, bool, bool]) -> None:
    a, b, c = map(Fixed, truths)
    now = progress()
    assert any_of(a, b, c)(now).tolist() == [any(truths)]
    assert all_of(a, b, c)(now).tolist() == [all(truths)]
    assert any_of(all_of(a, b), c)(now).tolist() == [(truths[0] and truths[1]) or truths[2]]
    assert all_of(any_of(a, b), c)(now).tolist() == [(truths[0] or truths[1]) and truths[2]]


@given(st.lists(rules, min_size=1, max_size=4), progresses)
def test_combinators_are_any_and_all(parts: list[Rule], now: Progress) -> None:
    truths = [bool(rule(now)[0]) for rule in parts]
    assert any_of(*parts)(now).tolist() == [any(truths)]
    assert all_of(*parts)(now).tolist() == [all(truths)]


@given(rules)
def test_combinators_flatten(rule: Rule) -> None:
    assert any_of(rule) == rule == all_of(rule)
    assert any_of(any_of(rule, MaxItems(3)), Exhausted()) == any_of(rule, MaxItems(3), Exhausted())


def test_bounds() -> None:
    assert SdBelow(0.3)(progress(sd=(0.29,)))[0]
    assert not SdBelow(0.3)(progress(sd=(0.3,)))[0]
    assert not SdBelow(0.3)(progress(sd=(0.1, 0.31)))[0]
    assert MaxItems(5)(progress(items=5))[0]
    assert not MaxItems(5)(progress(items=4))[0]
    assert MaxCost(2.5)(progress(usd=2.5))[0]
    assert not MaxCost(2.5)(progress(usd=2.49))[0]
    assert MaxSeconds(60)(progress(seconds=60))[0]
    assert not MaxSeconds(60)(progress(seconds=59.9))[0]
    assert Exhausted()(progress(available=(False, False)))[0]
    assert not Exhausted()(progress(available=(False, True)))[0]


def test_each_agent_has_its_own_verdict() -> None:
    one = progress()
    many = Progress(
        np.array([1, 5, 9]),
        np.zeros(3),
        np.zeros(3),
        np.array([[0.2], [0.5], [0.5]]),
        replace(
            one.view,
            weights=np.repeat(one.view.weights, 3, axis=0),
            available=np.repeat(one.view.available, 3, axis=0),
        ),
    )
    assert parse_stop("sd<0.3 or items>=9")(many).tolist() == [True, False, True]
    assert parse_stop("sd<0.6 and items>=5")(many).tolist() == [False, True, True]
    assert Exhausted()(many).tolist() == [False, False, False]


# --- words ------------------------------------------------------------------------------------


def test_reasons_hold_their_numbers() -> None:
    now = progress(items=12, usd=2.103, seconds=3605.4, sd=(0.2894, 0.1))
    assert SdBelow(0.3).reason(now) == "sd 0.289 below 0.3"
    assert MaxItems(12).reason(now) == "12 items answered, the limit is 12"
    assert MaxCost(2).reason(now) == "$2.10 spent, the limit is $2"
    assert MaxSeconds(3600).reason(now) == "3605 s passed, the limit is 3600 s"
    assert Exhausted().reason(now) == "bank exhausted after 12 items"


@given(rules, progresses)
def test_what_fires_has_a_reason(rule: Rule, now: Progress) -> None:
    if rule(now)[0]:
        assert rule.reason(now).strip()


def test_only_what_fires_is_a_reason() -> None:
    rule = parse_stop("sd<0.3 or items>=5 and usd>=1 or seconds>=60")
    now = progress(items=6, usd=1.5, seconds=10, sd=(0.4,))
    assert rule.reason(now) == ("6 items answered, the limit is 5 and $1.50 spent, the limit is $1")
    both = progress(items=6, usd=1.5, seconds=10, sd=(0.2,))
    assert rule.reason(both).startswith("sd 0.2 below 0.3; 6 items")


# --- precision and limits ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("items>=5", ["items>=5"]),
        ("sd<0.3", []),
        ("sd<0.3 or items>=5 or usd>=2", ["items>=5", "usd>=2"]),
        # waits for the precision
        ("sd<0.3 and items>=5", []),
        ("items>=5 and usd>=2", ["items>=5 and usd>=2"]),
        ("sd<0.3 and items>=5 or seconds>=9", ["seconds>=9"]),
    ],
)
def test_limits_end_a_session_by_themselves(text: str, found: list[str]) -> None:
    assert [str(rule) for rule in limits(parse_stop(text))] == found


@given(rules, progresses)
def test_a_limit_reached_stops(rule: Rule, now: Progress) -> None:
    if any(limit(now)[0] for limit in limits(rule)):
        assert rule(now)[0]


@given(rules, progresses)
def test_precision_is_reached_only_by_rules_that_fire_and_ask_for_it(
    rule: Rule, now: Progress
) -> None:
    if precision_reached(rule, now):
        assert rule(now)[0]
        assert rule.precise


@pytest.mark.parametrize(
    ("text", "precise"),
    [
        ("sd<0.3 or items>=5", False),
        ("sd<0.6 or items>=5", True),
        ("sd<0.6 and items>=5", True),
        # fires because of the items: the asked precision is not there
        ("(sd<0.3 or items>=5) and usd>=1", False),
        ("(sd<0.6 or items>=5) and usd>=1", True),
        ("items>=5", False),
    ],
)
def test_precision_or_limit(text: str, precise: bool) -> None:
    now = progress(items=6, usd=1.5, sd=(0.5,))
    rule = parse_stop(text)
    assert rule(now)[0]
    assert precision_reached(rule, now) == precise
