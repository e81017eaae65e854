"""The texts of Inspect's samples: what they say, bring along, and are compared with.

A source of tasks of any kind is read here, as this is the lowest place that knows of all.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage

from harness.errors import InputError, TaskError
from harness.features import TaskText, read_texts
from harness.features.author import author_facts
from harness.features.sheet import Note
from harness.features.sources import file_text
from harness.runners import borrowed
from harness.runners.foreign import ForeignTask, load_source

_TESTS: Final = ("tests", "test", "test_code", "test_patch", "test_list", "test_setup_code")
_SOLUTIONS: Final = (
    *("solution", "patch", "reference_solution", "canonical_solution", "gold_patch"),
    "reference_answer",
)
TARGET: Final = "target"
"""Name of a sample's target among the files of its solution."""


def texts_of(source: str, args: Mapping[str, Any], note: Note) -> dict[str, TaskText]:
    """The tasks of a folder of task directories, a table with texts, or an Inspect task.

    Args:
        source: a folder, a CSV or CSV.gz, or as for :func:`sample_texts`.
        args: of the Inspect task.
        note: told of tasks and columns that are left out, and why.

    Raises:
        InputError: there are no tasks, or they cannot be read.
    """
    path = Path(source)
    if path.is_dir() or source.endswith((".csv", ".csv.gz")):
        if args:
            raise InputError(f"{source} is no Inspect task and takes no argument {min(args)!r}")
        return read_texts(path, note)
    try:
        texts = sample_texts(source, args)
    except TaskError as error:
        if path.exists() or "@" in source:
            raise
        raise InputError(f"{source} is neither a folder nor a table (CSV), and {error}") from None
    if not texts:
        raise InputError(f"Inspect task {source!r} has no samples with these arguments")
    return texts


def sample_texts(spec: str, args: Mapping[str, Any] | None = None) -> dict[str, TaskText]:
    """Texts of the samples of an Inspect task by their ids.

    The statement is the input, with the choices; system messages of the task's solver are not in
    it. The repository is the sample's files, its setup and the configuration of its sandbox. Tests
    and solution are entries of its metadata such as ``test_patch`` and ``patch``. The target
    belongs to the solution, as it tells the answer or how it is judged.

    Args:
        spec: ``package/task`` or ``file.py@task``, as for ``inspect eval``.
        args: what the task is made with, as by ``-T``.

    Raises:
        TaskError: the task cannot be found, made or used.
    """
    task = load_source(spec, args)
    return {name: _texts(task, sample) for name, sample in task.samples.items()}


def _texts(task: ForeignTask, sample: Sample) -> TaskText:
    metadata = sample.metadata or {}
    solution = _named(metadata, _SOLUTIONS)
    target = sample.target if isinstance(sample.target, str) else "\n".join(sample.target)
    # often the same text as one in the metadata
    if target.strip() and target not in solution.values():
        solution |= {TARGET: target}
    return TaskText(
        "\n".join(_statement(sample)),
        dict(_repository(task.task, sample)) or None,
        _named(metadata, _TESTS) or None,
        solution or None,
        author_facts(metadata),
    )


def _statement(sample: Sample) -> Iterator[str]:
    if isinstance(sample.input, str):
        yield sample.input
    else:
        yield from map(_message, sample.input)
    for letter, choice in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", sample.choices or (), strict=False):
        yield f"{letter}) {choice}"


def _message(message: ChatMessage) -> str:
    """Its text, with a word for what is none."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(
        part.text if part.type == "text" else f"({part.type})" for part in message.content
    )


def _named(metadata: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in names:
        match metadata.get(name):
            case str(text) if text.strip():
                found[name] = text
            case [*texts] if texts:
                found[name] = "\n".join(map(str, texts))
            case _:
                continue
    return found


def _repository(task: Task, sample: Sample) -> Iterator[tuple[str, str | None]]:
    """(path, text) of what a sample's sandbox is made of."""
    folder = Path(borrowed.folder_of(task))
    sandbox = borrowed.sandbox_of_sample(borrowed.sandbox_of(task, None), sample.sandbox)
    if sandbox is not None and isinstance(sandbox.config, str):
        file = folder / sandbox.config
        # a compose file mostly builds what lies beside it
        for beside in dict.fromkeys((file, file.parent / "Dockerfile")):
            if beside.is_file():
                yield beside.name, file_text(beside)
    for name, source in (sample.files or {}).items():
        yield from _source(name, source, folder)
    if sample.setup:
        yield from _source("setup", sample.setup, folder)


def _source(name: str, source: str, folder: Path) -> Iterator[tuple[str, str | None]]:
    """As Inspect reads it: the place of a file or folder, an address, or the text itself."""
    if source.startswith(("data:", "http://", "https://")):
        yield name, None
        return
    path = folder / source
    try:
        inner = sorted(file for file in path.rglob("*") if file.is_file())
        is_file = path.is_file()
    except (OSError, ValueError):
        # too long for a path, or with characters that none may have
        inner, is_file = [], False
    if is_file:
        yield name, file_text(path)
    elif source and inner:
        yield from (
            (f"{name}/{file.relative_to(path).as_posix()}", file_text(file)) for file in inner
        )
    else:
        yield name, source
