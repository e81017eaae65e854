"""Combinators: selectors made of another one, in the same shape, nesting freely.

What may be chosen is narrowed before the inner selector is asked, so that whatever it does (take
the best five, look for a tag that is short) it does among the items that are allowed. Limits
therefore go outside: ``at-most(audit(min-variance, 0.1), git=3)`` audits within the limit.
"""

from dataclasses import dataclass

import numpy as np

from harness.errors import PlanError
from harness.irt import Array, Table
from harness.select.derived import per_table
from harness.select.futures import gains_of
from harness.select.text import number, quoted
from harness.select.view import (
    AUDIT,
    AUDITED,
    RANDOMESQUE,
    Selector,
    Truth,
    View,
    informative,
    uniform,
)


@dataclass(frozen=True)
class Balance:
    """Content balance: the next item bears the tag that is furthest below its share.

    Kingsbury and Zara (1989). The tag is the one that falls shortest of ``share × (t + 1)`` items
    after t, items in flight included; where it has no item left, the next one is. Shares that sum
    to less than 1 leave the rest to items without any of the tags.
    """

    inner: Selector
    shares: tuple[tuple[str, float], ...]
    """Tags and the share of the test that each should have."""

    def __post_init__(self) -> None:
        values = [share for _, share in self.shares]
        if not values or min(values) <= 0 or sum(values) > 1 + 1e-9:
            raise PlanError(f"{self}: shares are positive and sum to at most 1")
        _check_once(self, [tag for tag, _ in self.shares])

    @property
    def informative(self) -> bool:
        """As the inner selector."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector, ``-inf`` for items of other tags."""
        groups = np.stack([_members(self, view.table, tag) for tag, _ in self.shares])
        shares = np.array([share for _, share in self.shares])
        if shares.sum() < 1 - 1e-9:
            groups = np.concatenate([groups, ~groups.any(axis=0, keepdims=True)])
            shares = np.append(shares, 1 - shares.sum())
        counts = view.taken @ groups.T.astype(float)
        missing = shares * (view.taken.sum(axis=1, keepdims=True) + 1) - counts
        order = np.argsort(-missing, axis=1, kind="stable")
        # after all of the groups, any item: a test does not end because its tags are used up
        groups = np.concatenate([groups, np.ones_like(groups[:1])])
        order = np.concatenate([order, np.full((len(order), 1), len(shares))], axis=1)
        gains = np.full(view.available.shape, -np.inf)
        waiting = np.arange(len(gains))
        for rank in range(order.shape[1]):
            allowed = groups[order[waiting, rank]]
            some = (view.available[waiting] & allowed).any(axis=1)
            rows, allowed = waiting[some], allowed[some]
            if not rows.size:
                continue
            found = gains_of(self.inner, view.of(rows).narrowed(allowed))
            gains[rows] = np.where(allowed & view.available[rows], found, -np.inf)
            waiting = np.flatnonzero((gains == -np.inf).all(axis=1))
            if not waiting.size:
                break
        return gains

    def __str__(self) -> str:
        return f"balance({self.inner}, {_keyed(self.shares)})"


@dataclass(frozen=True)
class AtMost:
    """At most so many items of each tag, items in flight included."""

    inner: Selector
    limits: int | tuple[tuple[str, int], ...]
    """One number for every tag, or some tags with a number each."""

    def __post_init__(self) -> None:
        pairs = (("", self.limits),) if isinstance(self.limits, int) else self.limits
        if not pairs or min(limit for _, limit in pairs) < 0:
            raise PlanError(f"{self}: limits are whole numbers from 0 on")
        _check_once(self, [tag for tag, _ in pairs])

    @property
    def informative(self) -> bool:
        """As the inner selector."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector, ``-inf`` for items of tags that are used up."""
        if isinstance(self.limits, int):
            pairs = tuple((tag, self.limits) for tag in tag_members(view.table))
        else:
            pairs = self.limits
        allowed = np.ones_like(view.available)
        for tag, limit in pairs:
            members = _members(self, view.table, tag)
            full = view.taken[:, members].sum(axis=1) >= limit
            allowed[np.ix_(full, members)] = False
        return _within(self.inner, view, allowed)

    def __str__(self) -> str:
        limits = self.limits if isinstance(self.limits, int) else _keyed(self.limits)
        return f"at-most({self.inner}, {limits})"


