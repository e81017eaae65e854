"""How much of what the outcomes say is chance, where the trials of a cell were repeated.

The score of one trial is taken apart as in generalizability theory (Cronbach et al. 1972; Brennan
2001) into agent, item, agent × item and what differs between trials of the same cell. Components
come from the trials within cells and from a two-way table of cell means (least squares, so that
cells may be missing). The reliability of an agent's mean over n items with m trials each is

    agent / (agent + (agent × item + within / m) / n).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.health.evidence import Evidence
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.irt import Array

FEWEST_CELLS = 10
"""An item needs as many cells with repeated trials to be called a coin flip."""
COIN = 0.8
"""Share of an item's variance within cells beyond which it is a coin flip for everyone."""
MIDDLE = (0.15, 0.85)
"""Mean scores of items that may be called so: near the ends all agents are alike anyway."""
TRIALS = (1, 2, 3, 4, 5, 8, 10, 20)
"""Numbers of trials that reliability is stated for."""
"""Standard errors on each side of an interval."""


@dataclass(frozen=True)
class Components:
    """Variances of the score of one trial, which is between 0 and 1."""

    agent: float
    item: float
    cell: float
    """Agent × item: what an agent does on an item, again and again, besides the two effects."""
    within: float
    """Between trials of the same cell."""


@dataclass(frozen=True)
class Ahead:
    """Reliability with one number of trials a cell."""

    trials: int
    score: float
    """Of an agent's mean score over all items."""
    cell: float
    """Of a cell: how far the mean over its trials is what would come out again."""


@dataclass(frozen=True)
class ItemNoise:
    """Noise of one item."""

    item: str
    cells: int
    """Cells with repeated trials."""
    mixed: float
    """Share of them whose trials differ."""
    share: float
    """Variance within cells by the variance of all trials; NaN where no trial differs."""
    low: float
    high: float
    score: float
    """Mean score of those cells."""
    p: float
    """P-value of a share of at most :data:`COIN`."""


