"""The tables of all series in a database, and how the files of a series are read into them."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from harness.series import files
from harness.series.files import AlarmRecord, Registered, Work
from harness.series.history import Facts

Status = Literal["planned", "leased", "done", "failed"]

META = sa.MetaData()
SERIES = sa.Table(
    "harness_series",
    META,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("created", sa.Double, nullable=False),
)
CHECKPOINTS = sa.Table(
    "harness_checkpoints",
    META,
    sa.Column("series", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text),
    sa.Column("agent", sa.Text),
    sa.Column("jump", sa.Boolean, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)
WORKS = sa.Table(
    "harness_works",
    META,
    sa.Column("series", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bank", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("tasks", sa.Integer, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, default=""),
    sa.Column("token", sa.Text, nullable=False, default=""),
    sa.Column("expires", sa.Double, nullable=False, default=0.0),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("answered", sa.Integer, nullable=False, default=0),
    sa.Column("usd", sa.Double, nullable=False, default=0.0),
    sa.Column("seconds", sa.Double, nullable=False, default=0.0),
    sa.Column("ability", sa.Double),
    sa.Column("sd", sa.Double),
)
ALARMS = sa.Table(
    "harness_alarms",
    META,
    sa.Column("series", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bank", sa.Text, primary_key=True),
    sa.Column("alarm", sa.Text, primary_key=True),
    sa.Column("probability", sa.Double, nullable=False),
    sa.Column("raised_at", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("settled", sa.Double),
)
FREE = {"status": "planned", "owner": "", "token": "", "expires": 0.0}
"""Columns of a work that anyone may claim."""


@dataclass(frozen=True)
class Indexed:
    """A work as the database has it."""

    step: int
    bank: str
    number: int
    purpose: str
    tasks: int
    run: str
    """Run folder, relative to that of the series."""
    status: Status
    owner: str
    expires: float
    attempts: int
    error: str
    answered: int
    usd: float
    seconds: float
    ability: float | None
    sd: float | None


def of_series(table: sa.Table, series: str) -> sa.Select[Any]:
    """All rows of a series, by their key."""
    keys = [column for column in table.primary_key if column.name != "series"]
    return sa.select(table).where(table.c.series == series).order_by(*keys)


def changed(series: str, work: Work) -> sa.Update:
    """A change of the row of one work."""
    return sa.update(WORKS).where(
        WORKS.c.series == series,
        WORKS.c.step == work.step,
        WORKS.c.bank == work.bank,
        WORKS.c.number == work.number,
    )


def added(series: str, work: Work, facts: Facts) -> sa.Insert:
    """A row for a work that has none."""
    return sa.insert(WORKS).values(
        series=series,
        step=work.step,
        bank=work.bank,
        number=work.number,
        purpose=work.purpose,
        tasks=work.tasks,
        run=f"{files.SESSIONS}/{work.id}",
        **settled(facts),
    )


def settled(facts: Facts) -> dict[str, Any]:
    """Columns of a work that nobody holds."""
    over = facts.state in ("done", "failed")
    return {
        **FREE,
        "status": facts.state if over else "planned",
        "error": facts.error,
        "answered": facts.answered if over else 0,
        "usd": facts.usd if over else 0.0,
        "seconds": facts.seconds if over else 0.0,
        "ability": facts.ability,
        "sd": facts.sd,
    }


def adopt(connection: Connection, series: str, folder: Path, facts: Callable[[Work], Facts]) -> int:
    """Add what the files of a series hold and the tables lack.

    Args:
        connection: in a transaction that keeps other workers out.
        series: its name.
        folder: of the series.
        facts: what came out of a work.

    Returns:
        How many works were added.
    """
    rows = {Path(row.run).name for row in connection.execute(of_series(WORKS, series))}
    lacking = sorted(files.work_ids(folder) - rows)
    for session in lacking:
        work = files.read_work(folder / files.SESSIONS / session)
        connection.execute(added(series, work, facts(work)))
    steps = {row.step for row in connection.execute(of_series(CHECKPOINTS, series))}
    new = [known for known in files.registered(folder) if known.step not in steps]
    _insert(connection, CHECKPOINTS, series, new)
    # few, and they change: what became of them is written over
    connection.execute(sa.delete(ALARMS).where(ALARMS.c.series == series))
    _insert(connection, ALARMS, series, files.alarms(folder))
    return len(lacking)


def _insert(
    connection: Connection,
    table: sa.Table,
    series: str,
    records: Iterable[Registered | AlarmRecord],
) -> None:
    names = {column.name for column in table.columns}
    for record in records:
        values = {name: value for name, value in asdict(record).items() if name in names}
        connection.execute(sa.insert(table).values(series=series, **values))
