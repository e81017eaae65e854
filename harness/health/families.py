"""The family of a model, as its name says."""

import re

_FAMILIES: tuple[tuple[str, str], ...] = (
    # the maker, and words that its models' names are known by
    ("Anthropic", r"claude|opus|sonnet|haiku"),
    ("OpenAI", r"gpt|chatgpt|codex|o[134](?![a-z0-9])|davinci"),
    ("Google", r"gemini|gemma|palm"),
    ("Alibaba", r"qwen|qwq"),
    ("DeepSeek", r"deepseek"),
    ("Moonshot", r"kimi"),
    ("Zhipu", r"glm|chatglm"),
    ("MiniMax", r"minimax"),
    ("Meta", r"llama|codellama"),
    ("Mistral", r"mistral|mixtral|devstral|codestral|magistral"),
    ("xAI", r"grok"),
    ("Amazon", r"nova(?![a-z])|titan"),
    ("NVIDIA", r"nemotron"),
    ("ByteDance", r"doubao|seed(?![a-z])"),
)


def family_of(name: str) -> str:
    """Who made the model that a name mentions; empty when it names none, or several.

    >>> family_of("claude-opus-4.7"), family_of("factory_droid_gpt-5_2"), family_of("o3 + gemini")
    ('Anthropic', 'OpenAI', '')
    """
    text = name.lower()
    found = [family for family, words in _FAMILIES if re.search(rf"(?<![a-z])(?:{words})", text)]
    return found[0] if len(found) == 1 else ""
