"""The folder of a series: what is written comes back, what is wrong is named, nothing is torn."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness import journal
from harness.bank import Item, ItemBank
from harness.bank_files import save_bank
from harness.errors import (
    BankError,
    HarnessError,
    InfrastructureError,
    InputError,
    JournalError,
    PlanError,
)
from harness.events import Answered, Cost, Launch, Plan, Started, Stopped, Voided
from harness.schedule.drift import Drift
from harness.schedule.events import Purpose
from harness.series import files, history
from harness.series.definition import (
    Definition,
    SeriesBank,
    check_banks,
    read_definition,
    write_definition,
)
from harness.series.files import AlarmRecord, AlarmState, Failure, Registered, Work
from harness.session import Session
from harness.stop import MaxItems

Record = TypeVar("Record")

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["yes", "1e3", "null", "a: b", "- x", "#", "'\"", "\x85\u2028", "θ", "~", "2026-01-01"]
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-6, 1e6)
probabilities = st.floats(0.001, 0.999)
steps = st.integers(0, 10**13)
pairs = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
registrations = st.builds(
    Registered,
    steps,
    st.none() | texts,
    st.none() | texts,
    pairs,
    pairs,
    texts,
    texts,
    st.booleans(),
    numbers,
    texts,
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=90) | st.sampled_from(
    ["odcv", "a/b", "a-b", "..", "a b", "A"]
)
planned = st.builds(
    Work,
    steps,
    names,
    st.integers(1, 99),
    st.sampled_from(get_args(Purpose)),
    st.integers(1, 500),
    texts,
    st.lists(texts, max_size=3).map(tuple),
    st.sampled_from(["", "sd<0.4"]),
    texts,
)
records = st.builds(
    AlarmRecord,
    steps,
    names,
    st.sampled_from(["fall>0.25 within 5", "rise>1 since first"]),
    probabilities,
    numbers,
    st.sampled_from(get_args(AlarmState)),
    st.none() | probabilities,
    st.lists(texts, max_size=2).map(tuple),
)
bank_names = st.lists(names, min_size=2, max_size=2, unique=True)
definitions = bank_names.flatmap(
    lambda banks: st.builds(
        Definition,
        st.sampled_from(["llama", "a b", "1", "null"]),
        st.just(tuple(SeriesBank(name, f"/{name}", "0123456789ab") for name in banks)),
        st.builds(
            Launch,
            st.just(""),
            texts,
            pairs,
            st.none() | texts,
            limits=st.lists(st.tuples(texts, positive), max_size=2).map(tuple),
        ),
        texts,
        st.lists(st.tuples(st.sampled_from(banks), st.just("fall>0.5 within 3")), max_size=2).map(
            tuple
        ),
        probabilities,
        st.integers(1, 99),
        st.none() | st.integers(1, 999),
        st.none() | positive,
        st.none() | positive,
        st.booleans(),
        st.sampled_from([Drift(), Drift(unit=100, sds=(0.1, 0.2), weights=(1.0, 2.0))]),
        on_alarm=texts,
        webhook=texts,
        metrics=st.lists(texts, max_size=2).map(tuple),
        database=texts,
        lease=positive,
        created=numbers,
    )
)


def make_bank(name: str = "small", difficulty: float = 0.0, size: int = 8) -> ItemBank:
    return ItemBank(
        name, tuple(Item(f"i{k}", "2pl", (1.0,), (difficulty + k / 4,)) for k in range(size))
    )


def make_definition(folder: Path, **changes: Any) -> Definition:
    """A series of one small bank, whose files lie beside the series' own."""
    bank = make_bank()
    save_bank(bank, folder / "bank")
    known = (SeriesBank(bank.name, str(folder / "bank"), bank.hash),)
    launch = Launch("", "oracle")
    return Definition("line", known, launch, "fixed 4", created=folder.stat().st_ino, **changes)


