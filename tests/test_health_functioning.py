"""Differential functioning: reference values, a second implementation, planted and clean items."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from harness.bank import Item, ItemBank
from harness.health.evidence import About, Evidence, gather
from harness.health.structure.functioning import (
    FEWEST,
    Functioning,
    analyse_functioning,
    size_of,
)
from harness.health.structure.likelihood_ratio import likelihood_ratio_dif
from harness.irt import Array
from harness.report.health.functioning import functioning_section, short
from harness.report.sections import Caution, Plot
from harness.responses import from_matrix

FAMILIES = ("A", "B", "C")


def world(
    seed: int,
    agents: int = 60,
    items: int = 60,
    *,
    shift: float = 0.0,
    planted: Sequence[int] = (),
    slope: float = 1.0,
    families: Sequence[str] = FAMILIES,
    missing: float = 0.0,
) -> Evidence:
    """The first family finds the planted items easier, in logits, and their slope times as steep;
    the bank is the true one."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0.7, 0.35, items))
    b = rng.normal(0.2, 1.4, items)
    b[list(planted)] = rng.uniform(-0.5, 0.7, len(planted))
    ability = rng.standard_normal(agents)
    family = np.array([families[i % len(families)] for i in range(agents)])
    z = a * (ability[:, None] - b)
    first = np.flatnonzero(family == families[0])
    those = np.ix_(first, np.array(planted, int))
    z[those] = z[those] * slope + shift
    solved = (rng.random(z.shape) < expit(z)).astype(float)
    solved[rng.random(z.shape) < missing] = np.nan
    bank = ItemBank(
        "true", tuple(Item(f"item{j}", "2pl", (a[j],), (-a[j] * b[j],)) for j in range(items))
    )
    responses = from_matrix(solved)
    about = {f"agent{i}": {"family": name} for i, name in enumerate(family) if name}
    return gather(responses, bank, About(about, {}))


def flagged(found: Functioning) -> set[str]:
    return {flag.names[0] for flag in found.flags}


def test_the_likelihood_ratio_is_that_of_mirt(shared_refs: Path) -> None:
    folder = shared_refs / "fit_statistics"
    with (folder / "dif_data.csv").open() as file:
        names, *rows = csv.reader(file)
    data = from_matrix(np.array([[float(x) for x in row[1:]] for row in rows]), items=names[1:])
    found = likelihood_ratio_dif(data, [row[0] for row in rows], names[1:7])
    with (folder / "DIF_LRT_add_items1to6.csv").open() as file:
        expected = list(csv.DictReader(file))
    for one, row in zip(found, expected, strict=True):
        assert one.statistic == pytest.approx(float(row["X2"]), abs=1e-3)
        assert one.df == int(row["df"])
        assert one.p == pytest.approx(float(row["p"]), abs=1e-3)


def test_shift_and_interval_are_those_of_a_general_optimiser() -> None:
    """One item by scipy: the same penalised likelihood, maximised another way."""
    evidence = world(3, shift=2.0, planted=(0,))
    (one,) = (g for g in analyse_functioning(evidence).groups if g.group == "A")
    item = 5
    x = np.array(evidence.posterior_without(item) @ evidence.expected[item])
    x = np.log(x / (1 - x))
    y = evidence.score[:, item]
    g = np.array(evidence.groups["family"]) == "A"
    sds = np.array([2.0, 0.5, 2.5])

    def loss(at: Array) -> float:
        z = x + at[0] + at[1] * x + at[2] * g
        return float(np.logaddexp(0, z).sum() - y @ z + 0.5 * ((at / sds) ** 2).sum())

    best = minimize(loss, np.zeros(3), tol=1e-10)
    # items that differ were taken out of the ability of the group
    assert one.shift[item] == pytest.approx(best.x[2], abs=0.15)
    design = np.stack([np.ones_like(x), x, g * 1.0], axis=1)
    p = expit(x + design @ best.x)
    curvature = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(1 / sds**2)
    half = 1.645 * np.sqrt(np.linalg.inv(curvature)[2, 2])
    assert one.high[item] - one.shift[item] == pytest.approx(half, rel=0.1)


def test_planted_items_are_found_and_clean_ones_are_not() -> None:
    planted = range(6)
    hits, false = 0, 0
    for seed in range(3):
        found = flagged(analyse_functioning(world(seed, shift=4.5, planted=planted)))
        hits += len(found & {f"item{j}" for j in planted})
        false += len(found - {f"item{j}" for j in planted})
    assert hits >= 0.9 * 18
    assert false <= 0.02 * 3 * 54


