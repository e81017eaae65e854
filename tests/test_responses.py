"""Reading outcomes: every layout, and a clear message for every kind of bad input."""

import csv
import datetime as dt
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.bank import Item, ItemBank
from harness.errors import PlanError, ResponsesError
from harness.events import Answered, Cost, Plan, Started, Voided
from harness.journal import appending
from harness.responses import Responses, from_matrix, read_responses
from harness.scoring.ladder import parse_ladder

MIXED = ItemBank(
    "mixed",
    (
        Item("pass-fail", "2pl", (1.0,), (0.0,)),
        Item("graded", "grm", (1.0,), (2.0, 0.0, -2.0), categories="steps"),
    ),
    {"binary": ("fail", "pass"), "steps": ("none", "some", "core", "all")},
)


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def cells(found: Responses) -> set[tuple[str, str, int, int]]:
    rows = zip(found.agent, found.item, found.trial, found.category, strict=True)
    return {(found.agents[a], found.items[i], int(t), int(c)) for a, i, t, c in rows}


matrices = (
    st.integers(2, 5)
    .flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-1, 3), min_size=n, max_size=n), min_size=1, max_size=6
        )
    )
    .map(np.array)
    .filter(lambda matrix: bool((matrix >= 0).any()))
)


@given(matrices)
def test_counts_matrix_and_scores_agree(matrix: NDArray[np.intp]) -> None:
    found = from_matrix(matrix, n_categories=4)
    assert (found.matrix() == matrix).all()
    assert (found.counts().sum(axis=2) == (matrix >= 0)).all()
    assert found.missing == pytest.approx((matrix < 0).mean())
    expected = np.where(matrix >= 0, matrix / 3, np.nan)
    np.testing.assert_allclose(found.scores(), expected)


@given(matrices, st.randoms())
def test_a_subset_is_the_same_rows_and_columns(matrix: NDArray[np.intp], random: object) -> None:
    found = from_matrix(matrix, n_categories=4)
    agents = np.flatnonzero((matrix >= 0).any(axis=1))[::-1]
    items = np.arange(matrix.shape[1])[1:]
    part = found.subset(
        agents=[found.agents[a] for a in agents], items=[found.items[i] for i in items]
    )
    assert (part.matrix() == matrix[np.ix_(agents, items)]).all()


@given(matrices)
def test_a_table_comes_back_whatever_the_order_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, matrix: NDArray[np.intp]
) -> None:
    rows = [f"a{a},i{i},{c if c >= 0 else ''}" for (a, i), c in np.ndenumerate(matrix)]
    folder = tmp_path_factory.mktemp("tables")
    forward = read_responses(write(folder, "\n".join(["agent,item,category", *rows]), "f.csv"))
    backward = read_responses(
        write(folder, "\n".join(["agent,item,category", *rows[::-1]]), "b.csv")
    )
    assert cells(forward) == cells(backward)
    assert len(forward.category) == (matrix >= 0).sum()


def test_trials_add_up_and_a_matrix_has_one_of_them() -> None:
    one, two = np.array([0, 0]), np.array([1.0, 1.0])
    found = Responses(
        agents=("a",),
        items=("i",),
        agent=one,
        item=one,
        trial=np.array([1, 0]),
        category=np.array([0, 1]),
        n_categories=np.array([2]),
        usd=two,
        seconds=two,
        tokens=two,
        turns=two,
        llm=("",),
        scaffold=("",),
        date=("",),
    )
    assert found.counts().tolist() == [[[1.0, 1.0]]]
    assert found.scores().tolist() == [[0.5]]
    assert found.matrix().tolist() == [[1]]
    assert found.matrix(trial=1).tolist() == [[0]]
    assert found.matrix(trial=2).tolist() == [[-1]]


