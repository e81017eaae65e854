"""Posterior draws of items and abilities by the No-U-Turn sampler (Hoffman & Gelman 2014).

With few agents the posterior of an item is wide and skewed, and depends on how items are spread as
a whole, which few agents do not tell exactly either. :func:`harness.calibrate.calibrate` describes
each item by a Gaussian, with the prior of the items held at its estimate. Here everything is drawn
together: abilities, items, and the prior that the items come from. That takes up to minutes where
``calibrate`` takes a fraction of a second, and needs numpyro, an extra that is imported on use.

The model, for one ability:

- Abilities are ``N(0, 1)``, then standardised: in every draw the agents with answers have mean 0
  and sd 1. That is the scale of ``calibrate``. It is done inside the model; done to the draws
  afterwards it would mean the same, but the sampler would have to move all items whenever it moves
  the agents, and would mix several times slower.
- Items of one model and one number of categories are a block. ``(location, log a, shape)`` is
  multivariate normal over the items of a block; its mean, sds and correlations are drawn, too. With
  difficulties ``b_k = -d_k / a``, the location is their mean, and the shape is how they go on from
  one to the next: the differences ``b_{k+1} - b_k`` of partial credit items, and the logs of these
  for graded items, which keeps thresholds in order.
- 1PL, PCM and RSM items share one slope, and the rating scale items of a block one shape.
- Asymptotes have the independent priors of :class:`harness.calibrate.Priors`.
- On request, an agent × item effect ``N(0, σ²)`` in logits, which all trials of a cell share.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from harness.bank import Calibrant, ItemBank, parameter_names
from harness.calibrate.assemble import calibrants
from harness.calibrate.choices import make_choices
from harness.calibrate.connect import check_connected
from harness.calibrate.priors import Priors
from harness.calibrate.sample_model import Cells, blocks_of, cells_of, joint_model, sites_shown
from harness.errors import BankError, InputError, ResponsesError
from harness.irt import Array, Model
from harness.responses import Responses

Progress = Callable[[int, int], None]
"""Called with the iterations done and those to be done, of all chains together."""

_CHUNK = 50
"""At most so many iterations between two calls of ``progress``."""
_ACCEPT = 0.9
"""Aimed-at acceptance rate; the usual 0.8 lets banks of few items diverge now and then."""
_DEPTH_OF_WARMUP, _DEPTH = 7, 10
"""Doublings of a trajectory. Before the first adaptation it would be far longer than is of use."""
_FEWEST_DRAWS, _FEWEST_AGENTS = 50, 3
_LOW = float(ndtr(-1.0))
_MOST_RHAT, _FEWEST_EFFECTIVE = 1.01, 400.0
"""Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021)."""


@dataclass(frozen=True, eq=False)
class Draws:
    """S draws from the posterior, chain after chain."""

    models: Mapping[str, Model]
    """By item."""
    parameters: Mapping[str, Array]
    """``(S, p)`` by item: the unconstrained vector of :func:`harness.bank.parameter_names`."""
    agents: tuple[str, ...]
    abilities: Array
    """``(S, A)``."""
    effect_sd: Array | None
    """``(S,)`` sd σ of the agent × item effect in logits; None where it was left out."""
    hyperparameters: Mapping[str, Array]
    """``mean (S, h)``, ``sd (S, h)`` and ``correlation (S, h, h)`` of ``(location, log a, shape)``
    over the items of a block, as ``BLOCK: mean``; without log a where the slope is common. Empty
    where priors were given."""
    chains: int
    warmup: int
    standardised: bool
    """Agents have mean 0 and sd 1 in every draw."""
    program: str
    """Name and version of the sampler."""
    rhat: float
    """Largest split R-hat of normal scores, of items, abilities and hyperparameters."""
    ess: float
    """Smallest bulk effective sample size of the same."""
    divergences: int
    seconds: float
    """Compilation counted in."""

    def gaussian(self, item: str) -> tuple[Array, Array]:
        """Mean ``(p,)`` and covariance ``(p, p)`` of a Gaussian like the draws of an item.

        It has their medians, the distance of their 16% and 84% quantiles, and the correlation of
        their normal scores: those of the draws where they are Gaussian themselves. With few agents
        intercepts have a heavy tail, and a Gaussian with all of their variance would make items
        nearly uninformative. Medians of thresholds that are in order are in order.

        Raises:
            InputError: the item was not drawn.
        """
        if item not in self.parameters:
            raise InputError(
                f"item {item!r} is not among the {len(self.parameters)} items with draws"
            )
        drawn = self.parameters[item]
        low, median, high = np.quantile(drawn, [_LOW, 0.5, 1 - _LOW], axis=0)
        sd = (high - low) / 2
        correlation = np.corrcoef(_normal_scores(drawn).T)
        return median, correlation * np.outer(sd, sd)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why not to trust the draws, each with what to do about it."""
        found = []
        if self.rhat > _MOST_RHAT:
            found.append(
                f"the chains do not agree (R-hat {self.rhat:.3f}, above {_MOST_RHAT}): give them "
                "more warm-up and more draws"
            )
        if self.ess < _FEWEST_EFFECTIVE:
            found.append(
                f"draws are worth only {self.ess:.0f} independent ones, fewer than "
                f"{_FEWEST_EFFECTIVE:.0f}: take more draws"
            )
        if self.divergences:
            found.append(
                f"{self.divergences} of {len(self.abilities)} draws diverged, so a part of the "
                "posterior may be missing: choose a model with fewer parameters, or give priors"
            )
        return tuple(found)


