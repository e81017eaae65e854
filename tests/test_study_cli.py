"""The command study, from outcomes to page, JSON and table."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from test_report import Page
from test_study import simulated

from harness.bank_files import save_bank
from harness.calibrate import calibrate
from harness.cli.study import study as command
from harness.errors import HarnessError
from harness.report.study_page import render_study_page
from harness.responses import Responses
from harness.study import Study, StudyPlan, measure_study, parse_study, run_study
from harness.study.plan_file import SplitEntry


def write_table(responses: Responses, path: Path, agents: list[str] | None = None) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["agent", "llm", "date", "item", "trial", "score", "cost_usd"])
        names = agents or list(responses.agents)
        for a, i, t, c in zip(
            responses.agent, responses.item, responses.trial, responses.category, strict=True
        ):
            about = (names[a], responses.llm[a], responses.date[a])
            table.writerow([*about, responses.items[i], t, c, 0.5 + i / 10])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outcomes, a bank of half of their agents, and a plan file."""
    here = tmp_path_factory.mktemp("study")
    responses = simulated(23, agents=26, items=16, trials=2)
    write_table(responses, here / "outcomes.csv")
    known = responses.subset(agents=responses.agents[::2])
    save_bank(calibrate(known, "2pl", name="half").bank, here / "bank")
    plan = {
        "name": "A <small> study",
        "responses": "outcomes.csv",
        "model": "2pl",
        "split": {"by": "date", "seeds": 2},
        "plans": [{"stop": "sd<0.6"}, {"per": "usd", "name": "cheap"}],
        "sizes": [3, 6],
        "cut": 0.5,
        "resamples": 100,
    }
    (here / "plan.yaml").write_text(yaml.safe_dump(plan))
    return here


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])


def refused(*arguments: object) -> str:
    """The message of a refusal, which the program prints before it exits with 2."""
    result = run(*arguments)
    assert isinstance(result.exception, HarnessError), result
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_a_study_from_end_to_end(folder: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "made" / "study.html", tmp_path / "study.json"
    result = run(folder / "plan.yaml", "--out", page, "--json", out)
    assert result.exit_code == 0, result.exception
    for text in (
        "max-information",
        "cheap",
        "random + IRT",
        "3 items",
        "6 items",
        "Coverage of 90%",
    ):
        assert text in result.stdout
    found = json.loads(out.read_text())
    assert found["verdict"][0] in " ".join(result.stdout.split())
    assert [plan["name"] for plan in found["plans"]] == [
        *("max-information", "cheap", "random + mean", "random + IRT", "window"),
    ]
    assert found["by"] == "date"
    assert found["units"] == ["items", "usd"]
    assert len(found["tested"]) == 8
    mae = found["plans"][0]["points"][0]["score"]["mae"]
    assert 0 < mae["low"] <= mae["value"] <= mae["high"] < 0.5
    assert len(found["plans"][0]["curve"]["mae"]) >= 6
    read = Page(page.read_text(encoding="utf-8"))
    for sentence in found["verdict"]:
        assert sentence.replace(" -", " −").replace("[-", "[−") in " ".join(read.text.split())
    assert "A <small> study" in read.text
    assert f"{100 * mae['value']:.1f}" in read.text


def test_the_short_form(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "study.json"
    result = run(
        *("--bank", folder / "bank", "--responses", folder / "outcomes.csv"),
        *("--select", "random", "--select", "min-variance", "--sizes", "2,4", "--seeds", "2"),
        *("--json", out),
    )
    assert result.exit_code == 0, result.exception
    found = json.loads(out.read_text())
    assert [plan["name"] for plan in found["plans"]][:2] == ["random", "min-variance"]
    assert (found["sizes"], found["seeds"], found["bank"]) == ([2, 4], 2, "half")
    assert len(found["tested"]) == 26
    assert any(
        text.startswith("13 of 26 agents under test calibrated") for text in found["warnings"]
    )


def test_json_to_stdout_is_only_that(folder: Path) -> None:
    result = run("-b", folder / "bank", "-r", folder / "outcomes.csv", "--sizes", "2", "--json")
    assert json.loads(result.stdout)["sizes"] == [2]


def test_a_dry_run_says_what_would_be_run(folder: Path, tmp_path: Path) -> None:
    result = run(folder / "plan.yaml", "--dry-run", "--out", tmp_path / "none.html")
    assert result.exit_code == 0, result.exception
    words = " ".join(result.stdout.split())
    assert "1 calibration of 2pl, about" in words
    assert "32 sessions of 2 plans, each of up to 6 items" in words
    assert "in one process" in words
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plans": [{"select": "best"}]}, r"entry 'plans[1].select': unknown selector 'best'"),
        ({"responses": "other.csv"}, "entry 'responses': there is no"),
        ({"split": {"by": "family"}, "model": "5pl"}, "entry 'model': '5pl' is none of"),
        ({"bank": "none", "model": None, "split": {"by": "none"}}, "none"),
    ],
)
def test_bad_input_is_named(folder: Path, change: dict[str, Any], message: str) -> None:
    values = yaml.safe_load((folder / "plan.yaml").read_text()) | change
    file = folder / "bad.yaml"
    file.write_text(yaml.safe_dump(values))
    assert message in refused(file)


