"""The command ``features extract``, as typed."""

import json
import sys
from pathlib import Path

import pytest
from test_cli import Call, call

from harness.features import read_features

__all__ = ["call"]

TABLE = """item,statement,difficulty,stars
a,"Sort users.csv in Python. It must be stable.",easy,3
b,"Sort users.csv in Rust.",hard,
c,"Print a tree in Python, see tree.py.",medium,1
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.csv"
    path.write_text(TABLE)
    return path


def test_a_table_is_written_and_said(call: Call, tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "features.csv"
    done = call("features", "extract", tasks, "--out", out, "--vectors", 2)
    assert done.code == 0
    assert done.out.startswith("3 tasks, ")
    assert "at the level of the solution" in done.out
    for block in ("statement", "author", "table", "text"):
        assert block in done.out
    assert str(out) in done.err
    found = read_features({"x": out})
    assert found.names == ("a", "b", "c")
    cells = found.only(["author", "table"]).cells
    assert cells == ((1.0, 3.0), (3.0, None), (2.0, 1.0))


def test_new_tasks_like_old_ones(call: Call, tasks: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv.gz"
    assert call("features", "extract", tasks, "-o", old, "--vectors", 2).code == 0
    space = tmp_path / "old.space.json"
    assert call("features", "extract", tasks, "-o", new, "--like", space).code == 0
    assert not (tmp_path / "new.space.json").exists()
    one, two = read_features({"x": old}), read_features({"x": new})
    assert (one.columns, one.cells) == (two.columns, two.cells)
    refused = call("features", "extract", tasks, "-o", new, "--like", space, "--vectors", 3)
    assert refused.code == 2
    assert "leave them out" in refused.err


def test_json_has_the_blocks(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    folder = Path(__file__).parent.parent / "environments" / "csv-totals"
    done = call("features", "extract", folder, "-o", out, "--level", "tests", "--json")
    facts = json.loads(done.out)
    assert (done.code, facts["tasks"], facts["level"]) == (0, 1, "tests")
    assert [block["block"] for block in facts["blocks"]] == [
        *("statement", "author", "topic", "resources", "repository", "tests"),
    ]
    assert facts["blocks"][-1]["level"] == "tests"
    assert facts["blocks"][0]["constant"] == []


def test_columns_that_say_nothing_are_shown(call: Call, tasks: Path, tmp_path: Path) -> None:
    done = call("features", "extract", tasks, "-o", tmp_path / "x.csv", "--json")
    blocks = {block["block"]: block for block in json.loads(done.out)["blocks"]}
    assert "urls" in blocks["statement"]["constant"]
    assert blocks["table"]["unknown"] == pytest.approx(1 / 3)


def test_bad_sources_are_named(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    plain = tmp_path / "plain.csv"
    plain.write_text("item,x\na,1\n")
    for source, said in (
        (plain, "no column holds what the task says"),
        (tmp_path / "none.csv", "no table"),
        (tmp_path, "no task directories"),
        ("no-such-thing", "neither a folder nor a table"),
    ):
        done = call("features", "extract", source, "-o", out)
        assert done.code == 2
        assert said in done.err
    assert not out.exists()


def test_tasks_that_cannot_be_read_are_left_out_and_named(call: Call, tmp_path: Path) -> None:
    good = tmp_path / "t" / "good"
    for file, text in (
        ("task.toml", "[metadata]\ntags = ['x']\nexpert_time_estimate_min = 30"),
        ("instruction.md", "Исправьте /app/x.py."),
        ("environment/Dockerfile", "FROM x\nRUN pip install rich"),
        ("tests/test.sh", "pytest /tests"),
    ):
        (good / file).parent.mkdir(parents=True, exist_ok=True)
        (good / file).write_text(text)
    bad = tmp_path / "t" / "bad"
    bad.mkdir()
    (bad / "task.toml").write_text("")
    out = tmp_path / "x.csv"
    done = call("features", "extract", tmp_path / "t", "-o", out)
    assert done.code == 0
    assert "left out" in done.err
    assert "bad" in done.err
    found = read_features({"x": out})
    cells = found.cells[0]
    row = {(c.block, c.name): cell for c, cell in zip(found.columns, cells, strict=True)}
    assert found.names == ("good",)
    assert row["author", "expert_minutes"] == 30
    assert row["repository", "packages"] == 1
    assert "solution" not in found.blocks


def test_a_model_of_sentences_that_is_not_installed(
    call: Call, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    done = call("features", "extract", tasks, "-o", tmp_path / "x.csv", "--embed", "m")
    assert done.code == 2
    assert "cat-harness[embed]" in done.err
