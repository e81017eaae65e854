"""Banks from and to mirt and py-irt: the same curves, the same likelihood, clear refusals."""

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logsumexp, softmax

from harness.ability import Prior
from harness.bank import Calibrant, Item, ItemBank, compile_bank, parameter_names
from harness.bank_files import load_bank, save_bank
from harness.cli.exchange import export, import_, parse_population
from harness.errors import BankError, PlanError
from harness.exchange import Format, Population, export_bank, import_bank
from harness.irt import Array, Model

SLOPES = st.floats(0.2, 4)
STEPS = st.lists(st.floats(-4, 4), min_size=1, max_size=4)
LABELS = {"binary": ("fail", "pass")} | {
    f"ordinal-{k}": tuple(map(str, range(k))) for k in (3, 4, 5)
}
POPULATIONS = [
    Population((0.0,), (1.0,)),
    Population((0.5,), (1.4,)),
    Population((0.0, -1.0), (1.0, 2.0)),
    Population((0.0, 0.0), (1.0, 1.0), ((1.0, 0.5), (0.5, 1.0))),
    Population((0.0, 0.0, 1.0), (1.0, 0.8, 1.2)),
]
CALIBRANTS = (Calibrant("x", (0.3,), (0.2,)), Calibrant("y", (-1.1,), (0.4,)))


def bank_of(
    items: list[Item], population: Population = POPULATIONS[0], calibrants: Any = ()
) -> ItemBank:
    named = (
        replace(
            item,
            id=f"item, {n}",
            categories="binary"
            if len(item.intercepts) == 1
            else f"ordinal-{len(item.intercepts) + 1}",
        )
        for n, item in enumerate(items)
    )
    mean, sd, correlation = population.mean, population.sd, population.correlation
    return ItemBank(
        "b", tuple(named), LABELS, mean, sd, correlation=correlation, calibrants=calibrants
    )


@st.composite
def items_of(draw: st.DrawFn, abilities: int, models: tuple[Model, ...]) -> Item:
    model = draw(st.sampled_from(models))
    signed = SLOPES if abilities == 1 else st.floats(-3, 3).filter(lambda a: abs(a) > 0.01)
    slopes = tuple(draw(st.lists(signed, min_size=abilities, max_size=abilities)))
    steps = draw(STEPS)
    lower = draw(st.floats(0.01, 0.4)) if model == "3pl" else 0.0
    upper = draw(st.floats(0.6, 0.99)) if model == "4pl" else 1.0
    if model == "4pl" and draw(st.booleans()):
        lower = draw(st.floats(0.01, 0.4))
    if model == "grm":
        steps = sorted({round(d, 3) for d in steps}, reverse=True)
    elif model not in ("gpcm", "pcm"):
        steps = steps[:1]
    return Item("", model, slopes, tuple(steps), lower, upper)


@st.composite
def mirt_banks(draw: st.DrawFn) -> ItemBank:
    population = draw(st.sampled_from(POPULATIONS))
    models: tuple[Model, ...] = ("1pl", "2pl", "3pl", "4pl", "grm", "gpcm", "pcm")
    one = items_of(len(population.mean), models)
    return bank_of(draw(st.lists(one, min_size=1, max_size=5)), population)


@st.composite
def py_irt_banks(draw: st.DrawFn) -> ItemBank:
    population = draw(st.sampled_from(POPULATIONS))
    abilities = len(population.mean)
    kinds: list[tuple[Model, ...]] = [("1pl", "2pl")]
    if abilities == 1:
        kinds += [("2pl", "3pl"), ("2pl", "4pl")]
    one = items_of(abilities, draw(st.sampled_from(kinds)))
    items = [
        replace(item, lower=0.0) if item.model == "4pl" else item
        for item in draw(st.lists(one, min_size=1, max_size=5))
    ]
    return bank_of(items, population, CALIBRANTS if abilities == 1 else ())


def there_and_back(folder: Path, bank: ItemBank, to: Format, **options: Any) -> ItemBank:
    path = folder / "parameters"
    path.write_text(export_bank(bank, to), encoding="utf-8")
    return import_bank(path, name="back", **options)


def nodes(bank: ItemBank) -> Array:
    return np.random.default_rng(0).normal(0, 2, (25, len(bank.mean)))


