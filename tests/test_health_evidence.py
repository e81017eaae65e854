"""What every diagnosis starts from: cleaning, posteriors, residuals, attributes, flags."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from harness.bank import Item, ItemBank
from harness.errors import ResponsesError
from harness.estimate import posteriors
from harness.health.evidence import About, gather, without_items
from harness.health.flags import adjusted, improbable
from harness.irt import Array
from harness.responses import Responses, from_matrix, read_responses
from harness.responses.about import read_about
from harness.responses.families import family_of, maker_in


def rasch(agents: int, items: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    theta, b = rng.normal(size=(agents, 1)), rng.normal(size=items)
    return (rng.random((agents, items)) < 1 / (1 + np.exp(1.5 * (b - theta)))).astype(float)


def bank_for(responses: Responses, effect_sd: float = 0.0) -> ItemBank:
    items = tuple(
        Item(name, "2pl", (1.2,), (0.1 * k - 0.3,), effect_sd=effect_sd)
        for k, name in enumerate(responses.items)
    )
    return ItemBank("demo", items)


def repeated(trials: int) -> Responses:
    """Each of 8 agents has several trials on each of 6 items."""
    rng = np.random.default_rng(1)
    a, i, t = (x.ravel() for x in np.indices((8, 6, trials)))
    base = from_matrix(np.zeros((8, 6)))
    none = np.full(len(a), np.nan)
    return replace(
        base,
        agent=a,
        item=i,
        trial=t,
        category=rng.integers(0, 2, len(a)),
        usd=none,
        seconds=none,
        tokens=none,
        turns=none,
    )


def test_posteriors_are_those_of_estimation() -> None:
    responses = from_matrix(rasch(20, 15))
    bank = bank_for(responses)
    found = gather(responses, bank)
    nodes, weights = posteriors(bank, responses, uncertainty=False)
    mean = weights @ nodes[:, 0]
    assert found.ability == pytest.approx(mean, abs=1e-6)
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(20))


def test_a_posterior_without_an_item_is_the_one_of_the_other_items() -> None:
    responses = from_matrix(rasch(12, 8))
    bank = bank_for(responses)
    found = gather(responses, bank)
    others = [name for name in responses.items if name != "item3"]
    rest = replace(bank, items=tuple(bank[name] for name in others))
    without = gather(responses.subset(items=others), rest)
    mean = found.posterior_without(3) @ found.nodes
    assert mean == pytest.approx(without.ability, abs=1e-6)


def test_probabilities_sum_to_one_and_an_effect_splits_the_variance() -> None:
    plain = gather(repeated(4), bank_for(repeated(4)))
    noisy = gather(repeated(4), bank_for(repeated(4), effect_sd=1.5))
    for found in (plain, noisy):
        assert found.p.sum(axis=1) == pytest.approx(np.ones(found.p[:, 0].shape))
        total = found.expected * (1 - found.expected)
        assert found.between + found.within == pytest.approx(total, abs=1e-9)
    assert plain.between == pytest.approx(np.zeros_like(plain.between), abs=1e-12)
    assert plain.weight == pytest.approx(plain.trials)
    assert (noisy.weight < plain.weight).all()
    assert (noisy.weight > 1).all()


def test_trials_that_never_differ_count_once() -> None:
    once = from_matrix(rasch(30, 12))
    twice = replace(
        once,
        **{
            name: np.tile(getattr(once, name), 2)
            for name in ("agent", "item", "category", "usd", "seconds", "tokens", "turns")
        },
        trial=np.repeat([0, 1], len(once.item)),
    )
    assert not once.trials_agree
    assert twice.trials_agree
    found = gather(twice)
    assert found.ability == pytest.approx(gather(once).ability)
    assert any("never differ" in note for note in found.notes)
    mixed = replace(twice, category=np.concatenate([once.category, 1 - once.category]))
    assert not mixed.trials_agree
    assert mixed.first_trials().matrix().tolist() == once.matrix().tolist()


def test_the_effect_is_integrated_as_a_normal() -> None:
    found = gather(repeated(2), bank_for(repeated(2), effect_sd=1.0))
    e = np.linspace(-8, 8, 2001)
    weight = norm.pdf(e) * (e[1] - e[0])
    at = 40
    z = 1.2 * found.nodes[at] - 0.3 + e
    assert found.expected[0, at] == pytest.approx(weight @ (1 / (1 + np.exp(-z))), abs=1e-6)


def test_what_is_left_out_is_said() -> None:
    matrix = np.full((6, 7), -1.0)
    matrix[:5, :6] = rasch(5, 6)
    matrix[5, 0] = 1
    found = gather(from_matrix(matrix))
    assert found.responses.agents == tuple(f"agent{a}" for a in range(5))
    assert "item6" not in found.responses.items
    assert any("1 agent ('agent5') with fewer than 3 answers" in note for note in found.notes)
    assert any("1 item ('item6') nobody tried" in note for note in found.notes)


def test_fewer_items_keep_agents_and_what_is_known_of_the_rest() -> None:
    responses = from_matrix(rasch(12, 8))
    about = About({}, {f"item{i}": {"topic": "ab"[i % 2]} for i in range(8)})
    found = gather(responses, bank_for(responses), about)
    fewer = without_items(found, ["item2", "item5"])
    assert fewer.responses.items == tuple(f"item{i}" for i in (0, 1, 3, 4, 6, 7))
    assert fewer.tags == {"topic": ("a", "b", "b", "a", "a", "b")}
    assert fewer.expected == pytest.approx(found.expected[[0, 1, 3, 4, 6, 7]])
    assert fewer.score == pytest.approx(found.score[:, [0, 1, 3, 4, 6, 7]])
    assert fewer.ability == pytest.approx(found.ability)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_nothing_to_compare_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ResponsesError, match="two of each"):
        gather(from_matrix(np.ones(shape)))


def test_a_bank_of_several_abilities_is_refused() -> None:
    bank = ItemBank("two", (Item("item0", "2pl", (1.0, 0.5), (0.0,)),), mean=(0, 0), sd=(1, 1))
    with pytest.raises(ResponsesError, match="2 abilities"):
        gather(from_matrix(np.ones((3, 2))), bank)


@pytest.mark.parametrize("agents", [2, 3, 5])
def test_constant_scores_still_give_evidence(agents: int) -> None:
    found = gather(from_matrix(np.ones((agents, 4))))
    assert np.isfinite(found.posterior).all()


def test_attributes_win_over_the_outcomes_and_unique_ones_group_nothing() -> None:
    responses = from_matrix(rasch(6, 6))
    about = About(
        {"agent0": {"llm": "claude-x", "date": "2025-01-02", "cutoff": "2024-06"}},
        {
            f"item{i}": {
                "topic": "web" if i < 3 else "db",
                "again": "a" if i < 3 else "b",
                "text": f"no {i}",
                "created": "2024",
            }
            for i in range(6)
        },
    )
    found = gather(responses, bank_for(responses), about)
    assert found.groups["family"][0] == "Anthropic"
    assert found.groups["year"][0] == "2025"
    assert found.responses.llm[0] == "claude-x"
    assert found.cutoff[0] == "2024-06"
    assert set(found.tags) == {"topic"}
    assert found.created == ("2024",) * 6


def test_contradicting_rows_are_left_out_where_asked(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("agent,item,score\na,i,1\na,i,0\na,j,1\nb,i,0\nb,i,0\nb,j,1\n")
    with pytest.raises(ResponsesError, match="line 3"):
        read_responses(table)
    found = read_responses(table, lenient=True)
    assert found.matrix().tolist() == [[1, -1], [1, 0]]
    assert found.items == ("j", "i")
    assert "1 cell with rows that contradict" in found.notes[0]
    assert "line 3" in found.notes[0]
    table.write_text("agent,item,score\na,i,1\na,i,0\n")
    with pytest.raises(ResponsesError, match="every cell"):
        read_responses(table, lenient=True)
    table.write_text("agent,item,score\na,i,1\na,i,1\nb,i,0\n")
    assert read_responses(table).notes == (
        "1 row says again what an earlier row said: counted once",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,topic\ni,web\n", "column 'item' is missing"),
        ("item,topic\ni,web\ni,db\n", "line 3: item 'i' has other attributes"),
        ("item,topic\nx,web\n", "no item of it is in the outcomes"),
        ("item,topic\n", "no item of it"),
        ("", "column 'item' is missing"),
    ],
)
def test_bad_attributes_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "items.csv"
    table.write_text(text)
    with pytest.raises(ResponsesError, match=message):
        read_about(table, "item", ["i"])


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("claude-opus-4.7", "Anthropic"),
        ("openai/gpt-5", "OpenAI"),
        ("o3-mini", "OpenAI"),
        ("gpt-oss + claude", ""),
        ("Qwen3-Coder", "Alibaba"),
        ("foo3", ""),
        ("", ""),
    ],
)
def test_makers(name: str, family: str) -> None:
    assert maker_in(name) == family
    assert family_of(name) == family or not family


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_no_smaller_and_keep_the_order(p: list[float]) -> None:
    q = adjusted(p)
    assert (q >= np.array(p) - 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(q[order]) >= -1e-12).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_flagged_are_the_surest_within_the_rate(wrong: list[float], rate: float) -> None:
    values = np.array(wrong)
    chosen = improbable(values, rate)
    if chosen.any():
        assert values[chosen].mean() <= rate + 1e-12
    if chosen.any() and not chosen.all():
        assert values[chosen].max() <= values[~chosen].min()
