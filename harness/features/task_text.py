"""What is known of a task before anyone runs it: its texts and its metadata.

Every source of tasks fills the same value: a Harbor directory and a table
(:mod:`harness.features.sources`), and a sample of Inspect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

Level = Literal["statement", "repository", "tests", "solution"]
"""How much is known of a task: each level knows what the earlier ones know, and more."""

LEVELS: tuple[Level, ...] = get_args(Level)

Fact: TypeAlias = float | str | frozenset[str] | None
"""A number, a category, a set of words (tags, languages), or unknown."""

SEVERAL = 3
"""A word of such a set has a column of 0 and 1 once so many tasks have it."""

Files: TypeAlias = Mapping[str, str | None]
"""Text of each file by its relative path, ``/`` between folders; None of a file that is no text."""

_LEVELS: Mapping[str, Level] = MappingProxyType(
    {
        **dict.fromkeys(
            ("statement", "languages", "text", "author", "topic", "resources"),
            "statement",
        ),
        "repository": "repository",
        "tests": "tests",
        "solution": "solution",
    }
)


@dataclass(frozen=True)
class TaskText:
    """The texts of a task. A part that is None is unknown, which differs from empty."""

    statement: str
    """What the agent is told."""
    repository: Files | None = None
    """Files that the container is built from, the Dockerfile among them."""
    tests: Files | None = None
    """Hidden tests."""
    solution: Files | None = None
    """The reference solution: scripts, patches or whole files."""
    metadata: Mapping[str, Fact] = field(default_factory=dict)
    """What is known besides, by ``block.column``, such as ``author.difficulty`` or
    ``solution.lines`` where only the number is known."""

    def at(self, level: Level) -> "TaskText":
        """What is known of it at a level: parts of higher levels become unknown.

        >>> task = TaskText("Fix it.", tests={"test.sh": "pytest"}, metadata={"tests.lines": 1.0})
        >>> task.at("statement")
        TaskText(statement='Fix it.', repository=None, tests=None, solution=None, metadata={})
        """
        known = LEVELS[: LEVELS.index(level) + 1]
        return replace(
            self,
            repository=self.repository if "repository" in known else None,
            tests=self.tests if "tests" in known else None,
            solution=self.solution if "solution" in known else None,
            metadata={
                name: fact
                for name, fact in self.metadata.items()
                if (level_of(name.partition(".")[0]) or "statement") in known
            },
        )


def level_of(block: str) -> Level | None:
    """The level that a block of features needs, by its name; None of a block that is not ours.

    >>> level_of("author"), level_of("tests"), level_of("judged_solution"), level_of("mine")
    ('statement', 'tests', 'solution', None)
    """
    if block in _LEVELS:
        return _LEVELS[block]
    return next((level for level in LEVELS if block.endswith(f"_{level}")), None)


def highest_level(blocks: tuple[str, ...]) -> Level | None:
    """The highest level that any of some blocks needs; None where no block says one."""
    needed = {level_of(block) for block in blocks}
    return next((level for level in reversed(LEVELS) if level in needed), None)
