"""Items and banks: checked, hashed, and compiled onto ability nodes."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness import irt
from harness.ability import Prior, correlation_problem, mixed
from harness.errors import BankError
from harness.irt import Array, Model, Table

_FREE_ASYMPTOTES: dict[Model, int] = {"3pl": 1, "4pl": 2}


_KERNEL = 0.5
"""Sd of the normal around each calibrating agent, in sds of the population."""
_NORMAL = 10
"""How many calibrating agents the normal population weighs as much as."""


@dataclass(frozen=True)
class Source:
    """Where the tasks of some items come from: samples of an Inspect task, or a folder of tasks.

    Exactly one of ``task`` and ``environments`` is given. Both may be relative to ``folder``.
    """

    task: str = ""
    """An Inspect task as ``package/task`` or ``file.py@task``."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that the task is made with."""
    score: str = ""
    """Ladder that makes a category of its scores; empty for ``value>=1``."""
    environments: str = ""
    """Folder of task directories."""
    folder: Path = field(default_factory=Path, compare=False)
    """What relative paths are relative to: the bank's folder."""

    @property
    def location(self) -> str:
        """The task or folder, with a path that no longer depends on ``folder``.

        >>> Source("inspect_evals/gsm8k").location
        'inspect_evals/gsm8k'
        """
        if self.environments:
            return str((self.folder / self.environments).resolve())
        file, at, name = self.task.rpartition("@") if "@" in self.task else (self.task, "", "")
        return f"{(self.folder / file).resolve()}{at}{name}" if file.endswith(".py") else self.task


@dataclass(frozen=True)
class Item:
    """One task with one scoring, and its parameters in slope-intercept form.

    ``slopes`` has one entry an ability, ``intercepts`` one a category above the lowest.
    ``covariance`` is that of :func:`parameter_names`, or None where the parameters count as known.
    """

    id: str
    model: Model
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    lower: float = 0.0
    upper: float = 1.0
    categories: str = "binary"
    """Name of the list of labels, see ``ItemBank.categories``."""
    covariance: tuple[tuple[float, ...], ...] | None = None
    effect_sd: float = 0.0
    """Standard deviation, in logits, of how much easier or harder the item is for one agent than
    its ability says, whatever the number of trials."""
    usd: float = math.nan
    """Expected cost of one attempt in US dollars."""
    seconds: float = math.nan
    """Expected duration of one attempt in seconds."""
    environment: str = ""
    """Name or path of the task directory, or id of the sample; empty means: the item's id."""
    tags: tuple[str, ...] = ()
    source: str = ""
    """Key of ``ItemBank.sources``; empty for the task directories that a run is given."""
    predicted: bool = False
    """The parameters are predicted from what is known of the task, not estimated from outcomes."""

    @property
    def difficulties(self) -> tuple[float, ...]:
        """Thresholds ``-d/|a|`` on the ability scale, ascending for graded items.

        >>> Item("i", "2pl", (2.0,), (1.0,)).difficulties
        (-0.5,)
        """
        norm = math.hypot(*self.slopes)
        return tuple(-d / norm for d in self.intercepts)


def parameter_names(item: Item) -> tuple[str, ...]:
    """Names of the unconstrained parameters whose covariance a bank stores, in order.

    >>> parameter_names(Item("i", "3pl", (1.0,), (0.0,), lower=0.2))
    ('log_a1', 'd1', 'logit_lower')
    """
    slope = "log_a" if len(item.slopes) == 1 else "a"
    asymptotes = ("logit_lower", "logit_upper")[: _FREE_ASYMPTOTES.get(item.model, 0)]
    return (
        *(f"{slope}{j + 1}" for j in range(len(item.slopes))),
        *(f"d{k + 1}" for k in range(len(item.intercepts))),
        *asymptotes,
    )


