"""From responses and choices to a problem and a point to start from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.bank import Item
from harness.calibrate import blocks as shape
from harness.calibrate import cells as data
from harness.calibrate import grid as grids
from harness.calibrate import population as latent
from harness.calibrate import priors as prior_of
from harness.calibrate.blocks import COMMON_SLOPE, Block
from harness.calibrate.choices import Choices
from harness.calibrate.population import Design, Population
from harness.calibrate.priors import Belief, ItemPriors
from harness.calibrate.problem import Point, Problem
from harness.irt import Array, Model
from harness.responses import Responses

_PARTIAL_SD = 1.5
"""Of the inverse hyperbolic tangent of a correlation, where priors are estimated: flat but for
correlations above .9, which it keeps from running into 1."""
_ENOUGH_ANCHORS = 10
"""From so many anchors of a shape on, new items are believed to be like them."""


def set_up(
    responses: Responses, choices: Choices, design: Design, nodes: Array | None
) -> tuple[Problem, Point]:
    """The problem and a point to start from."""
    k_of = responses.n_categories
    known = choices.known
    anchored = [item in known for item in responses.items]
    groups: dict[tuple[Model, int, tuple[int, ...], bool], list[int]] = defaultdict(list)
    for i, model in enumerate(choices.models):
        groups[model, int(k_of[i]), choices.loads[i], anchored[i]].append(i)

    slope_columns, step_columns, effect_column, n_shared = _shared(groups, choices)
    blocks, cells, priors, starts = [], [], [], []
    for (model, k, loads, is_anchor), rows in groups.items():
        free, shared = shape.design(
            *(model, k - 1, loads, choices.effect, slope_columns),
            *(step_columns.get(k, []), effect_column, n_shared),
        )
        block = Block(
            model, np.array(rows), k - 1, loads, choices.abilities, choices.effect, free, shared
        )
        seen = data.count(responses, np.array(rows), k)
        blocks.append(block)
        cells.append(data.patterns(seen) if choices.effect else data.trials(seen))
        prior = prior_of.item_priors(
            block, choices.priors, estimate=choices.estimate, rotatable=choices.rotatable
        )
        x = shape.start_values(
            block,
            seen.sum(axis=0, dtype=float),
            _start_slopes(block, choices, seen),
            choices.priors.logit_lower.mean,
            choices.priors.logit_upper.mean,
        )
        if is_anchor:
            items = [known[responses.items[row]] for row in rows]
            prior, phi = _anchor_priors(block, items, choices)
        else:
            prior = _like_anchors(block, prior, choices)
            phi = x @ block.back.T
        priors.append(prior)
        starts.append(phi)

    mean, precision = _shared_priors(choices, slope_columns, step_columns, effect_column, n_shared)
    grid = grids.first(choices.abilities) if nodes is None else grids.given(nodes)
    problem = Problem(
        *(tuple(blocks), tuple(cells), tuple(priors), mean, precision, design, grid),
        partial_precision=_PARTIAL_SD**-2.0 if choices.estimate else 0.0,
    )
    locations = tuple(
        np.zeros(0)
        if p.belief is None
        else np.where(p.belief.learned, prior_of.described(p, phi).mean(axis=0), p.mean[0])
        for p, phi in zip(priors, starts, strict=True)
    )
    locations = tuple(
        loc
        if p.belief is None
        else np.where(p.belief.precision >= prior_of.HELD, p.belief.mean, loc)
        for p, loc in zip(priors, locations, strict=True)
    )
    return problem, Point(tuple(starts), mean.copy(), locations, _start_population(design, choices))


def _start_population(design: Design, choices: Choices) -> Population:
    """That of the anchoring bank, or standard normal."""
    start = latent.standard(design, choices.abilities)
    bank = choices.anchors
    if bank is None:
        return start
    coefficients = start.coefficients.copy()
    coefficients[: len(design.groups)] = bank.mean
    known = np.array(bank.correlation) if bank.correlation else np.eye(choices.abilities)
    return Population(coefficients, start.log_sd + np.log(bank.sd), latent.partial_from(known))


def _shared(
    groups: Mapping[tuple[Model, int, tuple[int, ...], bool], Sequence[int]], choices: Choices
) -> tuple[dict[int, int], dict[int, list[int]], int, int]:
    """Columns of the shared parameters: common slopes, steps of rating scales, the effect."""
    n = 0
    slopes: dict[int, int] = {}
    steps: dict[int, list[int]] = {}
    for model, k, loads, _ in groups:
        for ability in loads if model in COMMON_SLOPE else ():
            if ability not in slopes:
                slopes[ability] = n
                n += 1
        if model == "rsm" and k > 2 and k not in steps:
            steps[k] = list(range(n, n + k - 2))
            n += k - 2
    return slopes, steps, n, n + choices.effect


def _shared_priors(
    choices: Choices,
    slopes: Mapping[int, int],
    steps: Mapping[int, Sequence[int]],
    effect: int,
    n: int,
) -> tuple[Array, Array]:
    mean, precision = np.zeros(n), np.zeros(n)
    slope = choices.priors.log_a if choices.abilities == 1 else choices.priors.loading
    for column in slopes.values():
        mean[column], precision[column] = slope.mean, slope.sd**-2.0
    for columns in steps.values():
        mean[list(columns)] = 0.0
        precision[list(columns)] = choices.priors.d.sd**-2.0
    if choices.effect:
        prior = choices.priors.log_effect_sd
        mean[effect], precision[effect] = prior.mean, prior.sd**-2.0
    known = choices.known.values()
    alike = [item for item in known if item.model in COMMON_SLOPE]
    common = [item for item in alike if not item.predicted]
    if alike:
        for ability, column in slopes.items():
            slope_of = np.mean([item.slopes[ability] for item in common or alike])
            mean[column] = slope_of if choices.abilities > 1 else np.log(slope_of)
            variance = np.mean([np.diag(item.covariance or [[0.0]])[ability] for item in alike])
            precision[column] = prior_of.HELD if common else 1 / (variance + 1 / prior_of.HELD)
    effects = [item.effect_sd for item in known if item.effect_sd > 0]
    if choices.effect and effects:
        mean[effect], precision[effect] = np.log(np.mean(effects)), 25.0
    return mean, precision


def _start_slopes(block: Block, choices: Choices, counts: data.Counts) -> Array:
    m = len(block.items)
    if not block.signed:
        prior = choices.priors.log_a
        return np.full((m, 1), np.exp(prior.mean))
    if not choices.rotatable:
        return np.full((m, len(block.loads)), 1 / np.sqrt(len(block.loads)))
    # principal axes of the standardised scores break the symmetry between the abilities
    total = counts.sum(axis=2, dtype=float)
    with np.errstate(invalid="ignore"):
        score = counts @ np.arange(block.steps + 1) / total
    off = np.nan_to_num(score - np.nanmean(score, axis=0))
    off /= np.maximum(off.std(axis=0), 0.05)
    _, values, axes = np.linalg.svd(off, full_matrices=False)
    d = len(block.loads)
    loadings = np.zeros((m, d))
    use = min(d, len(values))
    loadings[:, :use] = (axes[:use] * values[:use, None]).T / np.sqrt(len(off))
    signs = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    return np.asarray(1.7 * loadings * signs)


def _anchor_priors(
    block: Block, items: Sequence[Item], choices: Choices
) -> tuple[ItemPriors, Array]:
    """Each anchor's parameters as a prior of its own; what it shares with others is held.

    What was only predicted of an item never holds the scale as if it were known.
    """
    phi = np.array([block.back @ shape.from_item(block, item) for item in items])
    m, f = phi.shape
    precision = np.tile(np.eye(f) * prior_of.HELD, (m, 1, 1))
    for row, item in enumerate(items):
        held = choices.hold and not item.predicted
        if not held and item.covariance is not None:
            own = block.back @ shape.item_covariance(block, item) @ block.back.T
            precision[row] = np.linalg.inv(own + 1e-8 * np.eye(f))
    return ItemPriors(phi, precision, 0.0, None), phi


def _like_anchors(block: Block, prior: ItemPriors, choices: Choices) -> ItemPriors:
    """New items are believed to be like the anchors of their shape, where there are enough."""
    alike = [
        item
        for item in choices.known.values()
        if item.model == block.model
        and len(item.intercepts) == block.steps
        # predictions are closer together than items are
        and not item.predicted
    ]
    if prior.belief is None or len(alike) < _ENOUGH_ANCHORS:
        return prior
    phi = np.array([block.back @ shape.from_item(block, item) for item in alike])
    phi = prior_of.described(prior, phi)
    mean = np.where(prior.belief.learned, phi.mean(axis=0), prior.belief.mean)
    spread = prior.belief.spread.copy()
    learned = np.flatnonzero(prior.belief.learned)
    spread[np.ix_(learned, learned)] = np.cov(phi.T, bias=True).reshape(phi.shape[1], -1)[
        np.ix_(learned, learned)
    ] + 0.01 * np.eye(len(learned))
    m = len(block.items)
    belief = Belief(mean, prior.belief.precision, spread, prior.belief.learned)
    precision = np.tile(np.linalg.inv(spread), (m, 1, 1))
    return replace(prior, mean=np.tile(mean, (m, 1)), precision=precision, belief=belief)
