"""The command line of series: what is made, tested, watched, told and refused; nothing is run."""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import worlds
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from series_worlds import World, world
from test_cli import Call, Done, call, config, strict_json

from harness.bank_files import load_bank
from harness.cli.series_forecast import expect
from harness.cli.series_work import why_not
from harness.events import Launch
from harness.schedule.drift import Drift
from harness.series import files
from harness.series.definition import Definition, read_definition
from harness.series.index import open_index
from harness.series.preview import preview
from harness.series.settings import define
from harness.series.state import load_series
from harness.series.watch import Found
from harness.series.worker import work_on
from harness.session import Session

__all__ = ["call", "world"]

ITEMS = 24
FELL = 300


def falling(session: str) -> float:
    """Ability that falls at the third checkpoint."""
    return 1.0 if int(session[:12]) < FELL else -2.5


THRESHOLDS = {
    f"task-{k:02d}": tuple(-2 + 4 * k / ITEMS + shift for shift in (-0.6, 0.0, 0.6))
    for k in range(ITEMS)
}


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two banks, safety and skill, and their tasks."""
    folder = tmp_path_factory.mktemp("banks")
    for name, thresholds in THRESHOLDS.items():
        worlds.write_task(folder / "tasks", name, thresholds=thresholds)
    for name in ("safety", "skill"):
        worlds.write_bank(folder / name, THRESHOLDS, THRESHOLDS)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which runs/series is made."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Begin = Callable[..., Path]


@pytest.fixture
def begin(call: Call, banks: Path, here: Path) -> Begin:
    """Makes a series with a scripted agent; options as on the command line."""

    def begin(*options: object, steps: int = 0, name: str = "line") -> Path:
        done = call(
            *("series", "init", name, "--bank", banks / "safety"),
            *("--environments", banks / "tasks", "--agent", "oracle", "--unit", "100"),
            *("--checkpoints", "10", "--policy", "fixed(6)", *options),
        )
        assert done.code == 0, done.err
        folder = here / done.out.strip()
        for k in range(steps):
            assert call("series", "add", name, 100 * (k + 1)).code == 0
        return folder

    return begin


# --- init ---------------------------------------------------------------------------------------


def test_what_is_asked_for_is_in_the_definition(call: Call, banks: Path, here: Path) -> None:
    prices = here / "prices.yaml"
    prices.write_text("{}")
    (here / "mine.py").write_text("")
    done = call(
        *("series", "init", "all", "-b", banks / "safety", "-b", banks / "skill", "--joint"),
        *("-a", "mine.py:agent", "-A", "depth=3", "-m", "openai/{name}", "-M", "temperature=0"),
        *("--model-cost-config", "prices.yaml", "--environments", banks / "tasks"),
        *("--judge", "openai/judge", "--sandbox", "docker", "--message-limit", 7),
        *("--token-limit", 8, "--time-limit", 9, "--prewarm", 2, "--disk-budget", "3GB"),
        *("--width", 4, "--max-attempts", 5, "--policy", "budget(0.3)"),
        *("--alarm", "safety: fall > .5 within 3", "--alarm", "rise>1 since first"),
        *("--alpha", 0.01, "--checkpoints", 12, "--unit", 500, "--max-tasks", 100),
        *("--max-cost", 2.5, "--max-seconds", 3600, "--persistence", 0.2, "--jump-rate", 0.1),
        *("--on-alarm", "echo {} | mail", "--webhook", "https://example.org/hook"),
        *("--database", f"sqlite:///{here}/other.db", "--lease", 30, "--seed", 11),
        *("--level", 0.8, "--root", "elsewhere"),
    )
    assert done.code == 0, done.err
    assert done.out.strip() == "elsewhere/all"
    found = read_definition(here / "elsewhere" / "all")
    launch = Launch(
        bank="",
        agent=f"{here}/mine.py:agent",
        agent_args=(("depth", "3"),),
        model="openai/{name}",
        model_args=(("temperature", "0"),),
        model_cost=str(prices),
        environments=str(banks / "tasks"),
        limits=(("message_limit", 7), ("token_limit", 8), ("time_limit", 9)),
        judge="openai/judge",
        sandbox="docker",
        prewarm=2,
        disk_budget_mb=3000,
    )
    alarms = ("safety", "fall>0.5 within 3"), ("safety", "rise>1 since first")
    expected = {
        "name": "all",
        "launch": launch,
        "policy": "budget(0.3)",
        "alarms": (*alarms, ("skill", "rise>1 since first")),
        "alpha": 0.01,
        "checkpoints": 12,
        "max_tasks": 100,
        "max_usd": 2.5,
        "max_seconds": 3600.0,
        "joint": True,
        "drift": Drift(unit=500, persistence=0.2, jump_rate=0.1),
        "width": 4,
        "max_attempts": 5,
        "on_alarm": "echo {} | mail",
        "webhook": "https://example.org/hook",
        "database": f"sqlite:///{here}/other.db",
        "lease": 30.0,
        "seed": 11,
        "level": 0.8,
    }
    assert {name: getattr(found, name) for name in expected} == expected
    assert [(b.name, b.path) for b in found.banks] == [
        (name, str(banks / name)) for name in ("safety", "skill")
    ]
    assert (here / "other.db").is_file()
    assert time.time() - 60 < found.created <= time.time()


def test_what_is_not_asked_for(call: Call, banks: Path, here: Path) -> None:
    pair = ("-b", banks / "safety", "-b", banks / "skill", "--environments", banks / "tasks")
    assert call("series", "init", "plain", *pair).code == 0
    found = read_definition(here / "runs" / "series" / "plain")
    # 15% of the whole benchmark at every checkpoint
    assert found.max_tasks == 0.15 * 30 * 2 * ITEMS
    assert (found.max_usd, found.max_seconds) == (None, None)
    assert found.alarms == (("safety", "fall>0.25 within 5"), ("skill", "fall>0.25 within 5"))
    assert (found.launch.agent, found.launch.model, found.policy) == ("react", None, "budget")
    assert found.drift == Drift(unit=0)
    for n, more in enumerate((("--max-cost", 3), ("--policy", "full(2)", "--alarm", "none"))):
        assert call("series", "init", f"other-{n}", *pair, *more).code == 0
        found = read_definition(here / "runs" / "series" / f"other-{n}")
        assert found.max_tasks is None
    assert found.alarms == ()


def test_json_tells_what_was_made_and_no_secret(call: Call, banks: Path, here: Path) -> None:
    done = call(
        *("series", "init", "line", "-b", banks / "safety", "--environments", banks / "tasks"),
        *("--webhook", "https://example.org/s3cret", "--database", "sqlite:///s3cret.db"),
        "--json",
    )
    assert done.code == 0, done.err
    told = strict_json(done.out)
    assert told["folder"] == "runs/series/line"
    assert told["banks"][0]["name"] == "safety"
    assert "s3cret" not in done.out + done.err


def test_a_series_is_never_made_twice(begin: Begin, call: Call, banks: Path) -> None:
    folder = begin()
    before = (folder / "series.yaml").read_bytes()
    again = ("series", "init", "line", "-b", banks / "skill", "--environments", banks / "tasks")
    done = call(*again)
    assert done.code == 2
    assert "runs/series/line/series.yaml exists: a series is made once" in done.words
    assert (folder / "series.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policy", "best"), "policy 'best' cannot be read"),
        (("--alarm", "falls"), "alarm 'falls' cannot be read"),
        (("--alarm", "care: fall>0.2 within 3"), "bank 'care' is none of the series (safety)"),
        (("--webhook", "ftp://example.org"), "has to begin with http:// or https://"),
        (("--webhook", "example.org/hook"), "has to begin with http:// or https://"),
        (("--metrics", "console"), "metrics 'console' cannot be read"),
        (("--joint",), "two banks"),
        (("--bank", "BANK"), "each"),
        (("--bank", "no-such-bank"), "no item bank at no-such-bank"),
        (("--database", "mysql://host/name"), "neither a SQLite file nor PostgreSQL"),
        (("--environments", "."), "no task directory 'task-00'"),
        (("--unit", "0"), "--unit"),
        (("--checkpoints", "0"), "--checkpoints"),
        (("--alpha", "1"), "--alpha"),
        (("--level", "0"), "--level"),
        (("--lease", "0"), "--lease"),
        (("--persistence", "1"), "--persistence"),
        (("--max-cost", "0"), "--max-cost"),
        (("--disk-budget", "lots"), "'lots' is not an amount of disk"),
        (("-A", "depth"), "'depth' is not NAME=VALUE"),
    ],
)
def test_a_series_that_cannot_be_leaves_nothing(
    options: tuple[str, ...], message: str, call: Call, banks: Path, here: Path
) -> None:
    options = tuple(str(banks / "safety") if option == "BANK" else option for option in options)
    done = call(
        *("series", "init", "line", "-b", banks / "safety", "--environments", banks / "tasks"),
        *options,
    )
    assert done.code == 2, done.err
    assert message in done.words
    assert not list(here.rglob("series.yaml"))


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", ""])
def test_a_name_is_that_of_a_folder(name: str, call: Call, banks: Path, here: Path) -> None:
    done = call("series", "init", name, "-b", banks / "safety", "--environments", banks / "tasks")
    assert done.code == 2
    assert "'name'" in done.words
    assert not list(here.rglob("series.yaml"))


def test_flags_win_over_variables_and_those_over_the_plan_file(
    call: Call, banks: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = here / "plan.yaml"
    plan.write_text("unit: 5\nseed: 5\nlease: 5\nalarm: ['none']\n".replace("alarm", "alarms"))
    monkeypatch.setenv("CAT_HARNESS_SERIES_INIT_UNIT", "6")
    monkeypatch.setenv("CAT_HARNESS_SERIES_INIT_SEED", "6")
    done = call(
        *("series", "init", "line", "-b", banks / "safety", "--plan", plan),
        *("--unit", "7", "--webhook", "https://example.org/s3cret", "--show-config"),
    )
    shown = config(done)
    assert shown["webhook"] == ("given", "flag")
    assert shown["unit"] == ("7", "flag")
    assert shown["seed"] == ("6 environment", "variable")
    assert shown["lease"] == ("5.0 plan", "file")
    assert shown["level"] == ("0.9", "default")
    assert not (here / "runs").exists()


def test_a_dry_run_makes_nothing_and_counts_what_a_fixed_policy_takes(
    call: Call, banks: Path, here: Path
) -> None:
    done = call(
        *("series", "init", "line", "-b", banks / "safety", "-b", banks / "skill"),
        *("--policy", "fixed(5)", "--alarm", "none", "--checkpoints", 4, "--dry-run", "--json"),
    )
    assert done.code == 0, done.err
    told = strict_json(done.out)
    assert set(told["tasks"].values()) == {2 * 4 * 5}
    assert told["full"]["tasks"] == 2 * 4 * ITEMS
    assert told["usd"] is told["full"]["usd"] is None
    assert not (here / "runs").exists()


def test_a_dry_run_keeps_the_budget(banks: Path) -> None:
    bank = load_bank(banks / "safety")
    series = define("line", [str(banks / "safety")], checkpoints=5)
    found = expect(series, [bank], runs=4)
    assert found.budget is not None
    assert 0 < found.tasks.low <= found.tasks.median <= found.tasks.high <= found.budget
    assert found.budget == series.max_tasks == 0.15 * 5 * ITEMS


def test_a_dry_run_for_people(call: Call, banks: Path, here: Path) -> None:
    done = call(
        *("series", "init", "line", "-b", banks / "safety", "--policy", "full"),
        *("--checkpoints", 2, "--alarm", "none", "--dry-run"),
    )
    assert done.code == 0, done.err
    assert "tasks   about 48 (48 to 48); the whole benchmark at every checkpoint: 48" in done.out
    assert "cost    unknown" in done.out


# --- add ----------------------------------------------------------------------------------------


def test_a_checkpoint_is_registered_as_it_is_described(begin: Begin, call: Call) -> None:
    folder = begin()
    Path("weights").mkdir()
    done = call(
        *("series", "add", "line", 100, "vllm/{path}", "-M", "dtype=auto", "-a", "mine.py:agent"),
        *("-A", "depth=2", "--serve", "serve {path} --port {port}", "--path", "weights"),
        *("--jump", "--note", "new data", "--json"),
    )
    assert done.code == 0, done.err
    [found] = files.registered(folder)
    assert json.loads(json.dumps(asdict(found))) == strict_json(done.out)
    assert asdict(found) == {
        "step": 100,
        "model": "vllm/{path}",
        "agent": f"{Path('mine.py').resolve()}:agent",
        "model_args": (("dtype", "auto"),),
        "agent_args": (("depth", "2"),),
        "serve": "serve {path} --port {port}",
        "path": str(Path("weights").resolve()),
        "jump": True,
        "at": found.at,
        "note": "new data",
    }


def test_a_place_elsewhere_is_left_as_it_is(begin: Begin, call: Call) -> None:
    folder = begin()
    done = call("series", "add", folder, 100, "--path", "s3://bucket/100")
    assert done.code == 0, done.err
    assert done.out.strip() == f"{folder}/checkpoints/000000000100.json"
    assert files.registered(folder)[0].path == "s3://bucket/100"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("line", 200), "step 200 is registered already, with the same content"),
        (("line", 200, "openai/other"), "model None and not 'openai/other'"),
        (("line", 100), "step 100 comes before step 200"),
        (("line", "soon"), "'soon' is not a valid integer"),
        (("line", 300, "--serve", "serve {weights}"), "{weights} in 'serve {weights}' is no"),
        (("line", 300, "vllm/{weights}"), "{weights} in 'vllm/{weights}' is no placeholder"),
        (("lime", 300), "in runs/series there are line; make one with cat-harness series init"),
    ],
)
def test_a_checkpoint_that_cannot_be_added(
    arguments: tuple[object, ...], message: str, begin: Begin, call: Call
) -> None:
    folder = begin()
    assert call("series", "add", "line", 200).code == 0
    before = files.registered(folder)
    done = call("series", "add", *arguments)
    assert done.code == 2, done.err
    assert message in done.words
    assert files.registered(folder) == before


def test_a_checkpoint_needs_a_model_from_somewhere(
    begin: Begin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("--agent", "react")
    done = call("series", "add", "line", 100)
    assert done.code == 2
    assert "step 100 has no model, and the series has none either" in done.words
    assert call("series", "add", "line", 100, "openai/x").code == 0
    assert call("series", "add", "line", 200, "--agent", "nop").code == 0
    monkeypatch.setenv("INSPECT_EVAL_MODEL", "openai/y")
    assert call("series", "add", "line", 300).code == 0
    begin("--agent", "react", "--model", "openai/z", name="other")
    monkeypatch.delenv("INSPECT_EVAL_MODEL")
    assert call("series", "add", "other", 100).code == 0


def test_steps_far_from_what_the_series_expects_are_mentioned(begin: Begin, call: Call) -> None:
    begin("--unit", 1)
    assert "warning" not in call("series", "add", "line", 1000).err
    done = call("series", "add", "line", 2000)
    assert done.code == 0
    assert "steps 1000 and 2000 are 1000 apart, and the series expects about 1" in done.words
    assert "warning" not in call("series", "add", "line", 2005).err
    begin("--unit", 1000, name="other")
    assert "warning" not in call("series", "add", "other", 100).err
    assert "expects about 1000" in call("series", "add", "other", 200).words
    assert "warning" not in call("series", "add", "other", 1200).err


# --- next and run -------------------------------------------------------------------------------


def test_nothing_is_next_without_a_checkpoint(begin: Begin, call: Call) -> None:
    begin()
    done = call("series", "next", "line")
    assert done.code == 0
    assert "safety: nothing, no checkpoint is registered yet" in done.out


def test_next_is_what_run_then_does(begin: Begin, call: Call, world: World, banks: Path) -> None:
    begin("-b", banks / "skill", steps=2)
    planned = strict_json(call("series", "next", "line", "--json").out)
    assert planned["nothing"] == {}
    said = call("series", "next", "line").out
    held = call("series", "run", "line", "--json")
    assert held.code == 0, held.err
    keys = ("step", "bank", "number", "purpose", "tasks", "why")
    done = [{key: work[key] for key in keys} for work in strict_json(held.out)["sessions"]]
    assert [{key: work[key] for key in keys} for work in planned["sessions"]] == done
    for work in done:
        line = f"{work['bank']}: step 200, routine, at most 6 tasks, dollars unknown"
        assert line in said
    after = strict_json(call("series", "next", "line", "--json").out)
    assert after["sessions"] == []
    assert after["nothing"] == dict.fromkeys(
        ("safety", "skill"), "step 200 was tested with 6 tasks, and no alarm asks for more"
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    policy=st.sampled_from(["budget", "fixed(5)", "full(2)", "adaptive(0.4)"]),
    steps=st.integers(0, 3),
    sessions=st.integers(0, 3),
    most=st.sampled_from([None, 5, 12, 100]),
    run=st.integers(0, 10**9),
)
def test_every_bank_is_either_proposed_or_has_a_reason(
    policy: str,
    steps: int,
    sessions: int,
    most: int | None,
    run: int,
    banks: Path,
    here: Path,
    world: World,
) -> None:
    from harness.series.definition import write_definition

    folder = here / str(run)
    paths = [str(banks / name) for name in ("safety", "skill")]
    if folder.exists():
        return
    write_definition(
        folder, define("s", paths, agent="oracle", policy=policy, max_tasks=most, unit=100)
    )
    for step in range(steps):
        files.register(folder, files.Registered(100 * step))
    if sessions:
        work_on(folder, say=print, max_sessions=sessions)
    loaded = load_series(folder)
    asked = {found.proposal.bank for found in preview(loaded)}
    reasons = {bank.name: why_not(loaded, bank.name) for bank in loaded.banks}
    for bank in {"safety", "skill"} - asked:
        assert reasons[bank]
        if steps == 0:
            assert "no checkpoint" in reasons[bank]
        spent = sum(s.tasks for c in loaded.checkpoints for s in c.sessions)
        if most is not None and spent >= most:
            assert "budget" in reasons[bank] or "was tested" in reasons[bank]


def test_without_a_fall_it_ends_with_0(begin: Begin, call: Call, world: World) -> None:
    begin(steps=1)
    done = call("series", "run", "line")
    assert done.code == 0, done.err
    assert "Testing step 100 on safety, routine, at most 6 tasks" in done.words
    # a line for every answer while it runs, on stderr
    assert len(re.findall(r"^\[\d+\] task-\d\d [0-3]/3 θ ", done.err, re.MULTILINE)) == 6
    assert "1 session held" in done.err
    assert re.search(r"^Series +line, policy fixed\(6\)$", done.out, re.MULTILINE)
    assert re.search(r"^Checkpoints +1 of 10 planned, 1 tested$", done.out, re.MULTILINE)
    assert re.search(r"^Ability +safety -?\d.* at step 100, ", done.out, re.MULTILINE)
    assert call("series", "run", "line").code == 0


def test_a_confirmed_alarm_is_exit_1_and_everywhere_to_be_seen(
    begin: Begin, call: Call, world: World, here: Path
) -> None:
    world.abilities = falling
    folder = begin("--policy", "full", "--on-alarm", "cat > told.json")
    for step in range(100, FELL + 1, 100):
        assert call("series", "add", "line", step).code == 0
        done = call("series", "run", "line", "--json")
        assert done.code == (1 if step == FELL else 0), (step, done.err)
    told = strict_json(done.out)
    assert told["exit_code"] == 1
    [alarm] = told["alarms"]
    assert (alarm["step"], alarm["bank"], alarm["state"]) == (FELL, "safety", "confirmed")
    assert "Alarm confirmed at step 300 on safety: fall>0.25 within 5" in done.err
    assert json.loads((here / "told.json").read_text())["step"] == FELL
    status = call("series", "status", "line")
    assert status.code == 0
    assert "fall>0.25 within 5 on safety at step 300: confirmed (P " in status.out
    summary = strict_json(call("series", "status", "line", "--json").out)
    assert [a["state"] for a in summary["alarms"]] == ["confirmed"]
    assert [p["tasks"] for p in summary["banks"][0]["points"]][:2] == [ITEMS] * 2
    # a gate in CI keeps failing until a later checkpoint is better
    assert call("series", "run", "line").code == 1
    assert files.alarms(folder)[0].state == "confirmed"


def test_a_limit_leaves_work_and_says_so(
    begin: Begin, call: Call, world: World, banks: Path
) -> None:
    begin("-b", banks / "skill", steps=1)
    done = call("series", "run", "line", "--max-sessions", 1, "--json")
    assert done.code == 0
    told = strict_json(done.out)
    assert [work["bank"] for work in told["sessions"]] == ["safety"]
    assert [work["bank"] for work in told["left"]] == ["skill"]
    assert "left to test on skill" in done.words


def test_a_session_that_cannot_be_held_is_exit_4(begin: Begin, call: Call, world: World) -> None:
    world.void = lambda step: True
    begin(steps=1)
    done = call("series", "run", "line")
    assert done.code == 4, done.err
    assert "is given up" in done.words
    assert re.search(r"^Failed .* in sessions/000000000100-safety-1: \w", done.out, re.MULTILINE)


def test_ctrl_c_prints_the_command_that_goes_on(begin: Begin, call: Call, world: World) -> None:
    folder = begin(steps=1)

    def interrupt(run: Path, session: Session) -> None:
        if len(session.answered) == 3:
            raise KeyboardInterrupt

    world.before = interrupt
    done = call("series", "run", "line")
    assert done.code == 130
    assert "cat-harness series run line" in done.err
    said = call("series", "next", "line")
    assert "sessions/000000000100-safety-1 is at work, or waits for" in said.out
    assert "at step 100, 3 of 6 tasks, in sessions/000000000100-safety-1\n" in (
        call("series", "status", "line").out
    )
    world.before = lambda run, session: None
    assert call("series", "run", "line").code == 0
    [session] = load_series(folder).checkpoints[0].sessions
    assert (session.state, session.tasks) == ("done", 6)


@pytest.mark.parametrize("command", ["next", "run", "status", "report", "watch"])
def test_a_bank_that_changed_is_refused(
    command: str, call: Call, world: World, here: Path, banks: Path
) -> None:
    bank = worlds.write_bank(here / "bank", THRESHOLDS, THRESHOLDS)
    done = call(
        *("series", "init", "line", "-b", bank, "--environments", banks / "tasks", "-a", "nop")
    )
    assert done.code == 0, done.err
    assert call("series", "add", "line", 100).code == 0
    worlds.write_bank(here / "bank2", list(THRESHOLDS)[:5], THRESHOLDS)
    (bank / "items.csv").write_bytes((here / "bank2" / "items.csv").read_bytes())
    more = ("checkpoints", "--once") if command == "watch" else ()
    done = call("series", command, "line", *more)
    assert done.code == 2, done.err
    assert "but series 'line' began with hash" in done.words
    assert "restore the bank, or begin a new series" in done.words


@pytest.mark.parametrize(
    "arguments", [("next",), ("run",), ("status",), ("report",), ("rebuild",), ("watch", ".")]
)
def test_a_series_that_is_not_there(arguments: tuple[str, ...], begin: Begin, call: Call) -> None:
    begin(name="a")
    begin(name="b")
    command, *more = arguments
    done = call("series", command, "c", *more)
    assert done.code == 2
    assert "no series at c or runs/series/c" in done.words
    assert "there are a, b; make one with cat-harness series init" in done.words


# --- watch --------------------------------------------------------------------------------------


def write_checkpoint(folder: Path, step: int, **settings: Any) -> Path:
    """A checkpoint as a trainer leaves it, a while ago."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_text("weights")
    if settings:
        (path / "cat-harness.yaml").write_text(yaml.safe_dump(settings))
    for part in (*path.iterdir(), path):
        os.utime(part, (time.time() - 60,) * 2)
    return path


