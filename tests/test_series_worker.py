"""A worker of a series: whole series, with sessions whose answers are drawn and nothing is run."""

import errno
import fcntl
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from databases import Server
from hypothesis import given, settings
from hypothesis import strategies as st
from series_worlds import Before, World, nothing, run, world

from harness import journal
from harness.bank import Item, ItemBank
from harness.bank_files import save_bank
from harness.errors import AgentError, BankError, InfrastructureError, InputError
from harness.events import (
    Answered,
    Event,
    Launch,
    Plan,
    Stopped,
)
from harness.schedule.drift import Drift
from harness.series import files, holding, judge, worker
from harness.series.definition import Definition, SeriesBank, write_definition
from harness.series.files import AlarmRecord, Registered, register
from harness.series.index import open_index
from harness.series.judge import verdicts
from harness.series.notify import notify
from harness.series.preview import preview
from harness.series.serve import serving
from harness.series.state import find_series, load_series
from harness.series.worker import Outcome, work_on
from harness.session import Session

__all__ = ["world"]

SECONDS = 60.0
"""What a test waits at most for something that takes a moment."""
FALLING = [0.3] * 6 + [-2.0] * 4


def small_bank(name: str = "safety", size: int = 60) -> ItemBank:
    return ItemBank(
        name,
        tuple(Item(f"{name}-{k}", "2pl", (2.5,), (2 - 4 * k / size,)) for k in range(size)),
    )


def make_series(folder: Path, *names: str, steps: int = 0, **changes: Any) -> Path:
    """A series of banks that are made for it, with so many checkpoints 100 steps apart."""
    banks = [small_bank(name) for name in names or ("safety",)]
    for bank in banks:
        save_bank(bank, folder / "banks" / bank.name)
    known = tuple(SeriesBank(b.name, str(folder / "banks" / b.name), b.hash) for b in banks)
    given: dict[str, Any] = {
        "policy": "fixed(6)",
        "alarms": ((banks[0].name, "fall>0.25 within 3"),),
        "drift": Drift(unit=100),
        "checkpoints": 10,
        "lease": 5.0,
        "created": time.time(),
    }
    name = f"line-{uuid4().hex[:8]}"
    write_definition(folder, Definition(name, known, Launch("", "oracle"), **{**given, **changes}))
    for k in range(steps):
        register(folder, Registered(100 * (k + 1)))
    return folder


