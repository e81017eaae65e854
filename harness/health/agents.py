"""Agents whose outcomes one ability does not explain, and what their pattern looks like.

Person fit (lz*) says that an agent is surprising. Patterns say how, each by a marginal likelihood
over ability against that of the plain model, a Bayes factor averaged over how strong the pattern
is and which items it touches:

- *underperforms on easy items*: an outcome on the easiest items is the lowest with probability λ,
  whatever the ability;
- *contamination*: an outcome on the hardest items is the highest with probability λ; or, where
  dates are known, ability is higher on items older than the model's cutoff;
- *broken scaffold*: every outcome of a tag, or of a block of consecutive items, is the lowest.

Under the plain model a Bayes factor of 1/p or more has probability p at most (Markov), which makes
a p-value of it. Real agents fit no model of one ability: a statistic must also stand out from
those of the other agents, their robust spread being the null (Efron 2004).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, softmax

from harness.health.evidence import Evidence
from harness.health.flags import LEVEL, RATE, Flag, adjusted
from harness.health.person_fit import cusum, person_fit
from harness.irt import Array

FEW_AGENTS = 10
"""With fewer there is no telling an odd agent from what agents are like here."""
STANDS_OUT = 4.0
"""Robust sds of the other agents by which an agent must exceed their median."""
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Of the easiest or hardest items that a pattern touches."""
LEAST = 0.15
"""Probability λ that a pattern must have, by the lower end of its interval."""
_STRENGTHS = np.arange(0.05, 1.0, 0.1)
_NODES = 80
_FEWEST_ITEMS = 5
_EXPECTED = 2.0
"""Score that an agent must have been expected to earn where it earned none."""
_SURPRISES = 8
_BINS = 8
_BLOCKS = 8
_DRIFT_ANSWERS = 20
_FLOOR = 1e-9
"""Probability of any outcome, so that no single one is evidence without limit."""


@dataclass(frozen=True)
class Surprise:
    """An outcome that an agent's ability makes improbable."""

    item: str
    expected: float
    got: float
    bits: float
    """-log2 of its probability."""


@dataclass(frozen=True)
class Bin:
    """Items of like difficulty for one agent."""

    difficulty: float
    """Mean expected score of the items among all agents."""
    items: int
    expected: float
    low: float
    """Within which the observed score lies with probability 90%."""
    high: float
    observed: float


@dataclass(frozen=True)
class Pattern:
    """Evidence that outcomes follow one pattern rather than ability alone."""

    strength: float
    """λ, in the share of items that fits best."""
    low: float
    high: float
    share: float
    """Of the items, the easiest or the hardest."""
    log_bayes_factor: float


@dataclass(frozen=True)
class Shift:
    """How much higher ability is on items older than a model's cutoff, in sds of agents."""

    older: int
    newer: int
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Failed:
    """Items of one tag, or one after another, all with the lowest outcome."""

    what: str
    items: tuple[str, ...]
    expected: float
    """Score that the agent's other answers say it should have earned on them."""
    p: float
    """Probability of none, given the other answers, times the number of blocks looked at."""


@dataclass(frozen=True)
class Drift:
    """The stretch of the order of administration with the largest cumulative sum."""

    first: int
    last: int
    """Positions from 1 among the answers of the agent."""
    observed: float
    expected: float
    p: float


@dataclass(frozen=True)
class AgentFit:
    """One agent."""

    name: str
    ability: float
    answers: int
    score: float
    lz: float
    corrected: float
    """lz*; NaN where no outcome could surprise."""
    p: float
    """Of an lz* as low, the larger of that under the model and that among the agents."""
    q: float
    outfit: float
    infit: float
    easy: Pattern
    """Fails what it should solve."""
    hard: Pattern
    """Solves what it should fail."""
    dated: Shift | None
    failed: Failed | None
    """The tag or block of items it failed altogether that is hardest to believe."""
    drift: Drift | None
    surprises: tuple[Surprise, ...]
    """Most surprising first."""
    bins: tuple[Bin, ...]
    """Hardest items first."""


