"""Item banks: files that keep what they were given, a hash of what matters, and bad input."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.bank import Item, ItemBank, parameter_names
from harness.bank_files import find_bank, load_bank, save_bank
from harness.errors import BankError

LABELS = {
    "binary": ("fail", "pass"),
    "three": ("none", "some", "all"),
    "four": ("none", "first milestone", "core", "complete"),
}
reals = st.floats(-10, 10, allow_subnormal=False)
costs = st.one_of(st.just(math.nan), st.floats(0, 1e4))
names = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters=";"),
    min_size=1,
    max_size=12,
)


@st.composite
def items(draw: st.DrawFn, item_id: str, dimensions: int) -> Item:
    model = draw(st.sampled_from(["1pl", "2pl", "3pl", "4pl", "grm", "gpcm"]))
    if dimensions == 1:
        slopes: tuple[float, ...] = (draw(st.floats(0.01, 5)),)
    else:
        slopes = (draw(st.floats(0.1, 5)), *draw(st.tuples(*[reals] * (dimensions - 1))))
    categories = draw(st.sampled_from(["three", "four"])) if model in ("grm", "gpcm") else "binary"
    steps = len(LABELS[categories]) - 1
    intercepts = draw(
        st.lists(reals, min_size=steps, max_size=steps, unique=True).map(
            lambda d: tuple(sorted(d, reverse=True)) if model == "grm" else tuple(d)
        )
    )
    item = Item(
        item_id,
        model,
        slopes,
        intercepts,
        lower=draw(st.floats(0, 0.4)) if model in ("3pl", "4pl") else 0.0,
        upper=draw(st.floats(0.6, 1)) if model == "4pl" else 1.0,
        categories=categories,
        usd=draw(costs),
        seconds=draw(costs),
        environment=draw(st.sampled_from(["", "tasks/one"])),
        tags=tuple(draw(st.lists(names.map(str.strip).filter(bool), max_size=2))),
    )
    if draw(st.booleans()):
        size = len(parameter_names(item))
        factor = np.array(draw(st.lists(reals, min_size=size**2, max_size=size**2)))
        matrix = factor.reshape(size, size) @ factor.reshape(size, size).T
        matrix = (matrix + matrix.T) / 2
        item = replace(item, covariance=tuple(tuple(map(float, row)) for row in matrix))
    return item


@st.composite
def banks(draw: st.DrawFn) -> ItemBank:
    dimensions = draw(st.integers(1, 2))
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return ItemBank(
        name=draw(names),
        items=tuple(draw(items(item_id, dimensions)) for item_id in ids),
        categories=LABELS,
        mean=draw(st.tuples(*[reals] * dimensions)),
        sd=draw(st.tuples(*[st.floats(0.1, 5)] * dimensions)),
        description=draw(st.text(st.characters(categories=["L", "P", "Zs"]), max_size=30)),
        provenance=draw(st.dictionaries(names, st.one_of(names, st.integers(), reals), max_size=3)),
    )


def same(first: Item, second: Item) -> bool:
    """Equality with NaN equal to NaN."""
    return repr(first) == repr(second)


# --- files ------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(banks())
def test_a_bank_read_back_is_the_bank_that_was_written(tmp_path: Path, bank: ItemBank) -> None:
    save_bank(bank, tmp_path / "bank")
    back = load_bank(tmp_path / "bank")
    assert len(back.items) == len(bank.items)
    assert all(map(same, back.items, bank.items))
    assert back.categories == bank.categories
    assert (back.name, back.mean, back.sd) == (bank.name, bank.mean, bank.sd)
    assert (back.description, back.provenance) == (bank.description, bank.provenance)
    assert back.hash == bank.hash


def test_saving_over_a_bank_leaves_nothing_of_it(tmp_path: Path) -> None:
    unsure = Item("i", "2pl", (1.0,), (0.0,), covariance=((0.1, 0.0), (0.0, 0.1)))
    save_bank(ItemBank("old", (unsure,)), tmp_path)
    assert (tmp_path / "covariance.csv").is_file()
    save_bank(ItemBank("new", (replace(unsure, covariance=None),)), tmp_path)
    assert not (tmp_path / "covariance.csv").exists()
    assert load_bank(tmp_path).items[0].covariance is None


def test_a_bank_written_by_hand_needs_only_the_essentials(tmp_path: Path) -> None:
    (tmp_path / "bank.yaml").write_text("name: small\n", encoding="utf-8")
    # as spreadsheets write it: with a byte order mark and Windows line ends
    (tmp_path / "items.csv").write_bytes("\ufeffitem,model,a1,d1\r\ni,2PL,1,0\r\n".encode())
    bank = load_bank(tmp_path)
    assert same(bank.items[0], Item("i", "2pl", (1.0,), (0.0,)))
    assert bank.labels("i") == ("fail", "pass")
    assert bank.hash == ItemBank("other", (Item("i", "2pl", (1,), (0,)),)).hash


# --- the hash ---------------------------------------------------------------------------------

BASE = ItemBank(
    "base",
    (
        Item("one", "2pl", (1.0,), (0.5,), covariance=((0.1, 0.0), (0.0, 0.2)), usd=0.1),
        Item("two", "grm", (1.2,), (1.0, -1.0), categories="three", seconds=5.0, tags=("t",)),
    ),
    LABELS,
)


def with_item(**changes: Any) -> ItemBank:
    return replace(BASE, items=(replace(BASE.items[0], **changes), BASE.items[1]))


@pytest.mark.parametrize(
    "changed",
    [
        with_item(id="uno"),
        with_item(model="1pl"),
        with_item(slopes=(1.0000000000000002,)),
        with_item(intercepts=(0.4,)),
        with_item(lower=0.1),
        with_item(upper=0.9),
        with_item(covariance=None),
        with_item(covariance=((0.1, 0.01), (0.01, 0.2))),
        with_item(usd=0.2),
        with_item(usd=math.nan),
        with_item(seconds=1.0),
        with_item(environment="elsewhere"),
        with_item(tags=("t",)),
        replace(BASE, items=BASE.items[::-1]),
        replace(BASE, items=BASE.items[:1]),
        replace(BASE, categories=LABELS | {"three": ("none", "half", "all")}),
        replace(BASE, mean=(0.1,)),
        replace(BASE, sd=(1.1,)),
    ],
)
def test_the_hash_changes_with_all_that_decides_a_session(changed: ItemBank) -> None:
    assert changed.hash != BASE.hash


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, name="renamed"),
        replace(BASE, description="said better"),
        replace(BASE, provenance={"agents": 100}),
        replace(BASE, categories=dict(reversed(LABELS.items()))),
        replace(BASE, items=tuple(replace(item) for item in BASE.items)),
        # 1 and 1.0 are one number
        with_item(slopes=(1,), lower=0, upper=1),
        replace(BASE, mean=(0,), sd=(1,)),
    ],
)
def test_the_hash_does_not_change_with_what_does_not(changed: ItemBank) -> None:
    assert changed.hash == BASE.hash
    assert len(changed.hash) == 12
    assert int(changed.hash, 16) >= 0


# --- items ------------------------------------------------------------------------------------


def test_difficulties_are_where_a_category_becomes_likelier_than_not() -> None:
    table = BASE.table
    for row, item in enumerate(BASE.items):
        for step, difficulty in enumerate(item.difficulties, start=1):
            reach = table.p[row, step:].sum(axis=0)
            if item.covariance is None:
                assert np.interp(0.5, reach, table.nodes[:, 0]) == pytest.approx(
                    difficulty, abs=0.01
                )
    assert BASE.items[0].difficulties == (-0.5,)
    assert Item("plane", "2pl", (3.0, 4.0), (10.0,)).difficulties == (-2.0,)


def test_items_by_id() -> None:
    assert BASE["two"] is BASE.items[1]
    assert BASE.labels("two") == ("none", "some", "all")
    with pytest.raises(BankError, match="'three' is not in the bank"):
        BASE["three"]


def test_parameter_names() -> None:
    assert parameter_names(BASE.items[1]) == ("log_a1", "d1", "d2")
    four = Item("i", "4pl", (1.0, 1.0), (0.0,), lower=0.1, upper=0.9)
    assert parameter_names(four) == ("a1", "a2", "d1", "logit_lower", "logit_upper")


# --- bad input --------------------------------------------------------------------------------

Row = dict[str, str]


def rewrite(folder: Path, change: Callable[[list[Row]], list[Row] | None], file: str) -> None:
    with (folder / file).open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    rows = change(rows) or rows
    with (folder / file).open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def put(at: int, /, **cells: str) -> Callable[[list[Row]], None]:
    return lambda rows: rows[at].update(cells)


def drop(column: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{k: v for k, v in row.items() if k != column} for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The base bank on disk."""
    save_bank(BASE, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "item", "says"),
    [
        (put(0, a1="nan"), "one", "NaN or infinite"),
        (put(0, d1="inf"), "one", "NaN or infinite"),
        (put(1, d2="nan"), "two", "NaN or infinite"),
        (put(0, lower="nan"), "one", "NaN or infinite"),
        (put(0, a1="-1.5"), "one", "discrimination a1 = -1.5 is not positive"),
        (put(0, a1="0"), "one", "is not positive"),
        (put(1, d1="-2"), "two", "thresholds out of order: intercepts -2, -1 must decrease"),
        (put(1, d1="-1"), "two", "thresholds out of order"),
        (put(1, item="one"), "one", "occurs twice"),
        (put(1, item=""), "", "has no id"),
        (put(1, categories="five"), "two", "unknown categories 'five'; bank.yaml defines: binary"),
        (put(1, categories="four"), "two", "3 categories, but 'four' has 4 labels"),
        (put(0, d1=""), "one", "0 intercepts make 1 categories"),
        (put(1, model="2pl"), "two", "a 2pl item has exactly one intercept, not 2"),
        (put(0, model="5pl"), "one", "unknown model '5pl'; use one of 1pl"),
        (put(0, model=""), "one", "unknown model ''"),
        (put(0, a1="one"), "one", "column 'a1' holds 'one', which is not a number"),
        (put(0, a1=""), "one", "column 'a1' holds ''"),
        (put(0, usd="cheap"), "one", "column 'usd' holds 'cheap'"),
        (put(0, lower="0.5", upper="0.4"), "one", "0 <= lower < upper <= 1"),
        (put(0, upper="1.1"), "one", "0 <= lower < upper <= 1"),
        (drop("model"), "", "column 'model' is missing; it has: item, categories"),
        (drop("a1"), "", "column 'a1' is missing"),
    ],
)
def test_bad_items_are_named(
    folder: Path, change: Callable[[list[Row]], list[Row] | None], item: str, says: str
) -> None:
    rewrite(folder, change, "items.csv")
    with pytest.raises(BankError) as error:
        load_bank(folder)
    assert str(folder / "items.csv") in str(error.value)
    assert says in str(error.value)
    if item:
        assert repr(item) in str(error.value)
    assert error.value.exit_code == 2


