"""Features of tasks: what texts give, tables that come back as written, and vectors of texts."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.features import (
    LEVELS,
    Level,
    TaskText,
    extract_features,
    feature_files,
    features_of_task,
    highest_level,
    level_of,
    read_features,
    read_space,
    read_texts,
    statement_features,
    statement_languages,
    table_texts,
    write_features,
    write_space,
)
from harness.features.author import ordered_difficulty
from harness.features.parts import repository_features, solution_features
from harness.features.parts import tests_features as features_of_tests
from harness.features.statement import words_of
from harness.features.vectors import TermVectors, fit_terms, vectors_from_dict, vectors_to_dict
from harness.regression import Column, Features

TEXT = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("`\n\r#-*.1)/_?。! aB(){}<>|;&\\'\"=~"),
    ),
    max_size=300,
)
FILES = st.dictionaries(
    st.sampled_from(["Dockerfile", "a.py", "b/test.sh", "c.bin", "fix.patch", "requirements.txt"]),
    st.one_of(st.none(), TEXT),
    max_size=4,
)
SHARES = ("other_letters", "non_ascii")
JAPANESE = (
    "次のスクリプト /app/main.py を修正してください。必ず3つのテストに合格すること！できますか？"
)
RUSSIAN = "Исправьте файл src/app.py. Функция parse_date должна принимать только строки. Почему?"


def ignore(_: str) -> None:
    pass


# What a statement looks like


@given(TEXT)
def test_any_statement_gives_finite_counts(text: str) -> None:
    found = statement_features(text)
    assert found.keys() == statement_features("").keys()
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    assert all(value == int(value) for name, value in found.items() if name not in SHARES)
    assert all(found[name] <= 1 for name in SHARES)
    statement_languages(text)


@given(TEXT.filter(lambda text: "```" not in text and "~~~" not in text))
def test_a_text_written_twice_mentions_no_more(text: str) -> None:
    one, two = statement_features(text), statement_features(f"{text}\n\n{text}")
    assert two["characters"] == 2 * one["characters"] + 2
    assert two["paths"] == one["paths"]
    assert two["symbols"] == one["symbols"]
    # two letters without a space between are a word: an odd one is rounded up
    assert 2 * one["words"] - 1 <= two["words"] <= 2 * one["words"]
    for name in ("lines", "headings", "steps", "bullets", "inline_code", "urls", "numbers"):
        assert two[name] == 2 * one[name], name


def test_nothing_is_counted_in_nothing() -> None:
    assert set(statement_features("").values()) == {0.0}
    assert set(statement_features(" \n\t\n").values()) == {0.0, 4.0}


def test_the_structure_of_a_statement() -> None:
    text = """# Sorting

Write `sort.py` and `lib/io.rs`, see https://x.org/a/b.html?q=1. Is that all?

1. It must be stable.
2. Only `list.sort` may be used, never `sorted()`.
- fast
* small

```python
must(only)
x = 1
```
"""
    found = statement_features(text)
    counted = {name: value for name, value in found.items() if value}
    assert counted == {
        "words": 28,
        "characters": len(text),
        "lines": 10,
        "sentences": 4,
        "headings": 1,
        "code_blocks": 1,
        "code_lines": 2,
        "inline_code": 4,
        "steps": 2,
        "bullets": 2,
        "paths": 2,
        "symbols": 2,
        "urls": 1,
        "numbers": 3,
        "questions": 1,
        "constraints": 3,
    }
    assert statement_languages(text) == {"python", "rust"}


def test_other_languages_give_sensible_numbers() -> None:
    japanese, russian = statement_features(JAPANESE), statement_features(RUSSIAN)
    assert 15 <= japanese["words"] <= 30
    assert 10 <= russian["words"] <= 14
    for found in (japanese, russian):
        assert found["paths"] == 1
        assert found["questions"] == 1
        assert found["constraints"] >= 1
        assert found["sentences"] == 3
        assert found["other_letters"] > 0.5
    assert russian["symbols"] == 1
    assert statement_languages(JAPANESE) == statement_languages(RUSSIAN) == {"python"}
    assert statement_features("Café für Zoë")["other_letters"] == 0


@pytest.mark.parametrize("piece", ["a", "`", "a/", "1,", "a_b", "aB", "```\n", "'a", "- ", "1.1."])
def test_long_statements_take_no_longer_than_they_are(piece: str) -> None:
    # a pattern that tries every start and end of 300,000 characters would not come back
    found = statement_features(piece * (300_000 // len(piece)))
    assert all(map(math.isfinite, found.values()))


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("Rewrite it in C.", {"c"}),
        ("Grade C+ or better; vitamin C; go to the shop; R. Smith", set()),
        ("Port /app/x.cbl from COBOL", {"cobol"}),
        ("Use R and Rust", {"r", "rust"}),
        ("a Go program for C#", {"go", "c#"}),
    ],
)
def test_languages_are_named(text: str, languages: set[str]) -> None:
    assert statement_languages(text) == languages


# Files


@given(FILES)
def test_any_files_give_finite_counts(files: dict[str, str | None]) -> None:
    for found in (repository_features(files), features_of_tests(files), solution_features(files)):
        for value in found.values():
            assert isinstance(value, str) or (isinstance(value, float) and value >= 0)
            assert isinstance(value, str) or math.isfinite(value)


@pytest.mark.parametrize("piece", ["\n", "pip ", "sed ", "> a", "[ ", "\\\n", "--- a\n", "assert("])
@pytest.mark.parametrize("path", ["x.sh", "x.py", "Dockerfile"])
def test_long_files_take_no_longer_than_they_are(path: str, piece: str) -> None:
    files = {path: piece * (100_000 // len(piece))}
    for features in (repository_features, features_of_tests, solution_features):
        assert features(files)


def test_packages_of_an_image() -> None:
    dockerfile = """FROM python:3.12
