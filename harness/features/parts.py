"""What the files of a task look like: its repository, hidden tests and reference solution."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from harness.features.languages import language_of, languages_of
from harness.features.task_text import Fact, Files

# Only spaces and tabs, as \s would run over blank lines from every one of them.
_HEREDOC = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1[^\n]*\n(.*?)^[ \t]*\2[ \t]*$", re.M | re.S)
_REDIRECT = re.compile(r"(?<![<>&\d])>>?[ \t]*([\w./~$\"{}-]+)|\btee (?:-a )?([\w./~-]+)")
_IN_PLACE = re.compile(r"sed\b.* -i")
_DIFF = re.compile(r"^(?:diff --git |--- .*\n\+\+\+ )", re.M)
_DIFF_FILE = re.compile(
    r"^\+\+\+ (?!/dev/null)(\S+)|^--- (?!/dev/null)(\S+).*\n\+\+\+ /dev/null", re.M
)
_DIFF_LINE = re.compile(r"^(?:\+(?!\+\+ )|-(?!-- )).*\S", re.M)
_MANAGERS = frozenset(
    (
        *("apk", "apt", "apt-get", "brew", "cargo", "conda", "dnf", "gem", "mamba", "microdnf"),
        *("npm", "pip", "pip3", "pnpm", "uv", "yarn", "yum"),
    )
)
_SHEBANG = re.compile(r"#!\S*(?:/env )?\S*sh\b")
_TEST_FUNCTION = re.compile(
    r"^[ \t]*(?:(?:async )?def test\w*[ \t]*\(|(?:it|test)\([ \t]*['\"]|func Test\w+\(|"
    r"TEST(?:_F)?\()|#\[test\]|@Test\b",
    re.M,
)
_ASSERT = re.compile(
    r"^[ \t]*(?:assert\b|(?:if )?(?:\[\[?|test) .*(?:\]|\|\| exit|&&))|\bself\.assert\w+\(|"
    r"\bpytest\.(?:raises|fail)\b|\bexpect\(|\bassert\w*!?\(",
    re.M,
)


def repository_features(files: Files) -> dict[str, Fact]:
    """Size of what a container is built from, and of the Dockerfile that builds it.

    >>> found = repository_features(
    ...     {"Dockerfile": "FROM x\\nRUN apt-get install -y git vim\\n", "a.py": "x = 1\\n"}
    ... )
    >>> found["files"], found["code_lines"], found["packages"]
    (1.0, 1.0, 2.0)
    """
    docker = {path for path in files if PurePosixPath(path).name.startswith("Dockerfile")}
    others = {path: text for path, text in files.items() if path not in docker}
    dockerfile = "\n".join(files[path] or "" for path in sorted(docker))
    return {
        "files": float(len(others)),
        "binary_files": float(sum(text is None for text in others.values())),
        "code_files": float(sum(language_of(path) is not None for path in others)),
        "code_lines": _lines(text for path, text in others.items() if language_of(path)),
        "other_lines": _lines(text for path, text in others.items() if not language_of(path)),
        "languages": float(len(languages_of(others))),
        "dockerfile_lines": _lines([dockerfile]),
        "packages": float(len(set(_packages(dockerfile, files)))),
    }


def tests_features(files: Files) -> dict[str, Fact]:
    """Number, size and kind of hidden tests: ``pytest``, ``unittest``, ``shell`` or ``other``.

    >>> found = tests_features({"test_it.py": "def test_a():\\n    assert f() == 1\\n"})
    >>> found["functions"], found["asserts"], found["kind"]
    (1.0, 1.0, 'pytest')
    """
    texts = [text for text in files.values() if text is not None]
    code = "\n".join(texts)
    if "unittest" in code and "TestCase" in code:
        kind = "unittest"
    elif re.search(r"\bpytest\b|^[ \t]*def test\w*\(", code, re.M):
        kind = "pytest"
    elif files and all(language_of(path) == "shell" for path in files):
        kind = "shell"
    else:
        kind = "other"
    return {
        "files": float(len(files)),
        "lines": _lines(texts),
        "functions": float(len(_TEST_FUNCTION.findall(code))),
        "asserts": float(len(_ASSERT.findall(code))),
        "kind": kind,
    }


def solution_features(files: Files) -> dict[str, Fact]:
    """Size and spread of a reference solution: of a patch, its changed lines and files.

    Files that a script writes count as touched, and what it writes them from is no command.

    >>> found = solution_features({"solve.sh": "cd b\\ncat > a.py <<EOF\\nx = 1\\nEOF\\nmake\\n"})
    >>> found["lines"], found["files"], found["commands"], found["languages"]
    (5.0, 1.0, 3.0, 2.0)
    """
    lines, commands = 0.0, 0
    touched: set[str] = set()
    languages: set[str] = set()
    for path, text in files.items():
        if text is None:
            touched.add(path)
        elif _DIFF.search(text):
            lines += len(_DIFF_LINE.findall(text))
            touched |= {after or before for after, before in _DIFF_FILE.findall(text)}
        elif language_of(path) == "shell" or _SHEBANG.match(text):
            lines += _lines([text])
            script = _HEREDOC.sub(lambda match: match[0].partition("\n")[0], text)
            own = _commands(script)
            commands += len(own)
            touched |= _written(own)
            languages.add("shell")
        else:
            lines += _lines([text])
            touched.add(path)
    return {
        "lines": lines,
        "files": float(len(touched)),
        "commands": float(commands),
        "languages": float(len(languages | languages_of(touched))),
    }


def _lines(texts: Iterable[str | None]) -> float:
    """Lines that are not blank."""
    return float(sum(bool(line.strip()) for text in texts for line in (text or "").splitlines()))


def _packages(dockerfile: str, files: Files) -> Iterator[str]:
    """Packages that an image installs by name, or by a list of requirements beside it."""
    lists = {PurePosixPath(path).name: text for path, text in files.items()}
    for command in _commands(dockerfile):
        words = [word.strip("\"'") for word in command.split()]
        verbs = [word in ("add", "install") for word in words]
        if not any(verbs) or not _MANAGERS.intersection(words[: verbs.index(True)]):
            continue
        for name in words[verbs.index(True) + 1 :]:
            if name.endswith(".txt"):
                wanted = (lists.get(PurePosixPath(name).name) or "").splitlines()
                yield from (line for line in wanted if re.match(r"\s*[A-Za-z]", line))
            elif re.match(r"[A-Za-z@]", name):
                yield name


def _commands(script: str) -> list[str]:
    """Commands of a shell script without the texts that it writes."""
    joined = re.sub(r"\\[ \t]*\n", " ", re.sub(r"^[ \t]*#.*$", "", script, flags=re.M))
    parts = re.split(r"\n|;|&&|\|\|?|\bdo\b|\bthen\b|\belse\b", joined)
    words = {"", "done", "esac", "exit", "fi", "set", "{", "}"}
    return [part.strip() for part in parts if part.strip().split(" ")[0] not in words]


def _written(commands: Iterable[str]) -> set[str]:
    """Files that commands write by redirection or in place."""
    found = set()
    for command in commands:
        found |= {a or b for a, b in _REDIRECT.findall(command)}
        if _IN_PLACE.match(command):
            found.add(command.split()[-1])
    return {path.strip("\"'") for path in found if not path.startswith(("/dev/", "&"))}
