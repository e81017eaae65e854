"""What a study found, as plain data for JSON, tables and pages.

Scores and their errors are shares between 0 and 1; every estimate has a 95% bootstrap interval over
agents.
"""

from dataclasses import dataclass

from harness.study.bootstrap import Estimate


@dataclass(frozen=True)
class Accuracy:
    """Estimates against the full-data values of the same agents."""

    mae: Estimate
    """Mean absolute error."""
    rmse: Estimate
    bias: Estimate
    """Mean of estimate minus value."""
    spearman: Estimate
    """Rank correlations of the agents of one repetition, averaged over repetitions."""
    kendall: Estimate
    """Tau-b."""
    coverage: tuple[Estimate, ...]
    """Share of values in their interval, for each level; empty where a method has none."""
    width: tuple[Estimate, ...]
    """Mean width of the intervals."""


@dataclass(frozen=True)
class Third:
    """A third of the agents, by their full-data score."""

    name: str
    agents: int
    low: float
    """Lowest and highest full-data score in it."""
    high: float
    items: Estimate
    mae: Estimate
    bias: Estimate
    coverage: tuple[Estimate, ...]


@dataclass(frozen=True)
class Exposure:
    """How evenly items are used, within a repetition and averaged over them."""

    most: Estimate
    """Share of the agents that were given the item which most were given."""
    unused: float | None
    """Share of items that no agent was given. No interval: a bootstrap sample holds fewer
    different agents, so it would only ever find more."""
    overlap: Estimate
    """Mean share of items that the tests of two agents have in common."""


@dataclass(frozen=True)
class Point:
    """All agents after the same number of items, or each where its session ends."""

    size: int | None
    """None where the stopping rule holds."""
    agents: int
    items: Estimate
    usd: Estimate
    seconds: Estimate
    score: Accuracy
    ability: tuple[Accuracy, ...]
    """One an ability; empty where a method has none."""
    thirds: tuple[Third, ...]
    """Lowest first; empty with fewer than nine agents."""
    exposure: Exposure
    wrong: Estimate | None
    """Share of wrong answers to whether the score lies above the cut; None without a cut."""


@dataclass(frozen=True)
class Curve:
    """Mean absolute error of the predicted score after each number of items from 1 on."""

    mae: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    usd: tuple[float | None, ...]
    """Mean dollars spent until then."""
    seconds: tuple[float | None, ...]


@dataclass(frozen=True)
class PlanResult:
    """One plan or baseline."""

    name: str
    baseline: bool
    select: str
    stop: str | None
    prior: str
    estimator: str
    width: int
    sessions: int
    error: Estimate
    """Mean over the sizes of the mean absolute error of the predicted score."""
    points: tuple[Point, ...]
    """In the order of the sizes; the stopping rule last, where there is one."""
    curve: Curve
    ended: dict[str, int]
    """Sessions by how the stopping rule ended them."""


@dataclass(frozen=True)
class Difference:
    """How much larger the error of ``second`` is than that of ``first``, paired."""

    first: str
    second: str
    size: int | None
    """None for the mean over sizes."""
    error: Estimate


@dataclass(frozen=True)
class Needed:
    """What a plan needs for the error that another has at some size, and the reverse.

    An amount is None where so small an error is not reached within the items that were given.
    """

    plan: str
    reference: str
    size: int
    unit: str
    """items, usd or seconds."""
    amount: Estimate
    """Of the plan, for the error that the reference has at this size."""
    share: Estimate
    """The same as a share of what the reference spends there."""
    matched: Estimate
    """Of the reference, for the error that the plan has at this size."""
    factor: Estimate
    """The same as a multiple of what the plan spends there."""


@dataclass(frozen=True)
class SplitFacts:
    """One split."""

    name: str
    calibrating: int
    tested: int
    seed: int
    converged: bool


@dataclass(frozen=True)
class AgentFacts:
    """One agent under test."""

    name: str
    score: float
    """Over all its items and trials."""
    sessions: int
    """Of each plan."""
    error: dict[str, list[float | None]]
    """Mean absolute error of the predicted score by plan, for each size."""


@dataclass(frozen=True)
class StudyResult:
    """A study, measured."""

    name: str
    source: str
    sha256: str
    version: str
    agents: int
    items: int
    missing: float
    repeated: bool
    """Whether cells have several trials."""
    bank: str | None
    model: str | None
    by: str
    seeds: int
    sizes: tuple[int, ...]
    levels: tuple[float, ...]
    units: tuple[str, ...]
    """Those of which something is known."""
    cut: float | None
    resamples: int
    reference: str
    """The plan that all others are compared with in what they need; the user's own plans are
    compared with the first of them too."""
    splits: tuple[SplitFacts, ...]
    tested: tuple[AgentFacts, ...]
    plans: tuple[PlanResult, ...]
    differences: tuple[Difference, ...]
    needed: tuple[Needed, ...]
    verdict: tuple[str, ...]
    warnings: tuple[str, ...]
