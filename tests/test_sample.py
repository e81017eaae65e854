"""The sampler: its model against densities written down again, its draws against quadrature."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import lognorm, multivariate_normal, norm

from harness import irt
from harness.bank import Item, ItemBank, parameter_names
from harness.bank_files import load_bank, save_bank
from harness.calibrate import Normal, Priors, calibrate
from harness.calibrate import sample as sampling
from harness.calibrate.sample import Draws, sample_posterior, to_bank
from harness.calibrate.sample_model import Block, blocks_of, cells_of, joint_model, log_likelihood
from harness.errors import BankError, InputError, ResponsesError
from harness.irt import Array, Model
from harness.responses import Responses, from_matrix

needs_numpyro = pytest.mark.skipif(
    importlib.util.find_spec("numpyro") is None,
    reason="numpyro is not installed: pip install 'cat-harness[sampler]'",
)


def with_trials(counts: Array, n_categories: list[int]) -> Responses:
    """Responses from counts ``(A, n, K)``: each outcome a trial of its own."""
    agent, item, category = np.nonzero(counts)
    times = counts[agent, item, category].astype(int)
    agent, item, category = (np.repeat(x, times) for x in (agent, item, category))
    cell = agent * counts.shape[1] + item
    trial = np.array([int((cell[:row] == cell[row]).sum()) for row in range(len(cell))])
    start = from_matrix(np.zeros(counts.shape[:2]), n_categories=n_categories)
    unknown = np.full(len(cell), np.nan)
    return replace(
        start,
        agent=agent,
        item=item,
        trial=trial,
        category=category,
        usd=unknown,
        seconds=unknown,
        tokens=unknown,
        turns=unknown,
    )


def draws_of(parameters: dict[str, Array], models: dict[str, Model], **changes: Any) -> Draws:
    size = len(next(iter(parameters.values())))
    ability = np.random.default_rng(1).normal(size=(size, 2))
    plain = Draws(
        models, parameters, ("a", "b"), ability, None, {}, 4, 100, True, "x", 1.0, 500.0, 0, 1.0
    )
    return replace(plain, **changes)


# --- the model ----------------------------------------------------------------------------------

SHAPES: list[tuple[Model, int]] = [
    ("2pl", 2),
    ("3pl", 2),
    ("4pl", 2),
    ("grm", 2),
    ("grm", 4),
    ("gpcm", 2),
    ("gpcm", 4),
]
AGENTS, ITEMS = 5, 3


@needs_numpyro
@pytest.mark.parametrize(("model", "k"), SHAPES)
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1), sparse=st.booleans(), effects=st.booleans())
def test_the_likelihood_is_that_of_irt(
    model: Model, k: int, seed: int, sparse: bool, effects: bool
) -> None:
    sampling._load()
    rng = np.random.default_rng(seed)
    block = Block(model, k - 1, np.arange(ITEMS))
    counts = rng.poisson(0.3 if sparse else 2.0, (AGENTS, ITEMS, k)).astype(float)
    if sparse:
        counts[1:] = 0.0
    cells = cells_of(block, counts)
    ability = rng.normal(size=AGENTS)
    d = -np.sort(-rng.normal(0, 2, (ITEMS, k - 1)), axis=1)
    asymptotes = rng.normal((-2.0, 2.0), 0.3, (ITEMS, 2))[:, : block.asymptotes]
    x = np.column_stack([rng.normal(0, 0.5, ITEMS), d, asymptotes])
    effect = rng.normal(size=(ITEMS, AGENTS)) if effects else np.zeros((ITEMS, AGENTS))
    of_cells = effect if cells.item is None else effect[cells.item, cells.agent]
    found = log_likelihood(block.kind, cells, ability, x, of_cells)

    expected = 0.0
    limits = 1 / (1 + np.exp(-np.column_stack([asymptotes, np.full((ITEMS, 2), np.inf)])))
    lower = limits[:, 0] if block.asymptotes else np.zeros(ITEMS)
    for item in range(ITEMS):
        # an effect moves the ability by its share of the slope
        slope = np.exp(x[item, :1])
        log_p, _ = irt.response(
            block.kind,
            slope[None],
            d[item][None],
            lower[item : item + 1],
            limits[item : item + 1, 1],
            (ability + effect[item] / slope)[:, None],
        )
        expected += float((counts[:, item].T * log_p[0]).sum())
    assert (cells.item is None) == (counts.any(axis=2).mean() >= 1 / 3)
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def log_joint(model: Any, cells: Any, sites: dict[str, Array]) -> float:
    from numpyro.infer.util import log_density

    return float(log_density(model, ((cells,),), {}, sites)[0])


@needs_numpyro
@pytest.mark.parametrize("model", ["grm", "gpcm"])
def test_given_priors_are_priors_of_the_intercepts(model: Model) -> None:
    """Up to a constant, the density over what is drawn is the prior times the determinant of the
    change of variables, found by differences."""
    sampling._load()
    priors = Priors(log_a=Normal(0.2, 0.4), d=Normal(0.5, 1.5), gap=0.7)
    block = Block(model, 3, np.arange(1))
    cells = cells_of(block, np.zeros((3, 1, 4)) + np.eye(4)[[[0], [2], [3]]])
    program = joint_model([block], np.ones(3, bool), priors, False, False)
    name = block.name

    def intercepts(location: Array, shape: Array) -> Array:
        change = np.exp(shape) if model == "grm" else shape
        path = np.concatenate([[0.0], np.cumsum(change)])
        return -(location + path - path.mean())

    def oracle(ability: Array, log_a: Array, location: Array, shape: Array) -> float:
        d = intercepts(location, shape)
        point, step = np.concatenate([location, shape]), 1e-5
        columns = [
            (intercepts((point + e)[:1], (point + e)[1:]) - d) / step for e in np.eye(3) * step
        ]
        _, log_det = np.linalg.slogdet(np.array(columns))
        total = norm.logpdf(ability).sum() + norm.logpdf(log_a, 0.2, 0.4).sum() + log_det
        total += norm.logpdf(d, 0.5, 1.5).sum()
        if model == "grm":
            gaps = d[:-1] - d[1:]
            total += 0.7 * (np.log(gaps) - gaps).sum()
        log_p, _ = irt.response(
            block.kind,
            np.exp(log_a)[:, None],
            d[None],
            np.zeros(1),
            np.ones(1),
            ability[:, None],
        )
        return float(total + (cells.counts[:, 0] * log_p[0]).sum())

    rng = np.random.default_rng(3)
    off = []
    for _ in range(4):
        ability, log_a, location, shape = (rng.normal(size=n) for n in (3, 1, 1, 2))
        sites = {
            "ability": ability,
            f"{name}: log a": log_a,
            f"{name}: location": location,
            f"{name}: shape": shape[None],
        }
        off.append(log_joint(program, cells, sites) - oracle(ability, log_a, location, shape))
    assert np.ptp(off) < 1e-4


@needs_numpyro
def test_items_come_from_the_multivariate_normal_that_is_drawn() -> None:
    sampling._load()
    block = Block("grm", 2, np.arange(2))
    cells = cells_of(block, np.zeros((3, 2, 3)))
    program = joint_model([block], np.ones(3, bool), None, False, True)
    name, m = block.name, 2
    rng = np.random.default_rng(4)
    ability, location, rest = rng.normal(size=3), rng.normal(size=m), rng.normal(size=(m, 2))
    mean, sd = rng.normal(size=3), np.exp(rng.normal(size=3))
    root = np.linalg.cholesky(np.corrcoef(rng.normal(size=(3, 9))))
    sites = {
        "ability": ability,
        f"{name}: mean": mean,
        f"{name}: sd": sd,
        f"{name}: factor": root,
        f"{name}: location": location,
        f"{name}: rest": rest,
    }
    factor = sd[:, None] * root
    first = (location - mean[0]) / sd[0]
    y = mean + np.column_stack([first, rest]) @ factor.T
    expected = multivariate_normal(mean, factor @ factor.T).logpdf(y).sum()
    # of the change from the units that are drawn to the parameters
    expected += m * np.linalg.slogdet(factor[1:, 1:])[1]
    expected += norm.logpdf(ability).sum()
    expected += norm.logpdf(mean, 0, [4.0, 0.75, 1.0]).sum()
    expected += lognorm.logpdf(sd, [0.75, 0.5, 0.5], scale=[2.0, 0.5, 0.5]).sum()
    # LKJ(2) of the factor of a 3 × 3 correlation: Π_k L_kk^(3 - k + 2(2 - 1)), k from 1
    expected += 3 * np.log(root[1, 1]) + 2 * np.log(root[2, 2])

    other = {**sites, f"{name}: rest": 0 * rest, f"{name}: factor": np.eye(3)}
    y_other = mean + np.column_stack([first, 0 * rest]) * sd
    flat = multivariate_normal(mean, np.diag(sd**2)).logpdf(y_other).sum()
    flat += m * np.log(sd[1:]).sum() + norm.logpdf(ability).sum()
    flat += norm.logpdf(mean, 0, [4.0, 0.75, 1.0]).sum()
    flat += lognorm.logpdf(sd, [0.75, 0.5, 0.5], scale=[2.0, 0.5, 0.5]).sum()
    found = log_joint(program, cells, sites) - log_joint(program, cells, other)
    assert found == pytest.approx(float(expected - flat), abs=1e-6)


def test_blocks_are_items_of_one_model_and_number_of_categories() -> None:
    models: list[Model] = ["2pl", "grm", "2pl", "grm", "grm"]
    blocks = blocks_of(models, np.array([2, 3, 2, 4, 3]))
    assert [(b.model, b.steps, b.items.tolist()) for b in blocks] == [
        ("2pl", 1, [0, 2]),
        ("grm", 2, [1, 4]),
        ("grm", 3, [3]),
    ]


# --- draws --------------------------------------------------------------------------------------


@needs_numpyro
def test_draws_have_the_moments_that_quadrature_finds() -> None:
    """Two items and six agents, all parameters integrated on a grid. The means of 4,000 draws may
    be off by four of their standard errors, for an effective size of no less than 1,000."""
    priors = Priors(log_a=Normal(0.3, 0.5), d=Normal(0.0, 1.5))
    answers = np.array([[0, 0], [0, 1], [1, 1], [1, 1], [1, -1], [0, 0]])
    log_a, d = np.linspace(-1.9, 2.5, 31), np.linspace(-6.5, 6.5, 41)
    points = np.array([(x, y) for x in log_a for y in d])
    log_prior = norm.logpdf(points[:, 0], 0.3, 0.5) + norm.logpdf(points[:, 1], 0.0, 1.5)
    nodes = np.linspace(-6, 6, 61)
    zero = np.zeros(len(points))
    log_p, _ = irt.response(
        "binary", np.exp(points[:, :1]), points[:, 1:], zero, zero + 1, nodes[:, None]
    )
    weights = norm.pdf(nodes) / norm.pdf(nodes).sum()
    likelihood = np.exp(np.concatenate([log_p, np.zeros((len(points), 1, 61))], axis=1))
    joint = log_prior[:, None] + log_prior
    for first, second in answers:
        joint += np.log((likelihood[:, first] * weights) @ likelihood[:, second].T)
    posterior = np.exp(joint - logsumexp(joint))
    marginals = (posterior.sum(axis=1), posterior.sum(axis=0))

    calls: list[tuple[int, int]] = []
    drawn = sample_posterior(
        from_matrix(answers),
        "2pl",
        priors=priors,
        standardise=False,
        warmup=300,
        seed=5,
        progress=lambda done, all_: calls.append((done, all_)),
    )
    assert drawn.warnings == ()
    assert drawn.ess > 1000
    for item, weight in zip(("item0", "item1"), marginals, strict=True):
        expected = weight @ points
        spread = np.sqrt(weight @ (points - expected) ** 2)
        found = drawn.parameters[item]
        assert np.abs(found.mean(axis=0) - expected) == pytest.approx(
            0, abs=4 * spread.max() / np.sqrt(1000)
        )
        assert found.std(axis=0) == pytest.approx(spread, rel=0.1)
    assert calls[-1] == (4 * 1300, 4 * 1300)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


MIXED: tuple[tuple[Model, int], ...] = (
    ("grm", 3),
    ("grm", 3),
    ("rsm", 3),
    ("rsm", 3),
)


@pytest.fixture(scope="module")
def mixed() -> Responses:
    """Seven agents on items of two models: three trials a cell, a quarter of the cells missing,
    one category and all outcomes of one agent never observed."""
    rng = np.random.default_rng(6)
    counts = np.zeros((8, len(MIXED), 3))
    for agent in range(7):
        for item, (_, k) in enumerate(MIXED):
            p = rng.dirichlet(np.ones(k) + np.arange(k) * agent / 3)
            counts[agent, item, :k] = rng.multinomial(3, p) * (rng.random() < 0.75)
    counts[:, 1, 1] += counts[:, 1, 2]
    counts[:, 1, 2] = 0.0
    return with_trials(counts, [k for _, k in MIXED])


@pytest.fixture(scope="module")
def mixed_draws(mixed: Responses) -> Draws:
    models = {item: model for item, (model, _) in zip(mixed.items, MIXED, strict=True)}
    return sample_posterior(mixed, models, dispersion=True, warmup=100, draws=100, chains=2, seed=7)


@needs_numpyro
def test_models_may_be_mixed(mixed: Responses, mixed_draws: Draws) -> None:
    drawn = mixed_draws
    size = 200
    assert drawn.abilities.shape == (size, 8)
    answering = drawn.abilities[:, :7]
    assert answering.mean(axis=1) == pytest.approx(0, abs=1e-12)
    assert answering.std(axis=1) == pytest.approx(1, abs=1e-12)
    # nothing is known of the last agent
    assert 0.5 < drawn.abilities[:, 7].std() < 1.5
    for item, (_, k) in zip(mixed.items, MIXED, strict=True):
        assert drawn.parameters[item].shape == (size, k)
    for item in ("item0", "item1"):
        assert (np.diff(drawn.parameters[item][:, 1:], axis=1) < 0).all()
    rating, other = drawn.parameters["item2"], drawn.parameters["item3"]
    assert (rating[:, 0] == other[:, 0]).all()
    assert np.diff(rating[:, 1:]) == pytest.approx(np.diff(other[:, 1:]))
    assert np.ptp(rating[:, 1] - other[:, 1]) > 0.1
    assert drawn.effect_sd is not None
    assert drawn.effect_sd.shape == (size,)
    assert (drawn.effect_sd > 0).all()
    assert drawn.hyperparameters["grm of 3 categories: correlation"].shape == (size, 3, 3)
    assert drawn.hyperparameters["rsm of 3 categories: sd"].shape == (size, 1)


@needs_numpyro
def test_a_bank_takes_over_the_draws(mixed: Responses, mixed_draws: Draws, tmp_path: Path) -> None:
    models = mixed_draws.models
    fitted = calibrate(mixed, dict(models), name="demo").bank
    bank = to_bank(fitted, mixed_draws)
    assert mixed_draws.effect_sd is not None
    for item in bank.items:
        mean, covariance = mixed_draws.gaussian(item.id)
        assert [np.log(item.slopes[0]), *item.intercepts] == pytest.approx(mean, rel=1e-4, abs=1e-5)
        assert item.covariance is not None
        assert np.array(item.covariance) == pytest.approx(covariance, rel=1e-4)
        assert item.effect_sd == pytest.approx(mixed_draws.effect_sd.mean(), rel=1e-4)
        assert fitted[item.id].categories == item.categories
    assert np.isfinite(bank.table.information).all()
    assert [c.agent for c in bank.calibrants] == list(mixed.agents)
    assert [c.ability[0] for c in bank.calibrants] == pytest.approx(
        mixed_draws.abilities.mean(axis=0), abs=1e-4
    )
    facts = bank.provenance["sampler"]
    assert facts["draws"] == 200
    assert facts["chains"] == 2
    assert facts["divergences"] == mixed_draws.divergences
    assert facts["warnings"] == list(mixed_draws.warnings)
    save_bank(bank, tmp_path / "bank")
    assert load_bank(str(tmp_path / "bank")).hash == bank.hash


@needs_numpyro
@pytest.mark.slow
def test_much_data_leaves_no_difference_to_the_mode_and_the_seed_decides_everything() -> None:
    rng = np.random.default_rng(8)
    ability, slope, b = rng.normal(size=1000), rng.lognormal(0.2, 0.4, 20), rng.normal(size=20)
    p = 1 / (1 + np.exp(-slope * (ability[:, None] - b)))
    responses = from_matrix((rng.random(p.shape) < p).astype(int))
    fitted = calibrate(responses, "2pl", name="demo").bank
    first, again = (
        sample_posterior(responses, "2pl", draws=500, chains=2, seed=9) for _ in range(2)
    )
    assert (first.abilities == again.abilities).all()
    for item in fitted.items:
        mean, covariance = first.gaussian(item.id)
        error = np.sqrt(np.diag(covariance))
        mode = np.array([np.log(item.slopes[0]), *item.intercepts])
        assert np.abs(mean - mode) == pytest.approx(0, abs=float(0.35 * error.max()))
        assert np.sqrt(np.diag(np.array(item.covariance))) == pytest.approx(error, rel=0.2)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_gaussian_of_an_item_is_that_of_gaussian_draws_and_heeds_no_tail(seed: int) -> None:
    """20,000 draws: medians and sds within 0.05, four times their standard errors and more."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3)) / 2 + np.eye(3)
    x = rng.normal(size=(20_000, 3)) @ root.T
    sd = np.sqrt(np.diag(root @ root.T))
    mean, covariance = draws_of({"i": x}, {"i": "grm"}).gaussian("i")
    assert mean / sd == pytest.approx(0, abs=0.05)
    assert covariance / np.outer(sd, sd) == pytest.approx(
        root @ root.T / np.outer(sd, sd), abs=0.05
    )
    # as far out as one likes: only ranks count
    tailed = np.where(np.abs(x) > 2 * sd, 1e6 * x, x)
    again = draws_of({"i": tailed}, {"i": "grm"}).gaussian("i")
    assert again[0] == pytest.approx(mean)
    assert again[1] == pytest.approx(covariance)


