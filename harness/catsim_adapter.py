"""catsim's selectors, estimators and stoppers, named in a plan: ``catsim:MaxInfoSelector``.

A name is that of a catsim 0.21 class, with its arguments by keyword where it takes any, as in
``catsim:MinErrorStopper(min_error=0.3)``. catsim knows one ability and binary items, and sees
point estimates of the parameters only. It was made to run inside its own simulator; what breaks
outside of it is kept away here:

- Information and likelihood are NaN or infinite where a probability rounds to 0 or 1, and then
  no stopper fires again: the asymptotes it sees stay 1e-12 away from 0 and 1.
- Objects keep the state of earlier sessions: each call builds its own.
- Selectors raise when their list, stratum or test length is used up, and some never see that an
  item cannot be had: what is unavailable is never offered, and once a selector has nothing left
  the most informative available item is taken.
- The estimator returns ±∞ when all answers agree, or, with Dodd's step, a value that depends on
  the calls before, and moves down after right answers on an easy bank: the step is repeated from
  the middle of the scale, never against the answers, and estimates stay on the nodes.
- The estimator searches abilities from -6 to 6 only: the nodes are mapped onto that range.
"""

import ast
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from harness.errors import PlanError
from harness.irt import Array, Table
from harness.select import PointEstimator, Selector, View
from harness.stop import Progress, Rule, Truth, any_of

_MARGIN = 1e-12
_SEARCH_RANGE = (-6.0, 6.0)

Value = int | float | str | tuple[float, ...]


@dataclass(frozen=True)
class _Parameter:
    wants: str
    accepts: Callable[[object], bool]
    required: bool = False


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_list(value: object, accepts: Callable[[object], bool]) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(map(accepts, value))


_COUNT = _Parameter("a whole number from 1 on", lambda v: _is_whole(v, 1))
_POSITIVE = _Parameter("a positive number", lambda v: _is_number(v) and v > 0)
_NUMBERS = _Parameter("a list of numbers", lambda v: _is_list(v, _is_number), required=True)
_ROWS = _Parameter(
    "a list of whole numbers from 0 on",
    lambda v: _is_list(v, lambda x: _is_whole(x, 0)),
    required=True,
)
_METHODS = ("bounded", "brent", "dichotomous", "fibonacci", "golden", "golden2", "ternary")
_LENGTH = {"min_items": _COUNT, "max_items": _COUNT}
_TEST_SIZE = {"test_size": replace(_COUNT, required=True)}

Parameters = Mapping[str, Mapping[str, _Parameter]]

SELECTORS: Parameters = {
    "AStratBBlockSelector": _TEST_SIZE,
    "AStratSelector": _TEST_SIZE,
    "ClusterSelector": {"clusters": _ROWS},
    "IntervalInfoSelector": {"interval": replace(_POSITIVE, required=True)},
    "LinearSelector": {"indexes": _ROWS},
    "MaxInfoBBlockSelector": _TEST_SIZE,
    "MaxInfoSelector": {},
    "MaxInfoStratSelector": _TEST_SIZE,
    "RandomSelector": {},
    "RandomesqueSelector": {"bin_size": replace(_COUNT, required=True)},
    "The54321Selector": _TEST_SIZE,
    "UrrySelector": {},
}
ESTIMATORS: Parameters = {
    "NumericalSearchEstimator": {
        "dodd": _Parameter("True or False", lambda v: isinstance(v, bool)),
        "method": _Parameter(f"one of {', '.join(_METHODS)}", lambda v: v in _METHODS),
        # a search narrower than rounding error would never end
        "tol": _Parameter("a number from 1e-9 to 1", lambda v: _is_number(v) and 1e-9 <= v <= 1),
    }
}
STOPPERS: Parameters = {
    "ConfidenceIntervalStopper": {"interval_bounds": _NUMBERS, "confidence": _POSITIVE} | _LENGTH,
    "MinErrorStopper": {"min_error": replace(_POSITIVE, required=True)} | _LENGTH,
    "TestLengthStopper": _LENGTH | {"max_items": replace(_COUNT, required=True)},
}

