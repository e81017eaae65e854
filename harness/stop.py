"""When to stop: rules over the progress of a session, and their combinators.

A rule is a frozen, printable callable from :class:`Progress` to one truth value per agent.
Its text is an expression such as ``sd<0.3 or items>=30``; :func:`parse_stop` reads it.
"""

import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.errors import PlanError
from harness.irt import Array
from harness.select import View

Truth = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Progress:
    """How far A sessions have come; every array has a leading axis A."""

    items: NDArray[np.intp]
    """``(A,)`` answered items."""
    usd: Array
    """``(A,)`` dollars spent, voids included."""
    seconds: Array
    """``(A,)`` seconds since the start, time between processes left out."""
    sd: Array
    """``(A, D)`` posterior standard deviations."""
    view: View
    """Posterior and answers, for rules that need more."""


@runtime_checkable
class Rule(Protocol):
    """A stopping rule."""

    @property
    def precise(self) -> bool:
        """Whether this is a demand for precision rather than a limit on spending."""
        ...

    def __call__(self, progress: Progress, /) -> Truth:
        """``(A,)`` whether each session may stop."""
        ...

    def reason(self, progress: Progress, /) -> str:
        """Why the first session stops, with its numbers."""
        ...


@dataclass(frozen=True)
class SdBelow:
    """The posterior sd of every ability is below a bound."""

    bound: float
    precise = True

    def __call__(self, progress: Progress) -> Truth:
        """True where the largest sd is below the bound."""
        return np.asarray(progress.sd.max(axis=1) < self.bound)

    def reason(self, progress: Progress) -> str:
        """For example: sd 0.29 below 0.3."""
        return f"sd {progress.sd[0].max():.3g} below {self.bound:g}"

    def __str__(self) -> str:
        return f"sd<{self.bound!r}"


@dataclass(frozen=True)
class MaxItems:
    """So many items are answered."""

    limit: int
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.items >= self.limit)

    def reason(self, progress: Progress) -> str:
        """For example: 30 items, the limit."""
        return f"{progress.items[0]} items answered, the limit is {self.limit}"

    def __str__(self) -> str:
        return f"items>={self.limit}"


@dataclass(frozen=True)
class MaxCost:
    """So many dollars are spent."""

    usd: float
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.usd >= self.usd)

    def reason(self, progress: Progress) -> str:
        """For example: $2.10 spent, the limit is $2."""
        return f"${progress.usd[0]:.2f} spent, the limit is ${self.usd:g}"

    def __str__(self) -> str:
        return f"usd>={self.usd!r}"