def test_options_that_do_not_fit(folder: Path) -> None:
    assert "give a plan file, or both --bank and" in refused("--bank", folder / "bank")
    assert "leave out --bank" in refused(folder / "plan.yaml", "--select", "random")
    assert "--sizes needs ascending numbers" in refused(folder / "plan.yaml", "--sizes", "6,3")
    assert "cannot be written" in refused(
        folder / "plan.yaml", "--out", folder / "plan.yaml" / "x.html"
    )
    assert run(folder / "no.yaml").exit_code == 2


def test_an_interrupt_ends_it_with_all_its_processes(folder: Path) -> None:
    values = yaml.safe_load((folder / "plan.yaml").read_text())
    values["split"] = {"by": "random", "seeds": 400}
    (folder / "long.yaml").write_text(yaml.safe_dump(values))
    code = "import sys; from harness.cli import cli, main; from harness.cli.study import study; "
    code += "cli.add_command(study); main()"
    arguments = [sys.executable, "-c", code, "study", str(folder / "long.yaml"), "--jobs", "2"]
    process = subprocess.Popen(
        arguments,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        # a shell starts what runs in the background deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while len(children(process.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        started = children(process.pid)
        assert len(started) >= 3  # two workers, and what multiprocessing keeps beside them
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"Traceback" not in said
        deadline = time.monotonic() + 10
        while any(map(alive, started)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [child for child in started if alive(child)]
    finally:
        process.kill()
        process.wait()


def children(parent: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@cache
def small_study() -> Study:
    values = {
        "name": "words",
        "responses": "r",
        "model": "2pl",
        "split": {"by": "date", "seeds": 1},
        "plans": [{}],
        "baselines": [],
        "sizes": [3],
        "resamples": 100,
    }
    return run_study(parse_study(values, "p"), simulated(22, agents=20, items=8))


def page_with(text: str) -> str:
    """A page on which everything that others may write is ``text``."""
    study = small_study()
    (tested,) = study.tested
    agents = tuple(f"{text}{a}" for a in range(20))
    changed = replace(
        study,
        plan=study.plan.model_copy(update={"name": text}),
        responses=replace(study.responses, agents=agents, source=text),
        tested=(replace(tested, method=replace(tested.method, name=text)),),
    )
    return render_study_page(measure_study(changed))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</style></main><img src=x onerror=alert(1)>",
        "\"' onmouseover='alert(1)",
        "{{ found }}{% raw %}",
        "\x1b]8;;http://x\x07\u202e\x00",
        "$x^$ [bold] \\n",
    ],
)
def test_text_of_others_adds_no_element(text: str) -> None:
    page = page_with(text)
    page.encode()
    assert Page(page).tags == Page(page_with("words")).tags
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in page)


def test_verified_tasks_of_real_agents(shared_data: Path, tmp_path: Path) -> None:
    """A small part of real outcomes: the bank needs far fewer items than chance."""
    file = shared_data / "swebench_verified" / "responses.csv.gz"
    if not file.exists():
        pytest.skip(f"there is no {file}; the folder of real outcomes lacks this data set")
    kept = tmp_path / "outcomes.csv"
    with gzip.open(file, "rt", encoding="utf-8") as source, kept.open("w") as target:
        rows = csv.reader(source)
        head = next(rows)
        item = head.index("item")
        table = csv.writer(target)
        table.writerow(head)
        some: dict[str, int] = {}
        table.writerows(row for row in rows if some.setdefault(row[item], len(some)) % 8 == 0)
    plan = {
        "name": "an eighth",
        "responses": "outcomes.csv",
        "model": "1pl",
        "split": {"by": "date", "seeds": 1},
        "plans": [{}],
        "sizes": [5, 10, 20],
        "resamples": 200,
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    result = run(tmp_path / "plan.yaml", "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.exception
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["tested"]) == 30
    ours, plain = found["plans"][0], found["plans"][1]
    assert plain["name"] == "random + mean"
    assert ours["error"]["value"] < 0.7 * plain["error"]["value"]
    assert np.all([ours["points"][0]["score"]["spearman"]["value"] > 0.4])


def test_the_plan_file_of_the_manual_is_one() -> None:
    manual = Path(__file__).parent.parent / "docs" / "studies" / "README.md"
    (block,) = re.findall(r"```yaml\n(.*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    plan = parse_study(yaml.safe_load(block), "the manual")
    assert plan.plans[0].title == "default"
    named = set(re.findall(r"^\| `([\w.]+)` \|", manual.read_text(encoding="utf-8"), re.MULTILINE))
    entries = {name for name in StudyPlan.model_fields if name != "split"}
    assert named == entries | {f"split.{name}" for name in SplitEntry.model_fields}
