"""Keeping a scale: banks that new outcomes update, and anchors that have drifted.

What a bank knows of its items is their prior; the population of the new agents is free. Answers
that an adaptive session chose to collect need no correction: the choice depends on earlier answers
only, which are all in the likelihood, so what is missing is missing at random (Mislevy & Wu 1996).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaincc

from harness.bank import ItemBank
from harness.calibrate.ascend import Memory, ascend, look
from harness.calibrate.choices import Choices
from harness.calibrate.merge import with_parameters
from harness.calibrate.population import one_group
from harness.calibrate.priors import Priors
from harness.calibrate.setup import set_up
from harness.calibrate.uncertainty import item_covariances
from harness.irt import Array
from harness.responses import Responses

_TOLD = 0.05
"""Share of the variance of a parameter that outcomes must take away to speak of it at all."""
_RATE = 0.05
"""Of false discoveries among the anchors that are said to have drifted."""


@dataclass(frozen=True)
class Drift:
    """Whether new outcomes agree with what a bank says of an item."""

    item: str
    difference: tuple[float, ...]
    """New minus old, in the item's unconstrained parameters; what was known before holds it
    back."""
    statistic: float
    """Chi-square of the difference."""
    degrees: int
    p: float
    drifted: bool
    """Significant at a false discovery rate of 5% over all anchors (Benjamini & Hochberg 1995)."""

    def __str__(self) -> str:
        shift = ", ".join(f"{x:+.2f}" for x in self.difference)
        return (
            f"anchor {self.item!r} has drifted: {shift} (χ² {self.statistic:.1f} on "
            f"{self.degrees}, p {self.p:.2g}); has its task or its scoring changed? Calibrate it "
            "as a new item"
        )


def find_drift(responses: Responses, anchors: ItemBank) -> tuple[Drift, ...]:
    """Test every item of the bank that has new outcomes; predicted ones have nothing to drift from.

    The outcomes move what the bank knows of an item from its prior ``N(x, C)`` to a posterior with
    covariance ``V``. Where they agree, that move has the covariance ``C - V``.

    Returns:
        The most suspicious first.
    """
    known = {item.id: item for item in anchors.items if not item.predicted}
    seen = {responses.items[i] for i in np.unique(responses.item)} & known.keys()
    if not seen:
        return ()
    common = responses.subset(items=[item for item in responses.items if item in seen])
    items = [known[item] for item in common.items]
    d = len(anchors.mean)
    repeated = bool(common.attempts.max() > 1)
    choices = Choices(
        models=tuple(item.model for item in items),
        loads=tuple(tuple(a for a in range(d) if item.slopes[a]) for item in items),
        abilities=d,
        rotatable=False,
        effect=repeated and any(item.effect_sd for item in items),
        priors=Priors(),
        estimate=False,
        anchors=anchors,
        hold=False,
    )
    free = one_group(len(common.agents))
    free = replace(free, free_mean=~free.free_mean, free_sd=~free.free_sd, free_correlation=d > 1)
    problem, point = set_up(common, choices, free, None)
    found = ascend(
        problem,
        look(problem, point),
        tolerance=1e-3,
        most=100,
        memory=Memory(),
        tell=lambda log_posterior, move: None,
        along_scale=False,
    )
    tests = []
    after = item_covariances(problem, found.state)
    for block, prior, phi, covariance in zip(
        problem.blocks, problem.priors, found.state.point.items, after, strict=True
    ):
        for row, position in enumerate(block.items):
            move = phi[row] - prior.mean[row]
            statistic, degrees = _statistic(
                move, np.linalg.inv(prior.precision[row]), covariance[row]
            )
            tests.append(
                Drift(
                    items[int(position)].id,
                    tuple(round(float(x), 4) for x in block.free @ move),
                    statistic,
                    degrees,
                    float(gammaincc(degrees / 2, statistic / 2)) if degrees else 1.0,
                    False,
                )
            )
    return _discover(tests)


def _statistic(move: Array, before: Array, after: Array) -> tuple[float, int]:
    """Chi-square of a move and its degrees of freedom: directions in which the data told
    something."""
    root = np.linalg.inv(np.linalg.cholesky(before))
    told, axes = np.linalg.eigh(np.eye(len(move)) - root @ after @ root.T)
    known = told > _TOLD
    along = (axes.T @ root @ move)[known]
    return float((along**2 / told[known]).sum()), int(known.sum())


def _discover(tests: list[Drift]) -> tuple[Drift, ...]:
    ordered = sorted(tests, key=lambda test: test.p)
    worst = 0
    for rank, test in enumerate(ordered, start=1):
        if test.p <= _RATE * rank / len(ordered):
            worst = rank
    return tuple(replace(test, drifted=rank < worst) for rank, test in enumerate(ordered))


def updated_bank(anchors: ItemBank, fitted: ItemBank) -> ItemBank:
    """The anchoring bank with its items as they were updated, and the new ones after them.

    Tasks, tags, sources and label lists of the old items stay; the population is the bank's own, as
    its scale is.
    """
    new = {item.id: item for item in fitted.items}
    items = []
    for item in anchors.items:
        found = new.pop(item.id, None)
        items.append(
            item
            if found is None
            else replace(
                with_parameters(item, found),
                usd=item.usd if math.isnan(found.usd) else found.usd,
                seconds=item.seconds if math.isnan(found.seconds) else found.seconds,
            )
        )
    categories = dict(anchors.categories)
    names = {}
    for name, labels in fitted.categories.items():
        same = [old for old, known in categories.items() if known == labels]
        names[name] = same[0] if same else name if name not in categories else f"{name} (new)"
        categories.setdefault(names[name], labels)
    items += [replace(item, categories=names[item.categories]) for item in new.values()]
    calibrants = {c.agent: c for c in (*anchors.calibrants, *fitted.calibrants)}
    return replace(
        anchors,
        name=fitted.name,
        description=fitted.description or anchors.description,
        items=tuple(items),
        categories=categories,
        provenance={**fitted.provenance, "before": dict(anchors.provenance)},
        calibrants=tuple(calibrants.values()),
        specific_sd=fitted.specific_sd or anchors.specific_sd,
    )
