"""Calibration against R mirt 1.46.1, on its nodes and with its priors.

The bounds on parameters and log-likelihood are those within which two correct programs agree.
"""

import csv
import gzip
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.bank_files import load_bank
from harness.calibrate import FLAT, Calibration, Normal, Priors, calibrate
from harness.irt import Array, Model
from harness.responses import Responses, from_matrix, read_responses

FLAT_PRIORS = Priors(FLAT, FLAT, gap=0.0)
MAP = Priors(Normal.lognormal_density(0.0, 0.5), Normal(0.0, 3.0))
GUESSING = Priors(FLAT, FLAT, logit_lower=Normal(-1.2, 0.5))


@dataclass(frozen=True)
class Reference:
    log_likelihood: float
    items: dict[str, dict[str, float]]
    ability: Array


def reference(folder: Path, data: str, fitted: str) -> Reference:
    name = f"{data}__{fitted}"
    with (folder / f"{name}_items.csv").open() as file:
        items = {
            row.pop("item"): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)
        }
    plain = folder / f"{name}_eap.csv"
    with plain.open() if plain.exists() else gzip.open(f"{plain}.gz", "rt") as file:
        ability = np.array([float(row[1]) for row in list(csv.reader(file))[1:]])
    # a fit on more nodes is listed under the plain name of its model
    model = fitted.partition("_")[0]
    # real_fits has no header, and two more columns before the log-likelihood
    column = 4 if folder.name == "real_fits" else 2
    with (folder / "_fits.csv").open() as file:
        (row,) = (row for row in csv.reader(file) if row[:2] == [data, model])
    return Reference(float(row[column]), items, ability)


def simulated(refs: Path, data: str) -> Responses:
    with gzip.open(refs / "simulated" / f"{data}_responses.csv.gz", "rt") as file:
        names, *rows = csv.reader(file)
    return from_matrix(np.array([[float(x or "nan") for x in row] for row in rows]), items=names)


def differences(fit: Calibration, expected: Reference) -> tuple[float, float, float]:
    """Largest difference of slopes and of intercepts, and that of the log-likelihood."""
    slope = intercept = 0.0
    for item in fit.bank.items:
        row = expected.items[item.id]
        d = np.array([row["d"]] if "d" in row else [row[f"d{k}"] for k in (1, 2, 3)])
        if item.model == "gpcm":
            d = np.diff(d, prepend=0.0)
        slope = max(slope, abs(item.slopes[0] - row["a1"]))
        intercept = max(intercept, float(np.abs(np.array(item.intercepts) - d).max()))
        if item.model == "3pl":
            assert item.lower == pytest.approx(row["g"], abs=5e-4)
    return slope, intercept, fit.log_likelihood - expected.log_likelihood


CASES: list[tuple[str, Model, str, Priors]] = [
    ("a_2pl", "2pl", "2PL", FLAT_PRIORS),
    ("b_2pl", "2pl", "2PLmap", MAP),
    ("f_2pl_miss", "2pl", "2PLmap", MAP),
    ("b1_1pl", "2pl", "2PLmap", MAP),
    ("c_grm", "grm", "GRM", FLAT_PRIORS),
    ("d_gpcm", "gpcm", "GPCM", FLAT_PRIORS),
    ("h_3pl", "3pl", "3PLmapLogitNorm", GUESSING),
]


@pytest.mark.parametrize(("data", "model", "fitted", "priors"), CASES, ids=[c[0] for c in CASES])
def test_simulated_data(
    shared_refs: Path, data: str, model: Model, fitted: str, priors: Priors
) -> None:
    expected = reference(shared_refs / "simulated_fits", data, fitted)
    logged = simulated(shared_refs, data).subset(items=expected.items)
    nodes = np.linspace(-6, 6, 61)
    fit = calibrate(logged, model, name=data, priors=priors, nodes=nodes, tolerance=1e-5)
    assert fit.converged
    slope, intercept, log_likelihood = differences(fit, expected)
    assert slope < 5e-4
    assert intercept < 2e-3
    assert abs(log_likelihood) < 0.01
    # mirt's tolerance of 1e-5 on the sets with few agents leaves abilities off by 1.3e-3
    np.testing.assert_allclose(fit.ability[:, 0], expected.ability, atol=2e-3)


@pytest.mark.parametrize("data", ["swebench_verified", "terminal_bench_2_majority"])
def test_real_data(shared_refs: Path, shared_data: Path, data: str) -> None:
    expected = reference(shared_refs / "real_fits", data, "2PLmap")
    logged = read_responses(shared_data / data / "responses.csv.gz").subset(items=expected.items)
    nodes = np.linspace(-8, 8, 161)
    fit = calibrate(logged, "2pl", name=data, priors=MAP, nodes=nodes, tolerance=1e-5)
    slope, intercept, log_likelihood = differences(fit, expected)
    assert slope < 5e-4
    assert intercept < 2e-3
    assert abs(log_likelihood) < 0.01