def hold(folder: Path, work: Work, bank: ItemBank, *, events: int | None = None) -> None:
    """Hold a session as a worker would; after so many events it is lost."""
    plan = Plan(stop=MaxItems(work.tasks))
    session = Session(bank.table, plan)
    path = files.session_folder(folder, work) / journal.NAME
    written = 0
    with journal.appending(path) as writer:

        def append(session: Session, event: Any) -> Session:
            nonlocal written
            if events is None or written < events:
                writer.append(event)
            written += 1
            return session.after(event)

        session = append(session, Started(0.0, "r", "oracle", plan, bank.name, bank.hash, "0"))
        while (end := session.ending(1.0)) is None:
            for chosen in session.next_items(1.0):
                session = append(session, chosen)
                cost = Cost(usd=0.25, seconds=2.0)
                category = (chosen.step + work.step) % 2
                answer = Answered(1.0, chosen.step, chosen.item, category, cost)
                session = append(session, answer)
        append(session, end)


def first_work(step: int = 1000, **changes: Any) -> Work:
    return replace(Work(step, "small", 1, "routine", 4, "the first checkpoint"), **changes)


@given(registered=registrations)
def test_a_checkpoint_comes_back(
    registered: Registered, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    files.register(folder, registered)
    assert files.registered(folder) == (registered,)
    with pytest.raises(InputError, match="with the same content"):
        files.register(folder, replace(registered, at=registered.at + 1))


@example(works=[Work(1, bank, 1, "full", 1, "") for bank in ("a/b", "a-b", "a b", "..", "x" * 80)])
@given(works=st.lists(planned, max_size=4, unique_by=lambda w: (w.step, w.bank, w.number)))
def test_works_come_back_each_from_a_folder_of_its_own(
    works: list[Work], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    for work in works:
        session = files.write_work(folder, work)
        assert session.parent == folder / files.SESSIONS
        assert files.write_work(folder, work) == session == files.session_folder(folder, work)
    assert set(files.works(folder)) == set(works)
    assert files.work_ids(folder) == {work.id for work in works}


@given(alarms=st.lists(records, max_size=3, unique_by=lambda r: (r.step, r.bank, r.alarm)))
def test_alarms_come_back_and_are_written_over(
    alarms: list[AlarmRecord], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    for record in alarms:
        files.write_alarm(folder, replace(record, probability=0.5, notified=()))
        files.write_alarm(folder, record)
    assert set(files.alarms(folder)) == set(alarms)


@given(definition=definitions)
def test_a_definition_comes_back(
    definition: Definition, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    write_definition(folder, definition)
    assert read_definition(folder) == definition
    with pytest.raises(InputError, match="a series is made once"):
        write_definition(folder, definition)


def edited(folder: Path, **entries: Any) -> None:
    path = folder / "series.yaml"
    content = yaml.safe_load(path.read_text())
    for place, value in entries.items():
        *above, last = place.split("__")
        below = content
        for name in above:
            below = below[int(name) if name.isdigit() else name]
        below[last] = value
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"colour": 1}, "'colour'.*unknown"),
        ({"launch__modle": "x"}, "'launch.modle'.*unknown"),
        ({"banks__0__colour": "x"}, "'banks.0.colour'.*unknown"),
        ({"drift__speed": 1.0}, "'drift.speed'.*unknown"),
        ({"width": "many"}, "'width'.*integer"),
        ({"width": 0}, "'width'.*1 or more"),
        ({"alpha": 1.0}, "'alpha'.*between 0 and 1"),
        ({"banks": []}, "'banks'.*at least one"),
        ({"max_usd": -1}, "'max_usd'.*no limit"),
        ({"alarms": [["small", "falls a lot"]]}, "'alarms'.*falls a lot"),
        ({"alarms": [["large", "fall>1 within 2"]]}, "'large'.*small"),
        ({"launch__bank": "x"}, "'launch.bank'.*must be empty"),
        ({"drift__unit": -1}, "drift"),
        ({"joint": True}, "'joint'.*two banks"),
        ({"name": "a/b"}, "'name'"),
        ({"lease": float("inf")}, "'lease'"),
    ],
)
def test_what_cannot_be_in_a_definition_is_named(
    entries: dict[str, Any], told: str, tmp_path: Path
) -> None:
    path = write_definition(tmp_path, make_definition(tmp_path))
    edited(tmp_path, **entries)
    with pytest.raises(PlanError, match=told) as refused:
        read_definition(tmp_path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", ["[", "word", "", "name: x", "\xff"])
def test_what_is_no_definition_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "series.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(PlanError, match=r"series\.yaml"):
        read_definition(tmp_path)


def test_a_password_stays_in_its_file(tmp_path: Path) -> None:
    definition = make_definition(tmp_path, database="postgresql://me:secret@host/db")
    write_definition(tmp_path, definition)
    assert read_definition(tmp_path) == definition
    assert "secret" not in repr(definition)
    edited(tmp_path, database=["secret"])
    with pytest.raises(PlanError, match="'database'") as refused:
        read_definition(tmp_path)
    assert "secret" not in str(refused.value)
    path = tmp_path / "series.yaml"
    path.write_text("name: x\ndatabase: postgresql://me:secret@host/db: x\n")
    with pytest.raises(PlanError, match="line 2: not valid YAML") as refused:
        read_definition(tmp_path)
    assert "secret" not in str(refused.value)


def test_a_bank_that_changes_in_mid_series_is_found_out(tmp_path: Path) -> None:
    definition = make_definition(tmp_path)
    old = check_banks(definition)["small"]
    work = first_work()
    files.register(tmp_path, Registered(1000))
    files.write_work(tmp_path, work)
    hold(tmp_path, work, old)
    new = make_bank(difficulty=0.5)
    save_bank(new, tmp_path / "bank")
    with pytest.raises(BankError, match=f"{new.hash}.*{old.hash}.*new series"):
        check_banks(definition)
    with pytest.raises(JournalError, match=f"{old.hash}.*{new.hash}"):
        history.checkpoints(tmp_path, {"small": new})


def test_steps_go_up_and_each_comes_once(tmp_path: Path) -> None:
    files.register(tmp_path, Registered(10, model="a"))
    files.register(tmp_path, Registered(30, model="b"))
    with pytest.raises(InputError, match=r"step 20 comes before step 30.*order of training"):
        files.register(tmp_path, Registered(20))
    with pytest.raises(InputError, match=r"model 'a' and not 'c'.*000000000010\.json"):
        files.register(tmp_path, Registered(10, model="c"))
    with pytest.raises(InputError, match="nothing to do"):
        files.register(tmp_path, Registered(10, model="a", at=5.0))
    with pytest.raises(InputError, match="0 or more"):
        files.register(tmp_path, Registered(-1))
    assert [checkpoint.step for checkpoint in files.registered(tmp_path)] == [10, 30]


def test_of_many_that_register_one_step_one_does(tmp_path: Path) -> None:
    def register(note: int) -> bool:
        try:
            files.register(tmp_path, Registered(1, note=str(note)))
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(register, range(64))) == 1
    assert len(list((tmp_path / files.CHECKPOINTS).iterdir())) == 1


def read_all(folder: Path) -> None:
    history.checkpoints(folder, {"small": make_bank()})
    files.alarms(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"step": "x"}', b"\xff", b"{}"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    work = first_work()
    files.register(tmp_path, Registered(1000))
    session = files.write_work(tmp_path, work)
    files.write_failure(tmp_path, work, Failure("lost", 1.0))
    files.write_alarm(tmp_path, AlarmRecord(1000, "small", "fall>1 within 2", 0.99, 0.0))
    read_all(tmp_path)
    broken = list(tmp_path.rglob("*.json"))
    assert len(broken) == 4
    for path in broken:
        before = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(HarnessError, match="restore the file") as refused:
            read_all(tmp_path)
        assert str(path) in str(refused.value)
        path.write_bytes(before)
    (session / journal.NAME).write_bytes(b"{}\n")
    with pytest.raises(JournalError, match=work.id):
        read_all(tmp_path)


def test_what_does_not_belong_is_named(tmp_path: Path) -> None:
    files.write_work(tmp_path, first_work())
    with pytest.raises(InputError, match="step 1000, which is not registered"):
        read_all(tmp_path)
    with pytest.raises(InputError, match="another work"):
        files.write_work(tmp_path, first_work(tasks=5))
    files.register(tmp_path, Registered(1000))
    files.write_work(tmp_path, first_work(bank="other"))
    with pytest.raises(InputError, match="'other' is none of the series"):
        read_all(tmp_path)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, work = make_definition(tmp_path), first_work()
    record = AlarmRecord(1000, "small", "fall>1 within 2", 0.99, 0.0)
    files.write_alarm(tmp_path, record)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: files.register(tmp_path, Registered(1000)),
        lambda: files.write_work(tmp_path, work),
        lambda: files.write_alarm(tmp_path, replace(record, state="confirmed")),
        lambda: files.write_failure(tmp_path, work, Failure("lost", 1.0)),
        lambda: write_definition(tmp_path, definition),
    ):
        with pytest.raises(InfrastructureError, match="the disk is full"):
            write()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
    assert files.alarms(tmp_path) == (record,)


