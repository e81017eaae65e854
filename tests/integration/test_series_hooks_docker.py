"""The training loop of the docs, as it is written: its checkpoints are tested in Docker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_series_hooks import training_loop

from harness import journal
from harness.events import Stopped
from harness.runners.live import container_label
from harness.sandbox import engine
from harness.series import background, files, history
from harness.series.state import load_series

pytestmark = pytest.mark.docker


def test_the_loop_of_the_docs_tests_its_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(training_loop())
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    [folder] = (tmp_path / "runs" / "series").iterdir()
    log = (folder / background.LOG).read_text()
    assert done.returncode == 0, done.stderr + log
    steps = [known.step for known in files.registered(folder)]
    # all were registered before the first was tested, and one worker has seen them all
    assert len(steps) >= 3
    assert log.count("begins") == log.count("ends") == 1
    assert "Traceback" not in log
    loaded = load_series(folder)
    [bank] = loaded.banks
    works = files.works(folder)
    assert {work.step for work in works} == set(steps)
    for work in works:
        run = files.session_folder(folder, work)
        last = journal.read(run).events[-1]
        assert isinstance(last, Stopped)
        assert last.outcome == "limit"
        assert history.facts(folder, work, bank).answered == 3
        assert not engine.containers(container_label(run))
    ability = loaded.situation.course(bank.name).filtered(len(steps) - 1)
    assert f"at step {steps[-1]}: ability {ability.mean[0]:.2f}" in done.stdout
    assert "problem" not in done.stdout
