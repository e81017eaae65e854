"""Task directories: what is read from them, what is refused, and the library that we ship."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from harness.environments import (
    Environment,
    ResponseCurve,
    find_environment,
    lint,
    list_environments,
    load_environment,
)
from harness.errors import TaskError

SHIPPED = list_environments()


@st.composite
def curves(draw: st.DrawFn) -> ResponseCurve:
    thresholds = draw(st.lists(st.floats(-4, 4), min_size=1, max_size=5, unique=True))
    return ResponseCurve(draw(st.floats(0.1, 5)), tuple(sorted(thresholds)))


@given(curves(), st.floats(-1e6, 1e6))
def test_categories_of_a_persona_have_probabilities(curve: ResponseCurve, skill: float) -> None:
    p = curve.probabilities(skill)
    assert len(p) == len(curve.thresholds) + 1
    assert all(0 <= x <= 1 for x in p)
    assert sum(p) == pytest.approx(1)


@given(curves(), st.floats(-6, 6), st.floats(0, 4))
def test_more_skill_makes_every_milestone_likelier(
    curve: ResponseCurve, skill: float, more: float
) -> None:
    def reach(s: float) -> list[float]:
        p = curve.probabilities(s)
        return [sum(p[k:]) for k in range(1, len(p))]

    for low, high, threshold in zip(
        reach(skill), reach(skill + more), curve.thresholds, strict=True
    ):
        assert low <= high + 1e-12
        expected = 1 / (1 + math.exp(-curve.discrimination * (skill - threshold)))
        assert low == pytest.approx(expected, abs=1e-9)


# --- those we ship ------------------------------------------------------------------------------


def test_eight_tasks_are_shipped() -> None:
    assert len(SHIPPED) == 8
    assert len({e.name for e in SHIPPED}) == 8


@pytest.mark.parametrize("environment", SHIPPED, ids=lambda e: e.name)
def test_a_shipped_task_is_in_order(environment: Environment) -> None:
    assert lint(environment) == ()
    assert environment.categories == ("none", "first milestone", "core", "complete")
    assert not environment.network
    assert environment.difficulty in {"easy", "medium", "hard"}
    assert environment.image is None
    assert environment.solution(0) is None
    assert find_environment(environment.name) == environment


def test_the_shipped_tasks_go_from_easy_to_hard() -> None:
    middles = [e.persona.thresholds[1] for e in SHIPPED if e.persona]
    assert min(middles) < -1
    assert max(middles) > 1


# --- reading ------------------------------------------------------------------------------------


def test_a_task_is_read_with_its_limits(tmp_path: Path) -> None:
    task = load_environment(worlds.write_task(tmp_path, "one", agent_seconds=7))
    assert (task.name, task.agent_seconds, task.verifier_seconds) == ("one", 7, 30)
    assert (task.memory_mb, task.storage_mb, task.cpus, task.network) == (256, 64, 1, False)
    assert task.instruction.startswith("# one")
    assert task.solution(1) == task.path / "solution" / "partial-1.sh"
    assert task.solution(3) == task.path / "solution" / "solve.sh"


def test_a_task_of_another_tool_is_read_as_pass_or_fail(tmp_path: Path) -> None:
    path = worlds.write_task(tmp_path, "harbor")
    (path / "task.toml").write_text(
        """version = "1.0"
[metadata]
author_name = "someone"
difficulty = "medium"
estimated_minutes = 12
[verifier]
timeout_sec = 900.0
[agent]
timeout_sec = 1800.0
[environment]
build_timeout_sec = 600.0
cpus = 2
memory = "4G"
storage = "512M"
docker_image = "example/task:1"
allow_internet = true
gpus = 0
[environment.env]
MODE = "fast"
"""
    )
    task = load_environment(path)
    assert task.categories == ("fail", "pass")
    assert (task.memory_mb, task.storage_mb, task.cpus) == (4096, 512, 2)
    assert (task.network, task.image, task.env) == (True, "example/task:1", (("MODE", "fast"),))
    assert task.persona is None


def remove(name: str) -> Callable[[Path], object]:
    return lambda task: (task / name).unlink()


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda task: (task / name).write_text(text)


def ours(text: str) -> Callable[[Path], object]:
    return write("task.toml", f"[metadata.harness]\n{text}\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("tests/test.sh"), r"tests/test\.sh is missing .*hidden tests"),
        (remove("instruction.md"), r"instruction\.md is missing"),
        (remove("task.toml"), r"task\.toml is missing"),
        (remove("environment/Dockerfile"), r"Dockerfile is missing, and no docker_image"),
        (write("instruction.md", "  \n"), r"instruction\.md is empty"),
        (write("task.toml", "version = "), r"not valid TOML"),
        (write("task.toml", "[agent]\ntimeout_sec = -1"), r"agent\.timeout_sec"),
        (write("task.toml", "[environment]\nmemory = 'lots'"), r"'lots' is not a size"),
        (ours("categories = ['only']"), r"metadata\.harness\.categories"),
        (ours("labels = ['a', 'b']"), r"metadata\.harness\.labels"),
        (ours("persona = { discrimination = 0, thresholds = [0] }"), r"discrimination"),
        (ours("persona = { discrimination = 1, thresholds = [1, 0] }"), r"ascend"),
        (ours("persona = { discrimination = 1, thresholds = [0, 1] }"), r"one entry fewer"),
    ],
)
def test_a_damaged_task_is_refused_by_file_and_entry(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = worlds.write_task(tmp_path, "broken")
    damage(path)
    with pytest.raises(TaskError, match=message) as refused:
        load_environment(path)
    assert "broken" in str(refused.value)


def test_a_task_that_is_nowhere_is_named_with_the_places_looked_at(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no task directory 'absent'") as refused:
        find_environment("absent", tmp_path)
    assert str(tmp_path / "absent") in str(refused.value)
    with pytest.raises(TaskError, match="holds no task directories"):
        list_environments(tmp_path)


def test_a_folder_of_tasks_comes_before_those_shipped_and_shared_files_are_no_task(
    tmp_path: Path,
) -> None:
    name = SHIPPED[0].name
    mine = worlds.write_task(tmp_path, name)
    (tmp_path / "_shared").mkdir()
    assert find_environment(name, tmp_path).path == mine
    assert [e.name for e in list_environments(tmp_path)] == [name]
    assert [e.name for e in list_environments(mine)] == [name]


def test_a_folder_that_happens_to_have_the_name_of_a_task_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / SHIPPED[0].name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_environment(SHIPPED[0].name) == SHIPPED[0]


# --- the linter ---------------------------------------------------------------------------------


def test_the_linter_names_what_our_own_tasks_need(tmp_path: Path) -> None:
    path = worlds.write_task(tmp_path, "rough")
    (path / "solution" / "partial-2.sh").unlink()
    (path / "environment" / "Dockerfile").write_text("FROM x\nCOPY ../tests/ /tests/\n")
    problems = lint(load_environment(path))
    assert any("'## Edge cases'" in problem for problem in problems)
    assert any("partial-2.sh is missing" in problem for problem in problems)
    assert any("must stay hidden" in problem for problem in problems)
