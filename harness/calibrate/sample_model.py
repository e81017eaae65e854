"""The joint model of abilities, items and their prior, as a numpyro program.

:mod:`harness.calibrate.sample` says what the model is. JAX arrays are Any here, so that the module
can be imported and checked without the packages that make them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness import irt
from harness.calibrate.blocks import ASYMPTOTES, COMMON_SLOPE
from harness.calibrate.priors import Priors
from harness.irt import Array, Family, Model

_DENSE = 1 / 3
"""From this share of observed cells on, computing all of them is faster than looking each up."""
# Weak beliefs about the prior of items, as those of calibrate where it has them: normal mean and sd
# of its mean, and median and log sd of its sd, which is lognormal.
_LOCATION = (0.0, 4.0, 2.0, 0.75)
_SLOPE = (0.0, 0.75, 0.5, 0.5)
_GRADED_SHAPE = (0.0, 1.0, 0.5, 0.5)
_STEP_SHAPE = (0.0, 2.0, 1.0, 0.75)


@dataclass(frozen=True, eq=False)
class Block:
    """m items with the same model and the same number of categories."""

    model: Model
    steps: int
    """Categories above the lowest, K - 1."""
    items: NDArray[np.intp]
    """``(m,)`` positions among the items of the responses."""

    @property
    def name(self) -> str:
        return f"{self.model} of {self.steps + 1} categories"

    @property
    def kind(self) -> Family:
        return irt.family(self.model)

    @property
    def own_slopes(self) -> bool:
        return self.model not in COMMON_SLOPE

    @property
    def shape(self) -> int:
        """Length of the shape of each item."""
        return 0 if self.model == "rsm" else self.steps - 1

    @property
    def asymptotes(self) -> int:
        """0, 1 (lower) or 2 (lower and upper) free asymptotes."""
        return ASYMPTOTES.get(self.model, 0)


class Cells(NamedTuple):
    """What was observed on a block.

    Categories come first: XLA compiles sums over a short last axis to code that is several times
    slower.
    """

    counts: Array
    """``(K, m, A)`` how often each category was observed, or ``(K, C)`` for C observed cells."""
    item: NDArray[np.intp] | None
    """``(C,)`` row in the block of each observed cell; None for all cells."""
    agent: NDArray[np.intp] | None


def blocks_of(models: Sequence[Model], n_categories: NDArray[np.intp]) -> list[Block]:
    """Blocks of items, from the model and the number of categories of each."""
    keys = list(zip(models, (n_categories - 1).tolist(), strict=True))
    return [
        Block(model, steps, np.array([i for i, key in enumerate(keys) if key == (model, steps)]))
        for model, steps in dict.fromkeys(keys)
    ]


def cells_of(block: Block, counts: Array) -> Cells:
    """The cells of a block, from the counts ``(A, n, K)`` of all items."""
    own = counts[:, block.items, : block.steps + 1].transpose(2, 1, 0)
    observed = own.any(axis=0)
    if observed.mean() >= _DENSE:
        return Cells(np.ascontiguousarray(own), None, None)
    item, agent = np.nonzero(observed)
    return Cells(np.ascontiguousarray(own[:, item, agent]), item, agent)


def joint_model(
    blocks: Sequence[Block],
    answering: NDArray[np.bool_],
    priors: Priors | None,
    dispersion: bool,
    standardise: bool,
) -> Callable[[Sequence[Cells]], None]:
    """The joint model as a numpyro program of the cells of each block."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    given = priors or Priors()

    def model(data: Sequence[Cells]) -> None:
        ability = numpyro.sample("ability", dist.Normal(0.0, 1.0).expand((len(answering),)))
        if standardise:
            known = ability[answering]
            ability = jnp.where(answering, (ability - known.mean()) / known.std(), ability)
        numpyro.deterministic("abilities", ability)
        common = sigma = None
        if not all(block.own_slopes for block in blocks):
            common = numpyro.sample("log a", dist.Normal(given.log_a.mean, given.log_a.sd))
        if dispersion:
            prior = given.log_effect_sd
            sigma = numpyro.sample("effect sd", dist.LogNormal(prior.mean, prior.sd))
        for block, cells in zip(blocks, data, strict=True):
            if priors is None:
                log_a, d = _hierarchical(block, common, given)
            else:
                log_a, d = _independent(block, common, given)
            x = jnp.column_stack([log_a, d, *_asymptotes(block, given)])
            numpyro.deterministic(f"{block.name}: items", x)
            effect = 0.0
            if dispersion:
                standard = dist.Normal(0.0, 1.0).expand(cells.counts.shape[1:])
                effect = sigma * numpyro.sample(f"{block.name}: effects", standard)
            numpyro.factor(
                f"{block.name}: answers", log_likelihood(block.kind, cells, ability, x, effect)
            )

    return model


