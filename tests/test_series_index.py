"""The database of a series, on SQLite and PostgreSQL: no work twice, none lost, whatever ends."""

import multiprocessing as mp
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from databases import Server
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from test_series_files import first_work, hold, make_bank, make_definition

from harness.errors import InfrastructureError, InputError
from harness.series import files, history
from harness.series.database import Database
from harness.series.definition import Definition
from harness.series.engine import VARIABLE, database_url
from harness.series.files import AlarmRecord, Registered, Work
from harness.series.history import Facts
from harness.series.index import (
    ATTEMPTS,
    Claim,
    Index,
    open_index,
    rebuild,
)

SECONDS = 60.0
"""What a test waits at most for something that takes a moment."""
Spawn = mp.get_context("spawn")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def series(folder: Path, database: str = "", **changes: Any) -> Definition:
    """A series of a name that no other test has in the same database."""
    definition = make_definition(folder, database=database, **changes)
    return replace(definition, name=f"line-{uuid4().hex[:8]}")


def planner(folder: Path, tasks: int = 2, until: int = 40) -> Callable[[], Work | None]:
    """A new step each time, until there are so many."""

    def plan() -> Work | None:
        count = len(files.work_ids(folder))
        return first_work(step=count, tasks=tasks) if count < until else None

    return plan


def nothing() -> None:
    return None


def statuses(index: Index) -> dict[int, str]:
    return {work.step: work.status for work in index.works()}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def work_on(folder: Path, definition: Definition, owner: str, results: Any) -> None:
    """A worker: all that there is to do, one after the other."""
    index = open_index(folder, definition)
    claimed = []
    while claim := index.claim(owner, 60.0, planner(folder)):
        claimed.append(claim.work.id)
        index.finish(claim, Facts("done", answered=1))
    results.put((owner, claimed))


def test_workers_at_once_take_each_work_once(database: str, tmp_path: Path) -> None:
    definition = series(tmp_path, database)
    results = Spawn.Queue()
    workers = [
        Spawn.Process(target=work_on, args=(tmp_path, definition, f"w{k}", results))
        for k in range(2)
    ]
    for worker in workers:
        worker.start()
    claimed = dict(results.get(timeout=SECONDS) for _ in workers)
    for worker in workers:
        worker.join(SECONDS)
        assert worker.exitcode == 0
    every = [work for works in claimed.values() for work in works]
    assert len(every) == 40
    assert set(every) == files.work_ids(tmp_path)
    index = open_index(tmp_path, definition)
    assert set(statuses(index).values()) == {"done"}
    assert len(index.works()) == 40