@dataclass(frozen=True)
class Noise:
    """Noise of a test with repeated trials."""

    cells: int
    """With repeated trials."""
    trials: float
    """Mean number of trials in them."""
    mixed: float
    """Share of them whose trials differ, and its interval, over agents."""
    mixed_low: float
    mixed_high: float
    components: Components
    ahead: tuple[Ahead, ...]
    items: tuple[ItemNoise, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_noise(evidence: Evidence) -> Noise | None:
    """Mixed cells, variance components, reliability, and items that are coin flips for everyone.

    None where no cell has several trials.
    """
    repeated = evidence.trials > 1
    if not repeated.any():
        return None
    m, mean, counts = evidence.trials, np.nan_to_num(evidence.score), evidence.counts
    squares = (counts * evidence.worth[None] ** 2).sum(axis=2)
    # between the trials of each cell, unbiased
    within = np.where(repeated, (squares - m * mean**2) / np.maximum(m - 1, 1), 0.0)
    mixed = repeated & ((counts > 0).sum(axis=2) > 1)
    components = _components(evidence, float(within.sum() / repeated.sum()))
    items = _items(evidence, within, mixed)
    share, error = _by_agent(mixed.sum(axis=1), repeated.sum(axis=1))
    half = HALF * error
    return Noise(
        cells=int(repeated.sum()),
        trials=float(m[repeated].mean()),
        mixed=share,
        mixed_low=max(0.0, share - half),
        mixed_high=min(1.0, share + half),
        components=components,
        ahead=tuple(_ahead(components, t, len(items)) for t in TRIALS),
        items=items,
        flags=_flags(items),
        cautions=_cautions(evidence, int(repeated.sum()), items),
    )


def _components(evidence: Evidence, within: float) -> Components:
    here = evidence.trials > 0
    mean = np.nan_to_num(evidence.score)
    by_agent, by_item = here.sum(axis=1), here.sum(axis=0)
    agent, item = np.zeros(len(by_agent)), np.zeros(len(by_item))
    for _ in range(50):
        agent = (here * (mean - item)).sum(axis=1) / by_agent
        item = (here * (mean - agent[:, None])).sum(axis=0) / by_item
    residual = np.where(here, mean - agent[:, None] - item, 0.0)
    freedom = max(int(here.sum()) - len(agent) - len(item) + 1, 1)
    square = float((residual**2).sum() / freedom)
    once = float((1 / evidence.trials[here]).mean())
    return Components(
        agent=max(0.0, float(agent.var(ddof=1) - square * (1 / by_agent).mean())),
        item=max(0.0, float(item.var(ddof=1) - square * (1 / by_item).mean())),
        cell=max(0.0, square - within * once),
        within=within,
    )


def _ahead(found: Components, trials: int, items: int) -> Ahead:
    noise = found.within / trials
    lasting = found.agent + found.item + found.cell
    score = found.agent + (found.cell + noise) / items
    return Ahead(trials, found.agent / max(score, 1e-12), lasting / max(lasting + noise, 1e-12))


def _by_agent(hits: Array, of: Array) -> tuple[float, float]:
    """A share, and its standard error by leaving out an agent at a time."""
    share = float(hits.sum() / of.sum())
    n = int((of > 0).sum())
    if n < 2:
        return share, 0.5
    without = ((hits.sum() - hits) / np.maximum(of.sum() - of, 1))[of > 0]
    return share, float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def _items(evidence: Evidence, within: Array, mixed: Array) -> tuple[ItemNoise, ...]:
    repeated = evidence.trials > 1
    mean = np.where(repeated, np.nan_to_num(evidence.score), 0.0)
    parts = np.stack(
        [repeated.astype(float), within, within / np.maximum(evidence.trials, 1), mean, mean**2]
    )
    total = parts.sum(axis=1)
    share = _within_share(total)
    cells = total[0]
    without = np.where(repeated, _within_share(total[:, None] - parts), 0.0)
    centre = without.sum(axis=0) / np.maximum(cells, 1)
    spread = (np.where(repeated, without - centre, 0.0) ** 2).sum(axis=0)
    half = HALF * np.sqrt(spread * (cells - 1) / np.maximum(cells, 1))
    known = (cells >= 3) & np.isfinite(share)
    p = np.where(known, ndtr((COIN - share) / np.maximum(half / HALF, 0.01)), np.nan)
    share, low, high = np.clip([share, share - half, share + half], 0.0, 1.0)
    return tuple(
        ItemNoise(
            name,
            int(cells[i]),
            float(mixed[:, i].sum() / cells[i]) if cells[i] else np.nan,
            float(share[i]) if known[i] else np.nan,
            float(low[i]) if known[i] else np.nan,
            float(high[i]) if known[i] else np.nan,
            float(total[3, i] / cells[i]) if cells[i] else np.nan,
            float(p[i]),
        )
        for i, name in enumerate(evidence.responses.items)
    )


def _within_share(total: Array) -> Array:
    """Variance within cells by that of all trials, beyond 1 where cells differ less than by
    chance; NaN where all are alike. From sums over cells of: one, the variance within, the same by
    the number of trials, the mean, and its square."""
    cells = np.maximum(total[0], 1)
    within = total[1] / cells
    spread = (total[4] - total[3] ** 2 / cells) / np.maximum(cells - 1, 1)
    between = spread - total[2] / cells
    known = within + between > 1e-12
    return np.asarray(np.where(known, within / np.where(known, within + between, 1.0), np.nan))


def _flags(items: tuple[ItemNoise, ...]) -> tuple[Flag, ...]:
    looked = [
        one.p if one.cells >= FEWEST_CELLS and MIDDLE[0] <= one.score <= MIDDLE[1] else np.nan
        for one in items
    ]
    q = adjusted(looked)
    return tuple(
        Flag(
            "noise",
            "item",
            (one.item,),
            f"a coin flip for everyone: {one.share:.0%} of the variance of its outcomes lies "
            f"between trials of the same agent (90% interval {one.low:.0%} to {one.high:.0%}), and "
            f"{one.mixed:.0%} of {one.cells} repeated cells are mixed, at a mean score of "
            f"{one.score:.0%}",
            one.share,
            one.low,
            one.high,
            float(q[i]),
            "Run the reference solution and the tests several times; remove what is flaky, or drop "
            "the item",
        )
        for i, one in enumerate(items)
        if q[i] < RATE
    )


def _cautions(evidence: Evidence, repeated: int, items: tuple[ItemNoise, ...]) -> tuple[str, ...]:
    found = []
    agents = len(evidence.responses.agents)
    if agents < FEWEST_CELLS:
        found.append(
            f"With {agents} agents no item has the {FEWEST_CELLS} repeated cells that it takes to "
            "call it a coin flip, and the components are rough."
        )
    elif few := sum(one.cells < FEWEST_CELLS for one in items):
        found.append(
            f"{few} of {len(items)} items have fewer than {FEWEST_CELLS} cells with repeated "
            "trials: whether they are coin flips is not looked at."
        )
    once = int((evidence.trials == 1).sum())
    if once:
        found.append(
            f"{once} of {once + repeated} cells have one trial: how noisy they are is taken from "
            "the others."
        )
    return tuple(found)
