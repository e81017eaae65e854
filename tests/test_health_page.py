"""The command health, from outcomes to table, page and JSON, and what bad input gets."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_report import Page

from harness.bank_files import load_bank, save_bank
from harness.calibrate import calibrate
from harness.cli.health import health as command
from harness.errors import HarnessError
from harness.health import About, assess, gather
from harness.health.flags import by_kind, names_of
from harness.plant import draw_bank, parse_defects, plant
from harness.report.health.page import render_health_page
from harness.responses import from_matrix

Rows = Sequence[Sequence[object]]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], standalone_mode=False
    )


def write(path: Path, rows: Rows, head: str = "agent,item,category") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(head.split(","))
        table.writerows(rows)
    return path


def cells(matrix: np.ndarray) -> list[list[object]]:
    return [
        [f"a{a}", f"i{i}", int(category)]
        for a, row in enumerate(matrix)
        for i, category in enumerate(row)
        if category >= 0
    ]


def rasch(agents: int, items: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ahead = rng.normal(size=(agents, 1)) - np.linspace(-1.5, 1.5, items)
    return (rng.random((agents, items)) < 1 / (1 + np.exp(-2 * ahead))).astype(int)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 agents on 24 items, of which number 7 is reversed."""
    matrix = rasch(40, 24)
    matrix[:, 7] = 1 - matrix[:, 7]
    return write(tmp_path_factory.mktemp("health") / "outcomes.csv", cells(matrix))


