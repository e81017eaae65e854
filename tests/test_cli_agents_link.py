"""The command ``agents link``."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.bank_files import load_bank
from harness.cli.agents_link import link
from harness.errors import PlanError

SHARED = 10


def _write(path: Path, seed: int, name: str, shared: int, llm: bool = True) -> Path:
    models = np.random.default_rng(9).standard_normal(SHARED + 4)
    rng = np.random.default_rng(seed)
    difficulty = np.linspace(-2, 2, 40)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["agent", "llm", "scaffold", "date", "item", "category"])
        for m in range(SHARED + 4):
            model = f"Model {m}" if m < shared else f"{name} {m}"
            for scaffold in "xy":
                theta = models[m] + 0.1 * rng.standard_normal()
                passed = rng.random(40) < 1 / (1 + np.exp(1.7 * (difficulty - theta)))
                agent = f"{name}-{m}-{scaffold}"
                for i, yes in enumerate(passed):
                    about = (model, scaffold, "2026-01") if llm else ("", "", "")
                    rows.writerow([agent, *about, f"{name}{i}", int(yes)])
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    return (
        _write(folder / "a.csv", 1, "a", SHARED),
        _write(folder / "b.csv", 2, "b", SHARED, llm=False),
    )


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of the second table, in another spelling."""
    path = tmp_path_factory.mktemp("agents") / "agents.csv"
    rows = [
        f"b-{m}-{s},{f'model-{m}' if m < SHARED else f'b{m}'},{s.upper()}"
        for m in range(SHARED + 4)
        for s in "xy"
    ]
    path.write_text("agent,llm,scaffold\n" + "\n".join(rows) + "\n")
    return path


def _run(*args: object) -> Result:
    return CliRunner().invoke(link, [str(arg) for arg in args], standalone_mode=False)


def test_links_and_writes_banks_page_and_json(
    tables: tuple[Path, Path], agents: Path, tmp_path: Path
) -> None:
    a, b = tables
    page, banks, facts = tmp_path / "p.html", tmp_path / "banks", tmp_path / "f.json"
    args = (f"a={a}", f"b={b}", "--agents", f"b={agents}", "-o", page, "--out-dir", banks)
    done = _run(*args, "--bound", "9", "--json", facts)
    assert done.exception is None, done.output
    assert done.return_value == 0
    found = json.loads(facts.read_text())
    assert len(found["shared"][0]["models"]) == SHARED
    assert found["shared"][0]["scaffolds"] == ["x", "y"]
    assert "b is linked to a with a linking error" in done.output
    text = page.read_text()
    assert "on one scale" in text
    assert "Model 3" in text
    assert "<svg" in text
    moved = load_bank(banks / "b")
    assert moved.provenance["link"]["onto"] == "a"
    assert moved.provenance["link"]["slope"] == found["lines"][0]["link"]["slope"]
    assert load_bank(banks / "a").name == "a"
    with pytest.raises(PlanError, match="a bank in"):
        raise _run(*args).exception or AssertionError


def test_without_models_it_is_refused_with_code_3(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = tables
    banks, page = tmp_path / "banks", tmp_path / "p.html"
    done = _run(f"a={a}", f"b={b}", "--out-dir", banks, "-o", page)
    assert done.return_value == 3
    assert "share nobody" in done.output
    assert "--agents NAME=FILE" in done.output
    assert not banks.exists()
    assert "share nobody" in page.read_text()
    as_json = _run(f"a={a}", f"b={b}", "--json")
    assert as_json.return_value == 3
    assert json.loads(as_json.stdout)["apart"] == ["b"]


def test_a_barely_linked_bank_is_not_written(
    tables: tuple[Path, Path], agents: Path, tmp_path: Path
) -> None:
    a, b = tables
    banks = tmp_path / "banks"
    done = _run(
        *(f"a={a}", f"b={b}", "--agents", f"b={agents}", "--out-dir", banks, "--bound", "0.001")
    )
    assert done.return_value == 0
    assert "barely linked" in done.output
    assert (banks / "a" / "bank.yaml").exists()
    assert not (banks / "b").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("a",), "NAME=RESPONSES is needed"),
        (("a={a}",), "at least two benchmarks"),
        (("a={a}", "a={b}"), "two of the name 'a'"),
        (("a={a}", "b={b}", "--agents", "c={a}"), "no benchmark has the name 'c'"),
        (("a={a}", "../b={b}", "--out-dir", "x"), "cannot be the name of a folder"),
    ],
)
def test_mistakes_are_named(tables: tuple[Path, Path], args: tuple[str, ...], words: str) -> None:
    done = _run(*(arg.format(a=tables[0], b=tables[1]) for arg in args))
    assert isinstance(done.exception, PlanError)
    assert words in str(done.exception)