def curves(bank: ItemBank, at: Array) -> Array:
    return compile_bank(bank, at, uncertainty=False).p


def assert_same(back: ItemBank, bank: ItemBank) -> None:
    at = nodes(bank)
    assert [item.id for item in back.items] == [item.id for item in bank.items]
    np.testing.assert_allclose(curves(back, at), curves(bank, at), atol=1e-9)
    assert back.mean == bank.mean
    np.testing.assert_allclose(back.sd, bank.sd)
    np.testing.assert_allclose(
        back.correlation or np.eye(len(bank.mean)), bank.correlation or np.eye(len(bank.mean))
    )
    assert back.calibrants == bank.calibrants


@given(mirt_banks())
def test_mirt_there_and_back(tmp_path_factory: pytest.TempPathFactory, bank: ItemBank) -> None:
    assert_same(there_and_back(tmp_path_factory.mktemp("mirt"), bank, "mirt"), bank)


@given(py_irt_banks())
def test_py_irt_there_and_back(tmp_path_factory: pytest.TempPathFactory, bank: ItemBank) -> None:
    assert_same(there_and_back(tmp_path_factory.mktemp("py-irt"), bank, "py-irt"), bank)


@given(mirt_banks())
def test_the_table_means_what_mirt_means_by_it(bank: ItemBank) -> None:
    at = nodes(bank)
    ours = curves(bank, at)
    rows = list(csv.DictReader(export_bank(bank, "mirt").splitlines()))
    for position, row in enumerate(rows[: len(bank.items)]):
        number = {name: float(text) for name, text in row.items() if name != "item" and text}
        z = at @ [number[f"a{j + 1}"] for j in range(at.shape[1])]
        if "d" in number:
            top = number["g"] + (number["u"] - number["g"]) * expit(z + number["d"])
            expected = np.stack([1 - top, top])
        elif "ak0" in number:
            k = sum(name.startswith("ak") for name in number)
            expected = softmax([number[f"ak{j}"] * z + number[f"d{j}"] for j in range(k)], axis=0)
        else:
            k = sum(name.startswith("d") for name in number)
            reach = [expit(z + number[f"d{j + 1}"]) for j in range(k)]
            expected = -np.diff([np.ones_like(z), *reach, np.zeros_like(z)], axis=0)
        np.testing.assert_allclose(ours[position, : len(expected)], expected, atol=1e-12)


@given(py_irt_banks())
def test_the_file_means_what_py_irt_means_by_it(bank: ItemBank) -> None:
    content = json.loads(export_bank(bank, "py-irt"))
    at = nodes(bank)
    n = len(bank.items)
    diff = np.array(content["diff"]).reshape(n, -1)
    disc = np.array(content.get("disc", np.ones(n))).reshape(n, -1)
    p = expit((disc * (at[:, None] - diff)).sum(axis=2)).T
    bound = np.array(content.get("lambdas", np.zeros(n)))[:, None]
    if content["irt_model"] == "3pl":
        p = bound + (1 - bound) * p
    elif content["irt_model"] == "4pl":
        p = bound * p
    np.testing.assert_allclose(curves(bank, at)[:, 1], p, atol=1e-12)


ERRORS = {
    "binary": ("item,a1,d,g,u,SE_a1,SE_d,SE_g,SE_u", [0.8, 1.2, 0.2, 0.9, 0.1, 0.2, 0.03, 0.04]),
    "guessing": ("item,a1,d,g,u,SE_a1,SE_d,SE_g", [0.8, 1.2, 0.2, 1, 0.1, 0.2, 0.03]),
    "graded": ("item,a1,d1,d2,SE_a1,SE_d1,SE_d2", [0.8, 1.2, -0.5, 0.1, 0.2, 0.3]),
    "two abilities": ("item,a1,a2,d,SE_a1,SE_a2,SE_d", [0.8, -0.4, 1.2, 0.1, 0.2, 0.3]),
    "partial credit": (
        "item,a1,ak0,ak1,ak2,d0,d1,d2,SE_a1,SE_d1,SE_d2",
        [0.8, 0, 1, 2, 0, 1.2, -0.5, 0.1, 0.2, 0.3],
    ),
}