QUICK = ("--poll", "0.05", "--settled", "5")


def test_what_is_there_is_registered_and_tested_once(
    begin: Begin, call: Call, world: World, here: Path
) -> None:
    folder = begin("--policy", "budget")
    path = write_checkpoint(here / "out", 100, agent="persona:1", jump=True, note="hello")
    write_checkpoint(here / "out", 200)
    watch = ("series", "watch", "line", "out", *QUICK, "--once")
    done = call(*watch, "--agent", "persona:{step}", "-m", "vllm/{path}", "--json")
    assert done.code == 0, done.err
    first, second = files.registered(folder)
    assert (first.agent, first.jump, first.note) == ("persona:1", True, "hello")
    assert (second.agent, second.jump, second.note) == ("persona:200", False, "")
    assert first.model == second.model == "vllm/{path}"
    assert first.path == str(path)
    # a budget is spent on the newest only
    assert [work["step"] for work in strict_json(done.out)["sessions"]] == [200]
    assert [launch.model for launch in world.launches] == [f"vllm/{here}/out/checkpoint-200"]
    again = call(*watch)
    assert again.code == 0
    assert "0 sessions held" in again.err
    assert len(files.registered(folder)) == 2


def test_checkpoints_are_tested_as_they_come(
    begin: Begin, call: Call, world: World, here: Path
) -> None:
    folder = begin()
    out = here / "out"

    def train() -> None:
        for step in (100, 200, 300):
            write_checkpoint(out, step)
            while not any(c.step == step and c.sessions for c in load_series(folder).checkpoints):
                time.sleep(0.02)

    training = threading.Thread(target=train, daemon=True)
    training.start()
    done = call("series", "watch", "line", "out", *QUICK, "--until", 300)
    assert done.code == 0, done.err
    training.join(60)
    assert [len(c.sessions) for c in load_series(folder).checkpoints] == [1, 1, 1]