@dataclass(frozen=True)
class Exclude:
    """Some items are never chosen."""

    inner: Selector
    names: tuple[str, ...]
    """Ids of items, or tags, which stand for all of their items."""

    def __post_init__(self) -> None:
        if not self.names:
            raise PlanError("exclude needs the ids or tags of what is never to be chosen")

    @property
    def informative(self) -> bool:
        """As the inner selector."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector, ``-inf`` for what is excluded."""
        allowed = np.ones(len(view.table.ids), bool)
        for name in self.names:
            if name in view.table.index:
                allowed[view.table.index[name]] = False
            if name not in view.table.index or name in tag_members(view.table):
                allowed &= ~_members(self, view.table, name, "item or tag")
        return _within(self.inner, view, np.broadcast_to(allowed, view.available.shape))

    def __str__(self) -> str:
        return f"exclude({self.inner}, {', '.join(map(quoted, self.names))})"


@dataclass(frozen=True)
class Randomesque:
    """One of the best few at random (Kingsbury and Zara 1989)."""

    inner: Selector
    size: int
    """How many of the best items are drawn from."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise PlanError(f"{self}: the number of best items is a whole number from 1 on")

    def __call__(self, view: View) -> Array:
        """Uniform random gains for the best items, ``-inf`` for others."""
        gains = np.where(view.available, gains_of(self.inner, view), -np.inf)
        best = np.argsort(-gains, axis=1, kind="stable")[:, : self.size]
        among = np.zeros_like(view.available)
        np.put_along_axis(among, best, True, axis=1)
        return np.where(among & (gains > -np.inf), uniform(view, RANDOMESQUE), -np.inf)

    def __str__(self) -> str:
        return f"randomesque({self.inner}, {self.size})"


@dataclass(frozen=True)
class Audit:
    """A share of the items is drawn at random from all available ones.

    A guard against an agent that does well on what the inner selector likes to choose: audit
    items estimate without it.
    """

    inner: Selector
    share: float
    """Probability that an item is an audit item."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PlanError(f"{self}: the share of audit items lies from 0 to 1")

    @property
    def informative(self) -> bool:
        """As the inner selector: an audit item has no near-tie, since all others are ``-inf``."""
        return informative(self.inner)

    def __call__(self, view: View) -> Array:
        """Gains of the inner selector, or one random item's."""
        audited = audits(self, view)
        gains = np.full(view.available.shape, -np.inf)
        if not audited.all():
            gains[~audited] = gains_of(self.inner, view.of(~audited))
        if audited.any():
            drawn = view.of(audited)
            chance = np.where(drawn.available, uniform(drawn, AUDITED), -1.0)
            best = chance.max(axis=1, keepdims=True)
            gains[audited] = np.where(drawn.available & (chance == best), 1.0, -np.inf)
        return gains

    def __str__(self) -> str:
        return f"audit({self.inner}, {number(self.share)})"


def audits(selector: Audit, view: View) -> Truth:
    """``(A,)`` whether the item of this step is an audit item."""
    coins = [np.random.default_rng([*seed, AUDIT]).random() for seed in view.seeds]
    return np.asarray(np.array(coins) < selector.share)


@per_table
def tag_members(table: Table) -> dict[str, Truth]:
    """``(n,)`` which items bear a tag, by tag."""
    tags = table.tags or ((),) * len(table.ids)
    names = dict.fromkeys(name for row in tags for name in row)
    found = {name: np.zeros(len(table.ids), bool) for name in names}
    for row, own in enumerate(tags):
        for name in own:
            found[name][row] = True
    return found


def _members(selector: Selector, table: Table, tag: str, kind: str = "tag") -> Truth:
    known = tag_members(table)
    if tag not in known:
        has = f"its tags are {', '.join(map(quoted, sorted(known)))}" if known else "it has no tags"
        raise PlanError(f"{selector}: the bank has no {kind} {quoted(tag)}; {has}")
    return known[tag]


def _within(inner: Selector, view: View, allowed: Truth) -> Array:
    return np.where(allowed, gains_of(inner, view.narrowed(allowed)), -np.inf)


def _check_once(selector: Selector, tags: list[str]) -> None:
    for tag in tags:
        if tags.count(tag) > 1:
            raise PlanError(f"{selector}: tag {quoted(tag)} is given twice")


def _keyed(pairs: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{quoted(tag)}={number(value)}" for tag, value in pairs)
