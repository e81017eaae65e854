"""Checkpoints are found once they are complete, in order, each once; rotation is no error."""

import ast
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.series.watch import (
    PATTERNS,
    SETTINGS_FILE,
    Found,
    Look,
    Settings,
    look,
    read_settings,
    template,
    watching,
)

NOW = 1_000_000.0
OLD = NOW - 100


def age(path: Path, when: float = OLD) -> None:
    for inner in [*path.rglob("*"), path]:
        os.utime(inner, (when, when), follow_symlinks=False)


def write(folder: Path, name: str, *files: str, when: float = OLD) -> Path:
    path = folder / name
    for file in files or ("model.safetensors",):
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text("weights")
    age(path, when)
    return path


def complete_checkpoints(folder: Path, *, now: float) -> tuple[Found, ...]:
    """The complete ones; what is wrong is an error."""
    seen = look(folder, now=now)
    for pending in seen.pending:
        if pending.state == "wrong":
            raise InputError(pending.reason)
    return seen.complete


def steps(seen: Sequence[Found]) -> list[int]:
    return [found.step for found in seen]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-500", 500),
        ("step-7", 7),
        ("step_000500", 500),
        ("global_step20", 20),
        ("iter_0000100", 100),
        ("checkpoint-0", 0),
    ],
)
def test_common_names_are_known(tmp_path: Path, name: str, step: int) -> None:
    path = write(tmp_path, name)
    assert complete_checkpoints(tmp_path, now=NOW) == (Found(step, path),)


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint-",
        "checkpoint-5-old",
        "xcheckpoint-5",
        "checkpoint-last",
        "checkpoint--5",
        "checkpoint-1.5",
        "tmp-checkpoint-5",
        "checkpoint-5\n",
        "checkpoint-²",
        "checkpoint-" + "9" * 200,
    ],
)
def test_other_names_are_told(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    assert look(tmp_path, now=NOW) == Look(others=(name,))


@given(st.sets(st.integers(0, 10**12), max_size=8), st.sampled_from(PATTERNS), st.integers(0, 8))
@settings(max_examples=25)
def test_steps_are_read_and_sorted(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], pattern: str, width: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for number in numbers:
        write(folder, pattern.replace("{step}", str(number).zfill(width)))
    assert steps(complete_checkpoints(folder, now=NOW)) == sorted(numbers)


def test_files_are_checkpoints_too(tmp_path: Path) -> None:
    for name in ("step_000500.safetensors", "step_600.tar.gz", "step_700.safetensors.tmp"):
        (tmp_path / name).write_text("weights")
    (tmp_path / "step_800.pt").touch()
    age(tmp_path)
    seen = look(tmp_path, now=NOW)
    assert steps(seen.complete) == [500, 600]
    assert [(p.step, p.state) for p in seen.pending] == [(700, "unfinished"), (800, "unfinished")]


def test_patterns_of_the_user(tmp_path: Path) -> None:
    for name in ("epoch=3-step=500.ckpt", "epoch=4-step=600.ckpt", "last.ckpt"):
        (tmp_path / name).write_text("weights")
    age(tmp_path)
    seen = look(tmp_path, ["epoch=*-step={step}.ckpt"], now=NOW)
    assert steps(seen.complete) == [500, 600]
    assert seen.others == ("last.ckpt",)


@pytest.mark.parametrize("pattern", ["checkpoint", "a{step}b{step}", "a/{step}", "", "v1{step}"])
def test_patterns_that_cannot_be_used(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError, match="in it once"):
        look(tmp_path, [pattern], now=NOW)
    with pytest.raises(InputError, match="in it once"):
        next(watching(tmp_path, [pattern], say=print))


@pytest.mark.parametrize("inner", ["a.tmp", "x/b.incomplete", "tmp-1", "c.part", "tmp-2/model"])
def test_temporary_names_wait(tmp_path: Path, inner: str) -> None:
    write(tmp_path, "step_1", "model.safetensors", inner)
    [pending] = look(tmp_path, now=NOW).pending
    assert pending.state == "unfinished"
    assert "looks unfinished" in pending.reason


@pytest.mark.parametrize("where", [".", "model.safetensors", "x", "x/deep"])
def test_anything_modified_lately_waits(tmp_path: Path, where: str) -> None:
    path = write(tmp_path, "step_1", "model.safetensors", "x/deep")
    os.utime(path / where, (NOW - 9, NOW - 9))
    [pending] = look(tmp_path, now=NOW).pending
    assert pending.state == "writing"
    assert "less than 10 s ago" in pending.reason
    assert steps(look(tmp_path, now=NOW + 1.5).complete) == [1]
    assert steps(look(tmp_path, now=NOW, settled=5).complete) == [1]


def test_empty_folders_wait(tmp_path: Path) -> None:
    (tmp_path / "step_1" / "inner").mkdir(parents=True)
    age(tmp_path)
    [pending] = look(tmp_path, now=NOW).pending
    assert "is empty" in pending.reason


def test_a_marker_decides_alone(tmp_path: Path) -> None:
    write(tmp_path, "step_1", "model", "DONE", "left.tmp", when=NOW)
    write(tmp_path, "step_2", "model")
    write(tmp_path, "step_3", "model", when=NOW)
    seen = look(tmp_path, now=NOW, marker="DONE")
    assert steps(seen.complete) == [1]
    assert [(p.step, p.state) for p in seen.pending] == [(2, "unfinished"), (3, "writing")]
    assert "holds no DONE yet" in seen.pending[0].reason


def test_clocks_that_differ_are_told_and_hold_up_no_other(tmp_path: Path) -> None:
    write(tmp_path, "step_1", when=NOW + 3600)
    [pending] = look(tmp_path, now=NOW).pending
    assert pending.state == "unfinished"
    assert "clocks" in pending.reason


def test_links_are_not_followed_in_circles(tmp_path: Path) -> None:
    path = write(tmp_path, "step_1")
    (path / "circle").symlink_to(path)
    (path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "latest").symlink_to(path)
    age(tmp_path)
    assert steps(complete_checkpoints(tmp_path, now=NOW)) == [1]


def test_two_of_one_step_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "step_5")
    write(tmp_path, "checkpoint-0005")
    write(tmp_path, "step_6")
    with pytest.raises(InputError, match=r"checkpoint-0005 and .*step_5 are both step 5"):
        complete_checkpoints(tmp_path, now=NOW)
    assert steps(look(tmp_path, now=NOW).complete) == [6]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(InputError, match=name):
            complete_checkpoints(tmp_path / name, now=NOW)