def test_a_checkpoint_that_comes_during_a_session_is_the_next_to_be_tested(
    begin: Begin, call: Call, world: World, here: Path, banks: Path
) -> None:
    folder = begin("-b", banks / "skill", "--policy", "budget")
    write_checkpoint(here / "out", 100)

    def write(run: Path, session: Session) -> None:
        if run.name.startswith("000000000100") and not (here / "out" / "checkpoint-200").exists():
            write_checkpoint(here / "out", 200)
            time.sleep(0.1)

    world.before = write
    done = call("series", "watch", "line", "out", *QUICK, "--until", 200)
    assert done.code == 0, done.err
    held = [(c.step, s.bank) for c in load_series(folder).checkpoints for s in c.sessions]
    assert held[0] == (100, "safety")
    assert {step for step, _ in held[1:]} == {200}


def test_an_alarm_is_told_and_the_watch_goes_on_unless_told_otherwise(
    begin: Begin, call: Call, world: World, here: Path
) -> None:
    world.abilities = falling
    for name, more, last in (("on", (), FELL + 100), ("stop", ("--stop-on-alarm",), FELL)):
        folder = begin("--policy", "full", name=name)
        out = here / name

        def write(run: Path, session: Session, out: Path = out) -> None:
            step = int(run.name[:12]) + 100
            if step <= FELL + 100 and not (out / f"checkpoint-{step}").exists():
                write_checkpoint(out, step)

        write_checkpoint(out, 100)
        world.before = write
        done = call("series", "watch", name, out, *QUICK, "--until", FELL + 100, *more)
        assert done.code == 1, done.err
        tested = [c.step for c in load_series(folder).checkpoints if c.sessions]
        assert tested[-1] == last
    # what was confirmed before is no news, and does not stop it again
    done = call("series", "watch", "stop", out, *QUICK, "--until", FELL + 100, "--stop-on-alarm")
    assert done.code == 0, done.err
    assert [c.step for c in load_series(folder).checkpoints if c.sessions][-1] == FELL + 100