def test_a_full_table(tmp_path: Path) -> None:
    text = (
        "agent,llm,scaffold,date,item,trial,score,category,cost_usd,seconds,tokens,turns,extra\n"
        'x,m,s,2025-01-02,"a,b",0,1,,0.5,10,,3,?\n'
        "x,,,,c,0,,,,,,,?\n"
        "y,,,,c,0,0,,,,,,?\n"
    )
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = read_responses(path)
    assert cells(found) == {("x", "a,b", 0, 1), ("y", "c", 0, 0)}
    assert (found.llm, found.scaffold, found.date) == (("m", ""), ("s", ""), ("2025-01-02", ""))
    assert found.usd[0] == 0.5
    assert np.isnan(found.usd[1])
    assert np.isnan(found.tokens).all()
    assert found.n_categories.tolist() == [2, 2]
    assert found.source == "log.csv.gz"
    assert len(found.sha256) == 64


def test_a_bank_gives_items_categories_and_labels(tmp_path: Path) -> None:
    text = "agent,item,score,category\nx,graded,0.67,\ny,graded,,all\nx,pass-fail,1,\n"
    found = read_responses(write(tmp_path, text), MIXED)
    assert found.items == ("pass-fail", "graded")
    assert found.n_categories.tolist() == [2, 4]
    assert found.labels[1] == ("none", "some", "core", "all")
    assert found.matrix().tolist() == [[1, 2], [-1, 3]]