RASCH = {
    "b1_1pl": ("Rasch_q241", 241, 6.0),
    "swebench_verified": ("Rasch", 161, 8.0),
    "terminal_bench_2_majority": ("Rasch", 161, 8.0),
}


@pytest.mark.parametrize(("data", "rasch"), RASCH.items(), ids=RASCH)
def test_one_slope(
    shared_refs: Path, shared_data: Path, data: str, rasch: tuple[str, int, float]
) -> None:
    """mirt frees the variance of ability and fixes the slope at 1; ours is the reverse.

    So mirt's nodes are ours times the slope. It stops a little short along the variance, where ours
    has the higher likelihood.
    """
    fitted, count, reach = rasch
    real = data != "b1_1pl"
    expected = reference(shared_refs / ("real_fits" if real else "simulated_fits"), data, fitted)
    logged = (
        read_responses(shared_data / data / "responses.csv.gz")
        if real
        else simulated(shared_refs, data)
    ).subset(items=expected.items)
    slope = np.sqrt(latent_variance(shared_refs, data))
    nodes = np.linspace(-reach, reach, count) / slope
    fit = calibrate(logged, "1pl", name=data, priors=FLAT_PRIORS, nodes=nodes, tolerance=1e-6)
    assert fit.converged
    assert fit.bank.items[0].slopes[0] == pytest.approx(slope, rel=6e-3)
    found = np.array([item.intercepts[0] for item in fit.bank.items])
    theirs = np.array([expected.items[item.id]["d"] for item in fit.bank.items])
    np.testing.assert_allclose(found, theirs, atol=2e-3)
    assert -1e-3 < fit.log_likelihood - expected.log_likelihood < 0.01


def latent_variance(refs: Path, data: str) -> float:
    folder = refs / ("simulated_fits" if data == "b1_1pl" else "real_fits")
    with (folder / "_fits.csv").open() as file:
        (row,) = (row for row in csv.reader(file) if row[:2] == [data, "Rasch"])
    return float(row[-1].rpartition(";")[2])


def test_two_abilities(shared_refs: Path) -> None:
    """A confirmatory pattern with a free correlation, which mirt puts at .53838544."""
    expected = reference(shared_refs / "simulated_fits", "g_mirt2", "M2PLcfa")
    axis = np.linspace(-6, 6, 31)
    nodes = np.stack([x.ravel() for x in np.meshgrid(axis, axis, indexing="ij")], axis=1)
    loads = {i: [k for k in (0, 1) if row[f"a{k + 1}"]] for i, row in expected.items.items()}
    fit = calibrate(
        simulated(shared_refs, "g_mirt2"),
        "2pl",
        name="g",
        priors=replace(FLAT_PRIORS, loading=FLAT),
        nodes=nodes,
        abilities=loads,
        tolerance=1e-5,
    )
    assert fit.converged
    for item in fit.bank.items:
        row = expected.items[item.id]
        np.testing.assert_allclose(item.slopes, [row["a1"], row["a2"]], atol=5e-4)
        np.testing.assert_allclose(item.intercepts[0], row["d"], atol=2e-3)
    assert fit.bank.correlation[0][1] == pytest.approx(0.53838544, abs=1e-4)
    assert fit.log_likelihood == pytest.approx(expected.log_likelihood, abs=0.01)


def test_standard_errors(shared_refs: Path) -> None:
    """Those of mirt by Oakes's method; ours follow Louis, from polynomials of the third degree."""
    with (shared_refs / "fit_statistics" / "items_se_oakes.csv").open() as file:
        theirs = {row["item"]: row for row in csv.DictReader(file)}
    fit = calibrate(
        simulated(shared_refs, "a_2pl"), "2pl", name="a", priors=FLAT_PRIORS, tolerance=1e-6
    )
    for item, (log_a, d) in zip(fit.bank.items, fit.standard_errors, strict=True):
        assert item.slopes[0] * log_a == pytest.approx(float(theirs[item.id]["se_a1"]), rel=1e-3)
        assert d == pytest.approx(float(theirs[item.id]["se_d"]), rel=1e-3)


def test_the_shipped_bank_is_what_its_data_give(shared_data: Path) -> None:
    shipped = load_bank("swebench-verified")
    logged = read_responses(shared_data / "swebench_verified" / "responses.csv.gz")
    assert shipped.provenance["source_sha256"] == logged.sha256
    again = calibrate(logged, "2pl", name=shipped.name).bank
    # to rounding: another machine's linear algebra may differ in the last digits
    for old, new in zip(shipped.items, again.items, strict=True):
        assert old.id == new.id
        np.testing.assert_allclose(new.slopes, old.slopes, rtol=1e-3)
        np.testing.assert_allclose(new.intercepts, old.intercepts, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            np.array(new.covariance), np.array(old.covariance), rtol=1e-2, atol=1e-3
        )
