"""Agents tested against each other: who ends when, and that every run is an ordinary one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import worlds
from click.testing import CliRunner

from harness import journal
from harness.bank import Item, ItemBank
from harness.bank_files import load_bank
from harness.cli.compare import _entrants
from harness.cli.compare import compare as command
from harness.errors import InputError, PlanError
from harness.events import Answered, Chosen, Launch, Plan, Stopped
from harness.grammar import parse_stop
from harness.report.compare import compare, probability_better
from harness.runners.contest import _Contest, contest
from harness.runners.live import container_label
from harness.session import Session
from harness.stop import Exhausted

BANK = ItemBank("b", tuple(Item(f"i{n}", "2pl", (1.5,), (n / 5 - 1,)) for n in range(10)))


def session_of(*answers: int) -> Session:
    session = Session(BANK.table, Plan(stop=Exhausted()))
    for step, category in enumerate(answers, start=1):
        item = f"i{step}"
        session = session.after(Chosen(0.0, step, item, item, (0.0,), (1.0,)))
        session = session.after(Answered(0.0, step, item, category))
    return session


class Someone:
    """What a contest asks of a side."""

    def __init__(self, title: str, session: Session) -> None:
        self.title, self.session = title, session


def test_a_side_ends_once_it_is_told_apart_from_all_others() -> None:
    strong, weak, middle = session_of(1, 1, 1, 1, 1), session_of(0, 0, 0, 0, 0), session_of(1, 0)
    assert probability_better(strong, weak) == compare([strong, weak], BANK).pairs[0].better
    two = _Contest(0.05, [])
    sides = [Someone("s", strong), Someone("w", weak)]
    two.sides = sides  # type: ignore[assignment]
    better = probability_better(strong, weak)
    assert two.verdict(sides[0]) == f"better than w with probability {better:.3f}"  # type: ignore[arg-type]
    assert two.verdict(sides[1]) == f"worse than s with probability {better:.3f}"  # type: ignore[arg-type]
    # one more who is too near to either keeps both of them going
    three = _Contest(0.05, [("m", middle)])
    three.sides = sides  # type: ignore[assignment]
    assert [three.verdict(side) for side in sides] == [None, None]  # type: ignore[arg-type]
    lenient = _Contest(0.2, [("m", middle)])
    lenient.sides = sides  # type: ignore[assignment]
    assert str(lenient.verdict(sides[0])).startswith("better than m with")  # type: ignore[arg-type]


def test_what_sides_want_ready_comes_in_turns() -> None:
    told: list[list[str]] = []
    board = _Contest(0.05, [])
    board.want(told.append, 0, ["a1", "a2", "a3"])  # type: ignore[arg-type, list-item]
    board.want(told.append, 1, ["b1"])  # type: ignore[arg-type, list-item]
    board.want(told.append, 0, [])  # type: ignore[arg-type]
    assert told == [["a1", "a2", "a3"], ["a1", "b1", "a2", "a3"], ["b1"]]


@pytest.mark.parametrize(
    ("agents", "models", "pairs"),
    [
        (["x", "y"], [], [("x", None), ("y", None)]),
        (["x", "y"], ["m"], [("x", "m"), ("y", "m")]),
        (["x", "y"], ["m", "n"], [("x", "m"), ("y", "n")]),
        (["x"], ["m", "n"], [("x", "m"), ("x", "n")]),
        ([], ["m", "n"], [("react", "m"), ("react", "n")]),
    ],
)
def test_agents_are_paired_with_models(
    agents: list[str], models: list[str], pairs: list[tuple[str, str | None]]
) -> None:
    assert _entrants(agents, models) == pairs


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(PlanError, match="2 agents and 3 models do not pair"):
        _entrants(["x", "y"], ["l", "m", "n"])
    with pytest.raises(InputError, match="two agents at least"):
        contest([], [], Plan())
    with pytest.raises(PlanError, match="nothing to compare"):
        CliRunner().invoke(command, [], standalone_mode=False, catch_exceptions=False)


# --- in Docker --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return worlds.write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    from harness.sandbox import engine

    yield
    for folder in tmp_path.glob("**/"):
        assert not engine.containers(container_label(folder)), folder


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_both_end_when_told_apart_and_a_third_is_held_against_them(
    world: tuple[Path, Path], tmp_path: Path
) -> None:
    bank, tasks = world
    folders = [tmp_path / "one", tmp_path / "two"]
    launches = [Launch(str(bank), agent, environments=str(tasks)) for agent in ("oracle", "nop")]
    seen: list[tuple[int, str]] = []
    sessions = contest(
        folders,
        launches,
        Plan(stop=parse_stop("exhausted")),
        alpha=0.1,
        notify=lambda side, session, event: seen.append((side, event.kind)),
    )
    items = load_bank(bank)
    for number, (folder, session) in enumerate(zip(folders, sessions, strict=True)):
        record = journal.read(folder)
        assert journal.replayed(record, items).stopped == session.stopped
        assert [kind for side, kind in seen if side == number] == [e.kind for e in record.events]
        # an ordinary folder: what it was to be, and traces of its own
        assert record.started.launch == launches[number]
        assert record.started.run == folder.name
        for event in session.answered.values():
            assert (folder / event.trace).is_file()
        assert len(list((folder / "logs").glob("*.eval"))) == 1
        assert isinstance(session.stopped, Stopped)
        assert session.stopped.outcome == "precise"
    assert str(sessions[0].stopped.reason).startswith("better than nop with")  # type: ignore[union-attr]
    assert str(sessions[1].stopped.reason).startswith("worse than oracle with")  # type: ignore[union-attr]
    assert 0 < len(sessions[0].answered) < 4
    assert compare(sessions, items, alpha=0.1).apart

    # a new agent, against the two finished runs; it is as good as one of them
    arguments = [*map(str, folders), "--agent", "nop", "--environments", str(tasks)]
    arguments += ["--runs", str(tmp_path / "runs"), "--max-items", "2", "--bank", str(bank)]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 3
    assert "A is better than C" in done.output
    assert "B and C are indistinguishable" in done.output
    (third,) = (tmp_path / "runs").iterdir()
    end = journal.replayed(journal.read(third), items).stopped
    assert end is not None
    assert end.outcome == "limit"
