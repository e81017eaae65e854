"""What is found of benchmarks, pairs of them and capability: plain data."""

from dataclasses import dataclass

from harness.validity.plain import Interval, Prediction


@dataclass(frozen=True)
class Benchmark:
    """What went into it, and how noisy it is."""

    name: str
    source: str
    sha256: str
    agents: int
    items: int
    keys: int
    """Agents or models that the matching names."""
    spread: float
    """Sd of ability between agents of one model; NaN where none has several."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """One agent or model on two benchmarks: abilities, and the ends of their intervals."""

    key: str
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float


@dataclass(frozen=True)
class Line:
    """The regression of the second ability on the first, without errors of measurement."""

    x: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Pair:
    """Two benchmarks that share agents enough."""

    first: str
    second: str
    keys: tuple[str, ...]
    """Shared."""
    latent: Interval
    """Correlation of abilities, errors of measurement taken out: median of its posterior."""
    positive: float
    """Probability that it is above 0."""
    q: float
    """Two-sided posterior probability of the other sign, adjusted over all pairs."""
    draws: Interval
    """Correlation over posterior draws."""
    estimates: Interval
    """Pearson's of posterior means."""
    scores: Interval
    """Pearson's of raw scores."""
    ranks: Interval
    """Spearman's of raw scores."""
    classical: Interval
    """That of posterior means divided by the root of the reliabilities."""
    reliability: tuple[float, float]
    prediction: Prediction
    points: tuple[Point, ...]
    line: Line
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """Two benchmarks of which nothing is said, and why."""

    first: str
    second: str
    keys: tuple[str, ...]
    given: str
    """Capability measure, for a partial correlation; empty for a pair."""
    reason: str
    remedy: str


@dataclass(frozen=True)
class Partial:
    """Does the first benchmark tell of the second beyond a capability measure?"""

    first: str
    second: str
    given: str
    keys: tuple[str, ...]
    latent: Interval
    """Partial correlation of abilities given that of the capability measure."""
    positive: float
    q: float
    """As of pairs, adjusted over all partial correlations."""
    whole: Interval
    """Correlation of the two over the same agents, nothing held fixed."""
    estimates: Interval
    """Partial correlation of posterior means."""
    predictions: tuple[Prediction, ...]
    """Of the second's score: by capability, and by both held against capability alone."""
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Validity:
    """What benchmarks say of one another."""

    benchmarks: tuple[Benchmark, ...]
    pairs: tuple[Pair, ...]
    partials: tuple[Partial, ...]
    refusals: tuple[Refusal, ...]
    how: str
    """How agents were matched."""
    given: str
    """Capability measure; empty for none."""
    fewest: int
    level: float
    """Probability of the intervals."""
    seed: int
