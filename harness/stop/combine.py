"""Combinators of stopping rules, and what a combination stopped for."""

from dataclasses import dataclass

import numpy as np

from harness.stop.progress import Progress, Rule, Truth


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

    >>> from harness.stop import MaxItems, SdBelow
    >>> str(any_of(SdBelow(0.3), MaxItems(30)))
    'sd<0.3 or items>=30'
    """
    flat = [r for rule in rules for r in (rule.rules if isinstance(rule, AnyOf) else (rule,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(*rules: Rule) -> Rule:
    """Stop when all of the rules hold.

    >>> from harness.stop import MaxItems, SdBelow
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
