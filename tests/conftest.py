"""What every test may count on: a settled environment; Docker and real data, or a reason."""

import functools
import os
from pathlib import Path

import pytest
from databases import postgres_server, postgres_url  # noqa: F401  fixtures
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# These steer the tests; any other CAT_HARNESS_* variable of the person at the
# keyboard would change what the commands under test do.
TEST_VARIABLES = {
    "CAT_HARNESS_DATA",
    "CAT_HARNESS_REFS",
    "CAT_HARNESS_REQUIRE_DOCKER",
    "CAT_HARNESS_TEST_POSTGRES",
}
for name in [n for n in os.environ if n.startswith("CAT_HARNESS_") and n not in TEST_VARIABLES]:
    del os.environ[name]
for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
    os.environ.pop(name, None)
os.environ["MPLBACKEND"] = "Agg"

# No deadline: a shared CI machine pauses for longer than any useful one.
settings.register_profile("harness", deadline=None, max_examples=50)
settings.register_profile("harness-ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("harness-ci" if os.environ.get("CI") else "harness")

# task directories and agents, which are run, not imported
collect_ignore = ["fixtures"]


@functools.cache
def engine_problem() -> str | None:
    """Why no Docker engine answers, or None when one does; asked once per process."""
    import docker

    try:
        client = docker.from_env(timeout=10)
        try:
            client.ping()
        finally:
            client.close()
    except Exception as error:
        return f"no Docker engine answers ({error}); `cat-harness doctor` says what to do"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not item.get_closest_marker("docker"):
        return
    if problem := engine_problem():
        if os.environ.get("CAT_HARNESS_REQUIRE_DOCKER"):
            pytest.fail(problem, pytrace=False)
        pytest.skip(problem)


def folder_beside(variable: str, name: str, content: str) -> Path:
    named = os.environ.get(variable)
    folder = Path(named) if named else REPOSITORY.parent / "shared" / name
    if not folder.is_dir():
        where = f"{variable} names {folder}, which" if named else f"{folder}"
        pytest.skip(f"{where} is no folder; set {variable} to the folder of {content}")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real outcomes of agents on benchmarks."""
    return folder_beside("CAT_HARNESS_DATA", "data", "real outcomes")


@pytest.fixture(scope="session")
def shared_refs() -> Path:
    """The folder of results of reference programs."""
    return folder_beside("CAT_HARNESS_REFS", "refs", "reference results")
