"""No item is shown to more agents than was asked."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from selecting import view_of

from harness.bank import Item, ItemBank
from harness.errors import PlanError
from harness.grammar import parse_selector
from harness.select import (
    MaxInformation,
    Progressive,
    Selector,
    SympsonHetter,
    View,
    choose,
    gains_of,
    pick,
)
from harness.select.exposure import exposure_parameters, simulated


def make_bank(n: int, seed: int = 0) -> ItemBank:
    """Binary and graded items, some far better than others."""
    rng = np.random.default_rng(seed)
    items = []
    for k in range(n):
        a, b = float(rng.lognormal(0, 0.5)), float(rng.normal())
        if k % 4:
            items.append(Item(f"i{k}", "2pl", (a,), (-a * b,)))
        else:
            steps = (-a * b + 0.5, -a * b - 0.5)
            items.append(Item(f"i{k}", "grm", (a,), steps, categories="three"))
    labels = {"binary": ("no", "yes"), "three": ("a", "b", "c")}
    return ItemBank("many", tuple(items), labels)


BANK = make_bank(80)


def exposure(selector: Selector, length: int, agents: int = 4000) -> tuple[float, float]:
    """Largest share of simulated agents that see an item, and the mean length of their tests."""
    rng = np.random.default_rng(77)
    everything = np.ones((agents, len(BANK.items)), bool)
    taken = simulated(BANK.table, selector, length, everything, rng)
    return float(taken.mean(axis=0).max()), float(taken.sum(axis=1).mean())


@pytest.mark.parametrize(
    ("inner", "rate", "length"),
    [
        ("max-information", 0.25, 12),
        ("max-information", 0.5, 20),
        ("min-variance", 0.3, 8),
        ("randomesque(max-information, 3)", 0.3, 10),
        ("progressive(max-information, 10)", 0.2, 10),
    ],
)
def test_the_rate_is_kept_on_agents_that_the_fit_has_not_seen(
    inner: str, rate: float, length: int
) -> None:
    free, _ = exposure(parse_selector(inner), length)
    assert free > rate * 1.1
    held, mean_length = exposure(SympsonHetter(parse_selector(inner), rate, length), length)
    # the largest of eighty shares, each with a sampling error of up to 0.008
    assert held < rate + 0.025
    assert mean_length > length - 0.1


def test_a_rate_near_the_least_possible_is_kept_at_the_price_of_length() -> None:
    held, mean_length = exposure(SympsonHetter(MaxInformation(), 0.31, 24), 24)
    assert held < 0.335
    assert 20 < mean_length <= 24


def test_a_rate_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(PlanError, match=r"20 of 80 items.*0\.25"):
        SympsonHetter(MaxInformation(), 0.2, 20)(view_of(BANK, {}))


def test_a_generous_rate_changes_nothing() -> None:
    parameters = exposure_parameters(BANK.table, MaxInformation(), 1.0, 5)
    # what is shown to everyone keeps a small margin
    assert parameters.min() >= 0.95
    assert (parameters == 1).mean() > 0.9


def test_the_fit_is_the_same_every_time_and_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (exposure_parameters(BANK.table, MaxInformation(), 0.4, 5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    selector = SympsonHetter(MaxInformation(), 0.4, 5)
    view = view_of(BANK, {})
    row = choose(selector, view)
    monkeypatch.setattr("harness.select.exposure.exposure_parameters", None)
    assert choose(SympsonHetter(MaxInformation(), 0.4, 5), view) == row


def test_a_coin_is_tossed_once_for_an_agent_and_an_item() -> None:
    selector = SympsonHetter(MaxInformation(), 0.3, 6)
    view = view_of(BANK, {}).of(np.zeros(200, np.intp))
    agents = np.arange(200)
    early, late = (
        selector(replace(view, seeds=np.stack([agents, np.full(200, step)], axis=1))) > -np.inf
        for step in (1, 5)
    )
    np.testing.assert_array_equal(early, late)
    # agents differ, and the share of them that an item is open to is its parameter
    parameters = exposure_parameters(BANK.table, MaxInformation(), 0.3, 6)
    assert np.abs(early.mean(axis=0) - parameters).max() < 0.15


def chosen_by_many(view: View, selector: Selector, draws: int) -> NDArray[np.intp]:
    many = view.of(np.zeros(draws, np.intp))
    seeds = np.stack([np.arange(draws), np.ones(draws, int)], axis=1)
    many = replace(many, seeds=seeds)
    return pick(selector(many), many.available)[0]


def test_progressive_goes_from_chance_to_information() -> None:
    length, best = 10, 0.0
    shares = []
    for answered in (0, 5, 9, 10, 15):
        view = view_of(BANK, {row: row % 2 for row in range(answered)})
        rows = chosen_by_many(view, Progressive(MaxInformation(), length), 1500)
        plain = np.where(view.available, MaxInformation()(view), -np.inf)[0]
        best = plain.max()
        shares.append(float((plain[rows] == best).mean()))
        if answered == 0:
            # each of eighty is drawn as often as any other
            assert np.bincount(rows, minlength=80).max() < 1500 / 80 * 2.2
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[3] == shares[4] == 1.0


def test_progressive_counts_items_in_flight() -> None:
    view = view_of(BANK, {row: row % 2 for row in range(4)}, gone=tuple(range(4, 10)))
    pending = np.zeros_like(view.available)
    pending[0, 4:10] = True
    flying = replace(view, pending=pending)
    gains = Progressive(MaxInformation(), 10)(flying)
    # ten of ten are taken: nothing is left to chance
    expected = gains_of(MaxInformation(), flying)
    np.testing.assert_array_equal(gains[view.available], expected[view.available])