def unconstrained(item: Item) -> Array:
    slopes = np.log(item.slopes) if len(item.slopes) == 1 else np.array(item.slopes)
    bounds = np.array([item.lower, item.upper])
    with np.errstate(divide="ignore"):
        logits = np.log(bounds / (1 - bounds))
    return np.array([*slopes, *item.intercepts, *logits])[: len(parameter_names(item))]


@pytest.mark.parametrize(("header", "values"), ERRORS.values(), ids=ERRORS)
def test_standard_errors_by_the_delta_method(
    tmp_path: Path, header: str, values: list[float]
) -> None:
    """The derivatives of the delta method, taken numerically through the import itself."""
    names = header.split(",")[1:]

    def imported(numbers: list[float]) -> Item:
        path = tmp_path / "coef.csv"
        path.write_text(f"{header}\ni,{','.join(map(repr, numbers))}\n")
        return import_bank(path, name="b").items[0]

    expected = np.zeros((len(unconstrained(imported(values))),) * 2)
    for name, error in zip(names, values, strict=True):
        if name.startswith("SE_"):
            place = names.index(name.removeprefix("SE_"))
            moved = []
            for step in (1e-6, -1e-6):
                numbers = list(values)
                numbers[place] += step
                moved.append(unconstrained(imported(numbers)))
            slope = (moved[0] - moved[1]) / 2e-6
            expected += error**2 * np.outer(slope, slope)
    np.testing.assert_allclose(
        np.array(imported(values).covariance), expected, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("header", "values"), ERRORS.values(), ids=ERRORS)
def test_standard_errors_there_and_back(tmp_path: Path, header: str, values: list[float]) -> None:
    path = tmp_path / "coef.csv"
    path.write_text(f"{header}\ni,{','.join(map(repr, values))}\n")
    (row,) = csv.DictReader(export_bank(import_bank(path, name="b"), "mirt").splitlines())
    for name, value in zip(header.split(",")[1:], values, strict=True):
        assert float(row[name]) == pytest.approx(value)


def test_without_standard_errors_parameters_count_as_known(tmp_path: Path) -> None:
    path = tmp_path / "coef.csv"
    path.write_text("item,a1,d,SE_a1,SE_d\ni,1,0,,\nj,1,0.5,NA,0.2\n")
    known, fixed = import_bank(path, name="b").items
    assert known.covariance is None
    np.testing.assert_allclose(np.array(fixed.covariance), np.diag([0, 0.04]))


FITS = [
    ("a_2pl", "2PL", "2pl"),
    ("a_2pl", "Rasch", "1pl"),
    ("b_2pl", "2PLmap", "2pl"),
    ("c_grm", "GRM", "grm"),
    ("d_gpcm", "GPCM", "gpcm"),
    ("g_mirt2", "M2PLcfa", "2pl"),
    ("h_3pl", "3PLmapLogitNorm", "3pl"),
]


