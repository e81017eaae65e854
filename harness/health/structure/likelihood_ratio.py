"""Differential functioning by the multi-group likelihood ratio test (Thissen, Steinberg and Wainer
1993): what other programs do, for large groups; each item costs a calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.calibrate import FLAT, Priors, calibrate
from harness.irt import Array, Model
from harness.responses import Responses


@dataclass(frozen=True)
class LikelihoodRatio:
    """One item in several groups, free parameters against common ones."""

    item: str
    statistic: float
    df: int
    p: float


def likelihood_ratio_dif(
    responses: Responses,
    groups: Sequence[str],
    items: Sequence[str],
    *,
    models: dict[str, Model] | None = None,
    priors: Priors | None = None,
    nodes: Array | None = None,
) -> tuple[LikelihoodRatio, ...]:
    """Multi-group likelihood ratio test of each item, all others being anchors or free.

    All ``items`` are free in every group, the rest are anchors with the same parameters in all;
    the first group is N(0, 1), the others have means and sds of their own. Then each item in turn
    is held equal across groups (Thissen, Steinberg and Wainer 1993). The statistic is χ² with one
    parameter's worth of freedom for each group but the first.

    Args:
        responses: outcomes of A agents.
        groups: of each agent, A names.
        items: to be tested; at least one other is left as an anchor.
        models: of each item; None for 2pl, and grm for more than two categories.
        priors: of item parameters; None for flat ones, as the statistic asks for.
        nodes: ``(Q,)`` uniform ability nodes; None chooses them.

    Raises:
        ResponsesError: an unknown item, or one with a single outcome in a group under flat priors.

    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(1)
    >>> ability, b = rng.standard_normal((200, 1)), np.linspace(-1, 1, 8) + np.zeros((200, 8))
    >>> b[:100, 0] += 2  # the first item is harder for the first group
    >>> data = from_matrix(rng.random((200, 8)) < 1 / (1 + np.exp(1.5 * (b - ability))))
    >>> found = likelihood_ratio_dif(data, ["A"] * 100 + ["B"] * 100, ["item0", "item1"])
    >>> [(one.item, one.df, one.p < 0.001) for one in found]
    [('item0', 2, True), ('item1', 2, False)]
    """
    from scipy.stats import chi2

    data = responses.subset()
    for item in items:
        responses.subset(items=[item])  # names an unknown one
    names = list(dict.fromkeys(groups))
    chosen = models or {
        item: "2pl" if k == 2 else "grm"
        for item, k in zip(data.items, data.n_categories, strict=True)
    }
    given = priors or Priors(FLAT, FLAT, gap=0.0)

    def height(free: Sequence[str]) -> tuple[float, int]:
        split, origin = _split(data, groups, names, free)
        fit = calibrate(
            split,
            {item: chosen[source] for item, source in zip(split.items, origin, strict=True)},
            name="differential functioning",
            priors=given,
            nodes=nodes,
            groups=groups,
            dispersion=False,
            tolerance=1e-5,
        )
        return fit.log_likelihood, fit.parameters

    free, parameters = height(items)
    found = []
    for item in items:
        held, fewer = height([other for other in items if other != item])
        statistic, df = max(0.0, 2 * (free - held)), parameters - fewer
        found.append(LikelihoodRatio(item, statistic, df, float(chi2.sf(statistic, df))))
    return tuple(found)


def _split(
    data: Responses, groups: Sequence[str], names: Sequence[str], free: Sequence[str]
) -> tuple[Responses, tuple[str, ...]]:
    """Every free item as one item a group, after all others; and what each was made from."""
    is_free = np.isin(data.items, list(free))
    others = [item for item, split in zip(data.items, is_free, strict=True) if not split]
    place = {item: i for i, item in enumerate(others)}
    # a free item takes one place a group
    place |= {item: len(others) + i * len(names) for i, item in enumerate(free)}
    start = np.array([place[item] for item in data.items])
    group = np.array([names.index(name) for name in groups])
    origin = (*others, *(item for item in free for _ in names))
    labels = (*others, *(f"{item} in {name}" for item in free for name in names))
    k = dict(zip(data.items, data.n_categories, strict=True))
    return (
        replace(
            data,
            items=labels,
            item=start[data.item] + is_free[data.item] * group[data.agent],
            n_categories=np.array([k[item] for item in origin]),
            labels=(),
        ),
        origin,
    )
