"""A PostgreSQL server for tests: one that is given, or one of our own from installed binaries."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "CAT_HARNESS_TEST_POSTGRES"
"""URL of a PostgreSQL database in which tests may make tables."""


def binaries() -> Path | None:
    """The folder with initdb and postgres, where there is one."""
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name)
    folders = [*([Path(on_path).resolve().parent] if on_path else []), *reversed(installed)]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def account() -> dict[str, Any]:
    """Whom a server is run as: its programs refuse root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL refuses root, and there is neither a user postgres nor nobody")


@dataclass
class Server:
    """A private PostgreSQL server, which can be stopped and started again."""

    folder: Path
    programs: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"postgresql://tests@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Return when it answers."""
        import psycopg

        settings = ["fsync=off", "listen_addresses=127.0.0.1", "max_connections=50"]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        command += ["-k", str(self.folder), "-p", str(self.port)]
        command += [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, **account()
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    told = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not start: {told}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it as an administrator does who does not wait for clients."""
        if self.process is not None:
            self.process.send_signal(2)
            self.process.wait(60)
            self.process = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server of our own; the test is skipped where PostgreSQL is not installed."""
    programs = binaries()
    if programs is None:
        pytest.skip(
            "PostgreSQL is not installed (no initdb on PATH or in /usr/lib/postgresql/*/bin); "
            f"install it, or set {VARIABLE} to the URL of a database for tests"
        )
    who = account()
    # not below pytest's own folder, which other users may not enter
    folder = Path(tempfile.mkdtemp(prefix="harness-postgres-"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "tests"]
        initdb += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            initdb, cwd=folder, capture_output=True, text=True, check=False, **who
        )
        assert done.returncode == 0, done.stderr
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Server(folder, programs, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """URL of a PostgreSQL database in which tests may make tables."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    server: Server = request.getfixturevalue("postgres_server")
    return server.url