@dataclass(frozen=True)
class AgentsFit:
    """All agents, in the order of the evidence."""

    agents: tuple[AgentFit, ...]
    centre: float
    """Median of lz* over agents."""
    spread: float
    """Robust sd of lz* over agents; 1 under the model, less as items were fitted to the agents."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_agents(
    evidence: Evidence, dates: Sequence[str], order: Array | None = None
) -> AgentsFit:
    """Look at every agent.

    Args:
        evidence: of A agents and n items.
        dates: ISO date of each agent, empty where unknown: no later than which its model can have
            seen an item, where its cutoff is unknown.
        order: ``(n,)`` or ``(A, n)`` when each item was administered, NaN where it was not; None
            where unknown.
    """
    work = _Work(evidence)
    fit = person_fit(*work.at_ability, evidence.counts, evidence.weight)
    centre, spread = _middle(fit.corrected)
    many = len(fit.p) >= FEW_AGENTS
    among = ndtr((fit.corrected - min(centre, 0.0)) / _below(fit.corrected)) if many else 0.0
    p = np.where(np.isfinite(fit.p), np.maximum(fit.p, among), np.nan)
    q = adjusted(p)
    easy, hard = _patterns(work, "lowest"), _patterns(work, "highest")
    dated = _dated(work, dates)
    failed = _failures(work, order)
    drift = _drifts(evidence, order)
    bins = _bins(work)
    agents = tuple(
        AgentFit(
            name,
            float(evidence.ability[a]),
            int(np.count_nonzero(evidence.trials[a])),
            float(np.nanmean(evidence.score[a])),
            float(fit.lz[a]),
            float(fit.corrected[a]),
            float(p[a]),
            float(q[a]),
            float(fit.outfit[a]),
            float(fit.infit[a]),
            easy[a],
            hard[a],
            dated[a],
            failed[a],
            drift[a],
            _surprises(work, a),
            bins[a],
        )
        for a, name in enumerate(evidence.responses.agents)
    )
    return AgentsFit(
        agents,
        centre,
        spread,
        _flags(agents),
        _cautions(evidence, agents, spread, order),
    )


class _Work:
    """What all patterns start from: cells as weighted counts, tables on fewer nodes."""

    def __init__(self, evidence: Evidence) -> None:
        step = max(1, len(evidence.nodes) // _NODES)
        self.evidence = evidence
        self.step = step
        self.nodes = evidence.nodes[::step]
        self.log_prior = evidence.log_prior[::step]
        self.p = np.clip(evidence.p[:, :, ::step], _FLOOR, 1.0)
        ratio = evidence.weight / np.maximum(evidence.trials, 1.0)
        # trials of a cell are alike: together they count as the independent ones they are worth
        self.counts = evidence.counts * ratio[..., None]

    @cached_property
    def base(self) -> Array:
        """``(A, Q)`` log-likelihood of all outcomes."""
        return self.likelihood(np.log(self.p))

    def likelihood(self, log_p: Array, items: NDArray[np.intp] | slice = slice(None)) -> Array:
        """``(A, Q)`` of the outcomes on some items, whose log-probabilities are given."""
        counts = self.counts[:, items]
        return np.asarray(counts.reshape(len(counts), -1) @ log_p.reshape(-1, log_p.shape[2]))

    @cached_property
    def easiness(self) -> Array:
        """``(n,)`` expected score among all agents."""
        return np.asarray(self.evidence.expected @ self.evidence.posterior.mean(axis=0))

    @cached_property
    def at_ability(self) -> tuple[Array, Array]:
        """``(A, n, K)`` probabilities and their derivatives at each agent's ability."""
        e = self.evidence
        p = np.moveaxis(e.p, 2, 0)
        slope = np.gradient(p, e.nodes, axis=0)
        left = np.clip(np.searchsorted(e.nodes, e.ability) - 1, 0, len(e.nodes) - 2)
        part = ((e.ability - e.nodes[left]) / (e.nodes[left + 1] - e.nodes[left]))[:, None, None]
        at = p[left] * (1 - part) + p[left + 1] * part
        return at, slope[left] * (1 - part) + slope[left + 1] * part


def _middle(values: Array) -> tuple[float, float]:
    """Median and the sd that the quartiles of a normal would have."""
    fine = values[np.isfinite(values)]
    if not len(fine):
        return 0.0, 1.0
    low, middle, high = np.quantile(fine, [0.25, 0.5, 0.75])
    return float(middle), float((high - low) / 1.349)


