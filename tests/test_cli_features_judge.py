"""The command ``features judge`` by scripted answers, and the texts of Inspect's samples."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from click.testing import CliRunner, Result
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.model._model_info import clear_model_info_cache

from harness.cli import features_judge
from harness.cli.features_judge import judge
from harness.errors import HarnessError
from harness.features.tables import read_features
from harness.features.task_text import level_of
from harness.runners.rate_table import block_name
from harness.runners.rubric import attributes
from harness.runners.sample_texts import sample_texts, texts_of
from harness.shipped import shipped

NAMES = [a.name for a in attributes("statement")]
GOOD = json.dumps({"analysis": "", **{name: 1 + n % 5 for n, name in enumerate(NAMES)}})
LATE = json.dumps({"analysis": "", **{name: 1 + (n + 1) % 5 for n, name in enumerate(NAMES)}})

Reply = Callable[[str, Any], str]


def good(prompt: str, config: Any) -> str:
    return GOOD


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    yield
    clear_model_info_cache()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.csv"
    path.write_text("item,statement,solution_lines\na,Sort it.,3\nb,Mend it.,4\nc,Do it.,5\n")
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    rest = "input_cache_write: 0, input_cache_read: 0"
    path.write_text(f"mockllm/judge: {{input: 100, output: 1000, {rest}}}\n")
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Result, list[str]]]:
    def run(*args: object, reply: Reply = good) -> tuple[Result, list[str]]:
        prompts: list[str] = []

        def output(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
            prompts.append(messages[-1].text)
            output = ModelOutput.from_content("mockllm/judge", reply(messages[-1].text, config))
            output.usage = ModelUsage(input_tokens=1000, output_tokens=100, total_tokens=1100)
            return output

        model = get_model("mockllm/judge", custom_outputs=output)
        monkeypatch.setattr(features_judge, "_made", lambda name, args: model)
        options = ["-m", "mockllm/judge", *map(str, args)]
        return CliRunner().invoke(judge, options, standalone_mode=False), prompts

    return run


Run = Callable[..., tuple[Result, list[str]]]


def error_of(result: Result) -> HarnessError:
    assert isinstance(result.exception, HarnessError), result.output
    return result.exception


def test_a_table_is_judged_and_read_back(table: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "judged.csv"
    result, prompts = run(table, "--out", out)
    assert result.return_value == 0
    assert len(prompts) == 3
    features = read_features({"mine": out})
    assert features.names == ("a", "b", "c")
    assert features.blocks == ("judged_statement",)
    assert [column.name for column in features.columns] == NAMES
    assert {column.kind for column in features.columns} == {"number"}
    assert features.cells[0] == tuple(float(1 + n % 5) for n in range(len(NAMES)))
    assert "3 requests: 3,000 tokens in, 300 out" in result.stdout
    assert "0 of 3 answers are kept" in result.stderr
    again, prompts = run(table, "--out", out)
    assert not prompts
    assert "all answers are kept" in again.stderr


@pytest.mark.parametrize("level", ["statement", "repository", "tests", "solution"])
def test_the_name_of_the_block_tells_the_level(level: Any) -> None:
    assert level_of(block_name(level)) == level


def test_a_dry_run_asks_nothing(table: Path, prices: Path, run: Run) -> None:
    result, prompts = run(table, "--dry-run")
    assert (result.return_value, prompts) == (0, [])
    assert "dollars not known" in result.stdout
    result, _ = run(table, "--dry-run", "--model-cost-config", prices)
    assert "; about $" in result.stdout
    result, _ = run(table, "--dry-run", "--json")
    facts = json.loads(result.stdout)
    assert facts["expected"]["asks"] == 3
    assert (facts["level"], facts["block"]) == ("statement", "judged_statement")


def test_asked_several_times_the_median_counts(table: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "judged.csv"
    result, prompts = run(
        *(table, "--out", out, "--samples", 3, "--json"),
        reply=lambda prompt, config: LATE if config.temperature else GOOD,
    )
    facts = json.loads(result.stdout)
    assert len(prompts) == 9
    # one ask says 1 + n % 5, two say 1 + (n + 1) % 5
    assert facts["ratings"]["a"] == {name: 1 + (n + 1) % 5 for n, name in enumerate(NAMES)}
    spread = {use["attribute"]: use["spread"] for use in facts["attributes"]}
    assert spread[NAMES[0]] == pytest.approx((1 / 3) ** 0.5)
    assert spread[NAMES[4]] == pytest.approx((16 / 3) ** 0.5)
    assert facts["attributes"][0]["sd"] == 0
    # the second of three asks alone has no spread
    once, _ = run(table, "--out", out, "--json")
    assert json.loads(once.stdout)["attributes"][0]["spread"] is None


def test_what_is_not_said_is_a_blank_cell(table: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "judged.csv"

    def reply(prompt: str, config: Any) -> str:
        return "Certainly!" if "Mend it." in prompt or "cannot be used" in prompt else GOOD

    result, _ = run(table, "--out", out, "--json", reply=reply)
    assert result.return_value == 0
    assert json.loads(result.stdout)["unusable"] == {"b": "it holds no JSON object"}
    assert "first of task 'b'" in result.stderr
    features = read_features({"judged": out})
    assert features.names == ("a", "b", "c")
    assert set(features.cells[1]) == {None}


def test_an_api_that_fails_for_one_is_exit_4(table: Path, tmp_path: Path, run: Run) -> None:
    def reply(prompt: str, config: Any) -> str:
        if "Mend it." in prompt:
            raise RuntimeError("overloaded")
        return GOOD

    out = tmp_path / "judged.csv"
    result, _ = run(table, "--out", out, "--json", reply=reply)
    assert result.return_value == 4
    assert json.loads(result.stdout)["failed"] == {"b": "RuntimeError: overloaded"}
    assert set(read_features({"judged": out}).cells[1]) == {None}
    result, prompts = run(table, "--out", out)
    assert (result.return_value, len(prompts)) == (0, 1)


def test_an_api_that_always_fails_writes_nothing(table: Path, tmp_path: Path, run: Run) -> None:
    def reply(prompt: str, config: Any) -> str:
        raise RuntimeError("no such key")

    out = tmp_path / "judged.csv"
    result, _ = run(table, "--out", out, reply=reply)
    error = error_of(result)
    assert error.exit_code == 4
    assert "no such key" in str(error)
    assert not out.exists()


def test_a_budget_ends_it_with_exit_3(table: Path, prices: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "judged.csv"
    options = (table, "--out", out, "--model-cost-config", prices, "--max-cost")
    result, prompts = run(*options, 0.65)
    assert (result.return_value, len(prompts)) == (3, 1)
    assert "2 requests were not sent: $0.65 would be exceeded" in result.stderr
    assert "1 requests: 1,000 tokens in, 100 out, $0.20" in result.stdout
    result, prompts = run(*options, 100)
    assert (result.return_value, len(prompts)) == (0, 2)


def test_a_budget_below_one_request_is_refused(
    table: Path, prices: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "judged.csv"
    result, prompts = run(table, "--out", out, "--model-cost-config", prices, "--max-cost", 0.01)
    assert (error_of(result).exit_code, prompts) == (2, [])
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dry-run", "--level", "tests"], "has no tests of any task"),
        (["--dry-run", "--max-cost", "1"], "needs the prices"),
        (["--dry-run", "-T", "x=1"], "takes no argument 'x'"),
        ([], "--out is missing"),
    ],
)
def test_what_cannot_be_done_is_said(options: list[str], words: str, table: Path, run: Run) -> None:
    result, prompts = run(table, *options)
    error = error_of(result)
    assert (error.exit_code, prompts) == (2, [])
    assert words in str(error)


def test_a_task_without_a_statement_stays_unknown(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text("item,statement\na,Sort it.\nb,\n")
    result, prompts = run(path, "--out", tmp_path / "judged.csv")
    assert len(prompts) == 1
    assert "1 tasks have no statement" in result.stderr
    assert set(read_features({"j": tmp_path / "judged.csv"}).cells[1]) == {None}
    path.write_text("item,statement\na,\nb, \n")
    assert "nothing to judge" in str(error_of(run(path, "--dry-run")[0]))


def test_a_model_that_cannot_be_made_is_named(table: Path, tmp_path: Path) -> None:
    options = [str(table), "-m", "nobody/knows", "--out", str(tmp_path / "j.csv")]
    result = CliRunner().invoke(judge, options, standalone_mode=False)
    assert "'nobody/knows' cannot be used" in str(error_of(result))


def test_task_directories_are_judged_with_their_solution(tmp_path: Path, run: Run) -> None:
    source = shipped("environments")
    result, prompts = run(
        *(source, "--out", tmp_path / "j.csv", "--level", "solution", "--json"),
        reply=lambda prompt, config: json.dumps({a.name: 2 for a in attributes("solution")}),
    )
    facts = json.loads(result.stdout)
    assert facts["block"] == "judged_solution"
    assert len(prompts) == facts["tasks"] == len(facts["ratings"])
    assert all("[solution " in prompt and "solve.sh" in prompt for prompt in prompts)


TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ContentImage, ContentText

@task
def small():
    said = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content=[ContentText(text="Look."), ContentImage(image="data:,x")]),
    ]
    files = {
        "in.txt": "words\\n",
        "there.py": "code/there.py",
        "all": "code",
        "far": "https://example.org/x",
        "raw": "data:text/plain;base64,QQ==",
        "long": "y" * 9000,
    }
    metadata = {
        "difficulty": "hard", "test_patch": "+ assert", "test_list": ["a()", "b()"], "patch": "+ x",
        "answer": 3,
    }
    full = Sample(
        input="Fix it.", id=7, target="+ x", files=files, setup="#!/bin/sh\\ntrue\\n",
        metadata=metadata,
    )
    bare = Sample(input=said, choices=["this", "that"], target=["A", "B"])
    return Task(dataset=[full, bare], sandbox=("docker", "compose.yaml"))
"""


