"""Which agents are flagged, and what is said of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.health.agents.answers import FEW_AGENTS
from harness.health.agents.dates import Shift
from harness.health.agents.failures import Drift, Failed
from harness.health.agents.fit import AgentFit
from harness.health.flags import HALF, RATE, Flag, adjusted
from harness.health.summaries import lower_spread
from harness.irt import Array

STANDS_OUT = 4.0
"""Robust sds of the other agents by which an agent must exceed their median."""
LEAST = 0.15
"""Probability λ that a pattern must have, by the lower end of its interval."""


def flags_of(agents: Sequence[AgentFit]) -> tuple[Flag, ...]:
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
    spread = np.array([lower_spread(-column) for column in values.T])
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
        one.corrected - HALF,
        one.corrected + HALF,
        one.q,
        "look at its most surprising items; it may be specialised, or a mix of several runs",
    )
