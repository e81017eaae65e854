"""Ability from model, scaffold and date: recovery, coverage, priors, rankings, suggestions."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.ability import normalise
from harness.bank import Calibrant, Item, ItemBank
from harness.bank_files import load_bank, save_bank, save_calibrants
from harness.calibrate import calibrate
from harness.errors import InputError, PlanError, ResponsesError
from harness.parts.ability import Parts, fit_parts, lacks_parts, parts_of
from harness.parts.predict import predict_agents, unseen_pairs
from harness.parts.prior import choose_priors, near_names, parts_prior, prior_of
from harness.parts.rank import islands, measured_bank, rank_parts, sentences, shared_partners
from harness.parts.suggest import suggest_parts, write_suggestions
from harness.prior import trend_prior, year_of
from harness.responses import from_matrix
from harness.responses.parts import bank_with_parts, with_parts

ITEMS = tuple(Item(f"i{k}", "2pl", (1.2,), (1.2 * d,)) for k, d in enumerate(np.linspace(-2, 2, 9)))
TREND, MODEL, SCAFFOLD, OWN = 0.8, 0.6, 0.3, 0.2


def shrunk(agent: str, ability: float, error: float, *about: str) -> Calibrant:
    """A calibrating agent whose answers alone say ``ability``, under the prior N(0, 1)."""
    precision = 1 + 1 / error**2
    return Calibrant(agent, (ability / error**2 / precision,), (precision**-0.5,), *about)


class World:
    """Agents whose abilities are made as the model says."""

    def __init__(self, seed: int, models: int = 12, scaffolds: int = 6, share: float = 0.5) -> None:
        rng = np.random.default_rng(seed)
        self.model = rng.normal(0, MODEL, models)
        self.scaffold = rng.normal(0, SCAFFOLD, scaffolds)
        born = rng.uniform(2023, 2025, models)
        self.agents: dict[Parts, float] = {}
        for m, s in product(range(models), range(scaffolds)):
            year = born[m] + rng.uniform(0, 0.3)
            date = f"{int(year)}-{1 + int(year % 1 * 12):02d}"
            truth = TREND * (year_of(date) - 2024) + self.model[m] + self.scaffold[s]
            self.agents[Parts(f"model {m}", f"scaffold {s}", date)] = truth + rng.normal(0, OWN)
        self.kept = [parts for parts in self.agents if rng.random() < share]
        self.open = [parts for parts in self.agents if parts not in self.kept]
        self.bank = ItemBank(
            "world",
            ITEMS,
            calibrants=tuple(
                shrunk(f"{n}", self.agents[p] + 0.1 * rng.standard_normal(), 0.1, p.date)
                for n, p in enumerate(self.kept)
            ),
        )
        told = zip(self.bank.calibrants, self.kept, strict=True)
        self.bank = replace(
            self.bank,
            calibrants=tuple(replace(c, llm=p.llm, scaffold=p.scaffold) for c, p in told),
        )


# --- the model --------------------------------------------------------------------------------


def test_effects_and_spreads_are_recovered() -> None:
    world = World(1, models=20, scaffolds=10, share=0.7)
    fit = fit_parts(world.bank)
    sds = dict(fit.regression.block_sd)
    assert sds["model"] == pytest.approx(world.model.std(), rel=0.35)
    assert sds["scaffold"] == pytest.approx(world.scaffold.std(), rel=0.35)
    assert fit.regression.residual_sd == pytest.approx(OWN, rel=0.3)
    found = {e.name: e.ability for e in rank_parts(world.bank, fit, "scaffold").effects}
    values = [found[f"scaffold {s}"] for s in range(10)]
    assert np.corrcoef(values, world.scaffold)[0, 1] > 0.95


def test_intervals_of_new_agents_cover_as_they_say() -> None:
    inside: list[bool] = []
    z: list[float] = []
    for seed in range(12):
        world = World(seed, share=0.5)
        mean, sd = fit_parts(world.bank).predict(world.open)
        off = (np.array([world.agents[parts] for parts in world.open]) - mean) / sd
        z.extend(off)
        inside.extend(np.abs(off) < 1.645)
    assert 0.86 < np.mean(inside) < 0.95
    assert np.std(z) == pytest.approx(1.0, abs=0.12)


def test_new_pairs_are_predicted_better_than_by_the_trend_or_the_population() -> None:
    ours, trends, nothing = [], [], []
    for seed in range(6):
        world = World(seed)
        truth = np.array([world.agents[parts] for parts in world.open])
        ours.append(np.abs(fit_parts(world.bank).predict(world.open)[0] - truth).mean())
        trend = [trend_prior(world.bank, parts.date) for parts in world.open]
        trends.append(np.mean([abs(p.mean[0] - t) for p, t in zip(trend, truth, strict=True) if p]))
        nothing.append(np.abs(world.bank.population.mean[0] - truth).mean())
    assert np.mean(ours) < 0.6 * np.mean(trends) < np.mean(nothing)


def test_nothing_is_drawn_to_the_prior_twice() -> None:
    """A calibrant with a wide posterior counts as what its answers say, with their error."""
    world = World(3)
    vague = tuple(
        shrunk(c.agent, world.agents[parts], 1.0, c.date, c.llm, c.scaffold)
        for c, parts in zip(world.bank.calibrants, world.kept, strict=True)
    )
    fit = fit_parts(replace(world.bank, calibrants=vague))
    assert fit.regression.fitted.y == pytest.approx([world.agents[p] for p in world.kept])
    assert fit.regression.fitted.noise == pytest.approx(1.0)


@given(st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_what_is_not_known_only_widens(seed: int) -> None:
    world = World(seed % 5)
    fit = fit_parts(world.bank)
    agent = world.kept[seed % len(world.kept)]
    _, (whole, no_model, no_scaffold, new, nothing) = fit.predict(
        [
            agent,
            replace(agent, llm=""),
            replace(agent, scaffold=""),
            replace(agent, llm="never seen"),
            Parts(),
        ]
    )
    assert whole < no_scaffold < no_model < nothing
    # not knowing a model is not knowing which new one it is
    assert new == pytest.approx(no_model)


def test_each_blank_model_is_one_of_its_own() -> None:
    """Not knowing the models of agents is as if each had another that nobody else has."""
    world = World(4)
    found = []
    for name in ("", "own {}"):
        more = tuple(
            shrunk(f"more{n}", 2.0 + 0.1 * n, 0.1, "2024-01", name.format(n), "scaffold 0")
            for n in range(6)
        )
        bank = replace(world.bank, calibrants=(*world.bank.calibrants, *more))
        found.append(fit_parts(bank).predict([Parts("", "scaffold 1", "2024-01"), world.kept[0]]))
    assert found[0][0] == pytest.approx(found[1][0], abs=2e-3)
    assert found[0][1] == pytest.approx(found[1][1], abs=2e-3)


def test_beyond_the_dates_the_mean_lies_halfway_and_doubt_grows() -> None:
    world = World(5)
    fit = fit_parts(world.bank)
    last = max(c.date for c in world.bank.calibrants)
    when = year_of(last)
    at, half, far, farther = (
        Parts("model 1", "scaffold 1", date)
        for date in (last, f"{when + 0.5:.0f}", "2027-01", "2029-01")
    )
    mean, sd = fit.predict([at, far, farther])
    code = fit.regression.coding.codes[0]
    slope = fit.regression.weights[fit.regression.coding.places[0].start] / code.scale
    assert mean[1] - mean[0] == pytest.approx(slope * (2027 - when) / 2)
    assert sd[0] < sd[1] < sd[2]
    assert half.llm


@given(st.permutations(range(20)))
@settings(max_examples=10, deadline=None)
def test_the_order_and_writing_of_names_do_not_matter(order: list[int]) -> None:
    world = World(6)
    some = world.bank.calibrants[:20]
    asked = [Parts("MODEL_2", "scaffold-1", "2024-05")]
    mixed = tuple(
        replace(some[k], llm=some[k].llm.upper().replace(" ", "-" * (k % 2 + 1))) for k in order
    )
    one, other = (
        fit_parts(replace(world.bank, calibrants=c)).predict(asked) for c in (some, mixed)
    )
    assert other[0] == pytest.approx(one[0], abs=1e-3)
    assert other[1] == pytest.approx(one[1], abs=1e-3)


# --- priors -----------------------------------------------------------------------------------


def test_auto_takes_parts_then_trend_then_population() -> None:
    world = World(7)
    bank = world.bank
    names = [
        choose_priors("auto", bank, [parts])[0].name
        for parts in (Parts("model 1"), Parts(date="2024-05"), Parts())
    ]
    assert names == ["parts", "trend", "population"]
    assert choose_priors("auto", bank, [Parts()])[0].prior == bank.population
    bare = replace(bank, calibrants=tuple(replace(c, llm="", scaffold="") for c in bank.calibrants))
    chosen = choose_priors("auto", bare, [Parts("model 1", date="2024-05")])[0]
    assert chosen.name == "trend"
    assert "of 0 calibrating agents" in chosen.words[1]


def test_the_words_say_what_is_known_and_what_a_name_may_mean() -> None:
    bank = World(7).bank
    words = choose_priors("auto", bank, [Parts("Modle 1", "Scaffold_0", "2024")])[0].words
    assert words[0] == (
        "no calibrating agent has model 'Modle 1': counted as a new model (did you mean 'model 1'?)"
    )
    assert words[1].startswith("scaffold 'scaffold 0' is that of ")
    # another version is no typing error
    assert near_names(fit_parts(bank), "model", "model 77") == ()


def test_parts_that_cannot_be_had_are_refused_with_a_reason() -> None:
    bank = World(7).bank
    with pytest.raises(PlanError, match="needs the model, scaffold or date"):
        choose_priors("parts", bank, [Parts()])
    with pytest.raises(PlanError, match="of 0 calibrating agents, and 10 are needed"):
        choose_priors("parts", ItemBank("bare", ITEMS), [Parts("model 1")])
    with pytest.raises(PlanError, match="is not a date"):
        parts_prior(bank, Parts("model 1", date="soon"))
    two = Item("i", "2pl", (1.0, 1.0), (0.0,))
    wide = ItemBank("wide", (two,), mean=(0.0, 0.0), sd=(1.0, 1.0))
    assert "2 abilities" in lacks_parts(wide)
    with pytest.raises(InputError, match="2 abilities"):
        fit_parts(wide)


def test_a_twentieth_of_the_prior_is_the_population() -> None:
    """A stranger far from what its parts say is not ruled out."""
    bank = World(8).bank
    prior = parts_prior(bank, Parts("model 1", "scaffold 1", "2024-05"))
    assert sum(w for w, _, _ in prior.mixture[1:]) == pytest.approx(0.05, abs=1e-4)
    nodes = bank.table.nodes
    far = np.abs(nodes[:, 0] - prior.mixture[0][1]) > 5 * prior.mixture[0][2]
    assert normalise(prior.log_weights(nodes))[far].sum() > 0.001


def test_unknown_everything_is_like_the_population() -> None:
    bank = World(9).bank
    mean, sd = fit_parts(bank).predict([Parts()])
    abilities = np.array([c.ability[0] for c in bank.calibrants])
    assert mean[0] == pytest.approx(abilities.mean(), abs=0.3)
    assert sd[0] == pytest.approx(abilities.std(), rel=0.3)


def test_a_calibrating_agent_is_predicted_from_the_others() -> None:
    """As if it had not been there, with the variances held: the closed form against brute force."""
    world = World(10, models=6, scaffolds=4, share=0.8)
    fit = fit_parts(world.bank)
    out = world.bank.calibrants[3]
    rest = replace(world.bank, calibrants=tuple(c for c in world.bank.calibrants if c != out))
    told = parts_of(out)
    closed = prior_of(fit, world.bank, [told], [out.agent])[0].mixture[0]
    without = prior_of(fit_parts(rest), rest, [told])[0].mixture[0]
    with_it = prior_of(fit, world.bank, [told])[0].mixture[0]
    assert closed[1] == pytest.approx(without[1], abs=0.1)
    assert abs(with_it[1] - without[1]) > 0.0
    assert closed[2] > with_it[2]


# --- one scaffold, one agent a model ----------------------------------------------------------


def one_scaffold(models: int, agents: int) -> ItemBank:
    rng = np.random.default_rng(2)
    return ItemBank(
        "narrow",
        ITEMS,
        calibrants=tuple(
            shrunk(f"{m}-{a}", float(m - models / 2 + 0.1 * rng.normal()), 0.2, "", f"m{m}", "only")
            for m in range(models)
            for a in range(agents)
        ),
    )


def test_one_scaffold_is_left_out_and_said() -> None:
    bank = one_scaffold(5, 3)
    fit = fit_parts(bank)
    assert fit.kinds == ("model",)
    with pytest.raises(InputError, match="has the same one, only: what it is worth cannot be told"):
        rank_parts(bank, fit, "scaffold")
    ranking = rank_parts(bank, fit, "model")
    assert [e.name for e in ranking.effects] == ["m4", "m3", "m2", "m1", "m0"]
    # one scaffold that all share is what makes them comparable
    assert {e.partners for e in ranking.effects} == {1}
    assert any("left out" in text for text in sentences(ranking))


def test_models_of_single_agents_tell_nothing_and_auto_does_without() -> None:
    bank = one_scaffold(12, 1)
    assert fit_parts(bank).kinds == ()
    chosen = choose_priors("auto", bank, [Parts("m1", "only")])[0]
    assert chosen.name == "population"
    assert "every model is that of a single agent" in chosen.words[1]
    with pytest.raises(PlanError, match="no prior by parts"):
        choose_priors("parts", bank, [Parts("m1", "only")])


# --- rankings ---------------------------------------------------------------------------------


def test_the_best_is_found_and_its_probability_is_honest() -> None:
    said, right = [], []
    for seed in range(20):
        world = World(seed, models=6, scaffolds=5, share=0.7)
        ranking = rank_parts(world.bank, fit_parts(world.bank), "scaffold")
        best = max(ranking.effects, key=lambda e: -1 if math.isnan(e.best) else e.best)
        names = [e.name for e in ranking.effects]
        truth = max(names, key=lambda name: world.scaffold[int(name.split()[1])])
        said.append(best.best)
        right.append(best.name == truth)
        assert sum(e.best for e in ranking.effects if not e.confounded) == pytest.approx(1)
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.25)


def test_intervals_of_effects_cover_as_they_say() -> None:
    inside: list[bool] = []
    for seed in range(20):
        world = World(seed, models=10, scaffolds=8, share=0.4)
        ranking = rank_parts(world.bank, fit_parts(world.bank), "scaffold")
        truth = {e.name: world.scaffold[int(e.name.split()[1])] for e in ranking.effects}
        average = np.average(list(truth.values()), weights=[e.agents for e in ranking.effects])
        inside.extend(e.low < truth[e.name] - average < e.high for e in ranking.effects)
    assert 0.85 < np.mean(inside) < 0.96


def test_a_model_in_a_scaffold_of_its_own_is_confounded() -> None:
    world = World(11)
    alone = shrunk("alone", 3.0, 0.1, "2024-05", "solo", "its own")
    bank = replace(world.bank, calibrants=(*world.bank.calibrants, alone))
    fit = fit_parts(bank)
    for by, name in (("model", "solo"), ("scaffold", "its own")):
        ranking = rank_parts(bank, fit, by)  # type: ignore[arg-type]
        found = {e.name: e for e in ranking.effects}
        assert found[name].confounded
        assert math.isnan(found[name].best)
        tied = [e for e in found.values() if e.agents > 1]
        assert found[name].sd > max(e.sd for e in tied)
        assert any("share no" in text for text in sentences(ranking))
        assert sum(share for _, share in ranking.shares) == pytest.approx(1)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["x", "y", "z", ""])), min_size=1)
)
def test_islands_are_the_parts_that_paths_tie(pairs: list[tuple[str, str]]) -> None:
    groups = islands(shared_partners(pairs), pairs)
    where = {part: n for n, group in enumerate(groups) for part in group}
    assert len(where) == sum(map(len, groups))
    for (one, left), (other, right) in product(pairs, pairs):
        if one != other and left and left == right:
            assert where[one] == where[other]
    assert all(len(group) > 1 for group in groups)


def test_agents_of_other_outcomes_can_be_ranked_on_a_bank() -> None:
    world = World(12)
    rng = np.random.default_rng(0)
    ability = np.array([world.agents[p] for p in world.kept])
    slope, difficulty = 1.2, -np.linspace(-2, 2, 9)
    chance = 1 / (1 + np.exp(-slope * (ability[:, None] - difficulty)))
    found = from_matrix(
        (rng.random(chance.shape) < chance).astype(int), items=[i.id for i in ITEMS]
    )
    found = replace(
        found,
        llm=tuple(p.llm for p in world.kept),
        scaffold=tuple(p.scaffold for p in world.kept),
        date=tuple(p.date for p in world.kept),
    )
    bank = measured_bank(world.bank, found)
    assert [parts_of(c) for c in bank.calibrants] == world.kept
    assert rank_parts(bank, fit_parts(bank), "model").agents == len(world.kept)


# --- predictions ------------------------------------------------------------------------------


def test_unseen_pairs_are_those_nobody_is_made_of() -> None:
    world = World(13, models=6, scaffolds=4, share=0.7)
    fit = fit_parts(world.bank)
    pairs = {(p.llm, p.scaffold) for p in unseen_pairs(fit)}
    known = {(p.llm, p.scaffold) for p in world.kept}
    models, scaffolds = ({pair[k] for pair in known} for k in (0, 1))
    assert pairs == set(product(models, scaffolds)) - known


def test_predicted_scores_follow_ability_and_hold_it() -> None:
    world = World(14)
    found = predict_agents(world.bank, fit_parts(world.bank), world.open[:12])
    order = sorted(found, key=lambda one: one.ability)
    scores = [one.score for one in order]
    assert np.corrcoef(scores, range(len(scores)))[0, 1] > 0.8
    for one in found:
        assert one.low < one.ability < one.high
        assert 0 <= one.score_low < one.score < one.score_high <= 1
    assert predict_agents(world.bank, fit_parts(world.bank), ()) == ()
    with pytest.raises(PlanError, match="level"):
        predict_agents(world.bank, fit_parts(world.bank), world.open[:1], level=90)


# --- tables, files and calibration ------------------------------------------------------------


def test_parts_survive_files_calibration_and_leave_the_hash(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    passed = rng.random((30, 8)) < 0.3 + 0.4 * (np.arange(30) % 3 == 0)[:, None]
    logged = replace(
        from_matrix(passed.astype(int)),
        llm=tuple(f"m{k % 3}" for k in range(30)),
        scaffold=tuple("s" * (k % 2) for k in range(30)),
    )
    bank = calibrate(logged, "1pl", name="told").bank
    assert [c.llm for c in bank.calibrants] == list(logged.llm)
    save_bank(bank, tmp_path / "bank")
    back = load_bank(tmp_path / "bank")
    assert back.calibrants == bank.calibrants
    heads = (tmp_path / "bank" / "agents.csv").read_text().splitlines()[0]
    assert heads == "agent,ability1,sd1,llm,scaffold"
    bare = calibrate(replace(logged, llm=("",) * 30, scaffold=("",) * 30), "1pl", name="told").bank
    assert bare.hash == bank.hash
    table = tmp_path / "agents.csv"
    table.write_text("agent,llm,date\nagent0,new,2025-01\n")
    told = bank_with_parts(bank, table)
    assert (told.calibrants[0].llm, told.calibrants[0].scaffold) == ("new", "")
    assert told.calibrants[1] == bank.calibrants[1]
    save_calibrants(told, tmp_path / "bank")
    assert load_bank(tmp_path / "bank").calibrants == told.calibrants
    assert load_bank(tmp_path / "bank").hash == bank.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent,llm,use\nx,o3,?\n", "nobody has confirmed this row"),
        ("agent,llm,use\nx,o3,yes\ny,o3,\n", "nobody has confirmed this row"),
        ("agent,llm,use\nx,o3,no\n", "says nothing of any agent"),
        ("agent,date\nx,May\n", "agent 'x': 'May' is not a date"),
        ("agent,llm\nz,o3\n", "no agent of it is in the outcomes"),
        ("name,llm\nx,o3\n", "column 'agent' is missing"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "agents.csv"
    table.write_text(text)
    with pytest.raises(ResponsesError, match=message):
        with_parts(from_matrix(np.array([[1], [0]]), agents=["x", "y"]), table)


def test_what_the_table_leaves_blank_stays(tmp_path: Path) -> None:
    table = tmp_path / "agents.csv"
    table.write_text("agent,llm,scaffold,use\nx,,goose,yes\ny,no such,,no\n")
    before = replace(from_matrix(np.array([[1], [0]]), agents=["x", "y"]), llm=("o3", "o4"))
    found = with_parts(before, table)
    assert (found.llm, found.scaffold) == (("o3", "o4"), ("goose", ""))


@pytest.mark.parametrize(
    ("name", "llm", "scaffold", "date"),
    [
        (
            "20250522_sweagent_claude-4-sonnet-20250514",
            "claude-4-sonnet",
            "SWE-agent",
            "2025-05-22",
        ),
        ("claude-code_minimax-m2_1_at_minimax", "minimax-m2_1", "Claude Code", ""),
        ("codex_gpt-5_1-codex-max_at_openai", "GPT-5.1-Codex-Max", "Codex", ""),
        ("terminus-2_openai/gpt-oss-20b_at_together_ai", "gpt-oss-20b", "Terminus 2", ""),
        ("warp_claude-haiku-4-5_at_anthropic,gpt-5_2_at_openai", "", "warp", ""),
        ("20240820_honeycomb", "", "", "2024-08-20"),
        ("goose_claude-opus-4-5-20251101_at_anthropic", "Claude Opus 4.5", "Goose", ""),
    ],
)
def test_names_are_taken_apart_for_review(name: str, llm: str, scaffold: str, date: str) -> None:
    known = ["GPT-5", "GPT-5.1", "GPT-5.1-Codex-Max", "Claude Opus 4.5"]
    (row,) = suggest_parts([(name, Parts())], known)
    assert row.parts == Parts(llm, scaffold, date)
    assert row.reason


def test_what_is_known_is_not_guessed_again() -> None:
    given = Parts("my model", "", "2020")
    (row,) = suggest_parts([("20250522_goose_gpt-5", given)])
    assert row.parts == Parts("my model", "Goose", "2020")


@given(st.lists(st.text(max_size=30), unique=True, max_size=5))
def test_any_name_gets_a_row(names: list[str]) -> None:
    rows = suggest_parts([(name, Parts()) for name in names])
    assert [row.agent for row in rows] == names


def test_a_suggestion_must_be_confirmed_and_is_not_overwritten(tmp_path: Path) -> None:
    table = tmp_path / "agents.csv"
    rows = suggest_parts([("goose_gpt-5", Parts())])
    write_suggestions(rows, table)
    logged = from_matrix(np.array([[1]]), agents=["goose_gpt-5"])
    with pytest.raises(ResponsesError, match="nobody has confirmed"):
        with_parts(logged, table)
    with pytest.raises(InputError, match="exists"):
        write_suggestions(rows, table)
    table.write_text(table.read_text().replace("?", "yes"))
    assert with_parts(logged, table).llm == ("gpt-5",)


# --- shipped banks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known", "kinds"),
    [
        ("swebench-verified", 61, ("model", "scaffold")),
        ("terminal-bench-2", 56, ("model", "scaffold")),
        ("odcv", 21, ()),
        ("lyptus-cyber", 12, ()),
    ],
)
def test_shipped_banks_know_their_agents(name: str, known: int, kinds: tuple[str, ...]) -> None:
    bank = load_bank(name)
    assert sum(bool(c.llm) for c in bank.calibrants) == known
    assert fit_parts(bank).kinds == kinds
