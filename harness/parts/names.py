"""Names of models and scaffolds, made comparable without guessing."""

import re
import unicodedata

_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\W_]+(?=\d)")
_PUNCTUATION = re.compile(r"(?!(?<=\d)\.(?=\d))[^\w+]|_")


def folded(name: str) -> str:
    """A name without case, spaces and punctuation: names that fold alike are the same part.

    Between digits one dot is kept, as 3.5 is not 35, and so is a plus sign. Nothing else is
    guessed: vendors, dates and the order of words count.

    >>> folded("Claude Opus 4.5") == folded("claude-opus-4-5") == folded("claude_opus 4_5")
    True
    >>> folded("GPT-4.1"), folded("gpt 41"), folded("o1+"), folded(" ")
    ('gpt4.1', 'gpt41', 'o1+', '')
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    return _PUNCTUATION.sub("", _BETWEEN_DIGITS.sub(".", text))
