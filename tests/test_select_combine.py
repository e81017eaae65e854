"""Combinators and baselines: what they must never choose, and what they must reach."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selecting import CRITERIA, Case, flying, view_of, views

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_selector
from harness.irt import Array
from harness.select import (
    AtMost,
    Audit,
    Balance,
    Exclude,
    Fixed,
    MaxInformation,
    MinExpectedVariance,
    Random,
    Randomesque,
    Selector,
    View,
    Window,
    audits,
    choose,
    gains_of,
)

criteria = st.sampled_from([*CRITERIA, "random", "min-variance/usd"]).map(parse_selector)


def tagged(tags: Mapping[str, int], seed: int = 0) -> ItemBank:
    """Binary items, so many of each tag; the tag "" is none."""
    rng = np.random.default_rng(seed)
    items = []
    for tag, count in tags.items():
        for k in range(count):
            a, d = float(rng.lognormal(0, 0.4)), float(rng.normal(0, 1.2))
            name = f"{tag or 'plain'}-{k}"
            items.append(Item(name, "2pl", (a,), (d,), tags=(tag,) if tag else ()))
    return ItemBank("tagged", tuple(items))


def administered(selector: Selector, bank: ItemBank, length: int, width: int = 1) -> list[str]:
    """Ids of the items of one test, all answered right, ``width`` of them in flight."""
    answers: dict[int, int] = {}
    pending: list[int] = []
    ids: list[str] = []
    while len(ids) < length:
        view = view_of(bank, answers, step=len(ids) + 1)
        row = choose(selector, flying(view, tuple(pending)))
        if row is None:
            break
        pending.append(row)
        ids.append(bank.items[row].id)
        if len(pending) == width:
            answers[pending.pop(0)] = 1
    return ids


# --- balance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize(
    "shares", [{"git": 0.3, "web": 0.7}, {"git": 0.2, "web": 0.3, "db": 0.5}, {"git": 0.25}]
)
def test_shares_are_reached_at_every_length(shares: dict[str, float], width: int) -> None:
    bank = tagged({"git": 25, "web": 25, "db": 25, "": 25})
    selector = Balance(MinExpectedVariance(), tuple(shares.items()))
    ids = administered(selector, bank, 30, width)
    rest = {"plain": 1 - sum(shares.values())} if sum(shares.values()) < 1 else {}
    for length in range(1, 31):
        counts = Counter(name.split("-")[0] for name in ids[:length])
        for tag, share in (shares | rest).items():
            if tag == "plain":
                found = length - sum(counts[named] for named in shares)
            else:
                found = counts[tag]
            assert abs(found - share * length) <= 1


@given(views(), criteria, st.floats(0.1, 0.9))
def test_balance_takes_the_best_of_the_tag_that_is_short(
    case: Case, inner: Selector, share: float
) -> None:
    view = view_of(*case)
    selector = Balance(inner, (("git", share), ("web", 1 - share)))
    gains, plain = selector(view)[0], inner(view)[0]
    tags = [item.tags for item in case[0].items]
    taken = [tags[row] for row in np.flatnonzero(view.taken[0])]
    short = {
        tag: target * (len(taken) + 1) - sum(tag in own for own in taken)
        for tag, target in selector.shares
    }
    for tag in sorted(short, key=lambda t: -short[t]):
        allowed = [k for k in np.flatnonzero(view.available[0]) if tag in tags[k]]
        if allowed:
            break
    else:
        allowed = list(np.flatnonzero(view.available[0]))
    if abs(short["git"] - short["web"]) > 1e-9:
        assert list(np.flatnonzero(gains > -np.inf)) == allowed
        np.testing.assert_array_equal(gains[allowed], plain[allowed])


def test_a_test_goes_on_when_a_tag_is_used_up() -> None:
    bank = tagged({"git": 2, "web": 9, "db": 3})
    ids = administered(parse_selector("balance(min-variance, git=0.8, web=0.2)"), bank, 99)
    assert len(ids) == 14
    assert Counter(name.split("-")[0] for name in ids[:11]) == {"git": 2, "web": 9}


def test_balance_looks_past_a_tag_whose_items_are_excluded_inside() -> None:
    bank = tagged({"git": 5, "web": 5})
    selector = parse_selector("balance(exclude(min-variance, git), git=0.9, web=0.1)")
    assert all(name.startswith("web") for name in administered(selector, bank, 5))


# --- limits -----------------------------------------------------------------------------------


@given(criteria, st.integers(0, 4), st.integers(1, 3))
def test_at_most_so_many_of_a_tag(inner: Selector, limit: int, width: int) -> None:
    bank = tagged({"git": 6, "web": 3})
    bank = replace(bank, items=tuple(replace(item, usd=1.0) for item in bank.items))
    ids = administered(AtMost(inner, (("git", limit),)), bank, 99, width)
    counts = Counter(name.split("-")[0] for name in ids)
    assert counts == Counter({"git": limit, "web": 3})
    assert len(administered(AtMost(inner, 2), bank, 99, width)) == 4


@given(views(), criteria)
def test_what_is_excluded_is_never_chosen(case: Case, inner: Selector) -> None:
    view = view_of(*case)
    selector = Exclude(inner, ("i1", "git"))
    gains, plain = gains_of(selector, view)[0], inner(view)[0]
    for row, item in enumerate(case[0].items):
        if item.id == "i1" or "git" in item.tags:
            assert gains[row] == -np.inf
        else:
            assert gains[row] == plain[row]


def test_a_name_may_be_an_item_and_a_tag() -> None:
    items = [Item("git", "2pl", (1.0,), (0.0,)), Item("a", "2pl", (1.0,), (0.0,), tags=("git",))]
    bank = ItemBank("names", (*items, Item("b", "2pl", (1.0,), (0.0,))))
    assert choose(Exclude(Fixed(), ("git",)), view_of(bank, {})) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exclude(random, zip)", "no item or tag zip; its tags are git, web"),
        ("balance(random, zip=1)", "no tag zip"),
        ("at-most(random, zip=1)", "no tag zip"),
        ("fixed(git-0, zip)", "no item zip"),
    ],
)
def test_unknown_names_are_refused(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        parse_selector(text)(view_of(tagged({"web": 1, "git": 1}), {}))


def test_a_bank_without_tags_says_so() -> None:
    with pytest.raises(PlanError, match="it has no tags"):
        parse_selector("at-most(random, git=1)")(view_of(tagged({"": 2}), {}))


# --- chance -----------------------------------------------------------------------------------


def many(view: View, agents: int) -> View:
    """The same agent with many seeds."""
    view = view.of(np.zeros(agents, np.intp))
    return replace(view, seeds=np.stack([np.arange(agents), np.ones(agents, int)], axis=1))


@given(views(), st.integers(1, 6))
def test_randomesque_takes_one_of_the_best(case: Case, size: int) -> None:
    view = many(view_of(*case), 60)
    gains = np.where(view.available, MaxInformation()(view), -np.inf)[0]
    best = np.sort(gains)[::-1][: min(size, int(view.available[0].sum()))]
    found = np.where(view.available, Randomesque(MaxInformation(), size)(view), -np.inf)
    rows = found.argmax(axis=1)
    assert (gains[rows] >= best[-1]).all()
    if len(best) > 1 and len(set(gains[gains > -np.inf])) > 1:
        assert len(set(rows)) > 1
    assert ((found > -np.inf).sum(axis=1) == len(best)).all()


def test_randomesque_averages_over_answers_before_it_ranks() -> None:
    bank = tagged({"": 30})
    view = flying(view_of(bank, {}, gone=(0, 1, 2)), (0, 1, 2))
    averaged = gains_of(MinExpectedVariance(), view)[0]
    averaged[~view.available[0]] = -np.inf
    found = gains_of(Randomesque(MinExpectedVariance(), 4), view)[0]
    assert set(np.flatnonzero(found > -np.inf)) == set(np.argsort(-averaged)[:4])


def test_audit_items_are_a_share_and_uniform() -> None:
    bank = tagged({"": 6})
    view = many(view_of(bank, {0: 1}), 6000)
    selector = Audit(MinExpectedVariance(), 0.3)
    audited = audits(selector, view)
    assert abs(audited.mean() - 0.3) < 0.03
    gains = np.where(view.available, selector(view), -np.inf)
    best = int(np.where(view.available, MinExpectedVariance()(view), -np.inf)[0].argmax())
    rows = gains.argmax(axis=1)
    assert (rows[~audited] == best).all()
    counts = np.bincount(rows[audited], minlength=6)
    assert counts[0] == 0
    assert (np.abs(counts[1:] / audited.sum() - 0.2) < 0.05).all()
    # an audit item is the only one, so that nothing else can nearly tie with it
    assert ((gains[audited] > -np.inf).sum(axis=1) == 1).all()


def test_a_limit_around_an_audit_holds_for_audit_items() -> None:
    bank = tagged({"git": 5, "web": 5})
    selector = parse_selector("at-most(audit(min-variance, 1), git=1)")
    ids = administered(selector, bank, 99)
    assert Counter(name.split("-")[0] for name in ids) == {"git": 1, "web": 5}


# --- baselines --------------------------------------------------------------------------------


def test_fixed_orders() -> None:
    bank = tagged({"": 4})
    assert administered(Fixed(), bank, 99) == [item.id for item in bank.items]
    order = ("plain-2", "plain-0")
    assert administered(Fixed(order), bank, 99) == list(order)


def expected_in_population(bank: ItemBank) -> Array:
    weights = np.exp(Prior(bank.mean, bank.sd).log_weights(bank.table.nodes))
    return np.asarray(bank.table.expected_score @ weights)


def test_the_window_is_over_the_population_and_never_over_the_agent() -> None:
    bank = tagged({"": 60})
    bank = replace(bank, mean=(0.5,), sd=(1.3,))
    score = expected_in_population(bank)
    inside = (score >= 0.3) & (score <= 0.7)
    assert 5 < inside.sum() < 55
    for answers in ({}, dict.fromkeys(np.flatnonzero(inside)[:3].tolist(), 1)):
        view = many(view_of(bank, answers), 2000)
        gains = Window(0.3, 0.7)(view)
        np.testing.assert_array_equal(gains[0] > -np.inf, inside)
        rows = np.where(view.available, gains, -np.inf).argmax(axis=1)
        usable = inside & view.available[0]
        assert set(rows) == set(np.flatnonzero(usable))
        assert np.bincount(rows).max() < 3 * 2000 / usable.sum()
    assert len(administered(Window(0.3, 0.7), bank, 99)) == inside.sum()


def test_an_empty_window_says_what_there_is() -> None:
    with pytest.raises(PlanError, match="they go from 0"):
        choose(Window(0.999, 1.0), view_of(tagged({"": 5}), {}))


def test_chance_of_different_selectors_is_independent() -> None:
    bank = tagged({"": 200})
    view = many(view_of(bank, {}), 20)
    draws = [
        Random()(view),
        Window(0.0, 1.0)(view),
        Randomesque(Random(), 200)(view),
    ]
    for a in range(3):
        for b in range(a):
            assert abs(np.corrcoef(draws[a].ravel(), draws[b].ravel())[0, 1]) < 0.06


@pytest.mark.parametrize(
    "text",
    [
        "balance(random, git=0.7, web=0.7)",
        "balance(random, git=0)",
        "balance(random, git=0.2, git=0.3)",
        "at-most(random, -1)",
        "at-most(random, git=1, git=2)",
        "randomesque(random, 0)",
        "audit(random, 1.2)",
        "window(0.7, 0.3)",
        "window(-1, 0.3)",
        "fixed(a, a)",
        "progressive(random, 0)",
        "sympson-hetter(random, 0, 3)",
        "sympson-hetter(random, 0.3, 0)",
        "min-variance(0)",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as error:
        parse_selector(text)
    assert text.partition("(")[0] in str(error.value)
