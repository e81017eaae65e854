"""Families of language models, as their names tell."""

import re

_MAKERS: tuple[tuple[str, str], ...] = (
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


def maker_in(text: str) -> str:
    """Who made the model that a text mentions; empty when it mentions none that is known, or
    several.

    >>> maker_in("claude-opus-4.7"), maker_in("factory_droid_gpt-5_2"), maker_in("o3 + gemini")
    ('Anthropic', 'OpenAI', '')
    """
    found = [
        maker for maker, words in _MAKERS if re.search(rf"(?<![a-z])(?:{words})", text.lower())
    ]
    return found[0] if len(found) == 1 else ""


def family_of(llm: str) -> str:
    """Family of a language model: its maker where the name tells, else what stands before a slash,
    else its leading letters; empty for no name.

    >>> [family_of(llm) for llm in ("Claude Opus 4.5", "openai/o3", "acme/one", "Foo-2", "")]
    ['Anthropic', 'OpenAI', 'acme', 'foo', '']
    """
    vendor, slash, _ = llm.strip().lower().partition("/")
    letters = re.match(r"[^\W\d_]+", vendor)
    return maker_in(llm) or (vendor if slash or not letters else letters[0])