def test_a_short_row_is_named(folder: Path) -> None:
    with (folder / "items.csv").open("a", encoding="utf-8") as file:
        file.write("three\n")
    with pytest.raises(BankError, match=r"items\.csv, line 4, item 'three': unknown model None"):
        load_bank(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put(0, value="much"), "line 2 needs item, row, column and a number in value"),
        (drop("value"), "line 2 needs item, row, column"),
        (put(0, value="nan"), "'one': its covariance must be a 2 × 2 matrix"),
        (put(0, value="-1"), "'one': its covariance is not positive semidefinite"),
        (put(0, row="log_a2", column="log_a2"), "item 'one' lacks the entry ('log_a1', 'log_a1')"),
        (drop("column"), "line 2 needs item"),
        (lambda rows: [*rows, rows[0] | {"item": "gone"}], "item 'gone' is not in items.csv"),
    ],
)
def test_bad_covariances_are_named(
    folder: Path, change: Callable[[list[Row]], list[Row] | None], says: str
) -> None:
    rewrite(folder, change, "covariance.csv")
    with pytest.raises(BankError) as error:
        load_bank(folder)
    assert str(folder / "covariance.csv") in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("name: [", "is not valid YAML"),
        ("", "the file: "),
        ("description: nameless", "name: Field required"),
        ("name: x\nitems: []", "items: Extra inputs are not permitted"),
        ("name: x\ncategories: {binary: [pass]}", "'binary' needs at least two labels"),
        ("name: x\npopulation: {mean: [0], sd: [0]}", "one mean and one sd > 0"),
        ("name: x\npopulation: {mean: [.nan], sd: [1]}", "one mean and one sd > 0"),
        ("name: x\npopulation: {mean: [0], sd: [1, 1]}", "one mean and one sd > 0"),
        ("name: x\npopulation: {mean: [0, 0], sd: [1, 1]}", "column 'a2' is missing"),
        ("name: x\npopulation: {mean: high}", "population.mean"),
    ],
)
def test_bad_heads_are_named(folder: Path, head: str, says: str) -> None:
    (folder / "bank.yaml").write_text(head, encoding="utf-8")
    with pytest.raises(BankError) as error:
        load_bank(folder)
    assert str(folder) in str(error.value)
    assert says in str(error.value)