def _hierarchical(block: Block, common: Any, given: Priors) -> tuple[Any, Any]:
    """Log slopes ``(m,)`` and intercepts ``(m, K-1)``, with their prior drawn too.

    The location is drawn as it is, as answers place it well. What they place badly is drawn in
    standard units of its prior, which may then become narrow without a funnel (Papaspiliopoulos,
    Roberts & Sköld 2007).
    """
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    m, size = len(block.items), 1 + block.own_slopes + block.shape
    shape = _GRADED_SHAPE if block.kind == "graded" else _STEP_SHAPE
    beliefs = np.array([_LOCATION] + [_SLOPE] * block.own_slopes + [shape] * block.shape)
    mean = numpyro.sample(f"{block.name}: mean", dist.Normal(beliefs[:, 0], beliefs[:, 1]))
    sd = numpyro.sample(f"{block.name}: sd", dist.LogNormal(np.log(beliefs[:, 2]), beliefs[:, 3]))
    factor = jnp.ones((1, 1))
    if size > 1:
        factor = numpyro.sample(f"{block.name}: factor", dist.LKJCholesky(size, 2.0))
    numpyro.deterministic(f"{block.name}: correlation", factor @ factor.T)

    location = numpyro.sample(f"{block.name}: location", dist.Normal(mean[0], sd[0]).expand((m,)))
    standard = dist.Normal(0.0, 1.0).expand((m, size - 1))
    rest = numpyro.sample(f"{block.name}: rest", standard)
    units = jnp.column_stack([(location - mean[0]) / sd[0], rest])
    y = mean + sd * (units @ factor.T)
    log_a = y[:, 1] if block.own_slopes else jnp.broadcast_to(common, (m,))
    slope = jnp.exp(log_a)[:, None]
    if block.model == "rsm":
        return log_a, -slope * location[:, None] + _rating_steps(block, given)
    return log_a, -slope * _in_order(block.kind, location, y[:, size - block.shape :])


def _independent(block: Block, common: Any, given: Priors) -> tuple[Any, Any]:
    """Log slopes ``(m,)`` and intercepts ``(m, K-1)`` under independent priors.

    The priors are those of the intercepts, drawn are location and shape: the density has the factor
    ``Π_k g_k`` of the change from gaps ``g_k = d_k - d_{k+1}`` to their logs.
    """
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    m = len(block.items)
    if block.own_slopes:
        slope = dist.Normal(given.log_a.mean, given.log_a.sd).expand((m,))
        log_a = numpyro.sample(f"{block.name}: log a", slope)
    else:
        log_a = jnp.broadcast_to(common, (m,))
    prior = dist.Normal(given.d.mean, given.d.sd)
    if block.model == "rsm":
        location = numpyro.sample(f"{block.name}: location", prior.expand((m,)))
        return log_a, location[:, None] + _rating_steps(block, given)
    real = dist.constraints.real
    location = numpyro.sample(f"{block.name}: location", dist.ImproperUniform(real, (m,), ()))
    shape = numpyro.sample(f"{block.name}: shape", dist.ImproperUniform(real, (m, block.shape), ()))
    d = -_in_order(block.kind, location, shape)
    density = prior.log_prob(d).sum()
    if block.kind == "graded":
        density += (shape + given.gap * (shape - jnp.exp(shape))).sum()
    numpyro.factor(f"{block.name}: prior", density)
    return log_a, d


def _in_order(kind: Family, location: Any, shape: Any) -> Any:
    """``(m, K-1)`` with mean ``location (m,)``, which go on by ``shape (m, K-2)``."""
    import jax.numpy as jnp

    change = jnp.exp(shape) if kind == "graded" else shape
    path = jnp.pad(jnp.cumsum(change, axis=1), ((0, 0), (1, 0)))
    return location[:, None] + path - path.mean(axis=1, keepdims=True)


