"""What agents are made of, from a table that somebody stands for: model, scaffold and date."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from harness.bank import ItemBank
from harness.errors import PlanError, ResponsesError
from harness.prior import year_of
from harness.responses.about import read_about
from harness.responses.outcomes import Responses

PARTS = ("llm", "scaffold", "date")
_YES = frozenset({"yes", "y", "1", "true"})
_NO = frozenset({"no", "n", "0", "false"})


def confirmed(row: Mapping[str, str], where: str) -> bool:
    """Whether the column ``use`` of a suggested row says yes; a row without that column is used.

    Raises:
        ResponsesError: it says neither yes nor no.

    >>> confirmed({"llm": "o3"}, "a.csv"), confirmed({"llm": "o3", "use": "No"}, "a.csv")
    (True, False)
    """
    said = row.get("use", "yes").strip().lower()
    if said not in _YES | _NO:
        raise ResponsesError(
            f"{where}: column 'use' says {said!r}: nobody has confirmed this row; write yes or no "
            "in every row"
        )
    return said in _YES


def with_parts(responses: Responses, table: Path) -> Responses:
    """The outcomes with model, scaffold and date of their agents from a table.

    Args:
        table: CSV with ``agent`` and any of ``llm``, ``scaffold`` and ``date``. What it leaves
            blank stays as the outcomes say; what it says wins. Where it has a column ``use``, as a
            suggestion has, that must say yes or no in every row.

    Raises:
        ResponsesError: naming the table, and the agent where it is about one.

    >>> import tempfile
    >>> from harness.responses import from_matrix
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "agents.csv"
    ...     _ = table.write_text("agent,llm,date\\nx,o3,2025-04\\n")
    ...     found = with_parts(from_matrix([[1], [0]], agents=["x", "y"]), table)
    >>> found.llm, found.date
    (('o3', ''), ('2025-04', ''))
    """
    told = _read_parts(table, responses.agents)

    def merged(name: str) -> tuple[str, ...]:
        return tuple(
            told.get(agent, {}).get(name) or before
            for agent, before in zip(responses.agents, getattr(responses, name), strict=True)
        )

    return replace(responses, llm=merged("llm"), scaffold=merged("scaffold"), date=merged("date"))


def bank_with_parts(bank: ItemBank, table: Path) -> ItemBank:
    """The bank with model, scaffold and date of its calibrating agents from a table.

    Arguments and errors as :func:`with_parts`; items and hash stay as they are.
    """
    told = _read_parts(table, [calibrant.agent for calibrant in bank.calibrants])
    found = []
    for calibrant in bank.calibrants:
        known = told.get(calibrant.agent, {})
        llm, scaffold, date = (known.get(name) or getattr(calibrant, name) for name in PARTS)
        found.append(replace(calibrant, llm=llm, scaffold=scaffold, date=date))
    return replace(bank, calibrants=tuple(found))


def _read_parts(table: Path, agents: Collection[str]) -> dict[str, dict[str, str]]:
    about = read_about(table, "agent", agents)
    suggested = any("use" in row for row in about.values())
    told: dict[str, dict[str, str]] = {}
    for agent, row in about.items():
        where = f"{table}, agent {agent!r}"
        if not confirmed({"use": "", **row} if suggested else row, where):
            continue
        told[agent] = {name: row[name] for name in PARTS if name in row}
        try:
            year_of(row.get("date", "2000"))
        except PlanError as error:
            raise ResponsesError(f"{where}: {error}") from None
    if not any(told.values()):
        raise ResponsesError(
            f"{table}: it says nothing of any agent; give at least one of the columns "
            f"{', '.join(PARTS)}"
            + (", and yes in column 'use' where a row is right" if suggested else "")
        )
    return told
