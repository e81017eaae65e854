"""Requests to a judge of tasks: what they depend on, where answers are kept, what they cost.

One request a task. Every answer is a small file, named by a hash of all that it depends on, so
that nothing is paid for twice and an interrupted run loses nothing.
"""

import hashlib
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
from inspect_ai.model import get_model_info

from harness.features import Level, TaskText
from harness.runners.rate_prompt import Prompt, prompt_for, read_answer

_CHARACTERS_A_TOKEN: Final = 4
_OUTPUT_TOKENS: Final = 400
"""Of an answer: an analysis and some thirty numbers; reasoning comes on top."""


@dataclass(frozen=True)
class Ask:
    """One request: about a task, for the first time or again."""

    task: str
    number: int
    """0 is asked at temperature 0, further ones at 1: they show how far the judge wavers."""
    level: Level
    prompt: Prompt
    place: Path
    """Of its answer."""


@dataclass(frozen=True)
class Answer:
    """What a judge said of one task."""

    ratings: Mapping[str, int]
    """Whole numbers within 1..5 by attribute."""
    analysis: str
    output_tokens: int


@dataclass(frozen=True)
class Quote:
    """What it is expected to cost to ask what is not kept."""

    asks: int
    kept: int
    """Of them, answered before."""
    input_tokens: int
    output_tokens: int
    usd: float | None
    """None where prices are not known."""

    @property
    def usd_each(self) -> float | None:
        """Of one request."""
        return None if self.usd is None else self.usd / max(1, self.asks - self.kept)


def asks_for(
    tasks: Mapping[str, TaskText],
    level: Level,
    model: str,
    args: Mapping[str, Any],
    samples: int = 1,
) -> tuple[Ask, ...]:
    """The requests about some tasks, ``samples`` for each.

    Args:
        model: as Inspect names it.
        args: what the model is made with.
    """
    folder = Path(platformdirs.user_cache_dir("cat-harness")) / "judged"
    found = []
    for name, task in tasks.items():
        prompt = prompt_for(task, level)
        for number in range(samples):
            # the prompt holds the rubric, the level and the texts
            key = json.dumps([asdict(prompt), model, dict(args), number], default=str)
            digest = hashlib.sha256(key.encode()).hexdigest()
            place = folder / digest[:2] / f"{digest}.json"
            found.append(Ask(name, number, level, prompt, place))
    return tuple(found)


def kept(ask: Ask) -> Answer | None:
    """The kept answer to a request; None where there is none, or none that can be used."""
    try:
        entries = json.loads(ask.place.read_text(encoding="utf-8"))
        reading = read_answer(json.dumps(entries["ratings"]), ask.level)
        answer = Answer(reading.ratings, str(entries["analysis"]), int(entries["output_tokens"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return None if reading.problem else answer


def keep(ask: Ask, answer: Answer, model: str) -> None:
    """Write an answer, whole or not at all, also when killed on the way.

    Raises:
        OSError: there is no room or no right to.
    """
    entries = {
        "model": model,
        "level": ask.level,
        "ratings": dict(answer.ratings),
        "analysis": answer.analysis,
        "output_tokens": answer.output_tokens,
    }
    ask.place.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=ask.place.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(entries, file)
    os.replace(part, ask.place)


def quote(asks: Sequence[Ask], model: str) -> Quote:
    """What it will cost to ask what is not kept.

    A token of the prompt is taken for four characters. An answer is taken to be as long as the
    kept ones, reasoning included, or where there are none as the text alone.
    """
    answers = {ask: kept(ask) for ask in asks}
    left = [ask for ask, answer in answers.items() if answer is None]
    lengths = [a.output_tokens for a in answers.values() if a is not None and a.output_tokens]
    characters = sum(len(ask.prompt.system) + len(ask.prompt.user) for ask in left)
    input_tokens = characters // _CHARACTERS_A_TOKEN
    output_tokens = round(len(left) * (statistics.mean(lengths) if lengths else _OUTPUT_TOKENS))
    info = get_model_info(model)
    usd = None if left else 0.0
    if info is not None and info.cost is not None:
        usd = (input_tokens * info.cost.input + output_tokens * info.cost.output) / 1e6
    return Quote(len(asks), len(asks) - len(left), input_tokens, output_tokens, usd)
