"""The command ``calibrate``, as typed: tables beside the outcomes, anchors, bad input."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import Call, call

from harness.bank_files import load_bank

__all__ = ["call"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty agents, twelve items; dates, models and a numeric score."""
    rng = np.random.default_rng(0)
    ability = np.linspace(-2, 2, 40)
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["agent", "item", "score", "llm", "date", "share"])
        for a, theta in enumerate(ability):
            for i in range(12):
                chance = 1 / (1 + np.exp(-1.5 * (theta - (i - 6) / 3)))
                solved = int(rng.random() < chance)
                share = round(float(np.clip(chance + 0.2 * rng.standard_normal(), 0, 1)), 2)
                date = f"20{24 + a // 20}-0{1 + a % 9}-01"
                writer.writerow([f"a{a}", f"i{i}", solved, f"m{a % 2}", date, share])
    return path


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_bank_says_how_it_was_made(call: Call, outcomes: Path, tmp_path: Path) -> None:
    done = call("calibrate", outcomes, "--model", "2pl", "--out", tmp_path / "b", "--json")
    facts = json.loads(done.out)
    assert (done.code, facts["items"], facts["agents"], facts["converged"]) == (0, 12, 40, True)
    about = load_bank(tmp_path / "b").provenance
    short = Path(*outcomes.parts[-2:])
    assert about["command"].startswith(f"cat-harness calibrate {short} --model 2pl")
    assert about["fit"]["converged"] is True
    assert call("bank", "check", tmp_path / "b").code == 0
    again = call("calibrate", outcomes, "--model", "2pl", "--out", tmp_path / "b")
    assert again.code == 2
    assert "add --force" in again.err


def test_groups_and_covariates(call: Call, outcomes: Path, tmp_path: Path) -> None:
    done = call(
        *("calibrate", outcomes, "--model", "1pl", "--out", tmp_path / "b"),
        *("--groups", "llm", "--covariate", "date"),
    )
    assert done.code == 0
    assert "mean date in years: " in done.out
    assert "log sd m1: " in done.out
    table = write(tmp_path / "groups.csv", "agent,group", "a0,x", "a1,y")
    done = call(
        *("calibrate", outcomes, "--model", "1pl", "--out", tmp_path / "c", "--groups", table)
    )
    assert done.code == 2
    assert "agent 'a2' is missing" in done.words
    table = write(tmp_path / "size.csv", "agent,size", *(f"a{k},{k}" for k in range(39)), "a39,big")
    done = call(
        *("calibrate", outcomes, "--model", "1pl", "--out", tmp_path / "c", "--covariate", table)
    )
    assert done.code == 2
    assert "agent 'a39' has 'big', which is not a number" in done.words


def test_models_and_loadings_by_item(call: Call, outcomes: Path, tmp_path: Path) -> None:
    models = write(tmp_path / "models.csv", "item,model", "i0,1pl", "i1,3pl")
    loads = write(
        tmp_path / "loads.csv",
        "item,a1,a2",
        *(f"i{k},{int(k < 6)},{int(k > 5)}" for k in range(12)),
    )
    done = call(
        *("calibrate", outcomes, "--model", "2pl", "--models", models, "--abilities", loads),
        *("--out", tmp_path / "b"),
    )
    assert done.code == 0
    bank = load_bank(tmp_path / "b")
    assert [item.model for item in bank.items[:3]] == ["1pl", "3pl", "2pl"]
    assert all((item.slopes[0] == 0) == (k > 5) for k, item in enumerate(bank.items))
    assert bank.correlation[0][1] > 0.3
    models = write(tmp_path / "models.csv", "item,model", "i0,5pl")
    done = call("calibrate", outcomes, "--models", models, "--out", tmp_path / "c")
    assert done.code == 2
    assert "line 2: unknown model '5pl'" in done.words


def test_categories_from_a_ladder(call: Call, outcomes: Path, tmp_path: Path) -> None:
    done = call(
        *("calibrate", outcomes, "--model", "gpcm", "--score", "share>=0.3 then share>=0.7"),
        *("--out", tmp_path / "b"),
    )
    assert done.code == 0
    assert {len(item.intercepts) for item in load_bank(tmp_path / "b").items} == {2}


def test_fixed_priors(call: Call, outcomes: Path, tmp_path: Path) -> None:
    priors = ("--prior", "log_a=0,0.5", "--prior", "d=0,3")
    done = call("calibrate", outcomes, "--model", "2pl", *priors, "--out", tmp_path / "b")
    assert done.code == 0
    assert load_bank(tmp_path / "b").provenance["priors"] == "given"
    for wrong, said in (("d=0", "needs NAME=MEAN,SD"), ("slope=0,1", "the name is one of")):
        done = call(
            *("calibrate", outcomes, "--model", "2pl", "--prior", wrong, "--out", tmp_path / "c")
        )
        assert done.code == 2
        assert said in done.words


def test_anchors(call: Call, outcomes: Path, tmp_path: Path) -> None:
    old = ("--before", "2025-01-01")
    assert call("calibrate", outcomes, "--model", "2pl", *old, "--out", tmp_path / "a").code == 0
    done = call(
        *("calibrate", outcomes, "--model", "2pl", "--anchor", tmp_path / "a"),
        *("--out", tmp_path / "b", "--json", tmp_path / "facts.json"),
    )
    assert done.code == 0
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert {one["item"] for one in facts["drift"]} == {f"i{k}" for k in range(12)}
    bank = load_bank(tmp_path / "b")
    assert bank.provenance["anchored_on"]["hash"] == load_bank(tmp_path / "a").hash
    assert bank.provenance["before"]["agents"] == 20


def test_what_is_missing_is_said(call: Call, outcomes: Path, tmp_path: Path) -> None:
    done = call("calibrate", outcomes, "--out", tmp_path / "b")
    assert done.code == 2
    assert "--model 2pl, for instance" in done.words
    done = call(
        "calibrate", outcomes, "--model", "2pl", "--abilities", "few", "--out", tmp_path / "b"
    )
    assert done.code == 2
    assert "a number or a table of loadings" in done.words
    done = call("calibrate", outcomes, "--model", "2pl", "--dispersion", "--out", tmp_path / "b")
    assert done.code == 2
    assert "no cell has several trials" in done.words
    done = call(
        *("calibrate", outcomes, "--model", "2pl", "--sampler", "--groups", "llm"),
        *("--out", tmp_path / "b"),
    )
    assert done.code == 2
    assert "--sampler is for one ability and one population" in done.words
    few = write(tmp_path / "few.csv", "agent,item,score", "x,i0,1", "y,i1,0", "y,i2,1", "z,i2,1")
    done = call("calibrate", few, "--model", "2pl", "--out", tmp_path / "b")
    assert done.code == 2
    assert "no common scale" in done.words
    assert not (tmp_path / "b").exists()
