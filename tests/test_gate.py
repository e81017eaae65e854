"""Gates: what is read, what is refused, and that the value compared is the session's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.events import Answered, Chosen, Plan
from harness.gate import parse_gate
from harness.session import Session, fold

BANK = ItemBank(
    "demo", tuple(Item(f"i{n}", "2pl", (1.0 + n / 4,), (0.5 - n / 4,)) for n in range(6))
)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    session = Session(BANK.table, Plan())
    for step, category in enumerate(draw(st.lists(st.integers(0, 1), max_size=6)), start=1):
        item = f"i{step - 1}"
        chosen = Chosen(0.0, step, item, item, (0.0,), (1.0,))
        session = fold(session, [chosen, Answered(0.0, step, item, category)])
    return session


numbers = st.floats(-3, 3).map(lambda x: round(x, 3))
comparisons = st.sampled_from(["<", "<=", ">", ">="])
spaces = st.sampled_from(["", " ", "  "])


@given(sessions(), st.sampled_from(["score", "ability", "sd"]), comparisons, numbers, spaces)
def test_a_plain_gate_compares_the_estimate(
    session: Session, quantity: str, comparison: str, bound: float, space: str
) -> None:
    gate = parse_gate(f"{space}{quantity}{space}{comparison}{space}{bound}{space}")
    value = {
        "score": session.score.mean,
        "ability": session.ability[0],
        "sd": session.sd[0],
    }[quantity]
    assert gate.value(session) == value
    assert (
        gate.failed(session)
        == {
            "<": value < bound,
            "<=": value <= bound,
            ">": value > bound,
            ">=": value >= bound,
        }[comparison]
    )


@given(sessions(), numbers, numbers)
def test_probability_of_ability_is_the_posteriors(
    session: Session, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    above = [parse_gate(f"P(ability>{x}) < 0.5").value(session) for x in (low, high)]
    assert 0 <= above[1] <= above[0] <= 1 + 1e-12
    nodes = session.posterior.nodes[:, 0]
    assert math.isclose(
        above[0] - above[1],
        session.posterior.weights[(nodes > low) & (nodes <= high)].sum(),
        abs_tol=1e-12,
    )


@given(sessions(), st.floats(0, 1).map(lambda x: round(x, 3)))
def test_probability_of_score_is_the_predictions(session: Session, above: float) -> None:
    value = parse_gate(f"P( score > {above} ) >= 0.9").value(session)
    assert value == session.score.probability_above(above)
    assert 0 <= value <= 1 + 1e-12


@pytest.mark.parametrize("text", ["P(ability>-1.5) < 0.2", "score<5e-1", "ability >= -1E0"])
def test_signs_and_exponents_are_read(text: str) -> None:
    assert np.isfinite(parse_gate(text).bound)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "score",
        "score == 1",
        "score < high",
        "score < nan",
        "P(sd>1) < 0.5",
        "P(score<0.5) < 0.9",
        "P(score>0.5)",
        "score < 0.5 and sd > 1",
        "theta < 1",
    ],
)
def test_what_is_no_gate_is_refused_with_examples(text: str) -> None:
    with pytest.raises(PlanError, match="write for example") as refused:
        parse_gate(text)
    assert repr(text) in str(refused.value)