def test_a_flag_names_the_group_the_direction_and_an_interval() -> None:
    found = analyse_functioning(world(0, shift=-5.0, planted=(2,)))
    (flag,) = (f for f in found.flags if f.names == ("item2",))
    assert "'A'" in flag.evidence
    assert "harder for them" in flag.evidence
    assert flag.low <= flag.estimate <= flag.high < 0
    assert flag.q <= 0.05


def test_clean_items_are_hardly_ever_flagged() -> None:
    shares = [len(flagged(analyse_functioning(world(100 + seed)))) / 60 for seed in range(5)]
    assert float(np.mean(shares)) <= 0.01


def test_items_that_separate_a_group_less_are_seen() -> None:
    """Flat for the group: no shift at its middle, but a slope of nought."""
    evidence = world(1, agents=150, slope=0.0, planted=(0, 1), shift=0.0)
    found = analyse_functioning(evidence)
    (one,) = (g for g in found.groups if g.group == "A")
    assert {"item0", "item1"} <= flagged(found)
    assert (one.steeper[:2] < -0.5).all()


def test_differences_on_all_items_are_the_measure_of_each() -> None:
    """Every item differs at random for the group: none stands out, and the page says why."""
    rng = np.random.default_rng(0)
    items, agents = 80, 90
    z = 2 * (rng.standard_normal((agents, 1)) - rng.normal(0, 1, items))
    z[::3] += rng.normal(0, 2, items)
    data = from_matrix((rng.random(z.shape) < expit(z)).astype(float))
    about = {f"agent{i}": {"family": "A" if i % 3 == 0 else "B"} for i in range(agents)}
    found = analyse_functioning(gather(data, None, About(about, {})))
    (one,) = found.groups
    assert one.group == "A"
    assert one.beyond
    assert one.spread > 1.3
    assert any("strengths and weaknesses of their own" in text for text in found.cautions)
    assert len(found.flags) <= 4


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 14), st.integers(2, 6), st.floats(0, 0.4))
def test_nothing_breaks_on_few_agents(seed: int, agents: int, items: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2, (agents, items)).astype(float)
    data[rng.random(data.shape) < missing] = np.nan
    data[:2] = 1.0  # at least two agents with answers enough
    bank = ItemBank("b", tuple(Item(f"item{j}", "2pl", (1.0,), (0.0,)) for j in range(items)))
    about = {f"agent{i}": {"family": "AB"[i % 2]} for i in range(agents)}
    evidence = gather(from_matrix(data, n_categories=2), bank, About(about, {}))
    found = analyse_functioning(evidence)
    assert all(min(g.agents, g.others) >= FEWEST for g in found.groups)
    section = functioning_section(found, evidence)
    assert found.groups or any(isinstance(part, Caution) for part in section.parts)


def test_two_groups_that_are_everybody_are_compared_once() -> None:
    found = analyse_functioning(world(0, 20, 20, families=("A", "B")))
    assert [(g.agents, g.others) for g in found.groups] == [(10, 10)]


def test_several_categories_and_missing_cells() -> None:
    """An ordinal item that is two categories easier for a group is found by its mean score."""
    rng = np.random.default_rng(2)
    z = 1.5 * (rng.standard_normal((60, 1)) - np.zeros(20))
    z[::2, 0] += 3.0
    cuts = np.array([-1.5, 0.0, 1.5])
    noise = rng.logistic(size=z.shape)
    data = ((z + noise)[..., None] > cuts).sum(axis=2).astype(float)
    data[rng.random(data.shape) < 0.1] = np.nan
    bank = ItemBank(
        "true",
        tuple(Item(f"item{j}", "grm", (1.5,), tuple(-cuts), categories="four") for j in range(20)),
        {"four": ("0", "1", "2", "3")},
    )
    about = {f"agent{i}": {"family": "AB"[i % 2]} for i in range(60)}
    found = analyse_functioning(gather(from_matrix(data), bank, About(about, {})))
    assert flagged(found) == {"item0"}
    assert any("several categories" in text for text in found.cautions)


def test_the_page_draws_both_widths_and_names_no_group_wrongly() -> None:
    evidence = world(0, shift=4.5, planted=(0, 1, 2))
    found = analyse_functioning(evidence)
    section = functioning_section(found, evidence)
    assert section.flags == found.flags
    for plot in (part for part in section.parts if isinstance(part, Plot)):
        assert plot.wide.startswith("<svg")
        assert plot.wide != plot.narrow
    assert short("x" * 300, 20).count("x") == 19
    assert size_of(0.05) == "moderate"
