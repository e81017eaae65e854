"""What a calibration is asked to fit, checked: models, loadings, populations, anchors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness import irt
from harness.bank import Item, ItemBank
from harness.calibrate import population as latent
from harness.calibrate.population import Design
from harness.calibrate.priors import Priors
from harness.errors import InputError, ResponsesError
from harness.irt import Model
from harness.responses import Responses

FEWEST_AGENTS = 5
"""With fewer, outcomes tell nothing of how items are spread, and the priors are held."""
_FEW_ANSWERS = 5


@dataclass(frozen=True, eq=False)
class Choices:
    """What a calibration fits; one entry an item where a tuple."""

    models: tuple[Model, ...]
    loads: tuple[tuple[int, ...], ...]
    abilities: int
    rotatable: bool
    """Every item loads on every ability, and axes may be turned: exploratory."""
    effect: bool
    """An agent × item effect is estimated from repeated trials."""
    priors: Priors
    estimate: bool
    """Location and spread of the priors are estimated."""
    anchors: ItemBank | None
    """A bank whose items are known, with their uncertainty, and hold the scale."""
    hold: bool
    """Anchors do not move at all."""

    @property
    def known(self) -> dict[str, Item]:
        """The items of the anchoring bank."""
        return {item.id: item for item in self.anchors.items} if self.anchors else {}


def make_choices(
    responses: Responses,
    model: Model | Mapping[str, Model],
    priors: Priors | None,
    abilities: int | Mapping[str, Sequence[int]],
    dispersion: bool | None,
    anchors: ItemBank | None,
    hold: bool,
) -> Choices:
    if isinstance(abilities, int):
        if not 1 <= abilities <= 3:
            raise InputError(f"a bank may have 1 to 3 abilities, not {abilities}")
        d, every = abilities, tuple(range(abilities))
        loads = tuple(every for _ in responses.items)
    else:
        try:
            loads = tuple(tuple(sorted(set(abilities[item]))) for item in responses.items)
        except KeyError as missing:
            raise InputError(
                f"the loading pattern lacks item {missing.args[0]!r}: name its abilities"
            ) from None
        d = max((a for row in loads for a in row), default=-1) + 1
        empty = [i for i, row in zip(responses.items, loads, strict=True) if not row or row[0] < 0]
        if empty or not 1 <= d <= 3:
            raise InputError(
                f"item {empty[0]!r} loads on no ability"
                if empty
                else f"{d} abilities, but 1 to 3 can be"
            )
    known = {item.id: item for item in anchors.items} if anchors else {}
    if anchors and len(anchors.mean) != d:
        raise InputError(
            f"bank {anchors.name!r} has {len(anchors.mean)} abilities, the new items {d}"
        )
    if anchors and not known.keys() & set(responses.items):
        raise ResponsesError(
            f"{responses.source}: no item of bank {anchors.name!r} is among its items, so nothing "
            "connects them with the bank's scale; bring outcomes on some of its items"
        )
    repeated = bool(responses.attempts.max() > 1)
    agents = int(responses.attempts.any(axis=1).sum())
    effect = (priors is None and repeated) if dispersion is None else dispersion
    if effect and not repeated:
        raise ResponsesError(
            f"{responses.source}: no cell has several trials, so an agent × item effect cannot be "
            "told from ability; leave dispersion off, or bring repeated trials"
        )
    models = _models(responses, model)
    for position, item in enumerate(responses.items):
        if item in known:
            _check_anchor(responses, position, known[item].id, len(known[item].intercepts) + 1)
    models = tuple(
        known[i].model if i in known else m for i, m in zip(responses.items, models, strict=True)
    )
    return Choices(
        models=models,
        loads=loads,
        abilities=d,
        rotatable=isinstance(abilities, int) and d > 1 and not known,
        effect=effect,
        priors=priors or Priors(),
        estimate=priors is None and (anchors is not None or agents >= FEWEST_AGENTS),
        anchors=anchors,
        hold=hold,
    )


def _check_anchor(responses: Responses, position: int, item: str, k: int) -> None:
    if responses.n_categories[position] != k:
        raise ResponsesError(
            f"{responses.source}: item {item!r} has {responses.n_categories[position]} categories "
            f"here and {k} in the anchoring bank; read the outcomes with the labels of that bank"
        )


def make_design(
    responses: Responses,
    groups: Sequence[str] | None,
    covariates: Mapping[str, Sequence[float]] | None,
    *,
    anchored: bool,
    choices: Choices,
) -> Design:
    agents = len(responses.agents)
    names, group = latent.by_group(groups if groups is not None else ["all"] * agents)
    indicators = (group[:, None] == np.arange(len(names))).astype(float)
    columns = [np.asarray(values, float) for values in (covariates or {}).values()]
    for name, values in zip(covariates or {}, columns, strict=True):
        if not np.isfinite(values).all():
            agent = responses.agents[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ResponsesError(
                f"{responses.source}: covariate {name!r} of agent {agent!r} is not known; leave "
                "the agent out or fill it in"
            )
    # centred, so that the mean of a group is that of its agents whatever the covariate's unit
    x = np.column_stack([indicators, *(values - values.mean() for values in columns)])
    free = np.ones(x.shape[1], bool)
    free_sd = np.ones(len(names), bool)
    correlated = choices.abilities > 1 and not choices.rotatable
    if not anchored:
        free[0] = free_sd[0] = False
    else:
        # so few agents would get a population without any spread: the bank's is believed of them
        few = np.bincount(group, minlength=len(names)) < FEWEST_AGENTS
        free[: len(names)][few] = free_sd[few] = False
        correlated &= not few.all()
    return Design(
        x,
        (*names, *(covariates or {})),
        group,
        names,
        free,
        free_sd,
        correlated,
    )


def placed_by_prior(responses: Responses, known: frozenset[str]) -> tuple[str, ...]:
    n, k = len(responses.items), int(responses.n_categories.max())
    seen = np.bincount(responses.item * k + responses.category, minlength=n * k).reshape(n, k)
    answers = np.count_nonzero(responses.attempts, axis=0)
    loose = ((seen > 0).sum(axis=1) == 1) | (answers < _FEW_ANSWERS)
    return tuple(i for i, one in zip(responses.items, loose, strict=True) if one and i not in known)


def check_flat(responses: Responses, priors: Priors | None) -> None:
    if priors is None or math.inf not in (priors.d.sd, priors.log_a.sd):
        return
    n, k = len(responses.items), int(responses.n_categories.max())
    seen = np.bincount(responses.item * k + responses.category, minlength=n * k).reshape(n, k)
    single = np.flatnonzero((seen > 0).sum(axis=1) == 1)
    if len(single):
        raise ResponsesError(
            f"{responses.source}: {len(single)} items have a single outcome (first "
            f"{responses.items[single[0]]!r}), which flat priors cannot place; drop them or use "
            "proper priors"
        )


def _models(responses: Responses, model: Model | Mapping[str, Model]) -> tuple[Model, ...]:
    """The model of each item.

    Raises:
        ResponsesError: an item has none, or a binary model and more than two categories.
    """
    found = []
    for item, k in zip(responses.items, responses.n_categories, strict=True):
        one = model if isinstance(model, str) else model.get(item)
        if one is None:
            raise ResponsesError(f"{responses.source}: no model is given for item {item!r}")
        if k > 2 and irt.family(one) == "binary":
            raise ResponsesError(
                f"{responses.source}: item {item!r} has {k} categories, which the "
                f"binary model {one} cannot describe; use grm or gpcm"
            )
        found.append(one)
    return tuple(found)