def _below(values: Array) -> float:
    """The sd that the lower quarter and tenth of a normal would have, at least 1.

    Strengths of their own make lz* of some agents lower and of none higher: it leans to the left.
    """
    fine = values[np.isfinite(values)]
    if not len(fine):
        return 1.0
    tenth, quarter, middle = (float(x) for x in np.quantile(fine, [0.1, 0.25, 0.5]))
    return max(1.0, (middle - tenth) / 1.2816, (middle - quarter) / 0.6745)


def _patterns(work: _Work, where: Literal["lowest", "highest"]) -> list[Pattern]:
    """The easiest items go wrong, or the hardest go right, with probability λ."""
    n = len(work.p)
    lowest = where == "lowest"
    order = np.argsort(-work.easiness if lowest else work.easiness, kind="stable")
    target = (
        np.zeros(n, np.intp) if lowest else np.asarray(work.evidence.responses.n_categories) - 1
    )
    sizes = sorted({max(1, round(share * n)) for share in SHARES})
    # (share, λ, A): marginal log-likelihoods
    heights = np.empty((len(sizes), len(_STRENGTHS), len(work.base)))
    for s, size in enumerate(sizes):
        items = order[:size]
        p = work.p[items]
        mixed = p[..., None] * (1 - _STRENGTHS)
        mixed[np.arange(size), target[items]] += _STRENGTHS
        # all strengths beside each other: one product of matrices
        gain = np.log(mixed / p[..., None]).reshape(*p.shape[:2], -1)
        moved = work.likelihood(gain, items).reshape(len(work.base), -1, len(_STRENGTHS))
        moved += (work.base + work.log_prior)[..., None]
        heights[s] = logsumexp(moved, axis=1).T
    plain = logsumexp(work.base + work.log_prior, axis=1)
    factor = logsumexp(heights, axis=(0, 1)) - np.log(heights.shape[0] * heights.shape[1]) - plain
    best = logsumexp(heights, axis=1).argmax(axis=0)
    found = []
    for a, share in enumerate(best):
        column = heights[share, :, a]
        weights = np.exp(column - column.max())
        weights /= weights.sum()
        low, high = _ends(_STRENGTHS, weights)
        found.append(
            Pattern(
                float(weights @ _STRENGTHS),
                max(0.0, low),
                min(1.0, high),
                sizes[share] / n,
                float(factor[a]),
            )
        )
    return found


def _ends(values: Array, weights: Array) -> tuple[float, float]:
    """Interval of probability :data:`LEVEL` of a density on uniform values."""
    half = (values[1] - values[0]) / 2
    edges = np.append(values - half, values[-1] + half)
    total = np.concatenate([[0.0], np.cumsum(weights)])
    low, high = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], total, edges)
    return float(low), float(high)


def _dated(work: _Work, dates: Sequence[str]) -> list[Shift | None]:
    """Ability on items older than each model's cutoff, less that on newer ones."""
    e = work.evidence
    created = np.array(e.created)
    limits = [own or date for own, date in zip(e.cutoff, dates, strict=True)]
    found: list[Shift | None] = [None] * len(limits)
    roots: dict[int, float] = {}
    step = work.nodes[1] - work.nodes[0]
    reach = min(len(work.nodes) - 1, round(4 * float(e.bank.sd[0]) / float(step)))
    moves = np.arange(-reach, reach + 1)
    log_p = np.log(work.p)
    for limit in sorted(set(limits) - {""}):
        older = np.flatnonzero((created != "") & (created <= limit))
        newer = np.flatnonzero(created > limit)
        rows = np.array([a for a, own in enumerate(limits) if own == limit])
        counted = [np.count_nonzero(e.trials[rows][:, those], axis=1) for those in (older, newer)]
        enough = np.minimum(*counted) >= _FEWEST_ITEMS
        if not enough.any():
            continue
        old = work.likelihood(log_p[older], older)[rows]
        new = work.likelihood(log_p[newer], newer)[rows] + work.log_prior
        places = np.clip(np.arange(len(work.nodes)) + moves[:, None], 0, len(work.nodes) - 1)
        heights = np.stack([logsumexp(new + old[:, place], axis=1) for place in places], axis=1)
        for row in np.flatnonzero(enough):
            weights = softmax(heights[row])
            shift = np.asarray(moves * float(step) / e.bank.sd[0], float)
            low, high = _ends(shift, weights)
            mean = float(weights @ shift)
            ratio = 2 * float(heights[row].max() - heights[row, reach])
            a = int(rows[row])
            roots[a] = float(np.sign(mean) * np.sqrt(max(ratio, 0.0)))
            found[a] = Shift(int(counted[0][row]), int(counted[1][row]), mean, low, high, 1.0)
    centre, spread = _middle(np.array(list(roots.values())))
    many = len(roots) >= FEW_AGENTS
    for a, root in roots.items():
        z = (root - centre) / max(spread, 1.0) if many else root
        shift_found = found[a]
        assert shift_found is not None
        found[a] = replace(shift_found, p=float(ndtr(-min(z, root))))
    return found


