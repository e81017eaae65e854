"""The page and the terminal text of a series: the finding first, and nothing on top of another."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_series import simulated, small_bank, with_states
from test_report import Page

from harness.report import plots
from harness.report.series.course_plot import course_plot
from harness.report.series.page import render_series
from harness.report.series.sentences import finding, moved_sentence, price_sentence
from harness.report.series.status import status_lines
from harness.report.series.steps import line_of
from harness.report.series.tasks_plot import tasks_plot
from harness.report.series.wording import shown
from harness.schedule.events import Proposal
from harness.schedule.situation import Situation, Spending
from harness.schedule.summarise import summarise
from harness.schedule.summary import AlarmNote, SeriesSummary

LONG = "a-benchmark-whose-name-has-eighty-letters-and-that-is-about-care-when-it-matters"
FALL = "fall>0.25 within 3"
NOTES = (
    AlarmNote(3000, "care", FALL, 0.951, "dismissed", 0.4),
    AlarmNote(8000, "care", FALL, 0.962, "confirmed", 0.991),
    AlarmNote(9000, "care", "fall>0.5 since first", 0.955),
)


def told(situation: Situation, **others: Any) -> SeriesSummary:
    options = {"name": "run 7", "policy": "budget(0.35, 0.25)"}
    return summarise(situation, **options | others)


@pytest.fixture(scope="module")
def fallen() -> SeriesSummary:
    banks = [small_bank(), small_bank("skill", label="work", items=40)]
    limit = Spending(tasks=500, usd=400.0)
    made = simulated(banks, [0.5] * 6 + [-1.2] * 4, limit=limit, jumps=[5000], skipped=[3])
    subjects = {step: f"openai/<b>m@{step}" for step in range(1000, 11000, 1000)}
    return told(made, alarms=NOTES, subjects=subjects)


def test_the_page_says_the_finding_first(fallen: SeriesSummary) -> None:
    page = Page(render_series(fallen))
    assert page.links == []
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert set(page.references) <= {f"#{name}" for name in page.ids}
    words = page.text
    for title in (
        *("Has it moved?", "Ability on care", "Ability on skill", "What it cost", "Items used"),
        *("Checkpoints", "How it was computed", "Provenance"),
    ):
        assert title in words
    spent, full = fallen.spent, fallen.full
    assert f"{spent.tasks:,.0f} tasks instead of {full.tasks:,.0f}" in words
    assert "Ability on care is lower at step 10,000 than at step 1,000" in words
    assert (
        "3 alarms were raised: 1 was confirmed, 1 is not settled yet and 1 was dismissed" in words
    )
    assert words.index("is lower at step") < words.index("What it cost")
    assert "Not tested: step 4,000." in words
    assert "openai/<b>m@7000" in words  # the text, and no element of it
    assert "b" not in page.tags
    for bank in fallen.banks:
        assert bank.hash in words


@pytest.mark.parametrize("state", ["raised", "confirmed", "dismissed"])
def test_one_alarm_and_what_became_of_it(state: str) -> None:
    made = simulated([small_bank()], [0.5, 0.0])
    note = replace(NOTES[0], step=2000, state=state)  # type: ignore[arg-type]
    assert f"One alarm was raised; it is {state if state != 'raised' else 'not settled yet'}" in (
        finding(told(made, alarms=[note]))
    )
    assert "No alarm was raised." in finding(told(made))
    assert "Nothing is looked out for." in finding(
        told(simulated([small_bank()], [0.0], alarms=()))
    )


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        ([0.0], "only step 1,000 has been tested"),
        ([1.0, -1.5], "is lower at step 2,000 than at step 1,000"),
        ([-1.5, 1.0], "is higher at step 2,000 than at step 1,000"),
        ([0.0, 0.0], "cannot be told"),
    ],
)
def test_the_sentence_of_the_change(truth: list[float], says: str) -> None:
    bank = told(simulated([small_bank(items=60)], truth, tasks=40)).banks[0]
    assert says in moved_sentence(bank, 0.9)
    if bank.moved is not None and says != "cannot be told":
        assert f"by {abs(bank.moved.by.mean):.2f} sd" in moved_sentence(bank, 0.9)


def test_what_is_not_known_of_costs_is_said() -> None:
    made = with_states(simulated([small_bank()], [0.0, 0.0]), usd=0.0, seconds=0.0)
    page = Page(render_series(told(made))).text
    assert "not known" in page
    assert "$" not in price_sentence(told(made))
    priced = told(simulated([small_bank(usd=0.5)], [0.0, 0.0]))
    assert "instead of about $24.00" in price_sentence(priced)
    assert "those that the banks state" in Page(render_series(priced)).text


@pytest.mark.parametrize("n", [0, 1, 2, 25])
@pytest.mark.parametrize("state", ["done", "planned", "failed"])
def test_any_state_of_a_series_has_a_page(n: int, state: str) -> None:
    made = simulated([small_bank()], [0.2] * n)
    if state != "done":
        made = with_states(made, state=state, answers=(), error="no endpoint", usd=0.0)
    page = Page(render_series(told(made, hindsight=n < 25))).text
    assert ("No checkpoint is registered yet." in page) == (n == 0)
    assert ("Not finished, or failed" in page) == (n > 0 and state != "done")
    assert ("no endpoint" in page) == (n > 0 and state != "done")
    assert "nan" not in page.lower().split()


def test_long_names_are_whole_in_headings_and_short_in_sentences() -> None:
    bank = small_bank(LONG, label=LONG)
    text = Page(render_series(told(simulated([bank], [0.0, 0.5]), name=LONG))).text
    assert f"Ability on {LONG}" in text
    assert f"On {LONG}" not in text
    assert f"ability on {shown(LONG)} " in text.replace("Whether ability", "ability")


# --- nothing lies on anything -----------------------------------------------------------------


def _drawn(draw: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figure that a plot is made of, laid out."""
    kept: list[Any] = []

    def keep(make: Any, name: str, title: str) -> str:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(plots._STYLE)
            kept.append(make())
            kept[0].draw_without_rendering()
        return ""

    monkeypatch.setattr(plots, "render_svg", keep)
    draw()
    return kept[0]