def test_an_empty_bank_is_refused(folder: Path) -> None:
    (folder / "items.csv").write_text("item,model,a1,d1\n", encoding="utf-8")
    with pytest.raises(BankError, match="has no items"):
        load_bank(folder)
    (folder / "items.csv").write_text("", encoding="utf-8")
    with pytest.raises(BankError, match="'item' is missing; it has: none"):
        load_bank(folder)
    (folder / "items.csv").unlink()
    with pytest.raises(BankError, match=r"items\.csv is missing"):
        load_bank(folder)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (Item("i", "2pl", (1.0, 1.0), (0.0,)), "2 slopes, but the bank has 1 abilities"),
        (Item("i", "2pl", (1.0,), (0.0,), covariance=((1.0,),)), "2 × 2 matrix"),
        (
            Item("i", "2pl", (1.0,), (0.0,), covariance=((1.0, 0.5), (0.0, 1.0))),
            "not symmetric",
        ),
    ],
)
def test_bad_items_made_in_python(item: Item, says: str) -> None:
    with pytest.raises(BankError, match=f"bank 'x', item 'i': .*{says}"):
        ItemBank("x", (item,))


def test_an_item_of_several_abilities_needs_one_of_them() -> None:
    with pytest.raises(BankError, match="all slopes are 0"):
        ItemBank("x", (Item("i", "2pl", (0.0, 0.0), (0.0,)),), mean=(0, 0), sd=(1, 1))
    # a negative slope is fine where another ability makes up for it
    ItemBank("x", (Item("i", "2pl", (-0.2, 1.0), (0.0,)),), mean=(0, 0), sd=(1, 1))