# --- what is wrong with draws -------------------------------------------------------------------


@needs_numpyro
def test_chains_that_differ_are_told_from_those_that_agree() -> None:
    """For 4 × 500 independent draws of 50 parameters R-hat stays below 1.01 in nearly all seeds;
    0.02 leaves room for this one."""
    rng = np.random.default_rng(10)
    agree = rng.normal(size=(4, 500, 50))
    rhat, ess = sampling._diagnose(agree)
    assert rhat < 1.02
    assert ess > 1000
    shifted = agree + (np.arange(50) == 3) * np.arange(4)[:, None, None]
    assert sampling._diagnose(shifted)[0] > 1.3
    slow = np.cumsum(agree, axis=1)
    assert sampling._diagnose(slow)[1] < 50
    assert sampling._diagnose(np.ones((4, 500, 2))) == (1.0, 2000.0)


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"rhat": 1.02}, "R-hat"), ({"ess": 399.0}, "independent"), ({"divergences": 2}, "diverged")],
)
def test_bad_draws_come_with_a_warning(changes: dict[str, Any], word: str) -> None:
    good = draws_of({"i": np.zeros((500, 2))}, {"i": "2pl"})
    assert good.warnings == ()
    (warning,) = replace(good, **changes).warnings
    assert word in warning
    assert ": " in warning