@pytest.fixture
def inspect_task(tmp_path: Path) -> str:
    folder = tmp_path / "tasks"
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "small.py").write_text(TASKS)
    (folder / "code" / "there.py").write_text("here = 1\n")
    (folder / "code" / "deep" / "x.bin").write_bytes(b"\xff\x00")
    (folder / "compose.yaml").write_text("services: {}\n")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return f"{folder / 'small.py'}@small"


def test_texts_of_samples(inspect_task: str) -> None:
    texts = sample_texts(inspect_task)
    assert [*texts] == ["7", "2"]
    full, bare = texts.values()
    assert full.statement == "Fix it."
    assert full.repository == {
        "compose.yaml": "services: {}\n",
        "Dockerfile": "FROM scratch\n",
        "in.txt": "words\n",
        "there.py": "here = 1\n",
        "all/deep/x.bin": None,
        "all/there.py": "here = 1\n",
        "far": None,
        "raw": None,
        "long": "y" * 9000,
        "setup": "#!/bin/sh\ntrue\n",
    }
    assert full.tests == {"test_patch": "+ assert", "test_list": "a()\nb()"}
    assert full.solution == {"patch": "+ x"}
    assert full.metadata == {"author.difficulty": 3.0}
    assert bare.statement == "Be brief.\nLook.\n(image)\nA) this\nB) that"
    assert bare.solution == {"target": "A\nB"}
    assert bare.tests is None


