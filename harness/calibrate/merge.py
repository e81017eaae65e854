"""A bank moved along a link onto the scale of another, and both as one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from harness.bank import Calibrant, Item, ItemBank, parameter_names
from harness.calibrate.link import Link
from harness.calibrate.link_agents import unshrunk
from harness.calibrate.link_problem import population_of
from harness.errors import BankError
from harness.irt import Array

_T = TypeVar("_T")


def apply_link(bank: ItemBank, link: Link, *, include_error: bool = True) -> ItemBank:
    """The bank with everything on the scale that the link leads to.

    Slopes become ``a / slope`` and intercepts ``d - a · intercept / slope``, which leaves every
    probability as it was; asymptotes and agent × item effects, which are in logits, stay.

    The linking error is one error that all items share, and a bank holds errors of single items.
    With ``include_error`` each item gets the whole of it, which is right for the item and lets a
    session that takes many such items average it away: the ability that it then states on the
    scale of A is uncertain by :meth:`Link.se` besides. The link is kept in the provenance.

    Args:
        bank: B, with one ability.
        link: from B to A.
        include_error: add the linking error to covariances of items and sds of calibrants.

    Raises:
        BankError: the bank has several abilities.

    >>> bank = ItemBank("b", (Item("i", "2pl", (1.0,), (0.5,)),))
    >>> moved = apply_link(bank, Link(2.0, 1.0, ((0.0, 0.0), (0.0, 0.0)), "haebara", "a", ()))
    >>> moved.items[0].slopes, moved.items[0].intercepts, moved.mean, moved.sd
    ((0.5,), (0.0,), (1.0,), (2.0,))
    """
    if len(bank.mean) != 1:
        raise BankError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities, and a link moves only one"
        )
    error = np.array(link.covariance) if include_error else np.zeros((2, 2))
    return replace(
        bank,
        items=tuple(_moved(item, link, error) for item in bank.items),
        mean=(link.ability(bank.mean[0]),),
        sd=(link.slope * bank.sd[0],),
        specific_sd=link.slope * bank.specific_sd,
        common_sd=link.slope * bank.common_sd,
        calibrants=tuple(
            replace(
                calibrant,
                ability=(link.ability(calibrant.ability[0]),),
                sd=(
                    float(
                        np.hypot(
                            link.slope * calibrant.sd[0],
                            link.se(calibrant.ability[0]) if include_error else 0.0,
                        )
                    ),
                ),
            )
            for calibrant in bank.calibrants
        ),
        provenance={**bank.provenance, "link": link_facts(link, include_error=include_error)},
    )


def _moved(item: Item, link: Link, error: Array) -> Item:
    slope, shift = link.slope, link.intercept
    a, d = item.slopes[0], np.array(item.intercepts)
    size, steps = len(parameter_names(item)), slice(1, 1 + len(d))
    known = item.covariance is None and not error.any()
    covariance = np.zeros((size, size)) if item.covariance is None else np.array(item.covariance)
    own = np.eye(size)
    own[steps, 0] = -a * shift / slope
    of_link = np.zeros((size, 2))
    of_link[0, 0] = -1 / slope
    of_link[steps] = a * shift / slope**2, -a / slope
    covariance = own @ covariance @ own.T + of_link @ error @ of_link.T
    covariance = (covariance + covariance.T) / 2
    return replace(
        item,
        slopes=(a / slope,),
        intercepts=tuple((d - a * shift / slope).tolist()),
        covariance=None if known else tuple(tuple(row) for row in covariance.tolist()),
    )


def link_facts(link: Link, *, include_error: bool = True) -> dict[str, Any]:
    """A link in plain values, for provenance and JSON."""
    return {
        "onto": link.onto,
        "method": link.method,
        "slope": link.slope,
        "intercept": link.intercept,
        "se_slope": link.se_slope,
        "se_intercept": link.se_intercept,
        "covariance": [list(row) for row in link.covariance],
        "common": len(link.common),
        "drifted": sorted({drift.name for drift in link.drifted}),
        "dropped": list(link.dropped),
        "error_in_covariances": include_error,
    }


def merge(bank_a: ItemBank, linked_b: ItemBank, *, name: str = "") -> ItemBank:
    """One bank of all items of A, and those of B that A does not have.

    Common items keep A's parameters, unless A only predicted them and B did not. An
    inverse-variance average would be sharper where both calibrations rest on different outcomes of
    an item that did not drift, but neither can be seen from the banks; it would move the very items
    that define A's scale; and the parameters of B hold the linking error, which all of them share.
    To use the outcomes of both, calibrate B's with the items of A as anchors.

    Population and name are A's, whose scale it is; agents that only B has are kept with their
    posterior under A's population.

    Args:
        bank_a: whose scale and items are kept.
        linked_b: B on the scale of A, see :func:`apply_link`.
        name: of the merged bank; A's when empty.

    Raises:
        BankError: the banks disagree in labels of a list of categories or of a common item, in
            what a source is, or in which task a common item is.

    >>> one, two = (ItemBank(n, (Item(n, "2pl", (1.0,), (0.0,)),)) for n in "ab")
    >>> [item.id for item in merge(one, two).items]
    ['a', 'b']
    """
    own = {item.id: item for item in bank_a.items}
    new = tuple(item for item in linked_b.items if item.id not in own)
    _check_categories(bank_a, linked_b, new)
    _check_sources(bank_a, linked_b, new)
    for item in linked_b.items:
        if item.id in own:
            _check_common(own[item.id], item, bank_a, linked_b)
    known = {calibrant.agent for calibrant in bank_a.calibrants}
    populations = population_of(linked_b), population_of(bank_a)
    merged = {
        "name": linked_b.name,
        "items_added": len(new),
        "provenance": dict(linked_b.provenance),
    }
    return replace(
        bank_a,
        name=name or bank_a.name,
        items=(*_told_by(bank_a.items, linked_b), *new),
        categories={
            **bank_a.categories,
            **_used(linked_b.categories, {item.categories for item in new}),
        },
        sources={**bank_a.sources, **_used(linked_b.sources, {item.source for item in new})},
        calibrants=(
            *bank_a.calibrants,
            *(_under(c, *populations) for c in linked_b.calibrants if c.agent not in known),
        ),
        # a session of the merged bank may see items of either
        specific_sd=max(bank_a.specific_sd, linked_b.specific_sd),
        common_sd=max(bank_a.common_sd, linked_b.common_sd),
        provenance={
            **bank_a.provenance,
            "merged_with": [*bank_a.provenance.get("merged_with", []), merged],
        },
    )


def _told_by(items: Sequence[Item], other: ItemBank) -> list[Item]:
    """The items, with the parameters of another bank where only that one has outcomes of them."""
    calibrated = {item.id: item for item in other.items if not item.predicted}
    return [
        with_parameters(item, calibrated[item.id])
        if item.predicted and item.id in calibrated
        else item
        for item in items
    ]


def with_parameters(item: Item, found: Item) -> Item:
    """The item, its task and tags, with all that another one knows of its parameters."""
    return replace(
        item,
        model=found.model,
        slopes=found.slopes,
        intercepts=found.intercepts,
        lower=found.lower,
        upper=found.upper,
        effect_sd=found.effect_sd or item.effect_sd,
        covariance=found.covariance,
        predicted=found.predicted,
    )


def _used(named: Mapping[str, _T], names: set[str]) -> dict[str, _T]:
    return {name: value for name, value in named.items() if name in names}


def _check_categories(bank_a: ItemBank, linked_b: ItemBank, new: Sequence[Item]) -> None:
    for name in sorted({item.categories for item in new} & bank_a.categories.keys()):
        lists = bank_a.categories[name], linked_b.categories[name]
        if lists[0] != lists[1]:
            said = [", ".join(labels) for labels in lists]
            raise BankError(
                f"categories {name!r} are {said[0]} in bank {bank_a.name!r} and {said[1]} in "
                f"{linked_b.name!r}: give one of the two lists another name"
            )


def _check_sources(bank_a: ItemBank, linked_b: ItemBank, new: Sequence[Item]) -> None:
    for name in sorted({item.source for item in new} & bank_a.sources.keys()):
        one, other = bank_a.sources[name], linked_b.sources[name]
        if (one.location, one.args, one.score) != (other.location, other.args, other.score):
            raise BankError(
                f"source {name!r} is {one.location} in bank {bank_a.name!r} and {other.location} "
                f"in {linked_b.name!r}, or has other arguments or another score there: give one "
                "of the two sources another name"
            )


def _check_common(item: Item, other: Item, bank_a: ItemBank, linked_b: ItemBank) -> None:
    labels = bank_a.categories[item.categories], linked_b.categories[other.categories]
    if labels[0] != labels[1]:
        said = [", ".join(names) for names in labels]
        raise BankError(
            f"item {item.id!r} has the categories {said[0]} in bank {bank_a.name!r} and {said[1]} "
            f"in {linked_b.name!r}: if they mean the same give them the same labels, else give "
            "the item another id in one bank"
        )
    tasks = _task(item, bank_a), _task(other, linked_b)
    if "" not in tasks and tasks[0] != tasks[1]:
        raise BankError(
            f"item {item.id!r} is the task {tasks[0]} in bank {bank_a.name!r} and {tasks[1]} in "
            f"{linked_b.name!r}: give it another id in one bank"
        )


def _task(item: Item, bank: ItemBank) -> str:
    """Which task an item is, where the bank says so."""
    if not item.source:
        return item.environment
    return f"{item.environment or item.id} of {bank.sources[item.source].location}"


def _under(
    calibrant: Calibrant, population: tuple[float, float], other: tuple[float, float]
) -> Calibrant:
    """The posterior of an agent, had another population been the prior."""
    ability, error = unshrunk(calibrant, population)
    prior = other[1] ** -2
    measured = 1 / error if error > 0 else 0.0
    precision = prior + measured
    return replace(
        calibrant,
        ability=((other[0] * prior + ability * measured) / precision,),
        sd=(precision**-0.5,),
    )
