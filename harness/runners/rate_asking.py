"""Asking a judge about many tasks at once, within a budget.

What the judge does not say stays unknown, and a failing API costs nothing that came before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
)
from inspect_ai.util import JSONSchema

from harness.features import Level
from harness.runners.rate import Answer, Ask, keep, kept
from harness.runners.rate_prompt import ANALYSIS, again, read_answer
from harness.runners.rubric import attributes

_RETRIES: Final = 6
"""By Inspect, of a request that fails for a while, with growing pauses."""
_PATIENCE: Final = 3
"""Failures with nothing but failures before them, after which no more is asked."""


@dataclass
class Asked:
    """What came of the asking so far."""

    answers: dict[Ask, Answer]
    """Kept ones and new ones; a new one may lack attributes."""
    unusable: dict[Ask, str]
    """What is wrong with answers that lack ratings, after asking again."""
    failed: dict[Ask, str]
    """Requests that the model's API refused, or whose answer could not be kept."""
    unasked: list[Ask]
    """For their cost, or because all before them failed."""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    """None where prices are not known."""
    plain: bool = False
    """Whether the model had to be asked without a schema and a temperature."""


async def ask_all(
    asks: Sequence[Ask],
    model: Model,
    *,
    max_usd: float | None = None,
    usd_each: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Asked:
    """Ask what is not kept, as many at once as Inspect lets the model have.

    Args:
        max_usd: no request is sent whose expected cost, with that of those in flight, goes beyond.
        usd_each: expected cost of a request, for ``max_usd``; what they do cost corrects it.
        progress: told (settled, all).
    """
    answers = {ask: answer for ask in asks if (answer := kept(ask)) is not None}
    left = [ask for ask in asks if ask not in answers]
    asked = Asked(answers, {}, {}, [])
    purse = _Purse(asked, max_usd, usd_each)

    async def settle(ask: Ask) -> None:
        if len(asked.failed) >= _PATIENCE and not asked.calls:
            asked.unasked.append(ask)
        else:
            await _settle(ask, model, asked, purse)
        await purse.release()
        progress(len({*answers, *asked.unusable, *asked.failed}), len(asks))

    progress(len(answers), len(asks))
    async with anyio.create_task_group() as group:
        for position, ask in enumerate(left):
            if not await purse.admit():
                asked.unasked += left[position:]
                break
            group.start_soon(settle, ask)
    return asked


class _Purse:
    """Lets requests through, all alone until one is answered, while they can be paid for."""

    def __init__(self, asked: Asked, max_usd: float | None, usd_each: float) -> None:
        self._asked = asked
        self._max_usd = max_usd
        self._usd_each = usd_each
        self._in_flight = 0
        self._change = anyio.Condition()

    async def admit(self) -> bool:
        """Wait until one more request can be paid for; False where none will be."""
        async with self._change:
            while not self.affords(self._in_flight + 1):
                if not self._in_flight:
                    return False
                await self._change.wait()
            self._in_flight += 1
        return True

    def affords(self, requests: int) -> bool:
        spent, calls = self._asked.usd or 0.0, self._asked.calls
        if requests > 1 and not calls:
            # the first one shows what they cost, and whether the model takes a schema
            return False
        if self._max_usd is None:
            return True
        each = max(self._usd_each, spent / max(1, calls))
        return spent + requests * each <= self._max_usd

    def affords_again(self) -> bool:
        """Whether a request in flight may be followed by another about the same task."""
        return self.affords(self._in_flight)

    async def release(self) -> None:
        async with self._change:
            self._in_flight -= 1
            self._change.notify_all()


async def _settle(ask: Ask, model: Model, asked: Asked, purse: _Purse) -> None:
    """Ask, once more where the answer cannot be used, and keep what is complete."""
    messages: list[ChatMessage] = [
        ChatMessageSystem(content=ask.prompt.system),
        ChatMessageUser(content=ask.prompt.user),
    ]
    try:
        output = await _heard(messages, ask, model, asked)
        reading = read_answer(output.completion, ask.level)
        ratings, analysis, tokens = dict(reading.ratings), reading.analysis, _output_tokens(output)
        if reading.problem and purse.affords_again():
            said = [output.message] if output.completion.strip() else []
            correction = ChatMessageUser(content=again(reading.problem))
            output = await _heard([*messages, *said, correction], ask, model, asked)
            reading = read_answer(output.completion, ask.level)
            ratings |= reading.ratings
            tokens += _output_tokens(output)
        answer = Answer(ratings, reading.analysis or analysis, tokens)
        if ratings:
            asked.answers[ask] = answer
        if len(ratings) == len(attributes(ask.level)):
            keep(ask, answer, str(model))
        else:
            end = "" if output.stop_reason == "stop" else f" (it ended by {output.stop_reason})"
            asked.unusable[ask] = (output.error or reading.problem) + end
    except Exception as error:
        # each provider has errors of its own
        asked.failed[ask] = f"{type(error).__name__}: {error}"


async def _heard(messages: list[ChatMessage], ask: Ask, model: Model, asked: Asked) -> ModelOutput:
    """One answer, with its cost noted."""
    plain = GenerateConfig(max_retries=_RETRIES)
    if asked.plain:
        output = await model.generate(messages, config=plain)
    else:
        exact = GenerateConfig(
            temperature=float(ask.number > 0), response_schema=_schema(ask.level)
        )
        try:
            output = await model.generate(messages, config=plain.merge(exact))
        except Exception:
            # some models take no schema or no temperature, and each provider says so in its way
            output = await model.generate(messages, config=plain)
            asked.plain = True
    asked.calls += 1
    if usage := output.usage:
        asked.input_tokens += usage.input_tokens
        asked.input_tokens += usage.input_tokens_cache_read or 0
        asked.input_tokens += usage.input_tokens_cache_write or 0
        asked.output_tokens += usage.output_tokens
        if usage.total_cost is not None:
            asked.usd = (asked.usd or 0.0) + usage.total_cost
    return output


def _output_tokens(output: ModelOutput) -> int:
    return output.usage.output_tokens if output.usage else 0


def _schema(level: Level) -> ResponseSchema:
    """Without limits of the numbers: some providers refuse them, and the answer is checked."""
    entries = {ANALYSIS: JSONSchema(type="string")}
    entries |= {a.name: JSONSchema(type="integer") for a in attributes(level)}
    schema = JSONSchema(
        type="object", properties=entries, required=[*entries], additionalProperties=False
    )
    return ResponseSchema(name="ratings", json_schema=schema, strict=True)
