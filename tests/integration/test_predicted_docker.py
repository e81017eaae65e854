"""Tasks that nobody has run: predicted from their files, tested in containers, then calibrated."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.bank_files import load_bank

pytestmark = pytest.mark.docker

REPOSITORY = Path(__file__).resolve().parents[2]
NEW = ("rate-limiter", "ledger-report", "job-queue")


def cat_harness(cwd: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=cwd,
    )
    assert done.returncode in (0, 3), done.stderr
    return done


def test_from_files_to_a_session_and_from_its_answers_to_a_calibrated_item(tmp_path: Path) -> None:
    environments = REPOSITORY / "environments"
    cat_harness(tmp_path, "features", "extract", environments, "--out", "f.csv")
    shutil.copytree(REPOSITORY / "item_banks" / "coding-starter", tmp_path / "bank")
    cat_harness(tmp_path, "predict", "fit", "--bank", "bank", "--features", "f.csv")
    shutil.copytree(environments / "_shared", tmp_path / "tasks" / "_shared")
    for name in NEW:
        shutil.copytree(environments / name, tmp_path / "tasks" / f"{name}-2")
    cat_harness(tmp_path, "predict", "tasks", "tasks", "--bank", "bank", "--out-bank", "new")
    assert all(item.predicted for item in load_bank(tmp_path / "new").items)

    run = ("run", "--bank", "new", "--agent", "persona:1.0", "--seed", "1")
    done = cat_harness(tmp_path, *run, "--stop", "sd<0.8 and items>=2", "--json", "run.json")
    assert "every item of the bank is predicted" in done.stderr
    found = json.loads((tmp_path / "run.json").read_text())
    # a precision that rests on predictions alone is not to be trusted
    assert found["state"] == "doubtful"
    assert "predicted" in done.stdout
    assert done.returncode == 3

    (folder,) = (tmp_path / "runs").iterdir()
    anchored = ("--anchor", "new", "--bank", "new", "--out", "after")
    cat_harness(tmp_path, "calibrate", folder, "--model", "grm", *anchored)
    before, after = load_bank(tmp_path / "new"), load_bank(tmp_path / "after")
    moved = [i.id for i in after.items if i.intercepts != before[i.id].intercepts]
    assert len(moved) >= 2
    # one agent is no calibration
    assert all(item.predicted for item in after.items)
