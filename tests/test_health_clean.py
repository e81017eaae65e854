"""A cleaned bank and its change log."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bank import Item, ItemBank, compile_bank
from harness.bank_files import load_bank
from harness.errors import BankError
from harness.health.better.clean import ACTIONS, Cleaned, clean_bank, save_cleaned
from harness.health.better.greedy import curves_of
from harness.health.evidence import Evidence, gather
from harness.health.flags import Flag, Kind
from harness.report.health.subset import cleaned_section
from harness.responses import from_matrix

ITEMS = 8


def evidence_of(categories: int = 2) -> Evidence:
    rng = np.random.default_rng(0)
    if categories == 2:
        items = tuple(Item(f"item{i}", "2pl", (0.8 + 0.2 * i,), (0.1 * i,)) for i in range(ITEMS))
        labels: dict[str, tuple[str, ...]] = {"binary": ("fail", "pass")}
    else:
        covariance = tuple(tuple(0.1 + 0.01 * (i == j) for j in range(5)) for i in range(5))
        items = tuple(
            Item(
                *(f"item{i}", "grm", (1.2,), (2.0, 1.0, -0.5, -1.5)),
                categories="harm",
                covariance=covariance,
            )
            for i in range(ITEMS)
        )
        labels = {"harm": ("worst", "bad", "middling", "fine", "good")}
    matrix = rng.integers(0, categories, (30, ITEMS)).astype(float)
    if categories > 2:
        matrix[:, 2] = np.where(matrix[:, 2] == 1, 0, matrix[:, 2])
        matrix[:, 3] = np.where(np.isin(matrix[:, 3], [1, 2]), 4, matrix[:, 3])
    return gather(from_matrix(matrix, n_categories=categories), ItemBank("demo", items, labels))


def flag(kind: Kind, *names: str) -> Flag:
    about = "item" if len(names) == 1 else "items"
    return Flag(kind, about, names, f"evidence of {kind}", 0.0, -1.0, 1.0, 0.01, "look")  # type: ignore[arg-type]


def test_actions_follow_from_kinds() -> None:
    flags = [
        flag("reversed", "item0"),
        flag("low discrimination", "item1"),
        flag("duplicate", "item2", "item3"),
        flag("misfit", "item4"),
        flag("cluster", "item3", "item4"),
        flag("never solved", "item5"),
        Flag("unusual agent", "agent", ("item6",), "an agent", 0.0, 0.0, 0.0, 0.0, "look"),
    ]
    found = clean_bank(evidence_of(), flags)
    actions = {change.item: change.action for change in found.changes}
    assert actions == {
        **{"item0": "drop", "item1": "drop", "item2": "merge", "item3": "look"},
        **{"item4": "look", "item5": "keep", "item6": "keep", "item7": "keep"},
    }
    assert found.changes[2].into == "item3"  # the steeper one
    assert "the most informative of 2 that measure the same" in found.changes[3].reason
    assert "dropping it is a choice" in found.changes[5].reason
    assert found.changes[7].reason == "nothing was flagged"
    assert [item.id for item in found.bank.items] == ["item3", "item4", "item5", "item6", "item7"]
    assert found.bank.provenance["cleaned"]["merged"] == {"item2": "item3"}
    assert 0 < found.share < 1


def test_the_strongest_action_wins_and_may_be_chosen() -> None:
    flags = [flag("misfit", "item1"), flag("reversed", "item1"), flag("never solved", "item2")]
    assert clean_bank(evidence_of(), flags).changes[1].action == "drop"
    found = clean_bank(evidence_of(), flags, {"reversed": "keep", "never solved": "drop"})
    assert [change.action for change in found.changes[:3]] == ["keep", "look", "drop"]
    reason = clean_bank(evidence_of(), flags).changes[1].reason
    assert reason.startswith("reversed: evidence of reversed. misfit")


@given(
    st.lists(st.tuples(st.integers(0, ITEMS - 1), st.integers(0, ITEMS - 1)), max_size=10),
    st.sets(st.integers(0, ITEMS - 1), max_size=3),
)
@settings(max_examples=40)
def test_one_of_each_group_is_left_and_it_is_the_best(
    pairs: list[tuple[int, int]], dropped: set[int]
) -> None:
    evidence = EVIDENCE
    flags = [flag("duplicate", f"item{a}", f"item{b}") for a, b in pairs if a != b]
    flags += [flag("reversed", f"item{i}") for i in dropped]
    # groups by brute force: reachability over what is not dropped
    linked = np.eye(ITEMS, dtype=bool)
    for a, b in pairs:
        if a not in dropped and b not in dropped:
            linked[a, b] = linked[b, a] = True
    for _ in range(ITEMS):
        linked = linked @ linked
    gain = curves_of(evidence).gain()
    best = {i: max(np.flatnonzero(linked[i]), key=lambda j: gain[j]) for i in range(ITEMS)}
    left = {best[i] for i in range(ITEMS) if i not in dropped}
    if len(left) < 2:
        with pytest.raises(BankError, match="would be left"):
            clean_bank(evidence, flags)
        return
    found = clean_bank(evidence, flags)
    assert {item.id for item in found.bank.items} == {f"item{i}" for i in left}
    for i, change in enumerate(found.changes):
        assert (change.action == "drop") == (i in dropped)
        assert change.into == (f"item{best[i]}" if i not in dropped and best[i] != i else "")


EVIDENCE = evidence_of()


def test_merged_categories_have_the_probabilities_of_their_parts() -> None:
    evidence = evidence_of(5)
    flags = [flag("unused category", "item2"), flag("unused category", "item3")]
    found = clean_bank(evidence, flags)
    assert [change.action for change in found.changes[2:4]] == ["collapse", "collapse"]
    nodes = np.linspace(-2, 2, 9)[:, None]
    before = compile_bank(evidence.bank, nodes, uncertainty=False).p
    after = compile_bank(found.bank, nodes, uncertainty=False).p
    counts = evidence.counts.sum(axis=0)
    for item in (2, 3):
        labels = found.bank.labels(f"item{item}")
        old = evidence.bank.labels(f"item{item}")
        parts = [[old.index(name) for name in label.split(" or ")] for label in labels]
        assert sorted(k for part in parts for k in part) == list(range(5))
        for place, part in enumerate(parts):
            np.testing.assert_allclose(after[item, place], before[item, part].sum(axis=0))
            assert counts[item, part].sum() > 0
        size = len(found.bank.items[item].covariance or ())
        assert size == len(parts)
    assert found.bank.labels("item0") == evidence.bank.labels("item0")


def test_what_needs_a_new_fit_is_left_to_look_at() -> None:
    found = clean_bank(evidence_of(), [flag("unused category", "item2")])
    assert found.changes[2].action == "look"


def test_used_categories_are_merged_only_when_asked() -> None:
    evidence = evidence_of(5)
    flags = [flag("sparse category", "item0")]
    assert clean_bank(evidence, flags).changes[0].action == "look"
    found = clean_bank(evidence, flags, {"sparse category": "collapse"}, few=30)
    assert found.changes[0].action == "collapse"
    assert len(found.bank.labels("item0")) == 2
    assert found.bank["item0"].model == "2pl"


def test_the_folder_can_be_read_and_says_what_changed(tmp_path: Path) -> None:
    flags = [
        flag("reversed", "item0"),
        flag("duplicate", "item2", "item4"),
        flag("unused category", "item3"),
    ]
    found = clean_bank(evidence_of(5), flags)
    folder = tmp_path / "cleaned"
    save_cleaned(found, folder)
    again = load_bank(folder)
    assert again.hash == found.bank.hash
    assert again.provenance["cleaned"]["dropped"] == ["item0"]
    log = (folder / "CHANGES.md").read_text(encoding="utf-8")
    assert "- `item0`: reversed: evidence of reversed" in log
    assert "into `item" in log
    for change in found.changes:
        assert log.count(f"- `{change.item}`") == 1
    with pytest.raises(BankError, match="not empty"):
        save_cleaned(found, folder)
    save_cleaned(found, folder, overwrite=True)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(BankError, match="is a file"):
        save_cleaned(found, file)


def test_nothing_flagged_changes_nothing() -> None:
    evidence = evidence_of()
    found = clean_bank(evidence, [])
    assert found.bank.items == evidence.bank.items
    assert found.share == pytest.approx(1.0)
    assert "nothing to change" in cleaned_section(found).finding


def test_the_page_lists_changes_first() -> None:
    found = clean_bank(evidence_of(), [flag("never solved", "item1"), flag("reversed", "item5")])
    section = cleaned_section(found)
    grid = section.parts[0]
    assert [row[:2] for row in grid.rows] == [("item5", "drop"), ("item1", "keep")]  # type: ignore[union-attr]
    assert isinstance(found, Cleaned)
    assert set(ACTIONS.values()) <= {"drop", "merge", "collapse", "look", "keep"}