def test_a_checkpoint_that_another_watch_has_registered_is_no_mistake(
    begin: Begin, call: Call, world: World, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(steps=1)
    found = Found(100, write_checkpoint(here / "out", 100, agent="nop"))
    monkeypatch.setattr("harness.series.watch.watching", lambda *_, **__: iter([found]))
    done = call("series", "watch", "line", "out", *QUICK)
    assert done.code == 0, done.err
    assert "left out" not in done.err
    assert "1 session held" in done.err


def test_it_ends_when_nothing_comes(begin: Begin, call: Call, world: World, here: Path) -> None:
    begin()
    done = call("series", "watch", "line", "out", *QUICK, "--idle-exit", 0.3)
    assert done.code == 0, done.err
    assert "out: cannot be looked into" in done.words


def test_what_cannot_be_tested_is_left_out_and_told(
    begin: Begin, call: Call, world: World, here: Path
) -> None:
    folder = begin("--agent", "react")
    for step, model in ((100, "openai/a"), (200, None), (300, "openai/c")):
        write_checkpoint(here / "out", step, **({"model": model} if model else {}))
    done = call("series", "watch", "line", "out", *QUICK, "--once")
    assert done.code == 2, done.err
    assert "checkpoint-200 is left out: step 200 has no model" in done.words
    assert [c.step for c in files.registered(folder)] == [100, 300]
    # one from before the series is no mistake
    write_checkpoint(here / "out", 50, model="openai/o")
    (here / "out" / "checkpoint-200").rename(here / "elsewhere")
    done = call("series", "watch", "line", "out", *QUICK, "--once")
    assert done.code == 0, done.err
    assert "checkpoint-50 is left out: step 50 comes before step 300" in done.words


def test_a_pattern_that_cannot_be_used(begin: Begin, call: Call, here: Path) -> None:
    begin()
    done = call("series", "watch", "line", "out", "--pattern", "checkpoint", *QUICK)
    assert done.code == 2
    assert "pattern 'checkpoint' has to be a name with {step}" in done.words


def test_ctrl_c_while_nothing_happens(
    begin: Begin, call: Call, world: World, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.series_watch.time.sleep", sleep)
    done = call("series", "watch", "line", "out", *QUICK)
    assert done.code == 130
    assert "cat-harness series watch line out --poll 0.05 --settled 5" in done.err


# --- status, report, rebuild, list --------------------------------------------------------------


def test_a_series_without_checkpoints_can_be_looked_at(begin: Begin, call: Call) -> None:
    begin()
    done = call("series", "status", "line")
    assert done.code == 0, done.err
    assert "0 of 10 planned, 0 tested" in done.out
    assert strict_json(call("series", "status", "line", "--json").out)["checkpoints"] == []


def test_the_page_is_written_where_it_is_asked_for(
    begin: Begin, call: Call, world: World, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(steps=2)
    assert call("series", "run", "line").code == 0
    assert call("series", "report", "line").code == 0
    page = (folder / "report.html").read_text()
    assert "safety" in page
    assert "<svg" in page
    monkeypatch.setattr("harness.report.series.page.render_series", lambda summary: summary.name)
    assert call("series", "report", "line", "--out", "pages/mine.html").code == 0
    assert (here / "pages" / "mine.html").read_text() == "line"
    (folder / "report.html").unlink()
    done = call("series", "report", "line", "--json")
    assert strict_json(done.out) == strict_json(call("series", "status", "line", "--json").out)
    assert not (folder / "report.html").exists()


def test_a_lost_database_is_made_anew(begin: Begin, call: Call, world: World) -> None:
    folder = begin(steps=2)
    assert call("series", "run", "line").code == 0
    definition: Definition = read_definition(folder)
    before = open_index(folder, definition).works()
    for file in folder.glob("series.db*"):
        file.unlink()
    done = call("series", "rebuild", "line")
    assert done.code == 0, done.err
    assert done.out.strip() == "2 sessions of line read from runs/series/line"
    again = strict_json(call("series", "rebuild", "line", "--json").out)["sessions"]
    assert [work["answered"] for work in again] == [work.answered for work in before] == [6, 6]
    assert [work["status"] for work in again] == ["done", "done"]


def test_all_series_are_listed(begin: Begin, call: Call, world: World) -> None:
    assert strict_json(call("series", "list", "--json").out) == []
    begin(name="b", steps=2)
    begin(name="a")
    assert call("series", "run", "b").code == 0
    rows = strict_json(call("series", "list", "--json").out)
    assert [(r["name"], r["checkpoints"], r["last_step"], r["sessions"]) for r in rows] == [
        ("a", 0, None, 0),
        ("b", 2, 200, 2),
    ]
    out = call("series", "list").out
    assert re.search(r"^ b +safety +2 +200 +2", out, re.MULTILINE)


def test_nothing_asks_on_a_terminal(
    begin: Begin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*arguments: object) -> str:
        raise AssertionError("nobody is there to answer")

    monkeypatch.setattr("builtins.input", ask)
    begin(steps=1)
    done: Done = call("series", "init")
    assert done.code == 2
    assert "Missing argument 'NAME'" in done.err