def test_labels_alone_say_how_many_categories(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,category\nx,i,low\ny,i,1\n")
    assert read_responses(path, labels=["low", "mid", "high"]).n_categories.tolist() == [3]


def test_py_irt_json_lines(tmp_path: Path) -> None:
    lines = [
        {"subject_id": "x", "responses": {"i": 1, "j": 0}},
        {"subject_id": "y", "responses": {"j": None, "i": 0.0}},
    ]
    found = read_responses(write(tmp_path, "\n".join(map(json.dumps, lines)), "log.jsonl"))
    assert cells(found) == {("x", "i", 0, 1), ("x", "j", 0, 0), ("y", "i", 0, 0)}


def test_the_same_row_twice_counts_once(tmp_path: Path) -> None:
    found = read_responses(write(tmp_path, "agent,item,category\nx,i,1\nx,i,1\n"))
    assert len(found.category) == len(found.usd) == 1


BAD = {
    "no column of items": ("agent,task,score\nx,i,1\n", r"line 1: column 'item' is missing"),
    "no outcome column": ("agent,item\nx,i\n", r"column 'category' or 'score' is missing"),
    "nothing": ("", "is empty"),
    "only a header": ("agent,item,score\n", "holds no outcome"),
    "only blanks": ("agent,item,score\nx,i,\n", "holds no outcome"),
    "negative": ("agent,item,category\nx,i,-1\n", r"line 2: category -1 of item 'i' must be 0"),
    "fraction as category": ("agent,item,category\nx,i,0.5\n", "line 2: .*not a whole number"),
    "fraction as score": ("agent,item,score\nx,i,0.5\n", "give a column 'category'"),
    "score above 1": ("agent,item,score\nx,i,2\n", "not between 0 and 1"),
    "word as score": ("agent,item,score\nx,i,yes\n", "column 'score' holds 'yes'"),
    "unknown label": ("agent,item,category\nx,i,good\n", "category 'good' is not a number"),
    "contradiction": ("agent,item,score\nx,i,1\nx,i,0\n", r"line 3: agent 'x', item 'i', trial 0"),
    "infinite cost": ("agent,item,score,cost_usd\nx,i,1,inf\n", "not a finite number"),
    "half a trial": ("agent,item,score,trial\nx,i,1,0.5\n", "trial 0.5 is not a whole number"),
    "blank agent": ("agent,item,score\n,i,1\n", "name of the agent is blank"),
    "bare passes among categories": (
        "agent,item,score,category\nx,i,1,\nx,j,,3\n",
        "line 2: a score of 1 without category",
    ),
    "trial that is no number": ("agent,item,score,trial\nx,i,1,nan\n", "holds 'nan', not a finite"),
    "open quote in the header": ('agent,item,"score\nx,i,1\n', "line 1: unexpected end of data"),
    "column twice": ("agent,item,score,score\nx,i,1,0\n", "column 'score' occurs twice"),
    "successes alone": ("agent,item,successes\nx,i,1\n", "column 'trials' is missing"),
    "trials alone": ("agent,item,trials\nx,i,1\n", "column 'successes' is missing"),
    "blank trials": ("agent,item,successes,trials\nx,i,1,\n", "line 2: column 'trials' is blank"),
    "more successes": ("agent,item,successes,trials\nx,i,3,2\n", "line 2: 3 successes of 2 trials"),
    "negative counts": ("agent,item,successes,trials\nx,i,-1,2\n", "-1 successes of 2 trials"),
    "half a success": ("agent,item,successes,trials\nx,i,0.5,2\n", "successes 0.5 is not a whole"),
    "too many trials": (
        "agent,item,successes,trials\nx,i,1,20250101\n",
        "check the column 'trials'",
    ),
    "counts and a score": (
        "agent,item,successes,trials,score\nx,i,1,2,1\n",
        "line 2: a row has either 'successes' and 'trials' or 'score', not both",
    ),
    "counts of a trial": (
        "agent,item,successes,trials,trial\nx,i,1,2,0\n",
        "line 2: .* holds all trials of its cell; leave 'trial' blank",
    ),
    "other counts": (
        "agent,item,successes,trials\nx,i,1,2\nx,i,2,2\n",
        "line 3: .* has 1 successes of 2 in an earlier row and 2 successes of 2 here",
    ),
    "counts and attempts": (
        "agent,item,successes,trials,score\nx,i,1,2,\nx,i,,,1\n",
        "line 3: .* has 1 successes of 2 in an earlier row and one attempt here",
    ),
    "counts among categories": (
        "agent,item,successes,trials,category\nx,i,1,2,\nx,j,,,3\n",
        "line 2: successes and trials, which make 2 categories, in a file with 4 categories",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ResponsesError, match=message) as caught:
        read_responses(write(tmp_path, text))
    assert "log.csv" in str(caught.value)


BAD_FOR_BANK = {
    "unknown item": ("x,other,1", "line 2: item 'other' is not in bank 'mixed'"),
    "out of range": (
        "x,pass-fail,2",
        r"category 2 of item 'pass-fail' must be 0\.\.1 \(fail, pass\)",
    ),
    "unknown label": ("x,graded,most", "'most' is not one of none, some, core, all"),
}


def test_counts_of_an_item_with_more_categories_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,successes,trials\nx,pass-fail,1,2\nx,graded,1,2\n")
    with pytest.raises(ResponsesError, match=r"line 3: .* but item 'graded' has 4: none, some"):
        read_responses(path, MIXED)


@pytest.mark.parametrize(("row", "message"), BAD_FOR_BANK.values(), ids=BAD_FOR_BANK)
def test_rows_that_a_bank_refuses(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ResponsesError, match=message):
        read_responses(write(tmp_path, f"agent,item,category\n{row}\n"), MIXED)


def test_a_score_between_two_categories_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,score\nx,graded,0.5\n")
    with pytest.raises(ResponsesError, match="'graded' has 4 categories"):
        read_responses(path, MIXED)


def test_broken_files(tmp_path: Path) -> None:
    broken = tmp_path / "log.csv.gz"
    broken.write_bytes(gzip.compress(b"agent,item,score\nx,i,1\n")[:-9])
    with pytest.raises(ResponsesError, match=r"log\.csv\.gz is broken gzip"):
        read_responses(broken)
    with pytest.raises(ResponsesError, match="line 2: not a JSON object with 'subject_id'"):
        read_responses(write(tmp_path, '{"subject_id": 1, "responses": {}}\n{"x"\n', "log.jsonl"))
    with pytest.raises(ResponsesError, match="neither journals"):
        read_responses(tmp_path)
    with pytest.raises(ResponsesError, match="no responses at"):
        read_responses(tmp_path / "absent.csv")


def test_journals_of_a_folder(tmp_path: Path) -> None:
    for run, category in (("one", 2), ("two", 3)):
        with appending(tmp_path / run / "journal.jsonl") as writer:
            writer.append(Started(1.7e9, run, "x", Plan(), "mixed", "0" * 12, "0"))
            writer.append(Answered(1.7e9, 1, "graded", category, Cost(seconds=4.0)))
            writer.append(Voided(1.7e9, 2, "pass-fail", "daemon"))
    found = read_responses(tmp_path, MIXED)
    assert cells(found) == {("x", "graded", 0, 2), ("x", "graded", 1, 3)}
    assert found.seconds.tolist() == [4.0, 4.0]
    assert np.isnan(found.usd).all()
    assert found.date == ("2023-11-14",)
    assert cells(read_responses(tmp_path / "two", MIXED)) == {("x", "graded", 0, 3)}
    assert cells(read_responses(tmp_path / "two" / "journal.jsonl")) == {("x", "graded", 0, 3)}


def test_inspect_logs(tmp_path: Path) -> None:
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    @scorer(metrics=[mean()])
    def by_id() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score | None:
            letters: dict[str, str | float] = {"good": "C", "bad": "I", "silent": "N", "real": 1.0}
            return Score(value=letters[str(state.sample_id)])

        return score

    @solver
    def breaks_one() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            if state.sample_id == "broken":
                raise RuntimeError("the sandbox went away")
            return state

        return solve

    names = ["good", "bad", "silent", "real", "broken"]
    task = Task(
        dataset=[Sample(id=name, input="?") for name in names],
        solver=breaks_one(),
        scorer=by_id(),
        name="letters",
    )
    eval(
        task,
        model="mockllm/model",
        log_dir=str(tmp_path),
        display="none",
        fail_on_error=False,
        epochs=2,
    )
    found = read_responses(tmp_path)
    assert found.agents == ("mockllm/model/breaks_one",)
    assert set(found.items) == set(names) - {"broken"}
    outcome = {found.items[i]: int(c) for i, c in zip(found.item, found.category, strict=True)}
    assert outcome == {"good": 1, "bad": 0, "silent": 0, "real": 1}
    assert len(found.category) == 8
    assert sorted(set(found.trial.tolist())) == [0, 1]
    assert found.date[0][:2] == "20"


@given(st.lists(st.integers(0, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))))
def test_counts_are_so_many_trials(
    tmp_path_factory: pytest.TempPathFactory, counts: list[tuple[int, int]]
) -> None:
    lines = [f"x,i{row},{s},{n}" for row, (s, n) in enumerate(counts)]
    text = "\n".join(["agent,item,successes,trials", *lines, "x,last,,", "y,last,1,1"])
    found = read_responses(write(tmp_path_factory.mktemp("counts"), text))
    kept = {f"i{row}": pair for row, pair in enumerate(counts) if pair[1]} | {"last": (1, 1)}
    total = found.counts().sum(axis=0)
    assert {
        item: (int(ones), int(zeros + ones))
        for item, (zeros, ones) in zip(found.items, total, strict=True)
    } == kept
    assert len(cells(found)) == sum(n for _, n in kept.values())


def test_the_first_trial_of_counts_is_like_the_others(tmp_path: Path) -> None:
    """1,000 cells with 3 successes of 10: the first trial succeeds in 30%, with an sd of 1.5%."""
    lines = [f"a{n},i{n % 7},3,10,0.5" for n in range(1000)]
    text = "\n".join(["agent,item,successes,trials,cost_usd", *lines])
    found = read_responses(write(tmp_path, text))
    first = found.matrix()
    assert (first[first >= 0] == 1).mean() == pytest.approx(0.3, abs=0.05)
    backward = "\n".join(["agent,item,successes,trials,cost_usd", *lines[::-1]])
    assert cells(read_responses(write(tmp_path, backward))) == cells(found)
    assert set(found.usd) == {0.5}


def test_equal_counts_twice_count_once_and_stand_beside_other_cells(tmp_path: Path) -> None:
    text = "agent,item,successes,trials,score\nx,i,1,3,\nx,i,1,3,\nx,j,,,1\n"
    found = read_responses(write(tmp_path, text))
    assert found.counts().tolist() == [[[2, 1], [0, 1]]]


LADDER = "safe>=1 then done>=0.3 then done>=0.8"


@given(
    st.lists(
        st.tuples(st.none() | st.floats(-2, 2), st.none() | st.floats(-2, 2)), min_size=1
    ).filter(lambda rows: any(None not in row for row in rows))
)
def test_a_ladder_makes_categories_of_columns(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | None, float | None]]
) -> None:
    lines = [
        f"a{n},i,0,{'' if safe is None else safe},{'' if done is None else done}"
        for n, (safe, done) in enumerate(rows)
    ]
    text = "\n".join(["agent,item,category,safe,done", *lines])
    found = read_responses(write(tmp_path_factory.mktemp("ladder"), text), score=LADDER)
    ladder = parse_ladder(LADDER)
    assert cells(found) == {
        (f"a{n}", "i", 0, ladder.category({"safe": safe, "done": done}))
        for n, (safe, done) in enumerate(rows)
        if safe is not None and done is not None
    }
    assert found.n_categories.tolist() == [4]
    assert found.labels == (ladder.labels,)