_MANY_AGENTS = "exposure rates are counted over many agents, and a session has one"
_REFUSED = {
    "r_max": _MANY_AGENTS,
    "r_control": _MANY_AGENTS,
    "replace": "a session gives no item twice",
    "verbose": "it would print between the lines of a session",
    # the others compare clusters with exposure rates
    "method": "of ClusterSelector's, only item_info ever leaves cluster 0 in catsim 0.21",
}


@dataclass(frozen=True)
class Part:
    """A catsim class by name, with its arguments."""

    name: str
    arguments: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        inside = ", ".join(
            f"{key}={list(value) if isinstance(value, tuple) else value!r}"
            for key, value in self.arguments
        )
        return f"catsim:{self.name}({inside})" if inside else f"catsim:{self.name}"

    def build(self, package: str, **changed: Value) -> Any:
        """A fresh catsim object from ``catsim.<package>``."""
        from importlib import import_module

        arguments = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in {**dict(self.arguments), **changed}.items()
        }
        return getattr(import_module(f"catsim.{package}"), self.name)(**arguments)


def _read(text: str, known: Parameters, package: str) -> Part:
    """The part that a text names, its arguments checked by us and then by catsim."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        node = ast.Constant(text)
    match node:
        case ast.Name(id=name):
            keywords: list[ast.keyword] = []
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
            pass
        case _:
            raise PlanError(
                f"catsim:{text} cannot be read; write catsim:Name or catsim:Name(argument=value), "
                "every argument by its name"
            )
    if name not in known:
        raise PlanError(f"catsim:{name} is not available here; use one of {', '.join(known)}")
    given = dict(_argument(name, keyword, known[name]) for keyword in keywords)
    if len(given) < len(keywords):
        raise PlanError(f"catsim:{text}: an argument is given twice; give it once")
    for key, parameter in known[name].items():
        if parameter.required and key not in given:
            raise PlanError(f"catsim:{name} needs {key}, {parameter.wants}: catsim:{name}({key}=…)")
    part = Part(name, tuple((key, given[key]) for key in known[name] if key in given))
    try:
        part.build(package)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{part}: {error}") from None
    return part


def _argument(
    name: str, keyword: ast.keyword, parameters: Mapping[str, _Parameter]
) -> tuple[str, Value]:
    key = keyword.arg or "**"
    if key not in parameters:
        why = _REFUSED.get(key) or f"it takes {', '.join(parameters) or 'no arguments'}"
        raise PlanError(f"catsim:{name} cannot be given {key!r} here: {why}")
    try:
        value = ast.literal_eval(keyword.value)
    except (ValueError, TypeError):
        value = None
    value = tuple(value) if isinstance(value, list) else value
    if not parameters[key].accepts(value):
        found = ast.unparse(keyword.value)
        raise PlanError(f"catsim:{name}: {key} must be {parameters[key].wants}, not {found}")
    return key, value


# --- selectors --------------------------------------------------------------------------------


@dataclass(frozen=True)
class CatsimSelector:
    """One of catsim's selectors. It names one item, so gains are 1 for that item and 0 else.

    With items in flight the gains average to votes over what those may still answer.
    """

    part: Part

    def __call__(self, view: View) -> Array:
        """Gains ``(A, n)``, all 0 for an agent without available items."""
        parameters = _parameters(view.table, str(self))
        self._check(len(parameters))
        gains = np.zeros(view.available.shape)
        abilities = _on_nodes(view.table, view.ability[:, 0])
        answered = view.answers >= 0
        for i in np.flatnonzero(view.available.any(axis=1)):
            rng = np.random.default_rng(view.seeds[i])
            row = self._pick(parameters, view.available[i], answered[i], abilities[i], rng)
            gains[i, row] = 1.0
        return gains

    def _check(self, n: int) -> None:
        match dict(self.part.arguments):
            case {"test_size": int(size)} if size > n:
                raise PlanError(f"{self}: test_size must be at most {n}, the number of items")
            case {"clusters": tuple(clusters)} if len(clusters) != n:
                raise PlanError(f"{self}: {len(clusters)} clusters for {n} items; give one an item")
            case {"indexes": tuple(indexes)} if max(indexes) >= n:
                raise PlanError(f"{self}: index {max(indexes)} is past the last item, {n - 1}")

    def _pick(
        self,
        parameters: Array,
        available: NDArray[np.bool_],
        answered: NDArray[np.bool_],
        ability: float,
        rng: np.random.Generator,
    ) -> int:
        from catsim.exceptions import NoItemsAvailableError

        rows = np.arange(len(parameters))
        changed: dict[str, Value] = {}
        used_up = False
        test_size = dict(self.part.arguments).get("test_size")
        if isinstance(test_size, int):
            # the count of administered items is the position in the test: items that can be had
            # no more must not count, so they leave the bank
            rows = np.flatnonzero(available | answered)
            changed["test_size"] = size = min(test_size, len(rows))
            used_up = int(answered.sum()) >= size
        if not used_up:
            selector = self.part.build("selection", **changed)
            # a search through what is used up ends in this error
            with suppress(NoItemsAvailableError):
                return int(rows[_place(selector, parameters[rows], available[rows], ability, rng)])
        most_informative = Part("MaxInfoSelector").build("selection")
        return _place(most_informative, parameters, available, ability, rng)

    def __str__(self) -> str:
        return str(self.part)


def _place(
    selector: Any,
    parameters: Array,
    available: NDArray[np.bool_],
    ability: float,
    rng: np.random.Generator,
) -> int:
    with _quiet():
        return int(
            selector.select(
                item_bank=_bank(parameters),
                administered_items=np.flatnonzero(~available).tolist(),
                est_theta=ability,
                rng=rng,
            )
        )


def catsim_selector(text: str) -> Selector:
    """A selector of catsim from its name and arguments.

    Raises:
        PlanError: an unknown name (the message lists the known ones) or wrong arguments.

    >>> str(catsim_selector("RandomesqueSelector(bin_size=5)"))
    'catsim:RandomesqueSelector(bin_size=5)'
    """
    return CatsimSelector(_read(text, SELECTORS, "selection"))


# --- estimators -------------------------------------------------------------------------------


@dataclass(frozen=True)
class CatsimEstimator:
    """Maximum likelihood by one of catsim's searches. It does not know the prior."""

    part: Part

    def __call__(self, view: View) -> Array:
        """Estimates ``(A, 1)``; the middle of the nodes before the first answer."""
        table = view.table
        parameters = _parameters(table, str(self))
        low, high = float(table.nodes.min()), float(table.nodes.max())
        middle, unit = (low + high) / 2, (high - low) / (_SEARCH_RANGE[1] - _SEARCH_RANGE[0])
        scaled = parameters.copy()
        scaled[:, 0] *= unit
        scaled[:, 1] = (parameters[:, 1] - middle) / unit
        # hypothetical futures of one agent share its answers
        patterns, where = np.unique(view.answers, axis=0, return_inverse=True)
        estimates = np.array([self._estimate(scaled, pattern) for pattern in patterns])
        return np.asarray(_on_nodes(table, middle + unit * estimates)[where.reshape(-1)][:, None])

    def _estimate(self, parameters: Array, answers: NDArray[np.intp]) -> float:
        rows = [int(row) for row in np.flatnonzero(answers >= 0)]
        right = [bool(answers[row]) for row in rows]
        if not rows:
            return 0.0
        bank, theta = _bank(parameters), 0.0
        same = len(set(right)) == 1
        with _quiet():
            for count in range(1, len(rows) + 1) if same else [len(rows)]:
                theta = self.part.build("estimation").estimate(
                    item_bank=bank,
                    administered_items=rows[:count],
                    response_vector=right[:count],
                    est_theta=theta,
                )
        if same:
            theta = max(theta, 0.0) if right[0] else min(theta, 0.0)
        return float(theta)

    def __str__(self) -> str:
        return str(self.part)


