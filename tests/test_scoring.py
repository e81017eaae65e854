"""From the files that hidden tests leave behind to a category, or to no verdict at all."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.events import TestResult
from harness.scoring.reward import NoVerdict, Verdict, judge

sizes = st.integers(2, 12)


@st.composite
def categories(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(sizes)
    return n, draw(st.integers(0, n - 1))


def category(n: int, text: str) -> int:
    verdict = judge(n, {"reward.txt": text}, 0, "")
    assert isinstance(verdict, Verdict), verdict
    return verdict.category


@given(categories(), st.integers(4, 17))
def test_a_category_written_as_a_reward_is_read_back(pair: tuple[int, int], digits: int) -> None:
    n, k = pair
    assert category(n, f"{k / (n - 1):.{digits}f}") == k


@given(sizes, st.floats(0, 1))
def test_a_partial_reward_never_rounds_up(n: int, reward: float) -> None:
    found = category(n, repr(reward))
    assert 0 <= found <= n - 1
    # a thousandth is the slack for rewards that were written with few digits
    assert found <= Fraction(reward) * (n - 1) + Fraction(1, 999)
    assert found > Fraction(reward) * (n - 1) - 1


@given(sizes, st.floats(0, 1), st.floats(0, 1))
def test_more_reward_is_never_a_lower_category(n: int, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert category(n, repr(low)) <= category(n, repr(high))


@given(sizes, st.floats(allow_nan=True).filter(lambda x: not 0 <= x <= 1))
def test_a_reward_out_of_range_is_no_verdict(n: int, reward: float) -> None:
    verdict = judge(n, {"reward.txt": repr(reward)}, 0, "")
    assert isinstance(verdict, NoVerdict)
    assert "between 0 and 1" in verdict.detail


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_the_files_hold_there_is_a_verdict_or_a_reason(
    txt: str, reward_json: str, ctrf: str
) -> None:
    files = {"reward.txt": txt, "reward.json": reward_json, "ctrf.json": ctrf}
    verdict = judge(4, files, 1, "it crashed")
    assert isinstance(verdict, Verdict) or verdict.detail


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
entries = st.fixed_dictionaries(
    {"name": anything, "status": anything},
    optional={"extra": anything | st.fixed_dictionaries({"milestone": anything})},
)


@given(st.lists(entries | anything, max_size=3) | anything, anything)
def test_reports_of_any_shape_are_survived(tests: object, reward: object) -> None:
    for report in (tests, {"tests": tests}, {"results": {"tests": tests}}):
        files = {"reward.txt": "1", "ctrf.json": json.dumps(report)}
        verdict = judge(4, files, 0, "")
        assert isinstance(verdict, Verdict)
        assert verdict.category == 3
    given_reward = json.dumps({"reward": reward})
    assert isinstance(judge(4, {"reward.json": given_reward}, 0, ""), Verdict | NoVerdict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.667", 2), ("0.6666", 2), ("0.66", 1), ("0.333", 1), ("0.9999", 3), ("0.99", 2), ("1", 3)],
)
def test_few_digits_are_forgiven_and_a_near_miss_is_not(text: str, expected: int) -> None:
    assert category(4, text) == expected


@pytest.mark.parametrize("text", ["", "  \n", "yes", "1/3", "0,5"])
def test_an_unreadable_reward_is_no_verdict(text: str) -> None:
    verdict = judge(2, {"reward.txt": text}, 3, "line one\nline two")
    assert isinstance(verdict, NoVerdict)
    assert ("not a number" if text.strip() else "exit code 3") in verdict.detail


def test_no_files_at_all_is_no_verdict_and_quotes_the_end_of_the_output() -> None:
    verdict = judge(2, {}, 127, "x" * 1000 + " bash: pytest: command not found")
    assert isinstance(verdict, NoVerdict)
    assert verdict.detail.endswith("bash: pytest: command not found")
    assert len(verdict.detail) < 400
    silent = judge(2, {}, 1, "")
    assert isinstance(silent, NoVerdict)
    assert silent.detail.endswith("no output")


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"reward": 1}', 1), ("0.4", 0), ('{"reward": 1.0, "other": 3}', 1)],
)
def test_a_reward_may_be_json(text: str, expected: int) -> None:
    verdict = judge(2, {"reward.json": text}, 0, "")
    assert isinstance(verdict, Verdict)
    assert verdict.category == expected


@pytest.mark.parametrize("text", ['{"reward": true}', '{"score": 1}', "[1]", '"1"', "{"])
def test_json_without_a_number_is_no_verdict(text: str) -> None:
    assert isinstance(judge(2, {"reward.json": text}, 0, ""), NoVerdict)


def test_the_text_wins_over_json() -> None:
    verdict = judge(2, {"reward.txt": "0", "reward.json": '{"reward": 1}'}, 0, "")
    assert isinstance(verdict, Verdict)
    assert verdict.category == 0


def test_tests_are_taken_by_name_with_milestones_and_messages() -> None:
    tests = [
        {"name": "one", "status": "passed", "duration": 3, "extra": {"milestone": 1}},
        {"name": "two", "status": "failed", "message": "a" * 500 + "end", "extra": {}},
        {"name": "three", "status": "skipped", "extra": None},
    ]
    verdict = judge(
        4, {"reward.txt": "0.3334", "ctrf.json": json.dumps({"results": {"tests": tests}})}, 0, ""
    )
    assert isinstance(verdict, Verdict)
    one, two, three = verdict.evidence.tests
    assert one == TestResult("one", True, 1)
    assert (two.passed, two.milestone, len(two.message)) == (False, None, 200)
    assert two.message.endswith("end")
    assert not three.passed
    assert verdict.evidence.reward == 0.3334
