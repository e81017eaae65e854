"""The command line without Docker: help, precedence, plan files, JSON, and what is refused."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import worlds
import yaml

from harness import journal
from harness.bank_files import load_bank
from harness.cli import cli, main
from harness.errors import JournalError
from harness.events import Answered, Chosen, Launch, Plan, Started, Stopped

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What was said on stderr, however it was wrapped."""
        return " ".join(self.err.split())


Call = Callable[..., Done]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command as its entry point does."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["cat-harness", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, said.out, said.err)

    return run


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return worlds.write_bank(tmp_path / "tiny", worlds.THRESHOLDS)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for name, thresholds in worlds.THRESHOLDS.items():
        worlds.write_task(tmp_path / "tasks", name, thresholds=thresholds)
    return tmp_path / "tasks"


def strict_json(text: str) -> Any:
    """JSON that other programs read too: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# --- every command and option -------------------------------------------------------------------


def commands(
    group: click.Group = cli, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        path = (*prefix, name)
        if isinstance(command, click.Group):
            yield from commands(command, path)
        yield " ".join(path), command


COMMANDS = dict(commands())
REPORTING = [
    *("run", "resume", "report", "replay", "simulate", "calibrate", "doctor", "study"),
    *("compare", "rescore", "bank init", "models", "abilities", "health", "validity"),
    *("bank import", "bank export", "bank link"),
    *("series init", "series add", "series next", "series run", "series watch", "series status"),
    *("series report", "series rebuild", "series list"),
    *("features extract", "features judge", "predict tasks", "predict agents", "predict fit"),
    *("explain agent", "explain task", "study cold-start"),
    *("agents suggest", "agents apply", "agents rank", "agents link"),
    *("bank show", "bank check", "env list", "env check", "env build"),
]


def test_the_commands_are_those_that_are_promised() -> None:
    # a group with parameters is a command too
    leaves = {name for name, c in COMMANDS.items() if not isinstance(c, click.Group) or c.params}
    assert leaves == set(REPORTING)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name: str, call: Call) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.rstrip().endswith("."), parameter.opts
    done = call(*name.split(), "--help")
    assert done.code == 0
    assert command.help.split("\n")[0].rstrip(".") in " ".join(done.out.split())


@pytest.mark.parametrize("name", sorted(set(REPORTING) - {"env build"}))
def test_everything_that_reports_has_json(name: str) -> None:
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts]
    assert "--json" in options


@pytest.mark.parametrize("name", sorted(REPORTING))
def test_every_command_is_in_the_documentation(name: str) -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    assert any(f"cat-harness {name}" in page.read_text(encoding="utf-8") for page in pages)


def test_the_help_of_the_program_has_the_exit_codes(call: Call) -> None:
    done = call("--help")
    for code in ("0 done", "1 a gate", "2 usage", "3 stopped", "4 infrastructure", "130"):
        assert code in done.out


def test_help_is_quick_to_import() -> None:
    code = (
        "import sys, harness.cli; "
        "print([m for m in ('inspect_ai', 'docker', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [("unheard-of",), ("run", "--nonsense"), ("bank",), ("bank", "show"), ("run", "--width", "0")],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...], call: Call) -> None:
    done = call(*arguments)
    assert done.code == 2
    assert "Usage:" in done.err


# --- where values come from ---------------------------------------------------------------------


def config(done: Done) -> dict[str, tuple[str, str]]:
    assert done.code == 0, done.err
    rows = (line.split() for line in done.out.splitlines())
    return {row[0]: (" ".join(row[1:-1]), row[-1]) for row in rows}


def test_flag_before_variable_before_plan_file_before_default(
    call: Call, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("width: 5\nseed: 5\nmax-items: 5\nfail-if: ['sd > 1', 'score < 0.1']\n")
    monkeypatch.setenv("CAT_HARNESS_RUN_WIDTH", "6")
    monkeypatch.setenv("CAT_HARNESS_RUN_SEED", "6")
    shown = config(call("run", "--bank", bank, "--plan", plan, "--width", "7", "--show-config"))
    assert shown["width"] == ("7", "flag")
    assert shown["seed"] == ("6 environment", "variable")
    assert shown["max-items"] == ("5 plan", "file")
    assert shown["level"] == ("0.9", "default")
    assert shown["fail-if"][0].startswith("('sd > 1', 'score < 0.1')")
    assert shown["bank"] == (str(bank), "flag")


def test_show_config_runs_nothing(call: Call, tmp_path: Path) -> None:
    assert call("run", "--bank", "no-such-bank", "--show-config", "--runs", tmp_path).code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_plan_file_has_the_effect_of_flags(call: Call, bank: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({"stop": "items>=2", "select": "random", "seed": 3}))
    by_file = call("simulate", "--bank", bank, "--agents", "20", "--plan", plan, "--json")
    by_flag = call(
        *("simulate", "--bank", bank, "--agents", "20", "--stop", "items>=2"),
        *("--select", "random", "--seed", "3", "--json"),
    )
    assert by_file.code == by_flag.code == 0
    assert strict_json(by_file.out) == strict_json(by_flag.out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widht: 2", "unknown entry 'widht'; known: .*width"),
        ("width: two", "--width"),
        ("stop: 'sd<'", "stopping rule 'sd<' cannot be read"),
        ("- width", "must map option names to values"),
        ("a: [", "not valid YAML"),
        ("\xff\x00", "not valid YAML|not UTF-8"),
    ],
)
def test_a_plan_file_that_cannot_be_used(
    text: str, message: str, call: Call, bank: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(text.encode("latin-1"))
    done = call(
        "run", "--bank", bank, "--plan", plan, "--agent", "nop", "--runs", tmp_path / "runs"
    )
    assert done.code == 2
    assert re.search(message, done.words), done.words
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--stop", "sd<zero", "stopping rule"),
        ("--stop", "sd<-1", "positive"),
        ("--select", "best", "unknown selector 'best'; use one of random"),
        ("--select", "catsim:NoSuch", "NoSuch"),
        ("--estimator", "mle", "unknown estimator"),
        ("--prior", "0", "--prior is auto, parts"),
        ("--prior", "0,-1", "prior"),
        ("--prior", "nan,1", "prior"),
        ("--level", "1.5", "between 0 and 1"),
        ("--seed", "-1", "--seed"),
        ("--per", "tokens", "--per"),
        ("--per", "usd", "expected cost"),
        ("--max-cost", "0", "--max-cost"),
        ("--max-seconds", "-5", "--max-seconds"),
    ],
)
def test_an_option_of_a_plan_that_cannot_be_used(
    option: str, value: str, message: str, call: Call, bank: Path
) -> None:
    done = call("simulate", "--bank", bank, "--agents", "5", option, value)
    assert done.code == 2, done.err
    assert message in done.words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail-if", "score <"), "gate 'score <' cannot be read"),
        (("-A", "lines"), "'lines' is not NAME=VALUE"),
        (("--environments", "/nonexistent"), "--environments"),
        (("--message-limit", "0"), "--message-limit"),
        (("--agent", "nop", "-A", "lines=3"), "takes no arguments: lines"),
        (("--agent", "react"), "needs a model: add --model"),
        (("--model", "no-such-provider/x"), "model 'no-such-provider/x' cannot be used"),
        (("--agent", "no.such.module:agent"), "does not import: ModuleNotFoundError"),
        (("--agent", "no_such_file.py:agent"), "there is no file"),
        (("--agent", "someone"), "unknown agent 'someone'"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing(
    arguments: tuple[str, ...], message: str, call: Call, bank: Path, tasks: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    done = call("run", "--bank", bank, "--environments", tasks, "--runs", runs, *arguments)
    assert done.code == 2, done.err
    assert message in done.words
    assert not runs.exists()


# --- bad banks ----------------------------------------------------------------------------------


def edit(file: str, before: str, after: str) -> Callable[[Path], None]:
    def change(bank: Path) -> None:
        text = (bank / file).read_text()
        assert before in text
        (bank / file).write_text(text.replace(before, after, 1))

    return change


def cell(row: int, column: str, value: str) -> Callable[[Path], None]:
    def change(bank: Path) -> None:
        with (bank / "items.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows[row][column] = value
        with (bank / "items.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    return change


BAD_BANKS = {
    "nan": (cell(0, "d1", "nan"), "item 'tiny-a': a parameter is NaN"),
    "negative": (cell(1, "a1", "-1.2"), "item 'tiny-b': discrimination a1 = -1.2"),
    "order": (cell(2, "d1", "-9"), "item 'tiny-c': thresholds out of order"),
    "duplicate": (cell(3, "item", "tiny-a"), "item id 'tiny-a' occurs twice"),
    "category": (cell(0, "categories", "grades"), "unknown categories 'grades'; bank.yaml defines"),
    "text": (cell(0, "a1", "steep"), "line 2, item 'tiny-a': column 'a1' holds 'steep'"),
    "model": (cell(0, "model", "5pl"), "unknown model '5pl'; use one of 1pl"),
    "column": (edit("items.csv", "a1", "slope"), "column 'a1' is missing"),
    "key": (edit("bank.yaml", "name:", "title: x\nname:"), "bank.yaml: title"),
    "yaml": (edit("bank.yaml", "name:", "name: ["), "bank.yaml is not valid YAML"),
    "labels": (edit("bank.yaml", "  - core\n", ""), "but 'milestones' has 3 labels"),
}


@pytest.mark.parametrize("name", BAD_BANKS)
def test_a_bad_bank_is_refused_by_every_command_with_the_same_words(
    name: str, call: Call, bank: Path, tmp_path: Path
) -> None:
    damage, message = BAD_BANKS[name]
    damage(bank)
    responses = tmp_path / "responses.csv"
    responses.write_text("agent,item,category\na,tiny-a,1\n")
    for arguments in (
        ("bank", "check", bank),
        ("bank", "show", bank, "--json"),
        ("simulate", "--bank", bank),
        ("replay", "--bank", bank, "--responses", responses),
        ("run", "--bank", bank, "--agent", "nop", "--runs", tmp_path / "runs"),
        ("run", "--bank", bank, "--dry-run"),
    ):
        done = call(*arguments)
        assert done.code == 2, arguments
        assert message in done.words, done.err
        assert str(bank) in done.words
        assert done.out == ""
    assert not (tmp_path / "runs").exists()


def test_a_bank_that_is_nowhere(call: Call) -> None:
    done = call("bank", "check", "no-such-bank")
    assert done.code == 2
    assert "no item bank at no-such-bank" in done.words


# --- bad responses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent,item,category\na,tiny-a,1\na,no-such-item,1\n", "no-such-item"),
        ("agent,item,category\na,tiny-a,1\na,tiny-b,4\n", "4"),
        ("agent,item,category\na,tiny-a,-1\n", "-1"),
        ("agent,item\na,tiny-a\n", "category"),
        ("agent,category\na,1\n", "item"),
        ("agent,item,category\na,tiny-a,one\n", "one"),
        ("", "responses.csv"),
    ],
)
def test_bad_responses_are_refused_by_file_and_row(
    text: str, message: str, call: Call, bank: Path, tmp_path: Path
) -> None:
    responses = tmp_path / "responses.csv"
    responses.write_text(text)
    done = call("replay", "--bank", bank, "--responses", responses)
    assert done.code == 2, done.out
    assert message in done.words
    assert str(responses) in done.words


# --- bad tasks, agents, journals ----------------------------------------------------------------


def test_a_task_without_tests_is_refused(
    call: Call, bank: Path, tasks: Path, tmp_path: Path
) -> None:
    (tasks / "tiny-b" / "tests" / "test.sh").unlink()
    for arguments in (
        ("run", "--bank", bank, "--environments", tasks, "-a", "nop", "--runs", tmp_path / "runs"),
        ("env", "list", "--environments", tasks),
        ("env", "check", "tiny-b", "--environments", tasks),
        ("env", "build", tasks / "tiny-b"),
    ):
        done = call(*arguments)
        assert done.code == 2, arguments
        assert f"task {tasks / 'tiny-b'}: tests/test.sh is missing" in done.words
    assert not (tmp_path / "runs").exists()


def test_a_bank_whose_tasks_are_nowhere_is_refused(call: Call, bank: Path, tmp_path: Path) -> None:
    done = call("run", "--bank", bank, "--agent", "nop", "--runs", tmp_path / "runs")
    assert done.code == 2
    assert "no task directory 'tiny-a'" in done.words


@pytest.fixture
def run(bank: Path, tasks: Path, tmp_path: Path) -> Path:
    """A finished run, as its journal."""
    folder = tmp_path / "run"
    loaded = load_bank(bank)
    plan = Plan(seed=1)
    launch = Launch(str(bank), "nop", environments=str(tasks))
    with journal.appending(folder / journal.NAME) as writer:
        for event in (
            Started(10.0, "run", "nop", plan, loaded.name, loaded.hash, "0.1.0", launch),
            Chosen(11.0, 1, "tiny-a", "tiny-a", (0.0,), (1.0,)),
            Answered(12.0, 1, "tiny-a", 2),
            Stopped(12.0, "limit", "1 item answered, the limit is 1"),
        ):
            writer.append(event)
    return folder


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_journal_of_another_bank_is_refused_with_both_hashes(
    command: str, call: Call, run: Path, bank: Path
) -> None:
    first = load_bank(bank).hash
    cell(0, "a1", "1.61")(bank)
    before = (run / journal.NAME).read_bytes()
    done = call(command, run)
    assert done.code == 2
    assert first in done.words
    assert load_bank(bank).hash in done.words
    assert (run / journal.NAME).read_bytes() == before
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_damaged_journal_is_refused_with_its_line(command: str, call: Call, run: Path) -> None:
    path = run / journal.NAME
    path.write_text(path.read_text().replace('"category": 2', '"category": 3'))
    done = call(command, run)
    assert done.code == 2
    assert f"{path}, line 3: damaged" in done.words


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_that_is_no_run_is_refused(command: str, call: Call, tmp_path: Path) -> None:
    done = call(command, tmp_path)
    assert done.code == 2
    assert "a run is a folder that holds journal.jsonl" in done.words


def test_a_finished_run_is_reported_and_gated_without_docker(call: Call, run: Path) -> None:
    done = call("report", run)
    assert (done.code, done.out) == (0, f"{run / 'report.html'}\n")
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")
    page = run.parent / "elsewhere.html"
    assert call("report", run, "--out", page).code == 0
    assert page.is_file()
    content = strict_json(call("report", run, "--json").out)
    assert content["items"][0]["category"] == 2

    # the default plan asks for precision, which one answer does not give
    assert call("resume", run).code == 3
    failed = call("resume", run, "--fail-if", "sd > 0.1", "--fail-if", "sd > 9")
    assert failed.code == 1
    assert "Gate failed: sd > 0.1 (it is 0." in failed.words
    assert "sd > 9" not in failed.err


def test_a_start_that_ended_before_it_began_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "run" / journal.NAME
    with journal.appending(path):
        pass
    event = Stopped(1.0, "limit", "")
    with journal.appending(path) as writer:
        writer.append(event)
    with pytest.raises(JournalError, match="exists; resume it"), journal.appending(path):
        pass


def test_runs_of_the_same_name_do_not_share_their_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.runners.live import container_label

    labels = {container_label(tmp_path / place / "out") for place in ("a", "b")}
    assert len(labels) == 2
    assert all(label.startswith("out-") for label in labels)
    monkeypatch.chdir(tmp_path)
    assert container_label(Path("a/out")) in labels


# --- JSON ---------------------------------------------------------------------------------------


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    path = tmp_path / "responses.csv"
    rows = ["agent,item,category"]
    for agent in range(8):
        for n, item in enumerate(worlds.THRESHOLDS):
            rows.append(f"agent{agent},{item},{min(3, max(0, (agent + n) // 3))}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("bank", "show", "BANK"), "items"),
        (("bank", "check", "BANK"), "remarks"),
        (("env", "list", "--environments", "TASKS"), None),
        (("simulate", "--bank", "BANK", "--agents", "9"), "overall"),
        (("replay", "--bank", "BANK", "--responses", "RESPONSES"), None),
        (("calibrate", "RESPONSES", "--model", "grm", "--out", "OUT", "--force"), "converged"),
        (("run", "--bank", "BANK", "--environments", "TASKS", "--dry-run"), "simulation"),
        (("report", "RUN"), "items"),
        (("resume", "RUN"), "items"),
    ],
)
def test_json_goes_to_stdout_alone_or_to_a_file_beside_the_text(
    arguments: tuple[str, ...],
    key: str | None,
    call: Call,
    bank: Path,
    tasks: Path,
    responses: Path,
    run: Path,
    tmp_path: Path,
) -> None:
    names = {"BANK": bank, "TASKS": tasks, "RESPONSES": responses, "RUN": run}
    names["OUT"] = tmp_path / "fitted"
    words = [str(names.get(word, word)) for word in arguments]
    alone = call(*words, "--json")
    assert alone.code in (0, 3), alone.err
    content = strict_json(alone.out)
    assert content
    if key is not None:
        assert key in content
    target = tmp_path / "deep" / "out.json"
    beside = call(*words, "--json", target)
    assert beside.code == alone.code
    written = strict_json(target.read_text(encoding="utf-8"))
    assert type(written) is type(content)
    assert len(written) == len(content)
    assert beside.out.strip()


def test_a_file_that_cannot_be_written_is_said(call: Call, bank: Path, tmp_path: Path) -> None:
    done = call("bank", "show", bank, "--json", tmp_path)
    assert done.code == 2
    assert str(tmp_path) in done.words


@pytest.mark.parametrize("json_flag", ["", "--json"])
def test_output_into_a_closed_pipe_is_no_failure(json_flag: str, bank: Path) -> None:
    code = "from harness.cli import main; main()"
    pipe = 'set -o pipefail; "$0" -c "$1" bank show "$2" $3 | true'
    done = subprocess.run(
        ["bash", "-c", pipe, sys.executable, code, str(bank), json_flag],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.stderr == ""
    assert done.returncode == 0


# --- what to expect -----------------------------------------------------------------------------


def test_a_dry_run_says_what_to_expect_and_makes_nothing(
    call: Call, bank: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    from harness.sandbox import engine

    engine._client.cache_clear()
    try:
        done = call(
            *("run", "--bank", bank, "--environments", tasks, "--stop", "items>=2"),
            *("--runs", tmp_path / "runs", "--dry-run"),
        )
    finally:
        engine._client.cache_clear()
    assert done.code == 0, done.err
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line[:2] == "  ")
    assert lines["items"].startswith("median 2, 80% ")
    assert lines["cost"].startswith("unknown")
    assert lines["images"].startswith("unknown, Docker does not answer")
    assert not (tmp_path / "runs").exists()


def test_without_an_engine_a_run_is_exit_4_and_leaves_nothing(
    bank: Path, tasks: Path, tmp_path: Path
) -> None:
    # a process of its own: the client is made once
    done = subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", "run", "--bank", str(bank),
         "--environments", str(tasks), "--agent", "nop", "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=120,
        env={"DOCKER_HOST": f"unix://{tmp_path}/absent.sock", "PYTHONPATH": str(REPOSITORY),
             "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "the Docker engine does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
