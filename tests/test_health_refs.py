"""Fit statistics and reliability against R mirt's values, at mirt's item parameters and nodes."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from harness.bank import Item, ItemBank, compile_bank
from harness.estimate import estimate_abilities
from harness.health.evidence import gather
from harness.health.items.mean_squares import mean_squares
from harness.health.items.sum_score_fit import sum_score_fit
from harness.health.items.sum_scores import given_sum, sum_scores
from harness.health.structure.model_fit import limited_fit
from harness.health.structure.reliability import (
    alpha,
    analyse_reliability,
    empirical_reliability,
    information_of_test,
    marginal_reliability,
)
from harness.irt import Array
from harness.responses import Responses, from_matrix


def table(path: Path) -> list[dict[str, str]]:
    with path.open() if path.exists() else gzip.open(f"{path}.gz", "rt") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> Array:
    return np.array([float(row[name]) for row in rows])


@dataclass(frozen=True, eq=False)
class Case:
    """1000 agents, 50 items of the 2PL, mirt's nodes."""

    folder: Path
    slope: Array
    intercept: Array
    score: Array
    nodes: Array
    weights: Array

    def chance(self, ability: Array) -> Array:
        """``(n, Q)`` probability of success."""
        return np.asarray(expit(np.outer(self.slope, ability) + self.intercept[:, None]))

    @property
    def p(self) -> Array:
        above = self.chance(self.nodes)
        return np.stack([1 - above, above], axis=1)


@pytest.fixture(scope="module")
def case(shared_refs: Path) -> Case:
    items = table(shared_refs / "simulated_fits" / "a_2pl__2PL_items.csv")
    rows = table(shared_refs / "simulated" / "a_2pl_responses.csv")
    nodes = np.linspace(-6, 6, 61)
    weights = np.exp(-(nodes**2) / 2)
    return Case(
        shared_refs / "fit_statistics",
        column(items, "a1"),
        column(items, "d"),
        np.stack([column(rows, row["item"]) for row in items], axis=1),
        nodes,
        weights / weights.sum(),
    )


def test_s_x2_its_degrees_of_freedom_and_p_value(case: Case) -> None:
    total = case.score.sum(axis=1).astype(int)
    inside = np.arange(1, 50)
    share = given_sum(case.p, np.full(50, 2), case.weights)[:, inside]
    agents = np.bincount(total, minlength=51)[inside]
    for item, row in enumerate(table(case.folder / "itemfit_S_X2.csv")):
        right = np.bincount(total, case.score[:, item], 51)[inside]
        observed = np.stack([agents - right, right], axis=1)
        found = sum_score_fit(observed, share[item] * agents[:, None], 2)
        assert found.statistic == pytest.approx(float(row["S_X2"]), rel=1e-9)
        assert found.df == int(row["df.S_X2"])
        assert found.p == pytest.approx(float(row["p.S_X2"]), rel=1e-8)


@pytest.mark.parametrize("method", ["EAP", "ML"])
def test_infit_and_outfit_with_their_z(case: Case, shared_refs: Path, method: str) -> None:
    if method == "EAP":
        ability = column(table(shared_refs / "simulated_fits" / "a_2pl__2PL_eap.csv"), "F1")
    else:
        bank, responses = bank_and_responses(case)
        ability = estimate_abilities(bank, responses, "ml", uncertainty=False).ability[:, 0]
    p = case.chance(ability).T
    found = mean_squares(case.score - p, p * (1 - p), p * (1 - p) ** 4 + (1 - p) * p**4)
    rows = table(case.folder / f"itemfit_infit_outfit_{method}.csv")
    # mirt stops its search for a maximum at about 1e-5
    bound = 1e-9 if method == "EAP" else 1e-4
    for name, values in (
        ("infit", found.infit),
        ("outfit", found.outfit),
        ("z.infit", found.z_infit),
        ("z.outfit", found.z_outfit),
    ):
        np.testing.assert_allclose(values, column(rows, name), rtol=bound, atol=bound)