def catsim_estimator(text: str) -> PointEstimator:
    """An estimator of catsim from its name and arguments.

    Raises:
        PlanError: an unknown name (the message lists the known ones) or wrong arguments.

    >>> str(catsim_estimator("NumericalSearchEstimator(method='brent')"))
    "catsim:NumericalSearchEstimator(method='brent')"
    """
    return CatsimEstimator(_read(text, ESTIMATORS, "estimation"))


# --- stoppers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class CatsimStopper:
    """One of catsim's stoppers, fed with the plan's point estimate."""

    part: Part

    @property
    def precise(self) -> bool:
        """Whether this is a demand for precision rather than a limit on spending."""
        return self.part.name != "TestLengthStopper"

    def __call__(self, progress: Progress) -> Truth:
        """``(A,)`` whether each session may stop."""
        stops = []
        for ability, administered in self._seen(progress):
            with _quiet():
                stopper = self.part.build("stopping")
                stops.append(stopper.stop(administered_items=administered, theta=ability))
        return np.array(stops, bool)

    def reason(self, progress: Progress) -> str:
        """For example: catsim:MinErrorStopper(min_error=0.3): ability 0.6, standard error 0.29."""
        from catsim import irt

        ability, administered = next(self._seen(progress))
        with _quiet():
            error = irt.see(ability, administered) if len(administered) else math.inf
        return (
            f"{self}: ability {ability:.3g}, standard error {error:.3g} "
            f"after {progress.items[0]} items"
        )

    def _seen(self, progress: Progress) -> Iterator[tuple[float, Array]]:
        """Ability and parameters of the administered items, agent by agent."""
        view = progress.view
        parameters = _parameters(view.table, str(self))
        # items in flight count, but tell nothing yet: slope 0 has no information
        flat = np.array([[0.0, 0.0, _MARGIN, 1 - _MARGIN]])
        abilities = _on_nodes(view.table, view.ability[:, 0])
        for ability, answers, items in zip(abilities, view.answers, progress.items, strict=True):
            rows = parameters[answers >= 0]
            yield float(ability), np.concatenate([rows, flat.repeat(items - len(rows), axis=0)])

    def __str__(self) -> str:
        return str(self.part)


