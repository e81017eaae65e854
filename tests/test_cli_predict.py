"""The command ``predict tasks``: sources, predictors, files that it writes, and its refusals."""

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.bank import Calibrant, Item, ItemBank
from harness.bank_files import load_bank, save_bank
from harness.cli.predict import predict
from harness.errors import BankError, HarnessError, InputError, PlanError
from harness.features import extract_features, harbor_texts, read_features, write_features
from harness.predict.predictor import fit_predictor, save_predictor

REPOSITORY = Path(__file__).parent.parent


def run(*arguments: object) -> Any:
    return CliRunner().invoke(
        predict, ["tasks", *(str(a) for a in arguments)], standalone_mode=False
    )


def refused(kind: type[HarnessError], *arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def write(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bank of 40 items, features of these, and features of 6 new tasks."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(46, 2))
    b = 0.9 * x[:, 0] + rng.normal(0, 0.4, 46)
    items = []
    for k in range(40):
        a = math.exp(rng.normal(0.4, 0.2))
        spread = ((0.04, 0.0), (0.0, 0.04))
        items.append(Item(f"old{k}", "2pl", (a,), (-a * float(b[k]),), covariance=spread))
    agents = tuple(Calibrant(f"agent-{k}", (k / 5 - 2,), (0.1,)) for k in range(21))
    save_bank(ItemBank("demo", tuple(items), calibrants=agents), tmp_path / "bank")
    names = [f"old{k}" for k in range(40)] + [f"new{k}" for k in range(6)]
    rows = [
        {"item": name, "size": f"{u:.3f}", "depth": f"{v:.3f}", "always": 1}
        for name, (u, v) in zip(names, x, strict=True)
    ]
    write(tmp_path / "old.csv", rows[:40])
    write(tmp_path / "new.csv", rows[40:])
    write(tmp_path / "all.csv", rows)
    return tmp_path


def arguments(folder: Path, source: str = "new.csv") -> tuple[object, ...]:
    tables = f"code={folder / 'old.csv'}"
    return folder / source, "--bank", folder / "bank", "--features", tables


# --- what it says -----------------------------------------------------------------------------


def test_a_table_of_features_is_predicted_in_words_and_as_json(folder: Path) -> None:
    result = run(*arguments(folder))
    assert result.exception is None, result.exception
    for text in ("new5", "harder than", "explain", "difficulty (90%)", "within reach"):
        assert text in result.output
    result = run(*arguments(folder), "--json")
    found = json.loads(result.stdout)
    assert [task["item"] for task in found["tasks"]] == [f"new{k}" for k in range(6)]
    task = found["tasks"][0]
    assert task["low"] < task["difficulty"] < task["high"]
    assert {reason["feature"] for reason in task["reasons"]} == {"size", "depth"}
    assert found["quality"]["n"] == 40
    assert any("always is the same everywhere" in note for note in found["quality"]["notes"])


def test_agents_level_and_page(folder: Path) -> None:
    more = ("--agents", "agent-3, agent-20", "--level", "0.5", "-o", folder / "page.html")
    result = run(*arguments(folder), *more, "--json", folder / "found.json")
    assert result.exception is None, result.exception
    found = json.loads((folder / "found.json").read_text())
    assert [agent["agent"] for agent in found["agents"]] == ["agent-20", "agent-3"]
    wide = json.loads(run(*arguments(folder), "--json").stdout)
    width = [t["high"] - t["low"] for t in (found["tasks"][0], wide["tasks"][0])]
    assert width[0] == pytest.approx(width[1] * 0.6745 / 1.6449, rel=1e-3)
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "new5" in page
    assert "the 50% interval" in page


def test_a_table_of_everything_fits_and_predicts(folder: Path) -> None:
    both = json.loads(run(*arguments(folder), "--json").stdout)
    tables = f"code={folder / 'all.csv'}"
    one = run(folder / "all.csv", "--bank", folder / "bank", "--features", tables, "--json")
    assert one.exception is None, one.exception
    assert json.loads(one.stdout)["tasks"] == both["tasks"]
    assert "40 of 46 tasks are calibrated" in one.stderr


def test_the_saved_predictor_is_used_and_gives_the_same(folder: Path) -> None:
    fitted = json.loads(run(*arguments(folder), "--json").stdout)
    bank = load_bank(folder / "bank")
    predictor = fit_predictor(bank, read_features({"code": folder / "old.csv"}))
    save_predictor(predictor, folder / "bank")
    result = run(folder / "new.csv", "--bank", folder / "bank", "--json")
    assert result.exception is None, result.exception
    saved = json.loads(result.stdout)
    for a, b in zip(fitted["tasks"], saved["tasks"], strict=True):
        assert a["difficulty"] == pytest.approx(b["difficulty"], abs=1e-5)
    assert "remark" not in result.stderr
    # another state of the bank is remarked on, and used
    save_bank(replace(bank, items=bank.items[1:]), folder / "bank")
    result = run(folder / "new.csv", "--bank", folder / "bank")
    assert result.exception is None
    assert "another state of the bank" in result.stderr


def test_tables_may_add_what_the_source_does_not_say(folder: Path) -> None:
    bank = load_bank(folder / "bank")
    features = read_features({"code": folder / "old.csv"})
    save_predictor(fit_predictor(bank, features), folder / "bank")
    rows = list(csv.DictReader((folder / "new.csv").open()))
    some = write(folder / "some.csv", [{"item": r["item"], "size": r["size"]} for r in rows])
    depth = write(folder / "depth.csv", [{"item": r["item"], "depth": r["depth"]} for r in rows])
    bare = run(some, "--bank", folder / "bank", "--json")
    assert bare.exception is None, bare.exception
    task = json.loads(bare.stdout)["tasks"][0]
    assert [r["feature"] for r in task["reasons"] if not r["known"]] == ["depth"]
    assert task["sd"] > task["sd_if_known"]
    whole = run(some, "--bank", folder / "bank", "--features", f"more={depth}", "--json")
    task = json.loads(whole.stdout)["tasks"][0]
    assert all(r["known"] for r in task["reasons"])


def test_harbor_tasks_are_read_extracted_and_put_into_a_bank(tmp_path: Path) -> None:
    environments = REPOSITORY / "environments"
    texts = harbor_texts(environments, lambda note: None)
    names = sorted(texts)
    rng = np.random.default_rng(1)
    old, new = names[:-4], names[-4:]
    items = tuple(
        Item(name, "2pl", (1.5,), (float(rng.normal()),), covariance=((0.04, 0.0), (0.0, 0.04)))
        for name in old
    )
    save_bank(ItemBank("harbor", items), tmp_path / "bank")
    write_features(
        extract_features({name: texts[name] for name in old}).features, tmp_path / "f.csv"
    )
    out = tmp_path / "more"
    more = ("--features", tmp_path / "f.csv", "--out-bank", out, "--add-to", "--json", "-")
    result = run(environments, "--bank", tmp_path / "bank", *more)
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert {task["item"] for task in found["tasks"]} == {*new}
    assert "solution" in found["levels"]
    made = load_bank(out)
    assert len(made.items) == len(names)
    assert made[new[0]].predicted
    assert made.sources[made[new[0]].source].location == str(environments)
    again = run(environments, "--bank", out)
    assert "another state" not in again.stderr
    assert again.exception is None, again.exception


def test_statements_in_another_language_give_sensible_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    verbs = ("parse", "sort", "merge", "print", "hash", "count")
    rows: list[dict[str, object]] = []
    for k in range(40):
        words = " ".join(rng.choice(verbs, size=int(rng.integers(5, 40))))
        rows.append({"item": f"old{k}", "statement": f"Write a program to {words} it."})
    items = tuple(
        Item(
            str(row["item"]),
            "2pl",
            (1.5,),
            (1 - len(str(row["statement"])) / 100,),
            covariance=((0.04, 0.0), (0.0, 0.04)),
        )
        for row in rows
    )
    save_bank(ItemBank("words", items), tmp_path / "bank")
    from harness.features import read_texts, write_space

    extraction = extract_features(
        read_texts(write(tmp_path / "old.csv", rows), lambda note: None), vectors=3
    )
    write_features(extraction.features, tmp_path / "f.csv")
    write_space(extraction.space, tmp_path / "f.space.json")
    strange: list[dict[str, object]] = [
        {
            "item": "ja",
            "statement": "ファイルを読み込み、合計を出力するプログラムを書いてください。",
        },
        {"item": "long", "statement": "Write a program to " + "parse " * 5000},
        {"item": "empty", "statement": ""},
        {"item": "usual", "statement": "Write a program to parse and sort and print it."},
    ]
    source = write(tmp_path / "new.csv", strange)
    more = ("--bank", tmp_path / "bank", "--features", tmp_path / "f.csv")
    result = run(source, *more, "--json")
    assert result.exception is None, result.exception
    tasks = {task["item"]: task for task in json.loads(result.stdout)["tasks"]}
    hard = [item.difficulties[0] for item in items]
    for task in tasks.values():
        assert min(hard) - 2 < task["difficulty"] < max(hard) + 2
        assert 0 < task["sd"] < 5
    assert {odd["feature"] for odd in tasks["ja"]["outside"]} & {"text", "non_ascii"}
    assert tasks["long"]["outside"]
    assert not tasks["usual"]["outside"]
    assert not any(r["known"] for r in tasks["empty"]["reasons"])
    assert "nothing that the predictor uses is known of 1 of 4 tasks, such as 'empty'" in (
        result.stderr
    )
    # the vectors are those of the space beside the table
    assert any(r["feature"] == "text" and r["known"] for r in tasks["usual"]["reasons"])
    (tmp_path / "f.space.json").rename(tmp_path / "kept.json")
    result = run(source, *more)
    assert result.exception is None, result.exception
    assert "new texts get by --like alone" in result.stderr
    assert json.loads(run(source, *more, "--like", tmp_path / "kept.json", "--json").stdout)[
        "tasks"
    ] == list(tasks.values())


# --- banks that it writes ---------------------------------------------------------------------


def test_the_new_tasks_become_a_bank(folder: Path) -> None:
    result = run(*arguments(folder), "--out-bank", folder / "new")
    assert result.exception is None, result.exception
    made = load_bank(folder / "new")
    assert [item.id for item in made.items] == [f"new{k}" for k in range(6)]
    assert all(item.predicted for item in made.items)
    assert made.name == "demo-predicted"
    result = run(*arguments(folder), "--out-bank", folder / "bank")
    assert isinstance(result.exception, PlanError)
    assert len(load_bank(folder / "bank").items) == 40
    assert run(*arguments(folder), "--out-bank", folder / "bank", "--add-to").exception is None
    assert len(load_bank(folder / "bank").items) == 46


# --- refusals ---------------------------------------------------------------------------------


def test_without_predictor_and_features_it_says_how_to_make_one(folder: Path) -> None:
    text = refused(BankError, folder / "new.csv", "--bank", folder / "bank")
    assert "--features NAME=FILE" in text
    assert "calibrate" in text


def test_features_that_have_nothing_in_common_are_refused(folder: Path) -> None:
    other = write(folder / "other.csv", [{"item": "new0", "colour": "red"}])
    text = refused(InputError, *arguments(folder, other.name))
    assert "code.size" in text
    blank = write(folder / "blank.csv", [{"item": "new0", "size": "", "depth": "NA"}])
    assert "is known of any task" in refused(InputError, *arguments(folder, blank.name))


def test_tasks_that_are_all_calibrated_are_refused(folder: Path) -> None:
    text = refused(InputError, *arguments(folder, "old.csv"))
    assert "all 40 tasks are calibrated" in text


def test_unknown_agents_levels_and_lone_flags_are_refused(folder: Path) -> None:
    assert "'agent-1'" in refused(InputError, *arguments(folder), "--agents", "agent-1x")
    assert "between 0 and 1" in refused(InputError, *arguments(folder), "--level", "90")
    assert "--out-bank" in refused(PlanError, *arguments(folder), "--add-to")


def test_a_row_that_is_missing_and_a_word_for_a_number_are_named(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "old.csv").open()))
    write(folder / "old.csv", rows[:30])
    result = run(*arguments(folder))
    assert result.exception is None, result.exception
    assert "30 of 40 items of the bank; the others have no features, such as 'old30'" in (
        result.stderr
    )
    wrong = write(folder / "wrong.csv", [{"item": "new0", "size:number": "big", "depth": 1}])
    text = refused(InputError, *arguments(folder, wrong.name))
    assert "new0" in text
    assert "big" in text


def test_a_bank_with_several_abilities_is_refused(folder: Path) -> None:
    plane = tuple(Item(f"old{k}", "2pl", (1.0, 0.5), (0.0,)) for k in range(40))
    save_bank(ItemBank("plane", plane, mean=(0, 0), sd=(1, 1)), folder / "bank")
    assert "2 abilities" in refused(InputError, *arguments(folder))


def test_ordinal_banks_speak_of_scores(folder: Path) -> None:
    bank = load_bank(folder / "bank")
    items = tuple(
        replace(
            item,
            model="grm",
            intercepts=(item.intercepts[0] + 0.8, item.intercepts[0] - 0.8),
            categories="three",
            covariance=None,
        )
        for item in bank.items
    )
    three = {"three": ("none", "half", "all")}
    save_bank(replace(bank, items=items, categories=three), folder / "bank")
    result = run(*arguments(folder), "-o", folder / "page.html")
    assert result.exception is None, result.exception
    assert "Expected scores" in result.output
    assert "Expected scores" in (folder / "page.html").read_text(encoding="utf-8")