SETTINGS = """
model: openai/served
model_args: {temperature: 0.5, base_url: "http://h", flag: true, stop: [a, b], none: null, n: "1"}
serve: serve {path}
jump: true
note: new data
"""


def test_settings_override(tmp_path: Path) -> None:
    path = write(tmp_path, "step_1")
    (path / SETTINGS_FILE).write_text(SETTINGS)
    age(path)
    [found] = complete_checkpoints(tmp_path, now=NOW)
    assert (found.settings.model, found.settings.jump) == ("openai/served", True)
    assert (found.settings.serve, found.settings.agent) == ("serve {path}", None)
    assert found.settings.model_args is not None
    values = {name: ast.literal_eval(text) for name, text in found.settings.model_args}
    expected = {"temperature": 0.5, "base_url": "http://h", "flag": True, "none": None, "n": "1"}
    assert values == {**expected, "stop": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle: x", "unknown key modle; there are model, agent"),
        ("jump: perhaps", "jump: "),
        ("model: [a]", "model: "),
        ("model_args: x=1", "model_args: .*mapping"),
        ("- model", "has to be a mapping"),
        ("a: [", "no valid YAML"),
        ("\0", "no valid YAML"),
    ],
)
def test_wrong_settings_name_their_file(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, "step_1")
    (path / SETTINGS_FILE).write_text(text)
    age(path)
    with pytest.raises(InputError, match=f"step_1/{SETTINGS_FILE}: .*{words}"):
        complete_checkpoints(tmp_path, now=NOW)