@dataclass(frozen=True)
class Calibrant:
    """An agent whose outcomes a bank was calibrated with, and where it came to lie."""

    agent: str
    ability: tuple[float, ...]
    """Posterior means, one entry an ability."""
    sd: tuple[float, ...]
    """Posterior standard deviations."""
    date: str = ""
    """ISO date of the agent, or its beginning; empty where unknown, as in the next two."""
    llm: str = ""
    """Model of the agent."""
    scaffold: str = ""
    """What runs the model."""


@dataclass(frozen=True)
class ItemBank:
    """A set of items on one scale.

    ``mean``, ``sd`` and ``correlation`` describe the latent population that the scale comes from,
    one entry an ability; they are the default prior of a session.
    """

    name: str
    items: tuple[Item, ...]
    categories: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"binary": ("fail", "pass")}
    )
    """Label lists by name, lowest category first."""
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)
    description: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Where tasks come from, by the name that items refer to."""
    correlation: tuple[tuple[float, ...], ...] = ()
    """``(D, D)`` of the abilities in the population; independent when empty."""
    calibrants: tuple[Calibrant, ...] = ()
    """The agents of the calibration, where known."""
    trials: int = 1
    """Trials of each item that the score of the bank is the mean of."""
    specific_sd: float = 0.0
    """Sd of how far ability on the items of one session lies from ability on the whole bank: what
    agents are good at besides what one ability says."""
    common_sd: float = 0.0
    """Sd, on the ability scale, of the error that the difficulties of all predicted items share:
    that of what predicts them. The covariance of each predicted item holds it too."""

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def hash(self) -> str:
        """12 hex digits over all that decides a session: parameters, uncertainty, categories.

        Of sources the tasks, their arguments and mappings count, but not where files lie.
        """
        content: dict[str, Any] = {
            "items": [
                [
                    *(i.id, i.model, i.categories, i.environment, i.tags),
                    *(_floats(i.slopes), _floats(i.intercepts), _floats((i.lower, i.upper))),
                    i.covariance and [_floats(row) for row in i.covariance],
                    *(repr(float(i.usd)), repr(float(i.seconds))),
                ]
                for i in self.items
            ],
            "categories": {name: list(labels) for name, labels in self.categories.items()},
            "population": [_floats(self.mean), _floats(self.sd)],
        }
        if self.sources:
            content["sources"] = {
                name: [Path(s.task).name if ".py" in s.task else s.task, dict(s.args), s.score]
                for name, s in self.sources.items()
            }
            content["source of items"] = [item.source for item in self.items]
        # what earlier banks do not have leaves their hash as it was
        if self.correlation:
            content["correlation"] = [_floats(row) for row in self.correlation]
        if any(item.effect_sd for item in self.items):
            content["effects"] = _floats(item.effect_sd for item in self.items)
        if self.trials != 1:
            content["trials"] = self.trials
        if self.specific_sd:
            content["specific_sd"] = repr(float(self.specific_sd))
        if any(item.predicted for item in self.items):
            content["predicted"] = [item.id for item in self.items if item.predicted]
        if self.common_sd:
            content["common_sd"] = repr(float(self.common_sd))
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def population(self) -> Prior:
        """What is believed of an agent of which nothing is known: one like the calibrating agents.

        Real agents are no normal population: most are of one generation, some far behind it. Their
        distribution is a kernel density of the calibrating agents' abilities (Rosenblatt 1956), on
        centres half an sd apart, mixed with the normal of ``mean`` and ``sd`` as if that were ten
        agents more. Without such agents, and with several abilities, it is that normal.

        >>> agents = tuple(Calibrant(f"a{k}", (1.0,), (0.1,)) for k in range(30))
        >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),), calibrants=agents)
        >>> bank.population.mixture
        ((0.25, 0.0, 1.0), (0.75, 1.0, 0.5))
        """
        if len(self.mean) > 1 or not self.calibrants:
            return Prior(self.mean, self.sd, self.correlation)
        mean, sd = self.mean[0], self.sd[0]
        width = _KERNEL * sd
        place = (np.array([calibrant.ability[0] for calibrant in self.calibrants]) - mean) / width
        # each agent counts at the two centres beside it, by nearness
        below = np.floor(place)
        centres, where = np.unique(np.concatenate([below, below + 1]), return_inverse=True)
        share = np.bincount(where, weights=np.concatenate([below + 1 - place, place - below]))
        agents = len(place)
        kernels = [
            (float(f"{weight:.6g}"), float(mean + centre * width), width)
            for centre, weight in zip(centres, share / (agents + _NORMAL), strict=True)
            if weight > 0
        ]
        return mixed(((_NORMAL / (agents + _NORMAL), mean, sd), *kernels))

    @cached_property
    def table(self) -> Table:
        """The bank compiled onto its default nodes, parameter uncertainty folded in."""
        return compile_bank(self, irt.grid(self.mean, self.sd))

    def labels(self, item: str) -> tuple[str, ...]:
        """Category labels of an item, lowest first."""
        return self.categories[self[item].categories]

    def __getitem__(self, item: str) -> Item:
        return self.items[self.table.row(item)]


def compile_bank(bank: ItemBank, nodes: Array, *, uncertainty: bool = True) -> Table:
    """Compile a bank onto ability nodes.

    Args:
        nodes: ``(Q, D)``.
        uncertainty: average over each item's parameter uncertainty; False takes the point
            estimates as known. What an item is to one agent (``effect_sd``) is averaged over in
            either case.

    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> compile_bank(bank, np.zeros((1, 1))).p.tolist()
    [[[0.5], [0.5]]]
    """
    n, q = len(bank.items), len(nodes)
    k_max = max(len(item.intercepts) for item in bank.items) + 1
    log_p = np.full((n, k_max, q), -np.inf)
    info = np.zeros((n, q))
    # one vectorised call for each shape of item
    groups: dict[tuple[irt.Family, int, int], list[int]] = defaultdict(list)
    spreads = [spread_of(item, uncertainty) for item in bank.items]
    for row, item in enumerate(bank.items):
        size = 0 if (spread := spreads[row]) is None else len(spread)
        groups[irt.family(item.model), len(item.intercepts), size].append(row)
    for (kind, steps, size), rows in groups.items():
        items = [bank.items[row] for row in rows]
        parameters = _parameters(items)
        if size:
            covariance = np.array([spreads[row] for row in rows])
            log_probability, dp = irt.predictive(kind, *parameters, covariance, nodes)
        else:
            log_probability, dp = irt.response(kind, *parameters, nodes)
        log_p[rows, : steps + 1] = log_probability
        info[rows] = irt.information(log_probability, dp, parameters[0])
    intercepts = np.full((n, k_max - 1), np.nan)
    for row, item in enumerate(bank.items):
        intercepts[row, : len(item.intercepts)] = item.intercepts
    return Table(
        ids=tuple(item.id for item in bank.items),
        nodes=nodes,
        log_p=log_p,
        information=info,
        n_categories=np.array([len(item.intercepts) + 1 for item in bank.items]),
        slopes=np.array([item.slopes for item in bank.items]),
        intercepts=intercepts,
        lower=np.array([item.lower for item in bank.items]),
        upper=np.array([item.upper for item in bank.items]),
        usd=np.array([item.usd for item in bank.items]),
        seconds=np.array([item.seconds for item in bank.items]),
        tags=tuple(item.tags for item in bank.items),
        location_sd=np.array([_location_sd(item, bank) for item in bank.items]),
        repeats=_repeats(bank, groups, spreads, nodes, k_max) if bank.trials > 1 else None,
        specific_sd=bank.specific_sd,
        predicted=np.array([item.predicted for item in bank.items]),
        common_sd=bank.common_sd,
        log_population=bank.population.log_weights(nodes),
    )


def _parameters(items: Sequence[Item]) -> tuple[Array, Array, Array, Array]:
    """Slopes, intercepts, lower and upper asymptotes of items of one shape."""
    return (
        np.array([item.slopes for item in items]),
        np.array([item.intercepts for item in items]),
        np.array([item.lower for item in items]),
        np.array([item.upper for item in items]),
    )


def _repeats(
    bank: ItemBank,
    groups: Mapping[tuple[irt.Family, int, int], list[int]],
    spreads: list[Array | None],
    nodes: Array,
    k_max: int,
) -> irt.Repeats:
    n, q = len(bank.items), len(nodes)
    mean, variance = np.zeros((n, k_max, q)), np.zeros((n, k_max, q))
    open_variance = np.zeros((n, q))
    for (kind, steps, size), rows in groups.items():
        covariance = np.array([spreads[row] for row in rows]) if size else None
        parameters = _parameters([bank.items[row] for row in rows])
        found = irt.repeated(kind, *parameters, covariance, nodes, bank.trials)
        mean[rows, : steps + 1], variance[rows, : steps + 1] = found.mean, found.variance
        open_variance[rows] = found.open_variance
    return irt.Repeats(bank.trials, mean, variance, open_variance)


def _location_sd(item: Item, bank: ItemBank) -> float:
    """By the delta method, at the mean of the thresholds and where uncertainty is stored."""
    if item.covariance is None:
        return 0.0
    covariance = np.array(item.covariance)
    steps = slice(len(item.slopes), len(item.slopes) + len(item.intercepts))
    slope = float(np.linalg.norm(np.array(item.slopes) * np.array(bank.sd)))
    gradient = np.zeros(len(covariance))
    gradient[steps] = 1 / len(item.intercepts)
    if len(item.slopes) == 1:
        # the difficulty is -d/a, and a enters by its logarithm
        gradient[0] = -float(np.mean(item.intercepts))
    return float(np.sqrt(max(gradient @ covariance @ gradient, 0.0)) / slope)


def spread_of(item: Item, uncertainty: bool) -> Array | None:
    """``(p, p)`` covariance of what the trials of a cell share, parameters and effect, which the
    probabilities of an item are averaged over; None for none."""
    known = item.covariance is None or not uncertainty
    if known and not item.effect_sd:
        return None
    size = len(parameter_names(item))
    spread = np.zeros((size, size)) if known else np.array(item.covariance)
    # an agent × item effect moves all intercepts together
    steps = slice(len(item.slopes), len(item.slopes) + len(item.intercepts))
    spread[steps, steps] += item.effect_sd**2
    return spread


# --- checking ---------------------------------------------------------------------------------


def _check(bank: ItemBank) -> None:
    if not bank.items:
        raise BankError(f"bank {bank.name!r} has no items: add at least one row to items.csv")
    finite = all(math.isfinite(x) for x in (*bank.mean, *bank.sd))
    if len(bank.mean) != len(bank.sd) or not finite or not all(s > 0 for s in bank.sd):
        raise BankError(f"bank {bank.name!r}: population needs one mean and one sd > 0 an ability")
    if problem := correlation_problem(bank.correlation, len(bank.mean)):
        raise BankError(f"bank {bank.name!r}: the correlation of its population {problem}")
    if bank.trials < 1:
        raise BankError(f"bank {bank.name!r}: trials must be 1 or more, not {bank.trials}")
    if not 0 <= bank.specific_sd < math.inf:
        raise BankError(
            f"bank {bank.name!r}: specific_sd must be 0 or more, not {bank.specific_sd:g}"
        )
    if not 0 <= bank.common_sd < math.inf:
        raise BankError(f"bank {bank.name!r}: common_sd must be 0 or more, not {bank.common_sd:g}")
    if bank.common_sd and len(bank.mean) > 1:
        raise BankError(f"bank {bank.name!r}: common_sd is for banks of one ability")
    for calibrant in bank.calibrants:
        if not len(calibrant.ability) == len(calibrant.sd) == len(bank.mean):
            raise BankError(
                f"bank {bank.name!r}, agent {calibrant.agent!r}: needs one ability and one sd for "
                f"each of {len(bank.mean)} abilities"
            )
    for name, source in bank.sources.items():
        if bool(source.task) == bool(source.environments):
            raise BankError(
                f"bank {bank.name!r}, source {name!r}: give either task or environments"
            )
    seen: set[str] = set()
    for row, item in enumerate(bank.items, start=1):
        if not item.id:
            raise BankError(f"bank {bank.name!r}: item {row} has no id; every item needs one")
        if item.id in seen:
            raise BankError(
                f"bank {bank.name!r}: item id {item.id!r} occurs twice; ids must be unique"
            )
        seen.add(item.id)
        problem = _problem(item, bank)
        if problem:
            raise BankError(f"bank {bank.name!r}, item {item.id!r}: {problem}")


def _problem(item: Item, bank: ItemBank) -> str | None:
    if item.source and item.source not in bank.sources:
        known = ", ".join(sorted(bank.sources)) or "none"
        return f"unknown source {item.source!r}; bank.yaml defines: {known}"
    numbers = (*item.slopes, *item.intercepts, item.lower, item.upper, item.effect_sd)
    if item.effect_sd < 0:
        return f"effect_sd must be 0 or more, not {item.effect_sd:g}"
    if not all(math.isfinite(x) for x in numbers):
        return "a parameter is NaN or infinite; every slope, intercept and asymptote needs a number"
    if len(item.slopes) != len(bank.mean):
        return f"{len(item.slopes)} slopes, but the bank has {len(bank.mean)} abilities"
    if len(item.slopes) == 1 and item.slopes[0] <= 0:
        return (
            f"discrimination a1 = {item.slopes[0]:g} is not positive; an item that abler agents "
            "fail more often belongs out of the bank, or its categories are reversed"
        )
    if not any(item.slopes):
        return "all slopes are 0: the item tells nothing about ability"
    if item.categories not in bank.categories:
        known = ", ".join(sorted(bank.categories))
        return f"unknown categories {item.categories!r}; bank.yaml defines: {known}"
    labels = bank.categories[item.categories]
    if len(labels) != len(item.intercepts) + 1:
        return (
            f"{len(item.intercepts)} intercepts make {len(item.intercepts) + 1} categories, but "
            f"{item.categories!r} has {len(labels)} labels: {', '.join(labels)}"
        )
    kind = irt.family(item.model)
    if kind == "binary" and len(item.intercepts) != 1:
        return f"a {item.model} item has exactly one intercept, not {len(item.intercepts)}"
    if kind == "graded" and any(
        b >= a for a, b in zip(item.intercepts, item.intercepts[1:], strict=False)
    ):
        return (
            f"thresholds out of order: intercepts {_plain(item.intercepts)} must decrease "
            "(difficulties must increase) from category to category"
        )
    if not 0 <= item.lower < item.upper <= 1:
        return f"asymptotes must be 0 <= lower < upper <= 1, not {item.lower:g} and {item.upper:g}"
    return _covariance_problem(item)


def _covariance_problem(item: Item) -> str | None:
    if item.covariance is None:
        return "a predicted item needs a covariance: it is not known" if item.predicted else None
    matrix = np.array(item.covariance)
    size = len(parameter_names(item))
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        return f"its covariance must be a {size} × {size} matrix of numbers"
    if not np.allclose(matrix, matrix.T):
        return "its covariance is not symmetric"
    if np.linalg.eigvalsh(matrix)[0] < -1e-8 * max(1.0, float(np.trace(matrix))):
        return "its covariance is not positive semidefinite; calibrate the bank again"
    return None


def _floats(numbers: Iterable[float]) -> list[float]:
    # 1 and 1.0 are one number, and hash alike
    return [float(x) for x in numbers]


def _plain(numbers: Iterable[float]) -> str:
    return ", ".join(f"{x:g}" for x in numbers)