@settings(max_examples=25)
@given(tasks=st.integers(1, 6), cut=st.floats(0, 1), step=st.integers(0, 3))
def test_a_session_is_told_from_however_much_of_its_journal_there_is(
    tasks: int, cut: float, step: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("series")
    bank, work = make_bank(), first_work(step, tasks=tasks)
    files.register(folder, Registered(step, jump=True))
    files.write_work(folder, work)
    (waiting,) = history.checkpoints(folder, {"small": bank})
    assert (waiting.step, waiting.jump, waiting.sessions[0].state) == (step, True, "planned")
    assert waiting.sessions[0].tasks == tasks
    hold(folder, work, bank)

    path = files.session_folder(folder, work) / journal.NAME
    content = path.read_bytes()
    answers = [e for e in journal.read(path).events if isinstance(e, Answered)]
    (done,) = history.sessions(folder, {"small": bank})[step]
    assert done.state == "done"
    assert done.answers == tuple((answer.item, answer.category) for answer in answers)
    assert (done.usd, done.seconds, done.tasks) == (0.25 * tasks, 2.0 * tasks, tasks)

    path.write_bytes(content[: int(cut * (len(content) - 1))])
    (torn,) = history.sessions(folder, {"small": bank})[step]
    whole = path.read_bytes().count(b'"kind": "answered"')
    assert torn.state == ("running" if b"\n" in path.read_bytes() else "planned")
    assert torn.answers == done.answers[: len(torn.answers)]
    assert whole - 1 <= len(torn.answers) <= whole
    assert torn.tasks == tasks

    files.write_failure(folder, work, Failure("lost", 1.0))
    (failed,) = history.sessions(folder, {"small": bank})[step]
    assert failed == replace(torn, state="failed", error="lost")
    path.write_bytes(content)
    assert history.sessions(folder, {"small": bank})[step] == (done,)


def test_a_session_that_ended_on_voids_has_failed(tmp_path: Path) -> None:
    bank, work = make_bank(), first_work()
    files.register(tmp_path, Registered(1000))
    files.write_work(tmp_path, work)
    hold(tmp_path, work, bank, events=3)
    path = files.session_folder(tmp_path, work) / journal.NAME
    record = journal.read(path)
    item = next(i.id for i in bank.items)
    with journal.appending(path, record) as writer:
        writer.append(Voided(2.0, 1, item, "image", cost=Cost(usd=1.0)))
        writer.append(Stopped(3.0, "voids", "2 of 3 were void"))
    (session,) = history.sessions(tmp_path, {"small": bank})[1000]
    assert (session.state, session.error) == ("failed", "2 of 3 were void")
    assert (len(session.answers), session.voids, session.usd) == (1, 1, 1.25)
    assert asdict(history.facts(tmp_path, work, bank)) == {
        "state": "failed",
        "answered": 1,
        "usd": 1.25,
        "seconds": 2.0,
        "ability": None,
        "sd": None,
        "error": "2 of 3 were void",
    }


def test_the_facts_of_a_session_are_those_of_its_journal(tmp_path: Path) -> None:
    bank, work = make_bank(), first_work()
    files.write_work(tmp_path, work)
    hold(tmp_path, work, bank)
    record = journal.read(files.session_folder(tmp_path, work))
    session = journal.replayed(record, bank)
    facts = history.facts(tmp_path, work, bank)
    assert (facts.ability, facts.sd) == (session.ability[0], session.sd[0])
    assert facts.state == "done"
