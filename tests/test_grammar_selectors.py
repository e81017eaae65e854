"""Selectors are their texts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selecting import CRITERIA, OTHERS

from harness.errors import PlanError
from harness.grammar import parse_estimator, parse_selector
from harness.grammar.selectors import FORMS
from harness.select import (
    Apart,
    AtMost,
    Audit,
    Balance,
    DecideAbility,
    DecideScore,
    Exclude,
    Fixed,
    KullbackLeibler,
    MaxInformation,
    MinExpectedVariance,
    MutualInformation,
    Optimal,
    PerCost,
    PosteriorInformation,
    Progressive,
    Random,
    Randomesque,
    ScoreVariance,
    Selector,
    SympsonHetter,
    Window,
)

finite = st.floats(-1e6, 1e6)
shares = st.floats(0.0, 1.0)
abilities = st.integers(1, 3)
weights = st.lists(st.floats(0, 1e3), max_size=3).map(tuple).filter(lambda w: not w or max(w) > 0)
# whatever a name may hold: commas, quotes, slashes, parentheses, letters of any script
names = st.one_of(
    st.sampled_from(["git", "two words", "a,b", 'say "x"', "it's", "x/usd", "(", "p=1", "[1", ""]),
    st.text(min_size=1, max_size=8),
)
leaves: st.SearchStrategy[Selector] = st.one_of(
    st.sampled_from(
        [
            Random(),
            PosteriorInformation(),
            KullbackLeibler(),
            KullbackLeibler(posterior=True),
            MutualInformation(),
            ScoreVariance(),
            parse_selector("catsim:MaxInfoSelector"),
            parse_selector("catsim:RandomesqueSelector(bin_size=3)"),
            parse_selector("catsim:LinearSelector(indexes=[3, 1, 4])"),
        ]
    ),
    st.builds(Fixed, st.lists(names, max_size=3, unique=True).map(tuple)),
    st.builds(lambda a, b: Window(min(a, b), max(a, b)), shares, shares),
    st.builds(MaxInformation, st.lists(finite, max_size=3).map(tuple)),
    st.builds(MinExpectedVariance, weights),
    st.builds(Optimal, st.sampled_from(["d", "a", "t"]), weights, st.booleans()),
    st.builds(DecideScore, shares),
    st.builds(DecideAbility, finite, abilities),
    st.builds(Apart, finite, st.floats(1e-6, 1e6), abilities),
)
pairs = st.lists(names, min_size=1, max_size=3, unique=True)


def combined(inner: st.SearchStrategy[Selector]) -> st.SearchStrategy[Selector]:
    plain = inner.filter(lambda s: not isinstance(s, PerCost) and not str(s).startswith("catsim"))
    return st.one_of(
        st.builds(PerCost, plain, st.sampled_from(["usd", "seconds"])),
        st.builds(
            lambda s, tags: Balance(s, tuple((tag, 0.9 / len(tags)) for tag in tags)), inner, pairs
        ),
        st.builds(AtMost, inner, st.integers(0, 99)),
        st.builds(
            lambda s, tags, k: AtMost(s, tuple((tag, k) for tag in tags)),
            inner,
            pairs,
            st.integers(0, 99),
        ),
        st.builds(lambda s, tags: Exclude(s, tuple(tags)), inner, pairs),
        st.builds(Randomesque, inner, st.integers(1, 99)),
        st.builds(Progressive, inner, st.integers(1, 99)),
        st.builds(SympsonHetter, inner, st.floats(0.001, 1), st.integers(1, 99)),
        st.builds(Audit, inner, shares),
    )


@given(st.recursive(leaves, combined, max_leaves=4))
def test_a_selector_reads_back_from_its_text(selector: Selector) -> None:
    text = str(selector)
    assert parse_selector(text) == selector
    assert parse_selector(f"  {text} ") == selector
    assert hash(parse_selector(text)) == hash(selector)


@given(st.recursive(leaves, combined, max_leaves=3), st.data())
def test_a_damaged_text_is_refused_or_means_something(
    selector: Selector, data: st.DataObject
) -> None:
    text = str(selector)
    at = data.draw(st.integers(0, len(text)))
    damaged = text[:at] + data.draw(st.sampled_from(["", "(", ")", ",", '"', "/", "=", "x"]))
    damaged += text[at + data.draw(st.integers(0, 2)) :]
    try:
        found = parse_selector(damaged)
    except PlanError:
        return
    assert parse_selector(str(found)) == found


@pytest.mark.parametrize("text", [*CRITERIA, *OTHERS])
def test_texts_print_as_they_are_written(text: str) -> None:
    assert str(parse_selector(text)) == text


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("decide(0.5)", DecideScore(0.5)),
        ("decide( score > .5 )", DecideScore(0.5)),
        ("decide(theta1>0.3)", DecideAbility(0.3)),
        ("a-optimal(1,0)", Optimal("a", (1.0, 0.0))),
        ("window(0.3,0.7)", Window(0.3, 0.7)),
        ("fixed(b,a)", Fixed(("b", "a"))),
        ('balance(min-variance, "git"=0.3)', Balance(MinExpectedVariance(), (("git", 0.3),))),
        ("exclude( random , a/b , 7 )", Exclude(Random(), ("a/b", "7"))),
        ("randomesque(kl/usd, 5)", Randomesque(PerCost(KullbackLeibler(), "usd"), 5)),
        ("randomesque(kl, 5)/usd", PerCost(Randomesque(KullbackLeibler(), 5), "usd")),
    ],
)
def test_other_ways_to_write(text: str, means: Selector) -> None:
    assert parse_selector(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max-info", "max-information"),
        ("", "min-variance"),
        ("min-variance/hours", "usd or seconds, not 'hours'"),
        ("min-variance/usd/seconds", "usd or seconds"),
        ("catsim:Nothing", "MaxInfoSelector"),
        ("catsim:MaxInfoSelector/usd", "catsim names one item"),
        ("random(1)", "write random"),
        ("kl 3", "write kl"),
        ("window(0.3)", r"window\(0.3, 0.7\)"),
        ("window(a, b)", r"window\(0.3, 0.7\)"),
        ("max-information(inf)", "max-information"),
        ("randomesque(min-variance, 2.5)", "randomesque"),
        ("randomesque(min-variance, 2", "randomesque"),
        ("randomesque(min-var, 2)", "unknown selector 'min-var'"),
        ("exclude(random)", "exclude"),
        ("exclude(random, )", "exclude"),
        ("balance(random)", "balance"),
        ("balance(random, git)", "balance"),
        ("decide(phi>1)", "decide"),
        ("decide(theta0>1)", "decide"),
        ("fixed(a b)", "fixed"),
        ('fixed("a)', "fixed"),
    ],
)
def test_bad_selectors(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        parse_selector(text)


def test_the_page_names_every_selector() -> None:
    page = (Path(__file__).parent.parent / "docs" / "selection.md").read_text()
    assert [name for name in FORMS if f"`{name}" not in page] == []


def test_estimators() -> None:
    assert parse_estimator("eap") == "eap"
    assert parse_estimator("map") == "map"
    with pytest.raises(PlanError, match="'mle'; use eap, map or catsim:NAME"):
        parse_estimator("mle")
