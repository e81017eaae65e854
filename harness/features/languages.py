"""Programming languages: by the suffix of a file, and as a text names them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

_SUFFIXES = {
    "assembly": "asm s",
    "c": "c h",
    "c#": "cs",
    "c++": "cpp cc cxx hpp hh hxx",
    "cobol": "cob cbl",
    "coq": "v",
    "fortran": "f f90 f95",
    "go": "go",
    "haskell": "hs",
    "html": "html htm css",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "julia": "jl",
    "kotlin": "kt kts",
    "latex": "tex",
    "lisp": "lisp scm el clj",
    "ocaml": "ml mli",
    "perl": "pl pm",
    "php": "php",
    "python": "py pyi pyx ipynb",
    "r": "r rmd",
    "ruby": "rb",
    "rust": "rs",
    "scala": "scala",
    "shell": "sh bash zsh",
    "sql": "sql",
    "stan": "stan",
    "typescript": "ts tsx",
}

# Letters, words and names of other things are languages only in such company.
_WHAT = r"(?:code|compiler|function|library|module|package|program|script|source)s?\b"
_IN = r"(?i:\b(?:in|into|from|install|of|to|use|uses|using))"
_NAMES = {
    "assembly": r"(?i:\bassembly (?:code|language)|\bx86\b|\bmips\b|\brisc-?v\b)",
    "c": rf"\bgcc\b|\bC(?:89|99|11|17)?(?= {_WHAT}|11\b|99\b)|{_IN} C\b(?![+#:'’./&-]\w|\+|#)",
    "c#": r"(?i:\bc#|\bcsharp\b|\bdotnet\b|(?<![\w.])\.net\b)",
    "c++": r"(?i:\bc\+\+|\bcpp\b|\bg\+\+)",
    "cobol": r"(?i:\bcobol\b)",
    "coq": r"\b(?:Coq|Rocq)\b",
    "fortran": r"(?i:\bfortran\b)",
    "go": rf"(?i:\bgolang\b)|\bin Go\b|\bGo (?:{_WHAT}|1\.\d)",
    "haskell": r"\bHaskell\b",
    "html": r"\b(?:HTML|CSS)\b",
    "java": r"(?i:\bjava\b|\bmaven\b|\bgradle\b)",
    "javascript": r"(?i:\bjavascript\b|\bnode\.?js\b|\bnpm\b)",
    "julia": r"\bJulia\b",
    "kotlin": r"\bKotlin\b",
    "latex": r"(?i:\blatex\b)",
    "lisp": r"(?i:\b(?:common|emacs) lisp\b|\bclojure\b)|\bScheme\b",
    "ocaml": r"(?i:\bocaml\b)",
    "perl": r"\bPerl\b",
    "php": r"\bPHP\b",
    "python": r"(?i:\bpython\d?|\bpytest\b|\bpip3? install\b|\bnumpy\b|\bpytorch\b)",
    "r": rf"\bRscript\b|{_IN} R\b(?![&^²'’-])|\bR {_WHAT}",
    "ruby": r"\bRuby\b",
    "rust": r"\bRust\b|\brustc\b|\bcargo (?:build|run|test)\b",
    "scala": r"\bScala\b",
    "shell": r"(?i:\bbash\b|\bzsh\b|\bshell[ -]?scripts?\b)",
    "sql": r"\bSQL\b|(?i:\bsqlite\b|\bpostgres(?:ql)?\b|\bmysql\b)",
    "stan": r"\bStan\b|(?i:\brstan\b|\bpystan\b)",
    "typescript": r"\bTypeScript\b",
}

_OF_SUFFIX: Mapping[str, str] = MappingProxyType(
    {suffix: language for language, text in _SUFFIXES.items() for suffix in text.split()}
)
_NAMED = tuple((language, re.compile(pattern)) for language, pattern in _NAMES.items())


def language_of(path: str) -> str | None:
    """The language of a file by its suffix; None of other files.

    >>> language_of("src/main.rs"), language_of("README.md")
    ('rust', None)
    """
    return _OF_SUFFIX.get(PurePosixPath(path).suffix.lstrip(".").lower())


def languages_of(paths: Iterable[str]) -> frozenset[str]:
    """The languages of some files."""
    return frozenset(filter(None, map(language_of, paths)))


def named_languages(text: str) -> frozenset[str]:
    """The languages that a text names.

    >>> sorted(named_languages("Port it from Fortran to C, in C99 or C++. Go on, Carl R. said."))
    ['c', 'c++', 'fortran']
    """
    return frozenset(language for language, pattern in _NAMED if pattern.search(text))