def test_threads_at_once_take_each_work_once(database: str, tmp_path: Path) -> None:
    said: list[str] = []
    index = open_index(tmp_path, series(tmp_path, database), say=said.append)
    claimed: list[str] = []

    def run(owner: str) -> None:
        while claim := index.claim(owner, 60.0, planner(tmp_path, until=24)):
            claimed.append(claim.work.id)
            assert index.renew(claim)
            index.finish(claim, Facts("done"))

    threads = [threading.Thread(target=run, args=(f"t{k}",)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(claimed) == 24
    assert set(claimed) == files.work_ids(tmp_path)
    # they wait for one another, and not because a transaction had to be given up
    assert not said


PLACES = ("plan", "row", "lease", "journal", "finish")


def claim_and_freeze(all_of_them: dict[str, tuple[Path, Definition]], told: Any) -> None:
    """A worker in each of some series, that gets as far as a place, says so, and freezes."""
    write_work = files.write_work

    def freeze(place: str) -> None:
        told.put(place)
        time.sleep(10 * SECONDS)

    def write(folder: Path, work: Work) -> Path:
        path = write_work(folder, work)
        if folder == all_of_them["row"][0]:
            freeze("row")
        return path

    def run(place: str) -> None:
        folder, definition = all_of_them[place]
        index = open_index(folder, definition)

        def plan() -> Work | None:
            if place == "plan":
                freeze(place)
            return planner(folder)()

        claim = index.claim("lost", 30.0, plan)
        assert claim is not None
        if place != "lease":
            hold(folder, claim.work, make_bank(), events=3 if place == "journal" else None)
        freeze(place)

    files.write_work = write
    for place in PLACES:
        threading.Thread(target=run, args=(place,)).start()


def test_a_worker_that_is_killed_loses_nothing(database: str, tmp_path: Path) -> None:
    all_of_them = {}
    for place in PLACES:
        (tmp_path / place).mkdir()
        all_of_them[place] = (tmp_path / place, series(tmp_path / place, database))
    told = Spawn.Queue()
    worker = Spawn.Process(target=claim_and_freeze, args=(all_of_them, told))
    worker.start()
    assert {told.get(timeout=SECONDS) for _ in PLACES} == set(PLACES)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(SECONDS)

    for place, (folder, definition) in all_of_them.items():
        index = open_index(folder, definition)
        has_lease = place in ("lease", "journal", "finish")
        if has_lease:
            (held,) = index.active()
            assert (held.owner, held.attempts) == ("lost", 1)
            assert index.claim("next", 30.0, nothing, now=time.time() - 20) is None
        later = time.time() + 31
        claim = index.claim("next", 30.0, planner(folder), now=later)
        assert claim is not None
        assert claim.work == first_work(step=0, tasks=2)
        assert claim.attempts == (2 if has_lease else 1)
        assert index.claim("third", 30.0, planner(folder, until=1), now=later) is None
        assert len(index.works()) == 1


def test_a_worker_that_is_killed_at_any_moment_loses_nothing(database: str, tmp_path: Path) -> None:
    definition = series(tmp_path, database)
    results = Spawn.Queue()
    worker = Spawn.Process(target=work_on, args=(tmp_path, definition, "lost", results))
    worker.start()
    wait_for(lambda: len(files.work_ids(tmp_path)) > 5)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(SECONDS)

    index = open_index(tmp_path, definition)
    before = {work.step for work in index.works() if work.status == "done"}
    later = time.time() + 61
    claimed = []
    while claim := index.claim("next", 60.0, planner(tmp_path), now=later):
        claimed.append(claim.work.step)
        index.finish(claim, Facts("done"))
    assert sorted([*before, *claimed]) == list(range(40))
    assert sum(work.attempts > 1 for work in index.works()) <= 1


def test_a_worker_in_time_keeps_its_work_and_one_too_late_does_not(
    database: str, tmp_path: Path
) -> None:
    index = open_index(tmp_path, series(tmp_path, database))
    only = planner(tmp_path, until=1)
    first = index.claim("a", 10.0, only, now=100.0)
    assert first is not None
    assert index.renew(first, now=109.0)
    assert index.claim("b", 10.0, only, now=118.9) is None
    second = index.claim("b", 10.0, only, now=119.0)
    assert second is not None
    assert not index.renew(first, now=119.0)
    index.release(first)
    assert not index.fail(first, "too late", final=True)
    assert [work.owner for work in index.active(now=120.0)] == ["b"]
    # the journal is the truth: what came of it holds, whoever says so
    index.finish(first, Facts("done", answered=2, ability=0.5, sd=0.25))
    assert not index.renew(second)
    (work,) = index.works()
    assert (work.status, work.answered, work.ability, work.sd) == ("done", 2, 0.5, 0.25)


def test_a_work_that_fails_again_and_again_is_given_up(database: str, tmp_path: Path) -> None:
    index = open_index(tmp_path, series(tmp_path, database))
    files.register(tmp_path, Registered(0))
    only = planner(tmp_path, until=1)
    for attempt in range(1, ATTEMPTS + 1):
        claim = index.claim("a", 10.0, only)
        assert claim is not None
        assert claim.attempts == attempt
        assert index.fail(claim, f"no\0 \udcff {attempt}") == (attempt == ATTEMPTS)
    assert index.claim("a", 10.0, only) is None
    (work,) = index.works()
    assert (work.status, work.error) == ("failed", f"no \\udcff {ATTEMPTS}")
    (session,) = history.sessions(tmp_path, {"small": make_bank()})[0]
    assert (session.state, session.error) == (work.status, work.error)


def test_a_work_whose_workers_vanish_is_given_up(tmp_path: Path) -> None:
    index = open_index(tmp_path, series(tmp_path))
    only = planner(tmp_path, until=1)
    for attempt in range(ATTEMPTS):
        assert index.claim("a", 1.0, only, now=10.0 * attempt) is not None
    assert index.claim("a", 1.0, only, now=100.0) is None
    (work,) = index.works()
    assert work.status == "failed"
    assert "not heard of" in work.error


def test_a_session_whose_worker_vanished_after_its_end_is_done(tmp_path: Path) -> None:
    index = open_index(tmp_path, series(tmp_path))
    only = planner(tmp_path, until=1)
    for attempt in range(ATTEMPTS):
        claim = index.claim("a", 1.0, only, now=10.0 * attempt)
    assert claim is not None
    hold(tmp_path, claim.work, make_bank())
    assert index.claim("a", 1.0, only, now=100.0) is None
    (work,) = index.works()
    facts = history.facts(tmp_path, claim.work, make_bank())
    assert (work.status, work.ability, work.sd) == ("done", facts.ability, facts.sd)
    assert not list(tmp_path.rglob(files.FAILURE))


@dataclass
class Model:
    """What the works of a series should be, by plain bookkeeping."""

    now: float = 0.0
    status: dict[int, str] = field(default_factory=dict)
    expires: dict[int, float] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    holder: dict[int, int] = field(default_factory=dict)
    """Number of the claim that holds a work."""

    def claimed(self, number: int, until: int, lease: float) -> int | None:
        for step in sorted(self.status):
            leased = self.status[step] == "leased"
            if self.status[step] == "planned" or (leased and self.expires[step] <= self.now):
                if self.attempts[step] == ATTEMPTS:
                    self.status[step] = "failed"
                    continue
                break
        else:
            if (step := len(self.status)) == until:
                return None
            self.attempts[step] = 0
        self.status[step] = "leased"
        self.attempts[step] += 1
        self.expires[step] = self.now + lease
        self.holder[step] = number
        return step


operations = st.lists(
    st.tuples(
        st.sampled_from(
            ["claim", "claim", "claim", "renew", "finish", "fail", "release", "wait", "rebuild"]
        ),
        st.integers(0, 9),
    ),
    max_size=16,
)


@settings(max_examples=20)
@given(operations=operations)
def test_leases_are_what_plain_bookkeeping_says(
    operations: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    model = Model()
    index = replace(open_index(folder, series(folder)), clock=lambda: model.now)
    claims: list[Claim] = []
    for operation, number in operations:
        if operation == "wait":
            model.now += 1.0 + number
        elif operation == "claim":
            step = model.claimed(len(claims), 3, 5.0)
            claim = index.claim("w", 5.0, planner(folder, until=3))
            assert (claim.work.step if claim else None) == step
            if claim:
                claims.append(claim)
        elif operation == "rebuild":
            index.rebuild()
            for step, status in model.status.items():
                if status != "leased" or model.expires[step] <= model.now:
                    model.attempts[step] = 0
                    if status == "leased":
                        model.status[step] = "planned"
                # what is done is known from a journal, which these sessions do not have
                if status == "done":
                    model.status[step] = "planned"
        elif claims:
            claim = claims[number % len(claims)]
            step = claim.work.step
            held = model.status[step] == "leased" and model.holder[step] == number % len(claims)
            if operation == "renew":
                assert index.renew(claim) == held
                if held:
                    model.expires[step] = model.now + 5.0
            elif operation == "finish":
                index.finish(claim, Facts("done"))
                model.status[step] = "done"
            elif operation == "fail":
                given_up = index.fail(claim, "no")
                assert given_up == (held and claim.attempts == ATTEMPTS)
                if held:
                    model.status[step] = "failed" if given_up else "planned"
            else:
                index.release(claim)
                if held:
                    model.status[step] = "planned"
                    model.attempts[step] -= 1
        works = index.works()
        assert {work.step: work.status for work in works} == model.status
        assert {work.step: work.attempts for work in works} == model.attempts


def rows(index: Index) -> dict[str, list[dict[str, Any]]]:
    """Everything that is known of a series, but for what only the database has."""
    only_there = ("attempts", "token")
    found = {}
    with index.database.engine.connect() as connection:
        for name in ("checkpoints", "works", "alarms"):
            table = sa.Table(f"harness_{name}", sa.MetaData(), autoload_with=connection)
            query = sa.select(table).where(table.c.series == index.database.definition.name)
            found[name] = sorted(
                (
                    {k: v for k, v in row._mapping.items() if k not in only_there}
                    for row in connection.execute(query)
                ),
                key=str,
            )
    return found


endings = st.lists(st.sampled_from(["done", "failed", "released", "leased", "torn"]), max_size=4)


def lived(folder: Path, definition: Definition, endings: list[str]) -> Index:
    """A series that some sessions were held in, which ended in different ways."""
    index = open_index(folder, definition)
    for step, ending in enumerate(endings):
        files.register(folder, Registered(step, model=f"m{step}", jump=bool(step % 2), at=1.5))
        claim = index.claim("w", 600.0, planner(folder, until=99))
        assert claim is not None
        # a work that was released comes first again
        step = claim.work.step
        if ending == "done":
            path = files.session_folder(folder, claim.work) / "journal.jsonl"
            path.unlink(missing_ok=True)
            hold(folder, claim.work, make_bank())
            index.finish(claim, history.facts(folder, claim.work, make_bank()))
        elif ending == "failed":
            index.fail(claim, "it does not start", final=True)
        elif ending == "released":
            index.release(claim)
        elif ending == "torn":
            path = files.session_folder(folder, claim.work) / "journal.jsonl"
            path.unlink(missing_ok=True)
            hold(folder, claim.work, make_bank(), events=4)
            index.fail(claim, "it ended", final=True)
        alarm = AlarmRecord(step, "small", "fall>1 within 2", 0.97, 2.0)
        index.alarm(alarm)
        index.alarm(replace(alarm, state="confirmed", settled=0.99, notified=("webhook",)))
    return index


@settings(max_examples=8)
@given(endings=endings)
def test_a_rebuilt_database_is_what_it_was(
    endings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    check_rebuild(folder, series(folder), endings)


def test_a_rebuilt_database_is_what_it_was_in_postgres(postgres_url: str, tmp_path: Path) -> None:
    for number, endings in enumerate([["done", "failed", "leased"], ["torn", "released", "done"]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        check_rebuild(folder, series(folder, postgres_url), endings)


def check_rebuild(folder: Path, definition: Definition, endings: list[str]) -> None:
    index = lived(folder, definition, endings)
    before = rows(index)
    assert len(before["checkpoints"]) == len(endings)
    rebuild(folder, definition)
    assert rows(index) == before
    # leases that have expired are all that is lost
    held = {work.step for work in index.active()}
    index.rebuild(now=time.time() + 601)
    for work in before["works"]:
        if work["step"] in held:
            work |= {"status": "planned", "owner": "", "expires": 0.0}
    assert rows(index) == before


@pytest.mark.parametrize("when", ["between", "in the middle"])
def test_a_deleted_database_is_made_anew(when: str, tmp_path: Path) -> None:
    definition = series(tmp_path)
    index = lived(tmp_path, definition, ["done", "failed", "released"])
    before = rows(index)
    for path in tmp_path.glob("series.db*"):
        path.unlink()
    said: list[str] = []
    if when == "between":
        index = open_index(tmp_path, definition, say=said.append)
        assert "lacked 3 of the sessions" in said.pop()
        open_index(tmp_path, definition, say=said.append)
        assert not said
    else:
        assert index.database.do(index.database.adopt) == 0
    assert rows(index) == before


def test_rows_that_are_missing_are_noticed(database: str, tmp_path: Path) -> None:
    definition = series(tmp_path, database)
    index = lived(tmp_path, definition, ["done", "done", "failed"])
    before = rows(index)
    with index.database.engine.begin() as connection:
        gone = {"name": definition.name}
        for table in ("works", "checkpoints", "alarms"):
            connection.execute(
                sa.text(f"DELETE FROM harness_{table} WHERE series = :name AND step = 1"), gone
            )
    said: list[str] = []
    assert rows(open_index(tmp_path, definition, say=said.append)) == before
    assert "lacked 1 of the sessions" in said.pop()


def test_several_series_share_a_database(database: str, tmp_path: Path) -> None:
    shared = database or f"sqlite:///{tmp_path}/shared.db"
    indexes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        indexes.append(open_index(tmp_path / name, series(tmp_path / name, shared)))
    for index in indexes:
        claim = index.claim("w", 60.0, planner(index.database.folder))
        assert claim is not None
        assert claim.work.step == 0
    index, other = indexes
    index.rebuild(now=time.time() + 61)
    assert (statuses(index), statuses(other)) == ({0: "planned"}, {0: "leased"})
    twin = replace(index.database.definition, created=index.database.definition.created + 1)
    with pytest.raises(InputError, match="another series of the name"):
        open_index(tmp_path / "two", twin)


def claim_all(index: Index, claimed: list[str], until: int) -> None:
    while claim := index.claim("w", 60.0, planner(index.database.folder, until=until)):
        assert index.renew(claim)
        index.finish(claim, Facts("done"))
        claimed.append(claim.work.id)
        time.sleep(0.005)


def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    postgres_server: Server, tmp_path: Path
) -> None:
    said: list[str] = []
    definition = series(tmp_path, postgres_server.url)
    index = open_index(tmp_path, definition, say=said.append, patience=SECONDS)
    claimed: list[str] = []
    workers = [threading.Thread(target=claim_all, args=(index, claimed, 60)) for _ in range(2)]
    for worker in workers:
        worker.start()
    wait_for(lambda: len(claimed) > 2)
    postgres_server.stop()
    try:
        wait_for(lambda: bool(said))
        during = len(claimed)
    finally:
        postgres_server.start()
    for worker in workers:
        worker.join(2 * SECONDS)
    assert during < 60
    assert "does not answer" in said[0]
    assert len(said) <= 2 * len(workers)
    assert len(claimed) == len(set(claimed)) == 60
    assert set(statuses(index).values()) == {"done"}


def test_a_server_that_stays_away_is_named_and_nothing_is_lost(
    postgres_server: Server, tmp_path: Path
) -> None:
    definition = series(tmp_path, postgres_server.url.replace("tests@", "tests:secret@"))
    index = open_index(tmp_path, definition, patience=0.5)
    claim = index.claim("w", 60.0, planner(tmp_path))
    assert claim is not None
    postgres_server.stop()
    try:
        told = f"nothing is lost.*cat-harness series rebuild {definition.name}"
        for action in (
            lambda: index.finish(claim, Facts("done")),
            lambda: open_index(tmp_path, definition, patience=0.5),
        ):
            with pytest.raises(InfrastructureError, match=told) as away:
                action()
            assert "secret" not in str(away.value)
    finally:
        postgres_server.start()
    assert index.renew(claim)


def test_a_locked_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    definition = series(tmp_path)
    index = open_index(tmp_path, definition, say=said.append, patience=SECONDS)

    @sa.event.listens_for(index.database.engine, "connect")
    def hurried(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=1").close()

    claimed: list[str] = []
    other = sqlite3.connect(tmp_path / "series.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    worker = threading.Thread(target=claim_all, args=(index, claimed, 3))
    worker.start()
    wait_for(lambda: bool(said))
    assert "locked" in said[0]
    assert not claimed
    other.execute("COMMIT")
    other.close()
    worker.join(SECONDS)
    assert len(claimed) == 3


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("database or disk is full", "the disk is full.*make room.*series rebuild"),
        ("could not write: No space left on device", "the disk is full.*make room"),
        ("database disk image is malformed", "damaged.*delete the file"),
    ],
)
def test_a_database_that_waiting_does_not_mend_is_named_at_once(
    reason: str, told: str, tmp_path: Path
) -> None:
    said: list[str] = []
    index = open_index(tmp_path, series(tmp_path), say=said.append)

    def plan() -> Work | None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError(reason))

    if "malformed" not in reason:
        with pytest.raises(InfrastructureError, match=told):
            index.claim("w", 60.0, plan)
    else:
        for path in tmp_path.glob("series.db*"):
            path.write_bytes(b"no database " * 1000)
        with pytest.raises(InfrastructureError, match=told):
            index.works()
    assert not said


def test_a_real_full_disk_is_named(tmp_path: Path) -> None:
    index = open_index(tmp_path, series(tmp_path))
    claim = index.claim("w", 60.0, planner(tmp_path))
    assert claim is not None

    @sa.event.listens_for(index.database.engine, "connect")
    def small(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA max_page_count=1").close()

    with pytest.raises(InfrastructureError, match="the disk is full"):
        index.fail(claim, "long " * 100_000)
    assert files.works(tmp_path) == (claim.work,)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://me:secret@host/db", "neither a SQLite file nor PostgreSQL"),
        ("sqlite://", "neither a SQLite file nor PostgreSQL"),
        ("postgresql+psycopg2://me:secret@host/db", "neither a SQLite file nor PostgreSQL"),
        ("me:secret@host", "no URL"),
        ("postgresql://me:secret@host:port/db", "no URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(
    url: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told) as refused:
        open_index(tmp_path, series(tmp_path, url))
    assert "secret" not in str(refused.value)


def test_the_environment_names_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = series(tmp_path, "sqlite:////there.db")
    assert database_url(tmp_path, definition).database == "//there.db".replace("//", "/")
    monkeypatch.setenv(VARIABLE, "postgresql://me:secret@host/db")
    url = database_url(tmp_path, definition)
    assert (url.drivername, url.password) == ("postgresql+psycopg", "secret")
    assert database_url(tmp_path, replace(definition, database="")) == url


def test_a_wrong_name_of_a_database_is_not_waited_for(postgres_url: str, tmp_path: Path) -> None:
    said: list[str] = []
    wrong = sa.make_url(postgres_url).set(database="none-such")
    definition = series(tmp_path, wrong.render_as_string(hide_password=False))
    with pytest.raises(InputError, match=f"none-such.*does not exist.*{VARIABLE}"):
        open_index(tmp_path, definition, say=said.append)
    assert not said


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'cat-harness\[postgres\]'"):
        open_index(tmp_path, series(tmp_path, "postgresql://me:secret@host/db"))


def test_a_disk_that_is_full_while_planning_leaves_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(tmp_path, series(tmp_path))

    def full(*arguments: Any) -> None:
        raise InfrastructureError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_work", full)
        with pytest.raises(InfrastructureError, match="the disk is full"):
            index.claim("w", 60.0, planner(tmp_path))
    assert index.works() == ()
    claim = index.claim("w", 60.0, planner(tmp_path))
    assert claim is not None
    assert asdict(claim.work)["step"] == 0


def test_a_claim_whose_answer_was_lost_is_not_made_twice(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(tmp_path, series(tmp_path, database))
    real = index.database.transaction
    lost: list[bool] = []

    class Deaf:
        """The commit goes through, its answer does not."""

        def __init__(self, mode: Any) -> None:
            self.inner = real(mode)

        def __enter__(self) -> Any:
            return self.inner.__enter__()

        def __exit__(self, *raised: Any) -> Any:
            result = self.inner.__exit__(*raised)
            if not lost:
                lost.append(True)
                raise OperationalError("COMMIT", {}, Exception("connection lost"))
            return result

    monkeypatch.setattr(Database, "transaction", lambda self, mode: Deaf(mode))
    claim = index.claim("w", 60.0, planner(tmp_path))
    assert lost
    assert claim is not None
    assert [(work.step, work.attempts) for work in index.works()] == [(0, 1)]
    assert index.renew(claim)
