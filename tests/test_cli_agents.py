"""The commands about parts of agents: suggest, apply, rank, predict agents, and run with them."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.bank_files import load_bank, save_bank
from harness.calibrate import calibrate
from harness.cli import cli
from harness.cli.agents import agents
from harness.cli.predict_agents import predict_agents
from harness.errors import HarnessError
from harness.responses import Responses, from_matrix

MODELS = {"claude-opus-4": 1.0, "gpt-5": 0.5, "gemini-2.5-pro": 0.0, "qwen3-coder": -1.0}
SCAFFOLDS = {"goose": 0.4, "openhands": 0.0, "mini-swe-agent": -0.4}


def outcomes() -> Responses:
    """Every model in every scaffold twice, named as leaderboards do."""
    rng = np.random.default_rng(0)
    names, ability = [], []
    for month, (llm, m) in enumerate(MODELS.items(), start=1):
        for scaffold, s in SCAFFOLDS.items():
            for day in (1, 2):
                names.append(f"2025{month:02d}{day:02d}_{scaffold}_{llm}")
                ability.append(m + s + 0.1 * rng.standard_normal())
    difficulty = np.linspace(-2, 2, 24)
    chance = 1 / (1 + np.exp(-1.5 * (np.array(ability)[:, None] - difficulty)))
    return from_matrix((rng.random(chance.shape) < chance).astype(int), agents=names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outcomes without parts, and a bank of them."""
    here = tmp_path_factory.mktemp("agents")
    found = outcomes()
    with (here / "outcomes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["agent", "item", "category"])
        for a, i, c in zip(found.agent, found.item, found.category, strict=True):
            table.writerow([found.agents[a], found.items[i], c])
    save_bank(calibrate(found, "1pl", name="bare").bank, here / "bare")
    return here


def invoke(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def done(command: Any, *arguments: object) -> Result:
    result = invoke(command, *arguments)
    assert result.exception is None, result.exception
    return result


def refused(command: Any, *arguments: object) -> str:
    result = invoke(command, *arguments)
    assert isinstance(result.exception, HarnessError), result.exception
    assert result.exception.exit_code == 2
    return str(result.exception)


@pytest.fixture(scope="module")
def reviewed(folder: Path) -> Path:
    """A suggestion that somebody has confirmed."""
    table = folder / "agents.csv"
    done(agents, "suggest", folder / "outcomes.csv", "--out", table)
    assert "nobody has confirmed" in refused(
        agents, "rank", "--bank", folder / "bare", "--agents", table
    )
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["use"] for row in rows} == {"?"}
    assert {row["scaffold"].lower() for row in rows} == set(SCAFFOLDS)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "use": "yes"} for row in rows)
    return table


@pytest.fixture(scope="module")
def told(folder: Path, reviewed: Path) -> Path:
    """A bank whose calibrating agents have parts."""
    bank = folder / "told"
    save_bank(load_bank(folder / "bare"), bank)
    done(agents, "apply", reviewed, "--bank", bank)
    assert load_bank(bank).hash == load_bank(folder / "bare").hash
    return bank


def test_a_suggestion_is_not_written_over(folder: Path, reviewed: Path) -> None:
    text = reviewed.read_text()
    assert "exists" in refused(agents, "suggest", folder / "outcomes.csv", "--out", reviewed)
    assert reviewed.read_text() == text
    assert "there are no agents" in refused(agents, "suggest", "--out", folder / "new.csv")


