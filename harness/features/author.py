"""What authors say of a task: difficulty in words becomes an ordered number."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from harness.features.task_text import Fact

_WORDS: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("trivial", "very easy"), 0.0),
        **dict.fromkeys(("beginner", "easy", "low", "simple", "<15 min fix"), 1.0),
        **dict.fromkeys(("intermediate", "medium", "moderate", "normal", "15 min - 1 hour"), 2.0),
        **dict.fromkeys(("advanced", "difficult", "hard", "high", "1-4 hours"), 3.0),
        **dict.fromkeys(("expert", "extreme", "insane", "very hard", ">4 hours"), 4.0),
    }
)
_MINUTES: Mapping[str, str] = MappingProxyType(
    {
        "expert_time_estimate_min": "expert_minutes",
        "expert_minutes": "expert_minutes",
        "junior_time_estimate_min": "junior_minutes",
        "junior_minutes": "junior_minutes",
        "estimated_minutes": "minutes",
        "estimated_duration_min": "minutes",
        "human_minutes": "minutes",
        "minutes": "minutes",
    }
)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"author.{column}" for name, column in _MINUTES.items()},
        "difficulty": "author.difficulty",
        "category": "topic.category",
        "tags": "topic.tags",
    }
)


def author_name(name: str) -> str | None:
    """Where an author's entry or column goes, ``block.column``; None of one that says nothing.

    What a task is about is a block of its own: many weak columns beside the author's judgement
    would take its weight.

    >>> author_name("expert_time_estimate_min"), author_name("tags"), author_name("author_email")
    ('author.expert_minutes', 'topic.tags', None)
    """
    return _NAMES.get(name)


def ordered_difficulty(value: Fact) -> Fact:
    """An author's difficulty as a number; a word that is not known stays a category.

    Trivial is 0, easy 1, medium 2, hard 3 and very hard 4; the bands of minutes of SWE-bench
    Verified are 1 to 4, and numbers stay what they are.

    >>> ordered_difficulty("Medium"), ordered_difficulty("7"), ordered_difficulty("boss level")
    (2.0, 7.0, 'boss level')
    """
    if not isinstance(value, str):
        return value
    word = " ".join(value.lower().replace("_", " ").split())
    if word in _WORDS:
        return _WORDS[word]
    return float(word) if word.replace(".", "", 1).isdecimal() else value.strip() or None


def author_facts(metadata: Mapping[str, object]) -> dict[str, Fact]:
    """Facts of the ``[metadata]`` of a task file, by ``block.column``.

    >>> author_facts({"difficulty": "hard", "expert_time_estimate_min": 30, "author_name": "x"})
    {'author.difficulty': 3.0, 'author.expert_minutes': 30.0}
    """
    found: dict[str, Fact] = {}
    for key, value in metadata.items():
        name = author_name(key)
        match value:
            case _ if name is None:
                continue
            case [*_]:
                found[name] = frozenset(map(str, value))
            case bool() | int() | float():
                found[name] = float(value)
            case str() if name == "topic.tags":
                found[name] = frozenset(re.split(r"[;,\s]+", value.strip())) - {""}
            case str() if name == "author.difficulty":
                found[name] = ordered_difficulty(value)
            case str() if value.strip():
                found[name] = value.strip()
            case _:
                continue
    return found