def sample_posterior(
    responses: Responses,
    models: Model | Mapping[str, Model],
    *,
    warmup: int = 500,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
    dispersion: bool = False,
    priors: Priors | None = None,
    standardise: bool = True,
) -> Draws:
    """Draw items and abilities from their joint posterior, for one ability.

    Runs on the CPU in double precision, which it sets for all of the process; chains run one after
    the other, or at the same time on the devices that JAX was given. Results are the same for the
    same seed, machine and versions. It holds ``8 · chains · draws`` bytes for each parameter and
    agent; agent × item effects are averaged out on the way.

    Args:
        responses: outcomes; missing cells are left out, and items without any.
        models: one for all items, or one by item.
        warmup: iterations of each chain that only tune the sampler.
        draws: of each chain.
        chains: independent ones, whose agreement is the check of the draws.
        seed: of all randomness.
        progress: called about every 50 iterations.
        dispersion: draw an agent × item effect, so that several trials of a cell are not as many
            independent facts.
        priors: independent priors of items; None draws the prior along with the items.
        standardise: agents with answers have mean 0 and sd 1 in every draw; False leaves the scale
            to the prior of abilities, N(0, 1).

    Raises:
        InputError: numpyro is not installed, too few draws, or improper priors.
        ResponsesError: data without a common scale, fewer than three agents to standardise, items
            that the model cannot describe, or an effect without repeated trials.
    """
    began = time.perf_counter()
    _check_length(warmup, draws, chains)
    _check_proper(priors)
    seen = responses.attempts.any(axis=0)
    responses = responses.subset(items=np.array(responses.items)[seen].tolist())
    check_connected(responses, frozenset())
    choices = make_choices(responses, models, priors, 1, dispersion, None, False)
    answering = np.asarray(responses.attempts.any(axis=1))
    if standardise and answering.sum() < _FEWEST_AGENTS:
        raise ResponsesError(
            f"{responses.source}: {answering.sum()} agents with answers, but it takes "
            f"{_FEWEST_AGENTS} to standardise draws; bring more agents"
        )
    numpyro = _load()
    blocks = blocks_of(choices.models, responses.n_categories)
    counts = responses.counts()
    sites, diverging = _run(
        joint_model(blocks, answering, priors, dispersion, standardise),
        tuple(cells_of(block, counts) for block in blocks),
        sites_shown(blocks, priors, dispersion),
        warmup=warmup,
        draws=draws,
        chains=chains,
        seed=seed,
        progress=progress,
    )
    checks = [_diagnose(values) for values in sites.values()]
    drawn = {name: values.reshape(-1, *values.shape[2:]) for name, values in sites.items()}
    position = {int(item): (block, row) for block in blocks for row, item in enumerate(block.items)}
    where = [position[i] for i in range(len(responses.items))]
    return Draws(
        models=dict(zip(responses.items, choices.models, strict=True)),
        parameters={
            item: drawn[f"{block.name}: items"][:, row]
            for item, (block, row) in zip(responses.items, where, strict=True)
        },
        agents=responses.agents,
        abilities=drawn["abilities"],
        effect_sd=drawn.get("effect sd"),
        hyperparameters={
            name: values
            for name, values in drawn.items()
            if name.endswith((": mean", ": sd", ": correlation"))
        },
        chains=chains,
        warmup=warmup,
        standardised=standardise,
        program=f"numpyro {numpyro.__version__}, NUTS",
        rhat=max(rhat for rhat, _ in checks),
        ess=min(ess for _, ess in checks),
        divergences=int(diverging.sum()),
        seconds=time.perf_counter() - began,
    )


