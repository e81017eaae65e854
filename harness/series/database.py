"""The database of one series: its tables are there, and its transactions come about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from harness.bank import ItemBank
from harness.errors import InputError
from harness.series import history, tables
from harness.series.definition import Definition, check_bank
from harness.series.engine import Result, Say, has_no_tables, patiently, shown
from harness.series.files import Work
from harness.series.history import Facts

Mode = Literal["read", "write", "alone"]
"""Of a transaction; ``alone`` also keeps other workers out of the series."""
_LOCK = 0x63617468
"""Number of the lock under which tables are made in PostgreSQL."""


@dataclass(frozen=True, eq=False)
class Database:
    """The rows of one series, which are made from its files where they are missing."""

    folder: Path
    definition: Definition
    engine: Engine
    say: Say
    patience: float
    """Seconds that a database that is away is waited for."""

    @property
    def series(self) -> str:
        """Name of the series."""
        return self.definition.name

    def do(self, action: Callable[[Connection], Result], mode: Mode = "alone") -> Result:
        """What an action returns in a transaction, tried again while the database is away.

        Raises:
            InputError: the server refuses.
            InfrastructureError: the database stays away, is full or damaged.
        """

        def attempt() -> Result:
            try:
                with self.transaction(mode) as connection:
                    return action(connection)
            except DBAPIError as error:
                if not has_no_tables(error):
                    raise
            # somebody deleted the database in the middle; the files make another
            self._complete()
            with self.transaction(mode) as connection:
                return action(connection)

        return self._patiently(attempt)

    def complete(self) -> int:
        """Make what is missing; how many works were. Errors as :meth:`do`.

        Raises:
            InputError: the database has another series of this name.
        """
        return self._patiently(self._complete)

    def adopt(self, connection: Connection) -> int:
        """Add what the files hold and the tables lack; how many works that were."""
        return tables.adopt(connection, self.series, self.folder, self.facts)

    def facts(self, work: Work) -> Facts:
        """What came out of a work so far, with its ability if it is done."""
        return history.facts(self.folder, work, self._banks.get(work.bank))

    @contextmanager
    def transaction(self, mode: Mode) -> Iterator[Connection]:
        """One transaction, which is not tried again."""
        with self.engine.connect() as connection:
            connection.execution_options(reads=mode == "read")
            with connection.begin():
                if mode == "alone" and connection.dialect.name == "postgresql":
                    # a worker that freezes must not hold the series for ever
                    timeout = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
                    connection.execute(sa.text(timeout))
                    self._hold(connection)
                yield connection

    @cached_property
    def _banks(self) -> dict[str, ItemBank]:
        return {bank.name: check_bank(self.definition, bank) for bank in self.definition.banks}

    def _complete(self) -> int:
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # two that make the same table at once would both fail
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            tables.META.create_all(connection)
            row = self._hold(connection)
            if row is None:
                entry = {"name": self.series, "created": self.definition.created}
                connection.execute(sa.insert(tables.SERIES).values(**entry))
            elif row.created != self.definition.created:
                raise InputError(
                    f"the database {shown(self.engine.url)} has another series of the name "
                    f"{self.series!r}; give this one another name in series.yaml, or another "
                    "database"
                )
            return self.adopt(connection)

    def _hold(self, connection: Connection) -> sa.Row[Any] | None:
        """Lock the series until the transaction ends; SQLite has locked everything already."""
        row = sa.select(tables.SERIES).where(tables.SERIES.c.name == self.series)
        return connection.execute(row.with_for_update()).one_or_none()

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        return patiently(
            attempt,
            url=self.engine.url,
            series=self.series,
            patience=self.patience,
            say=self.say,
        )