@pytest.mark.parametrize(("data", "model", "kind"), FITS)
def test_the_likelihood_of_mirt(shared_refs: Path, data: str, model: str, kind: str) -> None:
    fits = shared_refs / "simulated_fits"
    with (fits / "_fits.csv").open() as file:
        (fit,) = (
            row for row in csv.DictReader(file) if (row["dataset"], row["model"]) == (data, model)
        )
    group = [float(x) for x in fit["group_means_cov"].split(";")]
    population = (
        Population((group[0],), (group[1] ** 0.5,))
        if len(group) == 2
        else Population((0.0, 0.0), (1.0, 1.0), ((1.0, group[3]), (group[3], 1.0)))
    )
    bank = import_bank(fits / f"{data}__{model}_items.csv", name=data, population=population)
    assert {item.model for item in bank.items} == {kind}
    axis = np.linspace(-6, 6, 61 if len(bank.mean) == 1 else 31)
    grid = np.stack(np.meshgrid(*[axis] * len(bank.mean)), axis=-1).reshape(-1, len(bank.mean))
    log_p = compile_bank(bank, grid).log_p
    with gzip.open(shared_refs / "simulated" / f"{data}_responses.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    weights = Prior(bank.mean, bank.sd, bank.correlation).log_weights(grid)
    total = 0.0
    for row in rows:
        seen = [(n, int(x)) for n, item in enumerate(bank.items) if (x := row[item.id])]
        items, categories = zip(*seen, strict=True)
        total += logsumexp(log_p[items, categories].sum(axis=0) + weights)
    assert total == pytest.approx(float(fit["logLik"]), abs=0.01)


def test_standard_errors_of_mirt(shared_refs: Path) -> None:
    path = shared_refs / "fit_statistics" / "items_se_oakes.csv"
    bank = import_bank(path, name="b")
    with path.open() as file:
        for item, row in zip(bank.items, csv.DictReader(file), strict=True):
            assert item.covariance is not None
            (log_a, _), (_, d) = item.covariance
            assert item.slopes[0] * log_a**0.5 == pytest.approx(float(row["se_a1"]))
            assert d**0.5 == pytest.approx(float(row["se_d"]))


def test_a_table_as_r_writes_it(tmp_path: Path) -> None:
    """Items of several kinds: names of rows without a title, NA where a column is not theirs."""
    path = tmp_path / "coef.csv"
    path.write_text(
        '"","a1","d","g","u","ak0","ak1","ak2","d0","d1","d2"\n'
        '"two",1.5,-1,0,1,NA,NA,NA,NA,NA,NA\n'
        '"slip",1.2,0.5,0,0.9,NA,NA,NA,NA,NA,NA\n'
        '"steps",0.8,NA,NA,NA,0,1,2,0,0.5,-0.5\n'
        '"graded",0.9,NA,NA,NA,NA,NA,NA,NA,1,-1\n'
    )
    bank = import_bank(path, name="mixed", labels=[("bad", "fair", "good")])
    assert [item.model for item in bank.items] == ["2pl", "4pl", "gpcm", "grm"]
    assert bank["steps"].intercepts == (0.5, -1.0)
    assert bank.labels("two") == ("fail", "pass")
    assert bank.labels("graded") == ("bad", "fair", "good")
    assert bank.provenance["ability_distribution"] == "assumed"
    assert len(bank.provenance["source_sha256"]) == 64


def test_one_slope_for_all_is_the_model_of_one_slope(tmp_path: Path) -> None:
    path = tmp_path / "coef.csv"
    path.write_text("item,a1,ak0,ak1,ak2,d0,d1,d2\ni,1,0,1,2,0,1,1\nj,1,0,1,2,0,0,1\n")
    assert {item.model for item in import_bank(path, name="b").items} == {"pcm"}


PY_IRT: dict[str, Any] = {
    "ability": [-1.0, 0.0, 2.5],
    "diff": [0.5, -0.5],
    "disc": [1.5, 0.7],
    "irt_model": "2pl",
    "item_ids": {"0": "i", "1": "j"},
    "subject_ids": {"0": "x", "1": "y", "2": "z"},
}


def py_irt(folder: Path, **changes: Any) -> Path:
    path = folder / "best_parameters.json"
    path.write_text(json.dumps({k: v for k, v in (PY_IRT | changes).items() if v is not None}))
    return path


def test_py_irt_without_sds_has_no_calibrants_but_a_population(tmp_path: Path) -> None:
    bank = import_bank(py_irt(tmp_path), name="b")
    assert bank.calibrants == ()
    assert bank.mean == (0.5,)
    assert bank.sd[0] == pytest.approx(np.std([-1.0, 0.0, 2.5]))
    with_sds = import_bank(py_irt(tmp_path, scale_ability=[1.0, 1.0, 1.0]), name="b")
    assert with_sds.calibrants[2] == Calibrant("z", (2.5,), (1.0,))
    assert with_sds.sd[0] == pytest.approx(np.hypot(bank.sd[0], 1.0))
    given_one = import_bank(py_irt(tmp_path), name="b", population=Population((0.0,), (2.0,)))
    assert given_one.sd == (2.0,)


BAD_MIRT = {
    "negative slope": ("item,a1,d\ni,1,0\nj,-0.5,0\n", "item 'j': discrimination a1 = -0.5"),
    "difficulties": ("item,a,b,g,u\ni,1,0,0,1\n", "column 'a' is unknown.*without IRTpars"),
    "rating scale": ("item,a1,b1,b2,c\ni,1,0,1,0\n", "column 'b1' is unknown"),
    "twice": ("item,a1,d,d\ni,1,0,0\n", "column 'd' is unknown, or there twice"),
    "no name": ("a1,d\n1,0\n", "line 1: the first column must be 'item'"),
    "four abilities": ("item,a1,a2,a3,a4,d\ni,1,1,1,1,0\n", "4 abilities: a bank has 1 to 3"),
    "no slope": ("item,d\ni,1\n", "0 abilities"),
    "blank slope": ("item,a1,a2,d\ni,1,NA,0\n", "line 2, item 'i': 1 slopes for 2 abilities"),
    "gap": ("item,a1,d1,d2,d3\ni,1,1,,0\n", "d2 is blank, but d3 is not"),
    "word": ("item,a1,d\ni,1,zero\n", "line 2, item 'i': column 'd' holds 'zero'"),
    "infinite": ("item,a1,d\ni,1,Inf\n", "column 'd' holds 'Inf', which is not finite"),
    "no intercept": ("item,a1,d\ni,1,\n", "line 2, item 'i': it needs d"),
    "two kinds": ("item,a1,d,d1\ni,1,0,0\n", "it has d, as binary items have, and d1"),
    "graded guessing": ("item,a1,d1,d2,g\ni,1,1,0,0.2\n", "only binary items have asymptotes"),
    "nominal": ("item,a1,ak0,ak1,ak2,d0,d1,d2\ni,1,0,0.4,2,0,1,1\n", "0, 0.4, 2, not 0, 1, 2"),
    "short": ("item,a1,ak0,ak1,ak2,d0,d1\ni,1,0,1,2,0,1\n", "3 scores ak0, …, but 2 intercepts"),
    "thresholds": ("item,a1,d1,d2\ni,1,0,1\n", "item 'i': thresholds out of order"),
    "ragged": ("item,a1,d\ni,1\n", "line 2, item 'i': 2 entries in 3 columns"),
    "same item": ("item,a1,d\ni,1,0\ni,1,0\n", "item id 'i' occurs twice"),
    "negative error": ("item,a1,d,SE_d\ni,1,0,-1\n", "a standard error is negative"),
    "no items": ("item,a1,d\n", "the table has no items"),
    "nothing": ("", "neither a CSV with a header nor JSON"),
    "population": ("item,a1,d,MEAN_1\ni,1,0,\nGroupPars,,,1\n", "COV_11 is missing"),
}


@pytest.mark.parametrize(("text", "message"), BAD_MIRT.values(), ids=BAD_MIRT)
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "coef.csv"
    path.write_text(text)
    with pytest.raises(BankError, match=message) as caught:
        import_bank(path, name="b")
    assert "coef.csv" in str(caught.value)


BAD_PY_IRT: dict[str, tuple[dict[str, Any], str]] = {
    "negative slope": ({"disc": [1.0, -0.2]}, "item 'j': discrimination a1 = -0.2"),
    "no model": ({"irt_model": None}, "it lacks irt_model"),
    "other model": ({"irt_model": "5pl"}, "irt_model '5pl' is not one of 1pl"),
    "no names": ({"item_ids": None}, "it lacks irt_model or item_ids"),
    "names in a list": ({"item_ids": ["i", "j"]}, "do not map '0', '1'"),
    "gap": ({"item_ids": {"0": "i", "2": "j"}}, "do not map '0', '1'"),
    "no slopes": ({"disc": None}, "the key 'disc' is missing"),
    "too few": ({"diff": [1.0]}, "'diff' must hold numbers for each of 2 names"),
    "nested": ({"diff": [[1.0, 2.0], [1.0, 2.0]]}, "'diff' must hold one number for each of 2"),
    "text": ({"diff": ["a", 1.0]}, "'diff' must hold numbers"),
    "not finite": ({"diff": [0.0, float("nan")]}, "'diff' of 'j' is not a finite number"),
    "all guessed": ({"irt_model": "3pl", "lambdas": [0.1, 1.0]}, "item 'j': asymptotes"),
    "shapes": (
        {"irt_model": "multidim_2pl", "diff": [[0.0, 1.0], [1.0, 0.0]]},
        "'diff' has 2 abilities, but 'disc' 1",
    ),
    "agents": ({"ability": [0.0]}, "'ability' must hold numbers for each of 3 names"),
    "population": ({"population": {"mean": 0}}, "'population' must hold lists of numbers"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_PY_IRT.values(), ids=BAD_PY_IRT)
def test_parameters_that_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BankError, match=message) as caught:
        import_bank(py_irt(tmp_path, **changes), name="b")
    assert "best_parameters.json" in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BankError, match=r"absent\.csv cannot be read"):
        import_bank(tmp_path / "absent.csv", name="b")
    (tmp_path / "coef.csv").write_bytes(b"item,a1,d\n\xff,1,0\n")
    with pytest.raises(BankError, match="not UTF-8"):
        import_bank(tmp_path / "coef.csv", name="b")
    (tmp_path / "broken.json").write_text('{"diff": [1')
    with pytest.raises(BankError, match="not the JSON of py-irt"):
        import_bank(tmp_path / "broken.json", name="b")