@pytest.fixture(scope="module")
def made(outcomes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("made")
    rows = [[f"i{i}", "<b>web" if i % 2 else "db", "2024-05"] for i in range(24)]
    items = write(folder / "items.csv", rows, "item,topic,created")
    about = [
        [f"a{a}", "claude-9" if a % 2 else "gpt-9", f"2025-{a % 12 + 1:02}"] for a in range(40)
    ]
    agents = write(folder / "agents.csv", about, "agent,llm,date")
    done = run(
        *(outcomes, "--name", "A <i>test</i>", "--items", items, "--agents", agents, "--keep", 8),
        *("--out", folder / "h.html", "--json", folder / "h.json", "--clean", folder / "clean"),
    )
    return done, folder


def test_flags_are_printed_and_everything_is_in_the_json(made: tuple[Result, Path]) -> None:
    done, folder = made
    assert done.exception is None, done.output
    assert "reversed" in done.stdout
    assert "i7" in done.stdout
    found = json.loads((folder / "h.json").read_text(encoding="utf-8"))
    assert any(f["kind"] == "reversed" and f["names"] == ["i7"] for f in found["flags"])
    assert found["agents"] == 40
    assert len(found["slopes"]["items"]) == 24
    assert isinstance(found["subset"]["subset"]["picks"], list)
    for flag in found["flags"]:
        assert flag["evidence"]
        assert flag["action"]


def test_the_page_has_every_section_and_loads_nothing(made: tuple[Result, Path]) -> None:
    _, folder = made
    text = (folder / "h.html").read_text(encoding="utf-8")
    Page(text)
    for title in (
        *("What to do", "Discrimination", "Fit of items", "Kinds of items", "Redundancy"),
        *("Never and always solved", "Gaps in difficulty", "Fairness to groups of agents"),
        *("Agents", "Dimensions", "Reliability", "A smaller benchmark", "Provenance"),
    ):
        assert f">{title}</h2>" in text, title
    assert "<script" not in text
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "https:" not in text
    assert "A &lt;i&gt;test&lt;/i&gt;" in text
    assert "<b>web" not in text


def test_the_cleaned_bank_lacks_the_reversed_item_and_says_so(made: tuple[Result, Path]) -> None:
    _, folder = made
    bank = load_bank(str(folder / "clean"))
    assert "i7" not in {item.id for item in bank.items}
    assert "i7" in (folder / "clean" / "CHANGES.md").read_text(encoding="utf-8")


def test_a_folder_that_is_there_is_not_written_over(outcomes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    done = run(outcomes, "--clean", tmp_path)
    assert isinstance(done.exception, HarnessError)
    assert "not empty" in str(done.exception)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_exit_code_can_hang_on_kinds_of_flags(outcomes: Path) -> None:
    assert run(outcomes, "--fail-on", "reversed,duplicate").return_value == 1
    assert run(outcomes, "--fail-on", "duplicate").return_value == 0


def test_the_smallest_subset_with_a_share_of_the_information(outcomes: Path) -> None:
    done = run(outcomes, "--keep", "60%", "--json", "-")
    assert done.exception is None
    subset = json.loads(done.stdout)["subset"]["subset"]
    assert subset["share"] >= 0.6
    # without the pick that adds least it would be less
    least = min(pick["share"] for pick in subset["picks"])
    assert subset["share"] - least < 0.6


def test_a_run_that_breaks_half_way_is_seen_in_the_order_of_administration(tmp_path: Path) -> None:
    matrix = rasch(40, 40, seed=2)
    able = int(matrix.sum(axis=1).argmax())
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for a in range(40):
        given = rng.permutation(40)
        score = matrix[a, given]
        if a == able:
            score[20:] = 0
        rows += [[f"a{a}", f"i{i}", int(s)] for i, s in zip(given, score, strict=True)]
    table = write(tmp_path / "t.csv", rows)
    for option, said in (((), "unknown"), (("--in-order",), "block of 20 consecutive")):
        done = run(table, *option, "--json", "-")
        assert done.exception is None
        found = json.loads(done.stdout)
        about = [f["evidence"] for f in found["flags"] if f["names"] == [f"a{able}"]]
        assert said in " ".join([*about, *found["cautions"]])
        assert any("block of" in text for text in about) == bool(option)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--fail-on", "upside down", "unknown kind 'upside down'; known: "),
        ("--keep", "many", "50, 80%, $20 or 90min, not 'many'"),
        ("--keep", "120%", "a share of at most 1"),
        ("--keep", "0", "limits above 0"),
        ("--graders", "one", "two"),
        ("--keep", "$5", "needs to know what tasks cost"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    outcomes: Path, option: str, value: str, message: str
) -> None:
    done = run(outcomes, option, value)
    assert isinstance(done.exception, HarnessError), done.output
    assert message in str(done.exception)


def test_a_given_bank_is_looked_at_as_it_is(outcomes: Path, tmp_path: Path) -> None:
    matrix = rasch(60, 24, seed=5)
    bank = calibrate(
        from_matrix(matrix, items=[f"i{i}" for i in range(24)]), "2pl", name="given"
    ).bank
    save_bank(bank, tmp_path / "bank")
    done = run(outcomes, "--bank", tmp_path / "bank", "--json", "-")
    assert done.exception is None
    found = json.loads(done.stdout)
    assert found["bank"].startswith("given, hash ")
    assert any(f["kind"] == "reversed" and f["names"] == ["i7"] for f in found["flags"])


# --- what outcomes can be like ----------------------------------------------------------------


def with_one_answer() -> Rows:
    return [*cells(rasch(12, 10)), ["lonely", "i0", 1]]


def with_duplicates() -> Rows:
    rows = cells(rasch(12, 10))
    return [*rows, rows[0], [rows[1][0], rows[1][1], 1 - int(str(rows[1][2]))]]


def with_holes() -> Rows:
    """Categories 0, 2 and 5 only."""
    return [
        [a, i, 5 if int(str(c)) else 2 * (hash((a, i)) % 2)] for a, i, c in cells(rasch(12, 10))
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (with_one_answer(), "1 agent ('lonely') with fewer than 3 answers"),
        (with_duplicates(), "1 cell with rows that contradict each other"),
        (with_holes(), "categor"),
        (cells(rasch(3, 12)), "3 agents"),
        (cells(np.ones((8, 6), int)), "same for every agent"),
        (cells(np.zeros((2, 3), int)), "2 agents"),
    ],
    ids=["one answer", "duplicate rows", "holes", "3 agents", "constant", "least"],
)
def test_odd_outcomes_are_named_and_the_rest_is_reported(
    rows: Rows, said: str, tmp_path: Path
) -> None:
    done = run(write(tmp_path / "t.csv", rows), "--out", tmp_path / "h.html")
    assert done.exception is None, done.exception
    assert said in done.stdout
    page = (tmp_path / "h.html").read_text(encoding="utf-8")
    assert ">What to do</h2>" in page


def test_items_of_a_bank_that_nobody_tried_are_named(tmp_path: Path) -> None:
    bank = calibrate(
        from_matrix(rasch(30, 12), items=[f"i{i}" for i in range(12)]), "2pl", name="b"
    ).bank
    save_bank(bank, tmp_path / "bank")
    rows = [row for row in cells(rasch(15, 12, 1)) if row[1] != "i3"]
    done = run(write(tmp_path / "t.csv", rows), "--bank", tmp_path / "bank")
    assert done.exception is None, done.exception
    assert "1 item ('i3') nobody tried: left out" in done.stdout


@pytest.mark.parametrize("agents", [2, 3, 5, 15, 20])
def test_few_agents_raise_no_flags_on_clean_outcomes(agents: int) -> None:
    drawn = plant(draw_bank(40, seed=agents), (), agents=agents, seed=agents)
    found = assess(gather(drawn.responses))
    facts = ("never solved", "always solved", "ceiling", "floor", "unreliable")
    assert [flag for flag in found.flags if flag.kind not in facts] == []
    assert len(found.cautions) >= 3


def test_planted_defects_are_on_the_page() -> None:
    drawn = plant(
        draw_bank(100, seed=1), parse_defects("reversed=2, duplicates=1, sandbag=1"), seed=1
    )
    evidence = gather(drawn.responses, about=About({}, drawn.tags))
    health = assess(evidence)
    kinds = by_kind(health.flags)
    for planted in drawn.planted:
        if planted.defect == "reversed":
            assert planted.name in names_of(kinds["reversed"])
        if planted.defect == "sandbag":
            assert planted.name in names_of(kinds["underperforms on easy items"])
    page = render_health_page(health, evidence)
    for kind in kinds:
        assert kind in page


def test_the_same_outcomes_and_seed_give_the_same_page() -> None:
    evidence = gather(from_matrix(rasch(20, 12)))
    assert render_health_page(assess(evidence), evidence) == render_health_page(
        assess(evidence), evidence
    )