def test_labels_of_a_ladder(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,s\nx,graded,0.5\n")
    found = read_responses(path, labels=["low", "high"], score="s>=.5")
    assert found.labels == (("low", "high"),)
    text = "agent,item,s\nx,graded,0.5\ny,graded,3\n"
    of_bank = read_responses(write(tmp_path, text), MIXED, score="s>=.5 then s>=1 then s>=2")
    assert of_bank.matrix().tolist() == [[-1, 1], [-1, 3]]
    assert of_bank.labels[1] == ("none", "some", "core", "all")


BAD_LADDERS: dict[str, tuple[str, str, str]] = {
    "unknown column": (
        "x,i,1",
        "t>=1",
        "line 1: column 't' is missing; it has: agent, item, s; the ladder 't>=1' asks for it",
    ),
    "word": ("x,i,yes", "s>=1", "line 2: column 's' holds 'yes', not a number"),
    "letter": ("x,i,C", "s>=C", "line 2: column 's' holds 'C', not a number"),
    "infinite": ("x,i,inf", "s>=1", "line 2: column 's' holds 'inf', not a finite number"),
    "only blanks": ("x,i,", "s>=1", "holds no outcome"),
}


@pytest.mark.parametrize(("row", "ladder", "message"), BAD_LADDERS.values(), ids=BAD_LADDERS)
def test_columns_that_a_ladder_cannot_use(
    tmp_path: Path, row: str, ladder: str, message: str
) -> None:
    with pytest.raises(ResponsesError, match=message):
        read_responses(write(tmp_path, f"agent,item,s\n{row}\n"), score=ladder)


def test_ladders_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path, "agent,item,s\nx,graded,1\n")
    with pytest.raises(PlanError, match="cannot be read"):
        read_responses(path, score="s above 1")
    with pytest.raises(ResponsesError, match="makes 2 categories, but there are 3 labels: a, b, c"):
        read_responses(path, labels="abc", score="s>=1")
    with pytest.raises(
        ResponsesError, match=r"line 2: .* makes 2 categories, but item 'graded' has 4"
    ):
        read_responses(path, MIXED, score="s>=1")
    lines = write(tmp_path, '{"subject_id": "x", "responses": {"i": 1}}', "log.jsonl")
    with pytest.raises(ResponsesError, match="a file of JSON lines has no columns for the ladder"):
        read_responses(lines, score="s>=1")


