"""A finished run scored again: other scorers, other mappings, and what is left as it was."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from foreign_runs import FILE, bank_of, item, talking
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import Sample
from inspect_ai.model import Model, get_model
from inspect_ai.scorer import Score

from harness import journal
from harness.bank import Item, ItemBank
from harness.bank_files import load_bank, save_bank
from harness.cli import main
from harness.errors import AgentError, JournalError, PlanError, TaskError
from harness.events import (
    Answered,
    Chosen,
    Cost,
    Event,
    Evidence,
    Launch,
    Plan,
    Setting,
    Started,
    Stopped,
    Voided,
)
from harness.grammar import parse_selector, parse_stop
from harness.runners import logged
from harness.runners.agents import resolve_agent
from harness.runners.foreign import bank_items, bank_tasks
from harness.runners.foreign_scores import numbers
from harness.runners.inspect import SessionSource, World, make_task
from harness.runners.live import resume
from harness.runners.rescore import Recipe, Rescoring, rescore
from harness.runners.rescore_job import Job, _old_scores
from harness.session import Session

SCORERS = Path(__file__).parent / "fixtures" / "scorers.py"

# --- runs to score again --------------------------------------------------------------------------

ALL = Plan(parse_selector("random"), parse_stop("items>=99"))


class Halting(SessionSource):
    """Launches no more after some outcomes, as a process that is ended does."""

    after = 99

    def _launch(self) -> list[Sample]:
        done = len(self.session.answered) + len(self.session.voided)
        return [] if done >= self.after else super()._launch()


def played(
    folder: Path,
    bank: ItemBank,
    *texts: str,
    plan: Plan = ALL,
    halts: Sequence[int] = (99,),
    launch: Launch | None = None,
) -> Session:
    """A run of samples of Inspect tasks, by as many processes as there are halts."""
    save_bank(bank, folder / "bank")
    bank = load_bank(folder / "bank")
    tasks = bank_tasks(bank)
    launch = launch or Launch(str(folder / "bank"), "own")
    session = Session(bank.table, plan)
    record = None
    for number, after in enumerate(halts):
        with journal.appending(folder / "run" / journal.NAME, record) as writer:
            world = World(bank_items(bank, tasks), "test", folder / "run" / "logs")
            source = Halting(session, writer, world, lambda session, event: None)
            source.after = after
            source.record(
                Started(float(number), "run", "own", plan, bank.name, bank.hash, "0", launch)
            )
            model = talking(*texts)
            made = make_task(source, resolve_agent("react"), tasks, {}, own=True)
            (log,) = inspect_eval(
                made,
                model=model,
                log_dir=str(folder / "run" / "logs"),
                max_samples=1,
                display="none",
            )
            assert log.status == "success", log.error
            session = source.session
        record = journal.read(folder / "run")
    return session


def answers(session: Session) -> dict[str, int]:
    return {e.item: e.category for e in session.answered.values()}


def again(folder: Path, *scorers: str, **fields: Any) -> tuple[Rescoring, Session]:
    named = tuple(f"{SCORERS}@{name}" for name in scorers)
    return rescore(folder / "run", Recipe(named, **fields))


def reread(found: Rescoring) -> Session:
    """The new run from its journal alone."""
    return journal.replayed(journal.read(Path(found.folder)), load_bank(found.bank))


TWO = bank_of(
    {"s": ("two_scorers", {}, "length>=0.3 then length>=0.8")},
    [item(n, "s", k=3) for n in ("1", "2")],
)
TEXTS = ("it is 4", "a rather long 4")


# --- changed scorers ------------------------------------------------------------------------------


def test_a_changed_scorer_takes_the_place_of_the_one_of_its_name(tmp_path: Path) -> None:
    before = played(tmp_path, TWO, *TEXTS)
    categories = answers(before)
    assert sorted(categories.values()) == [1, 2]
    found, after = again(tmp_path, "length", args={"per": 100})
    assert answers(after) == dict.fromkeys(categories, 0)
    assert [(c.before, c.after) for c in found.changes] == [(c, 0) for c in categories.values()]
    assert (found.changed, found.became_answers, found.became_voids, found.left) == (2, 0, 0, 0)
    assert found.after.ability < found.before.ability
    assert found.after.score < found.before.score
    for event in after.answered.values():
        assert dict(event.evidence.scores).keys() == {"includes", "length"}
        assert event.evidence.notes == (
            f"rescored from run, category {categories[event.item]} there, by {SCORERS}@length",
            "mapping: length>=0.3 then length>=0.8",
        )


def test_the_new_journal_keeps_items_costs_and_plan(tmp_path: Path) -> None:
    before = played(tmp_path, TWO, *TEXTS)
    found, after = again(tmp_path, "length", args={"per": 100})
    assert Path(found.folder) == tmp_path / "run-rescored"
    assert reread(found).events == after.events
    assert after.plan == before.plan
    assert [*after.chosen.values()] == [*before.chosen.values()]
    old, new = ([e.cost for e in s.answered.values()] for s in (before, after))
    assert old == new
    assert all(cost.tokens for cost in new)
    start = after.events[0]
    assert isinstance(start, Started)
    assert (start.run, start.agent, start.rescored) == ("run-rescored", "own", "run")
    for event in after.answered.values():
        assert (tmp_path / "run-rescored" / event.trace).resolve().is_file()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS)
    before = (tmp_path / "run" / journal.NAME).read_bytes()
    folders = [again(tmp_path, "length")[0].folder for _ in range(3)]
    assert [Path(f).name for f in folders] == ["run-rescored", "run-rescored-2", "run-rescored-3"]
    assert (tmp_path / "run" / journal.NAME).read_bytes() == before
    for taken in (tmp_path / "run", Path(folders[0])):
        with pytest.raises(JournalError, match="already holds a run"):
            rescore(tmp_path / "run", Recipe(mapping="length>=1 then length>=2"), out=taken)
    assert len(reread(again(tmp_path, "length")[0]).answered) == 2


def test_the_same_scores_change_nothing(tmp_path: Path) -> None:
    before = played(tmp_path, TWO, *TEXTS)
    found, after = again(tmp_path, "length")
    assert answers(after) == answers(before)
    assert (found.before, found.changed) == (found.after, 0)


def test_a_new_scorer_is_the_value(tmp_path: Path) -> None:
    bank = bank_of({"s": ("letters", {}, "")}, [item(n, "s") for n in ("1", "2")])
    before = played(tmp_path, bank, "4", "5")
    assert sorted(answers(before).values()) == [0, 1]
    _, after = again(tmp_path, "says", args={"word": "5"})
    assert answers(after) == {name: 1 - c for name, c in answers(before).items()}
    assert {tuple(dict(e.evidence.scores)) for e in after.answered.values()} == {("says", "match")}
    # both are there for a mapping
    _, both = again(tmp_path, "says", args={"word": "5"}, mapping="match>=1 or says>=1")
    assert answers(both) == {"1": 1, "2": 1}
    _, inspects = rescore(tmp_path / "run", Recipe(("includes",), mapping="includes<1"))
    assert answers(inspects) == answers(after)


def test_several_scorers_with_arguments_of_their_own(tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS)
    found, after = again(
        tmp_path, "length", "says", args={"length.per": 100, "says.word": "rather"},
        mapping="length>=0.01 then says>=1",
    )  # fmt: skip
    assert sorted(answers(after).values()) == [1, 2]
    assert found.scorers == (f"{SCORERS}@length", f"{SCORERS}@says")
    with pytest.raises(TaskError, match=r"'wide.per' is for none of the scorers length"):
        again(tmp_path, "length", args={"wide.per": 1})


def test_a_scorer_sees_the_sample_as_its_author_wrote_it(tmp_path: Path) -> None:
    bank = bank_of({"s": ("letters", {}, "")}, [item("one", "s", "1")])
    played(tmp_path, bank, "no")
    _, after = again(tmp_path, "sample_ids")
    assert answers(after) == {"one": 1}


def test_a_scorer_may_ask_the_model_of_the_run_or_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = bank_of({"s": ("letters", {}, "")}, [item("one", "s", "1")])
    played(tmp_path, bank, "no")

    def has(name: str, model: str | None = None) -> bool:
        found = again(tmp_path, "has_model", args={"name": name}, model=model)
        return answers(found[1]) == {"one": 1}

    assert has("mockllm/model")
    assert has("mockllm/other", "mockllm/other")
    with pytest.raises(AgentError, match="model 'nobody/model' cannot be used"):
        has("x", "nobody/model")

    # without a key for the model of the run, scorers that ask none do their work
    def keyless(name: str, **_: Any) -> Model:
        if name == "none/none":
            return get_model(name)
        raise RuntimeError("no key")

    monkeypatch.setattr(logged, "get_model", keyless)
    assert has("none/none")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no_such_package/scorer", "scorer 'no_such_package/scorer' cannot be loaded"),
        ("missing.py@scorer", "missing.py"),
        ("{file}@nothing", "nothing"),
    ],
)
def test_a_scorer_that_is_not_there_is_named(spec: str, message: str, tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS)
    with pytest.raises(TaskError, match=message):
        rescore(tmp_path / "run", Recipe((spec.format(file=SCORERS),)))
    with pytest.raises(TaskError, match="TypeError"):
        again(tmp_path, "length", args={"deep": 1})
    assert not (tmp_path / "run-rescored").exists()


def test_a_scorer_that_needs_the_sandbox_says_so(tmp_path: Path) -> None:
    bank = bank_of({"s": ("letters", {}, "")}, [item("one", "s", "1")])
    played(tmp_path, bank, "4")
    with pytest.raises(PlanError, match="needs the sandbox of the agent, which is gone"):
        again(tmp_path, "looks_inside")
    assert not (tmp_path / "run-rescored").exists()


# --- answers and voids ----------------------------------------------------------------------------


def test_an_answer_that_cannot_be_scored_again_becomes_a_void(tmp_path: Path) -> None:
    bank = bank_of({"s": ("letters", {}, "")}, [item(n, "s") for n in ("1", "2", "3")])
    before = played(tmp_path, bank, "4", "5", "silent 4")
    found, after = again(tmp_path, "picky", mapping="picky>=1")
    assert (len(after.answered), len(after.voided)) == (1, 2)
    assert (found.changed, found.became_voids) == (0, 2)
    details = sorted(event.detail for event in after.voided.values())
    assert "scorer 'picky' failed: ValueError: no 4 in '5'" in details[0]
    assert "asks for a score 'picky', but there are: 'match', 'value'" in details[1]
    assert {e.cause for e in after.voided.values()} == {"scorer"}
    costs = {e.step: e.cost for e in before.answered.values()}
    assert all(costs[e.step] == e.cost for e in after.voided.values())
    assert len(after.open_voids) == 2


def test_a_void_of_a_scorer_becomes_an_answer(tmp_path: Path) -> None:
    """The mapping asked for a name that the scores did not have; the log holds what they had."""
    bank = bank_of({"s": ("keys", {}, "safety>=1")}, [item(n, "s") for n in ("a", "b")])
    plan = replace(ALL, max_attempts=1)
    before = played(tmp_path, bank, "done", "leak", plan=plan)
    assert (len(before.answered), len(before.voided)) == (0, 2)
    assert before.stopped is not None
    found, after = again(tmp_path, mapping="security>=1")
    assert sorted(answers(after).values()) == [0, 1]
    assert (found.became_answers, found.changed, len(after.voided)) == (2, 0, 0)
    note = after.answered[1].evidence.notes[0]
    assert note == "rescored from run, void there"
    (tmp_path / "run" / "logs").rename(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match=r"nothing can be scored again: .*logs.* is missing"):
        again(tmp_path, mapping="security>=1")


def test_a_void_that_was_tried_again_stays_one(tmp_path: Path) -> None:
    bank = bank_of({"s": ("keys", {}, "safety>=1")}, [item("a", "s")])
    before = played(tmp_path, bank, "done")
    assert [e.step for e in before.voided.values()] == [1, 2]
    found, after = again(tmp_path, mapping="security>=1")
    assert [*after.voided] == [1]
    assert [*after.answered] == [2]
    assert (found.became_answers, found.left) == (1, 1)
    assert after.voided[1].detail == before.voided[1].detail


def test_other_voids_stay_voids(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    outcomes: list[Answered | Voided] = [
        Answered(0.0, 1, "d1", 1, evidence=Evidence(reward=0.5)),
        Voided(0.0, 2, "d2", "daemon", "no answer"),
        Voided(0.0, 3, "d3", "scorer", "no verdict"),
    ]
    write_run(tmp_path, bank, outcomes)
    found, after = again(tmp_path, mapping="reward>=0.5 then reward>=0.5")
    assert answers(after) == {"d1": 2}
    assert [*after.voided.values()] == outcomes[1:]
    assert found.left == 2


def test_voids_alone_cannot_be_mapped(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    write_run(tmp_path, bank, [Voided(0.0, 1, "d1", "model", "quota")])
    with pytest.raises(PlanError, match="no outcome that other scores could change"):
        again(tmp_path, mapping="reward>=0.5 then reward>=1")


# --- task directories -----------------------------------------------------------------------------


def directory(name: str, k: int = 3, source: str = "") -> Item:
    return replace(item(name, source, k=k), environment="")


LABELS = {f"k{k}": tuple(f"c{c}" for c in range(k)) for k in (2, 3, 4)}
DIRECTORIES_ONLY = ItemBank("d", tuple(directory(f"d{n}") for n in range(1, 7)), LABELS)


def write_bank(folder: Path, bank: ItemBank) -> ItemBank:
    save_bank(bank, folder / "bank")
    return load_bank(folder / "bank")


def write_run(
    folder: Path,
    bank: ItemBank,
    outcomes: Sequence[Answered | Voided],
    *,
    launch: Launch | None = None,
    plan: Plan = ALL,
    end: bool = True,
) -> Session:
    """A journal by hand: one item after the other."""
    launch = launch or Launch(str(folder / "bank"), "oracle")
    session = Session(bank.table, plan)
    events: list[Event] = [Started(0.0, "run", "oracle", plan, bank.name, bank.hash, "0", launch)]
    for outcome in outcomes:
        events.append(Chosen(0.0, outcome.step, outcome.item, outcome.item, (0.0,), (1.0,)))
        events.append(outcome)
    for event in events:
        session = session.after(event)
    if end:
        session = session.after(session.ending(0.0) or Stopped(0.0, "precise", "sd below"))
    with journal.appending(folder / "run" / journal.NAME) as writer:
        for event in session.events:
            writer.append(event)
    return session


def test_rewards_of_task_directories_are_mapped_from_the_journal_alone(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    keys = (("correct", 1.0), ("perf.speed", 0.2))
    setting = Setting("sha256:x", 1, 2, 3, False)
    outcomes = [
        Answered(0.0, 1, "d1", 1, Cost(0.1, 2.0, 3, 4), Evidence(reward=0.9), setting=setting),
        Answered(0.0, 2, "d2", 2, evidence=Evidence(reward=0.4, scores=(("reward", 0.4),))),
        Answered(0.0, 3, "d3", 1, evidence=Evidence(reward=0.6, scores=keys)),
    ]
    write_run(tmp_path, bank, outcomes)
    _, after = again(tmp_path, mapping="reward>=0.5 then reward>=0.8")
    assert answers(after) == {"d1": 2, "d2": 0, "d3": 1}
    first = after.answered[1]
    assert (first.cost, first.setting) == (outcomes[0].cost, setting)
    assert first.evidence.reward == 0.9
    assert first.evidence.notes[1] == "mapping: reward>=0.5 then reward>=0.8"
    assert after.answered[3].evidence.scores == keys
    found, _ = again(tmp_path, mapping="correct>=1 then perf.speed>=0.2", items=("d3",))
    assert [(c.item, c.after) for c in found.changes] == [("d3", 2)]
    assert found.left == 2


def test_what_the_agent_broke_or_tampered_with_does_not_rise(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    outcomes = [
        Answered(0.0, 1, "d1", 0, evidence=Evidence(broken="it ended its container")),
        Answered(0.0, 2, "d2", 1, evidence=Evidence(reward=1.0, tampered=("tests.lock",))),
        Answered(0.0, 3, "d3", 1, evidence=Evidence(reward=0.0, tampered=("tests.lock",))),
        Answered(0.0, 4, "d4", 1, evidence=Evidence(reward=1.0)),
    ]
    write_run(tmp_path, bank, outcomes)
    found, after = again(tmp_path, mapping="reward>=0.5 then reward>=0.8")
    assert answers(after) == {"d1": 0, "d2": 1, "d3": 0, "d4": 2}
    assert after.answered[1] == outcomes[0]
    assert found.left == 1


def test_the_bank_says_how_many_categories_there_are(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, ItemBank("d", (directory("two", 2), directory("four", 4)), LABELS))
    outcomes = [
        Answered(0.0, 1, "two", 1, evidence=Evidence(reward=0.5)),
        Answered(0.0, 2, "four", 1, evidence=Evidence(reward=0.5)),
    ]
    write_run(tmp_path, bank, outcomes)
    with pytest.raises(PlanError, match=r"'four' has 4 categories.* makes 2.*write 3 conditions"):
        again(tmp_path, mapping="reward>=1")
    _, after = again(tmp_path, mapping="reward>=1", items=("tw*",))
    assert answers(after) == {"two": 0, "four": 1}
    with pytest.raises(PlanError, match="cannot be read"):
        again(tmp_path, mapping="rather good")
    with pytest.raises(PlanError, match="add --scorer or --score"):
        again(tmp_path)


def test_a_scorer_that_reads_messages_works_for_task_directories_too(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    inspect_eval(
        Task(dataset=[Sample(id=name, input="x") for name in ("d1", "d2", "d3")]),
        model=talking("4", "5", "4 5"),
        log_dir=str(tmp_path / "run" / "logs"),
        display="none",
        max_samples=1,
    )
    (log,) = (tmp_path / "run" / "logs").glob("*.eval")
    trace = f"logs/{log.name}"
    outcomes: list[Answered | Voided] = [
        Answered(0.0, 1, "d1", 0, evidence=Evidence(reward=0.5), trace=trace),
        Voided(0.0, 2, "d2", "scorer", "no verdict", Cost(1.0), trace),
        Answered(0.0, 3, "d3", 2, evidence=Evidence(reward=1.0), trace=trace),
    ]
    write_run(tmp_path, bank, outcomes)
    ladder = "says>=1 then says>=1 and reward>=1"
    found, after = again(tmp_path, "says", mapping=ladder)
    # the tests gave no reward for the second, which this mapping needs
    assert answers(after) == {"d1": 1, "d3": 2}
    assert "asks for a score 'reward'" in after.voided[2].detail
    assert found.became_voids == 0
    _, after = again(tmp_path, "says", args={"word": "5"}, mapping="says>=1 then says>=1")
    assert answers(after) == {"d1": 0, "d2": 2, "d3": 2}
    assert after.answered[2].evidence.scores == (("says", 1.0),)
    assert after.answered[1].evidence.scores == (("says", 0.0), ("reward", 0.5))
    with pytest.raises(PlanError, match="'d1' has 3 categories, but the mapping 'value>=1'"):
        again(tmp_path, "says")


# --- several sources ------------------------------------------------------------------------------

MIXED = bank_of(
    {"s": ("letters", {}, ""), "t": ("keys", {}, "security>=1")},
    [item("1", "s"), item("a", "t"), item("b", "t")],
)


def test_only_items_of_the_source_that_has_the_scores_change(tmp_path: Path) -> None:
    before = played(tmp_path, MIXED, "4 leak")
    found, after = again(tmp_path, mapping="security<1")
    assert (found.sources, found.left) == (("t",), 1)
    assert answers(after) == {**answers(before), "a": 1, "b": 1}
    found, _ = again(tmp_path, mapping="match<1")
    assert (found.sources, len(found.changes)) == (("s",), 1)
    found, after = again(tmp_path, "says", source="s", args={"word": "5"})
    assert answers(after) == {**answers(before), "1": 0}
    found, _ = rescore(tmp_path / "run", Recipe(("match",)))
    assert found.sources == ("s",)
    for recipe in (Recipe((f"{SCORERS}@says",)), Recipe(mapping="nothing>=1")):
        with pytest.raises(PlanError, match="say by --source which is meant, of: "):
            rescore(tmp_path / "run", recipe)
    with pytest.raises(PlanError, match="no outcome of a source 'u'; it has: "):
        again(tmp_path, mapping="security<1", source="u")


def test_task_directories_beside_samples_have_a_name(tmp_path: Path) -> None:
    mixed = replace(MIXED, items=(*MIXED.items, directory("d", 2)))
    bank = write_bank(tmp_path, mixed)
    outcomes = [
        Answered(0.0, 1, "1", 0, evidence=Evidence(reward=0.5, scores=(("match", 0.5),))),
        Answered(0.0, 2, "d", 0, evidence=Evidence(reward=0.5, scores=(("reward", 0.5),))),
    ]
    write_run(tmp_path, bank, outcomes)
    found, after = again(tmp_path, mapping="reward>=0.5")
    assert (found.sources, answers(after)) == (("environments",), {"1": 0, "d": 1})
    found, after = again(tmp_path, mapping="value>=0.5", source="s")
    assert (found.sources, answers(after)) == (("s",), {"1": 1, "d": 0})


def test_a_task_of_the_command_line_is_a_source(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, ItemBank("d", (directory("a", 2),), LABELS))
    launch = Launch(str(tmp_path / "bank"), "own", task="x/y", score="judge.tone>=1")
    evidence = Evidence(scores=(("judge.tone", 0.5), ("judge.facts", 1.0)))
    write_run(tmp_path, bank, [Answered(0.0, 1, "a", 0, evidence=evidence)], launch=launch)
    found, after = again(tmp_path, mapping="tone>=0.5 and facts>=1")
    assert (found.sources, answers(after)) == (("task",), {"a": 1})
    with pytest.raises(PlanError, match="asks for a score 'value'"):
        again(tmp_path, mapping="value>=1")


# --- what a process left behind -------------------------------------------------------------------

MANY = bank_of(
    {"s": ("two_scorers", {}, "length>=0.3 then length>=0.8")},
    [replace(item(f"i{n}", "s", k=3), environment=str(n % 3 + 1)) for n in range(6)],
)


def test_a_resumed_run_with_several_logs(tmp_path: Path) -> None:
    before = played(tmp_path, MANY, *TEXTS, halts=(2, 4, 99))
    assert len({e.trace for e in before.answered.values()}) == 3
    _, after = again(tmp_path, "length", args={"per": 100})
    assert answers(after) == dict.fromkeys(answers(before), 0)
    starts = [e for e in after.events if isinstance(e, Started)]
    assert len(starts) == 3
    assert {start.rescored for start in starts} == {"run"}


def test_an_interrupted_run_with_a_torn_journal(tmp_path: Path) -> None:
    before = played(tmp_path, MANY, *TEXTS, halts=(2,))
    assert before.stopped is None
    file = tmp_path / "run" / journal.NAME
    file.write_bytes(file.read_bytes() + b'{"kind": "chosen", "at"')
    found, after = again(tmp_path, "length", args={"per": 100})
    assert len(after.answered) == 2
    assert after.stopped is None
    assert found.after.end == ""
    assert "cut short (23 bytes)" in found.remarks[0]


def test_a_log_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    before = played(tmp_path, MANY, *TEXTS, halts=(2, 99))
    first = tmp_path / "run" / before.answered[1].trace
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])
    with pytest.raises(JournalError, match=rf"{first.name} cannot be read .*inspect log recover"):
        again(tmp_path, "length")
    first.unlink()
    with pytest.raises(JournalError, match=f"{first.name} is missing"):
        again(tmp_path, "length")
    assert not (tmp_path / "run-rescored").exists()
    # a mapping needs the journal alone
    _, after = again(tmp_path, mapping="length>=2 then length>=3")
    assert answers(after) == dict.fromkeys(answers(before), 0)


def test_an_answer_whose_sample_was_not_written_any_more_becomes_a_void(tmp_path: Path) -> None:
    before = played(tmp_path, MANY, *TEXTS, halts=(2, 99))
    lost, kept = (before.answered[step].trace for step in (1, 3))
    (tmp_path / "run" / lost).write_bytes((tmp_path / "run" / kept).read_bytes())
    found, after = again(tmp_path, "length")
    assert (found.became_voids, len(after.answered)) == (2, 4)
    assert "does not hold its sample" in after.voided[1].detail


# --- the end --------------------------------------------------------------------------------------


def test_a_precision_that_is_lost_is_not_claimed(tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    plan = replace(ALL, stop=parse_stop("sd<0.6"))
    outcomes = [Answered(0.0, n, f"d{n}", 1, evidence=Evidence(reward=0.5)) for n in (1, 2, 3)]
    # as if precision had been reached, which it is not with any outcomes
    session = write_run(tmp_path, bank, outcomes, plan=plan)
    assert session.stopped == Stopped(0.0, "precise", "sd below")
    found, after = again(tmp_path, mapping="reward>=0.4 then reward>=0.6")
    assert after.stopped is not None
    assert after.stopped.outcome == "limit"
    assert "(sd below)" in after.stopped.reason
    assert (found.before.end, found.changed) == ("precise: sd below", 0)


def test_an_end_that_still_holds_is_said_again(tmp_path: Path) -> None:
    session = played(tmp_path, MANY, *TEXTS, plan=replace(ALL, stop=parse_stop("items>=3")))
    _, after = again(tmp_path, "length", args={"per": 100})
    assert session.stopped is not None
    assert after.stopped == session.stopped


def test_what_is_scored_again_cannot_be_resumed(tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS, halts=(1,))
    found, _ = again(tmp_path, "length")
    with pytest.raises(JournalError, match="nothing to resume"):
        resume(Path(found.folder))


def test_a_run_can_be_scored_again_and_again(tmp_path: Path) -> None:
    before = played(tmp_path, TWO, *TEXTS)
    found, _ = again(tmp_path, "length", args={"per": 100})
    once = Recipe((f"{SCORERS}@length",))
    back, after = rescore(Path(found.folder), once)
    assert Path(back.folder).name == "run-rescored-rescored"
    assert answers(after) == answers(before)
    assert len(after.answered[1].evidence.notes) == 3


# --- scores from the evidence ---------------------------------------------------------------------

VALUES = st.one_of(
    st.sampled_from(["C", "P", "I", "words"]),
    st.floats(0, 1),
    st.dictionaries(st.sampled_from(["x", "y"]), st.floats(0, 1), min_size=1, max_size=2),
)


@given(st.dictionaries(st.sampled_from(["s1", "s2", "s3"]), VALUES, min_size=1))
def test_evidence_holds_all_that_a_mapping_may_name(values: Mapping[str, Any]) -> None:
    """As the run would have mapped its scores, so are they mapped again from the journal."""
    from harness.runners.foreign_scores import long_names

    scores = {name: Score(value=value) for name, value in values.items()}
    found = numbers(scores)
    evidence = Evidence(reward=found.get("value"), scores=tuple(long_names(scores).items()))
    event = Answered(0.0, 1, "1", 0, evidence=evidence)
    bank = bank_of({"s": ("letters", {}, "")}, [item("1", "s")])
    job = Job(Path(), Session(bank.table, ALL), bank, None, Recipe(), {})
    assert numbers(_old_scores(job, event)) == found


# --- the command ----------------------------------------------------------------------------------

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cat-harness", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def test_the_command(call: Call, tmp_path: Path) -> None:
    before = played(tmp_path, TWO, *TEXTS)
    run = tmp_path / "run"
    code, out, err = call("rescore", run, "--scorer", f"{SCORERS}@length", "-S", "per=100")
    assert code == 0, err
    assert "2 outcomes scored again, 2 in another category" in out
    assert "] 1  " in out
    assert "before: ability" in out
    target = tmp_path / "rescored.json"
    code, out, err = call("rescore", run, "--score", "length>=2 then length>=3", "--json", target)
    assert code == 0, err
    facts = json.loads(target.read_text())
    assert facts["changed"] == 2
    assert facts["mapping"] == "length>=2 then length>=3"
    assert facts["after"]["ability"] < facts["before"]["ability"]
    assert {c["before"] for c in facts["changes"]} == {*answers(before).values()}
    folder = tmp_path / "run-rescored-2"
    assert facts["folder"] == str(folder)
    assert f"cat-harness report {folder} --bank" in err
    assert call("report", folder, "--bank", tmp_path / "bank")[0] == 0
    assert "run-rescored-2" in (folder / "report.html").read_text()
    code, out, err = call("rescore", run, "--scorer", f"{SCORERS}@length", "--json")
    assert (code, json.loads(out)["changed"]) == (0, 0), err
    code, out, err = call("compare", run, folder)
    assert code == 3, err  # two answers tell no agent from himself
    assert "told apart" in out or "indistinguishable" in out
    code, _, err = call("resume", folder)
    assert (code, "nothing to resume" in err) == (2, True)


def test_bad_input_is_exit_2(call: Call, tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS)
    run = tmp_path / "run"
    for arguments in (
        (run,),
        (tmp_path / "nothing", "--score", "length>=1"),
        (run, "--score", "length>=1"),
        (run, "--scorer", "no_such/scorer"),
        (run, "--score", "length>=1 then length>=2", "--out", run),
    ):
        assert call("rescore", *arguments)[0] == 2, arguments


def test_the_exit_code_says_what_the_new_run_comes_to(call: Call, tmp_path: Path) -> None:
    bank = write_bank(tmp_path, DIRECTORIES_ONLY)
    plan = replace(ALL, stop=parse_stop("sd<0.3"))
    outcomes = [Answered(0.0, n, f"d{n}", 1, evidence=Evidence(reward=0.5)) for n in range(1, 4)]
    write_run(tmp_path, bank, outcomes, plan=plan)
    run = tmp_path / "run"
    # the journal by hand claims a precision that was never there
    assert call("rescore", run, "--score", "reward>=1 then reward>=2")[0] == 3
    code, _, err = call("rescore", run, "--score", "correct>=1 then reward>=2")
    assert (code, "nothing can be scored again" in err) == (2, True)


# --- calibration ----------------------------------------------------------------------------------


@contextmanager
def renamed(folder: Path, name: str, agent: str) -> Iterator[Path]:
    """The run of a folder as that of another agent."""
    record = journal.read(folder / "run")
    path = folder / name
    with journal.appending(path / journal.NAME) as writer:
        for event in record.events:
            writer.append(replace(event, agent=agent) if isinstance(event, Started) else event)
    yield path


def test_from_an_uncalibrated_bank_by_runs_to_a_calibrated_one(call: Call, tmp_path: Path) -> None:
    start = tmp_path / "bank"
    ladder = "length>=0.3 then length>=0.8"
    code, _, err = call(
        *("bank", "init", "--from", f"{FILE}@two_scorers", "--score", ladder, "--out", start)
    )
    assert code == 0, err
    earlier = load_bank(start)
    runs = []
    for agent, texts in (("short", ("no",)), ("middling", TEXTS), ("long", ("a long answer",))):
        folder = tmp_path / agent
        (folder / "bank").parent.mkdir()
        played(folder, earlier, *texts)
        with renamed(folder, "named", agent) as path:
            runs.append(path)
    out = tmp_path / "fitted"
    code, printed, err = call("calibrate", *runs, "--model", "grm", "--bank", start, "--out", out)
    assert code == 0, err
    assert f"{len(earlier.items)} items from 3 agents" in printed
    fitted = load_bank(out)
    assert fitted.sources == earlier.sources
    for known in earlier.items:
        found = fitted[known.id]
        assert (found.source, found.environment, found.tags) == (
            known.source, known.environment, known.tags
        )  # fmt: skip
        assert fitted.labels(known.id) == earlier.labels(known.id)
    assert fitted.hash != earlier.hash
    assert fitted.provenance["agents"] == 3
    # what was fitted runs again
    played(tmp_path / "last", fitted, *TEXTS)


def test_a_rescored_run_calibrates(call: Call, tmp_path: Path) -> None:
    played(tmp_path, TWO, *TEXTS)
    found, _ = again(tmp_path, "length", args={"per": 100})
    with renamed(tmp_path, "other", "other") as other:
        code, printed, err = call(
            *("calibrate", found.folder, other, "--model", "grm", "--bank", found.bank),
            *("--out", tmp_path / "fitted"),
        )
    assert code == 0, err
    assert "2 items from 2 agents" in printed
    assert load_bank(tmp_path / "fitted").provenance["source"] == "run-rescored, other"