def to_bank(bank: ItemBank, draws: Draws) -> ItemBank:
    """A calibrated bank with items and agents as drawn.

    Items get the Gaussians of :meth:`Draws.gaussian`, agents their means and sds. How the draws
    were made, and what speaks against them, goes into the provenance.

    Args:
        bank: calibrated from the same responses.

    Raises:
        BankError: the bank has several abilities, another scale, or items that were not drawn.

    >>> from harness.bank import Item
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),))
    >>> parameters = np.random.default_rng(0).normal([0.5, -1.0], 0.1, (400, 2))
    >>> ability = np.tile([-1.0, 1.0], (400, 1))
    >>> drawn = Draws({"i": "2pl"}, {"i": parameters}, ("a", "b"), ability, None, {}, 4, 100,
    ...     True, "numpyro", 1.0, 400.0, 0, 1.0)
    >>> item = to_bank(bank, drawn).items[0]
    >>> round(item.slopes[0], 1), round(item.intercepts[0], 1)
    (1.6, -1.0)
    """
    _check_bank(bank, draws)
    effect_sd = 0.0 if draws.effect_sd is None else float(draws.effect_sd.mean())
    items = []
    for item in bank.items:
        mean, covariance = draws.gaussian(item.id)
        steps = len(item.intercepts)
        asymptotes = expit(mean[1 + steps :])
        items.append(
            replace(
                item,
                slopes=_digits(np.exp(mean[:1])),
                intercepts=_digits(mean[1 : 1 + steps]),
                lower=_digits(asymptotes)[0] if len(asymptotes) > 0 else item.lower,
                upper=_digits(asymptotes)[1] if len(asymptotes) > 1 else item.upper,
                covariance=tuple(_digits(row) for row in covariance),
                effect_sd=_digits([effect_sd])[0],
            )
        )
    facts: dict[str, Any] = {
        "program": draws.program,
        "chains": draws.chains,
        "warmup_of_each": draws.warmup,
        "draws": len(draws.abilities),
        "agents_standardised_in_every_draw": draws.standardised,
        "largest_rhat": round(draws.rhat, 4),
        "smallest_effective_sample_size": round(draws.ess),
        "divergences": draws.divergences,
    }
    facts |= {"warnings": list(draws.warnings)} if draws.warnings else {}
    ability, sd = draws.abilities.mean(axis=0), draws.abilities.std(axis=0, ddof=1)
    known = {calibrant.agent: calibrant for calibrant in bank.calibrants}
    told = [known.get(agent, Calibrant(agent, (), ())) for agent in draws.agents]
    return replace(
        bank,
        items=tuple(items),
        calibrants=calibrants(
            draws.agents,
            ability[:, None],
            sd[:, None],
            *([getattr(one, name) for one in told] for name in ("date", "llm", "scaffold")),
        ),
        provenance={**bank.provenance, "items_at": "medians of draws", "sampler": facts},
    )


def _digits(numbers: Sequence[float] | Array) -> tuple[float, ...]:
    """Six significant digits, as ``calibrate`` writes them."""
    return tuple(float(f"{x:.6g}") for x in numbers)


# --- what cannot be used ------------------------------------------------------------------------


def _check_length(warmup: int, draws: int, chains: int) -> None:
    if warmup < 1 or chains < 1 or draws < _FEWEST_DRAWS:
        raise InputError(
            f"a sampler needs at least 1 chain, 1 iteration of warm-up and {_FEWEST_DRAWS} draws a "
            f"chain, not {chains}, {warmup} and {draws}"
        )


def _check_proper(priors: Priors | None) -> None:
    if priors is None:
        return
    for name in ("log_a", "d", "logit_lower", "logit_upper", "log_effect_sd"):
        sd = getattr(priors, name).sd
        if not 0 < sd < math.inf:
            raise InputError(
                f"the prior of {name} has sd {sd:g}, but a posterior to draw from takes proper "
                "priors: give it a finite sd above 0"
            )


def _check_bank(bank: ItemBank, draws: Draws) -> None:
    if len(bank.mean) != 1:
        raise BankError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities: draws are for one ability only"
        )
    if abs(bank.mean[0]) > 1e-3 or abs(bank.sd[0] - 1) > 1e-3:
        raise BankError(
            f"bank {bank.name!r} has a population of mean {bank.mean[0]:g} and sd {bank.sd[0]:g}: "
            "draws are on the scale of their own agents, mean 0 and sd 1; calibrate without anchors"
        )
    for item in bank.items:
        if item.id not in draws.parameters:
            raise BankError(
                f"bank {bank.name!r}, item {item.id!r}: there are no draws of it; draw from the "
                "responses that the bank was calibrated from"
            )
        size = draws.parameters[item.id].shape[1]
        if draws.models[item.id] != item.model or size != len(parameter_names(item)):
            raise BankError(
                f"bank {bank.name!r}, item {item.id!r}: a {item.model} item with "
                f"{len(item.intercepts) + 1} categories, but draws are of a "
                f"{draws.models[item.id]} item with {size} parameters"
            )