# --- finding ----------------------------------------------------------------------------------


def test_a_missing_bank_lists_those_that_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    save_bank(BASE, shelf / "starter")
    monkeypatch.setattr("harness.bank_files.shipped", lambda kind: shelf)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BankError, match=r"no item bank at nowhere .*; shipped banks: starter"):
        load_bank("nowhere")
    assert find_bank("item_banks/starter") == shelf / "starter"
    assert load_bank("starter").hash == BASE.hash
    save_bank(replace(BASE, items=BASE.items[:1]), tmp_path / "starter")
    assert len(load_bank("starter").items) == 1
    with pytest.raises(BankError, match="no item bank"):
        find_bank("")


def test_the_files_are_the_documented_ones(folder: Path) -> None:
    head = yaml.safe_load((folder / "bank.yaml").read_text(encoding="utf-8"))
    assert list(head) == ["name", "description", "categories", "population", "provenance"]
    items = (folder / "items.csv").read_text(encoding="utf-8").splitlines()
    assert items[0] == "item,model,categories,a1,d1,d2,lower,upper,usd,seconds,environment,tags"
    assert items[1] == "one,2pl,binary,1.0,0.5,,0.0,1.0,0.1,,,"
    covariance = (folder / "covariance.csv").read_text(encoding="utf-8").splitlines()
    assert covariance[0] == "item,row,column,value"
    assert covariance[1:] == ["one,log_a1,log_a1,0.1", "one,d1,log_a1,0.0", "one,d1,d1,0.2"]