def test_absent_and_empty_settings_say_nothing(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()
    (tmp_path / SETTINGS_FILE).write_text("# nothing\n")
    assert read_settings(tmp_path) == Settings()


def test_templates() -> None:
    path = Path("a b/step_1")
    assert template("x/{path} {name} {step} {{path}}", 1, path) == "x/a b/step_1 step_1 1 {path}"
    with pytest.raises(InputError, match="is no placeholder"):
        template("{port}", 1, path)


def played(
    folder: Path, acts: list[Callable[[], object]], *, known: Sequence[int] = ()
) -> tuple[list[tuple[int, int]], list[str]]:
    """(look, step) of all that is found while one act is played after each look; what is said."""
    turn = 0
    said: list[str] = []

    def sleep(seconds: float) -> None:
        nonlocal turn
        acts[turn]()
        turn += 1

    found = watching(
        folder,
        say=said.append,
        until=lambda: turn == len(acts),
        known=known,
        sleep=sleep,
        clock=lambda: NOW + 100 * turn,
    )
    return [(turn, one.step) for one in found], said


def test_each_is_found_once_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, "step_20")
    write(tmp_path, "step_3")
    write(tmp_path, "step_1")
    found, said = played(
        tmp_path,
        [
            lambda: write(tmp_path, "step_30"),
            lambda: shutil.rmtree(tmp_path / "step_30"),
            lambda: write(tmp_path, "step_30"),
            lambda: None,
        ],
        known=[1],
    )
    assert found == [(0, 3), (0, 20), (1, 30)]
    assert said == []


def test_later_ones_wait_for_one_that_is_being_written(tmp_path: Path) -> None:
    write(tmp_path, "step_1")
    write(tmp_path, "step_2", when=NOW)
    write(tmp_path, "step_3")
    found, said = played(tmp_path, [lambda: None])
    assert found == [(0, 1), (1, 2), (1, 3)]
    assert len(said) == 1
    assert "step_2" in said[0]


def test_what_is_unfinished_or_wrong_holds_up_no_other(tmp_path: Path) -> None:
    write(tmp_path, "step_1", "model.tmp")
    write(tmp_path, "step_2", SETTINGS_FILE)
    write(tmp_path, "step_3")
    write(tmp_path, "step_4")
    write(tmp_path, "step-4")
    write(tmp_path, "step_5")

    def mend() -> None:
        (tmp_path / "step_1/model.tmp").rename(tmp_path / "step_1/model")
        (tmp_path / "step_2" / SETTINGS_FILE).write_text("note: mended")
        shutil.rmtree(tmp_path / "step-4")
        age(tmp_path)

    found, said = played(tmp_path, [lambda: None, mend])
    assert found == [(0, 3), (0, 5), (2, 1), (2, 2), (2, 4)]
    assert len(said) == 3


def test_the_folder_may_come_later_and_go_away(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    found, said = played(
        folder,
        [
            lambda: None,
            lambda: write(folder, "step_1"),
            lambda: shutil.rmtree(folder),
            lambda: write(folder, "step_2"),
        ],
    )
    assert found == [(2, 1), (4, 2)]
    assert len(said) == 1
    assert str(folder) in said[0]


def test_names_that_match_nothing_are_said(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"ckpt{number}").mkdir()
    found, [said] = played(tmp_path, [lambda: None])
    assert found == []
    assert "ckpt0, ckpt1, ckpt2, ckpt3, ckpt4, ..., which match none of checkpoint-{step}" in said


def test_a_run_that_writes_and_rotates_while_it_is_watched(tmp_path: Path) -> None:
    """A thread writes checkpoints in pieces and removes old ones; the watch sees whole ones."""
    count, stop = 12, threading.Event()

    def train() -> None:
        for step in range(1, count + 1):
            path = tmp_path / f"checkpoint-{step}"
            for piece in range(4):
                path.mkdir(exist_ok=True)
                (path / f"{piece}.tmp").write_text("x")
                time.sleep(0.005)
                (path / f"{piece}.tmp").rename(path / f"{piece}.bin")
            (path / "DONE").touch()
            if step > 6:
                shutil.rmtree(tmp_path / f"checkpoint-{step - 6}")
        stop.set()

    thread = threading.Thread(target=train)
    thread.start()
    seen = []
    for found in watching(
        tmp_path, say=lambda text: None, until=stop.is_set, marker="DONE", poll=0.002
    ):
        assert found.step <= count - 6 or len(list(found.path.glob("*.bin"))) == 4
        seen.append(found.step)
    thread.join()
    assert seen == sorted(set(seen))
    assert set(range(count - 5, count + 1)) <= set(seen)