# --- the sampler --------------------------------------------------------------------------------


def _load() -> Any:
    """numpyro, set to double precision on the CPU.

    Raises:
        InputError: it is not installed.
    """
    try:
        import numpyro
    except ModuleNotFoundError as missing:
        raise InputError(
            f"drawing from the posterior needs {missing.name}, which is not installed: "
            "pip install 'cat-harness[sampler]'"
        ) from None
    numpyro.set_platform("cpu")
    numpyro.enable_x64()
    return numpyro


def _run(
    model: Callable[[Sequence[Cells]], None],
    data: tuple[Cells, ...],
    shown: Sequence[str],
    *,
    warmup: int,
    draws: int,
    chains: int,
    seed: int,
    progress: Progress | None,
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """``(chains, draws, …)`` of each site that is shown, and ``(chains, draws)`` divergences.

    All chains share one compiled program of a few iterations, so that they can be followed and
    interrupted, and only what is shown is kept.
    """
    import jax
    from numpyro.infer import NUTS

    kernel = NUTS(
        model,
        target_accept_prob=_ACCEPT,
        max_tree_depth=(_DEPTH_OF_WARMUP, _DEPTH),
    )
    size = max(n for n in range(1, _CHUNK + 1) if warmup % n == 0 and draws % n == 0)

    @jax.jit  # type: ignore[untyped-decorator,unused-ignore]
    def start(key: Any, cells: Any, unconstrained: Any = None) -> Any:
        return kernel.init(key, warmup, unconstrained, model_args=(cells,))

    @jax.jit  # type: ignore[untyped-decorator,unused-ignore]
    def advance(state: Any, cells: Any) -> Any:
        def iterate(state: Any, _: None) -> tuple[Any, Any]:
            state = kernel.sample(state, (cells,), {})
            sites = kernel.postprocess_fn((cells,), {})(state.z)
            return state, ({name: sites[name] for name in shown}, state.diverging)

        return jax.lax.scan(iterate, state, None, length=size)

    # chains start apart, as their agreement is to mean something
    rng, devices = np.random.default_rng(seed), jax.local_devices()
    keys = jax.random.split(jax.random.PRNGKey(seed), chains)
    sizes = {name: z.shape for name, z in jax.eval_shape(start, keys[0], data).z.items()}
    states = [
        jax.device_put(
            start(key, data, {name: rng.uniform(-1.0, 1.0, size) for name, size in sizes.items()}),
            devices[chain % len(devices)],
        )
        for chain, key in enumerate(keys)
    ]
    kept: list[list[Any]] = [[] for _ in range(chains)]
    for done in range(size, warmup + draws + 1, size):
        advanced = [advance(state, data) for state in states]
        states = [state for state, _ in advanced]
        if done > warmup:
            for of_chain, (_, shown_sites) in zip(kept, advanced, strict=True):
                of_chain.append(jax.device_get(shown_sites))
        if progress is not None:
            jax.device_get(states[-1].i)
            progress(done * chains, (warmup + draws) * chains)
    by_chain = [jax.tree.map(lambda *parts: np.concatenate(parts), *rows) for rows in kept]
    sites, diverging = jax.tree.map(lambda *parts: np.stack(parts), *by_chain)
    return sites, diverging


def _diagnose(drawn: Array) -> tuple[float, float]:
    """Largest split R-hat and smallest bulk effective sample size of ``(chains, draws, …)``.

    Both of normal scores (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021). What never moves,
    such as the diagonal of a correlation, has neither, and counts as fine.
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    chains, draws = drawn.shape[:2]
    flat = drawn.reshape(chains * draws, -1)
    flat = flat[:, np.ptp(flat, axis=0) > 1e-9]
    if not flat.size:
        return 1.0, float(chains * draws)
    normal = _normal_scores(flat).reshape(chains, draws, -1)
    half = draws // 2
    halves = np.concatenate([normal[:, :half], normal[:, -half:]])
    return float(split_gelman_rubin(normal).max()), float(effective_sample_size(halves).min())


def _normal_scores(drawn: Array) -> Array:
    """What standard normal draws ``(S, n)`` of the same ranks would be, on average (Blom 1958)."""
    ranks = drawn.argsort(axis=0).argsort(axis=0) + 1
    return np.asarray(ndtri((ranks - 0.375) / (len(drawn) + 0.25)))