# RUN apt-get install -y never
RUN apt-get update && apt-get install -y --no-install-recommends \\
    git curl=7.1 \\
 && rm -rf /var/lib/apt/lists/*
RUN pip install numpy==2.0 'pandas>=2' && pip3 install -r requirements.txt
"""
    found = repository_features(
        {"Dockerfile": dockerfile, "app/requirements.txt": "# own\nflask\n-e .\nrich\n"}
    )
    assert found["packages"] == 6
    assert found["files"] == 1
    assert found["dockerfile_lines"] == 6


def test_a_patch_is_its_changes() -> None:
    patch = """diff --git a/x.py b/x.py
--- a/x.py
+++ b/x.py
@@ -1,2 +1,3 @@
 same
-old
+new
+
+newer
--- a/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-x
"""
    assert solution_features({"solution": patch}) == {
        **{"lines": 4.0, "files": 2.0, "commands": 0.0},
        "languages": 2.0,
    }


def test_a_script_is_its_commands_and_what_it_writes() -> None:
    script = """#!/bin/bash
set -e
cd /app && make -j2 | tee build.log
cat > src/a.c <<'EOF'
int main() { return 1; } // > no.py
EOF
sed -i 's/a/b/' conf.ini
python run.py 2>/dev/null
"""
    found = solution_features({"solve.sh": script})
    assert found["commands"] == 6
    assert found["files"] == 3  # build.log, src/a.c, conf.ini
    assert found["languages"] == 2


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"t.py": "import unittest\nclass A(unittest.TestCase): pass"}, "unittest"),
        ({"test.sh": "pytest /tests"}, "pytest"),
        ({"test.sh": "[ -f /app/x ] || exit 1"}, "shell"),
        ({"check.js": "expect(1)"}, "other"),
    ],
)
def test_kinds_of_tests(files: dict[str, str], kind: str) -> None:
    assert features_of_tests(files)["kind"] == kind


# Levels


def full_task() -> TaskText:
    return TaskText(
        "Fix src/a.py.",
        {"Dockerfile": "FROM x"},
        {"test.sh": "pytest"},
        {"solve.sh": "true"},
        {
            "author.difficulty": 2.0,
            "tests.cases": 4.0,
            "solution.minutes": 3.0,
            "judged_tests.care": 1.0,
            "table.stars": 5.0,
        },
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_knows_nothing_of_higher_ones(level: Level) -> None:
    found = extract_features({"t": full_task()}, level=level)
    needed = {level_of(block) for block in found.features.blocks} - {None}
    assert max(LEVELS.index(one) for one in needed if one) == LEVELS.index(level)
    assert highest_level(found.features.blocks) == level
    assert "table" in found.features.blocks
    assert found.space.level == level


def test_numbers_of_a_table_stand_in_for_parts_that_are_not_there() -> None:
    counted = {"tests.lines": 9.0}
    assert features_of_task(TaskText("x", metadata=counted))["tests.lines"] == 9.0
    both = TaskText("x", tests={"a.sh": "one\ntwo"}, metadata=counted)
    assert features_of_task(both)["tests.lines"] == 2.0


def test_a_blank_statement_is_unknown() -> None:
    tasks = {"a": TaskText("Do it."), "b": TaskText(" "), "c": TaskText("Do that.")}
    found = extract_features(tasks, vectors=1).features
    assert found.blocks == ("statement", "text")
    assert set(found.of(["b"]).cells[0]) == {None}


# Tables


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


@st.composite
def tables(draw: st.DrawFn) -> Features:
    names = tuple(draw(st.lists(WORDS, min_size=1, max_size=5, unique=True)))
    blocks = st.sampled_from(["statement", "mine", "a-b_2"])
    keys = draw(
        st.lists(
            st.tuples(blocks, WORDS.filter(lambda name: ":" not in name)),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    kinds: st.SearchStrategy[Literal["number", "category"]] = st.sampled_from(
        ["number", "category"]
    )
    columns, cells = [], []
    for block, name in keys:
        kind = draw(kinds)
        columns.append(Column(name, block, kind))
        some = st.one_of(st.none(), NUMBERS if kind == "number" else WORDS)
        cells.append(draw(st.lists(some, min_size=len(names), max_size=len(names))))
    return Features(names, tuple(columns), tuple(zip(*cells, strict=True)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.sampled_from(["x.csv", "x.csv.gz"]))
def test_a_table_comes_back_as_it_was_written(tmp_path: Path, table: Features, name: str) -> None:
    write_features(table, tmp_path / name)
    found = read_features({"any": tmp_path / name})
    assert (found.names, found.columns, found.cells) == (table.names, table.columns, table.cells)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_kinds_of_columns_are_recognised(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        "item,lines,slow,repo,code:category,tags,story,blank,late",
        *(
            f"i{k},{k}.5,{'yes' if k % 2 else 'No'},r{k % 3},{k % 2},"
            f"{'python web' if k else 'web'},{'word ' * 20}{k},,{'NA' if k else 3}"
            for k in range(4)
        ),
    )
    notes: list[str] = []
    found = read_features({"x": path}, notes.append)
    assert [(column.name, column.kind) for column in found.columns] == [
        ("lines", "number"),
        ("slow", "number"),
        ("repo", "category"),
        ("code", "category"),
        ("tags=python", "number"),
        ("tags=web", "number"),
        ("blank", "number"),
        ("late", "number"),
    ]
    assert found.cells[0] == (0.5, 0.0, "r0", "0", 0.0, 1.0, None, 3.0)
    assert found.cells[1] == (1.5, 1.0, "r1", "1", 1.0, 1.0, None, None)
    assert {column.block for column in found.columns} == {"x"}
    assert any("story" in note and "free text" in note for note in notes)


def test_numbers_with_a_word_among_them_are_a_category_and_said_so(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "item,n", "a,1", "b,2", "c,many")
    notes: list[str] = []
    found = read_features({"x": path}, notes.append)
    assert found.columns[0].kind == "category"
    assert "line 4, item 'c', column 'n': 'many'" in notes[0]
    assert "2 of its 3" in notes[0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["name,x", "a,1"], "no column 'item'"),
        (["item,x", "a,1", "b,2", "a,3"], "line 4: item 'a' has a row in line 2"),
        (["item,x,x", "a,1,2"], "two columns are called 'x'"),
        (["item,x", "a,1", "b"], "line 3, item 'b': 1 cells, but 2 columns"),
        (["item,x", "a,1", "b,inf"], "line 3, item 'b', column 'x': 'inf' is no finite number"),
        (["item,x:number", "a,1", "b,so"], "line 3, item 'b', column 'x': 'so' is no finite"),
        (["item,x", ",1"], "line 2: the item is blank"),
        (["item,x"], "no rows"),
        ([""], "no column 'item'"),
        (["item", "a"], "no column of features"),
        (["item,statement", "a,Do it."], "no column of features"),
        (["item,x", 'a,"1'], "line 2"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, lines: list[str], said: str) -> None:
    path = write(tmp_path / "x.csv", *lines)
    with pytest.raises(InputError, match=r"x\.csv") as caught:
        read_features({"x": path})
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no table of features at .*gone\.csv"):
        read_features({"x": tmp_path / "gone.csv"})
    (tmp_path / "x.csv.gz").write_bytes(b"item,x\n")
    with pytest.raises(InputError, match="broken gzip"):
        read_features({"x": tmp_path / "x.csv.gz"})
    (tmp_path / "x.csv").write_bytes(b"item,x\na,\xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_features({"x": tmp_path / "x.csv"})


def test_tables_side_by_side(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", "item,x", "a,1", "b,2")
    two = write(tmp_path / "two.csv", "item,x", "b,5", "c,6")
    found = read_features(feature_files([f"one={one}", str(two)]))
    assert found.blocks == ("one", "two")
    assert found.cells == ((1.0, None), (2.0, 5.0), (None, 6.0))


def test_names_of_files() -> None:
    with pytest.raises(InputError, match="already"):
        feature_files(["a/x.csv", "b/x.csv"])
    with pytest.raises(InputError, match="cannot name a block"):
        feature_files(["1=x.csv"])


# Tables with texts


def test_columns_of_a_table_with_texts_find_their_block(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "item,prompt,difficulty,tags,test_lines,solution,stars,human_minutes,hints",
        *(
            f'i{k},Do {k}.,{"easy" if k else "boss"},a;b,{k},"cd x\nmake",{k},{k},{"why " * 30}{k}'
            for k in range(3)
        ),
    )
    notes: list[str] = []
    tasks = table_texts(path, notes.append)
    assert tasks["i1"] == TaskText(
        "Do 1.",
        solution={"solution": "cd x\nmake"},
        metadata={
            "author.difficulty": 1.0,
            "topic.tags": frozenset({"a", "b"}),
            "tests.lines": 1.0,
            "table.stars": 1.0,
            "author.minutes": 1.0,
        },
    )
    assert "hints" in notes[0]
    found = extract_features(tasks)
    column = next(c for c in found.features.columns if c.name == "difficulty")
    assert column.kind == "category"
    assert "boss" in found.notes[0]
    assert "every level" in found.notes[1]
    assert "stars" in found.notes[1]


def test_a_patch_may_be_longer_than_other_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "item,statement,patch", f'a,Do it.,"{"+x" * 100_000}"')
    solution = table_texts(path, ignore)["a"].solution
    assert solution is not None
    assert len(solution["solution"] or "") == 200_000


def test_a_table_without_texts_says_what_it_needs(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "item,x", "a,1")
    with pytest.raises(InputError, match="problem_statement"):
        table_texts(path, ignore)


@pytest.mark.parametrize(
    ("said", "number"),
    [("Easy", 1.0), ("very_hard", 4.0), ("15 min - 1 hour", 2.0), ("3.5", 3.5), (" ", None)],
)
def test_difficulties_are_ordered(said: str, number: float | None) -> None:
    assert ordered_difficulty(said) == number


# New tasks like old ones


STATEMENTS = [
    "Sort the list of users by name in Python.",
    "Sort the file of names in Python, and print it.",
    "Read the file of users in Rust.",
    "Print the list of names in Rust.",
]


def old_tasks() -> dict[str, TaskText]:
    return {
        f"t{k}": TaskText(text, metadata={"topic.tags": frozenset({"all", f"only{k}"})})
        for k, text in enumerate(STATEMENTS)
    }


def test_new_tasks_get_the_columns_of_the_old(tmp_path: Path) -> None:
    old = extract_features(old_tasks(), level="statement", vectors=2)
    write_space(old.space, tmp_path / "x.space.json")
    space = read_space(tmp_path / "x.space.json")
    new = {"n": replace(old_tasks()["t1"], metadata={"topic.tags": frozenset({"new"})})}
    found = extract_features(new, like=space)
    assert found.features.columns == old.features.columns
    row = dict(zip((c.name for c in found.features.columns), found.features.cells[0], strict=True))
    was = dict(zip((c.name for c in old.features.columns), old.features.cells[1], strict=True))
    assert (was["tags=all"], row["tags=all"]) == (1.0, 0.0)
    assert {k: v for k, v in row.items() if k != "tags=all"} == {
        k: v for k, v in was.items() if k != "tags=all"
    }
    with pytest.raises(InputError, match="settles level"):
        extract_features(new, like=space, level="tests")


@given(st.lists(TEXT, min_size=1, max_size=8), st.integers(1, 6))
def test_the_same_text_is_at_the_same_place(texts: list[str], dimensions: int) -> None:
    space = fit_terms(texts, dimensions)
    again = vectors_from_dict(json.loads(json.dumps(vectors_to_dict(space))))
    placed = space.place(texts)
    assert placed.shape[1] == len(space.directions) <= min(dimensions, len(texts) - 1)
    assert np.isfinite(placed).all()
    assert np.array_equal(placed, again.place(texts))
    assert np.allclose(space.place([texts[0], "x", texts[0]])[[0, 2]], placed[[0, 0]], atol=1e-12)
    assert (np.linalg.norm(placed, axis=1) <= 1 + 1e-4).all()


def test_vectors_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer=words_of, sublinear_tf=True).fit_transform(STATEMENTS)
    expected = TruncatedSVD(3, n_iter=7, random_state=0).fit_transform(weights)
    space = fit_terms(STATEMENTS, 3)
    assert np.allclose(space.place(STATEMENTS), expected, atol=1e-4)


def test_identical_or_wordless_texts_have_as_many_dimensions_as_they_carry() -> None:
    assert fit_terms(["the same"] * 5, 3).place(["the same"]).shape == (1, 1)
    assert fit_terms(["", "!"], 3).place(["x"]).shape == (1, 0)
    assert fit_terms(["alone here"], 3).place(["alone"]).shape == (1, 0)
    apart = [f"word{chr(97 + k)} only{chr(97 + k)}" for k in range(12)]
    assert fit_terms(apart, 3).place(apart).shape == (12, 0)


def test_words_of_scripts_without_spaces_are_pairs() -> None:
    space = fit_terms([JAPANESE, "テストを修正", RUSSIAN], 2)
    assert isinstance(space, TermVectors)
    assert {"修正", "テス", "строки"} <= set(space.terms)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "other", "level": "tests"}', "[1]"])
def test_a_file_that_is_no_space(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "x.json", content)
    with pytest.raises(InputError, match=r"space\.json"):
        read_space(path)


class FakeModel:
    """Stands in for a sentence-embedding model: counts of five letters."""

    def __init__(self, name: str) -> None:
        if name != "small":
            raise OSError(f"no model {name}")

    def encode(self, texts: list[str], show_progress_bar: bool) -> "np.ndarray":
        assert not show_progress_bar
        return np.array([[text.count(letter) for letter in "aeiou"] for text in texts], np.float32)


@pytest.fixture
def sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


@pytest.mark.usefixtures("sentence_transformers")
def test_vectors_of_a_model_of_sentences(tmp_path: Path) -> None:
    old = extract_features(old_tasks(), vectors=8, model="small")
    placed = np.array(old.features.only(["text"]).cells)
    assert placed.shape == (4, 3)
    assert np.allclose(placed.mean(axis=0), 0, atol=1e-5)
    assert "3 of the 8" in old.notes[0]
    counts = np.array([[text.count(letter) for letter in "aeiou"] for text in STATEMENTS], float)
    gaps = counts[:, None] - counts
    moved = placed[:, None] - placed
    assert np.allclose((moved**2).sum(-1), (gaps**2).sum(-1), atol=1e-3)
    write_space(old.space, tmp_path / "x.space.json")
    again = extract_features(old_tasks(), like=read_space(tmp_path / "x.space.json"))
    assert again.features.cells == old.features.cells
    with pytest.raises(InputError, match="no model large"):
        extract_features(old_tasks(), vectors=2, model="large")


def test_without_the_package_of_the_model_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"cat-harness\[embed\]"):
        extract_features(old_tasks(), vectors=2, model="small")


# Real tasks


def test_task_directories_give_every_block() -> None:
    notes: list[str] = []
    tasks = read_texts(Path(__file__).parent.parent / "environments", notes.append)
    assert notes == []
    found = extract_features(tasks, vectors=8).features
    assert found.blocks == (
        *("statement", "languages", "author", "topic", "resources"),
        *("repository", "tests", "solution", "text"),
    )
    assert all(cell is not None for row in found.cells for cell in row)
    cells = found.of(["csv-totals"]).cells[0]
    row = {(c.block, c.name): cell for c, cell in zip(found.columns, cells, strict=True)}
    assert row["author", "difficulty"] == 1.0
    assert row["tests", "kind"] == "unittest"
    assert row["solution", "files"] == 1.0


def test_terminal_bench_from_a_table(shared_data: Path) -> None:
    notes: list[str] = []
    tasks = read_texts(shared_data / "terminal_bench_2_majority" / "tasks.csv.gz", notes.append)
    found = extract_features(tasks, vectors=16).features
    assert len(found.names) == 89
    assert {"statement", "languages", "author", "topic", "tests", "solution", "text"} == set(
        found.blocks
    )
    for k, column in enumerate(found.columns):
        assert len({row[k] for row in found.cells}) > 1, column
