"""The command study cold-start, and that study without a name is what it was."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.special import expit

from harness.cli import cli
from harness.cli.study import study
from harness.errors import PlanError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["study", *(str(a) for a in arguments)])


def strict(text: str) -> Any:
    def refuse(constant: str) -> float:
        return float(constant.replace("Infinity", "inf"))

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cold")
    for name, seed in (("new", 1), ("old", 2)):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=30)
        able = np.repeat([-1.0, 0.0, 1.0], 5) + rng.normal(0, 0.3, 15)
        passed = rng.random((15, 30)) < expit(1.5 * (able[:, None] - x))
        rows = [
            f"{name}-a{a:02},{name}-t{i:02},{int(passed[a, i])}"
            for a in range(15)
            for i in range(30)
        ]
        (place / f"{name}.csv").write_text("\n".join(["agent,item,category", *rows]))
        lines = [f"{name}-t{i:02},{x[i]:.3f}" for i in range(30)]
        (place / f"{name}_x.csv").write_text("\n".join(["item,x", *lines]))
    about = [f"new-a{a:02},m{a // 5},s{a % 3},2025-{1 + a % 9:02}-01" for a in range(15)]
    (place / "agents.csv").write_text("\n".join(["agent,llm,scaffold,date", *about]))
    return place


def asked(folder: Path, protocol: str, *more: object) -> Result:
    features = ("--features", f"x={folder / 'new_x.csv'}")
    return run("cold-start", folder / "new.csv", "--protocol", protocol, *features, *more)


def test_a_protocol_is_printed_written_and_drawn(folder: Path) -> None:
    found = asked(
        folder, "tasks", "--json", folder / "tasks.json", "--out", folder / "page" / "tasks.html"
    )
    assert found.exit_code == 0, found.output
    assert "explained 1PL" in found.stdout
    assert "ridge on x" in found.stdout
    told = strict((folder / "tasks.json").read_text())
    assert told["protocol"] == "tasks"
    assert told["attempts"] == 450
    names = [method["name"] for method in told["methods"]]
    assert names[-1] == "oracle"
    page = (folder / "page" / "tasks.html").read_text()
    assert "New tasks: new.csv" in page
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org", "")


def test_json_alone_goes_to_stdout(folder: Path) -> None:
    found = run("cold-start", folder / "new.csv", "--protocol", "tasks", "--json")
    told = strict(found.stdout)
    assert told["main"] == "ability only"
    assert told["blocks"] == []


def test_parts_of_agents_come_from_a_table(folder: Path) -> None:
    found = asked(folder, "agents-by-date", "--agents", folder / "agents.csv", "--json")
    told = strict(found.stdout)
    assert "parts" in [method["name"] for method in told["methods"]]
    assert told["folds"] == ["from 2025-06-01"]
    undated = asked(folder, "agents-by-date")
    assert undated.exit_code == 1
    assert "has no date" in str(undated.exception)
    assert "--agents" in str(undated.exception)


def test_another_benchmark_is_predicted_from(folder: Path) -> None:
    other = ("--with", f"old={folder / 'old.csv'}")
    features = ("--with-features", f"x={folder / 'old_x.csv'}")
    found = asked(folder, "benchmark", *other, *features, "--json")
    told = strict(found.stdout)
    assert told["folds"] == ["from old"]
    assert told["main"] == "predictor"
    told = asked(
        folder, "session", *other, *features, "--select", "random", "--out", folder / "s.html"
    )
    assert told.exit_code == 0, told.output
    assert "random + mean" in told.stdout
    assert "Sessions on predicted tasks" in (folder / "s.html").read_text()
    stranger = asked(folder, "benchmark", *other)
    assert "'old' has no features" in str(stranger.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("benchmark",), "give --with NAME=RESPONSES"),
        (("tasks", "--with", "old=x.csv"), "--with is for the protocols benchmark and session"),
        (("tasks", "--select", "random"), "--select is for the protocol session"),
        (("session", "--with", "old"), "--with needs NAME=RESPONSES"),
        (("session", "--with-features", "x=y.csv"), "--with-features is for benchmarks"),
        (("session", "--select", "best"), "unknown selector 'best'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    found = asked(folder, *arguments)
    assert isinstance(found.exception, PlanError)
    assert words in str(found.exception)


def test_study_without_a_name_is_what_it_was(folder: Path) -> None:
    assert isinstance(study, click.Group)
    assert set(study.commands) == {"cold-start"}
    help_text = run("--help").stdout
    assert help_text.startswith("Usage: cli study [OPTIONS] [PLAN]")
    assert "study cold-start --help" in help_text
    assert run("cold-start", "--help").stdout.startswith("Usage: cli study cold-start [OPTIONS]")
    assert "give a plan file" in str(run().exception)
    assert run(folder / "none.yaml").exit_code == 2
    (folder / "plan.yaml").write_text("name: x\n")
    assert "entry 'responses'" in str(run(folder / "plan.yaml", "--dry-run").exception)


def test_variables_of_both_keep_their_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAT_HARNESS_STUDY_COLD_START_PROTOCOL", "session")
    monkeypatch.setenv("CAT_HARNESS_STUDY_SIZES", "2,1")
    runner = CliRunner()
    arguments = ["study", "cold-start", str(folder / "new.csv")]
    found = runner.invoke(cli, arguments, auto_envvar_prefix="CAT_HARNESS")
    assert "needs features of the tasks" in str(found.exception)
    bank = ["study", "--bank", "b", "--responses", str(folder / "new.csv")]
    found = runner.invoke(cli, bank, auto_envvar_prefix="CAT_HARNESS")
    assert "--sizes needs ascending numbers" in str(found.exception)