def catsim_stopper(text: str) -> Rule:
    """A stopper of catsim from its name and arguments.

    A demand for precision with ``max_items`` becomes two rules, so that a session knows which
    of them ended it.

    Raises:
        PlanError: an unknown name (the message lists the known ones) or wrong arguments.

    >>> str(catsim_stopper("MinErrorStopper(min_error=0.3, max_items=40)"))
    'catsim:MinErrorStopper(min_error=0.3) or catsim:TestLengthStopper(max_items=40)'
    """
    part = _read(text, STOPPERS, "stopping")
    limit = dict(part.arguments).get("max_items")
    if part.name == "TestLengthStopper" or limit is None:
        return CatsimStopper(part)
    rest = tuple((key, value) for key, value in part.arguments if key != "max_items")
    longest = Part("TestLengthStopper", (("max_items", limit),))
    return any_of(CatsimStopper(Part(part.name, rest)), CatsimStopper(longest))


# --- what catsim is shown ---------------------------------------------------------------------


def _parameters(table: Table, who: str) -> Array:
    """``(n, 4)`` discrimination, difficulty and asymptotes."""
    abilities, many = table.nodes.shape[1], table.n_categories != 2
    problem = f"this bank has {abilities} abilities" if abilities > 1 else ""
    if many.any():
        row = int(np.argmax(many))
        problem = f"item {table.ids[row]!r} has {table.n_categories[row]} categories"
    if problem:
        raise PlanError(
            f"{who}: catsim is for binary items and one ability, but {problem}; "
            "use selectors, estimators and rules whose names have no catsim: before them"
        )
    slope, intercept = table.slopes[:, 0], table.intercepts[:, 0]
    lower = np.maximum(table.lower, _MARGIN)
    upper = np.minimum(table.upper, 1 - _MARGIN)
    return np.stack([slope, -intercept / slope, lower, upper], axis=1)


def _bank(parameters: Array) -> Any:
    from catsim.item_bank import ItemBank

    # our banks are checked already, and catsim's check prints
    return ItemBank(parameters, validate=False)


def _on_nodes(table: Table, abilities: Array) -> Array:
    return np.clip(abilities, table.nodes.min(), table.nodes.max())


@contextmanager
def _quiet() -> Iterator[None]:
    """Far from an item catsim overflows to the right limits, with warnings."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        yield
