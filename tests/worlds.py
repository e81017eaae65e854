"""Small task directories and banks that tests run sessions over, made where they are needed."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.bank import Item, ItemBank
from harness.bank_files import save_bank

AGENTS = Path(__file__).parent / "fixtures" / "agents.py"

THRESHOLDS: Mapping[str, tuple[float, float, float]] = {
    "tiny-a": (-1.5, -0.8, 0.0),
    "tiny-b": (-0.8, 0.0, 0.8),
    "tiny-c": (-0.2, 0.6, 1.4),
    "tiny-d": (-1.0, 0.2, 1.0),
}
LABELS = ("none", "first milestone", "core", "complete")
_DISCRIMINATION = 1.6

# A category is the number of lines in a file: quick, and every category can be reached.
DOCKERFILE = """\
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
WORKDIR /app
COPY README.md /app/
"""
TEST_SH = """\
#!/bin/bash
lines=$(cat answer.txt 2>/dev/null | wc -l)
[ "$lines" -gt 3 ] && lines=3
tests=
for n in 1 2 3; do
  status=failed
  [ "$lines" -ge "$n" ] && status=passed
  about="\\"name\\":\\"line $n\\",\\"status\\":\\"$status\\""
  tests="$tests,{$about,\\"extra\\":{\\"milestone\\":$n}}"
done
echo "{\\"results\\":{\\"tests\\":[${tests#,}]}}" > /logs/verifier/ctrf.json
echo "$lines 3" | awk '{ printf "%.4f", $1 / $2 }' > /logs/verifier/reward.txt
"""


def write_task(
    folder: Path,
    name: str,
    *,
    thresholds: tuple[float, ...] = (-1.0, 0.0, 1.0),
    agent_seconds: float = 60,
    test_sh: str = TEST_SH,
    dockerfile: str = DOCKERFILE,
) -> Path:
    """A task that asks for three lines in a file; each line is a milestone."""
    path = folder / name
    for part in ("environment", "tests", "solution"):
        (path / part).mkdir(parents=True)
    (path / "task.toml").write_text(
        f"""version = "1.0"
[metadata]
difficulty = "easy"
[metadata.harness]
categories = {list(LABELS)}
persona = {{ discrimination = {_DISCRIMINATION}, thresholds = {list(thresholds)} }}
[agent]
timeout_sec = {agent_seconds}
[verifier]
timeout_sec = 30.0
[environment]
cpus = 1.0
memory_mb = 256
storage_mb = 64
"""
    )
    (path / "instruction.md").write_text(f"# {name}\n\nWrite three lines to answer.txt.\n")
    (path / "environment" / "Dockerfile").write_text(dockerfile)
    (path / "environment" / "README.md").write_text("Nothing here yet.\n")
    (path / "tests" / "test.sh").write_text(test_sh)
    for lines, script in ((1, "partial-1.sh"), (2, "partial-2.sh"), (3, "solve.sh")):
        (path / "solution" / script).write_text(f"seq {lines} > answer.txt\n")
    return path


def write_bank(
    folder: Path, items: Iterable[str], thresholds: Mapping[str, tuple[float, ...]] = THRESHOLDS
) -> Path:
    """A graded bank whose items are as hard as their tasks say they are for personas."""
    save_bank(
        ItemBank(
            folder.name,
            tuple(
                Item(
                    name,
                    "grm",
                    (_DISCRIMINATION,),
                    tuple(-_DISCRIMINATION * t for t in thresholds.get(name, (-1.0, 0.0, 1.0))),
                    categories="milestones",
                )
                for name in items
            ),
            {"milestones": LABELS},
        ),
        folder,
    )
    return folder


def write_world(folder: Path) -> tuple[Path, Path]:
    """The four tiny tasks and their bank: folder of the bank, folder of the tasks."""
    tasks = folder / "tasks"
    for name, thresholds in THRESHOLDS.items():
        write_task(tasks, name, thresholds=thresholds)
    return write_bank(folder / "tiny", THRESHOLDS), tasks