def parquet(folder: Path, columns: dict[str, Any], name: str = "log.parquet") -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@given(matrices, st.booleans())
def test_parquet_is_read_like_csv(
    tmp_path_factory: pytest.TempPathFactory, matrix: NDArray[np.intp], as_float: bool
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    rows = [(f"a{a}", f"i{i}", None if c < 0 else int(c)) for (a, i), c in np.ndenumerate(matrix)]
    agents, items, categories = zip(*rows, strict=True)
    given_ = [None if c is None else float(c) for c in categories] if as_float else categories
    columns = {"agent": agents, "item": items, "category": given_, "cost_usd": [0.25] * len(rows)}
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    table, text = read_responses(parquet(folder, columns)), read_responses(folder / "log.csv")
    assert cells(table) == cells(text)
    assert table.agents == text.agents
    assert (table.usd == text.usd).all()


def test_types_of_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    columns = {
        "agent": pa.array(["x", "y", "x"]).dictionary_encode(),
        "item": [7, 7, 8],
        "score": [True, False, None],
        "date": pa.array([dt.datetime(2025, 1, 2, 3), None, None], pa.timestamp("ns")),
        "turns": pa.array([3.0, float("nan"), 1.0], pa.float32()),
        "trace": [["not", "read"], [], []],
    }
    found = read_responses(parquet(tmp_path, columns))
    assert cells(found) == {("x", "7", 0, 1), ("y", "7", 0, 0)}
    assert found.date == ("2025-01-02", "")
    np.testing.assert_array_equal(found.turns, [3.0, np.nan])
    floats = {"agent": ["x", "y"], "item": ["i", "i"], "score": [1.0, float("nan")]}
    assert cells(read_responses(parquet(tmp_path, floats, "nan.parquet"))) == {("x", "i", 0, 1)}
    # 0.7 in single precision is a little less than 0.7
    single = {"agent": ["x"], "item": ["i"], "s": pa.array([0.7], pa.float32())}
    path = parquet(tmp_path, single, "single.parquet")
    assert cells(read_responses(path, score="s>=0.7")) == {("x", "i", 0, 1)}


def test_parquet_with_counts_in_a_folder(tmp_path: Path) -> None:
    for agent in "xy":
        counts = {"agent": [agent], "item": ["i"], "successes": [1], "trials": [3]}
        parquet(tmp_path, counts, f"part/{agent}.parquet")
    found = read_responses(tmp_path)
    assert found.agents == ("x", "y")
    assert found.counts().tolist() == [[[2, 1]], [[2, 1]]]
    assert len(found.sha256) == 64


BAD_PARQUET: dict[str, tuple[dict[str, Any], str]] = {
    "no items": ({"agent": ["x"], "score": [1]}, "column 'item' is missing; it has: agent, score"),
    "word": (
        {"agent": ["x", "y"], "item": ["i", "i"], "score": ["1", "yes"]},
        "row 2: column 'score' holds 'yes'",
    ),
    "list": (
        {"agent": ["x"], "item": ["i"], "score": [[1]]},
        "column 'score' has the type list.*it must hold text or numbers",
    ),
    "duration": (
        {"agent": ["x"], "item": ["i"], "score": [1], "seconds": [dt.timedelta(seconds=3)]},
        "column 'seconds' has the type duration",
    ),
    "null": ({"agent": ["x"], "item": ["i"], "score": [None]}, "holds no outcome"),
}


@pytest.mark.parametrize(("columns", "message"), BAD_PARQUET.values(), ids=BAD_PARQUET)
def test_bad_parquet(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ResponsesError, match=message) as caught:
        read_responses(parquet(tmp_path, columns))
    assert "log.parquet" in str(caught.value)


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ResponsesError, match=r"log\.parquet is not a readable Parquet file"):
        read_responses(path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ResponsesError, match=r"pip install 'cat-harness\[parquet\]'"):
        read_responses(path)


def test_real_data(shared_data: Path) -> None:
    found = read_responses(shared_data / "odcv" / "responses.csv.gz")
    assert (len(found.agents), len(found.items)) == (21, 80)
    assert set(found.n_categories) == {6}
    repeated = read_responses(shared_data / "terminal_bench_2" / "responses.csv.gz")
    assert repeated.counts().sum(axis=2).max() >= 5
