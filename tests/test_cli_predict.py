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
from harness.cli.features import features as features_group
from harness.cli.predict import predict
from harness.cli.predict_fit import SPACE
from harness.environments import list_environments
from harness.errors import BankError, HarnessError, InputError, PlanError
from harness.features import (
    extract_features,
    harbor_texts,
    read_features,
    table_texts,
    write_features,
)
from harness.predict.predictor import fit_predictor, load_predictor, save_predictor

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
    scored = {one.name: len(one.categories) for one in list_environments(environments)}
    names = sorted(name for name in texts if scored[name] == 4)
    rng = np.random.default_rng(1)
    old, new = names[:-4], sorted({*texts} - {*names[:-4]})
    spread = tuple(map(tuple, (0.04 * np.eye(4)).tolist()))
    items = []
    for name in old:
        middle = float(rng.normal())
        steps = (middle + 1, middle, middle - 1)
        items.append(Item(name, "grm", (1.5,), steps, categories="four", covariance=spread))
    labels = {"four": ("none", "first", "core", "all")}
    save_bank(ItemBank("harbor", tuple(items), labels), tmp_path / "bank")
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
    # tasks that are scored in another number of categories could not be run
    assert {item.id for item in made.items} == {*names}
    odd = [name for name in new if scored[name] != 4]
    assert f"{len(odd)} of {len(new)} tasks, such as {odd[0]!r} with 3" in result.stderr
    assert made[names[-1]].predicted
    assert made.sources[made[names[-1]].source].location == str(environments)
    again = run(environments, "--bank", out)
    assert "another state" not in again.stderr
    assert again.exception is None, again.exception
    binary = tmp_path / "binary"
    plain = tuple(
        Item(n, "2pl", (1.5,), (d,)) for n, d in zip(old, rng.normal(size=len(old)), strict=True)
    )
    save_bank(ItemBank("binary", plain), binary)
    arguments = ("--features", tmp_path / "f.csv", "--out-bank", tmp_path / "none")
    assert "are not scored in the 2 that are predicted" in refused(
        InputError, environments, "--bank", binary, *arguments
    )


def fit(*arguments: object) -> Any:
    return CliRunner().invoke(predict, ["fit", *map(str, arguments)], standalone_mode=False)


def test_a_predictor_is_fitted_to_a_bank_that_is_there(folder: Path) -> None:
    table = f"code={folder / 'old.csv'}"
    done = fit("--bank", folder / "bank", "--features", table)
    assert done.exception is None, done.exception
    assert "fitted to 40 items of demo" in done.stdout
    assert "The features explain" in done.stdout
    assert "code.always is the same everywhere" in done.stderr
    wanted = fit_predictor(load_bank(folder / "bank"), read_features({"code": folder / "old.csv"}))
    found = load_predictor(folder / "bank")
    assert found.difficulty.weights == pytest.approx(wanted.difficulty.weights, abs=1e-6)
    refusal = fit("--bank", folder / "bank", "--features", table)
    assert "add --force" in str(refusal.exception)
    (folder / "else").mkdir()
    more = ("--out-dir", folder / "else", "--json")
    data = json.loads(fit("--bank", folder / "bank", "--features", table, *more).stdout)
    assert data["items"] == 40
    assert sum(data["difficulty"].values()) == pytest.approx(1)


def test_the_vectors_of_statements_go_with_the_predictor(folder: Path) -> None:
    rng = np.random.default_rng(3)
    words = ["parse", "sort", "merge", "crash", "socket", "matrix", "token", "queue"]
    bank = load_bank(folder / "bank")
    rows: list[dict[str, object]] = [
        {"item": name, "statement": " ".join(rng.choice(words, 12))}
        for name in (*(item.id for item in bank.items), "fresh")
    ]
    write(folder / "texts.csv", rows[:-1])
    write(folder / "fresh.csv", rows[-1:])
    table = folder / "words.csv"
    extract = ["extract", str(folder / "texts.csv"), "--vectors", "3", "--out", str(table)]
    assert CliRunner().invoke(features_group, extract).exit_code == 0
    assert fit("--bank", folder / "bank", "--features", table).exception is None
    assert (folder / "bank" / SPACE).is_file()
    done = run(folder / "fresh.csv", "--bank", folder / "bank", "--json")
    assert done.exception is None, done.exception
    task = json.loads(done.stdout)["tasks"][0]
    assert all(reason["known"] for reason in task["reasons"] if reason["block"] == "text")


DATA = REPOSITORY.parent / "shared" / "data" / "terminal_bench_2_majority" / "tasks.csv.gz"


def test_the_shipped_predictor_belongs_to_its_bank_and_can_be_made_again(tmp_path: Path) -> None:
    folder = REPOSITORY / "item_banks" / "terminal-bench-2"
    shipped, bank = load_predictor(folder), load_bank(folder)
    assert shipped.bank_hash == bank.hash
    if not DATA.is_file():
        pytest.skip(f"the tasks of Terminal-Bench 2 are not at {DATA}")
    again = fit_predictor(bank, extract_features(table_texts(DATA, lambda _: None)).features)
    a, b = shipped.difficulty, again.difficulty
    assert [code.column for code in a.coding.codes] == [code.column for code in b.coding.codes]
    assert a.weights == pytest.approx(b.weights, abs=2e-3)
    assert a.residual_sd == pytest.approx(b.residual_sd, abs=2e-3)


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