def test_draws_of_another_bank_are_refused() -> None:
    rng = np.random.default_rng(11)
    draws = draws_of({"i": rng.normal(size=(500, 2))}, {"i": "2pl"})
    item = Item("i", "2pl", (1.0,), (0.0,))
    assert to_bank(ItemBank("demo", (item,)), draws).items[0].covariance is not None
    with pytest.raises(BankError, match="one ability"):
        to_bank(
            ItemBank("demo", (replace(item, slopes=(1.0, 1.0)),), mean=(0, 0), sd=(1, 1)), draws
        )
    with pytest.raises(BankError, match="sd 2"):
        to_bank(ItemBank("demo", (item,), sd=(2.0,)), draws)
    with pytest.raises(BankError, match="'j': there are no draws"):
        to_bank(ItemBank("demo", (item, replace(item, id="j"))), draws)
    with pytest.raises(BankError, match="3pl"):
        to_bank(ItemBank("demo", (replace(item, model="3pl", lower=0.1),)), draws)
    with pytest.raises(InputError, match="'j'"):
        draws.gaussian("j")


@settings(max_examples=20)
@given(
    model=st.sampled_from(["1pl", "2pl", "3pl", "4pl", "grm", "gpcm", "pcm", "rsm"]),
    k=st.integers(2, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_draws_make_a_bank(model: Model, k: int, seed: int) -> None:
    """Thresholds that are in order in every draw are so in the mean, and asymptotes likewise."""
    rng = np.random.default_rng(seed)
    binary = irt.family(model) == "binary"
    k = 2 if binary else k
    labels = {"binary": ("fail", "pass"), "more": tuple(str(i) for i in range(k))}
    plain = Item(
        "i",
        model,
        (1.0,),
        tuple(-float(i) for i in range(k - 1)),
        lower=0.1 if model in ("3pl", "4pl") else 0.0,
        upper=0.9 if model == "4pl" else 1.0,
        categories="binary" if k == 2 else "more",
    )
    size = len(parameter_names(plain))
    x = rng.normal(0, 2, (60, size))
    x[:, 1:k] = -np.sort(-x[:, 1:k], axis=1)
    x[:, k:] = np.sort(x[:, k:], axis=1)
    bank = to_bank(ItemBank("demo", (plain,), labels), draws_of({"i": x}, {"i": model}))
    assert bank.items[0].covariance is not None
    assert np.isfinite(bank.table.information).all()


# --- what cannot be drawn from ------------------------------------------------------------------


def refused(match: str, error: type[Exception], answers: Any, **options: Any) -> None:
    responses = answers if isinstance(answers, Responses) else from_matrix(np.array(answers))
    with pytest.raises(error, match=match):
        sample_posterior(responses, **{"models": "2pl", **options})


def test_what_cannot_be_drawn_from_is_refused_in_words() -> None:
    answers = [[0, 1], [1, 0], [1, 1]]
    refused("50 draws", InputError, answers, draws=10)
    refused("1 chain", InputError, answers, chains=0)
    refused("prior of d", InputError, answers, priors=Priors(d=Normal(0.0, float("inf"))))
    refused("takes 3", ResponsesError, answers[:2])
    refused("several trials", ResponsesError, answers, dispersion=True)
    refused("3 categories", ResponsesError, [[0, 1], [2, 0], [1, 1]])
    refused("'item1'", ResponsesError, answers, models={"item0": "2pl"})
    refused("item", ResponsesError, [[0, -1], [1, -1], [-1, 1], [-1, 0]])


def test_without_numpyro_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpyro", None)
    refused(r"cat-harness\[sampler\]", InputError, [[0, 1], [1, 0], [1, 1]])


def test_importing_the_sampler_loads_neither_jax_nor_numpyro() -> None:
    code = "import sys, harness.calibrate.sample; print({'jax', 'numpyro'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr
