"""Inspect's own conformance checks, against real containers."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from inspect_ai.util._sandbox.self_check import *  # noqa: F403

from harness.sandbox import engine, images
from harness.sandbox.config import SandboxConfig
from harness.sandbox.provider import CatDockerSandbox

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

RUN = f"test-self-check-{os.getpid()}"

CONFIGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "user": {"user": "65534:65534", "workdir": "/tmp/work"},
}

# test_sandbox.py runs this one in a container with these capabilities.
EXPECTED_FAILURES = {"test_exec_as_user": "adduser needs CAP_CHOWN, which the defaults drop"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["defaults", pytest.param("user", marks=pytest.mark.slow)])
def config(request: pytest.FixtureRequest) -> Iterator[SandboxConfig]:
    yield SandboxConfig(image=images.ensure_base(), run=RUN, **CONFIGS[request.param])
    engine.cleanup(RUN)


@pytest.fixture(scope="module")
async def container(config: SandboxConfig) -> AsyncIterator[CatDockerSandbox]:
    environments = await CatDockerSandbox.sample_init("check", config, {})
    yield environments["default"].as_type(CatDockerSandbox)
    await CatDockerSandbox.sample_cleanup("check", config, environments, False)


@pytest.fixture
def sandbox_env(request: pytest.FixtureRequest, container: CatDockerSandbox) -> CatDockerSandbox:
    reason = EXPECTED_FAILURES.get(request.node.originalname)
    if reason is not None:
        request.node.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    return container
