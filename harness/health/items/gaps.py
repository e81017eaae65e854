"""Where the test measures, where its agents are and are heading, and where tasks are missing.

Two things are looked for. A *hole* is a stretch of difficulty with fewer items than either
neighbouring stretch of the same width, by more than chance (a scan of windows; exact binomial
tests, corrected for the number of windows). Where difficulties merely become rarer on one side no
window has fewer items than both neighbours. A *thin end* is a place where agents are, or where the
newest ones are expected, at which the standard error is above the one that is needed and the
information below half of what the typical agent gets.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import bdtr, betaincinv, expit

from harness.bank import Calibrant
from harness.errors import PlanError
from harness.health.evidence import Evidence
from harness.health.flags import HALF, LEVEL, Flag
from harness.irt import Array
from harness.prior import trend_prior, year_of

FEWEST_AGENTS = 20
"""Fewer agents place items too roughly to see a hole."""
RELIABILITY = 0.9
"""What the standard error must allow at each ability: it is ``sqrt(1 - RELIABILITY)`` spreads."""
CHANCE = 0.05
"""Probability of a hole where there is none."""
_WIDTHS = (0.5, 0.75, 1.0, 1.5)
"""Of windows, in spreads of ability."""
_STEP = 0.05
_LOOKS = 0.65
"""Independent looks a width of the range: neighbouring windows share most of their items, and a
hole must stand out on both sides. Simulated on flat difficulties, 50 to 500 items, where a false
hole is likeliest among all densities with a single hump."""


@dataclass(frozen=True)
class Stretch:
    """A range of difficulty where tasks should be written."""

    why: Literal["hole", "thin end"]
    low: float
    high: float
    """Difficulties."""
    rate_low: float
    rate_high: float
    """How often today's best agent would solve such tasks: at ``high`` and at ``low``."""
    tasks: int
    """About how many tasks of typical slope are missing."""


@dataclass(frozen=True)
class Heading:
    """Where an agent of the newest date is expected."""

    date: str
    mean: float
    sd: float
    """Of one more such agent."""
    dated: int
    """Agents with a date."""
    pace: float
    """Ability gained a year."""
    pace_low: float
    pace_high: float


@dataclass(frozen=True, eq=False)
class Gaps:
    """Test information against abilities."""

    nodes: Array
    """``(Q,)``."""
    information: Array
    """``(Q,)`` of the whole test at each ability."""
    density: Array
    """``(Q,)`` density of the agents' abilities, all posteriors together."""
    needed: float
    """Standard error that allows a reliability of :data:`RELIABILITY`."""
    spread: float
    """Sd of the agents' abilities."""
    best: float
    """Ability of today's best agent."""
    best_name: str
    best_sd: float
    typical: float
    """Standard error at the median agent."""
    at_best: float
    """Standard error at the best agent."""
    reach: float
    """Highest ability, from the median agent up, that is measured as precisely as needed; -inf
    where not even that one is."""
    slope: float
    """Of a typical item, in logits of score an ability."""
    heading: Heading | None
    newest: tuple[str, ...]
    """Agents of the last quarter of those with a date, newest first."""
    stretches: tuple[Stretch, ...]
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_gaps(evidence: Evidence, dates: tuple[str, ...] = ()) -> Gaps:
    """Information against abilities, holes in difficulty, and where tasks must be written.

    Args:
        evidence: of A agents.
        dates: ISO date of each agent, empty where unknown; ``()`` when none is known.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(1)
    >>> b = np.concatenate([np.linspace(-2, -0.5, 40), np.linspace(1, 2.5, 40)])
    >>> ahead = rng.normal(size=60)[:, None] - b
    >>> right = rng.random(ahead.shape) < 1 / (1 + np.exp(-2 * ahead))
    >>> [stretch.why for stretch in analyse_gaps(gather(from_matrix(right))).stretches]
    ['hole']
    """
    nodes, total = evidence.nodes, information(evidence)
    mixed = evidence.posterior.mean(axis=0)
    spread = float(np.sqrt(mixed @ (nodes - mixed @ nodes) ** 2))
    needed = float(np.sqrt(1 - RELIABILITY)) * spread
    slope = typical_slope(evidence)
    best = int(np.argmax(evidence.ability))
    middle = float(np.median(evidence.ability))
    error = 1 / np.sqrt(np.maximum(total, 1e-12))
    heading, newest, cautions = _heading(evidence, dates)
    found = Gaps(
        nodes=nodes,
        information=total,
        density=mixed / float(nodes[1] - nodes[0]),
        needed=needed,
        spread=spread,
        best=float(evidence.ability[best]),
        best_name=evidence.responses.agents[best],
        best_sd=float(evidence.sd[best]),
        typical=float(np.interp(middle, nodes, error)),
        at_best=float(np.interp(evidence.ability[best], nodes, error)),
        reach=_reach(nodes, error, middle, needed),
        slope=slope,
        heading=heading,
        newest=newest,
        stretches=(),
        flags=(),
        cautions=cautions,
    )
    agents = len(evidence.responses.agents)
    if agents < FEWEST_AGENTS:
        caution = (
            f"With {agents} agents items are placed too roughly to see a gap in difficulty, and "
            f"the information is as rough: nothing is flagged below {FEWEST_AGENTS} agents."
        )
        return replace(found, cautions=(*cautions, caution))
    placed = [_hole(found, *hole) for hole in _holes(evidence, found)]
    placed += _thin_end(found, middle)
    return replace(
        found,
        stretches=tuple(stretch for stretch, _ in placed),
        flags=tuple(flag for _, flag in placed),
    )