TWO = Item("", "2pl", (1.0,), (0.0,))
CANNOT: dict[str, tuple[Format, list[Item], str]] = {
    "graded": ("py-irt", [TWO, Item("", "grm", (1.0,), (1.0, 0.0))], "item 'item, 1' is grm"),
    "both asymptotes": ("py-irt", [TWO, Item("", "4pl", (1.0,), (0.0,), 0.1, 0.9)], "'item, 1'"),
    "effect in mirt": ("mirt", [replace(TWO, effect_sd=0.5)], "'item, 0' has an agent × item"),
    "effect in py-irt": ("py-irt", [TWO, replace(TWO, effect_sd=0.5)], "'item, 1' has an agent"),
}


@pytest.mark.parametrize(("to", "items", "message"), CANNOT.values(), ids=CANNOT)
def test_what_a_format_cannot_hold_is_named(to: Format, items: list[Item], message: str) -> None:
    with pytest.raises(BankError, match=message):
        export_bank(bank_of(items), to)


def test_asymptotes_with_two_abilities_do_not_fit_py_irt() -> None:
    bank = bank_of([Item("", "3pl", (1.0, 0.5), (0.0,), 0.2)], POPULATIONS[2])
    with pytest.raises(BankError, match="'item, 0' has an asymptote"):
        export_bank(bank, "py-irt")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([("a", "b", "c")], "the labels a,b,c are 3, but no item has 3 categories"),
        ([("a", "b"), ("c", "d")], "two lists of labels have the same length"),
    ],
)
def test_labels_that_no_item_has(
    tmp_path: Path, labels: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(BankError, match=message):
        import_bank(py_irt(tmp_path), name="b", labels=labels)


@pytest.mark.parametrize("text", ["1", "0,1,0", "0,x", "0,0,1,1"])
def test_populations_that_are_none(text: str) -> None:
    with pytest.raises(PlanError, match="--population needs"):
        parse_population(text)


Invoke = Callable[..., Any]


def test_the_commands(tmp_path: Path) -> None:
    run: Invoke = CliRunner().invoke
    bank = bank_of(
        [
            Item(
                "",
                "grm",
                (1.2,),
                (1.0, -1.0),
                covariance=((0.1, 0, 0), (0, 0.2, 0.1), (0, 0.1, 0.3)),
            ),
            TWO,
        ],
        POPULATIONS[1],
    )
    save_bank(bank, tmp_path / "bank")
    table = str(tmp_path / "coef.csv")
    done = run(export, [str(tmp_path / "bank"), "--format", "mirt", "--out", table])
    assert done.exit_code == 0
    assert "2 items for mirt" in done.stdout
    assert "standard errors only" in done.stderr
    arguments = [table, "--out", str(tmp_path / "back"), "--labels", "low, mid, high"]
    done = run(import_, [*arguments, "--json"])
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert (facts["items"], facts["models"]) == (2, ["2pl", "grm"])
    assert "no standard errors of 1 items" in done.stderr
    back = load_bank(tmp_path / "back")
    assert back.labels("item, 0") == ("low", "mid", "high")
    assert_same(back, bank)
    # neither command replaces anything unasked
    assert isinstance(run(import_, arguments).exception, PlanError)
    again = run(import_, [*arguments, "--force", "--population", "0.5,2"])
    assert again.exit_code == 0
    assert load_bank(tmp_path / "back").sd == (2.0,)
    done = run(export, [str(tmp_path / "bank"), "--format", "mirt", "--out", table])
    assert isinstance(done.exception, PlanError)
