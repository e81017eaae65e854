"""The verdict of a task's hidden tests to a category.

Tests write a reward between 0 and 1 to ``/logs/verifier/reward.txt`` (or ``reward.json``), and
may add ``ctrf.json`` (Common Test Report Format) with each test by name.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.events import Evidence, TestResult

_MESSAGE_LIMIT = 200
"""Characters kept of a failing test's message, from its end; the trace has all of it."""
_NEAR = 1e-3
"""Slack for rewards written with a few digits, such as 0.667 for two of three."""


@dataclass(frozen=True)
class Verdict:
    """A category and what it rests on."""

    category: int
    evidence: Evidence


@dataclass(frozen=True)
class NoVerdict:
    """The tests gave no usable result: a void, never a failure."""

    detail: str


def judge(
    n_categories: int,
    files: Mapping[str, str],
    exit_code: int,
    output: str,
) -> Verdict | NoVerdict:
    """Read the verdict that the hidden tests left behind.

    Args:
        n_categories: K; a reward r is category ``floor(r · (K - 1))``, so a partial reward never
            rounds up.
        files: contents by name of those of ``reward.txt``, ``reward.json``, ``ctrf.json`` found.
        exit_code: of ``test.sh``.
        output: the end of what ``test.sh`` printed, for the message of a missing verdict.

    >>> judge(4, {"reward.txt": "0.6667"}, 0, "").category
    2
    """
    try:
        reward = _reward(files)
    except ValueError as error:
        return NoVerdict(str(error))
    if reward is None:
        tail = " ".join(output.split())[-300:]
        return NoVerdict(f"test.sh wrote no reward (exit code {exit_code}): {tail or 'no output'}")
    if not 0 <= reward <= 1:
        return NoVerdict(f"the reward {reward:g} does not lie between 0 and 1")
    category = math.floor(reward * (n_categories - 1) + _NEAR)
    return Verdict(category, Evidence(reward=reward, tests=_tests(files.get("ctrf.json", ""))))


def _reward(files: Mapping[str, str]) -> float | None:
    if text := files.get("reward.txt", "").strip():
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"reward.txt holds {text[:80]!r}, which is not a number") from None
    if text := files.get("reward.json", "").strip():
        try:
            content = json.loads(text)
        except ValueError:
            raise ValueError("reward.json is not valid JSON") from None
        value = content.get("reward") if isinstance(content, dict) else content
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError('reward.json needs a number under the key "reward"')
        return float(value)
    return None


def _tests(ctrf: str) -> tuple[TestResult, ...]:
    """Tests by name; a report that cannot be read adds nothing, the reward decides."""
    try:
        entries = json.loads(ctrf)["results"]["tests"]
        return tuple(_test(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def _test(entry: Mapping[str, Any]) -> TestResult:
    milestone = (entry.get("extra") or {}).get("milestone")
    return TestResult(
        str(entry["name"]),
        entry["status"] == "passed",
        milestone if isinstance(milestone, int) else None,
        str(entry.get("message", "")).strip()[-_MESSAGE_LIMIT:],
    )
