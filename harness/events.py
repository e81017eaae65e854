"""The plan a session follows and the events that make it up.

Events are the truth of a session: everything else is a fold over them. They hold plain data, so
that a journal line is readable without this program.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator

from harness.ability import Prior
from harness.errors import PlanError
from harness.grammar import parse_estimator, parse_selector, parse_stop
from harness.select import Estimator, MaxInformation, MinExpectedVariance, Selector
from harness.stop import MaxItems, Rule, SdBelow, any_of

VoidCause = Literal[
    "daemon", "image", "sandbox", "model", "scorer", "agent", "harness", "cancelled"
]
"""Why an outcome says nothing about the agent."""

Outcome = Literal["precise", "doubtful", "limit", "exhausted", "voids"]
"""How a session ended: as precise as asked, so by barely calibrated items only, at a limit, out of
items, or on too many voids."""


def _read(parse: Any) -> PlainValidator:
    return PlainValidator(lambda value: parse(value) if isinstance(value, str) else value)


def default_selector(abilities: int) -> Selector:
    """What selects where a plan does not say.

    With one ability maximum information is as good as anything on real agents, and the fastest;
    with several it would spend items on abilities that are known already.
    """
    return MaxInformation() if abilities == 1 else MinExpectedVariance()


@dataclass(frozen=True)
class Plan:
    """The frozen choices that a session follows.

    >>> Plan(stop=parse_stop("sd<0.4"), seed=7).width
    1
    """

    select: Annotated[Selector, _read(parse_selector), PlainSerializer(str)] = field(
        default_factory=MaxInformation
    )
    stop: Annotated[Rule, _read(parse_stop), PlainSerializer(str)] = field(
        default_factory=lambda: any_of(SdBelow(0.3), MaxItems(30))
    )
    prior: Prior = field(default_factory=Prior)
    estimator: Annotated[Estimator, _read(parse_estimator), PlainSerializer(str)] = "eap"
    seed: int = 0
    width: int = 1
    """How many items may be in flight at once."""
    max_attempts: int = 2
    """Launches of one item per process before its voids take it out of the session."""
    level: float = 0.9
    """Probability of the intervals that are reported."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.max_attempts < 1:
            raise PlanError("width and max_attempts must be at least 1")
        if not 0 < self.level < 1:
            raise PlanError(f"the interval level must lie between 0 and 1, not {self.level:g}")
        if self.seed < 0:
            raise PlanError(f"the seed must be 0 or more, not {self.seed}")


@dataclass(frozen=True)
class Cost:
    """What one attempt used up. Zero where unknown or free."""

    usd: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    turns: int = 0


@dataclass(frozen=True)
class TestResult:
    """One hidden test of an environment."""

    __test__ = False  # not a test class for pytest

    name: str
    passed: bool
    milestone: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a category rests on."""

    reward: float | None = None
    tests: tuple[TestResult, ...] = ()
    files_changed: tuple[str, ...] = ()
    limit: str | None = None
    """The limit that ended the agent's work (time, tokens, …), if one did."""
    scores: tuple[tuple[str, float], ...] = ()
    """Every number that the scorer gave, by name; a mapping turned them into the category."""
    tampered: tuple[str, ...] = ()
    """Protected files that the agent changed or deleted."""
    broken: str | None = None
    """How the agent broke its sandbox, if it did; the category is the lowest then."""
    notes: tuple[str, ...] = ()
    """What else somebody who doubts the category should know, one sentence each."""


@dataclass(frozen=True)
class Setting:
    """What one attempt ran in."""

    image: str
    """Digest of the image."""
    cpus: float
    memory_mb: int
    storage_mb: int
    network: bool


@dataclass(frozen=True)
class Machine:
    """What a process ran on, recorded so that two runs can be compared."""

    cpu: str
    cores: int
    memory_mb: int
    load: float
    """Load average over the last minute, at the start."""
    docker: str
    base: str
    """Digest of the base image; empty where none was needed."""
    python: str
    inspect: str
    commit: str
    """Of the program's own source tree; empty for an installed package."""


@dataclass(frozen=True)
class Launch:
    """What a process needs, besides the plan, to go on with a session."""

    bank: str
    """Folder of the bank."""
    agent: str
    """Text of the agent, as given on the command line."""
    agent_args: tuple[tuple[str, str], ...] = ()
    model: str | None = None
    model_args: tuple[tuple[str, str], ...] = ()
    model_cost: str | None = None
    """File with prices of models, as Inspect reads it; without one dollars count as 0."""
    environments: str | None = None
    """Folder of the task directories; those shipped when None."""
    limits: tuple[tuple[str, float], ...] = ()
    """Inspect's limits for each item: ``message_limit``, ``token_limit``, ``time_limit``, …"""
    task: str | None = None
    """An Inspect task whose samples are the items, as ``package/task`` or ``file.py@task``."""
    task_args: tuple[tuple[str, str], ...] = ()
    score: str | None = None
    """Ladder that makes a category of the task's scores."""
    judge: str | None = None
    """Model that judges quality in tasks which ask for that and name none."""
    sandbox: str | None = None
    """Sandbox provider for the samples of Inspect tasks, in place of the one they name."""
    prewarm: int = 5
    """Containers that may stand ready: for hidden tests, and for likely next items."""
    disk_budget_mb: int | None = None
    """Above it our images that were not used for longest are removed."""

    @property
    def title(self) -> str:
        """Name of the agent under test, for people."""
        return f"{self.model} ({self.agent})" if self.model else self.agent


@dataclass(frozen=True)
class Started:
    """A process began to work on the session: the first one fixes the plan, later ones resume."""

    at: float
    """Unix time in seconds."""
    run: str
    agent: str
    plan: Plan
    bank: str
    bank_hash: str
    version: str
    launch: Launch | None = None
    """None for a session that did not run live."""
    machine: Machine | None = None
    rescored: str = ""
    """The run that this one is a rescoring of: it cannot be resumed."""
    kind: Literal["started"] = "started"


@dataclass(frozen=True)
class Chosen:
    """An item was picked and launched; ``ability`` and ``sd`` are what was believed then."""

    at: float
    step: int
    item: str
    sample: str
    """Id of the Inspect sample, unique in the session."""
    ability: tuple[float, ...]
    sd: tuple[float, ...]
    kind: Literal["chosen"] = "chosen"


@dataclass(frozen=True)
class Answered:
    """A scored outcome. An agent that ran out of time or budget has answered too."""

    at: float
    step: int
    item: str
    category: int
    cost: Cost = Cost()
    evidence: Evidence = Evidence()
    trace: str = ""
    """Log file of the trace, relative to the run folder."""
    setting: Setting | None = None
    kind: Literal["answered"] = "answered"


@dataclass(frozen=True)
class Voided:
    """An outcome that says nothing about the agent."""

    at: float
    step: int
    item: str
    cause: VoidCause
    detail: str = ""
    cost: Cost = Cost()
    trace: str = ""
    setting: Setting | None = None
    kind: Literal["voided"] = "voided"


@dataclass(frozen=True)
class Stopped:
    """The session ended."""

    at: float
    outcome: Outcome
    reason: str
    kind: Literal["stopped"] = "stopped"


Event = Started | Chosen | Answered | Voided | Stopped