def test_an_inspect_task_is_judged(inspect_task: str, tmp_path: Path, run: Run) -> None:
    reply = json.dumps({a.name: 2 for a in attributes("tests")})
    result, prompts = run(
        *(inspect_task, "--out", tmp_path / "j.csv", "--level", "tests"),
        reply=lambda prompt, config: reply,
    )
    assert result.return_value == 0
    assert "1 of 2 tasks are judged without their tests" in result.stderr
    assert not any("+ x" in prompt or "A\nB" in prompt for prompt in prompts)
    assert texts_of(inspect_task, {}, lambda note: None).keys() == {"7", "2"}


SLOW = """
import json, sys, time
import click
import platformdirs
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from harness.cli import features_judge

def output(messages, tools, choice, config):
    time.sleep(0.1)
    output = ModelOutput.from_content("mockllm/judge", {good!r})
    output.usage = ModelUsage(input_tokens=10, output_tokens=1, total_tokens=11)
    return output

platformdirs.user_cache_dir = lambda name: {cache!r}
features_judge._made = lambda name, args: get_model("mockllm/judge", custom_outputs=output)
try:
    features_judge.judge(sys.argv[1:], standalone_mode=False)
except click.Abort:
    sys.exit(130)
"""


def _ignore_nothing() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interrupt_loses_no_answer(tmp_path: Path, run: Run) -> None:
    table = tmp_path / "tasks.csv"
    rows = "".join(f"t{n},Do {n}.\n" for n in range(60))
    table.write_text(f"item,statement\n{rows}")
    kept = tmp_path / "cat-harness"
    script = SLOW.format(good=GOOD, cache=str(kept))
    options = [str(table), "-m", "mockllm/judge", "--out", str(tmp_path / "j.csv")]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "INSPECT_DISPLAY": "none"},
        preexec_fn=_ignore_nothing,
    )
    while len([*kept.rglob("*.json")]) < 3 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command goes on from there" in err
    there = len([*kept.rglob("*.json")])
    assert 3 <= there < 60
    assert not (tmp_path / "j.csv").exists()
    _, prompts = run(table, "--out", tmp_path / "j.csv")
    assert len(prompts) == 60 - there