@dataclass(frozen=True)
class MaxSeconds:
    """So many seconds have passed."""

    limit: float
    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True from the limit on."""
        return np.asarray(progress.seconds >= self.limit)

    def reason(self, progress: Progress) -> str:
        """For example: 3605 s passed, the limit is 3600 s."""
        return f"{progress.seconds[0]:.0f} s passed, the limit is {self.limit:g} s"

    def __str__(self) -> str:
        return f"seconds>={self.limit!r}"


@dataclass(frozen=True)
class Exhausted:
    """Only when nothing is left: every session ends there anyway, this rule adds no other end."""

    precise = False

    def __call__(self, progress: Progress) -> Truth:
        """True where no item is available."""
        return np.asarray(~progress.view.available.any(axis=1))

    def reason(self, progress: Progress) -> str:
        """The bank is exhausted."""
        return f"bank exhausted after {progress.items[0]} items"

    def __str__(self) -> str:
        return "exhausted"


@dataclass(frozen=True)
class AnyOf:
    """Stops as soon as one rule does."""

    rules: tuple[Rule, ...]

    @property
    def precise(self) -> bool:
        """Whether any of the rules demands precision."""
        return any(rule.precise for rule in self.rules)

    def __call__(self, progress: Progress) -> Truth:
        """The union of the rules."""
        return np.asarray(np.logical_or.reduce([rule(progress) for rule in self.rules]))

    def reason(self, progress: Progress) -> str:
        """The reasons of the rules that fire."""
        return "; ".join(rule.reason(progress) for rule in self.rules if rule(progress)[0])

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


@dataclass(frozen=True)
class AllOf:
    """Stops when every rule does."""

    rules: tuple[Rule, ...]

    @property
    def precise(self) -> bool:
        """Whether any of the rules demands precision."""
        return any(rule.precise for rule in self.rules)

    def __call__(self, progress: Progress) -> Truth:
        """The intersection of the rules."""
        return np.asarray(np.logical_and.reduce([rule(progress) for rule in self.rules]))

    def reason(self, progress: Progress) -> str:
        """The reasons of all rules."""
        return " and ".join(rule.reason(progress) for rule in self.rules)

    def __str__(self) -> str:
        return " and ".join(
            f"({rule})" if isinstance(rule, AnyOf) else str(rule) for rule in self.rules
        )


def any_of(*rules: Rule) -> Rule:
    """Stop as soon as one of the rules fires.

    >>> str(any_of(SdBelow(0.3), MaxItems(30)))
    'sd<0.3 or items>=30'
    """
    flat = [r for rule in rules for r in (rule.rules if isinstance(rule, AnyOf) else (rule,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(*rules: Rule) -> Rule:
    """Stop when all of the rules hold.

    >>> str(all_of(SdBelow(0.3), MaxItems(5)))
    'sd<0.3 and items>=5'
    """
    flat = [r for rule in rules for r in (rule.rules if isinstance(rule, AllOf) else (rule,))]
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def limits(rule: Rule) -> tuple[Rule, ...]:
    """The limits that end a session by themselves, whatever else holds."""
    if isinstance(rule, AnyOf):
        return tuple(limit for part in rule.rules for limit in limits(part))
    return () if rule.precise or isinstance(rule, AllOf) else (rule,)


def precision_reached(rule: Rule, progress: Progress) -> bool:
    """Whether a demand for precision is among what stops the first session."""
    if isinstance(rule, AnyOf | AllOf):
        reached = any(precision_reached(part, progress) for part in rule.rules)
        return reached and bool(rule(progress)[0])
    return rule.precise and bool(rule(progress)[0])


_TOKEN = re.compile(
    r"\s*(\(|\)|and\b|or\b|catsim:\w+(?:\([^()]*\))?|exhausted\b|\w+\s*(?:<|>=)\s*[\d.eE+-]+)"
)


def parse_stop(text: str) -> Rule:
    """A rule from its text: comparisons joined by ``and`` / ``or``, with parentheses.

    Raises:
        PlanError: the text is not a rule.

    >>> parse_stop("sd<0.3 and items>=5 or usd>=2")
    AnyOf(rules=(AllOf(rules=(SdBelow(bound=0.3), MaxItems(limit=5))), MaxCost(usd=2.0)))
    """
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, text[position:].strip())
        tokens.append(match[1])
        position = match.end()
    rule, rest = _parse_or(tokens, text)
    if rest:
        raise _unreadable(text, rest[0])
    return rule


def _parse_or(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    rule, tokens = _parse_and(tokens, text)
    rules = [rule]
    while tokens[:1] == ["or"]:
        rule, tokens = _parse_and(tokens[1:], text)
        rules.append(rule)
    return any_of(*rules), tokens


def _parse_and(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    rule, tokens = _parse_one(tokens, text)
    rules = [rule]
    while tokens[:1] == ["and"]:
        rule, tokens = _parse_one(tokens[1:], text)
        rules.append(rule)
    return all_of(*rules), tokens


def _parse_one(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    match tokens:
        case ["(", *inside]:
            rule, rest = _parse_or(inside, text)
            if rest[:1] != [")"]:
                raise _unreadable(text, "a missing )")
            return rule, rest[1:]
        case ["exhausted", *rest]:
            return Exhausted(), rest
        case [token, *rest] if token.startswith("catsim:"):
            from harness.catsim_adapter import catsim_stopper

            return catsim_stopper(token.removeprefix("catsim:")), rest
        case [token, *rest]:
            return _comparison(token, text), rest
        case _:
            raise _unreadable(text, "its end")


def _comparison(token: str, text: str) -> Rule:
    match = re.fullmatch(r"(\w+)\s*(<|>=)\s*(.+)", token)
    try:
        number = float(match[3]) if match else float("nan")
    except ValueError:
        number = float("nan")
    if match is None or not number > 0 or not np.isfinite(number):
        raise _unreadable(text, token)
    match match[1], match[2]:
        case "sd", "<":
            return SdBelow(number)
        case "items", ">=" if number == int(number):
            return MaxItems(int(number))
        case "usd" | "cost", ">=":
            return MaxCost(number)
        case "seconds", ">=":
            return MaxSeconds(number)
        case _:
            raise _unreadable(text, token)


def _unreadable(text: str, where: str) -> PlanError:
    return PlanError(
        f"stopping rule {text!r} cannot be read at {where!r}; write comparisons such as sd<0.3, "
        "items>=30, usd>=5, seconds>=3600 or catsim:NAME, joined by 'and' / 'or', with positive "
        "numbers"
    )
