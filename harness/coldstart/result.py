"""What a protocol found, as plain data for JSON, tables and pages."""

from dataclasses import dataclass
from typing import Literal

from harness.calibrate.metrics import Bin
from harness.study.bootstrap import Estimate

Protocol = Literal["tasks", "responses", "agents", "agents-by-date", "pairs", "benchmark"]
Unit = Literal["items", "agents"]


@dataclass(frozen=True)
class Coverage:
    """How well what was said of difficulties or abilities agrees with what all outcomes say."""

    n: int
    share: Estimate
    """Of the 90% intervals that hold the full-data estimate, whose own error is allowed for."""
    rmse: float
    """On the scale of ability."""
    sd: float
    """Mean sd that was stated."""
    correlation: float
    """NaN where all were told the same."""


@dataclass(frozen=True)
class Found:
    """One method. Estimates have 95% bootstrap intervals over the units."""

    name: str
    auc: Estimate
    """Of all cells pooled."""
    fold_aucs: tuple[float, ...]
    """Of each fold by itself."""
    log_score: Estimate
    """Mean log probability of what happened, in nats an attempt; higher is better."""
    brier: Estimate
    calibration: float
    """Expected calibration error in ten bins."""
    curve: tuple[Bin, ...]
    difficulty: Coverage | None = None
    ability: Coverage | None = None

    @property
    def mean_auc(self) -> float:
        """Mean of the AUCs of the folds."""
        return sum(self.fold_aucs) / len(self.fold_aucs)


@dataclass(frozen=True)
class Difference:
    """Second method minus first, on the same cells and bootstrap samples."""

    first: str
    second: str
    auc: Estimate
    log_score: Estimate


@dataclass(frozen=True)
class Result:
    """One protocol on one benchmark."""

    protocol: Protocol
    benchmark: str
    source: str
    sha256: str
    agents: int
    """That were told of."""
    items: int
    attempts: int
    folds: tuple[str, ...]
    unit: Unit
    """What the bootstrap draws again."""
    blocks: tuple[tuple[str, int], ...]
    """Blocks of features with their numbers of columns."""
    main: str
    """The method that others are held against."""
    methods: tuple[Found, ...]
    differences: tuple[Difference, ...]
    """Of the main method to every other one."""
    notes: tuple[str, ...] = ()
