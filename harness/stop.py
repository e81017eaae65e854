"""When to stop: rules over the progress of a session, and their combinators.

A rule is a frozen, printable callable from :class:`Progress` to one truth value per agent.
Its text is an expression such as ``sd<0.3 or items>=30``, which :mod:`harness.grammar` reads.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

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


def counted(items: int) -> str:
    """A number of items in words.

    >>> counted(1), counted(2)
    ('1 item', '2 items')
    """
    return f"{items} item{'' if items == 1 else 's'}"


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
        return f"{counted(int(progress.items[0]))} answered, the limit is {self.limit}"

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
        return f"bank exhausted after {counted(int(progress.items[0]))}"

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
    """The limits among the parts of a rule, any of which ends a session by itself."""
    if isinstance(rule, AnyOf):
        return tuple(limit for part in rule.rules for limit in limits(part))
    return () if rule.precise else (rule,)


def precision_reached(rule: Rule, progress: Progress) -> bool:
    """Whether a demand for precision is among what stops the first session."""
    if isinstance(rule, AnyOf | AllOf):
        reached = any(precision_reached(part, progress) for part in rule.rules)
        return reached and bool(rule(progress)[0])
    return rule.precise and bool(rule(progress)[0])