def information(evidence: Evidence) -> Array:
    """``(Q,)`` Fisher information of the whole test, each item at its average number of trials.

    An item's is ``Σ p_k'² / p_k`` (Samejima 1969), times the independent trials that its cells
    are worth.
    """
    slant = np.gradient(evidence.p, evidence.nodes, axis=2)
    one = (slant**2 / np.maximum(evidence.p, 1e-12)).sum(axis=1)
    cells = np.maximum((evidence.trials > 0).sum(axis=0), 1)
    return np.asarray((evidence.weight.sum(axis=0) / cells) @ one)


def typical_slope(evidence: Evidence) -> float:
    """Median slope of the items' scores where they are steepest, in logits an ability."""
    steepest = np.gradient(evidence.expected, evidence.nodes, axis=1).max(axis=1)
    return float(4 * np.median(steepest))


def _reach(nodes: Array, error: Array, middle: float, needed: float) -> float:
    above = np.flatnonzero(nodes >= middle)
    poor = above[error[above] > needed]
    if not len(poor):
        return float(nodes[-1])
    return float(nodes[poor[0] - 1]) if poor[0] > above[0] else -np.inf


# --- dates -------------------------------------------------------------------------------------


def _heading(
    evidence: Evidence, dates: tuple[str, ...]
) -> tuple[Heading | None, tuple[str, ...], tuple[str, ...]]:
    """Where the newest agents are expected, who they are, and what of dates is doubtful."""
    if not any(dates):
        return None, (), ()
    years, unread = np.full(len(dates), np.nan), []
    for a, date in enumerate(dates):
        try:
            years[a] = year_of(date) if date else np.nan
        except PlanError:
            unread.append(date)
    known = np.flatnonzero(np.isfinite(years))
    cautions = []
    if unread:
        cautions.append(
            f"{len(unread)} dates cannot be read and count as unknown (such as {unread[0]!r}; "
            "write 2026-11-29, 2026-11 or 2026)."
        )
    order = known[np.argsort(-years[known], kind="stable")]
    newest = tuple(evidence.responses.agents[a] for a in order[: -(-len(order) // 4)])
    names, ability, sd = evidence.responses.agents, evidence.ability, evidence.sd
    dated = tuple(
        Calibrant(names[a], (float(ability[a]),), (float(sd[a]),), dates[a]) for a in known
    )
    last = dates[order[0]] if len(order) else ""
    expected = trend_prior(replace(evidence.bank, calibrants=dated), last) if last else None
    if expected is None:
        cautions.append(
            f"{len(known)} agents have a date: too few, or all of one date, to say where agents "
            "are heading."
        )
        return None, newest, tuple(cautions)
    x = years[known] - years[known].mean()
    y = ability[known] - ability[known].mean()
    pace = float(x @ y / (x @ x))
    variance = float(((y - pace * x) ** 2).sum() / max(len(x) - 2, 1) / (x @ x))
    half = HALF * variance**0.5
    heading = Heading(
        last, expected.mean[0], expected.sd[0], len(known), pace, pace - half, pace + half
    )
    return heading, newest, tuple(cautions)


# --- holes -------------------------------------------------------------------------------------


def _holes(evidence: Evidence, found: Gaps) -> list[tuple[float, float, int, int, int, float]]:
    """Low, high, items within, items in the stretches below and above, and adjusted p-value."""
    difficulty = np.sort(evidence.difficulty[np.isfinite(evidence.difficulty)])
    if len(difficulty) < 3:
        return []
    low, high = _quantile(found, 0.05), _quantile(found, 0.95)
    if found.heading:
        high = max(high, found.heading.mean)
    doubt = _doubt(evidence)
    widths = [w * found.spread for w in _WIDTHS if w * found.spread >= 4 * doubt]
    looks, windows = 0.0, []
    for width in widths:
        starts = np.arange(low - width / 2, high - width / 2, _STEP * found.spread)
        edges = np.searchsorted(difficulty, starts[:, None] + width * np.array([-1, 0, 1, 2]))
        below, within, above = np.diff(edges, axis=1).T
        p = np.maximum(bdtr(within, within + below, 0.5), bdtr(within, within + above, 0.5))
        looks += _LOOKS * max(1.0, (high - low) / width)
        columns = (starts, starts + width, within, below, above, p)
        windows += list(zip(*(column.tolist() for column in columns), strict=True))
    holes: list[tuple[float, float, int, int, int, float]] = []
    for window in sorted(windows, key=lambda w: w[5]):
        start, end, *counts, p = window
        if p * looks > CHANCE:
            break
        if all(end <= other[0] or start >= other[1] for other in holes):
            holes.append((start, end, *(int(c) for c in counts), float(p * looks)))
    return sorted(holes)


def _quantile(found: Gaps, share: float) -> float:
    below = np.cumsum(found.density) / found.density.sum()
    return float(np.interp(share, below, found.nodes))


def _doubt(evidence: Evidence) -> float:
    """Median standard error of a difficulty.

    What an agent says of an item's place is what the item says of the agent's.
    """
    slant = np.gradient(evidence.p, evidence.nodes, axis=2)
    one = (slant**2 / np.maximum(evidence.p, 1e-12)).sum(axis=1)
    each = (evidence.weight * (evidence.posterior @ one.T)).sum(axis=0)
    return float(np.median(1 / np.sqrt(np.maximum(each, 1e-9))))


def _hole(
    found: Gaps, low: float, high: float, within: int, below: int, above: int, p: float
) -> tuple[Stretch, Flag]:
    tail = (1 - LEVEL) / 2
    ends = betaincinv(within + 0.5, below + above + 0.5, np.array([tail, 1 - tail]))
    usual = (below + above) / 2
    ratio, (least, most) = within / usual, 2 * ends / (1 - ends)
    missing = max(1, round(min(below, above) - within))
    stretch = _stretch(found, "hole", low, high, missing)
    return stretch, Flag(
        "gap",
        "benchmark",
        (),
        f"{within} items between difficulties {low:.2f} and {high:.2f}, where the stretches of the "
        f"same width below and above hold {below} and {above}: {ratio:.0%} of their density (90% "
        f"interval {least:.0%} to {most:.0%})",
        float(ratio),
        float(least),
        float(most),
        p,
        f"Write about {missing} tasks there, which {found.best_name} would solve "
        f"{stretch.rate_low:.0%} to {stretch.rate_high:.0%} of the time",
    )


def _stretch(
    found: Gaps, why: Literal["hole", "thin end"], low: float, high: float, tasks: int
) -> Stretch:
    hard, easy = expit(found.slope * (found.best - np.array([high, low])))
    return Stretch(why, low, high, float(hard), float(easy), tasks)


def _thin_end(found: Gaps, middle: float) -> list[tuple[Stretch, Flag]]:
    """The upper end, where agents become better than the test can measure."""
    heading = found.heading
    where = max(found.best, heading.mean) if heading else found.best
    here = float(np.interp(where, found.nodes, found.information))
    usual = float(np.interp(middle, found.nodes, found.information))
    error = 1 / max(here, 1e-12) ** 0.5
    if error <= found.needed or here >= usual / 2:
        return []
    low = max(found.reach, middle)
    high = where + found.spread / 2
    b = np.linspace(low, high, 41)
    p = expit(found.slope * (where - b))
    one = float(np.mean(found.slope**2 * p * (1 - p)))
    tasks = max(1, int(np.ceil((1 / found.needed**2 - here) / max(one, 1e-9))))
    stretch = _stretch(found, "thin end", low, high, tasks)
    ends = where + HALF * found.best_sd * np.array([-1, 1])
    least, most = np.sort(1 / np.sqrt(np.interp(ends, found.nodes, found.information) + 1e-12))
    who = (
        f"an agent of {heading.date} is expected"
        if heading and heading.mean >= found.best
        else f"{found.best_name} is"
    )
    return [
        (
            stretch,
            Flag(
                "gap",
                "benchmark",
                (),
                f"the standard error is {error:.2f} at ability {where:.2f}, where {who} "
                f"({least:.2f} to {most:.2f} over the 90% interval of that ability); at the median "
                f"agent it is "
                f"{found.typical:.2f}, and {found.needed:.2f} is needed",
                error,
                float(least),
                float(most),
                0.0,
                f"Write about {tasks} tasks of difficulty {low:.2f} to {high:.2f}, which "
                f"{found.best_name} would solve {stretch.rate_low:.0%} to {stretch.rate_high:.0%} "
                "of the time",
            ),
        )
    ]
