"""Names of models, made comparable: a suggestion is not a match, it is for review."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_DATE = re.compile(
    r"(?<![\d.])(?:20\d\d([-_.]?)[01]\d\1[0-3]\d|[01]\d[0-3]\d|2[3-9][01]\d)(?![\d.])"
)
"""A day (20241022, 2024-10-22, 0709) or a month (2507): no part of a version."""
_HOST = re.compile(r"_at_\w+$")
_VERSION = re.compile(r"(?<=\d)[-_](?=\d+(?![\da-z]))")
"""Within a version: 4-5 is 4.5, but 3-30b is not 3.30b."""
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)*[a-z]*")
_SINGLE = re.compile(r"(?<![a-z])[a-z]\d+(?:\.\d+)*[a-z]*")
"""Such as o3, k2 or m2.1: one word."""
_EMPTY_WORDS = frozenset({"preview", "latest", "exp", "experimental"})
"""Say how a model was served, not which it is."""
_VARIANTS = frozenset(
    re.findall(
        r"\w+",
        "mini nano micro small medium large lite flash pro max ultra turbo codex coder code fast "
        "thinking chat instruct instant vision haiku sonnet opus oss air plus",
    )
)
"""Words that make another model of a name."""
_ALIKE = 0.85


@dataclass(frozen=True)
class Likeness:
    """How alike two names are, and why."""

    similarity: float
    """1 for the same words."""
    reason: str


def words_of(name: str) -> tuple[str, ...]:
    """Words of a name in lower case: no vendor before a slash, no host, no date, no punctuation.

    >>> words_of("anthropic/claude-3-5-sonnet-20241022")
    ('claude', '3.5', 'sonnet')
    >>> words_of("MiniMax M2.1"), words_of("minimax-m2_1_at_minimax"), words_of("gpt4o")
    (('minimax', 'm2.1'), ('minimax', 'm2.1'), ('gpt', '4o'))
    """
    text = _HOST.sub("", name.strip().lower().rsplit("/", 1)[-1])
    text = _VERSION.sub(".", _DATE.sub(" ", text))
    found: list[str] = []
    place = 0
    while place < len(text):
        match = _SINGLE.match(text, place) or _WORD.match(text, place)
        if match:
            found.append(match.group())
        place = match.end() if match else place + 1
    return tuple(found)


def normalised(name: str) -> str:
    """Words of a name, in an order of their own: names that differ in order only are equal.

    >>> normalised("Claude Opus 4.5") == normalised("claude-4.5-opus-20251101")
    True
    >>> normalised("GPT-5.1") == normalised("GPT-5")
    False
    """
    return " ".join(sorted(words_of(name)))


def likeness(name: str, other: str) -> Likeness | None:
    """How alike two names of models are; None where they are not the same model.

    Names whose numbers differ are never alike: Claude Opus 4 is not Claude Opus 4.1.

    >>> likeness("gemini-3-pro-preview", "Gemini 3 Pro").reason
    "the same words but for 'preview'"
    >>> likeness("GPT-5", "GPT-5 mini")
    """
    if name == other:
        return Likeness(1.0, "the same text")
    one, two = words_of(name), words_of(other)
    if one == two and one:
        return Likeness(1.0, "the same words after case, punctuation, vendor and date")
    if sorted(one) == sorted(two) and one:
        return Likeness(1.0, "the same words in another order")
    left = set(one) ^ set(two)
    if left <= _EMPTY_WORDS and set(one) & set(two):
        return Likeness(0.95, f"the same words but for {_listed(left)}")
    ratio = SequenceMatcher(None, " ".join(one), " ".join(two), autojunk=False).ratio()
    if ratio < _ALIKE or left & _VARIANTS or any(any(c.isdigit() for c in w) for w in left):
        return None
    return Likeness(round(ratio, 2), f"similar, but {_listed(left)} differ")


def model_in(agent: str, models: Collection[str]) -> tuple[str, Likeness] | None:
    """Which of some models the name of an agent holds; None for none or for several.

    >>> model_in("codex_gpt-5_1-codex_at_openai", ["GPT-5", "GPT-5.1", "GPT-5.1-Codex"])[0]
    'GPT-5.1-Codex'
    >>> model_in("warp_claude-haiku-4-5,gpt-5_2", ["Claude Haiku 4.5", "GPT-5.2"])
    >>> model_in("openhands_gpt-5-mini", ["GPT-5"])
    """
    held = words_of(agent)
    spans = {model: span for model in models if (span := _span(words_of(model), held))}
    if not spans:
        return None
    best = max(spans, key=lambda model: len(spans[model]))
    whole = spans[best]
    if any(not set(span) <= set(whole) for span in spans.values()):
        return None
    # a scaffold comes first; what follows the model belongs to the model
    if _VARIANTS & set(held[whole.stop :]):
        return None
    rest = held[: whole.start] + held[whole.stop :]
    share = sum(len(held[place]) for place in whole) / sum(map(len, held))
    besides = f"; besides it {_listed(rest)}" if rest else ""
    return best, Likeness(round(share, 2), f"the name holds {best!r}{besides}")


def _span(words: Sequence[str], held: Sequence[str]) -> range | None:
    """Where words stand together in others, the first of them first."""
    size = len(words)
    for start in range(len(held) - size + 1) if words else ():
        window = held[start : start + size]
        if window[0] == words[0] and sorted(window) == sorted(words):
            return range(start, start + size)
    return None


def _listed(words: Collection[str]) -> str:
    return ", ".join(repr(word) for word in sorted(set(words)))