def _boxes(figure: Any) -> list[tuple[str, Any]]:
    """Texts that are in sight, with where they stand."""
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in [*figure.axes, *(child for one in figure.axes for child in one.child_axes)]:
        texts += [axes.xaxis.label, axes.yaxis.label, axes._left_title]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
    seen = [text for text in texts if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in seen]


def _check(figure: Any) -> None:
    boxes = _boxes(figure)
    for (one, a), (other, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 0.5 or down <= 0.5 or one == other, (one, other)
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        assert -1 <= box.x0 < box.x1 <= width + 1, text
        assert -1 <= box.y0 < box.y1 <= height + 1, text


@cache
def _of_two() -> SeriesSummary:
    return told(simulated([small_bank(LONG)], [0.3, -0.4]))


STEPS = st.lists(
    st.one_of(st.integers(0, 30), st.integers(0, 3 * 10**9)), min_size=1, max_size=60, unique=True
).map(sorted)


@given(steps=STEPS, wide=st.booleans())
@settings(max_examples=10, deadline=None, derandomize=True)
def test_no_text_lies_on_another_whatever_the_steps(steps: list[int], wide: bool) -> None:
    base = _of_two()
    bank = base.banks[0]
    points = tuple(
        replace(
            bank.points[place % 2],
            step=step,
            sessions=tuple(replace(s, step=step) for s in bank.points[place % 2].sessions),
        )
        for place, step in enumerate(steps)
    )
    bank = replace(bank, points=points)
    checkpoints = [replace(base.checkpoints[0], step=step, jump=True) for step in steps]
    states: Sequence[Any] = ("raised", "confirmed", "dismissed")
    notes = [
        AlarmNote(step, LONG, FALL, 0.96, states[place % 3]) for place, step in enumerate(steps)
    ]
    with pytest.MonkeyPatch.context() as patch:
        _check(_drawn(lambda: course_plot(bank, checkpoints, notes, "a", wide=wide), patch))
        _check(_drawn(lambda: tasks_plot([bank, bank], "b", wide=wide), patch))


def test_steps_that_would_lie_on_each_other_are_set_apart() -> None:
    even = line_of([1000, 2000, 3500])
    assert even.to_scale
    assert even.at == {1000: 1000.0, 2000: 2000.0, 3500: 3500.0}
    bunched = line_of([0, 1, 2, 1000])
    assert not bunched.to_scale
    assert np.diff(list(bunched.at.values())) == pytest.approx(1.0)


def test_plots_name_what_they_show_and_are_the_same_each_time(fallen: SeriesSummary) -> None:
    text = render_series(fallen)
    assert text == render_series(fallen)
    for what in ("alarm confirmed", "alarm dismissed", "jump declared", "forecast", "follow-up"):
        assert what in text
    assert not re.search(r"#0\db0c", text)


# --- the terminal -----------------------------------------------------------------------------


def test_the_status_is_a_few_lines(fallen: SeriesSummary) -> None:
    why = "the forecast has sd 0.40"
    proposal = Proposal(11000, "care", 1, "routine", 6, why)
    lines = status_lines(fallen, proposal).plain.splitlines()
    text = "\n".join(lines)
    assert len(lines) < 20
    last = fallen.banks[0].points[-1]
    assert f"care {last.smoothed.mean:.2f}  90% interval {last.smoothed.low:.2f}" in text
    for change in last.changes:
        assert f"P({change.alarm}) {change.probability:.3f}" in text
    assert f"{FALL} on care at step 8,000: confirmed" in text
    left = 500 - int(fallen.spent.tasks or 0)
    assert f"{left} of 500 tasks" in text
    assert f"6 tasks of care at step 11,000 (routine): {why}" in text
    assert "Running" not in text
    assert "Next" not in status_lines(fallen).plain


def test_the_status_says_what_runs_and_what_failed() -> None:
    made = simulated([small_bank()], [0.0] * 6)
    running = status_lines(told(with_states(made, state="running", answers=()))).plain
    assert (
        "routine of care at step 2,000, 0 of 6 tasks, in sessions/000000002000-care-1\n" in running
    )
    assert "not tested yet" in running
    failed = status_lines(
        told(with_states(made, state="failed", answers=(), error="no \x1b[31mendpoint"))
    ).plain
    assert ": no endpoint" in failed
    assert "more failed" in failed
    assert "\x1b" not in failed
    assert status_lines(told(simulated([small_bank()], []))).plain.startswith("Series")


def test_the_status_needs_no_hindsight() -> None:
    made = simulated([small_bank()], [0.5, 0.4, -0.8, -0.9, 0.0], skipped=[1, 4])
    lines = status_lines(told(made, alarms=NOTES[:1]))
    assert lines.plain == status_lines(told(made, alarms=NOTES[:1], hindsight=False)).plain
    assert "at step 4,000" in lines.plain