def _failures(work: _Work, order: Array | None) -> list[Failed | None]:
    """The tag, or the run of consecutive items, without any score that is least probable."""
    e = work.evidence
    answered = e.trials > 0
    nothing = answered & (np.nan_to_num(e.score) == 0)
    log_p, log_none = np.log(work.p), np.log(work.p[:, 0])
    worth = work.counts.sum(axis=2)
    found: list[Failed | None] = [None] * len(answered)

    def look(a: int, items: NDArray[np.intp], what: str, looks: int, spread: Array) -> None:
        rest = work.base[a] - work.likelihood(log_p[items], items)[a] + work.log_prior
        weights = softmax(rest)
        mean = e.expected[items][:, :: work.step] @ weights
        if mean.sum() < _EXPECTED:
            return
        p = looks * float(weights @ spread @ np.exp(worth[a, items] @ log_none[items]))
        best = found[a]
        if best is None or p < best.p:
            names = tuple(e.responses.items[i] for i in items)
            found[a] = Failed(what, names, float(mean.sum()), min(1.0, p))

    tagged = []
    for name, values in e.tags.items():
        labels = np.unique(values, return_inverse=True)[1]
        spread = _as_usual(work, labels)
        tagged += [
            (f"{name} {value!r}", np.array([v == value for v in values]), spread)
            for value in sorted(set(values) - {""})
        ]
    for what, those, spread in tagged:
        own = answered & those
        for a in np.flatnonzero((own.sum(axis=1) >= _FEWEST_ITEMS) & ~(own & ~nothing).any(axis=1)):
            look(int(a), np.flatnonzero(own[a]), what, len(tagged), spread)
    when = np.arange(answered.shape[1]) if order is None else np.nan_to_num(order)
    place = np.argsort(np.argsort(np.broadcast_to(when, answered.shape), axis=1), axis=1)
    spread = _as_usual(work, place * _BLOCKS // answered.shape[1])
    for agent, positions in enumerate(_administered(answered, order)):
        best = max(
            _runs(nothing[agent, positions]),
            key=lambda run: float(e.expected_score[agent, positions[run]].sum()),
            default=None,
        )
        if best is not None:
            items = positions[best]
            what = f"a block of {len(items)} consecutive items"
            look(agent, items, what, len(positions), spread)
    return found


def _as_usual(work: _Work, labels: NDArray[np.intp]) -> Array:
    """``(Q, Q)`` ability on some items given ability on the others: normal around it, with the sd
    that abilities on items of different labels, ``(n,)`` or ``(A, n)``, usually differ by here.

    The sum R of residuals of a label has variance ``V (1 - V / ΣV) + S² sd²``: V that of its
    scores, of which the ability fitted to all of them takes its share, and S the slope of its
    expected score. The sd is a weighted mean over agents but the tenth that differs most, who may
    be the broken ones.
    """
    e = work.evidence
    own = np.broadcast_to(labels, e.trials.shape)
    slopes = np.where(e.trials > 0, work.at_ability[1] @ np.arange(e.p.shape[1]), 0.0)
    slopes = slopes / (e.responses.n_categories - 1)
    residual = np.nan_to_num(e.score - e.expected_score)
    variance = np.nan_to_num(e.score_variance)
    total = np.maximum(variance.sum(axis=1), 1e-9)
    above, below = np.zeros(len(own)), np.zeros(len(own))
    for label in np.unique(labels):
        here = own == label
        square = (slopes * here).sum(axis=1) ** 2
        chance = (variance * here).sum(axis=1)
        excess = (residual * here).sum(axis=1) ** 2 - chance * (1 - chance / total)
        above, below = above + excess * square, below + square**2
    usual = np.argsort(above / np.maximum(below, 1e-9))[: max(1, round(0.9 * len(own)))]
    sd = float(np.sqrt(max(0.0, above[usual].sum() / max(below[usual].sum(), 1e-9))))
    if sd < 0.5 * float(work.nodes[1] - work.nodes[0]):
        return np.eye(len(work.nodes))
    return np.asarray(softmax(-0.5 * ((work.nodes - work.nodes[:, None]) / sd) ** 2, axis=1))


def _administered(answered: NDArray[np.bool_], order: Array | None) -> Iterator[NDArray[np.intp]]:
    """Items of each agent, first to last."""
    when = np.arange(answered.shape[1]) if order is None else order
    for own, times in zip(answered, np.broadcast_to(when, answered.shape), strict=True):
        items = np.flatnonzero(own & np.isfinite(times))
        yield items[np.argsort(times[items], kind="stable")]


def _runs(nothing: NDArray[np.bool_]) -> Iterator[slice]:
    """Runs of zeros of at least :data:`_FEWEST_ITEMS`, unless they are everything."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], nothing.astype(int), [0]])))
    for first, end in edges.reshape(-1, 2):
        if _FEWEST_ITEMS <= end - first < len(nothing):
            yield slice(first, end)


def _drifts(evidence: Evidence, order: Array | None) -> list[Drift | None]:
    """The largest cumulative sum of residuals, as a range.

    Centred residuals in a random order make a Brownian bridge, whose range has Kuiper's
    distribution (1960); the larger of both cumulative sums is that range.
    """
    found: list[Drift | None] = [None] * len(evidence.ability)
    if order is None:
        return found
    sd = np.sqrt(np.maximum(np.nan_to_num(evidence.score_variance, nan=1.0), 1e-4))
    residual = np.where(
        evidence.trials > 0, (evidence.score - evidence.expected_score) / sd, np.nan
    )
    for a, items in enumerate(_administered(evidence.trials > 0, order)):
        steps = residual[a, items]
        if len(items) < _DRIFT_ANSWERS or not np.ptp(steps) > 0:
            continue
        steps = (steps - steps.mean()) / (steps.std() * np.sqrt(len(steps)))
        sums = cusum(steps[None])
        better = sums.upper.max() >= -sums.lower.min()
        path = sums.upper[0] if better else -sums.lower[0]
        last = int(path.argmax())
        zero = np.flatnonzero(path[: last + 1] <= 1e-12)
        first = int(zero[-1]) + 1 if len(zero) else 0
        stretch = items[first : last + 1]
        found[a] = Drift(
            first + 1,
            last + 1,
            float(evidence.score[a, stretch].mean()),
            float(evidence.expected_score[a, stretch].mean()),
            _kuiper(float(path[last]) + 0.155 / np.sqrt(len(steps))),
        )
    return found


def _kuiper(range_: float) -> float:
    """Probability that a Brownian bridge has a range as large."""
    if range_ < 0.4:
        return 1.0
    square = (np.arange(1, 101) * range_) ** 2
    return float(np.clip(2 * ((4 * square - 1) * np.exp(-2 * square)).sum(), 0.0, 1.0))


def _surprises(work: _Work, agent: int) -> tuple[Surprise, ...]:
    e = work.evidence
    p = np.maximum(work.at_ability[0][agent], _FLOOR)
    bits = -(work.counts[agent] * np.log2(p)).sum(axis=1)
    top = [i for i in np.argsort(-bits, kind="stable")[:_SURPRISES] if e.trials[agent, i] > 0]
    return tuple(
        Surprise(
            e.responses.items[i],
            float(e.expected_score[agent, i]),
            float(e.score[agent, i]),
            float(bits[i]),
        )
        for i in top
    )


def _bins(work: _Work) -> list[tuple[Bin, ...]]:
    e = work.evidence
    order = np.argsort(work.easiness, kind="stable")
    found = []
    for a in range(len(e.ability)):
        own = order[e.trials[a, order] > 0]
        parts = np.array_split(own, min(_BINS, max(1, len(own) // _FEWEST_ITEMS)))
        bins = []
        for items in parts:
            mean = float(e.expected_score[a, items].mean())
            half = 1.645 * float(np.sqrt(e.score_variance[a, items].sum())) / len(items)
            bins.append(
                Bin(
                    float(work.easiness[items].mean()),
                    len(items),
                    mean,
                    max(0.0, mean - half),
                    min(1.0, mean + half),
                    float(e.score[a, items].mean()),
                )
            )
        found.append(tuple(bins))
    return found


def _flags(agents: Sequence[AgentFit]) -> tuple[Flag, ...]:
    """One for each agent, the most telling; one more where dates tell of contamination."""
    patterns = np.array([[one.easy.log_bayes_factor, one.hard.log_bayes_factor] for one in agents])
    q_patterns = adjusted(np.exp(-np.maximum(patterns, 0.0)))
    stands = _stands_out(patterns)
    q_failed = adjusted([1.0 if one.failed is None else one.failed.p for one in agents])
    q_dated = adjusted([np.nan if one.dated is None else one.dated.p for one in agents])
    q_drift = adjusted([np.nan if one.drift is None else one.drift.p for one in agents])
    flags: list[Flag] = []
    for a, one in enumerate(agents):
        # each with how telling it is, as a logarithm
        told: list[tuple[float, Flag]] = []
        if one.failed is not None and q_failed[a] <= RATE:
            flag = _failed_flag(one, one.failed, float(q_failed[a]))
            told.append((-_log(one.failed.p), flag))
        for k, (pattern, describe) in enumerate(((one.easy, _easy_flag), (one.hard, _hard_flag))):
            if q_patterns[a, k] <= RATE and stands[a, k] and pattern.low >= LEAST:
                flag = describe(one, float(q_patterns[a, k]))
                told.append((pattern.log_bayes_factor, flag))
        if one.drift is not None and q_drift[a] <= RATE:
            flag = _drift_flag(one, one.drift, float(q_drift[a]))
            told.append((-_log(one.drift.p), flag))
        own = [max(told, key=lambda pair: pair[0])[1]] if told else []
        if one.dated is not None and one.dated.low > 0 and q_dated[a] <= RATE:
            own.append(_dated_flag(one, one.dated, float(q_dated[a])))
        if not own and one.q <= RATE:
            own.append(_unusual_flag(one))
        flags += own
    return tuple(sorted(flags, key=lambda flag: flag.q))


def _stands_out(values: Array) -> NDArray[np.bool_]:
    """Which exceed the median of their column by :data:`STANDS_OUT` robust sds; of few all."""
    if len(values) < FEW_AGENTS:
        return np.ones(values.shape, bool)
    spread = np.array([_below(-column) for column in values.T])
    return np.asarray(values - np.median(values, axis=0) >= STANDS_OUT * spread)


def _log(p: float) -> float:
    return float(np.log(max(p, 1e-300)))


def _fit_words(one: AgentFit) -> str:
    return f"person fit lz* {one.corrected:.1f}".replace("-", "−")


def _surprising(one: AgentFit, better: bool) -> str:
    names = [s.item for s in one.surprises if (s.got > s.expected) == better][:3]
    return f", such as {', '.join(names)}" if names else ""


def _failed_flag(one: AgentFit, failed: Failed, q: float) -> Flag:
    return Flag(
        "broken scaffold",
        "agent",
        (one.name,),
        f"scored nothing on {failed.what} ({len(failed.items)} items, first {failed.items[0]}), "
        f"where its other answers say {failed.expected:.1f} (probability {failed.p:.1g})",
        failed.expected,
        float("nan"),
        float("nan"),
        q,
        "look at the logs of these items for a failing tool, image or limit, and count such "
        "outcomes as missing",
    )


def _easy_flag(one: AgentFit, q: float) -> Flag:
    pattern = one.easy
    span = f"{pattern.strength:.0%} ({pattern.low:.0%} to {pattern.high:.0%})"
    everything = pattern.share == 1.0
    which = "all items" if everything else f"the easiest {pattern.share:.0%} of items"
    return Flag(
        "broken scaffold" if everything else "underperforms on easy items",
        "agent",
        (one.name,),
        f"fails {span} of {which} whatever their difficulty, beyond what its ability on the rest "
        f"explains{_surprising(one, False)}; {_fit_words(one)}",
        pattern.strength,
        pattern.low,
        pattern.high,
        q,
        "read its logs for failures at random, such as crashes, time limits or a format that is "
        "not understood"
        if everything
        else "read its logs on these items: it may fail on purpose, refuse, or give up; do not use "
        "it to calibrate",
    )


def _hard_flag(one: AgentFit, q: float) -> Flag:
    pattern = one.hard
    span = f"{pattern.strength:.0%} ({pattern.low:.0%} to {pattern.high:.0%})"
    which = "all items" if pattern.share == 1.0 else f"the hardest {pattern.share:.0%} of items"
    return Flag(
        "contamination",
        "agent",
        (one.name,),
        f"hard items right and easy ones wrong: it gets {span} of {which} right whatever their "
        f"difficulty, beyond what its ability on the rest explains{_surprising(one, True)}; "
        f"{_fit_words(one)}",
        pattern.strength,
        pattern.low,
        pattern.high,
        q,
        "check whether it saw the solutions or the tests, and whether its rows are in the right "
        "order",
    )


def _dated_flag(one: AgentFit, dated: Shift, q: float) -> Flag:
    return Flag(
        "contamination",
        "agent",
        (one.name,),
        f"its ability is {dated.estimate:.2f} sds ({dated.low:.2f} to {dated.high:.2f}) higher on "
        f"the {dated.older} items older than its cutoff than on the {dated.newer} newer ones",
        dated.estimate,
        dated.low,
        dated.high,
        q,
        "compare it with others on the newer items only, and search the older ones for leaks",
    )


def _drift_flag(one: AgentFit, drift: Drift, q: float) -> Flag:
    return Flag(
        "broken scaffold" if drift.observed == 0 < drift.expected else "unusual agent",
        "agent",
        (one.name,),
        f"scored {drift.observed:.0%} from its answer {drift.first} to {drift.last}, where its "
        f"ability says {drift.expected:.0%} (cumulative sum, p {drift.p:.1g})",
        drift.observed - drift.expected,
        float("nan"),
        float("nan"),
        q,
        "find out what changed during its run: a version, a limit, a machine",
    )


def _unusual_flag(one: AgentFit) -> Flag:
    return Flag(
        "unusual agent",
        "agent",
        (one.name,),
        f"{_fit_words(one)}: its outcomes agree with one ability less than chance allows; most "
        f"surprising are {', '.join(s.item for s in one.surprises[:3])}",
        one.corrected,
        one.corrected - 1.645,
        one.corrected + 1.645,
        one.q,
        "look at its most surprising items; it may be specialised, or a mix of several runs",
    )


def _cautions(
    evidence: Evidence, agents: Sequence[AgentFit], spread: float, order: Array | None
) -> tuple[str, ...]:
    cautions = []
    count = len(agents)
    if count < FEW_AGENTS:
        cautions.append(
            f"What is usual cannot be known from {count} agents, so only gross misfit is flagged."
        )
    elif spread > 1.2:
        cautions.append(
            f"Person fit varies {spread:.1f} times as much as one ability allows: agents have "
            "strengths of their own. Only those that stand out from the others are flagged."
        )
    if evidence.fitted and FEW_AGENTS <= count < 30:
        cautions.append(
            f"The items were fitted to these very {count} agents, which makes each look more "
            "ordinary than it is."
        )
    short = sum(one.answers < 20 for one in agents)
    if short:
        cautions.append(
            f"{short} of {count} agents have fewer than 20 answers, on which hardly any pattern "
            "can be told from chance."
        )
    if not any(one.dated for one in agents):
        cautions.append(
            "No agent has a date, with at least five items on either side of it: whether older "
            "items are easier, as contamination makes them, cannot be tested."
        )
    if order is None:
        cautions.append(
            "The order of administration is unknown: drift during a run cannot be tested, and "
            "blocks of failures are sought in the order of the items."
        )
    return tuple(cautions)
