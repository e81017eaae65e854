"""The plan of a study: what is tested on which outcomes, split how, and judged at which sizes."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from harness.ability import Prior
from harness.errors import HarnessError, PlanError
from harness.grammar import parse_estimator, parse_selector, parse_stop
from harness.irt import Model
from harness.prior import PriorName
from harness.select import Estimator, MaxInformation, PerCost, Selector, Unit
from harness.stop import Rule

By = Literal["random", "date", "family", "none"]
Baseline = Literal["random + mean", "random + IRT", "window"]
BASELINES: tuple[Baseline, ...] = ("random + mean", "random + IRT", "window")
SIZES = (5, 10, 20, 30, 50)
LEVELS = (0.8, 0.9, 0.95)


def _read(parse: Callable[[str], Any]) -> PlainValidator:
    """Text to what it says; a refusal becomes one that pydantic can put a place to."""

    def read(value: Any) -> Any:
        if value is None or isinstance(value, int | float | list | dict | tuple):
            raise ValueError(f"must be text, not {value!r}")
        try:
            return parse(value) if isinstance(value, str) else value
        except HarnessError as error:
            raise ValueError(str(error)) from None

    return PlainValidator(read)


PriorChoice = PriorName | tuple[float, float]
"""Two numbers are a mean and an sd."""


def _read_prior(value: Any) -> PriorChoice:
    if value in get_args(PriorName):
        return value  # type: ignore[no-any-return]
    parts = value.split(",") if isinstance(value, str) else value
    try:
        mean, sd = (float(part) for part in parts)
        Prior((mean,), (sd,))
    except (TypeError, ValueError, PlanError):
        raise ValueError(
            "must be auto, trend, population, normal, or a mean and an sd as in '0,1.5', not "
            f"{value!r}"
        ) from None
    return mean, sd


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class PlanEntry(_Entry):
    """One way of testing an agent."""

    name: str = ""
    """The selector's text where none is given."""
    select: Annotated[Selector, _read(parse_selector)] = Field(default_factory=MaxInformation)
    per: Unit | None = None
    """Gains per expected dollar or second."""
    stop: Annotated[Rule | None, _read(parse_stop)] = None
    """Also look at each session where this rule ends it."""
    prior: Annotated[PriorChoice, PlainValidator(_read_prior)] = "auto"
    estimator: Annotated[Estimator, _read(parse_estimator)] = "eap"
    width: int = Field(default=1, ge=1)

    @property
    def selector(self) -> Selector:
        """With the unit of cost."""
        return PerCost(self.select, self.per) if self.per else self.select

    @property
    def title(self) -> str:
        """Name of the plan."""
        return self.name or str(self.selector)

    @model_validator(mode="after")
    def _one_unit(self) -> "PlanEntry":
        try:
            str(self.selector)
        except PlanError as error:
            raise ValueError(str(error)) from None
        return self


class SplitEntry(_Entry):
    """Which agents calibrate, and which are tested."""

    by: By
    share: float = Field(default=0.7, gt=0, lt=1)
    """Of the agents, for calibration; by random and date."""
    seeds: int = Field(default=10, ge=1)
    """How often all is repeated: with other agents by ``random``; with other random tasks, and
    other trials of cells that have several, in every case."""


class StudyPlan(_Entry):
    """Everything that a study is made of."""

    name: str = Field(min_length=1)
    responses: Path
    score: str | None = None
    """A ladder that makes categories of columns of the table."""
    bank: str | None = None
    """A bank for all agents; nothing is calibrated then."""
    model: Model | None = None
    """What banks are calibrated with, one for each split."""
    split: SplitEntry
    plans: tuple[PlanEntry, ...] = Field(min_length=1)
    baselines: tuple[Baseline, ...] = BASELINES
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=SIZES, min_length=1)
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=LEVELS, min_length=1)
    units: tuple[Literal["items", "usd", "seconds"], ...] = ("items", "usd", "seconds")
    """What curves are drawn against, where it is known."""
    cut: float | None = Field(default=None, gt=0, lt=1)
    """Also count wrong answers to the question whether an agent's score lies above this."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap samples of the agents."""

    @model_validator(mode="after")
    def _consistent(self) -> "StudyPlan":
        if (self.bank is None) == (self.model is None):
            raise ValueError("give either bank, or model to calibrate banks with")
        if (self.split.by == "none") != (self.bank is not None):
            raise ValueError(
                "split by none goes with a bank and no other split does: a bank tests all agents, "
                "a model is calibrated on some to test the others"
            )
        names = [plan.title for plan in self.plans] + list(self.baselines)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two plans are called {name!r}; give them names of their own")
        for what, values in (("sizes", self.sizes), ("levels", self.levels)):
            if list(values) != sorted(set(values)):
                raise ValueError(f"{what} must ascend, each once")
        return self


def parse_study(values: Any, where: str) -> StudyPlan:
    """A checked plan from plain data.

    Args:
        where: what the data is from, for messages.

    Raises:
        PlanError: naming the entry that cannot be used.

    >>> parse_study({"plans": [{"select": "best"}]}, "p.yaml")
    Traceback (most recent call last):
    harness.errors.PlanError: p.yaml, entry 'name': is missing
    """
    if not isinstance(values, dict):
        raise PlanError(f"{where} must map entries to values, as in 'name: my study'")
    try:
        return StudyPlan.model_validate(values)
    except ValidationError as error:
        raise PlanError(f"{where}{_problem(error)}") from None


def read_study(path: Path) -> StudyPlan:
    """The plan in a YAML file; paths in it start at the file's folder.

    Raises:
        PlanError: a file that is no YAML, or naming the entry that cannot be used.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"plan file {path} is not valid YAML: {error}") from None
    except OSError as error:
        raise PlanError(f"plan file {path} cannot be read: {error.strerror}") from None
    plan = parse_study(values, f"plan file {path}")
    responses = path.parent / plan.responses
    if not responses.exists():
        raise PlanError(f"plan file {path}, entry 'responses': there is no {responses}")
    beside = path.parent / plan.bank if plan.bank else None
    bank = str(beside) if beside and beside.exists() else plan.bank
    return plan.model_copy(update={"responses": responses, "bank": bank})


def _problem(error: ValidationError) -> str:
    """The first of the problems: entry and sentence."""
    first = error.errors()[0]
    entry = ""
    for part in first["loc"]:
        entry += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if entry else str(part)
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = "is not known"
        case "literal_error":
            message = f"{first['input']!r} is none of {first['ctx']['expected']}"
    return f", entry {entry!r}: {message}" if entry else f": {message}"