def test_agents_of_a_bank_get_suggestions_too(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    result = done(agents, "suggest", "--bank", folder / "bare", "--out", table, "--json")
    rows = json.loads(result.stdout)
    assert len(rows) == 24
    assert rows[0]["parts"]["date"] == "2025-01-01"


def test_calibrate_reads_parts_from_a_table(folder: Path, reviewed: Path, tmp_path: Path) -> None:
    calibrated = cli.commands["calibrate"]
    done(
        calibrated,
        *(folder / "outcomes.csv", "--model", "1pl", "--agents", reviewed),
        *("--out", tmp_path / "bank", "--name", "bare"),
    )
    found = load_bank(tmp_path / "bank")
    assert {c.scaffold.lower() for c in found.calibrants} == set(SCAFFOLDS)
    assert {c.date[:4] for c in found.calibrants} == {"2025"}
    assert found.hash == load_bank(folder / "bare").hash


def test_rankings_say_who_is_best_and_why(told: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    target = tmp_path / "rank.json"
    result = done(agents, "rank", "--bank", told, "-o", page, "--json", target)
    assert result.return_value == 0
    found = json.loads(target.read_text())
    models, scaffolds = found["rankings"]
    assert [e["name"].lower() for e in models["effects"]][-1] == "qwen3-coder"
    assert [e["name"].lower() for e in scaffolds["effects"]] == list(SCAFFOLDS)
    assert {e["partners"] for e in models["effects"]} == {3}
    assert "Share of the variance of ability among 24 agents" in result.stdout
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert "qwen3-coder" in text
    assert "http" not in text.split("</style>")[1].replace("http://www.w3.org", "")


def test_rank_on_other_outcomes(told: Path, folder: Path, reviewed: Path) -> None:
    result = done(
        agents,
        *("rank", "--bank", told, "--by", "scaffold", "--json"),
        *("--responses", folder / "outcomes.csv", "--agents", reviewed),
    )
    (ranking,) = json.loads(result.stdout)["rankings"]
    assert [e["name"].lower() for e in ranking["effects"]] == list(SCAFFOLDS)


def test_banks_without_parts_or_with_one_scaffold_are_refused(
    told: Path, folder: Path, tmp_path: Path
) -> None:
    message = refused(agents, "rank", "--bank", folder / "bare")
    assert "of 0 calibrating agents, and 10 are needed" in message
    assert "agents suggest" in message
    bank = load_bank(told)
    single = replace(
        bank,
        calibrants=tuple(
            replace(c, llm=f"m{n}", scaffold="s") for n, c in enumerate(bank.calibrants)
        ),
    )
    save_bank(single, tmp_path / "single")
    result = done(agents, "rank", "--bank", tmp_path / "single")
    assert result.return_value == 3
    assert result.stdout.count("Not ranked: every") == 2


def test_predictions_of_agents(told: Path) -> None:
    result = done(
        predict_agents,
        *("--bank", told, "--llm", "Claude Opus 4", "--llm", "o9", "--scaffold", "goose"),
        *("--date", "2025-03", "--json"),
    )
    first, second = json.loads(result.stdout)["agents"]
    assert first["llm"] == "Claude Opus 4"
    assert first["ability"] > second["ability"]
    assert first["sd"] < second["sd"]
    assert "counted as a new model" in " ".join(second["rests_on"])
    shown = done(predict_agents, "--bank", told, "--llm", "Claude Opus 4").stdout
    assert "Claude Opus 4 in any scaffold" in shown
    assert done(predict_agents, "--bank", told, "--date", "2025-05").exception is None
    assert (
        json.loads(done(predict_agents, "--bank", told, "--pairs", "--json").stdout)["agents"] == []
    )
    for wrong in ((), ("--pairs", "--llm", "x")):
        assert "say which agents" in refused(predict_agents, "--bank", told, *wrong)


def test_run_says_what_its_prior_rests_on(told: Path) -> None:
    options = ("--bank", told, "--llm", "claude opus 4", "--scaffold", "gose", "--date", "2025-02")
    result = invoke(cli.commands["run"], *options, "--dry-run")
    assert "prior: model 'Claude Opus 4' is that of 6 calibrating agents" in result.stderr
    assert "did you mean 'Goose'?" in result.stderr
    message = refused(cli.commands["run"], "--bank", told, "--prior", "parts", "--dry-run")
    assert "needs the model, scaffold or date" in message


def test_replay_takes_the_prior_of_each_agent_from_the_others(
    told: Path, folder: Path, reviewed: Path
) -> None:
    common = ("--bank", told, "-r", folder / "outcomes.csv", "--stop", "items>=3", "--json")
    replay = cli.commands["replay"]
    plain = json.loads(done(replay, *common, "--prior", "0,1").stdout)
    parts = json.loads(done(replay, *common, "--prior", "parts", "--agents", reviewed).stdout)
    assert parts != plain
    assert "--agents" in refused(
        replay, *common[:-1], "--prior", "parts", "--bank", folder / "bare"
    )
