"""What linking benchmarks through shared parts finds."""

from dataclasses import dataclass

from harness.calibrate.link import Link
from harness.parts.shared import Shared


@dataclass(frozen=True)
class Estimate:
    """Median and 90% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """An ability on a benchmark, and what it is on the scale of the first."""

    here: float
    there: Estimate
    error: float
    """Linking error: sd of ``there``, in units of the first scale."""


@dataclass(frozen=True)
class Place:
    """Mean ability of the agents of a shared model on a benchmark and on the first."""

    model: str
    here: float
    here_error: float
    """Sd of the error of measurement, as of the next."""
    there: float
    there_error: float


@dataclass(frozen=True)
class Line:
    """How the scale of a benchmark lies to that of the first: ``θ = alpha + beta θ_first``."""

    name: str
    alpha: Estimate
    beta: Estimate
    points: tuple[Point, Point, Point]
    """One sd below the mean of the benchmark's agents, at it, and one above."""
    relative_error: float
    """Linking error at the mean in sds of the first benchmark's agents."""
    course: tuple[Point, ...]
    """The line over the range of the benchmark's agents, for a plot."""
    places: tuple[Place, ...]
    """Models that the benchmark shares with the first."""
    link: Link
    """The inverse: from the benchmark's scale to that of the first, with its covariance."""


@dataclass(frozen=True)
class Correlation:
    """Of what one part is worth on two benchmarks; 0.66 (0.31 to 0.91) before any data."""

    first: str
    second: str
    value: Estimate


@dataclass(frozen=True)
class Told:
    """Ability of an agent on a benchmark where it was not seen, on that benchmark's scale."""

    benchmark: str
    agent: str
    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Linked:
    """Several benchmarks on the scale of the first."""

    names: tuple[str, ...]
    shared: tuple[Shared, ...]
    """Of every pair."""
    lines: tuple[Line, ...]
    """Of every benchmark but the first."""
    general: tuple[tuple[str, Estimate], ...]
    """Share of the variance of parts' effects that is general, on each benchmark; of two
    benchmarks only the product is told by data."""
    correlations: tuple[Correlation, ...]
    told: tuple[Told, ...]
    fewest: int
    bound: float
    worth: float
    """How many independent draws the intervals rest on."""

    @property
    def barely(self) -> tuple[str, ...]:
        """Benchmarks whose linking error is above the bound."""
        return tuple(line.name for line in self.lines if line.relative_error > self.bound)


@dataclass(frozen=True)
class Refusal:
    """Why benchmarks were not linked, and what would help."""

    shared: tuple[Shared, ...]
    apart: tuple[str, ...]
    """Benchmarks that nothing joins to the first."""
    reason: str
    remedy: str
