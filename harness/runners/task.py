"""One item as an Inspect sample: its sandbox, the agent within its limits, the hidden tests."""

from dataclasses import asdict
from pathlib import Path

from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import SandboxEnvironmentSpec, apply_limits, sandbox, time_limit

from harness.environments import Environment, load_environment
from harness.errors import InfrastructureError
from harness.events import Chosen
from harness.runners.agents import upload
from harness.sandbox.config import SandboxConfig
from harness.scoring.reward import NoVerdict, Verdict, judge

_VERDICTS = "/logs/verifier"
_GRACE_SECONDS = 15
"""For the hidden tests to write a verdict after their own time is up."""


class NoVerdictError(InfrastructureError):
    """The hidden tests left no usable verdict."""


def make_sample(chosen: Chosen, environment: Environment, run: str) -> Sample:
    """The Inspect sample of a chosen item."""
    config = SandboxConfig(
        image=environment.image,
        context=None if environment.image else str(environment.context),
        cpus=environment.cpus,
        memory_mb=environment.memory_mb,
        storage_mb=environment.storage_mb,
        network=environment.network,
        env=environment.env,
        run=run,
    )
    return Sample(
        id=chosen.sample,
        input=environment.instruction,
        target=environment.categories[-1],
        sandbox=SandboxEnvironmentSpec("cat-docker", config),
        metadata={
            "step": chosen.step,
            "item": chosen.item,
            "ability": list(chosen.ability),
            "sd": list(chosen.sd),
            "environment": str(environment.path),
        },
    )


@solver
def prepare() -> Solver:
    """Note what the working directory holds before the agent begins."""

    async def note(state: TaskState, generate: Generate) -> TaskState:
        workdir, files = await _snapshot()
        state.store.set("workdir", workdir)
        state.store.set("files", files)
        return state

    return note


@solver
def attempt(agent: Solver) -> Solver:
    """Let the agent work until it is done or the task's own time is up; both are answers."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        environment = load_environment(Path(state.metadata["environment"]))
        with apply_limits([time_limit(environment.agent_seconds)], catch_errors=True) as scope:
            state = await agent(state, generate)
        if scope.limit_error is not None:
            state.store.set("limit", "time")
        return state

    return solve


async def _snapshot() -> tuple[str, dict[str, str]]:
    """The working directory, and the checksum of every file in it by name."""
    script = "pwd; exec find . -xdev -type f -exec cksum {} +"
    workdir, *found = (await sandbox().exec(["sh", "-c", script])).stdout.splitlines() or [""]
    lines = (line.split(" ", 2) for line in found)
    files = {parts[2].removeprefix("./"): " ".join(parts[:2]) for parts in lines if len(parts) == 3}
    return workdir, files


@scorer(metrics=[])
def hidden_tests() -> Scorer:
    """Bring the hidden tests into the container, run them, and read their verdict."""

    async def score(state: TaskState, target: Target) -> Score:
        environment = load_environment(Path(state.metadata["environment"]))
        before: dict[str, str] = state.store.get("files", {})
        _, after = await _snapshot()
        changed = sorted(
            name for name in {**before, **after} if before.get(name) != after.get(name)
        )
        verdict = await _verdict(environment, state.store.get("workdir"))
        if isinstance(verdict, NoVerdict):
            raise NoVerdictError(verdict.detail)
        evidence = asdict(verdict.evidence)
        evidence["files_changed"] = [name for name in changed if "__pycache__" not in name]
        evidence["limit"] = state.store.get("limit")
        tests = verdict.evidence.tests
        return Score(
            # between 0 and 1 as everywhere in Inspect; the category itself is in the metadata
            value=verdict.category / (len(environment.categories) - 1),
            answer=environment.categories[verdict.category],
            explanation=f"{sum(t.passed for t in tests)} of {len(tests)} hidden tests passed",
            metadata={"category": verdict.category, "evidence": evidence},
        )

    return score


async def _verdict(environment: Environment, workdir: str) -> Verdict | NoVerdict:
    # an agent may have left a verdict of its own, or taken away the place where tests run
    script = f'rm -rf /tests {_VERDICTS}; mkdir -p {_VERDICTS} "$0"'
    await sandbox().exec(["sh", "-c", script, workdir], cwd="/")
    await upload(environment.path / "tests", "/tests")
    seconds = environment.verifier_seconds
    try:
        result = await sandbox().exec(
            ["bash", "/tests/test.sh"],
            env={"VERIFY_SECONDS": f"{seconds:g}"},
            timeout=round(seconds) + _GRACE_SECONDS,
        )
    except TimeoutError:
        return NoVerdict(f"test.sh of {environment.name} took longer than {seconds:g} s")
    files = {}
    for name in ("reward.txt", "reward.json", "ctrf.json"):
        try:
            files[name] = await sandbox().read_file(f"{_VERDICTS}/{name}")
        except (FileNotFoundError, UnicodeDecodeError):
            continue
    output = result.stdout + result.stderr
    return judge(len(environment.categories), files, result.returncode, output)
