"""A table of agents and their parts, proposed from their names, for somebody to confirm."""

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.parts.ability import Parts
from harness.parts.names import folded
from harness.responses.families import maker_in
from harness.responses.names import likeness

COLUMNS = ("agent", "llm", "scaffold", "date", "use", "reason")
_DATE = re.compile(r"^(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?=[-_. T]|$)[-_. ]*")
"""A day at the front of a name is that of the agent; further on it is that of a model."""
_SERVED = re.compile(r"_at_[a-z0-9]+(?:_ai)?$", re.IGNORECASE)
_RELEASE = re.compile(r"[-_ ](?:20\d\d[-_.]?[01]\d[-_.]?[0-3]\d)$")
_EDGES = "-_+. /"
_SCAFFOLDS = (
    *("Aider", "Claude Code", "Cline", "Codex", "Codex CLI", "Gemini CLI", "Goose", "OpenHands"),
    *("SWE-agent", "mini-SWE-agent", "Agentless", "AutoCodeRover", "OpenCode", "Terminus"),
    *("Terminus 2", "Qwen Code", "Roo Code", "Cursor", "Moatless", "RAG", "Tools"),
)
"""Scaffolds that anybody may use, so that 'claude-code' is not read as a model."""


@dataclass(frozen=True)
class Suggestion:
    """One row, for somebody to confirm."""

    agent: str
    parts: Parts
    reason: str
    """What it was read from."""


def suggest_parts(
    agents: Sequence[tuple[str, Parts]],
    models: Collection[str] = (),
    scaffolds: Collection[str] = (),
) -> tuple[Suggestion, ...]:
    """Model, scaffold and date of agents by their names, where nothing better says them.

    A scaffold is what a name begins with, the model what follows; known names decide where one
    ends, else a word of a family of models (claude, gpt, …) begins the model. A day in front is
    the date.

    Args:
        agents: names, and what is known of each already; that is kept.
        models: names of models that are known from elsewhere.
        scaffolds: names of scaffolds, likewise.

    >>> rows = suggest_parts([("20250522_sweagent_claude-4-sonnet-20250514", Parts())])
    >>> rows[0].parts
    Parts(llm='claude-4-sonnet', scaffold='SWE-agent', date='2025-05-22')
    """
    known_models = [*dict.fromkeys([*models, *(one.llm for _, one in agents if one.llm)])]
    known_scaffolds = {
        folded(name): name
        for name in (*_SCAFFOLDS, *scaffolds, *(one.scaffold for _, one in agents))
        if folded(name)
    }
    return tuple(_suggest(agent, given, known_models, known_scaffolds) for agent, given in agents)


def _suggest(
    agent: str, given: Parts, models: Collection[str], scaffolds: dict[str, str]
) -> Suggestion:
    if given.llm and given.scaffold and given.date:
        return Suggestion(agent, given, "as the outcomes say")
    said = [
        f"{word} as the outcomes say"
        for word, value in (
            ("model", given.llm),
            ("scaffold", given.scaffold),
            ("date", given.date),
        )
        if value
    ]
    date, rest = given.date, agent
    if found := _DATE.match(agent):
        rest = agent[found.end() :]
        if not date:
            date = "-".join(found.groups())
            said.append("date in front of the name")
    before, model, why = _split(_SERVED.sub("", rest), models, scaffolds)
    llm = given.llm or model
    if not given.llm and why:
        said.append(why)
    scaffold = given.scaffold
    if not scaffold and before:
        same = scaffolds.get(folded(before))
        scaffold = same or before
        said.append(f"scaffold {scaffold!r} is known" if same else "scaffold is what stands before")
    return Suggestion(agent, Parts(llm, scaffold, date), "; ".join(said) or "nothing in the name")


def _split(text: str, models: Collection[str], scaffolds: dict[str, str]) -> tuple[str, str, str]:
    """What stands before the model, the model, and why; a name with several models has none."""
    head = _known_head(text, scaffolds)
    start = _model_start(text, head)
    if start is None:
        return text[:head].strip(_EDGES), "", ""
    before, model = text[:start], _RELEASE.sub("", text[start:].strip(_EDGES))
    if "/" in before:
        # a path such as vendor/model is all of the model
        before = before[: before.index("/")].rpartition("_")[0]
    before = before.strip(_EDGES)
    if "," in model or not maker_in(model):
        return before, "", "the name has several models"
    alike = [
        (found.similarity, -len(name), name) for name in models if (found := likeness(model, name))
    ]
    if alike:
        # of names for one model, that without vendor and day
        *_, best = max(alike)
        return before, best, f"model {best!r} is known, the name has {model!r}"
    return before, model, "model begins with a word of its family"


def _known_head(text: str, scaffolds: dict[str, str]) -> int:
    """Where a known scaffold at the front ends; 0 without any."""
    ends = (found.start() for found in re.finditer(r"[-_ +/]|$", text))
    return max((end for end in ends if folded(text[:end]) in scaffolds), default=0)


def _model_start(text: str, head: int) -> int | None:
    """Where a word of a family of models begins, after a known scaffold."""
    words = [
        (found.start(), found.group().lower())
        for found in re.finditer(r"[^-_ +/]+", text)
        if found.start() >= head and maker_in(found.group())
    ]
    # a codex is a scaffold too: what follows it decides
    return next((at for at, word in words if word != "codex"), words[0][0] if words else None)


def write_suggestions(rows: Sequence[Suggestion], path: Path) -> None:
    """Write suggestions as a table whose column ``use`` is to be filled in.

    Raises:
        InputError: the file exists, so that no review is lost, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in rows:
                parts = row.parts
                writer.writerow((row.agent, parts.llm, parts.scaffold, parts.date, "?", row.reason))
    except FileExistsError:
        raise InputError(f"{path} exists; remove it or name another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