def falling(name: str) -> float:
    return FALLING[int(name[:12]) // 100 - 1]


def grow(folder: Path, *steps: int, said: list[str] | None = None) -> list[Outcome]:
    """Each checkpoint is tested before the next one comes."""
    outcomes = []
    for step in steps:
        register(folder, Registered(step))
        outcomes.append(run(folder, said))
    return outcomes


def sessions(folder: Path) -> dict[str, list[Event]]:
    return {
        work.id: list(journal.read(files.session_folder(folder, work)).events)
        for work in files.works(folder)
    }


def answers(folder: Path) -> dict[str, list[tuple[str, int]]]:
    found = {}
    for name, events in sessions(folder).items():
        found[name] = [(e.item, e.category) for e in events if isinstance(e, Answered)]
        items = Counter(item for item, _ in found[name])
        assert set(items.values()) <= {1}, name
    return found


@dataclass
class Hook:
    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook that keeps what it got."""
    state = Hook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append(json.loads(body))
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        server.shutdown()


# --- whole series ---


def test_a_fall_is_found_confirmed_and_told_once(world: World, hook: Hook, tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    folder = make_series(
        tmp_path / "s",
        webhook=hook.url,
        on_alarm=f"echo $CAT_HARNESS_STEP $CAT_HARNESS_STATE >> {told}",
    )
    world.abilities = falling
    outcomes = grow(folder, *range(100, 1100, 100))
    for k, outcome in enumerate(outcomes):
        assert {work.step for work in outcome.sessions} == {100 * (k + 1)}
    codes = [outcome.exit_code for outcome in outcomes]
    assert codes[:6] == [0] * 6
    record = files.alarms(folder)[0]
    assert (record.bank, record.state) == ("safety", "confirmed")
    assert record.step in (700, 800)
    assert set(record.notified) == {"command", "webhook"}
    assert codes.index(1) == record.step // 100 - 1
    # told once, of this fall
    assert len(hook.got) == 1
    assert hook.got[0]["step"] == record.step
    assert hook.got[0]["ability"] < hook.got[0]["baseline"] - 1
    assert told.read_text().split() == [str(record.step), "confirmed"]
    # the confirming session is held on tasks that were not used lately
    [confirm] = [w for w in files.works(folder) if w.step == record.step and w.number == 2]
    assert confirm.purpose == "confirm"
    held = answers(folder)
    fresh = {item for item, _ in held[confirm.id]}
    routine = {item for item, _ in held[f"{record.step:012d}-safety-1"]}
    assert len(fresh) >= 10
    assert not fresh & routine
    # nothing is left, and the database says the same as the files
    assert run(folder).sessions == ()
    index = open_index(folder, load_series(folder).definition)
    assert {work.status for work in index.works()} == {"done"}
    assert {Path(work.run).name for work in index.works()} == set(held)


def test_without_a_fall_nothing_is_told(world: World, hook: Hook, tmp_path: Path) -> None:
    folder = make_series(tmp_path, "safety", "coding", webhook=hook.url)
    for outcome in grow(folder, 100, 200, 300, 400):
        assert outcome.exit_code == 0
        assert {work.bank for work in outcome.sessions} == {"safety", "coding"}
    assert files.alarms(folder) == ()
    assert hook.got == []
    assert {len(found) for found in answers(folder).values()} == {6}


def test_a_single_low_session_is_dismissed_by_a_fresh_one(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, policy="fixed(8)")
    # the routine session of step 400 looks as if ability had fallen
    world.abilities = lambda name: -3.0 if name == "000000000400-safety-1" else 0.3
    said: list[str] = []
    outcomes = grow(folder, 100, 200, 300, 400, said=said)
    [record] = files.alarms(folder)
    assert (record.step, record.state, record.notified) == (400, "dismissed", ())
    assert record.settled is not None
    assert record.settled < record.probability
    assert [outcome.exit_code for outcome in outcomes] == [0] * 4
    assert any("raised" in text for text in said)
    assert any("dismissed" in text for text in said)


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def test_killed_at_any_write_it_goes_on_as_if_nothing_had_happened(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world.abilities = lambda name: 1.0 if name < "000000000300" else -3.0
    flush = os.fsync

    def make() -> Path:
        folder = tmp_path_factory.mktemp("series")
        return make_series(folder, steps=2, policy="fixed(7)", lease=0.2)

    def whole(folder: Path) -> None:
        run(folder)
        if len(files.registered(folder)) == 2:
            register(folder, Registered(300))
        run(folder)

    expected = make()
    whole(expected)
    assert [record.state for record in files.alarms(expected)] == ["confirmed"]

    @settings(max_examples=4)
    @given(kills=st.lists(st.integers(1, 90), min_size=1, max_size=3))
    def check(kills: list[int]) -> None:
        folder = make()
        for kill in kills:
            left = kill

            def killing(descriptor: int) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed
                flush(descriptor)

            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", killing)
                try:
                    whole(folder)
                except Killed:
                    # leases of a worker that is gone run out
                    time.sleep(0.25)
        whole(folder)
        assert answers(folder) == answers(expected)
        alarms = [[replace(a, raised_at=0.0) for a in files.alarms(f)] for f in (folder, expected)]
        assert alarms[0] == alarms[1]
        index = open_index(folder, load_series(folder).definition)
        assert {work.status for work in index.works()} == {"done"}

    check()


def test_one_fall_is_one_alarm_however_often_it_is_judged(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path)
    world.abilities = falling
    for step in range(400, 1100, 100):
        grow(folder, step)
        # a worker that was killed may have judged and not gone on; the next one finds nothing new
        assert verdicts(load_series(folder), 0.0) == ()
    assert [record.state for record in files.alarms(folder)] == ["confirmed"]


def test_metrics_get_what_is_believed_of_each_checkpoint(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(worker, "checked", lambda targets: ())
    monkeypatch.setattr(worker, "publish", lambda *found: sent.append(found[:3]))
    folder = make_series(tmp_path, steps=2, metrics=("wandb:line",))
    run(folder)
    assert [(targets, step) for targets, _, step in sent] == [
        (("wandb:line",), 100),
        (("wandb:line",), 200),
    ]
    loaded = load_series(folder)
    ability = loaded.situation.course("safety").filtered(1)
    _, seen = loaded.situation.suspicions["safety"]
    assert sent[1][1] == {
        "safety/alarm": pytest.approx(seen.probability),
        "safety/ability": pytest.approx(float(ability.mean[0])),
        "safety/sd": pytest.approx(float(ability.sd[0])),
        "safety/tasks": 6,
    }


def test_metrics_that_cannot_be_sent_are_known_before_anything_is_run(
    world: World, tmp_path: Path
) -> None:
    folder = make_series(tmp_path, steps=1, metrics=("nowhere:line",))
    with pytest.raises(InputError, match="nowhere:line"):
        run(folder)
    assert not world.launches


def test_a_series_without_checkpoints_has_nothing_to_do(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path)
    assert run(folder) == Outcome((), (), (), ())
    assert preview(load_series(folder)) == ()


# --- limits ---


def test_limits_end_a_call_between_sessions(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, "a", "b", "c", steps=1)
    first = run(folder, max_sessions=1)
    assert [work.bank for work in first.sessions] == ["a"]
    assert [proposal.bank for proposal in first.left] == ["b", "c"]
    world.usd = 1.0
    said: list[str] = []
    second = run(folder, said, max_usd=2.5)
    # what is left of it ends the session too
    assert [(work.bank, len(answers(folder)[work.id])) for work in second.sessions] == [("b", 3)]
    assert any("the limit is $2.5; step 100 is left to test on c" in text for text in said)
    said.clear()
    stopped = run(folder, said, stop=lambda: True)
    assert (stopped.sessions, [proposal.bank for proposal in stopped.left]) == ((), ["c"])
    assert said == []
    assert run(folder, max_seconds=1e-9).sessions == ()
    assert [work.bank for work in run(folder, max_seconds=1e6).sessions] == ["c"]
    assert run(folder).left == ()


def test_it_waits_for_more_until_it_is_told_to_stop(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=1)
    done = 0

    def stop() -> bool:
        nonlocal done
        done = len(files.works(folder))
        if done == 1 and len(files.registered(folder)) == 1:
            register(folder, Registered(200))
        return done == 2 and (files.session_folder(folder, files.works(folder)[1])).is_dir()

    assert len(run(folder, until_idle=False, stop=stop).sessions) == 2


def test_preview_is_what_is_then_done(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, "a", "b", steps=2)
    ahead = preview(load_series(folder))
    assert np.isnan(ahead[0].usd)
    held = run(folder).sessions
    assert {(work.step, work.bank) for work in held} == {
        (found.proposal.step, found.proposal.bank) for found in ahead
    }
    assert len(held) == len(ahead) == 4
    assert preview(load_series(folder)) == ()
    register(folder, Registered(300))
    # what tasks cost so far is what they will cost
    assert preview(load_series(folder))[0].usd == pytest.approx(6 * 0.01)
    assert preview(load_series(folder))[0].seconds == pytest.approx(12.0)


def test_an_adaptive_session_ends_at_its_sd(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=1, policy="adaptive(0.4)")
    run(folder)
    [events] = sessions(folder).values()
    assert isinstance(events[-1], Stopped)
    assert events[-1].outcome == "precise"
    assert len(answers(folder)["000000000100-safety-1"]) < 40


# --- what goes wrong ---


def test_a_bank_that_changes_in_mid_series_is_refused_until_it_is_restored(
    world: World, tmp_path: Path
) -> None:
    folder = make_series(tmp_path, steps=1)
    run(folder)
    table = tmp_path / "banks" / "safety" / "items.csv"
    before = table.read_text()
    register(folder, Registered(200))

    def change(run: Path, session: Session) -> None:
        table.write_text(before.replace("2.5", "2.4"))

    world.before = change
    # in the middle of a session: what was begun with the old one ends, nothing follows
    with pytest.raises(BankError, match="restore the bank, or begin a new series"):
        run(folder)
    world.before = nothing
    with pytest.raises(BankError, match="restore"):
        run(folder)
    table.write_text(before)
    run(folder)
    assert {len(found) for found in answers(folder).values()} == {6}
    assert len(files.works(folder)) == 2


def test_a_serving_command_that_fails_gives_its_checkpoint_up(world: World, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    folder = make_series(tmp_path / "s")
    register(folder, Registered(100, serve=f"echo {{step}} >> {tried}; echo no GPU; exit 3"))
    said: list[str] = []
    outcome = run(folder, said)
    assert tried.read_text().split() == ["100"] * 3
    assert outcome.exit_code == 4
    [problem] = outcome.problems
    assert "no GPU" in problem
    assert "exit code 3" in problem
    assert "to try it again: delete" in problem
    assert problem in said
    assert not world.launches
    # the series goes on with the next
    register(folder, Registered(200))
    outcome = run(folder)
    assert [work.step for work in outcome.sessions] == [200]
    assert outcome.exit_code == 0
    [failed, _] = load_series(folder).checkpoints
    assert failed.sessions[0].state == "failed"


def test_a_checkpoint_that_was_given_up_can_be_tried_again(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gpu"
    folder = make_series(tmp_path / "s")
    serve = f"test -e {gate} || exit 1; echo http://127.0.0.1:9; exec sleep 600"
    register(folder, Registered(100, serve=serve))
    [problem] = run(folder).problems
    gate.touch()
    # as the problem says
    failed = problem.split("delete ")[1].split(",")[0]
    for path in Path(failed).iterdir():
        path.unlink()
    Path(failed).rmdir()
    index = open_index(folder, load_series(folder).definition)
    index.rebuild()
    assert [work.step for work in run(folder).sessions] == [100]


def test_a_serving_command_that_hangs_is_stopped(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "serving", partial(serving, timeout=0.3, grace=0.5))
    folder = make_series(tmp_path)
    register(folder, Registered(100, serve="echo loading; exec sleep 600"))
    outcome = run(folder)
    assert outcome.exit_code == 4
    assert "printed none within 0.3 s and was stopped" in outcome.problems[0]
    assert "loading" in outcome.problems[0]


def test_a_served_checkpoint_is_reached_where_its_command_says(
    world: World, tmp_path: Path
) -> None:
    launch = Launch("", "react", model="openai-api/local/{model}", model_args=(("api_key", "x"),))
    folder = make_series(tmp_path / "s", "safety", "coding")
    definition = load_series(folder).definition
    (folder / "series.yaml").unlink()
    write_definition(folder, replace(definition, launch=launch))
    serve = "echo http://127.0.0.1:7000 ckpt-{step}; exec sleep 600"
    register(folder, Registered(100, serve=serve))
    register(folder, Registered(200, serve=serve.replace(":7000", ":7000/api")))
    assert run(folder).exit_code == 0
    assert {launch.model for launch in world.launches} == {
        "openai-api/local/ckpt-100",
        "openai-api/local/ckpt-200",
    }
    assert {launch.model_args for launch in world.launches} == {
        (("api_key", "x"), ("base_url", "http://127.0.0.1:7000/v1")),
        (("api_key", "x"), ("base_url", "http://127.0.0.1:7000/api")),
    }


def test_a_served_session_is_gone_on_with_at_the_endpoint_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.runners import live

    called: list[tuple[str, Any]] = []
    for name in ("start", "resume"):

        def record(*given: Any, name: str = name, model: Any = None, **others: Any) -> None:
            called.append((name, model and model.api.base_url))

        monkeypatch.setattr(live, name, record)
    args = (("base_url", "http://127.0.0.1:7000/v1"),)
    launch = Launch("bank", "react", model="mockllm/model", model_args=args)
    follow = partial(holding.follow, tmp_path, notify=None, say=print)
    follow(launch, Plan(), served=True)
    (tmp_path / journal.NAME).write_text("cut short")
    follow(launch, Plan(), served=True)
    (tmp_path / journal.NAME).write_text("a line\n")
    follow(launch, Plan(), served=False)
    follow(
        replace(launch, model_args=((args[0][0], "http://127.0.0.1:7001"),)), Plan(), served=True
    )
    assert called == [
        ("start", None),
        ("start", None),
        ("resume", None),
        ("resume", "http://127.0.0.1:7001"),
    ]
    with pytest.raises(AgentError, match="model 'nobody/model' cannot be used"):
        follow(replace(launch, model="nobody/model"), Plan(), served=True)


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        ("echo http://127.0.0.1:7000; exec sleep 600", "let it print its URL and the name"),
        ("echo {nothing}", r"\{nothing\}.*no placeholder"),
    ],
)
def test_a_checkpoint_that_cannot_be_launched_is_given_up_at_once(
    serve: str, words: str, world: World, tmp_path: Path
) -> None:
    folder = make_series(tmp_path)
    register(folder, Registered(100, model="openai-api/local/{model}", serve=serve))
    outcome = run(folder)
    assert outcome.exit_code == 4
    assert re.search(words, outcome.problems[0])
    assert not world.launches


def test_an_agent_of_the_whole_series_that_does_not_load_gives_nothing_up(
    world: World, tmp_path: Path
) -> None:
    folder = make_series(tmp_path, steps=1)

    def broken(run: Path, session: Session) -> None:
        raise AgentError("agent 'oracle' does not import")

    world.before = broken
    for _ in range(4):
        with pytest.raises(AgentError, match="does not import"):
            run(folder)
    world.before = nothing
    assert len(run(folder).sessions) == 1


def test_a_session_that_ends_on_voids_is_tried_again_then_given_up(
    world: World, tmp_path: Path
) -> None:
    folder = make_series(tmp_path, steps=1)
    tries = 0

    def void(step: int) -> bool:
        nonlocal tries
        tries += step == 100
        return tries <= 3

    world.void = void
    said: list[str] = []
    outcome = run(folder, said)
    assert outcome.exit_code == 0
    assert any("no answer" in text and "attempt 1 of 3 failed" in text for text in said)
    [events] = sessions(folder).values()
    assert [e.outcome for e in events if isinstance(e, Stopped)] == ["voids", "limit"]
    register(folder, Registered(200))
    world.void = lambda step: step == 200
    outcome = run(folder)
    assert outcome.exit_code == 4
    assert "no answer" in outcome.problems[0]
    assert len(world.launches) == 2 + 3
    world.void = lambda step: False
    register(folder, Registered(300))
    assert [work.step for work in run(folder).sessions] == [300]


def test_a_full_disk_loses_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_series(tmp_path, steps=1)
    flush, room = os.fsync, 5

    def full(descriptor: int) -> None:
        nonlocal room
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(journal.NAME):
            room -= 1
            if room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InfrastructureError, match="No space left on device") as raised:
            run(folder, said)
    assert "what it holds is whole" in str(raised.value)
    assert sum("trying again" in text for text in said) == 2
    kept = answers(folder)["000000000100-safety-1"]
    assert len(kept) == 2
    outcome = run(folder)
    assert outcome.exit_code == 0
    assert answers(folder)["000000000100-safety-1"][:2] == kept
    assert len(answers(folder)["000000000100-safety-1"]) == 6


def interrupt(run: Path, session: Session) -> None:
    if len(session.answered) == 3:
        raise KeyboardInterrupt


def terminate(run: Path, session: Session) -> None:
    if len(session.answered) == 3:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS)


@pytest.mark.parametrize("end", [interrupt, terminate])
def test_an_interrupted_worker_gives_its_work_back(
    end: Before, world: World, tmp_path: Path
) -> None:
    # whoever starts tests may have had Ctrl-C ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = make_series(tmp_path, steps=1, lease=600.0)
    for _ in range(4):
        world.before = end
        said: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            run(folder, said)
        assert "nothing answered is lost" in said[-1]
        assert f"cat-harness series run {folder}" in said[-1]
        index = open_index(folder, load_series(folder).definition)
        assert [work.status for work in index.works()] == ["planned"]
    world.before = nothing
    assert len(run(folder).sessions) == 1
    assert len(answers(folder)["000000000100-safety-1"]) == 6


def test_a_lease_that_is_lost_ends_the_session(world: World, tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = make_series(tmp_path, steps=1, lease=0.3)
    index = open_index(folder, load_series(folder).definition)
    thief: list[Any] = []

    def stolen(run: Path, session: Session) -> None:
        if len(session.answered) == 2 and not thief:
            taken = index.claim("thief", 0.5, lambda: None, now=time.time() + 1000)
            assert taken is not None
            thief.append(taken)
            # the thief's own lease ends soon
            index.release(taken)
            with pytest.raises(KeyboardInterrupt):
                time.sleep(SECONDS)
            raise KeyboardInterrupt

    world.before = stolen
    said: list[str] = []
    outcome = run(folder, said)
    assert any("Another worker has taken" in text for text in said)
    assert len(outcome.sessions) == 1
    assert len(answers(folder)["000000000100-safety-1"]) == 6
    kinds = [event.kind for event in sessions(folder)["000000000100-safety-1"]]
    assert kinds.count("started") == 2


def test_a_session_that_somebody_still_writes_is_left_alone(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=1, lease=0.3)
    world.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    world.before = nothing
    path = folder / files.SESSIONS / "000000000100-safety-1" / journal.NAME
    before = path.read_bytes()
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def release(text: str) -> None:
            said.append(text)
            if sum("still being worked on" in told for told in said) == 5:
                seen.append(path.read_bytes())
                fcntl.flock(held, fcntl.LOCK_UN)

        said: list[str] = []
        seen: list[bytes] = []
        outcome = work_on(folder, say=release)
    assert seen[0] == before
    assert len(outcome.sessions) == 1
    assert outcome.problems == ()


def test_it_waits_for_another_worker_and_takes_over(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=1)
    definition = load_series(folder).definition
    index = open_index(folder, definition)
    other = worker._Shift(
        index, load_series(folder), lambda text: None, worker._Limits(None, None, None, bool), None
    )
    taken = index.claim("lost", 600.0, other.plan)
    assert taken is not None
    said: list[str] = []

    def heard(text: str) -> None:
        said.append(text)
        if "Waiting for lost" in text:
            # as if the lease had run out in the meantime
            with index.database.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE harness_works SET expires = 0")

    outcome = work_on(folder, say=heard)
    assert [work.id for work in outcome.sessions] == [taken.work.id]
    assert any("Waiting for lost" in text for text in said)


def test_a_session_that_was_over_is_only_recorded(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=1)
    run(folder)
    definition = load_series(folder).definition
    (folder / "series.db").unlink()
    index = open_index(folder, definition)
    assert [work.status for work in index.works()] == ["done"]
    # as if the worker had been lost before it was
    with index.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE harness_works SET status = 'planned'")
    launched = len(world.launches)
    run(folder)
    assert len(world.launches) == launched
    assert [work.status for work in index.works()] == ["done"]
    assert index.works()[0].answered == 6


def test_a_database_that_goes_away_and_comes_back(
    world: World, tmp_path: Path, postgres_server: Server
) -> None:
    folder = make_series(tmp_path, steps=1, database=postgres_server.url, lease=1.0)
    said: list[str] = []

    def away(run: Path, session: Session) -> None:
        if len(session.answered) == 2 and postgres_server.process is not None:
            postgres_server.stop()
        if len(session.answered) == 5:
            # the session goes on; somebody mends the server while its end waits to be recorded
            deadline = time.monotonic() + SECONDS
            while not any("lease cannot be renewed" in text for text in said):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            threading.Timer(1.0, postgres_server.start).start()

    world.before = away
    outcome = run(folder, said)
    assert outcome.exit_code == 0
    assert len(outcome.sessions) == 1
    assert len(answers(folder)["000000000100-safety-1"]) == 6
    assert any("The session goes on" in text for text in said)
    assert any("waiting for it" in text for text in said)
    index = open_index(folder, load_series(folder).definition)
    assert [work.status for work in index.works()] == ["done"]


def untold(folder: Path, **changes: Any) -> Path:
    """A series with an alarm that was confirmed by a worker that was killed at once."""
    make_series(folder, steps=2, **changes)
    run(folder)
    alarm = AlarmRecord(200, "safety", "fall>0.25 within 3", 0.97, 1.0, "confirmed", 0.99)
    files.write_alarm(folder, alarm)
    return folder


def test_whom_an_alarm_did_not_reach_is_told_later(
    world: World, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "notify", partial(notify, pause=0.01))
    told = tmp_path / "told.txt"
    folder = untold(tmp_path / "s", webhook=hook.url, on_alarm=f"echo once >> {told}")
    hook.status = 503
    said: list[str] = []
    # an alarm at the last checkpoint stands, whoever asks
    assert run(folder, said).exit_code == 1
    assert files.alarms(folder)[0].notified == ("command",)
    assert any("the webhook was not told" in text for text in said)
    tried = len(hook.got)
    hook.status = 200
    for _ in range(2):
        run(folder)
        assert files.alarms(folder)[0].notified == ("command", "webhook")
        assert len(hook.got) == tried + 1
    assert told.read_text().split() == ["once"]


def test_two_workers_tell_of_an_alarm_once(world: World, hook: Hook, tmp_path: Path) -> None:
    folder = untold(tmp_path, webhook=hook.url)
    threads = [threading.Thread(target=run, args=(folder,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(hook.got) == 1


# --- finding a series ---


def test_a_series_is_found_by_name_or_folder(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "line")
    for named in ("line", folder, str(folder), folder / "series.yaml"):
        assert find_series(named, tmp_path) == folder
    with pytest.raises(InputError, match=r"no series at lime .*there are line; make one with"):
        find_series("lime", tmp_path)
    with pytest.raises(InputError, match="there is none in"):
        find_series("lime", tmp_path / "elsewhere")


def test_a_checkpoint_that_is_not_there_is_named(world: World, tmp_path: Path) -> None:
    folder = make_series(tmp_path, steps=2)
    loaded = load_series(folder)
    assert loaded.at(200)[0] == Registered(200)
    with pytest.raises(InputError, match="step 300 is not registered"):
        loaded.at(300)
    run(folder)
    assert load_series(folder, loaded).checkpoints == load_series(folder).checkpoints
    assert loaded.course("safety", 100).steps == (100,)