def bank_and_responses(case: Case) -> tuple[ItemBank, Responses]:
    names = [f"i{item}" for item in range(50)]
    items = tuple(
        Item(name, "2pl", (float(a),), (float(d),))
        for name, a, d in zip(names, case.slope, case.intercept, strict=True)
    )
    return ItemBank("a_2pl", items), from_matrix(case.score, items=names)


def test_m2_with_rmsea_and_srmsr(case: Case) -> None:
    p = case.chance(case.nodes)
    slope = np.stack([case.nodes * p * (1 - p), p * (1 - p)], axis=1)
    found = limited_fit(case.score, p, p, slope, case.weights)
    (row,) = table(case.folder / "M2.csv")
    assert found.m2 == pytest.approx(float(row["M2"]), rel=1e-8)
    assert found.df == int(row["df"])
    assert found.p == pytest.approx(float(row["p"]), rel=1e-8)
    assert found.rmsea == float(row["RMSEA"])
    assert found.rmsea_low == float(row["RMSEA_5"])
    assert found.rmsea_high == pytest.approx(float(row["RMSEA_95"]), rel=1e-5)
    assert found.srmsr == pytest.approx(float(row["SRMSR"]), rel=1e-8)


def test_reliabilities(case: Case, shared_refs: Path) -> None:
    known = {row["stat"]: float(row["value"]) for row in table(case.folder / "summary.csv")}
    bank, responses = bank_and_responses(case)
    information = compile_bank(bank, case.nodes[:, None]).information.sum(axis=0)
    eap = table(shared_refs / "simulated_fits" / "a_2pl__2PL_eap.csv")
    assert marginal_reliability(information, case.weights, 1.0) == pytest.approx(
        known["marginal_rxx"], rel=1e-6
    )
    assert empirical_reliability(column(eap, "F1"), column(eap, "SE_F1")) == pytest.approx(
        known["empirical_rxx_EAP"], rel=1e-9
    )
    assert alpha(case.score) == pytest.approx(known["alpha"], rel=1e-9)
    # the whole way, on the program's own nodes
    found = analyse_reliability(gather(responses, bank))
    assert found.marginal == pytest.approx(known["marginal_rxx"], rel=1e-4)
    assert found.empirical.value == pytest.approx(known["empirical_rxx_EAP"], rel=1e-4)
    assert found.alpha.value == pytest.approx(known["alpha"], rel=1e-9)


def test_information_and_expected_score(case: Case) -> None:
    rows = table(case.folder / "testinfo.csv")
    bank, responses = bank_and_responses(case)
    nodes = column(rows, "theta")
    compiled = compile_bank(bank, nodes[:, None])
    np.testing.assert_allclose(compiled.information.sum(axis=0), column(rows, "info"), rtol=1e-9)
    np.testing.assert_allclose(
        compiled.expected_score.sum(axis=0), column(rows, "score"), rtol=1e-9
    )
    evidence = gather(responses, bank)
    found = np.interp(nodes, evidence.nodes, information_of_test(evidence))
    np.testing.assert_allclose(found, column(rows, "info"), rtol=3e-3)


def test_abilities_of_sum_scores(case: Case) -> None:
    """mirt's table of expected abilities and numbers of agents by sum score."""
    joint = sum_scores(case.p, np.full(50, 2)) * case.weights
    chance = joint.sum(axis=1)
    ability = joint @ case.nodes / chance
    sd = np.sqrt(joint @ case.nodes**2 / chance - ability**2)
    rows = table(case.folder / "EAPsum_table.csv")
    # at the ends of the score the nodes on [-6, 6] cut something off, and mirt's are others
    np.testing.assert_allclose(ability, column(rows, "F1"), atol=2e-5)
    np.testing.assert_allclose(sd, column(rows, "SE_F1"), atol=2e-5)
    np.testing.assert_allclose(1000 * chance, column(rows, "expected"), rtol=1e-4)
