"""Who works on what in a series, in a database that indexes its files.

It is made anew from the files whenever it lacks what they hold. What it alone has are leases:
a worker that is not heard of loses its work to another, which goes on from the journal.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from harness.errors import JournalError
from harness.series import files, history, tables
from harness.series.database import Database
from harness.series.definition import Definition
from harness.series.engine import PATIENCE, Say, database_url, make_engine
from harness.series.files import AlarmRecord, Failure, Work
from harness.series.history import Facts
from harness.series.tables import FREE, WORKS, Indexed

ATTEMPTS = 3
"""Claims of one work before it is given up."""

_LEASE = ("owner", "token", "expires", "attempts")


@dataclass(frozen=True)
class Claim:
    """A work that one worker holds until ``expires``."""

    work: Work
    owner: str
    token: str
    """Tells this claim from any other, also of the same owner."""
    expires: float
    """Unix time in seconds."""
    lease: float
    """Seconds from one renewal to the end."""
    attempts: int
    """How often the work was claimed, this time included."""


@dataclass(frozen=True, eq=False)
class Index:
    """Who works on what in one series. Safe to use from several threads."""

    database: Database = field(repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def waiting(self, patience: float, say: Say) -> Self:
        """The same index, for who waits so many seconds for a database that is away."""
        return replace(self, database=replace(self.database, patience=patience, say=say))

    def claim(
        self,
        owner: str,
        lease: float,
        plan: Callable[[], Work | None],
        now: float | None = None,
    ) -> Claim | None:
        """Take a work, alone: one that waits, one whose lease has expired, or a new one.

        Args:
            owner: who asks, for people.
            lease: seconds until the work is free again, unless it is renewed.
            plan: proposes a new work from the files; called while every other worker waits.
            now: Unix time in seconds; the clock's when None.

        Returns:
            The claim; None where there is nothing to do.

        Raises:
            InfrastructureError: the database stays away, or a file cannot be written.
        """
        token = uuid.uuid4().hex
        claim = partial(self._claim, owner=owner, lease=lease, plan=plan, now=now, token=token)
        return self.database.do(claim)

    def _claim(
        self,
        connection: Connection,
        *,
        owner: str,
        lease: float,
        plan: Callable[[], Work | None],
        now: float | None,
        token: str,
    ) -> Claim | None:
        # the commit of this very claim may have gone through although its answer was lost
        mine = self._works.where(WORKS.c.token == token)
        if row := connection.execute(mine).one_or_none():
            return Claim(self._work(row.run), owner, token, row.expires, lease, row.attempts)
        self.database.adopt(connection)
        present = files.work_ids(self._folder)
        at = self.clock() if now is None else now
        free = (WORKS.c.status == "planned") | (
            (WORKS.c.status == "leased") & (WORKS.c.expires <= at)
        )
        for row in connection.execute(self._works.where(free)).all():
            if Path(row.run).name not in present:
                continue
            work = self._work(row.run)
            if row.attempts < ATTEMPTS:
                return self._lease(
                    connection, Claim(work, owner, token, at + lease, lease, row.attempts + 1)
                )
            error = row.error or f"{ATTEMPTS} workers began it and were not heard of again"
            self._give_up(connection, work, error, at)
        planned = plan()
        if planned is None:
            return None
        # The file first, the row when the transaction ends. Killed in between, a worker leaves a
        # work that nobody holds: the next one finds the file and takes it up. A row without its
        # file would name a work of which nobody knows what it is.
        files.write_work(self._folder, planned)
        connection.execute(tables.added(self.database.series, planned, Facts()))
        at = self.clock() if now is None else now
        return self._lease(connection, Claim(planned, owner, token, at + lease, lease, 1))

    def renew(self, claim: Claim, now: float | None = None) -> bool:
        """Hold a work for another lease; False when it was lost to another worker, or settled."""

        def renew(connection: Connection) -> bool:
            at = self.clock() if now is None else now
            return self._held(connection, claim, expires=at + claim.lease)

        # a row of its own: in PostgreSQL leases are renewed while another worker plans
        return self.database.do(renew, "write")

    def finish(self, claim: Claim, facts: Facts) -> None:
        """Record what came of a work: done, or failed with its reason.

        The journal is the truth, so this holds even where the lease was lost meanwhile.
        """
        settled = self._changed(claim.work).values(**tables.settled(facts))
        self.database.do(lambda connection: connection.execute(settled))

    def fail(self, claim: Claim, error: str, *, final: bool = False) -> bool:
        """Record that an attempt failed. The work is free again, or given up after the last one.

        Args:
            error: one sentence.
            final: give it up at once.

        Returns:
            Whether it is given up.
        """
        # what a program has printed may hold what no database takes
        error = error.replace("\0", "").encode(errors="backslashreplace").decode()
        if not final and claim.attempts < ATTEMPTS:
            free = {**FREE, "error": error}
            self.database.do(lambda connection: self._held(connection, claim, **free))
            return False

        def give_up(connection: Connection) -> bool:
            held = self._held(connection, claim, error=error)
            if held:
                self._give_up(connection, claim.work, error, self.clock())
            return held

        return self.database.do(give_up)

    def release(self, claim: Claim) -> None:
        """Give a work back that was interrupted: anyone may go on with it at once."""
        free = {**FREE, "attempts": claim.attempts - 1}
        self.database.do(lambda connection: self._held(connection, claim, **free))

    def works(self) -> tuple[Indexed, ...]:
        """Every work, by step, bank and number."""
        names = [column.name for column in fields(Indexed)]
        query = self._works.with_only_columns(*(WORKS.c[name] for name in names))
        return self.database.do(
            lambda connection: tuple(Indexed(*row) for row in connection.execute(query)), "read"
        )

    def active(self, now: float | None = None) -> tuple[Indexed, ...]:
        """The works that somebody holds."""
        at = self.clock() if now is None else now
        return tuple(w for w in self.works() if w.status == "leased" and w.expires > at)

    def alarm(self, record: AlarmRecord) -> None:
        """Record an alarm in its file and here, in place of what was recorded of it before."""
        files.write_alarm(self._folder, record)
        self.database.do(self.database.adopt)

    def rebuild(self, now: float | None = None) -> None:
        """Drop everything that is known of this series, and read it from the files.

        Leases that have not expired stay: their workers are at work, and another that took the
        same session would only find its journal in use. Counts of attempts begin anew.
        """

        def rebuild(connection: Connection) -> None:
            at = self.clock() if now is None else now
            present = files.work_ids(self._folder)
            held = self._works.where(WORKS.c.status == "leased", WORKS.c.expires > at)
            kept = [
                dict(row._mapping)
                for row in connection.execute(held)
                if Path(row.run).name in present
            ]
            for table in (tables.CHECKPOINTS, WORKS, tables.ALARMS):
                connection.execute(sa.delete(table).where(table.c.series == self.database.series))
            self.database.adopt(connection)
            for row in kept:
                work = self._work(row["run"])
                lease = {name: row[name] for name in _LEASE}
                waiting = self._changed(work).where(WORKS.c.status == "planned")
                connection.execute(waiting.values(**lease, status="leased"))

        self.database.do(rebuild)

    def close(self) -> None:
        """Let go of the database."""
        self.database.engine.dispose()

    @property
    def _folder(self) -> Path:
        return self.database.folder

    # what follows runs inside a transaction

    @property
    def _works(self) -> sa.Select[Any]:
        return tables.of_series(WORKS, self.database.series)

    def _changed(self, work: Work) -> sa.Update:
        return tables.changed(self.database.series, work)

    def _held(self, connection: Connection, claim: Claim, **values: Any) -> bool:
        """Change a work that is still held by this claim; whether it was."""
        held = self._changed(claim.work).where(
            WORKS.c.token == claim.token, WORKS.c.status == "leased"
        )
        return connection.execute(held.values(**values)).rowcount == 1

    def _lease(self, connection: Connection, claim: Claim) -> Claim:
        values = {name: getattr(claim, name) for name in _LEASE}
        connection.execute(self._changed(claim.work).values(**values, status="leased"))
        return claim

    def _give_up(self, connection: Connection, work: Work, error: str, at: float) -> None:
        try:
            facts = history.facts(self._folder, work)
        except JournalError:
            facts = Facts()
        if facts.state == "done":
            # its worker was lost between the last line of the journal and this table
            facts = self.database.facts(work)
        elif facts.state != "failed":
            files.write_failure(self._folder, work, Failure(error, at))
            facts = replace(facts, state="failed", error=error)
        connection.execute(self._changed(work).values(**tables.settled(facts)))

    def _work(self, run: str) -> Work:
        return files.read_work(self._folder / run)


def open_index(
    folder: Path,
    definition: Definition,
    *,
    say: Say = lambda text: None,
    patience: float = PATIENCE,
) -> Index:
    """The database of a series, made or completed from the files where it lacks something.

    Args:
        folder: of the series.
        definition: of the series.
        say: told when the database is waited for, or was completed.
        patience: seconds to wait for it.

    Raises:
        InputError: the database cannot be used: its URL, its driver, another series of that name.
        InfrastructureError: it stays away.
    """
    engine = make_engine(database_url(folder, definition))
    database = Database(folder, definition, engine, say, patience)
    lacked = database.complete()
    if lacked:
        say(
            f"the database of series {definition.name} lacked {lacked} of the sessions in "
            f"{folder / files.SESSIONS}; they were read from there"
        )
    return Index(database)


def rebuild(folder: Path, definition: Definition, *, say: Say = lambda text: None) -> Index:
    """The database of a series, made anew from the files; errors as :func:`open_index`."""
    index = open_index(folder, definition, say=say)
    index.rebuild()
    return index
