"""What a series has for a database: its URL, its connections, and patience while it is away."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import tenacity
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from harness.errors import InfrastructureError, InputError
from harness.series.definition import Definition

VARIABLE = "CAT_HARNESS_SERIES_DATABASE"
"""Names the database in place of ``series.yaml``, so that no password need stand there."""
PATIENCE = 120.0
"""Seconds that a database that is away is waited for."""

Say = Callable[[str], None]
Result = TypeVar("Result")


def database_url(folder: Path, definition: Definition) -> URL:
    """The database of a series.

    Raises:
        InputError: it is no URL of SQLite or PostgreSQL.
    """
    given = os.environ.get(VARIABLE) or definition.database
    if not given:
        return URL.create("sqlite", database=str(folder.resolve() / "series.db"))
    source = VARIABLE if os.environ.get(VARIABLE) else "entry 'database' of series.yaml"
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        # the text may hold a password and is not repeated
        raise InputError(
            f"{source} is no URL of a database; write sqlite:////path/to/file or "
            "postgresql://user:password@host/name"
        ) from None
    match url.drivername:
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return url.set(drivername="postgresql+psycopg")
        case "sqlite" if url.database and url.database != ":memory:":
            return url
        case _:
            raise InputError(
                f"{source}: {shown(url)} is neither a SQLite file nor PostgreSQL; "
                "write sqlite:////path/to/file or postgresql://user:password@host/name"
            )


def shown(url: URL) -> str:
    """A URL without its password, for people."""
    # a password may stand among the options too
    return url.set(query={}).render_as_string(hide_password=True)


def make_engine(url: URL) -> Engine:
    """Connections whose transactions keep others from writing, unless they only read.

    Raises:
        InputError: the driver is not installed.
    """
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(
                url,
                pool_pre_ping=True,
                # poolers in between lose prepared statements
                connect_args={"connect_timeout": 10, "prepare_threshold": None},
            )
        except ImportError:
            raise InputError(
                f"the database {shown(url)} needs psycopg: pip install 'cat-harness[postgres]'"
            ) from None
    # a connection each time: one that is kept would go on in a file that was deleted
    engine = sa.create_engine(url, poolclass=sa.NullPool)

    # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, "Transactions with SQLite": the
    # driver must not begin transactions by itself, as it begins those that write too late
    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def patiently(
    attempt: Callable[[], Result], *, url: URL, series: str, patience: float, say: Say
) -> Result:
    """What an attempt returns, made again and again while the database is away.

    Args:
        attempt: at a transaction.
        url: of the database.
        series: its name.
        patience: seconds.
        say: told once when it is waited for.

    Raises:
        InputError: the server refuses, as it would every time.
        InfrastructureError: the database stays away, is full or damaged.
    """

    def wait(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            say(
                f"the database {shown(url)} does not answer "
                f"({_reason(state.outcome.exception())}); waiting for it up to {patience:.0f} s"
            )

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_away),
        stop=tenacity.stop_after_delay(patience),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
        before_sleep=wait,
        reraise=True,
    )
    try:
        return again(attempt)
    except SQLAlchemyError as error:
        reason, database = _reason(error), shown(url)
        if _is_full(reason):
            raise InfrastructureError(
                f"no room for the database {database}: the disk is full; nothing is lost: make "
                f"room, then: cat-harness series rebuild {series}"
            ) from error
        if _is_refused(reason):
            raise InputError(
                f"the database {database} cannot be used ({reason}); correct its URL, which comes "
                f"from {VARIABLE} or from entry 'database' of series.yaml"
            ) from error
        if "malformed" in reason or "not a database" in reason:
            raise InfrastructureError(
                f"the database {database} is damaged ({reason}); nothing is lost: delete the file, "
                f"then: cat-harness series rebuild {series}"
            ) from error
        raise InfrastructureError(
            f"the database {database} does not work ({reason}); nothing is lost: sessions are in "
            f"their journals; once it is back: cat-harness series rebuild {series}"
        ) from error


def _reason(error: BaseException | None) -> str:
    """The driver's own words, on one line; they never hold the password."""
    told = getattr(error, "orig", None) or error
    return " ".join(str(told).split()) or type(told).__name__


def _is_away(error: BaseException) -> bool:
    if not isinstance(error, OperationalError | InterfaceError | DisconnectionError):
        return False
    reason = _reason(error)
    return not _is_full(reason) and not _is_refused(reason)


def _is_full(reason: str) -> bool:
    return "disk is full" in reason or "No space left on device" in reason


def _is_refused(reason: str) -> bool:
    """Whether waiting is in vain: the server answers, and says no."""
    words = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password")
    return any(word in reason for word in words)


def has_no_tables(error: DBAPIError) -> bool:
    """Whether a transaction failed for want of a table."""
    undefined = getattr(error.orig, "sqlstate", None) == "42P01"
    return undefined or "no such table" in str(error.orig)