def _rating_steps(block: Block, given: Priors) -> Any:
    """``(K-1,)`` what the intercepts of all items add to their location; they sum to 0."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    if block.steps == 1:
        return jnp.zeros(1)
    return numpyro.sample(
        f"{block.name}: steps", dist.ZeroSumNormal(given.d.sd, event_shape=(block.steps,))
    )


def _asymptotes(block: Block, given: Priors) -> list[Any]:
    """Logits ``(m,)`` of the free asymptotes, the upper one above the lower one."""
    import numpyro
    import numpyro.distributions as dist

    found: list[Any] = []
    if block.asymptotes > 0:
        lower = dist.Normal(given.logit_lower.mean, given.logit_lower.sd)
        found.append(
            numpyro.sample(f"{block.name}: logit lower", lower.expand((len(block.items),)))
        )
    if block.asymptotes > 1:
        prior = given.logit_upper
        upper = dist.TruncatedNormal(prior.mean, prior.sd, low=found[0])
        found.append(numpyro.sample(f"{block.name}: logit upper", upper))
    return found


def log_likelihood(kind: Family, cells: Cells, ability: Any, x: Any, effect: Any = 0.0) -> Any:
    """Log-likelihood of all cells of a block; multinomial coefficients are left out.

    Args:
        ability: ``(A,)``.
        x: ``(m, p)`` unconstrained parameters.
        effect: of each cell, in logits; ``(m, A)`` or ``(C,)`` as the cells.
    """
    import jax.numpy as jnp
    from jax.nn import sigmoid

    counts = cells.counts
    steps = len(counts) - 1

    def of_cells(values: Any) -> Any:
        """``(…, m)`` brought to the cells."""
        return values[..., None] if cells.item is None else values[..., cells.item]

    here = ability if cells.agent is None else ability[cells.agent]
    z = of_cells(jnp.exp(x[:, 0])) * here + effect
    d = x[:, 1 : 1 + steps].T
    if kind == "partial_credit":
        return _partial_credit(counts, z, of_cells(jnp.cumsum(d, axis=0)))
    logit = z + of_cells(d)
    if x.shape[1] > 1 + steps:
        lower = of_cells(sigmoid(x[:, 2]))
        upper = of_cells(sigmoid(x[:, 3])) if x.shape[1] > 3 else 1.0
        below = 1 - upper + (upper - lower) * sigmoid(-logit[0])
        above = lower + (upper - lower) * sigmoid(logit[0])
        return (counts[0] * jnp.log(below) + counts[1] * jnp.log(above)).sum()
    # σ(u) - σ(l) = σ(u) σ(-l) (1 - e^(l-u)), so that each threshold is met once, and gaps by item
    softplus = jnp.maximum(logit, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logit)))
    total = (counts[1:] * logit - (counts[1:] + counts[:-1]) * softplus).sum()
    if steps > 1:
        total += (counts[1:-1] * of_cells(jnp.log(-jnp.expm1(d[1:] - d[:-1])))).sum()
    return total


def _partial_credit(counts: Array, z: Any, reached: Any) -> Any:
    """``reached`` is ``(K-1, …)``, the intercepts summed up to each category."""
    import jax.numpy as jnp
    from jax.lax import stop_gradient

    # one category after the other, which compiles to faster code than an array of all
    logits = [k * z + reached[k - 1] for k in range(1, len(counts))]
    highest: Any = jnp.zeros_like(z)
    for logit in logits:
        highest = jnp.maximum(highest, logit)
    top = stop_gradient(highest)
    whole = sum((jnp.exp(logit - top) for logit in logits), jnp.exp(-top))
    chosen = sum((count * logit).sum() for count, logit in zip(counts[1:], logits, strict=True))
    return chosen - (counts.sum(axis=0) * (top + jnp.log(whole))).sum()


def sites_shown(
    blocks: Sequence[Block], priors: Priors | None, dispersion: bool
) -> tuple[str, ...]:
    """The sites of the model that are kept; effects and standard units are not."""
    of_block = ("items", *(("mean", "sd", "correlation") if priors is None else ()))
    return (
        "abilities",
        *(f"{block.name}: {site}" for block in blocks for site in of_block),
        *(["effect sd"] if dispersion else []),
    )
