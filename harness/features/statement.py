"""What the statement of a task looks like: its length, its structure and what it mentions."""

import re
import unicodedata

from harness.features.languages import language_of, languages_of, named_languages

_FENCED = re.compile(r"^[ \t]*(`{3,}+|~{3,}+)[^\n]*\n(.*?)(?:^[ \t]*\1[^\n]*$|\Z)", re.M | re.S)
_INLINE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
_STEP = re.compile(r"^[ \t]*\d{1,3}[.)、．][ \t]*\S", re.M)
_MARKER = re.compile(r"^[ \t]*\d{1,3}[.)]", re.M)
_BULLET = re.compile(r"^[ \t]*[-*+•・–][ \t]+\S", re.M)
_HEADING = re.compile(r"^#{1,6} +\S", re.M)
# The full stops of East Asian scripts need no space after them.
_SENTENCE_END = re.compile(r"[.!?…؟।]+(?=[\s\"')\]*_]|\Z)|[。！？]+")
_QUESTION = re.compile(r"[?？؟](?=\W|\Z)")
_URL = re.compile(r"\b(?:https?|ftp|ssh|git)://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?!\w)")
_WORD = re.compile(r"[^\W_]+(?:['’_-][^\W_]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9_./~@+:#*-]+(?:\(\))?")
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_DATA = frozenset(
    (
        *("bin", "bmp", "cfg", "conf", "crt", "csv", "dat", "db", "diff", "elf", "env", "gz"),
        *("h5", "img", "ini", "ipynb", "iso", "jpg", "json", "jsonl", "key", "lock", "log", "md"),
        *("mp4", "npy", "out", "parquet", "patch", "pdf", "pem", "pkl", "png", "ppm", "pt"),
        *("qcow2", "service", "so", "sqlite", "svg", "tar", "toml", "tsv", "txt", "wasm", "wav"),
        *("xml", "yaml", "yml", "zip"),
    )
)
_SYMBOL = re.compile(
    r"[A-Za-z]\w*(?:(?:\.|::)[A-Za-z_]\w+)+(?:\(\))?"  # dotted
    r"|_*[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+_*(?:\(\))?"  # snake
    r"|[a-z]+(?:[A-Z][a-z0-9]*)+(?:\(\))?|(?:[A-Z][a-z0-9]+){2,}(?:\(\))?"  # camel
    r"|[A-Za-z_]\w*\(\)"
)
_CONSTRAINTS = re.compile(
    r"\b(?:must|should|shall|exactly|only|never|always|cannot|can't|do not|don't|at least|at most|"
    r"no more than|ensure|make sure|required"
    r"|muss|müssen|soll|sollen|darf|dürfen|genau|nur|niemals|immer|mindestens|höchstens"
    r"|doit|doivent|exactement|seulement|uniquement|jamais|toujours|au moins|au plus"
    r"|debe|deben|exactamente|solo|sólo|nunca|siempre|al menos|como máximo"
    r"|deve|devem|devono|exatamente|esattamente|somente|apenas|sempre"
    r"|должн[аоы]|должен|нужно|необходимо|только|никогда|всегда|ровно|не менее|не более|нельзя"
    r")\b|必须|必須|应该|應該|只能|不得|不能|至少|最多|确保|確保|必ず|べき|のみ|だけ|してはいけ|なければな"
    r"|반드시|해야|만 |최소|최대",
    re.IGNORECASE,
)


def statement_features(text: str) -> dict[str, float]:
    """Counts of what a statement holds, and the shares of its letters outside English.

    Words, sentences, questions and constraints are those of the text outside code blocks. Two
    letters of a script that has no spaces (Chinese, Japanese, Thai and others) count as a word.
    Paths and symbols are counted once each, however often they are mentioned.

    >>> found = statement_features("Fix `parse_date` in src/dates.py.\\n1. It must take 3 forms.")
    >>> found["words"], found["steps"], found["paths"], found["symbols"], found["constraints"]
    (12.0, 1.0, 1.0, 1.0, 1.0)
    """
    blocks = [match[2] for match in _FENCED.finditer(text)]
    prose = _FENCED.sub("\n", text)
    without_urls, without_code = _URL.sub(" ", text), _URL.sub(" ", prose)
    paths, symbols = _mentions(without_urls)
    letters = [char for char in text if char.isalpha()]
    counts = {
        "words": _words(without_code),
        "characters": len(text),
        "lines": sum(bool(line.strip()) for line in text.splitlines()),
        "sentences": len(_SENTENCE_END.findall(_MARKER.sub("", without_code))),
        "headings": len(_HEADING.findall(prose)),
        "code_blocks": len(blocks),
        "code_lines": sum(bool(line.strip()) for code in blocks for line in code.splitlines()),
        "inline_code": len(_INLINE.findall(prose)),
        "steps": len(_STEP.findall(prose)),
        "bullets": len(_BULLET.findall(prose)),
        "paths": len(paths),
        "symbols": len(symbols),
        "urls": len(_URL.findall(text)),
        "numbers": len(_NUMBER.findall(without_urls)),
        "questions": len(_QUESTION.findall(without_code)),
        "constraints": len(_CONSTRAINTS.findall(prose)),
    }
    shares = {
        "other_letters": _share(sum(not _latin(char) for char in letters), len(letters)),
        "non_ascii": _share(sum(not char.isascii() for char in text), len(text)),
    }
    return {name: float(value) for name, value in (counts | shares).items()}


def statement_languages(text: str) -> frozenset[str]:
    """Programming languages that a statement names, or mentions a file of.

    >>> sorted(statement_languages("Port /app/fit.R to Python."))
    ['python', 'r']
    """
    paths, _ = _mentions(_URL.sub(" ", text))
    return named_languages(text) | languages_of(paths)


def words_of(text: str) -> list[str]:
    """Words in small letters, for vectors of texts; pairs of letters where there are no spaces.

    >>> words_of("Parse parse_date, 日本語")
    ['parse', 'parse_date', '日本', '本語']
    """
    found: list[str] = []
    for match in _WORD.finditer(text.lower()):
        for part in re.split(f"({_NO_SPACES.pattern}+)", match[0]):
            if _NO_SPACES.match(part):
                found += [part[i : i + 2] for i in range(max(1, len(part) - 1))]
            elif len(part) > 1 and not part.isdigit():
                found.append(part)
    return found


def _words(text: str) -> float:
    unspaced = len(_NO_SPACES.findall(text))
    return len(_WORD.findall(_NO_SPACES.sub(" ", text))) + -(-unspaced // 2)


def _mentions(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """(paths, symbols) of a text without addresses."""
    tokens = {token.strip("*").rstrip(".:*+-") for token in _TOKEN.findall(text)}
    paths = frozenset(token for token in tokens if _is_path(token))
    symbols = (token.removesuffix("()") for token in tokens - paths if _SYMBOL.fullmatch(token))
    return paths, frozenset(symbols)


def _is_path(token: str) -> bool:
    name = token.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if dot and (language_of(name) or suffix.lower() in _DATA) and (stem or "/" in token):
        return True
    return bool(re.match(r"(?:~|\.{1,2})?/\w", token)) or (
        token.count("/") > 1 and any(map(str.isalpha, token))
    )


def _latin(char: str) -> bool:
    return char.isascii() or unicodedata.name(char, "").startswith("LATIN")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
